//! Spellings of one message id that SMSCs take for the same: answers and receipts of one SMSC can differ in case, radix
//! (hexadecimal against decimal) and padding. Pure.

/// Digits that 128 bits can have in decimal; longer ids, UUIDs and the like are plain text.
const DECIMAL_DIGITS_MAX: usize = 39;
/// Digits that 128 bits can have in hexadecimal.
const HEX_DIGITS_MAX: usize = 32;

/// What is left of an id when padding is: no spaces around it, no `0x`, no leading zeros. Its case is left alone.
pub fn bare(id: &[u8]) -> &[u8] {
    let id = id.trim_ascii();
    let id = match id {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => rest,
        _ => id,
    };
    &id[id.iter().take_while(|&&octet| octet == b'0').count()..]
}

/// The id read as decimal and spelled in hexadecimal, and the reverse, each where it can be read so.
pub fn in_other_radix(id: &[u8]) -> [Option<String>; 2] {
    let digits = std::str::from_utf8(bare(id)).unwrap_or_default();
    let is_hex = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    let is_decimal = is_hex && digits.bytes().all(|octet| octet.is_ascii_digit());
    let as_hex = if is_decimal && digits.len() <= DECIMAL_DIGITS_MAX {
        digits.parse::<u128>().ok().map(|number| format!("{number:x}"))
    } else {
        None
    };
    let as_decimal = if is_hex && digits.len() <= HEX_DIGITS_MAX {
        u128::from_str_radix(digits, 16).ok().map(|number| number.to_string())
    } else {
        None
    };
    // A single digit below ten is the same both ways.
    [as_hex.filter(|hex| hex != digits), as_decimal.filter(|decimal| decimal != digits)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, hex: Option<&str>, decimal: Option<&str>) {
        let [as_hex, as_decimal] = in_other_radix(id.as_bytes());
        assert_eq!((as_hex.as_deref(), as_decimal.as_deref()), (hex, decimal), "{id}");
    }

    #[test]
    fn f33_every_number_up_to_128_bits_in_the_other_radix() {
        check("12107289", Some("b8be19"), Some("303067785"));
        check("B8BE19", None, Some("12107289"));
        check("00b8be19", None, Some("12107289"));
        check("0xB8BE19", None, Some("12107289"));
        check("18446744073709551615", Some("ffffffffffffffff"), Some("114598615266301018707477"));
        check("ffffffffffffffff", None, Some("18446744073709551615"));
        check("340282366920938463463374607431768211455", Some("ffffffffffffffffffffffffffffffff"), None);
        check("340282366920938463463374607431768211456", None, None);
        check("7", None, None);
        check("0", None, None);
        check("", None, None);
    }

    #[test]
    fn what_is_no_number_is_plain_text() {
        check("550e8400-e29b-41d4-a716-446655440000", None, None);
        check(&"a1".repeat(32), None, None);
        check("msg-17", None, None);
        assert_eq!(bare(b" 0077 "), b"77");
        assert_eq!(bare(b"0x"), b"x");
        assert_eq!(bare(b"000"), b"");
    }
}
