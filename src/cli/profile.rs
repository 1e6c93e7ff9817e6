//! Profiles: the keys of `smppost.toml` are the long options, and a profile is as good as typing them, except that what is
//! typed, and what the environment says, beats it. Also the command `profile`.

use super::{Cli, CliError, Command, exit, names};
use crate::cli::config::PASSWORD_VARIABLE;
use crate::cli::config::file::ConfigError;
use crate::cli::config::file::{Config, Entry, Profile, RECEIVER, places};
use crate::client::link::parse_host;
use crate::words::BadValue;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Subcommand};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The profile that is used when none is named.
const DEFAULT: &str = "default";
/// Options that belong to one run and to no profile.
const NOT_KEYS: [&str; 29] = [
    "to",
    "id",
    "detach",
    "rx_host",
    "rx_port",
    "rx_system_id",
    "rx_system_type",
    "profile_receiver",
    "same_account",
    "quiet",
    "verbose",
    "campaign",
    "limit",
    "simulate",
    "adopt",
    "nothing_sent_since",
    "yes",
    "dry_run",
    "priority",
    "campaign_rate",
    "ignore_hours",
    "on_finish",
    "progress",
    "config",
    "profile",
    "help",
    "version",
    "profile_status",
    "profile_field",
];
/// Keys whose tables go to a hidden option of their own, so that what is typed adds to them instead of replacing them.
const TABLES: [(&str, &str); 3] =
    [("status", "profile_status"), ("field", "profile_field"), (RECEIVER, "profile_receiver")];

/// Look at the profiles of the configuration
#[derive(Debug, Args)]
pub struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// The profiles that there are, and where
    List,
    /// Whether profiles are right: all of them, or one
    Check {
        /// The profile
        name: Option<String>,
    },
}

/// What came of reading the command line.
pub enum Parsed {
    /// What is to be done.
    Cli(Box<Cli>),
    /// Help, or what was typed wrong.
    Clap(clap::Error),
}

/// Where the settings of a command come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The command line, with what the profile adds to it.
    pub(super) whole: Vec<OsString>,
    /// The file of the profile, and the profile, where there is one.
    pub(super) profile: Option<(PathBuf, Profile)>,
}

impl Origin {
    /// What is wrong with the settings, with the line of the option that it names.
    pub(super) fn blame(&self, words: &str) -> String {
        match &self.profile {
            Some((path, profile)) if words.contains("--") => blame_option(words, path, profile),
            _ => words.to_owned(),
        }
    }

    /// The same of this key.
    pub(super) fn blame_key(&self, key: &str, words: &str) -> String {
        let line = |profile: &Profile| profile.entries.iter().find(|entry| entry.key == key).map(|entry| entry.line);
        match &self.profile {
            Some((path, profile)) => located(Some(path), profile, line(profile), words),
            None => words.to_owned(),
        }
    }

    /// The options of the command, by their long names, as they are: typed, in the environment, in the profile, or by default.
    pub(super) fn options(&self) -> BTreeMap<String, Vec<OsString>> {
        let root = Cli::command();
        let Ok(matches) = root.clone().try_get_matches_from(&self.whole) else { return BTreeMap::new() };
        let Some((name, matches)) = matches.subcommand() else { return BTreeMap::new() };
        let own = root.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
        own.chain(root.get_arguments())
            .filter_map(|option| {
                let values = matches.try_get_raw(option.get_id().as_str()).ok()??;
                Some((option.get_long()?.to_owned(), values.map(OsStr::to_os_string).collect()))
            })
            .collect()
    }
}

/// The long name of the option that a key of a profile stands for.
pub(super) fn option_of(key: &str) -> String {
    let own = TABLES.iter().find(|(table, _)| *table == key).map(|(_, own)| *own);
    own.unwrap_or(key).replace('_', "-")
}

