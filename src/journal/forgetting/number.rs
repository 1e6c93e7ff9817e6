//! All that is there of numbers: in messages, receipts, rows that were left out, messages from handsets, and what happened
//! to the suppression list. What became of a message stays, without the number, the text and the ids.

use super::pseudonym::Key;
use super::{Kind, PAUSE, ROWS_PER_TRANSACTION, begin, end, scour};
use crate::journal::error::JournalError;
use crate::journal::handle::Journal;
use crate::journal::matcher::id_archive;
use crate::journal::model::key::{Attempt, State};
use crate::journal::query;
use crate::journal::query::kept::Kept;
use crate::journal::store::lines::message_of_campaigns_line;
use crate::journal::store::notes::{campaign_id, in_transaction};
use crate::journal::store::number_index::{key_of, upkeep};
use crate::journal::store::twins::sum_of;
use crate::message::address::{Country, dialled};
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use crate::words::format::count;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Digits at the end of a number by which it is recognised in a row that nobody could read.
const TAIL_DIGITS: usize = 9;
/// What stands on the suppression list for why a number is there that was forgotten.
const REASON: &str = "kept when the number was forgotten";

/// A message to one of the numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Met {
    /// Its number.
    pub id: i64,
    /// Its campaign.
    pub campaign: String,
    /// The line of its row.
    pub line: i64,
    /// Its parts.
    pub parts: i64,
    /// How it stands.
    pub state: State,
    /// Its line names it: of a row with several numbers that is the first one.
    pub is_named_by_line: bool,
    /// A receipt is to say yet what became of it.
    pub is_awaited: bool,
}

/// What there is of numbers.
#[derive(Clone, Debug, Default)]
pub struct ForgetPlan {
    /// As they travel: digits.
    pub numbers: Vec<String>,
    /// Messages to them.
    pub messages: Vec<Met>,
    /// Receipts of no message that name them.
    pub receipts: Vec<i64>,
    /// Parts of messages from them.
    pub inbound: Vec<i64>,
    /// Rows that were left out at an import.
    pub rows: Vec<i64>,
    /// What happened to the list of numbers that are never sent to.
    pub events: Vec<i64>,
    /// Those that stand on the list now.
    pub on_list: Vec<String>,
    /// Backups that upgrades left: they have the numbers, too, or may have them.
    pub backups: Vec<PathBuf>,
}

/// What was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// Messages that have no number any more.
    pub messages: i64,
    /// Messages that are on their way, or wait for their receipts: they keep it.
    pub left: i64,
    /// Receipts of no message, inbound parts, left-out rows and events.
    pub others: i64,
}

impl Met {
    /// Whether it can be forgotten; `now`: also where it only waits for a receipt.
    fn is_at_its_end(&self, now: bool) -> bool {
        let is_under_way = matches!(self.state, State::Queued | State::Sending | State::InDoubt);
        !is_under_way && (now || !self.is_awaited)
    }
}

impl ForgetPlan {
    /// Messages that are in one of these states.
    pub fn in_states(&self, states: &[State]) -> Vec<&Met> {
        self.messages.iter().filter(|met| states.contains(&met.state)).collect()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.others() == 0 && self.on_list.is_empty()
    }

    /// All that is not a message.
    pub fn others(&self) -> usize {
        self.receipts.len() + self.inbound.len() + self.rows.len() + self.events.len()
    }
}

