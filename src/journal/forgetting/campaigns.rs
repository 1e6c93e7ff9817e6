//! Campaigns are marked, and then emptied.

use super::loose;
use super::plan::{Due, Plan, why_not};
use super::pseudonym::Key;
use super::{Kind, PAUSE, Purged, ROWS_PER_TRANSACTION, Rows, Wish, begin, change, end, in_pieces, in_ranges, scour};
use crate::journal::error::JournalError;
use crate::journal::handle::Journal;
use crate::journal::matcher::id_archive;
use crate::journal::model::key::Attempt;
use crate::journal::query::chunk::tries;
use crate::journal::query::kept::Kept;
use crate::journal::query::{self, CampaignSummary};
use crate::journal::store::campaign_options::options;
use crate::journal::store::notes::{PSEUDONYMS, in_transaction, note, set_note};
use crate::journal::store::number_index::upkeep;
use crate::journal::store::twins::sum_of;
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::words::format::count;
use rusqlite::Connection;
use std::path::Path;

/// Does what was planned. To be called under the import lock. Killed at any moment, the same again does the rest.
pub fn purge(journal: &Journal, path: &Path, wish: &Wish<'_>, plan: &Plan) -> Result<Purged, JournalError> {
    let connection = journal.connection();
    let kind = if wish.pseudonymise { Kind::Pseudonymised } else { Kind::Purged };
    let forgetting = begin(connection, kind, wish.up_to)?;
    let key = if wish.pseudonymise { Some(Key::load_or_make(path)?) } else { None };
    let mut purged = Purged::default();
    for (id, _) in &plan.closing {
        in_transaction(connection, || {
            let sql = "UPDATE campaign SET room = end_id - first_id WHERE id = ?1";
            Ok(connection.execute(sql, [id])?)
        })?;
    }
    let mut marked = Vec::with_capacity(plan.due.len());
    for due in &plan.due {
        // One to which something has happened meanwhile is left to the next time.
        if due.is_left_over || mark(connection, wish, &due.summary)? {
            marked.push(due);
        }
    }
    if !wish.pseudonymise {
        // While their rows are there, by which a purge that is cut short is known.
        let parts = marked.iter().map(|due| due.summary.first_id..due.summary.end_id).collect();
        id_archive::forget(connection, parts, ROWS_PER_TRANSACTION, PAUSE)?;
    }
    for due in marked {
        match &key {
            Some(key) => pseudonymise(connection, &due.summary, key)?,
            None => empty(connection, due)?,
        }
        purged.campaigns += 1;
        purged.messages += due.summary.messages;
    }
    if wish.campaign.is_none() {
        loose::purge(connection, wish, key.as_ref(), &mut purged)?;
        purged.backups = scour::remove(&plan.backups)?;
    }
    let words = [
        (purged.campaigns, "campaign"),
        (purged.messages, "message"),
        (purged.unmatched, "unmatched receipt"),
        (purged.inbound, "inbound part"),
    ];
    let words: Vec<String> = words.into_iter().map(|(n, what)| count(n, what)).collect();
    end(connection, forgetting, &words.join(", "))?;
    Ok(purged)
}

/// Marks a campaign, and keeps what stays of it; false: it has changed since it was looked at.
fn mark(connection: &Connection, wish: &Wish<'_>, seen: &CampaignSummary) -> Result<bool, JournalError> {
    let report = query::campaign_report(connection, &seen.campaign)?;
    let sum = match Kept::load(connection, seen.id)?.and_then(|kept| kept.sum) {
        Some(sum) => sum,
        None => sum_of(connection, seen.first_id, seen.end_id)?.hex(),
    };
    let kept = Kept::of(&report).with_sum(sum);
    let kept = serde_json::to_string(&kept).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    let minutes = if wish.pseudonymise { Vec::new() } else { minutes(connection, seen)? };
    let options = options(connection, &seen.campaign)?.without_text();
    let options = serde_json::to_string(&options).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    in_transaction(connection, || {
        let now = query::campaign(connection, &seen.campaign)?;
        if now != *seen || why_not(connection, wish, &now)?.is_some() {
            return Ok(false);
        }
        let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO kept_minute VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (minute, [submitted, accepted, delivered]) in &minutes {
            insert.execute((seen.id, minute, submitted, accepted, delivered))?;
        }
        if !wish.pseudonymise {
            let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO kept_status VALUES (?1, ?2, ?3)")?;
            for status in &report.statuses {
                insert.execute((seen.id, status.command_status, status.attempts))?;
            }
        }
        connection.execute("INSERT OR REPLACE INTO kept_report VALUES (?1, ?2)", (seen.id, &kept))?;
        let column = if wish.pseudonymise { "pseudonymised_at" } else { "purged_at" };
        // Nothing is added to it any more.
        let sql = format!(
            "UPDATE campaign SET {column} = ?2, options = ?3, room = min(room, end_id - first_id) WHERE id = ?1"
        );
        connection.execute(&sql, (seen.id, now_ms(), &options))?;
        if wish.pseudonymise {
            let times = note(connection, PSEUDONYMS)?.and_then(|times| times.parse().ok()).unwrap_or(0_i64) + 1;
            set_note(connection, PSEUDONYMS, Some(&times.to_string()))?;
        }
        reach("purge-mark")?;
        Ok(true)
    })
}

