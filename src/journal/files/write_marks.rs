//! The write mark: how far each session had handed its attempts to the socket.
//!
//! Just before a writer hands octets to the socket it notes the serial of the last attempt that they hold, by a plain
//! write to `<journal>-marks`, not synced: a process that dies leaves the note in the page cache, and a machine that
//! dies starts with another boot id, under which the note is not believed. So after `kill -9` only what was handed to
//! the socket and not answered is in doubt; what was only claimed is queued again.
//!
//! When no session is open the file says how far the journal had come: an older copy in its place would send again what it
//! does not know of.
//!
//! The file is an array of 64 records, one for each session that can be open at once; numbers are little-endian:
//!
//! | octets | of an open session | when all is settled (the first record alone) |
//! |---|---|---|
//! | 0..8 | session, from 1 | -1 less the newest session: below 0 |
//! | 8..16 | serial of the last attempt that may have left | serial of the last attempt that was claimed |
//! | 16..24 | both, mixed with the run's number, as a check | both, mixed with the journal's identity |

use crate::journal::beside::{beside, open_side_file};
use crate::journal::error::JournalError;
use crate::journal::model::events::SessionNumber;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Sessions that can be open at once.
pub const SLOTS: usize = 64;
/// A record: session id, serial, and both of them mixed with the run's number, as a check.
const RECORD: usize = 24;

/// The file of marks, shared by the writers of all sessions.
#[derive(Clone, Debug)]
pub struct Marks(Arc<File>);

/// The mark of one session.
#[derive(Debug)]
pub struct Mark {
    file: Arc<File>,
    slot: usize,
    session: i64,
    run: u64,
}

impl Marks {
    /// Opens the file beside `journal`, making it where there is none.
    pub fn open(journal: &Path) -> Result<Self, JournalError> {
        let path = beside(journal, "-marks");
        let file = open_side_file(&path).map_err(|error| JournalError::side_file(journal, "-marks", error))?;
        Ok(Self(Arc::new(file)))
    }

    /// The marks in the file: session ids with the serial of the last attempt that may have left. Records that do not
    /// check, or are of another run (of another journal under this name), are left out, so that their sessions count as
    /// unmarked.
    pub fn read(&self, run: u64) -> Vec<(i64, i64)> {
        self.records(|record| decode(record, run))
    }

    /// The newest session in the file, of whatever run: a record names its session only after that is on disk in the journal.
    pub fn newest_session(&self) -> i64 {
        self.records(|record| number(record, 0)).into_iter().max().unwrap_or_default().max(0)
    }

    fn records<T>(&self, read: impl Fn(&[u8]) -> Option<T>) -> Vec<T> {
        let mut octets = [0; RECORD * SLOTS];
        let mut length = 0;
        while length < octets.len() {
            match self.0.read_at(&mut octets[length..], length as u64) {
                Ok(0) | Err(_) => break,
                Ok(n) => length += n,
            }
        }
        octets[..length].chunks_exact(RECORD).filter_map(read).collect()
    }

    /// Forgets all marks, and notes how far the journal with this identity has come. Only after recovery is committed: a mark
    /// still needed must not vanish.
    pub fn settle(&self, extent: Extent, identity: u64) -> std::io::Result<()> {
        self.0.set_len(0)?;
        // Below 0, so that it is no session's mark.
        self.0.write_all_at(&record(-1 - extent.session, extent.serial, identity), 0)
    }

    /// How far the journal with this identity had come when it was settled last; `None`: sessions were opened since, or it
    /// was another journal.
    pub fn settled(&self, identity: u64) -> Option<Extent> {
        let settled = self.records(|record| {
            let (session, serial, sum) = (number(record, 0)?, number(record, 8)?, number(record, 16)?);
            let extent = Extent { session: -1 - session, serial };
            (session < 0 && sum == check(session, serial, identity)).then_some(extent)
        });
        settled.first().copied()
    }

    /// The mark of a session, in a `slot` that no other open session uses. Says at once that nothing was written yet.
    pub fn begin(&self, slot: usize, session: SessionNumber) -> std::io::Result<Mark> {
        let mark = Mark { file: Arc::clone(&self.0), slot: slot % SLOTS, session: session.id, run: session.run };
        mark.note(session.serial_before)?;
        Ok(mark)
    }
}

impl Mark {
    /// Notes that attempts up to `serial` may have left from now on.
    pub fn note(&self, serial: i64) -> std::io::Result<()> {
        self.file.write_all_at(&record(self.session, serial, self.run), (self.slot * RECORD) as u64)
    }
}

/// How far a journal has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Its newest session; 0: none.
    pub session: i64,
    /// The serial of the last attempt that it claimed; 0: none.
    pub serial: i64,
}

/// The id of this boot of the machine; empty where it is not known, and then no mark is believed.
pub fn boot_id() -> &'static str {
    // Read once: later there may be no file descriptor for it.
    static BOOT: OnceLock<String> = OnceLock::new();
    let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    BOOT.get_or_init(|| read().trim().to_owned())
}

fn record(session: i64, serial: i64, of: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&session.to_le_bytes());
    record[8..16].copy_from_slice(&serial.to_le_bytes());
    record[16..].copy_from_slice(&check(session, serial, of).to_le_bytes());
    record
}

fn decode(record: &[u8], run: u64) -> Option<(i64, i64)> {
    let (session, serial, sum) = (number(record, 0)?, number(record, 8)?, number(record, 16)?);
    (session > 0 && sum == check(session, serial, run)).then_some((session, serial))
}

fn number(record: &[u8], at: usize) -> Option<i64> {
    record.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes)
}

fn check(session: i64, serial: i64, run: u64) -> i64 {
    (session ^ serial.rotate_left(17) ^ run as i64).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_broken_ones_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let marks = Marks::open(&journal).unwrap();
        assert_eq!(marks.read(5), []);
        let session = |id, serial_before| SessionNumber { id, serial_before, run: 5 };
        let first = marks.begin(0, session(7, 0)).unwrap();
        let second = marks.begin(1, session(8, 41)).unwrap();
        first.note(12).unwrap();
        assert_eq!(Marks::open(&journal).unwrap().read(5), [(7, 12), (8, 41)]);
        assert_eq!(marks.read(6), [], "of another run");
        assert_eq!(marks.newest_session(), 8);
        second.file.write_all_at(&[9], RECORD as u64 + 8).unwrap();
        assert_eq!(marks.read(5), [(7, 12)]);
        let extent = Extent { session: 8, serial: 12 };
        assert_eq!(marks.settled(77), None);
        marks.settle(extent, 77).unwrap();
        assert_eq!((marks.read(5), marks.newest_session()), (vec![], 0));
        assert_eq!((marks.settled(77), marks.settled(78)), (Some(extent), None), "of another journal");
        marks.begin(0, session(9, 12)).unwrap();
        assert_eq!(marks.settled(77), None);
    }
}
