//! What commands do that find a service (`smppost run`) at work on their journal: they hand over by a row of it, wait for the
//! answer in that row, and show how it goes on as if they did it themselves.

mod asking;

use super::conduct::conclude;
use super::finish;
use super::{CliError, exit};
use crate::journal::error::HeldBy;
use crate::journal::files::lock;
use crate::journal::files::lock::SenderLock;
use crate::journal::model::command::{Answer, Request, Terms, ToRelease};
use crate::journal::model::key::State;
use crate::journal::query::{Look, Looked};
use crate::journal::store::commands;
use crate::journal::store::decisions::Decision;
use crate::journal::store::release::{Released, Why};
use crate::journal::store::restraint;
use crate::journal::writer::Status;
use crate::journal::{self, Journal, JournalError};
use crate::policy::controller::Findings;
use crate::report::progress::Display;
use crate::report::progress_json;
use crate::run::pipeline::{Ended, Outcome, Progress, SendSettings, Waits};
use crate::words::format::{argument, command, count, journal_option};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) use asking::{Handed, operate};

/// A service that is there takes a command within this time; so long one is waited for that may be starting anew.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(20);
/// So long another command may hold the lock only to see whether there is a service.
const LOOKING_ENDS: Duration = Duration::from_millis(500);
/// How often it is looked how a campaign stands.
const LOOK_AT_CAMPAIGN: Duration = Duration::from_millis(250);
/// Looking takes this part of the time at most, however much there is to be looked at; but it is looked at least as often as that.
const LOOKING_PART: u32 = 10;
const LOOK_AT_LEAST: Duration = Duration::from_secs(10);
/// A service that has ended is back within this time, where somebody starts it anew.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// What came of asking.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, for a moment")]
pub(super) enum Asked {
    /// The service answered.
    Answered(Answer),
    /// A signal came, and the service had taken the command already: this is what it answered.
    AnsweredAll(Answer),
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
    if let (Request::Status, Some(at_most)) = (request, at_most) {
        commands::wait_at_most(&connection, at_most).map_err(|error| error.at(journal))?;
    }
    let options = serde_json::to_string(request).map_err(|error| CliError::Words(error.to_string()))?;
    commands::write(&connection, key, request.what(), &who(), &options).map_err(|error| error.at(journal))?;
    crate::platform::failpoint::reach("commanded").map_err(|error| CliError::Io(error.into()))?;
    let is_question = matches!(request, Request::Status);
    let waited = wait_for(&connection, (key, journal), at_most, interrupt, false)?;
    if is_question {
        // It has changed nothing, and a monitor asks each minute.
        let _ = commands::remove(&connection, key);
    }
    Ok(match waited {
        Waited::Answered { answer, interrupted: true } => Asked::AnsweredAll(answer),
        Waited::Answered { answer, interrupted: false } => Asked::Answered(answer),
        Waited::Interrupted => Asked::Interrupted,
        Waited::NotTaken | Waited::Accepted { .. } => Asked::NotTaken,
    })
}

/// What came of waiting for the service to take a command.
#[allow(clippy::large_enum_variant, reason = "there is one of it, for a moment")]
enum Waited {
    Answered { answer: Answer, interrupted: bool },
    Accepted { id: i64, interrupted: bool },
    NotTaken,
    Interrupted,
}

