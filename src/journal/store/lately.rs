//! Numbers that a campaign sent to lately: what an import says, and what `--skip-sent-within` leaves out.
//!
//! A message was sent once the SMSC took a part of it, or a part may have left and nobody knows what became of it. One that
//! is queued, was never written, or was refused, was not.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::number_index::{Asked, Hit, Numbers, key_of};
use crate::message::number_set::KeySet;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::ops::{ControlFlow, Range};

/// What another campaign sent to, of the numbers of a file. Who sent to a number last counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SentBy {
    /// Its name.
    pub campaign: String,
    /// To how many of the numbers.
    pub numbers: i64,
    /// When last, in milliseconds since 1970.
    pub last: i64,
}

/// Numbers that are best asked for together: 32 octets of memory each.
pub const ASKED_AT_ONCE: usize = 1 << 20;
/// Messages between two that are read in one go.
const NEAR: i64 = 8;

/// Campaigns that sent since a moment.
#[derive(Clone, Debug)]
pub struct Lately {
    since: i64,
    /// By their ids.
    campaigns: Vec<Recent>,
    ranges: Vec<Range<i64>>,
}

#[derive(Clone, Debug)]
struct Recent {
    name: String,
    numbers: i64,
    last: i64,
}

/// Who sent to a number last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The number's [`same_key`](crate::message::address::Destination::same_key).
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    campaign: u32,
}

impl Lately {
    /// The whole campaigns that sent since a moment; `None`: there is none.
    pub fn since(journal: &dyn Sql, since: i64) -> Result<Option<Self>, JournalError> {
        let connection = journal.connection();
        let mut statement = connection.prepare(
            "SELECT c.name, c.first_id, c.end_id FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id
              WHERE c.imported_at IS NOT NULL AND n.last_sent_at >= ?1 ORDER BY c.first_id",
        )?;
        let (mut campaigns, mut ranges) = (Vec::new(), Vec::new());
        let mut rows = statement.query([since])?;
        while let Some(row) = rows.next()? {
            campaigns.push(Recent { name: row.get(0)?, numbers: 0, last: 0 });
            ranges.push(row.get(1)?..row.get(2)?);
        }
        Ok((!campaigns.is_empty()).then_some(Self { since, campaigns, ranges }))
    }

    /// Without the campaign of that name, which may be added to; `None`: there is no other.
    pub fn besides(mut self, name: &str) -> Option<Self> {
        if let Some(own) = self.campaigns.iter().position(|campaign| campaign.name == name) {
            self.campaigns.remove(own);
            self.ranges.remove(own);
        }
        (!self.campaigns.is_empty()).then_some(self)
    }

    /// Those of the numbers that were sent to, and by whom last. Each number is best asked for once.
    pub fn ask(&self, journal: &dyn Sql, numbers: Vec<u64>) -> Result<Vec<Sent>, JournalError> {
        let connection = journal.connection();
        // Runs that are merged meanwhile stay as they are in here.
        let snapshot = match connection.is_autocommit() {
            true => Some(Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?),
            false => None,
        };
        let look_up = Numbers::load(connection)?;
        let asked = look_up.sorted(numbers);
        let mut newest = vec![(0, 0); asked.len()];
        look_up.hits(connection, &asked, &self.ranges, &mut |hits| {
            self.note(connection, &asked, hits, &mut newest)?;
            Ok(ControlFlow::Continue(()))
        })?;
        drop(snapshot);
        let sent = asked.iter().zip(newest).filter(|(_, (at, _))| *at > 0);
        Ok(sent.map(|(asked, (at, campaign))| Sent { number: asked.number, at, campaign }).collect())
    }

    /// Looks at messages that may be to the numbers; `newest`: of each number, when it was sent to last, and by whom.
    fn note(
        &self,
        connection: &Connection,
        asked: &[Asked],
        mut hits: &[Hit],
        newest: &mut [(i64, u32)],
    ) -> Result<(), JournalError> {
        let mut messages = connection
            .prepare_cached("SELECT id, parts, destination FROM message WHERE id >= ?1 AND id <= ?2 ORDER BY id")?;
        while let Some(first) = hits.first() {
            let near = hits.windows(2).take_while(|pair| pair[1].message - pair[0].message <= NEAR).count() + 1;
            let (mut span, behind) = hits.split_at(near);
            let last = span.last().map_or(first.message, |hit| hit.message);
            let mut rows = messages.query([first.message, last])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                span = &span[span.partition_point(|hit| hit.message < id)..];
                let here = span.partition_point(|hit| hit.message == id);
                if here == 0 {
                    continue;
                }
                let number = key_of(row.get_ref(2)?.as_str().unwrap_or_default());
                let Some(hit) = span[..here].iter().find(|hit| asked[hit.asked as usize].number == number) else {
                    continue;
                };
                if let Some(at) = sent_at(connection, id, row.get(1)?)?.filter(|at| *at >= self.since) {
                    let campaign = self.ranges.partition_point(|range| range.end <= id) as u32;
                    let newest = &mut newest[hit.asked as usize];
                    *newest = (*newest).max((at, campaign));
                }
            }
            hits = behind;
        }
        Ok(())
    }

    /// The campaign that sent it.
    pub fn campaign(&self, sent: &Sent) -> &str {
        self.campaigns.get(sent.campaign as usize).map_or("", |campaign| campaign.name.as_str())
    }
}

