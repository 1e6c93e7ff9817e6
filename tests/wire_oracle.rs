//! The codec against `rusmpp-core`, a third party's, and against octets that nobody meant.
//!
//! What we encode, the other decodes to the same fields; what it makes of them, octet for octet the same, we decode to
//! the PDU that we started from.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use proptest::collection::vec;
use proptest::prelude::*;
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::borrowed::{self as other, Pdu as Other};
use rusmpp_core::tlvs::borrowed::{Tlv as OtherTlv, TlvValue};
use rusmpp_core::types::borrowed::{COctetString, EmptyOrFullCOctetString};
use rusmpp_core::values::borrowed::{DestAddress, UnsuccessSme};
use smppost::wire::{
    Address, AlertNotification, Bind, BindKind, BindResp, CancelSm, CommandStatus, DataSm, Destination, Destinations,
    FrameBuffer, MessageId, Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, Sm, SubmitMulti, SubmitMultiResp, Tag,
    TlvBuilder, Tlvs, Unsuccess, Unsuccesses, decode, encode,
};

mod wire_bodies;

/// How many TLVs and list entries the other codec has room for.
const ROOM: usize = 16;

/// The kinds of [`Parts::pdu`].
const KINDS: usize = 27;

/// Values for the fields of any PDU, all within the limits that both codecs hold.
#[derive(Debug, Clone)]
struct Parts {
    service_type: Vec<u8>,
    source: Vec<u8>,
    destination: Vec<u8>,
    message_id: Vec<u8>,
    system_id: Vec<u8>,
    password: Vec<u8>,
    system_type: Vec<u8>,
    address_range: Vec<u8>,
    schedule: Vec<u8>,
    validity: Vec<u8>,
    text: Vec<u8>,
    octets: [u8; 12],
    message_tlvs: Vec<u8>,
    payload_tlv: Vec<u8>,
    bind_tlv: Vec<u8>,
    alert_tlv: Vec<u8>,
    destinations: (u8, Vec<u8>),
    unsuccess: (u8, Vec<u8>),
}

