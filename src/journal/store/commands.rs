//! What commands ask of a running service, and what it answers: a row for each, the only channel between them.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::platform::clock::now_ms;
use rusqlite::{Connection, OptionalExtension};
use std::time::Duration;

/// Rows that a service looks at in one transaction.
pub const TAKEN_PER_COMMIT_MAX: i64 = 64;
/// Answered rows are kept so long, for whoever asks what was commanded, and so that a key means the same command all the time.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// What only asked something is kept for a minute, where whoever asked has not removed it.
const QUESTION_KEPT_MS: i64 = 60_000;
/// Rows that one transaction removes for that.
const REMOVED_PER_COMMIT_MAX: i64 = 100;

/// A command that waits for the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// What is to be done.
    pub what: String,
    /// Who wants it.
    pub who: String,
    /// How, as JSON.
    pub options: String,
}

/// How a command stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// No service has taken it.
    Waiting,
    /// A service has accepted what takes its time: the command has this number.
    Accepted(i64),
    /// It was withdrawn by whoever wrote it.
    Withdrawn,
    /// This came of it, as JSON.
    Answered(String),
}

/// Writes a command, in one statement. One that is there already by its key stays as it is.
pub fn write(journal: &dyn Sql, key: &str, what: &str, who: &str, options: &str) -> Result<(), JournalError> {
    let connection = journal.connection();
    connection.execute(
        "INSERT INTO command (key, what, who, at, options) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING",
        (key, what, who, now_ms(), options),
    )?;
    Ok(())
}

/// Whoever keeps the journal from being written is waited for at most so long from now on.
pub fn wait_at_most(journal: &dyn Sql, time: Duration) -> Result<(), JournalError> {
    Ok(journal.connection().busy_timeout(time)?)
}

/// Withdraws a command that no service has taken; false: one has.
pub fn withdraw(journal: &dyn Sql, key: &str) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let withdrawn = connection.execute(
        "UPDATE command SET withdrawn_at = ?2 WHERE key = ?1 AND answered_at IS NULL AND withdrawn_at IS NULL
            AND accepted_at IS NULL",
        (key, now_ms()),
    )?;
    Ok(withdrawn > 0)
}

/// How a command stands; `None`: there is none of that key.
pub fn state(journal: &dyn Sql, key: &str) -> Result<Option<State>, JournalError> {
    let connection = journal.connection();
    let mut statement =
        connection.prepare_cached(
            "SELECT withdrawn_at IS NOT NULL, answer, CASE WHEN accepted_at IS NOT NULL THEN id END FROM command WHERE key = ?1",
        )?;
    Ok(statement
        .query_row([key], |row| {
            Ok(match (row.get(0)?, row.get::<_, Option<String>>(1)?) {
                (_, Some(answer)) => State::Answered(answer),
                (true, None) => State::Withdrawn,
                (false, None) => row.get::<_, Option<i64>>(2)?.map_or(State::Waiting, State::Accepted),
            })
        })
        .optional()?)
}

/// The number of a command; `None`: there is none of that key.
pub fn number(journal: &dyn Sql, key: &str) -> Result<Option<i64>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare_cached("SELECT id FROM command WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// The commands that nobody has taken, the oldest first; none of the kind `but`, which the service is carrying out already.
pub fn waiting(connection: &Connection, but: Option<&str>) -> Result<Vec<Waiting>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, what, who, options FROM command
          WHERE answered_at IS NULL AND withdrawn_at IS NULL AND accepted_at IS NULL AND what IS NOT ?2
          ORDER BY id LIMIT ?1",
    )?;
    let waiting = statement.query_map((TAKEN_PER_COMMIT_MAX, but), |row| {
        Ok(Waiting { id: row.get(0)?, what: row.get(1)?, who: row.get(2)?, options: row.get(3)? })
    })?;
    Ok(waiting.collect::<Result<_, _>>()?)
}

/// Answers a command, in the transaction of what came of it.
pub fn answer(connection: &Connection, id: i64, answer: &str) -> Result<(), JournalError> {
    connection.prepare_cached("UPDATE command SET answered_at = ?2, answer = ?3 WHERE id = ?1")?.execute((
        id,
        now_ms(),
        answer,
    ))?;
    Ok(())
}

