use super::super::suppression::{self, Source, Why};
use super::*;
use crate::journal::model::campaign::InDoubtPolicy::{Hold, Resend};
use crate::journal::open::open_existing;
use crate::journal::testkit::bench::{Bench, FakeReceipt};
use crate::journal::verify::verify;
use crate::message::address::Destination;
use crate::wire::MessageState;

const A: &str = "491700000001";
const B: &str = "491700000002";
const THROTTLED: u32 = 0x58;
const REFUSED: u32 = 0x0B;

/// The states, once the journal was found to agree with itself.
fn states(bench: &Bench) -> Vec<String> {
    let report = verify(&crate::journal::open::open_read_only(&bench.path).unwrap()).unwrap();
    let wrong: Vec<_> = report.checks.iter().filter(|check| check.problems > 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    bench.states()
}

fn suppress(bench: &Bench, number: &str) {
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    let why = Why { source: Source::Operator, reason: "asked" };
    suppression::add(&other, Destination::parse(number).unwrap(), why, 0).unwrap();
}

fn marks(bench: &Bench) -> Vec<i64> {
    bench.query("SELECT possible_duplicate FROM message_status ORDER BY line", |row| row.get(0))
}

fn error(bench: &Bench) -> String {
    bench.query("SELECT coalesce(error, '') FROM message_status ORDER BY line", |row| row.get(0)).remove(0)
}

#[test]
fn f27_a_cancelled_resend_is_in_doubt_again() {
    let mut bench = Bench::new(&[(A, 1), (B, 1), ("491700000003", 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    bench.time_out(session, sent[0]);
    bench.answer(session, sent[1], THROTTLED, "");
    assert_eq!(states(&bench), ["queued", "queued", "queued"]);
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(states(&bench), ["in_doubt", "cancelled", "cancelled"]);
    assert!(error(&bench).contains("no answer"));
    bench.restart();
    assert_eq!(states(&bench), ["in_doubt", "cancelled", "cancelled"]);
    // A late answer, a receipt or the operator settles it.
    let session = bench.open_session();
    bench.decide(&Decision::AssumeSent { lines: vec![] });
    assert_eq!(states(&bench), ["accepted", "cancelled", "cancelled"]);
    bench.delivered(session, "7", A);
    assert_eq!(states(&bench), ["delivered", "cancelled", "cancelled"]);
}

#[test]
fn f27_what_becomes_doubtful_after_the_cancellation_is_in_doubt() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    bench.time_out(session, sent[0]);
    let again = bench.send(session, 1);
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(states(&bench), ["sending", "sending"]);
    bench.answer(session, again[0], THROTTLED, "");
    bench.time_out(session, sent[1]);
    assert_eq!(states(&bench), ["in_doubt", "in_doubt"]);
    bench.decide(&Decision::Abandon { lines: vec![] });
    assert_eq!(states(&bench), ["failed", "failed"]);
}

#[test]
fn f27_a_resend_of_what_was_cancelled_is_refused() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 1);
    bench.lose(session, sent);
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    assert_eq!(against_resending(&other, "test", &[]).unwrap(), None);
    request(&other, "test", &Decision::Cancel { lines: vec![] }).unwrap();
    let words = against_resending(&other, "test", &[]).unwrap().unwrap();
    assert!(words.contains("cancelled") && words.contains("--assume-sent or --abandon"), "{words}");
    // One that was asked for in the same moment changes nothing.
    bench.decide(&Decision::Resend { lines: vec![] });
    assert!(against_resending(&other, "test", &[2]).unwrap().is_some());
    assert_eq!(states(&bench), ["in_doubt", "cancelled"]);
    bench.decide(&Decision::Abandon { lines: vec![] });
    assert_eq!(states(&bench), ["failed", "cancelled"]);
    bench.restart();
    assert_eq!(states(&bench), ["failed", "cancelled"]);
}

#[test]
fn f27_what_is_in_doubt_only_is_not_sent_again_after_a_cancellation() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 2)], 2);
    bench.answer(session, sent[1], THROTTLED, "");
    bench.lose(session, vec![sent[0]]);
    assert_eq!(states(&bench), ["in_doubt"]);
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(bench.number("SELECT cancelled_at IS NOT NULL FROM campaign"), 1);
    assert_eq!(states(&bench), ["in_doubt"]);
}

