//! The page before the first bind, and the question after it.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, one, rows, states};
use std::time::Duration;

fn account(port: &str) -> [&str; 8] {
    ["--host", "127.0.0.1", "--port", port, "--system-id", "test", "--rate", "1000"]
}

fn send<'a>(csv: &'a str, port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["send", csv, "--from", "Test", "--wait-receipts", "1ms"][..], &account(port), more].concat()
}

#[test]
fn what_goes_is_said_before_it_goes() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file(
        "spring.csv",
        "to,text\n447700900001,\"Hi\u{1b}[31m Ann,\nbye\"\n447700900002,Hi Bob\n447700900003,Hi Cy\n",
    );
    let port = smsc.port().to_string();
    let ended = smppost.run(&send("spring.csv", &port, &["--limit", "2"]));
    ended.assert_code(0);
    for words in [
        "spring: 2 messages to send, 0 sent, 0 in doubt\n",
        "from Test; the first, to 447700900001: \"Hi\\u{1b}[31m Ann,",
        "As test at 127.0.0.1 port",
        "no TLS; 1000 a second, 1 connection, window 10",
        "Done: about",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
    }
    let resumed = smppost.run(&[&["resume", "--wait-receipts", "1ms"][..], &account(&port)].concat());
    resumed.assert_code(0);
    for words in ["spring: 1 message to send, 2 sent, 0 in doubt\n", "the first, to 447700900003: \"Hi Cy\""] {
        assert!(resumed.stderr.contains(words), "{words}: {}", resumed.said());
    }
    assert_eq!(smsc.ledger().len(), 3);
}

#[test]
fn several_campaigns_that_nobody_named_are_not_sent() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    smppost.file("a.csv", rows(3));
    for name in ["a", "b c"] {
        smppost.run(&["import", "a.csv", "--campaign", name, "--allow-same-file"]).assert_code(0);
    }
    let resume =
        |more: &[&str]| smppost.run(&[&["resume", "--wait-receipts", "1ms"][..], &account(&port), more].concat());
    for more in [&[][..], &["--yes"]] {
        let refused = resume(more);
        refused.assert_code(2);
        for words in ["a (3 to send)", "'b c' (3 to send)", "`smppost resume --all`", "`smppost resume a`"] {
            assert!(refused.stderr.contains(words), "{words}: {}", refused.said());
        }
    }
    let dry = resume(&["--dry-run"]);
    dry.assert_code(0);
    assert!(dry.stderr.contains("--all"), "{}", dry.said());
    assert_eq!(smsc.counts().binds, 0);
    resume(&["a"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "b c"), expected([("queued", 3)]));
    // The only one left is the one that is meant.
    resume(&[]).assert_code(0);
    for name in ["d", "e"] {
        smppost.run(&["import", "a.csv", "--campaign", name, "--allow-same-file"]).assert_code(0);
    }
    resume(&["--all"]).assert_code(0);
    assert_eq!(smsc.ledger().len(), 12);
    resume(&["--all", "a"]).assert_code(2);
}

#[test]
fn on_a_terminal_several_campaigns_are_asked_about() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    smppost.file("a.csv", rows(3));
    for name in ["a", "b"] {
        smppost.run(&["import", "a.csv", "--campaign", name, "--allow-same-file"]).assert_code(0);
    }
    let resume = [&["resume", "--wait-receipts", "1ms"][..], &account(&port)].concat();
    for (typed, code) in [("\r", 130), ("n\r", 130), ("\x04", 130), ("\x03", 130), ("y\r", 0)] {
        let terminal = smppost.at_terminal(&resume);
        terminal.wait_for("Send 6 messages of 2 campaigns? [y/N]");
        assert_eq!(smsc.counts().binds, 0);
        terminal.type_in(typed);
        let (ended, said) = terminal.wait();
        assert_eq!(ended, Some(code), "{typed:?}: {said}");
    }
    assert_eq!(smsc.ledger().len(), 6);
    assert_eq!(states(&smppost.journal(), "b").values().sum::<i64>(), 3);
}

