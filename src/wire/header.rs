//! The 16-octet header that every PDU starts with (v3.4 section 3.2), and the command ids.
use std::fmt;

use super::status::CommandStatus;

/// Octets of a PDU header, the least that a command_length may say.
pub const HEADER_OCTETS: usize = 16;

/// The longest PDU that is accepted, in octets: a message_payload of 64 KiB, its mandatory fields and some TLVs fit.
/// A command_length above it ends the session, because such a stream is not SMPP or not to be trusted.
pub const MAX_PDU_OCTETS: usize = 70_000;

/// The highest sequence number (v3.4 section 3.2). The lowest is 1; 0 is seen only in a generic_nack.
pub const SEQUENCE_NUMBER_MAX: u32 = 0x7FFF_FFFF;

/// The header of a PDU, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Octets of the whole PDU, the header among them.
    pub command_length: u32,
    /// What the PDU is.
    pub command_id: CommandId,
    /// The outcome, in an answer; 0 in a request.
    pub command_status: CommandStatus,
    /// Ties an answer to its request. Each direction numbers its own requests.
    pub sequence_number: u32,
}

/// Reads the header of a PDU; `None` if there are fewer than 16 octets. No field is judged.
#[inline]
#[must_use]
pub fn decode_header(frame: &[u8]) -> Option<Header> {
    let octets: &[u8; HEADER_OCTETS] = frame.first_chunk()?;
    let word = |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
    Some(Header {
        command_length: word(0),
        command_id: CommandId(word(4)),
        command_status: CommandStatus(word(8)),
        sequence_number: word(12),
    })
}

/// A command_id (v3.4 section 5.1.2.1), known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

/// The bit that makes an id that of an answer.
const RESPONSE_BIT: u32 = 0x8000_0000;

macro_rules! command_ids {
    ($($constant:ident $value:literal $name:literal)*) => {
        impl CommandId {
            $(#[doc = concat!("`", $name, "`, ", stringify!($value), ".")] pub const $constant: Self = Self($value);)*

            /// The name in the specification; `"unknown"` for an id that it does not have.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 { $($value => $name,)* _ => "unknown" }
            }
        }

        #[cfg(test)]
        const ALL: &[CommandId] = &[$(CommandId::$constant),*];
    };
}

command_ids! {
    GENERIC_NACK 0x8000_0000 "generic_nack"
    BIND_RECEIVER 0x01 "bind_receiver"
    BIND_RECEIVER_RESP 0x8000_0001 "bind_receiver_resp"
    BIND_TRANSMITTER 0x02 "bind_transmitter"
    BIND_TRANSMITTER_RESP 0x8000_0002 "bind_transmitter_resp"
    QUERY_SM 0x03 "query_sm"
    QUERY_SM_RESP 0x8000_0003 "query_sm_resp"
    SUBMIT_SM 0x04 "submit_sm"
    SUBMIT_SM_RESP 0x8000_0004 "submit_sm_resp"
    DELIVER_SM 0x05 "deliver_sm"
    DELIVER_SM_RESP 0x8000_0005 "deliver_sm_resp"
    UNBIND 0x06 "unbind"
    UNBIND_RESP 0x8000_0006 "unbind_resp"
    REPLACE_SM 0x07 "replace_sm"
    REPLACE_SM_RESP 0x8000_0007 "replace_sm_resp"
    CANCEL_SM 0x08 "cancel_sm"
    CANCEL_SM_RESP 0x8000_0008 "cancel_sm_resp"
    BIND_TRANSCEIVER 0x09 "bind_transceiver"
    BIND_TRANSCEIVER_RESP 0x8000_0009 "bind_transceiver_resp"
    OUTBIND 0x0B "outbind"
    ENQUIRE_LINK 0x15 "enquire_link"
    ENQUIRE_LINK_RESP 0x8000_0015 "enquire_link_resp"
    SUBMIT_MULTI 0x21 "submit_multi"
    SUBMIT_MULTI_RESP 0x8000_0021 "submit_multi_resp"
    ALERT_NOTIFICATION 0x102 "alert_notification"
    DATA_SM 0x103 "data_sm"
    DATA_SM_RESP 0x8000_0103 "data_sm_resp"
}

impl CommandId {
    /// Whether this is the id of an answer. generic_nack is one.
    #[inline]
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE_BIT != 0
    }

    /// The id of the answer to this request. An answer has none of its own and gives itself.
    #[inline]
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | RESPONSE_BIT)
    }

    /// The request that this answers; `None` for a request and for generic_nack, which answers anything.
    #[inline]
    #[must_use]
    pub const fn response_of(self) -> Option<Self> {
        if self.0 & RESPONSE_BIT == 0 || self.0 == RESPONSE_BIT { None } else { Some(Self(self.0 & !RESPONSE_BIT)) }
    }

    /// Whether the specification has this id.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.name() != "unknown"
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_known() { f.write_str(self.name()) } else { write!(f, "command_id 0x{:08X}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_four_big_endian_words() {
        let octets = [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x58, 0x7F, 0xFF, 0xFF, 0xFF];
        let header = decode_header(&octets).unwrap();
        assert_eq!(header.command_length, 16);
        assert_eq!(header.command_id, CommandId::SUBMIT_SM_RESP);
        assert_eq!(header.command_status, CommandStatus(0x58));
        assert_eq!(header.sequence_number, SEQUENCE_NUMBER_MAX);
        assert_eq!(decode_header(&octets[..15]), None);
    }

    #[test]
    fn answers_and_requests_pair_up() {
        for &id in ALL {
            assert!(id.is_known(), "{id}");
            assert_eq!(id.is_response(), id == CommandId::GENERIC_NACK || id.name().ends_with("_resp"), "{id}");
            if let Some(request) = id.response_of() {
                assert_eq!(request.response(), id);
                assert_eq!(format!("{request}_resp"), id.name());
            }
        }
        assert_eq!(CommandId::GENERIC_NACK.response_of(), None);
        assert_eq!(CommandId(0x1234).to_string(), "command_id 0x00001234");
    }
}
