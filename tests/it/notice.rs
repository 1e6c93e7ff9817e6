//! What others are told: a program at the end (`--on-finish`), lines of JSON while it sends (`--progress json`).

use crate::common::independent_smsc::{IndependentSmsc, Outcome, Settings};
use crate::common::{PATIENCE, Running, Smppost, expected, one, rows, states};
use crate::service;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A program that keeps its summary in this file, whole or not at all.
fn keeps(file: &str) -> String {
    format!("sh -c 'cat >\"$1.new\" && mv \"$1.new\" \"$1\"' sh '{file}'")
}

/// The summary that was kept, once it is there.
#[track_caller]
fn summary(smppost: &Smppost, file: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = std::fs::read_to_string(smppost.path(file)) {
            let read: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let keys: Vec<&String> = read.as_object().unwrap().keys().collect();
            let shape = "version command exit_code ended words journal campaigns accepted refused in_doubt seconds";
            assert_eq!(keys, shape.split(' ').collect::<Vec<_>>(), "{text}");
            return read;
        }
        assert!(Instant::now() < until, "the program kept nothing in {file}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn fast() -> Settings {
    Settings { receipt_delay: Duration::ZERO, ..Settings::default() }
}

/// A run that sends slowly, and has begun to.
#[track_caller]
fn sending(smppost: &Smppost, smsc: &IndependentSmsc, more: &[&str]) -> Running {
    let run = smppost.spawn_send(&rows(3_000), smsc.port(), &[&["--rate", "50"], more].concat());
    assert!(smsc.wait_for(|ledger| ledger.len() >= 5, PATIENCE), "{}", run.stderr());
    run
}

#[test]
fn a_program_reads_what_became_of_the_run() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    let name = "kept in ü ж.json";
    let ended = smppost.send(&rows(5), smsc.port(), &["--on-finish", &keeps(name)]);
    ended.assert_code(0);
    let told = summary(&smppost, name);
    assert_eq!((&told["exit_code"], &told["ended"], &told["words"]), (&0.into(), &"done".into(), &Value::Null));
    assert_eq!((&told["command"], &told["version"]), (&"send".into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(told["journal"], smppost.journal().display().to_string());
    assert_eq!((&told["accepted"], &told["refused"], &told["in_doubt"]), (&5.into(), &0.into(), &0.into()));
    let campaign = &told["campaigns"][0];
    assert_eq!((&campaign["campaign"], &campaign["messages"]), (&"c".into(), &5.into()));
    assert_eq!((&campaign["counts"]["delivered"], &campaign["counts"]["queued"]), (&5.into(), &0.into()));
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 100.0), "{told}");
    // `resume`, which has nothing to send, and `listen`, which sends nothing.
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    smppost.run(&[&["resume", "c", "--on-finish", &keeps("r")], &account[..]].concat()).assert_code(0);
    let told = summary(&smppost, "r");
    assert_eq!((&told["command"], &told["campaigns"][0]["counts"]["delivered"]), (&"resume".into(), &5.into()));
    smppost.run(&[&["listen", "--for", "100ms", "--on-finish", &keeps("l")], &account[..]].concat()).assert_code(0);
    let told = summary(&smppost, "l");
    assert_eq!(
        (&told["command"], &told["ended"], &told["campaigns"]),
        (&"listen".into(), &"done".into(), &Value::Array(Vec::new()))
    );
}

