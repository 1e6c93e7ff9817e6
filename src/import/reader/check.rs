//! A row held against what is asked for: whether it is a message, and what of.

use super::super::error::Reason;
use super::super::numbers::Taken;
use super::super::records::Records;
use super::plan::{Plan, Text};
use crate::message::address::Sender;
use crate::message::fields::{Field, SubmitFields};
use crate::message::text;
use crate::message::text::transliterate::{self, Transliterate};
use crate::message::text::{
    Choice, Concat, DefaultAlphabet, Encoding, OctetsEncoder, Policy, Reference, Segmentation, ShiftTables,
};
use crate::wire::values::esm_class;
use crate::words::escape::hex;
use crate::words::names::is_invisible;
use std::io::Read;

/// What a good row amounts to, apart from its text and fields, which are in buffers.
pub(super) struct Accepted<'a> {
    pub(super) taken: Taken<'a>,
    pub(super) source: Option<&'a str>,
    pub(super) segmentation: Segmentation,
    pub(super) alphabet: DefaultAlphabet,
    /// The text is in the buffer for texts that are not as they were written.
    pub(super) is_prepared: bool,
}

/// Room for what is made of a row, used again for each.
pub(super) struct Buffers<'a> {
    pub(super) rendered: &'a mut String,
    pub(super) prepared: &'a mut String,
    pub(super) json: &'a mut Vec<u8>,
}

pub(super) fn is_blank(field: Option<&str>) -> bool {
    field.is_none_or(|field| field.chars().all(|c| c.is_whitespace() || is_invisible(c)))
}

/// Holds a record against the plan; leaves its text and fields in the buffers.
pub(super) fn check<'a, R: Read>(
    plan: &'a Plan,
    header: &[String],
    records: &'a Records<R>,
    taken: Result<Taken<'a>, Reason>,
    Buffers { rendered, prepared, json }: Buffers<'_>,
) -> Result<Accepted<'a>, Reason> {
    if records.stray_quote() {
        return Err(Reason::StrayQuote);
    }
    if records.len() != header.len() {
        refuse_other_length(plan, header, records)?;
    }
    let value = |column: usize| records.field(column).unwrap_or_default();
    let taken = taken?;
    let own = plan.from_column.map(|column| value(column).trim()).filter(|own| !own.is_empty());
    let source = match own {
        Some(own) => {
            Sender::parse_up_to(own, plan.sender_length_max).map_err(Reason::Sender)?;
            Some(Sender::canonical(own))
        }
        None => plan.from.as_deref(),
    };
    let octets = octets_of(plan, records)?;
    let text = match &plan.text {
        _ if octets.is_some() => "",
        Text::None => "",
        Text::Column(column) => value(*column),
        Text::Template(template) => {
            rendered.clear();
            template.render(records, rendered).map_err(Reason::Missing)?;
            rendered.as_str()
        }
    };
    if octets.is_none() && is_blank(Some(text)) {
        return Err(Reason::EmptyText);
    }
    let mut policy = policy_for(plan.base, plan.data_coding);
    let mut data_coding = plan.data_coding;
    if !plan.field_columns.is_empty() || plan.hex.is_some() || plan.udh.is_some() {
        let mut fields = plan.fields.clone();
        for &(column, field) in &plan.field_columns {
            match octets.is_some() && field == Field::DataCoding {
                // Whoever gives the octets says what they are.
                true => fields.set_coding_of_octets(value(column)).map_err(Reason::Field)?,
                false => fields.set_field_in(field, value(column), plan.zone.as_ref()).map_err(Reason::Field)?,
            }
        }
        if let Some((elements, _)) = octets.as_ref().filter(|(elements, _)| !elements.is_empty()) {
            fields.udh = Some(hex(elements));
        }
        if let Some(passed) = fields.passed(plan.now_ms) {
            return Err(Reason::Field(passed));
        }
        data_coding = fields.data_coding.or(plan.data_coding);
        policy = policy_for(plan.base, data_coding);
        if plan.base.concat == Concat::Sar && fields.esm_class.is_some_and(esm_class::has_udh) {
            return Err(Reason::SarBesideUdh);
        }
        if let Some(missing) = fields.header_missing() {
            return Err(Reason::Field(missing));
        }
        json.clear();
        if !fields.is_empty() {
            fields.write_json(json);
        }
    }
    if let Some((elements, body)) = octets {
        let concat = plan.base.concat;
        if concat == Concat::Sar && !elements.is_empty() {
            return Err(Reason::SarBesideUdh);
        }
        prepared.clear();
        prepared.push_str(&hex(&body));
        let encoder = OctetsEncoder::new(elements, body, Reference::of(concat, 0)).map_err(Reason::Octets)?;
        let segmentation = encoder.segmentation();
        limited(&segmentation, plan.max_parts)?;
        return Ok(Accepted { taken, source, segmentation, alphabet: policy.alphabet, is_prepared: true });
    }
    // Where --alphabet says so, the octets may be of any alphabet.
    if policy.choice == Choice::Auto
        && let Some(wrong) = data_coding.and_then(SubmitFields::no_text)
    {
        return Err(Reason::Field(wrong));
    }
    let (text, is_prepared) = match prepare(text, plan.transliterate, &policy, prepared) {
        true => (prepared.as_str(), true),
        false => (text, false),
    };
    let segmentation = text::segment(text, policy).map_err(|error| match error {
        text::TextError::NotInAlphabet { character: '\0', .. } => Reason::Nul,
        error => Reason::Text(error),
    })?;
    // A NUL is in no GSM alphabet, so a text that has one is of another by now.
    if segmentation.encoding != Encoding::Gsm7 && text.contains('\0') {
        return Err(Reason::Nul);
    }
    limited(&segmentation, plan.max_parts)?;
    Ok(Accepted { taken, source, segmentation, alphabet: policy.alphabet, is_prepared })
}

