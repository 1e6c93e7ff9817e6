//! How decisions are applied: a slice of their messages in each transaction, so that a decision about millions does not keep
//! the journal thread for minutes. How far it has come is noted in the journal, so that a sender that dies goes on there, and
//! decides nothing twice.

use super::{Decision, again, is_forgotten, suppresses, uncancel};
use crate::journal::error::JournalError;
use crate::journal::model::key::{Attempt, Outcome, State, Verdict};
use crate::journal::model::state::{
    ReceiptsFor, doubts, is_in_doubt, is_not_begun, is_rejected, leaves_doubt, may_be_resent,
};
use crate::journal::store::assignment::Assigned;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{MessageFacts, message_of};
use crate::journal::store::notes::{in_transaction, note, set_note};
use crate::journal::store::verdicts::insert_verdict;
use crate::platform::clock::now_ms;
use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension};

/// So many messages or answers are looked at in one transaction for decisions, at some 50 us each.
pub const LOOKED_AT_MAX: usize = 500;

/// The note of how far the oldest decision that is not applied has come: its number, and where to go on.
const CONTROL_AT: &str = "control_at";

/// What became of decisions that were due.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many were finished.
    pub decisions: usize,
    /// The receipts that changed hands.
    pub assigned: Vec<Assigned>,
    /// Messages that were cancelled one by one.
    pub cancelled: Vec<i64>,
    /// Those of them that are to be sent after all, with the index of their campaign.
    pub brought_back: Vec<(u32, i64)>,
    /// Messages of which something may be sent again, with the index of their campaign.
    pub again: Vec<(u32, i64)>,
    /// More is left than one transaction does.
    pub is_left: bool,
}

/// A decision that is due.
struct Due {
    id: i64,
    campaign: i64,
    kind: String,
    detail: Option<String>,
}

/// Applies what was appended and not applied yet, as far as one transaction goes, inside the caller's.
pub fn apply(connection: &Connection, counts: &mut Counts) -> Result<Applied, JournalError> {
    let mut applied = Applied::default();
    let mut left = LOOKED_AT_MAX;
    let mut after = 0;
    while let Some(due) = next_due(connection, after)? {
        after = due.id;
        let Some(index) = counts.find(connection, due.campaign)? else { continue };
        let (at, from) = progress(connection)?.unwrap_or_default();
        let from = if at == due.id { from } else { 0 };
        let decision = Decision::stored(&due.kind, due.detail.as_deref())?;
        let mut slice = Slice { connection, counts, index: index as u32, from, left: &mut left, applied: &mut applied };
        let next = slice.apply(&decision)?;
        // One decision can rest on the states that another made.
        counts.settle(connection)?;
        if let Some(next) = next {
            set_note(connection, CONTROL_AT, Some(&format!("{} {next}", due.id)))?;
            applied.is_left = true;
            break;
        }
        if at == due.id {
            set_note(connection, CONTROL_AT, None)?;
        }
        connection.prepare_cached("UPDATE control SET applied_at = ?2 WHERE id = ?1")?.execute((due.id, now_ms()))?;
        applied.decisions += 1;
        if left == 0 {
            applied.is_left = next_due(connection, after)?.is_some();
            break;
        }
    }
    Ok(applied)
}

/// Applies all that was appended where no sender runs: a slice in each transaction, as a sender does.
pub fn apply_all(connection: &Connection, counts: &mut Counts) -> Result<(), JournalError> {
    loop {
        let is_left = in_transaction(connection, || {
            let applied = apply(connection, counts)?;
            counts.settle(connection)?;
            Ok(applied.is_left)
        })?;
        if !is_left {
            return Ok(());
        }
    }
}

