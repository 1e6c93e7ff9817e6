//! `query`, `replace`, and `cancel --at-smsc`: operations on messages that the SMSC has.

use super::beside::{self, Found, Handed};
use super::connection::{CONNECTION, ConnectionArgs, ReadingArgs, SAME_ACCOUNT};
use super::sessions::{PaceArgs, StatusArgs};
use super::{CliError, exit};
use crate::journal::error::HeldBy;
use crate::journal::model::command::{ToOperate, ranges};
use crate::journal::store::operations::Operation;
use crate::journal::{JournalError, words};
use crate::report::progress::Display;
use crate::report::rows::{Format, Record, Rows};
use crate::run::operations;
use crate::run::operations::{Cut, Fate, Line, Order};
use crate::wire::{BindKind, CommandStatus, MessageState};
use crate::words::format::{argument, count};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Reasons given below a table.
const REASONS_SHOWN: usize = 20;

/// `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The campaign
    campaign: String,
    /// The line of the campaign's file that the message came from; repeatable
    #[arg(long = "line", value_name = "N", required = true)]
    lines: Vec<u64>,
    #[command(flatten)]
    pub how: OperationArgs,
}

/// `replace`.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The campaign
    campaign: String,
    /// The line of the campaign's file that the message came from; repeatable
    #[arg(long = "line", value_name = "N", required = true)]
    lines: Vec<u64>,
    /// The new text, sent as it is; it must fit the alphabet of the old one and one SMS
    #[arg(long)]
    text: String,
    #[command(flatten)]
    pub how: OperationArgs,
}

/// How operations are done and shown.
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// How to show what came of it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    status: StatusArgs,
    #[command(flatten, next_help_heading = "Receipts")]
    reading: ReadingArgs,
    #[arg(long, help = SAME_ACCOUNT, help_heading = CONNECTION)]
    same_account: bool,
    /// Hand over to the running service (`smppost run`), and end as soon as it has accepted; exit code 69 where none does in 5 s
    #[arg(long)]
    pub detach: bool,
}

/// Messages that are to be asked about, and what about them.
pub struct Wanted<'a> {
    /// What.
    pub operation: Operation,
    /// Of which campaign.
    pub campaign: &'a str,
    /// Lines of its file; empty: all that the SMSC has without a final state.
    pub lines: &'a [u64],
    /// Of a replacement: the new text.
    pub text: Option<&'a str>,
}

/// Asks what became of messages.
pub fn query(args: &QueryArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    let wanted = Wanted { operation: Operation::Query, campaign: &args.campaign, lines: &args.lines, text: None };
    run(&wanted, &args.how, journal, out)
}

/// Gives messages another text.
pub fn replace(args: &ReplaceArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    if args.text.trim().is_empty() || args.text.contains('\0') {
        return Err(CliError::Usage("--text: the new text is empty, or has a NUL in it".into()));
    }
    let (campaign, lines, text) = (&args.campaign, &args.lines, Some(&*args.text));
    run(&Wanted { operation: Operation::Replace, campaign, lines, text }, &args.how, journal, out)
}

/// Carries an operation out and shows what came of it.
pub fn run(wanted: &Wanted<'_>, how: &OperationArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    if !journal.exists() {
        return Err(JournalError::Missing(journal.into()).into());
    }
    let mut shown = Shown {
        operation: wanted.operation,
        out: Some((out, how.format)),
        rows: None,
        done: 0,
        all: 0,
        reasons: Vec::new(),
        more: false,
    };
    let lock = match beside::find(journal, how.detach, false)? {
        Found::Lock(lock) => lock,
        Found::Service(held) => {
            refuse_idle(how, &held)?;
            return hand_over(wanted, how.detach, &held, journal, shown);
        }
    };
    let &Wanted { operation, campaign, lines, text } = wanted;
    let mut account = how.connection.resolve_to_send()?;
    account.window = how.pace.window();
    account.receipts = how.reading.reading();
    account.warn_of_danger();
    // Only to send, unless it is said otherwise: what the SMSC delivers meanwhile is for `listen` or `resume`.
    let kind = if how.connection.names_bind() { account.bind.kind(0) } else { BindKind::Transmitter };
    let order = Order {
        journal: journal.into(),
        identity: how.connection.identity(&account, how.same_account),
        account,
        kind,
        rate: how.pace.rate(),
        rules: Arc::new(how.status.rules()),
        operation,
        text: text.map(str::to_owned),
        campaign: campaign.into(),
        lines: lines.to_vec(),
    };
    let interrupt = crate::platform::signals::interrupts()?;
    let broken = operations::run(&order, &lock, &interrupt, &mut |line| shown.add(&line))?;
    // Whoever reads what follows may take his time: no sender has to wait for that.
    drop(lock);
    let code = shown.conclude(campaign, broken.as_ref().map(Cut::to_string))?;
    Ok(if matches!(broken, Some(Cut::Interrupted)) { exit::INTERRUPTED } else { code })
}

