//! Which of the attempts written so far still await their answer, by the transaction that claimed them.
//!
//! A receipt of unknown id may belong to an attempt whose answer is still under way. Only when nothing claimed before the
//! receipt came is outstanding any more may its owner be conjectured.

use std::collections::VecDeque;

/// Outstanding attempts by generation. A generation is what one transaction claimed.
#[derive(Clone, Debug)]
pub struct Outstanding {
    /// Number of the oldest generation that is counted.
    first: u32,
    counts: VecDeque<usize>,
    /// Of all generations.
    total: usize,
}

impl Default for Outstanding {
    fn default() -> Self {
        Self { first: 0, counts: VecDeque::from([0]), total: 0 }
    }
}

impl Outstanding {
    /// The newest generation.
    pub fn current(&self) -> u32 {
        self.first + (self.counts.len() - 1) as u32
    }

    /// Begins a new generation, and gives its number.
    pub fn begin(&mut self) -> u32 {
        self.counts.push_back(0);
        self.forget();
        self.current()
    }

    /// How many attempts are claimed and have neither answer nor verdict.
    pub fn total(&self) -> usize {
        self.total
    }

    /// So many attempts of the newest generation are outstanding from now on.
    pub fn claimed(&mut self, count: usize) {
        self.total += count;
        if let Some(newest) = self.counts.back_mut() {
            *newest += count;
        }
    }

    /// An attempt is answered, in doubt or withdrawn.
    pub fn settled(&mut self, generation: u32) {
        // One too many must not make it look as if for ever something were under way.
        debug_assert!(self.total > 0);
        self.total = self.total.saturating_sub(1);
        let at = generation.wrapping_sub(self.first) as usize;
        if let Some(count) = self.counts.get_mut(at) {
            debug_assert!(*count > 0);
            *count = count.saturating_sub(1);
        }
        if at == 0 {
            self.forget();
        }
    }

    /// Whether nothing of this generation or an earlier one is outstanding.
    pub fn is_drained(&self, generation: u32) -> bool {
        generation < self.first || (generation == self.first && self.counts.front() == Some(&0))
    }

    fn forget(&mut self) {
        while self.counts.len() > 1 && self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_drained_when_all_before_it_are() {
        let mut outstanding = Outstanding::default();
        assert!(outstanding.is_drained(outstanding.current()));
        let a = outstanding.begin();
        outstanding.claimed(2);
        let b = outstanding.begin();
        outstanding.claimed(1);
        outstanding.settled(b);
        assert!(!outstanding.is_drained(b) && !outstanding.is_drained(a));
        let c = outstanding.begin();
        assert!(!outstanding.is_drained(c));
        outstanding.settled(a);
        outstanding.settled(a);
        assert!(outstanding.is_drained(a) && outstanding.is_drained(b) && outstanding.is_drained(c));
        // A new one begins each time, so that what was drained stays so.
        let d = outstanding.begin();
        outstanding.claimed(1);
        assert!(outstanding.is_drained(c) && !outstanding.is_drained(d));
    }
}
