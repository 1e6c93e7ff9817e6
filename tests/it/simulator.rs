//! `smppost smsc` as its users start it: options that no other test types.

use crate::common::{Ended, Running, Smppost, expected, one, rows, states};
use smppost::wire::{BindKind, CommandId, decode_header, encode_header_only};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// A simulator that runs, in the folder of the program under test.
pub struct Simulator {
    running: Running,
    /// Its port, without TLS.
    pub port: String,
    /// Where it listens with TLS, and how to trust it.
    pub tls: Option<(String, String)>,
    /// Where it is controlled.
    pub control: Option<std::net::SocketAddr>,
}

impl Simulator {
    /// Starts one; it has to be the first that this `Smppost` runs.
    pub fn start(smppost: &Smppost, arguments: &[&str]) -> Self {
        let arguments = [&["smsc", "--port", "0", "--rate", "unlimited", "--for", "100s"], arguments].concat();
        let mut running = smppost.spawn(&arguments);
        let lines = 1 + usize::from(arguments.contains(&"--tls")) + usize::from(arguments.contains(&"--control"));
        let until = Instant::now() + Duration::from_secs(20);
        let said = loop {
            let said = std::fs::read_to_string(smppost.path("stdout-1")).unwrap_or_default();
            if said.lines().count() == lines && said.ends_with('\n') {
                break said;
            }
            assert!(running.is_running() && Instant::now() < until, "{said} {}", running.stderr());
            std::thread::sleep(Duration::from_millis(10));
        };
        let port = |line: &str| line.split(' ').nth(2).unwrap().rsplit_once(':').unwrap().1.to_owned();
        let mut lines = said.lines();
        let plain = port(lines.next().unwrap());
        let mut lines: Vec<&str> = lines.collect();
        let control = arguments.contains(&"--control").then(|| lines.pop().unwrap());
        let control = control.map(|line| line.split("//").nth(1).unwrap().trim_end_matches('/').parse().unwrap());
        let tls = lines.pop().map(|line| {
            let pin = line.rsplit_once(' ').unwrap().1.trim_end_matches(')');
            (port(line), pin.to_owned())
        });
        Self { running, port: plain, tls, control }
    }

    /// Ends it, and has its last words.
    pub fn end(self) -> Ended {
        self.running.signal("INT");
        let ended = self.running.wait();
        ended.assert_code(0);
        ended
    }

    /// Sends rows to it.
    pub fn send(&self, smppost: &Smppost, count: usize, more: &[&str]) -> Ended {
        smppost.send(&rows(count), self.port.parse().unwrap(), more)
    }

    pub fn account(&self) -> [&str; 6] {
        ["--host", "127.0.0.1", "--port", &self.port, "--system-id", "test"]
    }
}

/// A client of its own, bound: sends a PDU and reads one.
pub fn exchange(port: &str, pdus: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let bind = crate::common::independent_smsc::pdu(9, 0, 1, b"test\0secret\0\0\x34\0\0\0");
    let mut answers = Vec::new();
    for pdu in std::iter::once(&bind).chain(pdus) {
        stream.write_all(pdu).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        frame[..4].copy_from_slice(&length);
        stream.read_exact(&mut frame[4..]).unwrap();
        answers.push(frame);
    }
    answers.remove(0);
    answers
}

#[test]
fn what_has_no_answer_in_smpp_gets_none_of_its_own() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &[]);
    let pdu = |id: u32, number: u32, body: &[u8]| crate::common::independent_smsc::pdu(id, 0, number, body);
    // alert_notification and outbind, whole and cut short; a submit_sm that is cut short has its own answer.
    let whole = pdu(0x102, 2, b"\x01\x01447700900123\0\0\0abc\0");
    let cut = pdu(0x102, 3, b"\x01\x014477");
    let answers = exchange(
        &simulator.port,
        &[whole, cut, pdu(0x0B, 4, b"abc\0x\0"), pdu(0x0B, 5, b""), pdu(4, 6, b"\0\x01"), pdu(0x15, 7, b"")],
    );
    let headers: Vec<_> = answers.iter().map(|frame| decode_header(frame).unwrap()).collect();
    for (header, number) in headers[..4].iter().zip(2..) {
        assert_eq!(
            (header.command_id, header.command_status.0, header.sequence_number),
            (CommandId::GENERIC_NACK, 3, number)
        );
    }
    assert_eq!((headers[4].command_id, headers[4].command_status.0), (CommandId::SUBMIT_SM_RESP, 2));
    assert_eq!(headers[5].command_id, CommandId::ENQUIRE_LINK_RESP, "the session goes on");
    simulator.end();
}

