//! `status`: how the service stands, for people, programs and monitors.

use super::beside::{Asked, ask};
use super::{CliError, exit};
use crate::journal::files::lock;
use crate::journal::model::command::{Answer, Request, Standing};
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, count, moment, number, rate};
use crate::words::stamp::Stamp;
use clap::{Args, ValueEnum};
use crossbeam_channel::never;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A service that does not answer within this time is stuck.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// How to show it
    #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
    format: StatusFormat,
    /// For a monitor: one line, and exit code 0 where a service runs, is bound and is not kept from sending; else 1
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum StatusFormat {
    Table,
    Json,
}

impl StatusArgs {
    /// A monitor has its line whatever is wrong.
    pub fn tell_monitor(&self, error: CliError) -> Result<u8, CliError> {
        if !self.check {
            return Err(error);
        }
        let words = error.to_string();
        let words: Vec<&str> = words.split_whitespace().collect();
        writeln!(std::io::stdout().lock(), "not well: {}", escape_terminal(&words.join(" ")))?;
        Ok(exit::ERROR)
    }
}

/// What was found.
enum Found {
    Service(Box<Standing>),
    /// It holds the journal and does not answer; which it is, in words.
    Silent(String),
    /// Another process keeps the journal from being written, so that nobody can ask or answer; which it is, in words.
    Blocked(String),
    /// Another sender; which it is, in words.
    Sender(String),
    Nobody,
}

impl Found {
    fn look(journal: &Path) -> Result<Self, CliError> {
        let Some(held) = lock::sender(journal) else { return Ok(Self::Nobody) };
        let by = held.by.clone().unwrap_or_else(|| "it cannot be told which process".into());
        if !held.is_service {
            return Ok(Self::Sender(by));
        }
        let asked = match ask(journal, &Request::Status, Some(ANSWERED_WITHIN), &never()) {
            // Neither can the service answer then.
            Err(CliError::Journal(error)) if error.is_busy() => {
                let holder = lock::writer(journal).unwrap_or_else(|| "it cannot be told which".into());
                return Ok(Self::Blocked(holder));
            }
            asked => asked?,
        };
        Ok(match asked {
            Asked::Answered(Answer { status: Some(standing), .. }) => Self::Service(Box::new(standing)),
            Asked::Answered(Answer { refused: Some(why), .. }) => return Err(CliError::Words(why)),
            Asked::Answered(_) | Asked::AnsweredAll(_) | Asked::NotTaken | Asked::Interrupted => Self::Silent(by),
        })
    }

    /// What is wrong, in words; `None`: nothing.
    fn trouble(&self) -> Option<String> {
        match self {
            Self::Nobody => Some("no service runs".into()),
            Self::Sender(by) => Some(format!("no service runs; the journal is held by {by}")),
            Self::Silent(by) => {
                Some(format!("the service ({by}) has not answered within {} s", ANSWERED_WITHIN.as_secs()))
            }
            Self::Blocked(holder) => Some(format!("another process keeps the journal from being written: {holder}")),
            Self::Service(standing) if standing.bound == 0 => {
                let why = standing.unbound.first().cloned().unwrap_or_else(|| "connecting".into());
                Some(format!("not connected: {why}"))
            }
            // Closed hours are how it is meant to be.
            Self::Service(standing) => standing.trouble.clone(),
        }
    }
}

/// Shows how the service stands.
pub fn status(args: &StatusArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    let found = Found::look(journal)?;
    let trouble = found.trouble();
    if args.check {
        let words = match (&trouble, &found) {
            (Some(trouble), _) => format!("not well: {trouble}"),
            (None, Found::Service(standing)) => format!("well: {}", in_short(standing)),
            (None, _) => "well".into(),
        };
        writeln!(out, "{}", escape_terminal(&words))?;
        return Ok(if trouble.is_some() { exit::ERROR } else { exit::OK });
    }
    match (args.format, &found) {
        (StatusFormat::Json, _) => writeln!(out, "{}", json_of(&found, trouble.as_deref()))?,
        (StatusFormat::Table, Found::Service(standing)) => write(standing, out)?,
        (StatusFormat::Table, _) => writeln!(out, "{}", escape_terminal(&trouble.unwrap_or_default()))?,
    }
    Ok(if matches!(found, Found::Service(_)) { exit::OK } else { exit::ERROR })
}

fn in_short(standing: &Standing) -> String {
    let queued: i64 = standing.campaigns.iter().map(|campaign| campaign.queued + campaign.sending).sum();
    format!(
        "{} of {} bound, {} to send",
        standing.bound,
        count(standing.connections as i64, "connection"),
        count(queued, "message")
    )
}

fn write(standing: &Standing, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "service: process {}, version {}, since {} UTC",
        standing.process,
        escape_terminal(&standing.version),
        moment(Stamp(standing.since))
    )?;
    writeln!(out, "bound: {} of {}", standing.bound, count(standing.connections as i64, "connection"))?;
    for why in &standing.unbound {
        writeln!(out, "  {}", escape_terminal(why))?;
    }
    let now = standing.rate.map_or_else(|| "no limit".to_owned(), |now| format!("{}/s", rate(now)));
    writeln!(out, "rate: {now}; {} on their way", number(standing.in_flight as i64))?;
    if let Some(waits) = &standing.waits {
        writeln!(out, "waits: {}", escape_terminal(waits))?;
    }
    let many = |n: u64| number(i64::try_from(n).unwrap_or(i64::MAX));
    writeln!(
        out,
        "since the start: {} parts taken by the SMSC, {} throttled, {} receipts, {} messages from handsets",
        many(standing.accepted),
        many(standing.throttled),
        many(standing.receipts),
        many(standing.inbound)
    )?;
    if let Some(why) = &standing.last_refusal {
        writeln!(out, "refused last: {}", escape_terminal(why))?;
    }
    for asking in &standing.asking {
        writeln!(
            out,
            "asks the SMSC: {} of campaign {}: {} parts through, {} done",
            escape_terminal(&asking.operation),
            argument(&asking.campaign),
            number(asking.through),
            number(asking.done)
        )?;
    }
    if standing.campaigns.is_empty() {
        return writeln!(out, "campaigns: nothing to send");
    }
    writeln!(out, "campaigns, in order of release:")?;
    for campaign in &standing.campaigns {
        let share = campaign.share.map_or_else(String::new, |share| format!(", {:.0} % of the rate", share * 100.0));
        let waits = campaign.waits.as_ref().map_or_else(String::new, |waits| format!("; {waits}"));
        writeln!(
            out,
            "  {}: {} queued, {} on their way{share}{}",
            argument(&campaign.campaign),
            number(campaign.queued),
            number(campaign.sending),
            escape_terminal(&waits)
        )?;
    }
    Ok(())
}

fn json_of(found: &Found, trouble: Option<&str>) -> Value {
    let service = match found {
        Found::Service(standing) => {
            let mut value = serde_json::to_value(standing).unwrap_or(Value::Null);
            if let Some(fields) = value.as_object_mut() {
                fields.insert("since".into(), json!(Stamp(standing.since)));
            }
            value
        }
        Found::Silent(_) | Found::Blocked(_) | Found::Sender(_) | Found::Nobody => Value::Null,
    };
    json!({ "service": service, "trouble": trouble })
}
