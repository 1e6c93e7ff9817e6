//! Receipts against the journal thread, without sockets: every rule, every order.

use super::bench::{Bench, FakeReceipt};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::campaign::InDoubtPolicy::{Hold, Resend};
use crate::journal::model::state::ReceiptsFor;
use crate::journal::store::decisions::Decision;
use crate::wire::MessageState::{Delivered, Enroute, Undeliverable};

const A: &str = "491700000001";
const B: &str = "491700000002";
const OK: u32 = 0;

#[test]
fn f32_before_its_answer_twice_out_of_order_and_after_a_restart() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1)], 1);
    bench.delivered(session, "7", A);
    assert_eq!(bench.states(), ["sending"]);
    bench.answer(session, sent[0], OK, "7");
    assert_eq!(bench.states(), ["delivered"]);
    bench.receipt(session, &FakeReceipt::new("7", Enroute, A));
    bench.delivered(session, "7", A);
    bench.restart();
    let session = bench.open_session();
    bench.receipt(session, &FakeReceipt::new("7", Undeliverable, A));
    assert_eq!(bench.states(), ["delivered"]);
    assert!(bench.rules().iter().all(|(rule, line)| rule == "exact id" && *line == Some(2)));
    assert_eq!(bench.number("SELECT count(*) FROM receipt_log"), 4);
    assert_eq!(bench.number("SELECT count(*) FROM stray"), 0);
}

#[test]
fn f48_a_clock_that_was_set_back_hides_no_owner() {
    for set_back in [true, false] {
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
        bench.time_out(session, sent[0]);
        bench.delivered(session, "7", A);
        assert_eq!(bench.states(), ["in_doubt", "sending"]);
        // The claim was an hour after the receipt: by a clock that was set back since, or indeed.
        let hour =
            if set_back { "claim SET claimed_at = claimed_at +" } else { "receipt SET received_at = received_at -" };
        bench.thread().connection.execute_batch(&format!("UPDATE {hour} 3600000")).unwrap();
        bench.restart();
        assert_eq!(bench.states()[0], if set_back { "delivered" } else { "in_doubt" });
    }
}

#[test]
fn f39_receipts_that_wait_beside_many_others_find_their_message() {
    // Of the receipts one has its id in an answer that comes late, one another spelling of an id, one is of an attempt in
    // doubt, and one has an owner only when its session is lost.
    let numbers: Vec<String> = (0..5).map(|n| format!("49170000000{n}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    for (restart, reversed) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut bench = Bench::new(&messages, Hold);
        bench.thread().matcher.strays.remember_at_most(3);
        let session = bench.open_session();
        let sent = bench.send(session, 5);
        let late = bench.time_out(session, sent[3]);
        let mut told: Vec<(String, &str)> = (0..20).map(|n| (format!("foreign{n}"), "4477009000")).collect();
        told.extend(
            ["0a1", "1", "unknown", "d4"].into_iter().zip([0, 1, 2, 3]).map(|(id, n)| (id.to_owned(), messages[n].0)),
        );
        if reversed {
            told.reverse();
        }
        for (id, number) in &told {
            bench.delivered(session, id, number);
        }
        assert!(bench.thread().matcher.strays.len() <= 3);
        bench.answer(session, sent[0], OK, "A1");
        bench.answer(session, sent[1], OK, "1");
        bench.time_out(session, sent[2]);
        bench.answer(session, late, OK, "d4");
        assert_eq!(bench.states()[4], "sending");
        if restart {
            let thread = bench.thread();
            thread.matcher.strays =
                crate::journal::matcher::unmatched::Strays::load(&thread.connection, &thread.matcher.ids, 3).unwrap();
            thread.matcher.strays.wait_for(thread.matcher.outstanding.current());
        }
        bench.lose(session, vec![sent[4]]);
        let thread = bench.thread();
        while thread.matcher.strays.has_drained(&thread.matcher.outstanding) {
            thread.transact(&mut Vec::new(), true).unwrap();
            assert!(thread.matcher.strays.len() <= 3);
        }
        let expected = ["delivered", "delivered", "delivered", "delivered", "in_doubt"];
        assert_eq!(bench.states(), expected, "{restart} {reversed}");
        let rules: Vec<(String, Option<i64>)> = bench.rules().into_iter().filter(|(_, line)| line.is_some()).collect();
        let found = |name: &str| rules.iter().filter(|(rule, _)| rule == name).count();
        assert_eq!([found("exact id"), found("equivalent id")], [2, 1], "{rules:?}");
    }
}

#[test]
fn f33_other_case_radix_and_padding() {
    for (answer, receipt) in [
        ("B8BE19", "b8be19"),
        ("b8be19", "12107289"),
        ("12107289", "00B8BE19"),
        ("77", "00000077"),
        ("00000077", "77"),
        ("18446744073709551615", "FFFFFFFFFFFFFFFF"),
        ("ffffffffffffffff", "18446744073709551615"),
        ("550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
    ] {
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
        bench.answer(session, sent[0], OK, answer);
        bench.delivered(session, receipt, A);
        // Nothing is conjectured while an answer is outstanding.
        assert_eq!(bench.states(), ["accepted", "sending"], "{answer} {receipt}");
        bench.answer(session, sent[1], OK, "other");
        assert_eq!(bench.states(), ["delivered", "accepted"], "{answer} {receipt}");
        assert_eq!(bench.rules(), [("equivalent id".to_owned(), Some(2))]);
        bench.delivered(session, receipt, A);
        assert_eq!(bench.states(), ["delivered", "accepted"]);
        assert_eq!(bench.number("SELECT count(*) FROM stray"), 0);
    }
}

#[test]
fn f33_two_candidates_are_kept_and_listed() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 1)], 2);
    bench.answer(session, sent[0], OK, "077");
    bench.answer(session, sent[1], OK, "0077");
    bench.delivered(session, "77", A);
    assert_eq!(bench.states(), ["accepted", "accepted"]);
    assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
    bench.restart();
    assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
}

