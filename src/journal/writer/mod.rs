//! The journal thread: the only writer while messages are sent.
//!
//! It waits for events, takes all that are there, applies them in one transaction together with the claims that are
//! wanted, commits, and only then hands out what rests on the commit: claimed parts to be written, inbound PDUs to be
//! answered. While one commit runs, events gather, so that commits group themselves.

pub mod adopt;
mod apply;
#[cfg(test)]
mod bound_tests;
pub(in crate::journal) mod claim;
pub(in crate::journal) mod incoming;
mod portions;
pub mod read_ahead;
pub mod recovery;
pub(in crate::journal) mod replay;
mod restrain;
pub mod retry_queue;
mod start;
mod steps;
mod withdraw;

use restrain::Watch;
pub use start::{KeeperSettings, RECEIPT_HORIZON};

use crate::journal::error::JournalError;
use crate::journal::files::reserve::Reserve;
use crate::journal::matcher::alternatives::Table;
use crate::journal::matcher::doubts::Doubts;
use crate::journal::matcher::id_archive::Spill;
use crate::journal::matcher::id_index::Ids;
use crate::journal::matcher::id_load::Asleep;
use crate::journal::matcher::judging::{ToJudge, Work};
use crate::journal::model::events::{Barred, Chunk, SessionNumber, ToJournal, ToSession};
use crate::journal::model::key::State;
use crate::journal::model::outstanding::Generations;
use crate::journal::model::sequence::Sequence;
use crate::journal::store::counts::Books;
use crate::journal::writer::read_ahead::Feeder;
use crate::journal::writer::retry_queue::{Retries, RetryRules};
use crate::message::text::DefaultAlphabet;
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::platform::sabotage;
use crossbeam_channel::{Receiver, Sender, never, select};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Events taken into one transaction at most; each is a whole read's worth, so this bounds its size, not its use.
const EVENTS_PER_COMMIT_MAX: usize = 256;
/// How often the journal's file and the decisions of other processes are looked at when nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How long the last checkpoint waits for those who read: what it cannot fold back then stays in the -wal, where it is safe.
const LAST_CHECKPOINT_WAIT: Duration = Duration::from_secs(1);
/// How long receipts are judged at the end, when nothing more comes.
const LAST_JUDGING: Duration = Duration::from_secs(1);
/// "For ever", as a wait.
const IDLE: Duration = Duration::from_secs(3_600);

/// What the journal thread tells the rest of the program, replaced at every commit.
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
    /// By which rule of its own the run has stopped, and why.
    pub restrained: Option<String>,
    /// What was decided about a canary last.
    pub restraint: Option<String>,
    /// Only the first messages go for the time being: the others wait for what becomes of them.
    pub canary_waits: bool,
    /// Which messages are not tried again, since the journal can record no more tries of them.
    pub exhausted: Option<String>,
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
    /// Why the -wal grows and is not folded back into the journal, where it is large.
    pub unfolded: Option<String>,
}

/// Where [`Status`] is read.
pub type Board = Arc<Mutex<Status>>;

/// A session as the journal thread sees it.
pub(super) struct SessionBook {
    pub(super) to: Sender<ToSession>,
    pub(super) wanted: usize,
    /// What was barred since it was last asked to give back what it has of that.
    barred: Vec<Arc<Barred>>,
    /// It was asked, and has not answered.
    withdrawing: bool,
}

/// What a file is, whatever its name: device and number.
pub(super) type Inode = (u64, u64);

/// Sequence numbers that a late answer may still name, by session.
type Held = HashMap<i64, HashSet<u32>>;

