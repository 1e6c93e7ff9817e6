//! Numbers as people write them: with spaces, brackets and dashes, by copy and paste, in the digits of their script. What
//! comes out is the one form that destinations have, [`Destination::international`](super::Destination::international).
//!
//! A number that could be two is refused rather than guessed: whoever reads a list of numbers that must not be sent to has
//! to know of each line whether it holds.

use super::plan::{self, Country, Kind};
use super::{DESTINATION_DIGITS, DestinationError, is_decimal, is_scientific};
use crate::words::escape::name_character;
use crate::words::names::is_invisible;

/// Digits from which on a number is expected to fit some country's plan; shorter ones may be short codes.
const SHORT_CODE_DIGITS: usize = 6;
/// Digits that a number of its own has at least, where several may stand in one cell.
const ONE_OF_SEVERAL_DIGITS: usize = 7;
/// Digits that a national number has at most, its trunk prefix counted.
const NATIONAL_DIGITS_MAX: usize = 13;
/// Decimals that an amount has at most.
const DECIMALS_MAX: usize = 2;

/// A number that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// International, without `+` or 00.
    pub digits: String,
    /// It begins with no country's calling code, or has more or fewer digits than numbers have there: the country code may
    /// be missing.
    pub is_doubtful: bool,
    /// What it is, where a country was given.
    pub kind: Option<Kind>,
    /// A `+`, or what is dialled before a country code, says that it is international.
    pub is_marked: bool,
}

/// Why a number was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialledError {
    /// As for a campaign's destination.
    #[error("{}", destination_words(.0))]
    Destination(DestinationError),
    /// Words without a digit.
    #[error("there is no number in it")]
    NoDigit,
    /// It has no country code, and no country was given.
    #[error("the number has no country code: give --country, as in --country GB, or write the code")]
    National,
    /// It is no number of the country that was given.
    #[error(
        "no number in {} is like this: it has too many or too few digits, or is of another country and has no country code \
         (write it with + and the code)",
        .0.code()
    )]
    NotOfCountry(Country),
    /// It has a country code, and that country has no such number.
    #[error(
        "no country has such a number: its country code is wrong, or it has too many or too few digits for that country"
    )]
    Impossible,
    /// It may be a number of the country that was given, or one of another country without its `+`.
    #[error(
        "this may be a number in {} or one with another country's code: write it with + and its country code",
        .0.code()
    )]
    Ambiguous(Country),
    /// More than one number.
    #[error("there is more than one number in it: write each on a line of its own")]
    Several,
}

/// A campaign's numbers have only digits; here some other characters are allowed, too.
fn destination_words(error: &DestinationError) -> String {
    match error {
        DestinationError::Character(c) => format!("the number has {} in it", name_character(*c)),
        error => error.to_string(),
    }
}

impl DialledError {
    /// A short stable name for reports: `to_national`, `to_short`, ...
    pub fn code(&self) -> &'static str {
        match self {
            DialledError::Destination(error) => error.code(),
            DialledError::NoDigit => "to_character",
            DialledError::National => "to_national",
            DialledError::NotOfCountry(_) | DialledError::Impossible => "to_impossible",
            DialledError::Ambiguous(_) => "to_ambiguous",
            DialledError::Several => "to_several",
        }
    }
}

