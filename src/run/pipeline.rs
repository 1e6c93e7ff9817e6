//! A run of sending from the lock to the last unbind: recovers the journal, starts its thread and the connections, watches
//! until everything is sent and receipted (or told to stop), and ends them in the order that loses nothing.

mod choice;
mod settings;
#[cfg(test)]
mod tests;
mod unbound;

use crate::client;
use crate::client::{NeedsTlvs, Notice, Shared, TakesTlvs};
use crate::journal;
use crate::journal::JournalError;
use crate::journal::files::answer_log::Answers;
use crate::journal::files::lock::SenderLock;
use crate::journal::files::write_marks::Marks;
use crate::journal::model::events::ToJournal;
use crate::journal::model::key::State;
use crate::journal::now_ms;
use crate::journal::store::{account, runs};
use crate::journal::writer::recovery;
use crate::journal::writer::recovery::{Recovery, recover};
use crate::journal::writer::{Board, Keeper, KeeperSettings, Status};
use crate::policy::controller::Findings;
use crate::policy::hours::{Hours, Verdict};
use crate::policy::pacer::{Hold, Pacer, Rate};
use crate::words::format::{argument, rate};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, after, bounded, never, select, tick};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use choice::refuse_tlvs;
use choice::{choose, needs_tlvs};
pub use settings::{Ended, Listen, Outcome, Progress, SendError, SendSettings, Waits};
pub use unbound::NeverBound;
use unbound::Unbound;

/// Events that wait for the journal thread.
const EVENTS: usize = 1_024;
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The journal's note of the rate that the SMSC was found to take.
const FOUND_RATE: &str = "found_rate";
/// Above this rate, in PDUs a second, commits are at least [`GATHER`] apart.
const GATHER_ABOVE: f64 = 50.0;
const GATHER: Duration = Duration::from_millis(20);
/// When the sending hours begin later than this, connections are left meanwhile.
const LONG_HOLD: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// Message ids kept in memory: 2^21 table slots, 52 MB.
const IDS_IN_MEMORY: usize = 1_800_000;

