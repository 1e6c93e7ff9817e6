//! Messages from handsets: stop words, and long messages in parts.

use super::bench::Bench;
use crate::journal::model::campaign::InDoubtPolicy::Hold;

const A: &str = "491700000001";
const B: &str = "491700000002";
const C: &str = "491700000003";

#[test]
fn f38_stop_words_suppress_and_long_inbound_messages_are_joined() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, esm_class: u8, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            esm_class,
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    bench.inbound(session, &deliver("+491700000002", 0, b" st op "));
    bench.inbound(session, &deliver(A, 0, b"do not stop"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x02world"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x01hello "));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x01again "));
    // A long message is not the stop word that one of its parts is, and one is that is so only as a whole.
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x08\x02\x02stop"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x08\x02\x01please do not "));
    bench.inbound(session, &deliver(C, 0x40, b"\x05\x00\x03\x09\x02\x01st"));
    bench.inbound(session, &deliver(C, 0x40, b"\x05\x00\x03\x09\x02\x02OP"));
    let suppressed = bench.query("SELECT destination FROM suppression ORDER BY 1", |row| row.get::<_, String>(0));
    assert_eq!(suppressed, [B, C]);
    let sent = bench.send(session, 1);
    assert_eq!(sent.len(), 1);
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    assert_eq!(bench.states(), ["sending", "queued"]);
    let more = bench.send(session, 1);
    assert!(more.is_empty());
    assert_eq!(bench.states(), ["sending", "suppressed"]);
    let joined = bench.query("SELECT text, parts, parts_received FROM inbound_message", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let expected = [(" st op ", 1, 1), ("do not stop", 1, 1), ("hello world", 2, 2), ("again ", 2, 1)];
    let expected = expected.into_iter().chain([("please do not stop", 2, 2), ("stOP", 2, 2)]);
    assert_eq!(joined, expected.map(|(text, parts, received)| (text.to_owned(), parts, received)).collect::<Vec<_>>());
}

#[test]
fn f38_parts_are_joined_before_they_are_read() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, data_coding: u8, esm_class: u8, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            esm_class,
            data_coding,
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    // U+1F600 over two parts of UCS2, the later first; a euro sign over two of GSM.
    bench.inbound(session, &deliver(A, 8, 0x40, b"\x05\x00\x03\x07\x02\x02\xDE\x00\x00b"));
    bench.inbound(session, &deliver(A, 8, 0x40, b"\x05\x00\x03\x07\x02\x01\x00a\xD8\x3D"));
    bench.inbound(session, &deliver(A, 0, 0x40, b"\x05\x00\x03\x08\x02\x011\x1B"));
    bench.inbound(session, &deliver(A, 0, 0x40, b"\x05\x00\x03\x08\x02\x02e2"));
    // One that cannot be read, and a stop word from a number with 00.
    bench.inbound(session, &[0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    bench.inbound(session, &deliver(&format!("00{B}"), 0, 0, b"stop"));
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    let texts = bench.query("SELECT text FROM inbound_message", |row| row.get::<_, String>(0));
    assert_eq!(texts[..2], ["a\u{1F600}b", "1\u{20AC}2"]);
    assert!(texts[2].starts_with("[cannot be read: "), "{}", texts[2]);
    assert_eq!(bench.thread().status.inbound, 4);
    assert_eq!(bench.query("SELECT destination FROM suppression", |row| row.get::<_, String>(0)), [B]);
}

#[test]
fn f38_an_opt_in_word_takes_back_what_an_opt_out_word_did() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.opt_in_words = vec!["START".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    let number = crate::message::address::Destination::parse(B).unwrap();
    let why = crate::journal::store::suppression::Why {
        source: crate::journal::store::suppression::Source::File,
        reason: "asked",
    };
    crate::journal::store::suppression::add(&other, number, why, 0).unwrap();
    bench.inbound(session, &deliver(A, b"Stop"));
    bench.inbound(session, &deliver(A, b"please start"));
    let suppressed =
        |bench: &Bench| bench.query("SELECT destination FROM suppression ORDER BY 1", |row| row.get::<_, String>(0));
    assert_eq!(suppressed(&bench), [A, B]);
    bench.inbound(session, &deliver(A, b" start"));
    bench.inbound(session, &deliver(B, b"START"));
    assert_eq!(suppressed(&bench), [B], "a file had put B there");
    // What is not claimed yet is sent again.
    assert_eq!(bench.send(session, 2).len(), 1);
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    assert_eq!(bench.states(), ["sending", "suppressed"]);
}

#[test]
fn f38_suppressing_while_a_sender_runs_spares_what_is_to_be_tried_again() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 1);
    bench.answer(session, sent[0], 0x58, "");
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    for number in [A, B] {
        let number = crate::message::address::Destination::parse(number).unwrap();
        crate::journal::store::suppression::add(
            &other,
            number,
            crate::journal::store::suppression::Why {
                source: crate::journal::store::suppression::Source::Operator,
                reason: "asked",
            },
            0,
        )
        .unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(250));
    assert!(bench.send(session, 2).is_empty());
    assert_eq!(bench.states(), ["suppressed", "suppressed"]);
    bench.restart();
    assert_eq!(bench.states(), ["suppressed", "suppressed"]);
}
