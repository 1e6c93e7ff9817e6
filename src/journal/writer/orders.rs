//! What the SMSC is asked about messages that it has (query_sm, cancel_sm, replace_sm), for commands beside a service: each request
//! is on disk before a session gets it, in the transactions in which messages are claimed; what came of each part is, too. The rows
//! are the truth: what is kept in mind of a command is read from them when the service starts, and when a transaction was lost.

mod order;

use super::JournalThread;
use crate::journal::error::JournalError;
use crate::journal::model::command::{Answer, AskingStanding, Operated, Request, ToOperate};
use crate::journal::model::events::ToSession;
use crate::journal::model::key::State;
use crate::journal::model::operation::{Ask, Operation, Told};
use crate::journal::store::campaign_options::options;
use crate::journal::store::counts::Counts;
use crate::journal::store::history::MessageFacts;
use crate::journal::store::lines::message_of_line;
use crate::journal::store::operation_request::{Asking, request};
use crate::journal::store::operations::{self, Targets};
use crate::journal::store::orders::{self, PartResult};
use crate::journal::store::{commands, operations::Omitted};
use crate::message::text::DefaultAlphabet;
use crate::platform::failpoint::reach;
use crate::wire::{CommandStatus, StatusClass};
use crate::words::format::argument;
use hashbrown::HashMap;
use order::{Order, Slot, Stage};
use rusqlite::{Connection, OptionalExtension};
use std::time::{Duration, Instant};

/// Commands that are carried out side by side; the others wait.
const AT_A_TIME: usize = 8;
/// Commands that may be accepted and not answered.
const ACCEPTED_MAX: i64 = 256;
/// Messages that one transaction looks at.
const LOOKED_AT: i64 = 250;
/// A request that is throttled is made again so often, a second later each time.
const THROTTLED_TRIES: usize = 5;
const THROTTLED_DELAY: Duration = Duration::from_secs(1);
/// A command ends when so many sessions in a row were lost with requests of it, and none was answered.
const LOST_IN_A_ROW: usize = 3;
/// A cancellation waits so long for what is on its way at that moment, and becomes what the SMSC has.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// What is waited for by name in that.
const LINES_AWAITED: usize = 64;

/// All commands that are to be carried out.
#[derive(Default)]
pub(super) struct Orders {
    /// Those under way, in the order in which it is their turn.
    at_work: Vec<Order>,
    /// There may be more that are accepted.
    more: bool,
    /// Requests that are with sessions, and the command of each.
    open: HashMap<i64, i64>,
}

impl Orders {
    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// A transaction was lost, and what it had done with it. What sessions have stays asked.
    pub(super) fn forget_transaction(&mut self, connection: &Connection) -> Result<(), JournalError> {
        self.at_work.clear();
        self.more = true;
        let mut kept = HashMap::new();
        for (operation, command) in self.open.drain() {
            if orders::attempt_of(connection, operation)?.is_some() {
                kept.insert(operation, command);
            }
        }
        self.open = kept;
        Ok(())
    }

    /// A service begins: there may be commands that another one has accepted.
    pub(super) fn begin() -> Self {
        Self { more: true, ..Self::default() }
    }

    /// How far they are.
    pub(super) fn standing(&self, counts: &Counts) -> Vec<AskingStanding> {
        let name = |id: i64| counts.campaigns.iter().find(|book| book.id == id).map(|book| book.name.clone());
        let standing = |order: &Order| {
            let over = order.page.iter().filter(|slot| slot.is_over());
            let (through, done) = over.fold((0, 0), |(through, done), slot| {
                (through + 1, done + i64::from(slot.stage == Stage::Answered { is_done: true }))
            });
            AskingStanding {
                campaign: name(order.campaign).unwrap_or_default(),
                operation: order.operation.name().into(),
                through: order.progress.all + through,
                done: order.progress.done + done,
            }
        };
        self.at_work.iter().map(standing).collect()
    }

