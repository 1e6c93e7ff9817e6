//! Optional parameters and fields: of binds, of messages, of answers and receipts.

use crate::common::scripted_smsc::{Said, ScriptedSmsc};
use crate::common::{Smppost, expected, number, rows, states};

fn takes_all() -> ScriptedSmsc {
    ScriptedSmsc::start(|taken| Said::taken(&format!("id{}", taken.nth), &[]))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_bind_carries_its_addresses_by_option_and_by_profile() {
    let range = "^4477009[0-9]{5}$";
    let tail = |smsc: &ScriptedSmsc| smsc.binds()[0].clone();
    let as_it_travels = [&[0x34, 1, 8][..], range.as_bytes(), b"\0"].concat();
    let smsc = takes_all();
    let smppost = Smppost::new();
    let options = ["--addr-ton", "1", "--addr-npi", "8", "--address-range", range, "--receipts", "none"];
    smppost.spawn_send(&rows(1), smsc.port(), &options).wait().assert_code(0);
    assert!(tail(&smsc).ends_with(&as_it_travels), "{:?}", tail(&smsc));

    let smsc = takes_all();
    let keys = format!("addr_ton = 1\naddr_npi = 8\naddress_range = \"{range}\"\nreceipts = \"none\"\n");
    let account = format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"me\"\n", smsc.port());
    let smppost = Smppost::new();
    smppost.file("smppost.toml", account + &keys);
    smppost.file("c.csv", rows(1));
    smppost.run(&["send", "c.csv", "--profile", "acme"]).assert_code(0);
    assert!(tail(&smsc).ends_with(&as_it_travels), "{:?}", tail(&smsc));

    let smsc = takes_all();
    let smppost = Smppost::new();
    smppost.spawn_send(&rows(1), smsc.port(), &["--receipts", "none"]).wait().assert_code(0);
    assert!(tail(&smsc).ends_with(&[0x34, 0, 0, 0]), "as ever: {:?}", tail(&smsc));
    let long = "1".repeat(41);
    let ended = smppost.spawn_send(&rows(1), smsc.port(), &["--address-range", &long]).wait();
    assert!(ended.assert_code(2).words().contains("41 octets, and SMPP takes at most 40"), "{}", ended.said());
}

#[test]
fn longer_senders_go_where_the_provider_takes_them() {
    let (name, digits) = ("A name of 20 letters", "123456789012345678");
    let csv = format!("to,text,from\n{},a,{name}\n{},b,{digits}\n{},c,\n", number(1), number(2), number(3));
    let smsc = takes_all();
    let smppost = Smppost::new();
    let refused = smppost.spawn_send(&csv, smsc.port(), &["--receipts", "none"]).wait();
    assert!(
        smsc.taken().len() == 1 && states(&smppost.journal(), "c") == expected([("accepted", 1)]),
        "{}",
        refused.said()
    );
    let reasons = smppost.run(&["report", "c", "--rejected-rows", "--format", "csv"]).stdout;
    assert!(reasons.matches("--max-sender-length").count() == 2, "{reasons}");

    let smppost = Smppost::new();
    let options = ["--receipts", "none", "--from", "ACME SHOES LTD", "--max-sender-length", "20"];
    smppost.spawn_send(&csv, smsc.port(), &options).wait().assert_code(0);
    let sent: Vec<_> =
        smsc.taken()[1..].iter().map(|one| (one.source.clone(), one.source_ton, one.source_npi)).collect();
    let as_sent = |text: &str, ton, npi| (text.to_owned(), ton, npi);
    assert_eq!(sent, [as_sent(name, 5, 0), as_sent(digits, 1, 1), as_sent("ACME SHOES LTD", 5, 0)]);
    // The same command again goes on with the same campaign.
    let again = smppost.spawn_send(&csv, smsc.port(), &options).wait();
    assert!(
        again.assert_code(0).stderr.contains("is in the journal already") || smsc.taken().len() == 4,
        "{}",
        again.said()
    );
    smppost.run(&["verify"]).assert_code(0);

    for (options, words) in [
        (&["--from", "ACME SHOES LTD"][..], "--from: the sender has 14 characters, a name has at most 11"),
        (&["--from", "1234567890123456"], "--from: the sender has 16 digits, a number has at most 15"),
        (&["--from", "ACME SHOES LTD.", "--max-sender-length", "14"], "a name has at most 14"),
        (&["--from", "123456789012345678901", "--max-sender-length", "20"], "a number has at most 20"),
        (&["--max-sender-length", "21"], "21 is not in 11..=20"),
    ] {
        let ended = Smppost::new().spawn_send(&rows(1), smsc.port(), options).wait();
        assert!(ended.assert_code(2).words().contains(words), "{options:?}: {}", ended.said());
    }
}

