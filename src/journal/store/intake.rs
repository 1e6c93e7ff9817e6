//! The import's way into the journal: all of a file or nothing of it. Rows are committed in chunks under a campaign that
//! is hidden until the last of them is in; one that never became whole is undone at the next start.

use super::budget::Budget;
use super::lately::SentBy;
use super::lately::{Count, Lately};
use super::twins::{self, Contents, Twin};
use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::files::lock::ImportLock;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::key::State;
use crate::journal::open::open_or_create;
use crate::journal::store::notes::in_transaction;
use crate::journal::store::number_index::upkeep;
use crate::journal::store::number_index::upkeep::Indexer;
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Statement};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Rows committed together, at least: a transaction of some ten milliseconds.
const ROWS_PER_COMMIT: usize = 20_000;
/// Between two of them a sender finds its turn, which it looks for more often than this.
const PAUSE: Duration = Duration::from_millis(1);
const _: () = assert!(PAUSE.as_micros() >= 2 * crate::journal::open::BUSY_LOOK.as_micros());
/// How long ago a number was sent to for an import to say so, in milliseconds.
pub const LATELY: i64 = 24 * 3_600_000;
/// Numbers of parts, and of rows left out, whose rows an undo deletes in one transaction.
const UNDONE_PER_COMMIT: i64 = 200_000;

/// A message to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Line of the file on which its row begins.
    pub line: u64,
    /// Digits.
    pub destination: &'a str,
    /// As [`key_of`](crate::journal::store::number_index::key_of) its digits: whoever read them has it already.
    pub number: u64,
    /// Sender; `None`: the campaign's.
    pub source: Option<&'a str>,
    /// Its text.
    pub text: &'a str,
    /// As [`crate::message::text::Encoding::stored`].
    pub encoding: u8,
    /// How many parts it makes.
    pub parts: u8,
    /// submit_sm fields given in the row, as JSON.
    pub fields: Option<&'a str>,
    /// Its number as the file has it, where that is more than digits behind a `+`.
    pub typed: Option<&'a str>,
    /// Its number is on the suppression list.
    pub suppressed: bool,
}

/// What is kept of a row.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// A message.
    Message(NewMessage<'a>),
    /// A row that is not sent.
    Skipped {
        /// Line of the file on which it begins.
        line: u64,
        /// Its number came before; else it was refused.
        duplicate: bool,
        /// It is good, and was left out because its number was sent to lately.
        sent_lately: bool,
        /// Why, in words.
        reason: &'a str,
        /// The row as it was written.
        row: &'a str,
    },
}

/// A campaign that the journal holds already.
#[derive(Clone, Debug)]
pub struct Existing {
    /// SHA-256 of its file.
    pub digest: String,
    /// Its options.
    pub options: CampaignOptions,
    /// How many messages it has.
    pub messages: i64,
}

/// The campaign of that name, where there is one that is whole.
pub fn existing(journal: &dyn Sql, name: &str) -> Result<Option<Existing>, JournalError> {
    let connection = journal.connection();
    let found: Option<(Option<String>, String, i64)> = connection
        .query_row(
            "SELECT c.digest, c.options, n.messages FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id
              WHERE c.name = ?1 AND c.imported_at IS NOT NULL",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((digest, options, messages)) = found else { return Ok(None) };
    let options = serde_json::from_str(&options)
        .map_err(|error| JournalError::Inconsistent(format!("the options of campaign {name:?}: {error}")))?;
    Ok(Some(Existing { digest: digest.unwrap_or_default(), options, messages }))
}

/// An import under way.
pub struct Intake {
    connection: Connection,
    path: PathBuf,
    campaign: i64,
    next_id: i64,
    next_skipped: i64,
    counts: Counts,
    first_refused: Option<(u64, String)>,
    pending: usize,
    indexer: Indexer,
    /// Where other campaigns sent lately: to which of the numbers.
    lately: Option<Count>,
    /// There was no journal before.
    is_new: bool,
    lock: ImportLock,
}

/// Messages of one statement: a sixth less of CPU a row than one by one, and hardly less with more.
const ROWS_PER_STATEMENT: usize = 16;
/// Columns of a message.
const COLUMNS: usize = 9;

/// Puts messages into the journal, several with each statement.
struct Messages<'a, 'c> {
    connection: &'c Connection,
    several: CachedStatement<'c>,
    /// Those that do not fill a statement yet.
    waiting: Vec<(i64, NewMessage<'a>)>,
}

impl<'a, 'c> Messages<'a, 'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let several = connection.prepare_cached(&insert(ROWS_PER_STATEMENT))?;
        Ok(Self { connection, several, waiting: Vec::with_capacity(ROWS_PER_STATEMENT) })
    }

    fn add(&mut self, id: i64, row: NewMessage<'a>) -> rusqlite::Result<()> {
        self.waiting.push((id, row));
        if self.waiting.len() < ROWS_PER_STATEMENT {
            return Ok(());
        }
        for (n, (id, row)) in self.waiting.drain(..).enumerate() {
            bind(&mut self.several, n * COLUMNS, id, &row)?;
        }
        self.several.raw_execute().map(|_| ())
    }

    /// Puts in the last ones.
    fn finish(mut self) -> Result<(), JournalError> {
        let mut one = self.connection.prepare_cached(&insert(1))?;
        for (id, row) in self.waiting.drain(..) {
            bind(&mut one, 0, id, &row)?;
            one.raw_execute()?;
        }
        Ok(())
    }
}

