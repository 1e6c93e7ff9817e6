//! Whether an SMSC drops silently what exceeds its window. Then some requests stay unanswered, each of which was written while
//! others were outstanding, and later ones are answered as ever. Pure: time is an argument.

use std::time::{Duration, Instant};

/// An answer is missed when it takes so many times as long as the slowest of late.
const PATIENCE: u64 = 5;
/// And so long at least.
const PATIENCE_MIN: Duration = Duration::from_millis(400);
/// A session all of whose slots wait for what is missed is left after so long.
const STUCK: Duration = Duration::from_secs(3);

/// How a session's requests are answered.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// When the newest of those was written that are answered.
    newest: Option<Instant>,
    /// The longest that an answer took of late, in nanoseconds.
    slowest: u64,
}

/// Requests that are missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Silence {
    /// The most that may be outstanding so that all are answered.
    pub window: usize,
    /// Nothing can be sent on this session any more.
    pub is_stuck: bool,
}

impl Answering {
    /// One that was written then was answered so much later.
    pub(super) fn note_answer(&mut self, written_at: Instant, waited: Duration) {
        self.newest = self.newest.max(Some(written_at));
        // A thousand answers later half of it counts.
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.slowest = waited.max(self.slowest - self.slowest / 1_024);
    }

    fn patience(&self) -> Duration {
        Duration::from_nanos(self.slowest.saturating_mul(PATIENCE)).max(PATIENCE_MIN)
    }

    /// Looks at what waits: when it was written, and how many were outstanding then, itself among them.
    pub(super) fn judge(
        &self,
        now: Instant,
        waiting: impl Iterator<Item = (Instant, u32)>,
        is_full: bool,
    ) -> Option<Silence> {
        let newest = self.newest?;
        let patience = self.patience();
        let (mut least, mut youngest) = (u32::MAX, None);
        for (written_at, depth) in waiting {
            youngest = youngest.max(Some(written_at));
            if written_at < newest && now.saturating_duration_since(written_at) >= patience {
                least = least.min(depth);
            }
        }
        // The first of those outstanding exceeds no window.
        let window = (least as usize).checked_sub(1).filter(|&window| window > 0 && least != u32::MAX)?;
        let is_old =
            youngest.is_some_and(|youngest| now.saturating_duration_since(youngest) >= STUCK.max(2 * patience));
        Some(Silence { window, is_stuck: is_full && is_old })
    }

    /// Whether one that was the only one outstanding is missed: an SMSC that drops what exceeds its window would have answered
    /// it, since it never has more outstanding than we have.
    pub(super) fn is_refuted(&self, now: Instant, mut waiting: impl Iterator<Item = (Instant, u32)>) -> bool {
        let patience = 2 * self.patience();
        waiting.any(|(written_at, depth)| depth == 1 && now.saturating_duration_since(written_at) >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn what_is_overtaken_beyond_a_window_tells_its_size() {
        let start = Instant::now();
        let mut answering = Answering::default();
        let waiting = |list: &[(u64, u32)]| list.iter().map(|&(at, depth)| (start + MS(at), depth)).collect::<Vec<_>>();
        let judge = |answering: &Answering, at, list: &[(u64, u32)], is_full| {
            answering.judge(start + MS(at), waiting(list).into_iter(), is_full)
        };
        assert_eq!(judge(&answering, 5_000, &[(0, 3)], false), None, "nothing is answered");
        answering.note_answer(start + MS(50), MS(40));
        assert_eq!(judge(&answering, 300, &[(10, 3)], false), None, "it is early");
        let found = Some(Silence { window: 2, is_stuck: false });
        assert_eq!(judge(&answering, 500, &[(10, 3), (20, 4), (450, 2)], false), found);
        assert_eq!(judge(&answering, 500, &[(60, 3)], false), None, "nothing later is answered");
        assert_eq!(judge(&answering, 500, &[(10, 1)], false), None, "it was the only one");
        assert_eq!(judge(&answering, 2_900, &[(10, 3), (20, 4)], true), found);
        assert_eq!(judge(&answering, 3_100, &[(10, 3), (20, 4)], true), Some(Silence { window: 2, is_stuck: true }));
    }

    #[test]
    fn the_only_one_outstanding_exceeds_no_window() {
        let start = Instant::now();
        let mut answering = Answering::default();
        answering.note_answer(start, MS(40));
        let is_refuted = |at, list: &[(u64, u32)]| {
            answering.is_refuted(start + MS(at), list.iter().map(|&(at, depth)| (start + MS(at), depth)))
        };
        assert!(!is_refuted(700, &[(0, 1), (0, 2)]), "it is early");
        assert!(is_refuted(900, &[(0, 2), (50, 1)]));
        assert!(!is_refuted(9_000, &[(0, 2), (10, 3)]));
    }

    #[test]
    fn a_slow_smsc_is_waited_for() {
        let start = Instant::now();
        let mut answering = Answering::default();
        answering.note_answer(start + MS(10), MS(2_000));
        assert_eq!(answering.judge(start + MS(9_000), [(start, 4)].into_iter(), true), None);
    }
}
