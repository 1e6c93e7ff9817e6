//! `run`: the service. It holds the journal and the account's connections, collects what comes, and sends what is released.

use super::connection::{ConnectionArgs, InboundArgs};
use super::guard::AdoptArgs;
use super::hours::HoursArgs;
use super::listen::collecting;
use super::reload::Source;
use super::sessions::SessionArgs;
use super::watch::Watch;
use super::{Cli, CliError, exit};
use crate::client::Account;
use crate::journal::files::lock::SenderLock;
use crate::journal::store::release::Released;
use crate::journal::{self, JournalError};
use crate::policy::hours::Hours;
use crate::report::progress::Display;
use crate::run::pipeline;
use crate::run::pipeline::{Ended, Progress, SendSettings};
use crate::words::format::{argument, command, count, journal_option};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A lock that a service which ends still holds is waited for so long.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_LOOK: Duration = Duration::from_millis(50);
/// Campaigns that are listed at the start.
const LISTED_MAX: usize = 20;

/// `run`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Make the journal where the file that was named is not there
    #[arg(long)]
    pub create: bool,
    /// Make campaigns of the files that are put into this folder, as its smppost-watch.toml says; renamed into it they are taken
    /// at once, others when they have stood still. What is imported so is released only where that file says so
    #[arg(long, value_name = "DIR")]
    watch: Option<PathBuf>,
    #[command(flatten)]
    pub sessions: SessionArgs,
    #[command(flatten)]
    inbound: InboundArgs,
    #[command(flatten)]
    hours: HoursArgs,
    #[command(flatten)]
    pub adopt: AdoptArgs,
}

impl ServeArgs {
    /// How the account is reached.
    pub fn connection_mut(&mut self) -> &mut ConnectionArgs {
        &mut self.sessions.connection
    }

    /// Refuses to make a journal where one was named that is not there: on a volume that is not mounted it would know nothing of
    /// what was sent, and of who must not get anything.
    pub fn refuse_missing(&self, named: Option<&Path>, journal: &Path) -> Result<(), CliError> {
        if named.is_none() || self.create || journal.exists() {
            return Ok(());
        }
        Err(CliError::Usage(format!(
            "there is no journal {}: if it is to be made there, add --create; if it should be there, see whether its volume is \
             mounted",
            journal.display()
        )))
    }
}

impl ServeArgs {
    /// When anything may be sent.
    pub fn open_hours(&self) -> Result<Hours, CliError> {
        let hours = self.hours.hours()?;
        if hours.start_at.is_some() || hours.stop_at.is_some() {
            return Err(CliError::Usage(
                "--start-at and --stop-at are a campaign's: a service has no end of its own".into(),
            ));
        }
        Ok(hours)
    }

    /// All that is served by.
    pub fn settings(
        &self,
        journal: &Path,
        account: Account,
        hours: Hours,
        same_account: bool,
    ) -> Result<SendSettings, CliError> {
        let identity = self.sessions.connection.identity(&account, same_account);
        Ok(SendSettings {
            rate: self.sessions.pace.rate(),
            rate_tolerance: self.sessions.rate_tolerance(),
            rules: self.sessions.rules(),
            hours,
            serves: true,
            ..collecting(&self.inbound, journal, account, identity, self.sessions.connections()?)
        })
    }
}

