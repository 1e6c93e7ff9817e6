//! What cannot be a journal is found out by its name and by stat(2) alone: opening a FIFO would wait for its other end, and a
//! device might do anything. Nothing is made beside it.

use crate::journal::error::JournalError;
use crate::words::format::argument;
use crate::words::trouble;
use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// As close as this to the limit of file sizes it is what failed: SQLite and the program write no more at once.
const LIMIT_MARGIN: u64 = 256 * 1024;

/// Refuses what is no regular file, or no name of one. What is not there yet passes.
pub fn check(path: &Path) -> Result<(), JournalError> {
    let refuse = |what: String| Err(JournalError::NotAFile(path.into(), what));
    let name = path.to_string_lossy();
    if name.is_empty() {
        return refuse("its name is empty".into());
    }
    if name == "-" {
        return refuse("- stands for a stream".into());
    }
    if name.starts_with(":memory:") {
        return refuse("what is in memory does not outlive the program".into());
    }
    if let Some(rest) = name.strip_prefix("file:") {
        let plain = rest.trim_start_matches("//").split('?').next().unwrap_or_default();
        return refuse(format!("a URI is not taken: write the path itself, as in --journal {}", argument(plain)));
    }
    let kind = match fs::metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::read_link(path) {
                Ok(target) => refuse(format!(
                    "it is a symbolic link to {}, which is not there: make the link lead to the journal, or remove it",
                    trouble::shown(&target)
                )),
                Err(_) => Ok(()),
            };
        }
        Err(error) => return Err(JournalError::Io(path.into(), error)),
    };
    match () {
        () if kind.is_file() => Ok(()),
        () if kind.is_dir() => refuse("it is a folder".into()),
        () if kind.is_fifo() => refuse("it is a pipe (FIFO)".into()),
        () if kind.is_socket() => refuse("it is a socket".into()),
        () => refuse("it is a device".into()),
    }
}

/// Why SQLite could not open a file, which it does not tell.
pub(in crate::journal) fn why_not_opened(path: &Path) -> Option<io::Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Of the journal itself no descriptor may be closed: with it would go the locks that SQLite has on it.
    no_descriptors()
        .or_else(|| access(path, Access::READ_OK).err().map(io::Error::from))
        .or_else(|| access(folder, Access::EXEC_OK | Access::WRITE_OK).err().map(io::Error::from))
}

/// Why the system failed to read or write the journal or what lies beside it, where it is not the disk's fault.
pub(in crate::journal) fn why_failed(path: &Path) -> Option<io::Error> {
    if let Some(error) = no_descriptors() {
        return Some(error);
    }
    if let Some(limit) = getrlimit(Resource::Fsize).current {
        let sizes = ["", "-wal", "-shm"]
            .map(|suffix| fs::metadata(crate::journal::beside::beside(path, suffix)).map_or(0, |meta| meta.len()));
        if sizes.iter().any(|size| size + LIMIT_MARGIN >= limit) {
            return Some(Errno::FBIG.into());
        }
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match statvfs(folder) {
        Ok(system) if system.f_bavail == 0 => Some(Errno::NOSPC.into()),
        _ => None,
    }
}

fn no_descriptors() -> Option<io::Error> {
    let error = File::open("/dev/null").err()?;
    matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)).then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_and_what_is_not_there_pass() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        for name in ["file", "link", "new"] {
            assert!(check(&at(name)).is_ok(), "{name}");
        }
        for (path, part) in [
            (at(""), "a folder"),
            (at("dangling"), "symbolic link to nowhere"),
            (at("loop"), "circle"),
            (at("file/x"), "not a folder"),
            ("/dev/null".into(), "a device"),
            ("".into(), "empty"),
            ("-".into(), "stream"),
            (":memory:".into(), "memory"),
            ("file:///tmp/a b.db?mode=ro".into(), "--journal '/tmp/a b.db'"),
        ] {
            let words = check(&path).unwrap_err().to_string();
            assert!(words.contains(part), "{path:?}: {words}");
        }
    }
}