fn next_due(connection: &Connection, after: i64) -> Result<Option<Due>, JournalError> {
    Ok(connection
        .prepare_cached(
            "SELECT id, campaign_id, kind, detail FROM control WHERE applied_at IS NULL AND id > ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([after], |row| {
            Ok(Due { id: row.get(0)?, campaign: row.get(1)?, kind: row.get(2)?, detail: row.get(3)? })
        })
        .optional()?)
}

fn progress(connection: &Connection) -> Result<Option<(i64, i64)>, JournalError> {
    let Some(noted) = note(connection, CONTROL_AT)? else { return Ok(None) };
    let numbers = noted.split_once(' ').and_then(|(id, next)| Some((id.parse().ok()?, next.parse().ok()?)));
    match numbers {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(JournalError::Inconsistent(format!("the note {CONTROL_AT} reads {noted:?}"))),
    }
}

/// Of the lines that a decision names, from the one with the number `from` on, those that may be looked at, and where to go on.
pub(super) fn next_lines<'a>(lines: &'a [u64], from: i64, left: &mut usize) -> (&'a [u64], Option<i64>) {
    let from = usize::try_from(from).unwrap_or(0).min(lines.len());
    let end = lines.len().min(from + *left);
    *left -= end - from;
    (&lines[from..end], (end < lines.len()).then_some(end as i64))
}

/// Messages with their stored states, and where to go on.
type Page = (Vec<(i64, i64)>, Option<i64>);

/// A decision being applied.
struct Slice<'a> {
    connection: &'a Connection,
    counts: &'a mut Counts,
    /// Of its campaign.
    index: u32,
    /// What comes before is done.
    from: i64,
    /// How much more may be looked at.
    left: &'a mut usize,
    applied: &'a mut Applied,
}

