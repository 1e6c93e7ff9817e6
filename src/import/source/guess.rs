//! What encoding a file without a mark has, judged by its first texts that are not ASCII.
//!
//! The detector of browsers says what is likeliest, and by being asked as for pages of many countries how much that depends
//! on where one looks from. It was made for pages with more text than a campaign's row has, and knows nothing about old Macs:
//! so each reading is looked at besides for what no language writes, as `CafŽ` or `Èâàí`. A reading that is not clearly
//! the best is not taken: somebody has to look at the words.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, MACINTOSH, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252};

use super::encoding::FileEncoding;
use crate::words::escape::escape_terminal;

/// Countries for whose pages the detector is asked, each script and each way to write it among them.
const COUNTRIES: [&str; 17] =
    ["de", "ru", "tr", "pl", "cz", "gr", "il", "sa", "lt", "vn", "th", "cn", "tw", "jp", "kr", "is", "rs"];
/// So many countries have to agree on what is taken: one or two do for whatever is written there.
const VOTES_MIN: usize = 4;
/// One odd spot in so many words is forgiven: a trade name, a slip.
const WORDS_PER_ODD_SPOT: usize = 50;
/// So many words are there for each that has only letters beyond ASCII, in a language that is written with Latin ones.
const WORDS_PER_FOREIGN_WORD: usize = 4;
/// Words that are shown of a reading.
const WORDS_SHOWN: usize = 3;
/// Characters that are shown of a word.
const WORD_CHARACTERS: usize = 24;

/// A reading of a file, with some of its words, by which a person can tell whether it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The encoding.
    pub encoding: FileEncoding,
    /// Words that are not ASCII.
    pub words: Vec<String>,
}

impl Reading {
    /// The words, as they are said.
    pub fn shown(&self) -> String {
        let words: Vec<String> =
            self.words.iter().map(|word| format!("\u{201c}{}\u{201d}", escape_terminal(word))).collect();
        words.join(", ")
    }
}

/// What the detector and the words come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// It is this.
    Sure(Reading),
    /// It may be the one or the other, or neither.
    Unsure(Vec<Reading>),
}

/// Octets that are neither ASCII nor UTF-8, from the start of a line on. `whole`: no more follow.
pub(super) fn guess(octets: &[u8], whole: bool) -> Guess {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(octets, whole);
    let likeliest = detector.guess(None, Utf8Detection::Deny);
    let mut readings = vec![Candidate::new(likeliest, octets, 0)];
    for country in COUNTRIES {
        add(&mut readings, detector.guess(Some(country.as_bytes()), Utf8Detection::Deny), octets, 1);
    }
    for encoding in [WINDOWS_1252, WINDOWS_1250, MACINTOSH] {
        add(&mut readings, encoding, octets, 0);
    }
    let main = &readings[0];
    let others = &readings[1..];
    if main.is_plausible() && !main.is_hungarian_in_disguise() {
        let rival = others.iter().filter(|other| other.is_plausible()).map(|other| other.votes).max().unwrap_or(0);
        if main.votes >= VOTES_MIN && main.votes >= 2 * rival {
            return Guess::Sure(main.reading());
        }
    } else if main.is_odd() {
        let plausible: Vec<&Candidate> = others.iter().filter(|other| other.is_plausible()).collect();
        if let [only] = plausible[..]
            && only.not_ascii > 1
        {
            return Guess::Sure(only.reading());
        }
    }
    // The guess first where it can be read at all, then what has the fewest odd spots, and of these what more would take.
    let mut order: Vec<usize> = (0..readings.len()).collect();
    order.sort_by_key(|&n| (readings[n].odd_spots, n != 0, std::cmp::Reverse(readings[n].votes)));
    Guess::Unsure(order.into_iter().take(2).map(|n| readings[n].reading()).collect())
}

