//! Options that say when messages may be sent, and in which time zone that is meant.

use super::CliError;
use crate::cli::config::zone;
use crate::cli::config::zone::Zone;
use crate::policy::hours;
use crate::policy::hours::{Between, Days, Hours};
use crate::words::BadValue;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Openings that are shown of what is to come.
const OPENINGS_SHOWN: usize = 7;

/// When messages may be sent.
#[derive(Debug, Args)]
pub struct HoursArgs {
    /// Send only between these hours, as in 09:00-20:00; outside them the program waits
    #[arg(long, value_name = "HH:MM-HH:MM")]
    between: Option<Between>,
    /// Send only on these days, as in mon-fri or mon,wed,sat
    #[arg(long, value_name = "DAYS")]
    days: Option<Days>,
    /// Where hours and moments are those of, as in Europe/London or +02:00 [default: as this system is set: TZ, else
    /// /etc/localtime]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    time_zone: Option<String>,
    /// Send nothing before this moment, as in 2026-12-24T09:00, 2026-12-24T09:00+01:00 or
    /// 2026-12-24T09:00[America/New_York]
    #[arg(long, value_name = "MOMENT")]
    start_at: Option<String>,
    /// Stop at this moment; what is not sent yet stays queued
    #[arg(long, value_name = "MOMENT")]
    stop_at: Option<String>,
}

/// Where times without an offset are those of; `None`: nobody can say, and they are refused.
pub fn zone_of_times(named: Option<&str>) -> Option<TimeZone> {
    let zone = match named {
        Some(name) => zone::named(name, "--time-zone").ok(),
        None => zone::of_system().ok(),
    };
    zone.map(|zone| zone.rules)
}

/// A time zone that is there.
pub fn zone_name(typed: &str) -> Result<String, BadValue> {
    zone::named(typed, "--time-zone").map(|_| typed.to_owned())
}

impl HoursArgs {
    /// Where times of messages without an offset are those of.
    pub fn zone_of_times(&self) -> Option<TimeZone> {
        zone_of_times(self.time_zone.as_deref())
    }

    /// The zone as it was typed.
    pub fn zone_name(&self) -> Option<&str> {
        self.time_zone.as_deref()
    }

    /// When messages may be sent. A zone of the system that cannot be read is refused where anything depends on it.
    pub fn hours(&self) -> Result<Hours, CliError> {
        let moments = [("--start-at", &self.start_at), ("--stop-at", &self.stop_at)];
        let is_local = |text: &Option<String>| text.as_deref().is_some_and(hours::is_local);
        let zone = match &self.time_zone {
            Some(name) => zone::named(name, "--time-zone").map_err(CliError::from)?,
            None => match zone::of_system() {
                Ok(zone) => zone,
                Err(words)
                    if self.between.is_some() || self.days.is_some() || moments.iter().any(|m| is_local(m.1)) =>
                {
                    return Err(CliError::Usage(format!(
                        "the time zone of this system cannot be read, and the sending hours depend on it: {words}; or give \
                         --time-zone"
                    )));
                }
                Err(_) => Zone::default(),
            },
        };
        let mut read = [None, None];
        for (moment, (option, text)) in read.iter_mut().zip(moments) {
            let Some(text) = text else { continue };
            let named = |name: &str| zone::named(name, option).map(|zone| zone.rules);
            *moment = Some(hours::moment(text, &zone.rules, &named).map_err(|words| {
                let words = words.strip_prefix(&format!("{option}: ")).unwrap_or(&words).to_owned();
                CliError::Usage(format!("{option}: {words}"))
            })?);
        }
        let [start_at, stop_at] = read;
        let (zone, zone_words) = (zone.rules, zone.words);
        let hours = Hours { between: self.between, days: self.days, start_at, stop_at, zone, zone_words };
        match (start_at, stop_at) {
            (Some(start), Some(stop)) if start >= stop => Err(CliError::Usage(format!(
                "--start-at ({}) is not before --stop-at ({}): nothing could ever be sent",
                hours.show(start),
                hours.show(stop)
            ))),
            _ => Ok(hours),
        }
    }
}

/// What `check` says of the hours: the zone, and the next openings; empty where nothing is limited.
pub fn lines(hours: &Hours, now: Timestamp) -> Vec<String> {
    if !hours.limit() {
        return Vec::new();
    }
    let mut lines = vec![format!("sent only {}", hours.words())];
    let openings = hours.openings_words(now, OPENINGS_SHOWN);
    if openings.is_empty() {
        lines.push("  it does not open any more".into());
    }
    lines.extend(openings.into_iter().map(|line| format!("  {line}")));
    lines
}

/// The same for machines, in UTC; null where nothing is limited.
pub fn json(hours: &Hours, now: Timestamp) -> Value {
    if !hours.limit() {
        return Value::Null;
    }
    let stamp = |moment: Timestamp| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let openings = hours.openings(now, OPENINGS_SHOWN);
    let openings: Vec<Value> = openings
        .iter()
        .map(|opening| json!({ "opens": stamp(opening.opens), "closes": opening.closes.map(stamp) }))
        .collect();
    json!({ "time_zone": hours.zone_words, "openings": openings })
}
