//! National language shift tables (3GPP TS 23.038, annex A): letters that the GSM alphabet lacks, in septets all the same.
//!
//! A single shift table stands in for the extension table, a locking shift table for the default one. A user data header
//! says which (3GPP TS 23.040, 9.2.3.24.15 and .16), so that a part holds some septets less.

use super::gsm;
use crate::wire::udh;

/// Information element of a single shift.
pub(super) const SINGLE_SHIFT: u8 = 0x24;
/// Information element of a locking shift.
pub(super) const LOCKING_SHIFT: u8 = 0x25;

/// A language that has tables; the integers are those of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Language {
    /// Turkish.
    Turkish = 1,
    /// Spanish, which has a single shift table only.
    Spanish = 2,
    /// Portuguese.
    Portuguese = 3,
}

impl Language {
    const ALL: [Language; 3] = [Language::Turkish, Language::Spanish, Language::Portuguese];

    /// The language of this number of the standard.
    pub fn from_number(number: u8) -> Option<Language> {
        Language::ALL.into_iter().find(|language| *language as u8 == number)
    }

    /// `tr`, `es` or `pt`.
    pub fn code(self) -> &'static str {
        match self {
            Language::Turkish => "tr",
            Language::Spanish => "es",
            Language::Portuguese => "pt",
        }
    }

    /// The language of this code.
    pub fn from_code(code: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.code() == code)
    }

    fn single(self) -> &'static [(u8, char)] {
        match self {
            Language::Turkish => &TURKISH_SINGLE,
            Language::Spanish => &SPANISH_SINGLE,
            Language::Portuguese => &PORTUGUESE_SINGLE,
        }
    }

    /// What the locking table has in other places than the default one; Spanish has none.
    fn locking(self) -> Option<&'static [(u8, char)]> {
        match self {
            Language::Turkish => Some(&TURKISH_LOCKING),
            Language::Spanish => None,
            Language::Portuguese => Some(&PORTUGUESE_LOCKING),
        }
    }
}

/// The tables that a text is written with in place of those of GSM 03.38: one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shift {
    /// In place of the default table.
    pub locking: Option<Language>,
    /// In place of the extension table.
    pub single: Option<Language>,
}

impl Shift {
    /// All that are written, those that more handsets know first: a later one is taken only where it makes fewer SMS.
    pub const ALL: [Shift; 7] = [
        Shift { locking: None, single: Some(Language::Turkish) },
        Shift { locking: None, single: Some(Language::Spanish) },
        Shift { locking: None, single: Some(Language::Portuguese) },
        Shift { locking: Some(Language::Turkish), single: None },
        Shift { locking: Some(Language::Portuguese), single: None },
        Shift { locking: Some(Language::Turkish), single: Some(Language::Turkish) },
        Shift { locking: Some(Language::Portuguese), single: Some(Language::Portuguese) },
    ];

    /// Whether it is of that language.
    pub fn is_of(self, language: Language) -> bool {
        self.single.or(self.locking) == Some(language)
    }

    /// Octets of its information elements.
    pub(super) fn header_octets(self) -> usize {
        3 * (usize::from(self.locking.is_some()) + usize::from(self.single.is_some()))
    }

