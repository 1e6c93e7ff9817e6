//! The commands around sending: `send`, `resume`, `import`, `check` and `cancel`.

use super::campaign::{AlphabetArgs, CampaignArgs};
use super::connection::{ConnectionArgs, InboundArgs, duration};
use super::guard::AdoptArgs;
use super::hours::{self, HoursArgs};
use super::plan::{self, How, Line};
use super::restraint::{RestraintArgs, refuse_unreceipted};
use super::sessions::SessionArgs;
use super::{CliError, ask, exit, prepare};
use crate::client::{Account, TakesTlvs};
use crate::import::campaign;
use crate::import::campaign::{Again, CampaignError, CampaignFile, Checked, Imported, Prepared, twin_words};
use crate::journal::files::lock::SenderLock;
use crate::journal::model::key::State;
use crate::journal::store::account::{Identity, judge_account};
use crate::journal::store::decisions::Decision;
use crate::journal::store::test_message;
use crate::journal::store::test_message::NoTest;
use crate::journal::store::twins::Twin;
use crate::journal::{self, JournalError};
use crate::message::address::Destination;
use crate::message::fields::SubmitFields;
use crate::policy::hours::Hours;
use crate::policy::pacer::Rate;
use crate::policy::restraint::Restraint;
use crate::report::progress::Display;
use crate::report::{Exit, RunFacts, SendSummary};
use crate::run::pipeline;
use crate::run::pipeline::{Ended, NeverBound, Outcome, SendError, SendSettings};
use crate::wire::CommandStatus;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, count, journal_option, number, path_argument};
use clap::{Args, ValueEnum};
use crossbeam_channel::Receiver;
use jiff::Timestamp;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Campaigns that are named where several are not sent.
const CAMPAIGNS_NAMED: usize = 10;
/// Campaigns that are told of when they are the same again: the newest.
const TWINS_SHOWN: usize = 5;

/// `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    inbound: InboundArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    pub adopt: AdoptArgs,
    /// Send to a simulator started for this run instead of to an SMSC
    #[arg(long)]
    pub simulate: bool,
}

impl SendArgs {
    /// How the account is reached.
    pub fn connection_mut(&mut self) -> &mut ConnectionArgs {
        &mut self.sessions.connection
    }

    /// Whether nothing is to be written.
    pub fn is_dry_run(&self) -> bool {
        self.run.dry_run
    }

    /// Checks all that can be checked without the file and without connecting, and says what would be done.
    pub fn describe(&self) -> Result<String, CliError> {
        let words = self.sessions.describe().map_err(CliError::Usage)?;
        let campaign = self.campaign.campaign(&self.inbound.alphabet)?;
        campaign.settings()?;
        refuse_without_tlvs(&self.sessions.connection, &campaign)?;
        self.run.hours.hours()?;
        Ok(words)
    }
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    #[command(flatten)]
    alphabet: AlphabetArgs,
}

impl ImportArgs {
    /// The campaign as typed.
    pub fn campaign(&self) -> Result<CampaignFile, CliError> {
        self.campaign.campaign(&self.alphabet)
    }

    /// Whether it may be the same again as another one.
    pub fn allows_same(&self) -> bool {
        self.campaign.allow_same_file
    }
}

/// `check`: what is typed for `send` can be tried with it.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub send: SendArgs,
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
    /// The campaign; several may be named [default: the one that is not sent; where there are several, see --all]
    #[arg(value_name = "CAMPAIGN")]
    campaigns: Vec<String>,
    /// All campaigns that are not finished, however many
    #[arg(long, conflicts_with = "campaigns")]
    all: bool,
    /// Queue what was rejected again first
    #[arg(long, requires = "campaigns")]
    retry_rejected: bool,
    /// Of that, only what was rejected with this command_status (0x0A, 10 or ESME_RINVSRCADR)
    #[arg(long, value_name = "CODE", requires = "retry_rejected", value_parser = status_code)]
    code: Option<u32>,
    /// Send again first what was taken and came back undelivered or expired (its receipt says so), as new attempts
    #[arg(long, requires = "campaigns")]
    retry_failed: bool,
    /// Of that, only what came back with this error in its receipt
    #[arg(long, value_name = "CODE", requires = "retry_failed")]
    error: Option<String>,
    /// Add a submit_sm field or an optional parameter for what is not sent yet or is sent again, as NAME=VALUE: one that was
    /// forgotten (tlv:0x1401=…). It is recorded; a column of that name beats it. Repeatable
    #[arg(long = "field", value_name = "NAME=VALUE", requires = "campaigns")]
    fields: Vec<String>,
    /// Bring back first what was cancelled and never left
    #[arg(long, requires = "campaigns")]
    uncancel: bool,
    /// Of that, only the message of this line of the campaign's file, cancelled by itself; repeatable
    #[arg(long = "line", value_name = "N", requires = "uncancel")]
    lines: Vec<u64>,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    inbound: InboundArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    pub adopt: AdoptArgs,
}

