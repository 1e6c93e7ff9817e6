//! Messages and all that is known of them, merged by key, a chunk of messages in each snapshot.

use super::{Check, Found};
use crate::journal::error::JournalError;
use crate::journal::model::key::{Attempt, Outcome, State, Verdict};
use crate::journal::model::state::{AttemptFacts, leaves_doubt, message_state};
use crate::journal::query::CampaignSummary;
use crate::journal::query::chunk::{ClaimRun, claims, tries};
use crate::journal::store::history::SharedIds;
use hashbrown::HashSet;
use rusqlite::Connection;

/// Messages read in one snapshot.
const CHUNK_MESSAGES: i64 = 20_000;
/// No message has so high a number: the keys of its receipts would not be numbers any more.
const NUMBER_MAX: i64 = i64::MAX >> 20;

/// The checks of all messages, campaign by campaign.
pub(super) struct Stories<'a> {
    connection: &'a Connection,
    facts: Facts,
    /// Attempts of the parts of the message at hand.
    parts: Vec<Vec<AttemptFacts>>,
    /// Of each attempt, whether it was to be followed by another.
    again: Vec<Vec<bool>>,
    /// Of each attempt, its session.
    sessions: Vec<Vec<i64>>,
    numbers: Check,
    states: Check,
    claimed: Check,
    fates: Check,
    settled: Check,
    once: Check,
    receipts: Check,
}

/// What is known of a chunk of messages, each list in the order of its keys.
#[derive(Default)]
struct Facts {
    messages: Vec<(i64, i64)>,
    stored: Vec<(i64, i64)>,
    /// By try; only tries of which there are any.
    claims: Vec<(u16, Vec<ClaimRun>)>,
    /// Messages that were cancelled by themselves.
    cancelled: HashSet<i64>,
    /// Sessions that have not ended, or whose end is not recorded.
    open: HashSet<i64>,
    answers: Vec<(Attempt, Outcome, Option<String>)>,
    verdicts: Vec<(Attempt, Option<Verdict>)>,
    receipts: Vec<ReceiptFact>,
}

/// A receipt as it stands under an attempt.
#[derive(Clone, Copy)]
struct ReceiptFact {
    attempt: Attempt,
    id: i64,
    /// Whether it is stored under the attempt's own numbers, or else was matched to it.
    own: bool,
    /// Whether it was not matched anew.
    counts: bool,
    is_final: bool,
    delivered: bool,
}

impl<'a> Stories<'a> {
    pub(super) fn new(connection: &'a Connection) -> Result<Self, JournalError> {
        Ok(Self {
            connection,
            facts: Facts::default(),
            parts: Vec::new(),
            again: Vec::new(),
            sessions: Vec::new(),
            numbers: Check::new("messages: numbers follow one another"),
            states: Check::new("messages: each is in the state that follows from its facts"),
            claimed: Check::new("attempts: none is claimed twice or before the one before it"),
            fates: Check::new("answers, verdicts and receipts: each is of an attempt that was claimed"),
            settled: Check::new("attempts: none is left open by a session that has ended"),
            once: Check::new("attempts: none follows another that was not to be tried again"),
            receipts: Check::new("receipts: numbered from 0 in their attempt"),
        })
    }

    /// Checks the messages of a campaign, and counts them by the state that follows from their facts.
    pub(super) fn check(&mut self, campaign: &CampaignSummary) -> Result<Found, JournalError> {
        let mut found = Found::default();
        let mut from = campaign.first_id;
        while from < campaign.end_id {
            let snapshot = self.connection.unchecked_transaction()?;
            let end = self.facts.load(&snapshot, from, campaign.end_id)?;
            drop(snapshot);
            self.chunk(campaign, from, end, &mut found);
            from = end;
        }
        Ok(found)
    }

