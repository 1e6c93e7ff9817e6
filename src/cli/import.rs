//! `import` and `check`: a file as a campaign, and what would become of it.

use super::campaign::{AlphabetArgs, CampaignArgs};
use super::connection::duration;
use super::hours::{self, HoursArgs};
use super::priority::ShareArgs;
use super::restraint::refuse_unreceipted;
use super::send::{SendArgs, refuse_without_tlvs};
use super::{CliError, ask, exit, prepare};
use crate::import::Facts;
use crate::import::campaign;
use crate::import::campaign::{Again, Appended, CampaignError, CampaignFile, Checked, Imported, Prepared, twin_words};
use crate::journal::JournalError;
use crate::journal::files::lock::ImportLock;
use crate::journal::store::campaign_hours::{self, OwnHours};
use crate::journal::store::twins::Twin;
use crate::policy::pacer::Rate;
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, count, journal_option, number, path_argument};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Campaigns that are named when they are the same again: the newest.
const TWINS_SHOWN: usize = 5;

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    campaign: CampaignArgs,
    #[command(flatten)]
    alphabet: AlphabetArgs,
    #[command(flatten)]
    pub hours: HoursArgs,
    /// Hold the campaign and list it, instead of sending it late, where nothing of it went until so long after --start-at
    #[arg(long, value_name = "TIME", requires = "start_at", value_parser = duration)]
    late_limit: Option<Duration>,
    /// Add the rows to this campaign, which was imported and has not ended, as its options have it: rows that were refused and
    /// are corrected now
    #[arg(long, value_name = "CAMPAIGN", conflicts_with_all = ["name", "allow_same_file", "skip_sent_within"])]
    append: Option<String>,
    #[command(flatten)]
    pub share: ShareArgs,
}

impl ImportArgs {
    /// The campaign as typed.
    pub fn campaign(&self) -> Result<CampaignFile, CliError> {
        self.campaign.campaign_as(self.append.as_deref(), &self.alphabet, self.hours.zone_of_times())
    }

    /// The hours that are kept with the campaign; `None`: none are said.
    pub fn own_hours(&self) -> Result<Option<OwnHours>, CliError> {
        let hours = self.hours.hours()?;
        if !hours.limit() {
            return Ok(None);
        }
        let own = OwnHours::of(&hours, self.hours.zone_name(), self.late_limit);
        own.map(Some).map_err(|words| CliError::Usage(words.into()))
    }

    /// Whether the rows are to be added to a campaign that is there.
    pub fn is_append(&self) -> bool {
        self.append.is_some()
    }

    /// What may be taken without a question.
    pub fn allowed(&self) -> Allowed {
        Allowed::of(&self.campaign)
    }
}

/// `check`: what is typed for `send` can be tried with it.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub send: SendArgs,
    /// Show the row that begins in this line of the file as it will go: its parts, their octets, and the text as a handset
    /// shows it; repeatable
    #[arg(long, value_name = "LINE", conflicts_with = "format")]
    show: Vec<u64>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = CheckFormat::Table)]
    format: CheckFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum CheckFormat {
    Table,
    Json,
}

/// What of a file is taken without a question.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// The same messages as another campaign's.
    same: bool,
    /// Texts that may not be meant.
    doubtful: bool,
}

impl Allowed {
    pub(super) fn of(args: &CampaignArgs) -> Self {
        Self { same: args.allow_same_file, doubtful: args.allow_placeholders }
    }

    /// Whether texts that may not be meant are taken.
    pub(super) fn takes_doubtful(self) -> bool {
        self.doubtful
    }
}

/// Tells whoever types how an import goes, and asks them.
pub(super) struct Asking<'a> {
    pub(super) display: &'a Display,
    pub(super) allowed: Allowed,
    /// Somebody said that the same is to go again.
    pub(super) is_again_meant: bool,
}

