//! Which campaigns a running service sends: what was released, paused, resumed and held. Facts, appended; how things stand
//! follows from them, row by row. The journal thread keeps [`Released`] and reads on from the last row that it saw.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::command::Terms;
use crate::platform::clock::now_ms;
use crate::words::stamp::Stamp;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::HashMap;

/// Rows that one look takes in at most: the next one goes on.
pub const READ_AT_ONCE_MAX: i64 = 2_000;

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It is sent. Lifts its own pause, and what it was held for.
    Released,
    /// It is not sent until it is resumed, and nothing of it is forgotten.
    Paused,
    /// Its pause is over.
    Resumed,
    /// The service itself has stopped sending it, until it is released anew.
    Held,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Released, Self::Paused, Self::Resumed, Self::Held];

    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Held => "held",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One decision.
#[derive(Clone, PartialEq, Debug)]
pub struct Fact<'a> {
    /// The campaign's number; `None`: all sending.
    pub campaign: Option<i64>,
    /// What was decided.
    pub kind: Kind,
    /// Why, in words.
    pub reason: &'a str,
    /// Who decided it.
    pub who: &'a str,
    /// Of a release: the messages from this one on are not released; `None`: also what is added later is.
    pub end: Option<i64>,
    /// Of a release.
    pub terms: Terms,
}

impl<'a> Fact<'a> {
    /// A decision that is no release.
    pub fn new(campaign: Option<i64>, kind: Kind, reason: &'a str, who: &'a str) -> Self {
        Self { campaign, kind, reason, who, end: None, terms: Terms::default() }
    }
}

/// Appends a decision, in one statement; returns its number.
pub fn append(journal: &dyn Sql, fact: &Fact<'_>) -> Result<i64, JournalError> {
    let connection = journal.connection();
    let terms =
        serde_json::to_string(&fact.terms).map_err(|error| JournalError::Inconsistent(format!("terms: {error}")))?;
    connection
        .prepare_cached(
            "INSERT INTO release (campaign_id, at, kind, reason, who, end_id, terms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((fact.campaign, now_ms(), fact.kind.name(), fact.reason, fact.who, fact.end, terms))?;
    Ok(connection.last_insert_rowid())
}

/// Why something is not sent, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// When that was decided, in milliseconds since 1970.
    pub at: i64,
    /// Why, in words.
    pub reason: String,
    /// Who decided it.
    pub who: String,
}

/// That a campaign is not sent, as reports tell it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stopped {
    /// `paused`, `all paused` (all sending), or `held` (by the service itself).
    pub event: &'static str,
    /// Since when.
    pub at: Stamp,
    /// Who decided it.
    pub who: String,
    /// Why, in words; empty: that was not said.
    pub reason: String,
}

/// Why a campaign is not sent now, as far as that was decided.
pub fn stopped(connection: &Connection, campaign: i64) -> Result<Vec<Stopped>, JournalError> {
    let released = Released::load(connection)?;
    let standing = released.of(campaign);
    let whys = [
        ("all paused", released.paused.as_ref()),
        ("paused", standing.and_then(|standing| standing.paused.as_ref())),
        ("held", standing.and_then(|standing| standing.held.as_ref())),
    ];
    let told = |(event, why): (&'static str, Option<&Why>)| {
        let Why { at, reason, who } = why?.clone();
        Some(Stopped { event, at: Stamp(at), who, reason })
    };
    Ok(whys.into_iter().filter_map(told).collect())
}

/// How a campaign stands with the service.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Standing {
    /// Its place in the order of release: the number of its newest release; `None`: it was never released, or it is held.
    pub released: Option<i64>,
    /// It is paused by itself.
    pub paused: Option<Why>,
    /// The service has stopped it.
    pub held: Option<Why>,
    /// Its messages from here on are not released.
    pub end: Option<i64>,
    /// How it is sent.
    pub terms: Terms,
}

impl Standing {
    /// Whether it is sent, where sending as a whole is not paused.
    pub fn is_to_send(&self) -> bool {
        self.released.is_some() && self.paused.is_none()
    }
}

