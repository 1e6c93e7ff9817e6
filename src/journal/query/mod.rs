//! What reports read: campaigns, their messages, attempts and receipts.
//!
//! Nothing here holds a snapshot for long. A journal is read in chunks of message numbers, each in a read transaction of
//! its own that ends before its rows are handed out, so that neither a big campaign nor a reader that dawdles over what
//! it is given keeps the WAL from being checkpointed. The price: while a sender runs, the numbers of one report are of
//! slightly different moments.
//!
//! The page of a campaign alone is read in one snapshot, since its numbers stand beside each other for good; ten million
//! messages take seconds.
//!
//! Columns and states are those of the public views; the views say it row by row, and this says it by merging ranges of
//! keys, which is what makes ten million messages bearable.

mod campaign;
mod campaign_report;
pub(in crate::journal) mod chunk;
pub mod kept;
mod latency;
mod logs;
mod look;
mod messages;
mod page;
mod partial;
mod plan;
mod receipt_kinds;
pub mod receipt_pattern;
mod rejections;
mod series;
#[cfg(test)]
mod tests;

pub use crate::journal::query::campaign_report::{CampaignReport, Doubt, Failure, Percentiles, Rejection};
pub use crate::journal::query::latency::Bar;
pub use crate::journal::query::partial::sent_in_part;
pub use campaign::campaign_report;
pub use logs::{
    AttemptRow, InboundRow, OperationCount, OperationRow, ReceiptRow, SkippedRow, Strays, attempts, header, inbound,
    operation_counts, operations, receipts, skipped_rows, strays, unmatched,
};
pub use look::{Look, Looked, is_purged, states_of};
pub use messages::{MessageRow, messages, messages_to, numbered_messages_to};
pub use page::{CampaignPage, Shares, campaign_page};
#[cfg(test)]
pub use page::{FirstLine, Share};
pub use plan::{Plan, SENDERS_OF, has_line, plan, unfinished};
pub use rejections::rejections;
pub use series::Series;

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::{CampaignOptions, Receipts};
use crate::journal::model::key::State;
use crate::journal::store::notes::campaign_id;
pub use crate::words::stamp::Stamp;
use rusqlite::{Connection, Row, Transaction};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// How many messages are in each state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts(pub [i64; State::COUNT]);

impl Counts {
    /// The messages in `state`.
    pub fn of(&self, state: State) -> i64 {
        self.0[state as usize]
    }

    /// All messages.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// These and the others.
    pub fn add(&mut self, other: &Counts) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(State::COUNT))?;
        for state in State::ALL {
            map.serialize_entry(state.name(), &self.of(state))?;
        }
        map.end()
    }
}

/// A row of `campaign_summary`, and where the campaign came from.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct CampaignSummary {
    /// Its number in the journal.
    #[serde(skip)]
    pub id: i64,
    /// Its name.
    pub campaign: String,
    /// Its messages.
    pub messages: i64,
    /// Their parts.
    pub parts: i64,
    /// The messages by state.
    #[serde(flatten)]
    pub counts: Counts,
    /// Rows left out because their number came before.
    pub duplicate_rows: i64,
    /// Rows refused at import.
    pub rejected_rows: i64,
    /// When the first part was claimed.
    pub first_sent_at: Option<Stamp>,
    /// When the last part was claimed.
    pub last_sent_at: Option<Stamp>,
    /// When its messages were deleted, and all but these totals.
    pub purged_at: Option<Stamp>,
    /// The file that it was imported from.
    pub file: String,
    /// When its import began.
    pub created_at: Stamp,
    /// When its import was whole.
    pub imported_at: Stamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Stamp>,
    /// When its numbers were made keyed hashes, and its texts deleted.
    pub pseudonymised_at: Option<Stamp>,
    /// Which receipts it asks for.
    pub receipts_asked: Receipts,
    /// Which of them say what became of its messages.
    #[serde(skip)]
    pub awaited: crate::journal::model::state::Awaited,
    /// Its messages' numbers are `first_id..end_id`.
    #[serde(skip)]
    pub first_id: i64,
    /// See `first_id`.
    #[serde(skip)]
    pub end_id: i64,
}

