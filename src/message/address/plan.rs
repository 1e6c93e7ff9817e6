//! How numbers are dialled in each country: what `--country` stands for, and which lengths a calling code has. The table is
//! after ITU-T E.164 and the national plans that it lists.

use std::str::FromStr;
use std::sync::OnceLock;

/// A line for each country: its ISO code, calling code, trunk prefix, prefixes for calls abroad besides 00, and the digits
/// that a national number has without its trunk prefix.
const TABLE: &str = include_str!("plans.txt");

/// How numbers are dialled in a country.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// ISO 3166-1, two letters.
    iso: &'static str,
    /// Without `+`.
    pub(super) calling_code: &'static str,
    /// What stands before a national number, and is dropped after the calling code; empty where there is none.
    pub(super) trunk: &'static str,
    /// What is dialled before a calling code, besides 00; the longest first.
    pub(super) abroad: Vec<&'static str>,
    lengths: Lengths,
}

/// Numbers of digits, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths(u32);

impl Lengths {
    fn has(self, digits: usize) -> bool {
        digits < 32 && self.0 & (1 << digits) != 0
    }
}

/// A country whose dialling rules hold for numbers without a country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(&'static Plan);

impl Country {
    pub(super) fn plan(self) -> &'static Plan {
        self.0
    }

    /// Its ISO code.
    pub fn code(self) -> &'static str {
        self.0.iso
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(typed: &str) -> Result<Country, String> {
        let wanted = match typed.trim().to_ascii_uppercase().as_str() {
            "UK" => "GB".to_owned(),
            other => other.to_owned(),
        };
        plans().iter().find(|plan| plan.iso == wanted).map(Country).ok_or_else(|| {
            "write the country's two letters of ISO 3166, as in GB, DE or US (not its calling code)".to_owned()
        })
    }
}

impl Plan {
    /// Whether a national number, without its trunk prefix, may have so many digits.
    pub(super) fn takes(&self, digits: usize) -> bool {
        self.lengths.has(digits)
    }
}

/// Whether international digits begin with a calling code and have as many digits as its countries' numbers have.
pub(super) fn is_plausible(international: &str) -> bool {
    // Satellites, networks and services of no country have plans of their own.
    const BEYOND_COUNTRIES: [&str; 7] = ["80", "87", "881", "882", "883", "888", "979"];
    if BEYOND_COUNTRIES.iter().any(|code| international.starts_with(code)) {
        return true;
    }
    (1..=3).any(|code_digits| {
        let code = international.get(..code_digits).and_then(|code| code.parse::<usize>().ok());
        code.and_then(|code| by_calling_code().get(code))
            .is_some_and(|lengths| lengths.has(international.len() - code_digits))
    })
}

fn plans() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    PLANS.get_or_init(|| TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(plan).collect())
}

/// The lengths of all countries of a calling code.
fn by_calling_code() -> &'static [Lengths] {
    static LENGTHS: OnceLock<Vec<Lengths>> = OnceLock::new();
    LENGTHS.get_or_init(|| {
        let mut all = vec![Lengths::default(); 1000];
        for plan in plans() {
            if let Some(of_code) = plan.calling_code.parse::<usize>().ok().and_then(|code| all.get_mut(code)) {
                of_code.0 |= plan.lengths.0;
            }
        }
        all
    })
}

/// A line of the table.
fn plan(line: &'static str) -> Option<Plan> {
    let mut words = line.split(' ');
    let (iso, calling_code, trunk) = (words.next()?, words.next()?, words.next()?);
    let mut abroad: Vec<&str> = words.next()?.split(',').filter(|prefix| *prefix != "-").collect();
    abroad.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
    let mut lengths = Lengths::default();
    for range in words.next()?.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        for digits in from.parse::<u32>().ok()?..=to.parse::<u32>().ok()? {
            lengths.0 |= 1_u32.checked_shl(digits)?;
        }
    }
    Some(Plan { iso, calling_code, trunk: if trunk == "-" { "" } else { trunk }, abroad, lengths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_plan() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), plans().len());
        for plan in plans() {
            assert_eq!(plan.iso.len(), 2);
            assert!((1..=3).contains(&plan.calling_code.len()) && plan.lengths.0 != 0, "{plan:?}");
            assert!(plan.calling_code.parse::<u16>().is_ok(), "{plan:?}");
        }
    }

    #[test]
    fn countries_are_named_by_two_letters() {
        for (typed, code) in [("GB", "GB"), ("gb", "GB"), (" de ", "DE"), ("uk", "GB")] {
            assert_eq!(typed.parse::<Country>().unwrap().code(), code);
        }
        for typed in ["", "44", "+44", "Germany", "ZZ"] {
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
            ("", false),
        ] {
            assert_eq!(is_plausible(international), is, "{international}");
        }
    }
}
