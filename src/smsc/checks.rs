//! What the provider checks in a message, and the status that it answers.
use crate::wire::udh;
use crate::wire::values::{data_coding, esm_class};
use crate::wire::{DataSm, Sm, Tag};

/// Command statuses that the simulator answers (v3.4 section 5.1.3).
pub(super) mod status {
    pub const OK: u32 = 0x00;
    pub const MESSAGE_LENGTH: u32 = 0x01;
    pub const COMMAND_LENGTH: u32 = 0x02;
    pub const COMMAND_ID: u32 = 0x03;
    pub const BIND_STATE: u32 = 0x04;
    pub const ALREADY_BOUND: u32 = 0x05;
    pub const PRIORITY_FLAG: u32 = 0x06;
    pub const REGISTERED_DELIVERY: u32 = 0x07;
    pub const SOURCE_ADDRESS: u32 = 0x0A;
    pub const DESTINATION_ADDRESS: u32 = 0x0B;
    pub const MESSAGE_ID: u32 = 0x0C;
    pub const BIND_FAILED: u32 = 0x0D;
    pub const PASSWORD: u32 = 0x0E;
    pub const SYSTEM_ID: u32 = 0x0F;
    pub const CANCEL_FAILED: u32 = 0x11;
    pub const REPLACE_FAILED: u32 = 0x13;
    pub const QUEUE_FULL: u32 = 0x14;
    pub const SERVICE_TYPE: u32 = 0x15;
    pub const ESM_CLASS: u32 = 0x43;
    pub const SOURCE_TON: u32 = 0x48;
    pub const SOURCE_NPI: u32 = 0x49;
    pub const DESTINATION_TON: u32 = 0x50;
    pub const DESTINATION_NPI: u32 = 0x51;
    pub const REPLACE_FLAG: u32 = 0x54;
    pub const SUBMIT_FAILED: u32 = 0x45;
    pub const DESTINATION_COUNT: u32 = 0x33;
    pub const LIST_NAME: u32 = 0x34;
    pub const BROADCAST_FAILED: u32 = 0x10D;
    pub const BROADCAST_QUERY_FAILED: u32 = 0x10E;
    pub const BROADCAST_CANCEL_FAILED: u32 = 0x10F;
    pub const THROTTLED: u32 = 0x58;
    pub const SCHEDULE_TIME: u32 = 0x61;
    pub const VALIDITY_PERIOD: u32 = 0x62;
    pub const DEFAULT_MESSAGE: u32 = 0x63;
    pub const QUERY_FAILED: u32 = 0x67;
    pub const OPTIONAL_PART: u32 = 0xC0;
}

use status::*;

/// Octets of a message, uncompressed.
const MESSAGE_OCTETS_MAX: usize = 140;
/// Septets of a message in the default alphabet, one in an octet on the wire.
const MESSAGE_SEPTETS_MAX: usize = 160;
/// Characters of an alphanumeric sender.
const SENDER_LETTERS_MAX: usize = 11;

/// Which part of a long message a submit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) reference: u16,
    pub(super) total: u8,
    pub(super) part: u8,
}

/// A data_sm as the submit_sm that says the same.
pub(super) fn submit_of<'a>(data: &DataSm<'a>) -> Sm<'a> {
    Sm {
        service_type: data.service_type,
        source: data.source,
        destination: data.destination,
        esm_class: data.esm_class,
        registered_delivery: data.registered_delivery,
        data_coding: data.data_coding,
        tlvs: data.tlvs,
        ..Sm::default()
    }
}

