//! What commands do that find a service (`smppost run`) at work on their journal: they hand over by a row of it, wait for the
//! answer in that row, and show how it goes on as if they did it themselves.

use super::conduct::conclude;
use super::{CliError, exit};
use crate::journal::error::HeldBy;
use crate::journal::files::lock;
use crate::journal::files::lock::SenderLock;
use crate::journal::model::command::{Answer, Request, Terms, ToRelease};
use crate::journal::model::key::State;
use crate::journal::query::Look;
use crate::journal::store::budget;
use crate::journal::store::commands;
use crate::journal::store::decisions::Decision;
use crate::journal::store::release::Released;
use crate::journal::writer::Status;
use crate::journal::{self, JournalError};
use crate::policy::controller::Findings;
use crate::report::progress::Display;
use crate::run::pipeline::{Ended, Outcome, Progress, SendSettings, Waits};
use crate::words::format::{argument, command, journal_option};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::path::Path;
use std::time::{Duration, Instant};

/// A service that is there takes a command within this time; so long one is waited for that may be starting anew.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked how a campaign stands.
const LOOK_AT_CAMPAIGN: Duration = Duration::from_millis(250);
/// A service that has ended is back within this time, where somebody starts it anew.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// What came of asking.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, for a moment")]
pub(super) enum Asked {
    /// The service answered.
    Answered(Answer),
    /// No service took it in time: it is withdrawn, and nothing comes of it.
    NotTaken,
    /// A signal came first: it is withdrawn.
    Interrupted,
}

/// Who asks, for people: the user and the process.
pub(super) fn who() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_alphanumeric() || "-_.@".contains(*c)).take(40).collect();
    let user = rustix::process::getuid().as_raw();
    match name.is_empty() {
        true => format!("user {user} (process {})", std::process::id()),
        false => format!("{name} (user {user}, process {})", std::process::id()),
    }
}

/// Asks the service. `at_most`: it is not waited any longer, whether one is there or not.
pub(super) fn ask(
    journal: &Path,
    request: &Request,
    at_most: Option<Duration>,
    interrupt: &Receiver<()>,
) -> Result<Asked, CliError> {
    let key = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    ask_as(&key, journal, request, at_most, interrupt)
}

fn ask_as(
    key: &str,
    journal: &Path,
    request: &Request,
    at_most: Option<Duration>,
    interrupt: &Receiver<()>,
) -> Result<Asked, CliError> {
    let connection = journal::open_existing(journal)?;
    let options = serde_json::to_string(request).map_err(|error| CliError::Words(error.to_string()))?;
    commands::write(&connection, key, request.what(), &who(), &options).map_err(|error| error.at(journal))?;
    crate::platform::failpoint::reach("commanded").map_err(|error| CliError::Io(error.into()))?;
    let (started, mut told) = (Instant::now(), false);
    loop {
        match commands::state(&connection, key).map_err(|error| error.at(journal))? {
            Some(commands::State::Answered(answer)) => {
                let answer = serde_json::from_str(&answer)
                    .map_err(|error| CliError::Words(format!("the service's answer {answer:?}: {error}")))?;
                if matches!(request, Request::Status) {
                    // It has changed nothing, and a monitor asks each minute.
                    let _ = commands::remove(&connection, key);
                }
                return Ok(Asked::Answered(answer));
            }
            Some(commands::State::Withdrawn) | None => return Ok(Asked::NotTaken),
            Some(commands::State::Waiting | commands::State::Taken) => {}
        }
        let (mut gives_up, mut outcome) = (false, Asked::NotTaken);
        match interrupt.recv_timeout(LOOK) {
            Ok(()) => (gives_up, outcome) = (true, Asked::Interrupted),
            // Nobody listens for signals.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if started.elapsed() >= at_most.unwrap_or(TAKEN_WITHIN) {
            let is_there = lock::service(journal).is_some();
            gives_up = gives_up || at_most.is_some() || !is_there;
            if !gives_up && !std::mem::replace(&mut told, true) {
                Display::new().say("waiting: the running service has not taken the command yet");
            }
        }
        // One that it has taken a moment ago is answered.
        if gives_up && commands::withdraw(&connection, key).map_err(|error| error.at(journal))? {
            return Ok(outcome);
        }
    }
}

/// Which service it is, in words.
pub(super) fn shown(held: &HeldBy) -> String {
    held.by.clone().unwrap_or_else(|| "smppost run".into())
}

/// Options of a run that are the campaign's own, and travel with it to the service, or are this command's alone.
const TRAVEL: [&str; 11] = [
    "limit",
    "stop-when",
    "override-stop",
    "wait-receipts",
    "prices",
    "max-cost",
    "priority",
    "campaign-rate",
    "yes",
    "detach",
    "dry-run",
];

