use crate::journal::error::JournalError;
use crate::journal::matcher::rules::Parties;
use crate::journal::matcher::unmatched::Stray;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::campaign::{CampaignOptions, InDoubtPolicy};
use crate::journal::model::events::ToJournal;
use crate::journal::model::key::Attempt;
use crate::journal::testkit::bench::{Bench, FakeReceipt, SENDER};
use crate::wire::MessageState::Delivered;
use proptest::prelude::*;
use rusqlite::Connection;
use std::time::Duration;

const A: &str = "491700000001";
const B: &str = "491700000002";
/// As numeric as a handset's number.
const SHOP: &str = "447700900999";
const OK: u32 = 0;

impl Matcher {
    /// Rule 4, by reading all attempts in doubt.
    pub(in crate::journal) fn doubtful_naively(
        &self,
        tx: &Tx<'_>,
        stray: &Stray,
    ) -> Result<Vec<Attempt>, JournalError> {
        let mut statement = tx.connection.prepare(
            "SELECT DISTINCT v.attempt FROM verdict v
              WHERE v.kind = 1 AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = v.attempt)",
        )?;
        let all: Vec<Attempt> = statement.query_map([], |row| row.get(0).map(Attempt))?.collect::<Result<_, _>>()?;
        self.work.note(all.len() as u64);
        let addresses: [String; 2] =
            tx.connection.query_row("SELECT source, destination FROM receipt WHERE id = ?1", [stray.id], |row| {
                Ok([row.get(0)?, row.get(1)?])
            })?;
        let (numbers, exact) = (stray.marks.numbers, stray.marks.key.exact);
        let mut fitting = Vec::new();
        for attempt in all {
            let Some(parties) = Parties::of(tx.connection, attempt.part())? else { continue };
            let source: String = tx.connection.query_row(
                "SELECT coalesce(m.source, c.source) FROM message m JOIN campaign c ON m.id >= c.first_id AND m.id < c.end_id
                  WHERE m.id <= ?1 ORDER BY m.id DESC LIMIT 1",
                [attempt.part()],
                |row| row.get(0),
            )?;
            let is_from = |address: &str| source.is_empty() || source.eq_ignore_ascii_case(address);
            let fits = (0..2).any(|n| numbers[n] == parties.number && is_from(&addresses[1 - n]));
            if fits && self.doubts.id_of(attempt).is_none_or(|id| id == exact) {
                fitting.push(attempt);
            }
        }
        self.claimed_before(tx, &mut fitting, stray)?;
        if let Some(named) = fitting.iter().copied().find(|&attempt| self.doubts.id_of(attempt) == Some(exact)) {
            return Ok(vec![named]);
        }
        Ok(fitting)
    }
}

fn twice_allowed(messages: &[(&str, u8)]) -> Bench {
    Bench::with_options(messages, CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() })
}

/// Rounds of messages to one number of which none is answered, and of as many receipts of unknown ids. Returns the steps that
/// it took to judge, the most of one transaction, and the rules.
fn alarms(rounds: usize, of: usize, is_naive: bool) -> (u64, Vec<(String, Option<i64>)>) {
    let messages = vec![(A, 1); rounds * of];
    let mut bench = twice_allowed(&messages);
    bench.thread().matcher.to_judge.is_naive = is_naive;
    let session = bench.open_session();
    for round in 0..rounds {
        let sent = bench.send(session, of);
        let ids: Vec<String> = (0..of).map(|n| format!("x{round}-{n}")).collect();
        let told: Vec<FakeReceipt<'_>> = ids.iter().map(|id| FakeReceipt::new(id, Delivered, A)).collect();
        bench.receipts(session, &told, SENDER);
        bench.tell(ToJournal::TimedOut { session, sent });
        bench.rest();
    }
    (bench.thread().matcher.work.done(), bench.rules())
}

