//! What a campaign would come to.

use crate::journal::store::lately::SentBy;
use std::collections::{BTreeMap, HashMap};

use super::facts::Facts;
use super::reader::{Event, FieldColumn, Rejected, Row};
use super::rows::Rows;
use crate::message::prices::{Amount, Bill, PriceList};
use crate::message::text;
use crate::message::text::transliterate::{self, Transliterate};
use crate::message::text::{Encoding, Policy, ShiftTables};

/// Different reasons of rejection that are counted each; beyond them those of a kind are counted together.
const REASONS_MAX: usize = 200;
/// Different senders that are counted each; the rest are counted together.
const SENDERS_MAX: usize = 1000;
/// Lines that are kept of a character that would be replaced.
const CHARACTER_LINES: usize = 5;
/// Different characters that are counted each.
const CHARACTERS_MAX: usize = 4096;

/// Adds up the events of a file.
/// The sums of one pass, which `check` shows.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rows of any kind.
    pub rows: u64,
    /// Messages that would be sent.
    pub messages: u64,
    /// Parts that they have: requests to the SMSC, which is what is sent and paced.
    pub parts: u64,
    /// SMS that these come to on the air: more, where the SMSC does the splitting.
    pub sms: u64,
    /// Messages that the suppression list holds back; not among `messages`.
    pub suppressed: u64,
    /// Rows whose number came before.
    pub duplicates: Rows,
    /// Rows rejected, by the code of the reason and its words.
    rejected: BTreeMap<(&'static str, String), Rows>,
    /// Messages of each number of parts.
    pub by_parts: BTreeMap<u8, u64>,
    /// Messages of senders beyond the first thousand different ones.
    pub other_senders: u64,
    /// Columns of the file that nothing is taken from.
    pub unused_columns: Vec<String>,
    /// How the file was taken, and what in it is doubtful.
    pub facts: Facts,
    /// Columns that set fields, as far as messages would be sent.
    pub field_columns: Vec<FieldColumn>,
    /// Campaigns that sent to its numbers in the last 24 hours.
    pub sent_lately: Vec<SentBy>,
    /// What a part costs, where that is known.
    pub prices: Option<PriceList>,
    /// What the messages come to by it.
    pub bill: Bill,
    /// What --transliterate would save, by level: where it is off, and texts are UCS2 for characters that it replaces.
    pub savings: [Saving; 2],
    /// Destination and text of the first message that would be sent.
    pub first: Option<(String, String)>,
    /// By [`Encoding::stored`].
    encodings: [EncodingTally; Encoding::COUNT],
    senders: HashMap<String, u64>,
    /// Messages of the SMSC's default sender. Not in the map: to compare the empty key with another costs a tenth of the whole
    /// reading of a file, since it points nowhere and the processor has to find that out.
    default_sender: u64,
    forced: HashMap<char, u64>,
    /// Those of the message at hand.
    forcing: Vec<char>,
    transliterated: String,
    longest: Option<Longest>,
}

/// What replacing characters would save.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saving {
    /// Messages that would be GSM 7-bit.
    pub messages: u64,
    /// Parts fewer.
    pub parts: u64,
    /// SMS fewer.
    pub sms: u64,
    /// What these cost, where prices are known.
    pub amount: Amount,
    /// The characters, and the first lines that have them.
    pub characters: BTreeMap<char, Vec<u64>>,
}

/// Messages of one encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodingTally {
    /// How many.
    pub messages: u64,
    /// Their parts.
    pub parts: u64,
    /// The first text, and the character that forced it into this encoding.
    pub sample: Option<(String, Option<char>)>,
}

