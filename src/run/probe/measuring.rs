//! What rate and what window an SMSC takes, found with a given number of messages. Pure but for its [`Line`]: what is sent
//! is decided here, and concluded from the answers alone.
//!
//! | question | experiment | what it says |
//! |---|---|---|
//! | how many at once? | bursts of 2, 4, 8 ... | all accepted: a window of so many is taken |
//! | is it a window? | after a refusal, N at a time without a pause | one refused: it is the rate's, or another reason |
//! | is it that window? | N at once, and one more before their answers | refused twice before it is taken three times: the SMSC's window is N |
//! | how fast? | at `--rate`, or as fast as answers come, for three seconds and more | none refused: this rate is shown |
//! | the limit? | after a refusal, at a lower rate for a second that does not count and three that do | none refused: this is taken |
//! | is it the rate at all? | the share refused at each of these rates | as large at half the rate: another reason |

use crate::wire::{CommandStatus, StatusClass};

/// The largest burst.
const BURST_MAX: usize = 64;
/// Bursts may take so much of the messages that there are: the rate needs the rest.
const BURST_SHARE: f64 = 0.6;
/// A message is held back for so much of an answer's time, where that is at least [`ANSWER_MIN_S`], to see whether it is
/// refused because others are outstanding, not because they were written in the same moment.
const HELD_BACK: f64 = 0.6;
const ANSWER_MIN_S: f64 = 0.005;
/// Where an answer comes sooner than this share of that time after it, it may have been on its way.
const CLOSE_ANSWER: f64 = 0.3;
/// How often a window is to be seen, before it is not seen so often: an SMSC that is slow for a moment has answered before it takes up
/// what was written while others were outstanding.
const SEEN_MIN: usize = 2;
const NOT_SEEN_MAX: usize = 3;
/// A rate counts as shown when it was taken for so long.
const SHOWN_S: f64 = 3.0;
/// What is set is so much of what was taken, from so many a second on.
const MARGIN: f64 = 0.97;
const MARGIN_FROM: f64 = 20.0;
/// A rate counts as reached from this share of it on: the first and the last second are cut.
const REACHED: f64 = 0.9;
/// And this long at most, where little is refused.
const SHOWN_MAX_S: f64 = 30.0;
/// Refusals before so many answers say nothing of a rate yet: some more are awaited.
const FIRST_MIN: usize = 10;
const FIRST_REFUSED: usize = 5;
/// What an SMSC counts of what was sent before is over by then.
const SETTLE_S: f64 = 1.0;
/// Rates that are tried below the one that was refused.
const TRIES_MAX: usize = 16;
/// The next one is no more than so many times what was taken.
const STEP_MAX: f64 = 4.0;
/// What is taken and what is not are close enough.
const SEARCHED: f64 = 1.1;
/// The same where no messages are left to look closer.
const CLOSE: f64 = 1.3;
/// Rates up to this share of the highest are compared with those above.
const LOW: f64 = 0.55;
/// Nothing is tried below this share of the rate at which it was refused first.
const LEAST: f64 = 1.0 / 16.0;
/// That a share has fallen, or not, is not said where less than this was to be expected.
const EXPECTED_MIN: f64 = 4.0;
/// That a rate is taken is not said where less than this would have been refused of the same share as before.
const EXPECTED_TAKEN: f64 = 8.0;
/// One in a hundred may be refused at a rate that is taken.
const BACKGROUND: f64 = 0.01;
/// So few of a hundred are refused now and then within any limit.
const STRAY: f64 = 0.003;
/// A rate is given up as soon as so many messages were refused and so large a share.
const REFUSED_MIN: usize = 8;
const REFUSED_SHARE: f64 = 0.1;
/// From this share on it is much, and so many tell whether it is as much at a lower rate.
const MUCH: f64 = 0.25;
const MUCH_JUDGED: f64 = 14.0;
/// The longest that is sent as fast as answers come, in search of the first refusal.
const UNLIMITED_S: f64 = 6.0;

/// A message that was sent to measure, and its answer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shot {
    /// When it was written and answered, in seconds; no answer: none came while the line waited for it.
    pub written: f64,
    pub answered: Option<f64>,
    /// What the SMSC said.
    pub status: CommandStatus,
}

impl Shot {
    fn is_accepted(&self) -> bool {
        self.answered.is_some() && self.status == CommandStatus::OK
    }

