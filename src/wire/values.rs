//! The values of single fields: esm_class, registered_delivery, data_coding, message_state.
use std::fmt;

/// esm_class (v3.4 section 5.2.12). Inbound, bits 5 to 2 are one field, the message type; the others are bits.
pub mod esm_class {
    /// The bits that make the message type.
    pub const TYPE_MASK: u8 = 0x3C;
    /// Message type: an ordinary message.
    pub const TYPE_MESSAGE: u8 = 0x00;
    /// Message type: a delivery receipt of the SMSC.
    pub const TYPE_RECEIPT: u8 = 0x04;
    /// Message type: a delivery acknowledgement of the receiving device.
    pub const TYPE_DELIVERY_ACK: u8 = 0x08;
    /// Message type: an acknowledgement by the receiving user.
    pub const TYPE_USER_ACK: u8 = 0x10;
    /// Message type: a conversation was aborted (Korean CDMA).
    pub const TYPE_CONVERSATION_ABORT: u8 = 0x18;
    /// Message type: an intermediate notification.
    pub const TYPE_INTERMEDIATE: u8 = 0x20;
    /// The text starts with a user data header.
    pub const UDHI: u8 = 0x40;
    /// A reply path is set.
    pub const REPLY_PATH: u8 = 0x80;
    /// Outbound messaging mode: store and forward. 0 is the SMSC's default mode, as a rule the same.
    pub const MODE_STORE_AND_FORWARD: u8 = 0x03;

    /// The message type of an inbound esm_class.
    #[inline]
    #[must_use]
    pub const fn message_type(esm_class: u8) -> u8 {
        esm_class & TYPE_MASK
    }

    /// Whether the text starts with a user data header.
    #[inline]
    #[must_use]
    pub const fn has_udh(esm_class: u8) -> bool {
        esm_class & UDHI != 0
    }
}

/// registered_delivery (v3.4 section 5.2.17): which receipts a submit asks for.
pub mod registered_delivery {
    /// None.
    pub const NONE: u8 = 0x00;
    /// A receipt for the final outcome, good or bad.
    pub const ALWAYS: u8 = 0x01;
    /// A receipt only when delivery failed.
    pub const ON_FAILURE: u8 = 0x02;
    /// A receipt only when delivery succeeded (v5.0).
    pub const ON_SUCCESS: u8 = 0x03;
    /// The bits that ask for a receipt of the SMSC.
    pub const RECEIPT_MASK: u8 = 0x03;
    /// Besides, intermediate notifications.
    pub const INTERMEDIATE: u8 = 0x10;
}

/// data_coding (v3.4 section 5.2.19).
pub mod data_coding {
    /// The SMSC's default alphabet: GSM 03.38 with one septet per octet, unless a peer says otherwise.
    pub const DEFAULT: u8 = 0x00;
    /// ASCII (IA5).
    pub const ASCII: u8 = 0x01;
    /// Eight-bit binary, in the first of its two codes.
    pub const OCTET: u8 = 0x02;
    /// Latin-1 (ISO 8859-1).
    pub const LATIN1: u8 = 0x03;
    /// Eight-bit binary.
    pub const BINARY: u8 = 0x04;
    /// Shift-JIS.
    pub const JIS: u8 = 0x05;
    /// Cyrillic (ISO 8859-5).
    pub const CYRILLIC: u8 = 0x06;
    /// Hebrew (ISO 8859-8).
    pub const HEBREW: u8 = 0x07;
    /// UCS2, in practice UTF-16 big-endian.
    pub const UCS2: u8 = 0x08;
    /// The default alphabet as a flash message (message class 0, 3GPP TS 23.038).
    pub const CLASS_0_GSM: u8 = 0x10;
    /// UCS2 as a flash message (message class 0).
    pub const CLASS_0_UCS2: u8 = 0x18;
}

/// Where a message is on its way (message_state, v3.4 section 5.2.28; v5.0 adds SCHEDULED and SKIPPED).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageState {
    /// 0: waits for its time (v5.0).
    Scheduled,
    /// 1: on its way.
    Enroute,
    /// 2: arrived.
    Delivered,
    /// 3: its validity period ended first.
    Expired,
    /// 4: somebody deleted it.
    Deleted,
    /// 5: cannot be delivered.
    Undeliverable,
    /// 6: somebody other than the recipient took it. Whether that is final, peers disagree.
    Accepted,
    /// 7: the SMSC does not know.
    Unknown,
    /// 8: refused.
    Rejected,
    /// 9: left out on purpose (v5.0).
    Skipped,
    /// Not a code of the specification: what receipts with the word FAILED say.
    Failed,
}

const STATES: [(MessageState, &str); 11] = [
    (MessageState::Scheduled, "SCHEDULED"),
    (MessageState::Enroute, "ENROUTE"),
    (MessageState::Delivered, "DELIVERED"),
    (MessageState::Expired, "EXPIRED"),
    (MessageState::Deleted, "DELETED"),
    (MessageState::Undeliverable, "UNDELIVERABLE"),
    (MessageState::Accepted, "ACCEPTED"),
    (MessageState::Unknown, "UNKNOWN"),
    (MessageState::Rejected, "REJECTED"),
    (MessageState::Skipped, "SKIPPED"),
    (MessageState::Failed, "FAILED"),
];

impl MessageState {
    /// The state of this code of the specification, 0..=9.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        STATES.get(usize::from(code)).map(|&(state, _)| state).filter(|&state| state != Self::Failed)
    }

    /// The code of the specification; `None` for FAILED, which has none.
    #[must_use]
    pub fn code(self) -> Option<u8> {
        (self != Self::Failed).then_some(self as u8)
    }

    /// The name, as reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        STATES[self as usize].1
    }

    /// The state of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        STATES.iter().find(|(_, each)| *each == name).map(|&(state, _)| state)
    }

    /// The seven-letter word for `stat:` in a delivery receipt (v3.4 appendix B).
    #[must_use]
    pub fn receipt_word(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDUL",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing can follow. ACCEPTED is what the caller says it is.
    #[must_use]
    pub fn is_final(self, accepted_is_final: bool) -> bool {
        match self {
            Self::Scheduled | Self::Enroute => false,
            Self::Accepted => accepted_is_final,
            _ => true,
        }
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_codes_and_names_agree() {
        for (index, &(state, name)) in STATES.iter().enumerate() {
            assert_eq!(state as usize, index);
            assert_eq!(state.name(), name);
            assert_eq!(MessageState::from_name(name), Some(state));
            match state.code() {
                Some(code) => assert_eq!(MessageState::from_code(code), Some(state)),
                None => assert_eq!(state, MessageState::Failed),
            }
        }
        assert_eq!(MessageState::from_code(10), None);
        assert_eq!(MessageState::from_code(255), None);
        assert!(!MessageState::Accepted.is_final(false) && MessageState::Accepted.is_final(true));
        assert!(!MessageState::Enroute.is_final(true) && MessageState::Failed.is_final(false));
    }

    #[test]
    fn the_message_type_is_a_field_and_not_bits() {
        assert_eq!(esm_class::message_type(0x44), esm_class::TYPE_RECEIPT);
        assert_eq!(esm_class::message_type(0xA3), esm_class::TYPE_INTERMEDIATE);
        assert!(esm_class::has_udh(0x44) && !esm_class::has_udh(0x84));
    }
}
