//! How many there were in the last second. Pure: the clock is an argument.

use std::time::Instant;

/// Slots of the count of the last second.
const SLOTS: usize = 10;

/// How many there were in the last second, in tenths of it.
#[derive(Debug)]
pub struct LastSecond {
    start: Instant,
    slots: [(u64, usize); SLOTS],
}

impl LastSecond {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self { start: now, slots: [(0, 0); SLOTS] }
    }

    fn slot(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.start).as_secs_f64() * SLOTS as f64) as u64 + SLOTS as u64
    }

    /// So many more.
    pub fn add(&mut self, now: Instant, count: usize) {
        let slot = self.slot(now);
        let entry = &mut self.slots[slot as usize % SLOTS];
        if entry.0 != slot {
            *entry = (slot, 0);
        }
        entry.1 += count;
    }

    /// How many there were.
    pub fn count(&self, now: Instant) -> usize {
        let newest = self.slot(now);
        self.slots.iter().filter(|(slot, _)| slot + SLOTS as u64 > newest).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_older_than_a_second_does_not_count() {
        let start = Instant::now();
        let mut last = LastSecond::new(start);
        last.add(start, 3);
        last.add(start + Duration::from_millis(500), 4);
        assert_eq!(last.count(start + Duration::from_millis(900)), 7);
        assert_eq!(last.count(start + Duration::from_millis(1_100)), 4);
        assert_eq!(last.count(start + Duration::from_secs(9)), 0);
    }
}
