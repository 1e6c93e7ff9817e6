//! What the journal thread does with each event.

use super::JournalThread;
use super::inbox::GIVEN_BACK;
use crate::journal::error::JournalError;
use crate::journal::files::write_marks::boot_id;
use crate::journal::model::events::{Sent, SessionFacts, SessionNumber, ToJournal, ToSession};
use crate::journal::model::key::{State, Verdict};
use crate::journal::store::notes::set_note;
use crate::journal::writer::recovery;
use crate::journal::writer::recovery::RUN;
use crate::platform::clock::now_ms;
use crossbeam_channel::Sender;

impl JournalThread {
    pub(super) fn apply(&mut self, event: &ToJournal) -> Result<(), JournalError> {
        match event {
            ToJournal::Open { facts, session, reply } => self.open(facts, session.clone(), reply),
            // Without room no receipt is acknowledged: the SMSC keeps it, and sends it again.
            ToJournal::Came { session, batch } if self.status.full.is_some() => {
                self.answers(*session, batch, batch.came_at)?;
                if !batch.acknowledge.is_empty() {
                    self.sessions.after_commit(*session, ToSession::NotStored(batch.acknowledge.clone()));
                }
                Ok(())
            }
            ToJournal::Came { session, batch } => {
                self.came(*session, batch)?;
                if !batch.acknowledge.is_empty() {
                    self.sessions.after_commit(*session, ToSession::Stored(batch.acknowledge.clone()));
                }
                Ok(())
            }
            ToJournal::TimedOut { session, sent } => {
                for &sent in sent {
                    self.claimer.sequence.hold(sent.sequence_number);
                    self.sessions.hold(*session, sent.sequence_number);
                    self.doubt(sent, "no answer within the response timeout")?;
                }
                Ok(())
            }
            ToJournal::Withdrawn { sent, reason, .. } => {
                for &sent in sent {
                    self.unwritten(sent, reason)?;
                }
                Ok(())
            }
            ToJournal::GaveBack { sent, .. } => {
                for &sent in sent {
                    self.unwritten(sent, GIVEN_BACK)?;
                }
                Ok(())
            }
            ToJournal::Closing { session } => {
                self.sessions.close(*session);
                Ok(())
            }
            ToJournal::Lost { reason, unanswered, unwritten, .. } => self.lost(reason, unanswered, unwritten),
            ToJournal::Closed { session, reason, unanswered, unwritten } => {
                self.lost(reason, unanswered, unwritten)?;
                for number in self.sessions.let_go_all(*session) {
                    self.claimer.sequence.let_go(number);
                }
                self.sessions.close(*session);
                self.connection
                    .prepare_cached("UPDATE session SET closed_at = ?2, reason = ?3 WHERE id = ?1")?
                    .execute((session, now_ms(), reason))?;
                Ok(())
            }
            ToJournal::Told { told } => told.iter().try_for_each(|told| self.told(told)),
            ToJournal::Untold { operations, why, is_late } => self.untold(operations, why, *is_late),
            ToJournal::Unasked { operations } => self.unasked(operations),
            ToJournal::Want { .. } | ToJournal::WantAsks { .. } | ToJournal::StopClaiming => Ok(()),
            ToJournal::Renew(renewed) => {
                self.words.opt_out.clone_from(&renewed.opt_out_words);
                self.words.opt_in.clone_from(&renewed.opt_in_words);
                self.inbox.set_gather(renewed.gather);
                Ok(())
            }
            ToJournal::Reloaded(answer) => self.answer_reloads(answer),
        }
    }

    /// What a session left when it ended.
    fn lost(&mut self, reason: &str, unanswered: &[Sent], unwritten: &[Sent]) -> Result<(), JournalError> {
        for &sent in unanswered {
            self.doubt(sent, reason)?;
        }
        for &sent in unwritten {
            self.unwritten(sent, reason)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        facts: &SessionFacts,
        session: Sender<ToSession>,
        reply: &Sender<SessionNumber>,
    ) -> Result<(), JournalError> {
        let now = now_ms();
        self.connection
            .prepare_cached(
                "INSERT INTO session (opened_at, boot_id, first_serial, peer, system_id, bind, smpp_version,
                                      sends_reference)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                now,
                boot_id(),
                self.claimer.next_serial,
                &facts.peer,
                &facts.system_id,
                facts.bind,
                facts.smpp_version,
                facts.sends_reference,
            ))?;
        let id = self.connection.last_insert_rowid();
        self.matcher.doubts.note_clock(now);
        set_note(&self.connection, RUN, Some(&format!("{:016x}", self.sessions.run)))?;
        let number = SessionNumber { id, serial_before: self.claimer.next_serial - 1, run: self.sessions.run };
        self.sessions.open(number, facts.takes_tlvs, session, reply.clone());
        Ok(())
    }

    /// An attempt that may have left and was not answered.
    fn doubt(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        if sent.late {
            // Reported when its response timer expired.
            return Ok(());
        }
        self.counts.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        self.claimer.turns.note_settled(&sent);
        let policy = recovery::in_doubt_policy(&self.counts, sent.attempt);
        if let Some(delay_ms) = recovery::doubt(&self.connection, sent.attempt, reason, policy, &self.claimer.rules)? {
            self.again(&sent, delay_ms)?;
        }
        let (matcher, tx) = self.matching();
        matcher.note_unanswered(&tx, &sent)
    }

    /// A claimed attempt that never left.
    fn unwritten(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        self.counts.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        crate::journal::store::verdicts::insert_verdict(&self.connection, sent.attempt, Verdict::NotWritten, reason)?;
        self.claimer.note_unwritten(&sent);
        self.again(&sent, 0)?;
        self.matcher.outstanding.settled(sent.generation);
        Ok(())
    }

    /// Puts the part of an attempt on the retry queue.
    pub(super) fn again(&mut self, sent: &Sent, delay_ms: i64) -> Result<(), JournalError> {
        self.claimer.again(&self.connection, sent, delay_ms)
    }
}