    fn is_refused(&self) -> bool {
        self.answered.is_some() && self.status != CommandStatus::OK
    }
}

/// Whether a status may be said of the rate or of what is outstanding: of the classes that are tried again.
pub fn may_be_the_pace(status: CommandStatus) -> bool {
    matches!(status.class(), StatusClass::Throttled | StatusClass::Temporary)
}

/// A session to measure on.
pub trait Line {
    /// Why no more can be sent.
    type Error;

    /// Messages that may still be sent.
    fn left(&self) -> usize;

    /// Seconds from some moment on.
    fn now(&self) -> f64;

    /// Says what is done next.
    fn say(&mut self, words: &str);

    /// Lets so many seconds pass.
    fn wait(&mut self, seconds: f64) -> Result<(), Self::Error>;

    /// Writes so many at once, the last so many seconds after the others, but not at all where one of these is answered by
    /// then; waits for the answers.
    fn burst(&mut self, count: usize, last_after: f64) -> Result<Vec<Shot>, Self::Error>;

    /// Sends until `enough` says so of an answer, each of which it is shown once; waits for the other answers.
    fn flow(&mut self, flow: Flow, enough: &mut dyn FnMut(&Shot) -> bool) -> Result<Vec<Shot>, Self::Error>;
}

/// How messages follow one another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flow {
    /// So many a second; infinite: as fast as answers come.
    pub pace: f64,
    /// No more outstanding than this.
    pub outstanding: usize,
    /// For so long.
    pub seconds: f64,
    /// So many at most.
    pub count: usize,
}

/// How many may be outstanding.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Window {
    /// Two were never outstanding.
    #[default]
    Untried,
    /// So many were outstanding, and none was refused for it.
    AtLeast(usize),
    /// The (N + 1)th is refused, or left unanswered: no status.
    Is(usize, Option<CommandStatus>),
    /// It looks like that, and was not seen often enough.
    Perhaps(usize, Option<CommandStatus>),
    /// More than so many at once were refused, or left unanswered, but not for being outstanding.
    Other(usize, Option<CommandStatus>),
}

/// What is known of the rate.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum RateFound {
    /// Nothing was measured.
    #[default]
    Untried,
    /// None was refused, in less time than it takes to show a rate.
    Passed { count: usize, seconds: f64 },
    /// So many a second were taken for three seconds and more, none was refused, and more was not tried.
    Held { per_second: f64 },
    /// More was refused, so many a second were taken for three seconds.
    Limit { per_second: f64, status: CommandStatus },
    /// So many a second were taken for three seconds; a rate up to the other one was refused. Finding what lies between needs so
    /// many messages more.
    Between { per_second: f64, refused: f64, needs: usize, status: CommandStatus },
    /// Refused at about this rate; to show what is taken needs so many messages more.
    Unverified { about: f64, needs: usize, status: CommandStatus },
    /// So large a share is refused whatever the rate.
    Other { share: f64, status: CommandStatus },
    /// After the first refusal nothing was accepted for so long.
    Penalty { seconds: f64, about: f64, status: CommandStatus },
    /// The connection ended in the middle of it: so many a second had been sent.
    HungUp { about: f64 },
}

/// Looks for the window, up to `most` outstanding, where so much is asked for.
pub fn window<L: Line>(line: &mut L, most: usize, asked: Option<f64>, found: &mut Window) -> Result<(), L::Error> {
    let at_once = asked.unwrap_or(f64::INFINITY).min(1e9) as usize;
    let most = most.min(at_once).min(BURST_MAX);
    let share = (line.left() as f64 * BURST_SHARE).ceil() as usize;
    // Where there are enough to show the rate, there still are afterwards.
    let reserve = asked.map_or(0, |asked| (asked * SHOWN_S).ceil() as usize + 1);
    let budget = line.left().checked_sub(reserve).map_or(share, |rest| rest.min(share));
    let (mut spent, mut size) = (0, 2_usize);
    let mut largest = 0;
    while largest < most && most >= 2 {
        let count = size.min(most);
        if spent + count > budget || count > line.left() {
            break;
        }
        let shots = line.burst(count, 0.0)?;
        spent += count;
        let accepted = shots.iter().take_while(|shot| shot.is_accepted()).count();
        if accepted == count {
            (largest, size) = (count, size * 2);
            *found = Window::AtLeast(largest);
            continue;
        }
        // One in the middle, and others accepted after it: some other reason. So is the first of all.
        let refused = &shots[accepted..];
        let is_a_pace = |shot: &Shot| shot.answered.is_none() || may_be_the_pace(shot.status);
        if accepted == 0 || !refused.iter().all(|shot| !shot.is_accepted() && is_a_pace(shot)) {
            break;
        }
        let status = refused.first().and_then(|shot| shot.answered.map(|_| shot.status));
        confirm(line, &shots, accepted, status, found)?;
        break;
    }
    Ok(())
}