    /// The checks, after a last one for facts that belong to no campaign.
    pub(super) fn finish(mut self) -> Result<Vec<Check>, JournalError> {
        let snapshot = self.connection.unchecked_transaction()?;
        let mut whole = Vec::new();
        let mut all = Vec::new();
        let mut statement =
            snapshot.prepare("SELECT first_id, end_id, imported_at IS NULL FROM campaign ORDER BY first_id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (first, end, hidden): (i64, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            // An import under way owns messages and nothing else.
            all.push((first, if hidden { NUMBER_MAX } else { end }));
            if !hidden {
                whole.push((first, end));
            }
        }
        for (from, end) in gaps(&all) {
            self.nothing_in(&snapshot, "message", "id >= ?1 AND id < ?2", (from, end))?;
            self.nothing_in(&snapshot, "message_state", "message >= ?1 AND message < ?2", (from, end))?;
        }
        for (from, end) in gaps(&whole) {
            let (attempts, receipts) = (Attempt::range(from, end), Attempt::receipt_range(from, end));
            self.nothing_in(&snapshot, "claim", "first_part >= ?1 AND first_part < ?2", (from, end))?;
            self.nothing_in(&snapshot, "answer", "attempt >= ?1 AND attempt < ?2", attempts)?;
            self.nothing_in(&snapshot, "verdict", "attempt >= ?1 AND attempt < ?2", attempts)?;
            self.nothing_in(&snapshot, "operation", "attempt >= ?1 AND attempt < ?2", attempts)?;
            self.nothing_in(&snapshot, "receipt", "id >= ?1 AND id < ?2", receipts)?;
            self.nothing_in(&snapshot, "receipt_match", "attempt >= ?1 AND attempt < ?2", attempts)?;
        }
        Ok(vec![self.numbers, self.states, self.claimed, self.fates, self.settled, self.once, self.receipts])
    }

    fn nothing_in(
        &mut self,
        snapshot: &Connection,
        table: &str,
        range: &str,
        (from, end): (i64, i64),
    ) -> Result<(), JournalError> {
        let sql = format!("SELECT count(*) FROM {table} WHERE {range}");
        let rows: i64 = snapshot.query_row(&sql, [from, end], |row| row.get(0))?;
        for _ in 0..rows {
            self.fates.wrong(|| format!("{table}: a row between {from} and {end} belongs to no campaign"));
        }
        Ok(())
    }

    fn chunk(&mut self, campaign: &CampaignSummary, from: i64, end: i64, found: &mut Found) {
        let facts = std::mem::take(&mut self.facts);
        let mut next = from;
        let mut rest = facts.cursors();
        for pair in facts.claims.iter().flat_map(|(_, runs)| runs.windows(2)) {
            if pair[1].first < pair[0].end {
                self.claimed.wrong(|| format!("part {} is claimed twice for the same attempt", pair[1].first));
            }
        }
        for &(message, parts) in &facts.messages {
            self.numbers.holds(message == next, || format!("message {message} stands where {next} should"));
            next = message + parts;
            found.messages += 1;
            self.story(message, parts, &mut rest);
            let cancelled = campaign.cancelled_at.is_some();
            let stored = rest.stored(message);
            let read = stored.unwrap_or_else(|| self.plain_state(cancelled));
            let cancelled = cancelled || facts.cancelled.contains(&message);
            let by_rule = message_state(self.parts.iter().map(Vec::as_slice), cancelled, campaign.awaited);
            // A suppressed number is a decision and not a fact of an attempt. It settles no doubt.
            let untouched = matches!(by_rule, State::Queued | State::Cancelled)
                && !self.parts.iter().any(|attempts| leaves_doubt(attempts));
            let same = read == by_rule || read == State::Suppressed && untouched;
            self.states.holds(same, || {
                let kept = if stored.is_some() { "stored" } else { "read off its facts" };
                format!("message {message} is {kept} as {}, its facts say {}", read.name(), by_rule.name())
            });
            found.counts.0[read as usize] += 1;
        }
        if next != end {
            self.numbers.wrong(|| format!("campaign {:?} has no message {next}", campaign.campaign));
        }
        self.facts = facts;
    }

