use super::*;

const THROTTLED: CommandStatus = CommandStatus(0x58);

/// What an SMSC does with a message: its status; `None`: it never answers.
type Smsc<'a> = Box<dyn FnMut(f64, usize) -> Option<CommandStatus> + 'a>;

/// A line to an SMSC that answers after a fixed time, in a time of its own.
struct Simulated<'a> {
    now: f64,
    left: usize,
    answer: f64,
    smsc: Smsc<'a>,
    /// From so many messages on, answers take a quarter of the time.
    quick_from: usize,
    /// How much later the SMSC takes up the nth.
    late: fn(usize) -> f64,
    /// When those that the SMSC has taken up are answered.
    busy: Vec<f64>,
    written: Vec<f64>,
}

impl Simulated<'_> {
    fn write(&mut self, at: f64) -> Shot {
        self.left -= 1;
        self.written.push(at);
        let answer = if self.written.len() > self.quick_from { self.answer / 4.0 } else { self.answer };
        let (written, at) = (at, at + (self.late)(self.written.len()));
        self.busy.retain(|answered| *answered > at + 1e-9);
        let status = (self.smsc)(at, self.busy.len() + 1);
        if status == Some(CommandStatus::OK) {
            self.busy.push(at + answer);
        }
        Shot { written, answered: status.map(|_| at + answer), status: status.unwrap_or(CommandStatus::OK) }
    }
}

impl Line for Simulated<'_> {
    type Error = ();

    fn left(&self) -> usize {
        self.left
    }

    fn now(&self) -> f64 {
        self.now
    }

    fn say(&mut self, _: &str) {}

    fn wait(&mut self, seconds: f64) -> Result<(), ()> {
        self.now += seconds;
        Ok(())
    }

    fn burst(&mut self, count: usize, last_after: f64) -> Result<Vec<Shot>, ()> {
        let at = self.now;
        let first = count - usize::from(last_after > 0.0);
        let mut shots: Vec<Shot> = (0..first).map(|_| self.write(at)).collect();
        if first < count && shots.iter().all(|shot| shot.answered.is_none_or(|answered| answered > at + last_after)) {
            shots.push(self.write(at + last_after));
        }
        let waited = if shots.iter().any(|shot| shot.answered.is_none()) { 2.0 } else { 0.0 };
        let last = shots.iter().filter_map(|shot| shot.answered).fold(at + last_after + self.answer, f64::max);
        self.now = last + waited;
        Ok(shots)
    }

    fn flow(&mut self, flow: Flow, enough: &mut dyn FnMut(&Shot) -> bool) -> Result<Vec<Shot>, ()> {
        let started = self.now;
        let mut shots: Vec<Shot> = Vec::new();
        let (mut at, mut seen, mut is_enough) = (started, 0, false);
        while self.left > 0 && at < started + flow.seconds && shots.len() < flow.count {
            // Answers come in the order of the requests, all after the same time.
            while let Some(shot) = shots.get(seen).filter(|shot| end(shot, self.answer) <= at + 1e-9) {
                is_enough |= enough(shot);
                seen += 1;
            }
            if is_enough {
                break;
            }
            if shots.len() - seen >= flow.outstanding {
                at = end(&shots[seen], self.answer);
                continue;
            }
            let shot = self.write(at);
            shots.push(shot);
            at += if flow.pace.is_finite() { 1.0 / flow.pace } else { 0.000_02 };
        }
        self.now = shots.iter().filter_map(|shot| shot.answered).fold(at, f64::max);
        Ok(shots)
    }
}

/// When it is answered, or would be.
fn end(shot: &Shot, answer: f64) -> f64 {
    shot.answered.unwrap_or(shot.written + answer)
}

struct Found {
    window: Window,
    rate: RateFound,
    spent: usize,
    written: Vec<f64>,
}

fn measure<'a>(count: usize, most: usize, asked: Option<f64>, answer: f64, smsc: Smsc<'a>) -> Found {
    measure_uneven(usize::MAX, |_| 0.0, count, most, asked, answer, smsc)
}

