//! Requests about messages that the SMSC has (query_sm, cancel_sm, replace_sm) that are written on a session and not answered.
//! Pure: time is an argument.

use crate::journal::model::operation::Ask;
use crate::journal::model::sequence::OPERATIONS;
use hashbrown::HashMap;
use std::time::{Duration, Instant};

/// By sequence number. These are the session's own, apart from those of messages.
#[derive(Debug)]
pub struct Asked {
    waiting: HashMap<u32, Waiting>,
    next: u32,
}

#[derive(Debug)]
struct Waiting {
    operation: i64,
    message_id: String,
    written_at: Instant,
}

impl Default for Asked {
    fn default() -> Self {
        Self { waiting: HashMap::new(), next: OPERATIONS.start }
    }
}

impl Asked {
    /// How many are not answered.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all are.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One is about to be written: its sequence number.
    pub fn insert(&mut self, ask: &Ask, now: Instant) -> u32 {
        let mut number = self.next;
        // No more are outstanding than a window, which is less than there are numbers.
        while self.waiting.contains_key(&number) {
            number = after(number);
        }
        self.next = after(number);
        let waiting = Waiting { operation: ask.operation, message_id: ask.message_id.clone(), written_at: now };
        self.waiting.insert(number, waiting);
        number
    }

    /// The number of the operation that an answer names, and the message that it was about.
    pub fn answered(&mut self, sequence_number: u32) -> Option<(i64, String)> {
        self.waiting.remove(&sequence_number).map(|waiting| (waiting.operation, waiting.message_id))
    }

    /// Operations that were written `timeout` ago or earlier: an answer to them is none any more.
    pub fn expire(&mut self, now: Instant, timeout: Duration) -> Vec<i64> {
        let is_due = |waiting: &Waiting| now.saturating_duration_since(waiting.written_at) >= timeout;
        self.waiting.extract_if(|_, waiting| is_due(waiting)).map(|(_, waiting)| waiting.operation).collect()
    }

    /// All of them, when the session has ended.
    pub fn drain(&mut self) -> Vec<i64> {
        self.waiting.drain().map(|(_, waiting)| waiting.operation).collect()
    }
}

fn after(number: u32) -> u32 {
    if number + 1 < OPERATIONS.end { number + 1 } else { OPERATIONS.start }
}

/// Room for a window at its largest would not do: no more than so many are outstanding on a session.
pub const ASKED_MAX: usize = 10_000;
const _: () = assert!(ASKED_MAX < (OPERATIONS.end - OPERATIONS.start) as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_again_and_none_is_given_that_waits() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let ask = |operation| Ask { operation, message_id: operation.to_string(), pdu: Vec::new() };
        let first = asked.insert(&ask(1), now);
        for operation in 2..=(OPERATIONS.end - OPERATIONS.start).into() {
            let number = asked.insert(&ask(operation), now);
            assert_eq!(asked.answered(number), Some((operation, operation.to_string())));
            assert_eq!(asked.answered(number), None);
        }
        assert_ne!(asked.insert(&ask(7), now + Duration::from_secs(1)), first);
        assert_eq!(asked.expire(now + Duration::from_secs(5), Duration::from_secs(5)), [1]);
        assert_eq!((asked.len(), asked.answered(first)), (1, None));
        assert_eq!(asked.drain(), [7]);
        assert!(asked.is_empty());
    }
}