#[test]
fn it_listens_beyond_this_machine_only_where_that_is_said() {
    let smppost = Smppost::new();
    let refused = smppost.run(&["smsc", "--port", "0", "--listen", "0.0.0.0", "--for", "1s"]);
    refused.assert_code(1);
    assert!(refused.stderr.contains("--expose-to-network"), "{}", refused.said());
    let ended = smppost.run(&["smsc", "--port", "0", "--listen", "0.0.0.0", "--expose-to-network", "--for", "300ms"]);
    ended.assert_code(0);
    assert!(ended.stdout.starts_with("listening on 0.0.0.0:"), "{}", ended.said());
}

#[test]
fn its_faults_are_listed_and_each_is_taken() {
    let smppost = Smppost::new();
    let listed = smppost.run(&["smsc", "--list-faults"]);
    listed.assert_code(0);
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 5, "{}", listed.stdout);
    for line in listed.stdout.lines() {
        assert!(line.split_whitespace().count() > 1, "{line:?} says what it does");
    }
    let ended = smppost.run(&["smsc", "--port", "0", "--for", "100ms", "--fault", "meteor"]);
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("meteor"), "{}", ended.said());
}

#[test]
fn its_certificate_may_be_ones_own() {
    let smppost = Smppost::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    smppost.file("own.pem", own.pem());
    let key_path = smppost.file("own.key", key.serialize_pem());
    let words = ["smsc", "--port", "0", "--for", "1s", "--tls-port", "0", "--tls"];
    // A key that others can read, and one without its certificate, are refused.
    std::fs::set_permissions(&key_path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let both = ["--tls-cert", "own.pem", "--tls-key", "own.key"];
    let ended = smppost.run(&[&words[..], &both].concat());
    assert!(ended.code != Some(0) && ended.stderr.contains("chmod 600"), "{}", ended.said());
    smppost.run(&[&words[..], &both[..2]].concat()).assert_code(2);
    std::fs::set_permissions(&key_path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let smppost = {
        let fresh = Smppost::new();
        std::fs::copy(smppost.path("own.pem"), fresh.path("own.pem")).unwrap();
        std::fs::copy(&key_path, fresh.path("own.key")).unwrap();
        fresh
    };
    let simulator = Simulator::start(&smppost, &[&["--tls", "--tls-port", "0"], &both[..]].concat());
    let (port, _) = simulator.tls.clone().unwrap();
    // Known by the name that is in it, although it is reached by another.
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--tls-ca", "own.pem"];
    let wrong = smppost.run(&[&["probe"], &account[..]].concat());
    wrong.assert_code(1);
    assert!(wrong.stdout.contains("localhost"), "{}", wrong.said());
    let named = ["--tls-server-name", "localhost"];
    let ended = smppost.run(&[&["probe"], &account[..], &named].concat());
    ended.assert_code(0);
    assert!(ended.stdout.contains("TLS: ") && ended.stdout.contains("  for: localhost"), "{}", ended.said());
    simulator.end();
}

#[test]
fn ids_are_as_they_are_asked_for_and_begin_where_they_are_told_to() {
    for (form, first) in
        [("dec", "1000"), ("padded", "1000"), ("hex", "1000"), ("uuid", "1000"), ("random-hex", "1000")]
    {
        let smppost = Smppost::new();
        let simulator = Simulator::start(&smppost, &["--message-id", form, "--first-message-id", first]);
        simulator.send(&smppost, 2, &["--window", "1"]).assert_code(0);
        let report = smppost.run(&["report", "c", "--format", "csv"]);
        let expected = match form {
            "dec" => "1000",
            "padded" => "0000001000",
            "hex" => "3e8",
            _ => "",
        };
        assert!(report.stdout.contains(expected), "{form}: {}", report.stdout);
        let distinct = one(&smppost.journal(), "SELECT count(DISTINCT message_id) FROM attempt_log");
        assert_eq!(distinct, 2, "{form}");
        simulator.end();
    }
    let smppost = Smppost::new();
    let ended = smppost.run(&["smsc", "--message-id", "roman", "--port", "0", "--for", "100ms"]);
    ended.assert_code(2);
}

#[test]
fn it_forgets_messages_beyond_those_that_it_keeps() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--keep-messages", "1", "--receipt-delay", "1h"]);
    simulator.send(&smppost, 2, &["--window", "1", "--wait-receipts", "100ms"]).assert_code(0);
    let account = simulator.account();
    let query = |line: &str| smppost.run(&[&["query", "c", "--line", line], &account[..]].concat());
    let (forgotten, known) = (query("2"), query("3"));
    assert!(forgotten.said().contains("0x67") || forgotten.said().contains("0x0C"), "{}", forgotten.said());
    assert!(!known.said().contains("0x67") && !known.said().contains("0x0C"), "{}", known.said());
    simulator.end();
}

#[test]
fn an_exact_rate_throttles_what_a_tolerance_lets_through() {
    for (tolerance, throttles) in [("0", true), ("1000", false)] {
        let smppost = Smppost::new();
        let simulator = Simulator::start(&smppost, &["--rate-tolerance", tolerance, "--max-connections", "1"]);
        drop(simulator);
        let smppost = Smppost::new();
        let arguments = ["smsc", "--port", "0", "--rate", "10", "--rate-tolerance", tolerance, "--for", "60s"];
        let running = smppost.spawn(&arguments);
        let until = Instant::now() + Duration::from_secs(20);
        let port = loop {
            let said = std::fs::read_to_string(smppost.path("stdout-1")).unwrap_or_default();
            if let Some((_, port)) = said.trim_end().rsplit_once(':').filter(|_| said.ends_with('\n')) {
                break port.parse().unwrap();
            }
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(10));
        };
        let sent = smppost.send(&rows(30), port, &["--rate", "unlimited", "--window", "30", "--receipts", "none"]);
        sent.assert_code(0);
        running.signal("TERM");
        let ended = running.wait();
        assert_eq!(!ended.stderr.contains("throttled 0"), throttles, "{tolerance}: {}", ended.said());
        assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 30)]));
    }
}

