//! Notes of answers: what was read of an SMSC's answers and is not committed yet.
//!
//! Before a session's reader frees slots of the window it notes the answers that free them, by a plain write to
//! `<journal>-answers`, not synced: like the [write mark](crate::journal::files::write_marks), a note survives its process and not the machine,
//! and is believed only under the boot id under which it was written. So after `kill -9` only what was never answered is in
//! doubt, at most a window for each session, however far the journal thread was behind.
//!
//! The file is cut into extents. A session puts its notes one behind another into an extent of its own, and goes on in
//! another when that is full; an extent whose notes are all committed is used again. Where nothing at all is
//! uncommitted the session begins its extent anew, so that at a low rate all notes fall on one page. So the file grows
//! with what the journal thread has to commit, and no write waits for anything.
//!
//! Nothing is erased. Behind the newest note of an extent may stand older ones, which their numbers tell. They would do no
//! harm: an attempt is made once, and what its answer was stays true.
//!
//! A note is sealed with a hash whose keys are its run and its session. One that is torn does not check, and its slots were
//! not free either; nor does one of another journal under the same name, since the journal has the run's number too.
//!
//! A note; numbers are little-endian:
//!
//! | octets | what |
//! |---|---|
//! | 0..8 | seal: SipHash of all that follows, keyed with the run and the session |
//! | 8..16 | length of the note, these fields included, at most an extent (128 KiB) |
//! | 16..24 | session |
//! | 24..32 | number of the note, which rises by one on each session |
//! | 32..40 | when the answers came, in milliseconds since 1970 |
//! | 40.. | the answers, one behind another |
//!
//! An answer:
//!
//! | octets | what |
//! |---|---|
//! | 0..8 | attempt |
//! | 8..12 | command_status |
//! | 12..16 | milliseconds from the request to the answer |
//! | 16..20 | length of the message id |
//! | 20 | what the status meant for the account, by number |
//! | 21 | how many earlier tries were refused, throttling apart |
//! | 22 | flags: 1 it was to be tried again, 2 the request carried a reference of ours, 4 it has optional parameters |
//! | 23 | 0 |
//! | 24.. | the message id; with flag 4 then four octets with a length, and so many octets of optional parameters |

use crate::journal::beside::{beside, open_side_file};
use crate::journal::error::JournalError;
use crate::journal::model::events::Batch;
use crate::journal::model::key::Attempt;
use crate::journal::model::retry_rules::RetryRules;
use crate::wire::{CommandStatus, MAX_PDU_OCTETS, StatusClass};
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use std::collections::VecDeque;
use std::fs::File;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Octets of an extent.
const EXTENT: usize = 128 * 1024;
/// Octets of a note before its answers: hash, length, session, number, time.
const HEADER: usize = 40;
/// Octets of an answer before its message id.
const ANSWER: usize = 24;

// Every single answer finds room in an empty extent.
const _: () = assert!(HEADER + ANSWER + TLVS_LENGTH + MAX_PDU_OCTETS <= EXTENT);

const RETRIED: u8 = 1;
const REFERENCED: u8 = 2;
/// Behind the message id come four octets with the length of its optional parameters, and these.
const HAS_TLVS: u8 = 4;
/// Octets of that length.
const TLVS_LENGTH: usize = 4;

/// The file, shared by the readers of all sessions.
#[derive(Clone, Debug)]
pub struct Answers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    extents: Mutex<Extents>,
}

/// Which extents are whose.
#[derive(Debug, Default)]
struct Extents {
    count: u32,
    free: Vec<u32>,
    /// Those of sessions that have ended.
    left: Vec<Left>,
}

/// An extent that is free as soon as a batch is committed.
#[derive(Debug)]
struct Left {
    extent: u32,
    until: u64,
    committed: Arc<AtomicU64>,
}

impl Extents {
    fn take(&mut self) -> u32 {
        let free = &mut self.free;
        self.left.retain(|left| {
            let is_free = left.committed.load(Ordering::Acquire) >= left.until;
            if is_free {
                free.push(left.extent);
            }
            !is_free
        });
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

/// An answer as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// On which session it came.
    pub session: i64,
    /// The number of its note, which rises on each session.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub came_at: i64,
    /// To which attempt.
    pub attempt: Attempt,
    /// Its command_status.
    pub command_status: u32,
    /// What the status meant for the account.
    pub class: StatusClass,
    /// The part was to be tried again.
    pub retried: bool,
    /// How many earlier tries had been refused, throttling apart.
    pub refused: u8,
    /// The request carried a user_message_reference that we had added.
    pub referenced: bool,
    /// How long after the request it came, in milliseconds.
    pub waited_ms: u32,
    /// The message id; empty: none.
    pub message_id: Vec<u8>,
    /// Its optional parameters; empty: none.
    pub tlvs: Vec<u8>,
}

impl Answers {
    /// Opens the file beside `journal`, making it where there is none.
    pub fn open(journal: &Path) -> Result<Self, JournalError> {
        let path = beside(journal, "-answers");
        let file = open_side_file(&path).map_err(|error| JournalError::side_file(journal, "-answers", error))?;
        Ok(Self(Arc::new(Shared { file, extents: Mutex::default() })))
    }

