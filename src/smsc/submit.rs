//! submit_sm and data_sm: judged, recorded, answered, and their receipts scheduled.
use std::borrow::Cow;
use std::time::Duration;

use super::checks::{Part, part_of, quotable, refusal, status};
use super::history::{Entry, key_of};
use super::limits::{Asked, Verdict};
use super::message::{Receipt as ReceiptState, latin1, text_of};
use super::reader::{End, Reader};
use super::receipts::{Delivery, Fate, Party, Receipt};
use super::rules::{self, Action, Seen};
use super::settings::Every;
use super::writer::note_receipt;
use crate::smsc::message_store::Addressed;
use crate::wire::values::registered_delivery;
use crate::wire::{CommandId, CommandStatus, Header, Sm, Tag, encode_generic_nack, encode_header_only};

/// How long a throttle storm lasts.
const STORM: Duration = Duration::from_secs(1);

/// Why a message is not accepted.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u32,
    /// The field, rule, limit or fault.
    pub(super) why: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(status: u32, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, why: why.into() }
    }
}

/// What becomes of an accepted message, as far as it is not left to chance.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    action: Action,
    /// The answer waits that long.
    answer_after: Duration,
}

impl Plan {
    /// The answer to a message to many is one: it waits as long as that of any would, and does not come where any has none.
    pub(super) fn join(&mut self, other: &Plan) {
        self.action.is_silent |= other.action.is_silent;
        self.action.drops |= other.action.drops;
        self.answer_after = self.answer_after.max(other.answer_after);
    }
}

impl Reader {
    /// Takes a message.
    pub(super) fn handle_submit(&mut self, header: Header, sm: &Sm<'_>, frame: &[u8]) {
        if self.behaviour.is_special {
            return self.submit_specially(header, sm, frame);
        }
        match self.judge_by_rate(sm) {
            Err(refusal) => self.refuse_submit(header, sm, frame, &refusal),
            Ok(()) => {
                let number = self.shared.next_number();
                self.accept(header, sm, frame, number, &Plan::default());
                self.answer_submit(header, number);
            }
        }
    }

    /// Records a message that is not accepted, and answers it.
    pub(super) fn refuse_submit(&mut self, header: Header, sm: &Sm<'_>, frame: &[u8], refusal: &Refusal) {
        self.record_refused(header, sm, frame, refusal);
        self.answer_refused(header, refusal.status);
    }

    /// Whether the provider minds something in a message.
    fn judge(&self, sm: &Sm<'_>) -> Result<(), Refusal> {
        if !self.can_submit() {
            return Err(Refusal::new(status::BIND_STATE, "not bound to send"));
        }
        if let Some((status, field)) = refusal(sm) {
            return Err(Refusal::new(status, field));
        }
        let is_full = self.bound.as_ref().is_none_or(|bound| bound.account.is_full());
        if sm.registered_delivery & registered_delivery::RECEIPT_MASK != 0 && is_full {
            return Err(Refusal::new(status::QUEUE_FULL, "receipts that wait"));
        }
        Ok(())
    }

    /// The same, and whether the account's rate is used up.
    pub(super) fn judge_by_rate(&self, sm: &Sm<'_>) -> Result<(), Refusal> {
        self.judge(sm)?;
        match self.bound.as_ref().is_some_and(|bound| bound.account.admit(self.batch.now)) {
            true => Ok(()),
            false => Err(Refusal::new(status::THROTTLED, "rate")),
        }
    }

