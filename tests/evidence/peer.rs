//! A hostile SMSC that is not the simulator: what it sends is what no SMSC should. Whatever it does, a run ends, in words,
//! stays small, sends no message twice that was not refused, and the journal knows of all that the SMSC got.
//!
//! `SMPPOST_FLOOD=100000 cargo test --test evidence peer:: -- --nocapture` sends as many stray receipts.

use crate::common::independent_smsc::pdu;
use crate::common::{Smppost, attempts, rows, states};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MESSAGES: usize = 40;
const MEMORY_KIB_MAX: u64 = 150 * 1024;

const NACK: u32 = 0x8000_0000;
const SUBMIT_SM_RESP: u32 = 0x8000_0004;
const DELIVER_SM: u32 = 5;
const UNBIND: u32 = 6;
const ENQUIRE_LINK: u32 = 0x15;

/// How it answers the `n`-th submit_sm of a session, from 1. `Ok(false)`: it hangs up.
type Answer = fn(&mut TcpStream, n: usize, number: u32) -> io::Result<bool>;

/// What must come of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It does no harm at all.
    Accepted,
    /// What was not answered is in doubt, the rest is accepted.
    AcceptedOrInDoubt,
    /// Nothing: it never binds.
    Queued,
    /// Anything that the promises allow.
    Anything,
}
use Expected::{Accepted, AcceptedOrInDoubt, Anything, Queued};

/// What is written as the answer to a bind.
type Bind = fn(&mut TcpStream, u32) -> io::Result<()>;

fn accepted(number: u32) -> Vec<u8> {
    pdu(SUBMIT_SM_RESP, 0, number, format!("id-{number}\0").as_bytes())
}

fn bound(number: u32) -> Vec<u8> {
    pdu(0x8000_0009, 0, number, b"hostile\0\x02\x10\0\x01\x34")
}

fn write_each(stream: &mut TcpStream, pdus: &[Vec<u8>]) -> io::Result<bool> {
    stream.write_all(&pdus.concat())?;
    Ok(true)
}

/// A receipt for an id.
fn receipt(id: &str, number: u32) -> Vec<u8> {
    let text =
        format!("id:{id} sub:001 dlvrd:001 submit date:2611230800 done date:2611230801 stat:DELIVRD err:000 text:");
    let mut body = b"\0\x01\x01447700900000\0\x05\0Test\0\x04\0\0\0\0\0\0\0\0".to_vec();
    body.push(text.len() as u8);
    body.extend(text.as_bytes());
    pdu(DELIVER_SM, 0, number, &body)
}