#[test]
fn many_messages_are_asked_about_once_and_a_no_leaves_nothing() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    smppost.file("many.csv", rows(1_001));
    smppost.file("few.csv", rows(1_000));
    let arguments = send("many.csv", &port, &["--rate", "unlimited"]);
    let arguments: Vec<&str> = arguments.into_iter().filter(|word| *word != "1000").collect();
    let at = arguments.iter().position(|word| *word == "--rate").unwrap();
    let arguments = [&arguments[..at], &arguments[at + 1..]].concat();
    for typed in ["n\r", "\x04", "\x03"] {
        let terminal = smppost.at_terminal(&arguments);
        terminal.wait_for("Send 1,001 messages of many? [y/N]");
        terminal.type_in(typed);
        let (ended, said) = terminal.wait();
        assert_eq!(ended, Some(130), "{typed:?}: {said}");
        let left: Vec<_> =
            std::fs::read_dir(smppost.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{typed:?}: {left:?}");
    }
    assert_eq!(smsc.counts().binds, 0);
    // In a journal that was there nothing is left either.
    smppost.send(&rows(2), smsc.port(), &[]).assert_code(0);
    let terminal = smppost.at_terminal(&arguments);
    terminal.wait_for("[y/N]");
    terminal.type_in("n\r");
    terminal.wait();
    for table in ["campaign", "campaign_count"] {
        assert_eq!(one(&smppost.journal(), &format!("SELECT count(*) FROM {table}")), 1);
    }
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message"), 2);
    // One that is killed while it asks is undone by the next.
    let terminal = smppost.at_terminal(&arguments);
    terminal.wait_for("[y/N]");
    drop(terminal);
    let (code, said) = smppost.at_terminal(&[&arguments[..], &["--yes"]].concat()).wait();
    assert!(code == Some(0) && !said.contains("[y/N]"), "{said}");
    assert_eq!(states(&smppost.journal(), "many").values().sum::<i64>(), 1_001);
    let few = send("few.csv", &port, &["--campaign", "few"]);
    let (code, said) = smppost.at_terminal(&few).wait();
    assert!(code == Some(0) && !said.contains("[y/N]"), "{said}");
    // Without a terminal nothing is asked.
    smppost.run(&[&arguments[..], &["--campaign", "more", "--allow-same-file"]].concat()).assert_code(0);
    assert_eq!(smsc.ledger().len(), 2 + 1_001 + 1_000 + 1_001);
}

#[test]
fn a_question_in_the_background_stops_nothing() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    smppost.file("a.csv", rows(3));
    for name in ["a", "b"] {
        smppost.run(&["import", "a.csv", "--campaign", name, "--allow-same-file"]).assert_code(0);
    }
    // Started in the background: there is nobody to ask.
    let resume = format!("resume --host 127.0.0.1 --port {port} --system-id test");
    let terminal = smppost.shell_at_terminal(&format!("set -m; $SMPPOST {resume} & wait $!; echo code $?"));
    terminal.wait_for("code 2");
    drop(terminal);
    // Put there while it asks.
    let script = format!("set -m; $SMPPOST {resume}; bg >/dev/null; wait %1; echo code $?");
    let terminal = smppost.shell_at_terminal(&script);
    terminal.wait_for("[y/N]");
    terminal.type_in("\x1a");
    terminal.wait_for("code 130");
    assert_eq!(smsc.counts().binds, 0);
}

#[test]
fn a_dry_run_says_it_and_touches_nothing() {
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "");
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    smppost.file("a.csv", rows(3));
    let files = || {
        let files = std::fs::read_dir(smppost.path("")).unwrap().map(|entry| entry.unwrap());
        let files = files.filter(|file| !file.file_name().to_string_lossy().starts_with("std"));
        let mut files: Vec<_> =
            files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap_or_default())).collect();
        files.sort();
        files
    };
    let before = files();
    let dry = |command: &[&str]| smppost.run(&[command, &account(&port), &["--dry-run"]].concat());
    let said = dry(&["send", "a.csv", "--limit", "2"]);
    said.assert_code(0);
    for words in ["a: 2 messages to send, 0 sent", "the first, to 447700900000: \"Hello number 0\"", "dry run: nothing"]
    {
        assert!(said.stderr.contains(words), "{words}: {}", said.said());
    }
    assert!(files() == before);
    smppost.run(&["import", "a.csv"]).assert_code(0);
    let before = files();
    for command in [&["send", "a.csv"][..], &["resume"], &["resume", "a"]] {
        let said = dry(command);
        said.assert_code(0);
        assert!(said.stderr.contains("a: 3 messages to send, 0 sent"), "{}", said.said());
        assert!(files() == before, "{command:?}");
    }
    dry(&["send", "a.csv", "--text", "other"]).assert_code(1);
    dry(&["resume", "none"]).assert_code(1);
    smppost.run(&["resume", "--dry-run"]).assert_code(2);
    assert!(files() == before);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(smsc.counts().connections, 0);
}
