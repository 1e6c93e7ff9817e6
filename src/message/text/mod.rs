//! Texts on the wire: which alphabet, how many parts, which octets. Pure: nothing here does I/O.
//!
//! [`segment`] says what a text will cost and is quick enough to be asked of every row of a campaign; [`Encoder`] makes
//! the octets of its parts when they are sent; [`mod@decode`] reads what an SMSC delivers.
//!
//! A part never ends inside an extension pair, a surrogate pair or, unless one cluster alone overflows a part, inside a
//! grapheme cluster, so a family emoji arrives whole.

mod decode;
mod encode;
mod gsm;
mod national;
mod octets;
mod split;
pub mod transliterate;

use std::fmt;

pub use decode::{Concatenation, DefaultAlphabet, concatenation, decode, decode_with_header, split_udh, unfinished};
pub use encode::{ESM_CLASS_UDHI, Encoder, PartHeader, Reference, encode_part};
pub use national::{Language, Shift};
pub use octets::{OctetsEncoder, OctetsError, from_hex, header_from_hex};
use split::Split;

/// Parts that one message can have: the UDH counts them in one octet.
pub const MAX_PARTS: usize = 255;

/// Octets of a short message on the air (3GPP TS 23.040, 9.2.3.24).
const OCTETS_MAX: usize = 140;

/// How the characters of a message become octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// The GSM 03.38 default alphabet, one septet an octet (unpacked).
    Gsm7,
    /// UTF-16BE, which is what UCS2 is in practice.
    Ucs2,
    /// ASCII (IA5), a character in an octet. Only where `data_coding` 1 is set by hand.
    Ascii,
    /// Latin-1 (ISO-8859-1), a character in an octet. Only where `data_coding` 3 is set by hand.
    Latin1,
    /// No text: octets that the operator gave. What is kept as its text are their hexadecimal digits.
    Octets,
    /// GSM 7-bit with national language shift tables, which a user data header names.
    Shifted(Shift),
}

/// Of [`Encoding::Shifted`] the first that is stored; the others follow in the order of [`Shift::ALL`].
const STORED_SHIFTED: u8 = 5;

impl Encoding {
    /// How many there are: each is stored as an integer below.
    pub const COUNT: usize = STORED_SHIFTED as usize + Shift::ALL.len();

    /// All of them, in the order of their integers.
    pub fn all() -> impl Iterator<Item = Encoding> {
        (0..Self::COUNT as u8).filter_map(Encoding::from_stored)
    }

    /// The encoding stored as this integer, if there is one.
    pub fn from_stored(stored: u8) -> Option<Encoding> {
        Some(match stored {
            0 => Encoding::Gsm7,
            1 => Encoding::Ucs2,
            2 => Encoding::Ascii,
            3 => Encoding::Latin1,
            4 => Encoding::Octets,
            _ => Encoding::Shifted(*Shift::ALL.get(usize::from(stored - STORED_SHIFTED))?),
        })
    }

    /// The integer that the journal stores.
    pub fn stored(self) -> u8 {
        match self {
            Encoding::Gsm7 => 0,
            Encoding::Ucs2 => 1,
            Encoding::Ascii => 2,
            Encoding::Latin1 => 3,
            Encoding::Octets => 4,
            Encoding::Shifted(shift) => {
                STORED_SHIFTED + Shift::ALL.iter().position(|known| *known == shift).unwrap_or_default() as u8
            }
        }
    }

