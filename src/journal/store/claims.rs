//! Intents to send: table `claim`, append-only.

use crate::journal::error::JournalError;
use crate::journal::model::key::Attempt;
use rusqlite::Connection;

/// Parts that were claimed together: attempts of one try that follow each other, with serials and sequence numbers that do, too.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Claimed {
    /// The first of them.
    pub first: Attempt,
    /// How many.
    pub parts: i64,
    /// The message that the first one is a part of.
    pub message: i64,
    /// The serial of the first one.
    pub serial: i64,
    /// Its sequence number.
    pub sequence_number: u32,
    /// The session on which they go.
    pub session: i64,
    /// When, in milliseconds.
    pub at: i64,
}

/// Appends a claim.
pub(in crate::journal) fn insert(connection: &Connection, claimed: &Claimed) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO claim (first_serial, try, first_part, parts, first_message, session_id, first_sequence_number, claimed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            claimed.serial,
            claimed.first.tried(),
            claimed.first.part(),
            claimed.parts,
            claimed.message,
            claimed.session,
            claimed.sequence_number,
            claimed.at,
        ))?;
    Ok(())
}
