//! A campaign on a page: how its messages stand, what went wrong, and what to do about it.

use super::ReportError;
use super::rows::state_words;
use crate::journal::model::campaign::Receipts;
use crate::journal::model::key::State;
use crate::journal::model::state::ReceiptsFor;
use crate::journal::query::{
    CampaignReport, CampaignSummary, Counts, Doubt, OperationCount, Percentiles, Rejection, Strays,
};
use crate::wire::CommandStatus;
use crate::words::clock::Clock;
use crate::words::escape::escape_terminal;
use crate::words::format::{command, count, cut, duration, moment, number, percent, rate, wrapped};
use std::io::{self, Write};

/// Kinds of failure shown; the rest is summed up.
const KINDS_SHOWN: usize = 10;
/// Words of the SMSC shown of each status.
const REASONS_SHOWN: usize = 5;

/// What else than a campaign's own facts its page shows.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Whether a sender is running; `None`: not known.
    pub sender_running: Option<bool>,
    /// Receipts of the account that belong to nothing.
    pub strays: Strays,
    /// The journal's clock.
    pub now_ms: i64,
    /// Whose times are shown.
    pub clock: Clock,
    /// Columns of the terminal.
    pub width: usize,
    /// What the commands that are suggested need to find the journal, such as ` --journal other.db`; empty: nothing.
    pub journal_option: String,
    /// Why the journal's -wal file grows ([`crate::journal::files::wal::unfolded`]).
    pub unfolded: Option<String>,
}

/// Writes the page of a campaign.
pub fn write(out: &mut dyn Write, report: &CampaignReport, around: &Surroundings) -> Result<(), ReportError> {
    let width = around.width;
    let summary = &report.summary;
    let options = around.journal_option.as_str();
    writeln!(out, "Campaign {}", escape_terminal(&summary.campaign))?;
    heading(out, report, around)?;
    writeln!(out)?;
    states(out, width, &summary.counts, summary.receipts_asked)?;
    if summary.counts.of(State::Sending) > 0 && around.sender_running == Some(false) {
        wrapped(
            out,
            width,
            "  ",
            2,
            &format!("No sender is running; `{}` goes on.", command("smppost resume", &summary.campaign, options)),
        )?;
    }
    if report.sent_in_part > 0 {
        wrapped(out, width, "  ", 2, &in_part(&summary.campaign, report.sent_in_part, options))?;
    }
    doubts(out, width, (&summary.campaign, options), summary.counts.of(State::InDoubt), &report.doubts)?;
    rejections(out, width, &report.rejections)?;
    failures(out, report, width)?;
    receipts(out, report, around)?;
    times(out, report, width)?;
    statuses(out, report, width)?;
    grown(out, around)
}

/// Who keeps the journal's -wal file from being folded back.
fn grown(out: &mut dyn Write, around: &Surroundings) -> Result<(), ReportError> {
    match &around.unfolded {
        Some(words) => Ok(wrapped(out, around.width, "", 0, &format!("Note: {}", escape_terminal(words)))?),
        None => Ok(()),
    }
}