    /// Appends its information elements.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        for (element, language) in [(SINGLE_SHIFT, self.single), (LOCKING_SHIFT, self.locking)] {
            if let Some(language) = language {
                out.extend_from_slice(&[element, 1, language as u8]);
            }
        }
    }

    /// What a user data header says of tables; `None`: nothing.
    pub fn of_header(header: &[u8]) -> Option<Shift> {
        let (mut shift, mut elements) = (Shift { locking: None, single: None }, udh::elements(header));
        for element in elements.by_ref() {
            match element {
                (SINGLE_SHIFT, &[language]) => shift.single = Language::from_number(language),
                (LOCKING_SHIFT, &[language]) => shift.locking = Language::from_number(language),
                _ => {}
            }
        }
        if elements.rest().len() > 1 {
            return None;
        }
        (shift.locking.is_some() || shift.single.is_some()).then_some(shift)
    }

    /// The code of a character, as [`gsm::code`] gives it.
    pub(super) fn code(self, c: char) -> u16 {
        if let Some(table) = self.locking.and_then(Language::locking) {
            if let Some(code) = place(table, c) {
                return u16::from(code);
            }
            // What the default table has there is gone where the locking one has something else.
            match gsm::code(c) {
                code @ 0..=0x7F if table.iter().all(|(taken, _)| u16::from(*taken) != code) => return code,
                _ => {}
            }
        } else if let code @ 0..=0x7F = gsm::code(c) {
            return code;
        }
        let extended = match self.single {
            Some(language) => place(language.single(), c),
            None => match gsm::code(c).to_be_bytes() {
                [gsm::ESCAPE, code] => Some(code),
                _ => None,
            },
        };
        extended.map_or(gsm::NONE, |code| u16::from_be_bytes([gsm::ESCAPE, code]))
    }

    /// The length of a text in septets; `None`: it has a character that these tables lack.
    pub(super) fn septets(self, text: &str) -> Option<usize> {
        text.chars().try_fold(0, |sum, c| match self.code(c) {
            gsm::NONE => None,
            code => Some(sum + 1 + usize::from(code >= 0x80)),
        })
    }

    /// Appends the codes of a text that [`septets`](Shift::septets) has measured.
    pub(super) fn encode(self, text: &str, out: &mut Vec<u8>) {
        for c in text.chars() {
            match self.code(c).to_be_bytes() {
                [0, code] => out.push(code),
                [_, code] => out.extend_from_slice(&[gsm::ESCAPE, code]),
            }
        }
    }

    /// The character of a code.
    pub(super) fn character(self, code: u8) -> char {
        let table = self.locking.and_then(Language::locking).unwrap_or_default();
        at(table, code).unwrap_or_else(|| gsm::character(code))
    }

    /// The character of a code behind an escape, where the table has one.
    pub(super) fn extended(self, code: u8) -> Option<char> {
        match self.single {
            Some(language) => at(language.single(), code),
            None => gsm::extended(code),
        }
    }
}

fn place(table: &[(u8, char)], c: char) -> Option<u8> {
    table.iter().find(|(_, known)| *known == c).map(|(code, _)| *code)
}

fn at(table: &[(u8, char)], code: u8) -> Option<char> {
    table.iter().find(|(known, _)| *known == code).map(|(_, c)| *c)
}

/// 3GPP TS 23.038, A.2.1.
#[rustfmt::skip]
const TURKISH_SINGLE: [(u8, char); 17] = [
    (0x0A, '\u{c}'), (0x14, '^'), (0x28, '{'), (0x29, '}'), (0x2F, '\\'), (0x3C, '['), (0x3D, '~'), (0x3E, ']'),
    (0x40, '|'), (0x47, 'Ğ'), (0x49, 'İ'), (0x53, 'Ş'), (0x63, 'ç'), (0x65, '€'), (0x67, 'ğ'), (0x69, 'ı'), (0x73, 'ş'),
];

/// 3GPP TS 23.038, A.2.2.
#[rustfmt::skip]
const SPANISH_SINGLE: [(u8, char); 19] = [
    (0x09, 'ç'), (0x0A, '\u{c}'), (0x14, '^'), (0x28, '{'), (0x29, '}'), (0x2F, '\\'), (0x3C, '['), (0x3D, '~'),
    (0x3E, ']'), (0x40, '|'), (0x41, 'Á'), (0x49, 'Í'), (0x4F, 'Ó'), (0x55, 'Ú'), (0x61, 'á'), (0x65, '€'), (0x69, 'í'),
    (0x6F, 'ó'), (0x75, 'ú'),
];

