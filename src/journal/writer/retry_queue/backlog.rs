//! What the journal says is to be tried again, read by and by: as many messages in each transaction as are looked at in a
//! moment, and no more parts in memory than are sent in the next ones.

use super::{Retries, RetryRules, Waiting, queue};
use crate::journal::error::JournalError;
use crate::journal::model::key::State;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension};
use std::collections::VecDeque;

/// Messages that one transaction looks at, at some 5 us each.
pub const LOADED_PER_COMMIT_MAX: usize = 5_000;
/// While more parts than these wait for their turn, no more messages are looked at: shared by the campaigns that have some.
const QUEUED_ENOUGH: usize = 50_000;
/// Of one campaign at least.
const QUEUED_LEAST: usize = 64;

/// Messages that are still to be looked at.
#[derive(Clone, Copy, Debug)]
struct Range {
    campaign: u32,
    next: i64,
    end: i64,
    which: Which,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    /// Those with a state of their own.
    Stored,
    /// Those that were cancelled by themselves, passed by meanwhile, and brought back: the feeder is beyond them.
    BroughtBack,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Backlog(VecDeque<Range>);

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn forget(&mut self, campaign: u32) {
        self.0.retain(|range| range.campaign != campaign);
    }
}

/// Notes that all messages of the `active` campaigns are to be looked at. A campaign in `limit_end` is looked at only up to that
/// message.
pub fn begin(counts: &Counts, active: &[u32], limit_end: &HashMap<u32, i64>, retries: &mut Retries) {
    for &index in active {
        let Some(book) = counts.campaign(index).filter(|book| !book.cancelled) else { continue };
        let end = limit_end.get(&index).copied().unwrap_or(book.end_id);
        for which in [Which::Stored, Which::BroughtBack] {
            retries.backlog.0.push_back(Range { campaign: index, next: book.first_id, end, which });
        }
    }
}

/// Whether messages are to be looked at now.
pub fn wants_more(retries: &Retries) -> bool {
    next(retries).is_some()
}

/// The first range of a campaign that has not enough queued: one that is paused with a long queue does not keep the others.
fn next(retries: &Retries) -> Option<usize> {
    let ranges = &retries.backlog.0;
    let enough = (QUEUED_ENOUGH / ranges.len().max(1)).max(QUEUED_LEAST);
    ranges.iter().position(|range| retries.len_of(range.campaign) < enough)
}

/// Queues, due at once, parts that were tried or begun and are to be sent again, as far as one transaction goes. `rules` say
/// which answers count as tries, as they did when the answers came. Returns of which campaigns messages were looked at.
pub fn load_on(
    connection: &Connection,
    counts: &Counts,
    rules: &RetryRules,
    retries: &mut Retries,
) -> Result<Vec<u32>, JournalError> {
    let mut looked_at = Vec::new();
    let mut left = LOADED_PER_COMMIT_MAX;
    while left > 0
        && let Some(at) = next(retries)
        && let Some(range) = retries.backlog.0.get(at).copied()
    {
        let before = left;
        let next = if counts.campaign(range.campaign).is_none_or(|book| book.cancelled) {
            None
        } else {
            match range.which {
                Which::Stored => stored(connection, rules, range, &mut left, retries)?,
                Which::BroughtBack => brought_back(connection, counts, range, &mut left, retries)?,
            }
        };
        match (retries.backlog.0.get_mut(at), next) {
            (Some(range), Some(next)) => range.next = next,
            _ => {
                retries.backlog.0.remove(at);
            }
        }
        // To look where there is nothing costs something, too.
        left = left.min(before.saturating_sub(1));
        if looked_at.last() != Some(&range.campaign) {
            looked_at.push(range.campaign);
        }
    }
    Ok(looked_at)
}

/// Where to go on; `None`: that was all.
type Next = Result<Option<i64>, JournalError>;

fn stored(connection: &Connection, rules: &RetryRules, range: Range, left: &mut usize, retries: &mut Retries) -> Next {
    // Every state is looked at, so that a slice of a long story is a slice.
    let mut statement = connection.prepare_cached(
        "SELECT s.message, m.parts, m.line, s.state
           FROM (SELECT message, state FROM message_state WHERE message >= ?1 AND message < ?2 ORDER BY message LIMIT ?3) s
           JOIN message m ON m.id = s.message ORDER BY s.message",
    )?;
    // Also of messages in doubt: one part's doubt does not hold the others back, and once it is settled nobody would look
    // for them.
    let again = [State::Queued, State::Sending, State::InDoubt].map(|state| state as i64);
    let limit = *left;
    let mut rows = statement.query((range.next, range.end, limit as i64))?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        *left -= 1;
        last = Some(row.get(0)?);
        if again.contains(&row.get(3)?) {
            queue(connection, rules, range.campaign, (row.get(0)?, row.get(1)?, row.get(2)?), retries)?;
        }
    }
    Ok(last.filter(|_| *left == 0).map(|last: i64| last + 1))
}

