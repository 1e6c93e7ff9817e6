//! When campaigns may be sent, by the wall clock. One that waits has no place, and nobody waits for it: the journal thread looks
//! at the clock every half second, and only at those for which something may have changed. A clock that is set counts at the
//! next look.

use super::JournalThread;
use crate::journal::error::JournalError;
use crate::journal::model::key::State;
use crate::journal::store::campaign_hours::{self, CampaignHours};
use crate::journal::store::counts::CampaignCounts;
use crate::policy::hours::Verdict;
use crate::words::format::{argument, duration};
use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How a campaign stands with its hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It may be sent.
    Open,
    /// Not before this moment.
    Closed(Timestamp),
    /// Not any more.
    Over,
    /// Nothing of it went so long after the moment at which it was to begin that it is held.
    Late,
}

#[derive(Debug)]
struct Entry {
    hours: CampaignHours,
    standing: Standing,
    /// That is so from this moment on and before the other, in milliseconds since 1970.
    from: i64,
    until: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    campaigns: BTreeMap<u32, Entry>,
    /// The last fact of hours that is taken in.
    last: i64,
    /// More of them are there.
    pub(super) is_behind: bool,
    /// They do not count in this run.
    pub(super) is_ignored: bool,
    /// Those whose hours do not count.
    ignored: HashSet<u32>,
}

impl Calendar {
    /// The hours of a campaign, from now on. None: at any time.
    fn set(&mut self, campaign: u32, hours: CampaignHours) {
        // Looked at anew whatever the clock says.
        self.campaigns.insert(campaign, Entry { hours, standing: Standing::Open, from: i64::MAX, until: i64::MIN });
    }

    /// Those that stand otherwise than at the last look, or are new. `is_begun` says whether something of a campaign went.
    fn look(&mut self, now: Timestamp, is_begun: impl Fn(u32) -> bool) -> Vec<(u32, Standing)> {
        let ms = now.as_millisecond();
        let mut changed = Vec::new();
        for (&campaign, entry) in &mut self.campaigns {
            if (entry.from..entry.until).contains(&ms) {
                continue;
            }
            let is_new = entry.from > entry.until;
            let (standing, until) = standing(&entry.hours, now, is_begun(campaign));
            if is_new || standing != entry.standing {
                changed.push((campaign, standing));
            }
            (entry.standing, entry.from, entry.until) = (standing, ms, until);
        }
        // It need not be asked again.
        self.campaigns.retain(|_, entry| entry.hours.hours.limit());
        changed
    }

    /// Whether no hours are kept in mind.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.campaigns.is_empty()
    }

    /// Whether some may stand otherwise than at the last look.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let ms = now.as_millisecond();
        !self.is_ignored && self.campaigns.values().any(|entry| !(entry.from..entry.until).contains(&ms))
    }

    /// Whether the hours of a campaign count: not where it was released with `--ignore-hours`.
    pub(super) fn ignore(&mut self, campaign: u32, is_ignored: bool) {
        if is_ignored {
            self.campaigns.remove(&campaign);
            self.ignored.insert(campaign);
        } else {
            self.ignored.remove(&campaign);
        }
    }

    /// A campaign is not sent any more.
    pub(super) fn remove(&mut self, campaign: u32) {
        self.campaigns.remove(&campaign);
        self.ignored.remove(&campaign);
    }

    /// What a campaign waits for, in words, where that is its hours.
    pub(super) fn why_closed(&self, campaign: u32) -> Option<String> {
        let Entry { hours, standing, .. } = self.campaigns.get(&campaign)?;
        match standing {
            Standing::Closed(until) => Some(format!("its hours, until {}", hours.hours.show(*until))),
            Standing::Open | Standing::Over | Standing::Late => None,
        }
    }

    /// Why a campaign may not be sent any more, in words.
    fn why_kept(&self, campaign: u32) -> Option<String> {
        let Entry { hours, standing, .. } = self.campaigns.get(&campaign)?;
        match standing {
            Standing::Open | Standing::Closed(_) => None,
            Standing::Over => Some("its last moment has come; the rest stays queued".into()),
            Standing::Late => Some(format!(
                "it was to begin at {}, which was missed by more than {}: it is held, and stays queued",
                hours.hours.start_at.map_or_else(String::new, |start| hours.hours.show(start)),
                duration(hours.late_limit.map_or(0, |limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)))
            )),
        }
    }

    /// Those that wait or are not sent any more, as lines. One without a name has nothing to send.
    fn words(&self, name: impl Fn(u32) -> Option<String>) -> (Option<String>, Option<String>) {
        let (mut waits, mut kept) = (Vec::new(), Vec::new());
        for (&campaign, Entry { hours, standing, .. }) in &self.campaigns {
            if *standing == Standing::Open {
                continue;
            }
            let Some(name) = name(campaign).map(|name| format!("campaign {}", argument(&name))) else { continue };
            match (standing, self.why_kept(campaign)) {
                (Standing::Closed(until), _) => waits.push(format!("{name} waits until {}", hours.hours.show(*until))),
                (_, why) => kept.extend(why.map(|why| format!("{name}: {why}"))),
            }
        }
        let joined = |lines: Vec<String>| (!lines.is_empty()).then(|| lines.join("; "));
        (joined(waits), joined(kept))
    }
}

