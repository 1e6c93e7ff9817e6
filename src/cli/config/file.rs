//! `smppost.toml`: one table for each account, whose keys are the names of options. Finds the file, reads it, and says what
//! is wrong with it by key and line. What the values mean is for the command line to say, since they are its options.

use super::owner::{Stranger, stranger};
use crate::platform::private_files::check_private;
use crate::words::escape::escape_terminal;
use crate::words::format::path_argument;
use crate::words::near::distance;
use crate::words::trouble;
use crate::words::trouble::shown;
use std::io;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The file's name, here, in the user's config folder, or in the system's.
const NAME: &str = "smppost.toml";
/// The system's folder.
const SYSTEM: &str = "/etc/smppost";
/// Octets of a file at most.
const OCTETS_MAX: u64 = 1024 * 1024;
/// Keys that make a file worth hiding: they lead to secrets.
const TO_SECRETS: [&str; 2] = ["password_file", "tls_client_key"];
/// Keys whose values are files, relative to the configuration.
const FILES: [&str; 7] =
    ["prices", "password_file", "tls_ca", "tls_client_cert", "tls_client_key", "journal", "record"];

/// The table of a receiver elsewhere, whose keys are some of a profile's.
pub const RECEIVER: &str = "receiver";

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file; those that were looked for.
    #[error("no configuration: there is no {}", .0.iter().map(|path| shown(path)).collect::<Vec<_>>().join(" and no "))]
    Missing(Vec<PathBuf>),
    /// It cannot be read.
    #[error("{}: {}", shown(.0), trouble::words(.1))]
    Io(PathBuf, io::Error),
    /// It is none.
    #[error("{}: more than {} KiB are no settings", shown(.0), OCTETS_MAX / 1024)]
    TooLarge(PathBuf),
    /// Others can read or change it; what to do.
    #[error("{0}")]
    Permissions(String),
    /// A line is wrong.
    #[error("{} line {line}: {words}", shown(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        words: String,
    },
    /// No profile has that name.
    #[error("no profile {name:?}{}", there_are(path, known))]
    NoProfile {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
}

fn there_are(path: &Path, known: &[String]) -> String {
    match known {
        [] => format!(": {} holds none", shown(path)),
        known => format!(" in {}; there are: {}", shown(path), escape_terminal(&known.join(", "))),
    }
}

/// One key of a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The line on which it stands, from 1.
    pub line: usize,
    /// Its values as they would be typed: one, or those of an array, or of a table as `NAME=VALUE`.
    pub values: Vec<String>,
    /// The line of each value.
    pub lines: Vec<usize>,
}

impl Entry {
    /// The line of this value; of the key, where it has no such value.
    pub fn line_of(&self, value: &str) -> usize {
        self.values.iter().zip(&self.lines).find(|(own, _)| *own == value).map_or(self.line, |(_, line)| *line)
    }
}

/// An account's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its keys, in the order of the file.
    pub entries: Vec<Entry>,
}

/// A configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where it stands.
    pub path: PathBuf,
    /// The number of the user whose it is, where that is neither the one who runs the program nor root.
    pub foreign: Option<u32>,
    /// The profiles, in the order of the file.
    pub profiles: Vec<Profile>,
}

