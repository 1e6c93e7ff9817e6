//! Any file at all: what is read is what a plain reading finds, wherever a chunk ends, and nothing panics.

use super::{Trickle, encoded, encoding, utf16};
use crate::import::records::Records;
use crate::import::source::How;
use crate::import::{ImportError, RowReader, Settings};
use proptest::prelude::*;

/// Files made of the pieces that matter.
fn files() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab,;\"\r\n ]|\"\"|\"a\",|é", 0..40).prop_map(|pieces| pieces.concat())
}

/// A record's line, its text, and its fields unless a quote in it is stray.
type Plain<'a> = (u64, &'a str, Option<Vec<String>>);

/// The records of a file up to the first quote that is not closed where its field ends, and the line of that one.
fn plainly(file: &str) -> (Vec<Plain<'_>>, Option<u64>) {
    let mut records = Vec::new();
    let (mut line, mut rest) = (1, file);
    loop {
        let text = rest.trim_start_matches(['\r', '\n']);
        line += lines(&rest[..rest.len() - text.len()]);
        if text.is_empty() {
            return (records, None);
        }
        let (mut fields, mut is_stray, mut at) = (vec![String::new()], false, 0);
        let field_end = |c: char| matches!(c, ',' | '\r' | '\n');
        while let Some(c) = text[at..].chars().next() {
            // Spaces around quotes are none of the field.
            let before = text[..at].trim_end_matches([' ', '\t']);
            if c == '"' && before.chars().next_back().is_none_or(|before| before == ',') {
                fields.last_mut().unwrap().clear();
                let inside = text[at + 1..].replace("\"\"", "\0\0");
                let Some(end) = inside.find('"') else { return (records, Some(line + lines(&text[..at]))) };
                fields.last_mut().unwrap().push_str(&inside[..end].replace("\0\0", "\""));
                let opened = at;
                at += end + 2;
                let past = text[at..].trim_start_matches([' ', '\t']);
                if past.is_empty() || past.starts_with(field_end) {
                    at = text.len() - past.len();
                }
                let more = text[at..].find(field_end).unwrap_or(text.len() - at);
                if more > 0 && lines(&text[opened..at]) > 0 {
                    return (records, Some(line + lines(&text[..opened])));
                }
                is_stray |= more > 0;
                at += more;
                continue;
            }
            match c {
                '\r' | '\n' => break,
                ',' => fields.push(String::new()),
                c => fields.last_mut().unwrap().push(c),
            }
            at += c.len_utf8();
        }
        records.push((line, &text[..at], (!is_stray).then_some(fields)));
        line += lines(&text[..at]);
        rest = &text[at..];
    }
}

fn lines(text: &str) -> u64 {
    text.replace("\r\n", "\n").chars().filter(|c| matches!(c, '\r' | '\n')).count() as u64
}

proptest! {
    /// Lines, raw rows and fields are those that a reader finds who looks at one character after the other.
    #[test]
    fn records_are_those_of_a_plain_reading(file in files(), octets in 1usize..9) {
        let mut records = Records::new(Trickle(file.as_bytes(), octets), How { chunk_octets: 4096, ..How::default() }, b',');
        let (expected, open_at) = plainly(&file);
        for (line, raw, fields) in expected {
            prop_assert!(records.advance().unwrap());
            prop_assert_eq!((records.line(), records.raw()), (line, raw));
            prop_assert_eq!(records.stray_quote(), fields.is_none());
            if let Some(fields) = fields {
                let found: Vec<_> = (0..records.len()).map(|i| records.field(i).unwrap()).collect();
                prop_assert_eq!(found, fields);
            }
        }
        match (records.advance(), open_at) {
            (Ok(false), None) => {}
            (Err(ImportError::UnclosedQuote { line }), Some(at)) => prop_assert_eq!(line, at),
            (other, at) => panic!("{other:?}, {at:?}"),
        }
    }

    /// A chunk may end anywhere: inside a character, a line end, a doubled quote.
    #[test]
    fn chunks_make_no_difference(file in files(), chunk in 4usize..40) {
        let read = |file: &[u8], name, chunk| {
            let mut records = Records::new(file, How { encoding: Some(encoding(name)), chunk_octets: chunk, ..How::default() }, b',');
            let mut found = Vec::new();
            loop {
                match records.advance() {
                    Ok(true) => {
                        let fields: Vec<_> = (0..records.len()).map(|i| records.field(i).unwrap().to_owned()).collect();
                        found.push((records.line(), records.stray_quote(), records.raw().to_owned(), fields));
                    }
                    Ok(false) => return (found, None),
                    Err(error) => return (found, Some(error.to_string())),
                }
            }
        };
        let expected = read(file.as_bytes(), "utf-8", 4096);
        prop_assert_eq!(&read(file.as_bytes(), "utf-8", chunk), &expected);
        let wide = utf16(&format!("\u{feff}{file}"), u16::to_be_bytes);
        prop_assert_eq!(&read(&wide, "utf-16", chunk), &expected);
    }

    #[test]
    fn no_file_panics(file in proptest::collection::vec(any::<u8>(), 0..200), rows in files()) {
        for name in ["utf-8", "latin1", "utf-16", "shift_jis"] {
            let _ = read_any(&file, encoded(name));
            let _ = read_any(format!("to,text\n{rows}").as_bytes(), encoded(name));
        }
        let _ = read_any(&[b"to,text\n", file.as_slice()].concat(), Settings::default());
    }
}

fn read_any(file: &[u8], settings: Settings) -> Result<(), ImportError> {
    let mut reader = RowReader::open(file, settings)?;
    while reader.next()?.is_some() {}
    Ok(())
}
