//! Which campaigns a run is about, and whether it can carry what they send.

use super::SendError;
use crate::client::{NeedsTlvs, TakesTlvs};
use crate::journal::model::key::State;
use crate::journal::store::counts::Books;
use crate::journal::{self, JournalError};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Leaving optional parameters out where there are none would send something else than was asked for.
pub fn refuse_tlvs(connection: &rusqlite::Connection, campaigns: &[String]) -> Result<(), SendError> {
    for name in campaigns {
        if let Some(line) = journal::model::campaign::line_with_tlvs(connection, name)? {
            return Err(SendError::Settings(format!(
                "campaign {name} carries optional parameters ({}), which SMPP 3.3 does not have and --tlvs no \
                 forbids: use --smpp-version 3.4, or leave them out; nothing was sent",
                place(line)
            )));
        }
    }
    Ok(())
}

/// Where `line_with_tlvs` found them.
fn place(line: i64) -> String {
    if line == 0 { "its --field options".to_owned() } else { format!("line {line}") }
}

/// What the campaigns with something to send need optional parameters for.
pub(super) fn needs_tlvs(
    connection: &rusqlite::Connection,
    takes: TakesTlvs,
    path: &Path,
    campaigns: Vec<String>,
) -> Result<NeedsTlvs, SendError> {
    for name in &campaigns {
        let Some(option) = journal::model::campaign::options(connection, name)?.needs_tlvs() else { continue };
        if takes == TakesTlvs::No {
            return Err(SendError::Settings(format!(
                "campaign {name} was imported with {option}, which needs optional parameters: SMPP 3.3 has none, and --tlvs \
                 no forbids them; use --smpp-version 3.4, or import it anew with --concat udh8; nothing was sent"
            )));
        }
        return Ok(Arc::new(LazyLock::new(Box::new(move || Some(format!("a campaign with {option} needs"))))));
    }
    let path = path.to_owned();
    Ok(Arc::new(LazyLock::new(Box::new(move || carries_tlvs(&path, &campaigns)))))
}

fn carries_tlvs(path: &Path, campaigns: &[String]) -> Option<String> {
    let find = || -> Result<Option<String>, JournalError> {
        let connection = journal::open_read_only(path)?;
        for name in campaigns {
            if let Some(line) = journal::model::campaign::line_with_tlvs(&connection, name)? {
                return Ok(Some(format!("campaign {name} ({}) carries", place(line))));
            }
        }
        Ok(None)
    };
    find().unwrap_or_else(|error| {
        log::warn!("whether the messages carry optional parameters is not known: {}", error.at(path));
        None
    })
}

/// The indices of the campaigns to send.
pub(super) fn choose(
    connection: &rusqlite::Connection,
    books: &Books,
    names: &[String],
) -> Result<Vec<u32>, JournalError> {
    let unfinished = |counts: &[i64]| {
        [State::Queued, State::Sending, State::Accepted, State::InDoubt].iter().any(|state| counts[*state as usize] > 0)
    };
    if names.is_empty() {
        let all = books.campaigns.iter().enumerate();
        return Ok(all.filter(|(_, book)| unfinished(&book.counts)).map(|(index, _)| index as u32).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match books.campaigns.iter().position(|campaign| &campaign.name == name) {
            Some(index) => chosen.push(index as u32),
            // For its words.
            None => journal::campaign_id(connection, name).map(|_| ())?,
        }
    }
    Ok(chosen)
}
