//! The facts of a range of parts, read in key order, to be merged by key.

use super::JournalError;
use crate::journal::model::key::Attempt;
use hashbrown::HashSet;
use rusqlite::Connection;

/// A run of parts of one try that were claimed at the same time.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRun {
    /// Its parts are `first..end`.
    pub first: i64,
    /// See `first`.
    pub end: i64,
    /// The message of `first`, as the claim says.
    pub message: i64,
    /// When.
    pub claimed_at: i64,
    /// By which session.
    pub session: i64,
}

/// The claims of one try that hold parts of `from..end`, in order. The first may begin before `from`.
pub fn claims(
    connection: &Connection,
    tried: u16,
    from: i64,
    end: i64,
    to: &mut Vec<ClaimRun>,
) -> Result<(), JournalError> {
    to.clear();
    let mut statement = connection.prepare_cached(
        "SELECT first_part, parts, claimed_at, first_message, session_id FROM claim
          WHERE try = ?1 AND first_part < ?3
            AND first_part >= coalesce((SELECT k.first_part FROM claim k WHERE k.try = ?1 AND k.first_part <= ?2
                                         ORDER BY k.first_part DESC LIMIT 1), ?2)
          ORDER BY first_part",
    )?;
    let mut rows = statement.query((tried, from, end))?;
    while let Some(row) = rows.next()? {
        let (first, parts): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first + parts > from {
            to.push(ClaimRun {
                first,
                end: first + parts,
                message: row.get(3)?,
                claimed_at: row.get(2)?,
                session: row.get(4)?,
            });
        }
    }
    Ok(())
}

/// The tries from 0 on of which there is any claim in the journal.
pub fn tries(connection: &Connection) -> Result<Vec<u16>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT min(try) FROM claim WHERE try > ?1")?;
    let mut tries = Vec::new();
    let mut last = -1;
    while let Some(tried) = statement.query_row([last], |row| row.get::<_, Option<u16>>(0))? {
        tries.push(tried);
        last = i64::from(tried);
    }
    Ok(tries)
}

/// Finds claims for parts that are asked for in ascending order.
#[derive(Debug, Default)]
pub struct ClaimCursor(usize);

impl ClaimCursor {
    /// When `part` was claimed, if it was.
    pub fn claimed_at(&mut self, claims: &[ClaimRun], part: i64) -> Option<i64> {
        while claims.get(self.0).is_some_and(|claim| claim.end <= part) {
            self.0 += 1;
        }
        claims.get(self.0).filter(|claim| claim.first <= part).map(|claim| claim.claimed_at)
    }
}

/// A receipt that counts for an attempt otherwise than by the number under which it is stored.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The attempt.
    pub attempt: Attempt,
    /// When it came.
    pub received_at: i64,
    /// SMPP's message_state.
    pub state: Option<i64>,
    /// Whether it is final.
    pub is_final: bool,
    /// How it was matched.
    pub rule: i64,
    /// The error that it names.
    pub error: Option<String>,
    /// The match's own number.
    pub number: i64,
    /// The id that only the receipt has, where the attempt was never answered.
    pub message_id: Option<String>,
    /// Its TLV message_state and its text tell different states.
    pub differs: bool,
}

/// Receipts that were matched after they were stored, or matched anew.
#[derive(Debug, Default)]
pub struct Matches {
    /// Receipts stored under attempts of the range of which a match says something else.
    pub moved: HashSet<i64>,
    /// Receipts matched to attempts of the range, by attempt and match.
    pub matched: Vec<Matched>,
}

impl Matches {
    /// Reads those of the parts `from..end`.
    pub fn load(&mut self, connection: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        self.moved.clear();
        self.matched.clear();
        let mut statement = connection
            .prepare_cached("SELECT receipt_id FROM receipt_match WHERE receipt_id >= ?1 AND receipt_id < ?2")?;
        let mut rows = statement.query(Attempt::receipt_range(from, end))?;
        while let Some(row) = rows.next()? {
            self.moved.insert(row.get(0)?);
        }
        let mut statement = connection.prepare_cached(
            "SELECT x.attempt, r.received_at, r.state, r.final, x.rule, r.error, x.id,
                    CASE WHEN r.message_id <> '' AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = x.attempt)
                         THEN r.message_id END,
                    r.other_state IS NOT NULL
               FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
              WHERE x.attempt >= ?1 AND x.attempt < ?2
                AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)
              ORDER BY x.attempt, x.id",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        while let Some(row) = rows.next()? {
            self.matched.push(Matched {
                attempt: Attempt(row.get(0)?),
                received_at: row.get(1)?,
                state: row.get(2)?,
                is_final: row.get(3)?,
                rule: row.get(4)?,
                error: row.get(5)?,
                number: row.get(6)?,
                message_id: row.get(7)?,
                differs: row.get(8)?,
            });
        }
        Ok(())
    }
}
