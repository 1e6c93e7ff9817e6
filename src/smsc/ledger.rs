//! The ledger: a JSON line for everything that matters, appended to a file before the peer hears of it.
//!
//! It is the oracle of crash tests: what stands in it was received, answered or not. Lines are gathered for one read and
//! written by one plain `write`, not synced, so that they survive the death of any process but not that of the machine.
//!
//! Fields always stand in this order:
//! - `submit`: kind, time, session, system_id, sequence_number, command, status, message_id (null where none was given),
//!   source, source_ton, source_npi, destination, dest_ton, dest_npi, esm_class, data_coding, registered_delivery,
//!   user_message_reference, reference, total, part (the last three of a long message, from its UDH or SAR TLVs, else
//!   null), concat (udh8, udh16, sar or payload: how a long text travels, else null), short_message (in hexadecimal, with its UDH;
//!   message_payload where that was used), text (as a handset shows it), status_name, refused_for (the field, rule, limit or fault for
//!   which it is refused, else null), service_type, protocol_id, priority_flag, schedule_delivery_time, validity_period,
//!   replace_if_present, sm_default_msg_id, tlvs (each with tag, name or null, and value in hexadecimal), peer, version (of the bind).
//!   `status` is the one that was about to be answered. A submit_multi has such a line for each destination.
//! - `joined`: kind, time, session, system_id, source, destination, reference, total, text: a long message all of whose
//!   parts were accepted, as a handset would show it
//! - `operation` (query_sm, cancel_sm, replace_sm): kind, time, session, system_id, sequence_number, command, status,
//!   message_id, source, short_message (of replace_sm only: the new text, in hexadecimal)
//! - `receipt`: kind, time, session, system_id, sequence_number, message_id (as the receipt spells it), source,
//!   destination (of the message), state
//! - `receipt_answered`: kind, time, session, system_id, sequence_number, status, message_id
//! - `inbound` (a part of a message from a handset, each time that it is sent): kind, time, session, system_id, sequence_number,
//!   inbound_id, source, source_ton, source_npi, destination, dest_ton, dest_npi, esm_class, data_coding, reference, total, part,
//!   short_message, text
//! - `inbound_answered`: kind, time, session, system_id, sequence_number, status, inbound_id, part
//! - `inbound_given_up` (it cannot be sent over a session of this version): kind, time, session, system_id, inbound_id, part, reason
//! - `bind`: kind, time, session, system_id, sequence_number, command, status, status_name, version, system_type, addr_ton,
//!   addr_npi, address_range, peer
//! - `closed`: kind, time, session, system_id
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

mod pretty;

use super::clock::write_iso;
use super::ids::{write_dec, write_hex};
use crate::wire::Tlvs;

/// Where lines go. Each batch is one `write` in append mode, so that sessions need no lock between them; for stdout there is one.
#[derive(Debug)]
pub(super) struct Ledger {
    to: To,
    /// Lines are for people, and not for programs.
    for_people: bool,
}

#[derive(Debug)]
enum To {
    File(File),
    Stdout,
}

impl Ledger {
    /// Opens the file for appending and creates it if it is not there; `-` is stdout.
    pub(super) fn open(path: &Path, for_people: bool) -> io::Result<Ledger> {
        if path == Path::new("-") {
            return Ok(Ledger { to: To::Stdout, for_people });
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Ledger { to: To::File(options.open(path)?), for_people })
    }

    /// Appends the lines of a batch and empties it.
    pub(super) fn append(&self, lines: &mut Vec<u8>) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let shown;
        let octets: &[u8] = if self.for_people {
            shown = pretty::lines(lines);
            shown.as_bytes()
        } else {
            lines
        };
        match &self.to {
            To::File(file) => {
                let mut file = file;
                file.write_all(octets)?;
            }
            To::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(octets)?;
                out.flush()?;
            }
        }
        lines.clear();
        Ok(())
    }
}

/// Begins lines that share their time, session and system_id.
#[derive(Debug, Default)]
pub(super) struct LinePrefix {
    /// From the comma after kind to system_id's value.
    shared: Vec<u8>,
}

impl LinePrefix {
    /// Sets what the next lines share.
    pub(super) fn set(&mut self, time_us: u64, session: u64, system_id: &[u8]) {
        self.shared.clear();
        self.shared.extend_from_slice(b",\"time\":\"");
        write_iso(time_us, &mut self.shared);
        self.shared.extend_from_slice(b"\",\"session\":");
        write_dec(session, 1, &mut self.shared);
        text_field("system_id", system_id, &mut self.shared);
    }

    /// Begins a line.
    pub(super) fn begin<'a>(&self, kind: &str, out: &'a mut Vec<u8>) -> Line<'a> {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.shared);
        Line { out }
    }
}

