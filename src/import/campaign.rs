//! Campaigns from files: `import` and `check`. Reads the file once, row by row, and hands the rows to the journal, or to a
//! tally alone.

mod alerts;
mod append;
mod batch;
mod checked;
mod error;
mod recorded;
mod refused;
mod sent;
mod standing;
mod transfer;

use crate::import::{
    Facts, FileEncoding, ImportError, NumberCounts, RowReader, SAR_BESIDE_UDH, SentBy, Settings, TextSource, digest_of,
};
use crate::journal;
use crate::journal::model::campaign::{CampaignOptions, Via};
use crate::journal::store::added_fields;
use crate::journal::store::budget::Budget;
use crate::journal::store::campaign_hours::OwnHours;
use crate::journal::store::intake;
use crate::journal::store::intake::{Intake, existing};
use crate::journal::store::shares::Change;
use crate::journal::store::twins::Twin;
use crate::journal::{Journal, JournalError};
use crate::message::address::Sender;
use crate::message::fields::SubmitFields;
use crate::message::text::transliterate::Transliterate;
use crate::message::text::{Choice, Concat, DefaultAlphabet, Language, Policy, ShiftTables};
use crate::wire::values::esm_class;
use crate::words::escape::hex;
use crate::words::format::{command, journal_option};
pub use alerts::gather;
pub use append::{Appended, append};
pub use checked::{Checked, Taken, check};
pub use error::{CampaignError, Differs, twin_words};
use jiff::tz::TimeZone;
pub use recorded::MAX_PARTS_DEFAULT;
pub use refused::refused_rows;
use standing::Standing;
pub use standing::{no_file, open_or_stdin};
use std::fs::File;
use std::path::{Path, PathBuf};
use transfer::{TransferError, transfer};

/// A campaign as the operator describes it.
#[derive(Clone, Debug)]
pub struct CampaignFile {
    /// The CSV file.
    pub path: PathBuf,
    /// The campaign's name.
    pub name: String,
    /// What decides, with the file, what is sent.
    pub options: CampaignOptions,
    /// How the file is written; does not change what is sent as long as it is read right.
    pub reading: Reading,
}

impl CampaignFile {
    /// A time in its options that has come would go out with every message. A campaign that is in the journal already may
    /// have one: what of it is not sent by then is not sent any more.
    fn refuse_passed(&self, now_ms: i64) -> Result<(), CampaignError> {
        match self.fields()?.passed(now_ms) {
            Some(passed) => Err(CampaignError::Options(format!("--field: {passed}"))),
            None => Ok(()),
        }
    }

    fn fields(&self) -> Result<SubmitFields, CampaignError> {
        match &self.options.fields {
            Some(fields) => serde_json::from_value(fields.clone())
                .map_err(|error| CampaignError::Options(format!("--field: {error}"))),
            None => Ok(SubmitFields::default()),
        }
    }