/// How far to go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
struct RunArgs {
    /// How long to wait for receipts, counted from the last answer or receipt
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait_receipts: Duration,
    /// Send only the first N messages of the campaign; the rest stays queued
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    restraint: RestraintArgs,
    #[command(flatten)]
    hours: HoursArgs,
    /// Say what would be sent, and do nothing: nothing is bound, nothing written
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before many messages, or several campaigns, are sent (asked only on a terminal)
    #[arg(long)]
    yes: bool,
}

/// Imports, and says what went in.
pub fn import(campaign: &CampaignFile, allow_same: bool, journal: &Path) -> Result<(), CliError> {
    let display = Display::new();
    let mut about_twins = |twins: &[Twin]| {
        display.clear();
        again(twins, allow_same, &display)
    };
    crate::platform::signals::standing(
        "the import counts for nothing, it is whole or not there; run the same command again",
    );
    let imported = campaign::import(campaign, journal, &mut |rows, _| display.importing(rows), &mut about_twins)
        .map_err(|error| with_commands(error, journal))?;
    display.clear();
    crate::platform::signals::standing("");
    say_imported(&campaign.name, journal, &imported, &display);
    Ok(())
}

/// Puts the commands to a refusal that lead on from it.
fn with_commands(mut error: CampaignError, journal: &Path) -> CampaignError {
    if let CampaignError::Differs(differs) = &mut error {
        let cancel = command("smppost cancel", &differs.name, &journal_option(journal));
        let typed: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        differs.commands = Some((cancel, typed_under(&typed, &differs.free)));
    }
    error
}

/// The command as typed, with another name for the campaign.
fn typed_under(typed: &[String], name: &str) -> String {
    let mut words = vec!["smppost".to_owned()];
    let mut rest = typed.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--campaign" => drop(rest.next()),
            word if word.starts_with("--campaign=") => {}
            word if word.starts_with("--") => match word.split_once('=') {
                Some((option, value)) => words.push(format!("{option}={}", argument(value))),
                None => words.push(word.to_owned()),
            },
            word => words.push(argument(word)),
        }
    }
    // In one word, so that a name with a dash in front is no option.
    match name.starts_with('-') {
        true => words.push(format!("--campaign={}", argument(name))),
        false => words.extend(["--campaign".to_owned(), argument(name)]),
    }
    words.join(" ")
}

/// Says what an import did.
fn say_imported(name: &str, journal: &Path, imported: &Imported, display: &Display) {
    match imported {
        Imported::New { counts, first_refused, unused_columns, sent_lately, left_out } => {
            display.say(&format!(
                "{}: imported {} in {}",
                escape_terminal(name),
                count(counts.messages, "message"),
                count(counts.parts, "part")
            ));
            if !unused_columns.is_empty() {
                display.say(&format!("  columns not used: {}", crate::import::preview::columns(unused_columns)));
            }
            let report = |what: &str| {
                let journal = path_argument(journal);
                format!("`{}`", command("smppost report", name, &format!(" {what} --journal {journal}")))
            };
            if let Some((line, reason)) = first_refused {
                display.say(&format!(
                    "  {} refused: {}\n    the first: line {line}: {}",
                    count(counts.rejected - counts.sent_lately, "row"),
                    report("--rejected-rows"),
                    escape_terminal(reason)
                ));
            }
            if counts.sent_lately > 0 {
                display.say(&format!(
                    "  {} left out, since other campaigns sent to the same numbers (--skip-sent-within): {}\n    {}",
                    count(counts.sent_lately, "row"),
                    report("--rejected-rows"),
                    crate::import::preview::sent_by(left_out)
                ));
            }
            if !sent_lately.is_empty() {
                display.say(&format!("  {}", crate::import::preview::sent_lately(sent_lately)));
            }
            if counts.duplicates > 0 {
                let duplicates = count(counts.duplicates, "duplicate row");
                display.say(&format!("  {duplicates} left out: {}", report("--duplicates")));
            }
            if counts.suppressed > 0 {
                display
                    .say(&format!("  {} to suppressed numbers will not be sent", count(counts.suppressed, "message")));
            }
        }
        Imported::Already(messages) => {
            display.say(&format!(
                "{}: in the journal already, with {}",
                escape_terminal(name),
                count(*messages, "message")
            ));
        }
    }
}

