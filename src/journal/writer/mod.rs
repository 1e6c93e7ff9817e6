//! The journal thread: the only writer while messages are sent.
//!
//! It waits for events, takes all that are there, applies them in one transaction together with the claims that are
//! wanted, commits, and only then hands out what rests on the commit: claimed parts to be written, inbound PDUs to be
//! answered. While one commit runs, events gather, so that commits group themselves.

pub mod adopt;
mod apply;
#[cfg(test)]
mod bound_tests;
mod calendar;
mod campaigns;
mod claim;
mod external;
mod files;
mod inbound;
mod inbox;
pub(in crate::journal) mod incoming;
mod lanes;
mod orders;
pub mod read_ahead;
pub mod recovery;
mod refusals;
pub(in crate::journal) mod replay;
mod restrain;
pub mod retry_queue;
pub mod service;
#[cfg(test)]
mod service_tests;
mod sessions;
#[cfg(test)]
mod share_tests;
mod start;
mod steps;
pub(in crate::journal) mod takeover;
mod turns;
#[cfg(test)]
mod withdraw_tests;

pub use start::{RECEIPT_HORIZON, WriterSettings};
pub use takeover::{Campaigns, OwnJournal, Started, Takeover, recover_only, start};

use crate::journal::error::JournalError;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::events::{ToJournal, ToSession};
use crate::journal::model::key::State;
use crate::journal::store::counts::Counts;
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::platform::sabotage;
use calendar::Calendar;
use claim::Claimer;
use crossbeam_channel::{Receiver, select};
use external::External;
use files::Files;
use inbound::OptWords;
use inbox::{EVENTS_PER_COMMIT_MAX, Inbox};
use jiff::Timestamp;
use parking_lot::Mutex;
use refusals::Refusals;
use restrain::Watch;
use rusqlite::Connection;
use service::Service;
use sessions::Sessions;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the journal's file and the decisions of other processes are looked at when nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How often it is looked whether there is room on a full disk.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);
/// How long the last checkpoint waits for those who read: what it cannot fold back then stays in the -wal, where it is safe.
const LAST_CHECKPOINT_WAIT: Duration = Duration::from_secs(1);
/// How long receipts are judged at the end, when nothing more comes.
const LAST_JUDGING: Duration = Duration::from_secs(1);
/// What the journal thread tells the rest of the program, replaced at every commit.
/// One thing: a snapshot, so that what is shown is of one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Messages of the campaigns that are being sent, by state.
    pub counts: [i64; State::COUNT],
    /// Messages whose receipt is outstanding.
    pub awaiting_receipts: i64,
    /// Messages in doubt that a receipt may settle.
    pub doubts_awaiting_receipts: i64,
    /// Attempts in doubt that may still be answered: their sessions live.
    pub late_answers: usize,
    /// Attempts that are claimed and have neither answer nor verdict.
    pub in_flight: usize,
    /// Nothing is left to send (in this run), and nothing is in flight.
    pub all_sent: bool,
    /// When the last answer or receipt came.
    pub last_news: Option<Instant>,
    /// Why no more is sent although there is more: an answer that condemns the account or its settings.
    pub halted: Option<String>,
    /// How often that was so in a service, which pauses then and goes on when it is told to.
    pub condemned: u64,
    /// By which rule of its own the run has stopped, and why.
    pub restrained: Option<String>,
    /// What was decided about a canary last.
    pub restraint: Option<String>,
    /// Only the first messages go for the time being: the others wait for what becomes of them.
    pub canary_waits: bool,
    /// Which messages are not tried again, since the journal can record no more tries of them.
    pub exhausted: Option<String>,
    /// Which campaigns send no more since it would cost more than they may, and what is left.
    pub over_budget: Option<String>,
    /// Which campaigns wait for their hours, and until when.
    pub waits: Option<String>,
    /// Which campaigns send no more in this run since their last moment has come, or their first was missed.
    pub kept: Option<String>,
    /// There is no room on the disk, as a service has it, which waits for some.
    pub full: Option<String>,
    /// Which other process keeps the journal from being written for the time being.
    pub blocked: Option<String>,
    /// Parts that the SMSC took in this run.
    pub accepted: u64,
    /// Attempts that the SMSC throttled in this run.
    pub throttled: u64,
    /// Receipts that came in this run.
    pub receipts: u64,
    /// Those of them that matched nothing.
    pub unmatched: u64,
    /// Inbound messages that came in this run.
    pub inbound: u64,
    /// Numbers that a stop word put on the suppression list in this run.
    pub stopped: u64,
    /// Numbers that an opt-in word took off it in this run.
    pub opted_in: u64,
    /// Transactions committed in this run.
    pub commits: u64,
    /// The longest that something waited for the next commit.
    pub longest_pause: Duration,
    /// Statements and rows that it took to tell whose receipts are.
    pub steps: u64,
    /// The SMSC is to be asked about messages that it has.
    pub asks: bool,
    /// Why the -wal grows and is not folded back into the journal, where it is large.
    pub unfolded: Option<String>,
}

