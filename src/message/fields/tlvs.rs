//! Optional parameters that an operator sets.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
/// The value of an optional parameter as people read it.
pub(super) fn shown_octets(value: &[u8]) -> String {
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => text.to_owned(),
        _ => format!("0x{}", crate::words::escape::hex(value)),
    }
}

pub(super) fn is_hex(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_hexdigit())
}

pub(super) fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    let nibble = |octet: u8| char::from(octet).to_digit(16).map(|nibble| nibble as u8);
    let octet = |pair: &[u8; 2]| Some((nibble(pair[0])? << 4) | nibble(pair[1])?);
    if odd.is_empty() { pairs.iter().map(octet).collect() } else { None }
}
