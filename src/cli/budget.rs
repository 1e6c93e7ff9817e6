//! What a campaign may cost, and by which prices.

use super::CliError;
use crate::import::Tally;
use crate::journal::JournalError;
use crate::journal::model::key::State;
use crate::journal::query;
use crate::journal::store::budget;
use crate::journal::store::budget::Budget;
use crate::journal::store::campaign_options::options;
use crate::message::prices::{Amount, Bill, PriceList};
use crate::message::text::Encoding;
use crate::words::BadValue;
use crate::words::format::argument;
use crate::words::trouble::{shown, words as cannot_open};
use clap::Args;
use std::path::{Path, PathBuf};

/// Octets that a list of prices may have.
const PRICES_OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// What it may cost.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Money")]
pub struct BudgetArgs {
    /// A CSV of prices: prefix, price for each part, currency. check and report say what a campaign comes to; a number that no
    /// prefix prices counts as the dearest
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What the campaign may cost at most, over all of its runs, as in 100 or "100 EUR"; none: no limit any more. What would
    /// exceed it stays queued, and the exit code is 3. It is kept with the campaign
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    max_cost: Option<Limit>,
}

/// What was typed for `--max-cost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    None,
    Amount(Amount, Option<String>),
}

fn limit(typed: &str) -> Result<Limit, BadValue> {
    let typed = typed.trim();
    if typed.eq_ignore_ascii_case("none") {
        return Ok(Limit::None);
    }
    let digits_end = typed.find(|c: char| c.is_alphabetic()).unwrap_or(typed.len());
    let (amount, currency) = typed.split_at(digits_end);
    let currency = Some(currency.trim().to_uppercase()).filter(|currency| !currency.is_empty());
    Ok(Limit::Amount(amount.trim().parse()?, currency))
}

/// Reads a list of prices.
pub fn read_prices(path: &Path) -> Result<PriceList, CliError> {
    let at = |words: String| CliError::Usage(format!("--prices {}: {words}", shown(path)));
    let length = std::fs::metadata(path).map_err(|error| at(cannot_open(&error).to_string()))?.len();
    if length > PRICES_OCTETS_MAX {
        return Err(at("this is no list of prices: it has more than 16 MiB".into()));
    }
    let octets = std::fs::read(path).map_err(|error| at(cannot_open(&error).to_string()))?;
    let text = String::from_utf8(octets).map_err(|_| at("it is not UTF-8".into()))?;
    PriceList::parse(&text).map_err(|error| at(error.into()))
}

impl BudgetArgs {
    /// What is asked for, with its prices read.
    pub fn wish(&self) -> Result<Wish, CliError> {
        let prices = self.prices.as_deref().map(read_prices).transpose()?;
        let wish = Wish { prices, limit: self.max_cost.clone() };
        if let Some(prices) = &wish.prices {
            wish.refuse_other_currency(prices)?;
        }
        Ok(wish)
    }
}

/// Prices and a limit, as far as they are given.
#[derive(Clone, Debug)]
pub struct Wish {
    prices: Option<PriceList>,
    limit: Option<Limit>,
}

impl Wish {
    /// The prices.
    pub fn prices(&self) -> Option<&PriceList> {
        self.prices.as_ref()
    }

    /// Whether anything is said of it.
    pub fn is_any(&self) -> bool {
        self.limit.is_some() || self.prices.is_some()
    }

    /// Whether a limit is set.
    pub fn is_limit(&self) -> bool {
        self.limit.is_some()
    }

    fn refuse_other_currency(&self, prices: &PriceList) -> Result<(), CliError> {
        match &self.limit {
            Some(Limit::Amount(_, Some(currency))) if *currency != prices.currency => {
                Err(CliError::Usage(format!("--max-cost is in {currency}, and the prices are in {}", prices.currency)))
            }
            _ => Ok(()),
        }
    }

    /// What holds for a campaign from now on, where something is asked for that limits it. `known`: what held before.
    pub fn with(&self, known: Option<&Budget>) -> Result<Option<Budget>, CliError> {
        let known_limit = known.and_then(|known| known.max_cost);
        let max_cost = match &self.limit {
            Some(Limit::Amount(amount, _)) => Some(*amount),
            Some(Limit::None) => None,
            None => known_limit,
        };
        let Some(prices) = self.prices.as_ref().or(known.map(|known| &known.prices)) else {
            return match &self.limit {
                // A limit is of no use where nobody knows what a message costs.
                Some(Limit::Amount(..)) => Err(CliError::Usage(
                    "--max-cost needs to know what a message costs: give a list of prices by --prices".into(),
                )),
                _ => Ok(None),
            };
        };
        self.refuse_other_currency(prices)?;
        if let (None, Some(limit), Some(known)) = (&self.limit, known_limit, known)
            && known.prices.currency != prices.currency
        {
            return Err(CliError::Usage(format!(
                "--prices: the prices are in {}, and the campaign may cost {limit} {}: say by --max-cost what it may cost in {}, \
                 or that it has no limit (none)",
                prices.currency, known.prices.currency, prices.currency
            )));
        }
        let is_asked = self.limit.is_some() || self.prices.is_some();
        // Prices alone limit nothing, and need not be kept.
        let is_kept = is_asked && (max_cost.is_some() || known_limit.is_some());
        Ok(is_kept.then(|| Budget { max_cost, prices: prices.clone() }))
    }