    /// Records an accepted message under its number, and schedules its receipt.
    pub(super) fn accept(&mut self, header: Header, sm: &Sm<'_>, frame: &[u8], number: u64, plan: &Plan) {
        self.batch.submits += 1;
        self.batch.accepted += 1;
        let part = if self.wants_parts { part_of(sm) } else { None };
        let mut joined = None;
        if self.shared.ledger.is_some() {
            self.record(header, sm, None, part, Some(number));
        }
        if (self.shared.ledger.is_some() || self.shared.history.is_some())
            && let (Some(part), Some(bound)) = (part, &self.bound)
        {
            joined = bound.account.join_part(sm, part);
            if self.shared.ledger.is_some()
                && let Some(text) = &joined
            {
                self.record_joined(sm, part, text);
            }
        }
        let wants_receipt = sm.registered_delivery & registered_delivery::RECEIPT_MASK != 0;
        let is_kept = self.shared.kept.is_some() || self.shared.history.is_some();
        if wants_receipt || is_kept {
            let (fate, due, receipt) = self.decide_fate(number, sm, part, plan);
            if self.shared.history.is_some() {
                let receipt = if receipt { ReceiptState::Waiting } else { ReceiptState::None };
                self.remember(header, sm, frame, None, Some((number, fate, due, receipt, joined)));
            }
        }
        if let Some(reply) = &plan.action.reply {
            self.batch.replies.push((latin1(sm.destination.addr), latin1(sm.source.addr), reply.clone()));
        }
    }

    pub(super) fn record_refused(&mut self, header: Header, sm: &Sm<'_>, frame: &[u8], refusal: &Refusal) {
        self.batch.submits += 1;
        match refusal.status {
            status::THROTTLED => self.batch.throttled += 1,
            _ => self.batch.refused += 1,
        }
        if self.shared.ledger.is_some() {
            self.record(header, sm, Some(refusal), part_of(sm), None);
        }
        if self.shared.history.is_some() {
            self.remember(header, sm, frame, Some(refusal), None);
        }
    }

    /// Keeps a message for those who ask.
    #[allow(clippy::type_complexity, reason = "what was decided of it, handed through once")]
    fn remember(
        &mut self,
        header: Header,
        sm: &Sm<'_>,
        frame: &[u8],
        refusal: Option<&Refusal>,
        accepted: Option<(u64, Fate, Duration, ReceiptState, Option<String>)>,
    ) {
        let (number, fate, due, receipt, joined) = match accepted {
            Some((number, fate, due, receipt, joined)) => (Some(number), fate, due, receipt, joined),
            None => (None, Fate::Rejected, Duration::ZERO, ReceiptState::None, None),
        };
        let destination = Party::new(0, 0, sm.destination.addr);
        let bound = self.bound.as_ref();
        let entry = Entry {
            at_us: self.batch.now_us,
            session: self.session.id,
            system_id: bound.map_or_else(|| [][..].into(), |bound| bound.account.system_id.clone()),
            peer: self.session.peer,
            interface_version: bound.map_or(0, |bound| bound.interface_version),
            command: header.command_id,
            frame: frame.into(),
            status: refusal.map_or(status::OK, |refusal| refusal.status),
            refused_for: refusal.map(|refusal| refusal.why.as_ref().into()),
            number,
            form: self.id_form(),
            fate,
            due,
            receipt,
            joined: joined.map(Into::into),
            key: number.map_or(0, |number| key_of(number, destination.address())),
        };
        self.batch.remembered.push(entry);
    }

