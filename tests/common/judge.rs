//! Judges every PDU that a client sends, session by session. Pure: neither sockets nor clocks.
//!
//! It shares no code with the crate: `rusmpp-core` decodes and encodes, the rules are written down here a second time.

use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::borrowed::{Pdu, SubmitSm};
use rusmpp_core::tlvs::borrowed::TlvValue;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

mod rules;

pub use rules::{Part, Rules, Seen, Submit};

/// Optional parameters of one PDU, at most.
const TLVS_MAX: usize = 32;
/// Octets of one PDU, at most.
pub const COMMAND_LENGTH_MAX: u32 = 70_000;

/// A long message: source, destination, reference, total.
type MessageKey = (String, String, u16, u8);

/// A request of the SMSC that waits for its answer.
#[derive(Clone, Debug)]
struct Asked {
    command_id: u32,
    at: Instant,
    reported: bool,
}

/// One session's judge.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    started: Instant,
    session: usize,
    pdus: usize,
    submits: usize,
    bind_command: Option<u32>,
    bind_answered: Option<u32>,
    outstanding: HashMap<u32, (u32, Instant)>,
    last_submit: u32,
    asked: BTreeMap<u32, Asked>,
    answered_before: HashMap<u32, u32>,
    unbound: bool,
    unbind_answered: bool,
    refuses_to_go_on: bool,
    parts: HashMap<MessageKey, Vec<(u8, u32)>>,
    pub outstanding_max: usize,
    pub violations: Vec<String>,
}

impl Judge {
    pub fn new(rules: Rules, session: usize) -> Self {
        Self {
            rules,
            started: Instant::now(),
            session,
            pdus: 0,
            submits: 0,
            bind_command: None,
            bind_answered: None,
            outstanding: HashMap::new(),
            last_submit: 0,
            asked: BTreeMap::new(),
            answered_before: HashMap::new(),
            unbound: false,
            unbind_answered: false,
            refuses_to_go_on: false,
            parts: HashMap::new(),
            outstanding_max: 0,
            violations: Vec::new(),
        }
    }

    fn wrong(&mut self, words: impl Into<String>) {
        let words = format!("session {}, PDU {}: {}", self.session, self.pdus, words.into());
        self.violations.push(words);
    }

    /// When the connection came.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether the session is bound and the client knows it.
    pub fn is_bound(&self) -> bool {
        self.bind_answered == Some(0) && !self.unbound
    }

    /// Whether the client has unbound, or answered an unbind.
    pub fn is_unbound(&self) -> bool {
        self.unbound
    }

    /// Looks for the next frame. `Err`: a stream that cannot be framed.
    pub fn frame_length(&mut self, octets: &[u8]) -> Result<Option<usize>, ()> {
        let Some(length) = octets.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if !(16..=COMMAND_LENGTH_MAX).contains(&length) {
            self.pdus += 1;
            self.wrong(format!("command_length {length}"));
            return Err(());
        }
        Ok((octets.len() >= length as usize).then_some(length as usize))
    }

    /// Judges one whole frame.
    pub fn pdu(&mut self, frame: &[u8], now: Instant) -> Seen {
        self.pdus += 1;
        let field = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let (id, status, sequence_number) = (field(4), field(8), field(12));
        let decoded = Command::<TLVS_MAX>::decode(&frame[4..], frame.len() - 4);
        let command = match decoded {
            Ok((command, size)) => {
                if size != frame.len() - 4 {
                    self.wrong(format!("{:?}: {} octets after its end", command.id(), frame.len() - 4 - size));
                } else {
                    let mut again = vec![0; command.length()];
                    let written = command.encode(&mut again);
                    if again[..written] != frame[4..] {
                        self.wrong(format!("{:?} encodes to other octets than it came in", command.id()));
                    }
                }
                Some(command)
            }
            Err(error) => {
                if !(self.rules.long_password && matches!(id, 1 | 2 | 9)) {
                    self.wrong(format!("command 0x{id:08X} is not decoded: {error:?}"));
                }
                None
            }
        };
        let is_request = id & 0x8000_0000 == 0;
        if is_request {
            self.request(id, status, sequence_number, now);
        } else if self.unbind_answered {
            self.wrong("an answer after the unbind was answered");
        }
        match (id, command.as_ref().and_then(|command| command.pdu())) {
            (1 | 2 | 9, _) => self.bind(id, sequence_number, frame),
            (4, Some(Pdu::SubmitSm(sm))) => {
                let submit = self.submit(sm, sequence_number, frame, now);
                Seen::Submit(Box::new(submit))
            }
            (0x15, _) => Seen::EnquireLink(sequence_number),
            (6, _) => {
                if self.unbound {
                    self.wrong("a second unbind");
                }
                self.unbound = true;
                let late: Vec<u32> = self
                    .asked
                    .iter()
                    .filter(|(_, asked)| asked.command_id != 6 && now.duration_since(asked.at) > Duration::from_secs(1))
                    .map(|(number, _)| *number)
                    .collect();
                if !late.is_empty() {
                    self.wrong(format!("unbound without having answered {late:?}"));
                }
                Seen::Unbind(sequence_number)
            }
            (0x8000_0000, _) => Seen::Nack(status, sequence_number),
            _ if !is_request => {
                self.answer(id, status, sequence_number, frame);
                Seen::Answer(id, status, sequence_number)
            }
            _ => {
                if !matches!(id, 3 | 7 | 8 | 0x103) {
                    self.wrong(format!("a request that no client sends: 0x{id:08X}"));
                }
                Seen::Unknown(id, sequence_number)
            }
        }
    }

