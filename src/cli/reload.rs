//! `reload`: the running service reads its settings anew. What it makes of them, and the command that asks for it.

use super::beside::{Asked, ask, shown};
use super::profile::{self, Origin, Parsed};
use super::serve::ServeArgs;
use super::{Cli, CliError, Command, exit};
use crate::cli::config::file::Profile;
use crate::client::{Account, Login};
use crate::journal::files::lock;
use crate::journal::model::command::{Answer, Request};
use crate::journal::{self, JournalError, store};
use crate::report::progress::Display;
use crate::run::pipeline::{Anew, Reload, SendSettings};
use crate::words::{BadValue, bad};
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Options that hold at once.
const AT_ONCE: [&str; 8] =
    ["rate", "rate-tolerance", "window", "between", "days", "time-zone", "opt-out-words", "opt-in-words"];
/// Of these, those of the pace, and those of the hours.
const PACE: &[&str] = &["rate", "rate-tolerance"];
const HOURS: &[&str] = &["between", "days", "time-zone"];
/// Options that a connection has when it is bound.
const CONNECTIONS: [&str; 37] = [
    "host",
    "hosts",
    "lend-connections",
    "port",
    "system-id",
    "system-type",
    "password-file",
    "password-env",
    "strict-password",
    "address-range",
    "addr-ton",
    "addr-npi",
    "smpp-version",
    "tlvs",
    "local-address",
    "tls",
    "tls-ca",
    "tls-server-name",
    "tls-client-cert",
    "tls-client-key",
    "tls-pin-sha256",
    "tls-danger-accept-any-cert",
    "connect-timeout",
    "bind-timeout",
    "response-timeout",
    "write-timeout",
    "enquire-link-interval",
    "inactivity-timeout",
    "rx-host",
    "rx-port",
    "rx-system-id",
    "rx-system-type",
    "profile-receiver",
    "receipt-codes",
    "receipt-codes-in-state",
    "accepted-is-final",
    "receipt-state",
];
/// Options that say which journal and which account it is.
const WHOSE: [&str; 2] = ["journal", "account"];

/// `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {}

/// Asks for it, and says what came of it.
pub fn reload(_: &ReloadArgs, journal: &Path) -> Result<u8, CliError> {
    let Some(held) = lock::sender(journal) else {
        return Err(CliError::NotTaken(format!("no service runs with the journal {}", journal.display())));
    };
    if !held.is_service {
        // It has no ear for it.
        return Err(JournalError::Held(held).into());
    }
    let interrupt = crate::platform::signals::interrupts()?;
    let answer = match ask(journal, &Request::Reload, None, &interrupt)? {
        Asked::Answered(answer) | Asked::AnsweredAll(answer) => answer,
        Asked::NotTaken => {
            return Err(CliError::NotTaken(format!("the service ({}) has not answered; see its log", shown(&held))));
        }
        Asked::Interrupted => {
            Display::new().must_say("interrupted: what the service is at goes on; its log says what comes of it");
            return Ok(exit::INTERRUPTED);
        }
    };
    match answer {
        Answer { refused: Some(why), .. } => Err(CliError::Words(format!("the service refuses: {why}"))),
        Answer { words, .. } if words.is_empty() => {
            Display::new().say("nothing is changed");
            Ok(exit::OK)
        }
        Answer { words, .. } => {
            let display = Display::new();
            words.iter().for_each(|words| display.say(words));
            Ok(exit::OK)
        }
    }
}

/// Where a service has its settings from: its command line, its environment, and a profile, which may be another by now.
pub(super) struct Source {
    journal: PathBuf,
    arguments: Vec<OsString>,
    holds: Held,
    /// What was read, and may be to hold.
    read: Option<Held>,
}

/// Settings that hold.
struct Held {
    options: BTreeMap<String, Vec<OsString>>,
    profile: Option<Profile>,
    settings: SendSettings,
    tls_files: Vec<u64>,
}

impl Held {
    fn new(origin: &Origin, args: &ServeArgs, settings: &SendSettings) -> Self {
        Self {
            options: origin.options(),
            profile: origin.profile.as_ref().map(|(_, profile)| profile.clone()),
            settings: settings.clone(),
            tls_files: args.sessions.tls_files().iter().map(|path| digest(path)).collect(),
        }
    }
}

