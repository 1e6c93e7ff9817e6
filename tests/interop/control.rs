//! Clients that others wrote, tested through the simulator's control alone: they say nothing, and what they did is asked over HTTP.
//!
//! jSMPP is not among them: it is published for Maven alone, and neither Debian, npm nor PyPI has it, or any other client in Java.

use crate::common::{Running, Smppost, number};
use crate::judge;
use crate::peers::{Peer, install, node, perl, python};
use crate::servers::text;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const MESSAGES: usize = 40;

/// A simulator that is asked over HTTP, and keeps a record for the dissector.
struct Controlled {
    smppost: Smppost,
    running: Running,
    smpp: u16,
    control: u16,
}

impl Controlled {
    fn start() -> Self {
        let smppost = Smppost::new();
        let words =
            ["smsc", "--port", "0", "--rate", "unlimited", "--control", "0", "--port-file", "ports", "--for", "100s"];
        let record = ["--record", "smsc.pcapng", "--record-texts", "--receipt-delay", "20ms"];
        Self::over(smppost, &[&words[..], &record].concat())
    }

    fn over(smppost: Smppost, words: &[&str]) -> Self {
        let mut running = smppost.spawn(words);
        let until = Instant::now() + Duration::from_secs(20);
        let ports = loop {
            if let Ok(ports) = std::fs::read_to_string(smppost.path("ports")) {
                break ports;
            }
            assert!(running.is_running() && Instant::now() < until, "{}", running.stderr());
            std::thread::sleep(Duration::from_millis(5));
        };
        let port = |name: &str| ports.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap();
        Self { smpp: port("SMPP_PORT="), control: port("CONTROL_PORT="), smppost, running }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.control)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1).unwrap().starts_with('2'), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string())
    }
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

fn drive(what: &str, system_id: &str, mut client: Command) {
    let smsc = Controlled::start();
    // Before it is there: some numbers are treated in a way of their own, and a handset has something to say.
    smsc.post("/outcomes", &json!({ "rules": ["to=*3: state=UNDELIV err=5", "to=*5: status=0x45 first=1"] }));
    smsc.post("/inbound", &json!({ "from": "447700900001", "to": "12345", "text": "first" }));
    let messages: Vec<Value> = (0..MESSAGES).map(|row| json!({ "to": number(row), "text": text(row) })).collect();
    let file = smsc.smppost.file("messages.json", Value::from(messages).to_string());
    let mut peer = Peer::start(what, client.arg(smsc.smpp.to_string()).arg(file));
    smsc.get(&format!("/wait?of=sessions&system_id={system_id}&timeout=60s"));
    smsc.get("/wait?of=inbound&state=answered&timeout=60s");
    // Every number has had its message whole, and every receipt its answer.
    for row in (0..MESSAGES).filter(|row| row % 10 != 5) {
        smsc.get(&format!("/wait?to={}&text_match={}&timeout=60s", number(row), encoded(&text(row))));
    }
    let to_each: usize = (0..MESSAGES).filter(|row| row % 10 != 5).count();
    smsc.get(&format!("/wait?to=/[^5]$/&receipt=answered&count={to_each}&timeout=60s"));
    smsc.get(&format!("/wait?to=*3&state=undelivered&count={}&timeout=60s", MESSAGES / 10));
    smsc.get(&format!("/wait?to=*5&state=refused&count={}&timeout=60s", MESSAGES / 10));
    let long = "A long message from a handset, in parts. ".repeat(8);
    for concat in ["udh8", "udh16", "sar", "payload"] {
        smsc.post("/inbound", &json!({ "from": "447700900002", "to": "12345", "text": long, "concat": concat }));
    }
    smsc.post("/inbound", &json!({ "from": "447700900003", "to": "12345", "text": "Привет", "count": 20 }));
    smsc.get("/wait?of=inbound&state=answered&count=25&timeout=60s");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let all = smsc.get("/messages?limit=10000");
    for message in all["messages"].as_array().unwrap() {
        let whole = if message["total"].is_null() { &message["text"] } else { &message["joined"] };
        if let Some(text) = whole.as_str() {
            texts.insert(message["destination"].as_str().unwrap().to_owned(), text.to_owned());
        }
    }
    for row in (0..MESSAGES).filter(|row| row % 10 != 5) {
        assert_eq!(texts.get(&number(row)), Some(&text(row)), "{what}: row {row}");
    }
    smsc.post("/drop", &json!({ "session": system_id }));
    peer.wait();
    smsc.running.signal("INT");
    let Controlled { smppost, running, .. } = smsc;
    running.wait().assert_code(0);
    judge::assert_clean(what, &smppost.path("smsc.pcapng"));
}