/// The journal thread's own.
pub struct Keeper {
    pub(super) connection: Connection,
    path: PathBuf,
    /// The journal, and the files beside it without which it keeps no promise, each with the inode that is in use.
    files: Vec<(PathBuf, Inode)>,
    pub(super) books: Books,
    pub(super) ids: Ids,
    pub(super) spill: Spill,
    pub(super) asleep: Asleep,
    pub(super) strays: crate::journal::matcher::unmatched::Strays,
    pub(super) doubts: Doubts,
    pub(super) to_judge: ToJudge,
    pub(super) work: Work,
    pub(super) rivals: RefCell<Table>,
    /// A receipt of the account had the id of an answer: ids mean the same in both.
    pub(super) ids_match: bool,
    /// Some message was taken without being given an id.
    pub(super) nameless: bool,
    /// A receipt of the account named the number of the message whose id it has.
    pub(super) numbers_fit: bool,
    /// See [`crate::journal::matcher::number_evidence::to_revise`].
    pub(super) to_revise: Option<i64>,
    /// An attempt that was answered longer before a receipt came is no rival of a newer one, in milliseconds.
    pub(super) receipt_horizon_ms: i64,
    pub(super) generations: Generations,
    pub(super) retries: Retries,
    pub(super) rules: Arc<RetryRules>,
    pub(super) sessions: HashMap<i64, SessionBook>,
    pub(super) feeder: Option<Feeder>,
    pub(super) chunk: Option<(Arc<Chunk>, usize)>,
    pub(super) sequence: Sequence,
    held: Held,
    pub(super) next_serial: i64,
    /// Of this run: see [`SessionNumber::run`].
    run: u64,
    pub(super) status: Status,
    board: Board,
    pub(super) active: Vec<u32>,
    pub(super) claiming: bool,
    data_version: i64,
    /// Messages that were cancelled one by one while this sends: they may be read ahead.
    pub(super) cancelled: HashSet<i64>,
    /// Decisions are applied in part, and the rest in the next transactions.
    pub(super) decisions_left: bool,
    pub(super) suppressed: crate::journal::store::suppression::Suppressions,
    /// What this transaction bars that may be claimed already. Barring what is not barred in the end does no harm.
    pub(super) barred: Barred,
    pub(super) streak: (u32, u32),
    /// The last session on which the SMSC refused messages as not bound, and how many such in a row.
    pub(super) unbound: (i64, u32),
    /// Whether most of the last answers accepted their messages.
    crowd: retry_queue::Crowd,
    watch: Watch,
    wal: crate::journal::files::wal::Watch,
    /// Parts that the last claims passed by, since their time had passed.
    pub(super) passed_by: usize,
    limit_end: HashMap<u32, i64>,
    after_commit: Vec<(i64, ToSession)>,
    /// What came and is more than one transaction does.
    aside: VecDeque<ToJournal>,
    /// Sessions that are entered once the transaction is committed.
    opened: Vec<(Sender<SessionNumber>, SessionNumber)>,
    ids_in_memory: usize,
    /// `None`: used up, the disk is full.
    reserve: Option<Reserve>,
    looked_at: Instant,
    pub(super) references: Arc<AtomicBool>,
    pub(super) opt_out_words: Vec<String>,
    pub(super) opt_in_words: Vec<String>,
    pub(super) default_alphabet: DefaultAlphabet,
    gather: Duration,
    committed_at: Instant,
}

