//! Reads queued messages ahead of their claims and encodes them, on a thread and a read-only connection of its own, so
//! that the journal thread has nothing to do for a claim but to write it. Messages never change once their campaign is
//! whole, so what was read ahead stays right; what must not go any more is left out when it is claimed.

use crate::journal::error::JournalError;
use crate::journal::model::events::Chunk;
use crate::journal::open::open_read_only;
use crate::journal::store::counts::Counts;
use crate::journal::store::part_encoder::{CampaignDefaults, PartEncoder};
use crossbeam_channel::{Receiver, Sender as ChannelSender, bounded};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::thread::JoinHandle;

/// Requests that wait to be read, and chunks that wait to be taken.
pub(super) const REQUESTS_MAX: usize = 128;

/// The messages of one campaign that are still to be claimed for the first time: `from..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedRange {
    /// Index of the campaign.
    pub campaign: u32,
    /// The first message never claimed.
    pub from: i64,
    /// Messages from this one on are not sent in this run.
    pub limit_end: i64,
}

/// Where each active campaign goes on, and where it stops when only its first `limit` messages are to go.
pub fn ranges(
    connection: &Connection,
    counts: &Counts,
    active: &[u32],
    limit: Option<u64>,
) -> Result<Vec<FeedRange>, JournalError> {
    let mut ranges = Vec::new();
    for &campaign in active {
        if let Some(range) = range(connection, counts, campaign, limit)? {
            ranges.push(range);
        }
    }
    Ok(ranges)
}

/// The same of one campaign; `None`: it is cancelled.
pub fn range(
    connection: &Connection,
    counts: &Counts,
    campaign: u32,
    limit: Option<u64>,
) -> Result<Option<FeedRange>, JournalError> {
    let Some(book) = counts.campaign(campaign).filter(|book| !book.cancelled) else { return Ok(None) };
    let claimed: Option<i64> = connection
        .prepare_cached(
            "SELECT first_part + parts FROM claim WHERE try = 0 AND first_part >= ?1 AND first_part < ?2
              ORDER BY first_part DESC LIMIT 1",
        )?
        .query_row([book.first_id, book.end_id], |row| row.get(0))
        .optional()?;
    let limit_end = match limit.and_then(|limit| i64::try_from(limit).ok()) {
        None => book.end_id,
        Some(limit) => connection
            .query_row(
                "SELECT id FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3",
                [book.first_id, book.end_id, limit],
                |row| row.get(0),
            )
            .optional()?
            .unwrap_or(book.end_id),
    };
    Ok(Some(FeedRange { campaign, from: claimed.unwrap_or(book.first_id), limit_end }))
}

/// What is to be read next of a campaign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) campaign: u32,
    /// Tells what was read for an earlier range of the campaign from what is read for this one.
    pub(super) epoch: u32,
    /// From which message on; `None`: from where the last request of this epoch came to.
    pub(super) from: Option<i64>,
    /// Up to which message.
    pub(super) end: i64,
    /// How many messages.
    pub(super) messages: i64,
}

/// What was read of a campaign.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) campaign: u32,
    pub(super) epoch: u32,
    pub(super) chunk: Chunk,
    /// There is no more.
    pub(super) is_last: bool,
}

/// The thread that reads ahead: what it is asked for, in that order.
#[derive(Debug)]
pub(super) struct Feeder {
    requests: ChannelSender<Request>,
    chunks: Receiver<Result<Read, JournalError>>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Starts it.
    pub(super) fn spawn(path: &Path) -> Result<Self, JournalError> {
        let (requests, asked) = bounded(REQUESTS_MAX);
        // As many as can be asked for and not taken.
        let (sender, chunks) = bounded(REQUESTS_MAX);
        let journal = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("feeder".into())
            .spawn(move || {
                if let Err(error) = feed(&journal, &asked, &sender) {
                    let _ = sender.send(Err(error.at(&journal)));
                }
            })
            .map_err(|error| JournalError::Io(path.into(), error))?;
        Ok(Self { requests, chunks, thread: Some(thread) })
    }

    /// What was read.
    pub(super) fn chunks(&self) -> &Receiver<Result<Read, JournalError>> {
        &self.chunks
    }

    /// Has more read. Says whether there was room for the request.
    pub(super) fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // The thread ends at its next request or chunk, which nobody makes or takes any more.
        self.requests = bounded(0).0;
        self.chunks = crossbeam_channel::never();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn feed(
    path: &Path,
    requests: &Receiver<Request>,
    chunks: &ChannelSender<Result<Read, JournalError>>,
) -> Result<(), JournalError> {
    let connection = open_read_only(path)?;
    let mut encoder = PartEncoder::default();
    let mut statement = connection.prepare(
        "SELECT id, destination, source, text, encoding, parts, fields FROM message
          WHERE id >= ?1 AND id < ?2
            AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = message.id)
          ORDER BY id LIMIT ?3",
    )?;
    // Where each campaign goes on, and what holds for all its messages.
    let mut open: HashMap<u32, (i64, CampaignDefaults)> = HashMap::new();
    for Request { campaign, epoch, from, end, messages } in requests {
        let (mut next, defaults) = match (from, open.remove(&campaign)) {
            (Some(from), _) => (from, CampaignDefaults::of_message(&connection, from)?),
            (None, Some(open)) => open,
            // What was asked for last was the end of it.
            (None, None) => (end, CampaignDefaults::default()),
        };
        let mut chunk = Chunk::default();
        let mut count = 0;
        let mut rows = statement.query([next, end, messages])?;
        while let Some(row) = rows.next()? {
            count += 1;
            next = encoder.encode(row, campaign, &defaults, None, &mut chunk)?;
        }
        drop(rows);
        let is_last = count < messages;
        if !is_last {
            open.insert(campaign, (next, defaults));
        }
        if chunks.send(Ok(Read { campaign, epoch, chunk, is_last })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
