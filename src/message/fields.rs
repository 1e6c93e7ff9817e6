//! Fields of `submit_sm` that an operator sets, for a campaign by options or row by row in columns of the fields' own
//! names.
//!
//! They are kept in the journal as compact JSON that holds only what was set. Pure: nothing here does I/O.

mod time;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::escape::name_value;

/// What an operator set; everything else is as the program has it. Ranges are those of SMPP v3.4, 5.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmitFields {
    /// At most 5 ASCII characters; empty for the SMSC's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// 0 to 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_addr_ton: Option<u8>,
    /// 0 to 18.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_addr_npi: Option<u8>,
    /// 0 to 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_addr_ton: Option<u8>,
    /// 0 to 18.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_addr_npi: Option<u8>,
    /// 0 to 255. The UDHI bit of long messages is added to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esm_class: Option<u8>,
    /// 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_id: Option<u8>,
    /// 0 to 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_flag: Option<u8>,
    /// 16 characters, absolute or relative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_delivery_time: Option<String>,
    /// 16 characters, absolute or relative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_period: Option<String>,
    /// 0 to 31.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_delivery: Option<u8>,
    /// 0 or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_if_present_flag: Option<u8>,
    /// 0 to 255, but for 2 and 4, which mean binary data. One that names GSM 7-bit, UCS2 (0x10 and 0x18 are flash messages),
    /// ASCII (1) or Latin-1 (3) decides the encoding of the text too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_coding: Option<u8>,
    /// 0 to 254.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_default_msg_id: Option<u8>,
    /// Optional parameters, in ascending order of their tags.
    #[serde(skip_serializing_if = "Tlvs::is_empty")]
    pub tlvs: Tlvs,
}

/// Optional parameters by tag, each tag once. In JSON an object: `{"0x1400":"6869"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(Vec<(u16, Vec<u8>)>);

impl Tlvs {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tags and values, in ascending order of the tags.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.0.iter().map(|(tag, value)| (*tag, value.as_slice()))
    }

    /// The value of a tag.
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        self.0.binary_search_by_key(&tag, |(tag, _)| *tag).ok().map(|i| self.0[i].1.as_slice())
    }

    /// Sets the value of a tag, in place of an earlier one.
    pub fn set(&mut self, tag: u16, value: Vec<u8>) {
        match self.0.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(i) => self.0[i].1 = value,
            Err(i) => self.0.insert(i, (tag, value)),
        }
    }
}

/// A field that can be set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `service_type`
    ServiceType,
    /// `source_addr_ton`
    SourceAddrTon,
    /// `source_addr_npi`
    SourceAddrNpi,
    /// `dest_addr_ton`
    DestAddrTon,
    /// `dest_addr_npi`
    DestAddrNpi,
    /// `esm_class`
    EsmClass,
    /// `protocol_id`
    ProtocolId,
    /// `priority_flag`
    PriorityFlag,
    /// `schedule_delivery_time`
    ScheduleDeliveryTime,
    /// `validity_period`
    ValidityPeriod,
    /// `registered_delivery`
    RegisteredDelivery,
    /// `replace_if_present_flag`
    ReplaceIfPresentFlag,
    /// `data_coding`
    DataCoding,
    /// `sm_default_msg_id`
    SmDefaultMsgId,
    /// `tlv:0x1400`: an optional parameter by its tag.
    Tlv(u16),
    /// `tlv:0x1400:cstring`: one whose text ends in a NUL.
    TlvCString(u16),
}

/// Each field's name but the optional parameters', in the order of the PDU.
pub const FIELD_NAMES: [(&str, Field); 14] = [
    ("service_type", Field::ServiceType),
    ("source_addr_ton", Field::SourceAddrTon),
    ("source_addr_npi", Field::SourceAddrNpi),
    ("dest_addr_ton", Field::DestAddrTon),
    ("dest_addr_npi", Field::DestAddrNpi),
    ("esm_class", Field::EsmClass),
    ("protocol_id", Field::ProtocolId),
    ("priority_flag", Field::PriorityFlag),
    ("schedule_delivery_time", Field::ScheduleDeliveryTime),
    ("validity_period", Field::ValidityPeriod),
    ("registered_delivery", Field::RegisteredDelivery),
    ("replace_if_present_flag", Field::ReplaceIfPresentFlag),
    ("data_coding", Field::DataCoding),
    ("sm_default_msg_id", Field::SmDefaultMsgId),
];

