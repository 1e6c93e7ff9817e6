//! What would keep a transaction for long goes in slices, and a sender that dies between two of them loses nothing.

use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::model::events::ToJournal;
use crate::journal::open::{open_existing, open_read_only};
use crate::journal::store::decisions::{Decision, request};
use crate::journal::store::suppression;
use crate::journal::store::suppression::{Source, Why};
use crate::journal::testkit::bench::Bench;
use crate::journal::verify::verify;
use crate::message::address::Destination;
use std::collections::BTreeMap;

fn bench(count: usize) -> Bench {
    let numbers: Vec<String> = (0..count).map(|n| format!("4477009{n:06}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    Bench::new(&messages, Hold)
}

/// How many messages are in which state, once the journal was found to agree with itself.
fn states(bench: &Bench) -> BTreeMap<String, usize> {
    let report = verify(&open_read_only(&bench.path).unwrap()).unwrap();
    let wrong: Vec<_> = report.checks.iter().filter(|check| check.problems > 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    bench.states().into_iter().fold(BTreeMap::new(), |mut found, state| {
        *found.entry(state).or_default() += 1;
        found
    })
}

fn are(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|&(state, count)| (state.to_owned(), count)).collect()
}

/// One turn of the journal thread: what is aside or else these events. Returns how many attempts it settled.
fn turn(bench: &mut Bench, events: Vec<ToJournal>) -> usize {
    let before = bench.thread().status.in_flight;
    let thread = bench.thread();
    let mut inbox: Vec<ToJournal> = thread.inbox.take_aside().chain(events).collect();
    thread.take_portion(&mut inbox);
    thread.transact(&mut inbox, true).unwrap();
    before - bench.thread().status.in_flight
}

#[test]
fn f24_a_session_that_leaves_thousands_of_messages_is_worked_off_in_portions() {
    for killed_after in [None, Some(1), Some(2)] {
        let mut bench = bench(6_000);
        let session = bench.open_session();
        let mut unanswered = bench.send(session, 5_500);
        let unwritten = unanswered.split_off(3_000);
        let mut events = vec![
            ToJournal::Closed { session, reason: "cut".into(), unanswered, unwritten },
            ToJournal::Want { session, parts: 1 },
            ToJournal::StopClaiming,
        ];
        let mut turns = Vec::new();
        loop {
            turns.push(turn(&mut bench, std::mem::take(&mut events)));
            assert!(!bench.thread().claimer.claiming, "a signal counts at once");
            if bench.thread().inbox.is_empty() || Some(turns.len()) == killed_after {
                break;
            }
        }
        let Some(killed_after) = killed_after else {
            assert_eq!(turns, [2_000, 2_000, 1_500]);
            assert_eq!(states(&bench), are(&[("in_doubt", 3_000), ("queued", 3_000)]));
            continue;
        };
        // What was not said of the session is found when it is recovered; there is no write mark here, so that all of it may
        // have left.
        bench.restart();
        let queued = 500 + (2_000 * killed_after).saturating_sub(3_000);
        assert_eq!(states(&bench), are(&[("in_doubt", 6_000 - queued), ("queued", queued)]));
    }
}

#[test]
fn f24_more_than_one_transaction_settles_is_recovered_all_the_same() {
    let mut bench = bench(11_000);
    let session = bench.open_session();
    let sent = bench.send(session, 10_500);
    for sent in sent.into_iter().step_by(100) {
        bench.answer(session, sent, 0, "7");
    }
    bench.restart();
    assert_eq!(states(&bench), are(&[("accepted", 105), ("in_doubt", 10_395), ("queued", 500)]));
}

#[test]
fn f24_a_long_list_of_suppressed_numbers_is_read_in_slices_and_nothing_is_claimed_meanwhile() {
    let mut bench = bench(10);
    let session = bench.open_session();
    let other = open_existing(&bench.path).unwrap();
    let digits: Vec<String> =
        (0..50_000).map(|n| format!("4477008{n:06}")).chain(["4477009000003".to_owned()]).collect();
    let numbers = digits.iter().map(|digits| Destination::parse(digits).unwrap());
    suppression::add_all(&other, numbers, Why { source: Source::File, reason: "asked" }).unwrap();
    let mut slices = 0;
    bench.tell(ToJournal::Want { session, parts: 10 });
    while bench.thread().claimer.suppressed.is_behind() {
        assert_eq!(bench.thread().status.in_flight, 0);
        bench.tell(ToJournal::Want { session, parts: 10 });
        slices += 1;
    }
    assert_eq!(slices, 2);
    bench.tell(ToJournal::Want { session, parts: 10 });
    assert_eq!(states(&bench), are(&[("sending", 9), ("suppressed", 1)]));
}

#[test]
fn f24_a_long_cancellation_is_taken_back_in_slices() {
    for killed in [false, true] {
        let mut bench = bench(3_000);
        let session = bench.open_session();
        let unwritten = bench.send(session, 2_000);
        bench.tell(ToJournal::Closed { session, reason: "cut".into(), unanswered: Vec::new(), unwritten });
        let session = bench.open_session();
        let sent = bench.send(session, 700);
        bench.lose(session, sent);
        let lines: Vec<u64> = (2_900..2_910).collect();
        for decision in [Decision::Cancel { lines }, Decision::Cancel { lines: Vec::new() }] {
            bench.decide(&decision);
            while bench.thread().external.decisions_left {
                bench.tell(ToJournal::Want { session, parts: 0 });
            }
        }
        assert_eq!(states(&bench), are(&[("cancelled", 2_300), ("in_doubt", 700)]));
        let other = open_existing(&bench.path).unwrap();
        request(&other, "test", &Decision::Uncancel { lines: Vec::new() }).unwrap();
        let mut slices = 0;
        loop {
            bench.tell(ToJournal::Want { session, parts: 0 });
            slices += 1;
            if !bench.thread().external.decisions_left {
                break;
            }
            if killed && slices % 3 == 0 {
                bench.restart();
                break;
            }
        }
        assert!(killed || slices >= 8, "{slices}");
        assert_eq!(states(&bench), are(&[("in_doubt", 700), ("queued", 2_300)]), "{killed}");
    }
}

#[test]
fn f24_thousands_of_lines_are_cancelled_and_taken_back_in_slices() {
    for killed in [false, true] {
        let mut bench = bench(2_000);
        // Backwards, twice, and some that are not there.
        let lines: Vec<u64> = (2..=1_301).rev().chain(1_250..=1_350).chain(9_000..9_010).collect();
        let slices = lines.len().div_ceil(500);
        for (decision, cancelled) in
            [(Decision::Cancel { lines: lines.clone() }, 1_349), (Decision::Uncancel { lines: lines.clone() }, 0)]
        {
            let other = open_existing(&bench.path).unwrap();
            request(&other, "test", &decision).unwrap();
            let before = bench.number("SELECT count(*) FROM message_status WHERE state = 'cancelled'");
            bench.tell(ToJournal::StopClaiming);
            let after = bench.number("SELECT count(*) FROM message_status WHERE state = 'cancelled'");
            assert!(after.abs_diff(before) <= 500, "{before} {after}");
            if killed {
                bench.restart();
            }
            let mut took = 1;
            while !killed && bench.thread().external.decisions_left {
                bench.tell(ToJournal::StopClaiming);
                took += 1;
            }
            assert!(killed || took == slices, "{took} {slices}");
            let expected = [("cancelled", cancelled), ("queued", 2_000 - cancelled)];
            assert_eq!(states(&bench), are(&expected.into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>()));
        }
    }
}