/// Waits until the service has answered a command, or, where that is enough, accepted it. Where none does, or a signal comes first,
/// it is withdrawn.
fn wait_for(
    connection: &Journal,
    (key, journal): (&str, &Path),
    at_most: Option<Duration>,
    interrupt: &Receiver<()>,
    acceptance_is_enough: bool,
) -> Result<Waited, CliError> {
    let (started, mut told, mut interrupted) = (Instant::now(), false, false);
    loop {
        match commands::state(connection, key).map_err(|error| error.at(journal))? {
            Some(commands::State::Answered(answer)) => {
                let answer = serde_json::from_str(&answer)
                    .map_err(|error| CliError::Words(format!("the service's answer {answer:?}: {error}")))?;
                return Ok(Waited::Answered { answer, interrupted });
            }
            Some(commands::State::Accepted(id)) if acceptance_is_enough => {
                return Ok(Waited::Accepted { id, interrupted });
            }
            Some(commands::State::Withdrawn) | None => return Ok(Waited::NotTaken),
            Some(commands::State::Waiting | commands::State::Accepted(_)) => {}
        }
        match interrupt.recv_timeout(LOOK) {
            Ok(()) => interrupted = true,
            // Nobody listens for signals.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let mut gives_up = interrupted;
        if started.elapsed() >= at_most.unwrap_or(TAKEN_WITHIN) {
            let is_there = lock::service(journal).is_some();
            gives_up = gives_up || at_most.is_some() || !is_there;
            if !gives_up && !std::mem::replace(&mut told, true) {
                Display::new().say("waiting: the running service has not taken the command yet");
            }
        }
        // One that it has taken a moment ago is answered.
        if gives_up && commands::withdraw(connection, key).map_err(|error| error.at(journal))? {
            return Ok(if interrupted { Waited::Interrupted } else { Waited::NotTaken });
        }
    }
}

/// Which service it is, in words.
pub(super) fn shown(held: &HeldBy) -> String {
    held.by.clone().unwrap_or_else(|| "smppost run".into())
}

/// Options of a run that are the campaign's own, and travel with it to the service, or are this command's alone.
const TRAVEL: [&str; 14] = [
    "limit",
    "stop-when",
    "override-stop",
    "ignore-hours",
    "wait-receipts",
    "prices",
    "max-cost",
    "priority",
    "campaign-rate",
    "yes",
    "detach",
    "dry-run",
    "on-finish",
    "progress",
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
        ignore_hours: settings.ignore_hours,
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
    let started = Instant::now();
    loop {
        match SenderLock::take(journal) {
            Ok(lock) if !detach => return Ok(Found::Lock(lock)),
            Ok(lock) => {
                lock.leave_nothing();
                if simulate {
                    return Err(CliError::Usage("--detach: a rehearsal is sent by this command itself".into()));
                }
                return await_service(journal).map(Found::Service).ok_or_else(|| {
                    CliError::NotTaken(
                        "--detach: no service is running (`smppost run`): nothing was imported, sent or asked".into(),
                    )
                });
            }
            Err(JournalError::Held(held)) if held.is_service && !simulate => return Ok(Found::Service(held)),
            // Another command may hold it only to see whether there is a service.
            Err(JournalError::Held(_)) if started.elapsed() < LOOKING_ENDS => std::thread::sleep(LOOK),
            Err(error) => return Err(error.into()),
        }
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
    finish::campaigns(&settings.campaigns);
    let at_most = detach.then_some(TAKEN_WITHIN);
    let names: Vec<_> = settings.campaigns.iter().map(|name| argument(name)).collect();
    let resume = match &settings.campaigns[..] {
        [one] => command("smppost resume", one, &journal_option(journal)),
        _ => format!("smppost resume --all{}", journal_option(journal)),
    };
    match ask(journal, request, at_most, interrupt)? {
        Asked::Answered(Answer { refused: Some(why), .. }) | Asked::AnsweredAll(Answer { refused: Some(why), .. }) => {
            Err(CliError::Words(format!("the service refuses: {why}")))
        }
        Asked::AnsweredAll(_) => Ok(leave_at_work(&settings.campaigns, journal, &display)),
        Asked::Answered(_) if detach => {
            display.say(&format!("{}: the running service sends it", names.join(", ")));
            Ok(exit::OK)
        }
        Asked::Answered(_) => follow(settings, interrupt, &display),
        Asked::NotTaken => {
            let words = format!(
                "no service has taken the command within {} s, and it is withdrawn: nothing of {} is released; `{resume}` beside a \
                 running service does it",
                TAKEN_WITHIN.as_secs(),
                names.join(", ")
            );
            display.must_say(&words);
            finish::failed(&words);
            Ok(exit::NOT_TAKEN)
        }
        Asked::Interrupted => {
            display
                .must_say(&format!("interrupted: the command is withdrawn, nothing was released; `{resume}` does it"));
            Ok(exit::INTERRUPTED)
        }
    }
}

/// The service goes on, whoever looks on or not.
pub(super) fn leave_at_work(campaigns: &[String], journal: &Path, display: &Display) -> u8 {
    display.clear();
    let pause = campaigns.iter().map(|name| command("smppost pause", name, &journal_option(journal)));
    display.must_say(&format!(
        "the service goes on sending; to pause it: `{}`",
        pause.take(3).collect::<Vec<_>>().join("`, `")
    ));
    exit::INTERRUPTED
}

/// What is seen of the service and of campaigns that it is to send.
pub(super) struct Onlooker<'a> {
    journal: &'a Path,
    /// Each with its number.
    campaigns: Vec<(i64, &'a String)>,
    released: Released,
    gone_since: Option<Instant>,
    back_within: Duration,
    said: Option<String>,
}

/// A campaign that the service has stopped.
pub(super) struct Held {
    /// Which, and why, in words.
    pub(super) why: String,
    /// By a rule: it goes on when that is overridden.
    pub(super) by_rule: bool,
}

impl<'a> Onlooker<'a> {
    fn new(opened: &Journal, journal: &'a Path, campaigns: &'a [String]) -> Result<Self, CliError> {
        let ids = campaigns.iter().map(|name| Ok((journal::campaign_id(opened, name)?, name)));
        Ok(Self {
            journal,
            campaigns: ids.collect::<Result<_, JournalError>>()?,
            released: Released::load(opened)?,
            gone_since: None,
            back_within: BACK_WITHIN,
            said: None,
        })
    }

    /// Takes in what was decided since, and whether the service is there. Returns what is news.
    fn look(&mut self, opened: &Journal) -> Result<Vec<String>, CliError> {
        self.released.read_on(opened)?;
        let mut notices = Vec::new();
        let waits = self.why_waiting();
        if waits != self.said {
            let sending = || "the service sends again".to_owned();
            notices.push(waits.clone().unwrap_or_else(sending));
            self.said = waits;
        }
        match lock::service_is_alive(self.journal) {
            true if self.gone_since.take().is_some() => notices.push("the service is back".into()),
            true => {}
            false if self.gone_since.is_none() => {
                self.gone_since = Some(Instant::now());
                notices.push("the service has ended: waiting for it to be started anew".into());
            }
            false => {}
        }
        Ok(notices)
    }

    /// Why none of the campaigns is sent at the moment, in words, where somebody paused them; `None`: one is.
    pub(super) fn why_waiting(&self) -> Option<String> {
        let paused = |why: &Why| match why.reason.is_empty() {
            true => format!("paused by {}", why.who),
            false => format!("paused by {}: {}", why.who, why.reason),
        };
        if let Some(why) = &self.released.paused {
            return Some(format!("all sending is {}", paused(why)));
        }
        let mut words = None;
        for (id, name) in &self.campaigns {
            let why = self.released.of(*id)?.paused.as_ref()?;
            words = Some(format!("campaign {}: {}", argument(name), paused(why)));
        }
        words
    }

    /// A campaign that the service has stopped, if there is one.
    pub(super) fn one_held(&self, opened: &Journal) -> Result<Option<Held>, JournalError> {
        for (id, _) in &self.campaigns {
            let held = self.held(opened, *id)?;
            if held.is_some() {
                return Ok(held);
            }
        }
        Ok(None)
    }

    /// Whether the service has stopped a campaign, and why.
    pub(super) fn held(&self, opened: &Journal, campaign: i64) -> Result<Option<Held>, JournalError> {
        let Some((id, name)) = self.campaigns.iter().find(|(id, _)| *id == campaign) else { return Ok(None) };
        let Some(why) = self.released.of(*id).and_then(|standing| standing.held.as_ref()) else { return Ok(None) };
        let by_rule = restraint::is_stopped(opened, *id)?;
        Ok(Some(Held { why: format!("campaign {}: {}", argument(name), why.reason), by_rule }))
    }
}

/// How looking on has ended.
pub(super) enum Followed<T> {
    /// With this.
    Done(T),
    /// The service has ended, and did not come back. That was said.
    Gone,
    /// By a signal.
    Interrupted,
}

/// What is done at each look, with what is news: whether enough is seen.
type Looking<'l, T> = dyn FnMut(&Journal, &Onlooker<'_>, Vec<String>) -> Result<ControlFlow<T>, CliError> + 'l;

/// Looks at campaigns that the service is to send, about as often as is said, until `look` has seen enough. It is given what is
/// news.
pub(super) fn follow_until<T>(
    (journal, campaigns): (&Path, &[String]),
    often: Duration,
    interrupt: &Receiver<()>,
    display: &Display,
    look: &mut Looking<'_, T>,
) -> Result<Followed<T>, CliError> {
    let opened = journal::open_read_only(journal)?;
    let onlooker = Onlooker::new(&opened, journal, campaigns)?;
    onlooker.follow(&opened, often, interrupt, display, look)
}

impl Onlooker<'_> {
    fn follow<T>(
        mut self,
        opened: &Journal,
        often: Duration,
        interrupt: &Receiver<()>,
        display: &Display,
        look: &mut Looking<'_, T>,
    ) -> Result<Followed<T>, CliError> {
        loop {
            let began = Instant::now();
            let news = self.look(opened)?;
            if let ControlFlow::Break(done) = look(opened, &self, news)? {
                display.clear();
                return Ok(Followed::Done(done));
            }
            if self.gone_since.is_some_and(|since| since.elapsed() >= self.back_within) {
                display.clear();
                let words = format!(
                    "the service has ended, and nobody has started it anew for {} s: what is released goes on when `smppost run` \
                     runs",
                    self.back_within.as_secs()
                );
                display.must_say(&words);
                finish::failed(&words);
                return Ok(Followed::Gone);
            }
            let pause = often.max(began.elapsed() * (LOOKING_PART - 1)).min(LOOK_AT_LEAST);
            if interrupt.recv_timeout(pause).is_ok() {
                return Ok(Followed::Interrupted);
            }
        }
    }
}

