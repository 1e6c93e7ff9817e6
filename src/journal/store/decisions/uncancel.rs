//! How a cancellation is undone, of some lines or of a whole campaign: in slices, as all decisions are. Where it goes on is
//! one number: the step, and the message with which that step goes on.

use super::is_forgotten;
use super::slices::next_lines;
use crate::journal::error::JournalError;
use crate::journal::model::key::State;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use crate::journal::store::lines::message_of_line;
use crate::platform::clock::now_ms;
use rusqlite::Connection;

/// The step of a place, above the numbers of messages.
const STEP: i64 = 1 << 56;
/// What the cancellation left half sent or in doubt is marked, so that the rest of it does not go when the campaign goes on.
const KEEP: i64 = 0;
/// The campaign goes on; messages with a stored state get it back.
const GIVE_BACK: i64 = STEP;
/// Messages that were cancelled by themselves go on, too.
const ONE_BY_ONE: i64 = 2 * STEP;

/// Where to go on; `None`: it is done.
type Next = Result<Option<i64>, JournalError>;

/// Messages with what they have, and where to go on in the step.
type Page = (Vec<(i64, i64, u8)>, Option<i64>);

/// A cancellation being undone.
pub(super) struct Uncancel<'a> {
    pub connection: &'a Connection,
    pub counts: &'a mut Counts,
    /// Of the campaign.
    pub index: u32,
    /// Empty: the whole campaign and all its lines. What was sent in part, or may have been sent, is not touched.
    pub lines: &'a [u64],
    /// How many messages may be looked at.
    pub left: &'a mut usize,
    /// Those that were cancelled by themselves and are to be sent.
    pub brought_back: &'a mut Vec<(u32, i64)>,
}

