//! `resume`: goes on with campaigns that are in the journal.

use super::beside::Found;
use super::budget::Wish;
use super::conduct::{Begun, RunArgs, how, never_bound, say_dry_run};
use super::connection::{ConnectionArgs, InboundArgs};
use super::finish::Asked;
use super::guard::AdoptArgs;
use super::plan::{self, How, Line};
use super::restraint::refuse_unreceipted;
use super::sessions::SessionArgs;
use super::{CliError, ask, beside, exit};
use crate::client::Account;
use crate::journal::error::HeldBy;
use crate::journal::model::key::State;
use crate::journal::store::account::judge_account;
use crate::journal::store::decisions::Decision;
use crate::journal::store::release::{self, Fact, Kind, Released};
use crate::journal::{self, Journal, JournalError};
use crate::message::fields::SubmitFields;
use crate::report::progress::Display;
use crate::run::pipeline::SendSettings;
use crate::wire::CommandStatus;
use crate::words::BadValue;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, count, journal_option, number};
use clap::Args;
use std::path::Path;

/// Campaigns that are named where several are not sent.
const CAMPAIGNS_NAMED: usize = 10;
/// Options of its own.
pub(super) const OWN: [&str; 9] =
    ["all", "retry-rejected", "code", "retry-failed", "error", "field", "uncancel", "line", "time-zone"];

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

