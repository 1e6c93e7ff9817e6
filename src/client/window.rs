//! The requests of one session that are not answered yet. Pure: time is an argument.

use super::asked::{ASKED_MAX, Asked};
use super::silence::{Answering, Silence};
use crate::journal::model::events::Sent;
use crate::journal::model::key::Attempt;
use hashbrown::HashMap;
use std::time::{Duration, Instant};

/// Attempts outstanding on a session, by sequence number. Written by the session's writer, read by its reader.
#[derive(Debug)]
pub struct Window {
    size: usize,
    /// How many may be outstanding so far: one at first, doubled with each answer. A session that dies at once costs little.
    open: usize,
    /// No more than these, for the account's sake.
    limit: usize,
    outstanding: HashMap<u32, Waiting>,
    /// Requests about messages that the SMSC has.
    asked: Asked,
    silence: Answering,
    /// Answered, and their slots not free yet.
    held: usize,
    /// Their response timer expired: their slot is free, their number still known.
    late: HashMap<u32, (Sent, Instant)>,
    /// Messages of which a part was refused for good: what is claimed of them already is not to be written.
    refused: HashMap<i64, Refusal>,
    /// The same, of some time ago.
    refused_before: HashMap<i64, Refusal>,
    /// Refusals that the journal has not got.
    unrecorded: usize,
    /// The writer waits for a slot.
    starved: bool,
}

/// A request that is not answered.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    sent: Sent,
    written_at: Instant,
    /// How many were outstanding when it was written, itself among them.
    depth: u32,
}

/// An answered request.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The request.
    pub sent: Sent,
    /// How long it had waited.
    pub waited: Duration,
    /// How many were outstanding when it was written, itself among them.
    pub depth: u32,
}

/// A part that was refused for good, and which others of its message were withheld for that.
#[derive(Debug)]
struct Refusal {
    attempt: Attempt,
    withheld: Vec<i64>,
}

/// Messages remembered as refused at least, while parts of theirs may still be claimed ahead.
const REFUSED_MIN: usize = 2_048;

