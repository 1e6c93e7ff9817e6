//! Each pattern of the scale suite, as large as a test wants it.

use super::flood::{self, Flood};
use super::{ALARMS, alarms, mute_half, smppost};
use crate::common::independent_smsc::{Fate, IndependentSmsc, Outcome, Settings};
use crate::common::judge::Submit;
use crate::common::scripted_smsc::{Said, ScriptedSmsc, tlv};
use crate::common::{Running, Smppost};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Plain,
    Doubts,
    Strays,
    Foreign,
    Inbound,
    Outstanding,
    Suppressed,
    Campaigns,
    Senders,
    Retried,
    Decided,
    Lost,
    Referenced,
}

impl Pattern {}

enum Peer {
    Judge(IndependentSmsc),
    Flood(Flood),
    Scripted(ScriptedSmsc),
}

/// A run in the middle of a pattern.
pub struct Scene {
    pub smppost: Smppost,
    pub running: Running,
    peer: Peer,
    /// What came before the run.
    before: usize,
}

impl Scene {
    /// Messages that the SMSC got from the run.
    pub fn submits(&self) -> usize {
        match &self.peer {
            Peer::Judge(smsc) => smsc.ledger().len() - self.before,
            Peer::Flood(flood) => flood.submits() as usize,
            Peer::Scripted(smsc) => smsc.taken().len(),
        }
    }
}

fn rows(from: usize, count: usize) -> String {
    let row = |n: usize| format!("447009{n:06},Your parcel {n} comes today\n");
    "to,text\n".chars().chain((from..from + count).map(row).collect::<String>().chars()).collect()
}

fn every(nth: usize, fate: Fate) -> Arc<dyn Fn(&Submit) -> Fate + Send + Sync> {
    Arc::new(move |submit| if submit.nth.is_multiple_of(nth) { fate } else { Fate::Answered })
}

/// Begins a run of so many messages.
pub fn begin(pattern: Pattern, size: usize) -> Scene {
    match pattern {
        Pattern::Plain => judged(Settings::default(), &rows(0, size), &[], |_| ()),
        Pattern::Doubts => judged(mute_half(), &alarms(size), &ALARMS, |_| ()),
        Pattern::Strays => flooded(&alarms(size), size, flood::foreign_to_one),
        Pattern::Foreign => flooded(&rows(0, size), size, flood::foreign),
        Pattern::Inbound => flooded(&rows(0, size), size, flood::inbound),
        Pattern::Outstanding => outstanding(size),
        Pattern::Suppressed => judged(Settings::default(), &rows(0, size), &["--rate", "1000"], |smppost| {
            smppost.file("list.csv", rows(500_000, 2 * size));
            smppost.run(&["suppress", "import", "list.csv", "--column", "to"]).assert_code(0);
            for n in 0..5 {
                smppost.run(&["suppress", "add", &format!("4470099{n:05}")]).assert_code(0);
            }
        }),
        Pattern::Campaigns => campaigns(size),
        Pattern::Senders => {
            let row = |n: usize| format!("447009{n:06},S{n},Your parcel {n} comes today\n");
            let rows = String::from("to,from,text\n") + &(0..size).map(row).collect::<String>();
            judged(Settings::default(), &rows, &[], |_| ())
        }
        Pattern::Retried => {
            // A line's number is its try's.
            let seen = std::sync::Mutex::new(std::collections::HashMap::<String, u32>::new());
            let status = Arc::new(move |submit: &Submit| {
                let mut seen = seen.lock().unwrap();
                let tries = seen.entry(submit.destination.clone()).or_default();
                *tries += 1;
                if *tries <= 3 { 0x08 } else { 0 }
            });
            let settings = Settings { status, ..Settings::default() };
            // What is refused has nothing to do with the rate, and how slow the sender may become is not what is counted.
            judged(settings, &rows(0, size), &["--status", "0x08=temporary:100ms,100ms,100ms"], |_| ())
        }
        Pattern::Decided => decided(size),
        Pattern::Lost => {
            let settings = Settings { fate: every(100, Fate::CloseAfter), ..Settings::default() };
            judged(settings, &rows(0, size), &["--in-doubt", "resend"], |_| ())
        }
        Pattern::Referenced => referenced(size),
    }
}

