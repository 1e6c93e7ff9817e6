//! An alert in one line: `send --to NUMBER --text … [--id KEY]`. Alerts gather in a campaign for each day, each with its own text and
//! sender.

use super::beside::{self, Asked, Followed, Found, Onlooker, ask, options_of};
use super::budget::Wish;
use super::campaign::{AlphabetArgs, CampaignArgs};
use super::conduct::Begun;
use super::finish;
use super::send::SendArgs;
use super::{CliError, exit};
use crate::import::campaign;
use crate::import::campaign::CampaignFile;
use crate::journal::model::command::{Answer, Request, Terms};
use crate::journal::model::key::State;
use crate::journal::store::alerts::Gathered;
use crate::journal::{self, Journal};
use crate::policy::hours::Hours;
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, journal_option};
use crossbeam_channel::Receiver;
use jiff::Timestamp;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

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
    // Whose day it is does not depend on whether its hours count.
    let zone = args.run.hours.hours()?.zone;
    let hours = args.run.hours()?;
    let wish = args.run.budget.wish()?;
    let day = Timestamp::now().to_zoned(zone).strftime("alerts-%Y-%m-%d").to_string();
    // Those of another priority gather by themselves.
    let day = args.run.share.change().priority.map_or(day.clone(), |priority| format!("{day}-{priority}"));
    let campaign = args.campaign.gathering(day, &args.inbound.alphabet, args.run.hours.zone_of_times())?;
    campaign.settings()?;
    wish.judge(journal, &campaign.name)?;
    match beside::find(journal, args.run.detach, false)? {
        Found::Service(held) => {
            let own = [
                options_of::<CampaignArgs>(),
                options_of::<AlphabetArgs>(),
                ["time-zone", "to", "id"].map(str::to_owned).to_vec(),
            ];
            beside::refuse_idle(typed, &own.concat(), &held)?;
            let wait_receipts = typed.iter().any(|name| name == "wait-receipts").then_some(args.run.wait_receipts);
            hand_over(args, &campaign, &wish, wait_receipts, journal)
        }
        Found::Lock(lock) => {
            let sent = begin(args, &campaign, &wish, hours, journal);
            match sent {
                Ok((begun, gathered)) => {
                    let of_run = begun.conduct(&args.run.restraint, &lock)?;
                    let of_these = conclude(journal, &gathered)?;
                    // The run sent whatever was left: what became of the others is not what was asked, unless it was ended.
                    let says_why = of_run == exit::INTERRUPTED || of_these != exit::OK && of_run != exit::OK;
                    Ok(if says_why { of_run } else { of_these })
                }
                Err(error) => {
                    lock.leave_nothing();
                    Err(error.at(journal))
                }
            }
        }
    }
}

fn gather(args: &SendArgs, campaign: &CampaignFile, wish: &Wish, journal: &Path) -> Result<Gathered, CliError> {
    let text = args.campaign.typed_text().unwrap_or_default();
    let gathered = campaign::gather(campaign, journal, &args.to, text, args.id.as_deref())?;
    wish.record(journal, &gathered.campaign)?;
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
    wish: &Wish,
    hours: Hours,
    journal: &Path,
) -> Result<(Begun, Gathered), CliError> {
    let account = args.sessions.resolve_to_send()?;
    let mut settings = args.settings(account, hours, journal, &campaign.name)?;
    super::prepare::judge(journal, &settings.identity)?;
    let gathered = gather(args, campaign, wish, journal)?;
    settings.campaigns = vec![gathered.campaign.clone()];
    let interrupts = crate::platform::signals::interrupts()?;
    Ok((Begun { settings, interrupts, _simulator: None }, gathered))
}

