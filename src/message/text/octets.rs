//! Messages that are no texts: octets, and the user data header before them, given in hexadecimal. WAP pushes, ring tones,
//! settings over the air, and whatever else goes to a port.

use super::encode::{ESM_CLASS_UDHI, PartHeader, Reference};
use super::{Concat, Encoding, OCTETS_MAX, Segmentation};
use crate::wire::udh;

/// Information elements that tie parts together, which the program writes itself.
const CONCATENATION: [u8; 2] = [0x00, 0x08];

/// Why octets cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OctetsError {
    /// Other than pairs of hexadecimal digits.
    #[error("write pairs of hexadecimal digits, as in 0605040B8423F0; spaces and colons between them do not matter")]
    Hex,
    /// Neither octets nor a header.
    #[error("there are no octets to send")]
    Empty,
    /// A header whose elements do not add up.
    #[error(
        "the user data header is broken: it is a list of elements, each a number, a length and so many octets \
         (05 04 0B84 23F0 is the ports of a WAP push), with the length of the whole in front or without"
    )]
    Header,
    /// An element whose length is wrong.
    #[error("element 0x{0:02X} of the user data header has {1} octets, and the standard gives it {2}")]
    Element(u8, u8, u8),
    /// A header that leaves no room.
    #[error("the user data header has {0} octets: it leaves no room for a message")]
    HeaderLong(usize),
    /// Parts of a long message, numbered by hand, which has more octets than a part holds.
    #[error(
        "the header numbers a part of a long message by hand, and the octets need more than one: leave that element out"
    )]
    NumberedByHand,
    /// Too much for 255 parts, also where the SMSC makes them.
    #[error("{0} octets need more than 255 parts")]
    TooLong(usize),
}

/// Octets out of hexadecimal digits, with or without `0x`, spaces and colons.
pub fn from_hex(typed: &str) -> Result<Vec<u8>, OctetsError> {
    let typed = typed.trim();
    let bare = typed.strip_prefix("0x").or_else(|| typed.strip_prefix("0X")).unwrap_or(typed);
    let mut octets = Vec::with_capacity(bare.len() / 2);
    let mut high = None;
    for c in bare.chars().filter(|c| !c.is_whitespace() && *c != ':') {
        let digit = c.to_digit(16).ok_or(OctetsError::Hex)? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => octets.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err(OctetsError::Hex) } else { Ok(octets) }
}

/// The elements of a user data header as it was given, without the length of the whole.
pub fn header_from_hex(typed: &str) -> Result<Vec<u8>, OctetsError> {
    let octets = from_hex(typed)?;
    let elements = match octets.split_first() {
        None => return Ok(Vec::new()),
        Some((&length, rest)) if usize::from(length) == rest.len() && check_elements(rest).is_ok() => rest,
        _ => {
            check_elements(&octets)?;
            &octets
        }
    };
    if elements.len() >= OCTETS_MAX { Err(OctetsError::HeaderLong(elements.len())) } else { Ok(elements.to_vec()) }
}

fn check_elements(elements: &[u8]) -> Result<(), OctetsError> {
    let mut elements = udh::elements(elements);
    for (element, value) in elements.by_ref() {
        // 3GPP TS 23.040, 9.2.3.24: those whose length is fixed, and which are often written by hand.
        let fixed = match element {
            0x00 => Some(3),
            0x04 => Some(2),
            0x05 | 0x08 => Some(4),
            0x24 | 0x25 => Some(1),
            _ => None,
        };
        if let Some(fixed) = fixed.filter(|fixed| usize::from(*fixed) != value.len()) {
            return Err(OctetsError::Element(element, value.len() as u8, fixed));
        }
    }
    if elements.rest().is_empty() { Ok(()) } else { Err(OctetsError::Header) }
}

fn is_numbered(elements: &[u8]) -> bool {
    udh::elements(elements).any(|(element, _)| CONCATENATION.contains(&element))
}

/// Encodes the parts of a message of octets.
#[derive(Clone, Debug)]
pub struct OctetsEncoder {
    elements: Vec<u8>,
    body: Vec<u8>,
    reference: Reference,
    room: usize,
    number: u8,
    total: u8,
    /// SMS that each part makes.
    sms: u8,
}

/// SMS that an SMSC makes of octets which it gets whole, each with the header and a number of its own.
fn sms_of_whole(elements: &[u8], octets: usize) -> Result<u8, OctetsError> {
    let room = Encoding::Octets.units_per_part(Concat::Payload).checked_sub(elements.len()).filter(|room| *room > 0);
    let room = room.ok_or(OctetsError::HeaderLong(1 + elements.len()))?;
    u8::try_from(octets.div_ceil(room)).map_err(|_| OctetsError::TooLong(octets))
}