fn brought_back(
    connection: &Connection,
    counts: &Counts,
    range: Range,
    left: &mut usize,
    retries: &mut Retries,
) -> Next {
    let first = counts.campaign(range.campaign).map_or(range.next, |book| book.first_id);
    let mut statement = connection.prepare_cached(
        "SELECT x.message, m.parts,
                x.again_at IS NOT NULL
                AND x.message < (SELECT max(first_part) FROM claim WHERE try = 0 AND first_part >= ?4 AND first_part < ?2)
                AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = x.message)
           FROM (SELECT message, again_at FROM cancelled_message
                  WHERE message >= ?1 AND message < ?2 ORDER BY message LIMIT ?3) x
           JOIN message m ON m.id = x.message ORDER BY x.message",
    )?;
    let limit = *left;
    let mut rows = statement.query((range.next, range.end, limit as i64, first))?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        *left -= 1;
        let (message, parts): (i64, u8) = (row.get(0)?, row.get(1)?);
        last = Some(message);
        if row.get::<_, Option<bool>>(2)? == Some(true) {
            queue_untried(connection, range.campaign, (message, parts), retries)?;
        }
    }
    Ok(last.filter(|_| *left == 0).map(|last: i64| last + 1))
}

fn queue_untried(
    connection: &Connection,
    campaign: u32,
    (message, parts): (i64, u8),
    retries: &mut Retries,
) -> Result<(), JournalError> {
    let facts = MessageFacts::load(connection, message, parts)?;
    if !facts.parts.iter().all(Vec::is_empty) {
        return Ok(());
    }
    for n in 0..usize::from(parts) {
        let attempt = facts.next_attempt(n);
        retries.push(Waiting { due_ms: 0, attempt, message, campaign, refused: 0 });
    }
    Ok(())
}

/// Queues a message that was cancelled by itself and is brought back while its campaign is sent, where the claims are beyond it.
pub fn bring_back(
    connection: &Connection,
    counts: &Counts,
    campaign: u32,
    message: i64,
    retries: &mut Retries,
) -> Result<(), JournalError> {
    let Some((first, end)) = counts.campaign(campaign).map(|book| (book.first_id, book.end_id)) else { return Ok(()) };
    let passed: Option<u8> = connection
        .prepare_cached(
            "SELECT parts FROM message WHERE id = ?1
                AND id < (SELECT max(first_part) FROM claim WHERE try = 0 AND first_part >= ?2 AND first_part < ?3)",
        )?
        .query_row([message, first, end], |row| row.get(0))
        .optional()?;
    match passed {
        Some(parts) => queue_untried(connection, campaign, (message, parts), retries),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::model::events::ToJournal;
    use crate::journal::testkit::bench::Bench;

    #[test]
    fn f24_what_is_to_be_tried_again_is_read_in_slices_and_all_of_it_is_sent() {
        let count = LOADED_PER_COMMIT_MAX + 200;
        let numbers: Vec<String> = (0..count).map(|n| format!("4477009{n:06}")).collect();
        let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
        let mut bench = Bench::new(&messages, Hold);
        let session = bench.open_session();
        let unwritten = bench.send(session, count);
        bench.tell(ToJournal::Closed { session, reason: "cut".into(), unanswered: Vec::new(), unwritten });
        bench.restart();
        let retries = &bench.thread().claimer.turns.retries;
        assert_eq!(retries.len_of(0), LOADED_PER_COMMIT_MAX, "one slice before the first session");
        assert!(!retries.is_empty() && wants_more(retries) && !bench.thread().status.all_sent);
        let session = bench.open_session();
        let mut sent = Vec::new();
        while sent.len() < count {
            sent.extend(bench.send(session, 1_000.min(count - sent.len())));
        }
        assert!(bench.thread().claimer.turns.retries.is_empty());
        for sent in sent {
            bench.answer(session, sent, 0, "7");
        }
        assert!(bench.thread().status.all_sent);
        assert!(bench.states().iter().all(|state| state == "accepted"));
    }
}
