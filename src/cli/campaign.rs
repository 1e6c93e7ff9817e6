//! Options that say what is sent to whom.

use super::CliError;
use crate::campaign::{CampaignFile, Reading};
use crate::fields::{FIELD_NAMES, SubmitFields};
use crate::import::FileEncoding;
use crate::journal::books::InDoubtPolicy;
use crate::journal::campaign::{CampaignOptions, Receipts};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What is sent to whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Campaign")]
pub struct CampaignArgs {
    /// The campaign's CSV file: a header, then one row a message
    #[arg(value_name = "CSV")]
    file: PathBuf,
    /// The campaign's name [default: the file's name without its ending]
    #[arg(long = "campaign", value_name = "NAME")]
    name: Option<String>,
    /// The sender of rows that have none in a `from` column [default: the SMSC's default sender]
    #[arg(long, value_name = "SENDER")]
    from: Option<String>,
    /// The column of the destinations
    #[arg(long, value_name = "COLUMN", default_value = "to")]
    to_column: String,
    /// The text of all messages; {column} is replaced by the row's value, {column|default} where it may be empty
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "text_column")]
    text: Option<String>,
    /// The column of the texts, which are sent as they are [default: text]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Which delivery receipts to ask for
    #[arg(long, value_enum, default_value_t = ReceiptsArg::All)]
    receipts: ReceiptsArg,
    /// What to do with messages that may have left and were never answered
    #[arg(long, value_enum, default_value_t = InDoubtArg::Hold)]
    in_doubt: InDoubtArg,
    /// Send to a number as often as it stands in the file
    #[arg(long)]
    allow_duplicates: bool,
    /// The alphabet of the texts: auto is GSM 7-bit where every character fits, else UCS2
    #[arg(long, value_enum, default_value_t = AlphabetArg::Auto)]
    alphabet: AlphabetArg,
    /// A submit_sm field for all messages, as NAME=VALUE (source_addr_ton=3, validity_period=2h, tlv:0x1400=0x01);
    /// a column of that name beats it row by row
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// The `field` table of a profile
    #[arg(long, hide = true)]
    profile_field: Vec<String>,
    /// The delimiter of the file [default: as its header shows]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// The characters of the file: utf-8, latin1 or utf-16
    #[arg(long, value_name = "NAME", default_value = "utf-8")]
    encoding: FileEncoding,
    /// Refuse the file if any row is bad, instead of keeping such rows aside
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ReceiptsArg {
    All,
    Failures,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum InDoubtArg {
    /// Leave them to you: nothing is ever sent twice
    Hold,
    /// Send them again: nothing is lost, some may arrive twice
    Resend,
    /// Count them as sent
    AssumeSent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AlphabetArg {
    Auto,
    Gsm7,
    Ucs2,
}

impl CampaignArgs {
    /// The campaign as typed.
    pub fn campaign(&self) -> Result<CampaignFile, CliError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self
                .file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .ok_or_else(|| CliError::Usage(format!("{} is not a file's name", self.file.display())))?,
        };
        if name.trim().is_empty() {
            return Err(CliError::Usage("--campaign: a name must not be empty".into()));
        }
        let mut fields = SubmitFields::default();
        for field in self.profile_field.iter().chain(&self.fields) {
            let (name, value) =
                field.split_once('=').ok_or_else(|| CliError::Usage(format!("--field {field}: write NAME=VALUE")))?;
            if !fields.set(name.trim(), value).map_err(|error| CliError::Usage(format!("--field: {error}")))? {
                let names: Vec<&str> = FIELD_NAMES.iter().map(|(name, _)| *name).collect();
                let known = names.join(", ");
                return Err(CliError::Usage(format!("--field {name}: no such field; there are {known}, tlv:0xTAG")));
            }
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_value(&fields).ok() };
        let delimiter = match self.delimiter {
            None => None,
            Some(character) => Some(
                u8::try_from(character)
                    .ok()
                    .filter(u8::is_ascii)
                    .ok_or_else(|| CliError::Usage("--delimiter: one ASCII character".into()))?,
            ),
        };
        let options = CampaignOptions {
            to_column: self.to_column.clone(),
            text: self.text.clone(),
            text_column: if self.text.is_some() {
                None
            } else {
                Some(self.text_column.clone().unwrap_or_else(|| "text".into()))
            },
            from: self.from.clone().unwrap_or_default(),
            receipts: match self.receipts {
                ReceiptsArg::All => Receipts::All,
                ReceiptsArg::Failures => Receipts::Failures,
                ReceiptsArg::None => Receipts::None,
            },
            in_doubt: match self.in_doubt {
                InDoubtArg::Hold => InDoubtPolicy::Hold,
                InDoubtArg::Resend => InDoubtPolicy::Resend,
                InDoubtArg::AssumeSent => InDoubtPolicy::AssumeSent,
            },
            allow_duplicates: self.allow_duplicates,
            alphabet: match self.alphabet {
                AlphabetArg::Auto => None,
                AlphabetArg::Gsm7 => Some("gsm7".into()),
                AlphabetArg::Ucs2 => Some("ucs2".into()),
            },
            fields,
        };
        let reading = Reading { delimiter, encoding: self.encoding, strict: self.strict };
        Ok(CampaignFile { path: self.file.clone(), name, options, reading })
    }
}