/// Whether the SMSC's window is `depth`: that many at a time pass without a pause, and one more does not.
fn confirm<L: Line>(
    line: &mut L,
    shots: &[Shot],
    depth: usize,
    status: Option<CommandStatus>,
    found: &mut Window,
) -> Result<(), L::Error> {
    let other = Window::Other(depth, status);
    *found = Window::Perhaps(depth, status);
    let wanted = (3 * depth).max(3);
    let count = wanted.min(line.left().saturating_sub(depth + 1));
    if count < 2 {
        return Ok(());
    }
    line.say(&format!("one more than {depth} at once was refused: is that the window, or the rate?"));
    let flow = Flow { pace: f64::INFINITY, outstanding: depth, seconds: f64::INFINITY, count };
    let passed = line.flow(flow, &mut |shot| !shot.is_accepted())?;
    if passed.iter().any(|shot| !shot.is_accepted()) {
        *found = other;
        return Ok(());
    }
    let times = shots.iter().chain(&passed).filter(|shot| shot.is_accepted());
    let answer = times.filter_map(|shot| Some(shot.answered? - shot.written)).fold(f64::INFINITY, f64::min);
    let mut gap = if answer >= ANSWER_MIN_S { answer * HELD_BACK } else { 0.0 };
    // The burst is the first time, if one alone was refused in it. Each time needs all to be in order.
    let (mut seen, mut not_seen) = (0, 0);
    while seen < SEEN_MIN && line.left() > depth {
        let shots = line.burst(depth + 1, gap)?;
        let last = shots.last().map_or(0.0, |shot| shot.written);
        let is_close = |shot: &Shot| shot.answered.is_some_and(|at| at < last + gap * CLOSE_ANSWER);
        if shots.len() <= depth || gap > 0.0 && shots[..depth].iter().any(is_close) {
            // It was too late for that, or nearly: this machine was slow, or the answer quick.
            gap = if gap > ANSWER_MIN_S / 2.0 { gap * 0.5 } else { 0.0 };
            continue;
        }
        let is_refused = |shot: &Shot| !shot.is_accepted();
        match (shots[..depth].iter().any(is_refused), shots[depth..].iter().all(is_refused)) {
            (false, true) => seen += 1,
            (false, false) => not_seen += 1,
            (true, _) => not_seen = NOT_SEEN_MAX,
        }
        if not_seen >= NOT_SEEN_MAX {
            // What refused it before was not the window.
            *found = other;
            return Ok(());
        }
    }
    if seen >= 1 {
        *found = if seen >= SEEN_MIN || passed.len() >= wanted { Window::Is(depth, status) } else { *found };
    }
    Ok(())
}

