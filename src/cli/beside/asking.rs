//! What `query`, `replace` and `cancel --at-smsc` do that find a service at work: it asks the SMSC over its own connections, and what
//! comes of each part is shown as it is written down.

use super::{BACK_WITHIN, TAKEN_WITHIN, Waited, wait_for, who};
use crate::cli::CliError;
use crate::journal;
use crate::journal::files::lock;
use crate::journal::model::command::{Answer, Request, ToOperate};
use crate::journal::model::operation::Line;
use crate::journal::store::{commands, orders};
use crate::report::progress::Display;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked what came of it.
const LOOK: Duration = Duration::from_millis(50);
/// Where nothing comes of it for so long, it is said what is waited for.
const SAID_AFTER: Duration = Duration::from_secs(5);

/// What came of handing over.
#[derive(Debug)]
pub(in crate::cli) enum Handed {
    /// All of it is through; why it ended early, where it did.
    Through(Option<String>),
    /// The service has accepted it, and nobody waits for what comes of it.
    Accepted,
    /// The service refuses, in words.
    Refused(String),
    /// No service took it in time: it is withdrawn.
    NotTaken,
    /// A signal came first: it is withdrawn.
    Interrupted,
    /// A signal came: the service goes on.
    LeftAtWork,
    /// The service has ended, and did not come back.
    Gone,
}

/// Has the service ask the SMSC. Of each part it is told what came of it, unless the order says that nobody waits for that.
pub(in crate::cli) fn operate(
    path: &Path,
    order: ToOperate,
    interrupt: &Receiver<()>,
    tell: &mut dyn FnMut(Line) -> Result<(), CliError>,
) -> Result<Handed, CliError> {
    let at_most = order.quiet.then_some(TAKEN_WITHIN);
    let is_awaited = !order.quiet;
    let request = Request::Operate(order);
    let options = serde_json::to_string(&request).map_err(|error| CliError::Words(error.to_string()))?;
    let key = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let opened = journal::open_existing(path)?;
    // What was left at work is not done twice by who comes back to it.
    if let Some((id, key)) = orders::same(&opened, request.what(), &options).map_err(|error| error.at(path))? {
        Display::new().say("the service is at it already, for the same command: this is what comes of that");
        drop(opened);
        return if is_awaited { follow(path, (id, &key), interrupt, tell) } else { Ok(Handed::Accepted) };
    }
    commands::write(&opened, &key, request.what(), &who(), &options).map_err(|error| error.at(path))?;
    crate::platform::failpoint::reach("commanded").map_err(|error| CliError::Io(error.into()))?;
    let id = match wait_for(&opened, (&key, path), at_most, interrupt, true)? {
        Waited::Answered { answer: Answer { refused: Some(why), .. }, .. } => return Ok(Handed::Refused(why)),
        Waited::NotTaken => return Ok(Handed::NotTaken),
        Waited::Interrupted => return Ok(Handed::Interrupted),
        Waited::Accepted { interrupted: true, .. } => return Ok(Handed::LeftAtWork),
        Waited::Accepted { .. } | Waited::Answered { .. } if !is_awaited => return Ok(Handed::Accepted),
        Waited::Accepted { id, .. } => id,
        // It was through at once.
        Waited::Answered { .. } => match commands::number(&opened, &key).map_err(|error| error.at(path))? {
            Some(id) => id,
            None => return Ok(Handed::NotTaken),
        },
    };
    drop(opened);
    follow(path, (id, &key), interrupt, tell)
}

fn follow(
    path: &Path,
    (id, key): (i64, &str),
    interrupt: &Receiver<()>,
    tell: &mut dyn FnMut(Line) -> Result<(), CliError>,
) -> Result<Handed, CliError> {
    let (opened, display) = (journal::open_read_only(path)?, Display::new());
    let (mut last, mut gone_since, mut news, mut is_said) = (0, None, Instant::now(), false);
    loop {
        // Before what is there by then: all of it was written before the answer.
        let state = commands::state(&opened, key).map_err(|error| error.at(path))?;
        loop {
            let (lines, read) = orders::results(&opened, id, last).map_err(|error| error.at(path))?;
            if read == last {
                break;
            }
            (last, news) = (read, Instant::now());
            lines.into_iter().try_for_each(&mut *tell)?;
        }
        match state {
            Some(commands::State::Answered(answer)) => {
                let answer: Answer = serde_json::from_str(&answer)
                    .map_err(|error| CliError::Words(format!("the service's answer {answer:?}: {error}")))?;
                return Ok(match answer.refused {
                    Some(why) => Handed::Refused(why),
                    None => Handed::Through(answer.operated.unwrap_or_default().broken),
                });
            }
            None | Some(commands::State::Withdrawn) => return Ok(Handed::NotTaken),
            Some(commands::State::Waiting | commands::State::Accepted(_)) => {}
        }
        if lock::service_is_alive(path) {
            if gone_since.take().is_some() {
                display.say("the service is back");
            }
            if !is_said && news.elapsed() >= SAID_AFTER {
                is_said = true;
                display.say(
                    "waiting: the running service asks when it is bound and the rate allows; Ctrl-C leaves it at work",
                );
            }
        } else if gone_since.is_none() {
            gone_since = Some(Instant::now());
            display.say("the service has ended: waiting for it to be started anew");
        }
        if gone_since.is_some_and(|since| since.elapsed() >= BACK_WITHIN) {
            return Ok(Handed::Gone);
        }
        match interrupt.recv_timeout(LOOK) {
            Ok(()) => return Ok(Handed::LeftAtWork),
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
