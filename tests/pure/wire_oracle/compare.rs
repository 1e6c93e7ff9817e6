//! Our view of a PDU against the other codec's.
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::borrowed::{self as other, Pdu as Other};
use rusmpp_core::tlvs::borrowed::{Tlv as OtherTlv, TlvValue};
use rusmpp_core::types::borrowed::{COctetString, EmptyOrFullCOctetString};
use rusmpp_core::values::borrowed::{DestAddress, UnsuccessSme};
use smppost::wire::{Address, Destination, Destinations, Pdu, ReplaceSm, Tag, Tlvs, Unsuccesses};

use crate::wire_oracle::ROOM;
use crate::wire_oracle::parts::tlv;

/// Compares field by field.
pub fn compare(pdu: &Pdu<'_>, others: &Other<'_, ROOM>) {
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
