//! When campaigns may be sent: facts, appended; the last one of a campaign counts.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::campaign_id;
use crate::platform::clock::now_ms;
use crate::policy::hours::{Hours, zone_of};
use crate::words::BadValue;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Facts that one look takes in at most: the next one goes on.
pub const READ_AT_ONCE_MAX: i64 = 2_000;

/// The hours of a campaign, as the journal keeps them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnHours {
    /// Hours of the day, as they are typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<String>,
    /// Days of the week, as they are typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// The zone of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Nothing before, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<i64>,
    /// Nothing from this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<i64>,
    /// Where nothing of it went until so many milliseconds after the first moment, it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_limit_ms: Option<u64>,
}

/// The same to be asked.
#[derive(Clone, Debug, Default)]
pub struct CampaignHours {
    /// When it may be sent.
    pub hours: Hours,
    /// Where nothing of it went until so long after the first moment, it is held.
    pub late_limit: Option<Duration>,
}

impl OwnHours {
    /// Hours of the command line, as they are kept. Fails in words where their zone has no name that another machine knows.
    pub fn of(hours: &Hours, zone: Option<&str>, late_limit: Option<Duration>) -> Result<Self, BadValue> {
        let time_zone = match (hours.are_of_days(), zone.or(hours.zone.iana_name())) {
            (false, _) => None,
            (true, Some(name)) if zone_of(name).is_some() => Some(name.to_owned()),
            (true, _) => return Err("this system's time zone has no name to be kept: give --time-zone".into()),
        };
        Ok(Self {
            between: hours.between.map(|between| between.to_string()),
            days: hours.days.map(|days| days.to_string()),
            time_zone,
            start_at: hours.start_at.map(Timestamp::as_millisecond),
            stop_at: hours.stop_at.map(Timestamp::as_millisecond),
            late_limit_ms: late_limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// To be asked. `None`: this program does not understand them.
    fn read(&self) -> Option<CampaignHours> {
        let moment = |ms: Option<i64>| ms.map(Timestamp::from_millisecond).transpose().ok();
        let zone = match &self.time_zone {
            Some(name) => zone_of(name)?,
            None => jiff::tz::TimeZone::UTC,
        };
        let hours = Hours {
            between: self.between.as_deref().map(str::parse).transpose().ok()?,
            days: self.days.as_deref().map(str::parse).transpose().ok()?,
            zone,
            zone_words: self.time_zone.clone().unwrap_or_else(|| "UTC".into()),
            start_at: moment(self.start_at)?,
            stop_at: moment(self.stop_at)?,
        };
        Some(CampaignHours { hours, late_limit: self.late_limit_ms.map(Duration::from_millis) })
    }
}

fn stored(json: &str, campaign: i64) -> Result<CampaignHours, JournalError> {
    let wrong = || JournalError::Inconsistent(format!("the hours of campaign {campaign} read {json:?}"));
    let own: OwnHours = serde_json::from_str(json).map_err(|_| wrong())?;
    own.read().ok_or_else(wrong)
}

/// When the campaign of this number may be sent; `None`: at any time.
pub fn of(connection: &Connection, campaign: i64) -> Result<Option<CampaignHours>, JournalError> {
    let last: Option<String> = connection
        .prepare_cached("SELECT hours FROM campaign_hours WHERE campaign_id = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([campaign], |row| row.get(0))
        .optional()?;
    last.map(|json| stored(&json, campaign)).transpose()
}

/// From now on the campaign of this number may be sent at these hours; empty ones: at any time.
pub fn set(connection: &Connection, campaign: i64, hours: &OwnHours) -> Result<(), JournalError> {
    let json = serde_json::to_string(hours).map_err(|error| JournalError::Inconsistent(error.to_string()))?;
    connection.prepare_cached("INSERT INTO campaign_hours (campaign_id, at, hours) VALUES (?1, ?2, ?3)")?.execute((
        campaign,
        now_ms(),
        json,
    ))?;
    Ok(())
}

/// The same by the campaign's name.
pub fn set_by_name(journal: &dyn Sql, name: &str, hours: &OwnHours) -> Result<(), JournalError> {
    let connection = journal.connection();
    set(connection, campaign_id(connection, name)?, hours)
}

/// The number of the last fact.
pub fn last(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM campaign_hours", [], |row| row.get(0))?)
}

/// A change: number of the fact, campaign, and its hours since, where they are understood.
pub type Changed = (i64, i64, Result<CampaignHours, JournalError>);

/// What was changed after this fact, as far as one look goes.
pub fn changed_since(connection: &Connection, last: i64) -> Result<Vec<Changed>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT id, campaign_id, hours FROM campaign_hours WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = statement.query([last, READ_AT_ONCE_MAX])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let campaign = row.get(1)?;
        changed.push((row.get(0)?, campaign, stored(row.get_ref(2)?.as_str().unwrap_or_default(), campaign)));
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::Verdict;

    #[test]
    fn hours_are_kept_and_read_as_they_were_typed() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        assert!(of(&connection, 1).unwrap().is_none());
        let start_at: Timestamp = "2026-12-24T09:00:00Z".parse().unwrap();
        let hours = Hours {
            between: Some("09:00-20:00".parse().unwrap()),
            days: Some("mon-fri".parse().unwrap()),
            zone: zone_of("Europe/Paris").unwrap(),
            start_at: Some(start_at),
            ..Hours::default()
        };
        let own = OwnHours::of(&hours, None, Some(Duration::from_secs(7_200))).unwrap();
        set(&connection, 1, &own).unwrap();
        let found = of(&connection, 1).unwrap().unwrap();
        assert_eq!(found.late_limit, Some(Duration::from_secs(7_200)));
        // Thursday; ten in Paris, and half past nineteen and a half.
        for (moment, expected) in [
            ("2026-12-24T08:59:59Z", Verdict::Closed(start_at)),
            ("2026-12-24T09:00:00Z", Verdict::Open),
            ("2026-12-24T18:59:00Z", Verdict::Open),
            ("2026-12-24T19:00:00Z", Verdict::Closed("2026-12-25T08:00:00Z".parse().unwrap())),
        ] {
            assert_eq!(found.hours.at(moment.parse().unwrap()), expected, "{moment}");
        }
        set(&connection, 1, &OwnHours::default()).unwrap();
        assert!(!of(&connection, 1).unwrap().unwrap().hours.limit());
        assert_eq!(changed_since(&connection, 1).unwrap().len(), 1);
        assert_eq!(last(&connection).unwrap(), 2);
        connection.execute("UPDATE campaign_hours SET hours = '{\"between\":\"noon\"}'", []).unwrap();
        assert!(of(&connection, 1).is_err(), "what is not understood is not taken for any time");
    }
}
