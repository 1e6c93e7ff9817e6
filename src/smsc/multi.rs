//! submit_multi, and the broadcast requests of version 5.0, which no provider of this kind takes.
use super::checks::status;
use super::reader::Reader;
use super::submit::{DrawnFaults, Plan, Refusal};
use crate::wire::{
    CommandId, CommandStatus, Destination, Header, Pdu, Sm, SubmitMulti, SubmitMultiResp, Tlvs, Unsuccess, Unsuccesses,
    encode,
};

/// Requests of version 5.0 for cell broadcasts, each with the status that refuses it.
const BROADCASTS: [(CommandId, u32); 3] = [
    (CommandId(0x111), status::BROADCAST_FAILED),
    (CommandId(0x112), status::BROADCAST_QUERY_FAILED),
    (CommandId(0x113), status::BROADCAST_CANCEL_FAILED),
];

impl Reader {
    /// Takes a message to many: each destination is judged and recorded as a submit_sm would be, and has a receipt of its own;
    /// all have the same message_id. A list is one that is not known.
    pub(super) fn handle_submit_multi(&mut self, header: Header, multi: &SubmitMulti<'_>) {
        if !self.can_submit() {
            return self.answer(header, status::BIND_STATE);
        }
        if multi.destinations.count == 0 {
            return self.answer(header, status::DESTINATION_COUNT);
        }
        let number = self.shared.next_number();
        // Limits and faults look at each destination; what they do to the answer, they do to the one that there is.
        let (mut plan, mut is_nack) = (Plan::default(), false);
        let is_special = self.behaviour.is_special;
        let mut drawn = if is_special { self.draw_faults() } else { DrawnFaults::default() };
        let (mut refused, mut octets, mut taken) = (0u8, Vec::new(), 0);
        for destination in multi.destinations.iter() {
            let (address, outcome) = match destination {
                Destination::Address(address) => {
                    let sm = Sm { destination: address, ..multi.message };
                    let (judged, own) = match is_special {
                        true => self.judge_specially(&sm),
                        false => (self.judge_by_rate(&sm), Plan::default()),
                    };
                    plan.join(&own);
                    let judged = drawn.apply(judged);
                    is_nack |= judged.is_ok() && drawn.is_nack;
                    let frame = self.frame_of(header, &sm);
                    let outcome = match judged.and_then(|()| drawn.nack()) {
                        Ok(()) => {
                            self.accept(header, &sm, &frame, number, &own);
                            Ok(())
                        }
                        Err(refusal) => {
                            self.record_refused(header, &sm, &frame, &refusal);
                            Err(refusal.status)
                        }
                    };
                    (address, outcome)
                }
                Destination::List(name) => {
                    let address = crate::wire::Address::new(0, 0, name);
                    let refusal = Refusal::new(status::LIST_NAME, "dl_name");
                    let sm = Sm { destination: address, ..multi.message };
                    let frame = self.frame_of(header, &sm);
                    self.record_refused(header, &sm, &frame, &refusal);
                    (address, Err(status::LIST_NAME))
                }
            };
            match outcome {
                Ok(()) => taken += 1,
                Err(error_status_code) => {
                    // What was decoded can be longer than what may be encoded; then its number stands there, and not its address.
                    let told = Unsuccess { address, error_status_code }.push_to(&mut octets).is_ok();
                    let unnamed = Unsuccess { address: crate::wire::Address::new(0, 0, b""), error_status_code };
                    if told || unnamed.push_to(&mut octets).is_ok() {
                        refused = refused.saturating_add(1);
                    }
                }
            }
        }
        drawn.is_nack = is_nack;
        let mut id = Vec::new();
        if taken > 0 {
            self.id_form().write(number, &mut id);
        }
        let command_status = match drawn.apply(Ok(())) {
            _ if taken > 0 => status::OK,
            // A fault is that of the whole.
            Err(refusal) => refusal.status,
            Ok(()) => status::SUBMIT_FAILED,
        };
        let unsuccess = Unsuccesses { count: refused, octets: &octets };
        let answer = Pdu::SubmitMultiResp(SubmitMultiResp { message_id: &id, unsuccess, tlvs: Tlvs::NONE });
        let write = |reader: &mut Reader| {
            let start = reader.batch.out.len();
            let status = CommandStatus(command_status);
            match encode(&answer, header.sequence_number, status, &mut reader.batch.out) {
                Ok(()) => reader.append_congestion(start),
                Err(e) => {
                    log::error!("smsc: the answer to a submit_multi: {e}");
                    reader.answer(header, status::SUBMIT_FAILED);
                }
            }
        };
        match is_special {
            true => self.answer_specially(header, &drawn, &plan, write),
            false => write(self),
        }
    }

    /// A submit_sm to one of the destinations, for those who ask what came.
    fn frame_of(&self, header: Header, sm: &Sm<'_>) -> Vec<u8> {
        let mut frame = Vec::new();
        if self.shared.history.is_some() {
            // What cannot be encoded is remembered without its fields.
            let _ = encode(&Pdu::SubmitSm(*sm), header.sequence_number, CommandStatus::OK, &mut frame);
        }
        frame
    }

    /// Refuses a request for a broadcast, as a session of version 5.0 knows them. False where it is none, or the version is older.
    pub(super) fn refuse_broadcast(&mut self, header: Header) -> bool {
        let known = self.bound.as_ref().is_some_and(|bound| bound.v50);
        let Some((_, status)) = BROADCASTS.iter().find(|(id, _)| known && *id == header.command_id) else {
            return false;
        };
        self.answer(header, *status);
        true
    }
}