/// How campaigns that were followed have ended.
struct Conclusion {
    ended: Ended,
    counts: [i64; State::COUNT],
    /// What else keeps messages queued, in words.
    kept: Option<String>,
    exhausted: Option<String>,
}

/// Shows how the service sends campaigns, until they are sent and receipted as far as that is waited for.
fn follow(settings: &SendSettings, interrupt: &Receiver<()>, display: &Display) -> Result<u8, CliError> {
    let path = &settings.journal;
    let campaigns = &settings.campaigns;
    if let Some(lines) = progress_json::lines() {
        lines.look_on();
    }
    let (started, opened) = (Instant::now(), journal::open_read_only(path)?);
    let mut looked = Looked::of(&opened, campaigns, settings.limit)?;
    drop(opened);
    let mut first: Option<Look> = None;
    let (mut last, mut news) = ([0; State::COUNT], started);
    let mut sent_since: Option<Instant> = None;
    let mut look = |opened: &Journal,
                    onlooker: &Onlooker<'_>,
                    notices: Vec<String>|
     -> Result<ControlFlow<Conclusion>, CliError> {
        let (looks, mut held) = (looked.look(opened)?, Vec::new());
        let mut look = Look::default();
        // What is on its way of a campaign that is held is waited for, as by a run of one's own; the rest of it is not.
        let mut left = 0;
        for (campaign, one) in &looks {
            look.add(one);
            if one.left == 0 {
                continue;
            }
            match onlooker.held(opened, *campaign)? {
                Some(why) => {
                    left += one.counts[State::Sending as usize];
                    held.push(why);
                }
                None => left += one.left,
            }
        }
        let first = first.get_or_insert(look);
        if look.counts != last {
            (last, news) = (look.counts, Instant::now());
        }
        let status = Status {
            counts: look.counts,
            awaiting_receipts: look.awaiting,
            doubts_awaiting_receipts: look.doubts,
            all_sent: left == 0,
            accepted: u64::try_from(look.sent() - first.sent()).unwrap_or(0),
            ..Status::default()
        };
        let unsent = look.counts[State::Queued as usize] + look.counts[State::Sending as usize];
        display.sending(&Progress {
            status,
            bound: 1,
            rate: settings.rate,
            notices,
            waits: Waits::default(),
            limit: settings.limit,
            held_back: (unsent - left).max(0),
            hours: settings.hours.clone(),
        });
        if left > 0 {
            sent_since = None;
            return Ok(ControlFlow::Continue(()));
        }
        let since = *sent_since.get_or_insert_with(Instant::now);
        let is_waited_for = held.is_empty() && look.awaiting + look.doubts > 0 && settings.account.bind.can_receive();
        if is_waited_for && news.max(since).elapsed() < settings.wait_receipts {
            return Ok(ControlFlow::Continue(()));
        }
        let by_rule = held.iter().any(|held| held.by_rule);
        let why = held.iter().map(|held| held.why.as_str()).collect::<Vec<_>>().join("; ");
        let (ended, kept) = match (held.is_empty(), by_rule) {
            (true, _) => (Ended::Done, None),
            (false, true) => (Ended::Stopped(why), None),
            (false, false) => (Ended::Done, Some(why)),
        };
        let exhausted = (look.exhausted > 0).then(|| {
            let messages = count(look.exhausted, "message");
            format!(
                "{messages} tried as often as the journal can record stay unsent (import them again under another name)"
            )
        });
        Ok(ControlFlow::Break(Conclusion { ended, counts: look.counts, kept, exhausted }))
    };
    let followed = follow_until((path, campaigns), LOOK_AT_CAMPAIGN, interrupt, display, &mut look)?;
    let Conclusion { ended, counts, kept, exhausted } = match followed {
        Followed::Done(conclusion) => conclusion,
        Followed::Gone => return Ok(exit::ERROR),
        Followed::Interrupted => return Ok(leave_at_work(campaigns, path, display)),
    };
    let status =
        Status { counts, all_sent: matches!(ended, Ended::Done), over_budget: kept, exhausted, ..Status::default() };
    let outcome = Outcome {
        ended,
        status,
        recovered: Default::default(),
        campaigns: campaigns.clone(),
        sending: started.elapsed(),
        found: Findings::default(),
    };
    conclude(settings, &outcome, display)
}

#[cfg(test)]
mod tests;
