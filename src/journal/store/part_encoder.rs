//! Rows of table `message` as the PDUs that are sent.

use crate::journal::error::JournalError;
use crate::journal::model::campaign::{CampaignOptions, Receipts, Via};
use crate::journal::model::events::{Chunk, Item};
use crate::journal::model::key::Attempt;
use crate::journal::store::added_fields;
use crate::journal::store::counts::Counts;
use crate::message::address::{Destination, SENDER_LENGTH_MAX, Sender};
use crate::message::fields::{FieldError, Problem, SubmitFields};
use crate::message::text::{Concat, DefaultAlphabet, Encoder, Encoding, OctetsEncoder, PartHeader, Reference};
use crate::wire::tlv::{Tag, push_tlv};
use crate::wire::values::registered_delivery;
use crate::wire::{Address, CommandStatus, DataSm, EncodeError, Pdu, Sm, Tlvs};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row};

/// Different sets of row fields remembered.
const FIELDS_KNOWN_MAX: usize = 64;

/// A part that was tried before.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// The attempt that it will be.
    pub attempt: Attempt,
    /// Index of its campaign.
    pub campaign: u32,
    /// How many tries were refused for reasons other than throttling.
    pub refused: u8,
    /// The rest of the message went already, or may have, and without this part it would stay in pieces.
    pub completes: bool,
}

/// Encodes one part anew.
pub fn encode_again(
    connection: &Connection,
    counts: &Counts,
    again: Again,
    message: i64,
    chunk: &mut Chunk,
) -> Result<(), JournalError> {
    debug_assert!(counts.campaign(again.campaign).is_some());
    let defaults = CampaignDefaults::of_message(connection, message)?;
    let mut statement = connection
        .prepare_cached("SELECT id, destination, source, text, encoding, parts, fields FROM message WHERE id = ?1")?;
    let mut rows = statement.query([message])?;
    if let Some(row) = rows.next()? {
        PartEncoder::default().encode(row, again.campaign, &defaults, Some(again), chunk)?;
    }
    Ok(())
}

/// Why a message is not sent although it is its turn: which of its times has passed, in words.
pub fn what_passed(connection: &Connection, message: i64, now_ms: i64) -> Result<String, JournalError> {
    let own: Option<String> = connection
        .prepare_cached("SELECT fields FROM message WHERE id = ?1")?
        .query_row([message], |row| row.get(0))
        .optional()?
        .flatten();
    let own = own.and_then(|json| SubmitFields::from_json(&json).ok()).unwrap_or_default();
    let passed = own.passed(now_ms).or(CampaignDefaults::of_message(connection, message)?.fields.passed(now_ms));
    Ok(match passed {
        // Short, so that a table shows it whole.
        Some(FieldError { field, problem: Problem::Passed { moment, .. } }) => format!("too late: {field} {moment}"),
        _ => "not sent: its validity_period or schedule_delivery_time is no time".into(),
    })
}

/// What holds for every message of a campaign that does not say otherwise.
#[derive(Debug, Default)]
pub struct CampaignDefaults {
    source: String,
    fields: SubmitFields,
    registered_delivery: u8,
    concat: Concat,
    via: Via,
    alphabet: DefaultAlphabet,
    flash: bool,
}

