//! The codec against `rusmpp-core`, a third party's, and against octets that nobody meant.
//!
//! What we encode, the other decodes to the same fields; what it makes of them, octet for octet the same, we decode to
//! the PDU that we started from.
use proptest::collection::vec;
use proptest::prelude::*;
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use smppost::wire::{CommandStatus, FrameBuffer, Pdu, Sm, decode, encode};

use compare::compare;
use parts::{KINDS, parts};

mod compare;
mod parts;

/// How many TLVs and list entries the other codec has room for.
const ROOM: usize = 16;

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
        crate::wire_bodies::frames(&data);
    }

    #[test]
    fn any_octets_are_decoded_or_refused(frame in hostile_frame()) {
        crate::wire_bodies::pdu(&frame);
    }

    #[test]
    fn a_frame_cut_anywhere_is_decoded_or_refused(parts in parts(), kind in 0..KINDS, cut in any::<prop::sample::Index>()) {
        let frame = octets_of(&parts.pdu(kind), 7, 0);
        crate::wire_bodies::pdu(&frame[..cut.index(frame.len() + 1)]);
    }

    #[test]
    fn any_octets_are_tlvs(octets in vec(prop_oneof![Just(0_u8), 0..8_u8, any::<u8>()], 0..64)) {
        crate::wire_bodies::tlvs(&octets);
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
        crate::wire_bodies::receipt(&data);
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

#[test]
fn what_fuzzing_found_worth_keeping() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
    for (target, body) in [
        ("frame", crate::wire_bodies::frames as fn(&[u8])),
        ("pdu", crate::wire_bodies::pdu),
        ("tlvs", crate::wire_bodies::tlvs),
        ("receipt", crate::wire_bodies::receipt),
    ] {
        let mut count = 0;
        for entry in std::fs::read_dir(format!("{folder}/{target}")).expect("a corpus") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            body(&std::fs::read(path).expect("a file"));
            count += 1;
        }
        assert!(count > 10, "{target}: {count}");
    }
}
