//! The import's way into the journal: all of a file or nothing of it. Rows are committed in chunks under a campaign that
//! is hidden until the last of them is in; one that never became whole is undone at the next start.

use super::campaign::CampaignOptions;
use super::key::State;
use super::lock::ImportLock;
use super::{JournalError, now_ms, open_or_create};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use std::path::{Path, PathBuf};

/// Rows committed together: a transaction of some ten milliseconds, between which a sender finds its turn.
const ROWS_PER_COMMIT: usize = 20_000;

/// A message to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Line of the file on which its row begins.
    pub line: u64,
    /// Digits.
    pub destination: &'a str,
    /// Sender; `None`: the campaign's.
    pub source: Option<&'a str>,
    /// Its text.
    pub text: &'a str,
    /// As [`crate::text::Encoding::stored`].
    pub encoding: u8,
    /// How many parts it makes.
    pub parts: u8,
    /// submit_sm fields given in the row, as JSON.
    pub fields: Option<&'a str>,
    /// Its number is on the suppression list.
    pub suppressed: bool,
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
pub fn existing(connection: &Connection, name: &str) -> Result<Option<Existing>, JournalError> {
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
    pending: usize,
    _lock: ImportLock,
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
    /// Rows refused.
    pub rejected: i64,
}

impl Intake {
    /// Begins to import a campaign of a new name.
    pub fn begin(path: &Path, name: &str, file: &str, options: &CampaignOptions) -> Result<Self, JournalError> {
        let lock = ImportLock::take(path)?;
        let connection = open_or_create(path)?;
        Self::begin_with(connection, path, lock, name, file, options).map_err(|error| error.at(path))
    }

