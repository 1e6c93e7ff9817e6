//! The test messages of `probe --send-to`: a few, each sent at most once unless it was throttled, to find out what an
//! SMSC does with them. They are no campaign and in no journal; a record of their own has each before it is on the wire,
//! and all that came.

mod exchange;
mod findings;
pub mod measuring;

use crate::client::Dialogue;
use crate::journal::model::id_spelling::{bare, in_other_radix};
use crate::message::address::{Destination, Sender};
use crate::message::text::{Encoder, Encoding, Reference, TextError};
use crate::policy::pacer::Rate;
use crate::wire::values::registered_delivery;
use crate::wire::{Address, CommandStatus, EncodeError, Pdu, ReceiptKind, Sm, Tag, TlvBuilder};
use exchange::{Exchange, Halt};
use measuring::{RateFound, Window};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub use findings::Parts;

/// Letters whose GSM 03.38 codes are other characters in ASCII and Latin-1, all of which can be seen; the `@`, which is
/// NUL in GSM 03.38, stands where it can cost nothing but the end.
pub const GSM_TEXT: &str =
    "smppost test 1: \u{a1}\u{e4}\u{f6}\u{f1}\u{fc} \u{c4}\u{d6}\u{d1}\u{dc}\u{a7}\u{bf} 5\u{20ac} @ end";
/// Cyrillic, Chinese, and a character outside the BMP.
pub const UCS2_TEXT: &str = "smppost test 2: \u{436} \u{4e2d} \u{1f44b} 5\u{20ac} end";

/// A text in two parts.
pub fn long_text() -> String {
    let words = "this is one message in two parts, and should arrive as one; ".repeat(3);
    format!("smppost test 3: {}end", words.get(..160).unwrap_or(&words))
}

/// What to send, and how.
#[derive(Debug)]
pub struct Trial<'a> {
    /// To whom.
    pub destination: Destination<'a>,
    /// From whom.
    pub source: Sender<'a>,
    /// So many more short ones, at most, to measure with.
    pub measured: usize,
    /// No more in a second.
    pub rate: Rate,
    /// Requests outstanding, at most.
    pub window: usize,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How long to wait for receipts after the last answer or receipt.
    pub wait_receipts: Duration,
    /// Whether receipts can come.
    pub receives: bool,
}

/// A request of the trial and what came of it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it tests: 1 the alphabet, 2 UCS2, 3 and 4 the parts of a long one, 5 and more the rate.
    pub number: usize,
    octets: Vec<u8>,
    reference: u16,
    written_at: Option<Instant>,
    sequence_number: u32,
    /// With which it was refused before it was sent again: it was one of the first four, and the SMSC found them too fast.
    pub throttled: Vec<CommandStatus>,
    /// After how long its answer came.
    pub answer: Option<(Duration, CommandStatus)>,
    /// The id that it was answered with.
    pub message_id: Vec<u8>,
    /// Its receipts.
    pub receipts: Vec<Receipted>,
}

/// A receipt, by what tells dialects apart.
#[derive(Clone, Debug)]
pub struct Receipted {
    /// After the answer, or before it: nothing.
    pub after: Option<Duration>,
    /// It came as a data_sm.
    pub as_data_sm: bool,
    /// Its esm_class.
    pub esm_class: u8,
    /// What the esm_class calls it.
    pub kind: ReceiptKind,
    /// Its id.
    pub id: Vec<u8>,
    /// The rule by which its id is the answer's.
    pub rule: Option<IdRule>,
    /// The id was in the TLV receipted_message_id, in the text.
    pub id_in: (bool, bool),
    /// The id in the text, where the TLV has another; empty: none.
    pub text_id: Vec<u8>,
    /// It is by the id in the text that it was found, not by the TLV's.
    pub by_text: bool,
    /// The state was in the TLV message_state, in the text.
    pub state_in: (bool, bool),
    /// The user_message_reference came back.
    pub echoed: bool,
    /// Its text.
    pub text: Vec<u8>,
}

/// How two spellings of an id are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum IdRule {
    /// Octet by octet.
    Exact,
    /// But for upper and lower case.
    Case,
    /// But for leading zeros, spaces or `0x`.
    Padding,
    /// One is hexadecimal, the other decimal.
    Radix,
}

impl IdRule {
    /// The rule by which two ids are the same; `None`: they are not.
    pub fn of(answer: &[u8], receipt: &[u8]) -> Option<Self> {
        if answer == receipt {
            return Some(Self::Exact);
        }
        if answer.eq_ignore_ascii_case(receipt) {
            return Some(Self::Case);
        }
        let (one, other) = (bare(answer), bare(receipt));
        if one.is_empty() || other.is_empty() {
            return None;
        }
        if one.eq_ignore_ascii_case(other) {
            return Some(Self::Padding);
        }
        let spelt = in_other_radix(answer);
        let same = spelt.iter().flatten().any(|spelling| spelling.as_bytes().eq_ignore_ascii_case(other));
        same.then_some(Self::Radix)
    }
}