impl campaign::Operator for Asking<'_> {
    fn progress(&mut self, rows: u64, _: u64) {
        self.display.importing(rows);
    }

    fn facts(&mut self, facts: &Facts) -> Again {
        self.display.clear();
        for line in facts.taken() {
            self.display.say(&line);
        }
        let by_chance = facts.numbers.by_chance().map_or(0, |(count, _)| count);
        if by_chance > 0 && !facts.numbers.will_ask {
            return Again::National;
        }
        let doubtful = facts.numbers.doubtful.count + by_chance;
        if doubtful > 0 && facts.numbers.will_ask {
            self.display.say(&format!("numbers: {}", facts.numbers.words()));
            for warning in facts.numbers.warnings() {
                self.display.say(&format!("warning: {warning}"));
            }
            let them = if doubtful == 1 { "that number as it is" } else { "those numbers as they are" };
            if !(ask::on_terminal() && ask::yes(&format!("Send to {them}?"), false)) {
                return Again::National;
            }
        }
        if facts.doubts.asked_about() == 0 || self.allowed.doubtful || ask::on_terminal() {
            for line in facts.doubts.said() {
                self.display.say(&format!("warning: {line}"));
            }
        }
        match () {
            () if facts.doubts.asked_about() == 0 || self.allowed.doubtful => Again::GoOn,
            () if !ask::on_terminal() => Again::Refuse,
            () if ask::yes("Are these texts meant to go out so?", false) => Again::GoOn,
            () => Again::Declined,
        }
    }

    fn twins(&mut self, twins: &[Twin]) -> Again {
        self.display.clear();
        let again = again(twins, self.allowed.same, self.display);
        self.is_again_meant = again == Again::GoOn && !self.allowed.same && twins.iter().any(Twin::repeats);
        again
    }
}

/// Imports after those that are running: `prepare` is called again where another one was faster.
pub(super) fn in_turn<T>(
    campaign: &CampaignFile,
    journal: &Path,
    display: &Display,
    mut prepare: impl FnMut() -> Result<T, CampaignError>,
) -> Result<T, CampaignError> {
    loop {
        ImportLock::await_free(journal, &mut || {
            display.clear();
            display.say("waiting: another import into this journal is running");
        })?;
        match prepare() {
            // What is no file cannot be read twice.
            Err(CampaignError::Journal(JournalError::ImportHeld(_))) if campaign.path.is_file() => {}
            prepared => return prepared,
        }
    }
}

/// Imports, and says what went in.
pub fn import(args: &ImportArgs, journal: &Path) -> Result<(), CliError> {
    let (campaign, allowed, hours) = (&args.campaign()?, args.allowed(), args.own_hours()?);
    let display = Display::new();
    let mut campaign = campaign.clone();
    campaign.reading.will_ask = ask::on_terminal();
    let campaign = &campaign;
    let mut asking = Asking { display: &display, allowed, is_again_meant: false };
    crate::platform::signals::standing(
        "the import counts for nothing, it is whole or not there; run the same command again",
    );
    let prepared = in_turn(campaign, journal, &display, || campaign::prepare(campaign, journal, None, &mut asking));
    let imported = match prepared.map_err(|error| with_commands(error, journal))? {
        Prepared::Already(messages) => {
            args.share.record(journal, &campaign.name)?;
            if let Some(hours) = &hours {
                campaign_hours::set_by_name(&crate::journal::open_existing(journal)?, &campaign.name, hours)?;
            }
            Imported::Already(messages)
        }
        Prepared::New(pending) => {
            // Before anybody can send it.
            pending.share(args.share.change())?;
            if let Some(hours) = &hours {
                pending.hours(hours)?;
            }
            pending.release()?
        }
    };
    display.clear();
    crate::platform::signals::standing("");
    say_imported(&campaign.name, journal, &imported, &display);
    Ok(())
}

