//! The latest messages as they came, for those who ask: over HTTP, or in the same process.
//!
//! A message is there before its answer is on the wire. Only its octets are kept; they are decoded for whoever asks.
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};

use super::clock::write_iso;
use super::ids::IdForm;
use super::message::{Fields, Message, Receipt, latin1, version_name};
use super::pattern::Pattern;
use super::receipts::Fate;
use crate::wire::{CommandId, CommandStatus, decode_header};

/// How often those who wait look at the clock: a state may change by time alone.
const LOOK: Duration = Duration::from_millis(20);

/// How long those who wait leave others alone after something changed.
const PAUSE: Duration = Duration::from_millis(2);

/// Messages that are looked at in one go, before whoever adds some has its turn.
const CHUNK: u64 = 500;

/// What is kept of a message.
/// The fields that the control can be asked about.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at_us: u64,
    pub(super) session: u64,
    pub(super) system_id: Arc<[u8]>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) interface_version: u8,
    /// submit_multi, where the frame is made of one of its destinations.
    pub(super) command: CommandId,
    pub(super) frame: Arc<[u8]>,
    pub(super) status: u32,
    pub(super) refused_for: Option<Arc<str>>,
    pub(super) number: Option<u64>,
    pub(super) form: IdForm,
    pub(super) fate: Fate,
    /// Since the simulator's start.
    pub(super) due: Duration,
    pub(super) receipt: Receipt,
    pub(super) joined: Option<Arc<str>>,
    /// Where it is found by its number and destination.
    pub(super) key: u64,
}

/// The key of a message: one number may have several destinations.
pub(super) fn key_of(number: u64, destination: &[u8]) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    (number, destination).hash(&mut hasher);
    hasher.finish()
}

impl Entry {
    fn state(&self, now: Duration) -> &'static str {
        match self.number {
            None => "refused",
            Some(_) if now < self.due => Fate::Enroute.name(),
            Some(_) => self.fate.name(),
        }
    }

    fn message_id(&self) -> Option<String> {
        let mut id = Vec::new();
        self.form.write(self.number?, &mut id);
        Some(latin1(&id))
    }

    fn shown(&self, id: u64, now: Duration) -> Message {
        let mut time = Vec::new();
        write_iso(self.at_us, &mut time);
        Message {
            id,
            time: latin1(&time),
            session: self.session,
            system_id: latin1(&self.system_id),
            peer: self.peer.map_or_else(String::new, |peer| peer.to_string()),
            version: version_name(self.interface_version),
            command: self.command.name().to_owned(),
            sequence_number: decode_header(&self.frame).map_or(0, |header| header.sequence_number),
            status: self.status,
            status_name: CommandStatus(self.status).name().to_owned(),
            refused_for: self.refused_for.as_deref().map(str::to_owned),
            message_id: self.message_id(),
            state: self.state(now).to_owned(),
            receipt: self.receipt,
            fields: Fields::of_frame(&self.frame),
            joined: self.joined.as_deref().map(str::to_owned),
        }
    }
}

/// Which messages are asked for. What is `None` holds for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The destination.
    pub to: Option<Pattern>,
    /// The source.
    pub from: Option<Pattern>,
    /// The text, or of the last part of a long message the whole text.
    pub text: Option<Pattern>,
    /// The account.
    pub system_id: Option<String>,
    /// The session's number.
    pub session: Option<u64>,
    /// The status that it is answered with.
    pub status: Option<u32>,
    /// The state; see [`Message::state`].
    pub state: Option<String>,
    /// How far the receipt is.
    pub receipt: Option<Receipt>,
    /// The message_id of its answer.
    pub message_id: Option<String>,
    /// Only messages behind the one of this number.
    pub after: Option<u64>,
}

impl Filter {
    /// All messages.
    pub fn all() -> Filter {
        Filter::default()
    }

    /// Also only those in this state, such as `delivered`.
    #[must_use]
    pub fn state(self, state: &str) -> Filter {
        Filter { state: Some(state.to_owned()), ..self }
    }

