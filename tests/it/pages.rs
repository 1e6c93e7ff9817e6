//! The README and every page of docs/ do as they say: their files are written, their commands and queries run, their output
//! compared, in order, in a folder of their own against a simulator.
//!
//! What a block needs stands in comments right above it, which no reader sees:
//!
//! - `file: NAME`: the block is the content of this file.
//! - `exit: N`: its commands end with this code, not with 0.
//! - `program: NAME`, `module: NAME`: it is run where this program, or this module of Python, is there.
//! - `from: PATH`: it is a part of this file of the repository.
//! - `not run: WHY`.
//!
//! Comments of their own: `run: COMMAND` runs one that nobody sees, `simulator: OPTIONS` starts another simulator.
//!
//! A `console` block has commands after `$` and what they say; `…` stands for anything in a line, alone in one for any lines.

use crate::common::{Smppost, skipped};
use crate::readme::document;
use crate::simulator::Simulator;
use std::path::Path;
use std::process::Command;

/// Something of a page that can be tried.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A comment that stands alone.
    Note(String, String),
    /// A block: its language, its text, the comments above it.
    Block { language: String, text: String, notes: Vec<(String, String)>, line: usize },
}

/// What can be tried of a page, in order.
pub fn steps(page: &str) -> Vec<Step> {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let note = line
            .strip_prefix("<!-- ")
            .and_then(|rest| rest.strip_suffix(" -->"))
            .and_then(|note| note.split_once(": "));
        if let Some((key, value)) = note {
            if ["run", "simulator"].contains(&key) {
                steps.push(Step::Note(key.into(), value.into()));
            } else {
                notes.push((key.to_owned(), value.to_owned()));
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .map(|line| line.to_owned() + "\n")
                .collect();
            steps.push(Step::Block {
                language: language.into(),
                text,
                notes: std::mem::take(&mut notes),
                line: at + 1,
            });
        } else {
            assert!(notes.is_empty(), "line {}: {notes:?} belongs to no block", at + 1);
        }
    }
    steps
}

/// Whether what was said is what a page shows.
pub fn is_as_shown(said: &[&str], shown: &[&str]) -> bool {
    match (said, shown) {
        (said, ["…", rest @ ..]) => (0..=said.len()).any(|skipped| is_as_shown(&said[skipped..], rest)),
        ([line, said @ ..], [like, rest @ ..]) => is_line_as_shown(line, like) && is_as_shown(said, rest),
        (said, shown) => said.is_empty() && shown.is_empty(),
    }
}

