//! The notes of a user's journals: which there are, of which accounts, and how far each was. One small file for each, in the
//! user's state folder, written whole or not at all. Nothing that is sent depends on them alone: where they cannot be kept,
//! that is said, and the run goes on.

use super::identity::{self, FileMark};
use crate::journal::error::JournalError;
use crate::journal::files::write_marks::Extent;
use crate::journal::handle::Sql;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Octets of a note that are read: one of a few hundred is usual.
const OCTETS_MAX: u64 = 64 * 1024;
/// Names under which a journal's account is known.
const ACCOUNTS_MAX: usize = 64;
/// The folder of the notes in the state folder.
const FOLDER: &str = "journals";

/// What is noted of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The journal's own number, which a copy has as well.
    pub id: String,
    /// Where it was seen last.
    pub path: PathBuf,
    /// Which file it is.
    pub file: FileMark,
    /// How often it was changed by a command ([`identity::generation`]).
    pub generation: i64,
    /// How far it had come: its newest session, and the serial of its last attempt.
    pub session: i64,
    /// See `session`.
    pub serial: i64,
    /// A sender was using it, and has not said that it ended.
    pub sending: bool,
    /// The names of the account that it serves, the newest first; none: it has not been sent from.
    pub accounts: Vec<String>,
}

impl Note {
    /// Whether a file is where the journal was.
    pub fn is_there(&self) -> bool {
        self.path.is_file()
    }
}

/// All notes of a user.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    folder: Option<PathBuf>,
    all: Vec<Note>,
}

/// The user's state folder, as the command line found it.
static STATE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Says where notes are kept in this run, once; before, none are.
pub fn keep_in(state: Option<PathBuf>) {
    let _ = STATE.set(state);
}

impl Notes {
    /// Reads the notes where this run keeps them; `None`: it keeps none.
    pub fn of_run() -> Option<Self> {
        STATE.get().map(|state| Self::read(state.as_deref()))
    }

    /// Reads the notes in a state folder. What cannot be read is as good as not there.
    pub fn read(state: Option<&Path>) -> Self {
        let Some(folder) = state.map(|state| state.join(FOLDER)) else { return Self::default() };
        let files = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let mut all: Vec<Note> = files.filter_map(|path| read(&path)).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Self { folder: Some(folder), all }
    }

    /// The journals of an account, by any of its names.
    pub fn of(&self, account: &[String]) -> Vec<&Note> {
        self.all.iter().filter(|note| note.accounts.iter().any(|own| account.contains(own))).collect()
    }

    /// The journals of all accounts.
    pub fn all(&self) -> &[Note] {
        &self.all
    }

    /// The note of the journal with this number.
    pub fn find(&self, id: &str) -> Option<&Note> {
        self.all.iter().find(|note| note.id == id)
    }

    /// Puts a note in the place of what was noted of that journal.
    pub fn write(&self, note: &Note) -> io::Result<()> {
        let folder =
            self.folder.as_ref().ok_or_else(|| io::Error::other("there is no home folder (HOME is not set)"))?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let part = folder.join(format!("{}.{}.part", note.id, std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&serde_json::to_vec_pretty(note)?)?;
            file.sync_data()?;
            fs::rename(&part, folder.join(format!("{}.json", note.id)))
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })
    }

    /// Takes the note of a journal away; false: there is none.
    pub fn forget(&self, id: &str) -> io::Result<bool> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.find(id).is_some()) else { return Ok(false) };
        fs::remove_file(folder.join(format!("{id}.json"))).map(|()| true)
    }
}

fn read(path: &Path) -> Option<Note> {
    use io::Read;
    let mut text = String::new();
    File::open(path).ok()?.take(OCTETS_MAX).read_to_string(&mut text).ok()?;
    let note: Note = serde_json::from_str(&text).ok()?;
    // A note says of which file it is the note.
    (path.file_stem()? == note.id.as_str()).then_some(note)
}

/// Counts a change of the journal, in it and then in its note. A journal that is not the file it was has no say about the
/// note. `sending`: whether a sender begins or ends with it.
///
/// # Errors
/// What the journal says. Where only the note cannot be written, that is a warning.
pub fn record(
    journal: &dyn Sql,
    path: &Path,
    notes: &Notes,
    account: &[String],
    sending: Option<bool>,
) -> Result<(), JournalError> {
    let connection = journal.connection();
    let id = identity::id(connection)?;
    let file = FileMark::of(path)?;
    let before = notes.find(&id);
    if identity::standing(connection, file, before)?.is_some() {
        return Ok(());
    }
    identity::set_file(connection, file)?;
    let generation = identity::count(connection)?;
    let Extent { session, serial } = crate::journal::store::identity::extent(connection)?;
    let mut accounts = account.to_vec();
    accounts.extend(super::account::names(connection)?);
    accounts.extend(before.iter().flat_map(|note| note.accounts.iter().cloned()));
    let mut seen = hashbrown::HashSet::new();
    accounts.retain(|account| seen.insert(account.clone()));
    accounts.truncate(ACCOUNTS_MAX);
    let sending = sending.unwrap_or_else(|| before.is_some_and(|note| note.sending));
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let note = Note { id, path, file, generation, session, serial, sending, accounts };
    if let Err(error) = notes.write(&note) {
        let folder = notes.folder.as_deref().map_or_else(String::new, |folder| format!(" in {}", folder.display()));
        log::warn!(
            "which journals there are and how far they have come cannot be noted{folder} ({error}): a copy of a journal is \
             still told from it, an older state of the same file is not"
        );
    }
    Ok(())
}
