//! Texts made GSM 7-bit where that can be done without a loss: characters that look alike, and on demand letters too.
//!
//! A text is changed only if all of it is GSM 7-bit afterwards: a typographic quote beside an emoji saves nothing.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{DefaultAlphabet, Shift, ShiftTables, gsm};

/// How far it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transliterate {
    /// Texts go as they are.
    #[default]
    Off,
    /// Quotes, dashes, dots, spaces and what shows nothing.
    Punctuation,
    /// Letters too: ş as s, Привет as Privet.
    All,
}

/// A text in the form NFC, in which an é is one character, in place of `text`; `None`: it is.
pub fn composed(text: &str) -> Option<String> {
    // All below U+0300 is: its UTF-8 begins with 0xCB at most.
    if text.bytes().all(|octet| octet < 0xCC) {
        return None;
    }
    match unicode_normalization::is_nfc_quick(text.chars()) {
        unicode_normalization::IsNormalized::Yes => None,
        _ => Some(text.nfc().collect::<String>()).filter(|composed| composed != text),
    }
}

/// Makes a text one of the SMSC's alphabet, or of the tables allowed, in `out`. False: it is that already, or cannot be made so,
/// and is to go as it is.
pub fn to_gsm(
    text: &str,
    level: Transliterate,
    alphabet: DefaultAlphabet,
    tables: ShiftTables,
    out: &mut String,
) -> bool {
    let fits = |c: char| gsm::code(c) != gsm::NONE && !alphabet.lacks(c);
    if level == Transliterate::Off || text.chars().all(fits) {
        return false;
    }
    if tables != ShiftTables::Off && alphabet.is_gsm() {
        let lacks = |shift: &Shift| text.chars().filter(|&c| shift.code(c) == gsm::NONE).count();
        let mut allowed: Vec<(usize, Shift)> =
            Shift::ALL.into_iter().filter(|shift| tables.allow(*shift)).map(|shift| (lacks(&shift), shift)).collect();
        // The table that lacks least first: of two languages the one that the text is in.
        allowed.sort_by_key(|(lacks, _)| *lacks);
        if allowed.first().is_some_and(|(lacks, _)| *lacks == 0) {
            return false;
        }
        // Letters are kept wherever a table has them all.
        for level in [Transliterate::Punctuation, level] {
            for (_, shift) in &allowed {
                if write(text, level, &|c| shift.code(c) != gsm::NONE, out) {
                    return true;
                }
            }
        }
    }
    write(text, level, &fits, out)
}

fn write(text: &str, level: Transliterate, fits: &dyn Fn(char) -> bool, out: &mut String) -> bool {
    out.clear();
    for c in text.chars() {
        if fits(c) {
            out.push(c);
        } else if !replace(c, level, fits, out) {
            return false;
        }
    }
    // What shows nothing may have been all there was.
    !out.trim().is_empty()
}

/// Appends what stands for a character; false: nothing does.
fn replace(c: char, level: Transliterate, fits: &dyn Fn(char) -> bool, out: &mut String) -> bool {
    if let Some(words) = punctuation(c) {
        let is_whole = words.chars().all(fits);
        out.push_str(if is_whole { words } else { "" });
        return is_whole;
    }
    if level != Transliterate::All {
        return false;
    }
    if let Some(words) = letters(c).filter(|words| words.chars().all(fits)) {
        out.push_str(words);
        return true;
    }
    // Whole letters first, as of an ǘ the ü, then without all marks.
    let mut some = false;
    for part in std::iter::once(c).nfkd() {
        if is_combining_mark(part) {
            continue;
        }
        if fits(part) {
            out.push(part);
        } else if let Some(words) = letters(part).or_else(|| punctuation(part)).filter(|words| words.chars().all(fits))
        {
            out.push_str(words);
        } else {
            return false;
        }
        some = true;
    }
    some || is_combining_mark(c)
}