fn heading(out: &mut dyn Write, report: &CampaignReport, around: &Surroundings) -> io::Result<()> {
    let Surroundings { width, clock, .. } = around;
    let width = *width;
    let summary = &report.summary;
    let file = format!("{}, imported {}", escape_terminal(&summary.file), clock.moment(summary.imported_at));
    wrapped(out, width, "  file      ", 12, &file)?;
    let mut messages = number(summary.messages);
    if summary.parts != summary.messages {
        messages += &format!(" in {}", count(summary.parts, "part"));
    }
    let mut left_out = Vec::new();
    if summary.duplicate_rows > 0 {
        left_out.push(format!("{} left out", count(summary.duplicate_rows, "duplicate row")));
    }
    if summary.rejected_rows > 0 {
        left_out.push(format!("{} refused", count(summary.rejected_rows, "row")));
    }
    if !left_out.is_empty() {
        messages += &format!(" ({})", left_out.join(", "));
    }
    wrapped(out, width, "  messages  ", 12, &messages)?;
    if let (Some(first), Some(last)) = (summary.first_sent_at, summary.last_sent_at) {
        let throughput = &report.throughput;
        let mut sent = format!("{}, {}", clock.span(first, last), count(report.attempts, "attempt"));
        if let Some(per_second) = throughput.parts_per_second {
            sent += &format!(", {}/s overall", rate(per_second));
        }
        if let Some(per_second) = throughput.parts_per_second_sending
            && throughput.seconds_sending < throughput.seconds * 0.95
        {
            sent += &format!(", {}/s without pauses", rate(per_second));
        }
        wrapped(out, width, "  sent      ", 12, &sent)?;
    }
    if let Some(run) = report.runs.first() {
        let mut how = format!(
            "{} port {}, {}, rate {}, {}, window {}, bind {}",
            escape_terminal(&run.account),
            run.port,
            if run.tls { "TLS" } else { "no TLS" },
            run.rate,
            count(i64::from(run.connections), "connection"),
            run.window,
            run.bind
        );
        if report.runs.len() > 1 {
            how += &format!("; the last of {}", count(report.runs.len() as i64, "run"));
        }
        wrapped(out, width, "  as        ", 12, &how)?;
    }
    for added in &report.added_fields {
        let fields: Vec<String> = added.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let words =
            format!("{} for all that went after {}", escape_terminal(&fields.join(", ")), clock.moment(added.at));
        wrapped(out, width, "  added     ", 12, &words)?;
    }
    if let Some(at) = summary.cancelled_at {
        wrapped(out, width, "  cancelled ", 12, &clock.moment(at))?;
    }
    if let Some(at) = summary.purged_at {
        let words = format!("{}: its messages are deleted, and these totals are left", clock.moment(at));
        wrapped(out, width, "  purged    ", 12, &words)?;
    } else if let Some(at) = summary.pseudonymised_at {
        let words = format!("{}: its numbers are hashes, and its texts are deleted", clock.moment(at));
        wrapped(out, width, "  stripped  ", 12, &words)?;
    }
    let is_left = [State::Queued, State::Sending].iter().any(|state| summary.counts.of(*state) > 0);
    for stopped in report.stopped.iter().filter(|_| is_left) {
        let (label, what) = match stopped.event {
            "held" => ("  held      ", "since"),
            "paused" => ("  paused    ", "since"),
            _ => ("  paused    ", "all sending, since"),
        };
        let mut words = format!("{what} {}, by {}", clock.moment(stopped.at), escape_terminal(&stopped.who));
        if !stopped.reason.is_empty() {
            words += &format!(": {}", escape_terminal(&stopped.reason));
        }
        wrapped(out, width, label, 12, &words)?;
    }
    Ok(())
}

/// The messages by state, in words.
pub(super) fn states(out: &mut dyn Write, width: usize, counts: &Counts, receipts: Receipts) -> io::Result<()> {
    let total = counts.total();
    for state in State::ALL {
        let messages = counts.of(state);
        if messages > 0 {
            let share = percent(messages, total);
            let first = format!("  {:16} {:>11} {share:>8}  ", state_words(state), number(messages));
            wrapped(out, width, &first, if width < 70 { 4 } else { 40 }, meaning(state, receipts))?;
        }
    }
    Ok(())
}

/// What a state means.
pub(super) fn meaning(state: State, receipts: Receipts) -> &'static str {
    match state {
        State::Queued => "waiting to be sent",
        State::Sending => "on the way, or not wholly sent",
        State::Accepted => match receipts {
            Receipts::All => "taken, receipt outstanding",
            Receipts::Failures => "taken, receipts asked for failures only",
            Receipts::None => "taken, no receipts asked for",
        },
        State::Delivered => "delivered",
        State::PartlyDelivered => "some parts delivered, others not",
        State::Failed => match receipts {
            Receipts::All => "taken and not delivered, or given up",
            Receipts::Failures | Receipts::None => "not delivered, given up, or sent only in part",
        },
        State::Rejected => "refused by the SMSC",
        State::InDoubt => "sent and never answered: nobody can know",
        State::Cancelled => "cancelled before it was sent",
        State::Suppressed => "on the suppression list",
    }
}