/// Reads a number. `country`: where numbers without a country code are of.
///
/// ```
/// # use smppost::testing::message::address::dialled::read;
///
/// assert_eq!(read("(0044) 7700 900203", None).unwrap().digits, "447700900203");
/// assert_eq!(read("07700-900202", "GB".parse().ok()).unwrap().digits, "447700900202");
/// assert!(read("07700 900202", None).is_err());
/// ```
pub fn read(typed: &str, country: Option<Country>) -> Result<Dialled, DialledError> {
    let Written { digits, has_plus } = match bare(typed) {
        Some(written) => written,
        None => {
            let visible: String = typed.chars().filter(|&c| !is_invisible(c)).collect();
            let typed = without_wrapping(visible.trim());
            if typed.is_empty() {
                return Err(DialledError::Destination(DestinationError::Empty));
            }
            written(typed)?
        }
    };
    let length = |digits: &str| match digits.len() {
        long if long > *DESTINATION_DIGITS.end() => Err(DestinationError::TooLong(long)),
        short if short < *DESTINATION_DIGITS.start() => Err(DestinationError::TooShort(short)),
        _ => Ok(()),
    };
    // Whatever else is wrong with a number, its length is said first.
    let is_marked = has_plus || digits.starts_with("00");
    if !is_marked {
        length(&digits).map_err(DialledError::Destination)?;
    }
    let (digits, kind) = resolve(digits, has_plus, country)?;
    length(&digits).map_err(DialledError::Destination)?;
    let is_doubtful = kind.is_none() && digits.len() > SHORT_CODE_DIGITS && !plan::is_plausible(&digits);
    Ok(Dialled { digits, is_doubtful, kind, is_marked })
}

/// The digits of a number as they were written, without anything put before or taken from them.
pub fn digits(typed: &str) -> Result<String, DialledError> {
    let visible: String = typed.chars().filter(|&c| !is_invisible(c)).collect();
    written(without_wrapping(visible.trim())).map(|written| written.digits)
}

/// What an international number is; `None`: none that is known.
pub fn kind_of(international: &str) -> Option<Kind> {
    plan::Read::international(international).map(|read| read.kind).filter(|kind| *kind > Kind::Impossible)
}

/// Whether a cell may have several numbers in it; one that may not has one alone.
pub fn may_be_several(typed: &str) -> bool {
    typed.len() > 2 * ONE_OF_SEVERAL_DIGITS
}

/// What stands between the numbers of a cell: what stands within a number, too, comes last.
const BETWEEN: [&[char]; 5] = [&['\n', '\r'], &[';'], &['|'], &[','], &['/']];

/// The numbers of a cell that has several in it, as they were written; one that has one alone is that one. A cell is cut where
/// all that comes of it may be a number of its own: the dashes and slashes within a number are none of that.
pub fn each_of(typed: &str) -> Vec<&str> {
    let digits = |text: &str| text.chars().filter(|&c| digit(c).is_some()).count();
    let mut pieces = vec![typed];
    for between in BETWEEN {
        let mut finer = Vec::new();
        for piece in pieces {
            let cut: Vec<&str> = piece.split(between).filter(|piece| digits(piece) > 0).collect();
            match cut.iter().all(|piece| digits(piece) >= ONE_OF_SEVERAL_DIGITS) {
                true => finer.extend(cut),
                false => finer.push(piece),
            }
        }
        pieces = finer;
    }
    let mut numbers: Vec<&str> = Vec::new();
    for piece in pieces {
        if BETWEEN[..4].iter().any(|between| piece.contains(*between)) {
            numbers.push(piece.trim());
            continue;
        }
        let mut rest = piece;
        // `+447700900111 +447700900112`: nothing between them but their signs.
        while let Some(at) = rest
            .char_indices()
            .skip(1)
            .find(|&(at, c)| matches!(c, '+' | '＋') && digits(&rest[..at]) >= ONE_OF_SEVERAL_DIGITS)
        {
            numbers.push(rest[..at.0].trim());
            rest = &rest[at.0..];
        }
        numbers.push(rest.trim());
    }
    if numbers.is_empty() { vec![typed] } else { numbers }
}

/// Whether somebody may have meant a number by it, read or not: a first line of a file that has one is no header.
pub fn is_meant_as_number(typed: &str, country: Option<Country>) -> bool {
    let visible: String = typed.chars().filter(|&c| !is_invisible(c)).collect();
    if is_date(visible.trim()) {
        return false;
    }
    match read(&visible, country) {
        Ok(number) => number.digits.len() >= ONE_OF_SEVERAL_DIGITS,
        Err(DialledError::NoDigit) => false,
        Err(DialledError::Destination(error)) => match error {
            DestinationError::Spreadsheet | DestinationError::Decimal | DestinationError::TooLong(_) => true,
            DestinationError::Empty | DestinationError::Character(_) => false,
            DestinationError::OtherScript(_) | DestinationError::TooShort(_) => false,
        },
        Err(_) => true,
    }
}