impl CampaignDefaults {
    /// Of the campaign that a message belongs to.
    pub fn of_message(connection: &Connection, message: i64) -> Result<Self, JournalError> {
        let found: Option<(i64, String, String)> = connection
            .prepare_cached(
                "SELECT id, source, options FROM campaign WHERE first_id <= ?1 AND end_id > ?1 ORDER BY first_id DESC LIMIT 1",
            )?
            .query_row([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((campaign, source, options)) = found else { return Ok(Self::default()) };
        let inconsistent = |error: serde_json::Error| {
            JournalError::Inconsistent(format!("the options of message {message}'s campaign: {error}"))
        };
        let options: CampaignOptions = serde_json::from_str(&options).map_err(inconsistent)?;
        let (concat, via, alphabet, flash) = (options.concat, options.via, options.default_alphabet, options.flash);
        let mut fields: SubmitFields =
            options.fields.map(serde_json::from_value).transpose().map_err(inconsistent)?.unwrap_or_default();
        fields.overlay(&added_fields::of(connection, campaign)?);
        let registered_delivery = match options.receipts {
            Receipts::All => registered_delivery::ALWAYS,
            Receipts::Failures => registered_delivery::ON_FAILURE,
            Receipts::None => registered_delivery::NONE,
        };
        Ok(Self { source, fields, registered_delivery, concat, via, alphabet, flash })
    }
}

/// Buffers used again for every message.
#[derive(Debug, Default)]
pub struct PartEncoder {
    short_message: Vec<u8>,
    tlvs: Vec<u8>,
    own: HashMap<String, SubmitFields>,
}

impl PartEncoder {
    /// Appends the parts of a row (only the one that `again` names, if it does) to the chunk. Returns the number of the
    /// message after it.
    pub fn encode(
        &mut self,
        row: &Row<'_>,
        campaign: u32,
        defaults: &CampaignDefaults,
        again: Option<Again>,
        chunk: &mut Chunk,
    ) -> Result<i64, JournalError> {
        let Self { short_message, tlvs, own } = self;
        let message: i64 = row.get(0)?;
        let wrong = |what: &str| JournalError::Inconsistent(format!("message {message}: {what}"));
        let destination = row.get_ref(1)?.as_str().map_err(|_| wrong("its destination is no text"))?;
        let destination = Destination::parse(destination).map_err(|error| wrong(&error.to_string()))?;
        let source = row.get_ref(2)?.as_str_or_null().map_err(|_| wrong("its source is no text"))?;
        let source = Sender::parse_up_to(source.unwrap_or(&defaults.source), SENDER_LENGTH_MAX)
            .map_err(|error| wrong(&error.to_string()))?;
        let text = row.get_ref(3)?.as_str().map_err(|_| wrong("its text is no text"))?;
        let encoding = Encoding::from_stored(row.get(4)?).ok_or_else(|| wrong("its encoding is unknown"))?;
        let parts: u8 = row.get(5)?;
        let fields = match row.get_ref(6)?.as_str_or_null().map_err(|_| wrong("its fields are no text"))? {
            None => &defaults.fields,
            Some(json) => fields_of(own, json).map_err(|error| wrong(&error.to_string()))?,
        };
        tlvs.clear();
        let inherited = defaults.fields.tlvs.iter().filter(|(tag, _)| fields.tlvs.get(*tag).is_none());
        for (tag, value) in inherited.chain(fields.tlvs.iter()) {
            push_tlv(tlvs, Tag(tag), value).map_err(|error| wrong(&error.to_string()))?;
        }
        let has_reference = [fields, &defaults.fields].iter().any(|fields| fields.names_reference());
        let passes_at = fields.passes_at(&defaults.fields).unwrap_or(i64::MAX);
        let or = |own: Option<u8>, campaign: Option<u8>, default: u8| own.or(campaign).unwrap_or(default);
        let general = &defaults.fields;
        let (source_ton, source_npi) = source.ton_npi();
        let own_coding = if defaults.flash { encoding.flash_coding() } else { encoding.data_coding() };
        let data_coding = or(fields.data_coding, general.data_coding, own_coding);
        // A data_coding that was set by hand says itself what its octets are.
        let alphabet = if data_coding == 0 { defaults.alphabet } else { DefaultAlphabet::Gsm7 };
        let reference = Reference::of(defaults.concat, message);
        let mut encoder = match encoding {
            Encoding::Octets => {
                let encoder = OctetsEncoder::of_hex(fields.udh.as_deref(), text, reference);
                Parts::Octets(encoder.map_err(|error| wrong(&error.to_string()))?)
            }
            _ => {
                let encoder = Encoder::new(text, encoding, reference).map_err(|error| wrong(&error.to_string()))?;
                Parts::Text(encoder.with_alphabet(alphabet))
            }
        };
        let own_tlvs = tlvs.len();
        if encoder.total() != parts {
            return Err(wrong("its text does not make as many parts as were counted"));
        }
        for n in 0..parts {
            short_message.clear();
            let Some(header) = encoder.next_into(short_message) else { break };
            let part = message + i64::from(n);
            if again.is_some_and(|again| again.attempt.part() != part) {
                continue;
            }
            tlvs.truncate(own_tlvs);
            let text = carry(&header, defaults.via, short_message, tlvs).map_err(|error| wrong(&error.to_string()))?;
            let sm = Sm {
                service_type: text_field(&fields.service_type, &general.service_type),
                source: Address::new(
                    or(fields.source_addr_ton, general.source_addr_ton, source_ton),
                    or(fields.source_addr_npi, general.source_addr_npi, source_npi),
                    source.text.as_bytes(),
                ),
                destination: Address::new(
                    or(fields.dest_addr_ton, general.dest_addr_ton, crate::message::address::TON_INTERNATIONAL),
                    or(fields.dest_addr_npi, general.dest_addr_npi, crate::message::address::NPI_ISDN),
                    destination.digits().as_bytes(),
                ),
                esm_class: or(fields.esm_class, general.esm_class, 0) | header.esm_class,
                protocol_id: or(fields.protocol_id, general.protocol_id, 0),
                priority_flag: or(fields.priority_flag, general.priority_flag, 0),
                schedule_delivery_time: text_field(&fields.schedule_delivery_time, &general.schedule_delivery_time),
                validity_period: text_field(&fields.validity_period, &general.validity_period),
                registered_delivery: or(
                    fields.registered_delivery,
                    general.registered_delivery,
                    defaults.registered_delivery,
                ),
                replace_if_present: or(fields.replace_if_present_flag, general.replace_if_present_flag, 0),
                data_coding,
                sm_default_msg_id: or(fields.sm_default_msg_id, general.sm_default_msg_id, 0),
                short_message: text,
                tlvs: Tlvs(tlvs),
            };
            let start = chunk.octets.len() as u32;
            let pdu = match defaults.via {
                Via::SubmitSm => Pdu::SubmitSm(sm),
                Via::DataSm => Pdu::DataSm(data_sm_of(&sm)),
            };
            crate::wire::encode(&pdu, 0, CommandStatus::OK, &mut chunk.octets)
                .map_err(|error| wrong(&error.to_string()))?;
            chunk.items.push(Item {
                attempt: again.map_or(Attempt::new(part, 0), |again| again.attempt),
                message,
                destination: destination.same_key(),
                start,
                end: chunk.octets.len() as u32,
                campaign,
                part: n,
                parts,
                sms: encoder.sms_of_a_part(),
                refused: again.map_or(0, |again| again.refused),
                completes: again.is_some_and(|again| again.completes),
                has_reference,
                has_tlvs: !tlvs.is_empty(),
                passes_at,
            });
        }
        Ok(message + i64::from(parts))
    }
}

/// The parts of a message, one after the other.
enum Parts<'a> {
    Text(Encoder<'a>),
    Octets(OctetsEncoder),
}

impl Parts<'_> {
    fn total(&self) -> u8 {
        match self {
            Parts::Text(encoder) => encoder.total(),
            Parts::Octets(encoder) => encoder.total(),
        }
    }

    fn sms_of_a_part(&self) -> u8 {
        match self {
            Parts::Text(encoder) => encoder.sms_of_a_part(),
            Parts::Octets(encoder) => encoder.sms_of_a_part(),
        }
    }

    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<PartHeader> {
        match self {
            Parts::Text(encoder) => encoder.next_into(out),
            Parts::Octets(encoder) => encoder.next_into(out),
        }
    }
}

/// Puts into `tlvs` what of a part travels there, and returns what is left for short_message.
fn carry<'a>(header: &PartHeader, via: Via, text: &'a [u8], tlvs: &mut Vec<u8>) -> Result<&'a [u8], EncodeError> {
    if let Some(reference) = header.sar {
        push_tlv(tlvs, Tag::SAR_MSG_REF_NUM, &reference.to_be_bytes())?;
        push_tlv(tlvs, Tag::SAR_TOTAL_SEGMENTS, &[header.total])?;
        push_tlv(tlvs, Tag::SAR_SEGMENT_SEQNUM, &[header.number])?;
    }
    if header.whole || via == Via::DataSm {
        push_tlv(tlvs, Tag::MESSAGE_PAYLOAD, text)?;
        return Ok(&[]);
    }
    Ok(text)
}

/// The same message as a data_sm. The import refuses fields that it does not have.
fn data_sm_of<'a>(sm: &Sm<'a>) -> DataSm<'a> {
    DataSm {
        service_type: sm.service_type,
        source: sm.source,
        destination: sm.destination,
        esm_class: sm.esm_class,
        registered_delivery: sm.registered_delivery,
        data_coding: sm.data_coding,
        tlvs: sm.tlvs,
    }
}

/// The fields of a row, parsed once for rows with the same.
fn fields_of<'a>(
    known: &'a mut HashMap<String, SubmitFields>,
    json: &str,
) -> Result<&'a SubmitFields, serde_json::Error> {
    if !known.contains_key(json) {
        if known.len() >= FIELDS_KNOWN_MAX {
            known.clear();
        }
        known.insert(json.to_owned(), SubmitFields::from_json(json)?);
    }
    Ok(&known[json])
}

fn text_field<'a>(own: &'a Option<String>, campaign: &'a Option<String>) -> &'a [u8] {
    own.as_deref().or(campaign.as_deref()).unwrap_or_default().as_bytes()
}