/// Looks what there is of the numbers, which are digits.
pub fn look_for(
    journal: &Journal,
    path: &Path,
    numbers: &[String],
    country: Option<Country>,
) -> Result<ForgetPlan, JournalError> {
    let connection = journal.connection();
    let mut plan = ForgetPlan { numbers: numbers.to_vec(), ..ForgetPlan::default() };
    let key = Key::load(path)?;
    let keys: Vec<u64> = numbers.iter().map(|number| key_of(number)).collect();
    let pseudonyms: Vec<String> =
        key.iter().flat_map(|key| numbers.iter().map(|number| key.pseudonym(number))).collect();
    for (n, number) in keys.iter().enumerate() {
        query::numbered_messages_to(connection, *number, pseudonyms.get(n).map(String::as_str), &mut |id, of, row| {
            plan.messages.push(Met {
                id,
                campaign: row.campaign.clone(),
                line: row.line,
                parts: row.parts,
                state: row.state,
                is_named_by_line: false,
                is_awaited: row.state == State::Accepted && of.awaited.of_success,
            });
        })?;
    }
    for met in &mut plan.messages {
        let campaign = campaign_id(connection, &met.campaign)?;
        let line = u64::try_from(met.line).unwrap_or_default();
        let of_line = message_of_campaigns_line(connection, campaign, line)?;
        met.is_named_by_line = of_line.is_some_and(|(message, _)| message == met.id);
    }
    let is_one = |address: &str| {
        let number = key_of(address.trim_start_matches('+'));
        number != 0 && keys.contains(&number) || pseudonyms.iter().any(|pseudonym| pseudonym == address)
    };
    let gather = |sql: &str, is_one: &dyn Fn(&str) -> bool, to: &mut Vec<i64>| -> Result<(), JournalError> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let meets = (1..=2).any(|n| row.get_ref(n).ok().and_then(|cell| cell.as_str().ok()).is_some_and(is_one));
            if meets {
                to.push(row.get(0)?);
            }
        }
        Ok(())
    };
    let addresses = "SELECT id, source, destination FROM receipt WHERE coalesce(source, destination) IS NOT NULL";
    gather(addresses, &is_one, &mut plan.receipts)?;
    gather("SELECT id, source, destination FROM inbound", &is_one, &mut plan.inbound)?;
    gather("SELECT id, destination, '' FROM suppression_event", &is_one, &mut plan.events)?;
    let in_row = |row: &str| is_in_row(row, numbers, country);
    gather("SELECT id, row, reason FROM skipped_row", &in_row, &mut plan.rows)?;
    let mut statement = connection.prepare("SELECT destination FROM suppression")?;
    for listed in statement.query_map([], |row| row.get::<_, String>(0))? {
        let listed = listed?;
        if is_one(&listed) {
            plan.on_list.push(listed);
        }
    }
    plan.backups = scour::backups(path, i64::MAX)?;
    Ok(plan)
}

/// Whether a row of a file names one of the numbers, however it writes it.
fn is_in_row(row: &str, numbers: &[String], country: Option<Country>) -> bool {
    row.split([',', ';', '\t', '|', '"', '\n']).any(|cell| {
        let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
        if digits.len() < TAIL_DIGITS - 2 {
            return false;
        }
        numbers.iter().any(|number| {
            let tail = number.get(number.len().saturating_sub(TAIL_DIGITS)..).unwrap_or(number);
            digits.contains(tail) || dialled::read(cell, country).is_ok_and(|read| read.digits == *number)
        })
    })
}

/// Forgets them, but for messages that are not at their end; `now`: also those that only wait for a receipt. Killed at any
/// moment, the same again does the rest.
pub fn forget(journal: &Journal, plan: &ForgetPlan, now: bool) -> Result<Forgotten, JournalError> {
    let connection = journal.connection();
    let forgetting = begin(connection, Kind::Forgotten, now_ms())?;
    let mut forgotten = Forgotten::default();
    let ended = plan.messages.iter().filter(|met| met.is_at_its_end(now));
    let parts = ended.map(|met| met.id..met.id + met.parts).collect();
    id_archive::forget(connection, parts, ROWS_PER_TRANSACTION, PAUSE)?;
    for met in &plan.messages {
        if !met.is_at_its_end(now) {
            forgotten.left += 1;
            continue;
        }
        keep_sum(connection, &met.campaign)?;
        upkeep::forget(connection, &(met.id..met.id + 1))?;
        in_transaction(connection, || strip(connection, met))?;
        forgotten.messages += 1;
        std::thread::sleep(PAUSE);
    }
    let newest: i64 =
        connection.query_row("SELECT coalesce(max(id), 0) FROM suppression_event", [], |row| row.get(0))?;
    for (ids, sql) in [
        (
            &plan.receipts,
            "UPDATE receipt SET source = NULL, destination = NULL, text = NULL, tlvs = NULL, text_id = NULL,
                    message_id = CASE WHEN id < 0 THEN '' END WHERE id = ?1",
        ),
        (&plan.inbound, "DELETE FROM inbound WHERE id = ?1"),
        (&plan.rows, "UPDATE skipped_row SET row = '', reason = 'forgotten' WHERE id = ?1"),
        (&plan.events, "DELETE FROM suppression_event WHERE id = ?1"),
    ] {
        for some in ids.chunks(ROWS_PER_TRANSACTION as usize) {
            in_transaction(connection, || {
                for id in some {
                    // Senders read on from the newest event.
                    let sql = match std::ptr::eq(ids, &raw const plan.events) && *id == newest {
                        true => "UPDATE suppression_event SET destination = '', reason = '' WHERE id = ?1",
                        false => sql,
                    };
                    connection.prepare_cached(sql)?.execute([id])?;
                }
                Ok(reach("purge-piece")?)
            })?;
            std::thread::sleep(PAUSE);
        }
        forgotten.others += ids.len() as i64;
    }
    in_transaction(connection, || {
        for number in &plan.on_list {
            let sql = "UPDATE suppression SET reason = ?2 WHERE destination = ?1";
            connection.prepare_cached(sql)?.execute((number, REASON))?;
        }
        Ok(())
    })?;
    scour::remove(&plan.backups)?;
    let words = format!(
        "{}: {}, {} of theirs besides; {} left, on their way",
        count(plan.numbers.len() as i64, "number"),
        count(forgotten.messages, "message"),
        forgotten.others,
        forgotten.left
    );
    end(connection, forgetting, &words)?;
    Ok(forgotten)
}

