//! Every boundary of the journal's and the session's work made to abort, to fail, and to take its time; then the run is
//! resumed, and the promises must hold.
//!
//! `cargo test --test evidence failpoints:: -- --nocapture`; `SMPPOST_SEEDS=10` goes through all of
//! it that often.

#![cfg(any(feature = "failpoints", debug_assertions))]
use crate::common::{Ended, Smppost, one, rows};
use crate::lab::{Simulator, oracle};
use smppost::testing::platform::failpoint::{POINTS, RECOVERY_POINT};
use std::time::Duration;

const MESSAGES: usize = 300;

/// Runs with the point set; `None`: by a signal.
fn run(smppost: &Smppost, arguments: &[&str], failpoint: &str) -> Ended {
    smppost.run_with(arguments, &[("SMPPOST_FAILPOINT", failpoint)])
}

fn check(point: &str, action: &str, n: u64) -> String {
    let failpoint = format!("{point}={action}@{n}");
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "10ms", "--response-timeout", "1s"]);
    smppost.file("c.csv", rows(MESSAGES));
    let more = ["--rate", "500", "--window", "10", "--wait-receipts", "3s"];
    let arguments = crate::lab::send(simulator.port, &more);
    if point.starts_with("recover") {
        // There has to be something to recover.
        assert_eq!(run(&smppost, &arguments.each(), "written=abort@3").code, None);
    }
    let failed = run(&smppost, &arguments.each(), &failpoint);
    match action {
        "abort" => assert_eq!(failed.code, None, "{failpoint} was not reached\n{}", failed.said()),
        "error" => assert!(failed.code.is_some_and(|code| code < 4), "{failpoint}\n{}", failed.said()),
        // What the death before a recovery left may be in doubt.
        _ if point.starts_with("recover") => assert!(matches!(failed.code, Some(0 | 3)), "{failpoint}"),
        _ => assert_eq!(failed.code, Some(0), "{failpoint}\n{}", failed.said()),
    }
    let resumed = smppost.run(&arguments.each());
    assert!(matches!(resumed.code, Some(0 | 3)), "after {failpoint}: {}", resumed.said());
    crate::lab::verify(&smppost);
    oracle::assert_kept(&failpoint, &smppost.journal(), &simulator.read());
    let count = |states: &str| {
        one(&smppost.journal(), &format!("SELECT count(*) FROM message_status WHERE state IN ({states})"))
    };
    let (delivered, in_doubt) = (count("'delivered'"), count("'in_doubt'"));
    assert_eq!(delivered + in_doubt, MESSAGES as i64, "after {failpoint}");
    let code = failed.code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
    format!("{point:<16} {action:<6} {n:>3} {code:>8} {delivered:>10} {in_doubt:>9}")
}

/// Each point, at which this happens.
fn each_point(action: &str) {
    let seeds = crate::lab::setting("SMPPOST_SEEDS", 1);
    let mut random = fastrand::Rng::with_seed(crate::lab::seed(&format!("fail points: {action}")));
    println!("point            action   n    exit  delivered  in doubt");
    for _ in 0..seeds {
        let points: Vec<(&str, u64)> = POINTS
            .iter()
            .map(|&point| {
                let most = match point {
                    "recovery" | "recovered" | "checkpoint" => 1,
                    "import-chunk" | "import-finish" | "import-finished" | "import-released" => 1,
                    "receipt" => 20,
                    "claim" => 3,
                    _ => 8,
                };
                (point, random.u64(1..=most))
            })
            .collect();
        // Most of it is waiting.
        crate::lab::side_by_side(points, |(point, n)| println!("{}", check(point, action, n)));
    }
}

#[test]
fn wherever_it_aborts_the_promises_hold() {
    each_point("abort");
}

#[test]
fn whatever_fails_the_promises_hold() {
    each_point("error");
}

#[test]
fn whatever_takes_its_time_the_promises_hold() {
    each_point("delay");
}

