//! A file that was taken: a folder of its own in `work/`, with the file, what came with it, and a note of the campaign that it
//! becomes. Each step is one rename or one transaction, and from what stands there the next process goes on:
//!
//! | there is | it goes on with |
//! |---|---|
//! | no file and no note | what came with it goes back |
//! | the file, no note | the import: no campaign has begun under a name of its own |
//! | the file and a note, and the campaign it names is not in the journal | the import, under that name |
//! | the file and a note, and the campaign is there with the hash of the file | the release; the file is not imported again |
//! | no file, a note that names it in `done/` | the campaign's end, for its result |
//! | no file, a note that does not | nothing: it was set aside |

use super::folder::{Folder, rename, sync, write};
use crate::platform::failpoint::reach;
use crate::run::watch::judge::Stamp;
use crate::run::watch::names::{ready, sidecar};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The note.
const NOTE: &str = ".claim";
/// What came with the file, under its own names.
const BESIDE: &str = ".beside";

/// It stood still for a moment only: its messages are not released, whatever the settings say when it is imported.
const UNSETTLED: &str = ".unsettled";

/// What is noted of a file before it is imported.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The campaign that it becomes.
    pub campaign: String,
    /// It is to be released.
    pub release: bool,
    /// The journal that it goes into, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// The name that the file has in `done/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Name>,
    /// How far the file had come when it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// The mode that what is written about it has.
    #[serde(default)]
    pub mode: u32,
}

/// A name, which need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Name(Vec<u8>);

impl From<&OsStr> for Name {
    fn from(name: &OsStr) -> Self {
        Self(std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec())
    }
}

impl Name {
    /// The name.
    pub fn get(&self) -> OsString {
        std::os::unix::ffi::OsStringExt::from_vec(self.0.clone())
    }
}

/// A file that was taken.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its folder in `work/`.
    pub folder: PathBuf,
    /// The file's name.
    pub name: OsString,
}

/// What was found in `work/`.
#[derive(Debug, Default)]
pub struct Found {
    /// Files that are to be imported, or nearly.
    pub claims: Vec<Claim>,
    /// Campaigns that have not ended yet.
    pub notes: Vec<(PathBuf, Note)>,
}

