use super::*;
use crate::wire::{BindKind, BindResp, CancelSm, QuerySm, TlvBuilder, decode};

const OK: CommandStatus = CommandStatus::OK;

fn refused(pdu: &Pdu<'_>) -> EncodeError {
    let mut out = b"before".to_vec();
    let error = encode(pdu, 1, OK, &mut out).unwrap_err();
    assert_eq!(out, b"before", "the buffer is as it was");
    error
}

fn encoded(pdu: &Pdu<'_>, status: CommandStatus) -> Vec<u8> {
    let mut out = Vec::new();
    encode(pdu, 7, status, &mut out).unwrap();
    out
}

#[test]
fn the_specifications_own_example() {
    // v3.4 section 2.7.2 (with the version that it was printed with).
    let bind = Bind {
        kind: BindKind::Transmitter,
        system_id: b"SMPP3TEST",
        password: b"secret08",
        system_type: b"SUBMIT1",
        interface_version: 0x50,
        addr_ton: 1,
        addr_npi: 1,
        address_range: b"",
    };
    let mut out = Vec::new();
    encode(&Pdu::Bind(bind), 1, OK, &mut out).unwrap();
    let expected = b"\0\0\0\x2F\0\0\0\x02\0\0\0\0\0\0\0\x01SMPP3TEST\0secret08\0SUBMIT1\0\x50\x01\x01\0";
    assert_eq!(out, expected);
}

