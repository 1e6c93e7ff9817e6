//! What a person sees while a command works: one line that changes on a terminal, a line now and then elsewhere.
//! All of it goes to stderr, by the thread of [`crate::platform::screen`]: nothing here waits.

use crate::journal::model::key::State;
use crate::journal::writer::Status;
use crate::platform::screen;
use crate::platform::screen::Pieces;
use crate::policy::hours::Verdict;
use crate::policy::pacer::Rate;
use crate::report::progress_json;
use crate::report::repeats::Repeats;
use crate::run::pipeline::{Progress, Waits};
use crate::words::format::{count, number, rate};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where stderr is no terminal, a line of progress this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The rate shown is over so long, and the time that is left is reckoned from it.
const RATE_OVER: Duration = Duration::from_secs(10);
/// Before so much was seen, no time is said that is left.
const SEEN_MIN: Duration = Duration::from_secs(2);
/// Longer than this nobody can know how it goes on.
const LEFT_MAX: f64 = 1e8;

/// The display of one command.
pub struct Display {
    redraws: bool,
    started: Instant,
    line_at: Cell<Option<Instant>>,
    seen: RefCell<VecDeque<(Instant, u64, i64)>>,
    repeats: Arc<Mutex<Repeats>>,
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl Display {
    /// A display on stderr.
    pub fn new() -> Self {
        let seen = RefCell::default();
        let redraws = screen::can_redraw() && !crate::platform::logging::is_quiet();
        let started = Instant::now();
        Self { redraws, started, line_at: Cell::new(None), seen, repeats: Arc::new(Mutex::new(Repeats::new(started))) }
    }

    /// Rows read by an import.
    pub fn importing(&self, rows: u64) {
        let mut line = Pieces::default();
        line.add(0, format!("importing: {} rows", number(i64::try_from(rows).unwrap_or(i64::MAX))));
        self.show(line);
    }

    /// How sending stands.
    pub fn sending(&self, progress: &Progress) {
        for notice in &progress.notices {
            self.say(notice);
        }
        let now = Instant::now();
        let tally = Tally::of(progress);
        let pace = self.pace(now, progress.status.accepted, tally.sent);
        if let Some(lines) = progress_json::lines() {
            let pace = pace.filter(|_| tally.left > 0 && !is_waiting(progress));
            let left = pace.map(|(_, messages)| tally.left as f64 / messages).filter(|left| *left < LEFT_MAX);
            let (line, sent) = (pace.map(|(parts, _)| parts), (tally.sent, tally.left));
            lines.show(progress_json::Line::of(&progress.status, sent, progress.bound, (line, left)), tally.held_back);
        }
        self.show(sending(progress, &tally, pace, now.saturating_duration_since(self.started), now, Timestamp::now()));
    }

    /// How sending stood at its end: nothing is shown of that but to a program that reads along.
    pub fn sent(&self, status: &Status) {
        if let Some(lines) = progress_json::lines() {
            let tally = Tally::of_status(status, lines.held_back());
            let line = progress_json::Line::of(status, (tally.sent, tally.left), 0, (None, None));
            lines.show(line, tally.held_back);
        }
    }

    /// How listening stands.
    pub fn listening(&self, progress: &Progress) {
        for notice in &progress.notices {
            self.say(notice);
        }
        let status = &progress.status;
        let mut line = Pieces::default();
        line.add(2, "listening");
        waits(&mut line, &progress.waits, Instant::now(), progress.bound);
        line.add(1, format!("{} receipts ({} unmatched)", status.receipts, status.unmatched));
        line.add(1, format!("{} inbound messages", status.inbound));
        self.show(line);
    }

    /// Has warnings counted with what a service says, so that they are not said again and again either.
    pub fn count_warnings(&self) {
        let repeats = Arc::clone(&self.repeats);
        crate::platform::logging::say_only(Box::new(move |line| repeats.lock().is_news(line)));
    }

    /// How a service stands: a changing line on a terminal, and elsewhere only what changes, for a log of months.
    pub fn serving(&self, progress: &Progress) {
        let (status, now) = (&progress.status, Instant::now());
        if let Some(repeated) = self.repeats.lock().summary(now) {
            self.say(&repeated);
        }
        for notice in &progress.notices {
            if self.repeats.lock().is_news(notice) {
                self.say(notice);
            }
        }
        if !self.redraws {
            return;
        }
        let count = |state: State| status.counts[state as usize];
        let left = count(State::Queued) + count(State::Sending);
        let all: i64 = status.counts.iter().sum();
        let mut line = Pieces::default();
        line.add(2, "serving");
        let is_waiting = waits(&mut line, &progress.waits, now, progress.bound);
        match left {
            0 => line.add(1, "nothing to send"),
            left => line.add(0, format!("{} to send", number(left))),
        }
        if let (true, Some((parts, _))) = (left > 0 && !is_waiting, self.pace(now, status.accepted, all - left)) {
            line.add(1, format!("{}/s", rate(parts)));
        }
        line.add(3, format!("{} receipts ({} unmatched)", status.receipts, status.unmatched));
        line.add(3, format!("{} inbound messages", status.inbound));
        self.show(line);
    }

    /// Parts and messages a second of late; `None`: it is too early to say.
    fn pace(&self, now: Instant, accepted: u64, sent: i64) -> Option<(f64, f64)> {
        let mut seen = self.seen.borrow_mut();
        // Ten times a second would be more than is needed.
        if seen.back().is_none_or(|(at, ..)| now - *at >= Duration::from_millis(500)) {
            seen.push_back((now, accepted, sent));
        }
        while seen.len() > 2 && seen.front().is_some_and(|(at, ..)| now - *at > RATE_OVER) {
            seen.pop_front();
        }
        let (at, parts, messages) = *seen.front()?;
        let seconds = (now - at).as_secs_f64();
        let pace = ((accepted - parts) as f64 / seconds, (sent - messages) as f64 / seconds);
        (now - at >= SEEN_MIN).then_some(pace)
    }

    fn show(&self, line: Pieces) {
        if crate::platform::logging::is_quiet() {
            return;
        }
        if !self.redraws && self.line_at.get().is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            // The first one would say that nothing happened yet.
            if self.line_at.get().is_some() {
                screen::say(&line.whole());
            }
            self.line_at.set(Some(Instant::now()));
        }
        screen::stderr().set_line(Some(line));
    }

