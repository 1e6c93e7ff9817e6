//! How campaigns were sent: the options of each run, kept so that the next one goes on the same way and a report can show them.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::platform::clock::now_ms;
use crate::words::stamp::Stamp;
use rusqlite::{Connection, Row};
use serde::Serialize;

/// Runs that a report tells of.
const RUNS_TOLD: usize = 20;

/// How a run was sent.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunRow {
    /// When it began to connect.
    pub started_at: Stamp,
    /// When it ended; `None`: it goes on, or it crashed.
    pub ended_at: Option<Stamp>,
    /// The account's name in the journal.
    pub account: String,
    /// The first host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS was spoken.
    pub tls: bool,
    /// `trx`, `tx` or `tx+rx`.
    pub bind: String,
    /// Connections.
    pub connections: u32,
    /// Requests outstanding on each.
    pub window: u32,
    /// Parts a second, or `unlimited`.
    pub rate: String,
}

/// Notes that a run begins; returns its number.
pub fn begin(journal: &dyn Sql, run: &RunRow, campaigns: &[i64]) -> Result<i64, JournalError> {
    let connection = journal.connection();
    crate::journal::store::notes::in_transaction(connection, || {
        connection.execute(
            "INSERT INTO run (started_at, account, host, port, tls, bind, connections, window, rate)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                run.started_at.0,
                &run.account,
                &run.host,
                run.port,
                run.tls,
                &run.bind,
                run.connections,
                run.window,
                &run.rate,
            ),
        )?;
        let id = connection.last_insert_rowid();
        for campaign in campaigns {
            connection
                .prepare_cached("INSERT INTO run_campaign (campaign_id, run_id) VALUES (?1, ?2)")?
                .execute([*campaign, id])?;
        }
        Ok(id)
    })
}

/// Notes that a run sends this campaign, too.
pub(in crate::journal) fn note_campaign(connection: &Connection, run: i64, campaign: i64) -> Result<(), JournalError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO run_campaign (campaign_id, run_id) VALUES (?1, ?2)")?
        .execute([campaign, run])?;
    Ok(())
}

/// Notes that a run has ended.
pub fn end(journal: &dyn Sql, run: i64) -> Result<(), JournalError> {
    let connection = journal.connection();
    connection.execute("UPDATE run SET ended_at = ?2 WHERE id = ?1", [run, now_ms()])?;
    Ok(())
}

const RUN: &str =
    "SELECT r.started_at, r.ended_at, r.account, r.host, r.port, r.tls, r.bind, r.connections, r.window, r.rate
   FROM run_campaign x JOIN run r ON r.id = x.run_id JOIN campaign c ON c.id = x.campaign_id";

/// The newest run of any of these campaigns.
pub fn last(journal: &dyn Sql, campaigns: &[String]) -> Result<Option<RunRow>, JournalError> {
    let connection = journal.connection();
    let mut newest: Option<RunRow> = None;
    let mut statement = connection.prepare(&format!("{RUN} WHERE c.name = ?1 ORDER BY r.id DESC LIMIT 1"))?;
    for name in campaigns {
        for run in statement.query_map([name], read)? {
            let run = run?;
            if newest.as_ref().is_none_or(|newest| newest.started_at < run.started_at) {
                newest = Some(run);
            }
        }
    }
    Ok(newest)
}

/// The runs of a campaign, the newest first.
pub fn of(journal: &dyn Sql, campaign: i64) -> Result<Vec<RunRow>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare(&format!("{RUN} WHERE c.id = ?1 ORDER BY r.id DESC LIMIT {RUNS_TOLD}"))?;
    Ok(statement.query_map([campaign], read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        started_at: Stamp(row.get(0)?),
        ended_at: row.get::<_, Option<i64>>(1)?.map(Stamp),
        account: row.get(2)?,
        host: row.get(3)?,
        port: row.get(4)?,
        tls: row.get(5)?,
        bind: row.get(6)?,
        connections: row.get(7)?,
        window: row.get(8)?,
        rate: row.get(9)?,
    })
}
