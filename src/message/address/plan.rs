//! How numbers are dialled in each country, and what they are: Google's libphonenumber, by its port `rlibphonenumber`. Nothing of
//! it is loaded before the first question.

use crate::words::BadValue;
use rlibphonenumber::enums::Region;
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType};
use std::str::FromStr;
use std::sync::OnceLock;

/// Digits that a calling code has at most.
const CODE_DIGITS_MAX: usize = 3;
/// Digits that a number is looked at for.
const LENGTHS: std::ops::RangeInclusive<usize> = super::DESTINATION_DIGITS;

/// A country whose dialling rules hold for numbers without a country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    region: Region,
    has_trunk_zero: bool,
}

impl Country {
    fn of(region: Region) -> Option<Country> {
        PHONE_NUMBER_UTIL.get_country_code_for_region(region)?;
        let mobile = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile).ok();
        let has_trunk_zero = mobile.is_some_and(|mobile| {
            let dialled = PHONE_NUMBER_UTIL.parse(format!("0{}", mobile.national_number), Some(region)).ok();
            dialled.is_some_and(|dialled| dialled == mobile)
        });
        Some(Country { region, has_trunk_zero })
    }

    /// Its ISO code.
    pub fn code(self) -> String {
        self.region.as_region_str().as_ref().to_owned()
    }

    /// Without `+`.
    pub(super) fn calling_code(self) -> i32 {
        PHONE_NUMBER_UTIL.get_country_code_for_region(self.region).unwrap_or_default()
    }

    /// Whether national numbers begin with a 0 that is dropped behind the calling code.
    pub(super) fn has_trunk_zero(self) -> bool {
        self.has_trunk_zero
    }
}

impl FromStr for Country {
    type Err = BadValue;

    fn from_str(typed: &str) -> Result<Country, BadValue> {
        let wanted = match typed.trim().to_ascii_uppercase().as_str() {
            "UK" => "GB".to_owned(),
            other => other.to_owned(),
        };
        Region::try_from(wanted.as_str()).ok().and_then(Country::of).ok_or_else(|| {
            "write the country's two letters of ISO 3166, as in GB, DE or US (not its calling code)".into()
        })
    }
}

/// What a number is, the likelier to take an SMS the higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No country has such a number.
    Impossible,
    /// Of a range that is not given out, as far as is known, and as long as a mobile number there.
    Unknown,
    /// A number of a service: free, shared cost, premium, a pager and the like.
    Service,
    /// A fixed line for sure.
    FixedLine,
    /// A mobile number, or one of a country where they cannot be told from fixed lines.
    Mobile,
}

/// A number as the library reads it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    number: PhoneNumber,
    pub(super) kind: Kind,
}

impl Read {
    /// Reads digits as they are dialled in a country.
    pub(super) fn in_country(digits: &str, country: Country) -> Option<Read> {
        PHONE_NUMBER_UTIL.parse(digits, Some(country.region)).ok().map(Read::of)
    }

    /// Reads digits that begin with a calling code.
    pub(super) fn international(digits: &str) -> Option<Read> {
        let mut signed = String::with_capacity(digits.len() + 1);
        signed.push('+');
        signed.push_str(digits);
        PHONE_NUMBER_UTIL.parse(&signed, None).ok().map(Read::of)
    }

    fn of(number: PhoneNumber) -> Read {
        use PhoneNumberType::{FixedLine, FixedLineOrMobile, Mobile, Unknown};
        let kind = match PHONE_NUMBER_UTIL.get_number_type(&number) {
            Mobile | FixedLineOrMobile => Kind::Mobile,
            FixedLine => Kind::FixedLine,
            // Ranges are given out every month, and some are kept for plays and manuals: what counts is the length.
            Unknown => {
                let is_whole = |kind| {
                    PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(&number, kind)
                        == Ok(NumberLengthType::IsPossible)
                };
                if is_whole(Mobile) { Kind::Unknown } else { Kind::Impossible }
            }
            _ => Kind::Service,
        };
        Read { number, kind }
    }