/// Sends, under the sender's lock. `interrupt` asks to stop claiming, drain answers and unbind. `show` is called about ten times a second.
pub fn send(
    settings: &SendSettings,
    lock: &SenderLock,
    interrupt: &Receiver<()>,
    show: &mut dyn FnMut(&Progress),
) -> Result<Outcome, SendError> {
    let path = &settings.journal;
    lock.hold_journal()?;
    let connection = journal::open_existing(path)?;
    let at = |error: JournalError| error.at(path);
    let said_same = account::claim_account(&connection, path, &settings.identity).map_err(at)?;
    let Recovery { connection, mut books, recovered, marks, answers } =
        recover(connection, path, &settings.rules).map_err(at)?;
    journal::store::decisions::apply_all(&connection, &mut books).map_err(at)?;
    note_run(&connection, settings, true)?;
    let active = match settings.listen {
        Some(_) => Vec::new(),
        None => choose(&connection, &books, &settings.campaigns)?,
    };
    let campaigns: Vec<String> =
        active.iter().filter_map(|&index| books.campaign(index)).map(|campaign| campaign.name.clone()).collect();
    if settings.account.tlvs == TakesTlvs::No {
        refuse_tlvs(&connection, &campaigns)?;
    }
    let per_campaign: Vec<i64> =
        active.iter().filter_map(|&index| books.campaign(index)).map(|book| book.counts.iter().sum()).collect();
    let to_send = active.iter().filter_map(|&index| books.campaign(index)).filter(|book| {
        [State::Queued, State::Sending, State::InDoubt].iter().any(|state| book.counts[*state as usize] > 0)
    });
    let to_send = to_send.map(|book| book.name.clone()).collect();
    let needs_tlvs = needs_tlvs(&connection, settings.account.tlvs, path, to_send)?;
    let found_before = journal::note(&connection, FOUND_RATE).map_err(at)?.and_then(|found| FoundRate::read(&found));
    let found_before = found_before.filter(|found| settings.rate.exceeds(found.rate));
    let canaries = journal::store::restraint::begin(&connection, &books, &active, &settings.restraint)?;
    let said = canaries.iter().filter_map(|canary| {
        let name = &books.campaign(canary.campaign)?.name;
        Some(format!("campaign {}: the first messages go before the others: {}", argument(name), canary.go_on))
    });
    let said: Vec<String> = said.collect();
    let board = Board::default();
    let references = Arc::new(AtomicBool::new(true));
    let keeper_settings = KeeperSettings {
        path: path.clone(),
        active: active.clone(),
        limit: settings.limit,
        ids_in_memory: IDS_IN_MEMORY,
        references: Arc::clone(&references),
        opt_out_words: settings.opt_out_words.clone(),
        opt_in_words: settings.opt_in_words.clone(),
        default_alphabet: settings.default_alphabet,
        receipt_horizon: settings.receipt_horizon,
        rules: Arc::clone(&settings.rules),
        stop_when: settings.restraint.stop_when.clone(),
        canaries,
        gather: gather(settings.rate, settings.account.window * settings.connections),
    };
    let keeper = Keeper::start(connection, books, keeper_settings, Arc::clone(&board)).map_err(at)?;
    let first = board.lock().clone();
    let held_back = held_back(settings.limit, &per_campaign);
    let mut notices = recovered.words();
    notices.extend(said_same);
    if !notices.is_empty() {
        // Before the first connection, not at the end.
        let progress = Progress {
            status: first.clone(),
            bound: 0,
            rate: settings.rate,
            notices: std::mem::take(&mut notices),
            waits: Waits { unbound_since: Some(Instant::now()), ..Waits::default() },
            limit: settings.limit,
            held_back,
            hours: settings.hours.clone(),
        };
        show(&progress);
    }
    let receipts_may_come = settings.account.bind.can_receive();
    let has_nothing =
        first.all_sent && (first.awaiting_receipts == 0 || !settings.old_receipts_come || !receipts_may_come);
    if let Some(why) = first.restrained.clone() {
        drop(keeper);
        let (ended, sending, found) = (Ended::Stopped(why), Duration::ZERO, Findings::default());
        return Ok(Outcome { ended, status: first, recovered, campaigns, sending, found });
    }
    if has_nothing && settings.listen.is_none() {
        drop(keeper);
        let (ended, sending, found) = (Ended::NothingToDo, Duration::ZERO, Findings::default());
        return Ok(Outcome { ended, status: first, recovered, campaigns, sending, found });
    }
    let noted = match settings.listen {
        Some(_) => None,
        None => Some(note_settings(settings, &campaigns)?),
    };
    let mut run = Run::start(settings, keeper, board, (marks, answers), references, needs_tlvs)?;
    run.held_back = held_back;
    if settings.hours.limit() {
        run.words.push(format!("sent only {}", settings.hours.words()));
    }
    run.unbound = Unbound::new(settings.connections, recovered.sessions > 0);
    run.words.extend(said);
    if let Some(found) = found_before {
        run.pacer.start_from(found.rate);
        run.words.push(format!("{}: starting from there", found.words(now_ms())));
    }
    if !receipts_may_come {
        run.words.push("bound to send only (--bind tx): receipts cannot come, and are not waited for".into());
    }
    let pacer = Arc::clone(&run.pacer);
    let ended = run.watch(settings, interrupt, receipts_may_come, show);
    let sending = run.sent_at.unwrap_or_else(Instant::now) - run.started;
    let found = pacer.findings();
    let stands = found_before.filter(|before| pacer.is_within(before.rate));
    let status = run.end(show)?;
    settle_marks(path);
    if let Some(noted) = noted {
        let ended = journal::open_existing(path).and_then(|connection| runs::end(&connection, noted));
        if let Err(error) = ended {
            log::warn!("when this run ended is not kept: {}", error.at(path));
        }
    }
    if let Err(error) = journal::open_existing(path).and_then(|connection| note_run(&connection, settings, false)) {
        log::debug!("the end of the run is not noted: {}", error.at(path));
    }
    if found.limit.is_some() || found_before.is_some() {
        // The journal thread has let go of the file. A note that cannot be kept is no reason to hide what was sent. What was
        // neither verified anew nor exceeded stays as old as it is.
        let found = found.limit.map(|rate| FoundRate { rate, at_ms: now_ms() }).or(stands).map(FoundRate::written);
        let kept = journal::open_existing(path)
            .and_then(|connection| journal::set_note(&connection, FOUND_RATE, found.as_deref()));
        if let Err(error) = kept {
            log::warn!("the rate found is not kept for the next run: {}", error.at(path));
        }
    }
    Ok(Outcome { ended, status, recovered, campaigns, sending, found })
}