/// Octets that claim to be so long.
fn lying(length: u32) -> Vec<u8> {
    [length, SUBMIT_SM_RESP, 0, 9].iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// An answer with an id of these octets.
fn with_id(stream: &mut TcpStream, number: u32, id: &[u8]) -> io::Result<bool> {
    write_each(stream, &[pdu(SUBMIT_SM_RESP, 0, number, &[id, b"\0"].concat())])
}

const FAULTS: &[(&str, Expected, Answer)] = &[
    ("an answer to sequence number 0 before each", Accepted, |s, _, n| write_each(s, &[accepted(0), accepted(n)])),
    ("an answer to what was never sent", Accepted, |s, _, n| {
        write_each(s, &[accepted(n + 100_000), accepted(n), accepted(0x7FFF_FFFF), accepted(u32::MAX)])
    }),
    ("every answer twice, with another id", Accepted, |s, _, n| {
        write_each(s, &[accepted(n), pdu(SUBMIT_SM_RESP, 0, n, b"other\0"), pdu(SUBMIT_SM_RESP, 0x58, n, b"")])
    }),
    ("an answer, then a nack of it", Accepted, |s, _, n| {
        write_each(s, &[accepted(n), pdu(NACK, 3, n, b""), pdu(NACK, 0, n, b"")])
    }),
    ("nacks of unknown numbers", Accepted, |s, _, n| {
        write_each(s, &[pdu(NACK, 2, n + 5_000, b""), pdu(NACK, 3, u32::MAX, b"more than a header"), accepted(n)])
    }),
    ("a nack without a number in the middle", AcceptedOrInDoubt, |s, k, n| {
        if k == 10 { write_each(s, &[pdu(NACK, 2, 0, b"")]) } else { write_each(s, &[accepted(n)]) }
    }),
    ("a nack of each message", Anything, |s, _, n| write_each(s, &[pdu(NACK, 3, n, b"")])),
    ("ids of 65 octets", Accepted, |s, _, n| with_id(s, n, format!("{n:065}").as_bytes())),
    ("ids of 60,000 octets", Accepted, |s, _, n| with_id(s, n, format!("{n:060000}").as_bytes())),
    ("ids of controls", Accepted, |s, _, n| with_id(s, n, format!("\x1b[31m\r\n\t\x7f{n}").as_bytes())),
    ("ids of no characters", Accepted, |s, _, n| {
        with_id(s, n, &[&[0xFF, 0xC3, 0x28, 0x80], &n.to_be_bytes()[2..]].concat())
    }),
    ("no end of the id", Accepted, |s, _, n| write_each(s, &[pdu(SUBMIT_SM_RESP, 0, n, b"abc")])),
    ("an id with more behind its end", Accepted, |s, _, n| write_each(s, &[pdu(SUBMIT_SM_RESP, 0, n, b"ab\0cd\0")])),
    ("the same id for all", Accepted, |s, _, n| with_id(s, n, b"same")),
    ("no id", Accepted, |s, _, n| with_id(s, n, b"")),
    ("no body", Accepted, |s, _, n| write_each(s, &[pdu(SUBMIT_SM_RESP, 0, n, b"")])),
    ("a huge TLV behind the id", Accepted, |s, _, n| {
        let tlv = [b"id\0\x14\x00\xEA\x60".to_vec(), vec![7; 60_000]].concat();
        write_each(s, &[pdu(SUBMIT_SM_RESP, 0, n, &tlv)])
    }),
    ("a TLV that ends beyond its PDU", Accepted, |s, _, n| {
        write_each(s, &[pdu(SUBMIT_SM_RESP, 0, n, b"id\0\x14\x00\xFF\xFFxx")])
    }),
    ("unbind_resp, enquire_link_resp, bind_resp that nobody asked for", Accepted, |s, _, n| {
        let each = [pdu(0x8000_0006, 0, n, b""), pdu(0x8000_0015, 0, n, b""), bound(n), accepted(n)];
        write_each(s, &each)
    }),
    ("a storm of enquire_link", Accepted, |s, _, n| {
        let mut all: Vec<_> = (0..500).map(|k| pdu(ENQUIRE_LINK, 0, k + 1, b"")).collect();
        all.push(accepted(n));
        write_each(s, &all)
    }),
    ("commands that there are not", Accepted, |s, _, n| {
        let ids = [0, 0x999, 0x7FFF_FFFF, 0x8000_0999, u32::MAX, 0x8000_0103, 0x8000_0008, 0x0000_0102, 0x0B];
        let mut all: Vec<_> = ids.iter().map(|id| pdu(*id, 0, n, b"what?")).collect();
        all.push(accepted(n));
        write_each(s, &all)
    }),
    ("requests that are ours to make", Accepted, |s, _, n| {
        let ids = [1, 2, 3, 4, 7, 8, 9, 0x21];
        let mut all: Vec<_> = ids.iter().map(|id| pdu(*id, 0, n, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")).collect();
        all.push(accepted(n));
        write_each(s, &all)
    }),
    ("a request's status and the highest bits of a number", Accepted, |s, _, n| {
        write_each(s, &[pdu(DELIVER_SM, 0xFFFF_FFFF, u32::MAX, b""), accepted(n)])
    }),
    ("deliver_sm cut off, empty, of a length that is a lie", Accepted, |s, _, n| {
        let whole = receipt("abc", 1);
        let mut lie = whole.clone();
        lie[16 + 37] = 255;
        let cut = pdu(DELIVER_SM, 0, 2, &whole[16..40]);
        write_each(s, &[cut, pdu(DELIVER_SM, 0, 3, b""), lie, accepted(n)])
    }),
    ("deliver_sm with a payload of 60,000 octets", Accepted, |s, _, n| {
        let body = b"\0\x01\x01447700900000\0\x05\0Test\0\0\0\0\0\0\0\0\0\0\0\x04\x24\xEA\x60".to_vec();
        write_each(s, &[pdu(DELIVER_SM, 0, n, &[body, vec![b'x'; 60_000]].concat()), accepted(n)])
    }),
    ("lengths below a header's", AcceptedOrInDoubt, |s, k, n| {
        if k == 10 { write_each(s, &[lying(15)]) } else { write_each(s, &[accepted(n)]) }
    }),
    ("a length beyond all bounds", AcceptedOrInDoubt, |s, k, n| {
        if k == 10 { write_each(s, &[lying(0x8000_0000)]) } else { write_each(s, &[accepted(n)]) }
    }),
    ("half closed", AcceptedOrInDoubt, |s, k, n| {
        write_each(s, &[accepted(n)])?;
        if k == 10 {
            s.shutdown(Shutdown::Write)?;
            // It still takes what comes.
            let _ = s.read_to_end(&mut Vec::new());
        }
        Ok(k != 10)
    }),
    ("the end in the middle of a PDU", AcceptedOrInDoubt, |s, k, n| {
        let all = accepted(n);
        s.write_all(if k == 10 { &all[..all.len() - 3] } else { &all })?;
        Ok(k != 10)
    }),
    ("an octet at a time", Accepted, |s, k, n| {
        if k > 3 {
            return write_each(s, &[accepted(n)]);
        }
        for octet in accepted(n) {
            s.write_all(&[octet])?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(true)
    }),
    ("a PDU that never becomes whole", AcceptedOrInDoubt, |s, k, n| {
        if k != 10 {
            return write_each(s, &[accepted(n)]);
        }
        s.write_all(&lying(60_000))?;
        // Slower than any timer, as long as anybody listens.
        while s.write_all(&[0]).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(false)
    }),
    ("more after its unbind", AcceptedOrInDoubt, |s, k, n| {
        if k != 10 {
            return write_each(s, &[accepted(n)]);
        }
        write_each(s, &[pdu(UNBIND, 0, 77, b""), accepted(n), receipt("late", 78), pdu(UNBIND, 0, 79, b"")])
    }),
    ("a receipt before its answer, and one after it for another", Accepted, |s, _, n| {
        write_each(s, &[receipt("nobody's", n), accepted(n), receipt("NOBODY'S", n)])
    }),
    ("no answer to any message", AcceptedOrInDoubt, |_, _, _| Ok(true)),
];

const BINDS: &[(&str, Expected, Bind)] = &[
    ("deliver_sm before the answer to the bind", Accepted, |s, n| {
        let mut all: Vec<_> = (0..50).map(|k| receipt("early", k + 1)).collect();
        all.push(bound(n));
        write_each(s, &all).map(drop)
    }),
    ("60,000 octets again and again before the answer to the bind", Queued, |s, _| {
        let body = b"\0\x01\x01447700900000\0\x05\0Test\0\0\0\0\0\0\0\0\0\0\0\x04\x24\xEA\x60".to_vec();
        let all = pdu(DELIVER_SM, 0, 1, &[body, vec![b'x'; 60_000]].concat());
        while s.write_all(&all).is_ok() {}
        Ok(())
    }),
    ("two answers to the bind", Accepted, |s, n| write_each(s, &[bound(n), bound(n)]).map(drop)),
    ("an answer to the bind, and then a refusal of it", Accepted, |s, n| {
        write_each(s, &[bound(n), pdu(0x8000_0009, 0x0E, n, b"")]).map(drop)
    }),
    ("an answer to another bind", Accepted, |s, n| write_each(s, &[bound(n + 7)]).map(drop)),
    ("an answer to the bind without a body", Accepted, |s, n| write_each(s, &[pdu(0x8000_0009, 0, n, b"")]).map(drop)),
    ("a name without end", Accepted, |s, n| write_each(s, &[pdu(0x8000_0009, 0, n, &[b'x'; 5_000])]).map(drop)),
    ("a name of controls", Accepted, |s, n| write_each(s, &[pdu(0x8000_0009, 0, n, b"\x1b[2J\r\x07\0")]).map(drop)),
];

/// A message that it got: sequence number, destination.
type Got = Arc<Mutex<Vec<(u32, String)>>>;

/// The SMSC: takes connections as long as the process lives.
fn smsc(bind: Bind, answer: Answer) -> (u16, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Got::default();
    let all = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, got) = (stream.unwrap(), Arc::clone(&got));
            std::thread::spawn(move || drop(session(stream, bind, answer, &got)));
        }
    });
    (port, all)
}

