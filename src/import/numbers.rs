//! The numbers of a file: read as people write them, judged by what they look like, and counted by their beginnings.

use super::error::Reason;
use super::rows::Rows;
use crate::message::address::dialled::{self, DialledError};
use crate::message::address::{Country, DESTINATION_DIGITS, Destination, Kind, calling_code, country_of, is_plausible};
use crate::words::format::number;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Up to so many digits a number may be a short code, which no numbering plan has.
const SHORT_CODE_DIGITS_MAX: usize = 6;
/// Digits that numbers have which may be written without their country code and pass for another country's.
const BARE_DIGITS: RangeInclusive<usize> = BARE_DIGITS_MIN..=BARE_DIGITS_MAX;
const BARE_DIGITS_MIN: usize = 7;
const BARE_DIGITS_MAX: usize = 11;
/// Of so many numbers of a length it is looked up whether there can be such ones at all.
const LOOKED_UP: u64 = 512;
/// Digits that decide, with the length, whether a number is sound.
const BEGINNING_DIGITS: usize = 3;
/// Groups of numbers that are shown each.
const GROUPS_SHOWN: usize = 8;

/// Which numbers are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Numbers that look national are not, unless somebody says so.
    #[default]
    Likely,
    /// Nor are sure fixed lines and services.
    Strict,
    /// Whatever has 4 to 16 digits is.
    Any,
}

/// What to do with a cell that has several numbers in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Several {
    /// Refuse its row.
    #[default]
    Refuse,
    /// Take the first.
    First,
    /// A message to each.
    All,
}

/// How numbers are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberRules {
    /// Where numbers without a country code are of.
    pub country: Option<Country>,
    /// Which are taken.
    pub strictness: Strictness,
    /// What to do with several in one cell.
    pub several: Several,
    /// Somebody is asked afterwards about those that look national: they are taken and counted.
    pub will_ask: bool,
    /// The column was guessed by its name, which running numbers have, too: short ones need somebody's word.
    pub is_guessed: bool,
}

/// A number that was taken. Its digits are in the reader's buffer, unless the cell has them as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken<'a> {
    /// The number, where the cell has it so.
    pub as_is: Option<Destination<'a>>,
    /// What it is, where that was looked up.
    pub kind: Option<Kind>,
    /// It looks national.
    pub is_doubtful: bool,
    /// A `+` or the like says that it is international, or a country is given to read it by.
    pub is_sure: bool,
}

/// How the number before began, and how long it was, where it was sound: most are as that one was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastSound([u8; BEGINNING_DIGITS], usize);

impl LastSound {
    fn is_sound(&mut self, digits: &str) -> bool {
        let Some(beginning) = digits.as_bytes().first_chunk() else { return is_sound(digits) };
        if (self.0, self.1) == (*beginning, digits.len()) {
            return true;
        }
        let is_sound = is_sound(digits);
        if is_sound {
            *self = LastSound(*beginning, digits.len());
        }
        is_sound
    }
}

/// Reads a cell by the rules; what is not as it travels is left in `digits`.
pub(super) fn read<'a>(
    typed: &'a str,
    rules: &NumberRules,
    last: &mut LastSound,
    digits: &mut String,
) -> Result<Taken<'a>, Reason> {
    if rules.country.is_none() && rules.strictness != Strictness::Strict {
        // Most files have most of their numbers so.
        if let Ok(destination) = Destination::parse(typed) {
            let written = destination.digits();
            if last.is_sound(written) && !rules.is_too_short(written) {
                let is_sure = typed.trim_start().starts_with('+');
                return Ok(Taken { as_is: Some(destination), kind: None, is_doubtful: false, is_sure });
            }
        }
    }
    let taken = match dialled::read(typed, rules.country) {
        Ok(read) => {
            digits.clear();
            digits.push_str(&read.digits);
            let is_to_look_up = rules.strictness == Strictness::Strict && read.kind.is_none() && !read.is_doubtful;
            let kind = match is_to_look_up && digits.len() > SHORT_CODE_DIGITS_MAX {
                true => Some(dialled::kind_of(digits).ok_or(Reason::Number(DialledError::Impossible))?),
                false => read.kind,
            };
            let is_doubtful = read.is_doubtful || rules.is_too_short(digits);
            Taken { as_is: None, kind, is_doubtful, is_sure: read.is_marked || rules.country.is_some() }
        }
        Err(error) => match (may_be_national(&error), dialled::digits(typed)) {
            (true, Ok(found)) if DESTINATION_DIGITS.contains(&found.len()) => {
                if !rules.takes_doubtful() {
                    return Err(Reason::Number(error));
                }
                digits.clear();
                digits.push_str(&found);
                Taken { as_is: None, kind: None, is_doubtful: true, is_sure: false }
            }
            _ => return Err(Reason::Number(error)),
        },
    };
    if taken.is_doubtful && !rules.takes_doubtful() {
        return Err(match rules.is_too_short(digits) {
            true => Reason::PerhapsNoNumber(digits.as_str().into()),
            false => Reason::LooksNational(digits.as_str().into()),
        });
    }
    match taken.kind {
        Some(kind @ (Kind::FixedLine | Kind::Service)) if rules.strictness == Strictness::Strict => {
            Err(Reason::NotMobile(kind))
        }
        _ => Ok(taken),
    }
}

