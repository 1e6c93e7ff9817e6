//! Which account a journal is of.

use super::*;

/// A journal with one message that was sent by these options, and one that was not.
fn half_a_campaign(smsc: &IndependentSmsc, more: &[&str]) -> Smppost {
    let smppost = Smppost::new();
    smppost.send(&rows(2), smsc.port(), &[more, &["--limit", "1"]].concat()).assert_code(0);
    smppost
}

fn resume(smppost: &Smppost, smsc: &IndependentSmsc, more: &[&str]) -> crate::common::Ended {
    let port = smsc.port().to_string();
    let mut arguments = vec!["resume", "c", "--port", &port, "--wait-receipts", "5s", "--connect-timeout", "1s"];
    if !more.contains(&"--system-id") {
        arguments.extend(["--system-id", "test"]);
    }
    smppost.run(&[&arguments, more].concat())
}

#[test]
fn a_host_that_was_known_in_any_place_goes_on() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = half_a_campaign(&smsc, &["--host", "new.invalid"]);
    // The first of them is new: by it the account went before.
    let ended = resume(&smppost, &smsc, &["--host", "other.invalid,new.invalid,127.0.0.1"]);
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2)]));
}

#[test]
fn the_same_system_id_at_another_host_is_another_account_unless_the_operator_says_otherwise() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let running = smppost.spawn_send(&rows(2), smsc.port(), &["--limit", "1"]);
    running.wait().assert_code(0);
    let elsewhere = ["--host", "elsewhere.invalid", "--give-up-after", "1s"];
    let refused = resume(&smppost, &smsc, &elsewhere);
    refused.assert_code(1);
    assert!(
        refused.words().contains("of the account test at localhost, and this run is for test at elsewhere.invalid")
    );
    assert!(refused.words().contains("once, with --same-account"), "{}", refused.said());
    let taken = resume(&smppost, &smsc, &[&elsewhere[..], &["--same-account"]].concat());
    let words = "the journal's account test at localhost is test at elsewhere.invalid, too, from now on";
    assert!(taken.words().contains(words), "{}", taken.said());
    // Once is enough.
    let known = resume(&smppost, &smsc, &elsewhere);
    assert!(
        known.words().contains("elsewhere.invalid: ") && !known.words().contains("of the account"),
        "{}",
        known.said()
    );
    resume(&smppost, &smsc, &["--host", "127.0.0.1"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2)]));
}

#[test]
fn another_login_of_an_account_that_has_a_name_listens_for_it() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = half_a_campaign(&smsc, &["--account", "shop"]);
    let listen =
        ["listen", "--for", "1s", "--host", "127.0.0.1", "--port", &smsc.port().to_string()].map(str::to_owned);
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let stranger = smppost.run(&[&listen[..], &["--system-id", "reader"]].concat());
    stranger.assert_code(1);
    assert!(stranger.words().contains("this run is for reader at localhost"), "{}", stranger.said());
    let other = smppost.run(&[&listen[..], &["--system-id", "reader", "--account", "other"]].concat());
    other.assert_code(1);
    smppost.run(&[&listen[..], &["--system-id", "reader", "--account", "shop"]].concat()).assert_code(0);
    // It is known from then on, and sending goes on with or without the name.
    smppost.run(&[&listen[..], &["--system-id", "reader"]].concat()).assert_code(0);
    resume(&smppost, &smsc, &["--host", "127.0.0.1"]).assert_code(0);
    let by_query = ["query", "c", "--line", "2", "--host", "127.0.0.1", "--port", listen[6], "--system-id", "third"];
    smppost.run(&by_query).assert_code(1);
    let said = smppost.run(&[&by_query[..], &["--same-account"]].concat());
    assert!(!said.words().contains("of the account"), "{}", said.said());
}