#[test]
fn f33_a_late_exact_id_takes_the_receipt_back() {
    // The receipt is for 16; 10 is the same number in the other radix, and goes to the same handset.
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 1)], 2);
    bench.answer(session, sent[0], OK, "10");
    bench.delivered(session, "16", A);
    assert_eq!(bench.states(), ["accepted", "sending"]);
    let late = bench.time_out(session, sent[1]);
    assert_eq!(bench.states(), ["delivered", "in_doubt"]);
    assert_eq!(bench.rules(), [("equivalent id".to_owned(), Some(2))]);
    bench.answer(session, late, OK, "16");
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    assert_eq!(bench.rules(), [("exact id".to_owned(), Some(3))]);
    bench.delivered(session, "10", A);
    assert_eq!(bench.states(), ["delivered", "delivered"]);
}

#[test]
fn f33_sequential_decimal_ids_with_early_receipts_are_never_conjectured() {
    let numbers: Vec<String> = (0..3_000).map(|n| format!("4917{n:08}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    bench.ids_in_memory = 10_000;
    bench.restart();
    let session = bench.open_session();
    let mut next = 1;
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..30 {
        let sent = bench.send(session, 100);
        let mut events: Vec<(usize, bool)> = (0..sent.len()).flat_map(|n| [(n, true), (n, false)]).collect();
        random.shuffle(&mut events);
        for (n, is_receipt) in events {
            let id = (next + n).to_string();
            if is_receipt {
                // Without addresses, so that nothing but the id can tell.
                bench.receipt(session, &FakeReceipt::new(&id, Delivered, ""));
            } else {
                bench.answer(session, sent[n], OK, &id);
            }
        }
        next += sent.len();
    }
    assert!(bench.states().iter().all(|state| state == "delivered"));
    assert_eq!(bench.number("SELECT count(*) FROM receipt_log WHERE rule <> 'exact id'"), 0);
    assert_eq!(bench.number("SELECT count(*) FROM receipt_match WHERE rule <> 1"), 0);
}

#[test]
fn f34_a_receipt_of_unknown_id_settles_the_one_doubt_that_it_fits() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
    bench.delivered(session, "x1", A);
    bench.answer(session, sent[1], OK, "x2");
    bench.lose(session, vec![sent[0]]);
    assert_eq!(bench.states(), ["delivered", "accepted"]);
    assert_eq!(bench.rules(), [("attempt in doubt".to_owned(), Some(2))]);
    // Another receipt of that id has the same owner, also after a restart and on another connection; one of another id
    // has none.
    bench.restart();
    let session = bench.open_session();
    bench.delivered(session, "x1", A);
    bench.delivered(session, "x3", A);
    let mut rules: Vec<String> = bench.rules().into_iter().map(|(rule, _)| rule).collect();
    rules.sort();
    assert_eq!(rules, ["attempt in doubt", "attempt in doubt", "unmatched"]);
}

#[test]
fn f34_a_receipt_that_came_before_the_crash_is_matched_after_it() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    bench.send(session, 2);
    bench.delivered(session, "x1", A);
    assert_eq!(bench.states(), ["sending", "sending"]);
    bench.restart();
    assert_eq!(bench.states(), ["delivered", "in_doubt"]);
}

