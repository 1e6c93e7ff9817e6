//! How connections are made, kept and shared: versions, bind modes, hosts, limits. Against the built-in simulator.
use crate::common::{Running, Smppost, expected, long_rows, one, open, rows, states};
use smppost::smsc::{Faults, Settings, Smsc};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn smsc(change: impl FnOnce(&mut Settings)) -> Smsc {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

/// How the sessions of a run were bound, in order.
fn binds(smppost: &Smppost) -> Vec<String> {
    let journal = open(&smppost.journal());
    let mut query = journal.prepare("SELECT bind || ' ' || smpp_version FROM session ORDER BY bind").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_version_and_mode_delivers_or_says_why_not() {
    for (version, bind, connections, all, state) in [
        ("3.3", "tx+rx", "2", &["rx 3.3", "tx 3.3"][..], "delivered"),
        ("3.3", "tx", "1", &["tx 3.3"], "accepted"),
        ("3.4", "trx", "2", &["trx 3.4", "trx 3.4"], "delivered"),
        ("3.4", "tx+rx", "4", &["rx 3.4", "rx 3.4", "tx 3.4", "tx 3.4"], "delivered"),
        ("5.0", "trx", "1", &["trx 5.0"], "delivered"),
    ] {
        let smsc = smsc(|settings| settings.max_connections = 4);
        let smppost = Smppost::new();
        let port = smsc.local_addr().port();
        let more = ["--smpp-version", version, "--bind", bind, "--connections", connections, "--wait-receipts", "10m"];
        let ended = smppost.send(&long_rows(40), port, &more);
        ended.assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([(state, 40)]), "{version} {bind}: {}", ended.said());
        assert_eq!(binds(&smppost), all);
        assert_eq!(smsc.stop().accepted, 120);
        // The parts of a message go over one session, in order.
        let torn =
            "SELECT count(*) FROM (SELECT line FROM attempt_log GROUP BY line HAVING count(DISTINCT session_id) > 1)";
        assert_eq!(one(&smppost.journal(), torn), 0);
        if bind == "tx" {
            assert!(ended.stderr.contains("receipts cannot come"), "{}", ended.said());
            assert!(ended.took < Duration::from_secs(60), "receipts were waited for");
        }
    }
}

#[test]
fn f15_modes_that_cannot_work_are_refused() {
    let smppost = Smppost::new();
    for (more, words) in [
        (&["--smpp-version", "3.3"][..], "--bind tx+rx"),
        (&["--bind", "tx+rx", "--connections", "3"], "even number"),
        (&["--bind", "rx"], "receives only"),
        (&["--window", "0"], "--window"),
        (&["--rate", "-1"], "--rate"),
        (&["--connections", "0"], "--connections"),
        (&["--tls-pin-sha256", "12"], "64 hexadecimal digits"),
        (&["--tls-ca", "nowhere.pem"], "--tls-ca"),
        (&["--status", "0x45=lost"], "none of throttled"),
        (&["--inactivity-timeout", "5"], "--inactivity-timeout"),
    ] {
        let ended = smppost.send(&rows(1), 9, more);
        ended.assert_code(2);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
        assert!(!smppost.journal().exists(), "{more:?}: something was written");
    }
}

#[test]
fn f13_a_long_password_is_refused_where_the_operator_is_strict() {
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "123456789");
    let ended = smppost.send(&rows(1), 9, &["--strict-password"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("9 octets") && !ended.stderr.contains("123456789"), "{}", ended.said());
}

#[test]
fn a_version_without_optional_parameters_sends_none() {
    let smsc = smsc(|_| {});
    let smppost = Smppost::new();
    let more = ["--smpp-version", "3.3", "--bind", "tx+rx", "--field", "tlv:0x1400=1"];
    let ended = smppost.send(&rows(3), smsc.local_addr().port(), &more);
    ended.assert_code(1);
    assert!(ended.stderr.contains("--smpp-version 3.4"), "{}", ended.said());
    assert_eq!(smsc.stop().submits, 0);
}

#[test]
fn plain_text_to_another_host_is_warned_of_once() {
    let smppost = Smppost::new();
    let arguments = |host: &'static str| {
        [
            "send",
            "c.csv",
            "--port",
            "9",
            "--system-id",
            "test",
            "--give-up-after",
            "1ms",
            "--connect-timeout",
            "1s",
            "--host",
            host,
        ]
    };
    smppost.file("c.csv", rows(1));
    // An address that is kept for examples: nobody is there.
    let ended = smppost.run(&arguments("192.0.2.1"));
    assert_eq!(ended.stderr.matches("in the clear").count(), 1, "{}", ended.said());
    // Like all else that is said, with neither moment nor module; both are there for whoever asks for the log.
    let warning = "warning: the password and all messages travel to 192.0.2.1 in the clear: use --tls";
    assert!(ended.stderr.lines().any(|line| line.starts_with(warning)), "{}", ended.said());
    let ended = smppost.run_with(&arguments("192.0.2.1"), &[("RUST_LOG", "warn")]);
    assert!(ended.stderr.contains(" WARN ") && ended.stderr.contains("smppost::cli"), "{}", ended.said());
    let ended = smppost.run(&arguments("127.0.0.1"));
    assert!(!ended.stderr.contains("in the clear"), "{}", ended.said());
}

