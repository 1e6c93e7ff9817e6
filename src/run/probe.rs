//! The test messages of `probe --send-to`: a few, each sent at most once, to find out what an SMSC does with them. They
//! are no campaign and in no journal; a record of their own has each before it is on the wire, and all that came.

mod findings;

use crate::client::Dialogue;
use crate::journal::model::id_spelling::{bare, in_other_radix};
use crate::message::address::{Destination, Sender};
use crate::message::text::{Encoder, Encoding, Reference};
use crate::policy::pacer::Pacer;
use crate::wire::values::registered_delivery;
use crate::wire::{
    Address, CommandId, CommandStatus, Pdu, Receipt, ReceiptKind, Sm, StatusClass, Tag, TlvBuilder, Tlvs, decode,
    decode_header, decode_message_id,
};
use std::time::{Duration, Instant};

pub use findings::{Pace, Parts};

/// Letters whose GSM 03.38 codes are other characters in ASCII and Latin-1, all of which can be seen; the `@`, which is
/// NUL in GSM 03.38, stands where it can cost nothing but the end.
pub const GSM_TEXT: &str =
    "smppost test 1: \u{a1}\u{e4}\u{f6}\u{f1}\u{fc} \u{c4}\u{d6}\u{d1}\u{dc}\u{a7}\u{bf} 5\u{20ac} @ end";
/// Cyrillic, Chinese, and a character outside the BMP.
pub const UCS2_TEXT: &str = "smppost test 2: \u{436} \u{4e2d} \u{1f44b} 5\u{20ac} end";
/// How long answers are awaited after an interrupt.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How often both sessions of a pair are looked at.
const LOOK: Duration = Duration::from_millis(50);

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
    /// So many more short ones, to measure with.
    pub measured: usize,
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
    /// But for leading zeros, blanks or `0x`.
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

/// What an id looks like.
pub fn form_of(id: &[u8]) -> String {
    let digits = |id: &[u8]| !id.is_empty() && id.iter().all(u8::is_ascii_digit);
    let hex = |id: &[u8]| !id.is_empty() && id.iter().all(u8::is_ascii_hexdigit);
    let length = id.len();
    let zeros = if id.first() == Some(&b'0') && length > 1 { ", leading zeros" } else { "" };
    let is_uuid = length == 36 && id.split(|octet| *octet == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12]);
    match id {
        b"" => "none".into(),
        _ if is_uuid => "UUID".into(),
        id if digits(id) => format!("{length} digits{zeros}"),
        id if hex(id) => {
            let upper = if id.iter().any(u8::is_ascii_uppercase) { "upper" } else { "lower" };
            format!("hexadecimal, {length} digits, {upper} case{zeros}")
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
    /// Receipts and messages that belong to none of the requests.
    pub foreign: usize,
    /// Receipts of which no answer had told the id yet.
    early: Vec<Receipted>,
    /// Why it ended early.
    pub broken: Option<String>,
}

/// Sends the messages of a trial over `out`, and takes receipts from there or from `inward`. `references`: requests carry a
/// user_message_reference. The sessions' record has each before it is written.
pub fn run(
    trial: &Trial<'_>,
    out: &mut Dialogue,
    inward: Option<&mut Dialogue>,
    pacer: &Pacer,
    references: bool,
    stop: &dyn Fn() -> bool,
) -> Findings {
    let mut findings = Findings::default();
    match requests(trial, references) {
        Ok(sent) => findings.sent = sent,
        Err(why) => findings.broken = Some(why),
    }
    if findings.broken.is_none() {
        let outcome = exchange(trial, out, inward, pacer, &mut findings, stop);
        findings.broken = outcome.err();
    }
    findings
}

/// The requests, but for their sequence numbers.
fn requests(trial: &Trial<'_>, references: bool) -> Result<Vec<Sent>, String> {
    let mut texts = vec![
        (GSM_TEXT.to_owned(), Encoding::Gsm7),
        (UCS2_TEXT.to_owned(), Encoding::Ucs2),
        (long_text(), Encoding::Gsm7),
    ];
    texts.extend((1..=trial.measured).map(|n| (format!("smppost rate {n} of {}", trial.measured), Encoding::Gsm7)));
    let mut sent = Vec::new();
    let (ton, npi) = trial.source.ton_npi();
    for (text, encoding) in texts {
        let mut encoder =
            Encoder::new(&text, encoding, Reference::Bits8(fastrand::u8(..))).map_err(|e| e.to_string())?;
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
            crate::wire::encode(&Pdu::SubmitSm(sm), 0, CommandStatus::OK, &mut octets).map_err(|e| e.to_string())?;
            sent.push(Sent {
                number: sent.len() + 1,
                octets,
                reference,
                written_at: None,
                sequence_number: 0,
                answer: None,
                message_id: Vec::new(),
                receipts: Vec::new(),
            });
            short_message.clear();
        }
    }
    Ok(sent)
}

