//! Names of columns, as they are compared: people and their programs write them in many ways.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::near::distance;

/// A name without regard to case, to the form of its accents (NFC or NFD), and to how its words are parted.
pub fn folded(name: &str) -> String {
    let seen: String = name.nfc().flat_map(char::to_lowercase).filter(|c| !is_invisible(*c)).nfc().collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same without spaces at all.
pub fn unspaced(name: &str) -> String {
    folded(name).replace(' ', "")
}

/// A name's letters alone, in lower case and without accents: how words are recognised that people abbreviate, number and
/// punctuate.
pub fn letters(name: &str) -> String {
    name.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphabetic())
        .nfc()
        .collect()
}

/// What shows nothing, and comes along with copy and paste: marks of direction, zero width, control characters. (What a
/// terminal must not get is another question, of `escape`: it shows variation selectors, and obeys line separators.)
pub fn is_invisible(c: char) -> bool {
    match c {
        c if c.is_control() => !c.is_whitespace(),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

/// Of `names` the one that `typed` is but for a slip or two.
pub fn meant<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const EDITS_MAX: usize = 2;
    let typed = unspaced(typed);
    let near = names.map(|name| (distance(&typed, &unspaced(name)), name)).min_by_key(|(edits, _)| *edits)?;
    (near.0 <= EDITS_MAX && near.0 * 2 <= typed.chars().count()).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_people_read_them() {
        for (a, b) in [
            ("Prénom", "Pre\u{301}nom"),
            ("FIRST  name", "first\u{a0}name "),
            ("\u{feff}to", "TO"),
            ("STRASSE", "strasse"),
            ("ПРИВЕТ", "привет"),
            ("A\u{30a}r", "\u{c5}r"),
        ] {
            assert_eq!(folded(a), folded(b), "{a} {b}");
        }
        assert_ne!(folded("First Name"), folded("FirstName"));
        assert_eq!(unspaced("First Name"), unspaced("FirstName"));
        assert_ne!(unspaced("Prénom"), unspaced("Prenom"));
        for (name, plain) in
            [("Numéro de téléphone", "numerodetelephone"), ("Tel.-Nr. 2", "telnr"), ("Мобильный", "мобильныи")]
        {
            assert_eq!(letters(name), letters(plain), "{name}");
        }
    }

    #[test]
    fn slips_are_told_from_other_names() {
        let names = ["to", "name", "First Name", "text"];
        for (typed, found) in [
            ("nmae", Some("name")),
            ("firstname", Some("First Name")),
            ("txet", Some("text")),
            ("tex", Some("text")),
            ("ot", None),
            ("code", None),
        ] {
            assert_eq!(meant(typed, names.into_iter()), found, "{typed}");
        }
    }
}