#[test]
fn f21_the_next_host_is_tried_at_once_and_all_are_named_when_none_answers() {
    let smsc = smsc(|_| {});
    let port = smsc.local_addr().port().to_string();
    let no_name = "127.0.0.2,nobody.invalid";
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(20));
    let ended = smppost.run(&[
        "send",
        "c.csv",
        "--campaign",
        "c",
        "--system-id",
        "test",
        "--port",
        &port,
        "--rate",
        "unlimited",
        "--host",
        no_name,
        "--host",
        "127.0.0.1",
    ]);
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    let ended = smppost.run(&[
        "send",
        "c.csv",
        "--system-id",
        "test",
        "--port",
        &port,
        "--host",
        "127.0.0.2,127.0.0.3",
        "--give-up-after",
        "1s",
    ]);
    ended.assert_code(1);
    assert!(ended.stderr.contains("127.0.0.2:") && ended.stderr.contains("127.0.0.3:"), "{}", ended.said());
}

/// Passes connections on to `port`; the first of them is cut after `life`, and then no more are taken.
fn proxy(port: u16, life: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let mut buffer = vec![0; 16_384];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    };
    std::thread::spawn(move || {
        let mut first = None;
        for _ in 0..2 {
            let client = listener.accept().unwrap().0;
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            first.get_or_insert_with(|| client.try_clone().unwrap());
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
        drop(listener);
        std::thread::sleep(life);
        let _ = first.unwrap().shutdown(Shutdown::Both);
    });
    own
}

#[test]
fn f18_with_one_of_two_connections_lost_the_other_uses_the_whole_rate() {
    let smsc = smsc(|_| {});
    let port = proxy(smsc.local_addr().port(), Duration::from_secs(3));
    let smppost = Smppost::new();
    let mut running = smppost.spawn_send(&rows(480), port, &["--connections", "2", "--rate", "40"]);
    let started = Instant::now();
    while smsc.stats().bound < 2 {
        assert!(started.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    while smsc.stats().bound == 2 {
        assert!(running.is_running(), "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Half of it is what one connection had before. A busy machine loses tokens now and then, and not in each second.
    let best = best_rate(&smsc, &mut running, Duration::from_secs(1));
    let ended = running.wait();
    assert!(best >= 30.0, "{best}/s over one connection\n{}", ended.said());
    // What was cut in the midst is in doubt, and nothing else.
    let found = states(&smppost.journal(), "c");
    assert!(found.get("in_doubt").copied().unwrap_or_default() <= 10, "{found:?}");
    assert_eq!(found.values().sum::<i64>(), 480);
}

/// Until the run ends: the most that the SMSC accepted a second, over so long a time.
fn best_rate(smsc: &Smsc, running: &mut Running, over: Duration) -> f64 {
    let (mut seen, mut best) = (VecDeque::new(), 0.0_f64);
    while running.is_running() {
        let (now, accepted) = (Instant::now(), smsc.stats().accepted);
        seen.push_back((now, accepted));
        while let Some((then, before)) = seen.front().filter(|(then, _)| now.duration_since(*then) >= over) {
            best = best.max((accepted - before) as f64 / now.duration_since(*then).as_secs_f64());
            seen.pop_front();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    best
}

#[test]
fn f24_a_lower_limit_is_found_used_and_kept_for_the_next_run() {
    let smsc = smsc(|settings| settings.rate = Some(20));
    let smppost = Smppost::new();
    let port = smsc.local_addr().port();
    let running = smppost.spawn_send(&rows(600), port, &["--rate", "100"]);
    while smsc.stats().submits == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(10));
    let (settled_at, settled) = (Instant::now(), smsc.stats());
    std::thread::sleep(Duration::from_secs(15));
    let (now, seconds) = (smsc.stats(), settled_at.elapsed().as_secs_f64());
    let (accepted, throttled) = (now.accepted - settled.accepted, now.throttled - settled.throttled);
    let ended = running.wait();
    ended.assert_code(0);
    let (rate, share) = (accepted as f64 / seconds, throttled as f64 / (accepted + throttled) as f64);
    eprintln!("{rate:.1}/s of 20, {:.1}% throttled, {} throttled in all", share * 100.0, smsc.stats().throttled);
    // How near it comes is told by the tests of the pacer, which have no clock. A hundred a second, undiminished, would be
    // four refusals out of five.
    assert!(rate >= 8.0, "{rate}/s");
    assert!(share < 0.4, "{share}");
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 600)]));
    assert!(ended.stderr.contains("the SMSC takes about"), "{}", ended.said());
    // Throttled messages take turns with new ones: each was done soon after its first try, and not when all else was. What
    // chance refuses twice waits a quarter of a minute by then, as it may be the number's own refusal.
    let longest = "SELECT max(latest - earliest) FROM (SELECT max(julianday(answered_at)) * 86400 latest,
                   min(julianday(claimed_at)) * 86400 earliest FROM attempt_log GROUP BY line HAVING count(*) = 2)";
    let longest = one_real(&smppost, longest);
    assert!(longest > 0.0 && longest < ended.took.as_secs_f64() / 2.0, "{longest} s of {:?}", ended.took);
    // The next run begins where this one ended.
    let before = smsc.stats().throttled;
    let ended = smppost.send(&rows(60), port, &["--rate", "100", "--campaign", "d"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("an earlier run found"), "{}", ended.said());
    let throttled = smsc.stats().throttled - before;
    assert!(throttled <= 20, "{throttled} of 60");
}

fn one_real(smppost: &Smppost, sql: &str) -> f64 {
    open(&smppost.journal()).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn f25_the_operators_rules_beat_the_built_in_ones() {
    let faulty = |fault: &str| {
        let mut faults = Faults::default();
        faults.set(fault).unwrap();
        smsc(|settings| settings.faults = faults)
    };
    // As a rule temporary.
    let (smsc, smppost) = (faulty("error=0x45"), Smppost::new());
    let ended = smppost.send(&rows(5), smsc.local_addr().port(), &["--status", "0x45=permanent"]);
    ended.assert_code(3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("rejected", 5)]));
    assert_eq!(smsc.stop().submits, 5);
    // As a rule permanent; three tries.
    let (smsc, smppost) = (faulty("error=0x65"), Smppost::new());
    let ended = smppost.send(&rows(5), smsc.local_addr().port(), &["--status", "0x65=temporary:50ms,100ms"]);
    ended.assert_code(3);
    assert_eq!(smsc.stop().submits, 15);
    let (smsc, smppost) = (faulty("error=0x64"), Smppost::new());
    let ended = smppost.send(&rows(5), smsc.local_addr().port(), &["--retry-delays", "50ms"]);
    ended.assert_code(3);
    assert_eq!(smsc.stop().submits, 10);
}

