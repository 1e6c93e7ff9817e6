//! Everything that the report of one campaign shows, in one pass over the ranges of its claims, answers and receipts.

use super::chunk::{ClaimRun, Matches, claims, tries};
use super::kept::Kept;
use super::latency::Histogram;
use super::page::{Gathered, Known};
use super::series::{ACCEPTED, DELIVERED, SENT};
use super::{CampaignSummary, JournalError, Stamp, campaign, rule_name, snapshot};
use crate::journal::handle::Sql;
use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::{Attempt, Outcome, State};
use crate::journal::query::campaign_report::{
    CampaignReport, Doubt, Latency, Outstanding, Percentiles, RuleCount, StatusCount, Throughput,
};
use crate::journal::query::partial::sent_in_part;
use crate::journal::query::receipt_kinds::{ABANDONED, Kinds};
use crate::journal::query::receipt_pattern::{possible_duplicates, receipts_only_for};
use crate::journal::query::rejections::Rejections;
use crate::journal::store::names::Names;
use hashbrown::HashMap;
use rusqlite::Connection;

/// Parts whose facts are read in one snapshot: some 50 ms.
const CHUNK_PARTS: i64 = 50_000;
/// Message states read in one snapshot, in search of what is in doubt.
const CHUNK_STATES: i64 = 500_000;
/// Lines shown of what is in doubt.
const DOUBTS_SHOWN: usize = 10;
/// A longer silence between two claims is a pause, not sending.
const PAUSE_MS: i64 = 60_000;
/// Rules by which receipts are matched, numbered from 0.
const RULES: usize = 12;

/// Reads the report of the campaign of that name.
pub fn campaign_report(journal: &dyn Sql, name: &str) -> Result<CampaignReport, JournalError> {
    report(journal.connection(), name, None)
}

/// The same, and what a page shows besides, gathered in the same pass.
pub(super) fn report(
    connection: &Connection,
    name: &str,
    page: Option<&mut Gathered<'_>>,
) -> Result<CampaignReport, JournalError> {
    let summary = campaign(connection, name)?;
    if summary.purged_at.is_some() {
        let mut report = Scan::new(connection, &summary, page).into_report(Vec::new())?;
        if let Some(kept) = Kept::load(connection, summary.id)? {
            kept.fill(&mut report);
        }
        return Ok(report);
    }
    let is_for_page = page.is_some();
    let mut scan = Scan::new(connection, &summary, page);
    if is_for_page || summary.first_sent_at.is_some() || summary.counts.of(State::Queued) < summary.messages {
        scan.run()?;
    }
    let doubts = if summary.counts.of(State::InDoubt) > 0 { doubts(connection, &summary)? } else { Vec::new() };
    scan.into_report(doubts)
}

/// What is known of an attempt while its receipts are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) attempt: i64,
    /// When it was written, or, where it was never answered, claimed.
    sent_at: Option<i64>,
    answered_at: i64,
    pub(super) accepted: bool,
    pub(super) fate: Fate,
    /// What its last receipt says, where that is not final.
    so_far: Option<usize>,
}

/// What its final receipts say; delivered wins, else the last holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Fate {
    Open,
    Delivered,
    Failed(usize),
}

impl Fate {
    /// The state of a plain message whose only attempt came to this.
    pub(super) fn state(self, accepted: bool) -> State {
        match self {
            Self::Delivered => State::Delivered,
            Self::Failed(_) => State::Failed,
            Self::Open if accepted => State::Accepted,
            Self::Open => State::Rejected,
        }
    }
}

/// One thing: the sums of a single pass over a campaign, each of which is a row of the report.
struct Scan<'a, 'p> {
    connection: &'a Connection,
    summary: &'a CampaignSummary,
    first_tries: Vec<ClaimRun>,
    later_tries: Vec<Vec<ClaimRun>>,
    seen: Vec<Seen>,
    /// Attempts that have a receipt and no answer.
    unanswered: HashMap<i64, Seen>,
    matches: Matches,
    attempts: i64,
    statuses: HashMap<u32, i64>,
    rejections: Rejections,
    failures: Kinds,
    so_far: Kinds,
    rules: [i64; RULES],
    differing: i64,
    outstanding: (i64, Option<i64>),
    answers_ms: Histogram,
    deliveries_ms: Histogram,
    claimed: Option<(i64, i64)>,
    sending_ms: i64,
    page: Option<&'a mut Gathered<'p>>,
}