/// Options of these commands that are not the account's.
pub const OWN: [&str; 6] = ["line", "text", "format", "yes", "at-smsc", "detach"];

/// Refuses by name what was typed and would not be heeded beside a service.
pub fn refuse_idle(how: &OperationArgs, held: &HeldBy) -> Result<(), CliError> {
    beside::refuse_idle(&how.connection.typed, &OWN.map(str::to_owned), held)
}

/// Octets that the lines of a command may come to, as ranges.
const RANGES_MAX: usize = 256 * 1024;

/// Has the running service do it.
fn hand_over(
    wanted: &Wanted<'_>,
    detach: bool,
    held: &HeldBy,
    journal: &Path,
    mut shown: Shown<'_>,
) -> Result<u8, CliError> {
    let &Wanted { operation, campaign, lines, text } = wanted;
    let id = crate::journal::campaign_id(&crate::journal::open_read_only(journal)?, campaign)?;
    let lines = ranges(lines);
    if lines.len() > RANGES_MAX {
        return Err(CliError::Usage(
            "--line: too many for one command beside the running service: name fewer at once".into(),
        ));
    }
    let order = ToOperate {
        operation: operation.name().into(),
        campaign: id,
        name: campaign.into(),
        lines,
        text: text.map(str::to_owned),
        quiet: detach,
    };
    let (display, name) = (Display::new(), argument(campaign));
    display.say(&format!("{name}: the running service asks the SMSC ({})", beside::shown(held)));
    let interrupt = crate::platform::signals::interrupts()?;
    let what = operation.name();
    match beside::operate(journal, order, &interrupt, &mut |line| shown.add(&line))? {
        Handed::Through(broken) => shown.conclude(campaign, broken),
        Handed::Accepted => {
            display.say(&format!("{name}: accepted; what comes of it is in the view operation_log"));
            Ok(exit::OK)
        }
        Handed::Refused(why) => Err(CliError::Words(format!("the service refuses: {why}"))),
        Handed::NotTaken => {
            display.must_say(&format!(
                "no service has taken the command within 5 s, and it is withdrawn: no {what} is sent; the same command again asks anew"
            ));
            Ok(exit::NOT_TAKEN)
        }
        Handed::Interrupted => {
            display.must_say(&format!("interrupted: the command is withdrawn, no {what} is sent"));
            Ok(exit::INTERRUPTED)
        }
        Handed::LeftAtWork => {
            shown.end()?;
            display.must_say(&format!(
                "the service goes on asking the SMSC about campaign {name}; what comes of it is in the view operation_log"
            ));
            Ok(exit::INTERRUPTED)
        }
        Handed::Gone => {
            shown.end()?;
            display.must_say(
                "the service has ended, and nobody has started it anew for 30 s: it goes on with this when `smppost run` runs",
            );
            Ok(exit::ERROR)
        }
    }
}

/// The rows shown so far.
struct Shown<'o> {
    operation: Operation,
    /// Until the first row is there: what fails before that shows nothing.
    out: Option<(&'o mut dyn Write, Format)>,
    rows: Option<Rows<'o>>,
    done: i64,
    all: i64,
    /// Why the first ones that were not done were not.
    reasons: Vec<String>,
    /// There are more.
    more: bool,
}

