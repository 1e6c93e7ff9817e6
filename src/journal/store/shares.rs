//! How campaigns share the account: the class of each, and a rate of its own. Facts, appended; the last one of a campaign
//! counts, and a running sender takes it up within half a second.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::campaign_id;
use crate::platform::clock::now_ms;
use crate::policy::shares::Priority;
use rusqlite::{Connection, OptionalExtension, Row};

/// Facts that one look takes in at most: the next one goes on.
pub const READ_AT_ONCE_MAX: i64 = 2_000;

/// How a campaign shares the account.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Share {
    /// Its class.
    pub priority: Priority,
    /// Parts a second that it may send at most; `None`: as many as the account.
    pub rate: Option<f64>,
}

/// What is to be changed of it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Change {
    /// The class.
    pub priority: Option<Priority>,
    /// The rate; `Some(None)`: it has none of its own any more.
    pub rate: Option<Option<f64>>,
}

impl Change {
    /// Whether nothing is to be changed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn number(priority: Priority) -> i64 {
    priority as i64 + 1
}

fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Share> {
    let stored: i64 = row.get(at)?;
    let priority = Priority::ALL.into_iter().find(|priority| number(*priority) == stored).unwrap_or_default();
    Ok(Share { priority, rate: row.get(at + 1)? })
}

/// How the campaign of this number shares the account.
pub fn of(connection: &Connection, campaign: i64) -> Result<Share, JournalError> {
    let last = connection
        .prepare_cached("SELECT priority, rate FROM share WHERE campaign_id = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([campaign], |row| read(row, 0))
        .optional()?;
    Ok(last.unwrap_or_default())
}

/// Changes how the campaign of this number shares the account, in one statement. Says how it does then.
pub fn set(connection: &Connection, campaign: i64, change: Change) -> Result<Share, JournalError> {
    let before = of(connection, campaign)?;
    let after =
        Share { priority: change.priority.unwrap_or(before.priority), rate: change.rate.unwrap_or(before.rate) };
    if after != before {
        // What another command changes meanwhile stays, where this one leaves it as it is.
        connection
            .prepare_cached(
                "INSERT INTO share (campaign_id, at, priority, rate)
                 SELECT ?1, ?2,
                        coalesce(?3, (SELECT priority FROM share WHERE campaign_id = ?1 ORDER BY id DESC LIMIT 1), ?4),
                        CASE WHEN ?5 THEN ?6
                             ELSE (SELECT rate FROM share WHERE campaign_id = ?1 ORDER BY id DESC LIMIT 1) END",
            )?
            .execute((
                campaign,
                now_ms(),
                change.priority.map(number),
                number(Priority::default()),
                change.rate.is_some(),
                change.rate.flatten(),
            ))?;
    }
    of(connection, campaign)
}

/// The same by the campaign's name.
pub fn set_by_name(journal: &dyn Sql, name: &str, change: Change) -> Result<Share, JournalError> {
    let connection = journal.connection();
    set(connection, campaign_id(connection, name)?, change)
}

/// The number of the last fact.
pub fn last(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM share", [], |row| row.get(0))?)
}

/// What was changed after this fact, as far as one look goes: number of the fact, campaign, and how it is since.
pub fn changed_since(connection: &Connection, last: i64) -> Result<Vec<(i64, i64, Share)>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT id, campaign_id, priority, rate FROM share WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map([last, READ_AT_ONCE_MAX], |row| Ok((row.get(0)?, row.get(1)?, read(row, 2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fact_counts_and_what_is_not_named_stays() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        assert_eq!(of(&connection, 7).unwrap(), Share { priority: Priority::Normal, rate: None });
        let steps = [
            (Change { priority: Some(Priority::Urgent), rate: None }, Priority::Urgent, None),
            (Change { priority: None, rate: Some(Some(2.5)) }, Priority::Urgent, Some(2.5)),
            (Change { priority: Some(Priority::Bulk), rate: None }, Priority::Bulk, Some(2.5)),
            (Change { priority: None, rate: Some(None) }, Priority::Bulk, None),
        ];
        for (change, priority, rate) in steps {
            let share = set(&connection, 7, change).unwrap();
            assert_eq!(share, Share { priority, rate }, "{change:?}");
            assert_eq!(of(&connection, 8).unwrap(), Share::default(), "another campaign");
        }
        // The same again is no fact.
        set(&connection, 7, Change { priority: Some(Priority::Bulk), rate: None }).unwrap();
        let changed = changed_since(&connection, 2).unwrap();
        let shares: Vec<_> = changed.iter().map(|(_, campaign, share)| (*campaign, share.priority)).collect();
        assert_eq!(shares, [(7, Priority::Bulk), (7, Priority::Bulk)]);
        assert_eq!(last(&connection).unwrap(), 4);
    }
}
