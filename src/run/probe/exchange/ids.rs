//! A receipt in a PDU, and which answer's id it names.

use crate::journal::model::id_spelling::{bare, in_other_radix};
use crate::run::probe::IdRule;
use crate::wire::{Pdu, Receipt, ReceiptKind, Tlvs, decode};

pub(super) type Told<'f> = (Receipt<'f>, u8, &'f [u8], Tlvs<'f>);

pub(super) fn receipt_of(frame: &[u8]) -> Option<Told<'_>> {
    match decode(frame) {
        Ok((_, Pdu::DeliverSm(sm))) => Some((sm.receipt()?, sm.esm_class, sm.text(), sm.tlvs)),
        Ok((_, Pdu::DataSm(sm))) => Some((sm.receipt()?, sm.esm_class, sm.text(), sm.tlvs)),
        _ => None,
    }
}

pub(super) fn is_receipt(frame: &[u8]) -> bool {
    receipt_of(frame).is_some_and(|(receipt, ..)| receipt.kind != ReceiptKind::Unmarked || receipt.id().is_some())
}

/// By which all spellings of an id are looked up that are the same but for case and padding.
pub(super) fn lookup_key(id: &[u8]) -> Vec<u8> {
    bare(id).to_ascii_lowercase()
}

/// The keys under which an answer's id is found: its own, and that in the other radix.
pub(super) fn spellings(id: &[u8]) -> Vec<Vec<u8>> {
    if id.is_empty() {
        return Vec::new();
    }
    let others = in_other_radix(id).into_iter().flatten().map(|other| lookup_key(other.as_bytes()));
    std::iter::once(lookup_key(id)).chain(others).collect()
}

/// The rule by which one of a receipt's ids is the answer's, and whether it is only the one in the text.
pub(in crate::run::probe) fn by_either(answer: &[u8], id: &[u8], text_id: &[u8]) -> (Option<IdRule>, bool) {
    if answer.is_empty() {
        return (None, false);
    }
    let (rule, by_text) = (IdRule::of(answer, id), IdRule::of(answer, text_id).filter(|_| !text_id.is_empty()));
    match (rule, by_text) {
        (Some(rule), None) => (Some(rule), false),
        (Some(rule), Some(text)) if rule <= text => (Some(rule), false),
        (_, text) => (text, text.is_some()),
    }
}
