//! What others are told of a command: a program at its end (`--on-finish`), and lines of JSON while it sends
//! (`--progress json`).
//!
//! What is known of a run is noted here while it goes on, so that the program gets the same summary however the command ends,
//! by a second Ctrl-C too. It is started when the command holds nothing any more: no lock, no connection, no journal.

use super::conduct::RunArgs;
use super::config::{PASSWORD_VARIABLE, RECEIVER_PASSWORD_VARIABLE};
use super::{CliError, exit};
use crate::journal;
use crate::journal::model::key::State;
use crate::journal::query::Counts;
use crate::platform::{screen, signals};
use crate::report::progress_json;
use crate::report::rows::write_json;
use crate::run::pipeline::Ended;
use crate::words::BadValue;
use crate::words::bad;
use crate::words::escape::escape_terminal;
use crate::words::shell_words;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, never};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use rustix::process::{Pid, kill_process};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program of `--on-finish` is waited for so long.
const WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// The counts for the summary are read within this time, or left out; where a second signal ends the command, within that one.
const READ_WITHIN: Duration = Duration::from_secs(10);
const READ_AT_ONCE: Duration = Duration::from_millis(500);
/// Where a second signal ends the command, the program has so long to take the summary, and stdout to take the last line.
const TAKEN_AT_ONCE: Duration = Duration::from_millis(500);

/// Who is told.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Notice")]
pub(super) struct FinishArgs {
    /// Run this program when the command has ended, however it has ended; it reads a summary, one JSON object, on its standard
    /// input. CMD is split into words as a shell does it, and no shell is run. What becomes of it changes no exit code; after
    /// 60 s it is told to end
    #[arg(long, value_name = "CMD", value_parser = OsStringValueParser::new().try_map(|typed| Program::read(&typed)))]
    on_finish: Option<Program>,
}

/// How progress is shown.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Notice")]
pub(super) struct ProgressArgs {
    /// How progress is shown: auto: a changing line on a terminal, and a line now and then elsewhere; json: once a second a line
    /// of JSON on stdout besides, and one at the end
    #[arg(long, value_name = "HOW", value_enum, default_value = "auto")]
    progress: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum How {
    /// For people.
    #[value(help = None)]
    Auto,
    /// For programs.
    #[value(help = None)]
    Json,
}

/// A program with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Program {
    path: PathBuf,
    words: Vec<OsString>,
}

/// What was asked for.
#[derive(Default)]
pub(super) struct Asked<'a> {
    program: Option<&'a Program>,
    json: bool,
}

impl FinishArgs {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { program: self.on_finish.as_ref(), json: false }
    }
}

impl RunArgs {
    /// What was asked for, unless it would do nothing.
    pub(super) fn asked(&self, is_alert: bool) -> Result<Asked<'_>, CliError> {
        let asked = Asked { json: self.progress.progress == How::Json, ..self.finish.asked() };
        let idle = [
            (self.dry_run, "--dry-run: nothing is sent"),
            (self.detach, "--detach: the command ends when the service has accepted, long before all is sent"),
        ];
        let given = [(asked.program.is_some(), "--on-finish"), (asked.json, "--progress json")];
        let first = |of: &[(bool, &'static str); 2]| of.iter().find(|(is_given, _)| *is_given).map(|(_, what)| *what);
        if let (Some(option), Some(why)) = (first(&given), first(&idle)) {
            return Err(CliError::Usage(format!("{option}: not with {why}")));
        }
        if asked.json && is_alert {
            return Err(CliError::Usage(
                "--progress json: not with --to: what became of an alert is said at once".into(),
            ));
        }
        Ok(asked)
    }
}

/// What is known of a command.
struct Kept {
    program: Option<Program>,
    /// Variables that are not for the program.
    secrets: Vec<String>,
    command: &'static str,
    started: Instant,
    journal: Option<PathBuf>,
    campaigns: Vec<String>,
    ended: Option<(&'static str, Option<String>)>,
}

/// Taken by whoever tells others of the end.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
/// The program, while it is waited for.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Keeps from now on what others are to be told, and begins with it.
pub(super) fn begin(command: &'static str, asked: &Asked<'_>, secrets: &[String]) {
    if asked.json {
        screen::keep_plain();
        progress_json::start();
    }
    if asked.program.is_none() && !asked.json {
        return;
    }
    let mut all = vec![PASSWORD_VARIABLE.to_owned(), RECEIVER_PASSWORD_VARIABLE.to_owned()];
    all.extend_from_slice(secrets);
    *KEPT.lock() = Some(Kept {
        program: asked.program.cloned(),
        secrets: all,
        command,
        started: Instant::now(),
        journal: None,
        campaigns: Vec::new(),
        ended: None,
    });
    signals::before_the_end(at_once);
}

fn keep(note: impl FnOnce(&mut Kept)) {
    if let Some(kept) = KEPT.lock().as_mut() {
        note(kept);
    }
}

/// The journal that the command is about.
pub(super) fn journal(path: &Path) {
    keep(|kept| kept.journal = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())));
}

