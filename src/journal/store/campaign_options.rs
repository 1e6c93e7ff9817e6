//! The options of campaigns as they stand in the journal.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::CampaignOptions;
use rusqlite::OptionalExtension;

impl CampaignOptions {
    /// The options as they stand in the journal. What cannot be read is an error that names `whose` they are: a default in
    /// its place could send again what is in doubt.
    pub fn stored(json: &str, whose: impl FnOnce() -> String) -> Result<Self, JournalError> {
        serde_json::from_str(json).map_err(|error| {
            let words = "a newer smppost may have written them, or somebody else";
            JournalError::Inconsistent(format!("the options of {} cannot be read ({error}): {words}", whose()))
        })
    }
}

/// The options of the campaign of that name.
pub fn options(journal: &dyn Sql, name: &str) -> Result<CampaignOptions, JournalError> {
    let connection = journal.connection();
    let options: String =
        connection.query_row("SELECT options FROM campaign WHERE name = ?1", [name], |row| row.get(0))?;
    serde_json::from_str(&options)
        .map_err(|error| JournalError::Inconsistent(format!("the options of campaign {name}: {error}")))
}

/// The first line of a campaign whose message carries optional parameters; `Some(0)`: the campaign's options do.
pub fn line_with_tlvs(journal: &dyn Sql, name: &str) -> Result<Option<i64>, JournalError> {
    let connection = journal.connection();
    let (options, first, end): (String, i64, i64) =
        connection.query_row("SELECT options, first_id, end_id FROM campaign WHERE name = ?1", [name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let named = r#""tlvs":"#;
    let added: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM campaign_field f JOIN campaign c ON c.id = f.campaign_id
                         WHERE c.name = ?1 AND instr(f.fields, ?2) > 0)",
        (name, named),
        |row| row.get(0),
    )?;
    if added || options.contains(named) {
        return Ok(Some(0));
    }
    Ok(connection
        .query_row(
            "SELECT line FROM message WHERE id >= ?1 AND id < ?2 AND instr(fields, ?3) > 0 LIMIT 1",
            (first, end, named),
            |row| row.get(0),
        )
        .optional()?)
}
