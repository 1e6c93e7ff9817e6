//! How the messages stand, what is to be done, where they went, what they cost, and how they were sent.

use super::Around;
use super::chart;
use super::markup::Html;
use crate::journal::model::key::State;
use crate::journal::query::{CampaignPage, Counts, Shares};
use crate::message::prices::{Amount, Bill};
use crate::report::page;
use crate::report::rows::state_words;
use crate::words::format::{command, count, cut, duration, number, percent, rate};

/// Countries, or senders, that are shown each.
const SHARES_SHOWN: usize = 40;
/// Countries of a bill that are shown each.
const BILL_LINES_SHOWN: usize = 60;
/// Characters of an option's value, a file or an account at most.
const VALUE_MAX: usize = 120;

/// The messages by state, as a bar and as a table.
pub fn states(html: &mut Html, page: &CampaignPage) {
    let summary = &page.report.summary;
    html.raw("<section>\n<h2>How the messages stand</h2>\n");
    if summary.messages == 0 {
        html.raw("<p>There are none.</p>\n</section>\n");
        return;
    }
    let total = summary.counts.total();
    chart::states(html, "states", "Messages by state", &summary.counts);
    html.raw(
        "<table><caption>Messages by state</caption><thead><tr><th scope=\"col\">State</th><th scope=\"col\" \
         class=\"n\">Messages</th><th scope=\"col\" class=\"n\">Share</th><th scope=\"col\" class=\"meaning\">Meaning</th></tr>\
         </thead><tbody>\n",
    );
    for state in chart::ORDER.into_iter().filter(|&state| summary.counts.of(state) > 0) {
        let messages = summary.counts.of(state);
        html.raw("<tr><th scope=\"row\"><span").attribute("class", &format!("swatch {}", chart::fill(state)));
        html.raw("></span>").text(&state_words(state)).raw("</th><td class=\"n\">").number(messages);
        html.raw("</td><td class=\"n\">").text(&percent(messages, total)).raw("</td><td class=\"meaning soft\">");
        html.text(page::meaning(state, summary.receipts_asked)).raw("</td></tr>\n");
    }
    html.raw("</tbody></table>\n</section>\n");
}

/// What can be done, each as a command.
pub fn to_do(html: &mut Html, page: &CampaignPage, around: &Around) {
    let report = &page.report;
    let summary = &report.summary;
    let (name, options) = (summary.campaign.as_str(), around.journal_option.as_str());
    let of = |state| summary.counts.of(state);
    let mut list: Vec<String> = Vec::new();
    let is_open = of(State::Queued) + of(State::Sending) > 0 && summary.cancelled_at.is_none();
    if is_open && around.sender_running != Some(true) {
        let verb = if of(State::Queued) == summary.messages { "sends it" } else { "goes on" };
        let how = match around.sender_running {
            None => "Where no sender is running, ",
            Some(_) => "No sender is running: ",
        };
        list.push(format!("{how}`{}` {verb}.", command("smppost resume", name, options)));
    }
    if of(State::InDoubt) > 0 {
        list.push(format!("In doubt: {}", page::what_to_do_in_doubt(name, options)));
    }
    if report.outstanding_receipts.messages > 0 && around.sender_running != Some(true) {
        list.push(format!("{}.", page::outstanding(report.outstanding_receipts.messages)));
    }
    if let Some(part) = report.receipts_only_for {
        list.push(format!("{}.", page::receipts_only_for(name, part, options)));
    }
    if report.sent_in_part > 0 {
        list.push(format!("{}.", page::in_part(name, report.sent_in_part, options)));
    }
    if of(State::Rejected) > 0 {
        let again = command("smppost resume", name, &format!(" --retry-rejected{options}"));
        list.push(format!("Refused: when the cause is fixed, `{again}` queues them once more."));
    }
    if of(State::Failed) > 0 {
        let again = command("smppost resume", name, &format!(" --retry-failed{options}"));
        list.push(format!("Not delivered: `{again}` sends them again, as new attempts."));
    }
    if summary.rejected_rows > 0 {
        let after = format!(" --rejected-rows --format file{options}");
        let rows = command("smppost report", name, &after);
        list.push(format!("Rows that were refused at import: `{rows}` gives them back, to be corrected."));
    }
    if page.strays.unmatched + page.strays.ambiguous > 0 {
        list.push(format!(
            "{} in this journal belong to no message that is known: `smppost report --unmatched{options}` lists them.",
            count(page.strays.unmatched + page.strays.ambiguous, "receipt")
        ));
    }
    if list.is_empty() {
        return;
    }
    html.raw("<section>\n<h2>What can be done</h2>\n<ul class=\"todo\">\n");
    for words in list {
        let mut letters = words.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        html.raw("<li>").words(&first).words(letters.as_str()).raw("</li>\n");
    }
    html.raw("</ul>\n</section>\n");
}