impl NumberRules {
    /// Whether it may be a running number rather than a short code.
    fn is_too_short(&self, digits: &str) -> bool {
        self.is_guessed && digits.len() <= SHORT_CODE_DIGITS_MAX
    }

    fn takes_doubtful(&self) -> bool {
        match self.strictness {
            Strictness::Any => true,
            Strictness::Likely => self.will_ask && self.country.is_none(),
            Strictness::Strict => false,
        }
    }
}

/// Whether digits can be sent to as they are without a guess: international, or a short code.
fn is_sound(digits: &str) -> bool {
    if digits.len() <= SHORT_CODE_DIGITS_MAX { !digits.starts_with('0') } else { is_plausible(digits) }
}

/// Whether whoever insists may have it sent as it is.
fn may_be_national(error: &DialledError) -> bool {
    matches!(
        error,
        DialledError::National | DialledError::NotOfCountry(_) | DialledError::Impossible | DialledError::Ambiguous(_)
    )
}

/// Numbers of a file by how they begin and how long they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberCounts {
    /// By the first three digits, and within that by length.
    by_beginning: Vec<u64>,
    /// Those that look national and were taken.
    pub doubtful: Rows,
    /// Sure fixed lines.
    pub fixed: Rows,
    /// Numbers of services.
    pub services: Rows,
    /// Numbers that were written in another form than they travel in.
    pub rewritten: u64,
    /// Somebody is to be asked about those that look national.
    pub will_ask: bool,
    /// Numbers that nothing marks as international, by their length.
    bare: [Bare; BARE_DIGITS_MAX - BARE_DIGITS_MIN + 1],
}

/// Numbers of one length that nothing marks as international.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bare {
    /// They begin with a calling code and are as long as numbers behind it are.
    sound: u64,
    /// They do not, be it that they were refused for that.
    unsound: u64,
    /// The first of the former, and its line.
    first: Option<(u64, String)>,
    /// How many of those were looked up, and how many of these no country can have.
    looked_up: u64,
    impossible: u64,
}

impl Bare {
    /// Whether those that pass for international look as if they were national, too: among their like are many that do not
    /// pass.
    fn looks_national(&self) -> bool {
        let is_mixed = self.unsound >= 2 && self.unsound * 20 > self.unsound + self.sound;
        self.sound > 0 && (is_mixed || self.impossible * 5 > self.looked_up)
    }
}

/// Numbers of one beginning and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberGroup {
    /// A calling code, or the first digit of what has none.
    pub beginning: String,
    /// How many digits each has.
    pub digits: usize,
    /// How many there are.
    pub numbers: u64,
    /// They begin with no calling code, or are shorter or longer than numbers behind theirs.
    pub is_doubtful: bool,
}

const ROW: usize = *DESTINATION_DIGITS.end() + 1;
const BEGINNINGS: usize = 1000;

