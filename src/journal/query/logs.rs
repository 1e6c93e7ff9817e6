//! Attempts, receipts, inbound messages and rows that are no messages: what `report` lists besides messages. Like
//! everything here, in chunks, each handed out after its snapshot ended.

use super::chunk::tries;
use super::{CampaignSummary, JournalError, Stamp, campaign, receipt_state_name, rule_name, snapshot, stamp};
use crate::journal::handle::Sql;
use crate::journal::model::key::Attempt;
use crate::journal::store::names::Names;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::Serialize;

/// Parts, or rows, read in one snapshot.
const CHUNK: i64 = 5_000;

/// A row of `attempt_log`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AttemptRow {
    /// Name of the campaign.
    pub campaign: String,
    /// Line of the file.
    pub line: i64,
    /// Which part of the message, from 1.
    pub part: i64,
    /// Which attempt at the part, from 1.
    pub attempt: i64,
    /// The session that it was given to.
    pub session_id: i64,
    /// Its sequence number.
    pub sequence_number: i64,
    /// When the intent was on disk.
    pub claimed_at: Option<Stamp>,
    /// When the answer came.
    pub answered_at: Option<Stamp>,
    /// What became of it, in words.
    pub state: String,
    /// What the SMSC answered.
    pub command_status: Option<u32>,
    /// The id that it gave.
    pub message_id: Option<String>,
    /// What it said beside the status, in words.
    pub reason: Option<String>,
    /// The optional parameters of its answer, in words.
    pub tlvs: Option<String>,
}

/// A row of `receipt_log`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReceiptRow {
    /// When it came.
    pub received_at: Option<Stamp>,
    /// The id that it names.
    pub message_id: Option<String>,
    /// What it says.
    pub state: Option<String>,
    /// The error that it names.
    pub error: Option<String>,
    /// How it was matched, in words.
    pub rule: &'static str,
    /// Name of the campaign, where it is known.
    pub campaign: Option<String>,
    /// Line of the file.
    pub line: Option<i64>,
    /// Which part of the message, from 1.
    pub part: Option<i64>,
    /// As received; octets that are not UTF-8 are escaped.
    pub text: Option<String>,
    /// Its number.
    pub receipt: i64,
    /// Who it says that it comes from, as a rule the handset; kept where it matched nothing when it came.
    pub source: Option<String>,
    /// And to whom: as a rule the message's sender.
    pub destination: Option<String>,
    /// What its text says, or its TLV message_state, where that is another state than the one that counts.
    pub other_state: Option<String>,
    /// What its error means, by the account's profile.
    pub meaning: Option<String>,
    /// Its optional parameters, in words.
    pub tlvs: Option<String>,
}

/// A row of `rejected_row` or `duplicate_row`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SkippedRow {
    /// Name of the campaign.
    pub campaign: String,
    /// Line of the file.
    pub line: i64,
    /// Why it is no message.
    pub reason: String,
    /// The row as it stands in the file.
    pub row: String,
}

/// A message from a handset, or a receipt that could not be read.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct InboundRow {
    /// When it came.
    pub received_at: Option<Stamp>,
    /// Who sent it.
    pub source: String,
    /// The number that it was sent to.
    pub destination: String,
    /// What it says, decoded.
    pub text: String,
    /// How many parts it was sent in.
    pub parts: i64,
    /// How many of them came so far.
    pub parts_received: i64,
}

/// A row of `operation_log`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OperationRow {
    /// Name of the campaign.
    pub campaign: Option<String>,
    /// Line of the file.
    pub line: Option<i64>,
    /// Which part of the message, from 1.
    pub part: Option<i64>,
    /// query_sm, cancel_sm or replace_sm.
    pub operation: String,
    /// The id that it named.
    pub message_id: String,
    /// When the intent was on disk.
    pub asked_at: Option<Stamp>,
    /// When the answer came.
    pub answered_at: Option<Stamp>,
    /// What the SMSC answered.
    pub command_status: Option<u32>,
    /// Of a query: the state that the SMSC answered.
    pub state: Option<String>,
    /// Of a query: when the message came to its end, as SMPP writes times.
    pub final_date: Option<String>,
    /// Of a query: the SMSC's code for what went wrong.
    pub error_code: Option<i64>,
    /// Of a replace_sm: the new text.
    pub text: Option<String>,
    /// done, refused or not answered.
    pub outcome: &'static str,
}

