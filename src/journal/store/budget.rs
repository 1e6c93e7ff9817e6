//! What a campaign may cost at most, over all of its runs: facts, appended. What it has cost follows from what was claimed.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::key::{Attempt, Verdict};
use crate::message::address::digits_of_key;
use crate::message::fields::SubmitFields;
use crate::message::prices::{Amount, PriceList};
use crate::message::text::{Choice, Concat, Encoding, OctetsEncoder, Policy, Reference, segment};
use crate::platform::clock::now_ms;
use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension, Row};

/// What a campaign may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At most so much, over all runs; `None`: that there was a limit is over.
    pub max_cost: Option<Amount>,
    /// What its parts cost.
    pub prices: PriceList,
}

/// A budget as far as it is spent.
#[derive(Clone, Debug)]
pub struct Purse {
    /// What may be spent in all.
    pub max_cost: Amount,
    /// What was claimed so far, whatever became of it, but for what is known never to have left.
    pub spent: Amount,
    /// A message would have gone beyond it: nothing more of the campaign goes.
    pub is_over: bool,
    prices: PriceList,
    /// Parts of which a try is paid for that never left.
    kept: HashSet<i64>,
}

impl Purse {
    /// What is still to be paid for parts to a number, each with the SMS that it makes.
    fn cost(&self, number: u64, parts: impl Iterator<Item = (i64, u64)>) -> Amount {
        let sms = parts.filter(|(part, _)| self.kept.is_empty() || !self.kept.contains(part)).map(|(_, sms)| sms).sum();
        self.prices.of(&digits_of_key(number)).amount.times(sms)
    }

    /// Whether a message of these parts, each with the SMS that it makes, can be paid for; where one cannot, nothing more is.
    pub fn affords(&mut self, number: u64, parts: impl Iterator<Item = (i64, u64)>) -> bool {
        self.is_over = self.is_over || self.spent.plus(self.cost(number, parts)) > self.max_cost;
        !self.is_over
    }

    /// Pays for parts of a message, each with the SMS that it makes.
    pub fn pay(&mut self, number: u64, parts: impl Iterator<Item = (i64, u64)> + Clone) {
        self.spent = self.spent.plus(self.cost(number, parts.clone()));
        if !self.kept.is_empty() {
            for (part, _) in parts {
                self.kept.remove(&part);
            }
        }
    }

    /// Whether it counts by these prices.
    pub fn has_prices(&self, prices: &PriceList) -> bool {
        self.prices == *prices
    }

    /// So much may be spent from now on.
    pub fn allow(&mut self, max_cost: Amount) {
        (self.max_cost, self.is_over) = (max_cost, false);
    }

    /// A try of this part never left: its next one is paid for already.
    pub fn keep(&mut self, part: i64) {
        self.kept.insert(part);
    }

    /// What is left, in words.
    pub fn words(&self) -> String {
        let currency = &self.prices.currency;
        format!(
            "--max-cost {} {currency}: {} {currency} of it are spent, and the next message would cost more than the {} {currency} \
             that are left; the rest stays queued",
            self.max_cost,
            self.spent,
            left(self.max_cost, self.spent)
        )
    }
}

/// What is left of a limit: nothing, where the rest of a message that was begun went beyond it.
pub fn left(max_cost: Amount, spent: Amount) -> Amount {
    max_cost.less(spent).max(Amount(0))
}

/// Appends what the campaign of this id may cost from now on, unless that is what was said last.
pub fn set(journal: &dyn Sql, id: i64, budget: &Budget) -> Result<(), JournalError> {
    let connection = journal.connection();
    if of(connection, id)?.as_ref() == Some(budget) {
        return Ok(());
    }
    connection.execute(
        "INSERT INTO budget (campaign_id, at, max_cost, currency, prices) VALUES (?1, ?2, ?3, ?4, ?5)",
        (id, now_ms(), budget.max_cost.map(|amount| amount.0), &budget.prices.currency, budget.prices.to_text()),
    )?;
    Ok(())
}

