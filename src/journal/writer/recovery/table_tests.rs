//! All combinations of the table in the page of [`super`], against a model that is written down from it, row by row.

use super::*;
use crate::journal::model::events::{Sent, SessionNumber};
use crate::journal::model::key::State;
use crate::journal::open::open_existing;
use crate::journal::store::decisions::{Decision, request};
use crate::journal::testkit::bench::{Bench, FakeReceipt, SENDER};
use crate::wire::MessageState;
use InDoubtPolicy::{AssumeSent, Hold, Resend};

const THROTTLED: u32 = 0x58;
const REJECTED: u32 = 0x0B;

/// What an answer says, committed or noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    Taken,
    Rejected,
    /// To be tried again.
    Throttled,
}

impl Says {
    fn status(self) -> u32 {
        match self {
            Says::Taken => 0,
            Says::Rejected => REJECTED,
            Says::Throttled => THROTTLED,
        }
    }

    fn state(self) -> State {
        match self {
            Says::Taken => State::Accepted,
            Says::Rejected => State::Rejected,
            Says::Throttled => State::Queued,
        }
    }
}

/// What the journal had committed of an attempt when the process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Committed {
    Nothing,
    Answer(Says),
    /// Its response timer had expired, and the policy had its say.
    TimedOut,
}

/// The mark of the session, as a start finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MarkIs {
    Missing,
    OfAnotherRun,
    /// Half of the attempts may have left by it.
    AtTheMiddle,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Case {
    committed: Committed,
    noted: Option<Says>,
    /// A receipt said that it was delivered, and was matched.
    receipt: bool,
    /// The mark, where it is believed, says that it never left.
    is_above_mark: bool,
}

/// What is the same for all attempts of a journal.
#[derive(Clone, Copy, Debug)]
struct World {
    policy: InDoubtPolicy,
    is_same_boot: bool,
    is_ended: bool,
    mark: MarkIs,
    decision: Option<fn() -> Decision>,
}

fn by_policy(policy: InDoubtPolicy) -> State {
    match policy {
        Hold => State::InDoubt,
        Resend => State::Queued,
        AssumeSent => State::Accepted,
    }
}

/// Row 5.
fn is_unwritten(world: &World, case: &Case) -> bool {
    let is_unsettled =
        !world.is_ended && world.is_same_boot && case.committed == Committed::Nothing && case.noted.is_none();
    is_unsettled && case.is_above_mark && world.mark == MarkIs::AtTheMiddle
}

/// The table, row by row.
fn expected(world: &World, case: &Case) -> State {
    let as_committed = match case.committed {
        Committed::Nothing => None,
        Committed::Answer(says) => Some(says.state()),
        Committed::TimedOut => Some(by_policy(world.policy)),
    };
    let is_noted = !world.is_ended && world.is_same_boot && case.noted.is_some();
    let is_answered = matches!(case.committed, Committed::Answer(_)) || is_noted;
    let state = match (as_committed, case.noted) {
        // Row 1: the end of the session put what was open in doubt.
        (committed, _) if world.is_ended => committed.unwrap_or(by_policy(world.policy)),
        // Row 2.
        (Some(state), _) if matches!(case.committed, Committed::Answer(_)) => state,
        // Row 3.
        (_, Some(says)) if is_noted => says.state(),
        // Row 4.
        (Some(state), _) => state,
        // Rows 5 and 6.
        (None, _) if case.is_above_mark && world.is_same_boot && world.mark == MarkIs::AtTheMiddle => State::Queued,
        (None, _) => by_policy(world.policy),
    };
    let is_unwritten = is_unwritten(world, case);
    // What a receipt names was taken, unless its answer says otherwise, or it never left.
    let taken = if is_answered { state == State::Accepted } else { !is_unwritten };
    if case.receipt && taken { State::Delivered } else { state }
}

/// What a decision of the operator makes of that.
fn decided(state: State, was_doubt: bool, decision: Option<&Decision>) -> State {
    match (state, decision) {
        // A doubt that was to be sent again, and never will be, is still one.
        (State::Queued, Some(Decision::Cancel { .. })) if was_doubt => State::InDoubt,
        (State::Queued, Some(Decision::Cancel { .. })) => State::Cancelled,
        (State::InDoubt, Some(Decision::Resend { .. })) => State::Queued,
        (State::InDoubt, Some(Decision::AssumeSent { .. })) => State::Accepted,
        (State::InDoubt, Some(Decision::Abandon { .. })) => State::Failed,
        (state, _) => state,
    }
}

fn cases() -> Vec<Case> {
    use Says::{Rejected, Taken, Throttled};
    let mut cases = Vec::new();
    for is_above_mark in [false, true] {
        let first = cases.len();
        for committed in [
            Committed::Nothing,
            Committed::Answer(Taken),
            Committed::Answer(Rejected),
            Committed::Answer(Throttled),
            Committed::TimedOut,
        ] {
            for noted in [None, Some(Taken), Some(Rejected), Some(Throttled)] {
                // A note of an answer that is committed says the same.
                if let (Committed::Answer(says), Some(noted)) = (committed, noted)
                    && says != noted
                {
                    continue;
                }
                for receipt in [false, true] {
                    cases.push(Case { committed, noted, receipt, is_above_mark });
                }
            }
        }
        // The last below the mark and the first above it are plain ones, so that the edge itself is seen.
        if !is_above_mark {
            cases[first..].reverse();
        }
    }
    cases
}

