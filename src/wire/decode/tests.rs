use super::*;
use crate::wire::{CommandStatus, Tag};

/// A PDU of this id and status with the given body.
fn frame(id: CommandId, status: u32, body: &[u8]) -> Vec<u8> {
    let words = [16 + body.len() as u32, id.0, status, 7];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}

const DELIVER: &[u8] = b"\0\x01\x01447700900123\0\x05\0Shop\0\x04\0\0\0\0\0\0\0\0\x05id:77";

fn deliver(tail: &[u8]) -> Vec<u8> {
    frame(CommandId::DELIVER_SM, 0, &[DELIVER, tail].concat())
}

fn deliver_sm(frame: &[u8]) -> Sm<'_> {
    match decode(frame) {
        Ok((_, Pdu::DeliverSm(sm))) => sm,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deliver_sm_is_read_field_by_field() {
    let octets = deliver(&[0x04, 0x27, 0, 1, 2]);
    let (header, _) = decode(&octets).unwrap();
    assert_eq!((header.command_length as usize, header.sequence_number), (octets.len(), 7));
    let sm = deliver_sm(&octets);
    assert_eq!(sm.source, Address::new(1, 1, b"447700900123"));
    assert_eq!(sm.destination, Address::new(5, 0, b"Shop"));
    assert_eq!((sm.esm_class, sm.short_message), (4, &b"id:77"[..]));
    assert_eq!(sm.tlvs.get_u8(Tag::MESSAGE_STATE), Some(2));
}

#[test]
fn error_answers_have_a_body_or_not() {
    let bodies: &[(&[u8], &[u8])] = &[(b"", b""), (b"\0", b""), (b"ab\0", b"ab"), (b"ab", b"ab")];
    for (body, id) in bodies {
        for command in [CommandId::SUBMIT_SM_RESP, CommandId::DELIVER_SM_RESP, CommandId::DATA_SM_RESP] {
            let octets = frame(command, 0x58, body);
            let (header, pdu) = decode(&octets).unwrap();
            assert_eq!(header.command_status, CommandStatus::THROTTLED);
            let expected = MessageId { message_id: id, tlvs: Tlvs::NONE };
            match pdu {
                Pdu::SubmitSmResp(answer) | Pdu::DeliverSmResp(answer) | Pdu::DataSmResp(answer) => {
                    assert_eq!(answer, expected);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(decode_message_id(&octets), *id);
        }
        for (command, kind) in [
            (CommandId::BIND_TRANSMITTER_RESP, BindKind::Transmitter),
            (CommandId::BIND_RECEIVER_RESP, BindKind::Receiver),
            (CommandId::BIND_TRANSCEIVER_RESP, BindKind::Transceiver),
        ] {
            let octets = frame(command, 0x0E, body);
            let expected = BindResp { kind, system_id: id, tlvs: Tlvs::NONE };
            assert_eq!(decode(&octets).unwrap().1, Pdu::BindResp(expected));
        }
    }
    assert_eq!(decode_message_id(&[0; 15]), b"");
}

#[test]
fn answers_cut_short_have_zeros_there() {
    for end in 0..=7 {
        let octets = frame(CommandId::QUERY_SM_RESP, 0, &b"77\0\0\x02\x05\x99"[..end]);
        let Ok((_, Pdu::QuerySmResp(answer))) = decode(&octets) else { panic!("cut at {end}") };
        assert_eq!(answer.message_state, if end > 4 { 2 } else { 0 });
        assert_eq!(answer.error_code, if end > 5 { 5 } else { 0 });
        let octets = frame(CommandId::SUBMIT_MULTI_RESP, 0, &b"77\0\x02\x01\x01\x31"[..end]);
        let Ok((_, Pdu::SubmitMultiResp(answer))) = decode(&octets) else { panic!("cut at {end}") };
        assert_eq!(answer.unsuccess, Unsuccesses { count: 0, octets: b"" });
    }
}

#[test]
fn what_runs_past_the_end_keeps_what_came_before() {
    for tail in [&b"\0"[..], b"\0\x1E\0", b"\0\x1E\xFF\xFF77"] {
        let octets = deliver(&[&[0x04, 0x27, 0, 1, 2], tail].concat());
        let sm = deliver_sm(&octets);
        assert_eq!(sm.short_message, b"id:77");
        assert_eq!(sm.tlvs.get_u8(Tag::MESSAGE_STATE), Some(2));
        assert_eq!(sm.tlvs.get(Tag::RECEIPTED_MESSAGE_ID), None);
    }
    // sm_length counts the septets of a packed text, or simply lies.
    let mut octets = deliver(b"");
    let at = octets.len() - 6;
    octets[at] = 160;
    assert_eq!(deliver_sm(&octets).short_message, b"id:77");
}

#[test]
fn strings_over_their_limits_are_kept_and_so_are_odd_octets() {
    let long = [b'9'; 300];
    let body =
        [&b"\0\x01\x01"[..], &long, b"\0\x05\0caf\xC3\xA9\xFF\0\xFF\0\0\0\0\0\0\xF7\0\xFF", &[b'x'; 255]].concat();
    let octets = frame(CommandId::DELIVER_SM, 0, &body);
    let sm = deliver_sm(&octets);
    assert_eq!(sm.source.addr, long);
    assert_eq!(sm.destination.addr, b"caf\xC3\xA9\xFF");
    assert_eq!((sm.esm_class, sm.data_coding, sm.short_message.len()), (0xFF, 0xF7, 255));

    let octets = frame(CommandId::SUBMIT_SM_RESP, 0x1234_5678, &long);
    let (header, pdu) = decode(&octets).unwrap();
    assert_eq!(header.command_status, CommandStatus(0x1234_5678));
    assert_eq!(pdu, Pdu::SubmitSmResp(MessageId { message_id: &long, tlvs: Tlvs::NONE }));
}

#[test]
fn a_request_cut_short_names_the_field() {
    let whole = deliver(b"");
    let mut fields = Vec::new();
    for end in 16..whole.len() {
        match decode(&whole[..end]) {
            Err(DecodeError::Truncated { command_id, field, offset }) => {
                assert_eq!(command_id, CommandId::DELIVER_SM);
                assert_eq!(offset, end);
                fields.push(field);
            }
            Ok((_, Pdu::DeliverSm(sm))) => assert!(b"id:77".starts_with(sm.short_message)),
            other => panic!("{other:?}"),
        }
    }
    fields.dedup();
    let expected = [
        "service_type",
        "source_addr_ton",
        "source_addr_npi",
        "source_addr",
        "dest_addr_ton",
        "dest_addr_npi",
        "destination_addr",
        "esm_class",
        "protocol_id",
        "priority_flag",
        "schedule_delivery_time",
        "validity_period",
        "registered_delivery",
        "replace_if_present_flag",
        "data_coding",
        "sm_default_msg_id",
        "sm_length",
    ];
    // A string without its NUL is followed by the first field after it.
    assert!(expected.iter().all(|field| fields.contains(field)), "{fields:?}");
    assert_eq!(decode(&whole[..15]), Err(DecodeError::NoHeader { length: 15 }));
    let error = DecodeError::Truncated { command_id: CommandId::DELIVER_SM, field: "esm_class", offset: 40 };
    assert_eq!(error.to_string(), "deliver_sm ends at octet 40, before esm_class");
}

#[test]
fn what_is_unknown_is_handed_on() {
    let octets = frame(CommandId(0x0001_0203), 0, b"abc");
    let expected = Pdu::Unknown { command_id: CommandId(0x0001_0203), body: b"abc" };
    assert_eq!(decode(&octets).unwrap().1, expected);
    // PDUs without a body may have one all the same.
    let octets = frame(CommandId::ENQUIRE_LINK, 0, b"abc");
    assert_eq!(decode(&octets).unwrap().1, Pdu::EnquireLink);
}

#[test]
fn lists_are_read_lazily() {
    let body = b"\0\x05\0Shop\0\x03\x01\x01\x01447\0\x02friends\0\x01\0\x00123\0\0\0\0\0\0\0\0\0\0\x02hi";
    let octets = frame(CommandId::SUBMIT_MULTI, 0, &body[..]);
    let Ok((_, Pdu::SubmitMulti(multi))) = decode(&octets) else { panic!("{:?}", decode(&octets)) };
    assert_eq!(multi.message.short_message, b"hi");
    let list: Vec<_> = multi.destinations.iter().collect();
    assert_eq!(
        list,
        [
            Destination::Address(Address::new(1, 1, b"447")),
            Destination::List(b"friends"),
            Destination::Address(Address::new(0, 0, b"123")),
        ]
    );

    let octets = frame(CommandId::SUBMIT_MULTI_RESP, 0, b"77\0\x02\x01\x01447\0\0\0\0\x0B\x01\x01448\0\0\0");
    let Ok((_, Pdu::SubmitMultiResp(answer))) = decode(&octets) else { panic!("{:?}", decode(&octets)) };
    let list: Vec<_> = answer.unsuccess.iter().collect();
    assert_eq!(list, [Unsuccess { address: Address::new(1, 1, b"447"), error_status_code: 0x0B }]);
}
