//! Where a campaign's rows come from: a file that stands still, or a pipe, which has no name of its own.

use super::CampaignError;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file that was changed less than this ago is looked at again when it has stood still for as long.
const STILL: Duration = Duration::from_secs(2);

/// What `path` is where it is no file that another run could name again: a pipe, a device, a file descriptor. `None`: a
/// file, a folder, or nothing that is there.
pub fn no_file(path: &Path) -> Option<&'static str> {
    if path.as_os_str() == "-" {
        return Some("standard input");
    }
    // A number in these folders is whatever file the process happens to have open under it.
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    if folder == Path::new("/dev") || folder.starts_with("/proc") || folder == Path::new("/dev/fd") {
        return Some("what stands under a number, not a name");
    }
    let kind = path.metadata().ok()?.file_type();
    match () {
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        () if kind.is_socket() => Some("a socket"),
        () => None,
    }
}

/// Opens a file; `-` is standard input.
pub fn open_or_stdin(path: &Path) -> io::Result<File> {
    match path.as_os_str() == "-" {
        true => Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
        false => File::open(path),
    }
}

/// A campaign's file that is being read. `stamp`: what it was when that began, where it is a file.
#[derive(Debug)]
pub struct Standing {
    file: File,
    stamp: Option<Stamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    length: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(meta: &Metadata) -> Option<Self> {
        let is_file = meta.is_file();
        Some(Self { length: meta.len(), modified: meta.modified().ok()? }).filter(|_| is_file)
    }

    /// How much longer it has to stand still.
    fn still_for(&self, now: SystemTime) -> Option<Duration> {
        match now.duration_since(self.modified) {
            Ok(age) => STILL.checked_sub(age).filter(|wait| !wait.is_zero()),
            // By another clock than ours.
            Err(_) => Some(STILL),
        }
    }
}

impl Standing {
    /// Opens the file; one that was changed a moment ago is given the time to show whether it still changes.
    pub fn open(path: &Path) -> Result<Self, CampaignError> {
        let at_path = |error| CampaignError::Open(path.to_owned(), error);
        let file = open_or_stdin(path).map_err(at_path)?;
        let stamp = Stamp::of(&file.metadata().map_err(at_path)?);
        if let Some(wait) = stamp.and_then(|stamp| stamp.still_for(SystemTime::now())) {
            std::thread::sleep(wait);
        }
        let standing = Self { file, stamp };
        standing.check(path).map(|()| standing)
    }

    /// The file, to be read from where it stands.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Refuses what was changed since it was opened.
    pub fn check(&self, path: &Path) -> Result<(), CampaignError> {
        let Some(stamp) = self.stamp else { return Ok(()) };
        let meta = self.file.metadata().map_err(|error| CampaignError::Open(path.to_owned(), error))?;
        match Stamp::of(&meta) == Some(stamp) {
            true => Ok(()),
            false => Err(CampaignError::Moving(path.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_told_from_what_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("list.csv"), "x").unwrap();
        std::os::unix::fs::symlink("list.csv", path("link.csv")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for name in ["list.csv", "link.csv", "missing.csv", "."] {
            assert_eq!(no_file(&path(name)), None, "{name}");
        }
        assert_eq!(no_file(&path("socket")), Some("a socket"));
        for name in ["-", "/dev/stdin", "/dev/null", "/dev/fd/0", "/proc/self/fd/0", "/proc/self/../self/fd/0"] {
            assert!(no_file(Path::new(name)).is_some(), "{name}");
        }
    }

    #[test]
    fn a_file_has_to_stand_still_for_as_long_as_it_has_not() {
        let now = SystemTime::now();
        let stamp = |ago_ms: u64| Stamp { length: 1, modified: now - Duration::from_millis(ago_ms) };
        assert_eq!(stamp(0).still_for(now), Some(STILL));
        assert_eq!(stamp(500).still_for(now), Some(Duration::from_millis(1_500)));
        assert_eq!(stamp(2_000).still_for(now), None);
        assert_eq!(stamp(90_000).still_for(now), None);
        assert_eq!(Stamp { length: 1, modified: now + Duration::from_secs(9) }.still_for(now), Some(STILL));
    }
}
