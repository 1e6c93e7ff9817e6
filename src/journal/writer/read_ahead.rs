//! Reads queued messages ahead of their claims and encodes them, on a thread and a read-only connection of its own, so
//! that the journal thread has nothing to do for a claim but to write it. Messages never change once their campaign is
//! whole, so what was read ahead stays right; what must not go any more is left out when it is claimed.

use crate::journal::error::JournalError;
use crate::journal::model::campaign::{CampaignOptions, Receipts, Via};
use crate::journal::model::events::{Chunk, Item};
use crate::journal::model::key::Attempt;
use crate::journal::open::open_read_only;
use crate::journal::store::added_fields;
use crate::journal::store::counts::Books;
use crate::journal::writer::retry_queue::Waiting;
use crate::message::address::{Destination, SENDER_LENGTH_MAX, Sender};
use crate::message::fields::{FieldError, Problem, SubmitFields};
use crate::message::text::{Concat, DefaultAlphabet, Encoder, Encoding, PartHeader, Reference};
use crate::wire::tlv::{Tag, push_tlv};
use crate::wire::values::registered_delivery;
use crate::wire::{Address, CommandStatus, DataSm, EncodeError, Pdu, Sm, Tlvs};
use crossbeam_channel::{Receiver, Sender as ChannelSender, bounded};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Messages read in one go.
const CHUNK_MESSAGES: i64 = 1_024;
/// Different sets of row fields remembered.
const FIELDS_KNOWN_MAX: usize = 64;
/// Chunks that wait to be claimed.
const CHUNKS_AHEAD: usize = 4;

/// The messages of one campaign that are still to be claimed for the first time: `from..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedRange {
    /// Index of the campaign.
    pub campaign: u32,
    /// The first message never claimed.
    pub from: i64,
    /// Messages from this one on are not sent in this run.
    pub limit_end: i64,
}

