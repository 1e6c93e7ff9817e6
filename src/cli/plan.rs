//! What is said before anything goes: what would be sent, to whom it goes out, and when it is done; and the one question
//! whether that is meant.

use super::ask;
use crate::client::{Account, Spread};
use crate::import::Tally;
use crate::journal::model::key::State;
use crate::journal::query::{self, SENDERS_OF};
use crate::policy::hours::{Hours, Verdict};
use crate::policy::pacer::Rate;
use crate::words::escape::escape_terminal;
use crate::words::format::{count, duration, number, wrapped};
use jiff::{SignedDuration, Timestamp};
use std::io::Write;

/// More messages than this are asked about on a terminal.
const ASK_ABOVE: i64 = 1_000;
/// Characters of a text that are shown.
const TEXT_SHOWN: usize = 160;
/// How exactly the end is worked out where there are sending hours.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// Steps that are looked ahead: four weeks.
const STEPS_MAX: u32 = 4 * 7 * 24 * 12;

/// What would go of one campaign.
pub struct Line {
    /// Its name.
    pub campaign: String,
    /// Messages.
    pub to_send: i64,
    /// Their parts.
    pub parts: i64,
    /// Messages that the SMSC took.
    sent: i64,
    in_doubt: i64,
    /// Messages that a run that died had begun.
    unsettled: i64,
    /// What else goes, in words: what was cancelled or came back and is queued first.
    pub also: Vec<String>,
    senders: Vec<String>,
    senders_of_all: bool,
    first: Option<(String, String)>,
}

impl Line {
    /// Of a campaign in the journal.
    pub fn of(plan: &query::Plan) -> Self {
        Self {
            campaign: plan.summary.campaign.clone(),
            to_send: plan.to_send,
            parts: plan.parts,
            sent: plan.sent(),
            in_doubt: plan.summary.counts.of(State::InDoubt),
            unsettled: plan.unsettled(),
            also: Vec::new(),
            senders: plan.senders.clone(),
            senders_of_all: plan.to_send <= SENDERS_OF,
            first: plan.first.clone(),
        }
    }

    /// Of a file that is not imported.
    pub fn of_file(name: &str, tally: &Tally, limit: Option<u64>) -> Self {
        let all = tally.messages as i64;
        let to_send = limit.and_then(|limit| i64::try_from(limit).ok()).map_or(all, |limit| limit.min(all));
        Self {
            campaign: name.to_owned(),
            to_send,
            // Exact unless a limit cuts between long and short ones.
            parts: if all > 0 { (tally.parts as i64 * to_send + all - 1) / all } else { 0 },
            sent: 0,
            in_doubt: 0,
            unsettled: 0,
            also: Vec::new(),
            senders: tally.senders().into_iter().take(6).map(|(sender, _)| sender.to_owned()).collect(),
            senders_of_all: true,
            first: tally.first.clone(),
        }
    }

    /// More that goes, and why.
    pub fn add(&mut self, messages: i64, why: String) {
        self.to_send += messages;
        self.parts += messages;
        self.also.push(why);
    }

    fn write(&self, out: &mut dyn Write, width: usize) -> std::io::Result<()> {
        let mut words = format!("{} to send", count(self.to_send, "message"));
        if self.parts != self.to_send {
            words += &format!(" in {}", count(self.parts, "part"));
        }
        words += &format!(", {} sent, {} in doubt", number(self.sent), number(self.in_doubt));
        for also in &self.also {
            words += &format!("; {also}");
        }
        if self.unsettled > 0 {
            words += &format!(
                "; {} begun by a run that crashed or goes on: what of them did not leave is sent, the rest is in doubt",
                number(self.unsettled)
            );
        }
        wrapped(out, width, &format!("{}: ", escape_terminal(&self.campaign)), 2, &words)?;
        let senders: Vec<String> = self.senders.iter().map(|sender| sender_name(sender)).collect();
        let mut words = match senders.is_empty() {
            true => String::new(),
            false if self.senders_of_all => format!("from {}", senders.join(", ")),
            false => format!("from {} (the first {} messages)", senders.join(", "), number(SENDERS_OF)),
        };
        if let Some((destination, text)) = &self.first {
            words += &format!("; the first, to {}: \"{}\"", escape_terminal(destination), shown(text));
        }
        if words.is_empty() { Ok(()) } else { wrapped(out, width, "  ", 2, words.trim_start_matches("; ")) }
    }
}

fn sender_name(sender: &str) -> String {
    if sender.is_empty() { "the SMSC's default sender".into() } else { escape_terminal(sender).into_owned() }
}

/// A text as it will be shown, harmless, and cut where it is long.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escape_terminal(&short).into_owned()
}

/// How it goes.
pub struct How<'a> {
    /// The account.
    pub account: &'a Account,
    /// Connections.
    pub connections: usize,
    /// Parts a second.
    pub rate: Rate,
    /// When messages may be sent.
    pub hours: &'a Hours,
    /// It is a rehearsal.
    pub simulated: bool,
    /// Not this command sends it, but the running service, and which that is, in words.
    pub service: Option<String>,
    /// What of this is so since the last run went so, or differs from it, in words.
    pub notes: Vec<String>,
}

