//! Messages from handsets.
use std::time::{Duration, Instant};

use serde_json::Value;
use smppost::smsc::{Inbound, InboundFile, InboundState, Settings, Smsc, To};
use smppost::testing::message::text::{DefaultAlphabet, decode, split_udh};
use smppost::wire::{BindKind, CommandId, Pdu};

use super::client::{Client, Frame, PATIENCE, message, smsc};

fn inbound(text: &str) -> Inbound {
    Inbound { from: "447700900001".to_owned(), to: "12345".to_owned(), text: text.to_owned(), ..Inbound::default() }
}

/// The text of a message from a handset, without its header.
fn text_of(frame: &Frame) -> String {
    let (data_coding, esm_class, octets) = match frame.pdu() {
        Pdu::DeliverSm(sm) => (sm.data_coding, sm.esm_class, sm.text().to_vec()),
        Pdu::DataSm(data) => (data.data_coding, data.esm_class, data.text().to_vec()),
        other => panic!("{other:?}"),
    };
    let body = if esm_class & 0x40 != 0 { split_udh(&octets).1 } else { &octets };
    decode(data_coding, body, DefaultAlphabet::Gsm7)
}

/// Waits until so many messages are in a state.
fn wait(smsc: &Smsc, state: InboundState, count: usize) {
    let until = Instant::now() + PATIENCE;
    while smsc.inbound_messages().iter().filter(|message| message.state == state).count() < count {
        assert!(Instant::now() < until, "{:?}", smsc.inbound_messages());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn they_arrive_whole_and_their_answers_are_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let smsc = smsc(|settings| settings.ledger = Some(path.clone()));
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let long = "Hello {world} € and so on, Привет. ".repeat(8);
    let (mut parts, mut texts) = (0, Vec::new());
    for concat in ["udh8", "udh16", "sar", "payload"] {
        for text in ["Short", &long] {
            let concat = serde_json::from_value(concat.into()).unwrap();
            let ids = smsc.inbound(&Inbound { concat: Some(concat), ..inbound(text) }).unwrap();
            let until = Instant::now() + PATIENCE;
            // It may wait a moment for the bind to be noted.
            let total = loop {
                if let Some(message) = smsc.inbound_messages().iter().find(|message| message.id == ids[0]) {
                    break message.parts;
                }
                assert!(Instant::now() < until);
            };
            let whole: String = (0..total).map(|_| text_of(&client.take_receipt(0))).collect();
            assert_eq!(whole, text);
            parts += usize::from(total);
            texts.push(text.to_owned());
        }
    }
    wait(&smsc, InboundState::Answered, 8);
    assert_eq!(
        smsc.inbound_messages().iter().map(|message| &message.text).collect::<Vec<_>>(),
        texts.iter().collect::<Vec<_>>()
    );
    let stats = smsc.stop();
    assert_eq!((stats.inbound, stats.inbound_sent, stats.inbound_answered), (8, parts as u64, parts as u64));
    let ledger = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of("inbound"), of("inbound_answered")), (parts, parts));
    for line in lines.iter().filter(|line| line["kind"] == "inbound_answered") {
        let sent =
            lines.iter().find(|sent| sent["kind"] == "inbound" && sent["sequence_number"] == line["sequence_number"]);
        assert_eq!((&line["status"], &line["inbound_id"]), (&0.into(), &sent.unwrap()["inbound_id"]));
    }
}

#[test]
fn they_are_sent_again_until_they_are_answered() {
    let smsc = smsc(|settings| {
        settings.response_timeout = Duration::from_millis(300);
        settings.redelivery_delay = Duration::from_millis(20);
    });
    let mut client = Client::bound(&smsc, BindKind::Receiver, "demo");
    smsc.inbound(&inbound("again")).unwrap();
    // Not answered; put off; and then the connection is gone.
    let first = client.receive();
    assert_eq!((first.id(), text_of(&first).as_str()), (CommandId::DELIVER_SM, "again"));
    assert_eq!(text_of(&client.take_receipt(0x64)), "again");
    assert_eq!(text_of(&client.receive()), "again");
    drop(client);
    let mut client = Client::bound(&smsc, BindKind::Receiver, "demo");
    assert_eq!(text_of(&client.take_receipt(0)), "again");
    wait(&smsc, InboundState::Answered, 1);
    let message = &smsc.inbound_messages()[0];
    assert_eq!((message.sent, message.answered, message.status), (4, 1, Some(0x64)));
    // What is refused for good is not sent again.
    smsc.inbound(&inbound("no")).unwrap();
    assert_eq!(text_of(&client.take_receipt(0x65)), "no");
    wait(&smsc, InboundState::Refused, 1);
    assert!(client.receive_within(Duration::from_millis(500)).is_none());
}

