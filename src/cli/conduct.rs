//! A run of sending from the command line: what holds for `send` and `resume` alike.

use super::budget::BudgetArgs;
use super::connection::duration;
use super::finish::{self, FinishArgs, ProgressArgs};
use super::hours::{self, HoursArgs};
use super::plan::{self, How, Line};
use super::priority::ShareArgs;
use super::restraint::RestraintArgs;
use super::{CliError, ask, exit};
use crate::journal::files::lock::SenderLock;
use crate::journal::model::key::State;
use crate::journal::store::test_message;
use crate::journal::store::test_message::NoTest;
use crate::journal::{self, JournalError};
use crate::message::address::Destination;
use crate::policy::hours::Hours;
use crate::policy::restraint::Restraint;
use crate::report::progress::Display;
use crate::report::{Exit, RunFacts, SendSummary};
use crate::run::pipeline;
use crate::run::pipeline::{Ended, NeverBound, Outcome, SendError, SendSettings};
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, journal_option};
use clap::Args;
use crossbeam_channel::Receiver;
use jiff::Timestamp;
use std::io::Write;
use std::time::Duration;

/// How far to go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunArgs {
    /// How long to wait for receipts, counted from the last answer or receipt
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(super) wait_receipts: Duration,
    /// Send only the first N messages of the campaign; the rest stays queued
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    #[command(flatten)]
    pub(super) restraint: RestraintArgs,
    #[command(flatten)]
    pub(super) hours: HoursArgs,
    /// Send whatever hours are said: those of the profile, and those that were kept with the campaign
    #[arg(long)]
    pub(super) ignore_hours: bool,
    #[command(flatten)]
    pub(super) budget: BudgetArgs,
    #[command(flatten)]
    pub(super) share: ShareArgs,
    /// Say what would be sent, and do nothing: nothing is bound, nothing written
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Hand over to the running service (`smppost run`), and end as soon as it has accepted; exit code 69 where none does in 5 s
    #[arg(long)]
    pub(super) detach: bool,
    /// Do not ask before many messages, or several campaigns, are sent (asked only on a terminal)
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) progress: ProgressArgs,
    #[command(flatten)]
    pub(super) finish: FinishArgs,
}

impl RunArgs {
    /// When this run sends.
    pub(super) fn hours(&self) -> Result<Hours, CliError> {
        let hours = self.hours.hours()?;
        Ok(if self.ignore_hours { Hours::default() } else { hours })
    }
}

/// A run that may begin.
pub(super) struct Begun {
    pub(super) settings: SendSettings,
    pub(super) interrupts: Receiver<()>,
    /// Held until the run has ended.
    pub(super) _simulator: Option<crate::smsc::Smsc>,
}

impl Begun {
    /// Sends the test message first, where one is asked for, and the campaign only if somebody says then that it goes.
    pub(super) fn conduct(&self, args: &RestraintArgs, lock: &SenderLock) -> Result<u8, CliError> {
        let settings = &self.settings;
        let (Some(_), [campaign]) = (&args.test_to, &settings.campaigns[..]) else {
            return conduct(settings, lock, &self.interrupts);
        };
        let path = &settings.journal;
        let options = journal::store::campaign_options::options(&journal::open_read_only(path)?, campaign)?;
        let Some(to) = args.test_number(Some(&options))? else { return conduct(settings, lock, &self.interrupts) };
        let number = Destination::parse(&to).map_err(|error| CliError::Usage(format!("--test-to: {error}")))?;
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

pub(super) fn say_dry_run(lines: &[Line], settings: &SendSettings, notes: Vec<String>) -> Result<(), CliError> {
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

pub(super) fn how(settings: &SendSettings, notes: Vec<String>) -> How<'_> {
    How {
        account: &settings.account,
        connections: settings.connections,
        rate: settings.rate,
        hours: &settings.hours,
        simulated: settings.identity.is_simulator(),
        service: None,
        notes,
    }
}

/// Whoever looks on can put right why nothing is bound; without them it is tried on.
pub(super) fn never_bound() -> NeverBound {
    if super::ask::on_terminal() { NeverBound::End } else { NeverBound::Say }
}

/// Sends, shows how it goes, and says what came of it.
pub(super) fn conduct(settings: &SendSettings, lock: &SenderLock, interrupt: &Receiver<()>) -> Result<u8, CliError> {
    let display = Display::new();
    finish::campaigns(&settings.campaigns);
    let send = |settings: &SendSettings| {
        let outcome = pipeline::send(settings, lock, interrupt, &mut |progress| display.sending(progress));
        display.clear();
        outcome
    };
    let outcome = match send(settings) {
        Err(SendError::Journal(stopped @ JournalError::Stopped { .. })) if ask::on_terminal() => {
            display.say(&stopped.to_string());
            if !ask::yes("Go on all the same?", false) {
                finish::stopped(&stopped.to_string());
                return Ok(exit::INCOMPLETE);
            }
            let restraint = Restraint { override_stop: true, ..settings.restraint.clone() };
            send(&SendSettings { restraint, ..settings.clone() })?
        }
        outcome => outcome?,
    };
    conclude(settings, &outcome, &display)
}

pub(super) fn conclude(settings: &SendSettings, outcome: &Outcome, display: &Display) -> Result<u8, CliError> {
    finish::campaigns(&outcome.campaigns);
    finish::ended(&outcome.ended);
    display.sent(&outcome.status);
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
    let opened = journal::open_read_only(&settings.journal)?;
    let summary = SendSummary::gather(&opened, &settings.journal, &outcome.campaigns, run)?;
    if matches!(outcome.ended, Ended::NothingToDo) {
        let counts = summary.counts();
        let why = match settings.limit {
            Some(limit) if counts.of(State::Queued) > 0 => {
                format!("what is queued comes after the first {limit} (--limit)")
            }
            _ if counts.of(State::InDoubt) > 0 => "what is in doubt waits for your decision".into(),
            _ if outcome.status.kept.is_some() => "what is queued may not be sent now".into(),
            _ if exhausted.is_some() => "what is queued cannot be tried again".into(),
            _ if summary.has_sent_in_part() => {
                "what is not sent yet of messages that went out in part never will be".into()
            }
            _ if summary.is_cancelled() => "what is not sent yet was cancelled".into(),
            _ if outcome.campaigns.is_empty() && journal::query::campaigns(&opened)?.is_empty() => {
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
    let over_budget = outcome.status.over_budget.as_deref();
    let kept = outcome.status.kept.as_deref();
    for why in over_budget.iter().chain(&kept) {
        writeln!(words, "{}", escape_terminal(why))?;
    }
    if let (Ended::Done | Ended::NothingToDo, false) = (&outcome.ended, exhausted.or(over_budget).or(kept).is_none()) {
        let why: Vec<&str> = [exhausted, over_budget, kept].into_iter().flatten().collect();
        finish::stopped(&why.join("; "));
    }
    summary.write(&mut words, crate::report::width())?;
    let code = match &outcome.ended {
        Ended::Interrupted => exit::INTERRUPTED,
        Ended::Halted(_) | Ended::Refused(_) => exit::ERROR,
        Ended::Stopped(_) => Exit::Unfinished.code(),
        Ended::Done | Ended::NothingToDo if exhausted.is_some() || over_budget.is_some() || kept.is_some() => {
            Exit::Unfinished.code()
        }
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