    /// Gathers the attempts of a message from the lists.
    fn story(&mut self, message: i64, parts: i64, rest: &mut Cursors<'_>) {
        let end = message + parts;
        let count = usize::try_from(parts).unwrap_or(0);
        for list in &mut self.parts {
            list.clear();
        }
        for list in &mut self.again {
            list.clear();
        }
        for list in &mut self.sessions {
            list.clear();
        }
        self.parts.resize_with(count, Vec::new);
        self.again.resize_with(count, Vec::new);
        self.sessions.resize_with(count, Vec::new);
        for (tried, runs) in &mut rest.claims {
            for part in message..end {
                let Some(run) = run_of(runs, part) else { continue };
                let n = (part - message) as usize;
                let attempts = &mut self.parts[n];
                self.claimed.holds(attempts.len() == usize::from(*tried), || {
                    format!("part {part}: attempt {} is claimed where {} would be next", *tried + 1, attempts.len() + 1)
                });
                if run.first == part && run.message != message {
                    self.claimed
                        .wrong(|| format!("the intent that begins with part {part} names message {}", run.message));
                }
                attempts.resize(usize::from(*tried) + 1, AttemptFacts::default());
                self.again[n].resize(usize::from(*tried) + 1, false);
                self.sessions[n].resize(usize::from(*tried) + 1, run.session);
            }
        }
        let mut ids = SharedIds::default();
        for (attempt, outcome, id) in take(&mut rest.answers, |fact| fact.0.part() < end) {
            if end > message + 1 {
                ids.note(*attempt, id.as_deref());
            }
            if let Some((facts, again)) = self.fact(message, *attempt, "answer") {
                facts.answer = Some(*outcome);
                *again |= *outcome == Outcome::Retry;
            }
        }
        for attempt in ids.shared() {
            if let Some((facts, _)) = self.fact(message, attempt, "answer") {
                facts.shares_id = true;
            }
        }
        for (attempt, verdict) in take(&mut rest.verdicts, |fact| fact.0.part() < end) {
            self.note_given_up_unclaimed(message, *attempt, *verdict);
            if let Some((facts, again)) = self.fact(message, *attempt, "verdict") {
                facts.verdict = *verdict;
                *again |= matches!(verdict, Some(Verdict::NotWritten | Verdict::Resend | Verdict::RetryRejected));
            }
        }
        for (attempts, sessions) in self.parts.iter().zip(&self.sessions) {
            for (facts, session) in attempts.iter().zip(sessions) {
                let is_settled = facts.answer.is_some() || facts.verdict.is_some();
                self.settled.holds(is_settled || rest.open.contains(session), || {
                    format!(
                        "message {message}: session {session} ended and said nothing of an attempt that it had claimed"
                    )
                });
            }
        }
        let mut last = (Attempt(-1), -1);
        for &ReceiptFact { attempt, id, own, counts, is_final, delivered } in
            take(&mut rest.receipts, |fact| fact.attempt.part() < end)
        {
            if own {
                let expected = if last.0 == attempt { last.1 + 1 } else { 0 };
                self.receipts.holds(id == attempt.receipt(expected), || {
                    format!("receipt {id} of part {} is not number {expected}", attempt.part())
                });
                last = (attempt, id - attempt.receipt(0));
            }
            if let Some((facts, _)) = self.fact(message, attempt, "receipt")
                && counts
            {
                facts.noticed = true;
                if is_final {
                    facts.receipt = Some(facts.receipt == Some(true) || delivered);
                }
            }
        }
        for (n, again) in self.again.iter().enumerate() {
            for (tried, &may) in again.iter().enumerate().rev().skip(1) {
                self.once.holds(may, || {
                    let part = message + n as i64;
                    format!(
                        "part {part}: attempt {} was made although attempt {} was not to be repeated",
                        tried + 2,
                        tried + 1
                    )
                });
            }
        }
    }

    /// A part whose time had passed before its next try was claimed is given up all the same: that try has no claim.
    fn note_given_up_unclaimed(&mut self, message: i64, attempt: Attempt, verdict: Option<Verdict>) {
        let Ok(part) = usize::try_from(attempt.part() - message) else { return };
        let (Some(attempts), Some(again), Some(sessions)) =
            (self.parts.get_mut(part), self.again.get_mut(part), self.sessions.get_mut(part))
        else {
            return;
        };
        if verdict == Some(Verdict::Abandon) && attempts.len() == usize::from(attempt.tried()) {
            attempts.push(AttemptFacts::default());
            again.push(false);
            sessions.push(0);
        }
    }

