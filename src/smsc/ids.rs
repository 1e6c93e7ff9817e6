//! Message ids: one number inside, many shapes outside.
//!
//! The simulator keeps only the number. Every shape can be turned back into it, so that query_sm, cancel_sm and
//! replace_sm need no index over texts.
use crate::words::BadValue;
use std::fmt;
use std::str::FromStr;

/// The shape of the message_id in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// Lower-case hexadecimal, at least 8 digits (the only form that v3.3 knows).
    Hex,
    /// Decimal.
    Dec,
    /// Decimal with leading zeros, 20 digits.
    Padded,
    /// A UUID of version 4 in its usual spelling.
    Uuid,
    /// 16 hexadecimal digits without visible order.
    RandomHex,
}

/// The shape of the id in receipts, where it differs from the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptIdForm {
    /// Spelled as an answer of that form would be.
    Form(IdForm),
    /// The answer's spelling in upper case.
    Upper,
    /// The answer's spelling with leading zeros, to 20 characters.
    ZeroFilled,
}

impl IdForm {
    /// Appends the id of message `number`.
    pub fn write(self, number: u64, out: &mut Vec<u8>) {
        match self {
            IdForm::Hex => write_hex(number, 8, out),
            IdForm::Dec => write_dec(number, 1, out),
            IdForm::Padded => write_dec(number, 20, out),
            IdForm::RandomHex => write_hex(mix(number), 16, out),
            IdForm::Uuid => {
                let mixed = mix(number);
                let filler = mix(mixed);
                write_hex(mixed >> 32, 8, out);
                out.push(b'-');
                write_hex((mixed >> 16) & 0xFFFF, 4, out);
                out.push(b'-');
                write_hex(0x4000 | (mixed >> 4) & 0xFFF, 4, out);
                out.push(b'-');
                write_hex(0x8000 | (mixed & 0xF) << 8 | filler >> 56, 4, out);
                out.push(b'-');
                write_hex(filler & 0xFFFF_FFFF_FFFF, 12, out);
            }
        }
    }

    /// The number that an id of this form stands for.
    pub fn parse(self, id: &[u8]) -> Option<u64> {
        let id = std::str::from_utf8(id).ok()?;
        match self {
            IdForm::Hex => u64::from_str_radix(id, 16).ok(),
            IdForm::Dec | IdForm::Padded => id.parse().ok(),
            IdForm::RandomHex => u64::from_str_radix(id, 16).ok().map(unmix),
            IdForm::Uuid => {
                let digits: String = id.chars().filter(|c| *c != '-').collect();
                let bits = u128::from_str_radix(&digits, 16).ok()?;
                let high = (bits >> 80) as u64 & 0xFFFF_FFFF_FFFF;
                let middle = (bits >> 64) as u64 & 0xFFF;
                let low = (bits >> 56) as u64 & 0xF;
                Some(unmix(high << 16 | middle << 4 | low))
            }
        }
    }
}

impl ReceiptIdForm {
    /// Appends the id of message `number` as receipts spell it, where answers use the form `answer`.
    pub fn write(self, number: u64, answer: IdForm, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            ReceiptIdForm::Form(form) => form.write(number, out),
            ReceiptIdForm::Upper => {
                answer.write(number, out);
                out[start..].make_ascii_uppercase();
            }
            ReceiptIdForm::ZeroFilled => {
                answer.write(number, out);
                let missing = 20usize.saturating_sub(out.len() - start);
                out.splice(start..start, std::iter::repeat_n(b'0', missing));
            }
        }
    }
}

impl FromStr for IdForm {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        match name {
            "hex" => Ok(IdForm::Hex),
            "dec" => Ok(IdForm::Dec),
            "padded" => Ok(IdForm::Padded),
            "uuid" => Ok(IdForm::Uuid),
            "random-hex" => Ok(IdForm::RandomHex),
            _ => Err("not one of hex, dec, padded, uuid, random-hex".into()),
        }
    }
}

impl FromStr for ReceiptIdForm {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        match name {
            "upper" => Ok(ReceiptIdForm::Upper),
            "padded" => Ok(ReceiptIdForm::ZeroFilled),
            "hex" | "dec" | "uuid" | "random-hex" => name.parse().map(ReceiptIdForm::Form),
            _ => Err("not one of hex, dec, upper, padded, uuid, random-hex".into()),
        }
    }
}

impl fmt::Display for IdForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IdForm::Hex => "hex",
            IdForm::Dec => "dec",
            IdForm::Padded => "padded",
            IdForm::Uuid => "uuid",
            IdForm::RandomHex => "random-hex",
        })
    }
}

/// Appends `number` in lower-case hexadecimal, at least `width` digits (at most 16).
pub(super) fn write_hex(number: u64, width: usize, out: &mut Vec<u8>) {
    let digits = (64 - number.leading_zeros() as usize).div_ceil(4);
    for i in (0..digits.max(width)).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * i)) as usize & 0xF]);
    }
}

/// Appends `number` in decimal, at least `width` digits (at most 20).
pub(super) fn write_dec(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

const FIRST: u64 = 0xFF51_AFD7_ED55_8CCD;
const SECOND: u64 = 0xC4CE_B9FE_1A85_EC53;

/// MurmurHash3's finaliser: a permutation of the 64-bit numbers that hides their order.
pub(super) fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(FIRST);
    x ^= x >> 33;
    x = x.wrapping_mul(SECOND);
    x ^ x >> 33
}

fn unmix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(const { inverse(SECOND) });
    x ^= x >> 33;
    x = x.wrapping_mul(const { inverse(FIRST) });
    x ^ x >> 33
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the right bits.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut step = 0;
    while step < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        step += 1;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [IdForm; 5] = [IdForm::Hex, IdForm::Dec, IdForm::Padded, IdForm::Uuid, IdForm::RandomHex];

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_form_goes_back_to_its_number() {
        for form in FORMS {
            assert_eq!(form.to_string().parse(), Ok(form));
            for number in [0, 1, 9, 10, 0xFFFF_FFFF, 1 << 40, 0xFEDC_BA98_7654_3210, u64::MAX] {
                let id = written(|out| form.write(number, out));
                assert_eq!(form.parse(id.as_bytes()), Some(number), "{form} {id}");
            }
        }
    }

    #[test]
    fn forms_look_as_they_should() {
        for (form, number, expected) in [
            (IdForm::Hex, 0xB8BE19, "00b8be19"),
            (IdForm::Hex, 0x1_0000_0000, "100000000"),
            (IdForm::Dec, 0, "0"),
            (IdForm::Dec, 1234567890, "1234567890"),
            (IdForm::Padded, 77, "00000000000000000077"),
        ] {
            assert_eq!(written(|out| form.write(number, out)), expected);
        }
        let uuid = written(|out| IdForm::Uuid.write(5, out));
        assert_eq!((uuid.len(), &uuid[14..15], &uuid[19..20]), (36, "4", "8"), "{uuid}");
    }

    #[test]
    fn receipts_may_spell_it_otherwise() {
        for (form, expected) in
            [("upper", "00B8BE19"), ("padded", "00000000000000b8be19".trim()), ("dec", "12107289"), ("hex", "00b8be19")]
        {
            let form: ReceiptIdForm = form.parse().unwrap();
            assert_eq!(written(|out| form.write(0xB8BE19, IdForm::Hex, out)), expected);
        }
        assert!("roman".parse::<ReceiptIdForm>().is_err());
    }
}