/// What means the same in the GSM alphabet.
fn punctuation(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | '‵' | 'ʼ' | 'ʹ' | 'ʻ' | '´' | '`' | '‹' | '›' | '＇' => "'",
        '“' | '”' | '„' | '‟' | '″' | '‶' | '«' | '»' | '〝' | '〞' | '＂' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '⁃' | '−' | '﹘' | '﹣' | '－' | '•' | '‧' | '·' | '●' | '▪' | '◦' => {
            "-"
        }
        '…' => "...",
        '‥' => "..",
        '⁄' | '∕' => "/",
        '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' => "\n",
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}' => "",
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => "",
        _ => return None,
    })
}

/// Letters, and signs, that nothing is left of without their marks.
#[rustfmt::skip]
fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ı' => "i", 'İ' => "I", 'ł' => "l", 'Ł' => "L", 'đ' | 'ð' => "d", 'Đ' | 'Ð' => "D", 'ø' => "o", 'Ø' => "O",
        'œ' => "oe", 'Œ' => "OE", 'æ' => "ae", 'Æ' => "AE", 'þ' => "th", 'Þ' => "Th", 'ŋ' => "n", 'Ŋ' => "N", 'ħ' => "h",
        'Ħ' => "H", 'ŧ' => "t", 'Ŧ' => "T", 'ĸ' => "k", 'ſ' => "s", 'ẞ' => "SS", 'ß' => "ss", 'ə' => "e", 'Ə' => "E",
        'ƒ' => "f", 'ɓ' => "b", 'ɗ' => "d", 'ƙ' => "k", 'ơ' => "o", 'Ơ' => "O", 'ư' => "u", 'Ư' => "U",
        '©' => "(c)", '®' => "(R)", '×' => "x", '÷' => ":", '№' => "No", '°' => "o", '₺' => "TL", '₽' => "RUB", '₴' => "UAH",
        '₹' => "Rs", '₦' => "N", '₱' => "P", '₫' => "VND", '₩' => "KRW", '¢' => "c", '≤' => "<=", '≥' => ">=", '≠' => "<>",
        '±' => "+/-", '→' => "->", '←' => "<-", '⇒' => "=>", '✓' | '✔' => "OK",
        // Greek: the capitals that GSM 7-bit has, and Latin ones that look the same.
        'Α' | 'α' => "A", 'Β' | 'β' => "B", 'γ' => "Γ", 'δ' => "Δ", 'Ε' | 'ε' => "E", 'Ζ' | 'ζ' => "Z", 'Η' | 'η' => "H",
        'θ' => "Θ", 'Ι' | 'ι' => "I", 'Κ' | 'κ' => "K", 'λ' => "Λ", 'Μ' | 'μ' => "M", 'Ν' | 'ν' => "N", 'ξ' => "Ξ",
        'Ο' | 'ο' => "O", 'π' => "Π", 'Ρ' | 'ρ' => "P", 'σ' | 'ς' => "Σ", 'Τ' | 'τ' => "T", 'Υ' | 'υ' => "Y", 'φ' => "Φ",
        'Χ' | 'χ' => "X", 'ψ' => "Ψ", 'ω' => "Ω",
        // Cyrillic, as passports have it, or nearly.
        'а' => "a", 'б' => "b", 'в' => "v", 'г' => "g", 'ґ' => "g", 'д' => "d", 'е' => "e", 'ё' => "e", 'є' => "ie",
        'ж' => "zh", 'з' => "z", 'и' => "i", 'і' => "i", 'ї' => "i", 'й' => "i", 'ј' => "j", 'к' => "k", 'л' => "l",
        'љ' => "lj", 'м' => "m", 'н' => "n", 'њ' => "nj", 'о' => "o", 'п' => "p", 'р' => "r", 'с' => "s", 'т' => "t",
        'ћ' => "c", 'у' => "u", 'ў' => "u", 'ф' => "f", 'х' => "kh", 'ц' => "ts", 'ч' => "ch", 'џ' => "dz", 'ш' => "sh",
        'щ' => "shch", 'ъ' => "", 'ы' => "y", 'ь' => "", 'э' => "e", 'ю' => "iu", 'я' => "ia", 'ђ' => "dj", 'ѓ' => "gj",
        'ќ' => "kj", 'ѕ' => "dz",
        'А' => "A", 'Б' => "B", 'В' => "V", 'Г' => "G", 'Ґ' => "G", 'Д' => "D", 'Е' => "E", 'Ё' => "E", 'Є' => "Ie",
        'Ж' => "Zh", 'З' => "Z", 'И' => "I", 'І' => "I", 'Ї' => "I", 'Й' => "I", 'Ј' => "J", 'К' => "K", 'Л' => "L",
        'Љ' => "Lj", 'М' => "M", 'Н' => "N", 'Њ' => "Nj", 'О' => "O", 'П' => "P", 'Р' => "R", 'С' => "S", 'Т' => "T",
        'Ћ' => "C", 'У' => "U", 'Ў' => "U", 'Ф' => "F", 'Х' => "Kh", 'Ц' => "Ts", 'Ч' => "Ch", 'Џ' => "Dz", 'Ш' => "Sh",
        'Щ' => "Shch", 'Ъ' => "", 'Ы' => "Y", 'Ь' => "", 'Э' => "E", 'Ю' => "Iu", 'Я' => "Ia", 'Ђ' => "Dj", 'Ѓ' => "Gj",
        'Ќ' => "Kj", 'Ѕ' => "Dz",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(text: &str, level: Transliterate) -> Option<String> {
        let mut out = String::new();
        to_gsm(text, level, DefaultAlphabet::Gsm7, ShiftTables::Off, &mut out).then_some(out)
    }

    #[test]
    fn what_means_the_same_is_replaced_and_letters_on_demand() {
        for (text, punctuation, all) in [
            ("plain", None, None),
            ("“It’s here” – don’t wait…", Some("\"It's here\" - don't wait..."), Some("\"It's here\" - don't wait...")),
            ("Tab\there", Some("Tab here"), Some("Tab here")),
            ("non\u{a0}breaking", Some("non breaking"), Some("non breaking")),
            ("zero\u{200b}width", Some("zerowidth"), Some("zerowidth")),
            ("a `b`", Some("a 'b'"), Some("a 'b'")),
            ("It’s 👋", None, None),
            ("It’s şu", None, Some("It's su")),
            ("Güneş İçin ğ", None, Some("Gunes Icin g")),
            ("façade Łódź ấ", None, Some("facade Lodz a")),
            ("Привет", None, Some("Privet")),
            ("ΚΑΛΗΜΕΡΑ καλημέρα", None, Some("KAΛHMEPA KAΛHMEPA")),
            ("ﬁne ＡＢ", None, Some("fine AB")),
            ("שלום", None, None),
            ("\u{200b}", None, None),
            ("", None, None),
        ] {
            let expected = |words: Option<&str>| words.map(|words| words.replace("Gunes", "Günes"));
            assert_eq!(made(text, Transliterate::Punctuation), expected(punctuation), "{text}");
            assert_eq!(made(text, Transliterate::All), expected(all), "{text}");
            assert_eq!(made(text, Transliterate::Off), None);
        }
    }

    #[test]
    fn only_what_the_tables_lack_is_replaced() {
        let mut out = String::new();
        let tables = ShiftTables::Of(super::super::Language::Turkish);
        let all = Transliterate::All;
        assert!(!to_gsm("Güneş", all, DefaultAlphabet::Gsm7, tables, &mut out));
        assert!(to_gsm("Güneş’te ă", all, DefaultAlphabet::Gsm7, tables, &mut out));
        assert_eq!(out, "Güneş'te a");
    }

    #[test]
    fn letters_and_their_marks_become_one() {
        assert_eq!(composed("Cafe\u{301}").as_deref(), Some("Café"));
        assert_eq!(composed("Café"), None);
        assert_eq!(composed("Привет 👋"), None);
        assert_eq!(composed("i\u{307}").as_deref(), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_gsm(text in any::<String>()) {
            if let Some(made) = made(&text, Transliterate::All) {
                prop_assert!(made.chars().all(|c| gsm::code(c) != gsm::NONE));
            }
        }
    }
}