impl NumberCounts {
    /// Adds the number of a message.
    pub(super) fn note(&mut self, digits: &str, line: u64, taken: &Taken<'_>) {
        if self.by_beginning.is_empty() {
            self.by_beginning = vec![0; BEGINNINGS * ROW];
        }
        let beginning = digits.bytes().take(3).fold(0, |sum, digit| sum * 10 + usize::from(digit.wrapping_sub(b'0')));
        if let Some(count) = self.by_beginning.get_mut(beginning * ROW + digits.len()) {
            *count += 1;
        }
        self.rewritten += u64::from(taken.as_is.is_none());
        if !taken.is_sure && BARE_DIGITS.contains(&digits.len()) {
            self.note_bare(digits, line, !taken.is_doubtful);
        }
        if taken.is_doubtful {
            self.doubtful.note(line);
        }
        match taken.kind {
            Some(Kind::FixedLine) => self.fixed.note(line),
            Some(Kind::Service) => self.services.note(line),
            _ => {}
        }
    }

    /// Adds the number of a row that was refused for it.
    pub(super) fn note_refused(&mut self, reason: &Reason) {
        if let Reason::LooksNational(digits) = reason {
            self.note_bare(digits, 0, false);
        }
    }

    /// One with a zero in front says nothing of those without.
    fn note_bare(&mut self, digits: &str, line: u64, is_sound: bool) {
        let Some(bare) = digits.len().checked_sub(BARE_DIGITS_MIN).and_then(|place| self.bare.get_mut(place)) else {
            return;
        };
        match is_sound {
            true => {
                bare.sound += 1;
                if bare.first.is_none() {
                    bare.first = Some((line, digits.to_owned()));
                }
                if bare.looked_up < LOOKED_UP {
                    bare.looked_up += 1;
                    bare.impossible += u64::from(dialled::kind_of(digits).is_none());
                }
            }
            false => bare.unsound += u64::from(!digits.starts_with('0')),
        }
    }

    /// Numbers that begin with a country's code by chance, as it looks: how many there are, and what is to be said of them.
    pub fn by_chance(&self) -> Option<(u64, String)> {
        let found: Vec<&Bare> = self.bare.iter().filter(|bare| bare.looks_national()).collect();
        let (line, first) = found.first()?.first.as_ref()?;
        let count = found.iter().map(|bare| bare.sound).sum();
        let country = country_of(first).map_or(String::new(), |country| format!(" of {country}"));
        let words = format!(
            "{} without a + may be national although they begin with a country's code, since of those of their length many do \
             not: {first} (line {line}) would go to a number{country} (+{}); --country, as in --country GB, reads them as \
             that country's",
            crate::words::format::count(count as i64, "number"),
            calling_code(first).unwrap_or_default(),
        );
        Some((count, words))
    }

    /// With whether somebody is to be asked.
    pub(super) fn asked_about(mut self, rules: &NumberRules) -> Self {
        self.will_ask = rules.will_ask;
        if rules.strictness == Strictness::Any {
            self.bare = Default::default();
        }
        self
    }

