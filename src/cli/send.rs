//! `send`: imports a file and sends it.

use super::beside::{Found, options_of};
use super::budget::Wish;
use super::campaign::{AlphabetArgs, CampaignArgs};
use super::conduct::{Begun, RunArgs, how, never_bound, say_dry_run};
use super::connection::{ConnectionArgs, InboundArgs};
use super::finish::Asked;
use super::guard::AdoptArgs;
use super::import::{Allowed, Asking, in_turn, say_imported, with_commands};
use super::plan::{self, How, Line};
use super::restraint::refuse_unreceipted;
use super::sessions::SessionArgs;
use super::{CliError, ask, beside, exit, prepare};
use crate::client::{Account, TakesTlvs};
use crate::import::campaign;
use crate::import::campaign::{CampaignError, CampaignFile, Checked, Imported, Prepared};
use crate::journal::error::HeldBy;
use crate::journal::store::account::{Identity, judge_account};
use crate::journal::store::twins::Twin;
use crate::journal::{self, JournalError};
use crate::policy::hours::Hours;
use crate::policy::pacer::Rate;
use crate::report::progress::Display;
use crate::run::pipeline;
use crate::run::pipeline::SendSettings;
use clap::Args;
use crossbeam_channel::Receiver;
use std::path::Path;

/// `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub(super) campaign: CampaignArgs,
    #[command(flatten)]
    pub(super) sessions: SessionArgs,
    #[command(flatten)]
    pub(super) inbound: InboundArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub adopt: AdoptArgs,
    /// Send to a simulator started for this run instead of to an SMSC
    #[arg(long)]
    pub simulate: bool,
    /// An alert: send --text to this number; repeatable. Alerts gather in a campaign for each day
    #[arg(long, value_name = "NUMBER", conflicts_with = "file", requires = "text", allow_hyphen_values = true)]
    pub(super) to: Vec<String>,
    /// The alert's own name: the same name to the same number is never sent again
    #[arg(long, value_name = "KEY", requires = "to")]
    pub(super) id: Option<String>,
}

impl SendArgs {
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
        self.run.asked(!self.to.is_empty())
    }

    /// Whether nothing is to be written.
    pub fn is_dry_run(&self) -> bool {
        self.run.dry_run
    }

    /// Checks all that can be checked without the file and without connecting, and says what would be done.
    pub fn describe(&self) -> Result<String, CliError> {
        let words = self.sessions.describe()?;
        let campaign = self.campaign.campaign(&self.inbound.alphabet, self.run.hours.zone_of_times())?;
        campaign.settings()?;
        refuse_without_tlvs(&self.sessions.connection, &campaign)?;
        self.run.hours.hours()?;
        self.run.budget.wish()?;
        self.asked()?;
        Ok(words)
    }
}

/// Options that are about the campaign, and are heeded when its file is imported.
pub(super) fn own_options() -> Vec<String> {
    [options_of::<CampaignArgs>(), options_of::<AlphabetArgs>(), vec!["time-zone".into()]].concat()
}

