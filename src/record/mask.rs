//! What of a PDU is nobody else's business, covered by asterisks of the same length, so that it can still be decoded.
//!
//! Passwords are covered always. Texts (short_message, message_payload) and numbers are unless they are asked for. Of a
//! receipt's text, what is labelled as id, counts, dates, stat and err stays; a UDH stays; senders of letters stay.

use crate::wire::udh;
use crate::wire::values::esm_class;
use crate::wire::{CommandId, HEADER_OCTETS, Pdu, Receipt, Tag, decode, decode_header};
use std::ops::Range;

const COVER: u8 = b'*';
/// Runs of so many digits in a TLV are taken for numbers. Ids of templates and the like have more.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// What a receipt's text may say.
const KEPT_LABELS: [&[u8]; 11] =
    [b"id", b"sub", b"dlvrd", b"date", b"submit", b"done", b"stat", b"err", b"submit_date", b"done_date", b"msgid"];
const TEXT_LABELS: [&[u8]; 3] = [b"text", b"txt", b"message"];

/// Covers what is to be covered of a whole PDU.
pub fn mask(frame: &mut [u8], keeps_texts: bool) {
    let Some(header) = decode_header(frame) else { return frame.fill(COVER) };
    let is_receipt = is_receipt(frame);
    let mut walk = Walk { frame, at: HEADER_OCTETS, keeps_texts, esm_class: 0, data_coding: 0, is_receipt };
    let w = &mut walk;
    match header.command_id {
        CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
            w.string();
            w.password();
            w.string();
            w.skip(1);
            w.address();
        }
        CommandId::OUTBIND => {
            w.string();
            w.password();
        }
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            w.string();
            w.address();
            w.address();
            w.rest_of_sm();
        }
        CommandId::SUBMIT_MULTI => {
            w.string();
            w.address();
            for _ in 0..w.octet() {
                match w.octet() {
                    2 => drop(w.string()),
                    _ => w.address(),
                }
            }
            w.rest_of_sm();
        }
        CommandId::DATA_SM => {
            w.string();
            w.address();
            w.address();
            w.esm_class = w.octet();
            w.skip(1);
            w.data_coding = w.octet();
            w.tlvs();
        }
        CommandId::QUERY_SM => {
            w.string();
            w.address();
        }
        CommandId::CANCEL_SM => {
            w.string();
            w.string();
            w.address();
            w.address();
        }
        CommandId::REPLACE_SM => {
            w.string();
            w.address();
            w.string();
            w.string();
            w.skip(2);
            w.short_message();
            w.tlvs();
        }
        CommandId::ALERT_NOTIFICATION => {
            w.address();
            w.address();
            w.tlvs();
        }
        CommandId::QUERY_SM_RESP => {
            w.string();
            w.string();
            w.skip(2);
            w.tlvs();
        }
        CommandId::SUBMIT_MULTI_RESP => {
            w.string();
            for _ in 0..w.octet() {
                w.address();
                w.skip(4);
            }
            w.tlvs();
        }
        CommandId::SUBMIT_SM_RESP
        | CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => {
            w.string();
            w.tlvs();
        }
        // Nothing is known of what it holds.
        _ if !keeps_texts => w.frame[HEADER_OCTETS..].fill(COVER),
        _ => {}
    }
}

fn is_receipt(frame: &[u8]) -> bool {
    match decode(frame) {
        Ok((_, Pdu::DeliverSm(sm))) => Receipt::of(sm.esm_class, sm.text(), sm.tlvs).is_some(),
        Ok((_, Pdu::DataSm(data))) => Receipt::of(data.esm_class, data.text(), data.tlvs).is_some(),
        _ => false,
    }
}

/// Walks through the fields of a frame.
struct Walk<'a> {
    frame: &'a mut [u8],
    at: usize,
    keeps_texts: bool,
    esm_class: u8,
    data_coding: u8,
    is_receipt: bool,
}