/// A line being written, field by field.
#[derive(Debug)]
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    /// A whole number.
    pub(super) fn number(&mut self, name: &str, value: impl Into<u64>) -> &mut Self {
        key(name, self.out);
        write_dec(value.into(), 1, self.out);
        self
    }

    /// A whole number or null.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Into<u64>>) -> &mut Self {
        match value {
            Some(value) => self.number(name, value),
            None => {
                key(name, self.out);
                self.out.extend_from_slice(b"null");
                self
            }
        }
    }

    /// Text of any octets; what is not ASCII becomes the Latin-1 character of its number.
    pub(super) fn text(&mut self, name: &str, value: &[u8]) -> &mut Self {
        text_field(name, value, self.out);
        self
    }

    /// Text that needs no escapes, written by a function; or null.
    pub(super) fn maybe_with(&mut self, name: &str, value: Option<impl FnOnce(&mut Vec<u8>)>) -> &mut Self {
        key(name, self.out);
        match value {
            Some(write) => {
                self.out.push(b'"');
                write(self.out);
                self.out.push(b'"');
            }
            None => self.out.extend_from_slice(b"null"),
        }
        self
    }

    /// Octets in hexadecimal.
    pub(super) fn hex(&mut self, name: &str, value: &[u8]) -> &mut Self {
        key(name, self.out);
        self.out.push(b'"');
        write_hex_octets(value, self.out);
        self.out.push(b'"');
        self
    }

    /// Nothing.
    pub(super) fn null(&mut self, name: &str) -> &mut Self {
        key(name, self.out);
        self.out.extend_from_slice(b"null");
        self
    }

    /// Optional parameters: tag, name (or null) and value in hexadecimal, in their order.
    pub(super) fn tlvs(&mut self, name: &str, tlvs: Tlvs<'_>) -> &mut Self {
        key(name, self.out);
        self.out.push(b'[');
        for (nth, tlv) in tlvs.iter().enumerate() {
            let comma = if nth == 0 { &b"{\"tag\":\"0x"[..] } else { b",{\"tag\":\"0x" };
            self.out.extend_from_slice(comma);
            let tag = tlv.tag.0.to_be_bytes();
            tag.iter().for_each(|octet| self.out.extend_from_slice(format!("{octet:02X}").as_bytes()));
            self.out.push(b'"');
            match tlv.tag.name() {
                Some(name) => self.text("name", name.as_bytes()),
                None => self.null("name"),
            };
            self.hex("value", tlv.value);
            self.out.push(b'}');
        }
        self.out.push(b']');
        self
    }

    /// Text in Unicode.
    pub(super) fn json(&mut self, name: &str, value: &str) -> &mut Self {
        key(name, self.out);
        // A Vec takes whatever is written.
        let _ = serde_json::to_writer(&mut *self.out, value);
        self
    }

    /// Ends the line.
    pub(super) fn end(&mut self) {
        self.out.extend_from_slice(b"}\n");
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    let is_plain = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
    // What needs no escape is copied in runs: of most values that is all.
    let mut rest = value;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(rest.iter().position(|octet| !is_plain(octet)).unwrap_or(rest.len()));
        out.extend_from_slice(plain);
        let Some((&octet, after)) = after.split_first() else { break };
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            _ => {
                out.extend_from_slice(b"\\u");
                write_hex(u64::from(octet), 4, out);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

fn write_hex_octets(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let start = out.len();
    out.resize(start + 2 * value.len(), 0);
    let (pairs, _) = out[start..].as_chunks_mut::<2>();
    for (pair, octet) in pairs.iter_mut().zip(value) {
        *pair = [DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 0xF)]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_in_a_fixed_order() {
        let mut prefix = LinePrefix::default();
        prefix.set(20_780 * 86_400_000_000, 3, b"demo");
        let mut out = Vec::new();
        prefix
            .begin("submit", &mut out)
            .number("sequence_number", 7u32)
            .maybe("part", None::<u8>)
            .text("source", b"a\"b\\c\xE9\n")
            .maybe_with("message_id", Some(|out: &mut Vec<u8>| out.extend_from_slice(b"ff")))
            .hex("short_message", b"\x00Az")
            .end();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"submit\",\"time\":\"2026-11-23T00:00:00.000000Z\",\"session\":3,\"system_id\":\"demo\",\
             \"sequence_number\":7,\"part\":null,\"source\":\"a\\\"b\\\\c\\u00e9\\u000a\",\"message_id\":\"ff\",\
             \"short_message\":\"00417a\"}\n"
        );
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["source"], "a\"b\\cé\n");
    }

    #[test]
    fn every_octet_is_read_back_wherever_it_stands() {
        let all: Vec<u8> = (0..=255).collect();
        for value in [&all[..], b"", b"plain", b"\"", b"a\\", b"\n\n", &[0xFF, b'x']] {
            let mut out = Vec::new();
            LinePrefix::default().begin("x", &mut out).text("text", value).hex("hex", value).end();
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let text: String = value.iter().map(|octet| char::from(*octet)).collect();
            let hex: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!((line["text"].as_str(), line["hex"].as_str()), (Some(&*text), Some(&*hex)));
        }
    }

    #[test]
    fn batches_are_appended_and_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        for _ in 0..2 {
            let mut lines = b"one\ntwo\n".to_vec();
            Ledger::open(&path, false).unwrap().append(&mut lines).unwrap();
            assert!(lines.is_empty());
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\none\ntwo\n");
    }
}
