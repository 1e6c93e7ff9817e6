//! Small faults of sessions, and `probe` when it is interrupted.

use crate::common::Smppost;
use crate::common::independent_smsc::{IndependentSmsc, Settings, pdu};
use smppost::wire::{CommandId, decode_header};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn account(port: &str) -> [&str; 6] {
    ["--host", "127.0.0.1", "--port", port, "--system-id", "test"]
}

fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

#[test]
fn a_probe_that_is_interrupted_unbinds_and_tells_what_it_found() {
    for signal in ["INT", "TERM", "HUP"] {
        let smsc =
            IndependentSmsc::start(Settings { receipt_delay: Duration::from_secs(3_600), ..Settings::default() });
        let (smppost, port) = (Smppost::new(), smsc.port().to_string());
        let trial = ["probe", "--send-to", "447700900123", "--from", "Test", "--wait-receipts", "1h"];
        let running = smppost.spawn(&[&trial[..], &account(&port)].concat());
        assert!(smsc.wait_for(|submits| submits.len() == 24, Duration::from_secs(60)), "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        running.signal(signal);
        let ended = running.wait();
        ended.assert_code(130);
        assert!(started.elapsed() < Duration::from_secs(10), "{signal}: {:?}", started.elapsed());
        for words in [
            "bound as trx (both ways)",
            "enquire_link: ",
            "ended early: interrupted",
            "messages: 24 of 24 sent were accepted",
            "ids in answers: ",
            "interrupted: that is what was found so far",
        ] {
            assert!(ended.stdout.contains(words), "{signal}: {words}: {}", ended.said());
        }
        assert!(smsc.wait_until_all_ended(Duration::from_secs(10)));
        let counts = smsc.counts();
        assert_eq!((counts.binds_accepted, counts.unbinds, counts.ended_rudely), (2, 2, 0), "{signal}");
    }
}

#[test]
fn a_probe_is_interrupted_while_it_measures_and_while_it_binds() {
    let smsc = IndependentSmsc::start(Settings { answers_enquire_link: false, ..Settings::default() });
    let (smppost, port) = (Smppost::new(), smsc.port().to_string());
    let running = smppost.spawn(&[&["probe"], &account(&port)[..]].concat());
    assert!(smsc.wait_for_counts(|counts| counts.enquire_links == 1, Duration::from_secs(60)));
    running.signal("INT");
    let ended = running.wait_at_most(Duration::from_secs(20));
    ended.assert_code(130);
    for words in ["bound as trx", "enquire_link: interrupted before its answer came", "unbound", "found so far"] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
    assert_eq!(smsc.counts().unbinds, 1);
    // Nobody answers the bind.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let running = smppost.spawn(&[&["probe", "--bind-timeout", "1h"], &account(&port)[..]].concat());
    let mut stream = listener.accept().unwrap().0;
    assert!(frame(&mut stream).is_some());
    running.signal("INT");
    let ended = running.wait_at_most(Duration::from_secs(20));
    ended.assert_code(130);
    assert!(ended.stdout.contains("interrupted: no session was bound until now"), "{}", ended.said());
}

#[test]
fn an_enquire_link_before_the_answer_to_the_bind_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // It binds nobody who does not answer first.
    let smsc = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let bind = decode_header(&frame(&mut stream).unwrap()).unwrap();
        stream.write_all(&pdu(0x15, 0, 77, b"")).unwrap();
        let answer = decode_header(&frame(&mut stream).expect("no answer to enquire_link")).unwrap();
        assert_eq!((answer.command_id, answer.sequence_number), (CommandId::ENQUIRE_LINK_RESP, 77));
        stream.write_all(&pdu(bind.command_id.response().0, 0, bind.sequence_number, b"SMSC\0")).unwrap();
        while let Some(frame) = frame(&mut stream) {
            let header = decode_header(&frame).unwrap();
            assert_ne!(header.command_id, CommandId::ENQUIRE_LINK_RESP, "answered twice");
            let _ = stream.write_all(&pdu(header.command_id.response().0, 0, header.sequence_number, b""));
        }
    });
    let smppost = Smppost::new();
    let ended = smppost.run(&[&["probe", "--bind-timeout", "5s"], &account(&port)[..]].concat());
    ended.assert_code(0);
    smsc.join().unwrap();
}

#[test]
fn the_simulator_answers_enquire_link_before_a_bind() {
    let smppost = Smppost::new();
    let simulator = crate::simulator::Simulator::start(&smppost, &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", simulator.port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&pdu(0x15, 0, 5, b"")).unwrap();
    let header = decode_header(&frame(&mut stream).unwrap()).unwrap();
    assert_eq!((header.command_id, header.sequence_number), (CommandId::ENQUIRE_LINK_RESP, 5));
    drop(stream);
    simulator.end();
}

#[test]
fn enquire_link_that_is_answered_by_generic_nack_is_warned_of_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let smsc = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut enquired = 0;
        while let Some(frame) = frame(&mut stream) {
            let header = decode_header(&frame).unwrap();
            let (id, status) = match header.command_id {
                CommandId::ENQUIRE_LINK => (CommandId::GENERIC_NACK, 3),
                id => (id.response(), 0),
            };
            enquired += usize::from(header.command_id == CommandId::ENQUIRE_LINK);
            let body: &[u8] = if status == 0 && header.command_id != CommandId::UNBIND { b"x\0" } else { b"" };
            let _ = stream.write_all(&pdu(id.0, status, header.sequence_number, body));
        }
        enquired
    });
    let smppost = Smppost::new();
    smppost.file("c.csv", crate::common::rows(1));
    smppost.run(&["import", "c.csv", "--from", "Test"]).assert_code(0);
    let timers = ["--enquire-link-interval", "100ms", "--for", "2s"];
    let ended = smppost.run(&[&["listen"], &account(&port)[..], &timers].concat());
    ended.assert_code(0);
    assert!(smsc.join().unwrap() >= 5);
    assert_eq!(ended.stderr.matches("answers enquire_link by generic_nack").count(), 1, "{}", ended.said());
}