#[test]
fn f34_two_doubts_wait_until_one_is_settled() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 1)], 2);
    let late: Vec<_> = sent.iter().map(|sent| bench.time_out(session, *sent)).collect();
    bench.delivered(session, "x2", A);
    assert_eq!(bench.states(), ["in_doubt", "in_doubt"]);
    assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
    bench.answer(session, late[0], OK, "x1");
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    bench.answer(session, late[1], OK, "x2");
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    assert_eq!(bench.rules(), [("exact id".to_owned(), Some(3))]);
}

#[test]
fn f34_a_receipt_older_than_the_claim_is_not_its_own() {
    let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
    let session = bench.open_session();
    let first = bench.send(session, 1);
    bench.answer(session, first[0], OK, "x1");
    bench.delivered(session, "x2", A);
    let second = bench.send(session, 1);
    bench.time_out(session, second[0]);
    assert_eq!(bench.states(), ["accepted", "in_doubt"]);
    assert_eq!(bench.rules(), [("unmatched".to_owned(), None)]);
}

#[test]
fn f33_an_echoed_reference_names_its_message() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
    bench.answer(session, sent[0], OK, "a1");
    bench.answer(session, sent[1], OK, "a2");
    let reference = (sent[1].attempt.part() & 0xFFFF) as u16;
    bench.receipt(session, &FakeReceipt::new("zz", Delivered, B).with_reference(reference));
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    assert_eq!(bench.rules(), [("user_message_reference".to_owned(), Some(3))]);
    // The same reference from another number is not ours; one without an id counts as well.
    bench.receipt(session, &FakeReceipt::new("zy", Delivered, A).with_reference(reference));
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    bench.receipt(session, &FakeReceipt::new("", Delivered, A).with_reference(sent[0].attempt.part() as u16));
    assert_eq!(bench.states(), ["delivered", "delivered"]);
}

#[test]
fn f25_a_refused_reference_is_left_out_from_then_on() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1)], 1);
    bench.answer(session, sent[0], 0xC1, "");
    assert_eq!(bench.states(), ["queued"]);
    assert!(!bench.thread().refusals.references.load(std::sync::atomic::Ordering::Relaxed));
    let mut again = bench.send(session, 1);
    again[0].referenced = false;
    bench.answer(session, again[0], OK, "7");
    assert_eq!(bench.states(), ["accepted"]);
    bench.restart();
    assert!(!bench.thread().refusals.references.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn f27_a_late_answer_settles_a_doubt() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1)], 1);
    let late = bench.time_out(session, sent[0]);
    assert_eq!(bench.states(), ["in_doubt"]);
    bench.answer(session, late, OK, "7");
    assert_eq!(bench.states(), ["accepted"]);
    bench.delivered(session, "7", A);
    assert_eq!(bench.states(), ["delivered"]);
}

