//! Whether the journal agrees with itself: what must hold between its facts, looked at one and all.
//!
//! It may run beside a sender. Facts are read in chunks, each in a snapshot of its own, within which every message's
//! story is whole; the counts of a campaign are compared only where they stood still meanwhile. Only SQLite's own check of
//! the file reads it in one go.

mod claims;
mod messages;

use super::query::{CampaignSummary, campaigns};
use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::State;
use rusqlite::Connection;
use serde::Serialize;

/// Contradictions of one kind that are named.
const EXAMPLES_MAX: usize = 5;

/// What was checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Check by check.
    pub checks: Vec<Check>,
    /// Campaigns whose counts were not compared, since they changed while they were read.
    pub changing: Vec<String>,
}

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at and must hold.
    pub what: &'static str,
    /// How many were looked at.
    pub checked: i64,
    /// How many of them are wrong.
    pub problems: i64,
    /// The first of those, in words.
    pub examples: Vec<String>,
}

impl Check {
    fn new(what: &'static str) -> Self {
        Self { what, checked: 0, problems: 0, examples: Vec::new() }
    }

    /// Notes one more that was looked at, and whether it holds.
    fn holds(&mut self, holds: bool, words: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.wrong(words);
        }
    }

    fn wrong(&mut self, words: impl FnOnce() -> String) {
        self.problems += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }
}

impl Report {
    /// How many contradictions there are.
    pub fn problems(&self) -> i64 {
        self.checks.iter().map(|check| check.problems).sum()
    }

    /// Whether there are none.
    pub fn is_sound(&self) -> bool {
        self.problems() == 0
    }
}

/// Checks the whole journal.
pub fn verify(journal: &dyn Sql) -> Result<Report, JournalError> {
    let connection = journal.connection();
    let mut report = Report::default();
    report.checks.push(file(connection)?);
    report.checks.push(references(connection)?);
    report.checks.push(ranges(connection)?);
    let campaigns = campaigns(connection)?;
    report.checks.push(skipped_rows(connection, &campaigns)?);
    report.checks.extend(claims::check(connection)?);
    let mut stories = messages::Stories::new(connection)?;
    let mut counts = Check::new("campaigns: the counts are those of the messages' states");
    for campaign in campaigns.iter().filter(|campaign| campaign.purged_at.is_none()) {
        let found = stories.check(campaign)?;
        let now = super::query::campaign(connection, &campaign.campaign)?;
        if now.counts != campaign.counts {
            report.changing.push(campaign.campaign.clone());
            continue;
        }
        let parts = campaign.end_id - campaign.first_id;
        let same = found.counts == campaign.counts && found.messages == campaign.messages && parts == campaign.parts;
        counts.holds(same, || differences(campaign, &found));
    }
    report.checks.push(counts);
    report.checks.extend(stories.finish()?);
    Ok(report)
}

/// What the messages of a campaign add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    counts: super::query::Counts,
    messages: i64,
}

fn differences(campaign: &CampaignSummary, found: &Found) -> String {
    let mut words = format!("campaign {:?}:", campaign.campaign);
    if found.messages != campaign.messages {
        words += &format!(" {} messages counted, {} there;", campaign.messages, found.messages);
    }
    if campaign.end_id - campaign.first_id != campaign.parts {
        words += &format!(" {} parts counted, {} there;", campaign.parts, campaign.end_id - campaign.first_id);
    }
    for state in State::ALL {
        let (counted, there) = (campaign.counts.of(state), found.counts.of(state));
        if counted != there {
            words += &format!(" {counted} {} counted, {there} there;", state.name());
        }
    }
    words.trim_end_matches(';').to_owned()
}

/// SQLite's own check of the file.
fn file(connection: &Connection) -> Result<Check, JournalError> {
    let mut check = Check::new("pages of the file: SQLite finds them in order");
    check.checked = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let words: String = row.get(0)?;
        if words != "ok" {
            check.wrong(|| words);
        }
    }
    Ok(check)
}

fn references(connection: &Connection) -> Result<Check, JournalError> {
    let mut check = Check::new("references: what is referred to exists");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        check.wrong(|| format!("a row of {table} refers to nothing"));
    }
    let tables = [
        ("campaign_count", "campaign_id", "campaign"),
        ("skipped_row", "campaign_id", "campaign"),
        ("control", "campaign_id", "campaign"),
        ("claim", "session_id", "session"),
        ("inbound", "session_id", "session"),
        ("receipt_match", "receipt_id", "receipt"),
    ];
    for (table, column, referred) in tables {
        let (rows, lost): (i64, i64) = connection.query_row(
            &format!(
                "SELECT count(*), count(*) FILTER (WHERE {column} NOT IN (SELECT id FROM {referred})) FROM {table}"
            ),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        check.checked += rows;
        for _ in 0..lost {
            check.wrong(|| format!("a row of {table} names a {referred} that does not exist"));
        }
    }
    Ok(check)
}

/// Ranges of message numbers: a campaign begins where, or after, the one before ended.
fn ranges(connection: &Connection) -> Result<Check, JournalError> {
    let mut check = Check::new("campaigns: each has message numbers of its own");
    let mut statement = connection.prepare("SELECT name, first_id, end_id FROM campaign ORDER BY first_id, end_id")?;
    let mut rows = statement.query([])?;
    let mut last = i64::MIN;
    while let Some(row) = rows.next()? {
        let (name, first, end): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        check.holds(first >= last, || format!("campaign {name:?} begins at {first}, before {last}"));
        last = last.max(end);
    }
    Ok(check)
}

fn skipped_rows(connection: &Connection, campaigns: &[CampaignSummary]) -> Result<Check, JournalError> {
    let mut check = Check::new("rows left out: as many as were counted");
    // What was purged, or made pseudonymous, has none any more.
    for campaign in campaigns.iter().filter(|campaign| !campaign.is_stripped()) {
        let (rows, duplicates): (i64, i64) = connection.query_row(
            "SELECT count(*), coalesce(sum(duplicate), 0) FROM skipped_row WHERE campaign_id = ?1",
            [campaign.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        check.checked += rows;
        if (rows - duplicates, duplicates) != (campaign.rejected_rows, campaign.duplicate_rows) {
            check.wrong(|| {
                format!(
                    "campaign {:?}: {} refused and {} duplicate counted, {} and {duplicates} there",
                    campaign.campaign,
                    campaign.rejected_rows,
                    campaign.duplicate_rows,
                    rows - duplicates
                )
            });
        }
    }
    Ok(check)
}

/// Fails where the file is damaged. Reads all of it: for journals only that are refused anyway.
pub fn check_whole(journal: &dyn Sql, path: &std::path::Path) -> Result<(), JournalError> {
    let connection = journal.connection();
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(JournalError::Damaged(path.into(), found)),
    }
}

#[cfg(test)]
mod tests;
