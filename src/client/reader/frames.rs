//! One PDU as a read has it: an answer, an inbound message, or what is rare.

use super::*;

/// Notes an answer for the pacer, which is told of those together that were written together, unless it looks at each.
pub(super) fn tell(
    paced: &mut Vec<controller::Answered>,
    attentive: bool,
    sent_at: f64,
    depth: u32,
    class: StatusClass,
    status: u32,
) {
    let said = match class {
        StatusClass::Accepted => controller::Said::Accepted,
        StatusClass::Throttled => controller::Said::Throttled(status),
        StatusClass::Temporary => controller::Said::Temporary(status),
        // They say nothing about a pace.
        StatusClass::Session | StatusClass::Account | StatusClass::Permanent => return,
    };
    match paced.last_mut() {
        Some(last)
            if !attentive && said == controller::Said::Accepted && last.said == said && last.sent_at == sent_at =>
        {
            last.count += 1;
            last.depth = last.depth.max(depth);
        }
        _ => paced.push(controller::Answered { sent_at, count: 1, depth, said }),
    }
}

/// What a read has for the writer.
#[derive(Default)]
pub(super) struct ForWriter {
    /// Octets to be written at once.
    pub replies: Vec<u8>,
    /// The sequence number of the SMSC's unbind: the writer hears of it when the journal has what came before it, so that
    /// this is answered first.
    pub unbind: Option<u32>,
    /// What may answer requests about messages that the SMSC has: these are the reader's own to sort.
    pub told: Vec<Vec<u8>>,
}

/// Sorts one PDU.
pub(super) fn take(
    frame: &[u8],
    reading: &ReceiptReading,
    batch: &mut Batch,
    found: &mut Vec<Found>,
    for_writer: &mut ForWriter,
    writer: &Sender<FromReader>,
) -> Result<(), SessionEnd> {
    let Some(header) = decode_header(frame) else { return Ok(()) };
    match header.command_id {
        CommandId::SUBMIT_SM_RESP | CommandId::DATA_SM_RESP => {
            let (id, tlvs) = decode_answer(frame);
            let (message_id, tlvs) = (batch.keep(id), if tlvs.is_empty() { 0..0 } else { batch.keep(tlvs) });
            let (sequence_number, command_status) = (header.sequence_number, header.command_status.0);
            found.push(Found { sequence_number, command_status, message_id, tlvs });
        }
        CommandId::DELIVER_SM => {
            batch.acknowledge.deliver.push(header.sequence_number);
            take_inbound(frame, reading, batch);
        }
        CommandId::DATA_SM => {
            batch.acknowledge.data.push(header.sequence_number);
            take_inbound(frame, reading, batch);
        }
        CommandId::QUERY_SM_RESP | CommandId::CANCEL_SM_RESP | CommandId::REPLACE_SM_RESP => {
            for_writer.told.push(frame.to_vec());
        }
        CommandId::GENERIC_NACK if sequence::OPERATIONS.contains(&header.sequence_number) => {
            for_writer.told.push(frame.to_vec());
        }
        _ => rare(header, for_writer, found, writer)?,
    }
    Ok(())
}

/// Everything that is neither an answer to a submit_sm nor an inbound message.
fn rare(
    header: Header,
    for_writer: &mut ForWriter,
    found: &mut Vec<Found>,
    writer: &Sender<FromReader>,
) -> Result<(), SessionEnd> {
    let told = match header.command_id {
        CommandId::ENQUIRE_LINK => {
            encode_enquire_link_resp(header.sequence_number, &mut for_writer.replies);
            return Ok(());
        }
        CommandId::GENERIC_NACK if (1..sequence::FIRST).contains(&header.sequence_number) => {
            let _ = writer.try_send(FromReader::LinkNacked(header.command_status));
            return Ok(());
        }
        CommandId::GENERIC_NACK if header.sequence_number != 0 => {
            // As good as an answer: this request was not understood. ReceiptState as an error even where the status says none.
            let command_status = match header.command_status {
                CommandStatus::OK => CommandStatus::SYSTEM_ERROR.0,
                status => status.0,
            };
            found.push(Found { sequence_number: header.sequence_number, command_status, message_id: 0..0, tlvs: 0..0 });
            return Ok(());
        }
        CommandId::GENERIC_NACK => writer.send(FromReader::Nack(header.command_status)),
        CommandId::UNBIND => {
            for_writer.unbind = Some(header.sequence_number);
            return Ok(());
        }
        CommandId::UNBIND_RESP => writer.send(FromReader::UnbindAnswered),
        CommandId::ALERT_NOTIFICATION | CommandId::OUTBIND => return Ok(()),
        CommandId::ENQUIRE_LINK_RESP => {
            // The writer may be waiting for this sign of life; where it has not seen the last wake-up, that is as good.
            let _ = writer.try_send(FromReader::LinkAnswered);
            return Ok(());
        }
        id if id.is_response() => return Ok(()),
        id => {
            log::warn!("a request that an SMSC has no business sending ({}): refused", id.name());
            encode_generic_nack(header.sequence_number, CommandStatus::INVALID_COMMAND_ID, &mut for_writer.replies);
            return Ok(());
        }
    };
    told.map_err(|_| SessionEnd::Stopped)
}

