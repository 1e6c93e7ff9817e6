//! Receipts as they come, and answers that bring the ids that receipts name: rule 1, the exact id, is applied here at once.
//! What it leaves is judged later (module `judging`).

use super::id_index::{Found, IdKey};
use super::rules::{Judgement, Named, may_be_for};
use super::unmatched::{Stray, fingerprint};
use super::{Matcher, Tx};
use crate::journal::error::JournalError;
use crate::journal::model::events::{Batch, ReceiptEvent, Sent};
use crate::journal::model::key::{Attempt, RECEIPTS_MAX, State};
use crate::journal::model::rule::Rule;
use crate::journal::store::history::receipts_of;
use crate::journal::store::octets::{as_value, text_of};
use crate::message::address::Destination;
use crate::wire::MessageState;
use std::borrow::Cow;

/// So many receipts are given to the attempt whose answer names their id; where there are more, they are judged.
const NAMING_MAX: usize = 1_000;

impl Matcher {
    /// Writes down receipts, in their order. Those of the plain story, as a rule all, share one statement.
    pub fn receipts(&mut self, tx: &mut Tx<'_>, batch: &Batch) -> Result<(), JournalError> {
        let ids: Vec<Cow<'_, str>> =
            batch.receipts.iter().map(|receipt| text_of(batch.octets(&receipt.message_id))).collect();
        let keys: Vec<IdKey> = ids.iter().map(|id| self.ids.key(id.as_bytes())).collect();
        self.recall_ids(tx)?;
        self.ids.warm(&keys);
        let mut plain = Vec::with_capacity(batch.receipts.len());
        for ((receipt, id), key) in batch.receipts.iter().zip(&ids).zip(keys) {
            crate::platform::failpoint::reach("receipt")?;
            let numbers = [&receipt.source, &receipt.destination].map(|address| number_in(batch.octets(address)));
            match self.plain_receipt(tx, receipt, id, key, numbers)? {
                Some((attempt, is_numberless)) => plain.push((attempt, receipt, is_numberless)),
                None => {
                    // What follows may read what was stored.
                    self.store_plain(tx, &plain, batch)?;
                    plain.clear();
                    self.receipt(tx, receipt, id, key, numbers, batch)?;
                }
            }
        }
        self.store_plain(tx, &plain, batch)
    }

    /// The attempt of a receipt that is the only and final one of a message of one part that was tried once.
    fn plain_receipt(
        &mut self,
        tx: &mut Tx<'_>,
        receipt: &ReceiptEvent,
        id: &str,
        key: IdKey,
        numbers: [u64; 2],
    ) -> Result<Option<(Attempt, bool)>, JournalError> {
        if !receipt.is_final || id.is_empty() {
            return Ok(None);
        }
        let Found::One(known) = self.find_exact(tx, key, numbers)? else { return Ok(None) };
        if known.is_seen() || !known.is_plain() {
            return Ok(None);
        }
        known.note_receipt(true);
        let attempt = known.attempt();
        let is_numberless = numbers == [0, 0] || !known.has_number();
        if is_numberless {
            known.note_numberless();
        } else {
            self.note_numbers_fit(tx)?;
        }
        let campaign = tx.counts.campaign_of(attempt.part()).unwrap_or(u32::MAX);
        let to = match receipt.state {
            Some(MessageState::Delivered) => State::Delivered,
            _ => State::Failed,
        };
        tx.counts.shift(campaign, State::Accepted, to, 1);
        Ok(Some((attempt, is_numberless)))
    }

