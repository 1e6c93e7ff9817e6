//! The command line: what can be typed, and what each command does with it. stdout is data, stderr is words.

use crate::campaign::{self, CampaignError, CampaignFile, Imported, Reading};
use crate::fields::SubmitFields;
use crate::import::FileEncoding;
use crate::journal::books::InDoubtPolicy;
use crate::journal::campaign::{CampaignOptions, Receipts};
use crate::journal::lock::SenderLock;
use crate::journal::{self, JournalError};
use crate::pacer::Rate;
use crate::pipeline::{self, Ended, Outcome, SendError, SendSettings};
use crate::progress::Display;
use crate::report::cli::{ExplainArgs, ListArgs, ReportArgs, VerifyArgs};
use crate::session::{Account, Secret, Timers, Version};
use crate::smsc::cli::SmscArgs;
use crate::wire::BindKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Bulk SMS over SMPP with a journal: at most once by default, every doubt listed.
#[derive(Debug, Parser)]
#[command(name = "smppost", version, max_term_width = 100)]
pub struct Cli {
    /// The journal's file [default: smppost.db; with --simulate smppost-simulated.db]
    #[arg(long, global = true, env = "SMPPOST_JOURNAL", value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import a campaign (once) and send it; run again, it goes on where it stopped
    Send(SendArgs),
    /// Import a campaign without sending it
    Import(ImportArgs),
    /// Show what a campaign would come to: parts, encodings, rejects, time. Writes nothing
    Check(CheckArgs),
    /// Go on with what is not finished
    Resume(ResumeArgs),
    /// Campaigns and how far they are
    List(ListArgs),
    /// What became of a campaign's messages
    Report(ReportArgs),
    /// Take back what is not sent yet
    Cancel(CancelArgs),
    /// A command_status, what it means and what to do about it
    Explain(ExplainArgs),
    /// Check a journal against itself
    Verify(VerifyArgs),
    /// Run the built-in SMSC simulator
    Smsc(SmscArgs),
}

#[derive(Debug, Args)]
struct SendArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Send to a simulator started for this run instead of to an SMSC
    #[arg(long)]
    simulate: bool,
}

#[derive(Debug, Args)]
struct ImportArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
}

