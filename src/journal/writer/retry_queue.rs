//! Parts that are to be tried again, by the time at which they are due. In memory: the journal's facts say it all.

pub mod backlog;

use crate::journal::error::JournalError;
use crate::journal::model::key::{Attempt, Outcome, TRIES_MAX, Verdict};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::model::state::{AttemptFacts, is_to_send, may_go_on};
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use crate::wire::{CommandStatus, StatusClass};
use hashbrown::{HashMap, HashSet};
use rusqlite::Connection;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(test)]
use std::time::Duration;
use std::time::Instant;

/// Delay before a part that was throttled once or twice is tried again; the rate is cut at the same time.
const THROTTLED_DELAY_MS: i64 = 200;
/// Delay after the third time in a row; each further time doubles it.
const THROTTLED_LONG_MS: i64 = 1_000;
/// The longest of these delays: at that rate the tries that can be recorded last for two weeks.
const THROTTLED_MAX_MS: i64 = 300_000;
/// So many times in a row lead to the longest delay.
const THROTTLED_COUNTED: u32 = 12;

const _: () = assert!(THROTTLED_LONG_MS << (THROTTLED_COUNTED - 3) >= THROTTLED_MAX_MS);

/// How long a part waits that was throttled so many times in a row. Where an account may send nothing more today, it is
/// the rate's lower end that the same part would be tried at for hours.
pub(super) fn throttled_delay_ms(times: u32) -> i64 {
    match times {
        0..=2 => THROTTLED_DELAY_MS,
        times => (THROTTLED_LONG_MS << (times.min(THROTTLED_COUNTED) - 3)).min(THROTTLED_MAX_MS),
    }
}

/// Delays of a part that is throttled while most others are accepted: it is the part, or its destination, that has to wait.
const OWN_DELAYS_MS: [i64; 5] = [2_000, 15_000, 60_000, 120_000, 300_000];

/// How long a part waits that was throttled so many times in a row while most others are accepted.
pub(super) fn own_delay_ms(times: u32) -> i64 {
    OWN_DELAYS_MS.get(times.saturating_sub(1) as usize).copied().unwrap_or(THROTTLED_MAX_MS)
}

/// A delay with up to a quarter on top: what was refused together does not come back together.
pub(super) fn jittered(delay_ms: i64) -> i64 {
    delay_ms + fastrand::i64(0..=delay_ms / 4)
}

/// Whether most of the last answers accepted their messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd {
    /// Of 1,024, weighed by how late they came.
    accepted: u32,
}

impl Crowd {
    /// Another answer.
    pub(super) fn note(&mut self, is_accepted: bool) {
        self.accepted = self.accepted - self.accepted / 32 + if is_accepted { 32 } else { 0 };
    }

    /// Whether they did.
    pub(super) fn accepts_most(self) -> bool {
        self.accepted > 512
    }
}

/// Milliseconds since this was first asked: a clock that nobody sets.
pub fn steady_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as i64
}

/// A part to be tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// When, by [`steady_ms`].
    pub due_ms: i64,
    /// The attempt that it will be.
    pub attempt: Attempt,
    /// Its message.
    pub message: i64,
    /// Index of its campaign.
    pub campaign: u32,
    /// How many tries were refused for reasons other than throttling.
    pub refused: u8,
}

/// The queues: one for each campaign, so that what one may not send now does not stand before what another may.
#[derive(Debug, Default)]
pub struct Retries {
    queues: HashMap<u32, BinaryHeap<Reverse<Waiting>>>,
    queued: HashSet<Attempt>,
    /// Lines of messages that were tried as often as can be recorded, each with its campaign's index.
    exhausted: BTreeSet<(u32, i64)>,
    backlog: backlog::Backlog,
}

impl Retries {
    /// Adds a part, unless the very attempt is queued already.
    pub fn push(&mut self, waiting: Waiting) {
        if self.queued.insert(waiting.attempt) {
            self.queues.entry(waiting.campaign).or_default().push(Reverse(waiting));
        }
    }

    fn first(&self, campaign: u32) -> Option<&Waiting> {
        self.queues.get(&campaign)?.peek().map(|Reverse(waiting)| waiting)
    }

