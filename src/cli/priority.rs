//! `priority`, and the options that say how a campaign shares the account with others.

use super::{CliError, exit};
use crate::journal;
use crate::journal::store::shares::{self, Change, Share};
use crate::policy::shares::Priority;
use crate::report::progress::Display;
use crate::words::BadValue;
use crate::words::escape::escape_terminal;
use clap::Args;
use std::path::Path;

/// Rates that a campaign can have of its own, in parts a second.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=1e9;

/// `priority`.
#[derive(Debug, Args)]
pub struct PriorityArgs {
    /// The campaign
    #[arg(index = 1)]
    campaign: String,
    /// urgent, normal or bulk: of 21 messages that go, one campaign of each class has 16, 4 and 1 [default: as it is]
    #[arg(value_name = "PRIORITY", index = 2)]
    priority: Option<Priority>,
    /// Send at most N messages (parts) a second of it, from 0.001 on; `account`: as many as the account
    #[arg(long, value_name = "N|account")]
    campaign_rate: Option<OwnRate>,
}

/// How the campaign shares the account, where that is said with its import or its run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Beside other campaigns")]
pub struct ShareArgs {
    /// Of what goes, campaigns that are sent together share: urgent 16 messages (parts) where normal has 4 and bulk 1. Kept
    /// with the campaign; `smppost priority` changes it while it is sent [default: normal]
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Send at most N messages (parts) a second of this campaign, within --rate; `account`: as many as the account. Kept with
    /// the campaign
    #[arg(long, value_name = "N|account")]
    campaign_rate: Option<OwnRate>,
}

/// What is typed for `--campaign-rate`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OwnRate(Option<f64>);

impl std::str::FromStr for OwnRate {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.trim().eq_ignore_ascii_case("account") {
            return Ok(Self(None));
        }
        match text.trim().parse::<f64>() {
            Ok(rate) if RATES.contains(&rate) => Ok(Self(Some(rate))),
            _ => Err("a number of messages a second from 0.001 to 1000000000, or `account`".into()),
        }
    }
}

impl ShareArgs {
    /// What is to be changed.
    pub fn change(&self) -> Change {
        Change { priority: self.priority, rate: self.campaign_rate.map(|OwnRate(rate)| rate) }
    }

    /// Keeps it with a campaign that is imported.
    pub fn record(&self, journal: &Path, campaign: &str) -> Result<(), CliError> {
        let change = self.change();
        if !change.is_none() {
            shares::set_by_name(&journal::open_existing(journal)?, campaign, change)
                .map_err(|error| error.at(journal))?;
        }
        Ok(())
    }
}

/// Changes how a campaign shares the account, or says how it does.
pub fn priority(args: &PriorityArgs, journal: &Path) -> Result<u8, CliError> {
    let change = Change { priority: args.priority, rate: args.campaign_rate.map(|OwnRate(rate)| rate) };
    let connection = journal::open_existing(journal)?;
    let share = shares::set_by_name(&connection, &args.campaign, change).map_err(|error| error.at(journal))?;
    Display::new().say(&format!("{}: {}", escape_terminal(&args.campaign), words(share)));
    Ok(exit::OK)
}

/// How a campaign shares the account, in words.
pub fn words(share: Share) -> String {
    match share.rate {
        Some(rate) => format!("{}, at most {rate} messages (parts) a second", share.priority),
        None => share.priority.to_string(),
    }
}