/// When a part of the message last was sent or may have left.
fn sent_at(connection: &Connection, message: i64, parts: u8) -> Result<Option<i64>, JournalError> {
    let end = message + i64::from(parts);
    let mut taken = connection.prepare_cached(
        "SELECT max(answered_at - answer_ms) FROM answer WHERE attempt >= (?1 << 12) AND attempt < (?2 << 12) AND outcome = 0",
    )?;
    let taken: Option<i64> = taken.query_row((message, end), |row| row.get(0))?;
    if parts == 1 && taken.is_some() {
        return Ok(taken);
    }
    // What was claimed may have left, unless it was answered or is known not to have been written.
    let mut claimed = connection.prepare_cached(
        "SELECT first_part + parts > ?2, claimed_at FROM claim WHERE try = ?1 AND first_part <= ?2
          ORDER BY first_part DESC LIMIT 1",
    )?;
    let mut is_settled = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM answer WHERE attempt = ?1)
             OR EXISTS (SELECT 1 FROM verdict WHERE attempt = ?1 AND kind = 2)",
    )?;
    let mut newest = taken;
    for part in message..end {
        for tried in 0..crate::journal::model::key::TRIES_MAX {
            let claim = claimed.query_row((tried, part), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((true, at)) = claim else {
                // Parts are first tried in their order.
                if tried == 0 {
                    return Ok(newest);
                }
                break;
            };
            let attempt = crate::journal::model::key::Attempt::new(part, tried).0;
            if !is_settled.query_row([attempt], |row| row.get::<_, bool>(0))? {
                newest = newest.max(Some(at));
            }
        }
    }
    Ok(newest)
}

/// Counts the numbers of a file that were sent to, some at a time.
#[derive(Debug)]
pub struct Count {
    lately: Lately,
    asked: Vec<u64>,
    /// Where a number may come twice: those that were found.
    found: Option<KeySet>,
}

impl Count {
    /// Nothing yet. `may_repeat`: a number may come again.
    pub fn new(lately: Lately, may_repeat: bool) -> Self {
        Self { lately, asked: Vec::new(), found: may_repeat.then(KeySet::new) }
    }

    /// Adds a number of the file.
    pub fn add(&mut self, number: u64) {
        self.asked.push(number);
    }

    /// Whether it is time to ask.
    pub fn is_full(&self) -> bool {
        self.asked.len() >= ASKED_AT_ONCE
    }

    /// Asks for what was added. `each` is told what was sent to, and by which campaign.
    pub fn ask(&mut self, journal: &dyn Sql, mut each: impl FnMut(&Sent, &str)) -> Result<(), JournalError> {
        let connection = journal.connection();
        let asked = std::mem::take(&mut self.asked);
        for sent in self.lately.ask(connection, asked)? {
            if !self.found.as_mut().is_none_or(|found| found.insert(sent.number)) {
                continue;
            }
            each(&sent, self.lately.campaign(&sent));
            if let Some(campaign) = self.lately.campaigns.get_mut(sent.campaign as usize) {
                campaign.numbers += 1;
                campaign.last = campaign.last.max(sent.at);
            }
        }
        Ok(())
    }

    /// What was counted, by campaign, the busiest first.
    pub fn by_campaign(&self) -> Vec<SentBy> {
        let found = self.lately.campaigns.iter().filter(|campaign| campaign.numbers > 0);
        let mut sent: Vec<SentBy> = found
            .map(|recent| SentBy { campaign: recent.name.clone(), numbers: recent.numbers, last: recent.last })
            .collect();
        sent.sort_by(|a, b| b.numbers.cmp(&a.numbers).then(b.last.cmp(&a.last)));
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::testkit::bench::Bench;
    use crate::platform::clock::now_ms;

    const NUMBERS: [&str; 5] = ["491700000001", "491700000002", "491700000003", "491700000004", "491700000005"];

    #[test]
    fn sent_is_what_was_taken_or_may_have_left() {
        let messages: Vec<(&str, u8)> = NUMBERS.iter().map(|number| (*number, 1)).collect();
        let mut bench = Bench::new(&messages, Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 4);
        bench.answer(session, sent[0], 0, "1");
        bench.answer(session, sent[1], 0x0B, "");
        bench.time_out(session, sent[2]);
        // The fourth is on its way, and the fifth queued.
        let connection = rusqlite::Connection::open(&bench.path).unwrap();
        let keys = || NUMBERS.iter().map(|number| key_of(number)).chain([key_of("4412345678")]).collect();
        let lately = Lately::since(&connection, now_ms() - 60_000).unwrap().unwrap();
        let mut found: Vec<u64> = lately.ask(&connection, keys()).unwrap().iter().map(|sent| sent.number).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 2, 3].map(|n: usize| key_of(NUMBERS[n])));
        assert!(Lately::since(&connection, now_ms() + 60_000).unwrap().is_none(), "nothing was sent since");
        // A moment between: the campaign sent since, and these messages did not.
        let mut later = lately;
        later.since = now_ms() + 60_000;
        assert_eq!(later.ask(&connection, keys()).unwrap(), []);
    }
}