    fn fact(&mut self, message: i64, attempt: Attempt, what: &str) -> Option<(&mut AttemptFacts, &mut bool)> {
        let part = usize::try_from(attempt.part() - message).ok()?;
        let tried = usize::from(attempt.tried());
        let claimed = self.parts.get(part).is_some_and(|attempts| tried < attempts.len());
        self.fates.holds(claimed, || {
            format!("part {}: an {what} of attempt {}, which was never claimed", attempt.part(), tried + 1)
        });
        Some((self.parts.get_mut(part)?.get_mut(tried)?, self.again.get_mut(part)?.get_mut(tried)?))
    }

    /// The state as message_fact reads it off the facts of the first attempt, where none is stored.
    fn plain_state(&self, cancelled: bool) -> State {
        match self.parts.first().and_then(|attempts| attempts.first()) {
            None if cancelled => State::Cancelled,
            None => State::Queued,
            Some(AttemptFacts { receipt: Some(delivered), .. }) => {
                if *delivered {
                    State::Delivered
                } else {
                    State::Failed
                }
            }
            Some(AttemptFacts { answer: Some(Outcome::Accepted), .. }) => State::Accepted,
            Some(AttemptFacts { answer: Some(_), .. }) => State::Rejected,
            Some(AttemptFacts { answer: None, .. }) => State::Sending,
        }
    }
}

impl Facts {
    /// Reads the messages from `from` on and what is known of them. Returns the number after them.
    fn load(&mut self, snapshot: &Connection, from: i64, campaign_end: i64) -> Result<i64, JournalError> {
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        read(
            snapshot,
            &format!("SELECT id, parts FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT {CHUNK_MESSAGES}"),
            (from, campaign_end),
            &mut self.messages,
            pair,
        )?;
        let whole = (self.messages.len() as i64) < CHUNK_MESSAGES;
        let end = match self.messages.last() {
            Some(&(message, parts)) if !whole => message + parts,
            _ => campaign_end,
        };
        let range = (from, end);
        read(
            snapshot,
            "SELECT message, state FROM message_state WHERE message >= ?1 AND message < ?2 ORDER BY message",
            range,
            &mut self.stored,
            pair,
        )?;
        let mut cancelled = Vec::new();
        read(
            snapshot,
            "SELECT message FROM cancelled_message WHERE message >= ?1 AND message < ?2 AND again_at IS NULL",
            range,
            &mut cancelled,
            |row| row.get(0),
        )?;
        self.cancelled = cancelled.into_iter().collect();
        let mut open = Vec::new();
        read(
            snapshot,
            "SELECT id FROM session WHERE closed_at IS NULL AND id >= ?1 AND id < ?2",
            (0, i64::MAX),
            &mut open,
            |row| row.get(0),
        )?;
        self.open = open.into_iter().collect();
        self.claims.clear();
        for tried in tries(snapshot)? {
            let mut runs = Vec::new();
            claims(snapshot, tried, from, end, &mut runs)?;
            if !runs.is_empty() {
                self.claims.push((tried, runs));
            }
        }
        read(
            snapshot,
            // Of messages of one part no id is compared.
            "SELECT a.attempt, a.outcome, CASE WHEN a.outcome = 0 AND NOT EXISTS (
                        SELECT 1 FROM message m WHERE m.id = (a.attempt >> 12) AND m.parts = 1) THEN a.message_id END
               FROM answer a WHERE a.attempt >= ?1 AND a.attempt < ?2 ORDER BY a.attempt",
            Attempt::range(from, end),
            &mut self.answers,
            |row| {
                let outcome = match row.get(1)? {
                    0 => Outcome::Accepted,
                    1 => Outcome::Retry,
                    _ => Outcome::Rejected,
                };
                Ok((Attempt(row.get(0)?), outcome, row.get(2)?))
            },
        )?;
        read(
            snapshot,
            "SELECT attempt, kind FROM verdict WHERE attempt >= ?1 AND attempt < ?2 ORDER BY attempt, id",
            Attempt::range(from, end),
            &mut self.verdicts,
            |row| Ok((Attempt(row.get(0)?), Verdict::from_number(row.get(1)?))),
        )?;
        self.load_receipts(snapshot, from, end)?;
        Ok(end)
    }

    fn load_receipts(&mut self, snapshot: &Connection, from: i64, end: i64) -> Result<(), JournalError> {
        let mut moved = Vec::new();
        read(
            snapshot,
            "SELECT receipt_id FROM receipt_match WHERE receipt_id >= ?1 AND receipt_id < ?2",
            Attempt::receipt_range(from, end),
            &mut moved,
            |row| row.get(0),
        )?;
        let moved: HashSet<i64> = moved.into_iter().collect();
        read(
            snapshot,
            "SELECT id, final, state FROM receipt WHERE id >= ?1 AND id < ?2 ORDER BY id",
            Attempt::receipt_range(from, end),
            &mut self.receipts,
            |row| {
                let (id, is_final, state): (i64, bool, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (attempt, counts) = (Attempt::of_receipt(id), !moved.contains(&id));
                Ok(ReceiptFact { attempt, id, own: true, counts, is_final, delivered: state == Some(2) })
            },
        )?;
        let mut matched = Vec::new();
        read(
            snapshot,
            "SELECT x.attempt, r.id, r.final, r.state FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
              WHERE x.attempt >= ?1 AND x.attempt < ?2
                AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)",
            Attempt::range(from, end),
            &mut matched,
            |row| {
                let delivered = row.get::<_, Option<i64>>(3)? == Some(2);
                Ok(ReceiptFact {
                    attempt: Attempt(row.get(0)?),
                    id: row.get(1)?,
                    own: false,
                    counts: true,
                    is_final: row.get(2)?,
                    delivered,
                })
            },
        )?;
        if !matched.is_empty() {
            self.receipts.append(&mut matched);
            self.receipts.sort_unstable_by_key(|fact| (fact.attempt, !fact.own, fact.id));
        }
        Ok(())
    }

    fn cursors(&self) -> Cursors<'_> {
        Cursors {
            stored: &self.stored,
            claims: self.claims.iter().map(|(tried, runs)| (*tried, runs.as_slice())).collect(),
            open: &self.open,
            answers: &self.answers,
            verdicts: &self.verdicts,
            receipts: &self.receipts,
        }
    }
}

