//! One truth in numbers: whatever shows how many messages are in which state shows the same, for every campaign.

use crate::common::independent_smsc::{Fate, IndependentSmsc, Outcome, Settings};
use crate::common::judge::{Rules, Submit};
use crate::common::{Smppost, open, rows, rows_with};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const STATES: [&str; 10] = [
    "queued",
    "sending",
    "accepted",
    "delivered",
    "partly_delivered",
    "failed",
    "rejected",
    "in_doubt",
    "cancelled",
    "suppressed",
];

type Counts = BTreeMap<String, BTreeMap<String, i64>>;

/// Drops what is 0.
fn kept(counts: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, i64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

fn digits(cell: &str) -> i64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("{cell:?} is no number"))
}

fn by_view(smppost: &Smppost) -> Counts {
    let journal = open(&smppost.journal());
    let mut statement = journal.prepare("SELECT * FROM campaign_summary").unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        let counts = STATES.iter().map(|state| ((*state).to_owned(), row.get(*state).unwrap()));
        Ok((row.get("campaign")?, kept(counts)))
    };
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn by_message(smppost: &Smppost) -> Counts {
    let journal = open(&smppost.journal());
    let mut counts = Counts::new();
    let mut statement = journal.prepare("SELECT campaign, state, count(*) FROM message_status GROUP BY 1, 2").unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        counts.entry(row.get(0).unwrap()).or_default().insert(row.get(1).unwrap(), row.get(2).unwrap());
    }
    counts
}

/// Of a CSV whose header names the states.
fn by_csv(text: &str) -> Counts {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let counts = header.iter().zip(&cells).filter(|(name, _)| STATES.contains(name));
            (cells[0].to_owned(), kept(counts.map(|(name, cell)| ((*name).to_owned(), digits(cell)))))
        })
        .collect()
}

/// Of messages as CSV.
fn by_rows(text: &str) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let state = reader.headers().unwrap().iter().position(|name| name == "state").unwrap();
    for record in reader.records() {
        *counts.entry(record.unwrap()[state].to_owned()).or_default() += 1;
    }
    counts
}

fn by_json(value: &serde_json::Value) -> Counts {
    let counts =
        |of: &serde_json::Value| kept(STATES.iter().map(|state| ((*state).to_owned(), of[*state].as_i64().unwrap())));
    value.as_array().unwrap().iter().map(|of| (of["campaign"].as_str().unwrap().to_owned(), counts(of))).collect()
}

/// Of the list as people read it, one line a campaign or a block.
fn by_list(text: &str, names: &[String]) -> Counts {
    let mut counts = Counts::new();
    if text.starts_with("campaign ") {
        let mut lines = text.lines();
        // Titles of two words stand apart by one space, columns by two or more.
        let split = |line: &str| -> Vec<String> {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        };
        let titles = split(lines.next().unwrap());
        for line in lines.take_while(|line| !line.is_empty()) {
            let cells = split(line);
            if !names.contains(&cells[0]) {
                break;
            }
            let of_states = titles.iter().zip(&cells).map(|(title, cell)| (title.replace(' ', "_"), cell));
            let of_states = of_states.filter(|(title, _)| STATES.contains(&title.as_str()));
            counts.insert(cells[0].clone(), kept(of_states.map(|(title, cell)| (title, digits(cell)))));
        }
        return counts;
    }
    let mut name = String::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match line.strip_prefix("  ") {
            None if names.iter().any(|known| known == line) => {
                name = line.to_owned();
                counts.insert(name.clone(), BTreeMap::new());
            }
            None => break,
            Some(rest) => {
                let (title, cell) = rest.split_once("  ").unwrap();
                let title = title.trim().replace(' ', "_");
                if STATES.contains(&title.as_str()) {
                    counts.get_mut(&name).unwrap().insert(title, digits(cell.trim()));
                }
            }
        }
    }
    counts
}

/// Of a campaign's page.
fn by_page(text: &str) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        for state in STATES {
            let Some(rest) = line.strip_prefix(&format!("  {:16} ", state.replace('_', " "))) else { continue };
            let mut words = rest.split_whitespace();
            let (Some(cell), Some(_), Some("%")) = (words.next(), words.next(), words.next()) else { continue };
            counts.insert(state.to_owned(), digits(cell));
        }
    }
    counts
}

