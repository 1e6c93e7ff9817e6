//! What was refused, was not delivered or is in doubt, what receipts say, and what to do about it.

use super::Around;
use super::markup::Html;
use crate::journal::model::key::State;
use crate::journal::query::{CampaignPage, Failure};
use crate::journal::store::names::ProfileNames;
use crate::report::{explain_error, page};
use crate::wire::CommandStatus;
use crate::words::format::{command, count, duration, number, percent};

/// Kinds of refusals, failures and answers that are shown each.
const KINDS_SHOWN: usize = 50;
/// So many of them with all that is known; the others in a line.
const KINDS_EXPLAINED: usize = 8;
/// What the SMSC says of each, at most.
const REASONS_SHOWN: usize = 5;

/// The first messages in doubt, and what to do.
pub fn in_doubt(html: &mut Html, page: &CampaignPage, around: &Around) {
    let summary = &page.report.summary;
    let messages = summary.counts.of(State::InDoubt);
    if messages == 0 {
        return;
    }
    html.raw("<section>\n<h2>In doubt</h2>\n<p>");
    html.words(&format!(
        "{} went out, or may have, and no answer came: nobody can know whether the SMSC has them. Sent again, they may arrive \
         twice; not sent again, they may never arrive. {}",
        count(messages, "message"),
        page::what_to_do_in_doubt(&summary.campaign, &around.journal_option)
    ));
    html.raw("</p>\n").table("The first messages in doubt", &[("Line", true), ("Number", false), ("Why", false)]);
    for doubt in &page.report.doubts {
        html.raw("<tr><td class=\"n\">")
            .number(doubt.line)
            .raw("</td><td>")
            .foreign(&doubt.destination)
            .raw("</td><td>");
        html.foreign(doubt.reason.as_deref().unwrap_or("")).raw("</td></tr>\n");
    }
    html.end_table();
    let more = messages - page.report.doubts.len() as i64;
    if more > 0 {
        let list = page::list_command(&summary.campaign, State::InDoubt, &around.journal_option);
        html.raw("<p>").words(&format!("And {} more: {list}", number(more))).raw("</p>\n");
    }
    html.raw("</section>\n");
}

/// Refused messages by what the SMSC said, with advice.
pub fn refusals(html: &mut Html, page: &CampaignPage, around: &Around) {
    let rejections = &page.report.rejections;
    if rejections.is_empty() {
        return;
    }
    html.raw("<section>\n<h2>Refused, by the SMSC’s reason</h2>\n");
    for rejection in rejections.iter().take(KINDS_EXPLAINED) {
        html.raw("<div class=\"kind rejected\"><h3>").text(&count(rejection.messages, "message")).raw(" · ");
        html.text(&CommandStatus(rejection.command_status).to_string()).raw("</h3>\n<p>").text(rejection.meaning);
        html.raw("</p>\n");
        if !rejection.advice.is_empty() {
            html.raw("<p class=\"soft\">").words(rejection.advice).raw("</p>\n");
        }
        for said in rejection.reasons.iter().take(REASONS_SHOWN) {
            html.raw("<p>").number(said.messages).raw(" × the SMSC says: ").foreign(&said.reason).raw("</p>\n");
        }
        first_lines(html, page, &rejection.first, rejection.messages);
        html.raw("</div>\n");
    }
    let others = rejections.iter().take(KINDS_SHOWN).skip(KINDS_EXPLAINED).map(|rejection| {
        let status = CommandStatus(rejection.command_status).to_string();
        (rejection.messages, format!("{status}: {}", rejection.meaning))
    });
    lines(html, "Refused for other reasons", "Messages", others);
    let rest: i64 = rejections.iter().skip(KINDS_SHOWN).map(|rejection| rejection.messages).sum();
    if rest > 0 {
        let kinds = (rejections.len() - KINDS_SHOWN) as i64;
        html.raw("<p>")
            .text(&format!("{} for {}", count(rest, "message"), count(kinds, "other reason")))
            .raw(".</p>\n");
    }
    let list = page::list_command(&page.report.summary.campaign, State::Rejected, &around.journal_option);
    html.raw("<p>").words(&format!("All of them: {list}")).raw("</p>\n</section>\n");
}

