//! What messages cost: a list of prefixes with a price for each part, and what a campaign comes to by it. Amounts are whole
//! millionths of the currency, so that sums are exact.

use super::address::{country_of, is_plausible};
use crate::words::format::{count, number};
use crate::words::{BadValue, bad};
use hashbrown::HashMap;
use std::fmt;
use std::str::FromStr;

/// Millionths in one.
const MICROS: i64 = 1_000_000;
/// Decimals that an amount may have.
const DECIMALS_MAX: usize = 6;
/// Decimals that an amount is shown with at least.
const DECIMALS_SHOWN: usize = 2;
/// Digits of a prefix at most.
const PREFIX_DIGITS_MAX: usize = 15;
/// Prefixes of a list at most.
const PREFIXES_MAX: usize = 100_000;
/// Numbers without a price that are listed.
const UNPRICED_SHOWN: usize = 10;

/// An amount, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i64);

impl Amount {
    /// So often.
    pub fn times(self, n: u64) -> Amount {
        Amount(self.0.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX)))
    }

    /// Without separators, as programs read it: `1234.50`.
    pub fn plain(self) -> String {
        self.to_string().replace(',', "")
    }

    /// And another.
    pub fn plus(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }

    /// What is left of it.
    pub fn less(self, other: Amount) -> Amount {
        Amount(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / MICROS as u64, self.0.unsigned_abs() % MICROS as u64);
        let decimals = format!("{rest:06}");
        let decimals = decimals.trim_end_matches('0');
        write!(f, "{sign}{}.{decimals:0<DECIMALS_SHOWN$}", number(whole as i64))
    }
}

impl FromStr for Amount {
    type Err = BadValue;

    fn from_str(typed: &str) -> Result<Amount, BadValue> {
        let wrong =
            || bad!("`{typed}` is no amount: write digits, a point and at most {DECIMALS_MAX} decimals, as in 0.045");
        let (whole, decimals) = typed.trim().split_once(['.', ',']).unwrap_or((typed.trim(), ""));
        let is_digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        if whole.is_empty() && decimals.is_empty() || !is_digits(whole) || !is_digits(decimals) {
            return Err(wrong());
        }
        let is_grouped = typed.contains(',') && decimals.len() == 3 && whole.bytes().any(|octet| octet != b'0');
        if is_grouped {
            return Err(bad!(
                "`{typed}` may be {whole}{decimals} or {whole}.{decimals}: write it without a comma, and decimals behind a point"
            ));
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > DECIMALS_MAX {
            return Err(wrong());
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        let rest: i64 = format!("{decimals:0<DECIMALS_MAX$}").parse().map_err(|_| wrong())?;
        whole.checked_mul(MICROS).and_then(|micros| micros.checked_add(rest)).map(Amount).ok_or_else(wrong)
    }
}

/// Prices by the beginnings of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// As ISO 4217 has it.
    pub currency: String,
    prices: HashMap<String, Amount>,
    longest: usize,
    dearest: Amount,
}

/// What a part to a number costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price<'a> {
    /// For each part.
    pub amount: Amount,
    /// The prefix that says so; `None`: none does, and it counts as the dearest.
    pub prefix: Option<&'a str>,
}

