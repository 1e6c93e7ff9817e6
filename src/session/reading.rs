//! What an account's receipts mean where its SMSC does not keep to the specification.

use crate::wire::{MessageState, Receipt};
use std::str::FromStr;

/// How receipts are read. By default as SMPP has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptReading {
    /// The SMSC's own delivery codes, which mean what they say where a number stands as stat.
    pub codes: ReceiptCodes,
    /// They apply to the TLV message_state too.
    pub codes_in_state: bool,
    /// ACCEPTED (ACCEPTD) ends the matter. Defaults to not.
    pub accepted_is_final: bool,
}

impl ReceiptReading {
    /// The state that a receipt tells, and whether nothing more is to come; `None`: it tells none.
    pub fn state(&self, receipt: &Receipt<'_>) -> Option<(MessageState, bool)> {
        let own = |code| self.codes.get(code).or_else(|| MessageState::from_code(code));
        let in_state = |code| if self.codes_in_state { own(code) } else { MessageState::from_code(code) };
        let state = receipt.state_with(in_state, own)?;
        Some((state, receipt.is_final(state, self.accepted_is_final)))
    }
}

/// A table of delivery codes: `0=ENROUTE,1=UNDELIVERABLE,2=DELIVERED`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptCodes(Vec<(u8, MessageState)>);

impl ReceiptCodes {
    /// The meaning of a code.
    pub fn get(&self, code: u8) -> Option<MessageState> {
        self.0.iter().find(|(each, _)| *each == code).map(|&(_, state)| state)
    }
}

impl FromStr for ReceiptCodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut codes = Self::default();
        for entry in text.split(',') {
            let (code, name) =
                entry.split_once('=').ok_or_else(|| format!("{entry:?}: write CODE=STATE, as in 2=DELIVERED"))?;
            let code: u8 = code.trim().parse().map_err(|_| format!("{code:?} is not a code of 0 to 255"))?;
            let name = name.trim().to_ascii_uppercase();
            let states = (0..=u8::MAX).map_while(MessageState::from_code).chain([MessageState::Failed]);
            let state =
                states.clone().find(|state| state.name() == name || state.receipt_word() == name).ok_or_else(|| {
                    let names: Vec<&str> = states.map(MessageState::name).collect();
                    format!("{name:?} is no state; there are {}", names.join(", "))
                })?;
            if codes.get(code).is_some() {
                return Err(format!("code {code} is there twice"));
            }
            codes.0.push((code, state));
        }
        Ok(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Tlvs;

    fn read(reading: &ReceiptReading, text: &str, tlvs: &[u8]) -> Option<(MessageState, bool)> {
        reading.state(&Receipt::of(4, text.as_bytes(), Tlvs(tlvs)).unwrap())
    }

    #[test]
    fn f36_codes_of_the_provider_where_it_puts_them() {
        use MessageState::{Delivered, Enroute, Undeliverable};
        let codes: ReceiptCodes = "0=ENROUTE,1=undeliv, 2=DELIVERED,5=UNDELIVERABLE".parse().unwrap();
        let plain = ReceiptReading::default();
        let own = ReceiptReading { codes: codes.clone(), ..ReceiptReading::default() };
        let both = ReceiptReading { codes, codes_in_state: true, ..ReceiptReading::default() };
        let state_one = [0x04, 0x27, 0, 1, 1];
        for (reading, text, tlvs, expected) in [
            (&plain, "id:7 stat:1 err:000", &[][..], (Enroute, false)),
            (&own, "id:7 stat:1 err:000", &[], (Undeliverable, true)),
            (&own, "id:7 stat:0 err:000", &[], (Enroute, false)),
            (&own, "id:7 stat:2 err:000", &[], (Delivered, true)),
            (&own, "id:7 stat:DELIVRD err:000", &[], (Delivered, true)),
            (&own, "id:7 stat:3 err:000", &[], (MessageState::Expired, true)),
            (&own, "id:7", &state_one, (Enroute, false)),
            (&both, "id:7", &state_one, (Undeliverable, true)),
        ] {
            assert_eq!(read(reading, text, tlvs), Some(expected), "{text}");
        }
    }

    #[test]
    fn whether_accepted_is_final_is_a_setting() {
        let plain = ReceiptReading::default();
        let last = ReceiptReading { accepted_is_final: true, ..ReceiptReading::default() };
        assert_eq!(read(&plain, "id:7 stat:ACCEPTD", &[]), Some((MessageState::Accepted, false)));
        assert_eq!(read(&last, "id:7 stat:ACCEPTD", &[]), Some((MessageState::Accepted, true)));
    }

    #[test]
    fn f15_tables_that_are_none() {
        for text in ["", "2", "x=DELIVERED", "256=DELIVERED", "2=SENT", "2=DELIVERED,2=FAILED"] {
            assert!(text.parse::<ReceiptCodes>().is_err(), "{text}");
        }
    }
}
