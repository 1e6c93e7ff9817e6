//! What becomes of the other parts when one is refused for good, what an operator makes of refusals and doubts, and a stream
//! that is never at rest between two PDUs: against SMSCs that do just that.
use crate::common::independent_smsc::pdu;
use crate::common::{Smppost, expected, one, open, rows, rows_with, states};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const SUBMIT_SM_RESP: u32 = 0x8000_0004;
const INVALID_DESTINATION: u32 = 0x0B;

/// What an SMSC does on its connection number `n`, from 0, with what has arrived whole in one read: sequence number and
/// body of each submit_sm. `Ok(false)`: it hangs up.
type Behaviour = Box<dyn FnMut(&mut TcpStream, usize, Vec<(u32, Vec<u8>)>) -> io::Result<bool> + Send>;

/// An SMSC of one connection at a time; returns its port.
fn smsc(mut behaviour: Behaviour) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let _ = session(stream.unwrap(), n, &mut behaviour);
        }
    });
    port
}

fn session(mut stream: TcpStream, n: usize, behaviour: &mut Behaviour) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut octets, mut buffer) = (Vec::new(), vec![0; 32 * 1024]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        octets.extend_from_slice(&buffer[..count]);
        let mut submits = Vec::new();
        while octets.len() >= 16 {
            let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
            let (length, id, number) = (word(0) as usize, word(4), word(12));
            if octets.len() < length {
                break;
            }
            let body = octets.drain(..length).skip(16).collect();
            match id {
                9 => stream.write_all(&pdu(0x8000_0009, 0, number, b"smsc\0\x02\x10\0\x01\x34"))?,
                4 => submits.push((number, body)),
                6 | 0x15 => stream.write_all(&pdu(0x8000_0000 | id, 0, number, b""))?,
                _ => {}
            }
        }
        if !submits.is_empty() && !behaviour(&mut stream, n, submits)? {
            return Ok(());
        }
    }
}

fn accepted(number: u32) -> Vec<u8> {
    pdu(SUBMIT_SM_RESP, 0, number, format!("id-{number}\0").as_bytes())
}

/// Which part of a long message it is, from 1, by its header.
fn part_of(body: &[u8]) -> u8 {
    body.windows(3).position(|octets| octets == [5, 0, 3]).map_or(0, |at| body[at + 5])
}

#[test]
fn f18_what_was_withheld_when_the_connection_broke_is_not_lost() {
    const CUTS: usize = 12;
    const WINDOW: usize = 1_000;
    // Refuses the last part of a window, whose message goes on behind it, and hangs up when more comes: with that unread the
    // connection is reset, in the midst of what the writer makes of its free slots.
    let mut unanswered = Vec::new();
    // A window opens as answers come: after ten it is as large as it gets.
    let (mut connection, mut opening) = (0, 10);
    let port = smsc(Box::new(move |stream, n, mut submits| {
        if std::mem::replace(&mut connection, n) != n {
            (opening, unanswered) = (10, Vec::new());
        }
        let first: Vec<u32> = submits.drain(..submits.len().min(opening)).map(|(number, _)| number).collect();
        opening -= first.len();
        stream.write_all(&first.into_iter().flat_map(accepted).collect::<Vec<u8>>())?;
        unanswered.extend(submits.iter().map(|(number, _)| *number));
        if n >= CUTS {
            let answers: Vec<u8> = unanswered.drain(..).flat_map(accepted).collect();
            return stream.write_all(&answers).map(|()| true);
        }
        if unanswered.len() < WINDOW {
            return Ok(true);
        }
        let refused = unanswered.pop().unwrap();
        let mut answers: Vec<u8> = unanswered.drain(..).flat_map(accepted).collect();
        answers.extend(pdu(SUBMIT_SM_RESP, INVALID_DESTINATION, refused, b""));
        stream.write_all(&answers)?;
        stream.peek(&mut [0])?;
        Ok(false)
    }));
    let smppost = Smppost::new();
    // Of some 200 parts each.
    let csv = rows_with(90, |row| format!("{row} {}", "all is well and so on. ".repeat(1_300)));
    let more = ["--window", "1000", "--rate", "unlimited", "--wait-receipts", "100ms", "--max-parts", "250"];
    let ended = smppost.spawn_send(&csv, port, &more).wait();
    let found = states(&smppost.journal(), "c");
    assert_eq!(found.get("sending"), None, "{found:?}\n{}", ended.said());
    assert_eq!(found.values().sum::<i64>(), 90);
    ended.assert_code(3);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn f20_a_stream_that_never_rests_between_two_pdus_is_in_time() {
    // The last octets of each answer come with the next one, at intervals far below the timer, for longer than it.
    let (mut held, mut seen) = (Vec::new(), 0);
    let port = smsc(Box::new(move |stream, n, submits| {
        for (number, _) in submits {
            held.extend(accepted(number));
            seen += 1;
            // The first alone is whole: no other is written before it is answered.
            let rest = if (2..200).contains(&seen) { held.split_off(held.len() - 8) } else { Vec::new() };
            stream.write_all(&std::mem::replace(&mut held, rest))?;
        }
        Ok(n == 0)
    }));
    let smppost = Smppost::new();
    let more = ["--rate", "50", "--window", "20", "--response-timeout", "1500ms", "--wait-receipts", "100ms"];
    let ended = smppost.send(&rows(200), port, &more);
    let found = states(&smppost.journal(), "c");
    assert_eq!(found.get("accepted"), Some(&200), "{found:?}\n{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session"), 1, "{}", ended.said());
}