#[test]
fn npm_smpp() {
    let Some(packages) = install("npm smpp, driven over HTTP", "npm") else { return };
    drive("npm smpp, driven", "npm", node(&packages, "driven.js"));
}

#[test]
fn pypi_smpplib() {
    let Some(packages) = install("PyPI smpplib, driven over HTTP", "python") else { return };
    drive("PyPI smpplib, driven", "smpplib", python(&packages, "smpplib_driven.py"));
}

#[test]
fn perl_net_smpp() {
    let Some(packages) = install("Net::SMPP, driven over HTTP", "perl") else { return };
    drive("Net::SMPP, driven", "perl", perl(&packages, "driven.pl"));
}

/// What no client here sends or takes: version 5.0 with its congestion_state, a message to many, outbind, alert_notification, requests
/// for broadcasts, messages from handsets of every alphabet.
#[test]
fn all_that_is_new_in_it_passes_the_dissector() {
    if !judge::is_there() {
        return;
    }
    let smppost = Smppost::new();
    let words =
        ["smsc", "--port", "0", "--rate", "unlimited", "--control", "0", "--port-file", "ports", "--for", "100s"];
    let record = ["--record", "smsc.pcapng", "--record-texts", "--receipt-delay", "20ms", "--smpp-version", "5.0"];
    let smsc = Controlled::over(smppost, &[&words[..], &record].concat());
    let pdu = |id: u32, number: u32, body: &[u8]| crate::common::independent_smsc::pdu(id, 0, number, body);
    let mut client = TcpStream::connect(("127.0.0.1", smsc.smpp)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let message = b"\0\0\0\0\0\x01\0\0\0\x05Hello";
    let one = [&b"\0\x05\0Me\0\x01\x01447700900001\0"[..], message].concat();
    let to = b"\x01\x01\x01447700900001\0\x01\x01\x011\0\x02friends\0";
    let many = [&b"\0\x05\0Me\0\x03"[..], to, message].concat();
    let mut octets = pdu(9, 1, b"five\0x\0\0\x50\0\0\0");
    for (id, body) in [(4, &one[..]), (0x21, &many), (0x112, b"1\0\x05\0Me\0"), (0x15, b"")] {
        octets.extend(pdu(id, 2 + id, body));
    }
    client.write_all(&octets).unwrap();
    // Whatever comes is read, and requests are answered.
    let mut answering = client.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut header = [0; 16];
        while answering.read_exact(&mut header).is_ok() {
            let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            let mut body = vec![0; word(0) as usize - 16];
            answering.read_exact(&mut body).unwrap();
            let id = word(4);
            if matches!(id, 5 | 0x103) {
                let answer = crate::common::independent_smsc::pdu(id | 0x8000_0000, 0, word(12), b"\0");
                answering.write_all(&answer).unwrap();
            }
        }
    });
    smsc.get("/wait?receipt=answered&count=2&timeout=30s");
    let long = |text: &str| text.repeat(40);
    let mut count = 0;
    for (alphabet, text) in [
        ("auto", "Grüße € "),
        ("gsm7", "[Hello] "),
        ("ascii", "Hello "),
        ("latin1", "Grüße "),
        ("ucs2", "Привет ✓ "),
        ("cyrillic", "Привет "),
        ("hebrew", "שלום "),
    ] {
        for concat in ["udh8", "udh16", "sar", "payload"] {
            for text in [text.to_owned(), long(text)] {
                let inbound = json!({ "from": "447700900001", "to": "12345", "text": text, "alphabet": alphabet, "concat": concat });
                smsc.post("/inbound", &inbound);
                count += 1;
            }
        }
    }
    let fields = json!({
        "from": "447700900001", "to": "12345", "hex": "00ff10", "data_sm": true, "tlvs": { "0x1401": "0x01", "callback_num": "0x000101" },
    });
    smsc.post("/inbound", &fields);
    smsc.get(&format!("/wait?of=inbound&state=answered&count={}&timeout=30s", count + 1));
    smsc.post("/alert", &json!({ "source": "447700900001", "esme": "12345" }));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    smsc.post("/outbind", &json!({ "address": listener.local_addr().unwrap().to_string(), "password": "pw" }));
    let mut outbound = [0; 16];
    listener.accept().unwrap().0.read_exact(&mut outbound).unwrap();
    smsc.post("/unbind", &json!({}));
    smsc.running.signal("INT");
    let Controlled { smppost, running, .. } = smsc;
    running.wait().assert_code(0);
    judge::assert_clean("all that is new", &smppost.path("smsc.pcapng"));
}