/// What `throughput_per_minute` says of the campaign: a row for each minute in which something happened.
fn minutes(connection: &Connection, campaign: &CampaignSummary) -> Result<Vec<(i64, [i64; 3])>, JournalError> {
    let mut statement = connection.prepare(
        "SELECT minute, sum(submitted), sum(accepted), sum(delivered) FROM (
             SELECT claimed_at / 60000 AS minute, sum(parts) AS submitted, 0 AS accepted, 0 AS delivered
               FROM claim WHERE first_part >= ?1 AND first_part < ?2 GROUP BY 1
             UNION ALL
             SELECT k.claimed_at / 60000, -count(*), 0, 0
               FROM verdict v
               JOIN claim k ON k.try = (v.attempt & 4095)
                           AND k.first_part = (SELECT max(p.first_part) FROM claim p
                                                WHERE p.try = (v.attempt & 4095) AND p.first_part <= (v.attempt >> 12))
              WHERE v.attempt >= (?1 << 12) AND v.attempt < (?2 << 12) AND v.kind = 2 GROUP BY 1
             UNION ALL
             SELECT answered_at / 60000, 0, count(*), 0
               FROM answer WHERE attempt >= (?1 << 12) AND attempt < (?2 << 12) AND outcome = 0 GROUP BY 1
             UNION ALL
             SELECT r.received_at / 60000, 0, 0, count(*)
               FROM receipt r
              WHERE r.id >= (?1 << 20) AND r.id < (?2 << 20) AND r.state = 2 AND r.final = 1
                AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
                AND NOT EXISTS (SELECT 1 FROM receipt b
                                 WHERE b.id >= (r.id >> 8 << 8) AND b.id < r.id AND b.state = 2 AND b.final = 1)
              GROUP BY 1
             UNION ALL
             SELECT r.received_at / 60000, 0, 0, count(*)
               FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
              WHERE x.attempt >= (?1 << 12) AND x.attempt < (?2 << 12) AND r.state = 2 AND r.final = 1
                AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)
              GROUP BY 1)
          GROUP BY minute",
    )?;
    let rows = statement.query_map([campaign.first_id, campaign.end_id], |row| {
        Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes all that is known of the campaign's messages, and these last.
fn empty(connection: &Connection, due: &Due) -> Result<(), JournalError> {
    let CampaignSummary { id, first_id, end_id, .. } = due.summary;
    let attempts = |table, key| Rows { table, key, which: "1", range: Attempt::range(first_id, end_id) };
    let messages = |table, key| Rows { table, key, which: "1", range: (first_id, end_id) };
    let of_receipts = Attempt::receipt_range(first_id, end_id);
    for (table, key) in [("receipt", "id"), ("stray", "receipt"), ("receipt_match", "receipt_id")] {
        let own = not_of_others(&format!("{table}.{key}"));
        let sql = format!("DELETE FROM {table} WHERE {key} >= ?1 AND {key} < ?2 AND {own}");
        change(connection, Rows { table, key, which: "1", range: of_receipts }, &[&sql])?;
    }
    // Receipts that were matched later, and belong to nobody else now.
    let matched = "SELECT x.receipt_id FROM receipt_match x
                    WHERE x.attempt >= ?1 AND x.attempt < ?2 AND x.receipt_id < 0
                      AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)";
    let rows = Rows { which: "attempt IS NOT NULL", ..attempts("receipt_match", "attempt") };
    let statements = [
        format!("DELETE FROM stray WHERE receipt IN ({matched})"),
        format!("DELETE FROM receipt WHERE id IN ({matched})"),
        "DELETE FROM receipt_match
          WHERE receipt_id IN (SELECT x.receipt_id FROM receipt_match x WHERE x.attempt >= ?1 AND x.attempt < ?2)
            AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = receipt_match.receipt_id)"
            .to_owned(),
    ];
    change(connection, rows, &statements.each_ref().map(String::as_str))?;
    let of_operations = "DELETE FROM operation_answer
                          WHERE operation IN (SELECT id FROM operation WHERE attempt >= ?1 AND attempt < ?2)";
    let operations = "DELETE FROM operation WHERE attempt >= ?1 AND attempt < ?2";
    change(connection, attempts("operation", "attempt"), &[of_operations, operations])?;
    for table in ["answer_tlv", "answer", "verdict"] {
        let sql = format!("DELETE FROM {table} WHERE attempt >= ?1 AND attempt < ?2");
        change(connection, attempts(table, "attempt"), &[&sql])?;
    }
    upkeep::forget(connection, &(first_id..end_id))?;
    for tried in tries(connection)? {
        let which = format!("try = {tried}");
        // The last claim of all stays: it says how far the journal has come.
        let sql = format!(
            "DELETE FROM claim WHERE {which} AND first_part >= ?1 AND first_part < ?2
                AND first_serial < (SELECT max(first_serial) FROM claim)"
        );
        change(connection, Rows { which: &which, ..messages("claim", "first_part") }, &[&sql])?;
    }
    for (table, key) in [("message_state", "message"), ("cancelled_message", "message"), ("message", "id")] {
        let sql = format!("DELETE FROM {table} WHERE {key} >= ?1 AND {key} < ?2");
        change(connection, messages(table, key), &[&sql])?;
    }
    left_out(connection, id)
}