    /// The next part of the campaign that is due.
    pub fn pop_due(&mut self, campaign: u32, now_ms: i64) -> Option<Waiting> {
        if self.first(campaign)?.due_ms > now_ms {
            return None;
        }
        let queue = self.queues.get_mut(&campaign)?;
        let Reverse(waiting) = queue.pop()?;
        if queue.is_empty() {
            self.queues.remove(&campaign);
        }
        self.queued.remove(&waiting.attempt);
        Some(waiting)
    }

    /// Drops what is queued of a campaign, and what was to be looked at: the journal has it.
    pub fn forget(&mut self, campaign: u32) {
        for Reverse(waiting) in self.queues.remove(&campaign).into_iter().flatten() {
            self.queued.remove(&waiting.attempt);
        }
        self.backlog.forget(campaign);
    }

    /// Lets all that is queued be due.
    #[cfg(test)]
    pub fn hasten(&mut self) {
        for queue in self.queues.values_mut() {
            let mut waiting = std::mem::take(queue).into_vec();
            waiting.iter_mut().for_each(|Reverse(waiting)| waiting.due_ms = 0);
            *queue = waiting.into();
        }
    }

    /// Whether the campaign's next part that is due belongs to `message`.
    pub fn is_next_of(&self, campaign: u32, message: Option<i64>, now_ms: i64) -> bool {
        let next = self.first(campaign).filter(|next| next.due_ms <= now_ms);
        message.is_some() && next.map(|next| next.message) == message
    }

    /// When the campaign's next part is due, by [`steady_ms`]; `None`: nothing of it is queued.
    pub fn due_at(&self, campaign: u32) -> Option<i64> {
        self.first(campaign).map(|first| first.due_ms)
    }

    /// How long until something is due; `None`: nothing is queued.
    #[cfg(test)]
    pub fn due_in(&self, now_ms: i64) -> Option<Duration> {
        let first = self.queues.values().filter_map(|queue| queue.peek()).map(|Reverse(first)| first.due_ms).min();
        first.map(|first| Duration::from_millis((first - now_ms).max(0) as u64))
    }

    /// Parts of the campaign that are queued.
    pub fn len_of(&self, campaign: u32) -> usize {
        self.queues.get(&campaign).map_or(0, BinaryHeap::len)
    }

    /// Whether nothing is queued, and nothing left to be looked at.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.backlog.is_empty()
    }

    /// A message was tried as often as can be recorded: the number of another try would be the next part's.
    pub fn exhaust(&mut self, campaign: u32, line: i64) {
        self.exhausted.insert((campaign, line));
    }

    /// Which messages were tried so often and are not tried again, as words; `None`: none.
    pub fn exhausted(&self, counts: &Counts) -> Option<String> {
        let &(campaign, line) = self.exhausted.first()?;
        let name = counts.campaign(campaign).map_or("", |book| &book.name);
        let others = match self.exhausted.len() - 1 {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        Some(format!(
            "the message of line {line} of campaign {name}{others} was tried {TRIES_MAX} times, which is as often as the \
             journal can record: it stays unsent (import it again under another name)"
        ))
    }
}