fn number(n: usize) -> String {
    format!("4477009{n:05}")
}

/// Brings a journal to where its process ends, and starts anew.
fn check(world: World) {
    let cases = cases();
    let numbers: Vec<String> = (0..cases.len()).map(number).collect();
    let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (&**number, 1)).collect();
    let mut bench = Bench::new(&messages, world.policy);
    let session = bench.open_session();
    let sent = bench.send(session, cases.len());
    assert_eq!(sent.len(), cases.len());
    let lines: std::collections::HashMap<i64, usize> = bench
        .query("SELECT id, row_number() OVER (ORDER BY id) - 1 FROM message", |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))
        })
        .into_iter()
        .collect();
    let case_of = |sent: &Sent| lines[&sent.message];
    let mut notes = Vec::new();
    let ids: Vec<String> = (0..cases.len()).map(|n| format!("id{n}")).collect();
    let mut open = Vec::new();
    let told = sent.iter().filter(|sent| cases[case_of(sent)].receipt).map(|sent| {
        let reference = Some((sent.attempt.part() & 0xFFFF) as u16);
        let from = &*numbers[case_of(sent)];
        FakeReceipt::new("", MessageState::Delivered, from).with_reference(reference)
    });
    bench.receipts(session, &told.collect::<Vec<_>>(), SENDER);
    for sent in &sent {
        let n = case_of(sent);
        let (case, id) = (&cases[n], &ids[n]);
        let mut noted = *sent;
        match case.committed {
            Committed::Nothing => open.push(*sent),
            Committed::Answer(says) => bench.answer(session, *sent, says.status(), id),
            Committed::TimedOut => noted = bench.time_out(session, *sent),
        }
        if let Some(says) = case.noted {
            notes.push((noted, says.status(), &**id));
        }
    }
    bench.note(session, &notes);
    if world.is_ended {
        bench.lose(session, open);
    }
    let serial = bench.number("SELECT min(first_serial) FROM claim") + cases.len() as i64 / 2 - 1;
    let run = super::run(&open_existing(&bench.path).unwrap()).unwrap();
    bench.thread = None;
    let marks = Marks::open(&bench.path).unwrap();
    let mark = match world.mark {
        MarkIs::Missing => None,
        MarkIs::OfAnotherRun => Some(run ^ 1),
        MarkIs::AtTheMiddle => Some(run),
    };
    if let Some(run) = mark {
        marks.begin(0, SessionNumber { id: session, serial_before: serial, run }).unwrap();
    }
    let connection = open_existing(&bench.path).unwrap();
    if !world.is_same_boot {
        connection.execute("UPDATE session SET boot_id = 'another'", []).unwrap();
    }
    let decision = world.decision.map(|decision| decision());
    if let Some(decision) = &decision {
        request(&connection, "test", decision).unwrap();
    }
    drop(connection);
    bench.restart();
    let found = bench.states();
    for (n, case) in cases.iter().enumerate() {
        let state = expected(&world, case);
        let is_answered = matches!(case.committed, Committed::Answer(_))
            || (!world.is_ended && world.is_same_boot && case.noted.is_some());
        let is_unwritten = is_unwritten(&world, case);
        let expected = decided(state, !is_answered && !is_unwritten, decision.as_ref());
        assert_eq!(found[n], expected.name(), "{case:?} in {world:?}");
    }
    // A second start finds nothing to do, and what is sent now is what was queued, no more.
    bench.restart();
    assert_eq!(bench.states(), found, "{world:?}");
    let queued = found.iter().filter(|state| **state == "queued").count();
    let session = bench.open_session();
    assert_eq!(bench.send(session, queued + 1).len(), queued, "{world:?}");
}

fn check_all(policy: InDoubtPolicy) {
    let decisions: [Option<fn() -> Decision>; 5] = [
        None,
        Some(|| Decision::Cancel { lines: vec![] }),
        Some(|| Decision::Resend { lines: vec![] }),
        Some(|| Decision::AssumeSent { lines: vec![] }),
        Some(|| Decision::Abandon { lines: vec![] }),
    ];
    for (is_same_boot, is_ended) in [(true, false), (false, false), (true, true)] {
        for mark in [MarkIs::Missing, MarkIs::OfAnotherRun, MarkIs::AtTheMiddle] {
            for decision in decisions {
                check(World { policy, is_same_boot, is_ended, mark, decision });
            }
        }
    }
}

// One test for each policy, so that they run side by side.

#[test]
fn every_case_that_a_start_can_find_is_settled_as_the_table_says_with_hold() {
    check_all(Hold);
}

#[test]
fn every_case_that_a_start_can_find_is_settled_as_the_table_says_with_resend() {
    check_all(Resend);
}

#[test]
fn every_case_that_a_start_can_find_is_settled_as_the_table_says_with_assume_sent() {
    check_all(AssumeSent);
}