/// Campaigns that the run is about.
pub(super) fn campaigns(names: &[String]) {
    keep(|kept| {
        for name in names {
            if !kept.campaigns.contains(name) {
                kept.campaigns.push(name.clone());
            }
        }
    });
}

/// How a run has ended.
pub(super) fn ended(ended: &Ended) {
    let (how, why) = match ended {
        Ended::Done | Ended::NothingToDo => ("done", None),
        Ended::Interrupted => ("interrupted", None),
        Ended::Halted(why) | Ended::Stopped(why) => ("stopped", Some(why.clone())),
        Ended::Refused(why) => ("error", Some(format!("no connection: {why}"))),
    };
    keep(|kept| kept.ended = Some((how, why)));
}

/// Somebody or something has stopped it.
pub(super) fn stopped(why: &str) {
    keep(|kept| kept.ended = Some(("stopped", Some(why.to_owned()))));
}

/// It has failed, and that was said.
pub(super) fn failed(why: &str) {
    keep(|kept| kept.ended = Some(("error", Some(why.to_owned()))));
}

/// Tells others that the command has ended with this code, and what ended it where that was an error.
pub(super) fn end(code: u8, error: Option<String>) {
    let Some(kept) = KEPT.lock().take() else { return };
    progress_json::end(screen::FAREWELL);
    let Some(program) = &kept.program else { return };
    let summary = kept.summary(code, error, READ_WITHIN);
    screen::stderr().set_line(None);
    screen::stderr().flush(screen::FAREWELL);
    // What has ended by a signal may get it again, as HUP comes twice from a terminal that closes. INT and TERM are heard then
    // by `at_once`.
    let interrupts = if code == exit::INTERRUPTED { Ok(never()) } else { signals::interrupts() };
    if let Err(why) = program.run(&summary, &kept.secrets, WITHIN, &interrupts.unwrap_or_else(|_| never())) {
        screen::say(&format!("--on-finish: {}{why}; the exit code stays {code}", program.shown()));
    }
}

/// A second signal ends the command at once: its program is started, and not waited for; where it is at work already, it is
/// told to end.
fn at_once() {
    // Held to the end: who comes later waits for that.
    let mut kept = KEPT.lock();
    let Some(mut kept) = kept.take() else { return tell_to_end() };
    kept.ended = Some(("interrupted", None));
    progress_json::end(TAKEN_AT_ONCE);
    let Some(program) = &kept.program else { return };
    let summary = kept.summary(exit::INTERRUPTED, None, READ_AT_ONCE);
    match program.start(&summary, &kept.secrets, true) {
        Ok((_child, taken)) => drop(taken.recv_timeout(TAKEN_AT_ONCE)),
        Err(error) => screen::say(&format!("--on-finish: {} could not be started: {error}", program.shown())),
    }
}

fn tell_to_end() {
    if let Some(process) = *RUNNING.lock() {
        let _ = kill_process(process, rustix::process::Signal::TERM);
    }
}