    /// Its digits, calling code and all, without `+`.
    pub(super) fn digits(&self) -> String {
        let e164 = PHONE_NUMBER_UTIL.format(&self.number, PhoneNumberFormat::E164);
        e164.strip_prefix('+').unwrap_or(&e164).to_owned()
    }

    /// Without `+`.
    pub(super) fn calling_code(&self) -> i32 {
        self.number.country_code
    }
}

/// The calling code that digits begin with, and whether its countries have numbers of so many digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Code {
    digits: u8,
    lengths: u32,
}

/// By the first three digits.
fn codes() -> &'static [Code] {
    static CODES: OnceLock<Vec<Code>> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut codes = vec![Code::default(); 1000];
        for code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
            let digits = code.to_string().len().min(CODE_DIGITS_MAX);
            let mut lengths = 0;
            for length in LENGTHS.filter(|length| *length > digits + 1) {
                let national_number = 10_u64.pow((length - digits - 1) as u32);
                let number = PhoneNumber { country_code: code, national_number, ..PhoneNumber::default() };
                if PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) == Ok(NumberLengthType::IsPossible) {
                    lengths |= 1_u32 << length;
                }
            }
            let spread = 10_usize.pow((CODE_DIGITS_MAX - digits) as u32);
            let first = usize::try_from(code).unwrap_or_default() * spread;
            for entry in codes.iter_mut().skip(first).take(spread) {
                *entry = Code { digits: digits as u8, lengths };
            }
        }
        codes
    })
}

fn code_of(international: &str) -> Option<Code> {
    let first = international.get(..CODE_DIGITS_MAX)?.parse::<usize>().ok()?;
    codes().get(first).copied().filter(|code| code.digits > 0)
}

/// The calling code that international digits begin with, where there is such a one.
pub fn calling_code(international: &str) -> Option<&str> {
    code_of(international).and_then(|code| international.get(..usize::from(code.digits)))
}

/// Whether international digits begin with a calling code and are as many as its countries' numbers have.
pub fn is_plausible(international: &str) -> bool {
    code_of(international).is_some_and(|code| code.lengths & (1_u32 << international.len().min(31)) != 0)
}

/// The ISO code of the country that a number is of; where that cannot be told of several that share a calling code, the
/// largest of them.
pub fn country_of(international: &str) -> Option<String> {
    let code = calling_code(international)?.parse().ok()?;
    let own = Read::international(international).and_then(|read| PHONE_NUMBER_UTIL.get_region_for_number(&read.number));
    let region = own.or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(code))?;
    Some(region.as_region_str().as_ref().to_owned()).filter(|name| name.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_named_by_two_letters() {
        for (typed, code) in [("GB", "GB"), ("gb", "GB"), (" de ", "DE"), ("uk", "GB")] {
            assert_eq!(typed.parse::<Country>().unwrap().code(), code);
        }
        for typed in ["", "44", "+44", "Germany", "ZZ", "001"] {
            assert!(typed.parse::<Country>().is_err(), "{typed}");
        }
    }

    #[test]
    fn numbers_of_no_country_are_told() {
        for (international, is) in [
            ("447700900123", true),
            ("7700900102", false),
            ("12025550123", true),
            ("2025550123", true),
            ("881612345678", true),
            ("99", false),
            ("999123456789", false),
            ("", false),
        ] {
            assert_eq!(is_plausible(international), is, "{international}");
        }
        assert_eq!(calling_code("447700900123"), Some("44"));
        assert_eq!(calling_code("12025550123"), Some("1"));
        assert_eq!(calling_code("35312345678"), Some("353"));
        assert_eq!(calling_code("07700900123"), None);
        assert_eq!(country_of("447").as_deref(), Some("GB"));
        assert_eq!(country_of("12025550123").as_deref(), Some("US"));
        assert_eq!(country_of("881612345678"), None);
    }

    #[test]
    fn kinds() {
        for (international, kind) in [
            ("447400123456", Kind::Mobile),
            ("12025550123", Kind::Mobile),
            ("442079460001", Kind::FixedLine),
            ("447700900123", Kind::Unknown),
            ("448001111111", Kind::Service),
            ("44900123456", Kind::Impossible),
        ] {
            assert_eq!(Read::international(international).unwrap().kind, kind, "{international}");
        }
    }
}