    /// `gsm7`, `ucs2`, `ascii`, `latin1`, `octets`, or `gsm7-tr` and the like, as in reports and options.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "gsm7",
            Encoding::Ucs2 => "ucs2",
            Encoding::Ascii => "ascii",
            Encoding::Latin1 => "latin1",
            Encoding::Octets => "octets",
            Encoding::Shifted(shift) => match (shift.locking, shift.single) {
                (None, Some(Language::Turkish)) => "gsm7-tr",
                (None, Some(Language::Spanish)) => "gsm7-es",
                (None, _) => "gsm7-pt",
                (Some(Language::Turkish), None) => "gsm7-tr-locking",
                (Some(_), None) => "gsm7-pt-locking",
                (Some(Language::Turkish), Some(_)) => "gsm7-tr-both",
                (Some(_), Some(_)) => "gsm7-pt-both",
            },
        }
    }

    /// Whether its units are septets.
    pub fn is_septets(self) -> bool {
        matches!(self, Encoding::Gsm7 | Encoding::Shifted(_))
    }

    /// What its units are called.
    pub fn unit_name(self) -> &'static str {
        match self {
            Encoding::Gsm7 | Encoding::Shifted(_) => "septets",
            Encoding::Ucs2 => "UCS2 units",
            Encoding::Ascii | Encoding::Latin1 | Encoding::Octets => "octets",
        }
    }

    /// The tables that a user data header has to name.
    fn shift(self) -> Option<Shift> {
        match self {
            Encoding::Shifted(shift) => Some(shift),
            _ => None,
        }
    }

    /// The `data_coding` octet (SMPP v3.4, 5.2.19).
    pub fn data_coding(self) -> u8 {
        match self {
            Encoding::Gsm7 | Encoding::Shifted(_) => 0x00,
            Encoding::Ucs2 => 0x08,
            Encoding::Ascii => 0x01,
            Encoding::Latin1 => 0x03,
            Encoding::Octets => 0x04,
        }
    }

    /// The `data_coding` octet of a flash message (class 0; 3GPP TS 23.038, 4), where there is one.
    pub fn flash_coding(self) -> u8 {
        0x10 | match self {
            Encoding::Gsm7 | Encoding::Shifted(_) => 0x00,
            Encoding::Ucs2 => 0x08,
            Encoding::Ascii | Encoding::Latin1 | Encoding::Octets => 0x04,
        }
    }

    /// The encoding that a `data_coding` asks for, with or without a message class (3GPP TS 23.038, 4), where it is one
    /// of ours. Flash messages are 0x10 and 0x18.
    pub fn of_data_coding(data_coding: u8) -> Option<Encoding> {
        match data_coding {
            0x00 | 0x10..=0x13 | 0xF0..=0xF3 => Some(Encoding::Gsm7),
            0x08 | 0x18..=0x1B => Some(Encoding::Ucs2),
            0x01 => Some(Encoding::Ascii),
            0x03 => Some(Encoding::Latin1),
            _ => None,
        }
    }

    /// Units that a message of one part holds: 160 septets, 70 UCS2 units, or 140 octets (3GPP TS 23.040, 9.2.3.24), since
    /// an SMSC that makes septets of ASCII or Latin-1 is not to be counted on. Shift tables cost some septets.
    pub fn units_single(self) -> usize {
        self.units_beside(self.shift().map_or(0, |shift| 1 + shift.header_octets()))
    }

    /// Units that each part of a longer message holds: what fits on the air beside the UDH that ties the parts together,
    /// whether we write that or, told by TLVs or with the whole text, the SMSC does.
    pub fn units_per_part(self, concat: Concat) -> usize {
        let reference = if concat == Concat::Udh16 { 6 } else { 5 };
        self.units_beside(1 + reference + self.shift().map_or(0, Shift::header_octets))
    }

    /// Units that fit beside a header of so many octets.
    fn units_beside(self, header_octets: usize) -> usize {
        let octets = OCTETS_MAX - header_octets;
        match self {
            Encoding::Gsm7 | Encoding::Shifted(_) => octets * 8 / 7,
            Encoding::Ucs2 => octets / 2,
            Encoding::Ascii | Encoding::Latin1 | Encoding::Octets => octets,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a text that is too long for one SMS travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Concat {
    /// In parts, each with a UDH that has a reference of one octet (3GPP TS 23.040, 9.2.3.24.1): every handset reads it;
    /// 256 long messages to one number before a reference repeats.
    #[default]
    Udh8,
    /// In parts, with a reference of two octets (9.2.3.24.8): one septet less in each.
    Udh16,
    /// In parts that the TLVs sar_msg_ref_num, sar_total_segments and sar_segment_seqnum number (SMPP v3.4, 5.3.2.22).
    Sar,
    /// Whole, in the TLV message_payload (SMPP v3.4, 5.3.2.32): one PDU, which the SMSC splits.
    Payload,
}

impl Concat {
    /// As in options: `udh8`, `udh16`, `sar`, `payload`.
    pub fn name(self) -> &'static str {
        match self {
            Concat::Udh8 => "udh8",
            Concat::Udh16 => "udh16",
            Concat::Sar => "sar",
            Concat::Payload => "payload",
        }
    }

    /// Whether it needs optional parameters.
    pub fn needs_tlvs(self) -> bool {
        matches!(self, Concat::Sar | Concat::Payload)
    }
}

/// Which encoding to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// GSM 7-bit where every character fits, else UCS2.
    #[default]
    Auto,
    /// GSM 7-bit; a character that does not fit is an error.
    Gsm7,
    /// UCS2 always.
    Ucs2,
    /// ASCII; a character that does not fit is an error.
    Ascii,
    /// Latin-1; a character that does not fit is an error.
    Latin1,
    /// GSM 7-bit with these tables; a character that does not fit is an error.
    Shifted(Shift),
}