/// Reads the command line, and below it the profile.
pub fn parse(arguments: &[OsString]) -> Result<Parsed, CliError> {
    let (parsed, profile) = parse_with_profile(arguments).map_err(|error| match error {
        // What the service would say of the same file.
        CliError::Usage(words) if is_reload(arguments) => {
            CliError::Words(format!("{words}; the service goes on by the settings that it has"))
        }
        error => error,
    })?;
    let Parsed::Cli(mut cli) = parsed else { return Ok(parsed) };
    cli.known_account = known_account(&cli, arguments, profile.as_ref());
    cli.typed = typed_options(arguments);
    if cli.origin.whole.is_empty() {
        cli.origin.whole = arguments.to_vec();
    }
    let (name, typed) = (cli.account.clone(), cli.typed.clone());
    if let Some(connection) = cli.command.connection_mut() {
        (connection.account_name, connection.typed) = (name, typed);
    }
    Ok(Parsed::Cli(cli))
}

fn is_reload(arguments: &[OsString]) -> bool {
    let matches = Cli::command().try_get_matches_from(arguments);
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("reload"))
}

/// The long options of the command that were typed, without the dashes.
fn typed_options(arguments: &[OsString]) -> Vec<String> {
    let root = Cli::command();
    let Ok(matches) = root.clone().try_get_matches_from(arguments) else { return Vec::new() };
    let Some((name, typed)) = matches.subcommand() else { return Vec::new() };
    let options = root.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let is_typed = |id: &str| {
        typed.try_contains_id(id).is_ok_and(|is_there| is_there)
            && typed.value_source(id) == Some(ValueSource::CommandLine)
    };
    options
        .filter(|option| is_typed(option.get_id().as_str()))
        .filter_map(|option| option.get_long().map(str::to_owned))
        .collect()
}

/// The account's names, whatever the command: as it is named, then by system_id and host, each typed, in the environment, or
/// in the profile.
fn known_account(cli: &Cli, arguments: &[OsString], profile: Option<&Profile>) -> Vec<String> {
    let matches = Cli::command().try_get_matches_from(arguments).ok();
    let typed = matches.as_ref().and_then(|matches| matches.subcommand()).map(|(_, typed)| typed);
    let setting = |id: &str, variable: &str, key: &str| -> Vec<String> {
        let typed = typed.and_then(|typed| Some(typed.try_get_many::<String>(id).ok().flatten()?.cloned().collect()));
        let set = || std::env::var(variable).ok().filter(|value| !value.is_empty()).map(|value| vec![value]);
        let entry = || Some(profile?.entries.iter().find(|entry| entry.key == key)?.values.clone());
        typed.or_else(set).or_else(entry).unwrap_or_default()
    };
    let system_id = setting("system_id", "SMPPOST_SYSTEM_ID", "system_id").into_iter().next();
    let hosts = setting("hosts", "SMPPOST_HOST", "host");
    let hosts = hosts.iter().flat_map(|value| value.split(',')).filter_map(|host| parse_host(host).ok());
    let address = |host: String| Some(super::connection::name_of(system_id.as_ref()?, &host));
    cli.account.iter().filter(|name| !name.is_empty()).cloned().chain(hosts.filter_map(address)).collect()
}

