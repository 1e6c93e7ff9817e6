//! What goes into the journal, and what of it the views show.

use crate::import_cli::desk::Desk;

#[test]
fn f01_encodings_are_read_as_told() {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for (file, options) in [
        ("\u{feff}to,text\n447700900001,caf\u{e9} 5 \u{20ac}\n".as_bytes().to_vec(), &[][..]),
        (b"to,text\r\n447700900001,caf\xE9 5 \x80\r\n".to_vec(), &["--encoding", "latin1"]),
        (utf16("\u{feff}to,text\n447700900001,caf\u{e9} 5 \u{20ac}"), &["--encoding", "utf-16"]),
        (utf16("to\ttext\n447700900001\tcaf\u{e9} 5 \u{20ac}"), &["--encoding", "utf-16"]),
    ] {
        let desk = Desk::new();
        desk.file("a.csv", file).run(&[&["import", "a.csv"], options].concat()).says(0, &[]);
        assert_eq!(
            desk.sql("SELECT line, destination, text, encoding FROM message_status"),
            ["2|447700900001|caf\u{e9} 5 \u{20ac}|gsm7"]
        );
    }
}

#[test]
fn f02_spoilt_numbers_are_kept_aside_by_name() {
    let desk = Desk::new();
    desk.file(
        "a.csv",
        "to,text\n447700900001,a\n4.47701E+11,b\n\u{664}\u{664}\u{667}\u{667}\u{660}\u{660}\u{669},c\n447700900002.0,d\n",
    );
    desk.run(&["import", "a.csv"])
        .says(0, &["imported 1 message", "3 rows refused", "--rejected-rows", "line 3: a spreadsheet"]);
    let rows = desk.sql("SELECT line, row, reason FROM rejected_row ORDER BY line");
    assert!(rows[0].starts_with("3|4.47701E+11,b|a spreadsheet rewrote the number in scientific notation"), "{rows:?}");
    assert!(rows[1].starts_with("4|\u{664}") && rows[2].starts_with("5|447700900002.0,d|"), "{rows:?}");
    assert_eq!(desk.sql("SELECT messages, rejected_rows, duplicate_rows FROM campaign_summary"), ["1|3|0"]);
}

#[test]
fn f03_delimiters_line_ends_and_quotes() {
    let expected = ["2|447700900001|Shop|a, b", "3|447700900002|-|two\nlines"];
    for (file, options) in [
        ("to;from;text\r\n447700900001;Shop;a, b\r\n447700900002;;\"two\nlines\"", &[][..]),
        ("to\tfrom\ttext\n447700900001\tShop\ta, b\n447700900002\t\t\"two\nlines\"\n", &[]),
        ("to,from,text\r447700900001,Shop,\"a, b\"\r447700900002,,\"two\nlines\"\r", &[]),
        ("to^from^text\n447700900001^Shop^a, b\n447700900002^^\"two\nlines\"\n", &["--delimiter", "^"]),
        (
            "a;b;c;to\tfrom\ttext\n447700900001\tShop\ta, b\n447700900002\t\t\"two\nlines\"\n",
            &["--delimiter", "tab", "--to-column", "a;b;c;to"],
        ),
    ] {
        let desk = Desk::new();
        desk.file("a.csv", file).run(&[&["import", "a.csv"], options].concat()).says(0, &["imported 2 messages"]);
        let rows = desk.sql("SELECT line, destination, nullif(source, ''), text FROM message_status ORDER BY line");
        assert_eq!(rows, expected, "{file:?}");
    }
}

