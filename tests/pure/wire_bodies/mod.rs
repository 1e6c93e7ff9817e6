//! Properties that hold for any octets at all. The property tests feed them, and so do the fuzz targets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a property that does not hold must panic")]

use smppost::wire::{
    CommandStatus, FrameBuffer, HEADER_OCTETS, MAX_PDU_OCTETS, MessageState, Pdu, Receipt, Tlvs, decode, decode_header,
    decode_message_id, encode,
};

/// Framing: the frames of a stream are the stream, whatever the reads were. The first octet steers their sizes.
pub fn frames(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let whole = framed(stream, usize::MAX);
    let split = framed(stream, usize::from(seed) + 1);
    assert_eq!(whole, split);
    let (frames, pending) = whole;
    let framed = frames.concat();
    assert!(stream.starts_with(&framed));
    // Where the stream broke, later octets were never read.
    assert!(pending.is_none_or(|pending| pending == stream.len() - framed.len()));
    for frame in frames {
        assert!((HEADER_OCTETS..=MAX_PDU_OCTETS).contains(&frame.len()));
        pdu(&frame);
    }
}

/// Decoding never panics, and what can be encoded again means the same.
pub fn pdu(frame: &[u8]) {
    let header = decode_header(frame);
    let message_id = decode_message_id(frame);
    let Ok((decoded, pdu)) = decode(frame) else { return };
    assert_eq!(header, Some(decoded));
    assert_eq!(pdu.command_id(), decoded.command_id);
    match pdu {
        Pdu::SubmitSmResp(answer) | Pdu::DataSmResp(answer) => assert_eq!(answer.message_id, message_id),
        Pdu::DeliverSm(sm) => drop(sm.receipt()),
        Pdu::DataSm(data) => drop(data.receipt()),
        Pdu::SubmitMulti(multi) => drop(multi.destinations.iter().count()),
        _ => {}
    }
    let mut again = Vec::new();
    if decoded.command_status == CommandStatus::OK
        && encode(&pdu, decoded.sequence_number, CommandStatus::OK, &mut again).is_ok()
    {
        let (header, same) = decode(&again).expect("what was encoded can be decoded");
        assert_eq!(header.command_length as usize, again.len());
        assert_eq!((header.sequence_number, same), (decoded.sequence_number, pdu));
    }
}

/// TLVs: what is read fills the octets up to the first that cannot be read.
pub fn tlvs(octets: &[u8]) {
    let tlvs = Tlvs(octets);
    let mut length = 0;
    for tlv in tlvs {
        length += 4 + tlv.value.len();
        let first = tlvs.get(tlv.tag).expect("a tag that is there is found");
        assert_eq!(tlvs.get_u8(tlv.tag).is_some(), first.len() == 1);
        assert_eq!(tlvs.get_u16(tlv.tag).is_some(), first.len() == 2);
        assert_eq!(tlvs.get_u32(tlv.tag).is_some(), first.len() == 4);
        assert!(first.starts_with(tlvs.get_c_string(tlv.tag).unwrap()));
    }
    assert!(length <= octets.len());
    assert_eq!(tlvs.is_well_formed(), length == octets.len());
}

/// Receipts: the first octet is the esm_class, the second the length of the text, the rest TLVs.
pub fn receipt(data: &[u8]) {
    let [esm, length, rest @ ..] = data else { return };
    let (text, tlvs) = rest.split_at(usize::from(*length).min(rest.len()));
    let Some(receipt) = Receipt::of(*esm, text, Tlvs(tlvs)) else { return };
    assert!(receipt.id().is_none_or(|id| !id.is_empty()));
    assert_eq!(receipt.state().is_some(), receipt.stat.is_some() || receipt.tlv_state.is_some());
    if receipt.is_intermediate() {
        assert!(!receipt.is_final(MessageState::Delivered, true));
    }
}

/// The frames of a stream read `step` octets at a time, and how many octets were left; `None` if it broke.
fn framed(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<usize>) {
    let mut buffer = FrameBuffer::new();
    let mut frames = Vec::new();
    let mut read = 0;
    loop {
        loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => return (frames, None),
            }
        }
        if read == stream.len() {
            assert_eq!(buffer.has_partial(), buffer.pending() > 0);
            return (frames, Some(buffer.pending()));
        }
        let spare = buffer.spare();
        let count = spare.len().min(step).min(stream.len() - read);
        assert!(count > 0, "there is always room for a read");
        spare[..count].copy_from_slice(&stream[read..read + count]);
        buffer.filled(count);
        read += count;
    }
}
