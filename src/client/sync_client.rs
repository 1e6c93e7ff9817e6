//! A session for a few requests, on one thread: what `probe` and the operations on messages at the SMSC speak over.

use super::bind::Bound;
use super::session_end::SessionEnd;
use crate::wire::{
    CommandId, CommandStatus, decode_header, encode_data_sm_resp, encode_deliver_sm_resp, encode_enquire_link_resp,
    encode_header_only,
};
use std::time::{Duration, Instant};

/// How long the answer to an unbind may take.
const UNBIND: Duration = Duration::from_secs(2);
/// The bind had the first number.
const FIRST_NUMBER: u32 = 2;

/// A bound session whose PDUs are taken one at a time.
#[derive(Debug)]
pub struct Dialogue {
    bound: Bound,
    next_number: u32,
}

impl Dialogue {
    /// Takes over a session that was just bound.
    pub fn new(bound: Bound) -> Self {
        Self { bound, next_number: FIRST_NUMBER }
    }

    /// What the SMSC said of itself in its bind_resp.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The sequence number of the next request.
    pub fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Writes PDUs.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), SessionEnd> {
        self.bound.writer.write(octets).map_err(SessionEnd::Broken)
    }

    /// The next PDU that is not about the link itself; `None`: none came until `deadline`. What is there by then is seen.
    pub fn receive(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, SessionEnd> {
        loop {
            while let Some(frame) = self.next_frame()? {
                let Some(header) = decode_header(&frame) else { continue };
                match header.command_id {
                    CommandId::ENQUIRE_LINK => {
                        let mut answer = Vec::new();
                        encode_enquire_link_resp(header.sequence_number, &mut answer);
                        self.bound.writer.write(&answer).map_err(SessionEnd::Link)?;
                    }
                    CommandId::UNBIND => return Err(SessionEnd::Unbound),
                    _ => return Ok(Some(frame)),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && !self.bound.reader.has_news() {
                return Ok(None);
            }
            self.bound.reader.set_timeout(left).map_err(SessionEnd::Link)?;
            match self.bound.reader.read(self.bound.frames.spare()) {
                Ok(Some(0)) => return Err(SessionEnd::Closed),
                Ok(Some(count)) => self.bound.frames.filled(count),
                Ok(None) => {}
                Err(error) => return Err(SessionEnd::Broken(error)),
            }
        }
    }

    /// What is there already, that which came before the answer to the bind first.
    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, SessionEnd> {
        if !self.bound.early.is_empty() {
            return Ok(Some(self.bound.early.remove(0)));
        }
        let frame = self.bound.frames.next_frame().map_err(SessionEnd::Frame)?;
        Ok(frame.map(<[u8]>::to_vec))
    }

    /// Answers a deliver_sm or data_sm, and nothing else.
    pub fn acknowledge(&mut self, frame: &[u8], status: CommandStatus) -> Result<(), SessionEnd> {
        let mut answer = Vec::new();
        match decode_header(frame) {
            Some(header) if header.command_id == CommandId::DELIVER_SM => {
                encode_deliver_sm_resp(header.sequence_number, status, &mut answer);
            }
            Some(header) if header.command_id == CommandId::DATA_SM => {
                encode_data_sm_resp(header.sequence_number, status, &mut answer);
            }
            _ => return Ok(()),
        }
        self.write(&answer)
    }

    /// Unbinds, without waiting for the answer.
    pub fn leave(self) {
        self.bound.leave();
    }

    /// Unbinds, waits a moment for the answer, and closes the connection. Returns whether the answer came. What else comes is
    /// left unanswered, so that the SMSC keeps it.
    pub fn unbind(mut self) -> bool {
        let (number, mut unbind) = (self.number(), Vec::new());
        encode_header_only(CommandId::UNBIND, CommandStatus::OK, number, &mut unbind);
        let deadline = Instant::now() + UNBIND;
        let mut is_answered = false;
        let is_answer = |frame: &[u8]| {
            decode_header(frame)
                .is_some_and(|header| header.command_id.is_response() && header.sequence_number == number)
        };
        if self.write(&unbind).is_ok() {
            while let Ok(Some(frame)) = self.receive(deadline) {
                is_answered = is_answer(&frame);
                if is_answered {
                    break;
                }
            }
        }
        self.bound.writer.shutdown();
        is_answered
    }
}
