//! What a client is held to, and what was seen of it.

use std::time::{Duration, Instant};

/// What a client is held to.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Requests outstanding on a session, at most.
    pub window: usize,
    /// After this long without an answer a request no longer counts in the window. Defaults to never.
    pub response_timeout: Option<Duration>,
    /// The system_id expected, if any.
    pub system_id: Option<String>,
    /// The password expected, if any.
    pub password: Option<String>,
    /// A password over 8 characters is let through, although the specification has no room for it. Defaults to false.
    pub long_password: bool,
    /// Fields other than the text may be anything, as operators may set them. Defaults to false.
    pub free_fields: bool,
    /// The client may be killed, and so leave PDUs and long messages unfinished. Defaults to false.
    pub client_may_die: bool,
    /// Long messages may end up spread over sessions or unfinished, because this SMSC breaks sessions or refuses parts.
    pub torn_messages: bool,
    /// enquire_link must be answered within this. Defaults to 2 s.
    pub enquire_within: Duration,
    /// deliver_sm and data_sm must be answered within this. Defaults to 10 s.
    pub deliver_within: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            window: usize::MAX,
            response_timeout: None,
            system_id: Some("test".into()),
            password: Some("secret".into()),
            long_password: false,
            free_fields: false,
            client_may_die: false,
            torn_messages: false,
            enquire_within: Duration::from_secs(6),
            deliver_within: Duration::from_secs(20),
        }
    }
}

/// Where a part stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    pub reference: u16,
    pub total: u8,
    pub number: u8,
}

/// A submit_sm as it was received, and what became of it.
#[derive(Clone, Debug)]
pub struct Submit {
    pub at: Instant,
    /// Which connection, from 1.
    pub session: usize,
    /// Which submit of all, from 1.
    pub nth: usize,
    /// Which submit of its session, from 1.
    pub nth_of_session: usize,
    pub sequence_number: u32,
    pub source: String,
    pub source_ton: u8,
    pub source_npi: u8,
    pub destination: String,
    pub destination_ton: u8,
    pub destination_npi: u8,
    pub esm_class: u8,
    pub registered_delivery: u8,
    pub data_coding: u8,
    /// Of the text, without its header.
    pub octets: Vec<u8>,
    pub text: String,
    pub part: Option<Part>,
    /// Tags of the optional parameters.
    pub tags: Vec<u16>,
    /// The whole PDU.
    pub pdu: Vec<u8>,
    /// The command_status answered; `None`: not answered (yet).
    pub status: Option<u32>,
    /// The message_id answered.
    pub message_id: Option<String>,
}

/// What a PDU was, for the SMSC to act on.
#[derive(Clone, Debug)]
pub enum Seen {
    Bind {
        command_id: u32,
        sequence_number: u32,
        system_id: String,
        password: String,
        version: u8,
    },
    Submit(Box<Submit>),
    EnquireLink(u32),
    Unbind(u32),
    /// An answer to a request of the SMSC: command_id, status, sequence number.
    Answer(u32, u32, u32),
    Nack(u32, u32),
    /// A request that this SMSC does not know, or that cannot be read: to be refused.
    Unknown(u32, u32),
}