impl OctetsEncoder {
    /// `elements`: of the user data header, without its length.
    pub fn new(elements: Vec<u8>, body: Vec<u8>, reference: Reference) -> Result<OctetsEncoder, OctetsError> {
        if elements.is_empty() && body.is_empty() {
            return Err(OctetsError::Empty);
        }
        let header = if elements.is_empty() { 0 } else { 1 + elements.len() };
        let room = OCTETS_MAX.checked_sub(header).filter(|room| *room > 0).ok_or(OctetsError::HeaderLong(header))?;
        if body.len() <= room {
            let room = body.len().max(1);
            return Ok(OctetsEncoder { elements, body, reference, room, number: 0, total: 1, sms: 1 });
        }
        if reference == Reference::Whole {
            let sms = sms_of_whole(&elements, body.len())?;
            let room = body.len();
            return Ok(OctetsEncoder { elements, body, reference, room, number: 0, total: 1, sms });
        }
        if is_numbered(&elements) {
            return Err(OctetsError::NumberedByHand);
        }
        let own = match reference {
            Reference::Bits8(_) => 5 + usize::from(elements.is_empty()),
            Reference::Bits16(_) => 6 + usize::from(elements.is_empty()),
            // The SMSC makes a header of them.
            Reference::Sar(_) => 6,
            Reference::Whole => 0,
        };
        let room = room.checked_sub(own).filter(|room| *room > 0).ok_or(OctetsError::HeaderLong(header))?;
        let total = u8::try_from(body.len().div_ceil(room)).map_err(|_| OctetsError::TooLong(body.len()))?;
        Ok(OctetsEncoder { elements, body, reference, room, number: 0, total, sms: 1 })
    }

    /// As [`new`](Self::new), out of hexadecimal digits as a journal has them.
    pub fn of_hex(header: Option<&str>, body: &str, reference: Reference) -> Result<OctetsEncoder, OctetsError> {
        OctetsEncoder::new(from_hex(header.unwrap_or_default())?, from_hex(body)?, reference)
    }

    /// What it comes to.
    pub fn segmentation(&self) -> Segmentation {
        Segmentation {
            encoding: Encoding::Octets,
            parts: self.total,
            sms: self.total.max(self.sms),
            units: self.body.len(),
            forced_by: None,
        }
    }

    /// SMS that each part makes: more than one where the SMSC does the splitting.
    pub fn sms_of_a_part(&self) -> u8 {
        self.sms
    }

    /// Parts of the message.
    pub fn total(&self) -> u8 {
        self.total
    }

