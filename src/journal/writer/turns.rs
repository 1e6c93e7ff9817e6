//! Whose turn it is: how the campaigns share what is claimed, what each has at hand that was never tried, and what of each is to
//! be tried again.

use super::lanes::{Cursor, Lanes};
use super::read_ahead::{FeedRange, Read};
use super::retry_queue::{Retries, Waiting, steady_ms};
use crate::journal::error::JournalError;
use crate::journal::model::events::Sent;
use crate::journal::store::shares::Share;
use crate::policy::shares::{NEVER, Priority, Shares};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::journal) struct Turns {
    pub(super) shares: Shares,
    pub(super) lanes: Lanes,
    pub(super) retries: Retries,
    is_turn_of_retries: bool,
    /// What the campaigns get of what is claimed next: kept so that nothing is allocated for it.
    planned: Vec<Planned>,
}

/// How many parts of a campaign are claimed next.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) campaign: u32,
    pub(super) parts: usize,
    /// What of it is at hand beyond that.
    next: Cursor,
    /// Parts of it that wait to be tried again, beyond that.
    retries: usize,
}

/// A moment of [`steady_ms`] as the shares have it.
fn micros(steady_ms: i64) -> u64 {
    u64::try_from(steady_ms).unwrap_or(0) * 1_000
}

fn now() -> u64 {
    micros(steady_ms())
}

impl Turns {
    /// A campaign is sent, after those before it, with so many messages that wait.
    pub(super) fn add(&mut self, campaign: u32, left: u64) {
        self.shares.add(campaign, Priority::default(), left);
    }

    /// A campaign is sent, after the one whose order is given. Returns its order. One that is known keeps what it owes, and its
    /// order where that is behind the other's.
    pub(super) fn line_up(&mut self, campaign: u32, after: Option<u64>, left: u64) -> u64 {
        match self.shares.order(campaign) {
            None => self.add(campaign, left),
            Some(order) if after.is_some_and(|after| order <= after) => self.shares.set_last(now(), campaign),
            Some(_) => {}
        }
        self.shares.set_left(now(), campaign, left);
        self.shares.order(campaign).unwrap_or_default()
    }

    /// The messages of the campaign that are to go are those of this range, from now on.
    pub(super) fn put(&mut self, range: FeedRange) {
        self.lanes.put(range);
        self.note_ready(range.campaign);
    }

    /// Messages were added to the campaign, up to the end of this range.
    pub(super) fn extend(&mut self, range: FeedRange) {
        self.lanes.extend(range);
        self.note_ready(range.campaign);
    }

    /// Nothing more of the campaign is claimed for the first time.
    pub(super) fn leave(&mut self, campaign: u32) {
        self.lanes.remove(campaign);
        self.note_ready(campaign);
    }

    /// Whether the campaign may be sent: its hours.
    pub(super) fn set_open(&mut self, campaign: u32, is_open: bool) {
        self.shares.set_opens(now(), campaign, if is_open { 0 } else { NEVER });
    }

    /// How a campaign shares the account from now on.
    pub(super) fn set_share(&mut self, campaign: u32, share: Share) {
        let now = now();
        self.shares.set_class(now, campaign, share.priority);
        self.shares.set_rate(now, campaign, share.rate);
    }

    /// Whether nothing is left to claim.
    pub(super) fn is_through(&self) -> bool {
        !self.lanes.have_more() && self.retries.is_empty()
    }

    /// Whether something is being read that can be claimed then.
    #[cfg(test)]
    pub(super) fn is_reading(&self) -> bool {
        self.lanes.is_reading()
    }

    /// Queues a part to be tried again.
    pub(super) fn push(&mut self, waiting: Waiting) {
        let campaign = waiting.campaign;
        self.retries.push(waiting);
        self.note_ready(campaign);
    }

