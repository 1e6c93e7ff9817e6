//! The counts of each campaign by state, and the stored states of messages whose story is not the plain one: kept in
//! memory as differences while a transaction runs, written once before it commits.

use crate::journal::error::JournalError;
use crate::journal::model::campaign::InDoubtPolicy;
use crate::journal::model::campaign::{CampaignOptions, Receipts};
use crate::journal::model::key::{Attempt, State};
use crate::journal::model::state::Awaited;
use crate::journal::store::history::{MessageFacts, message_of, stored_state};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rusqlite::Connection;

/// A campaign as the journal thread keeps it.
#[derive(Clone, Debug)]
pub struct CampaignCounts {
    /// Its number in the journal.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its messages are `first_id..end_id`.
    pub first_id: i64,
    /// See `first_id`.
    pub end_id: i64,
    /// The sender of its rows that name none.
    pub sender: String,
    /// The operator gave all its messages a user_message_reference of their own.
    pub has_own_reference: bool,
    /// What is not sent yet shall not be.
    pub cancelled: bool,
    /// Every message asks for a receipt whatever its fate.
    pub awaits_receipts: bool,
    /// No number has two of its messages.
    pub numbers_once: bool,
    /// For what is in doubt.
    pub in_doubt: InDoubtPolicy,
    /// Which receipts say what became of its messages.
    pub awaited: Awaited,
    /// Messages are added to it one by one (`send --to`).
    pub gathers: bool,
    /// Its numbers are hashes, its texts are deleted: what comes of it is written down without them.
    pub is_pseudonymous: bool,
    /// Messages by state, as of the transaction that runs.
    pub counts: [i64; State::COUNT],
    written: [i64; State::COUNT],
    /// As they are in the sums.
    summed: [i64; State::COUNT],
    sent_at: Option<(i64, i64)>,
    /// It is among those that changed.
    is_changed: bool,
}

/// Messages of several campaigns.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sums {
    /// By state.
    pub counts: [i64; State::COUNT],
    /// Those whose receipts are waited for.
    pub awaiting_receipts: i64,
    /// Those in doubt that a receipt may settle.
    pub doubts_awaiting_receipts: i64,
}

impl Sums {
    /// Takes in how a campaign has changed since it was added up last.
    fn add(&mut self, book: &mut CampaignCounts) {
        for ((sum, count), before) in self.counts.iter_mut().zip(book.counts).zip(book.summed) {
            *sum += count - before;
        }
        if book.awaits_receipts {
            let change = |state: State| book.counts[state as usize] - book.summed[state as usize];
            self.awaiting_receipts += change(State::Accepted);
            self.doubts_awaiting_receipts += change(State::InDoubt);
        }
        book.summed = book.counts;
    }
}

impl CampaignCounts {
    /// Whether something of it went, or may have.
    pub fn is_begun(&self) -> bool {
        let never = [State::Queued, State::Cancelled, State::Suppressed];
        State::ALL.iter().any(|state| !never.contains(state) && self.counts[*state as usize] > 0)
    }
}

/// The counts of all campaigns.
#[derive(Debug, Default)]
pub struct Counts {
    /// In the order of their messages' numbers.
    pub campaigns: Vec<CampaignCounts>,
    touched: HashMap<i64, Touched>,
    /// Those that changed in the transaction that runs: with a thousand campaigns, one of them costs no more than alone.
    changed: Vec<u32>,
    /// Those that changed since they were added up.
    to_sum: Vec<u32>,
    sums: Sums,
}

/// Whether a part is of a campaign whose messages are deleted.
fn is_purged(connection: &Connection, part: i64) -> Result<bool, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM campaign WHERE first_id <= ?1 AND end_id > ?1 AND purged_at IS NOT NULL)",
    )?;
    Ok(statement.query_row([part], |row| row.get(0))?)
}

#[derive(Debug)]
struct Touched {
    campaign: u32,
    parts: u8,
    before: State,
    /// What is known of it now, where nothing but one receipt bore upon it.
    facts: Option<MessageFacts>,
}