/// What was said last of a campaign's cost.
pub fn of(journal: &dyn Sql, campaign: i64) -> Result<Option<Budget>, JournalError> {
    let connection = journal.connection();
    let last: Option<(Option<i64>, String)> = connection
        .prepare_cached("SELECT max_cost, prices FROM budget WHERE campaign_id = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([campaign], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((max_cost, prices)) = last else { return Ok(None) };
    let prices = PriceList::parse(&prices)
        .map_err(|words| JournalError::Inconsistent(format!("the prices of campaign number {campaign}: {words}")))?;
    Ok(Some(Budget { max_cost: max_cost.map(Amount), prices }))
}

/// The purse of a campaign, where it has a budget: with all that was claimed of it so far.
pub fn purse(connection: &Connection, campaign: i64) -> Result<Option<Purse>, JournalError> {
    let Some(Budget { max_cost: Some(max_cost), prices }) = of(connection, campaign)? else { return Ok(None) };
    let spent = spent(connection, campaign, &prices)?;
    Ok(Some(Purse { max_cost, spent, is_over: false, prices, kept: HashSet::new() }))
}

/// Claims, or verdicts, that one transaction looks at for what a campaign has cost.
const LOOKED_AT_MAX: usize = 1_000;

/// What a campaign has cost, added up in slices. Nothing of it may be claimed meanwhile; what was claimed before may still prove
/// never to have left.
#[derive(Debug)]
pub struct Reckoning {
    max_cost: Amount,
    prices: PriceList,
    options: CampaignOptions,
    /// The campaign's messages.
    first: i64,
    end: i64,
    spent: Amount,
    /// The last claim that is added.
    serial: i64,
    /// The last verdict that is taken off, by its attempt and its number; `None`: there are more claims.
    verdict: Option<(i64, i64)>,
    /// Attempts that have proved so meanwhile.
    unwritten: HashSet<i64>,
}

impl Reckoning {
    /// Nothing is added up so far.
    pub fn begin(
        connection: &Connection,
        campaign: i64,
        max_cost: Amount,
        prices: PriceList,
    ) -> Result<Self, JournalError> {
        let (options, first, end) = of_campaign(connection, campaign)?;
        let (spent, serial, verdict, unwritten) = (Amount(0), 0, None, HashSet::new());
        Ok(Self { max_cost, prices, options, first, end, spent, serial, verdict, unwritten })
    }

    /// An attempt never left.
    pub fn note_unwritten(&mut self, attempt: Attempt) {
        self.unwritten.insert(attempt.0);
    }

    /// Looks at some more. Says whether that was all.
    pub fn go_on(&mut self, connection: &Connection) -> Result<bool, JournalError> {
        match self.verdict {
            None => self.add_claims(connection).map(|()| false),
            Some(after) => self.take_off_unwritten(connection, after),
        }
    }

    fn add_claims(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let mut claims = connection.prepare_cached(
            "SELECT first_serial, first_part, parts, first_message FROM claim
              WHERE first_serial > ?1 ORDER BY first_serial LIMIT ?2",
        )?;
        let mut rows = claims.query((self.serial, LOOKED_AT_MAX as i64))?;
        let mut looked_at = 0;
        while let Some(claim) = rows.next()? {
            looked_at += 1;
            self.serial = claim.get(0)?;
            let (first_part, parts, first_message) = (claim.get(1)?, claim.get(2)?, claim.get(3)?);
            if (self.first..self.end).contains(&first_part) {
                let cost = cost_of_claim(connection, &self.options, &self.prices, (first_part, parts, first_message))?;
                self.spent = self.spent.plus(cost);
            }
        }
        if looked_at < LOOKED_AT_MAX {
            self.verdict = Some((Attempt::range(self.first, self.end).0, 0));
        }
        Ok(())
    }

    fn take_off_unwritten(&mut self, connection: &Connection, after: (i64, i64)) -> Result<bool, JournalError> {
        let mut verdicts = connection.prepare_cached(
            "SELECT attempt, id, kind FROM verdict WHERE (attempt, id) > (?1, ?2) AND attempt < ?3
              ORDER BY attempt, id LIMIT ?4",
        )?;
        let mut rows =
            verdicts.query((after.0, after.1, Attempt::range(self.first, self.end).1, LOOKED_AT_MAX as i64))?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            looked_at += 1;
            let (attempt, id, kind): (i64, i64, u8) = (row.get(0)?, row.get(1)?, row.get(2)?);
            self.verdict = Some((attempt, id));
            if kind == Verdict::NotWritten as u8 && !self.unwritten.contains(&attempt) {
                self.take_off(connection, attempt)?;
            }
        }
        if looked_at == LOOKED_AT_MAX {
            return Ok(false);
        }
        for attempt in std::mem::take(&mut self.unwritten) {
            self.take_off(connection, attempt)?;
        }
        Ok(true)
    }

    fn take_off(&mut self, connection: &Connection, attempt: i64) -> Result<(), JournalError> {
        let mut message = connection.prepare_cached(
            "SELECT destination, text, encoding, fields FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT 1",
        )?;
        let mut rows = message.query([Attempt(attempt).part()])?;
        if let Some(row) = rows.next()? {
            let sms = sms_of_row(&self.options, row, 1)?;
            let digits = row.get_ref(0)?.as_str().unwrap_or_default();
            self.spent = self.spent.less(self.prices.of(digits).amount.times(sms));
        }
        Ok(())
    }

    /// All of it is added up.
    pub fn purse(self) -> Purse {
        let Self { max_cost, spent, prices, .. } = self;
        Purse { max_cost, spent, is_over: false, prices, kept: HashSet::new() }
    }
}

