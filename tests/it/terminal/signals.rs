//! Signals of a terminal or a supervisor, to every command.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Running, Smppost, one, rows, states};
use std::process::Command;
use std::time::{Duration, Instant};

/// A run that sends slowly, and is bound.
fn sending(smppost: &Smppost, smsc: &IndependentSmsc) -> Running {
    let mut run = smppost.spawn_send(&rows(3_000), smsc.port(), &["--rate", "50"]);
    run.wait_for_words("bound to");
    std::thread::sleep(Duration::from_millis(300));
    run
}

#[test]
fn hup_term_and_int_end_a_run_in_order() {
    for name in ["HUP", "TERM", "INT"] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_millis(300), ..Settings::default() });
        let run = sending(&smppost, &smsc);
        run.signal(name);
        let ended = run.wait_at_most(Duration::from_secs(20));
        ended.assert_code(130);
        let states = states(&smppost.journal(), "c");
        assert!(!states.contains_key("in_doubt") && !states.contains_key("sending"), "{name}: {states:?}");
        assert!(states["queued"] > 2_000, "{name}: {states:?}");
        // A session that was unbound, which recovery has nothing to do with.
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session WHERE closed_at IS NULL"), 0, "{name}");
    }
}

#[test]
fn a_second_int_or_term_ends_at_once_and_a_second_hup_does_not() {
    for (signals, at_once) in [(["TERM", "INT"], true), (["HUP", "HUP"], false), (["TERM", "HUP"], false)] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(3), ..Settings::default() });
        let run = sending(&smppost, &smsc);
        run.signal(signals[0]);
        std::thread::sleep(Duration::from_millis(300));
        let before = Instant::now();
        run.signal(signals[1]);
        run.wait_at_most(Duration::from_secs(20)).assert_code(130);
        assert_eq!(before.elapsed() < Duration::from_millis(1_500), at_once, "{signals:?}: {:?}", before.elapsed());
    }
}

#[test]
fn quit_ends_at_once_with_what_is_known_on_disk() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_secs(8), ..Settings::default() });
    let mut run = smppost.spawn_send(&rows(3_000), smsc.port(), &["--rate", "50", "--response-timeout", "20s"]);
    run.wait_for_words("bound to");
    std::thread::sleep(Duration::from_millis(1_200));
    let before = Instant::now();
    run.signal("QUIT");
    run.wait_at_most(Duration::from_secs(10)).assert_code(130);
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    // No recovery is needed to know what was not answered.
    let states = states(&smppost.journal(), "c");
    assert_eq!(states.get("sending"), None, "{states:?}");
    assert_eq!(states.get("in_doubt").copied(), Some(smsc.ledger().len() as i64), "{states:?}");
}

#[test]
fn other_signals_are_nothing_worse_than_a_word() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let mut run = smppost.spawn_send(&rows(150), smsc.port(), &["--rate", "50", "--receipts", "none"]);
    run.wait_for_words("bound to");
    for name in ["USR1", "USR2", "ALRM", "WINCH", "CONT", "PIPE", "XFSZ", "TTOU", "TTIN", "VTALRM", "PROF", "IO"] {
        run.signal(name);
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = run.wait();
    ended.assert_code(0);
    let said = &ended.stderr;
    assert!(said.contains(" of 150 sent"), "USR1 tells how it stands: {said}");
    assert!(said.contains("SIGUSR2: it means nothing here"), "{said}");
    assert_eq!(smsc.ledger().len(), 150);
}

#[test]
fn every_command_that_waits_ends_by_a_signal_with_its_code() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(3), smsc.port(), &["--receipts", "none"]).assert_code(0);
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    for name in ["HUP", "TERM", "INT", "QUIT"] {
        let mut listen = smppost.spawn(&[&["listen"][..], &account].concat());
        listen.wait_for_words("bound to");
        listen.signal(name);
        // That is how it ends.
        listen.wait_at_most(Duration::from_secs(10)).assert_code(0);
        // Waits for receipts that never come; nothing is bound and tried again; a FIFO that nobody writes.
        let resume =
            smppost.spawn(&["probe", "--host", "192.0.2.1", "--system-id", "test", "--connect-timeout", "60s"]);
        std::thread::sleep(Duration::from_millis(300));
        resume.signal(name);
        let ended = resume.wait_at_most(Duration::from_secs(10));
        assert!(matches!(ended.code, Some(130 | 1)), "{name}: {}", ended.said());
    }
}

