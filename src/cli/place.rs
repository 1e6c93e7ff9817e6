//! Which journal a command is about: one rule for all of them, and what was chosen is said where nobody typed it.
//!
//! 1. What was named: `--journal`, `SMPPOST_JOURNAL`, or the profile's `journal`.
//! 2. `./smppost.db` where it is there, belongs to the user or root, and nobody else may write it.
//! 3. The account's default: `ACCOUNT.db` in a service's state folder (`STATE_DIRECTORY`), else in the user's data folder.
//!    What is imported before any account is known goes to `smppost.db` there, which is of the account that sends from it first.
//! 4. What the notes of this user know ([`crate::journal::store::known`]): a command that reads, or that knows no account, takes the
//!    only journal there is; one that sends or imports names it, and makes no second one.

mod folders;

pub use folders::Folders;

use super::CliError;
use crate::cli::config::owner::{Stranger, stranger};
use crate::journal;
use crate::journal::store::known::{Note, Notes};
use crate::words::escape::escape_terminal;
use crate::words::format::argument;

use std::path::{Path, PathBuf};

/// What a command does with its journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// Makes it where there is none.
    Make,
    /// Changes what is in it.
    Change,
    /// Reads it.
    Read,
    /// Reads it where it is there, and does without.
    Look,
}

/// What is known of the journal that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// As it was named.
    pub named: Option<&'a Path>,
    /// The names of the account, the one that counts first; none: it is not known.
    pub account: &'a [String],
    /// The first of them was given by --account.
    pub given: bool,
    /// That of a rehearsal.
    pub simulated: bool,
    /// What for.
    pub to: Use,
}

/// The journal of a rehearsal, in the current folder.
const SIMULATED: &str = "smppost-simulated.db";
/// The journal of whoever works in one folder.
const HERE: &str = "smppost.db";
/// Journals that a refusal names.
const NAMED_MAX: usize = 10;

/// Finds it. What is said goes to `say`.
pub fn find(
    wanted: Wanted<'_>,
    folders: &Folders,
    notes: &Notes,
    say: &mut dyn FnMut(&str),
) -> Result<PathBuf, CliError> {
    if let Some(named) = wanted.named {
        // As it was typed: made absolute, a URI looks like a file.
        crate::journal::files::regular::check(named)?;
        return found(folders.absolute(named), wanted, notes, say);
    }
    let here = folders.here.join(if wanted.simulated { SIMULATED } else { HERE });
    if folders::is_there(&here) {
        match stranger(&here) {
            None => return Ok(here),
            // It may be the one that is meant: the program does not guess.
            Some(Stranger::Writable(mode)) => {
                return Err(CliError::Usage(format!(
                    "{0} is not used, since others may write to it (mode {mode:03o}) and so decide what is sent: if it is \
                     yours, `chmod go-w {1}`; else name another journal with --journal",
                    here.display(),
                    argument(&here.to_string_lossy())
                )));
            }
            Some(Stranger::Owner(owner)) => say(&format!(
                "warning: {} is not used, since it belongs to another user (number {owner}): --journal would name it",
                here.display()
            )),
        }
    }
    if wanted.simulated {
        return found(here, wanted, notes, say);
    }
    match wanted.account.first() {
        Some(account) => of_account(account, wanted, folders, notes, say),
        None => of_nobody(wanted, folders, notes, say),
    }
}

/// A second one is warned of.
fn found(path: PathBuf, wanted: Wanted<'_>, notes: &Notes, say: &mut dyn FnMut(&str)) -> Result<PathBuf, CliError> {
    if wanted.to == Use::Make && !folders::is_there(&path) {
        let others = if wanted.simulated { Vec::new() } else { notes.of(wanted.account) };
        if let (Some(account), [first, ..]) = (wanted.account.first(), &others[..]) {
            say(&format!(
                "warning: the account {account} has a journal already, {}: what was sent from there is not known here, so \
                 that the same file would be sent again",
                first.path.display()
            ));
        }
    }
    Ok(path)
}

