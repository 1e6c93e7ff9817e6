//! What a campaign costs, and what it may cost at most: whatever happens to the run.
use super::desk::Desk;
use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, one, rows_with};
use std::time::Duration;

const PRICES: &str = "prefix;price;currency\n44;0,03;EUR\n447;0,05;EUR\n";

#[test]
fn a_budget_holds_over_all_runs() {
    let desk = Desk::new();
    desk.file("prices.csv", "prefix;price;currency\n44;0,03;EUR\n447;0,05;EUR\n");
    let rows: String = (0..10).map(|n| format!("44770090010{n},hi\n")).collect();
    desk.file("spring.csv", format!("to,text\n{rows}"));
    let ran = desk.run(&["check", "spring.csv", "--prices", "prices.csv", "--max-cost", "0.22"]).says(0, &[]);
    assert!(ran.out.contains("cost: 0.50 EUR") && ran.out.contains("GB: 10 messages"), "{}", ran.out);
    let send = |more: &[&str]| {
        let mut arguments = vec!["send", "spring.csv", "--simulate", "--wait-receipts", "1s", "--journal", "b.db"];
        arguments.extend(more);
        desk.run(&arguments)
    };
    send(&["--max-cost", "0.22"]).usage(&["--prices"]);
    send(&["--prices", "prices.csv", "--max-cost", "0.22 USD"]).usage(&["USD", "EUR"]);
    send(&["--prices", "prices.csv", "--max-cost", "0.22"]).says(3, &["0.20 EUR of it are spent", "stays queued"]);
    // Nothing said is what was said before.
    send(&[]).says(3, &["0.20 EUR of it are spent"]);
    send(&["--max-cost", "0.30 EUR"]).says(3, &["0.30 EUR of it are spent"]);
    let ran = desk.run(&["report", "spring", "--prices", "prices.csv", "--journal", "b.db"]).says(0, &[]);
    for words in ["sent for 0.30 EUR", "not sent yet: 0.20 EUR", "0.00 EUR left"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    send(&["--max-cost", "none"]).says(0, &[]);
    let ran =
        desk.run(&["report", "spring", "--prices", "prices.csv", "--format", "json", "--journal", "b.db"]).says(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((json["sent"]["amount"].as_str(), json["left"]["amount"].as_str()), (Some("0.50"), Some("0.00")));
}

#[test]
fn f53_prices_in_another_currency_need_a_limit_in_it() {
    let desk = Desk::new();
    desk.file("prices.csv", PRICES);
    desk.file("usd.csv", "447,0.01,USD\n");
    desk.file("spring.csv", "to,text\n447700900100,a\n447700900101,b\n447700900102,c\n");
    let (_simulator, port) = desk.simulator();
    let run = |command: &[&str], more: &[&str]| {
        let to = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "1s"];
        desk.command(&[command, &to, more].concat()).env("SMPPOST_PASSWORD", "x").output().unwrap()
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let first = run(&["send", "spring.csv"], &["--prices", "prices.csv", "--max-cost", "0.06"]);
    assert_eq!(first.status.code(), Some(3), "{}", said(&first));
    for more in [&[][..], &["--dry-run"]] {
        for command in [&["resume", "spring"][..], &["send", "spring.csv"]] {
            let refused = run(command, &[&["--prices", "usd.csv"], more].concat());
            assert_eq!(refused.status.code(), Some(2), "{command:?} {more:?}: {}", said(&refused));
            assert!(said(&refused).contains("0.06 EUR") && said(&refused).contains("USD"), "{}", said(&refused));
        }
    }
    assert_eq!(desk.sql("SELECT currency, count(*) FROM budget"), ["EUR|1"]);
    let fresh = run(&["resume", "spring"], &["--prices", "usd.csv", "--max-cost", "1 USD"]);
    assert_eq!(fresh.status.code(), Some(0), "{}", said(&fresh));
}

#[test]
fn f53_a_limit_without_prices_is_refused_before_anything_is_imported() {
    let desk = Desk::new();
    desk.file("spring.csv", "to,text\n447700900100,a secret\n");
    for command in [
        &["send", "spring.csv", "--simulate", "--journal", "b.db", "--max-cost", "1"][..],
        &["send", "spring.csv", "--simulate", "--journal", "b.db", "--max-cost", "1", "--dry-run"],
        &["check", "spring.csv", "--max-cost", "1"],
    ] {
        desk.run(command).usage(&["--max-cost", "--prices"]);
        assert_eq!(desk.names(), ["spring.csv"], "{command:?}");
    }
}

#[test]
fn f53_a_campaign_is_never_there_without_its_limit() {
    let desk = Desk::new();
    desk.file("prices.csv", PRICES);
    desk.file("spring.csv", "to,text\n447700900100,a\n447700900101,b\n447700900102,c\n");
    let arguments = ["send", "spring.csv", "--simulate", "--journal", "b.db", "--wait-receipts", "1s"];
    let mut first = desk.command(&[&arguments[..], &["--prices", "prices.csv", "--max-cost", "0.10"]].concat());
    let died = first.env("SMPPOST_FAILPOINT", "import-released=abort").output().unwrap();
    assert_eq!(died.status.code(), None, "{died:?}");
    assert_eq!(desk.sql_in("b.db", "SELECT count(*) FROM campaign_summary"), ["1"]);
    // Whoever starts it again need not say the limit anew.
    desk.run(&arguments).says(3, &["0.10 EUR of it are spent"]);
    // One that was undone leaves no limit for whoever gets its number.
    let mut second = desk.command(&["send", "spring.csv", "--simulate", "--journal", "c.db", "--prices", "prices.csv"]);
    second.args(["--max-cost", "0.10"]).env("SMPPOST_FAILPOINT", "import-finished=abort");
    assert_eq!(second.output().unwrap().status.code(), None);
    desk.run(&["import", "spring.csv", "--journal", "c.db", "--campaign", "other"]).says(0, &[]);
    assert_eq!(desk.sql_in("c.db", "SELECT count(*) FROM budget"), ["0"]);
}

/// Whatever is claimed counts, and is not more than the budget, however often and wherever the run is killed.
#[test]
fn a_budget_holds_although_the_run_is_killed_again_and_again() {
    const ROWS: i64 = 400;
    const PAID: i64 = 250;
    let smppost = Smppost::new();
    let settings = Settings { answer_delay: Duration::from_millis(5), rate_max: usize::MAX, ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let port = smsc.port().to_string();
    smppost.file("prices.csv", "44,0.01,EUR\n");
    smppost.file(
        "c.csv",
        rows_with(ROWS as usize, |row| format!("{row} {}", "long ".repeat(if row % 5 == 0 { 40 } else { 1 }))),
    );
    let more = ["--window", "7", "--wait-receipts", "100ms", "--prices", "prices.csv", "--max-cost", "2.50"];
    let arguments = smppost.send_arguments("c.csv", &port, &more);
    let claimed = "SELECT count(*) FROM attempt_log WHERE state <> 'not written'";
    let count = "SELECT count(*) FROM attempt_log";
    for wanted in (1..=7).map(|n| n * 30) {
        let mut run = smppost.spawn(&arguments);
        while run.is_running() && !(smppost.journal().exists() && attempts(&smppost, count) >= wanted) {
            std::thread::sleep(Duration::from_millis(2));
        }
        run.kill();
        assert!(one(&smppost.journal(), claimed) <= PAID);
    }
    smppost.run(&arguments).assert_code(3);
    smppost.run(&["resolve", "c", "--resend"]);
    let ended = smppost.run(&arguments);
    ended.assert_code(3);
    let claimed = one(&smppost.journal(), claimed);
    assert!((PAID - 5..=PAID).contains(&claimed), "{claimed}: {}", ended.said());
    // None went in pieces.
    let pieces = "SELECT count(*) FROM message_status m WHERE state = 'sending'";
    assert_eq!(one(&smppost.journal(), pieces), 0, "{}", ended.said());
}

/// How many there are, where the journal can be read already.
fn attempts(smppost: &Smppost, sql: &str) -> i64 {
    let connection = crate::common::open(&smppost.journal());
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
}
