//! Campaigns from files: `import` and `check`. Reads the file once, row by row, and hands the rows to the journal, or to a
//! tally alone.

mod batch;
mod sent;
mod standing;
mod transfer;

use crate::import::{
    Event, FileEncoding, ImportError, RowReader, SAR_BESIDE_UDH, SentBy, Settings, Tally, TextSource, digest_of,
};
use crate::journal;
use crate::journal::JournalError;
use crate::journal::model::campaign::{CampaignOptions, Via};
use crate::journal::model::key::State;
use crate::journal::query::Counts;
use crate::journal::store::added_fields;
use crate::journal::store::intake;
use crate::journal::store::intake::{Intake, existing};
use crate::journal::store::twins;
use crate::journal::store::twins::{Contents, Sum, Twin};
use crate::message::address::Sender;
use crate::message::fields::SubmitFields;
use crate::message::text::{Choice, Concat, Policy};
use crate::wire::values::esm_class;
use crate::words::escape::{escape_terminal, hex};
use crate::words::format::{argument, command, count, journal_option, moment, number};
use crate::words::trouble::{shown, words as cannot_open};
use rusqlite::Connection;
use standing::Standing;
pub use standing::no_file;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
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
        if options.concat == Concat::Sar && fields.esm_class.is_some_and(esm_class::has_udh) {
            return Err(wrong(SAR_BESIDE_UDH.into()));
        }
        let policy = Policy { choice, concat: options.concat, alphabet: options.default_alphabet };
        Ok(Settings {
            delimiter: self.reading.delimiter,
            file_encoding: self.reading.encoding,
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
            data_sm,
            now_ms: journal::now_ms(),
        })
    }
}

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The delimiter; `None`: as the header shows.
    pub delimiter: Option<u8>,
    /// The characters.
    pub encoding: FileEncoding,
    /// Refuse the file at its first bad row.
    pub strict: bool,
    /// The time of the options' `skip_sent_within`.
    pub skip_sent_within: Option<Duration>,
}

/// What can go wrong with a campaign's file.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The file cannot be opened.
    #[error("{}: {}", shown(.0), cannot_open(.1))]
    Open(PathBuf, io::Error),
    /// The file cannot be read as a campaign.
    #[error("{a0}: {1}", a0 = shown(.0))]
    Import(PathBuf, ImportError),
    /// The journal.
    #[error("{0}")]
    Journal(JournalError),
    /// A campaign of that name exists and differs.
    #[error("{0}")]
    Differs(Box<Differs>),
    /// It was imported, and its file is wanted again and is not there.
    #[error("{}: {}. Campaign {name:?} was imported and needs its file no more: `{resume}` goes on with it", shown(.path), cannot_open(.error))]
    Gone {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why it cannot be opened.
        error: io::Error,
        /// What goes on with it, as it is typed.
        resume: String,
    },
    /// All rows of the file are bad.
    #[error("{}: no row can be sent, so nothing was imported: {} refused, the first for this: line {line}: {}", shown(.path), count(*.rows, "row"), escape_terminal(.reason))]
    NothingGood {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: i64,
        /// The line of the first.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It is changed while it is read, or was a moment before.
    #[error("{}: the file is being written: it was changed less than 2 s ago, or while it was read. Nothing was \
                 imported. Run the same command again when it is whole", shown(.0))]
    Moving(PathBuf),
    /// Another campaign has brought, or will bring, the same message to everybody.
    #[error(fmt = fmt_same)]
    Same {
        /// The file.
        path: PathBuf,
        /// That campaign.
        twin: Box<Twin>,
        /// Somebody was asked and said no.
        asked: bool,
        /// What goes on with that campaign, as it is typed.
        resume: String,
    },
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
}

/// A campaign that is in the journal, and differs from one of its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Differs {
    /// Its name.
    pub name: String,
    /// In what: option, recorded and wanted value.
    pub differences: Vec<(String, String, String)>,
    /// How the messages of the recorded one stand.
    pub counts: Counts,
    /// A name like it that is free.
    pub free: String,
    /// What cancels the recorded one, and what sends this under that name, as they are typed.
    pub commands: Option<(String, String)>,
}