impl Uncancel<'_> {
    /// Goes as far as it may.
    pub fn apply(mut self, from: i64) -> Next {
        let Some(book) = self.counts.campaign(self.index) else { return Ok(None) };
        let (was_cancelled, range) = (book.cancelled, (book.first_id, book.end_id));
        if !self.lines.is_empty() {
            return self.some_lines(was_cancelled, range, from);
        }
        let step = if from == 0 && !was_cancelled { ONE_BY_ONE } else { from - from % STEP };
        let mut at = step + (from % STEP).max(range.0);
        if step == KEEP {
            if let Some(next) = self.keep(at, range.1)? {
                return Ok(Some(next));
            }
            self.go_on(range)?;
            at = GIVE_BACK + range.0;
        }
        if at < ONE_BY_ONE {
            if let Some(next) = self.give_back(at - GIVE_BACK, range.1)? {
                return Ok(Some(GIVE_BACK + next));
            }
            at = ONE_BY_ONE + range.0;
        }
        let next = self.one_by_one(at - ONE_BY_ONE, range.1)?;
        Ok(next.map(|next| ONE_BY_ONE + next))
    }

    fn keep(&mut self, from: i64, end: i64) -> Next {
        let awaited = match self.counts.campaign(self.index) {
            Some(book) => book.awaited,
            None => return Ok(None),
        };
        let (found, next) = self.stored(from, end)?;
        let settled = [State::Cancelled, State::Suppressed, State::Delivered].map(|state| state as i64);
        for (message, _, parts) in found.into_iter().filter(|(_, state, _)| !settled.contains(state)) {
            let facts = MessageFacts::load(self.connection, message, parts)?;
            if facts.state(true, awaited) != facts.state(false, awaited) {
                self.connection
                    .prepare_cached("INSERT OR REPLACE INTO cancelled_message (message, at) VALUES (?1, ?2)")?
                    .execute([message, now_ms()])?;
            }
        }
        Ok(next)
    }

    /// From here on the campaign is not cancelled any more. Messages that are read off their facts are queued at once.
    fn go_on(&mut self, (first, end): (i64, i64)) -> Result<(), JournalError> {
        let Some(book) = self.counts.campaigns.get_mut(self.index as usize) else { return Ok(()) };
        book.cancelled = false;
        let (id, cancelled) = (book.id, book.counts[State::Cancelled as usize]);
        self.connection.execute("UPDATE campaign SET cancelled_at = NULL WHERE id = ?1", [id])?;
        let stored: i64 = self.connection.query_row(
            "SELECT count(*) FROM message_state WHERE message >= ?1 AND message < ?2 AND state = ?3",
            (first, end, State::Cancelled as u8),
            |row| row.get(0),
        )?;
        self.counts.shift(self.index, State::Cancelled, State::Queued, cancelled - stored);
        Ok(())
    }

    fn give_back(&mut self, from: i64, end: i64) -> Next {
        let (found, next) = self.stored(from, end)?;
        for (message, _, _) in found.into_iter().filter(|(_, state, _)| *state == State::Cancelled as i64) {
            let changed = self
                .connection
                .prepare_cached(
                    "UPDATE message_state SET state = ?2 WHERE message = ?1
                        AND NOT EXISTS (SELECT 1 FROM cancelled_message WHERE message = ?1 AND again_at IS NULL)",
                )?
                .execute((message, State::Queued as u8))?;
            self.counts.shift(self.index, State::Cancelled, State::Queued, changed as i64);
        }
        Ok(next)
    }

    fn one_by_one(&mut self, from: i64, end: i64) -> Next {
        let limit = *self.left;
        let mut statement = self.connection.prepare_cached(
            "SELECT x.message, 0, m.parts
               FROM (SELECT message FROM cancelled_message
                      WHERE message >= ?1 AND message < ?2 AND again_at IS NULL ORDER BY message LIMIT ?3) x
               JOIN message m ON m.id = x.message ORDER BY x.message",
        )?;
        let rows = statement.query_map((from, end, limit as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let found: Vec<(i64, i64, u8)> = rows.collect::<Result<_, _>>()?;
        let next = self.looked_at(&found, from, limit);
        for (message, _, parts) in found {
            self.bring_back(message, parts)?;
        }
        Ok(next)
    }

    fn some_lines(&mut self, was_cancelled: bool, range: (i64, i64), from: i64) -> Next {
        if was_cancelled {
            return Ok(None);
        }
        let (lines, next) = next_lines(self.lines, from, self.left);
        for &line in lines {
            if let Some((message, parts)) = message_of_line(self.connection, range, line)? {
                self.bring_back(message, parts)?;
            }
        }
        Ok(next)
    }

    /// Brings a message back that was cancelled by itself.
    fn bring_back(&mut self, message: i64, parts: u8) -> Result<(), JournalError> {
        let Some(book) = self.counts.campaign(self.index) else { return Ok(()) };
        let awaited = book.awaited;
        if is_forgotten(self.connection, message)? {
            return Ok(());
        }
        let facts = MessageFacts::load(self.connection, message, parts)?;
        // What is anything else than cancelled had begun.
        if !facts.cancelled || facts.state(true, awaited) != State::Cancelled {
            return Ok(());
        }
        self.connection
            .prepare_cached("UPDATE cancelled_message SET again_at = ?2 WHERE message = ?1")?
            .execute([message, now_ms()])?;
        self.brought_back.push((self.index, message));
        if facts.parts.iter().all(Vec::is_empty) {
            // As if nothing had been.
            self.connection.prepare_cached("DELETE FROM message_state WHERE message = ?1")?.execute([message])?;
            self.counts.shift(self.index, State::Cancelled, State::Queued, 1);
        } else {
            self.counts.touch(self.connection, message, State::Cancelled)?;
        }
        Ok(())
    }

    /// The next messages of the step that have a stored state.
    fn stored(&mut self, from: i64, end: i64) -> Result<Page, JournalError> {
        let limit = *self.left;
        let mut statement = self.connection.prepare_cached(
            "SELECT s.message, s.state, m.parts
               FROM (SELECT message, state FROM message_state WHERE message >= ?1 AND message < ?2
                      ORDER BY message LIMIT ?3) s
               JOIN message m ON m.id = s.message ORDER BY s.message",
        )?;
        let rows = statement.query_map((from, end, limit as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let found: Vec<(i64, i64, u8)> = rows.collect::<Result<_, _>>()?;
        let next = self.looked_at(&found, from, limit);
        Ok((found, next))
    }

    /// Notes what was looked at. Where the step goes on; `None`: that was all of it.
    fn looked_at(&mut self, found: &[(i64, i64, u8)], from: i64, limit: usize) -> Option<i64> {
        *self.left -= found.len();
        match found.last() {
            Some(last) if found.len() == limit => Some(last.0 + 1),
            _ if limit == 0 => Some(from),
            _ => None,
        }
    }
}
