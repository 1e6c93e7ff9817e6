//! PDUs by hand: octets, and no codec of the crate.
use super::*;

/// A PDU by hand.
pub fn pdu(command_id: u32, status: u32, sequence_number: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(16 + body.len());
    for field in [16 + body.len() as u32, command_id, status, sequence_number] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend(body);
    octets
}

pub(super) fn form(form: IdForm, number: u64, seed: u64) -> String {
    match form {
        IdForm::Decimal => number.to_string(),
        IdForm::HexLower => format!("{:x}", number + 0xABC_0000),
        IdForm::HexUpper => format!("{:X}", number + 0xABC_0000),
        IdForm::Padded => format!("{number:010}"),
        IdForm::Uuid => format!("{seed:08x}-0000-4000-8000-{number:012x}"),
        IdForm::SixtyFour => format!("{number:064}"),
        IdForm::Same => "1".into(),
        IdForm::Empty => String::new(),
    }
}

/// A message from a handset.
pub(super) fn inbound(text: &str) -> Receipt {
    let body = deliver_body(0, "447700900999", "2777", text.as_bytes());
    Receipt { command_id: 5, body, is_regular: true }
}

pub(super) fn deliver_body(esm_class: u8, source: &str, destination: &str, text: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(source.as_bytes());
    body.extend([0, 1, 1]);
    body.extend(destination.as_bytes());
    body.extend([0, esm_class, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend(text);
    body
}

pub(super) fn receipt_of(
    settings: &Settings,
    submit: &Submit,
    number: u64,
    (state, stat, error): (u8, &str, &str),
) -> Receipt {
    let in_answer = form(settings.id, number, settings.seed);
    let id = match settings.shape {
        Shape::HexThenDecimal => {
            u64::from_str_radix(&in_answer, 16).map_or(in_answer.clone(), |number| number.to_string())
        }
        Shape::DecimalThenHex => format!("{number:X}"),
        Shape::Padded => format!("{in_answer:0>14}"),
        _ => in_answer,
    };
    let shown: String = submit.text.chars().filter(|c| matches!(c, ' '..='~')).take(20).collect();
    let dlvrd = u8::from(state == 2);
    let text = match settings.shape {
        Shape::TlvOnly => String::new(),
        Shape::Odd => format!(
            "Id:{id} Sub:1 Dlvrd:{dlvrd} Submit Date:20260101120000 done date:260101120030 Stat:{} err:{error} Text:{shown}",
            stat.to_lowercase()
        ),
        _ => format!(
            "id:{id} sub:001 dlvrd:00{dlvrd} submit date:2601011200 done date:2601011201 stat:{stat} err:{error} \
             text:{shown}"
        ),
    };
    let mut tlvs = Vec::new();
    if !matches!(settings.shape, Shape::TextOnly | Shape::Odd) {
        let nul: &[u8] = if settings.shape == Shape::TlvWithoutNul { &[] } else { &[0] };
        tlvs.extend([0x00, 0x1E]);
        tlvs.extend((id.len() as u16 + nul.len() as u16).to_be_bytes());
        tlvs.extend(id.as_bytes());
        tlvs.extend(nul);
        tlvs.extend([0x04, 0x27, 0, 1, state]);
    }
    if settings.unknown_tlvs {
        tlvs.extend([0x17, 0x77, 0, 3, 1, 2, 3]);
    }
    let esm_class = if state == 1 { 0x20 } else { 0x04 };
    let source = submit.destination.as_str();
    let destination = if submit.source.is_empty() { "0" } else { submit.source.as_str() };
    let is_regular = settings.shape != Shape::TlvWithoutNul;
    if settings.shape == Shape::DataSm {
        let mut body = vec![0, 1, 1];
        body.extend(source.as_bytes());
        body.extend([0, 1, 1]);
        body.extend(destination.as_bytes());
        body.extend([0, esm_class, 0, 0]);
        body.extend(&tlvs);
        body.extend([0x04, 0x24]);
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
        return Receipt { command_id: 0x103, body, is_regular };
    }
    let mut body = deliver_body(esm_class, source, destination, text.as_bytes());
    body.extend(tlvs);
    Receipt { command_id: 5, body, is_regular }
}
