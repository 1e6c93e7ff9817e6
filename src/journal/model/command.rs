//! What commands and a running service say to each other, as it stands in the rows of `command`.

use serde::{Deserialize, Serialize};

/// How a campaign is sent: the options of the command that released it, as far as they are the campaign's own.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Only its first so many messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Rules by which it stops, as typed (`rejected>5%`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_when: Vec<String>,
    /// It goes on although a rule had stopped it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub override_stop: bool,
    /// The hours that were kept with it do not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_hours: bool,
}

/// A campaign that is to be sent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToRelease {
    /// Its number in the journal.
    pub id: i64,
    /// Its name, for words.
    pub name: String,
    /// Its messages from this one on were not there when that was said; `None`: what is added later goes, too.
    pub end: Option<i64>,
    /// What is decided of it before, as rows of `control` have it: kind and details.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<(String, String)>,
}

/// The word of [`Request::Reload`].
pub const RELOAD: &str = "reload";

/// What a command asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// These campaigns are to be sent: all of them, or none where one cannot be.
    Release {
        /// Which.
        campaigns: Vec<ToRelease>,
        /// How.
        #[serde(default)]
        terms: Terms,
    },
    /// Messages were added to a campaign that gathers them: they are to go, unless it is paused or held.
    Gathered {
        /// Its number in the journal.
        id: i64,
        /// Its name, for words.
        name: String,
        /// How it is sent from now on; `None`: as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Terms>,
    },
    /// Messages that the SMSC has are to be asked about: see [`ToOperate`].
    Operate(ToOperate),
    /// How the service stands.
    Status,
    /// The service is to read its settings anew.
    Reload,
}

/// What is to be asked about messages that the SMSC has.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToOperate {
    /// The name of the [operation](super::operation::Operation).
    pub operation: String,
    /// The campaign's number in the journal.
    pub campaign: i64,
    /// Its name, for words.
    pub name: String,
    /// Lines of its file, as [`ranges`] writes them; empty: all that the SMSC has without a final state.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lines: String,
    /// Of a replacement: the new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Nobody waits for what comes of each part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

/// Lines in ascending order, as `2-5,9`.
pub fn ranges(lines: &[u64]) -> String {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines.dedup();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if line - *last == 1 => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    let shown = |(first, last): (u64, u64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.into_iter().map(shown).collect::<Vec<_>>().join(",")
}

/// The lines of such ranges; `None`: they are none, or are more than `most`.
pub fn lines_of(ranges: &str, most: usize) -> Option<Vec<u64>> {
    let mut lines = Vec::new();
    for range in ranges.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last - first >= most as u64 || lines.len() + (last - first) as usize >= most {
            return None;
        }
        lines.extend(first..=last);
    }
    Some(lines)
}

impl Request {
    /// In one word, for people.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Gathered { .. } => "gathered",
            Self::Operate(order) => match order.operation.as_str() {
                "query_sm" => "query",
                "cancel_sm" => "cancel",
                _ => "replace",
            },
            Self::Status => "status",
            Self::Reload => RELOAD,
        }
    }
}

/// What the service answers.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Why nothing came of it; `None`: it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How the service stands, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Standing>,
    /// What came of asking the SMSC, where that was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operated: Option<Operated>,
    /// What is to be said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// How far messages that the SMSC has are asked about.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Operated {
    /// Where it goes on: see [`Targets::next`](crate::journal::store::operations::Targets::next).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// Parts.
    pub all: i64,
    /// Parts for which the SMSC did what was asked.
    pub done: i64,
    /// Why it asks no more, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

impl Answer {
    /// Nothing came of it.
    pub fn refusal(why: impl Into<String>) -> Self {
        Self { refused: Some(why.into()), ..Self::default() }
    }
}

/// How a service stands.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Since when it runs, in milliseconds since 1970.
    pub since: i64,
    /// Its process.
    pub process: u32,
    /// The program's version.
    pub version: String,
    /// Connections that are bound.
    pub bound: usize,
    /// Connections that there are to be.
    pub connections: usize,
    /// What each of them that is not bound waits for, in words.
    pub unbound: Vec<String>,
    /// Messages a second that may go now; `None`: without a limit.
    pub rate: Option<f64>,
    /// What sending as a whole waits for, in words; `None`: nothing.
    pub waits: Option<String>,
    /// The same, where somebody has to do something about it.
    pub trouble: Option<String>,
    /// Why messages were refused last, and when, in words.
    pub last_refusal: Option<String>,
    /// Messages that are on their way and not answered.
    pub in_flight: usize,
    /// Parts that the SMSC took since the start.
    pub accepted: u64,
    /// Attempts that it throttled.
    pub throttled: u64,
    /// Receipts that came.
    pub receipts: u64,
    /// Messages from handsets.
    pub inbound: u64,
    /// What it asks the SMSC about messages that it has.
    pub asking: Vec<AskingStanding>,
    /// What it has to send, in order of release.
    pub campaigns: Vec<CampaignStanding>,
}

/// How far messages of a campaign are asked about.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct AskingStanding {
    /// The campaign's name.
    pub campaign: String,
    /// The name of the operation.
    pub operation: String,
    /// Parts that are through.
    pub through: i64,
    /// Parts for which the SMSC did what was asked.
    pub done: i64,
}

/// How one of its campaigns stands.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct CampaignStanding {
    /// Its name.
    pub campaign: String,
    /// Messages that are queued.
    pub queued: i64,
    /// Messages that are on their way.
    pub sending: i64,
    /// Its share of the rate, from 0 to 1; `None`: it gets none now.
    pub share: Option<f64>,
    /// What it waits for, in words; `None`: nothing.
    pub waits: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_travel_as_ranges_and_come_back_as_they_were() {
        for (lines, written) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[9, 2, 3, 4, 5, 3], "2-5,9"),
            (&[u64::MAX - 1, u64::MAX], "18446744073709551614-18446744073709551615"),
        ] {
            assert_eq!(ranges(lines), written);
            let mut sorted = lines.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(lines_of(written, 10), Some(sorted));
        }
        for wrong in ["x", "5-2", "1-", "-", "1-11", "1-6,11-16", "0-18446744073709551615"] {
            assert_eq!(lines_of(wrong, 10), None, "{wrong}");
        }
    }
}