/// The statement that puts in so many.
fn insert(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO message (id, line, destination, source, text, encoding, parts, fields, typed) VALUES {rows}")
}

/// Binds a message behind so many parameters.
fn bind(statement: &mut Statement<'_>, before: usize, id: i64, row: &NewMessage<'_>) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(before + 1, id)?;
    statement.raw_bind_parameter(before + 2, row.line as i64)?;
    statement.raw_bind_parameter(before + 3, row.destination)?;
    statement.raw_bind_parameter(before + 4, row.source)?;
    statement.raw_bind_parameter(before + 5, row.text)?;
    statement.raw_bind_parameter(before + 6, row.encoding)?;
    statement.raw_bind_parameter(before + 7, row.parts)?;
    statement.raw_bind_parameter(before + 8, row.fields)?;
    statement.raw_bind_parameter(before + 9, row.typed)
}

/// What went in so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: i64,
    /// Their parts.
    pub parts: i64,
    /// Messages to suppressed numbers.
    pub suppressed: i64,
    /// Rows left out because their number came before.
    pub duplicates: i64,
    /// Rows refused, and those left out because their number was sent to lately.
    pub rejected: i64,
    /// Of these, the latter.
    pub sent_lately: i64,
}

impl Intake {
    /// Begins to import a campaign of a new name. Undoes what earlier imports left unfinished.
    pub fn begin(path: &Path, name: &str, file: &str, options: &CampaignOptions) -> Result<Self, JournalError> {
        Self::begin_for(path, name, file, options, None)
    }

    /// As [`begin`](Self::begin), and notes with the first row the account that a new journal serves: from then on no run
    /// of another kind (rehearsed or real) takes its rows for its own.
    pub fn begin_for(
        path: &Path,
        name: &str,
        file: &str,
        options: &CampaignOptions,
        account: Option<&str>,
    ) -> Result<Self, JournalError> {
        let lock = ImportLock::take(path)?;
        let is_new = !path.exists();
        let connection = open_or_create(path)?;
        let intake = Self::begin_with(connection, path, lock, name, file, options).and_then(|mut intake| {
            intake.is_new = is_new;
            if let Some(account) = account {
                super::account::note_account(&intake.connection, account)?;
            }
            Ok(intake)
        });
        intake.map_err(|error| error.at(path))
    }

