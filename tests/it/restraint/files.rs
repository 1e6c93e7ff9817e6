//! Where rows come from: pipes, the same file again under another name, files that are still being written.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, one, rows};
use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Imports what stands in `from`, as a shell would with `<` or `|`.
fn import_stdin(smppost: &Smppost, from: Stdio, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smppost"))
        .arg("import")
        .args(arguments)
        .env("SMPPOST_JOURNAL", smppost.journal())
        .env("HOME", smppost.path(""))
        .current_dir(smppost.path(""))
        .stdin(from)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A pipe into which somebody writes the rows.
fn fifo(smppost: &Smppost, name: &str, rows: &str) -> std::thread::JoinHandle<()> {
    let path = smppost.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let rows = rows.to_owned();
    std::thread::spawn(move || {
        // Nobody may come to read it.
        let _ = File::options().write(true).open(path).and_then(|mut pipe| pipe.write_all(rows.as_bytes()));
    })
}

#[test]
fn what_is_no_file_needs_a_name() {
    let smppost = Smppost::new();
    smppost.file("list.csv", rows(3));
    let _writer = fifo(&smppost, "pipe", &rows(3));
    let list = || Stdio::from(File::open(smppost.path("list.csv")).unwrap());
    for path in ["-", "pipe", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/null"] {
        let output = import_stdin(&smppost, list(), &[path]);
        assert_eq!(output.status.code(), Some(2), "{path}: {}", said(&output));
        assert!(said(&output).contains("give --campaign NAME"), "{path}: {}", said(&output));
    }
    assert!(!smppost.journal().exists());
    let send = ["send", "pipe", "--host", "127.0.0.1", "--system-id", "test"];
    smppost.run(&send).assert_code(2);
    smppost.run(&["check", "pipe"]).assert_code(2);
    // With a name all of them are read.
    for (path, from) in [("-", list()), ("/dev/stdin", list()), ("/dev/fd/0", list()), ("pipe", Stdio::null())] {
        let name = path.replace('/', "");
        let output = import_stdin(&smppost, from, &[path, "--campaign", &name, "--allow-same-file"]);
        assert_eq!(output.status.code(), Some(0), "{path}: {}", said(&output));
    }
    assert_eq!(one(&smppost.journal(), "SELECT sum(messages) FROM campaign_summary"), 12);
    // The same name again is the same campaign.
    let output = import_stdin(&smppost, list(), &["-", "--campaign", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("in the journal already"), "{}", said(&output));
    assert_eq!(one(&smppost.journal(), "SELECT sum(messages) FROM campaign_summary"), 12);
}

#[test]
fn the_same_again_under_another_name_is_refused_without_a_terminal() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(60), smsc.port(), &[]).assert_code(0);
    let port = smsc.port().to_string();
    let plain = rows(60);
    let mut reversed: Vec<&str> = plain.lines().skip(1).collect();
    reversed.reverse();
    let variants = [
        ("same.csv", plain.clone()),
        ("crlf.csv", plain.replace('\n', "\r\n")),
        ("mark.csv", format!("\u{feff}{plain}")),
        ("semicolon.csv", plain.replace(",\"", ";\"").replace("to,text", "to;text")),
        ("order.csv", format!("to,text\n{}\n", reversed.join("\n"))),
        ("column.csv", plain.replace("to,text", "to,text,note").replace("\"\n", "\",\n")),
    ];
    for (name, contents) in variants {
        smppost.file(name, contents);
        let again = ["send", name, "--from", "Test", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
        let ended = smppost.run(&again);
        ended.assert_code(2);
        for words in ["campaign c (imported ", "60 of 60 messages sent", "`smppost resume c`", "--allow-same-file"] {
            assert!(ended.stderr.contains(words), "{name}: {words}: {}", ended.said());
        }
        let check = smppost.run(&["check", name, "--from", "Test"]);
        check.assert_code(0);
        assert!(check.stderr.contains("campaign c (imported "), "{}", check.said());
    }
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 1);
    assert_eq!(smsc.ledger().len(), 60);
    // Another sender, text or field is another message: that the file is the same is only said.
    for (n, more) in
        [["--from", "Other"], ["--text", "This week: {text}"], ["--field", "priority_flag=1"]].iter().enumerate()
    {
        let name = format!("weekly-{n}");
        let from = if more[0] == "--from" { more[1] } else { "Test" };
        let mut arguments = vec!["import", "same.csv", "--campaign", &name, "--from", from];
        if more[0] != "--from" {
            arguments.extend(more);
        }
        let told = smppost.run(&arguments);
        told.assert_code(0);
        assert!(told.stderr.contains("note: the same file is that of campaign c (imported"), "{}", told.said());
    }
    // Who says so sends it again.
    let mut arguments = smppost.send_arguments("same.csv", &port, &["--campaign", "again", "--allow-same-file"]);
    arguments.retain(|argument| *argument != "c");
    smppost.run(&arguments).assert_code(0);
    assert_eq!(smsc.finish().submits.len(), 120);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_was_cancelled_before_any_of_it_was_sent_may_come_again() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(5));
    smppost.run(&["import", "c.csv"]).assert_code(0);
    // Queued, it would go as well.
    smppost.run(&["import", "c.csv", "--campaign", "d"]).assert_code(2);
    smppost.run(&["cancel", "c"]).assert_code(0);
    let told = smppost.run(&["import", "c.csv", "--campaign", "d"]);
    told.assert_code(0);
    assert!(told.stderr.contains("note: these are the messages of campaign c"), "{}", told.said());
}

