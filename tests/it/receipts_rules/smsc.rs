//! An SMSC whose answers and receipts a test writes itself: which ids, which numbers, which of them at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BINDS: [u32; 3] = [0x1, 0x2, 0x9];

/// A submit_sm.
#[derive(Clone, Debug)]
pub struct Submit {
    pub to: String,
    /// Of which part of a long message, from 1.
    pub part: u8,
    pub sequence: u32,
    /// On which session, from 1, and which of its messages, from 1.
    pub session: usize,
    pub nth: usize,
}

/// What the SMSC does about it.
#[derive(Clone, Debug)]
pub enum Say {
    /// It answers that it took it; the sequence number as a rule is that of the submit_sm.
    Answer {
        sequence: u32,
        id: String,
    },
    Receipt(Receipt),
}

#[derive(Clone, Debug)]
pub struct Receipt {
    pub after: Duration,
    pub id: String,
    /// In the TLV receipted_message_id.
    pub tlv_id: Option<String>,
    pub stat: &'static str,
    pub from: String,
}

impl Submit {
    pub fn answer(&self, id: &str) -> Say {
        Say::Answer { sequence: self.sequence, id: id.to_owned() }
    }

    pub fn receipt(&self, id: &str, stat: &'static str) -> Receipt {
        Receipt { after: Duration::from_millis(100), id: id.to_owned(), tlv_id: None, stat, from: self.to.clone() }
    }
}

/// It serves until the test's process ends.
pub fn start(say: impl Fn(&Submit) -> Vec<Say> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (say, sessions) = (Arc::new(say), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (say, session) = (Arc::clone(&say), sessions.fetch_add(1, Ordering::Relaxed) + 1);
            std::thread::spawn(move || serve(stream, session, &*say));
        }
    });
    port
}

fn serve(mut stream: TcpStream, session: usize, say: &dyn Fn(&Submit) -> Vec<Say>) {
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (mut octets, mut buffer) = (Vec::new(), [0; 65_536]);
    let (mut due, mut nth, mut number): (Vec<(Instant, Receipt)>, _, _) = (Vec::new(), 0, 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => octets.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let mut out = Vec::new();
        while octets.len() >= 16 && octets.len() >= word(&octets, 0) as usize {
            let pdu: Vec<u8> = octets.drain(..word(&octets, 0) as usize).collect();
            let (command, sequence) = (word(&pdu, 4), word(&pdu, 12));
            match command {
                4 => {
                    nth += 1;
                    for said in say(&submit(&pdu, sequence, session, nth)) {
                        match said {
                            Say::Answer { sequence, id } => {
                                put(&mut out, 0x8000_0004, sequence, &[id.as_bytes(), &[0]].concat())
                            }
                            Say::Receipt(receipt) => due.push((Instant::now() + receipt.after, receipt)),
                        }
                    }
                }
                command if BINDS.contains(&command) => put(&mut out, command | 0x8000_0000, sequence, b"smsc\0"),
                6 | 0x15 => put(&mut out, command | 0x8000_0000, sequence, b""),
                _ => {}
            }
        }
        due.retain(|(at, receipt)| {
            let is_due = *at <= Instant::now();
            if is_due {
                number += 1;
                put(&mut out, 5, number, &deliver(receipt));
            }
            !is_due
        });
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().unwrap())
}

fn put(out: &mut Vec<u8>, command: u32, sequence: u32, body: &[u8]) {
    for word in [16 + body.len() as u32, command, 0, sequence] {
        out.extend(word.to_be_bytes());
    }
    out.extend_from_slice(body);
}

fn submit(pdu: &[u8], sequence: u32, session: usize, nth: usize) -> Submit {
    let mut at = 16;
    let mut text = |skip: usize| {
        at += skip;
        let end = at + pdu[at..].iter().position(|octet| *octet == 0).unwrap();
        let text = String::from_utf8_lossy(&pdu[at..end]).into_owned();
        at = end + 1;
        text
    };
    text(0);
    text(2);
    let to = text(2);
    // esm_class, protocol_id, priority_flag, then two times, and five octets up to the text.
    text(3);
    text(0);
    let part = pdu.get(at + 5..at + 11).filter(|udh| udh[..3] == [5, 0, 3]).map_or(1, |udh| udh[5]);
    Submit { to, part, sequence, session, nth }
}

fn deliver(receipt: &Receipt) -> Vec<u8> {
    let Receipt { id, stat, from, tlv_id, .. } = receipt;
    let text =
        format!("id:{id} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:{stat} err:000 text:");
    let mut body =
        [b"\0\x01\x01", from.as_bytes(), b"\0\x05\0INFO\0\x04\0\0\0\0\0\0\0\0", &[text.len() as u8], text.as_bytes()]
            .concat();
    if let Some(id) = tlv_id {
        body.extend([0, 0x1E, 0, id.len() as u8 + 1]);
        body.extend(id.as_bytes());
        body.push(0);
    }
    body
}