/// Looks for the rate, up to `asked` a second, with so many outstanding.
pub fn rate<L: Line>(
    line: &mut L,
    asked: Option<f64>,
    outstanding: usize,
    found: &mut RateFound,
) -> Result<(), L::Error> {
    if line.left() < 2 {
        return Ok(());
    }
    let pace = asked.unwrap_or(f64::INFINITY);
    let seconds = if asked.is_some() { f64::INFINITY } else { UNLIMITED_S };
    let flow = Flow { pace, outstanding, seconds, count: usize::MAX };
    let mut seen = (0, 0);
    let mut enough = |shot: &Shot| {
        seen = (seen.0 + 1, seen.1 + usize::from(shot.is_refused()));
        seen.1 >= FIRST_REFUSED || seen.1 > 0 && seen.0 >= FIRST_MIN
    };
    let first = line.flow(flow, &mut enough)?;
    let Some(refused) = first.iter().rfind(|shot| shot.is_refused()).copied() else {
        *found = passed(&first, asked);
        return Ok(());
    };
    let status = refused.status;
    if !may_be_the_pace(status) {
        return Ok(());
    }
    let about = taken_before(&first, refused.written).max(1.0);
    let needs = 3 * (about * (SETTLE_S + SHOWN_S)).ceil() as usize;
    *found = RateFound::Unverified { about, needs, status };
    let refused_since = line.now();
    let (mut rate, mut seconds, mut nothing) = (about, SHOWN_S, 0_u32);
    let mut seen = Seen::after(&first, about);
    let (mut looked_again, mut steady) = (false, 0);
    for _ in 0..TRIES_MAX {
        rate = if rate >= 5.0 { rate.floor() } else { rate };
        let needs = (rate * (SETTLE_S + seconds)).ceil() as usize;
        if line.left() < needs {
            *found = seen.so_far(status, rate, needs);
            return Ok(());
        }
        line.say(&format!("refused: is {}/s taken?", words(rate)));
        let pass = try_rate(line, rate, outstanding, seconds)?;
        nothing = if pass.is_any_accepted { 0 } else { nothing + 1 };
        if nothing > 0 {
            // A second that is full is over by then; a penalty is not.
            line.wait(f64::from(nothing))?;
        }
        if nothing >= 3 {
            *found = RateFound::Penalty { seconds: line.now() - refused_since, about, status };
            return Ok(());
        }
        seen.add(rate, pass);
        if let Some(share) = whatever_the_rate(&seen.passes) {
            *found = RateFound::Other { share, status };
            return Ok(());
        }
        seconds = SHOWN_S;
        match seen.taken {
            // What lies between the two is looked at, where it is much.
            Some(taken) if seen.refused_at > (taken * SEARCHED).max(taken + 1.0) => {
                rate = (taken * seen.refused_at).sqrt().min(STEP_MAX * taken).max(taken + 1.0);
            }
            Some(taken) if !seen.is_shown() && !looked_again => {
                looked_again = true;
                (rate, seconds) = (taken, seen.shown_by(taken));
            }
            Some(_) => {
                *found = seen.so_far(status, rate, needs);
                return Ok(());
            }
            // A few of all of them, from beginning to end, and again a little below: half the rate tells whether it has to do
            // with it, after as many as would show that.
            None => {
                steady =
                    if pass.is_whole && pass.share() < REFUSED_SHARE && pass.refused >= 2 { steady + 1 } else { 0 };
                rate *= if steady >= 2 { 0.5 } else { ((1.0 - pass.share()) * 0.97).clamp(0.5, 0.9) };
                seconds = match steady {
                    2.. => seen.shown_by(rate),
                    // Much refused at one rate and the next: at a few a second that takes longer to tell.
                    _ if seen.passes.len() >= 2 && pass.share() >= MUCH => SHOWN_S.max(MUCH_JUDGED / rate),
                    _ => SHOWN_S,
                };
            }
        }
        if rate < about * LEAST {
            break;
        }
    }
    if seen.taken.is_some() {
        *found = seen.so_far(status, rate, line.left());
    }
    Ok(())
}

/// What was tried, and what came of it.
struct Seen {
    /// Before a rate was tried.
    first: (f64, Pass),
    passes: Vec<(f64, Pass)>,
    /// The highest rate that was taken, and the lowest above it that was not.
    taken: Option<f64>,
    refused_at: f64,
}

impl Seen {
    fn after(first: &[Shot], about: f64) -> Self {
        let pass = Pass::of(&first.iter().collect::<Vec<_>>(), true, first);
        let refused_at = written(first).max(about);
        Self { first: (refused_at, pass), passes: Vec::new(), taken: None, refused_at }
    }

    fn add(&mut self, rate: f64, pass: Pass) {
        self.passes.push((rate, pass));
        if pass.is_clean() {
            self.taken = Some(self.taken.map_or(rate, |taken| taken.max(rate)));
        } else {
            self.refused_at = rate;
            self.taken = self.taken.filter(|taken| *taken < rate);
        }
    }

    /// What was seen above what was taken.
    fn above(&self) -> Option<Pooled> {
        let taken = self.taken.unwrap_or(0.0);
        let tried = std::iter::once(&self.first).chain(&self.passes);
        Pooled::of(&tried.filter(|(rate, _)| *rate > taken).collect::<Vec<_>>())
    }