#[test]
fn what_it_says_is_said_and_it_has_no_secret_and_nothing_that_is_open() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    smppost.file(
        "smppost.toml",
        "[other]\npassword_env = \"OTHER_WORD\"\n[other.receiver]\nhost = \"127.0.0.1\"\npassword_env = \"THIRD_WORD\"\n",
    );
    smppost.file("c.csv", rows(3));
    let port = smsc.port().to_string();
    let script = "env >env; ls -l /proc/self/fd >fds; echo to stdout; echo to stderr >&2";
    let command = format!("sh -c '{script}'");
    let more = ["--password-env", "OWN_WORD", "--on-finish", &command, "--receipts", "none"];
    let secrets = ["SMPPOST_PASSWORD", "SMPPOST_RX_PASSWORD", "OWN_WORD", "OTHER_WORD", "THIRD_WORD"];
    let environment: Vec<(&str, &str)> =
        secrets.iter().map(|name| (*name, "secret")).chain([("HARMLESS", "x")]).collect();
    let ended = smppost.run_with(&smppost.send_arguments("c.csv", &port, &more), &environment);
    ended.assert_code(0);
    assert!(ended.stdout == "to stdout\n" && ended.stderr.ends_with("to stderr\n"), "{}", ended.said());
    let kept = std::fs::read_to_string(smppost.path("env")).unwrap();
    assert!(kept.contains("HARMLESS=x\n") && kept.contains("SMPPOST_JOURNAL="), "{kept}");
    for name in secrets {
        assert!(!kept.contains(&format!("{name}=")), "{name}: {kept}");
    }
    // As many as `ls` has where this test starts it: nothing that the program has opened.
    let open = std::fs::read_to_string(smppost.path("fds")).unwrap();
    let output = Command::new("sh").args(["-c", "ls -l /proc/self/fd"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(numbers(&open), numbers(&String::from_utf8(output.stdout).unwrap()), "{open}");
    assert!(!open.contains("socket:") && !open.contains("journal"), "{open}");
}

/// The descriptors that `ls -l` lists.
fn numbers(listed: &str) -> Vec<u32> {
    let names = listed.lines().filter_map(|line| line.split(" -> ").next()?.rsplit(' ').next()?.parse().ok());
    let mut numbers: Vec<u32> = names.collect();
    numbers.sort_unstable();
    // The line of their total.
    numbers.dedup();
    assert!(numbers.len() >= 4, "{listed}");
    numbers
}

#[test]
fn the_journal_is_free_for_a_program_that_sends_the_next_campaign() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    smppost.file("next.csv", rows(4));
    let password = smppost.file("password", "secret\n");
    std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let next = format!(
        "'{}' send next.csv --allow-same-file --host 127.0.0.1 --port {} --system-id test --password-file password --from Test \
         --receipts none",
        env!("CARGO_BIN_EXE_smppost"),
        smsc.port()
    );
    let ended = smppost.send(&rows(3), smsc.port(), &["--receipts", "none", "--on-finish", &next]);
    ended.assert_code(0);
    assert!(!ended.stderr.contains("--on-finish"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "next"), expected([("accepted", 4)]), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), 7);
}

#[test]
fn what_cannot_be_run_or_would_do_nothing_is_refused_before_anything_is_sent() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    for (more, words) in [
        (&["--on-finish", "sh -c 'echo"][..], "a ' is never closed"),
        (&["--on-finish", "sh \"x"], "a \" is never closed"),
        (&["--on-finish", ""], "names no program"),
        (&["--on-finish", "no-such-program x"], "no folder of PATH has a program no-such-program"),
        (&["--on-finish", "./c.csv"], "no program that you may run"),
        (&["--on-finish", "true | true"], "no shell is run"),
        (&["--on-finish", "true", "--dry-run"], "--on-finish: not with --dry-run"),
        (&["--on-finish", "true", "--detach"], "--on-finish: not with --detach"),
        (&["--progress", "json", "--dry-run"], "--progress json: not with --dry-run"),
        (&["--progress", "json", "--detach"], "--progress json: not with --detach"),
        (&["--progress", "xml"], "invalid value 'xml'"),
    ] {
        let ended = smppost.send(&rows(3), smsc.port(), more);
        ended.assert_code(2);
        assert!(ended.words().contains(words), "{more:?}: {}", ended.said());
        assert!(!smppost.journal().exists(), "{more:?}");
        if !words.contains("not with --detach") {
            let resume = smppost.run(&[&["resume", "c"], more].concat());
            assert!(resume.code == Some(2) && resume.words().contains(words), "{}", resume.said());
        }
    }
    let alert = ["send", "--to", "+447700900001", "--text", "x", "--progress", "json"];
    let ended = smppost.run(&alert);
    ended.assert_code(2);
    assert!(ended.words().contains("--progress json: not with --to"), "{}", ended.said());
    // A program is named by whoever starts the command, not by a file that may be somebody else's.
    smppost.file("smppost.toml", "[default]\non_finish = \"true\"\n");
    let ended = smppost.send(&rows(3), smsc.port(), &[]);
    ended.assert_code(2);
    assert!(ended.words().contains("on_finish"), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), 0);
}

