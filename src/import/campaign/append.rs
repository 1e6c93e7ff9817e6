//! `import --append`: rows that were refused, corrected, go back into their campaign.

use super::batch::Batch;
use super::standing::Standing;
use super::{CampaignError, CampaignFile, Operator, reader, refusal, sent};
use crate::import::Event;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::store::append::{Appending, Closed, ROWS_MAX};
use crate::journal::store::decisions::suppressed;
use crate::journal::store::intake::Counts;
use crate::message::address::Sender;
use crate::words::escape::{escape_terminal, hex};
use crate::words::format::{argument, number};
use std::path::Path;

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// These rows.
    New {
        /// What went in.
        counts: Counts,
        /// The line that the first line of the file has in the campaign.
        first_line: i64,
        /// The line in the file of the first row refused, and why.
        first_refused: Option<(u64, String)>,
    },
    /// The very same file was added before.
    Already,
}

/// Adds the rows of a file to the campaign of its name, which it goes as: with the recorded options. All of them or none.
pub fn append(campaign: &CampaignFile, journal: &Path, operator: &mut dyn Operator) -> Result<Appended, CampaignError> {
    let name = argument(&campaign.name);
    let refused = |words: String| CampaignError::Append(words);
    let appending = match Appending::begin(journal, &campaign.name)? {
        Ok(appending) => appending,
        Err(closed) => {
            let why = match closed {
                Closed::Cancelled => "was cancelled",
                Closed::Ended => "has come to its end",
            };
            return Err(refused(format!(
                "--append: campaign {name} {why}: send these rows as a campaign of their own (without --append, with --campaign NAME)"
            )));
        }
    };
    refuse_other_options(campaign, &appending.options)?;
    let sheet = campaign.options.sheet.clone();
    let options = CampaignOptions { sheet, ..appending.options.clone() };
    let campaign = CampaignFile { options, ..campaign.clone() };
    let suppressed = suppressed(appending.journal())?;
    let left_out = sent::left_out(&campaign, appending.journal(), journal)?;
    let standing = Standing::open(&campaign.path)?;
    let mut reader = reader(&campaign, standing.file())?
        .with_suppressed(move |key| suppressed.contains(&key))
        .with_left_out(move |key| left_out.reason(key));
    appending.numbers(|key| reader.note_seen(key))?;
    let from = Sender::canonical(&campaign.options.from);
    let (mut batch, mut parts, mut rows, mut messages) = (Batch::default(), 0, 0, 0);
    let mut first_refused = None;
    let unreadable = |error| CampaignError::Import(campaign.path.clone(), error);
    while let Some(event) = reader.next().map_err(unreadable)? {
        rows += 1;
        if rows > ROWS_MAX {
            return Err(refused(format!(
                "--append takes up to {} rows, and the file has more: send it as a campaign of its own",
                number(ROWS_MAX as i64)
            )));
        }
        match &event {
            Event::Row(row) => {
                messages += 1;
                parts += i64::from(row.segmentation.parts);
            }
            Event::Rejected(rejected) if first_refused.is_none() => {
                first_refused = Some((rejected.line, rejected.reason.to_string()));
            }
            Event::Rejected(_) | Event::Duplicate(_) => {}
        }
        batch.note(&event, from);
    }
    let digest = reader.digest().map(|digest| hex(&digest)).unwrap_or_default();
    if appending.has(&digest)? {
        return Ok(Appended::Already);
    }
    if digest == appending.digest {
        return Err(refused(format!(
            "--append: this is the file that campaign {name} was imported from: give the corrected rows alone"
        )));
    }
    if messages == 0 {
        let why = match &first_refused {
            Some((line, reason)) => format!("the first that is refused: line {line}: {}", escape_terminal(reason)),
            None => format!("campaign {name} has a message to each of their numbers"),
        };
        return Err(refused(format!("--append: none of the rows can be added: {why}")));
    }
    if !appending.has_room(parts) {
        return Err(refused(format!(
            "--append: what was imported after campaign {name} leaves no room for {} parts: send these rows as a campaign of their own",
            number(parts)
        )));
    }
    let facts = reader.facts();
    let meant = operator.facts(&facts);
    if let Some(refused) = refusal(&campaign.path, meant, &facts) {
        return Err(refused);
    }
    standing.check(&campaign.path)?;
    let file = campaign.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let counts = appending.store(batch.kept(), &file, &digest)?;
    Ok(Appended::New { counts, first_line: appending.last_line + 1, first_refused })
}

/// Options that are not the campaign's own would be passed over, which nobody should have to find out.
fn refuse_other_options(campaign: &CampaignFile, recorded: &CampaignOptions) -> Result<(), CampaignError> {
    let typed = &campaign.options;
    let untouched =
        CampaignOptions { to_column: "to".into(), text_column: Some("text".into()), ..CampaignOptions::default() };
    let is_typed = |option: &str| untouched.differences(typed).iter().any(|(typed, ..)| typed == option);
    let mut other = recorded.differences(typed);
    other.retain(|(option, ..)| option != "--sheet" && is_typed(option));
    // With --text there is no text column; that is no difference of its own.
    other.retain(|(option, ..)| option != "--text-column" || typed.text_column.is_some());
    match other.first() {
        None => Ok(()),
        Some((option, recorded, typed)) => Err(CampaignError::Options(format!(
            "{option}: with --append rows go as the campaign does: there it is {recorded}, here {typed}; leave it out"
        ))),
    }
}
