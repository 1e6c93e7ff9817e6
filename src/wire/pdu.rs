//! The bodies of PDUs (v3.4 section 4), borrowed from a frame when received and from the caller when sent.
//!
//! Strings are octets without their NUL. Sizes in the field docs are the specification's, in octets and with the NUL:
//! outbound they are limits, inbound they are not held against anyone.

use super::header::CommandId;
use super::tlv::Tlvs;

/// A PDU's body, for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// bind_receiver, bind_transmitter or bind_transceiver.
    Bind(Bind<'a>),
    /// The answer to a bind.
    BindResp(BindResp<'a>),
    /// outbind: the SMSC asks to be bound to. Has no answer.
    Outbind(Outbind<'a>),
    /// submit_sm.
    SubmitSm(Sm<'a>),
    /// The answer to submit_sm.
    SubmitSmResp(MessageId<'a>),
    /// deliver_sm: an inbound message or a delivery receipt.
    DeliverSm(Sm<'a>),
    /// The answer to deliver_sm; its message_id is not used.
    DeliverSmResp(MessageId<'a>),
    /// data_sm, in either direction.
    DataSm(DataSm<'a>),
    /// The answer to data_sm.
    DataSmResp(MessageId<'a>),
    /// query_sm.
    QuerySm(QuerySm<'a>),
    /// The answer to query_sm.
    QuerySmResp(QuerySmResp<'a>),
    /// replace_sm.
    ReplaceSm(ReplaceSm<'a>),
    /// The answer to replace_sm.
    ReplaceSmResp,
    /// cancel_sm.
    CancelSm(CancelSm<'a>),
    /// The answer to cancel_sm.
    CancelSmResp,
    /// submit_multi.
    SubmitMulti(SubmitMulti<'a>),
    /// The answer to submit_multi.
    SubmitMultiResp(SubmitMultiResp<'a>),
    /// alert_notification: a recipient can be reached again. Has no answer.
    AlertNotification(AlertNotification<'a>),
    /// enquire_link.
    EnquireLink,
    /// The answer to enquire_link.
    EnquireLinkResp,
    /// unbind.
    Unbind,
    /// The answer to unbind.
    UnbindResp,
    /// generic_nack: the answer to what could not be read.
    GenericNack,
    /// A PDU that the specification does not have. A request of this kind is answered with generic_nack 0x03.
    Unknown {
        /// Its id.
        command_id: CommandId,
        /// All after the header.
        body: &'a [u8],
    },
}

impl Pdu<'_> {
    /// The id that this body travels under.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.kind.command_id(),
            Self::BindResp(answer) => answer.kind.command_id().response(),
            Self::Outbind(_) => CommandId::OUTBIND,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::DataSm(_) => CommandId::DATA_SM,
            Self::DataSmResp(_) => CommandId::DATA_SM_RESP,
            Self::QuerySm(_) => CommandId::QUERY_SM,
            Self::QuerySmResp(_) => CommandId::QUERY_SM_RESP,
            Self::ReplaceSm(_) => CommandId::REPLACE_SM,
            Self::ReplaceSmResp => CommandId::REPLACE_SM_RESP,
            Self::CancelSm(_) => CommandId::CANCEL_SM,
            Self::CancelSmResp => CommandId::CANCEL_SM_RESP,
            Self::SubmitMulti(_) => CommandId::SUBMIT_MULTI,
            Self::SubmitMultiResp(_) => CommandId::SUBMIT_MULTI_RESP,
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Unknown { command_id, .. } => *command_id,
        }
    }
}

/// Type of number, numbering plan and address (v3.4 sections 5.2.5 to 5.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address<'a> {
    /// Type of number: 0 unknown, 1 international, 3 network specific, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 1 ISDN (E.164).
    pub npi: u8,
    /// 21 octets; in data_sm and alert_notification 65.
    pub addr: &'a [u8],
}

impl<'a> Address<'a> {
    /// An address.
    #[must_use]
    pub const fn new(ton: u8, npi: u8, addr: &'a [u8]) -> Self {
        Self { ton, npi, addr }
    }
}

/// Which way messages go on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindKind {
    /// TX: submits only.
    Transmitter,
    /// RX: receipts and inbound messages only.
    Receiver,
    /// TRX: both. v3.4 on.
    Transceiver,
}

impl BindKind {
    /// The id of the bind request.
    #[must_use]
    pub const fn command_id(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// Whether submit_sm and its like may be sent.
    #[must_use]
    pub const fn can_submit(self) -> bool {
        !matches!(self, Self::Receiver)
    }

    /// Whether deliver_sm comes.
    #[must_use]
    pub const fn can_receive(self) -> bool {
        !matches!(self, Self::Transmitter)
    }
}

/// A bind request (v3.4 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Which of the three.
    pub kind: BindKind,
    /// The account's user name, 16 octets.
    pub system_id: &'a [u8],
    /// 9 octets in the specification. Longer ones are common, so up to 64 octets and the NUL are encoded; the caller
    /// warns or refuses.
    pub password: &'a [u8],
    /// 13 octets, as a rule empty.
    pub system_type: &'a [u8],
    /// 0x33, 0x34 or 0x50.
    pub interface_version: u8,
    /// As in an address.
    pub addr_ton: u8,
    /// As in an address.
    pub addr_npi: u8,
    /// 41 octets, as a rule empty.
    pub address_range: &'a [u8],
}

/// The answer to a bind, of any of the three kinds, with or without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindResp<'a> {
    /// The kind that the answer's id says. Real peers sometimes answer with another one than was asked.
    pub kind: BindKind,
    /// The SMSC's name, 16 octets; empty if there is no body.
    pub system_id: &'a [u8],
    /// sc_interface_version, or nothing: then the SMSC takes no TLVs.
    pub tlvs: Tlvs<'a>,
}

/// outbind (v3.4 section 4.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbind<'a> {
    /// The SMSC's name, 16 octets.
    pub system_id: &'a [u8],
    /// 9 octets.
    pub password: &'a [u8],
}

/// submit_sm and deliver_sm (v3.4 sections 4.4.1 and 4.6.1), which have the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sm<'a> {
    /// 6 octets, as a rule empty.
    pub service_type: &'a [u8],
    /// Who it is from.
    pub source: Address<'a>,
    /// Who it is to.
    pub destination: Address<'a>,
    /// See [`esm_class`](super::values::esm_class).
    pub esm_class: u8,
    /// For the network, as a rule 0.
    pub protocol_id: u8,
    /// 0..=3.
    pub priority_flag: u8,
    /// When to deliver: empty, or the 16 octets of [`SmppTime`](super::time::SmppTime).
    pub schedule_delivery_time: &'a [u8],
    /// How long to try: empty, or the 16 octets of [`SmppTime`](super::time::SmppTime).
    pub validity_period: &'a [u8],
    /// See [`registered_delivery`](super::values::registered_delivery).
    pub registered_delivery: u8,
    /// 1 replaces a waiting message of the same addresses and service_type.
    pub replace_if_present: u8,
    /// See [`data_coding`](super::values::data_coding).
    pub data_coding: u8,
    /// A canned message, as a rule 0.
    pub sm_default_msg_id: u8,
    /// 0..=254 octets, empty if the text is in the TLV message_payload. Inbound up to 255.
    pub short_message: &'a [u8],
    /// The optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Sm<'a> {
    /// The octets of the text, wherever they are: short_message, or message_payload if that is empty. A user data
    /// header is still in front if esm_class says so.
    #[inline]
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        text_of(self.short_message, self.tlvs)
    }
}

/// data_sm (v3.4 section 4.7.1). Its text is in the TLV message_payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataSm<'a> {
    /// 6 octets, as a rule empty.
    pub service_type: &'a [u8],
    /// Who it is from; 65 octets.
    pub source: Address<'a>,
    /// Who it is to; 65 octets.
    pub destination: Address<'a>,
    /// See [`esm_class`](super::values::esm_class).
    pub esm_class: u8,
    /// See [`registered_delivery`](super::values::registered_delivery).
    pub registered_delivery: u8,
    /// See [`data_coding`](super::values::data_coding).
    pub data_coding: u8,
    /// The optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSm<'a> {
    /// The octets of the text, from message_payload.
    #[inline]
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        text_of(&[], self.tlvs)
    }
}

/// The answer to submit_sm, deliver_sm and data_sm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageId<'a> {
    /// What the SMSC calls the message: opaque, 65 octets (9 in v3.3); empty where there is no body.
    pub message_id: &'a [u8],
    /// The optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// query_sm (v3.4 section 4.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySm<'a> {
    /// The message_id that the submit was answered with, 65 octets.
    pub message_id: &'a [u8],
    /// The source address of the submit.
    pub source: Address<'a>,
}

/// The answer to query_sm (v3.4 section 4.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySmResp<'a> {
    /// As asked, 65 octets.
    pub message_id: &'a [u8],
    /// When the message reached its final state: empty, or 16 octets.
    pub final_date: &'a [u8],
    /// A code of [`MessageState`](super::values::MessageState), or the SMSC's own.
    pub message_state: u8,
    /// The network's error, 0 for none.
    pub error_code: u8,
    /// The optional parameters (v5.0).
    pub tlvs: Tlvs<'a>,
}

/// replace_sm (v3.4 section 4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplaceSm<'a> {
    /// The message_id that the submit was answered with, 65 octets.
    pub message_id: &'a [u8],
    /// The source address of the submit.
    pub source: Address<'a>,
    /// Empty, or 16 octets.
    pub schedule_delivery_time: &'a [u8],
    /// Empty, or 16 octets.
    pub validity_period: &'a [u8],
    /// See [`registered_delivery`](super::values::registered_delivery).
    pub registered_delivery: u8,
    /// A canned message, as a rule 0.
    pub sm_default_msg_id: u8,
    /// The new text, 0..=254 octets.
    pub short_message: &'a [u8],
    /// The optional parameters (v5.0).
    pub tlvs: Tlvs<'a>,
}

/// cancel_sm (v3.4 section 4.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelSm<'a> {
    /// 6 octets, as a rule empty.
    pub service_type: &'a [u8],
    /// The message_id that the submit was answered with, 65 octets; empty cancels by addresses.
    pub message_id: &'a [u8],
    /// The source address of the submit.
    pub source: Address<'a>,
    /// The destination address of the submit.
    pub destination: Address<'a>,
}

