//! What was decided about going on: which messages go first, and that a campaign went on or was stopped. Facts, appended in
//! the transaction of what they rest on.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::key::Attempt;
use crate::journal::store::counts::Counts;
use crate::platform::clock::now_ms;
use crate::policy::restraint::{Bad, Canary, GoOnWhen, LAST, LastAnswers, Restraint};
use rusqlite::{Connection, OptionalExtension};

/// A decision by its number in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The first messages go before the others.
    Canary = 1,
    /// The others follow.
    GoOn = 2,
    /// Nothing more goes.
    Stop = 3,
    /// The operator has it go on all the same.
    Override = 4,
}

/// A canary whose campaign has neither gone on nor been stopped.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenCanary {
    /// Index of the campaign.
    pub campaign: u32,
    /// Its messages are those before this one.
    pub end: i64,
    /// What they are to come to.
    pub go_on: GoOnWhen,
}

/// Appends a decision.
pub fn decide(
    connection: &Connection,
    campaign: i64,
    kind: Kind,
    rule: &str,
    end: Option<i64>,
    words: &str,
) -> Result<(), JournalError> {
    connection.execute(
        "INSERT INTO restraint (at, campaign_id, kind, rule, end_id, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (now_ms(), campaign, kind as u8, rule, end, words),
    )?;
    Ok(())
}

/// Takes up what earlier runs of the campaigns decided, and what this one is told. Campaigns that were stopped are not sent
/// unless that is overridden.
pub fn begin(
    connection: &Connection,
    counts: &Counts,
    active: &[u32],
    restraint: &Restraint,
) -> Result<Vec<OpenCanary>, JournalError> {
    let mut canaries = Vec::new();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for &index in active {
        let Some(book) = counts.campaign(index).filter(|book| !book.cancelled) else { continue };
        if let Some(stopped) = stop_of(connection, book.id, &book.name)? {
            if !restraint.override_stop {
                connection.execute_batch("ROLLBACK")?;
                return Err(stopped);
            }
            decide(connection, book.id, Kind::Override, "", None, "--override-stop")?;
        }
        let standing = standing(connection, book.id)?;
        let wanted = restraint.canary.map(|canary| (canary, rule_of(&canary)));
        let (rule, end) = match (standing, wanted) {
            // It has gone on once.
            (Standing::Over, _) | (Standing::None, None) => continue,
            (Standing::Open { rule, end }, None) => (rule, end),
            (Standing::Open { rule, end }, Some((_, wanted))) if rule == wanted => (rule, end),
            (_, Some((canary, rule))) => {
                let end = end_of(connection, book.first_id, book.end_id, canary.messages)?;
                // All of it is the canary: there is nothing that could wait for it.
                let Some(end) = end else { continue };
                decide(connection, book.id, Kind::Canary, &rule, Some(end), "")?;
                (rule, end)
            }
        };
        let go_on = rule.split_once(": ").and_then(|(_, rule)| rule.parse().ok());
        let go_on =
            go_on.ok_or_else(|| JournalError::Inconsistent(format!("the canary of {:?}: {rule}", book.name)))?;
        canaries.push(OpenCanary { campaign: index, end, go_on });
    }
    connection.execute_batch("COMMIT")?;
    Ok(canaries)
}

/// Whether a rule has stopped the campaign, and nobody has had it go on since.
pub fn is_stopped(journal: &dyn Sql, campaign: i64) -> Result<bool, JournalError> {
    Ok(stop_of(journal.connection(), campaign, "")?.is_some())
}

/// Why the campaign was stopped, if the last word about it is that.
pub(in crate::journal) fn stop_of(
    connection: &Connection,
    campaign: i64,
    name: &str,
) -> Result<Option<JournalError>, JournalError> {
    let last: Option<(u8, i64, String)> = connection
        .query_row(
            "SELECT kind, at, words FROM restraint WHERE campaign_id = ?1 AND kind <> ?2 ORDER BY id DESC LIMIT 1",
            (campaign, Kind::Canary as u8),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    Ok(last.filter(|(kind, ..)| *kind == Kind::Stop as u8).map(|(_, at, words)| JournalError::Stopped {
        name: name.to_owned(),
        at,
        words,
    }))
}

/// How a campaign's canary stands.
enum Standing {
    None,
    Open { rule: String, end: i64 },
    Over,
}

fn standing(connection: &Connection, campaign: i64) -> Result<Standing, JournalError> {
    let canary: Option<(i64, String, i64)> = connection
        .query_row(
            "SELECT id, rule, end_id FROM restraint WHERE campaign_id = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1",
            (campaign, Kind::Canary as u8),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((id, rule, end)) = canary else { return Ok(Standing::None) };
    let is_over: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM restraint WHERE campaign_id = ?1 AND id > ?2 AND kind IN (?3, ?4))",
        (campaign, id, Kind::GoOn as u8, Kind::Override as u8),
        |row| row.get(0),
    )?;
    Ok(if is_over { Standing::Over } else { Standing::Open { rule, end } })
}

fn rule_of(canary: &Canary) -> String {
    format!("{}: {}", canary.messages, canary.go_on)
}

