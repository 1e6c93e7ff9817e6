//! A copy of a journal, or an older state of it, made the one that is sent from.
//!
//! What is queued in it may have been sent since by the original. Unless somebody knows better it is in doubt from then on:
//! each part gets an attempt of a session that never was, with the verdict "in doubt", so that all that holds for doubts holds
//! for it, and `resolve` decides.

use crate::journal::error::JournalError;
use crate::journal::files::answer_log::Answers;
use crate::journal::files::write_marks::{Marks, boot_id};
use crate::journal::handle::{Journal, Sql};
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::model::sequence::FIRST;
use crate::journal::model::state::{is_to_send, may_go_on};
use crate::journal::store::claims::{self, Claimed};
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, stored_state};
use crate::journal::store::identity;
use crate::journal::store::identity::FileMark;
use crate::journal::store::known::Note;
use crate::journal::store::notes::in_transaction;
use crate::journal::store::verdicts::insert_verdict;
use crate::journal::writer::recovery::{Recovery, recover};
use crate::platform::clock::now_ms;
use rusqlite::Connection;
use std::path::Path;

/// Messages that one transaction goes through.
const MESSAGES_PER_TRANSACTION: i64 = 2_000;
/// Why it is in doubt, as reports say.
const REASON: &str = "the journal is a copy or an older state: it may have been sent since";

/// What is known of the messages that are queued in a journal that is adopted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// Nothing: they may have been sent.
    InDoubt,
    /// The user says that nothing was sent since.
    NothingSent,
    /// The note says that this is the last state.
    LastState,
}

/// Makes the journal the one that is sent from, and returns how many messages are in doubt for it. To be called under the
/// sender's lock. Killed at any moment, it is done again from the start of what is left.
pub fn adopt(
    journal: Journal,
    path: &Path,
    code: &str,
    file: FileMark,
    queued: Queued,
    noted: Option<&Note>,
) -> Result<i64, JournalError> {
    let connection = journal.into_connection();
    // The write marks speak of the original. Without them everything that was claimed and not answered may have left.
    let marks = Marks::open(path)?;
    crate::journal::writer::recovery::settle_marks(&connection, path, &marks)?;
    let reset = Answers::open(path)?.reset();
    reset.map_err(|error| JournalError::side_file(path, "-answers", error))?;
    let Recovery { connection, mut counts, .. } = recover(connection, path, &RetryRules::default())?;
    crate::journal::store::decisions::apply_all(&connection, &mut counts)?;
    let doubts = if queued == Queued::InDoubt { doubt_queued(&connection, &mut counts)? } else { 0 };
    in_transaction(&connection, || {
        connection.execute(
            "INSERT INTO adoption (at, code, file, queued, in_doubt) VALUES (?1, ?2, ?3, ?4, ?5)",
            (now_ms(), code, format!("{file:?}"), format!("{queued:?}"), doubts),
        )?;
        identity::count_past(&connection, noted)?;
        identity::set_file(&connection, file)
    })?;
    crate::journal::writer::recovery::settle_marks(&connection, path, &marks)?;
    Ok(doubts)
}

/// Whether the journal was adopted under this code.
pub fn was_adopted(journal: &dyn Sql, code: &str) -> Result<bool, JournalError> {
    let connection = journal.connection();
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM adoption WHERE code = ?1)", [code], |row| row.get(0))?)
}

/// Everything that would be sent is in doubt.
fn doubt_queued(connection: &Connection, counts: &mut Counts) -> Result<i64, JournalError> {
    let mut doubts = 0;
    for campaign in counts.campaigns.clone() {
        if campaign.cancelled
            || [State::Queued, State::Sending].iter().all(|state| campaign.counts[*state as usize] == 0)
        {
            continue;
        }
        let mut from = campaign.first_id;
        while from < campaign.end_id {
            let (count, next) = in_transaction(connection, || doubt_range(connection, counts, from, campaign.end_id))?;
            doubts += count;
            from = next;
        }
    }
    Ok(doubts)
}

/// As [`doubt_queued`], for the next messages; how many are in doubt, and where to go on.
fn doubt_range(connection: &Connection, counts: &mut Counts, from: i64, end: i64) -> Result<(i64, i64), JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT id, parts FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
    let messages: Vec<(i64, u8)> = statement
        .query_map([from, end, MESSAGES_PER_TRANSACTION], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let Some(&(last, parts)) = messages.last() else { return Ok((0, end)) };
    let mut session = None;
    let mut count = 0;
    for &(message, parts) in &messages {
        if stored_state(connection, message)? == Some(State::Suppressed) {
            continue;
        }
        let facts = MessageFacts::load(connection, message, parts)?;
        if !may_go_on(&facts.parts) || !facts.parts.iter().any(|attempts| is_to_send(attempts)) {
            continue;
        }
        let session = match &mut session {
            Some(session) => session,
            none => none.insert(Original::begin(connection)?),
        };
        counts.touch_as_found(connection, message)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            if is_to_send(attempts) {
                session.doubt(connection, message, facts.next_attempt(n))?;
            }
        }
        count += 1;
    }
    counts.settle(connection)?;
    Ok((count, last + i64::from(parts)))
}

/// The session in which the original may have sent.
struct Original {
    session: i64,
    serial: i64,
    number: u32,
}

impl Original {
    fn begin(connection: &Connection) -> Result<Self, JournalError> {
        let serial = crate::journal::store::identity::extent(connection)?.serial + 1;
        let now = now_ms();
        connection.execute(
            "INSERT INTO session (opened_at, closed_at, boot_id, first_serial, peer, system_id, bind, smpp_version, reason)
             VALUES (?1, ?1, ?2, ?3, '', '', 'none', '', 'what another copy of the journal may have sent')",
            (now, boot_id(), serial),
        )?;
        Ok(Self { session: connection.last_insert_rowid(), serial, number: FIRST })
    }

    fn doubt(&mut self, connection: &Connection, message: i64, attempt: Attempt) -> Result<(), JournalError> {
        let claimed = Claimed {
            first: attempt,
            parts: 1,
            message,
            serial: self.serial,
            sequence_number: self.number,
            session: self.session,
            at: now_ms(),
        };
        claims::insert(connection, &claimed)?;
        self.serial += 1;
        self.number += 1;
        insert_verdict(connection, attempt, Verdict::InDoubt, REASON)
    }
}