    /// The answers that were noted in the run of that number, in the order in which they came. What cannot be read counts
    /// as not noted.
    pub fn read(&self, run: u64) -> Vec<Noted> {
        let mut found = Vec::new();
        let mut octets = vec![0; EXTENT];
        for start in (0..).step_by(EXTENT) {
            let mut length = 0;
            while length < EXTENT {
                match self.0.file.read_at(&mut octets[length..], start + length as u64) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => length += n,
                }
            }
            if length == 0 {
                break;
            }
            read_extent(&octets[..length], run, &mut found);
        }
        found.sort_by_key(|noted| (noted.came_at, noted.number));
        found
    }

    /// Forgets all notes. Only after recovery is committed: a note still needed must not vanish.
    pub fn reset(&self) -> io::Result<()> {
        *self.0.extents.lock() = Extents::default();
        self.0.file.set_len(0)
    }

    /// The notes of `session`, in the run of that number.
    pub fn begin(&self, session: i64, run: u64) -> Notes {
        Notes {
            answers: self.clone(),
            session,
            run,
            number: 0,
            batches: 0,
            committed: Arc::default(),
            extents: VecDeque::new(),
            at: EXTENT,
            octets: Vec::new(),
        }
    }
}

/// The notes of one session.
#[derive(Debug)]
pub struct Notes {
    answers: Answers,
    session: i64,
    run: u64,
    /// Of the next note.
    number: u64,
    /// Batches that were noted, or were to be.
    batches: u64,
    /// Batches that the journal thread has committed.
    committed: Arc<AtomicU64>,
    /// Extents with the last batch in each. The last of them is being filled.
    extents: VecDeque<(u32, u64)>,
    /// Where in it the next note goes.
    at: usize,
    octets: Vec<u8>,
}

impl Notes {
    /// Notes a batch's answers: once this has returned they survive the process. Counts the batch in any case, so that
    /// [`is_committed`](Self::is_committed) can tell of it.
    pub fn note(&mut self, batch: &mut Batch, rules: &RetryRules) -> io::Result<()> {
        self.batches += 1;
        batch.committed = Some(Arc::clone(&self.committed));
        self.reuse();
        self.octets.clear();
        self.octets.resize(HEADER, 0);
        for answer in &batch.answers {
            let id = batch.octets(&answer.message_id);
            let tlvs = batch.octets(&answer.tlvs);
            if self.octets.len() + ANSWER + id.len() + TLVS_LENGTH + tlvs.len() > EXTENT {
                self.write(batch.came_at)?;
            }
            let status = CommandStatus(answer.command_status);
            let class = rules.class(status);
            let is_retried = answer.excused || rules.delay_ms(status, answer.sent.refused).is_some();
            let flag = |is_set, flag| if is_set { flag } else { 0 };
            let mut fixed = [0; ANSWER];
            fixed[..8].copy_from_slice(&answer.sent.attempt.0.to_le_bytes());
            fixed[8..12].copy_from_slice(&answer.command_status.to_le_bytes());
            fixed[12..16].copy_from_slice(&(answer.waited.as_millis() as u32).to_le_bytes());
            fixed[16..20].copy_from_slice(&(id.len() as u32).to_le_bytes());
            fixed[20] = number_of(class);
            fixed[21] = answer.sent.refused;
            fixed[22] =
                flag(is_retried, RETRIED) | flag(answer.sent.referenced, REFERENCED) | flag(!tlvs.is_empty(), HAS_TLVS);
            self.octets.extend_from_slice(&fixed);
            self.octets.extend_from_slice(id);
            if !tlvs.is_empty() {
                self.octets.extend_from_slice(&(tlvs.len() as u32).to_le_bytes());
                self.octets.extend_from_slice(tlvs);
            }
        }
        self.write(batch.came_at)
    }

    /// How many batches were counted.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Whether the journal thread has committed the first `batches` of them.
    pub fn is_committed(&self, batches: u64) -> bool {
        self.committed.load(Ordering::Acquire) >= batches
    }

    /// Lets go of extents whose notes are all committed.
    fn reuse(&mut self) {
        while let Some(&(_, until)) = self.extents.front()
            && self.is_committed(until)
        {
            if self.extents.len() == 1 {
                self.at = 0;
                break;
            }
            if let Some((extent, _)) = self.extents.pop_front() {
                self.answers.0.extents.lock().free.push(extent);
            }
        }
    }