/// The message after the first so many that are not suppressed; `None`: there is none.
fn end_of(connection: &Connection, first: i64, end: i64, messages: u64) -> Result<Option<i64>, JournalError> {
    let after = i64::try_from(messages).unwrap_or(i64::MAX);
    Ok(connection
        .query_row(
            "SELECT id FROM message
              WHERE id >= ?1 AND id < ?2
                AND NOT EXISTS (SELECT 1 FROM message_state s WHERE s.message = id AND s.state = 9)
              ORDER BY id LIMIT 1 OFFSET ?3",
            (first, end, after),
            |row| row.get(0),
        )
        .optional()?)
}

/// The last answers of a campaign of one kind, as its earlier runs left them. What was before somebody had it go on although
/// it was stopped does not count any more.
pub fn last_answers(
    connection: &Connection,
    counts: &Counts,
    index: u32,
    bad: Bad,
) -> Result<LastAnswers, JournalError> {
    let mut last = LastAnswers::default();
    let Some(book) = counts.campaign(index) else { return Ok(last) };
    let since: i64 = connection.query_row(
        "SELECT coalesce(max(at), 0) FROM restraint WHERE campaign_id = ?1 AND kind = ?2",
        (book.id, Kind::Override as u8),
        |row| row.get(0),
    )?;
    // By number of the message, which is nearly the order in which they came.
    let (sql, (from, end)) = match bad {
        Bad::Rejected => (
            // Those that the operator has tried again are not the last word.
            "SELECT a.outcome = 2, a.answered_at FROM answer a
              WHERE a.attempt >= ?1 AND a.attempt < ?2 AND a.outcome <> 1
                AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.attempt = a.attempt AND v.kind = 6)
              ORDER BY a.attempt DESC LIMIT ?3",
            Attempt::range(book.first_id, book.end_id),
        ),
        Bad::Failed => (
            "SELECT state IS NOT 2, received_at FROM receipt
              WHERE id >= ?1 AND id < ?2 AND final = 1 ORDER BY id DESC LIMIT ?3",
            Attempt::receipt_range(book.first_id, book.end_id),
        ),
        Bad::InDoubt => (
            "SELECT * FROM (
                 SELECT 1, v.at, v.attempt AS a FROM verdict v
                  WHERE v.attempt >= ?1 AND v.attempt < ?2 AND v.kind = 1
                    AND NOT EXISTS (SELECT 1 FROM answer w WHERE w.attempt = v.attempt)
                 UNION ALL
                 SELECT * FROM (SELECT 0, w.answered_at, w.attempt FROM answer w
                                 WHERE w.attempt >= ?1 AND w.attempt < ?2 AND w.outcome <> 1
                                 ORDER BY w.attempt DESC LIMIT ?3))
              ORDER BY a DESC LIMIT ?3",
            Attempt::range(book.first_id, book.end_id),
        ),
    };
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((from, end, LAST as i64))?;
    let mut newest_first = Vec::with_capacity(LAST);
    while let Some(row) = rows.next()? {
        let (is_bad, at): (bool, i64) = (row.get(0)?, row.get(1)?);
        if at > since {
            newest_first.push(is_bad);
        }
    }
    for is_bad in newest_first.into_iter().rev() {
        last.add(u64::from(!is_bad), u64::from(is_bad));
    }
    Ok(last)
}

/// What has become of the first messages of a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CanaryCount {
    /// Those that are to go: not suppressed, not cancelled.
    pub messages: u64,
    /// Delivered, all parts.
    pub delivered: u64,
    /// Taken by the SMSC, whatever became of them then.
    pub accepted: u64,
    /// Of which more may be heard.
    pub open: u64,
    /// On their way: claimed, and not answered.
    pub sending: u64,
    /// Of which it is not known yet whether the SMSC takes them.
    pub unanswered: u64,
}

/// Counts them.
pub fn count(connection: &Connection, campaign: i64, first: i64, end: i64) -> Result<CanaryCount, JournalError> {
    use crate::journal::model::key::State;
    let mut statement = connection.prepare_cached(
        "SELECT f.state, count(*), count(f.answered_at) FROM message_fact f
          WHERE f.campaign_id = ?1 AND f.message >= ?2 AND f.message < ?3 GROUP BY 1",
    )?;
    let mut rows = statement.query((campaign, first, end))?;
    let mut count = CanaryCount::default();
    while let Some(row) = rows.next()? {
        let number = |n: usize| row.get::<_, i64>(n).map(|number| u64::try_from(number).unwrap_or(0));
        let (messages, answered) = (number(1)?, number(2)?);
        let Some(state) = State::from_number(row.get(0)?) else { continue };
        match state {
            State::Suppressed | State::Cancelled => continue,
            State::Queued | State::Sending | State::InDoubt => {
                count.sending += if state == State::Sending { messages } else { 0 };
                count.open += messages;
                count.unanswered += messages;
            }
            State::Accepted => {
                count.open += messages;
                count.accepted += messages;
            }
            State::Delivered => {
                count.delivered += messages;
                count.accepted += messages;
            }
            State::PartlyDelivered => count.accepted += messages,
            // Some were given up before they went out.
            State::Failed => count.accepted += answered,
            State::Rejected => {}
        }
        count.messages += messages;
    }
    Ok(count)
}
