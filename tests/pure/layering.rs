//! Which way the code may lean: the paths in `src` are read, and held against the order of rooms in the crate's page.
//!
//! What leans the wrong way today stands in [`EXCEPTIONS`]. The list may only get shorter: an exception that is needed no more
//! fails the test, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms, from the top down; those in one row do not know each other.
const ROOMS: &[&[&str]] = &[
    &["testing"],
    &["cli"],
    &["report"],
    &["run"],
    &["client", "import"],
    &["journal", "smsc"],
    &["record"],
    &["message"],
    &["policy"],
    &["http", "platform", "wire"],
    &["words"],
];

/// The same inside `journal`.
const JOURNAL: &[&[&str]] = &[
    &["testkit", "backup", "forgetting"],
    &["verify"],
    &["writer", "query"],
    &["matcher"],
    &["store"],
    &["handle"],
    &["open"],
    &["migrate"],
    &["files"],
    &["error"],
    &["model", "beside"],
];

/// Modules that lean up, and onto what.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("journal::migrate", "journal::open"),
    ("journal::migrate", "journal::store::notes"),
    ("journal::migrate::shape", "journal::open"),
    ("journal::migrate::shape", "journal::store::notes"),
    ("journal::open", "journal::store::names"),
];

/// A file of the source, as `a::b`, without comments, strings and tests.
struct Module {
    name: String,
    code: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules() -> Vec<Module> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&source(), &mut paths);
    let mut modules = Vec::new();
    for path in paths {
        let relative = path.strip_prefix(source()).unwrap().with_extension("");
        let mut parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        let name = parts.join("::");
        let is_test = parts.iter().any(|part| *part == "tests" || part.ends_with("_tests") || *part == "testkit");
        if !is_test && name != "lib" && name != "main" {
            modules.push(Module { code: code_of(&std::fs::read_to_string(&path).unwrap()), name });
        }
    }
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    modules
}

/// The code alone: comments and the octets of strings become spaces, and a test module at the end is left out.
fn code_of(text: &str) -> String {
    let octets = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < octets.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].bytes().take_while(|octet| *octet == b'#').count();
            match rest[1 + hashes..].starts_with('"') {
                true => {
                    let end = format!("\"{}", "#".repeat(hashes));
                    2 + hashes + rest[2 + hashes..].find(&end).map_or(rest.len() - 2 - hashes, |n| n + end.len())
                }
                // A raw identifier.
                false => 0,
            }
        } else if rest.starts_with('"') {
            let mut end = 1;
            while end < rest.len() && rest.as_bytes()[end] != b'"' {
                end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            (end + 1).min(rest.len())
        } else if rest.starts_with('\'') {
            // A character, not a lifetime.
            match rest.char_indices().nth(2) {
                Some((n, '\'')) => n + 1,
                _ if rest.starts_with("'\\") => rest[2..].find('\'').map_or(1, |n| n + 3).min(rest.len()),
                _ => 0,
            }
        } else {
            0
        };
        if skipped > 0 {
            code.push(' ');
            at += skipped;
        } else {
            let c = rest.chars().next().unwrap();
            code.push(c);
            at += c.len_utf8();
        }
    }
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

/// All paths that begin with `crate` or `super`, whole, with the branches of `use` trees.
fn paths(module: &Module) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "super::"] {
        for (at, _) in module.code.match_indices(start) {
            let before = module.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            branches(&module.code[at..], String::new(), &mut found);
        }
    }
    found.into_iter().filter_map(|path| absolute(&path, &module.name)).collect()
}

/// Adds what a path, or the tree of a `use`, names; returns what follows it.
fn branches<'a>(mut text: &'a str, before: String, found: &mut BTreeSet<String>) -> &'a str {
    let mut path = before;
    loop {
        text = text.trim_start();
        if let Some(mut inner) = text.strip_prefix('{') {
            loop {
                inner = branches(inner, path.clone(), found).trim_start();
                match inner.strip_prefix(',') {
                    Some(next) if next.trim_start().starts_with('}') => return &next.trim_start()[1..],
                    Some(next) => inner = next,
                    None => return inner.strip_prefix('}').unwrap_or(inner),
                }
            }
        }
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        path.push_str(&text[..end]);
        text = &text[end..];
        match text.trim_start().strip_prefix("::") {
            Some(next) if next.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{' || c == '*') => {
                path.push_str("::");
                text = next.strip_prefix('*').unwrap_or(next);
            }
            _ => break,
        }
    }
    found.insert(path);
    // `as name` is of no interest.
    let rest = text.trim_start();
    match rest.strip_prefix("as ") {
        Some(name) => name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
        None => text,
    }
}

fn absolute(path: &str, module: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    if parts.first() == Some(&"crate") {
        return Some(parts[1..].join("::"));
    }
    let mut base: Vec<&str> = module.split("::").collect();
    while parts.first() == Some(&"super") {
        parts.remove(0);
        base.pop();
    }
    Some(base.into_iter().chain(parts).collect::<Vec<_>>().join("::"))
}

