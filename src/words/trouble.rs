//! Words for what the system refuses, each with its cure, and paths that can be shown.

use crate::words::escape::escape_terminal;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// A path as it can be shown: what a terminal would obey in it is escaped.
pub fn shown(path: &Path) -> String {
    escape_terminal(&path.to_string_lossy()).into_owned()
}

/// Why the system refused, and what to do about it.
pub fn words(error: &io::Error) -> String {
    match Errno::from_io_error(error).and_then(cure) {
        Some(words) => words.into_owned(),
        None => match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND.into(),
            io::ErrorKind::PermissionDenied => NOT_PERMITTED.into(),
            // In the words of the system, without its number.
            _ => error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
        },
    }
}

const NOT_FOUND: &str = "there is no such file: check the name and the folder";
const NOT_PERMITTED: &str = "permission denied: check who may use the file and each folder above it";

fn cure(errno: Errno) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match errno {
        Errno::NOENT => NOT_FOUND,
        Errno::ACCESS | Errno::PERM => NOT_PERMITTED,
        Errno::LOOP => "its symbolic links lead in a circle: remove the one that leads back",
        Errno::ISDIR => "it is a folder, not a file",
        Errno::NOTDIR => "a part of the path before the last is a file, not a folder",
        Errno::NAMETOOLONG => "the name is longer than the file system allows",
        Errno::NOSPC => "no space left on the disk: make space",
        Errno::DQUOT => "your quota on that disk is used up: make space, or have it raised",
        Errno::ROFS => "the file system is mounted read-only",
        Errno::NXIO => "nobody is at the other end of it, or its device is not there",
        Errno::TXTBSY => "it is a program that runs",
        Errno::IO => "the disk failed (look at the system's log, `dmesg`)",
        Errno::NFILE => "the whole system has as many files open as it may: end other programs, or raise fs.file-max",
        Errno::NOMEM => "the system has no memory left",
        Errno::MFILE => {
            return Some(Cow::Owned(match getrlimit(Resource::Nofile).current {
                Some(limit) => format!(
                    "this process has as many files and connections open as it may ({limit}): raise the limit (ulimit -n), or \
                     use fewer --connections"
                ),
                None => "this process has as many files and connections open as it may".into(),
            }));
        }
        Errno::FBIG => {
            return Some(Cow::Owned(match getrlimit(Resource::Fsize).current {
                Some(limit) => {
                    format!("the file may not grow beyond {limit} octets here: raise the limit (ulimit -f)")
                }
                None => "the file is as large as this file system allows: use another one".into(),
            }));
        }
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_is_told_apart_with_its_cure() {
        let mut all = std::collections::BTreeSet::new();
        for (errno, part) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::FBIG, "large"),
            (Errno::NOSPC, "make space"),
            (Errno::DQUOT, "quota"),
            (Errno::ACCESS, "permission"),
            (Errno::LOOP, "circle"),
            (Errno::NOENT, "no such file"),
            (Errno::ISDIR, "folder"),
            (Errno::NOTDIR, "not a folder"),
            (Errno::NAMETOOLONG, "longer"),
            (Errno::ROFS, "read-only"),
            (Errno::IO, "dmesg"),
        ] {
            let words = words(&errno.into());
            assert!(words.contains(part), "{errno:?}: {words}");
            assert!(all.insert(words.clone()), "twice: {words}");
        }
        assert_eq!(words(&Errno::PIPE.into()), "Broken pipe");
        assert_eq!(words(&io::Error::other("of our own")), "of our own");
    }
}