impl Config {
    /// The configuration that has the profile of that name: the file named, else the first of [`places`] that has it; where
    /// none has it the first that there is, and `None` where there is none. `known` lists the keys.
    /// What the user has to know of the choice goes to `say`.
    pub fn find(
        named: Option<&Path>,
        known: &[String],
        profile: &str,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<Self>, ConfigError> {
        if let Some(path) = named {
            return if path.exists() {
                Self::read(path, known).map(Some)
            } else {
                Err(ConfigError::Missing(vec![path.into()]))
            };
        }
        let mut places = trusted(say).into_iter();
        let has_profile = |config: &Self| config.profiles.iter().any(|own| own.name == profile);
        let mut first = None;
        for path in places.by_ref() {
            let config = Self::read(&path, known)?;
            if !has_profile(&config) {
                first.get_or_insert(config);
                continue;
            }
            let shown = std::path::absolute(&path).unwrap_or(path.clone());
            // What is wrong with a file that is not used is not said now.
            for other in places.filter_map(|path| Self::read(&path, known).ok()).filter(has_profile) {
                say(&format!(
                    "warning: profile {profile} stands in two files: the one in {} is used, the one in {} is not",
                    shown.display(),
                    other.path.display()
                ));
            }
            if path == Path::new(NAME) {
                say(&format!("settings: profile {profile} in {}", shown.display()));
            }
            return Ok(Some(config));
        }
        Ok(first)
    }

    /// All configurations that there are: the file named, else those of [`places`].
    pub fn all(named: Option<&Path>, known: &[String], say: &mut dyn FnMut(&str)) -> Result<Vec<Self>, ConfigError> {
        match named {
            Some(_) => Ok(Self::find(named, known, "", say)?.into_iter().collect()),
            None => trusted(say).iter().map(|path| Self::read(path, known)).collect(),
        }
    }

    /// Reads a file.
    pub fn read(path: &Path, known: &[String]) -> Result<Self, ConfigError> {
        let at = |error| ConfigError::Io(path.into(), error);
        let mut octets = Vec::new();
        let file = std::fs::File::open(path).map_err(at)?;
        file.take(OCTETS_MAX + 1).read_to_end(&mut octets).map_err(at)?;
        if octets.len() as u64 > OCTETS_MAX {
            return Err(ConfigError::TooLarge(path.into()));
        }
        let text = String::from_utf8(octets).map_err(|_| at(io::Error::other("it is not UTF-8")))?;
        let mode = std::fs::metadata(path).map_err(at)?.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(ConfigError::Permissions(format!(
                "{0}: others can change it (mode {1:03o}), and so where your password goes: chmod go-w {2}",
                shown(path),
                mode & 0o777,
                path_argument(path)
            )));
        }
        let mut config = Self::parse(path, &text, known)?;
        if let Some(Stranger::Owner(owner)) = stranger(path) {
            config.foreign = Some(owner);
        }
        let names_secret = |value: &String| value.split_once('=').is_some_and(|(key, _)| TO_SECRETS.contains(&key));
        let leads_to_secrets = |entry: &Entry| {
            TO_SECRETS.contains(&entry.key.as_str()) || entry.key == RECEIVER && entry.values.iter().any(names_secret)
        };
        if config.profiles.iter().any(|profile| profile.entries.iter().any(leads_to_secrets)) {
            check_private(path).map_err(|error| ConfigError::Permissions(error.into()))?;
        }
        Ok(config)
    }

    fn parse(path: &Path, text: &str, known: &[String]) -> Result<Self, ConfigError> {
        let wrong = |at: usize, words: String| {
            let line = 1 + text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count();
            ConfigError::Line { path: path.into(), line, words }
        };
        let document = DeTable::parse(text).map_err(|error| {
            wrong(error.span().map_or(0, |span| span.start), error.message().lines().collect::<Vec<_>>().join(" "))
        })?;
        let line_of = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count();
        let mut profiles = Vec::new();
        for (name, value) in document.get_ref() {
            let Some(table) = value.get_ref().as_table() else {
                let words = format!("`{}` stands outside of any profile: write it below a [NAME]", name.get_ref());
                return Err(wrong(name.span().start, words));
            };
            let mut entries = Vec::new();
            for (key, value) in table {
                let (key, at) = (key.get_ref().to_string(), key.span().start);
                if !known.contains(&key) {
                    return Err(wrong(at, unknown(&key, known)));
                }
                let values = values_of(at, value.get_ref(), key == RECEIVER)
                    .map_err(|words| wrong(at, format!("`{key}` {words}")))?;
                let (values, lines) =
                    values.into_iter().map(|(at, value)| (resolved(path, &key, value), line_of(at))).unzip();
                entries.push(Entry { key, line: line_of(at), values, lines });
            }
            entries.sort_by_key(|entry| entry.line);
            profiles.push((name.span().start, Profile { name: name.get_ref().to_string(), entries }));
        }
        profiles.sort_by_key(|(at, _)| *at);
        Ok(Self {
            path: path.into(),
            foreign: None,
            profiles: profiles.into_iter().map(|(_, profile)| profile).collect(),
        })
    }

    /// The profile of that name.
    pub fn profile(&self, name: &str) -> Result<&Profile, ConfigError> {
        self.profiles.iter().find(|profile| profile.name == name).ok_or_else(|| ConfigError::NoProfile {
            path: self.path.clone(),
            name: name.into(),
            known: self.profiles.iter().map(|profile| profile.name.clone()).collect(),
        })
    }
}

/// Where a configuration is looked for.
pub fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".config")));
    let mut places = vec![PathBuf::from(NAME)];
    places.extend(folder.map(|folder| folder.join("smppost").join(NAME)));
    places.push(Path::new(SYSTEM).join(NAME));
    places
}

/// Those that are there. One in the current folder that a stranger left there decides nothing.
fn trusted(say: &mut dyn FnMut(&str)) -> Vec<PathBuf> {
    let mut there = places();
    there.retain(|path| match stranger(path).filter(|_| path == Path::new(NAME)) {
        Some(Stranger::Owner(owner)) => {
            say(&format!(
                "warning: the {NAME} in this folder is not used, since it belongs to another user (number {owner}); --config \
                 would name it"
            ));
            false
        }
        _ => path.exists(),
    });
    there
}

