//! Claims: intents to send, each given serials and sequence numbers, committed before anything of them is written.

use crate::journal::error::JournalError;
use crate::journal::model::events::{Chunk, Item, Run, ToSession};
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::store::history::MessageFacts;
use crate::journal::writer::Keeper;
use crate::journal::writer::retry_queue::steady_ms;
use crate::platform::clock::now_ms;
use std::sync::Arc;
use std::time::Duration;

/// Parts given up in one transaction because their time has passed, at least: after so many the next one goes on.
const PASSED_PER_COMMIT_MAX: usize = 2_048;

impl Keeper {
    /// Whether the last transaction stopped short of what it could claim, so that the next one need not wait.
    pub(in crate::journal) fn has_more_to_pass_by(&self) -> bool {
        self.passed_by >= PASSED_PER_COMMIT_MAX
            && self.claiming
            && self.chunk.is_some()
            && self.sessions.values().any(|session| session.wanted > 0)
    }

    /// Claims what sessions want and there is, the retry queue first.
    pub(in crate::journal) fn serve(&mut self) -> Result<(), JournalError> {
        let now = now_ms();
        self.passed_by = 0;
        let sessions: Vec<i64> =
            self.sessions.iter().filter(|(_, book)| book.wanted > 0).map(|(&session, _)| session).collect();
        if !sessions.is_empty() {
            self.generations.begin();
        }
        for session in sessions {
            let wanted = self.sessions.get(&session).map_or(0, |book| book.wanted);
            let mut runs = Vec::new();
            let mut claimed = 0;
            while claimed < wanted && self.passed_by < PASSED_PER_COMMIT_MAX {
                let Some(chunk) = self.retry_chunk(wanted - claimed, steady_ms())? else { break };
                claimed += self.claim(session, &Arc::new(chunk), 0, usize::MAX, now, &mut runs)?.1;
            }
            while claimed < wanted && self.passed_by < PASSED_PER_COMMIT_MAX {
                let Some((chunk, at)) = self.next_chunk()? else { break };
                let (next, count) = self.claim(session, &chunk, at, wanted - claimed, now, &mut runs)?;
                claimed += count;
                self.chunk = (next < chunk.items.len()).then_some((chunk, next));
            }
            if claimed > 0 {
                self.status.in_flight += claimed;
                self.generations.claimed(claimed);
                if let Some(book) = self.sessions.get_mut(&session) {
                    book.wanted = 0;
                }
                self.after_commit(session, ToSession::Send(runs));
            }
        }
        Ok(())
    }

    /// Claims up to `wanted` items of a chunk (whole messages only) from index `at` on. Returns the index after them, and
    /// how many there were.
    fn claim(
        &mut self,
        session: i64,
        chunk: &Arc<Chunk>,
        mut at: usize,
        wanted: usize,
        now: i64,
        runs: &mut Vec<Run>,
    ) -> Result<(usize, usize), JournalError> {
        let items = &chunk.items;
        let mut claimed = 0;
        // Whole messages only, so that the parts of one go over one session.
        let within = |at: usize| at > 0 && items[at].message == items[at - 1].message;
        while at < items.len() && (claimed < wanted || within(at)) {
            if self.is_barred(&items[at], chunk.again)? {
                let message = items[at].message;
                at += items[at..].iter().take_while(|item| item.message == message).count();
                continue;
            }
            if items[at].passes_at <= now {
                let message = items[at].message;
                let from = at;
                at += items[at..].iter().take_while(|item| item.message == message).count();
                self.pass_by(&items[from..at], now)?;
                continue;
            }
            // A run: consecutive parts of messages that may go, as far as numbers last.
            let start = at;
            let (first, room) = self.sequence.peek();
            while at < items.len() && at - start < room {
                let item = &items[at];
                let follows = |before: &Item| {
                    item.campaign == before.campaign && item.attempt.0 - before.attempt.0 == Attempt::new(1, 0).0
                };
                if at > start && !follows(&items[at - 1]) {
                    break;
                }
                let begins = at == start || item.message != items[at - 1].message;
                let is_over = |keeper: &mut Self| -> Result<bool, JournalError> {
                    let is_enough = claimed + at - start >= wanted || item.passes_at <= now;
                    Ok(is_enough || keeper.is_barred(item, chunk.again)?)
                };
                if begins && at > start && is_over(self)? {
                    break;
                }
                at += 1;
            }
            let count = at - start;
            self.sequence.take(count);
            self.write_claim(session, &items[start..at], first, now)?;
            runs.push(Run {
                chunk: Arc::clone(chunk),
                items: start..at,
                first_serial: self.next_serial,
                first_sequence_number: first,
                generation: self.generations.current(),
            });
            self.next_serial += count as i64;
            claimed += count;
        }
        Ok((at, claimed))
    }

