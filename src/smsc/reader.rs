//! The reader of a session: takes what one read brought as a batch, and answers it in one write.
//!
//! The order within a batch is what crash tests rely on: everything is judged, then the ledger is written, then the
//! answers go out, then the receipts are scheduled.
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::behaviour::Behaviour;
use super::checks::status;
use super::clock::unix_us;
use super::history::{Entry, key_of};
use super::ids::{IdForm, mix};
use super::inbound::Inbound;
use super::ledger::LinePrefix;
use super::message::Receipt;
use super::receipts::{Delivery, Fate, ReceiptWriter};
use super::session::{Bound, Session};
use super::settings::Every;
use super::shared::Shared;
use super::submit::Refusal;
use super::writer::note_inbound_answer;
use crate::record::Tap;
use crate::wire::{
    BindKind, CommandId, CommandStatus, FrameBuffer, Header, Pdu, Sm, decode, decode_header, encode_enquire_link_resp,
    encode_generic_nack, encode_header_only,
};

/// The state of the reader thread.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    pub(super) bound: Option<Arc<Bound>>,
    /// Set by a bind, until its answer is sent and the writer told.
    pub(super) newly_bound: Option<Arc<Bound>>,
    pub(super) random: fastrand::Rng,
    pub(super) batch: Batch,
    /// Writes receipts that go out before their answer.
    pub(super) early: Option<ReceiptWriter>,
    /// Until when everything is throttled, by a fault.
    pub(super) storm_until: Duration,
    /// How the account is treated, of this version.
    pub(super) behaviour: Arc<Behaviour>,
    behaviour_version: u64,
    /// Whether something asks which part of a long message a submit is.
    pub(super) wants_parts: bool,
    /// Records what comes.
    tap: Tap,
}

/// What one read brought about.
/// One thing: what one lock of the shared state is taken for.
#[derive(Default)]
pub(super) struct Batch {
    /// Since the simulator's start.
    pub(super) now: Duration,
    pub(super) now_us: u64,
    /// How often there had been a reset when it began.
    resets: u64,
    pub(super) out: Vec<u8>,
    /// Where answers stand in `out`, if they are to be shuffled.
    pub(super) answers: Vec<Range<usize>>,
    pub(super) lines: Vec<u8>,
    pub(super) prefix: LinePrefix,
    pub(super) scheduled: Vec<(Duration, Delivery)>,
    /// What goes over this session again, and over no other.
    own: Vec<(Duration, Delivery)>,
    /// Messages for those who ask.
    pub(super) remembered: Vec<Entry>,
    /// Messages that handsets send back: from, to and text.
    pub(super) replies: Vec<(String, String, String)>,
    /// Answers that wait, how long, and for how many messages.
    held: Vec<(Duration, Vec<u8>, u64)>,
    /// Messages whose answer goes out with this batch, where a limiter may want to know.
    answered_now: u64,
    /// Deliveries that come again: they count as outstanding until they wait.
    come_again: u64,
    /// Sequence numbers and statuses of answers to receipts.
    answered: Vec<(u32, u32)>,
    pub(super) submits: u64,
    pub(super) accepted: u64,
    pub(super) throttled: u64,
    pub(super) refused: u64,
    pub(super) stall: bool,
    pub(super) end: End,
}

impl Batch {
    /// Holds back what was written from `start` on, the answer to one message, where it is to wait.
    pub(super) fn hold(&mut self, start: usize, after: Duration) {
        if after.is_zero() {
            self.answered_now += 1;
        } else {
            let octets = self.out.split_off(start);
            self.held.push((after, octets, 1));
        }
    }
}

/// How a session goes on after a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// It goes on.
    #[default]
    Open,
    /// It is cut after what was answered.
    Cut,
    /// It is closed once the peer could read the answers.
    Close,
}