#[derive(Debug, Args)]
struct CheckArgs {
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
struct ResumeArgs {
    /// The campaign [default: all that are not finished]
    campaign: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
struct CancelArgs {
    /// The campaign
    campaign: String,
}

/// What is sent to whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Campaign")]
struct CampaignArgs {
    /// The campaign's CSV file: a header, then one row a message
    #[arg(value_name = "CSV")]
    file: PathBuf,
    /// The campaign's name [default: the file's name without its ending]
    #[arg(long = "campaign", value_name = "NAME")]
    name: Option<String>,
    /// The sender of rows that have none in a `from` column [default: the SMSC's default sender]
    #[arg(long, value_name = "SENDER")]
    from: Option<String>,
    /// The column of the destinations
    #[arg(long, value_name = "COLUMN", default_value = "to")]
    to_column: String,
    /// The text of all messages; {column} is replaced by the row's value, {column|default} where it may be empty
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "text_column")]
    text: Option<String>,
    /// The column of the texts, which are sent as they are [default: text]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Which delivery receipts to ask for
    #[arg(long, value_enum, default_value_t = ReceiptsArg::All)]
    receipts: ReceiptsArg,
    /// What to do with messages that may have left and were never answered
    #[arg(long, value_enum, default_value_t = InDoubtArg::Hold)]
    in_doubt: InDoubtArg,
    /// Send to a number as often as it stands in the file
    #[arg(long)]
    allow_duplicates: bool,
    /// The alphabet of the texts: auto is GSM 7-bit where every character fits, else UCS2
    #[arg(long, value_enum, default_value_t = AlphabetArg::Auto)]
    alphabet: AlphabetArg,
    /// A submit_sm field for all messages, as NAME=VALUE (source_addr_ton=3, validity_period=2h, tlv:0x1400=0x01);
    /// a column of that name beats it row by row
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// The delimiter of the file [default: as its header shows]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// The characters of the file: utf-8, latin1 or utf-16
    #[arg(long, value_name = "NAME", default_value = "utf-8")]
    encoding: FileEncoding,
    /// Refuse the file if any row is bad, instead of keeping such rows aside
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ReceiptsArg {
    All,
    Failures,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum InDoubtArg {
    /// Leave them to you: nothing is ever sent twice
    Hold,
    /// Send them again: nothing is lost, some may arrive twice
    Resend,
    /// Count them as sent
    AssumeSent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AlphabetArg {
    Auto,
    Gsm7,
    Ucs2,
}

impl CampaignArgs {
    fn campaign(&self) -> Result<CampaignFile, CliError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self
                .file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .ok_or_else(|| CliError::Usage(format!("{} is not a file's name", self.file.display())))?,
        };
        if name.trim().is_empty() {
            return Err(CliError::Usage("--campaign: a name must not be empty".into()));
        }
        let mut fields = SubmitFields::default();
        for field in &self.fields {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| CliError::Usage(format!("--field {field}: write NAME=VALUE")))?;
            if !fields.set(name.trim(), value).map_err(|error| CliError::Usage(format!("--field: {error}")))? {
                let names: Vec<&str> = crate::fields::FIELD_NAMES.iter().map(|(name, _)| *name).collect();
                let known = names.join(", ");
                return Err(CliError::Usage(format!("--field {name}: no such field; there are {known}, tlv:0xTAG")));
            }
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_value(&fields).ok() };
        let delimiter = match self.delimiter {
            None => None,
            Some(character) => Some(
                u8::try_from(character)
                    .ok()
                    .filter(u8::is_ascii)
                    .ok_or_else(|| CliError::Usage("--delimiter: one ASCII character".into()))?,
            ),
        };
        let options = CampaignOptions {
            to_column: self.to_column.clone(),
            text: self.text.clone(),
            text_column: if self.text.is_some() {
                None
            } else {
                Some(self.text_column.clone().unwrap_or_else(|| "text".into()))
            },
            from: self.from.clone().unwrap_or_default(),
            receipts: match self.receipts {
                ReceiptsArg::All => Receipts::All,
                ReceiptsArg::Failures => Receipts::Failures,
                ReceiptsArg::None => Receipts::None,
            },
            in_doubt: match self.in_doubt {
                InDoubtArg::Hold => InDoubtPolicy::Hold,
                InDoubtArg::Resend => InDoubtPolicy::Resend,
                InDoubtArg::AssumeSent => InDoubtPolicy::AssumeSent,
            },
            allow_duplicates: self.allow_duplicates,
            alphabet: match self.alphabet {
                AlphabetArg::Auto => None,
                AlphabetArg::Gsm7 => Some("gsm7".into()),
                AlphabetArg::Ucs2 => Some("ucs2".into()),
            },
            fields,
        };
        let reading = Reading { delimiter, encoding: self.encoding, strict: self.strict };
        Ok(CampaignFile { path: self.file.clone(), name, options, reading })
    }
}

/// How the account is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection (the password comes from SMPPOST_PASSWORD, --password-file or a prompt)")]
struct ConnectionArgs {
    /// Host name or address of the SMSC
    #[arg(long, env = "SMPPOST_HOST", value_name = "HOST")]
    host: Option<String>,
    /// Port of the SMSC
    #[arg(long, env = "SMPPOST_PORT", value_name = "PORT", default_value_t = 2777)]
    port: u16,
    /// The account's user name
    #[arg(long, env = "SMPPOST_SYSTEM_ID", value_name = "NAME")]
    system_id: Option<String>,
    /// A file that holds the password on its first line; only you may be able to read it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The system_type, as a rule empty
    #[arg(long, value_name = "TYPE", default_value = "")]
    system_type: String,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Requests outstanding on each connection; 1 is the synchronous mode
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// Messages (parts) a second over all connections, or `unlimited`
    #[arg(long, value_name = "N", default_value = "30")]
    rate: Rate,
    /// How long a TCP connection may take to come about
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    connect_timeout: Duration,
    /// How long the answer to the bind may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    bind_timeout: Duration,
    /// How long the answer to a message may take; after that it is in doubt
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    response_timeout: Duration,
    /// Ask whether the link is alive when nothing came for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    enquire_link_interval: Duration,
    /// How long the SMSC may take to read what is written
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    write_timeout: Duration,
    /// Give up when no connection could be bound for this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    give_up_after: Option<Duration>,
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

/// Reads `500ms`, `3s`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(0) => Err("it must be above 0".into()),
        Some(total) if total <= 30 * 24 * 3_600_000 => Ok(Duration::from_millis(total)),
        Some(_) => Err("at most 720h".into()),
        None => Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    }
}