/// The digits of what was written, and whether a `+` stands before them.
struct Written {
    digits: String,
    has_plus: bool,
}

/// A number that is nothing but digits, or those behind a plus: most are, and there is nothing to take off.
fn bare(typed: &str) -> Option<Written> {
    let digits = typed.strip_prefix('+').unwrap_or(typed);
    let is_bare = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_bare.then(|| Written { digits: digits.to_owned(), has_plus: digits.len() < typed.len() })
}

fn written(bare: &str) -> Result<Written, DialledError> {
    let close: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
    let unsigned = close.trim_start_matches('+');
    if is_scientific(unsigned) {
        return Err(DialledError::Destination(DestinationError::Spreadsheet));
    }
    if is_amount(unsigned) {
        return Err(DialledError::Destination(DestinationError::Decimal));
    }
    let has_thousands = has_thousands(unsigned);
    // The trunk prefix in +44 (0)7700: it is for those who dial within the country.
    let close = match close.find("(0)") {
        Some(at) if close[..at].contains(|c: char| digit(c).is_some()) => close.replacen("(0)", "", 1),
        _ => close,
    };
    let mut written = Written { digits: String::with_capacity(close.len()), has_plus: false };
    let mut odd = None;
    for c in close.chars() {
        if let Some(value) = digit(c) {
            written.digits.push(char::from(b'0' + value));
        } else if matches!(c, '+' | '＋') {
            if written.digits.len() >= ONE_OF_SEVERAL_DIGITS {
                return Err(DialledError::Several);
            }
            if written.has_plus || !written.digits.is_empty() {
                odd.get_or_insert(c);
            }
            written.has_plus = true;
        } else if matches!(c, '/' | ',' | ';' | '|') {
            let rest = close.rsplit(c).next().unwrap_or_default();
            let after = rest.chars().filter(|&c| digit(c).is_some()).count();
            if written.digits.len() >= ONE_OF_SEVERAL_DIGITS && after >= ONE_OF_SEVERAL_DIGITS {
                return Err(DialledError::Several);
            }
            if c != '/' && !(c == ',' && has_thousands) {
                odd.get_or_insert(c);
            }
        } else if !is_separator(c) {
            odd.get_or_insert(c);
        }
    }
    match odd {
        _ if written.digits.is_empty() => Err(DialledError::NoDigit),
        Some(c) => Err(DialledError::Destination(DestinationError::Character(c))),
        None => Ok(written),
    }
}

/// International digits of a number, and what it is where a country is given to read it by.
fn resolve(digits: String, has_plus: bool, country: Option<Country>) -> Result<(String, Option<Kind>), DialledError> {
    let is_code = |rest: &&str| !rest.starts_with('0') && rest.len() >= *DESTINATION_DIGITS.start();
    let marked = match has_plus && !digits.starts_with('0') {
        true => Some(digits.clone()),
        false => digits.strip_prefix("00").filter(is_code).map(str::to_owned),
    };
    match (marked, country) {
        (Some(marked), None) => Ok((marked, None)),
        (Some(marked), Some(country)) => match plan::Read::international(&marked) {
            Some(read) if read.kind > Kind::Impossible => Ok((read.digits(), Some(read.kind))),
            // Where something longer than 00 is dialled before a country code, as 0011.
            _ if digits.starts_with("00") => national(digits, has_plus, country).map_err(|_| DialledError::Impossible),
            _ => Err(DialledError::Impossible),
        },
        (None, Some(country)) => national(digits, has_plus, country),
        (None, None) => match dialled_in_america(&digits) {
            Some(rest) => Ok((rest.to_owned(), None)),
            None if digits.starts_with('0') => Err(DialledError::National),
            None => Ok((digits, None)),
        },
    }
}

/// What follows 011, which North America dials before a country code: no national number is so long.
fn dialled_in_america(digits: &str) -> Option<&str> {
    digits.strip_prefix("011").filter(|rest| digits.len() > NATIONAL_DIGITS_MAX && plan::is_plausible(rest))
}