impl From<Encoding> for Choice {
    fn from(encoding: Encoding) -> Choice {
        match encoding {
            Encoding::Gsm7 | Encoding::Octets => Choice::Gsm7,
            Encoding::Ucs2 => Choice::Ucs2,
            Encoding::Ascii => Choice::Ascii,
            Encoding::Latin1 => Choice::Latin1,
            Encoding::Shifted(shift) => Choice::Shifted(shift),
        }
    }
}

/// Which national language shift tables a text may be written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShiftTables {
    /// None.
    #[default]
    Off,
    /// Those of any language, where they make fewer parts than UCS2.
    Auto,
    /// Those of one language, where the text fits them and they make no more parts than UCS2.
    Of(Language),
}

impl ShiftTables {
    fn allow(self, shift: Shift) -> bool {
        match self {
            ShiftTables::Off => false,
            ShiftTables::Auto => true,
            ShiftTables::Of(language) => shift.is_of(language),
        }
    }
}

/// What decides the parts of a text. Defaults to an automatic encoding, and a UDH with an 8-bit reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The encoding to use. Defaults to [`Choice::Auto`].
    pub choice: Choice,
    /// How long texts travel. Defaults to [`Concat::Udh8`].
    pub concat: Concat,
    /// What octets `data_coding` 0 carries: a character that it lacks is one of UCS2. Defaults to
    /// [`DefaultAlphabet::Gsm7`].
    pub alphabet: DefaultAlphabet,
    /// What an automatic choice may fall on besides GSM 7-bit and UCS2.
    pub shift_tables: ShiftTables,
}

impl From<Choice> for Policy {
    fn from(choice: Choice) -> Policy {
        Policy { choice, ..Policy::default() }
    }
}

/// What a text will cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Parts, that is requests to the SMSC: 1 to 255.
    pub parts: u8,
    /// SMS on the air: as many as the parts, unless the SMSC does the splitting.
    pub sms: u8,
    /// Its length in septets, UCS2 units or octets, without any UDH.
    pub units: usize,
    /// The first character that made an automatic choice fall on UCS2.
    pub forced_by: Option<char>,
}

impl Segmentation {
    /// The `data_coding` octet of each part.
    pub fn data_coding(&self) -> u8 {
        self.encoding.data_coding()
    }
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// An encoding was asked for and a character is not in it.
    #[error(fmt = fmt_not_in_alphabet)]
    NotInAlphabet {
        /// The encoding.
        encoding: Encoding,
        /// The character.
        character: char,
        /// Its place in the text, in characters from 1.
        position: usize,
    },
    /// It would need more than 255 parts.
    #[error("{units} {encoding} units need more than {MAX_PARTS} parts: shorten the text")]
    TooManyParts {
        /// Its length in septets or UCS2 units.
        units: usize,
        /// The encoding that was counted in.
        encoding: Encoding,
    },
}

fn fmt_not_in_alphabet(
    encoding: &Encoding,
    character: &char,
    position: &usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let alphabet = match encoding {
        Encoding::Ascii => "ASCII, which data_coding 1 means",
        Encoding::Latin1 => "Latin-1, which data_coding 3 means",
        Encoding::Gsm7 | Encoding::Ucs2 | Encoding::Octets => "the GSM alphabet",
        Encoding::Shifted(_) => "the national language tables",
    };
    let named = crate::words::escape::name_character(*character);
    write!(f, "character {position} ({named}) is not in {alphabet}")
}

/// The encoding, length and parts of a text. Allocates nothing; an ASCII text is measured in one pass over its octets.
///
/// ```
/// # use smppost::testing::message::text::{Encoding, Policy, TextError, segment};
///
/// let long = segment(&"x".repeat(161), Policy::default())?;
/// assert_eq!((long.encoding, long.parts), (Encoding::Gsm7, 2));
/// let emoji = segment("Hello 👋", Policy::default())?;
/// assert_eq!((emoji.encoding, emoji.units, emoji.forced_by), (Encoding::Ucs2, 8, Some('👋')));
/// # Ok::<(), TextError>(())
/// ```
pub fn segment(text: &str, policy: Policy) -> Result<Segmentation, TextError> {
    let (mut encoding, mut units, mut forced_by) = measure(text, policy.choice, policy.alphabet)?;
    if forced_by.is_some()
        && policy.shift_tables != ShiftTables::Off
        && let Some((shifted, septets)) = best_shift(text, units, policy)
    {
        (encoding, units, forced_by) = (shifted, septets, None);
    }
    let sms = match units <= encoding.units_single() {
        true => 1,
        false => Split::new(text, encoding, units, policy.concat).count_limited(),
    };
    match u8::try_from(sms) {
        Ok(sms) => {
            let parts = if policy.concat == Concat::Payload { 1 } else { sms };
            Ok(Segmentation { encoding, parts, sms, units, forced_by })
        }
        Err(_) => Err(TextError::TooManyParts { units, encoding }),
    }
}