/// What is in doubt, and what to do about it.
pub(super) fn doubts(
    out: &mut dyn Write,
    width: usize,
    (name, options): (&str, &str),
    messages: i64,
    first: &[Doubt],
) -> io::Result<()> {
    if messages == 0 {
        return Ok(());
    }
    writeln!(out, "\nIn doubt")?;
    for doubt in first {
        let place = format!("  line {}: {}  ", doubt.line, escape_terminal(&doubt.destination));
        wrapped(out, width, &place, 4, &escape_terminal(doubt.reason.as_deref().unwrap_or("")))?;
    }
    let more = messages - first.len() as i64;
    if more > 0 {
        wrapped(
            out,
            width,
            "  ",
            4,
            &format!("and {} more: {}", number(more), list_command(name, State::InDoubt, options)),
        )?;
    }
    wrapped(out, width, "  ", 2, &what_to_do_in_doubt(name, options))
}

/// What can be done about messages in doubt.
pub(super) fn what_to_do_in_doubt(name: &str, options: &str) -> String {
    format!("A receipt may still settle them (`smppost listen` waits for receipts). {}", how_to_decide(name, options))
}

/// The command that decides about messages in doubt.
pub(super) fn how_to_decide(name: &str, options: &str) -> String {
    let options = format!(" --resend|--assume-sent|--abandon{options}");
    format!("To decide: `{}`.", command("smppost resolve", name, &options))
}

/// That messages went out without their rest, and what tells which parts.
pub(crate) fn in_part(name: &str, messages: i64, options: &str) -> String {
    format!(
        "{} went out only in part, since the rest was refused, given up or cancelled: `{}`",
        count(messages, "message"),
        command("smppost report", name, &format!(" --attempts{options}"))
    )
}

/// What can be done about receipts that are outstanding.
pub(super) fn outstanding(messages: i64) -> String {
    format!("receipts of {} are outstanding: `smppost listen` waits for them", count(messages, "message"))
}

/// The command that lists the messages in a state. `options`: more of it, such as ` --journal other.db`.
pub(super) fn list_command(name: &str, state: State, options: &str) -> String {
    format!("`{}`", command("smppost report", name, &format!(" --state {}{options}", state.name())))
}

/// Rejected messages by reason, with advice.
pub(super) fn rejections(out: &mut dyn Write, width: usize, rejections: &[Rejection]) -> io::Result<()> {
    if rejections.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nRejected, by the SMSC's reason")?;
    for rejection in rejections.iter().take(KINDS_SHOWN) {
        let status = CommandStatus(rejection.command_status);
        let first = format!("  {:>9}  ", number(rejection.messages));
        wrapped(out, width, &first, 13, &format!("{status}: {}", rejection.meaning))?;
        if !rejection.advice.is_empty() {
            wrapped(out, width, "             ", 13, rejection.advice)?;
        }
        for said in rejection.reasons.iter().take(REASONS_SHOWN) {
            let words =
                format!("{} x the SMSC says: {}", number(said.messages), cut(&escape_terminal(&said.reason), 200));
            wrapped(out, width, "             ", 15, &words)?;
        }
        if rejection.reasons.len() > REASONS_SHOWN {
            writeln!(out, "             and other words")?;
        }
    }
    let rest: i64 = rejections.iter().skip(KINDS_SHOWN).map(|rejection| rejection.messages).sum();
    if rest > 0 { writeln!(out, "  {:>9}  for other reasons", number(rest)) } else { Ok(()) }
}

