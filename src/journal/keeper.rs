//! The journal thread: the only writer while messages are sent.
//!
//! It waits for events, takes all that are there, applies them in one transaction together with the claims that are
//! wanted, commits, and only then hands out what rests on the commit: claimed parts to be written, inbound PDUs to be
//! answered. While one commit runs, events gather, so that commits group themselves.

use super::books::Books;
use super::events::{Acknowledge, Chunk, Item, Run, Sent, SessionFacts, SessionNumber, ToJournal, ToSession};
use super::facts::MessageFacts;
use super::ids::Ids;
use super::key::{Attempt, State, TRIES_MAX, Verdict};
use super::marks::boot_id;
use super::reserve::Reserve;
use super::retry::{Retries, RetryRules, Waiting};
use super::sequence::Sequence;
use super::{JournalError, now_ms, recover};
use crate::broken;
use crate::failpoint::reach;
use crate::journal::feed::Feeder;
use crossbeam_channel::{Receiver, Sender, never, select};
use hashbrown::HashMap;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events taken into one transaction at most; each is a whole read's worth, so this bounds its size, not its use.
const EVENTS_PER_COMMIT_MAX: usize = 256;
/// How often the journal's file and the decisions of other processes are looked at when nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// "For ever", as a wait.
const IDLE: Duration = Duration::from_secs(3_600);

/// What the journal thread tells the rest of the program, replaced at every commit.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Messages of the campaigns that are being sent, by state.
    pub counts: [i64; State::COUNT],
    /// Messages whose receipt is outstanding.
    pub awaiting_receipts: i64,
    /// Attempts that are claimed and have neither answer nor verdict.
    pub in_flight: usize,
    /// Nothing is left to send (in this run), and nothing is in flight.
    pub all_sent: bool,
    /// When the last answer or receipt came.
    pub last_news: Option<Instant>,
    /// Why no more is sent although there is more: an answer that condemns the account or its settings.
    pub halted: Option<String>,
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
    /// Transactions committed in this run.
    pub commits: u64,
}

/// Where [`Status`] is read.
pub type Board = Arc<Mutex<Status>>;

/// A session as the journal thread sees it.
pub(super) struct SessionBook {
    to: Sender<ToSession>,
    wanted: usize,
}

/// Sequence numbers that a late answer may still name, by session.
type Held = HashMap<i64, Vec<u32>>;

/// The journal thread's own.
pub struct Keeper {
    pub(super) connection: Connection,
    path: PathBuf,
    inode: (u64, u64),
    pub(super) books: Books,
    pub(super) ids: Ids,
    pub(super) strays: super::strays::Strays,
    pub(super) retries: Retries,
    pub(super) rules: Arc<RetryRules>,
    sessions: HashMap<i64, SessionBook>,
    feeder: Option<Feeder>,
    chunk: Option<(Arc<Chunk>, usize)>,
    pub(super) sequence: Sequence,
    held: Held,
    next_serial: i64,
    pub(super) status: Status,
    board: Board,
    active: Vec<u32>,
    claiming: bool,
    data_version: i64,
    suppressed: hashbrown::HashSet<u64>,
    pub(super) streak: (u32, u32),
    limit_end: HashMap<u32, i64>,
    after_commit: Vec<(i64, ToSession)>,
    ids_in_memory: usize,
    /// `None`: used up, the disk is full.
    reserve: Option<Reserve>,
    looked_at: Instant,
    gather: Duration,
    committed_at: Instant,
}

/// What a keeper is started with.
#[derive(Debug)]
pub struct KeeperSettings {
    /// The journal's file.
    pub path: PathBuf,
    /// Indices of the campaigns to send, in order; empty: none (`listen`).
    pub active: Vec<u32>,
    /// Of each campaign in `active`, send only the first so many messages.
    pub limit: Option<u64>,
    /// How many message ids to keep in memory.
    pub ids_in_memory: usize,
    /// What statuses mean.
    pub rules: Arc<RetryRules>,
    /// Commits are at least this far apart. Zero: as fast as the disk.
    pub gather: Duration,
}

