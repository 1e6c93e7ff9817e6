//! Whose receipts are, whatever comes first: claims, answers, receipts, restarts and second sessions in many orders, with one,
//! two and three attempts that a receipt may mean, against a model that looks at everything at once.

use super::bench::{Bench, SENDER, Told};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::events::Sent;
use crate::wire::MessageState::{Delivered, Undeliverable};
use std::time::Duration;

const NUMBERS: [&str; 2] = ["447700900001", "447700900002"];
/// No message goes there.
const STRANGER: &str = "447700900777";
const IDS: [&str; 2] = ["7", "b8"];

/// A message, and the id that its answer brings.
#[derive(Clone, Copy, Debug)]
struct Message {
    number: usize,
    id: usize,
}

/// What a receipt says of a message.
#[derive(Clone, Copy, Debug)]
struct Said {
    id: usize,
    from: &'static str,
    delivered: bool,
    /// The id is in the text, beside one in the TLV that nobody gave.
    in_text: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Claim(usize),
    /// The response timer of a message expires: its answer comes late.
    Expire(usize),
    Answer(usize),
    Receipt(usize),
    /// Only while nothing is outstanding: what is lost by it is another story.
    Restart,
}

#[derive(Clone, Debug)]
struct Story {
    messages: Vec<Message>,
    receipts: Vec<Said>,
    steps: Vec<Step>,
}

/// By which rule, and which message.
type Fate = (String, Option<usize>);

fn invent(random: &mut fastrand::Rng) -> Story {
    let count = random.usize(1..=3);
    let messages: Vec<Message> =
        (0..count).map(|_| Message { number: random.usize(..2), id: usize::from(random.u8(..4) == 0) }).collect();
    let (kind, in_text) = (random.u8(..4), random.bool() && random.bool());
    let mut receipts = Vec::new();
    let mut of = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        for _ in 0..random.usize(..3) {
            let from = match kind {
                // None of them has a number.
                0 => "",
                // Each has that of its message, but for a few that have another.
                1 | 2 if random.u8(..4) > 0 => NUMBERS[message.number],
                2 => NUMBERS[1 - message.number],
                _ => STRANGER,
            };
            receipts.push(Said { id: message.id, from, delivered: random.bool(), in_text });
            of.push(n);
        }
    }
    // A receipt follows the claim of its message, and everything else is as it happens.
    let mut steps = vec![Step::Claim(0)];
    let mut claimed = 1;
    let mut outstanding = vec![0];
    let mut late = Vec::new();
    let mut to_come: Vec<usize> = (0..receipts.len()).collect();
    while claimed < count || !outstanding.is_empty() || !to_come.is_empty() {
        match random.u8(..8) {
            0 | 1 if claimed < count => {
                steps.push(Step::Claim(claimed));
                outstanding.push(claimed);
                claimed += 1;
            }
            2 | 3 if !outstanding.is_empty() => {
                let n = outstanding.swap_remove(random.usize(..outstanding.len()));
                steps.push(Step::Answer(n));
            }
            4 if !outstanding.is_empty() => {
                let n = outstanding[random.usize(..outstanding.len())];
                if !late.contains(&n) {
                    late.push(n);
                    steps.push(Step::Expire(n));
                }
            }
            5 | 6 if !to_come.is_empty() => {
                let at = random.usize(..to_come.len());
                if of[to_come[at]] < claimed {
                    steps.push(Step::Receipt(to_come.swap_remove(at)));
                }
            }
            7 if outstanding.is_empty() => steps.push(Step::Restart),
            _ => {}
        }
    }
    if random.bool() {
        steps.push(Step::Restart);
    }
    Story { messages, receipts, steps }
}

/// What comes out of the journal.
fn live(story: &Story) -> Vec<Fate> {
    let messages: Vec<(&str, u8)> = story.messages.iter().map(|message| (NUMBERS[message.number], 1)).collect();
    let options = CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() };
    let mut bench = Bench::with_options(&messages, options);
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
                let (id, text_id) = if said.in_text { ("none-of-ours", IDS[said.id]) } else { (IDS[said.id], "") };
                let told = Told { id, state, is_final: true, from: said.from, reference: None, text_id };
                bench.receipts(session, &[told], if said.from.is_empty() { "" } else { SENDER });
                tick();
            }
            Step::Restart => {
                bench.rest();
                bench.restart();
                sessions = [bench.open_session(), bench.open_session()];
            }
        }
    }
    bench.rest();
    bench.states();
    let fates = bench.rules();
    fates.into_iter().map(|(rule, line)| (rule, line.map(|line| line as usize - 2))).collect()
}

/// The same, of everything at once: each receipt, in the order in which they came, is about what had been claimed by then.
fn model(story: &Story, numbers_fit: bool) -> Vec<Fate> {
    let mut claimed = 0;
    let mut over = vec![false; story.messages.len()];
    let mut fates = Vec::new();
    let mut fitted = false;
    for step in &story.steps {
        let Step::Receipt(receipt) = *step else {
            claimed += usize::from(matches!(step, Step::Claim(_)));
            continue;
        };
        let said = story.receipts[receipt];
        let with_id: Vec<usize> = (0..claimed).filter(|&n| story.messages[n].id == said.id).collect();
        let fits = |n: &usize| said.from.is_empty() || NUMBERS[story.messages[*n].number] == said.from;
        let fitting: Vec<usize> = with_id.iter().copied().filter(fits).collect();
        fitted |= !fitting.is_empty() && !said.from.is_empty();
        let choose = |of: &[usize]| {
            let open: Vec<usize> = of.iter().copied().filter(|&n| !over[n]).collect();
            let left = if open.is_empty() { of.to_vec() } else { open };
            (left.len() == 1).then(|| left[0])
        };
        let fate = if !fitting.is_empty() {
            let rule = if said.in_text { "exact id in text" } else { "exact id" };
            choose(&fitting).map(|n| (rule, n))
        } else if numbers_fit && !with_id.is_empty() {
            fates.push(("other number".to_owned(), None));
            continue;
        } else {
            let is_anothers = (0..claimed).any(|n| NUMBERS[story.messages[n].number] == said.from);
            match choose(&with_id) {
                Some(_) if is_anothers => {
                    fates.push(("other number".to_owned(), None));
                    continue;
                }
                Some(n) => Some(("exact id alone", n)),
                None => None,
            }
        };
        match fate {
            Some((rule, n)) => {
                over[n] = true;
                fates.push((rule.to_owned(), Some(n)));
            }
            None => fates.push(("ambiguous".to_owned(), None)),
        }
    }
    if fitted && !numbers_fit { model(story, true) } else { fates }
}

/// So many stories, from this seed on; more of them, and others, by `STORIES=5000 SEED=$RANDOM`.
#[test]
fn whose_receipts_are_does_not_depend_on_the_order_in_which_things_come() {
    let stories: u64 = std::env::var("STORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
    let first: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in (0..stories).map(|n| first.wrapping_add(n)) {
        let story = invent(&mut fastrand::Rng::with_seed(seed));
        let (found, expected) = (live(&story), model(&story, false));
        assert_eq!(found, expected, "SEED={seed} {story:#?}");
    }
}