    /// Whether so many were taken that of a share that does not depend on the rate some would have been refused.
    fn is_shown(&self) -> bool {
        let (Some(taken), Some(above)) = (self.taken, self.above()) else { return self.taken.is_some() };
        let within = Pooled::of(&self.passes.iter().filter(|(rate, _)| *rate <= taken).collect::<Vec<_>>());
        within.is_some_and(|within| above.at_least() * within.judged >= EXPECTED_TAKEN)
    }

    /// How long it takes at this rate until that would be shown.
    fn shown_by(&self, rate: f64) -> f64 {
        let share = self.above().map_or(1.0, |above| above.at_least().max(0.001));
        (1.1 * EXPECTED_TAKEN / (share * rate)).clamp(SHOWN_S, SHOWN_MAX_S)
    }

    /// What is known, where the next look is at `rate` and needs so many messages.
    fn so_far(&self, status: CommandStatus, rate: f64, needs: usize) -> RateFound {
        match self.taken.filter(|_| self.is_shown()) {
            Some(taken) => {
                // Credit that an SMSC gives may have helped a little; of a few a second none is worth a margin.
                let margin = if taken < MARGIN_FROM { taken } else { (MARGIN * taken).floor() };
                let answered = self.passes.iter().filter(|(rate, _)| *rate == taken).map(|(_, pass)| pass.answered);
                // Where answers are slower than that, they are what counts.
                let reached = answered.fold(0.0, f64::max);
                let per_second = if reached < REACHED * margin { reached } else { margin };
                match self.refused_at > (taken * CLOSE).max(taken + 1.0) {
                    true => RateFound::Between { per_second, refused: self.refused_at, needs: 5 * needs, status },
                    false => RateFound::Limit { per_second, status },
                }
            }
            None => RateFound::Unverified { about: rate, needs: 3 * needs, status },
        }
    }
}

/// What was seen at a rate.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Of those that count, that many were refused.
    judged: usize,
    refused: usize,
    /// It was not given up.
    is_whole: bool,
    is_any_accepted: bool,
    /// Accepted a second, by the answers.
    answered: f64,
}

impl Pass {
    fn of(judged: &[&Shot], is_whole: bool, all: &[Shot]) -> Self {
        Self {
            judged: judged.len(),
            refused: judged.iter().filter(|shot| shot.is_refused()).count(),
            is_whole,
            is_any_accepted: all.iter().any(Shot::is_accepted),
            answered: answered(all),
        }
    }

    fn is_clean(&self) -> bool {
        self.is_whole && self.share() <= BACKGROUND
    }

    fn share(&self) -> f64 {
        self.refused as f64 / self.judged.max(1) as f64
    }
}

/// Sends at this rate, for a second that does not count and so many that do.
fn try_rate<L: Line>(line: &mut L, rate: f64, outstanding: usize, seconds: f64) -> Result<Pass, L::Error> {
    let started = line.now();
    let counts = |shot: &&Shot| shot.written >= started + SETTLE_S;
    // In the first second some are refused as a rule: only where it is most of them is that enough.
    let (mut early, mut late) = ((0, 0), (0, 0));
    let mut gives_up = |shot: &Shot| {
        let (seen, share) = if counts(&shot) { (&mut late, REFUSED_SHARE) } else { (&mut early, 0.5) };
        *seen = (seen.0 + 1, seen.1 + usize::from(shot.is_refused()));
        seen.1 >= REFUSED_MIN && seen.1 as f64 >= share * seen.0 as f64
    };
    let flow = Flow { pace: rate, outstanding, seconds: SETTLE_S + seconds, count: usize::MAX };
    let shots = line.flow(flow, &mut gives_up)?;
    let settled: Vec<&Shot> = shots.iter().filter(counts).collect();
    let judged: Vec<&Shot> = if settled.is_empty() { shots.iter().collect() } else { settled };
    let lasted = shots.last().map_or(0.0, |last| last.written - started);
    Ok(Pass::of(&judged, lasted + 1.5 / rate >= SETTLE_S + seconds, &shots))
}

/// None was refused.
fn passed(shots: &[Shot], asked: Option<f64>) -> RateFound {
    let (Some(first), Some(last)) = (shots.first(), shots.last()) else { return RateFound::Untried };
    let count = shots.iter().filter(|shot| shot.is_accepted()).count();
    let seconds = last.written - first.written;
    // The last of a rate's second is written a moment before its end.
    let over = seconds + seconds / (shots.len() as f64 - 1.0).max(1.0);
    if over < SHOWN_S || count < shots.len() {
        return RateFound::Passed { count, seconds };
    }
    let reached = answered(shots);
    let per_second = asked.filter(|asked| reached >= asked * 0.97).unwrap_or(reached);
    RateFound::Held { per_second }
}

