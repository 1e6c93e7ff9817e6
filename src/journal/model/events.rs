//! What sessions and the journal thread say to each other. Everything travels in batches.

use super::key::Attempt;
use super::operation::{Ask, Told};
use crate::wire::{CommandStatus, MessageState};
use crossbeam_channel::Sender;
use hashbrown::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part that is to be sent, encoded but for its sequence number.
/// Many fields, since it is copied from the feeder to the socket and each is looked at on the way.
#[derive(Clone, Debug)]
pub struct Item {
    /// The attempt that sending it will be.
    pub attempt: Attempt,
    /// Its message: the number of the message's first part.
    pub message: i64,
    /// The destination as a number ([`crate::message::address::Destination::same_key`]).
    pub destination: u64,
    /// Where its submit_sm stands in the chunk's octets.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Index of its campaign in this run of the program.
    pub campaign: u32,
    /// Which part of the message it is, from 0.
    pub part: u8,
    /// How many parts the message has.
    pub parts: u8,
    /// SMS that it makes: more than one where the SMSC does the splitting.
    pub sms: u8,
    /// How many tries the SMSC has refused for reasons other than throttling.
    pub refused: u8,
    /// Other parts of its message went already, or may have, and no try of this one can have: without it the message would stay
    /// in pieces.
    pub completes: bool,
    /// Its PDU holds a user_message_reference that the operator gave.
    pub has_reference: bool,
    /// Its PDU holds optional parameters.
    pub has_tlvs: bool,
    /// From this moment on, in milliseconds since 1970, a time in its PDU has passed, and it is not sent any more.
    pub passes_at: i64,
}

impl Item {
    /// Whether the message's story can so far be read straight off its facts: one part, tried for the first time.
    pub fn is_plain(&self) -> bool {
        self.parts == 1 && self.attempt.tried() == 0
    }
}

/// Parts encoded together.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The parts, those of one message in a row.
    pub items: Vec<Item>,
    /// Their submit_sm PDUs, with sequence number 0.
    pub octets: Vec<u8>,
    /// They come from the retry queue.
    pub again: bool,
}

/// A claim that is on disk: consecutive items of a chunk, with consecutive serials and sequence numbers.
#[derive(Clone, Debug)]
pub struct Run {
    /// The encoded parts.
    pub chunk: Arc<Chunk>,
    /// Which of them.
    pub items: Range<usize>,
    /// Serial of the first.
    pub first_serial: i64,
    /// Sequence number of the first.
    pub first_sequence_number: u32,
    /// See [`crate::journal::model::outstanding`].
    pub generation: u32,
}

/// What is not to be sent any more, although it may be claimed.
#[derive(Debug, Default)]
pub struct Barred {
    /// Indices of campaigns that were cancelled.
    pub campaigns: Vec<u32>,
    /// Numbers that were suppressed, as [`crate::message::address::Destination::same_key`].
    pub numbers: HashSet<u64>,
}

impl Barred {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.campaigns.is_empty() && self.numbers.is_empty()
    }

    /// Whether a message of this campaign to this number is among it.
    pub fn bars(&self, campaign: u32, destination: u64) -> bool {
        self.campaigns.contains(&campaign) || self.numbers.contains(&destination)
    }
}

/// What the journal thread says to a session's writer. It never waits for a writer: a writer has at most one request for
/// parts outstanding, one for requests about messages that the SMSC has, and one withdrawal, and a reader stops reading when
/// too many of its receipts are not answered yet.
#[derive(Debug)]
pub enum ToSession {
    /// Parts to send, in this order; their claims are on disk.
    Send(Vec<Run>),
    /// Requests about messages that the SMSC has, in this order; their intents are on disk.
    Ask(Vec<Ask>),
    /// What is claimed and not written and is among this is not to be written: answered by [`ToJournal::GaveBack`].
    Withdraw(Vec<Arc<Barred>>),
    /// A batch of the session is on disk: its deliver_sm and data_sm may be answered.
    Stored(Acknowledge),
    /// A batch could not be stored: the SMSC is to send its deliver_sm and data_sm again.
    NotStored(Acknowledge),
    /// Send nothing more, not even what is claimed already: wait for answers and unbind.
    Stop,
}

