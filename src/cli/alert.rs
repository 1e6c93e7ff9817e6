//! An alert in one line: `send --to NUMBER --text … [--id KEY]`. Alerts gather in a campaign for each day, each with its own text and
//! sender.

use super::beside::{self, Asked, Found, ask, options_of};
use super::campaign::{AlphabetArgs, CampaignArgs};
use super::conduct::Begun;
use super::send::SendArgs;
use super::{CliError, exit};
use crate::import::campaign;
use crate::import::campaign::CampaignFile;
use crate::journal;
use crate::journal::model::command::{Answer, Request};
use crate::journal::model::key::State;
use crate::journal::store::alerts::Gathered;
use crate::policy::hours::Hours;
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, journal_option};
use crossbeam_channel::Receiver;
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;

/// How often it is looked whether the SMSC has taken it.
const LOOK: Duration = Duration::from_millis(20);
/// A running service takes a command within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// Sends.
pub fn send(args: &SendArgs, journal: &Path, typed: &[String]) -> Result<u8, CliError> {
    if args.simulate || args.run.dry_run || args.run.limit.is_some() {
        return Err(CliError::Usage("--to: not with --simulate, --dry-run or --limit".into()));
    }
    if args.id.as_ref().is_some_and(|id| id.trim().is_empty()) {
        return Err(CliError::Usage("--id: a name must not be empty".into()));
    }
    let hours = args.run.hours.hours()?;
    let day = Timestamp::now().to_zoned(hours.zone.clone()).strftime("alerts-%Y-%m-%d").to_string();
    // Those of another priority gather by themselves.
    let day = args.run.share.change().priority.map_or(day.clone(), |priority| format!("{day}-{priority}"));
    let campaign = args.campaign.gathering(day, &args.inbound.alphabet, args.run.hours.zone_of_times())?;
    campaign.settings()?;
    match beside::find(journal, args.run.detach, false)? {
        Found::Service(held) => {
            let own = [
                options_of::<CampaignArgs>(),
                options_of::<AlphabetArgs>(),
                ["time-zone", "to", "id"].map(str::to_owned).to_vec(),
            ];
            beside::refuse_idle(typed, &own.concat(), &held)?;
            hand_over(args, &campaign, journal)
        }
        Found::Lock(lock) => {
            let sent = begin(args, &campaign, hours, journal);
            match sent {
                Ok((begun, gathered)) => {
                    begun.conduct(&args.run.restraint, &lock)?;
                    conclude(journal, &gathered)
                }
                Err(error) => {
                    lock.leave_nothing();
                    Err(error.at(journal))
                }
            }
        }
    }
}

fn gather(args: &SendArgs, campaign: &CampaignFile, journal: &Path) -> Result<Gathered, CliError> {
    let text = args.campaign.typed_text().unwrap_or_default();
    let gathered = campaign::gather(campaign, journal, &args.to, text, args.id.as_deref())?;
    args.run.share.record(journal, &gathered.campaign)?;
    for placed in gathered.placed.iter().filter(|placed| placed.is_known) {
        Display::new().say(&format!("{}: known by its --id, and not sent again", placed.destination));
    }
    Ok(gathered)
}

/// Without a service this command sends, and whatever of the day's alerts was left.
fn begin(
    args: &SendArgs,
    campaign: &CampaignFile,
    hours: Hours,
    journal: &Path,
) -> Result<(Begun, Gathered), CliError> {
    let account = args.sessions.resolve_to_send()?;
    let mut settings = args.settings(account, hours, journal, &campaign.name)?;
    super::prepare::judge(journal, &settings.identity)?;
    let gathered = gather(args, campaign, journal)?;
    settings.campaigns = vec![gathered.campaign.clone()];
    let interrupts = crate::platform::signals::interrupts()?;
    Ok((Begun { settings, interrupts, _simulator: None }, gathered))
}

fn hand_over(args: &SendArgs, campaign: &CampaignFile, journal: &Path) -> Result<u8, CliError> {
    let gathered = gather(args, campaign, journal)?;
    let interrupts = crate::platform::signals::interrupts()?;
    let request = Request::Gathered { id: gathered.id, name: gathered.campaign.clone() };
    let at_most = args.run.detach.then_some(TAKEN_WITHIN);
    let resume = command("smppost resume", &gathered.campaign, &journal_option(journal));
    match ask(journal, &request, at_most, &interrupts)? {
        Asked::Answered(Answer { refused: Some(why), .. }) => {
            Err(CliError::Words(format!("the service refuses: {why}")))
        }
        Asked::Answered(_) if args.run.detach => Ok(exit::OK),
        Asked::Answered(_) => follow(journal, &gathered, &interrupts),
        Asked::NotTaken => {
            Display::new().must_say(&format!(
                "no service has taken it within {} s: it stays queued in campaign {}; `{resume}` sends it",
                TAKEN_WITHIN.as_secs(),
                argument(&gathered.campaign)
            ));
            Ok(exit::NOT_TAKEN)
        }
        Asked::Interrupted => Ok(interrupted(&gathered)),
    }
}

fn interrupted(gathered: &Gathered) -> u8 {
    let campaign = argument(&gathered.campaign);
    Display::new().must_say(&format!("interrupted: it stays in campaign {campaign}, which a service sends"));
    exit::INTERRUPTED
}

/// Waits until the SMSC has answered.
fn follow(journal: &Path, gathered: &Gathered, interrupts: &Receiver<()>) -> Result<u8, CliError> {
    let opened = journal::open_read_only(journal)?;
    let messages: Vec<i64> = gathered.placed.iter().map(|placed| placed.message).collect();
    loop {
        let states = journal::query::states_of(&opened, &messages)?;
        if !states.iter().any(|state| matches!(state, State::Queued | State::Sending)) {
            return conclude(journal, gathered);
        }
        if interrupts.recv_timeout(LOOK).is_ok() {
            return Ok(interrupted(gathered));
        }
    }
}

/// Says what became of each of them.
fn conclude(journal: &Path, gathered: &Gathered) -> Result<u8, CliError> {
    let opened = journal::open_read_only(journal)?;
    let messages: Vec<i64> = gathered.placed.iter().map(|placed| placed.message).collect();
    let states = journal::query::states_of(&opened, &messages)?;
    let mut code = exit::OK;
    for (placed, state) in gathered.placed.iter().zip(states) {
        let words = format!("{}: {}", escape_terminal(&placed.destination), state.name());
        match state {
            State::Accepted | State::Delivered => Display::new().say(&words),
            State::Queued | State::Sending => {
                Display::new().must_say(&words);
                code = exit::ERROR;
            }
            _ => {
                Display::new().must_say(&words);
                code = if code == exit::OK { exit::INCOMPLETE } else { code };
            }
        }
    }
    Ok(code)
}
