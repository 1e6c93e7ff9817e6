//! What the folder's `smppost-watch.toml` says, and what a `NAME.toml` beside a file may change of it: how that file is to be read,
//! and nothing by which more would be sent than the settings allow, sooner or before others.

use crate::cli::CliError;
use crate::cli::config::file::{Entry, Profile};
use crate::cli::config::flat;
use crate::cli::import::ImportArgs;
use crate::cli::profile;
use crate::policy::hours::{Between, Days};
use crate::policy::shares::Priority;
use crate::run::watch::judge::SETTLE;
use crate::run::watch::names::SETTINGS;
use crate::words::format::path_argument;
use crate::words::trouble::{shown, words as cannot_open};
use crate::words::typed;
use rustix::fs::OFlags;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Octets of a file of settings.
const OCTETS_MAX: u64 = 1 << 16;
/// Keys that are the folder's own.
const OWN: [&str; 3] = ["release", "release_up_to", "settle"];
/// Options of an import that a folder does not have: they are of one file, or would take the same content again.
const NOT_KEYS: [&str; 8] =
    ["campaign", "append", "allow_same_file", "late_limit", "start_at", "stop_at", "help", "profile_field"];
/// Keys of a `NAME.toml`.
const BESIDE: [&str; 13] = [
    "text",
    "text_column",
    "from",
    "to_column",
    "sheet",
    "delimiter",
    "encoding",
    "priority",
    "between",
    "days",
    "start_at",
    "stop_at",
    "release",
];

/// The settings of a folder, or of one of its files.
#[derive(Clone, Debug)]
pub struct Settings {
    path: PathBuf,
    import: Profile,
    /// Whether what is imported is released.
    pub release: bool,
    /// Files with more messages are not.
    pub release_up_to: Option<i64>,
    /// So long a file stands still of which nobody says that it is whole, before it is released.
    pub settle: Duration,
}

impl Settings {
    /// Reads the folder's. Only the owner of the service, and root, may have written it.
    pub fn read(folder: &Path, below: Option<&Profile>) -> Result<Self, CliError> {
        let path = folder.join(SETTINGS);
        let text = read(&path, true)?;
        let import = flat::parse(&path, &text, &keys()).map_err(|error| CliError::Usage(error.to_string()))?;
        let (own, entries) = import.entries.into_iter().partition::<Vec<_>, _>(|entry| OWN.contains(&&*entry.key));
        let mut settings = Self {
            import: Profile { name: import.name, entries },
            path,
            release: false,
            release_up_to: None,
            settle: SETTLE,
        };
        settings.set(&own)?;
        // What is wrong with a value is found before the first file comes.
        settings.arguments("watched.csv", Path::new("watched.csv"), below)?;
        Ok(settings)
    }

    fn set(&mut self, own: &[Entry]) -> Result<(), CliError> {
        for entry in own {
            let wrong = |words: &str| self.wrong(entry, words);
            let [value] = &entry.values[..] else { return Err(wrong("write one value")) };
            match &*entry.key {
                "release" => self.release = value.parse().map_err(|_| wrong("write true or false"))?,
                "release_up_to" => {
                    let most = value.parse().ok().filter(|most| *most > 0);
                    self.release_up_to = Some(most.ok_or_else(|| wrong("write a number of messages, from 1 on"))?);
                }
                _ => self.settle = typed::duration(value).map_err(|error| wrong(&error))?,
            }
        }
        Ok(())
    }

    /// The settings of a file with a `NAME.toml`: what that says, and below it the folder's.
    pub fn narrowed(&self, path: &Path) -> Result<Self, CliError> {
        let text = read(path, false)?;
        let known = BESIDE.map(str::to_owned);
        let beside = flat::parse(path, &text, &known).map_err(|error| CliError::Usage(error.to_string()))?;
        let mut narrowed = Self { path: path.to_owned(), ..self.clone() };
        for entry in &beside.entries {
            if let Some(words) = self.widens(entry)? {
                return Err(narrowed.wrong(entry, &words));
            }
        }
        // A text in the one is no text in the other.
        let is_text = |key: &str| key == "text" || key == "text_column";
        let has_text = beside.entries.iter().any(|entry| is_text(&entry.key));
        narrowed.import.entries.retain(|entry| {
            !(beside.entries.iter().any(|other| other.key == entry.key) || has_text && is_text(&entry.key))
        });
        for entry in beside.entries {
            match &*entry.key {
                "release" => narrowed.release &= entry.values == ["true"],
                _ => narrowed.import.entries.push(entry),
            }
        }
        Ok(narrowed)
    }