impl Slice<'_> {
    /// Goes as far as it may. Where to go on; `None`: it is applied.
    fn apply(&mut self, decision: &Decision) -> Result<Option<i64>, JournalError> {
        match decision {
            Decision::Cancel { lines } if lines.is_empty() => self.cancel(),
            Decision::Cancel { lines } => {
                let (lines, next) = next_lines(lines, self.from, self.left);
                let cancelled = again::cancel_lines(self.connection, self.counts, self.index, lines)?;
                // Brought back before, and cancelled once more.
                self.applied.brought_back.retain(|(_, message)| !cancelled.contains(message));
                self.applied.cancelled.extend(cancelled);
                Ok(next)
            }
            Decision::Uncancel { lines } => uncancel::Uncancel {
                connection: self.connection,
                counts: self.counts,
                index: self.index,
                lines,
                left: self.left,
                brought_back: &mut self.applied.brought_back,
            }
            .apply(self.from),
            Decision::RetryFailed { error } => {
                let (error, limit) = (error.as_deref(), *self.left);
                let came_back =
                    again::retry_failed(self.connection, self.counts, self.index, error, (self.from, limit))?;
                *self.left -= came_back.looked_at.min(limit);
                self.applied.again.extend(came_back.messages.into_iter().map(|message| (self.index, message)));
                Ok(came_back.next.or((limit == 0).then_some(self.from)))
            }
            Decision::Resend { lines } => self.resolve(Verdict::Resend, lines),
            Decision::AssumeSent { lines } => self.resolve(Verdict::AssumeSent, lines),
            Decision::Abandon { lines } => self.resolve(Verdict::Abandon, lines),
            Decision::RetryRejected { code } => self.retry_rejected(*code),
            Decision::ReceiptsFor(which) => self.expect_receipts_for(*which),
            Decision::Assign(assignment) => {
                self.applied.assigned.extend(assignment.apply(self.connection, self.counts, self.index)?);
                *self.left = self.left.saturating_sub(1);
                Ok(None)
            }
        }
    }

    /// The next messages of the campaign that have a stored state, as far as may be looked at, and where to go on.
    fn stored(&mut self) -> Result<Page, JournalError> {
        let Some((first, end)) = self.counts.campaign(self.index).map(|book| (book.first_id, book.end_id)) else {
            return Ok((Vec::new(), None));
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT message, state FROM message_state WHERE message >= ?1 AND message < ?2 ORDER BY message LIMIT ?3",
        )?;
        let limit = *self.left;
        let rows =
            statement.query_map((first.max(self.from), end, limit as i64), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let next = found.last().filter(|_| found.len() == limit).map(|last| last.0 + 1);
        *self.left -= found.len();
        Ok((found, next.or((limit == 0).then_some(self.from))))
    }

    /// Appends a verdict to attempts in doubt of a campaign, or of the messages of some lines.
    fn resolve(&mut self, verdict: Verdict, lines: &[u64]) -> Result<Option<i64>, JournalError> {
        let reason = match verdict {
            Verdict::Resend => "resolve --resend",
            Verdict::AssumeSent => "resolve --assume-sent",
            _ => "resolve --abandon",
        };
        let is_resend = verdict == Verdict::Resend;
        if is_resend && self.counts.campaign(self.index).is_none_or(|book| book.cancelled) {
            // Refused where it is asked for; the cancellation came in between.
            return Ok(None);
        }
        let (found, next) = self.stored()?;
        let lines: HashSet<u64> = lines.iter().copied().collect();
        let mut message_row =
            self.connection.prepare_cached("SELECT parts, line, destination FROM message WHERE id = ?1")?;
        for (message, _) in found.into_iter().filter(|(_, state)| *state == State::InDoubt as i64) {
            let (parts, line, barred): (u8, i64, bool) = message_row.query_row([message], |row| {
                let destination = row.get_ref(2)?.as_str().unwrap_or_default();
                let barred = is_resend && suppresses(self.connection, destination)?;
                Ok((row.get(0)?, row.get(1)?, barred))
            })?;
            if !lines.is_empty() && !lines.contains(&(line as u64)) {
                continue;
            }
            let facts = MessageFacts::load(self.connection, message, parts)?;
            // What would not be sent again stays in doubt.
            if is_resend && (barred && is_not_begun(&facts.parts) || !may_be_resent(&facts.parts)) {
                continue;
            }
            self.counts.touch(self.connection, message, State::InDoubt)?;
            self.decide(&facts, verdict, reason)?;
            self.applied.again.push((self.index, message));
        }
        Ok(next)
    }

    fn decide(&self, facts: &MessageFacts, verdict: Verdict, reason: &str) -> Result<(), JournalError> {
        for (n, attempts) in facts.parts.iter().enumerate() {
            let at = |tried| Attempt::new(facts.message + n as i64, tried);
            if verdict != Verdict::Resend {
                // Also what waits to be sent again: the decision is about the message.
                let newest = doubts(attempts).next_back().filter(|_| leaves_doubt(attempts));
                if let Some((tried, _)) = newest {
                    insert_verdict(self.connection, at(tried), verdict, reason)?;
                }
            } else if is_in_doubt(attempts) {
                for (tried, _) in doubts(attempts).filter(|(_, verdict)| *verdict == Some(Verdict::InDoubt)) {
                    insert_verdict(self.connection, at(tried), verdict, reason)?;
                }
                if attempts.last().is_some_and(|newest| newest.answer == Some(Outcome::Rejected)) {
                    insert_verdict(self.connection, at(attempts.len() as u16 - 1), Verdict::RetryRejected, reason)?;
                }
            }
        }
        Ok(())
    }

    /// Changes for which parts receipts are expected, and works out anew what waits for some.
    fn expect_receipts_for(&mut self, which: ReceiptsFor) -> Result<Option<i64>, JournalError> {
        let Some(book) = self.counts.campaigns.get_mut(self.index as usize) else { return Ok(None) };
        book.awaited.parts = which;
        let (id, name) = (book.id, book.name.clone());
        let options: String =
            self.connection.query_row("SELECT options FROM campaign WHERE id = ?1", [id], |row| row.get(0))?;
        let mut options =
            crate::journal::model::campaign::CampaignOptions::stored(&options, || format!("campaign {name:?}"))?;
        options.receipts_for = which;
        let options = serde_json::to_string(&options).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
        self.connection.execute("UPDATE campaign SET options = ?2 WHERE id = ?1", (id, options))?;
        let (found, next) = self.stored()?;
        for (message, _) in found {
            if message_of(self.connection, message)?.is_some_and(|(_, parts)| parts > 1) {
                self.counts.touch(self.connection, message, State::Accepted)?;
            }
        }
        Ok(next)
    }

    /// Queues the rejected parts of a campaign again.
    fn retry_rejected(&mut self, code: Option<u32>) -> Result<Option<i64>, JournalError> {
        let Some((first, end)) = self.counts.campaign(self.index).map(|book| (book.first_id, book.end_id)) else {
            return Ok(None);
        };
        let (from, to) = Attempt::range(first, end);
        let mut statement = self.connection.prepare_cached(
            "SELECT attempt, outcome, command_status FROM answer WHERE attempt >= ?1 AND attempt < ?2
              ORDER BY attempt LIMIT ?3",
        )?;
        let limit = *self.left;
        let found: Vec<(Attempt, u8, u32)> = statement
            .query_map((from.max(self.from), to, limit as i64), |row| {
                Ok((Attempt(row.get(0)?), row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        *self.left -= found.len();
        let last = found.last().filter(|_| found.len() == limit).map(|(attempt, ..)| attempt.0 + 1);
        let next = last.or((limit == 0).then_some(self.from));
        for (attempt, outcome, status) in found {
            if outcome != Outcome::Rejected as u8 || code.is_some_and(|code| code != status) {
                continue;
            }
            let Some((message, parts)) = message_of(self.connection, attempt.part())? else { continue };
            let facts = MessageFacts::load(self.connection, message, parts)?;
            let n = (attempt.part() - message) as usize;
            let may_go_again = facts.next_attempt(n).tried() == attempt.tried() + 1 && is_rejected(&facts.parts[n]);
            if may_go_again && !is_forgotten(self.connection, message)? {
                self.counts.touch(self.connection, attempt.part(), State::Rejected)?;
                insert_verdict(self.connection, attempt, Verdict::RetryRejected, "resume --retry-rejected")?;
                if self.applied.again.last() != Some(&(self.index, message)) {
                    self.applied.again.push((self.index, message));
                }
            }
        }
        Ok(next)
    }

    fn cancel(&mut self) -> Result<Option<i64>, JournalError> {
        let Some(book) = self.counts.campaigns.get_mut(self.index as usize) else { return Ok(None) };
        if self.from == 0 {
            // What is in doubt may have parts that are not sent yet, and shall not be sent again either.
            let left = [State::Queued, State::Sending, State::InDoubt].map(|state| book.counts[state as usize]);
            if book.cancelled || left == [0; 3] {
                return Ok(None);
            }
            book.cancelled = true;
            let id = book.id;
            self.connection.execute("UPDATE campaign SET cancelled_at = ?2 WHERE id = ?1", (id, now_ms()))?;
        }
        // Those whose story is not plain are worked out one by one; of the plain ones, the queued are brought back at once, when
        // no other counts as queued any more.
        let (found, next) = self.stored()?;
        let on_their_way = [State::Queued as i64, State::Sending as i64];
        for (message, _) in found.into_iter().filter(|(_, state)| on_their_way.contains(state)) {
            self.counts.touch(self.connection, message, State::Queued)?;
        }
        self.counts.settle(self.connection)?;
        if next.is_some() {
            return Ok(next.map(|next| next.max(1)));
        }
        let queued = self.counts.campaign(self.index).map_or(0, |book| book.counts[State::Queued as usize]);
        self.counts.shift(self.index, State::Queued, State::Cancelled, queued);
        Ok(None)
    }
}
