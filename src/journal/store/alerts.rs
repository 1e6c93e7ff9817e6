//! Messages that come one by one (`send --to`): they gather in a campaign, which is there from the first of them on and has room
//! behind it for those that follow, whatever is imported meanwhile.
//!
//! One with a name of its own (`--id`) is never sent to the same number again. That is kept as a keyed hash, which outlives the
//! message.

use crate::journal::error::JournalError;
use crate::journal::files::lock::ImportLock;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::key::State;
use crate::journal::open::open_or_create;
use crate::journal::store::append::next_first_id;
use crate::journal::store::id_keys::hash_keys;
use crate::journal::store::intake::{NewMessage, undo_all_unfinished};
use crate::journal::store::notes::in_transaction;
use crate::platform::clock::now_ms;
use crate::platform::failpoint::reach;
use rusqlite::{Connection, OptionalExtension};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::path::Path;

/// Parts that one campaign can gather.
const ROOM: i64 = 1 << 24;
/// Campaigns of one name that are looked at: of other options, cancelled, or full.
const NAMES_MAX: u32 = 1_000;

/// One of them, as it stands in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its number, digits.
    pub destination: String,
    /// Its message.
    pub message: i64,
    /// It was sent, or is to be, by an earlier command with the same name.
    pub is_known: bool,
}

/// Where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gathered {
    /// The campaign's number.
    pub id: i64,
    /// Its name.
    pub campaign: String,
    /// In the order in which they came.
    pub placed: Vec<Placed>,
}

/// A campaign that gathers.
struct Gathering {
    id: i64,
    name: String,
    end: i64,
    line: i64,
}

/// Puts messages in the campaign of this name, or `NAME (2)` where that has other options, was cancelled or is full: all of them in
/// one transaction. `id`: the name that they have together.
pub fn gather(
    path: &Path,
    name: &str,
    options: &CampaignOptions,
    messages: &[NewMessage<'_>],
    id: Option<&str>,
) -> Result<Gathered, JournalError> {
    let gathered = || -> Result<Gathered, JournalError> {
        let connection = open_or_create(path)?;
        let options = serde_json::to_string(options)
            .map_err(|error| JournalError::Inconsistent(format!("the campaign's options: {error}")))?;
        let parts = messages.iter().map(|message| i64::from(message.parts)).sum();
        if let Some(id) = id
            && let Some(known) = all_known(&connection, messages, id)?
        {
            return Ok(known);
        }
        loop {
            let placed = in_transaction(&connection, || match find(&connection, name, &options, parts)? {
                Ok(gathering) => place(&connection, &gathering, messages, id).map(Ok),
                Err(free) => Ok(Err(free)),
            })?;
            match placed {
                Ok(gathered) => return Ok(gathered),
                Err(free) => make(&connection, path, &free, &options)?,
            }
        }
    };
    gathered().map_err(|error| error.at(path))
}

/// The campaign that these go to; else the name that it is to have.
fn find(
    connection: &Connection,
    name: &str,
    options: &str,
    parts: i64,
) -> Result<Result<Gathering, String>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.id, c.end_id, n.messages + 2,
                c.imported_at IS NOT NULL AND c.cancelled_at IS NULL AND c.purged_at IS NULL
                AND c.pseudonymised_at IS NULL AND c.options = ?2 AND c.end_id + ?3 <= c.first_id + c.room
                AND NOT EXISTS (SELECT 1 FROM control k WHERE k.campaign_id = c.id AND k.kind = 'cancel'
                                                          AND coalesce(k.detail, '{}') = '{}' AND k.applied_at IS NULL)
           FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id WHERE c.name = ?1",
    )?;
    for n in 1..=NAMES_MAX {
        let name = if n == 1 { name.to_owned() } else { format!("{name} ({n})") };
        let found: Option<(i64, i64, i64, bool)> = statement
            .query_row((&name, options, parts), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        match found {
            None => return Ok(Err(name)),
            Some((id, end, line, true)) => return Ok(Ok(Gathering { id, name, end, line })),
            Some(_) => {}
        }
    }
    Err(JournalError::Inconsistent(format!(
        "there are {NAMES_MAX} campaigns named {name:?} to which nothing can be added"
    )))
}

/// Makes an empty campaign that gathers. An import that runs has the next numbers: it is waited for.
fn make(connection: &Connection, path: &Path, name: &str, options: &str) -> Result<(), JournalError> {
    let _lock = loop {
        ImportLock::await_free(path, &mut || ())?;
        match ImportLock::take(path) {
            Err(JournalError::ImportHeld(_)) => {}
            taken => break taken?,
        }
    };
    undo_all_unfinished(connection)?;
    in_transaction(connection, || {
        let first = next_first_id(connection)?;
        let now = now_ms();
        // Another command may have been faster.
        let made = connection.execute(
            "INSERT INTO campaign (name, file, options, source, first_id, end_id, created_at, imported_at, room)
             VALUES (?1, '', ?2, '', ?3, ?3, ?4, ?4, ?5) ON CONFLICT (name) DO NOTHING",
            (name, options, first, now, ROOM),
        )?;
        if made > 0 {
            let id = connection.last_insert_rowid();
            connection.execute("INSERT INTO campaign_count (campaign_id) VALUES (?1)", [id])?;
        }
        Ok(())
    })
}

/// What an alert's own name to a number is kept as.
fn name_of(keys: (u64, u64), id: &str, message: &NewMessage<'_>) -> [u8; 16] {
    let mut hasher = SipHasher13::new_with_keys(keys.0, keys.1);
    hasher.write(id.as_bytes());
    hasher.write_u8(0xFF);
    hasher.write_u64(message.number);
    hasher.finish128().as_bytes()
}