/// submit_multi (v3.4 section 4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMulti<'a> {
    /// Who it is to, in place of the destination in `message`.
    pub destinations: Destinations<'a>,
    /// All other fields; its `destination` is not used.
    pub message: Sm<'a>,
}

/// One destination of a submit_multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// dest_flag 1: an address.
    Address(Address<'a>),
    /// dest_flag 2: the name of a distribution list, 21 octets.
    List(&'a [u8]),
}

/// The destinations of a submit_multi, still encoded and read lazily.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Destinations<'a> {
    /// number_of_dests, 1..=254.
    pub count: u8,
    /// Their encoding.
    pub octets: &'a [u8],
}

/// The answer to submit_multi (v3.4 section 4.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMultiResp<'a> {
    /// 65 octets.
    pub message_id: &'a [u8],
    /// The destinations that were not taken.
    pub unsuccess: Unsuccesses<'a>,
    /// The optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// A destination that a submit_multi did not reach, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsuccess<'a> {
    /// The destination.
    pub address: Address<'a>,
    /// The command status that a submit_sm to it would have had.
    pub error_status_code: u32,
}

/// The list of a submit_multi_resp, still encoded and read lazily.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unsuccesses<'a> {
    /// no_unsuccess, 0..=255.
    pub count: u8,
    /// Their encoding.
    pub octets: &'a [u8],
}

/// alert_notification (v3.4 section 4.12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertNotification<'a> {
    /// Who can be reached again; 65 octets.
    pub source: Address<'a>,
    /// Who asked to know; 65 octets.
    pub esme: Address<'a>,
    /// ms_availability_status.
    pub tlvs: Tlvs<'a>,
}

fn text_of<'a>(short_message: &'a [u8], tlvs: Tlvs<'a>) -> &'a [u8] {
    if short_message.is_empty() {
        tlvs.get(super::tlv::Tag::MESSAGE_PAYLOAD).unwrap_or(short_message)
    } else {
        short_message
    }
}