impl Walk<'_> {
    fn octet(&mut self) -> u8 {
        let octet = self.frame.get(self.at).copied().unwrap_or(0);
        self.skip(1);
        octet
    }

    fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.frame.len());
    }

    /// The octets of a string, without its NUL.
    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        let rest = &self.frame[start..];
        let length = rest.iter().position(|&octet| octet == 0).unwrap_or(rest.len());
        self.skip(length + 1);
        start..start + length
    }

    fn password(&mut self) {
        let password = self.string();
        self.frame[password].fill(COVER);
    }

    /// TON, NPI and number.
    fn address(&mut self) {
        self.skip(2);
        let address = self.string();
        let address = &mut self.frame[address];
        let digits = address.iter().filter(|octet| octet.is_ascii_digit()).count();
        let is_name = address.iter().any(u8::is_ascii_alphabetic) && digits < 5;
        if !self.keeps_texts && !is_name {
            address.fill(COVER);
        }
    }

    fn rest_of_sm(&mut self) {
        self.esm_class = self.octet();
        self.skip(2);
        self.string();
        self.string();
        self.skip(2);
        self.data_coding = self.octet();
        self.skip(1);
        self.short_message();
        self.tlvs();
    }

    fn short_message(&mut self) {
        let length = usize::from(self.octet());
        let start = self.at;
        self.skip(length);
        self.text(start..self.at);
    }

    fn text(&mut self, text: Range<usize>) {
        if self.keeps_texts {
            return;
        }
        let mut text = &mut self.frame[text];
        if esm_class::has_udh(self.esm_class) {
            let header = udh::split(text).map_or(0, |(header, _)| 1 + header.len());
            text = &mut text[header..];
        }
        // UCS2: 00xx, of which the first octet has to stay 00 for it to be a character.
        let is_wide = self.data_coding & 0xCC == 0x08 || self.data_coding & 0xF0 == 0xE0;
        if self.is_receipt {
            let is_wide = text.len() > 1 && text.iter().step_by(2).all(|&octet| octet == 0);
            cover_receipt(text, if is_wide { 2 } else { 1 });
        } else if is_wide {
            text.chunks_mut(2).for_each(|pair| pair.copy_from_slice(&[0, COVER][2 - pair.len()..]));
        } else {
            text.fill(COVER);
        }
    }

    fn tlvs(&mut self) {
        while let Some(head) = self.frame.get(self.at..).and_then(<[u8]>::first_chunk::<4>) {
            let tag = Tag(u16::from_be_bytes([head[0], head[1]]));
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            self.skip(4);
            let start = self.at;
            self.skip(length);
            let value = start..self.at;
            if tag == Tag::MESSAGE_PAYLOAD {
                self.text(value);
            } else if !self.keeps_texts {
                let value = &mut self.frame[value];
                match tag {
                    Tag::RECEIPTED_MESSAGE_ID => {}
                    Tag::CALLBACK_NUM => cover_from(value, 3),
                    Tag::CALLBACK_NUM_ATAG | Tag::SOURCE_SUBADDRESS | Tag::DEST_SUBADDRESS => cover_from(value, 1),
                    _ => cover_numbers(value),
                }
            }
        }
        // What is left is no TLV.
        if !self.keeps_texts {
            let at = self.at;
            self.frame[at..].fill(COVER);
        }
    }
}

fn cover_from(octets: &mut [u8], start: usize) {
    octets.iter_mut().skip(start).for_each(|octet| *octet = COVER);
}

fn cover_numbers(octets: &mut [u8]) {
    for run in octets.split_mut(|octet| !octet.is_ascii_digit()) {
        if NUMBER_DIGITS.contains(&run.len()) {
            run.fill(COVER);
        }
    }
}

/// Covers of a receipt's text what is not labelled as one of its facts. `width` is 2 for UCS2.
fn cover_receipt(text: &mut [u8], width: usize) {
    let letters: Vec<u8> = text.chunks(width).map(|unit| unit.last().copied().unwrap_or(0)).collect();
    let mut covers = vec![false; letters.len()];
    let (mut at, mut keeps) = (0, false);
    while at < letters.len() {
        let end = letters[at..].iter().position(|letter| is_space(*letter)).map_or(letters.len(), |length| at + length);
        let word = &letters[at..end];
        let label = word.iter().position(|letter| matches!(letter, b':' | b'='));
        let label =
            label.filter(|&length| word[..length].iter().all(|&letter| letter.is_ascii_alphabetic() || letter == b'_'));
        let is_one_of = |labels: &[&[u8]], word: &[u8]| labels.iter().any(|label| label.eq_ignore_ascii_case(word));
        let mut value = at;
        match label {
            Some(length) if is_one_of(&TEXT_LABELS, &word[..length]) => {
                covers[at + length + 1..].fill(true);
                break;
            }
            Some(length) => {
                keeps = is_one_of(&KEPT_LABELS, &word[..length]);
                value = at + length + 1;
            }
            None if is_one_of(&[b"submit" as &[u8], b"done"], word) => value = end,
            None => {}
        }
        covers[value..end].fill(!keeps);
        at = end + letters[end..].iter().take_while(|letter| is_space(**letter)).count();
    }
    for (unit, _) in text.chunks_mut(width).zip(covers).filter(|(_, covers)| *covers) {
        if let Some(octet) = unit.last_mut() {
            *octet = COVER;
        }
    }
}

fn is_space(letter: u8) -> bool {
    letter.is_ascii_whitespace() || matches!(letter, b',' | b';')
}

#[cfg(test)]
mod tests;