    fn begin_with(
        connection: Connection,
        path: &Path,
        lock: ImportLock,
        name: &str,
        file: &str,
        options: &CampaignOptions,
    ) -> Result<Self, JournalError> {
        // The name was new a moment ago: another import has just ended.
        if existing(&connection, name)?.is_some() {
            return Err(JournalError::ImportHeld(path.into()));
        }
        // Until the last commit nothing is promised, so nothing need be on disk; that commit is FULL and covers all.
        // And what is changed or undone leaves nothing in the journal's free places that could be read there.
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON")?;
        undo_all_unfinished(&connection)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let first_id = super::append::next_first_id(&connection)?;
        let source = crate::message::address::Sender::canonical(&options.from).to_owned();
        let may_repeat = options.allow_duplicates;
        let options = serde_json::to_string(options)
            .map_err(|error| JournalError::Inconsistent(format!("the campaign's options: {error}")))?;
        connection.execute(
            "INSERT INTO campaign (name, file, options, source, first_id, end_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            (name, file, options, source, first_id, now_ms()),
        )?;
        let campaign = connection.last_insert_rowid();
        connection.execute("INSERT INTO campaign_count (campaign_id) VALUES (?1)", [campaign])?;
        let next_skipped =
            connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM skipped_row", [], |row| row.get(0))?;
        let indexer = Indexer::new(&connection, first_id)?;
        let lately = Lately::since(&connection, now_ms() - LATELY)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            campaign,
            next_id: first_id,
            next_skipped,
            counts: Counts::default(),
            first_refused: None,
            pending: 0,
            indexer,
            lately: lately.map(|lately| Count::new(lately, may_repeat)),
            is_new: false,
            lock,
        })
    }

    /// Stores rows.
    pub fn store<'a>(&mut self, rows: impl Iterator<Item = Kept<'a>>) -> Result<(), JournalError> {
        self.insert(rows)
            .and_then(|()| Ok(reach("import-chunk")?))
            .and_then(|()| self.commit_now_and_then())
            .map_err(|error| error.at(&self.path))
    }

    fn insert<'a>(&mut self, rows: impl Iterator<Item = Kept<'a>>) -> Result<(), JournalError> {
        let counts = &mut self.counts;
        let mut messages = Messages::new(&self.connection)?;
        let mut suppressed =
            self.connection.prepare_cached("INSERT INTO message_state (message, state) VALUES (?1, ?2)")?;
        let mut skipped = self.connection.prepare_cached(
            "INSERT INTO skipped_row (id, campaign_id, line, duplicate, reason, row) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for row in rows {
            self.pending += 1;
            match row {
                Kept::Message(row) => {
                    messages.add(self.next_id, row)?;
                    if row.suppressed {
                        suppressed.execute((self.next_id, State::Suppressed as u8))?;
                        counts.suppressed += 1;
                    }
                    if !self.indexer.has_room() {
                        self.indexer.write(&self.connection)?;
                    }
                    self.indexer.add(self.next_id, row.parts, row.number);
                    if let Some(lately) = self.lately.as_mut().filter(|_| !row.suppressed) {
                        lately.add(row.number);
                    }
                    self.next_id += i64::from(row.parts);
                    counts.messages += 1;
                    counts.parts += i64::from(row.parts);
                }
                Kept::Skipped { line, duplicate, sent_lately, reason, row } => {
                    skipped.execute((self.next_skipped, self.campaign, line as i64, duplicate, reason, row))?;
                    self.next_skipped += 1;
                    if !duplicate && !sent_lately && self.first_refused.is_none() {
                        self.first_refused = Some((line, reason.to_owned()));
                    }
                    counts.sent_lately += i64::from(sent_lately);
                    *(if duplicate { &mut counts.duplicates } else { &mut counts.rejected }) += 1;
                }
            }
        }
        messages.finish()
    }

    fn commit_now_and_then(&mut self) -> Result<(), JournalError> {
        if self.pending < ROWS_PER_COMMIT {
            return Ok(());
        }
        self.commit()?;
        std::thread::sleep(PAUSE);
        let is_run = self.indexer.is_full();
        if is_run {
            self.indexer.sort();
        }
        if self.lately.as_ref().is_some_and(Count::is_full) {
            self.ask_lately()?;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        if is_run { self.indexer.write(&self.connection) } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), JournalError> {
        self.pending = 0;
        self.connection.execute("UPDATE campaign SET end_id = ?2 WHERE id = ?1", (self.campaign, self.next_id))?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Outside of a transaction, as it may take a second.
    fn ask_lately(&mut self) -> Result<(), JournalError> {
        self.lately.as_mut().map_or(Ok(()), |lately| lately.ask(&self.connection, |_, _| ()))
    }

    /// What went in so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The line of the first row refused, and why.
    pub fn first_refused(&self) -> Option<(u64, String)> {
        self.first_refused.clone()
    }

    /// Notes what the campaign may cost: before anybody can send it.
    pub fn limit(&self, budget: &Budget) -> Result<(), JournalError> {
        super::budget::set(&self.connection, self.campaign, budget).map_err(|error| error.at(&self.path))
    }

    /// Notes when the campaign may be sent.
    pub fn hours(&self, hours: &super::campaign_hours::OwnHours) -> Result<(), JournalError> {
        super::campaign_hours::set(&self.connection, self.campaign, hours).map_err(|error| error.at(&self.path))
    }

    /// Notes how the campaign shares the account with others.
    pub fn share(&self, change: super::shares::Change) -> Result<(), JournalError> {
        if change.is_none() {
            return Ok(());
        }
        super::shares::set(&self.connection, self.campaign, change).map(|_| ()).map_err(|error| error.at(&self.path))
    }

    /// Keeps the file's header as it was written, so that its rows can be given back below it.
    pub fn keep_header(&self, header: &str) -> Result<(), JournalError> {
        self.connection
            .execute("UPDATE campaign SET header = ?2 WHERE id = ?1", (self.campaign, header))
            .map_err(|error| JournalError::from(error).at(&self.path))?;
        Ok(())
    }

    /// Campaigns of other names that are the same again as this one, all of which is stored by now. From here on the
    /// journal is not kept from others until [`finish`](Self::finish) or [`abandon`](Self::abandon), and the rows stay hidden.
    pub fn twins(&mut self, name: &str, options: &CampaignOptions, digest: &str) -> Result<Vec<Twin>, JournalError> {
        let at_path = |error: JournalError| error.at(&self.path);
        let store = "UPDATE campaign SET end_id = ?2 WHERE id = ?1";
        let stored = self.connection.execute(store, (self.campaign, self.next_id));
        stored.and_then(|_| self.connection.execute_batch("COMMIT")).map_err(|error| at_path(error.into()))?;
        let contents = Contents { digest, messages: self.counts.messages, parts: self.counts.parts };
        let (first, end) = (self.next_id - self.counts.parts, self.next_id);
        let mut sum = || twins::sum_of(&self.connection, first, end);
        twins::find(&self.connection, name, options, contents, &mut sum).map_err(at_path)
    }

    /// Makes the campaign whole: from this commit on it is there.
    pub fn finish(mut self, digest: &str) -> Result<Counts, JournalError> {
        self.seal(digest)?;
        self.release()
    }

    /// Campaigns that sent to its numbers in the last 24 hours: all that are known once it is sealed.
    pub fn sent_lately(&self) -> Vec<SentBy> {
        self.lately.as_ref().map(Count::by_campaign).unwrap_or_default()
    }

    /// Puts all of the campaign on disk, still hidden: [`release`](Self::release) shows it, [`abandon`](Self::abandon)
    /// takes it back, and so does the next start after a crash.
    pub fn seal(&mut self, digest: &str) -> Result<(), JournalError> {
        self.complete(digest).map_err(|error| error.at(&self.path))
    }

    fn complete(&mut self, digest: &str) -> Result<(), JournalError> {
        self.indexer.sort();
        if self.lately.is_some() {
            if !self.connection.is_autocommit() {
                self.commit()?;
            }
            self.ask_lately()?;
        }
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        self.indexer.write(&self.connection)?;
        let counts = self.counts;
        self.connection.execute(
            "UPDATE campaign SET digest = ?2, end_id = ?3, duplicate_rows = ?4, rejected_rows = ?5 WHERE id = ?1",
            (self.campaign, digest, self.next_id, counts.duplicates, counts.rejected),
        )?;
        self.connection.execute(
            "UPDATE campaign_count SET messages = ?2, parts = ?3, queued = ?4, suppressed = ?5 WHERE campaign_id = ?1",
            (self.campaign, counts.messages, counts.parts, counts.messages - counts.suppressed, counts.suppressed),
        )?;
        reach("import-finish")?;
        // A commit with FULL syncs the whole WAL, and with it every commit before.
        self.connection.execute_batch("COMMIT; PRAGMA synchronous = FULL")?;
        reach("import-finished")?;
        Ok(())
    }

    /// Shows the campaign that was sealed.
    pub fn release(self) -> Result<Counts, JournalError> {
        self.connection
            .execute("UPDATE campaign SET imported_at = ?2 WHERE id = ?1", (self.campaign, now_ms()))
            .map_err(|error| JournalError::from(error).at(&self.path))?;
        reach("import-released").map_err(|failed| JournalError::from(failed).at(&self.path))?;
        // What is sorted anew are hashes, of which nobody reads anything.
        self.connection
            .execute_batch("PRAGMA secure_delete = OFF")
            .map_err(|error| JournalError::from(error).at(&self.path))?;
        // The look-up is right without it, only slower.
        if let Err(error) = upkeep::tidy(&self.connection) {
            log::warn!("the look-up by number is left as it is: {error}");
        }
        Ok(self.counts)
    }

    /// Takes everything back; a journal that was made for this import goes, too.
    pub fn abandon(self) -> Result<(), JournalError> {
        let undo = || {
            // A full disk, among others, has ended the transaction already.
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK")?;
            }
            undo_all_unfinished(&self.connection)
        };
        if self.is_new && self.is_alone().unwrap_or(false) {
            drop(self.connection);
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(beside(&self.path, suffix));
            }
            self.lock.leave_nothing();
            return Ok(());
        }
        undo().and_then(|_| empty_wal(&self.connection)).map_err(|error| error.at(&self.path))
    }

    /// Whether nothing but this import is in the journal.
    fn is_alone(&self) -> rusqlite::Result<bool> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        let others = "SELECT EXISTS (SELECT 1 FROM campaign WHERE id <> ?1) OR EXISTS (SELECT 1 FROM suppression)
                          OR EXISTS (SELECT 1 FROM session)";
        self.connection.query_row(others, [self.campaign], |row| row.get(0)).map(|others: bool| !others)
    }
}

