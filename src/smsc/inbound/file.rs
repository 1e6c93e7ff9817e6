//! A file of messages from handsets: CSV with a header, or a JSON object a line. It is read whole before anything is sent.

use super::Inbound;
use crate::words::trouble::{self, shown};
use crate::words::{BadValue, bad};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Columns that hold numbers.
const NUMBERS: [&str; 12] = [
    "reference",
    "data_coding",
    "esm_class",
    "protocol_id",
    "priority_flag",
    "registered_delivery",
    "source_ton",
    "source_npi",
    "dest_ton",
    "dest_npi",
    "count",
    "rate",
];

/// Messages from handsets, read from a file, and how many a second are sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundFile {
    /// In the order of the file.
    pub messages: Vec<Inbound>,
    /// Messages a second; `None`: all at once.
    pub rate: Option<f64>,
}

/// Why a file of messages cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {reason}", shown(path), line.map_or_else(String::new, |line| format!(", line {line}")))]
pub struct InboundError {
    path: PathBuf,
    line: Option<u64>,
    reason: String,
}

impl InboundFile {
    /// Messages a second, where nothing is said.
    pub(crate) const RATE: Option<f64> = Some(10.0);

    /// Reads it: JSON lines where its name ends in `.jsonl`, else CSV.
    ///
    /// # Errors
    /// The file cannot be read; or the first line that is wrong, and how.
    pub fn read(path: &Path, rate: Option<f64>) -> Result<InboundFile, InboundError> {
        let fail = |line, reason| InboundError { path: path.to_owned(), line, reason };
        let text = std::fs::read(path).map_err(|error| fail(None, trouble::words(&error)))?;
        let text = String::from_utf8(text).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|o| **o == b'\n').count();
            fail(Some(line as u64), "it is not UTF-8".to_owned())
        })?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let is_json = path.extension().is_some_and(|extension| extension == "jsonl");
        let read = if is_json { json_lines(text) } else { csv(text) };
        let messages = read.map_err(|(line, reason)| fail(line, reason))?;
        if messages.is_empty() {
            return Err(fail(None, "it holds no message".to_owned()));
        }
        Ok(InboundFile { messages, rate })
    }
}

type Wrong = (Option<u64>, String);

fn json_lines(text: &str) -> Result<Vec<Inbound>, Wrong> {
    let mut messages = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let wrong = |error: BadValue| (Some(line), error.into());
        let message: Inbound = serde_json::from_str(text).map_err(|error| wrong(error.to_string().into()))?;
        message.parts(1).map_err(wrong)?;
        messages.push(message);
    }
    Ok(messages)
}

fn csv(text: &str) -> Result<Vec<Inbound>, Wrong> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|octet| first.as_bytes().contains(octet)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let of_csv = |error: csv::Error| (error.position().map(csv::Position::line), error.to_string());
    // Names as they are written by whoever exports them: `From`, ` TO `.
    let header: csv::StringRecord =
        reader.headers().map_err(of_csv)?.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    for (nth, name) in header.iter().enumerate() {
        if header.iter().take(nth).any(|before| before == name) {
            return Err((Some(1), format!("the column {name:?} stands there twice")));
        }
    }
    for needed in ["from", "to"] {
        if !header.iter().any(|name| name == needed) {
            return Err((
                Some(1),
                format!("there is no column {needed:?}: the first line names from, to, text and others"),
            ));
        }
    }
    let mut messages = Vec::new();
    for record in reader.records() {
        let record = record.map_err(of_csv)?;
        let line = record.position().map(csv::Position::line);
        let wrong = |error: BadValue| (line, error.into());
        let message = message(&header, &record).map_err(wrong)?;
        message.parts(1).map_err(wrong)?;
        messages.push(message);
    }
    Ok(messages)
}

