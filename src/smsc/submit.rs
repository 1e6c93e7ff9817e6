//! submit_sm and data_sm: judged, recorded, answered, and their receipts scheduled.
use std::time::Duration;

use super::checks::{Part, check, concat_of, part_of, quotable, status};
use super::reader::{End, Reader};
use super::receipts::{Fate, Party, Receipt};
use super::settings::Every;
use super::writer::note_receipt;
use crate::smsc::message_store::KeptMessage;
use crate::wire::values::registered_delivery;
use crate::wire::{CommandId, CommandStatus, Header, Sm, Tag, encode_generic_nack, encode_header_only};

/// How long a throttle storm lasts.
const STORM: Duration = Duration::from_secs(1);

impl Reader {
    /// Takes a message.
    pub(super) fn handle_submit(&mut self, header: Header, sm: &Sm<'_>) {
        let command_status = self.judge(sm);
        if self.faulty {
            return self.submit_with_faults(header, sm, command_status);
        }
        if command_status != status::OK {
            return self.refuse_submit(header, sm, command_status);
        }
        let number = self.accept(header, sm);
        self.answer_submit(header, number);
    }

    /// Records a message that is not accepted, and answers it.
    pub(super) fn refuse_submit(&mut self, header: Header, sm: &Sm<'_>, command_status: u32) {
        self.record_refused(header, sm, command_status);
        self.answer_refused(header, command_status);
    }

    /// The status for a message; takes from the account's rate.
    fn judge(&mut self, sm: &Sm<'_>) -> u32 {
        if !self.can_submit() {
            return status::BIND_STATE;
        }
        let command_status = check(sm);
        if command_status != status::OK {
            return command_status;
        }
        let Some(bound) = &self.bound else { return status::BIND_STATE };
        if sm.registered_delivery & registered_delivery::RECEIPT_MASK != 0 && bound.account.is_full() {
            status::QUEUE_FULL
        } else if bound.account.admit(self.batch.now) {
            status::OK
        } else {
            status::THROTTLED
        }
    }

    /// Gives the message a number, records it and schedules its receipt.
    fn accept(&mut self, header: Header, sm: &Sm<'_>) -> u64 {
        self.batch.submits += 1;
        self.batch.accepted += 1;
        let number = self.shared.next_number();
        let part = if self.shared.ledger.is_some() || self.shared.wants_parts { part_of(sm) } else { None };
        if self.shared.ledger.is_some() {
            self.record(header, sm, status::OK, part, Some(number));
        }
        let wants_receipt = sm.registered_delivery & registered_delivery::RECEIPT_MASK != 0;
        if wants_receipt || self.shared.kept.is_some() {
            self.decide_fate(number, sm, part);
        }
        number
    }

    fn record_refused(&mut self, header: Header, sm: &Sm<'_>, command_status: u32) {
        self.batch.submits += 1;
        match command_status {
            status::THROTTLED => self.batch.throttled += 1,
            _ => self.batch.refused += 1,
        }
        if self.shared.ledger.is_some() {
            self.record(header, sm, command_status, part_of(sm), None);
        }
    }

    fn record(&mut self, header: Header, sm: &Sm<'_>, command_status: u32, part: Option<Part>, number: Option<u64>) {
        let form = self.id_form();
        let command = header.command_id.name().as_bytes();
        let batch = &mut self.batch;
        batch
            .prefix
            .begin("submit", &mut batch.lines)
            .number("sequence_number", header.sequence_number)
            .text("command", command)
            .number("status", command_status)
            .maybe_with("message_id", number.map(|number| move |out: &mut Vec<u8>| form.write(number, out)))
            .text("source", sm.source.addr)
            .number("source_ton", sm.source.ton)
            .number("source_npi", sm.source.npi)
            .text("destination", sm.destination.addr)
            .number("dest_ton", sm.destination.ton)
            .number("dest_npi", sm.destination.npi)
            .number("esm_class", sm.esm_class)
            .number("data_coding", sm.data_coding)
            .number("registered_delivery", sm.registered_delivery)
            .maybe("user_message_reference", sm.tlvs.get_u16(Tag::USER_MESSAGE_REFERENCE))
            .maybe("reference", part.map(|part| part.reference))
            .maybe("total", part.map(|part| part.total))
            .maybe("part", part.map(|part| part.part))
            .maybe_with(
                "concat",
                concat_of(sm, part).map(|name| |out: &mut Vec<u8>| out.extend_from_slice(name.as_bytes())),
            )
            .hex("short_message", sm.text())
            .end();
        if let (Some(part), status::OK) = (part, command_status) {
            self.join(sm, part);
        }
    }

    /// Records a long message once all its parts are there, as a handset would show it.
    fn join(&mut self, sm: &Sm<'_>, part: Part) {
        let Some(bound) = &self.bound else { return };
        let Some(text) = bound.account.join_part(sm, part) else { return };
        let batch = &mut self.batch;
        batch
            .prefix
            .begin("joined", &mut batch.lines)
            .text("source", sm.source.addr)
            .text("destination", sm.destination.addr)
            .number("reference", part.reference)
            .number("total", part.total)
            .json("text", &text)
            .end();
    }

