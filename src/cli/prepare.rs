//! What is judged before a campaign's first row is stored, so that a run that cannot send leaves nothing behind.

use super::CliError;
use crate::journal::store::account::{Identity, judge_account};
use crate::journal::{self, JournalError};
use crate::report::progress::Display;
use crate::words::trouble::shown;
use std::path::{Path, PathBuf};

/// How the name of a journal ends that is for rehearsals.
const REHEARSED: &str = "-simulated";

/// Where a rehearsal goes that was to use `named`: that file, unless it is a journal of real messages. Then one beside it.
pub fn rehearsal_journal(named: &Path) -> Result<PathBuf, CliError> {
    let stem = named.file_stem().unwrap_or_default().to_string_lossy();
    let is_real = match journal::open_untouched(named) {
        // One that says in its name that it is for rehearsals, and was never sent from, is.
        Ok(opened) => journal::is_real(&opened)?.unwrap_or_else(|| !stem.ends_with(REHEARSED)),
        Err(JournalError::Missing(_)) => false,
        // An empty file becomes a journal; what else it is, is said when it is opened.
        Err(_) => false,
    };
    if !is_real {
        return Ok(named.to_owned());
    }
    let ending = named.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    let own = named.with_file_name(format!("{stem}{REHEARSED}{ending}"));
    Display::new().say(&format!(
        "{} is a journal of real messages, which a rehearsal leaves alone: it uses {}",
        shown(named),
        shown(&own)
    ));
    Ok(own)
}

/// Refuses a journal that is another account's, or of the other kind (real, rehearsed), or older than what was sent.
pub fn judge(journal: &Path, account: &Identity) -> Result<(), CliError> {
    let opened = match journal::open_existing(journal) {
        Ok(opened) => opened,
        Err(JournalError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    judge_account(&opened, journal, account)?;
    Ok(journal::writer::recovery::judge_marks(&opened, journal)?)
}
