//! Which receipt the operator assigned to which message, written down.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, Outcome, Verdict};
use crate::journal::model::rule::Rule;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, message_of};
use crate::journal::store::lines::message_of_line;
use rusqlite::{Connection, OptionalExtension};

/// A receipt, and the message that the operator assigned it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Assignment {
    /// The receipt's number, as `receipt_log` shows it.
    pub receipt: i64,
    /// The line of the campaign's file.
    pub line: u64,
    /// The part of its message, from 1.
    pub part: u8,
}

/// A receipt that changed hands.
#[derive(Clone, Copy, Debug)]
pub struct Assigned {
    /// Its number.
    pub receipt: i64,
    /// Whose it was so far.
    pub from: Option<Attempt>,
    /// Whose it is.
    pub to: Attempt,
    /// Table `stray` has it: that attempt has no answer, and others of its receipts are known by the id in this one.
    pub is_listed: bool,
}

/// Why a receipt cannot be assigned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No receipt has the number.
    #[error("there is no receipt of that number: `smppost report --unmatched` lists those that belong to no message")]
    NoReceipt,
    /// Its id is exactly that of an attempt.
    #[error("that receipt has exactly the id of the message that it belongs to")]
    IsExact,
    /// No message of the campaign stands on the line.
    #[error("no message of the campaign stands on that line")]
    NoMessage,
    /// The message has fewer parts.
    #[error("that message has {}", match .parts { 1 => "one part only".to_owned(), parts => format!("{parts} parts, counted from 1") })]
    NoPart {
        /// So many.
        parts: u8,
    },
    /// The part was never sent, or was refused each time.
    #[error("that message was not sent, or each time refused: no receipt can be about it")]
    NotSent,
}

impl Assignment {
    /// Finds the attempt that is meant: of the part's tries the newest that was taken, or else the newest that may have been.
    ///
    /// # Errors
    /// The inner result says what speaks against it.
    pub fn attempt(&self, journal: &dyn Sql, campaign: &str) -> Result<Result<Attempt, Refusal>, JournalError> {
        let connection = journal.connection();
        let campaign = crate::journal::store::notes::campaign_id(connection, campaign)?;
        let (first, end): (i64, i64) =
            connection.query_row("SELECT first_id, end_id FROM campaign WHERE id = ?1", [campaign], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.attempt_in(connection, first, end)
    }

    fn attempt_in(
        &self,
        connection: &Connection,
        first: i64,
        end: i64,
    ) -> Result<Result<Attempt, Refusal>, JournalError> {
        match self.rule(connection)? {
            None => return Ok(Err(Refusal::NoReceipt)),
            Some((rule, Some(_))) if rule == Rule::Exact as u8 => return Ok(Err(Refusal::IsExact)),
            Some(_) => {}
        }
        let message = message_of_line(connection, (first, end), self.line)?;
        let Some((message, parts)) = message else { return Ok(Err(Refusal::NoMessage)) };
        if self.part == 0 || self.part > parts {
            return Ok(Err(Refusal::NoPart { parts }));
        }
        let n = usize::from(self.part - 1);
        let facts = MessageFacts::load(connection, message, parts)?;
        let tries = || facts.parts[n].iter().enumerate().rev();
        let taken = tries().find(|(_, facts)| facts.answer == Some(Outcome::Accepted));
        let open = || tries().find(|(_, facts)| facts.answer.is_none() && facts.verdict != Some(Verdict::NotWritten));
        Ok(match taken.or_else(open) {
            Some((tried, _)) => Ok(Attempt::new(message + i64::from(self.part - 1), tried as u16)),
            None => Err(Refusal::NotSent),
        })
    }

    /// By which rule the receipt is whose; `None`: there is no such receipt.
    fn rule(&self, connection: &Connection) -> Result<Option<(u8, Option<Attempt>)>, JournalError> {
        Ok(connection
            .query_row("SELECT rule, attempt FROM receipt_fact WHERE id = ?1", [self.receipt], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Attempt)))
            })
            .optional()?)
    }

    /// Appends the match, unless what came meanwhile speaks against it.
    pub(in crate::journal) fn apply(
        &self,
        connection: &Connection,
        counts: &mut Counts,
        index: u32,
    ) -> Result<Option<Assigned>, JournalError> {
        let Some((first, end)) = counts.campaign(index).map(|book| (book.first_id, book.end_id)) else {
            return Ok(None);
        };
        let Ok(to) = self.attempt_in(connection, first, end)? else { return Ok(None) };
        let from = self.rule(connection)?.and_then(|(_, from)| from);
        if from == Some(to) {
            return Ok(None);
        }
        for attempt in from.into_iter().chain([to]) {
            if message_of(connection, attempt.part())?.is_some() {
                counts.touch_as_found(connection, attempt.part())?;
            }
        }
        connection.execute(
            "INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)",
            (self.receipt, to.0, Rule::Operator as u8, crate::platform::clock::now_ms()),
        )?;
        // Of an attempt without an answer the receipt tells the id, by which others of its receipts are known. One that was
        // not judged yet is not listed so far.
        let is_answered: bool =
            connection
                .query_row("SELECT EXISTS (SELECT 1 FROM answer WHERE attempt = ?1)", [to.0], |row| row.get(0))?;
        let sql = match is_answered {
            true => "DELETE FROM stray WHERE receipt = ?1",
            false => "INSERT OR IGNORE INTO stray (receipt) VALUES (?1)",
        };
        connection.execute(sql, [self.receipt])?;
        Ok(Some(Assigned { receipt: self.receipt, from, to, is_listed: !is_answered }))
    }
}