/// What is to be done where another campaign is the same again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// Import all the same.
    GoOn,
    /// Do not, and say how it can be had.
    Refuse,
    /// Do not: somebody was asked, and said no.
    Declined,
}

/// A twin, in words: its name, when it was imported, and how many of it were sent.
pub fn twin_words(twin: &Twin) -> String {
    format!(
        "campaign {} (imported {}, {} of {} sent{})",
        argument(&twin.name),
        moment(crate::journal::query::Stamp(twin.imported_at)),
        number(twin.sent),
        count(twin.messages, "message"),
        if twin.queued > 0 { format!(", {} queued", number(twin.queued)) } else { String::new() }
    )
}

fn fmt_same(path: &Path, twin: &Twin, asked: &bool, resume: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{}: these are the messages of {}: everybody would get the same message a second time. Nothing was \
                     imported",
        shown(path),
        twin_words(twin)
    )?;
    match asked {
        true => Ok(()),
        false => {
            write!(f, ". To go on with that one: `{resume}`. To send all of it again: --allow-same-file")
        }
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, differences, counts, free, commands } = self;
        write!(f, "campaign {name:?} is in the journal already, and differs:")?;
        for (option, recorded, wanted) in differences {
            let (recorded, wanted) = (escape_terminal(recorded), escape_terminal(wanted));
            write!(f, "\n  {option}: was {recorded}, is now {wanted}")?;
        }
        write!(f, "\nNothing was changed. Of the recorded one: {}.", standing(counts))?;
        // About the same journal as the command that cancels.
        let resume = match commands {
            Some((cancel, _)) => cancel.replacen("cancel", "resume", 1),
            None => command("smppost resume", name, ""),
        };
        let (cancel, again) = match commands {
            Some((cancel, again)) => (cancel.clone(), format!("\n  {again}")),
            None => (command("smppost cancel", name, ""), format!(" --campaign {}", argument(free))),
        };
        if counts.of(State::Queued) + counts.of(State::Sending) > 0 {
            write!(
                f,
                "\nIf this is to go instead of what is left of it, cancel that first (what was sent stays sent):\n  \
                 {cancel}\nthen send this under another name:{again}\nTo go on with the recorded one: `{resume}`"
            )
        } else {
            write!(f, "\nTo send this as another campaign, also to whoever got the recorded one:{again}")
        }
    }
}

/// How the messages of a campaign stand, in words.
fn standing(counts: &Counts) -> String {
    let taken = [State::Accepted, State::Delivered, State::PartlyDelivered, State::Failed];
    let sent: i64 = taken.iter().map(|&state| counts.of(state)).sum();
    let left = counts.of(State::Queued) + counts.of(State::Sending);
    let mut words = vec![format!("{} sent", count(sent, "message")), format!("{} queued", number(left))];
    for (state, word) in [
        (State::InDoubt, "in doubt"),
        (State::Rejected, "rejected"),
        (State::Cancelled, "cancelled"),
        (State::Suppressed, "suppressed"),
    ] {
        if counts.of(state) > 0 {
            words.push(format!("{} {word}", number(counts.of(state))));
        }
    }
    words.join(", ")
}

