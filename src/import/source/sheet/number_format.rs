//! Numbers and dates of an .xlsx file as its cells show them: the formats of ECMA-376, part 1, 18.8.31.
//!
//! Where a format depends on the system's language (the dates that Excel calls short), dates are shown as 2026-12-24. A number
//! is never shown as 4.47E+11, whatever its format says: it may be somebody's. Only one of more than 15 digits is, since its
//! last ones are lost.

use jiff::ToSpan;
use jiff::civil::{DateTime, date};

/// Built-in formats that every language shows its own way.
const SHORT_DATE: u32 = 14;
const SHORT_DATE_AND_TIME: u32 = 22;

/// How a number is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NumberFormat {
    /// As it is.
    General,
    /// By sections: for positive numbers, negative ones and zero.
    Sections(Vec<Vec<Token>>),
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Literal(String),
    /// A place for a digit: `0` where it is always shown.
    Digit(bool),
    Point,
    /// Between digits.
    Comma,
    Percent,
    /// `E+`: scientific.
    Exponent,
    /// The text itself.
    Text,
    General,
    /// A part of a date, its letter in lower case, and how many of them.
    Date(char, usize),
    /// `[h]`: hours, minutes or seconds that go on counting.
    Elapsed(char, usize),
    AmPm,
    /// `/` of a fraction.
    Slash,
}

/// Characters of a format that are read; a spreadsheet allows 255. A longer one is none that anybody chose.
const CODE_CHARACTERS_MAX: usize = 1_024;

/// Beyond this a spreadsheet has lost digits.
const DIGITS_ARE_KEPT_BELOW: f64 = 1e15;

