//! What goes wrong on request.
use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use smppost::wire::{BindKind, CommandId, CommandStatus, Pdu, Sm, encode};

use crate::smsc::client::{Client, PATIENCE, message, smsc};

fn quiet<'a>() -> Sm<'a> {
    Sm { registered_delivery: 0, ..message() }
}

/// A simulator with one fault, and a client bound to it.
fn with(fault: &str) -> (smppost::smsc::Smsc, Client) {
    let smsc = smsc(|settings| settings.faults.set(fault).unwrap());
    let client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    (smsc, client)
}

#[test]
fn a_drop_before_the_answer_leaves_the_message_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let smsc = smsc(|settings| {
        settings.ledger = Some(path.clone());
        settings.faults.set("drop-before-answer=10").unwrap();
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let mut answered = 0;
    loop {
        client.send(&Pdu::SubmitSm(quiet()));
        match client.receive_within(PATIENCE) {
            Some(_) => answered += 1,
            None => break,
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"kind\":\"submit\"").count(), answered + 1);
}

#[test]
fn a_drop_after_the_answer_still_answers() {
    let (_smsc, mut client) = with("drop-after-answer=1");
    client.send(&Pdu::SubmitSm(quiet()));
    assert_eq!(client.until_closed().len(), 1);
}

#[test]
fn silence_is_silent_and_errors_are_errors() {
    let (smsc, mut client) = with("silence=1");
    client.send(&Pdu::SubmitSm(quiet()));
    assert_eq!(client.request(&Pdu::EnquireLink).status(), 0);
    assert_eq!(smsc.stats().accepted, 1);
    let (_smsc, mut client) = with("error=0x64");
    let answer = client.request(&Pdu::SubmitSm(quiet()));
    assert_eq!((answer.status(), answer.0.len()), (0x64, 17));
    let (_smsc, mut client) = with("nack=1");
    assert_eq!(client.request(&Pdu::SubmitSm(quiet())).id(), CommandId::GENERIC_NACK);
    let (_smsc, mut client) = with("throttle-storm=1");
    assert_eq!(client.request(&Pdu::SubmitSm(quiet())).status(), 0x58);
}

#[test]
fn error_answers_can_lack_their_body() {
    let (_smsc, mut client) = with("bodyless-errors");
    assert_eq!(client.request(&Pdu::SubmitSm(Sm { service_type: b"X", ..quiet() })).0.len(), 16);
}

#[test]
fn answers_can_come_in_any_order() {
    let (_smsc, mut client) = with("reorder");
    let mut octets = Vec::new();
    (0..500).for_each(|n| encode(&Pdu::SubmitSm(quiet()), n + 2, CommandStatus::OK, &mut octets).unwrap());
    client.stream.write_all(&octets).unwrap();
    let order: Vec<u32> = (0..500).map(|_| client.receive().sequence_number()).collect();
    assert!(!order.is_sorted());
    assert_eq!(order.iter().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn octets_can_come_one_by_one() {
    let (_smsc, mut client) = with("octets");
    assert_eq!(client.request(&Pdu::SubmitSm(message())).status(), 0);
    assert!(client.take_receipt(0).text().contains("DELIVRD"));
}

#[test]
fn slow_answers_are_slow_and_lost_ones_huge() {
    let (_smsc, mut client) = with("slow-answers=200ms");
    let sent = Instant::now();
    client.request(&Pdu::SubmitSm(quiet()));
    assert!(sent.elapsed() >= Duration::from_millis(200));
    let (_smsc, mut client) = with("huge-length=1");
    client.send(&Pdu::SubmitSm(quiet()));
    let mut header = [0; 16];
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client.stream.read_exact(&mut header).unwrap();
    assert_eq!(header[..4], [0x80, 0, 0, 0]);
}

#[test]
fn junk_comes_before_the_answer_and_unbind_after_it() {
    let (_smsc, mut client) = with("junk=1");
    let sent = client.send(&Pdu::SubmitSm(quiet()));
    let ids: Vec<u32> = (0..4).map(|_| client.receive()).map(|frame| frame.id().0).collect();
    let answer = CommandId::SUBMIT_SM_RESP.0;
    assert_eq!(ids, [answer, 0x0001_0203, CommandId::DELIVER_SM.0, answer]);
    assert_eq!(sent, 2);
    let (_smsc, mut client) = with("unbind=1");
    client.send(&Pdu::SubmitSm(quiet()));
    assert_eq!(client.receive().id(), CommandId::SUBMIT_SM_RESP);
    assert_eq!(client.receive().id(), CommandId::UNBIND);
}

#[test]
fn a_banner_and_a_flood() {
    let smsc = smsc(|settings| settings.faults.set("http-banner").unwrap());
    let mut client = Client::connect(smsc.local_addr());
    let mut banner = [0; 8];
    client.stream.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"HTTP/1.1");
    let (_smsc, mut client) = with("receipt-flood=2000");
    (0..2_000).for_each(|_| drop(client.take_receipt(0)));
}

#[test]
fn a_service_type_can_be_too_long() {
    let (_smsc, mut client) = with("long-service-type");
    client.request(&Pdu::SubmitSm(message()));
    let receipt = client.take_receipt(0);
    assert!(matches!(receipt.pdu(), Pdu::DeliverSm(sm) if sm.service_type.len() == 15));
}

#[test]
fn reads_can_stall() {
    let (_smsc, mut client) = with("stalled-reads=1");
    // The second begins before the first answer comes.
    let asked = Instant::now();
    client.request(&Pdu::SubmitSm(quiet()));
    client.request(&Pdu::EnquireLink);
    assert!(asked.elapsed() >= Duration::from_secs(1));
}
