//! The octets of each part.

use super::split::Split;
use super::{Concat, DefaultAlphabet, Encoding, Shift, TextError, gsm, measure};

/// The `esm_class` bit that says that the short message starts with a user data header (SMPP v3.4, 5.2.12).
pub const ESM_CLASS_UDHI: u8 = 0x40;

/// The number that ties the parts of one long message together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Header `05 00 03 ref total part`.
    Bits8(u8),
    /// Header `06 08 04 refhi reflo total part`.
    Bits16(u16),
    /// No header: the reference, the total and the part are for TLVs.
    Sar(u16),
    /// No parts: the text stays whole.
    Whole,
}

impl Reference {
    /// The reference of message `number` for a way to concatenate.
    pub fn of(concat: Concat, number: i64) -> Reference {
        match concat {
            Concat::Udh8 => Reference::Bits8((number & 0xFF) as u8),
            Concat::Udh16 => Reference::Bits16((number & 0xFFFF) as u16),
            Concat::Sar => Reference::Sar((number & 0xFFFF) as u16),
            Concat::Payload => Reference::Whole,
        }
    }

    /// The way to concatenate that it is for, which decides how much text a part holds.
    pub fn concat(self) -> Concat {
        match self {
            Reference::Bits8(_) => Concat::Udh8,
            Reference::Bits16(_) => Concat::Udh16,
            Reference::Sar(_) => Concat::Sar,
            Reference::Whole => Concat::Payload,
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
    /// Bits to be set in `esm_class`: [`ESM_CLASS_UDHI`] when the octets begin with a UDH, else 0.
    pub esm_class: u8,
    /// The reference, where TLVs are to say which part this is.
    pub sar: Option<u16>,
    /// The text is too long for one SMS, and whole: for message_payload.
    pub whole: bool,
    /// The `data_coding` octet.
    pub data_coding: u8,
}

/// Encodes the parts of one message, one after the other, into buffers of the caller. It allocates nothing itself.
#[derive(Clone, Debug)]
pub struct Encoder<'a> {
    split: Split<'a>,
    encoding: Encoding,
    reference: Reference,
    alphabet: DefaultAlphabet,
    number: u8,
    total: u8,
    /// Too long for one SMS.
    long: bool,
    /// SMS that each part makes.
    sms: u8,
    /// Septets before they are packed.
    septets: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// The encoding is the one that [`segment`](super::segment) found; the parts are then as many as it said.
    pub fn new(text: &'a str, encoding: Encoding, reference: Reference) -> Result<Encoder<'a>, TextError> {
        let (_, units, _) = measure(text, encoding.into(), DefaultAlphabet::Gsm7)?;
        let split = Split::new(text, encoding, units, reference.concat());
        let long = units > encoding.units_single();
        let total = if long { split.clone().count_limited() } else { 1 };
        let Ok(total) = u8::try_from(total) else { return Err(TextError::TooManyParts { units, encoding }) };
        let whole = reference == Reference::Whole;
        let (total, sms) = if whole { (1, total) } else { (total, 1) };
        let split = if whole { Split::whole(text, encoding) } else { split };
        let (alphabet, septets) = (DefaultAlphabet::Gsm7, Vec::new());
        Ok(Encoder { split, encoding, reference, alphabet, number: 0, total, long, sms, septets })
    }

    /// What octets `data_coding` 0 carries, where that is not the GSM alphabet, a septet in an octet. The text must have
    /// been measured with it.
    pub fn with_alphabet(self, alphabet: DefaultAlphabet) -> Encoder<'a> {
        Encoder { alphabet, ..self }
    }

    /// SMS that each part makes: more than one where the SMSC does the splitting.
    pub fn sms_of_a_part(&self) -> u8 {
        self.sms
    }

    /// Parts of the message, 1 to 255.
    pub fn total(&self) -> u8 {
        self.total
    }

    /// Appends the octets of the next part to `out`: at most 160 with its header (140 but for GSM 7-bit), unless the text stays
    /// whole.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<PartHeader> {
        let piece = self.split.next()?;
        self.number += 1;
        let start = out.len();
        let mut sar = None;
        let shift = self.encoding.shift();
        if self.total > 1 || shift.is_some() {
            sar = write_header(self.reference, self.total, self.number, shift, out);
        }
        let header_octets = out.len() - start;
        match (self.encoding, self.alphabet) {
            (Encoding::Gsm7, DefaultAlphabet::Gsm7) => gsm::encode(piece, out),
            (Encoding::Shifted(shift), DefaultAlphabet::Gsm7Packed) => {
                self.septets.clear();
                shift.encode(piece, &mut self.septets);
                pack(&self.septets, header_octets, out);
            }
            (Encoding::Shifted(shift), _) => shift.encode(piece, out),
            (Encoding::Gsm7, DefaultAlphabet::Gsm7Packed) => {
                self.septets.clear();
                gsm::encode(piece, &mut self.septets);
                pack(&self.septets, header_octets, out);
            }
            // The text has been measured with the alphabet or the encoding, so that each character has an octet.
            (Encoding::Gsm7 | Encoding::Ascii | Encoding::Latin1 | Encoding::Octets, _) => {
                out.extend(piece.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')))
            }
            (Encoding::Ucs2, _) => {
                out.reserve(2 * piece.len());
                for unit in piece.encode_utf16() {
                    out.extend_from_slice(&unit.to_be_bytes());
                }
            }
        }
        Some(PartHeader {
            number: self.number,
            total: self.total,
            esm_class: if header_octets > 0 { ESM_CLASS_UDHI } else { 0 },
            sar,
            whole: self.long && self.total == 1,
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

/// Writes the header of a part, or gives the reference where it is to stand in TLVs.
fn write_header(reference: Reference, total: u8, number: u8, shift: Option<Shift>, out: &mut Vec<u8>) -> Option<u16> {
    let start = out.len();
    out.push(0);
    let mut sar = None;
    if total > 1 {
        match reference {
            Reference::Bits8(reference) => out.extend_from_slice(&[0x00, 0x03, reference, total, number]),
            Reference::Bits16(reference) => {
                let [high, low] = reference.to_be_bytes();
                out.extend_from_slice(&[0x08, 0x04, high, low, total, number]);
            }
            Reference::Sar(reference) => sar = Some(reference),
            Reference::Whole => {}
        }
    }
    if let Some(shift) = shift {
        shift.write(out);
    }
    match out.len() - start - 1 {
        0 => out.truncate(start),
        length => out[start] = length as u8,
    }
    sar
}

/// Appends septets packed into octets (3GPP TS 23.038, 6.1.2.1), beginning at the first septet boundary behind a header of
/// so many octets.
pub fn pack(septets: &[u8], header_octets: usize, out: &mut Vec<u8>) {
    let fill = (7 - header_octets * 8 % 7) % 7;
    // Bits that are not written yet, the lowest first.
    let (mut bits, mut count) = (0u16, fill);
    for &septet in septets {
        bits |= u16::from(septet & 0x7F) << count;
        count += 7;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        // Seven bits left over would be read as one more `@`: a carriage return is what the standard fills them with.
        let padding = if count == 1 { u16::from(b'\r') << 1 } else { 0 };
        out.push((bits | padding) as u8);
    }
}
