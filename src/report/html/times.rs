//! When it went, and how long answers and deliveries took.

use super::Around;
use super::chart;
use super::markup::Html;
use crate::journal::query::{Bar, CampaignPage, Percentiles, Stamp};
use crate::words::format::{count, duration, number, percent};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Sent, accepted and delivered parts over time.
pub fn series(html: &mut Html, page: &CampaignPage, around: &Around) {
    let series = &page.series;
    let buckets: Vec<_> = series.buckets().collect();
    let (Some(&(first, _)), Some(&(last, _))) = (buckets.first(), buckets.last()) else { return };
    let width = series.width();
    let span = span_words(width);
    let largest = buckets.iter().flat_map(|(_, counted)| counted).copied().max().unwrap_or(0);
    let end = chart::axis_end(largest);
    let title = format!("Parts sent, accepted and delivered in each {span}");
    html.raw("<section>\n<h2>Over time</h2>\n<figure style=\"margin:0\">\n<figcaption>")
        .text(&title)
        .raw("</figcaption>\n");
    chart::legend(html);
    html.raw("<div class=\"chart\"><div class=\"y\" aria-hidden=\"true\">");
    for label in [end, end / 2, 0] {
        html.raw("<span>").number(label).raw("</span>");
    }
    html.raw("</div>");
    chart::series(html, &title, series, end);
    // The day, the minute, or the second; of the same day only the time.
    let shown = |at| {
        around.clock.short(
            Stamp(at),
            if width >= DAY {
                10
            } else if width >= 60 {
                16
            } else {
                19
            },
        )
    };
    let begins = shown(first);
    let label = |at: i64| match (shown(at), at == first) {
        (text, false) if width < DAY && text.get(..10) == begins.get(..10) => text.get(11..).unwrap_or("").to_owned(),
        (text, _) => text,
    };
    let after = last.saturating_add(width * 1_000);
    let middle = first + (after - first) / 2;
    html.raw("<div class=\"x\" aria-hidden=\"true\">");
    for at in [first, middle, after] {
        html.raw("<span>").text(&label(at)).raw("</span>");
    }
    html.raw("</div></div>\n</figure>\n<details><summary>The numbers as a table</summary>\n");
    html.table(&title, &[("From", false), ("Sent", true), ("Accepted", true), ("Delivered", true)]);
    for (at, [sent, accepted, delivered]) in buckets {
        // A pause is no line.
        if [sent, accepted, delivered] != [0; 3] {
            html.row(&around.clock.moment(Stamp(at)), &[&number(sent), &number(accepted), &number(delivered)]);
        }
    }
    let [sent, accepted, delivered] = series.total();
    html.row("in all", &[&number(sent), &number(accepted), &number(delivered)]).end_table();
    html.raw("</details>\n</section>\n");
}

/// How long a bucket is, in words that follow `each`.
fn span_words(seconds: i64) -> String {
    let (n, unit) = match seconds {
        DAY.. => (seconds / DAY, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    if n == 1 { unit.into() } else { count(n, unit) }
}

/// How long answers and deliveries took.
pub fn latency(html: &mut Html, page: &CampaignPage) {
    let latency = &page.report.latency;
    if latency.answer_ms.count + latency.delivery_s.count == 0 {
        return;
    }
    html.raw("<section>\n<h2>How long it took</h2>\n");
    distribution(html, "To the SMSC’s answer", &page.answers, &latency.answer_ms, |ms| ms as i64);
    let to_ms = |s: f64| (s * 1_000.0) as i64;
    distribution(html, "To the delivery", &page.deliveries, &latency.delivery_s, to_ms);
    html.raw("</section>\n");
}

fn distribution<T: Copy>(
    html: &mut Html,
    title: &'static str,
    bars: &[Bar],
    of: &Percentiles<T>,
    ms: impl Fn(T) -> i64,
) {
    if of.count == 0 {
        return;
    }
    let all = [("half", of.p50), ("95 %", of.p95), ("99 %", of.p99), ("all", of.max)];
    html.raw("<h3>").text(title).raw("</h3>\n<p>");
    for (n, (name, value)) in all.into_iter().enumerate() {
        let Some(value) = value else { continue };
        html.text(if n > 0 { ", " } else { "" }).text(name).text(" within ").text(&duration(ms(value)));
    }
    html.raw("</p>\n").table(
        &format!("{title}, {} counted", number(of.count as i64)),
        &[("Under", false), ("", false), ("Count", true), ("Share", true), ("", false)],
    );
    let largest = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    let mut from = 0;
    for (n, bar) in bars.iter().enumerate() {
        let label = duration(i64::try_from(bar.below_ms).unwrap_or(i64::MAX));
        let share = percent(bar.count as i64, of.count as i64);
        html.raw("<tr><th scope=\"row\" style=\"white-space:nowrap\">").text(&label).raw("</th><td class=\"bar\">");
        chart::share(
            html,
            "f-accepted",
            &format!("under {label}: {} ({share})", number(bar.count as i64)),
            bar.count,
            largest,
        );
        html.raw("</td><td class=\"n\">").number(bar.count as i64).raw("</td><td class=\"n\">").text(&share);
        html.raw("</td><td class=\"soft small\">");
        let here: Vec<&str> = [("half", of.p50), ("95 %", of.p95), ("99 %", of.p99)]
            .into_iter()
            .filter(|(_, value)| {
                value.is_some_and(|value| {
                    let at = ms(value).max(0) as u64;
                    at < bar.below_ms && (n == 0 || at >= from)
                })
            })
            .map(|(name, _)| name)
            .collect();
        html.text(&here.join(", ")).raw("</td></tr>\n");
        from = bar.below_ms;
    }
    html.end_table();
}