    fn begin_with(
        connection: Connection,
        path: &Path,
        lock: ImportLock,
        name: &str,
        file: &str,
        options: &CampaignOptions,
    ) -> Result<Self, JournalError> {
        // Until the last commit nothing is promised, so nothing need be on disk; that commit is FULL and covers all.
        connection.execute_batch("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE")?;
        undo_all_unfinished(&connection)?;
        let first_id: i64 =
            connection.query_row("SELECT coalesce(max(end_id), 1) FROM campaign", [], |row| row.get(0))?;
        let options = serde_json::to_string(options)
            .map_err(|error| JournalError::Inconsistent(format!("the campaign's options: {error}")))?;
        let source = serde_json::from_str::<CampaignOptions>(&options).map(|options| options.from).unwrap_or_default();
        let source = crate::address::Sender::parse(&source).map_or("", |sender| sender.text).to_owned();
        connection.execute(
            "INSERT INTO campaign (name, file, options, source, first_id, end_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            (name, file, options, source, first_id, now_ms()),
        )?;
        let campaign = connection.last_insert_rowid();
        connection.execute("INSERT INTO campaign_count (campaign_id) VALUES (?1)", [campaign])?;
        let next_skipped =
            connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM skipped_row", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            campaign,
            next_id: first_id,
            next_skipped,
            counts: Counts::default(),
            pending: 0,
            _lock: lock,
        })
    }

    /// Stores a message.
    pub fn add(&mut self, message: NewMessage<'_>) -> Result<(), JournalError> {
        self.insert()?
            .execute(rusqlite::params![
                self.next_id,
                message.line as i64,
                message.destination,
                message.source,
                message.text,
                message.encoding,
                message.parts,
                message.fields,
            ])
            .map_err(|error| JournalError::from(error).at(&self.path))?;
        if message.suppressed {
            self.connection
                .prepare_cached("INSERT INTO message_state (message, state) VALUES (?1, ?2)")?
                .execute((self.next_id, State::Suppressed as u8))?;
            self.counts.suppressed += 1;
        }
        self.next_id += i64::from(message.parts);
        self.counts.messages += 1;
        self.counts.parts += i64::from(message.parts);
        self.count_row()
    }

    /// Keeps a row that is not sent, with its reason.
    pub fn skip(&mut self, line: u64, duplicate: bool, reason: &str, row: &str) -> Result<(), JournalError> {
        self.connection
            .prepare_cached(
                "INSERT INTO skipped_row (id, campaign_id, line, duplicate, reason, row) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((self.next_skipped, self.campaign, line as i64, duplicate, reason, row))
            .map_err(|error| JournalError::from(error).at(&self.path))?;
        self.next_skipped += 1;
        if duplicate {
            self.counts.duplicates += 1;
        } else {
            self.counts.rejected += 1;
        }
        self.count_row()
    }

    /// What went in so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Makes the campaign whole: from this commit on it is there.
    pub fn finish(self, digest: &str) -> Result<Counts, JournalError> {
        let at_path = |error: rusqlite::Error| JournalError::from(error).at(&self.path);
        let counts = self.counts;
        self.connection
            .execute(
                "UPDATE campaign SET digest = ?2, end_id = ?3, duplicate_rows = ?4, rejected_rows = ?5 WHERE id = ?1",
                (self.campaign, digest, self.next_id, counts.duplicates, counts.rejected),
            )
            .map_err(at_path)?;
        self.connection
            .execute(
                "UPDATE campaign_count SET messages = ?2, parts = ?3, queued = ?4, suppressed = ?5 WHERE campaign_id = ?1",
                (self.campaign, counts.messages, counts.parts, counts.messages - counts.suppressed, counts.suppressed),
            )
            .map_err(at_path)?;
        // A commit with FULL syncs the whole WAL, and with it every commit before.
        self.connection.execute_batch("COMMIT; PRAGMA synchronous = FULL").map_err(at_path)?;
        self.connection
            .execute("UPDATE campaign SET imported_at = ?2 WHERE id = ?1", (self.campaign, now_ms()))
            .map_err(at_path)?;
        Ok(counts)
    }

    /// Takes everything back.
    pub fn abandon(self) -> Result<(), JournalError> {
        self.connection.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
        undo_all_unfinished(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    fn insert(&self) -> Result<CachedStatement<'_>, JournalError> {
        Ok(self.connection.prepare_cached(
            "INSERT INTO message (id, line, destination, source, text, encoding, parts, fields)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?)
    }

    fn count_row(&mut self) -> Result<(), JournalError> {
        self.pending += 1;
        if self.pending < ROWS_PER_COMMIT {
            return Ok(());
        }
        self.pending = 0;
        self.connection.execute("UPDATE campaign SET end_id = ?2 WHERE id = ?1", (self.campaign, self.next_id))?;
        self.connection
            .execute_batch("COMMIT; BEGIN IMMEDIATE")
            .map_err(|error| JournalError::from(error).at(&self.path))
    }
}

/// Undoes imports that never became whole, unless one is running right now. Returns how many.
pub fn undo_unfinished(connection: &Connection, path: &Path) -> Result<usize, JournalError> {
    match ImportLock::take(path) {
        Ok(_lock) => undo_all_unfinished(connection),
        Err(JournalError::ImportHeld(_)) => Ok(0),
        Err(error) => Err(error),
    }
}

fn undo_all_unfinished(connection: &Connection) -> Result<usize, JournalError> {
    let mut statement = connection.prepare("SELECT id, first_id, end_id FROM campaign WHERE imported_at IS NULL")?;
    let unfinished: Vec<(i64, i64, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    for &(id, first, end) in &unfinished {
        connection.execute("DELETE FROM message WHERE id >= ?1 AND id < ?2", [first, end])?;
        connection.execute("DELETE FROM message_state WHERE message >= ?1 AND message < ?2", [first, end])?;
        connection.execute("DELETE FROM skipped_row WHERE campaign_id = ?1", [id])?;
        connection.execute("DELETE FROM campaign_count WHERE campaign_id = ?1", [id])?;
        connection.execute("DELETE FROM campaign WHERE id = ?1", [id])?;
    }
    Ok(unfinished.len())
}
