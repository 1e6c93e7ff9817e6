//! The writer of a session: sends what the reader left over, the receipts that are due, and what timers ask for.
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::clock::unix_us;
use super::ids::IdForm;
use super::ledger::LinePrefix;
use super::receipts::{Receipt, ReceiptWriter};
use super::session::{Bound, Outbox, Session};
use crate::wire::encode_enquire_link;

/// Receipts in one write, at most. More would only make the reader's answers wait longer.
const RECEIPTS_A_WRITE: usize = 1_000;
/// How often unanswered receipts are looked for.
const PATROL: Duration = Duration::from_millis(250);

/// The state of the writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    session: Arc<Session>,
    opened: Instant,
    bound: Option<(Arc<Bound>, ReceiptWriter)>,
    /// Octets on their way out.
    out: Vec<u8>,
    taken: Vec<Receipt>,
    lines: Vec<u8>,
    prefix: LinePrefix,
    enquire_at: Option<Instant>,
    patrol_at: Instant,
}

impl Writer {
    /// A writer for a session that just began.
    pub(super) fn new(shared: Arc<Shared>, session: Arc<Session>) -> Writer {
        let opened = Instant::now();
        Writer {
            enquire_at: shared.settings.enquire_link_interval.map(|interval| opened + interval),
            shared,
            session,
            opened,
            bound: None,
            out: Vec::new(),
            taken: Vec::new(),
            lines: Vec::new(),
            prefix: LinePrefix::default(),
            patrol_at: opened + PATROL,
        }
    }

    /// Runs until the session ends.
    pub(super) fn run(mut self) {
        loop {
            let mut wake_at = self.run_timers();
            if let Some(due) = self.collect_receipts() {
                wake_at = wake_at.min(due);
            }
            if !self.await_turn(wake_at) || !self.write_out() {
                break;
            }
        }
        // A retired session's socket is still needed for its last word.
        if !self.session.state.lock().ended {
            self.session.end();
        }
    }

    /// Waits until there is something to write and takes it, or until `wake_at`. False when the session is over.
    fn await_turn(&mut self, mut wake_at: Instant) -> bool {
        let session = Arc::clone(&self.session);
        let mut state = session.state.lock();
        loop {
            if state.ended {
                return false;
            }
            if let Some(due) = release_delayed(&mut state) {
                wake_at = wake_at.min(due);
            }
            let something = !state.pending.is_empty() || !self.out.is_empty();
            if something && !state.writing {
                state.writing = true;
                if !state.pending.is_empty() {
                    // Answers go first, so that a receipt never overtakes the answer to its own message.
                    std::mem::swap(&mut state.pending, &mut self.out);
                    self.out.append(&mut state.pending);
                }
                state.woken = false;
                return true;
            }
            if state.woken && !something {
                state.woken = false;
                let bound = state.bound.clone();
                drop(state);
                self.note_bind(bound);
                return true;
            }
            state.writer_waits = something;
            // With something to write, only the end of the other's write matters.
            let until = if something { Instant::now() + PATROL } else { wake_at };
            let timed_out = session.changed.wait_until(&mut state, until).timed_out();
            state.writer_waits = false;
            if timed_out && !something {
                return true;
            }
        }
    }

    /// Takes over what a bind settled, once there was one.
    fn note_bind(&mut self, bound: Option<Arc<Bound>>) {
        if self.bound.is_none()
            && let Some(bound) = bound
        {
            let writer = self.shared.receipt_writer(bound.v33);
            self.bound = Some((bound, writer));
        }
    }

    /// Writes all of `out`, in as many slices as it takes. False when the session is over.
    fn write_out(&mut self) -> bool {
        if self.out.is_empty() {
            return true;
        }
        let mut written = 0;
        let mut progress_at = Instant::now();
        while written < self.out.len() {
            match self.session.write_some(&self.out[written..]) {
                Ok(0) => {
                    let stalled = progress_at.elapsed() > self.shared.settings.write_timeout;
                    if stalled || self.session.state.lock().ended {
                        return false;
                    }
                }
                Ok(count) => {
                    written += count;
                    progress_at = Instant::now();
                }
                Err(_) => return false,
            }
        }
        self.out.clear();
        let mut state = self.session.state.lock();
        state.writing = false;
        let bound = state.bound.clone();
        drop(state);
        self.note_bind(bound);
        true
    }