/// What is left of the lists while messages are gone through in order.
struct Cursors<'a> {
    stored: &'a [(i64, i64)],
    claims: Vec<(u16, &'a [ClaimRun])>,
    open: &'a HashSet<i64>,
    answers: &'a [(Attempt, Outcome, Option<String>)],
    verdicts: &'a [(Attempt, Option<Verdict>)],
    receipts: &'a [ReceiptFact],
}

impl Cursors<'_> {
    fn stored(&mut self, message: i64) -> Option<State> {
        take(&mut self.stored, |&(stored, _)| stored <= message)
            .iter()
            .find(|&&(stored, _)| stored == message)
            .and_then(|&(_, state)| State::from_number(state))
    }
}

/// The claim that holds `part`; claims before it are let go.
fn run_of<'a>(runs: &mut &'a [ClaimRun], part: i64) -> Option<&'a ClaimRun> {
    while let [first, rest @ ..] = *runs
        && first.end <= part
    {
        *runs = rest;
    }
    runs.first().filter(|run| run.first <= part)
}

/// What lies between ranges that are in order.
fn gaps(ranges: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut from = 0;
    let mut gaps = Vec::new();
    for &(first, end) in ranges.iter().chain([&(NUMBER_MAX, NUMBER_MAX)]) {
        if from < first {
            gaps.push((from, first));
        }
        from = from.max(end);
    }
    gaps
}

/// Takes the leading items that fit.
fn take<'a, T>(rest: &mut &'a [T], fits: impl Fn(&T) -> bool) -> &'a [T] {
    let count = rest.iter().take_while(|item| fits(item)).count();
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn read<T>(
    snapshot: &Connection,
    sql: &str,
    range: (i64, i64),
    to: &mut Vec<T>,
    each: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<(), JournalError> {
    to.clear();
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        to.push(each(row)?);
    }
    Ok(())
}
