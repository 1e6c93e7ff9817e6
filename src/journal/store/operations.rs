//! Operations on messages that the SMSC has: query_sm, cancel_sm, replace_sm. Each is a fact of its own: what was asked,
//! committed before it is written, and what was answered.
//!
//! A query that tells a final state is as good as a receipt: the SMSC itself says what became of the message. It is kept
//! as one, by a rule of its own. UNKNOWN is not: there the SMSC says only that it does not know. A message in doubt
//! cannot be asked after, since its message_id would have come in the answer that is missing.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::events::Chunk;
use crate::journal::model::key::{Attempt, Outcome, RECEIPTS_MAX};
use crate::journal::model::rule::Rule;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, receipts_of};
use crate::journal::store::part_encoder::{Again, encode_again};
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::wire::MessageState;
use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// query_sm: what became of it?
    Query,
    /// cancel_sm: do not deliver it.
    Cancel,
    /// replace_sm: deliver another text.
    Replace,
}

impl Operation {
    /// As in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query_sm",
            Self::Cancel => "cancel_sm",
            Self::Replace => "replace_sm",
        }
    }
}

/// A part that the SMSC has, as it was sent.
#[derive(Clone, Debug)]
pub struct Target {
    /// The line of its message in the campaign's file.
    pub line: i64,
    /// Which part, from 1.
    pub part: u8,
    /// Of how many.
    pub parts: u8,
    /// The attempt that the SMSC took.
    pub attempt: Attempt,
    /// What the SMSC calls it.
    pub message_id: String,
    /// Its destination.
    pub destination: String,
    /// How its text was encoded ([`crate::message::text::Encoding::stored`]).
    pub encoding: u8,
    /// The request that the SMSC took, with another sequence number.
    pub request: Vec<u8>,
}

/// A part that cannot be asked about.
#[derive(Clone, Debug)]
pub struct Omitted {
    /// The line of its message.
    pub line: i64,
    /// Which part, from 1.
    pub part: u8,
    /// Its destination.
    pub destination: String,
    /// Why not.
    pub why: &'static str,
}

/// An answer to an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Its command_status.
    pub command_status: u32,
    /// Of a query: message_state, as it came.
    pub state: Option<u8>,
    /// Of a query: when the message came to its end, as SMPP writes times.
    pub final_date: Option<String>,
    /// Of a query: the network's error.
    pub error_code: Option<u8>,
}

/// Parts to be asked about, and those that cannot be.
pub type Page = (Vec<Target>, Vec<Omitted>);

/// So many messages are looked at for a page of targets.
const PAGE_MESSAGES: i64 = 1_000;

/// The parts of a campaign's messages that the SMSC has and that have no final state, and, of the lines that were named,
/// those that cannot be asked about: read page by page, since there may be millions.
#[derive(Debug)]
pub struct Targets {
    index: u32,
    next: i64,
    end: i64,
    /// Lines of the file; empty: all.
    wanted: HashSet<i64>,
    seen: HashSet<i64>,
    is_through: bool,
}

impl Targets {
    /// Those of a campaign. No lines: all.
    pub fn of(journal: &dyn Sql, counts: &Counts, campaign: &str, lines: &[u64]) -> Result<Self, JournalError> {
        let connection = journal.connection();
        let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
        let found = counts.campaigns.iter().enumerate().find(|(_, book)| book.id == id);
        let Some((index, book)) = found else {
            return Err(JournalError::Inconsistent(format!("campaign {campaign} is not in the counts")));
        };
        let wanted = lines.iter().filter_map(|&line| i64::try_from(line).ok()).collect();
        let (next, end, seen) = (book.first_id, book.end_id, HashSet::new());
        Ok(Self { index: index as u32, next, end, wanted, seen, is_through: false })
    }

