//! Messages that are typed one by one: read as the rows of a file would be, by the same options, and gathered in a campaign.

use super::batch::Batch;
use super::{CampaignError, CampaignFile};
use crate::import::{Event, RowReader};
use crate::journal::store::alerts::{self, Gathered};
use crate::journal::store::decisions::suppressed;
use crate::journal::store::intake::Kept;
use crate::journal::{self, JournalError};
use std::path::Path;

/// Puts one text to these numbers in the campaign; `id`: what makes each of them the same message when it comes again.
pub fn gather(
    campaign: &CampaignFile,
    journal: &Path,
    to: &[String],
    text: &str,
    id: Option<&str>,
) -> Result<Gathered, CampaignError> {
    campaign.refuse_passed(journal::now_ms())?;
    let mut rows = csv::Writer::from_writer(Vec::new());
    let written = rows
        .write_record(["to", "text"])
        .and_then(|()| to.iter().try_for_each(|number| rows.write_record([number.as_str(), text])));
    let octets =
        written.map_err(std::io::Error::from).and_then(|()| rows.into_inner().map_err(|error| error.into_error()));
    let octets = octets.map_err(|error| CampaignError::Options(format!("--to: {error}")))?;
    let numbers = match journal::open_existing(journal) {
        Ok(opened) => suppressed(&opened)?,
        Err(JournalError::Missing(_)) => Default::default(),
        Err(error) => return Err(error.into()),
    };
    let wrong = |error| CampaignError::Import(campaign.path.clone(), error);
    let reader = RowReader::open(&octets[..], campaign.settings()?).map_err(wrong)?;
    let mut reader = reader.with_suppressed(move |key| numbers.contains(&key));
    let mut batch = Batch::default();
    while let Some(event) = reader.next().map_err(wrong)? {
        if let Event::Rejected(rejected) = &event {
            let lines = 1 + text.matches('\n').count();
            let number = usize::try_from(rejected.line).ok().and_then(|line| to.get(line.checked_sub(2)? / lines));
            return Err(CampaignError::Options(format!(
                "--to {}: {}",
                number.map_or("", String::as_str),
                rejected.reason
            )));
        }
        // The sender stands with each of them: the campaign has none.
        batch.note(&event, "");
    }
    let messages: Vec<_> = batch
        .kept()
        .filter_map(|kept| match kept {
            Kept::Message(message) => Some(message),
            Kept::Skipped { .. } => None,
        })
        .collect();
    let mut options = campaign.options.clone();
    options.from = String::new();
    Ok(alerts::gather(journal, &campaign.name, &options, &messages, id)?)
}