    fn request(&mut self, id: u32, status: u32, sequence_number: u32, now: Instant) {
        if !(1..=0x7FFF_FFFF).contains(&sequence_number) {
            self.wrong(format!("sequence number 0x{sequence_number:08X}"));
        }
        if status != 0 {
            self.wrong(format!("a request with command_status 0x{status:X}"));
        }
        let is_bind = matches!(id, 1 | 2 | 9);
        if is_bind != (self.bind_command.is_none()) {
            self.wrong(if is_bind { "a second bind" } else { "a request before the bind" });
        } else if !is_bind && self.bind_answered.is_none() {
            self.wrong("a request before the answer to the bind");
        } else if !is_bind && self.bind_answered != Some(0) {
            self.wrong("a request although the bind was refused");
        }
        if self.unbound {
            self.wrong(format!("request 0x{id:X} after the unbind"));
        }
        if self.refuses_to_go_on {
            self.wrong(format!("request 0x{id:X} after a generic_nack for the stream"));
        }
        if let Some((other, _)) = self.outstanding.insert(sequence_number, (id, now)) {
            self.wrong(format!("sequence number {sequence_number} is outstanding already (for 0x{other:X})"));
        }
        if id == 4 {
            let patience = self.rules.response_timeout.map(|timeout| timeout / 2);
            let counted = self
                .outstanding
                .values()
                .filter(|(id, at)| *id == 4 && patience.is_none_or(|patience| now.duration_since(*at) < patience));
            let count = counted.count();
            self.outstanding_max = self.outstanding_max.max(count);
            if count > self.rules.window {
                self.wrong(format!("{count} submit_sm outstanding with a window of {}", self.rules.window));
            }
        }
    }

    /// The fields of a bind are read by hand: a password may be longer than the decoder allows.
    fn bind(&mut self, command_id: u32, sequence_number: u32, frame: &[u8]) -> Seen {
        if self.bind_command.is_none() {
            self.bind_command = Some(command_id);
        }
        let mut fields = frame[16..].splitn(4, |octet| *octet == 0);
        let mut text = || String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
        let (system_id, password, system_type) = (text(), text(), text());
        let rest = fields.next().unwrap_or_default();
        if system_id.len() > 15 || system_type.len() > 12 || password.len() > 64 {
            self.wrong("a field of the bind over its limit");
        }
        let version = rest.first().copied().unwrap_or_default();
        if !matches!(version, 0x33 | 0x34 | 0x50) {
            self.wrong(format!("interface_version 0x{version:02X}"));
        }
        if version == 0x33 && command_id == 9 {
            self.wrong("bind_transceiver with SMPP 3.3");
        }
        if rest.get(1..) != Some(&[0, 0, 0]) {
            self.wrong("the end of the bind is not three NULs");
        }
        if self.rules.system_id.as_ref().is_some_and(|expected| *expected != system_id) {
            self.wrong(format!("system_id {system_id:?}"));
        }
        if self.rules.password.as_ref().is_some_and(|expected| *expected != password) {
            self.wrong("another password than expected");
        }
        Seen::Bind { command_id, sequence_number, system_id, password, version }
    }

