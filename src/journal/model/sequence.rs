//! Sequence numbers of submit_sm: one allocator over all sessions, so that the intent on disk names them before the
//! octets leave (SMPP v3.4, 5.1.4: 1 to 0x7FFFFFFF).

use crate::wire::SEQUENCE_NUMBER_MAX;
use std::collections::BTreeSet;

/// bind, enquire_link and unbind use the numbers below this one, each session for itself; submit_sm those from it on.
pub const FIRST: u32 = 0x1_0000;
/// Of these, query_sm, cancel_sm and replace_sm have the upper half, each session for itself.
pub const OPERATIONS: std::ops::Range<u32> = 0x8000..FIRST;

/// The allocator.
#[derive(Debug)]
pub struct Sequence {
    next: u32,
    /// Numbers of attempts whose response timer expired while their session lives: a late answer may still name them.
    held: BTreeSet<u32>,
}

impl Sequence {
    /// Goes on after `last`, the number given last; 0: none yet.
    pub fn after(last: u32) -> Self {
        let next = if (FIRST..SEQUENCE_NUMBER_MAX).contains(&last) { last + 1 } else { FIRST };
        Self { next, held: BTreeSet::new() }
    }

    /// The next number, and how many in a row from it on may be taken (at least one).
    pub fn peek(&mut self) -> (u32, usize) {
        while self.held.contains(&self.next) {
            self.step(1);
        }
        let end = self.held.range(self.next..).next().copied().unwrap_or(SEQUENCE_NUMBER_MAX + 1);
        (self.next, (end - self.next) as usize)
    }

    /// Takes `count` numbers, no more than [`peek`](Self::peek) offered.
    pub fn take(&mut self, count: usize) {
        self.step(count as u32);
    }

    /// Does not give this number again until it is let go.
    pub fn hold(&mut self, number: u32) {
        self.held.insert(number);
    }

    /// The number may be given again.
    pub fn let_go(&mut self, number: u32) {
        self.held.remove(&number);
    }

    fn step(&mut self, count: u32) {
        self.next = match self.next.checked_add(count) {
            Some(next) if next <= SEQUENCE_NUMBER_MAX => next,
            _ => FIRST,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f29_numbers_wrap_and_skip_what_is_outstanding() {
        let mut sequence = Sequence::after(SEQUENCE_NUMBER_MAX - 3);
        assert_eq!(sequence.peek(), (SEQUENCE_NUMBER_MAX - 2, 3));
        sequence.take(3);
        assert_eq!(sequence.peek().0, FIRST);
        sequence.hold(FIRST);
        sequence.hold(FIRST + 3);
        assert_eq!(sequence.peek(), (FIRST + 1, 2));
        sequence.take(2);
        assert_eq!(sequence.peek().0, FIRST + 4);
        sequence.let_go(FIRST + 3);
        let mut sequence = Sequence::after(0);
        assert_eq!(sequence.peek().0, FIRST);
        sequence = Sequence::after(SEQUENCE_NUMBER_MAX);
        assert_eq!(sequence.peek().0, FIRST);
    }
}
