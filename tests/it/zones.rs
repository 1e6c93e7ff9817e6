//! Sending hours, moments and the time zone that counts, as typed and as the system has it.

use crate::common::{self, Smppost, expected, rows, states};
use smppost::smsc::{Settings, Smsc};
use std::process::Command;

fn smsc() -> Smsc {
    Smsc::start(Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() }).unwrap()
}

/// `check` with these options and this `TZ`.
fn check(smppost: &Smppost, tz: &str, more: &[&str]) -> common::Ended {
    smppost.file("c.csv", rows(2));
    smppost.run_with(&[&["check", "c.csv"], more].concat(), &[("TZ", tz)])
}

#[test]
fn check_says_which_zone_counts_where_it_came_from_and_the_next_seven_openings() {
    let smppost = Smppost::new();
    let hours = ["--between", "09:00-20:00", "--days", "mon-fri"];
    let ended = check(&smppost, "Europe/Paris", &hours);
    ended.assert_code(0);
    let zone = "sent only 09:00-20:00 on mon,tue,wed,thu,fri; time zone Europe/Paris (from TZ)";
    assert!(ended.stdout.contains(zone), "{}", ended.said());
    assert_eq!(ended.stdout.matches(", closes ").count(), 7, "{}", ended.said());
    for day in ["Mon", "Tue", "Wed", "Thu", "Fri"] {
        assert!(ended.stdout.contains(&format!("closes {day} ")), "{}", ended.said());
    }
    assert!(ended.stdout.contains(" 20:00:00 CE"), "{}", ended.said());
    // What is typed beats the system's.
    let ended = check(&smppost, "Europe/Paris", &[&hours[..], &["--time-zone", "-03:30"]].concat());
    assert!(ended.stdout.contains("time zone -03:30 (--time-zone)"), "{}", ended.said());
    let json = check(&smppost, "Europe/Paris", &[&hours[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["sending_hours"]["time_zone"], "Europe/Paris (from TZ)");
    assert_eq!(json["sending_hours"]["openings"].as_array().unwrap().len(), 7);
    // A window that the clocks skip is not among the openings, and one moment alone is one opening.
    let ended = check(&smppost, "UTC", &["--stop-at", "2099-01-01T00:00[Asia/Tokyo]"]);
    assert!(ended.stdout.contains("open now, closes Wed 2098-12-31 15:00:00 UTC"), "{}", ended.said());
    let ended = check(&smppost, "UTC", &[]);
    assert!(!ended.stdout.contains("sent only"), "{}", ended.said());
}

#[test]
fn a_dry_run_shows_the_next_openings_too() {
    let smppost = Smppost::new().environment("TZ", "Europe/Paris");
    smppost.file("c.csv", rows(2));
    let arguments =
        smppost.send_arguments("c.csv", "9", &["--dry-run", "--between", "09:00-20:00", "--days", "mon-fri"]);
    let ended = smppost.run(&arguments);
    ended.assert_code(0);
    assert!(ended.stderr.contains("time zone Europe/Paris (from TZ)"), "{}", ended.said());
    assert_eq!(ended.stderr.matches(", closes ").count(), 7, "{}", ended.said());
}

#[test]
fn a_zone_that_cannot_be_read_is_refused_where_anything_depends_on_it() {
    let smsc = smsc();
    let port = smsc.local_addr().port();
    for tz in ["Europe/Pairs", "Europe/Paris "] {
        for more in [["--between", "00:00-24:00"], ["--days", "mon-sun"], ["--stop-at", "2099-01-01T00:00"]] {
            let smppost = Smppost::new().environment("TZ", tz);
            let ended = smppost.send(&rows(2), port, &more);
            ended.assert_code(2);
            assert!(ended.stderr.contains("did you mean Europe/Paris?"), "{}", ended.said());
            assert!(ended.stderr.contains("--time-zone"), "{}", ended.said());
            assert!(!smppost.journal().exists(), "something was imported");
        }
    }
    assert_eq!(smsc.stats().binds, 0);
    // Nothing depends on it here.
    for more in [&[][..], &["--stop-at", "2099-01-01T00:00+14:00"], &["--between", "00:00-24:00", "--time-zone", "UTC"]]
    {
        let smppost = Smppost::new().environment("TZ", "Europe/Pairs");
        smppost.send(&rows(2), port, more).assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2)]));
    }
}

