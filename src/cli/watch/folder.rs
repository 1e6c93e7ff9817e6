//! The folder and those in it: `work/` for what is being taken, `done/`, `failed/`, `again/`. All are on one file system, so that a
//! file is moved whole or not at all.

use crate::cli::CliError;
use crate::run::watch::names::{FOLDERS, numbered};
use crate::words::format::path_argument;
use crate::words::trouble::{shown, words as cannot_open};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Names that are tried where one is taken.
const NAMES_TRIED: usize = 100_000;
/// What is renamed from folder to folder at the start.
const PROOF: &str = ".smppost-watch.proof";

/// A folder that is watched, and by nobody else.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    #[allow(dead_code, reason = "held, not used")]
    lock: File,
}

impl Folder {
    /// Makes the folders in it, and proves that a file can go from each to the next.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let wrong = |path: &Path, words: &str| CliError::Usage(format!("--watch {}: {words}", shown(path)));
        let path = &std::path::absolute(path).map_err(|error| wrong(path, &cannot_open(&error)))?;
        let meta = fs::metadata(path)
            .map_err(|error| wrong(path, &format!("{}: make the folder first", cannot_open(&error))))?;
        if !meta.is_dir() {
            return Err(wrong(path, "this is no folder"));
        }
        let own = rustix::process::geteuid().as_raw();
        if meta.mode() & 0o1000 != 0 && meta.uid() != own && own != 0 {
            return Err(wrong(
                path,
                &format!(
                    "it is sticky (mode {:04o}), so that files of others cannot be taken out of it: chmod -t {}",
                    meta.mode() & 0o7777,
                    path_argument(path)
                ),
            ));
        }
        for name in FOLDERS {
            let folder = path.join(name);
            // What is being taken is nobody else's business, and nobody else's to change.
            let mode = if name == "work" { 0o700 } else { 0o777 };
            match DirBuilder::new().mode(mode).create(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(wrong(&folder, &format!("it cannot be made: {}", cannot_open(&error)))),
            }
            let meta = fs::symlink_metadata(&folder).map_err(|error| wrong(&folder, &cannot_open(&error)))?;
            if !meta.is_dir() {
                return Err(wrong(&folder, "this has to be a folder, and no link: move it away"));
            }
            if name == "work" && (meta.uid() != own && own != 0 || meta.mode() & 0o022 != 0) {
                return Err(wrong(
                    &folder,
                    &format!(
                        "others can change what is being taken: chown {own} {0}; chmod 700 {0}",
                        path_argument(&folder)
                    ),
                ));
            }
        }
        let folder = Self { path: path.clone(), lock: Self::lock(path)? };
        folder.prove()?;
        Ok(folder)
    }

    fn lock(path: &Path) -> Result<File, CliError> {
        let name = path.join("work/.lock");
        let wrong = |words: String| CliError::Usage(format!("--watch {}: {words}", shown(path)));
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
        let file = file.map_err(|error| wrong(format!("{}: {}", shown(&name), cannot_open(&error))))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(wrong("another service watches this folder: give each its own".into()))
            }
            Err(TryLockError::Error(error)) => Err(wrong(format!("{}: {}", shown(&name), cannot_open(&error)))),
        }
    }

    /// A file goes the way that all will go.
    fn prove(&self) -> Result<(), CliError> {
        let places: Vec<PathBuf> =
            [Path::new("")].into_iter().chain(FOLDERS.iter().map(Path::new)).map(|name| self.path.join(name)).collect();
        let wrong = |at: &Path, error: &io::Error| {
            let words = match Errno::from_io_error(error) {
                Some(Errno::XDEV) => format!(
                    "{} is on another file system, so that a file cannot be moved there whole: unmount it",
                    shown(at.parent().unwrap_or(at))
                ),
                _ => format!(
                    "{}: {}; the service has to be able to make and rename files here",
                    shown(at.parent().unwrap_or(at)),
                    cannot_open(error)
                ),
            };
            CliError::Usage(format!("--watch {}: {words}", shown(&self.path)))
        };
        let mut at = places[0].join(PROOF);
        File::create(&at).map_err(|error| wrong(&at, &error))?;
        for place in &places[1..] {
            let to = place.join(PROOF);
            if let Err(error) = fs::rename(&at, &to) {
                let _ = fs::remove_file(&at);
                return Err(wrong(&to, &error));
            }
            at = to;
        }
        fs::remove_file(&at).map_err(|error| wrong(&at, &error))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A name like this one that is free in one of the folders.
    pub fn free(&self, folder: &str, name: &OsStr) -> io::Result<OsString> {
        let is_free = |name: &OsString| matches!(fs::symlink_metadata(self.join(folder).join(name)), Err(error) if error.kind() == io::ErrorKind::NotFound);
        (1..NAMES_TRIED).map(|n| numbered(name, n)).find(is_free).ok_or_else(|| {
            io::Error::other(format!("{folder} has too many files of the name {}", name.to_string_lossy()))
        })
    }
}

/// Renames, and replaces nothing.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system does not know that. Nobody else renames to these names.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        Err(error) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}

/// Has what was renamed there last through a power cut.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a file that is whole or not there, over one of its name.
pub fn write<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let part = path.with_file_name(format!(".{:016x}.part", fastrand::u64(..)));
    let written = || -> Result<(), E> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(fs::rename(&part, path)?)
    };
    let outcome = written();
    if outcome.is_err() {
        let _ = fs::remove_file(&part);
    }
    outcome
}
