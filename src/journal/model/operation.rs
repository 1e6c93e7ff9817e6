//! Operations on messages that the SMSC has (query_sm, cancel_sm, replace_sm), as the rooms speak of them.

use crate::wire::MessageState;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// query_sm: what became of it?
    Query,
    /// cancel_sm: do not deliver it.
    Cancel,
    /// replace_sm: deliver another text.
    Replace,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Query, Self::Cancel, Self::Replace];

    /// As in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query_sm",
            Self::Cancel => "cancel_sm",
            Self::Replace => "replace_sm",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// An answer to an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Its command_status.
    pub command_status: u32,
    /// Of a query: message_state, as it came.
    pub state: Option<u8>,
    /// Of a query: when the message came to its end, as SMPP writes times.
    pub final_date: Option<String>,
    /// Of a query: the network's error.
    pub error_code: Option<u8>,
}

/// What came of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered.
    Answered(Answered),
    /// Asked, and not answered: it may have been done.
    Unanswered(String),
    /// Not asked.
    NotAsked(String),
}

/// A part and what came of it.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line of its message.
    pub line: i64,
    /// Which part, from 1.
    pub part: u8,
    /// Its destination.
    pub destination: String,
    /// What the SMSC calls it.
    pub message_id: Option<String>,
    /// What came of it.
    pub fate: Fate,
}

/// A request that is to be written on a session that sends messages, too. Its intent is on disk.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The number of the operation in the journal.
    pub operation: i64,
    /// What the SMSC calls the message.
    pub message_id: String,
    /// The request, with sequence number 0.
    pub pdu: Vec<u8>,
}

/// An answer to such a request.
#[derive(Clone, Debug)]
pub struct Told {
    /// The number of the operation in the journal.
    pub operation: i64,
    /// The answer.
    pub answer: Answered,
    /// The state that a query was answered with, where it is final.
    pub state: Option<MessageState>,
}
