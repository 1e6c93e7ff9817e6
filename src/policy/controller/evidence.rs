//! What was answered, by the time at which it was sent.

/// Seconds that a slot stands for.
pub const SLOT_S: f64 = 0.01;
/// Slots: a little over 20 s.
const SLOTS: usize = 2_048;

/// How many messages were accepted and refused, of those sent at any time of the last 20 s.
#[derive(Debug)]
pub struct Evidence {
    slots: Box<[Slot; SLOTS]>,
    /// Number of the newest slot.
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    accepted: u32,
    refused: u32,
}

/// So many of so many were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    pub sent: f64,
    pub refused: f64,
}

impl Share {
    /// The share that was refused; of nothing, none.
    pub fn value(self) -> f64 {
        if self.sent > 0.0 { self.refused / self.sent } else { 0.0 }
    }

    /// Whether all was refused, more often than chance would have it.
    pub fn is_run(self) -> bool {
        self.refused >= 3.0 && self.refused >= self.sent
    }

    /// Whether more was refused than the background explains, of which is known what was seen of it.
    pub fn is_bad(self, background: Self) -> bool {
        let expected = self.sent * background.value().max(0.01);
        if background.sent == 0.0 {
            return self.refused >= 3.0 && self.refused > 1.5 * expected + 3.6 * expected.sqrt();
        }
        // It is looked at after each answer, so that chance has many tries.
        let spread = (expected + expected * self.sent / background.sent.max(50.0)).sqrt();
        self.refused >= 4.0 && self.refused > 1.3 * expected + 4.0 * spread
    }

    /// Whether over a longer time a little more was refused than that.
    pub fn drips(self, background: Self) -> bool {
        let share = background.value();
        let expected = self.sent * share.max(0.001);
        let spread = if background.sent == 0.0 { expected } else { expected + expected * self.sent / background.sent };
        self.sent >= 300.0
            && self.refused >= 6.0
            && self.refused > (1.2 * share + 0.007) * self.sent
            && self.refused - self.sent * share > 4.0 * spread.sqrt()
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self { slots: Box::new([Slot::default(); SLOTS]), newest: 0 }
    }
}

impl Evidence {
    /// So many that were sent then were accepted and refused.
    pub fn add(&mut self, sent_at: f64, accepted: u32, refused: u32) {
        let number = number(sent_at);
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.number != number {
            if slot.number > number {
                return;
            }
            *slot = Slot { number, ..Slot::default() };
        }
        slot.accepted = slot.accepted.saturating_add(accepted);
        slot.refused = slot.refused.saturating_add(refused);
        self.newest = self.newest.max(number);
    }

    /// What became of those that were sent from `from` on, before `to`.
    pub fn between(&self, from: f64, to: f64) -> Share {
        let (accepted, refused) = self.sums(from, to);
        Share { sent: (accepted + refused) as f64, refused: refused as f64 }
    }

    /// How many of those that were sent then were accepted.
    pub fn accepted(&self, from: f64, to: f64) -> f64 {
        self.sums(from, to).0 as f64
    }

    fn sums(&self, from: f64, to: f64) -> (u64, u64) {
        let end = number(to).min(self.newest + 1);
        let first = number(from).max(end.saturating_sub(SLOTS as u64 - 1));
        let (mut accepted, mut refused) = (0, 0);
        for number in first..end {
            let slot = &self.slots[number as usize % SLOTS];
            if slot.number == number {
                accepted += u64::from(slot.accepted);
                refused += u64::from(slot.refused);
            }
        }
        (accepted, refused)
    }
}

/// The number of the slot of that time. 0 is no slot's, so that an empty one is nobody's.
fn number(at: f64) -> u64 {
    ((at.max(0.0) / SLOT_S) as u64).saturating_add(1)
}

/// A sequential test of Wald's: whether the share refused is still what it was, or has fallen to a tenth.
#[derive(Clone, Copy, Debug)]
pub struct Causal {
    before: f64,
    fallen: f64,
    ratio: f64,
}

/// The logarithm of the odds at which a test ends: about 20 to 1, and more where little was refused, since chance was what
/// had it looked at.
const DECIDED: f64 = 3.0;
const DECIDED_OF_LITTLE: f64 = 5.0;
const LITTLE: f64 = 0.12;

impl Causal {
    /// A share that was `before`, where `background` is refused at any rate.
    pub fn new(before: f64, background: f64) -> Self {
        let before = before.clamp(0.02, 1.0);
        let fallen = (background + 0.1 * (before - background)).clamp(0.002, before * 0.75);
        Self { before, fallen, ratio: 0.0 }
    }

    /// A test of whether it falls to about half.
    pub fn of_half(before: f64) -> Self {
        Self { before, fallen: 0.55 * before, ratio: 0.0 }
    }

    /// The share before.
    pub fn before(&self) -> f64 {
        self.before
    }

    /// What was seen since.
    pub fn see(&mut self, share: Share) {
        self.ratio = share.refused * (self.before / self.fallen).ln() - (self.before - self.fallen) * share.sent;
    }

    /// Whether the share has fallen; `None`: not decided yet.
    pub fn has_fallen(&self) -> Option<bool> {
        let decided = if self.before < LITTLE { DECIDED_OF_LITTLE } else { DECIDED };
        match self.ratio {
            ratio if ratio <= -decided => Some(true),
            ratio if ratio >= decided => Some(false),
            _ => None,
        }
    }

    /// What is more likely.
    pub fn leans_to_fallen(&self) -> bool {
        self.ratio < 0.0
    }
}