    /// Refuses what [`record`](Self::record) would refuse of a campaign, whether the journal has it already or not.
    pub fn judge(&self, journal: &Path, campaign: &str) -> Result<(), CliError> {
        if self.limit.is_none() && self.prices.is_none() {
            return Ok(());
        }
        let known = match crate::journal::open_untouched(journal) {
            Ok(opened) => match crate::journal::campaign_id(&opened, campaign) {
                Ok(id) => budget::of(&opened, id)?,
                Err(JournalError::NoCampaign { .. }) => None,
                Err(error) => return Err(error.into()),
            },
            Err(JournalError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.with(known.as_ref()).map(drop)
    }

    /// Keeps what is asked for with a campaign. What was asked for before holds where nothing is said.
    pub fn record(&self, journal: &Path, campaign: &str) -> Result<(), CliError> {
        if self.limit.is_none() && self.prices.is_none() {
            return Ok(());
        }
        let opened = crate::journal::open_existing(journal)?;
        let id = crate::journal::campaign_id(&opened, campaign)?;
        if let Some(budget) = self.with(budget::of(&opened, id)?.as_ref())? {
            budget::set(&opened, id, &budget)?;
        }
        Ok(())
    }

    /// What a file comes to, in words.
    pub fn lines(&self, tally: &Tally) -> Vec<String> {
        let Some(prices) = &self.prices else { return Vec::new() };
        let currency = &prices.currency;
        let mut lines = vec![format!("cost: {} {currency} if all of it is sent", tally.bill.total)];
        lines.extend(tally.bill.words(currency).into_iter().map(|line| format!("  {line}")));
        if let Some(Limit::Amount(max, _)) = &self.limit
            && tally.bill.total > *max
        {
            lines.push(format!(
                "--max-cost {max} {currency} is {} {currency} less: what would exceed it stays queued",
                tally.bill.total.less(*max)
            ));
        }
        lines
    }
}

/// What a campaign in the journal has cost.
pub struct Costs {
    campaign: String,
    currency: String,
    sent: Bill,
    left: Bill,
    /// Each try of each part counted.
    claimed: Amount,
    /// What it may cost at most, what of that is spent, and in which currency.
    budget: Option<(Amount, Amount, String)>,
}

impl Costs {
    /// Adds it up.
    pub fn of(journal: &Path, campaign: &str, prices: &PriceList) -> Result<Self, JournalError> {
        let opened = crate::journal::open_read_only(journal)?;
        let options = options(&opened, campaign)?;
        let (mut sent, mut left) = (Bill::default(), Bill::default());
        query::messages(&opened, campaign, &[], |row| -> Result<(), JournalError> {
            let encoding = Encoding::all().find(|known| known.name() == row.encoding);
            let of_part = encoding.map_or(1, |known| budget::sms_of(&options, &row.text, known, row.header.as_deref()));
            let sms = row.parts as u64 * of_part;
            match row.state {
                State::Cancelled | State::Suppressed => {}
                State::Queued => left.note(prices, &row.destination, sms),
                _ => sent.note(prices, &row.destination, sms),
            }
            Ok(())
        })?;
        let id = crate::journal::campaign_id(&opened, campaign)?;
        let budget = match budget::of(&opened, id)? {
            Some(Budget { max_cost: Some(max), prices }) => {
                Some((max, budget::spent(&opened, id, &prices)?, prices.currency))
            }
            _ => None,
        };
        let claimed = budget::spent(&opened, id, prices)?;
        Ok(Self { campaign: campaign.into(), currency: prices.currency.clone(), sent, left, claimed, budget })
    }

    /// In words.
    pub fn lines(&self) -> Vec<String> {
        let Self { sent, left, currency, claimed, .. } = self;
        let mut lines = vec![format!("{}: sent for {} {currency}", argument(&self.campaign), sent.total)];
        lines.extend(sent.words(currency).into_iter().map(|line| format!("  {line}")));
        if left.total > Amount(0) {
            lines.push(format!("not sent yet: {} {currency}", left.total));
            lines.extend(left.words(currency).into_iter().map(|line| format!("  {line}")));
        }
        if *claimed != sent.total {
            lines.push(format!("claimed in all, each try of each part counted: {claimed} {currency}"));
        }
        if let Some((max, spent, currency)) = &self.budget {
            lines.push(format!(
                "--max-cost {max} {currency}: {spent} {currency} spent, {} {currency} left",
                budget::left(*max, *spent)
            ));
        }
        lines
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let bill = |bill: &Bill| {
            let countries: Vec<_> = bill
                .by_country()
                .iter()
                .map(|line| {
                    serde_json::json!({ "country": line.country, "messages": line.messages, "sms": line.sms,
                        "amount": line.amount.plain() })
                })
                .collect();
            serde_json::json!({ "amount": bill.total.plain(), "countries": countries,
                "unpriced_messages": bill.unpriced, "unpriced_numbers": bill.unpriced_numbers })
        };
        serde_json::json!({
            "campaign": self.campaign, "currency": self.currency, "sent": bill(&self.sent), "left": bill(&self.left),
            "claimed": self.claimed.plain(),
            "max_cost": self.budget.as_ref().map(|(max, spent, currency)| serde_json::json!({
                "amount": max.plain(), "spent": spent.plain(), "left": budget::left(*max, *spent).plain(), "currency": currency })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_a_currency_or_without() {
        assert_eq!(limit("100"), Ok(Limit::Amount(Amount(100_000_000), None)));
        assert_eq!(limit("99.5 eur"), Ok(Limit::Amount(Amount(99_500_000), Some("EUR".into()))));
        assert_eq!(limit("7EUR"), Ok(Limit::Amount(Amount(7_000_000), Some("EUR".into()))));
        assert_eq!(limit("None"), Ok(Limit::None));
        for typed in ["", "EUR", "-1", "1 2"] {
            assert!(limit(typed).is_err(), "{typed}");
        }
    }
}