/// Fails where two of them differ.
#[track_caller]
fn assert_one_truth(smppost: &Smppost, story: &str) -> Counts {
    let truth = by_message(smppost);
    let is = |what: &str, found: &Counts| assert_eq!(found, &truth, "{what}, story {story}");
    is("campaign_summary", &by_view(smppost));
    let shown = |arguments: &[&str], columns: &str| {
        let ended = smppost.run_with(arguments, &[("COLUMNS", columns)]);
        ended.assert_code(0);
        ended.stdout
    };
    let names: Vec<String> = truth.keys().cloned().collect();
    is("list csv", &by_csv(&shown(&["list", "--format", "csv"], "80")));
    is("report csv", &by_csv(&shown(&["report", "--format", "csv"], "80")));
    is("list json", &by_json(&serde_json::from_str(&shown(&["list", "--format", "json"], "80")).unwrap()));
    is("report json", &by_json(&serde_json::from_str(&shown(&["report", "--format", "json"], "80")).unwrap()));
    for columns in ["30", "40", "80", "120", "200"] {
        is(&format!("list at {columns}"), &by_list(&shown(&["list"], columns), &names));
        for (name, counts) in &truth {
            let page = shown(&["report", name], columns);
            assert_eq!(&by_page(&page), counts, "page of {name} at {columns}, story {story}\n{page}");
        }
    }
    for (name, counts) in &truth {
        let messages = shown(&["report", name, "--format", "csv"], "80");
        assert_eq!(&by_rows(&messages), counts, "messages of {name}, story {story}");
        for (state, count) in counts {
            let of_state = shown(&["report", name, "--state", state, "--format", "csv"], "80");
            assert_eq!(of_state.lines().count() as i64 - 1, *count, "{state} of {name}, story {story}");
        }
    }
    smppost.run(&["verify"]).assert_code(0);
    truth
}

/// splitmix64, as in `random_stories`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0) % sides
    }
}

fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn lot(submit: &Submit, seed: u64) -> u64 {
    mixed(seed ^ mixed(submit.nth as u64)) % 100
}

fn smsc(seed: u64) -> IndependentSmsc {
    IndependentSmsc::start(Settings {
        seed,
        rules: Rules { client_may_die: true, torn_messages: true, ..Rules::default() },
        answer_delay: Duration::from_millis(2),
        status: Arc::new(move |submit| match lot(submit, seed) {
            0..10 => 0x0B,
            10..15 => 0x58,
            _ => 0,
        }),
        fate: Arc::new(move |submit| match lot(submit, seed ^ 1) {
            0..4 => Fate::Silent,
            _ => Fate::Answered,
        }),
        outcome: Arc::new(move |submit| match lot(submit, seed ^ 2) {
            0..10 => Outcome::Undeliverable,
            _ => Outcome::Delivered,
        }),
        ..Settings::default()
    })
}

/// Two campaigns, an SMSC that refuses, forgets and fails, and an operator who kills, cancels and suppresses.
fn story(seed: u64) {
    let mut dice = Dice(seed);
    let smsc = smsc(seed);
    let smppost = Smppost::new();
    let name = format!("story {seed}");
    smppost.file("b.csv", rows(20));
    smppost.run(&["import", "b.csv", "--from", "Test"]).assert_code(0);
    let csv = rows(60);
    let more = ["--response-timeout", "500ms", "--wait-receipts", "500ms", "--retry-delays", "100ms"];
    for _ in 0..3 {
        let mut run = smppost.spawn_send(&csv, smsc.port(), &more);
        std::thread::sleep(Duration::from_millis(dice.roll(400)));
        match dice.roll(6) {
            0 => drop(smppost.run(&["suppress", "add", &crate::common::number(dice.roll(60) as usize)])),
            1 => drop(smppost.run(&["cancel", if dice.roll(3) == 0 { "c" } else { "b" }])),
            _ => {}
        }
        match run.is_running() && dice.roll(2) == 0 {
            true => drop(run.kill()),
            false => drop(run.wait()),
        }
        // A kill can come before there is a journal.
        if smppost.journal().exists() {
            assert_one_truth(&smppost, &name);
        }
    }
    if dice.roll(2) == 0 {
        smppost.run(&["resolve", "c", "--abandon"]);
        assert_one_truth(&smppost, &name);
    }
    let ended = smppost.send(&csv, smsc.port(), &more);
    let truth = assert_one_truth(&smppost, &name);
    let of = |state: &str| truth["c"].get(state).copied().unwrap_or(0);
    let bad = of("rejected") + of("in_doubt") + of("failed") + of("partly_delivered");
    assert_eq!(ended.code, Some(if bad > 0 { 3 } else { 0 }), "{truth:?}\n{}", ended.said());
    assert_eq!(by_page(&ended.stderr), truth["c"], "the end of the run, {name}\n{}", ended.said());
    smsc.finish();
}

/// `SMPPOST_STORIES=50 cargo test --test it counts::` tells more of them.
#[test]
fn lists_reports_views_and_exit_codes_agree_however_the_story_goes() {
    let stories = std::env::var("SMPPOST_STORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    (0..stories).for_each(story);
}

#[test]
fn a_list_shows_every_message_also_cancelled_and_suppressed_ones() {
    let smppost = Smppost::new();
    smppost.run(&["suppress", "add", &crate::common::number(0)]).assert_code(0);
    for name in ["a.csv", "b.csv"] {
        smppost.file(name, rows_with(5, |n| format!("message {n} of {name}")));
        smppost.run(&["import", name]).assert_code(0);
    }
    smppost.run(&["cancel", "a"]).assert_code(0);
    let truth = assert_one_truth(&smppost, "of two files");
    assert_eq!(truth["a"], BTreeMap::from([("cancelled".to_owned(), 4), ("suppressed".to_owned(), 1)]));
    let list = smppost.run_with(&["list"], &[("COLUMNS", "120")]).stdout;
    assert!(list.lines().next().unwrap().contains("cancelled  suppressed"), "{list}");
}
