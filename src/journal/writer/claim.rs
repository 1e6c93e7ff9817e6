//! Claims: intents to send, each given serials and sequence numbers, committed before anything of them is written.

mod purses;

use super::read_ahead::Read;
use super::retry_queue::{self, Waiting, backlog, steady_ms};
use super::sessions::Sessions;
use super::turns::{Planned, Turns};
use crate::journal::error::JournalError;
use crate::journal::model::events::{Chunk, Item, Run, Sent, ToSession};
use crate::journal::model::key::{Attempt, State, TRIES_MAX, Verdict};
use crate::journal::model::outstanding::Outstanding;
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::model::sequence::Sequence;
use crate::journal::store::budget::{Purse, Reckoning};
use crate::journal::store::claims::{self, Claimed};
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use crate::journal::store::part_encoder::Again;
use crate::journal::store::suppression::Suppressions;
use crate::platform::clock::now_ms;
use crossbeam_channel::{Receiver, never};
use hashbrown::{HashMap, HashSet};
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use std::time::Duration;

/// Parts given up in one transaction because their time has passed, at least: after so many the next one goes on.
const PASSED_PER_COMMIT_MAX: usize = 2_048;

/// What may be claimed next, and what must not.
/// One thing: a claim is decided from all of it at once, and a lost transaction resets it as a whole.
pub(in crate::journal) struct Claimer {
    /// Whose turn it is, and what it has.
    pub(super) turns: Turns,
    /// What statuses mean.
    pub(super) rules: Arc<RetryRules>,
    pub(super) sequence: Sequence,
    pub(super) next_serial: i64,
    /// The campaigns that are sent.
    pub(super) active: Vec<u32>,
    /// The same, to ask for one.
    pub(super) is_active: HashSet<u32>,
    /// Those of them of which nothing more goes in this run: their last moment has come, or their first was missed.
    pub(super) closed: HashSet<u32>,
    /// Those of them that wait for their hours.
    pub(super) shut: HashSet<u32>,
    /// Messages of a campaign from this one on are not sent in this run.
    pub(super) limit_end: HashMap<u32, i64>,
    /// Nothing is claimed any more once this is cleared.
    pub(super) claiming: bool,
    /// Messages that were cancelled one by one while this sends: they may be read ahead.
    pub(super) cancelled: HashSet<i64>,
    pub(super) suppressed: Suppressions,
    /// What campaigns may cost, of those that have a limit.
    pub(super) purses: HashMap<u32, Purse>,
    /// Those of which it is added up what they have cost: nothing of them goes meanwhile.
    reckonings: HashMap<u32, Reckoning>,
    /// Which campaigns send no more since it would cost more than they may, in words, and of how many that was said.
    over_budget: (usize, Option<String>),
    /// It is a service, which holds a campaign where a run would end.
    pub(super) serves: bool,
    /// Campaigns that are to be held, and why.
    pub(super) to_hold: Vec<(u32, String)>,
    /// Those of them that carry optional parameters, which a session cannot.
    pub(super) without_tlvs: HashSet<u32>,
    /// Parts that the last claims passed by, since their time had passed.
    passed_by: usize,
}

/// Claims under way for one session: in which transaction, and what they are so far.
struct Grant<'t> {
    connection: &'t Connection,
    counts: &'t mut Counts,
    session: i64,
    now: i64,
    generation: u32,
    /// Optional parameters cannot go.
    lacks_tlvs: bool,
    runs: Vec<Run>,
}

