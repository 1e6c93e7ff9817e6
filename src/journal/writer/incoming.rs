//! What came from the SMSC, written down: answers, receipts, messages from handsets.

use super::JournalThread;
use super::refusals::Refused;
use super::retry_queue::{jittered, own_delay_ms, paced_in_a_row, throttled_delay_ms};
use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::IdKey;
use crate::journal::model::events::{Answer, Batch, Sent};
use crate::journal::model::key::{Outcome, State};
use crate::journal::store::answer_tlvs;
use crate::journal::store::octets::text_of;
use crate::wire::{CommandStatus, StatusClass};
use std::borrow::Cow;
use std::time::Instant;

impl JournalThread {
    /// Writes down one batch.
    pub(in crate::journal) fn came(&mut self, session: i64, batch: &Batch) -> Result<(), JournalError> {
        let now = batch.came_at;
        if !batch.answers.is_empty() || !batch.receipts.is_empty() {
            self.status.last_news = Some(Instant::now());
        }
        self.answers(session, batch, now)?;
        self.status.receipts += batch.receipts.len() as u64;
        let (matcher, mut tx) = self.matching();
        matcher.receipts(&mut tx, batch)?;
        for inbound in &batch.inbound {
            self.inbound(session, inbound, batch, now)?;
        }
        Ok(())
    }

    pub(super) fn answers(&mut self, session: i64, batch: &Batch, now: i64) -> Result<(), JournalError> {
        if batch.answers.is_empty() {
            return Ok(());
        }
        let ids: Vec<Cow<'_, str>> =
            batch.answers.iter().map(|answer| text_of(batch.octets(&answer.message_id))).collect();
        self.store_answers(batch, &ids, now)?;
        let keys: Vec<IdKey> = ids.iter().map(|id| self.matcher.ids.key(id.as_bytes())).collect();
        self.matcher.ids.warm(&keys);
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
        let class = self.claimer.rules.class(status);
        let retry_in = match class {
            StatusClass::Throttled => Some(0),
            StatusClass::Session => Some(0),
            StatusClass::Temporary if answer.excused => Some(0),
            StatusClass::Temporary => self.claimer.rules.delay_ms(status, sent.refused),
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
        self.refusals.note_answer(sent.campaign, outcome == Outcome::Accepted);
        if outcome != Outcome::Accepted && class != StatusClass::Throttled {
            self.refusals.note_refused(Refused { at: now, campaign: sent.campaign, status });
        }
        if sent.late {
            // It was in doubt, and whatever the operator decided meanwhile, the answer beats it.
            if self.sessions.let_go(session, sent.sequence_number) {
                self.claimer.sequence.let_go(sent.sequence_number);
            }
        }
        let key = (!id.is_empty()).then_some(key);
        let (matcher, tx) = self.matching();
        matcher.note_answer(&tx, key, sent)?;
        self.claimer.turns.note_settled(sent);
        match outcome {
            Outcome::Accepted => {
                self.status.accepted += 1;
                if plain {
                    self.counts.shift(sent.campaign, State::Sending, State::Accepted, 1);
                } else {
                    self.counts.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                }
                let (matcher, mut tx) = self.matching();
                matcher.note_accepted(&mut tx, key, sent, plain, now)?;
            }
            Outcome::Retry => {
                self.counts.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                let delay = retry_in.unwrap_or_default();
                if class == StatusClass::Throttled || answer.excused {
                    self.status.throttled += 1;
                    let times = paced_in_a_row(&self.connection, &self.claimer.rules, (sent.attempt, status))?;
                    let delay =
                        if self.refusals.most_are_accepted() { own_delay_ms(times) } else { throttled_delay_ms(times) };
                    self.again(sent, jittered(delay))?;
                } else if class == StatusClass::Session {
                    if let Some(why) = self.refusals.note_unbound(session, status) {
                        self.condemn(None, why)?;
                    }
                    self.again(sent, 0)?;
                } else if sent.is_refused_for_reference(status) {
                    crate::journal::writer::retry_queue::ban_reference(&self.connection, &self.refusals.references)?;
                    self.again(sent, 0)?;
                } else {
                    self.again(&Sent { refused: sent.refused.saturating_add(1), ..*sent }, jittered(delay))?;
                }
            }
            Outcome::Rejected => {
                if plain {
                    self.counts.shift(sent.campaign, State::Sending, State::Rejected, 1);
                } else {
                    self.counts.touch(&self.connection, sent.attempt.part(), State::Sending)?;
                }
                if let Some(why) = self.refusals.note_rejected(sent.campaign, status, class) {
                    // Where it is not the account, it is what this campaign sends.
                    let campaign = (class != StatusClass::Account).then_some(sent.campaign);
                    self.condemn(campaign, why)?;
                }
            }
        }
        Ok(())
    }
}

/// See [`JournalThread::meaning_of`].
struct Meaning {
    class: StatusClass,
    /// In milliseconds; of what was throttled: see [`paced_in_a_row`].
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