/// The module that a path leads to.
fn owner<'a>(path: &str, names: &BTreeSet<&'a str>) -> Option<&'a str> {
    let mut path = path;
    loop {
        if let Some(name) = names.get(path) {
            return Some(name);
        }
        path = path.rsplit_once("::")?.0;
    }
}

fn floor(rooms: &[&[&str]], room: &str) -> usize {
    rooms.iter().position(|row| row.contains(&room)).unwrap_or_else(|| panic!("{room} has no place in the order"))
}

/// Whether `from` may know `to`.
fn may(from: &str, to: &str) -> bool {
    let (from_room, to_room) = (from.split("::").next().unwrap(), to.split("::").next().unwrap());
    if from_room != to_room {
        return floor(ROOMS, from_room) < floor(ROOMS, to_room);
    }
    let (Some(from), Some(to)) = (from.split("::").nth(1), to.split("::").nth(1)) else { return true };
    from_room != "journal" || from == to || floor(JOURNAL, from) < floor(JOURNAL, to)
}

/// Who leans the wrong way, and onto what.
fn leaning(modules: &[Module]) -> BTreeSet<(String, String)> {
    let names: BTreeSet<&str> = modules.iter().map(|module| &*module.name).collect();
    let mut wrong = BTreeSet::new();
    for module in modules {
        for path in paths(module) {
            if let Some(to) = owner(&path, &names)
                && !may(&module.name, to)
            {
                wrong.insert((module.name.clone(), to.to_owned()));
            }
        }
    }
    wrong
}

#[test]
fn rooms_lean_down_only() {
    let found = leaning(&modules());
    let known: BTreeSet<(String, String)> =
        EXCEPTIONS.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let settled: Vec<_> = known.difference(&found).collect();
    assert!(new.is_empty(), "these lean up (see the map in src/lib.rs): {new:#?}");
    assert!(settled.is_empty(), "these are exceptions no more, take them off the list: {settled:#?}");
}

/// Files outside `journal` that name SQLite's crate. What they hold is a `journal::Journal`, out of which the compiler lets
/// nobody but the journal take the connection.
fn naming_sqlite(modules: &[Module]) -> Vec<&str> {
    let outside = |module: &&Module| module.name != "journal" && !module.name.starts_with("journal::");
    modules
        .iter()
        .filter(outside)
        .filter(|module| module.code.contains("rusqlite"))
        .map(|module| &*module.name)
        .collect()
}

#[test]
fn sqlite_is_named_in_the_journal_alone() {
    assert_eq!(naming_sqlite(&modules()), [""; 0], "files outside the journal that know rusqlite");
    let module = |name: &str, code: &str| Module { name: name.into(), code: code_of(code) };
    let seen = [
        module("journal::open", "use rusqlite::Connection;"),
        module("run::pipeline", "fn f(connection: &rusqlite::Connection) {}"),
        module("cli::cancel", "// rusqlite\nconst A: &str = \"rusqlite\";"),
        module("cli::find", "#[cfg(test)]\nmod tests {\n use rusqlite::Connection;\n}"),
    ];
    assert_eq!(naming_sqlite(&seen), ["run::pipeline"]);
}

#[test]
fn sql_stands_in_the_journal_alone() {
    let mut found = BTreeMap::new();
    for module in modules().iter().filter(|module| !module.name.starts_with("journal")) {
        let path = source().join(module.name.replace("::", "/"));
        let text = std::fs::read_to_string(path.with_extension("rs"))
            .or_else(|_| std::fs::read_to_string(path.join("mod.rs")))
            .unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let is_sql = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "BEGIN IMMEDIATE", "PRAGMA "]
                .iter()
                .any(|word| line.contains(&format!("\"{word}")));
            if is_sql {
                found.insert(format!("{}:{}", module.name, n + 1), line.trim().to_owned());
            }
        }
    }
    assert!(found.is_empty(), "SQL outside src/journal: {found:#?}");
}

#[test]
fn what_leans_up_is_seen() {
    let module = |name: &str, code: &str| Module { name: name.into(), code: code_of(code) };
    let seen = |modules: &[Module]| leaning(modules).into_iter().collect::<Vec<_>>();
    let pair = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    let cases = [
        ("use crate::{words::near, cli::{self, send}};", pair("wire::tlv", "cli::send")),
        ("fn f() { crate::cli::send::now() }", pair("wire::tlv", "cli::send")),
        ("use super::super::cli::send as s;", pair("wire::tlv", "cli::send")),
        ("// crate::cli::send\nconst A: &str = \"crate::cli::send\";", vec![]),
        ("use crate::words::near;", vec![]),
        ("#[cfg(test)]\nmod tests {\n use crate::cli::send;\n}", vec![]),
    ];
    for (code, expected) in cases {
        let modules =
            [module("cli", ""), module("cli::send", ""), module("words::near", ""), module("wire::tlv", code)];
        let found: Vec<_> = seen(&modules).into_iter().filter(|(_, to)| to != "cli").collect();
        assert_eq!(found, expected, "{code}");
    }
    let inside = [
        module("journal::store::counts", "use crate::journal::writer::claim;"),
        module("journal::writer::claim", "use crate::journal::store::counts;"),
    ];
    assert_eq!(seen(&inside), pair("journal::store::counts", "journal::writer::claim"));
}