/// Receipts of the account that belong to no attempt.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Strays {
    /// No attempt has their id (yet).
    pub unmatched: i64,
    /// Several attempts have it.
    pub ambiguous: i64,
}

/// Hands out the attempts of a campaign, by message, part and attempt.
pub fn attempts<E: From<JournalError>>(
    journal: &dyn Sql,
    name: &str,
    mut each: impl FnMut(&AttemptRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let summary = campaign(connection, name)?;
    let mut from = summary.first_id;
    while from < summary.end_id {
        let end = (from + CHUNK).min(summary.end_id);
        let mut rows = attempts_of(connection, &summary, from, end)?;
        rows.sort_unstable_by_key(|&(key, _)| key);
        for (_, row) in &rows {
            each(row)?;
        }
        from = end;
    }
    Ok(())
}

fn attempts_of(
    connection: &Connection,
    summary: &CampaignSummary,
    from: i64,
    end: i64,
) -> Result<Vec<(Attempt, AttemptRow)>, JournalError> {
    let snapshot = snapshot(connection)?;
    let names = Names::load(&snapshot)?;
    let mut statement = snapshot.prepare_cached(
        "SELECT m.id, m.line, p.n, k.session_id, k.first_sequence_number + (m.id + p.n - 1 - k.first_part), k.claimed_at,
                a.answered_at, a.outcome,
                (SELECT v.kind FROM verdict v WHERE v.attempt = (((m.id + p.n - 1) << 12) | k.try)
                  ORDER BY v.id DESC LIMIT 1),
                a.command_status, a.message_id, x.reason, x.tlvs
           FROM claim k
           JOIN message m ON m.id >= k.first_message AND m.id < k.first_part + k.parts AND m.id < ?3
           JOIN part_number p ON p.n <= m.parts
                             AND m.id + p.n - 1 >= max(k.first_part, ?2)
                             AND m.id + p.n - 1 < min(k.first_part + k.parts, ?3)
           LEFT JOIN answer a ON a.attempt = (((m.id + p.n - 1) << 12) | k.try)
           LEFT JOIN answer_tlv x ON x.attempt = (((m.id + p.n - 1) << 12) | k.try)
          WHERE k.try = ?1 AND k.first_part < ?3
            AND k.first_part >= coalesce((SELECT b.first_part FROM claim b WHERE b.try = ?1 AND b.first_part <= ?2
                                           ORDER BY b.first_part DESC LIMIT 1), ?2)",
    )?;
    let mut found = Vec::new();
    for tried in tries(&snapshot)? {
        let mut rows = statement.query((tried, from, end))?;
        while let Some(row) = rows.next()? {
            let (message, part): (i64, i64) = (row.get(0)?, row.get(2)?);
            let attempt = Attempt::new(message + part - 1, tried);
            found.push((
                attempt,
                AttemptRow {
                    campaign: summary.campaign.clone(),
                    line: row.get(1)?,
                    part,
                    attempt: i64::from(tried) + 1,
                    session_id: row.get(3)?,
                    sequence_number: row.get(4)?,
                    claimed_at: stamp(row, 5)?,
                    answered_at: stamp(row, 6)?,
                    state: attempt_state(row.get(7)?, row.get(8)?).into(),
                    command_status: row.get(9)?,
                    message_id: row.get(10)?,
                    reason: row.get(11)?,
                    tlvs: blob(row, 12)?.and_then(|octets| names.words(octets)),
                },
            ));
        }
    }
    Ok(found)
}

/// The words of `attempt_log`.
fn attempt_state(outcome: Option<i64>, verdict: Option<i64>) -> &'static str {
    match (outcome, verdict) {
        (Some(0), _) => "accepted",
        (Some(1), _) => "to retry",
        (Some(_), _) => "rejected",
        (None, Some(1)) => "in doubt",
        (None, Some(2)) => "not written",
        (None, Some(3)) => "in doubt, resent",
        (None, Some(4)) => "in doubt, assumed sent",
        (None, Some(5)) => "in doubt, abandoned",
        (None, _) => "claimed",
    }
}

