//! Whether a run can carry what its campaigns send.

use super::SendError;
use crate::client::{NeedsTlvs, TakesTlvs};
use crate::journal::{self, Journal, JournalError};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Leaving optional parameters out where there are none would send something else than was asked for.
pub fn refuse_tlvs(opened: &Journal, campaigns: &[String]) -> Result<(), SendError> {
    for name in campaigns {
        if let Some(line) = journal::store::campaign_options::line_with_tlvs(opened, name)? {
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
    opened: &Journal,
    takes: TakesTlvs,
    path: &Path,
    campaigns: Vec<String>,
) -> Result<NeedsTlvs, SendError> {
    for name in &campaigns {
        let Some(option) = journal::store::campaign_options::options(opened, name)?.needs_tlvs() else { continue };
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

/// Nothing of which it is known before: a service binds in any case, and holds the campaigns that a session cannot carry.
pub(super) fn nothing_needs_tlvs() -> NeedsTlvs {
    Arc::new(LazyLock::new(Box::new(|| None)))
}

fn carries_tlvs(path: &Path, campaigns: &[String]) -> Option<String> {
    let find = || -> Result<Option<String>, JournalError> {
        let opened = journal::open_read_only(path)?;
        for name in campaigns {
            if let Some(line) = journal::store::campaign_options::line_with_tlvs(&opened, name)? {
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
