//! Patterns for numbers and texts: `*001`, `4917?0*`, `/STOP|HALT/`.
use crate::words::{BadValue, bad};
use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;

/// What a number or a text is held against.
///
/// Between slashes a regular expression, which may fit anywhere; else the whole, with `*` for anything and `?` for one
/// character.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    how: How,
}

#[derive(Clone)]
enum How {
    Whole,
    Contains,
    Regex(Regex),
}

impl Pattern {
    /// Whether it fits.
    pub fn fits(&self, text: &str) -> bool {
        match &self.how {
            How::Regex(regex) => regex.is_match(text),
            How::Contains => text.contains(&self.text),
            How::Whole => fits(&self.text, text),
        }
    }

    /// One that fits where a text contains this, or, between slashes, where the regular expression does.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn containing(text: &str) -> Result<Pattern, BadValue> {
        let pattern: Pattern = text.parse()?;
        Ok(match pattern.how {
            How::Whole => Pattern { how: How::Contains, ..pattern },
            _ => pattern,
        })
    }
}

/// Whether a pattern of `*`, `?` and characters is the whole of a text. After a `*` that did not lead on, one character more
/// is given to the last `*`: the time is at most the product of both lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                last_star = Some((at, in_text));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                (at, in_text) = (star + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

impl FromStr for Pattern {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let how = match inner {
            None => How::Whole,
            Some(inner) => How::Regex(Regex::new(inner).map_err(|error| bad!("{text}: {error}"))?),
        };
        Ok(Pattern { text: text.to_owned(), how })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_and_expressions_anywhere() {
        for (pattern, text, expected) in [
            ("*001", "447700900001", true),
            ("*001", "0011", false),
            ("001", "1001", false),
            ("4477*", "447700900001", true),
            ("44??0*1", "447700900001", true),
            ("44?", "44", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("Ann*", "Änn", false),
            ("?nn", "Änn", true),
            ("/STOP/", "please STOP now", true),
            ("/^STOP$/", "please STOP now", false),
            ("/(?i)stop/", "Stop", true),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().fits(text), expected, "{pattern} {text}");
        }
        let contains = |pattern: &str, text| Pattern::containing(pattern).unwrap().fits(text);
        assert!(contains("1*", "21*3") && !contains("1*", "11") && contains("/.3$/", "21*3"));
        let error = "/(/".parse::<Pattern>().unwrap_err();
        assert!(error.starts_with("/(/: "), "{error}");
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = format!("{}b", "*a".repeat(200));
        assert!(!fits(&pattern, &"a".repeat(2_000)));
    }
}
