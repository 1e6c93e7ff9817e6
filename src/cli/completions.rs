//! `completions`: what a shell asks for when somebody presses Tab. The script that a shell loads asks this program, so that
//! names of campaigns and profiles are those that there are at that moment.

use super::config::file::Config;
use super::place::{self, Folders, Use, Wanted};
use super::{CliError, connection, exit, help, profile};
use crate::client::link::parse_host;
use crate::journal::migrate::is_due;
use crate::journal::store::known::Notes;
use crate::journal::{open_untouched, query};
use clap::{Args, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The variable by which a shell asks. One of our own: what others keep in COMPLETE must not answer in a command's place.
const VARIABLE: &str = "SMPPOST_COMPLETE";
/// Campaigns that are offered, the newest first.
const OFFERED_MAX: usize = 200;

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Shell {
    /// source <(smppost completions bash), in ~/.bashrc
    Bash,
    /// source <(smppost completions zsh), in ~/.zshrc
    Zsh,
    /// smppost completions fish | source, in config.fish
    Fish,
    /// smppost completions powershell | Out-String | Invoke-Expression, in $PROFILE
    Powershell,
}

impl CompletionsArgs {
    /// Writes the script.
    pub fn run(&self, out: &mut dyn Write) -> Result<u8, CliError> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
        };
        let shells = Shells::builtins();
        let Some(shell) = shells.completer(name) else {
            return Err(CliError::Words(format!("there are no completions for {name}")));
        };
        shell.write_registration(VARIABLE, "smppost", "smppost", "smppost", &mut &mut *out)?;
        Ok(exit::OK)
    }
}

