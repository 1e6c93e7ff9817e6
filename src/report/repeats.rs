//! A log of months: each thing is said when it happens, and what happens again and again is counted and told once an hour.

use crate::words::format::times as times_words;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The same thing is said so often, until it has not happened for an hour.
const SAID_MAX: u32 = 3;
/// After so long everything is said anew.
const HOUR: Duration = Duration::from_secs(3_600);
/// Things that are told apart: what is more is said as it comes.
const KINDS_MAX: usize = 500;
/// Things that the hour's line names.
const TOLD_MAX: usize = 5;

/// What was said in the hour that runs.
#[derive(Debug)]
pub struct Repeats {
    since: Instant,
    /// By kind: how often it was said, how often it was not, and what it was last.
    kinds: BTreeMap<String, (u32, u32, String)>,
}

impl Repeats {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self { since: now, kinds: BTreeMap::new() }
    }

    /// Whether this is to be said.
    pub fn is_news(&mut self, words: &str) -> bool {
        let kind = kind(words);
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            return true;
        }
        let (said, kept_back, last) = self.kinds.entry(kind).or_default();
        if *said < SAID_MAX {
            *said += 1;
            return true;
        }
        *kept_back += 1;
        words.clone_into(last);
        false
    }

    /// Once an hour, what was not said in it, in one line.
    pub fn summary(&mut self, now: Instant) -> Option<String> {
        if now.saturating_duration_since(self.since) < HOUR {
            return None;
        }
        self.since = now;
        // What goes on is told here alone from then on; what has stopped is news when it comes again.
        self.kinds.retain(|_, (_, times, _)| *times > 0);
        let mut kept_back: Vec<(u32, String)> =
            self.kinds.values_mut().map(|(_, times, last)| (std::mem::take(times), std::mem::take(last))).collect();
        kept_back.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let more = kept_back.len().saturating_sub(TOLD_MAX);
        let mut told: Vec<String> = kept_back
            .into_iter()
            .take(TOLD_MAX)
            .map(|(times, last)| format!("{}: {last}", times_words(i64::from(times))))
            .collect();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        (!told.is_empty()).then(|| format!("in the last hour again {}", told.join("; ")))
    }
}

/// Words without the numbers in them: the same thing, however long it took.
fn kind(words: &str) -> String {
    let mut kind = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            c => kind.push(c),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_days_without_an_smsc_are_fewer_than_a_hundred_lines() {
        let start = Instant::now();
        let mut repeats = Repeats::new(start);
        let mut lines = 0;
        // Every 15 s one reason or the other, on two connections.
        for second in (0..3 * 24 * 3_600).step_by(15) {
            let now = start + Duration::from_secs(second);
            lines += usize::from(repeats.summary(now).is_some());
            for connection in 1..=2 {
                let why = if second % 30 == 0 { "refused" } else { "no answer within 10 s" };
                let words = format!("connection {connection}: {why}; next try in {}.{} s", second % 29, second % 7);
                lines += usize::from(repeats.is_news(&words));
            }
        }
        assert!(lines <= 100, "{lines}");
    }

    #[test]
    fn what_was_not_said_is_told_with_its_number() {
        let start = Instant::now();
        let mut repeats = Repeats::new(start);
        let said: Vec<bool> = (0..10).map(|n| repeats.is_news(&format!("lost after {n} s"))).collect();
        assert_eq!(said.iter().filter(|said| **said).count(), SAID_MAX as usize);
        assert!(repeats.is_news("bound"));
        assert_eq!(repeats.summary(start + HOUR / 2), None);
        assert_eq!(repeats.summary(start + HOUR), Some("in the last hour again 7 times: lost after 9 s".into()));
        assert!(!repeats.is_news("lost after 11 s"), "it goes on");
        assert_eq!(repeats.summary(start + 2 * HOUR), Some("in the last hour again once: lost after 11 s".into()));
        assert_eq!(repeats.summary(start + 3 * HOUR), None);
        assert!(repeats.is_news("lost after 12 s"));
    }
}