    /// The groups, the largest first.
    pub fn groups(&self) -> Vec<NumberGroup> {
        let mut groups: BTreeMap<(String, usize), (u64, bool)> = BTreeMap::new();
        for (place, &count) in self.by_beginning.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (beginning, length) = (format!("{:03}", place / ROW), place % ROW);
            let sample = format!("{beginning:0<length$}");
            let is_short = length <= SHORT_CODE_DIGITS_MAX;
            let code = calling_code(&sample).filter(|_| !is_short).unwrap_or(&beginning[..1]).to_owned();
            let group = groups.entry((code, length)).or_insert((0, !is_sound(&sample)));
            group.0 += count;
        }
        let group =
            |((beginning, digits), (numbers, is_doubtful))| NumberGroup { beginning, digits, numbers, is_doubtful };
        let mut groups: Vec<NumberGroup> = groups.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.numbers));
        groups
    }

    /// As in `44… 12 digits: 9,980; 0… 11 digits: 8`.
    pub fn words(&self) -> String {
        let groups = self.groups();
        // What looks wrong is shown however rare it is.
        let (shown, rest): (Vec<_>, Vec<_>) =
            groups.iter().enumerate().partition(|(n, group)| *n < GROUPS_SHOWN || group.is_doubtful);
        let words: Vec<String> = shown
            .iter()
            .map(|(_, group)| format!("{}… {} digits: {}", group.beginning, group.digits, number(group.numbers as i64)))
            .collect();
        let others: u64 = rest.iter().map(|(_, group)| group.numbers).sum();
        let more = match rest.len() {
            0 => String::new(),
            kinds => format!("; {kinds} more kinds: {}", number(others as i64)),
        };
        format!("{}{more}", words.join("; "))
    }

    /// What is to be said besides of the numbers that were taken.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.by_chance().map(|(_, words)| words));
        if self.doubtful.count > 0 {
            warnings.push(format!(
                "numbers that look national: {}: no country has such numbers, so that the country code may be missing \
                 (--country, as in --country GB, puts it there)",
                self.doubtful.words()
            ));
        }
        if self.fixed.count > 0 {
            let words = self.fixed.words();
            warnings.push(format!("numbers of fixed lines: {words}: --numbers strict refuses them"));
        }
        if self.services.count > 0 {
            let words = self.services.words();
            warnings.push(format!(
                "numbers of services (free, premium and the like): {words}: --numbers strict refuses them"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(typed: &str, rules: NumberRules) -> Result<String, String> {
        let mut digits = String::new();
        match read(typed, &rules, &mut LastSound::default(), &mut digits) {
            Ok(taken) => Ok(taken.as_is.map_or(digits, |as_is| as_is.digits().to_owned())),
            Err(reason) => Err(reason.code().to_owned()),
        }
    }

    #[test]
    fn without_a_country_only_what_needs_no_guess_is_taken() {
        let any = NumberRules { strictness: Strictness::Any, ..NumberRules::default() };
        for (typed, expected, expected_any) in [
            ("447700900123", Ok("447700900123"), Ok("447700900123")),
            (" +447700900123 ", Ok("447700900123"), Ok("447700900123")),
            ("00447700900123", Ok("447700900123"), Ok("447700900123")),
            ("+44 (0)7700-900123", Ok("447700900123"), Ok("447700900123")),
            ("07700 900123", Err("to_national"), Ok("07700900123")),
            ("07700900123", Err("to_national"), Ok("07700900123")),
            ("+07700900123", Err("to_national"), Ok("07700900123")),
            ("7700900123", Err("to_national"), Ok("7700900123")),
            ("60777", Ok("60777"), Ok("60777")),
            ("0123", Err("to_national"), Ok("0123")),
            ("123", Err("to_short"), Err("to_short")),
            ("12345678901234567", Err("to_long"), Err("to_long")),
            ("447700900111 / 447700900112", Err("to_several"), Err("to_several")),
            ("4.47701E+11", Err("to_spreadsheet"), Err("to_spreadsheet")),
        ] {
            let owned = |result: Result<&str, &str>| result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(taken(typed, NumberRules::default()), owned(expected), "{typed}");
            assert_eq!(taken(typed, any), owned(expected_any), "{typed}, any");
        }
    }

    #[test]
    fn the_strict_refuse_fixed_lines_with_and_without_a_country() {
        for country in [None, "GB".parse().ok()] {
            let strict = NumberRules { country, strictness: Strictness::Strict, ..NumberRules::default() };
            assert_eq!(taken("+442079460001", strict), Err("to_fixed_line".into()));
            assert_eq!(taken("+448001111111", strict), Err("to_service".into()));
            assert_eq!(taken("447400123456", strict), Ok("447400123456".into()));
            assert_eq!(taken("447700900123", strict), Ok("447700900123".into()), "of a range for plays");
            let likely = NumberRules { country, ..NumberRules::default() };
            assert_eq!(taken("+442079460001", likely), Ok("442079460001".into()));
        }
    }

    #[test]
    fn numbers_are_counted_by_beginning_and_length() {
        let mut counts = NumberCounts::default();
        let rules = NumberRules { strictness: Strictness::Any, ..NumberRules::default() };
        let typed = ["447700900123", "+44 7700 900124", "7700900123", "07700900123", "60777", "12025550123"];
        let mut digits = String::new();
        for (line, typed) in (2..).zip(typed) {
            let taken = read(typed, &rules, &mut LastSound::default(), &mut digits).unwrap();
            let number = taken.as_is.map_or(digits.clone(), |as_is| as_is.digits().to_owned());
            counts.note(&number, line, &taken);
        }
        assert_eq!(
            counts.words(),
            "44… 12 digits: 2; 0… 11 digits: 1; 1… 11 digits: 1; 6… 5 digits: 1; 7… 10 digits: 1"
        );
        assert_eq!((counts.doubtful.words(), counts.rewritten), ("2 (lines 4, 5)".into(), 3));
    }
}
