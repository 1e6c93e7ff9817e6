//! One row as it will go: its parts, their octets, and the text as a handset shows it.

use super::reader::{Event, Row};
use crate::journal::model::campaign::CampaignOptions;
use crate::message::fields::SubmitFields;
use crate::message::text::{
    DefaultAlphabet, Encoder, Encoding, OctetsEncoder, PartHeader, Reference, decode_with_header,
};
use crate::words::escape::{escape_terminal, hex};
use crate::words::format::count;

/// The reference that stands in the headers of long messages here; sent, it is the message's own.
const REFERENCE: i64 = 0x2A;

/// Says of a row what becomes of it, a line each.
pub fn lines(event: &Event<'_>, options: &CampaignOptions, from: &str) -> Vec<String> {
    match event {
        Event::Row(row) => row_lines(row, options, from),
        Event::Rejected(rejected) => vec![
            format!("line {}: refused: {}", rejected.line, escape_terminal(&rejected.reason.to_string())),
            format!("  {}", escape_terminal(rejected.row)),
        ],
        Event::Duplicate(duplicate) => vec![
            format!(
                "line {}: left out: {} came in an earlier row (--allow-duplicates sends it again)",
                duplicate.line,
                duplicate.destination.digits()
            ),
            format!("  {}", escape_terminal(duplicate.row)),
        ],
    }
}

/// The line of an event.
pub fn line_of(event: &Event<'_>) -> u64 {
    match event {
        Event::Row(row) => row.line,
        Event::Rejected(rejected) => rejected.line,
        Event::Duplicate(duplicate) => duplicate.line,
    }
}

fn row_lines(row: &Row<'_>, options: &CampaignOptions, from: &str) -> Vec<String> {
    let own: SubmitFields = row.fields.and_then(|json| SubmitFields::from_json(json).ok()).unwrap_or_default();
    let mut fields: SubmitFields =
        options.fields.clone().and_then(|fields| serde_json::from_value(fields).ok()).unwrap_or_default();
    fields.overlay(&own);
    let encoding = row.segmentation.encoding;
    let coding = if options.flash { encoding.flash_coding() } else { encoding.data_coding() };
    let coding = fields.data_coding.unwrap_or(coding);
    let alphabet = if coding == 0 { options.default_alphabet } else { DefaultAlphabet::Gsm7 };
    let written = row.typed.map_or_else(String::new, |typed| format!(" (in the file: {})", escape_terminal(typed)));
    let sender = match row.source.unwrap_or(from) {
        "" => "the SMSC's default sender".into(),
        sender => escape_terminal(sender),
    };
    let suppressed = if row.suppressed { "; suppressed, so that it is not sent" } else { "" };
    let mut lines = vec![format!(
        "line {}: to {}{written} from {sender}: {encoding}, {} {}, {}, {} SMS, data_coding 0x{coding:02X}{}{suppressed}",
        row.line,
        row.destination.digits(),
        row.segmentation.units,
        encoding.unit_name(),
        count(row.segmentation.parts.into(), "part"),
        row.segmentation.sms,
        if options.flash { ", flash" } else { "" },
    )];
    for (name, value) in fields.entries() {
        lines.push(format!("  {name} = {}", escape_terminal(&value)));
    }
    let reference = Reference::of(options.concat, REFERENCE);
    let show = |header: PartHeader, octets: &[u8], lines: &mut Vec<String>| {
        let has_header = header.esm_class != 0;
        // Said by --alphabet to be of another, the octets are read as what they are.
        let read_as = match encoding {
            _ if options.alphabet.is_some() => encoding.data_coding(),
            _ => coding,
        };
        let (udh, text) = decode_with_header(read_as, octets, has_header, alphabet);
        let udh = if has_header { format!(", user data header {}", hex(udh)) } else { String::new() };
        lines.push(format!(
            "  part {} of {}: {}{udh}",
            header.number,
            header.total,
            count(octets.len() as i64, "octet")
        ));
        lines.push(format!("    {}", hex(octets)));
        if encoding != Encoding::Octets {
            lines.push(format!("    a handset shows: {}", escape_terminal(&text)));
        }
    };
    let mut octets = Vec::new();
    if encoding == Encoding::Octets {
        if let Ok(mut encoder) = OctetsEncoder::of_hex(fields.udh.as_deref(), row.text, reference) {
            while let Some(header) = encoder.next_into(&mut octets) {
                show(header, &octets, &mut lines);
                octets.clear();
            }
        }
    } else if let Ok(encoder) = Encoder::new(row.text, encoding, reference) {
        let mut encoder = encoder.with_alphabet(alphabet);
        while let Some(header) = encoder.next_into(&mut octets) {
            show(header, &octets, &mut lines);
            octets.clear();
        }
    }
    lines
}
