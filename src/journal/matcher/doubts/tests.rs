use super::*;
use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::testkit::bench::{Bench, SENDER};

const NUMBERS: [&str; 4] = ["447700900001", "447700900002", "447700900003", "447700900004"];

/// Messages to four numbers, none of them answered.
fn four_doubts(remembered: usize) -> (Bench, i64) {
    let mut bench = Bench::new(&NUMBERS.map(|number| (number, 1)), Hold);
    bench.thread().matcher.doubts.remember_at_most(remembered);
    let session = bench.open_session();
    for sent in bench.send(session, 4) {
        bench.time_out(session, sent);
    }
    (bench, session)
}

fn rules(bench: &mut Bench) -> Vec<(String, Option<i64>)> {
    bench.rest();
    bench.rules()
}

fn is(rule: &str, line: Option<i64>) -> (String, Option<i64>) {
    (rule.into(), line)
}

#[test]
fn a_receipt_for_a_doubt_that_is_not_remembered_is_not_guessed_until_it_is() {
    let (mut bench, session) = four_doubts(2);
    for (id, from) in [("x1", NUMBERS[0]), ("x4", NUMBERS[3]), ("x9", "447700900009")] {
        bench.delivered(session, id, from);
        // They are listed by their times.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let found = rules(&mut bench);
    assert_eq!(found, [is("attempt in doubt", Some(2)), is("ambiguous", None), is("unmatched", None)]);
    // Another receipt of the same message finds it by the id that the first gave it.
    bench.delivered(session, "x1", NUMBERS[0]);
    assert_eq!(rules(&mut bench)[3], is("attempt in doubt", Some(2)));
    // The next sender remembers all.
    bench.restart();
    let found = rules(&mut bench);
    assert_eq!(found[..3], [is("attempt in doubt", Some(2)), is("attempt in doubt", Some(5)), is("unmatched", None)]);
}

#[test]
fn the_newest_doubts_and_those_with_a_name_are_read_back() {
    let (mut bench, _) = four_doubts(DOUBTS_MAX);
    let connection = crate::journal::open::open_read_only(&bench.path).unwrap();
    let ids = &bench.thread().matcher.ids;
    let number = |n: usize| Destination::parse(NUMBERS[n]).unwrap().key();
    let named = [(Attempt::new(1, 0), [number(0), 0], 77)];
    let doubts = Doubts::load_newest(&connection, ids, named.into_iter(), 2).unwrap();
    let remembered: Vec<bool> = (1..=4).map(|part| doubts.has(Attempt::new(part, 0))).collect();
    assert_eq!(remembered, [true, false, true, true]);
    assert_eq!(doubts.id_of(Attempt::new(1, 0)), Some(77));
    for (n, name) in NUMBERS.into_iter().enumerate() {
        let pools = pools(ids, [number(n), 0], [name, SENDER]);
        assert_eq!(doubts.are_left_out(pools), n == 1, "{n}");
    }
}
