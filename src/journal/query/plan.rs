//! What a run would send of a campaign, before anything of it is sent.

use super::{CAMPAIGN, CampaignSummary, JournalError, campaigns, summary};
use crate::journal::handle::Sql;
use crate::journal::model::key::State;
use rusqlite::OptionalExtension;

/// Of the messages to send, so many are asked for their senders: a campaign of ten million is not read for a line of text.
pub const SENDERS_OF: i64 = 1_000;

/// Messages with stored states, and their parts. CROSS JOIN: from the few states to their messages, never through all
/// messages of a campaign.
const STORED: &str = "SELECT count(*), coalesce(sum(m.parts), 0)
      FROM message_state s CROSS JOIN message m ON m.id = s.message
     WHERE s.message >= ?1 AND s.message < ?2";
/// Different senders that are shown.
const SENDERS_MAX: i64 = 6;

/// What a run would send of a campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it stands.
    pub summary: CampaignSummary,
    /// Messages that would go.
    pub to_send: i64,
    /// Their parts.
    pub parts: i64,
    /// The senders of the first [`SENDERS_OF`] of them; empty: the SMSC's default.
    pub senders: Vec<String>,
    /// Destination and text of the first.
    pub first: Option<(String, String)>,
}

impl Plan {
    /// Messages that the SMSC took.
    pub fn sent(&self) -> i64 {
        let taken = [State::Accepted, State::Delivered, State::PartlyDelivered, State::Failed];
        taken.iter().map(|&state| self.summary.counts.of(state)).sum()
    }

    /// Messages that a run that died had begun: whether they left is found out first.
    pub fn unsettled(&self) -> i64 {
        self.summary.counts.of(State::Sending)
    }
}

/// The names of the campaigns that a run without a name is about: those with something left to send, and those that wait
/// for receipts or for a decision.
pub fn unfinished(journal: &dyn Sql) -> Result<(Vec<String>, Vec<String>), JournalError> {
    let connection = journal.connection();
    let (mut unsent, mut waiting) = (Vec::new(), Vec::new());
    for campaign in campaigns(connection)? {
        let has = |states: &[State]| states.iter().any(|&state| campaign.counts.of(state) > 0);
        if campaign.cancelled_at.is_none() && has(&[State::Queued, State::Sending]) {
            unsent.push(campaign.campaign);
        } else if has(&[State::Sending, State::Accepted, State::InDoubt]) {
            waiting.push(campaign.campaign);
        }
    }
    Ok((unsent, waiting))
}

/// Whether a campaign has a message of that line of its file.
pub fn has_line(journal: &dyn Sql, campaign: &CampaignSummary, line: u64) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let range = (campaign.first_id, campaign.end_id);
    Ok(crate::journal::store::lines::message_of_line(connection, range, line)?.is_some())
}

/// What would be sent of the campaign of that name, which may be hidden still; with `limit`, of its first so many messages.
pub fn plan(journal: &dyn Sql, name: &str, limit: Option<u64>) -> Result<Plan, JournalError> {
    let connection = journal.connection();
    let snapshot = super::snapshot(connection)?;
    let mut statement = snapshot.prepare(&format!("{CAMPAIGN} WHERE c.name = ?1"))?;
    let found = statement.query_and_then([name], summary)?.next().transpose()?;
    let Some(summary) = found else {
        // For its words.
        super::campaign(&*snapshot, name)?;
        return Err(JournalError::Inconsistent(format!("campaign {name:?} is there and is not")));
    };
    let mut plan = Plan { summary, to_send: 0, parts: 0, senders: Vec::new(), first: None };
    if plan.summary.cancelled_at.is_some() {
        return Ok(plan);
    }
    let (first, end) = (plan.summary.first_id, plan.summary.end_id);
    let claimed: Option<i64> = snapshot
        .query_row(
            "SELECT first_part + parts FROM claim WHERE try = 0 AND first_part >= ?1 AND first_part < ?2
              ORDER BY first_part DESC LIMIT 1",
            [first, end],
            |row| row.get(0),
        )
        .optional()?;
    let from = claimed.unwrap_or(first);
    let limit = limit.and_then(|limit| i64::try_from(limit).ok());
    let limit_end = match limit {
        None => end,
        Some(limit) => snapshot
            .query_row(
                "SELECT id FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3",
                [first, end, limit],
                |row| row.get(0),
            )
            .optional()?
            .unwrap_or(end),
    };
    // A message's number is that of its first part, so that a range of numbers is as many parts.
    let (stored, stored_parts): (i64, i64) =
        snapshot.query_row(STORED, [from, limit_end], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (again, again_parts): (i64, i64) =
        snapshot.query_row(&format!("{STORED} AND s.state = ?3"), (first, limit_end, State::Queued as u8), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    plan.to_send = match limit {
        None => plan.summary.counts.of(State::Queued),
        Some(_) => {
            let fresh: i64 = snapshot.query_row(
                "SELECT count(*) FROM message WHERE id >= ?1 AND id < ?2",
                [from, limit_end],
                |row| row.get(0),
            )?;
            fresh - stored + again
        }
    };
    plan.parts = (limit_end - from).max(0) - stored_parts + again_parts;
    // What was tried before, then what never was.
    let next = "WITH next (id) AS (
                    SELECT * FROM (SELECT message FROM message_state
                                    WHERE message >= ?1 AND message < ?2 AND state = 0 ORDER BY message LIMIT ?4)
                    UNION
                    SELECT * FROM (SELECT m.id FROM message m
                                    WHERE m.id >= ?3 AND m.id < ?2
                                      AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = m.id)
                                    ORDER BY m.id LIMIT ?4))";
    plan.first = snapshot
        .query_row(
            &format!("{next} SELECT m.destination, m.text FROM message m WHERE m.id = (SELECT min(id) FROM next)"),
            [first, limit_end, from, 1],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let mut statement = snapshot.prepare(&format!(
        "{next} SELECT DISTINCT coalesce(m.source, (SELECT c.source FROM campaign c WHERE c.id = ?6))
                  FROM (SELECT id FROM next ORDER BY id LIMIT ?4) n JOIN message m ON m.id = n.id LIMIT ?5"
    ))?;
    let senders = statement
        .query_map((first, limit_end, from, SENDERS_OF, SENDERS_MAX, plan.summary.id), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    plan.senders = senders;
    drop(statement);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn no_message_is_read_for_the_states_that_are_not_stored() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        for sql in [STORED.to_owned(), format!("{STORED} AND s.state = 0")] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map([0, 1_000_000], |row| row.get(3)).unwrap();
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            assert!(steps[0].starts_with("SEARCH s ") && steps[1].starts_with("SEARCH m "), "{steps:?}");
        }
    }
}
