//! When the journal thread stops by itself: too much of what came back is bad, or the canary did not come to what was asked.

use super::JournalThread;
use crate::journal::error::JournalError;
use crate::journal::model::key::State;
use crate::journal::store::counts::Counts;
use crate::journal::store::restraint;
use crate::journal::store::restraint::{Kind, OpenCanary};
use crate::journal::writer::read_ahead::FeedRange;
use crate::policy::restraint::{Bad, GoOnWhen, Good, LastAnswers, StopWhen};
use crate::words::format::{count, number, percent};
use std::time::Instant;

/// What a run counts by its rules.
#[derive(Debug, Default)]
pub(in crate::journal) struct Watch {
    /// Of each campaign that is sent and has rules.
    campaigns: Vec<Counted>,
    canaries: Vec<Waiting>,
    /// What may go once what is fed now is through.
    next: Vec<FeedRange>,
}

/// The last answers of a campaign by [`Bad`], and the counts from which the next ones are computed.
#[derive(Debug)]
struct Counted {
    campaign: u32,
    rules: Vec<StopWhen>,
    before: [i64; State::COUNT],
    last: [LastAnswers; Bad::ALL.len()],
    /// Answers came since its rules were looked at.
    is_changed: bool,
}

/// A canary under way.
#[derive(Debug)]
struct Waiting {
    canary: OpenCanary,
    /// The messages behind it that may follow.
    rest: FeedRange,
    /// Since when all of it is sent and answered, in this run.
    sent: Option<Instant>,
}

/// What is to be done about a canary.
enum Verdict {
    Wait,
    GoOn(String),
    Stop(String),
}

impl Watch {
    /// Takes up the rules, and cuts `ranges` down to the canaries.
    pub(in crate::journal) fn begin(
        connection: &rusqlite::Connection,
        counts: &Counts,
        ranges: &mut [FeedRange],
        rules: &[StopWhen],
        canaries: Vec<OpenCanary>,
    ) -> Result<Self, JournalError> {
        let mut watch = Self::default();
        for range in &*ranges {
            watch.take_up(connection, counts, range.campaign, rules)?;
        }
        for canary in canaries {
            let Some(range) = ranges.iter_mut().find(|range| range.campaign == canary.campaign) else { continue };
            // With a limit before its end there is nothing that could follow.
            if range.limit_end > canary.end {
                let rest = FeedRange { from: range.from.max(canary.end), ..*range };
                range.limit_end = canary.end;
                watch.canaries.push(Waiting { canary, rest, sent: None });
            }
        }
        Ok(watch)
    }

    /// These are the rules of a campaign from now on.
    pub(super) fn take_up(
        &mut self,
        connection: &rusqlite::Connection,
        counts: &Counts,
        campaign: u32,
        rules: &[StopWhen],
    ) -> Result<(), JournalError> {
        self.let_go(campaign);
        let Some(book) = counts.campaign(campaign).filter(|_| !rules.is_empty()) else { return Ok(()) };
        let mut last: [LastAnswers; Bad::ALL.len()] = Default::default();
        for rule in rules {
            last[rule.bad as usize] = restraint::last_answers(connection, counts, campaign, rule.bad)?;
        }
        let is_changed = true;
        self.campaigns.push(Counted { campaign, rules: rules.to_vec(), before: book.counts, last, is_changed });
        Ok(())
    }

    /// A campaign is not sent any more.
    pub(super) fn let_go(&mut self, campaign: u32) {
        self.campaigns.retain(|counted| counted.campaign != campaign);
    }

    /// Whether nothing has to be watched.
    pub(in crate::journal) fn is_idle(&self) -> bool {
        self.campaigns.is_empty() && self.canaries.is_empty()
    }

    /// Whether messages wait that may still go in this run.
    pub(in crate::journal) fn holds_back(&self) -> bool {
        !self.canaries.is_empty() || !self.next.is_empty()
    }
}

impl JournalThread {
    /// Judges what the transaction has written down so far, before anything more is claimed. `housekeeping`: the canaries
    /// are counted, too.
    pub(super) fn restrain(&mut self, housekeeping: bool) -> Result<(), JournalError> {
        if self.watch.is_idle() || self.status.restrained.is_some() {
            return Ok(());
        }
        self.counts.settle(&self.connection)?;
        self.count_answers();
        if let Some((campaign, rule, words)) = self.broken_rule() {
            return self.stop_by_rule(campaign, &rule.to_string(), words);
        }
        if housekeeping { self.judge_canaries() } else { Ok(()) }
    }

    /// Tells the newest answers from how the counts have changed.
    fn count_answers(&mut self) {
        for counted in &mut self.watch.campaigns {
            let Some(book) = self.counts.campaign(counted.campaign) else { continue };
            // Most of a thousand.
            if book.counts == counted.before {
                continue;
            }
            counted.is_changed = true;
            let more = |states: &[State]| -> u64 {
                let change: i64 =
                    states.iter().map(|&state| book.counts[state as usize] - counted.before[state as usize]).sum();
                u64::try_from(change).unwrap_or(0)
            };
            let taken = more(&[State::Accepted, State::Delivered, State::PartlyDelivered, State::Failed]);
            let (rejected, doubts) = (more(&[State::Rejected]), more(&[State::InDoubt]));
            let failed = more(&[State::PartlyDelivered, State::Failed]);
            counted.last[Bad::Rejected as usize].add(taken, rejected);
            counted.last[Bad::Failed as usize].add(more(&[State::Delivered]), failed);
            counted.last[Bad::InDoubt as usize].add(taken + rejected, doubts);
            counted.before = book.counts;
        }
    }