    /// The next of them; `None`: there are no more.
    pub fn page(&mut self, journal: &dyn Sql, counts: &Counts) -> Result<Option<Page>, JournalError> {
        let connection = journal.connection();
        if self.is_through {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT id, line, parts, destination, encoding FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows = statement.query([self.next, self.end, PAGE_MESSAGES])?;
        let (mut targets, mut omitted, mut looked_at) = (Vec::new(), Vec::new(), 0);
        while let Some(row) = rows.next()? {
            looked_at += 1;
            let (message, line, parts, destination): (i64, i64, u8, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            self.next = message + 1;
            if !self.wanted.is_empty() && !self.wanted.contains(&line) {
                continue;
            }
            if !self.wanted.is_empty() {
                self.seen.insert(line);
            }
            let message = Message { id: message, line, parts, destination, encoding: row.get(4)? };
            self.parts_of(connection, counts, &message, &mut targets, &mut omitted)?;
        }
        if looked_at < PAGE_MESSAGES {
            self.is_through = true;
            let mut missing: Vec<i64> = self.wanted.difference(&self.seen).copied().collect();
            missing.sort_unstable();
            let why = "the campaign has no message from this line of its file";
            let nobody = |line| Omitted { line, part: 1, destination: String::new(), why };
            omitted.extend(missing.into_iter().map(nobody));
        }
        Ok(Some((targets, omitted)))
    }

    fn parts_of(
        &self,
        connection: &Connection,
        counts: &Counts,
        of: &Message,
        targets: &mut Vec<Target>,
        omitted: &mut Vec<Omitted>,
    ) -> Result<(), JournalError> {
        let facts = MessageFacts::load(connection, of.id, of.parts)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            let number = n as u8 + 1;
            let taken = attempts.iter().rposition(|attempt| attempt.answer == Some(Outcome::Accepted));
            let attempt = taken.map(|tried| Attempt::new(of.id + n as i64, tried as u16));
            let message_id = attempt.map(|attempt| message_id_of(connection, attempt)).transpose()?.flatten();
            let is_final = taken.is_some_and(|tried| attempts[tried].receipt.is_some());
            let why = match (attempt, message_id) {
                (Some(_), _) if is_final => "it has its final state",
                (Some(attempt), Some(message_id)) => {
                    let again = Again { attempt, campaign: self.index, refused: 0, completes: false };
                    let mut chunk = Chunk::default();
                    encode_again(connection, counts, again, of.id, &mut chunk)?;
                    targets.push(Target {
                        line: of.line,
                        part: number,
                        parts: of.parts,
                        attempt,
                        message_id,
                        destination: of.destination.clone(),
                        encoding: of.encoding,
                        request: chunk.octets,
                    });
                    continue;
                }
                (Some(_), None) => "the SMSC gave it no message_id",
                (None, _) if attempts.is_empty() => "it was not sent",
                (None, _) if crate::journal::model::state::is_in_doubt(attempts) => {
                    "in doubt: its message_id would have come in the answer that is missing"
                }
                (None, _) => "the SMSC did not take it",
            };
            if !self.wanted.is_empty() {
                omitted.push(Omitted { line: of.line, part: number, destination: of.destination.clone(), why });
            }
        }
        Ok(())
    }
}

/// A message of the campaign.
struct Message {
    id: i64,
    line: i64,
    parts: u8,
    destination: String,
    encoding: u8,
}

fn message_id_of(connection: &Connection, attempt: Attempt) -> Result<Option<String>, JournalError> {
    Ok(connection
        .prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?
        .query_row([attempt.0], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Commits what is about to be asked. Returns the numbers of the operations.
pub fn intend(
    journal: &dyn Sql,
    operation: Operation,
    targets: &[&Target],
    text: Option<&str>,
) -> Result<Vec<i64>, JournalError> {
    let connection = journal.connection();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO operation (attempt, kind, message_id, text, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut numbers = Vec::with_capacity(targets.len());
    for target in targets {
        insert.execute((target.attempt.0, operation.name(), &target.message_id, text, now_ms()))?;
        numbers.push(connection.last_insert_rowid());
    }
    reach("operation")?;
    connection.execute_batch("COMMIT")?;
    Ok(numbers)
}

/// Appends answers. `outcome`: the state that a query was answered with, where it is final.
pub fn answered(
    journal: &dyn Sql,
    counts: &mut Counts,
    answers: &[(i64, &Target, Answered, Option<MessageState>)],
) -> Result<(), JournalError> {
    let connection = journal.connection();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for (number, target, answer, outcome) in answers {
        connection
            .prepare_cached(
                "INSERT INTO operation_answer (operation, answered_at, command_status, state, final_date, error_code)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((number, now_ms(), answer.command_status, answer.state, &answer.final_date, answer.error_code))?;
        if let Some(state) = outcome {
            note_final(connection, counts, target.attempt, *state, answer.error_code)?;
        }
    }
    counts.settle(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Appends a final state that a query was answered with, as a receipt.
fn note_final(
    connection: &Connection,
    counts: &mut Counts,
    attempt: Attempt,
    state: MessageState,
    error: Option<u8>,
) -> Result<(), JournalError> {
    let n = receipts_of(connection, attempt)?;
    if n >= RECEIPTS_MAX {
        return Ok(());
    }
    counts.touch_as_found(connection, attempt.part())?;
    let error = error.filter(|error| *error != 0).map(|error| error.to_string());
    connection
        .prepare_cached(
            "INSERT INTO receipt (id, received_at, state, final, rule, error) VALUES (?1, ?2, ?3, 1, ?4, ?5)",
        )?
        .execute((attempt.receipt(n), now_ms(), state.code(), Rule::Query as u8, error))?;
    Ok(())
}
