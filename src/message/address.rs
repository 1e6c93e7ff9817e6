//! Destinations and senders as a wholesale SMPP account takes them. Pure: nothing here does I/O.
//!
//! A number is never guessed: what is not plainly one is refused in words that say what happened to it.

use crate::words::escape::name_character;

pub mod dialled;
mod plan;

pub use plan::{Country, Kind, calling_code, country_of, is_plausible};

/// Digits that a destination has, at least and at most.
pub const DESTINATION_DIGITS: std::ops::RangeInclusive<usize> = 4..=16;
/// Characters of an alphanumeric sender, at most (3GPP TS 23.040, 9.1.2.5).
pub const SENDER_CHARACTERS_MAX: usize = 11;
/// Digits of a numeric sender, at most (E.164).
pub const SENDER_DIGITS_MAX: usize = 15;
/// Characters or digits that source_addr holds: the most that any provider can allow (SMPP v3.4, 5.2.8, without the NUL).
pub const SENDER_LENGTH_MAX: usize = 20;
/// A numeric sender of up to so many digits, without a `+`, is a short code.
pub const SHORT_CODE_DIGITS_MAX: usize = 8;

/// TON: unknown.
pub const TON_UNKNOWN: u8 = 0;
/// TON: international.
pub const TON_INTERNATIONAL: u8 = 1;
/// TON: network specific, which is what short codes are.
pub const TON_NETWORK_SPECIFIC: u8 = 3;
/// TON: alphanumeric.
pub const TON_ALPHANUMERIC: u8 = 5;
/// NPI: unknown.
pub const NPI_UNKNOWN: u8 = 0;
/// NPI: ISDN (E.163, E.164).
pub const NPI_ISDN: u8 = 1;

/// A checked destination: 4 to 16 ASCII digits, as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination<'a> {
    digits: &'a str,
    key: u64,
}

impl<'a> Destination<'a> {
    /// Checks a number as it was typed: spaces around it and one leading `+` are dropped, nothing else is.
    pub fn parse(typed: &'a str) -> Result<Destination<'a>, DestinationError> {
        let trimmed = typed.trim();
        let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
        // The 1 in front keeps leading zeros: 16 digits behind it are far below 2^64.
        let mut key: u64 = 1;
        if DESTINATION_DIGITS.contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit()) {
            for digit in digits.bytes() {
                key = key * 10 + u64::from(digit - b'0');
            }
            return Ok(Destination { digits, key });
        }
        Err(DestinationError::of(trimmed, digits))
    }

    /// The digits, without `+`.
    pub fn digits(&self) -> &'a str {
        self.digits
    }

    /// The number as an integer that loses nothing: the digits behind a 1. Never 0.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The digits that tell whether two writings are one number: without the `00` that many write in place of `+`. No
    /// country code starts with 0, so nothing else is meant by it. What travels is [`digits`](Destination::digits).
    pub fn international(&self) -> &'a str {
        match self.digits.strip_prefix("00") {
            Some(rest) if DESTINATION_DIGITS.contains(&rest.len()) && !rest.starts_with('0') => rest,
            _ => self.digits,
        }
    }

    /// The [`key`](Destination::key) of [`international`](Destination::international): equal for two writings of a number.
    pub fn same_key(&self) -> u64 {
        let dropped = self.digits.len() - self.international().len();
        if dropped == 0 {
            return self.key;
        }
        // The 1 in front moves behind the digits that go: they are zeros.
        let places = u32::try_from(self.digits.len()).unwrap_or(0);
        let ten = 10_u64;
        self.key - ten.pow(places) + ten.pow(places - 2)
    }

    /// Whether it looks national: one leading 0, where a country code should stand.
    pub fn looks_national(&self) -> bool {
        self.international().starts_with('0')
    }
}

/// The digits of a [`Destination::key`].
pub fn digits_of_key(key: u64) -> String {
    let mut digits = key.to_string();
    digits.remove(0);
    digits
}