/// The rate that an earlier run had verified.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FoundRate {
    /// In PDUs a second.
    rate: f64,
    /// When; 0: nobody noted it.
    at_ms: i64,
}

impl FoundRate {
    /// As the journal keeps it: the rate, a space, the time in milliseconds.
    fn read(text: &str) -> Option<Self> {
        let (rate, at) = text.split_once(' ').unwrap_or((text, "0"));
        let rate = rate.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)?;
        Some(Self { rate, at_ms: at.parse().ok()? })
    }

    fn written(self) -> String {
        format!("{:.1} {}", self.rate, self.at_ms)
    }

    fn words(self, now_ms: i64) -> String {
        let minutes = (now_ms - self.at_ms).max(0) / 60_000;
        let age = match minutes {
            _ if self.at_ms == 0 => String::new(),
            0..=1 => " a moment ago".into(),
            2..=119 => format!(" {minutes} minutes ago"),
            120..=2_879 => format!(" {} hours ago", minutes / 60),
            _ => format!(" {} days ago", minutes / 1_440),
        };
        format!("an earlier run found{age} that the SMSC takes {}/s", rate(self.rate))
    }
}

/// Notes in the journal how this run sends these campaigns.
fn note_settings(settings: &SendSettings, campaigns: &[String]) -> Result<i64, JournalError> {
    let path = &settings.journal;
    let note = || -> Result<i64, JournalError> {
        let connection = journal::open_existing(path)?;
        let ids = campaigns.iter().map(|name| journal::campaign_id(&connection, name));
        let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
        runs::begin(&connection, &settings.told(), &ids)
    };
    note().map_err(|error| error.at(path))
}

/// Notes that a run begins or ends with this journal; a rehearsal's is nobody's.
fn note_run(connection: &rusqlite::Connection, settings: &SendSettings, begins: bool) -> Result<(), JournalError> {
    let (true, Some(notes)) = (settings.old_receipts_come, journal::store::known::Notes::of_run()) else {
        return Ok(());
    };
    let account = settings.identity.all();
    let noted = journal::store::known::record(connection, &settings.journal, &notes, &account, Some(begins));
    noted.map_err(|error| error.at(&settings.journal))
}

/// Connections that send.
fn senders(settings: &SendSettings) -> usize {
    (0..settings.connections).filter(|&slot| settings.account.bind.kind(slot).can_submit()).count()
}

/// How many messages of campaigns of these sizes come after the first so many of each.
fn held_back(limit: Option<u64>, sizes: &[i64]) -> i64 {
    let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    sizes.iter().map(|size| (size - limit).max(0)).sum()
}

/// Settles the write marks after an orderly end: they speak against an older copy of this journal from then on, and against
/// no other that takes its place. Where that fails the next start does it.
fn settle_marks(path: &std::path::Path) {
    if let Err(error) = recovery::settle_ended(path) {
        log::debug!("the write marks stay: {}", error.at(path));
    }
}

/// How far apart commits are at a rate: at low rates each answer is committed at once; at higher ones several share a
/// commit, a few milliseconds later; without a limit they group themselves. What is answered and not committed yet would
/// be in doubt after a crash, so that no more than the windows hold is gathered.
fn gather(rate: Rate, slots: usize) -> Duration {
    match rate {
        Rate::PerSecond(rate) if rate > GATHER_ABOVE => GATHER.min(Duration::from_secs_f64(slots as f64 / rate)),
        _ => Duration::ZERO,
    }
}

/// The threads of a run, and what keeps them going.
struct Run {
    started: Instant,
    /// When there was nothing left to send or to be answered.
    sent_at: Option<Instant>,
    board: Board,
    pacer: Arc<Pacer>,
    journal: Option<Sender<ToJournal>>,
    finish: Option<Sender<()>>,
    notices: Receiver<Notice>,
    keeper_ended: Receiver<Result<(), JournalError>>,
    keeper_result: Option<Result<(), JournalError>>,
    keeper: Option<JoinHandle<()>>,
    connections: Vec<JoinHandle<()>>,
    bound: Vec<bool>,
    /// When each connection is tried again.
    next_try: Vec<Option<Instant>>,
    /// Since when no session is bound.
    alone_since: Instant,
    limit: Option<u64>,
    /// Messages that come after those of the limit.
    held_back: i64,
    hours: Hours,
    /// Of connections that may still come about: whether they can send.
    can_submit: Vec<Option<bool>>,
    words: Vec<String>,
    warned: Vec<Option<String>>,
    /// Since when no connection that counts is bound, and why.
    unbound: Unbound,
    /// The journal cannot be written: that was said.
    blocked: bool,
    /// What was said of a canary last.
    decided: Option<String>,
    /// The -wal grows: that was said.
    unfolded: bool,
    verdict: Verdict,
    /// What was found of the SMSC's limits and said.
    found: Findings,
}

