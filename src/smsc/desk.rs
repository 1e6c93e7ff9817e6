//! Messages from handsets: those that wait for a first session, and the latest ones, for whoever asks what became of them.
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::inbound::{Inbound, InboundFile, InboundMessage, InboundState, To, Underway};
use super::rate::time_of;

/// Messages that are remembered when they are done.
pub(super) const REMEMBERED_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct Desk {
    next_id: AtomicU64,
    turn: AtomicUsize,
    /// Whether there is something in `waiting`, to be looked at without its lock.
    has_waiting: AtomicBool,
    waiting: Mutex<Vec<Waiting>>,
    latest: Mutex<VecDeque<Arc<Underway>>>,
}

/// What waits for a session that receives: the message, its numbers, and how long after the session it is due.
type Waiting = (Inbound, Vec<u64>, Duration);

impl Desk {
    /// With what a file holds waiting for the first session that takes it.
    pub(super) fn new(file: Option<&InboundFile>) -> Desk {
        let desk = Desk {
            next_id: AtomicU64::new(1),
            turn: AtomicUsize::new(0),
            has_waiting: AtomicBool::new(false),
            waiting: Mutex::default(),
            latest: Mutex::default(),
        };
        desk.take_file(file);
        desk
    }

    /// Has what a file holds wait for the first session.
    fn take_file(&self, file: Option<&InboundFile>) {
        let Some(file) = file else { return };
        let mut before = 0.0;
        for message in &file.messages {
            let count = message.count.unwrap_or(1);
            let after = file.rate.map_or(Duration::ZERO, |rate| time_of(before, rate));
            before += f64::from(count);
            let message = Inbound { rate: message.rate.or(file.rate), ..message.clone() };
            let ids = self.number(count);
            self.waiting.lock().push((message, ids, after));
        }
        self.has_waiting.store(true, Ordering::SeqCst);
    }

    /// Numbers for so many messages.
    pub(super) fn number(&self, count: u32) -> Vec<u64> {
        let first = self.next_id.fetch_add(u64::from(count), Ordering::Relaxed);
        (first..first + u64::from(count)).collect()
    }

    /// Keeps a message until a session is there, and gives its numbers.
    pub(super) fn wait(&self, inbound: Inbound) -> Vec<u64> {
        let ids = self.number(inbound.count.unwrap_or(1));
        self.waiting.lock().push((inbound, ids.clone(), Duration::ZERO));
        self.has_waiting.store(true, Ordering::SeqCst);
        ids
    }

    /// What waits for a session of this account, which has these that receive.
    pub(super) fn take_waiting(&self, system_id: &[u8], receivers: &[u64]) -> Vec<Waiting> {
        if !self.has_waiting.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock();
        let is_for = |wanted: &Inbound| {
            let is_there = match wanted.sessions {
                Some(To::Session(number)) => receivers.contains(&number),
                _ => true,
            };
            is_there && wanted.system_id.as_ref().is_none_or(|wanted| wanted.as_bytes() == system_id)
        };
        let (taken, left) = std::mem::take(&mut *waiting).into_iter().partition(|(inbound, ..)| is_for(inbound));
        *waiting = left;
        self.has_waiting.store(!waiting.is_empty(), Ordering::SeqCst);
        taken
    }

    /// How many wait for a session.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().iter().map(|(_, ids, _)| ids.len()).sum()
    }

    /// Whose turn it is, of so many.
    pub(super) fn turn(&self, of: usize) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(of).unwrap_or(0)
    }

    /// Remembers a message.
    pub(super) fn note(&self, message: &Arc<Underway>) {
        let mut latest = self.latest.lock();
        if latest.len() >= REMEMBERED_MAX {
            latest.pop_front();
        }
        latest.push_back(Arc::clone(message));
    }

    /// The latest `most` messages in this state, in the order of their numbers; behind the one of a number the next ones.
    pub(super) fn messages(&self, after: Option<u64>, state: Option<InboundState>, most: usize) -> Vec<InboundMessage> {
        let latest = self.latest.lock();
        let mut found: Vec<Arc<Underway>> = latest.iter().filter(|message| message.is(after, state)).cloned().collect();
        drop(latest);
        found.sort_by_key(|message| message.id);
        match after {
            Some(_) => found.truncate(most),
            None => drop(found.drain(..found.len().saturating_sub(most))),
        }
        found.iter().map(|message| message.shown()).collect()
    }

    /// How many there are in this state behind the one of a number.
    pub(super) fn count(&self, after: Option<u64>, state: Option<InboundState>) -> usize {
        self.latest.lock().iter().filter(|message| message.is(after, state)).count()
    }

    /// Begins anew, with what a file holds waiting once more. Numbers go on.
    pub(super) fn reset(&self, file: Option<&InboundFile>) {
        self.latest.lock().clear();
        self.waiting.lock().clear();
        self.has_waiting.store(false, Ordering::SeqCst);
        self.take_file(file);
    }
}