/// Undoes imports that never became whole, unless one is running right now. Returns how many. In transactions of its own,
/// so that neither memory nor the WAL grows with the import.
pub fn undo_unfinished(connection: &Connection, path: &Path) -> Result<usize, JournalError> {
    match ImportLock::take(path) {
        Ok(_lock) => undo_all_unfinished(connection),
        Err(JournalError::ImportHeld(_)) => Ok(0),
        Err(error) => Err(error),
    }
}

pub(in crate::journal) fn undo_all_unfinished(connection: &Connection) -> Result<usize, JournalError> {
    let mut statement = connection.prepare("SELECT id, first_id, end_id FROM campaign WHERE imported_at IS NULL")?;
    let unfinished: Vec<(i64, i64, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    if unfinished.is_empty() {
        return Ok(0);
    }
    let before: i64 = connection.query_row("PRAGMA secure_delete", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA secure_delete = ON")?;
    let undone = unfinished.iter().try_for_each(|&(id, first, end)| undo(connection, id, first, end));
    connection.execute_batch(&format!("PRAGMA secure_delete = {before}"))?;
    undone?;
    empty_wal(connection)?;
    Ok(unfinished.len())
}

/// Brings everything into the journal itself and empties the WAL, in which what was undone still stands. Where others
/// read or write just now it may stay there until they are done.
fn empty_wal(connection: &Connection) -> Result<(), JournalError> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        log::warn!("what was undone can be read in the journal's WAL until those who use the journal now are done");
    }
    Ok(())
}

