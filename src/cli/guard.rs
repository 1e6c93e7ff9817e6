//! What stands between a journal and a run that would send from it: is it the one that it was, and what do the other journals
//! of the account say of numbers that are never sent to.

use super::CliError;
use super::connection::{CONNECTION, SAME_ACCOUNT};
use super::place::say;
use crate::journal::files::lock::{ImportLock, SenderLock};
use crate::journal::store::identity;
use crate::journal::store::identity::{FileMark, Strange};
use crate::journal::store::known;
use crate::journal::store::known::Notes;
use crate::journal::store::suppression;
use crate::journal::writer::adopt;
use crate::journal::writer::adopt::Queued;
use crate::journal::{self, Journal, JournalError, Looked};
use crate::words::format::{argument, count, journal_option};
use clap::Args;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// About a journal that is not the file that it was.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "A copied or restored journal")]
pub struct AdoptArgs {
    /// Send from a journal that is a copy or an older state, since the original is not used any more; the refusal prints the ID
    #[arg(long, value_name = "ID")]
    adopt: Option<String>,
    /// With --adopt: the original has sent nothing since, so that what is queued is not in doubt
    #[arg(long, requires = "adopt")]
    nothing_sent_since: bool,
    #[arg(long, help = SAME_ACCOUNT, help_heading = CONNECTION)]
    pub same_account: bool,
}

/// All that stands before a run that would send from a journal, which was just looked at.
pub fn judge(
    found: Looked<Journal>,
    journal: &Path,
    notes: &Notes,
    args: &AdoptArgs,
    account: &[String],
) -> Result<(), CliError> {
    let mut now = current(found);
    if let Some(opened) = &now
        && before_sending(opened, journal, notes, args)?
    {
        // What was adopted is another state than the one that was looked at.
        now = current(journal::look(journal)?);
    }
    bring_suppressed(now, journal, notes, account)
}

fn current(found: Looked<Journal>) -> Option<Journal> {
    match found {
        Looked::Current(opened) => Some(opened),
        Looked::Nothing | Looked::Older => None,
    }
}

/// Refuses a journal that is a copy or an older state, or makes it the one that is sent from where that was typed: then true.
/// Nothing else is written.
fn before_sending(opened: &Journal, journal: &Path, notes: &Notes, args: &AdoptArgs) -> Result<bool, CliError> {
    // One with several names is refused when it is opened, or is held: what is newest may stand beside another name.
    if std::fs::metadata(journal).map_or(0, |meta| meta.nlink()) != 1 {
        return Ok(false);
    }
    let file = FileMark::of(journal)?;
    let noted = identity::id_so_far(opened)?.and_then(|id| notes.find(&id));
    let Some(strange) = identity::standing(opened, file, noted)? else {
        if let Some(code) = args.adopt.as_deref()
            && !adopt::was_adopted(opened, code)?
        {
            say(&format!("--adopt {code}: {} is the journal that it was; nothing was changed", journal.display()));
        }
        return Ok(false);
    };
    if strange == Strange::Older {
        // A damaged counter looks like an older state, and is to be reported as what it is.
        journal::verify::check_whole(opened, journal)?;
    }
    let code = identity::code(opened, file, noted)?;
    let original = noted.map(|noted| noted.path.as_path()).filter(|original| !is_same(original, journal));
    if args.adopt.as_deref() != Some(&code) {
        return Err(refusal(journal, strange, original, &code));
    }
    let _sender = SenderLock::take(journal)?;
    let _import = ImportLock::take(journal)?;
    let opened = journal::open_existing(journal)?;
    if identity::standing(&opened, file, noted)?.is_none() {
        return Ok(true);
    }
    let queued = match args.nothing_sent_since {
        true => Queued::NothingSent,
        false if identity::is_last_state(&opened, noted)? => Queued::LastState,
        false => Queued::InDoubt,
    };
    let doubts = adopt::adopt(opened, journal, &code, file, queued, noted)?;
    say(&format!(
        "{} is the journal from now on: {}",
        journal.display(),
        match (queued, doubts) {
            (Queued::NothingSent, _) => "what is queued in it was not sent since, as you say".to_owned(),
            (Queued::LastState, _) => "it is its last state, and what is queued in it was not sent since".to_owned(),
            (Queued::InDoubt, 0) => "nothing was queued in it".to_owned(),
            (Queued::InDoubt, doubts) => format!(
                "{} that were queued are in doubt, since the original may have sent them; `smppost resolve CAMPAIGN \
                 --resend{}` sends them",
                count(doubts, "message"),
                journal_option(journal)
            ),
        }
    ));
    Ok(true)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    resolved(one) == resolved(other)
}