/// Inbound PDUs that may be answered now.
#[derive(Clone, Debug, Default)]
pub struct Acknowledge {
    /// Sequence numbers of deliver_sm.
    pub deliver: Vec<u32>,
    /// Sequence numbers of data_sm.
    pub data: Vec<u32>,
}

impl Acknowledge {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.deliver.len() + self.data.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A part that was written, as its session remembers it.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The attempt.
    pub attempt: Attempt,
    /// Its message.
    pub message: i64,
    /// Under which number it was written.
    pub sequence_number: u32,
    /// Index of its campaign.
    pub campaign: u32,
    /// See [`Item::is_plain`].
    pub plain: bool,
    /// See [`Item::refused`].
    pub refused: u8,
    /// The response timer had expired, and the attempt was reported to be in doubt.
    pub late: bool,
    /// It was written with a user_message_reference that we added by ourselves.
    pub referenced: bool,
    /// See [`crate::journal::model::outstanding`].
    pub generation: u32,
    /// The number that it went to, as [`crate::message::address::Destination::same_key`]; 0: not known.
    pub destination: u64,
}

impl Sent {
    /// Whether this answer refuses nothing but the TLV that we added: the part is tried again without it.
    pub fn is_refused_for_reference(&self, status: CommandStatus) -> bool {
        self.referenced && status == CommandStatus::TLV_NOT_ALLOWED
    }
}

// One for each request outstanding: at a window of 100,000 on 64 connections it matters.
const _: () = assert!(size_of::<Sent>() <= 40);

/// An answer to an attempt.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was answered.
    pub sent: Sent,
    /// Its command_status.
    pub command_status: u32,
    /// It is a temporary refusal that is laid to the pace at which messages were sent: no try of its message.
    pub excused: bool,
    /// How long after the request was written it came.
    pub waited: Duration,
    /// Where the message id stands in the batch's octets; empty: none.
    pub message_id: Range<u32>,
    /// Its optional parameters as received; empty: none.
    pub tlvs: Range<u32>,
}

/// A receipt that was understood.
#[derive(Clone, Debug)]
pub struct ReceiptEvent {
    /// The message id that it names.
    pub message_id: Range<u32>,
    /// The id in its text, where that is another one than the TLV's; empty: none.
    pub text_id: Range<u32>,
    /// The state in it; `None`: there is none, or it is not understood.
    pub state: Option<MessageState>,
    /// Whether nothing more is to come.
    pub is_final: bool,
    /// What the other of the TLV message_state and the text's word says, where they differ.
    pub other: Option<MessageState>,
    /// The error code that it tells; empty: none.
    pub error: Range<u32>,
    /// The text as received.
    pub text: Range<u32>,
    /// The optional parameters as received.
    pub tlvs: Range<u32>,
    /// Source address.
    pub source: Range<u32>,
    /// Destination address.
    pub destination: Range<u32>,
}

/// A message from a handset, or a receipt that could not be understood.
#[derive(Clone, Debug)]
pub struct InboundEvent {
    /// The whole PDU.
    pub pdu: Range<u32>,
}

/// All that one read of a session's socket brought for the journal.
#[derive(Debug, Default)]
pub struct Batch {
    /// When it was read, in milliseconds since 1970.
    pub came_at: i64,
    /// What the ranges point into.
    pub octets: Vec<u8>,
    /// Answers to attempts.
    pub answers: Vec<Answer>,
    /// Receipts.
    pub receipts: Vec<ReceiptEvent>,
    /// Everything else that came in a deliver_sm or data_sm.
    pub inbound: Vec<InboundEvent>,
    /// What is to be answered once the batch is on disk.
    pub acknowledge: Acknowledge,
    /// Counts the batches of the session whose answers are committed ([`crate::journal::files::answer_log`]); `None`: none was noted.
    pub committed: Option<Arc<AtomicU64>>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.receipts.is_empty() && self.inbound.is_empty()
    }

    /// It is on disk: its notes are needed no more.
    pub fn note_committed(&self) {
        if let Some(committed) = &self.committed {
            committed.fetch_add(1, Ordering::Release);
        }
    }

    /// Appends octets, and says where they stand.
    pub fn keep(&mut self, octets: &[u8]) -> Range<u32> {
        let start = self.octets.len() as u32;
        self.octets.extend_from_slice(octets);
        start..self.octets.len() as u32
    }

    /// The octets of a range.
    pub fn octets(&self, range: &Range<u32>) -> &[u8] {
        self.octets.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

/// A connection that has bound and wants to be known as a session.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Address and port of the SMSC.
    pub peer: String,
    /// The account's user name.
    pub system_id: String,
    /// `trx`, `tx` or `rx`.
    pub bind: &'static str,
    /// `3.3`, `3.4` or `5.0`.
    pub smpp_version: &'static str,
    /// Its requests carry a user_message_reference.
    pub sends_reference: bool,
    /// What is sent on it may carry optional parameters.
    pub takes_tlvs: bool,
}

