//! Files and options that are refused, and leave nothing behind.

use crate::import_cli::desk::Desk;

/// The file is refused with these words, and nothing lies beside it afterwards.
#[track_caller]
fn refused(contents: impl AsRef<[u8]>, options: &[&str], words: &[&str]) {
    let desk = Desk::new();
    desk.file("a.csv", &contents);
    desk.run(&[&["check", "a.csv"], options].concat()).refused(words);
    desk.run(&[&["import", "a.csv"], options].concat()).refused(words);
    assert_eq!(desk.names(), ["a.csv"]);
    refused_late(contents, options, words);
}

/// The file is refused with these words, and a journal with another campaign in it stays as it was.
#[track_caller]
fn refused_late(contents: impl AsRef<[u8]>, options: &[&str], words: &[&str]) {
    let desk = Desk::new();
    desk.file("a.csv", contents);

    desk.file("good.csv", "to,text\n447700900001,a\n").run(&["import", "good.csv"]).says(0, &[]);
    desk.run(&[&["import", "a.csv"], options].concat()).refused(words);
    assert_eq!(desk.sql("SELECT name FROM campaign"), ["good"]);
    assert_eq!(desk.sql("SELECT count(*) FROM message"), ["1"]);
    assert_eq!(desk.sql("SELECT count(*) FROM skipped_row"), ["0"]);
}