/// The shift tables that a text which is UCS2 otherwise is better written with, and its length in septets.
fn best_shift(text: &str, ucs2_units: usize, policy: Policy) -> Option<(Encoding, usize)> {
    if !policy.alphabet.is_gsm() {
        return None;
    }
    let sms = |encoding: Encoding, units: usize| match units <= encoding.units_single() {
        true => 1,
        false => Split::new(text, encoding, units, policy.concat).count_limited(),
    };
    let ucs2 = sms(Encoding::Ucs2, ucs2_units);
    let candidates = Shift::ALL.into_iter().enumerate().filter(|(_, shift)| policy.shift_tables.allow(*shift));
    let measured = candidates.filter_map(|(place, shift)| {
        let (encoding, units) = (Encoding::Shifted(shift), shift.septets(text)?);
        Some((sms(encoding, units), units, place, encoding))
    });
    let (fewest, units, _, encoding) = measured.min_by_key(|(sms, _, place, _)| (*sms, *place))?;
    let pays = fewest < ucs2 || fewest == ucs2 && policy.shift_tables != ShiftTables::Auto;
    pays.then_some((encoding, units))
}

/// The characters of a text that an automatic choice takes UCS2 for, each as often as it stands there: what travels as
/// `data_coding` 0 must be in GSM 7-bit, which is what goes over the air, and in the SMSC's own alphabet.
pub fn forcing_characters(text: &str, alphabet: DefaultAlphabet) -> impl Iterator<Item = char> {
    text.chars().filter(move |&c| gsm::code(c) == gsm::NONE || alphabet.lacks(c))
}

/// The encoding that a choice falls on, the length in its units, and what forced UCS2.
fn measure(
    text: &str,
    choice: Choice,
    alphabet: DefaultAlphabet,
) -> Result<(Encoding, usize, Option<char>), TextError> {
    match choice {
        Choice::Ucs2 => return Ok((Encoding::Ucs2, ucs2_units(text), None)),
        Choice::Ascii => return Ok((Encoding::Ascii, characters(text, Encoding::Ascii, '\u{7F}')?, None)),
        Choice::Latin1 => return Ok((Encoding::Latin1, characters(text, Encoding::Latin1, '\u{FF}')?, None)),
        Choice::Shifted(shift) => {
            let encoding = Encoding::Shifted(shift);
            return match shift.septets(text) {
                Some(units) => Ok((encoding, units, None)),
                None => {
                    let missing =
                        text.chars().enumerate().find(|(_, c)| shift.septets(c.encode_utf8(&mut [0; 4])).is_none());
                    let (at, character) = missing.unwrap_or_default();
                    Err(TextError::NotInAlphabet { encoding, character, position: at + 1 })
                }
            };
        }
        Choice::Auto | Choice::Gsm7 => {}
    }
    // What travels as data_coding 0 must be in the GSM alphabet, which is what goes over the air, and in the SMSC's own.
    let at = match (gsm::septets(text), alphabet.first_missing(text)) {
        (Ok(septets), None) => return Ok((Encoding::Gsm7, septets, None)),
        (Err(at), missing) => missing.map_or(at, |missing| at.min(missing)),
        (Ok(_), Some(missing)) => missing,
    };
    let character = text[at..].chars().next().unwrap_or_default();
    match choice {
        Choice::Gsm7 => {
            let position = text[..at].chars().count() + 1;
            Err(TextError::NotInAlphabet { encoding: Encoding::Gsm7, character, position })
        }
        _ => Ok((Encoding::Ucs2, ucs2_units(text), Some(character))),
    }
}

/// The characters of a text in an encoding of one octet each, whose octets are the code points up to `last`.
fn characters(text: &str, encoding: Encoding, last: char) -> Result<usize, TextError> {
    match text.chars().enumerate().find(|&(_, character)| character > last) {
        Some((at, character)) => Err(TextError::NotInAlphabet { encoding, character, position: at + 1 }),
        None => Ok(text.chars().count()),
    }
}

/// One unit for each character, and a second for those outside the BMP, whose UTF-8 form starts with 0xF0 or more.
fn ucs2_units(text: &str) -> usize {
    text.bytes().map(|octet| usize::from(octet & 0xC0 != 0x80) + usize::from(octet >= 0xF0)).sum()
}

#[cfg(test)]
mod tests;
