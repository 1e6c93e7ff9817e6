//! A run of sending from the lock to the last unbind: recovers the journal, starts its thread and the connections, watches
//! until everything is sent and receipted (or told to stop), and ends them in the order that loses nothing.

mod choice;
mod found_rate;
mod reload;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod unbound;
mod watch;

use crate::client;
use crate::client::{NeedsTlvs, Notice, Shared, TakesTlvs};
use crate::journal;
use crate::journal::files::answer_log::Answers;
use crate::journal::files::lock::SenderLock;
use crate::journal::files::write_marks::Marks;
use crate::journal::model::events::ToJournal;
use crate::journal::model::key::State;
use crate::journal::now_ms;
use crate::journal::store::runs;
use crate::journal::writer::recovery;
use crate::journal::writer::service::{ServiceBoard, ServiceSettings};
use crate::journal::writer::{Board, Campaigns, JournalThread, Started, Status, Takeover, WriterSettings};
use crate::journal::{Journal, JournalError};
use crate::policy::controller::Findings;
use crate::policy::hours::{Hours, Verdict};
use crate::policy::pacer::{Hold, Pacer, Rate};
use crate::words::format::argument;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, after, bounded, never, select, tick, unbounded};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use choice::needs_tlvs;
pub use choice::refuse_tlvs;
use found_rate::FoundRate;
use reload::Reloading;
pub use reload::{Anew, Reload};
pub use settings::{Ended, Listen, Outcome, Progress, SendError, SendSettings, Waits};
pub use unbound::NeverBound;
use unbound::Unbound;
use watch::hold_of;

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
    send_or_serve(settings, lock, interrupt, show, None)
}