/// Optional parameters that the program itself decides, since they carry the text and its parts: sar_msg_ref_num,
/// sar_total_segments, sar_segment_seqnum, message_payload.
const OWN_TAGS: [u16; 4] = [0x020C, 0x020E, 0x020F, 0x0424];

/// Behind a tag: the value ends in a NUL (a C-octet string, SMPP v3.4, 3.1).
const CSTRING: &str = "cstring";

/// Longest value of an optional parameter, octets.
const TLV_OCTETS_MAX: usize = 65_535;

impl Field {
    /// The field of this name, which for replace_if_present_flag may leave out the `_flag`; `None` for a name that is no
    /// field's, an error for a `tlv:` that cannot be set.
    pub fn from_name(name: &str) -> Result<Option<Field>, FieldError> {
        let Some(tag) = name.strip_prefix("tlv:") else {
            let name = if name == "replace_if_present" { "replace_if_present_flag" } else { name };
            return Ok(FIELD_NAMES.iter().find(|(known, _)| *known == name).map(|&(_, field)| field));
        };
        let (tag, is_string) = match tag.split_once(':') {
            Some((tag, form)) if form.eq_ignore_ascii_case(CSTRING) => (tag, true),
            _ => (tag, false),
        };
        let digits = tag.strip_prefix("0x").or_else(|| tag.strip_prefix("0X"));
        let tag = digits.filter(|digits| is_hex(digits)).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match tag {
            Some(tag) if OWN_TAGS.contains(&tag) => Err(FieldError::new(name, Problem::OwnTag)),
            Some(tag) if is_string => Ok(Some(Field::TlvCString(tag))),
            Some(tag) => Ok(Some(Field::Tlv(tag))),
            None => Err(FieldError::new(name, Problem::Tag)),
        }
    }
}

impl Field {
    /// The tag of an optional parameter.
    pub fn tag(self) -> Option<u16> {
        match self {
            Field::Tlv(tag) | Field::TlvCString(tag) => Some(tag),
            _ => None,
        }
    }

    /// Whether two names set the same thing.
    pub fn is_same(self, other: Field) -> bool {
        self == other || self.tag().is_some() && self.tag() == other.tag()
    }

    /// Whether data_sm has it too (SMPP v3.4, 4.7.1).
    pub fn is_of_data_sm(self) -> bool {
        !matches!(
            self,
            Field::ProtocolId
                | Field::PriorityFlag
                | Field::ScheduleDeliveryTime
                | Field::ValidityPeriod
                | Field::ReplaceIfPresentFlag
                | Field::SmDefaultMsgId
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Tlv(tag) => write!(f, "tlv:0x{tag:04X}"),
            Field::TlvCString(tag) => write!(f, "tlv:0x{tag:04X}:{CSTRING}"),
            _ => f.write_str(FIELD_NAMES.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name)),
        }
    }
}

/// A value that a field cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as it was named.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a value or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A number out of the range, or no number at all.
    Range {
        /// As it was typed.
        value: String,
        /// The largest that is allowed; the smallest is 0.
        max: u8,
    },
    /// A text that is too long.
    Text {
        /// How many characters it has.
        found: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// A text with other than ASCII characters.
    NotAscii,
    /// A time in no known form.
    Time(String),
    /// A duration that the relative form cannot hold.
    Duration(String),
    /// A time of no length.
    Zero(String),
    /// A moment that has come.
    Passed {
        /// As SMPP writes it.
        value: String,
        /// For people, in UTC.
        moment: String,
    },
    /// A data_coding of binary data.
    Binary(u8),
    /// `0x` followed by other than pairs of hexadecimal digits.
    Hex,
    /// An optional parameter that is too long.
    Length,
    /// A `tlv:` without a tag of up to four hexadecimal digits.
    Tag,
    /// An optional parameter that the program sets by itself.
    OwnTag,
    /// `1.10716E+18`: a spreadsheet rounded the id, and its digits are lost.
    Spreadsheet,
    /// A C-octet string with a NUL within.
    Nul,
}

