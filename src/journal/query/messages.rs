//! The rows of `message_status`, a chunk at a time.

use super::chunk::{ClaimCursor, ClaimRun, Matches, claims};
use super::{CampaignSummary, JournalError, Stamp, campaign, campaigns, snapshot};
use crate::journal::model::key::{Attempt, Outcome, State, Verdict};
use crate::journal::store::names::Names;
use crate::journal::store::number_index::{Numbers, key_of};
use crate::message::text::Encoding;
use crate::wire::CommandStatus;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::ops::ControlFlow;

/// Messages read in one snapshot.
const CHUNK_MESSAGES: i64 = 5_000;

/// A row of `message_status`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MessageRow {
    /// Name of the campaign.
    pub campaign: String,
    /// Line of the file.
    pub line: i64,
    /// Where to.
    pub destination: String,
    /// From whom; empty: the SMSC's default sender.
    pub source: String,
    /// What it says.
    pub text: String,
    /// `gsm7`, `ucs2`, `ascii` or `latin1`.
    pub encoding: &'static str,
    /// How many parts it makes.
    pub parts: i64,
    /// What became of it.
    #[serde(serialize_with = "state_name")]
    pub state: State,
    /// The answer that rejected it, or else the last one.
    pub command_status: Option<u32>,
    /// The ids that the SMSC gave, separated by spaces: those of the answers, then those that only a receipt told.
    pub message_ids: Option<String>,
    /// Why it was not delivered.
    pub error: Option<String>,
    /// When its import was whole.
    pub queued_at: Option<Stamp>,
    /// When it was first written, or claimed where that is all that is known.
    pub sent_at: Option<Stamp>,
    /// When the last answer came.
    pub answered_at: Option<Stamp>,
    /// When its story ended.
    pub done_at: Option<Stamp>,
    /// Whether it may have arrived twice.
    pub possible_duplicate: bool,
    /// Of what failed, what the account's profile says of the error; else what the SMSC said beside the status.
    pub reason: Option<String>,
}

fn state_name<S: serde::Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// Hands out the messages of a campaign in the order of its file; only those in one of `states`, if any are given. No
/// snapshot is held while `each` runs, however long it takes.
pub fn messages<E: From<JournalError>>(
    connection: &Connection,
    name: &str,
    states: &[State],
    mut each: impl FnMut(&MessageRow) -> Result<(), E>,
) -> Result<(), E> {
    let summary = campaign(connection, name)?;
    // Messages in these states are never plain, so that message_state tells where to look.
    let stored = [State::PartlyDelivered, State::InDoubt, State::Suppressed];
    let seek = !states.is_empty() && states.iter().all(|state| stored.contains(state));
    let mut chunk = Chunk::default();
    let mut from = summary.first_id;
    loop {
        if seek {
            match next_stored(connection, from, summary.end_id, states)? {
                Some(message) => from = message,
                None => return Ok(()),
            }
        }
        let Some(end) = chunk.load(connection, &summary, from)? else { return Ok(()) };
        for row in chunk.rows() {
            if states.is_empty() || states.contains(&row.state) {
                each(row)?;
            }
        }
        from = end;
    }
}

/// Hands out the messages to a number ([`same_key`](crate::message::address::Destination::same_key)), of all campaigns, in the order in
/// which they were imported.
pub fn messages_to<E: From<JournalError>>(
    connection: &Connection,
    number: u64,
    mut each: impl FnMut(&MessageRow) -> Result<(), E>,
) -> Result<(), E> {
    let ids = ids_to(connection, number)?;
    let mut chunk = Chunk::default();
    let mut campaigns = campaigns(connection)?;
    campaigns.sort_unstable_by_key(|summary| summary.first_id);
    let mut last = None;
    for id in ids {
        let after = campaigns.partition_point(|summary| summary.first_id <= id);
        let of = campaigns[..after].iter().rev().find(|summary| id < summary.end_id);
        let Some(summary) = of else { continue };
        // Its rows have the name of the campaign that they were read for first.
        if last != Some(summary.id) {
            (chunk, last) = (Chunk::default(), Some(summary.id));
        }
        chunk.load_some(connection, summary, id, 1)?;
        let is_it = |slot: &&Slot| slot.id == id && key_of(&slot.row.destination) == number;
        if let Some(slot) = chunk.slots[..chunk.used].iter().find(is_it) {
            each(&slot.row)?;
        }
    }
    Ok(())
}