impl<'a, 'p> Scan<'a, 'p> {
    fn new(connection: &'a Connection, summary: &'a CampaignSummary, page: Option<&'a mut Gathered<'p>>) -> Self {
        Self {
            connection,
            summary,
            first_tries: Vec::new(),
            later_tries: Vec::new(),
            seen: Vec::new(),
            unanswered: HashMap::new(),
            matches: Matches::default(),
            attempts: 0,
            statuses: HashMap::new(),
            rejections: Rejections::default(),
            failures: Kinds::default(),
            so_far: Kinds::default(),
            rules: [0; RULES],
            differing: 0,
            outstanding: (0, None),
            answers_ms: Histogram::new(),
            deliveries_ms: Histogram::new(),
            claimed: None,
            sending_ms: 0,
            page,
        }
    }

    fn run(&mut self) -> Result<(), JournalError> {
        let tries = tries(self.connection)?;
        self.later_tries.resize_with(tries.len().saturating_sub(1), Vec::new);
        let mut from = self.summary.first_id;
        while from < self.summary.end_id {
            let end = (from + CHUNK_PARTS).min(self.summary.end_id);
            let connection = self.connection;
            let snapshot = snapshot(connection)?;
            claims(&snapshot, 0, from, end, &mut self.first_tries)?;
            for (&tried, runs) in tries.iter().skip(1).zip(&mut self.later_tries) {
                claims(&snapshot, tried, from, end, runs)?;
            }
            self.matches.load(&snapshot, from, end)?;
            self.count_claims(from, end);
            self.answers(&snapshot, from, end)?;
            self.receipts(&snapshot, from, end)?;
            self.abandoned(&snapshot, from, end)?;
            self.assumed(&snapshot, from, end)?;
            for attempt in never_left(&snapshot, from, end)? {
                self.attempts -= 1;
                let claimed_at = self.claimed_at(attempt);
                if let (Some(page), Some(at)) = (&mut self.page, claimed_at) {
                    page.series.add(SENT, at, -1);
                }
            }
            if let Some(page) = &mut self.page {
                let unanswered = |attempt| self.unanswered.get(&attempt).map(|seen| seen.fate.state(seen.accepted));
                let known = Known { seen: &self.seen, unanswered: &unanswered, claims: &self.first_tries };
                page.messages(&snapshot, self.summary, (from, end), &known)?;
            }
            drop(snapshot);
            self.settle();
            from = end;
        }
        Ok(())
    }

    fn count_claims(&mut self, from: i64, end: i64) {
        for run in &self.first_tries {
            let parts = run.end.min(end) - run.first.max(from);
            self.attempts += parts;
            if let Some(page) = &mut self.page {
                page.series.add(SENT, run.claimed_at, parts);
            }
            if run.first < from {
                continue;
            }
            let at = run.claimed_at;
            if let Some((_, last)) = self.claimed {
                self.sending_ms += if (0..PAUSE_MS).contains(&(at - last)) { at - last } else { 0 };
            }
            self.claimed = Some(self.claimed.map_or((at, at), |(first, _)| (first, at)));
        }
        for run in self.later_tries.iter().flatten() {
            let parts = run.end.min(end) - run.first.max(from);
            self.attempts += parts;
            if let Some(page) = &mut self.page {
                page.series.add(SENT, run.claimed_at, parts);
            }
        }
    }

    fn answers(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        self.seen.clear();
        let mut last = (0u32, 0i64);
        let mut statement = snapshot.prepare_cached(
            "SELECT attempt, answered_at, command_status, outcome, answer_ms FROM answer WHERE attempt >= ?1 AND attempt < ?2
              ORDER BY attempt",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            let (answered_at, status, outcome): (i64, u32, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let answer_ms: i64 = row.get(4)?;
            self.answers_ms.add(answer_ms);
            let sent_at = Some(answered_at - answer_ms);
            // Equal answers come in long rows.
            if last.0 != status {
                *self.statuses.entry(last.0).or_default() += last.1;
                last = (status, 0);
            }
            last.1 += 1;
            if outcome == Outcome::Rejected as i64 {
                self.rejections.add(self.connection, self.summary, attempt, status)?;
            }
            let accepted = outcome == Outcome::Accepted as i64;
            if let Some(page) = self.page.as_mut().filter(|_| accepted) {
                page.series.add(ACCEPTED, answered_at, 1);
            }
            self.seen.push(Seen { attempt: attempt.0, sent_at, answered_at, accepted, fate: Fate::Open, so_far: None });
        }
        *self.statuses.entry(last.0).or_default() += last.1;
        Ok(())
    }

