//! The numbers that name parts, attempts and receipts, and the states they lead to.

/// Bits that count the tries of one part: 4,096 of them.
const TRY_BITS: u32 = 12;
/// Bits that count the receipts of one attempt.
const RECEIPT_BITS: u32 = 8;
/// Tries that a part can have.
pub const TRIES_MAX: u16 = 1 << TRY_BITS;
/// Receipts that are stored under their attempt's own number; any further one is stored like an unmatched one and matched.
pub const RECEIPTS_MAX: i64 = 1 << RECEIPT_BITS;

/// One part put on the wire once: `(part << 12) | try`. What is known of a message lies in one range of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attempt(pub i64);

impl Attempt {
    /// The attempt number `tried` (from 0) of `part`.
    pub fn new(part: i64, tried: u16) -> Self {
        debug_assert!(tried < TRIES_MAX);
        Self(part << TRY_BITS | i64::from(tried))
    }

    /// The number of its part; that of a message's first part is the message's own.
    pub fn part(self) -> i64 {
        self.0 >> TRY_BITS
    }

    /// How often the part had been tried before.
    pub fn tried(self) -> u16 {
        (self.0 & i64::from(TRIES_MAX - 1)) as u16
    }

    /// The key under which its receipt number `n` is stored. That of number [`RECEIPTS_MAX`] is the end of all of them.
    pub fn receipt(self, n: i64) -> i64 {
        (self.0 << RECEIPT_BITS) + n
    }

    /// All attempts of the parts `first..end`, as a half-open range of keys.
    pub fn range(first: i64, end: i64) -> (i64, i64) {
        (first << TRY_BITS, end << TRY_BITS)
    }

    /// All receipts of the parts `first..end`, as a half-open range of keys.
    pub fn receipt_range(first: i64, end: i64) -> (i64, i64) {
        (first << (TRY_BITS + RECEIPT_BITS), end << (TRY_BITS + RECEIPT_BITS))
    }

    /// The attempt to which the receipt with this (not negative) key belongs.
    pub fn of_receipt(key: i64) -> Self {
        Self(key >> RECEIPT_BITS)
    }
}

/// What became of a message; the numbers stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing of it is on its way.
    Queued = 0,
    /// Some of it is on its way, or was sent and the rest is to follow.
    Sending = 1,
    /// The SMSC took it; a receipt is outstanding, or none was asked for.
    Accepted = 2,
    /// Every part that was taken is receipted as delivered.
    Delivered = 3,
    /// Some parts are receipted as delivered, others not.
    PartlyDelivered = 4,
    /// Taken, and receipted as not delivered; or given up by the operator.
    Failed = 5,
    /// The SMSC refused it.
    Rejected = 6,
    /// Sent and never answered: nobody can know.
    InDoubt = 7,
    /// Taken back before it was sent.
    Cancelled = 8,
    /// Its number is on the suppression list.
    Suppressed = 9,
}

impl State {
    /// How many states there are.
    pub const COUNT: usize = 10;
    /// All states in the order of their numbers.
    pub const ALL: [State; Self::COUNT] = [
        State::Queued,
        State::Sending,
        State::Accepted,
        State::Delivered,
        State::PartlyDelivered,
        State::Failed,
        State::Rejected,
        State::InDoubt,
        State::Cancelled,
        State::Suppressed,
    ];

    /// The name used in the views.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Sending => "sending",
            State::Accepted => "accepted",
            State::Delivered => "delivered",
            State::PartlyDelivered => "partly_delivered",
            State::Failed => "failed",
            State::Rejected => "rejected",
            State::InDoubt => "in_doubt",
            State::Cancelled => "cancelled",
            State::Suppressed => "suppressed",
        }
    }

    /// The state with this number in the journal.
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }
}

/// What the answer to an attempt led to; the numbers stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// Taken by the SMSC.
    Accepted = 0,
    /// Refused for now: to be tried again.
    Retry = 1,
    /// Refused for good, or tried often enough.
    Rejected = 2,
}

/// What was found out or decided about an attempt other than by its answer; the numbers stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Verdict {
    /// It may have left, and no answer came.
    InDoubt = 1,
    /// It never left: its part is queued again.
    NotWritten = 2,
    /// In doubt, and to be sent again.
    Resend = 3,
    /// In doubt, and counted as taken.
    AssumeSent = 4,
    /// In doubt, and given up.
    Abandon = 5,
    /// Rejected, and to be tried again all the same.
    RetryRejected = 6,
}

impl Verdict {
    /// The verdict with this number in the journal.
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::InDoubt,
            2 => Self::NotWritten,
            3 => Self::Resend,
            4 => Self::AssumeSent,
            5 => Self::Abandon,
            6 => Self::RetryRejected,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_apart_what_they_put_together() {
        for (part, tried) in [(0, 0), (1, 0), (1, 1), (10_000_000_000, 4_095)] {
            let attempt = Attempt::new(part, tried);
            assert_eq!((attempt.part(), attempt.tried()), (part, tried));
            assert_eq!(Attempt::of_receipt(attempt.receipt(RECEIPTS_MAX - 1)), attempt);
            assert_eq!(attempt.receipt(RECEIPTS_MAX), Attempt(attempt.0 + 1).receipt(0));
            let (first, end) = Attempt::range(part, part + 1);
            assert!(first <= attempt.0 && attempt.0 < end);
            let (first, end) = Attempt::receipt_range(part, part + 1);
            assert!(first <= attempt.receipt(0) && attempt.receipt(255) < end);
        }
    }

    #[test]
    fn states_have_the_names_and_numbers_of_the_schema() {
        let schema = crate::journal::open::SCHEMA;
        for state in State::ALL {
            assert!(schema.contains(&format!("({}, '{}')", state as u8, state.name())), "{state:?}");
            assert_eq!(State::from_number(state as i64), Some(state));
        }
    }
}
