//! The settings of a run, and what comes of it.

use super::unbound::NeverBound;
use crate::client::link::LocalAddresses;
use crate::client::{Account, BindMode, BoundAddresses, ReceiptReading, Secret, Spread, TakesTlvs, Timers, Version};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::query::Stamp;
use crate::journal::store::account::Identity;
use crate::journal::store::runs::RunRow;
use crate::journal::writer::recovery::Recovered;
use crate::journal::writer::{RECEIPT_HORIZON, Status};
use crate::journal::{JournalError, now_ms};
use crate::message::text::DefaultAlphabet;
use crate::policy::controller::Findings;
use crate::policy::hours::Hours;
use crate::policy::pacer::Rate;
use crate::policy::restraint::Restraint;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct SendSettings {
    /// The journal's file.
    pub journal: PathBuf,
    /// How the account is reached.
    pub account: Account,
    /// How the account is named: one journal serves one account.
    pub identity: Identity,
    /// How many connections.
    pub connections: usize,
    /// PDUs a second, over all connections.
    pub rate: Rate,
    /// So much of a percent more may a sliding second hold.
    pub rate_tolerance: f64,
    /// Of each campaign, only the first so many messages.
    pub limit: Option<u64>,
    /// When the run stops by itself.
    pub restraint: Restraint,
    /// What statuses mean.
    pub rules: Arc<RetryRules>,
    /// When messages may be sent.
    pub hours: Hours,
    /// The hours of the campaigns themselves do not count.
    pub ignore_hours: bool,
    /// How long to wait for receipts after the last answer or receipt.
    pub wait_receipts: Duration,
    /// Which campaigns; empty: all that are not finished, oldest first.
    pub campaigns: Vec<String>,
    /// Receipts of earlier runs can still come: false for the built-in simulator, which is new in every run.
    pub old_receipts_come: bool,
    /// What data_coding 0 means in messages from handsets.
    pub default_alphabet: DefaultAlphabet,
    /// Messages from handsets that put their number on the suppression list, folded as by
    /// [`stop_word`](crate::journal::writer::stop_word).
    pub opt_out_words: Vec<String>,
    /// Those that take off again what one of these put there.
    pub opt_in_words: Vec<String>,
    /// What was answered longer before a receipt came is no rival of a newer message with the same id.
    pub receipt_horizon: Duration,
    /// What to do when no session at all could be bound for a while.
    pub never_bound: NeverBound,
    /// Send nothing: only collect what comes, until interrupted or for this long.
    pub listen: Option<Listen>,
    /// Send what is released while it runs, and go on until interrupted.
    pub serves: bool,
}

impl SendSettings {
    /// As tests begin: a campaign named `test` over one connection to a simulator of this machine, as fast as it goes.
    pub fn for_tests(journal: &Path, port: u16) -> Self {
        Self {
            journal: journal.into(),
            account: Account {
                hosts: vec!["127.0.0.1".into()],
                port,
                tls: None,
                system_id: "test".into(),
                password: Secret::default(),
                system_type: String::new(),
                addresses: BoundAddresses::default(),
                bind: BindMode::Transceiver,
                version: Version::V34,
                tlvs: TakesTlvs::default(),
                window: 50,
                timers: Timers { response: Duration::from_secs(2), ..Timers::default() },
                receipts: ReceiptReading::default(),
                spread: Spread::default(),
                local: LocalAddresses::default(),
                recorder: None,
                receiver: None,
            },
            identity: Identity { name: None, addresses: vec!["test".into()], receivers: Vec::new(), same: false },
            connections: 1,
            rate: Rate::Unlimited,
            rate_tolerance: 0.0,
            limit: None,
            restraint: Restraint::default(),
            rules: Arc::default(),
            hours: Hours::default(),
            ignore_hours: false,
            wait_receipts: Duration::from_secs(10),
            campaigns: vec!["test".into()],
            old_receipts_come: true,
            opt_out_words: Vec::new(),
            opt_in_words: Vec::new(),
            receipt_horizon: RECEIPT_HORIZON,
            default_alphabet: DefaultAlphabet::default(),
            never_bound: NeverBound::Wait,
            listen: None,
            serves: false,
        }
    }

    /// How this sends, as the journal keeps it.
    pub fn run_row(&self) -> RunRow {
        let account = &self.account;
        RunRow {
            started_at: Stamp(now_ms()),
            ended_at: None,
            account: self.identity.shown().into(),
            host: account.hosts.first().cloned().unwrap_or_default(),
            port: account.port,
            tls: account.tls.is_some(),
            bind: account.bind.name().into(),
            connections: u32::try_from(self.connections).unwrap_or(u32::MAX),
            window: u32::try_from(account.window).unwrap_or(u32::MAX),
            rate: match self.rate {
                Rate::PerSecond(rate) => rate.to_string(),
                Rate::Unlimited => "unlimited".into(),
            },
        }
    }
}

/// How long to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// `None`: until interrupted.
    pub time: Option<Duration>,
}

/// Why a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Everything is sent.
    Done,
    /// There was nothing to send, and no connection was made.
    NothingToDo,
    /// As asked for by a signal.
    Interrupted,
    /// An answer condemned the account or its settings; the rest stays queued.
    Halted(String),
    /// By a rule of its own: too much went wrong, or the canary did not come to what was asked. The rest stays queued.
    Stopped(String),
    /// No connection could be bound, and trying on would not help.
    Refused(String),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// The journal's last word.
    pub status: Status,
    /// What an earlier run's death had left.
    pub recovered: Recovered,
    /// The campaigns that it was about.
    pub campaigns: Vec<String>,
    /// How long it sent, from the first attempt to connect to the last answer.
    pub sending: Duration,
    /// What was found of the rate and the window that the SMSC allows.
    pub found: Findings,
}

/// How a run stands: for the progress line.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The journal's last word.
    pub status: Status,
    /// Sessions that are bound.
    pub bound: usize,
    /// The rate at this moment.
    pub rate: Rate,
    /// What the connections have to say.
    pub notices: Vec<String>,
    /// What it waits for.
    pub waits: Waits,
    /// Of each campaign, only the first so many messages.
    pub limit: Option<u64>,
    /// Messages that come after those of the limit.
    pub held_back: i64,
    /// When messages may be sent.
    pub hours: Hours,
}

/// What keeps a run from going on.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// No session is bound, since then.
    pub unbound_since: Option<Instant>,
    /// When the next connection is tried, where none is being tried now.
    pub next_try: Option<Instant>,
    /// The sending hours begin at this moment.
    pub closed_until: Option<String>,
    /// Another process keeps the journal from being written.
    pub blocked: bool,
}

/// What can go wrong with a run.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The journal.
    #[error("{0}")]
    Journal(JournalError),
    /// The settings do not go together with what is to be sent.
    #[error("{0}")]
    Settings(String),
    /// A thread could not be started.
    #[error("a thread could not be started: {}", crate::words::trouble::words(.0))]
    Thread(std::io::Error),
    /// A thread ended in a way that it must not.
    #[error("the {0} thread died; this is a bug, the journal is as it was last committed")]
    Died(&'static str),
}

impl From<JournalError> for SendError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