/// The numbers of the messages to a number, as of one moment.
fn ids_to(connection: &Connection, number: u64) -> Result<Vec<i64>, JournalError> {
    let snapshot = snapshot(connection)?;
    let mut ids = Vec::new();
    Numbers::load(&snapshot)?.messages_to(&snapshot, number, &(0..i64::MAX), &mut |id| {
        ids.push(id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(ids)
}

/// The first message from `from` on whose stored state is one of `states`.
fn next_stored(connection: &Connection, from: i64, end: i64, states: &[State]) -> Result<Option<i64>, JournalError> {
    let numbers: Vec<String> = states.iter().map(|&state| (state as u8).to_string()).collect();
    Ok(connection
        .prepare_cached(&format!(
            "SELECT message FROM message_state WHERE message >= ?1 AND message < ?2 AND state IN ({}) ORDER BY message
              LIMIT 1",
            numbers.join(", ")
        ))?
        .query_row([from, end], |row| row.get(0))
        .optional()?)
}

/// A message while its facts are gathered.
#[derive(Debug)]
struct Slot {
    id: i64,
    end: i64,
    row: MessageRow,
    stored: Option<State>,
    /// Outcome of the first attempt of its first part.
    first_outcome: Option<i64>,
    /// Whether the first receipt of that attempt, if final, says delivered.
    first_receipt: Option<bool>,
    /// Whether an answer rejected it, and with what the last such one did.
    rejected: Option<u32>,
    /// The last answer to the part that was read last, and the one whose status is shown so far, of the parts before it.
    last_answer: Option<LastAnswer>,
    shown_answer: Option<LastAnswer>,
    /// What the last part that was rejected, and not taken later, was rejected with.
    standing: Option<(i64, u32)>,
    /// Whether its first part was claimed once without being written.
    not_written: bool,
    /// The ids that only receipts told, with their attempts.
    told_ids: Vec<(i64, String)>,
    doubt: Option<(i64, String)>,
    given_up: Option<(i64, String)>,
    abandoned_at: Option<i64>,
    receipt_error: Option<String>,
    matched_error: Option<String>,
    done_at: Option<i64>,
}

/// The last answer to a part, in the order in which one is shown rather than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LastAnswer {
    rejected: bool,
    answered_at: i64,
    attempt: Attempt,
    status: u32,
}

/// Messages of one snapshot. Their rows are kept from chunk to chunk, so that their strings are not allocated anew.
#[derive(Debug, Default)]
struct Chunk {
    slots: Vec<Slot>,
    used: usize,
    claims: Vec<ClaimRun>,
    matches: Matches,
    names: Names,
}

impl Chunk {
    fn rows(&self) -> impl Iterator<Item = &MessageRow> {
        self.slots[..self.used].iter().map(|slot| &slot.row)
    }

    /// Reads messages from number `from` on. Returns the number after them, or `None` where there are none.
    fn load(
        &mut self,
        connection: &Connection,
        summary: &CampaignSummary,
        from: i64,
    ) -> Result<Option<i64>, JournalError> {
        self.load_some(connection, summary, from, CHUNK_MESSAGES)
    }

    /// As [`load`](Self::load), of so many messages at most.
    fn load_some(
        &mut self,
        connection: &Connection,
        summary: &CampaignSummary,
        from: i64,
        messages_max: i64,
    ) -> Result<Option<i64>, JournalError> {
        let snapshot = snapshot(connection)?;
        self.load_messages(&snapshot, summary, from, messages_max)?;
        let Some(last) = self.slots[..self.used].last() else { return Ok(None) };
        let end = last.end;
        claims(&snapshot, 0, from, end, &mut self.claims)?;
        self.matches.load(&snapshot, from, end)?;
        self.load_states(&snapshot, from, end)?;
        self.load_answers(&snapshot, from, end)?;
        self.load_reasons(&snapshot, from, end)?;
        self.names = Names::load(&snapshot)?;
        self.load_verdicts(&snapshot, from, end)?;
        self.load_receipts(&snapshot, from, end)?;
        self.load_first_writes(&snapshot)?;
        drop(snapshot);
        let mut cursor = ClaimCursor::default();
        for slot in &mut self.slots[..self.used] {
            slot.finish(cursor.claimed_at(&self.claims, slot.id), summary.cancelled_at.is_some(), &self.names);
        }
        Ok(Some(end))
    }

    fn load_messages(
        &mut self,
        snapshot: &Connection,
        summary: &CampaignSummary,
        from: i64,
        messages_max: i64,
    ) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT m.id, m.line, m.destination, coalesce(m.source, c.source), m.text, m.encoding, m.parts
               FROM campaign c JOIN message m ON m.id >= ?2 AND m.id < c.end_id
              WHERE c.id = ?1 ORDER BY m.id LIMIT ?3",
        )?;
        let mut rows = statement.query((summary.id, from, messages_max))?;
        self.used = 0;
        while let Some(row) = rows.next()? {
            if self.used == self.slots.len() {
                self.slots.push(Slot::new(&summary.campaign));
            }
            let slot = &mut self.slots[self.used];
            self.used += 1;
            slot.clear();
            slot.id = row.get(0)?;
            let set = |to: &mut String, column: usize| -> Result<(), JournalError> {
                let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
                to.clear();
                to.push_str(text);
                Ok(())
            };
            slot.row.line = row.get(1)?;
            set(&mut slot.row.destination, 2)?;
            set(&mut slot.row.source, 3)?;
            set(&mut slot.row.text, 4)?;
            slot.row.encoding = Encoding::from_stored(row.get(5)?).map_or("unknown", Encoding::name);
            slot.row.parts = row.get(6)?;
            slot.row.queued_at = Some(summary.imported_at);
            slot.end = slot.id + slot.row.parts;
        }
        Ok(())
    }

    fn load_states(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT message, state, possible_duplicate FROM message_state
              WHERE message >= ?1 AND message < ?2 ORDER BY message",
        )?;
        let mut rows = statement.query([from, end])?;
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        while let Some(row) = rows.next()? {
            if let Some(slot) = slots.of(row.get(0)?) {
                slot.stored = State::from_number(row.get(1)?);
                slot.row.possible_duplicate = row.get(2)?;
            }
        }
        Ok(())
    }

    fn load_answers(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT attempt, answered_at, command_status, outcome, message_id, answered_at - answer_ms FROM answer
              WHERE attempt >= ?1 AND attempt < ?2 ORDER BY attempt",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            let Some(slot) = slots.of(attempt.part()) else { continue };
            let (answered_at, status, outcome): (i64, u32, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            if attempt == Attempt::new(slot.id, 0) {
                slot.first_outcome = Some(outcome);
            }
            slot.row.answered_at = slot.row.answered_at.max(Some(Stamp(answered_at)));
            let sent_at = Stamp(row.get(5)?);
            slot.row.sent_at = Some(slot.row.sent_at.map_or(sent_at, |first| first.min(sent_at)));
            let rejected = outcome == Outcome::Rejected as i64;
            slot.note_answer(LastAnswer { rejected, answered_at, attempt, status });
            if rejected {
                slot.rejected = Some(status);
                slot.standing = Some((attempt.part(), status));
            } else if slot.standing.is_some_and(|(part, _)| part == attempt.part()) {
                slot.standing = None;
            }
            if outcome == Outcome::Accepted as i64
                && let Some(id) = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?
            {
                match &mut slot.row.message_ids {
                    Some(ids) => {
                        ids.push(' ');
                        ids.push_str(id);
                    }
                    none => *none = Some(id.to_owned()),
                }
            }
        }
        Ok(())
    }

    /// What answers said beside their status.
    fn load_reasons(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT attempt, reason FROM answer_tlv WHERE attempt >= ?1 AND attempt < ?2 ORDER BY attempt",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            let is_shown = |slot: &&mut Slot| slot.shown().is_some_and(|shown| shown.attempt == attempt);
            if let Some(slot) = slots.of(attempt.part()).filter(is_shown) {
                slot.row.reason = row.get(1)?;
            }
        }
        Ok(())
    }

    fn load_verdicts(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT attempt, id, at, kind, reason FROM verdict WHERE attempt >= ?1 AND attempt < ?2 ORDER BY attempt, id",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            let Some(slot) = slots.of(attempt.part()) else { continue };
            let (id, at, kind): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            slot.not_written |= attempt == Attempt::new(slot.id, 0) && kind == Verdict::NotWritten as i64;
            let reason = match Verdict::from_number(kind) {
                Some(Verdict::InDoubt) => &mut slot.doubt,
                Some(Verdict::Abandon) => {
                    slot.abandoned_at = slot.abandoned_at.max(Some(at));
                    &mut slot.given_up
                }
                _ => continue,
            };
            if reason.as_ref().is_none_or(|&(newest, _)| newest < id) {
                *reason = Some((id, row.get(4)?));
            }
        }
        Ok(())
    }

    /// Of messages whose first part was claimed once without being written, few as they are, the view knows what was.
    fn load_first_writes(&mut self, snapshot: &Connection) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached("SELECT sent_at FROM message_fact WHERE message = ?1")?;
        for slot in self.slots[..self.used].iter_mut().filter(|slot| slot.is_unwritten()) {
            slot.row.sent_at = statement.query_row([slot.id], |row| row.get::<_, Option<i64>>(0))?.map(Stamp);
        }
        Ok(())
    }

    /// Final receipts: those stored under the message's own numbers, then those matched to it otherwise.
    fn load_receipts(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT r.id, r.received_at, r.state, r.error, r.final,
                    CASE WHEN r.message_id <> '' AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = r.id >> 8)
                         THEN r.message_id END
               FROM receipt r WHERE r.id >= ?1 AND r.id < ?2 AND (r.final = 1 OR r.message_id <> '') ORDER BY r.id",
        )?;
        let mut rows = statement.query(Attempt::receipt_range(from, end))?;
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let Some(slot) = slots.of(Attempt::of_receipt(id).part()) else { continue };
            let (state, is_final): (Option<i64>, bool) = (row.get(2)?, row.get(4)?);
            if is_final && id == Attempt::new(slot.id, 0).receipt(0) {
                slot.first_receipt = Some(state == Some(2));
            }
            if self.matches.moved.contains(&id) {
                continue;
            }
            slot.told_ids.extend(row.get::<_, Option<String>>(5)?.map(|told| (id >> 8, told)));
            if !is_final {
                continue;
            }
            slot.done_at = slot.done_at.max(Some(row.get(1)?));
            if state.is_some_and(|state| state != 2) {
                slot.receipt_error = row.get(3)?;
            }
        }
        let mut slots = Slots::over(&mut self.slots[..self.used]);
        let mut newest = (0, 0);
        for receipt in &self.matches.matched {
            let Some(slot) = slots.of(receipt.attempt.part()) else { continue };
            slot.told_ids.extend(receipt.message_id.clone().map(|told| (receipt.attempt.0, told)));
            if !receipt.is_final {
                continue;
            }
            slot.done_at = slot.done_at.max(Some(receipt.received_at));
            if newest.0 != slot.id {
                newest = (slot.id, i64::MIN);
            }
            if receipt.state.is_some_and(|state| state != 2) && receipt.number > newest.1 {
                newest.1 = receipt.number;
                slot.matched_error.clone_from(&receipt.error);
            }
        }
        Ok(())
    }
}

