//! Where a file goes when it was taken: `done/`, `failed/` or `again/`, with what is to be said of it.

use super::claim::{self, Claim, Note};
use super::folder::{Folder, rename, sync, write};
use super::take::{Repeated, Taken};
use crate::cli::CliError;
use crate::cli::report::{ReportArgs, ReportFormat};
use crate::import::campaign::{self, CampaignFile};
use crate::journal;
use crate::journal::query::{self, Looked};
use crate::journal::store::intake::existing;
use crate::platform::failpoint::reach;
use crate::report::ReportError;
use crate::run::watch::judge::Stamp;
use crate::run::watch::names::beside;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, count, journal_option, path_argument};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Rows that are listed with their reasons: of more only the number is said.
const ROWS_MAX: u64 = 10_000;
/// A campaign of which nothing was heard for so long has ended, whatever receipts are still outstanding.
const ENDED_AFTER_MS: i64 = 24 * 3_600_000;

/// Moves a file that is a campaign to `done/`, with the rows that were refused beside it. Returns what is to be said.
pub fn done(folder: &Folder, claim: &Claim, taken: &Taken, journal: &Path) -> Result<(String, Note), ReportError> {
    let mut note = claim.note().ok_or_else(|| io::Error::other("its note is gone"))?;
    let name = folder.free("done", &claim.name)?;
    note.done = Some(name.as_os_str().into());
    note.stamp = fs::symlink_metadata(claim.file()).ok().map(|meta| Stamp::of(&meta));
    claim.set_note(&note)?;
    let mut words = format!(
        "{}: campaign {}, {}",
        escape_terminal(&claim.name.to_string_lossy()),
        argument(&taken.campaign),
        count(taken.messages, "message")
    );
    if taken.refused > 0 {
        let list = folder.join("done").join(beside(&name, ".error.txt"));
        let opened = journal::open_read_only(journal)?;
        write(&list, note.mode, |out| -> Result<(), ReportError> {
            writeln!(out, "{} refused; the others are campaign {}", count(taken.refused, "row"), taken.campaign)?;
            query::skipped_rows(&opened, &taken.campaign, false, |row| -> Result<(), ReportError> {
                Ok(writeln!(out, "line {}: {}", row.line, row.reason)?)
            })
        })?;
        words += &format!(", {} refused: {}", count(taken.refused, "row"), crate::words::trouble::shown(&list));
    }
    match &taken.kept {
        None => words += ", released",
        Some(why) => {
            let resume = command("smppost resume", &taken.campaign, &journal_option(journal));
            words += &format!("; {why}: `{resume}` sends it");
        }
    }
    reach("watch-doing").map_err(io::Error::from)?;
    rename(&claim.file(), &folder.join("done").join(&name))?;
    sync(&folder.join("done"))?;
    reach("watch-done").map_err(io::Error::from)?;
    Ok((words, note))
}

/// Moves a file that is no campaign to `failed/`, and says why beside it.
pub fn failed(folder: &Folder, claim: &Claim, why: &CliError, file: Option<&CampaignFile>) -> io::Result<String> {
    let words = plain(claim, why);
    let name = aside(folder, claim, "failed", |out| {
        writeln!(out, "{words}")?;
        if let Some(file) = file {
            let (mut listed, mut more) = (0, 0);
            // What cannot be read now was said above as far as it is known.
            let _ = campaign::refused_rows(file, |line, reason| {
                match listed < ROWS_MAX {
                    true => writeln!(out, "line {line}: {reason}")?,
                    false => more += 1,
                }
                listed += 1;
                Ok(())
            });
            if more > 0 {
                writeln!(out, "and {} more", count(more, "row"))?;
            }
        }
        writeln!(
            out,
            "\nNothing was imported. Put the corrected file into the folder again. Options that are named here are keys in \
             smppost-watch.toml (--numbers any is numbers = \"any\")."
        )
    })?;
    Ok(format!("{}: failed, see {}", first_line(&words), crate::words::trouble::shown(&name)))
}

