//! The -wal that grows: what is committed is folded back into the journal only as far as nobody reads an older state. A
//! shell that was left in the middle of a transaction keeps the file growing, so that it is said, and who it is.

use crate::journal::beside::beside;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// From here on something is said: folded back in time it has a twentieth of that.
const REPORTED_FROM: u64 = 64 << 20;
/// SQLite's locks of those who read, in the file of its shared memory.
const READERS: std::ops::RangeInclusive<u64> = 123..=127;

/// How large the -wal is and which other process keeps it from being folded back, as words; `None`: it is small, or nobody
/// does.
pub fn unfolded(journal: &Path) -> Option<String> {
    let octets = std::fs::metadata(beside(journal, "-wal")).ok()?.len();
    if octets < REPORTED_FROM { None } else { words(octets, readers(journal)) }
}

/// How large a sender saw the -wal last, and what it said of it.
#[derive(Debug, Default)]
pub struct Watch {
    octets: u64,
    said: Option<String>,
}

impl Watch {
    /// As [`unfolded`], asked again and again: a file that was large once is written over from its beginning, and says nothing
    /// about who happens to read in that moment.
    pub fn unfolded(&mut self, journal: &Path) -> Option<String> {
        let octets = std::fs::metadata(beside(journal, "-wal")).map_or(0, |file| file.len());
        let has_grown = octets > std::mem::replace(&mut self.octets, octets);
        let found = if octets < REPORTED_FROM { None } else { words(octets, readers(journal)) };
        self.said = found.filter(|_| has_grown || self.said.is_some());
        self.said.clone()
    }
}

fn words(octets: u64, readers: Option<Vec<String>>) -> Option<String> {
    let who = match readers {
        // It was large, and is written over from its beginning.
        Some(readers) if readers.is_empty() => return None,
        Some(readers) => readers.join(", "),
        None => "it cannot be told which".to_owned(),
    };
    let words = "a process that reads an old state of the journal keeps its -wal file from being folded back";
    Some(format!("{words} ({} MB so far): {who}", octets >> 20))
}

/// The other processes that read the journal, without its sender, which folds; `None`: that cannot be known here.
fn readers(journal: &Path) -> Option<Vec<String>> {
    let shared = std::fs::metadata(beside(journal, "-shm")).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let sender = std::fs::metadata(journal).ok().and_then(|file| sender(&locks, file.ino()));
    let mut found = holders(&locks, shared.ino());
    found.retain(|process| *process != std::process::id() && Some(*process) != sender);
    Some(found.iter().map(|process| super::lock::named(*process)).collect())
}

/// The process that has flock(2) on the journal's file: its sender.
fn sender(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, "FLOCK", _, "WRITE", process, file, ..] = fields.as_slice() else { return None };
        (file.rsplit(':').next()?.parse() == Ok(inode)).then(|| process.parse().ok())?
    })
}

/// The processes that have a read lock on one of [`READERS`] of the file.
fn holders(locks: &str, inode: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, "POSIX", _, "READ", process, file, first, _] = fields.as_slice() else { return None };
        let is_it = file.rsplit(':').next()?.parse() == Ok(inode) && READERS.contains(&first.parse().ok()?);
        is_it.then(|| process.parse().ok()).flatten()
    };
    let mut found: Vec<u32> = locks.lines().filter_map(holder).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_is_found() {
        let locks = "1: POSIX  ADVISORY  READ  11 08:01:77 124 124\n\
                     2: POSIX  ADVISORY  READ  12 08:01:77 128 128\n\
                     3: POSIX  ADVISORY  WRITE 13 08:01:77 123 123\n\
                     4: POSIX  ADVISORY  READ  11 08:01:77 123 123\n\
                     5: POSIX  ADVISORY  READ  14 08:01:78 123 123\n";
        assert_eq!(holders(locks, 77), [11]);
        assert_eq!(holders(locks, 79), [0u32; 0]);
        let locks = "1: FLOCK  ADVISORY  WRITE 15 08:01:70 0 EOF\n2: FLOCK  ADVISORY  READ 16 08:01:71 0 EOF\n";
        assert_eq!((sender(locks, 70), sender(locks, 71), sender(locks, 72)), (Some(15), None, None));
    }

    #[test]
    fn one_that_is_written_over_says_nothing_of_who_reads_just_then() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let wal = std::fs::File::create(beside(&journal, "-wal")).unwrap();
        let mut watch = Watch { octets: 2 * REPORTED_FROM, said: None };
        wal.set_len(2 * REPORTED_FROM).unwrap();
        assert_eq!(watch.unfolded(&journal), None);
        // It grows again: somebody holds it, and does so until that is over.
        wal.set_len(3 * REPORTED_FROM).unwrap();
        assert!(watch.unfolded(&journal).is_some() && watch.unfolded(&journal).is_some());
        wal.set_len(0).unwrap();
        assert_eq!(watch.unfolded(&journal), None);
    }

    #[test]
    fn a_small_one_is_not_worth_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        assert_eq!(unfolded(&journal), None);
        let wal = std::fs::File::create(beside(&journal, "-wal")).unwrap();
        wal.set_len(REPORTED_FROM - 1).unwrap();
        assert_eq!(unfolded(&journal), None);
        wal.set_len(REPORTED_FROM).unwrap();
        assert!(unfolded(&journal).unwrap().ends_with("it cannot be told which"), "there is no file of locks");
        assert_eq!(words(REPORTED_FROM, Some(Vec::new())), None);
        let told = words(REPORTED_FROM, Some(vec!["process 7 (sqlite3)".into()])).unwrap();
        assert!(told.ends_with("(64 MB so far): process 7 (sqlite3)"), "{told}");
    }
}
