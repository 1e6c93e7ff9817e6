//! An id that the SMSC gave again: receipts that went to another attempt with that id, and came when this one had been
//! claimed, may be about this one. They are judged again when its answer brings the id, so that it makes no difference
//! which came first, the answer or the receipt.

use super::reread;
use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::IdKey;
use crate::journal::matcher::rules::list;
use crate::journal::matcher::unmatched::Stray;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::events::Sent;
use crate::journal::model::key::{Attempt, RECEIPTS_MAX};
use crate::journal::model::rule::Rule;
use rusqlite::OptionalExtension;

/// So many other attempts with the id are looked at: where more have it, it tells nothing.
const ATTEMPTS_MAX: usize = 64;
/// So many receipts of each.
const RECEIPTS_LOOKED_AT_MAX: i64 = 256;

impl Matcher {
    /// Judges again the receipts that exactly this id had led to other attempts, now that `sent` has it as well.
    pub(in crate::journal) fn judge_those_of_others(
        &mut self,
        tx: &mut Tx<'_>,
        key: IdKey,
        sent: &Sent,
        now: i64,
    ) -> Result<(), JournalError> {
        self.to_judge.spelled(key.folded);
        // In the order in which they came: what an earlier one decides, a later one goes by.
        let mut receipts: Vec<Stray> = self
            .strays
            .naming(key, sent.generation)
            .filter(|stray| stray.judged)
            .take(RECEIPTS_LOOKED_AT_MAX as usize)
            .cloned()
            .collect();
        let others: Vec<Attempt> = self.ids.receipted(key, sent.attempt, sent.destination).take(ATTEMPTS_MAX).collect();
        let claimed_at: Option<i64> = tx
            .connection
            .prepare_cached(
                "SELECT claimed_at FROM claim WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1",
            )?
            .query_row((sent.attempt.tried(), sent.attempt.part()), |row| row.get(0))
            .optional()?;
        let Some(claimed_at) = claimed_at else { return Ok(()) };
        for other in others {
            receipts.extend(self.receipts_since(tx, other, claimed_at)?);
        }
        // Of those of one millisecond, what was matched as it came was earlier; numbers of the others fall.
        receipts.sort_unstable_by_key(|stray| (stray.received_at, stray.id < 0, stray.id.abs()));
        receipts.dedup_by_key(|stray| stray.id);
        for stray in receipts {
            match self.strays.get(stray.id).is_some() {
                true => self.judge_one(tx, stray.id, now)?,
                false => self.judge_anew(tx, stray, now)?,
            }
        }
        Ok(())
    }

    /// Judges again, in this transaction or the next ones, what came after this receipt and was given to an attempt by exactly
    /// this id, where the SMSC gave the id more than once: such receipts are not remembered once they are matched.
    pub(in crate::journal) fn take_up_those_after(
        &mut self,
        tx: &Tx<'_>,
        key: IdKey,
        stray: &Stray,
    ) -> Result<(), JournalError> {
        let attempts: Vec<Attempt> = self.ids.with_exactly(key, [0, 0]).take(ATTEMPTS_MAX).collect();
        if attempts.len() < 2 {
            return Ok(());
        }
        for attempt in attempts {
            for later in self.receipts_since(tx, attempt, stray.received_at)? {
                if later.arrival() > stray.arrival() && self.strays.get(later.id).is_none() {
                    self.to_judge.all([-later.id]);
                    self.take_up(tx, later)?;
                }
            }
        }
        Ok(())
    }

    /// Remembers a receipt that is to be judged again. Until that is done it is listed: a sender that dies before leaves it to
    /// the next.
    fn take_up(&mut self, tx: &Tx<'_>, stray: Stray) -> Result<(), JournalError> {
        list(tx, stray.id)?;
        self.work.note(1);
        self.strays.remember(Stray { listed: true, ..stray });
        Ok(())
    }