impl Claim {
    /// Takes a file, if it is still what was judged. `None`: it is not, and is left to the next look. `is_settled`: as far as is
    /// known it is whole.
    pub fn take(folder: &Folder, name: &OsStr, stamp: Stamp, is_settled: bool) -> io::Result<Option<Self>> {
        let claim = Self { folder: own_folder(folder)?, name: name.to_owned() };
        if !is_settled {
            fs::File::create(claim.folder.join(UNSETTLED))?;
        }
        if let Err(error) = claim.move_in(folder) {
            put_back_beside(folder, &claim.folder)?;
            return if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) };
        }
        // From here on it is ours, whatever fails: only what was judged is imported.
        let meta = fs::symlink_metadata(claim.file());
        if !meta.is_ok_and(|meta| meta.is_file() && Stamp::of(&meta) == stamp) {
            return claim.put_back(folder).map(|()| None);
        }
        // After a power cut that came first, the file is found in the folder once more, and is known by its messages.
        for changed in [&claim.folder, &folder.join("work"), folder.path()] {
            if let Err(error) = sync(changed) {
                log::debug!("{}: {error}", changed.display());
            }
        }
        Ok(Some(claim))
    }

    /// Moves the file to its folder. What came with it goes first: it would be the next one's otherwise.
    fn move_in(&self, folder: &Folder) -> io::Result<()> {
        for beside in [sidecar(&self.name)].into_iter().chain(ready(&self.name)) {
            match rename(&folder.join(&beside), &self.folder.join(BESIDE).join(&beside)) {
                // Of a name that is too long there is none.
                Err(error) if ![io::ErrorKind::NotFound, io::ErrorKind::InvalidFilename].contains(&error.kind()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        reach("watch-claiming")?;
        rename(&folder.join(&self.name), &self.file())
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// What stands beside it on how it is to be read.
    pub fn sidecar(&self) -> Option<PathBuf> {
        let path = self.folder.join(BESIDE).join(sidecar(&self.name));
        Some(path).filter(|path| fs::symlink_metadata(path).is_ok())
    }

    /// Whether it may be released.
    pub fn is_settled(&self) -> bool {
        !self.folder.join(UNSETTLED).exists()
    }

    /// What was noted.
    pub fn note(&self) -> Option<Note> {
        note(&self.folder).filter(|note| !note.campaign.is_empty())
    }

    /// Notes that it becomes no campaign, where nothing is noted yet: what came with it goes the same way.
    pub fn give_up(&self) -> io::Result<()> {
        match self.note() {
            Some(_) => Ok(()),
            None => self.set_note(&Note { mode: self.mode(), ..Note::default() }),
        }
    }

    /// Notes it.
    pub fn set_note(&self, note: &Note) -> io::Result<()> {
        write(&self.folder.join(NOTE), 0o600, |out| {
            serde_json::to_writer(&mut *out, note)?;
            out.flush()
        })?;
        sync(&self.folder)
    }

    /// The mode of what is written about it: whoever may read the file may read that.
    pub fn mode(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        fs::symlink_metadata(self.file()).map_or(0o600, |meta| meta.mode() & 0o666 | 0o600)
    }

    /// Puts everything back as it was. Fails where another file has taken the place: then it stays, for the next start.
    pub fn put_back(&self, folder: &Folder) -> io::Result<()> {
        match rename(&self.file(), &folder.join(&self.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => put_back_beside(folder, &self.folder),
        }
    }
}

/// Puts back what came with a file, and removes the folder that was made for it. What came anew under such a name holds.
fn put_back_beside(folder: &Folder, own: &Path) -> io::Result<()> {
    for entry in fs::read_dir(own.join(BESIDE)).into_iter().flatten() {
        let entry = entry?;
        match rename(&entry.path(), &folder.join(entry.file_name())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    remove(own)
}

/// A folder for a file, of a name that no other has had.
fn own_folder(folder: &Folder) -> io::Result<PathBuf> {
    let mut number = crate::journal::now_ms();
    loop {
        let path = folder.join("work").join(number.to_string());
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => {
                made?;
                DirBuilder::new().mode(0o700).create(path.join(BESIDE))?;
                return Ok(path);
            }
        }
    }
}

fn note(folder: &Path) -> Option<Note> {
    serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()
}

/// Removes a file's folder with what came with the file.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Found {
    /// A campaign of another journal than this one: imported into this one, too, it would be sent by both.
    pub fn of_another(&self, journal: Option<&str>) -> Option<String> {
        let of_claims = self.claims.iter().filter_map(Claim::note);
        let mut notes = of_claims.chain(self.notes.iter().map(|(_, note)| note.clone()));
        notes.find(|note| note.journal.is_some() && note.journal.as_deref() != journal).map(|note| note.campaign)
    }
}

/// What a process that has ended left in `work/`, the oldest first.
pub fn left_over(folder: &Folder) -> io::Result<Found> {
    let mut found = Found::default();
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder.join("work"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    for own in folders {
        let mut names = fs::read_dir(&own)?.map(|entry| entry.map(|entry| entry.file_name()));
        let file = names.find(|name| name.as_ref().is_ok_and(|name| !name.as_encoded_bytes().starts_with(b".")));
        match (file.transpose()?, note(&own)) {
            (Some(name), _) => found.claims.push(Claim { folder: own, name }),
            (None, Some(note)) if note.done.is_some() => found.notes.push((own, note)),
            // Its file was set aside.
            (None, Some(_)) => remove(&own)?,
            (None, None) => put_back_beside(folder, &own)?,
        }
    }
    Ok(found)
}