#[test]
fn at_a_terminal_it_is_asked() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(5));
    smppost.run(&["import", "c.csv"]).assert_code(0);
    for (typed, code, campaigns) in [("n\r", 1, 1), ("\r", 1, 1), ("y\r", 0, 2)] {
        let terminal = smppost.at_terminal(&["import", "c.csv", "--campaign", "d"]);
        terminal.wait_for("under this name too? [y/N]");
        // While it is asked, others use the journal.
        smppost.run(&["suppress", "add", "447700900999"]).assert_code(0);
        terminal.type_in(typed);
        let (ended, written) = terminal.wait();
        assert_eq!(ended, Some(code), "{written}");
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), campaigns);
    }
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_file_that_is_being_written_is_refused_and_taken_when_it_stands_still() {
    let smppost = Smppost::new();
    let path = smppost.file("c.csv", "to,text\n");
    let mut file = File::options().append(true).open(&path).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                write!(file, "4477009{n:05},half a te").unwrap();
                std::thread::sleep(Duration::from_millis(250));
                writeln!(file, "xt").unwrap();
                std::thread::sleep(Duration::from_millis(250));
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // As an editor leaves it.
                    write!(file, "447799999999,the last").unwrap();
                    break;
                }
            }
        });
        std::thread::sleep(Duration::from_millis(600));
        let send = ["send", "c.csv", "--host", "127.0.0.1", "--system-id", "test"];
        for command in [&["import", "c.csv"][..], &["check", "c.csv"], &send] {
            let ended = smppost.run(command);
            ended.assert_code(1);
            assert!(ended.stderr.contains("the file is being written"), "{}", ended.said());
            assert!(!smppost.journal().exists());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    // A moment ago it moved.
    let begun = Instant::now();
    smppost.run(&["import", "c.csv"]).assert_code(0);
    assert!(begun.elapsed() > Duration::from_millis(1_000), "{:?}", begun.elapsed());
    assert_eq!(
        one(&smppost.journal(), "SELECT count(*) FROM message WHERE text NOT IN ('half a text', 'the last')"),
        0
    );
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message WHERE text = 'the last'"), 1);
    // Standing still for long enough, it is not waited for.
    smppost.file("d.csv", "to,text\n447700900001,no line end");
    let quick = smppost.run(&["import", "d.csv"]);
    quick.assert_code(0);
    assert!(quick.took < Duration::from_millis(1_900), "{:?}", quick.took);
}

#[test]
fn a_file_that_changes_while_it_is_read_leaves_nothing() {
    let smppost = Smppost::new();
    let path = smppost.file("c.csv", rows(400_000));
    // Its end changes when some of it is in the journal already.
    let mut run = smppost.spawn(&["import", "c.csv"]);
    while run.is_running() && !smppost.journal().exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    File::options().append(true).open(path).unwrap().write_all(b"447700900001,more\n").unwrap();
    let ended = run.wait();
    ended.assert_code(1);
    assert!(ended.stderr.contains("the file is being written"), "{}", ended.said());
    // The journal was made for it.
    assert!(!smppost.journal().exists());
}