    /// A line that stays, of something that goes as it should.
    pub fn say(&self, line: &str) {
        if crate::platform::logging::is_quiet() {
            return crate::platform::logging::keep(line);
        }
        self.must_say(line);
    }

    /// A line that stays, of something that somebody has to know.
    pub fn must_say(&self, line: &str) {
        screen::say(line);
    }

    /// Takes the changing line away.
    pub fn clear(&self) {
        screen::stderr().set_line(None);
    }
}

/// Messages of this run.
struct Tally {
    /// That are sent, or need not be any more.
    sent: i64,
    /// That are to be, in this run.
    left: i64,
    /// That wait for another run.
    held_back: i64,
}

impl Tally {
    fn of(progress: &Progress) -> Self {
        Self::of_status(&progress.status, progress.held_back)
    }

    fn of_status(status: &Status, held_back: i64) -> Self {
        let count = |state: State| status.counts[state as usize];
        let unsent = count(State::Queued) + count(State::Sending);
        let held_back = if status.all_sent { unsent } else { held_back.min(unsent) };
        // What is left out on purpose is not sent, and not to be.
        let left_out = count(State::Suppressed) + count(State::Cancelled);
        let all: i64 = status.counts.iter().sum();
        Self { sent: all - left_out - unsent, left: unsent - held_back, held_back }
    }
}

