//! Delivery receipts, as the field sends them (v3.4 appendix B is a suggestion that nobody quite follows).
//!
//! A receipt is a deliver_sm or data_sm whose esm_class says so, and, because some SMSCs forget to, one whose text
//! can be nothing else. Its facts come from TLVs where there are any, and from the text otherwise. A subscriber can
//! send any text, so what carries no mark has to have the whole shape: see [`Receipt::of`].

use std::borrow::Cow;

use super::pdu::{DataSm, Sm};
use super::tlv::{Tag, Tlvs};
use super::values::{MessageState, esm_class};

mod alphabet;
mod scan;

use scan::Fields;

/// The underscore of the GSM alphabet, in which some SMSCs write the whole text of a receipt.
const GSM_UNDERSCORE: u8 = 0x11;

/// What a receipt says. Octets are as they came (in UCS2 texts as UTF-8) and not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// What the esm_class calls it.
    pub kind: ReceiptKind,
    /// The message_id from the TLV receipted_message_id.
    pub tlv_id: Option<&'a [u8]>,
    /// The message_id from the text.
    pub text_id: Option<Cow<'a, [u8]>>,
    /// The TLV message_state: a code of the specification, unless a profile says otherwise.
    pub tlv_state: Option<u8>,
    /// `stat` from the text.
    pub stat: Option<Stat<'a>>,
    /// The word or number that `stat` stands for, as it came.
    pub stat_word: Option<Cow<'a, [u8]>>,
    /// `err` from the text: the SMSC's own code, often hexadecimal, with its leading zeros.
    pub err: Option<Cow<'a, [u8]>>,
    /// The TLV network_error_code: a network type and a code.
    pub network_error_code: Option<&'a [u8]>,
    /// `submit date` from the text, in any form.
    pub submit_date: Option<Cow<'a, [u8]>>,
    /// `done date` from the text, in any form.
    pub done_date: Option<Cow<'a, [u8]>>,
}

/// The message type that a receipt came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// A delivery receipt, 0x04.
    Delivery,
    /// An acknowledgement by the device, 0x08.
    DeliveryAck,
    /// An acknowledgement by the user, 0x10.
    UserAck,
    /// An intermediate notification, 0x20: never final.
    Intermediate,
    /// No mark in esm_class, recognised by its content.
    Unmarked,
}

/// The value of `stat` in a receipt's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stat<'a> {
    /// A word that is known.
    State(MessageState),
    /// A number, which a profile may have a table for. Without one it is a code of the specification.
    Code(u8),
    /// A word that is not known, as it came.
    Other(Cow<'a, [u8]>),
}

impl<'a> Receipt<'a> {
    /// Reads a receipt out of a message's parts; `None` if it is none, or holds neither an id nor a state.
    ///
    /// - Marked 0x04 or 0x20: what can be found counts, in any order, up to `text:`.
    /// - Marked as an acknowledgement, which may hold what a user wrote, or not marked: either the TLVs
    ///   receipted_message_id and message_state are both there (an acknowledgement needs only the id), or the text
    ///   starts with a label, has id and a known state and consists of labelled values only, up to `text:`.
    ///
    /// Nothing after `text:` is looked at.
    #[must_use]
    pub fn of(esm: u8, text: &'a [u8], tlvs: Tlvs<'a>) -> Option<Self> {
        let kind = ReceiptKind::of(esm);
        let tlv_id = tlvs.get_c_string(Tag::RECEIPTED_MESSAGE_ID).filter(|id| !id.is_empty());
        let mut receipt = Self {
            kind,
            tlv_id,
            text_id: None,
            tlv_state: tlvs.get_u8(Tag::MESSAGE_STATE),
            stat: None,
            stat_word: None,
            err: None,
            network_error_code: tlvs.get(Tag::NETWORK_ERROR_CODE),
            submit_date: None,
            done_date: None,
        };
        match alphabet::octets_of(esm, text) {
            Cow::Borrowed(text) => receipt.take(&scan::scan(text), Cow::Borrowed),
            Cow::Owned(text) => receipt.take(&scan::scan(&text), |octets| Cow::Owned(octets.to_vec())),
        }
        if kind.is_marked() && receipt.is_empty() {
            // A few SMSCs pack the septets of the default alphabet.
            let text = alphabet::unpack_septets(alphabet::without_udh(esm, text));
            receipt.take(&scan::scan(&text), |octets| Cow::Owned(octets.to_vec()));
        }
        let by_tlvs = match kind {
            ReceiptKind::Unmarked => tlv_id.is_some() && receipt.tlv_state.is_some(),
            _ => tlv_id.is_some(),
        };
        let holds = by_tlvs || receipt.text_id.is_some() || receipt.stat.is_some();
        (holds || kind.is_marked() && receipt.tlv_state.is_some()).then_some(receipt)
    }

