//! The command line: what can be typed, and what each command does with it. stdout is data, stderr is words.

mod alert;
pub mod ask;
mod backup;
mod beside;
mod budget;
mod campaign;
mod cancel;
mod completions;
mod conduct;
pub mod config;
mod connection;
mod find;
mod finish;
mod forget;
mod found;
mod guard;
mod help;
mod hours;
mod import;
mod journals;
mod listen;
mod man;
mod names;
mod operations;
mod pause;
mod place;
mod plan;
mod prepare;
mod priority;
mod probe;
mod profile;
mod purge;
mod receiver;
pub mod record;
mod reload;
pub mod report;
mod resolve;
mod restraint;
mod resume;
mod send;
mod serve;
mod sessions;
pub mod smsc;
mod status;
mod suggest;
mod suppress;
mod trial;
mod upgrade;
mod watch;

use crate::cli::find::FindArgs;
use crate::cli::report::{ExplainArgs, ListArgs, ReportArgs, VerifyArgs};
use crate::cli::smsc::SmscArgs;
use crate::import::campaign::CampaignError;
use crate::journal::backup::BackupError;
use crate::journal::store::known::Notes;
use crate::journal::{self, JournalError, Looked};
use crate::report::ReportError;
use crate::run::pipeline::SendError;
use cancel::CancelArgs;
use clap::{Parser, Subcommand};
use import::{CheckArgs, ImportArgs};
use place::{Folders, Use, Wanted};
use probe::ProbeArgs;
use profile::{Parsed, ProfileArgs};
use resume::ResumeArgs;
use send::SendArgs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Heading of the options that every command has.
const EVERYWHERE: &str = "Everywhere";

/// Bulk SMS over SMPP with a journal: at most once by default, every doubt listed.
#[derive(Debug, Parser)]
#[command(name = "smppost", version, max_term_width = 100)]
pub struct Cli {
    /// The journal's file [default: smppost.db here if it is there, else the account's own in your data folder; with --simulate
    /// smppost-simulated.db here]
    #[arg(long, global = true, env = "SMPPOST_JOURNAL", value_name = "FILE", help_heading = EVERYWHERE)]
    journal: Option<PathBuf>,
    /// The configuration with the profiles [default: smppost.toml here, else smppost/smppost.toml in your config folder]
    #[arg(long, global = true, env = "SMPPOST_CONFIG", value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// The profile whose settings hold where nothing else is said [default: `default`, if there is one]
    #[arg(long, global = true, env = "SMPPOST_PROFILE", value_name = "NAME", help_heading = EVERYWHERE)]
    profile: Option<String>,
    /// The account's name, by which its journal is known [default: system_id and host]
    #[arg(long, global = true, env = "SMPPOST_ACCOUNT", value_name = "NAME", help_heading = EVERYWHERE)]
    account: Option<String>,
    /// The names of the account, as far as what is typed, the environment and the profile tell it.
    #[arg(skip)]
    known_account: Vec<String>,
    /// The options of the command that were typed, by their names: not those of the environment or a profile.
    #[arg(skip)]
    typed: Vec<String>,
    /// Where its settings come from.
    #[arg(skip)]
    origin: profile::Origin,
    /// What the profile says of its SMSC's numbers in words.
    #[arg(skip)]
    names: crate::journal::store::names::ProfileNames,
    /// Variables of the environment in which passwords of the configuration are.
    #[arg(skip)]
    secrets: Vec<String>,
    /// Say nothing of what goes as it should: only warnings, errors, and what needs you
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = EVERYWHERE)]
    quiet: bool,
    /// Say more; twice: a lot more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = EVERYWHERE)]
    verbose: u8,
    /// Keep what is said in this file as well, with moments (appended; made with mode 600)
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    log_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Says as much as was asked for, and where.
    fn log(&self) -> Result<(), CliError> {
        crate::platform::logging::apply(self.quiet, self.verbose, self.log_file.as_deref()).map_err(|error| {
            let path = self.log_file.as_deref().unwrap_or(Path::new(""));
            CliError::Usage(format!(
                "--log-file {}: {error}",
                crate::words::escape::escape_terminal(&path.to_string_lossy())
            ))
        })
    }
}