/// How all campaigns stand, as of the last row that was read.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Released {
    last: i64,
    /// Nothing is sent at all.
    pub paused: Option<Why>,
    campaigns: HashMap<i64, Standing>,
    is_behind: bool,
}

impl Released {
    /// As the journal has it now.
    pub fn load(journal: &dyn Sql) -> Result<Self, JournalError> {
        let mut released = Self::default();
        while {
            released.read_on(journal)?;
            released.is_behind
        } {}
        Ok(released)
    }

    /// Takes in what was decided since, as far as one look goes. Says whether there was anything.
    pub fn read_on(&mut self, journal: &dyn Sql) -> Result<bool, JournalError> {
        let mut statement = journal.connection().prepare_cached(
            "SELECT id, campaign_id, at, kind, reason, who, end_id, terms FROM release WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query([self.last, READ_AT_ONCE_MAX])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            self.last = row.get(0)?;
            let kind: String = row.get(3)?;
            let Some(kind) = Kind::named(&kind) else { continue };
            let why = Why { at: row.get(2)?, reason: row.get(4)?, who: row.get(5)? };
            let Some(campaign) = row.get::<_, Option<i64>>(1)? else {
                self.paused = (kind == Kind::Paused).then_some(why);
                continue;
            };
            let terms: String = row.get(7)?;
            let standing = self.campaigns.entry(campaign).or_default();
            match kind {
                Kind::Released => {
                    *standing = match serde_json::from_str(&terms) {
                        Ok(terms) => {
                            Standing { released: Some(self.last), paused: None, held: None, end: row.get(6)?, terms }
                        }
                        // No reason for the others to wait.
                        Err(error) => {
                            let reason = format!("the terms of its release cannot be read ({error}): release it anew");
                            Standing { held: Some(Why { reason, ..why }), ..Standing::default() }
                        }
                    }
                }
                Kind::Paused => standing.paused = Some(why),
                Kind::Resumed => standing.paused = None,
                Kind::Held => (standing.released, standing.held) = (None, Some(why)),
            }
        }
        self.is_behind = read == READ_AT_ONCE_MAX;
        Ok(read > 0)
    }

    /// Whether the last look did not come to the end.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// How a campaign stands; `None`: nothing was ever decided about it.
    pub fn of(&self, campaign: i64) -> Option<&Standing> {
        self.campaigns.get(&campaign)
    }

    /// All of which something was decided: in order of release, then those that are not released, by when they were held or paused.
    pub fn in_order(&self) -> Vec<(i64, &Standing)> {
        let since = |standing: &Standing| {
            let stopped = standing.held.iter().chain(&standing.paused).map(|why| why.at).max();
            (standing.released.is_none(), standing.released.or(stopped))
        };
        let mut order: Vec<_> = self.campaigns.iter().map(|(&campaign, standing)| (campaign, standing)).collect();
        order.sort_unstable_by_key(|(campaign, standing)| (since(standing), *campaign));
        order
    }

