use std::fmt::Write as _;
use std::io::{self, Read};

use proptest::prelude::*;

use super::reader::Row;
use super::records::Records;
use super::*;
use crate::message::address::DestinationError;
use crate::message::fields::SubmitFields;
use crate::message::text::{Choice, Encoding};

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

/// One line of words for each event: `2 447700900123 Shop text`, `3 rejected to_short`, `4 duplicate 447700900123`.
fn read(file: impl AsRef<[u8]>, settings: Settings) -> Result<Vec<String>, ImportError> {
    let mut reader = RowReader::open(Trickle(file.as_ref(), 7), settings)?;
    let mut events = Vec::new();
    while let Some(event) = reader.next()? {
        events.push(match event {
            Event::Row(row) => {
                format!("{} {} {} {}", row.line, row.destination.digits(), row.source.unwrap_or("-"), row.text)
            }
            Event::Rejected(rejected) => format!("{} rejected {}", rejected.line, rejected.reason.code()),
            Event::Duplicate(duplicate) => format!("{} duplicate {}", duplicate.line, duplicate.destination.digits()),
        });
    }
    assert_eq!(reader.digest(), Some(digest_of(file.as_ref()).unwrap()));
    assert_eq!((reader.octets(), reader.rows()), (file.as_ref().len() as u64, events.len() as u64));
    Ok(events)
}

fn read_plain(file: impl AsRef<[u8]>) -> Vec<String> {
    read(file, Settings::default()).unwrap()
}

fn refused(file: impl AsRef<[u8]>) -> ImportError {
    read(file, Settings::default()).unwrap_err()
}

fn encoded(file_encoding: FileEncoding) -> Settings {
    Settings { file_encoding, ..Settings::default() }
}

fn template(text: &str) -> Settings {
    Settings { text: TextSource::Template(text.to_owned()), ..Settings::default() }
}

fn utf16(text: &str, octets: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(octets).collect()
}

#[test]
fn f01_bom_is_stripped() {
    let rows = ["2 447700900001 - é €"];
    let text = "to,text\n447700900001,é €\n";
    assert_eq!(read_plain(text), rows);
    assert_eq!(read_plain(format!("\u{feff}{text}")), rows);
    let marked = format!("\u{feff}{text}");
    for file in [
        utf16(text, u16::to_le_bytes),
        utf16(text, u16::to_be_bytes),
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
    ] {
        assert_eq!(read(&file, encoded(FileEncoding::Utf16)).unwrap(), rows);
        let error = refused(&file);
        assert!(matches!(error, ImportError::Utf16), "{error}");
        assert!(error.to_string().contains("--encoding utf-16"));
    }
    assert_eq!(read(b"to,text\n447700900001,\xE9 \x80\n", encoded(FileEncoding::Latin1)).unwrap(), rows);
}

#[test]
fn f01_invalid_octets_are_refused_with_line_and_octet() {
    let long = "to,text\n447700900001,fine\n".to_owned() + &"447700900001,é\r\n".repeat(20_000);
    let cases: [(Vec<u8>, FileEncoding, u64, u64); 7] = [
        (b"to,text\n447700900001,\xE9\n".to_vec(), FileEncoding::Utf8, 2, 21),
        (b"to,\xFFtext\n".to_vec(), FileEncoding::Utf8, 1, 3),
        (b"\xEF\xBB\xBFto,text\r\n\r\n\"\n\xC3(\"".to_vec(), FileEncoding::Utf8, 4, 16),
        (b"to,text\n447700900001,\xE2\x82".to_vec(), FileEncoding::Utf8, 2, 21),
        ([long.as_bytes(), b"\xC3"].concat(), FileEncoding::Utf8, 20_003, long.len() as u64),
        (
            utf16("to,text\n4", u16::to_le_bytes).into_iter().chain([0x00, 0xD8, b'x', 0]).collect(),
            FileEncoding::Utf16,
            2,
            18,
        ),
        (b"t\0o\0,".to_vec(), FileEncoding::Utf16, 1, 4),
    ];
    for (file, file_encoding, at_line, at_octet) in cases {
        match read(&file, encoded(file_encoding)) {
            Err(ImportError::Malformed { encoding, line, octet }) => {
                assert_eq!((encoding, line, octet), (file_encoding, at_line, at_octet));
            }
            other => panic!("{other:?}"),
        }
    }
    let words = refused(b"to,text\n447700900001,\xE9\n").to_string();
    assert!(
        words.starts_with("line 2, octet 21 of the file:") && words.contains("--encoding latin1|utf-16"),
        "{words}"
    );
}