impl Counts {
    /// Reads the campaigns that are whole.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let mut statement = connection.prepare(
            "SELECT c.id, c.name, c.first_id, c.end_id, c.cancelled_at IS NOT NULL, c.options, n.queued, n.sending,
                    n.accepted, n.delivered, n.partly_delivered, n.failed, n.rejected, n.in_doubt, n.cancelled,
                    n.suppressed, c.source, c.room > 0, c.pseudonymised_at IS NOT NULL
               FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id
              WHERE c.imported_at IS NOT NULL ORDER BY c.first_id, c.id",
        )?;
        let campaigns = statement
            .query_and_then([], |row| {
                let mut counts = [0; State::COUNT];
                for (n, count) in counts.iter_mut().enumerate() {
                    *count = row.get(6 + n)?;
                }
                let name: String = row.get(1)?;
                let json = row.get_ref(5)?.as_str().unwrap_or_default();
                let options = CampaignOptions::stored(json, || format!("campaign {name:?}"))?;
                Ok(CampaignCounts {
                    id: row.get(0)?,
                    name,
                    first_id: row.get(2)?,
                    end_id: row.get(3)?,
                    sender: row.get(6 + State::COUNT)?,
                    has_own_reference: options.names_reference(),
                    cancelled: row.get(4)?,
                    awaits_receipts: options.receipts == Receipts::All,
                    numbers_once: !options.allow_duplicates,
                    in_doubt: options.in_doubt,
                    awaited: options.awaited(),
                    gathers: row.get(7 + State::COUNT)?,
                    is_pseudonymous: row.get(8 + State::COUNT)?,
                    counts,
                    written: counts,
                    summed: [0; State::COUNT],
                    sent_at: None,
                    is_changed: false,
                })
            })?
            .collect::<Result<_, JournalError>>()?;
        Ok(Self { campaigns, ..Self::default() })
    }

    /// The index of the campaign that owns `part`.
    pub fn campaign_of(&self, part: i64) -> Option<u32> {
        let after = self.campaigns.partition_point(|campaign| campaign.first_id <= part);
        let found = self.campaigns[..after].iter().rposition(|campaign| part < campaign.end_id)?;
        Some(found as u32)
    }

    /// The index of the campaign with this number in the journal. One that was imported meanwhile is taken in.
    pub fn find(&mut self, connection: &Connection, id: i64) -> Result<Option<usize>, JournalError> {
        let find = |counts: &Self| counts.campaigns.iter().position(|campaign| campaign.id == id);
        if find(self).is_none() {
            // Its messages have higher numbers than any before it, so that what is here keeps its place.
            let end = self.campaigns.iter().map(|campaign| campaign.end_id).max().unwrap_or(0);
            let found = Self::load(connection)?.campaigns;
            let known: Vec<i64> = self.campaigns.iter().map(|campaign| campaign.id).collect();
            self.campaigns.extend(found.into_iter().filter(|new| new.first_id >= end && !known.contains(&new.id)));
        }
        Ok(find(self))
    }

    /// Takes in what another process added to a campaign, or changed of it, since it was read.
    pub fn reload(&mut self, connection: &Connection, index: u32) -> Result<(), JournalError> {
        let Some(book) = self.campaigns.get_mut(index as usize) else { return Ok(()) };
        let mut statement = connection.prepare_cached(
            "SELECT c.end_id, n.queued, n.sending, n.accepted, n.delivered, n.partly_delivered, n.failed, n.rejected, n.in_doubt,
                    n.cancelled, n.suppressed
               FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id WHERE c.id = ?1",
        )?;
        let mut rows = statement.query([book.id])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        book.end_id = row.get(0)?;
        for n in 0..State::COUNT {
            let stored: i64 = row.get(1 + n)?;
            book.counts[n] += stored - book.written[n];
            book.written[n] = stored;
        }
        self.note_changed(index);
        Ok(())
    }

    /// Takes in which campaigns were made pseudonymous since they were read.
    pub fn reload_pseudonyms(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let mut statement = connection.prepare_cached("SELECT id FROM campaign WHERE pseudonymised_at IS NOT NULL")?;
        let ids = statement.query_map([], |row| row.get(0))?.collect::<Result<hashbrown::HashSet<i64>, _>>()?;
        for book in &mut self.campaigns {
            book.is_pseudonymous = ids.contains(&book.id);
        }
        Ok(())
    }

    /// Whether a part is of a campaign whose numbers and texts are deleted.
    pub fn is_pseudonymous(&self, part: i64) -> bool {
        self.campaign_of(part).and_then(|index| self.campaign(index)).is_some_and(|book| book.is_pseudonymous)
    }

    fn note_changed(&mut self, index: u32) {
        if let Some(book) = self.campaigns.get_mut(index as usize).filter(|book| !book.is_changed) {
            book.is_changed = true;
            self.changed.push(index);
        }
    }

    /// The messages of these campaigns. `anew`: others than the last time.
    pub fn sums(&mut self, of: &[u32], is_among: impl Fn(u32) -> bool, anew: bool) -> Sums {
        if anew {
            self.sums = Sums::default();
            self.to_sum.clear();
            for &index in of {
                let Some(book) = self.campaigns.get_mut(index as usize) else { continue };
                book.summed = [0; State::COUNT];
                self.sums.add(book);
            }
        }
        for index in self.to_sum.drain(..).filter(|index| is_among(*index)) {
            if let Some(book) = self.campaigns.get_mut(index as usize) {
                self.sums.add(book);
            }
        }
        self.sums
    }

    /// The campaign at `index`.
    pub fn campaign(&self, index: u32) -> Option<&CampaignCounts> {
        self.campaigns.get(index as usize)
    }

    /// `count` messages of a campaign went from one state to another.
    pub fn shift(&mut self, campaign: u32, from: State, to: State, count: i64) {
        if let Some(book) = self.campaigns.get_mut(campaign as usize) {
            book.counts[from as usize] -= count;
            book.counts[to as usize] += count;
            if !book.is_changed {
                self.note_changed(campaign);
            }
        }
    }

    /// Something of the campaign was claimed.
    pub fn note_sent(&mut self, campaign: u32, at: i64) {
        if let Some(book) = self.campaigns.get_mut(campaign as usize) {
            book.sent_at = Some(book.sent_at.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
            if !book.is_changed {
                self.note_changed(campaign);
            }
        }
    }

    /// Facts of a message are about to change, or did, in another than the plain way: its state is worked out anew before
    /// the transaction commits. `plain` is its state so far if it is not stored.
    pub fn touch(&mut self, connection: &Connection, part: i64, plain: State) -> Result<(), JournalError> {
        self.touch_with(connection, part, |_, _, _| Ok(plain))
    }

    /// As [`touch`](Self::touch), for a message whose state so far is not at hand: it is worked out from its facts, so
    /// those must not have changed yet.
    pub fn touch_as_found(&mut self, connection: &Connection, part: i64) -> Result<(), JournalError> {
        self.touch_with(connection, part, |message, parts, campaign| {
            let facts = MessageFacts::load(connection, message, parts)?;
            Ok(facts.state(campaign.cancelled, campaign.awaited))
        })
    }

    /// As [`touch_as_found`](Self::touch_as_found), where the facts have just been read, and a receipt is about to be matched to
    /// this attempt. If nothing else bears upon the message, they need not be read again.
    pub fn touch_with_facts(&mut self, mut facts: MessageFacts, attempt: Attempt, receipt: (bool, bool)) {
        let Some(index) = self.campaign_of(facts.message) else { return };
        let Some(campaign) = self.campaigns.get(index as usize) else { return };
        let before = facts.stored.unwrap_or_else(|| facts.state(campaign.cancelled, campaign.awaited));
        let parts = facts.parts.len() as u8;
        match self.touched.entry(facts.message) {
            Entry::Occupied(mut touched) => touched.get_mut().facts = None,
            Entry::Vacant(vacant) => {
                let facts = facts.note_receipt(attempt, receipt).then_some(facts);
                vacant.insert(Touched { campaign: index, parts, before, facts });
            }
        }
    }

    fn touch_with(
        &mut self,
        connection: &Connection,
        part: i64,
        so_far: impl FnOnce(i64, u8, &CampaignCounts) -> Result<State, JournalError>,
    ) -> Result<(), JournalError> {
        if let Some(touched) = self.touched.get_mut(&part) {
            touched.facts = None;
            return Ok(());
        }
        let Some((message, parts)) = message_of(connection, part)? else {
            // What comes of it now changes nothing that is known.
            if is_purged(connection, part)? {
                return Ok(());
            }
            return Err(JournalError::Inconsistent(format!("part {part} belongs to no message")));
        };
        if let Some(touched) = self.touched.get_mut(&message) {
            touched.facts = None;
            return Ok(());
        }
        let Some((campaign, book)) = self.campaign_of(message).and_then(|index| Some((index, self.campaign(index)?)))
        else {
            return Err(JournalError::Inconsistent(format!("message {message} belongs to no campaign")));
        };
        let before = match stored_state(connection, message)? {
            Some(state) => state,
            None => so_far(message, parts, book)?,
        };
        self.touched.insert(message, Touched { campaign, parts, before, facts: None });
        Ok(())
    }

    /// Whether the message's state is to be worked out anew before the transaction commits.
    pub fn is_touched(&self, message: i64) -> bool {
        !self.touched.is_empty() && self.touched.contains_key(&message)
    }

    /// Writes what changed. Last thing in a transaction.
    pub fn settle(&mut self, connection: &Connection) -> Result<(), JournalError> {
        if !self.touched.is_empty() {
            let mut store = connection.prepare_cached(
                "INSERT INTO message_state (message, state, possible_duplicate) VALUES (?1, ?2, ?3)
                 ON CONFLICT (message) DO UPDATE
                    SET state = excluded.state, possible_duplicate = excluded.possible_duplicate",
            )?;
            let touched = std::mem::take(&mut self.touched);
            for (message, touched) in touched {
                let facts = match touched.facts {
                    Some(facts) => facts,
                    None => MessageFacts::load(connection, message, touched.parts)?,
                };
                let Some(campaign) = self.campaign(touched.campaign) else { continue };
                let mut state = facts.state(campaign.cancelled, campaign.awaited);
                if state == State::Queued && touched.before == State::Suppressed {
                    state = State::Suppressed;
                }
                store.execute((message, state as i64, facts.is_possible_duplicate()))?;
                self.shift(touched.campaign, touched.before, state, 1);
            }
        }
        let mut changed = std::mem::take(&mut self.changed);
        for &index in &changed {
            let Some(book) = self.campaigns.get_mut(index as usize) else { continue };
            book.is_changed = false;
            self.to_sum.push(index);
            if book.counts == book.written && book.sent_at.is_none() {
                continue;
            }
            let mut difference = [0; State::COUNT];
            for (n, change) in difference.iter_mut().enumerate() {
                *change = book.counts[n] - book.written[n];
            }
            // Differences, not totals: `import` and `suppress` may have counted meanwhile.
            let (first, last) = book.sent_at.map_or((None, None), |(first, last)| (Some(first), Some(last)));
            connection
                .prepare_cached(
                    "UPDATE campaign_count SET queued = queued + ?2, sending = sending + ?3, accepted = accepted + ?4,
                            delivered = delivered + ?5, partly_delivered = partly_delivered + ?6, failed = failed + ?7,
                            rejected = rejected + ?8, in_doubt = in_doubt + ?9, cancelled = cancelled + ?10,
                            suppressed = suppressed + ?11,
                            first_sent_at = coalesce(min(first_sent_at, ?12), first_sent_at, ?12),
                            last_sent_at = coalesce(max(last_sent_at, ?13), last_sent_at, ?13)
                      WHERE campaign_id = ?1",
                )?
                .execute(rusqlite::params![
                    book.id,
                    difference[0],
                    difference[1],
                    difference[2],
                    difference[3],
                    difference[4],
                    difference[5],
                    difference[6],
                    difference[7],
                    difference[8],
                    difference[9],
                    first,
                    last
                ])?;
            book.written = book.counts;
            book.sent_at = None;
        }
        // For the next transaction.
        changed.clear();
        self.changed = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::intake::Intake;

    #[test]
    fn what_changed_is_written_and_added_up_and_nothing_else_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        for n in 0..50 {
            Intake::begin(&path, &format!("c{n}"), "", &CampaignOptions::default()).unwrap().finish("").unwrap();
        }
        let connection = crate::journal::open::open_existing(&path).unwrap();
        let mut counts = Counts::load(&connection).unwrap();
        let sent: Vec<u32> = (0..40).collect();
        let is_among = |index: u32| index < 40;
        assert_eq!(counts.sums(&sent, is_among, true), Sums::default());
        let stored = |index: u32| -> (i64, i64) {
            let sql = "SELECT queued, accepted FROM campaign_count ORDER BY campaign_id LIMIT 1 OFFSET ?1";
            connection.query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        connection.execute_batch("UPDATE campaign_count SET queued = 9").unwrap();
        for index in 0..50 {
            counts.reload(&connection, index).unwrap();
        }
        for (campaign, count) in [(3, 2), (39, 1), (45, 4), (3, 1)] {
            counts.shift(campaign, State::Queued, State::Accepted, count);
        }
        assert_eq!(counts.changed.len(), 50, "each once");
        counts.settle(&connection).unwrap();
        assert_eq!((stored(3), stored(39), stored(45), stored(4)), ((6, 3), (8, 1), (5, 4), (9, 0)));
        let sums = counts.sums(&sent, is_among, false);
        assert_eq!((sums.counts[0], sums.counts[2], sums.awaiting_receipts), (40 * 9 - 4, 4, 4));
        counts.shift(3, State::Accepted, State::Delivered, 3);
        assert_eq!(counts.changed, [3]);
        counts.settle(&connection).unwrap();
        assert!(counts.changed.is_empty());
        let after = counts.sums(&sent, is_among, false);
        assert_eq!((after.counts[2], after.counts[3], after.awaiting_receipts), (1, 3, 1));
        // As if they were added up at once.
        assert_eq!(counts.sums(&sent, is_among, true), after);
        let fewer = counts.sums(&sent[..3], |index| index < 3, true);
        assert_eq!(fewer.counts[0], 27);
    }
}
