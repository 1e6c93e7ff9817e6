//! Campaigns are marked, and then emptied.

use super::loose;
use super::plan::{Due, Plan, why_not};
use super::pseudonym::{Key, is_pseudonym};
use super::{Kind, PAUSE, Purged, ROWS_PER_TRANSACTION, Wish, begin, end, in_pieces, scour};
use crate::journal::error::JournalError;
use crate::journal::handle::Journal;
use crate::journal::matcher::id_archive;
use crate::journal::model::key::Attempt;
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
    for due in &plan.due {
        if !due.is_left_over && !mark(connection, wish, &due.summary)? {
            // Something has happened to it meanwhile: it is left to the next time.
            continue;
        }
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
    let CampaignSummary { id, first_id, end_id, .. } = &due.summary;
    let (from, to) = Attempt::range(*first_id, *end_id);
    let (first, last) = Attempt::receipt_range(*first_id, *end_id);
    let some = |table: &str, key: &str, condition: &str| {
        format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT ?3)")
    };
    // Receipts that were matched later, whoever they belong to now: first their rows, then what matched them.
    let matched =
        "SELECT x.receipt_id FROM receipt_match x WHERE x.attempt >= ?1 AND x.attempt < ?2 AND x.receipt_id < 0
                      AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)";
    let of_attempts: [&dyn rusqlite::ToSql; 2] = [&from, &to];
    for (table, key) in [("stray", "receipt"), ("receipt", "id")] {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {key} IN ({matched}) LIMIT ?3)"
        );
        in_pieces(connection, &sql, &of_attempts)?;
    }
    let orphaned = some(
        "receipt_match",
        "id",
        "receipt_id IN (SELECT receipt_id FROM receipt_match WHERE attempt >= ?1 AND attempt < ?2)
         AND (attempt IS NULL OR attempt < ?1 OR attempt >= ?2) AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = receipt_match.receipt_id)",
    );
    in_pieces(connection, &orphaned, &of_attempts)?;
    for (table, key) in [("receipt", "id"), ("stray", "receipt"), ("receipt_match", "receipt_id")] {
        let condition = format!("{key} >= ?1 AND {key} < ?2 AND {}", not_of_others(&format!("{table}.{key}")));
        in_pieces(connection, &some(table, key, &condition), &[&first, &last])?;
    }
    let of_operations = "operation IN (SELECT id FROM operation WHERE attempt >= ?1 AND attempt < ?2)";
    in_pieces(connection, &some("operation_answer", "operation", of_operations), &of_attempts)?;
    for (table, key) in [("operation", "id"), ("answer_tlv", "attempt"), ("answer", "attempt"), ("verdict", "id")] {
        in_pieces(connection, &some(table, key, "attempt >= ?1 AND attempt < ?2"), &of_attempts)?;
    }
    let own =
        "attempt >= ?1 AND attempt < ?2 AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = receipt_match.receipt_id)";
    in_pieces(connection, &some("receipt_match", "id", own), &of_attempts)?;
    id_archive::forget(connection, &(*first_id..*end_id), ROWS_PER_TRANSACTION, PAUSE)?;
    upkeep::forget(connection, &(*first_id..*end_id))?;
    let of_messages: [&dyn rusqlite::ToSql; 2] = [first_id, end_id];
    // The last claim of all stays: it says how far the journal has come.
    let claims = some(
        "claim",
        "first_serial",
        "first_part >= ?1 AND first_part < ?2 AND first_serial < (SELECT max(first_serial) FROM claim)",
    );
    in_pieces(connection, &claims, &of_messages)?;
    for (table, key) in [("message_state", "message"), ("cancelled_message", "message")] {
        let condition = format!("{key} >= ?1 AND {key} < ?2");
        in_pieces(connection, &some(table, key, &condition), &of_messages)?;
    }
    in_pieces(connection, &some("message", "id", "id >= ?1 AND id < ?2"), &of_messages)?;
    left_out(connection, *id)
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
    upkeep::forget(connection, &(campaign.first_id..campaign.end_id))?;
    let mut from = campaign.first_id;
    loop {
        let next = in_transaction(connection, || {
            let mut statement = connection.prepare_cached(
                "SELECT id, destination FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
            )?;
            let rows: Vec<(i64, String)> = statement
                .query_map([from, campaign.end_id, ROWS_PER_TRANSACTION], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut update = connection.prepare_cached(
                "UPDATE message SET destination = ?2, text = '', typed = NULL, fields = NULL WHERE id = ?1",
            )?;
            for (id, destination) in &rows {
                match is_pseudonym(destination) {
                    true => update.execute((id, destination))?,
                    false => update.execute((id, key.pseudonym(destination)))?,
                };
            }
            reach("purge-piece")?;
            Ok(rows.last().map(|(id, _)| id + 1))
        })?;
        let Some(next) = next else { break };
        from = next;
        std::thread::sleep(PAUSE);
    }
    let (from, to) = Attempt::range(campaign.first_id, campaign.end_id);
    let (first, last) = Attempt::receipt_range(campaign.first_id, campaign.end_id);
    let strip = |which: &str| {
        format!(
            "UPDATE receipt SET text = NULL, tlvs = NULL, source = NULL, destination = NULL WHERE id IN
                 (SELECT id FROM receipt WHERE {which}
                     AND (text IS NOT NULL OR tlvs IS NOT NULL OR source IS NOT NULL OR destination IS NOT NULL) LIMIT ?3)"
        )
    };
    in_pieces(connection, &strip("id >= ?1 AND id < ?2"), &[&first, &last])?;
    let matched = "id IN (SELECT receipt_id FROM receipt_match WHERE attempt >= ?1 AND attempt < ?2)";
    in_pieces(connection, &strip(matched), &[&from, &to])?;
    for sql in [
        "DELETE FROM answer_tlv WHERE attempt IN
             (SELECT attempt FROM answer_tlv WHERE attempt >= ?1 AND attempt < ?2 LIMIT ?3)",
        "UPDATE operation SET text = NULL WHERE id IN
             (SELECT id FROM operation WHERE attempt >= ?1 AND attempt < ?2 AND text IS NOT NULL LIMIT ?3)",
    ] {
        in_pieces(connection, sql, &[&from, &to])?;
    }
    left_out(connection, campaign.id)
}