/// The same; the settings can be read anew meanwhile, where they have a source.
pub fn send_or_serve(
    settings: &SendSettings,
    lock: &SenderLock,
    interrupt: &Receiver<()>,
    show: &mut dyn FnMut(&Progress),
    source: Option<Box<dyn Reload>>,
) -> Result<Outcome, SendError> {
    let path = &settings.journal;
    lock.hold_journal()?;
    let at = |error: JournalError| error.at(path);
    let takeover = Takeover {
        path,
        account: Some(&settings.identity),
        rules: &settings.rules,
        campaigns: match (settings.listen, settings.campaigns.as_slice()) {
            (Some(_), _) => Campaigns::None,
            // A service takes up by itself what is released.
            _ if settings.serves => Campaigns::None,
            (None, []) => Campaigns::Unfinished,
            (None, names) => Campaigns::Named(names),
        },
    };
    let Started { recovered, said_same, marks, answers, own } = journal::writer::start(lock, &takeover)?;
    note_run(&own.journal, settings, true)?;
    let campaigns: Vec<String> = own.campaigns().map(|campaign| campaign.name.clone()).collect();
    if settings.account.tlvs == TakesTlvs::No {
        refuse_tlvs(&own.journal, &campaigns)?;
    }
    let per_campaign: Vec<i64> = own.campaigns().map(|book| book.counts.iter().sum()).collect();
    let to_send = own.campaigns().filter(|book| {
        [State::Queued, State::Sending, State::InDoubt].iter().any(|state| book.counts[*state as usize] > 0)
    });
    let to_send = to_send.map(|book| book.name.clone()).collect();
    let needs_tlvs = match settings.serves {
        true => choice::nothing_needs_tlvs(),
        false => needs_tlvs(&own.journal, settings.account.tlvs, path, to_send)?,
    };
    let found_before = journal::note(&own.journal, FOUND_RATE).map_err(at)?.and_then(|found| FoundRate::read(&found));
    let found_before = found_before.filter(|found| settings.rate.exceeds(found.rate));
    let canaries = own.begin_canaries(&settings.restraint)?;
    let said = canaries.iter().filter_map(|canary| {
        let name = &own.counts.campaign(canary.campaign)?.name;
        Some(format!("campaign {}: the first messages go before the others: {}", argument(name), canary.go_on))
    });
    let said: Vec<String> = said.collect();
    let board = Board::default();
    let mut notes = None;
    let mut service = None;
    if settings.serves {
        let begun = RunNotes::begin(settings, Some(&[]))?;
        service = Some(ServiceSettings { run: begun.run.unwrap_or_default(), board: service::board(settings) });
        notes = Some(begun);
    }
    let references = Arc::new(AtomicBool::new(true));
    let journal_settings = WriterSettings {
        limit: settings.limit,
        ids_in_memory: IDS_IN_MEMORY,
        references: Arc::clone(&references),
        opt_out_words: settings.opt_out_words.clone(),
        opt_in_words: settings.opt_in_words.clone(),
        default_alphabet: settings.default_alphabet,
        receipt_horizon: settings.receipt_horizon,
        ignore_hours: settings.ignore_hours,
        rules: Arc::clone(&settings.rules),
        stop_when: settings.restraint.stop_when.clone(),
        canaries,
        gather: gather(settings.rate, settings.account.window * settings.connections),
        service: service.clone(),
    };
    let mut journal_thread = JournalThread::new(own, journal_settings, Arc::clone(&board))?;
    let mut first = board.lock().clone();
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
    let has_nothing = |first: &Status| {
        let awaits_none = first.awaiting_receipts == 0 || !settings.old_receipts_come || !receipts_may_come;
        settings.listen.is_none() && !settings.serves && first.all_sent && awaits_none
    };
    if first.restrained.is_some() || has_nothing(&first) {
        // Receipts that the last sender left unjudged: no connection will be made in which that goes on.
        journal_thread.judge_all(&|| !interrupt.is_empty())?;
        first = board.lock().clone();
    }
    if let Some(why) = first.restrained.clone() {
        drop(journal_thread);
        let (ended, sending, found) = (Ended::Stopped(why), Duration::ZERO, Findings::default());
        return Ok(Outcome { ended, status: first, recovered, campaigns, sending, found });
    }
    if has_nothing(&first) {
        drop(journal_thread);
        let (ended, sending, found) = (Ended::NothingToDo, Duration::ZERO, Findings::default());
        return Ok(Outcome { ended, status: first, recovered, campaigns, sending, found });
    }
    let notes = match notes {
        Some(notes) => notes,
        None => RunNotes::begin(settings, settings.listen.is_none().then_some(&campaigns[..]))?,
    };
    let mut run = Run::start(settings, journal_thread, board, (marks, answers), references, needs_tlvs)?;
    run.held_back = held_back;
    run.reloading.source = source;
    run.service = service.map(|service| service.board);
    if settings.serves {
        // From here on whatever is commanded is heard; whether the SMSC is there is another question.
        crate::platform::notify::ready();
    }
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
    let rate = (found.limit.is_some() || found_before.is_some()).then(|| {
        // What was neither verified anew nor exceeded stays as old as it is.
        found.limit.map(|rate| FoundRate { rate, at_ms: now_ms() }).or(stands).map(FoundRate::written)
    });
    notes.end(settings, rate);
    Ok(Outcome { ended, status, recovered, campaigns, sending, found })
}

/// What is noted of a run in its journal, by a connection of its own: the journal thread's is gone before the last of it.
struct RunNotes {
    opened: Journal,
    /// The row of the run, where it sends.
    run: Option<i64>,
}

impl RunNotes {
    /// Notes how this run sends these campaigns; `None`: it does not.
    fn begin(settings: &SendSettings, campaigns: Option<&[String]>) -> Result<Self, JournalError> {
        let path = &settings.journal;
        let note = || -> Result<Self, JournalError> {
            let opened = journal::open_existing(path)?;
            let mut run = None;
            if let Some(campaigns) = campaigns {
                let ids = campaigns.iter().map(|name| journal::campaign_id(&opened, name));
                let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
                run = Some(runs::begin(&opened, &settings.run_row(), &ids)?);
            }
            Ok(Self { opened, run })
        };
        note().map_err(|error| error.at(path))
    }