/// A number with all its digits, and no exponent, unless some are lost: then that is to be seen.
pub(super) fn plain(value: f64) -> String {
    if value.abs() >= DIGITS_ARE_KEPT_BELOW {
        return format!("{value:E}").replace('E', "E+");
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    // So many digits as a spreadsheet keeps.
    let whole = value.abs().log10().floor().max(0.0) as usize + 1;
    let text = format!("{value:.*}", 15_usize.saturating_sub(whole).min(15));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl NumberFormat {
    /// Reads a format's code. `id`: its number, where it is built in.
    pub(super) fn read(code: &str, id: Option<u32>) -> NumberFormat {
        let code = match id {
            Some(SHORT_DATE) => "yyyy-mm-dd",
            Some(SHORT_DATE_AND_TIME) => "yyyy-mm-dd hh:mm",
            _ if code.chars().nth(CODE_CHARACTERS_MAX).is_some() => return NumberFormat::General,
            _ => code,
        };
        let sections: Vec<Vec<Token>> = tokens(code);
        let is_general =
            sections.iter().all(|section| section.iter().all(|token| matches!(token, Token::General | Token::Text)));
        if is_general { NumberFormat::General } else { NumberFormat::Sections(sections) }
    }

    /// A number as it is shown.
    pub(super) fn show(&self, value: f64, is_1904: bool) -> String {
        let NumberFormat::Sections(sections) = self else { return plain(value) };
        let (section, value) = match sections.len() {
            0 => return plain(value),
            1 => (&sections[0], value),
            _ if value < 0.0 => (&sections[1], -value),
            3.. if value == 0.0 => (&sections[2], value),
            _ => (&sections[0], value),
        };
        if section.iter().any(|token| matches!(token, Token::Date(..) | Token::Elapsed(..))) {
            return moment(section, value, is_1904).unwrap_or_else(|| plain(value));
        }
        if section.iter().any(|token| matches!(token, Token::Exponent | Token::Slash)) {
            return plain(value);
        }
        number(section, value)
    }
}

/// The sections of a format, without colours and conditions.
fn tokens(code: &str) -> Vec<Vec<Token>> {
    let mut sections = vec![Vec::new()];
    let characters: Vec<char> = code.chars().collect();
    let mut at = 0;
    let literal = |section: &mut Vec<Token>, c: char| match section.last_mut() {
        Some(Token::Literal(text)) => text.push(c),
        _ => section.push(Token::Literal(c.to_string())),
    };
    while at < characters.len() {
        let c = characters[at];
        let rest: String = characters[at..].iter().take(7).collect::<String>().to_ascii_lowercase();
        let Some(section) = sections.last_mut() else { break };
        at += 1;
        match c {
            ';' => sections.push(Vec::new()),
            '"' => {
                while at < characters.len() && characters[at] != '"' {
                    literal(section, characters[at]);
                    at += 1;
                }
                at += 1;
            }
            '\\' => {
                if let Some(&next) = characters.get(at) {
                    literal(section, next);
                }
                at += 1;
            }
            // As wide as, and filled with, the next character.
            '_' | '*' => at += 1,
            '[' => {
                let end = characters[at..].iter().position(|&c| c == ']').map_or(characters.len(), |end| at + end);
                let inside: String = characters[at..end].iter().collect();
                at = end + 1;
                let letter = inside.chars().next().map(|c| c.to_ascii_lowercase());
                match letter {
                    Some(letter @ ('h' | 'm' | 's')) if inside.chars().all(|c| c.to_ascii_lowercase() == letter) => {
                        section.push(Token::Elapsed(letter, inside.len()));
                    }
                    // A currency, with the language behind it.
                    Some('$') => {
                        inside[1..].split('-').next().unwrap_or_default().chars().for_each(|c| literal(section, c));
                    }
                    _ => {}
                }
            }
            _ if rest.starts_with("general") => {
                section.push(Token::General);
                at += 6;
            }
            _ if rest.starts_with("am/pm") => {
                section.push(Token::AmPm);
                at += 4;
            }
            _ if rest.starts_with("a/p") => {
                section.push(Token::AmPm);
                at += 2;
            }
            'E' | 'e' if matches!(characters.get(at), Some('+' | '-')) => {
                section.push(Token::Exponent);
                at += 1;
            }
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' => {
                let mut count = 1;
                while characters.get(at).is_some_and(|next| next.eq_ignore_ascii_case(&c)) {
                    count += 1;
                    at += 1;
                }
                section.push(Token::Date(c.to_ascii_lowercase(), count));
            }
            '0' => section.push(Token::Digit(true)),
            '#' | '?' => section.push(Token::Digit(false)),
            '.' => section.push(Token::Point),
            ',' => section.push(Token::Comma),
            '%' => section.push(Token::Percent),
            '@' => section.push(Token::Text),
            '/' => section.push(Token::Slash),
            c => literal(section, c),
        }
    }
    for section in &mut sections {
        let is_date = section.iter().any(|token| matches!(token, Token::Date(..) | Token::Elapsed(..)));
        for token in section.iter_mut() {
            let literal = match token {
                Token::Slash if is_date => "/",
                Token::Comma if is_date => ",",
                _ => continue,
            };
            *token = Token::Literal(literal.into());
        }
    }
    sections
}

/// A number by the places of its digits.
fn number(section: &[Token], value: f64) -> String {
    let percent = section.iter().filter(|token| **token == Token::Percent).count();
    let point = section.iter().position(|token| *token == Token::Point).unwrap_or(section.len());
    let is_digit = |token: &Token| matches!(token, Token::Digit(_));
    let last_whole = section[..point].iter().rposition(is_digit);
    // Commas behind the last digit divide by a thousand each; those between group.
    let scaled =
        last_whole.map_or(0, |last| section[last..point].iter().filter(|token| **token == Token::Comma).count());
    let first_whole = section[..point].iter().position(is_digit);
    let groups = match (first_whole, last_whole) {
        (Some(first), Some(last)) => section[first..last].contains(&Token::Comma),
        _ => false,
    };
    let places = section[point..].iter().filter(|token| is_digit(token)).count();
    let needed_places = section[point..].iter().filter(|token| **token == Token::Digit(true)).count();
    let value = value * 100_f64.powi(percent as i32) / 1000_f64.powi(scaled as i32);
    let text = format!("{:.*}", places, value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    let mut digits: Vec<char> = whole.chars().filter(|_| whole != "0").collect();
    let mut fraction = fraction.to_owned();
    while fraction.len() > needed_places && fraction.ends_with('0') {
        fraction.pop();
    }
    let wholes = section[..point].iter().filter(|token| is_digit(token)).count();
    if wholes == 0 && point == section.len() && !section.contains(&Token::General) && !section.contains(&Token::Text) {
        // Nothing but words.
        return section
            .iter()
            .filter_map(|token| if let Token::Literal(text) = token { Some(text.as_str()) } else { None })
            .collect();
    }
    // From the right: each place takes a digit, the first all that are left.
    let mut shown: Vec<String> = Vec::new();
    let mut seen = 0;
    let mut taken = 0;
    for token in section[..point].iter().rev() {
        match token {
            Token::Digit(is_always) => {
                seen += 1;
                loop {
                    let digit = match digits.pop() {
                        Some(digit) => digit,
                        None if *is_always && taken < seen => '0',
                        None => break,
                    };
                    if groups && taken > 0 && taken % 3 == 0 {
                        shown.push(",".into());
                    }
                    shown.push(digit.to_string());
                    taken += 1;
                    if seen < wholes {
                        break;
                    }
                }
            }
            Token::Literal(text) => shown.push(text.clone()),
            Token::Percent => shown.push("%".into()),
            Token::General | Token::Text => shown.push(plain(value.abs())),
            _ => {}
        }
    }
    shown.reverse();
    let mut text: String = shown.concat();
    let mut fraction = fraction.chars();
    for token in &section[point..] {
        match token {
            Token::Point if places > 0 && !fraction.as_str().is_empty() => text.push('.'),
            Token::Point if needed_places > 0 => text.push('.'),
            Token::Digit(_) => text.extend(fraction.next()),
            Token::Literal(literal) => text.push_str(literal),
            Token::Percent => text.push('%'),
            _ => {}
        }
    }
    if value < 0.0 && !is_zero { format!("-{text}") } else { text }
}

/// A date or a time.
fn moment(section: &[Token], value: f64, is_1904: bool) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&value) {
        return None;
    }
    let first = match is_1904 {
        true => date(1904, 1, 1),
        // Excel has a 29 February 1900.
        false if value < 60.0 => date(1899, 12, 31),
        false => date(1899, 12, 30),
    };
    let shows_fraction = section.windows(2).any(|pair| pair[0] == Token::Point && matches!(pair[1], Token::Digit(_)));
    let milliseconds = (value * 86_400_000.0).round() as i64;
    let milliseconds = if shows_fraction { milliseconds } else { (milliseconds + 500) / 1_000 * 1_000 };
    let at: DateTime =
        first.to_datetime(jiff::civil::Time::midnight()).checked_add(milliseconds.milliseconds()).ok()?;
    let is_twelve = section.contains(&Token::AmPm);
    let mut text = String::new();
    let two = |value: i64, count: usize| if count > 1 { format!("{value:02}") } else { value.to_string() };
    for (n, token) in section.iter().enumerate() {
        match token {
            Token::Literal(literal) => text.push_str(literal),
            Token::Date('y', count) if *count <= 2 => text += &format!("{:02}", at.year() % 100),
            Token::Date('y', _) => text += &format!("{:04}", at.year()),
            Token::Date('m', count) if *count <= 2 && is_minute(section, n) => text += &two(at.minute().into(), *count),
            Token::Date('m', count) => match count {
                1 | 2 => text += &two(at.month().into(), *count),
                3 => text += &at.strftime("%b").to_string(),
                4 => text += &at.strftime("%B").to_string(),
                _ => text.extend(at.strftime("%b").to_string().chars().next()),
            },
            Token::Date('d', count) => match count {
                1 | 2 => text += &two(at.day().into(), *count),
                3 => text += &at.strftime("%a").to_string(),
                _ => text += &at.strftime("%A").to_string(),
            },
            Token::Date('h', count) => {
                let hour = i64::from(at.hour());
                text += &two(if is_twelve { (hour + 11) % 12 + 1 } else { hour }, *count);
            }
            Token::Date('s', count) => text += &two(at.second().into(), *count),
            Token::Elapsed(letter, count) => {
                let unit = match letter {
                    'h' => 3_600_000,
                    'm' => 60_000,
                    _ => 1_000,
                };
                text += &two(milliseconds / unit, *count);
            }
            Token::AmPm => text += if at.hour() < 12 { "AM" } else { "PM" },
            Token::Point => text.push('.'),
            Token::Digit(_) => {
                // Tenths, hundredths, thousandths, as many as there are places.
                let place =
                    section[..n].iter().rev().take_while(|token| matches!(token, Token::Digit(_))).count() as u32;
                text += &(i64::from(at.millisecond()) / 10_i64.pow(2_u32.saturating_sub(place)) % 10).to_string();
            }
            _ => {}
        }
    }
    Some(text)
}

