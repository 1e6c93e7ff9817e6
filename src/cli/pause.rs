//! `pause`: a campaign, or all sending, stops until it is resumed. What comes is collected all the same.

use super::beside::who;
use super::{CliError, exit};
use crate::journal::files::lock;
use crate::journal::store::release::{self, Fact, Kind, Released};
use crate::journal::{self, JournalError};
use crate::report::progress::Display;
use crate::words::format::{argument, command, journal_option};
use clap::Args;
use std::path::Path;

/// `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The campaign; several may be named [default: all sending]
    #[arg(value_name = "CAMPAIGN")]
    campaigns: Vec<String>,
    /// Why: it is kept, and shown where somebody asks
    #[arg(long, value_name = "WORDS", default_value = "")]
    reason: String,
}

/// Pauses. The running service writes nothing more of it within a second, and what it has claimed comes back.
pub fn pause(args: &PauseArgs, journal: &Path) -> Result<u8, CliError> {
    let connection = journal::open_existing(journal)?;
    let mut paused = Vec::new();
    for name in &args.campaigns {
        paused.push((Some((journal::campaign_id(&connection, name)?, name)), format!("campaign {}", argument(name))));
    }
    if paused.is_empty() {
        paused.push((None, "all sending".into()));
    }
    if let Some(held) = lock::sender(journal).filter(|held| !held.is_service) {
        // It has no ear for it.
        return Err(JournalError::Held(held).into());
    }
    let (display, released, who) = (Display::new(), Released::load(&connection)?, who());
    for (campaign, what) in paused {
        let before = match campaign {
            Some((campaign, _)) => released.of(campaign).and_then(|standing| standing.paused.as_ref()),
            None => released.paused.as_ref(),
        };
        if let Some(before) = before {
            display.say(&format!("{what}: paused already, by {}", before.who));
            continue;
        }
        release::append(&connection, &Fact::new(campaign.map(|(id, _)| id), Kind::Paused, &args.reason, &who))
            .map_err(|error| error.at(journal))?;
        let option = journal_option(journal);
        let resume = match campaign {
            None => format!("smppost resume{option}"),
            Some((_, name)) => command("smppost resume", name, &option),
        };
        let serves = match lock::service(journal) {
            Some(_) => "the running service withdraws what it has not written yet",
            None => "no service runs now",
        };
        display.say(&format!("{what}: paused; {serves}; `{resume}` goes on"));
    }
    Ok(exit::OK)
}