/// Queues, due at once, what of a message was tried or begun and is to be sent again.
pub fn load_one(
    connection: &Connection,
    rules: &RetryRules,
    campaign: u32,
    message: i64,
    retries: &mut Retries,
) -> Result<(), JournalError> {
    let found = connection
        .prepare_cached("SELECT id, parts, line FROM message WHERE id = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    queue(connection, rules, campaign, found, retries)
}

fn queue(
    connection: &Connection,
    rules: &RetryRules,
    campaign: u32,
    (message, parts, line): (i64, u8, i64),
    retries: &mut Retries,
) -> Result<(), JournalError> {
    let facts = MessageFacts::load(connection, message, parts)?;
    // Nothing tried yet: the feeder brings it.
    if facts.cancelled || facts.parts.iter().all(Vec::is_empty) || !may_go_on(&facts.parts) {
        return Ok(());
    }
    for (n, attempts) in facts.parts.iter().enumerate().filter(|(_, attempts)| is_to_send(attempts)) {
        // What the operator had rejected messages tried again for begins anew.
        let anew = |attempt: &AttemptFacts| attempt.verdict == Some(Verdict::RetryRejected);
        let since = attempts.iter().rposition(anew).map_or(0, |tried| tried + 1);
        let refused = refused(connection, rules, Attempt::new(message + n as i64, since as u16))?;
        if attempts.len() >= usize::from(TRIES_MAX) {
            retries.exhaust(campaign, line);
            continue;
        }
        let attempt = facts.next_attempt(n);
        retries.push(Waiting { due_ms: 0, attempt, message, campaign, refused });
    }
    Ok(())
}

/// How many tries of a part, from this attempt on, were refused for the moment for reasons other than throttling.
fn refused(connection: &Connection, rules: &RetryRules, from: Attempt) -> Result<u8, JournalError> {
    let (_, end) = Attempt::range(from.part(), from.part() + 1);
    let mut statement = connection
        .prepare_cached("SELECT command_status FROM answer WHERE attempt >= ?1 AND attempt < ?2 AND outcome = ?3")?;
    let mut rows = statement.query((from.0, end, Outcome::Retry as u8))?;
    let mut refused = 0u8;
    while let Some(row) = rows.next()? {
        let is_try = rules.class(CommandStatus(row.get(0)?)) == StatusClass::Temporary;
        refused = refused.saturating_add(u8::from(is_try));
    }
    Ok(refused)
}

/// How often a part was refused in a row by what slows the account down: by throttling, or by the status of its newest answer,
/// that of `attempt`. Tries that never left, as a connection broke, are none of them.
pub(super) fn paced_in_a_row(
    connection: &Connection,
    rules: &RetryRules,
    (attempt, newest): (Attempt, CommandStatus),
) -> Result<u32, JournalError> {
    let (from, _) = Attempt::range(attempt.part(), attempt.part());
    let mut statement = connection.prepare_cached(
        "SELECT command_status FROM answer WHERE attempt >= ?1 AND attempt <= ?2 ORDER BY attempt DESC LIMIT ?3",
    )?;
    let mut rows = statement.query((from, attempt.0, THROTTLED_COUNTED))?;
    let mut times = 0;
    while let Some(row) = rows.next()? {
        let status = CommandStatus(row.get(0)?);
        if status != newest && rules.class(status) != StatusClass::Throttled {
            break;
        }
        times += 1;
    }
    Ok(times)
}

/// Forbids the user_message_reference when the account's SMSC is remembered to refuse it.
pub fn load_reference_ban(connection: &Connection, references: &AtomicBool) -> Result<(), JournalError> {
    let banned: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'no_user_message_reference')",
        [],
        |row| row.get(0),
    )?;
    if banned {
        references.store(false, Ordering::Relaxed);
    }
    Ok(())
}

