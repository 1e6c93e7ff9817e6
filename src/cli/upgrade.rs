//! `upgrade`: a journal of an older program brought up to date. Commands that write to a journal do it by themselves.

use super::{CliError, exit};
use crate::journal::JournalError;
use crate::journal::migrate::{self, Upgraded};
use crate::journal::model::VERSION;
use crate::words::trouble::shown;
use clap::Args;
use std::path::Path;

/// `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Write no copy of the journal beside it before, where the disk has no room for one
    #[arg(long)]
    no_backup: bool,
}

impl UpgradeArgs {
    /// Runs the command.
    pub fn run(&self, journal: &Path) -> Result<u8, CliError> {
        if !journal.exists() {
            return Err(JournalError::Missing(journal.into()).into());
        }
        if !upgrade(journal, !self.no_backup)? {
            // What is no journal, or a newer one, says so.
            drop(crate::journal::open_read_only(journal)?);
            say(&format!("journal {} is up to date (version {VERSION})", shown(journal)));
        }
        Ok(exit::OK)
    }
}

/// Brings the journal up to date and says so; false: there was nothing to do.
pub fn upgrade(journal: &Path, with_backup: bool) -> Result<bool, CliError> {
    let name = shown(journal);
    let mut begin =
        |from| say(&format!("journal {name} was made by an older smppost: upgrading it, version {from} to {VERSION}"));
    let upgraded = migrate::upgrade(journal, with_backup, &mut begin).map_err(|error| match error {
        JournalError::Held(held) if held.is_service => CliError::Words(format!(
            "the service that holds the journal ({}) was started with an older program: restart it with this one, which \
             brings the journal up to date",
            held.by.as_deref().unwrap_or("smppost run")
        )),
        error => error.into(),
    })?;
    let Some(upgraded) = upgraded else { return Ok(false) };
    let Upgraded { backup, .. } = upgraded;
    say(&match backup {
        Some(backup) => format!("journal {name} is upgraded; as it was before: {}", shown(&backup)),
        None => format!("journal {name} is upgraded"),
    });
    Ok(true)
}

fn say(words: &str) {
    crate::platform::screen::say(words);
}
