//! The GSM 03.38 default alphabet and its extension table (3GPP TS 23.038, 6.2.1), one septet an octet.
//!
//! The tables are computed from the alphabet when the crate is compiled, so that there is one list to check against the
//! standard and none to keep in step.

/// Escapes to the extension table.
pub(super) const ESCAPE: u8 = 0x1B;

/// What [`code`] says of a character outside the alphabet.
pub(super) const NONE: u16 = 0xFFFF;

/// The default alphabet, by code. Code 0x1B is the escape.
#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table: the code that follows the escape, and its character.
#[rustfmt::skip]
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'), (0x14, '^'), (0x28, '{'), (0x29, '}'), (0x2F, '\\'),
    (0x3C, '['), (0x3D, '~'), (0x3E, ']'), (0x40, '|'), (0x65, '€'),
];

/// Codes of U+0000 to U+00FF; an extended one carries the escape in its high octet.
const LOW: [u16; 256] = low();

/// The first and the number of the Greek capitals in [`GREEK`].
const GREEK_FIRST: u32 = 0x0393;
const GREEK: [u16; 23] = greek();

/// Septets for each octet of a UTF-8 text, or [`UNFIT`] for an octet that decides nothing on its own.
const COST: [u64; 256] = cost();

/// Larger than the septets of any text that fits in memory, so that one sum tells both the length and whether it
/// counts.
const UNFIT: u64 = 1 << 48;

/// The code of a character: below 0x80 alone, `0x1Bxx` for two septets, or [`NONE`].
#[inline]
pub(super) fn code(c: char) -> u16 {
    let scalar = c as u32;
    match scalar {
        0..=0xFF => LOW[scalar as usize],
        GREEK_FIRST..=0x03A9 => GREEK[(scalar - GREEK_FIRST) as usize],
        0x20AC => ((ESCAPE as u16) << 8) | 0x65,
        _ => NONE,
    }
}

/// The length of a text in septets, or the octet at which its first character outside the alphabet stands.
#[inline]
pub(super) fn septets(text: &str) -> Result<usize, usize> {
    let sum: u64 = text.as_bytes().iter().map(|&octet| COST[octet as usize]).sum();
    if sum < UNFIT { Ok(sum as usize) } else { septets_by_character(text) }
}

/// Appends the codes of a text that [`septets`] has measured. Most texts are runs of ASCII, which go octet by octet.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut rest = text;
    loop {
        let octets = rest.as_bytes();
        let run = octets.iter().position(|&octet| COST[octet as usize] != 1).unwrap_or(octets.len());
        out.extend(octets[..run].iter().map(|&octet| LOW[octet as usize] as u8));
        let mut characters = rest[run..].chars();
        let Some(c) = characters.next() else { return };
        match code(c).to_be_bytes() {
            [0, code] => out.push(code),
            [_, code] => out.extend_from_slice(&[ESCAPE, code]),
        }
        rest = characters.as_str();
    }
}

/// The character of a code of the default alphabet; the escape itself reads as a space, as the standard asks.
pub(super) fn character(code: u8) -> char {
    match DEFAULT[usize::from(code & 0x7F)] {
        '\u{1b}' => ' ',
        c => c,
    }
}

/// The character of a code that followed an escape, where the table has one.
pub(super) fn extended(code: u8) -> Option<char> {
    EXTENSION.iter().find(|(known, _)| *known == code).map(|&(_, c)| c)
}

fn septets_by_character(text: &str) -> Result<usize, usize> {
    let mut sum = 0;
    for (at, c) in text.char_indices() {
        match code(c) {
            NONE => return Err(at),
            single if single < 0x80 => sum += 1,
            _ => sum += 2,
        }
    }
    Ok(sum)
}

const fn low() -> [u16; 256] {
    let mut table = [NONE; 256];
    let mut i = 0;
    while i < 128 {
        if (DEFAULT[i] as u32) < 256 && i != ESCAPE as usize {
            table[DEFAULT[i] as usize] = i as u16;
        }
        i += 1;
    }
    let mut i = 0;
    while i < EXTENSION.len() {
        let (code, c) = EXTENSION[i];
        if (c as u32) < 256 {
            table[c as usize] = ((ESCAPE as u16) << 8) | code as u16;
        }
        i += 1;
    }
    table
}

const fn greek() -> [u16; 23] {
    let mut table = [NONE; 23];
    let mut i = 0;
    while i < 128 {
        let scalar = DEFAULT[i] as u32;
        if scalar >= GREEK_FIRST && scalar < GREEK_FIRST + 23 {
            table[(scalar - GREEK_FIRST) as usize] = i as u16;
        }
        i += 1;
    }
    table
}

const fn cost() -> [u64; 256] {
    let mut table = [UNFIT; 256];
    let mut i = 0;
    while i < 128 {
        table[i] = match LOW[i] {
            NONE => UNFIT,
            single if single < 0x80 => 1,
            _ => 2,
        };
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_the_tables_has_its_code_and_no_other_has_one() {
        for (i, &c) in DEFAULT.iter().enumerate().filter(|(i, _)| *i != usize::from(ESCAPE)) {
            assert_eq!(code(c), i as u16, "{c:?}");
        }
        for (low, c) in EXTENSION {
            assert_eq!(code(c), u16::from_be_bytes([ESCAPE, low]), "{c:?}");
            assert_eq!(extended(low), Some(c));
        }
        let known = (0..=0x10FFFF).filter_map(char::from_u32).filter(|&c| code(c) != NONE).count();
        assert_eq!(known, 127 + 10);
    }

    #[test]
    fn octets_and_characters_count_alike() {
        for (text, expected) in [
            ("", Ok(0)),
            ("abc @", Ok(5)),
            ("a€", Ok(3)),
            ("[x]", Ok(5)),
            ("Ωé", Ok(2)),
            ("back`tick", Err(4)),
            ("ç", Err(0)),
            ("é\tz", Err(2)),
        ] {
            assert_eq!(septets(text), expected, "{text:?}");
            assert_eq!(septets_by_character(text), expected, "{text:?}");
        }
    }
}