fn refusal(journal: &Path, strange: Strange, original: Option<&Path>, code: &str) -> CliError {
    let shown = journal.display();
    let seen = original.map_or_else(String::new, |original| format!(" ({} when it was seen last)", original.display()));
    let what = match strange {
        Strange::Copy => format!(
            "journal {shown} is a copy: it is not the file that it was made as{seen}. If both were sent from, everybody would \
             get everything twice"
        ),
        Strange::Older => format!(
            "journal {shown} is older than it was{seen}: its {}-wal was removed, or a backup was put in its place, and what \
             was sent since is not in it. If it were sent from, that would be sent again. Put what was in use back, if it is \
             there still",
            journal.file_name().unwrap_or_default().to_string_lossy()
        ),
    };
    CliError::Words(format!(
        "{what}. Nothing was sent. If this is to be the journal from now on, and no other is sent from, add `--adopt {code}` \
         to the same command: what is queued in it is then in doubt, unless `--nothing-sent-since` besides says that nothing \
         was sent since it was copied"
    ))
}

/// Numbers that are suppressed in another journal of the account are suppressed in this one. Until then, it is as it was read.
fn bring_suppressed(
    mut now: Option<Journal>,
    journal: &Path,
    notes: &Notes,
    account: &[String],
) -> Result<(), CliError> {
    let Some(name) = account.first() else { return Ok(()) };
    let own = match &now {
        Some(opened) => identity::id_so_far(opened)?,
        None => None,
    };
    let mut gone = Vec::new();
    for note in notes.of(account) {
        if own.as_ref() == Some(&note.id) || is_same(&note.path, journal) {
            continue;
        }
        if !note.is_there() {
            gone.push(note);
            continue;
        }
        let unread = |error: JournalError| {
            CliError::Words(format!(
                "the account {name} has another journal, and numbers that are suppressed there are not known: {error}. \
                 Nothing was sent. Make it readable, or, if it is not used any more: `smppost journals --forget {}`",
                note.id
            ))
        };
        let other = journal::open_untouched(&note.path).map_err(unread)?;
        let from = note.path.to_string_lossy();
        // No journal is made for nothing, and none is written to.
        let brings = match &now {
            Some(opened) => suppression::differs(opened, &other, &from)?,
            None => suppression::own_numbers(&other).map_err(unread)? > 0,
        };
        if !brings {
            continue;
        }
        // What is read of it from now on is what it is then.
        drop(now.take());
        let opened = now.insert(journal::open_or_create(journal)?);
        let brought = suppression::bring_over(opened, &other, &from).map_err(|error| error.at(journal))?;
        if brought > 0 {
            let numbers = count(brought as i64, "number");
            say(&format!(
                "{numbers} suppressed in {from} {} suppressed here, too",
                if brought == 1 { "is" } else { "are" }
            ));
        }
    }
    if let [first, ..] = &gone[..] {
        say(&format!(
            "warning: {} of the account {name} {} not where it was ({}): numbers suppressed only there are not known here. If \
             it is not used any more: `smppost journals --forget {}`",
            count(gone.len() as i64, "other journal"),
            if gone.len() == 1 { "is" } else { "are" },
            argument(&first.path.to_string_lossy()),
            first.id
        ));
    }
    Ok(())
}

/// Removes a journal that was made for a run which came to nothing: what it has from other journals is there still.
pub fn leave_nothing(journal: &Path) {
    if !journal.is_file() {
        return;
    }
    // Whoever else has found it meanwhile keeps it.
    let Ok(sender) = SenderLock::take(journal) else { return };
    let Ok(import) = ImportLock::take(journal) else { return };
    let is_used = journal::open_untouched(journal).and_then(|opened| journal::store::notes::is_used(&opened));
    if matches!(is_used, Ok(false) | Err(JournalError::Missing(_))) {
        for suffix in ["", "-wal", "-shm", "-lock", "-import-lock"] {
            let _ = std::fs::remove_file(journal::beside(journal, suffix));
        }
    }
    drop((sender, import));
}

/// Notes that a command changed the journal, so that an older state of it is recognised from then on.
pub fn after(journal: &Path, notes: &Notes, account: &[String]) {
    let record = || -> Result<(), JournalError> {
        if !journal.is_file() {
            return Ok(());
        }
        let opened = journal::open_existing(journal)?;
        known::record(&opened, journal, notes, account, None)
    };
    if let Err(error) = record() {
        log::debug!("the journal is not noted: {}", error.at(journal));
    }
}
