//! PDUs of every kind, made at random within the limits that both codecs hold.
use proptest::collection::vec;
use proptest::prelude::*;
use smppost::wire::{
    Address, AlertNotification, Bind, BindKind, BindResp, CancelSm, DataSm, Destination, Destinations, MessageId,
    Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, Sm, SubmitMulti, SubmitMultiResp, Tag, TlvBuilder, Tlvs, Unsuccess,
    Unsuccesses,
};

use crate::wire_oracle::ROOM;

/// The kinds of [`Parts::pdu`].
pub const KINDS: usize = 27;

/// Values for the fields of any PDU, all within the limits that both codecs hold.
#[derive(Debug, Clone)]
pub struct Parts {
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
    /// A PDU of each kind, 0 to [`KINDS`], of these values.
    pub fn pdu(&self, kind: usize) -> Pdu<'_> {
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

/// One encoded TLV.
pub fn tlv(tag: Tag, value: &[u8]) -> Vec<u8> {
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
    /// Any values.
    pub fn parts()(
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
