//! Everything that can happen to a message's receipts, in random orders; and many of them outstanding.

use super::bench::{Bench, FakeReceipt};
use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::wire::MessageState::{Delivered, Enroute, Undeliverable};
use proptest::prelude::*;

const A: &str = "491700000001";
const OK: u32 = 0;

/// Something that happens to a message's part.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Answer(usize),
    Late(usize),
    Intermediate(usize),
    Final(usize),
    Failed(usize),
    Restart,
    Reconnect,
}

/// How an SMSC spells ids in answers and receipts.
fn spellings(style: u8, n: usize) -> (String, String) {
    let number = 1_000_003 * (n as u64 + 1) + 0x1234_5678_9ABC;
    match style {
        0 => (number.to_string(), number.to_string()),
        1 => (format!("{number:x}"), number.to_string()),
        2 => (number.to_string(), format!("{number:X}")),
        3 => (format!("{number:020}"), number.to_string()),
        // Small and sequential: every radix makes another of them.
        _ => ((n + 10).to_string(), (n + 10).to_string()),
    }
}

fn happenings() -> impl Strategy<Value = (u8, Vec<Happening>)> {
    let events: Vec<Happening> = (0..6)
        .flat_map(|n| {
            use Happening::*;
            let answer = if n == 4 { Late(n) } else { Answer(n) };
            let mut events = vec![answer, Intermediate(n), Final(n), Final(n)];
            if n % 2 == 0 {
                events.push(Failed(n));
            }
            events
        })
        .collect();
    (0..5u8, 0..3usize, Just(events)).prop_flat_map(|(style, disturbances, mut events)| {
        events.extend([Happening::Restart, Happening::Reconnect].iter().cycle().take(disturbances));
        (Just(style), Just(events).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn f32_the_end_is_the_same_for_every_order((style, events) in happenings()) {
        let numbers: Vec<String> = (0..6).map(|n| format!("49170000000{n}")).collect();
        // Four messages of one part, one of two.
        let messages: Vec<(&str, u8)> = (0..5).map(|n| (&*numbers[n], if n == 4 { 2 } else { 1 })).collect();
        let mut bench = Bench::new(&messages, Hold);
        let mut session = bench.open_session();
        let mut sent: Vec<_> = bench.send(session, 6).into_iter().map(Some).collect();
        let number = |n: usize| numbers[n.min(4)].as_str();
        let mut lost = [false; 6];
        for event in events {
            match event {
                Happening::Answer(n) => {
                    if let Some(sent) = sent[n].take() {
                        bench.answer(session, sent, OK, &spellings(style, n).0);
                    }
                }
                Happening::Late(n) => {
                    if let Some(sent) = sent[n].take() {
                        let late = bench.time_out(session, sent);
                        bench.answer(session, late, OK, &spellings(style, n).0);
                    }
                }
                Happening::Intermediate(n) => {
                    bench.receipt(session, &FakeReceipt::new(&spellings(style, n).1, Enroute, number(n)));
                }
                Happening::Final(n) => bench.delivered(session, &spellings(style, n).1, number(n)),
                Happening::Failed(n) => {
                    bench.receipt(session, &FakeReceipt::new(&spellings(style, n).1, Undeliverable, number(n)));
                }
                Happening::Restart => {
                    bench.restart();
                    for (sent, lost) in sent.iter_mut().zip(&mut lost) {
                        *lost |= sent.take().is_some();
                    }
                    session = bench.open_session();
                }
                Happening::Reconnect => {
                    let unanswered: Vec<_> = sent.iter_mut().filter_map(Option::take).collect();
                    for gone in &unanswered {
                        lost[gone.attempt.part() as usize - 1] = true;
                    }
                    bench.lose(session, unanswered);
                    session = bench.open_session();
                }
            }
        }
        let states = bench.states();
        for n in 0..4 {
            prop_assert_eq!(&states[n], "delivered", "message {} (answer lost: {})", n, lost[n]);
        }
        // Two parts to one number, both unanswered: whose receipt is whose cannot be known.
        let two_lost = lost[4] && lost[5];
        prop_assert_eq!(&states[4], if two_lost { "in_doubt" } else { "delivered" });
    }
}

/// Memory, start and rate with many receipts outstanding: `SMPPOST_OUTSTANDING=10000000 cargo test --release
/// many_outstanding -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes and gigabytes"]
fn f39_many_outstanding() {
    use crate::journal::model::events::{Batch, ReceiptEvent, ToJournal};
    let count: i64 = std::env::var("SMPPOST_OUTSTANDING").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = |name| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        format!("{} {}", line("VmRSS"), line("VmHWM"))
    };
    let id = |n: i64| format!("{:016x}", (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bench = Bench::new(&[(A, 1)], Hold);
    bench.thread = None;
    let writer = crate::journal::open::open_existing(&bench.path).unwrap();
    writer.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    for n in 1..=count {
        writer
            .prepare_cached("INSERT INTO answer (attempt, answered_at, command_status, outcome, message_id) VALUES (?1, 1, 0, 0, ?2)")
            .unwrap()
            .execute((crate::journal::model::key::Attempt::new(n, 0).0, id(n)))
            .unwrap();
    }
    writer.execute("INSERT INTO claim VALUES (1, 0, 1, ?1, 1, 1, 65536, 1)", [count]).unwrap();
    writer.execute("UPDATE campaign SET end_id = ?1", [count + 1]).unwrap();
    writer.execute("UPDATE campaign_count SET queued = 0, accepted = ?1", [count]).unwrap();
    writer.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(writer);
    println!("written: {}", memory());
    bench.ids_in_memory = 1_800_000;
    for start in ["first start", "second start"] {
        bench.thread = None;
        let before = std::time::Instant::now();
        bench.restart();
        println!("{start}: {:?}, {}", before.elapsed(), memory());
    }
    let session = bench.open_session();
    let before = std::time::Instant::now();
    for first in (1..=count).step_by(5_000) {
        let mut batch = Batch::default();
        for n in first..(first + 5_000).min(count + 1) {
            let event = ReceiptEvent {
                text_id: 0..0,
                message_id: batch.keep(id(n).as_bytes()),
                state: Some(Delivered),
                is_final: true,
                other: None,
                error: batch.keep(b"000"),
                text: batch.keep(
                    b"id:0123456789abcdef sub:001 dlvrd:001 submit date:2401010000 done date:2401010000 stat:DELIVRD",
                ),
                tlvs: batch.keep(&[0; 27]),
                source: batch.keep(A.as_bytes()),
                destination: batch.keep(b"Acme"),
            };
            batch.receipts.push(event);
        }
        bench.tell(ToJournal::Came { session, batch });
    }
    let seconds = before.elapsed().as_secs_f64();
    println!("{:.0} receipts a second, {}", count as f64 / seconds, memory());
    assert_eq!(bench.number("SELECT delivered FROM campaign_summary"), count);
    bench.thread = None;
    let before = std::time::Instant::now();
    bench.restart();
    println!("third start: {:?}, {}", before.elapsed(), memory());
}
