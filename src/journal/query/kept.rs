//! What stays of the report of a campaign whose messages are purged: numbers, and nothing of anybody.

use super::campaign_report::{
    CampaignReport, Failure, Latency, Percentiles, Rejection, RuleCount, StatusCount, Throughput,
};
use super::rule_name;
use crate::journal::error::JournalError;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

/// Rules by which receipts are matched, numbered from 0.
const RULES: i64 = 12;

/// Count, then p50, p95, p99 and the longest.
type Five<T> = (u64, [Option<T>; 4]);

/// The numbers of a report, as `kept_report` has them. Every field has a default, so that an older journal can be read.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    attempts: i64,
    statuses: Vec<(u32, i64)>,
    rejections: Vec<(u32, i64)>,
    failures: Vec<(String, Option<String>, i64)>,
    answer_ms: Five<u64>,
    delivery_s: Five<f64>,
    receipts: Vec<(i64, i64)>,
    contradictory_receipts: i64,
    sent_in_part: i64,
    possible_duplicates: i64,
    /// Seconds, parts a second; the same without pauses.
    throughput: (f64, Option<f64>, f64, Option<f64>),
    /// The sum by which the same messages are recognised in another spelling of the file, in hex.
    pub sum: Option<String>,
}

impl Kept {
    /// What is kept of a report.
    pub fn of(report: &CampaignReport) -> Self {
        let rule = |words: &str| (0..RULES).find(|rule| rule_name(*rule) == words).unwrap_or(RULES);
        let throughput = report.throughput;
        Self {
            attempts: report.attempts,
            statuses: report.statuses.iter().map(|status| (status.command_status, status.attempts)).collect(),
            rejections: report.rejections.iter().map(|refused| (refused.command_status, refused.messages)).collect(),
            failures: report
                .failures
                .iter()
                .map(|failure| (failure.state.clone(), failure.error.clone(), failure.parts))
                .collect(),
            answer_ms: five(&report.latency.answer_ms),
            delivery_s: five(&report.latency.delivery_s),
            receipts: report.receipts.iter().map(|kind| (rule(kind.rule), kind.receipts)).collect(),
            contradictory_receipts: report.contradictory_receipts,
            sent_in_part: report.sent_in_part,
            possible_duplicates: report.possible_duplicates,
            throughput: (
                throughput.seconds,
                throughput.parts_per_second,
                throughput.seconds_sending,
                throughput.parts_per_second_sending,
            ),
            sum: None,
        }
    }

    /// With the sum of the messages.
    pub fn with_sum(self, sum: String) -> Self {
        Self { sum: Some(sum), ..self }
    }

    /// What the journal keeps of a campaign.
    pub fn load(connection: &Connection, campaign: i64) -> Result<Option<Self>, JournalError> {
        let sql = "SELECT report FROM kept_report WHERE campaign_id = ?1";
        let json: Option<String> = connection.query_row(sql, [campaign], |row| row.get(0)).optional()?;
        let read = |json: String| {
            serde_json::from_str(&json)
                .map_err(|error| JournalError::Inconsistent(format!("what is kept of a report: {error}")))
        };
        json.map(read).transpose()
    }

    /// Puts it into a report that was made of nothing else.
    pub fn fill(self, report: &mut CampaignReport) {
        report.attempts = self.attempts;
        report.statuses =
            self.statuses.into_iter().map(|(status, attempts)| StatusCount::new(status, attempts)).collect();
        report.rejections = self.rejections.into_iter().map(|(status, count)| Rejection::new(status, count)).collect();
        report.failures = self
            .failures
            .into_iter()
            .map(|(state, error, parts)| Failure { state, error, parts, meaning: None, first: Vec::new() })
            .collect();
        report.latency = Latency { answer_ms: of_five(self.answer_ms), delivery_s: of_five(self.delivery_s) };
        report.receipts =
            self.receipts.into_iter().map(|(rule, receipts)| RuleCount { rule: rule_name(rule), receipts }).collect();
        report.contradictory_receipts = self.contradictory_receipts;
        report.sent_in_part = self.sent_in_part;
        report.possible_duplicates = self.possible_duplicates;
        let (seconds, parts_per_second, seconds_sending, parts_per_second_sending) = self.throughput;
        report.throughput = Throughput { seconds, parts_per_second, seconds_sending, parts_per_second_sending };
    }
}

fn five<T: Copy>(percentiles: &Percentiles<T>) -> Five<T> {
    let Percentiles { count, p50, p95, p99, max } = *percentiles;
    (count, [p50, p95, p99, max])
}

fn of_five<T>((count, [p50, p95, p99, max]): Five<T>) -> Percentiles<T> {
    Percentiles { count, p50, p95, p99, max }
}
