//! Commands that have the SMSC asked about messages that it has: those that a service has accepted, how far they are, and what came
//! of each part.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::command::Operated;
use crate::journal::model::key::Attempt;
use crate::journal::store::operations::{Answered, Fate, Line};
use crate::platform::clock::now_ms;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

/// What came of parts is kept so long after the answer, for whoever still reads it.
const RESULTS_KEPT_MS: i64 = 24 * 3_600_000;
/// Pages of results that one transaction removes, and that are read at once.
const PAGES_AT_ONCE: i64 = 16;

/// A command that a service has accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its number.
    pub id: i64,
    /// How, as JSON.
    pub options: String,
    /// How far it is.
    pub progress: Operated,
}

/// A service will carry this command out.
pub fn accept(connection: &Connection, id: i64) -> Result<(), JournalError> {
    connection.prepare_cached("UPDATE command SET accepted_at = ?2 WHERE id = ?1")?.execute((id, now_ms()))?;
    Ok(())
}

/// The same command, which a service has accepted and not answered: its number and key.
pub fn same(journal: &dyn Sql, what: &str, options: &str) -> Result<Option<(i64, String)>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare_cached(
        "SELECT id, key FROM command WHERE answered_at IS NULL AND withdrawn_at IS NULL AND accepted_at IS NOT NULL
            AND what = ?1 AND options = ?2 ORDER BY id LIMIT 1",
    )?;
    Ok(statement.query_row([what, options], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// How many are accepted and not answered.
pub fn count_accepted(connection: &Connection) -> Result<i64, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM command WHERE answered_at IS NULL AND withdrawn_at IS NULL AND accepted_at IS NOT NULL",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// The first so many of those, the oldest first.
pub fn accepted(connection: &Connection, most: usize) -> Result<Vec<Accepted>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, options, progress FROM command
          WHERE answered_at IS NULL AND withdrawn_at IS NULL AND accepted_at IS NOT NULL ORDER BY id LIMIT ?1",
    )?;
    let accepted = statement.query_map([most as i64], |row| {
        let progress: Option<String> = row.get(2)?;
        let progress = progress.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        Ok(Accepted { id: row.get(0)?, options: row.get(1)?, progress })
    })?;
    Ok(accepted.collect::<Result<_, _>>()?)
}

/// Writes down how far a command is.
pub fn note_progress(connection: &Connection, id: i64, progress: &Operated) -> Result<(), JournalError> {
    let json = serde_json::to_string(progress).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    connection.prepare_cached("UPDATE command SET progress = ?2 WHERE id = ?1")?.execute((id, json))?;
    Ok(())
}

/// A request that was made for a command.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its number.
    pub operation: i64,
    /// What it was about.
    pub attempt: Attempt,
    /// What was answered.
    pub answer: Option<Answered>,
}

/// The requests of a command about messages from one number on and before another, in their order.
pub fn asked(connection: &Connection, command: i64, (from, end): (i64, i64)) -> Result<Vec<Asked>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.id, o.attempt, a.command_status, a.state, a.final_date, a.error_code
           FROM operation o LEFT JOIN operation_answer a ON a.operation = o.id
          WHERE o.attempt >= ?2 AND o.attempt < ?3 AND o.command = ?1 ORDER BY o.id",
    )?;
    let (first, last) = Attempt::range(from, end);
    let asked = statement.query_map((command, first, last), |row| {
        Ok(Asked { operation: row.get(0)?, attempt: Attempt(row.get(1)?), answer: answer_at(row, 2)? })
    })?;
    Ok(asked.collect::<Result<_, _>>()?)
}

fn answer_at(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<Answered>> {
    let Some(command_status) = row.get(at)? else { return Ok(None) };
    let (state, final_date, error_code) = (row.get(at + 1)?, row.get(at + 2)?, row.get(at + 3)?);
    Ok(Some(Answered { command_status, state, final_date, error_code }))
}

/// What a request was about; `None`: there is none of that number.
pub fn attempt_of(connection: &Connection, operation: i64) -> Result<Option<Attempt>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT attempt FROM operation WHERE id = ?1")?;
    Ok(statement.query_row([operation], |row| row.get(0)).optional()?.map(Attempt))
}

/// A request was not written, and will not be: it never was one.
pub fn take_back(connection: &Connection, operation: i64) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "DELETE FROM operation WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM operation_answer WHERE operation = ?1)",
        )?
        .execute([operation])?;
    Ok(())
}

/// What came of a part, as it is kept: what can be looked up is not in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartResult {
    /// Its message; 0: there is none.
    #[serde(rename = "m")]
    pub message: i64,
    /// The line of its message.
    #[serde(rename = "l")]
    pub line: i64,
    /// Which part, from 1.
    #[serde(rename = "p")]
    pub part: u8,
    /// The attempt that was to be asked about.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// The last request, where one was made.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<i64>,
    /// Why it was not asked, or not answered; `None`: it was answered.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Keeps what came of a page of parts.
pub fn keep_results(connection: &Connection, command: i64, results: &[PartResult]) -> Result<(), JournalError> {
    let json = serde_json::to_string(results).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO command_result (command, results) VALUES (?1, ?2)")?
        .execute((command, json))?;
    Ok(())
}