impl Keeper {
    /// Takes over a recovered journal. Reads back what it must know: ids whose receipts are outstanding, what is to be
    /// tried again, the next numbers.
    pub fn start(
        connection: Connection,
        books: Books,
        settings: KeeperSettings,
        board: Board,
    ) -> Result<Self, JournalError> {
        let next_serial: i64 = connection
            .query_row("SELECT first_serial + parts FROM claim ORDER BY first_serial DESC LIMIT 1", [], |row| {
                row.get(0)
            })
            .or_else(none_is(1))?;
        let last_number: u32 = connection
            .query_row(
                "SELECT first_sequence_number + parts - 1 FROM claim ORDER BY first_serial DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .or_else(none_is(0))?;
        let meta = std::fs::metadata(&settings.path).map_err(|error| JournalError::Io(settings.path.clone(), error))?;
        let reserve = Reserve::keep(&settings.path)?;
        let ranges = super::feed::ranges(&connection, &books, &settings.active, settings.limit)?;
        let limit_end = ranges.iter().map(|range| (range.campaign, range.limit_end)).collect();
        let ids = super::strays::load_ids(&connection, settings.ids_in_memory)?;
        let strays = super::strays::Strays::load(&connection, &ids)?;
        let mut retries = Retries::default();
        super::retry::load(&connection, &books, &settings.active, &limit_end, &mut retries)?;
        let feeder = if ranges.iter().any(|range| range.from < range.limit_end) {
            Some(Feeder::spawn(&settings.path, ranges)?)
        } else {
            None
        };
        let data_version = data_version(&connection)?;
        let mut keeper = Self {
            inode: (meta.dev(), meta.ino()),
            path: settings.path,
            books,
            ids,
            strays,
            retries,
            rules: settings.rules,
            sessions: HashMap::new(),
            feeder,
            chunk: None,
            sequence: Sequence::after(last_number),
            held: Held::new(),
            next_serial,
            status: Status::default(),
            board,
            active: settings.active,
            claiming: true,
            data_version,
            suppressed: super::control::suppressed(&connection)?,
            streak: (0, 0),
            limit_end,
            after_commit: Vec::new(),
            ids_in_memory: settings.ids_in_memory,
            reserve: Some(reserve),
            looked_at: Instant::now(),
            gather: settings.gather,
            committed_at: Instant::now(),
            connection,
        };
        keeper.transact(&mut Vec::new(), true)?;
        Ok(keeper)
    }

    /// Runs until every sender of events is gone.
    pub fn run(mut self, events: Receiver<ToJournal>) -> Result<(), JournalError> {
        let mut inbox = Vec::with_capacity(EVENTS_PER_COMMIT_MAX);
        loop {
            let hungry =
                self.claiming && self.chunk.is_none() && self.sessions.values().any(|session| session.wanted > 0);
            let wait = self.wait();
            let feed = match &self.feeder {
                Some(feeder) if hungry => feeder.chunks().clone(),
                _ => never(),
            };
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
            let housekeeping = self.looked_at.elapsed() >= HOUSEKEEPING;
            if housekeeping {
                self.look_after_file()?;
            }
            self.transact(&mut inbox, housekeeping).map_err(|error| error.at(&self.path))?;
        }
        // Folded back into the one file, so that what is left behind can be copied as it is.
        reach("checkpoint")?;
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
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
        let retry = if self.claiming && self.sessions.values().any(|session| session.wanted > 0) {
            self.retries.due_in(now_ms()).unwrap_or(IDLE)
        } else {
            IDLE
        };
        retry.min(HOUSEKEEPING).max(Duration::from_millis(1))
    }

    /// One transaction; where the disk is full, the reserve makes room for it, and nothing is claimed any more.
    fn transact(&mut self, inbox: &mut Vec<ToJournal>, housekeeping: bool) -> Result<(), JournalError> {
        let before = self.status.clone();
        match self.try_transact(inbox, housekeeping) {
            Err(error) if error.is_full() && !broken::is("no-reserve") => {
                let Some(reserve) = self.reserve.take() else { return Err(error) };
                self.forget_transaction(before)?;
                drop(reserve);
                self.halt(JournalError::Full(self.path.clone()).to_string());
                self.try_transact(inbox, housekeeping)
            }
            outcome => outcome,
        }
    }

    /// Goes back to what is on disk. Numbers that the lost transaction had given are not given again.
    fn forget_transaction(&mut self, before: Status) -> Result<(), JournalError> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.after_commit.clear();
        self.status = before;
        self.books = Books::load(&self.connection)?;
        self.ids = super::strays::load_ids(&self.connection, self.ids_in_memory)?;
        self.strays = super::strays::Strays::load(&self.connection, &self.ids)?;
        self.retries = Retries::default();
        super::retry::load(&self.connection, &self.books, &self.active, &self.limit_end, &mut self.retries)?;
        // What other processes decided is to be heeded again.
        self.data_version = -1;
        Ok(())
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
                _ => to_write = true,
            }
        }
        let may_claim = self.may_claim()?;
        if to_write || may_claim || (housekeeping && self.others_wrote()?) {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            if self.others_wrote()? {
                self.heed_others()?;
            }
            for event in inbox.iter() {
                self.apply(event)?;
            }
            if may_claim && self.claiming {
                self.serve()?;
            }
            self.books.settle(&self.connection)?;
            if broken::is("send-before-commit") {
                self.hand_out(|message| matches!(message, ToSession::Send(_)));
            }
            if broken::is("answer-before-commit") {
                self.hand_out(|message| matches!(message, ToSession::Stored(_)));
            }
            reach("commit")?;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            reach("committed")?;
            self.status.commits += 1;
            self.committed_at = Instant::now();
        }
        inbox.clear();
        self.hand_out(|_| true);
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

    fn apply(&mut self, event: &ToJournal) -> Result<(), JournalError> {
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
                    self.held.entry(*session).or_default().push(sent.sequence_number);
                    self.doubt(sent, "no answer within the response timeout")?;
                }
                Ok(())
            }
            ToJournal::Withdrawn { sent, .. } => {
                for &sent in sent {
                    self.unwritten(sent, "an earlier part of the message was refused")?;
                }
                Ok(())
            }
            ToJournal::Closing { session } => {
                self.sessions.remove(session);
                Ok(())
            }
            ToJournal::Closed { session, reason, unanswered, unwritten } => {
                for &sent in unanswered {
                    self.doubt(sent, reason)?;
                }
                for &sent in unwritten {
                    self.unwritten(sent, reason)?;
                }
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

    fn open(
        &mut self,
        facts: &SessionFacts,
        session: Sender<ToSession>,
        reply: &Sender<SessionNumber>,
    ) -> Result<(), JournalError> {
        self.connection
            .prepare_cached(
                "INSERT INTO session (opened_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                now_ms(),
                boot_id(),
                self.next_serial,
                &facts.peer,
                &facts.system_id,
                facts.bind,
                facts.smpp_version,
            ))?;
        let id = self.connection.last_insert_rowid();
        self.sessions.insert(id, SessionBook { to: session, wanted: 0 });
        // Said before the commit: the session can claim nothing before its own request has been committed after it.
        // A full channel has the same number in it: its transaction is being tried again.
        let _ = reply.try_send(SessionNumber { id, serial_before: self.next_serial - 1 });
        Ok(())
    }

    /// An attempt that may have left and was not answered.
    fn doubt(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        if sent.late {
            // Reported when its response timer expired.
            return Ok(());
        }
        self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        let policy = recover::in_doubt_policy(&self.books, sent.attempt);
        recover::doubt(&self.connection, sent.attempt, reason, policy)?;
        if policy == super::books::InDoubtPolicy::Resend {
            self.again(&sent, 0)?;
        }
        self.status.in_flight -= 1;
        Ok(())
    }

    /// A claimed attempt that never left.
    fn unwritten(&mut self, sent: Sent, reason: &str) -> Result<(), JournalError> {
        self.books.touch(&self.connection, sent.attempt.part(), State::Sending)?;
        recover::pronounce(&self.connection, sent.attempt, Verdict::NotWritten, reason)?;
        self.again(&sent, 0)?;
        self.status.in_flight -= 1;
        Ok(())
    }

    /// Puts the part of an attempt on the retry queue.
    pub(super) fn again(&mut self, sent: &Sent, delay_ms: i64) -> Result<(), JournalError> {
        let tried = sent.attempt.tried() + 1;
        if tried >= TRIES_MAX {
            return Err(JournalError::Inconsistent(format!(
                "part {} was tried {TRIES_MAX} times",
                sent.attempt.part()
            )));
        }
        self.retries.push(Waiting {
            due_ms: now_ms() + delay_ms,
            attempt: Attempt::new(sent.attempt.part(), tried),
            message: sent.message,
            campaign: sent.campaign,
            refused: sent.refused,
        });
        Ok(())
    }

    /// Claims what sessions want and there is, the retry queue first.
    fn serve(&mut self) -> Result<(), JournalError> {
        let now = now_ms();
        let sessions: Vec<i64> =
            self.sessions.iter().filter(|(_, book)| book.wanted > 0).map(|(&session, _)| session).collect();
        for session in sessions {
            let wanted = self.sessions.get(&session).map_or(0, |book| book.wanted);
            let mut runs = Vec::new();
            let mut claimed = 0;
            while claimed < wanted {
                let Some(chunk) = self.retry_chunk(wanted - claimed, now)? else { break };
                claimed += self.claim(session, &Arc::new(chunk), 0, usize::MAX, now, &mut runs)?.1;
            }
            while claimed < wanted {
                let Some((chunk, at)) = self.next_chunk()? else { break };
                let (next, count) = self.claim(session, &chunk, at, wanted - claimed, now, &mut runs)?;
                claimed += count;
                self.chunk = (next < chunk.items.len()).then_some((chunk, next));
            }
            if claimed > 0 {
                self.status.in_flight += claimed;
                if let Some(book) = self.sessions.get_mut(&session) {
                    book.wanted = 0;
                }
                self.after_commit.push((session, ToSession::Send(runs)));
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
            if self.is_barred(&items[at])? {
                let message = items[at].message;
                at += items[at..].iter().take_while(|item| item.message == message).count();
                continue;
            }
            // A run: consecutive parts of messages that may go, as far as numbers last.
            let start = at;
            let (first, room) = self.sequence.peek();
            while at < items.len() && at - start < room {
                let item = &items[at];
                if at > start && item.attempt.0 - items[at - 1].attempt.0 != Attempt::new(1, 0).0 {
                    break;
                }
                let begins = at == start || item.message != items[at - 1].message;
                if begins && at > start && (claimed + at - start >= wanted || self.is_barred(item)?) {
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
            });
            self.next_serial += count as i64;
            claimed += count;
        }
        Ok((at, claimed))
    }

    fn write_claim(
        &mut self,
        session: i64,
        items: &[Item],
        first_sequence_number: u32,
        now: i64,
    ) -> Result<(), JournalError> {
        let Some(first) = items.first() else { return Ok(()) };
        reach("claim")?;
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
    fn is_barred(&mut self, item: &Item) -> Result<bool, JournalError> {
        if self.books.campaign(item.campaign).is_none_or(|campaign| campaign.cancelled) {
            return Ok(true);
        }
        if self.suppressed.is_empty() || !self.suppressed.contains(&item.destination) {
            return Ok(false);
        }
        super::control::suppress_message(&self.connection, &mut self.books, item.campaign, item.message)?;
        Ok(true)
    }

    /// Parts of the retry queue that are due, encoded.
    fn retry_chunk(&mut self, wanted: usize, now: i64) -> Result<Option<Chunk>, JournalError> {
        let mut chunk = Chunk::default();
        while chunk.items.len() < wanted {
            let Some(waiting) = self.retries.pop_due(now) else { break };
            if self.books.campaign(waiting.campaign).is_none_or(|campaign| campaign.cancelled) {
                continue;
            }
            // Looked up again, since a late answer or a receipt may have settled it while it waited.
            let Some((message, parts)) = super::facts::message_of(&self.connection, waiting.attempt.part())? else {
                continue;
            };
            let facts = MessageFacts::load(&self.connection, message, parts)?;
            let part = (waiting.attempt.part() - message) as usize;
            if facts.next_attempt(part) != waiting.attempt
                || !super::state::is_to_send(&facts.parts[part])
                || !super::state::may_go_on(&facts.parts)
            {
                continue;
            }
            super::feed::encode_again(&self.connection, &self.books, &waiting, message, &mut chunk)?;
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
    fn take_chunk(&mut self, chunk: Option<Result<Chunk, JournalError>>) -> Result<(), JournalError> {
        match chunk {
            Some(chunk) => self.chunk = Some((Arc::new(chunk?), 0)),
            None => self.feeder = None,
        }
        Ok(())
    }

    fn may_claim(&mut self) -> Result<bool, JournalError> {
        if !self.claiming || !self.sessions.values().any(|session| session.wanted > 0) {
            return Ok(false);
        }
        if self.retries.due_in(now_ms()) == Some(Duration::ZERO) {
            return Ok(true);
        }
        self.chunk = self.next_chunk()?;
        Ok(self.chunk.is_some())
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
        let mut awaiting = 0;
        for &index in &self.active {
            if let Some(book) = self.books.campaign(index) {
                for (sum, count) in counts.iter_mut().zip(book.counts) {
                    *sum += count;
                }
                if book.awaits_receipts {
                    awaiting += book.counts[State::Accepted as usize];
                }
            }
        }
        self.status.counts = counts;
        self.status.awaiting_receipts = awaiting;
        // The end of the feed shows by itself only when something is asked for.
        if self.chunk.is_none()
            && let Some(feeder) = &self.feeder
            && feeder.is_through()
        {
            self.feeder = None;
        }
        self.status.all_sent =
            self.feeder.is_none() && self.chunk.is_none() && self.retries.is_empty() && self.status.in_flight == 0;
        self.board.lock().clone_from(&self.status);
    }

    /// A journal that was deleted or replaced would keep no promise.
    fn look_after_file(&mut self) -> Result<(), JournalError> {
        self.looked_at = Instant::now();
        match std::fs::metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.inode => Ok(()),
            _ => Err(JournalError::Replaced(self.path.clone())),
        }
    }

    fn others_wrote(&mut self) -> Result<bool, JournalError> {
        Ok(data_version(&self.connection)? != self.data_version)
    }

    /// Honours what `cancel`, `suppress` and `resolve` appended meanwhile.
    fn heed_others(&mut self) -> Result<(), JournalError> {
        self.data_version = data_version(&self.connection)?;
        self.suppressed = super::control::suppressed(&self.connection)?;
        let touched = super::control::apply(&self.connection, &mut self.books)?;
        if touched {
            super::retry::load(&self.connection, &self.books, &self.active, &self.limit_end, &mut self.retries)?;
        }
        Ok(())
    }
}

impl Acknowledge {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.deliver.len() + self.data.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn data_version(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Turns "no row" into a value.
fn none_is<T>(value: T) -> impl FnOnce(rusqlite::Error) -> Result<T, rusqlite::Error> {
    |error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(value),
        other => Err(other),
    }
}