#[test]
fn f25_a_restart_neither_forgives_nor_adds_tries() {
    let mut faults = Faults::default();
    faults.set("error=0x64").unwrap();
    let (smsc, smppost) = (smsc(|settings| settings.faults = faults), Smppost::new());
    // Seven tries within a moment, and then a long wait.
    let delays = ["--retry-delays", "20ms,20ms,20ms,20ms,20ms,20ms,1h"];
    let running = smppost.spawn_send(&rows(2), smsc.local_addr().port(), &delays);
    let until = Instant::now() + crate::common::PATIENCE;
    while smsc.stats().submits < 14 {
        assert!(Instant::now() < until, "{}", smsc.stats().submits);
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("INT");
    running.wait().assert_code(130);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2)]));
    let port = smsc.local_addr().port().to_string();
    let account = ["--host", "127.0.0.1", "--system-id", "test", "--port", &port];
    smppost.run(&[&["resume", "c"][..], &account, &delays].concat()).assert_code(3);
    assert_eq!(smsc.stats().submits, 16, "the eighth try is the last, restart or not");
    assert_eq!(states(&smppost.journal(), "c"), expected([("rejected", 2)]));
    // What the operator has tried again begins anew.
    let more = ["--retry-rejected", "--retry-delays", "20ms,20ms"];
    smppost.run(&[&["resume", "c"][..], &account, &more].concat()).assert_code(3);
    assert_eq!(smsc.stats().submits, 22);
}

#[test]
fn a_session_on_which_nothing_passes_is_left_for_another() {
    let smsc = smsc(|settings| settings.receipt_delay = "4s".parse().unwrap());
    let smppost = Smppost::new();
    let ended = smppost.send(&rows(3), smsc.local_addr().port(), &["--inactivity-timeout", "1s"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("inactivity timeout (1s)"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    assert!(smsc.stats().binds >= 2);
}

#[test]
fn a_connection_that_is_one_too_many_ends_nothing() {
    let smsc = smsc(|settings| {
        settings.max_connections = 1;
        settings.receipt_delay = "3s".parse().unwrap();
    });
    let smppost = Smppost::new();
    let more = ["--connections", "2", "--give-up-after", "500ms"];
    let ended = smppost.send(&rows(3), smsc.local_addr().port(), &more);
    ended.assert_code(0);
    assert!(!ended.stderr.contains("given up") && !ended.stderr.contains("without it"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
}

#[test]
fn receipts_are_fetched_outside_the_sending_hours() {
    let smsc = smsc(|settings| settings.receipt_delay = "1s".parse().unwrap());
    let smppost = Smppost::new();
    let port = smsc.local_addr().port();
    smppost.send(&rows(3), port, &["--wait-receipts", "1ms"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 3)]));
    let port = port.to_string();
    let account = ["resume", "--host", "127.0.0.1", "--system-id", "test", "--port", &port];
    let ended = smppost.run(&[&account[..], &["--start-at", "2099-01-01T00:00", "--wait-receipts", "9s"]].concat());
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    assert!(ended.took < Duration::from_secs(8), "{}", ended.said());
}
