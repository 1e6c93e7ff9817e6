//! The command line: what can be typed, and what each command does with it. stdout is data, stderr is words.

pub mod ask;
mod campaign;
mod cancel;
mod connection;
mod listen;
mod operations;
mod plan;
mod prepare;
mod probe;
mod profile;
mod resolve;
mod restraint;
mod send;
mod sessions;
mod suggest;
mod suppress;
mod trial;
mod upgrade;

use crate::campaign::CampaignError;
use crate::journal::JournalError;
use crate::pipeline::SendError;
use crate::report::ReportError;
use crate::report::cli::{ExplainArgs, ListArgs, ReportArgs, VerifyArgs};
use crate::smsc::cli::SmscArgs;
use cancel::CancelArgs;
use clap::{Parser, Subcommand};
use probe::ProbeArgs;
use profile::{Parsed, ProfileArgs};
use send::{CheckArgs, ImportArgs, ResumeArgs, SendArgs};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Heading of the options that every command has.
const EVERYWHERE: &str = "Everywhere";

/// Bulk SMS over SMPP with a journal: at most once by default, every doubt listed.
#[derive(Debug, Parser)]
#[command(name = "smppost", version, max_term_width = 100)]
pub struct Cli {
    /// The journal's file [default: smppost.db; with --simulate smppost-simulated.db]
    #[arg(long, global = true, env = "SMPPOST_JOURNAL", value_name = "FILE", help_heading = EVERYWHERE)]
    journal: Option<PathBuf>,
    /// The configuration with the profiles [default: smppost.toml here, else smppost/smppost.toml in your config folder]
    #[arg(long, global = true, env = "SMPPOST_CONFIG", value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// The profile whose settings hold where nothing else is said [default: `default`, if there is one]
    #[arg(long, global = true, env = "SMPPOST_PROFILE", value_name = "NAME", help_heading = EVERYWHERE)]
    profile: Option<String>,
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
    /// Ask the SMSC what became of messages (query_sm)
    Query(operations::QueryArgs),
    /// Give messages that the SMSC has not delivered yet another text (replace_sm)
    Replace(operations::ReplaceArgs),
    /// Cancel what is not sent yet, and with --at-smsc what the SMSC has not delivered yet
    Cancel(CancelArgs),
    /// Collect late receipts and messages from handsets
    Listen(listen::ListenArgs),
    /// Decide what becomes of messages in doubt, or say whose a receipt is
    Resolve(resolve::ResolveArgs),
    /// Numbers that are never sent to
    Suppress(suppress::SuppressArgs),
    /// A command_status, what it means and what to do about it
    Explain(ExplainArgs),
    /// Check a journal against itself
    Verify(VerifyArgs),
    /// Bring a journal that an older smppost made up to date; commands that write to it do so by themselves
    Upgrade(upgrade::UpgradeArgs),
    /// Connect, bind, measure, unbind: shows what the SMSC says of itself, or what to check when it says nothing; with
    /// --send-to, what it does with messages, and a profile for it
    Probe(ProbeArgs),
    /// The profiles of the configuration
    Profile(ProfileArgs),
    /// Run the built-in SMSC simulator
    Smsc(SmscArgs),
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
    Report(ReportError),
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
    Report(ReportError),
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
    /// Finished, but some messages were rejected, failed, partly delivered, went out only in part or are in doubt.
    pub const INCOMPLETE: u8 = 3;
    /// Another sender holds the journal.
    pub const HELD: u8 = 75;
    /// Interrupted; to be resumed.
    pub const INTERRUPTED: u8 = 130;
}

