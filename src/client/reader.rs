//! The reading half of a session: frames and decodes, frees slots of the window, keeps the response timers, and hands to
//! the journal whatever has to be on disk before it is answered.

mod frames;

use super::{ReceiptReading, ReceiptState, SessionEnd, Timers, answer_of, final_state};
use crate::client::link::ReadHalf;
use crate::client::window::Window;
use crate::journal::files::answer_log::Notes;
use crate::journal::model::events::{Acknowledge, Answer, Batch, InboundEvent, ReceiptEvent, ToJournal};
use crate::journal::model::operation::Told;
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::model::sequence;
use crate::journal::now_ms;
use crate::platform::failpoint::reach;
use crate::policy::controller;
use crate::policy::pacer::{Hold, Pacer};
use crate::wire::tlv::Tag;
use crate::wire::{
    CommandId, CommandStatus, FrameBuffer, Header, MessageState, Pdu, Receipt, Stat, StatusClass, Tlvs, decode,
    decode_answer, decode_header, encode_enquire_link_resp, encode_generic_nack,
};
use crate::words::format::count;
use crossbeam_channel::Sender;
use frames::{ForWriter, take, tell};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Batches with inbound PDUs that may wait for their commit at a time. A reader that has used them up stops reading, and
/// TCP pushes back.
pub const CREDITS: usize = 64;

/// How often it is looked whether the journal has answers that could not be noted.
const OWED_LOOK: Duration = Duration::from_millis(5);

/// A reader that comes back to its socket so much later than it should was held up.
const HELD_UP: Duration = Duration::from_millis(250);

/// Why a request about a message that the SMSC has is taken to be unanswered.
const SILENT: &str = "no answer within the response timeout";

/// What the reader tells its writer.
#[derive(Debug)]
pub enum FromReader {
    /// Slots of the window are free.
    Freed,
    /// Requests about messages that the SMSC has are not answered; their slots are free.
    Untold,
    /// enquire_link was answered.
    LinkAnswered,
    /// enquire_link, or our unbind, was answered by generic_nack.
    LinkNacked(CommandStatus),
    /// The peer refused messages since, as it says, the session is not bound.
    NotBound(CommandStatus),
    /// PDUs to be written as they are.
    Reply(Vec<u8>),
    /// The same, and nothing after them: the session cannot go on.
    LastReply(Vec<u8>),
    /// The peer wants to end the session, and waits for an answer to this sequence number.
    Unbind(u32),
    /// The peer answered our unbind.
    UnbindAnswered,
    /// What waits for its answer will not get one, and nothing else can be sent.
    Stuck,
    /// The peer could not make sense of something and does not say of what.
    Nack(CommandStatus),
}

/// What reader and writer of a session share beside the window.
#[derive(Debug)]
pub struct Pulse {
    start: Instant,
    /// Since the start. A peer nearby answers within the millisecond in which it was asked.
    heard_ns: AtomicU64,
    /// The reader has its hands full, or waits for the journal: what the peer says meanwhile is not heard yet.
    busy: AtomicBool,
    answered: AtomicBool,
    accepted: AtomicBool,
}