#[test]
fn a_recovery_that_dies_between_two_transactions_goes_on() {
    const CLAIMED: i64 = 16_000;
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(CLAIMED as usize));
    smppost.run(&["import", "c.csv", "--campaign", "c"]).assert_code(0);
    // As a machine leaves it that died when all of that was claimed.
    let claims = format!(
        "INSERT INTO session (id, opened_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
             VALUES (1, 1, '', 1, '', 'test', 'trx', '3.4');
         INSERT INTO claim WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 4000 FROM n WHERE i + 4000 <= {CLAIMED})
             SELECT i, 0, i, 4000, i, 1, i + 65536, 1 FROM n;
         UPDATE campaign_count SET queued = 0, sending = {CLAIMED};"
    );
    rusqlite::Connection::open(smppost.journal()).unwrap().execute_batch(&claims).unwrap();
    let arguments = ["resume", "c", "--host", "127.0.0.1", "--port", "1", "--system-id", "test"];
    for settled in [5_000, 10_000] {
        assert_eq!(run(&smppost, &arguments, &format!("{RECOVERY_POINT}=abort@1")).code, None);
        // What was to be committed at the point is not: the slices before it are.
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM verdict"), settled - 5_000);
        assert_eq!(run(&smppost, &arguments, &format!("{RECOVERY_POINT}=abort@2")).code, None);
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM verdict"), settled);
    }
    smppost.run(&arguments);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM verdict"), CLAIMED);
    assert_eq!(one(&smppost.journal(), "SELECT in_doubt FROM campaign_summary"), CLAIMED);
    crate::lab::verify(&smppost);
}

#[test]
fn f41_a_failed_commit_ends_the_run_and_nothing_is_tried_again() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "10ms"]);
    smppost.file("c.csv", rows(MESSAGES));
    let arguments = crate::lab::send(simulator.port, &["--rate", "200", "--window", "10"]);
    let failed = run(&smppost, &arguments.each(), "commit=error@6");
    failed.assert_code(1);
    assert!(failed.took < Duration::from_secs(60), "{:?}", failed.took);
    assert!(simulator.read().submits.len() < MESSAGES, "it went on");
}

/// Sends with a journal of so many pages at most, as on a disk of that size; then makes room and goes on.
fn fill(pages: u64) -> String {
    const MESSAGES: usize = 3_000;
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "20ms"]);
    smppost.file("c.csv", rows(MESSAGES));
    let arguments = crate::lab::send(simulator.port, &["--rate", "3000", "--window", "50", "--wait-receipts", "3s"]);
    let full = smppost.run_with(&arguments.each(), &[("SMPPOST_PAGES_MAX", &pages.to_string())]);
    let sent = simulator.read().submits.len();
    let what = format!("{pages} pages");
    if full.code == Some(1) {
        for word in ["no space left", "journal.db", "make space and run the same command again"] {
            assert!(full.stderr.contains(word), "{what}: {}", full.said());
        }
        if sent > 0 {
            let owed = "SELECT count(*) FROM attempt_log WHERE state NOT IN ('accepted', 'not written')";
            assert_eq!(
                one(&smppost.journal(), owed),
                0,
                "{what}: answers that were owed are not there: {}",
                full.said()
            );
            oracle::assert_kept(&what, &smppost.journal(), &simulator.read());
        }
    } else {
        full.assert_code(0);
    }
    smppost.run(&arguments.each()).assert_code(0);
    crate::lab::verify(&smppost);
    oracle::assert_kept(&format!("{what}, resumed"), &smppost.journal(), &simulator.read());
    let delivered = one(&smppost.journal(), "SELECT count(*) FROM message_status WHERE state = 'delivered'");
    assert_eq!(delivered, MESSAGES as i64, "{what}");
    format!("{pages:>5} pages: exit {} after {sent} messages", full.code.unwrap())
}

#[test]
fn f40_a_journal_that_may_not_grow_stops_sending_and_what_is_owed_is_still_recorded() {
    let sizes = crate::lab::setting("SMPPOST_SIZES", 6);
    for n in 0..sizes {
        println!("{}", fill(60 + n * 150 / sizes));
    }
}