/// The SMSC refuses a user_message_reference: remembered for the account.
pub fn ban_reference(connection: &Connection, references: &AtomicBool) -> Result<(), JournalError> {
    if references.swap(false, Ordering::Relaxed) {
        log::warn!("the SMSC refuses the TLV user_message_reference: left out from now on");
        connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('no_user_message_reference', '1')", [])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::InDoubtPolicy;
    use crate::journal::model::events::ToJournal;
    use crate::journal::testkit::bench::Bench;

    #[test]
    fn f24_a_part_tried_as_often_as_can_be_recorded_holds_up_no_other() {
        let mut bench = Bench::new(&[("491700000001", 1), ("491700000002", 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 1);
        bench.tell(ToJournal::Withdrawn { session, sent, reason: "" });
        // As if that had happened again and again, but for the last time.
        let last = TRIES_MAX - 1;
        let tries = format!(
            "CREATE TEMP TABLE n AS WITH RECURSIVE n (t) AS (SELECT 1 UNION ALL SELECT t + 1 FROM n WHERE t + 1 < {last})
                SELECT t FROM n;
             INSERT INTO claim SELECT 1000 + t, t, 1, 1, 1, {session}, 5000 + t, 0 FROM n;
             INSERT INTO verdict (attempt, at, kind, reason) SELECT 1 << 12 | t, 0, 2, '' FROM n;"
        );
        bench.thread().connection.execute_batch(&tries).unwrap();
        bench.restart();
        let session = bench.open_session();
        let sent = bench.send(session, 1);
        assert_eq!(sent[0].attempt, Attempt::new(1, last));
        bench.tell(ToJournal::Withdrawn { session, sent, reason: "" });
        let said = |bench: &mut Bench| bench.thread().status.exhausted.clone().unwrap_or_default();
        assert!(said(&mut bench).contains("line 2 of campaign test was"), "{}", said(&mut bench));
        let sent = bench.send(session, 1);
        assert_eq!(sent[0].attempt, Attempt::new(2, 0));
        bench.answer(session, sent[0], 0, "7");
        assert_eq!(bench.states(), ["queued", "accepted"]);
        // A later run has nothing to send, and does not take that for the end.
        bench.restart();
        assert!(bench.thread().status.all_sent);
        assert!(said(&mut bench).contains("line 2 of campaign test was"), "{}", said(&mut bench));
    }

    #[test]
    fn f24_who_is_throttled_again_and_again_waits_longer() {
        let delays: Vec<i64> = (1..=14).map(throttled_delay_ms).collect();
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map(|s| s * 1_000);
        assert_eq!(delays, [&[200, 200][..], &seconds].concat());
        // The tries that can be recorded last for days.
        assert!(i64::from(TRIES_MAX) * THROTTLED_MAX_MS > 14 * 86_400_000);
    }

    #[test]
    fn what_is_throttled_while_others_are_accepted_waits_by_itself() {
        let mut bench = Bench::new(&[("491700000001", 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 1);
        for _ in 0..40 {
            bench.thread().refusals.note_answer(0, true);
        }
        for seconds in [2, 15, 60] {
            let sent = if seconds == 2 { sent[0] } else { bench.send(session, 1)[0] };
            bench.answer(session, sent, 0x58, "");
            let due = bench.thread().claimer.turns.retries.due_in(steady_ms()).unwrap();
            let whole = Duration::from_secs(seconds);
            assert!(due > whole - Duration::from_millis(900) && due <= whole * 5 / 4, "{seconds} s: {due:?}");
            bench.thread().claimer.hasten();
        }
    }

    #[test]
    fn what_never_left_makes_nothing_wait_longer() {
        for (status, most_are_accepted, seconds) in [(0x58, true, 2.0), (0x45, true, 2.0), (0x45, false, 0.2)] {
            let mut bench = Bench::new(&[("491700000001", 1)], InDoubtPolicy::Hold);
            for _ in 0..5 {
                let session = bench.open_session();
                let sent = bench.send(session, 1);
                bench.tell(ToJournal::GaveBack { session, sent });
            }
            let session = bench.open_session();
            let sent = bench.send(session, 1)[0];
            assert_eq!(sent.attempt.tried(), 5);
            for _ in 0..40 {
                bench.thread().refusals.note_answer(0, most_are_accepted);
            }
            bench.answer_excused(session, sent, status);
            let due = bench.thread().claimer.turns.retries.due_in(steady_ms()).unwrap();
            assert!(due <= Duration::from_secs_f64(seconds * 1.25), "0x{status:02X}: {due:?}");
        }
    }

    #[test]
    fn what_is_laid_to_the_pace_spends_no_try_of_its_message() {
        let mut bench = Bench::new(&[("491700000001", 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        for _ in 0..12 {
            let sent = bench.send(session, 1)[0];
            assert_eq!(sent.refused, 0);
            bench.answer_excused(session, sent, 0x45);
            bench.thread().claimer.hasten();
        }
        assert_eq!(bench.states(), ["queued"]);
        assert_eq!(bench.thread().status.throttled, 12);
    }

    #[test]
    fn f24_only_throttling_in_a_row_counts() {
        let mut bench = Bench::new(&[("491700000001", 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        for (status, delay_ms) in [(0x58, 200), (0x14, 200), (0x58, 1_000), (0x08, 200), (0x58, 200), (0x14, 200)] {
            let sent = bench.send(session, 1);
            bench.answer(session, sent[0], status, "");
            let thread = bench.thread();
            if status != 0x08 {
                let newest = (sent[0].attempt, CommandStatus(status));
                let times = paced_in_a_row(&thread.connection, &thread.claimer.rules, newest).unwrap();
                assert_eq!(throttled_delay_ms(times), delay_ms, "try {}", sent[0].attempt.tried());
                let due = thread.claimer.turns.retries.due_in(steady_ms()).unwrap();
                assert!(due <= Duration::from_millis(delay_ms as u64 * 5 / 4), "{due:?}");
            }
            // What is looked at here is when it would be due, not that it takes as long.
            thread.claimer.hasten();
        }
    }
}