    fn receipts(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut at = 0;
        let mut statement = snapshot.prepare_cached(
            "SELECT id, received_at, state, final, rule, error, other_state IS NOT NULL FROM receipt WHERE id >= ?1 AND id < ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(Attempt::receipt_range(from, end))?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if !self.matches.moved.is_empty() && self.matches.moved.contains(&id) {
                continue;
            }
            self.count_rule(row.get(4)?);
            self.differing += i64::from(row.get::<_, bool>(6)?);
            let error = row.get_ref(5)?.as_str_or_null().unwrap_or(None);
            if !row.get::<_, bool>(3)? {
                self.not_final(&mut at, Attempt::of_receipt(id), row.get(2)?, error);
            } else {
                self.receipt(&mut at, Attempt::of_receipt(id), row.get(1)?, row.get(2)?, error);
            }
        }
        let matched = std::mem::take(&mut self.matches.matched);
        let mut at = 0;
        for receipt in &matched {
            self.count_rule(receipt.rule);
            self.differing += i64::from(receipt.differs);
            if !receipt.is_final {
                self.not_final(&mut at, receipt.attempt, receipt.state, receipt.error.as_deref());
            } else {
                self.receipt(&mut at, receipt.attempt, receipt.received_at, receipt.state, receipt.error.as_deref());
            }
        }
        self.matches.matched = matched;
        Ok(())
    }

    /// Attempts that the operator takes for sent wait for receipts like those that were answered.
    fn assumed(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT v.attempt FROM verdict v WHERE v.attempt >= ?1 AND v.attempt < ?2 AND v.kind = 4
                AND NOT EXISTS (SELECT 1 FROM verdict w WHERE w.attempt = v.attempt AND w.id > v.id)",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        while let Some(row) = rows.next()? {
            let attempt = Attempt(row.get(0)?);
            let answered = self.seen.binary_search_by_key(&attempt.0, |seen| seen.attempt).is_ok();
            if !answered && !self.unanswered.contains_key(&attempt.0) {
                let claimed_at = self.claimed_at(attempt);
                self.wait_for(claimed_at);
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, since: Option<i64>) {
        self.outstanding.0 += 1;
        if let Some(since) = since {
            let oldest = self.outstanding.1.get_or_insert(since);
            *oldest = (*oldest).min(since);
        }
    }

    fn claimed_at(&self, attempt: Attempt) -> Option<i64> {
        match attempt.tried() {
            0 => find(&self.first_tries, attempt.part()),
            tried => later(&self.later_tries, tried, attempt.part()),
        }
    }

    /// Attempts that the operator gave up, unless an answer or a receipt came all the same.
    fn abandoned(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut statement = snapshot.prepare_cached(
            "SELECT v.attempt, v.reason FROM verdict v WHERE v.attempt >= ?1 AND v.attempt < ?2 AND v.kind = 5
                AND NOT EXISTS (SELECT 1 FROM verdict w WHERE w.attempt = v.attempt AND w.id > v.id)",
        )?;
        let mut rows = statement.query(Attempt::range(from, end))?;
        while let Some(row) = rows.next()? {
            let attempt: i64 = row.get(0)?;
            let answered = self.seen.binary_search_by_key(&attempt, |seen| seen.attempt).is_ok();
            if !answered && !self.unanswered.contains_key(&attempt) {
                let index = self.failure(Some(ABANDONED), row.get_ref(1)?.as_str_or_null().unwrap_or(None));
                self.failures.add(index, Attempt(attempt).part());
            }
        }
        Ok(())
    }

    fn count_rule(&mut self, rule: i64) {
        if let Some(count) = usize::try_from(rule).ok().and_then(|rule| self.rules.get_mut(rule)) {
            *count += 1;
        }
    }

    /// Notes a final receipt of an attempt. `at` is where to look on: attempts are asked for in ascending order.
    fn receipt(&mut self, at: &mut usize, attempt: Attempt, received_at: i64, state: Option<i64>, error: Option<&str>) {
        while self.seen.get(*at).is_some_and(|seen| seen.attempt < attempt.0) {
            *at += 1;
        }
        let fate = if state == Some(2) { Fate::Delivered } else { Fate::Failed(self.failure(state, error)) };
        let is_answered = self.seen.get(*at).is_some_and(|seen| seen.attempt == attempt.0);
        let claimed_at = if is_answered { None } else { self.claimed_at(attempt) };
        let seen = match self.seen.get_mut(*at) {
            Some(seen) if seen.attempt == attempt.0 => seen,
            _ => self.unanswered.entry(attempt.0).or_insert(Seen {
                attempt: attempt.0,
                sent_at: claimed_at,
                answered_at: 0,
                accepted: false,
                fate: Fate::Open,
                so_far: None,
            }),
        };
        if seen.fate == Fate::Delivered {
            return;
        }
        seen.fate = fate;
        if let Some(page) = self.page.as_mut().filter(|_| fate == Fate::Delivered) {
            page.series.add(DELIVERED, received_at, 1);
        }
        if let (Fate::Delivered, Some(sent_at)) = (fate, seen.sent_at) {
            self.deliveries_ms.add(received_at - sent_at);
        }
    }

    /// Notes a receipt that is not final of an attempt. `at` as for [`receipt`](Self::receipt).
    fn not_final(&mut self, at: &mut usize, attempt: Attempt, state: Option<i64>, error: Option<&str>) {
        while self.seen.get(*at).is_some_and(|seen| seen.attempt < attempt.0) {
            *at += 1;
        }
        let kind = self.so_far.index_of(state, error);
        if let Some(seen) = self.seen.get_mut(*at).filter(|seen| seen.attempt == attempt.0) {
            seen.so_far = Some(kind);
        }
    }

    fn failure(&mut self, state: Option<i64>, error: Option<&str>) -> usize {
        self.failures.index_of(state, error)
    }

    /// Counts what the chunk's attempts came to.
    fn settle(&mut self) {
        let (seen, unanswered) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.unanswered));
        for seen in seen.iter().chain(unanswered.values()) {
            match seen.fate {
                Fate::Open if seen.accepted => {
                    self.wait_for(Some(seen.answered_at));
                    if let Some(kind) = seen.so_far {
                        self.so_far.add(kind, Attempt(seen.attempt).part());
                    }
                }
                Fate::Failed(index) => self.failures.add(index, Attempt(seen.attempt).part()),
                Fate::Open | Fate::Delivered => {}
            }
        }
        self.seen = seen;
    }

    fn into_report(self, doubts: Vec<Doubt>) -> Result<CampaignReport, JournalError> {
        let summary = self.summary.clone();
        let mut statuses: Vec<_> = self.statuses.into_iter().filter(|&(_, attempts)| attempts > 0).collect();
        statuses.sort_unstable();
        let names = Names::load(self.connection)?;
        let failures = self.failures.in_words(&names);
        let asked = summary.receipts_asked == Receipts::All;
        let outstanding = if asked {
            Outstanding {
                messages: summary.counts.of(State::Accepted),
                parts: self.outstanding.0,
                oldest_answered_at: self.outstanding.1.map(Stamp),
            }
        } else {
            Outstanding::default()
        };
        let elapsed = match (summary.first_sent_at, summary.last_sent_at) {
            (Some(first), Some(last)) => (last.0 - first.0).max(0),
            _ => 0,
        };
        let rate = |ms: i64| (ms >= 1_000).then(|| self.attempts as f64 * 1_000.0 / ms as f64);
        let latency = Latency {
            answer_ms: percentiles(&self.answers_ms, |ms| ms),
            delivery_s: percentiles(&self.deliveries_ms, |ms| ms as f64 / 1_000.0),
        };
        if let Some(page) = self.page {
            (page.answers, page.deliveries) = (self.answers_ms.bars(), self.deliveries_ms.bars());
        }
        let (first, end) = (summary.first_id, summary.end_id);
        Ok(CampaignReport {
            sent_in_part: sent_in_part(self.connection, &summary)?,
            possible_duplicates: possible_duplicates(self.connection, first, end)?,
            receipts_only_for: receipts_only_for(self.connection, first, end)?,
            attempts: self.attempts,
            statuses: statuses.into_iter().map(|(status, attempts)| StatusCount::new(status, attempts)).collect(),
            rejections: self.rejections.finish(self.connection)?,
            failures,
            not_final: if asked { self.so_far.in_words(&names) } else { Vec::new() },
            doubts,
            outstanding_receipts: outstanding,
            latency,
            receipts: (0..)
                .zip(self.rules)
                .filter(|&(_, receipts)| receipts > 0)
                .map(|(rule, receipts)| RuleCount { rule: rule_name(rule), receipts })
                .collect(),
            contradictory_receipts: self.differing,
            throughput: Throughput {
                seconds: elapsed as f64 / 1_000.0,
                parts_per_second: rate(elapsed),
                seconds_sending: self.sending_ms as f64 / 1_000.0,
                parts_per_second_sending: rate(self.sending_ms),
            },
            added_fields: crate::journal::store::added_fields::of_campaign(self.connection, summary.id)?,
            runs: crate::journal::store::runs::of(self.connection, summary.id)?,
            stopped: crate::journal::store::release::stopped(self.connection, summary.id)?,
            summary,
        })
    }
}

