//! Intents, in the order in which they were made: serials and sequence numbers.

use super::Check;
use crate::journal::error::JournalError;
use crate::journal::model::sequence::FIRST;
use crate::wire::SEQUENCE_NUMBER_MAX;
use hashbrown::HashMap;
use rusqlite::Connection;

/// Intents read in one snapshot.
const CHUNK: i64 = 50_000;
/// Numbers start anew only when fewer than these are left: those in between were held back for late answers.
const WRAP: i64 = 0x1_0000;

/// Checks all claims but for what they say of messages.
pub(super) fn check(connection: &Connection) -> Result<[Check; 2], JournalError> {
    let mut serials = Check::new("intents: serials ascend, within their session's");
    let mut numbers = Check::new("intents: no sequence number twice in a session");
    let first_serials = first_serials(connection)?;
    let mut ends: HashMap<i64, i64> = HashMap::new();
    let mut end = i64::MIN;
    let mut statement = connection.prepare(
        "SELECT first_serial, parts, session_id, first_sequence_number FROM claim WHERE first_serial > ?1
          ORDER BY first_serial LIMIT ?2",
    )?;
    let mut last = i64::MIN;
    loop {
        let mut rows = statement.query([last, CHUNK])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let (serial, parts, session, number): (i64, i64, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            last = serial;
            let begun = first_serials.get(&session).is_some_and(|&first| serial >= first);
            serials.holds(begun && serial >= end, || {
                format!("the intent of serial {serial} (session {session}) begins before {end} or before its session")
            });
            end = end.max(serial + parts);
            let before = ends.insert(session, number + parts).unwrap_or(0);
            let wrapped = before > i64::from(SEQUENCE_NUMBER_MAX) + 1 - WRAP;
            let in_range = number >= i64::from(FIRST) && number + parts - 1 <= i64::from(SEQUENCE_NUMBER_MAX);
            numbers.holds(in_range && (number >= before || wrapped), || {
                format!("session {session}: {number} is given after {}", before - 1)
            });
        }
        if count < CHUNK {
            break;
        }
    }
    Ok([serials, numbers])
}

fn first_serials(connection: &Connection) -> Result<HashMap<i64, i64>, JournalError> {
    let mut statement = connection.prepare("SELECT id, first_serial FROM session")?;
    Ok(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}
