//! A command that has the SMSC asked about messages, and the parts of it that are at hand.

use crate::journal::model::command::{Operated, ToOperate, lines_of};
use crate::journal::model::key::Attempt;
use crate::journal::model::operation::Operation;
use crate::journal::store::operations::{Omitted, Target, Targets};
use crate::journal::store::orders::PartResult;
use crate::message::text::DefaultAlphabet;
use std::time::{Duration, Instant};

/// Lines that one command may name.
const LINES_MAX: usize = 1_000_000;
/// How often it is looked whether one may begin.
const LOOK: Duration = Duration::from_millis(250);

/// A command under way. One thing: how far it is follows from all of it.
pub(super) struct Order {
    pub(super) id: i64,
    pub(super) operation: Operation,
    pub(super) text: Option<String>,
    pub(super) alphabet: DefaultAlphabet,
    pub(super) campaign: i64,
    pub(super) lines: Vec<u64>,
    pub(super) quiet: bool,
    pub(super) since: Instant,
    /// When it was looked last whether it may begin.
    pub(super) looked_at: Option<Instant>,
    /// `None`: it has not begun.
    pub(super) targets: Option<Targets>,
    /// The parts at hand.
    pub(super) page: Vec<Slot>,
    /// The rows tell what was asked of the page at hand.
    pub(super) is_resumed: bool,
    pub(super) is_through: bool,
    pub(super) progress: Operated,
    pub(super) lost_in_a_row: usize,
}

/// A part that is at hand.
pub(super) struct Slot {
    pub(super) message: i64,
    pub(super) line: i64,
    pub(super) part: u8,
    pub(super) attempt: Option<Attempt>,
    pub(super) target: Option<Target>,
    /// The last request.
    pub(super) operation: Option<i64>,
    /// How often it was asked.
    pub(super) tries: usize,
    pub(super) not_before: Option<Instant>,
    pub(super) stage: Stage,
}

#[derive(PartialEq, Eq)]
pub(super) enum Stage {
    /// It is to be asked.
    Waits,
    /// It is asked.
    Open,
    /// It was answered; whether by what was wanted.
    Answered { is_done: bool },
    /// It was not asked, or not answered.
    Ended(String),
}

impl Slot {
    pub(super) fn of(target: Target) -> Self {
        Self {
            message: target.message,
            line: target.line,
            part: target.part,
            attempt: Some(target.attempt),
            target: Some(target),
            operation: None,
            tries: 0,
            not_before: None,
            stage: Stage::Waits,
        }
    }

    pub(super) fn omitted(omitted: Omitted) -> Self {
        Self {
            message: omitted.message,
            line: omitted.line,
            part: omitted.part,
            attempt: None,
            target: None,
            operation: None,
            tries: 0,
            not_before: None,
            stage: Stage::Ended(omitted.why.into()),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Answered { .. } | Stage::Ended(_))
    }

    pub(super) fn end(&mut self, stage: Stage) {
        self.stage = stage;
        self.target = None;
    }

    pub(super) fn result(&self) -> PartResult {
        let (message, line, part) = (self.message, self.line, self.part);
        let why = match &self.stage {
            Stage::Ended(why) => Some(why.clone()),
            _ => None,
        };
        PartResult {
            message,
            line,
            part,
            attempt: self.attempt.map(|attempt| attempt.0),
            operation: self.operation,
            why,
        }
    }
}

impl Order {
    /// A command as its row has it; why not, in words.
    pub(super) fn of(id: i64, order: ToOperate, alphabet: DefaultAlphabet, progress: Operated) -> Result<Self, String> {
        let operation = Operation::from_name(&order.operation)
            .ok_or_else(|| format!("{} is not known to the running service", order.operation))?;
        let lines = lines_of(&order.lines, LINES_MAX)
            .ok_or_else(|| format!("the lines are none, or more than {LINES_MAX}: name fewer at once"))?;
        Ok(Self {
            id,
            operation,
            text: order.text,
            alphabet,
            campaign: order.campaign,
            lines,
            quiet: order.quiet,
            since: Instant::now(),
            looked_at: None,
            targets: None,
            page: Vec::new(),
            is_resumed: true,
            is_through: false,
            progress,
            lost_in_a_row: 0,
        })
    }

    /// Whether it is to be looked whether it may begin.
    pub(super) fn is_to_be_looked_at(&self) -> bool {
        self.looked_at.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// The first part that is to be asked about now.
    pub(super) fn ready(&mut self, now: Instant) -> Option<&mut Slot> {
        let is_ready = |slot: &&mut Slot| slot.stage == Stage::Waits && slot.not_before.is_none_or(|at| at <= now);
        self.page.iter_mut().find(is_ready)
    }

    /// Nothing of the page is waited for.
    pub(super) fn is_over(&self) -> bool {
        self.page.iter().all(Slot::is_over)
    }

    /// It asks no more.
    pub(super) fn end_early(&mut self, why: &str) {
        self.progress.broken.get_or_insert_with(|| why.to_owned());
        for slot in self.page.iter_mut().filter(|slot| slot.stage == Stage::Waits) {
            // One that was throttled was answered.
            let stage =
                if slot.operation.is_some() { Stage::Answered { is_done: false } } else { Stage::Ended(why.into()) };
            slot.end(stage);
        }
    }
}
