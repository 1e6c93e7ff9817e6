//! `check`: what a file would come to, with nothing written.

use super::{CampaignError, CampaignFile, Standing, reader, sent, taken};
use crate::import::{Event, Tally, shown};
use crate::journal;
use crate::journal::JournalError;
use crate::journal::store::twins::{self, Contents, Sum, Twin};
use crate::message::address::Sender;
use crate::message::prices::PriceList;
use crate::words::escape::hex;
use std::path::Path;

/// How a campaign's name stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is free.
    No,
    /// This very campaign is there, with so many messages.
    Same(i64),
    /// Another one is there, and this one would be refused.
    Differs {
        /// In what: option, recorded and wanted value.
        differences: Vec<(String, String, String)>,
        /// All of what the refusal says.
        words: String,
    },
}

/// What [`check`] found.
#[derive(Debug)]
pub struct Checked {
    /// What the file comes to.
    pub tally: Tally,
    /// How its name stands in the journal.
    pub taken: Taken,
    /// Campaigns of other names that are the same again.
    pub twins: Vec<Twin>,
    /// What becomes of the rows that were to be shown, a line each.
    pub shown: Vec<String>,
}

/// Reads the whole file and says what it would come to. Writes nothing; a journal, where there is one, is asked for its
/// suppression list, for what other campaigns sent to the numbers lately, and for campaigns of that name or with these
/// messages.
pub fn check(
    campaign: &CampaignFile,
    journal: &Path,
    prices: Option<&PriceList>,
    show: &[u64],
) -> Result<Checked, CampaignError> {
    let opened = match journal::open_untouched(journal) {
        Ok(opened) => Some(opened),
        Err(JournalError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (mut suppressed, mut left_out, mut counting) = Default::default();
    let mut is_taken = Taken::No;
    if let Some(opened) = &opened {
        suppressed = journal::store::decisions::suppressed(opened)?;
        is_taken = taken(campaign, opened)?;
        left_out = sent::left_out(campaign, opened, journal)?;
        counting = sent::counting(campaign, opened)?.map(|count| (count, opened));
    }
    let standing = Standing::open(&campaign.path)?;
    let from = Sender::canonical(&campaign.options.from);
    let (mut sum, mut messages, mut parts) = (Sum::default(), 0, 0);
    let mut reader = reader(campaign, standing.file())?
        .with_suppressed(move |key| suppressed.contains(&key))
        .with_left_out(move |key| left_out.reason(key));
    let mut shown_lines = Vec::new();
    let mut tally = Tally::new();
    tally.prices = prices.cloned();
    tally.unused_columns = reader.unused_columns().map(str::to_owned).collect();
    while let Some(event) = reader.next().map_err(|error| CampaignError::Import(campaign.path.clone(), error))? {
        tally.note(&event);
        if show.contains(&shown::line_of(&event)) {
            shown_lines.extend(shown::lines(&event, &campaign.options, from));
        }
        let Event::Row(row) = &event else { continue };
        (messages, parts) = (messages + 1, parts + i64::from(row.segmentation.parts));
        let (source, fields) = (row.source.unwrap_or(from), row.fields.unwrap_or_default());
        sum.add(row.destination.digits(), source, row.text, fields);
        if let Some((count, opened)) = counting.as_mut().filter(|_| !row.suppressed) {
            count.add(row.destination.same_key());
            if count.is_full() {
                count.ask(*opened, |_, _| ())?;
            }
        }
    }
    if let Some((mut count, opened)) = counting {
        count.ask(opened, |_, _| ())?;
        tally.sent_lately = count.by_campaign();
    }
    tally.field_columns = reader.field_columns().to_vec();
    tally.facts = reader.facts();
    standing.check(&campaign.path)?;
    let digest = reader.digest().map(|digest| hex(&digest)).unwrap_or_default();
    let contents = Contents { digest: &digest, messages, parts };
    let twins = match &opened {
        Some(opened) => twins::find(opened, &campaign.name, &campaign.options, contents, &mut || Ok(sum))?,
        None => Vec::new(),
    };
    Ok(Checked { tally, taken: is_taken, twins, shown: shown_lines })
}
