//! query_sm, cancel_sm and replace_sm, for the messages that are still kept.
use super::checks::status;
use super::clock::write_smpp_time;
use super::history::key_of;
use super::reader::Reader;
use super::receipts::Fate;
use crate::wire::{CancelSm, CommandStatus, Header, Pdu, QuerySm, QuerySmResp, ReplaceSm, encode};

impl Reader {
    /// Tells what became of a message.
    pub(super) fn handle_query(&mut self, header: Header, query: &QuerySm<'_>) {
        if !self.can_submit() {
            return self.answer(header, status::BIND_STATE);
        }
        let now = self.batch.now;
        let found = self.with_kept(|kept, form| {
            let message = kept.find(form.parse(query.message_id)?, query.source.addr)?;
            let (fate, since) = message.fate_at(now);
            Some((fate, now.saturating_sub(since)))
        });
        let command_status = if found.is_some() { status::OK } else { status::QUERY_FAILED };
        self.record_operation(header, query.message_id, query.source.addr, command_status, None);
        let Some((fate, ago)) = found else { return self.answer(header, command_status) };
        let mut final_date = Vec::new();
        if fate != Fate::Enroute {
            write_smpp_time(self.batch.now_us.saturating_sub(ago.as_micros() as u64), &mut final_date);
        }
        let answer = Pdu::QuerySmResp(QuerySmResp {
            message_id: query.message_id,
            final_date: &final_date,
            message_state: fate.message_state(),
            ..QuerySmResp::default()
        });
        if encode(&answer, header.sequence_number, CommandStatus::OK, &mut self.batch.out).is_err() {
            self.answer(header, status::MESSAGE_ID);
        }
    }

    /// Deletes a message that is not final yet; without an id, all between two addresses.
    pub(super) fn handle_cancel(&mut self, header: Header, cancel: &CancelSm<'_>) {
        if !self.can_submit() {
            return self.answer(header, status::BIND_STATE);
        }
        let now = self.batch.now;
        let done = self.with_kept(|kept, form| {
            if cancel.message_id.is_empty() {
                let cancelled = kept.cancel_all(cancel.source.addr, cancel.destination.addr, now);
                return (!cancelled.is_empty()).then_some(cancelled);
            }
            let number = form.parse(cancel.message_id)?;
            let message = kept.find(number, cancel.source.addr)?;
            let mut keys = Vec::new();
            message.cancel(now, None, |to| keys.push(key_of(number, to))).then_some(keys)
        });
        if let (Some(history), Some(keys)) = (&self.shared.history, &done) {
            history.change(keys.iter().copied(), |entry| (entry.fate, entry.due) = (Fate::Deleted, now));
        }
        let command_status = if done.is_some() { status::OK } else { status::CANCEL_FAILED };
        self.record_operation(header, cancel.message_id, cancel.source.addr, command_status, None);
        self.answer(header, command_status);
    }

    /// Replaces the text of a message that is not final yet: its receipt quotes the new one.
    pub(super) fn handle_replace(&mut self, header: Header, replace: &ReplaceSm<'_>) {
        if !self.can_submit() {
            return self.answer(header, status::BIND_STATE);
        }
        let now = self.batch.now;
        let done = self.with_kept(|kept, form| {
            let message = kept.find(form.parse(replace.message_id)?, replace.source.addr)?;
            message.replace(now, replace.short_message).then_some(())
        });
        let command_status = if done.is_some() { status::OK } else { status::REPLACE_FAILED };
        let text = Some(replace.short_message);
        self.record_operation(header, replace.message_id, replace.source.addr, command_status, text);
        self.answer(header, command_status);
    }

    fn record_operation(&mut self, header: Header, id: &[u8], source: &[u8], status: u32, text: Option<&[u8]>) {
        if self.shared.ledger.is_none() {
            return;
        }
        let batch = &mut self.batch;
        let mut line = batch.prefix.begin("operation", &mut batch.lines);
        line.number("sequence_number", header.sequence_number)
            .text("command", header.command_id.name().as_bytes())
            .number("status", status)
            .text("message_id", id)
            .text("source", source);
        if let Some(text) = text {
            line.hex("short_message", text);
        }
        line.end();
    }

    fn with_kept<T>(
        &self,
        look: impl FnOnce(&mut crate::smsc::message_store::Kept, super::ids::IdForm) -> Option<T>,
    ) -> Option<T> {
        let kept = self.shared.kept.as_ref()?;
        look(&mut kept.lock(), self.id_form())
    }
}