/// Hands out the receipts of a campaign: by message those that came after their answer, with the others of the same
/// messages after them.
pub fn receipts<E: From<JournalError>>(
    journal: &dyn Sql,
    name: &str,
    mut each: impl FnMut(&ReceiptRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let summary = campaign(connection, name)?;
    let mut from = summary.first_id;
    while from < summary.end_id {
        let end = (from + CHUNK).min(summary.end_id);
        for row in receipts_of(connection, &summary, from, end)? {
            each(&row)?;
        }
        from = end;
    }
    Ok(())
}

const RECEIPT: &str = "SELECT r.received_at,
        coalesce(r.message_id, a.message_id, (SELECT b.message_id FROM answer b WHERE b.attempt = r.id >> 8)), r.state, r.error, r.rule, m.line,
        (r.attempt >> 12) - m.id + 1, r.text, r.id, r.source, r.destination, r.other_state, r.tlvs
   FROM receipt_fact r
   LEFT JOIN answer a ON a.attempt = r.attempt
   LEFT JOIN message m ON m.id = (SELECT q.id FROM message q WHERE q.id <= (r.attempt >> 12) ORDER BY q.id DESC LIMIT 1)";

fn receipts_of(
    connection: &Connection,
    summary: &CampaignSummary,
    from: i64,
    end: i64,
) -> Result<Vec<ReceiptRow>, JournalError> {
    let snapshot = snapshot(connection)?;
    let names = Names::load(&snapshot)?;
    let mut found = Vec::new();
    let mut own = snapshot.prepare_cached(&format!(
        "{RECEIPT} WHERE r.id >= ?1 AND r.id < ?2 AND r.attempt >= ?3 AND r.attempt < ?4 ORDER BY r.id"
    ))?;
    let (first_receipt, end_receipt) = Attempt::receipt_range(from, end);
    let (first_attempt, end_attempt) = Attempt::range(from, end);
    let mut rows = own.query([first_receipt, end_receipt, first_attempt, end_attempt])?;
    while let Some(row) = rows.next()? {
        found.push(receipt(row, Some(summary), &names)?);
    }
    // Matched otherwise: stored under another number.
    let mut matched = snapshot.prepare_cached(&format!(
        "{RECEIPT} WHERE r.id IN (SELECT x.receipt_id FROM receipt_match x WHERE x.attempt >= ?3 AND x.attempt < ?4)
            AND NOT (r.id >= ?1 AND r.id < ?2) AND r.attempt >= ?3 AND r.attempt < ?4 ORDER BY r.attempt, r.id"
    ))?;
    let mut rows = matched.query([first_receipt, end_receipt, first_attempt, end_attempt])?;
    while let Some(row) = rows.next()? {
        found.push(receipt(row, Some(summary), &names)?);
    }
    Ok(found)
}

fn receipt(row: &Row<'_>, summary: Option<&CampaignSummary>, names: &Names) -> Result<ReceiptRow, JournalError> {
    let state_name = |state: Option<i64>| state.map(|state| receipt_state_name(state).into_owned());
    let text = match row.get_ref(7)? {
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Some(match std::str::from_utf8(octets) {
            Ok(text) => text.to_owned(),
            Err(_) => octets.escape_ascii().to_string(),
        }),
        _ => None,
    };
    Ok(ReceiptRow {
        received_at: stamp(row, 0)?,
        message_id: row.get(1)?,
        state: state_name(row.get(2)?),
        error: row.get(3)?,
        rule: rule_name(row.get(4)?),
        campaign: summary.map(|summary| summary.campaign.clone()),
        line: row.get(5)?,
        part: row.get(6)?,
        text,
        receipt: row.get(8)?,
        source: row.get(9)?,
        destination: row.get(10)?,
        other_state: state_name(row.get(11)?),
        meaning: row
            .get_ref(3)?
            .as_str_or_null()
            .unwrap_or(None)
            .and_then(|error| names.meaning(error))
            .map(str::to_owned),
        tlvs: blob(row, 12)?.and_then(|octets| names.words(octets)),
    })
}

/// Octets, where there are some.
fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r [u8]>, JournalError> {
    Ok(row.get_ref(column)?.as_blob_or_null().map_err(rusqlite::Error::from)?)
}

/// Hands out the receipts that belong to no attempt, the oldest first.
pub fn unmatched<E: From<JournalError>>(
    journal: &dyn Sql,
    mut each: impl FnMut(&ReceiptRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let names = Names::load(connection)?;
    // Those stored under an attempt's number, and matched otherwise since.
    let sql = format!(
        "{RECEIPT} WHERE r.id IN (SELECT x.receipt_id FROM receipt_match x WHERE x.receipt_id >= 0) AND r.attempt IS NULL
          ORDER BY r.id"
    );
    let taken_back = (|| -> Result<Vec<ReceiptRow>, JournalError> {
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(receipt(row, None, &names)?);
        }
        Ok(found)
    })()?;
    for row in &taken_back {
        each(row)?;
    }
    // Their numbers descend, so that the oldest is the greatest.
    let sql = format!("{RECEIPT} WHERE r.id < ?1 AND r.id >= ?2 AND r.attempt IS NULL ORDER BY r.id DESC");
    let lowest = lowest_receipt(connection)?;
    let mut before = 0;
    while before > lowest {
        let after = (before - CHUNK).max(lowest);
        let chunk = (|| -> Result<Vec<ReceiptRow>, JournalError> {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([before, after])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(receipt(row, None, &names)?);
            }
            Ok(found)
        })()?;
        for row in &chunk {
            each(row)?;
        }
        before = after;
    }
    Ok(())
}

