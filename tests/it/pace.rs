//! SMSCs that allow less than is asked for, by what is unanswered and by counts, not by clocks.

use crate::common::independent_smsc::pdu;
use crate::common::{Smppost, expected, rows, states};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const SUBMIT_SM_RESP: u32 = 0x8000_0004;
/// No status: it is dropped, and nothing is ever said of it.
const DROPPED: u32 = u32::MAX;
const QUIET: Duration = Duration::from_millis(4);

/// What an SMSC says to a submit_sm, of which so many came before, while so many others are unanswered.
type Verdict = fn(usize, usize) -> u32;

/// An SMSC that accepts, so long after nothing more comes, what its verdict is 0 for, and refuses the rest at once. Returns its
/// port.
fn smsc(verdict: Verdict, quiet: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || session(stream, verdict, quiet));
        }
    });
    port
}

fn session(mut stream: TcpStream, verdict: Verdict, quiet: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(quiet))?;
    let (mut octets, mut buffer) = (Vec::new(), vec![0; 32 * 1024]);
    let (mut unanswered, mut seen) = (Vec::new(), 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => octets.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                for number in unanswered.drain(..) {
                    let id = format!("id-{number}\0");
                    stream.write_all(&pdu(SUBMIT_SM_RESP, 0, number, id.as_bytes()))?;
                }
            }
            Err(error) => return Err(error),
        }
        while octets.len() >= 16 {
            let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
            let (length, id, number) = (word(0) as usize, word(4), word(12));
            if octets.len() < length {
                break;
            }
            octets.drain(..length);
            match id {
                9 => stream.write_all(&pdu(0x8000_0009, 0, number, b"smsc\0\x02\x10\0\x01\x34"))?,
                4 => {
                    let status = verdict(seen, unanswered.len());
                    seen += 1;
                    if status == 0 {
                        unanswered.push(number);
                    } else if status != DROPPED {
                        stream.write_all(&pdu(SUBMIT_SM_RESP, status, number, b""))?;
                    }
                }
                6 | 0x15 => stream.write_all(&pdu(0x8000_0000 | id, 0, number, b""))?,
                _ => {}
            }
        }
    }
}

/// Sends so many messages; returns what was said.
fn send(verdict: Verdict, count: usize, more: &[&str]) -> String {
    send_to(smsc(verdict, QUIET), count, more)
}

fn send_to(port: u16, count: usize, more: &[&str]) -> String {
    let smppost = Smppost::new();
    let options = [&["--receipts", "none", "--rate", "200", "--window", "10"], more].concat();
    let ended = smppost.send(&rows(count), port, &options);
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", count as i64)]), "{}", ended.said());
    ended.said()
}

#[test]
fn beyond_a_window_of_one_or_two_nothing_is_rejected_and_the_window_is_named() {
    let windows: [(usize, [Verdict; 3]); 2] = [
        (
            1,
            [
                |_, open| if open >= 1 { 0x45 } else { 0 },
                |_, open| if open >= 1 { 0x14 } else { 0 },
                |_, open| if open >= 1 { 0x58 } else { 0 },
            ],
        ),
        (
            2,
            [
                |_, open| if open >= 2 { 0x45 } else { 0 },
                |_, open| if open >= 2 { 0x14 } else { 0 },
                |_, open| if open >= 2 { 0x58 } else { 0 },
            ],
        ),
    ];
    // All of them wait most of the time.
    std::thread::scope(|scope| {
        for (window, verdicts) in windows {
            for (verdict, connections) in verdicts.into_iter().flat_map(|verdict| [(verdict, "1"), (verdict, "2")]) {
                scope.spawn(move || {
                    // With one message at a time the search takes a few dozens more. What answers no sooner than a busy machine
                    // lets a thread wait looks like a slow SMSC.
                    let (quiet, count) = if window == 1 { (8 * QUIET, 350) } else { (QUIET, 150) };
                    let said = send_to(smsc(verdict, quiet), count, &["--connections", connections]);
                    assert!(window > 1 || connections != "1" || said.contains("--window 1"), "{said}");
                });
            }
        }
    });
}

#[test]
fn what_is_refused_now_and_then_rejects_and_starves_nobody() {
    let said = send(|seen, _| if seen % 25 == 24 { 0x45 } else { 0 }, 300, &[]);
    assert!(!said.contains("--status 0x45=throttled"), "{said}");
}