fn failures(out: &mut dyn Write, report: &CampaignReport, width: usize) -> io::Result<()> {
    if report.failures.is_empty() {
        return Ok(());
    }
    let multipart = report.summary.parts != report.summary.messages;
    let by = if report.failures.iter().all(|failure| failure.state != "ABANDONED") { ", by receipt" } else { "" };
    writeln!(out, "\nNot delivered{by}{}", if multipart { " (parts)" } else { "" })?;
    for failure in report.failures.iter().take(KINDS_SHOWN) {
        let mut words = failure.state.clone();
        if let Some(error) = &failure.error {
            let what = if failure.state == "ABANDONED" { "" } else { "error " };
            words += &format!(", {what}{}", cut(&escape_terminal(error), 80));
            if let Some(meaning) = &failure.meaning {
                words += &format!(" ({})", escape_terminal(meaning));
            }
        }
        wrapped(out, width, &format!("  {:>9}  ", number(failure.parts)), 13, &words)?;
    }
    let rest: i64 = report.failures.iter().skip(KINDS_SHOWN).map(|failure| failure.parts).sum();
    if rest > 0 { writeln!(out, "  {:>9}  otherwise", number(rest)) } else { Ok(()) }
}

fn receipts(out: &mut dyn Write, report: &CampaignReport, around: &Surroundings) -> io::Result<()> {
    let width = around.width;
    let options = around.journal_option.as_str();
    let outstanding = &report.outstanding_receipts;
    let Strays { unmatched, ambiguous } = around.strays;
    if report.receipts.is_empty() && outstanding.messages == 0 && unmatched + ambiguous == 0 {
        return Ok(());
    }
    writeln!(out, "\nReceipts")?;
    let matched: i64 = report.receipts.iter().map(|rule| rule.receipts).sum();
    if matched > 0 {
        let rules: Vec<_> =
            report.receipts.iter().map(|rule| format!("{} by {}", number(rule.receipts), rule.rule)).collect();
        wrapped(out, width, "  matched      ", 15, &rules.join(", "))?;
    }
    if outstanding.messages > 0 {
        let mut words = count(outstanding.messages, "message");
        if let Some(oldest) = outstanding.oldest_answered_at {
            words += &format!(", the oldest for {}", duration((around.now_ms - oldest.0).max(0)));
        }
        wrapped(out, width, "  outstanding  ", 15, &words)?;
    }
    if !report.not_final.is_empty() {
        wrapped(out, width, "  not final    ", 15, &so_far(report))?;
    }
    if report.contradictory_receipts > 0 {
        let words = format!(
            "{} whose TLV message_state and text tell different states: `--receipt-state tlv|text` says which holds, for              receipts to come; `{}` shows both",
            count(report.contradictory_receipts, "receipt"),
            command("smppost report", &report.summary.campaign, &format!(" --receipts{options}"))
        );
        wrapped(out, width, "  differing    ", 15, &words)?;
    }
    if let Some(part) = report.receipts_only_for {
        let words = receipts_only_for(&report.summary.campaign, part, options);
        wrapped(out, width, "  parts        ", 15, &words)?;
    }
    if report.possible_duplicates > 0 {
        let words = format!(
            "{} may have arrived twice: more than one try was taken or never answered, or one was that had been given up",
            count(report.possible_duplicates, "message")
        );
        wrapped(out, width, "  duplicates   ", 15, &words)?;
    }
    if unmatched > 0 {
        let words = format!(
            "{} in this journal belong to no message: `smppost report --unmatched{options}`",
            number(unmatched)
        );
        wrapped(out, width, "  unmatched    ", 15, &words)?;
    }
    if ambiguous > 0 {
        let words = format!(
            "{} in this journal fit several messages: `smppost report --unmatched{options}`",
            number(ambiguous)
        );
        wrapped(out, width, "  ambiguous    ", 15, &words)?;
    }
    Ok(())
}