/// Reads the command line, and the profile that it uses.
fn parse_with_profile(arguments: &[OsString]) -> Result<(Parsed, Option<Profile>), CliError> {
    let matches = match super::help::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return Ok((Parsed::Clap(error), None)),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return Ok((Parsed::Clap(error), None)),
    };
    if let (Command::Smsc(_), Some((_, typed))) = (&cli.command, matches.subcommand()) {
        super::smsc::refuse_idle(typed)?;
    }
    let Some((name, typed)) = matches.subcommand().filter(|_| uses_profiles(&cli.command)) else {
        return Ok((Parsed::Cli(Box::new(cli)), None));
    };
    if let Command::Cancel(args) = &cli.command
        && !args.at_smsc
    {
        refuse_idle(name, typed)?;
    }
    let is_named = cli.journal.as_deref().is_some_and(|journal| !journal.as_os_str().is_empty());
    if matches!(&cli.command, Command::Reload(_)) && is_named {
        // The profile would say which journal it is; what else is in it is for the service to read.
        return Ok((Parsed::Cli(Box::new(cli)), None));
    }
    let usage = |error: ConfigError| CliError::Usage(error.to_string());
    let wanted = cli.profile.as_deref().unwrap_or(DEFAULT);
    let config = Config::find(cli.config.as_deref(), &keys(), wanted, &mut super::place::say).map_err(usage)?;
    let profile = match (&config, &cli.profile) {
        (Some(config), Some(name)) => config.profile(name).map_err(usage)?,
        (None, Some(_)) => return Err(usage(ConfigError::Missing(places()))),
        (Some(config), None) => match config.profile(DEFAULT) {
            Ok(profile) => profile,
            Err(_) => return Ok((Parsed::Cli(Box::new(Cli { secrets: password_variables(config), ..cli })), None)),
        },
        (None, None) => return Ok((Parsed::Cli(Box::new(cli)), None)),
    };
    let path = config.as_ref().map(|config| &*config.path);
    let names =
        names::of(profile).map_err(|(line, words)| CliError::Usage(located(path, profile, Some(line), &words)))?;
    let command = Cli::command();
    let Some(subcommand) = command.find_subcommand(name) else { return Ok((Parsed::Cli(Box::new(cli)), None)) };
    let is_typed = |id: &str| {
        matches!(typed.try_contains_id(id), Ok(true))
            && matches!(typed.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    refuse_foreign_host(config.as_ref(), profile, &is_typed, subcommand)?;
    let simulated = matches!(&cli.command, Command::Send(args) if args.simulate);
    let named = profile.entries.iter().find(|entry| entry.key == "password_env").and_then(|entry| entry.values.first());
    let has_password = is_typed("password_env")
        || std::env::var_os(named.map_or(PASSWORD_VARIABLE, |name| name)).is_some_and(|password| !password.is_empty());
    let mut more = Vec::new();
    for entry in &profile.entries {
        // A rehearsal has a journal of its own; a password in the environment beats a file that the profile names, and a
        // variable that is typed does so even where it is missing.
        let skipped = match entry.key.as_str() {
            "journal" => simulated,
            // What an import keeps with a campaign is its own; the account's hours hold for each run anyway.
            "between" | "days" | "start_at" | "stop_at" => name == "import",
            "password_file" => has_password,
            // Typed, one connection both ways or only out beats it.
            RECEIVER => is_typed("bind") && !receives_apart(typed),
            _ => false,
        };
        if !skipped {
            more.extend(as_typed(&command, subcommand, entry, &is_typed));
        }
    }
    let at = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let whole: Vec<OsString> =
        arguments[..at].iter().cloned().chain(more).chain(arguments[at..].iter().cloned()).collect();
    match Cli::command().try_get_matches_from(&whole).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            let secrets = config.as_ref().map(password_variables).unwrap_or_default();
            let origin = Origin { whole, profile: path.map(|path| (path.to_path_buf(), profile.clone())) };
            Ok((Parsed::Cli(Box::new(Cli { names, secrets, origin, ..cli })), Some(profile.clone())))
        }
        Err(error) => Err(CliError::Usage(blame(&error, config.as_ref().map(|config| &*config.path), profile))),
    }
}

/// The profile that a command line uses, for what its command does by itself later; what there is to say of the choice was said
/// when the command line was read.
pub(super) fn of(cli: &Cli) -> Result<Option<Profile>, CliError> {
    let usage = |error: ConfigError| CliError::Usage(error.to_string());
    let wanted = cli.profile.as_deref().unwrap_or(DEFAULT);
    let config = Config::find(cli.config.as_deref(), &keys(), wanted, &mut |_| ()).map_err(usage)?;
    Ok(config.and_then(|config| config.profiles.into_iter().find(|profile| profile.name == wanted)))
}

