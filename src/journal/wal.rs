//! The -wal that grows: what is committed is folded back into the journal only as far as nobody reads an older state. A
//! shell that was left in the middle of a transaction keeps the file growing, so that it is said, and who it is.

use super::beside;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// From here on something is said: folded back in time it has a twentieth of that.
const TOLD_FROM: u64 = 64 << 20;
/// SQLite's locks of those who read, in the file of its shared memory.
const READERS: std::ops::RangeInclusive<u64> = 123..=127;

/// How large the -wal is and which other process keeps it from being folded back, as words; `None`: it is small, or nobody
/// does.
pub fn unfolded(journal: &Path) -> Option<String> {
    let octets = std::fs::metadata(beside(journal, "-wal")).ok()?.len();
    if octets < TOLD_FROM { None } else { words(octets, readers(journal)) }
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

/// The other processes that read the journal; `None`: that cannot be known here.
fn readers(journal: &Path) -> Option<Vec<String>> {
    let shared = std::fs::metadata(beside(journal, "-shm")).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let mut found = holders(&locks, shared.ino());
    found.retain(|process| *process != std::process::id());
    Some(found.iter().map(|process| super::lock::named(*process)).collect())
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
    }

    #[test]
    fn a_small_one_is_not_worth_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        assert_eq!(unfolded(&journal), None);
        let wal = std::fs::File::create(beside(&journal, "-wal")).unwrap();
        wal.set_len(TOLD_FROM - 1).unwrap();
        assert_eq!(unfolded(&journal), None);
        wal.set_len(TOLD_FROM).unwrap();
        assert!(unfolded(&journal).unwrap().ends_with("it cannot be told which"), "there is no file of locks");
        assert_eq!(words(TOLD_FROM, Some(Vec::new())), None);
        let told = words(TOLD_FROM, Some(vec!["process 7 (sqlite3)".into()])).unwrap();
        assert!(told.ends_with("(64 MB so far): process 7 (sqlite3)"), "{told}");
    }
}
