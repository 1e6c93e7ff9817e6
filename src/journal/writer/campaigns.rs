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

/// How a campaign that a service sends goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Course {
    /// Nothing has changed of it.
    AsBefore,
    /// Messages were added behind those that it had.
    Longer(FeedRange),
    /// It was released, or goes up to another message.
    Anew(FeedRange),
}

impl Claimer {
    /// These campaigns are sent.
    pub(super) fn set_active(&mut self, active: Vec<u32>) {
        self.is_active = active.iter().copied().collect();
        self.active = active;
    }

    /// Sends these campaigns from now on, in this order of release, each from where its claims have come to, and no others.
    /// Returns those that were released anew.
    pub(super) fn send_only(&mut self, active: &[(u32, Course)], counts: &Counts) -> Vec<u32> {
        let before = std::mem::take(&mut self.active);
        self.set_active(active.iter().map(|(index, _)| *index).collect());
        let is_active = &self.is_active;
        self.limit_end.retain(|index, _| is_active.contains(index));
        // What of one that is paused waits to be tried again is read anew when it goes on.
        for index in before.into_iter().filter(|index| !self.is_active.contains(index)) {
            self.turns.retries.forget(index);
            self.turns.leave(index);
            self.turns.set_open(index, false);
            self.shut.remove(&index);
            self.without_tlvs.remove(&index);
        }
        let (mut last, mut fresh) = (None, Vec::new());
        for &(index, course) in active {
            last = Some(self.turns.line_up(index, last, queued(counts, index)));
            match course {
                Course::AsBefore => {}
                Course::Longer(range) => {
                    self.limit_end.insert(index, range.limit_end);
                    self.turns.extend(range);
                }
                Course::Anew(range) => {
                    // What of it waits to be tried again may lie beyond the limit that it has now, or had before.
                    self.turns.retries.forget(index);
                    self.without_tlvs.remove(&index);
                    self.put(range);
                    fresh.push(index);
                }
            }
            self.set_open(index);
        }
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
        self.set_open(index);
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
