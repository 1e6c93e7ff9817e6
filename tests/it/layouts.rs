//! Every version with every layout of connections, in the clear and over TLS; and a connection that is cut again and again
//! beside one that is not. Longer: `SMPPOST_LAYOUT_MESSAGES=1000` a layout, `SMPPOST_SOCKET_CUTS=20` cuts.
use crate::common::{Smppost, expected, one, rows, states};
use parking_lot::Mutex;
use serde_json::Value;
use smppost::smsc::{Settings, Smsc};
use smppost::testing::client::link::tls_proxy::{Door, Identity};
use smppost::wire::{CommandId, FrameBuffer, decode_header};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn smsc(ledger: &Path) -> Smsc {
    let listen = "127.0.0.1:0".parse().unwrap();
    let ledger = Some(ledger.to_owned());
    Smsc::start(Settings { listen, rate: None, ledger, max_connections: 4, ..Settings::default() }).unwrap()
}

/// How often each destination was accepted.
fn accepted(ledger: &Path) -> HashMap<String, usize> {
    let mut accepted = HashMap::new();
    for line in std::fs::read_to_string(ledger).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "submit" && line["status"] == 0 {
            *accepted.entry(line["destination"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    accepted
}

/// Waits until all messages are in a state, with a receiver bound.
fn listen_until(smppost: &Smppost, account: &[&str], state: &str, count: i64) {
    let mut listening = smppost.spawn(&[&["listen", "--bind", "rx"][..], account].concat());
    let until = Instant::now() + Duration::from_secs(30);
    while states(&smppost.journal(), "c") != expected([(state, count)]) {
        assert!(listening.is_running() && Instant::now() < until, "{:?}", states(&smppost.journal(), "c"));
        std::thread::sleep(Duration::from_millis(20));
    }
    listening.signal("INT");
    listening.wait().assert_code(0);
}

fn every_layout_of(version: &str, layouts: &[(&str, &str)]) {
    let messages = from_environment("SMPPOST_LAYOUT_MESSAGES", 100);
    for &(bind, connections) in layouts {
        for over_tls in [false, true] {
            let smppost = Smppost::new();
            let ledger = smppost.path("ledger.jsonl");
            let smsc = smsc(&ledger);
            let identity = Identity::self_made(&["localhost".into()]).unwrap();
            let pin = identity.pin();
            let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let door = Door::open(any, smsc.local_addr(), identity).unwrap();
            let port = if over_tls { door.local_addr().port() } else { smsc.local_addr().port() };
            let pinned = ["--tls", "--tls-danger-accept-any-cert", "--tls-pin-sha256", &pin];
            let tls: &[&str] = if over_tls { &pinned } else { &[] };
            let layout = ["--smpp-version", version, "--bind", bind, "--connections", connections];
            let ended = smppost.send(&rows(messages), port, &[&layout[..], tls].concat());
            ended.assert_code(0);
            let what = format!("SMPP {version}, {bind}, {connections} connections, TLS {over_tls}");
            if bind == "tx" {
                // Nothing can come in; a receiver of the same account fetches the receipts afterwards.
                assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", messages as i64)]), "{what}");
                let port = port.to_string();
                let account =
                    ["--host", "127.0.0.1", "--system-id", "test", "--port", &port, "--smpp-version", version];
                listen_until(&smppost, &[&account[..], tls].concat(), "delivered", messages as i64);
            }
            assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", messages as i64)]), "{what}");
            let got = accepted(&ledger);
            assert_eq!((got.len(), got.values().max()), (messages, Some(&1)), "{what}");
            smppost.run(&["verify"]).assert_code(0);
            eprintln!("{what}: {messages} messages and their receipts in {:.1} s", ended.took.as_secs_f64());
        }
    }
}

#[test]
fn smpp_3_3_in_every_layout() {
    every_layout_of("3.3", &[("tx", "1"), ("tx+rx", "2"), ("tx+rx", "4")]);
}

#[test]
fn smpp_3_4_in_every_layout() {
    every_layout_of("3.4", &[("trx", "1"), ("trx", "2"), ("tx", "1"), ("tx+rx", "2"), ("tx+rx", "4")]);
}

#[test]
fn smpp_5_0_in_every_layout() {
    every_layout_of("5.0", &[("trx", "1"), ("trx", "2"), ("tx", "1"), ("tx+rx", "2"), ("tx+rx", "4")]);
}

/// Passes connections on to `port`. One at a time is cut when it has passed so many submit_sm on, until there were
/// `cuts`; the connection made after that one is the next to be cut. Says how many were cut.
fn cutter(port: u16, messages: usize, cuts: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let cut = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cut);
    // Whether some connection is the one to be cut.
    let chosen = Arc::new(Mutex::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let is_chosen = !std::mem::replace(&mut *chosen.lock(), true);
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut buffer = vec![0; 16_384];
                while let Ok(count @ 1..) = from_server.read(&mut buffer) {
                    if to_client.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = to_client.shutdown(Shutdown::Both);
            });
            let (cut, chosen) = (Arc::clone(&count), Arc::clone(&chosen));
            std::thread::spawn(move || pass(client, server, is_chosen, messages, cuts, &cut, &chosen));
        }
    });
    (own, cut)
}

