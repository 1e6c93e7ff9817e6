//! Whose receipts are, whatever comes first: the stories of [`super::orders`] told to a journal thread with its file, its
//! read-ahead and its sessions. `matcher::order_tests` tells thousands of them to the matcher alone.

use super::bench::{Bench, FakeReceipt, SENDER};
use super::orders::{Fate, IDS, NUMBERS, Step, Story, compare};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::events::Sent;
use crate::wire::MessageState::{Delivered, Undeliverable};
use std::time::Duration;

/// What comes out of the journal.
fn live(story: &Story) -> Vec<Fate> {
    let messages: Vec<(&str, u8)> = story.messages.iter().map(|message| (NUMBERS[message.number], 1)).collect();
    let options = CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() };
    let mut bench = Bench::with_options(&messages, options);
    let limit = |bench: &mut Bench| {
        let work = &mut bench.thread().matcher.work;
        (work.steps_per_commit, work.rows_per_commit) = story.budget;
    };
    limit(&mut bench);
    let mut sessions = [bench.open_session(), bench.open_session()];
    let mut sent: Vec<(i64, Sent)> = Vec::new();
    // So that what comes later comes in a later millisecond, which is what a restart goes by.
    let tick = || std::thread::sleep(Duration::from_millis(2));
    for (n, step) in story.steps.iter().enumerate() {
        let session = sessions[n % 2];
        match *step {
            Step::Claim(_) => {
                tick();
                sent.push((session, bench.send(session, 1)[0]));
                tick();
            }
            Step::Expire(n) => sent[n].1 = bench.time_out(sent[n].0, sent[n].1),
            Step::Answer(n) => bench.answer(sent[n].0, sent[n].1, 0, IDS[story.messages[n].id]),
            Step::Receipt(n) => {
                tick();
                let said = story.receipts[n];
                let state = if said.delivered { Delivered } else { Undeliverable };
                let (id, text_id) = said.ids();
                let reference = said.reference.map(|n| story.part(n) as u16);
                let told = FakeReceipt::new(id, state, said.from).with_reference(reference).with_text_id(text_id);
                bench.receipts(session, &[told], if said.from.is_empty() { "" } else { SENDER });
                tick();
            }
            Step::Restart | Step::Kill => {
                if *step == Step::Restart {
                    bench.rest();
                }
                bench.restart();
                limit(&mut bench);
                sessions = [bench.open_session(), bench.open_session()];
            }
        }
    }
    bench.rest();
    bench.states();
    let fates = bench.rules();
    fates.into_iter().map(|(rule, line)| (rule, line.map(|line| line as usize - 2))).collect()
}

#[test]
fn whose_receipts_are_does_not_depend_on_the_order_in_which_things_come() {
    // The messages of an import follow each other.
    compare(100, Some(1), live);
}
