//! The tables of a profile that say in words what its SMSC says in numbers: `[acme.errors]` and `[acme.tlv_names]`. They go
//! into the journal with each command that writes to it, so that reports need no profile.

use crate::cli::config::file::{Entry, Profile};
use crate::journal::open_existing;
use crate::journal::store::names::{ProfileNames, code_of};
use crate::message::fields::Field;
use crate::wire::Tag;
use crate::words::{BadValue, bad};
use std::path::Path;

/// What the errors of receipts mean.
const ERRORS: &str = "errors";
/// What optional parameters are called.
const TLV_NAMES: &str = "tlv_names";
/// The keys of these tables.
pub const KEYS: [&str; 2] = [ERRORS, TLV_NAMES];
/// Characters of a meaning, or of a name.
const WORDS_MAX: usize = 200;

/// The tables of a profile; the error has the line.
pub fn of(profile: &Profile) -> Result<ProfileNames, (usize, String)> {
    let mut names = ProfileNames::default();
    for entry in profile.entries.iter().filter(|entry| KEYS.contains(&entry.key.as_str())) {
        for value in &entry.values {
            take(entry, value, &mut names).map_err(|error| (entry.line_of(value), error.into()))?;
        }
    }
    Ok(names)
}

fn take(entry: &Entry, value: &str, names: &mut ProfileNames) -> Result<(), BadValue> {
    let key = &entry.key;
    let example = if key == ERRORS { "303 = \"no such route\"" } else { "\"0x1403\" = \"mcc_mnc\"" };
    let (code, words) = value.split_once('=').ok_or_else(|| bad!("{key}: write a table, as in {example}"))?;
    let (code, words) = (code.trim(), words.trim());
    if words.is_empty() || words.chars().count() > WORDS_MAX {
        return Err(bad!("{key} {code:?}: write from 1 to {WORDS_MAX} characters, as in {example}"));
    }
    if key == ERRORS {
        if code.is_empty() || code.contains(char::is_whitespace) {
            return Err(bad!("{key} {code:?}: a code is one word, as in {example}"));
        }
        let (code, meaning) = (code_of(code), words.to_owned());
        if names.errors.iter().any(|(known, _)| *known == code) {
            return Err(bad!("{key}: code {code} is there twice (capitals and leading zeros do not count)"));
        }
        names.errors.push((code, meaning));
        return Ok(());
    }
    let tag = match Field::from_name(&format!("tlv:{code}")) {
        Ok(Some(Field::Tlv(tag))) => Tag(tag),
        _ => return Err(bad!("{key} {code:?}: write the tag in hexadecimal, as in {example}")),
    };
    if let Some(name) = tag.name() {
        return Err(bad!("{key} {code}: this parameter is SMPP's {name}"));
    }
    names.tags.push((tag, words.to_owned()));
    Ok(())
}

/// Puts them into the journal, if there is one.
pub fn keep(names: &ProfileNames, journal: &Path) {
    if names.is_empty() || !journal.exists() {
        return;
    }
    if let Err(error) = open_existing(journal).and_then(|opened| names.keep(&opened)) {
        log::warn!("the profile's words for errors and parameters are not kept: {}", error.at(journal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(key: &str, values: &[&str]) -> Profile {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let lines = vec![7; values.len()];
        Profile { name: "acme".into(), entries: vec![Entry { key: key.into(), line: 7, values, lines }] }
    }

    #[test]
    fn tables_are_read_and_what_is_none_is_refused() {
        let names = of(&profile(ERRORS, &["303=no route", "01b = absent"])).unwrap();
        assert_eq!(names.errors, [("303".into(), "no route".into()), ("1B".into(), "absent".into())]);
        let names = of(&profile(TLV_NAMES, &["0x1403=mcc_mnc"])).unwrap();
        assert_eq!(names.tags, [(Tag(0x1403), "mcc_mnc".into())]);
        for (key, values) in [
            (ERRORS, &["303="][..]),
            (ERRORS, &["303"]),
            (ERRORS, &["=x"]),
            (ERRORS, &["3 3=x"]),
            (ERRORS, &["27=x", "027=y"]),
            (TLV_NAMES, &["1403=x"]),
            (TLV_NAMES, &["0x0423=x"]),
            (TLV_NAMES, &["0x0424=x"]),
            (TLV_NAMES, &["0x1403="]),
        ] {
            assert_eq!(of(&profile(key, values)).unwrap_err().0, 7, "{values:?}");
        }
    }
}