/// 3GPP TS 23.038, A.2.3.
#[rustfmt::skip]
const PORTUGUESE_SINGLE: [(u8, char); 37] = [
    (0x05, 'ê'), (0x09, 'ç'), (0x0A, '\u{c}'), (0x0B, 'Ô'), (0x0C, 'ô'), (0x0E, 'Á'), (0x0F, 'á'), (0x12, 'Φ'),
    (0x13, 'Γ'), (0x14, '^'), (0x15, 'Ω'), (0x16, 'Π'), (0x17, 'Ψ'), (0x18, 'Σ'), (0x19, 'Θ'), (0x1F, 'Ê'), (0x28, '{'),
    (0x29, '}'), (0x2F, '\\'), (0x3C, '['), (0x3D, '~'), (0x3E, ']'), (0x40, '|'), (0x41, 'À'), (0x49, 'Í'), (0x4F, 'Ó'),
    (0x55, 'Ú'), (0x5B, 'Ã'), (0x5C, 'Õ'), (0x61, 'Â'), (0x65, '€'), (0x69, 'í'), (0x6F, 'ó'), (0x75, 'ú'), (0x7B, 'ã'),
    (0x7C, 'õ'), (0x7F, 'â'),
];

/// 3GPP TS 23.038, A.3.1, where it differs from the default alphabet.
#[rustfmt::skip]
const TURKISH_LOCKING: [(u8, char); 8] = [
    (0x04, '€'), (0x07, 'ı'), (0x0B, 'Ğ'), (0x0C, 'ğ'), (0x1C, 'Ş'), (0x1D, 'ş'), (0x40, 'İ'), (0x60, 'ç'),
];

/// 3GPP TS 23.038, A.3.3, where it differs from the default alphabet.
#[rustfmt::skip]
const PORTUGUESE_LOCKING: [(u8, char); 30] = [
    (0x04, 'ê'), (0x06, 'ú'), (0x07, 'í'), (0x08, 'ó'), (0x09, 'ç'), (0x0B, 'Ô'), (0x0C, 'ô'), (0x0E, 'Á'), (0x0F, 'á'),
    (0x12, 'ª'), (0x13, 'Ç'), (0x14, 'À'), (0x15, '∞'), (0x16, '^'), (0x17, '\\'), (0x18, '€'), (0x19, 'Ó'), (0x1A, '|'),
    (0x1C, 'Â'), (0x1D, 'â'), (0x1E, 'Ê'), (0x24, 'º'), (0x40, 'Í'), (0x5B, 'Ã'), (0x5C, 'Õ'), (0x5D, 'Ú'), (0x60, '~'),
    (0x7B, 'ã'), (0x7C, 'õ'), (0x7D, '`'),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each code of each table reads as the character that it was made of.
    #[test]
    fn what_is_written_reads_the_same() {
        for shift in Shift::ALL {
            let mut known = 0;
            for c in (0..0x2FFF).filter_map(char::from_u32) {
                let read = match shift.code(c).to_be_bytes() {
                    [0xFF, 0xFF] => continue,
                    [0, code] => shift.character(code),
                    [_, code] => shift.extended(code).unwrap(),
                };
                assert_eq!(read, c, "{shift:?}");
                known += 1;
            }
            assert!(known > 127, "{shift:?} {known}");
        }
    }

    #[test]
    fn a_table_has_each_place_and_each_character_once() {
        for language in Language::ALL {
            for table in [language.single(), language.locking().unwrap_or_default()] {
                for (n, (code, c)) in table.iter().enumerate() {
                    let twin = table[..n].iter().find(|(other, character)| other == code || character == c);
                    assert_eq!(twin, None, "{language:?} {c}");
                    assert!(*code < 0x80 && *code != gsm::ESCAPE);
                }
            }
        }
    }

    #[test]
    fn headers_say_which() {
        for shift in Shift::ALL {
            let mut udh = vec![0, 3, 9, 2, 1];
            shift.write(&mut udh);
            assert_eq!(udh.len(), 5 + shift.header_octets());
            assert_eq!(Shift::of_header(&udh), Some(shift));
        }
        for none in [&b""[..], b"\x00\x03\x09\x02\x01", b"\x24\x01", b"\x24\x01\x63", b"\x24\x02\x01\x01"] {
            assert_eq!(Shift::of_header(none), None, "{none:?}");
        }
    }
}
