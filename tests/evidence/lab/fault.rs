//! A disk that fails: `fault.c`, made into a library that is loaded before the program.

use crate::common::skipped;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What fails, when and how often.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// `write`, `sync`, `truncate`, `open`, `read`, `unlink`.
    pub call: &'static str,
    pub error: Error,
    /// From which call of that kind on; from 1.
    pub at: u64,
    /// How many of them.
    pub times: u64,
}

/// What a failing call says; `Killed`: nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    Io,
    Full,
    Killed,
}

/// The library, in a folder that goes with it.
pub struct Shim {
    folder: tempfile::TempDir,
}

impl Shim {
    /// Compiles it; `None`, with words, where that cannot be done.
    pub fn make() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("fault.so"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evidence/lab/fault.c"))
            .arg("-ldl")
            .output();
        if made.as_ref().is_ok_and(|made| made.status.success()) {
            return Some(Self { folder });
        }
        skipped(&format!("the library of a failing disk cannot be compiled here ({made:?})"));
        None
    }

    /// The environment in which calls that reach the journal at this path, or a file beside it, fail.
    pub fn failing(&self, journal: &Path, fault: Fault) -> Vec<(&'static str, String)> {
        let error = match fault.error {
            Error::Io => 5,
            Error::Full => 28,
            Error::Killed => 0,
        };
        let mut environment = self.over(journal);
        environment.extend([
            ("SMPPOST_FAULT_CALL", fault.call.into()),
            ("SMPPOST_FAULT_AT", fault.at.to_string()),
            ("SMPPOST_FAULT_TIMES", fault.times.to_string()),
            ("SMPPOST_FAULT_ERRNO", i32::to_string(&error)),
        ]);
        environment
    }

    /// The environment in which the journal and the files beside it may hold so many octets together.
    pub fn room(&self, journal: &Path, octets: u64) -> Vec<(&'static str, String)> {
        let mut environment = self.over(journal);
        environment.push(("SMPPOST_FAULT_ROOM", octets.to_string()));
        environment
    }

    /// The environment in which the time of day is off by as many seconds as the file says.
    pub fn clock(&self, file: &Path) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("a path of characters").to_owned();
        vec![("LD_PRELOAD", text(&self.folder.path().join("fault.so"))), ("SMPPOST_FAULT_CLOCK", text(file))]
    }

    fn over(&self, journal: &Path) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().expect("a path of characters").to_owned();
        let told = self.told(journal);
        let _ = std::fs::remove_file(&told);
        vec![
            ("LD_PRELOAD", text(self.folder.path().join("fault.so"))),
            ("SMPPOST_FAULT_PREFIX", text(journal.into())),
            ("SMPPOST_FAULT_TOLD", text(told)),
        ]
    }

    fn told(&self, journal: &Path) -> PathBuf {
        journal.with_file_name("fault-told")
    }

    /// What failed first in the last run over this journal, where something did.
    pub fn fired(&self, journal: &Path) -> Option<String> {
        self.line(journal, "fired ")
    }

    /// How many calls of its kind the last run made.
    pub fn counted(&self, journal: &Path) -> u64 {
        let line = self.line(journal, "counted ").expect("a run that was counted");
        line.split(' ').next().and_then(|count| count.parse().ok()).expect("a number")
    }

    fn line(&self, journal: &Path, beginning: &str) -> Option<String> {
        let told = std::fs::read_to_string(self.told(journal)).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix(beginning));
        line.map(str::to_owned)
    }
}
