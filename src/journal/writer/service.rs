//! What makes of the journal thread one that serves (`smppost run`): it sends what is released, takes commands from their rows,
//! and answers there, in the transaction of what it brings about.

use super::JournalThread;
use super::campaigns::Course;
use super::incoming;
use super::orders::Orders;
use super::read_ahead;
use crate::journal::error::JournalError;
use crate::journal::model::command::{
    Answer, CampaignStanding, RELOAD, Request, Standing, Terms, ToOperate, ToRelease,
};
use crate::journal::model::key::State;
use crate::journal::store::release::{Fact, Kind, Released, Standing as Stands};
use crate::journal::store::{commands, decisions, release, restraint, runs};
use crate::policy::restraint::StopWhen;
use crate::words::format::{argument, moment};
use crate::words::stamp::Stamp;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Who holds and pauses by itself.
const ITSELF: &str = "smppost run";
/// Words that wait to be shown: more are dropped.
const WORDS_MAX: usize = 200;
/// Campaigns that `status` tells of.
const TOLD_MAX: usize = 1_000;
/// Campaigns that gather messages and have nothing to send are kept at hand, the newest: the next message is there soon.
const GATHERING_MAX: usize = 16;

/// What the service's run and its journal thread tell each other.
#[derive(Debug, Default)]
pub struct Facts {
    /// How the run stands: what the run knows of it.
    pub standing: Standing,
    /// What the journal thread has to say.
    pub words: Vec<String>,
    /// Commands wait for the settings to be read anew.
    pub wants_reload: bool,
}

impl Facts {
    fn say(&mut self, words: String) {
        if self.words.len() < WORDS_MAX {
            self.words.push(words);
        }
    }
}

/// Where they do.
pub type ServiceBoard = Arc<Mutex<Facts>>;

/// What a service is started with.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The number of its row in `run`.
    pub run: i64,
    /// See [`Facts`].
    pub board: ServiceBoard,
}

/// What the journal thread of a service knows besides.
pub(in crate::journal) struct Service {
    settings: ServiceSettings,
    released: Released,
    /// What is sent may not be what is released.
    is_stale: bool,
    /// There are more commands than one transaction takes.
    is_behind: bool,
    /// Campaigns to which something was added, or of which something was decided, since their counts were read.
    changed: HashSet<i64>,
    /// Which release of each campaign that is sent is taken up.
    taken: HashMap<i64, i64>,
    /// The transaction answers commands.
    has_answered: bool,
    /// What the SMSC is to be asked about messages that it has.
    pub(super) orders: Orders,
    /// Commands that wait for the settings that are being read anew.
    reloads: Vec<i64>,
    /// Nothing is claimed as there is no room on the disk.
    is_suspended: bool,
}

impl Service {
    /// Whether the transaction that was committed answered commands. Asked once.
    pub(super) fn has_answered(&mut self) -> bool {
        std::mem::take(&mut self.has_answered)
    }

    /// Nothing is claimed until there is room.
    pub(super) fn suspend(&mut self, claiming: &mut bool) {
        self.is_suspended |= std::mem::take(claiming);
    }

    /// There is.
    pub(super) fn go_on(&mut self, claiming: &mut bool) {
        *claiming |= std::mem::take(&mut self.is_suspended);
    }

    /// Nothing is claimed any more, whatever room there is.
    pub(super) fn stop(&mut self) {
        self.is_suspended = false;
    }

    /// Whether the next transaction has something to do, whatever comes.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind || self.is_stale || self.released.is_behind()
    }
}

impl JournalThread {
    /// Serves from now on.
    pub(super) fn begin_service(&mut self, settings: ServiceSettings) -> Result<(), JournalError> {
        let released = Released::load(&self.connection)?;
        self.service = Some(Service {
            settings,
            released,
            is_stale: true,
            is_behind: false,
            changed: HashSet::new(),
            taken: HashMap::new(),
            has_answered: false,
            orders: Orders::begin(),
            reloads: Vec::new(),
            is_suspended: false,
        });
        self.claimer.serves = true;
        self.claimer.turns.lanes.stay();
        // Commands that wait.
        self.external.apply_anew();
        Ok(())
    }

    /// A transaction was lost, and with it what was read in it.
    pub(super) fn forget_service(&mut self) -> Result<(), JournalError> {
        if let Some(service) = &mut self.service {
            service.released = Released::load(&self.connection)?;
            service.is_stale = true;
            // With all that goes with them.
            service.taken.clear();
            service.orders.forget_transaction(&self.connection)?;
            // If they were answered in it, they are not: they are found again.
            service.reloads.clear();
        }
        Ok(())
    }

