//! What an SMSC answers to query_sm, cancel_sm and replace_sm.

use super::receipt_dialect::{ReceiptReading, last};
use crate::journal::model::id_spelling::{bare, in_other_radix};
use crate::journal::model::operation::Answered;
use crate::wire::{CommandId, CommandStatus, MessageState, Pdu, decode, decode_header};

/// What a PDU answers that names the sequence number of a request about the message of that id.
pub fn answer_of(frame: &[u8], asked: &str) -> Option<Answered> {
    let header = decode_header(frame)?;
    let mut answer = Answered { command_status: header.command_status.0, ..Answered::default() };
    if header.command_id == CommandId::GENERIC_NACK && header.command_status == CommandStatus::OK {
        answer.command_status = CommandStatus::SYSTEM_ERROR.0;
    }
    if let (CommandStatus::OK, Ok((_, Pdu::QuerySmResp(told)))) = (header.command_status, decode(frame)) {
        if names_another(told.message_id, asked) {
            let told = told.message_id.escape_ascii();
            log::warn!("asked about {asked}, the SMSC told of {told}: its answer is not believed");
            return Some(answer);
        }
        answer.state = Some(told.message_state);
        answer.error_code = Some(told.error_code);
        let date = told.final_date.escape_ascii().to_string();
        answer.final_date = Some(date).filter(|date| !date.is_empty());
    }
    Some(answer)
}

/// The final state that a query was answered with. UNKNOWN is none: the SMSC says only that it does not know.
pub fn final_state(reading: &ReceiptReading, answer: &Answered) -> Option<MessageState> {
    let code = answer.state.filter(|_| answer.command_status == 0)?;
    let state = reading.message_state(code)?;
    (state.is_final(reading.accepted_is_final) && state != MessageState::Unknown).then(|| last(state))
}

/// Whether an answer is about another message than the one that was asked about, however the SMSC writes its ids.
fn names_another(told: &[u8], asked: &str) -> bool {
    let of = |id: &[u8]| bare(id).to_ascii_lowercase();
    let others = in_other_radix(asked.as_bytes()).into_iter().flatten();
    !told.is_empty()
        && of(told) != of(asked.as_bytes())
        && others.into_iter().all(|other| of(other.as_bytes()) != of(told))
}

#[cfg(test)]
mod tests {
    use super::names_another;

    #[test]
    fn an_answer_about_another_message_is_told_from_another_spelling() {
        for (told, asked) in [("", "77"), ("77", "77"), ("0077", "77"), ("b8be19", "B8BE19"), ("12107289", "b8be19")] {
            assert!(!names_another(told.as_bytes(), asked), "{told} {asked}");
        }
        for (told, asked) in [("78", "77"), ("5000006", "5000001"), ("x", "77")] {
            assert!(names_another(told.as_bytes(), asked), "{told} {asked}");
        }
    }
}
