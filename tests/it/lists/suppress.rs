//! Lists of numbers that are never sent to: every line is taken, or said to be none.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Ended, Smppost};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lists").join(name).to_string_lossy().into_owned()
}

/// What stands on the list, and by whom.
fn listed(smppost: &Smppost) -> Vec<String> {
    let ended = smppost.run(&["suppress", "list", "--format", "csv"]);
    ended.assert_code(0);
    let mut rows = ended.stdout.lines();
    assert_eq!(rows.next(), Some("number,added_at,reason,source"));
    rows.map(|row| row.split(',').next().unwrap().to_owned()).collect()
}

fn import(smppost: &Smppost, arguments: &[&str]) -> Ended {
    smppost.run(&[&["suppress", "import"], arguments].concat())
}

#[test]
fn lists_as_people_have_them_are_taken() {
    for (file, more, code, numbers, words) in [
        (
            "optout-list.csv",
            &[][..],
            3,
            &["447700900201", "447700900202", "447700900203", "447700900204"][..],
            &["1 line was NOT taken", "line 6: UNKNOWN: there is no number in it", "--rejects FILE"][..],
        ),
        ("optout-semicolon.csv", &[], 0, &["447700900205", "447700900206"], &["column `to`: 2 numbers read: 2 added"]),
        ("invisible.csv", &[], 0, &["447700900101", "447700900102", "447700900103", "447700900104"], &[]),
        (
            "numbers.csv",
            &[],
            3,
            &[
                "447700900101",
                "447700900102",
                "447700900103",
                "447700900104",
                "447700900105",
                "447700900106",
                "447700900107",
                "447700900108",
                "447700900109",
                "447700900110",
                "447700900113",
                "447700900114",
                "447700900115",
            ],
            &["1 line was NOT taken", "line 12:", "more than one number"],
        ),
        (
            "national.csv",
            &[],
            3,
            &["447700900104", "447700900105", "447700900106", "7700900102"],
            &[
                "4 lines were NOT taken",
                "line 2: 07700 900101,a: ",
                "--country GB",
                "line 3: 7700900102",
                "no country's",
            ],
        ),
        (
            "national.csv",
            &["--country", "gb"],
            3,
            &[
                "442079460001",
                "447700900101",
                "447700900102",
                "447700900103",
                "447700900104",
                "447700900105",
                "447700900106",
            ],
            &["7 numbers read: 7 added", "line 9: 0900123456"],
        ),
        (
            "eaten-by-a-spreadsheet.csv",
            &[],
            3,
            &["447700900103"],
            &[
                "2 lines were NOT taken",
                "line 2: 4.47701E+11",
                "scientific notation",
                "line 3: 447700900102.0",
                "decimal point",
            ],
        ),
    ] {
        let smppost = Smppost::new();
        let ended = import(&smppost, &[&[&*data(file)], more].concat());
        ended.assert_code(code);
        assert_eq!(listed(&smppost), numbers, "{file} {more:?}\n{}", ended.said());
        for words in words {
            assert!(ended.stderr.contains(words), "{file} {more:?}: {words:?} is missing\n{}", ended.said());
        }
    }
}

#[test]
fn who_opted_out_gets_nothing_however_the_list_was_written() {
    let smppost = Smppost::new();
    smppost.file("out.txt", "name;phone\nAnn;+44 7700 900201\nBob;(0044) 7700-900202\nCy;07700 900203\n");
    import(&smppost, &["out.txt", "--country", "GB"]).assert_code(0);
    let smsc = IndependentSmsc::start(Settings::default());
    let rows = "to,text\n447700900201,Hi\n+447700900202,Hi\n00447700900203,Hi\n447700900204,Hi\n";
    smppost.send(rows, smsc.port(), &[]).assert_code(0);
    let suppressed = smppost.run(&["report", "c", "--state", "suppressed", "--format", "csv"]);
    assert_eq!(suppressed.stdout.lines().count(), 1 + 3, "{}", suppressed.said());
    let got: Vec<String> = smsc.finish().submits.iter().map(|submit| submit.destination.clone()).collect();
    assert_eq!(got, ["447700900204"]);
}

