//! One pass over a receipt's text: labels and their values, up to `text:`.

use crate::wire::values::MessageState;

/// What a text holds. Of a label that comes twice, the first value that is not empty counts.
#[derive(Debug, Default)]
pub(super) struct Fields<'t> {
    pub id: Option<&'t [u8]>,
    pub stat: Option<&'t [u8]>,
    pub err: Option<&'t [u8]>,
    pub submit_date: Option<&'t [u8]>,
    pub done_date: Option<&'t [u8]>,
    /// The first thing in the text is a label of a receipt.
    pub starts_with_label: bool,
    /// A state word that stands without a label, with nothing but labelled values before it.
    bare: Option<MessageState>,
    /// Labels of a receipt besides id and stat.
    others: usize,
    /// Words without a label, which a receipt does not have.
    strays: usize,
}

impl Fields<'_> {
    /// The state, if it is a known word.
    pub fn state(&self) -> Option<MessageState> {
        match self.stat {
            Some(word) => state_of(word).or_else(|| state_cut_off(word)),
            None => self.bare,
        }
    }

    /// The number that stands in the place of a state word.
    pub fn code(&self) -> Option<u8> {
        let digits = self.stat.filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Whether the text has the whole shape of a receipt, so that it is one even where nothing else says so.
    pub fn is_whole_receipt(&self) -> bool {
        let known = match self.stat {
            Some(word) => state_of(word).is_some() || self.code().is_some() && self.others > 0,
            None => false,
        };
        self.starts_with_label && self.strays == 0 && self.id.is_some() && known
    }
}

/// Reads the fields of a receipt, also of one that begins with the text: behind it only what has the whole shape counts,
/// and of several such things the last, since a text can hold anything.
pub(super) fn scan(text: &[u8]) -> Fields<'_> {
    let (fields, begins_with_text) = scan_to_text(text);
    if !begins_with_text {
        return fields;
    }
    let starts = text.windows(4).enumerate().rev();
    let starts =
        starts.filter(|(_, at)| CLASSES[usize::from(at[0])] & SEPARATOR != 0 && at[1..].eq_ignore_ascii_case(b"id:"));
    // The last `id:` is that of the receipt: one in the text before it is not looked for.
    match starts.map(|(at, _)| scan_to_text(&text[at + 1..]).0).next() {
        // With no more than an id and a state it may be the text's own, and the receipt cut off. What begins with its text
        // does not begin with a label.
        Some(tail) if tail.is_whole_receipt() && tail.err.is_some() => Fields { starts_with_label: false, ..tail },
        _ => fields,
    }
}