/// The line of a run that sends. Pure.
fn sending(
    progress: &Progress,
    tally: &Tally,
    pace: Option<(f64, f64)>,
    elapsed: Duration,
    now: Instant,
    clock: Timestamp,
) -> Pieces {
    let mut line = Pieces::default();
    let all = tally.sent + tally.left;
    let status = &progress.status;
    let receipts = status.awaiting_receipts + status.doubts_awaiting_receipts;
    let is_waiting = waits(&mut line, &progress.waits, now, progress.bound);
    if tally.left == 0 && receipts > 0 {
        line.add(0, format!("{} outstanding", count(receipts, "receipt")));
    } else if tally.left == 0 && status.late_answers > 0 {
        line.add(0, format!("{} outstanding", count(status.late_answers as i64, "late answer")));
    }
    if tally.held_back > 0 && progress.limit.is_some() {
        line.add(if tally.left == 0 { 1 } else { 5 }, format!("{} held back by --limit", number(tally.held_back)));
    }
    if all > 0 && tally.left > 0 {
        line.add(if is_waiting { 1 } else { 0 }, format!("{} %", tally.sent * 100 / all));
    }
    line.add(if is_waiting { 2 } else { 1 }, format!("{} of {} sent", number(tally.sent), number(all)));
    if let (true, Some((parts, messages))) = (tally.left > 0 && !is_waiting, pace) {
        line.add(3, format!("{}/s", rate(parts)));
        let left = tally.left as f64 / messages;
        if left.is_finite() && left < LEFT_MAX {
            line.add(2, format!("{} left", time(Duration::from_secs_f64(left))));
            if let Some(end) = end(progress, clock, left) {
                line.add(4, format!("done at {end}"));
            }
        }
    }
    line.add(5, format!("{} so far", time(elapsed)));
    if status.throttled > 0 {
        let going = match progress.rate {
            Rate::PerSecond(now) => format!(", going at {}/s", rate(now)),
            Rate::Unlimited => String::new(),
        };
        line.add(5, format!("throttled {} (slowed down{going})", times(status.throttled)));
    }
    for (state, rank, word) in [
        (State::InDoubt, 4, "in doubt"),
        (State::Rejected, 4, "rejected"),
        (State::Failed, 4, "failed"),
        (State::PartlyDelivered, 6, "partly delivered"),
        (State::Delivered, 6, "delivered"),
        (State::Suppressed, 7, "suppressed"),
        (State::Cancelled, 7, "cancelled"),
    ] {
        let count = status.counts[state as usize];
        if count > 0 {
            line.add(rank, format!("{} {word}", number(count)));
        }
    }
    line
}

/// Whether the run waits for something that must come before it goes on.
fn is_waiting(progress: &Progress) -> bool {
    progress.bound == 0 || progress.waits.blocked || progress.waits.closed_until.is_some()
}

/// What the run waits for, if for anything that must come before it goes on.
fn waits(line: &mut Pieces, waits: &Waits, now: Instant, bound: usize) -> bool {
    if let Some(until) = &waits.closed_until {
        line.add(0, format!("outside sending hours until {until}"));
        return true;
    }
    if waits.blocked {
        line.add(0, "another process keeps the journal from being written");
        return true;
    }
    if bound > 0 {
        return false;
    }
    let since = waits.unbound_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
    line.add(0, format!("not connected for {}", time(since)));
    match waits.next_try {
        Some(at) if at > now => {
            line.add(0, format!("next try in {}", time((at - now) + Duration::from_millis(999))));
        }
        _ => line.add(0, "connecting"),
    }
    true
}

/// The clock time at which all will be sent, where the sending hours do not come between.
fn end(progress: &Progress, clock: Timestamp, left: f64) -> Option<String> {
    let end = clock.checked_add(SignedDuration::try_from_secs_f64(left).ok()?).ok()?;
    let hours = &progress.hours;
    if hours.limit() && hours.at(end) != Verdict::Open {
        return None;
    }
    let (end, today) = (end.to_zoned(hours.zone.clone()), clock.to_zoned(hours.zone.clone()));
    let form = if end.date() == today.date() { "%H:%M" } else { "%a %d %b %H:%M" };
    Some(end.strftime(form).to_string())
}

