use super::*;
use crate::wire::{Address, AlertNotification, Bind, BindKind, CommandStatus, DataSm, QuerySm, Sm, TlvBuilder, encode};
use proptest::prelude::*;

const NUMBER: &[u8] = b"447700900123";

fn masked(pdu: &Pdu<'_>, keeps_texts: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    encode(pdu, 7, CommandStatus::OK, &mut frame).unwrap();
    mask(&mut frame, keeps_texts);
    frame
}

fn holds(frame: &[u8], words: &[u8]) -> bool {
    frame.windows(words.len()).any(|window| window == words)
}

fn sm<'a>(esm_class: u8, data_coding: u8, text: &'a [u8], tlvs: crate::wire::Tlvs<'a>) -> Sm<'a> {
    let (source, destination) = (Address::new(5, 0, b"ACME"), Address::new(1, 1, NUMBER));
    Sm { source, destination, esm_class, data_coding, short_message: text, tlvs, ..Sm::default() }
}

#[test]
fn a_password_is_covered_whatever_is_asked_for() {
    let bind = Bind {
        kind: BindKind::Transceiver,
        system_id: b"acme",
        password: b"s3cr3t",
        system_type: b"",
        interface_version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: b"",
    };
    for keeps_texts in [false, true] {
        let frame = masked(&Pdu::Bind(bind), keeps_texts);
        assert!(!holds(&frame, b"s3cr3t") && holds(&frame, b"acme\0******\0"));
        assert!(matches!(decode(&frame), Ok((_, Pdu::Bind(bind))) if bind.password == b"******"));
    }
}

#[test]
fn texts_and_numbers_are_covered_and_names_and_udh_stay() {
    let udh = [5, 0, 3, 0x39, 2, 1];
    let text = [&udh[..], b"your code is 1234"].concat();
    let mut tlvs = TlvBuilder::new();
    tlvs.octets(Tag(0x1400), b"1001234567890123456").unwrap();
    tlvs.octets(Tag(0x1403), NUMBER).unwrap();
    let frame = masked(&Pdu::SubmitSm(sm(0x40, 0, &text, tlvs.tlvs())), false);
    let Ok((_, Pdu::SubmitSm(read))) = decode(&frame) else { panic!() };
    assert_eq!(read.short_message, [&udh[..], b"*****************"].concat());
    assert_eq!((read.source.addr, read.destination.addr), (&b"ACME"[..], &b"************"[..]));
    assert_eq!(read.tlvs.get(Tag(0x1400)), Some(&b"1001234567890123456"[..]));
    assert_eq!(read.tlvs.get(Tag(0x1403)), Some(&b"************"[..]));
    let frame = masked(&Pdu::SubmitSm(sm(0x40, 0, &text, tlvs.tlvs())), true);
    assert!(holds(&frame, NUMBER) && holds(&frame, b"your code is 1234"));
}

#[test]
fn a_text_in_ucs2_stays_text_and_a_payload_is_covered_too() {
    let frame = masked(&Pdu::SubmitSm(sm(0, 8, &[0x04, 0x36, 0, b'a', 0x4E, 0x2D], crate::wire::Tlvs::NONE)), false);
    let Ok((_, Pdu::SubmitSm(read))) = decode(&frame) else { panic!() };
    assert_eq!(read.short_message, b"\0*\0*\0*");
    let mut tlvs = TlvBuilder::new();
    tlvs.octets(Tag::MESSAGE_PAYLOAD, b"a secret text").unwrap();
    let number = Address::new(1, 1, NUMBER);
    let data = DataSm { source: number, destination: number, tlvs: tlvs.tlvs(), ..DataSm::default() };
    let frame = masked(&Pdu::DataSm(data), false);
    assert!(!holds(&frame, b"secret") && !holds(&frame, NUMBER));
}

#[test]
fn of_a_receipt_its_facts_stay() {
    let text = b"id:0A1B sub:001 dlvrd:001 submit date:2411291200 done date:2411291201 stat:DELIVRD err:000 to:447700900123 text:Hello you";
    let shown = b"id:0A1B sub:001 dlvrd:001 submit date:2411291200 done date:2411291201 stat:DELIVRD err:000 to:************ text:*********";
    let frame = masked(&Pdu::DeliverSm(sm(4, 0, text, crate::wire::Tlvs::NONE)), false);
    let Ok((_, Pdu::DeliverSm(read))) = decode(&frame) else { panic!() };
    assert_eq!(read.short_message.escape_ascii().to_string(), shown.escape_ascii().to_string());
    // In UCS2, and without its mark.
    let wide: Vec<u8> = text.iter().flat_map(|&letter| [0, letter]).collect();
    let frame = masked(&Pdu::DeliverSm(sm(4, 8, &wide, crate::wire::Tlvs::NONE)), false);
    let expected: Vec<u8> = shown.iter().flat_map(|&letter| [0, letter]).collect();
    assert!(holds(&frame, &expected));
    // A message from a handset is no receipt, whatever it begins with.
    let frame = masked(&Pdu::DeliverSm(sm(0, 0, b"id:1 call me on 447700900123", crate::wire::Tlvs::NONE)), false);
    assert!(!holds(&frame, b"id:1") && !holds(&frame, NUMBER));
}

#[test]
fn other_requests_with_numbers_are_covered() {
    let number = Address::new(1, 1, NUMBER);
    for pdu in [
        Pdu::QuerySm(QuerySm { message_id: b"abc", source: number }),
        Pdu::AlertNotification(AlertNotification { source: number, esme: number, tlvs: crate::wire::Tlvs::NONE }),
        Pdu::Unknown { command_id: CommandId(0x0001_0200), body: NUMBER },
    ] {
        let frame = masked(&pdu, false);
        assert!(!holds(&frame, NUMBER), "{pdu:?}");
        assert!(decode(&frame).is_ok());
    }
}

proptest! {
    #[test]
    fn no_octets_make_it_panic_and_lengths_stay(id in 0_u32..0x20, is_answer: bool, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = vec![0; 16];
        frame[..4].copy_from_slice(&(16 + body.len() as u32).to_be_bytes());
        frame[4..8].copy_from_slice(&(id | if is_answer { 0x8000_0000 } else { 0 }).to_be_bytes());
        frame.extend(&body);
        let before = frame.clone();
        mask(&mut frame, false);
        prop_assert_eq!(&frame[..16], &before[..16]);
        prop_assert_eq!(frame.len(), before.len());
        prop_assert_eq!(decode(&frame).is_ok(), decode(&before).is_ok());
    }
}
