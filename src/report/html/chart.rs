//! Graphics: inline SVG without a script, stretched to the width there is. Words stand beside it as HTML, so that they stay
//! readable on a narrow screen.

use super::markup::Html;
use crate::journal::model::key::State;
use crate::journal::query::{Counts, Series};
use crate::words::format::{number, percent};
use std::fmt::Write as _;

/// Units across a bar.
const BAR_UNITS: i64 = 1_000;
/// What is not nothing has so many of them, so that it can be seen.
const BAR_UNITS_MIN: i64 = 4;
/// The order in which states stand in a bar: from well to not begun.
pub const ORDER: [State; State::COUNT] = [
    State::Delivered,
    State::PartlyDelivered,
    State::Accepted,
    State::Failed,
    State::Rejected,
    State::InDoubt,
    State::Sending,
    State::Queued,
    State::Cancelled,
    State::Suppressed,
];

/// The class that fills with a state's colour.
pub fn fill(state: State) -> &'static str {
    match state {
        State::Queued => "f-queued",
        State::Sending => "f-sending",
        State::Accepted => "f-accepted",
        State::Delivered => "f-delivered",
        State::PartlyDelivered => "f-partly_delivered",
        State::Failed => "f-failed",
        State::Rejected => "f-rejected",
        State::InDoubt => "f-in_doubt",
        State::Cancelled => "f-cancelled",
        State::Suppressed => "f-suppressed",
    }
}

/// Messages by state as one bar. `class`: states or mini.
pub fn states(html: &mut Html, class: &'static str, title: &str, counts: &Counts) {
    let total = counts.total();
    html.raw("<svg").attribute("class", class).attribute("viewBox", &format!("0 0 {BAR_UNITS} 10"));
    html.raw(" preserveAspectRatio=\"none\" role=\"img\"").attribute("aria-label", title).raw("><title>").text(title);
    html.raw("</title>");
    let shown: Vec<State> = ORDER.into_iter().filter(|&state| counts.of(state) > 0).collect();
    // What the smallest get more than their share is taken from all the others.
    let least: Vec<i64> = shown
        .iter()
        .map(|&state| ((counts.of(state) as f64 / total.max(1) as f64 * BAR_UNITS as f64) as i64).max(BAR_UNITS_MIN))
        .collect();
    let sum: i64 = least.iter().sum();
    let mut before = 0;
    for (&state, units) in shown.iter().zip(&least) {
        let from = before * BAR_UNITS / sum;
        before += units;
        let width = before * BAR_UNITS / sum - from;
        html.raw("<rect").attribute("class", fill(state)).attribute("x", &from.to_string());
        html.attribute("width", &width.to_string()).raw(" height=\"10\"><title>");
        let of = counts.of(state);
        html.text(&format!("{}: {} ({})", super::super::rows::state_words(state), number(of), percent(of, total)));
        html.raw("</title></rect>");
    }
    html.raw("</svg>");
}

/// A share of the largest as one bar.
pub fn share(html: &mut Html, class: &'static str, title: &str, of: u64, largest: u64) {
    let units = (of as f64 / largest.max(1) as f64 * BAR_UNITS as f64) as i64;
    let units = if of > 0 { units.max(BAR_UNITS_MIN) } else { 0 };
    html.raw("<svg class=\"mini\"").attribute("viewBox", &format!("0 0 {BAR_UNITS} 10"));
    html.raw(" preserveAspectRatio=\"none\" role=\"img\"").attribute("aria-label", title).raw("><title>").text(title);
    html.raw("</title><rect").attribute("class", class).attribute("width", &units.to_string());
    html.raw(" height=\"10\"/></svg>");
}

/// The end of an axis that goes up to `largest`: 2, 4, 6 or 10 times a power of ten, which can be halved.
pub fn axis_end(largest: i64) -> i64 {
    let ends = (0..18).flat_map(|power| [2, 4, 6, 10].map(|times| times * 10_i64.pow(power)));
    ends.into_iter().find(|&end| end >= largest).unwrap_or(largest)
}