#[test]
fn it_runs_when_the_command_ends_badly_too() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    // Nothing was begun.
    let port = smsc.port().to_string();
    let missing = smppost.send_arguments("missing.csv", &port, &["--on-finish"]);
    let ended = smppost.run(&[&missing[..], &[&keeps("missing")]].concat());
    let told = summary(&smppost, "missing");
    assert_eq!((told["exit_code"].as_i64(), &told["ended"]), (ended.code.map(i64::from), &"error".into()));
    assert!(told["words"].as_str().is_some_and(|words| words.contains("missing.csv")), "{told}");
    assert_eq!(told["campaigns"], Value::Array(Vec::new()));
    // By Ctrl-C.
    let run = sending(&smppost, &smsc, &["--on-finish", &keeps("interrupted")]);
    // Held by that one.
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    smppost.run(&[&["resume", "c", "--on-finish", &keeps("held")], &account[..]].concat()).assert_code(75);
    let told = summary(&smppost, "held");
    assert_eq!((&told["exit_code"], &told["ended"]), (&75.into(), &"error".into()));
    assert!(told["words"].as_str().is_some_and(|words| words.contains("process")), "{told}");
    run.signal("INT");
    run.wait().assert_code(130);
    let told = summary(&smppost, "interrupted");
    assert_eq!(
        (&told["exit_code"], &told["ended"], &told["words"]),
        (&130.into(), &"interrupted".into(), &Value::Null)
    );
    let counts = &told["campaigns"][0]["counts"];
    assert!(counts["queued"].as_i64().is_some_and(|queued| queued > 2_000) && counts["sending"] == 0, "{told}");
    assert_eq!(counts["in_doubt"], told["in_doubt"]);
    // By a rule of its own.
    smppost.file("d.csv", rows(300));
    let rejecting = IndependentSmsc::start(Settings { outcome: Arc::new(|_| Outcome::Undeliverable), ..fast() });
    let port = rejecting.port().to_string();
    let more = ["--campaign", "d", "--allow-same-file", "--rate", "100", "--stop-when", "failed>20%", "--on-finish"];
    let ended = smppost
        .run(&[&smppost.send_arguments("d.csv", &port, &more)[..], &[&keeps("stopped"), "--account", "x"]].concat());
    ended.assert_code(3);
    let told = summary(&smppost, "stopped");
    assert_eq!((&told["exit_code"], &told["ended"]), (&3.into(), &"stopped".into()));
    assert!(told["words"].as_str().is_some_and(|words| words.contains("--stop-when 'failed>20%'")), "{told}");
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_the_program_is_told() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(20), ..Settings::default() });
    let keeps = keeps("told");
    let more = ["--rate", "50", "--response-timeout", "60s", "--on-finish", &keeps, "--progress", "json"];
    let mut run = smppost.spawn_send(&rows(3_000), smsc.port(), &more);
    run.wait_for_words("bound to");
    std::thread::sleep(Duration::from_millis(300));
    run.signal("INT");
    std::thread::sleep(Duration::from_millis(300));
    let before = Instant::now();
    run.signal("INT");
    let ended = run.wait_at_most(Duration::from_secs(20));
    ended.assert_code(130);
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    let told = summary(&smppost, "told");
    assert_eq!((&told["exit_code"], &told["ended"]), (&130.into(), &"interrupted".into()));
    assert_eq!(told["campaigns"][0]["messages"], 3_000, "{told}");
    assert!(ended.stdout.ends_with("\"ended\":true}\n"), "{}", ended.said());
}

#[test]
fn ctrl_c_twice_at_a_terminal_starts_it_too() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(20), ..Settings::default() });
    smppost.file("c.csv", rows(500));
    let (port, keeps) = (smsc.port().to_string(), keeps("told"));
    let more = ["--rate", "50", "--response-timeout", "60s", "--yes", "--on-finish", &keeps];
    let terminal = smppost.at_terminal(&smppost.send_arguments("c.csv", &port, &more));
    terminal.wait_for("bound to");
    std::thread::sleep(Duration::from_millis(300));
    terminal.type_in("\x03");
    std::thread::sleep(Duration::from_millis(300));
    let before = Instant::now();
    terminal.type_in("\x03");
    let (code, written) = terminal.wait();
    assert_eq!(code, Some(130), "{written}");
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(summary(&smppost, "told")["ended"], "interrupted");
}