/// Messages by country and by sender.
pub fn shares(html: &mut Html, page: &CampaignPage) {
    if page.report.summary.messages == 0 {
        return;
    }
    html.raw("<section>\n<h2>By country and sender</h2>\n");
    table(html, "Messages by country, as their numbers begin", "Country", "no country code", &page.countries);
    table(html, "Messages by sender", "Sender", "the SMSC’s default", &page.senders);
    html.raw("</section>\n");
}

fn table(html: &mut Html, caption: &str, what: &'static str, none: &str, shares: &Shares) {
    let columns = [
        (what, false),
        ("How they stand", false),
        ("Messages", true),
        ("Delivered", true),
        ("Refused or not delivered", true),
    ];
    html.table(caption, &columns);
    let line = |html: &mut Html, name: &str, is_foreign: bool, counts: &Counts| {
        html.raw("<tr><th scope=\"row\">");
        if is_foreign {
            html.foreign(name)
        } else {
            html.text(name)
        };
        html.raw("</th><td class=\"bar\">");
        let total = counts.total();
        let title =
            format!("{}: {} of {} delivered", cut(name, 40), number(counts.of(State::Delivered)), number(total));
        chart::states(html, "mini", &title, counts);
        let bad = counts.of(State::Rejected) + counts.of(State::Failed) + counts.of(State::PartlyDelivered);
        for cell in [number(total), percent(counts.of(State::Delivered), total), percent(bad, total)] {
            html.raw("</td><td class=\"n\">").text(&cell);
        }
        html.raw("</td></tr>\n");
    };
    for share in shares.each.iter().take(SHARES_SHOWN) {
        match share.name.as_str() {
            "" => line(html, none, false, &share.counts),
            name => line(html, name, true, &share.counts),
        }
    }
    let mut rest = shares.others;
    shares.each.iter().skip(SHARES_SHOWN).for_each(|share| rest.add(&share.counts));
    if rest.total() > 0 {
        let more = shares.each.len().saturating_sub(SHARES_SHOWN) as i64;
        let and = if shares.others.total() > 0 { " and more" } else { "" };
        line(html, &format!("{} others{and}", number(more)), false, &rest);
    }
    html.end_table();
}

/// What it cost, where prices are known.
pub fn cost(html: &mut Html, page: &CampaignPage, around: &Around) {
    let Some((sent, left)) = &page.bills else { return };
    html.raw("<section>\n<h2>Cost</h2>\n<p>");
    html.words(&format!("What was sent costs {} {}", sent.total, around.currency));
    if left.total > Amount(0) {
        html.words(&format!("; what is queued, {} {} more", left.total, around.currency));
    }
    if let Some(max) = around.max_cost {
        html.words(&format!(". It may cost {max} {} at most", around.currency));
    }
    html.raw(". Each message counts once, with all of its parts.</p>\n");
    bill(html, "Cost of what was sent", sent, &around.currency);
    if left.total > Amount(0) {
        bill(html, "Cost of what is queued", left, &around.currency);
    }
    html.raw("</section>\n");
}

fn bill(html: &mut Html, caption: &str, bill: &Bill, currency: &str) {
    html.table(caption, &[("Country", false), ("Messages", true), ("SMS", true), ("Amount", true)]);
    let lines = bill.by_country();
    for line in lines.iter().take(BILL_LINES_SHOWN) {
        let amount = format!("{} {currency}", line.amount);
        html.row(&line.country, &[&number(line.messages as i64), &number(line.sms as i64), &amount]);
    }
    let rest = lines.iter().skip(BILL_LINES_SHOWN);
    let (n, amount) = rest.fold((0, Amount(0)), |(n, sum), line| (n + line.messages, sum.plus(line.amount)));
    if n > 0 {
        html.row("others", &[&number(n as i64), "", &format!("{amount} {currency}")]);
    }
    html.end_table();
    if bill.unpriced > 0 {
        html.raw("<p class=\"small\">").text(&format!(
            "No prefix prices {} ({}): counted as the dearest.",
            count(bill.unpriced as i64, "message"),
            cut(&bill.unpriced_numbers.join(", "), VALUE_MAX)
        ));
        html.raw("</p>\n");
    }
}