fn known_as(connection: &Connection, name: &[u8; 16]) -> Result<Option<i64>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT message FROM alert WHERE name = ?1")?;
    Ok(statement.query_row([&name[..]], |row| row.get(0)).optional()?)
}

/// Where all of them are known by their name, and no campaign need be there for them: as they are placed, in the campaign of the
/// first.
fn all_known(connection: &Connection, messages: &[NewMessage<'_>], id: &str) -> Result<Option<Gathered>, JournalError> {
    let keys = hash_keys(connection)?;
    let mut placed = Vec::new();
    for message in messages {
        let Some(known) = known_as(connection, &name_of(keys, id, message))? else { return Ok(None) };
        placed.push(Placed { destination: message.destination.into(), message: known, is_known: true });
    }
    let Some(first) = placed.first() else { return Ok(None) };
    Ok(campaign_of(connection, first.message)?.map(|(id, campaign)| Gathered { id, campaign, placed }))
}

/// The campaign in which a message stands, and its name.
pub fn campaign_of(journal: &dyn Sql, message: i64) -> Result<Option<(i64, String)>, JournalError> {
    let mut statement = journal.connection().prepare_cached(
        "SELECT id, name FROM campaign WHERE first_id <= ?1 AND end_id > ?1 ORDER BY first_id DESC LIMIT 1",
    )?;
    Ok(statement.query_row([message], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn place(
    connection: &Connection,
    gathering: &Gathering,
    messages: &[NewMessage<'_>],
    id: Option<&str>,
) -> Result<Gathered, JournalError> {
    let keys = hash_keys(connection)?;
    let (mut next, mut line) = (gathering.end, gathering.line);
    let (mut count, mut suppressed) = (0, 0);
    let mut placed = Vec::new();
    for message in messages {
        let name = id.map(|id| name_of(keys, id, message));
        if let Some(name) = &name {
            if let Some(known) = known_as(connection, name)? {
                placed.push(Placed { destination: message.destination.into(), message: known, is_known: true });
                continue;
            }
            connection.prepare_cached("INSERT INTO alert (name, at, message) VALUES (?1, ?2, ?3)")?.execute((
                &name[..],
                now_ms(),
                next,
            ))?;
        }
        connection
            .prepare_cached(
                "INSERT INTO message (id, line, destination, source, text, encoding, parts, fields, typed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                next,
                line,
                message.destination,
                message.source,
                message.text,
                message.encoding,
                message.parts,
                message.fields,
                message.typed,
            ))?;
        if message.suppressed {
            connection
                .prepare_cached("INSERT INTO message_state (message, state) VALUES (?1, ?2)")?
                .execute((next, State::Suppressed as u8))?;
            suppressed += 1;
        }
        placed.push(Placed { destination: message.destination.into(), message: next, is_known: false });
        next += i64::from(message.parts);
        line += 1;
        count += 1;
    }
    connection.execute("UPDATE campaign SET end_id = ?2 WHERE id = ?1", [gathering.id, next])?;
    connection.execute(
        "UPDATE campaign_count SET messages = messages + ?2, parts = parts + ?3, queued = queued + ?4,
                suppressed = suppressed + ?5 WHERE campaign_id = ?1",
        [gathering.id, count, next - gathering.end, count - suppressed, suppressed],
    )?;
    reach("gathered")?;
    Ok(Gathered { id: gathering.id, campaign: gathering.name.clone(), placed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::intake::Intake;
    use crate::journal::store::number_index::key_of;

    fn message(destination: &str) -> NewMessage<'_> {
        NewMessage {
            line: 2,
            destination,
            number: key_of(destination),
            source: Some("Pump"),
            text: "stopped",
            encoding: 0,
            parts: 1,
            fields: None,
            typed: None,
            suppressed: false,
        }
    }

    #[test]
    fn what_comes_one_by_one_gathers_beside_what_is_imported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let options = CampaignOptions::default();
        let to = ["447700900001", "447700900002"];
        let add = |to: &[&str], id: Option<&str>| {
            let messages: Vec<_> = to.iter().map(|to| message(to)).collect();
            gather(&path, "alerts", &options, &messages, id).unwrap()
        };
        let first = add(&to, Some("pump"));
        assert_eq!((first.campaign.as_str(), first.placed.len()), ("alerts", 2));
        // What is imported meanwhile lies behind its room.
        Intake::begin(&path, "other", "", &options).unwrap().finish("").unwrap();
        let again = add(&to, Some("pump"));
        assert!(again.placed.iter().all(|placed| placed.is_known));
        assert_eq!(again.placed[1].message, first.placed[1].message);
        // Another name, or none, is another message.
        let more = add(&to[..1], Some("valve"));
        assert_eq!((more.id, more.placed[0].is_known), (first.id, false));
        assert_eq!(add(&to[..1], None).placed[0].message, more.placed[0].message + 1);
        let other = CampaignOptions { flash: true, ..CampaignOptions::default() };
        assert_eq!(gather(&path, "alerts", &other, &[message(to[0])], None).unwrap().campaign, "alerts (2)");
        let connection = open_or_create(&path).unwrap();
        let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("SELECT messages * 100 + queued FROM campaign_count WHERE campaign_id = 1"), 404);
        assert_eq!(
            one(
                "SELECT count(DISTINCT line) FROM message m JOIN campaign c ON m.id BETWEEN c.first_id AND c.end_id - 1
                         WHERE c.id = 1"
            ),
            4
        );
        let overlap =
            "SELECT count(*) FROM campaign a JOIN campaign b ON a.id < b.id AND a.first_id + a.room > b.first_id";
        assert_eq!(one(overlap), 0);
    }
}
