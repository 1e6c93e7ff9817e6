//! Which campaign's message goes next, where several are to go: start-time fair queueing. Pure: time is an argument.
//!
//! Each campaign has a start on a clock of its own making, which goes forward only as messages are chosen: the one that starts
//! first goes first, and its next start lies later by the message's parts, times what a part weighs in its class. The clock stands
//! where the last one chosen began, and nobody starts before it. So
//!
//! - of two campaigns that wait, each gets as many parts as its weight says, but for one message of either;
//! - who was away (paused, outside its hours, without messages) starts at the clock or later: nothing was saved up meanwhile;
//! - a message of a campaign that was away goes after at most one message of each other.
//!
//! Were the clock all, one campaign after the other with a single urgent message would stop it, and who is at bulk would wait for
//! ever. So those that come start where the clock would stand if every place were taken, less than one urgent part after the first
//! of those that wait.
//!
//! In each class as many as [`PLACES`] are active: the first of those that could send, in the order in which they were released, and
//! the one with the fewest left. The others wait, since with equal shares of many all would end last. Who cannot send holds no
//! place.
//!
//! To choose costs a look at the active ones, 24 at most, however many are known; a campaign that comes or goes costs a search
//! among those of its class.

mod priority;

pub use priority::{PLACES, Priority};

use priority::PART_OF_ALL;
use std::collections::BTreeSet;

/// All but one of them go by the order of release; one is for the campaign with the fewest left.
const IN_ORDER: usize = PLACES - 1;
/// So much of what its own rate would have allowed a campaign may still use later, in microseconds: who asks comes late.
const CATCH_UP_US: u64 = 100_000;
/// A moment that does not come by itself.
pub const NEVER: u64 = u64::MAX;

/// A campaign that may send, now or later. It is one thing: what decides whether it has a place, and when its turn is.
#[derive(Clone, Debug)]
struct Campaign {
    class: Priority,
    /// Which one was released first.
    order: u64,
    /// Messages that are not sent.
    left: u64,
    /// Where its next message starts, if the clock is not beyond.
    start: u64,
    /// From when on there is something to send, by the caller's clock.
    ready_at: u64,
    /// From when on it may be sent: its hours, a pause.
    opens_at: u64,
    /// Before then its own rate allows nothing.
    due: u64,
    /// Parts a second that it may send at most.
    rate: Option<f64>,
    /// Parts of it that are claimed and not answered.
    held: usize,
    /// It has something to send, which is not at hand: it keeps its place.
    is_starved: bool,
    place: Place,
    /// In which change of places it lost its own.
    lost_in: u64,
}

impl Campaign {
    fn wakes_at(&self) -> u64 {
        self.ready_at.max(self.opens_at).max(self.due)
    }

    /// What a part moves its start by.
    fn step(&self) -> u64 {
        self.class.step()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// It has nothing to send, or may not.
    Away,
    /// Until this moment.
    Asleep(u64),
    /// It waits for a place.
    Waiting,
    Active,
}

/// The campaigns of a class that could send.
#[derive(Clone, Debug, Default)]
struct Class {
    /// The active ones by the order of their release, at most [`IN_ORDER`].
    first: Vec<(u64, u32)>,
    /// The active one that has the fewest left of all others.
    smallest: Option<u32>,
    /// Those that wait for a place, by the order of their release.
    by_order: BTreeSet<(u64, u32)>,
    /// The same by what they have left.
    by_left: BTreeSet<(u64, u64, u32)>,
}

/// See the module. Campaigns are known by small numbers, and moments are microseconds since any moment.
#[derive(Clone, Debug)]
pub struct Shares {
    known: Vec<Option<Campaign>>,
    classes: [Class; Priority::ALL.len()],
    /// Those with a place, of all classes.
    active: Vec<u32>,
    /// The sum of their weights.
    weight: u64,
    /// Where the last one chosen started: nobody starts before.
    clock: u64,
    /// Where the clock would stand at least if all places were taken.
    lead: u64,
    /// Counts the changes of places.
    changes: u64,
    /// When those wake that wait for a moment.
    wakes: BTreeSet<(u64, u32)>,
    /// Parts that may be claimed and not answered, of all campaigns.
    slots: usize,
    released: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            classes: Default::default(),
            active: Vec::with_capacity(Priority::ALL.len() * PLACES),
            weight: 0,
            clock: 0,
            lead: 0,
            changes: 0,
            wakes: BTreeSet::new(),
            slots: usize::MAX,
            released: 0,
        }
    }
}

