//! A file of settings without profiles: keys and values, each with its line.

use super::file::{ConfigError, Entry, Profile, values_of};
use crate::words::near::distance;
use crate::words::trouble::shown;
use std::path::Path;
use toml::de::DeTable;

/// Reads it; `known`: the keys that it may have.
pub fn parse(path: &Path, text: &str, known: &[String]) -> Result<Profile, ConfigError> {
    let line_of = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count();
    let wrong = |at: usize, words: String| ConfigError::Line { path: path.into(), line: line_of(at), words };
    let document = DeTable::parse(text).map_err(|error| {
        wrong(error.span().map_or(0, |span| span.start), error.message().lines().collect::<Vec<_>>().join(" "))
    })?;
    let mut entries = Vec::new();
    for (key, value) in document.get_ref() {
        let (key, at) = (key.get_ref().to_string(), key.span().start);
        if !known.contains(&key) {
            return Err(wrong(at, unknown(&key, known)));
        }
        let values = values_of(at, value.get_ref(), false).map_err(|words| wrong(at, format!("`{key}` {words}")))?;
        let (values, lines) = values.into_iter().map(|(at, value)| (value, line_of(at))).unzip();
        entries.push(Entry { key, line: line_of(at), values, lines });
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(Profile { name: shown(path), entries })
}

fn unknown(key: &str, known: &[String]) -> String {
    let nearest = known.iter().map(|known| (distance(key, known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= 2 + key.len() / 6 => {
            format!("there is no key `{key}` here; did you mean `{nearest}`?")
        }
        _ => format!("there is no key `{key}` here; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_lines_and_what_is_none_is_named() {
        let known = ["text", "release", "field"].map(str::to_owned);
        let read = |text: &str| parse(Path::new("dir/a.toml"), text, &known);
        let read_right = read("# of the shop\ntext = 'Hi'\nrelease = true\n[field]\nvalidity_period = '2h'\n").unwrap();
        let found: Vec<_> =
            read_right.entries.iter().map(|entry| (&*entry.key, entry.line, &*entry.values[0])).collect();
        assert_eq!(found, [("text", 2, "Hi"), ("release", 3, "true"), ("field", 4, "validity_period=2h")]);
        for (text, words) in [
            (
                "text = 'a'\nrelase = true\n",
                "dir/a.toml line 2: there is no key `relase` here; did you mean `release`?",
            ),
            ("colour = 1\n", "line 1: there is no key `colour` here; there are text, release, field"),
            ("text = 'a'\n\ntext = 'b'\n", "line 3"),
            ("text = \n", "line 1"),
            ("text = [['a']]\n", "`text` is nested too deeply"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