/// The message of the most parts, and among those the first of the most units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Longest {
    /// The physical line on which its row starts.
    pub line: u64,
    /// Its parts.
    pub parts: u8,
    /// SMS that they come to on the air.
    pub sms: u8,
    /// Its length in septets, UCS2 units or octets.
    pub units: usize,
    /// Its encoding.
    pub encoding: Encoding,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Tally {
        Tally::default()
    }

    /// Adds one event.
    pub fn note(&mut self, event: &Event<'_>) {
        self.rows += 1;
        match event {
            Event::Row(row) if row.suppressed => self.suppressed += 1,
            Event::Row(row) => self.note_row(row),
            Event::Rejected(rejected) => self.note_rejected(rejected),
            Event::Duplicate(duplicate) => {
                self.duplicates.note(duplicate.line);
            }
        }
    }

    /// Whether an import would take the file: what the suppression list holds back is imported too.
    pub fn has_messages(&self) -> bool {
        self.messages + self.suppressed > 0
    }

    /// The reasons of rejection, each as its code and in words, the most frequent first.
    pub fn rejections(&self) -> Vec<(&'static str, &str, &Rows)> {
        let mut all: Vec<_> = self.rejected.iter().map(|((code, words), rows)| (*code, words.as_str(), rows)).collect();
        all.sort_by_key(|(_, _, rejections)| (std::cmp::Reverse(rejections.count), rejections.lines.first().copied()));
        all
    }

    /// Rows rejected for any reason.
    pub fn rejected_rows(&self) -> u64 {
        self.rejected.values().map(|rejections| rejections.count).sum()
    }

    /// Messages of one encoding.
    pub fn encoding(&self, encoding: Encoding) -> &EncodingTally {
        &self.encodings[usize::from(encoding.stored())]
    }

    /// Senders and their messages, the busiest first; the empty one is the SMSC's default.
    pub fn senders(&self) -> Vec<(&str, u64)> {
        let default = Some(("", self.default_sender)).filter(|(_, messages)| *messages > 0);
        busiest(self.senders.iter().map(|(sender, &messages)| (sender.as_str(), messages)).chain(default))
    }

    /// The characters that made messages UCS2, and of how many each, the busiest first: what to replace to save parts. A
    /// message is GSM 7-bit again when all of its own are replaced.
    pub fn forcing_characters(&self) -> Vec<(char, u64)> {
        busiest(self.forced.iter().map(|(&character, &messages)| (character, messages)))
    }

    /// The longest message.
    pub fn longest(&self) -> Option<&Longest> {
        self.longest.as_ref()
    }

    /// Seconds that the parts take at a rate of so many PDUs a second, without retries; `None` for a rate that is none.
    pub fn seconds_at(&self, pdus_per_second: f64) -> Option<f64> {
        (pdus_per_second > 0.0).then(|| self.parts as f64 / pdus_per_second)
    }

    fn note_row(&mut self, row: &Row<'_>) {
        let segmentation = &row.segmentation;
        self.messages += 1;
        self.first.get_or_insert_with(|| (row.destination.digits().to_owned(), row.text.to_owned()));
        self.parts += u64::from(segmentation.parts);
        self.sms += u64::from(segmentation.sms);
        *self.by_parts.entry(segmentation.parts).or_default() += 1;
        if let Some(prices) = &self.prices {
            self.bill.note(prices, row.destination.digits(), segmentation.sms.into());
        }
        let encoding = &mut self.encodings[usize::from(segmentation.encoding.stored())];
        encoding.messages += 1;
        encoding.parts += u64::from(segmentation.parts);
        encoding.sample.get_or_insert_with(|| (row.text.to_owned(), segmentation.forced_by));
        if segmentation.forced_by.is_some() {
            self.note_forcing(row);
            self.note_savings(row);
        }
        let sender = row.source.unwrap_or_default();
        if sender.is_empty() {
            self.default_sender += 1;
        } else if let Some(messages) = self.senders.get_mut(sender) {
            *messages += 1;
        } else if self.senders.len() < SENDERS_MAX {
            self.senders.insert(sender.to_owned(), 1);
        } else {
            self.other_senders += 1;
        }
        let size = (segmentation.sms, segmentation.units);
        if self.longest.as_ref().is_none_or(|longest| size > (longest.sms, longest.units)) {
            let ((sms, units), parts) = (size, segmentation.parts);
            self.longest = Some(Longest { line: row.line, parts, sms, units, encoding: segmentation.encoding });
        }
    }

    fn note_forcing(&mut self, row: &Row<'_>) {
        self.forcing.clear();
        self.forcing.extend(text::forcing_characters(row.text, row.alphabet));
        self.forcing.sort_unstable();
        self.forcing.dedup();
        for &character in &self.forcing {
            if self.forced.len() < CHARACTERS_MAX || self.forced.contains_key(&character) {
                *self.forced.entry(character).or_default() += 1;
            }
        }
    }

    /// What would become of a text that is UCS2, if characters were replaced.
    fn note_savings(&mut self, row: &Row<'_>) {
        for (saving, level) in self.savings.iter_mut().zip([Transliterate::Punctuation, Transliterate::All]) {
            if !transliterate::to_gsm(row.text, level, row.alphabet, ShiftTables::Off, &mut self.transliterated) {
                continue;
            }
            let policy = Policy { alphabet: row.alphabet, concat: row.concat, ..Policy::default() };
            let Ok(made) = text::segment(&self.transliterated, policy) else { continue };
            let parts = u64::from(row.segmentation.parts.saturating_sub(made.parts));
            let sms = u64::from(row.segmentation.sms.saturating_sub(made.sms));
            saving.messages += 1;
            saving.parts += parts;
            saving.sms += sms;
            if let Some(prices) = &self.prices {
                saving.amount = saving.amount.plus(prices.of(row.destination.digits()).amount.times(sms));
            }
            for character in text::forcing_characters(row.text, row.alphabet) {
                let known = saving.characters.len();
                let Some(lines) = (match saving.characters.get_mut(&character) {
                    Some(lines) => Some(lines),
                    None if known < CHARACTERS_MAX => Some(saving.characters.entry(character).or_default()),
                    None => None,
                }) else {
                    continue;
                };
                if lines.last() != Some(&row.line) && lines.len() < CHARACTER_LINES {
                    lines.push(row.line);
                }
            }
        }
    }

    fn note_rejected(&mut self, rejected: &Rejected<'_>) {
        let mut reason = (rejected.reason.code(), rejected.reason.to_string());
        if self.rejected.len() >= REASONS_MAX && !self.rejected.contains_key(&reason) {
            reason.1 = "other reasons of this kind: import the file, and `report --rejected-rows` tells them".into();
        }
        self.rejected.entry(reason).or_default().note(rejected.line);
    }
}

/// The highest counts first, equal ones in their own order.
fn busiest<T: Ord + Copy>(counts: impl Iterator<Item = (T, u64)>) -> Vec<(T, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|(a, many_a), (b, many_b)| many_b.cmp(many_a).then(a.cmp(b)));
    counts
}
