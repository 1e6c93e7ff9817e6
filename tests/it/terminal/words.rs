//! Words: harmless, and commands that can be pasted.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, number, rows, states};
use std::process::Command;
use std::time::Duration;

#[test]
fn what_was_named_is_escaped_wherever_it_is_shown() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let name = "a\u{1b}[2Jb\nc\u{202e}d";
    smppost.file("c.csv", format!("to,text,x\u{1b}y\n{},hello\n12,bad\n", number(0)));
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["import", "c.csv", "--campaign", name],
        vec!["import", "c.csv", "--campaign", name, "--text", "other\u{1b}"],
        vec!["import", name],
        vec!["list"],
        vec!["report", name],
        vec!["report", "no\u{1b}such"],
        vec!["cancel", "no\u{1b}such"],
        vec!["check", "c.csv", "--campaign", name],
        vec!["resolve", name, "--abandon"],
        vec!["suppress", "import", "no\u{1b}such"],
        vec!["list", "--journal", "no\u{1b}such"],
        vec!["send", "c.csv", "--config", "no\u{1b}such"],
        vec!["send", "c.csv", "--profile", "no\u{1b}such"],
    ];
    runs.push([&["resume", name][..], &account, &["--wait-receipts", "1s"]].concat());
    runs.push(vec!["cancel", name]);
    for arguments in runs {
        let ended = smppost.run(&arguments);
        let said = ended.said();
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{arguments:?}: {said:?}");
        assert!(!said.contains("b\nc"), "{arguments:?}: {said:?}");
    }
}

#[test]
fn proposed_commands_can_be_pasted_whatever_the_name() {
    for name in
        ["-x", "--all", "it's", "a b", "$(touch owned)", "`touch owned`", "a\u{1b}7", "é\u{202e}", "a\nb", "!x\\"]
    {
        let smppost = Smppost::new();
        smppost.file("c.csv", format!("to,text\n{},hello\n12,bad\n", number(0)));
        let campaign = format!("--campaign={name}");
        let ended = smppost.run(&["import", "c.csv", &campaign]);
        ended.assert_code(0);
        let from = ended.stderr.find("`smppost report").unwrap_or_else(|| panic!("{}", ended.said())) + 1;
        // A name may have a backquote of its own.
        let command = ended.stderr[from..].lines().next().unwrap().rsplit_once('`').unwrap().0;
        let program = env!("CARGO_BIN_EXE_smppost");
        let script = format!("smppost() {{ {program} \"$@\"; }}; {command}");
        let output = Command::new("bash").args(["-c", &script]).current_dir(smppost.path("")).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("12,bad") || shown.contains("12"), "{command}: {output:?}");
        assert!(!smppost.path("owned").exists(), "{command}");
    }
}

#[test]
fn a_refusal_of_a_value_names_its_bounds() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    let account = ["--host", "h", "--system-id", "x"];
    for (arguments, parts) in [
        (&["--window", "0"][..], &["1..=100000"][..]),
        (&["--connections", "65"], &["1..=64"]),
        (&["--rate", "0"], &["0.001", "1000000000"]),
        (&["--response-timeout", "0s"], &["1ms", "720h"]),
        (&["--response-timeout", "721h"], &["1ms", "720h"]),
        (&["--port", "0"], &["1 to 65535"]),
        (&["--limit", "0"], &["1.."]),
        (&["--field", "service_type=TOOLONG"], &["7 characters", "at most 5"]),
        (&["--field", "priority_flag=300"], &["0 to"]),
        (&["--system-type", "0123456789abcdef"], &["16 octets", "at most 12"]),
    ] {
        let ended = smppost.run(&[&["send", "c.csv"][..], &account, arguments].concat());
        ended.assert_code(2);
        for part in parts {
            assert!(ended.stderr.contains(part), "{arguments:?} {part:?}: {}", ended.said());
        }
    }
    assert!(!smppost.journal().exists());
}

#[test]
fn resume_in_an_empty_journal_says_that_it_is_empty() {
    let smppost = Smppost::new();
    smppost.run(&["suppress", "add", "447700900001"]).assert_code(0);
    let ended = smppost.run(&["resume", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"]);
    assert!(ended.stderr.contains("the journal holds no campaign yet"), "{}", ended.said());
}

#[test]
fn what_recovery_found_is_said_before_the_first_bind() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(2), ..Settings::default() });
    let mut run = smppost.spawn_send(&rows(200), smsc.port(), &["--rate", "50", "--receipts", "none"]);
    run.wait_for_words("bound to");
    std::thread::sleep(Duration::from_millis(700));
    run.kill();
    let ended = smppost.spawn_send(&rows(200), smsc.port(), &["--receipts", "none"]).wait();
    let found = ended.stderr.find("the last run crashed or was killed").unwrap_or_else(|| panic!("{}", ended.said()));
    assert!(found < ended.stderr.find("bound to").unwrap(), "{}", ended.said());
    assert!(states(&smppost.journal(), "c")["in_doubt"] > 0);
}

#[test]
fn terminals_that_cannot_go_back_in_a_line_get_plain_lines() {
    for environment in [&[("TERM", "dumb"), ("NO_COLOR", "")][..], &[("TERM", "xterm"), ("NO_COLOR", "1")]] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings::default());
        smppost.file("c.csv", rows(100));
        let port = smsc.port().to_string();
        let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "50", "--receipts", "none"]);
        let environment = [environment, &[("RUST_LOG", "info")]].concat();
        let terminal = smppost.at_terminal_of(24, 100, &arguments, &environment);
        let (code, written) = terminal.wait();
        assert_eq!(code, Some(0), "{written}");
        let is_dumb = environment.contains(&("TERM", "dumb"));
        assert_eq!(written.contains('\u{1b}'), !is_dumb, "{written:?}");
        assert!(!written.contains("\u{1b}[3") && !written.contains("\u{1b}[0;3"), "coloured: {written:?}");
    }
}

#[test]
fn the_progress_line_fits_forty_columns_and_follows_the_terminal() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(400));
    let port = smsc.port().to_string();
    let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "40", "--receipts", "none"]);
    let terminal = smppost.at_terminal_of(24, 40, &arguments, &[]);
    terminal.wait_for("bound to");
    std::thread::sleep(Duration::from_millis(4_500));
    let screen = terminal.screen();
    let line = screen.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    assert!(line.contains(" of 400 sent") && line.contains(" s left") && line.contains(" %"), "{screen}");
    terminal.resize(24, 100);
    std::thread::sleep(Duration::from_millis(900));
    let screen = terminal.screen();
    let line = screen.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    assert!(line.contains("done at ") && line.contains(" so far") && line.contains("/s"), "{screen}");
    // One line, not one for each time that it was drawn.
    assert_eq!(screen.matches(" of 400 sent").count(), 1, "{screen}");
    let (code, _) = terminal.wait();
    assert_eq!(code, Some(0));
}

#[test]
fn a_run_without_a_connection_says_since_when_and_when_it_tries_again() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(5));
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = smppost.send_arguments("c.csv", &port, &[]);
    let terminal = smppost.at_terminal_of(24, 40, &arguments, &[]);
    for words in ["not connected for 2 s", "not connected for 5 s", "next try in "] {
        terminal.wait_for(words);
    }
    terminal.type_in("\x03");
    let (code, written) = terminal.wait();
    assert_eq!(code, Some(130), "{written}");
}
