//! What would go.

use super::Wish;
use super::scour;
use crate::journal::error::JournalError;
use crate::journal::handle::Journal;
use crate::journal::model::key::{Attempt, State};
use crate::journal::query::{self, CampaignSummary};
use crate::journal::store::notes::campaign_id;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A campaign that goes.
#[derive(Clone, Debug)]
pub struct Due {
    /// How it stands.
    pub summary: CampaignSummary,
    /// It was marked by a purge that was cut short.
    pub is_left_over: bool,
}

/// What would go, and what stays and why.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Campaigns that go.
    pub due: Vec<Due>,
    /// Those that are old enough and stay, and why.
    pub stay: Vec<(String, String)>,
    /// How many are younger.
    pub younger: i64,
    /// Campaigns that gather messages one by one, to which none are added any more, so that they can go when they are old enough.
    pub closing: Vec<(i64, String)>,
    /// Receipts of no message.
    pub unmatched: i64,
    /// Messages from handsets, in parts.
    pub inbound: i64,
    /// What happened to the suppression list, of numbers that are not on it any more.
    pub events: i64,
    /// Backups that upgrades left.
    pub backups: Vec<PathBuf>,
    /// Files of the user that campaigns were made of, by their names.
    pub files: Vec<String>,
}

impl Plan {
    /// Whether nothing goes.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
            && self.backups.is_empty()
            && self.closing.is_empty()
            && self.unmatched + self.inbound + self.events == 0
    }
}

/// Looks what would go.
pub fn plan(journal: &Journal, path: &Path, wish: &Wish<'_>) -> Result<Plan, JournalError> {
    let connection = journal.connection();
    let mut plan = Plan::default();
    if let Some(name) = wish.campaign {
        campaign_id(connection, name)?;
    }
    for summary in query::campaigns(connection)? {
        if wish.campaign.is_none_or(|name| summary.campaign == name) {
            look_at(connection, wish, summary, &mut plan)?;
        }
    }
    if wish.campaign.is_none() {
        let count = |sql: &str| connection.query_row(sql, [wish.up_to], |row| row.get::<_, i64>(0));
        let of = super::loose::Statements::of(wish);
        plan.unmatched = count(&of.unmatched)?;
        plan.inbound = count(&of.inbound)?;
        plan.events = count(&of.events)?;
        plan.backups = if wish.pseudonymise { Vec::new() } else { scour::backups(path, wish.up_to)? };
    }
    Ok(plan)
}

fn look_at(
    connection: &Connection,
    wish: &Wish<'_>,
    summary: CampaignSummary,
    plan: &mut Plan,
) -> Result<(), JournalError> {
    let is_done = if wish.pseudonymise { summary.is_stripped() } else { summary.purged_at.is_some() };
    if is_done {
        if has_left(connection, &summary, wish.pseudonymise)? {
            plan.due.push(Due { summary, is_left_over: true });
        }
        return Ok(());
    }
    let gathers: bool =
        connection
            .query_row("SELECT room > end_id - first_id FROM campaign WHERE id = ?1", [summary.id], |row| row.get(0))?;
    if last_moment(connection, &summary)? > wish.up_to {
        plan.younger += 1;
        if gathers && !wish.pseudonymise && summary.created_at.0 <= wish.up_to {
            plan.closing.push((summary.id, summary.campaign));
        }
        return Ok(());
    }
    match why_not(connection, wish, &summary)? {
        Some(why) => plan.stay.push((summary.campaign, why)),
        None => {
            if !summary.file.is_empty() && !plan.files.contains(&summary.file) {
                plan.files.push(summary.file.clone());
            }
            plan.due.push(Due { summary, is_left_over: false });
        }
    }
    Ok(())
}

