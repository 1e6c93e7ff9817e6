//! Verdicts on attempts: table `verdict`, append-only.

use crate::journal::error::JournalError;
use crate::journal::model::key::{Attempt, Verdict};
use crate::platform::clock::now_ms;
use rusqlite::Connection;

/// Appends a verdict.
pub fn insert_verdict(
    connection: &Connection,
    attempt: Attempt,
    verdict: Verdict,
    reason: &str,
) -> Result<(), JournalError> {
    connection.prepare_cached("INSERT INTO verdict (attempt, at, kind, reason) VALUES (?1, ?2, ?3, ?4)")?.execute((
        attempt.0,
        now_ms(),
        verdict as u8,
        reason,
    ))?;
    Ok(())
}
