//! What the journal thread does with each event.

use super::portions::GIVEN_BACK;
use super::{Keeper, SessionBook};
use crate::journal::error::JournalError;
use crate::journal::files::write_marks::boot_id;
use crate::journal::model::events::{Sent, SessionFacts, SessionNumber, ToJournal, ToSession};
use crate::journal::model::key::{Attempt, State, TRIES_MAX, Verdict};
use crate::journal::store::notes::set_note;
use crate::journal::writer::recovery;
use crate::journal::writer::recovery::RUN;
use crate::journal::writer::retry_queue::{Waiting, steady_ms};
use crate::platform::clock::now_ms;
use crossbeam_channel::Sender;

impl Keeper {
    pub(super) fn apply(&mut self, event: &ToJournal) -> Result<(), JournalError> {
        match event {
            ToJournal::Open { facts, session, reply } => self.open(facts, session.clone(), reply),
            ToJournal::Came { session, batch } => {
                self.came(*session, batch)?;
                if !batch.acknowledge.is_empty() {
                    self.after_commit(*session, ToSession::Stored(batch.acknowledge.clone()));
                }
                Ok(())
            }
            ToJournal::TimedOut { session, sent } => {
                for &sent in sent {
                    self.sequence.hold(sent.sequence_number);
                    self.held.entry(*session).or_default().insert(sent.sequence_number);
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
                self.sessions.remove(session);
                Ok(())
            }
            ToJournal::Lost { reason, unanswered, unwritten, .. } => self.lost(reason, unanswered, unwritten),
            ToJournal::Closed { session, reason, unanswered, unwritten } => {
                self.lost(reason, unanswered, unwritten)?;
                for number in self.held.remove(session).unwrap_or_default() {
                    self.sequence.let_go(number);
                }
                self.sessions.remove(session);
                self.connection
                    .prepare_cached("UPDATE session SET closed_at = ?2, reason = ?3 WHERE id = ?1")?
                    .execute((session, now_ms(), reason))?;
                Ok(())
            }
            ToJournal::Want { .. } | ToJournal::StopClaiming => Ok(()),
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
                self.next_serial,
                &facts.peer,
                &facts.system_id,
                facts.bind,
                facts.smpp_version,
                facts.sends_reference,
            ))?;
        let id = self.connection.last_insert_rowid();
        self.doubts.note_clock(now);
        set_note(&self.connection, RUN, Some(&format!("{:016x}", self.run)))?;
        self.sessions.insert(id, SessionBook { to: session, wanted: 0, barred: Vec::new(), withdrawing: false });
        // Said after the commit. It is also that of the end of the session before it on this connection, whose mark this
        // one writes over.
        self.opened.push((reply.clone(), SessionNumber { id, serial_before: self.next_serial - 1, run: self.run }));
        Ok(())
    }

    /// An attempt that may have left and was not answered.
    fn doubt(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        if sent.late {
            // Reported when its response timer expired.
            return Ok(());
        }
        self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        let policy = recovery::in_doubt_policy(&self.books, sent.attempt);
        if let Some(delay_ms) = recovery::doubt(&self.connection, sent.attempt, reason, policy, &self.rules)? {
            self.again(&sent, delay_ms)?;
        }
        self.settled(&sent);
        self.note_doubt(sent.attempt)
    }

    /// An attempt is outstanding no more.
    pub(in crate::journal) fn settled(&mut self, sent: &Sent) {
        // One too many must not make it look as if for ever something were under way.
        debug_assert!(self.status.in_flight > 0);
        self.status.in_flight = self.status.in_flight.saturating_sub(1);
        self.generations.settled(sent.generation);
    }

    /// A late answer came: no other can come for that number.
    pub(in crate::journal) fn let_go(&mut self, session: i64, sequence_number: u32) {
        if self.held.get_mut(&session).is_some_and(|held| held.remove(&sequence_number)) {
            self.sequence.let_go(sequence_number);
        }
    }

    /// Whether attempts whose response timer expired may still be answered.
    pub(in crate::journal) fn late_answers_may_come(&self) -> bool {
        self.held.values().any(|held| !held.is_empty())
    }

    /// A claimed attempt that never left.
    fn unwritten(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        crate::journal::store::verdicts::insert_verdict(&self.connection, sent.attempt, Verdict::NotWritten, reason)?;
        self.again(&sent, 0)?;
        self.settled(&sent);
        Ok(())
    }

    /// Puts the part of an attempt on the retry queue.
    pub(in crate::journal) fn again(&mut self, sent: &Sent, delay_ms: i64) -> Result<(), JournalError> {
        let tried = sent.attempt.tried() + 1;
        if tried >= TRIES_MAX {
            let line: i64 = self
                .connection
                .prepare_cached("SELECT line FROM message WHERE id = ?1")?
                .query_row([sent.message], |row| row.get(0))?;
            self.retries.exhaust(sent.campaign, line);
            self.status.exhausted = self.retries.exhausted(&self.books);
            return Ok(());
        }
        self.retries.push(Waiting {
            due_ms: steady_ms() + delay_ms,
            attempt: Attempt::new(sent.attempt.part(), tried),
            message: sent.message,
            campaign: sent.campaign,
            refused: sent.refused,
        });
        Ok(())
    }
}