/// Whether an `m` means minutes: behind hours or in front of seconds.
fn is_minute(section: &[Token], n: usize) -> bool {
    let is_part = |token: &&Token| matches!(token, Token::Date(..) | Token::Elapsed(..));
    let before = section[..n].iter().rev().find(is_part);
    let after = section[n + 1..].iter().find(is_part);
    matches!(before, Some(Token::Date('h', _) | Token::Elapsed('h', _)))
        || matches!(after, Some(Token::Date('s', _) | Token::Elapsed('s', _)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_cells_show_them() {
        for (code, value, shown) in [
            ("General", 447_700_900_101.0, "447700900101"),
            ("General", 1_107_161_234_567_890_000.0, "1.10716123456789E+18"),
            ("General", 0.1 + 0.2, "0.3"),
            ("General", -12.5, "-12.5"),
            ("0", 447_700_900_101.0, "447700900101"),
            ("0.00E+00", 447_700_900_101.0, "447700900101"),
            ("00000", 123.0, "00123"),
            ("0.00", 12.345, "12.35"),
            ("#,##0.00", 1_234_567.891, "1,234,567.89"),
            ("#,##0", 12.0, "12"),
            ("0#########", 7_700_900_101.0, "7700900101"),
            ("00000000000", 7_700_900_101.0, "07700900101"),
            ("\"+\"0", 447_700_900_101.0, "+447700900101"),
            ("+## #### ######", 447_700_900_101.0, "+44 7700 900101"),
            ("(000) 000-0000", 2_025_550_123.0, "(202) 555-0123"),
            ("0%", 0.15, "15%"),
            ("0.0%", 0.1234, "12.3%"),
            ("[$€-407] #,##0.00", 5.5, "€ 5.50"),
            ("#,##0.00 \"EUR\"", 5.5, "5.50 EUR"),
            ("#,##0 ;[Red](#,##0)", -1_234.0, "(1,234)"),
            ("0;-0;\"none\"", 0.0, "none"),
            ("0.##", 3.1, "3.1"),
            ("@", 42.0, "42"),
            ("# ?/?", 0.5, "0.5"),
            ("0,,\" M\"", 12_000_000.0, "12 M"),
        ] {
            assert_eq!(NumberFormat::read(code, None).show(value, false), shown, "{code} {value}");
        }
    }

    #[test]
    fn a_format_of_any_length_shows_the_number() {
        for code in ["0.".to_owned() + &"0".repeat(70_000), "0".repeat(70_000), "y".repeat(70_000)] {
            assert_eq!(NumberFormat::read(&code, None).show(447_700_900_101.0, false), "447700900101");
        }
        let most = "0.".to_owned() + &"0".repeat(1_000);
        assert!(NumberFormat::read(&most, None).show(1.0, false).starts_with("1.000"));
    }

    #[test]
    fn dates_are_shown_as_cells_show_them() {
        let noon = 46_380.5;
        for (code, id, value, shown) in [
            ("mm-dd-yy", Some(14), noon, "2026-12-24"),
            ("m/d/yy h:mm", Some(22), noon, "2026-12-24 12:00"),
            ("dd.mm.yyyy", None, noon, "24.12.2026"),
            ("d/m/yy", None, noon, "24/12/26"),
            ("d mmmm yyyy", None, noon, "24 December 2026"),
            ("ddd, d mmm", None, noon, "Thu, 24 Dec"),
            ("hh:mm", None, noon, "12:00"),
            ("h:mm AM/PM", None, 46_380.0 + 1.0 / 24.0, "1:00 AM"),
            ("hh:mm:ss", None, 0.999_99, "23:59:59"),
            ("mm:ss.0", None, 0.5 + 61.25 / 86_400.0, "01:01.2"),
            ("[h]:mm", None, 1.5, "36:00"),
            ("yyyy\"年\"m\"月\"d\"日\"", None, noon, "2026年12月24日"),
            ("[$-407]d. mmm yyyy;@", None, noon, "24. Dec 2026"),
        ] {
            assert_eq!(NumberFormat::read(code, id).show(value, false), shown, "{code}");
        }
        assert_eq!(NumberFormat::read("yyyy-mm-dd", None).show(1.0, false), "1900-01-01");
        assert_eq!(NumberFormat::read("yyyy-mm-dd", None).show(1.0, true), "1904-01-02");
        assert_eq!(NumberFormat::read("yyyy-mm-dd", None).show(-1.0, false), "-1");
    }
}