/// The arguments of an import that a file of settings stands for, with the profile below them. What is wrong with a value is said
/// with its line in that file, `path`.
pub(super) fn import_of(
    settings: &Profile,
    path: &Path,
    below: Option<&Profile>,
    more: &[OsString],
) -> Result<super::ImportArgs, CliError> {
    let root = Cli::command();
    let none = || CliError::Words("there is no command import".into());
    let import = root.find_subcommand("import").ok_or_else(none)?;
    let mut arguments: Vec<OsString> = vec!["smppost".into(), "import".into()];
    for entry in &settings.entries {
        let values = as_typed(&root, import, entry, &|_| false);
        if values.is_empty() && entry.values != ["false"] {
            return Err(CliError::Usage(located(Some(path), settings, Some(entry.line), "write one value")));
        }
        arguments.extend(values);
    }
    let blamed = |error: clap::Error| CliError::Usage(blame(&error, Some(path), settings));
    let typed =
        root.clone().try_get_matches_from(arguments.iter().cloned().chain(more.iter().cloned())).map_err(blamed)?;
    let typed = typed.subcommand_matches("import").ok_or_else(none)?;
    let is_typed = |id: &str| {
        matches!(typed.try_contains_id(id), Ok(true)) && typed.value_source(id) == Some(ValueSource::CommandLine)
    };
    for entry in below.into_iter().flat_map(|profile| &profile.entries) {
        // As for an import that is typed.
        if !["journal", "between", "days", "start_at", "stop_at"].contains(&entry.key.as_str()) {
            arguments.extend(as_typed(&root, import, entry, &is_typed));
        }
    }
    arguments.extend(more.iter().cloned());
    let cli = Cli::command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    match cli.map_err(blamed)?.command {
        Command::Import(args) => Ok(args),
        _ => Err(none()),
    }
}

/// The variables in which passwords may be, of whatever profile.
fn password_variables(config: &Config) -> Vec<String> {
    let entries = config.profiles.iter().flat_map(|profile| &profile.entries);
    let named = entries.flat_map(|entry| match entry.key.as_str() {
        "password_env" => entry.values.clone(),
        RECEIVER => {
            entry.values.iter().filter_map(|value| Some(value.strip_prefix("password_env=")?.to_owned())).collect()
        }
        _ => Vec::new(),
    });
    named.collect()
}

/// Whether connections that only receive were typed.
fn receives_apart(typed: &clap::ArgMatches) -> bool {
    let bind = typed.try_get_raw("bind").ok().flatten().and_then(|mut values| values.next_back());
    bind.is_some_and(|bind| bind == "rx" || bind == "tx+rx")
}

/// Refuses options of `cancel` that do nothing without --at-smsc, if they are typed: the environment and a profile may hold
/// them for other commands.
fn refuse_idle(command: &str, typed: &clap::ArgMatches) -> Result<(), CliError> {
    const ACT: [&str; 7] = ["campaign", "at_smsc", "lines", "yes", "journal", "config", "profile"];
    let root = Cli::command();
    let arguments = root.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    for argument in arguments {
        let id = argument.get_id().as_str();
        let is_typed = typed.try_contains_id(id).is_ok_and(|is_there| is_there)
            && typed.value_source(id) == Some(ValueSource::CommandLine);
        if let (true, false, Some(long)) = (is_typed, ACT.contains(&id), argument.get_long()) {
            return Err(CliError::Usage(format!(
                "--{long} does nothing without --at-smsc: what is not sent yet is cancelled in the journal alone"
            )));
        }
    }
    Ok(())
}

/// A password goes to no host that the file of somebody else names.
fn refuse_foreign_host(
    config: Option<&Config>,
    profile: &Profile,
    is_typed: &dyn Fn(&str) -> bool,
    command: &clap::Command,
) -> Result<(), CliError> {
    let Some((config, owner)) = config.and_then(|config| Some((config, config.foreign?))) else { return Ok(()) };
    let decides = |id: &str| command.get_arguments().any(|argument| argument.get_id() == id) && !is_typed(id);
    let host = profile.entries.iter().find(|entry| entry.key == "host").filter(|_| decides("hosts"));
    let receiver = || {
        let names_host = |entry: &&Entry| entry.values.iter().any(|value| value.starts_with("host="));
        profile.entries.iter().find(|entry| entry.key == RECEIVER).filter(names_host).filter(|_| decides("rx_hosts"))
    };
    match host.map(|entry| (entry, "--host")).or_else(|| receiver().map(|entry| (entry, "--rx-host"))) {
        Some((entry, option)) => Err(CliError::Usage(format!(
            "{} line {}: the file belongs to another user (number {owner}), who would decide where your password goes: make a \
             copy of your own, or name the host with {option}",
            config.path.display(),
            entry.line
        ))),
        None => Ok(()),
    }
}

