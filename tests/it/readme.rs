//! What the documents name is there: commands, options, views and their columns.

use crate::pages::{Desk, all_pages};
use std::collections::BTreeSet;
use std::path::Path;

pub fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The blocks of code in a language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
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

/// Files with options in them besides the pages.
const FILES: [&str; 5] = [
    "samples/smppost.toml",
    "packaging/smppost.toml",
    "packaging/systemd/smppost@.service",
    "packaging/examples/smppost-campaign@.service",
    "SECURITY.md",
];

#[test]
fn every_option_that_the_documents_name_is_there_and_every_command_is_named() {
    let desk = Desk::new(true);
    let (commands, options) = options_of(&desk);
    assert!(commands.contains("send") && options.contains("--campaign"), "{commands:?} {options:?}");
    let readme = document("README.md");
    for command in commands.iter().filter(|command| *command != "help") {
        assert!(readme.contains(&format!("`{command}")), "the README does not name `{command}`");
    }
    // Those of other programs.
    let others: BTreeSet<&str> = [
        // cargo and its tests
        "--bench",
        "--bin",
        "--document-private-items",
        "--lib",
        "--locked",
        "--no-default-features",
        "--nocapture",
        "--open",
        "--path",
        "--release",
        "--test",
        "--timings",
        // benchmarks
        "--around",
        "--before",
        "--fsyncs",
        "--ids",
        "--only",
        "--runs",
        "--short",
        // systemd, podman, adduser, curl, datasette
        "--health-cmd",
        "--immutable",
        "--now",
        "--retry",
        "--retry-all-errors",
        "--retry-delay",
        "--rm",
        "--system",
        "--unit",
        "--user",
        // an arrow
        "--import--",
    ]
    .into();
    let mut unknown = Vec::new();
    for name in all_pages().into_iter().chain(FILES.map(str::to_owned)) {
        let text = document(&name);
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
    let pages: String = all_pages().iter().map(|page| document(page)).collect();
    let words: BTreeSet<&str> =
        pages.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.starts_with("--")).collect();
    let unnamed: Vec<&String> = options
        .iter()
        .filter(|option| !words.contains(option.as_str()) && !["--help", "--version"].contains(&&***option))
        .collect();
    assert!(unnamed.is_empty(), "no page names these: {unnamed:?}");
}

#[test]
fn the_views_have_the_columns_that_the_page_on_the_journal_names() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("j.db");
    drop(smppost::testing::journal::open_or_create(&journal).unwrap());
    let connection = crate::common::open(&journal);
    let readme = document("docs/journal.md");
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
    assert!(views >= 8, "{views} views are in the table of docs/journal.md");
}
