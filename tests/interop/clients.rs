//! The simulator with ESMEs that others wrote.

use crate::common::{Running, Smppost, number};
use crate::judge;
use crate::peers::{Peer, folder, install, node, perl, python};
use crate::servers::text;
use serde_json::{Value, json};
use smppost::testing::message::text::{DefaultAlphabet, decode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const MESSAGES: usize = 60;

/// The simulator, which asks with enquire_link too, with its ledger and its record.
pub struct Simulator {
    pub smppost: Smppost,
    running: Running,
    pub port: u16,
}

impl Simulator {
    pub fn start(more: &[&str]) -> Self {
        let smppost = Smppost::new();
        let options = ["smsc", "--port", "0", "--rate", "unlimited", "--max-connections", "4", "--for", "100s"];
        let files = ["--ledger", "ledger.jsonl", "--record", "smsc.pcapng", "--record-texts"];
        let asks = ["--enquire-link-interval", "200ms"];
        let delay: &[&str] = if more.contains(&"--receipt-delay") { &[] } else { &["--receipt-delay", "50ms"] };
        let mut running = smppost.spawn(&[&options[..], &files, &asks, delay, more].concat());
        let until = Instant::now() + Duration::from_secs(20);
        let port = loop {
            let said = std::fs::read_to_string(smppost.path("stdout-1")).unwrap_or_default();
            if let Some(port) = said.strip_suffix('\n').and_then(|line| line.rsplit_once(':')?.1.parse().ok()) {
                break port;
            }
            assert!(running.is_running() && Instant::now() < until, "{said} {}", running.stderr());
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { smppost, running, port }
    }

    /// Ends it; its ledger.
    pub fn end(self) -> (Smppost, Vec<Value>) {
        self.running.signal("INT");
        self.running.wait().assert_code(0);
        let ledger = std::fs::read_to_string(self.smppost.path("ledger.jsonl")).unwrap();
        (self.smppost, ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// Entries of a kind.
pub fn of<'a>(ledger: &'a [Value], kind: &'a str) -> Vec<&'a Value> {
    ledger.iter().filter(|entry| entry["kind"] == kind).collect()
}

/// Octets written in hexadecimal digits.
pub fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The texts that the simulator has taken, by destination.
pub fn texts(ledger: &[Value]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for entry in ledger {
        let text = match entry["kind"].as_str().unwrap() {
            "joined" => entry["text"].as_str().unwrap().to_owned(),
            "submit" if entry["total"].is_null() => {
                let hex = entry["short_message"].as_str().unwrap();
                let octets = octets(hex);
                decode(entry["data_coding"].as_u64().unwrap() as u8, &octets, DefaultAlphabet::Gsm7)
            }
            _ => continue,
        };
        let other = texts.insert(entry["destination"].as_str().unwrap().to_owned(), text);
        assert!(other.is_none(), "it came twice: {entry}");
    }
    texts
}

/// The messages that a client is to send, as a file.
fn messages(smppost: &Smppost, text: fn(usize) -> String) -> PathBuf {
    let messages: Vec<Value> = (0..MESSAGES).map(|row| json!({"to": number(row), "text": text(row)})).collect();
    smppost.file("messages.json", Value::from(messages).to_string())
}

/// What a client tells: of each part, or of each message.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    Parts,
    Messages,
}

fn check(what: &str, mut client: Command, tells: Tells, text: fn(usize) -> String) -> Vec<Value> {
    let simulator = Simulator::start(&[]);
    let file = messages(&simulator.smppost, text);
    let mut peer = Peer::start(what, client.arg(simulator.port.to_string()).arg(file));
    peer.wait();
    let (smppost, ledger) = simulator.end();
    peer.assert_all_well("bound", 1);
    let submits = of(&ledger, "submit");
    assert!(submits.len() > MESSAGES, "some are long");
    assert!(submits.iter().all(|submit| submit["status"] == 0), "{submits:?}");
    let told = if tells == Tells::Parts { submits.len() } else { MESSAGES };
    peer.assert_all_well("answered", told);
    assert_eq!(peer.of("receipt").count(), told, "{}", peer.said());
    for receipt in peer.of("receipt") {
        let delivered = receipt["message_state"] == 2 || receipt["state"] == "DELIVRD";
        assert!(delivered && receipt["right"] == true, "{receipt}");
        let submit = submits.iter().find(|submit| submit["message_id"] == receipt["id"]);
        assert_eq!(submit.unwrap()["destination"], receipt["to"], "{receipt}");
    }
    let answered = of(&ledger, "receipt_answered");
    let receipts = of(&ledger, "receipt").len();
    assert!(receipts == submits.len() || tells == Tells::Messages, "{receipts}");
    assert!(answered.len() == receipts && answered.iter().all(|answer| answer["status"] == 0), "{answered:?}");
    peer.assert_all_well("enquire_link_answered", peer.of("enquire_link_answered").count());
    peer.assert_all_well("queried", peer.of("queried").count());
    peer.assert_all_well("unbound", 1);
    assert_eq!(peer.of("error").count(), 0, "{}", peer.said());
    let texts = texts(&ledger);
    for row in 0..MESSAGES {
        assert_eq!(texts.get(&number(row)), Some(&text(row)), "row {row}");
    }
    judge::assert_clean(what, &smppost.path("smsc.pcapng"));
    ledger
}

#[test]
fn npm_smpp() {
    let Some(packages) = install("npm smpp as client", "npm") else { return };
    check("npm smpp", node(&packages, "client.js"), Tells::Parts, text);
}

#[test]
fn pypi_smpplib() {
    let Some(packages) = install("PyPI smpplib as client", "python") else { return };
    check("PyPI smpplib", python(&packages, "smpplib_client.py"), Tells::Parts, text);
}

#[test]
fn pypi_aiosmpplib() {
    let Some(packages) = install("PyPI aiosmpplib as client", "python") else { return };
    // aiosmpplib 0.7 cuts GSM 7-bit texts after so many characters, and not septets: a part with characters of two septets is
    // too long for an SMS.
    let text = |row: usize| match row % 6 {
        2 => text(row).replace(['[', ']', '€', '{', '}'], "_"),
        _ => text(row),
    };
    check("PyPI aiosmpplib", python(&packages, "aiosmpplib_client.py"), Tells::Messages, text);
}

#[test]
fn perl_net_smpp() {
    let Some(packages) = install("Net::SMPP as client", "perl") else { return };
    check("Net::SMPP", perl(&packages, "client.pl"), Tells::Parts, text);
}

#[test]
fn rusmppc() {
    let Some(packages) = install("rusmppc as client", "rust") else { return };
    let mut command = Command::new(packages.join("target/debug/interop-peer"));
    command.arg("client");
    // rusmpp-extra 0.4 says of a character outside the basic plane that UCS2 lacks it, which UCS2 by the letter does.
    check("rusmppc", command, Tells::Parts, |row| text(row).replace('😀', "☺"));
}

/// Kannel asks for the receipt of the last part of a long message.
fn kannel(mode: &str, binds: &[&str]) {
    let Some(packages) = install(&format!("Kannel as client, {mode}"), "kannel") else { return };
    let mut command = Command::new("python3");
    command.arg("-B").arg(folder().join("kannel/client.py")).arg(packages.join("root")).arg(mode);
    let ledger = check(&format!("Kannel, {mode}"), command, Tells::Messages, text);
    let bound = of(&ledger, "bind").into_iter().map(|bind| bind["command"].as_str().unwrap());
    assert_eq!(bound.collect::<BTreeSet<_>>(), binds.iter().copied().collect());
}

#[test]
fn kannel_as_transceiver() {
    kannel("trx", &["bind_transceiver"]);
}

#[test]
fn kannel_as_transmitter_and_receiver() {
    kannel("txrx", &["bind_transmitter", "bind_receiver"]);
}
