//! The arguments of the commands that show something, and what each shows. `--journal` is the caller's.

use crate::journal::model::key::State;
use crate::journal::query::{
    self, AttemptRow, CampaignReport, CampaignSummary, InboundRow, MessageRow, OperationCount, OperationRow,
    ReceiptRow, SkippedRow, Strays,
};
use crate::journal::store::names::ProfileNames;
use crate::journal::{Journal, now_ms, open_read_only};
use crate::report::page;
use crate::report::page::Surroundings;
use crate::report::rows::{Format, Record, Rows, write_json};
use crate::report::{Exit, ReportError, explain, explain_error, is_sender_running, quiet, verify};
use crate::wire::CommandStatus;
use crate::words::clock::Clock;
use crate::words::escape::escape_terminal;
use crate::words::format;
use crate::words::{BadValue, bad};
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Octets gathered before they are written.
const BUFFER: usize = 1 << 16;

/// Arguments of `smppost list`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListArgs {
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// CSV cells as they are, even if a spreadsheet would run them as formulas
    #[arg(long)]
    pub raw: bool,
}

/// Arguments of `smppost report`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// The campaign; none: all of them
    pub campaign: Option<String>,
    /// How to show it. CSV of a campaign is one row per message; file: rows of the campaign's file as they came, below its
    /// header (with --rejected-rows or --duplicates; in UTF-8); html: a campaign's page for a browser, one file that needs
    /// nothing else (> FILE.html; with --prices it tells what it cost)
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Whose times a page for people shows, as in Europe/London or +02:00 [default: as this system is set: TZ, else
    /// /etc/localtime; UTC where it goes to no terminal, but for html]. Lists, CSV and JSON are in UTC
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true, value_parser = crate::cli::hours::zone_name)]
    pub time_zone: Option<String>,
    /// One row per message
    #[arg(long, group = "what")]
    pub messages: bool,
    /// Only messages in this state (may be repeated): queued, sending, accepted, delivered, partly_delivered, failed,
    /// rejected, in_doubt, cancelled, suppressed
    #[arg(long, value_name = "STATE", value_parser = parse_state, conflicts_with_all = ["attempts", "receipts", "unmatched", "rejected_rows", "duplicates", "inbound", "operations"])]
    pub state: Vec<State>,
    /// One row per attempt: each part each time it was sent
    #[arg(long, group = "what")]
    pub attempts: bool,
    /// One row per receipt
    #[arg(long, group = "what")]
    pub receipts: bool,
    /// The receipts that belong to no message, of all campaigns
    #[arg(long, group = "what")]
    pub unmatched: bool,
    /// The rows of the file that were refused, with reasons
    #[arg(long, group = "what")]
    pub rejected_rows: bool,
    /// The rows left out because their number came before
    #[arg(long, group = "what")]
    pub duplicates: bool,
    /// What was asked of the SMSC about messages that it has (query_sm, cancel_sm, replace_sm), and what came of it
    #[arg(long, group = "what")]
    pub operations: bool,
    /// Messages that came from handsets
    #[arg(long, group = "what", conflicts_with = "campaign")]
    pub inbound: bool,
    /// What the campaign has cost, and what is left of it, by country: a CSV of prefix, price for each part, currency
    #[arg(long, value_name = "FILE", group = "what", requires = "campaign")]
    pub prices: Option<std::path::PathBuf>,
    /// CSV cells as they are, even if a spreadsheet would run them as formulas
    #[arg(long)]
    pub raw: bool,
}

/// How a report is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Table,
    /// For programs: the names of the public views.
    Json,
    /// For spreadsheets: the columns of the public views.
    Csv,
    /// To be corrected and sent: the campaign's own file, with the rows in question only.
    File,
    /// For a browser: the campaign's page.
    Html,
}

impl ReportFormat {
    /// How lists are shown then.
    fn of_lists(self) -> Format {
        match self {
            Self::Table | Self::File | Self::Html => Format::Table,
            Self::Json => Format::Json,
            Self::Csv => Format::Csv,
        }
    }
}

/// Arguments of `smppost explain`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ExplainArgs {
    /// Status codes: 0x58, 88 or ESME_RTHROTTLED; errors of receipts: err:027
    #[arg(value_name = "CODE", required_unless_present = "all")]
    pub codes: Vec<String>,
    /// All that are known
    #[arg(long, conflicts_with = "codes")]
    pub all: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: WordsOrJson,
}

/// Arguments of `smppost verify`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct VerifyArgs {
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: WordsOrJson,
}

