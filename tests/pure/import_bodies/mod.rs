//! Properties that hold for any file and any text at all. The property tests feed them, and so do the fuzz targets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a property that does not hold must panic")]

use smppost::testing::import::{Event, FileEncoding, RowReader, Settings, Tally, TextSource, digest_of};
use smppost::testing::message::text::{
    Choice, DefaultAlphabet, ESM_CLASS_UDHI, Encoder, Encoding, Policy, Reference, concatenation, decode, encode_part,
    segment, split_udh,
};
use std::collections::HashSet;
use std::io::{self, Read};

/// Gives at most so many octets a read, as a pipe may.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.1.min(buffer.len()).min(self.0.len());
        buffer[..octets].copy_from_slice(&self.0[..octets]);
        self.0 = &self.0[octets..];
        Ok(octets)
    }
}

/// Campaign files: the first octet is the settings, the second the size of the reads, the rest the file.
pub fn csv_import(data: &[u8]) {
    let [settings, step, file @ ..] = data else { return };
    let settings = Settings {
        file_encoding: match settings & 3 {
            0 => None,
            1 => "utf-8".parse().ok(),
            2 => "latin1".parse().ok(),
            _ => "utf-16".parse().ok(),
        },
        text: match settings >> 2 & 3 {
            0 | 1 => TextSource::Column("text".into()),
            2 => TextSource::Template("Hi {name|you}: {{{text}}}".into()),
            _ => TextSource::Template("{name}".into()),
        },
        allow_duplicates: settings & 0x10 != 0,
        strict: settings & 0x20 != 0,
        delimiter: (settings & 0x40 != 0).then_some(b';'),
        from: (settings & 0x80 != 0).then(|| "Shop".into()),
        ..Settings::default()
    };
    let whole = events(file, usize::MAX, settings.clone());
    let pieces = events(file, usize::from(*step) + 1, settings);
    assert_eq!(whole, pieces);
}

/// What a file comes to, in words, with its error at the end where it has one; checks what must hold of each row.
fn events(file: &[u8], step: usize, settings: Settings) -> (Vec<String>, Option<String>) {
    let mut found = Vec::new();
    let utf8 = settings.file_encoding == Some(FileEncoding::UTF_8);
    let (is_strict, once) = (settings.strict, !settings.allow_duplicates);
    let mut reader = match RowReader::open(Trickle(file, step), settings) {
        Ok(reader) => reader,
        Err(error) => return (found, Some(error.to_string())),
    };
    let (mut tally, mut seen, mut last_line) = (Tally::new(), HashSet::new(), 1);
    loop {
        let event = match reader.next() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => return (found, Some(error.to_string())),
        };
        tally.note(&event);
        let (line, raw, words) = match &event {
            Event::Row(row) => {
                let digits = row.destination.digits();
                assert!((4..=16).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit()));
                assert!(seen.insert(digits.to_owned()) || !once);
                assert!(!row.text.trim().is_empty() && !row.text.contains('\0'));
                let Ok(encoder) = Encoder::new(row.text, row.segmentation.encoding, Reference::Bits8(7)) else {
                    panic!("{} was measured and cannot be encoded", row.text);
                };
                assert_eq!(encoder.total(), row.segmentation.parts);
                (row.line, None, format!("{digits} {:?} {:?} {:?}", row.source, row.text, row.fields))
            }
            Event::Rejected(rejected) => {
                assert!(!is_strict);
                (rejected.line, Some(rejected.row), rejected.reason.to_string())
            }
            Event::Duplicate(duplicate) => {
                assert!(once && seen.contains(duplicate.destination.digits()));
                (duplicate.line, Some(duplicate.row), "again".into())
            }
        };
        assert!(line > last_line, "a header comes first, and no two rows start on one line");
        last_line = line;
        if let Some(raw) = raw {
            assert!(!raw.is_empty() && !raw.starts_with(['\r', '\n']));
            assert!(
                !utf8 || file.windows(raw.len()).any(|piece| piece == raw.as_bytes()),
                "{raw:?} is not in the file"
            );
        }
        found.push(format!("{line} {words} {raw:?}"));
    }
    assert_eq!(
        (tally.rows, reader.rows(), reader.octets()),
        (found.len() as u64, found.len() as u64, file.len() as u64)
    );
    assert_eq!(tally.rows, tally.messages + tally.duplicates.count + tally.rejected_rows());
    assert_eq!(reader.digest(), digest_of(file).ok());
    (found, None)
}

/// Texts: the first octet is the encoding asked for, the next two the reference, the rest the text.
pub fn text_encoding(data: &[u8]) {
    let [choice, high, low, octets @ ..] = data else { return };
    // What an SMSC delivers may be anything.
    drop(decode(*choice, octets, DefaultAlphabet::Gsm7));
    let (udh, rest) = split_udh(octets);
    assert!(udh.len() + rest.len() <= octets.len());
    assert!(concatenation(udh).is_none_or(|found| (1..=found.total).contains(&found.number)));

    let text = String::from_utf8_lossy(octets);
    let reference = match choice & 4 {
        0 => Reference::Bits8(*high),
        _ => Reference::Bits16(u16::from_be_bytes([*high, *low])),
    };
    let choice = [Choice::Auto, Choice::Auto, Choice::Gsm7, Choice::Ucs2][usize::from(choice & 3)];
    let Ok(segmentation) = segment(&text, Policy { choice, concat: reference.concat(), ..Policy::default() }) else {
        return;
    };
    let encoding = segmentation.encoding;
    assert_eq!(segmentation.forced_by.is_some(), choice == Choice::Auto && encoding == Encoding::Ucs2);
    let mut encoder = Encoder::new(&text, encoding, reference).expect("what was measured can be encoded");
    let (mut message, mut part, mut numbers) = (String::new(), Vec::new(), 0..);
    while let Some(header) = encoder.next_into(&mut part) {
        let number = numbers.next().unwrap_or(0) + 1;
        assert_eq!((usize::from(header.number), header.total), (number, segmentation.parts));
        assert!(part.len() <= if encoding == Encoding::Gsm7 { 160 } else { 140 });
        let body = match header.esm_class {
            ESM_CLASS_UDHI => {
                let (udh, body) = split_udh(&part);
                let found = concatenation(udh).expect("a part of several says which it is");
                assert_eq!((found.number, found.total), (header.number, header.total));
                body
            }
            _ => &part,
        };
        message += &decode(header.data_coding, body, DefaultAlphabet::Gsm7);
        // Encoding one part alone, as a retry does, gives the same octets. Of the first ones only: it takes a walk each.
        if number <= 3 {
            let mut alone = Vec::new();
            assert_eq!(encode_part(&text, encoding, reference, header.number, &mut alone), Ok(Some(header)));
            assert_eq!(alone, part);
        }
        part.clear();
    }
    assert_eq!(message, text);
    assert_eq!(numbers.start, usize::from(segmentation.parts));
}