    /// Encodes what is due and fits the window, and tells when to look again.
    fn collect_receipts(&mut self) -> Option<Instant> {
        let (bound, writer) = self.bound.as_mut().filter(|(bound, _)| bound.kind.can_receive())?;
        let now = self.shared.started.elapsed();
        let room = {
            let mut deliveries = self.session.deliveries.lock();
            let room = deliveries.free();
            deliveries.starved = room == 0;
            room.min(RECEIPTS_A_WRITE)
        };
        if room == 0 {
            return None;
        }
        let next_due = bound.account.take_due(now, room, &mut self.taken);
        if self.taken.is_empty() {
            return next_due.map(|due| self.shared.started + due);
        }
        let now_us = unix_us();
        let ledger = self.shared.ledger.as_ref();
        self.prefix.set(now_us, self.session.id, &bound.account.system_id);
        let count = self.taken.len() as u64;
        let mut deliveries = self.session.deliveries.lock();
        for mut receipt in self.taken.drain(..) {
            self.shared.apply_cancellation(&mut receipt);
            // There is room: only this thread and the quirk "early" add to the window, and that one checks too.
            match deliveries.insert(now, receipt.clone()) {
                Ok(sequence_number) => {
                    writer.write(&receipt, sequence_number, now_us / 1_000_000, &mut self.out);
                    if ledger.is_some() {
                        note_receipt(&self.prefix, writer, &receipt, sequence_number, &mut self.lines);
                    }
                }
                Err(receipt) => bound.account.schedule([(now, receipt)]),
            }
        }
        drop(deliveries);
        self.shared.counters.receipts_sent.add(count);
        self.shared.counters.deliver_outstanding.add(count);
        if let Some(ledger) = ledger
            && let Err(e) = ledger.append(&mut self.lines)
        {
            log::error!("smsc: the ledger cannot be written, session {} ends: {e}", self.session.id);
            self.session.end();
        }
        Some(Instant::now())
    }

    /// Does what is due by the clock, and tells when the next of it is.
    fn run_timers(&mut self) -> Instant {
        let now = Instant::now();
        let settings = &self.shared.settings;
        if now >= self.patrol_at {
            self.patrol_at = now + PATROL;
            self.requeue_unanswered();
            if self.bound.is_none() && now > self.opened + settings.bind_timeout {
                self.session.end();
            }
            let enquired = self.session.state.lock().enquired;
            if enquired.is_some_and(|sent| now > sent + settings.response_timeout) {
                log::info!("smsc: session {}: enquire_link was not answered", self.session.id);
                self.session.end();
            }
        }
        if let (Some(at), Some(interval)) = (self.enquire_at, settings.enquire_link_interval)
            && now >= at
        {
            self.enquire_at = Some(now + interval);
            if self.bound.is_some() {
                encode_enquire_link(self.session.deliveries.lock().next_sequence(), &mut self.out);
                self.session.state.lock().enquired.get_or_insert(now);
            }
        }
        self.enquire_at.map_or(self.patrol_at, |at| at.min(self.patrol_at))
    }

    fn requeue_unanswered(&self) {
        let now = self.shared.started.elapsed();
        let Some(limit) = now.checked_sub(self.shared.settings.response_timeout) else { return };
        let Some((bound, _)) = &self.bound else { return };
        let mut deliveries = self.session.deliveries.lock();
        if deliveries.outstanding() == 0 {
            return;
        }
        let unanswered = deliveries.take_sent_until(limit);
        drop(deliveries);
        if !unanswered.is_empty() {
            self.shared.counters.deliver_outstanding.subtract(unanswered.len() as u64);
            bound.account.schedule(unanswered.into_iter().map(|receipt| (now, receipt)));
        }
    }
}

/// Moves held-back answers whose time has come to `pending`, and tells when the next one's is.
fn release_delayed(state: &mut Outbox) -> Option<Instant> {
    if state.delayed.is_empty() {
        return None;
    }
    let now = Instant::now();
    while let Some((due, _)) = state.delayed.front() {
        if *due > now {
            return Some(*due);
        }
        if let Some((_, mut octets)) = state.delayed.pop_front() {
            state.pending.append(&mut octets);
        }
    }
    None
}

/// The ledger's line for a receipt about to be sent.
pub(super) fn note_receipt(
    prefix: &LinePrefix,
    writer: &ReceiptWriter,
    receipt: &Receipt,
    sequence_number: u32,
    lines: &mut Vec<u8>,
) {
    prefix
        .begin("receipt", lines)
        .number("sequence_number", sequence_number)
        .maybe_with("message_id", Some(|out: &mut Vec<u8>| writer.write_id(receipt.number, out)))
        .text("source", receipt.source.address())
        .text("destination", receipt.destination.address())
        .text("state", receipt.fate.word().as_bytes())
        .end();
}

/// The shape of ids on a session.
pub(super) fn answer_form(configured: IdForm, v33: bool) -> IdForm {
    if v33 { IdForm::Hex } else { configured }
}
