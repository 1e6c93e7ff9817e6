//! From whom to whom messages and receipts go.

use crate::address::{Destination, Sender};
use crate::fields::SubmitFields;
use crate::journal::JournalError;
use crate::wire::Tlvs;
use crate::wire::tlv::Tag;
use rusqlite::{Connection, OptionalExtension};

/// From whom to whom a message goes.
pub(super) struct Parties {
    pub(super) message: i64,
    pub(super) parts: u8,
    pub(super) number: u64,
    pub(super) source: String,
    pub(super) fields: Option<String>,
    pub(super) options: String,
}

impl Parties {
    pub(super) fn of(connection: &Connection, part: i64) -> Result<Option<Self>, JournalError> {
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
    pub(super) fn has_own_reference(&self) -> bool {
        let names_it = |fields: &SubmitFields| fields.tlvs.get(Tag::USER_MESSAGE_REFERENCE.0).is_some();
        let campaign = serde_json::from_str::<crate::journal::campaign::CampaignOptions>(&self.options)
            .ok()
            .and_then(|options| options.fields)
            .and_then(|fields| serde_json::from_value::<SubmitFields>(fields).ok());
        let own = self.fields.as_deref().and_then(|fields| SubmitFields::from_json(fields).ok());
        own.as_ref().is_some_and(names_it) || campaign.as_ref().is_some_and(names_it)
    }
}

/// What a stored receipt says besides its id.
pub(in crate::journal) struct Told {
    pub(super) received_at: i64,
    pub(super) addresses: [String; 2],
    pub(super) reference: Option<u16>,
}

impl Told {
    pub(in crate::journal) fn read(connection: &Connection, receipt: i64) -> Result<Self, JournalError> {
        Ok(connection
            .prepare_cached("SELECT received_at, source, destination, tlvs FROM receipt WHERE id = ?1")?
            .query_row([receipt], |row| {
                let text = |column| -> Result<String, rusqlite::Error> {
                    Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
                };
                let tlvs: Option<Vec<u8>> = row.get(3)?;
                let reference = tlvs.and_then(|octets| Tlvs(&octets).get_u16(Tag::USER_MESSAGE_REFERENCE));
                Ok(Self { received_at: row.get(0)?, addresses: [text(1)?, text(2)?], reference })
            })?)
    }

    /// Whether one address is the message's destination (as `numbers` say) and the other its sender.
    pub(super) fn fits(&self, numbers: [u64; 2], parties: &Parties) -> bool {
        (0..2).any(|n| numbers[n] == parties.number && same_sender(&parties.source, &self.addresses[1 - n]))
    }
}

/// Whether an address of a receipt is the sender of a message; a message without one has the SMSC's own.
fn same_sender(source: &str, address: &str) -> bool {
    let (source, address) = (Sender::canonical(source), address.trim().trim_start_matches('+'));
    source.is_empty() || source.trim_start_matches('+').eq_ignore_ascii_case(address)
}
