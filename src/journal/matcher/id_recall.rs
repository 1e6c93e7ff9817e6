//! Spilled ids that are in memory again while receipts ask for them.
//!
//! Receipts that lag behind by more than memory holds come all the same in about the order of their messages: first for
//! one run of what was spilled, then for the next. A run that most of them ask for is read back whole, which costs each
//! receipt a tenth of what it costs to look its id up by itself.

use crate::journal::matcher::id_index::Known;
use hashbrown::HashTable;

/// Spilled ids that were looked up one by one, before it is decided whether most of them were of one run.
const LOOKED_UP: u32 = 256;
/// To read a run back is worth as many looks as one in so many of its ids.
const WORTH_SHARE: usize = 8;

/// A run in memory, and what was asked for lately. A copy: what is dropped is still in the journal.
#[derive(Debug, Default)]
pub struct Recall {
    run: Option<i64>,
    table: HashTable<Known>,
    /// Where runs are read to, kept for the next one.
    read: Vec<Known>,
    looked_up: Vec<(i64, u32)>,
    count: u32,
    /// Ids found since the last run was read back, and how many it takes for the next one.
    found: usize,
    worth: usize,
    due: Option<i64>,
}

impl Recall {
    /// Notes that an id was found among the spilled ones of this run.
    pub fn note_lookup(&mut self, run: i64) {
        self.found += 1;
        match self.looked_up.iter_mut().find(|(number, _)| *number == run) {
            Some((_, count)) => *count += 1,
            None => self.looked_up.push((run, 1)),
        }
        self.count += 1;
        if self.count < LOOKED_UP {
            return;
        }
        self.count = 0;
        let most = self.looked_up.drain(..).max_by_key(|&(_, count)| count);
        if let Some((run, count)) = most
            && count > LOOKED_UP / 2
            && run != 0
            && self.found >= self.worth
            && self.run != Some(run)
        {
            self.due = Some(run);
        }
    }

    /// Notes that an id was found here.
    pub fn note_hit(&mut self) {
        self.found += 1;
    }

    /// The run that is worth being read back now.
    pub fn take_due(&mut self) -> Option<i64> {
        self.due.take()
    }

    /// Where the next run is to be read to: empty.
    pub fn take_buffer(&mut self) -> Vec<Known> {
        let mut buffer = std::mem::take(&mut self.read);
        buffer.clear();
        buffer
    }

    /// Takes in a run, in place of the one before.
    pub fn put(&mut self, run: i64, ids: Vec<Known>) {
        self.run = Some(run);
        self.worth = ids.len() / WORTH_SHARE;
        self.found = 0;
        self.table.clear();
        self.table.reserve(ids.len(), Known::folded);
        for known in &ids {
            self.table.insert_unique(known.folded(), *known, Known::folded);
        }
        self.read = ids;
    }

    /// What is kept under a hash, and perhaps some under others.
    pub fn near(&self, folded: u64) -> impl Iterator<Item = &Known> {
        self.table.iter_hash(folded)
    }

    /// The one of which `is_it` holds.
    pub fn find_mut(&mut self, folded: u64, is_it: impl Fn(&Known) -> bool) -> Option<&mut Known> {
        self.table.find_mut(folded, is_it)
    }

    /// How many ids are here.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.table.len()
    }
}
