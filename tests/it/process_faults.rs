//! What goes wrong with the process and its files while it sends: killed, interrupted, stopped, started twice, the journal
//! taken away. The numbers are those of the list of faults.

use super::session_faults::{LOST, milliseconds, rule, torn};
use crate::common::independent_smsc::{Fate, IndependentSmsc, Settings};
use crate::common::judge::Rules;
use crate::common::{Leeway, Running, Smppost, assert_agree, expected, rows, states};
use std::path::Path;

/// A campaign that takes its time: one row after the other, some milliseconds each.
fn slow() -> Settings {
    Settings { rules: Rules { window: 10, ..Rules::default() }, answer_delay: milliseconds(100), ..Settings::default() }
}

fn slow_start(smppost: &Smppost, smsc: &IndependentSmsc, rows_sent: usize) -> Running {
    let run = smppost.spawn_send(&rows(300), smsc.port(), &["--window", "10"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= rows_sent, milliseconds(30_000)), "{}", run.stderr());
    run
}

#[test]
fn f42_a_journal_that_is_taken_away_stops_sending() {
    let settings = Settings { rules: torn(10), answer_delay: milliseconds(100), ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    let run = smppost.spawn_send(&rows(1_000), smsc.port(), &["--window", "10"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 20, crate::common::PATIENCE), "{}", run.stderr());
    std::fs::rename(smppost.journal(), smppost.path("away.db")).unwrap();
    let ended = run.wait();
    assert!(!matches!(ended.code, Some(0 | 3)), "{}", ended.said());
    let report = smsc.finish();
    assert!(report.submits.len() < 900, "went on with {}", report.submits.len());
}

#[test]
fn f44_a_second_sender_ends_at_once_without_connecting() {
    let smsc = IndependentSmsc::start(slow());
    let smppost = Smppost::new();
    let run = slow_start(&smppost, &smsc, 20);
    smppost.file("second.csv", rows(3));
    let port = smsc.port().to_string();
    let second = smppost.run(&smppost.send_arguments("second.csv", &port, &["--campaign", "second"]));
    second.assert_code(75);
    assert!(second.took < milliseconds(15_000), "{:?}", second.took);
    let resumed = smppost.run(&["resume", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"]);
    resumed.assert_code(75);
    run.wait().assert_code(0);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!((report.counts.connections, report.submits.len()), (1, 300));
}

#[test]
fn f46_killed_at_any_moment_nothing_is_lost_or_sent_twice() {
    for (csv, messages, connections) in [(rows(300), 300, "1"), (crate::common::long_rows(100), 100, "2")] {
        let rules = Rules { window: 10, client_may_die: true, torn_messages: true, ..Rules::default() };
        let settings = Settings { rules, answer_delay: milliseconds(10), seed: 46, ..Settings::default() };
        let smsc = IndependentSmsc::start(settings);
        let smppost = Smppost::new();
        let more = ["--window", "10", "--connections", connections, "--wait-receipts", "1s"];
        let kills = 6;
        for kill in 1..=kills {
            let run = smppost.spawn_send(&csv, smsc.port(), &more);
            smsc.wait_for(|ledger| ledger.len() >= kill * 40, milliseconds(20_000));
            run.kill();
        }
        let ended = smppost.send(&csv, smsc.port(), &more);
        let report = smsc.finish();
        report.assert_clean();
        assert_agree(&smppost.journal(), &report.submits, LOST);
        let found = states(&smppost.journal(), "c");
        let doubts = found.get("in_doubt").copied().unwrap_or_default();
        assert_eq!(found.values().sum::<i64>(), messages, "{found:?}");
        assert_eq!(
            found.get("delivered").copied().unwrap_or_default() + doubts,
            messages,
            "{found:?}\n{}",
            ended.said()
        );
        // A window unanswered: the answers that were read and not yet in the journal are in the notes of answers.
        let most = 10 * connections.parse::<i64>().unwrap();
        assert!(doubts <= kills as i64 * most, "{doubts} in doubt after {kills} kills");
    }
}

#[test]
fn f47_an_interrupted_run_drains_unbinds_and_is_resumed() {
    for signal in ["INT", "TERM"] {
        let smsc = IndependentSmsc::start(slow());
        let smppost = Smppost::new();
        let run = slow_start(&smppost, &smsc, 50);
        run.signal(signal);
        let ended = run.wait();
        ended.assert_code(130);
        let found = states(&smppost.journal(), "c");
        assert!(!found.contains_key("in_doubt") && found["queued"] > 50, "{found:?}\n{}", ended.said());
        smppost.send(&rows(300), smsc.port(), &["--window", "10"]).assert_code(0);
        let report = smsc.finish();
        report.assert_clean();
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 300)]));
        assert_agree(&smppost.journal(), &report.submits, Leeway::default());
        assert_eq!((report.submits.len(), report.counts.ended_rudely), (300, 0));
    }
}

#[test]
fn f47_a_second_signal_ends_at_once() {
    let rules = Rules { window: 10, client_may_die: true, ..Rules::default() };
    let settings = Settings {
        rules,
        fate: rule(|submit| if submit.nth <= 10 { Fate::Answered } else { Fate::Silent }),
        ..Settings::default()
    };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    // Nobody answers once the window is open: by itself it would wait for the response timeout.
    let mut run = smppost.spawn_send(&rows(300), smsc.port(), &["--window", "10", "--response-timeout", "10m"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 20, crate::common::PATIENCE), "{}", run.stderr());
    run.signal("INT");
    run.wait_for_words("interrupted:");
    run.signal("INT");
    run.wait_at_most(crate::common::PATIENCE).assert_code(130);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!(report.submits.len(), 20);
    assert_agree(&smppost.journal(), &report.submits, Leeway { unsettled: true, ..LOST });
}

#[test]
fn f48_a_sender_that_was_stopped_for_a_while_goes_on() {
    let settings = Settings { rules: torn(10), answer_delay: milliseconds(20), ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    let more = ["--window", "10", "--response-timeout", "5s", "--enquire-link-interval", "500ms"];
    let run = smppost.spawn_send(&rows(300), smsc.port(), &more);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 50, milliseconds(30_000)));
    run.signal("STOP");
    std::thread::sleep(milliseconds(7_000));
    run.signal("CONT");
    let ended = run.wait();
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 300)]), "{}", ended.said());
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    assert_eq!(report.submits.len(), 300);
}

#[test]
fn f50_f51_the_password_is_nowhere_and_the_journal_is_private() {
    let settings =
        Settings { rules: Rules { password: Some("s3cr3t!7".into()), ..Rules::default() }, ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "s3cr3t!7").environment("RUST_LOG", "trace");
    smppost.send(&rows(20), smsc.port(), &[]).assert_code(0);
    smsc.finish().assert_clean();
    for entry in std::fs::read_dir(smppost.path("")).unwrap() {
        let path = entry.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        assert!(!octets.windows(8).any(|octets| octets == b"s3cr3t!7"), "the password is in {}", path.display());
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal.db")) {
            assert_eq!(mode(&path) & 0o077, 0, "others can read {}", path.display());
        }
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode()
}