/// Kinds of trouble in a line each; nothing where there are none.
fn lines(html: &mut Html, caption: &str, what: &'static str, of: impl ExactSizeIterator<Item = (i64, String)>) {
    if of.len() == 0 {
        return;
    }
    html.table(caption, &[(what, true), ("Reason", false)]);
    for (n, words) in of {
        html.raw("<tr><td class=\"n\">").number(n).raw("</td><td>").foreign(&words).raw("</td></tr>\n");
    }
    html.end_table();
}

fn first_lines(html: &mut Html, page: &CampaignPage, parts: &[i64], of: i64) {
    let mut last = None;
    let mut begun = false;
    for line in parts.iter().filter_map(|part| page.lines.get(part)) {
        // Parts of one message.
        if last == Some(line.line) {
            continue;
        }
        last = Some(line.line);
        html.raw(if begun { ", " } else { "<p class=\"small\">" });
        begun = true;
        html.text("line ").number(line.line).raw(" (").foreign(&line.destination).raw(")");
    }
    if begun {
        html.text(if of > parts.len() as i64 { ", …" } else { "" }).raw("</p>\n");
    }
}

/// Parts that were taken and not delivered, by what their receipts say.
pub fn failures(html: &mut Html, page: &CampaignPage, around: &Around) {
    let failures = &page.report.failures;
    if failures.is_empty() {
        return;
    }
    html.raw("<section>\n<h2>Not delivered, by receipt</h2>\n");
    for failure in failures.iter().take(KINDS_EXPLAINED) {
        html.raw("<div class=\"kind failed\"><h3>").text(&count(failure.parts, "part")).raw(" · ").text(&failure.state);
        if let Some(error) = &failure.error {
            html.text(if failure.state == "ABANDONED" { ", " } else { ", error " }).foreign(error);
        }
        html.raw("</h3>\n");
        if let Some(words) = meaning(failure) {
            html.raw("<p>").foreign(&words).raw("</p>\n");
        }
        if let Some(advice) = advice(&failure.state) {
            html.raw("<p class=\"soft\">").words(advice).raw("</p>\n");
        }
        first_lines(html, page, &failure.first, failure.parts);
        html.raw("</div>\n");
    }
    let others = failures.iter().take(KINDS_SHOWN).skip(KINDS_EXPLAINED).map(|failure| {
        let error = failure.error.as_deref().map_or_else(String::new, |error| format!(", error {error}"));
        let meaning = meaning(failure).map_or_else(String::new, |words| format!(" ({words})"));
        (failure.parts, format!("{}{error}{meaning}", failure.state))
    });
    lines(html, "Not delivered otherwise", "Parts", others);
    let rest: i64 = failures.iter().skip(KINDS_SHOWN).map(|failure| failure.parts).sum();
    if rest > 0 {
        let kinds = (failures.len() - KINDS_SHOWN) as i64;
        html.raw("<p>").text(&format!("{} for {}", count(rest, "part"), count(kinds, "other reason"))).raw(".</p>\n");
    }
    let list = page::list_command(&page.report.summary.campaign, State::Failed, &around.journal_option);
    html.raw("<p>").words(&format!("All messages that failed: {list}")).raw("</p>\n</section>\n");
}

/// What an error means: by the profile, else in the networks that most SMSCs hand errors on from.
fn meaning(failure: &Failure) -> Option<String> {
    if failure.meaning.is_some() {
        return failure.meaning.clone();
    }
    let error = failure.error.as_deref().filter(|_| failure.state != "ABANDONED")?;
    let explained = explain_error::explain(error, &ProfileNames::default());
    let words = explained.decimal.or(explained.hexadecimal).filter(|words| *words != "no error")?;
    Some(format!("at many SMSCs: {words}"))
}

