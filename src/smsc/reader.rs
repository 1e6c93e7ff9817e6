//! The reader of a session: takes what one read brought as a batch, and answers it in one write.
//!
//! The order within a batch is what crash tests rely on: everything is judged, then the ledger is written, then the
//! answers go out, then the receipts are scheduled.
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::checks::status;
use super::clock::unix_us;
use super::ids::{IdForm, mix};
use super::ledger::LinePrefix;
use super::receipts::{Receipt, ReceiptWriter};
use super::session::{Bound, Session};
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
    /// Whether any fault concerns single messages.
    pub(super) faulty: bool,
    /// Records what comes.
    tap: Tap,
}

/// What one read brought about.
#[derive(Default)]
pub(super) struct Batch {
    /// Since the simulator's start.
    pub(super) now: Duration,
    pub(super) now_us: u64,
    pub(super) out: Vec<u8>,
    /// Where answers stand in `out`, if they are to be shuffled.
    pub(super) answers: Vec<Range<usize>>,
    pub(super) lines: Vec<u8>,
    pub(super) prefix: LinePrefix,
    pub(super) scheduled: Vec<(Duration, Receipt)>,
    /// Sequence numbers and statuses of answers to receipts.
    answered: Vec<(u32, u32)>,
    pub(super) submits: u64,
    pub(super) accepted: u64,
    pub(super) throttled: u64,
    pub(super) refused: u64,
    pub(super) stall: bool,
    pub(super) end: End,
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
        let faulty = shared.settings.faults.any_on_submit();
        let (batch, storm_until) = (Batch::default(), Duration::ZERO);
        let newly_bound = None;
        Reader { shared, session, bound: None, newly_bound, random, batch, early: None, storm_until, faulty, tap }
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
        self.shared.counters.deliver_outstanding.subtract(outstanding.len() as u64);
        self.shared.counters.bound.subtract(1);
        let now = self.batch.now;
        bound.account.schedule(outstanding.into_iter().map(|receipt| (now, receipt)));
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
            return false;
        }
        self.shuffle_answers();
        let delay = self.shared.settings.faults.slow_answers;
        let batch = &mut self.batch;
        let sent = if delay.is_zero() {
            self.session.send(&mut batch.out)
        } else {
            self.session.send_later(&mut batch.out, delay)
        };
        if let Some(bound) = self.newly_bound.take() {
            self.session.state.lock().bound = Some(bound);
            self.session.wake();
        }
        if let Some(bound) = &self.bound
            && !batch.scheduled.is_empty()
        {
            bound.account.schedule(batch.scheduled.drain(..));
        }
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

    fn handle(&mut self, frame: &[u8]) {
        let start = self.batch.out.len();
        match decode(frame) {
            Ok((header, pdu)) => self.handle_pdu(header, &pdu),
            Err(e) => {
                log::info!("smsc: session {}: {e}", self.session.id);
                let Some(header) = decode_header(frame) else { return };
                if matches!(header.command_id, CommandId::SUBMIT_SM | CommandId::DATA_SM) {
                    return self.refuse_submit(header, &Sm::default(), status::COMMAND_LENGTH);
                }
                if header.command_id.response().is_known() {
                    return self.answer(header, status::COMMAND_LENGTH);
                }
                // alert_notification and outbind have no answer, and an SMSC is sent neither: as where they are well-formed.
                encode_generic_nack(header.sequence_number, CommandStatus(status::COMMAND_ID), &mut self.batch.out);
            }
        }
        if self.shared.settings.faults.reorder && self.batch.out.len() > start {
            self.batch.answers.push(start..self.batch.out.len());
        }
    }

    fn handle_pdu(&mut self, header: Header, pdu: &Pdu<'_>) {
        let sequence_number = header.sequence_number;
        match pdu {
            Pdu::SubmitSm(sm) => self.handle_submit(header, sm),
            Pdu::DataSm(data) => self.handle_submit(header, &super::checks::submit_of(data)),
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
            // submit_multi among them: the provider has no distribution lists.
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
        let (mut settled, mut good) = (0, 0);
        let mut deliveries = self.session.deliveries.lock();
        for (sequence_number, command_status) in batch.answered.drain(..) {
            let Some(receipt) = deliveries.settle(sequence_number) else { continue };
            settled += 1;
            good += u64::from(command_status == status::OK);
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
            if is_temporary(command_status) {
                batch.scheduled.push((batch.now + self.shared.settings.redelivery_delay, receipt));
            }
        }
        let starved = std::mem::take(&mut deliveries.starved);
        drop(deliveries);
        if starved && settled > 0 {
            self.session.wake();
        }
        let counters = &self.shared.counters;
        counters.deliver_outstanding.subtract(settled);
        counters.receipts_answered.add(good);
        counters.receipts_refused.add(settled - good);
        if !bound.kind.can_receive() {
            log::debug!("smsc: session {}: an answer to a receipt on a transmitter", self.session.id);
        }
    }

    fn shuffle_answers(&mut self) {
        if self.batch.answers.is_empty() {
            return;
        }
        let batch = &mut self.batch;
        self.random.shuffle(&mut batch.answers);
        let mut shuffled = Vec::with_capacity(batch.out.len());
        batch.answers.drain(..).for_each(|range| shuffled.extend_from_slice(&batch.out[range]));
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