/// Refuses by name what was typed and would not be heeded: what is the account's is the service's to decide. `own`: the options of
/// the command itself.
pub(super) fn refuse_idle(typed: &[String], own: &[String], held: &HeldBy) -> Result<(), CliError> {
    let travels = |name: &String| own.contains(name) || TRAVEL.contains(&name.as_str());
    let idle: Vec<String> = typed.iter().filter(|name| !travels(name)).map(|name| format!("--{name}")).collect();
    if idle.is_empty() {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{}: not beside the running service ({}), which sends as it was started: leave {} out, or end the service first",
        idle.join(", "),
        shown(held),
        if idle.len() == 1 { "it" } else { "them" }
    )))
}

/// The long options that these arguments have.
pub(super) fn options_of<A: clap::Args>() -> Vec<String> {
    let command = A::augment_args(clap::Command::new("smppost"));
    command.get_arguments().filter_map(|option| option.get_long().map(str::to_owned)).collect()
}

/// What asks the service to send these campaigns, as far as they are in the journal now.
pub(super) fn request(settings: &SendSettings, decisions: &[Decision]) -> Result<Request, CliError> {
    let connection = journal::open_read_only(&settings.journal)?;
    let mut campaigns = Vec::new();
    let decisions: Vec<(String, String)> =
        decisions.iter().map(journal::store::decisions::written).collect::<Result<_, _>>()?;
    for name in &settings.campaigns {
        let summary = journal::query::campaign(&connection, name)?;
        let (id, end) = (summary.id, Some(summary.end_id));
        campaigns.push(ToRelease { id, name: name.clone(), end, decisions: decisions.clone() });
    }
    let terms = Terms {
        limit: settings.limit,
        stop_when: settings.restraint.stop_when.iter().map(ToString::to_string).collect(),
        override_stop: settings.restraint.override_stop,
    };
    Ok(Request::Release { campaigns, terms })
}

/// Who is to send.
pub(super) enum Found {
    /// This command, which has the lock.
    Lock(SenderLock),
    /// The service.
    Service(HeldBy),
}

/// Finds out who is to send. `detach`: this command does not, so that a service is waited for that may be starting anew.
pub(super) fn find(journal: &Path, detach: bool, simulate: bool) -> Result<Found, CliError> {
    match SenderLock::take(journal) {
        Ok(lock) if !detach => Ok(Found::Lock(lock)),
        Ok(lock) => {
            lock.leave_nothing();
            if simulate {
                return Err(CliError::Usage("--detach: a rehearsal is sent by this command itself".into()));
            }
            await_service(journal).map(Found::Service).ok_or_else(|| {
                CliError::NotTaken(
                    "--detach: no service is running (`smppost run`): nothing was imported, nothing sent".into(),
                )
            })
        }
        Err(JournalError::Held(held)) if held.is_service && !simulate => Ok(Found::Service(held)),
        Err(error) => Err(error.into()),
    }
}