/// UTF-16 that has no mark, by its zero octets: every second one in digits, delimiters and line ends.
pub(super) fn utf16_without_mark(octets: &[u8]) -> Option<&'static Encoding> {
    const ZEROS_IN: usize = 20;
    let octets = &octets[..octets.len() & !1];
    let pairs = octets.chunks_exact(2);
    let count = |is: fn(&[u8]) -> bool| pairs.clone().filter(|pair| is(pair)).count();
    let (high_first, low_first) = (count(|pair| pair[0] == 0), count(|pair| pair[1] == 0));
    let is_so = |zeros: usize, others: usize, ends: usize| {
        zeros > 1
            && zeros * ZEROS_IN >= octets.len() / 2
            && others * ZEROS_IN <= zeros
            && (ends > 0 || zeros * 2 >= octets.len() / 2)
    };
    if is_so(low_first, high_first, count(|pair| matches!(pair, [b'\n' | b'\r', 0]))) {
        return Some(UTF_16LE);
    }
    is_so(high_first, low_first, count(|pair| matches!(pair, [0, b'\n' | b'\r']))).then_some(UTF_16BE)
}

fn add(readings: &mut Vec<Candidate>, encoding: &'static Encoding, octets: &[u8], votes: usize) {
    match readings.iter_mut().find(|known| known.encoding == encoding) {
        Some(known) => known.votes += votes,
        None => {
            let new = Candidate::new(encoding, octets, votes);
            // What reads the same need not be told apart.
            match readings.iter_mut().find(|known| known.text == new.text) {
                Some(known) => known.votes += votes,
                None => readings.push(new),
            }
        }
    }
}

/// The octets as one encoding has them.
struct Candidate {
    encoding: &'static Encoding,
    text: String,
    votes: usize,
    odd_spots: usize,
    words: usize,
    not_ascii: usize,
}

impl Candidate {
    fn new(encoding: &'static Encoding, octets: &[u8], votes: usize) -> Candidate {
        let text = encoding.decode_without_bom_handling(octets).0.into_owned();
        let (mut odd_spots, mut foreign, mut words) = (0, 0, 0);
        for word in words_of(&text) {
            words += 1;
            odd_spots += usize::from(is_odd(word));
            foreign += usize::from(is_all_foreign(word));
        }
        if foreign * WORDS_PER_FOREIGN_WORD > words {
            odd_spots += foreign;
        }
        let not_ascii = text.chars().filter(|c| !c.is_ascii()).count();
        Candidate { encoding, text, votes, odd_spots, words, not_ascii }
    }

    fn is_plausible(&self) -> bool {
        self.odd_spots * WORDS_PER_ODD_SPOT <= self.words
    }

    fn is_odd(&self) -> bool {
        !self.is_plausible()
    }

    /// Letters that only Hungarian has together, with the two of them that Western Europe reads otherwise.
    fn is_hungarian_in_disguise(&self) -> bool {
        self.encoding == WINDOWS_1252
            && self.text.contains(['õ', 'Õ', 'û', 'Û'])
            && self.text.contains(['ö', 'ü', 'Ö', 'Ü'])
            && self.text.contains(['á', 'í', 'ó', 'ú', 'Á'])
            && !self.text.contains(['ã', 'ñ', 'ç', 'è', 'à'])
    }

    fn reading(&self) -> Reading {
        let mut words: Vec<String> = Vec::new();
        for word in words_of(&self.text) {
            let short: String = word.chars().take(WORD_CHARACTERS).collect();
            if words.len() < WORDS_SHOWN && !words.contains(&short) {
                words.push(short);
            }
        }
        Reading { encoding: FileEncoding::new(self.encoding), words }
    }
}

/// What stands between spaces, delimiters, quotes and ASCII punctuation, and is not all ASCII.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || c.is_ascii() && !c.is_ascii_alphanumeric();
    text.split(is_between).filter(|word| !word.is_ascii())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    /// Written without spaces, and beside Latin words.
    Dense,
    /// Katakana of half the width, which wrong readings are full of.
    HalfWidth,
    Other,
}

fn script(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{590}'..='\u{5ff}' => Script::Hebrew,
        '\u{600}'..='\u{6ff}' | '\u{fb50}'..='\u{feff}' => Script::Arabic,
        '\u{e00}'..='\u{e7f}' | '\u{3005}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => {
            Script::Dense
        }
        '\u{ff66}'..='\u{ff9f}' => Script::HalfWidth,
        _ => Script::Other,
    }
}

