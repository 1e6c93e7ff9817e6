//! Which of the attempts written so far still await their answer, by the transaction that claimed them.
//!
//! A receipt of unknown id may belong to an attempt whose answer is still under way. Only when nothing claimed before the
//! receipt came is outstanding any more may its owner be conjectured.

use std::collections::VecDeque;

/// Outstanding attempts by generation. A generation is what one transaction claimed.
#[derive(Clone, Debug)]
pub struct Generations {
    /// Number of the oldest generation that is counted.
    first: u32,
    counts: VecDeque<usize>,
}

impl Default for Generations {
    fn default() -> Self {
        Self { first: 0, counts: VecDeque::from([0]) }
    }
}

impl Generations {
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

    /// So many attempts of the newest generation are outstanding from now on.
    pub fn claimed(&mut self, count: usize) {
        if let Some(newest) = self.counts.back_mut() {
            *newest += count;
        }
    }

    /// An attempt is answered, in doubt or withdrawn.
    pub fn settled(&mut self, generation: u32) {
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
        let mut generations = Generations::default();
        assert!(generations.is_drained(generations.current()));
        let a = generations.begin();
        generations.claimed(2);
        let b = generations.begin();
        generations.claimed(1);
        generations.settled(b);
        assert!(!generations.is_drained(b) && !generations.is_drained(a));
        let c = generations.begin();
        assert!(!generations.is_drained(c));
        generations.settled(a);
        generations.settled(a);
        assert!(generations.is_drained(a) && generations.is_drained(b) && generations.is_drained(c));
        // A new one begins each time, so that what was drained stays so.
        let d = generations.begin();
        generations.claimed(1);
        assert!(generations.is_drained(c) && !generations.is_drained(d));
    }
}