impl Pulse {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            heard_ns: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            accepted: AtomicBool::new(false),
        }
    }

    fn hear(&self) {
        self.heard_ns.store(self.start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// When the peer was last heard, or nobody was listening.
    pub fn heard_at(&self) -> Instant {
        if self.busy.load(Ordering::Relaxed) {
            return Instant::now();
        }
        self.start + Duration::from_nanos(self.heard_ns.load(Ordering::Relaxed))
    }

    /// Whether a submit was answered on this session, in whichever way.
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether a submit was accepted on this session.
    pub fn has_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// The reader's own.
/// What a session hands to the thread of its reader.
pub struct Reader {
    pub link: ReadHalf,
    pub frames: FrameBuffer,
    /// PDUs that came before the answer to the bind.
    pub early: Vec<Vec<u8>>,
    pub session: i64,
    pub timers: Timers,
    pub reading: ReceiptReading,
    pub window: Arc<Mutex<Window>>,
    pub pulse: Arc<Pulse>,
    pub pacer: Arc<Pacer>,
    pub rules: Arc<RetryRules>,
    pub journal: Sender<ToJournal>,
    pub writer: Sender<FromReader>,
    pub credits: Sender<()>,
    pub notes: Notes,
    /// Answers as the pacer is told of them. Kept, so that it is made once.
    pub paced: Vec<controller::Answered>,
    /// Requests of this session are missed.
    pub misses: bool,
    /// Slots whose answers could not be noted: free when the journal has committed so many batches.
    pub owed: Option<Owed>,
}

/// See [`Reader::owed`].
pub struct Owed {
    batches: u64,
    slots: usize,
}

/// An answer found in a read, before the window has been asked whose it is.
struct Found {
    sequence_number: u32,
    command_status: u32,
    message_id: Range<u32>,
    tlvs: Range<u32>,
}

impl Reader {
    /// Reads until the connection ends; says why it did.
    pub fn run(mut self) -> SessionEnd {
        // Short enough for the response timers, long enough to cost nothing.
        let tick = (self.timers.response / 4).clamp(Duration::from_millis(10), Duration::from_millis(500));
        if let Err(error) = self.link.set_timeout(tick) {
            return SessionEnd::Socket(error);
        }
        let mut found = Vec::new();
        let mut partial_since: Option<Instant> = None;
        let mut checked = Instant::now();
        let mut looks_often = false;
        let mut round = Instant::now();
        loop {
            // First what is there already: the answer to the bind may have come with more.
            self.pulse.busy.store(true, Ordering::Relaxed);
            let pending = self.frames.pending();
            if let Err(reason) = self.take_frames(&mut found) {
                return reason;
            }
            if self.frames.pending() < pending {
                // A PDU is whole: what there is of the next has just begun to arrive.
                partial_since = None;
            }
            self.settle_owed();
            if self.owed.is_some() != looks_often {
                looks_often = self.owed.is_some();
                if let Err(error) = self.link.set_timeout(if looks_often { OWED_LOOK } else { tick }) {
                    return SessionEnd::Socket(error);
                }
            }
            let now = Instant::now();
            if now - round >= 2 * tick + HELD_UP {
                // It waited for the journal, or was stopped. What the peer said meanwhile lies in the socket: before
                // anything counts as unanswered, that is to be read.
                checked = now;
                partial_since = partial_since.map(|_| now);
                self.pulse.hear();
            }
            round = now;
            self.pulse.busy.store(false, Ordering::Relaxed);
            partial_since = self.frames.has_partial().then(|| partial_since.unwrap_or(now));
            if partial_since.is_some_and(|since| now - since >= self.timers.response) {
                return SessionEnd::HalfPdu(self.timers.response);
            }
            if now - checked >= tick {
                checked = now;
                if !self.expire(now) {
                    return SessionEnd::Stopped;
                }
            }
            match self.link.read(self.frames.spare()) {
                Ok(None) => {}
                Ok(Some(0)) => return SessionEnd::Closed,
                Ok(Some(count)) => {
                    self.frames.filled(count);
                    self.pulse.hear();
                }
                Err(error) => return SessionEnd::Broken(error),
            }
            if let Err(failed) = reach("read") {
                return SessionEnd::Broken(failed.into());
            }
            if self.link.owes_writing() {
                // A wake-up: TLS has something to say that only the writer may write.
                let _ = self.writer.try_send(FromReader::Freed);
            }
        }
    }

    /// Response timers: what has waited too long is in doubt, and its slot free.
    fn expire(&mut self, now: Instant) -> bool {
        let (sent, untold, silence, is_refuted, has_to_wake) = {
            let mut window = self.window.lock();
            let (silence, is_refuted) = (window.silence(now), window.refutes_silence(now));
            let untold = window.asked().expire(now, self.timers.response);
            (window.expire(now, self.timers.response), untold, silence, is_refuted, window.has_to_wake())
        };
        if !untold.is_empty() {
            let _ = self.writer.try_send(FromReader::Untold);
            let why = SILENT.to_owned();
            if self.journal.send(ToJournal::Untold { operations: untold, why, is_late: true }).is_err() {
                return false;
            }
        }
        if is_refuted {
            self.pacer.refute_silence();
        } else if let Some(silence) = silence {
            self.misses = true;
            if self.pacer.silent(silence.window) && silence.is_stuck {
                let _ = self.writer.try_send(FromReader::Stuck);
            }
        }
        if sent.is_empty() {
            return true;
        }
        // They were missed for good: an answer to another one does not make that undone.
        self.misses = false;
        log::warn!(
            "{} without an answer within the response timeout ({:?}): in doubt",
            count(sent.len() as i64, "request"),
            self.timers.response
        );
        if has_to_wake {
            let _ = self.writer.try_send(FromReader::Freed);
        }
        self.journal.send(ToJournal::TimedOut { session: self.session, sent }).is_ok()
    }

    /// Takes what has arrived whole. Whatever ends the session, the answers that came before it go to the journal: the
    /// window has let go of them, so nobody else knows.
    fn take_frames(&mut self, found: &mut Vec<Found>) -> Result<(), SessionEnd> {
        let mut batch = Batch::default();
        let mut for_writer = ForWriter::default();
        let mut outcome = self.sort_frames(found, &mut batch, &mut for_writer);
        let (slots, refused) = self.attribute(found, &mut batch);
        let reply = if outcome.is_ok() { FromReader::Reply } else { FromReader::LastReply };
        if !for_writer.replies.is_empty() && self.writer.send(reply(for_writer.replies)).is_err() {
            outcome = outcome.and(Err(SessionEnd::Stopped));
        }
        if !batch.is_empty() {
            outcome = outcome.and(self.pass_on(batch, slots, refused));
        }
        if !for_writer.told.is_empty() {
            outcome = outcome.and(self.pass_on_told(&for_writer.told));
        }
        match for_writer.unbind {
            Some(number) => outcome.and(self.writer.send(FromReader::Unbind(number)).map_err(|_| SessionEnd::Stopped)),
            None => outcome,
        }
    }

    /// Gives what came to the journal.
    fn pass_on(&mut self, mut batch: Batch, slots: usize, refused: usize) -> Result<(), SessionEnd> {
        let mut outcome = Ok(());
        batch.came_at = now_ms();
        if !batch.answers.is_empty() {
            self.note(&mut batch, slots);
        }
        if !batch.acknowledge.is_empty() && self.credits.send(()).is_err() {
            // Nobody is there any more to answer the SMSC, which will say it again.
            batch.acknowledge = Acknowledge::default();
            outcome = outcome.and(Err(SessionEnd::Stopped));
        }
        self.journal.send(ToJournal::Came { session: self.session, batch }).map_err(|_| SessionEnd::Stopped)?;
        if refused > 0 {
            self.window.lock().note_recorded(refused);
            // A wake-up for what was withheld meanwhile.
            let _ = self.writer.try_send(FromReader::Freed);
        }
        outcome
    }

    /// Gives answers about messages that the SMSC has to the journal.
    fn pass_on_told(&self, frames: &[Vec<u8>]) -> Result<(), SessionEnd> {
        let mut told = Vec::new();
        let has_to_wake = {
            let mut window = self.window.lock();
            for frame in frames {
                let asked = decode_header(frame).and_then(|header| window.told(header.sequence_number));
                let Some((operation, message_id)) = asked else { continue };
                let Some(answer) = answer_of(frame, &message_id) else { continue };
                let state = final_state(&self.reading, &answer);
                told.push(Told { operation, answer, state });
            }
            window.has_to_wake()
        };
        if has_to_wake {
            let _ = self.writer.try_send(FromReader::Freed);
        }
        if told.len() < frames.len() {
            let unknown = frames.len() - told.len();
            log::warn!("{unknown} answers about messages that the SMSC was not asked about: ignored");
        }
        match told.is_empty() {
            true => Ok(()),
            false => self.journal.send(ToJournal::Told { told }).map_err(|_| SessionEnd::Stopped),
        }
    }

    fn sort_frames(
        &mut self,
        found: &mut Vec<Found>,
        batch: &mut Batch,
        for_writer: &mut ForWriter,
    ) -> Result<(), SessionEnd> {
        for frame in std::mem::take(&mut self.early) {
            take(&frame, &self.reading, batch, found, for_writer, &self.writer)?;
        }
        loop {
            match self.frames.next_frame() {
                Ok(Some(frame)) => take(frame, &self.reading, batch, found, for_writer, &self.writer)?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    encode_generic_nack(0, CommandStatus::INVALID_COMMAND_LENGTH, &mut for_writer.replies);
                    return Err(SessionEnd::Unframed(error));
                }
            }
        }
    }

    /// Notes what was answered; then, and not before, its slots are free: a process that dies leaves no more than a window
    /// that is neither noted nor answered.
    fn note(&mut self, batch: &mut Batch, slots: usize) {
        if crate::platform::sabotage::is("no-notes") {
            return self.release(slots);
        }
        let noted = reach("note").map_err(Into::into).and_then(|()| self.notes.note(batch, &self.rules));
        match noted.and_then(|()| Ok(reach("noted")?)) {
            Ok(()) => self.release(slots),
            Err(error) => {
                if self.owed.is_none() {
                    log::warn!("answers cannot be noted ({error}): their slots are free when the journal has them");
                }
                let owed = self.owed.get_or_insert(Owed { batches: 0, slots: 0 });
                owed.batches = self.notes.batches();
                owed.slots += slots;
            }
        }
    }

    /// Frees the slots of answers that could not be noted and are committed by now.
    fn settle_owed(&mut self) {
        if let Some(owed) = self.owed.take_if(|owed| self.notes.is_committed(owed.batches)) {
            self.release(owed.slots);
        }
    }

    fn release(&self, slots: usize) {
        let has_to_wake = {
            let mut window = self.window.lock();
            window.release(slots);
            window.set_limit(self.pacer.window());
            window.has_to_wake()
        };
        if has_to_wake {
            // Where the writer has not seen the last one yet, that is as good.
            let _ = self.writer.try_send(FromReader::Freed);
        }
    }

    /// Finds out whose answers these are: one look at the window for all of them. Returns how many slots they held, and
    /// how many parts of longer messages are refused for good: before their slots are free, their messages are barred.
    fn attribute(&mut self, found: &mut Vec<Found>, batch: &mut Batch) -> (usize, usize) {
        let (mut slots, mut refused) = (0, 0);
        if found.is_empty() {
            return (slots, refused);
        }
        let now = Instant::now();
        let (mut accepted, mut is_refused, mut unknown) = (0, false, 0);
        let first = batch.answers.len();
        let attentive = self.pacer.is_attentive();
        // How long the last had waited, if it was accepted.
        let mut alike = None;
        let mut window = self.window.lock();
        for answer in found.drain(..) {
            let Some(answered) = window.answered(answer.sequence_number, now) else {
                unknown += 1;
                continue;
            };
            let sent = answered.sent;
            slots += usize::from(!sent.late);
            let is_accepted = answer.command_status == CommandStatus::OK.0;
            accepted += usize::from(is_accepted);
            is_refused |= !is_accepted;
            if sent.late {
                self.pacer.not_silent();
            } else if is_accepted
                && !attentive
                && alike == Some(answered.waited)
                && let Some(last) = self.paced.last_mut()
            {
                // Most were written together with the one before.
                last.count += 1;
                last.depth = last.depth.max(answered.depth);
            } else {
                alike = is_accepted.then_some(answered.waited);
                let status = CommandStatus(answer.command_status);
                if is_accepted || self.rules.may_be_of_the_pace(status) {
                    let sent_at = self.pacer.seconds(now - answered.waited);
                    tell(&mut self.paced, attentive, sent_at, answered.depth, self.rules.class(status), status.0);
                }
            }
            batch.answers.push(Answer {
                sent,
                command_status: answer.command_status,
                excused: false,
                waited: answered.waited,
                message_id: answer.message_id,
                tlvs: answer.tlvs,
            });
        }
        if std::mem::take(&mut self.misses) && window.silence(now).is_none() {
            self.pacer.not_silent();
        }
        drop(window);
        if !self.paced.is_empty() {
            self.pacer.answered(&self.paced);
            self.paced.clear();
        }
        let mut not_bound = None;
        if is_refused {
            (refused, not_bound) = self.judge_refusals(&mut batch.answers[first..]);
        }
        if slots > 0 {
            self.pulse.answered.store(true, Ordering::Relaxed);
        }
        if let Some(status) = not_bound {
            // Before the slots are free. A writer that is gone needs no word.
            let _ = self.writer.send(FromReader::NotBound(status));
        }
        if unknown > 0 {
            log::warn!("{unknown} answers with a sequence number that is not outstanding: ignored");
        }
        if accepted > 0 {
            self.pulse.accepted.store(true, Ordering::Relaxed);
        }
        (slots, refused)
    }

    /// What refusals mean, now that the pacer has heard of them. Returns how many parts of longer messages are refused for
    /// good, and the status by which the peer says that the session is not bound.
    fn judge_refusals(&self, answers: &mut [Answer]) -> (usize, Option<CommandStatus>) {
        let (mut refused, mut not_bound) = (0, None);
        for answer in answers {
            let status = CommandStatus(answer.command_status);
            let sent = &answer.sent;
            match self.rules.class(status) {
                StatusClass::Accepted | StatusClass::Throttled => {}
                StatusClass::Session => not_bound = Some(status),
                StatusClass::Temporary if self.pacer.excuses(status.0) => answer.excused = true,
                StatusClass::Temporary if self.rules.delay_ms(status, sent.refused).is_some() => {}
                _ if sent.is_refused_for_reference(status) => {}
                class @ (StatusClass::Temporary | StatusClass::Account | StatusClass::Permanent) => {
                    if !sent.plain {
                        self.window.lock().refuse(sent);
                        refused += 1;
                    }
                    if class == StatusClass::Account {
                        // The journal is about to stop everything; until it has, nothing more is to be refused alike.
                        self.pacer.set_hold(Hold::Short);
                    }
                }
            }
        }
        (refused, not_bound)
    }
}
