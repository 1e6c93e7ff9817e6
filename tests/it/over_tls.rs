//! The program over TLS against the simulator, what `probe` shows, and the sending hours.
use crate::common::{Smppost, expected, long_rows, one, rows, states};
use smppost::smsc::{Faults, Settings, Smsc};
use smppost::testing::client::link::tls_proxy::{Door, Identity};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

fn smsc(change: impl FnOnce(&mut Settings)) -> (Smsc, Door, String) {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    change(&mut settings);
    let smsc = Smsc::start(settings).unwrap();
    let identity = Identity::self_made(&["localhost".into()]).unwrap();
    let pin = identity.pin();
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let door = Door::open(listen, smsc.local_addr(), identity).unwrap();
    (smsc, door, pin)
}

fn pinned(pin: &str) -> [&str; 4] {
    ["--tls", "--tls-danger-accept-any-cert", "--tls-pin-sha256", pin]
}

#[test]
fn a_campaign_goes_over_tls_as_without() {
    let (smsc, door, pin) = smsc(|_| {});
    let smppost = Smppost::new();
    let more: Vec<&str> = pinned(&pin).into_iter().chain(["--connections", "2", "--window", "100"]).collect();
    let ended = smppost.send(&long_rows(2_000), door.local_addr().port(), &more);
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2_000)]));
    assert_eq!(smsc.stop().accepted, 6_000);
    assert!(!ended.stderr.contains("in the clear") && !ended.stderr.contains("NOT checked"), "{}", ended.said());
}

#[test]
fn f18_cuts_over_tls_leave_nothing_lost_and_nothing_sent_twice() {
    let mut faults = Faults::default();
    faults.set("drop-after-answer=300").unwrap();
    faults.set("octets").unwrap();
    let (smsc, door, pin) = smsc(|settings| settings.faults = faults);
    let smppost = Smppost::new();
    smppost.send(&rows(1_000), door.local_addr().port(), &pinned(&pin));
    let found = states(&smppost.journal(), "c");
    assert_eq!(found.values().sum::<i64>(), 1_000);
    assert!(found["delivered"] > 900, "{found:?}");
    let sent_twice = "SELECT count(*) FROM (SELECT line FROM attempt_log WHERE state = 'accepted' GROUP BY line HAVING count(*) > 1)";
    assert_eq!(one(&smppost.journal(), sent_twice), 0);
    drop(smsc);
}

/// Passes connections on to `port`. Of the first, what comes from the server stops in the midst of a record after so many
/// octets, and nothing is closed.
fn staller(port: u16, octets: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, client) in listener.incoming().enumerate() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let ways =
                [(client.try_clone().unwrap(), server.try_clone().unwrap(), usize::MAX), (server, client, octets)];
            for (mut from, mut to, limit) in ways {
                let limit = if n == 0 { limit } else { usize::MAX };
                kept.push(std::thread::spawn(move || {
                    let (mut buffer, mut passed) = (vec![0; 16_384], 0);
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        let count = count.min(limit - passed);
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                        passed += count;
                        if passed == limit {
                            std::thread::sleep(Duration::from_secs(60));
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                }));
            }
        }
    });
    own
}

#[test]
fn f20_a_record_that_does_not_end_ends_the_session_within_its_timers_and_another_goes_on() {
    let (smsc, door, pin) = smsc(|_| {});
    // Behind the handshake and the answer to the bind, and in the midst of what is answered then.
    let port = staller(door.local_addr().port(), 6_001);
    let smppost = Smppost::new();
    let timers = ["--response-timeout", "3s", "--enquire-link-interval", "1s", "--window", "10"];
    let ended = smppost.send(&rows(300), port, &[&pinned(&pin)[..], &timers].concat());
    let found = states(&smppost.journal(), "c");
    assert!(ended.stderr.contains("silent"), "{}", ended.said());
    assert!(ended.took < Duration::from_secs(60), "{:?}", ended.took);
    assert_eq!(smsc.stats().binds, 2, "{}", ended.said());
    assert_eq!(found.values().sum::<i64>(), 300);
    assert!(found["delivered"] >= 280, "{found:?}");
    // What was only claimed is claimed again; what had left is not sent again.
    let sent_twice = "SELECT count(*) FROM (SELECT line FROM attempt_log WHERE state <> 'not written' GROUP BY line
                       HAVING count(*) > 1)";
    assert_eq!(one(&smppost.journal(), sent_twice), 0);
    assert!(smsc.stats().accepted <= 300);
}

#[test]
fn a_careless_bind_is_warned_of_every_time() {
    let (smsc, door, _) = smsc(|_| {});
    let smppost = Smppost::new();
    let ended =
        smppost.send(&rows(2), door.local_addr().port(), &["--tls-danger-accept-any-cert", "--connections", "2"]);
    ended.assert_code(0);
    assert_eq!(ended.stderr.matches("NOT checked").count(), smsc.stats().binds as usize, "{}", ended.said());
    let port = door.local_addr().port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--tls-danger-accept-any-cert"];
    let ended = smppost.run(&[&["query", "c", "--line", "2"][..], &account].concat());
    assert_eq!(ended.stderr.matches("NOT checked").count(), 1, "{}", ended.said());
}