impl Slot {
    fn new(campaign: &str) -> Self {
        let row = MessageRow {
            campaign: campaign.to_owned(),
            line: 0,
            destination: String::new(),
            source: String::new(),
            text: String::new(),
            encoding: "",
            parts: 0,
            state: State::Queued,
            command_status: None,
            message_ids: None,
            error: None,
            queued_at: None,
            sent_at: None,
            answered_at: None,
            done_at: None,
            possible_duplicate: false,
            reason: None,
        };
        Self {
            id: 0,
            end: 0,
            row,
            stored: None,
            first_outcome: None,
            first_receipt: None,
            rejected: None,
            last_answer: None,
            shown_answer: None,
            standing: None,
            not_written: false,
            told_ids: Vec::new(),
            doubt: None,
            given_up: None,
            abandoned_at: None,
            receipt_error: None,
            matched_error: None,
            done_at: None,
        }
    }

    fn clear(&mut self) {
        let mut row = std::mem::replace(&mut self.row, Self::new("").row);
        (row.command_status, row.message_ids, row.error) = (None, None, None);
        (row.queued_at, row.sent_at, row.answered_at, row.done_at) = (None, None, None, None);
        (row.possible_duplicate, row.reason) = (false, None);
        *self = Self { row, ..Self::new("") };
    }

