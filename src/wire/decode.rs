//! Octets to PDUs, leniently: what can be read is read.
//!
//! Peers send strings over their limits and without their NUL, answers without bodies, TLVs cut short and lengths that
//! count septets. None of it may cost a session or a receipt. Only a request whose mandatory fields are not all there
//! is an error, and a stream goes on after it.
use std::fmt;

use super::header::{CommandId, Header, decode_header};
use super::pdu::{
    Address, AlertNotification, Bind, BindKind, BindResp, CancelSm, DataSm, Destination, Destinations, MessageId,
    Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, Sm, SubmitMulti, SubmitMultiResp, Unsuccess, Unsuccesses,
};
use super::tlv::Tlvs;

/// Reads a whole frame, as [`FrameBuffer`](super::FrameBuffer) gives it.
///
/// Kept as they are: strings over their limit (the rest of the PDU, if there is no NUL), unknown values and TLVs,
/// octets that are not ASCII, a short_message of 255 octets. A short_message that claims more than is left gets what
/// is left. An answer that lacks its body, or part of it, has empty strings and zeros in those places.
///
/// # Errors
/// A frame without a header, and a request that ends before its last mandatory field. The header can still be read
/// with [`decode_header`], so that such a request can be answered.
pub fn decode(frame: &[u8]) -> Result<(Header, Pdu<'_>), DecodeError> {
    let Some(header) = decode_header(frame) else { return Err(DecodeError::NoHeader { length: frame.len() }) };
    let id = header.command_id;
    let mut reader = Reader { frame, at: super::HEADER_OCTETS, command_id: id };
    let r = &mut reader;
    let pdu = match id {
        CommandId::SUBMIT_SM => Pdu::SubmitSm(sm(r)?),
        CommandId::SUBMIT_SM_RESP => Pdu::SubmitSmResp(message_id(r)),
        CommandId::DELIVER_SM => Pdu::DeliverSm(sm(r)?),
        CommandId::DELIVER_SM_RESP => Pdu::DeliverSmResp(message_id(r)),
        CommandId::DATA_SM => Pdu::DataSm(data_sm(r)?),
        CommandId::DATA_SM_RESP => Pdu::DataSmResp(message_id(r)),
        CommandId::ENQUIRE_LINK => Pdu::EnquireLink,
        CommandId::ENQUIRE_LINK_RESP => Pdu::EnquireLinkResp,
        CommandId::UNBIND => Pdu::Unbind,
        CommandId::UNBIND_RESP => Pdu::UnbindResp,
        CommandId::GENERIC_NACK => Pdu::GenericNack,
        CommandId::BIND_TRANSMITTER => Pdu::Bind(bind(r, BindKind::Transmitter)?),
        CommandId::BIND_RECEIVER => Pdu::Bind(bind(r, BindKind::Receiver)?),
        CommandId::BIND_TRANSCEIVER => Pdu::Bind(bind(r, BindKind::Transceiver)?),
        CommandId::BIND_TRANSMITTER_RESP => Pdu::BindResp(bind_resp(r, BindKind::Transmitter)),
        CommandId::BIND_RECEIVER_RESP => Pdu::BindResp(bind_resp(r, BindKind::Receiver)),
        CommandId::BIND_TRANSCEIVER_RESP => Pdu::BindResp(bind_resp(r, BindKind::Transceiver)),
        CommandId::OUTBIND => Pdu::Outbind(Outbind { system_id: r.string("system_id")?, password: r.answer_string() }),
        CommandId::QUERY_SM => {
            Pdu::QuerySm(QuerySm { message_id: r.string("message_id")?, source: r.address(SOURCE)? })
        }
        CommandId::QUERY_SM_RESP => Pdu::QuerySmResp(QuerySmResp {
            message_id: r.answer_string(),
            final_date: r.answer_string(),
            message_state: r.answer_octet(),
            error_code: r.answer_octet(),
            tlvs: r.tlvs(),
        }),
        CommandId::REPLACE_SM => Pdu::ReplaceSm(replace_sm(r)?),
        CommandId::REPLACE_SM_RESP => Pdu::ReplaceSmResp,
        CommandId::CANCEL_SM => Pdu::CancelSm(CancelSm {
            service_type: r.string("service_type")?,
            message_id: r.string("message_id")?,
            source: r.address(SOURCE)?,
            destination: r.address(DESTINATION)?,
        }),
        CommandId::CANCEL_SM_RESP => Pdu::CancelSmResp,
        CommandId::SUBMIT_MULTI => Pdu::SubmitMulti(submit_multi(r)?),
        CommandId::SUBMIT_MULTI_RESP => Pdu::SubmitMultiResp(submit_multi_resp(r)),
        CommandId::ALERT_NOTIFICATION => Pdu::AlertNotification(AlertNotification {
            source: r.address(SOURCE)?,
            esme: r.address(("esme_addr_ton", "esme_addr_npi", "esme_addr"))?,
            tlvs: r.tlvs(),
        }),
        command_id => Pdu::Unknown { command_id, body: r.rest() },
    };
    Ok((header, pdu))
}

