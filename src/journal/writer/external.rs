//! What other processes decide while this one sends: their cancels, suppressions and assignments are found by SQLite's
//! data_version and applied a slice in each transaction.

use super::JournalThread;
use super::service::Service;
use crate::journal::error::JournalError;
use crate::journal::store::counts::Counts;
use crate::journal::store::notes::{PSEUDONYMS, note};
use crate::journal::store::shares;
use hashbrown::HashMap;
use rusqlite::Connection;

/// How far that is applied.
#[derive(Clone, Debug)]
pub(super) struct External {
    /// As of which commit of others; -1: all is to be applied anew.
    data_version: i64,
    /// Decisions are applied in part, and the rest in the next transactions.
    pub(super) decisions_left: bool,
    /// The last fact of how campaigns share the account that is taken in.
    shares: i64,
    /// More of them are there.
    shares_left: bool,
    /// The count of campaigns made pseudonymous that is taken in.
    pseudonyms: Option<String>,
}

impl External {
    /// All that was committed so far is applied.
    pub(super) fn up_to_date(connection: &Connection) -> Result<Self, JournalError> {
        let (data_version, shares) = (data_version(connection)?, shares::last(connection)?);
        let pseudonyms = note(connection, PSEUDONYMS)?;
        Ok(Self { data_version, decisions_left: false, shares, shares_left: false, pseudonyms })
    }

    /// A transaction was lost, and what it had applied with it.
    pub(super) fn apply_anew(&mut self) {
        *self = Self { data_version: -1, decisions_left: false, shares: 0, shares_left: false, pseudonyms: None };
    }
}

impl JournalThread {
    pub(super) fn others_wrote(&mut self) -> Result<bool, JournalError> {
        Ok(data_version(&self.connection)? != self.external.data_version)
    }

    /// Applies the cancels, suppressions and decisions that other processes committed.
    pub(super) fn apply_external_changes(&mut self) -> Result<(), JournalError> {
        self.external.data_version = data_version(&self.connection)?;
        let pseudonyms = note(&self.connection, PSEUDONYMS)?;
        if pseudonyms != self.external.pseudonyms {
            self.counts.reload_pseudonyms(&self.connection)?;
            self.external.pseudonyms = pseudonyms;
        }
        self.apply_more_changes()
    }

    /// Whether not all is applied that other processes committed.
    pub(super) fn is_behind_others(&self) -> bool {
        let External { decisions_left, shares_left, .. } = self.external;
        decisions_left
            || shares_left
            || self.calendar.is_behind
            || self.claimer.suppressed.is_behind()
            || self.service.as_ref().is_some_and(Service::is_behind)
    }

    /// Applies what other processes committed as far as one transaction goes: numbers that are never sent to come first.
    pub(super) fn apply_more_changes(&mut self) -> Result<(), JournalError> {
        let fresh = self.claimer.suppressed.read_on(&self.connection)?;
        self.sessions.barred.numbers.extend(fresh);
        if self.claimer.suppressed.is_behind() {
            return Ok(());
        }
        self.apply_decisions()?;
        self.apply_shares()?;
        self.apply_hours()?;
        self.take_commands()?;
        self.send_released()
    }

    /// Takes in how campaigns share the account since, as far as one look goes.
    fn apply_shares(&mut self) -> Result<(), JournalError> {
        let changed = shares::changed_since(&self.connection, self.external.shares)?;
        self.external.shares_left = changed.len() as i64 == shares::READ_AT_ONCE_MAX;
        if changed.is_empty() {
            return Ok(());
        }
        let active = &self.claimer.active;
        let sent: HashMap<i64, u32> =
            active.iter().filter_map(|&index| Some((self.counts.campaign(index)?.id, index))).collect();
        for (fact, campaign, share) in changed {
            self.external.shares = fact;
            if let Some(&index) = sent.get(&campaign) {
                self.claimer.turns.set_share(index, share);
            }
        }
        Ok(())
    }

    /// Applies what was decided, as far as one transaction goes.
    fn apply_decisions(&mut self) -> Result<(), JournalError> {
        let is_cancelled = |counts: &Counts, index| counts.campaign(index).is_none_or(|book| book.cancelled);
        let mut alive: Vec<u32> =
            self.claimer.active.iter().copied().filter(|&index| !is_cancelled(&self.counts, index)).collect();
        alive.sort_unstable();
        let applied = crate::journal::store::decisions::apply(&self.connection, &mut self.counts)?;
        for &index in &self.claimer.active.clone() {
            match (alive.binary_search(&index).is_ok(), is_cancelled(&self.counts, index)) {
                (true, true) => {
                    self.sessions.barred.campaigns.push(index);
                    self.claimer.turns.leave(index);
                }
                (false, false) => self.claimer.take_up(&self.connection, &self.counts, index)?,
                _ => {}
            }
        }
        for assigned in &applied.assigned {
            let (matcher, tx) = self.matching();
            matcher.note_assigned(&tx, assigned)?;
        }
        self.claimer.cancelled.extend(&applied.cancelled);
        self.claimer.bring_back(&self.connection, &self.counts, &applied.brought_back)?;
        self.external.decisions_left = applied.is_left;
        self.claimer.queue_again(&self.connection, &applied.again)
    }
}

fn data_version(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