    /// What its options come to, once they are held against each other: all that can be known without the file.
    pub fn settings(&self) -> Result<Settings, CampaignError> {
        let options = &self.options;
        let choice = match options.alphabet.as_deref() {
            None | Some("auto") => Choice::Auto,
            Some("gsm7") => Choice::Gsm7,
            Some("ucs2") => Choice::Ucs2,
            Some(other) => return Err(CampaignError::Options(format!("--alphabet {other}: use auto, gsm7 or ucs2"))),
        };
        let wrong = |words: String| CampaignError::Options(format!("--field: {words}"));
        let fields = self.fields()?;
        let data_sm = options.via == Via::DataSm;
        if let Some(field) = fields.beyond_data_sm().filter(|_| data_sm) {
            return Err(wrong(format!("data_sm has no field {field}: leave it out, or use --via submit_sm")));
        }
        if let Some(wrong_coding) =
            fields.data_coding.filter(|_| choice == Choice::Auto).and_then(SubmitFields::no_text)
        {
            return Err(wrong(wrong_coding.to_string()));
        }
        if options.flash && fields.data_coding.is_some() {
            return Err(CampaignError::Options(
                "--flash says what the data_coding is: leave out --field data_coding, or --flash".into(),
            ));
        }
        let shift_tables = match options.shift_tables.as_deref() {
            None => ShiftTables::Off,
            Some(code) => Language::from_code(code).map_or(ShiftTables::Auto, ShiftTables::Of),
        };
        if shift_tables != ShiftTables::Off {
            let why = match () {
                () if options.concat.needs_tlvs() => Some(format!("--concat {}", options.concat.name())),
                () if !options.default_alphabet.is_gsm() => {
                    Some(format!("--default-alphabet {}", options.default_alphabet.name()))
                }
                () => None,
            };
            if let Some(why) = why {
                return Err(CampaignError::Options(format!(
                    "--shift-tables needs a user data header before GSM 7-bit, which {why} leaves no place for"
                )));
            }
        }
        if options.concat == Concat::Sar && fields.esm_class.is_some_and(esm_class::has_udh) {
            return Err(wrong(SAR_BESIDE_UDH.into()));
        }
        // Another data_coding than 0 says itself what its octets are.
        let alphabet = if options.flash { DefaultAlphabet::Gsm7 } else { options.default_alphabet };
        let policy = Policy { choice, concat: options.concat, alphabet, shift_tables };
        Ok(Settings {
            delimiter: self.reading.delimiter,
            file_encoding: self.reading.encoding,
            sheet: options.sheet.clone(),
            to_column: options.to_column.clone(),
            text: match (&options.text, &options.text_column) {
                (Some(template), _) => TextSource::Template(template.clone()),
                (None, Some(column)) => TextSource::Column(column.clone()),
                (None, None) => TextSource::Column("text".into()),
            },
            from: (!options.from.is_empty()).then(|| options.from.clone()),
            sender_length_max: options.sender_length_max(),
            allow_duplicates: options.allow_duplicates,
            strict: self.reading.strict,
            // The campaign's own are kept once, with its options, not with every message.
            fields: SubmitFields::default(),
            policy,
            data_coding: fields.data_coding,
            flash: options.flash,
            data_sm,
            transliterate: match options.transliterate.as_deref() {
                None => Transliterate::Off,
                Some("punctuation") => Transliterate::Punctuation,
                Some(_) => Transliterate::All,
            },
            max_parts: self.max_parts(),
            zone: self.reading.zone.clone(),
            numbers: self.numbers()?,
            now_ms: journal::now_ms(),
        })
    }
}

/// How a file is read, as far as that is not one of the campaign's options: nothing in here decides who gets a message.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The delimiter; `None`: as the header shows.
    pub delimiter: Option<u8>,
    /// The characters; `None`: as the file shows.
    pub encoding: Option<FileEncoding>,
    /// Refuse the file at its first bad row.
    pub strict: bool,
    /// Where times without an offset are those of.
    pub zone: Option<TimeZone>,
    /// Somebody is asked afterwards about what is doubtful.
    pub will_ask: bool,
}

/// Whoever has a campaign imported: is told how far it is, and asked.
pub trait Operator {
    /// So many rows and octets were read.
    fn progress(&mut self, rows: u64, octets: u64);
    /// How the file was taken, and whether its texts are meant.
    fn facts(&mut self, facts: &Facts) -> Again;
    /// These are the same again, or bring the same file.
    fn twins(&mut self, twins: &[Twin]) -> Again;
}

/// Nobody, who takes whatever comes: for tests.
pub struct Willing;

impl Operator for Willing {
    fn progress(&mut self, _: u64, _: u64) {}

    fn facts(&mut self, _: &Facts) -> Again {
        Again::GoOn
    }

    fn twins(&mut self, _: &[Twin]) -> Again {
        Again::GoOn
    }
}

/// What is to be done where another campaign is the same again, or where texts may not be meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// Import all the same.
    GoOn,
    /// Do not, and say how it can be had.
    Refuse,
    /// Do not: somebody was asked, and said no.
    Declined,
    /// Do not: somebody was asked whether numbers that look national are sent to as they are, and said no.
    National,
}