    /// Says how many parts of each campaign are claimed next, of so many, and charges them for it. Of each they are one run, so
    /// that many campaigns cost no more claims than one. None: nothing can be claimed.
    pub(super) fn plan(&mut self, wanted: usize) -> Vec<Planned> {
        let now_ms = steady_ms();
        let now = micros(now_ms);
        let mut plan = std::mem::take(&mut self.planned);
        let mut total = 0;
        while total < wanted
            && let Some(campaign) = self.shares.choose(now)
        {
            let at = match plan.iter().position(|planned| planned.campaign == campaign) {
                Some(at) => at,
                None => {
                    let is_due = self.retries.due_at(campaign).is_some_and(|due| due <= now_ms);
                    let retries = if is_due { self.retries.len_of(campaign) } else { 0 };
                    plan.push(Planned { campaign, parts: 0, next: self.lanes.start(campaign), retries });
                    plan.len() - 1
                }
            };
            let planned = &mut plan[at];
            let parts = match self.lanes.parts_at(campaign, planned.next) {
                Some((parts, next)) => {
                    planned.next = next;
                    parts
                }
                None if planned.retries > 0 => {
                    planned.retries -= 1;
                    1
                }
                // Until the claims are made, and what was read is there.
                None => {
                    self.shares.set_starved(campaign, true);
                    continue;
                }
            };
            // One that has all to itself is not looked at message by message.
            let parts = if self.shares.is_unrivalled(campaign) { parts.max(wanted - total) } else { parts };
            self.shares.charge(now, campaign, parts);
            planned.parts += parts;
            total += parts;
        }
        // What is urgent stands before what is claimed with it.
        plan.sort_by_key(|planned| self.shares.class(planned.campaign));
        plan
    }

    /// So many parts of what was planned are claimed, and so many messages of the campaign are left.
    pub(super) fn note_claimed(&mut self, planned: &Planned, claimed: usize, left: u64) {
        let (now, campaign) = (now(), planned.campaign);
        self.shares.correct(now, campaign, planned.parts, claimed);
        self.shares.set_left(now, campaign, left);
        self.note_ready(campaign);
    }

    /// A plan that is carried out.
    pub(super) fn put_aside(&mut self, mut plan: Vec<Planned>) {
        plan.clear();
        self.planned = plan;
    }

    /// How many of so many parts of a campaign may be tries of what was refused before; where it is one, every other time.
    pub(super) fn share_of_retries(&mut self, campaign: u32, wanted: usize) -> usize {
        if self.retries.due_at(campaign).is_none_or(|due| due > steady_ms()) {
            return 0;
        }
        if !self.lanes.at_hand(campaign) {
            return wanted;
        }
        self.is_turn_of_retries = !self.is_turn_of_retries;
        wanted / 2 + if self.is_turn_of_retries { wanted % 2 } else { 0 }
    }

    /// Takes what was read ahead.
    pub(super) fn take_read(&mut self, read: Result<Read, JournalError>) -> Result<(), JournalError> {
        if let Some(campaign) = self.lanes.take(read)? {
            self.note_ready(campaign);
        }
        Ok(())
    }

    /// Takes what of it is there already.
    pub(super) fn take_ready(&mut self) -> Result<(), JournalError> {
        while let Some(campaign) = self.lanes.take_ready()? {
            if let Some(campaign) = campaign {
                self.note_ready(campaign);
            }
        }
        Ok(())
    }

    /// Has more read of the campaigns that have a place.
    pub(super) fn read_on(&mut self) -> Result<(), JournalError> {
        self.shares.wake(now());
        self.lanes.read_on(self.shares.active())
    }

    /// Says anew when the campaign has something to send, and whether that is at hand.
    pub(super) fn note_ready(&mut self, campaign: u32) {
        let now_ms = steady_ms();
        let (has_new, due) = (self.lanes.has_more(campaign), self.retries.due_at(campaign));
        let ready_at = match due {
            _ if has_new => 0,
            Some(due) => micros(due),
            None => NEVER,
        };
        self.shares.set_ready(micros(now_ms), campaign, ready_at);
        let is_due = due.is_some_and(|due| due <= now_ms);
        self.shares.set_starved(campaign, has_new && !is_due && !self.lanes.at_hand(campaign));
    }

    /// Whether some campaign can send something now, whoever holds how much.
    pub(super) fn can_go(&mut self) -> bool {
        self.shares.set_slots(usize::MAX);
        self.shares.choose(now()).is_some()
    }

    /// How long until another campaign can send, as far as that comes by itself.
    pub(super) fn can_go_in(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.shares.next_wake()?.saturating_sub(now())))
    }

    /// An attempt is not on its way any more: it is answered, or in doubt.
    pub(super) fn note_settled(&mut self, sent: &Sent) {
        if !sent.late {
            self.shares.release(sent.campaign, 1);
        }
    }

    /// A claimed attempt never left: its campaign is not charged for it.
    pub(super) fn note_unwritten(&mut self, sent: &Sent) {
        self.shares.refund(now(), sent.campaign, 1);
    }
}