/// International digits of a number that has nothing before it that says so.
fn national(digits: String, has_plus: bool, country: Country) -> Result<(String, Option<Kind>), DialledError> {
    let has_zero = digits.starts_with('0');
    if digits.len() <= SHORT_CODE_DIGITS && !has_zero {
        return Ok((digits, None));
    }
    let possible = |read: &plan::Read| read.kind > Kind::Impossible;
    let chosen = |read: plan::Read| Ok((read.digits(), Some(read.kind)));
    // `+0…` was meant as national by whoever put a plus before a whole column.
    let own = plan::Read::in_country(&digits, country).filter(possible);
    let abroad = match has_plus || has_zero {
        true => None,
        false => plan::Read::international(&digits).filter(possible),
    };
    match (own, abroad) {
        (Some(own), Some(abroad)) if own.digits() == abroad.digits() => chosen(own),
        // With the country's own code in front, or a number within it that begins so.
        (Some(own), Some(abroad)) if abroad.calling_code() == country.calling_code() => {
            let is_abroad = abroad.kind > own.kind || abroad.kind == own.kind && country.has_trunk_zero();
            chosen(if is_abroad { abroad } else { own })
        }
        // Where every national number begins with 0, one without may as well have another country's code.
        (Some(own), Some(abroad)) => match country.has_trunk_zero() && abroad.kind >= own.kind {
            true => Err(DialledError::Ambiguous(country)),
            false => chosen(own),
        },
        (Some(own), None) => chosen(own),
        (None, Some(abroad)) => chosen(abroad),
        (None, None) => match dialled_in_america(&digits).and_then(plan::Read::international).filter(possible) {
            Some(read) => chosen(read),
            None => Err(DialledError::NotOfCountry(country)),
        },
    }
}

/// Takes away what programs put around a number: `tel:`, an apostrophe, quotes, and a formula that keeps a text a text.
fn without_wrapping(typed: &str) -> &str {
    let mut bare = typed;
    for scheme in ["tel:", "sms:", "smsto:", "callto:"] {
        if bare.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            bare = bare[scheme.len()..].trim_start();
        }
    }
    let quote = |c: char| matches!(c, '\'' | '"' | '’' | '‘' | '“' | '”' | '`' | '´') || c.is_whitespace();
    bare.strip_prefix('=').unwrap_or(bare).trim_matches(quote)
}

fn is_separator(c: char) -> bool {
    matches!(
        c,
        '-' | '.' | '(' | ')' | '[' | ']' | '_' | '·' | '•' | '\u{ad}' | '\u{2010}'
            ..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '（' | '）'
    )
}