    /// Decides what becomes of a message, and schedules the receipts that it asked for. Gives its fate, when it comes to that,
    /// and whether there is a receipt.
    fn decide_fate(&mut self, number: u64, sm: &Sm<'_>, part: Option<Part>, plan: &Plan) -> (Fate, Duration, bool) {
        let behaviour = &self.behaviour;
        let quirks = &behaviour.quirks;
        let random = &mut self.random;
        let fate = plan.action.fate.unwrap_or_else(|| Fate::draw(&behaviour.outcomes, random));
        let mut delay = plan.action.receipt_delay.as_ref().unwrap_or(&behaviour.receipt_delay).draw(random);
        if quirks.late.draw(random) {
            delay = (delay * 10).max(Duration::from_secs(10));
        }
        let answered = self.batch.now + plan.answer_after;
        let due = answered + delay;
        let source = Party::new(sm.source.ton, sm.source.npi, sm.source.addr);
        let destination = Party::new(sm.destination.ton, sm.destination.npi, sm.destination.addr);
        if let Some(kept) = &self.shared.kept {
            kept.lock().insert(number, source, Addressed::new(destination, fate, due));
        }
        let asked = match sm.registered_delivery & registered_delivery::RECEIPT_MASK {
            registered_delivery::ALWAYS => true,
            registered_delivery::ON_FAILURE => fate != Fate::Delivered,
            registered_delivery::ON_SUCCESS => fate == Fate::Delivered,
            _ => false,
        };
        let wrong_part = part.is_some_and(|part| {
            quirks.last_part_only != Every(0) && part.part != part.total && quirks.last_part_only.draw(random)
                || quirks.first_part_only != Every(0) && part.part != 1 && quirks.first_part_only.draw(random)
        });
        if !asked || wrong_part || plan.action.without_receipt {
            return (fate, due, false);
        }
        let submitted_s = (self.batch.now_us / 1_000_000) as u32;
        let mut receipt = Receipt::new(number, submitted_s, source, destination, fate);
        receipt.quote(quotable(sm));
        receipt.error = plan.action.error;
        if !sm.tlvs.is_empty() {
            receipt.user_message_reference = sm.tlvs.get_u16(Tag::USER_MESSAGE_REFERENCE);
        }
        receipt.without_text = quirks.tlv_only.draw(random);
        receipt.without_tlvs = !receipt.without_text && quirks.text_only.draw(random);
        receipt.as_data_sm = quirks.data_sm.draw(random);
        receipt.provider_codes = quirks.provider_codes.draw(random);
        if sm.registered_delivery & registered_delivery::INTERMEDIATE != 0 || quirks.intermediate.draw(random) {
            let mut before = receipt.clone();
            before.fate = Fate::Enroute;
            before.error = None;
            self.batch.scheduled.push((answered + delay / 2, Delivery::Receipt(before)));
        }
        if quirks.duplicate.draw(random) {
            self.batch.scheduled.push((due, Delivery::Receipt(receipt.clone())));
        }
        if quirks.early.draw(random) {
            self.send_early(due, receipt);
        } else {
            self.batch.scheduled.push((due, Delivery::Receipt(receipt)));
        }
        (fate, due, true)
    }

    /// Writes a receipt at once, before the answer to its message; in its time, if this session cannot carry it.
    fn send_early(&mut self, due: Duration, mut receipt: Receipt) {
        let Some(bound) = &self.bound else { return };
        if !bound.kind.can_receive() {
            return self.batch.scheduled.push((due, Delivery::Receipt(receipt)));
        }
        let batch = &mut self.batch;
        let done_s = receipt.done_s(batch.now_us / 1_000_000);
        let inserted = self.session.deliveries.lock().insert(batch.now, Delivery::Receipt(receipt.clone()));
        let Ok(sequence_number) = inserted else { return batch.scheduled.push((due, Delivery::Receipt(receipt))) };
        let writer = self
            .early
            .get_or_insert_with(|| self.shared.receipt_writer(bound.v33, self.behaviour.faults.long_service_type));
        writer.write(&receipt, sequence_number, done_s, &mut batch.out);
        if self.shared.ledger.is_some() {
            note_receipt(&batch.prefix, writer, &receipt, sequence_number, &mut batch.lines);
        }
        self.shared.counters.receipts_sent.add(1);
        self.shared.counters.deliver_outstanding.add(1);
    }

    /// Appends the answer with a message id, written in place: this is the hottest line of the simulator.
    fn answer_submit(&mut self, header: Header, number: u64) {
        let form = self.id_form();
        let out = &mut self.batch.out;
        let start = out.len();
        encode_header_only(header.command_id.response(), CommandStatus::OK, header.sequence_number, out);
        form.write(number, out);
        out.push(0);
        let length = (out.len() - start) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.append_congestion(start);
    }

