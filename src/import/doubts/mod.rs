//! Texts that would hardly go out as they are if somebody looked: placeholders that nothing fills, errors of spreadsheets, the
//! word NULL, characters that were misread before the file was written.
//!
//! Every text is looked at, so what has nothing of the kind has to be passed over fast: one pass that is done by many octets
//! at a time, and only then a closer look.

mod mojibake;

use std::collections::HashSet;

use super::rows::Rows;
use crate::words::escape::{escape_terminal, name_value};
use crate::words::format::{count, number};
use crate::words::names::{folded, unspaced};
use mojibake::mojibake;

/// Characters between the marks of a placeholder.
const NAME_CHARACTERS_MAX: usize = 64;

/// What may be wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The name of a column stands in it between marks, or something between marks of which nothing else is made.
    Placeholder,
    /// An escape such as `\n` or `&amp;`.
    Escape,
    /// What a spreadsheet shows where a formula failed.
    CellError,
    /// A word of programs for a value that is not there.
    NoValue,
    /// U+FFFD: a character that was lost.
    Lost,
    /// UTF-8 that was read as something else.
    Misread,
    /// Two spaces within a sentence, or one at its end: a value may be missing.
    Gap,
}

impl Doubt {
    const ALL: [Doubt; 7] =
        [Doubt::Placeholder, Doubt::Escape, Doubt::CellError, Doubt::NoValue, Doubt::Lost, Doubt::Misread, Doubt::Gap];

    /// A short stable name.
    pub fn code(self) -> &'static str {
        match self {
            Doubt::Placeholder => "placeholder",
            Doubt::Escape => "escape",
            Doubt::CellError => "cell_error",
            Doubt::NoValue => "no_value",
            Doubt::Lost => "lost_character",
            Doubt::Misread => "misread",
            Doubt::Gap => "gap",
        }
    }

    /// Whether somebody has to say that such texts are meant. Two spaces are often nothing but that.
    fn is_asked_about(self) -> bool {
        self != Doubt::Gap
    }

    fn words(self, one: bool) -> &'static str {
        match (self, one) {
            (Doubt::Placeholder, true) => "has a placeholder in it that nothing fills",
            (Doubt::Placeholder, false) => "have placeholders in them that nothing fills",
            (Doubt::Escape, true) => "has an escape in it that would go out as it stands",
            (Doubt::Escape, false) => "have escapes in them that would go out as they stand",
            (Doubt::CellError, true) => "has an error of a spreadsheet's formula in it",
            (Doubt::CellError, false) => "have errors of a spreadsheet's formulas in them",
            (Doubt::NoValue, true) => "has a word in it that programs write for a missing value",
            (Doubt::NoValue, false) => "have a word in them that programs write for a missing value",
            (Doubt::Lost, true) => "has U+FFFD in it, which stands for a character that was lost",
            (Doubt::Lost, false) => "have U+FFFD in them, which stands for a character that was lost",
            (Doubt::Misread, true) => "has characters in it that were misread before they came into the file",
            (Doubt::Misread, false) => "have characters in them that were misread before they came into the file",
            (Doubt::Gap, true) => "has two spaces within it or one at its end: is a value missing?",
            (Doubt::Gap, false) => "have two spaces within them or one at their end: is a value missing?",
        }
    }
}

/// The texts of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubtful {
    /// Their rows.
    pub rows: Rows,
    /// What it is in the first of them.
    pub sample: String,
}

/// The doubtful texts of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    kinds: [Doubtful; Doubt::ALL.len()],
    /// Messages that somebody has to say are meant.
    asked_about: u64,
}

impl Doubts {
    /// The kinds that there are.
    pub fn kinds(&self) -> impl Iterator<Item = (Doubt, &Doubtful)> {
        Doubt::ALL.into_iter().zip(&self.kinds).filter(|(_, of)| of.rows.count > 0)
    }

    /// Messages of which somebody has to say that they are meant.
    pub fn asked_about(&self) -> u64 {
        self.asked_about
    }

    fn note(&mut self, line: u64, found: &[(Doubt, String)]) {
        let mut asked = false;
        for (n, (doubt, sample)) in found.iter().enumerate() {
            if found[..n].iter().any(|(known, _)| known == doubt) {
                continue;
            }
            asked |= doubt.is_asked_about();
            let of = &mut self.kinds[*doubt as usize];
            of.rows.note(line);
            if of.rows.count == 1 {
                of.sample.clone_from(sample);
            }
        }
        self.asked_about += u64::from(asked);
    }