    /// The message_id, from the TLV if there is one.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.tlv_id.or(self.text_id.as_deref())
    }

    /// The state by the specification's codes, the TLV's if it is one of them. A word or number that is not known is
    /// UNKNOWN. `None` if nothing is said of it.
    #[must_use]
    pub fn state(&self) -> Option<MessageState> {
        self.state_with(MessageState::from_code, MessageState::from_code)
    }

    /// As [`state`](Self::state), with a profile's meaning of the TLV's code and of a number as `stat`.
    #[must_use]
    pub fn state_with(
        &self,
        tlv_code: impl Fn(u8) -> Option<MessageState>,
        stat_code: impl Fn(u8) -> Option<MessageState>,
    ) -> Option<MessageState> {
        if let Some(state) = self.tlv_state.and_then(tlv_code) {
            return Some(state);
        }
        match &self.stat {
            Some(Stat::State(state)) => Some(*state),
            Some(Stat::Code(code)) => Some(stat_code(*code).unwrap_or(MessageState::Unknown)),
            Some(Stat::Other(_)) => Some(MessageState::Unknown),
            None => self.tlv_state.map(|_| MessageState::Unknown),
        }
    }

    /// Whether `state` of this receipt ends the matter, by SMPP's own words and codes. An intermediate notification never
    /// does, nor does a word or a code that is not known: it may well mean "not yet".
    #[must_use]
    pub fn is_final(&self, state: MessageState, accepted_is_final: bool) -> bool {
        let is_strange = |code| MessageState::from_code(code).is_none();
        let guessed = match self.stat {
            Some(Stat::Other(_)) => true,
            Some(Stat::Code(code)) => is_strange(code),
            _ => self.tlv_state.is_some_and(is_strange),
        };
        let guessed = guessed && state == MessageState::Unknown;
        !self.is_intermediate() && !guessed && state.is_final(accepted_is_final)
    }

    /// Whether another receipt is to be expected, by its esm_class.
    #[must_use]
    pub fn is_intermediate(&self) -> bool {
        self.kind == ReceiptKind::Intermediate
    }

    fn is_empty(&self) -> bool {
        self.tlv_id.is_none() && self.text_id.is_none() && self.tlv_state.is_none() && self.stat.is_none()
    }

    /// Takes over what the text says, as far as this kind of receipt may be believed.
    fn take<'t>(&mut self, fields: &Fields<'t>, keep: impl Fn(&'t [u8]) -> Cow<'a, [u8]>) {
        let believed = if self.kind.is_marked() {
            // With both facts in TLVs the text may as well be the original message.
            fields.starts_with_label || self.tlv_id.is_none() || self.tlv_state.is_none()
        } else {
            fields.is_whole_receipt()
        };
        if !believed {
            return;
        }
        let keep = |octets: Option<&'t [u8]>| octets.map(&keep);
        self.text_id = keep(fields.id);
        if let Some(id) = self.text_id.as_mut().filter(|id| id.contains(&GSM_UNDERSCORE)) {
            // In the answer, ids are ASCII always.
            id.to_mut().iter_mut().filter(|octet| **octet == GSM_UNDERSCORE).for_each(|octet| *octet = b'_');
        }
        self.err = keep(fields.err);
        self.submit_date = keep(fields.submit_date);
        self.done_date = keep(fields.done_date);
        self.stat_word = keep(fields.stat);
        self.stat = match (fields.state(), fields.code(), fields.stat) {
            (Some(state), ..) => Some(Stat::State(state)),
            (_, Some(code), _) => Some(Stat::Code(code)),
            (.., other) => keep(other).map(Stat::Other),
        };
    }
}

impl ReceiptKind {
    fn of(esm: u8) -> Self {
        match esm_class::message_type(esm) {
            esm_class::TYPE_DELIVERY_ACK => Self::DeliveryAck,
            esm_class::TYPE_USER_ACK => Self::UserAck,
            message_type if message_type & esm_class::TYPE_INTERMEDIATE != 0 => Self::Intermediate,
            message_type if message_type & esm_class::TYPE_RECEIPT != 0 => Self::Delivery,
            _ => Self::Unmarked,
        }
    }

    /// Whether the SMSC itself says that this is its receipt.
    fn is_marked(self) -> bool {
        matches!(self, Self::Delivery | Self::Intermediate)
    }
}

impl<'a> Sm<'a> {
    /// The delivery receipt that this deliver_sm is, if it is one.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt<'a>> {
        Receipt::of(self.esm_class, self.text(), self.tlvs)
    }
}

impl<'a> DataSm<'a> {
    /// The delivery receipt that this data_sm is, if it is one.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt<'a>> {
        Receipt::of(self.esm_class, self.text(), self.tlvs)
    }
}

#[cfg(test)]
mod tests;