    /// Seals what was gathered and writes it behind the last note.
    fn write(&mut self, came_at: i64) -> io::Result<()> {
        let length = self.octets.len();
        self.octets[8..16].copy_from_slice(&(length as u64).to_le_bytes());
        self.octets[16..24].copy_from_slice(&self.session.to_le_bytes());
        self.octets[24..32].copy_from_slice(&self.number.to_le_bytes());
        self.octets[32..HEADER].copy_from_slice(&came_at.to_le_bytes());
        let sum = seal(self.run, self.session, &self.octets[8..]);
        self.octets[..8].copy_from_slice(&sum.to_le_bytes());
        if self.at + length > EXTENT {
            let extent = self.answers.0.extents.lock().take();
            self.extents.push_back((extent, self.batches));
            self.at = 0;
        }
        if let Some((extent, until)) = self.extents.back_mut() {
            *until = self.batches;
            let at = u64::from(*extent) * EXTENT as u64 + self.at as u64;
            self.answers.0.file.write_all_at(&self.octets, at)?;
        }
        // Only now: one that failed is written over by the next.
        self.at += length;
        self.number += 1;
        self.octets.truncate(HEADER);
        Ok(())
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let committed = &self.committed;
        let left =
            self.extents.drain(..).map(|(extent, until)| Left { extent, until, committed: Arc::clone(committed) });
        self.answers.0.extents.lock().left.extend(left);
    }
}

/// Reads the notes from the start of an extent as long as they check and belong together.
fn read_extent(mut octets: &[u8], run: u64, found: &mut Vec<Noted>) {
    let mut before = None;
    while let Some(note) = Note::read(octets, run) {
        // What does not go on where the last one ended is older.
        if before.is_some_and(|before| (note.session, note.number) != before) {
            return;
        }
        before = Some((note.session, note.number.wrapping_add(1)));
        note.answers(found);
        octets = &octets[note.octets.len()..];
    }
}

struct Note<'a> {
    session: i64,
    number: u64,
    came_at: i64,
    octets: &'a [u8],
}

impl<'a> Note<'a> {
    fn read(octets: &'a [u8], run: u64) -> Option<Self> {
        let length = usize::try_from(u64::from_le_bytes(array(octets, 8)?)).ok()?;
        let octets = octets.get(..length).filter(|octets| octets.len() >= HEADER)?;
        let session = i64::from_le_bytes(array(octets, 16)?);
        let sum = u64::from_le_bytes(array(octets, 0)?);
        (sum == seal(run, session, &octets[8..])).then_some(())?;
        let (number, came_at) = (u64::from_le_bytes(array(octets, 24)?), i64::from_le_bytes(array(octets, 32)?));
        Some(Self { session, number, came_at, octets })
    }

    fn answers(&self, found: &mut Vec<Noted>) {
        let mut rest = &self.octets[HEADER..];
        while let Some((noted, length)) = self.answer(rest) {
            found.push(noted);
            rest = &rest[length..];
        }
    }

    fn answer(&self, octets: &[u8]) -> Option<(Noted, usize)> {
        let number = |at| array(octets, at).map(u32::from_le_bytes);
        let [class, refused, flags, _] = array(octets, 20)?;
        let end = ANSWER.checked_add(usize::try_from(number(16)?).ok()?)?;
        let (tlvs, length) = match flags & HAS_TLVS {
            0 => (&[][..], end),
            _ => {
                let start = end.checked_add(TLVS_LENGTH)?;
                let length = start.checked_add(usize::try_from(number(end)?).ok()?)?;
                (octets.get(start..length)?, length)
            }
        };
        let noted = Noted {
            session: self.session,
            number: self.number,
            came_at: self.came_at,
            attempt: Attempt(i64::from_le_bytes(array(octets, 0)?)),
            command_status: number(8)?,
            class: CLASSES.get(usize::from(class)).copied()?,
            retried: flags & RETRIED != 0,
            refused,
            referenced: flags & REFERENCED != 0,
            waited_ms: number(12)?,
            message_id: octets.get(ANSWER..end)?.to_vec(),
            tlvs: tlvs.to_vec(),
        };
        Some((noted, length))
    }
}

const CLASSES: [StatusClass; 6] = [
    StatusClass::Accepted,
    StatusClass::Throttled,
    StatusClass::Temporary,
    StatusClass::Account,
    StatusClass::Permanent,
    StatusClass::Session,
];

/// Where a class stands in [`CLASSES`].
fn number_of(class: StatusClass) -> u8 {
    match class {
        StatusClass::Accepted => 0,
        StatusClass::Throttled => 1,
        StatusClass::Temporary => 2,
        StatusClass::Account => 3,
        StatusClass::Permanent => 4,
        StatusClass::Session => 5,
    }
}

fn seal(run: u64, session: i64, octets: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(run, session as u64);
    hasher.write(octets);
    hasher.finish()
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests;