#[test]
fn a_c_string_ends_in_a_nul_by_option_column_and_profile() {
    let smsc = takes_all();
    let smppost = Smppost::new();
    let csv = format!("to,text,tlv:0x1401:cstring\n{},a,1107160000001\n{},b,\n", number(1), number(2));
    let options = [
        "--receipts",
        "none",
        "--field",
        "tlv:0x1400:cstring=PE",
        "--field",
        "tlv:0x1402=TM",
        "--field",
        "tlv:0x1401=X",
    ];
    smppost.spawn_send(&csv, smsc.port(), &options).wait().assert_code(0);
    let sent = smsc.taken();
    for (nth, id) in [(0, &b"1107160000001\0"[..]), (1, b"X")] {
        assert_eq!(sent[nth].tlv(0x1400), Some(&b"PE\0"[..]));
        assert_eq!(sent[nth].tlv(0x1402), Some(&b"TM"[..]));
        assert_eq!(sent[nth].tlv(0x1401), Some(id));
    }
    let smppost = Smppost::new();
    let account = format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"me\"\n", smsc.port());
    smppost.file("smppost.toml", account + "receipts = \"none\"\n[acme.field]\n\"tlv:0x1414:cstring\" = \"OTP\"\n");
    smppost.file("c.csv", rows(1));
    smppost.run(&["send", "c.csv", "--profile", "acme"]).assert_code(0);
    assert_eq!(smsc.taken()[2].tlv(0x1414), Some(&b"OTP\0"[..]));
    let csv = "to,text,tlv:0x1401:cstring,tlv:0x1401\n447700900001,a,1,2\n";
    let twice = Smppost::new().spawn_send(csv, smsc.port(), &[]).wait();
    assert!(twice.assert_code(1).words().contains("tlv:0x1401"), "{}", twice.said());
}

#[test]
fn ids_that_a_spreadsheet_has_eaten_are_refused_as_numbers_are() {
    let smppost = Smppost::new();
    let csv = "to;text;tlv:0x1401\n447700900001;a;1.10716E+18\n447700900002;b;1,10716E+18\n\
               447700900003;c;1107160000000000000\n447700900004;d;\n447700900005;e;12E4\n";
    smppost.file("c.csv", csv);
    let checked = smppost.run(&["check", "c.csv", "--field", "tlv:0x1400=PE-1", "--field", "validity_period=2h"]);
    let words = one_line(&checked.assert_code(0).stdout);
    assert!(words.contains("2 rows will be refused"), "{words}");
    assert!(words.contains("2 (lines 2, 3): tlv:0x1401: a spreadsheet rewrote the id"), "{words}");
    let expected = "fields of all messages: validity_period = 000000020000000R, tlv:0x1400 = PE-1 tlv:0x1401 by its column: \
                    2 messages (the first: 1107160000000000000); 1 has an empty cell there, and goes without it";
    assert!(words.contains(expected), "{words}");
    let json = smppost.run(&["check", "c.csv", "--format", "json", "--field", "tlv:0x1401=GENERAL"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["fields"], serde_json::json!([{ "field": "tlv:0x1401", "value": "GENERAL" }]));
    let column =
        serde_json::json!([{ "field": "tlv:0x1401", "messages": 2, "empty": 1, "sample": "1107160000000000000" }]);
    assert_eq!(json["field_columns"], column);
    let general = smppost.run(&["check", "c.csv", "--field", "tlv:0x1401=GENERAL"]).stdout;
    assert!(one_line(&general).contains("1 has an empty cell there, and goes with GENERAL"), "{general}");
    let typed = smppost.run(&["check", "c.csv", "--field", "tlv:0x1400=1.10716E+18"]);
    assert!(typed.assert_code(2).words().contains("a spreadsheet rewrote the id"), "{}", typed.said());
    // Nothing to say where there is nothing.
    smppost.file("d.csv", rows(2));
    let plain = smppost.run(&["check", "d.csv"]).stdout;
    assert!(!plain.contains("field") && !plain.contains("tlv"), "{plain}");
}