#[test]
fn what_was_not_taken_is_written_out_and_goes_in_once_it_is_corrected() {
    let smppost = Smppost::new();
    smppost.file("out.csv", "name;to\nAnn;447700900201\nBob;07700 900202\n\"C;y\";x\n");
    smppost.file("rest.csv", "old");
    std::fs::set_permissions(smppost.path("rest.csv"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = import(&smppost, &["out.csv", "--rejects", "rest.csv"]);
    ended.assert_code(3);
    let rest = smppost.path("rest.csv");
    assert_eq!(std::fs::read_to_string(&rest).unwrap(), "name;to\nBob;07700 900202\n\"C;y\";x\n");
    assert_eq!(std::fs::metadata(&rest).unwrap().permissions().mode() & 0o777, 0o600);
    let corrected = std::fs::read_to_string(&rest).unwrap().replace("\"C;y\";x", "\"C;y\";0044 7700 900203");
    smppost.file("rest.csv", corrected);
    import(&smppost, &["rest.csv", "--country", "GB", "--rejects", "again.csv"]).assert_code(0);
    assert_eq!(std::fs::read_to_string(smppost.path("again.csv")).unwrap(), "name;to\n");
    assert_eq!(listed(&smppost), ["447700900201", "447700900202", "447700900203"]);
    // The list itself is not written over.
    let ended = import(&smppost, &["out.csv", "--rejects", "./out.csv"]);
    ended.assert_code(2);
    assert!(std::fs::read_to_string(smppost.path("out.csv")).unwrap().contains("Ann"), "{}", ended.said());
}

#[test]
fn an_empty_list_does_not_look_like_success() {
    let smppost = Smppost::new();
    for (octets, words) in [("", "the list is empty"), ("Phone\n\n", "a header and no numbers"), (";;\n", "")] {
        smppost.file("out.csv", octets);
        let ended = import(&smppost, &["out.csv"]);
        ended.assert_code(1);
        assert!(ended.stderr.contains(words), "{}", ended.said());
        assert!(!smppost.journal().exists());
    }
    let ended = import(&smppost, &["missing.csv"]);
    ended.assert_code(1);
    assert!(ended.stderr.contains("no such file"), "{}", ended.said());
}

#[test]
fn what_stands_before_an_unreadable_place_is_taken_and_said() {
    let smppost = Smppost::new();
    smppost.file("out.csv", "to,name\n447700900201,Ann\n447700900202,\"Bob\n447700900203,Cy\n");
    let ended = import(&smppost, &["out.csv"]);
    ended.assert_code(1);
    for words in ["1 number read: 1 added", "line 3: a quote", "what was read before that is on the list"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
    }
    assert_eq!(listed(&smppost), ["447700900201"]);
}

#[test]
fn numbers_that_are_typed_are_taken_or_refused_whole() {
    let smppost = Smppost::new();
    for numbers in [&["07700900202"][..], &["447700900201", "x"], &["447700900201", "4.47701E+11"]] {
        let ended = smppost.run(&[&["suppress", "add"], numbers].concat());
        ended.assert_code(2);
        assert!(ended.stderr.contains("the list is as it was"), "{}", ended.said());
    }
    // The name of a file, where numbers are typed.
    smppost.file("out list.csv", "447700900209\n");
    let ended = smppost.run(&["suppress", "add", "out list.csv"]);
    ended.assert_code(2);
    assert!(ended.words().contains("smppost suppress import 'out list.csv'"), "{}", ended.said());
    smppost.run(&["suppress", "add", "07700 900202", "+44 7700 900201", "--country", "GB"]).assert_code(0);
    let doubtful = smppost.run(&["suppress", "add", "7700900203"]);
    doubtful.assert_code(3);
    assert!(doubtful.stderr.contains("is the country code missing"), "{}", doubtful.said());
    assert_eq!(listed(&smppost), ["447700900201", "447700900202", "7700900203"]);
    let ended = smppost.run(&["suppress", "remove", "+44 (0)7700 900201", "447700900299"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("1 number removed, 1 was not there"), "{}", ended.said());
    let log = crate::common::one(&smppost.journal(), "SELECT count(*) FROM suppression_log");
    assert_eq!(log, 4);
}

#[test]
fn the_list_tells_since_when_and_by_whom() {
    let smppost = Smppost::new();
    smppost.file("out.csv", "447700900202\n");
    smppost.run(&["suppress", "add", "447700900201", "--reason", "=wrote, \"stop\""]).assert_code(0);
    import(&smppost, &["out.csv"]).assert_code(0);
    let csv = smppost.run(&["suppress", "list", "--format", "csv"]).stdout;
    let rows: Vec<&str> = csv.lines().collect();
    assert!(
        rows[1].starts_with("447700900201,20") && rows[1].ends_with("Z,\"'=wrote, \"\"stop\"\"\",operator"),
        "{csv}"
    );
    assert!(rows[2].ends_with("Z,imported from out.csv,file"), "{csv}");
    let json = smppost.run(&["suppress", "list", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["source"], &json[1]["source"]), (&"operator".into(), &"file".into()));
    let table = smppost.run(&["suppress", "list"]).stdout;
    assert!(table.contains("447700900202") && table.contains("file"), "{table}");
    smppost.run(&["suppress", "remove", "447700900201", "447700900202"]).assert_code(0);
    let empty = smppost.run(&["suppress", "list", "--format", "json"]);
    assert_eq!((empty.stdout.trim(), empty.code), ("[]", Some(0)));
}

#[test]
fn a_long_list_goes_in_by_bounded_transactions_and_again_without_harm() {
    let smppost = Smppost::new();
    let list: String = (0..25_000).map(|n| format!("4477{n:08}\n")).collect();
    smppost.file("out.csv", list);
    let first = import(&smppost, &["out.csv"]);
    first.assert_code(0);
    assert!(first.stderr.contains("25,000 numbers read: 25,000 added, 0 there already"), "{}", first.said());
    let again = import(&smppost, &["out.csv"]);
    again.assert_code(0);
    assert!(again.stderr.contains("0 added, 25,000 there already"), "{}", again.said());
    assert_eq!(crate::common::one(&smppost.journal(), "SELECT count(*) FROM suppression_event"), 25_000);
}