/// How a campaign stands now, and before which moment that does not change by itself.
fn standing(hours: &CampaignHours, now: Timestamp, is_begun: bool) -> (Standing, i64) {
    let verdict = hours.hours.at(now);
    let late = match (hours.hours.start_at, hours.late_limit) {
        (Some(start), Some(limit)) if !is_begun => {
            Some(start.as_millisecond().saturating_add(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)))
        }
        _ => None,
    };
    if late.is_some_and(|late| now.as_millisecond() > late) && verdict != Verdict::Over {
        return (Standing::Late, i64::MAX);
    }
    match verdict {
        Verdict::Open => {
            let closes = hours.hours.openings(now, 1).first().and_then(|opening| opening.closes);
            let until = closes.map_or(i64::MAX, Timestamp::as_millisecond);
            (Standing::Open, until.min(late.map_or(i64::MAX, |late| late + 1)))
        }
        Verdict::Closed(until) => (Standing::Closed(until), until.as_millisecond()),
        Verdict::Over => (Standing::Over, i64::MAX),
    }
}

impl JournalThread {
    /// The hours of the campaigns that are sent, as the journal has them.
    pub(super) fn load_hours(&mut self) -> Result<(), JournalError> {
        self.calendar.last = campaign_hours::last(&self.connection)?;
        let active = self.claimer.active.clone();
        self.load_hours_of(&active)
    }

    /// The same of these.
    pub(super) fn load_hours_of(&mut self, campaigns: &[u32]) -> Result<(), JournalError> {
        for &index in campaigns {
            let Some(campaign) = self.counts.campaign(index).filter(|_| !self.calendar.ignored.contains(&index)) else {
                continue;
            };
            match campaign_hours::of(&self.connection, campaign.id) {
                Ok(Some(hours)) => self.calendar.set(index, hours),
                Ok(None) => {}
                Err(error) => self.hold_for_its_hours(index, error)?,
            }
        }
        self.keep_hours()
    }

