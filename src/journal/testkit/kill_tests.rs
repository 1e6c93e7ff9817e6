//! What the matcher knows after a sender was killed is what it knew before.

use super::bench::{Bench, FakeReceipt, SENDER};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::store::assignment::Assignment;
use crate::journal::store::decisions::Decision;
use crate::wire::MessageState::Delivered;

const A: &str = "491700000001";
const STRANGER: &str = "447700900777";
const OK: u32 = 0;

fn twice_allowed(messages: &[(&str, u8)]) -> Bench {
    Bench::with_options(messages, CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() })
}

fn delivered<'a>(id: &'a str, from: &'a str) -> FakeReceipt<'a> {
    FakeReceipt::new(id, Delivered, from)
}

/// More delivered messages than a start reads back, and one whose receipt is in the journal and that had no answer.
pub(crate) fn killed_before_judging() -> Bench {
    let numbers: Vec<String> = (0..600).map(|n| format!("4477009{n:05}")).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
    let mut bench = Bench::new(&messages, Hold);
    let session = bench.open_session();
    let sent = bench.send(session, messages.len());
    let ids: Vec<String> = (0..599).map(|n| format!("id-{n}")).collect();
    for (id, sent) in ids.iter().zip(sent) {
        bench.answer(session, sent, OK, id);
    }
    let receipts: Vec<FakeReceipt<'_>> = ids.iter().zip(&numbers).map(|(id, number)| delivered(id, number)).collect();
    bench.receipts(session, &receipts, SENDER);
    bench.delivered(session, "id-of-the-last", &numbers[599]);
    assert_eq!(bench.number("SELECT count(*) FROM message_status WHERE state = 'sending'"), 1);
    bench.thread = None;
    bench
}

#[test]
fn what_was_not_judged_is_judged_where_nothing_is_sent() {
    let mut bench = killed_before_judging();
    bench.restart();
    assert_eq!(bench.number("SELECT count(*) FROM message_status WHERE state = 'in_doubt'"), 1, "one transaction");
    bench.thread().judge_all(&|| true).unwrap();
    assert_eq!(bench.number("SELECT count(*) FROM message_status WHERE state = 'in_doubt'"), 1, "stopped");
    bench.thread().judge_all(&|| false).unwrap();
    assert_eq!(bench.number("SELECT count(*) FROM message_status WHERE state = 'delivered'"), 600);
}

#[test]
fn a_receipt_that_the_operator_assigned_while_it_waited_names_its_attempt_after_a_kill() {
    for is_killed in [false, true] {
        let mut bench = twice_allowed(&[(A, 1), (A, 1)]);
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        bench.delivered(session, "x1", A);
        bench.time_out(session, sent[0]);
        let receipt = bench.number("SELECT receipt FROM receipt_log");
        bench.decide(&Decision::Assign(Assignment { receipt, line: 2, part: 1 }));
        assert_eq!(bench.rules(), [("operator".to_owned(), Some(2))]);
        match is_killed {
            true => bench.restart(),
            false => bench.lose(session, vec![sent[1]]),
        }
        let session = bench.open_session();
        bench.receipts(session, &[delivered("x1", A), delivered("x2", A)], SENDER);
        bench.rest();
        let rules = bench.query("SELECT message_id, rule, line FROM receipt_log ORDER BY receipt DESC", |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
        });
        let is = |id: &str, rule: &str, line| (id.to_owned(), rule.to_owned(), Some(line));
        let doubt = "attempt in doubt";
        assert_eq!(rules, [is("x1", "operator", 2), is("x1", doubt, 2), is("x2", doubt, 3)], "killed: {is_killed}");
    }
}

#[test]
fn what_is_ownerless_is_kept_until_no_answer_can_come_late() {
    for is_killed in [false, true] {
        let mut bench = twice_allowed(&[(A, 1), (A, 1), (A, 1)]);
        let session = bench.open_session();
        let sent = bench.send(session, 3);
        bench.answer(session, sent[2], OK, "seen");
        bench.delivered(session, "seen", A);
        let late = bench.time_out(session, sent[0]);
        bench.time_out(session, sent[1]);
        bench.thread().matcher.strays.remember_at_most(5);
        // Two fit what names their number: that stays undecided.
        bench.delivered(session, "either", A);
        let foreign: Vec<String> = (0..20).map(|n| format!("foreign-{n}")).collect();
        for id in foreign.iter().map(String::as_str).chain(["own"]) {
            bench.delivered(session, id, STRANGER);
        }
        bench.rest();
        let listed = |bench: &Bench| bench.number("SELECT count(*) FROM stray");
        assert_eq!(listed(&bench), 22);
        let strays = |bench: &mut Bench| bench.thread().matcher.strays.len();
        assert_eq!(strays(&mut bench), 5);
        assert_eq!(bench.thread().matcher.strays.judged_after(i64::MIN), Some(1), "what has no owner went first");
        // A late answer names the last one's id.
        bench.answer(session, late, OK, "own");
        bench.rest();
        let own = "SELECT rule FROM receipt_log WHERE message_id = 'own'";
        assert_eq!(bench.query(own, |row| row.get::<_, String>(0)), ["other number"], "it was remembered");
        match is_killed {
            true => bench.restart(),
            false => bench.lose(session, Vec::new()),
        }
        bench.rest();
        let left =
            bench.query("SELECT message_id FROM receipt_log JOIN stray USING (receipt)", |row| row.get::<_, String>(0));
        assert!(!left.iter().any(|id| id.starts_with("foreign")), "{left:?}");
        assert_eq!(bench.number("SELECT count(*) FROM meta WHERE key = 'kept_for_late_answers'"), 0);
        assert_eq!(bench.number("SELECT count(*) FROM receipt_log"), 23);
    }
}

#[test]
fn a_number_that_was_given_counts_as_judged_also_where_its_receipt_is_deleted() {
    let mut bench = Bench::new(&[(A, 1)], Hold);
    let session = bench.open_session();
    for n in 0..3 {
        bench.delivered(session, &format!("foreign-{n}"), STRANGER);
    }
    bench.rest();
    let lowest = bench.number("SELECT min(receipt) FROM receipt_log");
    bench.thread = None;
    let writer = rusqlite::Connection::open(&bench.path).unwrap();
    writer.execute_batch("DELETE FROM receipt WHERE id < 0").unwrap();
    bench.restart();
    let session = bench.open_session();
    // It waits for the answer of what is outstanding, and is killed meanwhile.
    bench.send(session, 1);
    bench.delivered(session, "of-the-doubt", A);
    assert!(bench.number("SELECT max(receipt) FROM receipt_log") < lowest);
    bench.restart();
    bench.rest();
    assert_eq!(bench.states(), ["delivered"]);
}
