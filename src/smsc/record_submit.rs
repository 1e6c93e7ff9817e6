//! The ledger's lines for messages.
use super::checks::{Part, concat_of};
use super::message::text_of;
use super::reader::Reader;
use super::submit::Refusal;
use crate::wire::{CommandStatus, Header, Sm, Tag};

impl Reader {
    /// The line of a message. What it held from the first stands first, so that lines of older ledgers are its beginning.
    pub(super) fn record(
        &mut self,
        header: Header,
        sm: &Sm<'_>,
        refusal: Option<&Refusal>,
        part: Option<Part>,
        number: Option<u64>,
    ) {
        let form = self.id_form();
        let command = header.command_id.name().as_bytes();
        let status = refusal.map_or(0, |refusal| refusal.status);
        let batch = &mut self.batch;
        let mut line = batch.prefix.begin("submit", &mut batch.lines);
        line.number("sequence_number", header.sequence_number)
            .text("command", command)
            .number("status", status)
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
            .json("text", &text_of(sm))
            .text("status_name", CommandStatus(status).name().as_bytes());
        match refusal {
            Some(refusal) => line.json("refused_for", &refusal.why),
            None => line.null("refused_for"),
        };
        line.text("service_type", sm.service_type)
            .number("protocol_id", sm.protocol_id)
            .number("priority_flag", sm.priority_flag)
            .text("schedule_delivery_time", sm.schedule_delivery_time)
            .text("validity_period", sm.validity_period)
            .number("replace_if_present", sm.replace_if_present)
            .number("sm_default_msg_id", sm.sm_default_msg_id)
            .tlvs("tlvs", sm.tlvs);
        match self.session.peer {
            Some(_) => line.text("peer", self.session.peer_name.as_bytes()),
            None => line.null("peer"),
        };
        match &self.bound {
            Some(bound) => line.text("version", bound.version_name.as_bytes()),
            None => line.null("version"),
        };
        line.end();
    }

    /// A long message once all its parts are there, as a handset would show it.
    pub(super) fn record_joined(&mut self, sm: &Sm<'_>, part: Part, text: &str) {
        let batch = &mut self.batch;
        batch
            .prefix
            .begin("joined", &mut batch.lines)
            .text("source", sm.source.addr)
            .text("destination", sm.destination.addr)
            .number("reference", part.reference)
            .number("total", part.total)
            .json("text", text)
            .end();
    }
}