impl FieldError {
    fn new(field: &str, problem: Problem) -> FieldError {
        FieldError { field: field.to_owned(), problem }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name_value(&self.field), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Range { value, max } => write!(f, "`{}` is not a number from 0 to {max}", name_value(value)),
            Problem::Text { found, max } => write!(f, "it has {found} characters, and at most {max} are allowed"),
            Problem::NotAscii => f.write_str("only ASCII characters are allowed"),
            Problem::Time(value) => write!(
                f,
                "`{}` is not a time: write a duration such as 2h, 30m or 3d, a time with its offset such as \
                 2026-12-24T09:00+01:00 (of a day that exists, 2000 to 2099), or SMPP's YYMMDDhhmmsstnnp (nn from 00 to \
                 48) or YYMMDDhhmmss000R",
                name_value(value)
            ),
            Problem::Duration(value) => {
                write!(f, "`{}` is not between 1s and 31d: write SMPP's YYMMDDhhmmss000R for more", name_value(value))
            }
            Problem::Zero(value) => {
                write!(f, "`{}` is no time at all: leave it out, or write a duration such as 2h", name_value(value))
            }
            Problem::Passed { value, moment } => {
                write!(f, "`{}` has passed: it was at {moment}", name_value(value))
            }
            Problem::Binary(coding) => write!(
                f,
                "{coding} means binary data, and a text is none: use 1 (ASCII), 3 (Latin-1), 8 (UCS2), or leave it out"
            ),
            Problem::Hex => {
                f.write_str("after 0x come pairs of hexadecimal digits; for a text that starts so, write it in hex")
            }
            Problem::Length => write!(f, "an optional parameter has at most {TLV_OCTETS_MAX} octets"),
            Problem::Tag => f.write_str(
                "name the tag as tlv:0x and up to four hexadecimal digits, for example tlv:0x1400, or tlv:0x1400:cstring \
                 for a text that ends in a NUL",
            ),
            Problem::Spreadsheet => f.write_str(
                "a spreadsheet rewrote the id in scientific notation and its digits are lost: export the column as text",
            ),
            Problem::Nul => f.write_str("there is a NUL within a text that a NUL ends"),
            Problem::OwnTag => {
                f.write_str("this parameter carries the text or its parts and is set by the program alone")
            }
        }
    }
}

impl std::error::Error for FieldError {}

impl SubmitFields {
    /// Whether the operator gave a user_message_reference among them.
    pub fn names_reference(&self) -> bool {
        self.tlvs.get(crate::wire::tlv::Tag::USER_MESSAGE_REFERENCE.0).is_some()
    }