/// An option is refused as a usage error.
#[track_caller]
fn usage(options: &[&str], words: &[&str]) {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n");
    desk.run(&[&["import", "a.csv"], options].concat()).usage(words);
    assert_eq!(desk.names(), ["a.csv"]);
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn f01_invalid_octets_are_refused_with_line_and_octet() {
    let latin1 = b"to,text\n447700900001,a\n447700900002,caf\xE9\n";
    refused(latin1, &["--encoding", "utf-8"], &["line 3, octet 39 of the text", "not UTF-8", "leave it out"]);
    // Far into a file, after rows that were stored already.
    let mut long = b"to,text\n".to_vec();
    for row in 0..50_000 {
        long.extend(format!("4477{row:08},a\n").bytes());
    }
    let octet = long.len();
    long.extend(b"\xFF\n");
    refused_late(&long, &["--encoding", "utf-8"], &["line 50002", &format!("octet {octet} of"), "not UTF-8"]);
    // And where nothing is said of it: nobody can say what that is.
    refused_late(&long, &[], &["line 50002: this is not UTF-8", "“ÿ”", "save the file as UTF-8"]);
    refused(
        [&utf16("to,text\n"), &[0x00, 0xD8, 0x61, 0x00][..]].concat(),
        &["--encoding", "utf-16"],
        &["line 2, octet 16", "not UTF-16LE"],
    );
    usage(&["--encoding", "ebcdic"], &["--encoding", "`ebcdic` is not an encoding", "windows-1252"]);
}

#[test]
fn f01_an_encoding_that_is_not_sure_is_refused_in_words_of_the_file() {
    refused(
        b"to,text\n447700900001,\xC4\xE0\n",
        &[],
        &["line 2: this is not UTF-8", "--encoding windows-1251 it reads “Да”", "save the file as UTF-8"],
    );
    // Of DOS: nothing that is shown is right, and it is not taken.
    refused(b"to,text\n447700900001,Gr\x81\xE1e aus M\x81nchen\n", &[], &["if none does, save the file as UTF-8"]);
}

#[test]
fn f05_a_template_that_names_no_column_is_refused() {
    let file = "to,name\n447700900001,Ann\n";
    refused(file, &["--text", "Hi {nmae}"], &["column `nmae`", "the file has only: to, name"]);
    refused(file, &[], &["no column `text`", "--text", "--text-column", "to, name"]);
    refused(file, &["--text-column", "message"], &["no column `message`"]);
    refused("to,name,name\n447700900001,A,B\n", &["--text", "{name}"], &["`name`", "more than once", "rename"]);
    usage(&["--text", "Hi {name"], &["--text", "character 4", "never closed", "{{"]);
    usage(&["--text", "a", "--text-column", "b"], &["--text", "--text-column", "cannot be used with"]);
}

#[test]
fn f07_an_unclosed_quote_is_refused_with_the_line_it_opened_on() {
    refused("to,text\n447700900001,\"a\n447700900002,b\n", &[], &["a.csv: line 2: a quote", "close it", "\"\""]);
    let rows: String = (0..60_000).map(|row| format!("4477{row:08},row {row}\n")).collect();
    refused_late(format!("to,text\n{rows}447700900001,\"a\n{rows}{rows}"), &[], &["line 60002: a quote"]);
    // What follows must not be swallowed up to the next quote.
    refused(format!("to,text\n447700900001,\"a\n{rows}447700900002,\"b\"\n"), &[], &["line 2: a quote"]);
    let long = "x".repeat(2_000_000);
    refused(format!("to,text\n447700900001,{long}\n"), &[], &["line 2: a row of more than 1 MiB"]);
}

#[test]
fn f09_files_with_nothing_to_send_are_refused() {
    refused("", &[], &["the file is empty", "header"]);
    refused("\n\r\n", &[], &["the file is empty"]);
    refused("to,text\n", &[], &["a header and no rows"]);
    refused("fone,text\n447700900001,a\n", &[], &["no column `to`", "--to-column", "fone, text"]);
    refused("Phone,Mobile,text\n1,2,a\n", &[], &["more than one column", "(`Phone`, `Mobile`)", "by --to-column"]);
    refused("447700900001,Hi\n", &[], &["no column `to`", "is this a row?"]);
    refused("to,text,to\n447700900001,a,2\n", &[], &["more than one column `to`"]);
    refused("to,text\n447700900001,a\n", &["--to-column", "number"], &["no column `number`", "to, text"]);
}

#[test]
fn f09_a_file_that_is_not_there_or_is_none() {
    let desk = Desk::new();
    let words = ["a.csv: there is no such file: check the name and the folder"];
    desk.run(&["import", "a.csv"]).says(1, &words);
    desk.run(&["check", "a.csv"]).refused(&words);
    desk.run(&["check", "-"]).usage(&["-: this is standard input", "give --campaign NAME"]);
    desk.run(&["import", "."]).usage(&["is not a file's name"]);
    assert!(desk.names().is_empty());
}

/// Its name would be taken, so that the corrected file would be refused for being another one.
#[test]
fn f10_a_file_without_a_good_row_is_refused() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n4.47701E+11,a\n44,b\n");
    let words = ["no row can be sent", "2 rows refused", "line 2: a spreadsheet"];
    desk.run(&["import", "a.csv"]).says(1, &words);
    assert!(!desk.path("smppost.db").exists());
    desk.file("a.csv", "to,text\n447700900001,a\n")
        .run(&["import", "a.csv"])
        .says(0, &["imported 1 message in 1 part"]);
}

#[test]
fn f10_strict_refuses_the_first_bad_row() {
    let words = ["line 3: the number has 2 digits", "without --strict"];
    refused("to,text\n447700900001,a\n44,b\n", &["--strict"], &words);
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n447700900001,b\n");
    desk.run(&["import", "a.csv", "--strict"]).says(0, &["1 duplicate row left out"]);
}