impl Parts {
    fn pdu(&self, kind: usize) -> Pdu<'_> {
        let [ton, npi, esm_class, protocol_id, priority_flag, registered_delivery, ..] = self.octets;
        let [.., replace_if_present, data_coding, sm_default_msg_id, interface_version, message_state, error_code] =
            self.octets;
        let source = Address::new(ton, npi, &self.source);
        let destination = Address::new(npi, ton, &self.destination);
        let message_id = MessageId { message_id: &self.message_id, tlvs: Tlvs::NONE };
        let destinations = Destinations { count: self.destinations.0, octets: &self.destinations.1 };
        let has_sar = Tlvs(&self.message_tlvs).get(Tag::SAR_MSG_REF_NUM).is_some();
        let has_payload = Tlvs(&self.message_tlvs).get(Tag::MESSAGE_PAYLOAD).is_some();
        let sm = Sm {
            service_type: &self.service_type,
            source,
            destination,
            esm_class: if has_sar { esm_class & !0x40 } else { esm_class },
            protocol_id,
            priority_flag,
            schedule_delivery_time: &self.schedule,
            validity_period: &self.validity,
            registered_delivery,
            replace_if_present,
            data_coding,
            sm_default_msg_id,
            short_message: if has_payload { b"" } else { &self.text },
            tlvs: Tlvs(&self.message_tlvs),
        };
        let bind = |kind| {
            Pdu::Bind(Bind {
                kind,
                system_id: &self.system_id,
                password: &self.password,
                system_type: &self.system_type,
                interface_version,
                addr_ton: ton,
                addr_npi: npi,
                address_range: &self.address_range,
            })
        };
        let bind_resp = |kind| Pdu::BindResp(BindResp { kind, system_id: &self.system_id, tlvs: Tlvs(&self.bind_tlv) });
        match kind {
            0 => bind(BindKind::Transmitter),
            1 => bind(BindKind::Receiver),
            2 => bind(BindKind::Transceiver),
            3 => bind_resp(BindKind::Transmitter),
            4 => bind_resp(BindKind::Receiver),
            5 => bind_resp(BindKind::Transceiver),
            6 => Pdu::Outbind(Outbind { system_id: &self.system_id, password: &self.password }),
            7 => Pdu::SubmitSm(sm),
            8 => Pdu::DeliverSm(sm),
            9 => Pdu::SubmitSmResp(message_id),
            10 => Pdu::DeliverSmResp(message_id),
            11 => Pdu::DataSmResp(message_id),
            12 => Pdu::DataSm(DataSm {
                service_type: &self.service_type,
                source,
                destination,
                esm_class: sm.esm_class,
                registered_delivery,
                data_coding,
                tlvs: sm.tlvs,
            }),
            13 => Pdu::QuerySm(QuerySm { message_id: &self.message_id, source }),
            14 => Pdu::QuerySmResp(QuerySmResp {
                message_id: &self.message_id,
                final_date: &self.schedule,
                message_state,
                error_code,
                tlvs: Tlvs::NONE,
            }),
            15 => Pdu::ReplaceSm(ReplaceSm {
                message_id: &self.message_id,
                source,
                schedule_delivery_time: &self.schedule,
                validity_period: &self.validity,
                registered_delivery,
                sm_default_msg_id,
                short_message: if self.payload_tlv.is_empty() { &self.text } else { b"" },
                tlvs: Tlvs(&self.payload_tlv),
            }),
            16 => Pdu::ReplaceSmResp,
            17 => Pdu::CancelSm(CancelSm {
                service_type: &self.service_type,
                message_id: &self.message_id,
                source,
                destination,
            }),
            18 => Pdu::CancelSmResp,
            19 => {
                let message = Sm { destination: Address::default(), ..sm };
                Pdu::SubmitMulti(SubmitMulti { destinations, message })
            }
            20 => Pdu::SubmitMultiResp(SubmitMultiResp {
                message_id: &self.message_id,
                unsuccess: Unsuccesses { count: self.unsuccess.0, octets: &self.unsuccess.1 },
                tlvs: Tlvs::NONE,
            }),
            21 => Pdu::AlertNotification(AlertNotification { source, esme: destination, tlvs: Tlvs(&self.alert_tlv) }),
            22 => Pdu::EnquireLink,
            23 => Pdu::EnquireLinkResp,
            24 => Pdu::Unbind,
            25 => Pdu::UnbindResp,
            _ => Pdu::GenericNack,
        }
    }
}

fn ascii(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(0), 0..=most, Just(most)].prop_flat_map(|length| vec(1..=127_u8, length))
}

fn time() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(b'0'..=b'9', 16)]
}

fn tlv(tag: Tag, value: &[u8]) -> Vec<u8> {
    let mut builder = TlvBuilder::new();
    builder.octets(tag, value).unwrap();
    builder.tlvs().octets().to_vec()
}

/// One TLV of a kind that both codecs know, or of a vendor.
fn message_tlv() -> impl Strategy<Value = Vec<u8>> {
    let of = |tag, octets: std::ops::RangeInclusive<usize>| {
        vec(any::<u8>(), octets).prop_map(move |value| tlv(tag, &value)).boxed()
    };
    prop_oneof![
        of(Tag::SOURCE_PORT, 2..=2),
        of(Tag::DESTINATION_PORT, 2..=2),
        of(Tag::USER_MESSAGE_REFERENCE, 2..=2),
        of(Tag::SAR_MSG_REF_NUM, 2..=2),
        of(Tag::SAR_TOTAL_SEGMENTS, 1..=1),
        of(Tag::SAR_SEGMENT_SEQNUM, 1..=1),
        of(Tag::NETWORK_ERROR_CODE, 3..=3),
        of(Tag::MESSAGE_PAYLOAD, 0..=2_000),
        of(Tag::MESSAGE_STATE, 1..=1),
        of(Tag::QOS_TIME_TO_LIVE, 4..=4),
        of(Tag(0x1400), 0..=40),
        of(Tag(0x3FFF), 0..=4),
        ascii(64).prop_map(|id| {
            let mut builder = TlvBuilder::new();
            builder.c_string(Tag::RECEIPTED_MESSAGE_ID, &id).unwrap();
            builder.tlvs().octets().to_vec()
        }),
    ]
}