/// Adds rows to a campaign, and says what went in.
pub fn append(campaign: &CampaignFile, allowed: Allowed, journal: &Path) -> Result<(), CliError> {
    let display = Display::new();
    let mut campaign = campaign.clone();
    campaign.reading.will_ask = ask::on_terminal();
    let campaign = &campaign;
    let mut asking = Asking { display: &display, allowed, is_again_meant: false };
    let appended = campaign::append(campaign, journal, &mut asking)?;
    display.clear();
    let name = escape_terminal(&campaign.name);
    match appended {
        Appended::Already => display.say(&format!("{name}: this file was added already")),
        Appended::New { counts, first_line, first_refused } => {
            display.say(&format!(
                "{name}: added {} in {}; the file's first line is line {} of the campaign",
                count(counts.messages, "message"),
                count(counts.parts, "part"),
                number(first_line)
            ));
            if let Some((line, reason)) = first_refused {
                display.say(&format!(
                    "  {} refused\n    the first: line {line} of the file: {}",
                    count(counts.rejected, "row"),
                    escape_terminal(&reason)
                ));
            }
            if counts.duplicates > 0 {
                display.say(&format!("  {} left out", count(counts.duplicates, "duplicate row")));
            }
            if counts.suppressed > 0 {
                display
                    .say(&format!("  {} to suppressed numbers will not be sent", count(counts.suppressed, "message")));
            }
            display.say(&format!("  `{}` sends them", campaign::resume_command(&campaign.name, journal)));
        }
    }
    Ok(())
}

/// Puts the commands to a refusal that lead on from it.
pub(super) fn with_commands(mut error: CampaignError, journal: &Path) -> CampaignError {
    if let CampaignError::Differs(differs) = &mut error {
        let cancel = command("smppost cancel", &differs.name, &journal_option(journal));
        let typed: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        differs.commands = Some((cancel, typed_under(&typed, &differs.free)));
    }
    error
}

/// The command as typed, with another name for the campaign.
pub(super) fn typed_under(typed: &[String], name: &str) -> String {
    let mut words = vec!["smppost".to_owned()];
    let mut rest = typed.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--campaign" => drop(rest.next()),
            word if word.starts_with("--campaign=") => {}
            word if word.starts_with("--") => match word.split_once('=') {
                Some((option, value)) => words.push(format!("{option}={}", argument(value))),
                None => words.push(word.to_owned()),
            },
            word => words.push(argument(word)),
        }
    }
    // In one word, so that a name with a dash in front is no option.
    match name.starts_with('-') {
        true => words.push(format!("--campaign={}", argument(name))),
        false => words.extend(["--campaign".to_owned(), argument(name)]),
    }
    words.join(" ")
}

/// Says what an import did.
pub(super) fn say_imported(name: &str, journal: &Path, imported: &Imported, display: &Display) {
    match imported {
        Imported::New { counts, first_refused, unused_columns, numbers, sent_lately, left_out } => {
            display.say(&format!(
                "{}: imported {} in {}",
                escape_terminal(name),
                count(counts.messages, "message"),
                count(counts.parts, "part")
            ));
            display.say(&format!("  numbers: {}", numbers.words()));
            for warning in numbers.warnings() {
                display.say(&format!("  warning: {warning}"));
            }
            if !unused_columns.is_empty() {
                display.say(&format!("  columns not used: {}", crate::import::preview::columns(unused_columns)));
            }
            let report = |what: &str| {
                let journal = path_argument(journal);
                format!("`{}`", command("smppost report", name, &format!(" {what} --journal {journal}")))
            };
            if let Some((line, reason)) = first_refused {
                display.say(&format!(
                    "  {} refused: {}\n    the first: line {line}: {}",
                    count(counts.rejected - counts.sent_lately, "row"),
                    report("--rejected-rows"),
                    escape_terminal(reason)
                ));
            }
            if counts.sent_lately > 0 {
                display.say(&format!(
                    "  {} left out, since other campaigns sent to the same numbers (--skip-sent-within): {}\n    {}",
                    count(counts.sent_lately, "row"),
                    report("--rejected-rows"),
                    crate::import::preview::sent_by(left_out)
                ));
            }
            if !sent_lately.is_empty() {
                display.say(&format!("  {}", crate::import::preview::sent_lately(sent_lately)));
            }
            if counts.duplicates > 0 {
                let duplicates = count(counts.duplicates, "duplicate row");
                display.say(&format!("  {duplicates} left out: {}", report("--duplicates")));
            }
            if counts.suppressed > 0 {
                display
                    .say(&format!("  {} to suppressed numbers will not be sent", count(counts.suppressed, "message")));
            }
        }
        Imported::Already(messages) => {
            display.say(&format!(
                "{}: in the journal already, with {}",
                escape_terminal(name),
                count(*messages, "message")
            ));
        }
    }
}

