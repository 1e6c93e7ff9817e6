//! How campaigns stand that another process sends, for whoever looks on.

use super::{JournalError, plan, snapshot};
use crate::journal::handle::Sql;
use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::{State, TRIES_MAX};
use crate::journal::store::campaign_options::options;
use crate::journal::store::notes::campaign_id;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

/// How a campaign stands, or several together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// Messages by state.
    pub counts: [i64; State::COUNT],
    /// Messages that are still to be sent, as far as is released.
    pub left: i64,
    /// Messages whose receipts are waited for.
    pub awaiting: i64,
    /// Messages in doubt whose receipts are.
    pub doubts: i64,
    /// Messages that are queued and were tried as often as can be recorded: nobody sends them any more.
    pub exhausted: i64,
}

/// The state of each of these messages.
pub fn states_of(journal: &dyn Sql, messages: &[i64]) -> Result<Vec<State>, JournalError> {
    let mut statement = journal.connection().prepare_cached("SELECT state FROM message_fact WHERE message = ?1")?;
    let states = messages.iter().map(|message| {
        let state = statement.query_row([message], |row| row.get::<_, i64>(0)).optional()?;
        Ok(state.and_then(State::from_number).unwrap_or(State::Cancelled))
    });
    states.collect()
}

/// Whether a message is deleted with all others of its campaign.
pub fn is_purged(journal: &dyn Sql, message: i64) -> Result<bool, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM campaign WHERE first_id <= ?1 AND end_id > ?1 AND purged_at IS NOT NULL)";
    Ok(journal.connection().query_row(sql, [message], |row| row.get(0))?)
}

impl Look {
    /// Another campaign.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.left += other.left;
        self.awaiting += other.awaiting;
        self.doubts += other.doubts;
        self.exhausted += other.exhausted;
    }

    /// Messages that are sent.
    pub fn sent(&self) -> i64 {
        let unsent = [State::Queued, State::Suppressed, State::Cancelled, State::Sending];
        self.counts.iter().sum::<i64>() - unsent.iter().map(|&state| self.counts[state as usize]).sum::<i64>()
    }
}

/// Campaigns that are looked at again and again, and what of them does not change.
#[derive(Debug)]
pub struct Looked {
    campaigns: Vec<Known>,
    /// Only so many messages of each are sent.
    limit: Option<u64>,
}

#[derive(Debug)]
struct Known {
    id: i64,
    name: String,
    awaits_receipts: bool,
}

impl Looked {
    /// These.
    pub fn of(journal: &dyn Sql, names: &[String], limit: Option<u64>) -> Result<Self, JournalError> {
        let known = |name: &String| -> Result<Known, JournalError> {
            let awaits_receipts = options(journal, name)?.receipts == Receipts::All;
            Ok(Known { id: campaign_id(journal.connection(), name)?, name: name.clone(), awaits_receipts })
        };
        Ok(Self { campaigns: names.iter().map(known).collect::<Result<_, _>>()?, limit })
    }

    /// How each of them stands now.
    pub fn look(&mut self, journal: &dyn Sql) -> Result<Vec<(i64, Look)>, JournalError> {
        let connection = journal.connection();
        let mut looks = Vec::with_capacity(self.campaigns.len());
        {
            let snapshot = snapshot(connection)?;
            let undecided = undecided(&snapshot)?;
            let mut statement = snapshot.prepare_cached(
                "SELECT c.cancelled_at IS NOT NULL, c.first_id, c.end_id, n.queued, n.sending, n.accepted, n.delivered,
                        n.partly_delivered, n.failed, n.rejected, n.in_doubt, n.cancelled, n.suppressed
                   FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id WHERE c.id = ?1",
            )?;
            for known in &self.campaigns {
                let mut look = Look::default();
                let (is_cancelled, range) = statement.query_row([known.id], |row| {
                    for (n, count) in look.counts.iter_mut().enumerate() {
                        *count = row.get(3 + n)?;
                    }
                    Ok((row.get::<_, bool>(0)?, (row.get(1)?, row.get(2)?)))
                })?;
                let of = |state: State| look.counts[state as usize];
                if known.awaits_receipts {
                    (look.awaiting, look.doubts) = (of(State::Accepted), of(State::InDoubt));
                }
                if of(State::Queued) > 0 && !is_cancelled {
                    look.exhausted = exhausted(&snapshot, range)?;
                }
                // Until decisions are applied it is not said what is to be sent.
                let is_undecided = i64::from(undecided.contains(&known.id));
                let queued = if is_cancelled { 0 } else { (of(State::Queued) - look.exhausted).max(0) };
                look.left = is_undecided + queued + of(State::Sending);
                looks.push((known.id, look));
            }
        }
        if self.limit.is_some() {
            for (known, (_, look)) in self.campaigns.iter().zip(&mut looks).filter(|(_, (_, look))| look.left > 0) {
                let queued = look.counts[State::Queued as usize];
                let to_send = plan(journal, &known.name, self.limit)?.to_send.max(0);
                look.left -= (queued - to_send).clamp(0, look.left);
            }
        }
        Ok(looks)
    }
}