/// Reads fields up to `text:`, and says whether that came first.
fn scan_to_text(text: &[u8]) -> (Fields<'_>, bool) {
    let mut fields = Fields::default();
    let mut scanner = Scanner { text, at: 0, usual: 0 };
    let mut is_first = true;
    loop {
        scanner.skip(SEPARATOR);
        if scanner.at >= text.len() {
            return (fields, false);
        }
        let start = scanner.at;
        let Some(label) = scanner.label() else {
            scanner.at = start;
            let word = scanner.value_word();
            if fields.others > 0 && scanner.at >= text.len() && label_of(Key::of(word)) == Some(Label::Count) {
                // The text was cut off behind the label's name: `id:1 sub:001 dlvrd` says nothing of the state.
                return (fields, false);
            }
            let state = if fields.strays == 0 { state_of(word) } else { None };
            match state {
                Some(state) if fields.bare.is_none() => fields.bare = Some(state),
                _ => fields.strays += 1,
            }
            is_first = false;
            continue;
        };
        let came_first = std::mem::replace(&mut is_first, false);
        if came_first {
            fields.starts_with_label = !matches!(label, Label::Foreign | Label::Text);
        }
        let place = match label {
            Label::Text => return (fields, came_first),
            Label::Id => Some(&mut fields.id),
            Label::Stat => Some(&mut fields.stat),
            Label::Err => Some(&mut fields.err),
            Label::SubmitDate => Some(&mut fields.submit_date),
            Label::DoneDate => Some(&mut fields.done_date),
            Label::Count | Label::Foreign => None,
        };
        let is_date = matches!(label, Label::SubmitDate | Label::DoneDate);
        let mut value = scanner.value(is_date);
        if label == Label::Err && value.first().is_some_and(u8::is_ascii_alphabetic) {
            // `err:Absent Subscriber`. A handset's owner could go on so, too: that such a text has no mark speaks against it.
            let more;
            (value, more) = scanner.words_after(value);
            fields.strays += more;
        }
        fields.others += usize::from(!matches!(label, Label::Id | Label::Stat | Label::Foreign));
        if let Some(place) = place
            && place.is_none()
            && !value.is_empty()
        {
            *place = Some(value);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Id,
    Stat,
    Err,
    SubmitDate,
    DoneDate,
    /// `sub` and `dlvrd`: counts that say nothing.
    Count,
    /// The message itself follows.
    Text,
    /// A label that receipts do not have by convention.
    Foreign,
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    /// Which of the usual labels comes next, if all is as usual: one comparison instead of a search.
    usual: usize,
}

impl<'t> Scanner<'t> {
    /// The label at this place, with its colon or equals sign passed; `None` leaves the place undefined.
    #[inline]
    fn label(&mut self) -> Option<Label> {
        if let Some((label, length)) = self.usual_label() {
            self.usual += 1;
            self.at += length;
            return Some(label);
        }
        let (key, end) = self.word_key(self.at, Key::EMPTY);
        if end == self.at {
            return None;
        }
        let next = self.after(end, SPACE);
        if self.is(next, DELIMITER) {
            self.at = next + 1;
            return Some(label_of(key).unwrap_or(Label::Foreign));
        }
        // `submit date:` and its like. Only a pair that is known counts: a value and the next label must not become one.
        let (key, end) = self.word_key(next, key);
        let next = self.after(end, SPACE);
        if self.is(next, DELIMITER)
            && let Some(label) = label_of(key)
        {
            self.at = next + 1;
            return Some(label);
        }
        None
    }

    /// The labels that nearly every receipt has, in the order in which nearly every receipt has them: one comparison,
    /// of a length that the compiler knows, in place of a search.
    #[inline]
    fn usual_label(&self) -> Option<(Label, usize)> {
        let rest = &self.text[self.at..];
        macro_rules! usual {
            ($($index:literal $words:literal $label:ident)*) => {
                match self.usual {
                    $($index if rest.first_chunk() == Some($words) => Some((Label::$label, $words.len())),)*
                    _ => None,
                }
            };
        }
        usual! {
            0 b"id:" Id
            1 b"sub:" Count
            2 b"dlvrd:" Count
            3 b"submit date:" SubmitDate
            4 b"done date:" DoneDate
            5 b"stat:" Stat
            6 b"err:" Err
            7 b"text:" Text
        }
    }

    /// What follows a label, perhaps nothing.
    #[inline]
    fn value(&mut self, is_date: bool) -> &'t [u8] {
        let colon = self.at;
        self.skip(SPACE);
        let start = self.at;
        if let Some(&quote @ (b'"' | b'\'')) = self.text.get(start) {
            let quoted = &self.text[start + 1..];
            let length = quoted.iter().position(|&octet| octet == quote).unwrap_or(quoted.len());
            self.at = (start + 1 + length + 1).min(self.text.len());
            return &quoted[..length];
        }
        if start > colon && self.text.get(start).is_some_and(u8::is_ascii_alphabetic) {
            // `done date: stat:ENROUTE` has an empty date.
            let usual = self.usual;
            let is_label = self.label().is_some();
            (self.at, self.usual) = (start, usual);
            if is_label {
                return &[];
            }
        }
        let mut end = start + self.own_word().len();
        if is_date {
            // It may go on after a space: `26-11-23 09:15:30`, `23 Nov 2026`.
            let mut after = self.at;
            loop {
                self.skip(SPACE);
                let from = self.at;
                let word = self.own_word();
                if !goes_on_a_date(word) {
                    break;
                }
                (end, after) = (from + word.len(), self.at);
            }
            self.at = after;
        }
        &self.text[start..end]
    }

    /// Octets up to the next separator.
    #[inline]
    fn value_word(&mut self) -> &'t [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&octet| CLASSES[usize::from(octet)] & SEPARATOR != 0);
        let word = &rest[..length.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Octets up to the next separator, or to a label that is joined to the value, with or without a slash between them.
    #[inline]
    fn own_word(&mut self) -> &'t [u8] {
        let start = self.at;
        let word = self.value_word();
        let may_hold_a_label = word.contains(&b':') || matches!(word, [_, .., b't' | b'T' | b'e' | b'E']);
        if !may_hold_a_label {
            return word;
        }
        let Some(at) = (0..word.len()).find(|&at| starts_a_label(&self.text[start + at..])) else { return word };
        self.at = start + at;
        word[..at].strip_suffix(b"/").unwrap_or(&word[..at])
    }

    /// A value that goes on in words after spaces, up to a label or a state word, and how many there were.
    fn words_after(&mut self, value: &'t [u8]) -> (&'t [u8], usize) {
        // The quoted are whole as they are.
        let Some(start) = self.at.checked_sub(value.len()).filter(|&start| self.text[start..self.at] == *value) else {
            return (value, 0);
        };
        let (mut end, mut after, mut words) = (self.at, self.at, 0);
        while self.is(after, SPACE) {
            self.at = after;
            self.skip(SPACE);
            let (at, usual) = (self.at, self.usual);
            let is_label = self.label().is_some();
            (self.at, self.usual) = (at, usual);
            let word = self.own_word();
            if is_label || word.is_empty() || label_of(Key::of(word)).is_some() || state_of(word).is_some() {
                break;
            }
            (end, after, words) = (at + word.len(), self.at, words + 1);
        }
        self.at = after;
        (&self.text[start..end], words)
    }

    #[inline]
    fn skip(&mut self, class: u8) {
        self.at = self.after(self.at, class);
    }

    #[inline]
    fn after(&self, mut at: usize, class: u8) -> usize {
        while self.is(at, class) {
            at += 1;
        }
        at
    }

    #[inline]
    fn is(&self, at: usize, class: u8) -> bool {
        self.text.get(at).is_some_and(|&octet| CLASSES[usize::from(octet)] & class != 0)
    }

    /// The key of the word at a place, appended to another key, and where the word ends.
    #[inline]
    fn word_key(&self, mut at: usize, mut key: Key) -> (Key, usize) {
        while let Some(&octet) = self.text.get(at) {
            let letter = LETTERS[usize::from(octet)];
            if letter == WORD_END {
                break;
            }
            key.push(letter);
            at += 1;
        }
        (key, at)
    }
}

/// Spaces, which may stand between a label and its colon, and before a value.
const SPACE: u8 = 1;
/// What ends a value.
const SEPARATOR: u8 = 2;
/// What ends a label.
const DELIMITER: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    // Brackets are not among them: an id may be a GUID in braces, and ids are opaque.
    let separators = b"\0 \t\r\n;,|&\"'";
    let mut index = 0;
    while index < separators.len() {
        classes[separators[index] as usize] = SEPARATOR;
        index += 1;
    }
    classes[b' ' as usize] = SEPARATOR | SPACE;
    classes[b'\t' as usize] = SEPARATOR | SPACE;
    classes[b':' as usize] = DELIMITER;
    classes[b'=' as usize] = DELIMITER;
    classes
};

