//! How the journal thread comes to know what the journal says: at its start, and when a transaction was lost.

use super::restrain::Watch;
use super::{Board, Held, Inode, Keeper, Status, data_version, inode_of};
use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::files::reserve::Reserve;
use crate::journal::matcher::alternatives;
use crate::journal::matcher::doubts::Doubts;
use crate::journal::matcher::id_archive::Spill;
use crate::journal::matcher::id_index::Ids;
use crate::journal::matcher::id_load::{Asleep, load_ids};
use crate::journal::matcher::judging::{ToJudge, Work};
use crate::journal::matcher::number_evidence;
use crate::journal::matcher::unmatched::{STRAYS_MAX, Strays};
use crate::journal::model::events::Barred;
use crate::journal::model::outstanding::Generations;
use crate::journal::model::sequence::Sequence;
use crate::journal::store::counts::Books;
use crate::journal::store::restraint::OpenCanary;
use crate::journal::store::suppression::Suppressions;
use crate::journal::writer::read_ahead;
use crate::journal::writer::read_ahead::Feeder;
use crate::journal::writer::retry_queue;
use crate::journal::writer::retry_queue::{Retries, RetryRules, backlog};
use crate::message::text::DefaultAlphabet;
use crate::policy::restraint::StopWhen;
use hashbrown::{HashMap, HashSet};
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Defaults to seven days.
pub const RECEIPT_HORIZON: Duration = Duration::from_secs(7 * 24 * 3_600);

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
    /// Whether requests carry a user_message_reference; cleared when the SMSC refuses it.
    pub references: Arc<AtomicBool>,
    /// Messages from handsets that put their number on the suppression list, as [`stop_word`](super::stop_word) folds them.
    pub opt_out_words: Vec<String>,
    /// Those that take it off again.
    pub opt_in_words: Vec<String>,
    /// What data_coding 0 means in them.
    pub default_alphabet: DefaultAlphabet,
    /// What statuses mean.
    pub rules: Arc<RetryRules>,
    /// By which rules the run stops itself.
    pub stop_when: Vec<StopWhen>,
    /// Campaigns of which only the first messages go for the time being.
    pub canaries: Vec<OpenCanary>,
    /// What was answered longer before a receipt came is no rival of a newer attempt with the same id.
    pub receipt_horizon: Duration,
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
        let files = files(&settings.path)?;
        let reserve = Reserve::keep(&settings.path)?;
        let mut ranges = read_ahead::ranges(&connection, &books, &settings.active, settings.limit)?;
        let watch = Watch::begin(&connection, &books, &mut ranges, &settings.stop_when, settings.canaries)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let ids = load_ids(&connection, settings.ids_in_memory)?;
        connection.execute_batch("COMMIT")?;
        retry_queue::load_reference_ban(&connection, &settings.references)?;
        let mut keeper = Self::bare(connection, books, ids)?;
        keeper.files = files;
        keeper.watch = watch;
        keeper.path = settings.path;
        keeper.limit_end = ranges.iter().map(|range| (range.campaign, range.limit_end)).collect();
        keeper.active = settings.active;
        keeper.ids_in_memory = settings.ids_in_memory;
        keeper.references = settings.references;
        keeper.opt_out_words = settings.opt_out_words;
        keeper.opt_in_words = settings.opt_in_words;
        keeper.default_alphabet = settings.default_alphabet;
        keeper.rules = settings.rules;
        keeper.gather = settings.gather;
        keeper.receipt_horizon_ms = i64::try_from(settings.receipt_horizon.as_millis()).unwrap_or(i64::MAX);
        keeper.reserve = Some(reserve);
        keeper.sequence = Sequence::after(last_number);
        keeper.next_serial = next_serial;
        keeper.board = board;
        keeper.claiming = true;
        keeper.load_retries();
        keeper.load_judging()?;
        if ranges.iter().any(|range| range.from < range.limit_end) {
            keeper.feeder = Some(Feeder::spawn(&keeper.path, ranges)?);
        }
        keeper.transact(&mut Vec::new(), true)?;
        Ok(keeper)
    }

    /// A keeper that can write down what came, and neither claims nor runs.
    pub(in crate::journal) fn bare(
        connection: Connection,
        books: Books,
        (ids, spill, asleep): (Ids, Spill, Asleep),
    ) -> Result<Self, JournalError> {
        let (strays, doubts) = undecided(&connection, &ids)?;
        let ids_match = alternatives::ids_match(&connection)?;
        Ok(Self {
            path: PathBuf::new(),
            files: Vec::new(),
            books,
            ids,
            spill,
            asleep,
            strays,
            doubts,
            to_judge: ToJudge::default(),
            work: Work::default(),
            rivals: RefCell::default(),
            ids_match,
            nameless: alternatives::some_are_nameless(&connection)?,
            numbers_fit: number_evidence::numbers_fit(&connection)?,
            to_revise: number_evidence::to_revise(&connection)?,
            receipt_horizon_ms: RECEIPT_HORIZON.as_millis() as i64,
            generations: Generations::default(),
            references: Arc::default(),
            opt_out_words: Vec::new(),
            opt_in_words: Vec::new(),
            default_alphabet: DefaultAlphabet::default(),
            retries: Retries::default(),
            rules: Arc::default(),
            sessions: HashMap::new(),
            feeder: None,
            chunk: None,
            sequence: Sequence::after(0),
            held: Held::new(),
            next_serial: 1,
            run: fastrand::u64(1..),
            status: Status::default(),
            board: Board::default(),
            active: Vec::new(),
            claiming: false,
            data_version: data_version(&connection)?,
            cancelled: HashSet::new(),
            decisions_left: false,
            suppressed: Suppressions::load(&connection)?,
            barred: Barred::default(),
            streak: (0, 0),
            unbound: (0, 0),
            crowd: Default::default(),
            passed_by: 0,
            watch: Watch::default(),
            wal: crate::journal::files::wal::Watch::default(),
            limit_end: HashMap::new(),
            after_commit: Vec::new(),
            aside: VecDeque::new(),
            opened: Vec::new(),
            ids_in_memory: 0,
            reserve: None,
            looked_at: Instant::now(),
            gather: Duration::ZERO,
            committed_at: Instant::now(),
            connection,
        })
    }

    /// The journal and the books, when nothing more is to be written down.
    pub(in crate::journal) fn into_parts(self) -> (Connection, Books) {
        (self.connection, self.books)
    }

    /// Has the next transactions put on the retry queue what the journal says is to be tried again.
    pub(super) fn load_retries(&mut self) {
        backlog::begin(&self.books, &self.active, &self.limit_end, &mut self.retries);
    }

    /// Whether messages are to be looked at for that.
    pub(super) fn has_backlog(&self) -> bool {
        self.claiming && backlog::wants_more(&self.retries)
    }

    /// Looks at some of them.
    pub(super) fn load_backlog(&mut self) -> Result<(), JournalError> {
        if self.has_backlog() {
            backlog::load_on(&self.connection, &self.books, &self.rules, &mut self.retries)?;
            self.status.exhausted = self.retries.exhausted(&self.books);
        }
        Ok(())
    }

    /// Puts on the retry queue what of these messages is to be sent again.
    pub(super) fn queue_again(&mut self, messages: &[(u32, i64)]) -> Result<(), JournalError> {
        for &(campaign, message) in messages {
            let is_beyond = self.limit_end.get(&campaign).is_some_and(|end| message >= *end);
            if self.active.contains(&campaign) && !is_beyond {
                retry_queue::load_one(&self.connection, &self.rules, campaign, message, &mut self.retries)?;
            }
        }
        self.status.exhausted = self.retries.exhausted(&self.books);
        Ok(())
    }

    /// Goes back to what is on disk. Numbers that the lost transaction had given are not given again.
    pub(super) fn forget_transaction(&mut self) -> Result<(), JournalError> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.after_commit.clear();
        self.opened.clear();
        self.books = Books::load(&self.connection)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        (self.ids, self.spill, self.asleep) = load_ids(&self.connection, self.ids_in_memory)?;
        self.connection.execute_batch("COMMIT")?;
        (self.strays, self.doubts) = undecided(&self.connection, &self.ids)?;
        self.strays.wait_for(self.generations.current());
        self.load_judging()?;
        self.ids_match = alternatives::ids_match(&self.connection)?;
        self.nameless = alternatives::some_are_nameless(&self.connection)?;
        self.numbers_fit = number_evidence::numbers_fit(&self.connection)?;
        self.to_revise = number_evidence::to_revise(&self.connection)?;
        self.retries = Retries::default();
        self.load_retries();
        self.decisions_left = false;
        // What other processes decided is to be heeded again.
        self.data_version = -1;
        Ok(())
    }
}

/// The journal and those of its companions that are there: without a sender there is no lock.
fn files(journal: &Path) -> Result<Vec<(PathBuf, Inode)>, JournalError> {
    let inode = inode_of(journal).map_err(|error| JournalError::Io(journal.into(), error))?;
    let mut files = vec![(journal.to_owned(), inode)];
    for suffix in ["-wal", "-lock"] {
        let file = beside(journal, suffix);
        if let Ok(inode) = inode_of(&file) {
            files.push((file, inode));
        }
    }
    Ok(files)
}

/// The receipts whose owner is not certain, and the attempts in doubt.
fn undecided(connection: &Connection, ids: &Ids) -> Result<(Strays, Doubts), JournalError> {
    let strays = Strays::load(connection, ids, STRAYS_MAX)?;
    let doubts = Doubts::load(connection, ids, strays.named_in_doubt())?;
    Ok((strays, doubts))
}

/// Turns "no row" into a value.
fn none_is<T>(value: T) -> impl FnOnce(rusqlite::Error) -> Result<T, rusqlite::Error> {
    |error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(value),
        other => Err(other),
    }
}
