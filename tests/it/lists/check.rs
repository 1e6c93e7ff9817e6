//! `check`, and rows of a file that come back to be corrected.

use crate::common::{Smppost, one};

const FILE: &str = "name;to;text\nAnn;447700900001;Hi\nBob;44 7700;Hi\nCy;4477-00;Hi\nDi;12;Hi\nEd;123;\nFay;\"x\"y;Hi\nGil;44 77;Hi\n";

#[test]
fn every_reason_has_its_own_words_lines_and_count() {
    let smppost = Smppost::new();
    smppost.file("c.csv", FILE);
    let table = smppost.run(&["check", "c.csv"]);
    table.assert_code(0);
    for words in [
        "3 rows will be refused:",
        "1 duplicate row will be left out (line 4)",
        "1 (line 5): the number has 2 digits",
        "1 (line 6): the number has 3 digits",
        "1 (line 7): text follows a closing quote",
    ] {
        assert!(table.stdout.contains(words), "{words}\n{}", table.said());
    }
    let json = smppost.run(&["check", "c.csv", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let rejected = json["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 3, "{rejected:?}");
    assert_eq!((&rejected[0]["rows"], &rejected[0]["lines"]), (&1.into(), &serde_json::json!([5])));
    assert!(json["in_journal"].is_null());
    assert!(!smppost.journal().exists());
}

#[test]
fn what_is_typed_for_send_can_be_tried_with_check() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text\n447700900001,Hi\n");
    let options = [
        "c.csv",
        "--host",
        "smpp.example.net",
        "--port",
        "2775",
        "--system-id",
        "acme",
        "--bind",
        "tx+rx",
        "--connections",
        "4",
        "--window",
        "20",
        "--rate",
        "50",
        "--status",
        "0x45=permanent",
        "--retry-delays",
        "1s,5s",
        "--opt-out-words",
        "STOP",
        "--opt-in-words",
        "START",
        "--between",
        "09:00-20:00",
        "--days",
        "mon-fri",
        "--time-zone",
        "Europe/London",
        "--start-at",
        "2030-01-01T09:00",
        "--limit",
        "5",
        "--wait-receipts",
        "10s",
        "--stop-when",
        "rejected>5%",
        "--response-timeout",
        "5s",
        "--enquire-link-interval",
        "10s",
        "--receipt-codes",
        "2=DELIVERED",
    ];
    let check = smppost.run(&[&["check"], &options[..]].concat());
    check.assert_code(0);
    assert!(check.stdout.contains("at 50 parts/s"), "{}", check.said());
    smppost.run(&["check", "c.csv", "--simulate"]).assert_code(0);
    // What `send` refuses of them is refused here.
    for (wrong, words) in [
        (&["--bind", "rx"][..], "--bind rx receives only"),
        (&["--bind", "tx+rx", "--connections", "3"], "even number"),
        (&["--smpp-version", "3.3"], "no transceivers"),
        (&["--time-zone", "Mars/Base"], "--time-zone"),
        (&["--tls-client-cert", "a.pem"], "go together"),
        (&["--canary", "5", "--go-on-when", "delivered>=90% in 10m", "--bind", "tx"], "needs receipts"),
        (&["--stop-when", "lost>5%"], "--stop-when"),
        (&["--system-id", "a-name-that-is-too-long"], "--system-id"),
        (&["--password-file", "none"], "--password-file"),
        (&["--concat", "sar", "--tlvs", "no"], "optional parameters"),
    ] {
        let ended = smppost.run(&[&["check", "c.csv"], wrong].concat());
        ended.assert_code(2);
        assert!(ended.stderr.contains(words), "{wrong:?}: {}", ended.said());
    }
    assert!(!smppost.journal().exists());
}

#[test]
fn check_says_that_the_name_is_taken() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text\n447700900001,Hi\n");
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let same = smppost.run(&["check", "c.csv"]);
    same.assert_code(0);
    assert!(same.stdout.contains("in the journal already, with 1 message"), "{}", same.said());
    let other = smppost.run(&["check", "c.csv", "--text", "Hello"]);
    other.assert_code(1);
    assert!(other.stdout.contains("the name is taken") && other.stdout.contains("text: was"), "{}", other.said());
    smppost.file("c.csv", "to,text\n447700900001,Hi there\n");
    let json = smppost.run(&["check", "c.csv", "--format", "json"]);
    json.assert_code(1);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["in_journal"]["same"], false);
    assert_eq!(json["in_journal"]["differences"][0]["option"], "contents of the file");
    smppost.run(&["check", "c.csv", "--campaign", "other"]).assert_code(0);
}

#[test]
fn refused_rows_come_back_as_a_file_that_can_be_sent() {
    let smppost = Smppost::new();
    smppost.file("c.csv", FILE);
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let file = smppost.run(&["report", "c", "--rejected-rows", "--format", "file"]);
    file.assert_code(0);
    assert_eq!(file.stdout, "name;to;text\nDi;12;Hi\nEd;123;\nFay;\"x\"y;Hi\n");
    let fixed = file.stdout.replace("44 7700", "447700900002").replace("4477-00", "447700900003");
    let fixed = fixed.replace(";12;", ";447700900004;").replace(";123;", ";447700900005;Hi");
    let fixed = fixed.replace("\"x\"y", "447700900006").replace("44 77", "447700900007");
    smppost.file("rest.csv", fixed);
    smppost.run(&["import", "rest.csv"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT messages FROM campaign_summary WHERE campaign = 'rest'"), 3);
    for wrong in [&["report", "c", "--format", "file"][..], &["report", "--rejected-rows", "--format", "file"]] {
        smppost.run(wrong).assert_code(2);
    }
    // A journal of an older program has no header.
    let journal = rusqlite::Connection::open(smppost.journal()).unwrap();
    journal.execute("UPDATE campaign SET header = NULL", []).unwrap();
    let old = smppost.run(&["report", "c", "--rejected-rows", "--format", "file"]);
    old.assert_code(2);
    assert!(old.stderr.contains("--format csv --raw"), "{}", old.said());
}
