//! How texts travel: concatenation by UDH, SAR TLVs or message_payload, submit_sm or data_sm, the alphabet behind
//! data_coding 0. Against the built-in simulator, whose ledger says what it got.
use crate::common::{Smppost, expected, long_rows, one, open, rows, rows_with, states};
use serde_json::Value;
use smppost::smsc::{Settings, Smsc};
use std::collections::BTreeMap;
use std::path::Path;

fn smsc(smppost: &Smppost, change: impl FnOnce(&mut Settings)) -> Smsc {
    let ledger = Some(smppost.path("ledger.jsonl"));
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ledger, ..Settings::default() };
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

/// The lines of a kind in the ledger.
fn ledger(smppost: &Smppost, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(smppost.path("ledger.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

fn octets(line: &Value) -> Vec<u8> {
    let hex = line["short_message"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Texts of the journal by destination.
fn texts(journal: &Path) -> BTreeMap<String, String> {
    let connection = open(journal);
    let mut query = connection.prepare("SELECT destination, text FROM message_status").unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn long_texts_arrive_whole_whichever_way_they_travel() {
    for (concat, via, parts, command) in [
        ("udh8", "submit_sm", 3, "submit_sm"),
        ("udh16", "submit_sm", 3, "submit_sm"),
        ("sar", "submit_sm", 3, "submit_sm"),
        ("payload", "submit_sm", 1, "submit_sm"),
        ("udh8", "data_sm", 3, "data_sm"),
        ("udh16", "data_sm", 3, "data_sm"),
        ("sar", "data_sm", 3, "data_sm"),
        ("payload", "data_sm", 1, "data_sm"),
    ] {
        let smppost = Smppost::new();
        let smsc = smsc(&smppost, |_| {});
        let rows = long_rows(20) + "447700800000,short\n447700800001,ж и ж\n";
        let ended = smppost.send(&rows, smsc.local_addr().port(), &["--concat", concat, "--via", via]);
        ended.assert_code(0);
        let what = format!("{concat} {via}: {}", ended.said());
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 22)]), "{what}");
        assert_eq!(smsc.stop().accepted, 20 * parts + 2, "{what}");
        let submits = ledger(&smppost, "submit");
        assert!(submits.iter().all(|line| line["command"] == command), "{what}");
        let long = submits.iter().filter(|line| line["concat"] == concat).count() as u64;
        assert_eq!(long, 20 * parts, "{what}");
        let texts = texts(&smppost.journal());
        let joined = ledger(&smppost, "joined");
        if concat == "payload" {
            for line in submits.iter().filter(|line| line["concat"] == concat) {
                let alphabet = smppost::testing::message::text::DefaultAlphabet::Gsm7;
                let text = smppost::testing::message::text::decode(0, &octets(line), alphabet);
                assert_eq!(text, texts[line["destination"].as_str().unwrap()], "{what}");
            }
        } else {
            assert_eq!(joined.len(), 20, "{what}");
            for line in joined {
                assert_eq!(line["text"], texts[line["destination"].as_str().unwrap()], "{what}");
            }
        }
    }
}

#[test]
fn part_sizes_follow_the_header() {
    for (concat, parts) in [("udh8", 2), ("udh16", 3), ("sar", 2), ("payload", 1)] {
        let smppost = Smppost::new();
        smppost.file("c.csv", rows_with(1, |_| "x".repeat(306)));
        smppost.run(&["import", "c.csv", "--concat", concat]).assert_code(0);
        assert_eq!(one(&smppost.journal(), "SELECT parts FROM message_status"), parts, "{concat}");
        let ended = smppost.run(&["check", "c.csv", "--concat", concat]);
        ended.assert_code(0);
        let words = format!("1 message to send in {parts} part");
        assert!(ended.stdout.contains(&words), "{}", ended.said());
        assert_eq!(ended.stdout.contains("about 2 SMS"), concat == "payload", "{}", ended.said());
    }
}

#[test]
fn what_needs_optional_parameters_is_refused_where_there_are_none() {
    for option in [["--concat", "sar"], ["--concat", "payload"], ["--via", "data_sm"]] {
        let smppost = Smppost::new();
        let smsc = smsc(&smppost, |settings| settings.sc_interface_version = None);
        let port = smsc.local_addr().port();
        // By the version: before anything is imported under the campaign's name.
        for version in [&["--smpp-version", "3.3", "--bind", "tx"][..], &["--tlvs", "no"]] {
            let ended = smppost.send(&long_rows(3), port, &[&option[..], version].concat());
            ended.assert_code(2);
            assert!(ended.stderr.contains(&option.join(" ")), "{}", ended.said());
            assert!(!smppost.journal().exists());
        }
        // By what the SMSC announces: imported, and nothing sent.
        let ended = smppost.send(&long_rows(3), port, &option);
        ended.assert_code(1);
        assert!(ended.stderr.contains("--tlvs yes"), "{}", ended.said());
        // The receiving half of a pair alone is no reason to go on.
        let ended = smppost.send(&long_rows(3), port, &[&option[..], &["--bind", "tx+rx"]].concat());
        ended.assert_code(1);
        assert_eq!(smsc.stats().submits, 0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
        let account = ["--host", "127.0.0.1", "--system-id", "test", "--rate", "unlimited", "--port"];
        let port = port.to_string();
        let resume = |more: &[&str]| smppost.run(&[&["resume", "c"][..], &account, &[&port], more].concat());
        let ended = resume(&["--smpp-version", "3.3", "--bind", "tx"]);
        ended.assert_code(1);
        assert!(ended.stderr.contains("was imported with") && smsc.stats().submits == 0, "{}", ended.said());
        // The operator knows better.
        resume(&["--tlvs", "yes"]).assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    }
}

/// What the operator adds is not left out, and does not go to an SMSC that may not take it.
#[test]
fn f25_optional_parameters_of_ones_own_need_an_smsc_that_announces_them() {
    let columned = "to,text,tlv:0x1400\n447700900001,a,\n447700900002,b,0x01\n";
    let field = ["--field", "tlv:0x1400=0x01"];
    for (rows, more, place) in [(rows(2), &field[..], "its --field options"), (columned.to_owned(), &[], "line 3")] {
        let smppost = Smppost::new();
        let smsc = smsc(&smppost, |settings| settings.sc_interface_version = Some(0x33));
        let port = smsc.local_addr().port();
        let ended = smppost.send(&rows, port, more);
        ended.assert_code(1);
        assert!(ended.stderr.contains(place) && ended.stderr.contains("--tlvs yes"), "{}", ended.said());
        assert_eq!(smsc.stats().submits, 0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2)]));
        smppost.send(&rows, port, &[more, &["--tlvs", "yes"]].concat()).assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2)]));
    }
    let smppost = Smppost::new();
    let smsc = smsc(&smppost, |settings| settings.sc_interface_version = None);
    let ended = smppost.send("to,text,txet\n447700900001,a,b\n", smsc.local_addr().port(), &[]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("columns not used: txet"), "{}", ended.said());
}

