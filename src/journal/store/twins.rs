//! Campaigns that are the same again under another name: of the same file, or of the same messages in another spelling of
//! the file (line ends, delimiter, the order of the rows).

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use rusqlite::{Connection, OptionalExtension};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Campaigns whose messages are compared one by one, the newest first. Only those with as many messages and parts are.
const COMPARED_MAX: usize = 4;

/// The sum of the hashes of messages: the same for the same messages in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u128);

impl Sum {
    /// In hex, as it is kept of messages that are deleted.
    pub fn hex(self) -> String {
        format!("{:032x}", self.0)
    }

    fn parse(hex: &str) -> Option<Self> {
        u128::from_str_radix(hex, 16).ok().map(Self)
    }

    /// Adds a message.
    pub fn add(&mut self, destination: &str, source: &str, text: &str, fields: &str) {
        let mut hasher = SipHasher13::new();
        for part in [destination, source, text, fields] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        self.0 = self.0.wrapping_add(hasher.finish128().as_u128());
    }
}

/// The messages of a file, as far as they are compared.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// SHA-256 of the file, in hex.
    pub digest: &'a str,
    /// How many messages.
    pub messages: i64,
    /// And parts.
    pub parts: i64,
}

/// A campaign in the journal that has the same file, or the same messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Twin {
    /// Its name.
    pub name: String,
    /// When it was imported.
    pub imported_at: i64,
    /// Its messages.
    pub messages: i64,
    /// Those of them that went out, or may have.
    pub sent: i64,
    /// Those of them that are still to go.
    pub queued: i64,
    /// Everybody would get the same message: text, sender and fields are the same too.
    pub is_same: bool,
}

impl Twin {
    /// Whether somebody would get the same message twice.
    pub fn repeats(&self) -> bool {
        self.is_same && self.sent + self.queued > 0
    }
}

/// What is read of a campaign that may be a twin.
struct Candidate {
    twin: Twin,
    digest: String,
    options: CampaignOptions,
    parts: i64,
    first: i64,
    end: i64,
    /// The sum of its messages, where they are deleted or changed since.
    kept: Option<Sum>,
}

/// The campaigns but `name` that are the same again as one with these options and contents, the newest first. `sum` is
/// asked for only where numbers of messages coincide.
pub fn find(
    journal: &dyn Sql,
    name: &str,
    options: &CampaignOptions,
    contents: Contents<'_>,
    sum: &mut dyn FnMut() -> Result<Sum, JournalError>,
) -> Result<Vec<Twin>, JournalError> {
    let connection = journal.connection();
    let mut twins = Vec::new();
    let mut own = None;
    let mut compared = 0;
    for candidate in candidates(connection, name, contents)? {
        let Candidate { mut twin, digest, options: others, parts, first, end, kept } = candidate;
        let options = &options.beside(&others);
        let same_file = digest == contents.digest;
        twin.is_same = same_file && goes_alike(options, &others);
        let may_be_same = (twin.messages, parts) == (contents.messages, contents.parts)
            && others.fields == options.fields
            // Of two templates each makes its own texts.
            && (others.text.is_none() || options.text.is_none() || others.text == options.text);
        if !twin.is_same && may_be_same && compared < COMPARED_MAX {
            compared += 1;
            let own = match own {
                Some(own) => own,
                None => *own.insert(sum()?),
            };
            twin.is_same = kept.map_or_else(|| sum_of(connection, first, end), Ok)? == own;
        }
        if same_file || twin.is_same {
            twins.push(twin);
        }
    }
    Ok(twins)
}

/// Whether two campaigns of one file bring the same messages.
fn goes_alike(one: &CampaignOptions, other: &CampaignOptions) -> bool {
    let decides = |options: &CampaignOptions| {
        let from = crate::message::address::Sender::canonical(&options.from).to_owned();
        let columns = (options.to_column.clone(), options.sheet.clone(), options.text_column.clone());
        (columns, options.text.clone(), from, options.fields.clone())
    };
    decides(one) == decides(other)
}

fn candidates(connection: &Connection, name: &str, contents: Contents<'_>) -> Result<Vec<Candidate>, JournalError> {
    let mut statement = connection.prepare(
        "SELECT c.name, c.imported_at, n.messages,
                n.sending + n.accepted + n.delivered + n.partly_delivered + n.failed + n.in_doubt, n.queued, n.parts,
                coalesce(c.digest, ''), c.options, c.first_id, c.end_id,
                (SELECT k.report ->> '$.sum' FROM kept_report k WHERE k.campaign_id = c.id)
           FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id
          WHERE c.imported_at IS NOT NULL AND c.digest IS NOT NULL AND c.name <> ?1
            AND (c.digest = ?2 OR (n.messages = ?3 AND n.parts = ?4))
          ORDER BY c.id DESC",
    )?;
    let mut rows = statement.query((name, contents.digest, contents.messages, contents.parts))?;
    let mut candidates = Vec::new();
    while let Some(row) = rows.next()? {
        let twin = Twin {
            name: row.get(0)?,
            imported_at: row.get(1)?,
            messages: row.get(2)?,
            sent: row.get(3)?,
            queued: row.get(4)?,
            is_same: false,
        };
        candidates.push(Candidate {
            twin,
            parts: row.get(5)?,
            digest: row.get(6)?,
            options: serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_default(),
            first: row.get(8)?,
            end: row.get(9)?,
            kept: row.get::<_, Option<String>>(10)?.and_then(|hex| Sum::parse(&hex)),
        });
    }
    Ok(candidates)
}

/// The sum of the messages `first..end`, which are of one campaign.
pub fn sum_of(connection: &Connection, first: i64, end: i64) -> Result<Sum, JournalError> {
    let source: Option<String> = connection
        .query_row(
            "SELECT source FROM campaign WHERE first_id <= ?1 AND end_id > ?1 ORDER BY first_id DESC LIMIT 1",
            [first],
            |row| row.get(0),
        )
        .optional()?;
    let source = source.unwrap_or_default();
    let mut statement =
        connection.prepare("SELECT destination, source, text, fields FROM message WHERE id >= ?1 AND id < ?2")?;
    let mut rows = statement.query([first, end])?;
    let mut sum = Sum::default();
    while let Some(row) = rows.next()? {
        let text = |n: usize| Ok::<_, rusqlite::Error>(row.get_ref(n)?.as_str_or_null().ok().flatten());
        sum.add(
            text(0)?.unwrap_or_default(),
            text(1)?.unwrap_or(&source),
            text(2)?.unwrap_or_default(),
            text(3)?.unwrap_or_default(),
        );
    }
    Ok(sum)
}
