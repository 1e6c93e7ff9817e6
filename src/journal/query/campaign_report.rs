//! What the report of a campaign tells.

use super::{CampaignSummary, Stamp};
use crate::journal::model::state::ReceiptsFor;
use crate::journal::store::added_fields::Added;
use crate::journal::store::release::Stopped;
use crate::journal::store::runs::RunRow;
use crate::wire::CommandStatus;
use serde::Serialize;

/// So many examples are kept of each kind of trouble.
pub(super) const FIRST_OF_EACH: usize = 5;

/// All that is reported of a campaign.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignReport {
    /// Its row of `campaign_summary`.
    #[serde(flatten)]
    pub summary: CampaignSummary,
    /// Parts put on the wire, or about to be, each as often as it was tried.
    pub attempts: i64,
    /// The answers by command_status.
    pub statuses: Vec<StatusCount>,
    /// The rejected messages by what the SMSC said.
    pub rejections: Vec<Rejection>,
    /// The parts that were not delivered, by what their receipts said.
    pub failures: Vec<Failure>,
    /// What the last receipts say, of the parts whose receipts so far are not final.
    pub not_final: Vec<Failure>,
    /// The first messages in doubt.
    pub doubts: Vec<Doubt>,
    /// Receipts still to come.
    pub outstanding_receipts: Outstanding,
    /// How long answers and deliveries took.
    pub latency: Latency,
    /// Receipts by how they were matched.
    pub receipts: Vec<RuleCount>,
    /// Receipts whose TLV message_state and whose text tell different states.
    pub contradictory_receipts: i64,
    /// Messages of which some parts were taken and the rest is not sent any more.
    pub sent_in_part: i64,
    /// Messages that may have arrived twice.
    pub possible_duplicates: i64,
    /// The one part of long messages for which receipts seem to come.
    pub receipts_only_for: Option<ReceiptsFor>,
    /// How fast it went.
    pub throughput: Throughput,
    /// Fields that were added for its rest.
    pub added_fields: Vec<Added>,
    /// How it was sent: its runs, the newest first.
    pub runs: Vec<RunRow>,
    /// Why it is not sent now, where somebody paused it or the service holds it.
    pub stopped: Vec<Stopped>,
}

/// Answers with one command_status: a row of `status_breakdown`, explained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StatusCount {
    /// The status.
    pub command_status: u32,
    /// Its name in the specification.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Answers with it.
    pub attempts: i64,
}

/// Messages rejected, or a part of them, with one command_status.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Rejection {
    /// The status.
    pub command_status: u32,
    /// Its name in the specification.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Messages rejected with it.
    pub messages: i64,
    /// What the SMSC said beside it, the most frequent first.
    pub reasons: Vec<SaidReason>,
    /// The first of them, by their numbers.
    #[serde(skip)]
    pub first: Vec<i64>,
}

/// What an SMSC said beside a status.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SaidReason {
    /// Its words.
    pub reason: String,
    /// To how many messages.
    pub messages: i64,
}

/// Parts of which receipts say the same: taken and not delivered, or not at their end.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Failure {
    /// What the last receipt says: `EXPIRED`, `UNDELIVERABLE` and so on; `ABANDONED` where the operator gave up.
    pub state: String,
    /// The error that it names, or why it was given up.
    pub error: Option<String>,
    /// Parts of which it was said.
    pub parts: i64,
    /// What the error means, by the account's profile.
    pub meaning: Option<String>,
    /// The first of those parts, by their numbers.
    #[serde(skip)]
    pub first: Vec<i64>,
}

/// A message in doubt.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Doubt {
    /// Line of the file.
    pub line: i64,
    /// Its destination.
    pub destination: String,
    /// Why nobody can know.
    pub reason: Option<String>,
}

/// Receipts still to come.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Outstanding {
    /// Messages that wait for one; 0 where none were asked for, or only of failures.
    pub messages: i64,
    /// Their parts.
    pub parts: i64,
    /// When the one that has waited longest was accepted, or claimed where its answer never came.
    pub oldest_answered_at: Option<Stamp>,
}

impl StatusCount {
    /// So many answers with `status`.
    pub fn new(status: u32, attempts: i64) -> Self {
        let status = CommandStatus(status);
        let (name, meaning, advice) = (status.name(), status.meaning(), status.advice());
        Self { command_status: status.0, name, meaning, advice, attempts }
    }
}

impl Rejection {
    /// So many messages rejected with `status`.
    pub fn new(status: u32, messages: i64) -> Self {
        let status = CommandStatus(status);
        let (name, meaning, advice) = (status.name(), status.meaning(), status.advice());
        Self { command_status: status.0, name, meaning, advice, messages, reasons: Vec::new(), first: Vec::new() }
    }
}

/// Percentiles in milliseconds (answers) or seconds (deliveries).
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Percentiles<T> {
    /// How many durations there were.
    pub count: u64,
    /// Half of them were no longer.
    pub p50: Option<T>,
    /// 95 of 100 were no longer.
    pub p95: Option<T>,
    /// 99 of 100 were no longer.
    pub p99: Option<T>,
    /// The longest.
    pub max: Option<T>,
}

/// How long answers and deliveries took, counted from the claim of the attempt.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Latency {
    /// To the answer.
    pub answer_ms: Percentiles<u64>,
    /// To the receipt that says delivered.
    pub delivery_s: Percentiles<f64>,
}

/// Receipts matched by one rule.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RuleCount {
    /// The rule, in words.
    pub rule: &'static str,
    /// Receipts.
    pub receipts: i64,
}

/// How fast it went.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Throughput {
    /// Seconds from the first claim to the last.
    pub seconds: f64,
    /// Parts submitted in a second, from the first claim to the last.
    pub parts_per_second: Option<f64>,
    /// Seconds without pauses of more than a minute.
    pub seconds_sending: f64,
    /// Parts submitted in a second, pauses of more than a minute left out.
    pub parts_per_second_sending: Option<f64>,
}