/// The options of a campaign, and its messages.
fn of_campaign(connection: &Connection, campaign: i64) -> Result<(CampaignOptions, i64, i64), JournalError> {
    let (options, first, end): (String, i64, i64) =
        connection.query_row("SELECT options, first_id, end_id FROM campaign WHERE id = ?1", [campaign], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok((CampaignOptions::stored(&options, || format!("campaign number {campaign}"))?, first, end))
}

/// What the parts of one claim cost: the first of them, how many, and the message of the first.
fn cost_of_claim(
    connection: &Connection,
    options: &CampaignOptions,
    prices: &PriceList,
    (first_part, parts, first_message): (i64, i64, i64),
) -> Result<Amount, JournalError> {
    let mut messages = connection.prepare_cached(
        "SELECT id, destination, parts, text, encoding, fields FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id",
    )?;
    let claim_end = first_part + parts;
    let mut total = Amount(0);
    let mut rows = messages.query([first_message, claim_end])?;
    while let Some(row) = rows.next()? {
        let (id, of_message): (i64, i64) = (row.get(0)?, row.get(2)?);
        let claimed = (id + of_message).min(claim_end) - id.max(first_part);
        let sms = sms_of_row(options, row, 3)?;
        let digits = row.get_ref(1)?.as_str().unwrap_or_default();
        total = total.plus(prices.of(digits).amount.times(claimed.max(0) as u64 * sms));
    }
    Ok(total)
}

/// What the attempts of a campaign cost that were claimed and are not known never to have left.
pub fn spent(journal: &dyn Sql, campaign: i64, prices: &PriceList) -> Result<Amount, JournalError> {
    let connection = journal.connection();
    let mut reckoning = Reckoning::begin(connection, campaign, Amount(0), prices.clone())?;
    while !reckoning.go_on(connection)? {}
    Ok(reckoning.spent)
}

/// SMS that each part of a message makes, of which text, encoding and fields stand in a row from this column on.
pub(in crate::journal) fn sms_of_row(options: &CampaignOptions, row: &Row<'_>, at: usize) -> Result<u64, JournalError> {
    if options.concat != Concat::Payload {
        return Ok(1);
    }
    let text = row.get_ref(at)?.as_str().unwrap_or_default();
    let Some(encoding) = Encoding::from_stored(row.get(at + 1)?) else { return Ok(1) };
    let fields = row.get_ref(at + 2)?.as_str_or_null().unwrap_or_default();
    let fields = fields.filter(|_| encoding == Encoding::Octets).map(SubmitFields::from_json);
    let header = fields.and_then(Result::ok).and_then(|fields| fields.udh);
    Ok(sms_of(options, text, encoding, header.as_deref()))
}

/// SMS that each part of a text makes: more than one only where the SMSC does the splitting. `header`: the hexadecimal digits
/// of a user data header before octets.
pub fn sms_of(options: &CampaignOptions, text: &str, encoding: Encoding, header: Option<&str>) -> u64 {
    if options.concat != Concat::Payload {
        return 1;
    }
    if encoding == Encoding::Octets {
        return OctetsEncoder::of_hex(header, text, Reference::Whole).map_or(1, |made| made.sms_of_a_part().into());
    }
    let policy = Policy { concat: options.concat, ..Policy::from(Choice::from(encoding)) };
    segment(text, policy).map_or(1, |measured| measured.sms.into())
}

#[cfg(test)]
mod tests;