/// Answers a shell, and ends the process, where that is what it was started for.
pub fn answer() {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// The command line, with what its values may be.
fn command() -> clap::Command {
    let command = help::command().mut_arg("profile", |option| option.add(ArgValueCompleter::new(profiles)));
    command.mut_subcommands(|subcommand| {
        let of_profile = subcommand.get_name() == "profile";
        let ids: Vec<_> = subcommand.get_arguments().map(|argument| argument.get_id().clone()).collect();
        let named = ["campaign", "campaigns", "append"];
        let subcommand =
            ids.into_iter().filter(|id| named.contains(&id.as_str())).fold(subcommand, |subcommand, id| {
                subcommand.mut_arg(id, |argument| argument.add(ArgValueCompleter::new(campaigns)))
            });
        if !of_profile {
            return subcommand;
        }
        subcommand.mut_subcommand("check", |check| {
            check.mut_arg("name", |argument| argument.add(ArgValueCompleter::new(profiles)))
        })
    })
}

/// The profiles that begin so. Errors offer nothing: whoever presses Tab asked no question that an error would answer.
fn profiles(start: &OsStr) -> Vec<CompletionCandidate> {
    let config = Typed::of_environment().one("--config", "SMPPOST_CONFIG").map(PathBuf::from);
    let all = Config::all(config.as_deref(), &profile::keys(), &mut |_| {}).unwrap_or_default();
    let profiles = all.iter().flat_map(|config| &config.profiles);
    offered(profiles.map(|profile| profile.name.clone()), start)
}

/// The campaigns of the journal that the command would use. One that an older program made offers none: whoever reads it makes
/// an upgraded copy, which is too much for a key that is pressed again and again.
fn campaigns(start: &OsStr) -> Vec<CompletionCandidate> {
    let Some(journal) = journal(&Typed::of_environment()) else { return Vec::new() };
    if !matches!(is_due(&journal), Ok(None)) {
        return Vec::new();
    }
    let found = open_untouched(&journal).and_then(|connection| query::campaigns(&connection));
    let mut names: Vec<String> = found.unwrap_or_default().into_iter().map(|campaign| campaign.campaign).collect();
    names.reverse();
    offered(names.into_iter(), start)
}

fn offered(names: impl Iterator<Item = String>, start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    // What a terminal would not show as it is, nobody completes.
    let names = names.filter(|name| name.starts_with(&*start) && !name.contains(char::is_control));
    let numbered = names.take(OFFERED_MAX).enumerate();
    numbered.map(|(place, name)| CompletionCandidate::new(name).display_order(Some(place))).collect()
}

/// The journal of what is typed so far: what `list` would read, found without a word.
fn journal(typed: &Typed) -> Option<PathBuf> {
    let config = typed.one("--config", "SMPPOST_CONFIG").map(PathBuf::from);
    let wanted = typed.one("--profile", "SMPPOST_PROFILE").unwrap_or_else(|| "default".into());
    let found = Config::find(config.as_deref(), &profile::keys(), &wanted, &mut |_| {}).ok().flatten();
    let profile = found.as_ref().and_then(|config| config.profile(&wanted).ok());
    let entry = |key: &str| {
        profile.and_then(|profile| Some(profile.entries.iter().find(|entry| entry.key == key)?.values.clone()))
    };
    let first = |key: &str| entry(key).and_then(|values| values.into_iter().next());
    let named = typed.one("--journal", "SMPPOST_JOURNAL").or_else(|| first("journal")).map(PathBuf::from);
    let name = typed.one("--account", "SMPPOST_ACCOUNT").or_else(|| first("account"));
    let system_id = typed.one("--system-id", "SMPPOST_SYSTEM_ID").or_else(|| first("system_id"));
    let hosts =
        typed.one("--host", "SMPPOST_HOST").map(|host| vec![host]).or_else(|| entry("host")).unwrap_or_default();
    let hosts = hosts.iter().flat_map(|hosts| hosts.split(',')).filter_map(|host| parse_host(host).ok());
    let addresses = hosts.filter_map(|host| Some(connection::name_of(system_id.as_ref()?, &host)));
    let account: Vec<String> = name.clone().into_iter().chain(addresses).collect();
    let folders = Folders::of_environment();
    let notes = Notes::read(folders.state.as_deref());
    let wanted =
        Wanted { named: named.as_deref(), account: &account, given: name.is_some(), simulated: false, to: Use::Read };
    place::find(wanted, &folders, &notes, &mut |_| {}).ok().filter(|path: &PathBuf| Path::is_file(path))
}

/// The words that the shell hands over.
struct Typed(Vec<OsString>);

impl Typed {
    /// They stand behind the first `--`.
    fn of_environment() -> Self {
        Self(std::env::args_os().skip_while(|word| word != "--").skip(1).collect())
    }

    /// An option's value, else that of the variable.
    fn one(&self, option: &str, variable: &str) -> Option<String> {
        let mut words = self.0.iter().map(|word| word.to_string_lossy());
        let mut found = None;
        while let Some(word) = words.next() {
            if word == option {
                found = words.next().map(|value| value.into_owned());
            } else if let Some(value) = word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
                found = Some(value.to_owned());
            }
        }
        found.or_else(|| std::env::var(variable).ok()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_found_whichever_way() {
        let typed =
            Typed(["smppost", "list", "--journal", "a", "--profile=acme", "--config", ""].map(OsString::from).into());
        assert_eq!(typed.one("--journal", "NO_SUCH_VARIABLE").as_deref(), Some("a"));
        assert_eq!(typed.one("--profile", "NO_SUCH_VARIABLE").as_deref(), Some("acme"));
        assert_eq!(typed.one("--config", "NO_SUCH_VARIABLE"), None);
    }

    #[test]
    fn campaigns_and_profiles_are_completed_where_they_are_typed() {
        let command = command();
        let of = |name: &str, id: &str| {
            let subcommand = command.find_subcommand(name).unwrap();
            let argument = subcommand.get_arguments().find(|argument| argument.get_id() == id).unwrap();
            argument.get::<ArgValueCompleter>().is_some()
        };
        for (name, id) in [
            ("report", "campaign"),
            ("resume", "campaigns"),
            ("cancel", "campaign"),
            ("resolve", "campaign"),
            ("query", "campaign"),
            ("replace", "campaign"),
            ("import", "append"),
        ] {
            assert!(of(name, id), "{name} {id}");
        }
    }
}