/// Why a destination is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Nothing there.
    #[error("the number is empty")]
    Empty,
    /// `4.47701E+11`: a spreadsheet rounded the number, and its digits are lost.
    #[error(
        "a spreadsheet rewrote the number in scientific notation and its digits are lost: export the column as text"
    )]
    Spreadsheet,
    /// `447700900123.0`: a spreadsheet or a script took the number for an amount.
    #[error("the number has a decimal point, as a spreadsheet or script writes amounts: export it as text")]
    Decimal,
    /// A digit that is not an ASCII one.
    #[error("the number has a digit of another script ({}): write it as 0 to 9", name_character(*.0))]
    OtherScript(char),
    /// A character that no number has.
    #[error("the number has {} in it: only digits after an optional + are allowed", name_character(*.0))]
    Character(char),
    /// Fewer than 4 digits; how many.
    #[error("the number has {0} digits, at least 4 are needed")]
    TooShort(usize),
    /// More than 16 digits; how many.
    #[error("the number has {0} digits, at most 16 are allowed")]
    TooLong(usize),
}

impl DestinationError {
    /// Names what is wrong with a number that is known to be wrong.
    fn of(trimmed: &str, digits: &str) -> DestinationError {
        if trimmed.is_empty() {
            return DestinationError::Empty;
        }
        if let Some(c) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return match c {
                _ if is_scientific(digits) => DestinationError::Spreadsheet,
                _ if is_decimal(digits) => DestinationError::Decimal,
                _ if c.is_numeric() => DestinationError::OtherScript(c),
                _ => DestinationError::Character(c),
            };
        }
        match digits.len() {
            short if short < *DESTINATION_DIGITS.start() => DestinationError::TooShort(short),
            long => DestinationError::TooLong(long),
        }
    }

    /// A short stable name for reports: `to_spreadsheet`, `to_short`, ...
    pub fn code(&self) -> &'static str {
        match self {
            DestinationError::Empty => "to_empty",
            DestinationError::Spreadsheet => "to_spreadsheet",
            DestinationError::Decimal => "to_decimal",
            DestinationError::OtherScript(_) => "to_script",
            DestinationError::Character(_) => "to_character",
            DestinationError::TooShort(_) => "to_short",
            DestinationError::TooLong(_) => "to_long",
        }
    }
}

/// What a sender is, which decides its TON and NPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderKind {
    /// None given: the SMSC puts its default in.
    Default,
    /// A name with a letter or other non-digit in it: TON 5, NPI 0.
    Alphanumeric,
    /// 1 to 8 digits without a `+`: TON 3, NPI 0.
    ShortCode,
    /// 9 to 15 digits, or fewer after a `+`: TON 1, NPI 1.
    International,
}

/// A checked sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender<'a> {
    /// As it travels: trimmed, and without the `+` of a number. Empty for the SMSC's default.
    pub text: &'a str,
    /// What it is.
    pub kind: SenderKind,
}