/// What can go wrong with a command.
#[derive(Debug)]
pub enum CliError {
    /// Typed wrong.
    Usage(String),
    /// A campaign's file.
    Campaign(CampaignError),
    /// Sending.
    Send(SendError),
    /// The journal.
    Journal(JournalError),
    /// A report.
    Report(crate::report::ReportError),
    /// The simulator.
    Smsc(crate::smsc::SmscError),
    /// A terminal or file.
    Io(io::Error),
    /// Anything that ends a run and has words of its own.
    Words(String),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) | Self::Words(words) => f.write_str(words),
            Self::Campaign(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Report(error) => error.fmt(f),
            Self::Smsc(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

macro_rules! from {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    Campaign(CampaignError),
    Send(SendError),
    Journal(JournalError),
    Report(crate::report::ReportError),
    Smsc(crate::smsc::SmscError),
    Io(io::Error),
}

/// The documented exit codes.
pub mod exit {
    /// Every message accepted.
    pub const OK: u8 = 0;
    /// An error.
    pub const ERROR: u8 = 1;
    /// Typed wrong.
    pub const USAGE: u8 = 2;
    /// Finished, but some messages were rejected, failed, partly delivered or are in doubt.
    pub const INCOMPLETE: u8 = 3;
    /// Another sender holds the journal.
    pub const HELD: u8 = 75;
    /// Interrupted; to be resumed.
    pub const INTERRUPTED: u8 = 130;
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Journal(JournalError::Held(_) | JournalError::ImportHeld(_))
            | Self::Send(SendError::Journal(JournalError::Held(_)))
            | Self::Campaign(CampaignError::Journal(JournalError::ImportHeld(_))) => exit::HELD,
            Self::Campaign(CampaignError::Options(_)) => exit::USAGE,
            _ => exit::ERROR,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        // Whoever read our output has enough of it.
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(CliError::Report(error)) if error.is_broken_pipe() => ExitCode::from(exit::OK),
        Err(error) => {
            let _ = writeln!(io::stderr(), "smppost: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<u8, CliError> {
    let journal = |simulated: bool| {
        let default = if simulated { "smppost-simulated.db" } else { "smppost.db" };
        cli.journal.clone().unwrap_or_else(|| PathBuf::from(default))
    };
    let mut out = io::stdout().lock();
    match &cli.command {
        Command::Send(args) => send(args, &journal(args.simulate)),
        Command::Import(args) => import(&args.campaign.campaign()?, &journal(false)).map(|()| exit::OK),
        Command::Check(args) => check(args, &journal(false), &mut out).map(|()| exit::OK),
        Command::Resume(args) => resume(args, &journal(false)),
        Command::List(args) => Ok(args.run(&journal(false), &mut out)?),
        Command::Report(args) => Ok(args.run(&journal(false), &mut out)?),
        Command::Cancel(args) => cancel(args, &journal(false)).map(|()| exit::OK),
        Command::Explain(args) => Ok(args.run(&mut out)?),
        Command::Verify(args) => Ok(args.run(&journal(false), &mut out)?),
        Command::Smsc(args) => {
            drop(out);
            crate::smsc::cli::run(args)?;
            Ok(exit::OK)
        }
    }
}

fn import(campaign: &CampaignFile, journal: &Path) -> Result<(), CliError> {
    let display = Display::new();
    let imported = campaign::import(campaign, journal, &mut |rows, _| display.importing(rows))?;
    display.clear();
    match imported {
        Imported::New(counts) => display.say(&format!(
            "{}: imported {} messages ({} parts); {} duplicate rows skipped, {} bad rows kept aside, {} suppressed",
            campaign.name,
            counts.messages,
            counts.parts,
            counts.duplicates,
            counts.rejected,
            counts.suppressed,
        )),
        Imported::Already(messages) => {
            display.say(&format!("{}: already in the journal with {messages} messages", campaign.name));
        }
    }
    Ok(())
}

fn check(args: &CheckArgs, journal: &Path, out: &mut dyn Write) -> Result<(), CliError> {
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

fn send(args: &SendArgs, journal: &Path) -> Result<u8, CliError> {
    let campaign = args.campaign.campaign()?;
    // Before anything else, so that of many that start at once all but one end here.
    let lock = SenderLock::take(journal)?;
    if args.simulate {
        import(&campaign, journal)?;
        let simulator = simulator(&args.connection)?;
        let mut account = args.connection.account("127.0.0.1", "simulated", Secret::default())?;
        account.port = simulator.local_addr().port();
        let mut settings = args.settings(account, journal, &campaign.name);
        settings.account_name = "the built-in simulator".into();
        settings.old_receipts_come = false;
        return conduct(&settings, &lock);
    }
    let account = args.connection.resolve()?;
    import(&campaign, journal)?;
    conduct(&args.settings(account, journal, &campaign.name), &lock)
}

/// A simulator for one run, that has the limits the run is to keep.
fn simulator(connection: &ConnectionArgs) -> Result<crate::smsc::Smsc, CliError> {
    let mut settings = crate::smsc::Settings::default();
    settings.listen.set_port(0);
    settings.max_connections = usize::from(connection.connections);
    settings.rate = match connection.rate {
        Rate::PerSecond(rate) => Some(rate.ceil() as u32),
        Rate::Unlimited => None,
    };
    Ok(crate::smsc::Smsc::start(settings)?)
}

fn resume(args: &ResumeArgs, journal: &Path) -> Result<u8, CliError> {
    if !journal.exists() {
        return Err(JournalError::Missing(journal.into()).into());
    }
    let lock = SenderLock::take(journal)?;
    let account = args.connection.resolve()?;
    let settings = SendSettings {
        journal: journal.into(),
        account_name: account_name(&account),
        connections: usize::from(args.connection.connections),
        rate: args.connection.rate,
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
    let summary = crate::report::SendSummary::read(&settings.journal, &outcome.campaigns)?;
    let mut words = Vec::new();
    match &outcome.ended {
        Ended::NothingToDo => words.extend_from_slice(b"nothing to send: all is done\n"),
        Ended::Halted(why) => writeln!(words, "sending stopped: {why}; the rest stays queued")?,
        Ended::Refused(why) => writeln!(words, "no connection: {why}")?,
        Ended::Interrupted | Ended::Done => {}
    }
    summary.write(outcome.elapsed, outcome.status.accepted, &settings.journal, &mut words)?;
    display.say(String::from_utf8_lossy(&words).trim_end());
    Ok(match &outcome.ended {
        Ended::Interrupted => exit::INTERRUPTED,
        Ended::Halted(_) | Ended::Refused(_) => exit::ERROR,
        Ended::Done | Ended::NothingToDo => summary.exit_code(),
    })
}

fn cancel(args: &CancelArgs, journal: &Path) -> Result<(), CliError> {
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
        Err(JournalError::Held(_)) => display
            .say(&format!("{}: cancelled; the running sender takes nothing more of it from its next claim on", args.campaign)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl SendArgs {
    fn settings(&self, account: Account, journal: &Path, campaign: &str) -> SendSettings {
        SendSettings {
            journal: journal.into(),
            account_name: account_name(&account),
            connections: usize::from(self.connection.connections),
            rate: self.connection.rate,
            limit: self.run.limit,
            wait_receipts: self.run.wait_receipts,
            campaigns: vec![campaign.into()],
            old_receipts_come: true,
            account,
        }
    }
}

/// The account's name in the journal.
fn account_name(account: &Account) -> String {
    let host = if crate::link::is_loopback(&account.host) { "localhost" } else { &account.host };
    format!("{} at {host}", account.system_id)
}

impl ConnectionArgs {
    /// The account as typed, with its password.
    fn resolve(&self) -> Result<Account, CliError> {
        let missing = |option: &str, variable: &str| {
            CliError::Usage(format!("{option} is missing: give it, or set {variable} (a rehearsal needs none: send --simulate)"))
        };
        let host = self.host.as_deref().ok_or_else(|| missing("--host", "SMPPOST_HOST"))?;
        let system_id = self.system_id.as_deref().ok_or_else(|| missing("--system-id", "SMPPOST_SYSTEM_ID"))?;
        let password = crate::config::password(self.password_file.as_deref()).map_err(CliError::Usage)?;
        self.account(host, system_id, password)
    }

    fn account(&self, host: &str, system_id: &str, password: Secret) -> Result<Account, CliError> {
        for (option, value, most) in [("--system-id", system_id, 15), ("--system-type", &*self.system_type, 12)] {
            if value.len() > most || value.contains('\0') {
                return Err(CliError::Usage(format!("{option}: at most {most} octets")));
            }
        }
        Ok(Account {
            host: host.into(),
            port: self.port,
            system_id: system_id.into(),
            password,
            system_type: self.system_type.clone(),
            bind: BindKind::Transceiver,
            version: Version::V34,
            window: self.window as usize,
            timers: Timers {
                connect: self.connect_timeout,
                bind: self.bind_timeout,
                response: self.response_timeout,
                enquire_link: self.enquire_link_interval,
                write: self.write_timeout,
                give_up_after: self.give_up_after,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn f15_durations() {
        for (text, milliseconds) in [("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "3", "s", "0s", "-1s", "1.5s", "3 s", "99999999999h", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn f14_no_option_takes_a_secret() {
        use clap::CommandFactory;
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(name == "password_file" || !name.contains("password"), "{name}");
            }
        }
    }
}