/// The status of the first thing that the provider would mind, and the field that it minds.
pub(super) fn refusal(sm: &Sm<'_>) -> Option<(u32, &'static str)> {
    let (source, destination) = (&sm.source, &sm.destination);
    let default_sender = source.addr.is_empty() && source.ton == 0 && source.npi == 0;
    let rules: [(bool, u32, &str); 17] = [
        (sm.service_type.is_empty(), SERVICE_TYPE, "service_type"),
        (sm.sm_default_msg_id == 0, DEFAULT_MESSAGE, "sm_default_msg_id"),
        (default_sender || matches!(source.ton, 1 | 3 | 5), SOURCE_TON, "source_addr_ton"),
        (matches!(source.npi, 0 | 1), SOURCE_NPI, "source_addr_npi"),
        (default_sender || source_is_valid(source.ton, source.addr), SOURCE_ADDRESS, "source_addr"),
        (matches!(destination.ton, 0 | 1), DESTINATION_TON, "dest_addr_ton"),
        (matches!(destination.npi, 0 | 1), DESTINATION_NPI, "dest_addr_npi"),
        (
            digits(destination.addr)
                && (4..=16).contains(&destination.addr.len())
                // No country code begins with 0: one with the TON international that does is not.
                && !(destination.ton == 1 && destination.addr.starts_with(b"0")),
            DESTINATION_ADDRESS,
            "destination_addr",
        ),
        (sm.priority_flag <= 3, PRIORITY_FLAG, "priority_flag"),
        (sm.registered_delivery & 0xE0 == 0, REGISTERED_DELIVERY, "registered_delivery"),
        (sm.replace_if_present <= 1, REPLACE_FLAG, "replace_if_present_flag"),
        (time_is_valid(sm.schedule_delivery_time), SCHEDULE_TIME, "schedule_delivery_time"),
        (time_is_valid(sm.validity_period), VALIDITY_PERIOD, "validity_period"),
        (sm.tlvs.is_empty() || sm.tlvs.is_well_formed(), OPTIONAL_PART, "the optional parameters"),
        (
            sm.short_message.is_empty() || sm.tlvs.get(Tag::MESSAGE_PAYLOAD).is_none(),
            OPTIONAL_PART,
            "short_message beside message_payload",
        ),
        (!esm_class::has_udh(sm.esm_class) || udh(sm).is_some(), ESM_CLASS, "esm_class"),
        (length_is_valid(sm), MESSAGE_LENGTH, "short_message"),
    ];
    rules.into_iter().find(|(holds, ..)| !holds).map(|(_, status, field)| (status, field))
}

/// The part that a user data header or the SAR TLVs speak of; `None` for a message that stands alone.
pub(super) fn part_of(sm: &Sm<'_>) -> Option<Part> {
    if let Some(header) = udh(sm) {
        return udh::elements(header).find_map(|element| match element {
            (0x00, &[reference, total, part]) => Some(Part { reference: u16::from(reference), total, part }),
            (0x08, &[high, low, total, part]) => Some(Part { reference: u16::from_be_bytes([high, low]), total, part }),
            _ => None,
        });
    }
    if sm.tlvs.is_empty() {
        return None;
    }
    Some(Part {
        reference: sm.tlvs.get_u16(Tag::SAR_MSG_REF_NUM)?,
        total: sm.tlvs.get_u8(Tag::SAR_TOTAL_SEGMENTS)?,
        part: sm.tlvs.get_u8(Tag::SAR_SEGMENT_SEQNUM)?,
    })
}

/// What a receipt can quote: the text without its header, if it is of a one-octet alphabet.
pub(super) fn quotable<'a>(sm: &Sm<'a>) -> &'a [u8] {
    if !matches!(sm.data_coding, data_coding::DEFAULT | data_coding::ASCII | data_coding::LATIN1) {
        return &[];
    }
    let text = sm.text();
    match udh(sm) {
        Some(elements) => text.get(elements.len() + 1..).unwrap_or_default(),
        None => text,
    }
}

/// The information elements of the user data header, if esm_class announces one and it is whole.
fn udh<'a>(sm: &Sm<'a>) -> Option<&'a [u8]> {
    udh::split(sm.text()).filter(|_| esm_class::has_udh(sm.esm_class)).map(|(header, _)| header)
}