/// Sent, accepted and delivered parts over time, up to `end`.
pub fn series(html: &mut Html, title: &str, series: &Series, end: i64) {
    let buckets: Vec<_> = series.buckets().map(|(_, counted)| counted).collect();
    let units = buckets.len().max(1);
    html.raw("<svg").attribute("viewBox", &format!("0 0 {units} 100"));
    html.raw(" preserveAspectRatio=\"none\" role=\"img\"").attribute("aria-label", title).raw("><title>").text(title);
    html.raw("</title>");
    let height = |count: i64| 100.0 - count.max(0) as f64 * 100.0 / end.max(1) as f64;
    let steps = |kind: usize| {
        let mut path = String::new();
        for (n, counted) in buckets.iter().enumerate() {
            let y = height(counted[kind]);
            // A level that stays needs no step.
            let before = n.checked_sub(1).map(|before| buckets[before][kind]);
            if before != Some(counted[kind]) {
                let _ = if n == 0 { write!(path, "M0 {y:.1}") } else { write!(path, "H{n}V{y:.1}") };
            }
        }
        let _ = write!(path, "H{units}");
        path
    };
    html.raw("<path class=\"area-sent\"").attribute("d", &format!("{}V100H0Z", steps(0))).raw("/>");
    html.raw("<path class=\"grid\"").attribute("d", &format!("M0 0H{units}M0 50H{units}M0 100H{units}")).raw("/>");
    html.raw("<path class=\"line-accepted\"").attribute("d", &steps(1)).raw("/>");
    html.raw("<path class=\"line-delivered\"").attribute("d", &steps(2)).raw("/></svg>");
}

/// What the lines of [`series`] are.
pub fn legend(html: &mut Html) {
    html.raw(
        "<ul class=\"legend\"><li><svg viewBox=\"0 0 16 8\" aria-hidden=\"true\"><path class=\"area-sent\" \
         d=\"M0 0H16V8H0Z\"/></svg>sent</li><li><svg viewBox=\"0 0 16 8\" aria-hidden=\"true\"><path \
         class=\"line-accepted\" d=\"M0 4H16\"/></svg>accepted</li><li><svg viewBox=\"0 0 16 8\" aria-hidden=\"true\"><path \
         class=\"line-delivered\" d=\"M0 4H16\"/></svg>delivered</li></ul>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_numbers_that_can_be_halved() {
        for (largest, end) in
            [(0, 2), (1, 2), (3, 4), (5, 6), (7, 10), (11, 20), (41, 60), (61, 100), (123_456, 200_000)]
        {
            assert_eq!(axis_end(largest), end);
        }
        assert!(axis_end(i64::MAX) == i64::MAX);
    }

    #[test]
    fn what_is_not_nothing_can_be_seen_and_all_is_as_wide_as_the_bar() {
        let mut counts = Counts::default();
        counts.0[State::Delivered as usize] = 10_000_000;
        counts.0[State::InDoubt as usize] = 1;
        let mut html = Html::default();
        states(&mut html, "states", "t", &counts);
        let made = html.into_string();
        let widths: Vec<i64> =
            made.split(" width=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        assert_eq!((widths.len(), widths.iter().sum::<i64>()), (2, BAR_UNITS));
        assert!(widths[1] >= 3, "{widths:?}");
        assert!(made.contains("in doubt: 1 (0.1 %)"), "{made}");
        states(&mut Html::default(), "states", "t", &Counts::default());
    }

    #[test]
    fn a_series_of_any_length_is_a_path() {
        for n in [0, 1, 2, 500] {
            let mut of = Series::new(0);
            (0..n).for_each(|at| of.add(0, at * 60_000, at));
            let mut html = Html::default();
            series(&mut html, "t", &of, 500);
            let made = html.into_string();
            assert!(made.starts_with("<svg") && made.ends_with("</svg>") && !made.contains("NaN"), "{made}");
        }
    }
}
