//! The keys of the journal's hashes of message ids: a hash means the same in every run, and nobody outside can make ids that
//! collide.

use crate::journal::error::JournalError;
use crate::journal::store::notes::note;
use rusqlite::Connection;

/// The keys of the journal's hashes of ids; made where there are none yet.
pub fn hash_keys(connection: &Connection) -> Result<(u64, u64), JournalError> {
    if let Some(keys) = hash_keys_so_far(connection)? {
        return Ok(keys);
    }
    let fresh = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('id_keys', ?1)", [fresh])?;
    Ok(hash_keys_so_far(connection)?.unwrap_or_default())
}

/// As [`hash_keys`]; `None`: there are none yet.
pub fn hash_keys_so_far(connection: &Connection) -> Result<Option<(u64, u64)>, JournalError> {
    let Some(keys) = note(connection, "id_keys")? else { return Ok(None) };
    let half = |range| keys.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match (half(0..16), half(16..32)) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        _ => Err(JournalError::Inconsistent("the keys of its message ids cannot be read".into())),
    }
}