impl How<'_> {
    fn write(&self, out: &mut dyn Write, width: usize, parts: i64) -> std::io::Result<()> {
        let account = self.account;
        if let Some(service) = &self.service {
            wrapped(out, width, "By ", 2, &format!("the running service: {service}"))?;
            return self.notes.iter().try_for_each(|note| wrapped(out, width, "", 2, note));
        }
        let mut words = if self.simulated {
            "the built-in simulator, so that nobody gets anything".to_owned()
        } else {
            let hosts: Vec<_> = account.hosts.iter().map(|host| escape_terminal(host)).collect();
            let tls = if account.tls.is_some() { "TLS" } else { "no TLS" };
            let receives = super::receiver::described(account).map_or_else(String::new, |words| format!("; {words}"));
            let system_id = escape_terminal(&account.system_id);
            let spread = if account.spread == Spread::InTurn { "" } else { " (spread)" };
            let local = if account.local.is_empty() { String::new() } else { format!(" from {}", account.local) };
            format!("{system_id} at {}{spread} port {}{local}, {tls}{receives}", hosts.join(", "), account.port)
        };
        words += &format!(
            "; {}, {}, window {}, bind {}",
            rate_words(self.rate),
            count(self.connections as i64, "connection"),
            number(account.window as i64),
            account.bind.name()
        );
        wrapped(out, width, "As ", 2, &words)?;
        for note in &self.notes {
            wrapped(out, width, "", 2, note)?;
        }
        wrapped(out, width, "Done: ", 2, &self.done(parts, Timestamp::now()))
    }

    fn done(&self, parts: i64, now: Timestamp) -> String {
        let Rate::PerSecond(rate) = self.rate else {
            return "as soon as the SMSC has taken them (no limit on the rate)".into();
        };
        let took = SignedDuration::from_secs_f64((parts as f64 / rate.max(f64::MIN_POSITIVE)).min(1e9));
        match end(self.hours, now, took) {
            Some(end) => {
                format!("about {}, after {} of sending", self.hours.show(end), duration(took.as_millis() as i64))
            }
            None => format!(
                "not within the sending hours that are left: sending takes {}",
                duration(took.as_millis() as i64)
            ),
        }
    }
}

fn rate_words(rate: Rate) -> String {
    match rate {
        Rate::PerSecond(rate) => format!("{rate} a second"),
        Rate::Unlimited => "no limit on the rate".into(),
    }
}

/// When what takes so long is done, if it is done within the sending hours and four weeks.
fn end(hours: &Hours, now: Timestamp, mut left: SignedDuration) -> Option<Timestamp> {
    if !hours.limit() {
        return now.checked_add(left).ok();
    }
    let mut at = now;
    for _ in 0..STEPS_MAX {
        match hours.at(at) {
            Verdict::Over => return None,
            Verdict::Closed(until) => at = until,
            Verdict::Open if left <= STEP => return at.checked_add(left).ok(),
            Verdict::Open => {
                left -= STEP;
                at = at.checked_add(STEP).ok()?;
            }
        }
    }
    None
}

/// Says on stderr what would go, unless nothing would.
pub fn say(lines: &[Line], how: &How<'_>) -> std::io::Result<()> {
    let mut words = Vec::new();
    write(lines, how, &mut words, crate::report::width())?;
    crate::platform::screen::say(&String::from_utf8_lossy(&words));
    Ok(())
}

fn write(lines: &[Line], how: &How<'_>, out: &mut dyn Write, width: usize) -> std::io::Result<()> {
    for line in lines {
        line.write(out, width)?;
    }
    how.write(out, width, lines.iter().map(|line| line.parts).sum())
}

/// Whether what was said is meant: asked on a terminal, once, where there is much of it or `several` campaigns that nobody
/// named. `is_over`: the run was ended meanwhile.
pub fn is_meant(lines: &[Line], several: bool, yes: bool, is_over: &dyn Fn() -> bool) -> bool {
    let to_send: i64 = lines.iter().map(|line| line.to_send).sum();
    if yes || !(several || to_send > ASK_ABOVE) || !ask::on_terminal() {
        return true;
    }
    let what = match lines {
        [line] => format!("Send {} of {}?", count(to_send, "message"), escape_terminal(&line.campaign)),
        lines => format!("Send {} of {}?", count(to_send, "message"), count(lines.len() as i64, "campaign")),
    };
    ask::yes_unless(&what, false, is_over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_worked_out_within_the_hours() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let hours = Hours { between: Some("09:00-10:00".parse().unwrap()), ..Hours::default() };
        for (now, minutes, expected) in [
            ("2026-03-02T09:10:00Z", 20, Some("2026-03-02T09:30:00Z")),
            ("2026-03-02T07:00:00Z", 20, Some("2026-03-02T09:20:00Z")),
            ("2026-03-02T09:30:00Z", 90, Some("2026-03-03T10:00:00Z")),
        ] {
            assert_eq!(end(&hours, at(now), SignedDuration::from_mins(minutes)), expected.map(at), "{now} {minutes}");
        }
        let stop = Hours { stop_at: Some(at("2026-03-02T09:30:00Z")), ..hours };
        assert_eq!(end(&stop, at("2026-03-02T09:00:00Z"), SignedDuration::from_mins(40)), None);
        assert_eq!(
            end(&Hours::default(), at("2026-03-02T09:00:00Z"), SignedDuration::from_mins(9 * 60)),
            Some(at("2026-03-02T18:00:00Z"))
        );
    }

    #[test]
    fn a_text_is_harmless_and_short() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        let long = shown(&"x".repeat(1_000));
        assert!(long.ends_with('…') && long.chars().count() == TEXT_SHOWN + 1);
    }
}
