//! PDUs to octets, strictly: every limit of the specification holds, or nothing is written.
use std::fmt;

use super::header::{CommandId, HEADER_OCTETS, MAX_PDU_OCTETS};
use super::pdu::{
    Address, Bind, DataSm, Destination, Destinations, MessageId, Pdu, ReplaceSm, Sm, SubmitMulti, Unsuccess,
};
use super::status::CommandStatus;
use super::tlv::{Tag, Tlvs};
use super::values::esm_class;

/// The longest password that is sent, in octets without the NUL. The specification says 8, real accounts have more.
pub const PASSWORD_MAX_OCTETS: usize = 64;

/// The longest short_message that is sent, in octets. Longer texts go into message_payload.
pub const SHORT_MESSAGE_MAX_OCTETS: usize = 254;

/// Appends a PDU. `sequence_number` is not judged: an answer repeats what the peer sent.
///
/// An answer with an error status and no message_id (or system_id) has no body (v3.4 section 4.4.2), except that
/// deliver_sm_resp always has its one NUL. `message` fields that a PDU kind does not have are not looked at.
///
/// # Errors
/// A string over its limit or with a NUL in it, a time that is neither empty nor 16 octets, a short_message over 254
/// octets or beside a message_payload, TLVs that are not well-formed or are SAR beside a user data header, a PDU over
/// 70,000 octets. The buffer is then as it was.
pub fn encode(
    pdu: &Pdu<'_>,
    sequence_number: u32,
    command_status: CommandStatus,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&header(HEADER_OCTETS, pdu.command_id(), command_status, sequence_number));
    let outcome = body(pdu, command_status, out).and_then(|()| {
        let length = out.len() - start;
        if length > MAX_PDU_OCTETS {
            return Err(EncodeError::TooLong { field: "the PDU", length, most: MAX_PDU_OCTETS });
        }
        out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(())
    });
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

/// Appends the answer to a submit_sm. With an error status and an empty `message_id` it has no body.
///
/// # Errors
/// A message_id over 64 octets or with a NUL in it; the buffer is then as it was.
#[inline]
pub fn encode_submit_sm_resp(
    sequence_number: u32,
    command_status: CommandStatus,
    message_id: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    check_string("message_id", message_id, MESSAGE_ID)?;
    let id = CommandId::SUBMIT_SM_RESP;
    if command_status != CommandStatus::OK && message_id.is_empty() {
        out.extend_from_slice(&header(HEADER_OCTETS, id, command_status, sequence_number));
        return Ok(());
    }
    out.extend_from_slice(&header(HEADER_OCTETS + message_id.len() + 1, id, command_status, sequence_number));
    out.extend_from_slice(message_id);
    out.push(0);
    Ok(())
}

/// Appends the answer to a deliver_sm, 17 octets: its message_id is always empty (v3.4 section 4.6.2).
#[inline]
pub fn encode_deliver_sm_resp(sequence_number: u32, command_status: CommandStatus, out: &mut Vec<u8>) {
    out.extend_from_slice(&header(HEADER_OCTETS + 1, CommandId::DELIVER_SM_RESP, command_status, sequence_number));
    out.push(0);
}

/// Appends the answer to an inbound data_sm, 17 octets with an empty message_id.
#[inline]
pub fn encode_data_sm_resp(sequence_number: u32, command_status: CommandStatus, out: &mut Vec<u8>) {
    out.extend_from_slice(&header(HEADER_OCTETS + 1, CommandId::DATA_SM_RESP, command_status, sequence_number));
    out.push(0);
}

/// Appends an enquire_link.
#[inline]
pub fn encode_enquire_link(sequence_number: u32, out: &mut Vec<u8>) {
    encode_header_only(CommandId::ENQUIRE_LINK, CommandStatus::OK, sequence_number, out);
}

/// Appends the answer to an enquire_link.
#[inline]
pub fn encode_enquire_link_resp(sequence_number: u32, out: &mut Vec<u8>) {
    encode_header_only(CommandId::ENQUIRE_LINK_RESP, CommandStatus::OK, sequence_number, out);
}

/// Appends a generic_nack. `sequence_number` is that of the PDU, or 0 if it could not be read.
#[inline]
pub fn encode_generic_nack(sequence_number: u32, command_status: CommandStatus, out: &mut Vec<u8>) {
    encode_header_only(CommandId::GENERIC_NACK, command_status, sequence_number, out);
}

/// Appends a PDU that has no body: unbind and its answer, enquire_link, an error answer without a body.
#[inline]
pub fn encode_header_only(
    command_id: CommandId,
    command_status: CommandStatus,
    sequence_number: u32,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&header(HEADER_OCTETS, command_id, command_status, sequence_number));
}