/// Of what stands in a file.
fn digest(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::fs::read(path).ok().hash(&mut hasher);
    hasher.finish()
}

impl Source {
    pub(super) fn new(args: &ServeArgs, cli: &Cli, settings: &SendSettings) -> Self {
        Self {
            journal: settings.journal.clone(),
            arguments: std::env::args_os().collect(),
            holds: Held::new(&cli.origin, args, settings),
            read: None,
        }
    }

    fn read_anew(&mut self) -> Result<Anew, CliError> {
        let mut cli = match profile::parse(&self.arguments)? {
            Parsed::Cli(cli) => cli,
            Parsed::Clap(error) => return Err(CliError::Usage(error.to_string())),
        };
        let origin = std::mem::take(&mut cli.origin);
        if origin.profile.is_none()
            && let Some(profile) = &self.holds.profile
        {
            return Err(CliError::Usage(format!("profile {} is gone", profile.name)));
        }
        let Command::Run(args) = &cli.command else { return Err(CliError::Words("this is no service".into())) };
        let blamed = |error: CliError| CliError::Usage(origin.blame(&error.to_string()));
        let before = &self.holds.settings;
        let account = args.sessions.resolve_again(&before.account).map_err(blamed)?;
        // These it cannot change.
        let account = Account { bind: before.account.bind, ..account };
        let settings =
            args.settings(&self.journal, account, args.open_hours().map_err(blamed)?, false).map_err(blamed)?;
        let settings = SendSettings { connections: before.connections, ..settings };
        let read = Held::new(&origin, args, &settings);
        let changed = self.holds.changed(&read);
        if let Some(option) = changed.iter().find(|option| WHOSE.contains(&option.as_str())) {
            let words = format!("another {option} is another service: start one for it");
            return Err(CliError::Usage(origin.blame_key(option, &words)));
        }
        let opened = journal::open_read_only(&self.journal)?;
        store::account::judge_account(&opened, &self.journal, &settings.identity).map_err(|error| {
            let key = if changed.iter().any(|option| option == "system-id") { "system_id" } else { "host" };
            CliError::Usage(origin.blame_key(key, &error.to_string()))
        })?;
        let is_one_of = |options: &[&str]| changed.iter().any(|option| options.contains(&option.as_str()));
        let secrets = |account: &Account| {
            let receiver = account.receiver.as_deref().map(|Login { password, .. }| password.clone());
            (account.password.clone(), receiver)
        };
        let has_password = secrets(&before.account) != secrets(&settings.account);
        let connections = is_one_of(&CONNECTIONS) || has_password || self.holds.tls_files != read.tls_files;
        let anew = Anew {
            rate: is_one_of(PACE),
            hours: is_one_of(HOURS),
            connections,
            words: self.words(&changed, &read, has_password, args),
            settings,
        };
        self.read = Some(read);
        Ok(anew)
    }

    /// What is changed, and what cannot be.
    fn words(&self, changed: &[String], read: &Held, has_password: bool, args: &ServeArgs) -> Vec<String> {
        let mut words = Vec::new();
        for option in changed.iter().filter(|option| AT_ONCE.contains(&option.as_str())) {
            let values = read.options.get(option).map(|values| {
                let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
                crate::words::escape::escape_terminal(&values.join(",")).into_owned()
            });
            words.push(format!("{option}: {} from now on", values.unwrap_or_else(|| "as by default".into())));
        }
        let mut anew: Vec<&str> =
            changed.iter().map(String::as_str).filter(|option| CONNECTIONS.contains(option)).collect();
        if has_password {
            anew.push("the password");
        }
        if self.holds.tls_files != read.tls_files && !anew.iter().any(|option| option.starts_with("tls-")) {
            anew.push("files of TLS");
        }
        if !anew.is_empty() {
            words.push(format!("{}: for connections that are bound anew", anew.join(", ")));
        }
        let not: Vec<&str> = changed.iter().map(String::as_str).filter(|option| is_fixed(option)).collect();
        if !not.is_empty() {
            words.push(format!("{}: not changed by a reload; restart the service for that", not.join(", ")));
        }
        let typed = self.holds.beaten(read, changed);
        if !typed.is_empty() {
            words.push(format!("{}: typed, or in the environment of the service, and so as it was", typed.join(", ")));
        }
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let shown = args.sessions.connection.password_file.as_ref().filter(|file| {
            credentials.is_some_and(|folder| !folder.as_os_str().is_empty() && file.starts_with(folder))
        });
        if shown.is_some() {
            words.push(
                "password-file: what systemd shows of it is fixed at the start; another password needs a restart"
                    .into(),
            );
        }
        words
    }
}