/// Goes on.
pub fn resume(args: &ResumeArgs, journal: &Path, typed: &[String]) -> Result<u8, CliError> {
    if !journal.exists() {
        return Err(JournalError::Missing(journal.into()).into());
    }
    if args.run.dry_run {
        let opened = journal::open_untouched(journal)?;
        let (sessions, notes) = args.as_before(&opened)?;
        let settings = args.settings(&sessions, sessions.check()?, journal)?;
        judge_account(&opened, journal, &settings.identity)?;
        args.added(&opened)?;
        args.judge_budget(journal)?;
        let (lines, several) = args.lines(&opened, &settings)?;
        say_dry_run(&lines, &settings, notes)?;
        if several && !args.all {
            Display::new().say(&format!("as typed it would not send these: {}", how_to_name_them(&lines, journal)));
        }
        return Ok(exit::OK);
    }
    let lock = match beside::find(journal, args.run.detach, false)? {
        Found::Lock(lock) => lock,
        Found::Service(held) => {
            beside::refuse_idle(typed, &OWN.map(str::to_owned), &held)?;
            return args.hand_over(typed, journal, &held).map_err(|error| error.at(journal));
        }
    };
    match args.begin(journal, None) {
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

impl ResumeArgs {
    /// How the account is reached.
    pub fn connection_mut(&mut self) -> &mut ConnectionArgs {
        &mut self.sessions.connection
    }

    /// How the account is reached.
    pub fn connection(&self) -> &ConnectionArgs {
        &self.sessions.connection
    }

    /// Who is to be told.
    pub fn asked(&self) -> Result<Asked<'_>, CliError> {
        self.run.asked(false)
    }

    /// Whether nothing is to be written.
    pub fn is_dry_run(&self) -> bool {
        self.run.dry_run
    }

    /// All that stands before sending; `None`: it was not meant.
    fn begin(&self, journal: &Path, service: Option<&HeldBy>) -> Result<Option<Begun>, CliError> {
        let opened = journal::open_existing(journal)?;
        let (sessions, notes) = match service {
            Some(_) => (self.sessions.clone(), Vec::new()),
            None => self.as_before(&opened)?,
        };
        let account = if service.is_some() { sessions.judge()? } else { sessions.resolve_to_send()? };
        let mut settings = self.settings(&sessions, account, journal)?;
        if self.run.restraint.test_to.is_some() && self.campaigns.len() != 1 {
            return Err(CliError::Usage("--test-to: name the one campaign of which the test message is".into()));
        }
        refuse_unreceipted(&settings.restraint, &settings.account, None)?;
        for name in &self.campaigns {
            journal::campaign_id(&opened, name)?;
            let options = journal::store::campaign_options::options(&opened, name)?;
            refuse_unreceipted(&settings.restraint, &settings.account, Some((name, &options)))?;
            self.run.restraint.test_number(Some(&options))?;
        }
        if service.is_none() {
            judge_account(&opened, journal, &settings.identity)?;
        }
        let added = self.added(&opened)?;
        let wish = self.judge_budget(journal)?;
        let (mut lines, several) = self.lines(&opened, &settings)?;
        let interrupts = crate::platform::signals::interrupts()?;
        if several && !self.all && !ask::on_terminal() {
            return Err(CliError::Usage(how_to_name_them(&lines, journal)));
        }
        if self.campaigns.is_empty() {
            // What is imported from now on was not among what is said here.
            let (unsent, waiting) = journal::query::unfinished(&opened)?;
            settings.campaigns = unsent.into_iter().chain(waiting).collect();
        }
        let mut released = Released::load(&opened)?;
        if let (None, true, Some(why)) = (service, self.campaigns.is_empty(), &released.paused) {
            if self.all {
                return Err(CliError::Usage(format!(
                    "all sending is paused by {}{}: `smppost resume{}` lifts that; nothing was sent",
                    why.who,
                    if why.reason.is_empty() { String::new() } else { format!(" ({})", why.reason) },
                    journal_option(journal)
                )));
            }
            release::append(&opened, &Fact::new(None, Kind::Resumed, "", &beside::who()))?;
            Display::new().say("the pause of all sending is over");
            released.paused = None;
        }
        if service.is_none() && self.campaigns.is_empty() {
            // What somebody paused goes on when it is named.
            let is_paused = |name: &String| -> Result<bool, JournalError> {
                let standing = released.of(journal::campaign_id(&opened, name)?);
                Ok(standing.is_some_and(|standing| standing.paused.is_some()))
            };
            let mut kept = Vec::new();
            for name in std::mem::take(&mut settings.campaigns) {
                if !is_paused(&name)? {
                    kept.push(name);
                }
            }
            if kept.is_empty() && !lines.is_empty() {
                return Err(CliError::Usage(format!(
                    "what is not sent is paused: name what is to go on, as in `{}`; nothing was sent",
                    command("smppost resume", &lines[0].campaign, &journal_option(journal))
                )));
            }
            settings.campaigns = kept;
            lines.retain(|line| settings.campaigns.contains(&line.campaign));
        }
        if lines.iter().any(|line| line.to_send > 0 || !line.also.is_empty()) {
            plan::say(&lines, &How { service: service.map(beside::shown), ..how(&settings, notes) })?;
            if !plan::is_meant(&lines, several && !self.all, self.run.yes, &|| !interrupts.is_empty()) {
                Display::new().say("nothing was sent, nothing changed");
                return Ok(None);
            }
        }
        for campaign in &settings.campaigns {
            wish.record(journal, campaign)?;
            self.run.share.record(journal, campaign)?;
        }
        for campaign in &self.campaigns {
            if !added.is_empty() {
                journal::store::added_fields::add(&opened, campaign, &added)?;
            }
            if service.is_some() {
                // The service appends what is decided, in the transaction in which it takes the command.
                continue;
            }
            for decision in self.decisions() {
                journal::store::decisions::request(&opened, campaign, &decision)?;
            }
            let id = journal::campaign_id(&opened, campaign)?;
            if released.of(id).is_some_and(|standing| standing.paused.is_some()) {
                release::append(&opened, &Fact::new(Some(id), Kind::Resumed, "", &beside::who()))?;
                Display::new().say(&format!("campaign {}: its pause is over", argument(campaign)));
            }
        }
        Ok(Some(Begun { settings, interrupts, _simulator: None }))
    }

    /// Has the running service send them; a bare `resume` lifts the pause of all sending, and releases nothing.
    fn hand_over(&self, typed: &[String], journal: &Path, service: &HeldBy) -> Result<u8, CliError> {
        if self.campaigns.is_empty() && !self.all {
            if !typed.is_empty() {
                let typed: Vec<String> = typed.iter().map(|name| format!("--{name}")).collect();
                return Err(CliError::Usage(format!(
                    "{}: of which campaign? Beside the running service `resume` without a name lifts the pause of all sending, and \
                     nothing else: name the campaign, or --all",
                    typed.join(", ")
                )));
            }
            let opened = journal::open_existing(journal)?;
            let words = match Released::load(&opened)?.paused {
                Some(_) => {
                    release::append(&opened, &Fact::new(None, Kind::Resumed, "", &beside::who()))?;
                    "sending goes on; campaigns that are paused by themselves stay so"
                }
                None => "sending is not paused; to have a campaign sent, name it",
            };
            Display::new().say(words);
            return Ok(exit::OK);
        }
        let Some(Begun { settings, interrupts, .. }) = self.begin(journal, Some(service))? else {
            return Ok(exit::INTERRUPTED);
        };
        if settings.campaigns.is_empty() {
            Display::new().say("nothing to send: every campaign has come to its end");
            return Ok(exit::OK);
        }
        let request = beside::request(&settings, &self.decisions())?;
        beside::release(&settings, &request, self.run.detach, &interrupts)
    }

    /// What is asked for of money, if every campaign named can have it.
    fn judge_budget(&self, journal: &Path) -> Result<Wish, CliError> {
        let wish = self.run.budget.wish()?;
        if wish.is_limit() && self.campaigns.len() != 1 {
            return Err(CliError::Usage("--max-cost: name the one campaign that may cost so much".into()));
        }
        self.campaigns.iter().try_for_each(|campaign| wish.judge(journal, campaign))?;
        Ok(wish)
    }

    /// The fields that are to be added, if every campaign named can have them.
    fn added(&self, opened: &Journal) -> Result<SubmitFields, CliError> {
        let fields = super::campaign::fields_of(&self.fields, self.run.hours.zone_of_times().as_ref())?;
        if fields.is_empty() {
            return Ok(fields);
        }
        if self.sessions.connection.forbids_tlvs() && !fields.tlvs.is_empty() {
            return Err(CliError::Usage(
                "--field: this account takes no optional parameters (--tlvs, --smpp-version)".into(),
            ));
        }
        for name in &self.campaigns {
            let options = journal::store::campaign_options::options(opened, name)?;
            if let Some(why) = journal::store::added_fields::refusal(opened, name, &options, &fields)? {
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
    fn as_before(&self, opened: &Journal) -> Result<(SessionArgs, Vec<String>), CliError> {
        let names = match self.campaigns.is_empty() {
            true => journal::query::unfinished(opened)?.0,
            false => self.campaigns.clone(),
        };
        let last = journal::store::runs::last(opened, &names)?;
        Ok(last.map_or_else(|| (self.sessions.clone(), Vec::new()), |last| self.sessions.with_last(&last)))
    }

    /// What would go, and whether that is of several campaigns that nobody named.
    fn lines(&self, opened: &Journal, settings: &SendSettings) -> Result<(Vec<Line>, bool), CliError> {
        let names = match self.campaigns.is_empty() {
            true => journal::query::unfinished(opened)?.0,
            false => self.campaigns.clone(),
        };
        let mut lines = Vec::new();
        for name in &names {
            let plan = journal::query::plan(opened, name, settings.limit)?;
            let mut line = Line::of(&plan);
            self.note_decisions(opened, &plan, &mut line)?;
            lines.push(line);
        }
        let several = self.campaigns.is_empty() && lines.len() > 1;
        Ok((lines, several))
    }

    /// Says of a campaign what goes besides what is queued.
    fn note_decisions(&self, opened: &Journal, plan: &journal::query::Plan, line: &mut Line) -> Result<(), CliError> {
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
            let failed = journal::store::decisions::count_came_back(opened, name, self.error.as_deref())?;
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
            hours: self.run.hours()?,
            ignore_hours: self.run.ignore_hours,
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
            serves: false,
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

fn status_code(text: &str) -> Result<u32, BadValue> {
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