/// Removes what was answered or withdrawn long ago, as much as one transaction does. What the clock says to have ended later than
/// now ended when the clock was wrong: nobody knows when, and it is no better than what is old.
pub fn remove_old(connection: &Connection) -> Result<(), JournalError> {
    let now = now_ms();
    connection
        .prepare_cached(
            "DELETE FROM command WHERE id IN (
                 SELECT * FROM (SELECT id FROM command WHERE coalesce(answered_at, withdrawn_at) < ?1 LIMIT ?4)
                 UNION ALL
                 SELECT * FROM (SELECT id FROM command WHERE coalesce(answered_at, withdrawn_at) > ?2 LIMIT ?4)
                 UNION ALL
                 SELECT * FROM (SELECT id FROM command
                                 WHERE coalesce(answered_at, withdrawn_at) < ?3 AND what = 'status' LIMIT ?4))",
        )?
        .execute((now - KEPT_MS, now + KEPT_MS, now - QUESTION_KEPT_MS, REMOVED_PER_COMMIT_MAX))?;
    super::orders::remove_old(connection, now)
}

/// Removes a command that only asked something, once its answer is read or nobody waits for it any more.
pub fn remove(journal: &dyn Sql, key: &str) -> Result<(), JournalError> {
    let connection = journal.connection();
    connection.execute("DELETE FROM command WHERE key = ?1", [key])?;
    Ok(())
}

/// For tests: from now on whoever withdraws a command finds that the service has answered it at that moment.
#[cfg(test)]
pub fn answer_what_is_withdrawn(journal: &dyn Sql, answer: &str) {
    let trigger = format!(
        "CREATE TRIGGER answers BEFORE UPDATE OF withdrawn_at ON command BEGIN
             UPDATE command SET answered_at = 1, answer = '{answer}' WHERE id = OLD.id;
             SELECT RAISE(IGNORE);
         END"
    );
    journal.connection().execute_batch(&trigger).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_or_withdrawn_and_never_both() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let state = |key: &str| state(&connection, key).unwrap();
        for key in ["a", "b", "c", "a"] {
            write(&connection, key, "pause", "somebody", "{}").unwrap();
        }
        let waiting = waiting(&connection, None).unwrap();
        assert!(super::waiting(&connection, Some("pause")).unwrap().is_empty());
        assert_eq!(waiting.len(), 3, "the same key is the same command");
        assert!(withdraw(&connection, "b").unwrap() && !withdraw(&connection, "b").unwrap());
        answer(&connection, waiting[0].id, "{}").unwrap();
        answer(&connection, waiting[2].id, "{}").unwrap();
        assert!(!withdraw(&connection, "a").unwrap() && !withdraw(&connection, "c").unwrap());
        assert_eq!(state("a"), Some(State::Answered("{}".into())));
        assert_eq!(
            (state("b"), state("c"), state("d")),
            (Some(State::Withdrawn), Some(State::Answered("{}".into())), None)
        );
        assert!(super::waiting(&connection, None).unwrap().is_empty());
        // What was answered is not done again.
        write(&connection, "a", "pause", "somebody", "{}").unwrap();
        assert!(super::waiting(&connection, None).unwrap().is_empty());
        remove_old(&connection).unwrap();
        assert!(state("a").is_some());
        connection.execute_batch("UPDATE command SET answered_at = 1 WHERE key = 'a'").unwrap();
        remove_old(&connection).unwrap();
        assert_eq!(state("a"), None);
    }

    #[test]
    fn what_is_old_goes_whatever_stands_before_it_and_whenever_the_clock_was_wrong() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let left = || -> Vec<String> {
            let mut statement = connection.prepare("SELECT key FROM command ORDER BY id").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        // As many as one transaction looks at, which are not old.
        for n in 0..2 * REMOVED_PER_COMMIT_MAX {
            write(&connection, &format!("young {n}"), "release", "", "{}").unwrap();
        }
        connection.execute("UPDATE command SET answered_at = ?1", [now_ms()]).unwrap();
        let young = left();
        for (key, what, ended) in [
            ("old", "release", now_ms() - KEPT_MS - 1),
            // The clock was ahead by a year.
            ("ahead", "release", now_ms() + 365 * 24 * 3_600_000),
            ("question", "status", now_ms() - QUESTION_KEPT_MS - 1),
        ] {
            write(&connection, key, what, "", "{}").unwrap();
            let column = if key == "question" { "withdrawn_at" } else { "answered_at" };
            connection.execute(&format!("UPDATE command SET {column} = ?2 WHERE key = ?1"), (key, ended)).unwrap();
        }
        write(&connection, "waits", "release", "", "{}").unwrap();
        remove_old(&connection).unwrap();
        assert_eq!(left(), [&young[..], &["waits".to_owned()]].concat());
    }
}