fn judged(settings: Settings, rows: &str, more: &[&str], meanwhile: impl FnOnce(&Smppost)) -> Scene {
    let smppost = smppost();
    let smsc = IndependentSmsc::start(settings);
    let mut running = smppost.spawn_send(rows, smsc.port(), more);
    running.wait_for_words("bound to");
    meanwhile(&smppost);
    Scene { smppost, running, peer: Peer::Judge(smsc), before: 0 }
}

fn flooded(rows: &str, count: usize, body: flood::Body) -> Scene {
    let smppost = smppost();
    let flood = Flood::start(count as u64, body);
    let more = ["--allow-duplicates", "--wait-receipts", "2s"];
    let running = smppost.spawn_send(rows, flood.port.parse().unwrap(), &more);
    Scene { smppost, running, peer: Peer::Flood(flood), before: 0 }
}

/// Receipts name ids that no answer brought; what they echo tells whose they are.
fn referenced(size: usize) -> Scene {
    let smppost = smppost();
    let smsc = ScriptedSmsc::start(|taken| {
        let text =
            format!("id:other{} submit date:2611282100 done date:2611282101 stat:DELIVRD err:000 text:", taken.nth);
        let reference = tlv(0x0204, taken.tlv(0x0204).unwrap_or_default());
        Said::taken(&format!("own{}", taken.nth), &[]).then(taken, &text, &reference)
    });
    let running = smppost.spawn_send(&rows(0, size), smsc.port(), &[]);
    Scene { smppost, running, peer: Peer::Scripted(smsc), before: 0 }
}

/// Three times as many messages of another campaign await receipts; of this one no id of a receipt ever matches.
fn outstanding(size: usize) -> Scene {
    let smppost = smppost();
    let outcome =
        Arc::new(|submit: &Submit| if submit.nth.is_multiple_of(20) { Outcome::Delivered } else { Outcome::Lost });
    let settings = Settings { outcome, fate: every(20, Fate::SilentWithReceipt), ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let timers = ["--response-timeout", "1s", "--wait-receipts", "1s", "--window", "500"];
    smppost.send(&rows(0, 3 * size), smsc.port(), &timers);
    let before = smsc.ledger().len();
    let more = [&timers[..], &["--campaign", "new"]].concat();
    let running = smppost.spawn_send(&rows(1_000, size), smsc.port(), &more);
    Scene { smppost, running, peer: Peer::Judge(smsc), before }
}

/// As many campaigns as messages are in the journal.
fn campaigns(size: usize) -> Scene {
    let smppost = smppost();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&rows(900_000, 1), smsc.port(), &["--campaign", "first"]).assert_code(0);
    let sql = format!(
        "INSERT INTO campaign (name, file, digest, options, source, first_id, end_id, created_at, imported_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size})
             SELECT 'old' || i, file, digest, options, source, end_id, end_id, created_at, imported_at
               FROM n, campaign WHERE name = 'first';
         INSERT OR IGNORE INTO campaign_count (campaign_id) SELECT id FROM campaign;"
    );
    rusqlite::Connection::open(smppost.journal()).unwrap().execute_batch(&sql).unwrap();
    let before = smsc.ledger().len();
    let running = smppost.spawn_send(&rows(0, size), smsc.port(), &[]);
    Scene { smppost, running, peer: Peer::Judge(smsc), before }
}

/// While it sends, as many messages in doubt in another campaign are given up.
fn decided(size: usize) -> Scene {
    let smppost = smppost();
    // A window opens with answers.
    let fate = Arc::new(move |submit: &Submit| match submit.nth {
        n if n > 20 && n <= size && n % 2 == 0 => Fate::Silent,
        _ => Fate::Answered,
    });
    let smsc = IndependentSmsc::start(Settings { fate, ..Settings::default() });
    let timers = ["--response-timeout", "1s", "--wait-receipts", "1s", "--window", "500"];
    smppost.send(&rows(0, size), smsc.port(), &timers).assert_code(3);
    let before = smsc.ledger().len();
    let more = ["--campaign", "new", "--rate", "1000"];
    let mut running = smppost.spawn_send(&rows(500_000, size), smsc.port(), &more);
    running.wait_for_words("bound to");
    smppost.run(&["resolve", "c", "--abandon"]).assert_code(0);
    Scene { smppost, running, peer: Peer::Judge(smsc), before }
}