    /// Draws what becomes of a message, and schedules the receipts that it asked for.
    fn decide_fate(&mut self, number: u64, sm: &Sm<'_>, part: Option<Part>) {
        let settings = &self.shared.settings;
        let quirks = &settings.quirks;
        let random = &mut self.random;
        let fate = Fate::draw(&settings.outcomes, random);
        let mut delay = settings.receipt_delay.draw(random);
        if quirks.late.draw(random) {
            delay = (delay * 10).max(Duration::from_secs(10));
        }
        let due = self.batch.now + delay;
        let source = Party::new(sm.source.ton, sm.source.npi, sm.source.addr);
        let destination = Party::new(sm.destination.ton, sm.destination.npi, sm.destination.addr);
        if let Some(kept) = &self.shared.kept {
            kept.lock().insert(number, KeptMessage { source, destination, fate, due, replaced: None });
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
        if !asked || wrong_part {
            return;
        }
        let submitted_s = (self.batch.now_us / 1_000_000) as u32;
        let mut receipt = Receipt::new(number, submitted_s, source, destination, fate);
        receipt.quote(quotable(sm));
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
            self.batch.scheduled.push((self.batch.now + delay / 2, before));
        }
        if quirks.duplicate.draw(random) {
            self.batch.scheduled.push((due, receipt.clone()));
        }
        if quirks.early.draw(random) {
            self.send_early(due, receipt);
        } else {
            self.batch.scheduled.push((due, receipt));
        }
    }

    /// Writes a receipt at once, before the answer to its message; in its time, if this session cannot carry it.
    fn send_early(&mut self, due: Duration, receipt: Receipt) {
        let Some(bound) = &self.bound else { return };
        if !bound.kind.can_receive() {
            return self.batch.scheduled.push((due, receipt));
        }
        let batch = &mut self.batch;
        let inserted = self.session.deliveries.lock().insert(batch.now, receipt.clone());
        let Ok(sequence_number) = inserted else { return batch.scheduled.push((due, receipt)) };
        let writer = self.early.get_or_insert_with(|| self.shared.receipt_writer(bound.v33));
        writer.write(&receipt, sequence_number, batch.now_us / 1_000_000, &mut batch.out);
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
    }

    /// Appends an error answer: with an empty message_id, as most SMSCs send it, or as a bare header.
    fn answer_refused(&mut self, header: Header, command_status: u32) {
        let bare = self.shared.settings.faults.bodyless_errors;
        let out = &mut self.batch.out;
        let start = out.len();
        let id = header.command_id.response();
        encode_header_only(id, CommandStatus(command_status), header.sequence_number, out);
        if !bare {
            out.push(0);
            out[start + 3] = 17;
        }
    }

    /// The way of a message where faults are about. Each is drawn for each message, so that one fault's luck does not
    /// depend on another's.
    fn submit_with_faults(&mut self, header: Header, sm: &Sm<'_>, judged: u32) {
        let faults = self.shared.settings.faults.clone();
        let random = &mut self.random;
        let mut command_status = judged;
        if let Some((code, every)) = faults.error
            && every.draw(random)
        {
            command_status = code;
        }
        if faults.throttle_storm.draw(random) {
            self.storm_until = self.batch.now + STORM;
        }
        let nack = faults.nack.draw(random);
        let silent = faults.silence.draw(random);
        let junk = faults.junk.draw(random);
        let huge = faults.huge_length.draw(random);
        let unbind = faults.unbind.draw(random);
        let cut_before = faults.drop_before_answer.draw(random);
        let cut_after = faults.drop_after_answer.draw(random);
        self.batch.stall |= faults.stalled_reads.draw(random);
        if command_status == status::OK && self.batch.now < self.storm_until {
            command_status = status::THROTTLED;
        }
        if nack && command_status == status::OK {
            command_status = status::COMMAND_ID;
        }
        let number = if command_status == status::OK {
            Some(self.accept(header, sm))
        } else {
            self.record_refused(header, sm, command_status);
            None
        };
        if cut_before {
            self.batch.end = End::Cut;
            return;
        }
        if junk {
            write_junk(header.sequence_number, &mut self.batch.out);
        }
        match number {
            _ if silent => {}
            _ if huge => {
                let start = self.batch.out.len();
                encode_header_only(header.command_id.response(), CommandStatus::OK, 1, &mut self.batch.out);
                self.batch.out[start..start + 4].copy_from_slice(&0x8000_0000_u32.to_be_bytes());
            }
            Some(number) => self.answer_submit(header, number),
            None if nack && command_status == status::COMMAND_ID => {
                encode_generic_nack(header.sequence_number, CommandStatus(command_status), &mut self.batch.out);
            }
            None => self.answer_refused(header, command_status),
        }
        if unbind {
            let sequence_number = self.session.deliveries.lock().next_sequence();
            encode_header_only(CommandId::UNBIND, CommandStatus::OK, sequence_number, &mut self.batch.out);
        }
        if cut_after {
            self.batch.end = End::Cut;
        }
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