fn limited(segmentation: &Segmentation, max: u8) -> Result<(), Reason> {
    match segmentation.sms {
        sms if sms > max => Err(Reason::TooManySms { sms, max }),
        _ => Ok(()),
    }
}

/// Makes of a text what is sent, in `prepared`; false: it is sent as it is.
fn prepare(text: &str, level: Transliterate, policy: &Policy, prepared: &mut String) -> bool {
    if text.is_ascii() && level == Transliterate::Off {
        return false;
    }
    let composed = transliterate::composed(text);
    let is_automatic = matches!(policy.choice, Choice::Auto | Choice::Gsm7);
    // What is to be GSM 7-bit and nothing else is not to be written by tables.
    let tables = if policy.choice == Choice::Auto { policy.shift_tables } else { ShiftTables::Off };
    let from = composed.as_deref().unwrap_or(text);
    if is_automatic && transliterate::to_gsm(from, level, policy.alphabet, tables, prepared) {
        return true;
    }
    match composed {
        Some(composed) => {
            *prepared = composed;
            true
        }
        None => false,
    }
}

/// The elements of a user data header, and the octets behind it.
type Octets = (Vec<u8>, Vec<u8>);

/// The elements of a row's user data header and its octets, where it has them instead of a text.
fn octets_of<R: Read>(plan: &Plan, records: &Records<R>) -> Result<Option<Octets>, Reason> {
    let cell = |column: Option<usize>| column.and_then(|column| records.field(column)).unwrap_or_default().trim();
    let (header, body) = (cell(plan.udh), cell(plan.hex));
    if header.is_empty() && body.is_empty() {
        return Ok(None);
    }
    match &plan.text {
        Text::Template(_) => return Err(Reason::HexBesideText),
        Text::Column(column) if !records.field(*column).unwrap_or_default().trim().is_empty() => {
            return Err(Reason::HexBesideText);
        }
        _ => {}
    }
    let elements = text::header_from_hex(header).map_err(Reason::Octets)?;
    Ok(Some((elements, text::from_hex(body).map_err(Reason::Octets)?)))
}

/// Refuses a row that has more or fewer fields than the header, unless nothing is lost by it: Excel leaves out delimiters
/// behind the last field that has something in it, and writes some for columns that a sheet once had.
fn refuse_other_length<R: Read>(plan: &Plan, header: &[String], records: &Records<R>) -> Result<(), Reason> {
    let (expected, found) = (header.len(), records.len());
    if found > expected {
        return match (expected..found).all(|n| is_blank(records.field(n))) {
            true => Ok(()),
            false => Err(Reason::Columns { expected, found }),
        };
    }
    let missing = |column: &usize| *column >= found;
    let needed = match &plan.text {
        Text::Column(column) => [plan.to, *column].into_iter().find(missing),
        Text::Template(template) => [plan.to].into_iter().chain(template.needed_columns()).find(missing),
        Text::None => Some(plan.to).filter(missing),
    };
    match needed {
        Some(column) => Err(Reason::Short { column: header[column].clone(), found }),
        None => Ok(()),
    }
}

/// A data_coding that was set by hand decides the encoding, so that the octets are what it says they are.
fn policy_for(policy: Policy, data_coding: Option<u8>) -> Policy {
    let policy = match data_coding {
        None | Some(0) => policy,
        Some(_) => Policy { alphabet: DefaultAlphabet::Gsm7, ..policy },
    };
    match (policy.choice, data_coding.and_then(Encoding::of_data_coding)) {
        (Choice::Auto, Some(encoding)) => Policy { choice: encoding.into(), ..policy },
        _ => policy,
    }
}
