//! Messages from handsets: what is asked for, its parts, and what became of it.
//!
//! A message waits in its account's queue like a receipt, or in the queue of the one session that it is for. It is sent again
//! when it is not answered, when the answer says "later", and when its session ends, as SMSCs do; only an answer ends it.

mod file;
mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::delay::Delay;
use crate::message::text::Concat;
use crate::wire::{Address, CommandStatus, DataSm, EncodeError, Pdu, Sm, Tlvs, encode};
use crate::words::{BadValue, bad};

pub use file::{InboundError, InboundFile};
pub(super) use parts::Prepared;

/// How many messages one request may ask for, all lists and `count` together, and how many deliver_sm may come of it.
pub(super) const COUNT_MAX: u32 = 100_000;
pub(super) const REQUESTS_MAX: u64 = 1_000_000;
/// Messages a second, at most.
pub(super) const RATE_MAX: f64 = 1e6;

/// A message from a handset, as it is asked for. In JSON its fields are keys; in a CSV file they are columns, `tlv:0x1401` for
/// a TLV.
///
/// ```
/// use smppost::smsc::Inbound;
/// let inbound = Inbound { from: "447700900001".into(), to: "12345".into(), text: "STOP".into(), ..Inbound::default() };
/// # let _ = inbound;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// The handset's number.
    pub from: String,
    /// The number that it was sent to.
    pub to: String,
    /// The text.
    pub text: String,
    /// Octets instead of a text, in hexadecimal. `data_coding` says what they are; without it they are binary (4).
    pub hex: Option<String>,
    /// How the text is encoded: `auto` (GSM 7-bit where every character fits, else UCS2), `gsm7`, `gsm7-packed`, `ascii`,
    /// `latin1`, `ucs2`, `cyrillic`, `hebrew`, `jis`, `korean`. Defaults to `auto`.
    pub alphabet: Option<String>,
    /// How a text too long for one SMS travels: `udh8`, `udh16`, `sar` or `payload`. Defaults to `udh8`.
    pub concat: Option<Concat>,
    /// The reference of its parts. Defaults to one after the other.
    pub reference: Option<u16>,
    /// Instead of the one that goes with the alphabet.
    pub data_coding: Option<u8>,
    /// Bits beside those that its parts need.
    pub esm_class: Option<u8>,
    /// Defaults to 0.
    pub protocol_id: Option<u8>,
    /// Defaults to 0.
    pub priority_flag: Option<u8>,
    /// Defaults to 0.
    pub registered_delivery: Option<u8>,
    /// Defaults to none.
    pub service_type: Option<String>,
    /// Defaults to 1, and to 5 for a sender that is no number.
    pub source_ton: Option<u8>,
    /// Defaults to 1, and to 0 for a sender that is no number.
    pub source_npi: Option<u8>,
    /// Defaults to 1, and to 0 for a number of less than 7 digits.
    pub dest_ton: Option<u8>,
    /// Defaults to 1.
    pub dest_npi: Option<u8>,
    /// Optional parameters by number (`0x1401`) or name: hexadecimal behind `0x`, else text as it is.
    pub tlvs: BTreeMap<String, String>,
    /// Whether it goes as data_sm. Defaults to false: deliver_sm.
    pub data_sm: bool,
    /// The account whose sessions get it. Defaults to the account that first has a session which receives.
    pub system_id: Option<String>,
    /// Which of the account's sessions: `any` that has room, `all` (a copy each), `in-turn`, or the number of one. Defaults to
    /// `any`.
    pub sessions: Option<To>,
    /// Waits that long before it is sent.
    #[serde(deserialize_with = "super::behaviour::text")]
    pub delay: Option<Delay>,
    /// So many of it. Defaults to 1.
    pub count: Option<u32>,
    /// Messages a second where there are several. Defaults to all at once.
    pub rate: Option<f64>,
}

/// The sessions that get a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum To {
    /// Whichever has room first.
    #[default]
    Any,
    /// Each gets a copy.
    All,
    /// One after the other, message by message.
    InTurn,
    /// The session of this number.
    Session(u64),
}

impl std::str::FromStr for To {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "any" => Ok(To::Any),
            "all" => Ok(To::All),
            "in-turn" => Ok(To::InTurn),
            _ => text
                .parse()
                .map(To::Session)
                .map_err(|_| bad!("{text:?} is none of any, all, in-turn, or a session's number")),
        }
    }
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u64),
            Word(String),
        }
        match Given::deserialize(deserializer)? {
            Given::Number(number) => Ok(To::Session(number)),
            Given::Word(word) => word.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// What became of a message from a handset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InboundMessage {
    /// Its number, from 1.
    pub id: u64,
    /// The handset's number.
    pub from: String,
    /// The number that it was sent to.
    pub to: String,
    /// Its text; of octets, what a handset would show.
    pub text: String,
    /// The account whose sessions get it, once that is known.
    pub system_id: Option<String>,
    /// Its parts, each a deliver_sm or data_sm.
    pub parts: u8,
    /// Requests sent for it so far.
    pub sent: u32,
    /// Parts that were answered with success.
    pub answered: u32,
    /// `queued`, `sent`, `answered` (all parts, with success), `refused` (a part, for good).
    pub state: InboundState,
    /// The latest status other than success that it was answered with.
    pub status: Option<u32>,
}

/// How far a message from a handset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InboundState {
    /// Nothing was sent.
    Queued,
    /// Some of it was sent, and not all is answered.
    Sent,
    /// All parts were answered with success.
    Answered,
    /// A part was answered with an error that is for good.
    Refused,
}