/// Appends a TLV of two octets to the encoded PDU that begins at `start` and ends with `out`.
pub fn append_tlv_u16(out: &mut Vec<u8>, start: usize, tag: Tag, value: u16) {
    out.extend_from_slice(&tag.0.to_be_bytes());
    out.extend_from_slice(&[0, 2]);
    out.extend_from_slice(&value.to_be_bytes());
    let length = ((out.len() - start) as u32).to_be_bytes();
    if let Some(field) = out.get_mut(start..start + length.len()) {
        field.copy_from_slice(&length);
    }
}

/// Gives an encoded PDU another sequence number. `frame` starts with its header; anything shorter is left alone.
#[inline]
pub fn patch_sequence_number(frame: &mut [u8], sequence_number: u32) {
    if let Some(octets) = frame.get_mut(12..HEADER_OCTETS) {
        octets.copy_from_slice(&sequence_number.to_be_bytes());
    }
}

impl<'a> Destination<'a> {
    /// Appends this destination to the encoding that [`Destinations`] wraps.
    ///
    /// # Errors
    /// An address or a list name over 20 octets or with a NUL in it; nothing is appended then.
    pub fn push_to(self, octets: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Address(address) => {
                check_string("destination_addr", address.addr, ADDRESS)?;
                octets.push(1);
                put_address(address, octets);
            }
            Self::List(name) => {
                check_string("dl_name", name, ADDRESS)?;
                octets.push(2);
                put_string(name, octets);
            }
        }
        Ok(())
    }
}

impl<'a> Unsuccess<'a> {
    /// Appends this to the encoding that [`Unsuccesses`](super::pdu::Unsuccesses) wraps.
    ///
    /// # Errors
    /// An address over 20 octets or with a NUL in it; nothing is appended then.
    pub fn push_to(self, octets: &mut Vec<u8>) -> Result<(), EncodeError> {
        check_string("destination_addr", self.address.addr, ADDRESS)?;
        put_address(self.address, octets);
        octets.extend_from_slice(&self.error_status_code.to_be_bytes());
        Ok(())
    }
}

/// Why a PDU cannot be sent. Lengths are in octets, without the NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// A field is longer than the specification allows.
    TooLong {
        /// Which.
        field: &'static str,
        /// Its length.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// A C-octet string would end early.
    NulInString {
        /// Which.
        field: &'static str,
        /// Where in it.
        offset: usize,
    },
    /// A time is neither empty nor 16 octets.
    TimeLength {
        /// Which.
        field: &'static str,
        /// Its length.
        length: usize,
    },
    /// There is a short_message and a message_payload. Only one may carry the text.
    TwoTexts,
    /// The TLVs are cut short.
    DamagedTlvs,
    /// SAR TLVs and a user data header both say which part of a long message this is.
    SarBesideUdh,
    /// A list does not hold as many entries as its count says, or holds damaged ones.
    DamagedList {
        /// Which.
        field: &'static str,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { field, length, most } => {
                write!(f, "{field} has {length} octets, the limit is {most}")
            }
            Self::NulInString { field, offset } => write!(f, "{field} has a NUL at octet {offset}"),
            Self::TimeLength { field, length } => {
                write!(f, "{field} has {length} octets, a time has 16 (YYMMDDhhmmsstnnp) or none")
            }
            Self::TwoTexts => f.write_str("short_message must be empty beside the TLV message_payload"),
            Self::DamagedTlvs => f.write_str("the TLVs are not whole"),
            Self::SarBesideUdh => f.write_str("SAR TLVs and a user data header exclude each other"),
            Self::DamagedList { field } => write!(f, "{field} does not agree with its count"),
        }
    }
}

impl std::error::Error for EncodeError {}

// Limits of C-octet strings, in octets without the NUL.
const SYSTEM_ID: usize = 15;
const OUTBIND_PASSWORD: usize = 8;
const SYSTEM_TYPE: usize = 12;
const ADDRESS_RANGE: usize = 40;
const SERVICE_TYPE: usize = 5;
const ADDRESS: usize = 20;
const LONG_ADDRESS: usize = 64;
const MESSAGE_ID: usize = 64;
const TIME: usize = 16;

#[inline]
fn header(length: usize, id: CommandId, status: CommandStatus, sequence_number: u32) -> [u8; HEADER_OCTETS] {
    let mut octets = [0; HEADER_OCTETS];
    octets[..4].copy_from_slice(&(length as u32).to_be_bytes());
    octets[4..8].copy_from_slice(&id.0.to_be_bytes());
    octets[8..12].copy_from_slice(&status.0.to_be_bytes());
    octets[12..].copy_from_slice(&sequence_number.to_be_bytes());
    octets
}