/// What to do where receipts come for one part of long messages only.
pub(super) fn receipts_only_for(name: &str, part: ReceiptsFor, options: &str) -> String {
    let part = if part == ReceiptsFor::First { "first" } else { "last" };
    format!(
        "receipts seem to come only for the {part} part of long messages: to let it count for all, `{}`",
        command("smppost resolve", name, &format!(" --receipts-for {part}{options}"))
    )
}

/// What receipts say of parts that wait for a final one.
fn so_far(report: &CampaignReport) -> String {
    let parts: i64 = report.not_final.iter().map(|kind| kind.parts).sum();
    let mut kinds: Vec<String> = Vec::new();
    for kind in report.not_final.iter().take(KINDS_SHOWN) {
        let error =
            kind.error.as_deref().map_or_else(String::new, |error| format!(" ({})", cut(&escape_terminal(error), 40)));
        let meaning = kind.meaning.as_deref().map_or_else(String::new, |words| format!(", {}", escape_terminal(words)));
        kinds.push(format!("{} {}{error}{meaning}", number(kind.parts), kind.state));
    }
    if report.not_final.len() > KINDS_SHOWN {
        kinds.push("and others".into());
    }
    let mut words = format!("{} told so far, none of it final: {}", count(parts, "part"), kinds.join(", "));
    if report.not_final.iter().any(|kind| kind.state == "UNKNOWN") {
        words += "; what a word or code of this SMSC means, `--receipt-codes BLACKLST=REJECTED,10=EXPIRED` says, for receipts \
                  to come";
    }
    words
}

fn times(out: &mut dyn Write, report: &CampaignReport, width: usize) -> io::Result<()> {
    let (answers, deliveries) = (&report.latency.answer_ms, &report.latency.delivery_s);
    if answers.count + deliveries.count == 0 {
        return Ok(());
    }
    writeln!(out, "\nTimes")?;
    if answers.count > 0 {
        wrapped(out, width, "  to the answer    ", 4, &percentiles(answers, |ms| ms as i64))?;
    }
    if deliveries.count > 0 {
        wrapped(out, width, "  to the delivery  ", 4, &percentiles(deliveries, |s| (s * 1_000.0) as i64))?;
    }
    Ok(())
}

fn percentiles<T: Copy>(of: &Percentiles<T>, ms: impl Fn(T) -> i64) -> String {
    let show = |value: Option<T>| value.map_or_else(String::new, |value| duration(ms(value)));
    let (p50, p95, p99, max) = (show(of.p50), show(of.p95), show(of.p99), show(of.max));
    format!("half within {p50}, 95 % {p95}, 99 % {p99}, all {max}")
}

fn statuses(out: &mut dyn Write, report: &CampaignReport, width: usize) -> Result<(), ReportError> {
    if !report.statuses.iter().any(|status| status.command_status != 0) {
        return Ok(());
    }
    writeln!(out, "\nAnswers, of all attempts")?;
    let mut statuses: Vec<_> = report.statuses.iter().collect();
    statuses.sort_by_key(|status| (-status.attempts, status.command_status));
    for status in statuses.iter().take(KINDS_SHOWN) {
        let words = format!("{}: {}", CommandStatus(status.command_status), status.meaning);
        wrapped(out, width, &format!("  {:>9}  ", number(status.attempts)), 13, &words)?;
    }
    let rest: i64 = statuses.iter().skip(KINDS_SHOWN).map(|status| status.attempts).sum();
    if rest > 0 {
        writeln!(out, "  {:>9}  others", number(rest))?;
    }
    Ok(())
}