#[test]
fn an_import_that_is_interrupted_says_what_that_means_and_leaves_nothing_of_the_file() {
    let smppost = Smppost::new();
    assert!(Command::new("mkfifo").arg(smppost.path("c.csv")).status().unwrap().success());
    for name in ["INT", "TERM", "HUP", "QUIT"] {
        let import = smppost.spawn(&["import", "c.csv", "--campaign", "c"]);
        let mut fifo = std::fs::File::options().write(true).open(smppost.path("c.csv")).unwrap();
        std::io::Write::write_all(&mut fifo, rows(20_000).as_bytes()).unwrap();
        import.signal("USR1");
        std::thread::sleep(Duration::from_millis(300));
        import.signal(name);
        let ended = import.wait_at_most(Duration::from_secs(10));
        ended.assert_code(130);
        assert!(ended.stderr.contains("interrupted: the import counts for nothing"), "{name}: {}", ended.said());
        assert!(ended.stderr.contains("smppost (process "), "{name}: {}", ended.said());
        drop(fifo);
        if smppost.journal().exists() {
            assert!(states(&smppost.journal(), "c").is_empty() || name != "none");
        }
    }
    std::fs::remove_file(smppost.path("c.csv")).unwrap();
    smppost.file("c.csv", rows(5));
    smppost.run(&["import", "c.csv", "--campaign", "c"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c")["queued"], 5);
}

#[test]
fn a_run_under_nohup_or_setsid_goes_on_when_the_terminal_closes() {
    for how in ["nohup", "setsid"] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings::default());
        smppost.file("c.csv", rows(150));
        let port = smsc.port().to_string();
        let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "50", "--receipts", "none"]);
        let script = format!("{how} \"$SMPPOST\" {} & echo started; wait", arguments.join(" "));
        let terminal = smppost.shell_at_terminal(&script);
        terminal.wait_for("started");
        let until = Instant::now() + Duration::from_secs(20);
        while smsc.ledger().is_empty() {
            assert!(Instant::now() < until, "{how}: it does not send: {}", terminal.written());
            std::thread::sleep(Duration::from_millis(20));
        }
        // The window is closed.
        drop(terminal);
        while smsc.ledger().len() < 150 {
            assert!(Instant::now() < until, "{how}: {} sent", smsc.ledger().len());
            std::thread::sleep(Duration::from_millis(20));
        }
        // And it ends by itself.
        while states(&smppost.journal(), "c").get("accepted") != Some(&150) {
            assert!(Instant::now() < until, "{how}: {:?}", states(&smppost.journal(), "c"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_terminal_that_closes_ends_a_run_in_its_foreground_in_order() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(900));
    let port = smsc.port().to_string();
    let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "50"]);
    let terminal = smppost.shell_at_terminal(&format!("\"$SMPPOST\" {}", arguments.join(" ")));
    terminal.wait_for("bound to");
    drop(terminal);
    let until = Instant::now() + Duration::from_secs(20);
    let open = "SELECT count(*) FROM session WHERE closed_at IS NULL";
    while one(&smppost.journal(), open) > 0 {
        assert!(Instant::now() < until, "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let states = states(&smppost.journal(), "c");
    assert!(!states.contains_key("in_doubt") && states["queued"] > 500, "{states:?}");
}

#[test]
fn a_run_in_the_background_of_a_terminal_with_tostop_goes_on() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(100));
    let port = smsc.port().to_string();
    let arguments = smppost.send_arguments("c.csv", &port, &["--rate", "50", "--receipts", "none"]);
    let script = format!("set -m; stty tostop; \"$SMPPOST\" {} & wait; echo ended $?", arguments.join(" "));
    let terminal = smppost.shell_at_terminal(&script);
    terminal.wait_for("ended 0");
    assert_eq!(smsc.ledger().len(), 100);
}

#[test]
fn a_signal_at_the_prompt_for_the_password_leaves_the_terminal_as_it_was() {
    for (how, typed) in [("INT", Some("\x03")), ("TERM", None), ("HUP", None)] {
        let smppost = Smppost::new();
        let probe = "echo \"process $$ \"; exec \"$SMPPOST\" probe --host 127.0.0.1 --system-id x";
        let script = format!("unset SMPPOST_PASSWORD; trap : INT; sh -c '{probe}'; echo code $?; stty -a");
        let terminal = smppost.shell_at_terminal(&script);
        terminal.wait_for("Password: ");
        let written = terminal.written();
        let id = written.split("process ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        match typed {
            Some(typed) => terminal.type_in(typed),
            None => assert!(Command::new("kill").args([format!("-{how}"), id]).status().unwrap().success()),
        }
        let (_, written) = terminal.wait();
        assert!(written.contains("code 130"), "{how}: {written}");
        assert!(written.contains(" echo ") && written.contains(" icanon "), "{how}: {written}");
    }
}

#[test]
fn a_run_in_the_background_does_not_ask_for_a_password_and_is_not_stopped() {
    let smppost = Smppost::new();
    let script =
        "unset SMPPOST_PASSWORD; set -m; \"$SMPPOST\" probe --host 127.0.0.1 --system-id x & wait $!; echo code $?";
    let terminal = smppost.shell_at_terminal(script);
    terminal.wait_for("code 2");
    assert!(terminal.written().contains("the password is missing"), "{}", terminal.written());
}
