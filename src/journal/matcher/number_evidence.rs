//! Whether the numbers in an account's receipts say anything. Where a receipt has the exact id of one message and the number
//! of another, the id may be the wrong one: an SMSC that answers with another request's sequence number gives each message
//! the id of its neighbour. Or the number is: some SMSCs mask it, or put something else there.
//!
//! As long as no receipt of the account has named the number of the message whose id it has, the id alone decides, unless
//! the number is that of another message of ours. From the first one that did, a number that is another's keeps the id from
//! deciding, and what the id alone had decided is judged again.

use super::reread;
use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::LAST_DIGITS;
use crate::journal::matcher::rules::Parties;
use crate::journal::matcher::unmatched::Stray;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::key::Attempt;
use crate::journal::model::rule::Rule;
use crate::journal::store::history::message_of;
use crate::journal::store::notes::{note, set_note};
use crate::message::address::Destination;
use rusqlite::Connection;

/// The note that a receipt named the number of the message whose id it has.
const FITTED: &str = "receipts_name_numbers";
/// The note how far those are judged again that the id alone had decided: down to this number, which is not.
const TO_REVISE: &str = "id_alone_from";
/// So many of them in one transaction.
const REVISED_MAX: i64 = 1_000;
/// So many messages with the last digits of a number are looked at.
const LOOKED_AT_MAX: usize = 64;

/// Whether a receipt of the account ever named the number of the message whose id it had.
pub fn numbers_fit(connection: &Connection) -> Result<bool, JournalError> {
    Ok(note(connection, FITTED)?.is_some())
}

/// From which receipt on what the id alone decided is to be judged again; `None`: nothing is.
pub fn to_revise(connection: &Connection) -> Result<Option<i64>, JournalError> {
    Ok(note(connection, TO_REVISE)?.and_then(|from| from.parse().ok()))
}

impl Matcher {
    /// A receipt named the number of the message whose id it has: from now on a number that is another's counts.
    pub(in crate::journal) fn note_numbers_fit(&mut self, tx: &Tx<'_>) -> Result<(), JournalError> {
        if !std::mem::replace(&mut self.evidence.numbers_fit, true) {
            set_note(tx.connection, FITTED, Some("1"))?;
            self.set_to_revise(tx, Some(i64::MAX))?;
        }
        Ok(())
    }

    fn set_to_revise(&mut self, tx: &Tx<'_>, from: Option<i64>) -> Result<(), JournalError> {
        set_note(tx.connection, TO_REVISE, from.map(|from| from.to_string()).as_deref())?;
        self.evidence.to_revise = from;
        Ok(())
    }

    /// Judges again what the id alone had decided, as far as this transaction goes.
    pub(in crate::journal) fn revise_id_alone(&mut self, tx: &mut Tx<'_>, now: i64) -> Result<(), JournalError> {
        let Some(from) = self.evidence.to_revise else { return Ok(()) };
        let (found, next) = self.read_id_alone(tx, from)?;
        for stray in found {
            self.work.note(2);
            let id = stray.id;
            if self.strays.get(id).is_none() {
                self.strays.remember(stray);
            }
            self.judge_one(tx, id, now)?;
        }
        self.set_to_revise(tx, next)
    }

    fn read_id_alone(&self, tx: &Tx<'_>, from: i64) -> Result<(Vec<Stray>, Option<i64>), JournalError> {
        let mut statement = tx.connection.prepare_cached(&reread::select_strays(
            "SELECT receipt FROM stray WHERE receipt <= ?1 ORDER BY receipt DESC LIMIT ?2",
        ))?;
        let mut rows = statement.query((from, REVISED_MAX))?;
        let (mut found, mut looked_at, mut next) = (Vec::new(), 0, None);
        while let Some(row) = rows.next()? {
            let stray = reread::stray_of(row, &self.ids, self.strays.judged_to(), true)?;
            looked_at += 1;
            next = (looked_at == REVISED_MAX).then_some(stray.id - 1);
            if matches!(stray.rule, Rule::IdAlone | Rule::Ambiguous) {
                found.push(stray);
            }
        }
        Ok((found, next))
    }

    /// Whether a number in the receipt, which has the id of `attempt`, is that of another message that had been claimed when
    /// it came. `None`: the messages are still being read.
    pub(in crate::journal) fn names_another(
        &self,
        tx: &Tx<'_>,
        attempt: Attempt,
        stray: &Stray,
    ) -> Result<Option<bool>, JournalError> {
        let Some((message, _)) = message_of(tx.connection, attempt.part())? else { return Ok(Some(false)) };
        let sender = self.sender_of(tx, message)?;
        let mut table = self.rivals.borrow_mut();
        let campaigns = &tx.counts.campaigns;
        let mut is_read = true;
        if !table.has_all_of(campaigns.len()) {
            for book in campaigns.iter().filter(|book| book.first_id < book.end_id) {
                is_read &= table.has(book.first_id, book.end_id);
            }
        }
        if !is_read {
            return Ok(None);
        }
        if table.is_full() {
            return Ok(Some(false));
        }
        for number in stray.marks.numbers.into_iter().filter(|number| *number != 0 && !alike(*number, sender)) {
            for other in table.perhaps_to(number).take(LOOKED_AT_MAX) {
                self.work.note(2);
                let went_to = Parties::of(tx.connection, other)?.map_or(0, |parties| parties.number);
                if other == message || !alike(number, went_to) {
                    continue;
                }
                let mut claimed = vec![Attempt::new(other, 0)];
                self.claimed_before(tx, &mut claimed, stray)?;
                if !claimed.is_empty() {
                    return Ok(Some(true));
                }
            }
        }
        Ok(Some(false))
    }

    /// The sender of a message as a number, as [`Destination::key`]; 0: it is none.
    fn sender_of(&self, tx: &Tx<'_>, message: i64) -> Result<u64, JournalError> {
        let own: Option<String> = tx
            .connection
            .prepare_cached("SELECT source FROM message WHERE id = ?1")?
            .query_row([message], |row| row.get(0))?;
        let campaign = tx.counts.campaign_of(message).and_then(|index| tx.counts.campaign(index));
        let sender = own.or_else(|| campaign.map(|campaign| campaign.sender.clone())).unwrap_or_default();
        Ok(Destination::parse(&sender).map_or(0, |number| number.key()))
    }
}

/// Whether two numbers end alike: one may be written with its country, the other without.
fn alike(one: u64, other: u64) -> bool {
    other != 0 && one % LAST_DIGITS == other % LAST_DIGITS
}