impl From<JournalError> for CampaignError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The campaign is new.
    New {
        /// What went in.
        counts: intake::Counts,
        /// The line of the first row refused, and why.
        first_refused: Option<(u64, String)>,
        /// Columns of the file that nothing is taken from.
        unused_columns: Vec<String>,
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

/// Imports the campaign, unless it is there already. All of the file goes in or nothing of it; a file that is refused by its
/// header or its first rows leaves no journal behind where there was none. `progress` is told the rows and octets read so
/// far, now and then.
pub fn import(
    campaign: &CampaignFile,
    journal: &Path,
    progress: &mut dyn FnMut(u64, u64),
    about_twins: &mut dyn FnMut(&[Twin]) -> Again,
) -> Result<Imported, CampaignError> {
    match prepare(campaign, journal, None, progress, about_twins)? {
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
    /// Campaigns that sent to the numbers whose rows were left out for that.
    left_out: Vec<SentBy>,
}

impl Pending {
    /// Shows it to all: from now on it is imported.
    pub fn release(self) -> Result<Imported, CampaignError> {
        let Self { intake, first_refused, unused_columns, left_out } = self;
        let sent_lately = intake.sent_lately();
        Ok(Imported::New { counts: intake.release()?, first_refused, unused_columns, sent_lately, left_out })
    }

    /// Takes it back, and with it the journal if that was made for it.
    pub fn abandon(self) {
        undo(Some(self.intake));
    }
}

/// Takes an import back. The next start would undo it as well; an operator who looks now should find nothing of it.
fn undo(intake: Option<Intake>) {
    if let Err(error) = intake.map_or(Ok(()), Intake::abandon) {
        log::warn!("what was imported is hidden, and undone at the next start: {error}");
    }
}

/// As [`import`], but leaves a new campaign hidden. `account`: for whom it is, where that is known.
pub fn prepare(
    campaign: &CampaignFile,
    journal: &Path,
    account: Option<&str>,
    progress: &mut dyn FnMut(u64, u64),
    about_twins: &mut dyn FnMut(&[Twin]) -> Again,
) -> Result<Prepared, CampaignError> {
    let (suppressed, mut left_out) = match journal::open_existing(journal) {
        Ok(connection) => {
            if let Some(messages) = compare(campaign, &connection)? {
                return Ok(Prepared::Already(messages));
            }
            (journal::store::decisions::suppressed(&connection)?, sent::left_out(campaign, &connection, journal)?)
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
            progress(rows, batch.octets);
        }
        Ok(())
    });
    match (outcome, intake) {
        (Ok(digest), Some(mut intake)) => {
            let first_refused = intake.first_refused();
            if let (0, Some((line, reason))) = (intake.counts().messages, &first_refused) {
                // Its name would be taken, and the mended file be refused under it.
                let (rows, reason) = (intake.counts().rejected, reason.clone());
                undo(Some(intake));
                return Err(CampaignError::NothingGood { path: campaign.path.clone(), rows, line: *line, reason });
            }
            intake.keep_header(&header)?;
            let digest = hex(&digest);
            let twins = intake.twins(&campaign.name, &campaign.options, &digest)?;
            // Nothing is locked meanwhile but other imports, so that the answer may take its time.
            let again = if twins.is_empty() { Again::GoOn } else { about_twins(&twins) };
            let refused = match (again, twins.into_iter().find(Twin::repeats)) {
                (Again::Refuse | Again::Declined, Some(twin)) => {
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
            Ok(Prepared::New(Box::new(Pending { intake, first_refused, unused_columns, left_out: told })))
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

/// How many messages the campaign of that name has, where the journal has one; one that differs is refused.
pub fn compare(campaign: &CampaignFile, connection: &Connection) -> Result<Option<i64>, CampaignError> {
    let Some(recorded) = existing(connection, &campaign.name)? else { return Ok(None) };
    let resume = resume_command(&campaign.name, Path::new(connection.path().unwrap_or_default()));
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
    let mut differences = recorded.options.differences(&campaign.options);
    if recorded.digest != digest {
        differences.insert(0, ("contents of the file".into(), short(&recorded.digest), short(&digest)));
    }
    // With what was added since in so many words, it is the same.
    let is_added = || added_fields::explain(connection, &campaign.name, &recorded.options, &campaign.options);
    if differences.is_empty() || recorded.digest == digest && is_added()? {
        return Ok(Some(recorded.messages));
    }
    let summary = journal::query::campaign(connection, &campaign.name)?;
    let free = free_name(connection, &campaign.name)?;
    let (name, counts, commands) = (campaign.name.clone(), summary.counts, None);
    Err(CampaignError::Differs(Box::new(Differs { name, differences, counts, free, commands })))
}

/// What goes on with a campaign of that journal, to be pasted.
pub fn resume_command(name: &str, journal: &Path) -> String {
    command("smppost resume", name, &journal_option(journal))
}

/// A name like this one that no campaign has.
fn free_name(connection: &Connection, name: &str) -> Result<String, JournalError> {
    for n in 2..NAMES_TRIED {
        let free = format!("{name}-{n}");
        if existing(connection, &free)?.is_none() {
            return Ok(free);
        }
    }
    Ok(format!("{name}-{}", journal::now_ms()))
}

/// How a campaign's name stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is free.
    No,
    /// This very campaign is there, with so many messages.
    Same(i64),
    /// Another one is there, and this one would be refused.
    Differs {
        /// In what: option, recorded and wanted value.
        differences: Vec<(String, String, String)>,
        /// All of what the refusal says.
        words: String,
    },
}

/// What [`check`] found.
#[derive(Debug)]
pub struct Checked {
    /// What the file comes to.
    pub tally: Tally,
    /// How its name stands in the journal.
    pub taken: Taken,
    /// Campaigns of other names that are the same again.
    pub twins: Vec<Twin>,
}

/// Reads the whole file and says what it would come to. Writes nothing; a journal, where there is one, is asked for its
/// suppression list, for what other campaigns sent to the numbers lately, and for campaigns of that name or with these
/// messages.
pub fn check(campaign: &CampaignFile, journal: &Path) -> Result<Checked, CampaignError> {
    let connection = match journal::open_untouched(journal) {
        Ok(connection) => Some(connection),
        Err(JournalError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (mut suppressed, mut left_out, mut counting) = Default::default();
    let mut is_taken = Taken::No;
    if let Some(connection) = &connection {
        suppressed = journal::store::decisions::suppressed(connection)?;
        is_taken = taken(campaign, connection)?;
        left_out = sent::left_out(campaign, connection, journal)?;
        counting = sent::counting(campaign, connection)?.map(|count| (count, connection));
    }
    let standing = Standing::open(&campaign.path)?;
    let from = Sender::canonical(&campaign.options.from);
    let (mut sum, mut messages, mut parts) = (Sum::default(), 0, 0);
    let mut reader = reader(campaign, standing.file())?
        .with_suppressed(move |key| suppressed.contains(&key))
        .with_left_out(move |key| left_out.reason(key));
    let mut tally = Tally::new();
    tally.unused_columns = reader.unused_columns().map(str::to_owned).collect();
    while let Some(event) = reader.next().map_err(|error| CampaignError::Import(campaign.path.clone(), error))? {
        tally.note(&event);
        let Event::Row(row) = &event else { continue };
        (messages, parts) = (messages + 1, parts + i64::from(row.segmentation.parts));
        let (source, fields) = (row.source.unwrap_or(from), row.fields.unwrap_or_default());
        sum.add(row.destination.digits(), source, row.text, fields);
        if let Some((count, connection)) = counting.as_mut().filter(|_| !row.suppressed) {
            count.add(row.destination.same_key());
            if count.is_full() {
                count.ask(connection, |_, _| ())?;
            }
        }
    }
    if let Some((mut count, connection)) = counting {
        count.ask(connection, |_, _| ())?;
        tally.sent_lately = count.told();
    }
    tally.field_columns = reader.field_columns().to_vec();
    standing.check(&campaign.path)?;
    let digest = reader.digest().map(|digest| hex(&digest)).unwrap_or_default();
    let contents = Contents { digest: &digest, messages, parts };
    let twins = match &connection {
        Some(connection) => twins::find(connection, &campaign.name, &campaign.options, contents, &mut || Ok(sum))?,
        None => Vec::new(),
    };
    Ok(Checked { tally, taken: is_taken, twins })
}

fn taken(campaign: &CampaignFile, connection: &Connection) -> Result<Taken, CampaignError> {
    // That the file is not there is said when it is read.
    if !campaign.path.exists() {
        return Ok(Taken::No);
    }
    match compare(campaign, connection) {
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

fn reader<'a>(campaign: &CampaignFile, file: &'a File) -> Result<RowReader<&'a File>, CampaignError> {
    campaign.refuse_passed(journal::now_ms())?;
    RowReader::open(file, campaign.settings()?).map_err(|error| CampaignError::Import(campaign.path.clone(), error))
}

/// Enough of a digest to tell two files apart by eye.
fn short(digest: &str) -> String {
    format!("sha256 {}…", digest.get(..12).unwrap_or(digest))
}
