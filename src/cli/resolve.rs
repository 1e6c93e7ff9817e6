//! `resolve`: what the operator decides about messages that may have left and were never answered.

use super::CliError;
use super::campaign::ReceiptsForArg;
use crate::journal::files::lock::SenderLock;
use crate::journal::model::key::State;
use crate::journal::store::assignment::Assignment;
use crate::journal::store::decisions::{Decision, request};
use crate::journal::writer::recover_only;
use crate::journal::{self, Journal, JournalError};
use crate::report::progress::Display;
use crate::words::BadValue;
use crate::words::escape::escape_terminal;
use crate::words::format::{command, count, journal_option};
use clap::Args;
use std::path::Path;

/// `resolve`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").required(true))]
pub struct ResolveArgs {
    /// The campaign
    campaign: String,
    /// Send them again with the next `resume`: some may arrive twice
    #[arg(long, group = "decision")]
    resend: bool,
    /// Count them as sent
    #[arg(long, group = "decision")]
    assume_sent: bool,
    /// Give them up
    #[arg(long, group = "decision")]
    abandon: bool,
    /// Receipts come only for this part of a long message: it then counts for all parts
    #[arg(long, group = "decision", value_enum, conflicts_with = "lines", value_name = "PART")]
    receipts_for: Option<ReceiptsForArg>,
    /// This receipt, by its number in `report --unmatched`, belongs to the message of --line
    #[arg(
        long,
        group = "decision",
        allow_negative_numbers = true,
        requires = "lines",
        value_name = "RECEIPT",
        value_parser = receipt
    )]
    receipt: Option<i64>,
    /// Only the message of this line of the campaign's file; repeatable
    #[arg(long = "line", value_name = "N")]
    lines: Vec<u64>,
    /// With --receipt: the part of a long message
    // `requires` does not refuse it beside the other decisions: they conflict with --receipt, and clap asks for nothing that
    // cannot be there.
    #[arg(
        long,
        requires = "receipt",
        conflicts_with_all = ["resend", "assume_sent", "abandon", "receipts_for"],
        default_value_t = 1,
        value_name = "N"
    )]
    part: u8,
}

fn receipt(typed: &str) -> Result<i64, BadValue> {
    typed.parse().map_err(|_| "it is a receipt's number, from report --unmatched".into())
}

impl ResolveArgs {
    /// The decision, once its sense is seen to: what an assignment names has to exist.
    fn decision(&self, opened: &Journal, journal: &Path) -> Result<Decision, CliError> {
        let lines = self.lines.clone();
        if self.receipt.is_none() && self.receipts_for.is_none() {
            let mut against = journal::store::decisions::against(opened, &self.campaign, &lines);
            if self.resend && matches!(against, Ok(None)) {
                against = journal::store::decisions::against_resending(opened, &self.campaign, &lines);
            }
            if let Some(words) = against.map_err(|error| error.at(journal))? {
                return Err(CliError::Words(format!("{words}; nothing was changed")));
            }
        }
        Ok(if let Some(which) = self.receipts_for {
            Decision::ReceiptsFor(which.into())
        } else if let Some(receipt) = self.receipt {
            let [line] = lines[..] else {
                return Err(CliError::Usage("a receipt belongs to one message: name one --line".into()));
            };
            let assignment = Assignment { receipt, line, part: self.part };
            assignment.attempt(opened, &self.campaign).map_err(|error| error.at(journal))?.map_err(|refusal| {
                CliError::Words(format!("receipt {receipt}, line {line}: {refusal}; nothing was changed"))
            })?;
            Decision::Assign(assignment)
        } else if self.resend {
            Decision::Resend { lines }
        } else if self.assume_sent {
            Decision::AssumeSent { lines }
        } else {
            Decision::Abandon { lines }
        })
    }
}

/// Appends the decision. A sender that runs applies it at its next claim; where none does, it is applied here.
pub fn resolve(args: &ResolveArgs, journal: &Path) -> Result<(), CliError> {
    let display = Display::new();
    let name = escape_terminal(&args.campaign);
    match SenderLock::take(journal) {
        Ok(lock) => {
            // First what a dead sender left: that is what is in doubt.
            let mut own = recover_only(&lock, journal)?.own;
            let in_doubt = |counts: &journal::store::counts::Counts| {
                let book = counts.campaigns.iter().find(|book| book.name == args.campaign);
                book.map_or(0, |book| book.counts[State::InDoubt as usize])
            };
            // Then the receipts that it had not judged: whose they are is in doubt no more.
            own.judge_what_is_left()?;
            let decision = args.decision(&own.journal, journal)?;
            request(&own.journal, &args.campaign, &decision).map_err(|error| error.at(journal))?;
            let before = in_doubt(&own.counts);
            own.apply_decisions()?;
            let left = in_doubt(&own.counts);
            if let Some(receipt) = args.receipt {
                display.say(&format!("{name}: receipt {receipt} counts for line {}", args.lines[0]));
                return Ok(());
            }
            if args.receipts_for.is_some() {
                display.say(&format!("{name}: noted"));
                return Ok(());
            }
            let (settled, done) = (before - left, if args.resend { "queued again" } else { "settled" });
            let settled_messages = count(settled, "message");
            display.say(&format!("{name}: {settled_messages} {done}, {left} left in doubt"));
            if args.resend && left > 0 && args.lines.is_empty() {
                display.say("left are those of suppressed numbers, or of which another part was refused or given up");
            }
            if args.resend && settled > 0 {
                let resume = format!("`{}`", command("smppost resume", &args.campaign, &journal_option(journal)));
                display.say(&format!("{resume} sends {}", if settled == 1 { "it" } else { "them" }));
            }
        }
        Err(JournalError::Held(_)) => {
            let opened = journal::open_existing(journal)?;
            let decision = args.decision(&opened, journal)?;
            request(&opened, &args.campaign, &decision).map_err(|error| error.at(journal))?;
            display.say(&format!("{name}: noted; the running sender applies it within a second"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::kill_tests::killed_before_judging;

    #[test]
    fn a_message_whose_receipt_was_not_judged_yet_is_not_sent_again() {
        let bench = killed_before_judging();
        let args = ResolveArgs {
            campaign: "test".into(),
            resend: true,
            assume_sent: false,
            abandon: false,
            receipts_for: None,
            receipt: None,
            lines: Vec::new(),
            part: 1,
        };
        let outcome = resolve(&args, &bench.path).map_err(|error| error.to_string());
        assert!(bench.states().iter().all(|state| state == "delivered"), "{outcome:?}");
    }
}
