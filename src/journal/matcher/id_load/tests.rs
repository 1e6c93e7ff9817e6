use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::testkit::bench::{Bench, FakeReceipt};
use crate::wire::MessageState::Delivered;

const OK: u32 = 0;

fn id(n: usize) -> String {
    format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A journal whose messages, to numbers of their own, were all answered.
fn answered(count: usize, ids_in_memory: usize) -> (Bench, Vec<String>) {
    let numbers: Vec<String> = (0..count).map(|n| format!("4917{n:08}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    bench.ids_in_memory = ids_in_memory;
    bench.restart();
    let session = bench.open_session();
    for (n, sent) in bench.send(session, count).iter().enumerate() {
        bench.answer(session, *sent, OK, &id(n));
    }
    (bench, numbers)
}

/// Transactions without news, until nothing is left to do; how many it took.
fn settle(bench: &mut Bench) -> usize {
    let mut count = 0;
    while bench.thread().matcher.is_waking() || bench.thread().matcher.has_to_judge() {
        bench.thread().transact(&mut Vec::new(), false).unwrap();
        count += 1;
    }
    count
}

#[test]
fn a_start_reads_little_and_the_rest_is_found_all_the_same() {
    let (mut bench, numbers) = answered(2_000, 100_000);
    bench.restart();
    assert!(
        (200..210).contains(&bench.thread().matcher.ids.len()),
        "{} ids are read",
        bench.thread().matcher.ids.len()
    );
    assert!(bench.thread().matcher.is_waking());
    // Each transaction does a bounded part of it.
    let transactions = settle(&mut bench);
    assert!((34..=40).contains(&transactions), "{transactions}");
    let session = bench.open_session();
    for (n, number) in numbers.iter().enumerate() {
        bench.delivered(session, &id(n), number);
        bench.said(session);
    }
    assert!(bench.states().iter().all(|state| state == "delivered"));
    assert_eq!(bench.number("SELECT count(*) FROM receipt_log WHERE rule = 'exact id'"), 2_000);
    // The next start has nothing to wake but what is not in a run yet.
    bench.restart();
    assert_eq!(settle(&mut bench), 0);
}

#[test]
fn receipts_for_what_is_asleep_are_matched_whenever_they_come_and_whenever_it_ends() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = [300, 700, 100_000][seed as usize % 3];
        let (mut bench, numbers) = answered(900, memory);
        let mut order: Vec<usize> = (0..900).collect();
        random.shuffle(&mut order);
        bench.restart();
        let mut session = bench.open_session();
        for (n, message) in order.into_iter().enumerate() {
            // Some have no number that could tell them.
            let from = if random.bool() { numbers[message].as_str() } else { "" };
            bench.receipt(session, &FakeReceipt::new(&id(message), Delivered, from));
            if n % 7 == 0 && random.u8(..) < 40 {
                bench.restart();
                session = bench.open_session();
            }
        }
        settle(&mut bench);
        assert!(bench.states().iter().all(|state| state == "delivered"), "seed {seed}");
        assert_eq!(bench.number("SELECT count(*) FROM receipt_log WHERE rule <> 'exact id'"), 0, "seed {seed}");
        assert_eq!(bench.number("SELECT count(*) FROM stray"), 0, "seed {seed}");
        assert_eq!(bench.number("SELECT delivered FROM campaign_summary"), 900, "seed {seed}");
    }
}

#[test]
fn what_is_sent_again_while_it_is_asleep_is_found_once() {
    let count = 1_000;
    let numbers: Vec<String> = (0..count).map(|n| format!("4917{n:08}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    bench.ids_in_memory = 100_000;
    bench.restart();
    let session = bench.open_session();
    let is_refused = |n: usize| n < 120 && n.is_multiple_of(3);
    for (n, sent) in bench.send(session, count).iter().enumerate() {
        match is_refused(n) {
            true => bench.answer(session, *sent, crate::wire::CommandStatus::THROTTLED.0, ""),
            false => bench.answer(session, *sent, OK, &id(n)),
        }
    }
    bench.restart();
    let session = bench.open_session();
    // Some are woken already, some are not.
    assert!(bench.thread().matcher.is_waking());
    for sent in bench.send(session, 40) {
        bench.answer(session, sent, OK, &id(sent.message as usize - 1));
    }
    for round in 1..=2 {
        bench.rest();
        let session = bench.open_session();
        for n in (0..120).chain([500, 999]) {
            bench.delivered(session, &id(n), &numbers[n]);
            assert_eq!(bench.states()[n], "delivered", "{n}");
        }
        bench.rest();
        assert_eq!(bench.number("SELECT count(*) FROM receipt_log WHERE rule = 'exact id'"), 122 * round);
        bench.restart();
    }
}
