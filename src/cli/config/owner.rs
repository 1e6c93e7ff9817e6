//! Whose a file is that nobody named: what it says is followed only if it is the user's own or root's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a file is not trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranger {
    /// It belongs to this user, neither the one who runs the program nor root.
    Owner(u32),
    /// Others may write to it.
    Writable(u32),
}

/// Whether somebody else than the user or root may decide what is in the file; a symbolic link is looked at as well.
pub fn stranger(path: &Path) -> Option<Stranger> {
    let own = rustix::process::geteuid().as_raw();
    let is_foreign = |owner: u32| owner != own && owner != 0;
    let link = fs::symlink_metadata(path).ok()?;
    if is_foreign(link.uid()) {
        return Some(Stranger::Owner(link.uid()));
    }
    let file = fs::metadata(path).ok()?;
    if is_foreign(file.uid()) {
        return Some(Stranger::Owner(file.uid()));
    }
    (file.mode() & 0o022 != 0).then_some(Stranger::Writable(file.mode() & 0o777))
}
