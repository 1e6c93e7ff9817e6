//! `smppost report CAMPAIGN --format html`: the campaign's page as a file for a browser.

use super::{ReportArgs, ReportFormat};
use crate::cli::budget::read_prices;
use crate::cli::config::zone;
use crate::cli::config::zone::Zone;
use crate::journal::model::key::State;
use crate::journal::query::{Stamp, campaign, campaign_page};
use crate::journal::store::budget;
use crate::journal::{now_ms, open_read_only};
use crate::report::html::{Around, page};
use crate::report::{ReportError, is_sender_running};
use crate::words::clock::Clock;
use crate::words::format;
use crate::words::format::command;
use std::io::Write;
use std::path::Path;

/// Writes the page.
pub fn write(args: &ReportArgs, journal: &Path, out: &mut dyn Write) -> Result<(), ReportError> {
    let lists = [
        args.messages || !args.state.is_empty(),
        args.attempts,
        args.receipts,
        args.unmatched,
        args.rejected_rows,
        args.duplicates,
        args.operations,
        args.inbound,
    ];
    let Some(name) = args.campaign.as_deref().filter(|_| !lists.contains(&true)) else {
        return Err(ReportError::Usage(
            "--format html is the page of one campaign: `smppost report CAMPAIGN --format html > FILE.html`; lists are for \
             --format csv"
                .into(),
        ));
    };
    let opened = open_read_only(journal)?;
    let summary = campaign(&opened, name)?;
    let typed = match &args.prices {
        Some(path) => Some(read_prices(path).map_err(|error| ReportError::Usage(error.to_string()))?),
        None => None,
    };
    let kept = budget::of(&opened, summary.id)?;
    let max_cost = kept.as_ref().filter(|kept| {
        // A limit in another currency than the prices says nothing beside them.
        typed.as_ref().is_none_or(|prices| prices.currency == kept.prices.currency)
    });
    let max_cost = max_cost.and_then(|kept| kept.max_cost);
    let prices = typed.or(kept.map(|kept| kept.prices));
    let clock = args.clock(true)?;
    let offset = clock.offset(summary.first_sent_at.unwrap_or(summary.created_at));
    let facts = campaign_page(&opened, name, prices.as_ref(), offset)?;
    // Asked only where it matters: the question takes the lock for an instant.
    let counts = &facts.report.summary.counts;
    let may_run = [State::Queued, State::Sending, State::Accepted].iter().any(|&state| counts.of(state) > 0);
    let around = Around {
        sender_running: if may_run { is_sender_running(journal) } else { None },
        now: Stamp(now_ms()),
        clock,
        journal_option: format::journal_option(journal),
        currency: prices.map(|prices| prices.currency).unwrap_or_default(),
        max_cost,
    };
    out.write_all(page(&facts, &around).as_bytes())?;
    Ok(())
}

impl ReportArgs {
    /// Whose times are shown: where none is named, this system's for people (a zone that cannot be read is no reason to show
    /// nothing), else UTC.
    pub(super) fn clock(&self, is_for_people: bool) -> Result<Clock, ReportError> {
        let zone = match &self.time_zone {
            Some(name) => zone::named(name, "--time-zone").map_err(|error| ReportError::Usage(error.into()))?,
            None if is_for_people => zone::of_system().unwrap_or_default(),
            None => Zone::default(),
        };
        Ok(Clock::new(zone.rules, zone.words))
    }

    /// A page for a browser is of no use on a terminal.
    pub fn refuse_terminal(&self, is_terminal: bool) -> Result<(), ReportError> {
        if self.format != ReportFormat::Html || !is_terminal {
            return Ok(());
        }
        let name = self.campaign.as_deref().unwrap_or("CAMPAIGN");
        let words = command("smppost report", name, " --format html > report.html");
        Err(ReportError::Usage(format!("--format html is a file for a browser, and this is a terminal: `{words}`")))
    }
}