#[test]
fn f04_duplicates_are_counted_and_listed_or_sent() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n+447700900001,b\n447700900002,c\n447700900001,d\n");
    desk.run(&["import", "a.csv"])
        .says(0, &["imported 2 messages", "2 duplicate rows left out", "smppost report a --duplicates"]);
    assert_eq!(desk.sql("SELECT messages, duplicate_rows, rejected_rows FROM campaign_summary"), ["2|2|0"]);
    assert_eq!(
        desk.sql("SELECT campaign, line, row FROM duplicate_row ORDER BY line"),
        ["a|3|+447700900001,b", "a|5|447700900001,d"]
    );
    desk.run(&["import", "a.csv", "--allow-duplicates", "--campaign", "all", "--allow-same-file"])
        .says(0, &["imported 4 messages in 4 parts"]);
    assert_eq!(
        desk.sql("SELECT count(*) FROM message_status WHERE campaign = 'all' AND destination = '447700900001'"),
        ["3"]
    );
    let listed = desk.run(&["report", "a", "--duplicates", "--format", "csv"]).says(0, &[]);
    assert!(listed.out.contains("447700900001,d"), "{}", listed.out);
}

#[test]
fn f05_templates_and_defaults() {
    let desk = Desk::new();
    desk.file("a.csv", "to,Name,code\n447700900001,Ann,17\n447700900002, ,18\n447700900003,{code},19\n");
    desk.run(&["import", "a.csv", "--text", "Hi {name}: {{{code}}}"]).usage(&[
        "1 text may not be meant",
        "(line 4): {code}",
        "--allow-placeholders",
    ]);
    desk.run(&["import", "a.csv", "--text", "Hi {name}: {{{code}}}", "--allow-placeholders"])
        .says(0, &["1 row refused", "line 3: column `name` is empty", "{name|friend}"]);
    assert_eq!(desk.sql("SELECT text FROM message_status"), ["Hi Ann: {17}", "Hi {code}: {19}"]);
    desk.run(&["import", "a.csv", "--text", "Hi {name|friend}: {code}", "--campaign", "b", "--allow-placeholders"])
        .says(0, &["imported 3 messages"]);
    assert_eq!(desk.sql("SELECT text FROM message_status WHERE campaign = 'b' AND line = 3"), ["Hi friend: 18"]);
}

#[test]
fn f06_a_nul_costs_its_row_and_controls_are_escaped() {
    let desk = Desk::new();
    desk.file("a.csv", b"to,text\n447700900001,a\0b\n447700900002,\x1b[2Jbad\n447700900003,fine\n");
    desk.run(&["import", "a.csv"]).says(0, &["1 row refused", "line 2: the text has a NUL character"]);
    assert_eq!(desk.sql("SELECT line, text FROM message_status"), ["3|\u{1b}[2Jbad", "4|fine"]);
    let check = desk.run(&["check", "a.csv"]).says(0, &[]);
    assert!(!check.out.contains('\u{1b}') && check.out.contains("\\u{1b}[2Jbad"), "{}", check.out);
    // In words about a bad row, too.
    desk.file("b.csv", "to,text\n447700900001,a\n447700900002\u{1b}[31m,b\n");
    let import = desk.run(&["import", "b.csv"]).says(0, &["line 3: "]);
    assert!(!import.err.contains('\u{1b}'), "{}", import.err);
}

#[test]
fn f10_a_bad_row_costs_only_itself() {
    let desk = Desk::new();
    desk.file(
        "a.csv",
        "to,from,text\n447700900001,Shop,a\n447700900002,Shop,b,c\n447700900003,TwelveLetter,d\n447700900004,,\n\
         447700900005,,\"5\" pipe\"\n447700900006,,f\n",
    );
    desk.run(&["import", "a.csv"])
        .says(0, &["imported 2 messages", "4 rows refused", "line 3: the row has 4 fields and the header 3"]);
    let rows = desk.sql("SELECT line, row FROM rejected_row ORDER BY line");
    assert_eq!(
        rows,
        [
            "3|447700900002,Shop,b,c",
            "4|447700900003,TwelveLetter,d",
            "5|447700900004,,",
            "6|447700900005,,\"5\" pipe\""
        ]
    );
    let words = desk.sql("SELECT group_concat(reason, ' / ') FROM rejected_row ORDER BY line").remove(0);
    for cause in ["4 fields", "12 characters", "the text is empty", "follows a closing quote"] {
        assert!(words.contains(cause), "{words}");
    }
    let listed = desk.run(&["report", "a", "--rejected-rows", "--format", "csv"]).says(0, &[]);
    assert!(listed.out.contains("TwelveLetter"), "{}", listed.out);
}

