//! Options by which a run stops itself, and the test message that goes first.

use super::CliError;
use crate::client::Account;
use crate::journal::model::campaign::CampaignOptions;
use crate::message::address::dialled;
use crate::policy::restraint::{CANARY_MAX, Canary, GoOnWhen, Restraint, StopWhen};
use crate::words::format::argument;
use clap::Args;

/// When to stop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Self-restraint")]
pub struct RestraintArgs {
    /// Stop when too much goes wrong: WHAT>SHARE or WHAT>=SHARE, as in 'rejected>5%'. WHAT is rejected (of the messages that
    /// the SMSC took or refused; throttled ones do not count), failed (of those that came to their end) or in-doubt (of
    /// those that were answered or never will be). The share is that of the last 500 of a campaign, once there are 50;
    /// repeatable
    #[arg(long, value_name = "RULE")]
    stop_when: Vec<StopWhen>,
    /// Send the first N messages, and the others when these came to what --go-on-when says
    #[arg(long, value_name = "N", requires = "go_on_when", value_parser = clap::value_parser!(u64).range(1..=CANARY_MAX))]
    canary: Option<u64>,
    /// What the canary is to come to: WHAT>=SHARE in TIME or WHAT>SHARE in TIME, as in 'delivered>=90% in 10m'. WHAT is
    /// delivered or accepted; TIME, as in 90s, 10m or 2h, runs from when all of the canary is sent and answered, or from
    /// the start of the run. Where it does not come to that, nothing more is sent, and the exit code is 3
    #[arg(long, value_name = "RULE", requires = "canary")]
    go_on_when: Option<GoOnWhen>,
    /// Go on with a campaign that a rule had stopped
    #[arg(long)]
    override_stop: bool,
    /// Send the campaign's first message to this number, exactly as it will go, and nothing else. On a terminal it is asked
    /// then whether the campaign follows; without one, the same command without this option sends it
    #[arg(long, value_name = "NUMBER")]
    pub test_to: Option<String>,
    /// Of which line of the file the test message is [default: the first that can be sent]
    #[arg(long, value_name = "LINE", requires = "test_to")]
    pub test_line: Option<u64>,
}

impl RestraintArgs {
    /// The digits of the number that gets the test message, read as the campaign reads its own.
    pub fn test_number(&self, options: Option<&CampaignOptions>) -> Result<Option<String>, CliError> {
        let Some(typed) = &self.test_to else { return Ok(None) };
        let usage = |error: &dyn std::fmt::Display| CliError::Usage(format!("--test-to: {error}"));
        let country = options.and_then(|options| options.country.as_deref()).map(str::parse).transpose();
        let country = country.map_err(|error| usage(&error))?;
        dialled::read(typed, country).map(|read| Some(read.digits)).map_err(|error| usage(&error))
    }

    /// As typed.
    pub fn restraint(&self) -> Restraint {
        let canary = self.canary.zip(self.go_on_when);
        Restraint {
            stop_when: self.stop_when.clone(),
            canary: canary.map(|(messages, go_on)| Canary { messages, go_on }),
            override_stop: self.override_stop,
        }
    }
}

/// A rule about what is delivered is of no use where nobody will know.
pub fn refuse_unreceipted(
    restraint: &Restraint,
    account: &Account,
    campaign: Option<(&str, &CampaignOptions)>,
) -> Result<(), CliError> {
    let Some(rule) = restraint.needs_receipts() else { return Ok(()) };
    if !account.bind.can_receive() {
        return Err(CliError::Usage(format!(
            "{rule} needs receipts, and --bind tx gets none: use --bind trx or tx+rx, or a rule about what is accepted or \
             rejected"
        )));
    }
    match campaign {
        Some((name, options)) if !options.awaited().of_success => Err(CliError::Usage(format!(
            "{rule} needs receipts of what is delivered, and campaign {} asks for none: --receipts all, or a rule about what \
             is accepted or rejected",
            argument(name)
        ))),
        _ => Ok(()),
    }
}