/// What the program reads.
#[derive(Serialize)]
struct Summary<'a> {
    version: &'static str,
    command: &'static str,
    exit_code: u8,
    ended: &'static str,
    words: Option<String>,
    journal: Option<String>,
    campaigns: Vec<Campaign<'a>>,
    accepted: Option<i64>,
    refused: Option<i64>,
    in_doubt: Option<i64>,
    seconds: f64,
}

#[derive(Serialize)]
struct Campaign<'a> {
    campaign: &'a str,
    messages: Option<i64>,
    counts: Option<Counts>,
}

impl Kept {
    fn summary(&self, code: u8, error: Option<String>, within: Duration) -> Vec<u8> {
        let (ended, words) = match (error, &self.ended, code) {
            (Some(error), ..) => ("error", Some(error)),
            (None, Some(ended), _) => ended.clone(),
            (None, None, exit::OK | exit::INCOMPLETE) => ("done", None),
            (None, None, exit::INTERRUPTED) => ("interrupted", None),
            (None, None, code) => ("error", Some(format!("exit code {code}"))),
        };
        let counts = self.counts(within);
        let of = |states: &[State]| {
            counts.iter().try_fold(0, |sum, counts| {
                let counts = counts.as_ref()?;
                Some(sum + states.iter().map(|&state| counts.of(state)).sum::<i64>())
            })
        };
        let campaigns = self.campaigns.iter().zip(&counts);
        let summary = Summary {
            version: env!("CARGO_PKG_VERSION"),
            command: self.command,
            exit_code: code,
            ended,
            words,
            journal: self.journal.as_ref().map(|path| path.to_string_lossy().into_owned()),
            campaigns: campaigns
                .map(|(campaign, counts)| Campaign {
                    campaign,
                    messages: counts.map(|counts| counts.total()),
                    counts: *counts,
                })
                .collect(),
            accepted: of(&[State::Accepted, State::Delivered, State::PartlyDelivered]),
            refused: of(&[State::Rejected]),
            in_doubt: of(&[State::InDoubt]),
            seconds: (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        };
        let mut octets = Vec::new();
        let _ = write_json(&mut octets, &summary);
        octets.push(b'\n');
        octets
    }

    /// How the campaigns stand; `None` where that cannot be read in time.
    fn counts(&self, within: Duration) -> Vec<Option<Counts>> {
        let unknown = || vec![None; self.campaigns.len()];
        let (Some(path), names) = (self.journal.clone(), self.campaigns.clone()) else { return unknown() };
        if names.is_empty() {
            return Vec::new();
        }
        let (sender, counts) = bounded(1);
        let reader = std::thread::Builder::new().name("summary".into()).spawn(move || {
            let opened = journal::open_read_only(&path).ok();
            let of = |name: &String| Some(journal::query::campaign(opened.as_ref()?, name).ok()?.counts);
            let _ = sender.send(names.iter().map(of).collect());
        });
        reader.ok().and_then(|_| counts.recv_timeout(within).ok()).unwrap_or_else(unknown)
    }
}

impl Program {
    /// Reads what was typed, and finds the program.
    fn read(typed: &OsStr) -> Result<Self, BadValue> {
        let words = shell_words::split(typed.as_bytes())?;
        let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
        let name = words.first().filter(|name| !name.is_empty()).ok_or("it names no program")?;
        Ok(Self { path: find(name)?, words })
    }

    /// The program's name, for people.
    fn shown(&self) -> String {
        escape_terminal(&self.words.first().map(|name| name.to_string_lossy()).unwrap_or_default()).into_owned()
    }