#[test]
fn f02_spoilt_numbers_are_rejected_by_name() {
    let file = "to,text\n4.47701E+11,a\n٤٤٧٧٠٠٩٠٠١٢٣,a\n447700900123.0,a\n123,a\n,a\n12345678901234567,a\n44-7700,a\n";
    let codes = ["spreadsheet", "script", "decimal", "short", "empty", "long", "character"];
    let expected: Vec<_> = codes.iter().zip(2..).map(|(code, line)| format!("{line} rejected to_{code}")).collect();
    assert_eq!(read_plain(file), expected);
}

#[test]
fn f03_delimiters_and_line_ends() {
    let rows = ["2 447700900001 Shop a", "3 447700900002 - b, c"];
    for file in [
        "to,from,text\n447700900001,Shop,a\n447700900002,,\"b, c\"\n",
        "to;from;text\n447700900001;Shop;a\n447700900002;;b, c\n",
        "to\tfrom\ttext\n447700900001\tShop\ta\n447700900002\t\tb, c\n",
        "to|from|text\r\n447700900001|Shop|a\r\n447700900002||b, c",
        "to;from;text\r447700900001;Shop;a\r447700900002;;b, c",
        "text;a, b, c, d;to;from\na;x;447700900001;Shop\nb, c;x;447700900002;\n",
        "\"text\";\"to\";\"from\"\n\"a\";447700900001;Shop\n\"b, c\";447700900002;\n",
        " To ;FROM;\"te\"\"xt\";Text\n447700900001;Shop;;a\n447700900002;;;b, c\n",
        "\"note\nmore\";to;from;text\n;447700900001;Shop;a\n;447700900002;;b, c",
        "sep=;\r\nto;from;text\r\n447700900001;Shop;a\r\n447700900002;;b, c\r\n",
    ] {
        let shift = u64::from(file.starts_with("sep") || file.starts_with("\"note"));
        let rows = rows.map(|row| format!("{}{}", row[..1].parse::<u64>().unwrap() + shift, &row[1..]));
        assert_eq!(read_plain(file), rows, "{file:?}");
    }
    let given = Settings { delimiter: Some(b'^'), ..Settings::default() };
    assert_eq!(read("to^text\n447700900001^a,b;c\n", given).unwrap(), ["2 447700900001 - a,b;c"]);
    let bad = Settings { delimiter: Some(b'"'), ..Settings::default() };
    assert!(matches!(read("to,text\n", bad), Err(ImportError::Delimiter(b'"'))));
}

#[test]
fn f03_lines_are_physical() {
    let file =
        "\r\n\nto,text\r\n\r\n447700900001,\"one\r\ntwo\n\"\"three\"\"\"\r\n\n\n447700900002,x\r\n447700900003,y";
    assert_eq!(
        read_plain(file),
        ["5 447700900001 - one\r\ntwo\n\"three\"", "10 447700900002 - x", "11 447700900003 - y"]
    );
}

#[test]
fn f04_duplicates() {
    let file = "to,text\n447700900001,a\n+447700900001,b\n44,c\n447700900002,\n447700900002,d\n0447700900001,e\n";
    assert_eq!(
        read_plain(file),
        [
            "2 447700900001 - a",
            "3 duplicate 447700900001",
            "4 rejected to_short",
            "5 rejected text_empty",
            "6 447700900002 - d",
            "7 0447700900001 - e",
        ]
    );
    let rows = ["2 447700900001 - a", "3 duplicate 00447700900001", "4 07700900001 - c"];
    assert_eq!(read_plain("to,text\n447700900001,a\n+00447700900001,b\n07700900001,c\n"), rows);
    let all = Settings { allow_duplicates: true, ..Settings::default() };
    assert_eq!(read(file, all).unwrap()[1], "3 447700900001 - b");
}

#[test]
fn f05_templates() {
    let file = "to,name,text\n447700900001,Ann,{to}\n447700900002,,x\n";
    assert_eq!(
        read(file, template("Hi {name}{{}}")).unwrap(),
        ["2 447700900001 - Hi Ann{}", "3 rejected text_missing"]
    );
    assert_eq!(read(file, template("Hi {name|you}")).unwrap()[1], "3 447700900002 - Hi you");
    assert_eq!(read_plain(file)[0], "2 447700900001 - {to}");
    for text in ["Hi {nmae}", "Hi {name"] {
        assert!(matches!(read(file, template(text)), Err(ImportError::Template(_))), "{text}");
    }
}

