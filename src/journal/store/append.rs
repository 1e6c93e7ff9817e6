//! Rows that are added to a campaign which was imported: those that were refused then and are corrected now. All of a file or
//! nothing of it, in one transaction, with the fact that it happened.
//!
//! A campaign is a range of numbers, and its lines rise with them. So its new messages follow its last one, where an import
//! leaves room behind a campaign with refused rows, and their lines count on from its last line.

use crate::journal::error::JournalError;
use crate::journal::files::lock::{ImportLock, SenderLock};
use crate::journal::handle::Journal;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::key::State;
use crate::journal::open::open_existing;
use crate::journal::store::intake::{self, Counts, Kept};
use crate::journal::store::notes::{campaign_id, in_transaction};
use crate::journal::store::number_index::key_of;
use crate::journal::store::number_index::upkeep::Indexer;
use crate::platform::clock::now_ms;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// Rows that are added at a time, in one transaction.
pub const ROWS_MAX: usize = 100_000;
/// Numbers that are left free behind a campaign for each of its refused rows.
pub const ROOM_PER_REFUSED_ROW: i64 = 16;

/// Why nothing can be added to a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// It was cancelled.
    Cancelled,
    /// All its messages have come to their end.
    Ended,
}

/// A campaign that is added to. Nobody sends and nobody imports as long as it is held.
pub struct Appending {
    journal: Journal,
    campaign: i64,
    /// Its messages are `first..end`.
    first: i64,
    end: i64,
    /// What is added has to end before this.
    limit: Option<i64>,
    /// The campaign's options.
    pub options: CampaignOptions,
    /// Its last line.
    pub last_line: i64,
    /// SHA-256 of its file.
    pub digest: String,
    _sender: SenderLock,
    _import: ImportLock,
}