    /// The numbers of the campaigns that are released and not paused, in order of release; none where all sending is paused.
    pub fn to_send(&self) -> Vec<i64> {
        if self.paused.is_some() {
            return Vec::new();
        }
        let mut order: Vec<(i64, i64)> = self
            .campaigns
            .iter()
            .filter(|(_, standing)| standing.is_to_send())
            .filter_map(|(&campaign, standing)| Some((standing.released?, campaign)))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, campaign)| campaign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Held, Paused, Released as Freed, Resumed};

    fn journal() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        connection
    }

    #[test]
    fn what_is_sent_follows_from_the_facts_in_their_order() {
        let connection = journal();
        let mut released = Released::load(&connection).unwrap();
        let steps: &[(Option<i64>, Kind, &[i64])] = &[
            (Some(2), Freed, &[2]),
            (Some(1), Freed, &[2, 1]),
            (Some(2), Paused, &[1]),
            (None, Paused, &[]),
            (Some(2), Resumed, &[]),
            (None, Resumed, &[2, 1]),
            (Some(2), Held, &[1]),
            // A pause or its end releases nothing.
            (Some(2), Resumed, &[1]),
            (Some(3), Paused, &[1]),
            (Some(3), Resumed, &[1]),
            (Some(2), Freed, &[1, 2]),
            (Some(1), Paused, &[2]),
            // Named anew, it goes, and behind those that wait already.
            (Some(1), Freed, &[2, 1]),
        ];
        for &(campaign, kind, expected) in steps {
            append(&connection, &Fact::new(campaign, kind, "why", "who")).unwrap();
            assert!(released.read_on(&connection).unwrap());
            assert_eq!(released.to_send(), expected, "after {campaign:?} {kind:?}");
            assert_eq!(released, Released::load(&connection).unwrap(), "restarts change nothing of it");
        }
        assert!(!released.read_on(&connection).unwrap());
    }

    #[test]
    fn why_a_campaign_is_not_sent_is_told_while_that_is_so() {
        let connection = journal();
        let events = || -> Vec<(&'static str, String)> {
            stopped(&connection, 1).unwrap().into_iter().map(|told| (told.event, told.reason)).collect()
        };
        let decide = |campaign: Option<i64>, kind: Kind, reason: &str| {
            append(&connection, &Fact::new(campaign, kind, reason, "who")).unwrap();
        };
        decide(Some(1), Freed, "");
        assert!(events().is_empty());
        decide(Some(1), Paused, "lunch");
        decide(Some(2), Paused, "another");
        assert_eq!(events(), [("paused", "lunch".to_owned())]);
        decide(None, Paused, "complaints");
        decide(Some(1), Held, "too dear");
        assert_eq!(events().into_iter().map(|(event, _)| event).collect::<Vec<_>>(), ["all paused", "paused", "held"]);
        decide(None, Resumed, "");
        decide(Some(1), Freed, "");
        assert!(events().is_empty());
    }

    #[test]
    fn many_decisions_are_read_in_slices() {
        let connection = journal();
        connection.execute_batch("BEGIN").unwrap();
        for campaign in 1..=READ_AT_ONCE_MAX + 1 {
            append(&connection, &Fact::new(Some(campaign), Freed, "", "")).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        let mut released = Released::default();
        assert!(released.read_on(&connection).unwrap() && released.is_behind());
        assert_eq!(released.to_send().len() as i64, READ_AT_ONCE_MAX);
        assert!(released.read_on(&connection).unwrap() && !released.is_behind());
        assert_eq!(released, Released::load(&connection).unwrap());
    }

    #[test]
    fn terms_are_kept() {
        let connection = journal();
        let terms = Terms { limit: Some(7), stop_when: vec!["rejected>5%".into()], ..Terms::default() };
        let fact = Fact { end: Some(9), terms: terms.clone(), ..Fact::new(Some(1), Freed, "", "") };
        append(&connection, &fact).unwrap();
        let released = Released::load(&connection).unwrap();
        let standing = released.of(1).unwrap();
        assert_eq!((standing.end, &standing.terms), (Some(9), &terms));
        // Terms of a newer program.
        connection.execute("UPDATE release SET terms = '{\"limit\":1,\"colour\":\"red\"}'", []).unwrap();
        assert_eq!(Released::load(&connection).unwrap().of(1).unwrap().terms.limit, Some(1));
        // One that cannot be read is held, and the service starts.
        append(&connection, &Fact::new(Some(2), Freed, "", "")).unwrap();
        connection.execute("UPDATE release SET terms = '{\"limit\":\"all\"}' WHERE campaign_id = 1", []).unwrap();
        let released = Released::load(&connection).unwrap();
        assert_eq!(released.to_send(), [2]);
        assert!(released.of(1).unwrap().held.as_ref().unwrap().reason.contains("release it anew"));
        for wrong in [Fact::new(None, Freed, "", ""), Fact::new(None, Held, "", "")] {
            assert!(append(&connection, &wrong).is_err(), "{wrong:?}");
        }
    }
}