    fn slot(&mut self, operation: i64, command: i64) -> Option<(&mut Order, usize)> {
        let order = self.at_work.iter_mut().find(|order| order.id == command)?;
        let at = order.page.iter().position(|slot| slot.operation == Some(operation) && slot.stage == Stage::Open)?;
        Some((order, at))
    }
}

impl JournalThread {
    /// Accepts a command; returns why it does not, in words.
    pub(super) fn accept(
        &mut self,
        orders: &mut Orders,
        id: i64,
        order: &ToOperate,
    ) -> Result<Option<String>, JournalError> {
        if self.counts.find(&self.connection, order.campaign)?.is_none() {
            return Ok(Some(format!("there is no campaign {}", argument(&order.name))));
        }
        if let Err(why) = Order::of(id, order.clone(), DefaultAlphabet::default(), Operated::default()) {
            return Ok(Some(why));
        }
        if orders::count_accepted(&self.connection)? >= ACCEPTED_MAX {
            return Ok(Some(format!(
                "{ACCEPTED_MAX} commands that ask the SMSC about messages are under way: wait for one"
            )));
        }
        orders::accept(&self.connection, id)?;
        orders.more = true;
        Ok(None)
    }

    /// Whether the next transaction has something to do for commands, whatever comes.
    pub(super) fn has_to_ask(&self) -> bool {
        let Some(service) = self.service.as_ref().filter(|_| self.claimer.claiming) else { return false };
        let orders = &service.orders;
        let (now, some_ask) = (Instant::now(), self.sessions.some_ask());
        let is_ready = |slot: &Slot| slot.stage == Stage::Waits && slot.not_before.is_none_or(|at| at <= now);
        orders.more && orders.at_work.len() < AT_A_TIME
            || orders.at_work.iter().any(|order| match order.targets {
                None => order.is_to_be_looked_at(),
                Some(_) => order.is_over() || some_ask && order.page.iter().any(is_ready),
            })
    }