/// Up to some TLVs, without a user data header's rival in half.
fn message_tlvs() -> impl Strategy<Value = Vec<u8>> {
    vec(message_tlv(), 0..6).prop_map(|tlvs| {
        let octets = tlvs.concat();
        let is_sar = |tag| matches!(tag, Tag::SAR_TOTAL_SEGMENTS | Tag::SAR_SEGMENT_SEQNUM);
        let mut builder = TlvBuilder::new();
        if Tlvs(&octets).iter().any(|tlv| is_sar(tlv.tag)) && Tlvs(&octets).get(Tag::SAR_MSG_REF_NUM).is_none() {
            builder.u16(Tag::SAR_MSG_REF_NUM, 7);
        }
        [builder.tlvs().octets(), &octets].concat()
    })
}

fn destinations() -> impl Strategy<Value = (u8, Vec<u8>)> {
    vec((any::<bool>(), any::<[u8; 2]>(), ascii(20)), 1..ROOM).prop_map(|list| {
        let mut octets = Vec::new();
        for (is_list, [ton, npi], addr) in &list {
            let destination =
                if *is_list { Destination::List(addr) } else { Destination::Address(Address::new(*ton, *npi, addr)) };
            destination.push_to(&mut octets).unwrap();
        }
        (list.len() as u8, octets)
    })
}

fn unsuccess() -> impl Strategy<Value = (u8, Vec<u8>)> {
    vec((any::<[u8; 2]>(), ascii(20), any::<u32>()), 0..ROOM).prop_map(|list| {
        let mut octets = Vec::new();
        for ([ton, npi], addr, error_status_code) in &list {
            let address = Address::new(*ton, *npi, addr);
            Unsuccess { address, error_status_code: *error_status_code }.push_to(&mut octets).unwrap();
        }
        (list.len() as u8, octets)
    })
}

prop_compose! {
    fn parts()(
        (service_type, source, destination, message_id) in (ascii(5), ascii(20), ascii(20), ascii(64)),
        (system_id, password, system_type, address_range) in (ascii(15), ascii(8), ascii(12), ascii(40)),
        (schedule, validity) in (time(), time()),
        text in vec(any::<u8>(), 0..=254),
        octets in any::<[u8; 12]>(),
        message_tlvs in message_tlvs(),
        payload_tlv in prop_oneof![
            Just(Vec::new()),
            // In a replace_sm the other codec takes an empty one for none.
            vec(any::<u8>(), 1..300).prop_map(|value| tlv(Tag::MESSAGE_PAYLOAD, &value)),
        ],
        bind_tlv in prop_oneof![
            Just(Vec::new()),
            any::<u8>().prop_map(|version| tlv(Tag::SC_INTERFACE_VERSION, &[version])),
        ],
        alert_tlv in prop_oneof![
            Just(Vec::new()),
            any::<u8>().prop_map(|status| tlv(Tag::MS_AVAILABILITY_STATUS, &[status])),
        ],
        (destinations, unsuccess) in (destinations(), unsuccess()),
    ) -> Parts {
        Parts {
            service_type, source, destination, message_id, system_id, password, system_type, address_range, schedule,
            validity, text, octets, message_tlvs, payload_tlv, bind_tlv, alert_tlv, destinations, unsuccess,
        }
    }
}

fn octets_of(pdu: &Pdu<'_>, sequence_number: u32, status: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    encode(pdu, sequence_number, CommandStatus(status), &mut octets).unwrap();
    octets
}