/// What an import did.
#[derive(Clone, Debug)]
pub enum Imported {
    /// The campaign is new.
    New {
        /// What went in.
        counts: intake::Counts,
        /// The line of the first row refused, and why.
        first_refused: Option<(u64, String)>,
        /// Columns of the file that nothing is taken from.
        unused_columns: Vec<String>,
        /// Its numbers, by what they look like.
        numbers: Box<NumberCounts>,
        /// Campaigns that sent to its numbers in the last 24 hours.
        sent_lately: Vec<SentBy>,
        /// Campaigns that sent to the numbers whose rows were left out for that.
        left_out: Vec<SentBy>,
    },
    /// The very same campaign was there already, with so many messages.
    Already(i64),
}

/// Names that are tried in search of one that is free.
const NAMES_TRIED: u32 = 1_000;
/// Rows between two calls of an import's `progress`.
const ROWS_PER_PROGRESS: u64 = 65_536;

/// Imports the campaign, unless it is there already, for everybody to see.
pub fn import(campaign: &CampaignFile, journal: &Path, operator: &mut dyn Operator) -> Result<Imported, CampaignError> {
    match prepare(campaign, journal, None, operator)? {
        Prepared::Already(messages) => Ok(Imported::Already(messages)),
        Prepared::New(pending) => pending.release(),
    }
}

/// A campaign that can be sent, or nearly.
pub enum Prepared {
    /// It was there already, with so many messages.
    Already(i64),
    /// It is in the journal, whole and hidden.
    New(Box<Pending>),
}

/// A campaign that is in the journal, whole and hidden until it is released. Where it is dropped instead, or the process
/// ends, the next start undoes it.
pub struct Pending {
    intake: Intake,
    first_refused: Option<(u64, String)>,
    unused_columns: Vec<String>,
    numbers: NumberCounts,
    /// Campaigns that sent to the numbers whose rows were left out for that.
    left_out: Vec<SentBy>,
}

impl Pending {
    /// Shows it to all: from now on it is imported.
    pub fn release(self) -> Result<Imported, CampaignError> {
        let Self { intake, first_refused, unused_columns, numbers, left_out } = self;
        let sent_lately = intake.sent_lately();
        Ok(Imported::New {
            counts: intake.release()?,
            first_refused,
            unused_columns,
            numbers: Box::new(numbers),
            sent_lately,
            left_out,
        })
    }

    /// Notes what it may cost, so that it is never there without its limit.
    pub fn limit(&self, budget: &Budget) -> Result<(), CampaignError> {
        Ok(self.intake.limit(budget)?)
    }

    /// Notes when it may be sent.
    pub fn hours(&self, hours: &OwnHours) -> Result<(), CampaignError> {
        Ok(self.intake.hours(hours)?)
    }

    /// Notes how it shares the account with others, before anybody can send it.
    pub fn share(&self, change: Change) -> Result<(), CampaignError> {
        Ok(self.intake.share(change)?)
    }

    /// Undoes it, and removes the journal if that was made for it.
    pub fn abandon(self) {
        undo(Some(self.intake));
    }
}

/// Undoes an import. The next start would do so as well; an operator who looks now should find nothing of it.
fn undo(intake: Option<Intake>) {
    if let Err(error) = intake.map_or(Ok(()), Intake::abandon) {
        log::warn!("what was imported is hidden, and undone at the next start: {error}");
    }
}