impl PriceList {
    /// Reads a CSV: prefix, price for each part, currency; with a header or without, in any order where a header says which is
    /// which.
    pub fn parse(text: &str) -> Result<PriceList, BadValue> {
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().find(|line| !line.trim().is_empty()).ok_or("the list is empty")?;
        let delimiter = [b'\t', b';', b','].into_iter().find(|&octet| first.as_bytes().contains(&octet));
        let delimiter = delimiter.ok_or("a line is a prefix, a price and a currency, as in 44,0.035,GBP")?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let mut places = [0, 1, 2];
        let mut list = PriceList { currency: String::new(), prices: HashMap::new(), longest: 0, dearest: Amount(0) };
        for (n, record) in reader.records().enumerate() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(n as u64 + 1, csv::Position::line);
            let at = |words: BadValue| bad!("line {line}: {words}");
            if record.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            if list.prices.is_empty() && !record.iter().any(|field| field.trim().parse::<Amount>().is_ok()) {
                let place = |names: &[&str]| {
                    record.iter().position(|field| {
                        let field = field.trim().to_lowercase();
                        names.iter().any(|name| field.contains(name))
                    })
                };
                let found = [
                    place(&["prefix", "code", "vorwahl"]),
                    place(&["price", "rate", "cost", "preis"]),
                    place(&["currency", "währung"]),
                ];
                let [Some(prefix), Some(price), Some(currency)] = found else {
                    return Err(at("a header has to name prefix, price and currency".into()));
                };
                places = [prefix, price, currency];
                continue;
            }
            let field = |place: usize| record.get(places[place]).unwrap_or_default().trim();
            list.add(field(0), field(1), field(2)).map_err(at)?;
        }
        if list.prices.is_empty() { Err("there is no price in it".into()) } else { Ok(list) }
    }

    fn add(&mut self, prefix: &str, price: &str, currency: &str) -> Result<(), BadValue> {
        let digits = prefix.trim_start_matches('+');
        let digits = digits.strip_prefix("00").unwrap_or(digits);
        if digits.is_empty() || digits.len() > PREFIX_DIGITS_MAX || !digits.bytes().all(|octet| octet.is_ascii_digit())
        {
            return Err(bad!(
                "`{prefix}` is no prefix: write the first digits of numbers, country code and all, as in 44"
            ));
        }
        let amount: Amount = price.parse()?;
        let currency = currency.to_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|octet| octet.is_ascii_uppercase()) {
            return Err(bad!("`{currency}` is no currency: write three letters, as in EUR"));
        }
        if self.currency.is_empty() {
            self.currency.clone_from(&currency);
        }
        if self.currency != currency {
            return Err(bad!(
                "the price is in {currency}, and those above are in {}: a list has one currency",
                self.currency
            ));
        }
        match self.prices.insert(digits.to_owned(), amount) {
            Some(other) if other != amount => {
                return Err(bad!("prefix {digits} has two prices, {other} and {amount}"));
            }
            _ => {}
        }
        if self.prices.len() > PREFIXES_MAX {
            return Err(bad!("a list has at most {} prefixes", number(PREFIXES_MAX as i64)));
        }
        self.longest = self.longest.max(digits.len());
        self.dearest = self.dearest.max(amount);
        Ok(())
    }

    /// As it is kept: what [`parse`](PriceList::parse) reads again.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<String> = self
            .prices
            .iter()
            .map(|(prefix, amount)| {
                format!("{prefix},{}.{:06},{}", amount.0 / MICROS, amount.0 % MICROS, self.currency)
            })
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// What a part to a number costs, by the longest prefix that it begins with.
    pub fn of(&self, digits: &str) -> Price<'_> {
        let longest = self.longest.min(digits.len());
        let found = (1..=longest).rev().find_map(|length| self.prices.get_key_value(digits.get(..length)?));
        match found {
            Some((prefix, amount)) => Price { amount: *amount, prefix: Some(prefix) },
            None => Price { amount: self.dearest, prefix: None },
        }
    }
}

/// What messages come to.
#[derive(Clone, Debug, Default)]
pub struct Bill {
    /// All of it.
    pub total: Amount,
    /// By prefix.
    lines: HashMap<String, BillLine>,
    /// Of what no prefix prices.
    unpriced_line: BillLine,
    /// Numbers that no prefix prices: how many messages, and the first.
    pub unpriced: u64,
    /// The first of those.
    pub unpriced_numbers: Vec<String>,
}

/// What the messages of a prefix, or a country, come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillLine {
    /// ISO code of the country, or the prefix where it is of none.
    pub country: String,
    /// How many messages.
    pub messages: u64,
    /// SMS that they are.
    pub sms: u64,
    /// What they cost.
    pub amount: Amount,
}

impl Bill {
    /// Adds a message.
    pub fn note(&mut self, prices: &PriceList, digits: &str, sms: u64) {
        let price = prices.of(digits);
        let amount = price.amount.times(sms);
        self.total = self.total.plus(amount);
        if price.prefix.is_none() {
            self.unpriced += 1;
            if self.unpriced_numbers.len() < UNPRICED_SHOWN {
                self.unpriced_numbers.push(digits.to_owned());
            }
        }
        // Most follow one of the same prefix, or nearly.
        let known = match price.prefix {
            Some(prefix) => self.lines.get_mut(prefix),
            None => Some(&mut self.unpriced_line),
        };
        let line = match known {
            Some(line) => line,
            None => {
                let prefix = price.prefix.unwrap_or_default();
                let country = country_of(digits).filter(|_| is_plausible(digits)).unwrap_or_else(|| prefix.to_owned());
                self.lines.entry(prefix.to_owned()).or_insert(BillLine { country, ..BillLine::default() })
            }
        };
        line.messages += 1;
        line.sms += sms;
        line.amount = line.amount.plus(amount);
    }

    /// By country, the dearest first.
    pub fn by_country(&self) -> Vec<BillLine> {
        let mut by_country: HashMap<&str, BillLine> = HashMap::new();
        let unpriced = Some(&self.unpriced_line).filter(|line| line.messages > 0);
        let lines = self.lines.values().map(|line| (line.country.as_str(), line));
        for (name, line) in lines.chain(unpriced.map(|line| ("no price", line))) {
            let of =
                by_country.entry(name).or_insert_with(|| BillLine { country: name.to_owned(), ..BillLine::default() });
            of.messages += line.messages;
            of.sms += line.sms;
            of.amount = of.amount.plus(line.amount);
        }
        let mut lines: Vec<BillLine> = by_country.into_values().collect();
        lines.sort_by(|a, b| b.amount.cmp(&a.amount).then_with(|| a.country.cmp(&b.country)));
        lines
    }

