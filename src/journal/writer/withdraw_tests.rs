//! What a cancel, a suppression or a stop word says of parts that are claimed and not written: their sessions give them
//! back, just those, so that a flood of stop words holds nobody else's message up and tries nothing anew that may go. What is
//! barred meanwhile waits for the next question; what is claimed by then is looked at when it is claimed.

use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::model::events::{Sent, ToJournal, ToSession};
use crate::journal::open::open_existing;
use crate::journal::store::decisions::Decision;
use crate::journal::store::suppression;
use crate::journal::testkit::bench::Bench;
use crate::platform::clock::now_ms;

const A: &str = "491700000001";
const B: &str = "491700000002";
const C: &str = "491700000003";

/// How often the session was asked to give something back, and what of `sent` that would be.
fn withdrawn(bench: &Bench, session: i64, sent: &[Sent]) -> Vec<Vec<i64>> {
    let barred = bench.said(session).into_iter().filter_map(|said| match said {
        ToSession::Withdraw(barred) => Some(barred),
        _ => None,
    });
    barred
        .map(|barred| {
            let is_barred = |sent: &&Sent| barred.iter().any(|barred| barred.bars(sent.campaign, sent.destination));
            sent.iter().filter(is_barred).map(|sent| sent.message).collect()
        })
        .collect()
}

fn suppress(bench: &mut Bench, number: &str) {
    let other = open_existing(&bench.path).unwrap();
    let number = crate::message::address::Destination::parse(number).unwrap();
    suppression::add(&other, number, suppression::Why { source: suppression::Source::Operator, reason: "" }, now_ms())
        .unwrap();
    bench.thread().transact(&mut Vec::new(), true).unwrap();
}

#[test]
fn what_is_cancelled_is_taken_back() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1), (C, 2)], 4);
    bench.answer(session, sent[0], 0, "7");
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(withdrawn(&bench, session, &sent), [[1, 2, 3, 3]]);
    bench.tell(ToJournal::GaveBack { session, sent: sent[1..].to_vec() });
    assert_eq!(bench.states(), ["accepted", "cancelled", "cancelled"]);
    assert_eq!(bench.send(session, 4).len(), 0);
    assert!(bench.thread().status.all_sent);
}

#[test]
fn what_is_suppressed_is_taken_back_and_nothing_else() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 2), (C, 1), ("491700000004", 1)], 4);
    suppress(&mut bench, B);
    assert_eq!(withdrawn(&bench, session, &sent), [[2, 2]]);
    // More is wanted and there is more, so that what was given back is judged in the transaction that says so.
    let gave_back = ToJournal::GaveBack { session, sent: sent[1..3].to_vec() };
    bench.thread().transact(&mut vec![gave_back, ToJournal::Want { session, parts: 9 }], false).unwrap();
    assert_eq!(bench.states(), ["sending", "suppressed", "sending", "sending"]);
    bench.answer(session, sent[0], 0, "7");
    bench.answer(session, sent[3], 0, "8");
    assert_eq!(bench.states(), ["accepted", "suppressed", "accepted", "sending"]);
    assert_eq!(bench.thread().status.in_flight, 1);
}

#[test]
fn f38_a_stop_word_takes_back_what_is_claimed_for_its_number() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.restart();
    let sessions = [bench.open_session(), bench.open_session()];
    let sent: Vec<Sent> = sessions.iter().flat_map(|&session| bench.send(session, 1)).collect();
    // On another session than the one that has the message, and once more.
    for _ in 0..2 {
        bench.inbound(sessions[0], &stop(B));
    }
    assert_eq!(sessions.map(|session| withdrawn(&bench, session, &sent)), [[[2]], [[2]]]);
    bench.tell(ToJournal::GaveBack { session: sessions[1], sent: vec![sent[1]] });
    assert_eq!(bench.send(sessions[0], 1).len(), 0);
    assert_eq!(bench.states(), ["sending", "suppressed"]);
}

#[test]
fn a_session_is_asked_once_at_a_time() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1), (C, 1)], 3);
    for number in [A, B, C] {
        suppress(&mut bench, number);
    }
    assert_eq!(withdrawn(&bench, session, &sent), [[1]]);
    bench.tell(ToJournal::GaveBack { session, sent: Vec::new() });
    assert_eq!(withdrawn(&bench, session, &sent), [[2, 3]]);
    bench.tell(ToJournal::GaveBack { session, sent: Vec::new() });
    assert!(withdrawn(&bench, session, &sent).is_empty());
}

fn stop(from: &str) -> Vec<u8> {
    let mut pdu = Vec::new();
    let sm = crate::wire::Sm {
        source: crate::wire::Address::new(1, 1, from.as_bytes()),
        destination: crate::wire::Address::new(0, 0, b"12345"),
        short_message: b"stop",
        ..Default::default()
    };
    crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
    pdu
}