/// Says which campaigns are the same again, and asks where somebody would get the same message twice.
fn again(twins: &[Twin], allow_same: bool, display: &Display) -> Again {
    for twin in twins.iter().take(TWINS_SHOWN) {
        display.say(&twin_note(twin));
    }
    match twins.iter().find(|twin| twin.repeats()) {
        None => Again::GoOn,
        Some(_) if allow_same => Again::GoOn,
        Some(_) if !ask::on_terminal() => Again::Refuse,
        Some(_) if ask::yes("Send all of it again, under this name too?", false) => Again::GoOn,
        Some(_) => Again::Declined,
    }
}

/// What is said of a campaign that has the same file or the same messages.
fn twin_note(twin: &Twin) -> String {
    let words = twin_words(twin);
    match twin {
        twin if twin.repeats() => format!("note: everybody gets the same message by {words}"),
        twin if twin.is_same => format!("note: these are the messages of {words}"),
        _ => format!("note: the same file is that of {words}, with another text or sender"),
    }
}

/// Shows what a campaign would come to. Exit code 1 where `send` would refuse the file, too, or the name is taken.
pub fn check(args: &CheckArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    let send = &args.send;
    let campaign = send.campaign.campaign(&send.inbound.alphabet)?;
    campaign.settings()?;
    refuse_without_tlvs(&send.sessions.connection, &campaign)?;
    let (when, now) = (send.run.hours.hours()?, Timestamp::now());
    let account = send.sessions.judge()?;
    let restraint = send.run.restraint.restraint();
    refuse_unreceipted(&restraint, &account, Some((&campaign.name, &campaign.options)))?;
    let journal = if send.simulate { prepare::rehearsal_journal(journal)? } else { journal.to_owned() };
    let Checked { tally, taken, twins } = campaign::check(&campaign, &journal)?;
    let display = Display::new();
    for twin in twins.iter().take(TWINS_SHOWN) {
        display.say(&twin_note(twin));
    }
    if twins.iter().any(Twin::repeats) && !send.campaign.allow_same_file {
        display.say("  `send` and `import` ask about that, or refuse it without --allow-same-file");
    }
    let rate = match send.sessions.pace.rate() {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Unlimited => None,
    };
    match args.format {
        CheckFormat::Table => {
            crate::import::preview::table(&campaign.name, &campaign.options, (&tally, &taken), rate, out)?;
            for line in hours::lines(&when, now) {
                writeln!(out, "  {line}")?;
            }
        }
        CheckFormat::Json => {
            let hours = hours::json(&when, now);
            crate::import::preview::json(&campaign.name, &campaign.options, (&tally, &taken), rate, &hours, out)?;
        }
    }
    let is_refused = !tally.has_messages() || matches!(taken, campaign::Taken::Differs { .. });
    Ok(if is_refused { exit::ERROR } else { exit::OK })
}

/// Imports and sends. Whatever stands against sending is found before the first row is stored, or takes the rows back.
pub fn send(args: &SendArgs, journal: &Path) -> Result<u8, CliError> {
    let campaign = args.campaign.campaign(&args.inbound.alphabet)?;
    campaign.settings()?;
    let hours = args.run.hours.hours()?;
    refuse_without_tlvs(&args.sessions.connection, &campaign)?;
    let journal = if args.simulate { prepare::rehearsal_journal(journal)? } else { journal.to_owned() };
    if args.run.dry_run {
        return args.dry_run(&campaign, &hours, &journal);
    }
    // Before anything else, so that of many that start at once all but one end here.
    let lock = SenderLock::take(&journal)?;
    match args.begin(&campaign, hours, &journal) {
        Ok(Some(begun)) => begun.conduct(&args.run.restraint, &lock),
        Ok(None) => {
            lock.leave_nothing();
            Ok(exit::INTERRUPTED)
        }
        Err(error) => {
            lock.leave_nothing();
            Err(error.at(&journal))
        }
    }
}

/// What the version cannot carry is refused before anything is imported under the campaign's name.
fn refuse_without_tlvs(connection: &ConnectionArgs, campaign: &CampaignFile) -> Result<(), CliError> {
    match campaign.options.needs_tlvs() {
        Some(option) if connection.forbids_tlvs() => Err(CliError::Usage(format!(
            "{option} needs optional parameters: SMPP 3.3 has none, and --tlvs no forbids them; use --smpp-version 3.4, or \
             --concat udh8 and --via submit_sm"
        ))),
        _ => Ok(()),
    }
}

