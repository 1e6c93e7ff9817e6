//! The oracle: what the simulator got and answered, held against what the journal says.

use super::Ledger;
use crate::common::open;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The names that a message's state can have.
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

/// An attempt as the journal tells it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub line: i64,
    pub part: u64,
    pub destination: String,
    pub sequence_number: u32,
    pub state: String,
    pub message_id: Option<String>,
}

/// All attempts of a journal.
pub fn attempts(journal: &Path) -> Vec<Attempt> {
    let connection = open(journal);
    let mut destinations: HashMap<(String, i64), String> = HashMap::new();
    let mut query = connection.prepare("SELECT campaign, line, destination FROM message_status").unwrap();
    let rows = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
    destinations.extend(rows.map(Result::unwrap));
    let mut query =
        connection.prepare("SELECT campaign, line, part, sequence_number, state, message_id FROM attempt_log").unwrap();
    let rows = query.query_map([], |row| {
        let message = (row.get(0)?, row.get(1)?);
        Ok(Attempt {
            line: message.1,
            destination: destinations[&message].clone(),
            part: row.get::<_, u32>(2)?.into(),
            sequence_number: row.get(3)?,
            state: row.get(4)?,
            message_id: row.get(5)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Holds the ledger against a journal of which no sender runs and whose deaths are settled. Every
/// sentence that it returns is a broken promise.
pub fn contradictions(journal: &Path, ledger: &Ledger) -> Vec<String> {
    let mut wrong = Vec::new();
    let attempts = attempts(journal);
    let mut by_number: HashMap<(u32, &str), Vec<&Attempt>> = HashMap::new();
    for attempt in &attempts {
        by_number.entry((attempt.sequence_number, &attempt.destination)).or_default().push(attempt);
    }
    let mut accepted: BTreeMap<(&str, u64), usize> = BTreeMap::new();
    let mut received = HashMap::new();
    for submit in &ledger.submits {
        if submit.status == 0 {
            *accepted.entry((&submit.destination, submit.part)).or_default() += 1;
        }
        let found = by_number.get(&(submit.sequence_number, submit.destination.as_str())).map_or(&[][..], |v| v);
        let [attempt] = found else {
            wrong.push(format!("{} attempts in the journal for {submit:?}", found.len()));
            continue;
        };
        received.insert((submit.sequence_number, submit.destination.as_str()), submit);
        let in_doubt = attempt.state.starts_with("in doubt");
        let agree = match submit.status {
            0 => in_doubt || attempt.state == "accepted" && attempt.message_id == submit.message_id,
            _ => in_doubt || attempt.state == "to retry" || attempt.state == "rejected",
        };
        if !agree || attempt.part != submit.part {
            wrong.push(format!("{submit:?} is {attempt:?}"));
        }
    }
    for ((destination, part), times) in accepted.iter().filter(|(_, times)| **times > 1) {
        wrong.push(format!("part {part} to {destination} was accepted {times} times"));
    }
    for attempt in &attempts {
        let got = received.contains_key(&(attempt.sequence_number, attempt.destination.as_str()));
        let may_be_unknown = attempt.state == "not written" || attempt.state.starts_with("in doubt");
        if !got && !may_be_unknown {
            wrong.push(format!("the simulator never got {attempt:?}"));
        }
    }
    messages(journal, &accepted, &mut wrong);
    receipts(journal, ledger, &mut wrong);
    wrong
}

/// Every message is there once, in one state of a name; one of which a part was accepted does not wait to be sent anew.
fn messages(journal: &Path, accepted: &BTreeMap<(&str, u64), usize>, wrong: &mut Vec<String>) {
    let connection = open(journal);
    let mut query = connection.prepare("SELECT destination, parts, state FROM message_status").unwrap();
    let mut rows = query.query([]).unwrap();
    let mut count = 0;
    while let Some(row) = rows.next().unwrap() {
        let (destination, parts, state): (String, i64, String) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        count += 1;
        if !STATES.contains(&state.as_str()) {
            wrong.push(format!("{destination} is in the state {state:?}"));
        }
        if parts == 1 && state == "queued" && accepted.contains_key(&(destination.as_str(), 1)) {
            wrong.push(format!("{destination} was accepted and is {state}"));
        }
    }
    let stored: i64 = connection.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    if count != stored {
        wrong.push(format!("{stored} messages, {count} of them with a state"));
    }
}

/// A receipt that was answered with status 0 is in the journal.
fn receipts(journal: &Path, ledger: &Ledger, wrong: &mut Vec<String>) {
    let mut answered: HashMap<&str, i64> = HashMap::new();
    for receipt in ledger.answered.iter().filter(|receipt| receipt.status == 0) {
        *answered.entry(&receipt.message_id).or_default() += 1;
    }
    let connection = open(journal);
    let mut query = connection.prepare("SELECT message_id, count(*) FROM receipt_log GROUP BY message_id").unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let stored: HashMap<String, i64> =
        rows.map(Result::unwrap).filter_map(|(id, count)| id.map(|id| (id, count))).collect();
    for (id, times) in answered {
        let found = stored.get(id).copied().unwrap_or_default();
        if found < times {
            wrong.push(format!("{times} receipts for {id} were answered, {found} are in the journal"));
        }
    }
}

/// Fails when a promise is broken.
#[track_caller]
pub fn assert_kept(what: &str, journal: &Path, ledger: &Ledger) {
    let wrong = contradictions(journal, ledger);
    let shown: Vec<_> = wrong.iter().take(10).collect();
    assert!(wrong.is_empty(), "{what}: {} promises broken: {shown:#?}", wrong.len());
}

/// Attempts that became in doubt after verdict number `after`: the newest verdict's number, and their sequence numbers.
pub fn doubts(journal: &Path, after: i64) -> (i64, Vec<u32>) {
    let connection = open(journal);
    let mut query = connection
        .prepare(
            "SELECT v.id, (SELECT k.first_sequence_number + ((v.attempt >> 12) - k.first_part) FROM claim k
                            WHERE k.try = (v.attempt & 4095) AND k.first_part <= (v.attempt >> 12)
                            ORDER BY k.first_part DESC LIMIT 1)
               FROM verdict v WHERE v.id > ?1 AND v.kind = 1 ORDER BY v.id",
        )
        .unwrap();
    let rows = query.query_map([after], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?))).unwrap();
    let found: Vec<(i64, u32)> = rows.map(Result::unwrap).collect();
    (found.last().map_or(after, |last| last.0), found.into_iter().map(|(_, number)| number).collect())
}
