//! A small SMSC whose answers and receipts are octets that the test chooses.

use super::independent_smsc::pdu;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// How long after the answer the receipts of a submit_sm follow.
const RECEIPTS_AFTER: Duration = Duration::from_millis(60);

/// A submit_sm as it came.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Counted from 0 over all sessions.
    pub nth: usize,
    pub source_ton: u8,
    pub source_npi: u8,
    pub source: String,
    pub to: String,
    pub esm_class: u8,
    pub validity_period: String,
    pub short_message: Vec<u8>,
    /// Tag and value.
    pub tlvs: Vec<(u16, Vec<u8>)>,
}

impl Taken {
    pub fn tlv(&self, tag: u16) -> Option<&[u8]> {
        self.tlvs.iter().find(|(each, _)| *each == tag).map(|(_, value)| value.as_slice())
    }
}

/// What is said to a submit_sm.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub status: u32,
    /// The body of the answer: as a rule an id with its NUL, and TLVs. `None`: there is no answer.
    pub body: Option<Vec<u8>>,
    /// Bodies of deliver_sm that follow.
    pub receipts: Vec<Vec<u8>>,
    /// The session is closed then.
    pub close: bool,
}

impl Said {
    /// An answer that takes the message, with TLVs behind its id.
    pub fn taken(id: &str, tlvs: &[u8]) -> Self {
        Self { body: Some([id.as_bytes(), b"\0", tlvs].concat()), ..Self::default() }
    }

    /// An answer that refuses it.
    pub fn refused(status: u32, tlvs: &[u8]) -> Self {
        Self { status, ..Self::taken("", tlvs) }
    }

    /// And a receipt.
    pub fn then(mut self, taken: &Taken, text: &str, tlvs: &[u8]) -> Self {
        self.receipts.push(receipt(&taken.to, &taken.source, text, tlvs));
        self
    }
}

/// The body of a receipt.
pub fn receipt(source: &str, destination: &str, text: &str, tlvs: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(source.as_bytes());
    body.extend([0, 1, 1]);
    body.extend(destination.as_bytes());
    body.extend([0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend(text.as_bytes());
    body.extend(tlvs);
    body
}

/// A TLV in octets.
pub fn tlv(tag: u16, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&tag.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

type Script = dyn Fn(&Taken) -> Said + Send + Sync;

/// See the module.
pub struct ScriptedSmsc {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    taken: Vec<Taken>,
    binds: Vec<Vec<u8>>,
}

impl ScriptedSmsc {
    pub fn start(script: impl Fn(&Taken) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (script, shared): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&shared));
                thread::spawn(move || serve(stream, &*script, &seen));
            }
        });
        Self { port, seen }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The submit_sm so far.
    pub fn taken(&self) -> Vec<Taken> {
        lock(&self.seen).taken.clone()
    }

    /// The bodies of the binds so far.
    pub fn binds(&self) -> Vec<Vec<u8>> {
        lock(&self.seen).binds.clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("no test thread has failed here")
}

fn serve(mut stream: TcpStream, script: &Script, seen: &Mutex<Seen>) -> Option<()> {
    let writer = Arc::new(Mutex::new(stream.try_clone().ok()?));
    let write = |octets: &[u8]| writer.lock().ok()?.write_all(octets).ok();
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header).ok()?;
        let field = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (length, id, number) = (field(0) as usize, field(4), field(12));
        let mut body = vec![0; length.checked_sub(16)?];
        stream.read_exact(&mut body).ok()?;
        match id {
            1 | 2 | 9 => {
                lock(seen).binds.push(body);
                write(&pdu(id | 0x8000_0000, 0, number, b"scripted\0\x02\x10\0\x01\x34"))?;
            }
            4 => {
                let taken = {
                    let mut seen = lock(seen);
                    let taken = parse(&body, seen.taken.len())?;
                    seen.taken.push(taken.clone());
                    taken
                };
                let said = script(&taken);
                if let Some(body) = &said.body {
                    write(&pdu(0x8000_0004, said.status, number, body))?;
                }
                if said.close {
                    return None;
                }
                if !said.receipts.is_empty() {
                    let writer = Arc::clone(&writer);
                    thread::spawn(move || {
                        thread::sleep(RECEIPTS_AFTER);
                        for (n, body) in said.receipts.iter().enumerate() {
                            let octets = pdu(5, 0, number * 16 + n as u32, body);
                            writer.lock().ok()?.write_all(&octets).ok()?;
                        }
                        Some(())
                    });
                }
            }
            0x15 | 6 => write(&pdu(id | 0x8000_0000, 0, number, &[]))?,
            _ => {}
        }
    }
}

/// Takes what stands before the next NUL.
fn c_string(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|octet| *octet == 0)?;
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(text)
}

/// Takes so many octets.
fn octets<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn parse(body: &[u8], nth: usize) -> Option<Taken> {
    let rest = &mut &*body;
    let mut taken = Taken { nth, ..Taken::default() };
    c_string(rest)?;
    (taken.source_ton, taken.source_npi) = (octets(rest, 1)?[0], octets(rest, 1)?[0]);
    taken.source = c_string(rest)?;
    octets(rest, 2)?;
    taken.to = c_string(rest)?;
    taken.esm_class = octets(rest, 3)?[0];
    c_string(rest)?;
    taken.validity_period = c_string(rest)?;
    let length = usize::from(octets(rest, 5)?[4]);
    taken.short_message = octets(rest, length)?.to_vec();
    while let Some(&[a, b, c, d]) = octets(rest, 4) {
        let value = octets(rest, usize::from(u16::from_be_bytes([c, d])))?;
        taken.tlvs.push((u16::from_be_bytes([a, b]), value.to_vec()));
    }
    Some(taken)
}
