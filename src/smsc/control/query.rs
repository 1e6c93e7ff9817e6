//! What is asked behind the question mark.
use std::time::Duration;

use crate::smsc::history::Filter;
use crate::smsc::inbound::InboundState;
use crate::smsc::pattern::Pattern;
use crate::smsc::receipts::Fate;
use crate::smsc::settings::parse_duration;
use crate::wire::CommandStatus;
use crate::words::{BadValue, bad};

/// Messages in one answer, at most.
pub(super) const LIMIT_MAX: usize = 10_000;
/// How long one request may wait.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);

/// Which messages: parameters of all that asks for some.
const FILTER: [&str; 10] =
    ["to", "from", "text_match", "system_id", "session", "status", "state", "receipt", "message_id", "after"];

/// Parameters by path: whether [`FILTER`] is among them, and the others. What would have no effect is refused.
const PARAMETERS: [(&str, bool, &[&str]); 3] = [
    ("/messages", true, &["limit"]),
    ("/inbound", false, &["state", "after", "limit"]),
    ("/wait", true, &["count", "timeout", "of"]),
];

/// The paths that have a parameter.
fn paths_with(name: &str) -> impl Iterator<Item = &'static str> {
    let has = move |has_filter: bool, own: &[&str]| has_filter && FILTER.contains(&name) || own.contains(&name);
    PARAMETERS.iter().filter(move |(_, has_filter, own)| has(*has_filter, own)).map(|(path, ..)| *path)
}

/// States that a message can be in.
const STATES: [&str; 9] =
    ["refused", "enroute", "delivered", "undelivered", "expired", "rejected", "deleted", "accepted", "unknown"];

/// What was asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) count: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) limit: Option<usize>,
    pub(super) of: Option<String>,
}

/// A time with its unit, or in seconds.
fn time(text: &str) -> Result<Duration, BadValue> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => parse_duration(text),
    }
}

impl Asked {
    /// Reads it. What is not known is refused: a filter that is not one would let everything through.
    pub(super) fn read(path: &str, query: &[(String, String)]) -> Result<Asked, BadValue> {
        let mut asked = Asked::default();
        let filter = &mut asked.filter;
        for (at, (name, value)) in query.iter().enumerate() {
            if query[..at].iter().any(|(before, _)| before == name) {
                return Err(bad!("{name} stands there twice"));
            }
            if !paths_with(name).any(|known| known == path) {
                let others: Vec<&str> = paths_with(name).collect();
                return Err(match &others[..] {
                    [] => bad!("there is no parameter {name:?}; /openapi.json lists them"),
                    others => bad!("{name} is no parameter of {path}, but of {}", others.join(" and ")),
                });
            }
            let number = || value.parse::<u64>().map_err(|_| bad!("{name}={value:?} is not a whole number"));
            let count = || number().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
            match &**name {
                // A plus sign that was not encoded has become a space.
                "to" => filter.to = Some(value.trim().parse()?),
                "from" => filter.from = Some(value.parse()?),
                "text_match" => filter.text = Some(Pattern::containing(value)?),
                "system_id" => filter.system_id = Some(value.clone()),
                "session" => filter.session = Some(number()?),
                "status" => {
                    let status = CommandStatus::parse(value).ok_or_else(|| bad!("status={value:?} is no status"))?;
                    filter.status = Some(status.0);
                }
                // Also by the word of a receipt.
                "state" => {
                    let state = value.to_ascii_lowercase();
                    filter.state = Some(Fate::from_word(&state).map_or(state, |fate| fate.name().to_owned()));
                }
                "receipt" => filter.receipt = Some(value.parse()?),
                "message_id" => filter.message_id = Some(value.clone()),
                "after" => filter.after = Some(number()?),
                "count" => asked.count = Some(count()?),
                "timeout" => asked.timeout = Some(time(value)?),
                "limit" => asked.limit = Some(count()?),
                "of" => asked.of = Some(value.clone()),
                _ => return Err(bad!("there is no parameter {name:?}; /openapi.json lists them")),
            }
        }
        Ok(asked)
    }

    /// Refuses a state that no message has.
    pub(super) fn only_messages(&self) -> Result<(), BadValue> {
        match &self.filter.state {
            Some(state) if !STATES.contains(&&**state) => Err(bad!("state={state:?} is none of {}", STATES.join(", "))),
            _ => Ok(()),
        }
    }

    /// Refuses what is not asked of messages from handsets.
    pub(super) fn only_inbound(&self) -> Result<(), BadValue> {
        let (after, state) = (self.filter.after, self.filter.state.clone());
        match self.filter == (Filter { after, state, ..Filter::default() }) {
            true => Ok(()),
            false => Err("of messages from handsets state and after can be asked for".into()),
        }
    }

    /// Refuses what is not asked of sessions.
    pub(super) fn only_sessions(&self) -> Result<(), BadValue> {
        let system_id = self.filter.system_id.clone();
        match self.filter == (Filter { system_id, ..Filter::default() }) {
            true => Ok(()),
            false => Err("of sessions system_id can be asked for".into()),
        }
    }

    /// The state of a message from a handset.
    pub(super) fn inbound_state(&self) -> Result<Option<InboundState>, BadValue> {
        Ok(Some(match self.filter.state.as_deref() {
            None => return Ok(None),
            Some("queued") => InboundState::Queued,
            Some("sent") => InboundState::Sent,
            Some("answered") => InboundState::Answered,
            Some("refused") => InboundState::Refused,
            Some(other) => return Err(bad!("state={other:?} is none of queued, sent, answered, refused")),
        }))
    }
}