/// A simulator for one run, that has the limits the run is to keep.
fn simulator(sessions: &SessionArgs) -> Result<crate::smsc::Smsc, CliError> {
    let mut settings = crate::smsc::Settings::default();
    settings.listen.set_port(0);
    settings.max_connections = sessions.connections()?;
    settings.rate = match sessions.pace.rate() {
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
    if args.run.dry_run {
        let connection = journal::open_untouched(journal)?;
        let (sessions, notes) = args.as_before(&connection)?;
        let settings = args.settings(&sessions, sessions.check()?, journal)?;
        judge_account(&connection, journal, &settings.identity)?;
        args.added(&connection)?;
        let (lines, several) = args.lines(&connection, &settings)?;
        say_dry_run(&lines, &settings, notes)?;
        if several && !args.all {
            Display::new().say(&format!("as typed it would not send these: {}", how_to_name_them(&lines, journal)));
        }
        return Ok(exit::OK);
    }
    let lock = SenderLock::take(journal)?;
    match args.begin(journal) {
        Ok(Some(begun)) => begun.conduct(&args.run.restraint, &lock),
        Ok(None) => {
            lock.leave_nothing();
            Ok(exit::INTERRUPTED)
        }
        Err(error) => {
            lock.leave_nothing();
            Err(error.at(journal))
        }
    }
}

/// A run that may begin.
struct Begun {
    settings: SendSettings,
    interrupts: Receiver<()>,
    /// Held until the run has ended.
    _simulator: Option<crate::smsc::Smsc>,
}

impl Begun {
    /// Sends the test message first, where one is asked for, and the campaign only if somebody says then that it goes.
    fn conduct(&self, args: &RestraintArgs, lock: &SenderLock) -> Result<u8, CliError> {
        let settings = &self.settings;
        let (Some(to), [campaign]) = (&args.test_to, &settings.campaigns[..]) else {
            return conduct(settings, lock, &self.interrupts);
        };
        let number = Destination::parse(to).map_err(|error| CliError::Usage(format!("--test-to: {error}")))?;
        let path = &settings.journal;
        let name = test_message::import(path, campaign, args.test_line, number).map_err(|error| match error {
            NoTest::Suppressed => {
                CliError::Words(format!("--test-to: {to} is on the suppression list: nothing is sent to it"))
            }
            NoTest::NoLine => {
                CliError::Usage(format!("--test-line: campaign {} has no such message", argument(campaign)))
            }
            NoTest::Journal(error) => error.into(),
        })?;
        let display = Display::new();
        display.say(&format!("the test message to {to} is campaign {}", argument(&name)));
        let restraint = Restraint::default();
        let test = SendSettings { campaigns: vec![name], limit: None, restraint, ..settings.clone() };
        let code = conduct(&test, lock, &self.interrupts)?;
        let question = format!("Has it arrived as it should, and is campaign {} to be sent now?", argument(campaign));
        if code == exit::OK && ask::on_terminal() && ask::yes(&question, false) {
            return conduct(settings, lock, &self.interrupts);
        }
        display.say(&format!(
            "of campaign {0} itself nothing was sent: the same command without --test-to, or `{1}`, sends it",
            argument(campaign),
            command("smppost resume", campaign, &journal_option(path))
        ));
        Ok(code)
    }
}

/// What to type where several campaigns are not sent.
fn how_to_name_them(lines: &[Line], journal: &Path) -> String {
    let named: Vec<String> = lines
        .iter()
        .take(CAMPAIGNS_NAMED)
        .map(|line| format!("{} ({} to send)", argument(&line.campaign), number(line.to_send)))
        .collect();
    let more = if lines.len() > named.len() { ", …" } else { "" };
    let first = lines.first().map_or("CAMPAIGN", |line| &line.campaign);
    let option = journal_option(journal);
    format!(
        "{} are not sent: {}{more}. Name those that are meant: `{}`; or all of them: `smppost resume --all{option}`; or cancel \
         what is not: `{}`",
        count(lines.len() as i64, "campaign"),
        named.join(", "),
        command("smppost resume", first, &option),
        command("smppost cancel", first, &option),
    )
}

fn say_dry_run(lines: &[Line], settings: &SendSettings, notes: Vec<String>) -> Result<(), CliError> {
    let display = Display::new();
    if lines.iter().all(|line| line.to_send == 0 && line.also.is_empty()) {
        display.say("nothing to send");
    }
    plan::say(lines, &how(settings, notes))?;
    for line in hours::lines(&settings.hours, Timestamp::now()) {
        display.say(&line);
    }
    display.say("dry run: nothing was sent, nothing written");
    Ok(())
}

fn how(settings: &SendSettings, notes: Vec<String>) -> How<'_> {
    How {
        account: &settings.account,
        connections: settings.connections,
        rate: settings.rate,
        hours: &settings.hours,
        simulated: settings.identity.is_simulator(),
        notes,
    }
}

impl ResumeArgs {
    /// How the account is reached.
    pub fn connection_mut(&mut self) -> &mut ConnectionArgs {
        &mut self.sessions.connection
    }