/// The account's own.
fn of_account(
    account: &str,
    wanted: Wanted<'_>,
    folders: &Folders,
    notes: &Notes,
    say: &mut dyn FnMut(&str),
) -> Result<PathBuf, CliError> {
    // An account that was given a name keeps the journal that it had without one.
    let mut defaults = wanted.account.iter().filter_map(|name| folders.default_of(name));
    if let Some(default) = defaults.find(|default| folders::is_there(default)) {
        return Ok(default);
    }
    // What was imported before the account was known is its own, or of no account yet.
    if let Some(unclaimed) =
        folders.of_nobody().filter(|path| folders::is_there(path) && may_serve(path, wanted.account))
    {
        say(&format!("journal: {}", unclaimed.display()));
        return Ok(unclaimed);
    }
    let default = folders.default_of(account);
    let known = notes.of(wanted.account);
    if let (Use::Read | Use::Look, [only]) = (wanted.to, &known[..])
        && only.is_there()
    {
        return Ok(said(only, say));
    }
    // What was given as its name says which account is meant, whatever login and host.
    let of_name: Vec<&Note> =
        known.iter().filter(|note| note.accounts.iter().any(|own| own == account)).copied().collect();
    if let ([only], true) = (&of_name[..], wanted.given)
        && only.is_there()
    {
        return Ok(said(only, say));
    }
    if known.is_empty() && matches!(wanted.to, Use::Make | Use::Change) {
        say_namesakes(account, notes, say);
    }
    if !known.is_empty() && wanted.to != Use::Look {
        return Err(CliError::Usage(format!(
            "the account {account} has a journal already, and no second one is made for it: {}. Name it: --journal {}{}",
            named(&known),
            argument(&known[0].path.to_string_lossy()),
            match (&default, wanted.to) {
                (Some(default), Use::Make) =>
                    format!("; to begin anew without what it knows: --journal {}", argument(&default.to_string_lossy())),
                _ => String::new(),
            }
        )));
    }
    default_or_none(default, wanted, folders, notes, say)
}

/// Journals of the same system_id at other hosts: a host that has another name now is not another account.
fn say_namesakes(account: &str, notes: &Notes, say: &mut dyn FnMut(&str)) {
    let system_id = |name: &str| name.rsplit_once(" at ").map(|(system_id, _)| system_id.to_owned());
    let Some(own) = system_id(account) else { return };
    let is_namesake =
        |note: &&Note| note.is_there() && note.accounts.iter().any(|name| system_id(name).as_ref() == Some(&own));
    for note in notes.all().iter().filter(is_namesake).take(NAMED_MAX) {
        let name = note.accounts.first().map_or("", String::as_str);
        say(&format!(
            "the account {} has the journal {}: if it is {account}, too, whose host has another name or place now, go on with \
             --journal {} --same-account",
            escape_terminal(name),
            note.path.display(),
            argument(&note.path.to_string_lossy())
        ));
    }
}

/// A default journal, with its folder where it is to be made.
fn default_or_none(
    default: Option<PathBuf>,
    wanted: Wanted<'_>,
    folders: &Folders,
    notes: &Notes,
    say: &mut dyn FnMut(&str),
) -> Result<PathBuf, CliError> {
    match default {
        Some(default) if wanted.to == Use::Make => {
            folders.make_for(&default).map_err(|error| {
                CliError::Words(format!(
                    "the folder of {} cannot be made: {error}; name a journal with --journal",
                    default.display()
                ))
            })?;
            found(default, wanted, notes, say)
        }
        Some(default) => Ok(default),
        None if wanted.to == Use::Look => Ok(folders.here.join(HERE)),
        None => Err(CliError::Usage(
            "there is no home folder (HOME is not set), and so no place for a journal: name one with --journal".into(),
        )),
    }
}

/// Whether the journal is of this account, or of none yet. One that cannot be read says so when it is used.
fn may_serve(path: &Path, account: &[String]) -> bool {
    let recorded = journal::open_untouched(path).and_then(|opened| journal::store::account::names(&opened));
    recorded.map_or(true, |names| names.is_empty() || names.iter().any(|name| account.contains(name)))
}

/// The only one there is, where no account is known.
fn of_nobody(
    wanted: Wanted<'_>,
    folders: &Folders,
    notes: &Notes,
    say: &mut dyn FnMut(&str),
) -> Result<PathBuf, CliError> {
    let known: Vec<&Note> = notes.all().iter().filter(|note| note.is_there()).collect();
    match &known[..] {
        [only] => Ok(said(only, say)),
        [] => default_or_none(folders.of_nobody(), wanted, folders, notes, say),
        _ if wanted.to == Use::Look => Ok(folders.here.join(HERE)),
        several => Err(CliError::Usage(format!(
            "which journal? There are {}: name one with --journal, or its account (--account, --profile, or SMPPOST_HOST and \
             SMPPOST_SYSTEM_ID)",
            named(several)
        ))),
    }
}

fn said(note: &Note, say: &mut dyn FnMut(&str)) -> PathBuf {
    say(&format!("journal: {}", note.path.display()));
    note.path.clone()
}

fn named(notes: &[&Note]) -> String {
    let names = notes.iter().take(NAMED_MAX).map(|note| {
        let gone = if note.is_there() { "" } else { ", which is not there any more" };
        format!("{} ({}{gone})", note.path.display(), note.accounts.first().map_or("no account yet", String::as_str))
    });
    let more = if notes.len() > NAMED_MAX { ", …" } else { "" };
    names.collect::<Vec<_>>().join(", ") + more
}

/// Words for whoever runs the command.
pub fn say(words: &str) {
    crate::platform::screen::say(words);
}
