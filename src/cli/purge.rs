//! `purge`: what came to its end long ago is deleted, or loses its numbers and texts.

use super::{CliError, ask, exit};
use crate::journal::files::lock::{ImportLock, SenderLock, sender};
use crate::journal::forgetting::scour::{Scoured, scour};
use crate::journal::forgetting::{Plan, Purged, Wish, plan, purge};
use crate::journal::writer::recover_only;
use crate::journal::{self, Journal, JournalError, now_ms};
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::{count, moment, number};
use crate::words::stamp::Stamp;
use crate::words::trouble::shown;
use crate::words::typed::age;
use clap::Args;
use std::path::Path;
use std::time::Duration;

/// Campaigns that are named of those that stay.
const NAMED_MAX: usize = 10;

/// `purge`.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Only what came to its end so long ago: 90d, 12w, 36h
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Duration,
    /// Only this campaign [default: all, and what belongs to none]
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Keep messages and what became of them, but replace numbers by a keyed hash, and delete texts
    #[arg(long)]
    pseudonymise: bool,
    /// Also campaigns of which not every receipt came; one that comes later matches nothing
    #[arg(long)]
    without_receipts: bool,
    /// Say what would go, and leave it
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask first (asked only on a terminal)
    #[arg(long)]
    yes: bool,
    /// Do not write the file anew at the end: its room is used for what comes, and not given back
    #[arg(long)]
    no_rewrite: bool,
}

/// Runs the command.
pub fn run(args: &PurgeArgs, journal: &Path) -> Result<u8, CliError> {
    let display = Display::new();
    let age = i64::try_from(args.older_than.as_millis()).unwrap_or(i64::MAX);
    let mut wish = Wish {
        up_to: now_ms().saturating_sub(age),
        campaign: args.campaign.as_deref(),
        pseudonymise: args.pseudonymise,
        without_receipts: args.without_receipts,
        is_alone: false,
    };
    if args.dry_run {
        wish.is_alone = sender(journal).is_none();
        say_plan(&display, &plan(&journal::open_read_only(journal)?, journal, &wish)?, &wish);
        display.say("nothing was deleted (--dry-run)");
        return Ok(exit::OK);
    }
    let own = own(journal)?;
    wish.is_alone = own.lock.is_some();
    let planned = plan(&own.journal, journal, &wish)?;
    say_plan(&display, &planned, &wish);
    if planned.is_empty() {
        return Ok(exit::OK);
    }
    if !args.yes && ask::on_terminal() && !ask::yes("Delete? It cannot be undone.", false) {
        display.say("nothing was deleted");
        return Ok(exit::INTERRUPTED);
    }
    let purged = purge(&own.journal, journal, &wish, &planned)?;
    say_purged(&display, &purged, &wish);
    say_untouched(&display, &planned.files);
    finish(&own, journal, args.no_rewrite, &display)
}

/// The journal, to delete from.
pub(super) struct Own {
    /// No sender is at work.
    pub(super) lock: Option<SenderLock>,
    _import: ImportLock,
    pub(super) journal: Journal,
}

/// Opens the journal. Where no sender is at work, what the last one left is put in order first.
pub(super) fn own(path: &Path) -> Result<Own, CliError> {
    let opened = journal::open_existing(path)?;
    match SenderLock::take(path) {
        Ok(lock) => {
            let import = ImportLock::take(path)?;
            drop(opened);
            let mut started = recover_only(&lock, path)?;
            started.own.apply_decisions()?;
            started.own.judge_what_is_left()?;
            Ok(Own { lock: Some(lock), _import: import, journal: started.own.journal })
        }
        Err(JournalError::Held(_)) => Ok(Own { lock: None, _import: ImportLock::take(path)?, journal: opened }),
        Err(error) => Err(error.into()),
    }
}

