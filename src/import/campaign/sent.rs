//! What other campaigns sent to a file's numbers lately: shown by `check`, and left out with `--skip-sent-within`.

use super::standing::{Standing, no_file};
use super::{CampaignError, CampaignFile, reader};
use crate::import::{Event, ImportError, Reason, SentBy};
use crate::journal::files::lock::ImportLock;
use crate::journal::store::lately::{Count, Lately};
use crate::journal::store::number_index::{Numbers, upkeep};
use crate::journal::{self, Journal, JournalError, now_ms};
use std::path::Path;

/// Numbers whose rows are left out, with the campaign that sent to each last.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    within: String,
    campaigns: Vec<String>,
    /// By number.
    numbers: Vec<(u64, u32)>,
    /// What the campaigns sent to.
    pub told: Vec<SentBy>,
}

impl LeftOut {
    /// Why the rows of a number are left out.
    pub fn reason(&self, number: u64) -> Option<Reason> {
        let found = self.numbers.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        let campaign = self.campaigns.get(self.numbers[found].1 as usize).cloned().unwrap_or_default();
        Some(Reason::SentLately { within: self.within.clone(), campaign })
    }
}

/// Reads the file for its numbers alone, and finds those that another campaign sent to within the time that its options
/// give. The file is read again when it is imported.
pub fn left_out(campaign: &CampaignFile, opened: &Journal, journal: &Path) -> Result<LeftOut, CampaignError> {
    let Some((within, words)) = campaign.skip_sent_within()? else { return Ok(LeftOut::default()) };
    if let Some(what) = no_file(&campaign.path) {
        return Err(CampaignError::Options(format!(
            "--skip-sent-within reads the file twice, and {} is {what}: write it to a file first",
            campaign.path.display()
        )));
    }
    let mut left_out = LeftOut { within: words.to_owned(), ..LeftOut::default() };
    let lately = Lately::since(opened, now_ms() - within.as_millis() as i64)?;
    let Some(lately) = lately.and_then(|lately| lately.besides(&campaign.name)) else { return Ok(left_out) };
    catch_up(opened, journal)?;
    let mut count = Count::new(lately, campaign.options.allow_duplicates);
    let standing = Standing::open(&campaign.path)?;
    let mut reader = reader(campaign, standing.file())?;
    let unreadable = |error| CampaignError::Import(campaign.path.clone(), error);
    loop {
        let is_over = match reader.next() {
            Ok(Some(Event::Row(row))) => {
                count.add(row.destination.same_key());
                false
            }
            Ok(Some(_)) => false,
            Ok(None) | Err(ImportError::HeaderOnly) => true,
            Err(error) => return Err(unreadable(error)),
        };
        if is_over || count.is_full() {
            count.ask(opened, |sent, campaign| left_out.add(sent.number, campaign))?;
        }
        if is_over {
            break;
        }
    }
    left_out.numbers.sort_unstable();
    left_out.told = count.by_campaign();
    Ok(left_out)
}

impl LeftOut {
    fn add(&mut self, number: u64, campaign: &str) {
        let known = self.campaigns.iter().position(|known| known == campaign);
        let campaign = known.unwrap_or_else(|| {
            self.campaigns.push(campaign.to_owned());
            self.campaigns.len() - 1
        });
        self.numbers.push((number, campaign as u32));
    }
}

/// Makes the look-up quick first, where it is not: not for whoever may only read, nor beside another import.
fn catch_up(opened: &Journal, journal: &Path) -> Result<(), JournalError> {
    if opened.is_read_only()? || Numbers::load(opened)?.not_covered() == 0 {
        return Ok(());
    }
    match ImportLock::take(journal) {
        Ok(_lock) => upkeep::catch_up(opened, i64::MAX),
        Err(JournalError::ImportHeld(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Counts the numbers that another campaign sent to in the last 24 hours; `None`: nothing was sent.
pub fn counting(campaign: &CampaignFile, opened: &Journal) -> Result<Option<Count>, JournalError> {
    let lately = Lately::since(opened, now_ms() - journal::store::intake::LATELY)?;
    Ok(lately.map(|lately| Count::new(lately, campaign.options.allow_duplicates)))
}