fn body(pdu: &Pdu<'_>, status: CommandStatus, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match pdu {
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => {
            string("service_type", sm.service_type, SERVICE_TYPE, out)?;
            address("source_addr", sm.source, ADDRESS, out)?;
            address("destination_addr", sm.destination, ADDRESS, out)?;
            sm_after_destination(sm, out)
        }
        Pdu::SubmitMulti(multi) => submit_multi(multi, out),
        Pdu::SubmitSmResp(answer) | Pdu::DataSmResp(answer) => {
            if status != CommandStatus::OK && answer.message_id.is_empty() && answer.tlvs.is_empty() {
                return Ok(());
            }
            message_id(answer, out)
        }
        Pdu::DeliverSmResp(answer) => message_id(answer, out),
        Pdu::DataSm(data) => data_sm(data, out),
        Pdu::Bind(request) => bind(request, out),
        Pdu::BindResp(answer) => {
            if status != CommandStatus::OK && answer.system_id.is_empty() && answer.tlvs.is_empty() {
                return Ok(());
            }
            string("system_id", answer.system_id, SYSTEM_ID, out)?;
            tlvs(answer.tlvs, out)
        }
        Pdu::Outbind(outbind) => {
            string("system_id", outbind.system_id, SYSTEM_ID, out)?;
            string("password", outbind.password, OUTBIND_PASSWORD, out)
        }
        Pdu::QuerySm(query) => {
            string("message_id", query.message_id, MESSAGE_ID, out)?;
            address("source_addr", query.source, ADDRESS, out)
        }
        Pdu::QuerySmResp(answer) => {
            if status != CommandStatus::OK && answer.message_id.is_empty() {
                return Ok(());
            }
            string("message_id", answer.message_id, MESSAGE_ID, out)?;
            time("final_date", answer.final_date, out)?;
            out.extend_from_slice(&[answer.message_state, answer.error_code]);
            tlvs(answer.tlvs, out)
        }
        Pdu::ReplaceSm(replace) => replace_sm(replace, out),
        Pdu::CancelSm(cancel) => {
            string("service_type", cancel.service_type, SERVICE_TYPE, out)?;
            string("message_id", cancel.message_id, MESSAGE_ID, out)?;
            address("source_addr", cancel.source, ADDRESS, out)?;
            address("destination_addr", cancel.destination, ADDRESS, out)
        }
        Pdu::SubmitMultiResp(answer) => {
            if status != CommandStatus::OK && answer.message_id.is_empty() && answer.unsuccess.count == 0 {
                return Ok(());
            }
            string("message_id", answer.message_id, MESSAGE_ID, out)?;
            let list = answer.unsuccess;
            out.push(list.count);
            let start = out.len();
            let mut count = 0;
            for each in list.iter() {
                each.push_to(out)?;
                count += 1;
            }
            if count != list.count || out[start..] != *list.octets {
                return Err(EncodeError::DamagedList { field: "unsuccess_sme" });
            }
            tlvs(answer.tlvs, out)
        }
        Pdu::AlertNotification(alert) => {
            address("source_addr", alert.source, LONG_ADDRESS, out)?;
            address("esme_addr", alert.esme, LONG_ADDRESS, out)?;
            tlvs(alert.tlvs, out)
        }
        Pdu::Unknown { body, .. } => {
            out.extend_from_slice(body);
            Ok(())
        }
        Pdu::ReplaceSmResp
        | Pdu::CancelSmResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::GenericNack => Ok(()),
    }
}

fn bind(bind: &Bind<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    string("system_id", bind.system_id, SYSTEM_ID, out)?;
    string("password", bind.password, PASSWORD_MAX_OCTETS, out)?;
    string("system_type", bind.system_type, SYSTEM_TYPE, out)?;
    out.extend_from_slice(&[bind.interface_version, bind.addr_ton, bind.addr_npi]);
    string("address_range", bind.address_range, ADDRESS_RANGE, out)
}

#[inline]
fn sm_after_destination(sm: &Sm<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(&[sm.esm_class, sm.protocol_id, sm.priority_flag]);
    time("schedule_delivery_time", sm.schedule_delivery_time, out)?;
    time("validity_period", sm.validity_period, out)?;
    out.extend_from_slice(&[
        sm.registered_delivery,
        sm.replace_if_present,
        sm.data_coding,
        sm.sm_default_msg_id,
        short_message_length(sm.short_message)?,
    ]);
    out.extend_from_slice(sm.short_message);
    if sm.tlvs.is_empty() {
        return Ok(());
    }
    if !sm.short_message.is_empty() && sm.tlvs.get(Tag::MESSAGE_PAYLOAD).is_some() {
        return Err(EncodeError::TwoTexts);
    }
    sar_or_udh(sm.esm_class, sm.tlvs)?;
    tlvs(sm.tlvs, out)
}

