use super::*;
use crate::cli::report as cli;
use crate::journal::JournalError;
use crate::journal::files::lock::SenderLock;
use crate::journal::model::key::{Attempt, Outcome, State};
use crate::journal::open_read_only;
use crate::journal::query::{self, MessageRow, Strays};
use crate::journal::testkit::story::Story;
use crate::report::page::Surroundings;
use crate::report::rows::{Format, Record, Rows};
use crate::report::summary::{RunFacts, SendSummary};
use std::io::{self, Write};

fn shown(args: &ReportArgs, journal: &Path) -> String {
    let mut out = Vec::new();
    assert_eq!(args.run(journal, &mut out).unwrap(), Exit::Done);
    String::from_utf8(out).unwrap()
}

fn page(journal: &Path, name: &str, width: usize, sender_running: bool) -> String {
    let connection = open_read_only(journal).unwrap();
    let report = query::campaign_report(&connection, name).unwrap();
    let strays = Strays { unmatched: 3, ambiguous: 1 };
    let around = Surroundings {
        sender_running: Some(sender_running),
        strays,
        now_ms: 1_774_760_000_000,
        clock: Clock::default(),
        width,
        journal_option: String::new(),
        unfolded: None,
    };
    let mut out = Vec::new();
    page::write(&mut out, &report, &around).unwrap();
    String::from_utf8(out).unwrap()
}

/// Every way to ask for something of a campaign.
fn all_args() -> Vec<ReportArgs> {
    let base = ReportArgs::default();
    let mut all = vec![
        base.clone(),
        ReportArgs { campaign: Some("spring".into()), ..base.clone() },
        ReportArgs { messages: true, ..base.clone() },
        ReportArgs { state: vec![State::InDoubt, State::Failed], ..base.clone() },
        ReportArgs { attempts: true, ..base.clone() },
        ReportArgs { receipts: true, ..base.clone() },
        ReportArgs { unmatched: true, ..base.clone() },
        ReportArgs { rejected_rows: true, ..base.clone() },
        ReportArgs { duplicates: true, ..base.clone() },
        ReportArgs { operations: true, ..base.clone() },
        ReportArgs { inbound: true, ..base },
    ];
    for format in [ReportFormat::Json, ReportFormat::Csv] {
        let others: Vec<_> = all.iter().map(|args| ReportArgs { format, ..args.clone() }).collect();
        all.extend(others);
    }
    all
}

#[test]
fn f52_nothing_foreign_reaches_a_terminal_as_it_came() {
    let story = Story::all_kinds();
    for args in all_args().iter().filter(|args| args.format != ReportFormat::Csv) {
        let out = shown(args, &story.path);
        let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!out.contains(bad), "{args:?}\n{out}");
    }
    let out = shown(&ReportArgs { rejected_rows: true, ..Default::default() }, &story.path);
    assert!(out.contains("\\u{1b}[31m"), "{out}");
}

#[test]
fn f52_cells_are_neutralised_unless_raw() {
    let story = Story::all_kinds();
    let csv = ReportArgs { campaign: Some("spring".into()), format: ReportFormat::Csv, ..Default::default() };
    let safe = shown(&csv, &story.path);
    let raw = shown(&ReportArgs { raw: true, ..csv }, &story.path);
    assert!(safe.contains(",'=1+1,") && safe.contains(",'+441,"), "{safe}");
    assert!(raw.contains(",=1+1,") && raw.contains(",+441,"), "{raw}");
    let mut reader = csv::Reader::from_reader(raw.as_bytes());
    assert_eq!(reader.headers().unwrap(), MessageRow::COLUMNS);
    assert!(reader.records().all(|record| record.unwrap().len() == MessageRow::COLUMNS.len()));
}