/// Imports the campaign, unless it is there already, and leaves a new one hidden. All of the file goes in or nothing of it; a file
/// that is refused by its header or its first rows leaves no journal behind where there was none. `account`: for whom it is,
/// where that is known.
pub fn prepare(
    campaign: &CampaignFile,
    journal: &Path,
    account: Option<&str>,
    operator: &mut dyn Operator,
) -> Result<Prepared, CampaignError> {
    let (suppressed, mut left_out) = match journal::open_existing(journal) {
        Ok(opened) => {
            if let Some(messages) = compare(campaign, &opened)? {
                return Ok(Prepared::Already(messages));
            }
            (journal::store::decisions::suppressed(&opened)?, sent::left_out(campaign, &opened, journal)?)
        }
        Err(JournalError::Missing(_)) => Default::default(),
        Err(error) => return Err(error.into()),
    };
    let told = std::mem::take(&mut left_out.told);
    let standing = Standing::open(&campaign.path)?;
    let reader = reader(campaign, standing.file())?
        .with_suppressed(move |key| suppressed.contains(&key))
        .with_left_out(move |key| left_out.reason(key));
    let unused_columns = reader.unused_columns().map(str::to_owned).collect();
    let header = reader.header_row().to_owned();
    let file = campaign.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let from = Sender::canonical(&campaign.options.from);
    let mut intake = None;
    let (mut rows, mut shown) = (0, 0);
    let outcome = transfer(reader, from, |batch| {
        let intake = match &mut intake {
            Some(intake) => intake,
            none => none.insert(Intake::begin_for(journal, &campaign.name, &file, &campaign.options, account)?),
        };
        intake.store(batch.kept())?;
        rows += batch.len() as u64;
        if rows - shown >= ROWS_PER_PROGRESS {
            shown = rows;
            operator.progress(rows, batch.octets);
        }
        Ok(())
    });
    match (outcome, intake) {
        (Ok((digest, facts)), Some(mut intake)) => {
            let first_refused = intake.first_refused();
            if let (0, Some((line, reason))) = (intake.counts().messages, &first_refused) {
                // Its name would be taken, and the corrected file be refused under it.
                let (rows, reason) = (intake.counts().rejected, reason.clone());
                undo(Some(intake));
                return Err(CampaignError::NothingGood { path: campaign.path.clone(), rows, line: *line, reason });
            }
            intake.keep_header(&header)?;
            let digest = hex(&digest);
            let twins = intake.twins(&campaign.name, &campaign.options, &digest)?;
            // Nothing is locked meanwhile but other imports, so that the answers may take their time.
            let meant = operator.facts(&facts);
            if let Some(refused) = refusal(&campaign.path, meant, &facts) {
                undo(Some(intake));
                return Err(refused);
            }
            let again = if twins.is_empty() { Again::GoOn } else { operator.twins(&twins) };
            let refused = match (again, twins.into_iter().find(Twin::repeats)) {
                (Again::Refuse | Again::Declined | Again::National, Some(twin)) => {
                    let (path, asked) = (campaign.path.clone(), again == Again::Declined);
                    let resume = resume_command(&twin.name, journal);
                    Err(CampaignError::Same { path, twin: Box::new(twin), asked, resume })
                }
                _ => standing.check(&campaign.path),
            };
            if let Err(refused) = refused {
                undo(Some(intake));
                return Err(refused);
            }
            intake.seal(&digest)?;
            Ok(Prepared::New(Box::new(Pending {
                intake,
                first_refused,
                unused_columns,
                numbers: facts.numbers,
                left_out: told,
            })))
        }
        // A file without rows is an error of its own, so that there is none here.
        (Ok(_), None) => Err(CampaignError::Import(campaign.path.clone(), ImportError::HeaderOnly)),
        (Err(error), intake) => {
            undo(intake);
            Err(match error {
                TransferError::Read(error) => CampaignError::Import(campaign.path.clone(), error),
                TransferError::Journal(error) => error.into(),
            })
        }
    }
}

/// What is said where a file is not to be taken as it is.
fn refusal(path: &Path, meant: Again, facts: &Facts) -> Option<CampaignError> {
    let path = path.to_owned();
    match (meant, facts.numbers.by_chance()) {
        (Again::GoOn, _) => None,
        (Again::National, Some((_, words))) if !facts.numbers.will_ask => Some(CampaignError::ByChance { path, words }),
        (Again::National, _) => Some(CampaignError::National(path)),
        (Again::Refuse | Again::Declined, _) => {
            Some(CampaignError::Doubtful { path, facts: Box::new(facts.clone()), asked: meant == Again::Declined })
        }
    }
}

