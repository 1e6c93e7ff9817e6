//! Whose a receipt is.
//!
//! [`Matcher`] owns all that is remembered for it. It gets what happens (a claim's answer, a receipt, an attempt in doubt),
//! each time with the transaction ([`Tx`]) in which that is written down, and knows no thread, file or socket: a test drives
//! it on a journal in memory.
//!
//! | module | what |
//! |---|---|
//! | `receipts` | what comes: receipts, and the ids that answers bring. Rule 1 at once |
//! | `rules` | the other rules, in order |
//! | `candidates`, `id_reuse` | which of several attempts with one id |
//! | `alternatives`, `number_evidence` | which other message may be meant; whether receipts name numbers at all |
//! | `doubts` | attempts in doubt, in pools |
//! | `unmatched`, `unmatched_overflow`, `ownerless`, `reread` | receipts without a certain owner |
//! | `judging` | when what is judged |
//! | `id_index`, `id_archive`, `id_load`, `id_recall` | from an id to its attempts |
//! | `manual` | the operator decides |

pub(in crate::journal) mod alternatives;
pub(in crate::journal) mod candidates;
pub mod doubts;
pub mod id_archive;
pub mod id_index;
pub(in crate::journal) mod id_load;
pub mod id_recall;
pub(in crate::journal) mod id_reuse;
pub(in crate::journal) mod judging;
pub mod manual;
pub(in crate::journal) mod number_evidence;
#[cfg(test)]
mod order_tests;
mod ownerless;
pub(crate) mod parties;
mod receipts;
pub(in crate::journal) mod reread;
pub(in crate::journal) mod rules;
pub mod unmatched;
pub(in crate::journal) mod unmatched_overflow;

use crate::journal::error::JournalError;
use crate::journal::model::outstanding::Outstanding;
use crate::journal::store::counts::Counts;
use alternatives::Table;
use doubts::Doubts;
use id_archive::Spill;
use id_index::Ids;
use id_load::{Asleep, load_ids};
use judging::{ToJudge, Work};
use ownerless::KeptForLate;
use rusqlite::Connection;
use std::cell::RefCell;
use unmatched::{STRAYS_MAX, Strays};

/// The transaction that runs, as the matcher needs it.
pub(in crate::journal) struct Tx<'t> {
    /// The journal.
    pub connection: &'t Connection,
    /// What each message's state is worked out from.
    pub counts: &'t mut Counts,
    /// The serial of the next claim: a receipt that comes now can only be about what has a lower one.
    pub next_serial: i64,
    /// Attempts whose response timer expired may still be answered.
    pub late_answers: bool,
}

/// Whose receipts are: the ids of answers, the receipts without a certain owner, the attempts in doubt.
pub(in crate::journal) struct Matcher {
    pub ids: Ids,
    pub spill: Spill,
    pub asleep: Asleep,
    pub strays: Strays,
    pub doubts: Doubts,
    pub to_judge: ToJudge,
    pub work: Work,
    rivals: RefCell<Table>,
    pub evidence: Evidence,
    kept_for_late: KeptForLate,
    /// Attempts without an answer: while there are some, the id of a receipt may yet be theirs.
    pub outstanding: Outstanding,
    /// An attempt that was answered longer before a receipt came is no rival of a newer one, in milliseconds.
    pub receipt_horizon_ms: i64,
    /// Receipts of this run that belong to nobody.
    pub unmatched: u64,
}

/// What the receipts of the account have shown so far.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Evidence {
    /// A receipt had the id of an answer: ids mean the same in both.
    pub ids_match: bool,
    /// Some message was taken without being given an id.
    pub nameless: bool,
    /// A receipt named the number of the message whose id it has.
    pub numbers_fit: bool,
    /// See [`number_evidence::to_revise`].
    pub to_revise: Option<i64>,
}

impl Evidence {
    fn load(connection: &Connection) -> Result<Self, JournalError> {
        Ok(Self {
            ids_match: alternatives::ids_match(connection)?,
            nameless: alternatives::some_are_nameless(connection)?,
            numbers_fit: number_evidence::numbers_fit(connection)?,
            to_revise: number_evidence::to_revise(connection)?,
        })
    }
}

impl Matcher {
    /// Reads back what the journal knows, with so many ids in memory; to be called in a transaction.
    pub fn open(connection: &Connection, ids_in_memory: usize) -> Result<Self, JournalError> {
        Self::with_ids(connection, load_ids(connection, ids_in_memory)?)
    }

    /// As [`Self::open`], with these ids.
    pub fn with_ids(connection: &Connection, (ids, spill, asleep): (Ids, Spill, Asleep)) -> Result<Self, JournalError> {
        let (strays, doubts) = undecided(connection, &ids)?;
        Ok(Self {
            ids,
            spill,
            asleep,
            strays,
            doubts,
            to_judge: ToJudge::default(),
            work: Work::default(),
            rivals: RefCell::default(),
            evidence: Evidence::load(connection)?,
            kept_for_late: KeptForLate::load(connection)?,
            outstanding: Outstanding::default(),
            receipt_horizon_ms: RECEIPT_HORIZON_MS,
            unmatched: 0,
        })
    }

    /// Goes back to what is on disk, and to what was outstanding and unmatched then: a transaction was lost. To be called in
    /// one.
    pub fn reload(&mut self, connection: &Connection, (outstanding, unmatched): Before) -> Result<(), JournalError> {
        (self.outstanding, self.unmatched) = (outstanding, unmatched);
        (self.ids, self.spill, self.asleep) = load_ids(connection, self.ids.capacity())?;
        (self.strays, self.doubts) = undecided(connection, &self.ids)?;
        self.strays.wait_for(self.outstanding.current());
        self.evidence = Evidence::load(connection)?;
        self.kept_for_late = KeptForLate::load(connection)?.while_late(self.kept_for_late);
        self.load_judging(connection)
    }

    /// What [`Self::reload`] goes back to.
    pub fn before(&self) -> Before {
        (self.outstanding.clone(), self.unmatched)
    }
}

/// What a lost transaction changed that the journal does not say.
pub(in crate::journal) type Before = (Outstanding, u64);

/// Seven days.
pub(in crate::journal) const RECEIPT_HORIZON_MS: i64 = 7 * 24 * 3_600_000;

/// The receipts whose owner is not certain, and the attempts in doubt.
fn undecided(connection: &Connection, ids: &Ids) -> Result<(Strays, Doubts), JournalError> {
    let strays = Strays::load(connection, ids, STRAYS_MAX)?;
    let doubts = Doubts::load(connection, ids, strays.named_in_doubt())?;
    Ok((strays, doubts))
}