    /// Takes in what other processes paused and released, and carries out their commands.
    pub(super) fn take_commands(&mut self) -> Result<(), JournalError> {
        let Some(mut service) = self.service.take() else { return Ok(()) };
        let outcome = self.take_commands_of(&mut service);
        self.service = Some(service);
        outcome
    }

    fn take_commands_of(&mut self, service: &mut Service) -> Result<(), JournalError> {
        self.read_on(service)?;
        if service.released.is_behind() {
            // What is decided rests on all that was decided before.
            return Ok(());
        }
        let but = (!service.reloads.is_empty()).then_some(RELOAD);
        let waiting = commands::waiting(&self.connection, but)?;
        service.is_behind = waiting.len() as i64 == commands::TAKEN_PER_COMMIT_MAX;
        for command in &waiting {
            let answer = match serde_json::from_str(&command.options) {
                Ok(Request::Release { campaigns, terms }) => self.release(service, &campaigns, &terms, &command.who)?,
                Ok(Request::Gathered { id, name, terms }) => {
                    self.take_gathered(service, (id, &name), terms, &command.who)?
                }
                Ok(Request::Operate(order)) => match self.accept(&mut service.orders, command.id, &order)? {
                    Some(why) => Answer::refusal(why),
                    None => {
                        let words = format!("{}: accepted from {}", shown(&order), command.who);
                        service.settings.board.lock().say(words);
                        service.has_answered = true;
                        crate::platform::failpoint::reach("command")?;
                        continue;
                    }
                },
                Ok(Request::Status) => Answer { status: Some(self.standing(service)), ..Answer::default() },
                Ok(Request::Reload) => {
                    service.reloads.push(command.id);
                    service.settings.board.lock().wants_reload = true;
                    continue;
                }
                Err(_) => Answer::refusal(format!(
                    "the running service (version {}) does not know what was asked ({}): restart it with the newer program",
                    env!("CARGO_PKG_VERSION"),
                    command.what
                )),
            };
            let answer =
                serde_json::to_string(&answer).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
            commands::answer(&self.connection, command.id, &answer)?;
            service.has_answered = true;
            crate::platform::failpoint::reach("command")?;
            // The next one may be about the same.
            self.read_on(service)?;
        }
        if waiting.is_empty() { commands::remove_old(&self.connection) } else { Ok(()) }
    }

    /// The settings were read anew: that is what the commands get that waited for it. Those that came meanwhile are next.
    pub(super) fn answer_reloads(&mut self, answer: &Answer) -> Result<(), JournalError> {
        let Some(service) = &mut self.service else { return Ok(()) };
        let answer = serde_json::to_string(answer).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
        for id in std::mem::take(&mut service.reloads) {
            commands::answer(&self.connection, id, &answer)?;
            service.has_answered = true;
        }
        service.is_behind = true;
        Ok(())
    }