fn unknown(key: &str, known: &[String]) -> String {
    if key == "password" {
        return "a password does not belong into this file: name a file of its own with `password_file`, or a variable with \
                `password_env`"
            .into();
    }
    // Half a key is more likely meant than one that is a few letters away.
    let begun = known.iter().filter(|known| key.len() >= 3 && known.starts_with(&format!("{key}_")));
    if let Some(begun) = begun.min_by_key(|known| known.len()) {
        return format!("there is no key `{key}`; did you mean `{begun}`?");
    }
    let nearest = known.iter().map(|known| (distance(key, known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= 2 + key.len() / 6 => {
            format!("there is no key `{key}`; did you mean `{nearest}`?")
        }
        _ => format!("there is no key `{key}`; keys are the long options of `smppost send`, with _ for -"),
    }
}

/// The values of a key that stands `at` this octet, each with its own. `has_lists`: a table may have several values a key.
pub(super) fn values_of(at: usize, value: &DeValue<'_>, has_lists: bool) -> Result<Vec<(usize, String)>, &'static str> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(bool) => Ok(bool.to_string()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        _ => Err("is nested too deeply"),
    };
    match value {
        DeValue::Array(array) => array.iter().map(|value| Ok((value.span().start, one(value.get_ref())?))).collect(),
        DeValue::Table(table) if has_lists => {
            let mut all = Vec::new();
            for (key, value) in table {
                let values = values_of(key.span().start, value.get_ref(), false)?;
                all.extend(values.into_iter().map(|(at, value)| (at, format!("{}={value}", key.get_ref()))));
            }
            Ok(all)
        }
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Ok((key.span().start, format!("{}={}", key.get_ref(), one(value.get_ref())?))))
            .collect(),
        value => one(value).map(|value| vec![(at, value)]),
    }
}

/// A file's name as seen from where the program runs.
fn resolved(config: &Path, key: &str, value: String) -> String {
    if let (RECEIVER, Some((key, file))) = (key, value.split_once('=')) {
        return format!("{key}={}", resolved(config, key, file.to_owned()));
    }
    if !FILES.contains(&key) {
        return value;
    }
    let path = match (value.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => config.parent().unwrap_or(Path::new("")).join(&value),
    };
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["host", "port", "window", "tls", "status", "password_file", "tls_ca", "tls_pin_sha256"]
            .map(str::to_owned)
            .to_vec()
    }

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("dir/smppost.toml"), text, &known())
    }

    #[test]
    fn profiles_are_read_in_order_with_their_lines() {
        let text = "# accounts\n[second]\nport = 2777\nhost = [\"a\", \"b\"]\n\n[first]\ntls = true\ntls_ca = \"ca.pem\"\n\
                    [first.status]\n\"0x45\" = \"permanent\"\n";
        let config = parse(text).unwrap();
        let entry = |key: &str, line, values: &[&str]| Entry {
            key: key.into(),
            line,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            lines: vec![line; values.len()],
        };
        assert_eq!(config.profiles[0].name, "second");
        assert_eq!(config.profiles[0].entries, [entry("port", 3, &["2777"]), entry("host", 4, &["a", "b"])]);
        let first = config.profile("first").unwrap();
        assert_eq!(first.entries[0], entry("tls", 7, &["true"]));
        assert_eq!(first.entries[1], entry("tls_ca", 8, &["dir/ca.pem"]));
        assert_eq!(first.entries[2].values, ["0x45=permanent"]);
        assert_eq!((first.entries[2].line, first.entries[2].line_of("0x45=permanent")), (9, 10));
        assert!(config.profile("third").unwrap_err().to_string().contains("there are: second, first"));
    }

    #[test]
    fn f15_what_is_wrong_is_named_with_its_line_and_the_likely_right_key() {
        for (text, words) in [
            ("[a]\nport = 1\nwindw = 5\n", "line 3: there is no key `windw`; did you mean `window`?"),
            ("[a]\ntls_pin = \"x\"\n", "did you mean `tls_pin_sha256`?"),
            ("[a]\nhots = \"x\"\n", "did you mean `host`?"),
            ("[a]\npassword = \"x\"\n", "line 2: a password does not belong"),
            ("[a]\nfavourite_colour = 1\n", "there is no key `favourite_colour`; keys are"),
            ("port = 1\n", "line 1: `port` stands outside"),
            ("[a]\nport = \n", "line 2"),
            ("[a]\nport = 1\nport = 2\n", "line 3"),
            ("[a]\nhost = [[\"x\"]]\n", "nested"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn f14_a_file_that_others_can_change_or_that_leads_to_secrets_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smppost.toml");
        for (text, mode, fine) in [
            ("[a]\nport = 1\n", 0o644, true),
            ("[a]\nport = 1\n", 0o664, false),
            ("[a]\npassword_file = \"x\"\n", 0o600, true),
            ("[a]\npassword_file = \"x\"\n", 0o640, false),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match Config::read(&path, &known()) {
                Ok(_) => assert!(fine, "{text} {mode:o}"),
                Err(error) => assert!(!fine && error.to_string().contains("chmod"), "{error}"),
            }
        }
    }
}
