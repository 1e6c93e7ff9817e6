//! The writer of a session: sends what the reader left over, the receipts that are due, and what timers ask for.
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::unix_us;
use super::history::key_of;
use super::ids::IdForm;
use super::inbound::InboundPart;
use super::ledger::LinePrefix;
use super::message::Receipt as ReceiptState;
use super::receipts::{Delivery, Fate, Receipt, ReceiptWriter};
use super::session::{Bound, Outbox, Session};
use super::shared::Shared;
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
    taken: Vec<Delivery>,
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
            if let Some(due) = release_delayed(&session, &mut state) {
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
            let writer = self.shared.receipt_writer(bound.v33, bound.long_service_type);
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
        let outstanding = &self.shared.counters.deliver_outstanding;
        let own_due = {
            let mut own = self.session.own.lock();
            own.take_due(now, room, &mut self.taken);
            outstanding.add(self.taken.len() as u64);
            own.next_due()
        };
        let next_due = bound.account.take_due(now, room - self.taken.len(), &mut self.taken, outstanding);
        let next_due = [own_due, next_due].into_iter().flatten().min();
        if self.taken.is_empty() {
            return next_due.map(|due| self.shared.started + due);
        }
        let now_us = unix_us();
        let ledger = self.shared.ledger.as_ref();
        self.prefix.set(now_us, self.session.id, &bound.account.system_id);
        let (mut receipts, mut inbound) = (0, 0);
        let mut sent = Vec::new();
        let mut deliveries = self.session.deliveries.lock();
        for mut delivery in self.taken.drain(..) {
            let mut done_s = 0;
            if let Delivery::Receipt(receipt) = &mut delivery {
                self.shared.apply_cancellation(receipt);
                done_s = receipt.done_s(now_us / 1_000_000);
            }
            // There is room: only this thread and the quirk "early" add to the window, and that one checks too.
            let sequence_number = match deliveries.insert(now, delivery.clone()) {
                Ok(sequence_number) => sequence_number,
                Err(delivery) => {
                    bound.account.schedule([(now, delivery)]);
                    outstanding.subtract(1);
                    continue;
                }
            };
            match &delivery {
                Delivery::Receipt(receipt) => {
                    receipts += 1;
                    writer.write(receipt, sequence_number, done_s, &mut self.out);
                    if ledger.is_some() {
                        note_receipt(&self.prefix, writer, receipt, sequence_number, &mut self.lines);
                    }
                    if self.shared.history.is_some() && receipt.fate != Fate::Enroute {
                        sent.push(key_of(receipt.number, receipt.destination.address()));
                    }
                }
                Delivery::Inbound(part) => match part.write(sequence_number, bound.v33, &mut self.out) {
                    Ok(()) => {
                        inbound += 1;
                        part.note_sent();
                        if ledger.is_some() {
                            note_inbound(&self.prefix, part, sequence_number, &mut self.lines);
                        }
                    }
                    Err(reason) => {
                        log::warn!("smsc: session {}: a message from a handset: {reason}", self.session.id);
                        deliveries.settle(sequence_number);
                        outstanding.subtract(1);
                        part.give_up();
                        if ledger.is_some() {
                            note_not_sent(&self.prefix, part, &reason, &mut self.lines);
                        }
                    }
                },
            }
        }
        drop(deliveries);
        if let Some(history) = &self.shared.history {
            history.change(sent, |entry| {
                if entry.receipt == ReceiptState::Waiting {
                    entry.receipt = ReceiptState::Sent;
                }
            });
        }
        let counters = &self.shared.counters;
        counters.receipts_sent.add(receipts);
        counters.inbound_sent.add(inbound);
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
            let count = unanswered.len() as u64;
            let (own, others): (Vec<_>, Vec<_>) =
                unanswered.into_iter().map(|delivery| (now, delivery)).partition(|(_, delivery)| delivery.is_for_one());
            bound.account.schedule(others);
            if !own.is_empty() {
                self.session.schedule(own);
            }
            self.shared.counters.deliver_outstanding.subtract(count);
        }
    }
}

/// Moves held-back answers whose time has come to `pending`, and tells when the next one's is.
fn release_delayed(session: &Session, state: &mut Outbox) -> Option<Instant> {
    if state.delayed.is_empty() {
        return None;
    }
    let now = Instant::now();
    while let Some(entry) = state.delayed.first_entry() {
        let (due, _) = *entry.key();
        if due > now {
            return Some(due);
        }
        let (mut octets, messages) = entry.remove();
        state.pending.append(&mut octets);
        session.note_answered(messages);
    }
    None
}

/// The ledger's line for a message from a handset about to be sent.
fn note_inbound(prefix: &LinePrefix, part: &InboundPart, sequence_number: u32, lines: &mut Vec<u8>) {
    let total = part.total();
    prefix
        .begin("inbound", lines)
        .number("sequence_number", sequence_number)
        .number("inbound_id", part.message.id)
        .text("source", &part.source.addr)
        .number("source_ton", part.source.ton)
        .number("source_npi", part.source.npi)
        .text("destination", &part.destination.addr)
        .number("dest_ton", part.destination.ton)
        .number("dest_npi", part.destination.npi)
        .number("esm_class", part.esm_class)
        .number("data_coding", part.data_coding)
        .maybe("reference", part.reference)
        .maybe("total", (total > 1).then_some(total))
        .maybe("part", (total > 1).then_some(part.number))
        .hex("short_message", &part.octets)
        .json("text", &part.text())
        .end();
}

/// The ledger's line for the answer to it.
pub(super) fn note_inbound_answer(
    prefix: &LinePrefix,
    part: &InboundPart,
    sequence_number: u32,
    status: u32,
    lines: &mut Vec<u8>,
) {
    prefix
        .begin("inbound_answered", lines)
        .number("sequence_number", sequence_number)
        .number("status", status)
        .number("inbound_id", part.message.id)
        .number("part", part.number)
        .end();
}

/// The ledger's line for one that cannot be sent over this session.
fn note_not_sent(prefix: &LinePrefix, part: &InboundPart, reason: &str, lines: &mut Vec<u8>) {
    prefix
        .begin("inbound_given_up", lines)
        .number("inbound_id", part.message.id)
        .number("part", part.number)
        .json("reason", reason)
        .end();
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
