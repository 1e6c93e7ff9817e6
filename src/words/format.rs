//! Numbers, durations and times as people read them, and lines that fit a terminal.

use crate::words::commands;
use crate::words::escape::escape_terminal;
use crate::words::stamp::Stamp;
use std::io::{self, Write};
use std::path::Path;

/// Columns where the terminal does not say.
const WIDTH: usize = 80;
/// Narrower terminals are treated as this wide, and wrap by themselves.
const WIDTH_MIN: usize = 30;
/// Lines longer than this are hard to read, however wide the terminal.
const WIDTH_MAX: usize = 120;

/// How many columns there are: `COLUMNS`, or what the terminal says, or 80.
pub fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    set.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))).unwrap_or(WIDTH)
}

/// `1,234,567`.
pub fn number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut shown = String::from(if n < 0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1,234 messages`, `1 message`.
pub fn count(n: i64, what: &str) -> String {
    format!("{} {what}{}", number(n), if n == 1 { "" } else { "s" })
}

/// `once`, `12 times`.
pub fn times(n: i64) -> String {
    match n {
        1 => "once".into(),
        n => format!("{} times", number(n)),
    }
}

/// A share in percent with one decimal: `12.5 %`. What is not quite nothing or all never reads so.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return String::new();
    }
    let tenths = (part as f64 * 1_000.0 / whole as f64).round() as i64;
    let tenths = if part > 0 && part < whole { tenths.clamp(1, 999) } else { tenths };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A duration in its two greatest units: `850 ms`, `2.5 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        ..1 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A rate: `29.8`, `4,120`.
pub fn rate(per_second: f64) -> String {
    if per_second >= 100.0 { number(per_second.round() as i64) } else { format!("{per_second:.1}") }
}

/// `2026-03-29 01:59:59`.
pub fn moment(stamp: Stamp) -> String {
    let text = stamp.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// A name or path as an argument of a command line that can be pasted, and shown. One that begins with a dash is taken for
/// an option unless `--` stands before it: see [`command`].
pub fn argument(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._-+/:@%,=".contains(c);
    if !name.is_empty() && name.chars().all(harmless) {
        return name.to_owned();
    }
    if escape_terminal(name) == name {
        return format!("'{}'", name.replace('\'', "'\\''"));
    }
    // What a terminal would obey is spelled out: bash, zsh and ksh read this, and so does POSIX since 2024.
    let mut quoted = String::from("$'");
    for c in name.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if escape_terminal(c.encode_utf8(&mut [0; 4])) == c.to_string() => quoted.push(c),
            // Octal of three digits: a digit after it is no part of it.
            c => quoted.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|octet| format!("\\{octet:03o}"))),
        }
    }
    quoted + "'"
}

/// A path as an argument, which no program takes for an option.
pub fn path_argument(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.starts_with('-') { argument(&format!("./{path}")) } else { argument(&path) }
}

/// A command that can be pasted: `smppost resume spring --journal other.db`. `before` is all up to the name, `after` the
/// options that follow it, each with a space before it.
pub fn command(before: &str, name: &str, after: &str) -> String {
    let argument = argument(name);
    if name.starts_with('-') {
        // From there on nothing is an option.
        format!("{before}{after} -- {argument}")
    } else {
        format!("{before} {argument}{after}")
    }
}

/// What a command needs to be about the same journal: ` --journal FILE`, or nothing where the environment names it.
pub fn journal_option(journal: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let named = std::env::var_os("SMPPOST_JOURNAL").filter(|path| !path.is_empty());
    if named.is_some_and(|path| absolute(Path::new(&path)) == absolute(journal)) {
        return String::new();
    }
    format!(" --journal {}", path_argument(journal))
}

/// The SHA-256 of octets, in hex.
pub fn hex_digest(octets: &[u8]) -> String {
    use sha2::Digest;
    crate::words::escape::hex(&sha2::Sha256::digest(octets))
}

/// Writes `text` in lines of at most `width` columns, the first after `first`, the others indented as far as `indent`.
/// What is longer than a line is cut nowhere: a command must stay whole to be pasted.
pub fn wrapped(out: &mut dyn Write, width: usize, first: &str, indent: usize, text: &str) -> io::Result<()> {
    let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
    let mut line = first.to_owned();
    let mut used = line.chars().count();
    let mut begun = false;
    for word in words(text) {
        let length = word.chars().count();
        if (begun || used > indent) && used + usize::from(begun) + length > width {
            writeln!(out, "{}", line.trim_end())?;
            line.clear();
            line.extend(std::iter::repeat_n(' ', indent));
            used = indent;
            begun = false;
        }
        if begun {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
        begun = true;
    }
    writeln!(out, "{}", line.trim_end())
}

/// Words; what stands between backquotes is one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        // It ends at the first space outside of backquotes.
        let mut end = 0;
        while let Some(at) = rest[end..].find([' ', '`']) {
            end += at;
            if rest[end..].starts_with(' ') {
                break;
            }
            end += 1;
            end = (end + commands::end(&rest[end..]) + 1).min(rest.len());
        }
        let end = if rest[end..].starts_with(' ') { end } else { rest.len() };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// `text` in at most `columns` columns, the end of a longer one replaced by an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut shown: String = text.chars().take(columns.saturating_sub(1)).collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_shares_and_durations() {
        for (n, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(number(n), expected);
        }
        for (part, whole, expected) in
            [(0, 10, "0.0 %"), (10, 10, "100.0 %"), (1, 1_000_000, "0.1 %"), (999_999, 1_000_000, "99.9 %"), (1, 0, "")]
        {
            assert_eq!(percent(part, whole), expected);
        }
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (2_599, "2.5 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(ms), expected);
        }
        assert_eq!((rate(29.84), rate(4_120.4)), ("29.8".to_owned(), "4,120".to_owned()));
        assert_eq!(moment(Stamp(1_774_749_599_250)), "2026-03-29 01:59:59");
    }

    #[test]
    fn arguments_can_be_pasted() {
        for (name, expected) in [
            ("spring", "spring"),
            ("a b", "'a b'"),
            ("-x", "-x"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("a\u{1b}7'\n", "$'a\\0337\\'\\012'"),
            ("\u{202e}é", "$'\\342\\200\\256é'"),
        ] {
            assert_eq!(argument(name), expected);
            // A shell gives it back.
            let script = format!("printf %s {expected}");
            if let Ok(output) = std::process::Command::new("bash").args(["-c", &script]).output() {
                assert_eq!(String::from_utf8(output.stdout).unwrap(), name);
            }
        }
        assert_eq!(path_argument(Path::new("-a b.db")), "'./-a b.db'");
        assert_eq!(command("smppost resume", "a b", " --journal j.db"), "smppost resume 'a b' --journal j.db");
        assert_eq!(command("smppost resume", "-x", " --journal j.db"), "smppost resume --journal j.db -- -x");
    }

    #[test]
    fn f49_lines_fit_forty_columns_and_commands_stay_whole() {
        let mut out = Vec::new();
        let split = |text| words(text).collect::<Vec<_>>();
        assert_eq!(split("do `a 'b` c'`, then  d"), ["do", "`a 'b` c'`,", "then", "d"]);
        assert_eq!(split("`a b"), ["`a b"]);
        let text = "nobody can know whether they arrived; decide with `smppost resolve spring --resend` or wait";
        wrapped(&mut out, 40, "  ", 2, text).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("`smppost resolve spring --resend`"), "{out}");
        assert!(out.lines().all(|line| line.chars().count() <= 40), "{out}");
        assert!(out.lines().all(|line| line.starts_with("  ")), "{out}");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
