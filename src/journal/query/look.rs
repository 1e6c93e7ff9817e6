//! How campaigns stand that another process sends, for whoever looks on.

use super::{JournalError, campaign, plan};
use crate::journal::handle::Sql;
use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::State;
use crate::journal::store::campaign_options::options;
use crate::journal::store::decisions::are_waiting;
use rusqlite::OptionalExtension;

/// How they stand, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Messages by state.
    pub counts: [i64; State::COUNT],
    /// Messages that are still to be sent, as far as is released.
    pub left: i64,
    /// Messages whose receipts are waited for.
    pub awaiting: i64,
    /// Messages in doubt whose receipts are.
    pub doubts: i64,
}

/// The state of each of these messages.
pub fn states_of(journal: &dyn Sql, messages: &[i64]) -> Result<Vec<State>, JournalError> {
    let mut statement = journal.connection().prepare_cached("SELECT state FROM message_fact WHERE message = ?1")?;
    let states = messages.iter().map(|message| {
        let state = statement.query_row([message], |row| row.get::<_, i64>(0)).optional()?;
        Ok(state.and_then(State::from_number).unwrap_or(State::Cancelled))
    });
    states.collect()
}

impl Look {
    /// As they stand now. `limit`: only so many messages of each are sent.
    pub fn at(journal: &dyn Sql, names: &[String], limit: Option<u64>) -> Result<Self, JournalError> {
        let mut look = Self { counts: [0; State::COUNT], left: 0, awaiting: 0, doubts: 0 };
        for name in names {
            let summary = campaign(journal, name)?;
            let of = |state: State| summary.counts.of(state);
            for state in State::ALL {
                look.counts[state as usize] += of(state);
            }
            if options(journal, name)?.receipts == Receipts::All {
                look.awaiting += of(State::Accepted);
                look.doubts += of(State::InDoubt);
            }
            // Until decisions are applied it is not said what is to be sent.
            look.left += i64::from(are_waiting(journal, summary.id)?);
            look.left += match limit {
                _ if summary.cancelled_at.is_some() => of(State::Sending),
                None => of(State::Queued) + of(State::Sending),
                Some(_) => plan(journal, name, limit)?.to_send.max(0) + of(State::Sending),
            };
        }
        Ok(look)
    }

    /// Messages that are sent.
    pub fn sent(&self) -> i64 {
        let unsent = [State::Queued, State::Suppressed, State::Cancelled, State::Sending];
        self.counts.iter().sum::<i64>() - unsent.iter().map(|&state| self.counts[state as usize]).sum::<i64>()
    }
}