    fn store_plain(
        &mut self,
        tx: &Tx<'_>,
        plain: &[(Attempt, &ReceiptEvent, bool)],
        batch: &Batch,
    ) -> Result<(), JournalError> {
        if plain.is_empty() {
            return Ok(());
        }
        self.note_ids_match();
        let mut insert = tx.connection.prepare_cached(
            "INSERT INTO receipt (id, received_at, state, final, rule, error, text, tlvs, other_state, source, destination)
             VALUES (?1, ?2, ?3, 1, 1, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (attempt, receipt, is_numberless) in plain {
            let is_stripped = tx.counts.is_pseudonymous(attempt.part());
            let address = |range| (*is_numberless && !is_stripped).then(|| text_of(batch.octets(range)));
            let error = batch.octets(&receipt.error);
            let tlvs = if is_stripped { &[] } else { batch.octets(&receipt.tlvs) };
            insert.execute((
                attempt.receipt(0),
                batch.came_at,
                receipt.state.map(number_of),
                (!error.is_empty()).then_some(&*text_of(error)),
                (!is_stripped).then(|| as_value(batch.octets(&receipt.text))),
                (!tlvs.is_empty()).then_some(tlvs),
                receipt.other.map(number_of),
                address(&receipt.source).as_deref(),
                address(&receipt.destination).as_deref(),
            ))?;
        }
        Ok(())
    }

    /// Writes down a receipt with any story.
    fn receipt(
        &mut self,
        tx: &mut Tx<'_>,
        receipt: &ReceiptEvent,
        id: &str,
        key: IdKey,
        numbers: [u64; 2],
        batch: &Batch,
    ) -> Result<(), JournalError> {
        let state = receipt.state.map(number_of);
        let named =
            if id.is_empty() { Named::Nobody } else { self.find_by_id(tx, key, id, numbers, receipt.is_final)? };
        let is_numberless = match &named {
            Named::One(owner) => owner.is_numberless,
            Named::Nobody => false,
        };
        let (rule, attempt) = match named {
            Named::Nobody => (Rule::None, None),
            Named::One(owner) => {
                let attempt = owner.attempt;
                if !owner.is_seen && owner.is_plain && receipt.is_final {
                    // The plain story: one part, one attempt, one final receipt.
                    let campaign = tx.counts.campaign_of(attempt.part()).unwrap_or(u32::MAX);
                    let to = if state == Some(2) { State::Delivered } else { State::Failed };
                    tx.counts.shift(campaign, State::Accepted, to, 1);
                } else {
                    let before = self.plain_state(tx, attempt, owner.is_final)?;
                    tx.counts.touch(tx.connection, attempt.part(), before)?;
                }
                let n = if owner.is_seen { receipts_of(tx.connection, attempt)? } else { 0 };
                self.note_ids_match();
                if !is_numberless {
                    self.note_numbers_fit(tx)?;
                }
                (Rule::Exact, Some((attempt, n)))
            }
        };
        let number = match attempt {
            Some((attempt, n)) if n < RECEIPTS_MAX => attempt.receipt(n),
            _ => self.strays.next_id(),
        };
        let stray = number < 0;
        let error = batch.octets(&receipt.error);
        let error_text = text_of(error);
        let is_stripped = attempt.is_some_and(|(attempt, _)| tx.counts.is_pseudonymous(attempt.part()));
        let text = batch.octets(&receipt.text);
        let tlvs = if is_stripped { &[] } else { batch.octets(&receipt.tlvs) };
        let text_id = text_of(batch.octets(&receipt.text_id));
        let (source, destination) =
            (text_of(batch.octets(&receipt.source)), text_of(batch.octets(&receipt.destination)));
        tx.connection
            .prepare_cached(
                "INSERT INTO receipt (id, received_at, state, final, rule, error, message_id, source, destination, text, tlvs,
                                      other_state, text_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(rusqlite::params![
                number,
                batch.came_at,
                state,
                receipt.is_final,
                if stray && rule == Rule::Exact { Rule::None } else { rule } as u8,
                (!error.is_empty()).then_some(&*error_text),
                stray.then_some(id),
                ((stray || is_numberless) && !is_stripped).then_some(&*source),
                ((stray || is_numberless) && !is_stripped).then_some(&*destination),
                (!is_stripped).then(|| as_value(text)),
                (!tlvs.is_empty()).then_some(tlvs),
                receipt.other.map(number_of),
                (stray && !text_id.is_empty()).then_some(&*text_id),
            ])?;
        match attempt {
            Some((attempt, _)) if stray => self.match_later(tx, number, Some(attempt), Rule::Exact, batch.came_at)?,
            Some(_) => {}
            None => {
                self.unmatched += 1;
                if self.is_waking() {
                    self.strays.leave_out(number, self.outstanding.current());
                    return Ok(());
                }
                let addresses = [&*source, &*destination];
                self.strays.add(Stray {
                    id: number,
                    marks: fingerprint(&self.ids, (id.as_bytes(), text_id.as_bytes()), addresses, numbers, tlvs),
                    is_final: receipt.is_final,
                    is_delivered: receipt.state == Some(MessageState::Delivered),
                    received_at: batch.came_at,
                    generation: self.outstanding.current(),
                    serial: Some(tx.next_serial),
                    owner: None,
                    rule,
                    judged: false,
                    listed: false,
                    rivalled: None,
                });
            }
        }
        Ok(())
    }

    /// An attempt that may have been sent has no answer: its verdict is written down.
    pub fn note_unanswered(&mut self, tx: &Tx<'_>, sent: &Sent) -> Result<(), JournalError> {
        self.outstanding.settled(sent.generation);
        self.note_doubt(tx, sent.attempt)
    }

    /// An answer came and is written down; `key`: of the id that it brought.
    pub fn note_answer(&mut self, tx: &Tx<'_>, key: Option<IdKey>, sent: &Sent) -> Result<(), JournalError> {
        if sent.late {
            return self.note_late_answer(tx, sent.attempt, key.map_or(0, |key| key.folded));
        }
        self.outstanding.settled(sent.generation);
        Ok(())
    }

    /// The answer, of which [`Self::note_answer`] knows, took the message; what is counted of it has changed.
    pub fn note_accepted(
        &mut self,
        tx: &mut Tx<'_>,
        key: Option<IdKey>,
        sent: &Sent,
        plain: bool,
        now: i64,
    ) -> Result<(), JournalError> {
        self.note_taken(sent.destination);
        match key {
            Some(key) => self.note_id(tx, key, sent, plain, now),
            None => self.note_nameless(tx),
        }
    }

    /// An attempt got its id: receipts can name it from now on, and may have done so already.
    pub fn note_id(
        &mut self,
        tx: &mut Tx<'_>,
        key: IdKey,
        sent: &Sent,
        plain: bool,
        now: i64,
    ) -> Result<(), JournalError> {
        let attempt = sent.attempt;
        if self.ids.is_full() {
            self.spill_ids(tx)?;
        }
        if attempt.part() < self.asleep.passed(self.spill.edge()) {
            self.spill.add_straggler(tx.connection, key, attempt)?;
        }
        let is_again = self.ids.insert(key, attempt, plain, sent.destination);
        if is_again {
            self.judge_those_of_others(tx, key, sent, now)?;
        }
        if self.strays.is_empty() {
            return Ok(());
        }
        let naming = self.strays.naming(key, sent.generation).take(NAMING_MAX);
        let naming: Vec<Stray> = naming.cloned().collect();
        if naming.len() == NAMING_MAX {
            self.to_judge.spelled(key.folded);
        }
        for stray in naming {
            self.work.note(1);
            if is_again {
                // Which one it means is found out with the others that it may mean.
                if stray.judged {
                    self.to_judge.spelled(key.folded);
                }
                continue;
            }
            if sent.destination != 0 && !may_be_for(stray.marks.numbers, sent.destination) {
                // It names another number: what else it may belong to is looked at first.
                self.to_judge.spelled(key.folded);
                continue;
            }
            let names_number = sent.destination != 0 && stray.marks.numbers != [0, 0];
            self.record_match(tx, &stray, Judgement::exact(attempt, names_number), now)?;
        }
        Ok(())
    }

    /// Appends that a stored receipt belongs to an attempt.
    pub fn match_later(
        &self,
        tx: &Tx<'_>,
        receipt: i64,
        attempt: Option<Attempt>,
        rule: Rule,
        now: i64,
    ) -> Result<(), JournalError> {
        tx.connection
            .prepare_cached("INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute((receipt, attempt.map(|attempt| attempt.0), rule as u8, now))?;
        Ok(())
    }
}

/// A message_state as the journal keeps it.
fn number_of(state: MessageState) -> u8 {
    state.code().unwrap_or(100)
}

/// The number in an address, as [`Destination::key`]; 0: it is none.
fn number_in(address: &[u8]) -> u64 {
    let address = std::str::from_utf8(address).unwrap_or_default();
    Destination::parse(address).map_or(0, |number| number.key())
}
