//! Numbers as keyed hashes, whose key lies in a file of its own: as long as it is there, the same number is the same
//! pseudonym in all campaigns; once it is deleted nobody can find out any more whether a number is meant.

use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::message::address::Destination;
use crate::words::escape::hex;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Behind the journal's name: the file of the key.
pub(super) const SUFFIX: &str = "-pseudonym-key";
/// Octets of the key.
const KEY_OCTETS: usize = 32;
/// Octets of the hash that are kept: 16, so that no two numbers have the same.
const HASH_OCTETS: usize = 16;
/// Before the hash, in hex. No number begins so.
const MARK: char = '~';

/// The key.
pub(super) struct Key(hmac::Key);

impl Key {
    /// Reads the key, or makes one, private and on disk before it is used.
    pub(super) fn load_or_make(journal: &Path) -> Result<Self, JournalError> {
        if let Some(key) = Self::load(journal)? {
            return Ok(key);
        }
        let path = file(journal);
        let failed = |error| JournalError::side_file(journal, SUFFIX, error);
        let mut key = [0; KEY_OCTETS];
        SystemRandom::new().fill(&mut key).map_err(|_| failed(io::Error::other("no random numbers")))?;
        let part = beside(journal, &format!("{SUFFIX}.part"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            writeln!(file, "{}", hex(&key))?;
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        write().map_err(failed)?;
        Self::load(journal)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// Reads the key; `None`: there is none.
    pub(super) fn load(journal: &Path) -> Result<Option<Self>, JournalError> {
        let mut text = String::new();
        match File::open(file(journal)) {
            Ok(file) => file.take(1_024).read_to_string(&mut text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|error| JournalError::side_file(journal, SUFFIX, error))?;
        let text = text.trim();
        let octets: Option<Vec<u8>> = (0..text.len() / 2)
            .map(|n| text.get(2 * n..2 * n + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        match octets.filter(|octets| octets.len() == KEY_OCTETS) {
            Some(octets) => Ok(Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &octets)))),
            None => Err(JournalError::side_file(journal, SUFFIX, io::Error::other("it is no key of pseudonyms"))),
        }
    }

    /// What stands for a number, however it is written. What is one already stays.
    pub(super) fn pseudonym(&self, number: &str) -> String {
        if number.is_empty() || is_pseudonym(number) {
            return number.to_owned();
        }
        let digits = Destination::parse(number).map_or(number, |number| number.international());
        format!("{MARK}{}", hex(&hmac::sign(&self.0, digits.as_bytes()).as_ref()[..HASH_OCTETS]))
    }
}

/// Whether it stands for a number.
fn is_pseudonym(text: &str) -> bool {
    text.starts_with(MARK)
}

/// The file of the key.
pub(super) fn file(journal: &Path) -> PathBuf {
    beside(journal, SUFFIX)
}