/// A text as stop words are compared: without blanks, in upper case.
pub fn stop_word(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

impl Keeper {
    /// Runs until every sender of events is gone.
    pub fn run(mut self, events: Receiver<ToJournal>) -> Result<(), JournalError> {
        let mut inbox = Vec::with_capacity(EVENTS_PER_COMMIT_MAX);
        let steps = self.count_steps()?;
        loop {
            let hungry =
                self.claiming && self.chunk.is_none() && self.sessions.values().any(|session| session.wanted > 0);
            let wait = self.wait();
            let feed = match &self.feeder {
                Some(feeder) if hungry => feeder.chunks().clone(),
                _ => never(),
            };
            if self.aside.is_empty() {
                select! {
                    recv(events) -> event => match event {
                        Ok(event) => {
                            inbox.push(event);
                            self.gather(&events, &mut inbox);
                        }
                        Err(_) => break,
                    },
                    recv(feed) -> chunk => self.take_chunk(chunk.ok())?,
                    default(wait) => {}
                }
            } else {
                inbox.extend(self.aside.drain(..));
            }
            self.portion(&mut inbox);
            let (begun, commits) = (Instant::now(), self.status.commits);
            let housekeeping = self.looked_at.elapsed() >= HOUSEKEEPING;
            if housekeeping {
                self.look_after_file()?;
                self.status.unfolded = self.wal.unfolded(&self.path);
            }
            if let Err(error) = self.transact_in_turn(&mut inbox, housekeeping) {
                self.disown(&mut inbox);
                return Err(error.at(&self.path));
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
            self.work.done(),
            steps.hundreds()
        );
        // Folded back into the one file, so that what is left behind can be copied as it is.
        reach("checkpoint")?;
        self.connection.busy_timeout(LAST_CHECKPOINT_WAIT)?;
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(())
    }

    /// Judges what is left when all has come, as far as that goes in a moment: the next sender does the rest.
    fn judge_the_rest(&mut self) -> Result<(), JournalError> {
        let until = Instant::now() + LAST_JUDGING;
        let is_waited_for =
            |keeper: &Self| if keeper.is_waking() { keeper.strays.has_left_out() } else { keeper.has_to_judge() };
        while (is_waited_for(self) || self.is_behind_others()) && Instant::now() < until {
            match self.transact(&mut Vec::new(), false) {
                // Nobody is waited for.
                Err(error) if error.is_busy() => break,
                outcome => outcome.map_err(|error| error.at(&self.path))?,
            }
        }
        Ok(())
    }

    /// Takes what else is there, and at a limited rate what comes in the next moments: each commit costs the same, whatever
    /// it holds.
    fn gather(&self, events: &Receiver<ToJournal>, inbox: &mut Vec<ToJournal>) {
        let until = self.committed_at + self.gather;
        while inbox.len() < EVENTS_PER_COMMIT_MAX {
            match events.recv_deadline(until) {
                Ok(event) => inbox.push(event),
                Err(_) => break,
            }
        }
    }

    fn wait(&self) -> Duration {
        if self.is_waking()
            || self.has_to_judge()
            || self.is_behind_others()
            || self.has_backlog()
            || self.has_more_to_pass_by()
        {
            return Duration::ZERO;
        }
        let retry = if self.claiming && self.sessions.values().any(|session| session.wanted > 0) {
            self.retries.due_in(crate::journal::writer::retry_queue::steady_ms()).unwrap_or(IDLE)
        } else {
            IDLE
        };
        retry.min(HOUSEKEEPING).max(Duration::from_millis(1))
    }

    /// One transaction. As long as another process keeps the journal from being written it waits, and says so: nothing is on
    /// its way but what is claimed already, and an import that was stopped may well go on.
    fn transact_in_turn(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        loop {
            match self.transact(inbox, housekeeping) {
                // It had not begun.
                Err(error) if error.is_busy() && self.connection.is_autocommit() => {
                    let holder = crate::journal::files::lock::writer(&self.path);
                    self.status.blocked = Some(holder.unwrap_or_else(|| "it cannot be told which".into()));
                    self.board.lock().clone_from(&self.status);
                    self.look_after_file()?;
                }
                outcome => return outcome,
            }
        }
    }

    /// One transaction; where the disk is full, the reserve makes room for it, and nothing is claimed any more.
    pub(super) fn transact(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        let before = (self.status.clone(), self.generations.clone());
        match self.try_transact(inbox, housekeeping) {
            Err(error) if error.is_full() && !sabotage::is("no-reserve") => {
                let Some(reserve) = self.reserve.take() else { return Err(error) };
                (self.status, self.generations) = before;
                drop(reserve);
                crate::journal::files::reserve::limit(&self.connection, false)?;
                self.forget_transaction()?;
                self.halt(JournalError::Full(self.path.clone()).to_string());
                self.try_transact(inbox, housekeeping)
            }
            outcome => outcome,
        }
    }

    /// One transaction: events, decisions of other processes, claims. Then what rests on it. The events stay in the inbox
    /// until they are committed.
    fn try_transact(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        let mut to_write = false;
        for event in inbox.iter() {
            match event {
                ToJournal::Want { session, parts } => {
                    if let Some(book) = self.sessions.get_mut(session) {
                        book.wanted = *parts;
                    }
                }
                ToJournal::StopClaiming => self.claiming = false,
                ToJournal::GaveBack { session, sent } => {
                    if let Some(book) = self.sessions.get_mut(session) {
                        book.withdrawing = false;
                    }
                    to_write |= !sent.is_empty();
                }
                _ => to_write = true,
            }
        }
        let may_claim = self.may_claim()?;
        let is_left = self.is_waking() || self.has_to_judge() || self.is_behind_others() || self.has_backlog();
        let canary = housekeeping && self.has_canary();
        if to_write || is_left || may_claim || canary || (housekeeping && self.others_wrote()?) {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            if self.others_wrote()? {
                self.heed_others()?;
            } else if self.is_behind_others() {
                self.heed_on()?;
            }
            inbox.iter().try_for_each(|event| self.apply(event))?;
            self.judge_strays(now_ms())?;
            self.restrain(housekeeping)?;
            self.load_backlog()?;
            if may_claim && self.claiming && !self.suppressed.is_behind() {
                self.serve()?;
            }
            self.books.settle(&self.connection)?;
            if sabotage::is("send-before-commit") {
                self.hand_out(|message| matches!(message, ToSession::Send(_)));
            }
            if sabotage::is("answer-before-commit") {
                self.hand_out(|message| matches!(message, ToSession::Stored(_)));
            }
            reach("commit")?;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            reach("committed")?;
            self.status.commits += 1;
            self.committed_at = Instant::now();
            self.note_barred();
        }
        for event in inbox.drain(..) {
            if let ToJournal::Came { batch, .. } = event {
                batch.note_committed();
            }
        }
        for (reply, number) in self.opened.drain(..) {
            let _ = reply.try_send(number);
        }
        self.hand_out(|_| true);
        self.withdraw();
        self.feed_on()?;
        self.publish();
        Ok(())
    }

    /// Tells sessions what rests on the commit.
    fn hand_out(&mut self, which: impl Fn(&ToSession) -> bool) {
        for (session, message) in self.after_commit.extract_if(.., |(_, message)| which(message)) {
            if let Some(book) = self.sessions.get(&session) {
                // A writer that is gone has dropped its receiver; what was meant for it is in its closing report.
                let _ = book.to.send(message);
            }
        }
    }

    /// The journal failed: what came is to come again, and what was claimed is not on disk.
    pub(super) fn disown(&mut self, inbox: &mut Vec<ToJournal>) {
        let _ = self.connection.execute_batch("ROLLBACK");
        // All of it is in the inbox still.
        self.after_commit.clear();
        let aside = std::mem::take(&mut self.aside);
        for event in inbox.drain(..).chain(aside) {
            if let ToJournal::Came { session, batch } = event {
                self.after_commit(session, ToSession::Stored(batch.acknowledge));
            }
        }
        for (session, message) in self.after_commit.drain(..) {
            if let ToSession::Stored(acknowledge) = message
                && !acknowledge.is_empty()
                && let Some(book) = self.sessions.get(&session)
            {
                let _ = book.to.try_send(ToSession::NotStored(acknowledge));
            }
        }
    }

    pub(super) fn after_commit(&mut self, session: i64, message: ToSession) {
        self.after_commit.push((session, message));
    }

    /// Nothing more is claimed: an answer condemned the account or its settings.
    pub(super) fn halt(&mut self, why: String) {
        self.claiming = false;
        if self.status.halted.is_none() {
            self.status.halted = Some(why);
            let sessions = self.sessions.keys().map(|session| (*session, ToSession::Stop));
            self.after_commit.extend(sessions);
        }
    }

    fn publish(&mut self) {
        let mut counts = [0; State::COUNT];
        let (mut awaiting, mut doubts) = (0, 0);
        for &index in &self.active {
            if let Some(book) = self.books.campaign(index) {
                for (sum, count) in counts.iter_mut().zip(book.counts) {
                    *sum += count;
                }
                if book.awaits_receipts {
                    awaiting += book.counts[State::Accepted as usize];
                    doubts += book.counts[State::InDoubt as usize];
                }
            }
        }
        self.status.counts = counts;
        self.status.awaiting_receipts = awaiting;
        self.status.doubts_awaiting_receipts = doubts;
        self.status.blocked = None;
        self.status.steps = self.work.done();
        self.status.late_answers = self.held.values().map(HashSet::len).sum();
        // The end of the feed shows by itself only when something is asked for.
        if self.chunk.is_none()
            && let Some(feeder) = &self.feeder
            && feeder.is_through()
        {
            self.feeder = None;
        }
        let sends_nothing =
            self.feeder.is_none() && self.chunk.is_none() && self.retries.is_empty() && self.status.in_flight == 0;
        self.status.canary_waits = sends_nothing && self.claiming && self.watch.holds_back();
        self.status.all_sent = sends_nothing && !self.status.canary_waits && !self.decisions_left;
        self.board.lock().clone_from(&self.status);
    }

    /// A journal that was deleted or replaced would keep no promise. Nor would one without its WAL, which has what is newest,
    /// or a lock that another sender can take.
    fn look_after_file(&mut self) -> Result<(), JournalError> {
        self.looked_at = Instant::now();
        match self.files.iter().find(|(file, inode)| inode_of(file).ok() != Some(*inode)) {
            Some((gone, _)) => Err(JournalError::Replaced { path: self.path.clone(), gone: gone.clone() }),
            None => Ok(()),
        }
    }

    fn others_wrote(&mut self) -> Result<bool, JournalError> {
        Ok(data_version(&self.connection)? != self.data_version)
    }

    /// Applies the cancels, suppressions and decisions that other processes committed.
    fn heed_others(&mut self) -> Result<(), JournalError> {
        self.data_version = data_version(&self.connection)?;
        self.heed_on()
    }

    /// Whether not all is applied that other processes committed.
    fn is_behind_others(&self) -> bool {
        self.decisions_left || self.suppressed.is_behind()
    }

    /// Applies what other processes committed as far as one transaction goes: numbers that are never sent to come first.
    fn heed_on(&mut self) -> Result<(), JournalError> {
        let fresh = self.suppressed.read_on(&self.connection)?;
        self.barred.numbers.extend(fresh);
        if self.suppressed.is_behind() { Ok(()) } else { self.apply_decisions() }
    }

    /// Applies what was decided, as far as one transaction goes.
    fn apply_decisions(&mut self) -> Result<(), JournalError> {
        let is_cancelled = |books: &Books, index| books.campaign(index).is_none_or(|book| book.cancelled);
        let alive: Vec<u32> = self.active.iter().copied().filter(|&index| !is_cancelled(&self.books, index)).collect();
        let applied = crate::journal::store::decisions::apply(&self.connection, &mut self.books)?;
        self.barred.campaigns.extend(alive.iter().filter(|&&index| is_cancelled(&self.books, index)));
        for assigned in &applied.assigned {
            self.note_assigned(assigned)?;
        }
        self.cancelled.extend(&applied.cancelled);
        self.decisions_left = applied.is_left;
        self.queue_again(&applied.again)
    }
}

fn inode_of(path: &Path) -> io::Result<Inode> {
    std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

fn data_version(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::beside::beside;
    use crate::journal::error::JournalError;
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::open::open_existing;
    use crate::journal::testkit::bench::Bench;
    use crossbeam_channel::bounded;

    fn bench() -> Bench {
        Bench::new(&[("447700900001", 1), ("447700900002", 1)], Hold)
    }

    #[test]
    fn a_file_beside_the_journal_that_is_not_what_it_was_ends_it() {
        let mut bench = bench();
        let wal = beside(&bench.path, "-wal");
        bench.keeper().look_after_file().unwrap();
        std::fs::rename(&wal, bench.path.with_extension("kept")).unwrap();
        let gone = |bench: &mut Bench| match bench.keeper().look_after_file() {
            Err(JournalError::Replaced { gone, .. }) => gone,
            other => panic!("{other:?}"),
        };
        assert_eq!(gone(&mut bench), wal);
        std::fs::write(&wal, "").unwrap();
        assert_eq!(gone(&mut bench), wal);
        std::fs::rename(bench.path.with_extension("kept"), &wal).unwrap();
        bench.keeper().look_after_file().unwrap();
        // A sender has a lock besides.
        let _lock = crate::journal::files::lock::SenderLock::take(&bench.path).unwrap();
        bench.restart();
        bench.keeper().look_after_file().unwrap();
        std::fs::remove_file(beside(&bench.path, "-lock")).unwrap();
        assert_eq!(gone(&mut bench), beside(&bench.path, "-lock"));
    }

    #[test]
    fn a_reader_does_not_hold_up_the_end() {
        let mut bench = bench();
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        let reader = super::super::open_read_only(&bench.path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM message").unwrap();
        bench.answer(session, sent[0], 0, "1");
        let keeper = bench.keeper.take().unwrap();
        let (events, received) = bounded(1);
        drop(events);
        let begun = Instant::now();
        keeper.run(received).unwrap();
        assert!(begun.elapsed() < 5 * LAST_CHECKPOINT_WAIT, "{:?}", begun.elapsed());
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(bench.states(), ["accepted", "sending"]);
    }

    #[test]
    fn it_waits_for_whoever_keeps_the_journal_from_being_written() {
        let mut bench = bench();
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        let keeper = bench.keeper.take().unwrap();
        keeper.connection.busy_timeout(Duration::from_millis(20)).unwrap();
        let board = Arc::clone(&keeper.board);
        let other = open_existing(&bench.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (events, received) = bounded(8);
        let thread = std::thread::spawn(move || keeper.run(received));
        let closed =
            |unanswered| ToJournal::Closed { session, reason: "cut".into(), unanswered, unwritten: Vec::new() };
        events.send(closed(sent)).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let blocked = || board.lock().blocked.clone();
        while blocked().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let words = blocked().unwrap();
        assert!(words.starts_with(&format!("process {} (", std::process::id())), "{words}");
        other.execute_batch("COMMIT").unwrap();
        drop(events);
        thread.join().unwrap().unwrap();
        assert_eq!(blocked(), None);
        assert_eq!(bench.states(), ["in_doubt", "in_doubt"]);
    }
}
