//! From whom to whom messages and receipts go.

use crate::address::Destination;
use crate::fields::SubmitFields;
use crate::journal::JournalError;
use crate::journal::campaign::CampaignOptions;
use crate::wire::tlv::Tag;
use rusqlite::{Connection, OptionalExtension};

/// From whom to whom a message goes.
pub(in crate::journal) struct Parties {
    pub(in crate::journal) message: i64,
    pub(in crate::journal) parts: u8,
    pub(in crate::journal) number: u64,
    pub(in crate::journal) source: String,
    pub(in crate::journal) fields: Option<String>,
    pub(in crate::journal) options: String,
}

impl Parties {
    pub(in crate::journal) fn of(connection: &Connection, part: i64) -> Result<Option<Self>, JournalError> {
        let found = connection
            .prepare_cached(
                "SELECT m.id, m.parts, m.destination, coalesce(m.source, c.source), m.fields, c.options
                   FROM (SELECT * FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1) m
                   JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                               ORDER BY d.first_id DESC LIMIT 1)",
            )?
            .query_row([part], |row| {
                let destination: String = row.get(2)?;
                Ok(Self {
                    message: row.get(0)?,
                    parts: row.get(1)?,
                    number: Destination::parse(&destination).map_or(0, |destination| destination.key()),
                    source: row.get(3)?,
                    fields: row.get(4)?,
                    options: row.get(5)?,
                })
            })
            .optional()?;
        Ok(found.filter(|parties| part < parties.message + i64::from(parties.parts)))
    }

    /// Whether the operator gave the message a user_message_reference of its own.
    pub(in crate::journal) fn has_own_reference(&self) -> Result<bool, JournalError> {
        let names_it = |fields: &SubmitFields| fields.tlvs.get(Tag::USER_MESSAGE_REFERENCE.0).is_some();
        let options = CampaignOptions::stored(&self.options, || format!("the campaign of message {}", self.message))?;
        let campaign = options.fields.and_then(|fields| serde_json::from_value::<SubmitFields>(fields).ok());
        let own = self.fields.as_deref().and_then(|fields| SubmitFields::from_json(fields).ok());
        Ok(own.as_ref().is_some_and(names_it) || campaign.as_ref().is_some_and(names_it))
    }
}

/// The number that the message of a part goes to, as [`Destination::key`].
pub(super) fn number_of(connection: &Connection, part: i64) -> Result<Option<u64>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT destination, id + parts FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
    let mut rows = statement.query([part])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    if part >= row.get(1)? {
        return Ok(None);
    }
    let destination = Destination::parse(row.get_ref(0)?.as_str().unwrap_or_default());
    Ok(Some(destination.map_or(0, |destination| destination.key())))
}