    /// Starts it; `outlives`: this command ends before it. It is told on the channel when it has taken the summary, or never will.
    fn start(&self, summary: &[u8], secrets: &[String], outlives: bool) -> io::Result<(Child, Receiver<()>)> {
        let mut command = Command::new(&self.path);
        if outlives {
            // Where this command is the first of its terminal (`tmux new smppost …`), its end is that of all in its group.
            command.process_group(0);
        }
        if let Some((name, arguments)) = self.words.split_first() {
            command.arg0(name).args(arguments);
        }
        for secret in secrets {
            command.env_remove(secret);
        }
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let (taken, is_taken) = bounded(1);
        if let Some(mut stdin) = child.stdin.take() {
            let summary = summary.to_vec();
            // It may read as slowly as it likes, or nothing at all.
            std::thread::Builder::new().name("on-finish".into()).spawn(move || {
                let _ = stdin.write_all(&summary);
                drop((stdin, taken));
            })?;
        }
        Ok((child, is_taken))
    }

    /// Runs it to its end, or as long as it may run. What became of it, in words, where that is not well.
    fn run(
        &self,
        summary: &[u8],
        secrets: &[String],
        within: Duration,
        interrupts: &Receiver<()>,
    ) -> Result<(), Unwell> {
        let (mut child, _taken) = self.start(summary, secrets, false).map_err(Unwell::NotStarted)?;
        let started = Instant::now();
        *RUNNING.lock() = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        loop {
            let ended = {
                // Its number is its own until it is known to have ended.
                let mut running = RUNNING.lock();
                let ended = child.try_wait();
                if !matches!(ended, Ok(None)) {
                    *running = None;
                }
                ended
            };
            match ended {
                Ok(Some(status)) => return judge(status),
                Ok(None) => {}
                Err(error) => return Err(Unwell::Lost(error)),
            }
            let why = match interrupts.recv_timeout(LOOK) {
                Ok(()) => "a signal came before it had ended".to_owned(),
                Err(RecvTimeoutError::Disconnected) => "nobody hears signals any more".to_owned(),
                Err(RecvTimeoutError::Timeout) if started.elapsed() < within => continue,
                Err(RecvTimeoutError::Timeout) => format!("it has not ended within {} s", within.as_secs()),
            };
            tell_to_end();
            return Err(Unwell::Left(why));
        }
    }
}

/// What became of the program, where that is not well: words that follow its name.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error(" could not be started: {0}")]
    NotStarted(io::Error),
    #[error(" has failed with exit code {0}")]
    Failed(i32),
    #[error(" was ended by signal {0}")]
    Killed(String),
    /// The system does not say.
    #[error(": {0}")]
    Lost(io::Error),
    #[error(": {0}, so it was told to end (SIGTERM), and is not waited for")]
    Left(String),
}

fn judge(status: ExitStatus) -> Result<(), Unwell> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Unwell::Failed(code)),
        (None, signal) => {
            let number = signal.unwrap_or_default();
            let signal = Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.to_string());
            Err(Unwell::Killed(signal))
        }
    }
}

