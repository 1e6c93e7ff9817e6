//! `backup`: the journal as it is at this moment, in a file of its own, also while a sender is at work.

use super::{CliError, exit};
use crate::journal::backup;
use crate::words::format::{argument, count, number};
use crate::words::trouble::shown;
use clap::Args;
use std::path::{Path, PathBuf};

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to write it: a file that is not there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// Replace an earlier backup of this journal; nothing else is replaced
    #[arg(long)]
    replace: bool,
}

impl BackupArgs {
    /// Runs the command.
    pub fn run(&self, journal: &Path) -> Result<u8, CliError> {
        let backup = backup::backup(journal, &self.to, self.replace)?;
        let campaigns = count(backup.campaigns, "campaign");
        let octets = number(i64::try_from(backup.octets).unwrap_or(i64::MAX));
        say(&format!("backup {}: {octets} octets, {campaigns}", shown(&self.to)));
        let option = format!(" --journal {}", argument(&self.to.to_string_lossy()));
        let problems = backup.report.problems();
        if problems > 0 {
            // The journal has them, too: a copy is better than none.
            say(&format!(
                "warning: it contradicts itself in {}, as the journal does: `smppost verify{option}` shows where",
                count(problems, "point")
            ));
            return Ok(exit::INCOMPLETE);
        }
        say(
            "it agrees with itself; every command reads it, and none sends from it, unless `--adopt` says that the journal is gone",
        );
        Ok(exit::OK)
    }
}

fn say(words: &str) {
    crate::platform::screen::say(words);
}