fn session(mut stream: TcpStream, bind: Bind, answer: Answer, got: &Got) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut count = 0;
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut body = vec![0; word(0) as usize - 16];
        stream.read_exact(&mut body)?;
        let number = word(12);
        match word(4) {
            9 => bind(&mut stream, number)?,
            4 => {
                got.lock().unwrap().push((number, destination(&body)));
                count += 1;
                if !answer(&mut stream, count, number)? {
                    return Ok(());
                }
            }
            ENQUIRE_LINK => stream.write_all(&pdu(0x8000_0015, 0, number, b""))?,
            UNBIND => {
                stream.write_all(&pdu(0x8000_0006, 0, number, b""))?;
                return Ok(());
            }
            _ => {}
        }
    }
}

/// The destination in a submit_sm: behind service_type, TON, NPI, source, TON, NPI.
fn destination(body: &[u8]) -> String {
    let after_string = |octets: &[u8]| octets.iter().position(|octet| *octet == 0).unwrap() + 1;
    let source = &body[after_string(body) + 2..];
    let destination = &source[after_string(source) + 2..];
    String::from_utf8(destination[..after_string(destination) - 1].to_vec()).unwrap()
}

fn run(what: &str, expected: Expected, bind: Bind, answer: Answer, messages: usize) {
    let started = Instant::now();
    let (port, got) = smsc(bind, answer);
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(messages));
    let more = [
        ["--rate", "unlimited"],
        ["--window", "10"],
        ["--response-timeout", "1s"],
        ["--bind-timeout", "2s"],
        ["--enquire-link-interval", "1s"],
        ["--wait-receipts", "300ms"],
        ["--give-up-after", if expected == Queued { "500ms" } else { "20s" }],
    ];
    let mut running = smppost.spawn(&crate::lab::send(port, &more.concat()).each());
    let mut memory = 0;
    while running.is_running() && started.elapsed() < Duration::from_secs(100) {
        memory = memory.max(memory_kib(running.id()));
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = running.wait();
    let found = states(&smppost.journal(), "c");
    println!("{:>5.1} s {memory:>6} KiB exit {:?} {found:?} {what}", ended.took.as_secs_f64(), ended.code);
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("bug"), "{what}: {}", ended.said());
    assert!(!ended.said().contains('\x1b'), "{what}: {}", ended.said());
    assert!(ended.stderr.len() < 64 * 1024, "{what}: {} octets of words", ended.stderr.len());
    assert!(memory < MEMORY_KIB_MAX, "{what}: {memory} KiB");
    crate::lab::verify(&smppost);
    known(what, &smppost, &got.lock().unwrap());
    let count = |state: &str| found.get(state).copied().unwrap_or_default();
    let all = messages as i64;
    assert_eq!(found.values().sum::<i64>(), all, "{what}: {found:?}");
    let (code, well) = match expected {
        Accepted => (Some(0), count("accepted") == all),
        AcceptedOrInDoubt => (Some(3), count("accepted") + count("in_doubt") == all),
        Queued => (Some(1), count("queued") == all),
        Anything => (ended.code, matches!(ended.code, Some(0 | 1 | 3))),
    };
    // A broken line may just miss everything that was outstanding.
    let all_the_same = expected == AcceptedOrInDoubt && ended.code == Some(0) && count("accepted") == all;
    assert!(well && (ended.code == code || all_the_same), "{what}: {found:?}\n{}", ended.said());
}