    /// Appends congestion_state to the answer that begins there, in a session of version 5.0.
    pub(super) fn append_congestion(&mut self, start: usize) {
        let Some(bound) = self.bound.as_ref().filter(|bound| bound.v50) else { return };
        let percent = self.behaviour.congestion.unwrap_or_else(|| bound.account.load(self.batch.now));
        let out = &mut self.batch.out;
        let [high, low] = Tag::CONGESTION_STATE.0.to_be_bytes();
        out.extend_from_slice(&[high, low, 0, 1, percent]);
        let length = (out.len() - start) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends an error answer: with an empty message_id, as most SMSCs send it, or as a bare header.
    fn answer_refused(&mut self, header: Header, command_status: u32) {
        let bare = self.behaviour.faults.bodyless_errors;
        let out = &mut self.batch.out;
        let start = out.len();
        let id = header.command_id.response();
        encode_header_only(id, CommandStatus(command_status), header.sequence_number, out);
        if !bare {
            out.push(0);
            out[start + 3] = 17;
            self.append_congestion(start);
        }
    }

    /// What rules and limits make of a message.
    pub(super) fn judge_specially(&mut self, sm: &Sm<'_>) -> (Result<(), Refusal>, Plan) {
        let mut plan = Plan::default();
        let behaviour = self.behaviour.clone();
        if let Err(refusal) = self.judge(sm) {
            plan.answer_after = behaviour.answer_delay.draw(&mut self.random);
            return (Err(refusal), plan);
        }
        let Some(bound) = self.bound.clone() else { return (Ok(()), plan) };
        let text = || text_of(sm);
        let account = &bound.account;
        let seen = Seen { to: sm.destination.addr, from: sm.source.addr, account: &account.system_id, text: &text };
        let rule = rules::find(&behaviour.rules, &seen);
        if let Some(rule) = rule {
            plan.action = rule.action.clone();
        }
        // What is refused waits for its answer as long as what is taken.
        let answer_delay = plan.action.answer_delay.as_ref().unwrap_or(&behaviour.answer_delay);
        plan.answer_after = answer_delay.draw(&mut self.random);
        if let Some((rule, status)) = rule.and_then(|rule| Some((rule, rule.action.status?))) {
            return (Err(Refusal::new(status, format!("rule {rule}"))), plan);
        }
        if !account.admit(self.batch.now) {
            return (Err(Refusal::new(status::THROTTLED, "rate")), plan);
        }
        if !behaviour.limits.is_empty() {
            let asked = Asked {
                now: self.batch.now,
                session: self.session.id,
                open: self.session.open.load(std::sync::atomic::Ordering::Relaxed),
                destination: sm.destination.addr,
                text: sm.text(),
                seed: self.shared.settings.seed,
            };
            let (verdict, limit) = account.judge(&asked, &mut self.random);
            let limit = limit.unwrap_or_default();
            match verdict {
                Verdict::Allow(more) => plan.answer_after += more,
                Verdict::Refuse(status) => return (Err(Refusal::new(status, limit)), plan),
                // What is not answered is not taken either: a client that asks again does nobody wrong.
                Verdict::Deaf => {
                    plan.action.is_silent = true;
                    return (Err(Refusal::new(status::THROTTLED, format!("{limit} (never answered)"))), plan);
                }
                Verdict::Close => {
                    plan.action.drops = true;
                    return (Err(Refusal::new(status::THROTTLED, format!("{limit} (connection closed)"))), plan);
                }
            }
        }
        (Ok(()), plan)
    }

    /// What faults do to a message. Each is drawn for each message, so that one fault's luck does not depend on another's.
    pub(super) fn draw_faults(&mut self) -> DrawnFaults {
        let faults = self.behaviour.faults.clone();
        let random = &mut self.random;
        let error = faults.error.filter(|(_, every)| every.draw(random)).map(|(code, _)| code);
        if faults.throttle_storm.draw(random) {
            self.storm_until = self.batch.now + STORM;
        }
        let drawn = DrawnFaults {
            error,
            is_nack: faults.nack.draw(random),
            is_silent: faults.silence.draw(random),
            is_junk: faults.junk.draw(random),
            is_huge: faults.huge_length.draw(random),
            unbinds: faults.unbind.draw(random),
            cuts_before: faults.drop_before_answer.draw(random),
            cuts_after: faults.drop_after_answer.draw(random),
            is_storm: self.batch.now < self.storm_until,
        };
        self.batch.stall |= faults.stalled_reads.draw(random);
        drawn
    }

    /// The way of a message where rules, limits, delays or faults are about.
    fn submit_specially(&mut self, header: Header, sm: &Sm<'_>, frame: &[u8]) {
        let (judged, plan) = self.judge_specially(sm);
        let mut drawn = self.draw_faults();
        let judged = drawn.apply(judged);
        // One that is refused anyhow has its answer.
        drawn.is_nack &= judged.is_ok();
        let answer = match judged.and_then(|()| drawn.nack()) {
            Ok(()) => {
                let number = self.shared.next_number();
                self.accept(header, sm, frame, number, &plan);
                Ok(number)
            }
            Err(refusal) => {
                self.record_refused(header, sm, frame, &refusal);
                Err(refusal.status)
            }
        };
        self.answer_specially(header, &drawn, &plan, |reader| match answer {
            Ok(number) => reader.answer_submit(header, number),
            Err(status) => reader.answer_refused(header, status),
        });
    }

    /// Writes an answer, unless a rule, a limit or a fault has it otherwise.
    pub(super) fn answer_specially(
        &mut self,
        header: Header,
        drawn: &DrawnFaults,
        plan: &Plan,
        answer: impl FnOnce(&mut Reader),
    ) {
        self.session.open.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if drawn.cuts_before || plan.action.drops {
            self.batch.end = End::Cut;
            return;
        }
        let is_silent = drawn.is_silent || plan.action.is_silent;
        let start = self.batch.out.len();
        if drawn.is_junk {
            write_junk(header.sequence_number, &mut self.batch.out);
        }
        if is_silent {
            // Nothing is written.
        } else if drawn.is_huge {
            let start = self.batch.out.len();
            encode_header_only(header.command_id.response(), CommandStatus::OK, 1, &mut self.batch.out);
            self.batch.out[start..start + 4].copy_from_slice(&0x8000_0000_u32.to_be_bytes());
        } else if drawn.is_nack {
            encode_generic_nack(header.sequence_number, CommandStatus(status::COMMAND_ID), &mut self.batch.out);
        } else {
            answer(self);
        }
        if !is_silent {
            self.batch.hold(start, plan.answer_after);
        }
        if drawn.unbinds {
            let sequence_number = self.session.deliveries.lock().next_sequence();
            encode_header_only(CommandId::UNBIND, CommandStatus::OK, sequence_number, &mut self.batch.out);
        }
        if drawn.cuts_after {
            self.batch.end = End::Cut;
        }
    }
}

/// What faults do to one message.
#[derive(Clone, Debug, Default)]
pub(super) struct DrawnFaults {
    error: Option<u32>,
    pub(super) is_nack: bool,
    is_silent: bool,
    is_junk: bool,
    is_huge: bool,
    unbinds: bool,
    cuts_before: bool,
    cuts_after: bool,
    /// A throttle storm is on.
    is_storm: bool,
}

impl DrawnFaults {
    /// Whether a message is taken, after it was judged by everything else.
    pub(super) fn apply(&self, judged: Result<(), Refusal>) -> Result<(), Refusal> {
        match self.error {
            Some(status::OK) => {}
            Some(code) => return Err(Refusal::new(code, "fault error")),
            None => judged?,
        }
        if self.is_storm { Err(Refusal::new(status::THROTTLED, "fault throttle-storm")) } else { Ok(()) }
    }

    /// Whether it is taken where nothing else refuses it.
    pub(super) fn nack(&self) -> Result<(), Refusal> {
        if self.is_nack { Err(Refusal::new(status::COMMAND_ID, "fault nack")) } else { Ok(()) }
    }
}

/// An answer to nothing, an unknown request, and a deliver_sm whose one TLV runs past its end.
fn write_junk(sequence_number: u32, out: &mut Vec<u8>) {
    encode_header_only(CommandId::SUBMIT_SM_RESP, CommandStatus::OK, sequence_number ^ 0x4000_0000, out);
    encode_header_only(CommandId(0x0001_0203), CommandStatus::OK, 0x7FFF_FFFE, out);
    let start = out.len();
    encode_header_only(CommandId::DELIVER_SM, CommandStatus::OK, 0x7FFF_FFFD, out);
    out.extend_from_slice(b"\0\x01\x01491700000001\0\x01\x0112345\0\0\0\0\0\0\0\0\0\0\x02hi\x04\x27\x00\x09\x02");
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