#[test]
fn the_run_says_which_zone_counts() {
    let smsc = smsc();
    let smppost = Smppost::new().environment("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
    let ended = smppost.send(&rows(2), smsc.local_addr().port(), &["--between", "00:00-24:00"]);
    ended.assert_code(0);
    let words = "sent only 00:00-24:00; time zone CET-1CEST,M3.5.0,M10.5.0/3 (from TZ)";
    assert!(ended.stderr.contains(words), "{}", ended.said());
}

#[test]
fn moments_with_a_zone_or_a_far_offset_and_in_the_wrong_order() {
    let smppost = Smppost::new();
    for (more, opens) in [
        (["--start-at", "2099-12-24T09:00[America/New_York]"], "opens Thu 2099-12-24 14:00:00 UTC"),
        (["--start-at", "2099-12-24T09:00+14:00"], "opens Wed 2099-12-23 19:00:00 UTC"),
        (["--start-at", "2099-12-24T09:00-14:00"], "opens Thu 2099-12-24 23:00:00 UTC"),
    ] {
        let ended = check(&smppost, "UTC", &more);
        ended.assert_code(0);
        assert!(ended.stdout.contains(opens), "{}", ended.said());
    }
    for (more, words) in [
        (vec!["--start-at", "2099-12-24T09:00", "--stop-at", "2099-12-24T08:00"], "is not before --stop-at"),
        (vec!["--start-at", "2099-12-24T09:00", "--stop-at", "2099-12-24T09:00"], "is not before --stop-at"),
        (vec!["--start-at", "2099-12-24T09:00Z", "--stop-at", "2099-12-24T09:00+01:00"], "is not before --stop-at"),
        (vec!["--start-at", "2099-12-24T09:00[Mars]"], "--start-at: \"Mars\" is no time zone"),
        (vec!["--stop-at", "2099-12-24T09:00+15:00"], "offsets go from -14:00 to +14:00"),
        (vec!["--stop-at", "2099-02-31T09:00"], "is no moment"),
        (vec!["--between", "09:00-20:00", "--time-zone", "UTC+2"], "write an offset such as +02:00"),
    ] {
        let ended = check(&smppost, "UTC", &more);
        ended.assert_code(2);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
    }
}

#[test]
fn a_system_without_tzdata_has_the_programs_own_and_says_so() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(2));
    smppost.file("empty", "");
    // An empty folder where tzdata is, for this process alone.
    let script = "mount -t tmpfs none /usr/share/zoneinfo && exec \"$@\"";
    let within = |arguments: &[&str], tz: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_smppost")]);
        command.args(arguments).current_dir(smppost.path("")).env("TZ", tz).env("HOME", smppost.path(""));
        command.env_remove("TZDIR").output().unwrap()
    };
    let mut tried = Command::new("unshare");
    tried.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", "true"]);
    if !tried.output().is_ok_and(|tried| tried.status.success()) {
        return common::skipped("no mount namespace can be had");
    }
    let said = |output: &std::process::Output| {
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let hours = ["check", "c.csv", "--between", "09:00-20:00"];
    let output = within(&[&hours[..], &["--time-zone", "Europe/Paris"]].concat(), "");
    let words = "time zone Europe/Paris (--time-zone; by the program's own tzdata, this system has none)";
    assert!(output.status.success() && said(&output).contains(words), "{}", said(&output));
    assert!(said(&output).contains(" 20:00:00 CE"), "{}", said(&output));
    let output = within(&hours, "Europe/Paris");
    assert!(
        said(&output).contains("time zone Europe/Paris (from TZ; by the program's own tzdata"),
        "{}",
        said(&output)
    );
    let output = within(&hours, "Europe/Pairs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("this system has no tzdata; the program's own was asked"), "{}", said(&output));
}

#[test]
fn a_start_that_was_missed_by_more_than_the_campaign_allows_is_held_and_said() {
    let (smppost, smsc) = (Smppost::new(), smsc());
    let port = smsc.local_addr().port().to_string();
    smppost.file("c.csv", rows(3));
    smppost.file("d.csv", rows(2));
    let start = ["--from", "Test", "--start-at", "2020-01-01T09:00Z"];
    smppost.run(&[&["import", "c.csv"], &start[..], &["--late-limit", "2h"]].concat()).assert_code(0);
    smppost.run(&[&["import", "d.csv"], &start[..]].concat()).assert_code(0);
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "5s"];
    let late = smppost.run(&[&["resume", "c"], &account[..]].concat());
    late.assert_code(3);
    let words = "it was to begin at Wed 2020-01-01 09:00:00 UTC, which was missed by more than 2 h 0 min: it is held";
    assert!(late.stderr.contains(words), "{}", late.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    // One without a limit goes, however late.
    smppost.run(&[&["resume", "d"], &account[..]].concat()).assert_code(0);
    smppost.run(&[&["resume", "c", "--ignore-hours"], &account[..]].concat()).assert_code(0);
    assert_eq!(smsc.stop().submits, 5);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
}
