//! The octets of each part.

use super::split::Split;
use super::{Encoding, ReferenceWidth, TextError, gsm, measure};

/// The `esm_class` bit that says that the short message starts with a user data header (SMPP v3.4, 5.2.12).
pub const ESM_CLASS_UDHI: u8 = 0x40;

/// The number that ties the parts of one long message together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Header `05 00 03 ref total part`.
    Bits8(u8),
    /// Header `06 08 04 refhi reflo total part`.
    Bits16(u16),
}

impl Reference {
    /// Its width, which decides how much text a part holds.
    pub fn width(self) -> ReferenceWidth {
        match self {
            Reference::Bits8(_) => ReferenceWidth::Bits8,
            Reference::Bits16(_) => ReferenceWidth::Bits16,
        }
    }
}

/// What belongs around the octets of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartHeader {
    /// From 1.
    pub number: u8,
    /// Parts of the whole message, 1 to 255.
    pub total: u8,
    /// Bits to be set in `esm_class`: [`ESM_CLASS_UDHI`] when there is more than one part, else 0.
    pub esm_class: u8,
    /// The `data_coding` octet.
    pub data_coding: u8,
}

/// Encodes the parts of one message, one after the other, into buffers of the caller. It allocates nothing itself.
#[derive(Clone, Debug)]
pub struct Encoder<'a> {
    split: Split<'a>,
    encoding: Encoding,
    reference: Reference,
    number: u8,
    total: u8,
}

impl<'a> Encoder<'a> {
    /// The encoding is the one that [`segment`](super::segment) found; the parts are then as many as it said.
    pub fn new(text: &'a str, encoding: Encoding, reference: Reference) -> Result<Encoder<'a>, TextError> {
        let (_, units, _) = measure(text, encoding.into())?;
        let split = Split::new(text, encoding, units, reference.width());
        let total = if units <= encoding.units_single() { 1 } else { split.clone().count_limited() };
        match u8::try_from(total) {
            Ok(total) => Ok(Encoder { split, encoding, reference, number: 0, total }),
            Err(_) => Err(TextError::TooManyParts { units, encoding }),
        }
    }

    /// Parts of the message, 1 to 255.
    pub fn total(&self) -> u8 {
        self.total
    }

    /// Appends the short message of the next part, at most 160 octets with its header (140 for UCS2), to `out`.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<PartHeader> {
        let piece = self.split.next()?;
        self.number += 1;
        let concatenated = self.total > 1;
        if concatenated {
            write_udh(self.reference, self.total, self.number, out);
        }
        write_text(piece, self.encoding, out);
        Some(PartHeader {
            number: self.number,
            total: self.total,
            esm_class: if concatenated { ESM_CLASS_UDHI } else { 0 },
            data_coding: self.encoding.data_coding(),
        })
    }

    /// Passes over parts that need not be encoded.
    fn skip(&mut self, parts: u8) {
        for _ in 0..parts {
            if self.split.next().is_some() {
                self.number += 1;
            }
        }
    }
}

/// Appends the short message of one part, numbered from 1, to `out`; `None` when the message has no such part.
pub fn encode_part(
    text: &str,
    encoding: Encoding,
    reference: Reference,
    number: u8,
    out: &mut Vec<u8>,
) -> Result<Option<PartHeader>, TextError> {
    let mut encoder = Encoder::new(text, encoding, reference)?;
    if number == 0 || number > encoder.total() {
        return Ok(None);
    }
    encoder.skip(number - 1);
    Ok(encoder.next_into(out))
}

fn write_udh(reference: Reference, total: u8, number: u8, out: &mut Vec<u8>) {
    match reference {
        Reference::Bits8(reference) => out.extend_from_slice(&[0x05, 0x00, 0x03, reference, total, number]),
        Reference::Bits16(reference) => {
            let [high, low] = reference.to_be_bytes();
            out.extend_from_slice(&[0x06, 0x08, 0x04, high, low, total, number]);
        }
    }
}

/// The text has been measured in this encoding, so each character has a code.
fn write_text(text: &str, encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Gsm7 => gsm::encode(text, out),
        Encoding::Ucs2 => {
            out.reserve(2 * text.len());
            for unit in text.encode_utf16() {
                out.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
}