/// How firmly the way is closed at `now`.
fn hold_of(verdict: Verdict, now: Timestamp) -> Hold {
    match verdict {
        Verdict::Open => Hold::No,
        Verdict::Closed(until) if until.duration_since(now) < LONG_HOLD => Hold::Short,
        Verdict::Closed(_) | Verdict::Over => Hold::Long,
    }
}

impl Run {
    fn start(
        settings: &SendSettings,
        keeper: Keeper,
        board: Board,
        (marks, answers): (Marks, Answers),
        references: Arc<AtomicBool>,
        needs_tlvs: NeedsTlvs,
    ) -> Result<Self, SendError> {
        let (journal, events) = bounded(EVENTS);
        let (ended, keeper_ended) = bounded(1);
        let keeper = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                let _ = ended.send(keeper.run(events));
            })
            .map_err(SendError::Thread)?;
        let (notice, notices) = bounded(64);
        let (finish, finished) = bounded(0);
        let shared = Shared {
            account: Arc::new(settings.account.clone()),
            pacer: Arc::new(Pacer::of_account(settings.rate, senders(settings), settings.rate_tolerance)),
            rules: Arc::clone(&settings.rules),
            marks,
            answers,
            references,
            trust: Arc::new(client::Trust::new(settings.connections)),
            needs_tlvs,
            journal: journal.clone(),
            notices: notice,
            finish: finished,
        };
        shared.pacer.set_hold(hold_of(settings.hours.at(Timestamp::now()), Timestamp::now()));
        let mut connections = Vec::new();
        for slot in 0..settings.connections {
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("writer-{slot}"))
                .spawn(move || client::run(slot, &shared))
                .map_err(SendError::Thread)?;
            connections.push(thread);
        }
        Ok(Self {
            started: Instant::now(),
            sent_at: None,
            board,
            pacer: Arc::clone(&shared.pacer),
            journal: Some(journal),
            finish: Some(finish),
            notices,
            keeper_ended,
            keeper_result: None,
            keeper: Some(keeper),
            connections,
            bound: vec![false; settings.connections],
            next_try: vec![None; settings.connections],
            alone_since: Instant::now(),
            limit: settings.limit,
            held_back: 0,
            hours: settings.hours.clone(),
            can_submit: (0..settings.connections)
                .map(|slot| Some(settings.account.bind.kind(slot).can_submit()))
                .collect(),
            words: Vec::new(),
            warned: vec![None; settings.connections],
            unbound: Unbound::new(settings.connections, false),
            blocked: false,
            decided: None,
            unfolded: false,
            verdict: Verdict::Open,
            found: Findings::default(),
        })
    }

    /// Waits for a reason to end.
    fn watch(
        &mut self,
        settings: &SendSettings,
        interrupt: &Receiver<()>,
        receipts_may_come: bool,
        show: &mut dyn FnMut(&Progress),
    ) -> Ended {
        let look = tick(LOOK);
        let over = settings.listen.and_then(|listen| listen.time).map_or_else(never, after);
        loop {
            select! {
                recv(interrupt) -> _ => {
                    // The connections first: they write nothing more, however busy the journal thread is.
                    self.finish = None;
                    self.tell_journal(ToJournal::StopClaiming);
                    self.words.push("interrupted: waiting for the answers that are outstanding (again to exit at once)".into());
                    return Ended::Interrupted;
                }
                recv(over) -> _ => return Ended::Done,
                recv(self.keeper_ended) -> result => {
                    self.keeper_result = result.ok();
                    return Ended::Done;
                }
                recv(self.notices) -> notice => {
                    // No connection is left: the journal thread has halted them, or they died, as the end of the run says.
                    let Ok(notice) = notice else {
                        if let Some(why) = self.board.lock().restrained.clone() {
                            return Ended::Stopped(why);
                        }
                        return self.board.lock().halted.clone().map_or(Ended::Done, Ended::Halted);
                    };
                    if let Some(refused) = self.heed(notice) {
                        return Ended::Refused(refused);
                    }
                }
                recv(look) -> _ => {
                    if let Some(reason) = self.given_up(settings.account.timers.give_up_after, settings.never_bound) {
                        return Ended::Refused(reason);
                    }
                    let status = self.show(show);
                    if let Some(why) = status.restrained {
                        return Ended::Stopped(why);
                    }
                    if self.hours_are_over(&settings.hours, &status) {
                        self.tell_journal(ToJournal::StopClaiming);
                        return Ended::Interrupted;
                    }
                    if let Some(why) = status.halted {
                        return Ended::Halted(why);
                    }
                    if status.all_sent && settings.listen.is_none() {
                        let since = *self.sent_at.get_or_insert_with(Instant::now);
                        let news = status.last_news.map_or(since, |news| news.max(since));
                        let waited = news.elapsed() >= settings.wait_receipts;
                        let receipts = status.awaiting_receipts + status.doubts_awaiting_receipts;
                        let is_open = status.late_answers > 0 || receipts > 0 && receipts_may_come;
                        if waited || !is_open {
                            return Ended::Done;
                        }
                    } else {
                        self.sent_at = None;
                    }
                }
            }
        }
    }

    /// Why the run gives up, if for so long no connection was bound, or none that sends where some should. Outside the
    /// sending hours none is wanted.
    fn given_up(&mut self, limit: Option<Duration>, never_bound: NeverBound) -> Option<String> {
        let any = !self.can_submit.contains(&Some(true));
        let mut bound = self.bound.iter().zip(&self.can_submit);
        if bound.any(|(bound, can_submit)| *bound && (any || *can_submit == Some(true)))
            || self.pacer.hold() == Hold::Long
        {
            self.unbound.reset();
            return None;
        }
        match self.unbound.verdict(limit, never_bound)? {
            unbound::Verdict::GiveUp(why) => Some(why),
            unbound::Verdict::Say(words) => {
                self.words.push(words);
                None
            }
        }
    }

    /// Opens and closes the way by the clock, and says so. True when it will not open any more.
    fn hours_are_over(&mut self, hours: &Hours, status: &Status) -> bool {
        if !hours.limit() {
            return false;
        }
        let now = Timestamp::now();
        let verdict = hours.at(now);
        if status.all_sent || status.canary_waits && verdict != Verdict::Over {
            // Receipts are fetched at any hour: connections come about, and nothing is sent.
            self.pacer.set_hold(hold_of(verdict, now).min(Hold::Short));
            return false;
        }
        self.pacer.set_hold(hold_of(verdict, now));
        if std::mem::replace(&mut self.verdict, verdict) != verdict {
            match verdict {
                // Where there are no hours it was --start-at that was waited for.
                Verdict::Open if !hours.has_hours() => self.words.push("--start-at has come: sending".into()),
                Verdict::Closed(until) if hours.start_at == Some(until) => {
                    self.words.push(format!("waiting for --start-at until {}", hours.show(until)));
                }
                Verdict::Open => self.words.push("the sending hours have begun: going on".into()),
                Verdict::Closed(until) => {
                    self.words.push(format!("outside the sending hours: waiting until {}", hours.show(until)));
                }
                Verdict::Over => self.words.push("the last moment for sending has come: the rest stays queued".into()),
            }
        }
        verdict == Verdict::Over
    }

    fn show(&mut self, show: &mut dyn FnMut(&Progress)) -> Status {
        let status = self.board.lock().clone();
        if std::mem::replace(&mut self.blocked, status.blocked.is_some()) != status.blocked.is_some() {
            self.words.push(match &status.blocked {
                Some(holder) => format!("waiting: another process keeps the journal from being written: {holder}"),
                None => "the journal can be written again: going on".into(),
            });
        }
        let bound = self.bound.iter().filter(|bound| **bound).count();
        if bound > 0 {
            self.alone_since = Instant::now();
        }
        let waits = Waits {
            unbound_since: (bound == 0).then_some(self.alone_since),
            // Where one is being tried, that is what is waited for.
            next_try: self
                .next_try
                .iter()
                .try_fold(None, |first: Option<Instant>, at| {
                    let at = (*at)?;
                    Some(Some(first.map_or(at, |first| first.min(at))))
                })
                .flatten(),
            closed_until: match self.verdict {
                Verdict::Closed(until) if !status.all_sent => Some(self.hours.show(until)),
                _ => None,
            },
            blocked: status.blocked.is_some(),
        };
        let found = self.pacer.findings();
        if found != self.found {
            self.words.extend(found.news(&self.found));
            self.found = found;
        }
        if status.restraint != self.decided {
            self.decided.clone_from(&status.restraint);
            self.words.extend(status.restraint.clone());
        }
        if std::mem::replace(&mut self.unfolded, status.unfolded.is_some()) != status.unfolded.is_some() {
            self.words.push(match &status.unfolded {
                Some(words) => words.clone(),
                None => "the journal's -wal file is small again".into(),
            });
        }
        let progress = Progress {
            status,
            bound,
            rate: self.pacer.rate(),
            notices: std::mem::take(&mut self.words),
            waits,
            limit: self.limit,
            held_back: self.held_back,
            hours: self.hours.clone(),
        };
        show(&progress);
        progress.status
    }

    /// Notes what a connection says; returns why the run must end, if it must.
    fn heed(&mut self, notice: Notice) -> Option<String> {
        self.unbound.heed(&notice);
        match notice {
            Notice::Trying { .. } => None,
            Notice::Bound { slot, peer, smsc, warning } => {
                self.bound[slot] = true;
                self.next_try[slot] = None;
                self.warned[slot] = None;
                let name = if smsc.is_empty() { String::new() } else { format!(" ({smsc})") };
                self.words.push(format!("connection {}: bound to {peer}{name}", slot + 1));
                if let Some(warning) = warning {
                    self.words.push(format!("connection {}: warning: {warning}", slot + 1));
                }
                None
            }
            Notice::Lost { slot, reason, retry_in, .. } => {
                self.bound[slot] = false;
                self.next_try[slot] = Some(Instant::now() + retry_in);
                // Said once, not at every try.
                if self.warned[slot].as_deref() != Some(&reason) {
                    let words = format!("connection {}: {reason}", slot + 1);
                    // Outside the sending hours none is made until they begin.
                    self.words.push(match self.pacer.hold() {
                        Hold::Long => words,
                        _ => format!("{words}; next try in {:.1} s", retry_in.as_secs_f64()),
                    });
                    self.warned[slot] = Some(reason);
                }
                None
            }
            Notice::Refused { slot, reason } => {
                self.bound[slot] = false;
                let own = self.can_submit[slot].take();
                let others_send = self.can_submit.contains(&Some(true));
                // A receiver that is refused before the sender is bound ends nothing, as it would not afterwards.
                let goes_on = self.bound.contains(&true) || own == Some(false) && others_send;
                let was_last_sender = own == Some(true) && !others_send;
                if was_last_sender || !goes_on {
                    return Some(reason);
                }
                self.words.push(format!("connection {}: {reason}; going on without it", slot + 1));
                None
            }
            Notice::Finished { slot } => {
                self.bound[slot] = false;
                None
            }
        }
    }

    fn tell_journal(&self, event: ToJournal) {
        if let Some(journal) = &self.journal {
            let _ = journal.send(event);
        }
    }

    /// Ends the threads: connections first, each of which settles and unbinds; then the journal, when all have said their
    /// last.
    fn end(mut self, show: &mut dyn FnMut(&Progress)) -> Result<Status, SendError> {
        self.finish = None;
        self.tell_journal(ToJournal::StopClaiming);
        let connections = std::mem::take(&mut self.connections);
        while !connections.iter().all(JoinHandle::is_finished) {
            match self.notices.recv_timeout(LOOK) {
                Ok(notice) => {
                    self.heed(notice);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.show(show);
                }
            }
        }
        let mut died = false;
        for connection in connections {
            died |= connection.join().is_err();
        }
        self.journal = None;
        let result = match self.keeper_result.take() {
            Some(result) => Some(result),
            None => self.keeper_ended.recv().ok(),
        };
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        match result {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(SendError::Died("journal")),
        }
        if died {
            return Err(SendError::Died("connection"));
        }
        Ok(self.show(show))
    }
}