/// How something is shown that is no list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum WordsOrJson {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// A campaign's report as JSON, with what is known only of the whole journal.
#[derive(Serialize)]
struct WholeReport<'a> {
    #[serde(flatten)]
    report: &'a CampaignReport,
    operations: &'a [OperationCount],
    unmatched_receipts: i64,
    ambiguous_receipts: i64,
    sender_running: Option<bool>,
}

/// A campaign of the list as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    summary: &'a CampaignSummary,
    sent_in_part: i64,
}

impl Record for Listed<'_> {
    const COLUMNS: &'static [&'static str] = CampaignSummary::COLUMNS;
    const TABLE: &'static [usize] = CampaignSummary::TABLE;

    fn cell(&self, column: usize, to: &mut String) {
        self.summary.cell(column, to);
    }
}

impl ListArgs {
    /// Shows the campaigns.
    pub fn run(&self, journal: &Path, out: &mut dyn Write) -> Result<Exit, ReportError> {
        buffered(out, |out| {
            let opened = open_read_only(journal)?;
            let campaigns = query::campaigns(&opened)?;
            match self.format {
                Format::Table => {
                    let around = Surroundings::of(journal, &campaigns, Strays::default(), Clock::default());
                    page::write_list(out, &campaigns, &around)?;
                    for campaign in &campaigns {
                        let in_part = query::sent_in_part(&opened, campaign)?;
                        if in_part > 0 {
                            let words = page::in_part(&campaign.campaign, in_part, &around.journal_option);
                            format::wrapped(out, around.width, "\n", 0, &words)?;
                        }
                    }
                }
                Format::Json => {
                    let mut rows = Rows::begin::<Listed<'_>>(out, Format::Json, self.raw, 0)?;
                    for summary in &campaigns {
                        rows.add(&Listed { summary, sent_in_part: query::sent_in_part(&opened, summary)? })?;
                    }
                    rows.end::<Listed<'_>>("")?;
                }
                Format::Csv => summaries(out, &campaigns, self.raw)?,
            }
            Ok(Exit::Done)
        })
    }
}

impl ReportArgs {
    /// Shows what was asked for.
    pub fn run(&self, journal: &Path, out: &mut dyn Write) -> Result<Exit, ReportError> {
        buffered(out, |out| {
            if let (true, Some(name)) = (self.unmatched, &self.campaign) {
                return Err(ReportError::Usage(format!(
                    "receipts that belong to no message belong to no campaign either: `smppost report --unmatched`, without \
                     {name:?}, lists them"
                )));
            }
            if self.format == ReportFormat::File
                && (self.campaign.is_none() || !(self.rejected_rows || self.duplicates))
            {
                return Err(ReportError::Usage(
                    "--format file is for the rows of one campaign's file: `smppost report CAMPAIGN --rejected-rows --format \
                     file`, or --duplicates"
                        .into(),
                ));
            }
            if self.format == ReportFormat::Html {
                return page_file::write(self, journal, out).map(|()| Exit::Done);
            }
            let opened = open_read_only(journal)?;
            let campaigns = match &self.campaign {
                Some(name) => vec![query::campaign(&opened, name)?],
                None => query::campaigns(&opened)?,
            };
            self.show(journal, &opened, &campaigns, out)?;
            Ok(Exit::Done)
        })
    }

