//! Times that travel with messages: checked when they come in, and again when it is their turn.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Leeway, Smppost, assert_agree, expected, number, one, open, states};
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use std::time::Duration;

/// A moment `seconds` from now, in UTC.
fn from_now(seconds: i64) -> Zoned {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_zoned(TimeZone::UTC)
}

/// As SMPP writes it.
fn raw(moment: &Zoned) -> String {
    moment.strftime("%y%m%d%H%M%S000+").to_string()
}

fn iso(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The reason for which each row was refused, by line.
fn refused(smppost: &Smppost) -> Vec<(i64, String)> {
    let connection = open(&smppost.journal());
    let mut query = connection.prepare("SELECT line, reason FROM rejected_row ORDER BY line").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_time_in_a_column_is_a_date_that_exists_and_is_still_to_come() {
    let (passed, coming) = (from_now(-3_600), from_now(86_400));
    let values = [
        ("", None),
        ("2h", None),
        (&*raw(&coming), None),
        (&*iso(&coming), None),
        ("000001000000000R", None),
        (&*raw(&passed), Some("has passed")),
        (&*iso(&passed), Some("has passed")),
        ("200101000000000+", Some("has passed: it was at 2020-01-01T00:00:00Z")),
        ("2020-01-01T01:00+01:00", Some("has passed")),
        ("990231000000000+", Some("is not a time")),
        ("970229000000000+", Some("is not a time")),
        ("991301000000000+", Some("is not a time")),
        ("990101240000000+", Some("is not a time")),
        ("990101000000049+", Some("is not a time")),
        ("990101000000000*", Some("is not a time")),
        ("2099-02-31T00:00Z", Some("is not a time")),
        ("000000000000000R", Some("is no time at all")),
        ("0s", Some("is not between")),
    ];
    for column in ["validity_period", "schedule_delivery_time"] {
        let smppost = Smppost::new();
        let mut csv = format!("to,text,{column}\n");
        for (n, (value, _)) in values.iter().enumerate() {
            csv += &format!("{},hello,{value}\n", number(n));
        }
        smppost.file("c.csv", csv);
        smppost.run(&["import", "c.csv"]).assert_code(0);
        let found = refused(&smppost);
        let wanted: Vec<(i64, &str)> =
            values.iter().zip(2..).filter_map(|((_, words), line)| Some((line, (*words)?))).collect();
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for ((line, words), (wanted_line, wanted)) in found.iter().zip(wanted) {
            assert_eq!(*line, wanted_line, "{found:#?}");
            assert!(words.starts_with(column) && words.contains(wanted), "{words}");
        }
        // As `check` says before.
        let check = smppost.run(&["check", "c.csv", "--campaign", "other"]);
        check.assert_code(0);
        assert!(check.stdout.contains("13 rows will be refused"), "{}", check.said());
    }
}

#[test]
fn a_time_in_an_option_is_refused_before_anything_is_imported() {
    for value in ["2020-01-01T00:00Z", "200101000000000+", "000000000000000R", "990231000000000+", "0m"] {
        for name in ["validity_period", "schedule_delivery_time"] {
            let smppost = Smppost::new();
            smppost.file("c.csv", "to,text\n447700900001,hello\n");
            let field = format!("{name}={value}");
            for command in ["send", "import", "check"] {
                let mut arguments = vec![command, "c.csv", "--field", &field];
                if command == "send" {
                    arguments.extend(["--host", "127.0.0.1", "--system-id", "test"]);
                }
                let ended = smppost.run(&arguments);
                ended.assert_code(2);
                assert!(ended.stderr.contains(name), "{}", ended.said());
            }
            assert!(!smppost.journal().exists());
        }
    }
}

#[test]
fn an_offset_that_the_wire_cannot_carry_travels_in_utc() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let rows =
        "to,text,validity_period\n447700900001,a,2098-12-24T09:00+13:00\n447700900002,b,2098-12-24T09:00-12:00\n";
    smppost.send(rows, smsc.port(), &["--rate", "1"]).assert_code(0);
    let report = smsc.finish();
    let carries = |submit: &[u8], time: &[u8]| submit.windows(time.len()).any(|octets| octets == time);
    assert!(carries(&report.submits[0].pdu, b"981223200000000+"), "{:?}", report.submits[0]);
    assert!(carries(&report.submits[1].pdu, b"981224090000048-"), "{:?}", report.submits[1]);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_has_passed_when_its_turn_comes_is_not_sent_and_listed() {
    const ROWS: usize = 40;
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let until = from_now(4);
    let mut csv = "to,text,validity_period\n".to_owned();
    for n in 0..ROWS {
        // The last ones have no such time, and a row of three parts is given up as a whole.
        let text = if n == ROWS - 5 { "long ".repeat(80) } else { "hello".into() };
        let time = if n < ROWS - 4 { iso(&until) } else { String::new() };
        csv += &format!("{},{text},{time}\n", number(n));
    }
    let ended = smppost.send(&csv, smsc.port(), &["--rate", "5", "--wait-receipts", "2s"]);
    ended.assert_code(3);
    let report = smsc.finish();
    report.assert_clean();
    let sent = report.submits.len();
    assert!((8..=ROWS - 8).contains(&sent), "{sent} were sent");
    assert!(report.submits.iter().filter(|submit| submit.destination >= number(ROWS - 4)).count() == 4);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    let (sent, failed) = (sent as i64, (ROWS - sent) as i64);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", sent), ("failed", failed)]));
    let sql = "SELECT count(*) FROM message_status WHERE error LIKE 'too late: validity_period 2%Z'
                  AND sent_at IS NULL AND message_ids IS NULL AND done_at IS NOT NULL";
    assert_eq!(one(&smppost.journal(), sql), failed);
    smppost.run(&["verify"]).assert_code(0);
    let listed = smppost.run(&["report", "c", "--messages", "--state", "failed"]);
    assert!(listed.stdout.contains("too late: validity_period 2"), "{}", listed.said());
    // A later run has nothing of it to send.
    let smsc = IndependentSmsc::start(Settings::default());
    let again = smppost.send(&csv, smsc.port(), &["--rate", "5"]);
    again.assert_code(3);
    assert_eq!(smsc.finish().submits.len(), 0, "{}", again.said());
}

#[test]
fn a_campaign_whose_time_has_passed_is_given_up_without_a_message_however_long_it_is() {
    const ROWS: usize = 10_000;
    let smppost = Smppost::new();
    let until = from_now(6);
    smppost.file("c.csv", crate::common::rows(ROWS));
    let field = format!("validity_period={}", raw(&until));
    smppost.run(&["import", "c.csv", "--from", "Test", "--field", &field]).assert_code(0);
    while Timestamp::now() < until.timestamp() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    let resume = ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--rate", "5"];
    // Killed while it is at it, it goes on.
    let mut run = smppost.spawn(&resume);
    let some = "SELECT failed FROM campaign_summary";
    while run.is_running() && one(&smppost.journal(), some) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    run.kill();
    smppost.run(&resume).assert_code(3);
    assert_eq!(smsc.finish().submits.len(), 0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("failed", ROWS as i64)]));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM verdict"), ROWS as i64);
    smppost.run(&["verify"]).assert_code(0);
}
