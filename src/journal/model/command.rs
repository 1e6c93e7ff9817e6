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
    /// How the service stands.
    Status,
}

impl Request {
    /// In one word, for people.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Gathered { .. } => "gathered",
            Self::Status => "status",
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
    /// What it has to send, in order of release.
    pub campaigns: Vec<CampaignStanding>,
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