fn uses_profiles(command: &Command) -> bool {
    match command {
        Command::Smsc(_) | Command::Profile(_) | Command::Completions(_) | Command::Man(_) => false,
        // What a status means is the same everywhere.
        Command::Explain(args) => args.asks_errors(),
        _ => true,
    }
}

/// The keys that a profile may have.
pub(super) fn keys() -> Vec<String> {
    let command = Cli::command();
    let send = command.find_subcommand("send").into_iter().flat_map(clap::Command::get_arguments);
    let mut keys = Vec::new();
    for argument in send.chain(command.get_arguments()) {
        // Older names are keys as well.
        let names = argument.get_long().into_iter().chain(argument.get_all_aliases().unwrap_or_default());
        keys.extend(names.map(|long| long.replace('-', "_")));
    }
    keys.retain(|key| !NOT_KEYS.contains(&key.as_str()));
    keys.push(RECEIVER.into());
    keys.extend(names::KEYS.map(str::to_owned));
    keys
}

/// An entry as arguments; none where the command has no such option, or something typed beats it.
fn as_typed(
    root: &clap::Command,
    command: &clap::Command,
    entry: &Entry,
    is_typed: &dyn Fn(&str) -> bool,
) -> Vec<OsString> {
    let own = TABLES.iter().find(|(key, _)| *key == entry.key).map(|(_, own)| *own);
    let long = own.unwrap_or(&entry.key).replace('_', "-");
    let named = |argument: &&clap::Arg| {
        argument.get_long() == Some(&long)
            || argument.get_all_aliases().is_some_and(|names| names.contains(&long.as_str()))
    };
    let Some(argument) = command.get_arguments().chain(root.get_arguments()).find(named) else { return Vec::new() };
    let beaten = is_typed(argument.get_id().as_str())
        || command.get_arg_conflicts_with(argument).iter().any(|other| is_typed(other.get_id().as_str()));
    if beaten {
        return Vec::new();
    }
    match (argument.get_action(), entry.values.as_slice()) {
        (ArgAction::SetTrue, [value]) if value == "true" => vec![format!("--{long}").into()],
        (ArgAction::SetTrue, [value]) if value == "false" => Vec::new(),
        // A table or list where one value is wanted, as for receipt_codes, is that value's parts.
        (ArgAction::Set, values) if values.len() > 1 && argument.get_value_delimiter().is_none() => {
            vec![format!("--{long}={}", values.join(",")).into()]
        }
        (_, values) => values.iter().map(|value| format!("--{long}={value}").into()).collect(),
    }
}

