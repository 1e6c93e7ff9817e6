//! What holds of every schedule, each as a property over random ones: campaigns come, pause, change their class, run out, and
//! messages of one to five parts go as fast as slots and rates allow.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The largest message, in parts.
const PARTS_MAX: u64 = 5;
const CAMPAIGNS: u32 = 30;

#[derive(Clone, Debug)]
enum Step {
    Release(Priority, u64),
    Ready(u32, bool),
    Pause(u32, bool),
    Class(u32, Priority),
    Left(u32, u64),
    Rate(u32, Option<u16>),
    Remove(u32),
    Pass(u64),
    /// So many messages go, of these parts in turn.
    Send(u8, Vec<u8>),
    /// So many of what is held of a campaign are answered.
    Answer(u32, usize),
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Urgent), Just(Priority::Normal), Just(Priority::Bulk)]
}

fn step(with_rates: bool) -> impl Strategy<Value = Step> {
    let id = 0..CAMPAIGNS;
    let rate = if with_rates { proptest::option::of(1..200u16).boxed() } else { Just(None).boxed() };
    prop_oneof![
        3 => (priority(), 1..500u64).prop_map(|(class, left)| Step::Release(class, left)),
        3 => (id.clone(), any::<bool>()).prop_map(|(id, ready)| Step::Ready(id, ready)),
        3 => (id.clone(), any::<bool>()).prop_map(|(id, pause)| Step::Pause(id, pause)),
        2 => (id.clone(), priority()).prop_map(|(id, class)| Step::Class(id, class)),
        1 => (id.clone(), 1..500u64).prop_map(|(id, left)| Step::Left(id, left)),
        2 => (id.clone(), rate).prop_map(|(id, rate)| Step::Rate(id, rate)),
        1 => id.clone().prop_map(Step::Remove),
        2 => (1..300_000u64).prop_map(Step::Pass),
        8 => (1..60u8, proptest::collection::vec(1..=PARTS_MAX as u8, 1..7)).prop_map(|(n, parts)| Step::Send(n, parts)),
        4 => (id, 1..20usize).prop_map(|(id, parts)| Step::Answer(id, parts)),
    ]
}

fn steps(with_rates: bool) -> impl Strategy<Value = Vec<Step>> {
    let released = proptest::collection::vec((priority(), 1..500u64), 2..20);
    let steps = proptest::collection::vec(step(with_rates), 10..120);
    (released, steps).prop_map(|(released, steps)| {
        released.into_iter().map(|(class, left)| Step::Release(class, left)).chain(steps).collect()
    })
}

/// A campaign as whoever reads the module's page would keep it.
#[derive(Clone, Debug)]
struct Known {
    class: Priority,
    order: u32,
    left: u64,
    is_ready: bool,
    is_paused: bool,
    rate: Option<f64>,
    /// When which parts of it were sent.
    sent: Vec<(u64, u64)>,
    /// When its own rate lets it go on.
    due: u64,
    held: usize,
}

/// What two campaigns had since both of them wait: the first's less the second's, as their weights say.
#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    now: i64,
    least: i64,
    most: i64,
}

#[derive(Debug)]
struct World {
    shares: Shares,
    now: u64,
    next: u32,
    known: BTreeMap<u32, Known>,
    slots: usize,
    /// Of pairs that were active together all the time.
    differences: BTreeMap<(u32, u32), Difference>,
    /// Of each campaign that came: which messages of others went since. It has had none yet.
    came: BTreeMap<u32, BTreeMap<u32, u64>>,
    /// Of each campaign at bulk: parts of others since its last message.
    waited: BTreeMap<u32, (u64, u64)>,
    active: BTreeSet<u32>,
    sent: u64,
}

impl World {
    fn new(slots: usize) -> Self {
        let mut shares = Shares::default();
        shares.set_slots(slots);
        let now = 1_000_000;
        let (known, differences) = (BTreeMap::new(), BTreeMap::new());
        let (came, waited, active) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { shares, now, next: 0, known, slots, differences, came, waited, active, sent: 0 }
    }