/// Whether an option is one that a running service cannot change.
fn is_fixed(option: &str) -> bool {
    !AT_ONCE.contains(&option) && !CONNECTIONS.contains(&option) && !WHOSE.contains(&option)
}

impl Held {
    /// The options that are others in what was read.
    fn changed(&self, read: &Self) -> Vec<String> {
        let all = self.options.keys().chain(read.options.keys());
        let mut changed: Vec<String> =
            all.filter(|option| self.options.get(*option) != read.options.get(*option)).cloned().collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Options of the service that are others in the profile, and are not heard.
    fn beaten(&self, read: &Self, changed: &[String]) -> Vec<String> {
        let entries = |held: &Self| -> BTreeMap<String, Vec<String>> {
            let all = held.profile.iter().flat_map(|profile| profile.entries.iter());
            all.map(|entry| (profile::option_of(&entry.key), entry.values.clone())).collect()
        };
        let (before, now) = (entries(self), entries(read));
        let all = before.keys().chain(now.keys()).filter(|option| before.get(*option) != now.get(*option));
        let is_own = |option: &&String| read.options.contains_key(*option) && !changed.contains(option);
        let mut beaten: Vec<String> = all.filter(is_own).cloned().collect();
        beaten.sort_unstable();
        beaten.dedup();
        beaten
    }
}

impl Reload for Source {
    fn read(&mut self) -> Result<Anew, BadValue> {
        self.read = None;
        self.read_anew().map_err(|error| bad!("{error}"))
    }

    fn settle(&mut self, with_connections: bool) {
        let Some(mut read) = self.read.take() else { return };
        if with_connections {
            // Hosts that it knows by now are the account's.
            let claimed = journal::open_existing(&self.journal)
                .and_then(|opened| store::account::claim(&opened, &self.journal, &read.settings.identity));
            if let Err(error) = claimed {
                log::warn!("the names of the account are not kept: {}", error.at(&self.journal));
            }
        } else {
            for option in CONNECTIONS {
                match self.holds.options.get(option) {
                    Some(values) => read.options.insert(option.into(), values.clone()),
                    None => read.options.remove(option),
                };
            }
            let window = read.settings.account.window;
            read.settings.account = Account { window, ..self.holds.settings.account.clone() };
            read.tls_files = std::mem::take(&mut self.holds.tls_files);
        }
        self.holds = read;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn of_each_option_of_the_service_it_is_known_what_a_reload_makes_of_it() {
        const FIXED: [&str; 26] = [
            "adopt",
            "bind",
            "config",
            "connections",
            "create",
            "default-alphabet",
            "give-up-after",
            "help",
            "log-file",
            "nothing-sent-since",
            "profile",
            "profile-status",
            "quiet",
            "receipt-horizon",
            "record",
            "record-keep",
            "record-size",
            "record-texts",
            "retry-delays",
            "same-account",
            "start-at",
            "status",
            "status-preset",
            "stop-at",
            "verbose",
            "watch",
        ];
        let root = Cli::command();
        let run = root.find_subcommand("run").unwrap();
        let options = run.get_arguments().chain(root.get_arguments()).filter_map(clap::Arg::get_long);
        let options: Vec<&str> = options.collect();
        for option in &options {
            assert_eq!(is_fixed(option), FIXED.contains(option), "{option}");
        }
        for option in AT_ONCE.iter().chain(&CONNECTIONS).chain(&WHOSE) {
            assert!(options.contains(option), "{option}");
        }
    }
}
