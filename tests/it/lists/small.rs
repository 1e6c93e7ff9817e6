//! Small things that users ran into, and what `report` knows of operations.

use crate::common::Smppost;
use crate::common::independent_smsc::{IndependentSmsc, Settings};

#[test]
fn a_misspelt_column_of_a_field_is_asked_about() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text,validity_perod,Priority Flag,name\n447700900001,Hi,1,1,Ann\n");
    for command in ["check", "import"] {
        let ended = smppost.run(&[command, "c.csv"]);
        ended.assert_code(0);
        let said = ended.said();
        assert!(said.contains("validity_perod (did you mean validity_period?)"), "{said}");
        assert!(said.contains("Priority Flag (did you mean priority_flag?)"), "{said}");
        assert!(said.contains(", name\n"), "{said}");
    }
}

#[test]
fn an_empty_password_is_none() {
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "");
    let ended = smppost.send("to,text\n447700900001,Hi\n", 1, &[]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("the password is missing"), "{}", ended.said());
}

#[test]
fn a_cancelled_campaign_is_said_to_be_cancelled() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text\n447700900001,Hi\n");
    smppost.run(&["import", "c.csv"]).assert_code(0);
    smppost.run(&["cancel", "c"]).assert_code(0);
    let ended = smppost.run(&["resume", "c", "--host", "127.0.0.1", "--port", "1", "--system-id", "test"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("nothing to send: what is not sent yet was cancelled"), "{}", ended.said());
}

#[test]
fn whoever_is_held_up_learns_by_whom() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let port = smsc.port().to_string();
    smppost.file("c.csv", "to,text\n447700900001,Hi\n");
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let first = smppost.spawn(&[&["listen"], &account[..]].concat());
    let lock = smppost.path("journal.db-lock");
    let patience = std::time::Instant::now();
    while std::fs::read_to_string(&lock).unwrap_or_default().is_empty() {
        assert!(patience.elapsed() < crate::common::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let second = smppost.run(&[&["listen"], &account[..]].concat());
    second.assert_code(75);
    let words = format!("(process {}, `smppost listen`, since 20", first.id());
    assert!(second.stderr.contains(&words), "{words}: {}", second.said());
    first.kill();
    smsc.finish();
}

#[test]
fn waiting_for_a_moment_is_not_called_sending_hours() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ended = smppost.send("to,text\n447700900001,Hi\n", smsc.port(), &["--start-at", &at]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("waiting for --start-at until"), "{}", ended.said());
    assert!(!ended.stderr.contains("hours"), "{}", ended.said());
    smsc.finish();
}

#[test]
fn the_report_knows_what_was_asked_of_the_smsc() {
    let smppost = Smppost::new();
    let mut settings =
        smppost::smsc::Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Default::default() };
    settings.receipt_delay = smppost::smsc::Delay::constant(std::time::Duration::from_secs(3_600));
    settings.keep_messages = 1_000;
    let smsc = smppost::smsc::Smsc::start(settings).unwrap();
    let port = smsc.local_addr().port().to_string();
    smppost.file("c.csv", "to,text\n447700900001,Hi\n447700900002,Hi\n447700900003,Hi\n");
    smppost.run(&smppost.send_arguments("c.csv", &port, &["--wait-receipts", "100ms"])).assert_code(0);
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    smppost.run(&[&["replace", "c", "--line", "2", "--text", "Hello"], &account[..]].concat()).assert_code(0);
    smppost.run(&[&["cancel", "c", "--at-smsc", "--line", "3"], &account[..]].concat()).assert_code(0);
    smppost.run(&[&["query", "c", "--line", "3", "--line", "4"], &account[..]].concat());
    let csv = smppost.run(&["report", "c", "--operations", "--format", "csv"]);
    csv.assert_code(0);
    let rows: Vec<Vec<&str>> = csv.stdout.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let kinds: Vec<(&str, &str, &str)> = rows.iter().map(|row| (row[1], row[3], row[12])).collect();
    assert_eq!(kinds[..2], [("2", "replace_sm", "done"), ("3", "cancel_sm", "done")], "{}", csv.said());
    assert!(rows[0][11] == "Hello" && kinds[2..].iter().all(|kind| kind.1 == "query_sm"), "{}", csv.said());
    let json = smppost.run(&["report", "c", "--operations", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), rows.len());
    let view = crate::common::open(&smppost.journal());
    let done: i64 =
        view.query_row("SELECT count(*) FROM operation_log WHERE outcome = 'done'", [], |row| row.get(0)).unwrap();
    assert_eq!(done, json.as_array().unwrap().iter().filter(|row| row["outcome"] == "done").count() as i64);
    let page = smppost.run(&["report", "c"]).stdout;
    assert!(page.contains("1 cancel_sm done") && page.contains("--operations`"), "{page}");
    let all = smppost.run(&["report", "--operations"]).stdout;
    assert!(all.contains("replace_sm") && all.contains("Hello"), "{all}");
    drop(smsc);
}

#[test]
fn what_is_said_can_be_less_or_more_and_kept() {
    let smppost = Smppost::new();
    // A journal that is made is announced, however quiet the rest.
    let first = smppost.run(&["suppress", "add", "447700900008", "-q"]);
    first.assert_code(0);
    assert!(first.stderr.lines().eq([format!("new journal: {}", smppost.journal().display())]), "{}", first.said());
    smppost.file("c.csv", "to,text\n447700900001,Hi\nx,Hi\n");
    let quiet = smppost.run(&["import", "c.csv", "-q"]);
    quiet.assert_code(0);
    assert!(quiet.stderr.is_empty(), "{}", quiet.said());
    smppost.file("out.csv", "447700900009\n07700900001\n");
    let quiet = smppost.run(&["suppress", "import", "out.csv", "--quiet"]);
    quiet.assert_code(3);
    assert!(quiet.stderr.contains("NOT taken") && !quiet.stderr.contains("added"), "{}", quiet.said());
    // The file has both, with moments, for its owner alone, and never the password.
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    let arguments = ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let ended = smppost.run(&[&arguments[..], &["-q", "--log-file", "smppost.log"]].concat());
    ended.assert_code(0);
    let ended = smppost.run(&["cancel", "none", "--log-file", "smppost.log", "-vv"]);
    ended.assert_code(1);
    let log = std::fs::read_to_string(smppost.path("smppost.log")).unwrap();
    assert!(log.contains("delivered") && log.contains("smppost: no campaign \"none\""), "{log}");
    assert!(log.lines().all(|line| line.starts_with("20") && line.as_bytes()[23] == b'Z'), "{log}");
    assert!(!log.contains("secret"), "{log}");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(smppost.path("smppost.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = smppost.run(&["list", "--log-file", "."]);
    folder.assert_code(2);
    assert!(folder.stderr.contains("--log-file .: "), "{}", folder.said());
    smppost.run(&["list", "-q", "-v"]).assert_code(2);
    smsc.finish();
}
