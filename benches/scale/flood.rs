//! An SMSC that takes every message and gives no receipt of its own, and sends so many deliver_sm of others beside: receipts of
//! messages that another client of the account sent, and messages from handsets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Not yet answered deliver_sm at most.
const WINDOW: usize = 1_000;

/// The n-th deliver_sm: from, to, esm_class, short_message.
pub type Body = fn(u64) -> (String, &'static str, u8, Vec<u8>);

pub struct Flood {
    pub port: String,
    #[allow(dead_code)]
    submits: Arc<AtomicU64>,
}

#[derive(Default)]
struct Shared {
    unanswered: Mutex<usize>,
    fewer: Condvar,
}

impl Flood {
    /// Serves one session for ever, with `count` deliver_sm from its bind on.
    pub fn start(count: u64, body: Body) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port().to_string();
        let submits = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&submits);
        std::thread::spawn(move || {
            let mut left = Some(count);
            for stream in listener.incoming().map_while(Result::ok) {
                let count = left.take().unwrap_or(0);
                let submits = Arc::clone(&counted);
                std::thread::spawn(move || serve(&stream, count, body, &submits));
            }
        });
        Self { port, submits }
    }

    /// Messages that came so far. The tests ask.
    #[allow(dead_code)]
    pub fn submits(&self) -> u64 {
        self.submits.load(Ordering::Relaxed)
    }
}

fn pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(16 + body.len());
    for word in [16 + body.len() as u32, command, status, sequence] {
        octets.extend(word.to_be_bytes());
    }
    octets.extend(body);
    octets
}

fn deliver(sequence: u32, (from, to, esm, text): (String, &str, u8, Vec<u8>)) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(from.as_bytes());
    body.extend([0, 5, 0]);
    body.extend(to.as_bytes());
    body.extend([0, esm, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend(text);
    pdu(5, 0, sequence, &body)
}

fn serve(stream: &TcpStream, count: u64, body: Body, submits: &AtomicU64) {
    let _ = stream.set_nodelay(true);
    let shared = Arc::new(Shared::default());
    let mut answers = stream.try_clone().expect("the socket");
    let mut input = std::io::BufReader::with_capacity(1 << 16, stream);
    // One writer at a time: answers and deliveries are whole PDUs.
    let output = Arc::new(Mutex::new(()));
    let mut next_id = 0_u64;
    loop {
        let mut head = [0; 16];
        if input.read_exact(&mut head).is_err() {
            return;
        }
        let word = |n: usize| u32::from_be_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
        let (command, sequence) = (word(4), word(12));
        let mut rest = vec![0; word(0) as usize - 16];
        if input.read_exact(&mut rest).is_err() {
            return;
        }
        let answer = match command {
            // Bound as what it asked for.
            1 | 2 | 9 => pdu(0x8000_0000 | command, 0, sequence, b"flood\0"),
            4 => {
                next_id += 1;
                submits.fetch_add(1, Ordering::Relaxed);
                pdu(0x8000_0004, 0, sequence, format!("{next_id:x}\0").as_bytes())
            }
            0x15 | 6 => pdu(0x8000_0000 | command, 0, sequence, &[]),
            0x8000_0005 => {
                *shared.unanswered.lock().expect("a lock") -= 1;
                shared.fewer.notify_one();
                continue;
            }
            _ => continue,
        };
        {
            let _turn = output.lock().expect("a lock");
            if answers.write_all(&answer).is_err() {
                return;
            }
        }
        if matches!(command, 1 | 9) && count > 0 {
            let (shared, output) = (Arc::clone(&shared), Arc::clone(&output));
            let stream = stream.try_clone().expect("the socket");
            std::thread::spawn(move || pump(&stream, &shared, &output, count, body));
        }
    }
}

fn pump(mut stream: &TcpStream, shared: &Shared, output: &Mutex<()>, count: u64, body: Body) {
    // The session has begun when its bind was answered.
    std::thread::sleep(Duration::from_millis(50));
    let mut sent = 0;
    while sent < count {
        let room = {
            let unanswered = shared.unanswered.lock().expect("a lock");
            let mut unanswered = shared.fewer.wait_while(unanswered, |count| *count >= WINDOW).expect("a lock");
            let room = (WINDOW - *unanswered).min(100).min((count - sent) as usize);
            *unanswered += room;
            room
        };
        let mut octets = Vec::new();
        for n in sent..sent + room as u64 {
            octets.extend(deliver(1 + (n % 0x7FFF_FFFE) as u32, body(n)));
        }
        sent += room as u64;
        let _turn = output.lock().expect("a lock");
        if stream.write_all(&octets).is_err() {
            return;
        }
    }
}

/// A number that seems random.
fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66
}

/// A receipt of a message that another client sent, to a number that is not in the journal.
pub fn foreign(n: u64) -> (String, &'static str, u8, Vec<u8>) {
    let text = format!(
        "id:{:016x} sub:001 dlvrd:001 submit date:2611282100 done date:2611282101 stat:DELIVRD err:000 text:",
        spread(n)
    );
    (format!("49{:010}", spread(n) % 10_000_000_000), "bench", 4, text.into_bytes())
}

/// The same for one number.
pub fn foreign_to_one(n: u64) -> (String, &'static str, u8, Vec<u8>) {
    let (_, to, esm, text) = foreign(n);
    ("447000000000".into(), to, esm, text)
}

/// A message from a handset; every other one is the first of three parts, of which no other comes, and a hundred numbers send
/// those with one reference for all.
pub fn inbound(n: u64) -> (String, &'static str, u8, Vec<u8>) {
    if n.is_multiple_of(2) {
        return (
            format!("49{:010}", spread(n) % 10_000_000_000),
            "bench",
            0,
            b"Please call me back, thank you".to_vec(),
        );
    }
    let mut text = vec![5, 0, 3, 7, 3, 1];
    text.extend(b"The first part of a long message that never comes whole");
    (format!("4917600000{:02}", n / 2 % 100), "bench", 0x40, text)
}