/// What ids look like, each form once. Of hexadecimal ids some have no letter: they are called so as the others of their length.
pub fn forms_of<'i>(ids: impl Iterator<Item = &'i [u8]> + Clone) -> BTreeSet<String> {
    let is_hex = |id: &&[u8]| id.iter().all(u8::is_ascii_hexdigit) && id.iter().any(u8::is_ascii_alphabetic);
    let hex: Vec<&[u8]> = ids.clone().filter(is_hex).collect();
    let case_of = |length: usize| hex.iter().find(|id| id.len() == length).map(|id| case(id));
    ids.map(|id| form_of(id, case_of(id.len()))).collect()
}

fn case(id: &[u8]) -> &'static str {
    if id.iter().any(u8::is_ascii_uppercase) { "upper" } else { "lower" }
}

/// What an id looks like; `hex_case`: of those of its length, some are hexadecimal.
fn form_of(id: &[u8], hex_case: Option<&str>) -> String {
    let is_decimal = id.iter().all(u8::is_ascii_digit);
    let length = id.len();
    let zeros = if id.first() == Some(&b'0') && length > 1 { ", leading zeros" } else { "" };
    let is_uuid = length == 36 && id.split(|octet| *octet == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12]);
    match hex_case {
        _ if id.is_empty() => "none".into(),
        _ if is_uuid => "UUID".into(),
        None if is_decimal => format!("{length} digits{zeros}"),
        Some(upper) if is_decimal => format!("hexadecimal, {length} digits, {upper} case{zeros}"),
        _ if id.iter().all(u8::is_ascii_hexdigit) => {
            format!("hexadecimal, {length} digits, {} case{zeros}", case(id))
        }
        _ => format!("text of {length} characters"),
    }
}

/// What came of a trial.
#[derive(Debug, Default)]
pub struct Findings {
    /// Request by request.
    pub sent: Vec<Sent>,
    /// The most that were outstanding at a time.
    pub outstanding_most: usize,
    /// How many may be outstanding.
    pub window: Window,
    /// How fast they may follow.
    pub rate: RateFound,
    /// Those that had no answer when others that were sent later had theirs; they may have been sent.
    pub unanswered: usize,
    /// Receipts and messages that belong to none of the requests.
    pub foreign: usize,
    /// Why it ended early.
    pub broken: Option<String>,
}

/// Sends the messages of a trial over `out`, and takes receipts from there or from `inward`. `references`: requests carry a
/// user_message_reference. `say` has what is done. The sessions' record has each before it is written.
pub fn run(
    trial: &Trial<'_>,
    out: &mut Dialogue,
    inward: Option<&mut Dialogue>,
    references: bool,
    stop: &dyn Fn() -> bool,
    say: &dyn Fn(&str),
) -> Findings {
    let mut findings = Findings::default();
    match requests(trial, references) {
        Ok(sent) => findings.sent = sent,
        Err(why) => {
            findings.broken = Some(why.to_string());
            return findings;
        }
    }
    let mut exchange = Exchange::new(trial, out, inward, &mut findings, stop, say);
    let outcome = exchange.tests().and_then(|()| exchange.measure()).or_else(|halt| match halt {
        // The next message would fare the same; what is sent may have receipts.
        Halt::Condemned => Ok(()),
        halt => Err(halt),
    });
    let outcome = outcome.and_then(|()| exchange.last_receipts());
    findings.broken = outcome.err().and_then(Halt::words);
    findings
}