/// The message_id of an answer to submit_sm or data_sm, without reading more of it. Empty where there is no body.
#[inline]
#[must_use]
pub fn decode_message_id(frame: &[u8]) -> &[u8] {
    let body = frame.get(super::HEADER_OCTETS..).unwrap_or_default();
    body.iter().position(|&octet| octet == 0).map_or(body, |end| &body[..end])
}

/// The message_id of an answer to submit_sm or data_sm, and its optional parameters as octets: as a rule none. Where an
/// SMSC leaves out the id of what it refuses, with its NUL, the parameters begin at once.
#[inline]
#[must_use]
pub fn decode_answer(frame: &[u8]) -> (&[u8], &[u8]) {
    let body = frame.get(super::HEADER_OCTETS..).unwrap_or_default();
    match body.iter().position(|&octet| octet == 0) {
        None => (body, &[]),
        Some(end) if end + 1 == body.len() => (&body[..end], &[]),
        Some(end) => {
            let (id, behind) = (&body[..end], &body[end + 1..]);
            let is_whole = |octets| Tlvs(octets).is_well_formed();
            if end == 0 && !is_whole(behind) && is_whole(body) { (&[], body) } else { (id, behind) }
        }
    }
}

/// Why a PDU cannot be read. The session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer than 16 octets.
    NoHeader {
        /// How many there are.
        length: usize,
    },
    /// A request ends before a mandatory field does.
    Truncated {
        /// What was read.
        command_id: CommandId,
        /// The first field that is not there.
        field: &'static str,
        /// Where in the PDU it would be, the header counted.
        offset: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { length } => write!(f, "a PDU of {length} octets has no header"),
            Self::Truncated { command_id, field, offset } => {
                write!(f, "{command_id} ends at octet {offset}, before {field}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

type AddressFields = (&'static str, &'static str, &'static str);
const SOURCE: AddressFields = ("source_addr_ton", "source_addr_npi", "source_addr");
const DESTINATION: AddressFields = ("dest_addr_ton", "dest_addr_npi", "destination_addr");

fn sm<'a>(r: &mut Reader<'a>) -> Result<Sm<'a>, DecodeError> {
    let service_type = r.string("service_type")?;
    let source = r.address(SOURCE)?;
    let destination = r.address(DESTINATION)?;
    sm_after_destination(r, service_type, source, destination)
}

#[inline]
fn sm_after_destination<'a>(
    r: &mut Reader<'a>,
    service_type: &'a [u8],
    source: Address<'a>,
    destination: Address<'a>,
) -> Result<Sm<'a>, DecodeError> {
    Ok(Sm {
        service_type,
        source,
        destination,
        esm_class: r.octet("esm_class")?,
        protocol_id: r.octet("protocol_id")?,
        priority_flag: r.octet("priority_flag")?,
        schedule_delivery_time: r.string("schedule_delivery_time")?,
        validity_period: r.string("validity_period")?,
        registered_delivery: r.octet("registered_delivery")?,
        replace_if_present: r.octet("replace_if_present_flag")?,
        data_coding: r.octet("data_coding")?,
        sm_default_msg_id: r.octet("sm_default_msg_id")?,
        short_message: r.short_message()?,
        tlvs: r.tlvs(),
    })
}

fn data_sm<'a>(r: &mut Reader<'a>) -> Result<DataSm<'a>, DecodeError> {
    Ok(DataSm {
        service_type: r.string("service_type")?,
        source: r.address(SOURCE)?,
        destination: r.address(DESTINATION)?,
        esm_class: r.octet("esm_class")?,
        registered_delivery: r.octet("registered_delivery")?,
        data_coding: r.octet("data_coding")?,
        tlvs: r.tlvs(),
    })
}

fn replace_sm<'a>(r: &mut Reader<'a>) -> Result<ReplaceSm<'a>, DecodeError> {
    Ok(ReplaceSm {
        message_id: r.string("message_id")?,
        source: r.address(SOURCE)?,
        schedule_delivery_time: r.string("schedule_delivery_time")?,
        validity_period: r.string("validity_period")?,
        registered_delivery: r.octet("registered_delivery")?,
        sm_default_msg_id: r.octet("sm_default_msg_id")?,
        short_message: r.short_message()?,
        tlvs: r.tlvs(),
    })
}

fn submit_multi<'a>(r: &mut Reader<'a>) -> Result<SubmitMulti<'a>, DecodeError> {
    let service_type = r.string("service_type")?;
    let source = r.address(SOURCE)?;
    let count = r.octet("number_of_dests")?;
    let start = r.at;
    for _ in 0..count {
        r.destination()?;
    }
    let destinations = Destinations { count, octets: &r.frame[start..r.at] };
    let message = sm_after_destination(r, service_type, source, Address::default())?;
    Ok(SubmitMulti { destinations, message })
}

