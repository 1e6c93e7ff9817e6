//! The commands around sending: `send`, `resume`, `import`, `check` and `cancel`.

use super::campaign::CampaignArgs;
use super::connection::{ConnectionArgs, account_name, duration};
use super::{CliError, exit};
use crate::campaign::{self, CampaignFile, Imported};
use crate::journal::lock::SenderLock;
use crate::journal::{self, JournalError};
use crate::pacer::Rate;
use crate::pipeline::{self, Ended, Outcome, SendSettings};
use crate::progress::Display;
use crate::report::{RunFacts, SendSummary};
use crate::session::{Account, Secret};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Send to a simulator started for this run instead of to an SMSC
    #[arg(long)]
    pub simulate: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub campaign: CampaignArgs,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    /// The rate at which it would be sent, in messages (parts) a second
    #[arg(long, default_value = "30", value_name = "N")]
    rate: Rate,
    /// How to show it
    #[arg(long, value_enum, default_value_t = CheckFormat::Table)]
    format: CheckFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum CheckFormat {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The campaign [default: all that are not finished]
    campaign: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The campaign
    campaign: String,
}

/// How far to go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
struct RunArgs {
    /// How long to wait for receipts, counted from the last answer or receipt
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait_receipts: Duration,
    /// Send only the first N messages of the campaign (a canary); the rest stays queued
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Imports, and says what went in.
pub fn import(campaign: &CampaignFile, journal: &Path) -> Result<(), CliError> {
    let display = Display::new();
    let imported = campaign::import(campaign, journal, &mut |rows, _| display.importing(rows))?;
    display.clear();
    match imported {
        Imported::New(counts) => display.say(&format!(
            "{}: imported {} messages ({} parts); {} duplicate rows skipped, {} bad rows kept aside, {} suppressed",
            campaign.name, counts.messages, counts.parts, counts.duplicates, counts.rejected, counts.suppressed,
        )),
        Imported::Already(messages) => {
            display.say(&format!("{}: already in the journal with {messages} messages", campaign.name));
        }
    }
    Ok(())
}

/// Shows what a campaign would come to.
pub fn check(args: &CheckArgs, journal: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let campaign = args.campaign.campaign()?;
    let tally = campaign::check(&campaign, journal)?;
    let rate = match args.rate {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Unlimited => None,
    };
    match args.format {
        CheckFormat::Table => crate::preview::table(&campaign.name, &tally, rate, out)?,
        CheckFormat::Json => crate::preview::json(&campaign.name, &tally, rate, out)?,
    }
    Ok(())
}

/// Imports and sends.
pub fn send(args: &SendArgs, journal: &Path) -> Result<u8, CliError> {
    let campaign = args.campaign.campaign()?;
    // Before anything else, so that of many that start at once all but one end here.
    let lock = SenderLock::take(journal)?;
    if args.simulate {
        import(&campaign, journal)?;
        let simulator = simulator(&args.connection)?;
        let mut account = args.connection.account(&["127.0.0.1".into()], "simulated", Secret::default())?;
        account.port = simulator.local_addr().port();
        let mut settings = args.settings(account, journal, &campaign.name);
        settings.account_name = "the built-in simulator".into();
        settings.old_receipts_come = false;
        return conduct(&settings, &lock);
    }
    let account = args.connection.resolve_to_send()?;
    import(&campaign, journal)?;
    conduct(&args.settings(account, journal, &campaign.name), &lock)
}

/// A simulator for one run, that has the limits the run is to keep.
fn simulator(connection: &ConnectionArgs) -> Result<crate::smsc::Smsc, CliError> {
    let mut settings = crate::smsc::Settings::default();
    settings.listen.set_port(0);
    settings.max_connections = connection.connections();
    settings.rate = match connection.rate() {
        Rate::PerSecond(rate) => Some(rate.ceil() as u32),
        Rate::Unlimited => None,
    };
    Ok(crate::smsc::Smsc::start(settings)?)
}

/// Goes on.
pub fn resume(args: &ResumeArgs, journal: &Path) -> Result<u8, CliError> {
    if !journal.exists() {
        return Err(JournalError::Missing(journal.into()).into());
    }
    let lock = SenderLock::take(journal)?;
    let account = args.connection.resolve_to_send()?;
    let settings = SendSettings {
        journal: journal.into(),
        account_name: account_name(&account),
        connections: args.connection.connections(),
        rate: args.connection.rate(),
        rules: args.connection.rules(),
        limit: args.run.limit,
        wait_receipts: args.run.wait_receipts,
        campaigns: args.campaign.iter().cloned().collect(),
        old_receipts_come: true,
        account,
    };
    conduct(&settings, &lock)
}

/// Sends, shows how it goes, and says what came of it.
fn conduct(settings: &SendSettings, lock: &SenderLock) -> Result<u8, CliError> {
    let interrupt = crate::signals::interrupts()?;
    let display = Display::new();
    let outcome = pipeline::send(settings, lock, &interrupt, &mut |progress| display.sending(progress))?;
    display.clear();
    conclude(settings, &outcome, &display)
}

fn conclude(settings: &SendSettings, outcome: &Outcome, display: &Display) -> Result<u8, CliError> {
    let recovered = outcome.recovered;
    if recovered.sessions > 0 {
        display.say(&format!(
            "an earlier run had ended without a word: {} messages of it are in doubt, {} had never left and were queued again",
            recovered.in_doubt, recovered.requeued,
        ));
    }
    let mut words = Vec::new();
    if let Some(found) = outcome.found_rate {
        writeln!(
            words,
            "the SMSC takes about {found:.0}/s of the {} asked for; the next run starts from there",
            settings.rate
        )?;
    }
    let mut halted = None;
    match &outcome.ended {
        Ended::NothingToDo => words.extend_from_slice(b"nothing to send: all is done\n"),
        Ended::Halted(why) => halted = Some(format!("{why}; the rest stays queued")),
        Ended::Refused(why) => writeln!(words, "no connection: {why}")?,
        Ended::Interrupted | Ended::Done => {}
    }
    let run = RunFacts {
        sending: outcome.sending,
        accepted: outcome.status.accepted,
        throttled: outcome.status.throttled,
        receipts_awaited: settings.account.bind.can_receive(),
        halted,
    };
    let connection = journal::open_read_only(&settings.journal)?;
    let summary = SendSummary::gather(&connection, &settings.journal, &outcome.campaigns, run)?;
    summary.write(&mut words, crate::report::width())?;
    display.say(String::from_utf8_lossy(&words).trim_end());
    Ok(match &outcome.ended {
        Ended::Interrupted => exit::INTERRUPTED,
        Ended::Halted(_) | Ended::Refused(_) => exit::ERROR,
        Ended::Done | Ended::NothingToDo => summary.exit().code(),
    })
}

/// Takes back what is not sent yet.
pub fn cancel(args: &CancelArgs, journal: &Path) -> Result<(), CliError> {
    let connection = journal::open_existing(journal)?;
    journal::control::request_cancel(&connection, &args.campaign).map_err(|error| error.at(journal))?;
    let display = Display::new();
    match SenderLock::take(journal) {
        Ok(_lock) => {
            let marks = journal::marks::Marks::open(journal)?;
            let (mut books, _) = journal::recover::recover(&connection, journal, &marks)?;
            pipeline::apply_controls(&connection, &mut books)?;
            let book = books.campaigns.iter().find(|book| book.name == args.campaign);
            let cancelled = book.map_or(0, |book| book.counts[journal::key::State::Cancelled as usize]);
            display.say(&format!("{}: {cancelled} messages are cancelled; what was sent stays sent", args.campaign));
        }
        Err(JournalError::Held(_)) => display.say(&format!(
            "{}: cancelled; the running sender takes nothing more of it from its next claim on",
            args.campaign
        )),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl SendArgs {
    fn settings(&self, account: Account, journal: &Path, campaign: &str) -> SendSettings {
        SendSettings {
            journal: journal.into(),
            account_name: account_name(&account),
            connections: self.connection.connections(),
            rate: self.connection.rate(),
            rules: self.connection.rules(),
            limit: self.run.limit,
            wait_receipts: self.run.wait_receipts,
            campaigns: vec![campaign.into()],
            old_receipts_come: true,
            account,
        }
    }
}