#[test]
fn f27_a_suppressed_resend_stays_in_doubt() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 2)], 3);
    bench.answer(session, sent[2], THROTTLED, "");
    bench.lose(session, vec![sent[0], sent[1]]);
    bench.decide(&Decision::Resend { lines: vec![] });
    assert_eq!(states(&bench), ["queued", "queued"]);
    suppress(&bench, A);
    suppress(&bench, B);
    for _ in 0..2 {
        bench.restart();
        let session = bench.open_session();
        assert_eq!(bench.send(session, 3).len(), 0);
        assert_eq!(states(&bench), ["in_doubt", "in_doubt"]);
    }
    assert!(error(&bench).contains("suppressed"), "{}", error(&bench));
    // No number of theirs is sent to: neither at once nor by and by.
    bench.decide(&Decision::Resend { lines: vec![] });
    assert_eq!(states(&bench), ["in_doubt", "in_doubt"]);
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    let words = against_resending(&other, "test", &[3]).unwrap().unwrap();
    assert!(words.contains("line 3") && words.contains("suppress"), "{words}");
    let numbers = [A, B].map(|number| Destination::parse(number).unwrap());
    let why = Why { source: Source::Operator, reason: "asked" };
    suppression::remove_all(&other, numbers.into_iter(), why).unwrap();
    bench.decide(&Decision::Resend { lines: vec![2] });
    assert_eq!(states(&bench), ["queued", "in_doubt"]);
    let session = bench.open_session();
    let again = bench.send(session, 2);
    bench.answer(session, *again.iter().find(|sent| sent.attempt.part() == 1).unwrap(), 0, "7");
    assert_eq!(states(&bench)[0], "accepted");
    assert_eq!(marks(&bench)[0], 1);
}

