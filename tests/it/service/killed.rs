//! A service and its commands that are killed at any step.

use super::{smsc, start, start_with, stop, wait_until};
use crate::common::{Leeway, PATIENCE, Smppost, assert_agree, expected, one, rows, states};
use std::time::Instant;

#[test]
fn a_service_that_dies_and_comes_back_finds_the_command() {
    let smppost = Smppost::new();
    let smsc = smsc();
    // In the transaction of the command, and after it is committed.
    for point in ["command=abort@1", "answered=abort@1"] {
        let name = point.split('=').next().unwrap();
        let mut dying = start_with(&smppost, smsc.port(), &[], &[("SMPPOST_FAILPOINT", point)]);
        let file = format!("{name}.csv");
        smppost.file(&file, rows(20));
        let mut send = smppost.spawn(&["send", &file, "--from", "Test", "--allow-same-file"]);
        let until = Instant::now() + PATIENCE;
        while dying.is_running() && Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(!dying.is_running(), "{point}: {}", dying.stderr());
        assert!(send.is_running(), "{}", send.stderr());
        let service = start(&smppost, smsc.port(), &[]);
        send.wait().assert_code(0);
        assert_eq!(states(&smppost.journal(), name), expected([("delivered", 20)]), "{point}");
        stop(service);
    }
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn a_command_that_is_killed_has_done_all_or_nothing() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    for (point, is_sent) in
        [("import-chunk", false), ("import-finish", false), ("import-released", false), ("commanded", true)]
    {
        let file = format!("{point}.csv");
        smppost.file(&file, rows(10));
        let send = ["send", &file, "--from", "Test", "--allow-same-file"];
        smppost.spawn_with(&send, &[("SMPPOST_FAILPOINT", &format!("{point}=abort@1"))]).wait();
        if is_sent {
            // The row stands: the service has it, whoever wrote it.
            let sql = format!("SELECT delivered FROM campaign_summary WHERE campaign = '{point}'");
            wait_until(&smppost, &sql, |delivered| delivered == 10);
        } else {
            assert!(!states(&smppost.journal(), point).contains_key("delivered"), "{point}");
        }
        smppost.run(&send).assert_code(0);
        assert_eq!(states(&smppost.journal(), point), expected([("delivered", 10)]), "{point}");
    }
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn killed_again_and_again_it_sends_everything_and_doubles_nothing() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("c.csv", rows(600));
    let mut service = start(&smppost, smsc.port(), &["--rate", "300"]);
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    for _ in 0..5 {
        let taken = one(&smppost.journal(), super::TAKEN);
        wait_until(&smppost, super::TAKEN, |now| now >= (taken + 30).min(500));
        service.kill();
        service = start(&smppost, smsc.port(), &["--rate", "300"]);
    }
    wait_until(&smppost, "SELECT queued + sending FROM campaign_summary", |left| left == 0);
    stop(service);
    let doubts = one(&smppost.journal(), "SELECT in_doubt FROM campaign_summary");
    assert!(doubts <= 50, "{doubts} in doubt: a window for each death at most");
    let report = smsc.finish();
    assert_agree(&smppost.journal(), &report.submits, Leeway { answers_lost: true, ..Leeway::default() });
    smppost.run(&["verify"]).assert_code(0);
}
