//! What the page of a campaign shows beyond its report: when it went, to which countries, by which senders, what it cost, and
//! the first messages of each kind of trouble. All of it is gathered in the report's own pass, in one snapshot.

use super::campaign::{Seen, report};
use super::chunk::ClaimRun;
use super::latency::Bar;
use super::series::Series;
use super::{
    CampaignReport, CampaignSummary, Counts, JournalError, OperationCount, SkippedRow, Strays, operation_counts,
    snapshot, strays,
};
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::key::{Attempt, State};
use crate::journal::store::budget::sms_of_row;
use crate::message::address::{calling_code, country_of};
use crate::message::prices::{Bill, PriceList};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row};

/// Rows of the file that were refused of which a page tells.
const SKIPPED_SHOWN: i64 = 5;
/// Senders, or countries, that are counted each; those that come later count as others.
const SHARES_MAX: usize = 10_000;
/// The countries of so many beginnings of numbers are remembered.
const BEGINNINGS_MAX: usize = 50_000;
/// Countries that share a calling code differ within so many digits.
const BEGINNING_DIGITS: usize = 6;

/// All that a campaign's page shows.
#[derive(Debug)]
pub struct CampaignPage {
    /// Its report.
    pub report: CampaignReport,
    /// What was asked of the SMSC about its messages.
    pub operations: Vec<OperationCount>,
    /// Receipts of the account that belong to nothing.
    pub strays: Strays,
    /// Parts sent, accepted and delivered over time.
    pub series: Series,
    /// How long answers took.
    pub answers: Vec<Bar>,
    /// How long deliveries took.
    pub deliveries: Vec<Bar>,
    /// Messages by country.
    pub countries: Shares,
    /// Messages by sender.
    pub senders: Shares,
    /// What was sent costs, and what is left, where prices are known.
    pub bills: Option<(Bill, Bill)>,
    /// Of the first messages of each kind of trouble, their lines and numbers, by the number of the message or part.
    pub lines: HashMap<i64, FirstLine>,
    /// The first rows of the file that were refused.
    pub skipped: Vec<SkippedRow>,
}

/// Where a message stands in the file, and to whom it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstLine {
    /// Line of the file.
    pub line: i64,
    /// Its destination.
    pub destination: String,
}

/// The messages of a country, or of a sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Calling code and ISO code, as in `+44 GB`, or the sender; empty: none.
    pub name: String,
    /// How they stand.
    pub counts: Counts,
}

/// All messages by country, or by sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// Those that are counted each, the largest first.
    pub each: Vec<Share>,
    /// Messages of all others.
    pub others: Counts,
}

/// Reads the page of the campaign of that name. Hours and days begin as on a clock that is `offset` seconds before UTC.
pub fn campaign_page(
    journal: &dyn Sql,
    name: &str,
    prices: Option<&PriceList>,
    offset: i64,
) -> Result<CampaignPage, JournalError> {
    let connection = journal.connection();
    let snapshot = snapshot(connection)?;
    let summary = super::campaign(connection, name)?;
    let mut gathered = Gathered::new(&snapshot, &summary, prices, offset)?;
    let report = report(&snapshot, name, Some(&mut gathered))?;
    let rejected = report.rejections.iter().flat_map(|kind| &kind.first);
    let failed = report.failures.iter().flat_map(|kind| &kind.first);
    let mut lines = HashMap::new();
    for &part in rejected.chain(failed) {
        if let Some(line) = first_line(&snapshot, part)? {
            lines.insert(part, line);
        }
    }
    Ok(CampaignPage {
        operations: operation_counts(connection, &summary)?,
        strays: strays(connection)?,
        series: gathered.series,
        answers: gathered.answers,
        deliveries: gathered.deliveries,
        countries: gathered.countries.into_shares(),
        senders: gathered.senders.into_shares(),
        bills: gathered.cost.map(|cost| (cost.sent, cost.left)),
        lines,
        skipped: skipped(&snapshot, &summary)?,
        report,
    })
}