    fn submit(&mut self, sm: &SubmitSm<'_, TLVS_MAX>, sequence_number: u32, pdu: &[u8], now: Instant) -> Submit {
        self.submits += 1;
        if sequence_number <= self.last_submit {
            self.wrong(format!("submit_sm number {sequence_number} after {}", self.last_submit));
        }
        self.last_submit = sequence_number;
        if self.bind_command == Some(1) {
            self.wrong("submit_sm on a receiver session");
        }
        let source = sm.source_addr.as_str().to_owned();
        let destination = sm.destination_addr.as_str().to_owned();
        let (source_ton, source_npi) = (u8::from(sm.source_addr_ton), u8::from(sm.source_addr_npi));
        let (destination_ton, destination_npi) = (u8::from(sm.dest_addr_ton), u8::from(sm.dest_addr_npi));
        let esm_class = u8::from(sm.esm_class);
        let registered_delivery = u8::from(sm.registered_delivery);
        let data_coding = u8::from(sm.data_coding);
        let tags: Vec<u16> = sm.tlvs().iter().map(|tlv| u16::from(tlv.tag())).collect();
        let payload = sm.tlvs().iter().find_map(|tlv| match tlv.value() {
            Some(TlvValue::MessagePayload(payload)) => Some(payload.value.bytes().to_vec()),
            _ => None,
        });
        let body = sm.short_message().bytes();
        if payload.is_some() && !body.is_empty() {
            self.wrong("message_payload beside a short_message");
        }
        if usize::from(sm.sm_length()) != body.len() || body.len() > 254 {
            self.wrong(format!("sm_length {} for {} octets", sm.sm_length(), body.len()));
        }
        let is_payload = payload.is_some();
        let body = payload.unwrap_or_else(|| body.to_vec());
        if !self.rules.free_fields {
            self.addresses(&source, source_ton, source_npi, destination_ton, destination_npi);
            let service_type = !sm.service_type.value().is_empty();
            let dull = [
                ("service_type", service_type),
                ("esm_class", esm_class & !0x40 != 0),
                ("protocol_id", sm.protocol_id != 0),
                ("priority_flag", u8::from(sm.priority_flag) > 3),
                ("registered_delivery", !matches!(registered_delivery, 0..=2)),
                ("replace_if_present_flag", u8::from(sm.replace_if_present_flag) != 0),
                ("sm_default_msg_id", sm.sm_default_msg_id != 0),
                ("data_coding", !matches!(data_coding, 0 | 8)),
            ];
            for (field, _) in dull.into_iter().filter(|(_, is_odd)| *is_odd) {
                self.wrong(format!("an odd {field}"));
            }
        }
        if !(4..=16).contains(&destination.len()) || !destination.bytes().all(|octet| octet.is_ascii_digit()) {
            self.wrong(format!("destination {destination:?}"));
        }
        for time in [&sm.schedule_delivery_time, &sm.validity_period] {
            if !(time.is_empty() || is_time(time.as_str())) {
                self.wrong(format!("time {:?}", time.as_str()));
            }
        }
        let (part, octets) = self.header(esm_class, &tags, &body);
        if !is_payload {
            self.length(data_coding, body.len(), octets.len(), part.is_some());
        }
        let text = self.text(data_coding, &octets, part.is_some());
        if let Some(part) = part {
            self.part(&source, &destination, part, sequence_number);
        }
        Submit {
            at: now,
            session: self.session,
            nth: 0,
            nth_of_session: self.submits,
            sequence_number,
            source,
            source_ton,
            source_npi,
            destination,
            destination_ton,
            destination_npi,
            esm_class,
            registered_delivery,
            data_coding,
            octets,
            text,
            part,
            tags,
            pdu: pdu.to_vec(),
            status: None,
            message_id: None,
        }
    }

    fn addresses(&mut self, source: &str, source_ton: u8, source_npi: u8, ton: u8, npi: u8) {
        let is_number = source.bytes().all(|octet| octet.is_ascii_digit());
        let right = match source {
            "" => (source_ton, source_npi) == (0, 0),
            _ if is_number => matches!((source_ton, source_npi), (1, 1) | (3, 0)) && source.len() <= 15,
            _ => (source_ton, source_npi) == (5, 0) && source.len() <= 11,
        };
        if !right {
            self.wrong(format!("source {source:?} with TON {source_ton}, NPI {source_npi}"));
        }
        if ton > 1 || npi > 1 {
            self.wrong(format!("destination with TON {ton}, NPI {npi}"));
        }
    }