/// What clap says about a value of a profile, with the line on which it stands.
fn blame(error: &clap::Error, path: Option<&Path>, profile: &Profile) -> String {
    let words = error.to_string();
    let words = words.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let (option, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let key = option.trim_start_matches("--").split([' ', '=', '[']).next().unwrap_or("").replace('-', "_");
    let table = TABLES.iter().find(|(_, own)| *own == key).map(|(key, _)| *key);
    let words = match (table, error.source(), error.get(ContextKind::ValidValue)) {
        // Nobody knows the hidden option by which the table goes.
        (Some(table), Some(why), _) => match value.split_once('=') {
            Some((name, _)) => format!("{table} {name:?}: {why}"),
            None => format!("{table}: {why}"),
        },
        (_, _, Some(ContextValue::Strings(valid))) if !valid.is_empty() => {
            format!("{words}: one of {}", valid.join(", "))
        }
        _ => words.to_owned(),
    };
    let entry = profile.entries.iter().find(|entry| entry.key == table.unwrap_or(&key));
    located(path, profile, entry.map(|entry| entry.line_of(value)), &words)
}

/// What the program itself says about a profile, with the line of the option that it names.
fn blame_option(words: &str, path: &Path, profile: &Profile) -> String {
    let named = words.split_once("--").map_or(words, |(_, rest)| rest);
    let key = named.split([' ', ':', '=']).next().unwrap_or_default().replace('-', "_");
    let entry = profile.entries.iter().find(|entry| entry.key == key);
    located(Some(path), profile, entry.map(|entry| entry.line), words)
}

fn located(path: Option<&Path>, profile: &Profile, line: Option<usize>, words: &str) -> String {
    let path = path.map_or_else(String::new, crate::words::trouble::shown);
    match line {
        Some(line) => format!("{path} line {line}: {words}"),
        None => format!("{path}, profile {}: {words}", profile.name),
    }
}

/// Runs `profile`.
pub fn run(args: &ProfileArgs, config: Option<&Path>, out: &mut dyn Write) -> Result<u8, CliError> {
    let usage = |error: ConfigError| CliError::Usage(error.to_string());
    let all = match &args.command {
        ProfileCommand::List | ProfileCommand::Check { name: None } => {
            Config::all(config, &keys(), &mut super::place::say).map_err(usage)?
        }
        ProfileCommand::Check { name: Some(name) } => {
            let found = Config::find(config, &keys(), name, &mut super::place::say).map_err(usage)?;
            found.into_iter().collect()
        }
    };
    if all.is_empty() {
        return Err(usage(ConfigError::Missing(places())));
    }
    let profiles = all.iter().flat_map(|config| config.profiles.iter().map(move |profile| (config, profile)));
    match &args.command {
        ProfileCommand::List => {
            for (config, profile) in profiles {
                let host = profile.entries.iter().find(|entry| entry.key == "host");
                let host = host.map_or_else(String::new, |entry| entry.values.join(", "));
                writeln!(out, "{}\t{host}\t{}", profile.name, crate::words::trouble::shown(&config.path))?;
            }
            Ok(exit::OK)
        }
        ProfileCommand::Check { name } => {
            let chosen: Vec<(&Config, &Profile)> = match name {
                Some(name) => vec![(&all[0], all[0].profile(name).map_err(usage)?)],
                None => profiles.collect(),
            };
            let mut code = exit::OK;
            for (config, profile) in chosen {
                let verdict = check(profile, &config.path).unwrap_or_else(|words| {
                    // What `send` says to it, and to a key that there is not.
                    code = exit::USAGE;
                    format!("wrong: {words}")
                });
                writeln!(out, "{}: {verdict}", profile.name)?;
            }
            Ok(code)
        }
    }
}

/// Everything that can be known of a profile without connecting: what `send` would refuse is refused.
fn check(profile: &Profile, path: &Path) -> Result<String, BadValue> {
    names::of(profile).map_err(|(line, words)| located(Some(path), profile, Some(line), &words))?;
    let command = Cli::command();
    let send = command.find_subcommand("send").ok_or("there is no command send")?;
    let mut arguments: Vec<OsString> = vec!["smppost".into(), "send".into(), "campaign.csv".into()];
    arguments.extend(profile.entries.iter().flat_map(|entry| as_typed(&command, send, entry, &|_| false)));
    let matches = Cli::command().try_get_matches_from(arguments);
    let cli = matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| blame(&error, Some(path), profile))?;
    let Command::Send(args) = &cli.command else { return Err("there is no command send".into()) };
    let described = args.describe().map_err(|error| blame_option(&error.to_string(), path, profile))?;
    Ok(format!("right: {described}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_options_and_none_of_a_run() {
        let keys = keys();
        for key in ["host", "journal", "tls_ca", "rate", "from", "field", "status", "response_timeout", "wait_receipts"]
        {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        for key in NOT_KEYS {
            assert!(!keys.iter().any(|known| known == key), "{key}");
        }
    }

    #[test]
    fn the_sample_is_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/smppost.toml");
        let config = Config::read(&path, &keys()).unwrap();
        for profile in &config.profiles {
            check(profile, &path).unwrap();
        }
        assert!(config.profile("sms-smpp-routes").is_ok());
    }
}
