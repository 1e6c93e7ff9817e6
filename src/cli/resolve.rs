//! `resolve`: what the operator decides about messages that may have left and were never answered.

use super::CliError;
use super::campaign::ReceiptsForArg;
use crate::journal::files::lock::SenderLock;
use crate::journal::matcher::manual::Assignment;
use crate::journal::model::key::State;
use crate::journal::store::decisions::{Decision, request};
use crate::journal::writer::recovery::{Recovery, recover};
use crate::journal::writer::retry_queue::RetryRules;
use crate::journal::{self, JournalError};
use crate::report::progress::Display;
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

fn receipt(typed: &str) -> Result<i64, String> {
    typed.parse().map_err(|_| "it is a receipt's number, from report --unmatched".into())
}

impl ResolveArgs {
    /// The decision, once its sense is seen to: what an assignment names has to exist.
    fn decision(&self, connection: &rusqlite::Connection, journal: &Path) -> Result<Decision, CliError> {
        let lines = self.lines.clone();
        if self.receipt.is_none() && self.receipts_for.is_none() {
            let mut against = journal::store::decisions::against(connection, &self.campaign, &lines);
            if self.resend && matches!(against, Ok(None)) {
                against = journal::store::decisions::against_resending(connection, &self.campaign, &lines);
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
            assignment.attempt(connection, &self.campaign).map_err(|error| error.at(journal))?.map_err(|refusal| {
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
        Ok(_lock) => {
            // First what a dead sender left: that is what is in doubt.
            let Recovery { connection, mut books, .. } =
                recover(journal::open_existing(journal)?, journal, &RetryRules::default())?;
            let in_doubt = |books: &journal::store::counts::Books| {
                let book = books.campaigns.iter().find(|book| book.name == args.campaign);
                book.map_or(0, |book| book.counts[State::InDoubt as usize])
            };
            let decision = args.decision(&connection, journal)?;
            request(&connection, &args.campaign, &decision).map_err(|error| error.at(journal))?;
            let before = in_doubt(&books);
            crate::journal::store::decisions::apply_all(&connection, &mut books)?;
            let left = in_doubt(&books);
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
            let connection = journal::open_existing(journal)?;
            let decision = args.decision(&connection, journal)?;
            request(&connection, &args.campaign, &decision).map_err(|error| error.at(journal))?;
            display.say(&format!("{name}: noted; the running sender applies it within a second"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