/// From the last message to the first: wherever it is cut short, what is left looks like an import cut short.
fn undo(connection: &Connection, campaign: i64, first: i64, mut end: i64) -> Result<(), JournalError> {
    // Its ids are the last ones, and will be another campaign's.
    upkeep::forget_from(connection, first)?;
    while end > first {
        let from = first.max(end - UNDONE_PER_COMMIT);
        in_turn(connection, || {
            connection.prepare_cached("DELETE FROM message WHERE id >= ?1 AND id < ?2")?.execute([from, end])?;
            connection
                .prepare_cached("DELETE FROM message_state WHERE message >= ?1 AND message < ?2")?
                .execute([from, end])?;
            connection.execute("UPDATE campaign SET end_id = ?2 WHERE id = ?1", [campaign, from])
        })?;
        end = from;
    }
    let some_skipped =
        "DELETE FROM skipped_row WHERE id IN (SELECT id FROM skipped_row WHERE campaign_id = ?1 LIMIT ?2)";
    while in_turn(connection, || connection.execute(some_skipped, [campaign, UNDONE_PER_COMMIT]))? > 0 {}
    in_turn(connection, || {
        connection.execute("DELETE FROM campaign_count WHERE campaign_id = ?1", [campaign])?;
        connection.execute("DELETE FROM budget WHERE campaign_id = ?1", [campaign])?;
        connection.execute("DELETE FROM campaign WHERE id = ?1", [campaign])
    })?;
    Ok(())
}

/// A transaction, and a moment for others to have their turn.
fn in_turn<T>(connection: &Connection, change: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, JournalError> {
    let changed = in_transaction(connection, || Ok(change()?))?;
    std::thread::sleep(PAUSE);
    Ok(changed)
}

#[cfg(test)]
mod tests;