#[test]
fn they_wait_for_a_session_and_go_where_they_are_sent() {
    let smsc = smsc(|settings| settings.max_connections = 4);
    let for_acme = Inbound { system_id: Some("acme".to_owned()), ..inbound("for acme") };
    smsc.inbound(&for_acme).unwrap();
    smsc.inbound(&inbound("for anybody")).unwrap();
    let _transmitter = Client::bound(&smsc, BindKind::Transmitter, "demo");
    assert_eq!(smsc.stats().inbound, 0, "a transmitter gets none");
    let mut demo = Client::bound(&smsc, BindKind::Receiver, "demo");
    assert_eq!(text_of(&demo.take_receipt(0)), "for anybody");
    let mut acme = Client::bound(&smsc, BindKind::Receiver, "acme");
    assert_eq!(text_of(&acme.take_receipt(0)), "for acme");
    let mut acme2 = Client::bound(&smsc, BindKind::Transceiver, "acme");
    let number_of = |system_id: &str, nth: usize| {
        let sessions = smsc.sessions();
        let own: Vec<_> = sessions.iter().filter(|session| session.system_id.as_deref() == Some(system_id)).collect();
        own[nth].session
    };
    let to = |sessions, text: &str| Inbound { sessions: Some(sessions), text: text.to_owned(), ..for_acme.clone() };
    smsc.inbound(&to(To::All, "all")).unwrap();
    assert_eq!((text_of(&acme.take_receipt(0)), text_of(&acme2.take_receipt(0))), ("all".into(), "all".into()));
    smsc.inbound(&to(To::Session(number_of("acme", 1)), "second")).unwrap();
    assert_eq!(text_of(&acme2.take_receipt(0)), "second");
    for _ in 0..2 {
        smsc.inbound(&to(To::InTurn, "turn")).unwrap();
    }
    assert_eq!((text_of(&acme.take_receipt(0)), text_of(&acme2.take_receipt(0))), ("turn".into(), "turn".into()));
    for (sessions, named) in [(To::Session(99), "99"), (To::Session(1), "transmitter")] {
        let error = smsc.inbound(&to(sessions, "x")).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
    assert!(demo.receive_within(Duration::from_millis(100)).is_none());
}

#[test]
fn version_3_3_gets_what_it_can_carry() {
    let smsc = smsc(|_| {});
    let mut client = Client::connect(smsc.local_addr());
    assert_eq!(client.bind(BindKind::Receiver, "demo", "", 0x33).status(), 0);
    let long = "x".repeat(200);
    let concat = |name: &str| Some(serde_json::from_value(name.into()).unwrap());
    smsc.inbound(&Inbound { concat: concat("payload"), ..inbound(&long) }).unwrap();
    wait(&smsc, InboundState::Refused, 1);
    smsc.inbound(&Inbound { concat: concat("udh8"), ..inbound(&long) }).unwrap();
    assert_eq!(text_of(&client.take_receipt(0)) + &text_of(&client.take_receipt(0)), long);
    wait(&smsc, InboundState::Answered, 1);
}

#[test]
fn a_hundred_thousand_to_one_number_all_arrive() {
    let smsc = smsc(|settings| settings.deliver_window = 5_000);
    let mut client = Client::bound(&smsc, BindKind::Receiver, "demo");
    let ids = smsc.inbound(&Inbound { count: Some(100_000), ..inbound("one of many") }).unwrap();
    assert_eq!(ids.len(), 100_000);
    for _ in 0..100_000 {
        client.take_receipt(0);
    }
    let until = Instant::now() + PATIENCE;
    while smsc.stats().inbound_answered < 100_000 {
        assert!(Instant::now() < until, "{}", smsc.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = smsc.stop();
    assert_eq!((stats.inbound_sent, stats.inbound_refused, stats.deliver_outstanding), (100_000, 0, 0));
}

#[test]
fn a_file_is_delivered_at_its_rate_to_the_first_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("from.csv");
    let rows: String = (0..20).map(|row| format!("4477009000{row:02},12345,message {row}\n")).collect();
    std::fs::write(&path, format!("from,to,text\n{rows}")).unwrap();
    let file = InboundFile::read(&path, Some(100.0)).unwrap();
    let smsc = smsc(|settings| settings.inbound = Some(file));
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let begun = Instant::now();
    for row in 0..20 {
        assert_eq!(text_of(&client.take_receipt(0)), format!("message {row}"));
    }
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
}

#[test]
fn a_handset_replies_where_a_rule_says_so() {
    let smsc = Smsc::start(Settings {
        rules: vec!["text=/^PING/: reply=\"PONG to you\"".parse().unwrap()],
        ..Settings::for_tests()
    })
    .unwrap();
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let ping = smppost::wire::Sm { short_message: b"PING", registered_delivery: 0, ..message() };
    assert_eq!(client.request(&Pdu::SubmitSm(ping)).status(), 0);
    let reply = client.take_receipt(0);
    assert_eq!(text_of(&reply), "PONG to you");
    let Pdu::DeliverSm(sm) = reply.pdu() else { panic!() };
    assert_eq!((sm.source.addr, sm.destination.addr, sm.esm_class), (&b"491700000001"[..], &b"Sender"[..], 0));
}
