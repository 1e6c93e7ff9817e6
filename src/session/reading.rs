//! What an account's receipts mean where its SMSC does not keep to the specification.

use crate::wire::{MessageState, Receipt};
use std::str::FromStr;

/// How receipts are read. By default as SMPP has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptReading {
    /// The SMSC's own delivery codes, which mean what they say where a number stands as stat, and its own words.
    pub codes: ReceiptCodes,
    /// They apply to the TLV message_state too.
    pub codes_in_state: bool,
    /// ACCEPTED (ACCEPTD) is the last that this SMSC says of a message that arrived: it counts as DELIVERED. Defaults to
    /// not: the receipt is still outstanding.
    pub accepted_is_final: bool,
}

impl ReceiptReading {
    /// The state that a receipt tells, and whether nothing more is to come; `None`: it tells none.
    pub fn state(&self, receipt: &Receipt<'_>) -> Option<(MessageState, bool)> {
        let own = |code| self.codes.get(code).or_else(|| MessageState::from_code(code));
        let in_state = |code| if self.codes_in_state { own(code) } else { MessageState::from_code(code) };
        let word = receipt.stat_word.as_deref().and_then(|word| self.codes.word(word));
        let said = receipt.tlv_state.and_then(in_state).filter(|state| *state != MessageState::Unknown);
        let (state, is_final) = match (word, said) {
            (Some(state), None) => (state, !receipt.is_intermediate() && state.is_final(self.accepted_is_final)),
            _ => {
                let state = receipt.state_with(in_state, own)?;
                (state, receipt.is_final(state, self.accepted_is_final))
            }
        };
        Some((if is_final { last(state) } else { state }, is_final))
    }
}

/// What a final state comes to. ACCEPTED is final only where the operator said so: somebody took the message on behalf of
/// its recipient, and nothing more is told of it.
pub fn last(state: MessageState) -> MessageState {
    if state == MessageState::Accepted { MessageState::Delivered } else { state }
}

/// A table of delivery codes and words: `0=ENROUTE,1=UNDELIVERABLE,2=DELIVERED,BLACKLST=REJECTED`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptCodes {
    numbers: Vec<(u8, MessageState)>,
    words: Vec<(String, MessageState)>,
}

impl ReceiptCodes {
    /// The meaning of a code.
    pub fn get(&self, code: u8) -> Option<MessageState> {
        self.numbers.iter().find(|(each, _)| *each == code).map(|&(_, state)| state)
    }

    /// The meaning of a word, in any case.
    pub fn word(&self, word: &[u8]) -> Option<MessageState> {
        self.words.iter().find(|(each, _)| each.as_bytes().eq_ignore_ascii_case(word)).map(|&(_, state)| state)
    }
}

impl FromStr for ReceiptCodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut codes = Self::default();
        for entry in text.split(',') {
            let (code, name) =
                entry.split_once('=').ok_or_else(|| format!("{entry:?}: write CODE=STATE, as in 2=DELIVERED"))?;
            let code = code.trim();
            let number: Option<u8> = code.parse().ok();
            let is_word = code.starts_with(|c: char| c.is_ascii_alphabetic())
                && code.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet));
            if number.is_none() && !is_word {
                return Err(format!("{code:?} is neither a code of 0 to 255 nor a word"));
            }
            let name = name.trim().to_ascii_uppercase();
            let states = (0..=u8::MAX).map_while(MessageState::from_code).chain([MessageState::Failed]);
            let state =
                states.clone().find(|state| state.name() == name || state.receipt_word() == name).ok_or_else(|| {
                    let names: Vec<&str> = states.map(MessageState::name).collect();
                    format!("{name:?} is no state; there are {}", names.join(", "))
                })?;
            let is_known = number.map_or_else(|| codes.word(code.as_bytes()), |number| codes.get(number)).is_some();
            if is_known {
                return Err(format!("code {code} is there twice"));
            }
            match number {
                Some(number) => codes.numbers.push((number, state)),
                None => codes.words.push((code.to_owned(), state)),
            }
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
        assert_eq!(read(&last, "id:7 stat:ACCEPTD", &[]), Some((MessageState::Delivered, true)));
        assert_eq!(read(&last, "id:7 stat:UNDELIV", &[]), Some((MessageState::Undeliverable, true)));
    }

    #[test]
    fn f36_words_of_the_provider() {
        use MessageState::{Delivered, Enroute, Failed, Rejected, Undeliverable, Unknown};
        let codes: ReceiptCodes = "BLACKLST=failed,no_route=REJECTD,UNKNOWN=ENROUTE,2=DELIVERED".parse().unwrap();
        let own = ReceiptReading { codes, ..ReceiptReading::default() };
        let state_five = [0x04, 0x27, 0, 1, 5];
        let state_seven = [0x04, 0x27, 0, 1, 7];
        for (text, tlvs, expected) in [
            ("id:7 stat:BLACKLST err:099", &[][..], (Failed, true)),
            ("id:7 stat:blacklst err:099", &[], (Failed, true)),
            ("id:7 stat:NO_ROUTE err:099", &[], (Rejected, true)),
            ("id:7 stat:UNKNOWN err:000", &[], (Enroute, false)),
            ("id:7 stat:ABSENT err:000", &[], (Unknown, false)),
            ("id:7 stat:DELIVRD err:000", &[], (Delivered, true)),
            ("id:7 stat:2 err:000", &[], (Delivered, true)),
            ("id:7 stat:BLACKLST", &state_five, (Undeliverable, true)),
            ("id:7 stat:BLACKLST", &state_seven, (Failed, true)),
        ] {
            assert_eq!(read(&own, text, tlvs), Some(expected), "{text}");
        }
    }

    #[test]
    fn f15_tables_that_are_none() {
        for text in [
            "",
            "2",
            "=DELIVERED",
            "a b=DELIVERED",
            "256=DELIVERED",
            "2=SENT",
            "2=DELIVERED,2=FAILED",
            "X=FAILED,x=FAILED",
        ] {
            assert!(text.parse::<ReceiptCodes>().is_err(), "{text}");
        }
    }
}