    /// Whether nothing is to be written.
    pub fn is_dry_run(&self) -> bool {
        self.run.dry_run
    }

    /// All that stands before sending; `None`: it was not meant.
    fn begin(&self, journal: &Path) -> Result<Option<Begun>, CliError> {
        let connection = journal::open_existing(journal)?;
        let (sessions, notes) = self.as_before(&connection)?;
        let mut settings = self.settings(&sessions, sessions.resolve_to_send()?, journal)?;
        if self.run.restraint.test_to.is_some() && self.campaigns.len() != 1 {
            return Err(CliError::Usage("--test-to: name the one campaign of which the test message is".into()));
        }
        refuse_unreceipted(&settings.restraint, &settings.account, None)?;
        for name in &self.campaigns {
            journal::campaign_id(&connection, name)?;
            let options = journal::model::campaign::options(&connection, name)?;
            refuse_unreceipted(&settings.restraint, &settings.account, Some((name, &options)))?;
        }
        judge_account(&connection, journal, &settings.identity)?;
        let added = self.added(&connection)?;
        let (lines, several) = self.lines(&connection, &settings)?;
        let interrupts = crate::platform::signals::interrupts()?;
        if several && !self.all && !ask::on_terminal() {
            return Err(CliError::Usage(how_to_name_them(&lines, journal)));
        }
        if self.campaigns.is_empty() {
            // What is imported from now on was not among what is said here.
            let (unsent, waiting) = journal::query::unfinished(&connection)?;
            settings.campaigns = unsent.into_iter().chain(waiting).collect();
        }
        if lines.iter().any(|line| line.to_send > 0 || !line.also.is_empty()) {
            plan::say(&lines, &how(&settings, notes))?;
            if !plan::is_meant(&lines, several && !self.all, self.run.yes, &|| !interrupts.is_empty()) {
                Display::new().say("nothing was sent, nothing changed");
                return Ok(None);
            }
        }
        for campaign in &self.campaigns {
            if !added.is_empty() {
                journal::store::added_fields::add(&connection, campaign, &added)?;
            }
            for decision in self.decisions() {
                journal::store::decisions::request(&connection, campaign, &decision)?;
            }
        }
        Ok(Some(Begun { settings, interrupts, _simulator: None }))
    }

    /// The fields that are to be added, if every campaign named can have them.
    fn added(&self, connection: &rusqlite::Connection) -> Result<SubmitFields, CliError> {
        let fields = super::campaign::fields_of(&self.fields)?;
        if fields.is_empty() {
            return Ok(fields);
        }
        if self.sessions.connection.forbids_tlvs() && !fields.tlvs.is_empty() {
            return Err(CliError::Usage(
                "--field: this account takes no optional parameters (--tlvs, --smpp-version)".into(),
            ));
        }
        for name in &self.campaigns {
            let options = journal::model::campaign::options(connection, name)?;
            if let Some(why) = journal::store::added_fields::refusal(connection, name, &options, &fields)? {
                return Err(CliError::Usage(format!(
                    "--field: campaign {} cannot have it now: {why}. What is left can go under another name: cancel it \
                     and send its rows with the field",
                    argument(name)
                )));
            }
        }
        Ok(fields)
    }

    /// What is decided of each campaign before it is sent.
    fn decisions(&self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        if self.uncancel {
            decisions.push(Decision::Uncancel { lines: self.lines.clone() });
        }
        if self.retry_rejected {
            decisions.push(Decision::RetryRejected { code: self.code });
        }
        if self.retry_failed {
            decisions.push(Decision::RetryFailed { error: self.error.clone() });
        }
        decisions
    }

    /// The settings of the sessions: as given, else as the last run of these campaigns had them; and what of that is to be
    /// said.
    fn as_before(&self, connection: &rusqlite::Connection) -> Result<(SessionArgs, Vec<String>), CliError> {
        let names = match self.campaigns.is_empty() {
            true => journal::query::unfinished(connection)?.0,
            false => self.campaigns.clone(),
        };
        let last = journal::store::runs::last(connection, &names)?;
        Ok(last.map_or_else(|| (self.sessions.clone(), Vec::new()), |last| self.sessions.with_last(&last)))
    }

    /// What would go, and whether that is of several campaigns that nobody named.
    fn lines(&self, connection: &rusqlite::Connection, settings: &SendSettings) -> Result<(Vec<Line>, bool), CliError> {
        let names = match self.campaigns.is_empty() {
            true => journal::query::unfinished(connection)?.0,
            false => self.campaigns.clone(),
        };
        let mut lines = Vec::new();
        for name in &names {
            let plan = journal::query::plan(connection, name, settings.limit)?;
            let mut line = Line::of(&plan);
            self.note_decisions(connection, &plan, &mut line)?;
            lines.push(line);
        }
        let several = self.campaigns.is_empty() && lines.len() > 1;
        Ok((lines, several))
    }

