//! Octets as texts. rusmpp encodes texts and does not decode them: its own encoder, turned round.

use crate::Anything;
use rusmpp::extra::encoding::gsm7bit::Gsm7BitUnpacked;
use std::collections::HashMap;

pub struct Texts(HashMap<Vec<u8>, char>);

impl Texts {
    pub fn new() -> Self {
        let encoder = Gsm7BitUnpacked::new();
        let all = ('\0'..='\u{FFFF}').filter_map(|c| Some((encoder.encode_to_vec(&c.to_string()).ok()?, c)));
        Self(all.collect())
    }

    pub fn read(&self, data_coding: u8, octets: &[u8]) -> Anything<String> {
        if data_coding == 8 {
            let units: Vec<u16> = octets.chunks(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
            return Ok(String::from_utf16(&units)?);
        }
        let mut text = String::new();
        let mut rest = octets;
        while let Some(&first) = rest.first() {
            let (octets, more) = rest.split_at(if first == 0x1B { 2.min(rest.len()) } else { 1 });
            text.push(*self.0.get(octets).ok_or("an octet that is no character")?);
            rest = more;
        }
        Ok(text)
    }
}