/// Serves until it is told to stop: that is how it ends, so that a signal is no failure.
pub fn serve(args: &ServeArgs, journal: &Path, cli: &Cli) -> Result<u8, CliError> {
    let hours = args.open_hours()?;
    let Some(lock) = take_lock(journal)? else { return Ok(exit::OK) };
    let watch = args.watch.as_deref().map(|folder| Watch::open(folder, journal, cli)).transpose()?;
    let account = args.sessions.resolve_to_send()?;
    let settings = args.settings(journal, account, hours, args.adopt.same_account)?;
    let connection = journal::open_or_create(journal)?;
    journal::store::account::judge_account(&connection, journal, &settings.identity)?;
    drop(connection);
    let interrupt = crate::platform::signals::interrupts()?;
    crate::platform::signals::keep_through_hangup();
    let source = Source::new(args, cli, &settings);
    let display = Display::new();
    display.count_warnings();
    say_not_released(journal, &display)?;
    let watching = watch.map(Watch::start).transpose()?;
    let mut show = |progress: &Progress| display.serving(progress);
    let outcome = pipeline::send_or_serve(&settings, &lock, &interrupt, &mut show, Some(Box::new(source)));
    if let Some(watching) = watching {
        watching.end();
    }
    let outcome = outcome?;
    display.clear();
    let status = &outcome.status;
    let many = |n: u64, what: &str| count(i64::try_from(n).unwrap_or(i64::MAX), what);
    display.say(&format!(
        "the service has ended: {} taken by the SMSC, {} and {} from handsets received",
        many(status.accepted, "part"),
        many(status.receipts, "receipt"),
        many(status.inbound, "message")
    ));
    match outcome.ended {
        Ended::Refused(why) => {
            display.must_say(&format!("no connection: {why}"));
            Ok(exit::ERROR)
        }
        Ended::Halted(why) | Ended::Stopped(why) => {
            display.must_say(&format!("{why}; the rest stays queued"));
            Ok(exit::ERROR)
        }
        Ended::Done | Ended::NothingToDo | Ended::Interrupted => Ok(exit::OK),
    }
}

/// Takes the lock. A service that has just been told to end may hold it for another moment; any other command ends by itself, and
/// is waited for, since whoever starts a service wants it to be there from then on. `None`: told to end meanwhile.
fn take_lock(journal: &Path) -> Result<Option<SenderLock>, CliError> {
    let interrupt = crate::platform::signals::interrupts()?;
    let (begun, mut said) = (Instant::now(), false);
    loop {
        let held = match SenderLock::take_for_service(journal) {
            Err(JournalError::Held(held)) if !held.is_service || begun.elapsed() < LOCK_WAIT => held,
            taken => return Ok(Some(taken?)),
        };
        if begun.elapsed() >= LOCK_WAIT && !std::mem::replace(&mut said, true) {
            let words = format!("waiting: {}", JournalError::Held(held));
            crate::platform::notify::status(&words);
            Display::new().say(&words);
        }
        if interrupt.recv_timeout(LOCK_LOOK).is_ok() {
            Display::new().say("told to end while another command held the journal: nothing was begun");
            return Ok(None);
        }
    }
}

/// Lists what is in the journal and will not be sent, as nobody has released it.
fn say_not_released(journal: &Path, display: &Display) -> Result<(), JournalError> {
    let connection = journal::open_read_only(journal)?;
    let released = Released::load(&connection)?;
    let (unsent, _) = journal::query::unfinished(&connection)?;
    let mut waiting = Vec::new();
    for name in &unsent {
        let id = journal::campaign_id(&connection, name)?;
        let why = match released.of(id) {
            Some(standing) if standing.is_to_send() => continue,
            Some(standing) => match (&standing.paused, &standing.held) {
                (Some(why), _) => format!("paused by {}", why.who),
                (None, Some(why)) => format!("held: {}", why.reason),
                (None, None) => "not released".into(),
            },
            None => "not released".into(),
        };
        waiting.push((name, why));
    }
    for (name, why) in waiting.iter().take(LISTED_MAX) {
        let resume = command("smppost resume", name, &journal_option(journal));
        display.say(&format!("campaign {}: {why}; `{resume}` sends it", argument(name)));
    }
    if waiting.len() > LISTED_MAX {
        display.say(&format!("and {} more that are not sent: `smppost list`", waiting.len() - LISTED_MAX));
    }
    if let Some(why) = &released.paused {
        display.must_say(&format!("all sending is paused by {}: `smppost resume` goes on", why.who));
    }
    Ok(())
}
