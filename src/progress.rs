//! What a person sees while a command works: one line that changes on a terminal, a line now and then elsewhere.
//! All of it goes to stderr.

use crate::journal::key::State;
use crate::pacer::Rate;
use crate::pipeline::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where stderr is no terminal, a line of progress this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The rate shown is over so long.
const RATE_OVER: Duration = Duration::from_secs(3);

/// The display of one command.
pub struct Display {
    bar: Option<ProgressBar>,
    line_at: Cell<Option<Instant>>,
    seen: RefCell<VecDeque<(Instant, u64)>>,
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl Display {
    /// A display on stderr.
    pub fn new() -> Self {
        let bar = (io::stderr().is_terminal() && !crate::logging::is_quiet()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, line_at: Cell::new(None), seen: RefCell::default() }
    }

    /// Rows read by an import.
    pub fn importing(&self, rows: u64) {
        self.show(&format!("importing: {rows} rows"));
    }

    /// How sending stands.
    pub fn sending(&self, progress: &Progress) {
        for notice in &progress.notices {
            self.say(notice);
        }
        let count = |state: State| progress.status.counts[state as usize];
        let total: i64 = progress.status.counts.iter().sum();
        let left = count(State::Queued) + count(State::Sending);
        // What is left out on purpose is not sent, and not to be.
        let total = total - count(State::Suppressed) - count(State::Cancelled);
        let mut line = format!("{} of {total} sent", total - left);
        for (state, word) in [
            (State::Delivered, "delivered"),
            (State::PartlyDelivered, "partly delivered"),
            (State::Failed, "failed"),
            (State::Rejected, "rejected"),
            (State::InDoubt, "in doubt"),
            (State::Suppressed, "suppressed"),
            (State::Cancelled, "cancelled"),
        ] {
            if count(state) > 0 {
                line += &format!(", {} {word}", count(state));
            }
        }
        let receipts = progress.status.awaiting_receipts + progress.status.doubts_awaiting_receipts;
        if left == 0 && receipts > 0 {
            line += &format!(", waiting for {}", crate::report::text::count(receipts, "receipt"));
        } else if left == 0 && progress.status.late_answers > 0 {
            line += &format!(", waiting for {} late answers", progress.status.late_answers);
        } else if progress.bound == 0 {
            line += ", not connected";
        } else {
            line += &format!(", {:.0}/s", self.rate(progress.status.accepted));
            if progress.status.throttled > 0 {
                let throttled = i64::try_from(progress.status.throttled).unwrap_or(i64::MAX);
                line += &format!(" (throttled {}", crate::report::text::times(throttled));
                if let Rate::PerSecond(rate) = progress.rate {
                    line += &format!(", going at {rate:.0}/s");
                }
                line += ")";
            }
        }
        self.show(&line);
    }

    /// How listening stands.
    pub fn listening(&self, progress: &Progress) {
        for notice in &progress.notices {
            self.say(notice);
        }
        let status = &progress.status;
        let connected = if progress.bound == 0 { ", not connected" } else { "" };
        self.show(&format!(
            "listening: {} receipts ({} unmatched), {} inbound messages{connected}",
            status.receipts, status.unmatched, status.inbound
        ));
    }

    fn rate(&self, accepted: u64) -> f64 {
        let mut seen = self.seen.borrow_mut();
        let now = Instant::now();
        seen.push_back((now, accepted));
        while seen.len() > 2 && seen.front().is_some_and(|(at, _)| now - *at > RATE_OVER) {
            seen.pop_front();
        }
        match seen.front() {
            Some((at, before)) if now > *at => (accepted - before) as f64 / (now - *at).as_secs_f64(),
            _ => 0.0,
        }
    }

    fn show(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None if self.line_at.get().is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                // The first one would say that nothing happened yet.
                if self.line_at.get().is_some() && !crate::logging::is_quiet() {
                    let _ = writeln!(io::stderr(), "{line}");
                }
                self.line_at.set(Some(Instant::now()));
            }
            None => {}
        }
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    /// A line that stays, of something that goes as it should.
    pub fn say(&self, line: &str) {
        if crate::logging::is_quiet() {
            return crate::logging::keep(line);
        }
        self.must_say(line);
    }

    /// A line that stays, of something that somebody has to know.
    pub fn must_say(&self, line: &str) {
        crate::logging::keep(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| {
                let _ = writeln!(io::stderr(), "{line}");
            }),
            None => {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
    }

    /// Takes the changing line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
