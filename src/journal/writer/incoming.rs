//! What came from the SMSC, written down: answers, receipts, messages from handsets.

use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::{Found, IdKey};
use crate::journal::matcher::rules::{Judgement, Named, may_be_for};
use crate::journal::matcher::unmatched::{Rule, Stray, fingerprint};
use crate::journal::model::events::{Answer, Batch, ReceiptEvent, Sent};
use crate::journal::model::key::{Attempt, Outcome, RECEIPTS_MAX, State};
use crate::journal::store::answer_tlvs;
use crate::journal::store::history::receipts_of;
use crate::journal::writer::Keeper;
use crate::journal::writer::retry_queue::{jittered, own_delay_ms, throttled_delay, throttled_delay_ms};
use crate::message::address::Destination;
use crate::wire::{CommandStatus, MessageState, StatusClass};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::borrow::Cow;
use std::time::Instant;

/// So many equal rejections in a row condemn the campaign's settings, not its messages.
const EQUAL_REJECTIONS_MAX: u32 = 50;
/// So many sessions in a row on which nothing was accepted, and messages were refused as on one that is not bound, stop
/// sending.
const UNBOUND_SESSIONS_MAX: u32 = 8;
/// So many receipts are given to the attempt whose answer names their id; where there are more, they are judged.
const NAMING_MAX: usize = 1_000;

impl Keeper {
    /// Writes down one batch.
    pub(in crate::journal) fn came(&mut self, session: i64, batch: &Batch) -> Result<(), JournalError> {
        let now = batch.came_at;
        if !batch.answers.is_empty() || !batch.receipts.is_empty() {
            self.status.last_news = Some(Instant::now());
        }
        self.answers(session, batch, now)?;
        self.receipts(batch, now)?;
        for inbound in &batch.inbound {
            self.inbound(session, inbound, batch, now)?;
        }
        Ok(())
    }

    fn answers(&mut self, session: i64, batch: &Batch, now: i64) -> Result<(), JournalError> {
        if batch.answers.is_empty() {
            return Ok(());
        }
        let ids: Vec<Cow<'_, str>> =
            batch.answers.iter().map(|answer| text_of(batch.octets(&answer.message_id))).collect();
        self.store_answers(batch, &ids, now)?;
        let keys: Vec<IdKey> = ids.iter().map(|id| self.ids.key(id.as_bytes())).collect();
        self.ids.warm(&keys);
        for ((answer, id), key) in batch.answers.iter().zip(&ids).zip(keys) {
            self.answer(session, answer, id, key, now)?;
        }
        Ok(())
    }

    /// Writes down what answers say. All of a batch by one statement: finding it again for each would cost as much as a
    /// third of running it.
    fn store_answers(&self, batch: &Batch, ids: &[Cow<'_, str>], now: i64) -> Result<(), JournalError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO answer (attempt, answered_at, answer_ms, command_status, outcome, message_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (answer, id) in batch.answers.iter().zip(ids) {
            insert.execute((
                answer.sent.attempt.0,
                now,
                answer.waited.as_millis() as i64,
                answer.command_status,
                self.meaning_of(answer).outcome as u8,
                (!id.is_empty()).then_some(&**id),
            ))?;
        }
        answer_tlvs::store(&self.connection, batch)
    }

    /// What an answer means for its attempt.
    fn meaning_of(&self, answer: &Answer) -> Meaning {
        let sent = &answer.sent;
        let status = CommandStatus(answer.command_status);
        let class = self.rules.class(status);
        let retry_in = match class {
            StatusClass::Throttled => Some(0),
            StatusClass::Session => Some(0),
            StatusClass::Temporary if answer.excused => Some(0),
            StatusClass::Temporary => self.rules.delay_ms(status, sent.refused),
            _ => None,
        };
        let outcome = match class {
            StatusClass::Accepted => Outcome::Accepted,
            _ if sent.is_refused_for_reference(status) => Outcome::Retry,
            _ if retry_in.is_some() => Outcome::Retry,
            _ => Outcome::Rejected,
        };
        Meaning { class, retry_in, outcome }
    }