    /// Sets a field by name. `Ok(false)`: there is no field of that name. An empty value leaves the field as it was.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, FieldError> {
        match Field::from_name(name)? {
            Some(field) => self.set_field(field, value).map(|()| true),
            None => Ok(false),
        }
    }

    /// Sets a field. Numbers are decimal or `0x` hexadecimal; an optional parameter is `0x` and pairs of hexadecimal
    /// digits, or else a text, in UTF-8. An empty value leaves the field as it was.
    pub fn set_field(&mut self, field: Field, value: &str) -> Result<(), FieldError> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        let number = |max: u8| {
            let problem = || Problem::Range { value: value.to_owned(), max };
            parse_number(value).filter(|number| *number <= max).map(Some).ok_or_else(problem)
        };
        let mut set = || -> Result<(), Problem> {
            match field {
                Field::ServiceType => self.service_type = Some(parse_text(value, 5)?),
                Field::SourceAddrTon => self.source_addr_ton = number(6)?,
                Field::SourceAddrNpi => self.source_addr_npi = number(18)?,
                Field::DestAddrTon => self.dest_addr_ton = number(6)?,
                Field::DestAddrNpi => self.dest_addr_npi = number(18)?,
                Field::EsmClass => self.esm_class = number(255)?,
                Field::ProtocolId => self.protocol_id = number(255)?,
                Field::PriorityFlag => self.priority_flag = number(3)?,
                Field::ScheduleDeliveryTime => self.schedule_delivery_time = Some(time::parse(value)?),
                Field::ValidityPeriod => self.validity_period = Some(time::parse(value)?),
                Field::RegisteredDelivery => self.registered_delivery = number(31)?,
                Field::ReplaceIfPresentFlag => self.replace_if_present_flag = number(1)?,
                Field::DataCoding => self.data_coding = text_coding(number(255)?)?,
                Field::SmDefaultMsgId => self.sm_default_msg_id = number(254)?,
                Field::Tlv(tag) => self.tlvs.set(tag, parse_tlv(value)?),
                Field::TlvCString(tag) => self.tlvs.set(tag, parse_c_string(value)?),
            }
            Ok(())
        };
        set().map_err(|problem| FieldError { field: field.to_string(), problem })
    }

    /// The first absolute time among the fields that has come at `now_ms`, in milliseconds since 1970.
    pub fn passed(&self, now_ms: i64) -> Option<FieldError> {
        let times = [
            (Field::ScheduleDeliveryTime, &self.schedule_delivery_time),
            (Field::ValidityPeriod, &self.validity_period),
        ];
        times.into_iter().find_map(|(field, time)| {
            let value = time.as_deref()?;
            let moment = time::passed(value, now_ms)?;
            Some(FieldError::new(&field.to_string(), Problem::Passed { value: value.to_owned(), moment }))
        })
    }

    /// The first moment, in milliseconds since 1970, at which a time among the fields has passed; `None`: there is none.
    /// One that is no time, as older imports let through, has always passed.
    /// Fields that are not set here are taken from `general`.
    pub fn passes_at(&self, general: &SubmitFields) -> Option<i64> {
        let scheduled = self.schedule_delivery_time.as_deref().or(general.schedule_delivery_time.as_deref());
        let valid = self.validity_period.as_deref().or(general.validity_period.as_deref());
        [scheduled, valid].into_iter().flatten().filter_map(time::passes_at).min()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == SubmitFields::default()
    }

    /// Takes over what the other has set.
    pub fn overlay(&mut self, other: &SubmitFields) {
        macro_rules! take {
            ($($field:ident)*) => { $(if other.$field.is_some() { self.$field.clone_from(&other.$field); })* };
        }
        take!(service_type source_addr_ton source_addr_npi dest_addr_ton dest_addr_npi esm_class protocol_id priority_flag
              schedule_delivery_time validity_period registered_delivery replace_if_present_flag data_coding
              sm_default_msg_id);
        for (tag, value) in other.tlvs.iter() {
            self.tlvs.set(tag, value.to_vec());
        }
    }

    /// Whether type or plan of an address is set.
    pub fn has_addressing(&self) -> bool {
        let own = [self.source_addr_ton, self.source_addr_npi, self.dest_addr_ton, self.dest_addr_npi];
        own.iter().any(Option::is_some)
    }

    /// What is set, by name with its value as people read it, in the order of the PDU: texts of optional parameters as they
    /// are, without the NUL that ends one, other octets in hexadecimal.
    pub fn entries(&self) -> Vec<(String, String)> {
        let number = |value: Option<u8>| value.map(|value| value.to_string());
        let values = [
            self.service_type.clone(),
            number(self.source_addr_ton),
            number(self.source_addr_npi),
            number(self.dest_addr_ton),
            number(self.dest_addr_npi),
            number(self.esm_class),
            number(self.protocol_id),
            number(self.priority_flag),
            self.schedule_delivery_time.clone(),
            self.validity_period.clone(),
            number(self.registered_delivery),
            number(self.replace_if_present_flag),
            number(self.data_coding),
            number(self.sm_default_msg_id),
        ];
        let named = FIELD_NAMES.iter().zip(values).filter_map(|((name, _), value)| Some(((*name).to_owned(), value?)));
        let tlvs = self.tlvs.iter().map(|(tag, value)| (Field::Tlv(tag).to_string(), shown_octets(value)));
        named.chain(tlvs).collect()
    }

    /// The first field set that data_sm does not have.
    pub fn beyond_data_sm(&self) -> Option<Field> {
        let set = [
            (self.protocol_id.is_some(), Field::ProtocolId),
            (self.priority_flag.is_some(), Field::PriorityFlag),
            (self.schedule_delivery_time.is_some(), Field::ScheduleDeliveryTime),
            (self.validity_period.is_some(), Field::ValidityPeriod),
            (self.replace_if_present_flag.is_some(), Field::ReplaceIfPresentFlag),
            (self.sm_default_msg_id.is_some(), Field::SmDefaultMsgId),
        ];
        set.into_iter().find(|(is_set, _)| *is_set).map(|(_, field)| field)
    }

    /// Replaces the contents of `out` by the compact JSON of what is set.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.clear();
        // Neither strings, integers nor a Vec can fail to be written.
        let _ = serde_json::to_writer(out, self);
    }

    /// The compact JSON of what is set: `{"validity_period":"000000020000000R"}`.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads what [`to_json`](SubmitFields::to_json) wrote.
    pub fn from_json(json: &str) -> Result<SubmitFields, serde_json::Error> {
        serde_json::from_str(json)
    }
}