    /// Why a key of a `NAME.toml` would have more sent than the folder's settings allow; `None`: it would not.
    fn widens(&self, entry: &Entry) -> Result<Option<String>, CliError> {
        let [value] = &entry.values[..] else { return Ok(Some("write one value".into())) };
        let own = |key: &str| {
            let entry = self.import.entries.iter().find(|entry| entry.key == key)?;
            entry.values.first().map(String::as_str)
        };
        Ok(match &*entry.key {
            "release" => match value.parse() {
                Ok(true) if !self.release => Some(format!("{SETTINGS} does not release: leave it out")),
                Ok(_) => None,
                Err(_) => Some("write true or false".into()),
            },
            "priority" => {
                let most: Priority = own(&entry.key).and_then(|name| name.parse().ok()).unwrap_or_default();
                let is_above = value.parse().is_ok_and(|wanted: Priority| wanted < most);
                is_above.then(|| format!("{value} is above {most}, which {SETTINGS} allows"))
            }
            "between" => match (own("between").and_then(|all| all.parse::<Between>().ok()), value.parse::<Between>()) {
                (Some(all), Ok(wanted)) if !wanted.is_within(&all) => {
                    Some(format!("{wanted} is not within {all}, the hours in {SETTINGS}"))
                }
                _ => None,
            },
            "days" => match (own("days").and_then(|all| all.parse::<Days>().ok()), value.parse::<Days>()) {
                (Some(all), Ok(wanted)) if !wanted.are_within(&all) => {
                    Some(format!("{wanted} are not all among {all}, the days in {SETTINGS}"))
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// What an import of the file under this name would be typed as.
    pub fn arguments(&self, campaign: &str, file: &Path, below: Option<&Profile>) -> Result<ImportArgs, CliError> {
        let more: [OsString; 3] = [format!("--campaign={campaign}").into(), "--".into(), file.into()];
        let args = profile::import_of(&self.import, &self.path, below, &more)?;
        // What only all of them together can be wrong in.
        let at = |error: CliError| CliError::Usage(format!("{}: {error}", shown(&self.path)));
        args.campaign().map_err(at)?.settings().map_err(|error| at(error.into()))?;
        args.own_hours().map_err(at)?;
        Ok(args)
    }

    /// The options of such an import, as they are typed.
    pub fn typed(&self) -> Vec<String> {
        let options = self.import.entries.iter().flat_map(|entry| {
            let key = entry.key.replace('_', "-");
            entry.values.iter().filter_map(move |value| match value.as_str() {
                "true" => Some(format!("--{key}")),
                "false" => None,
                value => Some(format!("--{key}={}", crate::words::format::argument(value))),
            })
        });
        options.collect()
    }

    fn wrong(&self, entry: &Entry, words: &str) -> CliError {
        CliError::Usage(format!("{} line {}: `{}`: {words}", shown(&self.path), entry.line, entry.key))
    }
}

/// The keys of a folder's settings.
fn keys() -> Vec<String> {
    let import = crate::cli::beside::options_of::<ImportArgs>().into_iter().map(|long| long.replace('-', "_"));
    OWN.map(str::to_owned).into_iter().chain(import.filter(|key| !NOT_KEYS.contains(&&**key))).collect()
}

/// Reads a file of settings: a file, not what a link or a pipe of somebody else leads to. `is_trusted`: it decides what is sent.
fn read(path: &Path, is_trusted: bool) -> Result<String, CliError> {
    let at = |words: &str| CliError::Usage(format!("{}: {words}", shown(path)));
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_trusted => {
            return Err(at(
                "there is no such file: write one with the text and the sender of the campaigns, as docs/service.md has it; an \
                 empty one will do where the files have a column `text`, and then nothing is released by itself",
            ));
        }
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(at("it is a symbolic link: put the file itself there"));
        }
        Err(error) => return Err(at(&cannot_open(&error))),
    };
    let meta = file.metadata().map_err(|error| at(&cannot_open(&error)))?;
    if !meta.is_file() {
        return Err(at("it is no file: put a file there"));
    }
    let own = rustix::process::geteuid().as_raw();
    if is_trusted && meta.uid() != own && meta.uid() != 0 {
        return Err(at(&format!(
            "it belongs to user {}, who would decide what is sent in your name: read it, then make it yours: chown {own} {}",
            meta.uid(),
            path_argument(path)
        )));
    }
    if is_trusted && meta.mode() & 0o022 != 0 {
        return Err(at(&format!(
            "others can change it (mode {:03o}), and so what is sent in your name: chmod go-w {}",
            meta.mode() & 0o777,
            path_argument(path)
        )));
    }
    let mut text = String::new();
    match file.take(OCTETS_MAX + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > OCTETS_MAX => Err(at("it has more than 64 KiB: these are no settings")),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(at("it is not UTF-8")),
        Err(error) => Err(at(&cannot_open(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn settings(text: &str) -> Result<(tempfile::TempDir, Settings), String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SETTINGS), text).unwrap();
        let settings = Settings::read(folder.path(), None).map_err(|error| error.to_string())?;
        Ok((folder, settings))
    }

    #[test]
    fn nothing_is_released_unless_it_is_said() {
        let (_folder, read) = settings("").unwrap();
        assert_eq!((read.release, read.release_up_to, read.settle), (false, None, SETTLE));
        let (_folder, read) =
            settings("text = 'Hi {name}'\nfrom = 'ACME'\nrelease = true\nrelease_up_to = 500\nsettle = '2m'\n")
                .unwrap();
        assert_eq!((read.release, read.release_up_to, read.settle), (true, Some(500), Duration::from_secs(120)));
        let campaign = read.arguments("-x y", Path::new("-x y.csv"), None).unwrap().campaign().unwrap();
        assert_eq!((&*campaign.name, campaign.options.text.as_deref()), ("-x y", Some("Hi {name}")));
        assert_eq!((&*campaign.options.from, campaign.path.as_path()), ("ACME", Path::new("-x y.csv")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_before_any_file_comes() {
        for (text, words) in [
            ("from = 'A'\nrelese = true\n", "line 2: there is no key `relese` here; did you mean `release`?"),
            ("\nrelease = 'yes'\n", "line 2: `release`: write true or false"),
            ("release_up_to = 0\n", "line 1: `release_up_to`: write a number of messages, from 1 on"),
            ("settle = 60\n", "line 1: `settle`: write a whole number and its unit"),
            ("text = 'Hi {name'\n", "line 1: "),
            ("priority = 'high'\n", "line 1: "),
            ("between = '9-20'\n", "line 1: "),
            ("from = []\n", "line 1: "),
            ("campaign = 'x'\n", "line 1: there is no key `campaign` here"),
            ("allow_same_file = true\n", "line 1: there is no key `allow_same_file` here"),
            ("start_at = '2026-12-24T09:00'\n", "line 1: there is no key `start_at` here"),
        ] {
            let error = settings(text).unwrap_err();
            assert!(error.contains(words) && error.contains(SETTINGS), "{text:?}: {error}");
        }
    }

    #[test]
    fn only_the_owner_may_write_it() {
        let (folder, _) = settings("").unwrap();
        let path = folder.path().join(SETTINGS);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        let error = Settings::read(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("chmod go-w"), "{error}");
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        assert!(Settings::read(folder.path(), None).unwrap_err().to_string().contains("there is no such file"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(Settings::read(folder.path(), None).unwrap_err().to_string().contains("symbolic link"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Settings::read(folder.path(), None).unwrap_err().to_string().contains("it is no file"));
    }

    #[test]
    fn what_stands_beside_a_file_only_narrows() {
        let (folder, all) = settings(
            "text = 'Hi'\nfrom = 'ACME'\nrelease = true\npriority = 'normal'\nbetween = '09:00-20:00'\ndays = 'mon-fri'\n\
             time_zone = 'UTC'\n",
        )
        .unwrap();
        let path = folder.path().join("a.toml");
        let narrowed = |text: &str| {
            fs::write(&path, text).unwrap();
            all.narrowed(&path).map_err(|error| error.to_string())
        };
        let of = |settings: &Settings| settings.arguments("a", Path::new("a.csv"), None).unwrap();
        let right =
            narrowed("text_column = 'words'\nfrom = 'Shop'\nrelease = false\nbetween = '10:00-11:00'\n").unwrap();
        let options = of(&right).campaign().unwrap().options;
        assert_eq!((options.text, options.text_column.as_deref(), &*options.from), (None, Some("words"), "Shop"));
        assert!(!right.release);
        let hours = of(&right).own_hours().unwrap().unwrap();
        assert_eq!(
            (hours.between.as_deref(), hours.days.as_deref()),
            (Some("10:00-11:00"), Some("mon,tue,wed,thu,fri"))
        );
        for text in
            ["priority = 'bulk'\n", "days = 'mon'\n", "release = true\n", "start_at = '2099-01-01T10:00Z'\n", ""]
        {
            assert_eq!(of(&narrowed(text).unwrap()).campaign().unwrap().options.text.as_deref(), Some("Hi"), "{text}");
        }
        for (text, words) in [
            ("\npriority = 'urgent'\n", "a.toml line 2: `priority`: urgent is above normal"),
            ("between = '08:00-11:00'\n", "line 1: `between`: 08:00-11:00 is not within 09:00-20:00"),
            ("between = '19:00-21:00'\n", "is not within"),
            ("between = '20:00-09:00'\n", "is not within"),
            ("days = 'fri-sat'\n", "line 1: `days`: fri,sat are not all among"),
            ("time_zone = 'Asia/Tokyo'\n", "there is no key `time_zone` here"),
            ("release_up_to = 5\n", "there is no key `release_up_to` here"),
            ("country = 'GB'\n", "there is no key `country` here"),
            ("settle = '1s'\n", "there is no key `settle` here"),
        ] {
            let error = narrowed(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(words), "{text}: {error}");
        }
        let (folder, none) = settings("").unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "text = 'x'\nrelease = true\n").unwrap();
        let error = none.narrowed(&path).unwrap_err().to_string();
        assert!(error.contains("a.toml line 2: `release`: smppost-watch.toml does not release"), "{error}");
    }
}