fn advice(state: &str) -> Option<&'static str> {
    Some(match state {
        "EXPIRED" => "The handset was not reached in time: it was off or out of coverage. Later it may be.",
        "UNDELIVERABLE" => {
            "The network gave up. The error says why, where the provider tells; `smppost explain err:CODE` knows the usual ones."
        }
        "REJECTED" => "The network or the recipient’s operator refused it, often for its sender or its text.",
        "DELETED" => "It was cancelled at the SMSC.",
        "UNKNOWN" => "The SMSC does not know what became of it.",
        "ABANDONED" => "Given up by a decision: no answer had come.",
        _ => return None,
    })
}

/// Receipts: by which rules they were matched, what is outstanding, what they contradict.
pub fn receipts(html: &mut Html, page: &CampaignPage, around: &Around) {
    let report = &page.report;
    let outstanding = &report.outstanding_receipts;
    if report.receipts.is_empty() && outstanding.messages == 0 {
        return;
    }
    let name = &report.summary.campaign;
    html.raw("<section>\n<h2>Receipts</h2>\n");
    let matched: i64 = report.receipts.iter().map(|rule| rule.receipts).sum();
    if matched > 0 {
        html.table(
            "By which rule receipts were given to messages",
            &[("Rule", false), ("Receipts", true), ("Share", true)],
        );
        for rule in &report.receipts {
            html.row(rule.rule, &[&number(rule.receipts), &percent(rule.receipts, matched)]);
        }
        html.end_table();
    }
    html.raw("<dl class=\"facts\">\n");
    if outstanding.messages > 0 {
        let mut words = count(outstanding.messages, "message");
        if let Some(oldest) = outstanding.oldest_answered_at {
            words += &format!(", the oldest for {}", duration((around.now.0 - oldest.0).max(0)));
        }
        html.fact("Outstanding", &words);
    }
    if !report.not_final.is_empty() {
        html.raw("<dt>Not final</dt><dd>");
        for (n, kind) in report.not_final.iter().take(KINDS_SHOWN).enumerate() {
            html.text(if n > 0 { ", " } else { "" }).number(kind.parts).raw(" ").text(&kind.state);
            if let Some(error) = &kind.error {
                html.raw(" (").foreign(error).raw(")");
            }
        }
        html.text(if report.not_final.len() > KINDS_SHOWN { " and others" } else { "" }).raw("</dd>\n");
    }
    if report.contradictory_receipts > 0 {
        let words = format!(
            "{} whose TLV message_state and text tell different states: `{}` shows both",
            number(report.contradictory_receipts),
            command("smppost report", name, &format!(" --receipts{}", around.journal_option))
        );
        html.fact("Differing", &words);
    }
    if report.possible_duplicates > 0 {
        html.fact("May have arrived twice", &count(report.possible_duplicates, "message"));
    }
    html.raw("</dl>\n</section>\n");
}

/// All answers, where some refuse or ask for patience.
pub fn answers(html: &mut Html, page: &CampaignPage) {
    let statuses = &page.report.statuses;
    if !statuses.iter().any(|status| status.command_status != 0) {
        return;
    }
    html.raw("<section>\n<h2>Answers of all attempts</h2>\n");
    html.table("Answers by command_status", &[("Answers", true), ("Status", false), ("Meaning", false)]);
    let mut statuses: Vec<_> = statuses.iter().collect();
    statuses.sort_by_key(|status| (-status.attempts, status.command_status));
    for status in statuses.iter().take(KINDS_SHOWN) {
        html.raw("<tr><td class=\"n\">").number(status.attempts).raw("</td><td>");
        html.text(&CommandStatus(status.command_status).to_string()).raw("</td><td>").text(status.meaning);
        html.raw("</td></tr>\n");
    }
    let rest: i64 = statuses.iter().skip(KINDS_SHOWN).map(|status| status.attempts).sum();
    if rest > 0 {
        html.raw("<tr><td class=\"n\">").number(rest).raw("</td><td>others</td><td></td></tr>\n");
    }
    html.end_table().raw("</section>\n");
}