/// Imports and sends. Whatever stands against sending is found before the first row is stored, or takes the rows back.
pub fn send(args: &SendArgs, journal: &Path, typed: &[String]) -> Result<u8, CliError> {
    if !args.to.is_empty() {
        return super::alert::send(args, journal, typed);
    }
    let campaign = args.campaign.campaign(&args.inbound.alphabet, args.run.hours.zone_of_times())?;
    campaign.settings()?;
    let hours = args.run.hours()?;
    refuse_without_tlvs(&args.sessions.connection, &campaign)?;
    let journal = if args.simulate { prepare::rehearsal_journal(journal)? } else { journal.to_owned() };
    let wish = args.run.budget.wish()?;
    if args.run.dry_run {
        wish.judge(&journal, &campaign.name)?;
        return args.dry_run(&campaign, &hours, &journal);
    }
    // Before anything else, so that of many that start at once all but one end here.
    let lock = match beside::find(&journal, args.run.detach, args.simulate)? {
        Found::Lock(lock) => lock,
        Found::Service(held) => {
            beside::refuse_idle(typed, &own_options(), &held)?;
            return args.hand_over(&campaign, hours, &wish, &journal, &held);
        }
    };
    match args.begin(&campaign, hours, &wish, &journal, None) {
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
pub(super) fn refuse_without_tlvs(connection: &ConnectionArgs, campaign: &CampaignFile) -> Result<(), CliError> {
    match campaign.options.needs_tlvs() {
        Some(option) if connection.forbids_tlvs() => Err(CliError::Usage(format!(
            "{option} needs optional parameters: SMPP 3.3 has none, and --tlvs no forbids them; use --smpp-version 3.4, or \
             --concat udh8 and --via submit_sm"
        ))),
        _ => Ok(()),
    }
}

/// A simulator for one run, that has the limits the run is to keep.
pub(super) fn simulator(sessions: &SessionArgs) -> Result<crate::smsc::Smsc, CliError> {
    let mut settings = crate::smsc::Settings::default();
    settings.listen.set_port(0);
    settings.max_connections = sessions.connections()?;
    settings.rate = match sessions.pace.rate() {
        Rate::PerSecond(rate) => Some(rate.ceil() as u32),
        Rate::Unlimited => None,
    };
    Ok(crate::smsc::Smsc::start(settings)?)
}

impl SendArgs {
    /// All that stands before sending; `None`: it was not meant.
    fn begin(
        &self,
        campaign: &CampaignFile,
        hours: Hours,
        wish: &Wish,
        journal: &Path,
        service: Option<&HeldBy>,
    ) -> Result<Option<Begun>, CliError> {
        let (settings, simulator) = if service.is_some() {
            (self.settings(self.sessions.judge()?, hours, journal, &campaign.name)?, None)
        } else if self.simulate {
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
        if service.is_none() {
            prepare::judge(journal, &settings.identity)?;
        }
        wish.judge(journal, &campaign.name)?;
        self.run.restraint.test_number(Some(&campaign.options))?;
        let display = Display::new();
        // The journal that a service holds has its account.
        let account = service.is_none().then(|| settings.identity.shown());
        let allowed = Allowed::of(&self.campaign);
        let mut asking = Asking { display: &display, allowed, is_again_meant: false };
        let mut campaign = campaign.clone();
        campaign.reading.will_ask = ask::on_terminal();
        let campaign = &campaign;
        let prepared =
            in_turn(campaign, journal, &display, || campaign::prepare(campaign, journal, account, &mut asking));
        let asked = asking.is_again_meant;
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
        match (self.is_meant(&settings, asked, service, &interrupts), pending) {
            (Ok(true), pending) => {
                match pending {
                    Some(pending) => {
                        // Its limit first: from the moment on that it is there, any run may send it.
                        if let Err(error) = self.limit(wish, &pending) {
                            pending.abandon();
                            return Err(error);
                        }
                        say_imported(&campaign.name, journal, &pending.release()?, &display);
                    }
                    None => {
                        wish.record(journal, &campaign.name)?;
                        self.run.share.record(journal, &campaign.name)?;
                    }
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

    /// Imports, and has the running service send it.
    fn hand_over(
        &self,
        campaign: &CampaignFile,
        hours: Hours,
        wish: &Wish,
        journal: &Path,
        service: &HeldBy,
    ) -> Result<u8, CliError> {
        let begun = self.begin(campaign, hours, wish, journal, Some(service)).map_err(|error| error.at(journal))?;
        let Some(Begun { settings, interrupts, .. }) = begun else { return Ok(exit::INTERRUPTED) };
        let request = beside::request(&settings, &[])?;
        beside::release(&settings, &request, self.run.detach, &interrupts)
    }

    fn limit(&self, wish: &Wish, pending: &campaign::Pending) -> Result<(), CliError> {
        pending.share(self.run.share.change())?;
        match wish.with(None)? {
            Some(budget) => Ok(pending.limit(&budget)?),
            None => Ok(()),
        }
    }

    /// Judges what is in the journal now, says what would go, and asks where that is to be asked and was not yet.
    fn is_meant(
        &self,
        settings: &SendSettings,
        asked: bool,
        service: Option<&HeldBy>,
        interrupts: &Receiver<()>,
    ) -> Result<bool, CliError> {
        let opened = journal::open_read_only(&settings.journal)?;
        if settings.account.tlvs == TakesTlvs::No {
            pipeline::refuse_tlvs(&opened, &settings.campaigns)?;
        }
        let mut lines = Vec::new();
        for name in &settings.campaigns {
            lines.push(Line::of(&journal::query::plan(&opened, name, settings.limit)?));
        }
        if lines.iter().all(|line| line.to_send == 0) {
            return Ok(true);
        }
        plan::say(&lines, &How { service: service.map(beside::shown), ..how(settings, Vec::new()) })?;
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
            Ok(opened) => {
                judge_account(&opened, journal, &settings.identity)?;
                let known = campaign::compare(campaign, &opened).map_err(|error| with_commands(error, journal))?;
                match known {
                    Some(_) => Some(Line::of(&journal::query::plan(&opened, &campaign.name, settings.limit)?)),
                    None => None,
                }
            }
            Err(JournalError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let line = match recorded {
            Some(line) => line,
            None => {
                let Checked { tally, twins, .. } = campaign::check(campaign, journal, None, &[])?;
                if let Some(twin) = twins.into_iter().find(Twin::repeats).filter(|_| !self.campaign.allow_same_file) {
                    let (path, resume) = (campaign.path.clone(), campaign::resume_command(&twin.name, journal));
                    return Err(CampaignError::Same { path, twin: Box::new(twin), asked: false, resume }.into());
                }
                campaign::refuse_unasked(&campaign.path, &tally.facts, self.campaign.allow_placeholders)?;
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

    pub(super) fn settings(
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
            ignore_hours: self.run.ignore_hours,
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
            serves: false,
            account: Account { receipts: self.inbound.reading(), ..account },
        })
    }
}
