//! Names of encodings, as they are typed and said.

use crate::words::{BadValue, bad};
use std::str::FromStr;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

/// Names that people use and the standard's list of labels lacks.
const MORE_LABELS: [(&str, &str); 16] = [
    ("latin-1", "latin1"),
    ("latin-2", "latin2"),
    ("latin-5", "latin5"),
    ("utf16", "utf-16"),
    ("utf16le", "utf-16le"),
    ("utf16be", "utf-16be"),
    ("macroman", "macintosh"),
    ("mac-roman", "macintosh"),
    ("mac_roman", "macintosh"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp874", "windows-874"),
    ("utf8-sig", "utf-8"),
    ("utf-8-sig", "utf-8"),
];

/// How the characters of a file are written. A mark at its start that says UTF-8 or UTF-16 beats it, and is stripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileEncoding(&'static Encoding);

impl FileEncoding {
    /// UTF-8.
    pub const UTF_8: FileEncoding = FileEncoding(UTF_8);

    pub(super) fn new(encoding: &'static Encoding) -> FileEncoding {
        FileEncoding(encoding)
    }

    pub(super) fn get(self) -> &'static Encoding {
        self.0
    }

    /// Whether two octets, or a pair of such, make a character.
    pub(super) fn is_utf16(self) -> bool {
        self.0 == UTF_16LE || self.0 == UTF_16BE
    }

    /// Its name, as `--encoding` takes it.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl FromStr for FileEncoding {
    type Err = BadValue;

    /// All labels of the WHATWG's Encoding Standard, and some more.
    fn from_str(name: &str) -> Result<FileEncoding, BadValue> {
        let typed = name.trim().to_ascii_lowercase();
        let label = MORE_LABELS.iter().find(|(known, _)| *known == typed).map_or(typed.as_str(), |(_, label)| label);
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) if encoding != X_USER_DEFINED => Ok(FileEncoding(encoding)),
            _ => Err(bad!(
                "`{name}` is not an encoding that is known: use utf-8, utf-16, windows-1252 (Western Europe), windows-1250 \
                 (Central Europe), windows-1251 (Cyrillic), windows-1254 (Turkish), macintosh, shift_jis, gbk, big5 or any \
                 other name of the WHATWG's Encoding Standard"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_people_write_them() {
        for (typed, name) in [
            ("utf-8", "UTF-8"),
            ("UTF8", "UTF-8"),
            ("latin1", "windows-1252"),
            ("Latin-1", "windows-1252"),
            ("iso-8859-15", "ISO-8859-15"),
            ("cp1251", "windows-1251"),
            ("Windows-1254", "windows-1254"),
            ("koi8-r", "KOI8-R"),
            ("sjis", "Shift_JIS"),
            ("cp932", "Shift_JIS"),
            ("MacRoman", "macintosh"),
            ("utf-16", "UTF-16LE"),
            ("utf-16be", "UTF-16BE"),
            ("gb18030", "gb18030"),
            (" big5 ", "Big5"),
        ] {
            assert_eq!(typed.parse::<FileEncoding>().map(FileEncoding::name), Ok(name), "{typed}");
        }
        for typed in ["", "utf-7", "hz-gb-2312", "x-user-defined", "klingon"] {
            assert!(typed.parse::<FileEncoding>().is_err(), "{typed}");
        }
    }
}
