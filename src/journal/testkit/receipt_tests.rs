//! Receipts against the journal thread, without sockets: every rule, every order.

use super::bench::{Bench, Told};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::campaign::InDoubtPolicy::{Hold, Resend};
use crate::journal::model::state::ReceiptsFor;
use crate::journal::store::decisions::Decision;
use crate::wire::MessageState::{Delivered, Enroute, Undeliverable};
use proptest::prelude::*;

const A: &str = "491700000001";
const B: &str = "491700000002";
const C: &str = "491700000003";
const OK: u32 = 0;

fn told<'a>(id: &'a str, state: crate::wire::MessageState, from: &'a str) -> Told<'a> {
    Told { id, state, is_final: state != Enroute, from, reference: None, text_id: "" }
}

#[test]
fn f32_before_its_answer_twice_out_of_order_and_after_a_restart() {
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    bench.delivered(session, "7", A);
    assert_eq!(bench.states(), ["sending"]);
    bench.answer(session, sent[0], OK, "7");
    assert_eq!(bench.states(), ["delivered"]);
    bench.receipt(session, &told("7", Enroute, A));
    bench.delivered(session, "7", A);
    bench.restart();
    let session = bench.open_session();
    bench.receipt(session, &told("7", Undeliverable, A));
    assert_eq!(bench.states(), ["delivered"]);
    assert!(bench.rules().iter().all(|(rule, line)| rule == "exact id" && *line == Some(2)));
    assert_eq!(bench.number("SELECT count(*) FROM receipt_log"), 4);
    assert_eq!(bench.number("SELECT count(*) FROM stray"), 0);
}

