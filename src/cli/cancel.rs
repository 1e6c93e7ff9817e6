//! `cancel`: what is not sent shall not be, and what the SMSC has not delivered shall not be either.

use super::beside::{self, Found};
use super::operations::{self, OperationArgs, Wanted};
use super::{CliError, ask, exit};
use crate::journal::files::lock::SenderLock;
use crate::journal::model::key::State;
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::query::{self, CampaignSummary};
use crate::journal::store::decisions::Decision;
use crate::journal::store::operations::Operation;
use crate::journal::writer::{Campaigns, Takeover, start};
use crate::journal::{self, Journal, JournalError};
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::{count, number};
use clap::Args;
use std::io::Write;
use std::path::Path;

/// `cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The campaign
    campaign: String,
    /// Ask the SMSC, too, to cancel what it has and has not delivered (cancel_sm)
    #[arg(long)]
    pub at_smsc: bool,
    /// Only the message of this line of the campaign's file; repeatable
    #[arg(long = "line", value_name = "N")]
    lines: Vec<u64>,
    /// Do not ask first (asked only on a terminal)
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub how: OperationArgs,
}

/// Cancels what is not sent yet, and what the SMSC has.
pub fn cancel(args: &CancelArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    let opened = journal::open_existing(journal)?;
    let summary = query::campaign(&opened, &args.campaign)?;
    if !args.lines.is_empty() {
        refuse_unknown(&opened, &summary, &args.lines)?;
    }
    if args.at_smsc {
        args.refuse_first(journal)?;
    } else if args.how.detach {
        return Err(CliError::Usage("--detach: only with --at-smsc does the service do something of it".into()));
    }
    let display = Display::new();
    let what = args.what(&summary);
    let is_asked = !args.yes && ask::on_terminal() && (summary.counts.of(State::Cancelled) < summary.messages);
    if is_asked {
        display.say(&what);
        if !ask::yes("Cancel?", false) {
            display.say("nothing was cancelled");
            return Ok(exit::INTERRUPTED);
        }
    }
    args.cancel_unsent(opened, &summary, journal, &display)?;
    if args.at_smsc {
        let (operation, campaign, lines) = (Operation::Cancel, &*args.campaign, &*args.lines);
        return operations::run(&Wanted { operation, campaign, lines, text: None }, &args.how, journal, out);
    }
    Ok(exit::OK)
}

/// A line that the campaign does not have is a slip.
fn refuse_unknown(journal: &Journal, summary: &CampaignSummary, lines: &[u64]) -> Result<(), CliError> {
    for &line in lines {
        if !query::has_line(journal, summary, line)? {
            return Err(CliError::Words(format!(
                "line {line}: campaign {} has no message of that line",
                summary.campaign
            )));
        }
    }
    Ok(())
}

impl CancelArgs {
    /// Refuses, before anything is cancelled, what the SMSC would not be asked for.
    fn refuse_first(&self, journal: &Path) -> Result<(), CliError> {
        match beside::find(journal, self.how.detach, false) {
            Ok(Found::Service(held)) => operations::refuse_idle(&self.how, &held),
            Ok(Found::Lock(_)) => Ok(()),
            // What is not sent yet is cancelled beside another sender.
            Err(CliError::Journal(JournalError::Held(_))) if !self.how.detach => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What would be cancelled, in words.
    fn what(&self, summary: &CampaignSummary) -> String {
        let counts = &summary.counts;
        let name = escape_terminal(&self.campaign);
        let taken = [State::Accepted, State::Delivered, State::PartlyDelivered, State::Failed];
        let sent: i64 = taken.iter().map(|&state| counts.of(state)).sum();
        let left = counts.of(State::Queued) + counts.of(State::Sending);
        let mut words = match self.lines.len() {
            0 => format!("{name}: {} to be cancelled; {} sent", count(left, "message"), number(sent)),
            lines => format!("{name}: of {}, what is not sent is to be cancelled", count(lines as i64, "line")),
        };
        if self.lines.is_empty() && counts.of(State::InDoubt) > 0 {
            words += &format!(", {} in doubt and not sent again", number(counts.of(State::InDoubt)));
        }
        words += match self.at_smsc {
            true => "; the SMSC is asked to cancel what it has not delivered",
            false => "; what was sent stays sent",
        };
        words
    }

    fn cancel_unsent(
        &self,
        opened: Journal,
        before: &CampaignSummary,
        journal: &Path,
        display: &Display,
    ) -> Result<(), CliError> {
        let decision = Decision::Cancel { lines: self.lines.clone() };
        journal::store::decisions::request(&opened, &self.campaign, &decision).map_err(|error| error.at(journal))?;
        let before = before.counts.of(State::Cancelled);
        match SenderLock::take(journal) {
            Ok(lock) => {
                drop(opened);
                let rules = RetryRules::default();
                let takeover = Takeover { path: journal, account: None, rules: &rules, campaigns: Campaigns::None };
                let own = start(&lock, &takeover)?.own;
                let book = own.counts.campaigns.iter().find(|book| book.name == self.campaign);
                let in_all = book.map_or(0, |book| book.counts[State::Cancelled as usize]);
                let sent = if self.at_smsc { "" } else { "; what was sent stays sent" };
                let words = match (in_all - before, in_all) {
                    (0, 0) => format!("nothing is left to cancel{sent}"),
                    (0, _) => {
                        format!("nothing is left to cancel ({} cancelled before){sent}", count(in_all, "message"))
                    }
                    (fresh, _) => format!("{} cancelled{sent}", count(fresh, "message")),
                };
                display.say(&format!("{}: {words}", escape_terminal(&self.campaign)));
            }
            Err(JournalError::Held(_)) => display.say(&format!(
                "{}: cancelled; the running sender withdraws what it has not written yet",
                escape_terminal(&self.campaign)
            )),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