fn measure_uneven<'a>(
    quick_from: usize,
    late: fn(usize) -> f64,
    count: usize,
    most: usize,
    asked: Option<f64>,
    answer: f64,
    smsc: Smsc<'a>,
) -> Found {
    let mut line =
        Simulated { now: 10.0, left: count, answer, smsc, quick_from, late, busy: Vec::new(), written: Vec::new() };
    let (mut window, mut rate) = (Window::default(), RateFound::default());
    super::window(&mut line, most, asked, &mut window).unwrap();
    let outstanding = if let Window::Is(window, _) | Window::Perhaps(window, _) = window { window } else { most };
    line.now += 1.0;
    super::rate(&mut line, asked, outstanding, &mut rate).unwrap();
    Found { window, rate, spent: count - line.left, written: line.written }
}

fn window_of(limit: usize, status: Option<CommandStatus>) -> Smsc<'static> {
    Box::new(move |_, outstanding| if outstanding > limit { status } else { Some(CommandStatus::OK) })
}

fn bucket(rate: f64, burst: f64) -> Smsc<'static> {
    let (mut level, mut last) = (burst, 0.0);
    Box::new(move |at, _| {
        level = (level + (at - last) * rate).min(burst);
        last = at;
        let is_taken = level >= 1.0 - 1e-9;
        level -= if is_taken { 1.0 } else { 0.0 };
        Some(if is_taken { CommandStatus::OK } else { THROTTLED })
    })
}

fn fixed(rate: usize) -> Smsc<'static> {
    let (mut second, mut count) = (0, 0);
    Box::new(move |at, _| {
        if at as u64 != second {
            (second, count) = (at as u64, 0);
        }
        count += 1;
        Some(if count <= rate { CommandStatus::OK } else { THROTTLED })
    })
}

fn sliding(rate: usize, counts_refused: bool) -> Smsc<'static> {
    let mut times = std::collections::VecDeque::new();
    Box::new(move |at, _| {
        while times.front().is_some_and(|first| *first <= at - 1.0) {
            times.pop_front();
        }
        let is_taken = times.len() < rate;
        if is_taken || counts_refused {
            times.push_back(at);
        }
        Some(if is_taken { CommandStatus::OK } else { THROTTLED })
    })
}

#[test]
fn f33_windows_are_found_with_few_messages_and_whatever_refuses() {
    for limit in [1, 2, 3, 4, 5, 7, 8, 12] {
        for status in [Some(CommandStatus(0x45)), Some(CommandStatus(0x14)), Some(THROTTLED), None] {
            for answer in [0.000_5, 0.02, 0.5] {
                let count = if limit <= 3 { 20 } else { 8 * limit + 40 };
                let found = measure(count, 20, None, answer, window_of(limit, status));
                assert_eq!(found.window, Window::Is(limit, status), "{limit} {status:?} {answer}");
            }
        }
    }
}

#[test]
fn a_message_that_is_held_back_too_long_refutes_no_window() {
    // Answers become quicker once it is known how long they take: what is held back comes too late, and is left out.
    for (limit, status) in [(1, Some(CommandStatus(0x45))), (2, Some(THROTTLED))] {
        let found = measure_uneven(10, |_| 0.0, 60, 10, None, 0.04, window_of(limit, status));
        assert_eq!(found.window, Window::Is(limit, status));
    }
}

