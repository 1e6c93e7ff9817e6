//! The rows of `message_status`, a chunk at a time.

mod slot;

use super::chunk::{ClaimCursor, ClaimRun, Matches, claims};
use super::{CampaignSummary, JournalError, Stamp, campaign, campaigns, snapshot};
use crate::journal::handle::Sql;
use crate::journal::model::key::{Attempt, Outcome, State, Verdict};
use crate::journal::store::names::Names;
use crate::journal::store::number_index::{Numbers, key_of};
use crate::message::text::Encoding;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use slot::{LastAnswer, Slot, Slots};
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
    /// Of octets, the user data header before them, in hexadecimal.
    #[serde(skip)]
    pub header: Option<String>,
    /// How many parts it makes.
    pub parts: i64,
    /// What became of it.
    #[serde(serialize_with = "state_name")]
    pub state: State,
    /// The answer that rejected it, or else the last one.
    pub command_status: Option<u32>,
    /// The ids that the SMSC gave, separated by spaces: those of the answers, then those that only a receipt has.
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
    /// The number as the file has it, where that is more than digits behind a plus sign.
    pub number_in_file: Option<String>,
}

fn state_name<S: serde::Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// Hands out the messages of a campaign in the order of its file; only those in one of `states`, if any are given. No
/// snapshot is held while `each` runs, however long it takes.
pub fn messages<E: From<JournalError>>(
    journal: &dyn Sql,
    name: &str,
    states: &[State],
    mut each: impl FnMut(&MessageRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
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
    journal: &dyn Sql,
    number: u64,
    mut each: impl FnMut(&MessageRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let ids = ids_to(connection, number)?;
    let is_it = |slot: &Slot| key_of(&slot.row.destination) == number;
    messages_of(connection, ids, is_it, &mut |_, row| each(row))
}

/// As [`messages_to`], with the number of each message and its campaign; and those that have this pseudonym in its place.
pub fn numbered_messages_to(
    journal: &dyn Sql,
    number: u64,
    pseudonym: Option<&str>,
    each: &mut dyn FnMut(i64, &CampaignSummary, &MessageRow),
) -> Result<(), JournalError> {
    let connection = journal.connection();
    let mut ids = ids_to(connection, number)?;
    if let Some(pseudonym) = pseudonym {
        let mut statement = connection.prepare(
            "SELECT m.id FROM campaign c JOIN message m ON m.id >= c.first_id AND m.id < c.end_id
              WHERE c.pseudonymised_at IS NOT NULL AND m.destination = ?1 ORDER BY m.id",
        )?;
        for id in statement.query_map([pseudonym], |row| row.get(0))? {
            ids.push(id?);
        }
    }
    let is_it = |slot: &Slot| {
        key_of(&slot.row.destination) == number || pseudonym.is_some_and(|pseudonym| slot.row.destination == pseudonym)
    };
    let known = campaigns(connection)?;
    messages_of(connection, ids, is_it, &mut |id, row: &MessageRow| -> Result<(), JournalError> {
        if let Some(summary) = known.iter().find(|summary| summary.campaign == row.campaign) {
            each(id, summary, row);
        }
        Ok(())
    })
}

fn messages_of<E: From<JournalError>>(
    connection: &Connection,
    ids: Vec<i64>,
    is_wanted: impl Fn(&Slot) -> bool,
    each: &mut dyn FnMut(i64, &MessageRow) -> Result<(), E>,
) -> Result<(), E> {
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
        if let Some(slot) = chunk.slots[..chunk.used].iter().find(|slot| slot.id == id && is_wanted(slot)) {
            each(id, &slot.row)?;
        }
    }
    Ok(())
}

/// The numbers of the messages to a number, as of one moment.
fn ids_to(connection: &Connection, number: u64) -> Result<Vec<i64>, JournalError> {
    let snapshot = snapshot(connection)?;
    let mut ids = Vec::new();
    Numbers::load(&*snapshot)?.messages_to(&snapshot, number, &(0..i64::MAX), &mut |id| {
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
            "SELECT m.id, m.line, m.destination, coalesce(m.source, c.source), m.text, m.encoding, m.parts, m.typed,
                    iif(m.encoding = ?4, json_extract(m.fields, '$.udh'), NULL)
               FROM campaign c JOIN message m ON m.id >= ?2 AND m.id < c.end_id
              WHERE c.id = ?1 ORDER BY m.id LIMIT ?3",
        )?;
        let mut rows = statement.query((summary.id, from, messages_max, Encoding::Octets.stored()))?;
        self.used = 0;
        while let Some(row) = rows.next()? {
            if self.used == self.slots.len() {
                self.slots.push(Slot::new(&summary.campaign));
            }
            let slot = &mut self.slots[self.used];
            self.used += 1;
            slot.clear();
            slot.id = row.get(0)?;
            slot.row.number_in_file = row.get(7)?;
            slot.row.header = row.get(8)?;
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