impl CampaignSummary {
    /// Whether the rows that were left out of it are deleted.
    pub fn is_stripped(&self) -> bool {
        self.purged_at.is_some() || self.pseudonymised_at.is_some()
    }
}

const CAMPAIGN: &str = "SELECT c.id, c.name, n.messages, n.parts, n.queued, n.sending, n.accepted, n.delivered,
        n.partly_delivered, n.failed, n.rejected, n.in_doubt, n.cancelled, n.suppressed, c.duplicate_rows,
        c.rejected_rows, n.first_sent_at, n.last_sent_at, c.file, c.created_at,
        coalesce(c.imported_at, c.created_at), c.cancelled_at,
        c.options, c.first_id, c.end_id, c.purged_at, c.pseudonymised_at
   FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id";

/// All campaigns that are whole, in the order in which they were imported.
pub fn campaigns(journal: &dyn Sql) -> Result<Vec<CampaignSummary>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare(&format!("{CAMPAIGN} WHERE c.imported_at IS NOT NULL ORDER BY c.id"))?;
    statement.query_and_then([], summary)?.collect()
}

/// The campaign of that name.
pub fn campaign(journal: &dyn Sql, name: &str) -> Result<CampaignSummary, JournalError> {
    let connection = journal.connection();
    let id = campaign_id(connection, name)?;
    let mut statement = connection.prepare(&format!("{CAMPAIGN} WHERE c.id = ?1"))?;
    let mut rows = statement.query([id])?;
    match rows.next()? {
        Some(row) => summary(row),
        None => Err(rusqlite::Error::QueryReturnedNoRows.into()),
    }
}

fn summary(row: &Row<'_>) -> Result<CampaignSummary, JournalError> {
    let mut counts = Counts::default();
    for (n, count) in counts.0.iter_mut().enumerate() {
        *count = row.get(4 + n)?;
    }
    let campaign: String = row.get(1)?;
    let json = row.get_ref(22)?.as_str().unwrap_or_default();
    let options = CampaignOptions::stored(json, || format!("campaign {campaign:?}"))?;
    Ok(CampaignSummary {
        id: row.get(0)?,
        campaign,
        messages: row.get(2)?,
        parts: row.get(3)?,
        counts,
        duplicate_rows: row.get(14)?,
        rejected_rows: row.get(15)?,
        first_sent_at: stamp(row, 16)?,
        last_sent_at: stamp(row, 17)?,
        file: row.get(18)?,
        created_at: Stamp(row.get(19)?),
        imported_at: Stamp(row.get(20)?),
        cancelled_at: stamp(row, 21)?,
        receipts_asked: options.receipts,
        awaited: options.awaited(),
        first_id: row.get(23)?,
        end_id: row.get(24)?,
        purged_at: stamp(row, 25)?,
        pseudonymised_at: stamp(row, 26)?,
    })
}

/// The name of a receipt's state, as in `receipt_log`; a number that has none shows itself.
pub fn receipt_state_name(state: i64) -> std::borrow::Cow<'static, str> {
    use crate::wire::MessageState;
    let known = match state {
        100 => Some(MessageState::Failed),
        _ => u8::try_from(state).ok().and_then(MessageState::from_code),
    };
    known.map_or_else(|| state.to_string().into(), |state| state.name().into())
}

/// How a receipt was matched, in words, as in `receipt_log`.
pub fn rule_name(rule: i64) -> &'static str {
    match rule {
        0 => "unmatched",
        1 => "exact id",
        2 => "equivalent id",
        3 => "user_message_reference",
        4 => "attempt in doubt",
        5 => "operator",
        6 => "ambiguous",
        7 => "query_sm",
        8 => "exact id in text",
        9 => "equivalent id in text",
        10 => "exact id alone",
        11 => "other number",
        _ => "unknown",
    }
}

fn stamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Stamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Stamp))
}

/// A read transaction, for as long as the value lives; nothing of its own where one is open already.
struct Snapshot<'a> {
    connection: &'a Connection,
    _own: Option<Transaction<'a>>,
}

impl std::ops::Deref for Snapshot<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

fn snapshot(connection: &Connection) -> Result<Snapshot<'_>, JournalError> {
    let own = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
    Ok(Snapshot { connection, _own: own })
}
