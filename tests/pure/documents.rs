//! The commands for tests that documents and comments name find tests, so that what is claimed can be repeated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                files(&path, ends, found);
            }
        } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            found.push(path);
        }
    }
}

/// The names of the tests in the files below `folder`, with the modules that the files are.
fn tests_below(folder: &Path) -> BTreeSet<String> {
    let mut paths = Vec::new();
    files(folder, &[".rs"], &mut paths);
    let mut names = BTreeSet::new();
    for path in paths {
        let relative = path.strip_prefix(folder).unwrap().with_extension("");
        let modules: Vec<&str> =
            relative.iter().map(|part| part.to_str().unwrap()).filter(|part| !["mod", "main"].contains(part)).collect();
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]").skip(1) {
            let Some((_, function)) = test.split_once("fn ") else { continue };
            let name = function.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
            names.insert([&modules[..], &[name]].concat().join("::"));
        }
    }
    names
}

/// What `--test BIN FILTER` in a text names: the binary, and the filter if there is one.
fn named(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for after in text.split("--test ").skip(1) {
        let mut words = after.split(|c: char| c.is_whitespace() || c == '`');
        let binary = words.next().unwrap_or_default().to_owned();
        let filter = words.find(|word| !word.is_empty() && !word.starts_with('-')).unwrap_or_default();
        let is_filter = after.len() > binary.len() && !after[binary.len()..].starts_with('`') && filter.contains("::");
        found.push((binary, is_filter.then(|| filter.to_owned())));
    }
    found
}

#[test]
fn every_command_for_tests_that_is_named_finds_some() {
    let mut paths = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    files(&root().join("docs"), &[".md"], &mut paths);
    files(&root().join("tests"), &[".rs", ".sh"], &mut paths);
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths.iter().filter(|path| !path.ends_with("documents.rs")) {
        for (binary, filter) in named(&std::fs::read_to_string(path).unwrap()) {
            // A variable of a script.
            if binary.starts_with(['"', '$', '{']) {
                continue;
            }
            count += 1;
            let folder = root().join("tests").join(&binary);
            let is_found = folder.is_dir()
                && filter.as_ref().is_none_or(|filter| tests_below(&folder).iter().any(|name| name.contains(filter)));
            if !is_found {
                wrong.push(format!("{}: --test {binary} {}", path.display(), filter.unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "these find no test: {wrong:#?}");
    assert!(count > 20, "{count} commands were found");
}

#[test]
fn what_a_command_names_is_read() {
    let some = |binary: &str, filter: &str| (binary.to_owned(), Some(filter.to_owned()));
    assert_eq!(named("`cargo test --test it numbers::f3 -- --nocapture`"), [some("it", "numbers::f3")]);
    assert_eq!(named("`cargo test --test pure`, and a::b"), [("pure".to_owned(), None)]);
    assert_eq!(named("cargo test --test evidence -- --nocapture\n"), [("evidence".to_owned(), None)]);
}