/// Moves a file that is the same again to `again/`, and says beside it how it goes all the same.
pub fn again(
    folder: &Folder,
    claim: &Claim,
    repeated: &Repeated,
    (journal, profile_option): (&Path, &str),
) -> io::Result<String> {
    let Repeated { why, campaign, settings } = repeated;
    // What leads on from here is said with all its options below.
    let words = plain(claim, why);
    let words = words.split_once(". Nothing was imported").map_or(words.as_str(), |(words, _)| words);
    let place = folder.join("again").join(folder.free("again", &claim.name)?);
    // Whoever reads it has another environment.
    let option = format!(" --journal={}", path_argument(&std::path::absolute(journal)?));
    let mut import = vec![
        "smppost import".to_owned(),
        path_argument(&place),
        format!("--campaign={}", argument(campaign)),
        "--allow-same-file".into(),
    ];
    import.extend(settings.typed());
    let go =
        format!("{}{profile_option}{option} && {}", import.join(" "), command("smppost resume", campaign, &option));
    aside(folder, claim, "again", |out| {
        writeln!(out, "{words}\n\nNothing was imported. If all of it is to go again:\n{go}")
    })?;
    Ok(format!("{}. It was set aside; if it is to go again: `{go}`", first_line(words)))
}

/// Moves a file there, with words beside it. Returns where these are.
fn aside(
    folder: &Folder,
    claim: &Claim,
    to: &str,
    words: impl FnOnce(&mut io::BufWriter<fs::File>) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let name = folder.free(to, &claim.name)?;
    let list = folder.join(to).join(beside(&name, ".error.txt"));
    write(&list, claim.mode(), words)?;
    reach("watch-failing")?;
    let sidecar = claim.sidecar();
    claim.give_up()?;
    rename(&claim.file(), &folder.join(to).join(&name))?;
    if let Some(sidecar) = sidecar {
        // As it came: whoever corrects the file may want it again.
        fs::rename(sidecar, folder.join(to).join(beside(&name, ".toml")))?;
    }
    sync(&folder.join(to))?;
    reach("watch-failed")?;
    claim::remove(&claim.folder)?;
    Ok(list)
}

/// Words about a file as whoever put it there knows it.
fn plain(claim: &Claim, why: &CliError) -> String {
    let words = why.to_string();
    let own = crate::words::trouble::shown(&claim.folder);
    words.replace(&format!("{own}/.beside/"), "").replace(&format!("{own}/"), "")
}

fn first_line(words: &str) -> &str {
    words.lines().next().unwrap_or_default().trim_end_matches('.')
}

/// Writes the result of a campaign that has ended; false: it has not.
pub fn result(folder: &Folder, own: &Path, note: &Note, journal: &Path) -> Result<bool, ReportError> {
    let opened = journal::open_read_only(journal)?;
    if existing(&opened, &note.campaign)?.is_none() {
        // The folder was watched with another journal, or the campaign is purged: it has no end here.
        claim::remove(own)?;
        return Ok(true);
    }
    let looks = Looked::of(&opened, std::slice::from_ref(&note.campaign), None)?.look(&opened)?;
    let Some((_, look)) = looks.first() else { return Ok(false) };
    let last = query::campaign(&opened, &note.campaign)?.last_sent_at.map_or(0, |stamp| stamp.0);
    let is_silent = look.awaiting + look.doubts == 0 || journal::now_ms() - last > ENDED_AFTER_MS;
    if look.left > 0 || !is_silent {
        return Ok(false);
    }
    if let Some(name) = &note.done {
        let name = beside(&name.get(), ".result.csv");
        let args =
            ReportArgs { campaign: Some(note.campaign.clone()), format: ReportFormat::Csv, ..ReportArgs::default() };
        write(&folder.join("done").join(name), note.mode, |out| args.run(journal, out).map(|_| ()))?;
        sync(&folder.join("done"))?;
        reach("watch-result").map_err(io::Error::from)?;
    }
    claim::remove(own)?;
    Ok(true)
}

/// What is to be said of a file that was changed after it was imported: whoever wrote it had not ended.
pub fn changed(folder: &Folder, note: &Note, journal: &Path) -> Option<String> {
    let path = folder.join("done").join(note.done.as_ref()?.get());
    let now = fs::symlink_metadata(&path).ok().map(|meta| Stamp::of(&meta))?;
    let (stamp, option) = (note.stamp?, journal_option(journal));
    (stamp.file() == now.file() && stamp != now).then(|| {
        format!(
            "{}: it was changed after it was imported, so that campaign {} may be a part of it: `{}` ends that, and the whole file \
             can be put in again",
            crate::words::trouble::shown(&path),
            argument(&note.campaign),
            command("smppost cancel", &note.campaign, &option)
        )
    })
}

/// The name of a file, to be shown.
pub fn shown(name: &OsStr) -> String {
    escape_terminal(&name.to_string_lossy()).into_owned()
}