#[test]
fn f48_a_clock_that_was_set_back_hides_no_owner() {
    for set_back in [true, false] {
        let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        bench.time_out(session, sent[0]);
        bench.delivered(session, "7", A);
        assert_eq!(bench.states(), ["in_doubt", "sending"]);
        // The claim was an hour after the receipt: by a clock that was set back since, or indeed.
        let hour =
            if set_back { "claim SET claimed_at = claimed_at +" } else { "receipt SET received_at = received_at -" };
        bench.keeper().connection.execute_batch(&format!("UPDATE {hour} 3600000")).unwrap();
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
        bench.keeper().strays.remember_at_most(3);
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
        assert!(bench.keeper().strays.len() <= 3);
        bench.answer(session, sent[0], OK, "A1");
        bench.answer(session, sent[1], OK, "1");
        bench.time_out(session, sent[2]);
        bench.answer(session, late, OK, "d4");
        assert_eq!(bench.states()[4], "sending");
        if restart {
            let keeper = bench.keeper();
            keeper.strays =
                crate::journal::matcher::unmatched::Strays::load(&keeper.connection, &keeper.ids, 3).unwrap();
            keeper.strays.wait_for(keeper.generations.current());
        }
        bench.lose(session, vec![sent[4]]);
        let keeper = bench.keeper();
        while keeper.strays.has_drained(&keeper.generations) {
            keeper.transact(&mut Vec::new(), true).unwrap();
            assert!(keeper.strays.len() <= 3);
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
        let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
            let number = &numbers[sent[n].message as usize - 1];
            if is_receipt {
                // Without addresses, so that nothing but the id can tell.
                bench.receipt(session, &Told { from: "", ..told(&id, Delivered, number) });
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
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    bench.answer(session, sent[0], OK, "a1");
    bench.answer(session, sent[1], OK, "a2");
    let reference = (sent[1].attempt.part() & 0xFFFF) as u16;
    bench.receipt(session, &Told { reference: Some(reference), ..told("zz", Delivered, B) });
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    assert_eq!(bench.rules(), [("user_message_reference".to_owned(), Some(3))]);
    // The same reference from another number is not ours; one without an id counts as well.
    bench.receipt(session, &Told { reference: Some(reference), ..told("zy", Delivered, A) });
    assert_eq!(bench.states(), ["accepted", "delivered"]);
    bench.receipt(session, &Told { reference: Some(sent[0].attempt.part() as u16), ..told("", Delivered, A) });
    assert_eq!(bench.states(), ["delivered", "delivered"]);
}

#[test]
fn f25_a_refused_reference_is_left_out_from_then_on() {
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    bench.answer(session, sent[0], 0xC1, "");
    assert_eq!(bench.states(), ["queued"]);
    assert!(!bench.keeper().references.load(std::sync::atomic::Ordering::Relaxed));
    let mut again = bench.send(session, 1);
    again[0].referenced = false;
    bench.answer(session, again[0], OK, "7");
    assert_eq!(bench.states(), ["accepted"]);
    bench.restart();
    assert!(!bench.keeper().references.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn f27_a_late_answer_settles_a_doubt() {
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
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
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 1), (B, 2)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 3);
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
    bench.keeper = None;
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
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
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
    let mut bench = Bench::new(&[(A, 3)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 3);
    for (sent, id) in sent.iter().zip(["1", "2", "3"]) {
        bench.answer(session, *sent, OK, id);
    }
    bench.delivered(session, "3", A);
    bench.delivered(session, "1", A);
    assert_eq!(bench.states(), ["accepted"]);
    bench.receipt(session, &told("2", Undeliverable, A));
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
    assert!(bench.keeper().ids.len() <= 300);
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
        assert!(bench.keeper().ids.len() <= 300);
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
            bench.receipt(session, &told(&id(n), Undeliverable, &numbers[n]));
        } else {
            bench.delivered(session, &id(n), &numbers[n]);
        }
        if again(n) {
            bench.delivered(session, &id(n), &numbers[n]);
        }
        bench.said(session);
        recalled = recalled.max(bench.keeper().ids.recall().size());
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
fn f38_stop_words_suppress_and_long_inbound_messages_are_joined() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, esm_class: u8, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            esm_class,
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    bench.inbound(session, &deliver("+491700000002", 0, b" st op "));
    bench.inbound(session, &deliver(A, 0, b"do not stop"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x02world"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x01hello "));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x07\x02\x01again "));
    // A long message is not the stop word that one of its parts is, and one is that is so only as a whole.
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x08\x02\x02stop"));
    bench.inbound(session, &deliver(A, 0x40, b"\x05\x00\x03\x08\x02\x01please do not "));
    bench.inbound(session, &deliver(C, 0x40, b"\x05\x00\x03\x09\x02\x01st"));
    bench.inbound(session, &deliver(C, 0x40, b"\x05\x00\x03\x09\x02\x02OP"));
    let suppressed = bench.query("SELECT destination FROM suppression ORDER BY 1", |row| row.get::<_, String>(0));
    assert_eq!(suppressed, [B, C]);
    let sent = bench.send(session, 1);
    assert_eq!(sent.len(), 1);
    bench.keeper().transact(&mut Vec::new(), true).unwrap();
    assert_eq!(bench.states(), ["sending", "queued"]);
    let more = bench.send(session, 1);
    assert!(more.is_empty());
    assert_eq!(bench.states(), ["sending", "suppressed"]);
    let joined = bench.query("SELECT text, parts, parts_received FROM inbound_message", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let expected = [(" st op ", 1, 1), ("do not stop", 1, 1), ("hello world", 2, 2), ("again ", 2, 1)];
    let expected = expected.into_iter().chain([("please do not stop", 2, 2), ("stOP", 2, 2)]);
    assert_eq!(joined, expected.map(|(text, parts, received)| (text.to_owned(), parts, received)).collect::<Vec<_>>());
}

#[test]
fn f38_parts_are_joined_before_they_are_read() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, data_coding: u8, esm_class: u8, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            esm_class,
            data_coding,
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    // U+1F600 over two parts of UCS2, the later first; a euro sign over two of GSM.
    bench.inbound(session, &deliver(A, 8, 0x40, b"\x05\x00\x03\x07\x02\x02\xDE\x00\x00b"));
    bench.inbound(session, &deliver(A, 8, 0x40, b"\x05\x00\x03\x07\x02\x01\x00a\xD8\x3D"));
    bench.inbound(session, &deliver(A, 0, 0x40, b"\x05\x00\x03\x08\x02\x011\x1B"));
    bench.inbound(session, &deliver(A, 0, 0x40, b"\x05\x00\x03\x08\x02\x02e2"));
    // One that cannot be read, and a stop word from a number with 00.
    bench.inbound(session, &[0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    bench.inbound(session, &deliver(&format!("00{B}"), 0, 0, b"stop"));
    bench.keeper().transact(&mut Vec::new(), true).unwrap();
    let texts = bench.query("SELECT text FROM inbound_message", |row| row.get::<_, String>(0));
    assert_eq!(texts[..2], ["a\u{1F600}b", "1\u{20AC}2"]);
    assert!(texts[2].starts_with("[cannot be read: "), "{}", texts[2]);
    assert_eq!(bench.keeper().status.inbound, 4);
    assert_eq!(bench.query("SELECT destination FROM suppression", |row| row.get::<_, String>(0)), [B]);
}

#[test]
fn f38_an_opt_in_word_takes_back_what_an_opt_out_word_did() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    bench.opt_out_words = vec!["STOP".into()];
    bench.opt_in_words = vec!["START".into()];
    bench.restart();
    let session = bench.open_session();
    let deliver = |from: &str, text: &[u8]| {
        let mut pdu = Vec::new();
        let sm = crate::wire::Sm {
            source: crate::wire::Address::new(1, 1, from.as_bytes()),
            destination: crate::wire::Address::new(0, 0, b"12345"),
            short_message: text,
            ..Default::default()
        };
        crate::wire::encode(&crate::wire::Pdu::DeliverSm(sm), 1, crate::wire::CommandStatus::OK, &mut pdu).unwrap();
        pdu
    };
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    let number = crate::message::address::Destination::parse(B).unwrap();
    let why = crate::journal::store::suppression::Why {
        source: crate::journal::store::suppression::Source::File,
        reason: "asked",
    };
    crate::journal::store::suppression::add(&other, number, why, 0).unwrap();
    bench.inbound(session, &deliver(A, b"Stop"));
    bench.inbound(session, &deliver(A, b"please start"));
    let suppressed =
        |bench: &Bench| bench.query("SELECT destination FROM suppression ORDER BY 1", |row| row.get::<_, String>(0));
    assert_eq!(suppressed(&bench), [A, B]);
    bench.inbound(session, &deliver(A, b" start"));
    bench.inbound(session, &deliver(B, b"START"));
    assert_eq!(suppressed(&bench), [B], "a file had put B there");
    // What is not claimed yet is sent again.
    assert_eq!(bench.send(session, 2).len(), 1);
    bench.keeper().transact(&mut Vec::new(), true).unwrap();
    assert_eq!(bench.states(), ["sending", "suppressed"]);
}

#[test]
fn f38_suppressing_while_a_sender_runs_spares_what_is_to_be_tried_again() {
    let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
    let session = bench.open_session();
    let sent = bench.send(session, 1);
    bench.answer(session, sent[0], 0x58, "");
    let other = crate::journal::open::open_existing(&bench.path).unwrap();
    for number in [A, B] {
        let number = crate::message::address::Destination::parse(number).unwrap();
        crate::journal::store::suppression::add(
            &other,
            number,
            crate::journal::store::suppression::Why {
                source: crate::journal::store::suppression::Source::Operator,
                reason: "asked",
            },
            0,
        )
        .unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(250));
    assert!(bench.send(session, 2).is_empty());
    assert_eq!(bench.states(), ["suppressed", "suppressed"]);
    bench.restart();
    assert_eq!(bench.states(), ["suppressed", "suppressed"]);
}

#[test]
fn f35_a_receipt_that_could_not_be_stored_is_asked_for_again() {
    use crate::journal::model::events::{Batch, ToJournal, ToSession};
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    bench.keeper().connection.execute_batch("PRAGMA query_only = ON").unwrap();
    let mut inbox: Vec<ToJournal> = [7, 8]
        .map(|number| {
            let mut batch = Batch::default();
            let pdu = batch.keep(b"no matter");
            batch.inbound.push(crate::journal::model::events::InboundEvent { pdu });
            batch.acknowledge.deliver.push(number);
            ToJournal::Came { session, batch }
        })
        .into();
    assert!(bench.keeper().transact(&mut inbox, true).is_err());
    bench.keeper().disown(&mut inbox);
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
                    bench.receipt(session, &told(&spellings(style, n).1, Enroute, number(n)));
                }
                Happening::Final(n) => bench.delivered(session, &spellings(style, n).1, number(n)),
                Happening::Failed(n) => {
                    bench.receipt(session, &told(&spellings(style, n).1, Undeliverable, number(n)));
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
    bench.keeper = None;
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
        bench.keeper = None;
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
    bench.keeper = None;
    let before = std::time::Instant::now();
    bench.restart();
    println!("third start: {:?}, {}", before.elapsed(), memory());
}