impl Window {
    /// A window for `size` requests at a time, at least one; it opens as answers come.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            open: 1,
            limit: usize::MAX,
            outstanding: HashMap::with_capacity(size.min(4_096)),
            asked: Asked::default(),
            silence: Answering::default(),
            held: 0,
            late: HashMap::new(),
            refused: HashMap::new(),
            refused_before: HashMap::new(),
            unrecorded: 0,
            starved: false,
        }
    }

    /// How many more requests may be written.
    pub fn free(&self) -> usize {
        self.open.min(self.limit).saturating_sub(self.outstanding.len() + self.asked.len() + self.held)
    }

    /// No more than so many are to be outstanding, for the account's sake.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// So many may be outstanding from now on, once it is open.
    pub fn set_size(&mut self, size: usize) {
        if self.size != size {
            self.size = size.max(1);
            self.open = self.open.min(self.size);
        }
    }

    /// How many more requests may be written, of `wanted`. Where that is none, the writer has to be woken when it changes.
    pub fn room(&mut self, wanted: usize) -> usize {
        let room = self.free().min(wanted);
        if wanted > 0 {
            self.starved = room == 0;
        }
        room
    }

    /// The same for requests about messages that the SMSC has.
    pub fn room_to_ask(&mut self, wanted: usize) -> usize {
        let room = self.free().min(wanted).min(ASKED_MAX - self.asked.len());
        self.starved |= room == 0 && wanted > 0;
        room
    }

    /// Requests about messages that the SMSC has, which are not answered.
    pub fn asked(&mut self) -> &mut Asked {
        &mut self.asked
    }

    /// The operation that an answer names, and the message that it was about; its slot is free.
    pub fn told(&mut self, sequence_number: u32) -> Option<(i64, String)> {
        let told = self.asked.answered(sequence_number)?;
        self.open = self.open.saturating_mul(2).min(self.size);
        Some(told)
    }

    /// Whether the writer waits for a slot and there is one; said once.
    pub fn has_to_wake(&mut self) -> bool {
        self.free() > 0 && std::mem::take(&mut self.starved)
    }

    /// Whether none is outstanding.
    pub fn is_empty(&self) -> bool {
        self.outstanding.is_empty() && self.asked.is_empty()
    }

    /// A request is about to be written.
    pub fn insert(&mut self, sent: Sent, now: Instant) {
        let depth = self.outstanding.len() as u32 + 1;
        self.outstanding.insert(sent.sequence_number, Waiting { sent, written_at: now, depth });
    }

    /// The request that an answer names, and how long it had waited; `None`: none, or it was answered before. Unless it was
    /// late its slot is held until it is [released](Self::release).
    pub fn answered(&mut self, sequence_number: u32, now: Instant) -> Option<Answered> {
        if let Some(Waiting { sent, written_at, depth }) = self.outstanding.remove(&sequence_number) {
            self.held += 1;
            self.open = self.open.saturating_mul(2).min(self.size);
            let waited = now.saturating_duration_since(written_at);
            self.silence.note_answer(written_at, waited);
            return Some(Answered { sent, waited, depth });
        }
        if crate::platform::sabotage::is("drop-late-answer") {
            return None;
        }
        let (sent, written_at) = self.late.remove(&sequence_number)?;
        let sent = Sent { late: true, ..sent };
        Some(Answered { sent, waited: now.saturating_duration_since(written_at), depth: 0 })
    }

    /// Slots of answered requests are free: their answers survive this process.
    pub fn release(&mut self, slots: usize) {
        self.held = self.held.saturating_sub(slots);
    }

    /// Requests written `timeout` ago or earlier: their slots become free, a late answer still finds them.
    pub fn expire(&mut self, now: Instant, timeout: Duration) -> Vec<Sent> {
        let is_due = |written_at: Instant| now.saturating_duration_since(written_at) >= timeout;
        let expired: Vec<(u32, Waiting)> =
            self.outstanding.extract_if(|_, waiting| is_due(waiting.written_at)).collect();
        self.late.extend(expired.iter().map(|(number, waiting)| (*number, (waiting.sent, waiting.written_at))));
        expired.into_iter().map(|(_, waiting)| waiting.sent).collect()
    }

    /// What was written beyond a window is not answered, while what was written later is.
    pub fn silence(&self, now: Instant) -> Option<Silence> {
        let waiting = self.outstanding.values().map(|waiting| (waiting.written_at, waiting.depth));
        self.silence.judge(now, waiting, self.free() == 0)
    }

    /// What is not answered is not so for a window of the SMSC.
    pub fn refutes_silence(&self, now: Instant) -> bool {
        self.silence.is_refuted(now, self.outstanding.values().map(|waiting| (waiting.written_at, waiting.depth)))
    }

    /// This attempt at a part of a longer message was refused for good, which the journal [records](Self::note_recorded) next.
    pub fn refuse(&mut self, sent: &Sent) {
        if self.refused.len() >= REFUSED_MIN {
            self.refused_before = std::mem::take(&mut self.refused);
        }
        self.refused_before.remove(&sent.message);
        self.refused.insert(sent.message, Refusal { attempt: sent.attempt, withheld: Vec::new() });
        self.unrecorded += 1;
    }

    /// The journal got so many refusals.
    pub fn note_recorded(&mut self, refusals: usize) {
        self.unrecorded = self.unrecorded.saturating_sub(refusals);
    }

    /// Whether the journal got every refusal: it may hear of what was withheld for them.
    pub fn is_all_recorded(&self) -> bool {
        self.unrecorded == 0
    }

    /// Whether a claimed part is not to be written, since another of its message was refused. Each part is withheld once:
    /// the journal knows of the refusal before it hears of that, so what it claims of the message from then on is meant to go.
    pub fn withholds(&mut self, sent: &Sent) -> bool {
        let before = &mut self.refused_before;
        let found = self.refused.get_mut(&sent.message).or_else(|| before.get_mut(&sent.message));
        let Some(refusal) = found else { return false };
        let part = sent.attempt.part();
        if part == refusal.attempt.part() && sent.attempt.tried() > refusal.attempt.tried()
            || refusal.withheld.contains(&part)
        {
            return false;
        }
        refusal.withheld.push(part);
        true
    }

    /// Everything unanswered, when the session has ended. Those whose timer had expired were reported before.
    pub fn drain(&mut self) -> Vec<Sent> {
        self.late.clear();
        self.outstanding.drain().map(|(_, waiting)| waiting.sent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence_number: u32) -> Sent {
        Sent {
            attempt: Attempt::new(i64::from(sequence_number), 0),
            message: i64::from(sequence_number),
            sequence_number,
            campaign: 0,
            plain: true,
            refused: 0,
            late: false,
            referenced: false,
            generation: 0,
            destination: 0,
        }
    }

    #[test]
    fn what_is_claimed_of_a_refused_message_is_withheld_once() {
        let mut window = Window::new(3);
        let part = |part, tried| Sent { message: 10, attempt: Attempt::new(part, tried), ..sent(1) };
        assert!(!window.withholds(&part(11, 0)));
        window.refuse(&part(11, 0));
        assert!(!window.is_all_recorded());
        window.note_recorded(1);
        assert!(window.is_all_recorded());
        assert!(window.withholds(&part(12, 0)));
        assert!(!window.withholds(&Sent { message: 20, ..part(20, 0) }), "another message");
        // What is tried again of it was claimed by one who knows.
        assert!(!window.withholds(&part(12, 1)) && !window.withholds(&part(11, 1)));
        window.refuse(&part(11, 1));
        assert!(window.withholds(&part(12, 2)) && !window.withholds(&part(12, 3)), "refused anew");
        for message in 1_000..1_000 + 3 * REFUSED_MIN as i64 {
            window.refuse(&Sent { message, attempt: Attempt::new(message, 0), ..sent(1) });
        }
        assert!(window.refused.len() + window.refused_before.len() <= 2 * REFUSED_MIN);
        assert!(!window.withholds(&part(13, 0)), "forgotten");
    }

    #[test]
    fn f27_answers_find_their_request_in_any_order_once_and_late() {
        let start = Instant::now();
        let mut window = Window::new(3);
        assert_eq!(window.free(), 1, "nothing was answered");
        window.open = 3;
        for number in 1..=3 {
            window.insert(sent(number), start);
        }
        assert_eq!(window.free(), 0);
        assert_eq!(window.answered(3, start).unwrap().sent.attempt, Attempt::new(3, 0));
        assert!(window.answered(3, start).is_none());
        assert!(window.expire(start + Duration::from_secs(1), Duration::from_secs(2)).is_empty());
        assert_eq!(window.expire(start + Duration::from_secs(2), Duration::from_secs(2)).len(), 2);
        assert_eq!(window.free(), 2, "an answer that is not safe yet keeps its slot");
        window.release(1);
        assert_eq!(window.free(), 3);
        let late = window.answered(1, start).unwrap().sent;
        assert!(late.late);
        assert_eq!(window.free(), 3);
        assert!(window.answered(1, start).is_none());
        window.insert(sent(4), start);
        assert_eq!(window.drain().len(), 1);
        assert!(window.answered(2, start).is_none(), "numbers are kept until the session ends");
    }
}
