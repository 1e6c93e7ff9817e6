//! A campaign on a page for a browser: one file that needs nothing else, neither network nor script, light or dark, on paper
//! and on a phone. Pure: facts in, HTML out, of bounded length whatever the campaign.
//!
//! [`markup`] is the only way to make HTML here, and escapes what is no literal; [`chart`] draws, [`verdict`] says how it
//! stands in a sentence; [`what`], [`times`] and [`trouble`] are the sections.

mod chart;
mod markup;
mod times;
mod trouble;
mod verdict;
mod what;

use crate::journal::model::key::State;
use crate::journal::query::{CampaignPage, Stamp};
use crate::message::prices::Amount;
use crate::words::clock::Clock;
use crate::words::format::{cut, duration, number, percent};
use markup::Html;
use verdict::Tone;

/// Its looks.
const STYLE: &str = include_str!("style.css");

/// What a page is made of, besides the campaign.
#[derive(Clone, Debug)]
pub struct Around {
    /// Whether a sender is running; `None`: not known.
    pub sender_running: Option<bool>,
    /// When it is made.
    pub now: Stamp,
    /// Whose times are shown.
    pub clock: Clock,
    /// What the commands that are suggested need to find the journal, such as ` --journal other.db`; empty: nothing.
    pub journal_option: String,
    /// The currency of the bills.
    pub currency: String,
    /// What the campaign may cost at most.
    pub max_cost: Option<Amount>,
}

/// Makes the page.
pub fn page(page: &CampaignPage, around: &Around) -> String {
    let summary = &page.report.summary;
    let mut html = Html::default();
    html.raw(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n<title>",
    );
    html.text(&cut(&summary.campaign, 100)).raw(" – smppost</title>\n<style>\n").raw(STYLE);
    html.raw("</style>\n</head>\n<body>\n<header>\n<p class=\"soft\">Campaign</p>\n<h1>").foreign(&summary.campaign);
    html.raw("</h1>\n<p class=\"soft\">");
    html.words(&format!("As of {}. ", around.clock.moment(around.now)));
    if let (Some(first), Some(last)) = (summary.first_sent_at, summary.last_sent_at) {
        let clock = &around.clock;
        let when = if first == last { clock.moment(first) } else { clock.span(first, last) };
        html.words(&format!("Sent {when}."));
    }
    html.raw("</p>\n</header>\n<main>\n");
    lead(&mut html, page, around);
    what::states(&mut html, page);
    what::to_do(&mut html, page, around);
    times::series(&mut html, page, around);
    trouble::in_doubt(&mut html, page, around);
    trouble::refusals(&mut html, page, around);
    trouble::failures(&mut html, page, around);
    times::latency(&mut html, page);
    what::shares(&mut html, page);
    what::cost(&mut html, page, around);
    trouble::receipts(&mut html, page, around);
    trouble::answers(&mut html, page);
    what::how(&mut html, page, around);
    html.raw("</main>\n<footer>\n<p>");
    html.words(&format!(
        "Made by smppost {} from the journal of this account. Times are those of {}. This file loads nothing and runs nothing; it \
         has the numbers of some recipients in it.",
        env!("CARGO_PKG_VERSION"),
        around.clock.words(),
    ));
    html.raw("</p>\n</footer>\n</body>\n</html>\n");
    html.into_string()
}

/// The verdict, and the figures that are looked for first.
fn lead(html: &mut Html, page: &CampaignPage, around: &Around) {
    let report = &page.report;
    let summary = &report.summary;
    let verdict = verdict::verdict(summary, around.sender_running);
    html.raw(match verdict.tone {
        Tone::Still => "<div class=\"verdict\"><p>",
        Tone::Busy => "<div class=\"verdict busy\"><p>",
        Tone::Good => "<div class=\"verdict good\"><p>",
        Tone::Trouble => "<div class=\"verdict trouble\"><p>",
    });
    html.words(&verdict.words).raw("</p></div>\n<dl class=\"figures\">\n");
    let of = |state| summary.counts.of(state);
    let mut figure = |name: &'static str, value: &str, more: &str| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>").text(value);
        if !more.is_empty() {
            html.raw("<small class=\"soft\">").text(more).raw("</small>");
        }
        html.raw("</dd></div>\n");
    };
    let parts =
        if summary.parts == summary.messages { String::new() } else { format!("{} parts", number(summary.parts)) };
    figure("Messages", &number(summary.messages), &parts);
    let share = |n| percent(n, summary.messages);
    figure("Delivered", &number(of(State::Delivered)), &share(of(State::Delivered)));
    let failed = of(State::Failed) + of(State::PartlyDelivered);
    figure("Not delivered", &number(failed), if of(State::PartlyDelivered) > 0 { "or only in part" } else { "" });
    figure("Refused", &number(of(State::Rejected)), "");
    figure("In doubt", &number(of(State::InDoubt)), "");
    if let Some(ms) = report.latency.delivery_s.p50 {
        let p95 = report.latency.delivery_s.p95.unwrap_or(ms);
        let more = format!("95 % within {}", duration((p95 * 1_000.0) as i64));
        figure("Half delivered within", &duration((ms * 1_000.0) as i64), &more);
    }
    if let Some((sent, left)) = &page.bills {
        let more = if left.total > Amount(0) { format!("{} more to be sent", left.total) } else { String::new() };
        figure("Cost", &format!("{} {}", sent.total, around.currency), &more);
    }
    html.raw("</dl>\n");
}

#[cfg(test)]
mod tests;