fn percentiles<T>(histogram: &Histogram, unit: impl Fn(u64) -> T) -> Percentiles<T> {
    Percentiles {
        count: histogram.count(),
        p50: histogram.percentile(50).map(&unit),
        p95: histogram.percentile(95).map(&unit),
        p99: histogram.percentile(99).map(&unit),
        max: histogram.max().map(&unit),
    }
}

fn later(tries: &[Vec<ClaimRun>], tried: u16, part: i64) -> Option<i64> {
    find(tries.get(usize::from(tried) - 1)?, part)
}

fn find(runs: &[ClaimRun], part: i64) -> Option<i64> {
    let after = runs.partition_point(|run| run.first <= part);
    runs[..after].last().filter(|run| part < run.end).map(|run| run.claimed_at)
}

/// The first messages in doubt. They are never plain, so all of them stand in message_state.
fn doubts(connection: &Connection, summary: &CampaignSummary) -> Result<Vec<Doubt>, JournalError> {
    let mut doubts = Vec::new();
    let mut from = summary.first_id;
    while from < summary.end_id && doubts.len() < DOUBTS_SHOWN {
        let end = (from + CHUNK_STATES).min(summary.end_id);
        let mut statement = connection.prepare_cached(
            "SELECT m.line, m.destination,
                    (SELECT v.reason FROM verdict v
                      WHERE v.attempt >= (m.id << 12) AND v.attempt < ((m.id + m.parts) << 12) AND v.kind = 1
                      ORDER BY v.id DESC LIMIT 1)
                 || coalesce((SELECT '; another try or part was rejected: '
                                     || coalesce(n.name, 'status ' || a.command_status)
                                FROM answer a LEFT JOIN status_name n ON n.command_status = a.command_status
                               WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12) AND a.outcome = 2
                               ORDER BY a.attempt DESC LIMIT 1), '')
               FROM message_state s CROSS JOIN message m ON m.id = s.message
              WHERE s.message >= ?1 AND s.message < ?2 AND s.state = ?3 ORDER BY s.message LIMIT ?4",
        )?;
        let wanted = (DOUBTS_SHOWN - doubts.len()) as i64;
        let mut rows = statement.query((from, end, State::InDoubt as u8, wanted))?;
        while let Some(row) = rows.next()? {
            doubts.push(Doubt { line: row.get(0)?, destination: row.get(1)?, reason: row.get(2)? });
        }
        from = end;
    }
    Ok(doubts)
}

/// The attempts that were claimed and then shown to have never left.
fn never_left(snapshot: &Connection, from: i64, end: i64) -> Result<Vec<Attempt>, JournalError> {
    Ok(snapshot
        .prepare_cached("SELECT attempt FROM verdict WHERE attempt >= ?1 AND attempt < ?2 AND kind = 2")?
        .query_map(Attempt::range(from, end), |row| row.get(0).map(Attempt))?
        .collect::<Result<_, _>>()?)
}