/// Where the program is: as it is named, where that has a slash, else in one of the folders of `PATH`.
fn find(name: &OsStr) -> Result<PathBuf, BadValue> {
    let shown = escape_terminal(&name.to_string_lossy()).into_owned();
    let can_run = |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match path.exists() {
            true if can_run(&path) => Ok(path),
            true => Err(bad!("{shown} is no program that you may run (chmod +x?)")),
            false => Err(bad!("there is no program {shown}")),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| can_run(path));
    found.ok_or_else(|| bad!("no folder of PATH has a program {shown}: write its path, as in ./{shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(typed: &str) -> Program {
        Program::read(OsStr::new(typed)).unwrap()
    }

    fn run(typed: &str, within: Duration) -> Result<(), String> {
        said(&program(typed), b"{}\n", within, &never())
    }

    fn said(program: &Program, summary: &[u8], within: Duration, interrupts: &Receiver<()>) -> Result<(), String> {
        program.run(summary, &[], within, interrupts).map_err(|why| format!("{}{why}", program.shown()))
    }

    /// So long that nothing depends on it.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_becomes_of_the_program_is_said_and_how_long_it_may_take() {
        // One after the other: there is one program at a time.
        assert_eq!(run("sh -c 'read line; test \"$line\" = \"{}\"'", LONG), Ok(()));
        assert_eq!(run("true", LONG), Ok(()), "it reads nothing");
        assert_eq!(run("sh -c 'exec <&-; exit 0'", LONG), Ok(()));
        assert_eq!(run("sh -c 'exit 7'", LONG), Err("sh has failed with exit code 7".into()));
        assert_eq!(run("sh -c 'kill -9 $$'", LONG), Err("sh was ended by signal SIGKILL".into()));
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("sh -c 'trap \"echo told >{}; exit\" TERM; while :; do sleep 0.05; done'", told.display());
        let started = Instant::now();
        let words = run(&script, Duration::from_millis(700)).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert!(words.starts_with("sh: it has not ended within 0 s, so it was told to end (SIGTERM)"), "{words}");
        while std::fs::read_to_string(&told).unwrap_or_default().is_empty() {
            assert!(started.elapsed() < LONG, "it was not told");
            std::thread::sleep(LOOK);
        }
        let (signal, interrupts) = bounded(1);
        signal.send(()).unwrap();
        let words = said(&program("sleep 100"), b"", LONG, &interrupts).unwrap_err();
        assert!(words.contains("a signal came") && started.elapsed() < LONG, "{words}");
        // More than a pipe takes, and nobody reads it.
        assert_eq!(said(&program("true"), &vec![b' '; 1 << 20], LONG, &never()), Ok(()));
        // It was there when it was looked for.
        let script = folder.path().join("gone");
        std::fs::write(&script, "").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let gone = program(&script.display().to_string());
        std::fs::remove_file(&script).unwrap();
        let words = said(&gone, b"", LONG, &never()).unwrap_err();
        assert!(words.contains("gone could not be started"), "{words}");
    }

    #[test]
    fn a_program_is_found_or_it_is_said_why_not() {
        assert!(program("sh -c x").path.is_absolute());
        for (typed, words) in [
            ("", "names no program"),
            ("''", "names no program"),
            ("no-such-program-here", "no folder of PATH has a program no-such-program-here"),
            ("./no-such-program-here", "there is no program ./no-such-program-here"),
            ("/etc/passwd", "no program that you may run"),
            ("/tmp x", "no program that you may run"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
        ] {
            let error = Program::read(OsStr::new(typed)).unwrap_err();
            assert!(error.contains(words), "{typed:?}: {error}");
        }
    }

    #[test]
    fn the_summary_has_the_same_shape_whatever_happened() {
        let kept = |ended| Kept {
            program: None,
            secrets: Vec::new(),
            command: "send",
            started: Instant::now(),
            journal: Some("/nowhere/journal.db".into()),
            campaigns: vec!["\u{1b}]0;evil\u{7} \"\u{202e}\n".into()],
            ended,
        };
        for (ended, error, code, how, words) in [
            (None, None, 0, "done", None),
            (None, None, 3, "done", None),
            (None, None, 130, "interrupted", None),
            (None, None, 69, "error", Some("exit code 69")),
            (Some(("stopped", Some("too much".to_owned()))), None, 3, "stopped", Some("too much")),
            (Some(("done", None)), Some("no space".to_owned()), 1, "error", Some("no space")),
        ] {
            let octets = kept(ended).summary(code, error, LONG);
            let text = String::from_utf8(octets).unwrap();
            assert!(!text.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{text}");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            let keys: Vec<&String> = read.as_object().unwrap().keys().collect();
            let expected = "version command exit_code ended words journal campaigns accepted refused in_doubt seconds";
            assert_eq!(keys, expected.split(' ').collect::<Vec<_>>());
            assert_eq!((&read["ended"], &read["exit_code"]), (&how.into(), &code.into()));
            assert_eq!(read["words"].as_str(), words);
            assert_eq!(read["campaigns"][0]["campaign"], "\u{1b}]0;evil\u{7} \"\u{202e}\n");
            assert!(read["campaigns"][0]["counts"].is_null() && read["accepted"].is_null());
        }
    }
}