#[test]
fn f27_a_refused_resend_is_in_doubt() {
    let mut bench = Bench::new(&[(A, 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    let late = bench.time_out(session, sent[0]);
    let again = bench.send(session, 1);
    bench.answer(session, again[0], REFUSED, "");
    assert_eq!(states(&bench), ["in_doubt"]);
    assert!(error(&bench).contains("no answer") && error(&bench).contains("ESME_RINVDSTADR"), "{}", error(&bench));
    // What was rejected is not all that is known of it: only the operator sends it again.
    bench.decide(&Decision::RetryRejected { code: None });
    assert_eq!(states(&bench), ["in_doubt"]);
    bench.decide(&Decision::Resend { lines: vec![] });
    assert_eq!(states(&bench), ["queued"]);
    let again = bench.send(session, 1);
    assert_eq!(again[0].attempt.tried(), 2);
    bench.answer(session, again[0], REFUSED, "");
    assert_eq!(states(&bench), ["in_doubt"]);
    bench.answer(session, late, REFUSED, "");
    assert_eq!(states(&bench), ["rejected"]);
    assert_eq!(marks(&bench), [0]);
}

#[test]
fn f27_the_operator_settles_a_refused_resend() {
    for (decision, state) in
        [(Decision::AssumeSent { lines: vec![] }, "accepted"), (Decision::Abandon { lines: vec![] }, "failed")]
    {
        let mut bench = Bench::new(&[(A, 1)], Resend);
        let session = bench.open_session();
        let sent = bench.send(session, 1);
        bench.time_out(session, sent[0]);
        let again = bench.send(session, 1);
        bench.answer(session, again[0], REFUSED, "");
        bench.decide(&decision);
        assert_eq!(states(&bench), [state]);
        bench.restart();
        assert_eq!(states(&bench), [state]);
    }
}

#[test]
fn f27_two_tries_in_doubt_may_both_have_arrived() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    bench.time_out(session, sent[0]);
    bench.answer(session, sent[1], 0, "b");
    let again = bench.send(session, 1);
    bench.time_out(session, again[0]);
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(states(&bench), ["in_doubt", "accepted"]);
    assert_eq!(marks(&bench), [1, 0]);
}

#[test]
fn a_campaign_that_came_later_is_cancelled_by_the_running_sender() {
    use super::super::intake::{Intake, Kept, NewMessage};
    use crate::journal::model::campaign::CampaignOptions;
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let options = CampaignOptions { from: crate::journal::testkit::bench::SENDER.into(), ..Default::default() };
    let mut intake = Intake::begin(&bench.path, "later", "later.csv", &options).unwrap();
    let message = NewMessage {
        line: 2,
        destination: B,
        number: crate::journal::store::number_index::key_of(B),
        source: None,
        text: "Hi",
        encoding: 0,
        parts: 1,
        fields: None,
        typed: None,
        suppressed: false,
    };
    intake.store(std::iter::once(Kept::Message(message))).unwrap();
    intake.finish("").unwrap();
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    request(&other, "later", &Decision::Cancel { lines: vec![] }).unwrap();
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    let states: Vec<String> =
        bench.query("SELECT state FROM message_status WHERE campaign = 'later'", |row| row.get(0));
    assert_eq!(states, ["cancelled"]);
    assert_eq!(bench.number("SELECT cancelled FROM campaign_summary WHERE campaign = 'later'"), 1);
    // It is none of those that are sent.
    assert_eq!(bench.thread().status.counts[State::Cancelled as usize], 0);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    bench.answer(session, sent[0], 0, "7");
    bench.delivered(session, "7", A);
    assert_eq!(bench.number("SELECT delivered FROM campaign_summary WHERE campaign = 'test'"), 1);
}

#[test]
fn what_was_sent_in_part_is_not_brought_back() {
    let (mut bench, session, sent) = Bench::sending(&[("491700000001", 2), ("491700000002", 1)], 2);
    bench.answer(session, sent[0], 0, "7");
    bench.answer(session, sent[1], 0x14, "");
    bench.decide(&Decision::Cancel { lines: vec![] });
    assert_eq!(states(&bench), ["accepted", "cancelled"]);
    let other = open_existing(&bench.path).unwrap();
    request(&other, "test", &Decision::Uncancel { lines: vec![] }).unwrap();
    bench.restart();
    assert_eq!(states(&bench), ["accepted", "queued"]);
    let session = bench.open_session();
    let sent = bench.send(session, 9);
    assert_eq!(sent.iter().map(|sent| sent.message).collect::<Vec<_>>(), [3]);
    bench.answer(session, sent[0], 0, "8");
    assert_eq!(states(&bench), ["accepted", "accepted"]);
}

#[test]
fn a_line_is_cancelled_while_a_sender_has_read_it_ahead() {
    let (mut bench, session, sent) =
        Bench::sending(&[("491700000001", 1), ("491700000002", 1), ("491700000003", 1)], 1);
    bench.decide(&Decision::Cancel { lines: vec![3] });
    assert_eq!(states(&bench), ["sending", "cancelled", "queued"]);
    let rest = bench.send(session, 9);
    assert_eq!(rest.iter().map(|sent| sent.message).collect::<Vec<_>>(), [3]);
    for (sent, id) in sent.iter().chain(&rest).zip(["7", "8"]) {
        bench.answer(session, *sent, 0, id);
    }
    assert_eq!(states(&bench), ["accepted", "cancelled", "accepted"]);
}

#[test]
fn what_came_back_may_be_delivered_after_all() {
    let mut bench = Bench::new(&[("491700000001", 1), ("491700000002", 1)], Hold);
    let session = bench.open_session();
    for (sent, id) in bench.send(session, 2).into_iter().zip(["7", "8"]) {
        bench.answer(session, sent, 0, id);
        let from = ["491700000001", "491700000002"][usize::from(id == "8")];
        let state = MessageState::Undeliverable;
        bench.receipt(session, &FakeReceipt::new(id, state, from));
    }
    assert_eq!(states(&bench), ["failed", "failed"]);
    let other = open_existing(&bench.path).unwrap();
    request(&other, "test", &Decision::RetryFailed { error: None }).unwrap();
    bench.restart();
    assert_eq!(states(&bench), ["queued", "queued"]);
    let session = bench.open_session();
    // One before it goes again, the other after.
    bench.delivered(session, "7", "491700000001");
    assert_eq!(states(&bench), ["delivered", "queued"]);
    let sent = bench.send(session, 9);
    assert_eq!(sent.iter().map(|sent| (sent.message, sent.attempt.tried())).collect::<Vec<_>>(), [(2, 1)]);
    bench.answer(session, sent[0], 0, "9");
    assert_eq!(states(&bench), ["delivered", "accepted"]);
    bench.delivered(session, "8", "491700000002");
    bench.delivered(session, "9", "491700000002");
    assert_eq!(states(&bench), ["delivered", "delivered"]);
    let twice = "SELECT count(*) FROM message_status WHERE possible_duplicate <> 0";
    assert_eq!(bench.number(twice), 1, "the second arrived twice, as its receipts say");
}