    /// Gives up items of one message whose time has passed. What of them may have arrived already stays in doubt.
    fn pass_by(&mut self, items: &[Item], now: i64) -> Result<(), JournalError> {
        let Some(first) = items.first() else { return Ok(()) };
        self.passed_by += items.len();
        let reason = crate::journal::writer::read_ahead::what_passed(&self.connection, first.message, now)?;
        self.books.touch(&self.connection, first.attempt.part(), State::Queued)?;
        // Of a message that was never begun one part speaks for all.
        let items = if first.attempt.tried() == 0 { &items[..1] } else { items };
        for item in items {
            let facts = MessageFacts::load(&self.connection, item.message, item.parts)?;
            let attempts = facts.parts.get((item.attempt.part() - item.message) as usize);
            let mut in_doubt = false;
            for (tried, _) in
                attempts.map(|attempts| crate::journal::model::state::doubts(attempts)).into_iter().flatten()
            {
                in_doubt = true;
                let attempt = Attempt::new(item.attempt.part(), tried);
                let reason = format!("no answer, and not sent again: {reason}");
                crate::journal::store::verdicts::insert_verdict(&self.connection, attempt, Verdict::InDoubt, &reason)?;
            }
            if !in_doubt {
                crate::journal::store::verdicts::insert_verdict(
                    &self.connection,
                    item.attempt,
                    Verdict::Abandon,
                    &reason,
                )?;
            }
        }
        Ok(())
    }