/// That a receipt stored under an attempt was not matched to a message of another campaign since: it is that one's.
pub(super) fn not_of_others(receipt: &str) -> String {
    format!(
        "coalesce((SELECT c.purged_at IS NOT NULL FROM receipt_match y
                     JOIN campaign c ON c.first_id <= y.attempt >> 12 AND c.end_id > y.attempt >> 12
                    WHERE y.receipt_id = {receipt} AND y.attempt IS NOT NULL ORDER BY y.id DESC LIMIT 1), 1)"
    )
}

/// Deletes the rows of the file that were left out.
fn left_out(connection: &Connection, campaign: i64) -> Result<(), JournalError> {
    let sql = "DELETE FROM skipped_row WHERE id IN (SELECT id FROM skipped_row WHERE campaign_id = ?1 LIMIT ?2)";
    in_pieces(connection, sql, &[&campaign]).map(|_| ())
}

/// Makes the campaign's numbers keyed hashes, and deletes its texts. Ids stay, so that receipts find their messages.
fn pseudonymise(connection: &Connection, campaign: &CampaignSummary, key: &Key) -> Result<(), JournalError> {
    let CampaignSummary { id, first_id, end_id, .. } = *campaign;
    let messages = Rows { table: "message", key: "id", which: "1", range: (first_id, end_id) };
    upkeep::forget(connection, &(first_id..end_id))?;
    in_ranges(connection, messages, |from, end| {
        let mut statement =
            connection.prepare_cached("SELECT id, destination FROM message WHERE id >= ?1 AND id < ?2")?;
        let rows: Vec<(i64, String)> =
            statement.query_map([from, end], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut update = connection.prepare_cached(
            "UPDATE message SET destination = ?2, text = '', typed = NULL, fields = NULL WHERE id = ?1",
        )?;
        for (id, destination) in &rows {
            update.execute((id, key.pseudonym(destination)))?;
        }
        Ok(rows.len() as i64)
    })?;
    let attempts = |table| Rows { table, key: "attempt", which: "1", range: Attempt::range(first_id, end_id) };
    let strip = |which: &str| {
        format!("UPDATE receipt SET text = NULL, tlvs = NULL, source = NULL, destination = NULL WHERE {which}")
    };
    let of_receipts = Attempt::receipt_range(first_id, end_id);
    let own = strip("id >= ?1 AND id < ?2");
    change(connection, Rows { table: "receipt", key: "id", which: "1", range: of_receipts }, &[&own])?;
    let matched = strip("id IN (SELECT receipt_id FROM receipt_match WHERE attempt >= ?1 AND attempt < ?2)");
    change(connection, Rows { which: "attempt IS NOT NULL", ..attempts("receipt_match") }, &[&matched])?;
    let tlvs = "DELETE FROM answer_tlv WHERE attempt >= ?1 AND attempt < ?2";
    change(connection, attempts("answer_tlv"), &[tlvs])?;
    let operations = "UPDATE operation SET text = NULL WHERE attempt >= ?1 AND attempt < ?2";
    change(connection, attempts("operation"), &[operations])?;
    left_out(connection, id)
}