    /// Says of a campaign what goes besides what is queued.
    fn note_decisions(
        &self,
        connection: &rusqlite::Connection,
        plan: &journal::query::Plan,
        line: &mut Line,
    ) -> Result<(), CliError> {
        let name = &plan.summary.campaign;
        let cancelled = plan.summary.counts.of(State::Cancelled);
        if self.uncancel && !self.lines.is_empty() && plan.summary.cancelled_at.is_some() {
            return Err(CliError::Usage(format!(
                "--line: campaign {name} was cancelled as a whole: bring all of it back (--uncancel without --line), and \
                 cancel by --line what is not to go"
            )));
        }
        if self.uncancel && cancelled > 0 {
            let back = match self.lines.len() {
                0 => cancelled,
                lines => cancelled.min(lines as i64),
            };
            line.add(back, format!("{} brought back that {} cancelled", count(back, "message"), were(back)));
        }
        if !self.fields.is_empty() {
            line.add(0, format!("from now on with {}", escape_terminal(&self.fields.join(", "))));
        }
        if self.retry_rejected && plan.summary.counts.of(State::Rejected) > 0 {
            line.add(0, "what was rejected is tried again first".into());
        }
        if self.retry_failed {
            let failed = journal::store::decisions::count_came_back(connection, name, self.error.as_deref())?;
            let what = match &self.error {
                Some(error) => format!(" with error {}", escape_terminal(error)),
                None => String::new(),
            };
            let words = format!("{} that came back{what} {} sent again", count(failed, "message"), are(failed));
            line.add(failed, words);
        }
        Ok(())
    }

    fn settings(&self, sessions: &SessionArgs, account: Account, journal: &Path) -> Result<SendSettings, CliError> {
        Ok(SendSettings {
            restraint: self.run.restraint.restraint(),
            journal: journal.into(),
            identity: self.sessions.connection.identity(&account, self.adopt.same_account),
            connections: sessions.connections()?,
            rate: sessions.pace.rate(),
            rate_tolerance: sessions.rate_tolerance(),
            rules: self.sessions.rules(),
            hours: self.run.hours.hours()?,
            limit: self.run.limit,
            wait_receipts: self.run.wait_receipts,
            campaigns: self.campaigns.clone(),
            old_receipts_come: true,
            default_alphabet: self.inbound.alphabet.alphabet(),
            opt_out_words: self.inbound.opt_out_words(),
            opt_in_words: self.inbound.opt_in_words(),
            receipt_horizon: self.inbound.receipt_horizon(),
            never_bound: never_bound(),
            listen: None,
            account: Account { receipts: self.inbound.reading(), ..account },
        })
    }
}

/// Whoever looks on can put right why nothing is bound; without them it is tried on.
fn never_bound() -> NeverBound {
    if super::ask::on_terminal() { NeverBound::End } else { NeverBound::Say }
}

/// Sends, shows how it goes, and says what came of it.
fn conduct(settings: &SendSettings, lock: &SenderLock, interrupt: &Receiver<()>) -> Result<u8, CliError> {
    let display = Display::new();
    let send = |settings: &SendSettings| {
        let outcome = pipeline::send(settings, lock, interrupt, &mut |progress| display.sending(progress));
        display.clear();
        outcome
    };
    let outcome = match send(settings) {
        Err(SendError::Journal(stopped @ JournalError::Stopped { .. })) if ask::on_terminal() => {
            display.say(&stopped.to_string());
            if !ask::yes("Go on all the same?", false) {
                return Ok(exit::INCOMPLETE);
            }
            let restraint = Restraint { override_stop: true, ..settings.restraint.clone() };
            send(&SendSettings { restraint, ..settings.clone() })?
        }
        outcome => outcome?,
    };
    conclude(settings, &outcome, &display)
}