#[test]
fn f27_a_refused_message_that_is_to_be_sent_again_goes() {
    // Says nothing to the second part of the first message, refuses it the second time, and takes it the third time.
    let mut seen = 0;
    let port = smsc(Box::new(move |stream, _, submits| {
        for (number, body) in submits {
            let is_it = body.windows(12).any(|octets| octets == b"447700900000") && part_of(&body) == 2;
            seen += usize::from(is_it);
            match seen {
                1 if is_it => {}
                2 if is_it => stream.write_all(&pdu(SUBMIT_SM_RESP, INVALID_DESTINATION, number, b""))?,
                _ => stream.write_all(&accepted(number))?,
            }
        }
        Ok(true)
    }));
    let smppost = Smppost::new();
    let csv = rows_with(400, |row| if row == 0 { "long ".repeat(80) } else { format!("short {row}") });
    let more = ["--rate", "40", "--window", "10", "--response-timeout", "700ms", "--wait-receipts", "100ms"];
    let run = smppost.spawn_send(&csv, port, &more);
    let journal = smppost.journal();
    let wait_for = |what: &str, sql: &str| {
        for _ in 0..300 {
            // It may not have been made yet.
            let found = journal.exists().then(|| open(&journal).query_row(sql, [], |row| row.get::<_, i64>(0)));
            if found.is_some_and(|found| found.is_ok_and(|count| count > 0)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what} did not happen: {}", run.stderr());
    };
    let state = |state: &str| format!("SELECT count(*) FROM message_status WHERE line = 2 AND state = '{state}'");
    wait_for("the doubt", &state("in_doubt"));
    smppost.run(&["resolve", "c", "--resend"]).assert_code(0);
    wait_for("the refusal", "SELECT count(*) FROM attempt_log WHERE command_status = 11");
    smppost.run(&["resolve", "c", "--resend"]).assert_code(0);
    let ended = run.wait();
    let tries = one(&journal, "SELECT count(*) FROM attempt_log WHERE line = 2");
    assert!(tries <= 8, "{tries} tries\n{}", ended.said());
    let found = states(&journal, "c");
    assert_eq!(found.get("accepted"), Some(&400), "{found:?}\n{}", ended.said());
}

#[test]
fn f37_a_message_that_went_out_only_in_part_is_not_called_done() {
    for receipts in ["none", "failures", "all"] {
        // Refuses every second part, and sends no receipts.
        let port = smsc(Box::new(move |stream, _, submits| {
            for (number, body) in submits {
                match part_of(&body) {
                    2 => stream.write_all(&pdu(SUBMIT_SM_RESP, INVALID_DESTINATION, number, b""))?,
                    _ => stream.write_all(&accepted(number))?,
                }
            }
            Ok(true)
        }));
        let smppost = Smppost::new();
        let csv = rows_with(2, |row| if row == 0 { "long ".repeat(80) } else { "short".into() });
        let more = ["--receipts", receipts, "--wait-receipts", "100ms"];
        let state = if receipts == "all" { "accepted" } else { "failed" };
        for _ in 0..2 {
            let ended = smppost.send(&csv, port, &more);
            ended.assert_code(3);
            let words = ended.said().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("1 message went out only in part, since the rest was refused"), "{words}");
            assert!(!words.contains("all is done"), "{words}");
        }
        let sql = "SELECT count(*) FROM message_status WHERE line = 2 AND error = 'ESME_RINVDSTADR' AND state = ";
        assert_eq!(one(&smppost.journal(), &format!("{sql}'{state}'")), 1, "{receipts}");
        for (command, words) in [
            (&["report", "c"][..], "1 message went out only in part"),
            (&["report", "c", "--format", "json"], "\"sent_in_part\":1"),
            (&["list"], "1 message went out only in part"),
            (&["list", "--format", "json"], "\"sent_in_part\":1"),
        ] {
            let said = smppost.run(command).assert_code(0).said();
            assert!(said.contains(words), "{command:?}: {said}");
        }
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn f27_an_operator_decides_line_by_line() {
    // Lines 2 to 4 are not answered, 5 and 6 are refused, each with a status of its own, the first time.
    let mut seen = std::collections::HashMap::new();
    let port = smsc(Box::new(move |stream, _, submits| {
        for (number, body) in submits {
            let row = (0..5).find(|row| {
                let number = crate::common::number(*row);
                body.windows(number.len()).any(|octets| octets == number.as_bytes())
            });
            let times = seen.entry(row).or_insert(0);
            *times += 1;
            match (row, *times) {
                (Some(0..3), 1) => {}
                (Some(3), 1) => stream.write_all(&pdu(SUBMIT_SM_RESP, INVALID_DESTINATION, number, b""))?,
                (Some(4), 1) => stream.write_all(&pdu(SUBMIT_SM_RESP, 0x66, number, b""))?,
                _ => stream.write_all(&accepted(number))?,
            }
        }
        Ok(true)
    }));
    let smppost = Smppost::new();
    let more = ["--response-timeout", "500ms", "--wait-receipts", "100ms"];
    smppost.send(&rows(5), port, &more).assert_code(3);
    let found = || states(&smppost.journal(), "c");
    assert_eq!(found(), expected([("in_doubt", 3), ("rejected", 2)]));
    smppost.run(&["resolve", "c", "--assume-sent", "--line", "2"]).assert_code(0);
    smppost.run(&["resolve", "c", "--abandon", "--line", "3"]).assert_code(0);
    smppost.run(&["resolve", "c", "--resend", "--line", "4"]).assert_code(0);
    assert_eq!(found(), expected([("accepted", 1), ("failed", 1), ("queued", 1), ("rejected", 2)]));
    let port = port.to_string();
    let resume =
        ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "100ms"];
    let only = ["--retry-rejected", "--code", "0x0B"];
    smppost.run(&[&resume[..], &only].concat());
    assert_eq!(found(), expected([("accepted", 3), ("failed", 1), ("rejected", 1)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn f53_a_budget_leaves_no_message_in_pieces() {
    // Throttles every second part the first time.
    let mut seen = std::collections::HashSet::new();
    let port = smsc(Box::new(move |stream, _, submits| {
        for (number, body) in submits {
            let is_new = part_of(&body) == 2 && seen.insert(body.clone());
            match is_new {
                true => stream.write_all(&pdu(SUBMIT_SM_RESP, 0x58, number, b""))?,
                false => stream.write_all(&accepted(number))?,
            }
        }
        Ok(true)
    }));
    let smppost = Smppost::new();
    smppost.file("prices.csv", "44,0.01,EUR\n");
    let csv = rows_with(6, |row| format!("{row} {}", "long ".repeat(80)));
    // Each has three parts; three can be paid for, each part once.
    let more = ["--prices", "prices.csv", "--max-cost", "0.09", "--wait-receipts", "100ms", "--receipts", "none"];
    let ended = smppost.send(&csv, port, &more);
    ended.assert_code(3);
    let found = states(&smppost.journal(), "c");
    let accepted = found.get("accepted").copied().unwrap_or(0);
    assert!((2..=3).contains(&accepted), "{found:?}\n{}", ended.said());
    assert_eq!(found.get("queued").copied().unwrap_or(0), 6 - accepted, "{found:?}\n{}", ended.said());
}
