//! Options that say what is sent to whom.

use super::CliError;
use super::connection::duration;
use crate::import::campaign::{CampaignFile, MAX_PARTS_DEFAULT, Reading, no_file};
use crate::import::{FileEncoding, is_delimiter};
use crate::journal::model::campaign::InDoubtPolicy;
use crate::journal::model::campaign::{CampaignOptions, Receipts, Via};
use crate::journal::model::state::ReceiptsFor;
use crate::message::address::{Country, SENDER_CHARACTERS_MAX, SENDER_LENGTH_MAX, Sender};
use crate::message::fields::{FIELD_NAMES, SubmitFields};
use crate::message::template::Template;
use crate::message::text::{Concat, DefaultAlphabet};
use crate::words::trouble::shown;
use crate::words::typed::duration_text;
use crate::words::{BadValue, bad};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is sent to whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Campaign")]
pub struct CampaignArgs {
    /// The campaign's file: CSV, also packed by gzip or zstd, .xlsx or .ods; a header, then one row a message; - is standard
    /// input
    #[arg(value_name = "CSV")]
    pub(super) file: Option<PathBuf>,
    /// The campaign's name [default: the file's name without its ending]
    #[arg(long = "campaign", value_name = "NAME")]
    name: Option<String>,
    /// The sender of rows that have none in a `from` column [default: the SMSC's default sender]
    #[arg(long, value_name = "SENDER", value_parser = sender)]
    from: Option<String>,
    /// Characters of a sender at most, 11 to 20, for providers that take longer ones than mobile networks do
    /// [default: 11; a number has up to 15 digits in any case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(11..=20))]
    max_sender_length: Option<u8>,
    /// The column of the destinations; where there is no `to`, the only one that is called as such columns are (Phone, Mobile,
    /// MSISDN, Telefon, Numéro, Номер …)
    #[arg(long, value_name = "COLUMN", default_value = "to")]
    to_column: String,
    /// The text of all messages; {column} is replaced by the row's value, {column|default} where it may be empty
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "text_column", value_parser = template)]
    text: Option<String>,
    /// The column of the texts, which are sent as they are [default: text, else the only one that is called as such are]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Which delivery receipts to ask for
    #[arg(long, value_enum, default_value_t = ReceiptsArg::All)]
    receipts: ReceiptsArg,
    /// For which parts of a long message the SMSC sends receipts; with first or last, that receipt counts for all parts
    #[arg(long, value_enum, default_value_t = ReceiptsForArg::All)]
    receipts_for: ReceiptsForArg,
    /// What to do with messages that may have left and were never answered
    #[arg(long, value_enum, default_value_t = InDoubtArg::Hold)]
    in_doubt: InDoubtArg,
    /// Send to a number as often as it stands in the file
    #[arg(long)]
    allow_duplicates: bool,
    /// Where numbers without a country code are of, as in GB or DE: then every spelling that people use is read
    #[arg(long, value_name = "COUNTRY")]
    country: Option<Country>,
    /// Which numbers are taken: likely leaves out those that look national, or asks about them on a terminal; strict leaves
    /// out fixed lines and services too; any takes whatever has 4 to 16 digits
    #[arg(long, value_enum, default_value_t = NumbersArg::Likely)]
    numbers: NumbersArg,
    /// What to do with several numbers in one cell: refuse the row, send to the first, or to all of them
    #[arg(long, value_enum, default_value_t = SeveralArg::Refuse)]
    several_numbers: SeveralArg,
    /// Leave out the numbers that another campaign sent to in the time before this one is imported, as in 24h: their rows
    /// are kept with that reason
    #[arg(long, value_name = "TIME", value_parser = duration)]
    skip_sent_within: Option<Duration>,
    /// The alphabet of the texts: auto is GSM 7-bit where every character fits, else UCS2
    #[arg(long, value_enum, default_value_t = AlphabetArg::Auto)]
    alphabet: AlphabetArg,
    /// Make texts GSM 7-bit where only such characters stand in the way: punctuation replaces quotes, dashes, dots and spaces
    /// that look alike; all replaces letters too (ş by s)
    #[arg(long, value_enum, default_value_t = TransliterateArg::Off)]
    transliterate: TransliterateArg,
    /// Write texts with national language shift tables (Turkish, Spanish, Portuguese) where that takes less than UCS2: for
    /// SMSCs and networks that pass them on
    #[arg(long, value_enum, default_value_t = ShiftTablesArg::Off)]
    shift_tables: ShiftTablesArg,
    /// Send flash messages (class 0): shown at once, and not kept
    #[arg(long)]
    flash: bool,
    /// SMS that one text may come to; longer ones are refused
    #[arg(long, value_name = "N", default_value_t = MAX_PARTS_DEFAULT, value_parser = clap::value_parser!(u8).range(1..))]
    max_parts: u8,
    /// How a text that is too long for one SMS travels: in parts with a UDH of an 8-bit or a 16-bit reference, in parts
    /// numbered by SAR TLVs, or whole in message_payload (one PDU, split by the SMSC)
    #[arg(long, value_enum, default_value_t = ConcatArg::Udh8)]
    concat: ConcatArg,
    /// The operation that sends: data_sm carries every text in message_payload
    #[arg(long, value_enum, default_value_t = ViaArg::SubmitSm)]
    via: ViaArg,
    /// A submit_sm field for all messages, as NAME=VALUE (source_addr_ton=3, validity_period=2h, tlv:0x1400=0x01);
    /// a column of that name beats it row by row
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// The `field` table of a profile
    #[arg(long, hide = true, value_parser = profile_field)]
    profile_field: Vec<String>,
    /// The delimiter of the file: an ASCII character, or `tab` [default: as its header shows]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The characters of the file, as in utf-8, windows-1252, windows-1251, utf-16, macintosh, shift_jis or any other name of
    /// the web's encodings [default: found out, and said where it is a guess; refused where it is not sure]
    #[arg(long, value_name = "NAME")]
    encoding: Option<FileEncoding>,
    /// The sheet of a spreadsheet: its name, or its place from 1 [default: the first that is shown]
    #[arg(long, value_name = "SHEET")]
    sheet: Option<String>,
    /// Import the file although another campaign has brought, or will bring, the same messages to the same numbers
    #[arg(long)]
    pub allow_same_file: bool,
    /// Take texts that look as if they were not meant to go out so: with placeholders that nothing fills, #N/A, NULL, escapes
    /// or misread characters in them
    #[arg(long)]
    pub allow_placeholders: bool,
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