fn first_line(snapshot: &Connection, part: i64) -> Result<Option<FirstLine>, JournalError> {
    Ok(snapshot
        .prepare_cached("SELECT line, destination FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([part], |row| Ok(FirstLine { line: row.get(0)?, destination: row.get(1)? }))
        .optional()?)
}

fn skipped(snapshot: &Connection, summary: &CampaignSummary) -> Result<Vec<SkippedRow>, JournalError> {
    let read = |row: &Row<'_>| {
        let campaign = summary.campaign.clone();
        Ok(SkippedRow { campaign, line: row.get(0)?, reason: row.get(1)?, row: row.get(2)? })
    };
    Ok(snapshot
        .prepare_cached(
            "SELECT line, reason, row FROM skipped_row WHERE campaign_id = ?1 AND duplicate = 0 ORDER BY id LIMIT ?2",
        )?
        .query_map([summary.id, SKIPPED_SHOWN], read)?
        .collect::<Result<_, _>>()?)
}

/// What is known of a chunk's attempts.
pub(super) struct Known<'a> {
    /// Those that were answered, in order.
    pub(super) seen: &'a [Seen],
    /// The state to which receipts bring an attempt that was not.
    pub(super) unanswered: &'a dyn Fn(i64) -> Option<State>,
    /// The claims of first tries, in order.
    pub(super) claims: &'a [ClaimRun],
}

/// What is gathered while a campaign's facts are read.
pub(super) struct Gathered<'a> {
    pub(super) series: Series,
    pub(super) answers: Vec<Bar>,
    pub(super) deliveries: Vec<Bar>,
    countries: Countries,
    senders: Tally,
    /// The sender of the rows that name none.
    source: String,
    cost: Option<Cost<'a>>,
    stored: Vec<(i64, State)>,
}

/// What messages come to.
struct Cost<'a> {
    prices: &'a PriceList,
    options: CampaignOptions,
    sent: Bill,
    left: Bill,
}

impl<'a> Gathered<'a> {
    fn new(
        snapshot: &Connection,
        summary: &CampaignSummary,
        prices: Option<&'a PriceList>,
        offset: i64,
    ) -> Result<Self, JournalError> {
        let (source, options): (String, String) =
            snapshot.query_row("SELECT source, options FROM campaign WHERE id = ?1", [summary.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let cost = match prices {
            Some(prices) => {
                let options = CampaignOptions::stored(&options, || format!("campaign {:?}", summary.campaign))?;
                Some(Cost { prices, options, sent: Bill::default(), left: Bill::default() })
            }
            None => None,
        };
        Ok(Self {
            series: Series::new(offset),
            answers: Vec::new(),
            deliveries: Vec::new(),
            countries: Countries::default(),
            senders: Tally::default(),
            source,
            cost,
            stored: Vec::new(),
        })
    }

    /// Counts the messages whose first part is one of `from..end`.
    pub(super) fn messages(
        &mut self,
        snapshot: &Connection,
        summary: &CampaignSummary,
        (from, end): (i64, i64),
        known: &Known<'_>,
    ) -> Result<(), JournalError> {
        self.load_stored(snapshot, from, end)?;
        let (mut stored, mut seen, mut claims) =
            (self.stored.iter().peekable(), known.seen.iter().peekable(), known.claims.iter().peekable());
        // What is priced has to be read whole.
        let sql = match self.cost {
            None => "SELECT id, destination, source FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id",
            Some(_) => {
                "SELECT id, destination, source, parts, text, encoding, fields FROM message
                  WHERE id >= ?1 AND id < ?2 ORDER BY id"
            }
        };
        let mut statement = snapshot.prepare_cached(sql)?;
        let mut rows = statement.query([from, end])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let attempt = Attempt::new(id, 0).0;
            while stored.next_if(|&&(message, _)| message < id).is_some() {}
            while seen.next_if(|seen| seen.attempt < attempt).is_some() {}
            while claims.next_if(|run| run.end <= id).is_some() {}
            let is_claimed = claims.peek().is_some_and(|run| run.first <= id);
            let state = match (stored.peek(), seen.peek()) {
                (Some(&&(message, state)), _) if message == id => state,
                (_, Some(seen)) if seen.attempt == attempt => seen.fate.state(seen.accepted),
                _ => match (known.unanswered)(attempt) {
                    Some(state) => state,
                    None if is_claimed => State::Sending,
                    None if summary.cancelled_at.is_some() => State::Cancelled,
                    None => State::Queued,
                },
            };
            let text = |column| Ok::<_, JournalError>(row.get_ref(column)?.as_str_or_null().unwrap_or_default());
            let destination = text(1)?.unwrap_or_default();
            self.countries.count(destination, state);
            self.senders.count(text(2)?.unwrap_or(&self.source), state);
            if let Some(cost) = &mut self.cost {
                cost.note(row, destination, state)?;
            }
        }
        Ok(())
    }

    /// The states of the messages whose story is not plain.
    fn load_stored(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        self.stored.clear();
        let mut statement = snapshot.prepare_cached(
            "SELECT message, state FROM message_state WHERE message >= ?1 AND message < ?2 ORDER BY message",
        )?;
        let mut rows = statement.query([from, end])?;
        while let Some(row) = rows.next()? {
            let state = State::from_number(row.get(1)?).unwrap_or(State::InDoubt);
            self.stored.push((row.get(0)?, state));
        }
        Ok(())
    }
}

impl Cost<'_> {
    /// Notes a message whose parts, text, encoding and fields stand in its row from column 3 on.
    fn note(&mut self, row: &Row<'_>, destination: &str, state: State) -> Result<(), JournalError> {
        let bill = match state {
            State::Cancelled | State::Suppressed => return Ok(()),
            State::Queued => &mut self.left,
            _ => &mut self.sent,
        };
        let parts: u32 = row.get(3)?;
        bill.note(self.prices, destination, u64::from(parts) * sms_of_row(&self.options, row, 4)?);
        Ok(())
    }
}

