mod products;

use super::*;
use crate::wire::tlv::TlvBuilder;

/// The shapes seen in the field.
const CORPUS: &str = include_str!("../../../tests/data/receipts.txt");
/// More of the same kind.
const MORE: &str = include_str!("../../../tests/data/receipts_more.txt");

const RECEIPT: u8 = esm_class::TYPE_RECEIPT;

struct Line {
    id: Option<&'static str>,
    state: Option<&'static str>,
    err: Option<&'static str>,
    text: Vec<u8>,
}

fn lines(corpus: &'static str) -> impl Iterator<Item = Line> {
    corpus.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.splitn(4, " | ");
        let mut column = || columns.next().unwrap();
        let stated = |column| (column != "-").then_some(column);
        Line { id: stated(column()), state: stated(column()), err: stated(column()), text: unescaped(column()) }
    })
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    octets
}

fn utf16be(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|&octet| [0, octet]).collect()
}

fn packed(text: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = text.iter().flat_map(|octet| (0..7).map(move |bit| octet >> bit & 1)).collect();
    bits.chunks(8).map(|octet| octet.iter().rev().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

fn check(receipt: Option<&Receipt<'_>>, line: &Line, way: &str) {
    let shown = String::from_utf8_lossy(&line.text);
    if line.id.is_none() && line.state.is_none() {
        assert_eq!(receipt, None, "{way}: {shown}");
        return;
    }
    let receipt = receipt.unwrap_or_else(|| panic!("{way}: not seen as a receipt: {shown}"));
    let text = |octets: Option<&[u8]>| octets.map(|octets| String::from_utf8(octets.to_vec()).unwrap());
    assert_eq!(text(receipt.id()).as_deref(), line.id, "{way}: {shown}");
    assert_eq!(text(receipt.err.as_deref()).as_deref(), line.err, "{way}: {shown}");
    match line.state.and_then(|state| state.strip_prefix('?')) {
        Some(word) => {
            assert_eq!(receipt.stat, Some(Stat::Other(Cow::Borrowed(word.as_bytes()))), "{way}: {shown}");
            assert_eq!(receipt.state(), Some(MessageState::Unknown), "{way}: {shown}");
            assert!(!receipt.is_final(MessageState::Unknown, true));
        }
        None => assert_eq!(receipt.state().map(MessageState::name), line.state, "{way}: {shown}"),
    }
}

#[test]
fn f36_the_corpus_parses_whole_in_every_way_of_sending_it() {
    let mut count = 0;
    for line in lines(CORPUS).chain(lines(MORE)) {
        count += 1;
        let sm = Sm { esm_class: RECEIPT, short_message: &line.text, ..Sm::default() };
        check(sm.receipt().as_ref(), &line, "short_message");

        let wide = utf16be(&line.text);
        let ucs2 = Sm { data_coding: 8, short_message: &wide, ..sm };
        check(ucs2.receipt().as_ref(), &line, "UCS2");
        let little: Vec<u8> = wide.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
        check(Sm { short_message: &little, ..ucs2 }.receipt().as_ref(), &line, "UCS2 in the other order");

        let mut tlvs = TlvBuilder::new();
        tlvs.octets(Tag::MESSAGE_PAYLOAD, &line.text).unwrap();
        let payload = Sm { esm_class: RECEIPT, tlvs: tlvs.tlvs(), ..Sm::default() };
        check(payload.receipt().as_ref(), &line, "message_payload");
        let data = DataSm { esm_class: RECEIPT, tlvs: tlvs.tlvs(), ..DataSm::default() };
        check(data.receipt().as_ref(), &line, "data_sm");
        let intermediate = DataSm { esm_class: esm_class::TYPE_INTERMEDIATE, ..data };
        check(intermediate.receipt().as_ref(), &line, "an intermediate notification");

        let headed = [b"\x05\0\x03\x07\x01\x01", &line.text[..]].concat();
        let with_udh = Sm { esm_class: RECEIPT | esm_class::UDHI, short_message: &headed, ..Sm::default() };
        check(with_udh.receipt().as_ref(), &line, "after a user data header");

        if line.text.is_ascii() && !line.text.contains(&0) {
            let septets = packed(&line.text);
            check(Sm { short_message: &septets, ..sm }.receipt().as_ref(), &line, "packed septets");
        }
    }
    assert!(count >= 42 + 60, "{count} lines");
}

#[test]
fn every_prefix_of_every_line_is_read_without_harm() {
    for line in lines(CORPUS).chain(lines(MORE)) {
        for end in 0..=line.text.len() {
            let receipt = Receipt::of(RECEIPT, &line.text[..end], Tlvs::NONE);
            if let Some(id) = receipt.as_ref().and_then(Receipt::id)
                && let Some(whole) = line.id
            {
                // Where nothing separates the fields, what was cut off ends in letters of the next label.
                let joined = [&b"id:77sub:"[..], b"id:77/sub:"].iter().any(|start| line.text.starts_with(start))
                    && id.starts_with(whole.as_bytes());
                let shown = String::from_utf8_lossy(&line.text[..end]);
                assert!(joined || whole.as_bytes().starts_with(id), "{shown:?}");
            }
            let whole = Receipt::of(RECEIPT, &line.text, Tlvs::NONE).and_then(|receipt| receipt.state());
            if let Some(receipt) = &receipt
                && let Some(state) = receipt.state()
            {
                // `dlvrd` with nothing behind it is the count that comes before the dates.
                let shown = String::from_utf8_lossy(&line.text[..end]);
                assert!(!receipt.is_final(state, false) || Some(state) == whole, "{shown:?} {state:?} {whole:?}");
            }
        }
    }
}

#[test]
fn f38_what_a_subscriber_writes_is_no_receipt() {
    for text in [
        "id:77",
        "stat:DELIVRD",
        "id: stat:DELIVRD",
        "id:77 stat:",
        "id:77 stat:2",
        "id:77 stat:fine",
        "id:77 please stat:DELIVRD",
        "id:77 stat:DELIVRD thanks",
        "My id:77 stat:DELIVRD",
        "Re: id:77 stat:DELIVRD",
        "text:id:77 stat:DELIVRD",
        "id:77 text:stat:DELIVRD",
        "id:77 DELIVRD err:000",
        "id:77 stat:DELIVRD err:never mind",
        "text:hello id:77 stat:DELIVRD",
        "STOP",
        "",
    ] {
        for esm in [0x00, 0x01, 0x80, esm_class::TYPE_USER_ACK, esm_class::TYPE_CONVERSATION_ABORT] {
            assert_eq!(Receipt::of(esm, text.as_bytes(), Tlvs::NONE), None, "{esm:02X} {text}");
            assert_eq!(Receipt::of(esm, &utf16be(text.as_bytes()), Tlvs::NONE), None, "{esm:02X} {text}");
        }
    }
}

#[test]
fn a_receipt_without_its_mark_is_known_by_its_shape() {
    for text in [
        "id:77 stat:DELIVRD",
        "stat:DELIVRD id:77",
        "id:77 sub:001 dlvrd:001 submit date:2611230915 done date:26-11-23 09:16:01 stat:2 err:000 text:id:5",
        " ID:77;STAT:DELIVRD;TEXT:a text of many words",
    ] {
        let receipt = Receipt::of(0, text.as_bytes(), Tlvs::NONE).unwrap();
        assert_eq!(receipt.kind, ReceiptKind::Unmarked);
        assert_eq!(receipt.id(), Some(&b"77"[..]), "{text}");
        assert_eq!(receipt.state(), Some(MessageState::Delivered), "{text}");
    }
}

#[test]
fn tlvs_beat_the_text() {
    let text = b"id:77 stat:UNDELIV err:012 text:x";
    let mut builder = TlvBuilder::new();
    let tlvs = builder.u8(Tag::MESSAGE_STATE, 2).c_string(Tag::RECEIPTED_MESSAGE_ID, b"4D").unwrap().tlvs();
    for esm in [0, RECEIPT, esm_class::TYPE_DELIVERY_ACK, esm_class::TYPE_USER_ACK, esm_class::TYPE_INTERMEDIATE] {
        let receipt = Receipt::of(esm, text, tlvs).unwrap();
        assert_eq!(receipt.id(), Some(&b"4D"[..]));
        assert_eq!(receipt.state(), Some(MessageState::Delivered));
        assert_eq!(receipt.stat, Some(Stat::State(MessageState::Undeliverable)));
        assert_eq!(receipt.err.as_deref(), Some(&b"012"[..]));
        let expected = esm != esm_class::TYPE_INTERMEDIATE;
        assert_eq!(receipt.is_final(MessageState::Delivered, false), expected);

        let bare = Receipt::of(esm, b"", tlvs).unwrap();
        assert_eq!((bare.id(), bare.state()), (Some(&b"4D"[..]), Some(MessageState::Delivered)));
        assert_eq!(bare.err, None);
    }
}

#[test]
fn the_original_message_beside_tlvs_is_not_read() {
    let mut builder = TlvBuilder::new();
    let tlvs = builder.u8(Tag::MESSAGE_STATE, 2).octets(Tag::RECEIPTED_MESSAGE_ID, b"4D").unwrap().tlvs();
    let receipt = Receipt::of(RECEIPT, b"Your order err:17 is on its way", tlvs).unwrap();
    assert_eq!((receipt.id(), &receipt.err), (Some(&b"4D"[..]), &None));
}

#[test]
fn one_tlv_alone_marks_nothing() {
    let mut id = TlvBuilder::new();
    id.c_string(Tag::RECEIPTED_MESSAGE_ID, b"4D").unwrap();
    let mut state = TlvBuilder::new();
    state.u8(Tag::MESSAGE_STATE, 2);
    assert_eq!(Receipt::of(0, b"hello", id.tlvs()), None);
    assert_eq!(Receipt::of(0, b"hello", state.tlvs()), None);
    assert!(Receipt::of(RECEIPT, b"hello", id.tlvs()).is_some());
    assert!(Receipt::of(RECEIPT, b"hello", state.tlvs()).is_some());
    // An empty id says nothing.
    let empty = Tlvs(&[0, 0x1E, 0, 1, 0]);
    let receipt = Receipt::of(RECEIPT, b"id:77 stat:DELIVRD", empty).unwrap();
    assert_eq!(receipt.id(), Some(&b"77"[..]));
}

#[test]
fn codes_mean_what_the_profile_says() {
    let provider = |code| match code {
        0 => Some(MessageState::Accepted),
        2 => Some(MessageState::Delivered),
        1 | 5 => Some(MessageState::Failed),
        _ => None,
    };
    let none = |_| None;
    let digit = Receipt::of(RECEIPT, b"id:77 stat:1 err:0", Tlvs::NONE).unwrap();
    assert_eq!(digit.stat, Some(Stat::Code(1)));
    assert_eq!(digit.state(), Some(MessageState::Enroute));
    assert_eq!(digit.state_with(MessageState::from_code, provider), Some(MessageState::Failed));
    let word = Receipt::of(RECEIPT, b"id:77 stat:DELIVRD err:0", Tlvs::NONE).unwrap();
    assert_eq!(word.state_with(provider, provider), Some(MessageState::Delivered));

    let mut builder = TlvBuilder::new();
    let tlvs = builder.u8(Tag::MESSAGE_STATE, 1).tlvs();
    let by_tlv = Receipt::of(RECEIPT, b"id:77 stat:UNDELIV", tlvs).unwrap();
    assert_eq!(by_tlv.state(), Some(MessageState::Enroute));
    assert_eq!(by_tlv.state_with(provider, provider), Some(MessageState::Failed));
    assert_eq!(
        by_tlv.state_with(none, none),
        Some(MessageState::Undeliverable),
        "the word, where the code says nothing"
    );

    let odd = Tlvs(&[0x04, 0x27, 0, 1, 200]);
    let receipt = Receipt::of(RECEIPT, b"id:77", odd).unwrap();
    assert_eq!((receipt.tlv_state, receipt.state()), (Some(200), Some(MessageState::Unknown)));
}

#[test]
fn the_dates_are_kept_as_they_came() {
    let table: &[(&str, &str, &str)] = &[
        ("submit date:2611230915 done date:2611230916 stat:DELIVRD", "2611230915", "2611230916"),
        (
            "submit date:26-11-23 09:15:30 done date:26-11-23 09:16:01 stat:DELIVRD",
            "26-11-23 09:15:30",
            "26-11-23 09:16:01",
        ),
        ("submit date:\"26-11-23 09:15\" done date:\"x y\" stat:DELIVRD", "26-11-23 09:15", "x y"),
        (
            "submit date:23 Nov 2026 done date:Mon Nov 23 09:16:01 UTC 2026 stat:DELIVRD",
            "23 Nov 2026",
            "Mon Nov 23 09:16:01 UTC 2026",
        ),
        ("submit date: 2611230915 done date:  2611230916 DELIVRD err:000", "2611230915", "2611230916"),
    ];
    for (text, submit, done) in table {
        let text = format!("id:77 {text}");
        let receipt = Receipt::of(RECEIPT, text.as_bytes(), Tlvs::NONE).unwrap();
        assert_eq!(receipt.submit_date.as_deref(), Some(submit.as_bytes()), "{text}");
        assert_eq!(receipt.done_date.as_deref(), Some(done.as_bytes()), "{text}");
        assert_eq!(receipt.state(), Some(MessageState::Delivered), "{text}");
    }
}

#[test]
fn an_ordinary_receipt_is_borrowed_whole() {
    let text = b"id:77 sub:001 dlvrd:001 submit date:2611230915 done date:2611230916 stat:DELIVRD err:000 text:x";
    let receipt = Receipt::of(RECEIPT, text, Tlvs::NONE).unwrap();
    for field in [&receipt.text_id, &receipt.err, &receipt.submit_date, &receipt.done_date] {
        assert!(matches!(field, Some(Cow::Borrowed(_))));
    }
}
