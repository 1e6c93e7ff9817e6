//! Optional parameters and fields: of binds, of messages, of answers and receipts.

use crate::common::scripted_smsc::{Said, ScriptedSmsc, tlv};
use crate::common::{Smppost, expected, number, one, open, rows, states};

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

/// A column of a view, of all rows in order.
fn column(smppost: &Smppost, sql: &str) -> Vec<Option<String>> {
    let connection = open(&smppost.journal());
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_an_answer_says_beside_its_status_is_told_everywhere() {
    let text = "Template not approved (653)";
    // With its NUL and without, after the id and where the SMSC leaves that out; and parameters of a vendor.
    let smsc = ScriptedSmsc::start(move |taken| match taken.nth {
        0 => Said::refused(0x66, &tlv(0x001D, format!("{text}\0"))),
        1 => Said { status: 0x66, body: Some(tlv(0x001D, text)), ..Said::default() },
        2 => Said::refused(0x66, &[tlv(0x001D, text), tlv(0x1405, "abc")].concat()),
        3 => Said::refused(0x0B, &[tlv(0x1403, "26207\0"), tlv(0x0423, [3, 0, 27])].concat()),
        4 => Said::taken("id4", &[tlv(0x1404, "0.0045"), tlv(0x001D, "via route 7")].concat()),
        5 => Said::refused(0x0B, &[]),
        // No parameters, whatever they are.
        _ => Said::refused(0x0B, &[1, 2, 3]),
    });
    let smppost = Smppost::new();
    let sent = smppost.spawn_send(&rows(7), smsc.port(), &["--receipts", "none"]).wait();
    let said = one_line(&sent.assert_code(3).said());
    assert!(said.contains(&format!("3 x the SMSC says: {text}")), "{said}");
    let page = one_line(&smppost.run(&["report", "c"]).stdout);
    assert!(page.contains(&format!("3 x the SMSC says: {text}")), "{page}");
    assert!(page.contains("1 x the SMSC says: 0x1403=26207; 0x0423 network_error_code=GSM 27"), "{page}");
    let reasons = [
        Some(text),
        Some(text),
        Some(text),
        Some("0x1403=26207; 0x0423 network_error_code=GSM 27"),
        Some("via route 7"),
        None,
        None,
    ]
    .map(|words| words.map(str::to_owned));
    assert_eq!(column(&smppost, "SELECT reason FROM message_status ORDER BY line"), reasons);
    assert_eq!(column(&smppost, "SELECT reason FROM attempt_log ORDER BY line"), reasons);
    let tlvs = column(&smppost, "SELECT tlvs FROM attempt_log ORDER BY line");
    assert_eq!(tlvs[2].as_deref(), Some("0x001D additional_status_info_text=Template not approved (653); 0x1405=abc"));
    assert_eq!(tlvs[4].as_deref(), Some("0x1404=0.0045; 0x001D additional_status_info_text=via route 7"));
    assert_eq!((&tlvs[5], &tlvs[6]), (&None, &None));
    let json: serde_json::Value =
        serde_json::from_str(&smppost.run(&["report", "c", "--messages", "--format", "json"]).stdout).unwrap();
    assert_eq!(json[0]["reason"], text);
    let csv = smppost.run(&["report", "c", "--format", "csv"]).stdout;
    assert!(csv.lines().next().unwrap().ends_with(",possible_duplicate,reason,number_in_file"), "{csv}");
    assert_eq!(csv.matches(&format!(",0,{text},\n")).count(), 3, "{csv}");
    let attempts = smppost.run(&["report", "c", "--attempts", "--format", "csv"]).stdout;
    assert!(attempts.contains("0x1404=0.0045"), "{attempts}");
    let report: serde_json::Value =
        serde_json::from_str(&smppost.run(&["report", "c", "--format", "json"]).stdout).unwrap();
    assert_eq!(report["rejections"][1]["reasons"][0]["reason"], text);
    assert_eq!(
        one(&smppost.journal(), "SELECT count(*) FROM tlv_log WHERE came_with = 'answer' AND tag = '0x001D'"),
        4
    );
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM answer_tlv"), 5);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_an_answer_says_survives_a_death_before_its_commit() {
    let smsc = ScriptedSmsc::start(|_| Said::refused(0x66, &tlv(0x001D, "no\0")));
    let smppost = Smppost::new();
    let mut running = smppost.spawn_send(&rows(400), smsc.port(), &["--receipts", "none", "--rate", "400"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while smsc.taken().len() < 30 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(running.is_running());
    running.kill();
    smppost.spawn_send(&rows(400), smsc.port(), &["--receipts", "none", "--limit", "1"]).wait();
    let (rejected, with_reason) = (
        one(&smppost.journal(), "SELECT count(*) FROM answer"),
        one(&smppost.journal(), "SELECT count(*) FROM answer_tlv WHERE reason = 'no'"),
    );
    assert!(rejected >= 20 && rejected == with_reason, "{rejected} {with_reason}");
}

#[test]
fn parameters_and_errors_of_receipts_are_told_in_the_words_of_the_profile() {
    let smsc = ScriptedSmsc::start(|taken| {
        let id = format!("id{}", taken.nth);
        let tlvs = [
            tlv(0x001E, format!("{id}\0")),
            tlv(0x0427, [5]),
            tlv(0x0423, [3, 0, 27]),
            tlv(0x1403, "26207\0"),
            tlv(0x1404, "0.0045"),
            tlv(0x1407, [1, 2, 3]),
        ];
        let text = format!(
            "id:{id} sub:001 dlvrd:000 submit date:2611290000 done date:2611290001 stat:UNDELIV err:0303 text:x"
        );
        Said::taken(&id, &[]).then(taken, &text, &tlvs.concat())
    });
    let smppost = Smppost::new();
    let tables = "[acme.errors]\n303 = \"no such route\"\n\"27\" = \"absent\"\n[acme.tlv_names]\n\"0x1403\" = \"mcc_mnc\"\n0x1404 = \"price\"\n";
    let account = format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"me\"\n", smsc.port());
    smppost.file("smppost.toml", account + tables);
    smppost.run(&["profile", "check"]).assert_code(0);
    smppost.file("c.csv", rows(3));
    smppost.run(&["send", "c.csv", "--profile", "acme", "--wait-receipts", "2s"]).assert_code(3);
    // Whoever reads the journal needs no profile.
    let page = one_line(&smppost.run(&["report", "c"]).stdout);
    assert!(page.contains("3 UNDELIVERABLE, error 0303 (no such route)"), "{page}");
    let expected = "0x001E receipted_message_id=id0; 0x0427 message_state=5; 0x0423 network_error_code=GSM 27; 0x1403 mcc_mnc=26207; \
                    0x1404 price=0.0045; 0x1407=0x010203";
    assert_eq!(column(&smppost, "SELECT tlvs FROM receipt_log ORDER BY line")[0].as_deref(), Some(expected));
    assert_eq!(column(&smppost, "SELECT meaning FROM receipt_log")[2].as_deref(), Some("no such route"));
    assert_eq!(column(&smppost, "SELECT reason FROM message_status")[1].as_deref(), Some("no such route"));
    assert_eq!(
        column(&smppost, "SELECT value FROM tlv_log WHERE name = 'mcc_mnc' AND line = 3"),
        [Some("26207".to_owned())]
    );
    let csv = smppost.run(&["report", "c", "--receipts", "--format", "csv"]).stdout;
    assert!(csv.contains(expected) && csv.contains(",no such route,"), "{csv}");
    let json: serde_json::Value =
        serde_json::from_str(&smppost.run(&["report", "c", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["failures"][0]["meaning"], "no such route");
    let table = smppost.run(&["report", "c", "--messages", "--format", "csv"]).stdout;
    assert!(table.contains(",0303,") && table.contains(",no such route"), "{table}");
    smppost.run(&["verify"]).assert_code(0);

    let explained = smppost.run(&["explain", "err:303", "err:27", "0x58", "--profile", "acme"]);
    let words = one_line(&explained.assert_code(0).stdout);
    assert!(words.contains("err:303 (error of a receipt) profile no such route"), "{words}");
    assert!(words.contains("profile absent often absent subscriber") && words.contains("ESME_RTHROTTLED"), "{words}");
    let explained = smppost.run(&["explain", "err:027", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&explained.assert_code(0).stdout).unwrap();
    assert_eq!((json["error"].as_str(), json["profile"].as_str()), (Some("027"), None));
    smppost.run(&["explain", "err:999"]).assert_code(0);

    // The next profile's words replace those of the same code.
    let account = format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"me\"\n", smsc.port());
    smppost.file("smppost.toml", format!("{account}[acme.errors]\n303 = \"route closed\"\n"));
    smppost.run(&["listen", "--for", "1s", "--profile", "acme"]).assert_code(0);
    assert_eq!(column(&smppost, "SELECT meaning FROM receipt_log")[0].as_deref(), Some("route closed"));
    smppost.file("smppost.toml", format!("{account}[acme.errors]\n303 = \"\"\n"));
    let wrong = smppost.run(&["profile", "check"]);
    assert!(wrong.assert_code(2).said().contains("line 6"), "{}", wrong.said());
    let refused = smppost.run(&["send", "c.csv", "--profile", "acme"]);
    assert!(
        refused.assert_code(2).words().contains("line 6: errors \"303\": write from 1 to 200 characters"),
        "{}",
        refused.said()
    );
}

#[test]
fn receipts_and_answers_without_parameters_write_no_more_than_before() {
    let smsc = ScriptedSmsc::start(|taken| {
        let id = format!("id{}", taken.nth);
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2611290000 done date:2611290001 stat:DELIVRD err:000 text:x"
        );
        Said::taken(&id, &[]).then(taken, &text, &[])
    });
    let smppost = Smppost::new();
    smppost.spawn_send(&rows(20), smsc.port(), &["--wait-receipts", "2s"]).wait().assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM receipt WHERE tlvs IS NULL AND other_state IS NULL"), 20);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM answer_tlv"), 0);
    assert_eq!(column(&smppost, "SELECT DISTINCT tlvs FROM receipt_log"), [None]);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM tlv_log"), 0);
}

/// An SMSC that refuses what has no template id, and takes the rest.
fn wants_template() -> ScriptedSmsc {
    ScriptedSmsc::start(|taken| match taken.tlv(0x1401) {
        Some(_) => Said::taken(&format!("id{}", taken.nth), &[]),
        None => Said::refused(0x0B, &tlv(0x001D, "template id missing")),
    })
}

#[test]
fn a_forgotten_parameter_is_added_for_what_is_not_sent_and_for_what_was_refused() {
    let smsc = wants_template();
    let smppost = Smppost::new();
    smppost.spawn_send(&rows(10), smsc.port(), &["--receipts", "none", "--limit", "4"]).wait().assert_code(3);
    assert_eq!(smsc.taken().len(), 4);
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let resume = |more: &[&str]| smppost.run(&[&["resume"], more, &account[..]].concat());
    let field = ["--field", "tlv:0x1401:cstring=T1"];
    // What cannot be added, and a dry run, change nothing.
    for (field, words) in [
        ("data_coding=8", "decides how texts are encoded"),
        ("esm_class=64", "decides how texts are encoded"),
        ("registered_delivery=1", "which receipts a campaign asks for"),
        ("tlv:0x0204=0x0001", "user_message_reference"),
        ("colour=red", "no such field"),
        ("tlv:0x1401=1.1E+18", "a spreadsheet"),
    ] {
        let refused = resume(&["c", "--field", field]);
        assert!(refused.assert_code(2).words().contains(words), "{}", refused.said());
    }
    resume(&["--field", "tlv:0x1401=x"]).assert_code(2);
    let dry = resume(&[&["c", "--dry-run"], &field[..]].concat());
    assert!(dry.assert_code(0).words().contains("from now on with tlv:0x1401:cstring=T1"), "{}", dry.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign_field"), 0);
    assert_eq!(smsc.taken().len(), 4);

    resume(&[&["c", "--retry-rejected", "--limit", "7"], &field[..]].concat()).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 7), ("queued", 3)]));
    // It is recorded: who goes on need not say it again, and whoever does changes nothing.
    resume(&["c", "--limit", "8"]).assert_code(0);
    resume(&[&["c", "--limit", "9"], &field[..]].concat()).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign_field"), 1);
    // The campaign is known by its own command, and by one with the field.
    smppost.spawn_send(&rows(10), smsc.port(), &["--receipts", "none", "--dry-run"]).wait().assert_code(0);
    let differs =
        smppost.spawn_send(&rows(10), smsc.port(), &["--receipts", "none", "--field", "tlv:0x1401=T2"]).wait();
    assert!(differs.assert_code(1).words().contains("--field: was not given"), "{}", differs.said());
    let whole = [&["--receipts", "none"], &field[..]].concat();
    smppost.spawn_send(&rows(10), smsc.port(), &whole).wait().assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 10)]));
    let sent = smsc.taken();
    assert_eq!(sent.len(), 14, "each refused one went twice, the others once");
    assert!(sent[4..].iter().all(|one| one.tlv(0x1401) == Some(b"T1\0")));
    // What was refused first and taken then is not shown any more.
    let csv = smppost.run(&["report", "c", "--format", "csv"]).stdout;
    assert!(!csv.contains("template id missing") && !csv.contains(",accepted,11,"), "{csv}");
    assert_eq!(column(&smppost, "SELECT DISTINCT reason FROM message_status"), [None]);
    let page = one_line(&smppost.run(&["report", "c"]).stdout);
    assert!(page.contains("added tlv:0x1401=T1 for all that went after"), "{page}");
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn an_added_parameter_holds_for_retries_for_the_rest_of_long_messages_and_after_a_crash() {
    // Of each long message the first part is taken, the second put off for ever until the parameter is there.
    let smsc = ScriptedSmsc::start(|taken| {
        let is_second = taken.short_message.get(5) == Some(&2);
        match (is_second, taken.tlv(0x1401)) {
            (true, None) => Said::refused(0x08, &[]),
            _ => Said::taken(&format!("id{}", taken.nth), &[]),
        }
    });
    let smppost = Smppost::new();
    let long = format!("to,text,tlv:0x1402\n{},\"{}\",own\n", number(1), "long ".repeat(60));
    let options = ["--receipts", "none", "--retry-delays", "10m"];
    let mut running = smppost.spawn_send(&long, smsc.port(), &options);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while smsc.taken().len() < 2 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(running.is_running());
    running.kill();
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let ton = smppost.run(&[&["resume", "c", "--field", "source_addr_ton=1"], &account[..]].concat());
    assert!(ton.assert_code(2).words().contains("belong together by their addresses"), "{}", ton.said());
    let added = ["resume", "c", "--field", "tlv:0x1401=T1", "--field", "tlv:0x1402=general", "--retry-delays", "1s"];
    smppost.run(&[&added, &account[..]].concat()).assert_code(0);
    let sent = smsc.taken();
    let (first, last) = (&sent[0], sent.last().unwrap());
    assert_eq!((first.tlv(0x1401), last.tlv(0x1401)), (None, Some(&b"T1"[..])));
    // What the row has of its own beats it.
    assert_eq!((first.tlv(0x1402), last.tlv(0x1402)), (Some(&b"own"[..]), Some(&b"own"[..])));
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 1)]));
    smppost.run(&["verify"]).assert_code(0);
}