fn conclude(settings: &SendSettings, outcome: &Outcome, display: &Display) -> Result<u8, CliError> {
    let mut words = Vec::new();
    for found in outcome.found.summary(&settings.rate.to_string()) {
        writeln!(words, "{found}")?;
    }
    let mut halted = None;
    match &outcome.ended {
        Ended::Halted(why) | Ended::Stopped(why) => halted = Some(format!("{why}; the rest stays queued")),
        Ended::Refused(why) => writeln!(words, "no connection: {why}")?,
        Ended::Interrupted | Ended::Done | Ended::NothingToDo => {}
    }
    let exhausted = outcome.status.exhausted.as_deref();
    let run = RunFacts {
        restrained: matches!(outcome.ended, Ended::Stopped(_)),
        sending: outcome.sending,
        accepted: outcome.status.accepted,
        throttled: outcome.status.throttled,
        receipts_awaited: settings.account.bind.can_receive(),
        halted,
        rehearsal: !settings.old_receipts_come,
        journal_option: journal_option(&settings.journal),
    };
    let connection = journal::open_read_only(&settings.journal)?;
    let summary = SendSummary::gather(&connection, &settings.journal, &outcome.campaigns, run)?;
    if matches!(outcome.ended, Ended::NothingToDo) {
        let counts = summary.counts();
        let why = match settings.limit {
            Some(limit) if counts.of(State::Queued) > 0 => {
                format!("what is queued comes after the first {limit} (--limit)")
            }
            _ if counts.of(State::InDoubt) > 0 => "what is in doubt waits for your decision".into(),
            _ if exhausted.is_some() => "what is queued cannot be tried again".into(),
            _ if summary.has_sent_in_part() => {
                "what is not sent yet of messages that went out in part never will be".into()
            }
            _ if summary.is_cancelled() => "what is not sent yet was cancelled".into(),
            _ if outcome.campaigns.is_empty() && journal::query::campaigns(&connection)?.is_empty() => {
                "the journal holds no campaign yet: `smppost send` or `smppost import` with a CSV file brings one in"
                    .into()
            }
            _ if outcome.campaigns.is_empty() => "every campaign has come to its end".into(),
            _ => "all is done".into(),
        };
        writeln!(words, "nothing to send: {why}")?;
    }
    if let Some(why) = exhausted {
        writeln!(words, "{}", escape_terminal(why))?;
    }
    summary.write(&mut words, crate::report::width())?;
    let code = match &outcome.ended {
        Ended::Interrupted => exit::INTERRUPTED,
        Ended::Halted(_) | Ended::Refused(_) => exit::ERROR,
        Ended::Stopped(_) => Exit::Unfinished.code(),
        Ended::Done | Ended::NothingToDo if exhausted.is_some() => Exit::Unfinished.code(),
        Ended::Done | Ended::NothingToDo => summary.exit().code(),
    };
    let words = String::from_utf8_lossy(&words);
    if code == exit::OK {
        display.say(words.trim_end())
    } else {
        display.must_say(words.trim_end())
    }
    Ok(code)
}

impl SendArgs {
    /// All that stands before sending; `None`: it was not meant.
    fn begin(&self, campaign: &CampaignFile, hours: Hours, journal: &Path) -> Result<Option<Begun>, CliError> {
        let (settings, simulator) = if self.simulate {
            let simulator = simulator(&self.sessions)?;
            let mut account = self.sessions.account("127.0.0.1", "simulated")?;
            account.port = simulator.local_addr().port();
            let mut settings = self.settings(account, hours, journal, &campaign.name)?;
            settings.identity = Identity::simulator();
            settings.old_receipts_come = false;
            (settings, Some(simulator))
        } else {
            let account = self.sessions.resolve_to_send()?;
            (self.settings(account, hours, journal, &campaign.name)?, None)
        };
        refuse_unreceipted(&settings.restraint, &settings.account, Some((&campaign.name, &campaign.options)))?;
        prepare::judge(journal, &settings.identity)?;
        let display = Display::new();
        let account = Some(settings.identity.shown());
        let mut asked = false;
        let mut about_twins = |twins: &[Twin]| {
            display.clear();
            let again = again(twins, self.campaign.allow_same_file, &display);
            asked = again == Again::GoOn && !self.campaign.allow_same_file && twins.iter().any(Twin::repeats);
            again
        };
        let mut progress = |rows, _| display.importing(rows);
        let prepared = campaign::prepare(campaign, journal, account, &mut progress, &mut about_twins);
        display.clear();
        let pending = match prepared.map_err(|error| with_commands(error, journal))? {
            Prepared::Already(messages) => {
                say_imported(&campaign.name, journal, &Imported::Already(messages), &display);
                None
            }
            Prepared::New(pending) => Some(pending),
        };
        // Only now: before, the first Ctrl-C is to end the import.
        let interrupts = crate::platform::signals::interrupts()?;
        match (self.is_meant(&settings, asked, &interrupts), pending) {
            (Ok(true), pending) => {
                if let Some(pending) = pending {
                    say_imported(&campaign.name, journal, &pending.release()?, &display);
                }
                Ok(Some(Begun { settings, interrupts, _simulator: simulator }))
            }
            (Ok(false), pending) => {
                let words = if pending.is_some() { "nothing was sent, nothing imported" } else { "nothing was sent" };
                if let Some(pending) = pending {
                    pending.abandon();
                }
                display.say(words);
                Ok(None)
            }
            (Err(error), pending) => {
                if let Some(pending) = pending {
                    pending.abandon();
                }
                Err(error)
            }
        }
    }