#[test]
fn a_status_with_delays_of_its_own_slows_nothing_down() {
    // A hundred are refused, and a hundred are not, whatever the rate.
    let verdict: Verdict = |seen, _| if seen / 100 % 2 == 0 { 0x08 } else { 0 };
    let own = ["--status", "0x08=temporary:2s,2s,2s,2s"];
    let said = send(verdict, 200, &own);
    for word in ["slowed down", "refusals stop", "=throttled", "the SMSC takes about"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn what_is_dropped_beyond_a_window_puts_no_more_than_two_windows_in_doubt_and_is_named() {
    let windows: [(&str, Verdict); 2] = [
        ("--window 1", |_, open| if open >= 1 { DROPPED } else { 0 }),
        ("--window 2", |_, open| if open >= 2 { DROPPED } else { 0 }),
    ];
    for (words, verdict) in windows {
        let smppost = Smppost::new();
        let options = ["--receipts", "none", "--rate", "200", "--window", "10", "--response-timeout", "1s"];
        let ended = smppost.send(&rows(150), smsc(verdict, QUIET), &options);
        ended.assert_code(3);
        let states = states(&smppost.journal(), "c");
        let number = |state: &str| states.get(state).copied().unwrap_or_default();
        assert!(number("in_doubt") <= 20 && number("accepted") == 150 - number("in_doubt"), "{}", ended.said());
        assert!(ended.said().contains("answers nothing beyond") && ended.said().contains(words), "{}", ended.said());
    }
}

/// Probes with so many messages to measure; returns what was said.
fn probe(verdict: Verdict, quiet: Duration, more: &[&str]) -> String {
    let port = smsc(verdict, quiet).to_string();
    let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let trial = ["--send-to", "+447700900123", "--from", "Test", "--wait-receipts", "100ms"];
    let ended = Smppost::new().run(&[&account[..], &trial, more].concat());
    ended.assert_code(3);
    ended.said()
}

#[test]
fn a_probe_finds_a_window_of_one_or_two_whatever_is_said_beyond_it() {
    let windows: [(usize, [Verdict; 4]); 2] = [
        (
            1,
            [
                |_, open| if open >= 1 { 0x45 } else { 0 },
                |_, open| if open >= 1 { 0x14 } else { 0 },
                |_, open| if open >= 1 { 0x58 } else { 0 },
                |_, open| if open >= 1 { DROPPED } else { 0 },
            ],
        ),
        (
            2,
            [
                |_, open| if open >= 2 { 0x45 } else { 0 },
                |_, open| if open >= 2 { 0x14 } else { 0 },
                |_, open| if open >= 2 { 0x58 } else { 0 },
                |_, open| if open >= 2 { DROPPED } else { 0 },
            ],
        ),
    ];
    // One window after the other: a machine that has much to do answers late, which is what a probe goes by.
    for (window, verdicts) in windows {
        std::thread::scope(|scope| {
            for verdict in verdicts {
                scope.spawn(move || {
                    let said = probe(verdict, 25 * QUIET, &["--response-timeout", "3s"]);
                    let set = format!("whatever the rate: set --window {window}");
                    assert!(said.contains(&set) && said.contains(&format!("\nwindow = {window} ")), "{said}");
                    assert!(!said.contains("\nrate = "), "a third of a second shows no rate: {said}");
                });
            }
        });
    }
}

#[test]
fn a_probe_says_of_a_rate_only_what_it_saw() {
    // Every other one is refused, whenever it comes, by a code that nobody knows to mean throttling.
    let said = probe(
        |seen, _| if seen < 4 || seen % 2 == 0 { 0 } else { 0x08 },
        10 * QUIET,
        &["--measure", "400", "--rate", "100"],
    );
    assert!(said.contains("however slowly they are sent") && !said.contains("\nrate = "), "{said}");
    assert!(!said.contains("set --window"), "{said}");
    // A hundred at thirty a second take three seconds, and none is refused.
    let said = probe(|_, _| 0, 10 * QUIET, &["--measure", "110"]);
    let is_shown =
        |rate| said.contains(&format!("rate: {rate}/s for three")) && said.contains(&format!("\nrate = {rate} "));
    // A machine that is busy does not keep to every moment; no more than was seen is said.
    assert!((25..=30).any(is_shown), "{said}");
    // A few show nothing.
    let said = probe(|_, _| 0, 10 * QUIET, &["--measure", "20"]);
    assert!(said.contains("too few to show a rate") && said.contains("\n# rate = 30 "), "{said}");
}

#[test]
fn a_probe_whose_connection_is_closed_in_the_middle_says_after_how_many() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut seen = 0;
            let mut head = [0; 16];
            while stream.read_exact(&mut head).is_ok() {
                let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
                let (length, id, number) = (word(0) as usize, word(4), word(12));
                let mut body = vec![0; length - 16];
                stream.read_exact(&mut body).unwrap();
                seen += usize::from(id == 4);
                if seen > 12 {
                    break;
                }
                let body: &[u8] = if id == 9 { b"smsc\0\x02\x10\0\x01\x34" } else { b"id\0" };
                let body = if id == 4 || id == 9 { body } else { b"" };
                let _ = stream.write_all(&pdu(0x8000_0000 | id, 0, number, body));
            }
        }
    });
    let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--rate", "unlimited"];
    let trial = ["--send-to", "+447700900123", "--from", "Test", "--wait-receipts", "100ms"];
    let ended = Smppost::new().run(&[&account[..], &trial].concat());
    ended.assert_code(3);
    let said = ended.said();
    assert!(said.contains("ended early: the "), "{said}");
    assert!(said.contains("messages: 12 of "), "{said}");
    assert!(said.contains("hang up on those who send too fast") && !said.contains("\nrate = "), "{said}");
}

#[test]
fn a_message_that_is_never_answered_is_no_hang_up_and_ends_nothing() {
    // One in the middle of a flow that lasts longer than the response timeout.
    let said =
        probe(|seen, _| if seen == 40 { DROPPED } else { 0 }, QUIET, &["--measure", "180", "--response-timeout", "3s"]);
    assert!(said.contains("1 of them had no answer within the response timeout"), "{said}");
    assert!(!said.contains("hang up") && !said.contains("ended early"), "{said}");
}