fn submit_multi(multi: &SubmitMulti<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    string("service_type", multi.message.service_type, SERVICE_TYPE, out)?;
    address("source_addr", multi.message.source, ADDRESS, out)?;
    let Destinations { count, octets } = multi.destinations;
    if count == 0 || count == u8::MAX {
        return Err(EncodeError::DamagedList { field: "number_of_dests" });
    }
    out.push(count);
    let start = out.len();
    let mut found = 0;
    for destination in multi.destinations.iter() {
        destination.push_to(out)?;
        found += 1;
    }
    if found != count || out[start..] != *octets {
        return Err(EncodeError::DamagedList { field: "dest_address" });
    }
    sm_after_destination(&multi.message, out)
}

fn data_sm(data: &DataSm<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    string("service_type", data.service_type, SERVICE_TYPE, out)?;
    address("source_addr", data.source, LONG_ADDRESS, out)?;
    address("destination_addr", data.destination, LONG_ADDRESS, out)?;
    out.extend_from_slice(&[data.esm_class, data.registered_delivery, data.data_coding]);
    sar_or_udh(data.esm_class, data.tlvs)?;
    tlvs(data.tlvs, out)
}

fn replace_sm(replace: &ReplaceSm<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    string("message_id", replace.message_id, MESSAGE_ID, out)?;
    address("source_addr", replace.source, ADDRESS, out)?;
    time("schedule_delivery_time", replace.schedule_delivery_time, out)?;
    time("validity_period", replace.validity_period, out)?;
    let length = short_message_length(replace.short_message)?;
    out.extend_from_slice(&[replace.registered_delivery, replace.sm_default_msg_id, length]);
    out.extend_from_slice(replace.short_message);
    if !replace.short_message.is_empty() && replace.tlvs.get(Tag::MESSAGE_PAYLOAD).is_some() {
        return Err(EncodeError::TwoTexts);
    }
    tlvs(replace.tlvs, out)
}

fn message_id(answer: &MessageId<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    string("message_id", answer.message_id, MESSAGE_ID, out)?;
    tlvs(answer.tlvs, out)
}

#[inline]
fn check_string(field: &'static str, value: &[u8], most: usize) -> Result<(), EncodeError> {
    if value.len() > most {
        return Err(EncodeError::TooLong { field, length: value.len(), most });
    }
    match value.iter().position(|&octet| octet == 0) {
        Some(offset) => Err(EncodeError::NulInString { field, offset }),
        None => Ok(()),
    }
}

#[inline]
fn put_string(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(value);
    out.push(0);
}

#[inline]
fn put_address(address: Address<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[address.ton, address.npi]);
    put_string(address.addr, out);
}

#[inline]
fn string(field: &'static str, value: &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_string(field, value, most)?;
    put_string(value, out);
    Ok(())
}

#[inline]
fn address(field: &'static str, address: Address<'_>, most: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_string(field, address.addr, most)?;
    put_address(address, out);
    Ok(())
}

#[inline]
fn time(field: &'static str, value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !value.is_empty() && value.len() != TIME {
        return Err(EncodeError::TimeLength { field, length: value.len() });
    }
    string(field, value, TIME, out)
}

#[inline]
fn short_message_length(text: &[u8]) -> Result<u8, EncodeError> {
    match u8::try_from(text.len()) {
        Ok(length) if text.len() <= SHORT_MESSAGE_MAX_OCTETS => Ok(length),
        _ => Err(EncodeError::TooLong { field: "short_message", length: text.len(), most: SHORT_MESSAGE_MAX_OCTETS }),
    }
}

fn sar_or_udh(esm: u8, tlvs: Tlvs<'_>) -> Result<(), EncodeError> {
    let has_sar = || {
        tlvs.iter()
            .any(|tlv| matches!(tlv.tag, Tag::SAR_MSG_REF_NUM | Tag::SAR_TOTAL_SEGMENTS | Tag::SAR_SEGMENT_SEQNUM))
    };
    if esm_class::has_udh(esm) && has_sar() { Err(EncodeError::SarBesideUdh) } else { Ok(()) }
}

fn tlvs(tlvs: Tlvs<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !tlvs.is_well_formed() {
        return Err(EncodeError::DamagedTlvs);
    }
    out.extend_from_slice(tlvs.octets());
    Ok(())
}

#[cfg(test)]
mod tests;
