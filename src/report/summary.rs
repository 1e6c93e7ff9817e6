//! The words at the end of `send` and `resume`, and the exit code that goes with them.

use super::page::{
    how_to_decide, in_part, list_command, outstanding, receipts_only_for, rejections as write_rejections, states,
    what_to_do_in_doubt,
};
use super::{Exit, ReportError};
use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::State;
use crate::journal::model::state::ReceiptsFor;
use crate::journal::query::receipt_pattern;
use crate::journal::query::{CampaignSummary, Counts, Rejection, campaign, rejections, sent_in_part};
use crate::journal::{Journal, JournalError};
use crate::words::escape::escape_terminal;
use crate::words::format::{command, count, duration, rate, times, wrapped};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a run knows that the journal does not.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// How long it sent, waits for receipts left out.
    pub sending: Duration,
    /// Parts that the SMSC took.
    pub accepted: u64,
    /// Attempts that it throttled.
    pub throttled: u64,
    /// Whether receipts were waited for (`--wait-receipts` other than 0, and they were asked for).
    pub receipts_awaited: bool,
    /// Why no more was sent although there was more.
    pub halted: Option<String>,
    /// A rule of the run's own is why.
    pub restrained: bool,
    /// It was a rehearsal: its SMSC is gone with it.
    pub rehearsal: bool,
    /// What the commands that are suggested need to find the journal, such as ` --journal other.db`; empty: nothing.
    pub journal_option: String,
}

/// What else the operator should know of a campaign.
#[derive(Clone, Copy, Debug)]
struct Hints {
    receipts_only_for: Option<ReceiptsFor>,
    possible_duplicates: i64,
    sent_in_part: i64,
}

/// How the campaigns of a run stand at its end.
#[derive(Clone, Debug)]
pub struct SendSummary {
    journal: PathBuf,
    campaigns: Vec<(CampaignSummary, Vec<Rejection>, Hints)>,
    run: RunFacts,
}

/// The exit code's part that follows from how messages stand. Those cancelled, suppressed or still queued do not matter;
/// those taken and not delivered do where receipts were waited for.
pub fn exit_of(counts: &Counts, receipts_awaited: bool) -> Exit {
    let at_once = [State::Rejected, State::InDoubt];
    let by_receipt = [State::Failed, State::PartlyDelivered];
    let bad = at_once.iter().any(|&state| counts.of(state) > 0)
        || receipts_awaited && by_receipt.iter().any(|&state| counts.of(state) > 0);
    if bad { Exit::Unfinished } else { Exit::Done }
}

impl SendSummary {
    /// Reads how `campaigns` stand.
    pub fn gather(opened: &Journal, journal: &Path, campaigns: &[String], run: RunFacts) -> Result<Self, JournalError> {
        let mut found = Vec::new();
        for name in campaigns {
            let summary = campaign(opened, name)?;
            let reasons = match summary.counts.of(State::Rejected) {
                0 => Vec::new(),
                _ => rejections(opened, &summary)?,
            };
            let (first, end) = (summary.first_id, summary.end_id);
            let hints = Hints {
                receipts_only_for: receipt_pattern::receipts_only_for(opened, first, end)?,
                possible_duplicates: receipt_pattern::possible_duplicates(opened, first, end)?,
                sent_in_part: sent_in_part(opened, &summary)?,
            };
            found.push((summary, reasons, hints));
        }
        Ok(Self { journal: journal.to_owned(), campaigns: found, run })
    }

    /// The messages of all campaigns of the run by state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (summary, ..) in &self.campaigns {
            counts.add(&summary.counts);
        }
        counts
    }

    /// Whether a message went out only in part.
    pub fn has_sent_in_part(&self) -> bool {
        self.campaigns.iter().any(|(.., hints)| hints.sent_in_part > 0)
    }

    /// Whether each campaign of the run was cancelled, and some message because of it.
    pub fn is_cancelled(&self) -> bool {
        !self.campaigns.is_empty()
            && self
                .campaigns
                .iter()
                .all(|(summary, ..)| summary.cancelled_at.is_some() && summary.counts.of(State::Cancelled) > 0)
    }

    /// The exit code, unless the run was interrupted or failed.
    pub fn exit(&self) -> Exit {
        // Whatever receipts are awaited: the rest of such a message never arrives.
        if self.has_sent_in_part() { Exit::Unfinished } else { exit_of(&self.counts(), self.run.receipts_awaited) }
    }

    /// Writes it in words. `width`: columns of the terminal.
    pub fn write(&self, out: &mut dyn Write, width: usize) -> Result<(), ReportError> {
        for (summary, reasons, hints) in &self.campaigns {
            write_campaign(out, width, summary, (reasons, *hints), &self.run)?;
        }
        let run = &self.run;
        let seconds = run.sending.as_secs_f64();
        if run.accepted > 0 {
            let mut words = count(i64::try_from(run.accepted).unwrap_or(i64::MAX), "part");
            words += &format!(" accepted in {}", duration(i64::try_from(run.sending.as_millis()).unwrap_or(i64::MAX)));
            if seconds >= 1.0 {
                words += &format!(", {}/s", rate(run.accepted as f64 / seconds));
            }
            if run.throttled > 0 {
                let throttled = i64::try_from(run.throttled).unwrap_or(i64::MAX);
                words +=
                    &format!("; throttled {} (nothing is lost by that; a lower --rate avoids it)", times(throttled));
            }
            wrapped(out, width, "This run: ", 2, &words)?;
        }
        if let Some(why) = &run.halted {
            wrapped(out, width, "Sending stopped: ", 2, &escape_terminal(why))?;
        }
        let journal = self.journal.to_string_lossy();
        wrapped(out, width, "Journal: ", 2, &escape_terminal(&journal))?;
        Ok(())
    }
}

