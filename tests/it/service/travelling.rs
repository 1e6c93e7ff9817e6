//! What is typed beside a service: it stands in the row of the command, or in the journal with the campaign, and counts.

use super::{smsc, start, stop, wait_until};
use crate::common::{Leeway, Smppost, assert_agree, expected, one, open, rows, states};
use smppost::testing::journal::files::lock::SenderLock;

fn text(smppost: &Smppost, sql: &str) -> String {
    open(&smppost.journal()).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn every_option_of_a_campaigns_run_is_kept_with_its_release_and_a_second_one_replaces_it() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    smppost.file("c.csv", rows(40));
    smppost.file("prices.csv", "44,0.05,EUR\n");
    let terms = [
        "--limit",
        "5",
        "--stop-when",
        "rejected>50%",
        "--override-stop",
        "--ignore-hours",
        "--prices",
        "prices.csv",
        "--max-cost",
        "1.50",
        "--priority",
        "bulk",
        "--campaign-rate",
        "25",
    ];
    smppost.run(&[&["send", "c.csv", "--from", "Test"][..], &terms].concat()).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 5), ("queued", 35)]));
    let kept = "SELECT terms FROM release WHERE kind = 'released' ORDER BY id DESC LIMIT 1";
    let found: serde_json::Value = serde_json::from_str(&text(&smppost, kept)).unwrap();
    let all = serde_json::json!({
        "limit": 5, "stop_when": ["rejected>50%"], "override_stop": true, "ignore_hours": true
    });
    assert_eq!(found, all);
    let share = "SELECT priority || ' ' || rate FROM share ORDER BY id DESC LIMIT 1";
    assert_eq!(text(&smppost, share), "3 25.0", "bulk");
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM budget"), 1);
    // What is said now holds from now on: 30 messages for 1.50 in all.
    let ended = smppost.run(&["resume", "c", "--priority", "urgent", "--campaign-rate", "account"]);
    ended.assert_code(3);
    assert!(ended.words().contains("--max-cost 1.50 EUR"), "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 30), ("queued", 10)]));
    assert!(!text(&smppost, kept).contains("limit"), "a limit holds for its command");
    assert_eq!(one(&smppost.journal(), "SELECT priority FROM share ORDER BY id DESC LIMIT 1"), 1, "urgent");
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn an_alert_refuses_by_name_what_is_said_of_a_file_and_a_profile_that_says_it_is_in_its_way_no_more() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let port = smsc.port().to_string();
    smppost.file(
        "smppost.toml",
        format!(
            "[default]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"test\"\ndelimiter = \";\"\nencoding = \"utf-16\"\n\
             sheet = \"2\"\nskip_sent_within = \"24h\"\nto_column = \"phone\"\n"
        ),
    );
    let service = start(&smppost, smsc.port(), &[]);
    let alert = ["send", "--to", "+447700900001", "--text", "Pump 3, stopped; at {once}"];
    for (option, value) in [
        ("--delimiter", Some(";")),
        ("--encoding", Some("utf-8")),
        ("--sheet", Some("2")),
        ("--to-column", Some("x")),
        ("--skip-sent-within", Some("24h")),
        ("--allow-same-file", None),
        ("--allow-placeholders", None),
        ("--strict", None),
    ] {
        let ended = smppost.run(&[&alert[..], &[option], value.as_slice()].concat());
        ended.assert_code(2);
        assert!(ended.words().contains(&format!("{option}: an alert")), "{}", ended.said());
    }
    for _ in 0..2 {
        smppost.run(&alert).assert_code(0);
    }
    stop(service);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 2);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn a_newer_program_leaves_the_journal_of_a_running_service_as_it_is_and_says_what_to_do() {
    let smppost = Smppost::new();
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journals/v1.db");
    std::fs::copy(old, smppost.journal()).unwrap();
    smppost.file("c.csv", rows(3));
    let before = std::fs::read(smppost.journal()).unwrap();
    let service = SenderLock::take_for_service(&smppost.journal()).unwrap();
    let commands: [&[&str]; 7] = [
        &["send", "c.csv", "--from", "Test"],
        &["resume", "--all"],
        &["send", "--to", "+447700900001", "--text", "x"],
        &["query", "c", "--line", "2"],
        &["cancel", "c", "--at-smsc"],
        &["pause"],
        &["import", "c.csv"],
    ];
    for command in commands {
        let ended = smppost.run(command);
        assert!(ended.code.is_some_and(|code| code != 0), "{command:?}: {}", ended.said());
        let says = ended.words();
        assert!(says.contains("service") && says.contains("restart"), "{command:?}: {}", ended.said());
    }
    assert!(std::fs::read(smppost.journal()).unwrap() == before, "it was changed");
    drop(service);
}

#[test]
fn imports_beside_a_service_wait_for_each_other_and_each_is_sent() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let names = ["a", "b", "c"];
    let commands: Vec<_> = names
        .iter()
        .map(|name| {
            let file = format!("{name}.csv");
            smppost.file(&file, rows(20));
            // Each chunk takes its time, so that all are at it at once.
            let send = ["send", &file, "--from", "Test", "--allow-same-file"];
            smppost.spawn_with(&send, &[("SMPPOST_FAILPOINT", "import-finish=delay@1")])
        })
        .collect();
    for command in commands {
        command.wait().assert_code(0);
    }
    wait_until(&smppost, "SELECT sum(delivered) FROM campaign_summary", |delivered| delivered == 60);
    let overlap = "SELECT count(*) FROM campaign a JOIN campaign b ON a.id < b.id AND a.end_id > b.first_id";
    assert_eq!(one(&smppost.journal(), overlap), 0, "each has its own numbers");
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn a_start_that_was_missed_is_held_and_listed_and_one_that_is_to_come_holds_up_nobody() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let service = start(&smppost, smsc.port(), &[]);
    let at = |hours: i64| {
        let at = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC) + jiff::Span::new().hours(hours);
        at.strftime("%Y-%m-%dT%H:%M").to_string()
    };
    for (name, hours) in [("later", 2), ("missed", -3), ("late", -1)] {
        let file = format!("{name}.csv");
        smppost.file(&file, rows(3));
        let start = at(hours);
        let when = ["--start-at", &start, "--time-zone", "UTC", "--late-limit", "2h", "--allow-same-file"];
        smppost.run(&[&["import", &file, "--from", "Test"], &when[..]].concat()).assert_code(0);
    }
    smppost.run(&["resume", "later", "--detach"]).assert_code(0);
    let ended = smppost.run(&["resume", "missed"]);
    ended.assert_code(3);
    assert!(ended.words().contains("was missed by more than 2 h"), "{}", ended.said());
    smppost.run(&["resume", "late"]).assert_code(0);
    let status = smppost.run(&["status"]);
    assert!(status.stdout.contains("later: 3 queued") && status.stdout.contains("waits for"), "{}", status.said());
    assert!(status.stdout.contains("missed: 3 queued") && status.stdout.contains("held"), "{}", status.said());
    // An alert waits for nobody's hours, and a restart changes nothing of it.
    smppost.run(&["send", "--to", "+447700900099", "--text", "Pump 3", "--ignore-hours"]).assert_code(0);
    stop(service);
    let service = start(&smppost, smsc.port(), &[]);
    assert!(service.stderr().contains("campaign missed: held"), "{}", service.stderr());
    smppost.run(&["resume", "missed", "--ignore-hours"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "later"), expected([("queued", 3)]));
    stop(service);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 7);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}
