//! How a campaign stands, in one sentence.

use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::State;
use crate::journal::query::CampaignSummary;
use crate::words::format::{count, number, percent};

/// How a campaign stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it looks like.
    pub tone: Tone,
    /// The sentence.
    pub words: String,
}

/// Whether it is well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Nothing has happened, or nothing can be said.
    Still,
    /// Something goes on.
    Busy,
    /// Finished, and well.
    Good,
    /// Something was refused, was not delivered or is in doubt, or sending has stopped.
    Trouble,
}

/// Says it. `sender_running`: whether a sender holds the journal, as far as that is known.
pub fn verdict(summary: &CampaignSummary, sender_running: Option<bool>) -> Verdict {
    let of = |state| summary.counts.of(state);
    let all = summary.messages;
    let (queued, sending) = (of(State::Queued), of(State::Sending));
    let runs = sender_running == Some(true);
    if all == 0 {
        return Verdict { tone: Tone::Still, words: "This campaign has no messages.".into() };
    }
    if queued == all {
        let words = format!("Nothing has been sent yet: {}.", they(all, "message waits", "messages wait"));
        return Verdict { tone: if runs { Tone::Busy } else { Tone::Still }, words };
    }
    let is_open = queued + sending > 0;
    let rest = rest_of(summary);
    let mut sentence = String::new();
    if is_open {
        sentence += match sender_running {
            Some(true) => "Being sent: ",
            Some(false) => "Stopped before it was finished: ",
            None => "Not finished: ",
        };
        let mut open = Vec::new();
        if queued > 0 {
            open.push(format!("{} of {} {} to be sent", number(queued), plural(all), verb(queued, "waits", "wait")));
        }
        if sending > 0 {
            open.push(they(sending, "is on the way", "are on the way"));
        }
        sentence += &format!("{}. So far ", joined(&open));
        let delivered = of(State::Delivered);
        let mut far = Vec::new();
        if delivered > 0 {
            far.push(format!("{} ({})", they(delivered, "was delivered", "were delivered"), percent(delivered, all)));
        }
        far.extend(rest);
        sentence += if far.is_empty() { "none has come through" } else { "" };
        sentence += &joined(&far);
    } else {
        sentence += &lead(summary);
        sentence += match rest.len() {
            0 => "",
            1 => ", and ",
            _ => "; ",
        };
        sentence += &joined(&rest);
    }
    sentence.push('.');
    let has_trouble =
        [State::PartlyDelivered, State::Failed, State::Rejected, State::InDoubt].iter().any(|&state| of(state) > 0);
    let tone = match (is_open, sender_running, has_trouble) {
        (true, Some(true), _) => Tone::Busy,
        (true, Some(false), _) | (_, _, true) => Tone::Trouble,
        (true, None, false) => Tone::Still,
        _ if of(State::Accepted) > 0 && summary.receipts_asked == Receipts::All => Tone::Busy,
        _ if of(State::Cancelled) + of(State::Suppressed) == all => Tone::Still,
        _ => Tone::Good,
    };
    Verdict { tone, words: sentence }
}

/// What most of its messages came to, where nothing is sent any more.
fn lead(summary: &CampaignSummary) -> String {
    let (all, asked) = (summary.messages, summary.receipts_asked);
    let (delivered, taken) = (summary.counts.of(State::Delivered), summary.counts.of(State::Accepted));
    if delivered == all {
        return match all {
            1 => "The message was delivered".into(),
            all => format!("All {} messages were delivered", number(all)),
        };
    }
    if asked == Receipts::All || delivered > 0 {
        let (was, share) = (verb(delivered, "was", "were"), percent(delivered, all));
        return format!("{} of {} {was} delivered ({share})", number(delivered), plural(all));
    }
    let why = match asked {
        Receipts::None => "no receipts were asked for",
        _ => "receipts were asked for failures only",
    };
    format!("{} of {} {} taken by the SMSC ({why})", number(taken), plural(all), verb(taken, "was", "were"))
}

/// What the others came to.
fn rest_of(summary: &CampaignSummary) -> Vec<String> {
    let waits = if summary.receipts_asked == Receipts::All {
        ("waits for its receipt", "wait for their receipts")
    } else {
        ("", "")
    };
    [
        (State::Accepted, waits.0, waits.1),
        (State::PartlyDelivered, "was delivered in part", "were delivered in part"),
        (State::Failed, "was not delivered", "were not delivered"),
        (State::Rejected, "was refused", "were refused"),
        (State::InDoubt, "is in doubt", "are in doubt"),
        (State::Cancelled, "was cancelled", "were cancelled"),
        (State::Suppressed, "was left out by the suppression list", "were left out by the suppression list"),
    ]
    .into_iter()
    .filter(|(state, one, _)| summary.counts.of(*state) > 0 && !one.is_empty())
    .map(|(state, one, many)| they(summary.counts.of(state), one, many))
    .collect()
}

/// `a, b and c`.
fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn plural(n: i64) -> String {
    count(n, "message")
}

fn verb(n: i64, one: &'static str, many: &'static str) -> &'static str {
    if n == 1 { one } else { many }
}

fn they(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}
