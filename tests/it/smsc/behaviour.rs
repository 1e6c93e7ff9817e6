//! Binds, answers, framing and the ledger.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use smppost::smsc::{Password, Settings, Smsc, SmscError};
use smppost::wire::{
    Address, BindKind, CancelSm, CommandId, CommandStatus, DataSm, Pdu, QuerySm, Sm, Tag, TlvBuilder, encode,
};

use crate::smsc::client::{Client, PATIENCE, message, smsc};

#[test]
fn f54_only_loopback_unless_told_so() {
    let settings = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..Settings::default() };
    assert!(matches!(Smsc::start(settings.clone()), Err(SmscError::NotLoopback(_))));
    let smsc = Smsc::start(Settings { expose_to_network: true, ..settings }).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", smsc.local_addr().port())).is_ok());
}

#[test]
fn binds_are_judged() {
    let smsc = smsc(|settings| {
        settings.system_id = Some("demo".to_owned());
        settings.password = Some(Password::new("longer-than-eight"));
    });
    let mut client = Client::connect(smsc.local_addr());
    let password = "longer-than-eight";
    assert_eq!(client.bind(BindKind::Transceiver, "other", password, 0x34).status(), 0x0F);
    assert_eq!(client.bind(BindKind::Transceiver, "demo", "wrong", 0x34).status(), 0x0E);
    assert_eq!(client.bind(BindKind::Transceiver, "demo", password, 0x33).status(), 0x03);
    assert_eq!(client.request(&Pdu::SubmitSm(message())).status(), 0x04);
    let answer = client.bind(BindKind::Transceiver, "demo", password, 0x50);
    assert_eq!((answer.status(), answer.tlvs().get_u8(Tag::SC_INTERFACE_VERSION)), (0, Some(0x34)));
    assert_eq!(client.bind(BindKind::Transceiver, "demo", password, 0x34).status(), 0x05);
    assert_eq!(smsc.stats().binds, 1);
}