#[test]
fn an_error_in_the_middle_of_a_run_is_told_in_its_words() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    smppost.file("c.csv", rows(300));
    let (port, keeps) = (smsc.port().to_string(), keeps("told"));
    let more = ["--rate", "100", "--receipts", "none", "--on-finish", &keeps, "--progress", "json"];
    let arguments = smppost.send_arguments("c.csv", &port, &more);
    let ended = smppost.run_with(&arguments, &[("SMPPOST_FAILPOINT", "claim=error@10")]);
    ended.assert_code(1);
    let told = summary(&smppost, "told");
    assert_eq!((&told["exit_code"], &told["ended"]), (&1.into(), &"error".into()));
    assert!(told["words"].as_str().is_some_and(|words| ended.stderr.contains(words)), "{told}\n{}", ended.said());
    let counts = &told["campaigns"][0]["counts"];
    assert!(counts["accepted"].as_i64() > Some(0) && counts["queued"].as_i64() > Some(0), "{told}");
    assert!(ended.stdout.ends_with("\"ended\":true}\n"), "{}", ended.said());
}

#[test]
fn a_terminal_that_closes_may_say_so_twice() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let run = sending(&smppost, &smsc, &["--on-finish", "sh -c 'echo >begun; sleep 1; cat >told'"]);
    run.signal("HUP");
    let until = Instant::now() + PATIENCE;
    while !smppost.path("begun").exists() {
        assert!(Instant::now() < until, "{}", run.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
    run.signal("HUP");
    let ended = run.wait();
    ended.assert_code(130);
    assert!(!ended.stderr.contains("--on-finish"), "{}", ended.said());
    assert_eq!(summary(&smppost, "told")["ended"], "interrupted");
}

#[test]
fn what_may_cost_no_more_is_stopped_and_the_words_say_why() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    smppost.file("prices.csv", "prefix,price,currency\n44,1,EUR\n");
    let keeps = keeps("told");
    let more = ["--prices", "prices.csv", "--max-cost", "2 EUR", "--receipts", "none", "--on-finish", &keeps];
    let ended = smppost.send(&rows(5), smsc.port(), &more);
    ended.assert_code(3);
    let told = summary(&smppost, "told");
    assert_eq!((&told["ended"], &told["campaigns"][0]["counts"]["queued"]), (&"stopped".into(), &3.into()), "{told}");
    assert!(told["words"].as_str().is_some_and(|words| words.contains("cost")), "{told}");
}