    /// What is said of them, a line for each kind.
    pub fn said(&self) -> Vec<String> {
        self.kinds()
            .map(|(doubt, of)| {
                let one = of.rows.count == 1;
                format!(
                    "{} {} ({}): {}",
                    count(of.rows.count as i64, "message"),
                    doubt.words(one),
                    of.rows.shown(),
                    name_value(&of.sample)
                )
            })
            .collect()
    }

    /// How many there are to be asked about, in words.
    pub fn asked_words(&self) -> String {
        let one = self.asked_about == 1;
        format!("{} {} of texts", number(self.asked_about as i64), if one { "is" } else { "are" })
    }
}

/// Looks at texts.
pub(super) struct Watch {
    /// The columns' names, as they are compared.
    names: HashSet<String>,
    found: Vec<(Doubt, String)>,
    pub doubts: Doubts,
}

impl Watch {
    pub(super) fn new(header: &[String]) -> Watch {
        let named = header.iter().filter(|name| !name.is_empty());
        let names = named.flat_map(|name| [folded(name), unspaced(name)]).collect();
        Watch { names, found: Vec::new(), doubts: Doubts::default() }
    }

    /// Looks at the text of a message.
    pub(super) fn look(&mut self, line: u64, text: &str) {
        if !may_be_doubtful(text.as_bytes()) && !is_whole_no_value(text) {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.look_closely(text, &mut found);
        self.doubts.note(line, &found);
        self.found = found;
    }

    fn look_closely(&self, text: &str, found: &mut Vec<(Doubt, String)>) {
        self.placeholders(text, found);
        escapes(text, found);
        cell_errors(text, found);
        no_values(text, found);
        if let Some(at) = text.find(char::REPLACEMENT_CHARACTER) {
            found.push((Doubt::Lost, around(text, at)));
        }
        if let Some(at) = mojibake(text) {
            found.push((Doubt::Misread, around(text, at)));
        }
        if let Some(at) = gap(text) {
            found.push((Doubt::Gap, around(text, at)));
        }
    }

    fn placeholders(&self, text: &str, found: &mut Vec<(Doubt, String)>) {
        for (at, opening) in text.char_indices() {
            let Some(closing) = closing(opening) else { continue };
            let behind = &text[at + opening.len_utf8()..];
            // The innermost pair: `{{name}}` is seen at its second brace.
            let within = match behind.char_indices().take(NAME_CHARACTERS_MAX).find(|&(_, c)| c == closing) {
                Some((end, _)) => &behind[..end],
                None if opening == '$' => {
                    let is_name = |c: char| c.is_alphanumeric() || c == '_';
                    &behind[..behind.find(|c| !is_name(c)).unwrap_or(behind.len())]
                }
                None => continue,
            };
            let end = at + opening.len_utf8() + within.len() + closing.len_utf8();
            let whole = text.get(at..end).unwrap_or(&text[at..]);
            // A default or a form may stand behind the name.
            let name = within.split(['|', ':']).find(|name| !name.trim().is_empty()).unwrap_or_default();
            let name = name.trim_matches(|c: char| !c.is_alphanumeric());
            let is_column = self.names.contains(&folded(name)) || self.names.contains(&unspaced(name));
            let before = text[..at].chars().next_back();
            let is_doubled = before == Some(opening)
                || opening == '{' && before == Some('$')
                || opening == '|' && before == Some('*');
            if is_column || is_doubled && is_name(name) && marks_nothing_else(opening, before, text, end) {
                let start = at - if is_doubled { before.map_or(0, char::len_utf8) } else { 0 };
                found.push((Doubt::Placeholder, text.get(start..end).unwrap_or(whole).to_owned()));
                return;
            }
        }
    }
}

/// What ends a placeholder that begins so.
fn closing(opening: char) -> Option<char> {
    Some(match opening {
        '{' => '}',
        '[' => ']',
        '<' => '>',
        '«' => '»',
        '%' | '#' | '|' | '@' | '~' | '$' => opening,
        _ => return None,
    })
}

/// Whether what stands between such doubled marks is a placeholder even if no column is called so.
fn marks_nothing_else(opening: char, before: Option<char>, text: &str, end: usize) -> bool {
    let after = text.get(end..).and_then(|rest| rest.chars().next());
    match opening {
        '{' => before == Some('$') || after == Some('}'),
        '<' => after == Some('>'),
        '%' => after == Some('%'),
        '|' => before == Some('*') && after == Some('*'),
        _ => false,
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(char::is_alphabetic)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
}

/// Octets of a text that are looked at in one go.
const BLOCK: usize = 32;

/// Whether there may be anything in a text.
fn may_be_doubtful(text: &[u8]) -> bool {
    if text.last() == Some(&b' ') {
        return true;
    }
    let (mut found, mut octets) = (0, 0);
    for start in (0..text.len()).step_by(BLOCK) {
        // Each with the two octets behind it, and a last one filled up, so that none is a case of its own.
        let mut block = [0; BLOCK + 2];
        let piece = &text[start..text.len().min(start + BLOCK + 2)];
        block[..piece.len()].copy_from_slice(piece);
        found |= has_marks(&block);
        octets |= piece.iter().fold(0, |all, octet| all | octet);
    }
    found != 0 || octets >= 0x80 && may_be_misread(text)
}

/// Whether what marks a doubt begins in a block, as far as it is ASCII. Without a branch, so that the compiler looks at many
/// octets at a time.
fn has_marks(block: &[u8; BLOCK + 2]) -> u8 {
    let (first, second, third) = (&block[..BLOCK], &block[1..=BLOCK], &block[2..]);
    let mut found = 0;
    for ((&a, &b), &c) in first.iter().zip(second).zip(third) {
        // # $ % &, [ \, { | } ~
        found |= u8::from(a.wrapping_sub(b'#') < 4)
            | u8::from(a.wrapping_sub(b'[') < 2)
            | u8::from(a.wrapping_sub(b'{') < 4);
        found |= u8::from(a == b'<') | u8::from(a == b'@');
        // nan, NaN; NULL; undefined; Err:; two spaces
        found |= u8::from(a | 0x20 == b'n') & u8::from(b == b'a') & u8::from(c | 0x20 == b'n');
        found |= u8::from(a == b'N') & u8::from(b == b'U');
        found |= u8::from(a == b'd') & u8::from(c == b'f');
        found |= u8::from(a == b'r') & u8::from(b == b':');
        found |= u8::from(a == b' ') & u8::from(b == b' ');
    }
    found
}

/// Whether what is not ASCII may be read wrong, lost, or the mark of a placeholder: letters of German, French and Russian are
/// not, as they mostly stand.
fn may_be_misread(text: &[u8]) -> bool {
    let at = |n: usize| text.get(n).copied().unwrap_or(0);
    (0..text.len()).any(|n| match text[n] {
        // « and U+FFFD
        0xC2 => at(n + 1) == 0xAB,
        0xEF => at(n + 1) == 0xBF,
        // Ã, Ð and the like, and Ă, with something behind that is not ASCII, either.
        0xC3 => matches!(at(n + 1), 0x82..=0x85 | 0x8E..=0x91 | 0x98 | 0x99 | 0xA2 | 0xAF) && at(n + 2) >= 0x80,
        0xC4 => at(n + 1) == 0x82 && at(n + 2) >= 0x80,
        // √ ├ ┬
        0xE2 => matches!(at(n + 1), 0x88 | 0x94),
        // Р and С before other than a Russian letter.
        0xD0 => {
            matches!(at(n + 1), 0xA0 | 0xA1)
                && !matches!((at(n + 2), at(n + 3)), (0..0x80, _) | (0xD0, 0x90..) | (0xD1, ..0x90))
        }
        _ => false,
    })
}

/// What programs write where a whole text is missing.
fn is_whole_no_value(text: &str) -> bool {
    text.len() <= 12
        && matches!(
            text.trim(),
            "NULL"
                | "null"
                | "Null"
                | "None"
                | "none"
                | "nil"
                | "NaN"
                | "nan"
                | "NA"
                | "N/A"
                | "n/a"
                | "undefined"
                | "<NA>"
                | "\\N"
                | "(null)"
        )
}

fn no_values(text: &str, found: &mut Vec<(Doubt, String)>) {
    if is_whole_no_value(text) {
        found.push((Doubt::NoValue, text.trim().to_owned()));
        return;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for word in ["NULL", "NaN", "nan", "undefined", "[object Object]", "<NA>"] {
        for (at, _) in text.match_indices(word) {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
                found.push((Doubt::NoValue, around(text, at)));
                return;
            }
        }
    }
}

fn escapes(text: &str, found: &mut Vec<(Doubt, String)>) {
    for (at, _) in text.match_indices('\\') {
        let mut after = text[at + 1..].chars();
        let is_escape = match after.next() {
            Some('n' | 'r' | 't') => !after.next().is_some_and(char::is_lowercase) || !follows_drive(text, at),
            Some('u') => after.take(4).filter(char::is_ascii_hexdigit).count() == 4,
            Some('"') => true,
            _ => false,
        };
        if is_escape {
            found.push((Doubt::Escape, around(text, at)));
            return;
        }
    }
    for (at, _) in text.match_indices('&') {
        let Some((name, _)) = text[at + 1..].split_once(';') else { return };
        let is_number = name.strip_prefix('#').is_some_and(|digits| {
            !digits.is_empty()
                && digits.len() < 7
                && digits.trim_start_matches(['x', 'X']).chars().all(|c| c.is_ascii_hexdigit())
        });
        if is_number
            || matches!(
                name,
                "amp"
                    | "nbsp"
                    | "quot"
                    | "apos"
                    | "lt"
                    | "gt"
                    | "euro"
                    | "pound"
                    | "auml"
                    | "ouml"
                    | "uuml"
                    | "szlig"
                    | "eacute"
                    | "egrave"
                    | "ndash"
                    | "rsquo"
            )
        {
            found.push((Doubt::Escape, around(text, at)));
            return;
        }
    }
    for tag in ["<br>", "<br/>", "<br />", "<BR>", "</p>", "</b>"] {
        if let Some(at) = text.find(tag) {
            found.push((Doubt::Escape, around(text, at)));
            return;
        }
    }
}

/// A path of Windows: `C:\new`.
fn follows_drive(text: &str, at: usize) -> bool {
    let word = text[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
    word.contains(":\\") || word.ends_with(':') || word.starts_with("\\\\")
}

/// Errors of formulas, as spreadsheets in many languages show them, without their `#`.
const CELL_ERRORS: &[&str] = &[
    "N/A",
    "REF!",
    "VALUE!",
    "NAME?",
    "DIV/0!",
    "NULL!",
    "NUM!",
    "SPILL!",
    "CALC!",
    "FIELD!",
    "GETTING_DATA",
    "NV",
    "BEZUG!",
    "WERT!",
    "ZAHL!",
    "ÜBERLAUF!",
    "VALEUR!",
    "NOM?",
    "NOMBRE!",
    "NUL!",
    "N/D",
    "¡REF!",
    "¡VALOR!",
    "¡DIV/0!",
    "¡NUM!",
    "¡NULO!",
    "¿NOMBRE?",
    "VALOR!",
    "NOME?",
    "NÚM!",
    "NULO!",
    "RIF!",
    "VALORE!",
    "N/B",
    "VERW!",
    "WAARDE!",
    "NAAM?",
    "GETAL!",
    "DEEL/0!",
    "ADR!",
    "ARG!",
    "LICZBA!",
    "NAZWA?",
    "DZIEL/0!",
    "YOK",
    "BAŞV!",
    "DEĞER!",
    "AD?",
    "SAYI!",
    "SAYI/0!",
    "Н/Д",
    "ССЫЛКА!",
    "ЗНАЧ!",
    "ИМЯ?",
    "ЧИСЛО!",
    "ДЕЛ/0!",
    "ПУСТО!",
    "ODKAZ!",
    "HODNOTA!",
    "NENÍ_K_DISPOZICI",
    "HIV!",
    "ÉRTÉK!",
    "HIÁNYZIK",
    "NÉV?",
];

fn cell_errors(text: &str, found: &mut Vec<(Doubt, String)>) {
    for (at, _) in text.match_indices('#') {
        let behind = &text[at + 1..];
        let is_error = |name: &&&str| {
            behind.strip_prefix(**name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        if let Some(name) = CELL_ERRORS.iter().find(is_error) {
            found.push((Doubt::CellError, format!("#{name}")));
            return;
        }
    }
    if let Some((at, _)) = text.match_indices("Err:").find(|(at, _)| {
        let code = &text.as_bytes()[at + 4..];
        code.len() >= 3 && code[0] == b'5' && code[..3].iter().all(u8::is_ascii_digit)
    }) {
        found.push((Doubt::CellError, around(text, at)));
    }
}

/// Two spaces within a sentence, or one at the end of the text.
fn gap(text: &str) -> Option<usize> {
    let within = text.match_indices("  ").find(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || c == ',')
            && text[*at..].trim_start().starts_with(char::is_alphanumeric)
    });
    match within {
        Some((at, _)) => Some(at),
        None => (text.ends_with(' ') && text.trim_end().ends_with(char::is_alphabetic)).then(|| text.trim_end().len()),
    }
}

/// A few words around a place in a text.
fn around(text: &str, at: usize) -> String {
    const BEFORE: usize = 12;
    const CHARACTERS: usize = 36;
    let start = text[..at].char_indices().rev().nth(BEFORE - 1).map_or(0, |(start, _)| start);
    let short: String = text[start..].chars().take(CHARACTERS).collect();
    let (begun, ended) = (if start > 0 { "…" } else { "" }, if start + short.len() < text.len() { "…" } else { "" });
    format!("{begun}{}{ended}", escape_terminal(&short))
}

#[cfg(test)]
mod tests;