/// What octets of binary data are to be made of a text nobody can say (SMPP v3.4, 5.2.19).
fn text_coding(data_coding: Option<u8>) -> Result<Option<u8>, Problem> {
    match data_coding {
        Some(coding @ (0x02 | 0x04)) => Err(Problem::Binary(coding)),
        coding => Ok(coding),
    }
}

fn parse_number(value: &str) -> Option<u8> {
    match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(digits) if is_hex(digits) => u8::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if value.bytes().all(|octet| octet.is_ascii_digit()) => value.parse().ok(),
        None => None,
    }
}

fn parse_text(value: &str, max: usize) -> Result<String, Problem> {
    if !value.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        return Err(Problem::NotAscii);
    }
    match value.len() {
        length if length <= max => Ok(value.to_owned()),
        found => Err(Problem::Text { found, max }),
    }
}

fn parse_tlv(value: &str) -> Result<Vec<u8>, Problem> {
    if is_rounded(value) {
        return Err(Problem::Spreadsheet);
    }
    let octets = match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(digits) => parse_hex(digits).ok_or(Problem::Hex)?,
        None => value.as_bytes().to_vec(),
    };
    if octets.len() > TLV_OCTETS_MAX { Err(Problem::Length) } else { Ok(octets) }
}

/// As [`parse_tlv`], with a NUL at the end; one that was given in hexadecimal may be there already.
fn parse_c_string(value: &str) -> Result<Vec<u8>, Problem> {
    let mut octets = parse_tlv(value)?;
    if octets.last() == Some(&0) {
        octets.pop();
    }
    if octets.contains(&0) {
        return Err(Problem::Nul);
    }
    octets.push(0);
    if octets.len() > TLV_OCTETS_MAX { Err(Problem::Length) } else { Ok(octets) }
}

/// Whether a spreadsheet wrote this in place of a long number: `1.10716E+18`, or `1,10716E+18` where the comma is decimal.
/// They always write the sign; a whole number without it may be an id that has an E.
fn is_rounded(value: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let Some((mantissa, exponent)) = value.split_once(['E', 'e']) else { return false };
    let (signed, exponent) = match exponent.strip_prefix(['+', '-']) {
        Some(digits) => (true, digits),
        None => (false, exponent),
    };
    match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => is_digits(exponent) && is_digits(whole) && is_digits(fraction),
        None => signed && is_digits(exponent) && is_digits(mantissa),
    }
}

/// The value of an optional parameter as people read it.
fn shown_octets(value: &[u8]) -> String {
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => text.to_owned(),
        _ => format!("0x{}", crate::words::escape::hex(value)),
    }
}

fn is_hex(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_hexdigit())
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    let nibble = |octet: u8| char::from(octet).to_digit(16).map(|nibble| nibble as u8);
    let octet = |pair: &[u8; 2]| Some((nibble(pair[0])? << 4) | nibble(pair[1])?);
    if odd.is_empty() { pairs.iter().map(octet).collect() } else { None }
}

