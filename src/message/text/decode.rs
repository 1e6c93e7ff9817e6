//! What an SMSC delivers, as text: lossy where it must be, never an error.

use std::borrow::Cow;

use super::{Shift, gsm};
use crate::wire::udh;

/// What `data_coding` 0 means to an SMSC ("SMSC default alphabet"; SMPP v3.4, 5.2.19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultAlphabet {
    /// GSM 03.38, one septet an octet.
    #[default]
    Gsm7,
    /// GSM 03.38, eight septets in seven octets.
    Gsm7Packed,
    /// Latin-1: the octets are the characters.
    Latin1,
    /// ASCII.
    Ascii,
    /// UTF-8. Only its ASCII part is sent as `data_coding` 0, since the length of the rest is anybody's guess.
    Utf8,
}

impl DefaultAlphabet {
    /// As in options: `gsm7`, `gsm7-packed`, `latin1`, `ascii`, `utf8`.
    pub fn name(self) -> &'static str {
        match self {
            DefaultAlphabet::Gsm7 => "gsm7",
            DefaultAlphabet::Gsm7Packed => "gsm7-packed",
            DefaultAlphabet::Latin1 => "latin1",
            DefaultAlphabet::Ascii => "ascii",
            DefaultAlphabet::Utf8 => "utf8",
        }
    }

    /// Where the first character stands that is in the GSM alphabet, and not in this.
    pub(super) fn first_missing(self, text: &str) -> Option<usize> {
        if self.is_gsm() {
            return None;
        }
        text.char_indices().find(|&(_, c)| self.lacks(c)).map(|(at, _)| at)
    }

    /// Whether a character of the GSM alphabet is not in this.
    pub(super) fn lacks(self, c: char) -> bool {
        match self {
            DefaultAlphabet::Gsm7 | DefaultAlphabet::Gsm7Packed => false,
            DefaultAlphabet::Latin1 => c > '\u{FF}',
            DefaultAlphabet::Ascii | DefaultAlphabet::Utf8 => c > '\u{7F}',
        }
    }

    /// Whether it is GSM 7-bit, however it is packed.
    pub fn is_gsm(self) -> bool {
        matches!(self, DefaultAlphabet::Gsm7 | DefaultAlphabet::Gsm7Packed)
    }
}

/// Which part of which long message an inbound text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concatenation {
    /// Equal in all parts of one message.
    pub reference: u16,
    /// Parts of the message, at least 1.
    pub total: u8,
    /// From 1 to `total`.
    pub number: u8,
}

/// The text of a short message, without its user data header (see [`split_udh`]).
///
/// What cannot be read becomes U+FFFD; binary data and unknown codings are read as Latin-1, which loses nothing.
pub fn decode(data_coding: u8, octets: &[u8], default: DefaultAlphabet) -> String {
    match data_coding {
        0x00 | 0x10..=0x13 | 0xF0..=0xF3 => match default {
            DefaultAlphabet::Gsm7 => decode_gsm(octets, None),
            DefaultAlphabet::Gsm7Packed => decode_gsm(&unpack(octets), None),
            DefaultAlphabet::Latin1 => decode_latin1(octets),
            DefaultAlphabet::Ascii | DefaultAlphabet::Utf8 => String::from_utf8_lossy(octets).into_owned(),
        },
        0x01 => String::from_utf8_lossy(octets).into_owned(),
        0x05 => decode_by(encoding_rs::SHIFT_JIS, octets),
        0x06 => decode_by(encoding_rs::ISO_8859_5, octets),
        0x07 => decode_by(encoding_rs::ISO_8859_8, octets),
        0x08 | 0x18..=0x1B => decode_ucs2(octets),
        0x0E => decode_by(encoding_rs::EUC_KR, octets),
        _ => decode_latin1(octets),
    }
}

