//! Making foreign text safe to show: on a terminal, in a spreadsheet, in a log.
//!
//! What an SMSC or a campaign file supplied is never printed as it came: it could move the cursor, reverse the reading
//! order, hide itself, or be run as a formula.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes what a terminal would obey or not show: C0, DEL, C1, line separators, bidirectional controls, zero width
/// characters and tags. Newlines become `\n`, so that a text stays on its line.
///
/// ```
/// # use smppost::testing::words::escape::escape_terminal;
/// assert_eq!(escape_terminal("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
/// ```
pub fn escape_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// A cell that no spreadsheet will run: one that starts with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'`.
pub fn csv_cell(cell: &str) -> Cow<'_, str> {
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => Cow::Owned(format!("'{cell}")),
        _ => Cow::Borrowed(cell),
    }
}

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A number for a log: its last five characters are hidden, so `447700900123` reads `4477009*****`.
pub fn mask_number(number: &str) -> String {
    let shown = number.chars().count().saturating_sub(5);
    number.chars().enumerate().map(|(i, c)| if i < shown && !is_unsafe(c) { c } else { '*' }).collect()
}

/// A character in words of a message: `'x', U+0078`, or only its number where it cannot be shown; a space by name.
pub(crate) fn name_character(c: char) -> String {
    if c == ' ' {
        return "a space".into();
    }
    let mut name = String::new();
    if !is_unsafe(c) && !c.is_whitespace() {
        name.push('\'');
        name.push(c);
        name.push_str("', ");
    }
    // Writing to a String cannot fail.
    let _ = write!(name, "U+{:04X}", c as u32);
    name
}

/// A foreign value in words of a message: escaped, and cut short where it is longer than anyone would read.
pub(crate) fn name_value(value: &str) -> Cow<'_, str> {
    const CHARACTERS_MAX: usize = 60;
    match value.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}...", escape_terminal(&value[..end]))),
        None => escape_terminal(value),
    }
}

fn is_unsafe(c: char) -> bool {
    match c {
        ' '..='~' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_what_a_terminal_would_obey_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("plain é Ω 👋", "plain é Ω 👋"),
            ("a\tb\r\nc", "a\\tb\\r\\nc"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\0\u{7f}\u{9b}31m", "\\u{0}\\u{7f}\\u{9b}31m"),
            ("\u{202e}321", "\\u{202e}321"),
            ("a\u{200b}b\u{2066}c\u{feff}", "a\\u{200b}b\\u{2066}c\\u{feff}"),
        ] {
            assert_eq!(escape_terminal(text), expected);
            assert_eq!(matches!(escape_terminal(text), Cow::Borrowed(_)), text == expected);
        }
    }

    #[test]
    fn f52_values_in_messages_are_escaped_and_short() {
        assert_eq!(name_value("a\u{1b}"), "a\\u{1b}");
        assert_eq!(name_value(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(name_value(&"é".repeat(61)), "é".repeat(60) + "...");
    }

    #[test]
    fn f52_formulas_are_neutralised() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("+44", "'+44"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("", ""),
            ("Hi =", "Hi ="),
        ] {
            assert_eq!(csv_cell(cell), expected);
        }
    }

    #[test]
    fn f50_numbers_are_masked() {
        for (number, expected) in [
            ("447700900123", "4477009*****"),
            ("60777", "*****"),
            ("123", "***"),
            ("", ""),
            ("\u{1b}234567", "*2*****"),
        ] {
            assert_eq!(mask_number(number), expected);
        }
    }
}
