//! One sender, and one import, at a time: advisory locks. The operating system lets go of them when the process ends,
//! however it ends.
//!
//! Each has a file beside the journal. A sender holds the journal's own file besides: a journal may have several names, and
//! a file beside it can be removed, while there is but one file that is sent from.

use crate::journal::beside::{beside, open_side_file};
use crate::journal::error::{HeldBy, JournalError};
use crate::platform::clock::now_ms;
use crate::words::format::moment;
use crate::words::stamp::Stamp;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Held by whoever sends or listens: `<journal>-lock`, and the journal itself.
#[derive(Debug)]
pub struct SenderLock {
    journal: PathBuf,
    beside: LockFile,
    itself: OnceLock<Hold>,
}

/// Who holds a journal, by what it noted in its lock.
fn held_by(journal: &Path) -> HeldBy {
    let noted = fs::read_to_string(beside(journal, "-lock")).unwrap_or_default();
    HeldBy { journal: journal.into(), by: noted_holder(&noted), is_service: notes_service(&noted) }
}

/// The service that holds the journal, by what it noted in its lock; `None`: there is none, or nobody can say.
pub fn service(journal: &Path) -> Option<HeldBy> {
    // Noted by one that has ended, perhaps. Where it has not noted anything, the lock is left alone.
    let held = Some(held_by(journal)).filter(|held| held.is_service)?;
    matches!(take(journal, "-lock"), Ok(None)).then_some(held)
}

/// Whoever holds the journal to send, listen or serve; `None`: nobody, or nobody can say.
pub fn sender(journal: &Path) -> Option<HeldBy> {
    let is_there = beside(journal, "-lock").exists();
    (is_there && matches!(take(journal, "-lock"), Ok(None))).then(|| held_by(journal))
}

/// Whether the service that was at work last still is, as far as its process is seen. Without touching the lock, for which one
/// that is started anew may ask at this moment.
pub fn service_is_alive(journal: &Path) -> bool {
    let noted = noted(journal);
    notes_service(&noted) && is_alive(&noted)
}

/// So often, and so long each time, a lock is waited for that nobody who is alive has noted as his.
const LOOKED_AT_MAX: u32 = 10;
const LOOKED_AT: Duration = Duration::from_millis(5);

/// What the last holder noted in the lock.
fn noted(journal: &Path) -> String {
    fs::read_to_string(beside(journal, "-lock")).unwrap_or_default()
}

/// Whether the process that noted this is seen.
fn is_alive(noted: &str) -> bool {
    let process = noted.split_whitespace().next().and_then(|word| word.parse().ok());
    let process = process.and_then(rustix::process::Pid::from_raw);
    // One of another user is there, too.
    process.is_some_and(|process| rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH))
}

/// What a service notes behind its command.
const SERVICE: &str = "service";

fn notes_service(noted: &str) -> bool {
    noted.split_whitespace().nth(3) == Some(SERVICE)
}

/// Reads what [`note_holder`] wrote.
fn noted_holder(noted: &str) -> Option<String> {
    let mut words = noted.split_whitespace();
    let process: u32 = words.next()?.parse().ok()?;
    let since = Stamp(words.next()?.parse().ok()?);
    let command: String = words.next().unwrap_or_default().chars().filter(char::is_ascii_alphabetic).take(20).collect();
    let command = if command.is_empty() { String::new() } else { format!(", `smppost {command}`") };
    Some(format!("process {process}{command}, since {} UTC", moment(since)))
}

/// Notes in the lock who has it, for those who find it taken. Nothing depends on it.
fn note_holder(mut lock: &File, is_service: bool) {
    let command = match is_service {
        true => Some(format!("run {SERVICE}")),
        false => std::env::args().nth(1).filter(|word| word.chars().all(|c| c.is_ascii_alphabetic())),
    };
    let words = format!("{} {} {}\n", std::process::id(), now_ms(), command.unwrap_or_default());
    let noted = lock.set_len(0).and_then(|()| lock.write_all(words.as_bytes()));
    if let Err(error) = noted {
        log::debug!("the lock does not say who has it: {error}");
    }
}

/// Held by an import while it runs: `<journal>-import-lock`.
#[derive(Debug)]
pub struct ImportLock(LockFile);

/// A file beside the journal that is locked as long as it is held.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    #[allow(dead_code, reason = "held, not used")]
    file: File,
    is_new: bool,
}