/// `12 s`, `5:03 min`, `2:05 h`, `3 d 4 h`.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}:{:02} h", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::Hours;

    struct Case {
        counts: &'static [(State, i64)],
        pace: Option<(f64, f64)>,
        bound: usize,
        change: fn(&mut Progress, Instant),
        columns: usize,
        expected: &'static str,
    }

    #[test]
    fn f49_the_line_says_how_far_it_is_what_it_waits_for_and_when_it_will_be_done() {
        use State::{Accepted, Delivered, InDoubt, Queued, Suppressed};
        let now = Instant::now();
        let clock: Timestamp = "2026-11-23T13:58:00Z".parse().unwrap();
        let sending_1_of_4 = &[(Queued, 7_500), (Accepted, 2_400), (InDoubt, 100), (Suppressed, 5)];
        let cases = [
            Case {
                counts: sending_1_of_4,
                pace: Some((29.84, 25.0)),
                bound: 1,
                change: |_, _| {},
                columns: 200,
                expected: "25 %, 2,500 of 10,000 sent, 29.8/s, 5:00 min left, done at 14:03, 1:02 min so far, 100 in doubt, \
                           5 suppressed",
            },
            Case {
                counts: sending_1_of_4,
                pace: Some((29.84, 25.0)),
                bound: 1,
                change: |_, _| {},
                columns: 44,
                expected: "25 %, 2,500 of 10,000 sent, 5:00 min left",
            },
            Case {
                counts: sending_1_of_4,
                pace: Some((29.84, 25.0)),
                bound: 1,
                change: |_, _| {},
                columns: 40,
                expected: "25 %, 2,500 of 10,000 sent",
            },
            // Nothing goes: nobody knows when it will be done.
            Case {
                counts: sending_1_of_4,
                pace: Some((0.0, 0.0)),
                bound: 1,
                change: |progress, _| progress.status.throttled = 1,
                columns: 80,
                expected: "25 %, 2,500 of 10,000 sent, 0.0/s, 100 in doubt",
            },
            Case {
                counts: sending_1_of_4,
                pace: None,
                bound: 1,
                change: |progress, _| progress.held_back = 7_000,
                columns: 100,
                expected: "7,000 held back by --limit, 83 %, 2,500 of 3,000 sent, 1:02 min so far, 100 in doubt, \
                           5 suppressed",
            },
            Case {
                counts: sending_1_of_4,
                pace: Some((29.84, 25.0)),
                bound: 0,
                change: |progress, now| {
                    progress.waits.unbound_since = Some(now - Duration::from_secs(50));
                    progress.waits.next_try = Some(now + Duration::from_millis(11_500));
                },
                columns: 40,
                expected: "not connected for 50 s, next try in 12 s",
            },
            Case {
                counts: sending_1_of_4,
                pace: None,
                bound: 0,
                change: |progress, _| progress.waits.closed_until = Some("09:00".into()),
                columns: 40,
                expected: "outside sending hours until 09:00, 25 %",
            },
            Case {
                counts: &[(Queued, 2), (Accepted, 1), (Delivered, 7)],
                pace: None,
                bound: 1,
                change: |progress, _| {
                    (progress.status.awaiting_receipts, progress.status.all_sent) = (1, true);
                },
                columns: 60,
                expected: "1 receipt outstanding, 2 held back by --limit, 8 of 8 sent",
            },
            // The sending hours end before it is done.
            Case {
                counts: sending_1_of_4,
                pace: Some((29.84, 25.0)),
                bound: 1,
                change: |progress, _| progress.hours.between = Some("09:00-14:00".parse().unwrap()),
                columns: 66,
                expected: "25 %, 2,500 of 10,000 sent, 29.8/s, 5:00 min left, 100 in doubt",
            },
        ];
        for Case { counts, pace, bound, change, columns, expected } in cases {
            let mut status = Status::default();
            for (state, count) in counts {
                status.counts[*state as usize] = *count;
            }
            let mut progress = Progress {
                status,
                bound,
                rate: Rate::PerSecond(30.0),
                notices: Vec::new(),
                waits: Waits::default(),
                limit: Some(1),
                held_back: 0,
                hours: Hours::default(),
            };
            change(&mut progress, now);
            let tally = Tally::of(&progress);
            let line = sending(&progress, &tally, pace, Duration::from_secs(62), now, clock);
            assert_eq!(line.fit(columns), expected);
        }
    }

    #[test]
    fn times_of_the_line() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (303, "5:03 min"), (7_500, "2:05 h"), (273_600, "3 d 4 h")]
        {
            assert_eq!(time(Duration::from_secs(seconds)), expected);
        }
    }
}
