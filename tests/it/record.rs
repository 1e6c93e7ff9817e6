//! `--record`: every PDU of a run, as pcapng and as text.

mod files;
mod pcap;

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, number, rows, rows_with, skipped};
use crate::simulator::Simulator;
use pcap::Pcap;
use smppost::testing::record::{Options, Recorder};
use smppost::wire::{Pdu, decode};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SUBMIT: u32 = 4;
const DELIVER: u32 = 5;
const ANSWER: u32 = 0x8000_0000;

fn holds(octets: &[u8], words: &str) -> bool {
    octets.windows(words.len()).any(|window| window == words.as_bytes())
}

#[track_caller]
fn assert_private(path: &Path) {
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
}

/// Every request has its answer, in this order, and both sides' times rise.
fn assert_dialogue(pcap: &Pcap) {
    for request in pcap.pdus.iter().filter(|pdu| pdu.command_id() < ANSWER) {
        let answer = pcap.pdus.iter().find(|pdu| {
            pdu.command_id() == request.command_id() | ANSWER
                && pdu.sequence_number() == request.sequence_number()
                && (pdu.from, pdu.to) == (request.to, request.from)
        });
        let answer = answer.unwrap_or_else(|| panic!("{request:?} has no answer"));
        assert!(answer.at_ns >= request.at_ns);
    }
}

#[test]
fn a_run_over_two_connections_is_recorded_for_wireshark() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "s3cr3tpw");
    let ended = smppost.send(&rows(40), smsc.port(), &["--record", "a.pcapng", "--connections", "2"]);
    ended.assert_code(0);
    let path = smppost.path("a.pcapng");
    assert_private(&path);
    let pcap = pcap::read(&path);
    assert!(!pcap.is_cut);
    assert_dialogue(&pcap);
    let submits = pcap.of(SUBMIT);
    assert_eq!((submits.len(), pcap.of(SUBMIT | ANSWER).len()), (40, 40));
    assert_eq!((pcap.of(DELIVER).len(), pcap.of(9).len()), (40, 2));
    let lines: BTreeSet<_> = pcap.of(9).iter().map(|bind| bind.from).collect();
    assert_eq!(lines.len(), 2, "each connection is one: {lines:?}");
    assert!(submits.iter().all(|submit| submit.to.1 == 2775));
    let port = smsc.port().to_string();
    assert!(pcap.comments.iter().any(|comment| comment.contains(&port)), "{:?}", pcap.comments);
    // Nobody's business.
    let octets = std::fs::read(&path).unwrap();
    for words in ["s3cr3tpw", &number(0)[..], "Hello number"] {
        assert!(!holds(&octets, words), "{words}");
    }
    for submit in submits {
        let Ok((_, Pdu::SubmitSm(sm))) = decode(&submit.frame) else { panic!("{submit:?}") };
        assert_eq!((sm.source.addr, sm.destination.addr), (&b"Test"[..], &b"************"[..]));
        assert!(sm.short_message.iter().all(|&octet| octet == b'*') && sm.short_message.len() >= 14);
    }
    for deliver in pcap.of(DELIVER) {
        let Ok((_, Pdu::DeliverSm(sm))) = decode(&deliver.frame) else { panic!("{deliver:?}") };
        assert!(holds(sm.short_message, "stat:DELIVRD") && holds(sm.short_message, "id:"), "{sm:?}");
    }
}

#[test]
fn texts_and_numbers_are_recorded_where_they_are_asked_for_and_passwords_are_not() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "s3cr3tpw");
    smppost.send(&rows(3), smsc.port(), &["--record", "a.log", "--record-texts"]).assert_code(0);
    let record = std::fs::read_to_string(smppost.path("a.log")).unwrap();
    assert!(record.starts_with("# smppost record"), "{record}");
    assert!(record.contains("system_id=\"test\" password=\"********\""), "{record}");
    assert!(record.contains("destination_addr=1/1/\"447700900000\""), "{record}");
    assert!(record.contains("short_message=\"Hello number 2\""), "{record}");
    assert!(!record.contains("s3cr3tpw") && !record.contains(&hex("s3cr3tpw")), "{record}");
    assert_eq!(record.lines().filter(|line| line.contains(" 1 sent submit_sm seq=")).count(), 3);
    assert_eq!(record.lines().filter(|line| line.contains(" 1 came submit_sm_resp seq=")).count(), 3);
    assert!(record.contains(" 1 connection to 127.0.0.1:") && record.contains("closed by"), "{record}");
    // Masked, the same again: what was there has become an earlier file.
    smppost.send(&rows(3), smsc.port(), &["--record", "a.log", "--campaign", "d", "--allow-same-file"]).assert_code(0);
    assert_eq!(std::fs::read_to_string(smppost.path("a.1.log")).unwrap(), record);
    let masked = std::fs::read_to_string(smppost.path("a.log")).unwrap();
    for words in ["447700900000", &hex("447700900000"), "Hello", &hex("Hello")] {
        assert!(!masked.contains(words), "{words}: {masked}");
    }
}

fn hex(words: &str) -> String {
    words.bytes().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn listen_resume_probe_rehearsals_and_the_simulator_record_too() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    smppost.send(&rows(4), smsc.port(), &["--limit", "1"]).assert_code(0);
    smppost.run(&[&["resume", "c", "--record", "r.pcapng"], &account[..]].concat()).assert_code(0);
    assert_eq!(pcap::read(&smppost.path("r.pcapng")).of(SUBMIT).len(), 3);
    smppost.run(&[&["listen", "--for", "300ms", "--record", "l.pcapng"], &account[..]].concat()).assert_code(0);
    let listened = pcap::read(&smppost.path("l.pcapng"));
    assert_eq!((listened.of(1).len(), listened.of(SUBMIT).len()), (1, 0));
    smppost.run(&[&["probe", "--record", "p.pcapng"], &account[..]].concat()).assert_code(0);
    let probed = pcap::read(&smppost.path("p.pcapng"));
    assert_dialogue(&probed);
    assert_eq!((probed.of(9).len(), probed.of(0x15).len(), probed.of(6).len()), (1, 5, 1));
    // A rehearsal.
    smppost.file("s.csv", rows(5));
    smppost.run(&["send", "s.csv", "--simulate", "--record", "s.pcapng", "--journal", "s.db"]).assert_code(0);
    assert_eq!(pcap::read(&smppost.path("s.pcapng")).of(SUBMIT).len(), 5);
}