/// What came of parts, a few pages after the one with this number (0: from the first on), and the number of the last page read.
pub fn results(journal: &dyn Sql, command: i64, after: i64) -> Result<(Vec<Line>, i64), JournalError> {
    let connection = journal.connection();
    let mut statement = connection
        .prepare_cached("SELECT id, results FROM command_result WHERE command = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?;
    let mut rows = statement.query([command, after, PAGES_AT_ONCE])?;
    let (mut lines, mut last) = (Vec::new(), after);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let json = row.get_ref(1)?.as_str().unwrap_or_default();
        let page: Vec<PartResult> =
            serde_json::from_str(json).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
        for result in page {
            lines.push(line_of(connection, result)?);
        }
    }
    Ok((lines, last))
}

fn line_of(connection: &Connection, result: PartResult) -> Result<Line, JournalError> {
    let destination: Option<String> = connection
        .prepare_cached("SELECT destination FROM message WHERE id = ?1")?
        .query_row([result.message], |row| row.get(0))
        .optional()?;
    let message_id: Option<String> = match result.attempt {
        Some(attempt) => connection
            .prepare_cached("SELECT message_id FROM answer WHERE attempt = ?1")?
            .query_row([attempt], |row| row.get(0))
            .optional()?
            .flatten(),
        None => None,
    };
    let answer = match result.operation {
        Some(operation) => connection
            .prepare_cached(
                "SELECT command_status, state, final_date, error_code FROM operation_answer WHERE operation = ?1",
            )?
            .query_row([operation], |row| answer_at(row, 0))
            .optional()?
            .flatten(),
        None => None,
    };
    let fate = match (result.why, result.operation, answer) {
        (Some(why), Some(_), _) => Fate::Unanswered(why),
        (Some(why), None, _) => Fate::NotAsked(why),
        (None, _, Some(answer)) => Fate::Answered(answer),
        (None, ..) => Fate::Unanswered("its answer is not in the journal any more".into()),
    };
    let (line, part, destination) = (result.line, result.part, destination.unwrap_or_default());
    Ok(Line { line, part, destination, message_id, fate })
}

/// Removes results that were read long ago, or never will be, as much as one transaction does.
pub(super) fn remove_old(connection: &Connection, now: i64) -> Result<(), JournalError> {
    let oldest: Option<i64> =
        connection.prepare_cached("SELECT min(command) FROM command_result")?.query_row([], |row| row.get(0))?;
    let Some(oldest) = oldest else { return Ok(()) };
    let ended: Option<Option<i64>> = connection
        .prepare_cached("SELECT coalesce(answered_at, withdrawn_at) FROM command WHERE id = ?1")?
        .query_row([oldest], |row| row.get(0))
        .optional()?;
    let is_kept = match ended {
        Some(None) => true,
        Some(Some(ended)) => (ended - RESULTS_KEPT_MS..ended + RESULTS_KEPT_MS).contains(&now),
        None => false,
    };
    if !is_kept {
        connection
            .prepare_cached(
                "DELETE FROM command_result WHERE id IN
                    (SELECT id FROM command_result WHERE command = ?1 ORDER BY id LIMIT ?2)",
            )?
            .execute([oldest, PAGES_AT_ONCE])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_kept_for_a_day_and_removed_a_few_at_a_time() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let result =
            PartResult { message: 7, line: 2, part: 1, attempt: None, operation: None, why: Some("it rained".into()) };
        let left =
            || -> i64 { connection.query_row("SELECT count(*) FROM command_result", [], |row| row.get(0)).unwrap() };
        for key in ["a", "b"] {
            crate::journal::store::commands::write(&connection, key, "query", "", "{}").unwrap();
        }
        for _ in 0..PAGES_AT_ONCE + 1 {
            keep_results(&connection, 1, std::slice::from_ref(&result)).unwrap();
        }
        keep_results(&connection, 2, &[result.clone(), result]).unwrap();
        let (lines, last) = results(&connection, 2, 0).unwrap();
        assert_eq!((lines.len(), &lines[0].fate), (2, &Fate::NotAsked("it rained".into())));
        assert!(results(&connection, 2, last).unwrap().0.is_empty());
        let (lines, last) = results(&connection, 1, 0).unwrap();
        assert_eq!((lines.len() as i64, results(&connection, 1, last).unwrap().0.len()), (PAGES_AT_ONCE, 1));
        remove_old(&connection, now_ms()).unwrap();
        assert_eq!(left(), PAGES_AT_ONCE + 2, "nobody has answered");
        connection.execute("UPDATE command SET answered_at = ?1 WHERE key = 'a'", [now_ms()]).unwrap();
        remove_old(&connection, now_ms()).unwrap();
        assert_eq!(left(), PAGES_AT_ONCE + 2, "just now");
        connection.execute("UPDATE command SET answered_at = 1 WHERE key = 'a'", []).unwrap();
        for expected in [2, 1, 1] {
            remove_old(&connection, now_ms()).unwrap();
            assert_eq!(left(), expected);
        }
    }
}
