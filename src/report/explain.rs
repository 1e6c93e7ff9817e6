//! `smppost explain`: a status code, what it means and what is done about it.

use super::rows::write_json;
use super::{Exit, ReportError};
use crate::wire::{CommandStatus, StatusClass};
use crate::words::format::wrapped;
use serde::Serialize;
use std::io::Write;

/// A status, explained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// `0x58`.
    pub hex: String,
    /// `88`.
    pub command_status: u32,
    /// Its name in the specification; `unknown` for others.
    pub name: &'static str,
    /// Whether it stands in the table.
    pub known: bool,
    /// What it means.
    pub meaning: &'static str,
    /// What it means for the sender, in a word.
    pub class: &'static str,
    /// What smppost does about it.
    pub action: &'static str,
    /// What the operator can do about it.
    pub advice: &'static str,
}

/// Explains a status.
pub fn explain(status: CommandStatus) -> Explanation {
    Explanation {
        hex: format!("0x{:02X}", status.0),
        command_status: status.0,
        name: status.name(),
        known: status.is_known(),
        meaning: status.meaning(),
        class: status.class().name(),
        action: action(status.class()),
        advice: status.advice(),
    }
}

/// What smppost does about a status of this class.
pub fn action(class: StatusClass) -> &'static str {
    match class {
        StatusClass::Accepted => "the message is accepted",
        StatusClass::Throttled => {
            "the whole account slows down to what was accepted in the last second, as long as less is refused then, or fewer \
             messages are left outstanding where that is the reason; the message is sent again as often as it takes, and none \
             is lost"
        }
        StatusClass::Temporary => {
            "it is tried again after 1 s, 5 s, 15 s and 60 s, and then rejected; where less is refused the slower messages go, \
             or the fewer are outstanding, it is taken for throttling"
        }
        StatusClass::Session => {
            "in answer to a message it means that the SMSC forgot the session: it is left, the connection binds anew, and the \
             message is sent again; after 8 such sessions in a row sending stops. In answer to a bind: see below"
        }
        StatusClass::Account => {
            "sending stops, since every further message would fare the same; what is not sent yet stays queued, to be \
             resumed when the account or its settings are in order"
        }
        StatusClass::Permanent => "the message is rejected at once, and the others go on",
    }
}

/// Reads what was typed.
pub fn parse(text: &str) -> Result<CommandStatus, ReportError> {
    CommandStatus::parse(text).ok_or_else(|| {
        ReportError::Usage(format!(
            "{text:?} is no command_status: write it in hex (0x58), in decimal (88) or by its name (ESME_RTHROTTLED); \
             `smppost explain --all` lists them"
        ))
    })
}

/// Writes explanations for people.
pub fn write_words(out: &mut dyn Write, width: usize, statuses: &[CommandStatus]) -> Result<Exit, ReportError> {
    for (n, &status) in statuses.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        let Explanation { hex, command_status, name, known, meaning, class, action, advice } = explain(status);
        let name = if known { name } else { "not in the table" };
        wrapped(out, width, "", 2, &format!("{hex} ({command_status}) {name}"))?;
        wrapped(out, width, "  meaning  ", 11, meaning)?;
        wrapped(out, width, "  class    ", 11, class)?;
        wrapped(out, width, "  smppost  ", 11, action)?;
        if !advice.is_empty() {
            wrapped(out, width, "  advice   ", 11, advice)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes explanations as JSON: an object for one code, else an array.
pub fn write_objects(out: &mut dyn Write, statuses: &[CommandStatus]) -> Result<Exit, ReportError> {
    match statuses {
        [status] => write_json(out, &explain(*status))?,
        statuses => write_json(out, &statuses.iter().map(|&status| explain(status)).collect::<Vec<_>>())?,
    }
    writeln!(out)?;
    Ok(Exit::Done)
}

/// Writes the whole table for people.
pub fn write_all(out: &mut dyn Write, width: usize) -> Result<Exit, ReportError> {
    for status in CommandStatus::all() {
        let first = format!("0x{:03X} {:>3}  {:9}  ", status.0, status.0, status.class().name());
        wrapped(out, width, &first, 13, &format!("{} ({})", status.name(), status.meaning()))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained_in_every_form() {
        for (text, name, class) in [
            ("0x58", "ESME_RTHROTTLED", "throttled"),
            ("303", "ESME_RNOROUTE", "permanent"),
            ("esme_rsyserr", "ESME_RSYSERR", "temporary"),
            ("0x0A", "ESME_RINVSRCADR", "account"),
            ("0", "ESME_ROK", "accepted"),
            ("0x4321", "unknown", "temporary"),
        ] {
            let explained = explain(parse(text).unwrap());
            assert_eq!((explained.name, explained.class, explained.known), (name, class, name != "unknown"), "{text}");
        }
        let Err(ReportError::Usage(words)) = parse("\u{1b}[31m") else { panic!("accepted") };
        assert!(words.contains("0x58") && words.contains("ESME_RTHROTTLED") && !words.contains('\u{1b}'), "{words}");
    }

    #[test]
    fn f25_what_is_done_is_what_the_retry_queue_does() {
        let delays = crate::journal::model::retry_rules::DELAYS_MS.map(|ms| format!("{} s", ms / 1_000));
        let [one, two, three, four] = delays;
        let words = action(StatusClass::Temporary);
        assert!(words.contains(&format!("{one}, {two}, {three} and {four}")), "{words}");
    }

    #[test]
    fn f49_explanations_fit_forty_columns() {
        let mut out = Vec::new();
        write_words(&mut out, 40, &[CommandStatus(0x58), CommandStatus(77_777)]).unwrap();
        write_all(&mut out, 40).unwrap();
        let out = String::from_utf8(out).unwrap();
        // Names of the specification are not broken.
        for line in out.lines().filter(|line| !line.contains("ESME_")) {
            assert!(line.chars().count() <= 40, "{line}");
        }
        assert!(out.contains("not in the table"));
    }
}
