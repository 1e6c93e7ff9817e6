//! `smppost smsc` with a scenario, messages from handsets, a control, a ledger on stdout: as its users start it.

use crate::common::{Smppost, number};
use crate::simulator::{Simulator, exchange};
use crate::smsc::http::{get, post};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use smppost::wire::{CommandId, decode_header};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits for a file to be there, and reads it.
pub fn read_when_there(smppost: &Smppost, name: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(smppost.path(name)) {
            Ok(text) if !text.is_empty() => return text,
            _ => assert!(Instant::now() < until, "{name} is not there"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn control_of(ports: &str) -> SocketAddr {
    let port = ports.lines().find_map(|line| line.strip_prefix("CONTROL_PORT=")).unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

#[test]
fn options_that_mean_nothing_to_it_are_refused() {
    let smppost = Smppost::new();
    for (option, value, instead) in [
        ("--journal", "x.db", "--ledger"),
        ("--profile", "acme", "--scenario"),
        ("--config", "x.toml", "--scenario"),
        ("--account", "acme", "--system-id"),
    ] {
        for words in [[option, value, "smsc", "--port", "0"], ["smsc", "--port", "0", option, value]] {
            let refused = smppost.run(&words);
            refused.assert_code(2);
            assert!(refused.stderr.contains(option) && refused.stderr.contains(instead), "{}", refused.said());
        }
    }
    // What the environment says for other commands is no reason to refuse.
    let environment = [("SMPPOST_JOURNAL", "x.db"), ("SMPPOST_PROFILE", "acme"), ("SMPPOST_ACCOUNT", "acme")];
    smppost.run_with(&["smsc", "--port", "0", "--for", "50ms"], &environment).assert_code(0);
}

#[test]
fn what_is_typed_wrong_is_said() {
    let smppost = Smppost::new();
    smppost.file("bad.toml", "seed = 1\nrules = [\"to=1: dance\"]\n");
    smppost.file("bad.csv", "from,to\n447700900001,12345\n447700900001,\n");
    for (words, code, named) in [
        (&["--scenario", "bad.toml"][..], 1, "bad.toml, line 2: \"dance\""),
        (&["--scenario", "none.toml"], 1, "none.toml"),
        (&["--inbound", "bad.csv"], 1, "bad.csv, line 3: "),
        (&["--inbound-rate", "5"], 2, "--inbound"),
        (&["--limit", "meteor:1"], 2, "meteor"),
        (&["--rule", "to=1"], 2, "colon"),
        (&["--answer-delay", "5"], 2, "5"),
        (&["--control", "192.0.2.1:80"], 1, "--expose-to-network"),
        (&["--control", "here"], 2, "127.0.0.1:2780"),
        (&["--control-host", "smsc"], 2, "--control"),
        (&["--ledger-format", "json"], 2, "--ledger"),
        (&["--smpp-version", "4.0"], 2, "4.0"),
        (&["--congestion", "101"], 2, "101"),
        (&["--port-file", "nowhere/ports"], 1, "nowhere/ports"),
    ] {
        let refused = smppost.run(&[&["smsc", "--port", "0", "--for", "5s"], words].concat());
        refused.assert_code(code);
        assert!(refused.stderr.contains(named), "{words:?}: {}", refused.said());
    }
    let listed = smppost.run(&["smsc", "--list-limits"]);
    listed.assert_code(0);
    for line in listed.stdout.lines() {
        let shape = line.split_whitespace().next().unwrap();
        let written = shape.replace("R/S,...", "5/1,2/1").replace("[:c]", ":c").replace("[:T]", ":5").replace('D', "7");
        let written: String = written
            .split(':')
            .enumerate()
            .map(|(nth, word)| match (nth, word) {
                (0, name) => name.to_owned(),
                (_, word) if word.len() == 1 && word.chars().all(char::is_uppercase) => ":5".to_owned(),
                (_, word) => format!(":{word}"),
            })
            .collect();
        smppost.run(&["smsc", "--port", "0", "--for", "1ms", "--limit", &written]).assert_code(0);
    }
}

#[test]
fn a_campaign_is_watched_and_disturbed_over_http() {
    let smppost = Smppost::new();
    smppost.file("scenario.toml", "rules = [\"to=*1: state=UNDELIV err=5\"]\nreceipt_delay = \"10ms\"\n");
    let simulator = Simulator::start(&smppost, &["--control", "0", "--scenario", "scenario.toml"]);
    let control = simulator.control.unwrap();
    let ended = simulator.send(&smppost, 10, &["--wait-receipts", "10s"]);
    ended.assert_code(3);
    assert_eq!(get(control, "/wait?count=9&state=delivered&timeout=10s")["count"], 9);
    let failed = &get(control, "/messages?state=undelivered")["messages"][0];
    assert_eq!((&failed["destination"], &failed["receipt"]), (&json!(number(1)), &json!("answered")));
    post(control, "/reset", json!({}));
    assert_eq!(get(control, "/messages")["messages"], json!([]));
    post(control, "/faults", json!({ "faults": ["error=0x0B"] }));
    simulator.send(&smppost, 3, &["--campaign", "again"]).assert_code(3);
    assert_eq!(get(control, "/stats")["refused"], 3);
    simulator.end();
}

#[test]
fn it_says_that_it_is_ready_in_every_way() {
    let smppost = Smppost::new();
    let socket = std::os::unix::net::UnixDatagram::bind(smppost.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let words =
        ["smsc", "--port", "0", "--tls", "--tls-port", "0", "--control", "0", "--port-file", "ports", "--for", "60s"];
    let path = smppost.path("notify");
    let running = smppost.spawn_with(&words, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut octets = [0; 64];
    let count = socket.recv(&mut octets).unwrap();
    assert_eq!(&octets[..count], b"READY=1");
    // The file is there before that is said, and whole.
    let ports = std::fs::read_to_string(smppost.path("ports")).unwrap();
    let names: Vec<&str> = ports.lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["SMPP_PORT", "TLS_PORT", "CONTROL_PORT"]);
    assert!(get(control_of(&ports), "/healthz")["listening"].as_str().unwrap().starts_with("127.0.0.1:"));
    running.kill();
}

#[test]
fn the_ledger_goes_to_stdout_for_programs_and_for_people() {
    for (format, is_json) in [(&[][..], true), (&["--ledger-format", "people"], false)] {
        let smppost = Smppost::new();
        let words =
            ["smsc", "--port", "0", "--for", "60s", "--rate", "unlimited", "--ledger", "-", "--port-file", "ports"];
        let running = smppost.spawn(&[&words[..], format].concat());
        let ports = read_when_there(&smppost, "ports");
        let port = ports.lines().next().unwrap().strip_prefix("SMPP_PORT=").unwrap();
        let submit = b"\0\x05\0Sender\0\x01\x01447700900001\0\0\0\0\0\0\0\0\0\0\x02Hi";
        let answers = exchange(port, &[crate::common::independent_smsc::pdu(4, 0, 2, submit)]);
        assert_eq!(decode_header(&answers[0]).unwrap().command_id, CommandId::SUBMIT_SM_RESP);
        running.signal("INT");
        let ended = running.wait();
        ended.assert_code(0);
        if is_json {
            let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
            assert!(kinds.contains(&"listening") && kinds.contains(&"bind"), "{kinds:?}");
            let submit = lines.iter().find(|line| line["kind"] == "submit").unwrap();
            assert_eq!((&submit["text"], &submit["status_name"]), (&json!("Hi"), &json!("ESME_ROK")));
        } else {
            assert!(ended.stdout.contains("submit_sm Sender -> 447700900001: \"Hi\" = "), "{}", ended.stdout);
            assert!(ended.stdout.contains("listening on 127.0.0.1:"), "{}", ended.stdout);
        }
    }
}

#[test]
fn a_ledger_that_nobody_reads_holds_up_no_end() {
    let submit = b"\0\x05\0Sender\0\x01\x01447700900001\0\0\0\0\0\0\0\0\0\0\x02Hi";
    let pdus: Vec<u8> =
        (2..2_002).flat_map(|number| crate::common::independent_smsc::pdu(4, 0, number, submit)).collect();
    let bind = crate::common::independent_smsc::pdu(9, 0, 1, b"test\0secret\0\0\x34\0\0\0");
    for (by_signal, run_for) in [(true, "600s"), (false, "3s")] {
        let smppost = Smppost::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
            .args([
                "smsc",
                "--port",
                "0",
                "--for",
                run_for,
                "--rate",
                "unlimited",
                "--ledger",
                "-",
                "--port-file",
                "ports",
            ])
            .current_dir(smppost.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = read_when_there(&smppost, "ports");
        let port: u16 = ports.lines().next().unwrap().strip_prefix("SMPP_PORT=").unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&bind).unwrap();
        stream.write_all(&pdus).unwrap();
        // Far more than the pipe holds: answers come until a line waits to be read, and then no more do.
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut scratch = [0; 4_096];
        while stream.read(&mut scratch).is_ok_and(|count| count > 0) {}
        if by_signal {
            kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        }
        let until = Instant::now() + Duration::from_secs(30);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end (by signal: {by_signal})");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0));
    }
}

/// Out of file descriptors it takes no connection for a while; that passes.
#[test]
fn a_control_without_file_descriptors_is_there_again_once_it_has_some() {
    let smppost = Smppost::new();
    let script = format!(
        "ulimit -n 30; exec {} smsc --port 0 --control 0 --port-file ports --for 60s",
        env!("CARGO_BIN_EXE_smppost")
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(smppost.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ports = read_when_there(&smppost, "ports");
    let control = control_of(&ports);
    let many: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(control).unwrap()).collect();
    // Some of them are taken, the others wait for a descriptor.
    std::thread::sleep(Duration::from_millis(300));
    drop(many);
    assert!(get(control, "/healthz").is_object());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_rate_of_messages_from_handsets_may_be_typed_beside_a_scenario() {
    let smppost = Smppost::new();
    smppost.file("s.toml", "inbound_rate = 1\n[[inbound]]\nfrom = \"1\"\nto = \"2\"\ncount = 30\n");
    let words = ["smsc", "--port", "0", "--for", "0s", "--inbound-rate", "5"];
    let refused = smppost.run(&words);
    refused.assert_code(2);
    assert!(refused.stderr.contains("--inbound"), "{}", refused.stderr);
    smppost.run(&[&words[..], &["--scenario", "s.toml"]].concat()).assert_code(0);
    smppost.file("none.toml", "seed = 1\n");
    let refused = smppost.run(&[&words[..], &["--scenario", "none.toml"]].concat());
    refused.assert_code(1);
    assert!(refused.stderr.contains("no messages from handsets"), "{}", refused.stderr);
}

#[test]
fn messages_of_a_file_reach_the_program() {
    let smppost = Smppost::new();
    let long = "Hello, this is a long message from a handset. ".repeat(6);
    smppost.file(
        "from.jsonl",
        format!(
            "{}\n{}\n",
            json!({ "from": "447700900001", "to": "12345", "text": "STOP" }),
            json!({
                "from": "447700900002", "to": "12345", "text": long, "concat": "sar",
            })
        ),
    );
    let simulator =
        Simulator::start(&smppost, &["--control", "0", "--inbound", "from.jsonl", "--inbound-rate", "unlimited"]);
    simulator.send(&smppost, 1, &[]).assert_code(0);
    let listening = smppost.spawn(&[&["listen"][..], &simulator.account()].concat());
    assert_eq!(get(simulator.control.unwrap(), "/wait?of=inbound&state=answered&count=2&timeout=20s")["count"], 2);
    listening.signal("INT");
    listening.wait();
    let journal = crate::common::open(&smppost.journal());
    let mut statement = journal.prepare("SELECT text FROM inbound_message ORDER BY text DESC").unwrap();
    let texts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(texts, ["STOP", &long]);
    simulator.end();
}

#[test]
fn it_is_small_and_starts_at_once() {
    let smppost = Smppost::new();
    let begun = Instant::now();
    let running = smppost.spawn(&["smsc", "--port", "0", "--control", "0", "--port-file", "ports", "--for", "60s"]);
    let control = control_of(&read_when_there(&smppost, "ports"));
    let started = begun.elapsed();
    get(control, "/stats");
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    running.kill();
    println!("ready after {started:?}, {resident} kB at rest");
    // A build for tests is larger, and this machine has other work: the figures of a release are in docs/simulator.md.
    assert!(started < Duration::from_secs(2) && resident < 40_000, "{started:?}, {resident} kB");
}