    /// Draws the consequences of an answer that is written down.
    fn answer(&mut self, session: i64, answer: &Answer, id: &str, key: IdKey, now: i64) -> Result<(), JournalError> {
        let sent = &answer.sent;
        let status = CommandStatus(answer.command_status);
        let Meaning { class, retry_in, outcome } = self.meaning_of(answer);
        let plain = sent.plain && !sent.late;
        self.crowd.note(outcome == Outcome::Accepted);
        if sent.late {
            // It was in doubt, and whatever the operator decided meanwhile, the answer beats it.
            self.let_go(session, sent.sequence_number);
            let folded = if id.is_empty() { 0 } else { key.folded };
            self.note_late_answer(sent.attempt, folded)?;
        } else {
            self.settled(sent);
        }
        match outcome {
            Outcome::Accepted => {
                self.streak = (0, 0);
                self.unbound = (0, 0);
                self.status.accepted += 1;
                self.note_taken(sent.destination);
                if plain {
                    self.books.shift(sent.campaign, State::Sending, State::Accepted, 1);
                } else {
                    self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                }
                if id.is_empty() {
                    self.note_nameless()?;
                } else {
                    self.name(key, sent, plain, now)?;
                }
            }
            Outcome::Retry => {
                self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                let delay = retry_in.unwrap_or_default();
                if class == StatusClass::Throttled || answer.excused {
                    self.status.throttled += 1;
                    let delay = if self.crowd.accepts_most() {
                        own_delay_ms(sent.attempt.tried())
                    } else if answer.excused {
                        throttled_delay_ms(u32::from(sent.attempt.tried()) + 1)
                    } else {
                        throttled_delay(&self.connection, &self.rules, sent.attempt)?
                    };
                    self.again(sent, jittered(delay))?;
                } else if class == StatusClass::Session {
                    self.not_bound(session, status);
                    self.again(sent, 0)?;
                } else if sent.is_refused_for_reference(status) {
                    crate::journal::writer::retry_queue::ban_reference(&self.connection, &self.references)?;
                    self.again(sent, 0)?;
                } else {
                    self.again(&Sent { refused: sent.refused.saturating_add(1), ..*sent }, jittered(delay))?;
                }
            }
            Outcome::Rejected => {
                if plain {
                    self.books.shift(sent.campaign, State::Sending, State::Rejected, 1);
                } else {
                    self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                }
                self.rejected(status, class);
            }
        }
        Ok(())
    }

    /// The SMSC says of a session that it is not bound. Its connection binds anew; where that never helps, sending stops.
    fn not_bound(&mut self, session: i64, status: CommandStatus) {
        let (last, sessions) = self.unbound;
        if last != session {
            self.unbound = (session, sessions + 1);
        }
        if self.unbound.1 >= UNBOUND_SESSIONS_MAX {
            self.halt(format!(
                "{UNBOUND_SESSIONS_MAX} sessions in a row were bound, and then refused messages as not bound: {}; ask the \
                 provider whether the account may send with this bind mode",
                words(status)
            ));
        }
    }

    /// Sending stops when the account or its settings are what the SMSC refuses.
    fn rejected(&mut self, status: CommandStatus, class: StatusClass) {
        let (last, count) = self.streak;
        self.streak = if last == status.0 { (last, count + 1) } else { (status.0, 1) };
        if class == StatusClass::Account {
            self.halt(format!("the SMSC refuses the account or its settings: {}", words(status)));
        } else if self.streak.1 >= EQUAL_REJECTIONS_MAX {
            self.halt(format!("{EQUAL_REJECTIONS_MAX} messages in a row were rejected alike: {}", words(status)));
        }
    }

    /// An attempt got its id: receipts can name it from now on, and may have done so already.
    fn name(&mut self, key: IdKey, sent: &Sent, plain: bool, now: i64) -> Result<(), JournalError> {
        let attempt = sent.attempt;
        if self.ids.is_full() {
            self.spill_ids()?;
        }
        if attempt.part() < self.asleep.passed(self.spill.edge()) {
            self.spill.add_straggler(&self.connection, key, attempt)?;
        }
        let is_again = self.ids.insert(key, attempt, plain, sent.destination);
        if is_again {
            self.judge_those_of_others(key, sent, now)?;
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
            self.give(&stray, Judgement::exact(attempt, names_number), now)?;
        }
        Ok(())
    }