    fn read_on(&self, service: &mut Service) -> Result<(), JournalError> {
        let was_paused = service.released.paused.is_some();
        if service.released.read_on(&self.connection)? {
            service.is_stale = true;
            match (&service.released.paused, was_paused) {
                (Some(why), false) => {
                    let words = format!("all sending is paused by {}{}", why.who, because(&why.reason));
                    service.settings.board.lock().say(words);
                }
                (None, true) => service.settings.board.lock().say("sending goes on".into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Has campaigns sent: all of these, or none.
    fn release(
        &mut self,
        service: &mut Service,
        campaigns: &[ToRelease],
        terms: &Terms,
        who: &str,
    ) -> Result<Answer, JournalError> {
        if let Some(why) = unknown_rule(terms) {
            return Ok(Answer::refusal(why));
        }
        for campaign in campaigns {
            let index = self.counts.find(&self.connection, campaign.id)?;
            let Some(book) = index.and_then(|index| self.counts.campaign(index as u32)) else {
                return Ok(Answer::refusal(format!("there is no campaign {}", argument(&campaign.name))));
            };
            let brings_back = campaign.decisions.iter().any(|(kind, _)| kind == "uncancel");
            if book.cancelled && !brings_back {
                return Ok(Answer::refusal(format!("campaign {} was cancelled", argument(&campaign.name))));
            }
            if let Some(stopped) = restraint::stop_of(&self.connection, campaign.id, &campaign.name)?
                && !terms.override_stop
            {
                return Ok(Answer::refusal(stopped.to_string()));
            }
            for (kind, detail) in &campaign.decisions {
                if let Err(error) = decisions::read(kind, detail) {
                    return Ok(Answer::refusal(error.to_string()));
                }
            }
            if !campaign.decisions.is_empty() && decisions::is_purged(&self.connection, campaign.id)? {
                return Ok(Answer::refusal(JournalError::Purged(campaign.name.clone()).to_string()));
            }
        }
        for campaign in campaigns {
            for (kind, detail) in &campaign.decisions {
                decisions::append(&self.connection, campaign.id, kind, detail)?;
                // Applied by this thread as those of others.
                self.external.decisions_left = true;
            }
            if restraint::stop_of(&self.connection, campaign.id, &campaign.name)?.is_some() {
                let kind = restraint::Kind::Override;
                restraint::decide(&self.connection, campaign.id, kind, "", None, "--override-stop")?;
            }
            // What is added later to one that gathers goes, too.
            let index = self.counts.find(&self.connection, campaign.id)?;
            let gathers = index.and_then(|index| self.counts.campaign(index as u32)).is_some_and(|book| book.gathers);
            let fact = Fact {
                end: campaign.end.filter(|_| !gathers),
                terms: terms.clone(),
                ..Fact::new(Some(campaign.id), Kind::Released, "", who)
            };
            release::append(&self.connection, &fact)?;
            service.changed.insert(campaign.id);
            service.settings.board.lock().say(format!("campaign {}: released by {who}", argument(&campaign.name)));
        }
        Ok(Answer::default())
    }

    /// Messages were added to a campaign that gathers them. With `terms` it is released anew.
    fn take_gathered(
        &mut self,
        service: &mut Service,
        (id, name): (i64, &str),
        terms: Option<Terms>,
        who: &str,
    ) -> Result<Answer, JournalError> {
        if let Some(why) = terms.as_ref().and_then(unknown_rule) {
            return Ok(Answer::refusal(why));
        }
        let index = self.counts.find(&self.connection, id)?;
        let Some(book) = index.and_then(|index| self.counts.campaign(index as u32)) else {
            return Ok(Answer::refusal(format!("there is no campaign {}", argument(name))));
        };
        if book.cancelled {
            return Ok(Answer::refusal(format!("campaign {} was cancelled", argument(name))));
        }
        let stands = service.released.of(id);
        let stopped = restraint::stop_of(&self.connection, id, name)?;
        let overrides = terms.as_ref().is_some_and(|terms| terms.override_stop);
        if let Some(why) = stands.and_then(|stands| stands.held.as_ref()).filter(|_| !overrides) {
            let lifting = if stopped.is_some() { " --override-stop" } else { "" };
            return Ok(Answer::refusal(format!(
                "campaign {0} is held{1}; the message stays queued in it, and goes with `smppost resume {0}{lifting}`",
                argument(name),
                because(&why.reason),
            )));
        }
        if overrides && stopped.is_some() {
            let kind = restraint::Kind::Override;
            restraint::decide(&self.connection, id, kind, "", None, "--override-stop")?;
        }
        // The first of them releases it, with all that follow; a release that ends somewhere is none of those. A pause stays.
        let goes_on = |stands: &Stands| {
            stands.released.is_some() && stands.end.is_none() && stands.terms.limit.is_none() && terms.is_none()
        };
        if !stands.is_some_and(goes_on) {
            let was_paused = stands.and_then(|stands| stands.paused.clone());
            let before = stands.map(|stands| Terms { limit: None, override_stop: false, ..stands.terms.clone() });
            let mut terms = terms.unwrap_or_default();
            if let Some(before) = before {
                // What is not said stays.
                if terms.stop_when.is_empty() {
                    terms.stop_when = before.stop_when;
                }
                terms.ignore_hours |= before.ignore_hours;
            }
            release::append(&self.connection, &Fact { terms, ..Fact::new(Some(id), Kind::Released, "", who) })?;
            if let Some(why) = was_paused {
                release::append(&self.connection, &Fact::new(Some(id), Kind::Paused, &why.reason, &why.who))?;
            }
        }
        service.changed.insert(id);
        service.is_stale = true;
        Ok(Answer::default())
    }

    /// Holds what may not go on: by its hours, for what it carries, and what has spent all that it may cost, until it is released
    /// anew. Of the last what is paid for already goes first: to be held would bring back what is claimed and not written.
    pub(super) fn hold_what_may_not_go_on(&mut self) -> Result<(), JournalError> {
        if !self.claimer.serves {
            return Ok(());
        }
        for (index, why) in std::mem::take(&mut self.claimer.to_hold) {
            self.hold_campaign(index, &why)?;
        }
        if let Some((index, why)) = self.claimer.spent(&self.counts) {
            self.hold_campaign(index, &why)?;
        }
        Ok(())
    }

    /// Whether campaigns are through, so that they need not be known any more.
    pub(super) fn has_finished(&mut self) -> bool {
        let is_through =
            |index: &u32| !self.has_to_send(*index) && self.counts.campaign(*index).is_some_and(|book| !book.gathers);
        let some_are = self.service.is_some() && self.claimer.active.iter().any(is_through);
        match &mut self.service {
            Some(service) if some_are => {
                service.is_stale = true;
                true
            }
            _ => false,
        }
    }

    /// The service itself stops sending a campaign.
    pub(super) fn hold_campaign(&mut self, index: u32, why: &str) -> Result<(), JournalError> {
        let Some(service) = &mut self.service else { return Ok(()) };
        let Some(book) = self.counts.campaign(index) else { return Ok(()) };
        if service.released.of(book.id).is_none_or(|standing| standing.released.is_none()) {
            return Ok(());
        }
        release::append(&self.connection, &Fact::new(Some(book.id), Kind::Held, why, ITSELF))?;
        service.released.read_on(&self.connection)?;
        service.is_stale = true;
        service.settings.board.lock().say(format!("campaign {}: held: {why}", argument(&book.name)));
        // When it goes on it begins anew.
        self.refusals.forget(index);
        Ok(())
    }

    /// The SMSC refuses the account, or what one campaign sends. A run ends then; a service stops sending, and says what has to be
    /// put right.
    pub(super) fn condemn(&mut self, campaign: Option<u32>, why: String) -> Result<(), JournalError> {
        let Some(service) = &mut self.service else {
            self.halt(why);
            return Ok(());
        };
        if let Some(campaign) = campaign {
            return self.hold_campaign(campaign, &why);
        }
        self.status.condemned += 1;
        if service.released.paused.is_none() {
            release::append(&self.connection, &Fact::new(None, Kind::Paused, &why, ITSELF))?;
            service.released.read_on(&self.connection)?;
            service.is_stale = true;
            service.settings.board.lock().say(format!("all sending is paused: {why}"));
        }
        Ok(())
    }

    /// Sends what is released from now on, and nothing else: what is claimed of the rest and not written comes back.
    pub(super) fn send_released(&mut self) -> Result<(), JournalError> {
        if self.external.decisions_left || self.service.as_ref().is_none_or(|service| !service.is_stale) {
            return Ok(());
        }
        let Some(mut service) = self.service.take() else { return Ok(()) };
        let outcome = self.send_released_by(&mut service);
        self.service = Some(service);
        outcome
    }

    fn send_released_by(&mut self, service: &mut Service) -> Result<(), JournalError> {
        service.is_stale = false;
        let mut places = self.places();
        let (mut courses, mut gathering) = (Vec::new(), 0);
        let mut taken = HashMap::new();
        // The newest first, of which those that gather are kept.
        for id in service.released.to_send().into_iter().rev() {
            if !places.contains_key(&id) {
                self.counts.find(&self.connection, id)?;
                places = self.places();
            }
            let Some(&index) = places.get(&id) else { continue };
            let before = self.counts.campaign(index).map(|book| book.end_id);
            let is_longer = service.changed.remove(&id);
            if is_longer {
                self.counts.reload(&self.connection, index)?;
            }
            let Some(standing) = service.released.of(id) else { continue };
            let is_known =
                service.taken.get(&id) == standing.released.as_ref() && self.claimer.is_active.contains(&index);
            if !self.has_to_send(index) {
                let is_kept =
                    is_known && self.counts.campaign(index).is_some_and(|book| book.gathers && !book.cancelled);
                if !is_kept || gathering == GATHERING_MAX {
                    continue;
                }
                gathering += 1;
            }
            let limit_end = self.claimer.limit_end.get(&index).copied();
            let course = if is_known && !is_longer {
                Course::AsBefore
            } else {
                let range = read_ahead::range(&self.connection, &self.counts, index, standing.terms.limit)?;
                let Some(mut range) = range else { continue };
                range.limit_end = range.limit_end.min(standing.end.unwrap_or(i64::MAX));
                match is_known {
                    true if limit_end == Some(range.limit_end) => Course::AsBefore,
                    true if limit_end == before && Some(range.limit_end) > before => Course::Longer(range),
                    _ => Course::Anew(range),
                }
            };
            taken.extend(standing.released.map(|released| (id, released)));
            courses.push((index, course));
        }
        courses.reverse();
        service.taken = taken;
        let goes_on: HashSet<u32> = courses.iter().map(|(index, _)| *index).collect();
        let is_sending =
            |index: u32| self.counts.campaign(index).is_some_and(|book| book.counts[State::Sending as usize] > 0);
        let stopped = self.claimer.active.iter().copied().filter(|index| !goes_on.contains(index));
        let stopped: Vec<u32> = stopped.collect();
        for &index in &stopped {
            self.watch.let_go(index);
            self.refusals.forget(index);
            self.calendar.remove(index);
        }
        self.sessions.barred.campaigns.extend(stopped.into_iter().filter(|&index| is_sending(index)));
        let fresh = self.claimer.send_only(&courses, &self.counts);
        self.is_summed = false;
        self.claimer.load_shares(&self.connection, &self.counts, &fresh)?;
        for &index in &fresh {
            let standing = self.counts.campaign(index).and_then(|book| service.released.of(book.id));
            self.calendar.ignore(index, standing.is_some_and(|standing| standing.terms.ignore_hours));
            if self.claimer.shut.remove(&index) {
                self.claimer.set_open(index);
            }
        }
        self.load_hours_of(&fresh)?;
        self.claimer.renew_purses(&self.connection, &self.counts, &fresh)?;
        for index in fresh {
            let Some(book) = self.counts.campaign(index) else { continue };
            runs::note_campaign(&self.connection, service.settings.run, book.id)?;
            let rules = service.released.of(book.id).map(|standing| standing.terms.stop_when.iter());
            let rules: Vec<StopWhen> = rules.into_iter().flatten().filter_map(|rule| rule.parse().ok()).collect();
            self.watch.take_up(&self.connection, &self.counts, index, &rules)?;
        }
        Ok(())
    }

    fn places(&self) -> HashMap<i64, u32> {
        self.counts.campaigns.iter().zip(0..).map(|(book, index)| (book.id, index)).collect()
    }

    /// Whether a campaign has something that may be claimed.
    pub(super) fn has_to_send(&self, index: u32) -> bool {
        let open = [State::Queued, State::Sending, State::InDoubt];
        let book = self.counts.campaign(index).filter(|book| !book.cancelled);
        book.is_some_and(|book| open.iter().any(|&state| book.counts[state as usize] > 0))
    }

    /// How the service stands.
    fn standing(&self, service: &Service) -> Standing {
        let mut standing = service.settings.board.lock().standing.clone();
        standing.in_flight = self.status.in_flight;
        standing.accepted = self.status.accepted;
        standing.throttled = self.status.throttled;
        standing.receipts = self.status.receipts;
        standing.inbound = self.status.inbound;
        standing.asking = service.orders.standing(&self.counts);
        if let Some(why) = &service.released.paused {
            let words = format!("paused by {}{}", why.who, because(&why.reason));
            // What somebody wanted is no trouble.
            standing.trouble = (why.who == ITSELF).then(|| words.clone());
            standing.waits = Some(words);
        }
        standing.last_refusal = self.refusals.last().and_then(|refused| {
            let name = argument(&self.counts.campaign(refused.campaign)?.name);
            Some(format!("{} UTC, campaign {name}: {}", moment(Stamp(refused.at)), incoming::words(refused.status)))
        });
        let places = self.places();
        for (id, stands) in service.released.in_order() {
            let Some((&index, book)) = places.get(&id).and_then(|index| Some((index, self.counts.campaign(*index)?)))
            else {
                continue;
            };
            if !self.has_to_send(index) {
                continue;
            }
            let waits = match (&stands.paused, &stands.held) {
                (Some(why), _) => Some(format!("paused by {}{}", why.who, because(&why.reason))),
                (None, Some(why)) => Some(format!("held{}", because(&why.reason))),
                (None, None) => self.calendar.why_closed(index).map(|hours| format!("waits for {hours}")),
            };
            let told = CampaignStanding {
                campaign: book.name.clone(),
                queued: book.counts[State::Queued as usize],
                sending: book.counts[State::Sending as usize],
                share: self.claimer.turns.shares.share(index),
                waits,
            };
            standing.campaigns.push(told);
            if standing.campaigns.len() == TOLD_MAX {
                break;
            }
        }
        standing
    }
}

/// A rule that is not understood, in words.
fn unknown_rule(terms: &Terms) -> Option<String> {
    terms
        .stop_when
        .iter()
        .find_map(|rule| rule.parse::<StopWhen>().err().map(|words| format!("--stop-when {rule:?}: {words}")))
}

/// What the SMSC is to be asked, in words.
fn shown(order: &ToOperate) -> String {
    format!("campaign {}: {}", argument(&order.name), order.operation)
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
