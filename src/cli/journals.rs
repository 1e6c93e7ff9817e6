//! `journals`: those that this user is known to have.

use super::{CliError, exit};
use crate::journal::store::known::Notes;
use crate::words::escape::escape_terminal;
use clap::Args;
use std::io::Write;

/// `journals`.
#[derive(Debug, Args)]
pub struct JournalsArgs {
    /// Forget the journal with this ID: it is not used any more. The file itself stays as it is
    #[arg(long, value_name = "ID")]
    forget: Option<String>,
}

impl JournalsArgs {
    /// Runs the command.
    pub fn run(&self, notes: &Notes, out: &mut dyn Write) -> Result<u8, CliError> {
        if let Some(id) = &self.forget {
            if !notes.forget(id)? {
                return Err(CliError::Words(format!(
                    "no journal is known by the ID {id:?}: `smppost journals` lists them"
                )));
            }
            return Ok(exit::OK);
        }
        for note in notes.all() {
            let account = note.accounts.first().map_or("-", String::as_str);
            let is_there = if note.is_there() { "" } else { "\tgone" };
            let path = note.path.to_string_lossy();
            writeln!(out, "{}\t{}\t{}{is_there}", note.id, escape_terminal(account), escape_terminal(&path))?;
        }
        Ok(exit::OK)
    }
}
