//! Reloads that are cut off, and TLS.

use super::reloading::{profile, refused, reload, reloaded, serve, smppost, write_profile};
use super::{smsc, stop, wait_until};
use crate::common::independent_smsc::{BindAnswer, IndependentSmsc, Settings};
use crate::common::{Leeway, Smppost, assert_agree, one, rows};
use crate::simulator::Simulator;

/// One that takes the connection and says nothing.
fn silent() -> IndependentSmsc {
    IndependentSmsc::start(Settings { binds: vec![BindAnswer::Silent], ..Settings::default() })
}

#[test]
fn a_service_that_is_told_to_end_while_it_binds_anew_ends_in_order() {
    let (old, new) = (smsc(), silent());
    let smppost = smppost(&profile(old.port(), "rate = 50\n"));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(500));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    write_profile(&smppost, profile(new.port(), "rate = 50\nbind_timeout = \"10m\"\n"));
    let asking = smppost.spawn(&["reload", "--profile", "acme"]);
    service.wait_for_words("connections are bound anew");
    // It goes on meanwhile.
    let taken = one(&smppost.journal(), super::TAKEN);
    wait_until(&smppost, super::TAKEN, |now| now >= taken + 20);
    stop(service);
    let ended = asking.wait();
    ended.assert_code(1);
    assert!(ended.words().contains("told to end"), "{}", ended.said());
    let report = old.finish();
    report.assert_clean();
    assert_eq!(
        (report.counts.unbinds, one(&smppost.journal(), "SELECT in_doubt + sending FROM campaign_summary")),
        (1, 0)
    );
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn a_reload_whose_service_is_killed_is_carried_out_by_the_next_one() {
    let (old, new) = (smsc(), silent());
    let smppost = smppost(&profile(old.port(), ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    write_profile(&smppost, profile(new.port(), "bind_timeout = \"10m\"\n"));
    let asking = smppost.spawn(&["reload", "--profile", "acme"]);
    service.wait_for_words("connections are bound anew");
    service.kill();
    write_profile(&smppost, profile(old.port(), ""));
    let service = serve(&smppost, &[]);
    asking.wait().assert_code(0);
    stop(service);
}

#[test]
fn one_that_is_interrupted_says_that_the_service_is_at_it() {
    let (old, new) = (smsc(), silent());
    let smppost = smppost(&profile(old.port(), ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    write_profile(&smppost, profile(new.port(), "bind_timeout = \"2s\"\n"));
    let asking = smppost.spawn(&["reload", "--profile", "acme"]);
    service.wait_for_words("connections are bound anew");
    asking.signal("INT");
    asking.wait().assert_code(130);
    service.wait_for_words("goes on by those before");
    // The next one is heard.
    write_profile(&smppost, profile(old.port(), "rate = 44\n"));
    reloaded(&smppost, &["rate: 44 from now on"]);
    stop(service);
}

#[test]
fn tls_is_taken_up_and_a_certificate_that_is_not_trusted_is_not() {
    let places = [Smppost::new(), Smppost::new()];
    let simulators = places.each_ref().map(|place| Simulator::start(place, &["--tls", "--tls-port", "0"]));
    let with = |simulator: usize, pin: usize| {
        let (port, _) = simulators[simulator].tls.as_ref().unwrap();
        let (_, pin) = simulators[pin].tls.as_ref().unwrap();
        let tls = format!("tls = true\ntls_danger_accept_any_cert = true\ntls_pin_sha256 = [\"{pin}\"]\n");
        profile(port.parse().unwrap(), &tls)
    };
    // In the clear at first.
    let smppost = smppost(&profile(simulators[0].port.parse().unwrap(), ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    write_profile(&smppost, with(0, 0));
    reloaded(&smppost, &["tls", "connection 1: bound anew"]);
    write_profile(&smppost, with(1, 0));
    refused(&smppost, &["goes on by those before"]);
    write_profile(&smppost, with(1, 1));
    reloaded(&smppost, &["tls-pin-sha256", "connection 1: bound anew"]);
    smppost.file("c.csv", rows(5));
    smppost.run(&["send", "c.csv", "--from", "Test", "--profile", "acme"]).assert_code(0);
    reload(&smppost).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session"), 3);
    stop(service);
    simulators.into_iter().for_each(|simulator| drop(simulator.end()));
}