    /// A line for each country, and what is not priced.
    pub fn words(&self, currency: &str) -> Vec<String> {
        let mut words: Vec<String> = self
            .by_country()
            .iter()
            .map(|line| {
                let messages = count(line.messages as i64, "message");
                format!("{}: {messages}, {} SMS, {} {currency}", line.country, number(line.sms as i64), line.amount)
            })
            .collect();
        if self.unpriced > 0 {
            let more = if self.unpriced_numbers.len() as u64 == self.unpriced { "" } else { ", …" };
            words.push(format!(
                "no prefix prices {} ({}{more}): counted as the dearest",
                count(self.unpriced as i64, "message"),
                self.unpriced_numbers.join(", ")
            ));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (typed, micros, shown) in [
            ("0.045", 45_000, "0.045"),
            ("12", 12_000_000, "12.00"),
            ("1234,5", 1_234_500_000, "1,234.50"),
            (".5", 500_000, "0.50"),
            ("0.000001", 1, "0.000001"),
            ("0,035", 35_000, "0.035"),
            (",035", 35_000, "0.035"),
            ("1.035", 1_035_000, "1.035"),
            ("0.0450000000", 45_000, "0.045"),
        ] {
            let amount: Amount = typed.parse().unwrap();
            assert_eq!((amount.0, amount.to_string().as_str()), (micros, shown), "{typed}");
        }
        for typed in ["", ".", "-1", "1e3", "0.0000001", "99999999999999999999", "1.2.3", "1,000", "12,345"] {
            assert!(typed.parse::<Amount>().is_err(), "{typed}");
        }
    }

    #[test]
    fn the_longest_prefix_prices_and_what_has_none_is_the_dearest() {
        for list in [
            "44,0.03,EUR\n447,0.05,EUR\n1,0.01,EUR\n",
            "\u{feff}Prefix;Price;Currency\r\n44;0,03;EUR\r\n+447;0,05;eur\r\n001;0,01;EUR\r\n\r\n",
            "currency\tcountry\tprice per part\tprefix\nEUR\tUK\t0.03\t44\nEUR\tUK mobile\t0.05\t447\nEUR\tUS\t0.01\t1\n",
        ] {
            let list = PriceList::parse(list).unwrap();
            assert_eq!(list.currency, "EUR");
            for (digits, micros, prefix) in [
                ("447700900123", 50_000, Some("447")),
                ("442079460001", 30_000, Some("44")),
                ("12025550123", 10_000, Some("1")),
                ("33612345678", 50_000, None),
            ] {
                assert_eq!(list.of(digits), Price { amount: Amount(micros), prefix }, "{digits}");
            }
            assert_eq!(PriceList::parse(&list.to_text()).unwrap(), list);
        }
    }

    #[test]
    fn what_is_no_list_is_said_with_its_line() {
        for (list, words) in [
            ("", "empty"),
            ("prefix,price,currency\n", "no price"),
            ("44,0.03,EUR\n1,0.02,USD\n", "line 2: the price is in USD"),
            ("44,0.03,EUR\n44,0.02,EUR\n", "line 2: prefix 44 has two prices"),
            ("44,0.03\n", "line 1: `` is no currency"),
            ("44,free,EUR\nx,y,z\n", "line 1: `free` is no amount"),
            ("UK,0.03,EUR\n", "line 1: `UK` is no prefix"),
            ("44 0.03 EUR\n", "44,0.035,GBP"),
            ("a,b\n44,1\n", "line 1: a header has to name"),
        ] {
            let error = PriceList::parse(list).unwrap_err();
            assert!(error.contains(words), "{list:?}: {error}");
        }
    }

    #[test]
    fn a_bill_is_by_country() {
        let list = PriceList::parse("44,0.03,EUR\n447,0.05,EUR\n1,0.01,EUR").unwrap();
        let mut bill = Bill::default();
        for (digits, sms) in [("447700900123", 2), ("442079460001", 1), ("12025550123", 1), ("33612345678", 3)] {
            bill.note(&list, digits, sms);
        }
        assert_eq!(bill.total, Amount(100_000 + 30_000 + 10_000 + 150_000));
        assert_eq!(
            bill.words("EUR"),
            [
                "no price: 1 message, 3 SMS, 0.15 EUR",
                "GB: 2 messages, 3 SMS, 0.13 EUR",
                "US: 1 message, 1 SMS, 0.01 EUR",
                "no prefix prices 1 message (33612345678): counted as the dearest",
            ]
        );
    }
}