impl Reader {
    /// A reader for a session that just began.
    pub(super) fn new(shared: Arc<Shared>, session: Arc<Session>, tap: Tap) -> Reader {
        let random = fastrand::Rng::with_seed(mix(shared.settings.seed ^ mix(session.id)));
        let behaviour_version = shared.behaviours.version();
        let behaviour = shared.behaviours.of(b"");
        let wants_parts = shared.wants_parts(&behaviour);
        Reader {
            shared,
            session,
            bound: None,
            newly_bound: None,
            random,
            batch: Batch::default(),
            early: None,
            storm_until: Duration::ZERO,
            behaviour,
            behaviour_version,
            wants_parts,
            tap,
        }
    }

    /// Looks up how the account is treated now.
    pub(super) fn look_up_behaviour(&mut self) {
        self.behaviour_version = self.shared.behaviours.version();
        let system_id: &[u8] = self.bound.as_ref().map_or(b"", |bound| &bound.account.system_id);
        self.behaviour = self.shared.behaviours.of(system_id);
        self.wants_parts = self.shared.wants_parts(&self.behaviour);
        self.early = None;
        if self.behaviour.faults.throttle_storm == Every(0) {
            self.storm_until = Duration::ZERO;
        }
    }

    /// Runs until the session ends, by either side.
    pub(super) fn run(&mut self) {
        let mut frames = FrameBuffer::new();
        loop {
            let room = frames.spare();
            match (&self.session.stream).read(room) {
                Ok(0) => return self.tap.close(),
                Ok(count) => {
                    let noted = self.tap.note(&room[..count]);
                    frames.filled(count);
                    if noted.is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            self.begin_batch();
            while self.batch.end == End::Open {
                match frames.next_frame() {
                    Ok(Some(frame)) => self.handle(frame),
                    Ok(None) => break,
                    Err(e) => {
                        log::info!("smsc: session {}: {e}", self.session.id);
                        encode_generic_nack(0, CommandStatus(status::COMMAND_LENGTH), &mut self.batch.out);
                        self.batch.end = End::Close;
                    }
                }
            }
            if !self.finish_batch() {
                return;
            }
        }
    }

    /// Ends the session after [`run`](Self::run), but for the last word where one was said.
    pub(super) fn retire(&self) {
        match self.batch.end {
            End::Close => self.session.retire(),
            End::Open | End::Cut => self.session.end(),
        }
    }

    /// Leaves the account. The writer has ended, so what is outstanding can only wait for another session.
    pub(super) fn leave(&mut self) {
        // While it is bound, so that the ledger's last line has its system_id.
        self.begin_batch();
        let Some(bound) = self.bound.take() else { return };
        bound.account.leave(&self.session);
        let outstanding = self.session.deliveries.lock().take_sent_until(Duration::MAX);
        self.shared.counters.bound.subtract(1);
        let now = self.batch.now;
        // What was for this session alone goes over any other, too: better than never.
        let (mut own, mut count) = (Vec::new(), outstanding.len() as u64);
        {
            let mut waiting = self.session.own.lock();
            self.shared.counters.deliver_outstanding.add(waiting.len() as u64);
            count += waiting.len() as u64;
            waiting.take_all(&mut own);
        }
        bound.account.schedule(outstanding.into_iter().chain(own).map(|delivery| (now, delivery)));
        self.shared.counters.deliver_outstanding.subtract(count);
        if let Some(ledger) = &self.shared.ledger {
            self.batch.prefix.begin("closed", &mut self.batch.lines).end();
            if let Err(e) = ledger.append(&mut self.batch.lines) {
                log::error!("smsc: the ledger cannot be written: {e}");
            }
        }
    }

    fn begin_batch(&mut self) {
        self.batch.now = self.shared.started.elapsed();
        self.batch.now_us = unix_us();
        self.batch.resets = self.shared.resets.load(Ordering::SeqCst);
        if self.shared.behaviours.version() != self.behaviour_version {
            self.look_up_behaviour();
        }
        if self.shared.ledger.is_some() {
            self.set_prefix();
        }
    }

    pub(super) fn set_prefix(&mut self) {
        let system_id: &[u8] = self.bound.as_ref().map_or(b"", |bound| &bound.account.system_id);
        self.batch.prefix.set(self.batch.now_us, self.session.id, system_id);
    }

    /// Records, answers and schedules what the batch holds. False when the session is over.
    fn finish_batch(&mut self) -> bool {
        let batch = &mut self.batch;
        let counters = &self.shared.counters;
        if batch.submits > 0 {
            self.session.submits.fetch_add(batch.submits, Ordering::Relaxed);
        }
        counters.submits.add(std::mem::take(&mut batch.submits));
        counters.accepted.add(std::mem::take(&mut batch.accepted));
        counters.throttled.add(std::mem::take(&mut batch.throttled));
        counters.refused.add(std::mem::take(&mut batch.refused));
        self.settle_answered();
        if let Some(ledger) = &self.shared.ledger
            && let Err(e) = ledger.append(&mut self.batch.lines)
        {
            // An oracle with gaps is worse than none: what is not recorded is not answered either.
            log::error!("smsc: the ledger cannot be written, session {} ends: {e}", self.session.id);
            self.shared.counters.deliver_outstanding.subtract(std::mem::take(&mut self.batch.come_again));
            return false;
        }
        if let Some(history) = &self.shared.history
            && !self.batch.remembered.is_empty()
        {
            history.add(&mut self.batch.remembered);
        }
        self.shuffle_answers();
        if let Some(bound) = &self.newly_bound {
            // Whoever has the answer to a bind finds the session bound.
            let _ = self.session.known.set(Arc::clone(bound));
        }
        let sent = self.send_answers();
        let batch = &mut self.batch;
        if let Some(bound) = self.newly_bound.take() {
            let (receives, account) = (bound.kind.can_receive(), Arc::clone(&bound.account));
            self.session.state.lock().bound = Some(bound);
            self.session.wake();
            if receives {
                self.shared.deliver_waiting(&account);
            }
        }
        if let Some(bound) = &self.bound
            && !batch.scheduled.is_empty()
        {
            let (shared, resets) = (&self.shared, batch.resets);
            let is_forgotten = || shared.resets.load(Ordering::SeqCst) != resets;
            bound.account.schedule_unless(is_forgotten, batch.scheduled.drain(..));
            batch.scheduled.clear();
        }
        if self.shared.resets.load(Ordering::SeqCst) != batch.resets {
            batch.own.clear();
            batch.replies.clear();
        }
        if !batch.own.is_empty() {
            self.session.schedule(batch.own.drain(..));
        }
        self.shared.counters.deliver_outstanding.subtract(std::mem::take(&mut batch.come_again));
        if !batch.replies.is_empty() {
            self.send_replies();
        }
        let batch = &mut self.batch;
        if std::mem::take(&mut batch.stall) {
            std::thread::sleep(Duration::from_secs(1));
        }
        match batch.end {
            End::Open => sent,
            End::Cut => false,
            End::Close => {
                self.session.finish();
                false
            }
        }
    }

    /// Sends what is to go out now, and holds back what is to wait. False when the session is over.
    fn send_answers(&mut self) -> bool {
        let slow = self.behaviour.faults.slow_answers;
        let batch = &mut self.batch;
        let answered = std::mem::take(&mut batch.answered_now);
        if !batch.held.is_empty() {
            self.session.send_later(batch.held.drain(..).map(|(delay, octets, count)| (delay + slow, octets, count)));
        }
        if !slow.is_zero() {
            if !batch.out.is_empty() {
                self.session.send_later([(slow, std::mem::take(&mut batch.out), answered)]);
            }
            return true;
        }
        let sent = self.session.send(&mut batch.out);
        self.session.note_answered(answered);
        sent
    }

    /// Has handsets send back what rules say.
    fn send_replies(&mut self) {
        let Some(bound) = &self.bound else { return };
        for (from, to, text) in self.batch.replies.drain(..) {
            let system_id = Some(String::from_utf8_lossy(&bound.account.system_id).into_owned());
            let inbound = Inbound { from, to, text, system_id, ..Inbound::default() };
            if let Err(reason) = self.shared.inbound(&inbound) {
                log::warn!("smsc: session {}: a handset cannot reply: {reason}", self.session.id);
            }
        }
    }

    fn handle(&mut self, frame: &[u8]) {
        let start = self.batch.out.len();
        match decode(frame) {
            Ok((header, pdu)) => self.handle_pdu(header, &pdu, frame),
            Err(e) => {
                log::info!("smsc: session {}: {e}", self.session.id);
                let Some(header) = decode_header(frame) else { return };
                if matches!(header.command_id, CommandId::SUBMIT_SM | CommandId::DATA_SM) {
                    let refusal = Refusal::new(status::COMMAND_LENGTH, format!("it cannot be read: {e}"));
                    return self.refuse_submit(header, &Sm::default(), frame, &refusal);
                }
                if header.command_id.response().is_known() {
                    return self.answer(header, status::COMMAND_LENGTH);
                }
                // alert_notification and outbind have no answer, and an SMSC is sent neither: as where they are well-formed.
                encode_generic_nack(header.sequence_number, CommandStatus(status::COMMAND_ID), &mut self.batch.out);
            }
        }
        if self.behaviour.faults.reorder && self.batch.out.len() > start {
            self.batch.answers.push(start..self.batch.out.len());
        }
    }

    fn handle_pdu(&mut self, header: Header, pdu: &Pdu<'_>, frame: &[u8]) {
        let sequence_number = header.sequence_number;
        match pdu {
            Pdu::SubmitSm(sm) => self.handle_submit(header, sm, frame),
            Pdu::DataSm(data) => self.handle_submit(header, &super::checks::submit_of(data), frame),
            Pdu::SubmitMulti(multi) => self.handle_submit_multi(header, multi),
            Pdu::DeliverSmResp(_) | Pdu::DataSmResp(_) | Pdu::GenericNack => {
                self.batch.answered.push((sequence_number, header.command_status.0));
            }
            Pdu::EnquireLink => encode_enquire_link_resp(sequence_number, &mut self.batch.out),
            Pdu::EnquireLinkResp => self.session.state.lock().enquired = None,
            Pdu::Bind(bind) => self.handle_bind(header, bind),
            Pdu::Unbind => {
                self.answer(header, status::OK);
                self.batch.end = End::Close;
            }
            Pdu::UnbindResp => self.batch.end = End::Close,
            Pdu::QuerySm(query) => self.handle_query(header, query),
            Pdu::CancelSm(cancel) => self.handle_cancel(header, cancel),
            Pdu::ReplaceSm(replace) => self.handle_replace(header, replace),
            _ if header.command_id.is_response() => {}
            _ if self.refuse_broadcast(header) => {}
            _ => encode_generic_nack(sequence_number, CommandStatus(status::COMMAND_ID), &mut self.batch.out),
        }
    }

    /// Answers a request with a status and no body.
    pub(super) fn answer(&mut self, header: Header, status: u32) {
        let id = header.command_id.response();
        encode_header_only(id, CommandStatus(status), header.sequence_number, &mut self.batch.out);
    }

    /// Whether messages may be sent on this session.
    pub(super) fn can_submit(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.kind.can_submit())
    }

    /// The shape of ids on this session.
    pub(super) fn id_form(&self) -> IdForm {
        let v33 = self.bound.as_ref().is_some_and(|bound| bound.v33);
        super::writer::answer_form(self.shared.settings.message_id, v33)
    }

    /// Takes answered receipts out of the window; those refused for the time being come again.
    fn settle_answered(&mut self) {
        if self.batch.answered.is_empty() {
            return;
        }
        let Some(bound) = &self.bound else { return self.batch.answered.clear() };
        let form = self.id_form();
        let batch = &mut self.batch;
        let (mut settled, mut come_again, mut good, mut bad) = (0, 0, 0, 0);
        let (mut inbound_good, mut inbound_bad) = (0, 0);
        let mut deliveries = self.session.deliveries.lock();
        let mut answered = Vec::new();
        for (sequence_number, command_status) in batch.answered.drain(..) {
            let Some(delivery) = deliveries.settle(sequence_number) else { continue };
            settled += 1;
            let is_temporary = is_temporary(command_status);
            let again = match &delivery {
                Delivery::Inbound(part) => {
                    match command_status {
                        status::OK => inbound_good += 1,
                        _ => inbound_bad += 1,
                    }
                    if self.shared.ledger.is_some() {
                        note_inbound_answer(&batch.prefix, part, sequence_number, command_status, &mut batch.lines);
                    }
                    part.note_answer(command_status, is_temporary)
                }
                Delivery::Receipt(receipt) => {
                    match command_status {
                        status::OK => good += 1,
                        _ => bad += 1,
                    }
                    if self.shared.history.is_some() && receipt.fate != Fate::Enroute {
                        answered.push((key_of(receipt.number, receipt.destination.address()), command_status));
                    }
                    if self.shared.ledger.is_some() {
                        let id = |out: &mut Vec<u8>| match self.shared.settings.receipt_id {
                            Some(receipt_form) => receipt_form.write(receipt.number, form, out),
                            None => form.write(receipt.number, out),
                        };
                        batch
                            .prefix
                            .begin("receipt_answered", &mut batch.lines)
                            .number("sequence_number", sequence_number)
                            .number("status", command_status)
                            .maybe_with("message_id", Some(id))
                            .end();
                    }
                    is_temporary
                }
            };
            if again {
                come_again += 1;
                let due = batch.now + self.shared.settings.redelivery_delay;
                let own = delivery.is_for_one();
                if own { &mut batch.own } else { &mut batch.scheduled }.push((due, delivery));
            }
        }
        let starved = std::mem::take(&mut deliveries.starved);
        drop(deliveries);
        batch.come_again += come_again;
        if starved && settled > 0 {
            self.session.wake();
        }
        let counters = &self.shared.counters;
        counters.deliver_outstanding.subtract(settled - come_again);
        counters.receipts_answered.add(good);
        counters.receipts_refused.add(bad);
        counters.inbound_answered.add(inbound_good);
        counters.inbound_refused.add(inbound_bad);
        if let Some(history) = &self.shared.history
            && !answered.is_empty()
        {
            let (good, bad): (Vec<_>, Vec<_>) = answered.into_iter().partition(|(_, status)| *status == status::OK);
            for (answered, receipt) in [(good, Receipt::Answered), (bad, Receipt::Refused)] {
                history.change(answered.into_iter().map(|(key, _)| key), |entry| entry.receipt = receipt);
            }
        }
        if !bound.kind.can_receive() {
            log::debug!("smsc: session {}: an answer to a receipt on a transmitter", self.session.id);
        }
    }

    fn shuffle_answers(&mut self) {
        if self.batch.answers.is_empty() {
            return;
        }
        let batch = &mut self.batch;
        // What answers no request stands behind them: the last word to one that sent what is no frame.
        let end = batch.answers.last().map_or(0, |range| range.end);
        self.random.shuffle(&mut batch.answers);
        let mut shuffled = Vec::with_capacity(batch.out.len());
        batch.answers.drain(..).for_each(|range| shuffled.extend_from_slice(&batch.out[range]));
        shuffled.extend_from_slice(&batch.out[end..]);
        batch.out = shuffled;
    }
}

/// Whether a receipt answered so is to be sent again: queue full, throttled, system error, temporary error.
fn is_temporary(command_status: u32) -> bool {
    matches!(command_status, 0x08 | 0x14 | 0x58 | 0x64)
}

/// What may be done in a session of a kind, by its name in the log.
pub(super) fn kind_name(kind: BindKind) -> &'static str {
    kind.command_id().name()
}