/// Why the test messages cannot be made.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("{0}")]
    Text(#[from] TextError),
    #[error("{0}")]
    Encode(#[from] EncodeError),
}

/// The requests, but for their sequence numbers.
fn requests(trial: &Trial<'_>, references: bool) -> Result<Vec<Sent>, RequestError> {
    let mut texts = vec![
        (GSM_TEXT.to_owned(), Encoding::Gsm7),
        (UCS2_TEXT.to_owned(), Encoding::Ucs2),
        (long_text(), Encoding::Gsm7),
    ];
    texts.extend((1..=trial.measured).map(|n| (format!("smppost rate {n} of {}", trial.measured), Encoding::Gsm7)));
    let mut sent = Vec::new();
    let (ton, npi) = trial.source.ton_npi();
    for (text, encoding) in texts {
        let mut encoder = Encoder::new(&text, encoding, Reference::Bits8(fastrand::u8(..)))?;
        let mut short_message = Vec::new();
        while let Some(header) = encoder.next_into(&mut short_message) {
            let reference = fastrand::u16(..);
            let mut tlvs = TlvBuilder::new();
            if references {
                tlvs.u16(Tag::USER_MESSAGE_REFERENCE, reference);
            }
            let sm = Sm {
                source: Address::new(ton, npi, trial.source.text.as_bytes()),
                destination: Address::new(
                    crate::message::address::TON_INTERNATIONAL,
                    crate::message::address::NPI_ISDN,
                    trial.destination.digits().as_bytes(),
                ),
                esm_class: header.esm_class,
                registered_delivery: registered_delivery::ALWAYS,
                data_coding: header.data_coding,
                short_message: &short_message,
                tlvs: tlvs.tlvs(),
                ..Sm::default()
            };
            let mut octets = Vec::new();
            crate::wire::encode(&Pdu::SubmitSm(sm), 0, CommandStatus::OK, &mut octets)?;
            sent.push(Sent {
                number: sent.len() + 1,
                octets,
                reference,
                written_at: None,
                sequence_number: 0,
                throttled: Vec::new(),
                answer: None,
                message_id: Vec::new(),
                receipts: Vec::new(),
            });
            short_message.clear();
        }
    }
    Ok(sent)
}

impl Sent {
    /// Whether the SMSC took it.
    pub fn was_taken(&self) -> bool {
        self.answer.is_some_and(|(_, status)| status == CommandStatus::OK)
    }

    /// Whether it was written.
    pub fn was_written(&self) -> bool {
        self.written_at.is_some()
    }
}

impl Receipted {
    fn is_last(&self) -> bool {
        self.kind != ReceiptKind::Intermediate
    }
}

#[cfg(test)]
mod tests {
    use super::exchange::by_either;
    use super::*;
    use crate::message::text::{Choice, DefaultAlphabet, Policy, decode, segment};

    #[test]
    fn f33_ids_and_how_they_are_the_same() {
        for (answer, receipt, rule) in [
            ("b8be19", "b8be19", Some(IdRule::Exact)),
            ("b8be19", "B8BE19", Some(IdRule::Case)),
            ("b8be19", "00B8BE19", Some(IdRule::Padding)),
            ("b8be19", "12107289", Some(IdRule::Radix)),
            ("12107289", "00b8be19", Some(IdRule::Radix)),
            ("1", "2", None),
            ("", "", Some(IdRule::Exact)),
            ("", "0", None),
        ] {
            assert_eq!(IdRule::of(answer.as_bytes(), receipt.as_bytes()), rule, "{answer} {receipt}");
        }
        for (answer, id, text_id, expected) in [
            ("550e-84", "550e84", "550e-84", (Some(IdRule::Exact), true)),
            ("550e-84", "550e-84", "", (Some(IdRule::Exact), false)),
            ("b8", "184", "b8", (Some(IdRule::Exact), true)),
            ("b8", "B8", "184", (Some(IdRule::Case), false)),
            ("b8", "x", "y", (None, false)),
            ("", "x", "", (None, false)),
        ] {
            let found = by_either(answer.as_bytes(), id.as_bytes(), text_id.as_bytes());
            assert_eq!(found, expected, "{answer} {id} {text_id}");
        }
        for (id, form) in [
            ("0012", "4 digits, leading zeros"),
            ("b8be19", "hexadecimal, 6 digits, lower case"),
            ("550e8400-e29b-41d4-a716-446655440000", "UUID"),
            ("msg-1", "text of 5 characters"),
        ] {
            assert_eq!(forms_of(std::iter::once(id.as_bytes())), [form.to_owned()].into());
        }
        for (ids, forms) in [
            (["72699183", "7269918b"], &["hexadecimal, 8 digits, lower case"][..]),
            (["7269918B", "72699183"], &["hexadecimal, 8 digits, upper case"]),
            (["726991830", "7269918b"], &["9 digits", "hexadecimal, 8 digits, lower case"]),
            (["", "1"], &["1 digits", "none"]),
        ] {
            let expected: BTreeSet<String> = forms.iter().map(|&form| form.to_owned()).collect();
            assert_eq!(forms_of(ids.iter().map(|id| id.as_bytes())), expected);
        }
    }

    #[test]
    fn the_texts_tell_alphabets_apart() {
        let gsm = Policy { choice: Choice::Gsm7, ..Policy::default() };
        assert_eq!(segment(GSM_TEXT, gsm).unwrap().parts, 1);
        assert_eq!(segment(UCS2_TEXT, Policy::default()).unwrap().parts, 1);
        assert_eq!(segment(&long_text(), gsm).unwrap().parts, 2);
        let mut octets = Vec::new();
        Encoder::new(GSM_TEXT, Encoding::Gsm7, Reference::Whole).unwrap().next_into(&mut octets);
        let read = |alphabet| decode(0, &octets, alphabet);
        assert_eq!(read(DefaultAlphabet::Gsm7), GSM_TEXT);
        assert!(read(DefaultAlphabet::Latin1).contains("@{|}~ [\\]^_`"));
        assert!(!read(DefaultAlphabet::Gsm7Packed).starts_with("smppost"));
    }
}