/// Says which campaigns are the same again, and asks where somebody would get the same message twice.
pub(super) fn again(twins: &[Twin], allow_same: bool, display: &Display) -> Again {
    for twin in twins.iter().take(TWINS_SHOWN) {
        display.say(&twin_note(twin));
    }
    match twins.iter().find(|twin| twin.repeats()) {
        None => Again::GoOn,
        Some(_) if allow_same => Again::GoOn,
        Some(_) if !ask::on_terminal() => Again::Refuse,
        Some(_) if ask::yes("Send all of it again, under this name too?", false) => Again::GoOn,
        Some(_) => Again::Declined,
    }
}

/// What is said of a campaign that has the same file or the same messages.
pub(super) fn twin_note(twin: &Twin) -> String {
    let words = twin_words(twin);
    match twin {
        twin if twin.repeats() => format!("note: everybody gets the same message by {words}"),
        twin if twin.is_same => format!("note: these are the messages of {words}"),
        _ => format!("note: the same file is that of {words}, with another text or sender"),
    }
}

/// Shows what a campaign would come to. Exit code 1 where `send` would refuse the file, too, or the name is taken.
pub fn check(args: &CheckArgs, journal: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    let send = &args.send;
    let campaign = send.campaign.campaign(&send.inbound.alphabet, send.run.hours.zone_of_times())?;
    campaign.settings()?;
    refuse_without_tlvs(&send.sessions.connection, &campaign)?;
    let (when, now) = (send.run.hours.hours()?, Timestamp::now());
    let account = send.sessions.judge()?;
    let restraint = send.run.restraint.restraint();
    refuse_unreceipted(&restraint, &account, Some((&campaign.name, &campaign.options)))?;
    let journal = if send.simulate { prepare::rehearsal_journal(journal)? } else { journal.to_owned() };
    let wish = send.run.budget.wish()?;
    wish.judge(&journal, &campaign.name)?;
    let checked = campaign::check(&campaign, &journal, wish.prices(), &args.show)?;
    let Checked { tally, taken, twins, shown } = checked;
    let display = Display::new();
    for twin in twins.iter().take(TWINS_SHOWN) {
        display.say(&twin_note(twin));
    }
    if twins.iter().any(Twin::repeats) && !send.campaign.allow_same_file {
        display.say("  `send` and `import` ask about that, or refuse it without --allow-same-file");
    }
    if !args.show.is_empty() {
        for line in &shown {
            writeln!(out, "{line}")?;
        }
        let is_said = |line: &u64| shown.iter().any(|said| said.starts_with(&format!("line {line}: ")));
        if let Some(line) = args.show.iter().find(|line| !is_said(line)) {
            return Err(CliError::Words(format!("--show {line}: no row begins in that line")));
        }
        return Ok(exit::OK);
    }
    let rate = match send.sessions.pace.rate() {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Unlimited => None,
    };
    match args.format {
        CheckFormat::Table => {
            crate::import::preview::table(&campaign.name, &campaign.options, (&tally, &taken), rate, out)?;
            for line in wish.lines(&tally) {
                writeln!(out, "  {line}")?;
            }
            for line in hours::lines(&when, now) {
                writeln!(out, "  {line}")?;
            }
        }
        CheckFormat::Json => {
            let hours = hours::json(&when, now);
            crate::import::preview::json(&campaign.name, &campaign.options, (&tally, &taken), rate, &hours, out)?;
        }
    }
    let is_refused = !tally.has_messages() || matches!(taken, campaign::Taken::Differs { .. });
    Ok(if is_refused { exit::ERROR } else { exit::OK })
}