fn exchange(
    trial: &Trial<'_>,
    out: &mut Dialogue,
    mut inward: Option<&mut Dialogue>,
    pacer: &Pacer,
    findings: &mut Findings,
    stop: &dyn Fn() -> bool,
) -> Result<(), String> {
    let mut next = 0;
    let mut news = Instant::now();
    // Throttled once, it is known; more would only be in the way of others of the account. What condemns the account or
    // its settings condemns the next message, too.
    let mut enough = false;
    let mut stopped: Option<Instant> = None;
    loop {
        let outstanding = outstanding(&findings.sent);
        if stop() {
            // What is sent is answered as a rule within a moment; its receipts may take long.
            enough = true;
            let since = *stopped.get_or_insert_with(Instant::now);
            if outstanding == 0 || since.elapsed() >= LAST_ANSWERS {
                return Err("interrupted".into());
            }
        }
        findings.outstanding_most = findings.outstanding_most.max(outstanding);
        let all_sent = next == findings.sent.len() || enough;
        if !all_sent && outstanding < trial.window && pacer.take(1) == 1 {
            let sent = &mut findings.sent[next];
            sent.sequence_number = out.number();
            crate::wire::patch_sequence_number(&mut sent.octets, sent.sequence_number);
            out.write(&sent.octets)?;
            let now = Instant::now();
            (sent.written_at, news, next) = (Some(now), now, next + 1);
            continue;
        }
        let is_late = |sent: &Sent| {
            sent.answer.is_none() && sent.written_at.is_some_and(|at| at.elapsed() >= trial.response_timeout)
        };
        if findings.sent.iter().any(is_late) {
            return Err("a message was not answered within the response timeout; it may have been sent".into());
        }
        if all_sent && outstanding == 0 {
            let waits = |sent: &Sent| sent.was_taken() && !sent.receipts.iter().any(Receipted::is_last);
            if !trial.receives || !findings.sent.iter().any(waits) || news.elapsed() >= trial.wait_receipts {
                return Ok(());
            }
        }
        let wait = if all_sent || outstanding >= trial.window { LOOK } else { pacer.ready_in(1).min(LOOK) };
        let deadline = Instant::now() + wait.max(Duration::from_millis(1));
        while let Some(frame) = out.receive(deadline)? {
            news = Instant::now();
            let took = take(&frame, findings);
            enough |= took == Took::LastAnswer;
            out.acknowledge(&frame, took.status())?;
        }
        if let Some(inward) = inward.as_deref_mut() {
            while let Some(frame) = inward.receive(Instant::now() + Duration::from_millis(1))? {
                news = Instant::now();
                let took = take(&frame, findings);
                inward.acknowledge(&frame, took.status())?;
            }
        }
    }
}

fn outstanding(sent: &[Sent]) -> usize {
    sent.iter().filter(|sent| sent.written_at.is_some() && sent.answer.is_none()).count()
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

/// What a PDU was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Took {
    /// Part of the trial.
    Own,
    /// An answer after which nothing more is to be sent.
    LastAnswer,
    /// None of it: perhaps the receipt of a campaign's message.
    Foreign,
}

impl Took {
    /// How a message is answered. What is not the trial's is to come again, when a journal is there to keep it.
    fn status(self) -> CommandStatus {
        if self == Self::Foreign { CommandStatus::RECEIVER_TEMPORARY } else { CommandStatus::OK }
    }
}