impl Serialize for Tlvs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(tag, value)| {
            let hex: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
            (format!("0x{tag:04X}"), hex)
        }))
    }
}

impl<'de> Deserialize<'de> for Tlvs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tlvs, D::Error> {
        use serde::de::Error;
        let map = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut tlvs = Tlvs::default();
        for (tag, hex) in map {
            let digits = tag.strip_prefix("0x").unwrap_or(&tag);
            let tag = u16::from_str_radix(digits, 16).map_err(D::Error::custom)?;
            tlvs.set(tag, parse_hex(&hex).ok_or_else(|| D::Error::custom("not hexadecimal"))?);
        }
        Ok(tlvs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_set_is_kept_as_json() {
        for (name, value, json) in [
            ("service_type", "WAP", r#"{"service_type":"WAP"}"#),
            ("source_addr_ton", "5", r#"{"source_addr_ton":5}"#),
            ("source_addr_npi", "18", r#"{"source_addr_npi":18}"#),
            ("dest_addr_ton", "0", r#"{"dest_addr_ton":0}"#),
            ("dest_addr_npi", " 1 ", r#"{"dest_addr_npi":1}"#),
            ("esm_class", "0x80", r#"{"esm_class":128}"#),
            ("protocol_id", "0x41", r#"{"protocol_id":65}"#),
            ("priority_flag", "3", r#"{"priority_flag":3}"#),
            ("schedule_delivery_time", "261123120000004+", r#"{"schedule_delivery_time":"261123120000004+"}"#),
            ("validity_period", "2h", r#"{"validity_period":"000000020000000R"}"#),
            ("registered_delivery", "17", r#"{"registered_delivery":17}"#),
            ("replace_if_present_flag", "1", r#"{"replace_if_present_flag":1}"#),
            ("data_coding", "0x18", r#"{"data_coding":24}"#),
            ("sm_default_msg_id", "254", r#"{"sm_default_msg_id":254}"#),
            ("tlv:0x1400", "hi", r#"{"tlvs":{"0x1400":"6869"}}"#),
            ("tlv:0x204", "0x00fF", r#"{"tlvs":{"0x0204":"00ff"}}"#),
            ("tlv:0x204", "0x", r#"{"tlvs":{"0x0204":""}}"#),
            ("tlv:0x1401:cstring", "1107", r#"{"tlvs":{"0x1401":"3131303700"}}"#),
            ("tlv:0x1401:CString", "0x3100", r#"{"tlvs":{"0x1401":"3100"}}"#),
            ("tlv:0x1401:cstring", "0x31", r#"{"tlvs":{"0x1401":"3100"}}"#),
            ("tlv:0x1401:cstring", "0x", r#"{"tlvs":{"0x1401":"00"}}"#),
            ("tlv:0x1401", "12E18", r#"{"tlvs":{"0x1401":"3132453138"}}"#),
            ("tlv:0x1401", "1107160000000003213", r#"{"tlvs":{"0x1401":"31313037313630303030303030303033323133"}}"#),
            ("priority_flag", "", "{}"),
        ] {
            let mut fields = SubmitFields::default();
            assert_eq!(fields.set(name, value), Ok(true), "{name}");
            assert_eq!(fields.to_json(), json);
            assert_eq!(SubmitFields::from_json(json).unwrap(), fields);
            assert_eq!(fields.is_empty(), json == "{}");
        }
        assert_eq!(SubmitFields::default().set("colour", "red"), Ok(false));
        assert!(SubmitFields::from_json(r#"{"colour":"red"}"#).is_err());
    }

    #[test]
    fn what_cannot_be_set() {
        let range = |value: &str, max| Problem::Range { value: value.to_owned(), max };
        for (name, value, problem) in [
            ("priority_flag", "4", range("4", 3)),
            ("priority_flag", "-1", range("-1", 3)),
            ("priority_flag", "+1", range("+1", 3)),
            ("data_coding", "256", range("256", 255)),
            ("data_coding", "0x", range("0x", 255)),
            ("data_coding", "0x+1", range("0x+1", 255)),
            ("source_addr_ton", "7", range("7", 6)),
            ("dest_addr_npi", "19", range("19", 18)),
            ("replace_if_present_flag", "yes", range("yes", 1)),
            ("service_type", "TOOLONG", Problem::Text { found: 7, max: 5 }),
            ("service_type", "é", Problem::NotAscii),
            ("validity_period", "tomorrow", Problem::Time("tomorrow".to_owned())),
            ("data_coding", "4", Problem::Binary(4)),
            ("data_coding", "0x02", Problem::Binary(2)),
            ("tlv:0x1400", "0x123", Problem::Hex),
            ("tlv:0x1400", "0xzz", Problem::Hex),
            ("tlv:1400", "x", Problem::Tag),
            ("tlv:0x1400:text", "x", Problem::Tag),
            ("tlv:0x1400:", "x", Problem::Tag),
            ("tlv:0x1401", "1.10716E+18", Problem::Spreadsheet),
            ("tlv:0x1401", "1,10716E+18", Problem::Spreadsheet),
            ("tlv:0x1401", " 1e+18 ", Problem::Spreadsheet),
            ("tlv:0x1401", "1.10716E18", Problem::Spreadsheet),
            ("tlv:0x1401:cstring", "1.10716E+18", Problem::Spreadsheet),
            ("tlv:0x1401:cstring", "0x310032", Problem::Nul),
            ("tlv:0x0424:cstring", "x", Problem::OwnTag),
            ("tlv:0x14000", "x", Problem::Tag),
            ("tlv:0x+12", "x", Problem::Tag),
            ("tlv:0x0424", "x", Problem::OwnTag),
        ] {
            let mut fields = SubmitFields::default();
            let error = fields.set(name, value).unwrap_err();
            assert_eq!(error, FieldError::new(name, problem));
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(fields.is_empty());
        }
    }

    #[test]
    fn what_is_set_can_be_read() {
        let mut fields = SubmitFields::default();
        for (name, value) in [
            ("tlv:0x1401:cstring", "1107"),
            ("tlv:0x0204", "0x0001"),
            ("tlv:0x1400", "é"),
            ("validity_period", "2h"),
            ("priority_flag", "1"),
        ] {
            fields.set(name, value).unwrap();
        }
        let entries: Vec<String> = fields.entries().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected =
            "priority_flag=1 validity_period=000000020000000R tlv:0x0204=0x0001 tlv:0x1400=é tlv:0x1401=1107";
        assert_eq!(entries.join(" "), expected);
    }

    #[test]
    fn optional_parameters_are_ordered_and_single() {
        let mut fields = SubmitFields::default();
        for (name, value) in [("tlv:0x1401", "b"), ("tlv:0x0204", "a"), ("tlv:0x1401", "c")] {
            fields.set(name, value).unwrap();
        }
        assert_eq!(fields.tlvs.iter().collect::<Vec<_>>(), [(0x0204, &b"a"[..]), (0x1401, b"c")]);
        assert_eq!((fields.tlvs.get(0x1401), fields.tlvs.get(1)), (Some(&b"c"[..]), None));
    }

    #[test]
    fn names_are_those_of_the_fields() {
        for (name, field) in FIELD_NAMES {
            assert_eq!(field.to_string(), name);
            assert_eq!(Field::from_name(name), Ok(Some(field)));
        }
        assert_eq!(Field::from_name("replace_if_present"), Ok(Some(Field::ReplaceIfPresentFlag)));
    }

    proptest! {
        #[test]
        fn nothing_set_panics(name in "(tlv:)?[0-9a-fx]{0,7}", value in any::<String>()) {
            let mut fields = SubmitFields::default();
            let _ = fields.set(&name, &value);
            for (name, _) in FIELD_NAMES {
                let _ = fields.set(name, &value).map_err(|error| error.to_string());
            }
            prop_assert_eq!(SubmitFields::from_json(&fields.to_json()).unwrap(), fields);
        }
    }
}