#[test]
fn f06_nul_in_a_text() {
    let file = "to,text\n447700900001,a\0b\n447700900002,\u{1b}[2J\n";
    assert_eq!(read_plain(file), ["2 rejected text_nul", "3 447700900002 - \u{1b}[2J"]);
    let forced = Settings { policy: Choice::Gsm7.into(), ..Settings::default() };
    assert_eq!(read(file, forced).unwrap(), ["2 rejected text_nul", "3 rejected text_alphabet"]);
}

#[test]
fn f07_an_unclosed_quote_is_refused_with_its_line() {
    let rows = "447700900001,plain\n".repeat(100_000);
    for (file, at) in [
        ("to,text\n447700900001,\"a\n447700900002,b\n".to_owned(), 2),
        ("to,text\n447700900001,\"a\n447700900002,\"b\"\n".to_owned(), 2),
        ("to,text\n447700900001,\"a\n447700900002,\"b \"\"c\"\" d\"\n".to_owned(), 2),
        ("to,text\n447700900001,\"a\r\nb\"\r\n447700900002,\"".to_owned(), 4),
        ("to,text\n447700900001,\"a\n\nb\",\"\n".to_owned(), 4),
        ("to,\"text\n".to_owned(), 1),
        (format!("to,text\n{rows}447700900002,\"a\n{rows}{rows}"), 100_002),
        (format!("to,text\n447700900002,\"a\n{rows}447700900003,\"b\"\n"), 2),
    ] {
        match refused(&file) {
            ImportError::UnclosedQuote { line } => assert_eq!(line, at, "{:?}", &file[..40.min(file.len())]),
            other => panic!("{other}"),
        }
    }
    // On one line, the row alone is in doubt.
    let file = "to,text\n447700900001,\"5\" pipe\"\n447700900002,5\" pipe\n447700900003,\"a\"\n";
    assert_eq!(read_plain(file), ["2 rejected quote", "3 447700900002 - 5\" pipe", "4 447700900003 - a"]);
    assert!(matches!(refused(format!("to,text\n{}", "x".repeat(2_000_000))), ImportError::RowTooLong { line: 2 }));
}

#[test]
fn f09_nothing_to_send() {
    for file in ["", "\n\r\n", "\u{feff}"] {
        assert!(matches!(refused(file), ImportError::Empty), "{file:?}");
    }
    for file in ["to,text", "to,text\n", "to,text\r\n\r\n"] {
        assert!(matches!(refused(file), ImportError::HeaderOnly), "{file:?}");
    }
    for (file, words) in [
        (
            "phone,text\n1,a\n",
            "there is no column `to`: add it, or name the one with the numbers by --to-column; the columns are: phone, text",
        ),
        (
            "to;message\n1;a\n",
            "there is no column `text`: add it, or give the text by --text or its column by --text-column; the columns are: to, message",
        ),
        ("to,To,TO\n1,2,3\n", "there is no column `text`"),
        ("447700900001,Hi\n", "(is this a row? the first line must name the columns)"),
        ("to,text,to\n1,a,2\n", "there is more than one column `to`"),
        ("to,text,From,FROM\n", "there is more than one column `from`"),
        ("to,text,tlv:1\n", "tlv:1: name the tag"),
        ("to,text,data_coding,data_coding\n", "there is more than one column `data_coding`"),
    ] {
        let error = refused(file).to_string();
        assert!(error.contains(words), "{file:?}: {error}");
    }
}

#[test]
fn f10_a_bad_row_costs_only_itself() {
    let file =
        "to,from,text\n447700900001,Shop,a,b\n447700900002,Shop\n447700900003,Sh\u{f6}p,c\n447700900004,Shop,d\n";
    assert_eq!(
        read_plain(file),
        ["2 rejected columns", "3 rejected columns", "4 rejected from_character", "5 447700900004 Shop d"]
    );
    let mut reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
    match reader.next().unwrap() {
        Some(Event::Rejected(rejected)) => {
            assert_eq!(rejected.row, "447700900001,Shop,a,b");
            assert_eq!(rejected.reason, Reason::Columns { expected: 3, found: 4 });
        }
        other => panic!("{other:?}"),
    }
    let strict = |file: &str| read(file, Settings { strict: true, ..Settings::default() });
    assert!(matches!(strict(file), Err(ImportError::BadRow { line: 2, reason: Reason::Columns { .. } })));
    let words = strict("to,text\n12,a\n").unwrap_err().to_string();
    assert!(words.starts_with("line 2: the number has 2 digits"), "{words}");
    assert_eq!(strict("to,text\n4477,a\n4477,a\n").unwrap().len(), 2);
}

