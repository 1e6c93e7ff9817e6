//! A message while its facts are gathered, and the row that follows from them.

use super::MessageRow;
use crate::journal::model::key::{Attempt, State};
use crate::journal::query::Stamp;
use crate::journal::store::names::Names;
use crate::wire::CommandStatus;

/// A message while its facts are gathered.
/// One thing: each field is a fact of one table, which `finish` holds against the others.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: i64,
    pub(super) end: i64,
    pub(super) row: MessageRow,
    pub(super) stored: Option<State>,
    /// Outcome of the first attempt of its first part.
    pub(super) first_outcome: Option<i64>,
    /// Whether the first receipt of that attempt, if final, says delivered.
    pub(super) first_receipt: Option<bool>,
    /// Whether an answer rejected it, and with what the last such one did.
    pub(super) rejected: Option<u32>,
    /// The last answer to the part that was read last, and the one whose status is shown so far, of the parts before it.
    pub(super) last_answer: Option<LastAnswer>,
    pub(super) shown_answer: Option<LastAnswer>,
    /// What the last part that was rejected, and not taken later, was rejected with.
    pub(super) standing: Option<(i64, u32)>,
    /// Whether its first part was claimed once without being written.
    pub(super) not_written: bool,
    /// The ids that only receipts have, with their attempts.
    pub(super) told_ids: Vec<(i64, String)>,
    pub(super) doubt: Option<(i64, String)>,
    pub(super) given_up: Option<(i64, String)>,
    pub(super) abandoned_at: Option<i64>,
    pub(super) receipt_error: Option<String>,
    pub(super) matched_error: Option<String>,
    pub(super) done_at: Option<i64>,
}

/// The last answer to a part, in the order in which one is shown rather than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LastAnswer {
    pub(super) rejected: bool,
    pub(super) answered_at: i64,
    pub(super) attempt: Attempt,
    pub(super) status: u32,
}

impl Slot {
    pub(super) fn new(campaign: &str) -> Self {
        let row = MessageRow {
            campaign: campaign.to_owned(),
            line: 0,
            destination: String::new(),
            source: String::new(),
            text: String::new(),
            encoding: "",
            parts: 0,
            state: State::Queued,
            command_status: None,
            message_ids: None,
            error: None,
            queued_at: None,
            sent_at: None,
            answered_at: None,
            done_at: None,
            possible_duplicate: false,
            reason: None,
            number_in_file: None,
            header: None,
        };
        Self {
            id: 0,
            end: 0,
            row,
            stored: None,
            first_outcome: None,
            first_receipt: None,
            rejected: None,
            last_answer: None,
            shown_answer: None,
            standing: None,
            not_written: false,
            told_ids: Vec::new(),
            doubt: None,
            given_up: None,
            abandoned_at: None,
            receipt_error: None,
            matched_error: None,
            done_at: None,
        }
    }

    pub(super) fn clear(&mut self) {
        let mut row = std::mem::replace(&mut self.row, Self::new("").row);
        (row.command_status, row.message_ids, row.error) = (None, None, None);
        (row.queued_at, row.sent_at, row.answered_at, row.done_at) = (None, None, None, None);
        (row.possible_duplicate, row.reason) = (false, None);
        *self = Self { row, ..Self::new("") };
    }

    /// Whether its first part was claimed, not written, and not answered for all that.
    pub(super) fn is_unwritten(&self) -> bool {
        self.not_written && self.first_outcome.is_none()
    }

    /// Notes an answer; they come in the order of attempts.
    pub(super) fn note_answer(&mut self, answer: LastAnswer) {
        // What was tried again does not count any more.
        if self.last_answer.is_some_and(|last| last.attempt.part() != answer.attempt.part()) {
            self.shown_answer = self.shown();
        }
        self.last_answer = Some(answer);
    }

    /// The answer whose status is shown: a rejection before anything else, and of two answers the later.
    pub(super) fn shown(&self) -> Option<LastAnswer> {
        self.shown_answer.max(self.last_answer)
    }

    /// Works out what follows from the facts.
    pub(super) fn finish(&mut self, claimed_at: Option<i64>, cancelled: bool, names: &Names) {
        self.row.command_status = self.shown().map(|answer| answer.status);
        // Without an answer, the time of the claim is the nearest that is known.
        if self.first_outcome.is_none() && !self.not_written {
            let claimed = claimed_at.map(Stamp);
            self.row.sent_at = match (self.row.sent_at, claimed) {
                (Some(written), Some(claimed)) => Some(written.min(claimed)),
                (written, claimed) => written.or(claimed),
            };
        }
        self.told_ids.sort_unstable();
        self.told_ids.dedup();
        for (_, id) in &self.told_ids {
            let ids = self.row.message_ids.get_or_insert_default();
            if !ids.is_empty() {
                ids.push(' ');
            }
            ids.push_str(id);
        }
        self.row.state = match (self.stored, self.first_receipt, self.first_outcome) {
            (Some(state), ..) => state,
            (None, Some(true), _) => State::Delivered,
            (None, Some(false), _) => State::Failed,
            (None, None, Some(0)) => State::Accepted,
            (None, None, Some(_)) => State::Rejected,
            (None, None, None) if claimed_at.is_some() => State::Sending,
            (None, None, None) if cancelled => State::Cancelled,
            (None, None, None) => State::Queued,
        };
        let state = self.row.state;
        let took_some = matches!(state, State::Accepted | State::PartlyDelivered | State::Failed);
        if matches!(state, State::PartlyDelivered | State::Failed)
            && let Some(error) = self.receipt_error.as_deref().or(self.matched_error.as_deref())
            && let Some(meaning) = names.meaning(error)
        {
            self.row.reason = Some(meaning.to_owned());
        }
        let given_up = self.given_up.take().map(|(_, reason)| reason);
        self.row.error = match state {
            State::Delivered => None,
            State::Rejected => self.rejected.map(status_words),
            State::InDoubt => self.doubt.take().map(|(_, reason)| match self.rejected {
                None => reason,
                Some(status) => format!("{reason}; another try or part was rejected: {}", status_words(status)),
            }),
            _ => self
                .receipt_error
                .take()
                .or(self.matched_error.take())
                .or(given_up.filter(|_| state == State::Failed))
                .or(self.standing.filter(|_| took_some).map(|(_, status)| status_words(status)))
                .or((state == State::Failed && self.row.parts > 1 && self.done_at.is_none())
                    .then(|| "cancelled before all of its parts were sent".into())),
        };
        let answered_at = self.row.answered_at;
        self.row.done_at = match state {
            State::Delivered | State::PartlyDelivered => self.done_at.map(Stamp).or(answered_at),
            State::Failed => self.done_at.map(Stamp).or(answered_at).max(self.abandoned_at.map(Stamp)),
            State::Rejected => answered_at,
            _ => None,
        };
    }
}

fn status_words(status: u32) -> String {
    match CommandStatus(status) {
        status if status.is_known() => status.name().to_owned(),
        CommandStatus(status) => format!("status {status}"),
    }
}

/// Finds messages by parts that are asked for in ascending order.
pub(super) struct Slots<'a> {
    slots: &'a mut [Slot],
    at: usize,
}

impl<'a> Slots<'a> {
    pub(super) fn over(slots: &'a mut [Slot]) -> Self {
        Self { slots, at: 0 }
    }

    pub(super) fn of(&mut self, part: i64) -> Option<&mut Slot> {
        while self.slots.get(self.at).is_some_and(|slot| slot.end <= part) {
            self.at += 1;
        }
        self.slots.get_mut(self.at).filter(|slot| slot.id <= part)
    }
}