/// The campaigns about which decisions wait to be applied.
fn undecided(connection: &Connection) -> Result<HashSet<i64>, JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT campaign_id FROM control WHERE applied_at IS NULL")?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Messages of this range that are queued and were tried as often as can be recorded.
fn exhausted(connection: &Connection, (first, end): (i64, i64)) -> Result<i64, JournalError> {
    Ok(connection
        .prepare_cached(
            "SELECT count(DISTINCT s.message) FROM claim k
               JOIN message_state s ON s.message >= k.first_message AND s.message < k.first_part + k.parts AND s.state = ?4
              WHERE k.try = ?3 AND k.first_part >= ?1 AND k.first_part < ?2",
        )?
        .query_row((first, end, TRIES_MAX - 1, State::Queued as u8), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::InDoubtPolicy;
    use crate::journal::open::open_existing;
    use crate::journal::testkit::bench::Bench;

    /// So many campaigns of so many messages each.
    fn journal(campaigns: i64, messages: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let filled = format!(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {campaigns})
             INSERT INTO campaign (name, file, options, first_id, end_id, created_at, imported_at)
                 SELECT 'c' || n, '', '{{}}', 1 + n * {messages}, 1 + (n + 1) * {messages}, 0, 0 FROM n;
             INSERT INTO campaign_count (campaign_id, messages, queued) SELECT id, {messages}, {messages} FROM campaign;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {campaigns} * {messages})
             INSERT INTO message (id, line, destination, text, encoding, parts) SELECT n, n, '447700900001', 'Hi', 0, 1 FROM n;
             INSERT INTO message_state (message, state) SELECT id, 0 FROM message WHERE id % 10 = 0;
             INSERT INTO claim SELECT id, 0, id, 1, id, 1, id, 0 FROM message WHERE id % 10 = 0"
        );
        connection.execute_batch(&filled).unwrap();
        connection
    }

    #[test]
    fn a_look_costs_as_much_whatever_number_of_messages_there_are() {
        let steps = |campaigns: i64, messages: i64| {
            let mut connection = journal(campaigns, messages);
            let names: Vec<String> = (0..campaigns).map(|n| format!("c{n}")).collect();
            let mut looked = Looked::of(&connection, &names, None).unwrap();
            let counted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            let counts = std::sync::Arc::clone(&counted);
            let handler = move || {
                counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                false
            };
            connection.progress_handler(10, Some(handler)).unwrap();
            let looks = looked.look(&connection).unwrap();
            assert_eq!(looks.iter().map(|(_, look)| look.left).sum::<i64>(), campaigns * messages);
            counted.load(std::sync::atomic::Ordering::Relaxed)
        };
        let (few, many) = (steps(20, 10), steps(20, 2_000));
        assert!(many <= few + few / 10, "{few} steps with 10 messages each, {many} with 2,000");
    }

    #[test]
    fn what_was_tried_as_often_as_can_be_recorded_is_not_waited_for() {
        let bench = Bench::new(&[("491700000001", 1), ("491700000002", 1)], InDoubtPolicy::Hold);
        let names = ["test".to_owned()];
        let opened = open_existing(&bench.path).unwrap();
        let mut looked = Looked::of(&opened, &names, None).unwrap();
        let mut look = || looked.look(&opened).unwrap()[0].1;
        assert_eq!((look().left, look().exhausted), (2, 0));
        let last = TRIES_MAX - 1;
        let tried = format!(
            "INSERT INTO claim VALUES (9000, {last}, 1, 1, 1, 1, 9000, 0);
             INSERT INTO message_state (message, state) VALUES (1, 0)"
        );
        opened.execute_batch(&tried).unwrap();
        assert_eq!((look().left, look().exhausted), (1, 1));
        let mut limited = Looked::of(&opened, &names, Some(1)).unwrap();
        assert_eq!(limited.look(&opened).unwrap()[0].1.exhausted, 1);
        opened.execute_batch("UPDATE campaign SET cancelled_at = 1").unwrap();
        assert_eq!((look().left, look().exhausted), (0, 0));
    }
}
