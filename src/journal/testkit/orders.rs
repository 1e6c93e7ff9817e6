//! Stories of claims, answers, receipts and restarts in many orders, with one, two and three attempts that a receipt may mean,
//! and a model that looks at everything at once: what is found out must not depend on what came first.

pub const NUMBERS: [&str; 2] = ["447700900001", "447700900002"];
/// No message goes there.
const STRANGER: &str = "447700900777";
pub const IDS: [&str; 2] = ["7", "b8"];
/// Nobody's.
const FOREIGN: &str = "e000";
/// References are the low bits of part numbers.
const REFERENCES: usize = 1 << 16;

/// A message, and the id that its answer brings.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub number: usize,
    pub id: usize,
}

/// What a receipt says of a message.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// `None`: one that nobody gave.
    pub id: Option<usize>,
    pub from: &'static str,
    pub delivered: bool,
    /// The id is in the text, beside one in the TLV that nobody gave.
    pub in_text: bool,
    /// It has the reference of this message.
    pub reference: Option<usize>,
}

impl Said {
    /// The ids: in the TLV, and in the text where that has another.
    pub fn ids(&self) -> (&'static str, &'static str) {
        match self.id {
            Some(id) if self.in_text => ("none-of-ours", IDS[id]),
            id => (id.map_or(FOREIGN, |id| IDS[id]), ""),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Claim(usize),
    /// The response timer of a message expires: its answer comes late.
    Expire(usize),
    Answer(usize),
    Receipt(usize),
    /// Only while nothing is outstanding: what is lost by it is another story.
    Restart,
    /// The same, while receipts wait to be judged.
    Kill,
}

#[derive(Clone, Debug)]
pub struct Story {
    pub messages: Vec<Message>,
    pub receipts: Vec<Said>,
    pub steps: Vec<Step>,
    /// Messages lie so many parts apart.
    pub apart: usize,
    /// What one transaction does of the judging: steps, and messages whose numbers are read.
    pub budget: (u64, i64),
}

impl Story {
    /// The part number of a message.
    pub fn part(&self, n: usize) -> usize {
        1 + n * self.apart
    }
}

/// By which rule, and which message.
pub type Fate = (String, Option<usize>);

pub fn invent(random: &mut fastrand::Rng) -> Story {
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
            let id = (random.u8(..4) > 0).then_some(message.id);
            let reference = random.bool().then(|| if random.u8(..8) == 0 { random.usize(..count) } else { n });
            receipts.push(Said { id, from, delivered: random.bool(), in_text, reference });
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
            7 if outstanding.is_empty() => steps.push(if random.bool() { Step::Restart } else { Step::Kill }),
            _ => {}
        }
    }
    if random.bool() {
        steps.push(if random.bool() { Step::Restart } else { Step::Kill });
    }
    // Few, so that one message after the other is in another transaction, or more than there are.
    let budget = match random.bool() {
        true => (random.u64(2..12), random.i64(1..3)),
        false => (1_000, 1_000),
    };
    // With the same reference, or many parts between them that are to be read where receipts ask for a reference.
    let apart = [1, REFERENCES, 9 * REFERENCES + 1][random.usize(..3)];
    Story { messages, receipts, steps, apart, budget }
}

/// What is to come out, of everything at once: each receipt, in the order in which they came, is about what had been claimed by then.
pub fn model(story: &Story, numbers_fit: bool) -> Vec<Fate> {
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
        let with_id: Vec<usize> = (0..claimed).filter(|&n| Some(story.messages[n].id) == said.id).collect();
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
        } else if let Some(referred) = referred(story, &said, claimed) {
            referred.map(|n| ("user_message_reference", n))
        } else if with_id.is_empty() {
            fates.push(("unmatched".to_owned(), None));
            continue;
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

/// The message that a reference means among so many, of those to the number that the receipt names; the inner `None`: several.
fn referred(story: &Story, said: &Said, claimed: usize) -> Option<Option<usize>> {
    let reference = |n: usize| story.part(n) % REFERENCES;
    let wanted = reference(said.reference?);
    let is_meant = |n: &usize| reference(*n) == wanted && NUMBERS[story.messages[*n].number] == said.from;
    let meant: Vec<usize> = (0..claimed).filter(is_meant).collect();
    match meant[..] {
        [] => None,
        [only] => Some(Some(only)),
        _ => Some(None),
    }
}

/// Tells so many stories, from the first seed on, and compares; more of them, and others, by `STORIES=5000 SEED=$RANDOM`.
/// `apart`: so many parts apart lie their messages.
pub fn compare(stories: u64, apart: Option<usize>, mut tell: impl FnMut(&Story) -> Vec<Fate>) {
    let stories: u64 = std::env::var("STORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(stories);
    let first: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in (0..stories).map(|n| first.wrapping_add(n)) {
        let invented = invent(&mut fastrand::Rng::with_seed(seed));
        let story = Story { apart: apart.unwrap_or(invented.apart), ..invented };
        let (found, expected) = (tell(&story), model(&story, false));
        assert_eq!(found, expected, "SEED={seed} {story:#?}");
    }
}