fn say_plan(display: &Display, plan: &Plan, wish: &Wish<'_>) {
    let till = moment(Stamp(wish.up_to));
    let verb = if wish.pseudonymise { "made pseudonymous" } else { "deleted" };
    if plan.is_empty() {
        display.say(&format!("nothing that ended by {till} is to be {verb}"));
    } else {
        display.say(&format!("what ended by {till} is to be {verb}:"));
    }
    for due in &plan.due {
        let again = if due.is_left_over { " (the rest of a purge before)" } else { "" };
        display.say(&format!(
            "  campaign {}: {}{again}",
            escape_terminal(&due.summary.campaign),
            count(due.summary.messages, "message")
        ));
    }
    for (n, what) in [
        (plan.unmatched, "receipt that belongs to no message"),
        (plan.inbound, "part of messages from handsets"),
        (plan.events, "event of the suppression list"),
    ] {
        if n > 0 {
            display.say(&format!("  {}", counted(n, what)));
        }
    }
    for backup in &plan.backups {
        display.say(&format!("  {}, which an upgrade left", shown(backup)));
    }
    for (_, name) in &plan.closing {
        display.say(&format!(
            "  campaign {} gathers messages: those that come later go to another one, so that it can be purged in its time",
            escape_terminal(name)
        ));
    }
    for (name, why) in plan.stay.iter().take(NAMED_MAX) {
        display.must_say(&format!("campaign {} stays: {why}", escape_terminal(name)));
    }
    if plan.stay.len() > NAMED_MAX {
        display.must_say(&format!("and {} more", count((plan.stay.len() - NAMED_MAX) as i64, "campaign")));
    }
    if wish.campaign.is_some() && plan.younger > 0 {
        display.must_say(&format!("the campaign stays: something happened to it after {till}"));
    }
}

/// A number and what it counts, whose plural is that of its first word.
fn counted(n: i64, what: &str) -> String {
    let (first, rest) = what.split_once(' ').unwrap_or((what, ""));
    let rest = if n == 1 { rest.to_owned() } else { rest.replace("that belongs", "that belong") };
    format!("{} {rest}", count(n, first))
}

fn say_purged(display: &Display, purged: &Purged, wish: &Wish<'_>) {
    let verb = if wish.pseudonymise { "made pseudonymous" } else { "deleted" };
    let mut words = vec![count(purged.campaigns, "campaign"), count(purged.messages, "message")];
    for (n, what) in [
        (purged.unmatched, "receipt"),
        (purged.inbound, "inbound part"),
        (purged.events, "event"),
        (purged.backups, "backup"),
    ] {
        if n > 0 {
            words.push(count(n, what));
        }
    }
    display.say(&format!("{verb}: {}; totals and reports stay", words.join(", ")));
}

/// What belongs to the user is left to the user.
pub(super) fn say_untouched(display: &Display, files: &[String]) {
    let files = match files {
        [] => "the files that campaigns were made of".to_owned(),
        files => files.iter().take(NAMED_MAX).map(|file| escape_terminal(file)).collect::<Vec<_>>().join(", "),
    };
    display.say(&format!(
        "not touched: {files}, and what else you made: records (--record), logs, reports, copies by `smppost backup`"
    ));
}

/// Leaves nothing of it in the files, and says how they stand.
pub(super) fn finish(own: &Own, path: &Path, no_rewrite: bool, display: &Display) -> Result<u8, CliError> {
    let is_alone = own.lock.is_some();
    let scoured = scour(&own.journal, path, is_alone && !no_rewrite)?;
    let Scoured { given_back, free_inside, is_kept_alive, is_rewritten, room_needed } = scoured;
    let mb = |octets: u64| number(i64::try_from(octets.div_ceil(1_000_000)).unwrap_or(i64::MAX));
    if is_rewritten {
        display.say(&format!("the journal was written anew: {} MB given back", mb(given_back)));
    } else if let Some(needed) = room_needed {
        display.must_say(&format!(
            "the journal was not written anew, for which {} MB have to be free: what was deleted is overwritten, and {} MB \
             in the file are free for what comes",
            mb(needed),
            mb(free_inside)
        ));
    } else {
        let why = if is_alone { "" } else { "a sender is at work: " };
        display.say(&format!(
            "{why}what was deleted is overwritten, and {} MB in the file are free for what comes; a purge while no sender \
             runs gives them back",
            mb(free_inside)
        ));
    }
    if !is_kept_alive {
        return Ok(exit::OK);
    }
    display.must_say(
        "warning: another process reads an older state of the journal and keeps it alive in its -wal: what was deleted can be \
         read there until that one has ended. End it, and run the same command again",
    );
    Ok(exit::INCOMPLETE)
}