#[test]
fn every_string_has_its_limit() {
    let long = [b'9'; 66];
    let address = |length| Address::new(1, 1, &long[..length]);
    let sm = Sm::default();
    let bind = Bind {
        kind: BindKind::Transceiver,
        system_id: b"",
        password: b"",
        system_type: b"",
        interface_version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: b"",
    };
    type Make<'a> = &'a dyn Fn(usize) -> Pdu<'a>;
    let table: &[(&str, usize, Make<'_>)] = &[
        ("system_id", 15, &|n| Pdu::Bind(Bind { system_id: &long[..n], ..bind })),
        ("password", 64, &|n| Pdu::Bind(Bind { password: &long[..n], ..bind })),
        ("system_type", 12, &|n| Pdu::Bind(Bind { system_type: &long[..n], ..bind })),
        ("address_range", 40, &|n| Pdu::Bind(Bind { address_range: &long[..n], ..bind })),
        ("service_type", 5, &|n| Pdu::SubmitSm(Sm { service_type: &long[..n], ..sm })),
        ("source_addr", 20, &|n| Pdu::SubmitSm(Sm { source: address(n), ..sm })),
        ("destination_addr", 20, &|n| Pdu::DeliverSm(Sm { destination: address(n), ..sm })),
        ("source_addr", 64, &|n| Pdu::DataSm(DataSm { source: address(n), ..DataSm::default() })),
        ("destination_addr", 64, &|n| Pdu::DataSm(DataSm { destination: address(n), ..DataSm::default() })),
        ("message_id", 64, &|n| Pdu::SubmitSmResp(MessageId { message_id: &long[..n], tlvs: Tlvs::NONE })),
        ("message_id", 64, &|n| Pdu::QuerySm(QuerySm { message_id: &long[..n], ..QuerySm::default() })),
        ("message_id", 64, &|n| Pdu::CancelSm(CancelSm { message_id: &long[..n], ..CancelSm::default() })),
        ("message_id", 64, &|n| Pdu::ReplaceSm(ReplaceSm { message_id: &long[..n], ..ReplaceSm::default() })),
    ];
    for (field, most, make) in table {
        let mut out = Vec::new();
        assert_eq!(encode(&make(*most), 1, OK, &mut out), Ok(()), "{field}");
        assert_eq!(refused(&make(most + 1)), EncodeError::TooLong { field, length: most + 1, most: *most });
    }
}

#[test]
fn nuls_times_and_texts_are_checked() {
    let sm = Sm::default();
    let nul = Pdu::SubmitSm(Sm { source: Address::new(5, 0, b"Sh\0p"), ..sm });
    assert_eq!(refused(&nul), EncodeError::NulInString { field: "source_addr", offset: 2 });
    for length in [1, 15, 17] {
        let time = vec![b'0'; length];
        let error = refused(&Pdu::SubmitSm(Sm { validity_period: &time, ..sm }));
        assert_eq!(error, EncodeError::TimeLength { field: "validity_period", length });
    }
    let text = [b'x'; 256];
    encoded(&Pdu::SubmitSm(Sm { short_message: &text[..254], ..sm }), OK);
    for length in [255, 256] {
        let error = refused(&Pdu::SubmitSm(Sm { short_message: &text[..length], ..sm }));
        assert_eq!(error, EncodeError::TooLong { field: "short_message", length, most: 254 });
    }
}

#[test]
fn tlvs_are_checked() {
    let mut payload = TlvBuilder::new();
    payload.octets(Tag::MESSAGE_PAYLOAD, b"text").unwrap();
    let sm = Sm { tlvs: payload.tlvs(), ..Sm::default() };
    encoded(&Pdu::SubmitSm(sm), OK);
    assert_eq!(refused(&Pdu::SubmitSm(Sm { short_message: b"x", ..sm })), EncodeError::TwoTexts);

    let mut sar = TlvBuilder::new();
    sar.u16(Tag::SAR_MSG_REF_NUM, 7);
    let sm = Sm { tlvs: sar.tlvs(), ..Sm::default() };
    encoded(&Pdu::SubmitSm(sm), OK);
    assert_eq!(refused(&Pdu::SubmitSm(Sm { esm_class: 0x43, ..sm })), EncodeError::SarBesideUdh);

    for octets in [&[0][..], &[0, 0x1E, 0, 1], &[0, 0x1E, 0, 0, 9]] {
        let sm = Sm { tlvs: Tlvs(octets), ..Sm::default() };
        assert_eq!(refused(&Pdu::DeliverSm(sm)), EncodeError::DamagedTlvs);
    }

    let mut huge = TlvBuilder::new();
    huge.octets(Tag::MESSAGE_PAYLOAD, &vec![1; 65_535]).unwrap();
    encoded(&Pdu::DataSm(DataSm { tlvs: huge.tlvs(), ..DataSm::default() }), OK);
    huge.octets(Tag(0x1400), &vec![1; 5_000]).unwrap();
    let error = refused(&Pdu::DataSm(DataSm { tlvs: huge.tlvs(), ..DataSm::default() }));
    assert!(matches!(error, EncodeError::TooLong { field: "the PDU", most: MAX_PDU_OCTETS, .. }), "{error}");
}

#[test]
fn error_answers_have_no_body() {
    let status = CommandStatus::THROTTLED;
    let none = MessageId::default();
    let bind = BindResp { kind: BindKind::Receiver, system_id: b"", tlvs: Tlvs::NONE };
    for (pdu, length) in [
        (Pdu::SubmitSmResp(none), 16),
        (Pdu::DataSmResp(none), 16),
        (Pdu::DeliverSmResp(none), 17),
        (Pdu::BindResp(bind), 16),
        (Pdu::BindResp(BindResp { system_id: b"smsc", ..bind }), 21),
    ] {
        assert_eq!(encoded(&pdu, status).len(), length, "{pdu:?}");
    }
    assert_eq!(encoded(&Pdu::SubmitSmResp(none), OK).len(), 17);
}

#[test]
fn the_short_ways_give_the_same_octets() {
    for status in [OK, CommandStatus::RECEIVER_TEMPORARY] {
        for id in [&b""[..], b"77"] {
            let mut out = Vec::new();
            encode_submit_sm_resp(7, status, id, &mut out).unwrap();
            assert_eq!(out, encoded(&Pdu::SubmitSmResp(MessageId { message_id: id, tlvs: Tlvs::NONE }), status));
        }
        let mut out = Vec::new();
        encode_deliver_sm_resp(7, status, &mut out);
        assert_eq!(out, encoded(&Pdu::DeliverSmResp(MessageId::default()), status));
    }
    let mut out = Vec::new();
    encode_data_sm_resp(7, OK, &mut out);
    assert_eq!(out, encoded(&Pdu::DataSmResp(MessageId::default()), OK));
    out.clear();
    encode_enquire_link(7, &mut out);
    encode_enquire_link_resp(7, &mut out);
    encode_generic_nack(7, OK, &mut out);
    let expected = [Pdu::EnquireLink, Pdu::EnquireLinkResp, Pdu::GenericNack].map(|pdu| encoded(&pdu, OK)).concat();
    assert_eq!(out, expected);
    let mut out = b"before".to_vec();
    assert!(encode_submit_sm_resp(7, OK, &[b'9'; 65], &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn a_sequence_number_can_be_patched() {
    let mut frame = encoded(&Pdu::SubmitSm(Sm { short_message: b"hi", ..Sm::default() }), OK);
    patch_sequence_number(&mut frame, 0x7FFF_FFFF);
    assert_eq!(decode(&frame).unwrap().0.sequence_number, 0x7FFF_FFFF);
    let mut short = [1; 15];
    patch_sequence_number(&mut short, 9);
    assert_eq!(short, [1; 15]);
}

#[test]
fn lists_agree_with_their_counts() {
    let mut octets = Vec::new();
    Destination::Address(Address::new(1, 1, b"447")).push_to(&mut octets).unwrap();
    Destination::List(b"friends").push_to(&mut octets).unwrap();
    let multi = |count| {
        let destinations = Destinations { count, octets: &octets };
        Pdu::SubmitMulti(SubmitMulti { destinations, message: Sm { short_message: b"hi", ..Sm::default() } })
    };
    let good = multi(2);
    assert_eq!(decode(&encoded(&good, OK)).unwrap().1, good);
    for count in [0, 1, 3, 255] {
        assert!(matches!(refused(&multi(count)), EncodeError::DamagedList { .. }), "{count}");
    }
    let mut kept = Vec::new();
    assert!(Destination::List(&[b'x'; 21]).push_to(&mut kept).is_err());
    let unsuccess = Unsuccess { address: Address::new(1, 1, &[b'x'; 21]), error_status_code: 1 };
    assert!(unsuccess.push_to(&mut kept).is_err());
    assert!(kept.is_empty());
}