    /// Takes a text apart into its user data header and its octets.
    fn header(&mut self, esm_class: u8, tags: &[u16], body: &[u8]) -> (Option<Part>, Vec<u8>) {
        let has_sar = tags.iter().any(|tag| matches!(tag, 0x20C | 0x20E | 0x20F));
        if esm_class & 0x40 == 0 {
            let looks_like_header = match body {
                [5, 0, 3, _, total, number, ..] | [6, 8, 4, _, _, total, number, ..] => {
                    (1..=*total).contains(number) && *total > 1
                }
                _ => false,
            };
            if looks_like_header {
                self.wrong("a user data header without its bit in esm_class");
            }
            return (None, body.to_vec());
        }
        if has_sar {
            self.wrong("a user data header and SAR parameters together");
        }
        let (part, rest) = match body {
            [5, 0, 3, reference, total, number, rest @ ..] => {
                (Part { reference: u16::from(*reference), total: *total, number: *number }, rest)
            }
            [6, 8, 4, high, low, total, number, rest @ ..] => {
                (Part { reference: u16::from_be_bytes([*high, *low]), total: *total, number: *number }, rest)
            }
            _ => {
                self.wrong("esm_class announces a user data header that is not there");
                return (None, body.to_vec());
            }
        };
        if part.total < 2 || !(1..=part.total).contains(&part.number) {
            self.wrong(format!("part {} of {}", part.number, part.total));
        }
        (Some(part), rest.to_vec())
    }

    fn length(&mut self, data_coding: u8, whole: usize, text: usize, is_part: bool) {
        let most = match (data_coding & 0x0C == 0x08, data_coding & 0x04 != 0, is_part) {
            (false, false, false) => 160,
            // The header takes 6 or 7 octets of 140, which are 7 or 8 of 160 septets.
            (false, false, true) => 160 - if whole - text == 6 { 7 } else { 8 },
            (_, _, false) => 140,
            (_, _, true) => 140 - (whole - text),
        };
        if text > most {
            self.wrong(format!("{text} octets of text, where {most} have room"));
        }
    }

    fn text(&mut self, data_coding: u8, octets: &[u8], is_part: bool) -> String {
        match data_coding {
            0 => match decode_gsm(octets) {
                Ok(text) => text,
                Err(error) => {
                    self.wrong(format!("text: {error}"));
                    String::new()
                }
            },
            8 => {
                if !octets.len().is_multiple_of(2) {
                    self.wrong("UCS2 with an odd number of octets");
                }
                let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                let text: Result<String, _> = char::decode_utf16(units).collect();
                text.unwrap_or_else(|_| {
                    self.wrong(if is_part { "a part ends inside a character" } else { "half a surrogate pair" });
                    String::new()
                })
            }
            _ => String::from_utf8_lossy(octets).into_owned(),
        }
    }

    fn part(&mut self, source: &str, destination: &str, part: Part, sequence_number: u32) {
        let key = (source.to_owned(), destination.to_owned(), part.reference, part.total);
        let before = self.parts.entry(key).or_default();
        before.push((part.number, sequence_number));
        let seen = |number: u8| before.iter().filter(|(other, _)| *other == number).count();
        let misses_earlier = part.number > 1 && seen(part.number - 1) == 0;
        if misses_earlier && !self.rules.torn_messages {
            self.wrong(format!(
                "part {} of {} to {destination} before part {}",
                part.number,
                part.total,
                part.number - 1
            ));
        }
    }

    fn answer(&mut self, id: u32, status: u32, sequence_number: u32, frame: &[u8]) {
        let Some(asked) = self.asked.remove(&sequence_number) else {
            let twice = self.answered_before.contains_key(&sequence_number);
            self.wrong(format!(
                "0x{id:08X} answers number {sequence_number}, which {}",
                if twice { "was answered before" } else { "was never asked" }
            ));
            return;
        };
        self.answered_before.insert(sequence_number, id);
        if id != asked.command_id | 0x8000_0000 {
            self.wrong(format!("0x{id:08X} answers 0x{:X} ({sequence_number})", asked.command_id));
        }
        match id {
            0x8000_0005 | 0x8000_0103 if frame.len() < 17 => {
                self.wrong("an answer to an inbound message without its message_id field");
            }
            0x8000_0005 if frame[16] != 0 => self.wrong("deliver_sm_resp with a message_id"),
            0x8000_0006 => {
                self.unbound = true;
                self.unbind_answered = true;
            }
            _ => {}
        }
        if status != 0 && matches!(id, 0x8000_0006 | 0x8000_0015) {
            self.wrong(format!("0x{id:08X} with status 0x{status:X}"));
        }
    }

