//! What, with its file, decides what a campaign sends: kept as JSON in the journal, compared when the same name comes
//! again.

use super::state::{Awaited, ReceiptsFor};
use crate::message::fields::SubmitFields;
use crate::message::text::{Concat, DefaultAlphabet};
use serde::{Deserialize, Serialize};

/// What to do with an attempt in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InDoubtPolicy {
    /// Leave it to the operator: at most once.
    #[default]
    Hold,
    /// Send it again: at least once.
    Resend,
    /// Count it as taken.
    AssumeSent,
}

/// Which receipts are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// For every message, whatever becomes of it (registered_delivery 1).
    #[default]
    All,
    /// Only for messages that are not delivered (registered_delivery 2).
    Failures,
    /// None (registered_delivery 0).
    None,
}

/// By which operation messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// submit_sm.
    #[default]
    SubmitSm,
    /// data_sm, which carries every text in message_payload.
    DataSm,
}

impl Via {
    /// `submit_sm` or `data_sm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubmitSm => "submit_sm",
            Self::DataSm => "data_sm",
        }
    }
}

/// The options of a campaign. Every field has a default, so that an older journal can be read.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CampaignOptions {
    /// Column of the destinations.
    pub to_column: String,
    /// The sheet of a spreadsheet; `None`: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The template that makes the text; `None`: the text column, literally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Column of the texts, where there is no template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// Sender for rows that name none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Characters that a sender may have, where the provider takes more than 11 (of a number: 15).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sender_length: Option<u8>,
    /// Receipts asked for.
    pub receipts: Receipts,
    /// For which parts of a long message receipts come.
    #[serde(skip_serializing_if = "is_default")]
    pub receipts_for: ReceiptsFor,
    /// For what is in doubt.
    pub in_doubt: InDoubtPolicy,
    /// Send to a number as often as it stands in the file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_duplicates: bool,
    /// Where numbers without a country code are of: two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// `strict` or `any`: which numbers are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<String>,
    /// `first` or `all`: what is done with several numbers in one cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub several_numbers: Option<String>,
    /// Leave out numbers that another campaign sent to within this time before the import, as in `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_sent_within: Option<String>,
    /// `auto`, `gsm7` or `ucs2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
    /// `punctuation` or `all`: what texts are made GSM 7-bit with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transliterate: Option<String>,
    /// `auto`, `tr`, `es` or `pt`: which national language shift tables texts may be written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_tables: Option<String>,
    /// Shown at once and not kept: class 0.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flash: bool,
    /// SMS that a text may come to, where that is not 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parts: Option<u8>,
    /// How long texts travel.
    #[serde(skip_serializing_if = "is_default")]
    pub concat: Concat,
    /// By which operation messages are sent.
    #[serde(skip_serializing_if = "is_default")]
    pub via: Via,
    /// What octets data_coding 0 carries.
    #[serde(skip_serializing_if = "is_default")]
    pub default_alphabet: DefaultAlphabet,
    /// The submit_sm fields given for the whole campaign, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<serde_json::Value>,
}

/// Before the SHA-256 of a template, in hex, that is deleted.
const SEALED: &str = "deleted, of SHA-256 ";

fn is_sealed(text: &str) -> bool {
    text.strip_prefix(SEALED).is_some_and(|digest| digest.len() == 64)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl CampaignOptions {
    /// Characters that a sender may have; a number may always have 15 digits.
    pub fn sender_length_max(&self) -> usize {
        self.max_sender_length.map_or(crate::message::address::SENDER_CHARACTERS_MAX, usize::from)
    }

    /// These options as they are recorded once the campaign's texts are deleted: the template can be recognised and not read.
    pub fn without_text(&self) -> Self {
        let sealed = |text: &String| match is_sealed(text) {
            true => text.clone(),
            false => format!("{SEALED}{}", crate::words::format::hex_digest(text.as_bytes())),
        };
        Self { text: self.text.as_ref().map(sealed), ..self.clone() }
    }

    /// These options as they compare to recorded ones, whose template may be recognisable alone.
    pub fn beside(&self, recorded: &Self) -> Self {
        match recorded.text.as_deref().is_some_and(is_sealed) {
            true => self.without_text(),
            false => self.clone(),
        }
    }

    /// Whether its fields, which are those of all its messages, name a user_message_reference.
    pub fn names_reference(&self) -> bool {
        let fields = self.fields.clone().and_then(|fields| serde_json::from_value::<SubmitFields>(fields).ok());
        fields.is_some_and(|fields| fields.names_reference())
    }

    /// Which receipts its messages ask for: a field of the whole campaign beats the option, one of a row is not looked at.
    pub fn awaited(&self) -> Awaited {
        let field = self.fields.as_ref().and_then(|fields| fields.get("registered_delivery")?.as_u64());
        let of_success = match field {
            Some(field) => matches!(field & 0b11, 1 | 3),
            None => self.receipts == Receipts::All,
        };
        Awaited { of_success, parts: self.receipts_for }
    }

    /// The option for which the SMSC must take optional parameters, as typed, if there is one.
    pub fn needs_tlvs(&self) -> Option<String> {
        if self.via == Via::DataSm {
            Some("--via data_sm".into())
        } else {
            self.concat.needs_tlvs().then(|| format!("--concat {}", self.concat.name()))
        }
    }

    /// The options in which `self` (recorded) and `other` (wanted) differ: as typed, recorded and wanted value.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let as_map = |options: &Self| match serde_json::to_value(options) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        };
        let (recorded, wanted) = (as_map(self), as_map(other));
        let show =
            |value: Option<&serde_json::Value>| value.map_or_else(|| "not given".to_owned(), ToString::to_string);
        let mut names: Vec<&String> = recorded.keys().chain(wanted.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| recorded.get(*name) != wanted.get(*name))
            .map(|name| (option(name), show(recorded.get(name)), show(wanted.get(name))))
            .collect()
    }
}

/// An option of the command line by its name here.
fn option(name: &str) -> String {
    format!("--{}", if name == "fields" { "field".to_owned() } else { name.replace('_', "-") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_of_success_are_asked_for_by_the_option_or_the_field() {
        for (receipts, field, expected) in [
            (Receipts::All, None, true),
            (Receipts::Failures, None, false),
            (Receipts::None, None, false),
            (Receipts::None, Some(1), true),
            (Receipts::None, Some(17), true),
            (Receipts::All, Some(0), false),
            (Receipts::All, Some(2), false),
            (Receipts::Failures, Some(3), true),
        ] {
            let fields = field.map(|field| serde_json::json!({ "registered_delivery": field }));
            let options = CampaignOptions { receipts, fields, ..Default::default() };
            assert_eq!(options.awaited().of_success, expected, "{options:?}");
        }
    }

    #[test]
    fn f11_differences_are_named() {
        let recorded = CampaignOptions { text: Some("Hi".into()), ..Default::default() };
        let wanted = CampaignOptions { text: Some("Ho".into()), receipts: Receipts::None, ..Default::default() };
        assert_eq!(recorded.differences(&recorded), []);
        let names: Vec<_> = recorded.differences(&wanted).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["--receipts", "--text"]);
        assert_eq!(recorded.differences(&wanted)[1], ("--text".into(), "\"Hi\"".into(), "\"Ho\"".into()));
    }
}