#[test]
fn json_has_the_names_of_the_views() {
    let story = Story::all_kinds();
    for args in all_args().into_iter().filter(|args| args.format == ReportFormat::Json) {
        let out = shown(&args, &story.path);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        assert_eq!(value.is_array(), args.campaign.is_none(), "{args:?}");
        let rows = if value.is_array() { value.as_array().cloned().unwrap() } else { vec![value] };
        assert!(!rows.is_empty(), "{args:?}");
        let csv = shown(&ReportArgs { format: ReportFormat::Csv, ..args.clone() }, &story.path);
        let header: Vec<_> = csv.lines().next().unwrap().split(',').map(ToOwned::to_owned).collect();
        for row in &rows {
            let names: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
            // CSV of one campaign is its messages.
            if args.campaign.is_none() {
                assert_eq!(names[..header.len()], header, "{args:?}");
            }
        }
    }
    let one = ReportArgs { campaign: Some("spring".into()), format: ReportFormat::Json, ..Default::default() };
    let report: serde_json::Value = serde_json::from_str(&shown(&one, &story.path)).unwrap();
    for name in [
        "campaign",
        "delivered",
        "statuses",
        "rejections",
        "failures",
        "doubts",
        "latency",
        "throughput",
        "unmatched_receipts",
    ] {
        assert!(!report[name].is_null(), "{name}");
    }
    assert_eq!(report["latency"]["answer_ms"]["max"], 14_000);
    let mut out = Vec::new();
    ListArgs { format: Format::Json, raw: false }.run(&story.path, &mut out).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(list[0]["campaign"], "spring");
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[test]
fn an_empty_journal_has_nothing_to_show_and_says_so() {
    let story = Story::new();
    for args in all_args().into_iter().filter(|args| args.campaign.is_none()) {
        let out = shown(&args, &story.path);
        match args.format {
            ReportFormat::Json => assert_eq!(out.trim(), "[]", "{args:?}"),
            ReportFormat::Csv => assert_eq!(out.lines().count(), 1, "{args:?}"),
            ReportFormat::Table | ReportFormat::File | ReportFormat::Html => {
                assert_eq!(out.lines().count(), 1, "{args:?} {out}")
            }
        }
    }
    let missing = ReportArgs::default().run(Path::new("/nowhere/x.db"), &mut Vec::new());
    assert!(matches!(missing, Err(ReportError::Journal(JournalError::Missing(_)))));
    let unknown = ReportArgs { campaign: Some("x".into()), ..Default::default() }.run(&story.path, &mut Vec::new());
    assert!(matches!(unknown, Err(ReportError::Journal(JournalError::NoCampaign { .. }))));
}

/// Takes some octets and then goes away, as `head` does.
struct Head(usize);

impl Write for Head {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = octets.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn f49_a_reader_that_goes_away_is_no_error() {
    let story = Story::all_kinds();
    for args in all_args() {
        for octets in [0, 1, 50] {
            assert_eq!(args.run(&story.path, &mut Head(octets)).unwrap(), Exit::Done, "{args:?}");
        }
    }
    let explain = cli::ExplainArgs { codes: vec![], all: true, format: WordsOrJson::Table };
    assert_eq!(explain.run(&Default::default(), &mut Head(10)).unwrap(), Exit::Done);
    assert_eq!(cli::VerifyArgs::default().run(&story.path, &mut Head(10)).unwrap(), Exit::Done);
    // A full disk is one.
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(ReportArgs::default().run(&story.path, &mut Full), Err(ReportError::Output(_))));
}

#[test]
fn f49_a_page_fits_forty_columns() {
    let story = Story::all_kinds();
    let out = page(&story.path, "spring", 40, false);
    for line in out.lines().filter(|line| !line.contains('`') && !line.contains("ESME_")) {
        assert!(line.chars().count() <= 40, "{line}\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "{out}");
    let connection = open_read_only(&story.path).unwrap();
    for (width, lines_per_row) in [(100, 1), (40, 4)] {
        let mut out = Vec::new();
        let mut rows = Rows::begin::<MessageRow>(&mut out, Format::Table, false, width).unwrap();
        query::messages(&connection, "spring", &[State::Rejected], |row| rows.add(row)).unwrap();
        rows.end::<MessageRow>("").unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.lines().all(|line| line.chars().count() <= width), "{out}");
        assert!(out.lines().count() >= lines_per_row * 3, "{out}");
    }
}

#[test]
fn a_page_says_what_happened_and_what_to_do() {
    let story = Story::all_kinds();
    let out = page(&story.path, "spring", 100, false);
    for words in [
        "1 duplicate row left out, 2 rows refused",
        "No sender is running; `smppost resume spring` goes on.",
        "0x0B ESME_RINVDSTADR: invalid destination address",
        "4 to 16 digits in international format",
        "0x4321: a code of the SMSC's own",
        "EXPIRED, error 044",
        "no answer \\u{1b}within",
        "3 in this journal belong to no message: `smppost report --unmatched`",
        "1 in this journal fit several messages",
        "1 by attempt in doubt",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    assert!(!page(&story.path, "spring", 100, true).contains("No sender"));
}

#[test]
fn a_sender_is_seen_by_its_lock() {
    let story = Story::all_kinds();
    assert_eq!(is_sender_running(&story.path), Some(false));
    let lock = SenderLock::take(&story.path).unwrap();
    assert_eq!(is_sender_running(&story.path), Some(true));
    drop(lock);
    assert_eq!(is_sender_running(&story.path), Some(false));
}

#[test]
fn the_summary_of_a_run_says_what_to_type() {
    let story = Story::all_kinds();
    let run = RunFacts {
        restrained: false,
        sending: std::time::Duration::from_secs(10),
        accepted: 298,
        throttled: 2,
        receipts_awaited: true,
        halted: Some("the SMSC refuses \u{1b}the account".into()),
        ..RunFacts::default()
    };
    let names = ["spring".to_owned(), "second, cancelled".to_owned()];
    let summary = SendSummary::gather(&open_read_only(&story.path).unwrap(), &story.path, &names, run).unwrap();
    let mut out = Vec::new();
    summary.write(&mut out, 100).unwrap();
    let out = String::from_utf8(out).unwrap();
    for words in [
        "298 parts accepted in 10.0 s, 29.8/s; throttled 2 times",
        "Sending stopped: the SMSC refuses \\u{1b}the account",
        "`smppost report spring --state in_doubt`",
        "`smppost report spring --state rejected`",
        "`smppost resume spring` goes on",
        "0x08 ESME_RSYSERR",
        "journal.db",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    assert_eq!(summary.exit(), Exit::Unfinished);

    let mut story = Story::new();
    let id = story.campaign("fine").message(1, "x");
    story.claim(id, 1, 0, 1).answer(id, 0, 0, Outcome::Accepted, 2);
    story.receipt(Attempt::new(id, 0).receipt(0), 2, None, 3).settle();
    let names = ["fine".to_owned()];
    let run = RunFacts { receipts_awaited: true, ..RunFacts::default() };
    assert_eq!(
        SendSummary::gather(&open_read_only(&story.path).unwrap(), &story.path, &names, run).unwrap().exit(),
        Exit::Done
    );
}

#[test]
fn a_rehearsal_is_gone_on_with_by_its_own_command_and_its_own_journal() {
    let story = Story::all_kinds();
    let run = RunFacts { rehearsal: true, journal_option: " --journal r.db".into(), ..RunFacts::default() };
    let summary =
        SendSummary::gather(&open_read_only(&story.path).unwrap(), &story.path, &["spring".to_owned()], run).unwrap();
    let mut out = Vec::new();
    summary.write(&mut out, 120).unwrap();
    let out = String::from_utf8(out).unwrap();
    for words in
        ["`smppost send --simulate` with the same file", "--state in_doubt --journal r.db`", "when the simulator ended"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains("smppost resume") && !out.contains("smppost listen"), "{out}");
}

#[test]
fn the_arguments_are_consistent() {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }
    #[derive(clap::Subcommand)]
    enum Command {
        List(cli::ListArgs),
        Report(cli::ReportArgs),
        Explain(cli::ExplainArgs),
        Verify(cli::VerifyArgs),
    }
    use clap::{CommandFactory, Parser};
    Cli::command().debug_assert();
    for (line, fine) in [
        ("list --format csv --raw", true),
        ("list --format html", false),
        ("report", true),
        ("report spring --state in-doubt --state FAILED", true),
        ("report spring --state lost", false),
        ("report spring --attempts --receipts", false),
        ("report spring --messages --state failed", true),
        ("report spring --attempts --state failed", false),
        ("report spring --inbound", false),
        ("report --unmatched", true),
        ("explain 0x58 303 ESME_RTHROTTLED --format json", true),
        ("explain", false),
        ("explain --all", true),
        ("verify --format json", true),
        ("verify --format csv", false),
    ] {
        let parsed = Cli::try_parse_from(std::iter::once("smppost").chain(line.split(' ')));
        assert_eq!(parsed.is_ok(), fine, "{line}");
        if let Ok(Cli { command: Command::Report(args) }) = parsed
            && line.contains("in-doubt")
        {
            assert_eq!(args.state, [State::InDoubt, State::Failed]);
        }
    }
}

fn html(journal: &Path, campaign: &str, zone: Option<&str>) -> String {
    let (campaign, time_zone) = (Some(campaign.to_owned()), zone.map(str::to_owned));
    shown(&ReportArgs { campaign, time_zone, format: ReportFormat::Html, ..Default::default() }, journal)
}

#[test]
fn a_page_for_a_browser_has_the_numbers_of_the_json_and_times_with_their_offset() {
    let story = Story::all_kinds();
    let json = ReportArgs { campaign: Some("spring".into()), format: ReportFormat::Json, ..Default::default() };
    let report: serde_json::Value = serde_json::from_str(&shown(&json, &story.path)).unwrap();
    let page = html(&story.path, "spring", Some("+05:30"));
    let number = |name: &str| report[name].as_i64().unwrap();
    for state in State::ALL.into_iter().filter(|state| number(state.name()) > 0) {
        let row =
            format!("</span>{}</th><td class=\"n\">{}</td>", state.name().replace('_', " "), number(state.name()));
        assert!(page.contains(&row), "{row}");
    }
    assert!(page.contains(&format!(">in all</th><td class=\"n\">{}</td>", number("attempts"))), "{page}");
    assert!(page.contains("2026-03-29 07:30:00 +05:30"), "{page}");
    assert!(html(&story.path, "spring", Some("UTC")).contains("2026-03-29 02:00:00 UTC"));
    // Sums of countries and of senders are all messages.
    for caption in ["Messages by country, as their numbers begin", "Messages by sender"] {
        let table =
            page.split(&format!("<caption>{caption}</caption>")).nth(1).unwrap().split("</table>").next().unwrap();
        let rows = table.split("</svg></td><td class=\"n\">").skip(1);
        let sum: i64 = rows.map(|row| row.split('<').next().unwrap().parse::<i64>().unwrap()).sum();
        assert_eq!(sum, number("messages"), "{caption}");
    }
}

#[test]
fn a_page_beside_a_running_sender_says_so_and_leaves_it_alone() {
    let story = Story::all_kinds();
    let lock = SenderLock::take(&story.path).unwrap();
    let page = html(&story.path, "spring", None);
    assert!(page.contains("Being sent: ") && !page.contains("No sender is running"), "{page}");
    drop(lock);
    assert!(html(&story.path, "spring", None).contains("Stopped before it was finished: "));
}

#[test]
fn a_page_for_a_browser_is_of_one_campaign_and_no_list_and_not_for_a_terminal() {
    let story = Story::all_kinds();
    let base = ReportArgs { campaign: Some("spring".into()), format: ReportFormat::Html, ..Default::default() };
    for args in [
        ReportArgs { campaign: None, ..base.clone() },
        ReportArgs { messages: true, ..base.clone() },
        ReportArgs { rejected_rows: true, ..base.clone() },
        ReportArgs { state: vec![State::Failed], ..base.clone() },
    ] {
        let refused = args.run(&story.path, &mut Vec::new());
        assert!(matches!(&refused, Err(ReportError::Usage(words)) if words.contains("> FILE.html")), "{refused:?}");
    }
    let named = |name: &str| ReportArgs { campaign: Some(name.into()), ..base.clone() };
    let refused = named("it's").refuse_terminal(true).unwrap_err().to_string();
    assert!(refused.contains("`smppost report 'it'\\''s' --format html > report.html`"), "{refused}");
    assert!(named("spring").refuse_terminal(false).is_ok());
    assert!(ReportArgs { format: ReportFormat::Table, ..base.clone() }.refuse_terminal(true).is_ok());
    let unknown = named("none").run(&story.path, &mut Vec::new());
    assert!(matches!(unknown, Err(ReportError::Journal(JournalError::NoCampaign { .. }))));
}

#[test]
fn a_page_that_a_full_disk_cuts_short_is_an_error() {
    let story = Story::all_kinds();
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let args = ReportArgs { campaign: Some("spring".into()), format: ReportFormat::Html, ..Default::default() };
    assert!(matches!(args.run(&story.path, &mut Full), Err(ReportError::Output(_))));
    assert_eq!(args.run(&story.path, &mut Head(100)).unwrap(), Exit::Done);
}