/// The other codec's view of a frame. It leaves the length to its framing.
fn others(frame: &[u8]) -> Command<'_, ROOM> {
    let (command, size) = Command::decode(&frame[4..], frame.len() - 4).unwrap();
    assert_eq!(size, frame.len() - 4, "every octet was read");
    command
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_codecs_see_the_same_fields(parts in parts(), sequence_number in 1..=0x7FFF_FFFF_u32) {
        for kind in 0..KINDS {
            let pdu = parts.pdu(kind);
            let frame = octets_of(&pdu, sequence_number, 0);
            let command = others(&frame);
            prop_assert_eq!(u32::from(command.id()), pdu.command_id().0);
            prop_assert_eq!(u32::from(command.status()), 0);
            prop_assert_eq!(command.sequence_number(), sequence_number);
            compare(&pdu, command.pdu().unwrap());

            let mut again = vec![0; command.length() + 4];
            again[..4].copy_from_slice(&frame[..4]);
            let size = command.encode(&mut again[4..]);
            prop_assert_eq!(&again[..size + 4], &frame[..]);
            let (header, same) = decode(&again).unwrap();
            prop_assert_eq!((header.command_length as usize, header.sequence_number), (frame.len(), sequence_number));
            prop_assert_eq!(same, pdu);
        }
    }

    #[test]
    fn statuses_survive_with_and_without_a_body(parts in parts(), status in 1..=u32::MAX) {
        for kind in [3, 4, 5, 9, 10, 11, 14, 16, 18, 20, 23, 25, 26] {
            let pdu = parts.pdu(kind);
            let frame = octets_of(&pdu, 7, status);
            let command = others(&frame);
            prop_assert_eq!(u32::from(command.status()), status);
            prop_assert_eq!(decode(&frame).unwrap().0.command_status, CommandStatus(status));
        }
    }

    #[test]
    fn f30_any_split_yields_the_same_frames(
        list in vec((parts(), 0..KINDS), 1..12),
        steps in vec(1..400_usize, 1..40),
    ) {
        let frames: Vec<Vec<u8>> = list.iter().map(|(parts, kind)| octets_of(&parts.pdu(*kind), 7, 0)).collect();
        let stream = frames.concat();
        let mut buffer = FrameBuffer::new();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut rest = &stream[..];
        for step in steps.iter().cycle() {
            let count = (*step).min(rest.len());
            buffer.spare()[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
            while let Some(frame) = buffer.next_frame().unwrap() {
                seen.push(frame.to_vec());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(!buffer.has_partial());
        prop_assert_eq!(seen, frames);
    }

    #[test]
    fn f31_any_octets_are_framed_or_refused(
        seed in any::<u8>(),
        list in vec((0..70_100_u32, vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let mut data = vec![seed];
        for (length, body) in list {
            data.extend(length.to_be_bytes());
            data.extend(body);
        }
        wire_bodies::frames(&data);
    }

    #[test]
    fn any_octets_are_decoded_or_refused(frame in hostile_frame()) {
        wire_bodies::pdu(&frame);
    }

    #[test]
    fn a_frame_cut_anywhere_is_decoded_or_refused(parts in parts(), kind in 0..KINDS, cut in any::<prop::sample::Index>()) {
        let frame = octets_of(&parts.pdu(kind), 7, 0);
        wire_bodies::pdu(&frame[..cut.index(frame.len() + 1)]);
    }

    #[test]
    fn any_octets_are_tlvs(octets in vec(prop_oneof![Just(0_u8), 0..8_u8, any::<u8>()], 0..64)) {
        wire_bodies::tlvs(&octets);
    }

    #[test]
    fn f36_any_text_is_a_receipt_or_none(
        esm in any::<u8>(),
        words in vec(prop::sample::select(WORDS), 0..24),
        tail in vec(any::<u8>(), 0..24),
    ) {
        let text = words.concat();
        let mut data = vec![esm, text.len() as u8];
        data.extend(text);
        data.extend(tail);
        wire_bodies::receipt(&data);
    }

    #[test]
    fn f36_nothing_after_the_text_label_changes_a_receipt(text in vec(any::<u8>(), 0..120)) {
        let head = b"id:77 sub:001 dlvrd:001 submit date:2611230915 done date:2611230916 stat:DELIVRD err:000 text:";
        let whole = [&head[..], &text].concat();
        for esm_class in [0x04, 0x00, 0x20] {
            let sm = Sm { esm_class, short_message: &whole, ..Sm::default() };
            let plain = Sm { short_message: head, ..sm };
            prop_assert_eq!(sm.receipt(), plain.receipt());
            prop_assert!(sm.receipt().is_some());
        }
    }
}

/// Pieces of receipts, in senseless orders.
const WORDS: &[&[u8]] = &[
    b"id",
    b"ID",
    b"id:",
    b"77",
    b":",
    b"=",
    b" ",
    b"  ",
    b"\t",
    b"\n",
    b"\0",
    b";",
    b",",
    b"\"",
    b"'",
    b"stat:",
    b"status=",
    b"DELIVRD",
    b"UNDELIV",
    b"BLOCKED",
    b"2",
    b"submit",
    b"submit date:",
    b"done date:",
    b"2611230915",
    b"09:15:30",
    b"Nov",
    b"err:",
    b"-1",
    b"text",
    b"text:",
    b"\xC3\xA9",
    b"_",
    b"\x11",
];

/// A frame of a known id whose body is octets as they fall, NULs and small numbers most of all.
fn hostile_frame() -> impl Strategy<Value = Vec<u8>> {
    let ids = prop::sample::select(&[1_u32, 2, 3, 4, 5, 6, 7, 8, 9, 0x0B, 0x15, 0x21, 0x102, 0x103, 0x777][..]);
    let octet = prop_oneof![4 => Just(0_u8), 2 => 0..6_u8, 1 => any::<u8>()];
    (ids, any::<bool>(), prop_oneof![Just(0_u32), any::<u32>()], vec(octet, 0..120)).prop_map(
        |(id, is_answer, status, body)| {
            let id = if is_answer { id | 0x8000_0000 } else { id };
            let words = [16 + body.len() as u32, id, status, 7];
            words.iter().flat_map(|word| word.to_be_bytes()).chain(body).collect()
        },
    )
}

/// Compares field by field.
fn compare(pdu: &Pdu<'_>, others: &Other<'_, ROOM>) {
    macro_rules! same_bind {
        ($ours:expr, $theirs:expr) => {{
            assert_eq!($ours.system_id, c($theirs.system_id.as_str()));
            assert_eq!($ours.password, c($theirs.password.as_str()));
            assert_eq!($ours.system_type, c($theirs.system_type.as_str()));
            assert_eq!($ours.interface_version, u8::from($theirs.interface_version));
            assert_eq!(($ours.addr_ton, $ours.addr_npi), (u8::from($theirs.addr_ton), u8::from($theirs.addr_npi)));
            assert_eq!($ours.address_range, c($theirs.address_range.as_str()));
        }};
    }
    macro_rules! same_bind_resp {
        ($ours:expr, $theirs:expr) => {{
            assert_eq!($ours.system_id, c($theirs.system_id.as_str()));
            let version = $theirs.sc_interface_version().map(u8::from);
            assert_eq!($ours.tlvs.get_u8(Tag::SC_INTERFACE_VERSION), version);
        }};
    }
    macro_rules! same_address {
        ($ours:expr, $theirs:expr, $ton:ident, $npi:ident, $addr:ident) => {
            same_address($ours, $theirs.$ton.into(), $theirs.$npi.into(), $theirs.$addr.as_str());
        };
    }
    macro_rules! same_message {
        ($ours:expr, $theirs:expr) => {{
            assert_eq!($ours.service_type, c($theirs.service_type.value().as_str()));
            same_address!($ours.source, $theirs, source_addr_ton, source_addr_npi, source_addr);
            assert_eq!($ours.esm_class, u8::from($theirs.esm_class));
            assert_eq!($ours.protocol_id, $theirs.protocol_id);
            assert_eq!($ours.priority_flag, u8::from($theirs.priority_flag));
            assert_eq!($ours.schedule_delivery_time, time_of(&$theirs.schedule_delivery_time));
            assert_eq!($ours.validity_period, time_of(&$theirs.validity_period));
            assert_eq!($ours.registered_delivery, u8::from($theirs.registered_delivery));
            assert_eq!($ours.replace_if_present, u8::from($theirs.replace_if_present_flag));
            assert_eq!($ours.data_coding, u8::from($theirs.data_coding));
            assert_eq!($ours.sm_default_msg_id, $theirs.sm_default_msg_id);
            assert_eq!($ours.short_message, &$theirs.short_message()[..]);
            same_tlvs($ours.tlvs, $theirs.tlvs());
        }};
    }
    match (pdu, others) {
        (Pdu::Bind(ours), Other::BindTransmitter(theirs)) => same_bind!(ours, theirs),
        (Pdu::Bind(ours), Other::BindReceiver(theirs)) => same_bind!(ours, theirs),
        (Pdu::Bind(ours), Other::BindTransceiver(theirs)) => same_bind!(ours, theirs),
        (Pdu::BindResp(ours), Other::BindTransmitterResp(theirs)) => same_bind_resp!(ours, theirs),
        (Pdu::BindResp(ours), Other::BindReceiverResp(theirs)) => same_bind_resp!(ours, theirs),
        (Pdu::BindResp(ours), Other::BindTransceiverResp(theirs)) => same_bind_resp!(ours, theirs),
        (Pdu::Outbind(ours), Other::Outbind(theirs)) => {
            assert_eq!(ours.system_id, c(theirs.system_id.as_str()));
            assert_eq!(ours.password, c(theirs.password.as_str()));
        }
        (Pdu::SubmitSm(ours), Other::SubmitSm(theirs)) => {
            same_address!(ours.destination, theirs, dest_addr_ton, dest_addr_npi, destination_addr);
            same_message!(ours, theirs);
        }
        (Pdu::DeliverSm(ours), Other::DeliverSm(theirs)) => {
            same_address!(ours.destination, theirs, dest_addr_ton, dest_addr_npi, destination_addr);
            same_message!(ours, theirs);
        }
        (Pdu::SubmitMulti(ours), Other::SubmitMulti(theirs)) => {
            same_destinations(ours.destinations, theirs.dest_address());
            same_message!(ours.message, theirs);
        }
        (Pdu::SubmitSmResp(ours), Other::SubmitSmResp(theirs)) => same_id(ours.message_id, theirs.message_id()),
        (Pdu::DeliverSmResp(ours), Other::DeliverSmResp(theirs)) => same_id(ours.message_id, theirs.message_id()),
        (Pdu::DataSmResp(ours), Other::DataSmResp(theirs)) => same_id(ours.message_id, theirs.message_id()),
        (Pdu::DataSm(ours), Other::DataSm(theirs)) => {
            assert_eq!(ours.service_type, c(theirs.service_type.value().as_str()));
            same_address!(ours.source, theirs, source_addr_ton, source_addr_npi, source_addr);
            same_address!(ours.destination, theirs, dest_addr_ton, dest_addr_npi, destination_addr);
            assert_eq!(ours.esm_class, u8::from(theirs.esm_class));
            assert_eq!(ours.registered_delivery, u8::from(theirs.registered_delivery));
            assert_eq!(ours.data_coding, u8::from(theirs.data_coding));
            same_tlvs(ours.tlvs, theirs.tlvs());
        }
        (Pdu::QuerySm(ours), Other::QuerySm(theirs)) => {
            same_id(ours.message_id, &theirs.message_id);
            same_address!(ours.source, theirs, source_addr_ton, source_addr_npi, source_addr);
        }
        (Pdu::QuerySmResp(ours), Other::QuerySmResp(theirs)) => {
            same_id(ours.message_id, &theirs.message_id);
            assert_eq!(ours.final_date, time_of(&theirs.final_date));
            assert_eq!((ours.message_state, ours.error_code), (u8::from(theirs.message_state), theirs.error_code));
        }
        (Pdu::ReplaceSm(ours), Other::ReplaceSm(theirs)) => same_replace(ours, theirs),
        (Pdu::CancelSm(ours), Other::CancelSm(theirs)) => {
            assert_eq!(ours.service_type, c(theirs.service_type.value().as_str()));
            same_id(ours.message_id, &theirs.message_id);
            same_address!(ours.source, theirs, source_addr_ton, source_addr_npi, source_addr);
            same_address!(ours.destination, theirs, dest_addr_ton, dest_addr_npi, destination_addr);
        }
        (Pdu::SubmitMultiResp(ours), Other::SubmitMultiResp(theirs)) => {
            same_id(ours.message_id, &theirs.message_id);
            same_unsuccess(ours.unsuccess, theirs.unsuccess_sme());
        }
        (Pdu::AlertNotification(ours), Other::AlertNotification(theirs)) => {
            same_address!(ours.source, theirs, source_addr_ton, source_addr_npi, source_addr);
            same_address!(ours.esme, theirs, esme_addr_ton, esme_addr_npi, esme_addr);
            let status = theirs.ms_availability_status().map(u8::from);
            assert_eq!(ours.tlvs.get_u8(Tag::MS_AVAILABILITY_STATUS), status);
        }
        (Pdu::ReplaceSmResp, Other::ReplaceSmResp)
        | (Pdu::CancelSmResp, Other::CancelSmResp)
        | (Pdu::EnquireLink, Other::EnquireLink)
        | (Pdu::EnquireLinkResp, Other::EnquireLinkResp)
        | (Pdu::Unbind, Other::Unbind)
        | (Pdu::UnbindResp, Other::UnbindResp)
        | (Pdu::GenericNack, Other::GenericNack) => {}
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

fn c(text: &str) -> &[u8] {
    text.as_bytes()
}

fn time_of<'t>(time: &'t EmptyOrFullCOctetString<'_, 17>) -> &'t [u8] {
    time.as_str().as_bytes()
}

fn same_id(ours: &[u8], theirs: &COctetString<'_, 1, 65>) {
    assert_eq!(ours, c(theirs.as_str()));
}

fn same_address(ours: Address<'_>, ton: u8, npi: u8, addr: &str) {
    assert_eq!(ours, Address::new(ton, npi, addr.as_bytes()));
}

fn same_replace(ours: &ReplaceSm<'_>, theirs: &other::ReplaceSm<'_>) {
    same_id(ours.message_id, &theirs.message_id);
    same_address(
        ours.source,
        theirs.source_addr_ton.into(),
        theirs.source_addr_npi.into(),
        theirs.source_addr.as_str(),
    );
    assert_eq!(ours.schedule_delivery_time, time_of(&theirs.schedule_delivery_time));
    assert_eq!(ours.validity_period, time_of(&theirs.validity_period));
    assert_eq!(ours.registered_delivery, u8::from(theirs.registered_delivery));
    assert_eq!(ours.sm_default_msg_id, theirs.sm_default_msg_id);
    assert_eq!(ours.short_message, &theirs.short_message()[..]);
    let payload = theirs.message_payload().map(|payload| payload.value.bytes());
    assert_eq!(ours.tlvs.get(Tag::MESSAGE_PAYLOAD), payload);
}

fn same_tlvs(ours: Tlvs<'_>, theirs: &[OtherTlv<'_>]) {
    assert_eq!(ours.iter().count(), theirs.len());
    for (our, their) in ours.iter().zip(theirs) {
        assert_eq!((our.tag.0, our.value.len()), (u16::from(their.tag()), usize::from(their.value_length())));
        match their.value() {
            Some(TlvValue::MessagePayload(payload)) => assert_eq!(our.value, payload.value.bytes()),
            Some(TlvValue::ReceiptedMessageId(id)) => {
                assert_eq!(Tlvs(&tlv(our.tag, our.value)).get_c_string(our.tag), Some(c(id.as_str())));
            }
            Some(TlvValue::SarMsgRefNum(number)) => assert_eq!(our.value, number.to_be_bytes()),
            Some(TlvValue::SarTotalSegments(number) | TlvValue::SarSegmentSeqnum(number)) => {
                assert_eq!(our.value, [*number]);
            }
            Some(value) => {
                let mut octets = vec![0; value.length()];
                value.encode(&mut octets);
                assert_eq!(our.value, octets);
            }
            None => assert!(our.value.is_empty()),
        }
    }
}

fn same_destinations(ours: Destinations<'_>, theirs: &[DestAddress<'_>]) {
    assert_eq!(ours.iter().count(), theirs.len());
    for (our, their) in ours.iter().zip(theirs) {
        match (our, their) {
            (Destination::Address(our), DestAddress::SmeAddress(their)) => {
                let (ton, npi) = (their.dest_addr_ton.into(), their.dest_addr_npi.into());
                same_address(our, ton, npi, their.destination_addr.as_str());
            }
            (Destination::List(our), DestAddress::DistributionListName(their)) => {
                assert_eq!(our, c(their.dl_name.as_str()));
            }
            (our, their) => panic!("{our:?} is not {their:?}"),
        }
    }
}

fn same_unsuccess(ours: Unsuccesses<'_>, theirs: &[UnsuccessSme<'_>]) {
    assert_eq!(ours.iter().count(), theirs.len());
    for (our, their) in ours.iter().zip(theirs) {
        let (ton, npi) = (their.dest_addr_ton.into(), their.dest_addr_npi.into());
        same_address(our.address, ton, npi, their.destination_addr.as_str());
        assert_eq!(our.error_status_code, u32::from(their.error_status_code));
    }
}