impl Appending {
    /// Takes the locks and finds the campaign; the inner error: nothing can be added to it.
    pub fn begin(journal: &Path, name: &str) -> Result<Result<Self, Closed>, JournalError> {
        if !journal.exists() {
            return Err(JournalError::Missing(journal.into()));
        }
        let sender = SenderLock::take(journal)?;
        let import = ImportLock::take(journal)?;
        let connection = open_existing(journal)?;
        // What an import left behind would have the numbers.
        intake::undo_all_unfinished(&connection)?;
        let campaign = campaign_id(&connection, name)?;
        let (first, end, options, digest, is_cancelled, is_under_way) = connection.query_row(
            "SELECT c.first_id, c.end_id, c.options, coalesce(c.digest, ''), c.cancelled_at IS NOT NULL,
                    n.queued + n.sending + n.accepted + n.in_doubt > 0 AND coalesce(c.purged_at, c.pseudonymised_at) IS NULL
               FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id WHERE c.id = ?1",
            [campaign],
            |row| {
                let options: String = row.get(2)?;
                Ok((row.get(0)?, row.get(1)?, options, row.get(3)?, row.get::<_, bool>(4)?, row.get::<_, bool>(5)?))
            },
        )?;
        let options = serde_json::from_str(&options)
            .map_err(|error| JournalError::Inconsistent(format!("the options of campaign {name:?}: {error}")))?;
        let limit = connection.query_row(
            "SELECT min(first_id) FROM campaign WHERE first_id >= ?1 AND id <> ?2",
            [end, campaign],
            |row| row.get(0),
        )?;
        let last_line = connection.query_row(
            "SELECT max(coalesce((SELECT line FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1), 1),
                        coalesce((SELECT max(line) FROM skipped_row WHERE campaign_id = ?3), 1))",
            [first, end, campaign],
            |row| row.get(0),
        )?;
        let closed = match () {
            () if is_cancelled => Some(Closed::Cancelled),
            () if !is_under_way => Some(Closed::Ended),
            () => None,
        };
        Ok(match closed {
            Some(closed) => Err(closed),
            None => Ok(Self {
                journal: Journal::of(connection),
                campaign,
                first,
                end,
                limit,
                options,
                last_line,
                digest,
                _sender: sender,
                _import: import,
            }),
        })
    }

    /// Its suppression list and the like are read from here.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether this file was added to it before.
    pub fn has(&self, digest: &str) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM appended WHERE campaign_id = ?1 AND digest = ?2)";
        Ok(self.journal.connection().query_row(sql, (self.campaign, digest), |row| row.get(0))?)
    }

    /// The numbers that it sends to, as they are compared.
    pub fn numbers(&self, mut take: impl FnMut(u64)) -> Result<(), JournalError> {
        let mut statement =
            self.journal.connection().prepare("SELECT destination FROM message WHERE id >= ?1 AND id < ?2")?;
        let mut rows = statement.query([self.first, self.end])?;
        while let Some(row) = rows.next()? {
            take(key_of(row.get_ref(0)?.as_str().unwrap_or_default()));
        }
        Ok(())
    }

    /// Whether so many parts find room in front of what was imported later.
    pub fn has_room(&self, parts: i64) -> bool {
        self.limit.is_none_or(|limit| self.end + parts <= limit)
    }

    /// Adds rows, at most [`ROWS_MAX`] and as many parts as there [is room](Self::has_room) for; `file`: the name of the file
    /// that they are from.
    pub fn store<'a>(
        &self,
        rows: impl Iterator<Item = Kept<'a>>,
        file: &str,
        digest: &str,
    ) -> Result<Counts, JournalError> {
        let connection = self.journal.connection();
        in_transaction(connection, || {
            let mut counts = Counts::default();
            let mut indexer = Indexer::new(connection, self.end)?;
            let mut next = self.end;
            let mut message = connection.prepare_cached(
                "INSERT INTO message (id, line, destination, source, text, encoding, parts, fields, typed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for row in rows {
                match row {
                    Kept::Message(row) => {
                        message.execute((
                            next,
                            self.last_line + row.line as i64,
                            row.destination,
                            row.source,
                            row.text,
                            row.encoding,
                            row.parts,
                            row.fields,
                            row.typed,
                        ))?;
                        if row.suppressed {
                            connection
                                .prepare_cached("INSERT INTO message_state (message, state) VALUES (?1, ?2)")?
                                .execute((next, State::Suppressed as u8))?;
                            counts.suppressed += 1;
                        }
                        if !indexer.has_room() {
                            indexer.write(connection)?;
                        }
                        indexer.add(next, row.parts, key_of(row.destination));
                        next += i64::from(row.parts);
                        counts.messages += 1;
                        counts.parts += i64::from(row.parts);
                    }
                    Kept::Skipped { line, duplicate, reason, row, .. } => {
                        connection
                            .prepare_cached(
                                "INSERT INTO skipped_row (campaign_id, line, duplicate, reason, row)
                                 VALUES (?1, ?2, ?3, ?4, ?5)",
                            )?
                            .execute((self.campaign, self.last_line + line as i64, duplicate, reason, row))?;
                        *(if duplicate { &mut counts.duplicates } else { &mut counts.rejected }) += 1;
                    }
                }
            }
            indexer.write(connection)?;
            connection.execute(
                "UPDATE campaign SET end_id = ?2, duplicate_rows = duplicate_rows + ?3, rejected_rows = rejected_rows + ?4
                  WHERE id = ?1",
                [self.campaign, next, counts.duplicates, counts.rejected],
            )?;
            connection.execute(
                "UPDATE campaign_count SET messages = messages + ?2, parts = parts + ?3, queued = queued + ?4,
                        suppressed = suppressed + ?5 WHERE campaign_id = ?1",
                [self.campaign, counts.messages, counts.parts, counts.messages - counts.suppressed, counts.suppressed],
            )?;
            connection.execute(
                "INSERT INTO appended (campaign_id, at, file, digest, last_line, messages, parts, duplicate_rows, rejected_rows)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                (
                    self.campaign,
                    now_ms(),
                    file,
                    digest,
                    self.last_line,
                    counts.messages,
                    counts.parts,
                    counts.duplicates,
                    counts.rejected,
                ),
            )?;
            Ok(counts)
        })
    }
}

/// The number of the first message of the next campaign: room is left for rows of the last one that were refused, and for what is
/// added to it one by one.
pub(in crate::journal) fn next_first_id(connection: &Connection) -> Result<i64, JournalError> {
    let sql = "SELECT max(end_id + ?1 * rejected_rows, first_id + room) FROM campaign ORDER BY end_id DESC, first_id DESC LIMIT 1";
    Ok(connection.query_row(sql, [ROOM_PER_REFUSED_ROW], |row| row.get(0)).optional()?.unwrap_or(1))
}