#[test]
fn a_receipt_that_is_refused_for_now_comes_again_after_the_delay() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--redelivery-delay", "300ms", "--receipt-delay", "1ms"]);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, simulator.port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let pdu = crate::common::independent_smsc::pdu;
    stream.write_all(&pdu(BindKind::Transceiver.command_id().0, 0, 1, b"test\0secret\0\0\x34\0\0\0")).unwrap();
    let submit = b"\0\x05\0ACME\0\x01\x01447700900123\0\0\0\0\0\0\x01\0\0\0\x02hi";
    stream.write_all(&pdu(4, 0, 2, submit)).unwrap();
    let mut delivered = Vec::new();
    while delivered.len() < 2 {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        frame[..4].copy_from_slice(&length);
        stream.read_exact(&mut frame[4..]).unwrap();
        let header = decode_header(&frame).unwrap();
        if header.command_id == CommandId::DELIVER_SM {
            delivered.push(Instant::now());
            // ESME_RX_T_APPN, then none.
            let status = smppost::wire::CommandStatus(if delivered.len() == 1 { 0x64 } else { 0 });
            let mut answer = Vec::new();
            smppost::wire::encode_deliver_sm_resp(header.sequence_number, status, &mut answer);
            stream.write_all(&answer).unwrap();
        }
    }
    let between = delivered[1] - delivered[0];
    assert!((Duration::from_millis(250)..Duration::from_secs(5)).contains(&between), "{between:?}");
    let mut unbind = Vec::new();
    encode_header_only(CommandId::UNBIND, Default::default(), 3, &mut unbind);
    stream.write_all(&unbind).unwrap();
    simulator.end();
}

#[test]
fn verbose_tells_more_of_each_command_that_has_sessions() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--verbose"]);
    simulator.send(&smppost, 1, &[]).assert_code(0);
    let account = simulator.account();
    for words in [vec!["probe"], vec!["listen", "--for", "200ms"]] {
        let plain = smppost.run(&[&words[..], &account].concat());
        let verbose = smppost.run(&[&words[..], &account, &["--verbose"]].concat());
        plain.assert_code(0);
        verbose.assert_code(0);
        assert!(verbose.stderr.len() > plain.stderr.len(), "{words:?}: {}", verbose.said());
    }
    let ended = simulator.end();
    assert!(ended.stderr.contains("session 1"), "{}", ended.said());
}

#[test]
fn outcomes_receipts_in_flight_and_the_version_of_the_answer_are_as_told() {
    let smppost = Smppost::new();
    let options =
        ["--outcomes", "undelivered=1", "--deliver-window", "1", "--no-sc-interface-version", "--receipt-delay", "1ms"];
    let simulator = Simulator::start(&smppost, &options);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, simulator.port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let pdu = |id, number, body: &[u8]| crate::common::independent_smsc::pdu(id, 0, number, body);
    stream.write_all(&pdu(9, 1, b"test\0secret\0\0\x34\0\0\0")).unwrap();
    let read = |stream: &mut TcpStream| -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        frame[..4].copy_from_slice(&length);
        stream.read_exact(&mut frame[4..])?;
        Ok(frame)
    };
    let bound = read(&mut stream).unwrap();
    assert!(bound.ends_with(b"\0") && !bound.windows(3).any(|octets| octets == [0x02, 0x10, 0x00]), "{bound:02x?}");
    for number in [2, 3] {
        let body = b"\0\x05\0Acme\0\x01\x01447700900123\0\0\0\0\0\0\x01\0\0\0\x02Hi";
        stream.write_all(&pdu(4, number, body)).unwrap();
    }
    stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
    let mut receipts = Vec::new();
    while let Ok(frame) = read(&mut stream) {
        if decode_header(&frame).unwrap().command_id == CommandId::DELIVER_SM {
            receipts.push(frame);
        }
    }
    assert_eq!(receipts.len(), 1, "the second waits for the answer to the first");
    assert!(String::from_utf8_lossy(&receipts[0]).contains("stat:UNDELIV"), "{receipts:02x?}");
    simulator.end();
}