impl<'a> Sender<'a> {
    /// Checks a sender by the limits of mobile networks: [`SENDER_CHARACTERS_MAX`].
    #[cfg(test)]
    pub fn parse(typed: &'a str) -> Result<Sender<'a>, SenderError> {
        Self::parse_up_to(typed, SENDER_CHARACTERS_MAX)
    }

    /// Checks a sender as it was typed, where the provider takes names, and numbers, of up to `length` characters. A number
    /// may always have 15 digits, as mobile networks allow.
    ///
    /// A name consists of ASCII letters, digits, spaces and ``!"#%&'()*+,-./:;<=>?_``: GSM characters that read the same in
    /// ASCII, since SMSCs differ in how they take others.
    pub fn parse_up_to(typed: &'a str, length: usize) -> Result<Sender<'a>, SenderError> {
        let (characters_max, digits_max) = (length, length.max(SENDER_DIGITS_MAX));
        let text = typed.trim();
        if text.is_empty() {
            return Ok(Sender { text, kind: SenderKind::Default });
        }
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()) {
            let kind = match digits.len() {
                found if found > digits_max => return Err(SenderError::TooManyDigits { found, max: digits_max }),
                short if short <= SHORT_CODE_DIGITS_MAX && digits.len() == text.len() => SenderKind::ShortCode,
                _ => SenderKind::International,
            };
            return Ok(Sender { text: digits, kind });
        }
        if let Some(c) = text.chars().find(|&c| !is_sender_character(c)) {
            return Err(SenderError::Character(c));
        }
        match text.len() {
            found if found > characters_max => Err(SenderError::TooManyCharacters { found, max: characters_max }),
            _ => Ok(Sender { text, kind: SenderKind::Alphanumeric }),
        }
    }

    /// The shortest writing that [`parse_up_to`](Sender::parse_up_to) reads as this sender again: a `+` is kept only where a number
    /// would be taken for a short code without it.
    pub fn canonical(typed: &'a str) -> &'a str {
        let text = typed.trim();
        match text.strip_prefix('+') {
            Some(digits) if digits.len() > SHORT_CODE_DIGITS_MAX && is_digits(digits) => digits,
            _ => text,
        }
    }

    /// `source_addr_ton` and `source_addr_npi`.
    pub fn ton_npi(&self) -> (u8, u8) {
        match self.kind {
            SenderKind::Default => (TON_UNKNOWN, NPI_UNKNOWN),
            SenderKind::Alphanumeric => (TON_ALPHANUMERIC, NPI_UNKNOWN),
            SenderKind::ShortCode => (TON_NETWORK_SPECIFIC, NPI_UNKNOWN),
            SenderKind::International => (TON_INTERNATIONAL, NPI_ISDN),
        }
    }
}

/// Why a sender is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// A name that is too long.
    #[error("the sender has {found} characters, a name has at most {max}{}", longer(*.max))]
    TooManyCharacters {
        /// How many characters it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// A number that is too long.
    #[error("the sender has {found} digits, a number has at most {max}{}", longer(*.max))]
    TooManyDigits {
        /// How many digits it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// A character that does not arrive as it was written.
    #[error("the sender has {} in it: use letters A to Z, digits, spaces and common punctuation", name_character(*.0))]
    Character(char),
}

impl SenderError {
    /// A short stable name for reports.
    pub fn code(&self) -> &'static str {
        match self {
            SenderError::TooManyCharacters { .. } | SenderError::TooManyDigits { .. } => "from_long",
            SenderError::Character(_) => "from_character",
        }
    }
}

/// How longer senders are had, where there is a way.
fn longer(max: usize) -> &'static str {
    if max < SENDER_LENGTH_MAX { " (--max-sender-length allows more)" } else { "" }
}

fn is_sender_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || " !\"#%&'()*+,-./:;<=>?_".contains(c)
}

/// `4.47701E+11`, also with a decimal comma or without a sign.
fn is_scientific(number: &str) -> bool {
    let Some((mantissa, exponent)) = number.split_once(['E', 'e']) else { return false };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    is_digits(exponent) && (is_digits(mantissa) || is_decimal(mantissa))
}

