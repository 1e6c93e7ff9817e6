//! `smppost explain err:CODE`: an error of a receipt. What it means is for each SMSC to say; a profile may say it, and many
//! SMSCs hand on the errors of the GSM network.

use super::ReportError;
use crate::journal::store::names::{ProfileNames, code_of};
use crate::words::escape::escape_terminal;
use crate::words::format::wrapped;
use serde::Serialize;
use std::io::Write;

/// Errors of the mobile network that receipts often hand on (local error codes of MAP, 3GPP TS 29.002).
const NETWORK: [(u32, &str); 20] = [
    (0, "no error"),
    (1, "unknown subscriber: the number is not assigned"),
    (3, "unknown MSC"),
    (5, "unidentified subscriber"),
    (6, "absent subscriber: switched off or out of coverage"),
    (7, "unknown equipment"),
    (8, "roaming not allowed"),
    (9, "illegal subscriber: barred by the network"),
    (10, "bearer service not provisioned"),
    (11, "teleservice not provisioned: the subscription has no SMS"),
    (12, "illegal equipment: the handset is barred"),
    (13, "call barred: messages are barred for this subscriber"),
    (21, "facility not supported"),
    (27, "absent subscriber: switched off or out of coverage"),
    (31, "subscriber busy for SMS"),
    (32, "delivery failure: as a rule the handset's memory is full"),
    (33, "message waiting list full"),
    (34, "system failure"),
    (35, "data missing"),
    (36, "unexpected data value"),
];

/// An error, explained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explained {
    /// As it was typed.
    pub error: String,
    /// What the profile's table says of it.
    pub profile: Option<String>,
    /// What it means at many SMSCs, read as a decimal number.
    pub decimal: Option<&'static str>,
    /// And as a hexadecimal one.
    pub hexadecimal: Option<&'static str>,
}

/// The error that is asked about: `err:027`, `error:027`; `None`: it is not about one.
pub fn asked(typed: &str) -> Option<&str> {
    let (label, code) = typed.split_once([':', '='])?;
    let is_error = label.eq_ignore_ascii_case("err") || label.eq_ignore_ascii_case("error");
    Some(code.trim()).filter(|code| is_error && !code.is_empty())
}

/// Explains an error.
pub fn explain(error: &str, names: &ProfileNames) -> Explained {
    let code = code_of(error);
    let meaning = |number: u32| NETWORK.iter().find(|(known, _)| *known == number).map(|(_, words)| *words);
    let (hex, is_hex) = match code.strip_prefix('X') {
        Some(digits) => (digits, true),
        None => (code.as_str(), false),
    };
    let decimal = code.parse().ok().and_then(meaning);
    let hexadecimal =
        u32::from_str_radix(hex, 16).ok().and_then(meaning).filter(|words| is_hex || decimal != Some(*words));
    Explained {
        error: error.to_owned(),
        profile: names.errors.iter().find(|(known, _)| *known == code).map(|(_, words)| words.clone()),
        decimal,
        hexadecimal,
    }
}

/// Writes it for people.
pub fn write_words(out: &mut dyn Write, width: usize, of: &Explained) -> Result<(), ReportError> {
    wrapped(out, width, "", 2, &format!("err:{} (error of a receipt)", escape_terminal(&of.error)))?;
    if let Some(words) = &of.profile {
        wrapped(out, width, "  profile  ", 11, &escape_terminal(words))?;
    }
    let often = "at SMSCs that hand on the errors of the GSM network";
    if let Some(words) = of.decimal {
        wrapped(out, width, "  often    ", 11, &format!("{words} ({often})"))?;
    }
    if let Some(words) = of.hexadecimal {
        wrapped(out, width, "  or       ", 11, &format!("{words} ({often} in hexadecimal)"))?;
    }
    let advice = match (&of.profile, of.decimal.or(of.hexadecimal)) {
        (Some(_), _) => return Ok(()),
        (None, Some(_)) => "an SMSC may have a table of its own: the provider knows.",
        (None, None) => "a number of this SMSC's own: the provider has the table.",
    };
    let table =
        "The table goes into the profile, as [NAME.errors] with 303 = \"no such route\", and reports show its words";
    Ok(wrapped(out, width, "  advice   ", 11, &format!("{advice} {table}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_statuses_and_explained_in_either_radix() {
        for (typed, error) in [
            ("err:027", Some("027")),
            ("ERR:27", Some("27")),
            ("error=1B", Some("1B")),
            ("err:", None),
            ("27", None),
            ("0x58", None),
            ("ESME_RTHROTTLED", None),
        ] {
            assert_eq!(asked(typed), error, "{typed}");
        }
        let names = ProfileNames { errors: vec![("303".into(), "no route".into())], ..Default::default() };
        for (error, profile, decimal, hexadecimal) in [
            ("027", None, Some("absent"), None),
            ("01B", None, None, Some("absent")),
            ("0x1b", None, None, Some("absent")),
            ("21", None, Some("facility"), Some("message waiting")),
            ("000", None, Some("no error"), None),
            ("0303", Some("no route"), None, None),
            ("999", None, None, None),
        ] {
            let found = explain(error, &names);
            assert_eq!(found.profile.as_deref(), profile, "{error}");
            let begins = |words: Option<&str>, with: Option<&str>| match (words, with) {
                (Some(words), Some(with)) => words.starts_with(with),
                (None, None) => true,
                _ => false,
            };
            assert!(begins(found.decimal, decimal) && begins(found.hexadecimal, hexadecimal), "{error}: {found:?}");
        }
    }
}