/// Waits a while for a service that may be starting anew.
fn await_service(journal: &Path) -> Option<HeldBy> {
    let started = Instant::now();
    while started.elapsed() < TAKEN_WITHIN {
        if let Some(held) = lock::service(journal) {
            return Some(held);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// Has the service send campaigns, and shows how that goes unless `detach`.
pub(super) fn release(
    settings: &SendSettings,
    request: &Request,
    detach: bool,
    interrupt: &Receiver<()>,
) -> Result<u8, CliError> {
    let journal = &settings.journal;
    let display = Display::new();
    let at_most = detach.then_some(TAKEN_WITHIN);
    let names: Vec<_> = settings.campaigns.iter().map(|name| argument(name)).collect();
    let resume = match &settings.campaigns[..] {
        [one] => command("smppost resume", one, &journal_option(journal)),
        _ => format!("smppost resume --all{}", journal_option(journal)),
    };
    match ask(journal, request, at_most, interrupt)? {
        Asked::Answered(Answer { refused: Some(why), .. }) => {
            Err(CliError::Words(format!("the service refuses: {why}")))
        }
        Asked::Answered(_) if detach => {
            display.say(&format!("{}: the running service sends it", names.join(", ")));
            Ok(exit::OK)
        }
        Asked::Answered(_) => follow(settings, interrupt, &display),
        Asked::NotTaken => {
            display.must_say(&format!(
                "no service has taken the command within {} s, and it is withdrawn: nothing of {} is released; `{resume}` beside a \
                 running service does it",
                TAKEN_WITHIN.as_secs(),
                names.join(", ")
            ));
            Ok(exit::NOT_TAKEN)
        }
        Asked::Interrupted => {
            display
                .must_say(&format!("interrupted: the command is withdrawn, nothing was released; `{resume}` does it"));
            Ok(exit::INTERRUPTED)
        }
    }
}

/// Shows how the service sends campaigns, until they are sent and receipted as far as that is waited for.
pub(super) fn follow(settings: &SendSettings, interrupt: &Receiver<()>, display: &Display) -> Result<u8, CliError> {
    let path = &settings.journal;
    let connection = journal::open_read_only(path)?;
    let ids = settings.campaigns.iter().map(|name| journal::campaign_id(&connection, name));
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    let started = Instant::now();
    let first = Look::at(&connection, &settings.campaigns, settings.limit)?;
    let mut released = Released::load(&connection)?;
    let (mut last, mut news) = (first.counts, started);
    let (mut sent_since, mut gone_since, mut said) = (None, None, None::<String>);
    let mut spent = None;
    let ended = loop {
        released.read_on(&connection)?;
        let look = Look::at(&connection, &settings.campaigns, settings.limit)?;
        if look.counts != last {
            (last, news) = (look.counts, Instant::now());
        }
        let mut notices = Vec::new();
        let waits = why_waiting(&released, settings, &ids);
        if waits != said {
            let sending = || "the service sends again".to_owned();
            notices.push(waits.clone().unwrap_or_else(sending));
            said = waits;
        }
        match lock::service_is_alive(path) {
            true if gone_since.take().is_some() => notices.push("the service is back".into()),
            true => {}
            false if gone_since.is_none() => {
                gone_since = Some(Instant::now());
                notices.push("the service has ended: waiting for it to be started anew".into());
            }
            false => {}
        }
        let status = Status {
            counts: look.counts,
            awaiting_receipts: look.awaiting,
            doubts_awaiting_receipts: look.doubts,
            all_sent: look.left == 0,
            accepted: u64::try_from(look.sent() - first.sent()).unwrap_or(0),
            ..Status::default()
        };
        let unsent = look.counts[State::Queued as usize] + look.counts[State::Sending as usize];
        let progress = Progress {
            status,
            bound: 1,
            rate: settings.rate,
            notices,
            waits: Waits::default(),
            limit: settings.limit,
            held_back: (unsent - look.left).max(0),
            hours: settings.hours.clone(),
        };
        display.sending(&progress);
        let held = ids.iter().zip(&settings.campaigns).find_map(|(id, name)| {
            let why = released.of(*id)?.held.as_ref()?;
            Some((format!("campaign {}: {}", argument(name), why.reason), budget::is_spent(&why.reason)))
        });
        if look.left == 0 {
            let since = *sent_since.get_or_insert_with(Instant::now);
            let is_waited_for = look.awaiting + look.doubts > 0 && settings.account.bind.can_receive();
            if !is_waited_for || news.max(since).elapsed() >= settings.wait_receipts {
                break Ended::Done;
            }
        } else if let Some((why, true)) = held {
            // What is on its way is waited for, as by a run of one's own.
            if look.counts[State::Sending as usize] == 0 {
                spent = Some(why);
                break Ended::Done;
            }
        } else if let Some((why, false)) = held {
            break Ended::Stopped(why);
        } else {
            sent_since = None;
        }
        if gone_since.is_some_and(|since| since.elapsed() >= BACK_WITHIN) {
            display.clear();
            display.must_say(&format!(
                "the service has ended, and nobody has started it anew for {} s: what is released goes on when `smppost run` runs",
                BACK_WITHIN.as_secs()
            ));
            return Ok(exit::ERROR);
        }
        if interrupt.recv_timeout(LOOK_AT_CAMPAIGN).is_ok() {
            display.clear();
            let pause = settings.campaigns.iter().map(|name| command("smppost pause", name, &journal_option(path)));
            display.must_say(&format!(
                "the service goes on sending; to pause it: `{}`",
                pause.take(3).collect::<Vec<_>>().join("`, `")
            ));
            return Ok(exit::INTERRUPTED);
        }
    };
    display.clear();
    let status = Status {
        counts: last,
        accepted: 0,
        all_sent: matches!(ended, Ended::Done),
        over_budget: spent,
        ..Status::default()
    };
    let outcome = Outcome {
        ended,
        status,
        recovered: Default::default(),
        campaigns: settings.campaigns.clone(),
        sending: started.elapsed(),
        found: Findings::default(),
    };
    conclude(settings, &outcome, display)
}

/// Why none of the campaigns is sent at the moment, in words; `None`: one is.
fn why_waiting(released: &Released, settings: &SendSettings, ids: &[i64]) -> Option<String> {
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
    if let Some(why) = &released.paused {
        return Some(format!("all sending is paused by {}{}", why.who, because(&why.reason)));
    }
    let mut words = None;
    for (id, name) in ids.iter().zip(&settings.campaigns) {
        let why = released.of(*id)?.paused.as_ref()?;
        words = Some(format!("campaign {}: paused by {}{}", argument(name), why.who, because(&why.reason)));
    }
    words
}
