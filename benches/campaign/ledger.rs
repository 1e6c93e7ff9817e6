//! What the simulator's ledger says of pacing and latency.

use std::collections::HashMap;
use std::path::Path;

/// Times are in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// Messages a second, as a share of the rate.
    pub used: f64,
    /// The most that came within any one second.
    pub fullest_second: usize,
    /// How much later than an even flow at the rate would have it a message came: median, 99 of 100.
    pub late: [f64; 2],
    /// From a receipt to its answer, which follows its commit: median, 99 of 100.
    pub receipt_answered: [f64; 2],
}

pub fn judge(path: &Path, rate: Option<f64>) -> Judged {
    let text = std::fs::read_to_string(path).expect("the ledger");
    let mut submits = Vec::new();
    let mut receipts = HashMap::new();
    let mut answered = Vec::new();
    for line in text.lines() {
        let at = time(line);
        let number = || (number(line, "\"session\":"), number(line, "\"sequence_number\":"));
        if line.starts_with("{\"kind\":\"submit\"") {
            submits.push(at);
        } else if line.starts_with("{\"kind\":\"receipt\"") {
            receipts.insert(number(), at);
        } else if line.starts_with("{\"kind\":\"receipt_answered\"")
            && let Some(sent) = receipts.remove(&number())
        {
            answered.push(at - sent);
        }
    }
    submits.sort_unstable_by(f64::total_cmp);
    let span = submits.last().unwrap_or(&0.0) - submits.first().unwrap_or(&0.0);
    let mut judged = Judged { receipt_answered: quantiles(answered), ..Judged::default() };
    let Some(rate) = rate else { return judged };
    judged.used = (submits.len() - 1) as f64 / span / rate;
    let mut first = 0;
    for (n, at) in submits.iter().enumerate() {
        while submits[first] <= at - 1.0 {
            first += 1;
        }
        judged.fullest_second = judged.fullest_second.max(n + 1 - first);
    }
    // An even flow begins where no message is early.
    let offsets: Vec<f64> = submits.iter().enumerate().map(|(n, at)| at - n as f64 / rate).collect();
    let start = offsets.iter().copied().fold(f64::INFINITY, f64::min);
    judged.late = quantiles(offsets.iter().map(|offset| offset - start).collect());
    judged
}

/// The seconds of a line's time, of its day.
fn time(line: &str) -> f64 {
    let start = line.find("\"time\":\"").expect("a time") + 8;
    let clock = &line[start + 11..start + 26];
    let field = |range: std::ops::Range<usize>| clock[range].parse::<f64>().expect("a time");
    field(0..2) * 3_600.0 + field(3..5) * 60.0 + field(6..15)
}

fn number(line: &str, key: &str) -> u64 {
    let start = line.find(key).expect("the key") + key.len();
    let digits = line[start..].bytes().take_while(u8::is_ascii_digit).count();
    line[start..start + digits].parse().expect("a number")
}

fn quantiles(mut of: Vec<f64>) -> [f64; 2] {
    of.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| of.get((of.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    [at(0.5), at(0.99)]
}