#[test]
fn the_simulator_records_what_it_sees_also_over_ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skipped("there is no IPv6");
    }
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--listen", "::1", "--record", "smsc.pcapng", "--record-texts"]);
    smppost.file("c.csv", rows_with(6, |n| format!("Grüße {n} {}", "€ 日本 ".repeat(30))));
    let send =
        ["send", "c.csv", "--host", "::1", "--port", &simulator.port, "--system-id", "test", "--record", "own.pcapng"];
    smppost.run(&[&send[..], &["--record-texts"]].concat()).assert_code(0);
    simulator.end();
    let (theirs, own) = (pcap::read(&smppost.path("smsc.pcapng")), pcap::read(&smppost.path("own.pcapng")));
    let frames = |pcap: &Pcap| pcap.pdus.iter().map(|pdu| pdu.frame.clone()).collect::<BTreeSet<_>>();
    assert_eq!(frames(&theirs), frames(&own), "both sides saw the same");
    assert!(theirs.of(SUBMIT).len() > 6 && theirs.of(SUBMIT).iter().all(|submit| submit.to.0.is_ipv6()));
}

/// A record of PDUs of all sizes, written without a network.
fn all_sizes(path: &Path) -> Vec<Vec<u8>> {
    let options = Options { path: path.to_owned(), size: 10_000_000, keep: 1, texts: true, is_certain: false };
    let recorder = Recorder::start(&options).unwrap();
    let mut frames = Vec::new();
    for (number, (own, peer)) in
        [("192.0.2.1:443", "198.51.100.7:8080"), ("[2001:db8::1]:44818", "[2001:db8::2]:443")].into_iter().enumerate()
    {
        let (_came, mut sent) = recorder.taps(own.parse().unwrap(), peer.parse().unwrap(), false, true);
        for length in [0, 1, 254, 1_400, 40_000, 64_000] {
            let payload = vec![b'x'; length];
            let mut tlvs = smppost::wire::TlvBuilder::new();
            tlvs.octets(smppost::wire::Tag::MESSAGE_PAYLOAD, &payload).unwrap();
            let number_of = smppost::wire::Address::new(1, 1, b"447700900123");
            let sm = smppost::wire::Sm { destination: number_of, tlvs: tlvs.tlvs(), ..Default::default() };
            let mut frame = Vec::new();
            let sequence_number = (frames.len() + 1 + number) as u32;
            smppost::wire::encode(&Pdu::SubmitSm(sm), sequence_number, Default::default(), &mut frame).unwrap();
            // In pieces, as a socket takes it.
            frame.chunks(777).for_each(|piece| sent.note(piece).unwrap());
            frames.push(frame);
        }
    }
    drop(recorder);
    frames
}

#[test]
fn pdus_larger_than_a_packet_come_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sizes.pcapng");
    let frames = all_sizes(&path);
    let found: Vec<Vec<u8>> = pcap::read(&path).pdus.into_iter().map(|pdu| pdu.frame).collect();
    assert!(found == frames, "{} of {}", found.len(), frames.len());
}

#[test]
fn wireshark_decodes_a_record() {
    if Command::new("tshark").arg("--version").output().is_err() {
        return skipped("there is no tshark");
    }
    let tshark = |path: &Path, filter: &str| {
        let output = Command::new("tshark").args(["-n", "-Y", filter, "-r"]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<String>>()
    };
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let long = rows_with(10, |n| format!("Row {n} with € and 日本: {}", "and so on ".repeat(20 * (n % 3))));
    smppost.send(&long, smsc.port(), &["--record", "a.pcapng"]).assert_code(0);
    let path = smppost.path("a.pcapng");
    assert_eq!(tshark(&path, "smpp").len(), pcap::read(&path).pdus.len());
    for wrong in
        ["_ws.malformed", "tcp.analysis.lost_segment || tcp.analysis.retransmission || tcp.analysis.out_of_order"]
    {
        assert!(tshark(&path, wrong).is_empty(), "{:?}", tshark(&path, wrong));
    }
    // Whatever ports and sizes there were.
    let sizes = smppost.path("sizes.pcapng");
    let frames = all_sizes(&sizes);
    assert_eq!(tshark(&sizes, "smpp.command_id == 0x00000004").len(), frames.len());
    assert!(tshark(&sizes, "_ws.malformed").is_empty());
}

#[test]
fn a_simulator_that_sends_octet_by_octet_records_requests_before_their_answers() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--fault", "octets", "--record", "o.pcapng"]);
    simulator.send(&smppost, 20, &["--rate", "200"]).assert_code(0);
    simulator.end();
    let pcap = pcap::read(&smppost.path("o.pcapng"));
    assert_dialogue(&pcap);
    for delivered in pcap.of(DELIVER) {
        let at = |id: u32| {
            pcap.pdus
                .iter()
                .position(|pdu| pdu.command_id() == id && pdu.sequence_number() == delivered.sequence_number())
        };
        assert!(at(DELIVER) < at(DELIVER | ANSWER), "{delivered:?}");
    }
    assert_eq!(pcap.of(DELIVER).len(), 20);
}
