//! Whether refusals come only while others are outstanding: the mark of an SMSC that allows a window of N on each connection.
//!
//! Where that is so, every message that was sent as the (N + 1)th or later of those outstanding is refused, and those before
//! it are accepted, in turn: an SMSC that limits the rate refuses for a while whatever comes, the first of those outstanding
//! too.

/// Windows larger than this are not searched for.
const DEPTH_MAX: usize = 33;
/// Refusals from which on something can be said.
const REFUSED_MIN: u32 = 3;
/// How often one must have been accepted after another was refused.
const TURNS_MIN: u32 = 3;

/// Answers by how many were outstanding on the connection when their request was written, itself among them.
#[derive(Debug)]
pub struct Depths {
    accepted: [u32; DEPTH_MAX + 1],
    refused: [u32; DEPTH_MAX + 1],
    turns: u32,
    was_refused: bool,
}

impl Default for Depths {
    fn default() -> Self {
        Self { accepted: [0; DEPTH_MAX + 1], refused: [0; DEPTH_MAX + 1], turns: 0, was_refused: false }
    }
}

impl Depths {
    /// So many that were written at this depth were answered.
    pub fn see(&mut self, depth: u32, is_accepted: bool, count: u32) {
        let depth = (depth as usize).clamp(1, DEPTH_MAX);
        let counts = if is_accepted { &mut self.accepted } else { &mut self.refused };
        counts[depth] = counts[depth].saturating_add(count);
        self.turns += u32::from(is_accepted && self.was_refused);
        self.was_refused = !is_accepted;
    }

    /// The window that explains all refusals; `None`: none does, or there are too few.
    pub fn window(&self) -> Option<usize> {
        let total: u32 = self.refused.iter().sum();
        if total < REFUSED_MIN || self.turns < TURNS_MIN {
            return None;
        }
        // One in twenty may have another reason.
        let mut below = 0;
        let first = (1..=DEPTH_MAX).find(|&depth| {
            below += self.refused[depth];
            below * 20 > total
        })?;
        let window = first.checked_sub(1).filter(|&window| window > 0 && first < DEPTH_MAX)?;
        let sum = |counts: &[u32]| counts.iter().sum::<u32>();
        let (within, beyond) = (sum(&self.accepted[..=window]), sum(&self.accepted[first..]));
        let refused_beyond = sum(&self.refused[first..]);
        let explains = within >= 4 && refused_beyond * 10 >= (refused_beyond + beyond) * 8;
        explains.then_some(window)
    }

    /// The window below which nothing was refused, and beyond which nothing was accepted.
    pub fn clear_window(&self) -> Option<usize> {
        let first = (1..=DEPTH_MAX).find(|&depth| self.refused[depth] > 0)?;
        let is_clear = self.accepted[first..].iter().all(|&count| count == 0) && self.refused.iter().sum::<u32>() >= 3;
        first.checked_sub(1).filter(|&window| window > 0 && first < DEPTH_MAX && is_clear)
    }
}
