//! Stories made up from a seed: an SMSC that errs in several ways at once, and a sender that is killed and started again.
//! However they go, nothing is lost, nothing is sent twice, and the journal agrees with what the SMSC got.
//!
//! `SMPPOST_STORIES=200 cargo test --test it random_stories::` tells more of them, `SMPPOST_SEED=7` that one again.
use crate::common::independent_smsc::{
    Action, BindAnswer, Event, Fate, IdForm, IndependentSmsc, Order, Outcome, Settings, Shape, Writing,
};
use crate::common::judge::{Rules, Submit};
use crate::common::{Leeway, Smppost, assert_agree, states};
use std::sync::Arc;
use std::time::Duration;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// A number that is the same for the same submit of the same seed.
fn lot(submit: &Submit, seed: u64) -> u64 {
    mixed(seed ^ mixed(submit.nth as u64)) % 1_000
}

fn settings(dice: &mut Dice, seed: u64, window: usize) -> Settings {
    let rules = Rules {
        window,
        response_timeout: Some(Duration::from_millis(700)),
        client_may_die: true,
        torn_messages: true,
        enquire_within: Duration::from_secs(5),
        ..Rules::default()
    };
    let (errors, silences, resets) =
        (dice.pick(&[0, 0, 20, 100]), dice.pick(&[0, 0, 5, 20]), dice.pick(&[0, 0, 3, 10]));
    let lates = dice.pick(&[0, 0, 10, 50]);
    let temporary = [0x08, 0x14, 0x45, 0x58, 0x58, 0x64, 0x410];
    let mut events = Vec::new();
    for _ in 0..dice.roll(6) {
        let junk = [vec![0; 16], b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec(), vec![0xFF; 20]];
        let action = match dice.roll(8) {
            0 => Action::Unbind,
            1 => Action::Close,
            2 => Action::Reset,
            3 => Action::Mute,
            4 => Action::Junk(junk[dice.roll(3) as usize].clone()),
            5 => Action::Nack(2),
            6 => Action::Request(0x0101),
            _ => Action::Inbound("hello there".into()),
        };
        events.push(Event { session: 1 + dice.roll(6) as usize, after: dice.roll(60) as usize, action });
    }
    let mut binds = vec![BindAnswer::Accepted; 8];
    for _ in 0..dice.roll(4) {
        let at = dice.roll(8) as usize;
        binds[at] = dice.pick(&[
            BindAnswer::Refused(0x0D),
            BindAnswer::CloseAtOnce,
            BindAnswer::CloseInstead,
            BindAnswer::OctetByOctet,
            BindAnswer::GluedWithDeliver,
        ]);
    }
    Settings {
        seed,
        rules,
        writing: dice.pick(&[Writing::Normal, Writing::Coalesced, Writing::Fragmented]),
        order: dice.pick(&[Order::AsTheyCame, Order::Reversed, Order::Random]),
        answer_delay: Duration::from_millis(dice.pick(&[0, 1, 5, 20])),
        id: dice.pick(&[IdForm::Decimal, IdForm::HexUpper, IdForm::Uuid, IdForm::SixtyFour]),
        shape: dice.pick(&[
            Shape::Normal,
            Shape::Early,
            Shape::EarlyAndAgain,
            Shape::Duplicate,
            Shape::TextOnly,
            Shape::DataSm,
        ]),
        receipt_delay: Duration::from_millis(dice.pick(&[0, 10, 100])),
        status: Arc::new(move |submit| match lot(submit, seed ^ 1) {
            lot if lot < errors => temporary[(lot % 7) as usize],
            _ => 0,
        }),
        fate: Arc::new(move |submit| match lot(submit, seed ^ 2) {
            lot if lot < silences => Fate::Silent,
            lot if lot < silences + resets => Fate::ResetBefore,
            lot if lot < silences + resets + lates => Fate::Late(Duration::from_millis(900)),
            _ => Fate::Answered,
        }),
        outcome: Arc::new(move |submit| match lot(submit, seed ^ 3) {
            lot if lot < 50 => Outcome::Undeliverable,
            _ => Outcome::Delivered,
        }),
        error_body: dice.one_in(2),
        enquire_every: dice.one_in(2).then_some(Duration::from_millis(50)),
        unknown_tlvs: dice.one_in(2),
        binds,
        events,
        ..Settings::default()
    }
}

fn story(seed: u64) {
    let mut dice = Dice(seed);
    let window = dice.pick(&[1, 3, 10, 50]);
    let connections = dice.pick(&["1", "2"]);
    let csv = match dice.roll(3) {
        0 => crate::common::rows(150),
        1 => crate::common::long_rows(50),
        _ => crate::common::emoji_rows(100),
    };
    let messages = csv.lines().count() as i64 - 1;
    let smsc = IndependentSmsc::start(settings(&mut dice, seed, window));
    // One part in a thousand is refused three times in a row, and waits longer each time.
    let smppost = Smppost::new().deadline(Duration::from_secs(300));
    let window = window.to_string();
    let more = [
        "--window",
        &window,
        "--connections",
        connections,
        "--response-timeout",
        "700ms",
        "--enquire-link-interval",
        "300ms",
        "--wait-receipts",
        "1s",
    ];
    for _ in 0..dice.roll(4) {
        let mut run = smppost.spawn_send(&csv, smsc.port(), &more);
        std::thread::sleep(Duration::from_millis(dice.roll(600)));
        if !run.is_running() {
            continue;
        }
        if dice.one_in(3) {
            // A run that had not come so far as to listen to signals is ended by them.
            run.signal("INT");
            let ended = run.wait();
            assert!(!matches!(ended.code, Some(1 | 101)), "{}", ended.said());
        } else {
            run.kill();
        }
    }
    let ended = smppost.send(&csv, smsc.port(), &more);
    let report = smsc.finish();
    let said = ended.said();
    assert!(matches!(ended.code, Some(0 | 3)), "{:?}: {said}", ended.code);
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway { answers_lost: true, repeats: false, unsettled: false });
    let found = states(&smppost.journal(), "c");
    assert_eq!(found.values().sum::<i64>(), messages, "{found:?}\n{said}");
    // What is accepted lost its receipt with an answer, as the SMSC's own errors go.
    let unsettled = found.keys().filter(|state| matches!(&***state, "queued" | "sending" | "cancelled"));
    assert_eq!(unsettled.count(), 0, "{found:?}\n{said}");
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn f46_stories_made_up_from_a_seed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("SMPPOST_SEED");
    let stories = number("SMPPOST_STORIES").unwrap_or(if first.is_some() { 1 } else { 6 });
    let seeds = first.unwrap_or(0)..first.unwrap_or(0) + stories;
    for seed in seeds {
        println!("story {seed}");
        story(seed);
    }
}