    fn show(
        &self,
        journal: &Path,
        opened: &Journal,
        campaigns: &[CampaignSummary],
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        if let (Some(path), Some(of)) = (&self.prices, campaigns.first()) {
            let prices = super::budget::read_prices(path).map_err(|error| ReportError::Usage(error.to_string()))?;
            let costs = super::budget::Costs::of(journal, &of.campaign, &prices)?;
            if self.format == ReportFormat::Json {
                serde_json::to_writer_pretty(&mut *out, &costs.json()).map_err(std::io::Error::from)?;
                writeln!(out)?;
                return Ok(());
            }
            for line in costs.lines() {
                writeln!(out, "{line}")?;
            }
            return Ok(());
        }
        let messages =
            self.messages || !self.state.is_empty() || self.format == ReportFormat::Csv && self.campaign.is_some();
        if self.attempts {
            self.list::<AttemptRow>(out, "no attempts", |rows| {
                campaigns.iter().try_for_each(|of| query::attempts(opened, &of.campaign, |row| rows.add(row)))
            })
        } else if self.receipts {
            self.list::<ReceiptRow>(out, "no receipts", |rows| {
                campaigns.iter().try_for_each(|of| query::receipts(opened, &of.campaign, |row| rows.add(row)))?;
                if self.campaign.is_none() { query::unmatched(opened, |row| rows.add(row)) } else { Ok(()) }
            })
        } else if self.unmatched {
            self.list::<ReceiptRow>(out, "every receipt belongs to a message", |rows| {
                query::unmatched(opened, |row| rows.add(row))
            })?;
            let Strays { unmatched, ambiguous } = query::strays(opened)?;
            if self.format == ReportFormat::Table && unmatched + ambiguous > 0 {
                let words = format!(
                    "To say whose one is, by its number: `smppost resolve CAMPAIGN --receipt=-N --line L{}`",
                    format::journal_option(journal)
                );
                format::wrapped(out, format::width(), "\n", 0, &words)?;
            }
            Ok(())
        } else if self.format == ReportFormat::File {
            campaigns.iter().try_for_each(|campaign| self.as_file(opened, campaign, out))
        } else if self.operations {
            self.list::<OperationRow>(out, "nothing was asked of the SMSC about its messages", |rows| {
                query::operations(opened, self.campaign.as_deref(), |row| rows.add(row))
            })
        } else if self.rejected_rows || self.duplicates {
            let nothing = if self.duplicates { "no row was left out" } else { "no row was refused" };
            self.list::<SkippedRow>(out, nothing, |rows| {
                campaigns
                    .iter()
                    .try_for_each(|of| query::skipped_rows(opened, &of.campaign, self.duplicates, |row| rows.add(row)))
            })
        } else if self.inbound {
            self.list::<InboundRow>(out, "nothing came from handsets", |rows| {
                query::inbound(opened, |row| rows.add(row))
            })
        } else if messages {
            self.list::<MessageRow>(out, "no such messages", |rows| {
                campaigns
                    .iter()
                    .try_for_each(|of| query::messages(opened, &of.campaign, &self.state, |row| rows.add(row)))
            })
        } else if self.format == ReportFormat::Csv {
            summaries(out, campaigns, self.raw)
        } else {
            self.pages(journal, opened, campaigns, out)
        }
    }

    /// The rows as they came, below their header: a campaign's file.
    fn as_file(&self, opened: &Journal, campaign: &CampaignSummary, out: &mut dyn Write) -> Result<(), ReportError> {
        let Some(header) = query::header(opened, campaign)? else {
            return Err(ReportError::Usage(format!(
                "{:?} was imported by an older smppost, which did not keep the header of its file: take that from {}, and the \
                 rows from --rejected-rows --format csv --raw",
                campaign.campaign,
                escape_terminal(&campaign.file)
            )));
        };
        writeln!(out, "{header}")?;
        query::skipped_rows(opened, &campaign.campaign, self.duplicates, |row| {
            writeln!(out, "{}", row.row).map_err(ReportError::from)
        })
    }

    fn list<R: Record>(
        &self,
        out: &mut dyn Write,
        nothing: &str,
        fill: impl FnOnce(&mut Rows<'_>) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let mut rows = Rows::begin::<R>(out, self.format.of_lists(), self.raw, format::width())?;
        fill(&mut rows)?;
        rows.end::<R>(nothing)
    }

    fn pages(
        &self,
        journal: &Path,
        opened: &Journal,
        campaigns: &[CampaignSummary],
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let around =
            Surroundings::of(journal, campaigns, query::strays(opened)?, self.clock(io::stdout().is_terminal())?);
        let json = self.format == ReportFormat::Json;
        let array = json && self.campaign.is_none();
        if campaigns.is_empty() && !json {
            return page::write_list(out, campaigns, &around);
        }
        if array {
            out.write_all(b"[")?;
        }
        for (n, campaign) in campaigns.iter().enumerate() {
            let report = query::campaign_report(opened, &campaign.campaign)?;
            let operations = query::operation_counts(opened, campaign)?;
            if json {
                if array {
                    out.write_all(if n > 0 { b",\n" } else { b"\n" })?;
                }
                let whole = WholeReport {
                    report: &report,
                    operations: &operations,
                    unmatched_receipts: around.strays.unmatched,
                    ambiguous_receipts: around.strays.ambiguous,
                    sender_running: around.sender_running,
                };
                write_json(out, &whole)?;
            } else {
                if n > 0 {
                    writeln!(out)?;
                }
                page::write(out, &report, &around)?;
                page::operations(out, &campaign.campaign, &operations, &around)?;
            }
        }
        if array {
            out.write_all(if campaigns.is_empty() { b"]" } else { b"\n]" })?;
        }
        if json {
            writeln!(out)?;
        }
        Ok(())
    }
}

impl ExplainArgs {
    /// Whether it asks about errors of receipts, which a profile may have words for.
    pub fn asks_errors(&self) -> bool {
        self.codes.iter().any(|code| explain_error::asked(code).is_some())
    }

