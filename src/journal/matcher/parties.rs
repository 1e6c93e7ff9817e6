//! To whom messages go.

use crate::journal::error::JournalError;
use crate::message::address::Destination;
use crate::message::fields::SubmitFields;
use rusqlite::Connection;

/// To whom a message goes.
pub(in crate::journal) struct Parties {
    pub(in crate::journal) number: u64,
}

impl Parties {
    pub(in crate::journal) fn of(connection: &Connection, part: i64) -> Result<Option<Self>, JournalError> {
        let mut statement = connection
            .prepare_cached("SELECT destination, id + parts FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
        let mut rows = statement.query([part])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let destination = Destination::parse(row.get_ref(0)?.as_str().unwrap_or_default());
        let number = destination.map_or(0, |destination| destination.key());
        Ok((part < row.get(1)?).then_some(Self { number }))
    }
}

/// A message that may have been sent with a reference.
pub(crate) struct Referable {
    pub message: i64,
    pub parts: u8,
    pub number: u64,
    /// Its row's; `None`: the campaign's.
    pub source: Option<String>,
    /// The operator gave it a user_message_reference of its own.
    pub has_own_reference: bool,
}

impl Referable {
    /// The message of a part, if it goes to one of these numbers.
    pub(crate) fn to(connection: &Connection, part: i64, numbers: [u64; 2]) -> Result<Option<Self>, JournalError> {
        let mut statement = connection.prepare_cached(
            "SELECT destination, id, parts, source, fields FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1",
        )?;
        let mut rows = statement.query([part])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let destination = Destination::parse(row.get_ref(0)?.as_str().unwrap_or_default());
        let number = destination.map_or(0, |destination| destination.key());
        let (message, parts): (i64, u8) = (row.get(1)?, row.get(2)?);
        if !numbers.contains(&number) || part >= message + i64::from(parts) {
            return Ok(None);
        }
        let fields = row.get_ref(4)?.as_str_or_null().unwrap_or_default();
        let own = fields.and_then(|fields| SubmitFields::from_json(fields).ok());
        let has_own_reference = own.is_some_and(|own| own.names_reference());
        Ok(Some(Self { message, parts, number, source: row.get(3)?, has_own_reference }))
    }
}
