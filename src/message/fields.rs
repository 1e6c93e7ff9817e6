//! Fields of `submit_sm` that an operator sets, for a campaign by options or row by row in columns of the fields' own
//! names.
//!
//! They are kept in the journal as compact JSON that holds only what was set. Pure: nothing here does I/O.

mod problem;
mod time;
mod tlvs;

pub use problem::{FieldError, Problem};
pub use time::words as time_words;
pub use tlvs::Tlvs;
use tlvs::{is_hex, parse_hex, shown_octets};

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

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
    /// The elements of a user data header that the operator gave, in hexadecimal: only with octets, never with a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udh: Option<String>,
    /// Optional parameters, in ascending order of their tags.
    #[serde(skip_serializing_if = "Tlvs::is_empty")]
    pub tlvs: Tlvs,
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
    /// The field of this name, in whatever case, which for replace_if_present_flag may leave out the `_flag`; `None` for a name that is no
    /// field's, an error for a `tlv:` that cannot be set.
    pub fn from_name(name: &str) -> Result<Option<Field>, FieldError> {
        let is_tlv = name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("tlv:"));
        let Some(tag) = name.get(4..).filter(|_| is_tlv) else {
            let is = |known: &str| known.eq_ignore_ascii_case(name);
            let known = if is("replace_if_present") { "replace_if_present_flag" } else { name };
            return Ok(FIELD_NAMES.iter().find(|(is, _)| is.eq_ignore_ascii_case(known)).map(|&(_, field)| field));
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
    /// Whether its value is a time.
    pub fn is_time(self) -> bool {
        matches!(self, Field::ScheduleDeliveryTime | Field::ValidityPeriod)
    }

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

impl SubmitFields {
    /// Whether the operator gave a user_message_reference among them.
    pub fn names_reference(&self) -> bool {
        self.tlvs.get(crate::wire::tlv::Tag::USER_MESSAGE_REFERENCE.0).is_some()
    }

    /// Sets a field by name. `Ok(false)`: there is no field of that name. An empty value leaves the field as it was.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, FieldError> {
        self.set_in(name, value, None)
    }

    /// As [`set`](SubmitFields::set); times without an offset are those of `zone`.
    pub fn set_in(&mut self, name: &str, value: &str, zone: Option<&TimeZone>) -> Result<bool, FieldError> {
        match Field::from_name(name)? {
            Some(field) => self.set_field_in(field, value, zone).map(|()| true),
            None => Ok(false),
        }
    }

    /// Why no text can have this data_coding, unless somebody says what its octets are; `None`: it can.
    pub fn no_text(data_coding: u8) -> Option<FieldError> {
        let coding = Problem::Coding(data_coding);
        let is_text = crate::message::text::Encoding::of_data_coding(data_coding).is_some();
        (!is_text).then(|| FieldError::new("data_coding", coding))
    }

    /// Why these fields do not go with a text: they announce a user data header.
    pub fn header_missing(&self) -> Option<FieldError> {
        let announced = self.esm_class.is_some_and(crate::wire::values::esm_class::has_udh);
        (announced && self.udh.is_none()).then(|| FieldError::new("esm_class", Problem::NoHeader))
    }

    /// Sets a field. Numbers are decimal or `0x` hexadecimal; an optional parameter is `0x` and pairs of hexadecimal
    /// digits, or else a text, in UTF-8. An empty value leaves the field as it was.
    pub fn set_field(&mut self, field: Field, value: &str) -> Result<(), FieldError> {
        self.set_field_in(field, value, None)
    }

    /// As [`set_field`](SubmitFields::set_field); times without an offset are those of `zone`.
    pub fn set_field_in(&mut self, field: Field, value: &str, zone: Option<&TimeZone>) -> Result<(), FieldError> {
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
                Field::ScheduleDeliveryTime => self.schedule_delivery_time = Some(time::parse(value, zone)?),
                Field::ValidityPeriod => self.validity_period = Some(time::parse(value, zone)?),
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

    /// Sets the data_coding of a message of octets: whoever gives them says what they are.
    pub fn set_coding_of_octets(&mut self, value: &str) -> Result<(), FieldError> {
        let value = value.trim();
        if !value.is_empty() {
            let problem = Problem::Range { value: value.to_owned(), max: u8::MAX };
            let coding = parse_number(value).ok_or_else(|| FieldError::new("data_coding", problem))?;
            self.data_coding = Some(coding);
        }
        Ok(())
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
              sm_default_msg_id udh);
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

#[cfg(test)]
mod tests;
