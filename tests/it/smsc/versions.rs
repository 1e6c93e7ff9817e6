//! submit_multi, and version 5.0.
use smppost::smsc::{Settings, Smsc};
use smppost::wire::{
    Address, BindKind, CommandId, CommandStatus, Destination, Destinations, Pdu, Sm, SubmitMulti, Tag, decode_header,
};

use super::client::{Client, message};

fn multi(client: &mut Client, destinations: &[Destination<'_>]) -> (u32, String, Vec<(Vec<u8>, u32)>) {
    let mut octets = Vec::new();
    destinations.iter().for_each(|destination| destination.push_to(&mut octets).unwrap());
    let count = destinations.len() as u8;
    let pdu =
        Pdu::SubmitMulti(SubmitMulti { destinations: Destinations { count, octets: &octets }, message: message() });
    let answer = client.request(&pdu);
    let Pdu::SubmitMultiResp(told) = answer.pdu() else { panic!("{answer:?}") };
    let refused = told.unsuccess.iter().map(|one| (one.address.addr.to_vec(), one.error_status_code)).collect();
    (answer.status(), String::from_utf8(told.message_id.to_vec()).unwrap(), refused)
}

#[test]
fn a_message_to_many_is_judged_and_receipted_for_each() {
    let smsc = Smsc::start(Settings::for_tests()).unwrap();
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let address = |number: &'static [u8]| Destination::Address(Address::new(1, 1, number));
    let to = [address(b"447700900001"), address(b"1"), Destination::List(b"friends"), address(b"447700900002")];
    let (status, id, refused) = multi(&mut client, &to);
    assert_eq!((status, refused), (0, vec![(b"1".to_vec(), 0x0B), (b"friends".to_vec(), 0x34)]));
    let mut receipts: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let receipt = client.take_receipt(0);
            assert!(receipt.text().starts_with(&format!("id:{id} ")), "{}", receipt.text());
            let Pdu::DeliverSm(sm) = receipt.pdu() else { panic!() };
            sm.source.addr.to_vec()
        })
        .collect();
    receipts.sort();
    assert_eq!(receipts, [b"447700900001", b"447700900002"]);
    let ledger = smsc.ledger();
    let states: Vec<(&str, &str)> =
        ledger.iter().map(|message| (&*message.fields.destination, &*message.command)).collect();
    let command = "submit_multi";
    assert_eq!(states, [("447700900001", command), ("1", command), ("friends", command), ("447700900002", command)]);
    let (status, id, refused) = multi(&mut client, &[address(b"1"), address(b"2")]);
    assert_eq!((status, id.as_str(), refused.len()), (0x45, "", 2));
    let (status, _, refused) = multi(&mut client, &(0..254).map(|_| address(b"447700900003")).collect::<Vec<_>>());
    assert_eq!((status, refused.len()), (0, 0));
    let mut receiver = Client::bound(&smsc, BindKind::Receiver, "demo");
    let mut octets = Vec::new();
    address(b"447700900001").push_to(&mut octets).unwrap();
    let pdu = SubmitMulti { destinations: Destinations { count: 1, octets: &octets }, message: message() };
    assert_eq!(receiver.request(&Pdu::SubmitMulti(pdu)).status(), 4);
}

#[test]
fn each_of_many_comes_to_its_own_end() {
    let rules = ["to=*1: state=UNDELIV err=5", "to=*2: state=EXPIRED"].map(|rule| rule.parse().unwrap()).to_vec();
    let smsc = Smsc::start(Settings { rules, ..Settings::for_tests() }).unwrap();
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let address = |number: &'static [u8]| Destination::Address(Address::new(1, 1, number));
    let to = [address(b"447700900001"), address(b"447700900002"), address(b"447700900003")];
    assert_eq!(multi(&mut client, &to).0, 0);
    let mut told: Vec<String> = (0..3).map(|_| client.take_receipt(0).text()).collect();
    told.sort_by_key(|text| text.split_once("stat:").unwrap().1.to_owned());
    for (text, end) in told.iter().zip(["stat:DELIVRD err:000", "stat:EXPIRED err:027", "stat:UNDELIV err:005"]) {
        assert!(text.contains(end), "{text}");
    }
}

#[test]
fn version_5_0_is_answered_as_such_where_it_is_asked_for() {
    for (ours, theirs, answered, congestion) in [
        (Some(0x34), 0x34, Some(0x34), None),
        (Some(0x34), 0x50, Some(0x34), None),
        (Some(0x50), 0x34, Some(0x34), None),
        (Some(0x50), 0x50, Some(0x50), Some(70)),
        (Some(0x50), 0x33, None, None),
        (None, 0x50, None, None),
    ] {
        let settings = Settings { sc_interface_version: ours, congestion: Some(70), ..Settings::for_tests() };
        let smsc = Smsc::start(settings).unwrap();
        let mut client = Client::connect(smsc.local_addr());
        let bound = client.bind(BindKind::Transmitter, "demo", "", theirs);
        assert_eq!((bound.status(), bound.tlvs().get_u8(Tag::SC_INTERFACE_VERSION)), (0, answered));
        for (sm, status) in [(message(), 0), (Sm { service_type: b"CMT", ..message() }, 0x15)] {
            let answer = client.request(&Pdu::SubmitSm(sm));
            let Pdu::SubmitSmResp(told) = answer.pdu() else { panic!("{answer:?}") };
            assert_eq!(
                (answer.status(), told.tlvs.get_u8(Tag::CONGESTION_STATE)),
                (status, congestion),
                "{ours:?} {theirs}"
            );
        }
    }
}

#[test]
fn congestion_follows_the_rate_where_nothing_is_said() {
    let settings = Settings {
        sc_interface_version: Some(0x50),
        rate: Some(10),
        rate_tolerance_percent: 0,
        ..Settings::for_tests()
    };
    let smsc = Smsc::start(settings).unwrap();
    let mut client = Client::connect(smsc.local_addr());
    client.bind(BindKind::Transmitter, "demo", "", 0x50);
    let mut congestion = || {
        let answer = client.request(&Pdu::SubmitSm(message()));
        let Pdu::SubmitSmResp(told) = answer.pdu() else { panic!("{answer:?}") };
        (answer.status(), told.tlvs.get_u8(Tag::CONGESTION_STATE).unwrap())
    };
    let first = congestion();
    assert_eq!(first, (0, 10));
    let all: Vec<(u32, u8)> = (0..20).map(|_| congestion()).collect();
    assert!(all.contains(&(0x58, 100)), "{all:?}");
}

#[test]
fn requests_for_broadcasts_are_refused_rightly() {
    for (version, answers) in
        [(0x50, [(0x8000_0111_u32, 0x10D), (0x8000_0112, 0x10E), (0x8000_0113, 0x10F)]), (0x34, [(0x8000_0000, 3); 3])]
    {
        let smsc = Smsc::start(Settings { sc_interface_version: Some(0x50), ..Settings::for_tests() }).unwrap();
        let mut client = Client::connect(smsc.local_addr());
        client.bind(BindKind::Transceiver, "demo", "", version);
        for (id, expected) in (0x111..=0x113).zip(answers) {
            client.send_header(CommandId(id), 0, 77);
            let header = decode_header(&client.receive().0).unwrap();
            assert_eq!((header.command_id.0, header.command_status), (expected.0, CommandStatus(expected.1)));
        }
        assert_eq!(client.request(&Pdu::EnquireLink).id(), CommandId::ENQUIRE_LINK_RESP, "the session goes on");
    }
}
