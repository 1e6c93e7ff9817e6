//! A run that cannot send leaves nothing behind.

use crate::common::independent_smsc::{BindAnswer, IndependentSmsc, Settings};
use crate::common::{Ended, Smppost, expected, one, rows, states};
use std::collections::BTreeSet;

fn smsc() -> IndependentSmsc {
    IndependentSmsc::start(Settings::default())
}

/// The names of the files of the folder, without those that a test itself makes.
fn files(smppost: &Smppost) -> BTreeSet<String> {
    let names = std::fs::read_dir(smppost.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| !name.starts_with("std") && !name.ends_with(".csv")).collect()
}

fn send(smppost: &Smppost, port: u16, csv: &str, more: &[&str]) -> Ended {
    let port = port.to_string();
    let own = ["--host", "127.0.0.1", "--port", &port, "--rate", "unlimited", "--wait-receipts", "1ms"];
    smppost.run(&[&["send", csv][..], &own, more].concat())
}

fn campaigns(smppost: &Smppost) -> i64 {
    one(&smppost.journal(), "SELECT count(*) FROM campaign")
}

#[test]
fn a_rehearsal_beside_a_real_journal_has_one_of_its_own() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.send(&rows(2), smsc.port(), &[]).assert_code(0);
    smppost.file("draft.csv", rows(3));
    let rehearsed = smppost.run(&["send", "draft.csv", "--campaign", "rehearsal", "--simulate", "--rate", "unlimited"]);
    rehearsed.assert_code(0);
    let own = smppost.path("journal-simulated.db");
    assert!(rehearsed.stderr.contains(own.to_str().unwrap()), "{}", rehearsed.said());
    assert_eq!(states(&own, "rehearsal"), expected([("delivered", 3)]));
    assert_eq!(campaigns(&smppost), 1);
    // And what was rehearsed goes to nobody.
    let port = smsc.port().to_string();
    let real = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--journal", own.to_str().unwrap()];
    for command in [&["resume"][..], &["resume", "rehearsal"], &["send", "draft.csv", "--campaign", "real"]] {
        let refused = smppost.run(&[command, &real].concat());
        refused.assert_code(1);
        assert!(refused.stderr.contains("is of a rehearsal"), "{}", refused.said());
    }
    assert_eq!(one(&own, "SELECT count(*) FROM campaign"), 1);
    assert_eq!(smsc.ledger().len(), 2);
}

#[test]
fn a_rehearsal_that_sent_nothing_is_a_rehearsal_still() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("draft.csv", rows(3));
    // A named journal that is new is used as named.
    let interrupted = smppost.run(&["send", "draft.csv", "--simulate", "--stop-at", "2020-01-01T00:00"]);
    interrupted.assert_code(130);
    assert_eq!(states(&smppost.journal(), "draft"), expected([("queued", 3)]));
    let port = smsc.port().to_string();
    let resumed = smppost.run(&["resume", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"]);
    resumed.assert_code(1);
    assert_eq!(smsc.ledger().len(), 0);
}

#[test]
fn another_account_is_refused_before_its_rows_are_stored() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.send(&rows(2), smsc.port(), &[]).assert_code(0);
    smppost.file("d.csv", rows(3));
    let before = files(&smppost);
    let refused = send(&smppost, smsc.port(), "d.csv", &["--system-id", "other"]);
    refused.assert_code(1);
    assert!(refused.stderr.contains("one journal serves one account"), "{}", refused.said());
    // Looked at first: who reads the journal makes an index of its WAL.
    assert_eq!(files(&smppost), before);
    assert_eq!(campaigns(&smppost), 1);
}

#[test]
fn what_cannot_be_sent_leaves_no_file_behind() {
    let smppost = Smppost::new();
    let smsc = smsc();
    smppost.file("good.csv", rows(3));
    smppost.file("bad.csv", "to,text\nnobody,Hello\n");
    smppost.file("tlvs.csv", "to,text,tlv:0x1400\n447700900001,Hello,0x01\n");
    let account = &["--system-id", "test"][..];
    for (csv, more, code) in [
        // Options, account, profile, password.
        ("good.csv", &["--system-id", "test", "--bind", "rx"][..], 2),
        ("good.csv", &["--system-id", "test", "--bind", "tx+rx", "--connections", "3"], 2),
        ("good.csv", &["--system-id", "test", "--password-file", "none"], 2),
        ("good.csv", &["--system-id", "a-name-that-is-far-too-long"], 2),
        ("good.csv", &["--system-id", "test", "--field", "data_coding=300"], 2),
        ("good.csv", &[], 2),
        // The file.
        ("bad.csv", account, 1),
        ("none.csv", account, 1),
        // What its rows need.
        ("tlvs.csv", &["--system-id", "test", "--tlvs", "no"], 1),
    ] {
        let refused = send(&smppost, smsc.port(), csv, more);
        assert_eq!(refused.code, Some(code), "{csv} {more:?}: {}", refused.said());
        assert_eq!(files(&smppost), BTreeSet::new(), "{csv} {more:?}: {}", refused.said());
    }
    assert_eq!(smsc.counts().binds, 0);
}

#[test]
fn a_refused_bind_leaves_the_campaign_and_says_how_to_go_on_or_not() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { binds: vec![BindAnswer::Refused(0x0E)], ..Settings::default() });
    let refused = smppost.send(&rows(3), smsc.port(), &[]);
    refused.assert_code(1);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    for command in ["`smppost resume c`", "`smppost cancel c`"] {
        assert!(refused.stderr.contains(command), "{}", refused.said());
    }
}