#[test]
fn f24_many_doubts_and_receipts_to_one_number_cost_each_the_same() {
    let (small, _) = alarms(10, 10, false);
    let (large, rules) = alarms(40, 10, false);
    assert!(large < small * 4 * 3 / 2, "{small} steps for 100, {large} for 400");
    assert!(rules.iter().all(|(rule, line)| rule == "ambiguous" && line.is_none()), "{rules:?}");
    // What it would be otherwise.
    let (naive_small, naive_rules) = alarms(5, 10, true);
    let (naive_large, _) = alarms(20, 10, true);
    assert!(naive_large > naive_small * 10, "{naive_small} {naive_large}");
    assert_eq!(naive_rules, alarms(5, 10, false).1);
}

#[test]
fn f24_a_transaction_judges_so_much_and_leaves_the_rest() {
    const COUNT: usize = 6_000;
    let mut bench = twice_allowed(&[(A, 1), (A, 1)]);
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    let ids: Vec<String> = (0..COUNT).map(|n| format!("x{n}")).collect();
    let told: Vec<FakeReceipt<'_>> = ids.iter().map(|id| FakeReceipt::new(id, Delivered, A)).collect();
    bench.receipts(session, &told, SENDER);
    let mut late = Vec::new();
    for sent in sent {
        late.push(bench.time_out(session, sent));
    }
    let mut steps = Vec::new();
    let mut rest = |bench: &mut Bench| {
        while bench.thread().matcher.has_to_judge() {
            let before = bench.thread().matcher.work.done();
            bench.thread().transact(&mut Vec::new(), true).unwrap();
            steps.push(bench.thread().matcher.work.done() - before);
        }
    };
    rest(&mut bench);
    let count = |bench: &Bench, rule: &str| {
        bench.number(&format!("SELECT count(*) FROM receipt_log WHERE rule = '{rule}'")) as usize
    };
    assert_eq!(count(&bench, "ambiguous"), COUNT);
    // The answer leaves one for all of them, of which the first gets it.
    bench.answer(session, late[0], OK, "own");
    assert!(bench.thread().matcher.has_to_judge(), "the rest is left");
    assert_eq!(bench.number("SELECT count(*) FROM meta WHERE key = 'judging_left'"), 1);
    // A sender that ends now leaves that to the next.
    bench.restart();
    rest(&mut bench);
    assert_eq!(bench.number("SELECT count(*) FROM meta WHERE key = 'judging_left'"), 0);
    assert_eq!((count(&bench, "ambiguous"), count(&bench, "attempt in doubt")), (0, 1));
    let most = steps.into_iter().max().unwrap();
    assert!(most <= super::STEPS_PER_COMMIT_MAX + 100, "{most}");
}