fn is_line_as_shown(line: &str, like: &str) -> bool {
    let mut pieces = like.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// A folder in which `smppost` is on the PATH, with a simulator's account in the environment.
pub struct Desk {
    smppost: Smppost,
    simulator: Option<(Smppost, Simulator)>,
    has_journal: bool,
}

impl Desk {
    /// `has_journal`: commands use journal.db here, and not the account's own in the data folder.
    pub fn new(has_journal: bool) -> Self {
        let smppost = Smppost::new();
        std::fs::create_dir(smppost.path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_smppost"), smppost.path("bin/smppost")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let welcome = std::fs::read(root.join("samples/welcome.csv")).unwrap();
        std::fs::create_dir(smppost.path("samples")).unwrap();
        for name in ["welcome.csv", "samples/welcome.csv"] {
            smppost.file(name, &welcome);
        }
        smppost.file("spring.csv", "to,from,name,code\n447700900001,ACME,Ann,X7-31\n447700900002,ACME,Bob,X7-32\n");
        let mut desk = Self { smppost, simulator: None, has_journal };
        desk.simulate(&["--receipt-delay", "0s..100ms"]);
        desk
    }

    /// Starts another simulator.
    pub fn simulate(&mut self, options: &[&str]) {
        let smppost = Smppost::new();
        let simulator = Simulator::start(&smppost, options);
        if let Some((_, old)) = self.simulator.replace((smppost, simulator)) {
            old.end();
        }
    }

    /// What is said, on both streams as they come, and the exit code.
    pub fn shell(&self, script: &str) -> (String, Option<i32>) {
        let path = format!("{}:{}", self.smppost.path("bin").display(), std::env::var("PATH").unwrap());
        let (_, simulator) = self.simulator.as_ref().unwrap();
        let mut command = Command::new("timeout");
        command
            .args(["120", "sh", "-c", &format!("exec 2>&1\n{script}")])
            .current_dir(self.smppost.path(""))
            .env_clear()
            .envs([
                ("PATH", &*path),
                ("HOME", &*self.smppost.path("home").display().to_string()),
                ("LANG", "C.UTF-8"),
                ("SMPPOST_HOST", "127.0.0.1"),
                ("SMPPOST_PORT", &*simulator.port),
                ("SMPPOST_SYSTEM_ID", "acme"),
                ("SMPPOST_PASSWORD", "secret"),
            ]);
        if self.has_journal {
            command.env("SMPPOST_JOURNAL", self.smppost.path("journal.db"));
        }
        let output = command.output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    /// Runs it, and wants this exit code.
    #[track_caller]
    pub fn run(&self, script: &str, code: i32) -> String {
        let (said, ended) = self.shell(script);
        assert_eq!(ended, Some(code), "{script}\n{said}");
        said
    }

    fn try_block(&self, language: &str, text: &str, notes: &[(String, String)]) {
        let note = |key: &str| notes.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
        if note("not run").is_some() {
            return;
        }
        if let Some(path) = note("from") {
            assert!(document(path).contains(text), "{path} has no\n{text}");
            return;
        }
        if let Some(name) = note("file") {
            // The simulator's account stands in the environment, which has no word for TLS.
            let text = if language == "toml" { text.replace("tls = true", "tls = false") } else { text.into() };
            self.smppost.file(name, text);
            if name == "password" {
                self.run("chmod 600 password", 0);
            }
            return;
        }
        if let Some(program) = note("program")
            && self.shell(&format!("command -v {program}")).1 != Some(0)
        {
            return skipped(&format!("what needs {program}: it is not here"));
        }
        let code = note("exit").map_or(0, |code| code.parse().unwrap());
        match language {
            "sh" => drop(self.run(&format!("set -e\n{text}"), code)),
            "console" => self.try_console(text, code),
            "sql" => self.try_sql(text),
            "python" => {
                let python = std::env::var("SMPPOST_PYTHON").unwrap_or_else(|_| "python3".into());
                let module = note("module").unwrap_or("sqlite3");
                if self.shell(&format!("{python} -c 'import {module}'")).1 != Some(0) {
                    return skipped(&format!(
                        "what needs Python's {module}: it is not here (SMPPOST_PYTHON names a Python)"
                    ));
                }
                self.smppost.file("page.py", text);
                self.run(&format!("{python} page.py"), code);
            }
            language => panic!("a block of {language:?}: say what it is for, or `not run: WHY`"),
        }
    }

    fn try_console(&self, text: &str, code: i32) {
        let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command, Vec::new())),
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("{line:?} comes before any command"),
            }
        }
        for (command, shown) in commands {
            let said = self.run(command, code);
            let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
            assert!(is_as_shown(&lines, &shown), "$ {command}\n{said}\nis not\n{}", shown.join("\n"));
        }
    }

    fn try_sql(&self, text: &str) {
        let connection = crate::common::open(&self.smppost.path("journal.db"));
        for sql in text.split_inclusive(';').filter(|sql| !sql.trim().is_empty()) {
            let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")).is_some() {}
        }
    }
}

/// Goes through a page.
fn try_page(name: &str) {
    let mut desk = Desk::new(name != "README.md");
    for step in steps(&document(name)) {
        match step {
            Step::Note(key, options) if key == "simulator" => desk.simulate(&options.split(' ').collect::<Vec<_>>()),
            Step::Note(_, command) => drop(desk.run(&command, 0)),
            Step::Block { language, text, notes, line } => {
                eprintln!("{name}, line {line}");
                if language != "text" || notes.iter().any(|(key, _)| key == "file") {
                    desk.try_block(&language, &text, &notes);
                }
            }
        }
    }
}

/// One test for each page, so that they run side by side.
macro_rules! pages {
    ($($test:ident: $page:literal),* $(,)?) => {
        const PAGES: &[&str] = &[$($page),*];
        $(#[test] fn $test() { try_page($page); })*
    };
}

pages! {
    readme: "README.md",
    options: "docs/options.md",
    connecting: "docs/connecting.md",
    files: "docs/files.md",
    messages: "docs/messages.md",
    journal: "docs/journal.md",
    journals: "docs/journals.md",
    forgetting: "docs/forgetting.md",
    receipts: "docs/receipts.md",
    rate: "docs/rate.md",
    report: "docs/report.md",
    shares: "docs/shares.md",
    operations: "docs/operations.md",
    service: "docs/service.md",
    packaging: "docs/packaging.md",
    architecture: "docs/architecture.md",
    comparison: "docs/comparison.md",
    from_kannel: "docs/from-kannel.md",
    from_jasmin: "docs/from-jasmin.md",
    from_playsms: "docs/from-playsms.md",
    performance: "docs/performance.md",
    performance_lab: "docs/performance-lab.md",
    reliability: "docs/reliability.md",
    interop: "docs/interop.md",
    contributing: "CONTRIBUTING.md",
}

/// Every page of the documents.
pub fn all_pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.extend(["README.md".into(), "CONTRIBUTING.md".into()]);
    pages.sort();
    pages
}