#[test]
fn f16_senders() {
    let from = |from: &str| Settings { from: Some(from.to_owned()), ..Settings::default() };
    let file = "to,from,text\n447700900001,,a\n447700900002,+447700900999,b\n447700900003,+1234567,c\n";
    assert_eq!(
        read(file, from("Shop")).unwrap(),
        ["2 447700900001 Shop a", "3 447700900002 447700900999 b", "4 447700900003 +1234567 c"]
    );
    for bad in ["TwelveLetter", "1234567890123456", "Sh\u{f6}p"] {
        assert!(matches!(read(file, from(bad)), Err(ImportError::Sender(_))), "{bad}");
    }
}

#[test]
fn fields_come_from_the_campaign_and_from_columns() {
    let file = "to,text,validity_period,tlv:0x1400,data_coding\n447700900001,a,,,\n447700900002,b,1h,0x01,8\n\
                447700900003,c,soon,,\n447700900004,ж,,,0x10\n";
    let mut fields = SubmitFields::default();
    fields.set("priority_flag", "1").unwrap();
    let mut reader = RowReader::open(file.as_bytes(), Settings { fields, ..Settings::default() }).unwrap();
    let mut found = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        found.push(match event {
            Event::Row(row) => (row.fields.unwrap_or_default().to_owned(), Some(row.segmentation.encoding)),
            Event::Rejected(rejected) => (rejected.reason.to_string(), None),
            Event::Duplicate(_) => unreachable!(),
        });
    }
    let all = r#"{"priority_flag":1,"validity_period":"000000010000000R","data_coding":8,"tlvs":{"0x1400":"01"}}"#;
    assert_eq!(found[0], (r#"{"priority_flag":1}"#.to_owned(), Some(Encoding::Gsm7)));
    assert_eq!(found[1], (all.to_owned(), Some(Encoding::Ucs2)));
    assert!(found[2].0.starts_with("validity_period: `soon` is not a time") && found[2].1.is_none());
    assert!(found[3].0.contains("not in the GSM alphabet: replace it, or leave out --alphabet gsm7"));
    let plain = RowReader::open("to,text\n447700900001,a\n".as_bytes(), Settings::default())
        .unwrap()
        .next()
        .map(|event| matches!(event, Some(Event::Row(Row { fields: None, .. }))));
    assert!(plain.unwrap());
}

#[test]
fn suppressed_numbers_are_marked() {
    let file = "to,text\n447700900001,a\n00447700900002,b\n";
    let mut reader =
        RowReader::open(file.as_bytes(), Settings::default()).unwrap().with_suppressed(|key| key == 1_447_700_900_002);
    let mut tally = Tally::new();
    while let Some(event) = reader.next().unwrap() {
        tally.note(&event);
    }
    assert_eq!((tally.rows, tally.messages, tally.suppressed), (2, 1, 1));
}

#[test]
fn a_failing_read_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let error = RowReader::open(Broken, Settings::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "cannot be read: the disk is gone");
}

#[test]
fn a_tally_adds_up() {
    let mut file = "to,from,text\n".to_owned();
    let texts = ["plain", "it’s", "‘so’", "it’s", "an emoji 👋", &"x".repeat(161), &"y".repeat(320)];
    for (i, text) in texts.iter().enumerate() {
        writeln!(file, "44770090000{i},{},{text}", if i % 2 == 0 { "Shop" } else { "" }).unwrap();
    }
    file += "447700900000,,again\n0123456,Bank,x\n";
    file.extend((0..12).map(|_| "4.4E+11,,x\n"));
    let mut reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
    let mut tally = Tally::new();
    while let Some(event) = reader.next().unwrap() {
        tally.note(&event);
    }
    assert_eq!((tally.rows, tally.messages, tally.duplicates, tally.parts), (21, 8, 1, 11));
    assert_eq!((tally.rejected_rows(), tally.leading_zeros, &tally.duplicate_lines[..]), (12, 1, &[9][..]));
    let (code, words, rejections) = tally.rejections()[0];
    assert_eq!((rejections.rows, &rejections.lines), (12, &(11..=20).collect::<Vec<u64>>()));
    assert_eq!((code, words), ("to_spreadsheet", &*DestinationError::Spreadsheet.to_string()));
    assert_eq!(
        tally.by_parts.iter().map(|(&parts, &many)| (parts, many)).collect::<Vec<_>>(),
        [(1, 6), (2, 1), (3, 1)]
    );
    assert_eq!((tally.encoding(Encoding::Gsm7).messages, tally.encoding(Encoding::Ucs2).messages), (4, 4));
    assert_eq!(tally.encoding(Encoding::Ucs2).sample, Some(("it’s".to_owned(), Some('’'))));
    assert_eq!(tally.forcing_characters(), [('’', 3), ('‘', 1), ('👋', 1)]);
    assert_eq!(tally.senders(), [("Shop", 4), ("", 3), ("Bank", 1)]);
    assert_eq!(tally.longest().map(|longest| (longest.line, longest.parts, longest.units)), Some((8, 3, 320)));
    assert_eq!((tally.seconds_at(5.5), tally.seconds_at(0.0)), (Some(2.0), None));
}

