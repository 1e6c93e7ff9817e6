//! How a process comes to own a journal, under the sender's lock: the one way in for everything that sends, cancels or
//! decides.

use super::recovery::{Recovered, Recovery, recover};
use crate::journal::error::JournalError;
use crate::journal::files::answer_log::Answers;
use crate::journal::files::lock::SenderLock;
use crate::journal::files::write_marks::Marks;
use crate::journal::handle::Journal;
use crate::journal::matcher::judging::judge_what_is_left;
use crate::journal::model::key::State;
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::open::open_existing;
use crate::journal::store::account::{Identity, claim_account};
use crate::journal::store::counts::{CampaignCounts, Counts};
use crate::journal::store::decisions::apply_all;
use crate::journal::store::notes::campaign_id;
use crate::journal::store::restraint;
use crate::journal::store::restraint::OpenCanary;
use crate::policy::restraint::Restraint;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// For whom a journal is taken over, and what for.
#[derive(Debug)]
pub struct Takeover<'a> {
    /// The journal's file.
    pub path: &'a Path,
    /// The account that is sent from: the journal is its own from now on. `None`: nothing is sent.
    pub account: Option<&'a Identity>,
    /// What statuses mean, and how often a doubt is sent again.
    pub rules: &'a RetryRules,
    /// The campaigns to send.
    pub campaigns: Campaigns<'a>,
}

/// Which campaigns are to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Campaigns<'a> {
    /// None.
    None,
    /// All of which something may still be sent or heard, oldest first.
    Unfinished,
    /// These, in this order.
    Named(&'a [String]),
}

/// A journal that is this process's own, and what its last owner had left.
#[derive(Debug)]
pub struct Started {
    /// What there was to recover.
    pub recovered: Recovered,
    /// Words for the operator, where the account is another name of one that the journal knows.
    pub said_same: Option<String>,
    /// The write marks: none.
    pub marks: Marks,
    /// The notes of answers: none.
    pub answers: Answers,
    /// The journal.
    pub own: OwnJournal,
}

/// A recovered journal, with its counts.
#[derive(Debug)]
pub struct OwnJournal {
    /// Its file.
    pub path: PathBuf,
    /// It itself.
    pub journal: Journal,
    /// Its campaigns and their messages by state.
    pub counts: Counts,
    /// The campaigns to send: their indices in `counts`, in order.
    pub active: Vec<u32>,
}

impl OwnJournal {
    /// The campaigns to send.
    pub fn campaigns(&self) -> impl Iterator<Item = &CampaignCounts> {
        self.active.iter().filter_map(|&index| self.counts.campaign(index))
    }

    /// Takes up what earlier runs decided about the campaigns to send, and what this one is told: which of them begin with a
    /// canary.
    pub fn begin_canaries(&self, restraint: &Restraint) -> Result<Vec<OpenCanary>, JournalError> {
        restraint::begin(self.journal.connection(), &self.counts, &self.active, restraint)
    }

    /// Judges the receipts that the last owner had left unjudged.
    pub fn judge_what_is_left(&mut self) -> Result<(), JournalError> {
        judge_what_is_left(self.journal.connection(), &mut self.counts).map_err(|error| error.at(&self.path))
    }

    /// Applies what was decided and not applied yet.
    pub fn apply_decisions(&mut self) -> Result<(), JournalError> {
        apply_all(self.journal.connection(), &mut self.counts).map_err(|error| error.at(&self.path))
    }
}

/// Takes a journal over, to the point where it can be sent from: recovers it, applies what was decided meanwhile, and picks
/// the campaigns.
///
/// # Errors
/// The journal is of another account, is damaged or older than its write marks, cannot be written, or has no campaign of one
/// of the names.
pub fn start(_lock: &SenderLock, takeover: &Takeover<'_>) -> Result<Started, JournalError> {
    open(takeover)
}

/// As [`start`], for tests that hold no lock.
pub(in crate::journal) fn open(takeover: &Takeover<'_>) -> Result<Started, JournalError> {
    let at = |error: JournalError| error.at(takeover.path);
    let connection = open_existing(takeover.path)?;
    let said_same = match takeover.account {
        Some(account) => claim_account(&connection, takeover.path, account).map_err(at)?,
        None => None,
    };
    let mut started = Started { said_same, ..recovered(connection, takeover.path, takeover.rules)? };
    started.own.apply_decisions()?;
    started.own.active = choose(&started.own, takeover.campaigns)?;
    Ok(started)
}

/// Only recovers a journal: for a decision that rests on what the last owner had left.
pub fn recover_only(_lock: &SenderLock, path: &Path) -> Result<Started, JournalError> {
    recovered(open_existing(path)?, path, &RetryRules::default())
}

fn recovered(connection: Connection, path: &Path, rules: &RetryRules) -> Result<Started, JournalError> {
    let Recovery { connection, counts, recovered, marks, answers } =
        recover(connection, path, rules).map_err(|error| error.at(path))?;
    let own = OwnJournal { path: path.into(), journal: Journal::of(connection), counts, active: Vec::new() };
    Ok(Started { recovered, said_same: None, marks, answers, own })
}

/// The indices of the campaigns to send.
fn choose(own: &OwnJournal, which: Campaigns<'_>) -> Result<Vec<u32>, JournalError> {
    let is_unfinished = |book: &CampaignCounts| {
        [State::Queued, State::Sending, State::Accepted, State::InDoubt]
            .iter()
            .any(|state| book.counts[*state as usize] > 0)
    };
    let all = || own.counts.campaigns.iter().zip(0..);
    match which {
        Campaigns::None => Ok(Vec::new()),
        Campaigns::Unfinished => Ok(all().filter(|(book, _)| is_unfinished(book)).map(|(_, index)| index).collect()),
        Campaigns::Named(names) => {
            let mut chosen = Vec::new();
            for name in names {
                match all().find(|(book, _)| book.name == *name) {
                    Some((_, index)) => chosen.push(index),
                    // There is none, or it is not whole: the error says which.
                    None => campaign_id(&own.journal, name).map(|_| ())?,
                }
            }
            Ok(chosen)
        }
    }
}