fn lowest_receipt(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection
        .query_row("SELECT min(min(id), 0) FROM receipt", [], |row| row.get::<_, Option<i64>>(0))?
        .unwrap_or(0))
}

/// Counts the receipts of the account that belong to no attempt.
pub fn strays(journal: &dyn Sql) -> Result<Strays, JournalError> {
    let connection = journal.connection();
    // Those stored under an attempt's number, and matched otherwise since.
    let (unmatched, ambiguous) = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE rule <> 6), count(*) FILTER (WHERE rule = 6) FROM receipt_fact
              WHERE id IN (SELECT x.receipt_id FROM receipt_match x WHERE x.receipt_id >= 0) AND attempt IS NULL",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut strays = Strays { unmatched, ambiguous };
    let lowest = lowest_receipt(connection)?;
    let mut before = 0;
    while before > lowest {
        let after = (before - CHUNK * 20).max(lowest);
        let mut statement = connection.prepare_cached(
            "SELECT count(*) FILTER (WHERE rule <> 6), count(*) FILTER (WHERE rule = 6) FROM receipt_fact
              WHERE id < ?1 AND id >= ?2 AND attempt IS NULL",
        )?;
        let (unmatched, ambiguous): (i64, i64) =
            statement.query_row([before, after], |row| Ok((row.get(0)?, row.get(1)?)))?;
        strays.unmatched += unmatched;
        strays.ambiguous += ambiguous;
        before = after;
    }
    Ok(strays)
}

