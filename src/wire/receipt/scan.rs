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
            Some(word) => state_of(word),
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

/// Reads the fields of a receipt.
pub(super) fn scan(text: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    let mut scanner = Scanner { text, at: 0 };
    let mut is_first = true;
    loop {
        scanner.skip(SEPARATOR);
        if scanner.at >= text.len() {
            return fields;
        }
        let start = scanner.at;
        let Some(label) = scanner.label() else {
            scanner.at = start;
            let word = scanner.value_word();
            let state = if fields.strays == 0 { state_of(word) } else { None };
            match state {
                Some(state) if fields.bare.is_none() => fields.bare = Some(state),
                _ => fields.strays += 1,
            }
            is_first = false;
            continue;
        };
        if is_first {
            fields.starts_with_label = !matches!(label, Label::Foreign | Label::Text);
            is_first = false;
        }
        let place = match label {
            Label::Text => return fields,
            Label::Id => Some(&mut fields.id),
            Label::Stat => Some(&mut fields.stat),
            Label::Err => Some(&mut fields.err),
            Label::SubmitDate => Some(&mut fields.submit_date),
            Label::DoneDate => Some(&mut fields.done_date),
            Label::Count | Label::Foreign => None,
        };
        let is_date = matches!(label, Label::SubmitDate | Label::DoneDate);
        let value = scanner.value(is_date);
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
}

impl<'t> Scanner<'t> {
    /// The label at this place, with its colon or equals sign passed; `None` leaves the place undefined.
    #[inline]
    fn label(&mut self) -> Option<Label> {
        let (key, end) = self.word_key(self.at, 0);
        if end == self.at {
            return None;
        }
        let next = self.after(end, BLANK);
        if self.is(next, DELIMITER) {
            self.at = next + 1;
            return Some(label_of(key).unwrap_or(Label::Foreign));
        }
        // `submit date:` and its like. Only a pair that is known counts, lest a value and the next label be one.
        let (key, end) = self.word_key(next, key);
        let next = self.after(end, BLANK);
        if self.is(next, DELIMITER)
            && let Some(label) = label_of(key)
        {
            self.at = next + 1;
            return Some(label);
        }
        None
    }

    /// What follows a label, perhaps nothing.
    #[inline]
    fn value(&mut self, is_date: bool) -> &'t [u8] {
        let colon = self.at;
        self.skip(BLANK);
        let start = self.at;
        if let Some(&quote @ (b'"' | b'\'')) = self.text.get(start) {
            let quoted = &self.text[start + 1..];
            let length = quoted.iter().position(|&octet| octet == quote).unwrap_or(quoted.len());
            self.at = (start + 1 + length + 1).min(self.text.len());
            return &quoted[..length];
        }
        if start > colon && self.text.get(start).is_some_and(u8::is_ascii_alphabetic) {
            // `done date: stat:ENROUTE` has an empty date.
            let is_label = self.label().is_some();
            self.at = start;
            if is_label {
                return &[];
            }
        }
        self.value_word();
        let mut end = self.at;
        while is_date {
            // A date may go on after a blank: `26-11-23 09:15:30`, `23 Nov 2026`.
            self.skip(BLANK);
            let word = self.value_word();
            if !goes_on_a_date(word) {
                self.at = end;
                break;
            }
            end = self.at;
        }
        &self.text[start..end]
    }

    /// Octets up to the next separator.
    #[inline]
    fn value_word(&mut self) -> &'t [u8] {
        let start = self.at;
        while self.at < self.text.len() && !self.is(self.at, SEPARATOR) {
            self.at += 1;
        }
        &self.text[start..self.at]
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
    fn word_key(&self, mut at: usize, mut key: u128) -> (u128, usize) {
        while let Some(&octet) = self.text.get(at) {
            if CLASSES[usize::from(octet)] & (SEPARATOR | DELIMITER) != 0 {
                break;
            }
            key = extended(key, octet);
            at += 1;
        }
        (key, at)
    }
}

/// Blanks, which may stand between a label and its colon, and before a value.
const BLANK: u8 = 1;
/// What ends a value.
const SEPARATOR: u8 = 2;
/// What ends a label.
const DELIMITER: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let separators = b"\0 \t\r\n;,|&\"'{}[]()<>";
    let mut index = 0;
    while index < separators.len() {
        classes[separators[index] as usize] = SEPARATOR;
        index += 1;
    }
    classes[b' ' as usize] = SEPARATOR | BLANK;
    classes[b'\t' as usize] = SEPARATOR | BLANK;
    classes[b':' as usize] = DELIMITER;
    classes[b'=' as usize] = DELIMITER;
    classes
};

/// A word in lower case and without underscores, dashes and dots, as a number that is cheap to compare. 0x11 is the
/// underscore of the GSM alphabet. Words of more than 16 letters have a key that no label has.
const fn extended(key: u128, octet: u8) -> u128 {
    match octet {
        b'_' | b'-' | b'.' | 0x11 => key,
        _ if key >> 120 != 0 => u128::MAX,
        _ => key << 8 | octet.to_ascii_lowercase() as u128,
    }
}

const fn key(word: &[u8]) -> u128 {
    let mut key = 0;
    let mut index = 0;
    while index < word.len() {
        key = extended(key, word[index]);
        index += 1;
    }
    assert!(key != u128::MAX, "too long for a key");
    key
}

macro_rules! keyed {
    ($value:expr; $($($word:literal)|+ => $result:expr,)*) => {{
        $(if $($value == const { key($word) })||+ { return Some($result); })*
        None
    }};
}

#[inline]
fn label_of(word: u128) -> Option<Label> {
    keyed! { word;
        b"id" | b"msgid" | b"messageid" | b"smsid" | b"mid" => Label::Id,
        b"sub" | b"dlvrd" | b"submitted" | b"delivered" => Label::Count,
        b"submitdate" | b"submittime" | b"submit" | b"subdate" => Label::SubmitDate,
        b"donedate" | b"donetime" | b"done" | b"finaldate" | b"deliverydate" => Label::DoneDate,
        b"stat" | b"status" | b"state" | b"msgstatus" | b"messagestatus" | b"messagestate" => Label::Stat,
        b"err" | b"error" | b"errcode" | b"errorcode" => Label::Err,
        b"text" | b"txt" | b"message" | b"msg" | b"content" | b"body" => Label::Text,
    }
}

/// The state that a word means, in any case.
fn state_of(word: &[u8]) -> Option<MessageState> {
    use MessageState::{
        Accepted, Deleted, Delivered, Enroute, Expired, Failed, Rejected, Scheduled, Skipped, Undeliverable, Unknown,
    };
    let word = word.iter().fold(0, |key, &octet| extended(key, octet));
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

/// Whether a word after a blank still belongs to a date: a time, a zone, a month, a weekday.
fn goes_on_a_date(word: &[u8]) -> bool {
    match word {
        [b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..] => true,
        _ => is_date_word(word).is_some(),
    }
}

fn is_date_word(word: &[u8]) -> Option<()> {
    let word = word.iter().fold(0, |key, &octet| extended(key, octet));
    keyed! { word;
        b"am" | b"pm" | b"utc" | b"gmt" | b"z" => (),
        b"jan" | b"feb" | b"mar" | b"apr" | b"may" | b"jun" => (),
        b"jul" | b"aug" | b"sep" | b"oct" | b"nov" | b"dec" => (),
        b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun" => (),
    }
}