#[test]
fn f11_another_way_to_travel_is_another_campaign() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    smppost.run(&["import", "c.csv"]).assert_code(0);
    for (option, value) in [("--concat", "sar"), ("--via", "data_sm"), ("--default-alphabet", "latin1")] {
        let ended = smppost.run(&["import", "c.csv", option, value]);
        ended.assert_code(1);
        assert!(ended.stderr.contains(&format!("{option}: was not given, is now \"{value}\"")), "{}", ended.said());
    }
}

#[test]
fn fields_that_do_not_go_with_it_are_refused_before_anything_is_written() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    smppost.file("columns.csv", "to,text,validity_period\n447700900001,x,2h\n");
    smppost.file("header.csv", "to,text,esm_class\n447700900001,x,0x40\n447700900002,y,\n");
    for (arguments, code, words) in [
        (&["c.csv", "--via", "data_sm", "--field", "priority_flag=1"][..], 2, "data_sm has no field priority_flag"),
        (&["columns.csv", "--via", "data_sm"], 1, "a column `validity_period`"),
        (&["c.csv", "--concat", "sar", "--field", "esm_class=0x40"], 2, "announces a user data header"),
    ] {
        let ended = smppost.run(&[&["import"][..], arguments].concat());
        ended.assert_code(code);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
        assert!(!smppost.journal().exists());
    }
    // In a row it is that row's fault alone.
    smppost.run(&["import", "header.csv", "--concat", "sar"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM rejected_row WHERE reason LIKE 'esm_class%'"), 1);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message_status"), 1);
}

