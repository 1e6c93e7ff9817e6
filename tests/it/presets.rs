//! `status_preset`: what a vendor's own statuses mean.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, rows, states};
use std::sync::Arc;

/// An SMSC that answers every message so.
fn smsc(status: u32) -> IndependentSmsc {
    IndependentSmsc::start(Settings { status: Arc::new(move |_| status), ..Settings::default() })
}

#[test]
fn a_vendors_status_stops_or_rejects_as_its_page_says() {
    let fast = ["--retry-delays", "100ms"];
    // Without a preset an unknown status is tried again and then rejected.
    let (smsc_400, smppost) = (smsc(0x401), Smppost::new());
    smppost.send(&rows(3), smsc_400.port(), &fast).assert_code(3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("rejected", 3)]));
    assert_eq!(smsc_400.ledger().len(), 6);
    let stopped = expected([("queued", 2), ("rejected", 1)]);
    let rejected = expected([("rejected", 3)]);
    for (preset, code, submits, found) in
        [("hollatags", 1, 1, stopped), ("HORISEN", 3, 3, rejected.clone()), ("infobip", 3, 6, rejected)]
    {
        let (smsc, smppost) = (smsc(0x401), Smppost::new());
        let ended = smppost.send(&rows(3), smsc.port(), &[&fast[..], &["--status-preset", preset]].concat());
        ended.assert_code(code);
        assert_eq!((smsc.ledger().len(), states(&smppost.journal(), "c")), (submits, found), "{preset}");
    }
}

#[test]
fn a_profiles_own_table_and_what_is_typed_beat_the_preset() {
    let profile = |more: &str| format!("[default]\nstatus_preset = \"hollatags\"\n{more}");
    for (own, typed, submits) in [
        ("", "", 1),
        ("[default.status]\n\"0x401\" = \"permanent\"\n", "", 3),
        ("[default.status]\n\"0x401\" = \"account\"\n", "0x401=permanent", 3),
    ] {
        let (smsc, smppost) = (smsc(0x401), Smppost::new());
        smppost.file("smppost.toml", profile(own));
        let more = if typed.is_empty() { vec![] } else { vec!["--status", typed] };
        smppost.send(&rows(3), smsc.port(), &more);
        assert_eq!(smsc.ledger().len(), submits, "{own} {typed}");
    }
}

#[test]
fn profile_check_shows_what_holds_and_unknown_vendors_are_refused_with_the_names() {
    let smppost = Smppost::new();
    let account = "host = \"127.0.0.1\"\nsystem_id = \"x\"\n";
    smppost.file(
        "smppost.toml",
        format!("[acme]\n{account}status_preset = \"infobip\"\n[acme.status]\n\"0xFF\" = \"throttled\"\n"),
    );
    let ended = smppost.run(&["profile", "check", "acme"]);
    ended.assert_code(0);
    for words in [
        "statuses of infobip (dev.infobip.com/",
        "0x22 permanent (the network is not covered)",
        "0xFF throttled (its own table; account: not enough balance)",
        "0x4A1 temporary",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
    smppost.file("smppost.toml", format!("[acme]\n{account}status_preset = \"infobib\"\n"));
    let ended = smppost.run(&["profile", "check", "acme"]);
    ended.assert_code(2);
    let words =
        "smppost.toml line 4: invalid value 'infobib' for '--status-preset <VENDOR>': it is none of hollatags, horisen";
    assert!(ended.stdout.contains(words), "{}", ended.said());
    let ended = smppost.send(&rows(1), 1, &["--status-preset", "infobib"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("it is none of hollatags, horisen, infobip"), "{}", ended.said());
}