#[test]
fn the_simulator_takes_tls_on_a_port_of_its_own() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
        .args(["smsc", "--port", "0", "--tls", "--tls-port", "0", "--for", "30s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (plain, tls) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(plain.starts_with("listening on 127.0.0.1:"), "{plain}");
    let words: Vec<&str> = tls.trim_end_matches(')').split(' ').collect();
    let (port, pin) = (words[2].rsplit(':').next().unwrap().parse().unwrap(), *words.last().unwrap());
    let smppost = Smppost::new();
    let ended = smppost.send(&rows(5), port, &pinned(pin));
    let _ = child.kill();
    let _ = child.wait();
    ended.assert_code(0);
}

#[test]
fn probe_shows_the_smsc_and_says_what_to_check() {
    let (smsc, door, pin) = smsc(|settings| settings.system_id = Some("test".into()));
    let port = door.local_addr().port().to_string();
    let smppost = Smppost::new();
    let probe = |system_id: &str, more: &[&str]| {
        let mut arguments = vec!["probe", "--host", "localhost", "--port", &port, "--system-id", system_id];
        arguments.extend(more);
        smppost.run(&arguments)
    };
    let ended = probe("test", &pinned(&pin));
    ended.assert_code(0);
    for words in [
        "TLS: TLSv1_3",
        &pin,
        "for: localhost",
        "bound as trx",
        "smppost-smsc",
        "SMPP 3.4, and so",
        "round trips",
        "unbound\n",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
    assert!(!smppost.journal().exists());
    assert!(!ended.stdout.contains("NOT checked"), "{}", ended.said());
    let ended = probe("test", &["--tls-danger-accept-any-cert"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("certificate is NOT checked"), "{}", ended.said());
    assert!(
        ended.stdout.contains("NOT checked: this may be") && !ended.stdout.contains("to pin its key"),
        "{}",
        ended.said()
    );
    let ended = probe("other", &pinned(&pin));
    ended.assert_code(1);
    assert!(ended.stdout.contains("0x0F") && ended.stdout.contains("1. --system-id"), "{}", ended.said());
    let ended = probe("test", &["--tls"]);
    ended.assert_code(1);
    assert!(ended.stdout.contains("self-signed") && ended.stdout.contains("--tls-pin-sha256"), "{}", ended.said());
    assert_eq!(smsc.stats().submits, 0);
}

/// Whoever answers in another protocol was reached: what to check is the port and --tls, and nothing on the way there.
#[test]
fn f19_probe_at_a_port_of_another_protocol_names_only_port_and_tls() {
    // An alert of TLS 1.2, and what a web server says.
    for (answer, words) in [
        (&b"\x15\x03\x03\x00\x02\x02\x0A"[..], ["does not speak SMPP, but TLS: give --tls", "1. --tls: "]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ["does not speak SMPP, but HTTP", "1. --port: "]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut octets = [0; 256];
            assert!(stream.read(&mut octets).unwrap() > 0);
            stream.write_all(answer).unwrap();
            // Until the other side has read it.
            let _ = stream.read(&mut octets);
        });
        let arguments = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
        let ended = Smppost::new().run(&arguments);
        answering.join().unwrap();
        ended.assert_code(1);
        for words in words {
            assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
        }
        assert!(!ended.stdout.contains("whitelisting") && !ended.stdout.contains("firewall"), "{}", ended.said());
    }
}

/// The moment so many seconds from now.
fn within(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn a_last_moment_ends_sending_and_the_rest_stays_queued() {
    let (smsc, _door, _) = smsc(|_| {});
    // A slow machine may not have begun when the first of these is over.
    for seconds in [4, 20, 80] {
        let last = Smppost::new();
        let most = 20 * seconds;
        let ended = last.send(
            &rows(most as usize + 100),
            smsc.local_addr().port(),
            &["--rate", "20", "--stop-at", &within(seconds)],
        );
        ended.assert_code(130);
        let found = states(&last.journal(), "c");
        assert!(found["queued"] >= 50, "{found:?}");
        if found.contains_key("delivered") {
            return;
        }
    }
    panic!("nothing was sent before the last moment");
}

#[test]
fn sending_hours_hold_the_messages_and_let_them_go() {
    let (smsc, _door, _) = smsc(|_| {});
    let smppost = Smppost::new();
    let port = smsc.local_addr().port();
    let mut running = smppost.spawn_send(&rows(20), port, &["--start-at", &within(10)]);
    let submits = loop {
        let submits = smsc.stats().submits;
        if running.stderr().contains("waiting for --start-at until") || !running.is_running() {
            break submits;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(submits, 0, "before it said that it waits: {}", running.stderr());
    let ended = running.wait();
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    assert!(ended.stderr.contains("--start-at has come: sending"), "{}", ended.said());
    // Far away: no connection meanwhile.
    let binds = smsc.stats().binds;
    let other = Smppost::new();
    let mut running = other.spawn_send(&rows(20), port, &["--start-at", &within(7_200)]);
    running.wait_for_words("waiting for --start-at until");
    std::thread::sleep(Duration::from_millis(500));
    assert!(running.is_running() && smsc.stats().binds == binds);
    running.signal("INT");
    running.wait().assert_code(130);
    for (more, words) in [
        (["--between", "9-20"], "--between"),
        (["--days", "monday"], "--days"),
        (["--time-zone", "Mars"], "--time-zone"),
    ] {
        let ended = Smppost::new().send(&rows(1), port, &more);
        ended.assert_code(2);
        assert!(ended.stderr.contains(words), "{}", ended.said());
    }
}