/// Where each active campaign goes on, and where it stops when only its first `limit` messages are to go.
pub fn ranges(
    connection: &Connection,
    books: &Books,
    active: &[u32],
    limit: Option<u64>,
) -> Result<Vec<FeedRange>, JournalError> {
    let mut ranges = Vec::new();
    for &campaign in active {
        let Some(book) = books.campaign(campaign).filter(|book| !book.cancelled) else { continue };
        let claimed: Option<i64> = connection
            .query_row(
                "SELECT first_part + parts FROM claim WHERE try = 0 AND first_part >= ?1 AND first_part < ?2
                  ORDER BY first_part DESC LIMIT 1",
                [book.first_id, book.end_id],
                |row| row.get(0),
            )
            .optional()?;
        let limit_end = match limit.and_then(|limit| i64::try_from(limit).ok()) {
            None => book.end_id,
            Some(limit) => connection
                .query_row(
                    "SELECT id FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3",
                    [book.first_id, book.end_id, limit],
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(book.end_id),
        };
        ranges.push(FeedRange { campaign, from: claimed.unwrap_or(book.first_id), limit_end });
    }
    Ok(ranges)
}

/// The thread that reads ahead.
#[derive(Debug)]
pub struct Feeder {
    chunks: Receiver<Result<Chunk, JournalError>>,
    through: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Starts reading `ranges`, in order.
    pub fn spawn(path: &Path, ranges: Vec<FeedRange>) -> Result<Self, JournalError> {
        let (sender, chunks) = bounded(CHUNKS_AHEAD);
        let through = Arc::new(AtomicBool::new(false));
        let (journal, end) = (path.to_owned(), Arc::clone(&through));
        let thread = std::thread::Builder::new()
            .name("feeder".into())
            .spawn(move || {
                if let Err(error) = feed(&journal, &ranges, &sender) {
                    let _ = sender.send(Err(error.at(&journal)));
                }
                end.store(true, Ordering::Release);
            })
            .map_err(|error| JournalError::Io(path.into(), error))?;
        Ok(Self { chunks, through, thread: Some(thread) })
    }

    /// What was read; disconnected when all was.
    pub fn chunks(&self) -> &Receiver<Result<Chunk, JournalError>> {
        &self.chunks
    }

    /// Whether all was read and taken.
    pub fn is_through(&self) -> bool {
        self.through.load(Ordering::Acquire) && self.chunks.is_empty()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // The thread ends at its next chunk, which nobody takes any more.
        self.chunks = crossbeam_channel::never();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn feed(
    path: &Path,
    ranges: &[FeedRange],
    chunks: &ChannelSender<Result<Chunk, JournalError>>,
) -> Result<(), JournalError> {
    let connection = open_read_only(path)?;
    let mut encoder = PartEncoder::default();
    let mut statement = connection.prepare(
        "SELECT id, destination, source, text, encoding, parts, fields FROM message
          WHERE id >= ?1 AND id < ?2
            AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = message.id)
          ORDER BY id LIMIT ?3",
    )?;
    for range in ranges {
        let campaign = CampaignDefaults::of_message(&connection, range.from)?;
        let mut from = range.from;
        loop {
            let mut chunk = Chunk::default();
            let mut rows = statement.query([from, range.limit_end, CHUNK_MESSAGES])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                from = encoder.encode(row, range.campaign, &campaign, None, &mut chunk)?;
            }
            drop(rows);
            if !chunk.items.is_empty() && chunks.send(Ok(chunk)).is_err() {
                return Ok(());
            }
            if count < CHUNK_MESSAGES {
                break;
            }
        }
    }
    Ok(())
}

/// Encodes one part anew for the retry queue.
pub fn encode_again(
    connection: &Connection,
    books: &Books,
    waiting: &Waiting,
    message: i64,
    chunk: &mut Chunk,
) -> Result<(), JournalError> {
    debug_assert!(books.campaign(waiting.campaign).is_some());
    let defaults = CampaignDefaults::of_message(connection, message)?;
    let mut statement = connection
        .prepare_cached("SELECT id, destination, source, text, encoding, parts, fields FROM message WHERE id = ?1")?;
    let mut rows = statement.query([message])?;
    if let Some(row) = rows.next()? {
        PartEncoder::default().encode(row, waiting.campaign, &defaults, Some(waiting), chunk)?;
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
struct CampaignDefaults {
    source: String,
    fields: SubmitFields,
    registered_delivery: u8,
    concat: Concat,
    via: Via,
    alphabet: DefaultAlphabet,
}

impl CampaignDefaults {
    fn of_message(connection: &Connection, message: i64) -> Result<Self, JournalError> {
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
        let (concat, via, alphabet) = (options.concat, options.via, options.default_alphabet);
        let mut fields: SubmitFields =
            options.fields.map(serde_json::from_value).transpose().map_err(inconsistent)?.unwrap_or_default();
        fields.overlay(&added_fields::of(connection, campaign)?);
        let registered_delivery = match options.receipts {
            Receipts::All => registered_delivery::ALWAYS,
            Receipts::Failures => registered_delivery::ON_FAILURE,
            Receipts::None => registered_delivery::NONE,
        };
        Ok(Self { source, fields, registered_delivery, concat, via, alphabet })
    }
}

/// Buffers used again for every message.
#[derive(Default)]
struct PartEncoder {
    short_message: Vec<u8>,
    tlvs: Vec<u8>,
    own: HashMap<String, SubmitFields>,
}

impl PartEncoder {
    /// Appends the parts of a row (only the one that `waiting` names, if it does) to the chunk. Returns the number of the
    /// message after it.
    fn encode(
        &mut self,
        row: &Row<'_>,
        campaign: u32,
        defaults: &CampaignDefaults,
        waiting: Option<&Waiting>,
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
        let data_coding = or(fields.data_coding, general.data_coding, encoding.data_coding());
        // A data_coding that was set by hand says itself what its octets are.
        let alphabet = if data_coding == 0 { defaults.alphabet } else { DefaultAlphabet::Gsm7 };
        let mut encoder = Encoder::new(text, encoding, Reference::of(defaults.concat, message))
            .map_err(|error| wrong(&error.to_string()))?
            .with_alphabet(alphabet);
        let own_tlvs = tlvs.len();
        if encoder.total() != parts {
            return Err(wrong("its text does not make as many parts as were counted"));
        }
        for n in 0..parts {
            short_message.clear();
            let Some(header) = encoder.next_into(short_message) else { break };
            let part = message + i64::from(n);
            if waiting.is_some_and(|waiting| waiting.attempt.part() != part) {
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
                attempt: waiting.map_or(Attempt::new(part, 0), |waiting| waiting.attempt),
                message,
                destination: destination.same_key(),
                start,
                end: chunk.octets.len() as u32,
                campaign,
                part: n,
                parts,
                refused: waiting.map_or(0, |waiting| waiting.refused),
                has_reference,
                passes_at,
            });
        }
        Ok(message + i64::from(parts))
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