#[test]
fn an_smsc_that_is_slow_once_refutes_no_window() {
    // The burst of two, three one by one, then two and two and two, the last of each held back: one of these is taken up after
    // the answer to the one before it, and accepted.
    let lates: [fn(usize) -> f64; 3] = [
        |n| if n == 7 { 0.06 } else { 0.0 },
        |n| if n == 9 { 0.06 } else { 0.0 },
        |n| if n == 7 || n == 11 { 0.06 } else { 0.0 },
    ];
    for late in lates {
        for status in [Some(CommandStatus(0x45)), Some(CommandStatus(0x14)), Some(THROTTLED)] {
            let found = measure_uneven(usize::MAX, late, 60, 10, Some(30.0), 0.1, window_of(1, status));
            assert_eq!(found.window, Window::Is(1, status));
        }
    }
    // Slow each time: those that are held back are accepted, and it is said that there was a refusal.
    let late: fn(usize) -> f64 = |n| if n > 5 && n % 2 == 1 { 0.06 } else { 0.0 };
    let status = Some(CommandStatus(0x45));
    let found = measure_uneven(usize::MAX, late, 60, 10, Some(30.0), 0.1, window_of(1, status));
    assert_eq!(found.window, Window::Other(1, status));
}

#[test]
fn f33_what_limits_the_rate_is_no_window() {
    type Make = fn() -> Smsc<'static>;
    let makes: [(&str, Make); 6] = [
        ("spacing", || bucket(100.0, 1.0)),
        ("a few at once", || bucket(100.0, 5.0)),
        ("many at once", || bucket(200.0, 20.0)),
        ("a second", || sliding(10, false)),
        ("tries", || sliding(10, true)),
        ("a fixed second", || fixed(7)),
    ];
    for (name, make) in makes {
        for answer in [0.000_2, 0.02, 0.1] {
            for count in [10, 30, 100, 1_000] {
                let found = measure(count, 50, None, answer, make());
                assert!(!matches!(found.window, Window::Is(..)), "{name} {answer} {count}: {:?}", found.window);
            }
        }
    }
}

#[test]
fn f33_a_limit_is_found_and_a_rate_that_was_not_shown_is_none() {
    type Make = fn(usize) -> Smsc<'static>;
    let makes: [(&str, Make, f64); 7] = [
        ("bucket", |rate| bucket(rate as f64, rate as f64), 0.85),
        ("small bucket", |rate| bucket(rate as f64, 5.0), 0.85),
        ("spacing", |rate| bucket(rate as f64 * 1.001, 1.0), 0.85),
        ("sliding", |rate| sliding(rate, false), 0.85),
        ("sliding, tries count", |rate| sliding(rate, true), 0.75),
        ("fixed", fixed, 0.85),
        ("large bucket", |rate| bucket(rate as f64, 3.0 * rate as f64), 0.85),
    ];
    for (name, make, least) in makes {
        for rate in [6, 30, 100, 500] {
            for answer in [0.001, 0.02, 0.1] {
                let most = (2.0 * rate as f64 * answer).ceil().max(10.0) as usize;
                let found = measure(rate * 60 + 100, most, None, answer, make(rate));
                let RateFound::Limit { per_second, status } = found.rate else {
                    panic!("{name} {rate} {answer}: {:?}, {} spent", found.rate, found.spent);
                };
                assert_eq!(status, THROTTLED);
                let share = per_second / rate as f64;
                assert!(
                    (least.min(1.0 - 1.01 / rate as f64)..=1.001).contains(&share),
                    "{name} {rate} {answer}: {per_second}, {} spent",
                    found.spent
                );
                // Too few messages to say so: nothing is said.
                let found = measure(rate.max(10), most, None, answer, make(rate));
                match found.rate {
                    RateFound::Passed { .. } | RateFound::Unverified { .. } | RateFound::Untried => {}
                    RateFound::Between { per_second, .. } => assert!(per_second <= rate as f64, "{:?}", found.rate),
                    _ => panic!("{name} {rate}: {:?}", found.rate),
                }
            }
        }
    }
}