#[test]
fn f11_the_same_again_imports_nothing() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n");
    let import = ["import", "a.csv", "--from", "Shop", "--field", "priority_flag=1"];
    desk.run(&import).says(0, &["a: imported 1 message in 1 part"]);
    desk.run(&import).says(0, &["a: in the journal already, with 1 message"]);
    // How the file is written makes no difference to what is sent.
    desk.run(&[&import[..], &["--delimiter", ",", "--strict"]].concat()).says(0, &["in the journal already"]);
    assert_eq!(desk.sql("SELECT campaign, messages FROM campaign_summary"), ["a|1"]);
    assert_eq!(desk.sql("SELECT count(*) FROM message"), ["1"]);
    // The same file under another name is another campaign, for whoever says that it is meant.
    let again = [&import[..], &["--campaign", "b"]].concat();
    desk.run(&again).says(2, &["these are the messages of campaign a", "--allow-same-file"]);
    desk.run(&[&again[..], &["--allow-same-file"]].concat()).says(0, &["b: imported 1 message"]);
    assert_eq!(desk.sql("SELECT campaign FROM campaign_summary"), ["a", "b"]);
}

#[test]
fn f12_the_file_is_not_needed_any_more() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,as imported\n447700900002,b\n");
    desk.run(&["import", "a.csv"]).says(0, &[]);
    std::fs::remove_file(desk.path("a.csv")).unwrap();
    desk.run(&["import", "a.csv"]).refused(&["a.csv: there is no such file", "smppost resume a"]);
    let (_simulator, port) = desk.simulator();
    let resume =
        ["resume", "a", "--host", "127.0.0.1", "--port", &port, "--system-id", "tester", "--rate", "unlimited"];
    let ran = desk.command(&resume).env("SMPPOST_PASSWORD", "secret").output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(desk.sql("SELECT text, state FROM message_status"), ["as imported|delivered", "b|delivered"]);
}

#[test]
fn f16_senders_of_the_campaign_and_of_rows() {
    let desk = Desk::new();
    desk.file(
        "a.csv",
        "to,from,text\n447700900001,,a\n447700900002,Bank,b\n447700900003,+447700900999,c\n447700900004,+1234567,d\n",
    );
    desk.run(&["import", "a.csv", "--from", "+7654321"]).says(0, &["imported 4 messages"]);
    // A short number keeps its +, without which it would be a short code.
    assert_eq!(
        desk.sql("SELECT source FROM message_status ORDER BY line"),
        ["+7654321", "Bank", "447700900999", "+1234567"]
    );
}

#[test]
fn columns_and_fields_by_name() {
    let desk = Desk::new();
    desk.file(
        "a.csv",
        "phone,message,validity_period,tlv:0x1400\n447700900001,{phone},2h,\n447700900002,b,soon,\n447700900003,c,,0x6869\n",
    );
    let options =
        ["--to-column", "phone", "--text-column", "message", "--field", "priority_flag=2", "--field", "data_coding=8"];
    desk.run(&[&["import", "a.csv", "--allow-placeholders"], &options[..]].concat())
        .says(0, &["1 row refused", "line 3: validity_period: `soon` is not a time"]);
    assert_eq!(
        desk.sql("SELECT destination, text, fields FROM message ORDER BY id"),
        [
            "447700900001|{phone}|{\"validity_period\":\"000000020000000R\"}",
            "447700900003|c|{\"tlvs\":{\"0x1400\":\"6869\"}}",
        ]
    );
    // The campaign's own fields are kept once, with its options.
    let options = desk.sql("SELECT options FROM campaign").remove(0);
    assert!(options.contains("\"fields\":{\"priority_flag\":2,\"data_coding\":8}"), "{options}");
}

#[test]
fn f51_the_journal_is_private_from_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n").run(&["import", "a.csv"]).says(0, &[]);
    for name in desk.names().iter().filter(|name| name.starts_with("smppost.db")) {
        let mode = std::fs::metadata(desk.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