    /// Appends the octets of the next part.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<PartHeader> {
        if self.number >= self.total {
            return None;
        }
        let from = usize::from(self.number) * self.room;
        self.number += 1;
        let start = out.len();
        out.push(0);
        let mut sar = None;
        if self.total > 1 {
            match self.reference {
                Reference::Bits8(reference) => out.extend_from_slice(&[0, 3, reference, self.total, self.number]),
                Reference::Bits16(reference) => {
                    let [high, low] = reference.to_be_bytes();
                    out.extend_from_slice(&[8, 4, high, low, self.total, self.number]);
                }
                Reference::Sar(reference) => sar = Some(reference),
                Reference::Whole => {}
            }
        }
        out.extend_from_slice(&self.elements);
        let header = out.len() - start - 1;
        match header {
            0 => out.truncate(start),
            length => out[start] = length as u8,
        }
        let end = (from + self.room).min(self.body.len());
        out.extend_from_slice(self.body.get(from..end).unwrap_or_default());
        Some(PartHeader {
            number: self.number,
            total: self.total,
            esm_class: if header > 0 { ESM_CLASS_UDHI } else { 0 },
            sar,
            whole: self.total == 1 && out.len() - start > OCTETS_MAX,
            data_coding: Encoding::Octets.data_coding(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(udh: &str, body: &[u8], reference: Reference) -> Result<Vec<(u8, Vec<u8>)>, OctetsError> {
        let mut encoder = OctetsEncoder::new(header_from_hex(udh)?, body.to_vec(), reference)?;
        let mut all = Vec::new();
        let mut out = Vec::new();
        while let Some(header) = encoder.next_into(&mut out) {
            all.push((header.esm_class, std::mem::take(&mut out)));
        }
        assert_eq!(all.len(), usize::from(encoder.total()));
        Ok(all)
    }

    #[test]
    fn a_header_is_given_with_its_length_or_without() {
        for typed in ["0605040B8423F0", "05040B8423F0", "0x05040b8423f0", "06 05:04 0B 84 23 F0"] {
            assert_eq!(header_from_hex(typed).unwrap(), [5, 4, 0x0B, 0x84, 0x23, 0xF0], "{typed}");
        }
        for (typed, error) in [
            ("0", OctetsError::Hex),
            ("05xx", OctetsError::Hex),
            ("05 04 0B84", OctetsError::Header),
            ("05", OctetsError::Header),
            ("050100", OctetsError::Element(5, 1, 4)),
            (&format!("70{:02x}{}", 150, "00".repeat(150)), OctetsError::HeaderLong(152)),
        ] {
            assert_eq!(header_from_hex(typed), Err(error), "{typed}");
        }
        assert!(from_hex("").unwrap().is_empty());
    }

    #[test]
    fn each_part_has_the_header_and_its_number() {
        let body: Vec<u8> = (0..=255).collect();
        let all = parts("05040B8423F0", &body, Reference::Bits8(7)).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].1[..12], [11, 0, 3, 7, 2, 2, 5, 4, 0x0B, 0x84, 0x23, 0xF0]);
        assert!(all.iter().all(|(esm_class, part)| *esm_class == 0x40 && part.len() <= 140));
        let joined: Vec<u8> = all.iter().flat_map(|(_, part)| part[12..].to_vec()).collect();
        assert_eq!(joined, body);
        assert_eq!(parts("", b"\x01\x02", Reference::Bits8(7)).unwrap(), [(0, vec![1, 2])]);
        assert_eq!(parts("05040B8423F0", b"", Reference::Bits8(7)).unwrap().len(), 1);
        assert_eq!(parts("", b"", Reference::Bits8(7)), Err(OctetsError::Empty));
        assert_eq!(parts("0003010201", &body, Reference::Bits8(7)), Err(OctetsError::NumberedByHand));
        assert_eq!(parts("0003010201", b"x", Reference::Bits8(7)).unwrap()[0].1, [5, 0, 3, 1, 2, 1, b'x']);
    }

    /// As many SMS as parts where the program cuts, and as the SMSC will make where it does.
    #[test]
    fn sms_are_counted_as_they_go_over_the_air() {
        let port = "05040B8423F0";
        for (udh, octets, whole, cut) in [
            ("", 1, Ok(1), Ok(1)),
            ("", 140, Ok(1), Ok(1)),
            ("", 141, Ok(2), Ok(2)),
            ("", 268, Ok(2), Ok(2)),
            ("", 269, Ok(3), Ok(3)),
            (port, 133, Ok(1), Ok(1)),
            (port, 134, Ok(2), Ok(2)),
            (port, 256, Ok(2), Ok(2)),
            (port, 257, Ok(3), Ok(3)),
            ("", 255 * 134, Ok(255), Ok(255)),
            ("", 255 * 134 + 1, Err(OctetsError::TooLong(34_171)), Err(OctetsError::TooLong(34_171))),
            (port, 255 * 128 + 1, Err(OctetsError::TooLong(32_641)), Err(OctetsError::TooLong(32_641))),
            ("", 70_000, Err(OctetsError::TooLong(70_000)), Err(OctetsError::TooLong(70_000))),
        ] {
            for (reference, sms) in [(Reference::Whole, whole), (Reference::Bits8(1), cut)] {
                let made = OctetsEncoder::new(header_from_hex(udh).unwrap(), vec![7; octets], reference);
                let counted = made.map(|encoder| {
                    let segmentation = encoder.segmentation();
                    let of_parts = usize::from(encoder.total()) * usize::from(encoder.sms_of_a_part());
                    assert_eq!(of_parts, usize::from(segmentation.sms), "{udh} {octets} {reference:?}");
                    segmentation.sms
                });
                assert_eq!(counted, sms, "{udh} {octets} {reference:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn parts_fit_and_together_are_the_octets(length in 1..3_000usize, wide in any::<bool>(), with in any::<bool>()) {
            let body: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let reference = if wide { Reference::Bits16(0x1234) } else { Reference::Bits8(9) };
            let all = parts(if with { "05040B8423F0" } else { "" }, &body, reference).unwrap();
            let mut joined = Vec::new();
            for (esm_class, part) in &all {
                prop_assert!(part.len() <= 140);
                let header = if *esm_class == 0 { 0 } else { usize::from(part[0]) + 1 };
                joined.extend_from_slice(&part[header..]);
            }
            prop_assert_eq!(joined, body);
        }
    }
}