    fn run(slots: usize, steps: &[Step]) -> Self {
        let mut world = Self::new(slots);
        for step in steps {
            world.step(step);
            world.shares.wake(world.now);
            world.check_places();
        }
        world
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Release(class, left) => {
                let id = self.next % CAMPAIGNS;
                self.next += 1;
                self.gone(id);
                self.shares.add(id, class, left);
                self.shares.set_ready(now, id, 0);
                let (order, is_ready, is_paused) = (self.next, true, false);
                let known =
                    Known { class, order, left, is_ready, is_paused, rate: None, sent: Vec::new(), due: 0, held: 0 };
                self.known.insert(id, known);
            }
            Step::Ready(id, ready) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.is_ready = ready;
                    self.shares.set_ready(now, id, if ready { now } else { NEVER });
                }
            }
            Step::Pause(id, pause) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.is_paused = pause;
                    self.shares.set_opens(now, id, if pause { NEVER } else { 0 });
                }
            }
            Step::Class(id, class) => {
                if let Some(known) = self.known.get_mut(&id) {
                    let same = std::mem::replace(&mut known.class, class) == class;
                    self.shares.set_class(now, id, class);
                    if !same {
                        self.gone(id);
                    }
                }
            }
            Step::Left(id, left) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.left = left;
                    self.shares.set_left(now, id, left);
                }
            }
            Step::Rate(id, rate) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.rate = rate.map(f64::from);
                    if rate.is_none() {
                        known.due = 0;
                    }
                    known.sent.clear();
                    self.shares.set_rate(now, id, known.rate);
                }
            }
            Step::Remove(id) => {
                self.known.remove(&id);
                self.gone(id);
                self.shares.remove(id);
            }
            Step::Pass(time) => self.now += time,
            Step::Send(count, ref parts) => {
                for n in 0..usize::from(count) {
                    if !self.send(u64::from(parts[n % parts.len()])) {
                        break;
                    }
                }
            }
            Step::Answer(id, parts) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.held = known.held.saturating_sub(parts);
                    self.shares.release(id, parts);
                }
            }
        }
    }

    fn gone(&mut self, id: u32) {
        self.differences.retain(|(a, b), _| *a != id && *b != id);
        self.came.remove(&id);
        self.waited.remove(&id);
        self.active.remove(&id);
    }

    fn can_send(&self, known: &Known) -> bool {
        known.is_ready && !known.is_paused && known.due <= self.now
    }

    /// Who has a place, worked out anew.
    fn places(&self) -> BTreeSet<u32> {
        let mut places = BTreeSet::new();
        for class in Priority::ALL {
            let mut able: Vec<(u32, &Known)> = self.known.iter().map(|(id, known)| (*id, known)).collect();
            able.retain(|(_, known)| known.class == class && self.can_send(known));
            able.sort_by_key(|(_, known)| known.order);
            let rest = able.split_off(able.len().min(7));
            places.extend(able.iter().map(|(id, _)| *id));
            places.extend(rest.iter().min_by_key(|(_, known)| (known.left, known.order)).map(|(id, _)| *id));
        }
        places
    }

    fn check_places(&mut self) {
        let expected = self.places();
        let found: BTreeSet<u32> = self.shares.active().iter().copied().collect();
        assert_eq!(found, expected, "places");
        // Who came and who went.
        let gone: Vec<u32> = self.active.difference(&expected).copied().collect();
        gone.into_iter().for_each(|id| self.gone(id));
        for &id in &expected {
            if self.active.insert(id) {
                if self.known[&id].class == Priority::Urgent && self.owes_nothing(id) {
                    self.came.insert(id, BTreeMap::new());
                }
                self.waited.insert(id, (PARTS_MAX, 0));
                for &other in self.active.iter().filter(|other| **other != id) {
                    self.differences.insert((id.min(other), id.max(other)), Difference::default());
                }
            }
        }
    }

    /// It has not had more than others: those that come later, before it has its turn, start no sooner than it does.
    fn owes_nothing(&self, id: u32) -> bool {
        self.shares.campaign(id).unwrap().start.max(self.shares.clock) <= self.shares.start_of_new()
    }

    fn held(&self) -> usize {
        self.known.values().map(|known| known.held).sum()
    }

    /// One message goes, if one can.
    fn send(&mut self, parts: u64) -> bool {
        if self.held() >= self.slots {
            return false;
        }
        self.shares.wake(self.now);
        self.check_places();
        let can = self.active.len();
        let Some(id) = self.shares.choose(self.now) else {
            assert_eq!(can, 0, "a slot, a token and a campaign that can send, and nothing goes");
            return false;
        };
        let known = &self.known[&id];
        assert!(self.can_send(known), "campaign {id} was chosen, and cannot send");
        if can > 1 {
            let weight: u64 = self.active.iter().map(|id| self.known[id].class.weight()).sum();
            let share = (self.slots as u128 * u128::from(known.class.weight())).div_ceil(u128::from(weight)).max(1);
            assert!((known.held as u128) < share, "campaign {id} holds its share of the slots");
        }
        self.shares.charge(self.now, id, parts as usize);
        self.note(id, parts);
        true
    }

    fn note(&mut self, id: u32, parts: u64) {
        self.sent += parts;
        let known = self.known.get_mut(&id).unwrap();
        known.held += parts as usize;
        known.left = known.left.saturating_sub(1);
        if let Some(rate) = known.rate {
            known.sent.push((self.now, parts));
            known.due = known.due.max(self.now - CATCH_UP_US) + (parts as f64 * 1e6 / rate).ceil() as u64;
        }
        let cost = (parts * known.class.step()) as i64;
        for ((a, b), difference) in &mut self.differences {
            difference.now += if *a == id {
                cost
            } else if *b == id {
                -cost
            } else {
                0
            };
            difference.least = difference.least.min(difference.now);
            difference.most = difference.most.max(difference.now);
        }
        self.came.remove(&id);
        for others in self.came.values_mut() {
            *others.entry(id).or_default() += 1;
        }
        for (waiting, (own, of_others)) in &mut self.waited {
            if *waiting == id {
                (*own, *of_others) = (parts, 0);
            } else {
                *of_others += parts;
            }
        }
        if self.slots == usize::MAX {
            self.check_shares();
        }
    }

    fn check_shares(&self) {
        for ((a, b), difference) in &self.differences {
            let apart = (difference.most - difference.least) as u64;
            let bound = PARTS_MAX * (self.known[a].class.step() + self.known[b].class.step());
            assert!(apart <= bound, "campaigns {a} and {b} wait, and what they get is {apart} of {bound} apart");
        }
        for (id, others) in &self.came {
            let most = others.values().max().copied().unwrap_or(0);
            assert!(most <= 1, "an urgent message of campaign {id} waits for {most} of one other");
        }
        for (id, (own, of_others)) in &self.waited {
            let places = (PLACES * Priority::ALL.len()) as u64;
            let bound = places * PARTS_MAX * (self.known[id].class.step() / Priority::Urgent.step() * own + 2);
            assert!(*of_others <= bound, "campaign {id} waits for {of_others} parts of others, more than {bound}");
        }
    }

    /// In no span of time more of a campaign than its rate allows, a late caller's share, and one message.
    fn check_rates(&self) {
        for (id, known) in &self.known {
            let Some(rate) = known.rate else { continue };
            for (n, &(from, _)) in known.sent.iter().enumerate() {
                let mut sum = 0;
                for &(to, parts) in &known.sent[n..] {
                    let allowed = rate * ((to - from) + CATCH_UP_US) as f64 / 1e6;
                    assert!(
                        sum as f64 <= allowed + 1e-6,
                        "campaign {id} at {rate}/s: {sum} parts before {to} from {from} on"
                    );
                    sum += parts;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn who_waits_gets_what_its_weight_says_and_who_was_away_has_saved_nothing_up(steps in steps(false)) {
        World::run(usize::MAX, &steps);
    }

    #[test]
    fn something_goes_whenever_it_can_and_nobody_holds_more_than_its_share(steps in steps(true), slots in 1..40usize) {
        World::run(slots, &steps);
    }

    #[test]
    fn no_campaign_exceeds_its_own_rate(steps in steps(true)) {
        let mut world = World::new(usize::MAX);
        for step in &steps {
            // Rates hold from when they are set.
            world.step(step);
            world.shares.wake(world.now);
            world.differences.clear();
            world.came.clear();
            world.waited.clear();
            world.check_rates();
        }
    }

    #[test]
    fn each_message_of_an_urgent_campaign_waits_for_one_of_each_other(
        classes in proptest::collection::vec(priority(), 1..20),
        messages in 1..400usize,
    ) {
        let mut shares = Shares::default();
        for (id, class) in std::iter::once(Priority::Urgent).chain(classes).enumerate() {
            shares.add(id as u32, class, 1_000);
            shares.set_ready(0, id as u32, 0);
        }
        let mut since: BTreeMap<u32, u64> = BTreeMap::new();
        for _ in 0..messages {
            let id = shares.choose(0).unwrap();
            shares.charge(0, id, 1);
            if id == 0 {
                since.clear();
            } else {
                *since.entry(id).or_default() += 1;
            }
            prop_assert!(since.values().all(|count| *count <= 1), "{:?}", since);
        }
    }

    #[test]
    fn a_class_that_is_changed_to_and_fro_earns_nothing(changes in proptest::collection::vec(priority(), 1..200)) {
        let mut shares = Shares::default();
        for id in 0..2 {
            shares.add(id, Priority::Bulk, 1_000);
            shares.set_ready(0, id, 0);
        }
        let mut had = [0u64; 2];
        for class in changes {
            // Bulk whenever something is chosen.
            shares.set_class(0, 0, class);
            shares.set_class(0, 0, Priority::Bulk);
            let id = shares.choose(0).unwrap();
            shares.charge(0, id, 1);
            had[id as usize] += 1;
            prop_assert!(had[0] <= had[1] + 1, "{:?}", had);
        }
    }
}

#[test]
fn an_endless_row_of_alerts_does_not_stop_the_others() {
    for at_a_time in [1, 3, 8, 20] {
        let mut shares = Shares::default();
        shares.add(0, Priority::Bulk, 1_000_000);
        shares.set_ready(0, 0, 0);
        let (mut next, mut waits, mut of_bulk, mut waited, mut longest) = (1u32, 0, 0u64, 0u64, 0u64);
        for _ in 0..20_000 {
            // Each is a campaign of its own, of one message.
            while waits < at_a_time {
                shares.add(next, Priority::Urgent, 1);
                shares.set_ready(0, next, 0);
                (next, waits) = (next + 1, waits + 1);
            }
            let id = shares.choose(0).unwrap();
            shares.charge(0, id, 1);
            waited += 1;
            if id == 0 {
                longest = longest.max(std::mem::take(&mut waited));
                of_bulk += 1;
            } else {
                shares.remove(id);
                waits -= 1;
            }
        }
        // With every place taken it would be one in 168.
        assert!(of_bulk >= 20_000 / 168 && longest <= 400, "{at_a_time}: {of_bulk}, at most {longest} others between");
    }
}

#[test]
fn shares_are_sixteen_to_four_to_one() {
    let mut shares = Shares::default();
    for (id, class) in Priority::ALL.into_iter().enumerate() {
        shares.add(id as u32, class, 1_000_000);
        shares.set_ready(0, id as u32, 0);
    }
    let mut had = [0u64; 3];
    for n in 0..21_000 {
        let id = shares.choose(0).unwrap();
        // Of one the messages are long, of another short.
        let parts = [3, 1, 2 + n % 4][id as usize];
        shares.charge(0, id, parts);
        had[id as usize] += parts as u64;
    }
    let bulk = had[2] as f64;
    assert!((had[0] as f64 / bulk - 16.0).abs() < 0.5 && (had[1] as f64 / bulk - 4.0).abs() < 0.2, "{had:?}");
}

#[test]
fn of_many_the_first_end_first_and_the_smallest_does_not_wait_for_them() {
    let mut shares = Shares::default();
    for id in 0..1_000 {
        shares.add(id, Priority::Normal, if id == 900 { 10 } else { 100 });
        shares.set_ready(0, id, 0);
    }
    let (mut left, mut ended): (BTreeMap<u32, u64>, Vec<u32>) = (BTreeMap::new(), Vec::new());
    while ended.len() < 20 {
        assert_eq!(shares.active().len(), PLACES);
        let id = shares.choose(0).unwrap();
        shares.charge(0, id, 1);
        let left = left.entry(id).or_insert(if id == 900 { 10 } else { 100 });
        *left -= 1;
        if *left == 0 {
            shares.set_ready(0, id, NEVER);
            ended.push(id);
        }
    }
    assert_eq!(ended[0], 900);
    ended[1..].sort_unstable();
    let expected: Vec<u32> = (0..19).collect();
    assert!(ended[1..].iter().filter(|id| expected.contains(id)).count() >= 12, "{ended:?}");
}

#[test]
fn a_choice_costs_the_same_however_many_are_known() {
    let mut shares = Shares::default();
    for id in 0..100_000 {
        shares.add(id, Priority::ALL[id as usize % 3], 1 + u64::from(id % 97));
        // A thousand wait, the others are through, paused or closed.
        match id % 100 {
            0 => shares.set_ready(0, id, 0),
            1 => shares.set_opens(0, id, NEVER),
            2 => shares.set_ready(0, id, 1_000 + u64::from(id)),
            _ => {}
        }
    }
    assert_eq!(shares.active().len(), 3 * PLACES);
    let room = shares.active.capacity();
    for n in 0..10_000 {
        let id = shares.choose(n).unwrap();
        shares.charge(n, id, 1);
        assert!(shares.active().len() <= 3 * PLACES && shares.active.capacity() == room);
    }
}

#[test]
fn a_campaign_that_waits_for_its_own_rate_leaves_its_place_to_another() {
    let mut shares = Shares::default();
    for id in 0..12 {
        shares.add(id, Priority::Normal, 100);
        shares.set_rate(0, id, (id < 8).then_some(1.0));
        shares.set_ready(0, id, 0);
    }
    let mut had = [0; 12];
    for n in 0..1_000 {
        let now = 1_000_000 + n * 10_000;
        let id = shares.choose(now).unwrap();
        shares.charge(now, id, 1);
        had[id as usize] += 1;
    }
    // Ten seconds.
    assert!(had[..8].iter().all(|had| (10..=11).contains(had)), "{had:?}");
    assert_eq!(had.iter().sum::<i32>(), 1_000);
}

#[test]
fn what_becomes_urgent_is_urgent_at_once() {
    let mut shares = Shares::default();
    for id in 0..2 {
        shares.add(id, Priority::Bulk, 100);
        shares.set_ready(0, id, 0);
    }
    // A long message of each: the next is far off.
    for _ in 0..2 {
        let id = shares.choose(0).unwrap();
        shares.charge(0, id, 5);
    }
    shares.set_class(0, 1, Priority::Urgent);
    let order: Vec<u32> = (0..20)
        .map(|_| {
            let id = shares.choose(0).unwrap();
            shares.charge(0, id, 1);
            id
        })
        .collect();
    assert!(order.iter().filter(|id| **id == 0).count() <= 1, "{order:?}");
}

#[test]
fn what_did_not_go_is_not_paid_for() {
    let mut shares = Shares::default();
    for id in 0..2 {
        shares.add(id, Priority::Normal, 100);
        shares.set_ready(0, id, 0);
    }
    let mut had = [0u64; 2];
    for n in 0..100 {
        let id = shares.choose(0).unwrap();
        shares.charge(0, id, 3);
        let gone = if id == 0 { 1 } else { 3 };
        shares.refund(0, id, 3 - gone);
        had[id as usize] += gone as u64;
        assert!(had[0].abs_diff(had[1]) <= 3, "{n}: {had:?}");
    }
}

#[test]
fn priorities_are_read_as_they_are_shown() {
    for priority in Priority::ALL {
        assert_eq!(priority.to_string().parse(), Ok(priority));
    }
    assert_eq!(" Urgent".parse(), Ok(Priority::Urgent));
    for text in ["", "high", "urgent!", "1"] {
        assert!(text.parse::<Priority>().is_err(), "{text}");
    }
}