    /// The first rule that is broken, of which campaign, and why in words.
    fn broken_rule(&mut self) -> Option<(u32, StopWhen, String)> {
        let mut changed = self
            .watch
            .campaigns
            .iter_mut()
            .filter_map(|counted| std::mem::take(&mut counted.is_changed).then_some(&*counted));
        changed.find_map(|counted| {
            counted.rules.iter().find_map(|rule| {
                let (bad, whole) = counted.last[rule.bad as usize].share()?;
                rule.bound.holds(bad, whole).then(|| {
                    let share = percent(bad as i64, whole as i64);
                    let (name, of) = (rule.bad.name(), rule.bad.of());
                    let words = format!("of the last {whole} {of}, {bad} ({share}) were {name}: --stop-when '{rule}'");
                    (counted.campaign, *rule, words)
                })
            })
        })
    }

    fn stop_by_rule(&mut self, campaign: u32, rule: &str, words: String) -> Result<(), JournalError> {
        let Some(book) = self.counts.campaign(campaign) else { return Ok(()) };
        restraint::decide(&self.connection, book.id, Kind::Stop, rule, None, &words)?;
        if self.service.is_some() {
            self.watch.let_go(campaign);
            return self.hold_campaign(campaign, &words);
        }
        self.claimer.claiming = false;
        self.status.restrained = Some(format!("campaign {}: {words}", crate::words::format::argument(&book.name)));
        self.watch.canaries.clear();
        self.watch.next.clear();
        // What is claimed and not written comes back.
        self.sessions.stop_all();
        Ok(())
    }

    /// Whether a canary may be decided about, so that there has to be a transaction.
    pub(super) fn has_canary(&self) -> bool {
        self.claimer.claiming && !self.watch.canaries.is_empty()
    }

    fn judge_canaries(&mut self) -> Result<(), JournalError> {
        // Where nothing is claimed any more, somebody else ends the run.
        if !self.claimer.claiming {
            return Ok(());
        }
        let mut at = 0;
        while at < self.watch.canaries.len() {
            let is_fed = !self.claimer.turns.lanes.has_more(self.watch.canaries[at].canary.campaign);
            match self.judge_canary(at, is_fed)? {
                Verdict::Wait => at += 1,
                Verdict::GoOn(words) => {
                    let Waiting { canary, rest, .. } = self.watch.canaries.remove(at);
                    let Some(book) = self.counts.campaign(canary.campaign) else { continue };
                    restraint::decide(&self.connection, book.id, Kind::GoOn, &canary.go_on.to_string(), None, &words)?;
                    self.status.restraint = Some(format!("campaign {}: {words}: going on", book.name));
                    self.claimer.limit_end.insert(canary.campaign, rest.limit_end);
                    self.watch.next.push(rest);
                    self.claimer.load_retries(&self.counts);
                }
                Verdict::Stop(words) => {
                    let waiting = &self.watch.canaries[at];
                    let (campaign, rule) = (waiting.canary.campaign, waiting.canary.go_on.to_string());
                    return self.stop_by_rule(campaign, &rule, words);
                }
            }
        }
        Ok(())
    }

    fn judge_canary(&mut self, at: usize, is_fed: bool) -> Result<Verdict, JournalError> {
        let waiting = &self.watch.canaries[at];
        let OpenCanary { campaign, end, go_on } = waiting.canary;
        let Some(book) = self.counts.campaign(campaign) else { return Ok(Verdict::Wait) };
        if book.cancelled {
            return Ok(Verdict::Wait);
        }
        let counted = restraint::count(&self.connection, book.id, book.first_id, end)?;
        let (good, open) = match go_on.good {
            Good::Delivered => (counted.delivered, counted.open),
            Good::Accepted => (counted.accepted, counted.unanswered),
        };
        let words = canary_words(&go_on, good, counted.messages);
        if counted.messages == 0 {
            return Ok(match is_fed {
                true => Verdict::Stop("none of the canary can be sent: all of it is suppressed".into()),
                false => Verdict::Wait,
            });
        }
        if go_on.bound.holds(good, counted.messages) {
            return Ok(Verdict::GoOn(words));
        }
        if !go_on.bound.holds(good + open, counted.messages) {
            return Ok(Verdict::Stop(format!("{words}, and more it cannot be")));
        }
        // What is claimed is not written yet, and where answers take long their receipts do, too.
        if !is_fed || counted.sending > 0 {
            return Ok(Verdict::Wait);
        }
        let sent = *self.watch.canaries[at].sent.get_or_insert_with(Instant::now);
        Ok(match sent.elapsed() >= go_on.within {
            true => Verdict::Stop(format!("{words} when the time was over")),
            false => Verdict::Wait,
        })
    }

    /// Lets follow what may follow.
    pub(super) fn feed_on(&mut self) -> Result<(), JournalError> {
        let lanes = &self.claimer.turns.lanes;
        let ready: Vec<FeedRange> = self.watch.next.extract_if(.., |range| !lanes.has_more(range.campaign)).collect();
        ready.into_iter().for_each(|range| self.claimer.put(range));
        Ok(())
    }
}

fn canary_words(go_on: &GoOnWhen, good: u64, messages: u64) -> String {
    format!(
        "of the canary of {}, {} ({}) were {}: --go-on-when '{go_on}'",
        count(messages as i64, "message"),
        number(good as i64),
        percent(good as i64, messages as i64),
        go_on.name()
    )
}
