//! The file of a record: opened so that nothing of somebody else's is overwritten, rotated by size.

use super::{Options, pcapng, text};
use crate::words::trouble;
use crate::words::trouble::shown;
use crate::words::{BadValue, bad};
use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a record is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As pcapng.
    Pcapng,
    /// As text.
    Text,
}

/// A file that is open for a record.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    pub form: Form,
    size: u64,
    keep: u32,
    /// Octets that are whole in it.
    written: u64,
    /// It can be rotated: a file, not a FIFO or a terminal.
    is_regular: bool,
    /// It was not there before.
    is_new: bool,
    /// It holds an earlier record, which has to make room for this one.
    is_old: bool,
}

impl RecordFile {
    /// Opens the file. One that is there has to be a record, and becomes an earlier one of this when the first is written.
    pub fn open(options: &Options) -> Result<Self, BadValue> {
        let path = &options.path;
        let is_pcapng = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pcapng"));
        let form = if is_pcapng { Form::Pcapng } else { Form::Text };
        let fail = |error: &io::Error| bad!("--record {}: {}", shown(path), trouble::words(error));
        if path.as_os_str().is_empty() || path.as_os_str() == "-" {
            return Err(
                "--record: name a file (stdout is for what the command prints; /dev/stderr is a file, too)".into()
            );
        }
        if path
            .extension()
            .is_some_and(|extension| ["pcap", "cap"].iter().any(|other| extension.eq_ignore_ascii_case(other)))
        {
            return Err(bad!("--record {}: for Wireshark, let its name end in .pcapng", shown(path)));
        }
        let before = fs::metadata(path).ok();
        let is_new = before.is_none();
        // A FIFO that nobody reads would keep the program waiting for ever.
        let is_fifo = before.as_ref().is_some_and(|before| before.file_type().is_fifo());
        let flags = if is_fifo { OFlags::NONBLOCK.bits() as i32 } else { 0 };
        let opened = match inherited(path) {
            Some(stream) => stream,
            None => OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path),
        };
        let file = opened.map_err(|error| {
            match is_fifo && error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
                true => bad!("--record {}: nobody reads from this FIFO: start its reader first", shown(path)),
                false => fail(&error),
            }
        })?;
        let metadata = file.metadata().map_err(|error| fail(&error))?;
        if is_fifo {
            rustix::fs::fcntl_setfl(&file, OFlags::APPEND).map_err(|error| fail(&error.into()))?;
        }
        // What /dev/stdout leads to belongs to somebody else, file or not.
        let is_regular = metadata.is_file() && !is_device(path);
        let is_old = is_regular && metadata.len() > 0;
        if is_old && !is_record(path, form).map_err(|error| fail(&error))? {
            return Err(bad!(
                "--record {}: it is there already, and is no record of this kind: name another file",
                shown(path)
            ));
        }
        if is_regular {
            lock(&file, path)?;
            // One that was there, and empty, may be open to others.
            file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(|error| fail(&error))?;
        }
        // Of a symbolic link, the file that it leads to is rotated.
        let path = if is_regular { fs::canonicalize(path).map_err(|error| fail(&error))? } else { path.clone() };
        let (size, keep) = (options.size, options.keep);
        Ok(Self { path, file, form, size, keep, written: 0, is_regular, is_new, is_old })
    }

    /// Writes what begins with a whole block or line. What could not be written whole is cut off again.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let outcome = self.file.write_all(octets);
        match &outcome {
            Ok(()) => self.written += octets.len() as u64,
            Err(_) if self.is_regular => drop(self.file.set_len(self.written)),
            Err(_) => {}
        }
        outcome
    }

    /// Before anything is written: makes room. True: the file is a fresh one, which wants a header.
    pub fn begin(&mut self, more: usize) -> io::Result<bool> {
        if self.is_old {
            self.is_old = false;
            self.rotate()?;
            return Ok(true);
        }
        if self.written == 0 {
            return Ok(true);
        }
        if self.is_regular && self.written + more as u64 > self.size {
            self.rotate()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// To the disk.
    pub fn sync(&self) -> io::Result<()> {
        if self.is_regular { self.file.sync_data() } else { Ok(()) }
    }

    /// The file becomes number 1, number 1 number 2, and so on; those beyond what is kept are removed.
    fn rotate(&mut self) -> io::Result<()> {
        let absent = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
        if self.keep == 0 {
            fs::remove_file(&self.path).or_else(absent)?;
        } else {
            // The last is replaced.
            for number in (0..self.keep).rev() {
                fs::rename(self.numbered(number), self.numbered(number + 1)).or_else(absent)?;
            }
        }
        self.file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&self.path)?;
        let _ = self.file.try_lock();
        self.written = 0;
        Ok(())
    }

    /// `acme.2.pcapng` for `acme.pcapng`.
    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = match self.path.extension() {
            Some(extension) => format!("{stem}.{number}.{}", extension.to_string_lossy()),
            None => format!("{stem}.{number}"),
        };
        self.path.with_file_name(name)
    }

    /// Nothing was recorded: a file that was made for it is removed.
    pub fn end(&self) {
        if self.written == 0 && self.is_new && self.is_regular {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), BadValue> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(bad!("--record {}: another command records to this file now: name another", shown(path)))
        }
        // Some file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// What stdout and stderr go to is shared with them: opened once more, it would have a place of its own to write at, and one
/// would overwrite the other.
fn inherited(path: &Path) -> Option<io::Result<File>> {
    let whole = std::path::absolute(path).ok()?;
    let shared = match whole.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(shared.map(File::from))
}

fn is_device(path: &Path) -> bool {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    ["/dev", "/proc"].iter().any(|folder| whole.starts_with(folder))
}

fn is_record(path: &Path, form: Form) -> io::Result<bool> {
    let magic = match form {
        Form::Pcapng => &pcapng::MAGIC[..],
        Form::Text => text::MAGIC.as_bytes(),
    };
    let mut start = Vec::new();
    File::open(path)?.take(magic.len() as u64).read_to_end(&mut start)?;
    Ok(start == magic)
}

/// Reads `500KB`, `100MB`, `2GB`.
pub fn parse_size(text: &str) -> Result<u64, BadValue> {
    let form = || BadValue::from("write a whole number and its unit: 500KB, 100MB or 2GB");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let octets: u64 = match unit.to_ascii_uppercase().as_str() {
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(form()),
    };
    match number.parse::<u64>().map_err(|_| form())?.checked_mul(octets) {
        Some(size) if (100_000..=1_000_000_000_000).contains(&size) => Ok(size),
        _ => Err("it is from 100KB to 1000GB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [("100KB", Ok(100_000)), ("2mb", Ok(2_000_000)), ("1GB", Ok(1_000_000_000))] {
            assert_eq!(parse_size(text), size);
        }
        for text in ["", "5", "MB", "1 MB", "-1MB", "99KB", "9999999999999999999GB", "10TB", "1.5MB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
