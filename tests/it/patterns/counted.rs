//! What each pattern costs the journal thread, in steps of SQLite: a few for each message, and as many for the last as for the
//! first. Counted and not timed, so that a busy machine makes no difference.

use super::scene::{Pattern, begin};
use super::work;

/// Steps that a message may cost (with its receipt, and whatever else belongs to the pattern): a row that is looked at takes some
/// five to ten.
fn budget(pattern: Pattern) -> u64 {
    match pattern {
        Pattern::Plain | Pattern::Campaigns | Pattern::Senders => 200,
        Pattern::Suppressed => 400,
        Pattern::Inbound | Pattern::Foreign | Pattern::Lost | Pattern::Decided | Pattern::Referenced => 1_000,
        Pattern::Strays | Pattern::Doubts | Pattern::Outstanding => 1_500,
        // Each try is written down, and what is known of the message read, some three times.
        Pattern::Retried => 3_500,
    }
}

fn steps(pattern: Pattern, size: usize) -> u64 {
    let scene = begin(pattern, size);
    let ended = scene.running.wait();
    assert!(matches!(ended.code, Some(0 | 3)), "{pattern:?}: {}", ended.said());
    100 * work(&ended)[3]
}

fn check(pattern: Pattern) {
    const SMALL: usize = 400;
    const LARGE: usize = 4 * SMALL;
    let [small, large] = [steps(pattern, SMALL), steps(pattern, LARGE)];
    println!("{pattern:?}: {} steps a message of {SMALL}, {} of {LARGE}", small / 400, large / 1_600);
    let budget = budget(pattern);
    assert!(large <= budget * LARGE as u64, "{pattern:?}: {large} steps for {LARGE}, the budget is {budget} each");
    // Four times as many cost four times as much, give or take how the sessions fall; what looks at all for each costs sixteen.
    assert!(large <= 8 * small, "{pattern:?}: {small} steps for {SMALL}, {large} for {LARGE}");
}

each_pattern!(check);