fn hand_over(
    args: &SendArgs,
    campaign: &CampaignFile,
    wish: &Wish,
    wait_receipts: Option<Duration>,
    journal: &Path,
) -> Result<u8, CliError> {
    let gathered = gather(args, campaign, wish, journal)?;
    finish::campaigns(std::slice::from_ref(&gathered.campaign));
    let interrupts = crate::platform::signals::interrupts()?;
    let restraint = args.run.restraint.restraint();
    let terms = Terms {
        limit: None,
        stop_when: restraint.stop_when.iter().map(ToString::to_string).collect(),
        override_stop: restraint.override_stop,
        ignore_hours: args.run.ignore_hours,
    };
    // What is not said stays as it is.
    let terms = (terms != Terms::default() || wish.is_any()).then_some(terms);
    let request = Request::Gathered { id: gathered.id, name: gathered.campaign.clone(), terms };
    let at_most = args.run.detach.then_some(TAKEN_WITHIN);
    let resume = command("smppost resume", &gathered.campaign, &journal_option(journal));
    match ask(journal, &request, at_most, &interrupts)? {
        Asked::Answered(Answer { refused: Some(why), .. }) | Asked::AnsweredAll(Answer { refused: Some(why), .. }) => {
            Err(CliError::Words(format!("the service refuses: {why}")))
        }
        Asked::Answered(_) if args.run.detach => Ok(exit::OK),
        Asked::Answered(_) => follow(journal, &gathered, wait_receipts, &interrupts),
        Asked::NotTaken => {
            let words = format!(
                "no service has taken it within {} s: it stays queued in campaign {}; `{resume}` sends it",
                TAKEN_WITHIN.as_secs(),
                argument(&gathered.campaign)
            );
            Display::new().must_say(&words);
            finish::failed(&words);
            Ok(exit::NOT_TAKEN)
        }
        Asked::AnsweredAll(_) | Asked::Interrupted => Ok(interrupted(&gathered)),
    }
}

fn interrupted(gathered: &Gathered) -> u8 {
    let campaign = argument(&gathered.campaign);
    Display::new().must_say(&format!("interrupted: it stays in campaign {campaign}, which a service sends"));
    exit::INTERRUPTED
}

/// Waits until the SMSC has answered, and, where that is asked for, for receipts. Where somebody has paused the campaign, or the
/// service has stopped it, nobody knows for how long: it is said, and not waited for.
fn follow(
    journal: &Path,
    gathered: &Gathered,
    wait_receipts: Option<Duration>,
    interrupts: &Receiver<()>,
) -> Result<u8, CliError> {
    let display = Display::new();
    let messages: Vec<i64> = gathered.placed.iter().map(|placed| placed.message).collect();
    let mut answered: Option<Instant> = None;
    let mut look = |opened: &Journal,
                    onlooker: &Onlooker<'_>,
                    news: Vec<String>|
     -> Result<ControlFlow<Option<String>>, CliError> {
        let states = journal::query::states_of(opened, &messages)?;
        let some = |these: &[State]| states.iter().any(|state| these.contains(state));
        if !some(&[State::Queued, State::Sending]) {
            let since = *answered.get_or_insert_with(Instant::now);
            let is_waited_for = wait_receipts.is_some_and(|wait| since.elapsed() < wait);
            return Ok(match is_waited_for && some(&[State::Accepted]) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(None),
            });
        }
        let held = onlooker.held(opened, gathered.id)?.map(|held| held.why);
        if let Some(why) = onlooker.why_waiting().or(held)
            && !some(&[State::Sending])
        {
            return Ok(ControlFlow::Break(Some(why)));
        }
        news.iter().for_each(|news| display.say(news));
        Ok(ControlFlow::Continue(()))
    };
    let campaigns = std::slice::from_ref(&gathered.campaign);
    match beside::follow_until((journal, campaigns), LOOK, interrupts, &display, &mut look)? {
        Followed::Done(None) => conclude(journal, gathered),
        Followed::Done(Some(why)) => {
            conclude(journal, gathered)?;
            display.must_say(&format!("what is queued stays so: {why}"));
            finish::stopped(&why);
            Ok(exit::INCOMPLETE)
        }
        Followed::Gone => {
            conclude(journal, gathered)?;
            Ok(exit::ERROR)
        }
        Followed::Interrupted => Ok(interrupted(gathered)),
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
