//! A simulation of sessions, the bucket and the controller against limiters: events in the order of their times.

use super::limiters::{Limiter, Try, Verdict};
use super::{Answered, Controller, Pace, Said};
use crate::policy::bucket::Bucket;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scene {
    pub limiters: Vec<Limiter>,
    pub asked: Option<f64>,
    pub connections: usize,
    pub window: usize,
    /// Seconds that an answer takes, and what is added at random.
    pub latency: (f64, f64),
    /// Seconds that the way there takes at most, at random.
    pub jitter: f64,
    pub status: Said,
    pub seconds: f64,
    pub seed: u64,
    pub start_from: Option<f64>,
    /// Seconds that a writer wakes late at most, at random.
    pub late: f64,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            limiters: Vec::new(),
            asked: None,
            connections: 1,
            window: 100,
            latency: (0.02, 0.0),
            jitter: 0.002,
            status: Said::Throttled(0x58),
            seconds: 40.0,
            seed: 1,
            start_from: None,
            late: 0.001,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Result {
    pub accepted: u64,
    pub refused: u64,
    pub in_doubt: u64,
    pub lost: u32,
    pub boxes: u32,
    /// Accepted in each second.
    pub seconds: Vec<u32>,
    /// Refused, which had not been excused.
    pub spent: u64,
    /// Given up after five tries.
    pub rejected: u64,
    pub findings: super::Findings,
}

impl Result {
    pub fn share(&self) -> f64 {
        self.refused as f64 / (self.accepted + self.refused).max(1) as f64
    }

    /// Accepted from this second on, before that one.
    pub fn between(&self, from: usize, to: usize) -> f64 {
        self.seconds.get(from..to.min(self.seconds.len())).map_or(0.0, |seconds| f64::from(seconds.iter().sum::<u32>()))
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Wake(usize),
    Arrive { connection: usize, sent_at: f64, depth: u32, message: Message, generation: u32 },
    Answer { connection: usize, sent_at: f64, depth: u32, message: Message, is_accepted: bool, generation: u32 },
    Due(Message),
    Rebind(usize),
}

/// A message, and how often it was refused before.
#[derive(Clone, Copy, Debug)]
struct Message {
    number: u64,
    tries: u32,
    /// Of these, those that were not excused.
    spent: u32,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at: f64,
    number: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

#[derive(Clone, Debug, Default)]
struct Session {
    open: usize,
    outstanding: usize,
    at_smsc: usize,
    generation: u32,
    bound: bool,
    last_arrival: f64,
    /// When it wakes next.
    wakes_at: Option<f64>,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Sim {
    scene: Scene,
    queue: BinaryHeap<Event>,
    number: u64,
    controller: Controller,
    bucket: Bucket,
    sessions: Vec<Session>,
    random: Random,
    message: u64,
    /// Those that are to be tried again now.
    again: VecDeque<Message>,
    is_turn_of_again: bool,
    /// The last answers: how many of how many accepted their messages, older ones counting less.
    crowd: f64,
    result: Result,
}

/// Runs a scene.
pub fn run(scene: Scene) -> Result {
    let mut controller = Controller::new(scene.asked, scene.connections, 0.0);
    if let Some(found) = scene.start_from {
        controller.start_from(0.0, found);
    }
    let mut sim = Sim {
        queue: BinaryHeap::new(),
        number: 0,
        controller,
        bucket: Bucket::new(0.0, 0.0),
        sessions: vec![Session { open: 1, bound: true, ..Session::default() }; scene.connections],
        random: Random(scene.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        message: 0,
        again: VecDeque::new(),
        is_turn_of_again: false,
        crowd: 0.0,
        result: Result { seconds: vec![0; scene.seconds.ceil() as usize], ..Result::default() },
        scene,
    };
    for connection in 0..sim.sessions.len() {
        sim.wake(0.001 * connection as f64, connection);
    }
    while let Some(event) = sim.queue.pop().filter(|event| event.at < sim.scene.seconds) {
        sim.happen(event);
    }
    sim.result.boxes = sim.scene.limiters.iter().map(Limiter::boxes).sum();
    sim.result.findings = sim.controller.findings().clone();
    sim.result
}

impl Sim {
    fn at(&mut self, at: f64, what: What) {
        self.number += 1;
        self.queue.push(Event { at, number: self.number, what });
    }

    fn wake(&mut self, at: f64, connection: usize) {
        let session = &mut self.sessions[connection];
        if session.wakes_at.is_none_or(|before| at < before) {
            session.wakes_at = Some(at);
            self.at(at, What::Wake(connection));
        }
    }

    fn happen(&mut self, event: Event) {
        let now = event.at;
        match event.what {
            What::Wake(connection) => {
                // One that was overtaken by an earlier one is nothing any more.
                if self.sessions[connection].wakes_at.is_some_and(|at| at <= now) {
                    self.sessions[connection].wakes_at = None;
                    self.write(now, connection);
                }
            }
            What::Arrive { connection, sent_at, depth, message, generation } => {
                if self.sessions[connection].generation == generation {
                    self.arrive(now, connection, sent_at, depth, message);
                }
            }
            What::Due(message) => {
                self.again.push_back(message);
                (0..self.sessions.len()).for_each(|connection| self.wake(now, connection));
            }
            What::Answer { connection, sent_at, depth, message, is_accepted, generation } => {
                let session = &mut self.sessions[connection];
                if session.generation != generation {
                    return;
                }
                session.outstanding -= 1;
                session.at_smsc -= 1;
                session.open = (session.open * 2).min(self.scene.window);
                let said = if is_accepted { Said::Accepted } else { self.scene.status };
                self.crowd = 0.95 * self.crowd + if is_accepted { 0.05 } else { 0.0 };
                match said {
                    Said::Accepted => {}
                    Said::Temporary(code) if !self.controller.excuses(code) => {
                        self.result.spent += 1;
                        self.try_again(now, message, true);
                    }
                    Said::Temporary(_) | Said::Throttled(_) => self.try_again(now, message, false),
                }
                self.controller.answered(now, &[Answered { sent_at, count: 1, depth, said }]);
                self.wake(now, connection);
            }
            What::Rebind(connection) => {
                let generation = self.sessions[connection].generation;
                self.sessions[connection] = Session { open: 1, bound: true, generation, ..Session::default() };
                self.wake(now, connection);
            }
        }
    }

    fn write(&mut self, now: f64, connection: usize) {
        if !self.sessions[connection].bound {
            return;
        }
        self.controller.tick(now);
        loop {
            let limit = self.controller.window().unwrap_or(usize::MAX);
            let session = &self.sessions[connection];
            let free = session.open.min(limit).saturating_sub(session.outstanding);
            if free == 0 {
                // An answer wakes it; the ramp or a window may have changed besides.
                return self.wake(now + 0.05, connection);
            }
            let (rate, want) = match self.controller.pace() {
                Pace::Unlimited => (None, free),
                Pace::PerSecond(rate) => (Some(rate), free),
                Pace::Single(at) | Pace::Pause(at) if now < at => {
                    return self.wake((at + 1e-6).min(now + 0.2), connection);
                }
                Pace::Single(_) | Pace::Pause(_) => (None, 1),
            };
            let granted = self.bucket.take(now, rate, want, connection);
            if granted == 0 {
                let wait = self.bucket.ready_in(now, rate, connection).max(5e-5)
                    + self.scene.late * self.random.next().powi(4);
                return self.wake(now + wait, connection);
            }
            for _ in 0..granted {
                self.sessions[connection].outstanding += 1;
                // As the journal does: as many of those that were refused as new ones.
                self.is_turn_of_again = !self.is_turn_of_again;
                let again = if self.is_turn_of_again { self.again.pop_front() } else { None };
                let message = again.unwrap_or_else(|| {
                    self.message += 1;
                    Message { number: self.message, tries: 0, spent: 0 }
                });
                let session = &self.sessions[connection];
                let (depth, generation) = (session.outstanding as u32, session.generation);
                let way = self.scene.jitter * self.random.next().powi(3);
                // One connection keeps the order.
                let arrives = (now + 0.000_2 + way).max(self.sessions[connection].last_arrival);
                self.sessions[connection].last_arrival = arrives;
                self.at(arrives, What::Arrive { connection, sent_at: now, depth, message, generation });
            }
            self.controller.sent(now);
        }
    }

    /// As the journal does.
    fn try_again(&mut self, now: f64, message: Message, is_spent: bool) {
        let Message { number, tries, spent } = message;
        let delay = match (is_spent, self.crowd > 0.5) {
            (true, _) => match [1.0, 5.0, 15.0, 60.0].get(spent as usize) {
                Some(delay) => *delay,
                None => {
                    self.result.rejected += 1;
                    return;
                }
            },
            (false, true) => [2.0, 15.0, 60.0, 120.0, 300.0][(tries as usize).min(4)],
            (false, false) if tries < 2 => 0.2,
            (false, false) => 2f64.powi(tries.min(10) as i32 - 2),
        };
        let delay = delay * (1.0 + 0.25 * self.random.next());
        let message = Message { number, tries: tries + 1, spent: spent + u32::from(is_spent) };
        self.at(now + delay, What::Due(message));
    }

    fn arrive(&mut self, now: f64, connection: usize, sent_at: f64, depth: u32, message: Message) {
        let random = self.random.next();
        let Message { number, tries, .. } = message;
        let m = Try { at: now, message: number, tries, connection, open: self.sessions[connection].at_smsc, random };
        let verdicts = self.scene.limiters.iter_mut().map(|limiter| limiter.judge(&m));
        let verdict = verdicts.fold(Verdict::Accept, |first, next| if first == Verdict::Accept { next } else { first });
        for limiter in &mut self.scene.limiters {
            if verdict == Verdict::Accept { limiter.took(&m) } else { limiter.refused(&m) }
        }
        let generation = self.sessions[connection].generation;
        match verdict {
            Verdict::Close => {
                let session = &mut self.sessions[connection];
                let unanswered = session.outstanding;
                session.generation += 1;
                session.bound = false;
                self.result.in_doubt += unanswered as u64;
                self.result.lost += 1;
                let in_second = self.bucket.in_second(now);
                self.controller.lost(now, in_second, unanswered);
                self.at(now + 0.25, What::Rebind(connection));
                return;
            }
            Verdict::Accept => {
                self.result.accepted += 1;
                if let Some(second) = self.result.seconds.get_mut(now as usize) {
                    *second += 1;
                }
            }
            Verdict::Refuse => self.result.refused += 1,
        }
        self.sessions[connection].at_smsc += 1;
        let takes = self.scene.latency.0 + self.scene.latency.1 * self.random.next();
        let is_accepted = verdict == Verdict::Accept;
        self.at(now + takes, What::Answer { connection, sent_at, depth, message, is_accepted, generation });
    }
}