impl Shares {
    /// Takes in a campaign with so many messages left, as the last one released. It has nothing at hand yet.
    pub fn add(&mut self, id: u32, class: Priority, left: u64) {
        let at = id as usize;
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        self.remove(id);
        let order = self.released;
        self.released += 1;
        self.known[at] = Some(Campaign {
            class,
            order,
            left,
            start: self.clock,
            ready_at: NEVER,
            opens_at: 0,
            due: 0,
            rate: None,
            held: 0,
            is_starved: false,
            place: Place::Away,
            lost_in: 0,
        });
    }

    /// Forgets a campaign.
    pub fn remove(&mut self, id: u32) {
        self.take_out(id);
        if let Some(known) = self.known.get_mut(id as usize) {
            *known = None;
        }
    }

    /// The class of a campaign.
    pub fn class(&self, id: u32) -> Option<Priority> {
        self.campaign(id).map(|campaign| campaign.class)
    }

    /// Where a campaign stands in the order of release; `None`: it is not known.
    pub fn order(&self, id: u32) -> Option<u64> {
        self.campaign(id).map(|campaign| campaign.order)
    }

    /// The campaign is the last one released from now on.
    pub fn set_last(&mut self, now: u64, id: u32) {
        self.take_out(id);
        let order = self.released;
        self.released += 1;
        if let Some(campaign) = self.campaign_mut(id) {
            campaign.order = order;
        }
        self.put_in(now, id);
    }

    /// The campaigns that have a place.
    pub fn active(&self) -> &[u32] {
        &self.active
    }

    /// The campaign's share of what goes, from 0 to 1; `None`: it has no place.
    pub fn share(&self, id: u32) -> Option<f64> {
        let campaign = self.campaign(id).filter(|campaign| campaign.place == Place::Active)?;
        Some(campaign.class.weight() as f64 / self.weight.max(1) as f64)
    }

    /// Whether all goes to this campaign, as it asks for it: no other can send now, and it has no rate of its own.
    pub fn is_unrivalled(&self, id: u32) -> bool {
        self.active == [id] && self.campaign(id).is_some_and(|campaign| campaign.rate.is_none())
    }

    /// From now on the campaign is of another class. What it has had more than others stays so many parts more.
    pub fn set_class(&mut self, now: u64, id: u32, class: Priority) {
        if self.campaign(id).is_none_or(|campaign| campaign.class == class) {
            return;
        }
        self.take_out(id);
        let clock = self.clock;
        if let Some(campaign) = self.campaign_mut(id) {
            let parts = campaign.start.saturating_sub(clock).div_ceil(campaign.step());
            campaign.class = class;
            campaign.start = clock + parts * class.step();
        }
        self.put_in(now, id);
    }

    /// How many messages the campaign has left: one of the places of its class is for the one that has the fewest.
    pub fn set_left(&mut self, now: u64, id: u32, left: u64) {
        let Some(campaign) = self.campaign(id) else { return };
        if campaign.left == left {
            return;
        }
        let moves = campaign.place == Place::Waiting;
        if moves {
            self.take_out(id);
        }
        if let Some(campaign) = self.campaign_mut(id) {
            campaign.left = left;
        }
        if moves {
            self.put_in(now, id);
        } else if let Some(class) = self.class(id) {
            self.settle(class);
        }
    }

    /// From this moment on the campaign has something to send; [`NEVER`]: it has nothing.
    pub fn set_ready(&mut self, now: u64, id: u32, ready_at: u64) {
        self.change(now, id, |campaign| campaign.ready_at = ready_at);
    }

    /// From this moment on the campaign may send; [`NEVER`]: it is paused.
    pub fn set_opens(&mut self, now: u64, id: u32, opens_at: u64) {
        self.change(now, id, |campaign| campaign.opens_at = opens_at);
    }

    /// Parts a second that the campaign may send at most; `None`: as many as the account.
    pub fn set_rate(&mut self, now: u64, id: u32, rate: Option<f64>) {
        self.change(now, id, |campaign| {
            campaign.rate = rate.filter(|rate| *rate > 0.0);
            if campaign.rate.is_none() {
                campaign.due = 0;
            }
        });
    }

    /// What the campaign has to send is not at hand for a moment, or is again. It keeps its place meanwhile.
    pub fn set_starved(&mut self, id: u32, is_starved: bool) {
        if let Some(campaign) = self.campaign_mut(id) {
            campaign.is_starved = is_starved;
        }
    }