fn length_is_valid(sm: &Sm<'_>) -> bool {
    let octets = sm.text().len();
    if octets <= MESSAGE_OCTETS_MAX || is_whole(sm) {
        return true;
    }
    // 0 and the message classes of GSM 03.38 with the default alphabet.
    if !matches!(sm.data_coding, data_coding::DEFAULT | data_coding::CLASS_0_GSM | 0xF0..=0xF3) {
        return false;
    }
    let header = udh(sm).map_or(0, |elements| elements.len() + 1);
    (header * 8).div_ceil(7) + (octets - header) <= MESSAGE_SEPTETS_MAX
}

/// Whether the text is in message_payload and not one part of several: then the SMSC does the splitting.
fn is_whole(sm: &Sm<'_>) -> bool {
    sm.short_message.is_empty() && udh(sm).is_none() && sm.tlvs.get(Tag::SAR_TOTAL_SEGMENTS).is_none()
}

/// How a long text travels, by the name of the option that makes ours travel so; `None`: it fits one SMS.
pub(super) fn concat_of(sm: &Sm<'_>, part: Option<Part>) -> Option<&'static str> {
    match part {
        Some(_) if !esm_class::has_udh(sm.esm_class) => Some("sar"),
        Some(_) => match sm.text() {
            [_, 0x08, ..] => Some("udh16"),
            _ => Some("udh8"),
        },
        None if is_whole(sm) && sm.text().len() > MESSAGE_OCTETS_MAX => Some("payload"),
        None => None,
    }
}

fn source_is_valid(ton: u8, address: &[u8]) -> bool {
    match ton {
        5 => (1..=SENDER_LETTERS_MAX).contains(&address.len()),
        _ => (1..=15).contains(&address.len()) && digits(address),
    }
}

fn digits(address: &[u8]) -> bool {
    address.iter().all(u8::is_ascii_digit)
}

fn time_is_valid(time: &[u8]) -> bool {
    time.is_empty() || time.len() == 16 && digits(&time[..15]) && matches!(time[15], b'+' | b'-' | b'R')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Address, TlvBuilder};

    fn check(sm: &Sm<'_>) -> u32 {
        refusal(sm).map_or(OK, |(status, _)| status)
    }

    fn good<'a>() -> Sm<'a> {
        Sm {
            source: Address::new(5, 0, b"Sender"),
            destination: Address::new(1, 1, b"491700000001"),
            registered_delivery: 1,
            short_message: b"Hello",
            ..Sm::default()
        }
    }

    #[test]
    fn each_rule_has_its_status() {
        let a = |ton, npi, addr| Address::new(ton, npi, addr);
        let sender = |ton, npi, addr: &'static str| Sm { source: a(ton, npi, addr.as_bytes()), ..good() };
        let to = |ton, npi, addr: &'static str| Sm { destination: a(ton, npi, addr.as_bytes()), ..good() };
        let text = |data_coding, length| Sm { data_coding, short_message: &[b'a'; 254][..length], ..good() };
        let table = [
            (good(), OK),
            (Sm { service_type: b"CMT", ..good() }, SERVICE_TYPE),
            (Sm { sm_default_msg_id: 1, ..good() }, DEFAULT_MESSAGE),
            (sender(1, 1, "4930123456"), OK),
            (sender(3, 0, "12345"), OK),
            (sender(0, 0, ""), OK),
            (sender(0, 0, "12345"), SOURCE_TON),
            (sender(0, 1, ""), SOURCE_TON),
            (sender(2, 1, "12345"), SOURCE_TON),
            (sender(5, 2, "Sender"), SOURCE_NPI),
            (sender(5, 0, "TwelveLetter"), SOURCE_ADDRESS),
            (sender(1, 1, "+49301"), SOURCE_ADDRESS),
            (sender(5, 0, ""), SOURCE_ADDRESS),
            (to(0, 0, "4917"), OK),
            (to(2, 1, "491700000001"), DESTINATION_TON),
            (to(1, 3, "491700000001"), DESTINATION_NPI),
            (to(1, 1, "491"), DESTINATION_ADDRESS),
            (to(1, 1, "07700900123"), DESTINATION_ADDRESS),
            (to(0, 1, "07700900123"), OK),
            (to(1, 1, "1234567890123456"), OK),
            (to(1, 1, "12345678901234567"), DESTINATION_ADDRESS),
            (to(1, 1, "+491700000001"), DESTINATION_ADDRESS),
            (Sm { priority_flag: 4, ..good() }, PRIORITY_FLAG),
            (Sm { registered_delivery: 0x20, ..good() }, REGISTERED_DELIVERY),
            (Sm { replace_if_present: 2, ..good() }, REPLACE_FLAG),
            (Sm { schedule_delivery_time: b"tomorrow", ..good() }, SCHEDULE_TIME),
            (Sm { validity_period: b"000001000000000R", ..good() }, OK),
            (Sm { validity_period: b"000001000000000Q", ..good() }, VALIDITY_PERIOD),
            (Sm { esm_class: 0x40, short_message: b"\x05\x00\x03", ..good() }, ESM_CLASS),
            (text(0, 160), OK),
            (text(0, 161), MESSAGE_LENGTH),
            (text(8, 140), OK),
            (text(8, 142), MESSAGE_LENGTH),
            (text(3, 141), MESSAGE_LENGTH),
        ];
        for (sm, expected) in table {
            assert_eq!(check(&sm), expected, "{sm:?}");
        }
    }

    #[test]
    fn a_header_takes_its_septets() {
        for (text_octets, expected) in [(153, OK), (154, MESSAGE_LENGTH)] {
            let mut message = vec![5, 0, 3, 9, 3, 2];
            message.resize(6 + text_octets, b'a');
            let sm = Sm { esm_class: 0x40, short_message: &message, ..good() };
            assert_eq!(check(&sm), expected, "{text_octets}");
        }
    }

    #[test]
    fn parts_are_read_from_either_header_or_from_tlvs() {
        let wide = b"\x08\x24\x00\x08\x04\x12\x34\x03\x02"; // Another element may stand before the reference.
        let mut sar = TlvBuilder::new();
        sar.u16(Tag::SAR_MSG_REF_NUM, 0x1234).u8(Tag::SAR_TOTAL_SEGMENTS, 3).u8(Tag::SAR_SEGMENT_SEQNUM, 2);
        let with_udh = |short_message| Sm { esm_class: 0x40, short_message, ..good() };
        let part = |reference| Some(Part { reference, total: 3, part: 2 });
        assert_eq!(part_of(&with_udh(b"\x05\x00\x03\x09\x03\x02text")), part(9));
        assert_eq!(part_of(&with_udh(wide)), part(0x1234));
        assert_eq!(part_of(&Sm { tlvs: sar.tlvs(), ..good() }), part(0x1234));
        assert_eq!(part_of(&good()), None);
        assert_eq!(part_of(&with_udh(b"\x04\x24\x09")), None);
        assert_eq!(quotable(&with_udh(b"\x05\x00\x03\x09\x03\x02text")), b"text");
    }

    #[test]
    fn a_message_payload_is_a_text_too() {
        let mut tlvs = TlvBuilder::new();
        tlvs.octets(Tag::MESSAGE_PAYLOAD, &[b'a'; 161]).unwrap();
        let whole = Sm { short_message: b"", tlvs: tlvs.tlvs(), ..good() };
        assert_eq!((check(&whole), concat_of(&whole, None)), (OK, Some("payload")));
        let mut sar = TlvBuilder::new();
        sar.u16(Tag::SAR_MSG_REF_NUM, 1).u8(Tag::SAR_TOTAL_SEGMENTS, 2).u8(Tag::SAR_SEGMENT_SEQNUM, 1);
        sar.octets(Tag::MESSAGE_PAYLOAD, &[b'a'; 161]).unwrap();
        let part = Sm { short_message: b"", tlvs: sar.tlvs(), ..good() };
        assert_eq!((check(&part), concat_of(&part, part_of(&part))), (MESSAGE_LENGTH, Some("sar")));
        assert_eq!(check(&Sm { tlvs: tlvs.tlvs(), ..good() }), OPTIONAL_PART);
    }
}
