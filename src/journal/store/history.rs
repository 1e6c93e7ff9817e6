//! Reads back what is known of one message: the slow way to its state, taken where its story is not the plain one.

use crate::journal::error::JournalError;
use crate::journal::model::key::{Attempt, Outcome, RECEIPTS_MAX, State, Verdict};
use crate::journal::model::state::{AttemptFacts, Awaited, is_possible_duplicate, message_state};
use rusqlite::{Connection, OptionalExtension};

/// A message and what is known of each attempt of each of its parts.
#[derive(Debug)]
pub struct MessageFacts {
    /// The number of its first part.
    pub message: i64,
    /// For each part, its attempts in order.
    pub parts: Vec<Vec<AttemptFacts>>,
    /// It was cancelled by itself, whatever became of its campaign.
    pub cancelled: bool,
    /// Its stored state, where it has one.
    pub stored: Option<State>,
}

impl MessageFacts {
    /// Reads the facts of `message`, which has `parts` parts.
    pub fn load(connection: &Connection, message: i64, parts: u8) -> Result<Self, JournalError> {
        let end = message + i64::from(parts);
        let there = There::load(connection, message, end)?;
        let mut facts = vec![Vec::<AttemptFacts>::new(); usize::from(parts)];
        if parts > 1 || there.is_tried_again {
            read_claims(connection, message, end, &mut facts)?;
        } else if there.is_tried {
            facts[0].push(AttemptFacts::default());
        }
        let mut at = |attempt: Attempt, may_be_unclaimed: bool, note: &mut dyn FnMut(&mut AttemptFacts)| {
            let Some(attempts) = facts.get_mut((attempt.part() - message) as usize) else { return };
            let tried = usize::from(attempt.tried());
            if may_be_unclaimed && attempts.len() == tried {
                attempts.push(AttemptFacts::default());
            }
            if let Some(facts) = attempts.get_mut(tried) {
                note(facts);
            }
        };
        let range = Attempt::range(message, end);
        if parts > 1 || there.is_tried_again {
            let mut statement = connection.prepare_cached(
                "SELECT attempt, outcome, message_id FROM answer WHERE attempt >= ?1 AND attempt < ?2",
            )?;
            let mut rows = statement.query(range)?;
            let mut ids = SharedIds::default();
            while let Some(row) = rows.next()? {
                let (attempt, outcome) = (Attempt(row.get(0)?), outcome_of(row.get(1)?));
                at(attempt, false, &mut |facts| facts.answer = Some(outcome));
                if parts > 1 && outcome == Outcome::Accepted {
                    ids.note(attempt, row.get_ref(2)?.as_str_or_null().unwrap_or_default());
                }
            }
            for attempt in ids.shared() {
                at(attempt, false, &mut |facts| facts.shares_id = true);
            }
        } else if let Some(outcome) = there.first_outcome {
            at(Attempt::new(message, 0), false, &mut |facts| facts.answer = Some(outcome_of(outcome)));
        }
        if there.has_verdict {
            let mut statement = connection
                .prepare_cached("SELECT attempt, kind FROM verdict WHERE attempt >= ?1 AND attempt < ?2 ORDER BY id")?;
            let mut rows = statement.query(range)?;
            while let Some(row) = rows.next()? {
                let verdict = Verdict::from_number(row.get(1)?);
                // Given up before it was claimed: a time of the message had passed.
                let may_be_unclaimed = verdict == Some(Verdict::Abandon);
                at(Attempt(row.get(0)?), may_be_unclaimed, &mut |facts| facts.verdict = verdict);
            }
        }
        let receipted = |facts: &mut AttemptFacts, is_final: bool, state: Option<i64>| {
            note_receipt(facts, is_final, state == Some(2));
        };
        if there.has_receipt {
            // Receipts stored under the attempt, unless they were matched anew since.
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.final, r.state FROM receipt r WHERE r.id >= ?1 AND r.id < ?2
                    AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)",
            )?;
            let mut rows = statement.query(Attempt::receipt_range(message, end))?;
            while let Some(row) = rows.next()? {
                let (is_final, state) = (row.get(1)?, row.get(2)?);
                at(Attempt::of_receipt(row.get(0)?), false, &mut |facts| receipted(facts, is_final, state));
            }
        }
        if there.has_match {
            // Receipts matched to it later, unless they were matched otherwise since.
            let mut statement = connection.prepare_cached(
                "SELECT x.attempt, r.final, r.state FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
                  WHERE x.attempt >= ?1 AND x.attempt < ?2
                    AND x.id = (SELECT max(y.id) FROM receipt_match y WHERE y.receipt_id = x.receipt_id)",
            )?;
            let mut rows = statement.query(range)?;
            while let Some(row) = rows.next()? {
                let (is_final, state) = (row.get(1)?, row.get(2)?);
                at(Attempt(row.get(0)?), false, &mut |facts| receipted(facts, is_final, state));
            }
        }
        Ok(Self { message, parts: facts, cancelled: there.is_cancelled, stored: there.stored })
    }

    /// Notes one more receipt of an attempt: whether it is final, and whether it says delivered. False: there is no such attempt.
    pub fn note_receipt(&mut self, attempt: Attempt, (is_final, is_delivered): (bool, bool)) -> bool {
        let part = usize::try_from(attempt.part() - self.message).ok();
        let attempts = part.and_then(|part| self.parts.get_mut(part));
        let facts = attempts.and_then(|attempts| attempts.get_mut(usize::from(attempt.tried())));
        facts.map(|facts| note_receipt(facts, is_final, is_delivered)).is_some()
    }

    /// The message's state; `cancelled`: its campaign is.
    pub fn state(&self, cancelled: bool, awaited: Awaited) -> State {
        message_state(self.parts.iter().map(Vec::as_slice), cancelled || self.cancelled, awaited)
    }

    /// Whether it may have arrived twice.
    pub fn is_possible_duplicate(&self) -> bool {
        is_possible_duplicate(self.parts.iter().map(Vec::as_slice))
    }

    /// The attempt that would be next for part `n` (from 0).
    pub fn next_attempt(&self, n: usize) -> Attempt {
        Attempt::new(self.message + n as i64, self.parts[n].len() as u16)
    }
}

