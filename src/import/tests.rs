mod any_file;

use std::fmt::Write as _;
use std::io::{self, Read};

use super::reader::Row;
use super::*;
use crate::message::address::DestinationError;
use crate::message::fields::SubmitFields;
use crate::message::text::{Choice, Encoding};
use crate::words::BadValue;

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

fn encoding(name: &str) -> FileEncoding {
    name.parse().unwrap()
}

fn encoded(name: &str) -> Settings {
    Settings { file_encoding: Some(encoding(name)), ..Settings::default() }
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
        assert_eq!(read(&file, encoded("utf-16")).unwrap(), rows);
        assert_eq!(read_plain(&file), rows);
    }
    // A mark beats what was said.
    assert_eq!(read(&marked, encoded("windows-1251")).unwrap(), rows);
    assert_eq!(read(b"to,text\n447700900001,\xE9 \x80\n", encoded("latin1")).unwrap(), rows);
    assert!(matches!(refused([0xFF, 0xFE, 0, 0, b't', 0, 0, 0]), ImportError::Utf32));
}

#[test]
fn f01_invalid_octets_are_refused_with_line_and_octet() {
    let long = "to,text\n447700900001,fine\n".to_owned() + &"447700900001,é\r\n".repeat(20_000);
    let utf8 = Some("utf-8");
    let cases: [(Vec<u8>, Option<&str>, u64, u64); 8] = [
        (b"to,text\n447700900001,\xE9\n".to_vec(), utf8, 2, 21),
        (b"to,\xFFtext\n".to_vec(), utf8, 1, 3),
        (b"\xEF\xBB\xBFto,text\r\n\r\n\"\n\xC3(\"".to_vec(), utf8, 4, 16),
        (b"to,text\n447700900001,\xE2\x82".to_vec(), utf8, 2, 21),
        ([long.as_bytes(), b"\xC3"].concat(), utf8, 20_003, long.len() as u64),
        // Where no encoding is given, what is UTF-8 but for one place is not read as anything else.
        ([long.as_bytes(), b"\xC3"].concat(), None, 20_003, long.len() as u64),
        (
            utf16("to,text\n4", u16::to_le_bytes).into_iter().chain([0x00, 0xD8, b'x', 0]).collect(),
            Some("utf-16"),
            2,
            18,
        ),
        (b"t\0o\0,".to_vec(), Some("utf-16"), 1, 4),
    ];
    for (file, name, at_line, at_octet) in cases {
        let file_encoding = name.map(encoding);
        match read(&file, Settings { file_encoding, ..Settings::default() }) {
            Err(ImportError::Malformed { given, line, octet, .. }) => {
                assert_eq!((given, line, octet), (name.is_some(), at_line, at_octet));
            }
            other => panic!("{other:?}"),
        }
    }
    let words = read(b"to,text\n447700900001,\xE9\n", encoded("utf-8")).unwrap_err().to_string();
    assert!(words.starts_with("line 2, octet 21 of the text:") && words.contains("leave it out"), "{words}");
}

/// What is neither marked nor UTF-8 is recognised by its words, wherever in the file the first of them is, or refused with them.
#[test]
fn the_encoding_is_found_out_or_the_words_are_shown() {
    let plain = "447700900001,plain\n".repeat(20_000);
    let text = "Привет, скидка; До встречи";
    let (octets, ..) = encoding_rs::WINDOWS_1251.encode(text);
    for rows in ["", plain.as_str()] {
        let file = [format!("to,text\n{rows}447700900002,\"").as_bytes(), &octets[..], b"\"\n"].concat();
        let mut reader = RowReader::open(Trickle(&file, 7), Settings::default()).unwrap();
        let mut last = String::new();
        while let Some(event) = reader.next().unwrap() {
            if let Event::Row(row) = event {
                last = row.text.to_owned();
            }
        }
        assert_eq!(last, text);
        let said = reader.facts().taken().join("\n");
        assert!(said.contains("taken for windows-1251: it reads “Привет”"), "{said}");
    }
    let words = refused([format!("to,text\n{plain}447700900002,").as_bytes(), b"\xC4\xE0\n"].concat()).to_string();
    assert!(words.starts_with("line 20002: this is not UTF-8"), "{words}");
    assert!(
        words.contains("--encoding windows-1251 it reads “Да”") && words.contains("save the file as UTF-8"),
        "{words}"
    );
}