/// Accepted a second, by the answers, from the first to the last.
fn answered(shots: &[Shot]) -> f64 {
    let times = shots.iter().filter(|shot| shot.is_accepted()).filter_map(|shot| shot.answered);
    let (least, most, count) = times
        .fold((f64::INFINITY, 0.0_f64, 0_usize), |(least, most, count), at| (least.min(at), most.max(at), count + 1));
    if count < 2 || most <= least { 0.0 } else { (count - 1) as f64 / (most - least) }
}

/// Written a second.
fn written(shots: &[Shot]) -> f64 {
    let (Some(first), Some(last)) = (shots.first(), shots.last()) else { return 0.0 };
    (shots.len() - 1) as f64 / (last.written - first.written).max(0.001)
}

/// What was accepted in the second before, and where it began later, since then.
fn taken_before(shots: &[Shot], until: f64) -> f64 {
    let accepted = |shot: &&Shot| shot.is_accepted() && shot.written < until;
    let within = shots.iter().filter(accepted).filter(|shot| shot.written >= until - 1.0).count();
    within as f64
}

/// The share that is refused at any rate: what was refused at about half the highest rate and below, or below some rate further
/// down, is more than a limit would have refused there, and not much less a share than above. `None`: it fell, or it is too
/// early to say.
fn whatever_the_rate(passes: &[(f64, Pass)]) -> Option<f64> {
    let highest = passes.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
    passes.iter().map(|(rate, _)| *rate).filter(|rate| *rate <= LOW * highest).find_map(|bound| {
        let low: Vec<_> = passes.iter().filter(|(rate, _)| *rate <= bound).collect();
        let high: Vec<_> = passes.iter().filter(|(rate, _)| *rate > LOW * highest).collect();
        is_as_large_below(&Pooled::of(&low)?, &Pooled::of(&high)?)
    })
}

fn is_as_large_below(low: &Pooled, high: &Pooled) -> Option<f64> {
    // Of few, more may be refused as a rule than was.
    let most = high.share() + 2.0 * (high.share() * (1.0 - high.share()) / high.judged).sqrt() + 1.0 / high.judged;
    let of_a_limit = |share: f64| (1.0 - (1.0 - share) * high.rate / low.rate).clamp(STRAY, 1.0);
    let expected = of_a_limit(most) * low.judged;
    let is_more = low.refused >= EXPECTED_MIN && low.refused >= expected + 2.5 * expected.sqrt() + 3.0;
    let is_as_large = low.share() >= (high.share() + of_a_limit(high.share()).min(high.share())) / 2.0;
    let all = (low.refused + high.refused) / (low.judged + high.judged);
    (is_more && is_as_large && low.share() < 0.95).then_some(all)
}

/// What was seen at several rates, and these on average.
struct Pooled {
    rate: f64,
    judged: f64,
    refused: f64,
}

impl Pooled {
    fn of(passes: &[&(f64, Pass)]) -> Option<Self> {
        let sum = |of: &dyn Fn(&(f64, Pass)) -> f64| passes.iter().map(|pass| of(pass)).sum::<f64>();
        let judged = sum(&|(_, pass)| pass.judged as f64);
        let rate = sum(&|(rate, pass)| rate * pass.judged as f64) / judged;
        (judged > 0.0).then(|| Self { rate, judged, refused: sum(&|(_, pass)| pass.refused as f64) })
    }

    fn share(&self) -> f64 {
        self.refused / self.judged
    }

    /// The share that it is at least, as a rule.
    fn at_least(&self) -> f64 {
        let share = self.share();
        (share - (share * (1.0 - share) / self.judged).sqrt()).max(0.0)
    }
}

/// A rate in words and for a profile: whole where it can be, never more than was found.
pub fn words(rate: f64) -> String {
    if rate >= 1.0 { format!("{:.0}", rate.floor()) } else { format!("{:.1}", (rate * 10.0).floor().max(1.0) / 10.0) }
}

#[cfg(test)]
mod tests;