    /// How many parts may be claimed and not answered. While others wait, a campaign holds its share of them at most.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// The campaign whose message goes next; `None`: none can send now, or each holds its share of the slots.
    pub fn choose(&mut self, now: u64) -> Option<u32> {
        self.wake(now);
        let is_alone = self.active.len() == 1;
        let mut best: Option<((u64, Priority, u64), u32)> = None;
        for &id in &self.active {
            let Some(campaign) = self.campaign(id) else { continue };
            if campaign.is_starved || !is_alone && campaign.held >= self.share_of_slots(campaign) {
                continue;
            }
            let key = (campaign.start.max(self.clock), campaign.class, campaign.order);
            if best.is_none_or(|(before, _)| key < before) {
                best = Some((key, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// The campaign that was chosen sends a message of so many parts.
    pub fn charge(&mut self, now: u64, id: u32, parts: usize) {
        let clock = self.clock;
        let Some(campaign) = self.campaign_mut(id) else { return };
        let start = campaign.start.max(clock);
        campaign.start = start + parts as u64 * campaign.step();
        campaign.held += parts;
        campaign.left = campaign.left.saturating_sub(1);
        let rests = campaign.rate.is_some();
        if let Some(rate) = campaign.rate {
            campaign.due = campaign.due.max(now.saturating_sub(CATCH_UP_US)) + spacing(parts, rate);
        }
        self.clock = start;
        self.lead = self.lead.max(start) + PART_OF_ALL * parts as u64;
        if rests {
            self.change(now, id, |_| {});
        }
    }

    /// So many parts of what the campaign was charged for did not go.
    pub fn refund(&mut self, now: u64, id: u32, parts: usize) {
        if parts == 0 {
            return;
        }
        self.release(id, parts);
        self.change(now, id, |campaign| {
            campaign.start = campaign.start.saturating_sub(parts as u64 * campaign.step());
            if let Some(rate) = campaign.rate {
                campaign.due = campaign.due.saturating_sub(spacing(parts, rate));
            }
        });
    }

    /// The campaign was charged for so many parts, and so many went.
    pub fn correct(&mut self, now: u64, id: u32, charged: usize, gone: usize) {
        if gone <= charged {
            return self.refund(now, id, charged - gone);
        }
        let more = gone - charged;
        self.change(now, id, |campaign| {
            campaign.held += more;
            campaign.start += more as u64 * campaign.step();
            if let Some(rate) = campaign.rate {
                campaign.due += spacing(more, rate);
            }
        });
    }

    /// So many parts of the campaign are claimed no more: answered, given up, or taken back.
    pub fn release(&mut self, id: u32, parts: usize) {
        if let Some(campaign) = self.campaign_mut(id) {
            campaign.held = campaign.held.saturating_sub(parts);
        }
    }

    /// When the next campaign wakes that waits for a moment.
    pub fn next_wake(&self) -> Option<u64> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Lets those contend again whose moment has come.
    pub fn wake(&mut self, now: u64) {
        while let Some(&(at, id)) = self.wakes.first()
            && at <= now
        {
            self.take_out(id);
            self.put_in(now, id);
        }
    }

    /// How many parts the campaign may hold while others wait.
    fn share_of_slots(&self, campaign: &Campaign) -> usize {
        let share = (self.slots as u128 * u128::from(campaign.class.weight())).div_ceil(u128::from(self.weight.max(1)));
        usize::try_from(share).unwrap_or(usize::MAX).max(1)
    }

    fn campaign(&self, id: u32) -> Option<&Campaign> {
        self.known.get(id as usize)?.as_ref()
    }

    fn campaign_mut(&mut self, id: u32) -> Option<&mut Campaign> {
        self.known.get_mut(id as usize)?.as_mut()
    }

    /// Changes what says when the campaign can send, and gives it a place or takes it away accordingly.
    fn change(&mut self, now: u64, id: u32, change: impl FnOnce(&mut Campaign)) {
        let Some(campaign) = self.campaign_mut(id) else { return };
        change(campaign);
        let wakes_at = campaign.wakes_at();
        let stays = match campaign.place {
            Place::Away => wakes_at == NEVER,
            Place::Asleep(until) => wakes_at == until,
            Place::Waiting | Place::Active => wakes_at <= now,
        };
        if !stays {
            self.take_out(id);
            self.put_in(now, id);
        }
    }

    /// Puts a campaign that is away where it belongs.
    fn put_in(&mut self, now: u64, id: u32) {
        let Some(campaign) = self.campaign_mut(id) else { return };
        let wakes_at = campaign.wakes_at();
        if wakes_at == NEVER {
            return;
        }
        if wakes_at > now {
            campaign.place = Place::Asleep(wakes_at);
            self.wakes.insert((wakes_at, id));
            return;
        }
        campaign.place = Place::Waiting;
        let (class, order, left) = (campaign.class, campaign.order, campaign.left);
        let waiting = &mut self.classes[class as usize];
        waiting.by_order.insert((order, id));
        waiting.by_left.insert((left, order, id));
        self.settle(class);
    }

    /// Takes a campaign out of where it is.
    fn take_out(&mut self, id: u32) {
        let Some(campaign) = self.campaign_mut(id) else { return };
        let place = std::mem::replace(&mut campaign.place, Place::Away);
        let (class, order, left) = (campaign.class, campaign.order, campaign.left);
        let of_class = &mut self.classes[class as usize];
        match place {
            Place::Away => return,
            Place::Asleep(until) => {
                self.wakes.remove(&(until, id));
                return;
            }
            Place::Waiting => {
                of_class.by_order.remove(&(order, id));
                of_class.by_left.remove(&(left, order, id));
                return;
            }
            Place::Active if of_class.smallest == Some(id) => of_class.smallest = None,
            Place::Active => of_class.first.retain(|(_, first)| *first != id),
        }
        self.settle(class);
    }

    /// Gives the places of a class to those that are to have them.
    fn settle(&mut self, class: Priority) {
        self.changes += 1;
        let of = |shares: &Self, id: u32| shares.campaign(id).map_or((0, 0), |found| (found.left, found.order));
        loop {
            let Class { first, smallest, by_order, .. } = &self.classes[class as usize];
            let smallest = smallest.map(|id| (of(self, id).1, id));
            let Some(next) = by_order.first().copied().into_iter().chain(smallest).min() else { break };
            if first.len() >= IN_ORDER {
                let Some(last) = first.last().copied().filter(|last| next < *last) else { break };
                self.classes[class as usize].first.pop();
                self.step_back(class, last.1);
            }
            if smallest == Some(next) {
                self.classes[class as usize].smallest = None;
            } else {
                self.step_up(class, next.1);
            }
            let first = &mut self.classes[class as usize].first;
            first.insert(first.partition_point(|before| *before < next), next);
        }
        if let Some(&(left, order, id)) = self.classes[class as usize].by_left.first() {
            let smallest = self.classes[class as usize].smallest;
            if smallest.is_none_or(|smallest| (left, order) < of(self, smallest)) {
                self.step_up(class, id);
                self.classes[class as usize].smallest = Some(id);
                if let Some(smallest) = smallest {
                    self.step_back(class, smallest);
                }
            }
        }
        self.active.clear();
        self.weight = 0;
        for class in Priority::ALL {
            let Class { first, smallest, .. } = &self.classes[class as usize];
            self.active.extend(first.iter().map(|(_, id)| *id).chain(*smallest));
            self.weight += (first.len() + usize::from(smallest.is_some())) as u64 * class.weight();
        }
    }

    /// A campaign loses its place, and waits for one.
    fn step_back(&mut self, class: Priority, id: u32) {
        let changes = self.changes;
        let Some(campaign) = self.campaign_mut(id) else { return };
        campaign.place = Place::Waiting;
        campaign.lost_in = changes;
        let (order, left) = (campaign.order, campaign.left);
        let waiting = &mut self.classes[class as usize];
        waiting.by_order.insert((order, id));
        waiting.by_left.insert((left, order, id));
    }

    /// A campaign that waits for a place has one. It starts with those that come now, unless it had one just before.
    fn step_up(&mut self, class: Priority, id: u32) {
        let (changes, start) = (self.changes, self.start_of_new());
        let Some(campaign) = self.campaign_mut(id) else { return };
        campaign.place = Place::Active;
        if campaign.lost_in != changes {
            campaign.start = campaign.start.max(start);
        }
        let (order, left) = (campaign.order, campaign.left);
        let waiting = &mut self.classes[class as usize];
        waiting.by_order.remove(&(order, id));
        waiting.by_left.remove(&(left, order, id));
    }

    /// Where a campaign starts that comes now: so that each other has one message before it at most.
    fn start_of_new(&self) -> u64 {
        let starts =
            self.active.iter().filter_map(|&id| self.campaign(id)).filter(|found| found.place == Place::Active);
        let first = starts.map(|found| found.start.max(self.clock)).min();
        let latest = first.map_or(u64::MAX, |first| first + Priority::Urgent.step() - 1);
        self.lead.min(latest).max(self.clock)
    }
}

/// How far apart so many parts are at a rate of their campaign, in microseconds.
fn spacing(parts: usize, rate: f64) -> u64 {
    (parts as f64 * 1e6 / rate).ceil() as u64
}

#[cfg(test)]
mod tests;