    /// Whether its first part was claimed, not written, and not answered for all that.
    fn is_unwritten(&self) -> bool {
        self.not_written && self.first_outcome.is_none()
    }

    /// Notes an answer; they come in the order of attempts.
    fn note_answer(&mut self, answer: LastAnswer) {
        // What was tried again does not count any more.
        if self.last_answer.is_some_and(|last| last.attempt.part() != answer.attempt.part()) {
            self.shown_answer = self.shown();
        }
        self.last_answer = Some(answer);
    }

    /// The answer whose status is shown: a rejection before anything else, and of two answers the later.
    fn shown(&self) -> Option<LastAnswer> {
        self.shown_answer.max(self.last_answer)
    }

    /// Works out what follows from the facts.
    fn finish(&mut self, claimed_at: Option<i64>, cancelled: bool, names: &Names) {
        self.row.command_status = self.shown().map(|answer| answer.status);
        // Without an answer, the time of the claim is the nearest that is known.
        if self.first_outcome.is_none() && !self.not_written {
            let claimed = claimed_at.map(Stamp);
            self.row.sent_at = match (self.row.sent_at, claimed) {
                (Some(written), Some(claimed)) => Some(written.min(claimed)),
                (written, claimed) => written.or(claimed),
            };
        }
        self.told_ids.sort_unstable();
        self.told_ids.dedup();
        for (_, id) in &self.told_ids {
            let ids = self.row.message_ids.get_or_insert_default();
            if !ids.is_empty() {
                ids.push(' ');
            }
            ids.push_str(id);
        }
        self.row.state = match (self.stored, self.first_receipt, self.first_outcome) {
            (Some(state), ..) => state,
            (None, Some(true), _) => State::Delivered,
            (None, Some(false), _) => State::Failed,
            (None, None, Some(0)) => State::Accepted,
            (None, None, Some(_)) => State::Rejected,
            (None, None, None) if claimed_at.is_some() => State::Sending,
            (None, None, None) if cancelled => State::Cancelled,
            (None, None, None) => State::Queued,
        };
        let state = self.row.state;
        let took_some = matches!(state, State::Accepted | State::PartlyDelivered | State::Failed);
        if matches!(state, State::PartlyDelivered | State::Failed)
            && let Some(error) = self.receipt_error.as_deref().or(self.matched_error.as_deref())
            && let Some(meaning) = names.meaning(error)
        {
            self.row.reason = Some(meaning.to_owned());
        }
        let given_up = self.given_up.take().map(|(_, reason)| reason);
        self.row.error = match state {
            State::Delivered => None,
            State::Rejected => self.rejected.map(status_words),
            State::InDoubt => self.doubt.take().map(|(_, reason)| match self.rejected {
                None => reason,
                Some(status) => format!("{reason}; another try or part was rejected: {}", status_words(status)),
            }),
            _ => self
                .receipt_error
                .take()
                .or(self.matched_error.take())
                .or(given_up.filter(|_| state == State::Failed))
                .or(self.standing.filter(|_| took_some).map(|(_, status)| status_words(status)))
                .or((state == State::Failed && self.row.parts > 1 && self.done_at.is_none())
                    .then(|| "cancelled before all of its parts were sent".into())),
        };
        let answered_at = self.row.answered_at;
        self.row.done_at = match state {
            State::Delivered | State::PartlyDelivered => self.done_at.map(Stamp).or(answered_at),
            State::Failed => self.done_at.map(Stamp).or(answered_at).max(self.abandoned_at.map(Stamp)),
            State::Rejected => answered_at,
            _ => None,
        };
    }
}

fn status_words(status: u32) -> String {
    match CommandStatus(status) {
        status if status.is_known() => status.name().to_owned(),
        CommandStatus(status) => format!("status {status}"),
    }
}

/// Finds messages by parts that are asked for in ascending order.
struct Slots<'a> {
    slots: &'a mut [Slot],
    at: usize,
}

impl<'a> Slots<'a> {
    fn over(slots: &'a mut [Slot]) -> Self {
        Self { slots, at: 0 }
    }

    fn of(&mut self, part: i64) -> Option<&mut Slot> {
        while self.slots.get(self.at).is_some_and(|slot| slot.end <= part) {
            self.at += 1;
        }
        self.slots.get_mut(self.at).filter(|slot| slot.id <= part)
    }
}