#[test]
fn what_becomes_of_the_program_changes_no_exit_code() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    for (n, (command, words)) in [
        ("sh -c 'exit 9'", "--on-finish: sh has failed with exit code 9; the exit code stays 0"),
        ("sh -c 'kill -9 $$'", "--on-finish: sh was ended by signal SIGKILL; the exit code stays 0"),
        ("true", ""),
        ("sh -c 'exec <&-; sleep 0.1'", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let campaign = format!("c{n}");
        let more = ["--campaign", &campaign, "--allow-same-file", "--receipts", "none", "--on-finish", command];
        let ended = smppost.send(&rows(2), smsc.port(), &more);
        ended.assert_code(0);
        let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("--on-finish")).collect();
        assert_eq!(said.join("\n"), words, "{}", ended.said());
    }
    // It writes more than any pipe takes, and is waited for.
    let much = "sh -c 'head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2; sleep 0.5; echo end'";
    let more = ["--campaign", "much", "--allow-same-file", "--receipts", "none", "--on-finish", much];
    let ended = smppost.send(&rows(2), smsc.port(), &more);
    ended.assert_code(0);
    assert!(ended.stdout.len() == 1_048_576 + 4 && ended.stdout.ends_with("end\n"), "{} octets", ended.stdout.len());
    assert!(ended.stderr.len() >= 1_048_576, "{} octets", ended.stderr.len());
    // One that sleeps is told to end by a signal that comes meanwhile.
    let sleeps = "sh -c 'echo begun >begun; exec sleep 1000'";
    let more = ["--campaign", "sleeps", "--allow-same-file", "--receipts", "none", "--on-finish", sleeps];
    let mut run = smppost.spawn_send(&rows(2), smsc.port(), &more);
    let until = Instant::now() + PATIENCE;
    while !smppost.path("begun").exists() {
        assert!(run.is_running() && Instant::now() < until, "{}", run.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
    run.signal("INT");
    let ended = run.wait_at_most(Duration::from_secs(20));
    ended.assert_code(0);
    assert!(ended.words().contains("--on-finish: sh: a signal came before it had ended"), "{}", ended.said());
}

#[test]
fn a_hostile_name_is_harmless_in_the_summary() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    let name = "a\"b\\ $(id) \u{1b}]0;x\u{7}\u{202e} é😀\n";
    let more = ["--campaign", name, "--receipts", "none", "--on-finish", &keeps("told"), "--progress", "json"];
    let ended = smppost.send(&rows(2), smsc.port(), &more);
    ended.assert_code(0);
    assert_eq!(summary(&smppost, "told")["campaigns"][0]["campaign"], name, "{}", ended.said());
    let text = std::fs::read_to_string(smppost.path("told")).unwrap();
    assert!(text.lines().count() == 1 && !text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
}

#[test]
fn beside_a_service_it_runs_when_the_following_ends() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let service = service::start(&smppost, smsc.port(), &["--rate", "50"]);
    smppost.file("c.csv", rows(100));
    let more = ["--on-finish", &keeps("told"), "--progress", "json"];
    let ended = smppost.run(&[&["send", "c.csv", "--from", "Test"], &more[..]].concat());
    ended.assert_code(0);
    let told = summary(&smppost, "told");
    assert_eq!((&told["ended"], &told["campaigns"][0]["counts"]["delivered"]), (&"done".into(), &100.into()), "{told}");
    let lines = lines(&ended.stdout);
    assert!(lines.len() >= 2, "{}", ended.said());
    assert!(lines.iter().all(|line| line["bound"].is_null() && line["throttled"].is_null()), "{}", ended.said());
    assert_eq!((&lines[lines.len() - 1]["sent"], &lines[lines.len() - 1]["percent"]), (&100.into(), &100.into()));
    // An alert.
    let alert = ["send", "--to", "+447700900001", "--text", "Pump", "--from", "Test", "--on-finish", &keeps("alert")];
    smppost.run(&alert).assert_code(0);
    assert_eq!(summary(&smppost, "alert")["campaigns"][0]["messages"], 1);
    // Following that is interrupted: the service goes on.
    smppost.file("d.csv", rows(400));
    let send = ["send", "d.csv", "--from", "Test", "--allow-same-file", "--on-finish", &keeps("left")];
    let send = smppost.spawn(&send);
    service::wait_until(&smppost, "SELECT count(*) FROM attempt_log WHERE campaign = 'd'", |sent| sent > 5);
    send.signal("INT");
    send.wait().assert_code(130);
    let told = summary(&smppost, "left");
    assert_eq!((&told["ended"], &told["exit_code"]), (&"interrupted".into(), &130.into()));
    // A rehearsal beside it, and whoever listens, is held.
    let port = smsc.port().to_string();
    let listen =
        ["listen", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--on-finish", &keeps("held")];
    smppost.run(&listen).assert_code(75);
    assert_eq!(summary(&smppost, "held")["ended"], "error");
    service::stop(service);
}

/// The lines of JSON, each of the same shape, of which the last says that it is.
#[track_caller]
fn lines(stdout: &str) -> Vec<Value> {
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect();
    let shape = "percent sent total accepted rate seconds_left refused throttled in_doubt bound ended";
    for (n, line) in lines.iter().enumerate() {
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, shape.split(' ').collect::<Vec<_>>());
        assert_eq!(line["ended"], n + 1 == lines.len(), "{stdout}");
    }
    lines
}