    /// The hours of a campaign are not understood. That is no reason for the others to wait.
    fn hold_for_its_hours(&mut self, index: u32, error: JournalError) -> Result<(), JournalError> {
        match error {
            JournalError::Inconsistent(words) if self.claimer.serves => {
                self.calendar.remove(index);
                self.claimer.to_hold.push((index, format!("{words}; `--ignore-hours` sends it all the same")));
                self.claimer.set_open(index);
                self.sessions.barred.campaigns.push(index);
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Takes in which hours campaigns have since, as far as one look goes.
    pub(super) fn apply_hours(&mut self) -> Result<(), JournalError> {
        let changed = campaign_hours::changed_since(&self.connection, self.calendar.last)?;
        self.calendar.is_behind = changed.len() as i64 == campaign_hours::READ_AT_ONCE_MAX;
        if changed.is_empty() {
            return Ok(());
        }
        let active = &self.claimer.active;
        let sent: HashMap<i64, u32> =
            active.iter().filter_map(|&index| Some((self.counts.campaign(index)?.id, index))).collect();
        for (fact, campaign, hours) in changed {
            self.calendar.last = fact;
            let Some(&index) = sent.get(&campaign).filter(|index| !self.calendar.ignored.contains(*index)) else {
                continue;
            };
            match hours {
                Ok(hours) => self.calendar.set(index, hours),
                Err(error) => self.hold_for_its_hours(index, error)?,
            }
        }
        self.keep_hours()
    }

    /// Lets campaigns go or wait as the clock says.
    pub(super) fn keep_hours(&mut self) -> Result<(), JournalError> {
        if self.calendar.campaigns.is_empty() || self.calendar.is_ignored {
            (self.status.waits, self.status.kept) = (None, None);
            return Ok(());
        }
        let counts = &self.counts;
        let is_begun = |index| counts.campaign(index).is_some_and(|campaign| campaign.is_begun());
        let changed = self.calendar.look(Timestamp::now(), is_begun);
        for (campaign, standing) in changed {
            match standing {
                Standing::Open => self.claimer.open(&self.connection, &self.counts, campaign, true)?,
                Standing::Closed(_) => {
                    self.claimer.open(&self.connection, &self.counts, campaign, false)?;
                    self.sessions.barred.campaigns.push(campaign);
                }
                Standing::Over | Standing::Late if self.claimer.serves => {
                    // Whoever waits for it is told, and so is whoever comes later.
                    if self.has_to_send(campaign)
                        && let Some(why) = self.calendar.why_kept(campaign)
                    {
                        let why = format!("{why}; `--ignore-hours` sends it all the same");
                        self.claimer.to_hold.push((campaign, why));
                        self.sessions.barred.campaigns.push(campaign);
                    }
                    self.claimer.open(&self.connection, &self.counts, campaign, false)?;
                }
                Standing::Over | Standing::Late => {
                    self.claimer.close(campaign);
                    self.sessions.barred.campaigns.push(campaign);
                }
            }
        }
        let is_left = |book: &&CampaignCounts| {
            !book.cancelled && [State::Queued, State::Sending].iter().any(|state| book.counts[*state as usize] > 0)
        };
        let name = |index| self.counts.campaign(index).filter(is_left).map(|campaign| campaign.name.clone());
        (self.status.waits, self.status.kept) = self.calendar.words(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::Hours;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn with(hours: Hours, late_limit: Option<Duration>) -> Calendar {
        let mut calendar = Calendar::default();
        calendar.set(0, CampaignHours { hours, late_limit });
        calendar
    }

    #[test]
    fn a_campaign_opens_and_closes_by_the_clock_also_where_that_is_set() {
        let between = Some("09:00-20:00".parse().unwrap());
        let mut calendar = with(Hours { between, ..Hours::default() }, None);
        let tomorrow = at("2026-12-02T09:00:00Z");
        for (moment, expected) in [
            ("2026-12-01T10:00:00Z", vec![(0, Standing::Open)]),
            ("2026-12-01T19:59:59Z", vec![]),
            ("2026-12-01T20:00:00Z", vec![(0, Standing::Closed(tomorrow))]),
            ("2026-12-02T08:59:59Z", vec![]),
            ("2026-12-02T09:00:00Z", vec![(0, Standing::Open)]),
            // Set back by a day and an hour, and on again.
            ("2026-12-01T08:00:00Z", vec![(0, Standing::Closed(at("2026-12-01T09:00:00Z")))]),
            ("2026-12-03T12:00:00Z", vec![(0, Standing::Open)]),
            ("2026-12-01T12:00:00Z", vec![]),
        ] {
            assert_eq!(calendar.look(at(moment), |_| true), expected, "{moment}");
        }
    }

    #[test]
    fn a_start_that_was_missed_is_held_and_one_that_was_not_is_not() {
        let start = at("2026-12-01T09:00:00Z");
        let hours = || Hours { start_at: Some(start), ..Hours::default() };
        let late = Some(Duration::from_secs(7_200));
        let is = |calendar: &mut Calendar, moment: &str, is_begun: bool| calendar.look(at(moment), |_| is_begun);
        let mut calendar = with(hours(), late);
        assert_eq!(is(&mut calendar, "2026-12-01T11:00:01Z", false), [(0, Standing::Late)]);
        // It goes on, however late that is.
        let mut calendar = with(hours(), late);
        assert_eq!(is(&mut calendar, "2026-12-01T11:00:01Z", true), [(0, Standing::Open)]);
        // In time, and then nothing could be sent for hours.
        let mut calendar = with(hours(), late);
        assert_eq!(is(&mut calendar, "2026-12-01T08:00:00Z", false), [(0, Standing::Closed(start))]);
        assert_eq!(is(&mut calendar, "2026-12-01T09:00:00Z", false), [(0, Standing::Open)]);
        assert_eq!(is(&mut calendar, "2026-12-01T11:00:00Z", false), []);
        assert_eq!(is(&mut calendar, "2026-12-01T11:00:01Z", false), [(0, Standing::Late)]);
        let (waits, kept) = calendar.words(|_| Some("spring".into()));
        assert!(waits.is_none() && kept.unwrap().contains("missed by more than 2 h"));
        // One that has nothing to send is nobody's concern.
        assert_eq!(calendar.words(|_| None), (None, None));
        // Without a limit it goes out late.
        let mut calendar = with(hours(), None);
        assert_eq!(is(&mut calendar, "2027-01-01T00:00:00Z", false), [(0, Standing::Open)]);
    }

    #[test]
    fn the_last_moment_ends_it() {
        let stop_at = Some(at("2026-12-01T09:00:00Z"));
        let mut calendar = with(Hours { stop_at, ..Hours::default() }, None);
        assert_eq!(calendar.look(at("2026-12-01T08:59:59Z"), |_| true), [(0, Standing::Open)]);
        assert_eq!(calendar.look(at("2026-12-01T09:00:00Z"), |_| true), [(0, Standing::Over)]);
        assert_eq!(calendar.look(at("2026-12-09T09:00:00Z"), |_| true), []);
    }
}