/// Excel leaves trailing delimiters out, and writes some for what a sheet once had.
#[test]
fn rows_of_spreadsheets_are_read_as_they_are_meant() {
    let short = "to,text,note,agent\r\n447700900001,a,vip,4\r\n447700900002,b\r\n447700900003,c,,\r\n447700900004\r\n";
    assert_eq!(
        read_plain(short),
        ["2 447700900001 - a", "3 447700900002 - b", "4 447700900003 - c", "5 rejected columns"]
    );
    let mut reader = RowReader::open(short.as_bytes(), Settings::default()).unwrap();
    let mut reasons = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        if let Event::Rejected(rejected) = event {
            reasons.push(rejected.reason.to_string());
        }
    }
    assert_eq!(reasons, ["the row ends after 1 field and has no column `text`: is it cut off?"]);
    assert!(
        reader.facts().taken()[0].starts_with("1 row ends before the last column (line 3)"),
        "{:?}",
        reader.facts()
    );
    let surplus = "to;text\n447700900001;a;;\n447700900002;b;; \n;;;\n;\n \n447700900003;c;;d\n";
    assert_eq!(read_plain(surplus), ["2 447700900001 - a", "3 447700900002 - b", "7 rejected columns"]);
    let named = "to,code,text\n447700900001,X\n447700900002\n447700900003,,\n";
    assert_eq!(
        read(named, template("{code}")).unwrap(),
        ["2 447700900001 - X", "3 rejected columns", "4 rejected text_missing"]
    );
    assert_eq!(read(named, template("{code|-}")).unwrap()[1], "3 447700900002 - -");
    for (file, rows) in [
        ("to, text\n447700900001, \"Hi, Ann\"\n", ["2 447700900001 - Hi, Ann"]),
        ("to,text\n \"447700900001\" , \"a \"\"b\"\"\" \n", ["2 447700900001 - a \"b\""]),
        ("to,text\n447700900001, \"two\nlines\"\n", ["2 447700900001 - two\nlines"]),
        ("\"sep=;\"\r\nto;text\r\n447700900001;a\r\n", ["3 447700900001 - a"]),
        ("sep=;;\r\nto;text\r\n447700900001;a,b\r\n", ["3 447700900001 - a,b"]),
        ("to,text\n447700900001,a\n\u{1a}", ["2 447700900001 - a"]),
        ("to,text\n447700900001,a\u{1a}\u{1a}", ["2 447700900001 - a"]),
        ("Spring,,\r\nexported by M.,,\r\n,,\r\nMobile,Name,Text\r\n447700900001,Ann,a\r\n", ["5 447700900001 - a"]),
        ("Liste;;;\nto;text\n447700900001;a\n", ["3 447700900001 - a"]),
    ] {
        assert_eq!(read_plain(file), rows, "{file:?}");
    }
    assert!(matches!(refused("to,text\n,\n ,\n"), ImportError::HeaderOnly));
}

