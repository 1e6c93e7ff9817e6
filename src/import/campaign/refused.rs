//! The rows of a file that cannot be sent, where none can and so nothing is in the journal.

use super::{CampaignError, CampaignFile, Standing, reader};
use crate::import::Event;
use std::io;

/// Reads the file and tells of each row that is refused: its line, and why.
pub fn refused_rows(
    campaign: &CampaignFile,
    mut each: impl FnMut(u64, &str) -> io::Result<()>,
) -> Result<(), CampaignError> {
    let at = |error| CampaignError::Open(campaign.path.clone(), error);
    let standing = Standing::open(&campaign.path)?;
    let mut reader = reader(campaign, standing.file())?;
    while let Some(event) = reader.next().map_err(|error| CampaignError::Import(campaign.path.clone(), error))? {
        if let Event::Rejected(row) = &event {
            each(row.line, &row.reason.to_string()).map_err(at)?;
        }
    }
    Ok(())
}