#[test]
fn f11_any_difference_is_refused_and_named() {
    let desk = Desk::new();
    let file = "to,text,name\n447700900001,a,Ann\n";
    desk.file("a.csv", file).file("b.csv", "to,text\n447700900001,other\n");
    desk.run(&["import", "a.csv"]).says(0, &[]);
    for (options, words) in [
        (&["--text", "Hi {name}"][..], "--text: was not given, is now \"Hi {name}\""),
        (&["--text-column", "name"], "--text-column: was \"text\", is now \"name\""),
        (&["--from", "Shop"], "--from: was not given, is now \"Shop\""),
        (&["--allow-duplicates"], "--allow-duplicates: was not given, is now true"),
        (&["--receipts", "none"], "--receipts: was \"all\", is now \"none\""),
        (&["--in-doubt", "resend"], "--in-doubt: was \"hold\", is now \"resend\""),
        (&["--alphabet", "ucs2"], "--alphabet: was not given, is now \"ucs2\""),
        (&["--field", "priority_flag=1"], "--field: was not given, is now {\"priority_flag\":1}"),
        (&["--to-column", "To"], "--to-column: was \"to\", is now \"To\""),
    ] {
        let words = ["campaign \"a\" is in the journal already", words, "smppost resume a", "--campaign"];
        desk.run(&[&["import", "a.csv"], options].concat()).refused(&words);
    }
    let words = ["contents of the file: was sha256 ", "Nothing was changed"];
    desk.run(&["import", "b.csv", "--campaign", "a"]).refused(&words);
    desk.file("a.csv", format!("{file}447700900002,b,Bob\n")).run(&["import", "a.csv"]).refused(&words);
    assert_eq!(desk.sql("SELECT campaign, messages FROM campaign_summary"), ["a|1"]);
}

#[test]
fn f16_a_sender_that_no_smsc_takes_is_refused() {
    usage(&["--from", "TwelveLetter"], &["--from", "12 characters", "at most 11"]);
    usage(&["--from", "1234567890123456"], &["--from", "16 digits", "at most 15"]);
    usage(&["--from", "Sh\u{f6}p"], &["--from", "U+00F6", "letters A to Z"]);
}

#[test]
fn f15_options_that_cannot_be() {
    usage(&["--delimiter", ";;"], &["--delimiter", "one ASCII character"]);
    usage(&["--delimiter", "\""], &["--delimiter", "no quote"]);
    usage(&["--campaign", " "], &["--campaign", "must not be empty"]);
    usage(&["--field", "prio=1"], &["--field prio", "priority_flag", "tlv:0xTAG"]);
    usage(&["--field", "priority_flag"], &["--field priority_flag", "NAME=VALUE"]);
    usage(&["--field", "priority_flag=9"], &["priority_flag", "0 to 3"]);
    usage(&["--field", "tlv:0x0424=a"], &["tlv:0x0424", "set by the program alone"]);
    refused("to,text,tlv:1\n447700900001,a,b\n", &[], &["tlv:1", "tlv:0x1400"]);
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n");
    for port in ["99999", "0", "abc", ""] {
        desk.run(&["send", "a.csv", "--port", port]).usage(&["--port", "a port is a number from 1 to 65535"]);
    }
    for receipt in ["", "x"] {
        let receipt = format!("--receipt={receipt}");
        desk.run(&["resolve", "c", "--line", "2", &receipt]).usage(&["a receipt's number, from report --unmatched"]);
    }
    for rate in ["0", "-1", "fast", "1e-30"] {
        desk.run(&["check", "a.csv", "--rate", rate]).usage(&["--rate", "from 0.001 to"]);
    }
}

#[test]
fn f43_a_journal_that_cannot_be_one_is_left_untouched() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n").file("notes.txt", "not a journal, but mine\n");
    desk.run(&["import", "a.csv", "--journal", "notes.txt"]).refused(&["notes.txt is not a journal", "--journal"]);
    desk.run(&["import", "a.csv", "--journal", "no/such.db"]).refused(&["no/such.db", "folder", "does not exist"]);
    desk.run(&["import", "a.csv", "--journal", "."]).refused(&["it is a folder"]);
    assert_eq!(desk.names(), ["a.csv", "notes.txt"]);
    assert_eq!(std::fs::read_to_string(desk.path("notes.txt")).unwrap(), "not a journal, but mine\n");
}