#[test]
fn progress_is_a_line_of_json_each_second_and_one_at_the_end() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(fast());
    let more = ["--rate", "50", "--receipts", "none", "--progress", "json"];
    let ended = smppost.send(&rows(250), smsc.port(), &more);
    ended.assert_code(0);
    let lines = lines(&ended.stdout);
    // 250 at 50 a second take 4 s at least.
    let most = ended.took.as_secs() as usize + 2;
    assert!((4..=most).contains(&lines.len()), "{}", ended.said());
    let sent: Vec<i64> = lines.iter().map(|line| line["sent"].as_i64().unwrap()).collect();
    assert!(sent.is_sorted() && sent.iter().any(|sent| (1..250).contains(sent)), "{sent:?}");
    let under_way = lines.iter().find(|line| line["seconds_left"].as_i64() > Some(0)).expect("one that knows the end");
    assert!(under_way["rate"].as_f64().is_some_and(|rate| (10.0..=60.0).contains(&rate)), "{under_way}");
    assert_eq!((&under_way["bound"], &under_way["total"]), (&1.into(), &250.into()));
    let last = lines.last().unwrap();
    assert_eq!((&last["percent"], &last["sent"], &last["accepted"]), (&100.into(), &250.into(), &250.into()));
    assert_eq!((&last["seconds_left"], &last["refused"], &last["in_doubt"]), (&0.into(), &0.into(), &0.into()));
    // The words for people are where they were.
    assert!(ended.words().contains("c: 250 messages") && ended.words().contains("bound to"), "{}", ended.said());
    // Without anything to send, and with an error: one line.
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--progress", "json"];
    let ended = smppost.run(&[&["resume", "c"], &account[..]].concat());
    ended.assert_code(0);
    let last = ended.stdout.lines().last().unwrap_or_default();
    assert!(last.contains(r#""percent":100"#) && last.ends_with(r#""ended":true}"#), "{}", ended.said());
    let ended = smppost.run(&[&["resume", "nobody"], &account[..]].concat());
    ended.assert_code(1);
    assert!(ended.stdout.starts_with(r#"{"percent":null,"#) && ended.stdout.lines().count() == 1, "{}", ended.said());
}

#[test]
fn on_a_terminal_nothing_is_drawn_anew_beside_lines_of_json() {
    for (more, draws) in [(&["--progress", "json"][..], false), (&["--progress", "auto"], true)] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(fast());
        smppost.file("c.csv", rows(100));
        let port = smsc.port().to_string();
        let more = [&["--rate", "50", "--receipts", "none", "--yes"], more].concat();
        let terminal = smppost.at_terminal(&smppost.send_arguments("c.csv", &port, &more));
        let (code, written) = terminal.wait();
        assert_eq!(code, Some(0), "{written}");
        assert_eq!(written.contains("\x1b[K"), draws, "{written:?}");
        assert_eq!(written.contains(r#""ended":true}"#), !draws, "{written:?}");
    }
}

fn full_pipe() -> (Stdio, Option<OwnedFd>) {
    let (reading, writing) = std::io::pipe().unwrap();
    let writing = OwnedFd::from(writing);
    let flags = rustix::fs::fcntl_getfl(&writing).unwrap();
    rustix::fs::fcntl_setfl(&writing, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writing, &[b'.'; 4_096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writing, flags).unwrap();
    (Stdio::from(writing), Some(reading.into()))
}

fn broken_pipe() -> (Stdio, Option<OwnedFd>) {
    (Stdio::from(OwnedFd::from(std::io::pipe().unwrap().1)), None)
}

fn full_device() -> (Stdio, Option<OwnedFd>) {
    (Stdio::from(File::options().write(true).open("/dev/full").unwrap()), None)
}

#[test]
fn a_reader_that_does_not_read_or_is_gone_and_a_full_disk_delay_nothing() {
    for (name, stdout, words) in [
        ("a full pipe that nobody reads", full_pipe as fn() -> (Stdio, Option<OwnedFd>), 0),
        ("a broken pipe", broken_pipe, 0),
        ("/dev/full", full_device, 1),
    ] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(fast());
        smppost.file("c.csv", rows(150));
        let port = smsc.port().to_string();
        let keeps = keeps("told");
        let more = ["--rate", "50", "--receipts", "none", "--progress", "json", "--on-finish", &keeps];
        let (stdout, kept) = stdout();
        let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
            .args(smppost.send_arguments("c.csv", &port, &more))
            .current_dir(smppost.path(""))
            .env("SMPPOST_JOURNAL", smppost.journal())
            .env("HOME", smppost.path(""))
            .env("SMPPOST_PASSWORD", "secret")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}: {said}");
        assert!(started.elapsed() < Duration::from_secs(30), "{name}: {:?}", started.elapsed());
        drop(kept);
        assert_eq!(said.matches("--progress json: nothing can be written to stdout").count(), words, "{name}: {said}");
        assert_eq!(one(&smppost.journal(), "SELECT accepted FROM campaign_summary"), 150, "{name}");
        let took = smsc.ledger().iter().map(|submit| submit.at).max().unwrap() - started;
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
        assert_eq!(summary(&smppost, "told")["exit_code"], 0, "{name}");
    }
}