/// Hands out the rows of a campaign's file that were refused (or, with `duplicates`, left out because their number came
/// before).
pub fn skipped_rows<E: From<JournalError>>(
    journal: &dyn Sql,
    name: &str,
    duplicates: bool,
    each: impl FnMut(&SkippedRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let summary = campaign(connection, name)?;
    let sql = format!(
        "SELECT id, line, reason, row FROM skipped_row
          WHERE campaign_id = {} AND duplicate = {} AND id > ?1 ORDER BY id LIMIT ?2",
        summary.id,
        u8::from(duplicates)
    );
    by_id(
        connection,
        &sql,
        |row| {
            Ok(SkippedRow {
                campaign: summary.campaign.clone(),
                line: row.get(1)?,
                reason: row.get(2)?,
                row: row.get(3)?,
            })
        },
        each,
    )
}

/// Hands out what came from handsets, in the order in which it came, the parts of a long message joined.
pub fn inbound<E: From<JournalError>>(
    journal: &dyn Sql,
    each: impl FnMut(&InboundRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    by_id(
        connection,
        "SELECT i.id, i.received_at, i.source, i.destination,
                CASE WHEN i.reference IS NULL THEN i.text ELSE (
                    SELECT group_concat(p.text, '') FROM (
                        SELECT j.text FROM inbound j
                         WHERE j.source = i.source AND j.reference = i.reference AND coalesce(j.first_id, j.id) = i.id
                         ORDER BY j.part) p) END,
                coalesce(i.parts, 1),
                CASE WHEN i.reference IS NULL THEN 1 ELSE (
                    SELECT count(*) FROM inbound j
                     WHERE j.source = i.source AND j.reference = i.reference AND coalesce(j.first_id, j.id) = i.id) END
           FROM inbound i WHERE i.first_id IS NULL AND i.id > ?1 ORDER BY i.id LIMIT ?2",
        |row| {
            Ok(InboundRow {
                received_at: stamp(row, 1)?,
                source: row.get(2)?,
                destination: row.get(3)?,
                text: row.get(4)?,
                parts: row.get(5)?,
                parts_received: row.get(6)?,
            })
        },
        each,
    )
}

/// Hands out what was asked of the SMSC about messages that it has, in the order in which it was asked. `name`: of that
/// campaign only.
pub fn operations<E: From<JournalError>>(
    journal: &dyn Sql,
    name: Option<&str>,
    each: impl FnMut(&OperationRow) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let (first, end) = match name {
        Some(name) => {
            let summary = campaign(connection, name)?;
            Attempt::range(summary.first_id, summary.end_id)
        }
        None => (i64::MIN, i64::MAX),
    };
    let sql = format!(
        "SELECT o.id, c.name, m.line, (o.attempt >> 12) - m.id + 1, o.kind, o.message_id, o.asked_at, a.answered_at,
                a.command_status, a.state, a.final_date, a.error_code, o.text
           FROM operation o
           LEFT JOIN operation_answer a ON a.operation = o.id
           LEFT JOIN message m ON m.id = (SELECT q.id FROM message q WHERE q.id <= (o.attempt >> 12) ORDER BY q.id DESC LIMIT 1)
           LEFT JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                            ORDER BY d.first_id DESC LIMIT 1)
          WHERE o.id > ?1 AND o.attempt >= {first} AND o.attempt < {end} ORDER BY o.id LIMIT ?2"
    );
    by_id(connection, &sql, operation, each)
}

fn operation(row: &Row<'_>) -> rusqlite::Result<OperationRow> {
    let command_status: Option<u32> = row.get(8)?;
    let state: Option<i64> = row.get(9)?;
    Ok(OperationRow {
        campaign: row.get(1)?,
        line: row.get(2)?,
        part: row.get(3)?,
        operation: row.get(4)?,
        message_id: row.get(5)?,
        asked_at: stamp(row, 6)?,
        answered_at: stamp(row, 7)?,
        command_status,
        state: state.map(|state| receipt_state_name(state).into_owned()),
        final_date: row.get(10)?,
        error_code: row.get(11)?,
        text: row.get(12)?,
        outcome: match command_status {
            Some(0) => "done",
            Some(_) => "refused",
            None => "not answered",
        },
    })
}

/// How many operations of each kind a campaign has, and what came of them: kind, outcome, how many.
pub fn operation_counts(journal: &dyn Sql, summary: &CampaignSummary) -> Result<Vec<OperationCount>, JournalError> {
    let connection = journal.connection();
    let mut statement = connection.prepare_cached(
        "SELECT o.kind, CASE WHEN a.command_status = 0 THEN 0 WHEN a.command_status IS NOT NULL THEN 1 ELSE 2 END, count(*)
           FROM operation o LEFT JOIN operation_answer a ON a.operation = o.id
          WHERE o.attempt >= ?1 AND o.attempt < ?2 GROUP BY 1, 2 ORDER BY 1, 2",
    )?;
    let rows = statement.query_map(Attempt::range(summary.first_id, summary.end_id), |row| {
        let outcome =
            ["done", "refused", "not answered"].get(usize::from(row.get::<_, u8>(1)?)).copied().unwrap_or_default();
        Ok(OperationCount { operation: row.get(0)?, outcome, operations: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Operations of one kind and outcome.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OperationCount {
    /// query_sm, cancel_sm or replace_sm.
    pub operation: String,
    /// done, refused or not answered.
    pub outcome: &'static str,
    /// How many.
    pub operations: i64,
}

/// The header of a campaign's file, as it was written; `None`: an older program imported it.
pub fn header(journal: &dyn Sql, campaign: &CampaignSummary) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    Ok(connection.query_row("SELECT header FROM campaign WHERE id = ?1", [campaign.id], |row| row.get(0))?)
}

/// Pages through a table by its id: `sql` takes the last id seen and how many rows to read.
fn by_id<T, E: From<JournalError>>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut each: impl FnMut(&T) -> Result<(), E>,
) -> Result<(), E> {
    let mut last = i64::MIN;
    loop {
        let page = (|| -> Result<Vec<(i64, T)>, JournalError> {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([last, CHUNK], |row| Ok((row.get(0)?, read(row)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })()?;
        for (id, row) in &page {
            last = *id;
            each(row)?;
        }
        if (page.len() as i64) < CHUNK {
            return Ok(());
        }
    }
}