#[test]
fn f33_a_rate_that_was_asked_for_is_shown_by_three_seconds_and_never_exceeded() {
    let ok = || Box::new(|_: f64, _: usize| Some(CommandStatus::OK)) as Smsc<'_>;
    let found = measure(100, 10, Some(30.0), 0.01, ok());
    assert_eq!(found.rate, RateFound::Held { per_second: 30.0 });
    let found = measure(100, 10, Some(30.0), 0.01, fixed(30));
    assert_eq!(found.rate, RateFound::Held { per_second: 30.0 }, "{:?}", found.written);
    // Ten at a rate of 30 are a third of a second.
    assert!(matches!(measure(10, 10, Some(30.0), 0.01, ok()).rate, RateFound::Passed { .. }));
    // Answers are too slow for it.
    let found = measure(100, 2, Some(30.0), 0.2, ok());
    let RateFound::Held { per_second } = found.rate else { panic!("{:?}", found.rate) };
    assert!((9.0..10.6).contains(&per_second), "{per_second}");
    assert!(matches!(measure(1, 10, Some(30.0), 0.01, ok()).rate, RateFound::Untried));
    // One a second, and slower.
    let found = measure(12, 10, Some(1.0), 0.01, bucket(1.0, 1.0));
    assert!(matches!(found.window, Window::Untried));
    assert_eq!(found.rate, RateFound::Held { per_second: 1.0 });
}

#[test]
fn f33_refusals_that_the_rate_does_not_cause_and_boxes_are_called_so() {
    let mut by_share = std::collections::BTreeMap::new();
    for (share, seed) in
        [0.03, 0.06, 0.2, 0.3, 0.5].into_iter().flat_map(|share| (1..=20).map(move |seed| (share, seed)))
    {
        for status in [CommandStatus(0x08), THROTTLED] {
            let mut random = fastrand::Rng::with_seed(seed);
            let smsc =
                Box::new(move |_: f64, _: usize| Some(if random.f64() < share { status } else { CommandStatus::OK }));
            let found = measure(3_000, 10, Some(100.0), 0.01, smsc);
            match found.rate {
                RateFound::Other { share: told, .. } => {
                    by_share.entry((share * 100.0_f64).round() as u32).and_modify(|n: &mut u32| *n += 1).or_insert(1);
                    assert!((share * 0.3..share * 2.0).contains(&told), "{share}: {told}");
                }
                RateFound::Unverified { .. } | RateFound::Held { .. } | RateFound::Passed { .. } => {}
                _ => panic!("{share} {seed} {status:?}: {:?}", found.rate),
            }
        }
    }
    // Half of all refused, or very few, leave little to judge by: then nothing is said.
    for (share, named) in by_share {
        assert!(named >= if share == 50 { 1 } else { 28 }, "{share} %: {named} of 40");
    }
    // Every other one, whenever it comes.
    for quiet in [0.005, 0.04] {
        let mut seen = 0;
        let every_other = Box::new(move |_: f64, _: usize| {
            seen += 1;
            Some(if seen % 2 == 0 { CommandStatus(0x08) } else { CommandStatus::OK })
        });
        let found = measure(400, 10, Some(100.0), quiet, every_other);
        assert!(matches!(found.rate, RateFound::Other { share, .. } if share > 0.4), "{:?}", found.rate);
    }
    let mut until = 0.0;
    let mut limiter = sliding(50, false);
    let boxed = Box::new(move |at: f64, n: usize| {
        if at < until {
            return Some(THROTTLED);
        }
        let status = limiter(at, n);
        until = if status == Some(THROTTLED) { at + 60.0 } else { until };
        status
    });
    let found = measure(3_000, 10, None, 0.01, boxed);
    assert!(matches!(found.rate, RateFound::Penalty { .. }), "{:?}", found.rate);
    // It was refused once, and went on being refused: no more than a few are spent on it.
    assert!(found.spent < 200, "{}", found.spent);
    // The account is condemned: nothing to say of the rate.
    let found = measure(100, 10, None, 0.01, Box::new(|_, _| Some(CommandStatus(0x0A))));
    assert_eq!(found.rate, RateFound::Untried);
    let found = measure(100, 10, None, 0.01, Box::new(|_, _| Some(CommandStatus(0x0B))));
    assert_eq!(found.rate, RateFound::Untried);
}