impl Claimer {
    /// Claims nothing yet, and goes on after the attempt that was claimed last.
    pub(super) fn load(connection: &Connection) -> Result<Self, JournalError> {
        let last: Option<(i64, u32)> = connection
            .query_row(
                "SELECT first_serial + parts, first_sequence_number + parts - 1 FROM claim
                  ORDER BY first_serial DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (next_serial, last_number) = last.unwrap_or((1, 0));
        Ok(Self {
            turns: Turns::default(),
            rules: Arc::default(),
            sequence: Sequence::after(last_number),
            next_serial,
            active: Vec::new(),
            is_active: HashSet::new(),
            closed: HashSet::new(),
            shut: HashSet::new(),
            limit_end: HashMap::new(),
            claiming: false,
            cancelled: HashSet::new(),
            suppressed: Suppressions::load(connection)?,
            purses: HashMap::new(),
            reckonings: HashMap::new(),
            over_budget: (0, None),
            serves: false,
            to_hold: Vec::new(),
            without_tlvs: HashSet::new(),
            passed_by: 0,
        })
    }

    /// Lets a campaign go, where nothing stands against it.
    pub(super) fn set_open(&mut self, index: u32) {
        let waits = self.closed.contains(&index) || self.shut.contains(&index) || self.reckonings.contains_key(&index);
        let is_to_be_held = self.to_hold.iter().any(|(held, _)| *held == index);
        self.turns.set_open(index, self.is_active.contains(&index) && !waits && !is_to_be_held);
    }

    /// Whether the last transaction stopped short of what it could claim, so that the next one need not wait.
    pub(super) fn has_more_to_pass_by(&mut self, sessions: &Sessions) -> bool {
        self.passed_by >= PASSED_PER_COMMIT_MAX && self.claiming && sessions.some_want() && self.turns.can_go()
    }

    /// Where the next chunk comes from, if one is waited for.
    pub(super) fn feed(&self, sessions: &Sessions) -> Receiver<Result<Read, JournalError>> {
        match self.turns.lanes.chunks() {
            Some(chunks) if self.claiming && sessions.some_want() => chunks.clone(),
            _ => never(),
        }
    }

    /// Whether nothing is left to claim.
    pub(in crate::journal) fn is_through(&self) -> bool {
        self.turns.is_through()
    }

    /// Claims what sessions want and there is. Whose it is, the shares say; of what is due to be tried again of a campaign and what
    /// is new of it, as much of each: parts that are refused each time do not keep the others.
    pub(super) fn claim_for_sessions(
        &mut self,
        connection: &Connection,
        counts: &mut Counts,
        sessions: &mut Sessions,
        outstanding: &mut Outstanding,
    ) -> Result<(), JournalError> {
        let now = now_ms();
        self.passed_by = 0;
        let wanting = sessions.wanting();
        if !wanting.is_empty() {
            outstanding.begin();
        }
        let wanted: usize = wanting.iter().map(|(_, wanted)| wanted).sum();
        self.turns.shares.set_slots(outstanding.total() + wanted);
        // A run does not bind where they are needed and cannot go.
        let lacks_tlvs = self.serves && !wanting.is_empty() && sessions.some_lack_tlvs();
        for (session, wanted) in wanting {
            let generation = outstanding.current();
            let runs = Vec::new();
            let mut grant = Grant { connection, counts: &mut *counts, session, now, generation, lacks_tlvs, runs };
            let mut claimed = 0;
            while claimed < wanted && self.passed_by < PASSED_PER_COMMIT_MAX {
                let plan = self.turns.plan(wanted - claimed);
                let is_over = plan.is_empty();
                claimed += self.claim_planned(&mut grant, &plan)?;
                self.turns.put_aside(plan);
                if is_over {
                    break;
                }
            }
            let runs = grant.runs;
            if claimed > 0 {
                outstanding.claimed(claimed);
                sessions.want(session, 0);
                sessions.after_commit(session, ToSession::Send(runs));
            }
        }
        self.turns.read_on()
    }

    /// Claims what is planned. Returns how many parts there were: less where something was passed by, or is not there.
    fn claim_planned(&mut self, grant: &mut Grant<'_>, plan: &[Planned]) -> Result<usize, JournalError> {
        let mut total = 0;
        for planned in plan {
            let claimed = if planned.parts == 0 { 0 } else { self.claim_of(grant, planned.campaign, planned.parts)? };
            self.turns.note_claimed(planned, claimed, queued(grant.counts, planned.campaign));
            total += claimed;
        }
        Ok(total)
    }

    /// Claims so many parts of a campaign: what is due to be tried again, and what is new.
    fn claim_of(&mut self, grant: &mut Grant<'_>, campaign: u32, wanted: usize) -> Result<usize, JournalError> {
        let retries = self.turns.share_of_retries(campaign, wanted);
        let mut claimed = self.claim_again(grant, campaign, retries)?;
        while claimed < wanted && self.passed_by < PASSED_PER_COMMIT_MAX {
            let Some((chunk, at)) = self.turns.lanes.first(campaign) else { break };
            let (next, count) = self.claim(grant, &chunk, at, wanted - claimed)?;
            claimed += count;
            self.turns.lanes.claimed(campaign, next);
            self.turns.take_ready()?;
        }
        claimed += self.claim_again(grant, campaign, wanted.saturating_sub(claimed))?;
        Ok(claimed)
    }

    /// Claims so many of a campaign that are due to be tried again. Returns how many there were.
    fn claim_again(&mut self, grant: &mut Grant<'_>, campaign: u32, wanted: usize) -> Result<usize, JournalError> {
        let mut claimed = 0;
        while claimed < wanted && self.passed_by < PASSED_PER_COMMIT_MAX {
            let Some(chunk) = self.retry_chunk(grant, campaign, wanted - claimed, steady_ms())? else { break };
            claimed += self.claim(grant, &Arc::new(chunk), 0, usize::MAX)?.1;
        }
        Ok(claimed)
    }

    /// Claims up to `wanted` items of a chunk (whole messages only) from index `at` on. Returns the index after them, and
    /// how many there were.
    fn claim(
        &mut self,
        grant: &mut Grant<'_>,
        chunk: &Arc<Chunk>,
        mut at: usize,
        wanted: usize,
    ) -> Result<(usize, usize), JournalError> {
        let items = &chunk.items;
        let mut claimed = 0;
        // Whole messages only, so that the parts of one go over one session.
        let within = |at: usize| at > 0 && items[at].message == items[at - 1].message;
        while at < items.len() && (claimed < wanted || within(at)) {
            if self.is_barred(grant, &items[at], chunk.again)? || !self.affords(items, at) {
                let message = items[at].message;
                at += items[at..].iter().take_while(|item| item.message == message).count();
                continue;
            }
            if items[at].passes_at <= grant.now {
                let message = items[at].message;
                let from = at;
                at += items[at..].iter().take_while(|item| item.message == message).count();
                self.pass_by(grant, &items[from..at])?;
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
                let is_enough = claimed + at - start >= wanted || item.passes_at <= grant.now;
                if begins
                    && at > start
                    && (is_enough || self.is_barred(grant, item, chunk.again)? || !self.affords(items, at))
                {
                    break;
                }
                self.pay(items, at);
                at += 1;
            }
            let count = at - start;
            self.sequence.take(count);
            self.write_claim(grant, &items[start..at], first)?;
            grant.runs.push(Run {
                chunk: Arc::clone(chunk),
                items: start..at,
                first_serial: self.next_serial,
                first_sequence_number: first,
                generation: grant.generation,
            });
            self.next_serial += count as i64;
            claimed += count;
        }
        Ok((at, claimed))
    }

    /// Gives up items of one message whose time has passed. What of them may have arrived already stays in doubt.
    fn pass_by(&mut self, grant: &mut Grant<'_>, items: &[Item]) -> Result<(), JournalError> {
        let Some(first) = items.first() else { return Ok(()) };
        self.passed_by += items.len();
        let reason = crate::journal::store::part_encoder::what_passed(grant.connection, first.message, grant.now)?;
        grant.counts.touch(grant.connection, first.attempt.part(), State::Queued)?;
        // Of a message that was never begun one part speaks for all.
        let items = if first.attempt.tried() == 0 { &items[..1] } else { items };
        for item in items {
            let facts = MessageFacts::load(grant.connection, item.message, item.parts)?;
            let attempts = facts.parts.get((item.attempt.part() - item.message) as usize);
            let mut in_doubt = false;
            for (tried, _) in
                attempts.map(|attempts| crate::journal::model::state::doubts(attempts)).into_iter().flatten()
            {
                in_doubt = true;
                let attempt = Attempt::new(item.attempt.part(), tried);
                let reason = format!("no answer, and not sent again: {reason}");
                crate::journal::store::verdicts::insert_verdict(grant.connection, attempt, Verdict::InDoubt, &reason)?;
            }
            if !in_doubt {
                crate::journal::store::verdicts::insert_verdict(
                    grant.connection,
                    item.attempt,
                    Verdict::Abandon,
                    &reason,
                )?;
            }
        }
        Ok(())
    }

    fn write_claim(
        &self,
        grant: &mut Grant<'_>,
        items: &[Item],
        first_sequence_number: u32,
    ) -> Result<(), JournalError> {
        let Some(first) = items.first() else { return Ok(()) };
        crate::platform::failpoint::reach("claim")?;
        let claimed = Claimed {
            first: first.attempt,
            parts: items.len() as i64,
            message: first.message,
            serial: self.next_serial,
            sequence_number: first_sequence_number,
            session: grant.session,
            at: grant.now,
        };
        claims::insert(grant.connection, &claimed)?;
        let mut plain = 0;
        let mut campaign = first.campaign;
        for item in items {
            if item.campaign != campaign {
                grant.counts.shift(campaign, State::Queued, State::Sending, plain);
                grant.counts.note_sent(campaign, grant.now);
                (plain, campaign) = (0, item.campaign);
            }
            if item.is_plain() {
                plain += 1;
            } else {
                grant.counts.touch(grant.connection, item.attempt.part(), State::Queued)?;
            }
        }
        grant.counts.shift(campaign, State::Queued, State::Sending, plain);
        grant.counts.note_sent(campaign, grant.now);
        Ok(())
    }

    /// Whether the message must not be claimed: its campaign is cancelled, or its number is suppressed.
    fn is_barred(&mut self, grant: &mut Grant<'_>, item: &Item, again: bool) -> Result<bool, JournalError> {
        if grant.counts.campaign(item.campaign).is_none_or(|campaign| campaign.cancelled) {
            return Ok(true);
        }
        if !self.cancelled.is_empty() && self.cancelled.contains(&item.message) {
            return Ok(true);
        }
        if grant.lacks_tlvs && self.is_without_tlvs(item) {
            return Ok(true);
        }
        // What is tried again was looked at when it was taken from its queue.
        if again || self.suppressed.is_empty() || !self.suppressed.contains(item.destination) {
            return Ok(false);
        }
        crate::journal::store::decisions::suppress_message(
            grant.connection,
            grant.counts,
            item.campaign,
            item.message,
        )?;
        Ok(true)
    }

    /// Whether the campaign of a message cannot go since some of its messages carry optional parameters, which would be left out.
    #[cold]
    fn is_without_tlvs(&mut self, item: &Item) -> bool {
        if item.has_tlvs && self.without_tlvs.insert(item.campaign) {
            let why = "its messages carry optional parameters, which a session that is bound cannot take: SMPP 3.3 has none, or \
                       the SMSC does not announce them, or --tlvs no forbids them. If the provider says that it takes them all \
                       the same, start the service with --tlvs yes; else cancel it, and import it with --concat udh8 and \
                       without them";
            self.to_hold.push((item.campaign, why.into()));
        }
        self.without_tlvs.contains(&item.campaign)
    }

    /// Parts of the campaign's retry queue that are due, encoded: as many as are wanted, and the rest of the last one's message.
    fn retry_chunk(
        &mut self,
        grant: &mut Grant<'_>,
        campaign: u32,
        wanted: usize,
        now: i64,
    ) -> Result<Option<Chunk>, JournalError> {
        let mut chunk = Chunk { again: true, ..Chunk::default() };
        let mut last = None;
        while chunk.items.len() < wanted || self.turns.retries.is_next_of(campaign, last, now) {
            let Some(waiting) = self.turns.retries.pop_due(campaign, now) else { break };
            if grant.counts.campaign(waiting.campaign).is_none_or(|campaign| campaign.cancelled) {
                continue;
            }
            last = Some(waiting.message);
            // Looked up again, since a late answer or a receipt may have settled it while it waited.
            let Some((message, parts)) =
                crate::journal::store::history::message_of(grant.connection, waiting.attempt.part())?
            else {
                continue;
            };
            let facts = MessageFacts::load(grant.connection, message, parts)?;
            let part = (waiting.attempt.part() - message) as usize;
            if facts.next_attempt(part) != waiting.attempt
                || !crate::journal::model::state::is_to_send(&facts.parts[part])
                || !crate::journal::model::state::may_go_on(&facts.parts)
            {
                continue;
            }
            let before = chunk.items.len();
            let completes = crate::journal::model::state::completes(&facts.parts, part);
            let (attempt, campaign, refused) = (waiting.attempt, waiting.campaign, waiting.refused);
            crate::journal::store::part_encoder::encode_again(
                grant.connection,
                grant.counts,
                Again { attempt, campaign, refused, completes },
                message,
                &mut chunk,
            )?;
            let number = chunk.items.last().map_or(0, |item| item.destination);
            // A message that was begun is completed; one of which nothing is known to be taken is not.
            if self.suppressed.contains(number) && crate::journal::model::state::is_not_begun(&facts.parts) {
                chunk.items.truncate(before);
                // Given back in this very transaction, it is counted as on its way still.
                if grant.counts.is_touched(message) {
                    grant.counts.settle(grant.connection)?;
                }
                crate::journal::store::decisions::suppress_again(
                    grant.connection,
                    grant.counts,
                    waiting.campaign,
                    &facts,
                )?;
            }
        }
        Ok((!chunk.items.is_empty()).then_some(chunk))
    }

    /// Has more read of the campaigns that have a place, and takes what is there.
    pub(super) fn read_on(&mut self) -> Result<(), JournalError> {
        self.turns.take_ready()?;
        if self.claiming { self.turns.read_on() } else { Ok(()) }
    }

    /// Whether sessions want something and there is something.
    pub(super) fn may_claim(&mut self, sessions: &Sessions) -> Result<bool, JournalError> {
        if !self.claiming || !sessions.some_want() {
            return Ok(false);
        }
        self.turns.take_ready()?;
        Ok(self.turns.can_go())
    }

    /// How long until a campaign can send that a session wants something of.
    pub(super) fn can_go_in(&self, sessions: &Sessions) -> Option<Duration> {
        if self.claiming && sessions.some_want() { self.turns.can_go_in() } else { None }
    }

    /// A claimed attempt never left: it is not paid for, neither of the budget nor of the campaign's share.
    pub(super) fn note_unwritten(&mut self, sent: &Sent) {
        self.turns.note_unwritten(sent);
        if let Some(reckoning) = self.reckonings.get_mut(&sent.campaign) {
            reckoning.note_unwritten(sent.attempt);
        }
        if let Some(purse) = self.purses.get_mut(&sent.campaign) {
            purse.keep(sent.attempt.part());
        }
    }

    /// Puts the part of an attempt on the retry queue; where no more tries of it can be recorded, notes that.
    pub(super) fn again(&mut self, connection: &Connection, sent: &Sent, delay_ms: i64) -> Result<(), JournalError> {
        let tried = sent.attempt.tried() + 1;
        if self.closed.contains(&sent.campaign) || !self.is_active.contains(&sent.campaign) {
            // Read from the journal when it goes on.
            return Ok(());
        }
        if tried >= TRIES_MAX {
            let line: i64 = connection
                .prepare_cached("SELECT line FROM message WHERE id = ?1")?
                .query_row([sent.message], |row| row.get(0))?;
            self.turns.retries.exhaust(sent.campaign, line);
            return Ok(());
        }
        self.turns.push(Waiting {
            due_ms: steady_ms() + delay_ms,
            attempt: Attempt::new(sent.attempt.part(), tried),
            message: sent.message,
            campaign: sent.campaign,
            refused: sent.refused,
        });
        Ok(())
    }

    /// Whether something is being read that can be claimed then.
    #[cfg(test)]
    pub(in crate::journal) fn is_reading(&self) -> bool {
        self.turns.is_reading()
    }

    /// Lets all that waits to be tried again be due.
    #[cfg(test)]
    pub(in crate::journal) fn hasten(&mut self) {
        self.turns.retries.hasten();
        self.active.iter().for_each(|&campaign| self.turns.note_ready(campaign));
    }

    /// Has the next transactions put on the retry queue what the journal says is to be tried again.
    pub(super) fn load_retries(&mut self, counts: &Counts) {
        backlog::begin(counts, &self.active, &self.limit_end, &mut self.turns.retries);
    }

    /// Whether messages are to be looked at for that.
    pub(super) fn has_backlog(&self) -> bool {
        self.claiming && backlog::wants_more(&self.turns.retries)
    }

    /// Looks at some of them.
    pub(super) fn load_backlog(&mut self, connection: &Connection, counts: &Counts) -> Result<(), JournalError> {
        if self.has_backlog() {
            for campaign in backlog::load_on(connection, counts, &self.rules, &mut self.turns.retries)? {
                self.turns.note_ready(campaign);
            }
        }
        Ok(())
    }

    /// Messages that were cancelled one by one are to be sent after all. Where they were passed by, the feeder is beyond them; what
    /// it has at hand was read without them.
    pub(super) fn bring_back(
        &mut self,
        connection: &Connection,
        counts: &Counts,
        messages: &[(u32, i64)],
    ) -> Result<(), JournalError> {
        let mut taken_up = None;
        for &(campaign, message) in messages {
            self.cancelled.remove(&message);
            if !self.is_active.contains(&campaign) {
                // Read from the journal when it goes on.
                continue;
            }
            if taken_up != Some(campaign) {
                self.take_up(connection, counts, campaign)?;
                taken_up = Some(campaign);
            }
            backlog::bring_back(connection, counts, campaign, message, &mut self.turns.retries)?;
            self.turns.note_ready(campaign);
        }
        self.queue_again(connection, messages)
    }

    /// Puts on the retry queue what of these messages is to be sent again.
    pub(super) fn queue_again(&mut self, connection: &Connection, messages: &[(u32, i64)]) -> Result<(), JournalError> {
        for &(campaign, message) in messages {
            let is_beyond = self.limit_end.get(&campaign).is_some_and(|end| message >= *end);
            if self.is_active.contains(&campaign) && !is_beyond {
                retry_queue::load_one(connection, &self.rules, campaign, message, &mut self.turns.retries)?;
                self.turns.note_ready(campaign);
            }
        }
        Ok(())
    }
}

/// Messages of a campaign that wait.
pub(super) fn queued(counts: &Counts, campaign: u32) -> u64 {
    counts.campaign(campaign).map_or(0, |book| u64::try_from(book.counts[State::Queued as usize]).unwrap_or(0))
}

/// Whether a message begins there.
fn begins_at(items: &[Item], at: usize) -> bool {
    at == 0 || items[at - 1].message != items[at].message
}

/// The parts of the message that the first of these items belongs to, each with the SMS that it makes.
fn parts_of(items: &[Item]) -> impl Iterator<Item = (i64, u64)> + Clone {
    let message = items.first().map(|item| item.message);
    let parts = items.iter().take_while(move |item| Some(item.message) == message);
    parts.map(|item| (item.attempt.part(), u64::from(item.sms)))
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