/// Messages counted by a name.
#[derive(Debug, Default)]
struct Tally {
    index: HashMap<String, usize>,
    each: Vec<Share>,
    others: Counts,
    /// The name that was counted last: most rows are like the one before.
    last: usize,
}

impl Tally {
    fn count(&mut self, name: &str, state: State) {
        let is_last = self.each.get(self.last).is_some_and(|share| share.name == name);
        let index = match is_last {
            true => Some(self.last),
            false => self.index_of(name),
        };
        match index {
            Some(index) => {
                self.last = index;
                self.each[index].counts.0[state as usize] += 1;
            }
            None => self.others.0[state as usize] += 1,
        }
    }

    /// The place of a name, made where it has none; `None`: there are too many.
    fn index_of(&mut self, name: &str) -> Option<usize> {
        if let Some(&index) = self.index.get(name) {
            return Some(index);
        }
        if self.each.len() >= SHARES_MAX {
            return None;
        }
        self.each.push(Share { name: name.to_owned(), counts: Counts::default() });
        self.index.insert(name.to_owned(), self.each.len() - 1);
        Some(self.each.len() - 1)
    }

    fn into_shares(self) -> Shares {
        let mut each = self.each;
        each.retain(|share| share.counts.total() > 0);
        each.sort_by(|a, b| b.counts.total().cmp(&a.counts.total()).then_with(|| a.name.cmp(&b.name)));
        Shares { each, others: self.others }
    }
}

/// Messages counted by country.
#[derive(Debug, Default)]
struct Countries {
    tally: Tally,
    /// The places in the tally by beginnings of numbers.
    beginnings: HashMap<u64, usize>,
}

impl Countries {
    fn count(&mut self, destination: &str, state: State) {
        let beginning = destination.as_bytes().iter().take(BEGINNING_DIGITS);
        // The 1 in front keeps leading zeros, and tells short ones from long ones.
        let beginning = beginning.fold(1, |key: u64, digit| key * 256 + u64::from(*digit));
        let index = match self.beginnings.get(&beginning) {
            Some(&index) => Some(index),
            None => {
                let index = self.tally.index_of(&country_name(destination));
                if self.beginnings.len() >= BEGINNINGS_MAX {
                    self.beginnings.clear();
                }
                if let Some(index) = index {
                    self.beginnings.insert(beginning, index);
                }
                index
            }
        };
        match index {
            Some(index) => self.tally.each[index].counts.0[state as usize] += 1,
            None => self.tally.others.0[state as usize] += 1,
        }
    }

    fn into_shares(self) -> Shares {
        self.tally.into_shares()
    }
}

fn country_name(destination: &str) -> String {
    match (calling_code(destination), country_of(destination)) {
        (Some(code), Some(country)) => format!("+{code} {country}"),
        (Some(code), None) => format!("+{code}"),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests;