/// Writes the list of campaigns: a line each where the terminal is wide enough, else a few.
pub fn write_list(
    out: &mut dyn Write,
    campaigns: &[CampaignSummary],
    around: &Surroundings,
) -> Result<(), ReportError> {
    if campaigns.is_empty() {
        writeln!(out, "No campaigns yet: `smppost import` or `smppost send` a CSV file.")?;
        return Ok(());
    }
    let (titles, rows) = list_cells(campaigns);
    let mut widths: Vec<usize> = titles.iter().map(|title| title.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let names = campaigns.iter().map(|campaign| escape_terminal(&campaign.campaign).chars().count()).max();
    let names = names.unwrap_or(0).max("campaign".len());
    // The last column, a time, is left out first; of the numbers all are shown, or there is a block for each campaign.
    let fits = |columns: usize| names + widths[..columns].iter().map(|width| width + 2).sum::<usize>() <= around.width;
    if let Some(columns) = [titles.len(), titles.len() - 1].into_iter().find(|&columns| fits(columns)) {
        let line = |name: &str, cells: &[&str]| {
            let cells: String = cells.iter().zip(&widths).map(|(cell, &width)| format!("  {cell:>width$}")).collect();
            format!("{name:names$}{cells}")
        };
        let titles: Vec<&str> = titles.iter().take(columns).map(String::as_str).collect();
        writeln!(out, "{}", line("campaign", &titles).trim_end())?;
        for (campaign, row) in campaigns.iter().zip(&rows) {
            let cells: Vec<&str> = row.iter().take(columns).map(String::as_str).collect();
            writeln!(out, "{}", line(&escape_terminal(&campaign.campaign), &cells).trim_end())?;
        }
    } else {
        for (campaign, row) in campaigns.iter().zip(&rows) {
            writeln!(out, "{}", escape_terminal(&campaign.campaign))?;
            for (title, cell) in titles.iter().zip(row).filter(|(_, cell)| !cell.is_empty() && *cell != "0") {
                writeln!(out, "  {title:16}  {cell}")?;
            }
        }
    }
    let sending = campaigns.iter().any(|campaign| campaign.counts.of(State::Sending) > 0);
    if sending && around.sender_running == Some(false) {
        let words = format!("No sender is running; `smppost resume{}` goes on.", around.journal_option);
        wrapped(out, around.width, "", 0, &words)?;
    }
    grown(out, around)
}

/// Columns that are there even where they are all 0.
const ALWAYS_LISTED: [State; 6] =
    [State::Queued, State::Accepted, State::Delivered, State::Failed, State::Rejected, State::InDoubt];

/// Titles and cells of the list: the messages, as many of them as are in each state, so that a row adds up, and when the
/// last was sent.
fn list_cells(campaigns: &[CampaignSummary]) -> (Vec<String>, Vec<Vec<String>>) {
    let is_listed = |state: &State| {
        ALWAYS_LISTED.contains(state) || campaigns.iter().any(|campaign| campaign.counts.of(*state) > 0)
    };
    let states: Vec<State> = State::ALL.into_iter().filter(is_listed).collect();
    let mut titles = vec!["messages".to_owned()];
    titles.extend(states.iter().map(|&state| state_words(state)));
    titles.push("last sent (UTC)".to_owned());
    let row = |campaign: &CampaignSummary| {
        let mut cells = vec![number(campaign.messages)];
        cells.extend(states.iter().map(|&state| number(campaign.counts.of(state))));
        cells.push(campaign.last_sent_at.map_or_else(String::new, moment));
        cells
    };
    (titles, campaigns.iter().map(row).collect())
}

/// What was asked of the SMSC about a campaign's messages, in a line.
pub fn operations(
    out: &mut dyn Write,
    name: &str,
    counts: &[OperationCount],
    around: &Surroundings,
) -> Result<(), ReportError> {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nAsked of the SMSC")?;
    let words: Vec<String> =
        counts.iter().map(|of| format!("{} {} {}", number(of.operations), of.operation, of.outcome)).collect();
    let after = format!(" --operations{}", around.journal_option);
    let words = format!("{}: `{}`", words.join(", "), command("smppost report", name, &after));
    wrapped(out, around.width, "  ", 2, &words)?;
    Ok(())
}