    /// Appends that a stored receipt belongs to an attempt.
    pub(in crate::journal) fn match_later(
        &self,
        receipt: i64,
        attempt: Option<Attempt>,
        rule: Rule,
        now: i64,
    ) -> Result<(), JournalError> {
        self.connection
            .prepare_cached("INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute((receipt, attempt.map(|attempt| attempt.0), rule as u8, now))?;
        Ok(())
    }

    /// Writes down receipts, in their order. Those of the plain story, as a rule all, share one statement.
    fn receipts(&mut self, batch: &Batch, now: i64) -> Result<(), JournalError> {
        self.status.receipts += batch.receipts.len() as u64;
        let ids: Vec<Cow<'_, str>> =
            batch.receipts.iter().map(|receipt| text_of(batch.octets(&receipt.message_id))).collect();
        let keys: Vec<IdKey> = ids.iter().map(|id| self.ids.key(id.as_bytes())).collect();
        self.recall_ids()?;
        self.ids.warm(&keys);
        let mut plain = Vec::with_capacity(batch.receipts.len());
        for ((receipt, id), key) in batch.receipts.iter().zip(&ids).zip(keys) {
            crate::platform::failpoint::reach("receipt")?;
            let numbers = [&receipt.source, &receipt.destination].map(|address| number_in(batch.octets(address)));
            match self.plain_receipt(receipt, id, key, numbers)? {
                Some((attempt, is_numberless)) => plain.push((attempt, receipt, is_numberless)),
                None => {
                    // What follows may read what was stored.
                    self.store_plain(&plain, batch, now)?;
                    plain.clear();
                    self.receipt(receipt, id, key, numbers, batch, now)?;
                }
            }
        }
        self.store_plain(&plain, batch, now)
    }

    /// The attempt of a receipt that is the only and final one of a message of one part that was tried once.
    fn plain_receipt(
        &mut self,
        receipt: &ReceiptEvent,
        id: &str,
        key: IdKey,
        numbers: [u64; 2],
    ) -> Result<Option<(Attempt, bool)>, JournalError> {
        if !receipt.is_final || id.is_empty() {
            return Ok(None);
        }
        let Found::One(known) = self.find_exact(key, numbers)? else { return Ok(None) };
        if known.is_seen() || !known.is_plain() {
            return Ok(None);
        }
        known.note_receipt(true);
        let attempt = known.attempt();
        let is_numberless = numbers == [0, 0] || !known.has_number();
        if is_numberless {
            known.note_numberless();
        } else {
            self.note_numbers_fit()?;
        }
        let campaign = self.books.campaign_of(attempt.part()).unwrap_or(u32::MAX);
        let to = match receipt.state {
            Some(MessageState::Delivered) => State::Delivered,
            _ => State::Failed,
        };
        self.books.shift(campaign, State::Accepted, to, 1);
        Ok(Some((attempt, is_numberless)))
    }

    fn store_plain(
        &mut self,
        plain: &[(Attempt, &ReceiptEvent, bool)],
        batch: &Batch,
        now: i64,
    ) -> Result<(), JournalError> {
        if plain.is_empty() {
            return Ok(());
        }
        self.note_ids_match();
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO receipt (id, received_at, state, final, rule, error, text, tlvs, other_state, source, destination)
             VALUES (?1, ?2, ?3, 1, 1, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (attempt, receipt, is_numberless) in plain {
            let address = |range| is_numberless.then(|| text_of(batch.octets(range)));
            let error = batch.octets(&receipt.error);
            let tlvs = batch.octets(&receipt.tlvs);
            insert.execute((
                attempt.receipt(0),
                now,
                receipt.state.map(number_of),
                (!error.is_empty()).then_some(&*text_of(error)),
                as_value(batch.octets(&receipt.text)),
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
        receipt: &ReceiptEvent,
        id: &str,
        key: IdKey,
        numbers: [u64; 2],
        batch: &Batch,
        now: i64,
    ) -> Result<(), JournalError> {
        let state = receipt.state.map(number_of);
        let named = if id.is_empty() { Named::Nobody } else { self.named(key, id, numbers, receipt.is_final)? };
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
                    let campaign = self.books.campaign_of(attempt.part()).unwrap_or(u32::MAX);
                    let to = if state == Some(2) { State::Delivered } else { State::Failed };
                    self.books.shift(campaign, State::Accepted, to, 1);
                } else {
                    let before = self.plain_state(attempt, owner.is_final)?;
                    self.books.touch(&self.connection, attempt.part(), before)?;
                }
                let n = if owner.is_seen { receipts_of(&self.connection, attempt)? } else { 0 };
                self.note_ids_match();
                if !is_numberless {
                    self.note_numbers_fit()?;
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
        let text = batch.octets(&receipt.text);
        let tlvs = batch.octets(&receipt.tlvs);
        let text_id = text_of(batch.octets(&receipt.text_id));
        let (source, destination) =
            (text_of(batch.octets(&receipt.source)), text_of(batch.octets(&receipt.destination)));
        self.connection
            .prepare_cached(
                "INSERT INTO receipt (id, received_at, state, final, rule, error, message_id, source, destination, text, tlvs,
                                      other_state, text_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(rusqlite::params![
                number,
                now,
                state,
                receipt.is_final,
                if stray && rule == Rule::Exact { Rule::None } else { rule } as u8,
                (!error.is_empty()).then_some(&*error_text),
                stray.then_some(id),
                (stray || is_numberless).then_some(&*source),
                (stray || is_numberless).then_some(&*destination),
                as_value(text),
                (!tlvs.is_empty()).then_some(tlvs),
                receipt.other.map(number_of),
                (stray && !text_id.is_empty()).then_some(&*text_id),
            ])?;
        match attempt {
            Some((attempt, _)) if stray => self.match_later(number, Some(attempt), Rule::Exact, now)?,
            Some(_) => {}
            None => {
                self.status.unmatched += 1;
                self.connection.prepare_cached("INSERT INTO stray (receipt) VALUES (?1)")?.execute([number])?;
                if self.is_waking() {
                    self.strays.leave_out(number, self.generations.current());
                    return Ok(());
                }
                let addresses = [&*source, &*destination];
                self.strays.add(Stray {
                    id: number,
                    marks: fingerprint(&self.ids, id.as_bytes(), text_id.as_bytes(), addresses, tlvs),
                    is_final: receipt.is_final,
                    is_delivered: receipt.state == Some(MessageState::Delivered),
                    received_at: now,
                    generation: self.generations.current(),
                    serial: Some(self.next_serial),
                    owner: None,
                    rule,
                    judged: false,
                    rivalled: None,
                });
            }
        }
        Ok(())
    }
}

/// See [`Keeper::meaning_of`].
struct Meaning {
    class: StatusClass,
    /// In milliseconds; of what was throttled: see [`throttled_delay`].
    retry_in: Option<i64>,
    outcome: Outcome,
}

/// A status as an operator reads it.
pub fn words(status: CommandStatus) -> String {
    match status.advice() {
        "" => format!("0x{:02X} {} ({})", status.0, status.name(), status.meaning()),
        advice => format!("0x{:02X} {} ({}); {advice}", status.0, status.name(), status.meaning()),
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

/// Octets of a peer as text: what is not UTF-8 is escaped, so that nothing is lost.
pub(in crate::journal) fn text_of(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => Cow::Borrowed(text),
        _ => Cow::Owned(octets.escape_ascii().to_string()),
    }
}

/// Octets of a receipt's text: TEXT where they are, else a BLOB.
fn as_value(octets: &[u8]) -> ToSqlOutput<'_> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        _ => ToSqlOutput::Borrowed(ValueRef::Blob(octets)),
    }
}
