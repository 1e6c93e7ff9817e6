//! `probe --send-to`: what its test messages find out, and the profile that comes of it. Against the built-in simulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper that fails fails its test.

mod common;

use common::{Ended, Smppost, expected, one, rows, states};
use smppost::smsc::{Faults, Settings, Smsc};
use std::os::unix::fs::PermissionsExt;

fn smsc(change: impl FnOnce(&mut Settings)) -> Smsc {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

fn probe(smppost: &Smppost, smsc: &Smsc, more: &[&str]) -> Ended {
    let port = smsc.local_addr().port().to_string();
    let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let trial = ["--send-to", "+447700900123", "--from", "Test", "--wait-receipts", "3s"];
    smppost.run(&[&account[..], &trial, more].concat())
}

#[track_caller]
fn assert_says(ended: &Ended, words: &[&str]) {
    for words in words {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
}

#[test]
fn a_few_messages_tell_what_an_smsc_does_and_make_a_profile() {
    let (smsc, smppost) = (smsc(|_| {}), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--write", "smppost.toml"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("sending 14 test messages to +447700900123"), "{}", ended.said());
    assert_says(
        &ended,
        &[
            "14 of 14 sent were accepted",
            "none throttled",
            "ids in answers: hexadecimal, 8 digits",
            "for 14 of 14 messages",
            "the same as in the answers",
            "as deliver_sm; marked in esm_class: yes; id in receipted_message_id: yes, in the text: yes",
            "user_message_reference comes back: yes",
            "stat:DELIVRD",
            "\u{a1}\u{e4}\u{f6}\u{f1}\u{fc} \u{c4}\u{d6}\u{d1}\u{dc}\u{a7}\u{bf} 5\u{20ac} @ end",
            "@{|}~ [\\]^_`",
        ],
    );
    assert_eq!(smsc.stats().submits, 14);
    assert!(!smppost.journal().exists(), "it is no campaign");
    let record = std::fs::read_to_string(smppost.path("smppost-probe.log")).unwrap();
    assert_eq!(record.lines().filter(|line| line.contains(" submit 0000")).count(), 14);
    assert!(!record.contains(&"secret".bytes().map(|octet| format!("{octet:02x}")).collect::<String>()));
    for name in ["smppost-probe.log", "smppost.toml"] {
        assert_eq!(smppost.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let checked = smppost.run(&["profile", "check", "probed"]);
    checked.assert_code(0);
    // What is there is not overwritten, and that is said before anything is sent.
    let ended = probe(&smppost, &smsc, &["--write", "smppost.toml"]);
    ended.assert_code(2);
    assert_eq!(smsc.stats().submits, 14);
}

#[test]
fn f33_each_dialect_is_named() {
    for (change, words) in [
        (
            Box::new(|settings: &mut Settings| settings.receipt_id = Some("dec".parse().unwrap()))
                as Box<dyn Fn(&mut _)>,
            "the other radix",
        ),
        (
            Box::new(|settings: &mut Settings| settings.receipt_id = Some("upper".parse().unwrap())),
            "those of the answers",
        ),
        (Box::new(|settings: &mut Settings| settings.quirks.set("data-sm").unwrap()), "as data_sm;"),
        (
            Box::new(|settings| settings.quirks.set("text-only").unwrap()),
            "id in receipted_message_id: no, in the text: yes",
        ),
        (
            Box::new(|settings| settings.quirks.set("tlv-only").unwrap()),
            "id in receipted_message_id: yes, in the text: no",
        ),
        (Box::new(|settings: &mut Settings| settings.quirks.set("early").unwrap()), "for 4 of 4 messages"),
        (Box::new(|settings: &mut Settings| settings.message_id = "uuid".parse().unwrap()), "ids in answers: UUID"),
    ] {
        let (smsc, smppost) = (smsc(change), Smppost::new());
        let ended = probe(&smppost, &smsc, &["--measure", "0"]);
        ended.assert_code(0);
        assert_says(&ended, &[words]);
        assert_eq!(smsc.stats().submits, 4);
    }
    let (smsc, smppost) = (smsc(|settings| settings.quirks.set("first-part-only").unwrap()), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "0"]);
    ended.assert_code(3);
    assert_says(&ended, &["only for its first part", "receipts_for = \"first\""]);
}

#[test]
fn throttling_ends_the_measuring_and_what_is_refused_is_named() {
    let (smsc, smppost) = (smsc(|settings| settings.rate = Some(6)), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "60", "--rate", "unlimited", "--window", "1"]);
    ended.assert_code(3);
    assert_says(&ended, &["throttled at message", "ESME_RTHROTTLED", "rate = 1 "]);
    assert!(smsc.stats().submits < 20, "{}", smsc.stats().submits);
    let mut faults = Faults::default();
    faults.set("error=0x0A").unwrap();
    let (smsc, smppost) = (self::smsc(|settings| settings.faults = faults), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "0"]);
    ended.assert_code(3);
    assert_says(&ended, &["0 of 4 sent were accepted", "ESME_RINVSRCADR"]);
}

#[test]
fn pairs_of_the_old_version_are_tried_too_and_wrong_options_send_nothing() {
    let (smsc, smppost) = (smsc(|_| {}), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "0", "--smpp-version", "3.3", "--bind", "tx+rx"]);
    ended.assert_code(0);
    assert_says(&ended, &["for 4 of 4 messages", "bind = \"tx+rx\"", "connections = 2"]);
    let submits = smsc.stats().submits;
    for wrong in [&["--send-to", "12"][..], &["--send-to", "+447700900123", "--bind", "rx"], &["--write", "x.toml"]] {
        let port = smsc.local_addr().port().to_string();
        let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
        smppost.run(&[&account[..], wrong].concat()).assert_code(2);
    }
    assert_eq!(smsc.stats().submits, submits);
}

#[test]
fn f35_receipts_of_a_campaign_are_left_for_its_journal() {
    let late = |settings: &mut Settings| {
        settings.receipt_delay = "2s".parse().unwrap();
        settings.keep_messages = 100;
    };
    let (smsc, smppost) = (smsc(late), Smppost::new());
    let port = smsc.local_addr().port();
    smppost.send(&rows(20), port, &["--wait-receipts", "1ms"]).assert_code(0);
    let ended = probe(&smppost, &smsc, &["--measure", "0"]);
    assert_says(&ended, &["more came that are of none of them"]);
    // The same for an operation that binds both ways.
    let port = port.to_string();
    let account = ["--host", "127.0.0.1", "--system-id", "test", "--port", &port];
    smppost.run(&[&["query", "c", "--line", "2", "--bind", "trx"][..], &account].concat()).assert_code(0);
    smppost.run(&[&["resume", "c", "--wait-receipts", "10s"][..], &account].concat()).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    let told = "SELECT count(DISTINCT line) FROM receipt_log WHERE rule = 'exact id'";
    assert!(one(&smppost.journal(), told) >= 19);
}