/// Keeps the sum of the campaign's messages as they were, so that the same ones are recognised in another file.
fn keep_sum(connection: &Connection, campaign: &str) -> Result<(), JournalError> {
    let of = query::campaign(connection, campaign)?;
    if Kept::load(connection, of.id)?.is_none() {
        let sum = sum_of(connection, of.first_id, of.end_id)?.hex();
        let kept = serde_json::to_string(&Kept::default().with_sum(sum));
        let kept = kept.map_err(|error| JournalError::Inconsistent(error.to_string()))?;
        connection.execute("INSERT OR IGNORE INTO kept_report VALUES (?1, ?2)", (of.id, kept))?;
    }
    Ok(())
}

/// Takes from a message, and from all that is known of it, the number, the texts and the ids. Parts that had one id still
/// have one: whether a receipt counts for all of them follows from that.
fn strip(connection: &Connection, met: &Met) -> Result<(), JournalError> {
    let (from, to) = Attempt::range(met.id, met.id + met.parts);
    let (first, last) = Attempt::receipt_range(met.id, met.id + met.parts);
    connection
        .prepare_cached("UPDATE message SET destination = '', text = '', typed = NULL, fields = NULL WHERE id = ?1")?
        .execute([met.id])?;
    if met.state == State::Cancelled {
        // By itself, and for good: its campaign may yet be sent after all.
        let cancelled = "INSERT OR REPLACE INTO cancelled_message (message, at) VALUES (?1, ?2)";
        connection.prepare_cached(cancelled)?.execute([met.id, now_ms()])?;
        let state = "INSERT OR IGNORE INTO message_state (message, state) VALUES (?1, ?2)";
        connection.prepare_cached(state)?.execute((met.id, State::Cancelled as u8))?;
    }
    let ids: Vec<(i64, String)> = connection
        .prepare_cached(
            "SELECT attempt, message_id FROM answer WHERE attempt >= ?1 AND attempt < ?2 AND message_id <> '' ORDER BY attempt",
        )?
        .query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (attempt, id) in &ids {
        let first = ids.iter().find(|(_, other)| other == id).map_or(*attempt, |(first, _)| *first);
        connection
            .prepare_cached("UPDATE answer SET message_id = ?2 WHERE attempt = ?1")?
            .execute((attempt, format!("forgotten-{first}")))?;
    }
    Ok(strip_rest(connection, (from, to), (first, last))?)
}

fn strip_rest(connection: &Connection, (from, to): (i64, i64), (first, last): (i64, i64)) -> rusqlite::Result<()> {
    for (sql, range) in [
        ("DELETE FROM answer_tlv WHERE attempt >= ?1 AND attempt < ?2", [from, to]),
        ("UPDATE operation SET text = NULL, message_id = '' WHERE attempt >= ?1 AND attempt < ?2", [from, to]),
        (
            "UPDATE receipt SET text = NULL, tlvs = NULL, source = NULL, destination = NULL, text_id = NULL,
                    message_id = CASE WHEN message_id IS NULL THEN NULL ELSE '' END
              WHERE id >= ?1 AND id < ?2",
            [first, last],
        ),
        (
            "UPDATE receipt SET text = NULL, tlvs = NULL, source = NULL, destination = NULL, text_id = NULL,
                    message_id = CASE WHEN message_id IS NULL THEN NULL ELSE '' END
              WHERE id IN (SELECT receipt_id FROM receipt_match WHERE attempt >= ?1 AND attempt < ?2)",
            [from, to],
        ),
    ] {
        connection.prepare_cached(sql)?.execute(range)?;
    }
    Ok(())
}