    /// Judges what is in the journal now, says what would go, and asks where that is to be asked and was not yet.
    fn is_meant(&self, settings: &SendSettings, asked: bool, interrupts: &Receiver<()>) -> Result<bool, CliError> {
        let connection = journal::open_read_only(&settings.journal)?;
        if settings.account.tlvs == TakesTlvs::No {
            pipeline::refuse_tlvs(&connection, &settings.campaigns)?;
        }
        let mut lines = Vec::new();
        for name in &settings.campaigns {
            lines.push(Line::of(&journal::query::plan(&connection, name, settings.limit)?));
        }
        if lines.iter().all(|line| line.to_send == 0) {
            return Ok(true);
        }
        plan::say(&lines, &how(settings, Vec::new()))?;
        // After a test message it is asked all the same.
        let asked = asked || self.run.restraint.test_to.is_some();
        Ok(plan::is_meant(&lines, false, self.run.yes || asked, &|| !interrupts.is_empty()))
    }

    /// Says what would go, and touches nothing.
    fn dry_run(&self, campaign: &CampaignFile, hours: &Hours, journal: &Path) -> Result<u8, CliError> {
        let account =
            if self.simulate { self.sessions.account("127.0.0.1", "simulated")? } else { self.sessions.check()? };
        let mut settings = self.settings(account, hours.clone(), journal, &campaign.name)?;
        if self.simulate {
            settings.identity = Identity::simulator();
        }
        let recorded = match journal::open_untouched(journal) {
            Ok(connection) => {
                judge_account(&connection, journal, &settings.identity)?;
                let known = campaign::compare(campaign, &connection).map_err(|error| with_commands(error, journal))?;
                match known {
                    Some(_) => Some(Line::of(&journal::query::plan(&connection, &campaign.name, settings.limit)?)),
                    None => None,
                }
            }
            Err(JournalError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let line = match recorded {
            Some(line) => line,
            None => {
                let Checked { tally, twins, .. } = campaign::check(campaign, journal)?;
                if let Some(twin) = twins.into_iter().find(Twin::repeats).filter(|_| !self.campaign.allow_same_file) {
                    let (path, resume) = (campaign.path.clone(), campaign::resume_command(&twin.name, journal));
                    return Err(CampaignError::Same { path, twin: Box::new(twin), asked: false, resume }.into());
                }
                if !tally.has_messages() {
                    return Err(CliError::Words(format!(
                        "{}: no row can be sent: `smppost check` says why",
                        crate::words::trouble::shown(&campaign.path)
                    )));
                }
                Line::of_file(&campaign.name, &tally, settings.limit)
            }
        };
        say_dry_run(&[line], &settings, Vec::new())?;
        Ok(exit::OK)
    }

    fn settings(
        &self,
        account: Account,
        hours: Hours,
        journal: &Path,
        campaign: &str,
    ) -> Result<SendSettings, CliError> {
        Ok(SendSettings {
            restraint: self.run.restraint.restraint(),
            journal: journal.into(),
            identity: self.sessions.connection.identity(&account, self.adopt.same_account),
            connections: self.sessions.connections()?,
            rate: self.sessions.pace.rate(),
            rate_tolerance: self.sessions.rate_tolerance(),
            rules: self.sessions.rules(),
            hours,
            limit: self.run.limit,
            wait_receipts: self.run.wait_receipts,
            campaigns: vec![campaign.into()],
            old_receipts_come: true,
            default_alphabet: self.inbound.alphabet.alphabet(),
            opt_out_words: self.inbound.opt_out_words(),
            opt_in_words: self.inbound.opt_in_words(),
            receipt_horizon: self.inbound.receipt_horizon(),
            never_bound: never_bound(),
            listen: None,
            account: Account { receipts: self.inbound.reading(), ..account },
        })
    }
}

fn were(count: i64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

fn are(count: i64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn status_code(text: &str) -> Result<u32, String> {
    let status = CommandStatus::parse(text).map(|status| status.0);
    status.ok_or_else(|| "write a command_status such as 0x0A, 10 or ESME_RINVSRCADR".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_status_is_read_as_by_status() {
        for text in ["0x0A", "0X0a", "10", "ESME_RINVSRCADR", "esme_rinvsrcadr"] {
            assert_eq!(status_code(text), Ok(0x0A), "{text}");
        }
        for text in ["", "0x", "ESME", "-1", "+10"] {
            assert!(status_code(text).is_err(), "{text}");
        }
    }
}