#[test]
fn columns_are_taken_by_what_they_are_called() {
    let said = |file: &str, settings: Settings| -> Result<String, BadValue> {
        let reader = RowReader::open(file.as_bytes(), settings).map_err(|error| error.to_string())?;
        Ok(reader.facts().taken().join("\n"))
    };
    let plain = |file: &str| said(file, Settings::default());
    assert_eq!(
        plain("Contact Id,MSISDN,First Name,Message\n17,447700900001,Ann,Hi\n").unwrap(),
        "taken: the numbers from column `MSISDN`, the texts from column `Message`"
    );
    assert_eq!(plain("to,text\n").unwrap(), "");
    assert_eq!(plain("Phone,text,to\n").unwrap(), "");
    let refused = plain("Phone,Mobile,text\n").unwrap_err();
    assert!(refused.contains("(`Phone`, `Mobile`): name the one that is meant by --to-column"), "{refused}");
    let refused = plain("to,Message,Body\n").unwrap_err();
    assert!(refused.contains("by --text-column"), "{refused}");
    let other = |to_column: &str| Settings { to_column: to_column.into(), ..Settings::default() };
    assert_eq!(said("Phone,Mobile,text\n", other("mobile")).unwrap(), "taken: the numbers from column `Mobile`");
    let refused = said("Phone,Mobile,text\n", other("Mobiel")).unwrap_err();
    assert!(refused.contains("there is no column `Mobiel`") && refused.contains("did you mean `Mobile`?"), "{refused}");
    let said = said("to,name,code\n", template("Hi name, {code}")).unwrap();
    assert!(said.starts_with("the text has the word `name` in it"), "{said}");
    // A CRM's "Service Type" is none of SMPP's fields; one that is written in another case is.
    let file = "to,text,Service Type,Priority_Flag\n447700900001,a,Gold,1\n";
    let reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
    assert_eq!(reader.unused_columns().collect::<Vec<_>>(), ["Service Type"]);
    assert_eq!(reader.field_columns().len(), 1);
    assert_eq!(
        read("to,Pre\u{301}nom,text\n447700900001,Re\u{301}ne\u{301}e,x\n", template("{Prénom}")).unwrap(),
        ["2 447700900001 - Rénée"]
    );
}

#[test]
fn f02_spoilt_numbers_are_rejected_by_name() {
    let file = "to,text\n4.47701E+11,a\n447700900123.0,a\n123,a\n,a\n12345678901234567,a\n44x7700,a\n";
    let codes = ["spreadsheet", "decimal", "short", "empty", "long", "character"];
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
            "7 rejected to_national",
        ]
    );
    let rows = ["2 447700900001 - a", "3 duplicate 447700900001", "4 rejected to_national"];
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
            "fone,text\n1,a\n",
            "there is no column `to`: add it, or name the one with the numbers by --to-column; the columns are: fone, text",
        ),
        (
            "to;words\n1;a\n",
            "there is no column `text`: add it, or give the text by --text or its column by --text-column; the columns are: to, words",
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
    file += "447700900000,,again\n447700900009,Bank,x\n";
    file.extend((0..12).map(|_| "4.4E+11,,x\n"));
    let mut reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
    let mut tally = Tally::new();
    while let Some(event) = reader.next().unwrap() {
        tally.note(&event);
    }
    assert_eq!((tally.rows, tally.messages, tally.duplicates.count, tally.parts), (21, 8, 1, 11));
    assert_eq!((tally.rejected_rows(), &tally.duplicates.lines[..]), (12, &[9][..]));
    let (code, words, rejections) = tally.rejections()[0];
    assert_eq!((rejections.count, &rejections.lines), (12, &(11..=20).collect::<Vec<u64>>()));
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
    assert_eq!((tally.rows, tally.messages, tally.duplicates.count, tally.parts), (240, 238, 1, 240));
    assert_eq!(by_parts, [(1, 237), (3, 1)]);
    assert_eq!(tally.rejections().iter().map(|(code, ..)| *code).collect::<Vec<_>>(), ["to_spreadsheet"]);
    assert_eq!(tally.rejected_rows(), 1);
    assert_eq!(tally.forcing_characters(), [('🎉', 1)]);
    assert_eq!(tally.senders().iter().map(|(sender, _)| *sender).collect::<Vec<_>>(), ["Welcome", "447700900999"]);
    let many = |wanted: &dyn Fn(&str) -> bool| texts.iter().filter(|text| wanted(text)).count();
    assert_eq!((many(&|text| text.contains('€')), many(&|text| text.contains('\n'))), (1, 1));
    assert!(texts.len() > 100);
    let named = Settings { text: TextSource::Template("Hi {name} in {city}!".to_owned()), ..Settings::default() };
    let filled = read(&file, named).unwrap();
    assert_eq!(filled.iter().filter(|event| event.contains(" Hi ")).count(), 238);
}