/// Whether a word has something in it that no language writes.
fn is_odd(word: &str) -> bool {
    let characters: Vec<char> = word.chars().collect();
    let mut known: Option<Script> = None;
    if let [c] = characters[..] {
        return is_odd_alone(c);
    }
    for (n, &c) in characters.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| characters[n]);
        let after = characters.get(n + 1).copied();
        let is_beside_letter = [before, after].into_iter().flatten().any(char::is_alphabetic);
        if never_written(c) || !c.is_ascii() && is_symbol(c) && is_beside_letter {
            return true;
        }
        if c.is_alphabetic() {
            let of = script(c);
            match known {
                Some(known) if known != of && !(of == Script::Dense || known == Script::Dense) => return true,
                Some(_) if of == Script::HalfWidth && known == Some(Script::Latin) => return true,
                _ => known = Some(of),
            }
            // One sign within a Latin word is what wrong readings make of two octets.
            let is_lower = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase());
            if of == Script::Dense && is_lower(before) && is_lower(after) {
                return true;
            }
            if of == Script::HalfWidth && characters.iter().any(char::is_ascii_alphabetic) {
                return true;
            }
            if let Some(before) = before.filter(|before| !(before.is_ascii() && c.is_ascii()))
                && before.is_lowercase()
                && c.is_uppercase()
            {
                return true;
            }
            if !c.is_ascii() && c.is_uppercase() && after.is_some_and(|after| after.is_ascii_digit()) {
                return true;
            }
        } else if !c.is_ascii() && !joins(c) {
            let is_within = before.is_some_and(char::is_alphabetic) && after.is_some_and(char::is_alphabetic);
            if is_within && !characters.iter().any(|&c| script(c) == Script::Dense) {
                return true;
            }
        }
    }
    false
}

/// Whether a word has Latin letters alone, and no ASCII one among them: every language that is written so has more of these.
fn is_all_foreign(word: &str) -> bool {
    let (mut letters, mut foreign) = (0, 0);
    for c in word.chars().filter(|c| c.is_alphabetic()) {
        letters += 1;
        foreign += usize::from(!c.is_ascii() && script(c) == Script::Latin);
    }
    letters > 1 && foreign == letters
}

/// Punctuation that may stand within a word.
fn joins(c: char) -> bool {
    matches!(c, '’' | '‘' | 'ʼ' | '·' | '–' | '—' | '‑' | '…' | '\u{ad}' | '\u{200b}'..='\u{200f}')
        || script(c) == Script::Dense
        || is_mark(c)
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{e31}'..='\u{e4e}')
}

/// What no text has: controls, what is not assigned, accents without a letter.
fn never_written(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}' | '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | 'ˆ' | '˜' | '¨' | '¯' | '¸' | 'ˇ' | '˘' | '˙' | '˛' | '˝' | '¤' | '¦' | '¶' | '¬' | '‡' | '†' | 'ƒ'
    )
}

/// What stands beside numbers, not beside letters.
fn is_symbol(c: char) -> bool {
    matches!(
        c,
        '¢' | '§'
            | '±'
            | 'µ'
            | '×'
            | '÷'
            | '‰'
            | '¼'
            | '½'
            | '¾'
            | '¹'
            | '∂'
            | '∑'
            | '∏'
            | 'π'
            | '∫'
            | 'Ω'
            | '≈'
            | '∆'
            | '◊'
            | '√'
            | '∞'
            | '≤'
            | '≥'
            | '≠'
            | 'ﬁ'
            | 'ﬂ'
            | '´'
    )
}

