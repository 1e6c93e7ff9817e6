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
    /// Messages by state, as of the transaction that runs.
    pub counts: [i64; State::COUNT],
    written: [i64; State::COUNT],
    sent_at: Option<(i64, i64)>,
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
                    n.suppressed, c.source
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
                    counts,
                    written: counts,
                    sent_at: None,
                })
            })?
            .collect::<Result<_, JournalError>>()?;
        Ok(Self { campaigns, touched: HashMap::new() })
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
        Ok(())
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
        }
    }

    /// Something of the campaign was claimed.
    pub fn note_sent(&mut self, campaign: u32, at: i64) {
        if let Some(book) = self.campaigns.get_mut(campaign as usize) {
            book.sent_at = Some(book.sent_at.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
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
        for book in &mut self.campaigns {
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
        Ok(())
    }
}