/// For which parts of a long message receipts come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ReceiptsForArg {
    /// For each part
    All,
    /// For the first only
    First,
    /// For the last only
    Last,
}

impl From<ReceiptsForArg> for ReceiptsFor {
    fn from(typed: ReceiptsForArg) -> Self {
        match typed {
            ReceiptsForArg::All => Self::All,
            ReceiptsForArg::First => Self::First,
            ReceiptsForArg::Last => Self::Last,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum InDoubtArg {
    /// Leave them to you: nothing is ever sent twice
    Hold,
    /// Send them again, at least once: tried again after the retry delays, at most 4 more times (as many as --retry-delays
    /// has), then it stays in doubt; some may arrive as often
    Resend,
    /// Count them as sent
    AssumeSent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum TransliterateArg {
    Off,
    Punctuation,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ShiftTablesArg {
    Off,
    /// Those of whichever language makes fewer parts
    Auto,
    /// Turkish
    Tr,
    /// Spanish
    Es,
    /// Portuguese
    Pt,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum NumbersArg {
    Likely,
    Strict,
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum SeveralArg {
    Refuse,
    First,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AlphabetArg {
    Auto,
    Gsm7,
    Ucs2,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ConcatArg {
    Udh8,
    Udh16,
    Sar,
    Payload,
}

impl From<ConcatArg> for Concat {
    fn from(typed: ConcatArg) -> Self {
        match typed {
            ConcatArg::Udh8 => Self::Udh8,
            ConcatArg::Udh16 => Self::Udh16,
            ConcatArg::Sar => Self::Sar,
            ConcatArg::Payload => Self::Payload,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ViaArg {
    #[value(name = "submit_sm")]
    SubmitSm,
    #[value(name = "data_sm")]
    DataSm,
}

/// What texts of the account's SMSC are made of.
#[derive(Debug, Args)]
pub struct AlphabetArgs {
    /// What the SMSC reads and writes where data_coding is 0; a text with a character that this alphabet or GSM 7-bit
    /// lacks is sent as UCS2
    #[arg(long, value_enum, default_value_t = DefaultAlphabetArg::Gsm7)]
    default_alphabet: DefaultAlphabetArg,
}

/// What data_coding 0 means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum DefaultAlphabetArg {
    /// GSM 03.38, a septet in an octet
    Gsm7,
    /// GSM 03.38, eight septets in seven octets
    Gsm7Packed,
    Latin1,
    Ascii,
    /// Read as UTF-8; of what is sent only ASCII goes so
    Utf8,
}

impl AlphabetArgs {
    /// As typed.
    pub fn alphabet(&self) -> DefaultAlphabet {
        match self.default_alphabet {
            DefaultAlphabetArg::Gsm7 => DefaultAlphabet::Gsm7,
            DefaultAlphabetArg::Gsm7Packed => DefaultAlphabet::Gsm7Packed,
            DefaultAlphabetArg::Latin1 => DefaultAlphabet::Latin1,
            DefaultAlphabetArg::Ascii => DefaultAlphabet::Ascii,
            DefaultAlphabetArg::Utf8 => DefaultAlphabet::Utf8,
        }
    }
}

impl CampaignArgs {
    /// The campaign as typed. `zone`: where times without an offset are those of.
    pub fn campaign(&self, alphabet: &AlphabetArgs, zone: Option<TimeZone>) -> Result<CampaignFile, CliError> {
        self.campaign_as(None, alphabet, zone)
    }

    /// The campaign as typed, but for its name where that is said elsewhere.
    pub fn campaign_as(
        &self,
        name: Option<&str>,
        alphabet: &AlphabetArgs,
        zone: Option<TimeZone>,
    ) -> Result<CampaignFile, CliError> {
        let Some(file) = &self.file else {
            return Err(CliError::Usage("name the campaign's file".into()));
        };
        let name = match (name.map(str::to_owned).or_else(|| self.name.clone()), no_file(file)) {
            (Some(name), _) => name,
            (None, Some(what)) => {
                return Err(CliError::Usage(format!(
                    "{}: this is {what}, so that the campaign has no name that another run would find again: give \
                     --campaign NAME",
                    shown(file)
                )));
            }
            (None, None) => file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .ok_or_else(|| CliError::Usage(format!("{} is not a file's name", shown(file))))?,
        };
        self.campaign_of(file, name, alphabet, zone)
    }

    /// The campaign in which messages gather that are typed one by one; `day`: the name that it has unless another is typed.
    /// Their text and sender stand with each of them.
    pub fn gathering(
        &self,
        day: String,
        alphabet: &AlphabetArgs,
        zone: Option<TimeZone>,
    ) -> Result<CampaignFile, CliError> {
        let name = self.name.clone().unwrap_or(day);
        let mut campaign = self.campaign_of(Path::new("--to"), name, alphabet, zone)?;
        (campaign.options.text, campaign.options.text_column) = (None, Some("text".into()));
        campaign.options.to_column = "to".into();
        // What is said of files, in a profile, is said of others.
        (campaign.options.sheet, campaign.options.skip_sent_within) = (None, None);
        (campaign.reading.delimiter, campaign.reading.encoding, campaign.reading.strict) = (None, None, false);
        Ok(campaign)
    }

    /// The text that was typed.
    pub fn typed_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn campaign_of(
        &self,
        file: &Path,
        name: String,
        alphabet: &AlphabetArgs,
        zone: Option<TimeZone>,
    ) -> Result<CampaignFile, CliError> {
        if name.trim().is_empty() {
            return Err(CliError::Usage("--campaign: a name must not be empty".into()));
        }
        let fields = fields_of(self.profile_field.iter().chain(&self.fields), zone.as_ref())?;
        if let Some(error) = fields.header_missing() {
            return Err(CliError::Usage(format!("--field {error}")));
        }
        let length = self.max_sender_length.map_or(SENDER_CHARACTERS_MAX, usize::from);
        Sender::parse_up_to(self.from.as_deref().unwrap_or_default(), length)
            .map_err(|error| CliError::Usage(format!("--from: {error}")))?;
        let fields = if fields.is_empty() { None } else { serde_json::to_value(&fields).ok() };
        let options = CampaignOptions {
            to_column: self.to_column.clone(),
            sheet: self.sheet.clone(),
            text: self.text.clone(),
            text_column: if self.text.is_some() {
                None
            } else {
                Some(self.text_column.clone().unwrap_or_else(|| "text".into()))
            },
            from: self.from.clone().unwrap_or_default(),
            // The default in so many words is still the default: the same options are the same campaign.
            max_sender_length: self.max_sender_length.filter(|length| usize::from(*length) > SENDER_CHARACTERS_MAX),
            receipts: match self.receipts {
                ReceiptsArg::All => Receipts::All,
                ReceiptsArg::Failures => Receipts::Failures,
                ReceiptsArg::None => Receipts::None,
            },
            receipts_for: self.receipts_for.into(),
            in_doubt: match self.in_doubt {
                InDoubtArg::Hold => InDoubtPolicy::Hold,
                InDoubtArg::Resend => InDoubtPolicy::Resend,
                InDoubtArg::AssumeSent => InDoubtPolicy::AssumeSent,
            },
            allow_duplicates: self.allow_duplicates,
            country: self.country.map(Country::code),
            numbers: match self.numbers {
                NumbersArg::Likely => None,
                NumbersArg::Strict => Some("strict".into()),
                NumbersArg::Any => Some("any".into()),
            },
            several_numbers: match self.several_numbers {
                SeveralArg::Refuse => None,
                SeveralArg::First => Some("first".into()),
                SeveralArg::All => Some("all".into()),
            },
            skip_sent_within: self.skip_sent_within.map(duration_text),
            alphabet: match self.alphabet {
                AlphabetArg::Auto => None,
                AlphabetArg::Gsm7 => Some("gsm7".into()),
                AlphabetArg::Ucs2 => Some("ucs2".into()),
            },
            transliterate: match self.transliterate {
                TransliterateArg::Off => None,
                TransliterateArg::Punctuation => Some("punctuation".into()),
                TransliterateArg::All => Some("all".into()),
            },
            shift_tables: match self.shift_tables {
                ShiftTablesArg::Off => None,
                ShiftTablesArg::Auto => Some("auto".into()),
                ShiftTablesArg::Tr => Some("tr".into()),
                ShiftTablesArg::Es => Some("es".into()),
                ShiftTablesArg::Pt => Some("pt".into()),
            },
            flash: self.flash,
            max_parts: Some(self.max_parts).filter(|parts| *parts != MAX_PARTS_DEFAULT),
            concat: self.concat.into(),
            via: match self.via {
                ViaArg::SubmitSm => Via::SubmitSm,
                ViaArg::DataSm => Via::DataSm,
            },
            default_alphabet: alphabet.alphabet(),
            fields,
        };
        let reading =
            Reading { delimiter: self.delimiter, encoding: self.encoding, strict: self.strict, zone, will_ask: false };
        Ok(CampaignFile { path: file.to_owned(), name, options, reading })
    }
}

/// Fields as they were typed, the later over the earlier.
pub fn fields_of<'a>(
    typed: impl IntoIterator<Item = &'a String>,
    zone: Option<&TimeZone>,
) -> Result<SubmitFields, CliError> {
    let mut fields = SubmitFields::default();
    for field in typed {
        set_field(&mut fields, field, zone).map_err(|words| {
            let name = field.split_once('=').map_or(field.as_str(), |(name, _)| name);
            CliError::Usage(format!("--field {}: {words}", name.trim()))
        })?;
    }
    Ok(fields)
}

/// Sets a field as it was typed, NAME=VALUE. The error does not name it.
fn set_field(fields: &mut SubmitFields, typed: &str, zone: Option<&TimeZone>) -> Result<(), BadValue> {
    let (name, value) = typed.split_once('=').ok_or("write NAME=VALUE")?;
    match fields.set_in(name.trim(), value, zone) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let known: Vec<&str> = FIELD_NAMES.iter().map(|(name, _)| *name).collect();
            Err(bad!("no such field; there are {}, tlv:0xTAG", known.join(", ")))
        }
        Err(error) => Err(error.problem.to_string().into()),
    }
}

/// Checks a line of a profile's table where its file and line are known.
fn profile_field(typed: &str) -> Result<String, BadValue> {
    set_field(&mut SubmitFields::default(), typed, Some(&TimeZone::UTC)).map(|()| typed.to_owned())
}

/// Checks a sender but for the length that it may have here. The empty one is the SMSC's default.
fn sender(typed: &str) -> Result<String, BadValue> {
    Sender::parse_up_to(typed, SENDER_LENGTH_MAX).map(|_| typed.to_owned()).map_err(|error| error.to_string().into())
}

/// Checks a text but for its columns, which only the file can tell.
fn template(typed: &str) -> Result<String, BadValue> {
    Template::parse(typed).map(|_| typed.to_owned()).map_err(|error| error.to_string().into())
}

/// Reads a delimiter as it is typed.
pub fn delimiter(typed: &str) -> Result<u8, BadValue> {
    match typed.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        &[octet] if is_delimiter(octet) => Ok(octet),
        _ => Err("one ASCII character that is no quote, letter, digit or line end, or `tab`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f03_delimiters_that_can_be_given() {
        for (typed, octet) in [(";", b';'), ("|", b'|'), ("\t", b'\t'), ("tab", b'\t'), ("\\t", b'\t'), ("^", b'^')] {
            assert_eq!(delimiter(typed), Ok(octet), "{typed:?}");
        }
        for typed in ["", ";;", "a", "7", "\"", "\n", "\r", "é"] {
            assert!(delimiter(typed).is_err(), "{typed:?}");
        }
    }
}
