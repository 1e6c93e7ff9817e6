//! The README does as it says: its files and commands are run as they stand there, against the simulator.

use crate::common::Smppost;
use crate::simulator::Simulator;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The blocks of code in a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(&fence) {
        let block = &rest[at + fence.len()..];
        let end = block.find("```").unwrap();
        found.push(block[..end].to_owned());
        rest = &block[end..];
    }
    found
}

/// The commands of the README's blocks that call the program, in order.
fn commands() -> Vec<String> {
    let blocks = blocks(&document("README.md"), "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    // A comment stands behind at least two spaces.
    let commands = lines.map(|line| line.split("   #").next().unwrap().trim_end().to_owned());
    commands.filter(|line| line.starts_with("smppost ")).collect()
}

/// A folder in which `smppost` is on the PATH, with the README's file and a simulator's account in the environment.
struct Desk {
    smppost: Smppost,
    simulator: Simulator,
}

impl Desk {
    fn new(simulator: &[&str]) -> Self {
        let smppost = Smppost::new();
        let simulator = Simulator::start(&smppost, simulator);
        std::fs::create_dir(smppost.path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_smppost"), smppost.path("bin/smppost")).unwrap();
        let csv = blocks(&document("README.md"), "csv");
        smppost.file("spring.csv", &csv[0]);
        Self { smppost, simulator }
    }

    fn shell(&self, line: &str) -> Output {
        let path = format!("{}:{}", self.smppost.path("bin").display(), std::env::var("PATH").unwrap());
        Command::new("sh")
            .args(["-c", line])
            .current_dir(self.smppost.path(""))
            .env_clear()
            .envs([
                ("PATH", &*path),
                ("HOME", &*self.smppost.path("home").display().to_string()),
                ("SMPPOST_HOST", "127.0.0.1"),
                ("SMPPOST_PORT", &*self.simulator.port),
                ("SMPPOST_SYSTEM_ID", "acme"),
                ("SMPPOST_PASSWORD", "secret"),
            ])
            .output()
            .unwrap()
    }

    /// Runs it, and wants this exit code.
    fn run(&self, line: &str, code: i32) -> String {
        let output = self.shell(line);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        said
    }
}

#[test]
fn a_real_campaign_goes_as_the_readme_has_it() {
    let commands = commands();
    let at = |start: &str| {
        let found = commands.iter().position(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("the README has no `{start}`"))
    };
    // From the first look to the reports.
    let (first, last) = (at("smppost check spring.csv"), at("smppost explain 0x58"));
    let desk = Desk::new(&["--receipt-delay", "0s..100ms"]);
    for line in &commands[first..=last] {
        desk.run(line, 0);
    }
    let list = desk.run("smppost list", 0);
    assert!(list.contains("spring"), "{list}");
    let result = desk.smppost.path("spring-result.csv");
    assert_eq!(std::fs::read_to_string(result).unwrap().lines().count(), 3, "a header and a row for each message");
    // The queries of the stable views, as they stand there.
    let journal = desk.run("smppost journals", 0);
    let file = journal.split_whitespace().find(|word| word.ends_with(".db")).unwrap_or_else(|| panic!("{journal}"));
    let file = file.replacen('~', &desk.smppost.path("home").display().to_string(), 1);
    let connection = crate::common::open(Path::new(&file));
    for sql in blocks(&document("README.md"), "sql").iter().flat_map(|block| block.split_inclusive(';')) {
        if !sql.trim().is_empty() {
            let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")).is_some() {}
        }
    }
}

#[test]
fn what_the_smsc_still_has_is_asked_for_cancelled_and_replaced_as_the_readme_has_it() {
    let desk = Desk::new(&["--receipt-delay", "1h"]);
    desk.run("smppost send spring.csv --text 'Hi {name}' --wait-receipts 10ms", 0);
    let commands = commands();
    for start in ["smppost query spring", "smppost cancel spring --at-smsc", "smppost replace spring"] {
        desk.run(commands.iter().find(|line| line.starts_with(start)).unwrap(), 0);
    }
    let said = desk.run("smppost report spring --operations", 0);
    for operation in ["query_sm", "cancel_sm", "replace_sm"] {
        assert!(said.contains(operation), "{said}");
    }
}

#[test]
fn the_rehearsal_and_the_simulator_start_as_the_readme_has_them() {
    let desk = Desk::new(&[]);
    let all = blocks(&document("README.md"), "sh").concat();
    let rehearsal = all.lines().find(|line| line.contains("samples/welcome.csv")).unwrap();
    let rehearsal = rehearsal.replace("cargo run --release --", "smppost").replace("samples/", "");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/welcome.csv");
    desk.smppost.file("welcome.csv", std::fs::read(sample).unwrap());
    desk.run(&rehearsal, 0);
    let commands = commands();
    let simulator = commands.iter().find(|line| line.starts_with("smppost smsc")).unwrap();
    desk.run(&format!("{simulator} --port 0 --for 100ms"), 0);
    assert!(desk.smppost.path("ledger.jsonl").is_file());
}

/// All long options that some command's help shows.
fn options_of(desk: &Desk) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |text: &str| -> BTreeSet<String> {
        let text = text.split("Commands:\n").nth(1).unwrap_or_default();
        let text = text.split("\n\n").next().unwrap();
        let indented = text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        indented.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let mut options = BTreeSet::new();
    let top = desk.run("smppost --help", 0);
    let commands = names(&top);
    let mut add = |help: &str| {
        let words = help.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        options.extend(words.filter(|word| word.starts_with("--") && word.len() > 3).map(str::to_owned));
    };
    add(&top);
    for command in commands.iter().filter(|command| *command != "help") {
        let help = desk.run(&format!("smppost {command} --help"), 0);
        add(&help);
        for below in names(&help).iter().filter(|below| *below != "help") {
            add(&desk.run(&format!("smppost {command} {below} --help"), 0));
        }
    }
    (commands, options)
}

#[test]
fn every_option_that_the_documents_name_is_there_and_every_command_is_named() {
    let desk = Desk::new(&[]);
    let (commands, options) = options_of(&desk);
    assert!(commands.contains("send") && options.contains("--campaign"), "{commands:?} {options:?}");
    let readme = document("README.md");
    for command in commands.iter().filter(|command| *command != "help") {
        assert!(readme.contains(&format!("`{command}")), "the README does not name `{command}`");
    }
    // Those of other programs.
    let others: BTreeSet<&str> = [
        "--release",
        "--open",
        "--bench",
        "--locked",
        "--test",
        "--nocapture",
        "--ignored",
        "--path",
        "--features",
        "--lib",
        "--document-private-items",
        "--test-threads",
        "--smoke",
    ]
    .into();
    let mut unknown = Vec::new();
    for name in ["README.md", "docs/journals.md", "samples/smppost.toml"] {
        let text = document(name);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        for word in words.filter(|word| word.starts_with("--") && word.len() > 3) {
            // `--tls-…` stands for all that begin so.
            let is_known = options.contains(word) || others.contains(word);
            let is_start = word.ends_with('-') && options.iter().any(|option| option.starts_with(word));
            if !is_known && !is_start {
                unknown.push(format!("{name}: {word}"));
            }
        }
    }
    assert!(unknown.is_empty(), "no command has these: {unknown:#?}");
}

#[test]
fn the_views_of_the_readme_have_the_columns_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("j.db");
    drop(smppost::testing::journal::open_or_create(&journal).unwrap());
    let connection = crate::common::open(&journal);
    let readme = document("README.md");
    let mut views = 0;
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let view = cells[1].trim_matches('`');
        let is_view = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?1)";
        if !connection.query_row(is_view, [view], |row| row.get::<_, bool>(0)).unwrap() {
            continue;
        }
        views += 1;
        let statement = connection.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let columns: Vec<&str> = statement.column_names().collect();
        for named in cells.last().filter(|cell| !cell.is_empty()).or(cells.get(3)).unwrap().split(", ") {
            let word = named.split(' ').next().unwrap_or_default();
            if word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                assert!(columns.contains(&word), "{view} has no column {word}: {columns:?}");
            }
        }
    }
    assert!(views >= 8, "{views} views are in the README's table");
}