/// The value of a digit of any script.
fn digit(c: char) -> Option<u8> {
    const ZEROS: [char; 19] =
        ['٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '๐', '໐', '༠', '၀', '០', '᠐', '０'];
    if c.is_ascii_digit() {
        return Some(c as u8 - b'0');
    }
    if c.is_ascii() {
        return None;
    }
    let value = |zero: char| u32::from(c).checked_sub(u32::from(zero)).filter(|value| *value < 10);
    ZEROS.into_iter().find_map(value).map(|value| value as u8)
}

/// `447700900123.0`: an amount, whose decimals would be taken for digits of the number.
fn is_amount(number: &str) -> bool {
    let decimals = number.rsplit(['.', ',']).next().unwrap_or_default();
    is_decimal(number) && decimals.len() <= DECIMALS_MAX && number.len() - decimals.len() > *DESTINATION_DIGITS.start()
}

/// `447,700,900,123`.
fn has_thousands(number: &str) -> bool {
    let mut groups = number.split(',');
    let first = groups.next().unwrap_or_default();
    let is_digits = |group: &str| group.bytes().all(|octet| octet.is_ascii_digit());
    let mut any = false;
    (1..=3).contains(&first.len())
        && is_digits(first)
        && groups.all(|group| {
            any = true;
            group.len() == 3 && is_digits(group)
        })
        && any
}

/// `2026-01-31`, `31.01.2026`, `1/31/26`, with or without a time: its digits are none of a number.
fn is_date(text: &str) -> bool {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let groups: Vec<&str> = day.split(['-', '.', '/']).collect();
    let [a, b, c] = groups[..] else { return false };
    let is = |group: &str, most: usize| (1..=most).contains(&group.len()) && group.bytes().all(|o| o.is_ascii_digit());
    is(a, 4) && is(b, 2) && is(c, 2) || is(a, 2) && is(b, 2) && is(c, 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digits(typed: &str, country: &str) -> Result<String, DialledError> {
        read(typed, country.parse().ok()).map(|number| number.digits)
    }

    proptest! {
        #[test]
        fn what_is_bare_is_read_as_if_it_were_not(typed in "[+＋]?[0-9٠ .]{0,18}") {
            if let Some(short) = bare(&typed) {
                let long = written(without_wrapping(typed.trim())).map(|long| (long.digits, long.has_plus));
                prop_assert_eq!(Ok((short.digits, short.has_plus)), long);
            }
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (typed, expected) in [
            ("+44 7700 900101", "447700900101"),
            ("0044 7700 900102", "447700900102"),
            ("(0044) 7700 900102", "447700900102"),
            ("+44 (0)7700 900103", "447700900103"),
            ("0044 (0) 7700 900103", "447700900103"),
            ("44 (0) 7700 900103", "447700900103"),
            ("(+44) 7700-900104", "447700900104"),
            ("[+44] 7700-900104", "447700900104"),
            ("+44.7700.900105", "447700900105"),
            ("44.7700900105", "447700900105"),
            ("\u{200e}+447700900107", "447700900107"),
            ("447700900107\u{202c}", "447700900107"),
            ("\u{feff}447700900107", "447700900107"),
            ("+44\u{a0}7700\u{a0}900108", "447700900108"),
            ("+44\u{202f}7700\u{2009}900108", "447700900108"),
            ("tel:+447700900109", "447700900109"),
            ("TEL: +44 7700 900109", "447700900109"),
            ("'+447700900110", "447700900110"),
            ("=\"+447700900110\"", "447700900110"),
            ("４４７７００９００１１３", "447700900113"),
            ("＋４４７７００９００１１３", "447700900113"),
            ("٤٤٧٧٠٠٩٠٠١١٤", "447700900114"),
            ("+44–7700–900115", "447700900115"),
            ("+44/7700/900115", "447700900115"),
            ("+44_7700_900115", "447700900115"),
            ("447,700,900,103", "447700900103"),
            ("+00447700900103", "447700900103"),
            ("60777", "60777"),
            ("447700900107\u{1a}", "447700900107"),
        ] {
            assert_eq!(digits(typed, ""), Ok(expected.to_owned()), "{typed:?}");
            assert_eq!(digits(typed, "GB"), Ok(expected.to_owned()), "{typed:?} with a country");
        }
    }

    #[test]
    fn what_is_no_number_or_two_is_said() {
        use DestinationError::{Character, Decimal, Empty, Spreadsheet, TooLong, TooShort};
        use DialledError::{Destination, NoDigit, Several};
        for (typed, error) in [
            ("", Destination(Empty)),
            (" \u{200b}\u{a0}", Destination(Empty)),
            ("UNKNOWN", NoDigit),
            ("n/a", NoDigit),
            ("-", NoDigit),
            ("+44 7700 900111 / +44 7700 900112", Several),
            ("447700900111/447700900112", Several),
            ("447700900111,447700900112", Several),
            ("447700900111; 447700900112", Several),
            ("+447700900111 +447700900112", Several),
            ("447700900111 Ann", Destination(Character('A'))),
            ("4477O0900123", Destination(Character('O'))),
            ("447700900111x12", Destination(Character('x'))),
            ("++447700900111", Destination(Character('+'))),
            ("4.47701E+11", Destination(Spreadsheet)),
            ("4,47701E+11", Destination(Spreadsheet)),
            ("447700900102.0", Destination(Decimal)),
            ("447700900102,00", Destination(Decimal)),
            ("447700900111 447700900112", Destination(TooLong(24))),
            ("123", Destination(TooShort(3))),
            ("+", NoDigit),
        ] {
            assert_eq!(digits(typed, ""), Err(error), "{typed:?}");
            assert_eq!(digits(typed, "GB"), Err(error), "{typed:?} with a country");
        }
    }

    #[test]
    fn a_country_says_what_a_national_number_is() {
        for (typed, country, expected) in [
            ("07700 900101", "GB", Some("447700900101")),
            ("7700900102", "GB", Some("447700900102")),
            ("07700-900103", "GB", Some("447700900103")),
            ("447700900104", "GB", Some("447700900104")),
            ("00447700900105", "GB", Some("447700900105")),
            ("02079460001", "GB", Some("442079460001")),
            ("(020) 7946 0001", "GB", Some("442079460001")),
            ("+07700 900101", "GB", Some("447700900101")),
            ("33612345678", "GB", Some("33612345678")),
            ("0770090010", "GB", None),
            ("077009001", "GB", None),
            ("07700900101234", "GB", None),
            ("0151 12345678", "DE", Some("4915112345678")),
            ("4915112345678", "DE", Some("4915112345678")),
            ("33612345678", "DE", None),
            ("0900123456", "GB", None),
            ("4477009001011", "GB", None),
            ("+4477009001011", "GB", None),
            ("+44 07700 900101", "GB", Some("447700900101")),
            ("06 12 34 56 78", "FR", Some("33612345678")),
            ("333 1234567", "IT", Some("393331234567")),
            ("06 12345678", "IT", Some("390612345678")),
            ("202-555-0123", "US", Some("12025550123")),
            ("1 (202) 555-0123", "US", Some("12025550123")),
            ("011 44 7700 900126", "US", Some("447700900126")),
            ("011447700900126", "GB", Some("447700900126")),
            ("011447700900126", "", Some("447700900126")),
            ("01144770090", "GB", Some("441144770090")),
            ("0011 44 7700 900126", "AU", Some("447700900126")),
            ("0412 345 678", "AU", Some("61412345678")),
            ("8 916 123-45-67", "RU", Some("79161234567")),
            ("810 44 7700 900126", "RU", Some("447700900126")),
            ("06 30 123 4567", "HU", Some("36301234567")),
            ("600 123 456", "PL", Some("48600123456")),
            ("60777", "GB", Some("60777")),
        ] {
            assert_eq!(digits(typed, country).ok().as_deref(), expected, "{typed} in {country}");
        }
        for typed in ["07700900202", "07700 900202", "(020) 7946 0001", "+07700900202", "0114477009001"] {
            assert_eq!(digits(typed, ""), Err(DialledError::National), "{typed}");
        }
    }

    #[test]
    fn a_number_of_no_country_is_doubtful() {
        for (typed, expected) in
            [("447700900123", false), ("7700900102", true), ("60777", false), ("999", false), ("4477009001234", true)]
        {
            assert_eq!(read(typed, None).is_ok_and(|number| number.is_doubtful), expected, "{typed}");
        }
    }

    #[test]
    fn a_date_is_not_meant_as_a_number() {
        for (typed, expected) in [
            ("2026-01-01", false),
            ("31.01.2026", false),
            ("1/31/26", false),
            ("2026-01-01T10:00:00", false),
            ("447700900123", true),
            ("07700900123", true),
            ("4.47701E+11", true),
            ("Phone", false),
            ("Phone 1", false),
            ("17", false),
            ("447700900111 / 447700900112", true),
        ] {
            assert_eq!(is_meant_as_number(typed, None), expected, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_panics(typed in any::<String>(), country in "(GB|DE|US|RU|IT)?") {
            let _ = read(&typed, country.parse().ok()).map_err(|error| error.to_string());
            let _ = is_meant_as_number(&typed, None);
        }

        #[test]
        fn what_is_read_is_a_canonical_destination(typed in "[+(0-9) .-]{4,24}", country in "(GB|DE|US)?") {
            if let Ok(number) = read(&typed, country.parse().ok()) {
                let destination = super::super::Destination::parse(&number.digits).unwrap();
                prop_assert_eq!(destination.international(), &number.digits);
            }
        }
    }
}
