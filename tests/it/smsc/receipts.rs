//! Receipts: when they come, when they come again, and how they deviate.
use std::collections::HashSet;
use std::time::{Duration, Instant};

use smppost::smsc::{Delay, IdForm, Outcomes, Settings};
use smppost::wire::{BindKind, CommandId, Pdu, Sm, Tag};

use crate::smsc::client::{Client, PATIENCE, message, smsc};

fn quick(settings: &mut Settings) {
    settings.receipt_delay = Delay::constant(Duration::from_millis(5));
    settings.redelivery_delay = Duration::from_millis(20);
}

#[test]
fn a_receipt_comes_after_its_delay_with_text_and_tlvs() {
    let smsc = smsc(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let sent = Instant::now();
    let id = client.request(&Pdu::SubmitSm(message())).message_id();
    let receipt = client.take_receipt(0);
    assert!(sent.elapsed() >= Duration::from_millis(100));
    let text = receipt.text();
    assert!(text.starts_with(&format!("id:{id} sub:001 dlvrd:001 submit date:")), "{text}");
    assert!(text.ends_with(" stat:DELIVRD err:000 text:Hello"), "{text}");
    assert_eq!(receipt.tlvs().get_c_string(Tag::RECEIPTED_MESSAGE_ID), Some(id.as_bytes()));
    assert_eq!(receipt.tlvs().get_u8(Tag::MESSAGE_STATE), Some(2));
    let Pdu::DeliverSm(sm) = receipt.pdu() else { panic!("{receipt:?}") };
    assert_eq!((sm.source.addr, sm.destination.addr, sm.esm_class), (&b"491700000001"[..], &b"Sender"[..], 0x04));
    client.request(&Pdu::EnquireLink);
    let stats = smsc.stats();
    assert_eq!((stats.receipts_sent, stats.receipts_answered, stats.deliver_outstanding), (1, 1, 0));
}

#[test]
fn only_those_asked_for_come() {
    let smsc = smsc(|settings| {
        quick(settings);
        settings.outcomes = Outcomes { delivered: 1, undelivered: 1, ..Outcomes::default() };
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    for _ in 0..100 {
        client.request(&Pdu::SubmitSm(Sm { registered_delivery: 0, ..message() }));
        client.request(&Pdu::SubmitSm(Sm { registered_delivery: 2, ..message() }));
    }
    let mut failures = 0;
    // Half of a hundred is to come, so that it is worth waiting for the first of them.
    let patience = |failures| if failures < 25 { PATIENCE } else { Duration::from_secs(1) };
    while let Some(receipt) = client.receive_within(patience(failures)) {
        assert!(receipt.text().contains("stat:UNDELIV err:001"));
        failures += 1;
    }
    assert!((25..75).contains(&failures), "{failures}");
}

#[test]
fn receipts_wait_for_a_session_that_can_carry_them() {
    let smsc = smsc(quick);
    let mut transmitter = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let id = transmitter.request(&Pdu::SubmitSm(message())).message_id();
    assert!(transmitter.receive_within(Duration::from_millis(100)).is_none());
    assert_eq!(smsc.stats().receipts_waiting, 1);
    let mut stranger = Client::bound(&smsc, BindKind::Transceiver, "other");
    assert!(stranger.receive_within(Duration::from_millis(50)).is_none());
    let mut receiver = Client::bound(&smsc, BindKind::Receiver, "demo");
    assert!(receiver.take_receipt(0).text().contains(&id));
    assert_eq!(smsc.stats().receipts_waiting, 0);
}

#[test]
fn lost_sessions_and_temporary_errors_bring_them_again() {
    let smsc = smsc(quick);
    let mut first = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let ids: HashSet<String> = (0..50).map(|_| first.request(&Pdu::SubmitSm(message())).message_id()).collect();
    assert_eq!(ids.len(), 50);
    first.receive();
    drop(first);
    let mut second = Client::bound(&smsc, BindKind::Transceiver, "demo");
    for _ in 0..50 {
        second.take_receipt(0x64);
    }
    let mut seen = HashSet::new();
    for _ in 0..50 {
        let text = second.take_receipt(0).text();
        seen.insert(text[3..text.find(" sub:").unwrap()].to_owned());
    }
    assert_eq!(seen, ids);
    assert!(second.receive_within(Duration::from_millis(100)).is_none());
}

#[test]
fn an_unanswered_receipt_comes_again_and_a_refused_one_does_not() {
    let smsc = smsc(|settings| {
        quick(settings);
        settings.response_timeout = Duration::from_secs(2);
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    client.request(&Pdu::SubmitSm(message()));
    let unanswered = client.receive();
    let again = client.take_receipt(0x65);
    assert_ne!(unanswered.sequence_number(), again.sequence_number());
    assert_eq!(unanswered.text(), again.text());
    assert!(client.receive_within(Duration::from_millis(1_000)).is_none());
    assert_eq!(smsc.stats().receipts_refused, 1);
}

#[test]
fn the_window_bounds_what_is_outstanding() {
    let smsc = smsc(|settings| {
        quick(settings);
        settings.deliver_window = 3;
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    (0..10).for_each(|_| drop(client.request(&Pdu::SubmitSm(message()))));
    let mut outstanding: Vec<_> = (0..3).map(|_| client.receive()).collect();
    assert!(client.receive_within(Duration::from_millis(100)).is_none());
    assert_eq!(smsc.stats().deliver_outstanding, 3);
    for _ in 0..7 {
        client.answer_receipt(&outstanding.remove(0), 0);
        outstanding.push(client.receive());
    }
}

#[test]
fn f39_a_peer_with_many_receipts_waiting_can_still_submit() {
    let smsc = smsc(quick);
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    for _ in 0..5_000 {
        client.send(&Pdu::SubmitSm(message()));
    }
    let (mut answers, mut receipts) = (0, 0);
    let until = Instant::now() + PATIENCE;
    while answers < 5_000 || receipts < 5_000 {
        assert!(Instant::now() < until, "{answers} {receipts}");
        let frame = client.receive();
        match frame.id() {
            CommandId::SUBMIT_SM_RESP => answers += 1,
            _ => {
                receipts += 1;
                client.answer_receipt(&frame, 0);
            }
        }
    }
}

#[test]
fn ids_can_differ_between_answer_and_receipt() {
    for (answer, receipt) in [("hex", "dec"), ("dec", "hex"), ("uuid", "upper"), ("dec", "padded"), ("hex", "uuid")] {
        let smsc = smsc(|settings| {
            quick(settings);
            settings.message_id = answer.parse().unwrap();
            settings.receipt_id = Some(receipt.parse().unwrap());
            settings.first_message_id = Some(0xB8BE19);
        });
        let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
        let answered = client.request(&Pdu::SubmitSm(message())).message_id();
        let text = client.take_receipt(0).text();
        let receipted = text[3..text.find(" sub:").unwrap()].to_owned();
        assert_ne!(answered, receipted);
        let number = |id: &str| match id.parse::<IdForm>() {
            Ok(form) => form,
            Err(_) => answer.parse().unwrap(),
        };
        let (a, r) = (number(answer), number(receipt));
        assert_eq!(
            a.parse(answered.as_bytes()),
            r.parse(receipted.to_lowercase().as_bytes()),
            "{answered} {receipted}"
        );
    }
}

#[test]
fn quirks_show() {
    // So many PDUs come, and no more.
    let first_of = |quirk: &str, sm: Sm<'_>, count: usize| {
        let smsc = smsc(|settings| {
            quick(settings);
            settings.quirks.set(quirk).unwrap();
        });
        let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
        client.send(&Pdu::SubmitSm(sm));
        let mut frames = Vec::new();
        for _ in 0..count {
            let frame = client.receive();
            if frame.id() != CommandId::SUBMIT_SM_RESP {
                client.answer_receipt(&frame, 0);
            }
            frames.push(frame);
        }
        let more = client.receive_within(Duration::from_millis(500));
        assert!(more.is_none(), "{quirk}: {more:?}");
        frames
    };
    let early = first_of("early", message(), 2);
    assert_eq!((early[0].id(), early[1].id()), (CommandId::DELIVER_SM, CommandId::SUBMIT_SM_RESP));
    first_of("duplicate", message(), 3);
    first_of("late", message(), 1);
    let tlv_only = first_of("tlv-only", message(), 2);
    assert!(tlv_only[1].text().is_empty() && tlv_only[1].tlvs().get(Tag::RECEIPTED_MESSAGE_ID).is_some());
    let text_only = first_of("text-only", message(), 2);
    assert!(text_only[1].text().contains("stat:") && text_only[1].tlvs().is_empty());
    let data = first_of("data-sm", message(), 2);
    assert!(data[1].id() == CommandId::DATA_SM && data[1].text().contains("stat:DELIVRD"));
    let intermediate = first_of("intermediate", message(), 3);
    assert!(intermediate[1].text().contains("stat:ENROUTE") && intermediate[2].text().contains("stat:DELIVRD"));
    let codes = first_of("provider-codes", message(), 2);
    assert!(codes[1].text().contains("stat:2 ") && codes[1].tlvs().get_u8(Tag::MESSAGE_STATE) == Some(2));
    let part = |short_message| Sm { esm_class: 0x40, short_message, ..message() };
    let (one, two) = (b"\x05\x00\x03\x07\x02\x01Hello", b"\x05\x00\x03\x07\x02\x02Hello");
    for (quirk, octets, count) in [
        ("first-part-only", one, 2),
        ("first-part-only", two, 1),
        ("last-part-only", one, 1),
        ("last-part-only", two, 2),
    ] {
        first_of(quirk, part(octets), count);
    }
}

/// Whatever becomes of sessions, every receipt is answered at last, on one of them.
#[test]
fn no_receipt_is_lost_over_many_lost_sessions() {
    let smsc = smsc(|settings| {
        settings.receipt_delay = "1ms..200ms".parse().unwrap();
        settings.message_id = IdForm::Uuid;
    });
    let total = 20_000;
    let mut transmitter = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let submitting = std::thread::spawn(move || {
        let mut ids = HashSet::new();
        for _ in 0..total / 100 {
            (0..100).for_each(|_| assert!(transmitter.send(&Pdu::SubmitSm(message())) > 0));
            (0..100).for_each(|_| assert!(ids.insert(transmitter.receive().message_id())));
        }
        ids
    });
    let mut answered = HashSet::new();
    let until = Instant::now() + 3 * PATIENCE;
    let mut session = 0;
    while answered.len() < total {
        assert!(Instant::now() < until, "{} of {total}, {}", answered.len(), smsc.stats());
        session += 1;
        let mut receiver = Client::connect(smsc.local_addr());
        if receiver.bind(BindKind::Receiver, "demo", "", 0x34).status() != 0 {
            continue;
        }
        for _ in 0..200 * session {
            let Some(receipt) = receiver.receive_within(Duration::from_millis(300)) else { break };
            let text = receipt.text();
            answered.insert(text[3..text.find(" sub:").unwrap()].to_owned());
            receiver.answer_receipt(&receipt, 0);
        }
    }
    assert_eq!(answered, submitting.join().unwrap());
}

#[test]
fn the_codec_reads_them() {
    let smsc = smsc(|settings| {
        quick(settings);
        settings.outcomes = "rejected=1".parse().unwrap();
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let id = client.request(&Pdu::SubmitSm(message())).message_id();
    let frame = client.take_receipt(0);
    let Pdu::DeliverSm(sm) = frame.pdu() else { panic!("{frame:?}") };
    let receipt = smppost::wire::Receipt::of(sm.esm_class, sm.text(), sm.tlvs).unwrap();
    assert_eq!((receipt.tlv_id, receipt.text_id.as_deref()), (Some(id.as_bytes()), Some(id.as_bytes())));
    assert_eq!((receipt.tlv_state, receipt.err.as_deref()), (Some(8), Some(&b"008"[..])));
}
