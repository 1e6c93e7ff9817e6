//! What is done first thing under the lock: every claimed attempt without an answer becomes in doubt, or is queued again
//! where the write mark proves that it never left. That is the whole of recovery.

use super::books::{Books, InDoubtPolicy};
use super::key::{Attempt, State, Verdict};
use super::marks::{Marks, boot_id};
use super::{JournalError, now_ms};
use hashbrown::{HashMap, HashSet};
use rusqlite::Connection;
use std::path::Path;

/// What recovery found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Sessions that a dead process had left open.
    pub sessions: usize,
    /// Attempts that may have left: in doubt.
    pub in_doubt: usize,
    /// Attempts that never left: queued again.
    pub requeued: usize,
    /// Imports that had never become whole: undone.
    pub undone_imports: usize,
}

/// An unsettled session, by what tells which of its attempts may have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proof {
    /// A mark of this boot: later serials never left.
    WrittenUpTo(i64),
    /// No mark to believe: anything may have left.
    Nothing,
}

impl Proof {
    /// The whole rule: a mark counts only for the session that it names and in the boot in which it was written.
    fn of(mark: Option<i64>, session_boot: &str, boot: &str) -> Self {
        match mark {
            Some(serial) if !boot.is_empty() && session_boot == boot => Self::WrittenUpTo(serial),
            _ => Self::Nothing,
        }
    }

    fn may_have_left(self, serial: i64) -> bool {
        match self {
            Self::WrittenUpTo(last) => serial <= last,
            Self::Nothing => true,
        }
    }
}

/// Recovers, in one transaction after those that undo imports; marks are reset after it is on disk.
pub fn recover(connection: &Connection, path: &Path, marks: &Marks) -> Result<(Books, Recovered), JournalError> {
    let written: HashMap<i64, i64> = marks.read().into_iter().collect();
    let boot = boot_id();
    let mut recovered =
        Recovered { undone_imports: super::intake::undo_unfinished(connection, path)?, ..Recovered::default() };
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut books = Books::load(connection)?;
    let mut statement = connection.prepare("SELECT id, boot_id, first_serial FROM session WHERE closed_at IS NULL")?;
    let unsettled: HashMap<i64, (Proof, i64)> = statement
        .query_map([], |row| {
            let (id, session_boot, first_serial): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((id, (Proof::of(written.get(&id).copied(), &session_boot, &boot), first_serial)))
        })?
        .collect::<Result<_, _>>()?;
    recovered.sessions = unsettled.len();
    if let Some(first_serial) = unsettled.values().map(|&(_, first)| first).min() {
        let mut claims = connection.prepare(
            "SELECT first_serial, try, first_part, parts, session_id FROM claim WHERE first_serial >= ?1
              ORDER BY first_serial",
        )?;
        let mut rows = claims.query([first_serial])?;
        while let Some(row) = rows.next()? {
            let Some(&(proof, _)) = unsettled.get(&row.get::<_, i64>(4)?) else { continue };
            let (serial, tried, first, parts): (i64, u16, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            for attempt in without_fate(connection, tried, first, parts)? {
                let left = proof.may_have_left(serial + attempt.part() - first);
                books.touch(connection, attempt.part(), State::Sending)?;
                if left {
                    recovered.in_doubt += 1;
                    let policy = in_doubt_policy(&books, attempt);
                    doubt(connection, attempt, "the sender died before the answer came", policy)?;
                } else {
                    recovered.requeued += 1;
                    pronounce(connection, attempt, Verdict::NotWritten, "the sender died before it was written")?;
                }
            }
        }
    }
    connection.execute(
        "UPDATE session SET closed_at = ?1, reason = 'its process died' WHERE closed_at IS NULL",
        [now_ms()],
    )?;
    books.settle(connection)?;
    crate::failpoint::reach("recovery")?;
    connection.execute_batch("COMMIT")?;
    crate::failpoint::reach("recovered")?;
    marks.reset().map_err(|error| JournalError::side_file(path, "-marks", error))?;
    Ok((books, recovered))
}

/// The policy of the campaign that the attempt belongs to.
pub fn in_doubt_policy(books: &Books, attempt: Attempt) -> InDoubtPolicy {
    if crate::broken::is("resend-doubt") {
        return InDoubtPolicy::Resend;
    }
    books
        .campaign_of(attempt.part())
        .and_then(|index| books.campaign(index))
        .map_or(InDoubtPolicy::Hold, |campaign| campaign.in_doubt)
}

/// Appends that an attempt is in doubt, and what the policy makes of that.
pub fn doubt(
    connection: &Connection,
    attempt: Attempt,
    reason: &str,
    policy: InDoubtPolicy,
) -> Result<(), JournalError> {
    pronounce(connection, attempt, Verdict::InDoubt, reason)?;
    match policy {
        InDoubtPolicy::Hold => Ok(()),
        InDoubtPolicy::Resend => pronounce(connection, attempt, Verdict::Resend, "--in-doubt resend"),
        InDoubtPolicy::AssumeSent => pronounce(connection, attempt, Verdict::AssumeSent, "--in-doubt assume-sent"),
    }
}

/// Appends a verdict.
pub fn pronounce(
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

/// The attempts of a claim that have neither answer nor verdict.
fn without_fate(connection: &Connection, tried: u16, first: i64, parts: i64) -> Result<Vec<Attempt>, JournalError> {
    let (from, to) = Attempt::range(first, first + parts);
    let mut statement = connection.prepare_cached(
        "SELECT attempt FROM answer WHERE attempt >= ?1 AND attempt < ?2
         UNION ALL SELECT attempt FROM verdict WHERE attempt >= ?1 AND attempt < ?2",
    )?;
    let known: HashSet<i64> = statement.query_map([from, to], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((first..first + parts)
        .map(|part| Attempt::new(part, tried))
        .filter(|attempt| !known.contains(&attempt.0))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_believed_only_for_its_session_and_boot() {
        for (mark, session_boot, boot, serial, left) in [
            (Some(10), "a", "a", 10, true),
            (Some(10), "a", "a", 11, false),
            (Some(10), "a", "b", 11, true),
            (None, "a", "a", 11, true),
            (Some(10), "", "", 11, true),
        ] {
            assert_eq!(
                Proof::of(mark, session_boot, boot).may_have_left(serial),
                left,
                "{mark:?} {session_boot} {boot}"
            );
        }
    }
}
