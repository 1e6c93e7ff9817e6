//! The journal's file and those beside it, as the journal thread looks after them.

use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::files::reserve::{self, Reserve};
use crate::journal::files::wal;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a file is, whatever its name: device and number.
type Inode = (u64, u64);

/// The files.
pub(super) struct Files {
    pub(super) path: PathBuf,
    /// The journal, and the files beside it without which it keeps no promise, each with the inode that is in use.
    in_use: Vec<(PathBuf, Inode)>,
    /// `None`: used up, the disk is full.
    reserve: Option<Reserve>,
    wal: wal::Watch,
    looked_at: Instant,
}

impl Files {
    /// Those of a journal that is sent from.
    ///
    /// # Errors
    /// [`JournalError::Full`] where there is no room for the reserve.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let in_use = in_use(path)?;
        Ok(Self { path: path.to_owned(), in_use, reserve: Some(Reserve::keep(path)?), ..Self::none() })
    }

    /// None that are looked after.
    pub(super) fn none() -> Self {
        Self {
            path: PathBuf::new(),
            in_use: Vec::new(),
            reserve: None,
            wal: wal::Watch::default(),
            looked_at: Instant::now(),
        }
    }

    /// How long ago they were looked at.
    pub(super) fn since_looked_at(&self) -> Duration {
        self.looked_at.elapsed()
    }

    /// A journal that was deleted or replaced would keep no promise. Nor would one without its WAL, which has what is newest,
    /// or a lock that another sender can take.
    ///
    /// # Errors
    /// [`JournalError::Replaced`] names the file that is not what it was.
    pub(super) fn look(&mut self) -> Result<(), JournalError> {
        self.looked_at = Instant::now();
        match self.in_use.iter().find(|(file, inode)| inode_of(file).ok() != Some(*inode)) {
            Some((gone, _)) => Err(JournalError::Replaced { path: self.path.clone(), gone: gone.clone() }),
            None => Ok(()),
        }
    }

    /// Why the -wal grows and is not folded back, where it is large.
    pub(super) fn why_unfolded(&mut self) -> Option<String> {
        self.wal.unfolded(&self.path)
    }

    /// Keeps the reserve again where there is room for it, and for some work besides. Says whether there is.
    pub(super) fn keep_reserve(&mut self) -> bool {
        if self.reserve.is_none() && reserve::has_room(&self.path) {
            self.reserve = Reserve::keep(&self.path).ok();
        }
        self.reserve.is_some()
    }

    /// The disk is full: makes room for what is owed. Says whether there was any left to make.
    pub(super) fn give_up_reserve(&mut self) -> bool {
        self.reserve.take().is_some()
    }
}

/// The journal and those of its companions that are there: without a sender there is no lock.
fn in_use(journal: &Path) -> Result<Vec<(PathBuf, Inode)>, JournalError> {
    let inode = inode_of(journal).map_err(|error| JournalError::Io(journal.into(), error))?;
    let mut files = vec![(journal.to_owned(), inode)];
    for suffix in ["-wal", "-lock"] {
        let file = beside(journal, suffix);
        if let Ok(inode) = inode_of(&file) {
            files.push((file, inode));
        }
    }
    Ok(files)
}

fn inode_of(path: &Path) -> io::Result<Inode> {
    std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(folder: &tempfile::TempDir, suffixes: &[&str]) -> PathBuf {
        let path = folder.path().join("journal.db");
        std::fs::write(&path, "").unwrap();
        suffixes.iter().for_each(|suffix| std::fs::write(beside(&path, suffix), "").unwrap());
        path
    }

    #[test]
    fn a_file_that_is_not_what_it_was_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(&folder, &["-wal", "-lock"]);
        let mut files = Files::open(&path).unwrap();
        files.look().unwrap();
        for file in [beside(&path, "-wal"), beside(&path, "-lock"), path.clone()] {
            let kept = folder.path().join("kept");
            let gone = |files: &mut Files| match files.look() {
                Err(JournalError::Replaced { gone, .. }) => gone,
                other => panic!("{other:?}"),
            };
            std::fs::rename(&file, &kept).unwrap();
            assert_eq!(gone(&mut files), file, "it is not there");
            std::fs::write(&file, "").unwrap();
            assert_eq!(gone(&mut files), file, "another is in its place");
            std::fs::rename(&kept, &file).unwrap();
            files.look().unwrap();
        }
    }

    #[test]
    fn without_a_sender_there_is_no_lock_to_look_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(&folder, &["-wal"]);
        let mut files = Files::open(&path).unwrap();
        std::fs::write(beside(&path, "-lock"), "").unwrap();
        files.look().unwrap();
    }

    #[test]
    fn the_reserve_is_given_up_once_and_its_room_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(&folder, &[]);
        let mut files = Files::open(&path).unwrap();
        let reserve = beside(&path, "-reserve");
        assert!(std::fs::metadata(&reserve).unwrap().len() > 1 << 20);
        assert!(files.give_up_reserve());
        assert!(!reserve.exists());
        assert!(!files.give_up_reserve());
    }
}
