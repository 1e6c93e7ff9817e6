//! How the journal thread comes to know what the journal says: at its start, and when a transaction was lost.

use super::calendar::Calendar;
use super::claim::Claimer;
use super::external::External;
use super::files::Files;
use super::inbound::OptWords;
use super::inbox::Inbox;
use super::lanes::Lanes;
use super::read_ahead;
use super::refusals::Refusals;
use super::restrain::Watch;
use super::retry_queue::{self, Retries};
use super::service::ServiceSettings;
use super::sessions::Sessions;
use super::takeover::OwnJournal;
use super::{Board, JournalThread, Status};
use crate::journal::error::JournalError;
use crate::journal::matcher::{Before, Matcher, RECEIPT_HORIZON_MS};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::store::counts::Counts;
use crate::journal::store::restraint::OpenCanary;
use crate::message::text::DefaultAlphabet;
use crate::policy::restraint::StopWhen;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Defaults to seven days.
pub const RECEIPT_HORIZON: Duration = Duration::from_millis(RECEIPT_HORIZON_MS as u64);

/// What the journal thread is started with.
#[derive(Debug)]
pub struct WriterSettings {
    /// Of each campaign, send only the first so many messages.
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
    /// The hours of the campaigns do not count.
    pub ignore_hours: bool,
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
    /// Sends what is released while it runs, instead of `active`.
    pub service: Option<ServiceSettings>,
}

impl JournalThread {
    /// Of a journal that was [taken over](super::takeover::start). Reads back what it must know: ids whose receipts are outstanding, what
    /// is to be tried again, the next numbers.
    pub fn new(own: OwnJournal, settings: WriterSettings, board: Board) -> Result<Self, JournalError> {
        let path = own.path.clone();
        Self::load(own, settings, board).map_err(|error| error.at(&path))
    }

    fn load(own: OwnJournal, settings: WriterSettings, board: Board) -> Result<Self, JournalError> {
        let OwnJournal { path, journal, counts, active } = own;
        let connection = journal.into_connection();
        let files = Files::open(&path)?;
        let mut ranges = read_ahead::ranges(&connection, &counts, &active, settings.limit)?;
        let watch = Watch::begin(&connection, &counts, &mut ranges, &settings.stop_when, settings.canaries)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut matcher = Matcher::open(&connection, settings.ids_in_memory)?;
        connection.execute_batch("COMMIT")?;
        matcher.receipt_horizon_ms = i64::try_from(settings.receipt_horizon.as_millis()).unwrap_or(i64::MAX);
        retry_queue::load_reference_ban(&connection, &settings.references)?;
        let mut thread = Self::bare(connection, counts, matcher)?;
        thread.files = files;
        thread.watch = watch;
        thread.inbox = Inbox::new(settings.gather);
        thread.refusals = Refusals::new(settings.references);
        thread.words = OptWords {
            opt_out: settings.opt_out_words,
            opt_in: settings.opt_in_words,
            default_alphabet: settings.default_alphabet,
        };
        thread.board = board;
        let claimer = &mut thread.claimer;
        claimer.begin(Lanes::of(thread.files.path.clone()), active, &ranges, &thread.counts);
        claimer.rules = settings.rules;
        claimer.claiming = true;
        claimer.load_retries(&thread.counts);
        claimer.load_purses(&thread.connection, &thread.counts)?;
        let active = claimer.active.clone();
        claimer.load_shares(&thread.connection, &thread.counts, &active)?;
        thread.calendar.is_ignored = settings.ignore_hours;
        thread.load_hours()?;
        thread.matcher.load_judging(&thread.connection)?;
        if let Some(service) = settings.service {
            thread.begin_service(service)?;
        }
        thread.transact(&mut Vec::new(), true)?;
        Ok(thread)
    }

    /// One that can write down what came, and neither claims nor runs.
    pub(in crate::journal) fn bare(
        connection: Connection,
        counts: Counts,
        matcher: Matcher,
    ) -> Result<Self, JournalError> {
        Ok(Self {
            counts,
            matcher,
            claimer: Claimer::load(&connection)?,
            sessions: Sessions::of_run(fastrand::u64(1..)),
            files: Files::none(),
            inbox: Inbox::new(Duration::ZERO),
            external: External::up_to_date(&connection)?,
            refusals: Refusals::default(),
            watch: Watch::default(),
            calendar: Calendar::default(),
            words: OptWords::default(),
            is_summed: false,
            service: None,
            status: Status::default(),
            board: Board::default(),
            connection,
        })
    }

    /// The journal and the counts, when nothing more is to be written down.
    pub(in crate::journal) fn into_parts(self) -> (Connection, Counts) {
        (self.connection, self.counts)
    }

    /// Goes back to what is on disk. Numbers that the lost transaction had given are not given again.
    pub(super) fn forget_transaction(&mut self, before: Before) -> Result<(), JournalError> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.sessions.forget_transaction();
        self.counts = Counts::load(&self.connection)?;
        self.is_summed = false;
        self.claimer.load_purses(&self.connection, &self.counts)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.matcher.reload(&self.connection, before)?;
        self.connection.execute_batch("COMMIT")?;
        self.claimer.turns.retries = Retries::default();
        self.claimer.load_retries(&self.counts);
        self.external.apply_anew();
        self.forget_service()?;
        Ok(())
    }
}
