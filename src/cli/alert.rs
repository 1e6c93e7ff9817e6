//! An alert in one line: `send --to NUMBER --text … [--id KEY]`. Alerts gather in a campaign for each day, each with its own text and
//! sender.

use super::beside::{self, Asked, Followed, Found, Onlooker, ask};
use super::budget::Wish;
use super::conduct::Begun;
use super::finish;
use super::send::{SendArgs, own_options};
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

/// Options of `send` that are about the file that it imports.
const OF_FILES: [&str; 9] = [
    "to-column",
    "skip-sent-within",
    "delimiter",
    "encoding",
    "sheet",
    "allow-same-file",
    "allow-placeholders",
    "allow-duplicates",
    "strict",
];

/// Sends.
pub fn send(args: &SendArgs, journal: &Path, typed: &[String]) -> Result<u8, CliError> {
    if args.simulate || args.run.dry_run || args.run.limit.is_some() {
        return Err(CliError::Usage("--to: not with --simulate, --dry-run or --limit".into()));
    }
    let idle = typed.iter().find(|name| OF_FILES.contains(&name.as_str()));
    if let Some(name) = idle {
        return Err(CliError::Usage(format!(
            "--{name}: an alert (--to) comes from no file, so that it means nothing: leave it out"
        )));
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
            let own = [own_options(), ["to", "id"].map(str::to_owned).to_vec()].concat();
            beside::refuse_idle(typed, &own, &held)?;
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

/// Where those are that are known by their name and were not sent: in the campaign of another day, or under another name.
fn still_queued(journal: &Path, gathered: &Gathered) -> Result<Vec<(i64, String)>, CliError> {
    let opened = journal::open_read_only(journal)?;
    let known: Vec<i64> =
        gathered.placed.iter().filter(|placed| placed.is_known).map(|placed| placed.message).collect();
    let mut found: Vec<(i64, String)> = Vec::new();
    for (&message, state) in known.iter().zip(journal::query::states_of(&opened, &known)?) {
        if state == State::Queued
            && let Some(campaign) = journal::store::alerts::campaign_of(&opened, message)?
            && !found.contains(&campaign)
        {
            found.push(campaign);
        }
    }
    Ok(found)
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
    settings.campaigns.extend(still_queued(journal, &gathered)?.into_iter().map(|(_, name)| name));
    settings.campaigns.dedup();
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
    // What an earlier command of the same name has left behind goes where it is.
    let mut campaigns = still_queued(journal, &gathered)?;
    campaigns.retain(|(id, _)| *id != gathered.id);
    let others = campaigns.len();
    campaigns.insert(0, (gathered.id, gathered.campaign.clone()));
    let names: Vec<String> = campaigns.iter().map(|(_, name)| name.clone()).collect();
    finish::campaigns(&names);
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
    let at_most = args.run.detach.then_some(TAKEN_WITHIN);
    let is_all_known = gathered.placed.iter().all(|placed| placed.is_known);
    for (n, (id, name)) in campaigns.into_iter().enumerate() {
        if n == 0 && is_all_known && others > 0 && terms.is_none() {
            // What is left of them is in the others.
            continue;
        }
        let resume = command("smppost resume", &name, &journal_option(journal));
        let terms = if n == 0 { terms.clone() } else { None };
        match ask(journal, &Request::Gathered { id, name: name.clone(), terms }, at_most, &interrupts)? {
            Asked::Answered(Answer { refused: Some(why), .. })
            | Asked::AnsweredAll(Answer { refused: Some(why), .. }) => {
                return Err(CliError::Words(format!("the service refuses: {why}")));
            }
            Asked::Answered(_) => {}
            Asked::NotTaken => {
                let words = format!(
                    "no service has taken it within {} s: it stays queued in campaign {}; `{resume}` sends it",
                    TAKEN_WITHIN.as_secs(),
                    argument(&name)
                );
                Display::new().must_say(&words);
                finish::failed(&words);
                return Ok(exit::NOT_TAKEN);
            }
            Asked::AnsweredAll(_) | Asked::Interrupted => return Ok(interrupted(&gathered)),
        }
    }
    if args.run.detach { Ok(exit::OK) } else { follow(journal, (&gathered, &names), wait_receipts, &interrupts) }
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
    (gathered, campaigns): (&Gathered, &[String]),
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
        let held = onlooker.one_held(opened)?.map(|held| held.why);
        if let Some(why) = onlooker.why_waiting().or(held)
            && !some(&[State::Sending])
        {
            return Ok(ControlFlow::Break(Some(why)));
        }
        news.iter().for_each(|news| display.say(news));
        Ok(ControlFlow::Continue(()))
    };
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
        if placed.is_known && journal::query::is_purged(&opened, placed.message)? {
            Display::new().say(&format!("{}: what became of it is purged", escape_terminal(&placed.destination)));
            continue;
        }
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