#[test]
fn every_page_is_gone_through() {
    // The simulator's page has a test of its own, as it is controlled in four languages; the last is the site's list of pages.
    let others = ["docs/simulator.md", "docs/SUMMARY.md"];
    for page in all_pages() {
        assert!(PAGES.contains(&&*page) || others.contains(&&*page), "{page} is tried by no test");
    }
    let summary = document("docs/SUMMARY.md");
    for page in all_pages().iter().filter(|page| page.starts_with("docs/") && !page.ends_with("SUMMARY.md")) {
        let name = page.strip_prefix("docs/").unwrap();
        assert!(summary.contains(&format!("({name})")), "the site's list of pages has no {name}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for page in all_pages().into_iter().chain(["SECURITY.md".into(), "CHANGELOG.md".into()]) {
        let text = document(&page);
        let folder = root.join(&page).parent().unwrap().to_owned();
        // The site makes its first page of the README.
        let text = text.replace("(introduction.md)", "(../README.md)");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root.join(&page) } else { folder.join(file) };
            let is_there = match std::fs::read_to_string(&target) {
                Ok(text) => heading.is_empty() || text.lines().any(|line| anchor(line).as_deref() == Some(heading)),
                // A folder, or a picture.
                Err(_) => target.exists(),
            };
            if !is_there {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere: {wrong:#?}");
}

/// What a heading is called in links.
fn anchor(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#');
    if heading.len() == line.len() || !heading.starts_with(' ') {
        return None;
    }
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

#[test]
fn what_cron_starts_does_not_meet() {
    // The minutes of each line, and for how long it holds the journal.
    let page = document("docs/operations.md");
    let table = page.split("<!-- file: crontab -->").nth(1).unwrap().split("```").nth(1).unwrap();
    let lines: Vec<&str> = table.lines().filter(|line| line.contains("smppost")).collect();
    let minutes = |line: &str| -> Vec<u32> {
        let field = line.split(' ').next().unwrap();
        let (range, step) = field.split_once('/').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        (from.parse().unwrap()..=to.parse().unwrap()).step_by(step.parse().unwrap()).collect()
    };
    let listen = lines.iter().find(|line| line.contains("smppost listen")).unwrap();
    let resume = lines.iter().find(|line| line.contains("smppost resume")).unwrap();
    let after = |line: &str, option: &str| -> u32 {
        line.split(option).nth(1).unwrap().trim().split('m').next().unwrap().parse().unwrap()
    };
    for from in minutes(listen) {
        let held = from..=from + after(listen, "--for");
        assert!(
            minutes(resume).iter().all(|minute| !held.contains(minute) && !held.contains(&(minute + 60))),
            "{held:?}"
        );
    }
    // Nor does one that only waits for receipts keep `listen` from its turn.
    for from in minutes(resume) {
        let held = from..=from + after(resume, "--wait-receipts");
        assert!(minutes(listen).iter().all(|minute| !held.contains(minute)), "{held:?}");
    }
    assert!(minutes(resume).len() > 1, "what ends with 75 is tried again");
}

#[test]
fn pages_are_in_plain_words() {
    // What is right in its own place: a word of the field, or of another program.
    let words = ["mended", " blank", "take back", "takes back", "taken back", "ended without a word"];
    let mut wrong = Vec::new();
    for page in all_pages() {
        let text = document(&page).to_lowercase();
        wrong.extend(words.iter().filter(|word| text.contains(**word)).map(|word| format!("{page}: {word}")));
    }
    assert!(wrong.is_empty(), "spaces, fixed, cancel, crashed: {wrong:#?}");
}

#[test]
fn the_readme_stays_short() {
    let words = document("README.md").split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    assert!(words <= 950, "{words} words");
}

#[test]
fn blocks_and_output_are_read() {
    let page = "x\n<!-- file: a.csv -->\n```csv\nto\n```\n<!-- run: smppost list -->\n```console\n$ a\nb\n```\n";
    let steps = steps(page);
    assert_eq!(steps.len(), 3);
    assert!(matches!(&steps[0], Step::Block { notes, text, .. } if notes[0].1 == "a.csv" && text == "to\n"));
    assert_eq!(steps[1], Step::Note("run".into(), "smppost list".into()));
    assert!(is_as_shown(&["a 5 ms", "b", "c"], &["a … ms", "…", "c"]));
    assert!(is_as_shown(&["a"], &["a", "…"]));
    assert!(!is_as_shown(&["a 5 s", "c"], &["a … ms", "c"]));
    assert!(!is_as_shown(&["a", "b"], &["a"]));
    assert_eq!(anchor("## The day, of 8-bit").as_deref(), Some("the-day-of-8-bit"));
}