/// The way to the server, PDU by PDU.
fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    is_chosen: bool,
    messages: usize,
    cuts: usize,
    cut: &AtomicUsize,
    chosen: &Mutex<bool>,
) {
    let (mut frames, mut passed) = (FrameBuffer::new(), 0);
    while let Ok(count @ 1..) = client.read(frames.spare()) {
        frames.filled(count);
        while let Some(frame) = frames.next_frame().unwrap() {
            if decode_header(frame).unwrap().command_id == CommandId::SUBMIT_SM {
                passed += 1;
            }
            if is_chosen && passed > messages && cut.load(Ordering::SeqCst) < cuts {
                cut.fetch_add(1, Ordering::SeqCst);
                *chosen.lock() = false;
                let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
                return;
            }
            if server.write_all(frame).is_err() {
                return;
            }
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn f18_one_of_two_connections_cut_every_500_messages_loses_nothing_and_sends_nothing_twice() {
    let (window, each) = (20, 500);
    let cuts = from_environment("SMPPOST_SOCKET_CUTS", 3);
    // The other connection takes its share, and while the cut one is away all.
    let messages = 3 * each * cuts;
    let smppost = Smppost::new().deadline(Duration::from_secs(180));
    let ledger = smppost.path("ledger.jsonl");
    let smsc = smsc(&ledger);
    let (port, cut) = cutter(smsc.local_addr().port(), each, cuts);
    let more = ["--connections", "2", "--window", "20", "--rate", "1000", "--wait-receipts", "5s"];
    let ended = smppost.send(&rows(messages), port, &more);
    let found = states(&smppost.journal(), "c");
    let cut = cut.load(Ordering::SeqCst);
    let (got, in_doubt) = (accepted(&ledger), found.get("in_doubt").copied().unwrap_or_default());
    eprintln!("{messages} messages, {cut} cuts: {found:?}, {} reached the SMSC, {:?}", got.len(), ended.took);
    assert_eq!(cut, cuts, "{}", ended.said());
    assert_eq!(got.values().max(), Some(&1), "a message came twice");
    assert_eq!(found.values().sum::<i64>(), messages as i64);
    assert_eq!(found["delivered"] + in_doubt, messages as i64, "{found:?}");
    assert!(in_doubt <= (cuts * window) as i64, "{found:?}");
    // What is not in doubt reached the SMSC, and what reached it is known to have.
    assert!(got.len() as i64 >= found["delivered"], "{found:?}");
    let sent_twice = "SELECT count(*) FROM (SELECT line FROM attempt_log WHERE state = 'accepted' GROUP BY line
                       HAVING count(*) > 1)";
    assert_eq!(one(&smppost.journal(), sent_twice), 0);
    smppost.run(&["verify"]).assert_code(0);
}