impl LockFile {
    /// Removes the file if it was made for this lock. It is still locked meanwhile, and whoever waits for it finds that it
    /// is gone.
    fn leave_nothing(&self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl SenderLock {
    /// Takes the lock, or fails at once with [`JournalError::Held`]. Where there is no journal yet, see
    /// [`hold_journal`](Self::hold_journal).
    pub fn take(journal: &Path) -> Result<Self, JournalError> {
        Self::take_as(journal, false)
    }

    /// As [`take`](Self::take), for a service: commands find in the lock that there is one to hand over to.
    pub fn take_for_service(journal: &Path) -> Result<Self, JournalError> {
        Self::take_as(journal, true)
    }

    fn take_as(journal: &Path, is_service: bool) -> Result<Self, JournalError> {
        let mut tries = 0;
        let beside = loop {
            match take(journal, "-lock")? {
                Some(lock) => break lock,
                // Whoever only looks who has it holds it for a moment, and notes nothing.
                None if tries < LOOKED_AT_MAX && !is_alive(&noted(journal)) => {
                    tries += 1;
                    std::thread::sleep(LOOKED_AT);
                }
                None => return Err(JournalError::Held(held_by(journal))),
            }
        };
        let lock = Self { journal: journal.into(), beside, itself: OnceLock::new() };
        lock.hold_journal()?;
        note_holder(&lock.beside.file, is_service);
        Ok(lock)
    }

    /// Lets go of the lock, and leaves no file behind that it made: for a run that came to nothing.
    pub fn leave_nothing(self) {
        self.beside.leave_nothing();
    }

    /// Holds the journal itself too, if it was made only after the lock was taken. To be called before it is recovered.
    pub fn hold_journal(&self) -> Result<(), JournalError> {
        if self.itself.get().is_none()
            && let Some(hold) = Hold::take(&self.journal)?
        {
            let _ = self.itself.set(hold);
        }
        Ok(())
    }
}

impl ImportLock {
    /// Takes the lock, or fails with [`JournalError::ImportHeld`].
    pub fn take(journal: &Path) -> Result<Self, JournalError> {
        let mut tries = 0;
        loop {
            match take(journal, "-import-lock")? {
                Some(lock) => return Ok(Self(lock)),
                // Whoever only looks whether an import is running holds it for a moment.
                None if tries < LOOKED_AT_MAX => {
                    tries += 1;
                    std::thread::sleep(LOOKED_AT);
                }
                None => return Err(JournalError::ImportHeld(journal.into())),
            }
        }
    }

    /// Waits until no import is running; `waits` is called once, if one is. Another one may begin at once.
    pub fn await_free(journal: &Path, waits: &mut dyn FnMut()) -> Result<(), JournalError> {
        if !beside(journal, "-import-lock").exists() {
            return Ok(());
        }
        let mut told = false;
        while take(journal, "-import-lock")?.is_none() {
            if !std::mem::replace(&mut told, true) {
                waits();
            }
            std::thread::sleep(IMPORT_LOOK);
        }
        Ok(())
    }

    /// Lets go of the lock, and leaves no file behind that it made.
    pub(in crate::journal) fn leave_nothing(self) {
        self.0.leave_nothing();
    }
}

/// How often an import that waits for another looks whether that has ended.
const IMPORT_LOOK: Duration = Duration::from_millis(50);

/// How often a lock is taken anew whose file was removed meanwhile, by a run that left nothing behind.
const REMOVED_MAX: usize = 100;

fn take(journal: &Path, suffix: &str) -> Result<Option<LockFile>, JournalError> {
    super::regular::check(journal)?;
    for _ in 0..REMOVED_MAX {
        let Some(lock) = take_once(journal, suffix)? else { return Ok(None) };
        // A lock on a file that is gone keeps nobody out.
        let is_there = fs::metadata(&lock.path).and_then(|there| {
            Ok((there.ino(), there.dev()) == lock.file.metadata().map(|own| (own.ino(), own.dev()))?)
        });
        if is_there.unwrap_or(false) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

fn take_once(journal: &Path, suffix: &str) -> Result<Option<LockFile>, JournalError> {
    let path = beside(journal, suffix);
    let is_new = !path.exists();
    let file = open_side_file(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            JournalError::ReadOnly(journal.into())
        }
        std::io::ErrorKind::NotFound => {
            JournalError::Io(journal.into(), std::io::Error::other("the folder that it is to be in does not exist"))
        }
        _ => JournalError::side_file(journal, suffix, error),
    })?;
    if crate::platform::sabotage::is("no-lock") {
        return Ok(Some(LockFile { path, file, is_new }));
    }
    match file.try_lock() {
        Ok(()) => Ok(Some(LockFile { path, file, is_new })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(JournalError::Io(path, error)),
    }
}

/// flock(2) of the journal's file. SQLite's own locks (fcntl) know nothing of it on a local file system; but a process that
/// closes any descriptor of a file loses all of its fcntl locks on it. So this one is let go of and never closed.
#[derive(Debug)]
struct Hold(ManuallyDrop<File>);

impl Hold {
    /// `None`: there is no file, or this lock and SQLite's would get in each other's way.
    fn take(journal: &Path) -> Result<Option<Self>, JournalError> {
        // What is no file is refused when it is opened, with better words.
        if crate::platform::sabotage::is("no-lock") || !journal.is_file() || !keeps_locks_apart(journal) {
            return Ok(None);
        }
        let file = match File::open(journal) {
            Ok(file) => ManuallyDrop::new(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::Io(journal.into(), error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Err(JournalError::Held(held_by(journal))),
            Err(TryLockError::Error(error)) => Err(JournalError::Io(journal.into(), error)),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Whether flock(2) and fcntl(2) do not see each other there. They do on other systems than Linux, and on file systems that
/// have the other host keep the locks. There the lock beside the journal has to do.
fn keeps_locks_apart(journal: &Path) -> bool {
    let (true, Ok(path), Ok(mounts)) =
        (cfg!(target_os = "linux"), fs::canonicalize(journal), fs::read_to_string("/proc/self/mountinfo"))
    else {
        return false;
    };
    file_system(&mounts, &path).is_some_and(|kind| {
        let distant = ["nfs", "cifs", "smb", "9p", "ceph", "afs", "lustre", "gfs", "ocfs", "fuse", "virtiofs", "vbox"];
        !distant.iter().any(|distant| kind.starts_with(distant))
    })
}

/// The kind of file system that `path` is on: that of the longest mount point above it, the last where there are several.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let above = mounts.lines().filter_map(|line| {
        let (fixed, kind) = line.split_once(" - ")?;
        let point = fixed.split(' ').nth(4)?.replace("\\040", " ");
        path.starts_with(&point).then(|| (point.len(), kind.split(' ').next()))
    });
    above.max_by_key(|&(length, _)| length)?.1
}

/// Who keeps all others from writing to the journal, and what to do about it; `None`: nobody that can be found.
///
/// The write lock of a WAL is octet 120 of its index (<https://sqlite.org/walformat.html>, 2.3.1).
pub fn writer(journal: &Path) -> Option<String> {
    let index = fs::metadata(beside(journal, "-shm")).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = holder(&locks, index, 120)?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let name = named(process);
    Some(if status.lines().any(|line| line.starts_with("State:\tT")) {
        format!(
            "{name}, which is stopped: let it go on (`kill -CONT {process}`, or `fg` where it was started) or end it"
        )
    } else {
        format!("{name}: wait for it or end it")
    })
}

/// A process by its number and its command.
pub(in crate::journal) fn named(process: u32) -> String {
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let mut words = command.split(|&octet| octet == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    // No more of its arguments: they are nobody's business.
    let command: String =
        [program, &words.next().unwrap_or_default()].join(" ").chars().filter(|c| !c.is_control()).take(60).collect();
    format!("process {process} ({})", command.trim())
}

/// The process that has a write lock of fcntl(2) on that octet of that file.
fn holder(locks: &str, inode: u64, octet: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, "POSIX", _, "WRITE", process, file, first, last] = fields.as_slice() else { return None };
        let is_it = file.rsplit(':').next()?.parse() == Ok(inode)
            && first.parse::<u64>().ok()? <= octet
            && last.parse().map_or(last == "EOF", |last: u64| octet <= last);
        is_it.then(|| process.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f44_the_second_sender_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let first = SenderLock::take(&journal).unwrap();
        assert!(matches!(SenderLock::take(&journal), Err(JournalError::Held(_))));
        // An import may run beside a sender.
        let _import = ImportLock::take(&journal).unwrap();
        assert!(matches!(ImportLock::take(&journal), Err(JournalError::ImportHeld(_))));
        drop(first);
        SenderLock::take(&journal).unwrap();
    }

    #[test]
    fn a_service_is_told_from_other_senders() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        assert!(service(&journal).is_none());
        let is_service = |taken| matches!(taken, Err(JournalError::Held(held)) if held.is_service);
        for serves in [true, false] {
            let _lock = SenderLock::take_as(&journal, serves).unwrap();
            assert_eq!(service(&journal).is_some(), serves);
            assert_eq!(is_service(SenderLock::take(&journal)), serves);
        }
    }

    #[test]
    fn a_lock_that_came_to_nothing_leaves_no_file_and_keeps_others_out_till_then() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let count = || fs::read_dir(folder.path()).unwrap().count();
        SenderLock::take(&journal).unwrap().leave_nothing();
        assert_eq!(count(), 0);
        // One that was there before stays.
        drop(SenderLock::take(&journal).unwrap());
        SenderLock::take(&journal).unwrap().leave_nothing();
        assert_eq!(count(), 1);
        // Of many that come and go, none holds it at the same time as another.
        fs::remove_file(beside(&journal, "-lock")).unwrap();
        let holders = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let Ok(lock) = SenderLock::take(&journal) else { continue };
                        assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        lock.leave_nothing();
                    }
                });
            }
        });
    }

    #[test]
    fn the_journal_is_held_by_all_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let [journal, link, hard, early] =
            ["journal.db", "link.db", "hard.db", "early.db"].map(|name| folder.path().join(name));
        // As `send` does, which imports first.
        let first = SenderLock::take(&journal).unwrap();
        let connection = crate::journal::open::open_or_create(&journal).unwrap();
        first.hold_journal().unwrap();
        std::os::unix::fs::symlink("journal.db", &link).unwrap();
        fs::hard_link(&journal, &hard).unwrap();
        for name in [&link, &hard] {
            assert!(matches!(SenderLock::take(name), Err(JournalError::Held(_))), "{name:?}");
        }
        assert!(!beside(&link, "-lock").ends_with("link.db-lock"));
        fs::remove_file(beside(&journal, "-lock")).unwrap();
        assert!(matches!(SenderLock::take(&journal), Err(JournalError::Held(_))));
        // SQLite's locks are as they were: another process would see this transaction.
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let words = writer(&journal).unwrap();
        assert!(words.starts_with(&format!("process {} (", std::process::id())), "{words}");
        connection.execute_batch("COMMIT").unwrap();
        assert_eq!(writer(&journal), None);
        drop(first);
        SenderLock::take(&hard).unwrap();
        // Two that started before there was a journal.
        let first = SenderLock::take(&early).unwrap();
        drop(crate::journal::open::open_or_create(&early).unwrap());
        fs::remove_file(beside(&early, "-lock")).unwrap();
        let _second = SenderLock::take(&early).unwrap();
        assert!(matches!(first.hold_journal(), Err(JournalError::Held(_))));
    }

    #[test]
    fn the_file_system_is_that_of_the_innermost_mount() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      40 22 0:44 / /mnt/far\\040off rw - nfs4 host:/x rw\n\
                      41 22 0:45 / /mnt rw - tmpfs tmpfs rw\n\
                      42 22 0:46 / /mnt rw shared:7 master:2 - xfs /dev/sdb rw\n";
        for (path, expected) in
            [("/a.db", "ext4"), ("/mnt/a.db", "xfs"), ("/mnt/far off/a.db", "nfs4"), ("/mntx/a.db", "ext4")]
        {
            assert_eq!(file_system(mounts, Path::new(path)), Some(expected), "{path}");
        }
    }

    #[test]
    fn whoever_is_refused_learns_who_has_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let _first = SenderLock::take(&journal).unwrap();
        let words = SenderLock::take(&journal).unwrap_err().to_string();
        assert!(words.contains(&format!("(process {}", std::process::id())) && words.contains("since 20"), "{words}");
        for (noted, expected) in [
            ("12 1774749599250 send", Some("process 12, `smppost send`, since 2026-03-29 01:59:59 UTC")),
            ("12 1774749599250", Some("process 12, since 2026-03-29 01:59:59 UTC")),
            ("", None),
            ("x 1774749599250", None),
        ] {
            assert_eq!(noted_holder(noted).as_deref(), expected);
        }
    }

    #[test]
    fn the_holder_of_a_lock_is_found() {
        let locks = "1: FLOCK  ADVISORY  WRITE 10 08:01:77 0 EOF\n\
                     2: POSIX  ADVISORY  READ  11 08:01:77 120 120\n\
                     2: -> POSIX  ADVISORY  WRITE 12 08:01:77 120 120\n\
                     3: POSIX  ADVISORY  WRITE 13 08:01:77 121 127\n\
                     4: POSIX  ADVISORY  WRITE 14 08:01:77 120 120\n\
                     5: POSIX  ADVISORY  WRITE 15 08:01:78 0 EOF\n";
        assert_eq!(holder(locks, 77, 120), Some(14));
        assert_eq!(holder(locks, 78, 120), Some(15));
        assert_eq!(holder(locks, 79, 120), None);
    }
}