/// What an octet is in a [`Key`]: its lower case, or one of the two below.
const LETTERS: [u8; 256] = {
    let mut letters = [WORD_END; 256];
    let mut octet = 0;
    while octet < 256 {
        if CLASSES[octet] & (SEPARATOR | DELIMITER) == 0 {
            letters[octet] = (octet as u8).to_ascii_lowercase();
        }
        octet += 1;
    }
    letters[b'_' as usize] = LEFT_OUT;
    letters[b'-' as usize] = LEFT_OUT;
    letters[b'.' as usize] = LEFT_OUT;
    // The underscore of the GSM alphabet.
    letters[0x11] = LEFT_OUT;
    letters
};
const WORD_END: u8 = 0;
const LEFT_OUT: u8 = 1;

/// A word in lower case, without underscores, dashes and dots: the last 16 letters as a number that is cheap to
/// compare, and how many there were, so that a longer word equals none that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    letters: u128,
    count: usize,
}

impl Key {
    const EMPTY: Self = Self { letters: 0, count: 0 };

    const fn of(word: &[u8]) -> Self {
        let mut key = Self::EMPTY;
        let mut index = 0;
        while index < word.len() {
            key.push(LETTERS[word[index] as usize]);
            index += 1;
        }
        key
    }

    #[inline]
    const fn push(&mut self, letter: u8) {
        if letter != LEFT_OUT {
            self.letters = self.letters << 8 | letter as u128;
            self.count += 1;
        }
    }
}