    fn write_claim(
        &mut self,
        session: i64,
        items: &[Item],
        first_sequence_number: u32,
        now: i64,
    ) -> Result<(), JournalError> {
        let Some(first) = items.first() else { return Ok(()) };
        crate::platform::failpoint::reach("claim")?;
        self.connection
            .prepare_cached(
                "INSERT INTO claim (first_serial, try, first_part, parts, first_message, session_id,
                                    first_sequence_number, claimed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                self.next_serial,
                first.attempt.tried(),
                first.attempt.part(),
                items.len() as i64,
                first.message,
                session,
                first_sequence_number,
                now,
            ))?;
        let mut plain = 0;
        let mut campaign = first.campaign;
        for item in items {
            if item.campaign != campaign {
                self.books.shift(campaign, State::Queued, State::Sending, plain);
                self.books.note_sent(campaign, now);
                (plain, campaign) = (0, item.campaign);
            }
            if item.is_plain() {
                plain += 1;
            } else {
                self.books.touch(&self.connection, item.attempt.part(), State::Queued)?;
            }
        }
        self.books.shift(campaign, State::Queued, State::Sending, plain);
        self.books.note_sent(campaign, now);
        Ok(())
    }

    /// Whether the message must not be claimed: its campaign is cancelled, or its number is suppressed.
    fn is_barred(&mut self, item: &Item, again: bool) -> Result<bool, JournalError> {
        if self.books.campaign(item.campaign).is_none_or(|campaign| campaign.cancelled) {
            return Ok(true);
        }
        if !self.cancelled.is_empty() && self.cancelled.contains(&item.message) {
            return Ok(true);
        }
        // What is tried again was looked at when it was taken from its queue.
        if again || self.suppressed.is_empty() || !self.suppressed.contains(item.destination) {
            return Ok(false);
        }
        crate::journal::store::decisions::suppress_message(
            &self.connection,
            &mut self.books,
            item.campaign,
            item.message,
        )?;
        Ok(true)
    }

    /// Parts of the retry queue that are due, encoded: as many as are wanted, and the rest of the last one's message.
    fn retry_chunk(&mut self, wanted: usize, now: i64) -> Result<Option<Chunk>, JournalError> {
        let mut chunk = Chunk { again: true, ..Chunk::default() };
        let mut last = None;
        while chunk.items.len() < wanted || self.retries.is_next_of(last, now) {
            let Some(waiting) = self.retries.pop_due(now) else { break };
            if self.books.campaign(waiting.campaign).is_none_or(|campaign| campaign.cancelled) {
                continue;
            }
            last = Some(waiting.message);
            // Looked up again, since a late answer or a receipt may have settled it while it waited.
            let Some((message, parts)) =
                crate::journal::store::history::message_of(&self.connection, waiting.attempt.part())?
            else {
                continue;
            };
            let facts = MessageFacts::load(&self.connection, message, parts)?;
            let part = (waiting.attempt.part() - message) as usize;
            if facts.next_attempt(part) != waiting.attempt
                || !crate::journal::model::state::is_to_send(&facts.parts[part])
                || !crate::journal::model::state::may_go_on(&facts.parts)
            {
                continue;
            }
            let before = chunk.items.len();
            crate::journal::writer::read_ahead::encode_again(
                &self.connection,
                &self.books,
                &waiting,
                message,
                &mut chunk,
            )?;
            let number = chunk.items.last().map_or(0, |item| item.destination);
            // A message that was begun is completed; one of which nothing is known to be taken is not.
            if self.suppressed.contains(number) && crate::journal::model::state::is_not_begun(&facts.parts) {
                chunk.items.truncate(before);
                // Given back in this very transaction, it is counted as on its way still.
                if self.books.is_touched(message) {
                    self.books.settle(&self.connection)?;
                }
                crate::journal::store::decisions::suppress_again(
                    &self.connection,
                    &mut self.books,
                    waiting.campaign,
                    &facts,
                )?;
            }
        }
        Ok((!chunk.items.is_empty()).then_some(chunk))
    }

    /// The chunk to claim from, without waiting for one.
    fn next_chunk(&mut self) -> Result<Option<(Arc<Chunk>, usize)>, JournalError> {
        if self.chunk.is_none()
            && let Some(feeder) = &self.feeder
        {
            match feeder.chunks().try_recv() {
                Ok(chunk) => self.take_chunk(Some(chunk))?,
                Err(crossbeam_channel::TryRecvError::Empty) => {}
                Err(crossbeam_channel::TryRecvError::Disconnected) => self.take_chunk(None)?,
            }
        }
        Ok(self.chunk.take())
    }

    /// A chunk from the feeder; `None`: it is through, or failed.
    pub(in crate::journal) fn take_chunk(
        &mut self,
        chunk: Option<Result<Chunk, JournalError>>,
    ) -> Result<(), JournalError> {
        match chunk {
            Some(chunk) => self.chunk = Some((Arc::new(chunk?), 0)),
            None => self.feeder = None,
        }
        Ok(())
    }

    pub(in crate::journal) fn may_claim(&mut self) -> Result<bool, JournalError> {
        if !self.claiming || !self.sessions.values().any(|session| session.wanted > 0) {
            return Ok(false);
        }
        if self.retries.due_in(steady_ms()) == Some(Duration::ZERO) {
            return Ok(true);
        }
        self.chunk = self.next_chunk()?;
        Ok(self.chunk.is_some())
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::model::events::ToJournal;
    use crate::journal::testkit::bench::Bench;

    #[test]
    fn the_parts_of_a_message_go_over_one_session_again_too() {
        let mut bench = Bench::new(&[("491700000001", 3), ("491700000002", 3)], Hold);
        let session = bench.open_session();
        let unwritten = bench.send(session, 6);
        bench.tell(ToJournal::Closed { session, reason: "cut".into(), unanswered: Vec::new(), unwritten });
        let sessions = [bench.open_session(), bench.open_session()];
        let again: Vec<Vec<i64>> = sessions
            .iter()
            .map(|&session| bench.send(session, 1).iter().map(|sent| sent.attempt.part()).collect())
            .collect();
        assert_eq!(again, [[1, 2, 3], [4, 5, 6]]);
    }
}