/// An older program kept no number up to which it had judged, and listed all receipts without an owner: all are looked at.
#[test]
fn receipts_of_an_older_journal_find_their_doubts_at_the_next_start() {
    let end = |is_older: bool| {
        let mut bench = Bench::new(&[(A, 1), (B, 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        bench.send(session, 2);
        for (id, from) in [("x1", A), ("x2", SHOP)] {
            bench.receipt(session, &FakeReceipt::new(id, Delivered, from));
        }
        assert_eq!(bench.states(), ["sending", "sending"]);
        if is_older {
            let other = crate::journal::open::open_existing(&bench.path).unwrap();
            let forgotten = other.execute("DELETE FROM meta WHERE key = 'receipts_judged_to'", []).unwrap();
            let listed = other.execute("INSERT OR IGNORE INTO stray SELECT id FROM receipt WHERE id < 0", []).unwrap();
            assert_eq!((forgotten, listed), (1, 2));
        }
        // Both are in doubt now, and one of the two receipts is of one of them.
        bench.restart();
        bench.rest();
        // Both came within a millisecond, or not.
        let mut rules = bench.rules();
        rules.sort();
        (bench.states(), rules)
    };
    assert_eq!(end(true).0, ["delivered", "in_doubt"]);
    assert_eq!(end(true), end(false));
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Answer(usize),
    Expire(usize),
    LateAnswer(usize),
    /// Id, number, sender.
    Receipt(u8, bool, u8),
    Lose,
    Restart,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening::*;
    let one = prop_oneof![
        2 => (0..7usize).prop_map(Answer),
        6 => (0..7usize).prop_map(Expire),
        4 => (0..7usize).prop_map(LateAnswer),
        8 => (0..6u8, any::<bool>(), 0..3u8).prop_map(|(id, number, sender)| Receipt(id, number, sender)),
        1 => Just(Lose),
        1 => Just(Restart),
    ];
    proptest::collection::vec(one, 4..24)
}

/// States, and whose each receipt is by which rule.
type End = (Vec<String>, Vec<(i64, String, Option<i64>)>);

fn end_of(events: &[Happening], is_naive: bool, ids_match: bool) -> End {
    let mut bench = twice_allowed(&[(A, 1), (A, 1), (B, 1), (A, 1), (SHOP, 1), (A, 1), (B, 1)]);
    let writer = Connection::open(&bench.path).unwrap();
    writer.execute_batch(&format!("UPDATE message SET source = '{SHOP}' WHERE id = 4")).unwrap();
    writer.execute_batch("UPDATE message SET source = '' WHERE id = 6").unwrap();
    bench.thread().matcher.to_judge.is_naive = is_naive;
    let mut session = bench.open_session();
    // Claimed in three transactions, so that receipts come between.
    let mut sent: Vec<_> = Vec::new();
    let mut late = [None; 7];
    bench.thread().matcher.evidence.ids_match = ids_match;
    for (at, event) in events.iter().enumerate() {
        if at % 3 == 0 && sent.len() < 7 {
            let wanted = sent.len() + if sent.is_empty() { 3 } else { 2 }.min(7 - sent.len());
            // The feeder reads on a thread of its own, which a busy machine can keep waiting.
            for _ in 0..20 {
                let more = bench.send(session, wanted - sent.len());
                sent.extend(more.into_iter().map(Some));
                if sent.len() == wanted {
                    break;
                }
            }
        }
        // No two things happen in one millisecond: after a restart times tell what came first.
        std::thread::sleep(Duration::from_millis(2));
        match *event {
            Happening::Answer(n) => {
                if let Some(sent) = sent.get_mut(n).and_then(Option::take) {
                    bench.answer(session, sent, OK, &format!("own{n}"));
                }
            }
            Happening::Expire(n) => {
                if let Some(sent) = sent.get_mut(n).and_then(Option::take) {
                    late[n] = Some(bench.time_out(session, sent));
                }
            }
            Happening::LateAnswer(n) => {
                if let Some(late) = late[n].take() {
                    bench.answer(session, late, OK, &format!("own{n}"));
                }
            }
            Happening::Receipt(id, number, sender) => {
                let id = if id < 2 { format!("OWN{id}") } else { format!("x{id}") };
                let from = if number { A } else { B };
                let told = FakeReceipt::new(&id, Delivered, from);
                let sender = [SENDER, SHOP, "Other"][usize::from(sender)];
                bench.receipts(session, &[told], sender);
            }
            Happening::Lose => {
                let unanswered = sent.iter_mut().filter_map(Option::take).collect();
                bench.lose(session, unanswered);
                late = [None; 7];
                session = bench.open_session();
            }
            Happening::Restart => {
                sent.iter_mut().for_each(|sent| *sent = None);
                late = [None; 7];
                bench.restart();
                bench.thread().matcher.to_judge.is_naive = is_naive;
                session = bench.open_session();
            }
        }
        bench.rest();
        std::thread::sleep(Duration::from_millis(2));
    }
    let whose = bench.query("SELECT receipt, rule, line FROM receipt_log ORDER BY receipt", |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    (bench.states(), whose)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn f24_it_ends_as_if_all_had_been_looked_at(events in happenings(), ids_match in any::<bool>()) {
        prop_assert_eq!(end_of(&events, false, ids_match), end_of(&events, true, ids_match));
    }
}