fn is_decimal(number: &str) -> bool {
    number.split_once(['.', ',']).is_some_and(|(whole, fraction)| is_digits(whole) && is_digits(fraction))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn destinations() {
        for (typed, digits) in [
            ("447700900123", "447700900123"),
            ("+447700900123", "447700900123"),
            ("  447700900123\u{a0}", "447700900123"),
            ("1234", "1234"),
            ("0123", "0123"),
            ("1234567890123456", "1234567890123456"),
            ("9999999999999999", "9999999999999999"),
        ] {
            let destination = Destination::parse(typed).unwrap();
            assert_eq!(destination.digits(), digits);
            assert_eq!(digits_of_key(destination.key()), digits);
        }
    }

    #[test]
    fn f02_what_a_spreadsheet_or_another_script_made_is_named() {
        for (typed, error, code) in [
            ("4.47701E+11", DestinationError::Spreadsheet, "to_spreadsheet"),
            ("4,47701E+11", DestinationError::Spreadsheet, "to_spreadsheet"),
            ("+4E11", DestinationError::Spreadsheet, "to_spreadsheet"),
            ("4.47701e11", DestinationError::Spreadsheet, "to_spreadsheet"),
            ("447700900123.0", DestinationError::Decimal, "to_decimal"),
            ("٤٤٧٧٠٠٩٠٠١٢٣", DestinationError::OtherScript('٤'), "to_script"),
            ("44770090012３", DestinationError::OtherScript('３'), "to_script"),
        ] {
            let found = Destination::parse(typed).unwrap_err();
            assert_eq!((found, found.code()), (error, code), "{typed}");
        }
        assert!(DestinationError::Spreadsheet.to_string().contains("spreadsheet"));
    }

    #[test]
    fn what_is_no_destination() {
        for (typed, error) in [
            ("", DestinationError::Empty),
            ("  \t", DestinationError::Empty),
            ("+", DestinationError::TooShort(0)),
            ("123", DestinationError::TooShort(3)),
            ("12345678901234567", DestinationError::TooLong(17)),
            ("44 7700 900123", DestinationError::Character(' ')),
            ("++447700900123", DestinationError::Character('+')),
            ("447700-900123", DestinationError::Character('-')),
            ("4477O0900123", DestinationError::Character('O')),
            ("44\u{202a}7700", DestinationError::Character('\u{202a}')),
            ("1.2.3", DestinationError::Character('.')),
        ] {
            assert_eq!(Destination::parse(typed), Err(error), "{typed:?}");
        }
        let words = DestinationError::Character('\u{202a}').to_string();
        assert!(words.contains("has U+202A in it"), "{words}");
    }

    #[test]
    fn f16_senders() {
        use SenderKind::{Alphanumeric, Default, International, ShortCode};
        for (typed, text, kind, ton_npi) in [
            ("", "", Default, (0, 0)),
            ("  ", "", Default, (0, 0)),
            ("Shop", "Shop", Alphanumeric, (5, 0)),
            (" My-Shop.co ", "My-Shop.co", Alphanumeric, (5, 0)),
            ("1st Choice", "1st Choice", Alphanumeric, (5, 0)),
            ("12-34", "12-34", Alphanumeric, (5, 0)),
            ("+", "+", Alphanumeric, (5, 0)),
            ("60777", "60777", ShortCode, (3, 0)),
            ("12345678", "12345678", ShortCode, (3, 0)),
            ("123456789", "123456789", International, (1, 1)),
            ("+12345678", "12345678", International, (1, 1)),
            ("+447700900999", "447700900999", International, (1, 1)),
            ("123456789012345", "123456789012345", International, (1, 1)),
        ] {
            let sender = Sender::parse(typed).unwrap();
            assert_eq!((sender, sender.ton_npi()), (Sender { text, kind }, ton_npi), "{typed:?}");
            assert_eq!(Sender::parse(Sender::canonical(typed)), Ok(sender));
        }
        for (typed, error) in [
            ("TwelveLetter", SenderError::TooManyCharacters { found: 12, max: 11 }),
            ("1234567890123456", SenderError::TooManyDigits { found: 16, max: 15 }),
            ("Café", SenderError::Character('é')),
            ("me@shop", SenderError::Character('@')),
            ("a\0b", SenderError::Character('\0')),
            ("١٢٣", SenderError::Character('١')),
        ] {
            assert_eq!(Sender::parse(typed), Err(error), "{typed:?}");
        }
    }

    #[test]
    fn a_number_is_the_same_with_00_in_front() {
        for (typed, international, national) in [
            ("447700900123", "447700900123", false),
            ("+447700900123", "447700900123", false),
            ("00447700900123", "447700900123", false),
            ("+00447700900123", "447700900123", false),
            ("07700900123", "07700900123", true),
            ("0007700900123", "0007700900123", true),
            ("001234", "1234", false),
            ("00123", "00123", true),
        ] {
            let number = Destination::parse(typed).unwrap();
            assert_eq!((number.international(), number.looks_national()), (international, national), "{typed}");
            assert_eq!(digits_of_key(number.same_key()), international);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_its_digits(digits in "[0-9]{4,16}") {
            prop_assert_eq!(digits_of_key(Destination::parse(&digits).unwrap().key()), digits);
        }

        #[test]
        fn nothing_typed_panics(typed in any::<String>()) {
            let _ = Destination::parse(&typed).map_err(|error| error.to_string());
            let _ = Sender::parse(&typed).map_err(|error| error.to_string());
        }
    }
}