/// Compares a key with words, in their order: the usual ones come first.
macro_rules! keyed {
    ($value:expr; $($($word:literal)|+ => $result:expr,)*) => {{
        $(if $($value == const { Key::of($word) })||+ { return Some($result); })*
        None
    }};
}

#[inline]
fn label_of(word: Key) -> Option<Label> {
    keyed! { word;
        b"id" => Label::Id,
        b"sub" | b"dlvrd" => Label::Count,
        b"submitdate" => Label::SubmitDate,
        b"donedate" => Label::DoneDate,
        b"stat" => Label::Stat,
        b"err" => Label::Err,
        b"text" => Label::Text,
        b"msgid" | b"messageid" | b"smsid" | b"mid" => Label::Id,
        b"status" | b"state" | b"msgstatus" | b"messagestatus" | b"messagestate" => Label::Stat,
        b"error" | b"errcode" | b"errorcode" => Label::Err,
        b"submittime" | b"submit" | b"subdate" => Label::SubmitDate,
        b"donetime" | b"done" | b"finaldate" | b"deliverydate" => Label::DoneDate,
        b"submitted" | b"delivered" => Label::Count,
        b"txt" | b"message" | b"msg" | b"content" | b"body" => Label::Text,
    }
}

/// The state that a word means, in any case.
fn state_of(word: &[u8]) -> Option<MessageState> {
    use MessageState::{
        Accepted, Deleted, Delivered, Enroute, Expired, Failed, Rejected, Scheduled, Skipped, Undeliverable, Unknown,
    };
    let word = Key::of(word);
    keyed! { word;
        b"delivrd" | b"delivered" | b"deliverd" | b"dlvrd" => Delivered,
        b"undeliv" | b"undeliverable" | b"undelivered" | b"undelivrd" | b"undeliverd" => Undeliverable,
        b"expired" | b"expird" => Expired,
        b"rejectd" | b"rejected" | b"reject" => Rejected,
        b"failed" | b"fail" => Failed,
        b"acceptd" | b"accepted" | b"acked" => Accepted,
        b"enroute" | b"buffred" | b"bufferd" | b"buffered" => Enroute,
        b"unknown" | b"unknwn" => Unknown,
        b"deleted" | b"deletd" => Deleted,
        b"scheduled" | b"schedul" => Scheduled,
        b"skipped" => Skipped,
    }
}

/// The labels that are known where nothing separates them from a value: long enough not to be found in one by chance.
const JOINED: [&[u8]; 9] =
    [b"stat:", b"err:", b"text:", b"sub:", b"dlvrd:", b"submit date:", b"done date:", b"submit_date:", b"done_date:"];

fn starts_a_label(text: &[u8]) -> bool {
    JOINED.iter().any(|label| text.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label)))
}

/// The state of a word that was cut off: five of its letters at least.
fn state_cut_off(word: &[u8]) -> Option<MessageState> {
    const WORDS: [&[u8]; 14] = [
        b"DELIVRD",
        b"DELIVERED",
        b"UNDELIV",
        b"UNDELIVERABLE",
        b"EXPIRED",
        b"REJECTD",
        b"REJECTED",
        b"ACCEPTD",
        b"ACCEPTED",
        b"ENROUTE",
        b"UNKNOWN",
        b"DELETED",
        b"SCHEDULED",
        b"SKIPPED",
    ];
    const LETTERS_MIN: usize = 5;
    let mut states = WORDS
        .iter()
        .filter(|whole| {
            word.len() >= LETTERS_MIN && word.len() < whole.len() && whole[..word.len()].eq_ignore_ascii_case(word)
        })
        .filter_map(|whole| state_of(whole));
    let state = states.next()?;
    states.all(|other| other == state).then_some(state)
}

/// Whether a word after a space still belongs to a date: a time, a zone, a month, a weekday.
fn goes_on_a_date(word: &[u8]) -> bool {
    match word {
        [b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..] => true,
        _ => word.len() <= 3 && is_date_word(word).is_some(),
    }
}

fn is_date_word(word: &[u8]) -> Option<()> {
    let word = Key::of(word);
    keyed! { word;
        b"am" | b"pm" | b"utc" | b"gmt" | b"z" => (),
        b"jan" | b"feb" | b"mar" | b"apr" | b"may" | b"jun" => (),
        b"jul" | b"aug" | b"sep" | b"oct" | b"nov" | b"dec" => (),
        b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun" => (),
    }
}