impl Shown<'_> {
    fn begin(&mut self) -> Result<(), CliError> {
        if let Some((out, format)) = self.out.take() {
            self.rows = Some(Rows::begin::<Row>(out, format, false, crate::report::width())?);
        }
        Ok(())
    }

    fn add(&mut self, line: &Line) -> Result<(), CliError> {
        self.begin()?;
        let row = Row::of(self.operation, line);
        self.all += 1;
        if is_done(line) {
            self.done += 1;
        } else if self.reasons.len() < REASONS_SHOWN {
            self.reasons.push(format!("line {} part {}: {}", line.line, line.part, row.words));
        } else {
            self.more = true;
        }
        if let Some(rows) = &mut self.rows {
            rows.add(&row)?;
        }
        Ok(())
    }

    /// Says in the end what came of it, and why it ended early, where it did. Returns the exit code.
    fn conclude(mut self, campaign: &str, broken: Option<String>) -> Result<u8, CliError> {
        self.end()?;
        let display = Display::new();
        // A table has no room for reasons.
        self.reasons.iter().for_each(|reason| display.say(reason));
        if self.more {
            display.say("and more; --format csv has all reasons");
        }
        let parts = count(self.all, "part");
        display.say(&format!("{campaign}: {} of {parts} {}", self.done, verb(self.operation)));
        if let Some(why) = &broken {
            display.say(&format!("it ended early: {why}"));
        }
        Ok(match broken {
            Some(_) => exit::ERROR,
            None if self.done < self.all => exit::INCOMPLETE,
            None => exit::OK,
        })
    }

    fn end(&mut self) -> Result<(), CliError> {
        self.begin()?;
        let nothing = "nothing to ask about: the SMSC has no message of it without a final state";
        if let Some(rows) = self.rows.take() {
            rows.end::<Row>(nothing)?;
        }
        Ok(())
    }
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Query => "answered for",
        Operation::Cancel => "cancelled at the SMSC",
        Operation::Replace => "replaced",
    }
}

fn is_done(line: &Line) -> bool {
    matches!(&line.fate, Fate::Answered(answer) if answer.command_status == 0)
}

/// What came of a part, as it is shown.
#[derive(Serialize)]
struct Row {
    line: i64,
    part: u8,
    destination: String,
    operation: &'static str,
    message_id: Option<String>,
    command_status: Option<u32>,
    state: Option<String>,
    final_date: Option<String>,
    error_code: Option<u8>,
    outcome: &'static str,
    words: String,
}

impl Row {
    fn of(operation: Operation, line: &Line) -> Self {
        let mut row = Self {
            line: line.line,
            part: line.part,
            destination: line.destination.clone(),
            operation: operation.name(),
            message_id: line.message_id.clone(),
            command_status: None,
            state: None,
            final_date: None,
            error_code: None,
            outcome: "done",
            words: String::new(),
        };
        match &line.fate {
            Fate::Answered(answer) => {
                row.command_status = Some(answer.command_status);
                row.state = answer.state.map(|code| match MessageState::from_code(code) {
                    Some(state) => state.name().to_owned(),
                    None => code.to_string(),
                });
                row.final_date.clone_from(&answer.final_date);
                row.error_code = answer.error_code;
                row.words = match CommandStatus(answer.command_status) {
                    CommandStatus::OK => String::new(),
                    status => {
                        row.outcome = "refused";
                        words(status)
                    }
                };
            }
            Fate::Unanswered(why) => {
                row.outcome = "no answer";
                row.words = format!("not answered, and maybe done: {why}");
            }
            Fate::NotAsked(why) => {
                row.outcome = "not asked";
                row.words = format!("not asked: {why}");
            }
        }
        row
    }
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &[
        "line",
        "part",
        "destination",
        "operation",
        "message_id",
        "command_status",
        "state",
        "final_date",
        "error_code",
        "outcome",
        "words",
    ];
    const TABLE: &'static [usize] = &[0, 1, 2, 9, 6, 7, 4];

    fn cell(&self, column: usize, to: &mut String) {
        // A String takes whatever is written.
        let _ = match column {
            0 => write!(to, "{}", self.line),
            1 => write!(to, "{}", self.part),
            2 => write!(to, "{}", self.destination),
            3 => write!(to, "{}", self.operation),
            4 => write!(to, "{}", self.message_id.as_deref().unwrap_or_default()),
            5 => self.command_status.map_or(Ok(()), |status| write!(to, "{status}")),
            6 => write!(to, "{}", self.state.as_deref().unwrap_or_default()),
            7 => write!(to, "{}", self.final_date.as_deref().unwrap_or_default()),
            8 => self.error_code.map_or(Ok(()), |code| write!(to, "{code}")),
            9 => write!(to, "{}", self.outcome),
            _ => write!(to, "{}", self.words),
        };
    }
}