/// Notes what came.
fn take(frame: &[u8], findings: &mut Findings) -> Took {
    let Some(header) = decode_header(frame) else { return Took::Foreign };
    match header.command_id {
        CommandId::SUBMIT_SM_RESP | CommandId::GENERIC_NACK => {
            let found = findings.sent.iter_mut().find(|sent| {
                sent.written_at.is_some() && sent.answer.is_none() && sent.sequence_number == header.sequence_number
            });
            let Some(sent) = found else { return Took::Foreign };
            let waited = sent.written_at.map(|at| at.elapsed()).unwrap_or_default();
            sent.answer = Some((waited, header.command_status));
            sent.message_id = decode_message_id(frame).to_vec();
            let named = |receipt: &mut Receipted| {
                (receipt.rule, receipt.by_text) = by_either(&sent.message_id, &receipt.id, &receipt.text_id);
                receipt.rule.is_some()
            };
            let early: Vec<Receipted> = findings.early.extract_if(.., named).collect();
            findings.foreign -= early.len();
            sent.receipts.extend(early);
            match header.command_status.class() {
                StatusClass::Throttled | StatusClass::Session | StatusClass::Account => Took::LastAnswer,
                _ => Took::Own,
            }
        }
        CommandId::DELIVER_SM | CommandId::DATA_SM => {
            if take_receipt(frame, header.command_id == CommandId::DATA_SM, findings) {
                Took::Own
            } else {
                Took::Foreign
            }
        }
        _ => Took::Foreign,
    }
}

/// The rule by which one of a receipt's ids is the answer's, and whether it is only the one in the text.
fn by_either(answer: &[u8], id: &[u8], text_id: &[u8]) -> (Option<IdRule>, bool) {
    if answer.is_empty() {
        return (None, false);
    }
    let (rule, by_text) = (IdRule::of(answer, id), IdRule::of(answer, text_id).filter(|_| !text_id.is_empty()));
    match (rule, by_text) {
        (Some(rule), None) => (Some(rule), false),
        (Some(rule), Some(text)) if rule <= text => (Some(rule), false),
        (_, text) => (text, text.is_some()),
    }
}

/// Notes a receipt; false: it is of no message of the trial, as far as is known.
fn take_receipt(frame: &[u8], as_data_sm: bool, findings: &mut Findings) -> bool {
    let (receipt, esm_class, text, tlvs): (Option<Receipt<'_>>, u8, &[u8], Tlvs<'_>) = match decode(frame) {
        Ok((_, Pdu::DeliverSm(sm))) => (sm.receipt(), sm.esm_class, sm.text(), sm.tlvs),
        Ok((_, Pdu::DataSm(sm))) => (sm.receipt(), sm.esm_class, sm.text(), sm.tlvs),
        _ => return false,
    };
    let Some(receipt) = receipt else {
        findings.foreign += 1;
        return false;
    };
    let id = receipt.id().unwrap_or_default().to_vec();
    let reference = tlvs.get_u16(Tag::USER_MESSAGE_REFERENCE);
    let text_id = receipt.text_id.as_deref().filter(|text_id| *text_id != id).unwrap_or_default().to_vec();
    let best = findings
        .sent
        .iter_mut()
        .filter_map(|sent| {
            let (rule, by_text) = by_either(&sent.message_id, &id, &text_id);
            let echoed = reference == Some(sent.reference);
            (rule.is_some() || echoed).then_some((rule, by_text, echoed, sent))
        })
        .min_by_key(|(rule, by_text, ..)| (rule.unwrap_or(IdRule::Radix), *by_text));
    let mut told = Receipted {
        after: None,
        as_data_sm,
        esm_class,
        kind: receipt.kind,
        rule: None,
        id_in: (receipt.tlv_id.is_some(), receipt.text_id.is_some()),
        state_in: (receipt.tlv_state.is_some(), receipt.stat.is_some()),
        echoed: false,
        text: text.to_vec(),
        by_text: false,
        id,
        text_id,
    };
    let Some((rule, by_text, echoed, sent)) = best else {
        findings.foreign += 1;
        findings.early.push(told);
        return false;
    };
    let answered = sent.written_at.zip(sent.answer).map(|(at, (waited, _))| at + waited);
    (told.after, told.rule, told.echoed) = (answered.map(|at| at.elapsed()), rule, echoed);
    told.by_text = by_text;
    sent.receipts.push(told);
    true
}

#[cfg(test)]
mod tests {
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
            assert_eq!(form_of(id.as_bytes()), form);
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