/// A deliver_sm or data_sm: a receipt if it can be read as one, else inbound.
fn take_inbound(frame: &[u8], reading: &ReceiptReading, batch: &mut Batch) {
    let taken = match decode(frame) {
        Ok((_, Pdu::DeliverSm(sm))) => {
            take_receipt(sm.receipt(), sm.text(), sm.tlvs, [sm.source.addr, sm.destination.addr], reading, batch)
        }
        Ok((_, Pdu::DataSm(sm))) => {
            take_receipt(sm.receipt(), sm.text(), sm.tlvs, [sm.source.addr, sm.destination.addr], reading, batch)
        }
        _ => false,
    };
    if !taken {
        let pdu = batch.keep(frame);
        batch.inbound.push(InboundEvent { pdu });
    }
}

fn take_receipt(
    receipt: Option<Receipt<'_>>,
    text: &[u8],
    tlvs: Tlvs<'_>,
    [source, destination]: [&[u8]; 2],
    reading: &ReceiptReading,
    batch: &mut Batch,
) -> bool {
    let Some(receipt) = receipt else { return false };
    // Without an id the reference that we gave the message names it as well.
    let id = match receipt.id() {
        Some(id) => id,
        None if tlvs.get_u16(Tag::USER_MESSAGE_REFERENCE).is_some() => b"",
        None => return false,
    };
    let state = reading.state_of(&receipt);
    let error = error_of(&receipt, state.as_ref(), batch);
    let text_id = receipt.text_id.as_deref().filter(|text_id| *text_id != id).unwrap_or_default();
    let event = ReceiptEvent {
        message_id: batch.keep(id),
        text_id: batch.keep(text_id),
        state: state.map(|state| state.state),
        is_final: state.is_some_and(|state| state.is_final),
        other: state.and_then(|state| state.other),
        error,
        text: batch.keep(text),
        tlvs: batch.keep(tlvs.octets()),
        source: batch.keep(source),
        destination: batch.keep(destination),
    };
    batch.receipts.push(event);
    true
}

/// The error that a receipt names. A word or code that is not SMPP's stands before it: it says more than the state that it
/// comes to.
fn error_of(receipt: &Receipt<'_>, state: Option<&ReceiptState>, batch: &mut Batch) -> Range<u32> {
    let is_unknown = state.is_some_and(|state| state.state == MessageState::Unknown);
    let strange = |code: u8| (is_unknown && MessageState::from_code(code).is_none()).then(|| code.to_string());
    let code;
    let word: &[u8] = match (&receipt.stat, receipt.tlv_state) {
        (Some(Stat::Other(word)), _) => word,
        (Some(Stat::Code(stat)), _) if is_unknown && MessageState::from_code(*stat).is_none() => {
            receipt.stat_word.as_deref().unwrap_or_default()
        }
        (_, Some(state)) => {
            code = strange(state).unwrap_or_default();
            code.as_bytes()
        }
        _ => b"",
    };
    match (&receipt.err, receipt.network_error_code) {
        (Some(error), _) if word.is_empty() => batch.keep(error),
        (Some(error), _) => batch.keep(&[word, &b" "[..], error].concat()),
        (None, _) if !word.is_empty() => batch.keep(word),
        (None, Some(&[_, high, low])) => batch.keep(u16::from_be_bytes([high, low]).to_string().as_bytes()),
        (None, _) => 0..0,
    }
}