/// `samples/welcome.csv` is what a newcomer sends first: it has to show each thing once, and only numbers of the range
/// that Ofcom keeps for fiction.
#[test]
fn the_sample_shows_each_thing_once() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/welcome.csv")).unwrap();
    let mut reader = RowReader::open(file.as_slice(), Settings::default()).unwrap();
    let (mut tally, mut texts) = (Tally::new(), std::collections::HashSet::new());
    while let Some(event) = reader.next().unwrap() {
        tally.note(&event);
        if let Event::Row(row) = event {
            assert!(row.destination.digits().starts_with("447700900") && row.destination.digits().len() == 12);
            texts.insert(row.text.to_owned());
        }
    }
    let by_parts: Vec<_> = tally.by_parts.iter().map(|(&parts, &messages)| (parts, messages)).collect();
    assert_eq!((tally.rows, tally.messages, tally.duplicates, tally.parts), (240, 238, 1, 240));
    assert_eq!(by_parts, [(1, 237), (3, 1)]);
    assert_eq!(tally.rejections().iter().map(|(code, ..)| *code).collect::<Vec<_>>(), ["to_spreadsheet"]);
    assert_eq!((tally.rejected_rows(), tally.leading_zeros), (1, 0));
    assert_eq!(tally.forcing_characters(), [('🎉', 1)]);
    assert_eq!(tally.senders().iter().map(|(sender, _)| *sender).collect::<Vec<_>>(), ["Welcome", "447700900999"]);
    let many = |wanted: &dyn Fn(&str) -> bool| texts.iter().filter(|text| wanted(text)).count();
    assert_eq!((many(&|text| text.contains('€')), many(&|text| text.contains('\n'))), (1, 1));
    assert!(texts.len() > 100);
    let named = Settings { text: TextSource::Template("Hi {name} in {city}!".to_owned()), ..Settings::default() };
    let filled = read(&file, named).unwrap();
    assert_eq!(filled.iter().filter(|event| event.contains(" Hi ")).count(), 238);
}

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
            if c == '"' && text[..at].chars().next_back().is_none_or(|before| before == ',') {
                let inside = text[at + 1..].replace("\"\"", "\0\0");
                let Some(end) = inside.find('"') else { return (records, Some(line + lines(&text[..at]))) };
                fields.last_mut().unwrap().push_str(&inside[..end].replace("\0\0", "\""));
                let opened = at;
                at += end + 2;
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
        let mut records = Records::new(Trickle(file.as_bytes(), octets), FileEncoding::Utf8, b',', 4096);
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
        let read = |file: &[u8], encoding, chunk| {
            let mut records = Records::new(file, encoding, b',', chunk);
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
        let expected = read(file.as_bytes(), FileEncoding::Utf8, 4096);
        prop_assert_eq!(&read(file.as_bytes(), FileEncoding::Utf8, chunk), &expected);
        let wide = utf16(&format!("\u{feff}{file}"), u16::to_be_bytes);
        prop_assert_eq!(&read(&wide, FileEncoding::Utf16, chunk), &expected);
    }

    #[test]
    fn no_file_panics(file in proptest::collection::vec(any::<u8>(), 0..200), rows in files()) {
        for file_encoding in [FileEncoding::Utf8, FileEncoding::Latin1, FileEncoding::Utf16] {
            let _ = read_any(&file, encoded(file_encoding));
            let _ = read_any(format!("to,text\n{rows}").as_bytes(), encoded(file_encoding));
        }
        let _ = read_any(&[b"to,text\n", file.as_slice()].concat(), Settings::default());
    }
}

fn read_any(file: &[u8], settings: Settings) -> Result<(), ImportError> {
    let mut reader = RowReader::open(file, settings)?;
    while reader.next()?.is_some() {}
    Ok(())
}