/// Where [`Status`] is read.
pub type Board = Arc<Mutex<Status>>;

/// The journal thread. Each of its owners has one concern and tests of its own; what it does itself is to put them into one
/// transaction after another, which is why it has them all.
pub struct JournalThread {
    /// The one that writes.
    pub(super) connection: Connection,
    /// How many messages of which campaign are in which state.
    pub(super) counts: Counts,
    /// Whose receipts are.
    pub(super) matcher: Matcher,
    /// What is claimed next.
    pub(super) claimer: Claimer,
    /// Who it is claimed for, and what they are told.
    sessions: Sessions,
    /// The journal's files.
    files: Files,
    /// What came and waits.
    inbox: Inbox,
    /// What other processes decided.
    external: External,
    /// What refusals say of the account and the line.
    pub(super) refusals: Refusals,
    /// By which rules the run stops itself.
    watch: Watch,
    /// When campaigns may be sent.
    calendar: Calendar,
    /// Which words from handsets change the suppression list.
    words: OptWords,
    /// The campaigns that are sent are added up.
    is_summed: bool,
    /// What is released, where this is a service.
    pub(super) service: Option<Service>,
    pub(super) status: Status,
    board: Board,
}

/// A text as stop words are compared: without spaces, in upper case.
pub fn stop_word(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

impl JournalThread {
    /// Runs until every sender of events is gone.
    pub fn run(mut self, events: Receiver<ToJournal>) -> Result<(), JournalError> {
        let mut inbox = Vec::with_capacity(EVENTS_PER_COMMIT_MAX);
        let steps = self.count_steps()?;
        loop {
            let wait = self.wait();
            let feed = self.claimer.feed(&self.sessions);
            if self.inbox.is_empty() {
                select! {
                    recv(events) -> event => match event {
                        Ok(event) => {
                            inbox.push(event);
                            self.inbox.gather(&events, &mut inbox);
                        }
                        Err(_) => break,
                    },
                    recv(feed) -> read => match read {
                        Ok(read) => self.claimer.turns.take_read(read)?,
                        // The thread that reads is gone, and has said why.
                        Err(_) => std::thread::sleep(Duration::from_millis(1)),
                    },
                    default(wait) => {}
                }
            } else {
                inbox.extend(self.inbox.take_aside());
            }
            self.take_portion(&mut inbox);
            let (begun, commits) = (Instant::now(), self.status.commits);
            let housekeeping = self.files.since_looked_at() >= HOUSEKEEPING;
            if housekeeping {
                self.files.look()?;
                self.status.unfolded = self.files.why_unfolded();
            }
            if let Err(error) = self.transact_in_turn(&mut inbox, housekeeping) {
                self.nack_inbox(&mut inbox);
                return Err(error.at(&self.files.path));
            }
            if self.status.commits > commits {
                self.status.longest_pause = self.status.longest_pause.max(begun.elapsed());
            }
        }
        self.judge_the_rest()?;
        log::debug!(
            "the journal thread: {} transactions, the longest {} ms, {} steps to judge receipts, {} hundred steps of SQLite",
            self.status.commits,
            self.status.longest_pause.as_millis(),
            self.matcher.work.done(),
            steps.hundreds()
        );
        self.claimer.turns.lanes.end();
        // Folded back into the one file, so that what is left behind can be copied as it is.
        reach("checkpoint")?;
        self.connection.busy_timeout(LAST_CHECKPOINT_WAIT)?;
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(())
    }

    /// Judges what is left when all has come, as far as that goes in a moment: the next sender does the rest.
    fn judge_the_rest(&mut self) -> Result<(), JournalError> {
        let until = Instant::now() + LAST_JUDGING;
        while (self.matcher.is_waited_for() || self.is_behind_others()) && Instant::now() < until {
            match self.transact(&mut Vec::new(), false) {
                // Nobody is waited for.
                Err(error) if error.is_busy() => break,
                outcome => outcome.map_err(|error| error.at(&self.files.path))?,
            }
        }
        Ok(())
    }

    /// Judges all that waits for nothing else: where nobody sends, no later transaction does, and the next sender would
    /// begin anew. As long as another process keeps the journal from being written it waits. `is_stopped` ends it early.
    pub fn judge_all(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), JournalError> {
        while (self.matcher.is_waited_for() || self.is_behind_others()) && !is_stopped() {
            match self.transact(&mut Vec::new(), false) {
                Err(error) if error.is_busy() && self.connection.is_autocommit() => {}
                outcome => outcome.map_err(|error| error.at(&self.files.path))?,
            }
        }
        Ok(())
    }

    /// Keeps in the inbox what one transaction does.
    pub(super) fn take_portion(&mut self, inbox: &mut Vec<ToJournal>) {
        if self.inbox.portion(inbox) {
            self.stop_claiming();
        }
    }

    fn stop_claiming(&mut self) {
        self.claimer.claiming = false;
        if let Some(service) = &mut self.service {
            service.stop();
        }
    }

    /// Whether the next transaction has something to do, whatever comes.
    fn has_work(&self) -> bool {
        self.matcher.is_waking()
            || self.matcher.has_to_judge()
            || self.is_behind_others()
            || self.claimer.has_backlog()
            || self.claimer.is_reckoning()
            || self.has_to_ask()
    }

    fn wait(&mut self) -> Duration {
        if self.has_work() || self.claimer.has_more_to_pass_by(&self.sessions) {
            return Duration::ZERO;
        }
        let ready = self.claimer.can_go_in(&self.sessions).unwrap_or(HOUSEKEEPING);
        ready.min(HOUSEKEEPING).max(Duration::from_millis(1))
    }

    /// One transaction. As long as another process keeps the journal from being written it waits, and says so: nothing is on
    /// its way but what is claimed already, and an import that was stopped may well go on.
    fn transact_in_turn(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        loop {
            match self.transact(inbox, housekeeping) {
                // It had not begun.
                Err(error) if error.is_busy() && self.connection.is_autocommit() => {
                    let holder = crate::journal::files::lock::writer(&self.files.path);
                    self.status.blocked = Some(holder.unwrap_or_else(|| "it cannot be told which".into()));
                    self.board.lock().clone_from(&self.status);
                    self.files.look()?;
                }
                outcome => return outcome,
            }
        }
    }

    /// One transaction; where the disk is full, the reserve makes room for it, and nothing is claimed any more.
    pub(super) fn transact(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        if housekeeping {
            self.look_for_room()?;
        }
        loop {
            let before = (self.status.clone(), self.matcher.before());
            match self.try_transact(inbox, housekeeping) {
                Err(error) if error.is_full() && !sabotage::is("no-reserve") => {
                    let has_made_room = self.files.give_up_reserve();
                    if !has_made_room && (self.service.is_none() || crate::platform::signals::is_ending()) {
                        return Err(error);
                    }
                    self.status = before.0;
                    crate::journal::files::reserve::limit(&self.connection, false)?;
                    self.forget_transaction(before.1)?;
                    self.stop_for_room();
                    if !has_made_room {
                        // A service waits with what came until there is room for it.
                        std::thread::sleep(LOOK_FOR_ROOM);
                        self.files.look()?;
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// The disk is full: a run ends, and a service sends nothing and takes no receipts until there is room.
    fn stop_for_room(&mut self) {
        let full = JournalError::Full(self.files.path.clone()).to_string();
        match &mut self.service {
            None => self.halt(full),
            Some(service) => {
                service.suspend(&mut self.claimer.claiming);
                self.status.full = Some(full);
                self.board.lock().clone_from(&self.status);
            }
        }
    }

    /// Goes on where there is room again.
    fn look_for_room(&mut self) -> Result<(), JournalError> {
        if let Some(service) = &mut self.service
            && self.status.full.is_some()
            && self.files.keep_reserve()
        {
            crate::journal::files::reserve::limit(&self.connection, true)?;
            service.go_on(&mut self.claimer.claiming);
            self.status.full = None;
        }
        Ok(())
    }

    /// One transaction: events, decisions of other processes, claims. Then what rests on it. The events stay in the inbox
    /// until they are committed.
    fn try_transact(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        let mut to_write = false;
        for event in inbox.iter() {
            match event {
                ToJournal::Want { session, parts } => self.sessions.want(*session, *parts),
                ToJournal::WantAsks { session, count } => self.sessions.want_asks(*session, *count),
                ToJournal::StopClaiming => self.stop_claiming(),
                ToJournal::GaveBack { session, sent } => {
                    self.sessions.gave_back(*session);
                    to_write |= !sent.is_empty();
                }
                _ => to_write = true,
            }
        }
        let may_claim = self.claimer.may_claim(&self.sessions)?;
        let is_left = self.has_work();
        let by_time =
            housekeeping && (self.has_canary() || self.calendar.is_due(Timestamp::now()) || self.has_finished());
        let looks = housekeeping && (self.orders_wait() || self.others_wrote()?);
        if to_write || is_left || may_claim || by_time || looks {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            if self.others_wrote()? {
                self.apply_external_changes()?;
            } else if self.is_behind_others() {
                self.apply_more_changes()?;
            }
            if by_time {
                self.keep_hours()?;
            }
            inbox.iter().try_for_each(|event| self.apply(event))?;
            let (matcher, mut tx) = self.matching();
            matcher.judge_strays(&mut tx, now_ms())?;
            self.restrain(housekeeping)?;
            self.send_released()?;
            self.claimer.load_backlog(&self.connection, &self.counts)?;
            self.claimer.reckon(&self.connection)?;
            if may_claim && self.claimer.claiming && !self.claimer.suppressed.is_behind() {
                let outstanding = &mut self.matcher.outstanding;
                self.claimer.claim_for_sessions(&self.connection, &mut self.counts, &mut self.sessions, outstanding)?;
            }
            self.carry_on()?;
            self.counts.settle(&self.connection)?;
            self.hold_what_may_not_go_on()?;
            if sabotage::is("send-before-commit") {
                self.sessions.hand_out(|message| matches!(message, ToSession::Send(_)));
            }
            if sabotage::is("answer-before-commit") {
                self.sessions.hand_out(|message| matches!(message, ToSession::Stored(_)));
            }
            reach("commit")?;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            reach("committed")?;
            if self.service.as_mut().is_some_and(Service::has_answered) {
                reach("answered")?;
            }
            self.status.commits += 1;
            self.inbox.note_commit();
            self.sessions.note_barred();
        }
        for event in inbox.drain(..) {
            if let ToJournal::Came { batch, .. } = event {
                batch.note_committed();
            }
        }
        self.sessions.enter();
        self.sessions.hand_out(|_| true);
        self.sessions.withdraw();
        self.feed_on()?;
        self.claimer.read_on()?;
        self.publish();
        Ok(())
    }

    /// The journal failed: what came is to come again, and what was claimed is not on disk.
    pub(super) fn nack_inbox(&mut self, inbox: &mut Vec<ToJournal>) {
        let _ = self.connection.execute_batch("ROLLBACK");
        self.sessions.nack(inbox.drain(..).chain(self.inbox.take_aside()));
    }

    /// The matcher, and the transaction that runs.
    pub(super) fn matching(&mut self) -> (&mut Matcher, Tx<'_>) {
        let tx = Tx {
            connection: &self.connection,
            counts: &mut self.counts,
            next_serial: self.claimer.next_serial,
            late_answers: self.sessions.late_answers_may_come(),
        };
        (&mut self.matcher, tx)
    }

    /// Nothing more is claimed: an answer condemned the account or its settings.
    pub(super) fn halt(&mut self, why: String) {
        self.claimer.claiming = false;
        if self.status.halted.is_none() {
            self.status.halted = Some(why);
            self.sessions.stop_all();
        }
    }

    fn publish(&mut self) {
        let anew = !std::mem::replace(&mut self.is_summed, true);
        let Claimer { active, is_active, .. } = &self.claimer;
        let sums = self.counts.sums(active, |index| is_active.contains(&index), anew);
        self.status.counts = sums.counts;
        self.status.awaiting_receipts = sums.awaiting_receipts;
        self.status.doubts_awaiting_receipts = sums.doubts_awaiting_receipts;
        self.status.blocked = None;
        self.status.steps = self.matcher.work.done();
        self.status.unmatched = self.matcher.unmatched;
        self.status.asks = self.service.as_ref().is_some_and(|service| service.orders.are_there());
        self.status.in_flight = self.matcher.outstanding.total();
        self.status.late_answers = self.sessions.late_answers();
        self.status.over_budget = self.claimer.over_budget(&self.counts, self.status.in_flight == 0);
        self.status.exhausted = self.claimer.turns.retries.exhausted(&self.counts);
        let sends_nothing = self.claimer.is_through() && self.status.in_flight == 0;
        self.status.canary_waits = sends_nothing && self.claimer.claiming && self.watch.holds_back();
        self.status.all_sent = sends_nothing && !self.status.canary_waits && !self.external.decisions_left;
        self.board.lock().clone_from(&self.status);
    }
}

#[cfg(test)]
mod tests;