#[test]
fn what_contradicts_a_decision_is_a_possible_duplicate() {
    // Resent by policy, then both turn out to have been taken.
    let mut bench = Bench::new(&[(A, 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    let late = bench.time_out(session, sent[0]);
    let again = bench.send(session, 1);
    bench.answer(session, again[0], OK, "8");
    assert_eq!(bench.number("SELECT possible_duplicate FROM message_status"), 1);
    bench.answer(session, late, OK, "7");
    assert_eq!(bench.number("SELECT possible_duplicate FROM message_status"), 1);
    // The first was refused after all: it went out once.
    let mut bench = Bench::new(&[(A, 1)], Resend);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    let late = bench.time_out(session, sent[0]);
    let again = bench.send(session, 1);
    bench.answer(session, again[0], OK, "8");
    bench.answer(session, late, 0x0B, "");
    assert_eq!(bench.number("SELECT possible_duplicate FROM message_status"), 0);
    // Given up by the operator, then delivered.
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
    bench.lose(session, sent);
    bench.decide(&Decision::Abandon { lines: vec![2] });
    assert_eq!(bench.states(), ["failed", "in_doubt"]);
    bench.decide(&Decision::AssumeSent { lines: vec![] });
    assert_eq!(bench.states(), ["failed", "accepted"]);
    let session = bench.open_session();
    bench.delivered(session, "7", A);
    assert_eq!(bench.states(), ["delivered", "accepted"]);
    let marks: Vec<i64> = bench.query("SELECT possible_duplicate FROM message_status ORDER BY line", |row| row.get(0));
    assert_eq!(marks, [1, 0]);
    assert_eq!(bench.number("SELECT count(*) FROM control WHERE applied_at IS NOT NULL"), 2);
}

#[test]
fn resolve_resends_while_a_sender_runs_and_when_none_does() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 2)], 3);
    bench.answer(session, sent[1], OK, "b1");
    bench.lose(session, vec![sent[0], sent[2]]);
    assert_eq!(bench.states(), ["in_doubt", "in_doubt"]);
    bench.decide(&Decision::Resend { lines: vec![2] });
    assert_eq!(bench.states(), ["queued", "in_doubt"]);
    let session = bench.open_session();
    let again = bench.send(session, 1);
    assert_eq!((again[0].attempt.part(), again[0].attempt.tried()), (sent[0].attempt.part(), 1));
    bench.answer(session, again[0], OK, "a2");
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    bench.thread = None;
    crate::journal::store::decisions::request(&other, "test", &Decision::Resend { lines: vec![] }).unwrap();
    bench.restart();
    assert_eq!(bench.states(), ["accepted", "sending"]);
    let session = bench.open_session();
    // Only the part in doubt goes again.
    let again = bench.send(session, 1);
    assert_eq!((again[0].attempt.part(), again[0].attempt.tried()), (sent[2].attempt.part(), 1));
}

#[test]
fn f25_what_was_rejected_is_queued_again_on_request() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
    bench.answer(session, sent[0], 0x0B, "");
    bench.answer(session, sent[1], 0x66, "");
    assert_eq!(bench.states(), ["rejected", "rejected"]);
    bench.decide(&Decision::RetryRejected { code: Some(0x0B) });
    assert_eq!(bench.states(), ["queued", "rejected"]);
    let again = bench.send(session, 1);
    bench.answer(session, again[0], OK, "1");
    bench.decide(&Decision::RetryRejected { code: None });
    assert_eq!(bench.states(), ["accepted", "queued"]);
}

#[test]
fn f37_long_messages_have_one_answer() {
    let (mut bench, session, sent) = Bench::sending(&[(A, 3)], 3);
    for (sent, id) in sent.iter().zip(["1", "2", "3"]) {
        bench.answer(session, *sent, OK, id);
    }
    bench.delivered(session, "3", A);
    bench.delivered(session, "1", A);
    assert_eq!(bench.states(), ["accepted"]);
    bench.receipt(session, &FakeReceipt::new("2", Undeliverable, A));
    assert_eq!(bench.states(), ["partly_delivered"]);
    bench.delivered(session, "2", A);
    assert_eq!(bench.states(), ["delivered"]);
}

#[test]
fn f37_an_smsc_that_sends_receipts_for_one_part() {
    for (receipts_for, id) in [(ReceiptsFor::First, "1"), (ReceiptsFor::Last, "3")] {
        let mut bench = Bench::with_options(&[(A, 3)], CampaignOptions { receipts_for, ..Default::default() });
        let session = bench.open_session();
        let sent = bench.send(session, 3);
        for (sent, id) in sent.iter().zip(["1", "2", "3"]) {
            bench.answer(session, *sent, OK, id);
        }
        bench.delivered(session, id, A);
        assert_eq!(bench.states(), ["delivered"]);
    }
}

