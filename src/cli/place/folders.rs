//! The folders in which journals lie.

use crate::words::format::hex_digest;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Octets of a file's name that an account may take: SQLite's and our own endings come after it.
const NAME_MAX: usize = 150;

/// Where things are, for this user and this run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Folders {
    /// The current folder.
    pub here: PathBuf,
    /// Where default journals lie; `None`: there is no home folder.
    pub data: Option<PathBuf>,
    /// Where the notes of journals lie.
    pub state: Option<PathBuf>,
}

impl Folders {
    /// As the environment has it.
    pub fn of_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self::of(std::env::current_dir().unwrap_or_default(), &variable)
    }

    fn of(here: PathBuf, variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        // A relative one would be another in every folder.
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        // A service may have several, separated by colons.
        let service = variable("STATE_DIRECTORY")
            .and_then(|all| std::env::split_paths(&all).next())
            .filter(|folder| folder.is_absolute());
        let under = |own: &str, home: &str| {
            let folder = folder(own).or_else(|| folder("HOME").map(|folder| folder.join(home)));
            service.clone().or_else(|| folder.map(|folder| folder.join("smppost")))
        };
        Self { here, data: under("XDG_DATA_HOME", ".local/share"), state: under("XDG_STATE_HOME", ".local/state") }
    }

    /// The path from the root on.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        let joined = self.here.join(path);
        // Without the dots, where that changes nothing: what is between symbolic links stays.
        joined.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
    }

    /// The default journal of an account.
    pub fn default_of(&self, account: &str) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.join(file_name(account)))
    }

    /// The journal of a user whose account is not known yet.
    pub fn of_nobody(&self) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.join("smppost.db"))
    }

    /// Makes the folder of a default journal, for this user alone.
    pub fn make_for(&self, journal: &Path) -> io::Result<()> {
        let Some(folder) = journal.parent() else { return Ok(()) };
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }
}

/// `acme at smpp.example.net`: `acme@smpp.example.net.db`. No two accounts have one name.
fn file_name(account: &str) -> String {
    let mut name = String::new();
    for octet in account.replacen(" at ", "@", 1).bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' => name.push(char::from(octet)),
            b'.' if !name.is_empty() => name.push('.'),
            octet => name.push_str(&format!("%{octet:02X}")),
        }
    }
    // What was an @ and what became one.
    if name.len() > NAME_MAX || account.contains('@') {
        name.truncate(NAME_MAX);
        name = format!("{name}-{}", &hex_digest(account.as_bytes())[..16]);
    }
    format!("{name}.db")
}

/// Whether there is something of that name, be it a symbolic link that leads nowhere.
pub fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_a_services_else_the_users() {
        let folders = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, OsString)> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
            let of = |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let Folders { data, state, .. } = Folders::of("/here".into(), &of);
            [data, state].map(|folder| folder.map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default())
        };
        assert_eq!(folders(&[("HOME", "/h")]), ["/h/.local/share/smppost", "/h/.local/state/smppost"]);
        let xdg = [("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_STATE_HOME", "/s")];
        assert_eq!(folders(&xdg), ["/d/smppost", "/s/smppost"]);
        assert_eq!(folders(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")])[0], "/h/.local/share/smppost");
        let service = [("HOME", "/h"), ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")];
        assert_eq!(folders(&service), ["/var/lib/a", "/var/lib/a"]);
        for none in [&[][..], &[("HOME", "")], &[("HOME", "h"), ("STATE_DIRECTORY", "")]] {
            assert_eq!(folders(none), ["", ""], "{none:?}");
        }
    }

    #[test]
    fn accounts_have_files_of_their_own() {
        assert_eq!(file_name("acme at smpp.example.net"), "acme@smpp.example.net.db");
        assert_eq!(file_name("Ärzte/1"), "%C3%84rzte%2F1.db");
        assert_eq!(file_name(".."), "%2E..db");
        let names = ["a at b", "a@b", "a at at b", "a@at b", "A at b", "a  at b", &"x".repeat(300), &"x".repeat(301)];
        let files: std::collections::BTreeSet<String> = names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        assert!(files.iter().all(|file| file.len() < 200 && !file.contains('/')));
    }

    #[test]
    fn paths_are_told_from_the_root_on() {
        let folders = Folders { here: "/a/b".into(), ..Folders::default() };
        for (typed, expected) in
            [("c.db", "/a/b/c.db"), ("./c.db", "/a/b/c.db"), ("../c.db", "/a/b/../c.db"), ("/c.db", "/c.db")]
        {
            assert_eq!(folders.absolute(Path::new(typed)), Path::new(expected), "{typed}");
        }
    }
}
