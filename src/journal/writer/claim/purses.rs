//! What campaigns may cost: a message goes only where its campaign can pay for it.

use super::{Claimer, begins_at, parts_of};
use crate::journal::error::JournalError;
use crate::journal::model::events::Item;
use crate::journal::model::key::State;
use crate::journal::store::budget::{self, Budget, Reckoning};
use crate::journal::store::counts::Counts;
use rusqlite::Connection;

impl Claimer {
    /// Reads what the campaigns that are sent may cost, and what they have cost.
    pub(in crate::journal::writer) fn load_purses(
        &mut self,
        connection: &Connection,
        counts: &Counts,
    ) -> Result<(), JournalError> {
        self.purses.clear();
        for &index in &self.active {
            let Some(campaign) = counts.campaign(index) else { continue };
            match budget::purse(connection, campaign.id) {
                Ok(Some(purse)) => drop(self.purses.insert(index, purse)),
                Ok(None) => {}
                Err(JournalError::Inconsistent(words)) if self.serves => self.to_hold.push((index, words)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same for campaigns that are sent from now on, or with another limit. What they have cost is added up in slices: until
    /// that is done nothing of them goes.
    pub(in crate::journal::writer) fn renew_purses(
        &mut self,
        connection: &Connection,
        counts: &Counts,
        campaigns: &[u32],
    ) -> Result<(), JournalError> {
        let is_active = &self.is_active;
        self.purses.retain(|index, _| is_active.contains(index));
        self.reckonings.retain(|index, _| is_active.contains(index));
        for &index in campaigns {
            let Some(campaign) = counts.campaign(index) else { continue };
            self.reckonings.remove(&index);
            let budget = match budget::of(connection, campaign.id) {
                Ok(budget) => budget,
                Err(JournalError::Inconsistent(words)) => {
                    self.purses.remove(&index);
                    self.to_hold.push((index, words));
                    self.set_open(index);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match (budget, self.purses.get_mut(&index)) {
                (Some(Budget { max_cost: Some(max_cost), prices }), Some(purse)) if purse.has_prices(&prices) => {
                    purse.allow(max_cost);
                }
                (Some(Budget { max_cost: Some(max_cost), prices }), _) => {
                    self.purses.remove(&index);
                    let reckoning = Reckoning::begin(connection, campaign.id, max_cost, prices)?;
                    self.reckonings.insert(index, reckoning);
                }
                (Some(Budget { max_cost: None, .. }) | None, _) => drop(self.purses.remove(&index)),
            }
            self.set_open(index);
        }
        Ok(())
    }

    /// Whether it is added up what campaigns have cost.
    pub(in crate::journal::writer) fn is_reckoning(&self) -> bool {
        !self.reckonings.is_empty()
    }

    /// Goes on with that, as far as one transaction goes.
    pub(in crate::journal::writer) fn reckon(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let Some((&index, reckoning)) = self.reckonings.iter_mut().next() else { return Ok(()) };
        if reckoning.go_on(connection)?
            && let Some(reckoning) = self.reckonings.remove(&index)
        {
            self.purses.insert(index, reckoning.purse());
            self.set_open(index);
        }
        Ok(())
    }

    /// The campaigns that send no more since it would cost more than they may, and of which nothing is on its way any more.
    pub(in crate::journal::writer) fn spent(&self, counts: &Counts) -> Option<(u32, String)> {
        let is_on_its_way =
            |index: u32| counts.campaign(index).is_none_or(|book| book.counts[State::Sending as usize] > 0);
        let (index, purse) = self.purses.iter().find(|(index, purse)| purse.is_over && !is_on_its_way(**index))?;
        Some((*index, purse.words()))
    }

    /// Which campaigns send no more since it would cost more than they may. Said anew when others do, or nothing is on its way.
    pub(in crate::journal::writer) fn over_budget(&mut self, counts: &Counts, is_at_rest: bool) -> Option<String> {
        let over = self.purses.values().filter(|purse| purse.is_over).count();
        if over != self.over_budget.0 || over > 0 && is_at_rest {
            self.over_budget = (over, self.over_budget_in_words(counts));
        }
        self.over_budget.1.clone()
    }

    fn over_budget_in_words(&self, counts: &Counts) -> Option<String> {
        let mut over: Vec<_> = self.purses.iter().filter(|(_, purse)| purse.is_over).collect();
        over.sort_by_key(|(campaign, _)| **campaign);
        let words: Vec<String> = over
            .into_iter()
            .filter_map(|(campaign, purse)| {
                let name = &counts.campaign(*campaign)?.name;
                Some(format!("campaign {}: {}", crate::words::format::argument(name), purse.words()))
            })
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Whether the message whose items begin at `at` can be paid for. The rest of one that was begun goes in any case: half
    /// a message has cost something, too, and is of no use to anybody. Of that nothing is paid beyond the budget: what was
    /// counted for tries that were refused is more.
    pub(super) fn affords(&mut self, items: &[Item], at: usize) -> bool {
        let first = &items[at];
        let Some(purse) = self.purses.get_mut(&first.campaign).filter(|_| begins_at(items, at)) else { return true };
        first.completes || purse.affords(first.destination, parts_of(&items[at..]))
    }

    /// Pays for the message whose items begin at `at`.
    pub(super) fn pay(&mut self, items: &[Item], at: usize) {
        let first = &items[at];
        if let Some(purse) = self.purses.get_mut(&first.campaign).filter(|_| begins_at(items, at)) {
            purse.pay(first.destination, parts_of(&items[at..]));
        }
    }
}