    /// The bind is about to be answered.
    pub fn bind_answered(&mut self, sequence_number: u32, status: u32) {
        self.outstanding.remove(&sequence_number);
        self.bind_answered = Some(status);
    }

    /// An answer is about to be written.
    pub fn answered(&mut self, sequence_number: u32) {
        self.outstanding.remove(&sequence_number);
    }

    /// A request of the SMSC is about to be written.
    pub fn asked(&mut self, command_id: u32, sequence_number: u32, now: Instant) {
        self.answered_before.remove(&sequence_number);
        self.asked.insert(sequence_number, Asked { command_id, at: now, reported: false });
    }

    /// The SMSC sends what cannot be read: the client has to end the session.
    pub fn junk_was_sent(&mut self) {
        // What was asked before may stay without an answer.
        for asked in self.asked.values_mut() {
            asked.reported = true;
        }
    }

    /// The client said that it cannot read the stream.
    pub fn client_gave_up(&mut self) {
        self.refuses_to_go_on = true;
    }

    /// Whether a request of the SMSC is still unanswered.
    pub fn is_asked(&self, sequence_number: u32) -> bool {
        self.asked.contains_key(&sequence_number)
    }

    /// Looks at the timers.
    pub fn tick(&mut self, now: Instant) {
        let rules = &self.rules;
        let late: Vec<(u32, u32)> = self
            .asked
            .iter_mut()
            .filter(|(_, asked)| !asked.reported)
            .filter(|(_, asked)| {
                let within = if asked.command_id == 0x15 { rules.enquire_within } else { rules.deliver_within };
                now.duration_since(asked.at) > within
            })
            .map(|(number, asked)| {
                asked.reported = true;
                (*number, asked.command_id)
            })
            .collect();
        for (number, id) in late {
            self.wrong(format!("0x{id:X} ({number}) is not answered in time"));
        }
    }

    /// The connection has ended, with so many octets of an unfinished PDU. `cut`: by this SMSC.
    pub fn ended(&mut self, unfinished: usize, cut: bool) {
        if cut || self.rules.client_may_die {
            return;
        }
        if unfinished > 0 {
            self.wrong(format!("the connection ends {unfinished} octets into a PDU"));
        }
        if self.rules.torn_messages {
            return;
        }
        let torn: Vec<String> = self
            .parts
            .iter()
            .filter(|((_, _, _, total), parts)| (1..=*total).any(|number| !parts.iter().any(|(n, _)| *n == number)))
            .map(|((_, destination, _, total), parts)| format!("{} of {total} to {destination}", parts.len()))
            .collect();
        if !torn.is_empty() {
            self.wrong(format!("long messages without all their parts: {torn:?}"));
        }
    }
}

/// `YYMMDDhhmmsstnnp` or `YYMMDDhhmmss000R`.
fn is_time(text: &str) -> bool {
    text.len() == 16 && text[..15].bytes().all(|octet| octet.is_ascii_digit()) && text.ends_with(['+', '-', 'R'])
}

/// 3GPP TS 23.038, 6.2.1: the default alphabet, one septet an octet. 0x1B stands for the escape.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                   ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

pub fn decode_gsm(octets: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let mut octets = octets.iter();
    while let Some(&octet) = octets.next() {
        if octet != 0x1B {
            let c = GSM.chars().nth(usize::from(octet)).ok_or(format!("octet 0x{octet:02X} is no septet"))?;
            text.push(c);
            continue;
        }
        text.push(match octets.next() {
            Some(0x0A) => '\u{c}',
            Some(0x14) => '^',
            Some(0x28) => '{',
            Some(0x29) => '}',
            Some(0x2F) => '\\',
            Some(0x3C) => '[',
            Some(0x3D) => '~',
            Some(0x3E) => ']',
            Some(0x40) => '|',
            Some(0x65) => '€',
            Some(other) => return Err(format!("escaped 0x{other:02X} is nothing")),
            None => return Err("it ends with an escape".into()),
        });
    }
    Ok(text)
}
