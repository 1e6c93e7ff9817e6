//! `check`: what would be sent, and nothing written.

use crate::import_cli::desk::Desk;
use serde_json::Value;

fn desk() -> Desk {
    let desk = Desk::new();
    let long = "x".repeat(161);
    let file = format!(
        "to,from,text\n447700900001,Shop,a\n447700900002,Shop,it\u{2019}s\n447700900003,,{long}\n447700900001,,again\n\
         4.4E+11,,b\n447700900009,,c\n44,,d\n"
    );
    desk.file("spring.csv", file);
    desk
}

#[test]
fn check_shows_parts_encodings_rejects_duplicates_and_time() {
    let desk = desk();
    let ran = desk.run(&["check", "spring.csv", "--rate", "2"]).says(0, &[]);
    assert!(ran.err.is_empty());
    for words in [
        "spring: 7 rows, 4 messages to send in 5 parts",
        "gsm7: 3 messages, 4 parts",
        "ucs2: 1 message, 1 part",
        "for example: it\u{2019}s (UCS2 because of \u{2019} U+2019)",
        "messages by parts: 3 of 1, 1 of 2",
        "longest: line 4, 2 parts (161 septets)",
        "senders: the SMSC's default (2), Shop (2)",
        "numbers: 44… 12 digits: 4",
        "1 duplicate row will be left out (line 5): --allow-duplicates sends them",
        "2 rows will be refused:",
        "1 (line 6): a spreadsheet rewrote the number",
        "1 (line 8): the number has 2 digits",
        "sending takes 2 s at 2 parts/s",
    ] {
        assert!(ran.out.contains(words), "{words:?} is not in\n{}", ran.out);
    }
    assert_eq!(desk.names(), ["spring.csv"]);
}

/// Whoever replaces the first character of a text sees the rest as well, each once for a message.
#[test]
fn check_names_every_character_that_forces_ucs2() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,No\u{eb}l \u{eb} \u{2019}\n447700900002,\u{eb}\n447700900003,\u{20ac}\n");
    let ran = desk.run(&["check", "a.csv"]).says(0, &[]);
    let words = "characters outside GSM 7-bit, which more than double the parts of long texts: \
                 \u{eb} U+00EB (2), \u{2019} U+2019 (1)\n";
    assert!(ran.out.contains(words), "{}", ran.out);
    let ran = desk.run(&["check", "a.csv", "--default-alphabet", "latin1"]).says(0, &[]);
    let words = "characters that force UCS2 (not in both GSM 7-bit and latin1), which more than double the parts of long \
                 texts: \u{eb} U+00EB (2), \u{2019} U+2019 (1), \u{20ac} U+20AC (1)\n";
    assert!(ran.out.contains(words), "{}", ran.out);
}

#[test]
fn check_says_so_where_nothing_can_be_sent() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n44a,x\n447 7b,y\n44,\n1\n");
    let ran = desk.run(&["check", "a.csv"]).says(1, &[]);
    assert!(ran.out.ends_with("\n  no row can be sent: nothing would be imported\n"), "{}", ran.out);
    desk.run(&["check", "a.csv", "--format", "json"]).says(1, &[]);
    desk.run(&["import", "a.csv"]).says(1, &["no row can be sent, so nothing was imported"]);
}

/// Only what holds of all rows is said of all.
#[test]
fn check_says_each_reason_of_one_kind() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n1\n2\n3,4,5\n");
    let ran = desk.run(&["check", "a.csv"]).says(0, &[]);
    let words = "    2 (lines 3, 4): the row ends after 1 field and has no column `text`: is it cut off?\n    \
                 1 (line 5): the row has 3 fields and the header 2: quote fields with a delimiter in them\n";
    assert!(ran.out.contains(words), "{}", ran.out);
}