#[test]
fn a_third_connection_of_an_account_is_refused_until_one_ends() {
    let smsc = smsc(|_| {});
    let mut first = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let _second = Client::bound(&smsc, BindKind::Receiver, "demo");
    let _other = Client::bound(&smsc, BindKind::Transceiver, "other");
    let mut third = Client::connect(smsc.local_addr());
    assert_eq!(third.bind(BindKind::Transmitter, "demo", "", 0x34).status(), 0x0D);
    assert_eq!(first.request(&Pdu::Unbind).id(), CommandId::UNBIND_RESP);
    first.until_closed();
    let until = Instant::now() + PATIENCE;
    while third.bind(BindKind::Transmitter, "demo", "", 0x34).status() != 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_receiver_may_not_submit_and_v33_gets_no_tlvs() {
    let smsc = smsc(|_| {});
    let mut receiver = Client::bound(&smsc, BindKind::Receiver, "demo");
    assert_eq!(receiver.request(&Pdu::SubmitSm(message())).status(), 0x04);
    let mut old = Client::connect(smsc.local_addr());
    let answer = old.bind(BindKind::Transmitter, "demo", "", 0x33);
    assert!(answer.status() == 0 && answer.tlvs().is_empty());
    let id = old.request(&Pdu::SubmitSm(message())).message_id();
    assert!(id.len() == 8 && u32::from_str_radix(&id, 16).is_ok(), "{id}");
}

#[test]
fn the_rate_is_thirty_a_second_and_two_more() {
    // Forty within a second; a busy machine may need some tries.
    let forty = || {
        let smsc = smsc(|settings| settings.rate = Some(30));
        let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
        let begun = Instant::now();
        for _ in 0..40 {
            client.send(&Pdu::SubmitSm(Sm { registered_delivery: 0, ..message() }));
        }
        let statuses: Vec<u32> = (0..40).map(|_| client.receive().status()).collect();
        (begun.elapsed() < Duration::from_secs(1)).then_some((smsc, client, statuses))
    };
    let (smsc, mut client, statuses) = (0..30).find_map(|_| forty()).unwrap();
    assert_eq!(statuses, [vec![0; 32], vec![0x58; 8]].concat());
    let stats = smsc.stats();
    assert_eq!((stats.submits, stats.accepted, stats.throttled), (40, 32, 8));
    std::thread::sleep(Duration::from_millis(1_050));
    assert_eq!(client.request(&Pdu::SubmitSm(message())).status(), 0);
}

#[test]
fn f31_what_cannot_be_framed_is_nacked_and_closed() {
    let smsc = smsc(|_| {});
    for octets in [&b"\0\0\0\x0F"[..], b"\x80\0\0\0", b"\xFF\xFF\xFF\xFF", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
        client.stream.write_all(octets).unwrap();
        let last = client.until_closed();
        assert_eq!(last.len(), 1);
        assert_eq!((last[0].id(), last[0].status()), (CommandId::GENERIC_NACK, 0x02));
        while smsc.stats().bound > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn unknown_requests_and_short_ones_do_not_end_a_session() {
    let smsc = smsc(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    client.send_header(CommandId(0x0001_0203), 0, 77);
    let answer = client.receive();
    assert_eq!((answer.id(), answer.status(), answer.sequence_number()), (CommandId::GENERIC_NACK, 0x03, 77));
    client.send_header(CommandId::SUBMIT_SM, 0, 78);
    let answer = client.receive();
    assert_eq!((answer.id(), answer.status(), answer.sequence_number()), (CommandId::SUBMIT_SM_RESP, 0x02, 78));
    client.send_header(CommandId::SUBMIT_SM_RESP, 0, 79);
    assert_eq!(client.request(&Pdu::EnquireLink).id(), CommandId::ENQUIRE_LINK_RESP);
}

#[test]
fn f30_coalesced_and_octetwise_input_are_the_same() {
    let smsc = smsc(|_| {});
    let mut client = Client::connect(smsc.local_addr());
    let mut octets = Vec::new();
    let bind = smppost::wire::Bind {
        kind: BindKind::Transceiver,
        system_id: b"demo",
        password: b"",
        system_type: b"",
        interface_version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: b"",
    };
    encode(&Pdu::Bind(bind), 1, CommandStatus::OK, &mut octets).unwrap();
    let sm = Sm { registered_delivery: 0, ..message() };
    (2..8).for_each(|n| encode(&Pdu::SubmitSm(sm), n, CommandStatus::OK, &mut octets).unwrap());
    client.stream.write_all(&octets).unwrap();
    (1..8).for_each(|n| assert_eq!(client.receive().sequence_number(), n));

    let mut octetwise = Client::connect(smsc.local_addr());
    for octet in octets {
        octetwise.stream.write_all(&[octet]).unwrap();
    }
    (1..8).for_each(|n| assert_eq!((octetwise.receive().sequence_number(), n), (n, n)));
}

#[test]
fn a_data_sm_is_a_message_too() {
    let smsc = smsc(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let mut tlvs = TlvBuilder::new();
    tlvs.octets(Tag::MESSAGE_PAYLOAD, b"Hello").unwrap();
    let data = DataSm {
        source: Address::new(5, 0, b"Sender"),
        destination: Address::new(1, 1, b"491700000001"),
        registered_delivery: 1,
        tlvs: tlvs.tlvs(),
        ..DataSm::default()
    };
    let id = client.request(&Pdu::DataSm(data)).message_id();
    assert!(client.take_receipt(0).text().starts_with(&format!("id:{id} ")));
}

#[test]
fn kept_messages_can_be_queried_and_cancelled() {
    let smsc = smsc(|settings| {
        settings.keep_messages = 100;
        settings.receipt_delay = smppost::smsc::Delay::constant(Duration::from_secs(5));
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let id = client.request(&Pdu::SubmitSm(message())).message_id();
    let source = message().source;
    let query = Pdu::QuerySm(QuerySm { message_id: id.as_bytes(), source });
    let state = |client: &mut Client| match client.request(&query).pdu() {
        Pdu::QuerySmResp(answer) => (answer.message_state, answer.final_date.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&mut client), (1, 0));
    let cancel = CancelSm { message_id: id.as_bytes(), source, ..CancelSm::default() };
    assert_eq!(client.request(&Pdu::CancelSm(cancel)).status(), 0);
    assert_eq!(client.request(&Pdu::CancelSm(cancel)).status(), 0x11);
    assert_eq!(state(&mut client), (4, 16));
    assert!(client.take_receipt(0).text().contains("stat:DELETED"));
    let unknown = QuerySm { message_id: b"0", source };
    assert_eq!(client.request(&Pdu::QuerySm(unknown)).status(), 0x67);
}

#[test]
fn the_ledger_holds_a_message_before_its_answer_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let smsc = smsc(|settings| {
        settings.ledger = Some(path.clone());
        settings.rate = Some(1);
        settings.rate_tolerance_percent = 0;
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let lines = |kind: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|v: &Value| v["kind"] == kind).collect()
    };
    let part = Sm { esm_class: 0x40, short_message: b"\x05\x00\x03\x07\x02\x01Hello", ..message() };
    let id = client.request(&Pdu::SubmitSm(part)).message_id();
    let submits = lines("submit");
    assert_eq!(submits.len(), 1);
    let expected = [
        ("system_id", Value::from("demo")),
        ("sequence_number", 2.into()),
        ("command", "submit_sm".into()),
        ("status", 0.into()),
        ("message_id", id.clone().into()),
        ("source", "Sender".into()),
        ("destination", "491700000001".into()),
        ("reference", 7.into()),
        ("total", 2.into()),
        ("part", 1.into()),
        ("short_message", "05000307020148656c6c6f".into()),
    ];
    for (field, value) in expected {
        assert_eq!(submits[0][field], value, "{field}");
    }
    assert_eq!(client.request(&Pdu::SubmitSm(message())).status(), 0x58);
    assert_eq!(client.request(&Pdu::SubmitSm(Sm { service_type: b"X", ..message() })).status(), 0x15);
    let statuses: Vec<i64> = lines("submit").iter().map(|line| line["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [0, 0x58, 0x15]);
    client.take_receipt(0);
    client.request(&Pdu::Unbind);
    client.until_closed();
    drop(smsc);
    assert_eq!(lines("receipt")[0]["message_id"], id.as_str());
    assert_eq!(lines("receipt_answered")[0]["message_id"], id.as_str());
    assert_eq!((lines("bind").len(), lines("closed").len()), (1, 1));
    assert_eq!(lines("closed")[0]["system_id"], "demo");
}

#[test]
fn enquire_link_goes_both_ways_and_silence_ends_a_session() {
    let smsc = smsc(|settings| {
        settings.enquire_link_interval = Some(Duration::from_millis(100));
        settings.response_timeout = Duration::from_millis(1_500);
    });
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    for _ in 0..3 {
        let enquiry = client.receive();
        assert_eq!(enquiry.id(), CommandId::ENQUIRE_LINK);
        client.send_header(CommandId::ENQUIRE_LINK_RESP, 0, enquiry.sequence_number());
    }
    client.until_closed();
}

#[test]
fn a_connection_without_a_bind_ends() {
    let smsc = smsc(|settings| settings.bind_timeout = Duration::from_millis(100));
    let mut client = Client::connect(smsc.local_addr());
    assert!(client.until_closed().is_empty());
}

#[test]
fn a_stopping_simulator_unbinds() {
    let smsc = smsc(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let stopper = std::thread::spawn(move || smsc.stop());
    let unbind = client.receive();
    assert_eq!(unbind.id(), CommandId::UNBIND);
    client.send_header(CommandId::UNBIND_RESP, 0, unbind.sequence_number());
    client.until_closed();
    assert_eq!(stopper.join().unwrap().bound, 0);
}

/// A client that submits without ever reading must not stop the simulator from reading, nor other clients.
#[test]
fn a_peer_that_does_not_read_blocks_nobody() {
    let smsc = smsc(|_| {});
    let deaf = Client::bound(&smsc, BindKind::Transceiver, "deaf");
    let mut octets = Vec::new();
    (0..1_000).for_each(|n| encode(&Pdu::SubmitSm(message()), n + 2, CommandStatus::OK, &mut octets).unwrap());
    let total = 300_000;
    let mut stream = deaf.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || (0..total / 1_000).for_each(|_| stream.write_all(&octets).unwrap()));
    let mut other = Client::bound(&smsc, BindKind::Transceiver, "other");
    assert_eq!(other.request(&Pdu::SubmitSm(message())).status(), 0);
    sender.join().unwrap();
    let until = Instant::now() + PATIENCE;
    while smsc.stats().accepted < total + 1 {
        assert!(Instant::now() < until, "{}", smsc.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut first = [0; 16];
    (&deaf.stream).read_exact(&mut first).unwrap();
    assert_eq!(first[4..8], CommandId::SUBMIT_SM_RESP.0.to_be_bytes());
}

#[test]
fn a_peer_that_never_reads_is_cut_off() {
    let smsc = smsc(|settings| settings.write_timeout = Duration::from_millis(200));
    let mut deaf = Client::bound(&smsc, BindKind::Transceiver, "deaf");
    let mut octets = Vec::new();
    (0..1_000).for_each(|n| encode(&Pdu::SubmitSm(message()), n + 2, CommandStatus::OK, &mut octets).unwrap());
    let until = Instant::now() + PATIENCE;
    while deaf.stream.write_all(&octets).is_ok() {
        assert!(Instant::now() < until, "{}", smsc.stats());
    }
}
