//! A receipt's octets as something that can be scanned: ASCII where it matters.
use std::borrow::Cow;

use crate::wire::udh;
use crate::wire::values::esm_class;

/// The text without its user data header, and as UTF-8 if it is UTF-16.
///
/// UTF-16 is recognised by its look and not by data_coding: SMSCs send ASCII under UCS2 and UCS2 under 0. A text in
/// any other alphabet is left as it is, since labels, digits and state words are the same octets in all of them.
pub(super) fn octets_of(esm: u8, text: &[u8]) -> Cow<'_, [u8]> {
    let text = without_udh(esm, text);
    match *text {
        [0xFE, 0xFF, ..] => utf16(&text[2..], u16::from_be_bytes),
        [0xFF, 0xFE, ..] => utf16(&text[2..], u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, ..] => Cow::Borrowed(&text[3..]),
        [0, first, 0, second, ..] if first.is_ascii() && second != 0 => utf16(text, u16::from_be_bytes),
        [first, 0, second, 0, ..] if first.is_ascii() && second != 0 => utf16(text, u16::from_le_bytes),
        _ => Cow::Borrowed(text),
    }
}

/// The text after its user data header, if esm_class says that it has one and it fits.
pub(super) fn without_udh(esm: u8, text: &[u8]) -> &[u8] {
    udh::split(text).filter(|_| esm_class::has_udh(esm)).map_or(text, |(_, text)| text)
}

/// Septets out of octets, eight out of seven (3GPP TS 23.038 section 6.1.2.1).
pub(super) fn unpack_septets(octets: &[u8]) -> Vec<u8> {
    let mut septets = Vec::with_capacity(octets.len() / 7 * 8 + 8);
    let (mut bits, mut count) = (0_u16, 0);
    for &octet in octets {
        bits |= u16::from(octet) << count;
        count += 8;
        while count >= 7 {
            septets.push((bits & 0x7F) as u8);
            bits >>= 7;
            count -= 7;
        }
    }
    septets
}

fn utf16(octets: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, [u8]> {
    let units = octets.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).map(|each| each.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_recognised_by_their_look() {
        let table: &[(u8, &[u8], &[u8])] = &[
            (0x04, b"id:7", b"id:7"),
            (0x04, b"\0i\0d\0:\x007", b"id:7"),
            (0x04, b"i\0d\0:\x007\0", b"id:7"),
            (0x04, b"\xFE\xFF\0i\0d", b"id"),
            (0x04, b"\xFF\xFEi\0d\0", b"id"),
            (0x04, b"\xEF\xBB\xBFid", b"id"),
            (0x04, b"\0i\0d\0", b"id"),
            (0x04, b"\0i\0d\xD8\0", b"id\xEF\xBF\xBD"),
            (0x44, b"\x05\0\x03\x07\x02\x01id:7", b"id:7"),
            (0x44, b"\x05\0\x03\x07\x02\x01\0i\0d\0:\x007", b"id:7"),
            (0x44, b"\xFFid:7", b"\xFFid:7"),
            (0x44, b"", b""),
            (0x04, b"\0", b"\0"),
        ];
        for (esm, octets, expected) in table {
            assert_eq!(&*octets_of(*esm, octets), *expected, "{octets:02X?}");
        }
    }

    #[test]
    fn septets_are_unpacked() {
        // "hellohello" of 3GPP TS 23.038's usual example.
        assert_eq!(unpack_septets(&[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]), b"hellohello");
    }
}