impl CliError {
    /// Puts the journal's name to an error of SQLite that has none.
    fn at(self, journal: &Path) -> Self {
        match self {
            Self::Journal(error) => Self::Journal(error.at(journal)),
            Self::Send(SendError::Journal(error)) => Self::Send(SendError::Journal(error.at(journal))),
            Self::Campaign(CampaignError::Journal(error)) => Self::Campaign(CampaignError::Journal(error.at(journal))),
            Self::Report(ReportError::Journal(error)) => Self::Report(ReportError::Journal(error.at(journal))),
            other => other,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Journal(JournalError::Held(_) | JournalError::ImportHeld(_))
            | Self::Send(SendError::Journal(JournalError::Held(_)))
            | Self::Campaign(CampaignError::Journal(JournalError::ImportHeld(_))) => exit::HELD,
            Self::Campaign(CampaignError::Options(_) | CampaignError::Same { asked: false, .. })
            | Self::Send(SendError::Journal(JournalError::Stopped { .. }))
            | Self::Report(ReportError::Usage(_)) => exit::USAGE,
            _ => exit::ERROR,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    start_log();
    let arguments: Vec<_> = std::env::args_os().collect();
    let outcome = match profile::parse(&arguments) {
        Ok(Parsed::Cli(cli)) => run(&cli),
        Ok(Parsed::Clap(error)) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever read our output has enough of it.
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(error) => {
            let _ = writeln!(io::stderr(), "smppost: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Warnings look like whatever else is said. With RUST_LOG somebody looks for a fault, and wants moments and modules.
fn start_log() {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"));
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_none() {
        builder.format(|out, record| {
            writeln!(out, "{}: {}", record.level().as_str().to_lowercase().replace("warn", "warning"), record.args())
        });
    }
    builder.init();
}

fn run(cli: &Cli) -> Result<u8, CliError> {
    let journal = |simulated: bool| {
        let default = if simulated { "smppost-simulated.db" } else { "smppost.db" };
        cli.journal.clone().unwrap_or_else(|| PathBuf::from(default))
    };
    let path = journal(matches!(&cli.command, Command::Send(args) if args.simulate));
    if cli.command.writes_to_journal() {
        upgrade::upgrade(&path, true)?;
    }
    command(cli, &path).map_err(|error| error.at(&path))
}

impl Command {
    /// Whether it changes a journal, so that one of an older program has to be brought up to date before.
    fn writes_to_journal(&self) -> bool {
        match self {
            Self::Send(args) => !args.is_dry_run(),
            Self::Resume(args) => !args.is_dry_run(),
            Self::Import(_) | Self::Query(_) | Self::Replace(_) => true,
            Self::Cancel(_) | Self::Listen(_) | Self::Resolve(_) => true,
            Self::Suppress(args) => args.changes_list(),
            Self::Check(_) | Self::List(_) | Self::Report(_) | Self::Verify(_) | Self::Upgrade(_) => false,
            Self::Explain(_) | Self::Probe(_) | Self::Profile(_) | Self::Smsc(_) => false,
        }
    }
}

fn command(cli: &Cli, journal: &Path) -> Result<u8, CliError> {
    let mut out = io::stdout().lock();
    match &cli.command {
        Command::Send(args) => send::send(args, journal),
        Command::Import(args) => send::import(&args.campaign()?, args.allows_same(), journal).map(|()| exit::OK),
        Command::Check(args) => send::check(args, journal, &mut out),
        Command::Resume(args) => send::resume(args, journal),
        Command::List(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Report(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Query(args) => operations::query(args, journal, &mut out),
        Command::Replace(args) => operations::replace(args, journal, &mut out),
        Command::Cancel(args) => cancel::cancel(args, journal, &mut out),
        Command::Listen(args) => listen::listen(args, journal),
        Command::Resolve(args) => resolve::resolve(args, journal).map(|()| exit::OK),
        Command::Suppress(args) => suppress::suppress(args, journal, &mut out).map(|()| exit::OK),
        Command::Explain(args) => Ok(args.run(&mut out)?.code()),
        Command::Verify(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Upgrade(args) => args.run(journal),
        Command::Probe(args) => probe::run(args, cli.profile.as_deref(), &mut out),
        Command::Profile(args) => profile::run(args, cli.config.as_deref(), &mut out),
        Command::Smsc(args) => {
            drop(out);
            crate::smsc::cli::run(args)?;
            Ok(exit::OK)
        }
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
    fn options_stand_under_headings_of_their_own() {
        use clap::CommandFactory;
        let mut command = Cli::command();
        command.build();
        for (name, option, heading) in [
            ("query", "receipt_codes", "Receipts"),
            ("replace", "receipt_codes_in_state", "Receipts"),
            ("cancel", "accepted_is_final", "Receipts"),
            ("send", "accepted_is_final", "Receipts and inbound messages"),
            ("send", "stop_words", "Receipts and inbound messages"),
            ("query", "journal", EVERYWHERE),
            ("list", "config", EVERYWHERE),
            ("suppress", "profile", EVERYWHERE),
        ] {
            let subcommand = command.find_subcommand(name).unwrap();
            let argument = subcommand.get_arguments().find(|argument| argument.get_id() == option).unwrap();
            assert_eq!(argument.get_help_heading(), Some(heading), "{name} --{option}");
        }
    }

    #[test]
    fn f14_no_option_takes_a_secret() {
        use clap::CommandFactory;
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let leads_to_it = matches!(name, "password_file" | "password_env" | "strict_password");
                assert!(leads_to_it || !name.contains("password"), "{name}");
            }
        }
    }
}