fn note_receipt(facts: &mut AttemptFacts, is_final: bool, is_delivered: bool) {
    facts.noticed = true;
    if is_final {
        facts.receipt = Some(facts.receipt == Some(true) || is_delivered);
    }
}

/// Ids of one message's attempts, to find those that the SMSC gave to more than one part.
#[derive(Debug, Default)]
pub struct SharedIds(Vec<(String, Attempt)>);

impl SharedIds {
    /// Notes the id of an attempt that was taken. Attempts come in their order.
    pub fn note(&mut self, attempt: Attempt, id: Option<&str>) {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.0.push((id.to_owned(), attempt));
        }
    }

    /// The attempts whose id another part has, too.
    pub fn shared(mut self) -> Vec<Attempt> {
        self.0.sort_unstable();
        let alike = self.0.chunk_by(|one, other| one.0 == other.0);
        let shared = alike.filter(|alike| alike.first().map(|id| id.1.part()) != alike.last().map(|id| id.1.part()));
        shared.flatten().map(|id| id.1).collect()
    }
}

/// What there is to read of a message, found by one statement: as a rule only its one claim and its one answer.
struct There {
    has_verdict: bool,
    has_receipt: bool,
    has_match: bool,
    is_cancelled: bool,
    is_tried: bool,
    is_tried_again: bool,
    /// Of the first attempt of its first part.
    first_outcome: Option<i64>,
    stored: Option<State>,
}

impl There {
    fn load(connection: &Connection, message: i64, end: i64) -> Result<Self, JournalError> {
        let mut statement = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM verdict WHERE attempt >= ?3 AND attempt < ?4),
                    EXISTS (SELECT 1 FROM receipt WHERE id >= ?5 AND id < ?6),
                    EXISTS (SELECT 1 FROM receipt_match WHERE attempt >= ?3 AND attempt < ?4),
                    EXISTS (SELECT 1 FROM cancelled_message WHERE message = ?1 AND again_at IS NULL),
                    coalesce((SELECT first_part + parts > ?1 FROM claim
                               WHERE try = 0 AND first_part < ?2 ORDER BY first_part DESC LIMIT 1), 0),
                    coalesce((SELECT first_part + parts > ?1 FROM claim
                               WHERE try = 1 AND first_part < ?2 ORDER BY first_part DESC LIMIT 1), 0),
                    (SELECT outcome FROM answer WHERE attempt = ?3),
                    (SELECT state FROM message_state WHERE message = ?1)",
        )?;
        let (from, to) = Attempt::range(message, end);
        let (first, last) = Attempt::receipt_range(message, end);
        Ok(statement.query_row((message, end, from, to, first, last), |row| {
            Ok(Self {
                has_verdict: row.get(0)?,
                has_receipt: row.get(1)?,
                has_match: row.get(2)?,
                is_cancelled: row.get(3)?,
                is_tried: row.get(4)?,
                is_tried_again: row.get(5)?,
                first_outcome: row.get(6)?,
                stored: row.get::<_, Option<i64>>(7)?.and_then(State::from_number),
            })
        })?)
    }
}

fn outcome_of(number: i64) -> Outcome {
    match number {
        0 => Outcome::Accepted,
        1 => Outcome::Retry,
        _ => Outcome::Rejected,
    }
}

/// Makes room for every attempt of the parts from `message` to `end` that was claimed.
fn read_claims(
    connection: &Connection,
    message: i64,
    end: i64,
    facts: &mut [Vec<AttemptFacts>],
) -> Result<(), JournalError> {
    let mut claims = connection.prepare_cached(
        "SELECT first_part, parts FROM claim WHERE try = ?1 AND first_part < ?2 ORDER BY first_part DESC",
    )?;
    for tried in 0.. {
        let mut found = false;
        let mut rows = claims.query((tried, end))?;
        while let Some(row) = rows.next()? {
            let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            if first + count <= message {
                break;
            }
            for part in first.max(message)..(first + count).min(end) {
                found = true;
                let attempts = &mut facts[(part - message) as usize];
                attempts.resize(tried as usize + 1, AttemptFacts::default());
            }
        }
        if !found {
            break;
        }
    }
    Ok(())
}

/// The message that owns `part`, and how many parts it has.
pub fn message_of(connection: &Connection, part: i64) -> Result<Option<(i64, u8)>, JournalError> {
    Ok(connection
        .prepare_cached("SELECT id, parts FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([part], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .filter(|&(message, parts): &(i64, u8)| part < message + i64::from(parts)))
}

/// How many receipts are stored under the attempt's own numbers.
pub fn receipts_of(connection: &Connection, attempt: Attempt) -> Result<i64, JournalError> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(id) & 255, -1) + 1 FROM receipt WHERE id >= ?1 AND id < ?2")?
        .query_row((attempt.receipt(0), attempt.receipt(RECEIPTS_MAX)), |row| row.get(0))?)
}

/// The stored state of a message, where it has one.
pub fn stored_state(connection: &Connection, message: i64) -> Result<Option<State>, JournalError> {
    Ok(connection
        .prepare_cached("SELECT state FROM message_state WHERE message = ?1")?
        .query_row([message], |row| row.get(0))
        .optional()?
        .and_then(State::from_number))
}