/// A message that is under way. What changes of it is behind a lock of its own.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) id: u64,
    from: Arc<str>,
    to: Arc<str>,
    text: Arc<str>,
    parts: u8,
    /// It is for one session alone, and stays with it.
    is_for_one: AtomicBool,
    system_id: Mutex<Option<String>>,
    sent: AtomicU32,
    answered: AtomicU32,
    refused: AtomicU32,
    /// The latest bad status, 0 for none.
    status: AtomicU32,
}

impl Underway {
    /// How far it is.
    pub(super) fn state(&self) -> InboundState {
        let [sent, answered, refused] =
            [&self.sent, &self.answered, &self.refused].map(|count| count.load(Ordering::Relaxed));
        match () {
            () if refused > 0 => InboundState::Refused,
            () if answered >= u32::from(self.parts) => InboundState::Answered,
            () if sent > 0 => InboundState::Sent,
            () => InboundState::Queued,
        }
    }

    /// Whether it is behind the one of a number, and in this state.
    pub(super) fn is(&self, after: Option<u64>, state: Option<InboundState>) -> bool {
        after.is_none_or(|after| self.id > after) && state.is_none_or(|state| self.state() == state)
    }

    /// What became of it so far.
    pub(super) fn shown(&self) -> InboundMessage {
        let [sent, answered, status] =
            [&self.sent, &self.answered, &self.status].map(|count| count.load(Ordering::Relaxed));
        let state = self.state();
        let system_id = self.system_id.lock().clone();
        let (from, to, text) = (self.from.to_string(), self.to.to_string(), self.text.to_string());
        let (id, parts, status) = (self.id, self.parts, Some(status).filter(|status| *status != 0));
        InboundMessage { id, from, to, text, system_id, parts, sent, answered, state, status }
    }

    /// Notes that it is for one session and no other, as long as that is there.
    pub(super) fn stays(&self) {
        self.is_for_one.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_for_one(&self) -> bool {
        self.is_for_one.load(Ordering::Relaxed)
    }

    /// Notes whose it is.
    pub(super) fn belongs_to(&self, system_id: &[u8]) {
        *self.system_id.lock() = Some(String::from_utf8_lossy(system_id).into_owned());
    }
}

/// One part of a message: one request.
#[derive(Debug)]
pub(super) struct InboundPart {
    pub(super) message: Arc<Underway>,
    /// From 1.
    pub(super) number: u8,
    pub(super) reference: Option<u16>,
    pub(super) source: OwnedAddress,
    pub(super) destination: OwnedAddress,
    pub(super) data_coding: u8,
    pub(super) esm_class: u8,
    /// short_message, or what stands in message_payload among the TLVs.
    pub(super) octets: Vec<u8>,
    service_type: Vec<u8>,
    protocol_id: u8,
    priority_flag: u8,
    registered_delivery: u8,
    in_payload: bool,
    /// What says which part it is stands in TLVs.
    by_sar: bool,
    tlvs: Vec<u8>,
    as_data_sm: bool,
}

/// An address that is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnedAddress {
    pub(super) ton: u8,
    pub(super) npi: u8,
    pub(super) addr: Vec<u8>,
}

impl OwnedAddress {
    fn get(&self) -> Address<'_> {
        Address::new(self.ton, self.npi, &self.addr)
    }
}

impl InboundPart {
    /// Appends its request. In a session of version 3.3, which has no TLVs, those that matter little are left out.
    ///
    /// # Errors
    /// What in it cannot be sent; nothing is appended then.
    pub(super) fn write(&self, sequence_number: u32, v33: bool, out: &mut Vec<u8>) -> Result<(), BadValue> {
        if v33 && (self.in_payload || self.by_sar || self.as_data_sm) {
            return Err("version 3.3 has no TLVs and no data_sm".into());
        }
        let start = out.len();
        let tlvs = if v33 { Tlvs::NONE } else { Tlvs(&self.tlvs) };
        let (source, destination) = (self.source.get(), self.destination.get());
        let pdu = if self.as_data_sm {
            Pdu::DataSm(DataSm {
                service_type: &self.service_type,
                source,
                destination,
                esm_class: self.esm_class,
                registered_delivery: self.registered_delivery,
                data_coding: self.data_coding,
                tlvs,
            })
        } else {
            Pdu::DeliverSm(Sm {
                service_type: &self.service_type,
                source,
                destination,
                esm_class: self.esm_class,
                protocol_id: self.protocol_id,
                priority_flag: self.priority_flag,
                registered_delivery: self.registered_delivery,
                data_coding: self.data_coding,
                short_message: if self.in_payload { &[] } else { &self.octets },
                tlvs,
                ..Sm::default()
            })
        };
        encode(&pdu, sequence_number, CommandStatus::OK, out).map_err(|error: EncodeError| {
            out.truncate(start);
            error.to_string().into()
        })
    }

    /// Notes that it was sent.
    pub(super) fn note_sent(&self) {
        self.message.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes its answer, and says whether it is to be sent again.
    pub(super) fn note_answer(&self, status: u32, is_temporary: bool) -> bool {
        if status == 0 {
            self.message.answered.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.message.status.store(status, Ordering::Relaxed);
        if !is_temporary {
            self.message.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_temporary
    }

    /// Notes that it can never be sent.
    pub(super) fn give_up(&self) {
        self.message.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The parts of its message.
    pub(super) fn total(&self) -> u8 {
        self.message.parts
    }

    /// Its text alone, as a handset shows it.
    pub(super) fn text(&self) -> String {
        let has_header = self.esm_class & crate::wire::values::esm_class::UDHI != 0;
        let default = crate::message::text::DefaultAlphabet::default();
        crate::message::text::decode_with_header(self.data_coding, &self.octets, has_header, default).1
    }
}

/// A number, where it is one.
fn is_number(address: &str) -> bool {
    !address.is_empty() && address.bytes().all(|octet| octet.is_ascii_digit())
}
