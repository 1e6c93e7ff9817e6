//! A message that was received, decoded: what the control, the library and a ledger for people show of it.
use serde::Serialize;

use super::checks::{Part, concat_of, part_of, submit_of};
use crate::message::text::{DefaultAlphabet, decode_with_header};
use crate::wire::values::esm_class;
use crate::wire::{Pdu, Sm, Tag, Tlvs, decode};
use crate::words::escape::hex;
use crate::words::{BadValue, bad};

/// A message that a client has sent, whether it was accepted or not, with every field and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// Its number, from 1, in the order in which messages came.
    pub id: u64,
    /// When it came: `2026-11-23T09:15:00.123456Z`.
    pub time: String,
    /// The number of its session.
    pub session: u64,
    /// The account.
    pub system_id: String,
    /// Where the client connected from.
    pub peer: String,
    /// The version of the bind: `3.3`, `3.4` or `5.0`.
    pub version: String,
    /// submit_sm, data_sm or submit_multi.
    pub command: String,
    /// Of the request.
    pub sequence_number: u32,
    /// The command_status that it is answered with.
    pub status: u32,
    /// Its name, such as `ESME_ROK`.
    pub status_name: String,
    /// Of a message that is refused: the field, or the rule, limit or fault, for which it is.
    pub refused_for: Option<String>,
    /// The message_id that its answer has; none where it is refused.
    pub message_id: Option<String>,
    /// `refused`, `enroute` until its time has come, then `delivered`, `undelivered`, `expired`, `rejected`, `deleted`, `accepted`
    /// or `unknown`.
    pub state: String,
    /// Its receipt.
    pub receipt: Receipt,
    /// Every field of it.
    #[serde(flatten)]
    pub fields: Fields,
    /// With the last part of a long message: the whole text.
    pub joined: Option<String>,
}

/// How far a receipt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// None was asked for, or none is to be sent.
    #[default]
    None,
    /// It waits for its time, or for a session.
    Waiting,
    /// It was sent and is not answered.
    Sent,
    /// It was answered with success.
    Answered,
    /// It was answered with an error.
    Refused,
}

impl std::str::FromStr for Receipt {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        Ok(match text {
            "none" => Receipt::None,
            "waiting" => Receipt::Waiting,
            "sent" => Receipt::Sent,
            "answered" => Receipt::Answered,
            "refused" => Receipt::Refused,
            _ => return Err(bad!("{text:?} is none of none, waiting, sent, answered, refused")),
        })
    }
}

/// The fields of a submit_sm, data_sm (with what it has not as 0) or one destination of a submit_multi.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fields {
    /// The text, as a handset shows it.
    pub text: String,
    /// source_addr. What is not ASCII in it is the Latin-1 character of its number; so in all texts but `text`.
    pub source: String,
    /// source_addr_ton.
    pub source_ton: u8,
    /// source_addr_npi.
    pub source_npi: u8,
    /// destination_addr.
    pub destination: String,
    /// dest_addr_ton.
    pub dest_ton: u8,
    /// dest_addr_npi.
    pub dest_npi: u8,
    /// service_type.
    pub service_type: String,
    /// esm_class.
    pub esm_class: u8,
    /// protocol_id.
    pub protocol_id: u8,
    /// priority_flag.
    pub priority_flag: u8,
    /// schedule_delivery_time.
    pub schedule_delivery_time: String,
    /// validity_period.
    pub validity_period: String,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// replace_if_present_flag.
    pub replace_if_present: u8,
    /// data_coding.
    pub data_coding: u8,
    /// sm_default_msg_id.
    pub sm_default_msg_id: u8,
    /// short_message in hexadecimal, with its header; message_payload where that was used.
    pub short_message: String,
    /// Of a part of a long message: the reference.
    pub reference: Option<u16>,
    /// Of a part of a long message: how many there are.
    pub total: Option<u8>,
    /// Of a part of a long message: which, from 1.
    pub part: Option<u8>,
    /// How a long text travels: `udh8`, `udh16`, `sar` or `payload`.
    pub concat: Option<String>,
    /// The optional parameters, in their order.
    pub tlvs: Vec<Tlv>,
}

/// An optional parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tlv {
    /// `0x0204`.
    pub tag: String,
    /// Its name in the specification, if it has one.
    pub name: Option<&'static str>,
    /// Its value in hexadecimal.
    pub value: String,
}

impl Fields {
    /// Those of a frame that was decoded before. What cannot be decoded has none.
    pub(super) fn of_frame(frame: &[u8]) -> Fields {
        match decode(frame) {
            Ok((_, Pdu::SubmitSm(sm))) => Fields::of(&sm),
            Ok((_, Pdu::DataSm(data))) => Fields::of(&submit_of(&data)),
            _ => Fields::default(),
        }
    }

    /// Those of a message.
    pub(super) fn of(sm: &Sm<'_>) -> Fields {
        let part: Option<Part> = part_of(sm);
        Fields {
            text: text_of(sm),
            source: latin1(sm.source.addr),
            source_ton: sm.source.ton,
            source_npi: sm.source.npi,
            destination: latin1(sm.destination.addr),
            dest_ton: sm.destination.ton,
            dest_npi: sm.destination.npi,
            service_type: latin1(sm.service_type),
            esm_class: sm.esm_class,
            protocol_id: sm.protocol_id,
            priority_flag: sm.priority_flag,
            schedule_delivery_time: latin1(sm.schedule_delivery_time),
            validity_period: latin1(sm.validity_period),
            registered_delivery: sm.registered_delivery,
            replace_if_present: sm.replace_if_present,
            data_coding: sm.data_coding,
            sm_default_msg_id: sm.sm_default_msg_id,
            short_message: hex(sm.text()),
            reference: part.map(|part| part.reference),
            total: part.map(|part| part.total),
            part: part.map(|part| part.part),
            concat: concat_of(sm, part).map(str::to_owned),
            tlvs: tlvs_of(sm.tlvs),
        }
    }
}

/// A message's text, as a handset shows it.
pub(super) fn text_of(sm: &Sm<'_>) -> String {
    let has_header = esm_class::has_udh(sm.esm_class);
    decode_with_header(sm.data_coding, sm.text(), has_header, DefaultAlphabet::default()).1
}

fn tlvs_of(tlvs: Tlvs<'_>) -> Vec<Tlv> {
    let shown = |tlv: crate::wire::Tlv<'_>| Tlv {
        tag: format!("0x{:04X}", tlv.tag.0),
        name: Tag::name(tlv.tag),
        value: hex(tlv.value),
    };
    tlvs.iter().map(shown).collect()
}

/// Octets as the characters of their numbers.
pub(super) fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// A version as it is said.
pub(super) fn version_name(interface_version: u8) -> String {
    format!("{}.{}", interface_version >> 4, interface_version & 0xF)
}