fn submit_multi_resp<'a>(r: &mut Reader<'a>) -> SubmitMultiResp<'a> {
    let message_id = r.answer_string();
    let claimed = r.answer_octet();
    let start = r.at;
    let mut end = start;
    let mut count = 0;
    while count < claimed && r.unsuccess().is_some() {
        count += 1;
        end = r.at;
    }
    r.at = if count == claimed { end } else { r.frame.len() };
    SubmitMultiResp { message_id, unsuccess: Unsuccesses { count, octets: &r.frame[start..end] }, tlvs: r.tlvs() }
}

fn bind<'a>(r: &mut Reader<'a>, kind: BindKind) -> Result<Bind<'a>, DecodeError> {
    Ok(Bind {
        kind,
        system_id: r.string("system_id")?,
        password: r.string("password")?,
        system_type: r.string("system_type")?,
        interface_version: r.octet("interface_version")?,
        addr_ton: r.octet("addr_ton")?,
        addr_npi: r.octet("addr_npi")?,
        address_range: r.string("address_range")?,
    })
}

fn bind_resp<'a>(r: &mut Reader<'a>, kind: BindKind) -> BindResp<'a> {
    BindResp { kind, system_id: r.answer_string(), tlvs: r.tlvs() }
}

fn message_id<'a>(r: &mut Reader<'a>) -> MessageId<'a> {
    MessageId { message_id: r.answer_string(), tlvs: r.tlvs() }
}

impl<'a> Destinations<'a> {
    /// The destinations, as far as they are well-formed.
    pub fn iter(self) -> impl Iterator<Item = Destination<'a>> {
        let mut reader = Reader { frame: self.octets, at: 0, command_id: CommandId::SUBMIT_MULTI };
        (0..self.count).map_while(move |_| reader.destination().ok())
    }
}

impl<'a> Unsuccesses<'a> {
    /// The destinations that were not taken.
    pub fn iter(self) -> impl Iterator<Item = Unsuccess<'a>> {
        let mut reader = Reader { frame: self.octets, at: 0, command_id: CommandId::SUBMIT_MULTI_RESP };
        (0..self.count).map_while(move |_| reader.unsuccess())
    }
}

/// Walks through the fields of a frame.
struct Reader<'a> {
    frame: &'a [u8],
    /// Never beyond the end of `frame`.
    at: usize,
    command_id: CommandId,
}

impl<'a> Reader<'a> {
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    #[inline]
    fn octet(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        match self.frame.get(self.at) {
            Some(&octet) => {
                self.at += 1;
                Ok(octet)
            }
            None => Err(self.truncated(field)),
        }
    }

    /// A string up to its NUL or, without one, up to the end of the PDU; an error if not even a NUL is there.
    #[inline]
    fn string(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        if self.at == self.frame.len() { Err(self.truncated(field)) } else { Ok(self.answer_string()) }
    }

    /// As [`string`](Self::string), and empty where the PDU has ended already.
    #[inline]
    fn answer_string(&mut self) -> &'a [u8] {
        let rest = self.rest();
        match rest.iter().position(|&octet| octet == 0) {
            Some(length) => {
                self.at += length + 1;
                &rest[..length]
            }
            None => {
                self.at = self.frame.len();
                rest
            }
        }
    }

    /// An octet, and 0 where the PDU has ended already.
    fn answer_octet(&mut self) -> u8 {
        let octet = self.frame.get(self.at).copied();
        self.at += usize::from(octet.is_some());
        octet.unwrap_or(0)
    }

    #[inline]
    fn address(&mut self, (ton, npi, addr): AddressFields) -> Result<Address<'a>, DecodeError> {
        Ok(Address { ton: self.octet(ton)?, npi: self.octet(npi)?, addr: self.string(addr)? })
    }

    /// sm_length and short_message. Some peers count septets in sm_length, so what is there is the text.
    #[inline]
    fn short_message(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.octet("sm_length")?);
        let rest = self.rest();
        let text = &rest[..length.min(rest.len())];
        self.at += text.len();
        Ok(text)
    }

    #[inline]
    fn tlvs(&self) -> Tlvs<'a> {
        Tlvs(self.rest())
    }

    fn destination(&mut self) -> Result<Destination<'a>, DecodeError> {
        match self.octet("dest_flag")? {
            2 => Ok(Destination::List(self.string("dl_name")?)),
            // Any other flag is read as an address: it is by far the more common, and no other shape exists.
            _ => Ok(Destination::Address(self.address(DESTINATION)?)),
        }
    }

    fn unsuccess(&mut self) -> Option<Unsuccess<'a>> {
        let address = self.address(DESTINATION).ok()?;
        let code = self.rest().first_chunk::<4>()?;
        self.at += code.len();
        Some(Unsuccess { address, error_status_code: u32::from_be_bytes(*code) })
    }

    #[cold]
    fn truncated(&self, field: &'static str) -> DecodeError {
        DecodeError::Truncated { command_id: self.command_id, field, offset: self.at }
    }
}

#[cfg(test)]
mod tests;
