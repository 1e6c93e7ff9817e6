//! What the name of a file in the folder says. Names are octets: they need not be UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The settings of the folder.
pub const SETTINGS: &str = "smppost-watch.toml";
/// The folder's own folders.
pub const FOLDERS: [&str; 4] = ["work", "done", "failed", "again"];
/// Octets that a name can have.
const NAME_MAX: usize = 255;
/// What uploads are called until they are whole.
const UNFINISHED: [&[u8]; 3] = [b".tmp", b".part", b".filepart"];
/// What a file is packed in, and what it is then.
const ENDINGS: [&[&[u8]]; 2] = [&[b".gz", b".zst"], &[b".csv", b".txt", b".tsv", b".xlsx", b".ods"]];

/// What a name means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing to us.
    LeftAlone,
    /// It belongs to a campaign's file: `NAME.toml`, `NAME.ready`.
    Beside,
    /// A campaign.
    Campaign,
}

/// What a name means.
pub fn kind(name: &OsStr) -> Kind {
    let octets = name.as_bytes();
    let lower = octets.to_ascii_lowercase();
    match () {
        () if octets.starts_with(b".") || UNFINISHED.iter().any(|ending| lower.ends_with(ending)) => Kind::LeftAlone,
        () if name == SETTINGS || FOLDERS.iter().any(|folder| name == *folder) => Kind::LeftAlone,
        () if octets.ends_with(b".toml") || octets.ends_with(b".ready") => Kind::Beside,
        () => Kind::Campaign,
    }
}

/// `NAME` of `NAME.csv` and of `NAME.csv.gz`; of a name without a known ending all of it.
pub fn stem(name: &OsStr) -> OsString {
    let mut octets = name.as_bytes();
    for endings in ENDINGS {
        let lower = octets.to_ascii_lowercase();
        // A name that is an ending alone would leave nothing.
        let ending = endings.iter().find(|ending| lower.ends_with(ending) && octets.len() > ending.len());
        octets = &octets[..octets.len() - ending.map_or(0, |ending| ending.len())];
    }
    OsString::from_vec(octets.to_vec())
}

/// The file beside it that says how it is to be read: `NAME.toml`.
pub fn sidecar(name: &OsStr) -> OsString {
    with(&stem(name), ".toml")
}

/// The files that say that it is whole: `NAME.ready`, `NAME.csv.ready`.
pub fn ready(name: &OsStr) -> [OsString; 2] {
    [with(&stem(name), ".ready"), with(name, ".ready")]
}

fn with(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

/// The `n`-th name that is tried for a file that goes where its own name may be taken, from 1: `NAME.csv`, `NAME-2.csv`.
pub fn numbered(name: &OsStr, n: usize) -> OsString {
    if n <= 1 {
        return name.to_owned();
    }
    let stem = stem(name);
    let ending = &name.as_bytes()[stem.as_bytes().len()..];
    let number = format!("-{n}");
    let mut octets = cut(stem.as_bytes(), NAME_MAX - ending.len() - number.len()).to_vec();
    octets.extend_from_slice(number.as_bytes());
    octets.extend_from_slice(ending);
    OsString::from_vec(octets)
}

/// `NAME` with another ending. Of a name that is too long for it, the beginning and a number that tells it from others.
pub fn beside(name: &OsStr, ending: &str) -> OsString {
    let stem = stem(name);
    if stem.as_bytes().len() + ending.len() <= NAME_MAX {
        return with(&stem, ending);
    }
    let digest = crate::words::format::hex_digest(name.as_bytes());
    let mark = format!("~{}{ending}", digest.get(..8).unwrap_or_default());
    let mut octets = cut(stem.as_bytes(), NAME_MAX - mark.len()).to_vec();
    octets.extend_from_slice(mark.as_bytes());
    OsString::from_vec(octets)
}

/// The first octets, without half a character at the end where they are UTF-8.
fn cut(octets: &[u8], length: usize) -> &[u8] {
    let mut end = length.min(octets.len());
    while end > 0 && end < octets.len() && octets[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &octets[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_means() {
        for (name, expected) in [
            ("spring.csv", Kind::Campaign),
            ("spring", Kind::Campaign),
            ("a b.csv.gz", Kind::Campaign),
            ("list.XLSX", Kind::Campaign),
            (".spring.csv.Xy12", Kind::LeftAlone),
            ("spring.csv.part", Kind::LeftAlone),
            ("spring.csv.filepart", Kind::LeftAlone),
            ("spring.TMP", Kind::LeftAlone),
            ("work", Kind::LeftAlone),
            ("smppost-watch.toml", Kind::LeftAlone),
            ("spring.toml", Kind::Beside),
            ("spring.csv.ready", Kind::Beside),
            ("work.csv", Kind::Campaign),
        ] {
            assert_eq!(kind(OsStr::new(name)), expected, "{name}");
        }
        assert_eq!(kind(OsStr::from_bytes(b"\xff\xfe.csv")), Kind::Campaign);
    }

    #[test]
    fn names_that_belong_to_a_file() {
        for (name, stem_of) in
            [("a.csv", "a"), ("a.csv.gz", "a"), ("a.b", "a.b"), ("a.tar.gz", "a.tar"), (".csv", ".csv"), ("A.CSV", "A")]
        {
            assert_eq!(stem(OsStr::new(name)), stem_of, "{name}");
        }
        let name = OsStr::new("a.csv");
        assert_eq!(sidecar(name), "a.toml");
        assert_eq!(ready(name), ["a.ready", "a.csv.ready"]);
        assert_eq!((numbered(name, 1), numbered(name, 12)), ("a.csv".into(), "a-12.csv".into()));
        assert_eq!(beside(name, ".error.txt"), "a.error.txt");
    }

    #[test]
    fn no_name_is_longer_than_a_file_system_takes() {
        for long in ["x".repeat(255), "é".repeat(127), format!("{}.csv", "x".repeat(251))] {
            let name = OsString::from(&long);
            for made in [numbered(&name, 2), numbered(&name, 1_000), beside(&name, ".result.csv")] {
                assert!(made.as_bytes().len() <= NAME_MAX && made.to_str().is_some(), "{made:?}");
            }
            let other = OsString::from(format!("{}y", &long[..long.len() - 2]));
            assert_ne!(beside(&name, ".error.txt"), beside(&other, ".error.txt"));
        }
    }
}