    /// Explains; needs no journal. `names`: what the profile says.
    pub fn run(&self, names: &ProfileNames, out: &mut dyn Write) -> Result<Exit, ReportError> {
        if self.asks_errors() {
            return buffered(out, |out| self.run_mixed(names, out));
        }
        let statuses: Vec<CommandStatus> = match self.all {
            true => CommandStatus::all().collect(),
            false => self.codes.iter().map(|code| explain::parse(code)).collect::<Result<_, _>>()?,
        };
        buffered(out, |out| match self.format {
            WordsOrJson::Json => explain::write_objects(out, &statuses),
            WordsOrJson::Table if self.all => explain::write_all(out, format::width()),
            WordsOrJson::Table => explain::write_words(out, format::width(), &statuses),
        })
    }

    /// Explains errors of receipts, and statuses among them.
    fn run_mixed(&self, names: &ProfileNames, out: &mut dyn Write) -> Result<Exit, ReportError> {
        let mut values = Vec::new();
        for (n, code) in self.codes.iter().enumerate() {
            let error = explain_error::asked(code).map(|error| explain_error::explain(error, names));
            match (self.format, error) {
                (WordsOrJson::Json, Some(error)) => values.push(serde_json::to_value(error)?),
                (WordsOrJson::Json, None) => {
                    values.push(serde_json::to_value(explain::explain(explain::parse(code)?))?)
                }
                (WordsOrJson::Table, error) => {
                    if n > 0 {
                        writeln!(out)?;
                    }
                    match error {
                        Some(error) => explain_error::write_words(out, format::width(), &error)?,
                        None => {
                            explain::write_words(out, format::width(), &[explain::parse(code)?])?;
                        }
                    }
                }
            }
        }
        match (self.format, values.as_slice()) {
            (WordsOrJson::Table, _) => return Ok(Exit::Done),
            (WordsOrJson::Json, [value]) => write_json(out, value)?,
            (WordsOrJson::Json, values) => write_json(out, &values)?,
        }
        writeln!(out)?;
        Ok(Exit::Done)
    }
}

impl VerifyArgs {
    /// Checks the journal and says what was checked.
    pub fn run(&self, journal: &Path, out: &mut dyn Write) -> Result<Exit, ReportError> {
        buffered(out, |out| {
            let opened = open_read_only(journal)?;
            let report = crate::journal::verify::verify(&opened).map_err(|error| error.at(journal))?;
            match self.format {
                WordsOrJson::Table => verify::write_words(out, format::width(), journal, &report)?,
                WordsOrJson::Json => {
                    write_json(out, &report)?;
                    writeln!(out)?;
                }
            }
            Ok(if report.is_sound() { Exit::Done } else { Exit::Failed })
        })
    }
}

impl Surroundings {
    fn of(journal: &Path, campaigns: &[CampaignSummary], strays: Strays, clock: Clock) -> Self {
        // Asked only where it matters: the question takes the lock for an instant.
        let sending = campaigns.iter().any(|campaign| campaign.counts.of(State::Sending) > 0);
        Self {
            sender_running: if sending { is_sender_running(journal) } else { None },
            strays,
            now_ms: now_ms(),
            clock,
            width: format::width(),
            journal_option: format::journal_option(journal),
            unfolded: crate::journal::files::wal::unfolded(journal),
        }
    }
}

fn summaries(out: &mut dyn Write, campaigns: &[CampaignSummary], raw: bool) -> Result<(), ReportError> {
    let mut rows = Rows::begin::<CampaignSummary>(out, Format::Csv, raw, 0)?;
    for campaign in campaigns {
        rows.add(campaign)?;
    }
    rows.end::<CampaignSummary>("")
}

/// Runs a command on a buffer, and takes a reader that went away for an end.
pub(crate) fn buffered(
    out: &mut dyn Write,
    show: impl FnOnce(&mut dyn Write) -> Result<Exit, ReportError>,
) -> Result<Exit, ReportError> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let shown = show(&mut out);
    let result = match shown {
        Ok(exit) => out.flush().map(|()| exit).map_err(ReportError::Output),
        // What was shown before something went wrong is worth having.
        Err(error) => out.flush().map_err(ReportError::Output).and(Err(error)),
    };
    quiet(result)
}

fn parse_state(text: &str) -> Result<State, BadValue> {
    let wanted = text.to_ascii_lowercase().replace('-', "_");
    State::ALL.into_iter().find(|state| state.name() == wanted).ok_or_else(|| {
        let names: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
        bad!("no such state; there are {}", names.join(", "))
    })
}

mod page_file;
#[cfg(test)]
mod tests;
