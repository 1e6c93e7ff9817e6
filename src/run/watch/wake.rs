//! What happens in a folder, by inotify. Where it cannot be had, or an event is lost, the next look finds the file all the same.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// Names that are remembered as renamed: of more, stillness decides.
const RENAMED_MAX: usize = 100_000;

/// The events of one folder.
#[derive(Debug)]
pub struct Wake {
    folder: PathBuf,
    inotify: Option<OwnedFd>,
    /// Names to which a file was renamed, and which file that was.
    renamed: HashMap<OsString, (u64, u64)>,
}

impl Wake {
    /// Of this folder, from now on.
    pub fn new(folder: PathBuf) -> Self {
        let mut wake = Self { folder, inotify: None, renamed: HashMap::new() };
        wake.listen();
        wake
    }

    fn listen(&mut self) {
        let flags = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::ONLYDIR;
        let listen = || {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            inotify::add_watch(&inotify, &self.folder, flags)?;
            Ok::<_, Errno>(inotify)
        };
        self.inotify = listen().map_err(|error| log::debug!("no events of {}: {error}", self.folder.display())).ok();
    }

    /// Waits until something happens there; false: nothing did in this time.
    pub fn wait(&self, at_most: Duration) -> bool {
        let Some(inotify) = &self.inotify else {
            std::thread::sleep(at_most);
            return false;
        };
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        match poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => ready > 0,
            Err(Errno::INTR) => false,
            Err(_) => {
                std::thread::sleep(at_most);
                false
            }
        }
    }

    /// Takes in what has happened.
    pub fn take_in(&mut self) {
        let Some(inotify) = &self.inotify else { return self.listen() };
        let mut buffer = [MaybeUninit::uninit(); 8_192];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut is_lost = false;
        while let Ok(event) = reader.next() {
            let events = event.events();
            // The folder is another one, or is not there.
            is_lost |= events.intersects(ReadFlags::IGNORED | ReadFlags::UNMOUNT);
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.renamed.clear();
            }
            let Some(name) = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes())) else { continue };
            if events.contains(ReadFlags::MOVED_TO) && self.renamed.len() < RENAMED_MAX {
                if let Ok(meta) = fs::symlink_metadata(self.folder.join(name)) {
                    self.renamed.insert(name.to_owned(), (meta.dev(), meta.ino()));
                }
            } else if events.contains(ReadFlags::CREATE) {
                self.renamed.remove(name);
            }
        }
        if is_lost {
            self.renamed.clear();
            self.listen();
        }
    }

    /// Whether this very file was renamed to the name.
    pub fn is_renamed(&self, name: &OsStr, file: (u64, u64)) -> bool {
        self.renamed.get(name) == Some(&file)
    }

    /// It is known as renamed no more: it was taken, or has changed since.
    pub fn forget(&mut self, name: &OsStr) {
        self.renamed.remove(name);
    }

    /// Forgets all that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&OsStr) -> bool) {
        self.renamed.retain(|name, _| is_there(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renamed_is_told_from_what_was_written_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let file = |name: &str| fs::metadata(path(name)).map(|meta| (meta.dev(), meta.ino())).unwrap();
        fs::write(path("before.csv"), "x").unwrap();
        let mut wake = Wake::new(folder.path().into());
        fs::write(path("written.csv"), "x").unwrap();
        fs::write(path("a.part"), "x").unwrap();
        fs::rename(path("a.part"), path("a.csv")).unwrap();
        assert!(wake.wait(Duration::from_secs(5)));
        wake.take_in();
        let is_renamed = |wake: &Wake, name: &str| wake.is_renamed(OsStr::new(name), file(name));
        assert!(is_renamed(&wake, "a.csv") && !is_renamed(&wake, "written.csv") && !is_renamed(&wake, "before.csv"));
        // Another file under the name.
        fs::remove_file(path("a.csv")).unwrap();
        fs::write(path("a.csv"), "half").unwrap();
        wake.take_in();
        assert!(!is_renamed(&wake, "a.csv"));
        fs::write(path("b.part"), "x").unwrap();
        fs::rename(path("b.part"), path("a.csv")).unwrap();
        wake.take_in();
        assert!(is_renamed(&wake, "a.csv"));
        wake.forget(OsStr::new("a.csv"));
        assert!(!is_renamed(&wake, "a.csv"));
    }

    #[test]
    fn a_folder_that_is_gone_and_comes_back_is_heard_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("in");
        let mut wake = Wake::new(folder.clone());
        assert!(!wake.wait(Duration::from_millis(1)));
        fs::create_dir(&folder).unwrap();
        wake.take_in();
        fs::write(folder.join("a"), "x").unwrap();
        assert!(wake.wait(Duration::from_secs(5)));
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        wake.take_in();
        fs::write(folder.join("b"), "x").unwrap();
        wake.take_in();
        fs::rename(folder.join("b"), folder.join("c")).unwrap();
        wake.take_in();
        let meta = fs::metadata(folder.join("c")).unwrap();
        assert!(wake.is_renamed(OsStr::new("c"), (meta.dev(), meta.ino())));
    }
}
