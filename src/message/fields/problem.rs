//! What is wrong with the value of a field, in words.

use super::TLV_OCTETS_MAX;
use crate::words::escape::name_value;

/// A value that a field cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", name_value(field))]
pub struct FieldError {
    /// The field, as it was named.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a value or a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A number out of the range, or no number at all.
    #[error("`{}` is not a number from 0 to {max}", name_value(value))]
    Range {
        /// As it was typed.
        value: String,
        /// The largest that is allowed; the smallest is 0.
        max: u8,
    },
    /// A text that is too long.
    #[error("it has {found} characters, and at most {max} are allowed")]
    Text {
        /// How many characters it has.
        found: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// A text with other than ASCII characters.
    #[error("only ASCII characters are allowed")]
    NotAscii,
    /// A time in no known form.
    #[error(
        "`{}` is not a time: write a duration such as 2h, 30m or 3d, a time with its offset such as 2026-12-24T09:00+01:00 (of a \
         day that exists, 2000 to 2099), or SMPP's YYMMDDhhmmsstnnp (nn from 00 to 48) or YYMMDDhhmmss000R",
        name_value(.0)
    )]
    Time(String),
    /// A duration that the relative form cannot hold.
    #[error("`{}` is not between 1s and 31d: write SMPP's YYMMDDhhmmss000R for more", name_value(.0))]
    Duration(String),
    /// A time of no length.
    #[error("`{}` is no time at all: leave it out, or write a duration such as 2h", name_value(.0))]
    Zero(String),
    /// A moment that has come.
    #[error("`{}` has passed: it was at {moment}", name_value(value))]
    Passed {
        /// As SMPP writes it.
        value: String,
        /// For people, in UTC.
        moment: String,
    },
    /// A data_coding of binary data.
    #[error("{0} means binary data, and a text is none: use 1 (ASCII), 3 (Latin-1), 8 (UCS2), or leave it out")]
    Binary(u8),
    /// A data_coding that no text of ours is of.
    #[error(
        "{0} (0x{0:02X}) is no alphabet that texts are sent in, so that the octets would not be what it says: leave it out, use 8 \
         (UCS2), or say by --alphabet what the octets are"
    )]
    Coding(u8),
    /// An esm_class that announces a user data header where there is none.
    #[error(
        "the bit 0x40 announces a user data header, and a text has none: leave it out (long texts get their own), or give the \
         header in a column udh:hex and the octets in a column hex"
    )]
    NoHeader,
    /// A time of a day, or an hour, that does not exist or is there twice where it is meant.
    #[error(
        "`{}` is no time, or one that the clocks skip or have twice: write it with its offset, as in 2026-12-24T09:00+01:00",
        name_value(.0)
    )]
    NoSuchTime(String),
    /// A date that can be read in two ways.
    #[error(
        "`{}` may be a day of two months: write the year first, as in 2026-12-24 09:00",
        name_value(.0)
    )]
    TwoDates(String),
    /// A date without a time.
    #[error(
        "`{}` is a date without a time: write when on that day, as in 2026-12-24 09:00",
        name_value(.0)
    )]
    NoHour(String),
    /// `0x` followed by other than pairs of hexadecimal digits.
    #[error("after 0x come pairs of hexadecimal digits; for a text that starts so, write it in hex")]
    Hex,
    /// An optional parameter that is too long.
    #[error("an optional parameter has at most {TLV_OCTETS_MAX} octets")]
    Length,
    /// A `tlv:` without a tag of up to four hexadecimal digits.
    #[error(
        "name the tag as tlv:0x and up to four hexadecimal digits, for example tlv:0x1400, or tlv:0x1400:cstring for a text that \
         ends in a NUL"
    )]
    Tag,
    /// An optional parameter that the program sets by itself.
    #[error("this parameter carries the text or its parts and is set by the program alone")]
    OwnTag,
    /// `1.10716E+18`: a spreadsheet rounded the id, and its digits are lost.
    #[error("a spreadsheet rewrote the id in scientific notation and its digits are lost: export the column as text")]
    Spreadsheet,
    /// A C-octet string with a NUL within.
    #[error("there is a NUL within a text that a NUL ends")]
    Nul,
}

impl FieldError {
    pub(super) fn new(field: &str, problem: Problem) -> FieldError {
        FieldError { field: field.to_owned(), problem }
    }
}
