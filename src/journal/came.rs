//! What came from the SMSC, written down: answers, receipts, messages from handsets.

use super::JournalError;
use super::events::{Answer, Batch, InboundEvent, ReceiptEvent, Sent};
use super::keeper::Keeper;
use super::key::{Attempt, Outcome, RECEIPTS_MAX, State};
use super::retry::THROTTLED_DELAY_MS;
use crate::wire::{CommandStatus, MessageState, Pdu, StatusClass};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::borrow::Cow;
use std::time::Instant;

/// So many equal rejections in a row condemn the campaign's settings, not its messages.
const EQUAL_REJECTIONS_MAX: u32 = 50;
/// How a receipt was matched; the numbers stand in the journal.
const RULE_NONE: u8 = 0;
const RULE_EXACT: u8 = 1;
const RULE_AMBIGUOUS: u8 = 6;

impl Keeper {
    /// Writes down one batch.
    pub(super) fn came(&mut self, session: i64, batch: &Batch) -> Result<(), JournalError> {
        let now = batch.came_at;
        if !batch.answers.is_empty() || !batch.receipts.is_empty() {
            self.status.last_news = Some(Instant::now());
        }
        for answer in &batch.answers {
            self.answer(answer, batch, now)?;
        }
        for receipt in &batch.receipts {
            self.receipt(receipt, batch, now)?;
        }
        for inbound in &batch.inbound {
            self.inbound(session, inbound, batch, now)?;
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Answer, batch: &Batch, now: i64) -> Result<(), JournalError> {
        let sent = &answer.sent;
        let status = CommandStatus(answer.command_status);
        let class = self.rules.class(status);
        let retry_in = match class {
            StatusClass::Throttled => Some(THROTTLED_DELAY_MS),
            StatusClass::Temporary => self.rules.delay_ms(status, sent.refused),
            _ => None,
        };
        let outcome = match class {
            StatusClass::Accepted => Outcome::Accepted,
            _ if retry_in.is_some() => Outcome::Retry,
            _ => Outcome::Rejected,
        };
        let id = batch.octets(&answer.message_id);
        let text = text_of(id);
        self.connection
            .prepare_cached(
                "INSERT INTO answer (attempt, answered_at, answer_ms, command_status, outcome, message_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                sent.attempt.0,
                now,
                answer.waited.as_millis() as i64,
                status.0,
                outcome as u8,
                (!id.is_empty()).then_some(&*text),
            ))?;
        let plain = sent.plain && !sent.late;
        if sent.late {
            // It was in doubt, and whatever the operator decided meanwhile, the answer beats it.
            self.sequence.let_go(sent.sequence_number);
        } else {
            self.status.in_flight -= 1;
        }
        match outcome {
            Outcome::Accepted => {
                self.streak = (0, 0);
                self.status.accepted += 1;
                if plain {
                    self.books.shift(sent.campaign, State::Sending, State::Accepted, 1);
                } else {
                    self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                }
                if !id.is_empty() {
                    self.name(text.as_bytes(), sent.attempt, plain, now)?;
                }
            }
            Outcome::Retry => {
                self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                let delay = retry_in.unwrap_or_default();
                if class == StatusClass::Throttled {
                    self.status.throttled += 1;
                    self.again(sent, delay)?;
                } else {
                    self.again(&Sent { refused: sent.refused.saturating_add(1), ..*sent }, delay)?;
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
    fn name(&mut self, id: &[u8], attempt: Attempt, plain: bool, now: i64) -> Result<(), JournalError> {
        let key = self.ids.key(id);
        self.ids.insert(key, attempt, plain);
        for stray in self.strays.take_exact(key) {
            self.books.touch(&self.connection, attempt.part(), State::Accepted)?;
            self.match_later(stray.id, Some(attempt), RULE_EXACT, now)?;
            if let Some(Ok(known)) = self.ids.find_exact(key) {
                known.note_receipt(stray.is_final);
                known.not_plain();
            }
            self.status.unmatched = self.status.unmatched.saturating_sub(1);
        }
        Ok(())
    }

    /// Appends that a stored receipt belongs to an attempt.
    pub(super) fn match_later(
        &self,
        receipt: i64,
        attempt: Option<Attempt>,
        rule: u8,
        now: i64,
    ) -> Result<(), JournalError> {
        self.connection
            .prepare_cached("INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute((receipt, attempt.map(|attempt| attempt.0), rule, now))?;
        Ok(())
    }

    fn receipt(&mut self, receipt: &ReceiptEvent, batch: &Batch, now: i64) -> Result<(), JournalError> {
        crate::failpoint::reach("receipt")?;
        self.status.receipts += 1;
        let id = batch.octets(&receipt.message_id);
        let id_text = text_of(id);
        let key = self.ids.key(id_text.as_bytes());
        let state = receipt.state.map(number_of);
        let (rule, attempt) = match self.ids.find_exact(key) {
            None => (RULE_NONE, None),
            Some(Err(_)) => (RULE_AMBIGUOUS, None),
            Some(Ok(known)) => {
                let attempt = known.attempt();
                let (seen, was_final, plain) = (known.is_seen(), known.is_final(), known.is_plain());
                known.note_receipt(receipt.is_final);
                if !seen && plain && receipt.is_final {
                    // The plain story: one part, one attempt, one final receipt.
                    let campaign = self.books.campaign_of(attempt.part()).unwrap_or(u32::MAX);
                    let to = if state == Some(2) { State::Delivered } else { State::Failed };
                    self.books.shift(campaign, State::Accepted, to, 1);
                } else {
                    known.not_plain();
                    let before = self.plain_state(attempt, was_final)?;
                    self.books.touch(&self.connection, attempt.part(), before)?;
                }
                let n = if seen { self.receipts_of(attempt)? } else { 0 };
                (RULE_EXACT, Some((attempt, n)))
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
        let (source, destination) =
            (text_of(batch.octets(&receipt.source)), text_of(batch.octets(&receipt.destination)));
        self.connection
            .prepare_cached(
                "INSERT INTO receipt (id, received_at, state, final, rule, error, message_id, source, destination, text, tlvs)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(rusqlite::params![
                number,
                now,
                state,
                receipt.is_final,
                if stray && rule == RULE_EXACT { RULE_NONE } else { rule },
                (!error.is_empty()).then_some(&*error_text),
                (stray || rule != RULE_EXACT).then_some(&*id_text),
                stray.then_some(&*source),
                stray.then_some(&*destination),
                as_value(text),
                (!tlvs.is_empty()).then_some(tlvs),
            ])?;
        match attempt {
            Some((attempt, _)) if stray => self.match_later(number, Some(attempt), RULE_EXACT, now)?,
            None => {
                self.status.unmatched += 1;
                if rule == RULE_NONE {
                    self.strays.add(key, number, receipt.is_final);
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The state of a plain message some of whose receipts are stored already.
    fn plain_state(&self, attempt: Attempt, was_final: bool) -> Result<State, JournalError> {
        if !was_final {
            return Ok(State::Accepted);
        }
        let state: Option<i64> = self
            .connection
            .prepare_cached("SELECT state FROM receipt WHERE id = ?1")?
            .query_row([attempt.receipt(0)], |row| row.get(0))?;
        Ok(if state == Some(2) { State::Delivered } else { State::Failed })
    }

    /// How many receipts are stored under the attempt's own numbers.
    fn receipts_of(&self, attempt: Attempt) -> Result<i64, JournalError> {
        Ok(self
            .connection
            .prepare_cached("SELECT coalesce(max(id) & 255, -1) + 1 FROM receipt WHERE id >= ?1 AND id < ?2")?
            .query_row((attempt.receipt(0), attempt.receipt(RECEIPTS_MAX)), |row| row.get(0))?)
    }

    fn inbound(&mut self, session: i64, inbound: &InboundEvent, batch: &Batch, now: i64) -> Result<(), JournalError> {
        self.status.inbound += 1;
        let pdu = batch.octets(&inbound.pdu);
        let (source, destination, esm_class, data_coding, text) = match crate::wire::decode(pdu) {
            Ok((_, Pdu::DeliverSm(sm))) => {
                (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text())
            }
            Ok((_, Pdu::DataSm(sm))) => (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text()),
            _ => (&b""[..], &b""[..], 0, 0, &b""[..]),
        };
        let body =
            if crate::wire::values::esm_class::has_udh(esm_class) { crate::text::split_udh(text).1 } else { text };
        let decoded = crate::text::decode(data_coding, body, crate::text::DefaultAlphabet::default());
        self.connection
            .prepare_cached(
                "INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(rusqlite::params![
                now,
                session,
                &*text_of(source),
                &*text_of(destination),
                esm_class,
                data_coding,
                decoded,
                pdu
            ])?;
        Ok(())
    }
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

/// Octets of a peer as text: what is not UTF-8 is escaped, so that nothing is lost.
fn text_of(octets: &[u8]) -> Cow<'_, str> {
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
