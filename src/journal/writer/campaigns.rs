//! Which campaigns are sent, each which of its messages, and when: what a run begins with, what a service releases and pauses,
//! and what hours and cancellations change.

use super::claim::{Claimer, queued};
use super::lanes::Lanes;
use super::read_ahead::{self, FeedRange};
use super::retry_queue::backlog;
use crate::journal::error::JournalError;
use crate::journal::store::counts::Counts;
use crate::journal::store::shares;
use rusqlite::Connection;

impl Claimer {
    /// These campaigns are sent.
    pub(super) fn set_active(&mut self, active: Vec<u32>) {
        self.is_active = active.iter().copied().collect();
        self.active = active;
    }

    /// Sends these campaigns from now on, in this order of release, each from where its claims have come to, and no others.
    /// Returns those that were not sent so far, or only up to another message.
    pub(super) fn send_only(&mut self, active: Vec<u32>, ranges: &[FeedRange], counts: &Counts) -> Vec<u32> {
        let was_active = |range: &&FeedRange| {
            self.is_active.contains(&range.campaign) && self.limit_end.get(&range.campaign) == Some(&range.limit_end)
        };
        let fresh: Vec<FeedRange> = ranges.iter().filter(|range| !was_active(range)).copied().collect();
        let before = std::mem::take(&mut self.active);
        self.set_active(active);
        self.limit_end = ranges.iter().map(|range| (range.campaign, range.limit_end)).collect();
        // What of one that is paused waits to be tried again is read anew when it goes on.
        for index in before.into_iter().filter(|index| !self.is_active.contains(index)) {
            self.turns.retries.forget(index);
            self.turns.leave(index);
            self.turns.set_open(index, false);
        }
        let mut last = None;
        for &index in &self.active {
            last = Some(self.turns.line_up(index, last, queued(counts, index)));
            let is_open = !self.closed.contains(&index) && !self.shut.contains(&index);
            self.turns.set_open(index, is_open);
        }
        let fresh: Vec<FeedRange> = fresh.into_iter().filter(|range| !self.closed.contains(&range.campaign)).collect();
        fresh.iter().for_each(|range| self.put(*range));
        let fresh: Vec<u32> = fresh.iter().map(|range| range.campaign).collect();
        backlog::begin(counts, &fresh, &self.limit_end, &mut self.turns.retries);
        fresh
    }

    /// Campaigns are sent, in this order of release, each its messages of these ranges.
    pub(super) fn begin(&mut self, lanes: Lanes, active: Vec<u32>, ranges: &[FeedRange], counts: &Counts) {
        self.turns.lanes = lanes;
        active.iter().for_each(|&campaign| self.turns.add(campaign, queued(counts, campaign)));
        self.set_active(active);
        ranges.iter().for_each(|range| self.put(*range));
    }

    /// The messages of the campaign that are to go are those of this range, from now on.
    pub(super) fn put(&mut self, range: FeedRange) {
        self.limit_end.insert(range.campaign, range.limit_end);
        self.turns.put(range);
    }

    /// How these campaigns share the account, as the journal has it.
    pub(super) fn load_shares(
        &mut self,
        connection: &Connection,
        counts: &Counts,
        campaigns: &[u32],
    ) -> Result<(), JournalError> {
        for &index in campaigns {
            let Some(campaign) = counts.campaign(index) else { continue };
            self.turns.set_share(index, shares::of(connection, campaign.id)?);
        }
        Ok(())
    }

    /// What was cancelled is to be sent after all.
    pub(super) fn take_up(&mut self, connection: &Connection, counts: &Counts, index: u32) -> Result<(), JournalError> {
        let Some(mut range) = read_ahead::ranges(connection, counts, &[index], None)?.pop() else { return Ok(()) };
        if let Some(end) = self.limit_end.get(&index) {
            range.limit_end = *end;
        }
        self.put(range);
        Ok(())
    }

    /// A campaign may be sent, or waits for its hours.
    pub(super) fn open(
        &mut self,
        connection: &Connection,
        counts: &Counts,
        index: u32,
        is_open: bool,
    ) -> Result<(), JournalError> {
        if is_open {
            self.shut.remove(&index)
        } else {
            self.shut.insert(index)
        };
        let is_active = self.is_active.contains(&index);
        if self.closed.remove(&index) && is_active {
            self.take_up(connection, counts, index)?;
            backlog::begin(counts, &[index], &self.limit_end, &mut self.turns.retries);
        }
        self.turns.set_open(index, is_open && is_active);
        Ok(())
    }

    /// Nothing more of a campaign goes in this run.
    pub(super) fn close(&mut self, index: u32) {
        self.closed.insert(index);
        self.turns.retries.forget(index);
        self.turns.leave(index);
        self.turns.set_open(index, false);
    }
}
