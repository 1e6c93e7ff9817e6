//! Optional parameters as people read them. The journal's views say the same in SQL (`schema.sql`).

use crate::wire::tlv::{Tag, Tlv, Tlvs};
use crate::words::escape::hex;
use std::fmt::Write as _;

/// Parameters of one PDU that are shown. A PDU of 64 KB may hold 16,000 empty ones.
pub const TLVS_SHOWN_MAX: usize = 64;

/// How the value of a parameter reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlvShape {
    /// As it looks: a text where it is printable ASCII, with a NUL at its end or without; a number where it has 1, 2 or 4
    /// octets; else hexadecimal.
    #[default]
    AsItLooks,
    /// A number, where it has 1, 2 or 4 octets.
    Number,
    /// A network type and an error code (v3.4 section 5.3.2.31).
    NetworkError,
    /// A text of which only the length is shown.
    Length,
}

impl TlvShape {
    /// The shape of a parameter of the specification.
    #[must_use]
    pub fn of(tag: Tag) -> Self {
        match tag {
            Tag::NETWORK_ERROR_CODE => Self::NetworkError,
            Tag::MESSAGE_PAYLOAD => Self::Length,
            Tag::USER_MESSAGE_REFERENCE
            | Tag::SOURCE_PORT
            | Tag::DESTINATION_PORT
            | Tag::SAR_MSG_REF_NUM
            | Tag::QOS_TIME_TO_LIVE
            | Tag::DEST_TELEMATICS_ID
            | Tag::ITS_SESSION_INFO
            | Tag::SMS_SIGNAL => Self::Number,
            _ => Self::AsItLooks,
        }
    }

    /// As the journal keeps it.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::AsItLooks => 0,
            Self::Number => 1,
            Self::NetworkError => 2,
            Self::Length => 3,
        }
    }

    /// From what the journal keeps.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Number,
            2 => Self::NetworkError,
            3 => Self::Length,
            _ => Self::AsItLooks,
        }
    }
}

/// Parameters as words, in their order: `0x0423 network_error_code=GSM 27; 0x1403=26207`. `known` gives the name of a tag, if
/// it has one, and how its value reads.
pub fn tlv_words(tlvs: Tlvs<'_>, known: impl Fn(Tag) -> (Option<String>, TlvShape)) -> String {
    let mut words = String::new();
    for Tlv { tag, value } in tlvs.iter().take(TLVS_SHOWN_MAX) {
        if !words.is_empty() {
            words.push_str("; ");
        }
        let (name, shape) = known(tag);
        // A String takes whatever is written.
        let _ = write!(words, "0x{:04X}", tag.0);
        if let Some(name) = name {
            let _ = write!(words, " {name}");
        }
        words.push('=');
        words.push_str(&value_words(value, shape));
    }
    words
}

fn value_words(value: &[u8], shape: TlvShape) -> String {
    let number = || value.iter().fold(0_u32, |sum, &octet| sum << 8 | u32::from(octet)).to_string();
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
    match (shape, value, text) {
        (TlvShape::Length, _, _) => format!("{} octets", value.len()),
        (TlvShape::NetworkError, &[network, high, low], _) => {
            let code = u16::from_be_bytes([high, low]);
            match network {
                1 => format!("ANSI-136 {code}"),
                2 => format!("IS-95 {code}"),
                3 => format!("GSM {code}"),
                other => format!("{other} {code}"),
            }
        }
        (_, [_], _) | (TlvShape::Number, [_, _] | [_, _, _, _], _) | (_, [_, _] | [_, _, _, _], None) => number(),
        (_, _, Some(text)) => text.to_owned(),
        _ => format!("0x{}", hex(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_look() {
        for (value, shape, words) in [
            (&b"26207\0"[..], TlvShape::AsItLooks, "26207"),
            (b"0.0045", TlvShape::AsItLooks, "0.0045"),
            (b"\x03\x00\x1b", TlvShape::NetworkError, "GSM 27"),
            (b"\x09\x01\x00", TlvShape::NetworkError, "9 256"),
            (b"\x03\x00", TlvShape::NetworkError, "768"),
            (b"12", TlvShape::Number, "12594"),
            (b"12", TlvShape::AsItLooks, "12"),
            (b"\x00\xea", TlvShape::AsItLooks, "234"),
            (b"\xff\xff\xff\xff", TlvShape::AsItLooks, "4294967295"),
            (b"2", TlvShape::AsItLooks, "50"),
            (b"\0", TlvShape::AsItLooks, "0"),
            (b"", TlvShape::AsItLooks, ""),
            (b"", TlvShape::Number, ""),
            (b"\x62\xf2\x20", TlvShape::AsItLooks, "0x62f220"),
            (b"a\0b", TlvShape::AsItLooks, "0x610062"),
            (b"\x1b[31m", TlvShape::AsItLooks, "0x1b5b33316d"),
            (b"hello", TlvShape::Length, "5 octets"),
        ] {
            assert_eq!(value_words(value, shape), words, "{value:?}");
        }
    }

    #[test]
    fn no_more_are_shown_than_anybody_reads() {
        let many = [0x14, 0x00, 0, 0].repeat(16_000);
        let words = tlv_words(Tlvs(&many), |_| (None, TlvShape::AsItLooks));
        assert_eq!(words.matches("0x1400=").count(), TLVS_SHOWN_MAX);
    }
}