    /// Notes its end, when the journal thread has let go of the file, and what rate was found; `None`: that stays as it is. A note
    /// that cannot be kept is no reason to hide what was sent.
    fn end(self, settings: &SendSettings, rate: Option<Option<String>>) {
        let path = &settings.journal;
        if let Err(error) = recovery::settle_ended(&self.opened, path) {
            log::debug!("the write marks stay: {}", error.at(path));
        }
        if let Some(run) = self.run
            && let Err(error) = runs::end(&self.opened, run)
        {
            log::warn!("when this run ended is not kept: {}", error.at(path));
        }
        if let Err(error) = note_run(&self.opened, settings, false) {
            log::debug!("the end of the run is not noted: {}", error.at(path));
        }
        if let Some(rate) = rate
            && let Err(error) = journal::set_note(&self.opened, FOUND_RATE, rate.as_deref())
        {
            log::warn!("the rate found is not kept for the next run: {}", error.at(path));
        }
    }
}

/// Notes that a run begins or ends with this journal; a rehearsal is not noted.
fn note_run(opened: &Journal, settings: &SendSettings, begins: bool) -> Result<(), JournalError> {
    let (true, Some(notes)) = (settings.old_receipts_come, journal::store::known::Notes::of_run()) else {
        return Ok(());
    };
    let account = settings.identity.all();
    let noted = journal::store::known::record(opened, &settings.journal, &notes, &account, Some(begins));
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
/// One thing: it ends only as a whole, in one order.
struct Run {
    started: Instant,
    /// When there was nothing left to send or to be answered.
    sent_at: Option<Instant>,
    board: Board,
    pacer: Arc<Pacer>,
    journal: Option<Sender<ToJournal>>,
    finish: Option<Sender<()>>,
    notices: Receiver<Notice>,
    journal_ended: Receiver<Result<(), JournalError>>,
    journal_result: Option<Result<(), JournalError>>,
    journal_thread: Option<JoinHandle<()>>,
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
    /// The disk is full: that was said.
    full: bool,
    /// What was said last of campaigns that wait for their hours.
    waits: Option<String>,
    /// What was said of a canary last.
    decided: Option<String>,
    /// The -wal grows: that was said.
    unfolded: bool,
    verdict: Verdict,
    /// How often the account was refused, as far as that was seen.
    condemned: u64,
    /// What was found of the SMSC's limits and said.
    found: Findings,
    /// What it and the journal thread tell each other, where it serves.
    service: Option<ServiceBoard>,
    /// What systemd was told last, and when.
    told_systemd: (String, Option<Instant>),
    /// How its settings are changed while it runs.
    reloading: Reloading,
}

impl Run {
    fn start(
        settings: &SendSettings,
        journal_thread: JournalThread,
        board: Board,
        (marks, answers): (Marks, Answers),
        references: Arc<AtomicBool>,
        needs_tlvs: NeedsTlvs,
    ) -> Result<Self, SendError> {
        let (journal, events) = bounded(EVENTS);
        let (ended, journal_ended) = bounded(1);
        let journal_thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                let _ = ended.send(journal_thread.run(events));
            })
            .map_err(SendError::Thread)?;
        let (notice, notices) = bounded(64);
        let (finish, finished) = bounded(0);
        let shared = Shared {
            account: Arc::new(settings.account.clone()),
            window: Arc::new(AtomicUsize::new(settings.account.window)),
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
        let (mut connections, mut orders) = (Vec::new(), Vec::new());
        for slot in 0..settings.connections {
            let shared = shared.clone();
            let (order, ordered) = unbounded();
            orders.push(order);
            let thread = std::thread::Builder::new()
                .name(format!("writer-{slot}"))
                .spawn(move || client::run(slot, &shared, ordered))
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
            journal_ended,
            journal_result: None,
            journal_thread: Some(journal_thread),
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
            full: false,
            waits: None,
            decided: None,
            unfolded: false,
            verdict: Verdict::Open,
            condemned: 0,
            found: Findings::default(),
            service: None,
            told_systemd: (String::new(), None),
            reloading: Reloading::new(Arc::clone(&shared.account), Arc::clone(&shared.window), orders),
        })
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
                    self.handle(notice);
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
        let result = match self.journal_result.take() {
            Some(result) => Some(result),
            None => self.journal_ended.recv().ok(),
        };
        if let Some(thread) = self.journal_thread.take() {
            let _ = thread.join();
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