    /// Also only those to numbers that this fits.
    #[must_use]
    pub fn to(self, to: Pattern) -> Filter {
        Filter { to: Some(to), ..self }
    }

    /// Also only those whose text this fits.
    #[must_use]
    pub fn text(self, text: Pattern) -> Filter {
        Filter { text: Some(text), ..self }
    }

    /// What never changes of a message.
    fn fits_for_good(&self, id: u64, entry: &Entry) -> bool {
        let is =
            |wanted: &Option<String>, is: &dyn Fn() -> String| wanted.as_ref().is_none_or(|wanted| *wanted == is());
        if self.after.is_some_and(|after| id <= after)
            || self.session.is_some_and(|session| session != entry.session)
            || self.status.is_some_and(|status| status != entry.status)
            || !is(&self.system_id, &|| latin1(&entry.system_id))
            || !is(&self.message_id, &|| entry.message_id().unwrap_or_default())
        {
            return false;
        }
        true
    }

    /// The same for what has to be decoded for it.
    fn fits_decoded(&self, entry: &Entry) -> bool {
        if self.to.is_none() && self.from.is_none() && self.text.is_none() {
            return true;
        }
        let fields = Fields::of_frame(&entry.frame);
        let fits = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.fits(text));
        let text =
            fits(&self.text, &fields.text) || entry.joined.as_ref().is_some_and(|joined| fits(&self.text, joined));
        text && fits(&self.to, &fields.destination) && fits(&self.from, &fields.source)
    }

    /// What may change.
    fn fits_now(&self, entry: &Entry, now: Duration) -> bool {
        self.state.as_ref().is_none_or(|state| *state == entry.state(now))
            && self.receipt.is_none_or(|receipt| receipt == entry.receipt)
    }
}

/// The latest so many messages; older ones are forgotten.
#[derive(Debug)]
pub(super) struct History {
    most: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    /// The number of the first entry that is still there; numbers begin with 1.
    first: u64,
    /// Numbers of entries by their key.
    by_key: HashMap<u64, u64>,
    waiting: usize,
}

impl History {
    /// Remembers at most `most`.
    pub(super) fn new(most: usize) -> History {
        History { most, inner: Mutex::new(Inner { first: 1, ..Inner::default() }), changed: Condvar::new() }
    }

    /// Adds messages and empties the list of them.
    pub(super) fn add(&self, entries: &mut Vec<Entry>) {
        let mut inner = self.inner.lock();
        for entry in entries.drain(..) {
            if inner.entries.len() >= self.most
                && let Some(oldest) = inner.entries.pop_front()
            {
                let id = inner.first;
                inner.first += 1;
                if inner.by_key.get(&oldest.key) == Some(&id) {
                    inner.by_key.remove(&oldest.key);
                }
            }
            let id = inner.first + inner.entries.len() as u64;
            if entry.number.is_some() {
                inner.by_key.insert(entry.key, id);
            }
            inner.entries.push_back(entry);
        }
        self.tell(&inner);
    }

    /// Changes messages, each by its key, if they are still there.
    pub(super) fn change(&self, keys: impl IntoIterator<Item = u64>, change: impl Fn(&mut Entry)) {
        let mut inner = self.inner.lock();
        let mut is_any = false;
        for key in keys {
            let Some(id) = inner.by_key.get(&key).copied() else { continue };
            let at = (id - inner.first) as usize;
            if let Some(entry) = inner.entries.get_mut(at) {
                change(entry);
                is_any = true;
            }
        }
        if is_any {
            self.tell(&inner);
        }
    }

    fn tell(&self, inner: &Inner) {
        if inner.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Forgets all. Numbers go on.
    pub(super) fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.first += inner.entries.len() as u64;
        inner.entries.clear();
        inner.by_key.clear();
        self.tell(&inner);
    }