/// Refuses a file that would be refused for what is in it where nobody can be asked. `doubtful`: texts are taken as they are.
pub fn refuse_unasked(path: &Path, facts: &Facts, doubtful: bool) -> Result<(), CampaignError> {
    let meant = match () {
        () if facts.numbers.by_chance().is_some() => Again::National,
        () if facts.doubts.asked_about() > 0 && !doubtful => Again::Refuse,
        () => Again::GoOn,
    };
    refusal(path, meant, facts).map_or(Ok(()), Err)
}

/// How many messages the campaign of that name has, where the journal has one; one that differs is refused.
pub fn compare(campaign: &CampaignFile, opened: &Journal) -> Result<Option<i64>, CampaignError> {
    let Some(recorded) = existing(opened, &campaign.name)? else { return Ok(None) };
    let resume = resume_command(&campaign.name, opened.path());
    let gone = |error| {
        let (name, path, resume) = (campaign.name.clone(), campaign.path.clone(), resume.clone());
        CampaignError::Gone { name, path, error, resume }
    };
    let standing = Standing::open(&campaign.path).map_err(|error| match error {
        CampaignError::Open(_, error) => gone(error),
        other => other,
    })?;
    let digest = hex(&digest_of(standing.file()).map_err(gone)?);
    standing.check(&campaign.path)?;
    let mut differences = recorded.options.differences(&campaign.options.beside(&recorded.options));
    if recorded.digest != digest {
        differences.insert(0, ("contents of the file".into(), short(&recorded.digest), short(&digest)));
    }
    // With what was added since in so many words, it is the same.
    let is_added = || {
        added_fields::explain(opened, &campaign.name, &recorded.options, &campaign.options.beside(&recorded.options))
    };
    if differences.is_empty() || recorded.digest == digest && is_added()? {
        return Ok(Some(recorded.messages));
    }
    let summary = journal::query::campaign(opened, &campaign.name)?;
    let free = free_name(opened, &campaign.name)?;
    let (name, counts, commands) = (campaign.name.clone(), summary.counts, None);
    Err(CampaignError::Differs(Box::new(Differs { name, differences, counts, free, commands })))
}

/// How a campaign's name stands in a journal.
fn taken(campaign: &CampaignFile, opened: &Journal) -> Result<Taken, CampaignError> {
    // That the file is not there is said when it is read.
    if !campaign.path.exists() {
        return Ok(Taken::No);
    }
    match compare(campaign, opened) {
        Ok(None) => Ok(Taken::No),
        Ok(Some(messages)) => Ok(Taken::Same(messages)),
        Err(error @ CampaignError::Differs(_)) => {
            let words = error.to_string();
            let CampaignError::Differs(differs) = error else { return Ok(Taken::No) };
            Ok(Taken::Differs { differences: differs.differences, words })
        }
        Err(error) => Err(error),
    }
}

/// What goes on with a campaign of that journal, to be pasted.
pub fn resume_command(name: &str, journal: &Path) -> String {
    command("smppost resume", name, &journal_option(journal))
}

/// A name like this one that no campaign has.
pub fn free_name(opened: &Journal, name: &str) -> Result<String, JournalError> {
    for n in 2..NAMES_TRIED {
        let free = format!("{name}-{n}");
        if existing(opened, &free)?.is_none() {
            return Ok(free);
        }
    }
    Ok(format!("{name}-{}", journal::now_ms()))
}

fn reader<'a>(campaign: &CampaignFile, file: &'a File) -> Result<RowReader<&'a File>, CampaignError> {
    campaign.refuse_passed(journal::now_ms())?;
    RowReader::open(file, campaign.settings()?).map_err(|error| CampaignError::Import(campaign.path.clone(), error))
}

/// Enough of a digest to tell two files apart by eye.
fn short(digest: &str) -> String {
    format!("sha256 {}…", digest.get(..12).unwrap_or(digest))
}