/// The journal knows all that the SMSC got; what came twice had been refused in between.
fn known(what: &str, smppost: &Smppost, got: &[(u32, String)]) {
    let attempts = attempts(&smppost.journal());
    let by_number: HashMap<(u32, &str), &crate::common::Attempt> =
        attempts.iter().map(|attempt| ((attempt.sequence_number, attempt.destination.as_str()), attempt)).collect();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (number, destination) in got {
        let attempt = by_number.get(&(*number, destination.as_str()));
        let attempt = attempt.unwrap_or_else(|| panic!("{what}: {number} to {destination} is not in the journal"));
        if !matches!(attempt.state.as_str(), "to retry" | "rejected") {
            *open.entry(destination).or_default() += 1;
        }
    }
    let twice: Vec<_> = open.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{what}: sent more than once: {twice:?}");
}

fn memory_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Four at a time: they mostly wait.
fn each<T: Sync>(table: &[T], check: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for first in 0..4 {
            let check = &check;
            scope.spawn(move || table.iter().skip(first).step_by(4).for_each(check));
        }
    });
}

#[test]
fn f31_answers_that_no_smsc_should_give() {
    each(FAULTS, |(what, expected, answer)| {
        run(what, *expected, |stream, number| stream.write_all(&bound(number)), *answer, MESSAGES);
    });
}

#[test]
fn f31_binds_that_no_smsc_should_give() {
    each(BINDS, |(what, expected, bind)| {
        run(what, *expected, *bind, |stream, _, number| write_each(stream, &[accepted(number)]), MESSAGES);
    });
}

#[test]
fn f39_receipts_for_nothing_that_was_ever_sent() {
    let flood = crate::lab::setting("SMPPOST_FLOOD", 10_000) as usize;
    // 50 receipts come with each answer.
    run(
        &format!("{flood} receipts for nothing"),
        Accepted,
        |stream, number| stream.write_all(&bound(number)),
        |stream, n, number| {
            let mut all: Vec<_> = (0..50).map(|k| receipt(&format!("stray-{n}-{k}"), k + 1)).collect();
            all.push(accepted(number));
            write_each(stream, &all)
        },
        flood / 50,
    );
}