    /// The latest `most` messages that fit, in their order; behind the one of a number the next ones.
    pub(super) fn find(&self, filter: &Filter, most: usize, now: Duration) -> Vec<Message> {
        let Range { start: first, end } = self.inner.lock().numbers();
        let mut found = Vec::new();
        let shown = |(id, entry): (u64, Entry)| filter.fits_decoded(&entry).then(|| entry.shown(id, now));
        if let Some(after) = filter.after {
            let mut begin = first.max(after.saturating_add(1));
            while begin < end && found.len() < most {
                let chunk = begin..end.min(begin + CHUNK);
                begin = chunk.end;
                found.extend(self.copy(filter, chunk, Some(now)).into_iter().filter_map(shown));
            }
            found.truncate(most);
            return found;
        }
        let mut end = end;
        while first < end && found.len() < most {
            let chunk = first.max(end.saturating_sub(CHUNK))..end;
            end = chunk.start;
            found.extend(self.copy(filter, chunk, Some(now)).into_iter().rev().filter_map(shown));
        }
        found.truncate(most);
        found.reverse();
        found
    }

    /// Copies those of these numbers that fit as far as it can be seen without decoding, at a time where that matters. They are
    /// decoded outside of the lock, which each message that comes needs.
    fn copy(&self, filter: &Filter, numbers: Range<u64>, now: Option<Duration>) -> Vec<(u64, Entry)> {
        let inner = self.inner.lock();
        let begin = numbers.start.saturating_sub(inner.first) as usize;
        let first = inner.first.max(numbers.start);
        (first..numbers.end)
            .zip(inner.entries.iter().skip(begin))
            .filter(|(id, entry)| now.is_none_or(|now| filter.fits_now(entry, now)) && filter.fits_for_good(*id, entry))
            .map(|(id, entry)| (id, entry.clone()))
            .collect()
    }

