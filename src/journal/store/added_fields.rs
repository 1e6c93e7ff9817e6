//! Fields that were forgotten and are added for the rest of a campaign (`resume --field`). They are no options of the
//! campaign: by those it is still known when its file comes again.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::model::campaign::{CampaignOptions, Via};
use crate::message::fields::SubmitFields;
use crate::platform::clock::now_ms;
use crate::wire::Tag;
use crate::words::stamp::Stamp;
use rusqlite::Connection;
use serde::Serialize;

/// What was added, and when.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Added {
    /// When.
    pub at: Stamp,
    /// The fields, by name with their values.
    pub fields: Vec<(String, String)>,
}

/// All that was added to a campaign, the later over the earlier.
pub fn of(connection: &Connection, campaign: i64) -> Result<SubmitFields, JournalError> {
    let mut all = SubmitFields::default();
    for (_, fields) in rows(connection, campaign)? {
        all.overlay(&fields);
    }
    Ok(all)
}

/// What was added to a campaign, in order.
pub fn of_campaign(connection: &Connection, campaign: i64) -> Result<Vec<Added>, JournalError> {
    let rows = rows(connection, campaign)?;
    Ok(rows.into_iter().map(|(at, fields)| Added { at: Stamp(at), fields: fields.entries() }).collect())
}

fn rows(connection: &Connection, campaign: i64) -> Result<Vec<(i64, SubmitFields)>, JournalError> {
    let mut statement =
        connection.prepare_cached("SELECT at, fields FROM campaign_field WHERE campaign_id = ?1 ORDER BY id")?;
    let mut rows = statement.query([campaign])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let json: String = row.get(1)?;
        let fields = SubmitFields::from_json(&json).map_err(|error| {
            JournalError::Inconsistent(format!("fields that were added to campaign {campaign} cannot be read: {error}"))
        })?;
        found.push((row.get(0)?, fields));
    }
    Ok(found)
}

/// Why these fields cannot be added to the campaign of that name.
pub fn refusal(
    journal: &dyn Sql,
    name: &str,
    options: &CampaignOptions,
    fields: &SubmitFields,
) -> Result<Option<String>, JournalError> {
    let connection = journal.connection();
    let by_text = [("data_coding", fields.data_coding.is_some()), ("esm_class", fields.esm_class.is_some())];
    if let Some((field, _)) = by_text.iter().find(|(_, is_set)| *is_set) {
        return Ok(Some(format!(
            "{field} decides how texts are encoded and cut, which was done when the file was imported"
        )));
    }
    if fields.registered_delivery.is_some() {
        return Ok(Some("which receipts a campaign asks for decides how its messages are counted, and stays".into()));
    }
    if fields.tlvs.get(Tag::USER_MESSAGE_REFERENCE.0).is_some() {
        return Ok(Some(
            "the program itself sets user_message_reference where a campaign has none from the start".into(),
        ));
    }
    if let (Via::DataSm, Some(field)) = (options.via, fields.beyond_data_sm()) {
        return Ok(Some(format!("the campaign goes as data_sm, which has no {field}")));
    }
    if let Some(passed) = fields.passed(now_ms()) {
        return Ok(Some(passed.to_string()));
    }
    let may_be_in_parts: bool = connection.query_row(
        "SELECT n.parts <> n.messages AND n.first_sent_at IS NOT NULL
           FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id WHERE c.name = ?1",
        [name],
        |row| row.get(0),
    )?;
    if fields.has_addressing() && may_be_in_parts {
        return Ok(Some(
            "the parts of a long message belong together by their addresses, and of this campaign some may have gone"
                .into(),
        ));
    }
    Ok(None)
}

/// Adds fields to a campaign. Nothing is written where all of them hold already.
pub fn add(journal: &dyn Sql, name: &str, fields: &SubmitFields) -> Result<(), JournalError> {
    let connection = journal.connection();
    let campaign = crate::journal::store::notes::campaign_id(connection, name)?;
    let before = of(connection, campaign)?;
    let mut after = before.clone();
    after.overlay(fields);
    if after != before {
        connection.execute(
            "INSERT INTO campaign_field (campaign_id, at, fields) VALUES (?1, ?2, ?3)",
            (campaign, now_ms(), fields.to_json()),
        )?;
    }
    Ok(())
}

/// Whether the options wanted are those recorded with what was added since: then it is the same campaign.
pub fn explain(
    journal: &dyn Sql,
    name: &str,
    recorded: &CampaignOptions,
    wanted: &CampaignOptions,
) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let fields = |options: &CampaignOptions| -> SubmitFields {
        options.fields.clone().and_then(|fields| serde_json::from_value(fields).ok()).unwrap_or_default()
    };
    let mut whole = fields(recorded);
    whole.overlay(&of(connection, crate::journal::store::notes::campaign_id(connection, name)?)?);
    let others = CampaignOptions { fields: recorded.fields.clone(), ..wanted.clone() };
    Ok(others == *recorded && whole == fields(wanted))
}