#[test]
fn f32_ids_beyond_memory_and_long_finished_still_find_their_message() {
    let numbers: Vec<String> = (0..2_000).map(|n| format!("4917{n:08}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    bench.ids_in_memory = 300;
    bench.restart();
    let session = bench.open_session();
    let id = |n: usize| format!("{:016X}", (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let sent = bench.send(session, messages.len());
    for (n, sent) in sent.iter().enumerate() {
        bench.answer(session, *sent, OK, &id(n));
    }
    assert!(bench.thread().matcher.ids.len() <= 300);
    for round in 0..2 {
        for n in (0..2_000).step_by(7) {
            bench.delivered(session, &id(n), &numbers[n]);
        }
        // In another spelling.
        for n in (1..2_000).step_by(70) {
            bench.delivered(session, &id(n).to_lowercase(), &numbers[n]);
        }
        assert_eq!(bench.number("SELECT delivered FROM campaign_summary"), 286 + 29, "{round}");
        bench.restart();
        assert!(bench.thread().matcher.ids.len() <= 300);
        bench.open_session();
    }
    for (n, state) in bench.states().into_iter().enumerate() {
        let expected = if n % 7 == 0 || n % 70 == 1 { "delivered" } else { "accepted" };
        assert_eq!(state, expected, "{n}");
    }
    assert_eq!(bench.number("SELECT count(*) FROM stray"), 0);
}

#[test]
fn f32_ids_that_receipts_ask_for_run_by_run_are_in_memory_again() {
    const COUNT: usize = 6_000;
    let numbers: Vec<String> = (0..COUNT).map(|n| format!("4917{n:08}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    bench.ids_in_memory = 4_000;
    bench.restart();
    let session = bench.open_session();
    let id = |n: usize| format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let sent = bench.send(session, COUNT);
    for (n, sent) in sent.iter().enumerate() {
        bench.answer(session, *sent, OK, &id(n));
    }
    let again = |n: usize| n % 9 == 1;
    let mut recalled = 0;
    // Some have theirs before the run is in memory again, some while it is, and some of each come twice.
    for n in (0..COUNT).step_by(50) {
        bench.delivered(session, &id(n), &numbers[n]);
    }
    for n in (0..COUNT).filter(|n| n % 50 != 0) {
        if n % 3 == 0 {
            bench.receipt(session, &FakeReceipt::new(&id(n), Undeliverable, &numbers[n]));
        } else {
            bench.delivered(session, &id(n), &numbers[n]);
        }
        if again(n) {
            bench.delivered(session, &id(n), &numbers[n]);
        }
        bench.said(session);
        recalled = recalled.max(bench.thread().matcher.ids.recall().size());
    }
    assert!(recalled > 400, "{recalled} of some 500 in each run were in memory at a time");
    let expect = |bench: &mut Bench| {
        for (n, state) in bench.states().into_iter().enumerate() {
            assert_eq!(state, if n % 3 == 0 && n % 50 != 0 { "failed" } else { "delivered" }, "{n}");
        }
        assert_eq!(bench.number("SELECT count(*) FROM stray"), 0);
        let twice = (0..COUNT).filter(|n| again(*n) && n % 50 != 0).count();
        assert_eq!(bench.number("SELECT count(*) FROM receipt_log"), (COUNT + twice) as i64);
        let differs = "SELECT count(*) FROM campaign_summary WHERE delivered + failed <> 6000";
        assert_eq!(bench.number(differs), 0);
    };
    expect(&mut bench);
    bench.restart();
    expect(&mut bench);
}

#[test]
fn f35_a_receipt_that_could_not_be_stored_is_asked_for_again() {
    use crate::journal::model::events::{Batch, ToJournal, ToSession};
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    bench.thread().connection.execute_batch("PRAGMA query_only = ON").unwrap();
    let mut inbox: Vec<ToJournal> = [7, 8]
        .map(|number| {
            let mut batch = Batch::default();
            let pdu = batch.keep(b"no matter");
            batch.inbound.push(crate::journal::model::events::InboundEvent { pdu });
            batch.acknowledge.deliver.push(number);
            ToJournal::Came { session, batch }
        })
        .into();
    assert!(bench.thread().transact(&mut inbox, true).is_err());
    bench.thread().nack_inbox(&mut inbox);
    let refused: Vec<u32> = bench
        .said(session)
        .into_iter()
        .flat_map(|message| match message {
            ToSession::NotStored(acknowledge) => acknowledge.deliver,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refused, [7, 8]);
}