    /// The receipts that their exact id gave to an attempt and that came since.
    fn receipts_since(&self, tx: &Tx<'_>, attempt: Attempt, since: i64) -> Result<Vec<Stray>, JournalError> {
        let mut found = Vec::new();
        for from in [
            "FROM (SELECT * FROM receipt WHERE id >= ?1 AND id < ?2 AND received_at >= ?3 ORDER BY id DESC LIMIT ?5) r",
            "FROM (SELECT receipt_id FROM receipt_match WHERE attempt = ?4
                    GROUP BY receipt_id ORDER BY max(id) DESC LIMIT ?5) m
             JOIN receipt r ON r.id = m.receipt_id AND r.received_at >= ?3 AND (r.id < ?1 OR r.id >= ?2)",
        ] {
            let mut statement = tx.connection.prepare_cached(&reread::select(from, ""))?;
            let (first, end) = (attempt.receipt(0), attempt.receipt(RECEIPTS_MAX));
            let mut rows = statement.query((first, end, since, attempt.0, RECEIPTS_LOOKED_AT_MAX))?;
            while let Some(row) = rows.next()? {
                self.work.note(1);
                let stray = reread::stray_of(row, &self.ids, None, false)?;
                if stray.owner == Some(attempt) && matches!(stray.rule, Rule::Exact | Rule::TextExact) {
                    found.push(stray);
                }
            }
        }
        Ok(found)
    }

    fn judge_anew(&mut self, tx: &mut Tx<'_>, stray: Stray, now: i64) -> Result<(), JournalError> {
        let (id, owner) = (stray.id, stray.owner);
        match self.find_owner(tx, &stray)? {
            Some(judgement) if judgement.owner == owner => {}
            Some(judgement) => {
                self.strays.remember(stray.clone());
                self.record_match(tx, &stray, judgement, now)?;
            }
            None => {
                self.take_up(tx, stray)?;
                self.to_judge.postpone(id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::model::campaign::CampaignOptions;
    use crate::journal::testkit::bench::{Bench, FakeReceipt, SENDER};
    use crate::wire::MessageState::{Delivered, Undeliverable};

    const A: &str = "447700900001";

    fn to_one_number(count: usize) -> Bench {
        let options = CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() };
        Bench::with_options(&vec![(A, 1); count], options)
    }

    /// An SMSC that gives one id to all messages, here all to one number, each with a receipt before the next is answered.
    /// Returns the steps that it took.
    fn one_id_for_all(count: usize) -> u64 {
        let mut bench = to_one_number(count);
        let session = bench.open_session();
        for sent in bench.send(session, count) {
            bench.answer(session, sent, 0, "0");
            bench.delivered(session, "0", A);
        }
        bench.rest();
        bench.thread().matcher.work.done()
    }

    #[test]
    fn one_id_for_all_messages_costs_each_no_more() {
        let (small, large) = (one_id_for_all(200), one_id_for_all(600));
        assert!(large < small * 3 * 3 / 2, "{small} steps for 200, {large} for 600");
    }

    /// Many receipts of one id that two messages have; then the operator's word, or what comes of it, is left to the rest.
    fn many_of_one_id(count: usize) -> u64 {
        let mut bench = to_one_number(2);
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        bench.answer(session, sent[0], 0, "7");
        let told = FakeReceipt::new("7", Undeliverable, A);
        for state in [Undeliverable, Delivered] {
            for _ in 0..count / 200 {
                let told: Vec<FakeReceipt<'_>> = (0..100).map(|_| FakeReceipt { state, ..told.clone() }).collect();
                bench.receipts(session, &told, SENDER);
            }
        }
        bench.answer(session, sent[1], 0, "7");
        bench.rest();
        assert_eq!(bench.number("SELECT count(*) FROM receipt"), count as i64);
        bench.thread().matcher.work.done()
    }

    #[test]
    fn many_receipts_of_one_id_cost_each_the_same() {
        let (small, large) = (many_of_one_id(1_000), many_of_one_id(4_000));
        assert!(large < small * 4 * 3 / 2, "{small} steps for 1,000, {large} for 4,000");
    }
}
