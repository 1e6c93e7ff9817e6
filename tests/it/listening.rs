//! `listen` with options that no other test types: what states mean to it.

use crate::common::independent_smsc::pdu;
use crate::common::{Smppost, expected, rows, states};
use smppost::wire::{CommandId, decode_header};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// Takes two sessions: on the first every message gets id 1, 2, ...; on the second their receipts come, as `receipt` has them
/// for each id: the text, and the TLV message_state if there is one.
fn smsc(receipt: fn(usize) -> (String, Option<u8>)) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let thread = std::thread::spawn(move || {
        let mut taken = 0;
        for session in 0..2 {
            let mut stream = listener.accept().unwrap().0;
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut length = [0; 4];
            while stream.read_exact(&mut length).is_ok() {
                let mut frame = vec![0; u32::from_be_bytes(length) as usize];
                frame[..4].copy_from_slice(&length);
                stream.read_exact(&mut frame[4..]).unwrap();
                let header = decode_header(&frame).unwrap();
                if header.command_id.is_response() {
                    continue;
                }
                let id = (header.command_id == CommandId::SUBMIT_SM).then(|| {
                    taken += 1;
                    taken
                });
                let body = match (header.command_id, id) {
                    (_, Some(id)) => format!("{id}\0").into_bytes(),
                    (CommandId::UNBIND | CommandId::ENQUIRE_LINK, _) => Vec::new(),
                    _ => b"SMSC\0\x02\x10\x00\x01\x34".to_vec(),
                };
                stream.write_all(&pdu(header.command_id.response().0, 0, header.sequence_number, &body)).unwrap();
                let is_bind = header.command_id.response_of().is_none() && header.sequence_number == 1;
                for id in (1..=taken).filter(|_| session == 1 && is_bind) {
                    let (text, state) = receipt(id);
                    let mut body = b"\0\x01\x01".to_vec();
                    body.extend(format!("4477009{:05}\0\x05\0Test\0", id - 1).bytes());
                    body.extend(b"\x04\0\0\0\0\0\0\0\0");
                    body.push(text.len() as u8);
                    body.extend(text.bytes());
                    body.extend([0, 0x1E, 0, 2, b'0' + id as u8, 0]);
                    body.extend(state.into_iter().flat_map(|state| [4, 0x27, 0, 1, state]));
                    stream.write_all(&pdu(5, 0, 1_000 + id as u32, &body)).unwrap();
                }
            }
        }
    });
    (port, thread)
}

/// Sends two, and then listens with these options.
fn listened(
    receipt: fn(usize) -> (String, Option<u8>),
    options: &[&str],
) -> (std::collections::BTreeMap<String, i64>, String) {
    let (port, smsc) = smsc(receipt);
    let smppost = Smppost::new();
    smppost.send(&rows(2), port.parse().unwrap(), &["--wait-receipts", "1ms"]).assert_code(0);
    let listen = ["listen", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--for", "2s"];
    let ended = smppost.run(&[&listen[..], options].concat());
    ended.assert_code(0);
    smsc.join().unwrap();
    (states(&smppost.journal(), "c"), ended.said())
}

#[test]
fn accepted_is_final_where_the_smsc_says_no_more() {
    let receipt = |id: usize| (format!("id:{id} sub:001 dlvrd:000 stat:ACCEPTD err:000 text:"), Some(6));
    let (found, said) = listened(receipt, &[]);
    assert_eq!(found, expected([("accepted", 2)]), "{said}");
    let (found, said) = listened(receipt, &["--accepted-is-final"]);
    assert_eq!(found, expected([("delivered", 2)]), "{said}");
}

#[test]
fn an_smscs_own_codes_hold_for_the_tlv_where_that_is_said() {
    // By this SMSC's table 5 is delivered; by SMPP's, undeliverable.
    let receipt = |id: usize| (format!("id:{id} sub:001 dlvrd:001 err:000 text:"), Some(5));
    let (found, said) = listened(receipt, &["--receipt-codes", "5=DELIVERED,2=UNDELIVERABLE"]);
    assert_eq!(found, expected([("failed", 2)]), "{said}");
    let options = ["--receipt-codes", "5=DELIVERED,2=UNDELIVERABLE", "--receipt-codes-in-state"];
    let (found, said) = listened(receipt, &options);
    assert_eq!(found, expected([("delivered", 2)]), "{said}");
    let smppost = Smppost::new();
    let ended = smppost.run(&["listen", "--receipt-codes-in-state", "--host", "127.0.0.1", "--system-id", "x"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("--receipt-codes"), "{}", ended.said());
}