/// A word of one character that is none.
fn is_odd_alone(c: char) -> bool {
    if never_written(c) {
        return true;
    }
    match script(c) {
        _ if !c.is_alphabetic() => false,
        Script::Latin => !matches!(
            c,
            'à' | 'À'
                | 'á'
                | 'é'
                | 'É'
                | 'è'
                | 'È'
                | 'ê'
                | 'ó'
                | 'ú'
                | 'í'
                | 'ý'
                | 'ö'
                | 'å'
                | 'æ'
                | 'ø'
                | 'ô'
                | 'ò'
                | 'ù'
                | 'ª'
                | 'º'
        ),
        Script::Cyrillic => !"авикосуяібйэюєїАВИКОСУЯІБЙЭЮЄЇ".contains(c),
        Script::Greek => !"οηαώήΟΗΑΏΉ".contains(c),
        Script::Dense => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(label: &str, text: &str) -> Vec<u8> {
        let (octets, _, is_lossy) = Encoding::for_label(label.as_bytes()).unwrap().encode(text);
        assert!(!is_lossy, "{label}: {text}");
        octets.into_owned()
    }

    /// Rows of one language are read right, or refused; what they are taken for is what they are.
    #[test]
    fn texts_are_read_right_or_not_at_all() {
        let sure = [
            ("windows-1252", "Jörg;Grüße, 5 € Rabatt\r\nZoë;Grüße\r\n"),
            ("windows-1252", "café crème"),
            ("windows-1252", "¿Cómo estás? mañana"),
            ("windows-1252", "Smørrebrød på færgen"),
            ("windows-1252", "it’s 5 €"),
            ("windows-1250", "Zażółć gęślą jaźń"),
            ("windows-1250", "Dobrý den, příští týden"),
            ("iso-8859-2", "Zażółć gęślą jaźń"),
            ("windows-1251", "Привет, скидка 10%\r\nДо встречи\r\n"),
            ("koi8-r", "Привет, скидка"),
            ("ibm866", "Привет, скидка"),
            ("iso-8859-5", "Привет, скидка"),
            ("windows-1254", "Sayın müşterimiz, şubemiz açıldı\r\nİyi günler, ığüşöç\r\n"),
            ("windows-1253", "Καλημέρα σας"),
            ("windows-1255", "שלום לכולם"),
            ("windows-1256", "مرحبا بكم"),
            ("windows-874", "สวัสดีครับ"),
            ("gbk", "您好，欢迎光临"),
            ("big5", "您好，歡迎光臨"),
            ("shift_jis", "こんにちは。お荷物が届きました"),
            ("euc-jp", "こんにちは"),
            ("euc-kr", "안녕하세요"),
            ("macintosh", "Café à la crème\rnaïve\r"),
            ("macintosh", "Grüße aus München"),
        ];
        for (label, text) in sure {
            match guess(&encoded(label, text), true) {
                Guess::Sure(reading) => {
                    let read = reading.encoding.get().decode(&encoded(label, text)).0.into_owned();
                    assert_eq!(read, text, "{label} as {}", reading.encoding.name());
                    assert!(!reading.words.is_empty());
                }
                Guess::Unsure(readings) => panic!("{label} {text}: {readings:?}"),
            }
        }
    }

    /// Too little, or nothing that is known: whatever is shown, it is not taken.
    #[test]
    fn what_cannot_be_told_is_not_taken() {
        let mut files: Vec<Vec<u8>> = [
            ("windows-1251", "Да"),
            ("windows-1251", "Иван"),
            ("windows-1253", "Ναι"),
            ("windows-1252", "Olá, você não está"),
            ("windows-1250", "Köszönjük, várjuk önt a hétvégén! Őrült árak"),
            ("gbk", "微软"),
            ("windows-1257", "Ačiū, laukiame jūsų"),
        ]
        .map(|(label, text)| encoded(label, text))
        .into();
        // Of DOS, which the standard's list does not have.
        files.extend([b"Gr\x81\xe1e aus M\x81nchen".to_vec(), b"Caf\x82 \x85 la cr\x8ame".to_vec()]);
        for file in files {
            match guess(&file, true) {
                Guess::Unsure(readings) => assert_eq!(readings.len(), 2, "{readings:?}"),
                Guess::Sure(reading) => panic!("{reading:?}"),
            }
        }
    }

    #[test]
    fn utf16_without_a_mark_is_known_by_its_zeros() {
        let utf16 = |text: &str, octets: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(octets).collect::<Vec<u8>>();
        for text in [
            "to,text\r\n447700900101,Hello\r\n",
            "Номер;Текст\n79000000001;Привет, скидка\n",
            "to,",
            "電話,本文\n819000000001,こんにちは\n",
        ] {
            assert_eq!(utf16_without_mark(&utf16(text, u16::to_le_bytes)), Some(UTF_16LE), "{text}");
            assert_eq!(utf16_without_mark(&utf16(text, u16::to_be_bytes)), Some(UTF_16BE), "{text}");
        }
        for octets in [&b"to,text\n447700900001,a\0b\n"[..], b"to,text\n1,a\0b\0c\n", b"", b"\0", b"to,text\r\n\0\0"] {
            assert_eq!(utf16_without_mark(octets), None, "{octets:?}");
        }
    }
}