/// How many octets at the end of a part's text are the beginning of a character that goes on in the next part: a lone high
/// surrogate, or an escape. Writers of ours never split there; others do.
pub fn unfinished(data_coding: u8, octets: &[u8], default: DefaultAlphabet) -> usize {
    match (data_coding, octets) {
        (0x08 | 0x18..=0x1B, [.., 0xD8..=0xDB, _]) if octets.len().is_multiple_of(2) => 2,
        (0x00 | 0x10..=0x13 | 0xF0..=0xF3, [.., gsm::ESCAPE]) if default == DefaultAlphabet::Gsm7 => 1,
        _ => 0,
    }
}

/// The user data header of a short message (without its length octet), where it has one, and the text behind it.
pub fn decode_with_header(
    data_coding: u8,
    octets: &[u8],
    has_header: bool,
    default: DefaultAlphabet,
) -> (&[u8], String) {
    let (header, body) = if has_header { split_udh(octets) } else { (&[][..], octets) };
    let is_default = matches!(data_coding, 0x00 | 0x10..=0x13 | 0xF0..=0xF3);
    if default == DefaultAlphabet::Gsm7Packed && is_default && !header.is_empty() {
        // The text begins at a septet boundary counted from the header's first bit.
        let before = ((header.len() + 1) * 8).div_ceil(7);
        return (header, decode_gsm(unpack(octets).get(before..).unwrap_or_default(), Shift::of_header(header)));
    }
    if let Some(shift) = Shift::of_header(header).filter(|_| is_default && default.is_gsm()) {
        return (header, decode_gsm(body, Some(shift)));
    }
    (header, decode(data_coding, body, default))
}

/// Septets out of packed octets, without a header before them. Seven bits left over are padding where they are a carriage
/// return.
pub fn unpack(octets: &[u8]) -> Vec<u8> {
    let mut septets = Vec::with_capacity(octets.len() * 8 / 7);
    let (mut bits, mut count) = (0u16, 0);
    for &octet in octets {
        bits |= u16::from(octet) << count;
        count += 8;
        while count >= 7 {
            septets.push(bits as u8 & 0x7F);
            bits >>= 7;
            count -= 7;
        }
    }
    if octets.len().is_multiple_of(7) && septets.last() == Some(&b'\r') {
        septets.pop();
    }
    septets
}

/// Parts a short message into its user data header (without the length octet) and its text.
///
/// For messages whose `esm_class` has the UDHI bit. A header longer than the message is no header: it all is text.
pub fn split_udh(octets: &[u8]) -> (&[u8], &[u8]) {
    udh::split(octets).unwrap_or((&[], octets))
}

/// Finds the concatenation element of a user data header, with an 8-bit or a 16-bit reference.
pub fn concatenation(header: &[u8]) -> Option<Concatenation> {
    let (reference, total, number) = udh::elements(header).find_map(|element| match element {
        (0x00, &[reference, total, number]) => Some((u16::from(reference), total, number)),
        (0x08, &[high, low, total, number]) => Some((u16::from_be_bytes([high, low]), total, number)),
        _ => None,
    })?;
    (1..=total).contains(&number).then_some(Concatenation { reference, total, number })
}

fn decode_gsm(octets: &[u8], shift: Option<Shift>) -> String {
    let mut text = String::with_capacity(octets.len());
    let character = |code: u8| shift.map_or_else(|| gsm::character(code), |shift| shift.character(code & 0x7F));
    let extended = |code: u8| shift.map_or_else(|| gsm::extended(code), |shift| shift.extended(code));
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            // An unknown pair shows as the default alphabet's character, an escape at the end as a space.
            gsm::ESCAPE => match octets.next() {
                Some(code) => text.push(extended(code).unwrap_or_else(|| character(code))),
                None => text.push(' '),
            },
            0x00..=0x7F => text.push(character(octet)),
            _ => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
    text
}

fn decode_latin1(octets: &[u8]) -> String {
    octets.iter().map(|&octet| char::from(octet)).collect()
}

fn decode_ucs2(octets: &[u8]) -> String {
    let (pairs, odd) = octets.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| u16::from_be_bytes(pair));
    let mut text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn decode_by(encoding: &'static encoding_rs::Encoding, octets: &[u8]) -> String {
    let (text, _): (Cow<'_, str>, bool) = encoding.decode_without_bom_handling(octets);
    text.into_owned()
}