/// Why a campaign stays that is old enough.
pub(super) fn why_not(
    connection: &Connection,
    wish: &Wish<'_>,
    summary: &CampaignSummary,
) -> Result<Option<String>, JournalError> {
    let of = |state: State| summary.counts.of(state);
    let unsent = of(State::Queued) + of(State::Sending);
    if unsent > 0 {
        return Ok(Some(format!("{unsent} not sent yet (send them, or `smppost cancel`)")));
    }
    if of(State::InDoubt) > 0 {
        return Ok(Some(format!("{} in doubt (`smppost resolve` decides)", of(State::InDoubt))));
    }
    let waiting = of(State::Accepted);
    if waiting > 0 && summary.awaited.of_success && !wish.pseudonymise && !wish.without_receipts {
        return Ok(Some(format!("{waiting} without a final receipt (--without-receipts: waits for none)")));
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM control WHERE campaign_id = ?1 AND applied_at IS NULL)";
    let is_decided: bool = connection.query_row(sql, [summary.id], |row| row.get(0))?;
    Ok(is_decided.then(|| "a decision about it is not carried out yet".to_owned()))
}

/// When the last thing happened to a campaign.
fn last_moment(connection: &Connection, summary: &CampaignSummary) -> Result<i64, JournalError> {
    let known = [Some(summary.imported_at), summary.last_sent_at, summary.cancelled_at, summary.pseudonymised_at];
    let known = known.into_iter().flatten().map(|stamp| stamp.0).max().unwrap_or(i64::MAX);
    let (first, end) = Attempt::receipt_range(summary.first_id, summary.end_id);
    let (from, to) = Attempt::range(summary.first_id, summary.end_id);
    let later: i64 = connection.query_row(
        "SELECT max(coalesce((SELECT max(received_at) FROM receipt WHERE id >= ?1 AND id < ?2), 0),
                    coalesce((SELECT max(answered_at) FROM answer WHERE attempt >= ?3 AND attempt < ?4), 0),
                    coalesce((SELECT max(at) FROM receipt_match WHERE attempt >= ?3 AND attempt < ?4), 0),
                    coalesce((SELECT max(asked_at) FROM operation WHERE attempt >= ?3 AND attempt < ?4), 0),
                    coalesce((SELECT max(at) FROM verdict WHERE attempt >= ?3 AND attempt < ?4), 0),
                    coalesce((SELECT max(at) FROM control WHERE campaign_id = ?5), 0),
                    coalesce((SELECT max(at) FROM appended WHERE campaign_id = ?5), 0),
                    coalesce((SELECT max(at) FROM alert WHERE message >= ?6 AND message < ?7), 0))",
        (first, end, from, to, summary.id, summary.first_id, summary.end_id),
        |row| row.get(0),
    )?;
    Ok(known.max(later))
}

/// Whether a purge that was cut short has left something of a campaign, or something has come for it since.
fn has_left(connection: &Connection, summary: &CampaignSummary, pseudonymise: bool) -> Result<bool, JournalError> {
    let range = (summary.first_id, summary.end_id);
    let sql = match pseudonymise {
        true => "SELECT EXISTS (SELECT 1 FROM message WHERE id >= ?1 AND id < ?2 AND text <> '')
                     OR EXISTS (SELECT 1 FROM skipped_row WHERE campaign_id = ?3)",
        false => &format!(
            "SELECT EXISTS (SELECT 1 FROM message WHERE id >= ?1 AND id < ?2)
                 OR EXISTS (SELECT 1 FROM skipped_row WHERE campaign_id = ?3)
                 OR EXISTS (SELECT 1 FROM receipt WHERE id >= ?1 << 20 AND id < ?2 << 20 AND {})
                 OR EXISTS (SELECT 1 FROM receipt_match WHERE attempt >= ?1 << 12 AND attempt < ?2 << 12 AND receipt_id < 0)
                 OR EXISTS (SELECT 1 FROM answer WHERE attempt >= ?1 << 12 AND attempt < ?2 << 12)",
            super::campaigns::not_of_others("receipt.id")
        ),
    };
    Ok(connection.query_row(sql, (range.0, range.1, summary.id), |row| row.get(0))?)
}
