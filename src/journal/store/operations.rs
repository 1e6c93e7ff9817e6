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
pub use crate::journal::model::operation::{Answered, Fate, Line, Operation};
use crate::journal::model::rule::Rule;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, receipts_of};
use crate::journal::store::part_encoder::{Again, encode_again};
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::wire::MessageState;
use rusqlite::{Connection, OptionalExtension};

/// A part that the SMSC has, as it was sent.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its message: the number of the message's first part.
    pub message: i64,
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
    /// Its message: the number of the message's first part; 0: there is none.
    pub message: i64,
    /// The line of its message.
    pub line: i64,
    /// Which part, from 1.
    pub part: u8,
    /// Its destination.
    pub destination: String,
    /// Why not.
    pub why: &'static str,
}

/// Parts to be asked about, and those that cannot be.
pub type Page = (Vec<Target>, Vec<Omitted>);

/// So many messages are looked at for a page of targets at most.
const PAGE_MESSAGES: i64 = 1_000;
/// A page ends with the message with which it has so many parts.
const PAGE_PARTS: usize = 256;

/// The parts of a campaign's messages that the SMSC has and that have no final state, and, of the lines that were named,
/// those that cannot be asked about: read page by page, since there may be millions.
#[derive(Debug)]
pub struct Targets {
    index: u32,
    /// The campaign's messages.
    range: (i64, i64),
    /// Lines of the file, in their order; empty: all.
    wanted: Vec<u64>,
    /// So many messages are looked at for a page at most.
    looks_at: i64,
    /// Where the next page begins: a message's number; of lines that were named, how many are through.
    next: i64,
    is_through: bool,
}

impl Targets {
    /// Those of a campaign. No lines: all.
    pub fn of(journal: &dyn Sql, counts: &Counts, campaign: &str, lines: &[u64]) -> Result<Self, JournalError> {
        let connection = journal.connection();
        let id = crate::journal::store::notes::campaign_id(connection, campaign)?;
        let index = counts.campaigns.iter().position(|book| book.id == id);
        let found = index.and_then(|index| Self::from(counts, index as u32, lines, None));
        found.ok_or_else(|| JournalError::Inconsistent(format!("campaign {campaign} is not in the counts")))
    }

    /// Those of the campaign at `index` of the counts; `next`: from there on, where that was [told](Self::next) before.
    pub fn from(counts: &Counts, index: u32, lines: &[u64], next: Option<i64>) -> Option<Self> {
        let book = counts.campaign(index)?;
        let mut wanted = lines.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let first = if wanted.is_empty() { book.first_id } else { 0 };
        let range = (book.first_id, book.end_id);
        Some(Self { index, range, wanted, looks_at: PAGE_MESSAGES, next: next.unwrap_or(first), is_through: false })
    }

    /// The same, of which a page looks at no more than so many messages.
    pub fn looking_at(self, messages: i64) -> Self {
        Self { looks_at: messages.min(self.looks_at), ..self }
    }

    /// Where the next page begins.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The next of them; `None`: there are no more.
    pub fn page(&mut self, journal: &dyn Sql, counts: &Counts) -> Result<Option<Page>, JournalError> {
        let connection = journal.connection();
        if self.is_through {
            return Ok(None);
        }
        let mut page = Page::default();
        if self.wanted.is_empty() {
            let mut statement = connection.prepare_cached(
                "SELECT id, line, parts, destination, encoding FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
            )?;
            let mut rows = statement.query([self.next, self.range.1, self.looks_at])?;
            let mut looked_at = 0;
            while page.0.len() < PAGE_PARTS {
                let Some(row) = rows.next()? else {
                    self.is_through = looked_at < self.looks_at;
                    break;
                };
                looked_at += 1;
                let message = Message::of(row)?;
                self.next = message.id + 1;
                self.parts_of(connection, counts, &message, &mut page)?;
            }
            return Ok(Some(page));
        }
        let from = usize::try_from(self.next).unwrap_or(usize::MAX).min(self.wanted.len());
        for &line in &self.wanted[from..] {
            if page.0.len() + page.1.len() >= PAGE_PARTS {
                return Ok(Some(page));
            }
            self.next += 1;
            let Some((id, _)) = crate::journal::store::lines::message_of_line(connection, self.range, line)? else {
                let why = "the campaign has no message from this line of its file";
                let line = i64::try_from(line).unwrap_or(i64::MAX);
                page.1.push(Omitted { message: 0, line, part: 1, destination: String::new(), why });
                continue;
            };
            let message = connection
                .prepare_cached("SELECT id, line, parts, destination, encoding FROM message WHERE id = ?1")?
                .query_row([id], Message::of)?;
            self.parts_of(connection, counts, &message, &mut page)?;
        }
        self.is_through = true;
        Ok(Some(page))
    }

    fn parts_of(
        &self,
        connection: &Connection,
        counts: &Counts,
        of: &Message,
        (targets, omitted): &mut Page,
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
                        message: of.id,
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
                let (message, line, destination) = (of.id, of.line, of.destination.clone());
                omitted.push(Omitted { message, line, part: number, destination, why });
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

impl Message {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let (id, line, parts) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { id, line, parts, destination: row.get(3)?, encoding: row.get(4)? })
    }
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
    let numbers = targets.iter().map(|target| append(connection, operation, target, text, None));
    let numbers = numbers.collect::<Result<_, _>>()?;
    reach("operation")?;
    connection.execute_batch("COMMIT")?;
    Ok(numbers)
}

/// Appends what is about to be asked. `command`: which one has it asked, where a service does.
pub fn append(
    connection: &Connection,
    operation: Operation,
    target: &Target,
    text: Option<&str>,
    command: Option<i64>,
) -> Result<i64, JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO operation (attempt, kind, message_id, text, asked_at, command) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((target.attempt.0, operation.name(), &target.message_id, text, now_ms(), command))?;
    Ok(connection.last_insert_rowid())
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
        append_answer(connection, counts, (*number, target.attempt), answer, *outcome)?;
    }
    counts.settle(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Appends the answer to an operation that was about an attempt.
pub fn append_answer(
    connection: &Connection,
    counts: &mut Counts,
    (number, attempt): (i64, Attempt),
    answer: &Answered,
    outcome: Option<MessageState>,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO operation_answer (operation, answered_at, command_status, state, final_date, error_code)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((number, now_ms(), answer.command_status, answer.state, &answer.final_date, answer.error_code))?;
    match outcome {
        Some(state) => note_final(connection, counts, attempt, state, answer.error_code),
        None => Ok(()),
    }
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