    /// Waits until `count` messages fit, and gives how many there are, and whether they are enough; ends also at `until`, or
    /// when it `is_over`.
    pub(super) fn wait(
        &self,
        filter: &Filter,
        count: usize,
        until: Instant,
        started: Instant,
        is_over: &dyn Fn() -> bool,
    ) -> (usize, bool) {
        let mut watch = Watch::default();
        loop {
            watch.look(self, filter);
            let mut inner = self.inner.lock();
            let fitting = watch.count(&inner, filter, started.elapsed());
            let now = Instant::now();
            if fitting >= count || now >= until || is_over() {
                return (fitting, fitting >= count);
            }
            if watch.next < inner.numbers().end {
                continue;
            }
            inner.waiting += 1;
            let timed_out = self.changed.wait_until(&mut inner, until.min(now + LOOK)).timed_out();
            inner.waiting -= 1;
            drop(inner);
            if !timed_out {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Inner {
    /// The numbers of what is there.
    fn numbers(&self) -> Range<u64> {
        self.first..self.first + self.entries.len() as u64
    }
}

/// What one who waits has looked at: nothing that can never change is looked at twice.
#[derive(Default)]
struct Watch {
    next: u64,
    candidates: Vec<u64>,
}

impl Watch {
    /// Looks at some of what came since.
    fn look(&mut self, history: &History, filter: &Filter) {
        let Range { start: first, end } = history.inner.lock().numbers();
        let begin = self.next.max(first);
        let chunk = begin..end.min(begin + CHUNK);
        self.next = chunk.end.max(begin);
        let fitting = history.copy(filter, chunk, None).into_iter().filter(|(_, entry)| filter.fits_decoded(entry));
        self.candidates.extend(fitting.map(|(id, _)| id));
    }

    /// How many of what was looked at fit now.
    fn count(&mut self, inner: &Inner, filter: &Filter, now: Duration) -> usize {
        self.candidates.retain(|id| *id >= inner.first);
        let entry = |id: &u64| inner.entries.get((*id - inner.first) as usize);
        self.candidates.iter().filter_map(entry).filter(|entry| filter.fits_now(entry, now)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Address, Pdu, Sm, encode};

    fn entry(number: u64, to: &str, text: &str, due_s: u64) -> Entry {
        let sm = Sm {
            source: Address::new(5, 0, b"Sender"),
            destination: Address::new(1, 1, to.as_bytes()),
            short_message: text.as_bytes(),
            ..Sm::default()
        };
        let mut frame = Vec::new();
        encode(&Pdu::SubmitSm(sm), number as u32, CommandStatus::OK, &mut frame).unwrap();
        Entry {
            at_us: 0,
            session: 1,
            system_id: b"acme"[..].into(),
            peer: None,
            interface_version: 0x34,
            command: CommandId::SUBMIT_SM,
            frame: frame.into(),
            status: 0,
            refused_for: None,
            number: Some(number),
            form: IdForm::Dec,
            fate: Fate::Delivered,
            due: Duration::from_secs(due_s),
            receipt: Receipt::Waiting,
            joined: None,
            key: key_of(number, to.as_bytes()),
        }
    }

    fn numbers(history: &History, filter: &Filter, most: usize, now_s: u64) -> Vec<u64> {
        history.find(filter, most, Duration::from_secs(now_s)).iter().map(|message| message.id).collect()
    }

    #[test]
    fn messages_are_found_by_what_they_are_and_what_became_of_them() {
        let history = History::new(3);
        for number in 1..=4 {
            history.add(&mut vec![entry(number, &format!("4477{number}"), &format!("Hello {number}"), number)]);
        }
        let all = Filter::all();
        assert_eq!(numbers(&history, &all, 10, 0), [2, 3, 4]);
        assert_eq!(numbers(&history, &all, 2, 0), [3, 4]);
        assert_eq!(numbers(&history, &all.clone().to("*3".parse().unwrap()), 10, 0), [3]);
        assert_eq!(numbers(&history, &all.clone().text(Pattern::containing("lo 4").unwrap()), 10, 0), [4]);
        assert_eq!(numbers(&history, &all.clone().state("delivered"), 10, 3), [2, 3]);
        assert_eq!(numbers(&history, &all.clone().state("enroute"), 10, 3), [4]);
        assert_eq!(numbers(&history, &Filter { after: Some(3), ..Filter::all() }, 10, 0), [4]);
        let with_id = Filter { message_id: Some("3".to_owned()), ..Filter::all() };
        assert_eq!(numbers(&history, &with_id, 10, 0), [3]);
        let keys = [1, 3].map(|number| key_of(number, format!("4477{number}").as_bytes()));
        history.change(keys, |entry| entry.receipt = Receipt::Answered);
        let answered = Filter { receipt: Some(Receipt::Answered), ..Filter::all() };
        assert_eq!(numbers(&history, &answered, 10, 0), [3]);
        history.clear();
        assert_eq!(numbers(&history, &all, 10, 0), [0; 0]);
        history.add(&mut vec![entry(9, "1234", "x", 0)]);
        assert_eq!(numbers(&history, &all, 10, 0), [5]);
    }

    #[test]
    fn whoever_waits_hears_of_it() {
        let history = Arc::new(History::new(100));
        let started = Instant::now();
        let soon = || Instant::now() + Duration::from_millis(30);
        assert_eq!(history.wait(&Filter::all(), 1, soon(), started, &|| false), (0, false));
        let adds = Arc::clone(&history);
        let adding = std::thread::spawn(move || (1..=50).for_each(|n| adds.add(&mut vec![entry(n, "1234", "x", 0)])));
        let until = Instant::now() + Duration::from_secs(30);
        let wanted = Filter::all().state("delivered");
        assert!(history.wait(&wanted, 50, until, started, &|| false).1);
        adding.join().unwrap();
        // By time alone, and by the end of all.
        history.add(&mut vec![entry(51, "1234", "late", 0)]);
        history.change([key_of(51, b"1234")], |entry| entry.due = started.elapsed() + Duration::from_millis(50));
        assert!(history.wait(&wanted, 51, until, started, &|| false).1);
        assert_eq!(history.wait(&wanted, 99, until, started, &|| true), (51, false));
    }
}