/// Its file, how it was sent, and its runs.
pub fn how(html: &mut Html, page: &CampaignPage, around: &Around) {
    let report = &page.report;
    let summary = &report.summary;
    let clock = &around.clock;
    html.raw("<section>\n<h2>How it was sent</h2>\n<dl class=\"facts\">\n<dt>File</dt><dd>").foreign(&summary.file);
    html.text(&format!(", imported {}", clock.moment(summary.imported_at))).raw("</dd>\n");
    let mut messages = count(summary.messages, "message");
    if summary.parts != summary.messages {
        messages += &format!(" in {}", count(summary.parts, "part"));
    }
    if summary.duplicate_rows > 0 {
        messages += &format!("; {} left out", count(summary.duplicate_rows, "duplicate row"));
    }
    if summary.rejected_rows > 0 {
        messages += &format!("; {} refused", count(summary.rejected_rows, "row"));
    }
    html.fact("Messages", &messages);
    if report.attempts > 0 {
        let throughput = &report.throughput;
        let mut words = count(report.attempts, "attempt");
        if let Some(per_second) = throughput.parts_per_second {
            words += &format!(", {}/s overall", rate(per_second));
        }
        if let Some(per_second) = throughput.parts_per_second_sending
            && throughput.seconds_sending < throughput.seconds * 0.95
        {
            words += &format!(", {}/s without pauses", rate(per_second));
        }
        html.fact("Sending", &words);
    }
    for added in &report.added_fields {
        let fields: Vec<String> = added.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        html.raw("<dt>Added fields</dt><dd>").foreign(&fields.join(", "));
        html.text(&format!(" for all that went after {}", clock.moment(added.at))).raw("</dd>\n");
    }
    if let Some(at) = summary.cancelled_at {
        html.fact("Cancelled", &clock.moment(at));
    }
    if let Some(at) = summary.purged_at {
        html.fact("Purged", &format!("{}: its messages are deleted, and these totals are left", clock.moment(at)));
    }
    let is_left = [State::Queued, State::Sending].iter().any(|state| summary.counts.of(*state) > 0);
    for stopped in report.stopped.iter().filter(|_| is_left) {
        html.raw(if stopped.event == "held" { "<dt>Held</dt><dd>" } else { "<dt>Paused</dt><dd>" });
        let what = if stopped.event == "all paused" { "all sending, " } else { "" };
        html.text(&format!("{what}since {}, by ", clock.moment(stopped.at))).foreign(&stopped.who);
        if !stopped.reason.is_empty() {
            html.text(": ").foreign(&stopped.reason);
        }
        html.raw("</dd>\n");
    }
    for asked in &page.operations {
        let words = format!("{} {} {}", number(asked.operations), asked.operation, asked.outcome);
        html.fact("Asked of the SMSC", &words);
    }
    html.raw("</dl>\n");
    if !page.skipped.is_empty() {
        html.table("The first rows of the file that were refused", &[("Line", true), ("Why", false)]);
        for row in &page.skipped {
            html.raw("<tr><td class=\"n\">").number(row.line).raw("</td><td>").foreign(&row.reason).raw("</td></tr>\n");
        }
        html.end_table();
    }
    if !report.runs.is_empty() {
        html.table("Runs, the newest first", &[("Began", false), ("Took", true), ("As", false), ("How", false)]);
        for run in &report.runs {
            html.raw("<tr><th scope=\"row\">").text(&clock.moment(run.started_at)).raw("</th><td class=\"n\">");
            html.text(
                &run.ended_at.map_or_else(|| "not ended".into(), |end| duration((end.0 - run.started_at.0).max(0))),
            );
            html.raw("</td><td>").foreign(&cut(&run.account, VALUE_MAX)).raw("</td><td>").foreign(&format!(
                "{} port {}, {}, {}, window {}, bind {}, rate {}",
                cut(&run.host, VALUE_MAX),
                run.port,
                if run.tls { "TLS" } else { "no TLS" },
                count(i64::from(run.connections), "connection"),
                run.window,
                run.bind,
                run.rate
            ));
            html.raw("</td></tr>\n");
        }
        html.end_table();
    }
    html.raw("</section>\n");
}
