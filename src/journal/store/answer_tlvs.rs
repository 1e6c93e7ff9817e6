//! The optional parameters of answers, kept where there are any.

use crate::journal::error::JournalError;
use crate::journal::model::events::Batch;
use crate::journal::store::octets::text_of;
use crate::message::tlv_words::{TlvShape, tlv_words};
use crate::wire::{Tag, Tlvs};
use rusqlite::Connection;

/// Keeps the optional parameters of a batch's answers, in the transaction that runs. Answers without any cost nothing.
pub(in crate::journal) fn store(connection: &Connection, batch: &Batch) -> Result<(), JournalError> {
    for answer in batch.answers.iter().filter(|answer| !answer.tlvs.is_empty()) {
        let octets = batch.octets(&answer.tlvs);
        let tlvs = Tlvs(octets);
        if tlvs.iter().next().is_none() {
            // Octets behind the id that are no parameters.
            continue;
        }
        let reason = reason(tlvs, answer.command_status != 0);
        connection.prepare_cached("INSERT INTO answer_tlv (attempt, tlvs, reason) VALUES (?1, ?2, ?3)")?.execute((
            answer.sent.attempt.0,
            octets,
            reason,
        ))?;
    }
    Ok(())
}

/// What an answer says beside its status: its text; of one that refuses, where it has none, all its parameters.
fn reason(tlvs: Tlvs<'_>, refuses: bool) -> Option<String> {
    let text = tlvs.get_c_string(Tag::ADDITIONAL_STATUS_INFO_TEXT).filter(|text| !text.is_empty());
    match text {
        Some(text) => Some(text_of(text).into_owned()),
        None if refuses => {
            let name = |tag: Tag| (tag.name().map(str::to_owned), TlvShape::of(tag));
            Some(tlv_words(tlvs, name)).filter(|words| !words.is_empty())
        }
        None => None,
    }
}