/// What a session gets when it is entered in the journal.
#[derive(Clone, Copy, Debug)]
pub struct SessionNumber {
    /// Its number.
    pub id: i64,
    /// One less than the first serial that it can get.
    pub serial_before: i64,
    /// The number of this run, at random and in the journal: what a session writes beside the journal belongs to it.
    pub run: u64,
}

/// Settings of the journal thread that may be changed while it runs.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// Messages from handsets that put their number on the suppression list, folded.
    pub opt_out_words: Vec<String>,
    /// Those that take it off again.
    pub opt_in_words: Vec<String>,
    /// Commits are at least this far apart.
    pub gather: Duration,
}

/// What sessions and the run say to the journal thread.
#[derive(Debug)]
pub enum ToJournal {
    /// A session begins.
    Open {
        /// What is known of it.
        facts: SessionFacts,
        /// Its writer.
        session: Sender<ToSession>,
        /// Where its number goes.
        reply: Sender<SessionNumber>,
    },
    /// The session has room for so many parts more.
    Want {
        /// Its number.
        session: i64,
        /// How many parts.
        parts: usize,
    },
    /// The session has room for so many requests about messages that the SMSC has.
    WantAsks {
        /// Its number.
        session: i64,
        /// How many.
        count: usize,
    },
    /// Such requests were answered.
    Told {
        /// The answers.
        told: Vec<Told>,
    },
    /// Such requests were written, and will not be answered any more.
    Untold {
        /// The numbers of the operations.
        operations: Vec<i64>,
        /// Why not.
        why: String,
        /// Their response timer expired; the session goes on.
        is_late: bool,
    },
    /// Such requests are not going to be written.
    Unasked {
        /// The numbers of the operations.
        operations: Vec<i64>,
    },
    /// What came from the SMSC.
    Came {
        /// The session on which it came.
        session: i64,
        /// What came.
        batch: Batch,
    },
    /// The response timer of these attempts expired; the session goes on.
    TimedOut {
        /// Its number.
        session: i64,
        /// The attempts.
        sent: Vec<Sent>,
    },
    /// These were claimed and are not going to be written.
    Withdrawn {
        /// The session's number.
        session: i64,
        /// The attempts.
        sent: Vec<Sent>,
        /// Why.
        reason: &'static str,
    },
    /// The answer to [`ToSession::Withdraw`]: these were claimed and are not going to be written. Without any, too.
    GaveBack {
        /// The session's number.
        session: i64,
        /// The attempts.
        sent: Vec<Sent>,
    },
    /// The session is about to end and wants no more parts: its sender is dropped, so that its writer sees the last of
    /// what was on its way to it.
    Closing {
        /// Its number.
        session: i64,
    },
    /// A part of what a session left when it ended: the journal thread divides a long [`ToJournal::Closed`] so.
    Lost {
        /// Its number.
        session: i64,
        /// Why.
        reason: String,
        /// Attempts that may have left and were not answered.
        unanswered: Vec<Sent>,
        /// Attempts that certainly never left.
        unwritten: Vec<Sent>,
    },
    /// The session ended. Comes after everything else of it.
    Closed {
        /// Its number.
        session: i64,
        /// Why.
        reason: String,
        /// Attempts that may have left and were not answered.
        unanswered: Vec<Sent>,
        /// Attempts that certainly never left.
        unwritten: Vec<Sent>,
    },
    /// Claim nothing more; sessions may finish when they have their answers.
    StopClaiming,
    /// Settings that hold from now on.
    Renew(Renewed),
    /// The settings were read anew, as commands asked: this is what they are answered.
    Reloaded(super::command::Answer),
}