/// A row as the object that it stands for. What is empty is not said.
fn message(header: &csv::StringRecord, record: &csv::StringRecord) -> Result<Inbound, BadValue> {
    let (mut fields, mut tlvs) = (Map::new(), Map::new());
    for (name, value) in header.iter().zip(record) {
        if value.is_empty() {
            continue;
        }
        if let Some(tag) = name.strip_prefix("tlv:") {
            tlvs.insert(tag.to_owned(), value.into());
            continue;
        }
        let value = match name {
            _ if NUMBERS.contains(&name) => {
                let number = serde_json::from_str::<serde_json::Number>(value.trim());
                Value::Number(number.map_err(|_| bad!("{name}: {value:?} is not a number"))?)
            }
            "data_sm" => match value {
                "true" | "yes" | "1" => true.into(),
                "false" | "no" | "0" => false.into(),
                _ => return Err(bad!("data_sm: {value:?} is neither yes nor no")),
            },
            _ => value.into(),
        };
        fields.insert(name.to_owned(), value);
    }
    if !tlvs.is_empty() {
        fields.insert("tlvs".to_owned(), tlvs.into());
    }
    serde_json::from_value(fields.into()).map_err(|error| error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &[u8]) -> Result<InboundFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        InboundFile::read(&path, None).map_err(|error| error.to_string().rsplit_once('/').unwrap().1.to_owned())
    }

    #[test]
    fn both_kinds_of_file_say_the_same() {
        let csv = "\u{FEFF}from,to,text,dest_ton,concat,tlv:0x1401,data_sm,sessions,delay\n\
                   4477,12345,\"two\nlines\",3,sar,0x01,yes,in-turn,2s\n4478,12345,,,,,,,\n";
        let json = r#"{"from": "4477", "to": "12345", "text": "two\nlines", "dest_ton": 3, "concat": "sar",
            "tlvs": {"0x1401": "0x01"}, "data_sm": true, "sessions": "in-turn", "delay": "2s"}"#
            .replace('\n', " ")
            + "\n\n{\"from\": \"4478\", \"to\": \"12345\"}\n";
        let (csv, json) = (read("a.csv", csv.as_bytes()).unwrap(), read("a.jsonl", json.as_bytes()).unwrap());
        assert_eq!(csv, json);
        assert_eq!((csv.messages.len(), csv.messages[0].dest_ton), (2, Some(3)));
        for other in ["from;to;text\n1;2;a,b\n", "From\t TO \tText\r\n1\t2\ta,b\r\n", "from,to,TEXT\n1,2,\"a,b\"\n"] {
            assert_eq!(read("a.csv", other.as_bytes()).unwrap().messages[0].text, "a,b", "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (name, text, expected) in [
            ("a.csv", &b""[..], "a.csv, line 1: there is no column \"from\""),
            ("a.csv", b"from,to\n", "a.csv: it holds no message"),
            ("a.csv", b"number,text\n1,x\n", "a.csv, line 1: there is no column"),
            ("a.csv", b"from,to,text\n1,2,x\n1,,x\n", "a.csv, line 3: "),
            ("a.csv", b"from,to,text,Text\n1,2,x,y\n", "a.csv, line 1: the column \"text\" stands there twice"),
            ("a.csv", b"from,to,dest_ton\n1,2,x\n", "a.csv, line 2: dest_ton"),
            ("a.csv", b"from,to,colour\n1,2,x\n", "a.csv, line 2: unknown field `colour`"),
            ("a.csv", b"from,to,text\n1,2\n", "a.csv, line 2: "),
            ("a.csv", b"from,to,text\n1,2,\xFF\n", "a.csv, line 2: it is not UTF-8"),
            ("a.jsonl", b"{\"from\": \"1\", \"to\": \"2\"}\n{\n", "a.jsonl, line 2: "),
            ("a.jsonl", b"{\"from\": \"1\", \"to\": \"2\", \"hex\": \"0\"}\n", "a.jsonl, line 1: hex"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(error.starts_with(expected), "{error} for {expected}");
        }
        let error = InboundFile::read(Path::new("/nowhere/a.csv"), None).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/a.csv: "), "{error}");
    }
}