    /// Whether some commands wait for a moment.
    pub(super) fn orders_wait(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.orders.are_there())
    }

    /// Whether a command may begin. What is to be cancelled and is on its way becomes what the SMSC has, if it takes it.
    fn may_begin(&self, order: &Order) -> Result<bool, JournalError> {
        if order.operation != Operation::Cancel || order.since.elapsed() >= SETTLES_WITHIN {
            return Ok(true);
        }
        if self.external.decisions_left {
            return Ok(false);
        }
        let Some(book) = self.counts.campaigns.iter().find(|book| book.id == order.campaign) else { return Ok(true) };
        if book.counts[State::Sending as usize] == 0 {
            return Ok(true);
        }
        if order.lines.is_empty() {
            return Ok(false);
        }
        for &line in order.lines.iter().take(LINES_AWAITED) {
            let range = (book.first_id, book.end_id);
            let Some((message, parts)) = message_of_line(&self.connection, range, line)? else { continue };
            let facts = MessageFacts::load(&self.connection, message, parts)?;
            let is_open = |attempts: &Vec<_>| {
                attempts.last().is_some_and(|last: &crate::journal::model::state::AttemptFacts| {
                    last.answer.is_none() && last.verdict.is_none()
                })
            };
            if facts.parts.iter().any(is_open) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes commands up, reads on what they are about, and hands requests to sessions that have room for them.
    pub(super) fn carry_on(&mut self) -> Result<(), JournalError> {
        if !self.claimer.claiming {
            return Ok(());
        }
        let Some(mut service) = self.service.take() else { return Ok(()) };
        let outcome = self.carry_on_with(&mut service.orders);
        self.service = Some(service);
        outcome
    }

    fn carry_on_with(&mut self, all: &mut Orders) -> Result<(), JournalError> {
        if all.more && all.at_work.len() < AT_A_TIME {
            self.take_up_orders(all)?;
        }
        for _ in 0..all.at_work.len() {
            let mut order = all.at_work.remove(0);
            let is_due = match &order.targets {
                None if order.is_to_be_looked_at() => {
                    order.looked_at = Some(Instant::now());
                    self.may_begin(&order)?
                }
                None => false,
                Some(_) => order.is_over(),
            };
            let is_there = !is_due || self.turn_page(&mut order, &all.open)?;
            if is_there {
                all.at_work.push(order);
            } else {
                all.more = true;
            }
            if is_due {
                // One page for each transaction.
                break;
            }
        }
        self.hand_to_sessions(all)
    }

    fn take_up_orders(&mut self, all: &mut Orders) -> Result<(), JournalError> {
        let accepted = orders::accepted(&self.connection, AT_A_TIME)?;
        all.more = false;
        for accepted in accepted {
            if all.at_work.iter().any(|order| order.id == accepted.id) || all.at_work.len() == AT_A_TIME {
                continue;
            }
            let found: Result<Request, _> = serde_json::from_str(&accepted.options);
            let order = match found {
                Ok(Request::Operate(order)) => match options(&self.connection, &order.name) {
                    Ok(options) => Order::of(accepted.id, order, options.default_alphabet, accepted.progress),
                    Err(JournalError::NoCampaign { .. }) => {
                        Err(format!("there is no campaign {}", argument(&order.name)))
                    }
                    Err(error) => return Err(error),
                },
                _ => Err("the running service does not know what was asked: restart it with the newer program".into()),
            };
            match order {
                Ok(order) => all.at_work.push(order),
                Err(why) => {
                    let answer = serde_json::to_string(&Answer::refusal(why));
                    let answer = answer.map_err(|error| JournalError::Inconsistent(error.to_string()))?;
                    commands::answer(&self.connection, accepted.id, &answer)?;
                    all.more = true;
                }
            }
        }
        Ok(())
    }

    /// Notes what came of the page at hand, and reads the next one. False: the command is through.
    fn turn_page(&mut self, order: &mut Order, open: &HashMap<i64, i64>) -> Result<bool, JournalError> {
        if let Some(targets) = &order.targets
            && !order.page.is_empty()
        {
            order.page.sort_by_key(|slot| (slot.line, slot.part));
            order.progress.next = Some(targets.next());
            order.progress.all += order.page.len() as i64;
            let is_done = |slot: &&Slot| slot.stage == Stage::Answered { is_done: true };
            order.progress.done += order.page.iter().filter(is_done).count() as i64;
            if !order.quiet {
                let results: Vec<PartResult> = order.page.drain(..).map(|slot| slot.result()).collect();
                orders::keep_results(&self.connection, order.id, &results)?;
            }
            order.page.clear();
            orders::note_progress(&self.connection, order.id, &order.progress)?;
        }
        if order.is_through {
            let progress = Operated { next: None, ..order.progress.clone() };
            let answer = serde_json::to_string(&Answer { operated: Some(progress), ..Answer::default() });
            let answer = answer.map_err(|error| JournalError::Inconsistent(error.to_string()))?;
            commands::answer(&self.connection, order.id, &answer)?;
            reach("operated")?;
            return Ok(false);
        }
        self.read_page(order, open)?;
        Ok(true)
    }

    fn read_page(&mut self, order: &mut Order, open: &HashMap<i64, i64>) -> Result<(), JournalError> {
        if order.targets.is_none() {
            let Some(index) = self.counts.find(&self.connection, order.campaign)? else {
                order.is_through = true;
                return Ok(());
            };
            // Messages may have been added by other processes.
            self.counts.reload(&self.connection, index as u32)?;
            let targets = Targets::from(&self.counts, index as u32, &order.lines, order.progress.next);
            order.targets = targets.map(|targets| targets.looking_at(LOOKED_AT));
        }
        let Some(targets) = &mut order.targets else { return Ok(()) };
        let from = targets.next();
        let Some((found, omitted)) = targets.page(&self.connection, &self.counts)? else {
            order.is_through = true;
            return Ok(());
        };
        let range = (from, targets.next());
        let asking = Asking { operation: order.operation, text: order.text.as_deref(), alphabet: order.alphabet };
        order.page = omitted.into_iter().map(Slot::omitted).collect();
        for target in found {
            // What cannot be asked is said before anything is.
            let why = request(asking, &target, 0).err();
            let mut slot = Slot::of(target);
            if let Some(why) = why {
                slot.end(Stage::Ended(why.to_string()));
            }
            order.page.push(slot);
        }
        if std::mem::take(&mut order.is_resumed) {
            self.note_what_was_asked(order, range, open)?;
        }
        if let Some(why) = order.progress.broken.clone() {
            order.end_early(&why);
        }
        Ok(())
    }

    /// Takes in what an earlier service, or a transaction that was lost, had asked of the page at hand.
    fn note_what_was_asked(
        &mut self,
        order: &mut Order,
        range: (i64, i64),
        open: &HashMap<i64, i64>,
    ) -> Result<(), JournalError> {
        let mut asked = Vec::new();
        if order.lines.is_empty() {
            asked = orders::asked(&self.connection, order.id, range)?;
        } else {
            let mut messages: Vec<i64> = order.page.iter().map(|slot| slot.message).filter(|&id| id > 0).collect();
            messages.sort_unstable();
            messages.dedup();
            for message in messages {
                let parts: Option<i64> = self
                    .connection
                    .prepare_cached("SELECT parts FROM message WHERE id = ?1")?
                    .query_row([message], |row| row.get(0))
                    .optional()?;
                let range = (message, message + parts.unwrap_or(1));
                asked.extend(orders::asked(&self.connection, order.id, range)?);
            }
        }
        for asked in asked {
            let part = asked.attempt.part();
            let is_its = |slot: &Slot| slot.message + i64::from(slot.part) - 1 == part;
            let at = match order.page.iter().position(is_its) {
                Some(at) => at,
                None => {
                    // It has its final state by now.
                    let (message, line): (i64, i64) = self
                        .connection
                        .prepare_cached("SELECT id, line FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?
                        .query_row([part], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    let part = u8::try_from(part - message + 1).unwrap_or(u8::MAX);
                    order.page.push(Slot::omitted(Omitted {
                        message,
                        line,
                        part,
                        destination: String::new(),
                        why: "",
                    }));
                    order.page.len() - 1
                }
            };
            let class = |status: u32| self.claimer.rules.class(CommandStatus(status));
            let slot = &mut order.page[at];
            slot.tries += 1;
            (slot.operation, slot.attempt) = (Some(asked.operation), Some(asked.attempt));
            match asked.answer {
                Some(answer) => {
                    let again = class(answer.command_status) == StatusClass::Throttled && slot.tries < THROTTLED_TRIES;
                    match again && slot.target.is_some() {
                        true => slot.stage = Stage::Waits,
                        false => slot.end(Stage::Answered { is_done: answer.command_status == 0 }),
                    }
                }
                None if open.contains_key(&asked.operation) => slot.stage = Stage::Open,
                None => slot.end(Stage::Ended("the service ended before the answer came".into())),
            }
        }
        Ok(())
    }

    /// Gives requests to sessions that have room for them: a command after the other, a part of each.
    fn hand_to_sessions(&mut self, all: &mut Orders) -> Result<(), JournalError> {
        let now = Instant::now();
        for (session, wanted) in self.sessions.asking() {
            let mut asks = Vec::new();
            while asks.len() < wanted {
                let Some(at) = all.at_work.iter_mut().position(|order| order.ready(now).is_some()) else { break };
                let mut order = all.at_work.remove(at);
                let ask = self.intend(&mut order, now)?;
                if let Some(ask) = ask {
                    all.open.insert(ask.operation, order.id);
                    asks.push(ask);
                }
                all.at_work.push(order);
            }
            if !asks.is_empty() {
                reach("operation")?;
                self.sessions.want_asks(session, 0);
                self.sessions.after_commit(session, ToSession::Ask(asks));
            }
        }
        Ok(())
    }

    /// Writes down what is about to be asked.
    fn intend(&mut self, order: &mut Order, now: Instant) -> Result<Option<Ask>, JournalError> {
        let (operation, text, alphabet, command) = (order.operation, order.text.clone(), order.alphabet, order.id);
        let Some(slot) = order.ready(now) else { return Ok(None) };
        let Some(target) = &slot.target else { return Ok(None) };
        let asking = Asking { operation, text: text.as_deref(), alphabet };
        let pdu = match request(asking, target, 0) {
            Ok(pdu) => pdu,
            Err(why) => {
                slot.end(Stage::Ended(why.to_string()));
                return Ok(None);
            }
        };
        let number = operations::append(&self.connection, operation, target, text.as_deref(), Some(command))?;
        let ask = Ask { operation: number, message_id: target.message_id.clone(), pdu };
        (slot.operation, slot.stage) = (Some(number), Stage::Open);
        slot.tries += 1;
        Ok(Some(ask))
    }

    /// A request was answered.
    pub(super) fn told(&mut self, told: &Told) -> Result<(), JournalError> {
        let Told { operation, answer, state } = told;
        let Some(attempt) = orders::attempt_of(&self.connection, *operation)? else { return Ok(()) };
        operations::append_answer(&self.connection, &mut self.counts, (*operation, attempt), answer, *state)?;
        if state.is_some() {
            let (matcher, tx) = self.matching();
            matcher.note_told(&tx, attempt)?;
        }
        let is_throttled = self.claimer.rules.class(CommandStatus(answer.command_status)) == StatusClass::Throttled;
        let Some(service) = &mut self.service else { return Ok(()) };
        let Some(command) = service.orders.open.remove(operation) else { return Ok(()) };
        let Some((order, at)) = service.orders.slot(*operation, command) else { return Ok(()) };
        order.lost_in_a_row = 0;
        let is_broken = order.progress.broken.is_some();
        let slot = &mut order.page[at];
        if is_throttled && slot.tries < THROTTLED_TRIES && !is_broken {
            (slot.stage, slot.not_before) = (Stage::Waits, Some(Instant::now() + THROTTLED_DELAY));
        } else {
            slot.end(Stage::Answered { is_done: answer.command_status == 0 });
        }
        Ok(())
    }

    /// Requests were written, and will not be answered any more. Where the SMSC is silent the command asks no more: each request
    /// would hold a slot for as long as that takes. One that is lost with its session may have had nothing to do with that.
    pub(super) fn untold(&mut self, numbers: &[i64], why: &str, is_late: bool) -> Result<(), JournalError> {
        let Some(service) = &mut self.service else { return Ok(()) };
        let mut of = Vec::new();
        for &operation in numbers {
            let Some(command) = service.orders.open.remove(&operation) else { continue };
            let Some((order, at)) = service.orders.slot(operation, command) else { continue };
            order.page[at].end(Stage::Ended(why.to_owned()));
            if !of.contains(&command) {
                of.push(command);
            }
        }
        for order in service.orders.at_work.iter_mut().filter(|order| of.contains(&order.id)) {
            order.lost_in_a_row += 1;
            if is_late || order.lost_in_a_row >= LOST_IN_A_ROW {
                order.end_early(why);
            }
        }
        Ok(())
    }

    /// Requests are not going to be written: they never were any.
    pub(super) fn unasked(&mut self, numbers: &[i64]) -> Result<(), JournalError> {
        for &operation in numbers {
            orders::take_back(&self.connection, operation)?;
            let Some(service) = &mut self.service else { continue };
            let Some(command) = service.orders.open.remove(&operation) else { continue };
            let Some((order, at)) = service.orders.slot(operation, command) else { continue };
            let is_broken = order.progress.broken.clone();
            let slot = &mut order.page[at];
            slot.tries -= 1;
            (slot.operation, slot.stage) = (None, Stage::Waits);
            if let Some(why) = is_broken {
                order.end_early(&why);
            }
        }
        Ok(())
    }
}