impl Cli {
    /// Begins with what others are to be told, where the command tells anybody.
    fn begin(&self) -> Result<(), CliError> {
        let (name, asked, connection) = match &self.command {
            Command::Send(args) => ("send", args.asked()?, args.connection()),
            Command::Resume(args) => ("resume", args.asked()?, args.connection()),
            Command::Listen(args) => ("listen", args.finish.asked(), &args.connection),
            _ => return Ok(()),
        };
        let secrets: Vec<String> = self.secrets.iter().chain(connection.password_variable()).cloned().collect();
        finish::begin(name, &asked, &secrets);
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import a campaign (once) and send it; run again, it goes on where it stopped
    #[command(after_help = help::SEND)]
    Send(SendArgs),
    /// Import a campaign without sending it
    Import(ImportArgs),
    /// Show what a campaign would come to: parts, encodings, rejects, time. Takes what `send` takes, and writes nothing
    Check(CheckArgs),
    /// Go on with what is not finished
    Resume(ResumeArgs),
    /// The service: holds the account's connections, collects what comes, and sends what is released, until it is told to stop
    #[command(after_help = help::RUN)]
    Run(serve::ServeArgs),
    /// Pause a campaign, or all sending: what comes is collected all the same
    Pause(pause::PauseArgs),
    /// Have the running service read its settings anew: what can be changed holds, without an end of the service
    Reload(reload::ReloadArgs),
    /// How the service stands
    Status(status::StatusArgs),
    /// Campaigns and how far they are
    List(ListArgs),
    /// What became of a campaign's messages
    Report(ReportArgs),
    /// Every message to a number, of all campaigns, and what became of it
    Find(FindArgs),
    /// Ask the SMSC what became of messages (query_sm)
    ///
    /// This connects to the SMSC. What the journal knows is shown by `smppost report`, and by its views: sqlite3 -readonly
    /// JOURNAL 'SELECT * FROM message_status'.
    Query(operations::QueryArgs),
    /// Give messages that the SMSC has not delivered yet another text (replace_sm)
    Replace(operations::ReplaceArgs),
    /// Cancel what is not sent yet, and with --at-smsc what the SMSC has not delivered yet
    Cancel(CancelArgs),
    /// How a campaign shares the account with those that are sent with it, also while it is sent
    Priority(priority::PriorityArgs),
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
    /// Write the journal, as it is at this moment, to a file of its own, also while a sender is at work
    Backup(backup::BackupArgs),
    /// Delete what came to its end long ago: campaigns, of which the totals stay, and what belongs to none
    ///
    /// Also while a sender is at work. Exit code 3: somebody reads an older state of the journal, in which it stands still.
    Purge(purge::PurgeArgs),
    /// Forget numbers: in messages, receipts, rows that were left out, messages from handsets
    ///
    /// What became of the messages stays, without number and text; a number on the suppression list stays there, as that alone.
    /// Exit code 3: something of it is on its way yet, or somebody reads an older state of the journal.
    Forget(forget::ForgetArgs),
    /// Bring a journal that an older smppost made up to date; commands that write to it do so by themselves
    Upgrade(upgrade::UpgradeArgs),
    /// The journals that are known of you, and of which accounts; --forget takes one off the list
    Journals(journals::JournalsArgs),
    /// Connect, bind, measure, unbind: shows what the SMSC says of itself, or what to check when it says nothing; with
    /// --send-to, what it does with messages, and a profile for it
    Probe(ProbeArgs),
    /// The profiles of the configuration
    Profile(ProfileArgs),
    /// Run the built-in SMSC simulator
    Smsc(SmscArgs),
    /// A script for your shell, which then completes commands, options, campaigns and profiles
    Completions(completions::CompletionsArgs),
    /// The pages of the manual
    Man(man::ManArgs),
}

/// What can go wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Typed wrong.
    #[error("{0}")]
    Usage(String),
    /// A campaign's file.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// Sending.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The simulator.
    #[error(transparent)]
    Smsc(#[from] crate::smsc::SmscError),
    /// A terminal or file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Anything that ends a run and has words of its own.
    #[error("{0}")]
    Words(String),
    /// No running service takes what was to be handed over.
    #[error("{0}")]
    NotTaken(String),
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
    /// No service has taken the command in time (sysexits: EX_UNAVAILABLE).
    pub const NOT_TAKEN: u8 = 69;
    /// Another sender holds the journal.
    pub const HELD: u8 = 75;
    /// Interrupted; to be resumed.
    pub const INTERRUPTED: u8 = 130;
}

impl From<crate::words::BadValue> for CliError {
    fn from(error: crate::words::BadValue) -> Self {
        Self::Usage(error.into())
    }
}

impl CliError {
    /// Puts the journal's name to an error of SQLite that has none.
    fn at(self, journal: &Path) -> Self {
        match self {
            Self::Journal(error) => Self::Journal(error.at(journal)),
            Self::Send(SendError::Journal(error)) => Self::Send(SendError::Journal(error.at(journal))),
            Self::Campaign(CampaignError::Journal(error)) => Self::Campaign(CampaignError::Journal(error.at(journal))),
            Self::Backup(BackupError::Journal(error)) => Self::Backup(BackupError::Journal(error.at(journal))),
            Self::Report(ReportError::Journal(error)) => Self::Report(ReportError::Journal(error.at(journal))),
            other => other,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::NotTaken(_) => exit::NOT_TAKEN,
            Self::Journal(JournalError::Held(_) | JournalError::ImportHeld(_))
            | Self::Send(SendError::Journal(JournalError::Held(_)))
            | Self::Campaign(CampaignError::Journal(JournalError::ImportHeld(_))) => exit::HELD,
            Self::Campaign(
                CampaignError::Options(_)
                | CampaignError::Same { asked: false, .. }
                | CampaignError::ByChance { .. }
                | CampaignError::Doubtful { asked: false, .. },
            )
            | Self::Send(SendError::Journal(JournalError::Stopped { .. }))
            | Self::Report(ReportError::Usage(_))
            | Self::Backup(BackupError::Exists(_) | BackupError::NoBackup { .. } | BackupError::Own(_)) => exit::USAGE,
            Self::Backup(BackupError::Busy(_)) => exit::HELD,
            _ => exit::ERROR,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let code = until_shown();
    crate::platform::screen::stderr().set_line(None);
    crate::platform::screen::stderr().flush(crate::platform::screen::FAREWELL);
    crate::platform::logging::flush(crate::platform::screen::FAREWELL);
    code
}

fn until_shown() -> ExitCode {
    completions::answer();
    // Before any thread is started.
    let signals = crate::platform::signals::start();
    crate::platform::logging::start();
    if let Err(error) = signals {
        log::warn!("signals have their usual effects: {error}");
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    let outcome = match profile::parse(&arguments) {
        Ok(Parsed::Cli(cli)) => cli.log().and_then(|()| cli.begin()).and_then(|()| run(&cli)),
        Ok(Parsed::Clap(error)) => {
            // What was typed stands in clap's words as it was typed.
            let words = error.render().to_string();
            if error.use_stderr() && arguments.iter().any(|typed| is_unsafe(&typed.to_string_lossy())) {
                for line in words.lines() {
                    crate::platform::screen::say(&crate::words::escape::escape_terminal(line));
                }
            } else {
                let _ = error.print();
            }
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
        Err(error) => Err(error),
    };
    let (code, error) = match outcome {
        Ok(code) => (code, None),
        // Whoever read our output has enough of it.
        Err(CliError::Io(error) | CliError::Report(ReportError::Output(error)))
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            (exit::OK, None)
        }
        Err(error) => {
            crate::platform::screen::say(&format!("smppost: {error}"));
            (error.exit_code(), Some(error.to_string()))
        }
    };
    finish::end(code, error);
    ExitCode::from(code)
}

fn is_unsafe(text: &str) -> bool {
    crate::words::escape::escape_terminal(text) != text
}

fn run(cli: &Cli) -> Result<u8, CliError> {
    match (run_command(cli), &cli.command) {
        (Err(error), Command::Status(args)) => args.tell_monitor(error),
        (ended, _) => ended,
    }
}

fn run_command(cli: &Cli) -> Result<u8, CliError> {
    let folders = Folders::of_environment();
    let notes = || Notes::read(folders.state.as_deref());
    crate::journal::store::known::keep_in(folders.state.clone());
    if let Command::Journals(args) = &cli.command {
        return args.run(&notes(), &mut io::stdout().lock());
    }
    let Some(to) = cli.command.use_of_journal() else { return command(cli, Path::new("")) };
    let simulated = matches!(&cli.command, Command::Send(args) | Command::Check(import::CheckArgs { send: args, .. }) if args.simulate);
    let account = if simulated { &[][..] } else { &cli.known_account };
    let named = cli.journal.as_deref().filter(|path| !path.as_os_str().is_empty());
    let path = place::find(
        Wanted { named, account, given: cli.account.is_some(), simulated, to },
        &folders,
        &notes(),
        &mut place::say,
    )?;
    finish::journal(&path);
    let at = |error: CliError| error.at(&path);
    if let Command::Run(args) = &cli.command {
        args.refuse_missing(named, &path)?;
    }
    // A rehearsal leaves a journal of real messages alone, and what is not upgraded is not noted.
    let writes = matches!(to, Use::Make | Use::Change) && !simulated && !cli.command.is_dry_run();
    let mut found = Looked::Nothing;
    if writes && !matches!(&cli.command, Command::Upgrade(_)) {
        found = journal::look(&path)?;
        if matches!(found, Looked::Older) {
            upgrade::upgrade(&path, true)?;
            found = journal::look(&path)?;
        }
    }
    let adopt = cli.command.sends_from_journal().filter(|_| writes);
    let is_new = adopt.is_some() && !path.exists();
    if let Some(adopt) = adopt {
        guard::judge(found, &path, &notes(), adopt, account).map_err(at)?;
    } else {
        drop(found);
    }
    if writes {
        names::keep(&cli.names, &path);
    }
    let code = command(cli, &path);
    if writes && code.is_ok() {
        // It may have been made only now.
        names::keep(&cli.names, &path);
    }
    if is_new && !matches!(code, Ok(code) if code != exit::INTERRUPTED) {
        guard::leave_nothing(&path);
    }
    let code = code.map_err(at)?;
    if writes {
        guard::after(&path, &notes(), account);
    }
    Ok(code)
}

impl Command {
    /// What it does with a journal; `None`: nothing.
    fn use_of_journal(&self) -> Option<Use> {
        Some(match self {
            Self::Send(_) if self.is_dry_run() => Use::Change,
            Self::Send(_) | Self::Import(_) | Self::Run(_) => Use::Make,
            Self::Pause(_) | Self::Reload(_) => Use::Change,
            Self::Resume(_) | Self::Query(_) | Self::Replace(_) | Self::Cancel(_) | Self::Listen(_) => Use::Change,
            Self::Resolve(_) | Self::Upgrade(_) | Self::Priority(_) | Self::Forget(_) => Use::Change,
            Self::Purge(_) => Use::Change,
            Self::Suppress(args) => args.use_of_journal(),
            Self::Status(_) | Self::List(_) | Self::Report(_) | Self::Find(_) | Self::Verify(_) | Self::Backup(_) => {
                Use::Read
            }
            Self::Check(_) => Use::Look,
            Self::Explain(_) | Self::Probe(_) | Self::Profile(_) | Self::Smsc(_) | Self::Journals(_) => return None,
            Self::Completions(_) | Self::Man(_) => return None,
        })
    }

    /// How it reaches the account, if it does.
    fn connection_mut(&mut self) -> Option<&mut connection::ConnectionArgs> {
        Some(match self {
            Self::Send(args) | Self::Check(CheckArgs { send: args, .. }) => args.connection_mut(),
            Self::Resume(args) => args.connection_mut(),
            Self::Query(operations::QueryArgs { how, .. }) | Self::Replace(operations::ReplaceArgs { how, .. }) => {
                &mut how.connection
            }
            Self::Cancel(args) => &mut args.how.connection,
            Self::Listen(args) => &mut args.connection,
            Self::Run(args) => args.connection_mut(),
            _ => return None,
        })
    }

    /// Whether it only says what it would do.
    fn is_dry_run(&self) -> bool {
        match self {
            Self::Send(args) => args.is_dry_run(),
            Self::Resume(args) => args.is_dry_run(),
            Self::Purge(args) => args.dry_run,
            _ => false,
        }
    }

    /// What was typed about a copied journal, where it would send or listen.
    fn sends_from_journal(&self) -> Option<&guard::AdoptArgs> {
        match self {
            Self::Send(args) => Some(&args.adopt),
            Self::Resume(args) => Some(&args.adopt),
            Self::Listen(args) => Some(&args.adopt),
            Self::Run(args) => Some(&args.adopt),
            _ => None,
        }
    }
}

fn command(cli: &Cli, journal: &Path) -> Result<u8, CliError> {
    // Before anything is made beside it, or waits for the other end of a pipe.
    if cli.command.use_of_journal().is_some() {
        crate::journal::files::regular::check(journal)?;
    }
    let mut out = crate::platform::screen::AfterWords::new(io::stdout().lock());
    match &cli.command {
        Command::Send(args) => send::send(args, journal, &cli.typed),
        Command::Import(args) if args.is_append() => {
            import::append(&args.campaign()?, args.allowed(), journal).map(|()| exit::OK)
        }
        Command::Import(args) => import::import(args, journal).map(|()| exit::OK),
        Command::Check(args) => import::check(args, journal, &mut out),
        Command::Resume(args) => resume::resume(args, journal, &cli.typed),
        Command::Run(args) => serve::serve(args, journal, cli),
        Command::Pause(args) => pause::pause(args, journal),
        Command::Reload(args) => reload::reload(args, journal),
        Command::Status(args) => status::status(args, journal, &mut out),
        Command::List(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Report(args) => {
            args.refuse_terminal(io::stdout().is_terminal())?;
            Ok(args.run(journal, &mut out)?.code())
        }
        Command::Find(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Query(args) => operations::query(args, journal, &mut out),
        Command::Replace(args) => operations::replace(args, journal, &mut out),
        Command::Cancel(args) => cancel::cancel(args, journal, &mut out),
        Command::Priority(args) => priority::priority(args, journal),
        Command::Listen(args) => listen::listen(args, journal),
        Command::Resolve(args) => resolve::resolve(args, journal).map(|()| exit::OK),
        Command::Suppress(args) => suppress::suppress(args, journal, &mut out),
        Command::Explain(args) => Ok(args.run(&cli.names, &mut out)?.code()),
        Command::Verify(args) => Ok(args.run(journal, &mut out)?.code()),
        Command::Backup(args) => args.run(journal),
        Command::Purge(args) => purge::run(args, journal),
        Command::Forget(args) => forget::run(args, journal),
        Command::Upgrade(args) => args.run(journal),
        Command::Journals(_) => Ok(exit::OK),
        Command::Probe(args) => probe::run(args, cli.profile.as_deref(), &mut out),
        Command::Profile(args) => profile::run(args, cli.config.as_deref(), &mut out),
        Command::Completions(args) => args.run(&mut out),
        Command::Man(args) => args.run(&mut out),
        Command::Smsc(args) => {
            drop(out);
            crate::cli::smsc::run(args)?;
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
            ("send", "opt_out_words", "Receipts and inbound messages"),
            ("listen", "receipt_horizon", "Receipts and inbound messages"),
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