fn write_campaign(
    out: &mut dyn Write,
    width: usize,
    summary: &CampaignSummary,
    (reasons, hints): (&[Rejection], Hints),
    run: &RunFacts,
) -> Result<(), ReportError> {
    let options = run.journal_option.as_str();
    let name = &summary.campaign;
    let counts = &summary.counts;
    writeln!(out, "{}: {}", escape_terminal(name), count(summary.messages, "message"))?;
    states(out, width, counts, summary.receipts_asked)?;
    if !reasons.is_empty() {
        write_rejections(out, width, reasons)?;
        wrapped(out, width, "  ", 2, &format!("which ones: {}", list_command(name, State::Rejected, options)))?;
    }
    if hints.sent_in_part > 0 {
        wrapped(out, width, "  ", 2, &in_part(name, hints.sent_in_part, options))?;
    }
    let in_doubt = counts.of(State::InDoubt);
    if in_doubt > 0 {
        writeln!(out, "\nIn doubt")?;
        let words = format!(
            "{} sent and never answered: {}",
            count(in_doubt, "message"),
            list_command(name, State::InDoubt, options)
        );
        wrapped(out, width, "  ", 2, &words)?;
        let words = if run.rehearsal { how_to_decide(name, options) } else { what_to_do_in_doubt(name, options) };
        wrapped(out, width, "  ", 2, &words)?;
    }
    let accepted = counts.of(State::Accepted);
    if accepted > 0 && summary.receipts_asked == Receipts::All {
        let words = match run.rehearsal {
            true => format!("receipts of {} were outstanding when the simulator ended", count(accepted, "message")),
            false => outstanding(accepted),
        };
        wrapped(out, width, "  ", 2, &words)?;
    }
    if let Some(part) = hints.receipts_only_for {
        wrapped(out, width, "  ", 2, &receipts_only_for(name, part, options))?;
    }
    if hints.possible_duplicates > 0 {
        let words = format!(
            "{} went out again after a doubt or a decision and may arrive twice: `{}`, \
             possible_duplicate",
            count(hints.possible_duplicates, "message"),
            command("smppost report", name, &format!(" --messages{options}"))
        );
        wrapped(out, width, "  ", 2, &words)?;
    }
    let left = counts.of(State::Queued) + counts.of(State::Sending);
    if left > 0 && summary.cancelled_at.is_none() {
        let how = match run.rehearsal {
            true => "`smppost send --simulate` with the same file goes on".to_owned(),
            false if run.accepted == 0 && !run.restrained => format!(
                "`{}` goes on, `{}` cancels it",
                command("smppost resume", name, options),
                command("smppost cancel", name, options)
            ),
            false => {
                let overriding = if run.restrained { " --override-stop" } else { "" };
                format!("`{}` goes on", command("smppost resume", name, &format!("{options}{overriding}")))
            }
        };
        let words = format!("{} not sent yet: {how}", count(left, "message"));
        wrapped(out, width, "  ", 2, &words)?;
    }
    if summary.rejected_rows > 0 {
        let words = format!(
            "{} of the file refused at import: `{}`",
            count(summary.rejected_rows, "row"),
            command("smppost report", name, &format!(" --rejected-rows{options}"))
        );
        wrapped(out, width, "  ", 2, &words)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_from_the_counts() {
        for (state, at_once, awaited) in [
            (State::Queued, 0, 0),
            (State::Sending, 0, 0),
            (State::Accepted, 0, 0),
            (State::Delivered, 0, 0),
            (State::PartlyDelivered, 0, 3),
            (State::Failed, 0, 3),
            (State::Rejected, 3, 3),
            (State::InDoubt, 3, 3),
            (State::Cancelled, 0, 0),
            (State::Suppressed, 0, 0),
        ] {
            let mut counts = Counts::default();
            counts.0[State::Accepted as usize] = 5;
            counts.0[state as usize] += 1;
            assert_eq!(exit_of(&counts, false).code(), at_once, "{state:?}");
            assert_eq!(exit_of(&counts, true).code(), awaited, "{state:?}, receipts awaited");
        }
    }
}