#[test]
fn a_data_coding_set_by_hand_says_what_the_octets_are() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost, |_| {});
    let rows = "to,text,data_coding\n447700900001,Caf\u{e9} @_$ \u{e7},3\n447700900002,a@b_c {x}`,1\n447700900003,\u{17e},3\n\
                447700900004,\u{e9},\n447700900005,x,4\n447700900006,\u{e9}@,8\n447700900007,\u{e9}@,0\n";
    let ended = smppost.send(rows, smsc.local_addr().port(), &["--field", "data_coding=1"]);
    ended.assert_code(0);
    let sent: Vec<_> =
        ledger(&smppost, "submit").iter().map(|line| (line["data_coding"].as_u64().unwrap(), octets(line))).collect();
    let latin1 = b"Caf\xE9 @_$ \xE7".to_vec();
    assert_eq!(sent, [(3, latin1), (1, b"a@b_c {x}`".to_vec()), (8, vec![0, 0xE9, 0, b'@']), (0, vec![5, 0])]);
    let refused = smppost.run(&["report", "c", "--rejected-rows", "--format", "csv"]);
    for words in
        ["is not in Latin-1, which data_coding 3 means", "is not in ASCII, which data_coding 1 means", "4 means binary"]
    {
        assert!(refused.stdout.contains(words), "{words}: {}", refused.said());
    }
    let told = smppost.run(&["check", "c.csv"]);
    assert!(told.stdout.contains("latin1: 1 message") && told.stdout.contains("ascii: 1 message"), "{}", told.said());
    let binary = smppost.run(&["check", "c.csv", "--field", "data_coding=4"]);
    binary.assert_code(2);
    assert!(binary.stderr.contains("4 means binary data"), "{}", binary.said());
}

#[test]
fn data_coding_0_carries_what_the_smsc_reads() {
    // `@` is 0x00 in GSM 03.38, `é` 0x05.
    for (alphabet, first, data_coding) in [
        ("gsm7", &[0x00, 0x05, b'x'][..], 0),
        ("gsm7-packed", &[0x80, 0x02, 0x1E], 0),
        ("latin1", &[b'@', 0xE9, b'x'], 0),
        ("ascii", &[0, b'@', 0, 0xE9, 0, b'x'], 8),
        ("utf8", &[0, b'@', 0, 0xE9, 0, b'x'], 8),
    ] {
        let smppost = Smppost::new();
        let smsc = smsc(&smppost, |_| {});
        let rows = "to,text,data_coding\n447700900001,@éx,\n447700900002,@éx,0xF0\n447700900003,Ωx,\n";
        let ended = smppost.send(rows, smsc.local_addr().port(), &["--default-alphabet", alphabet]);
        ended.assert_code(0);
        let sent = ledger(&smppost, "submit");
        assert_eq!((octets(&sent[0]), &sent[0]["data_coding"]), (first.to_vec(), &data_coding.into()), "{alphabet}");
        // One that says GSM 03.38 by its data_coding is that, whatever 0 means.
        assert_eq!((octets(&sent[1]), &sent[1]["data_coding"]), (vec![0x00, 0x05, b'x'], &0xF0.into()), "{alphabet}");
        let is_gsm = alphabet.starts_with("gsm7");
        assert_eq!(
            sent[2]["data_coding"],
            if is_gsm { 0 } else { 8 },
            "{alphabet}: an omega is in the GSM alphabet alone"
        );
    }
}