#[test]
fn check_names_columns_that_nothing_uses() {
    let desk = Desk::new();
    desk.file("a.csv", "to,from,text,name,priority_flag,tlv:0x1400,dest_addr_tonn,\n447700900001,,a,Ann,1,x,1,\n");
    let ran = desk.run(&["check", "a.csv"]).says(0, &[]);
    assert!(
        ran.out.contains("  columns not used: name, dest_addr_tonn (did you mean dest_addr_ton?)\n"),
        "{}",
        ran.out
    );
    let ran = desk.run(&["check", "a.csv", "--text", "Hi {name}"]).says(0, &[]);
    assert!(
        ran.out.contains("  columns not used: text, dest_addr_tonn (did you mean dest_addr_ton?)\n"),
        "{}",
        ran.out
    );
    desk.file("a.csv", "to,text\n447700900001,a\n");
    assert!(!desk.run(&["check", "a.csv"]).says(0, &[]).out.contains("columns"));
}

#[test]
fn check_says_the_same_to_a_program() {
    let desk = desk();
    let ran = desk.run(&["check", "spring.csv", "--rate", "2", "--format", "json", "--campaign", "x"]).says(0, &[]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    for (pointer, expected) in [
        ("/campaign", Value::from("x")),
        ("/rows", 7.into()),
        ("/messages", 4.into()),
        ("/parts", 5.into()),
        ("/encodings/0/messages", 3.into()),
        ("/encodings/1/encoding", "ucs2".into()),
        ("/messages_by_parts/2", 1.into()),
        ("/forced_to_ucs2_by/0/character", "\u{2019}".into()),
        ("/duplicate_lines/0", 5.into()),
        ("/rejected_rows", 2.into()),
        ("/seconds", 2.5.into()),
    ] {
        assert_eq!(value.pointer(pointer), Some(&expected), "{pointer} in {}", ran.out);
    }
    assert_eq!(desk.names(), ["spring.csv"]);
}

/// `check` reads as `import` does, whatever the options.
#[test]
fn check_agrees_with_import() {
    let desk = desk();
    for (n, options) in [
        &["--allow-duplicates"][..],
        &["--text", "Dear {from|customer}, {text}"],
        &["--alphabet", "ucs2", "--to-column", "to"],
    ]
    .iter()
    .enumerate()
    {
        let name = format!("c{n}");
        let arguments = [&["spring.csv", "--campaign", &name], *options].concat();
        let check = desk.run(&[&["check", "--format", "json"], &arguments[..]].concat()).says(0, &[]);
        let value: Value = serde_json::from_str(&check.out).unwrap();
        desk.run(&[&["import", "--allow-same-file"], &arguments[..]].concat()).says(0, &[]);
        let counts =
            ["messages", "parts", "duplicate_rows", "rejected_rows"].map(|key| value[key].to_string()).join("|");
        let query = "SELECT messages, parts, duplicate_rows, rejected_rows FROM campaign_summary WHERE campaign = ";
        assert_eq!(desk.sql(&format!("{query}'{name}'")), [counts]);
    }
}

#[test]
fn check_minds_the_suppression_list_of_a_journal_and_leaves_it_alone() {
    let desk = desk();
    desk.run(&["import", "spring.csv"]).says(0, &[]);
    let journal = rusqlite::Connection::open(desk.path("smppost.db")).unwrap();
    journal
        .execute("INSERT INTO suppression (destination, added_at, reason) VALUES ('447700900002', 0, 'asked')", [])
        .unwrap();
    drop(journal);
    let ran = desk.run(&["check", "spring.csv"]).says(0, &[]);
    assert!(
        ran.out.contains("3 messages to send") && ran.out.contains("1 message to suppressed numbers"),
        "{}",
        ran.out
    );
    desk.run(&["import", "spring.csv", "--campaign", "b", "--allow-same-file"])
        .says(0, &["1 message to suppressed numbers will not be sent"]);
    assert_eq!(desk.sql("SELECT messages, queued, suppressed FROM campaign_summary WHERE campaign = 'b'"), ["4|3|1"]);
    assert_eq!(desk.sql("SELECT state FROM message_status WHERE campaign = 'b' AND line = 3"), ["suppressed"]);
}
