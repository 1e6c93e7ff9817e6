//! What an account's receipts mean where its SMSC does not keep to the specification.

use crate::wire::{MessageState, Receipt, Stat};
use crate::words::{BadValue, bad};
use std::str::FromStr;

/// How receipts are read. By default as SMPP has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptReading {
    /// The SMSC's own delivery codes, which mean what they say where a number stands as stat, and its own words.
    pub codes: ReceiptCodes,
    /// They apply to the TLV message_state too. Where not, they do for the codes that SMPP does not have.
    pub codes_in_state: bool,
    /// ACCEPTED (ACCEPTD) is the last that this SMSC says of a message that arrived: it counts as DELIVERED. Defaults to
    /// not: the receipt is still outstanding.
    pub accepted_is_final: bool,
    /// Which of the TLV message_state and the text's `stat` holds where they differ.
    pub state_from: StateFrom,
}

/// Where a receipt's state is taken from, if the TLV message_state and the text's `stat` both tell one. One that says
/// UNKNOWN gives way to the other in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateFrom {
    /// The TLV: it is written by a program for a program.
    #[default]
    Tlv,
    /// The text, for SMSCs that send one and the same TLV with everything.
    Text,
}

/// The state that a receipt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptState {
    /// The state; UNKNOWN stands for codes and words that mean nothing to us, too.
    pub state: MessageState,
    /// Whether nothing more is to come.
    pub is_final: bool,
    /// What the other of TLV and text says, where that is something else.
    pub other: Option<MessageState>,
}

impl ReceiptReading {
    /// The state that a receipt tells; `None`: it tells none.
    pub fn state_of(&self, receipt: &Receipt<'_>) -> Option<ReceiptState> {
        let own = |code| self.codes.get(code).or_else(|| MessageState::from_code(code));
        let by_tlv = receipt.tlv_state.and_then(|code| self.message_state(code));
        let own_word = receipt.stat_word.as_deref().and_then(|word| self.codes.word(word));
        let by_text = own_word.or_else(|| match receipt.stat {
            Some(Stat::State(state)) => Some(state),
            Some(Stat::Code(code)) => own(code),
            Some(Stat::Other(_)) | None => None,
        });
        let (first, second) = match self.state_from {
            StateFrom::Tlv => (by_tlv, by_text),
            StateFrom::Text => (by_text, by_tlv),
        };
        let state = match (first, second) {
            (Some(MessageState::Unknown) | None, Some(second)) => second,
            (Some(first), _) => first,
            (None, None) if receipt.tlv_state.is_some() || receipt.stat.is_some() => MessageState::Unknown,
            (None, None) => return None,
        };
        // A word or code that means nothing to us may well mean "not yet".
        let is_guessed = state == MessageState::Unknown
            && (receipt.tlv_state.is_some() && by_tlv.is_none() || receipt.stat.is_some() && by_text.is_none());
        let is_final = !receipt.is_intermediate() && !is_guessed && state.is_final(self.accepted_is_final);
        let lasting = |state| if is_final { last(state) } else { state };
        let other = match (by_tlv.map(lasting), by_text.map(lasting)) {
            (Some(tlv), Some(text)) if is_other(tlv, text) => Some(if lasting(state) == tlv { text } else { tlv }),
            _ => None,
        };
        Some(ReceiptState { state: lasting(state), is_final, other })
    }

    /// The meaning of a code in the TLV message_state; `None`: neither SMPP nor the operator says.
    pub fn message_state(&self, code: u8) -> Option<MessageState> {
        let (own, specified) = (self.codes.get(code), MessageState::from_code(code));
        if self.codes_in_state { own.or(specified) } else { specified.or(own) }
    }
}

/// Whether two states contradict each other. FAILED is in texts what has a code of its own in a TLV.
fn is_other(one: MessageState, two: MessageState) -> bool {
    let is_failure = |state: MessageState| state.is_final(false) && !matches!(state, MessageState::Delivered);
    let one_of_them_failed = one == MessageState::Failed || two == MessageState::Failed;
    one != two && !(one_of_them_failed && is_failure(one) && is_failure(two))
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
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut codes = Self::default();
        for entry in text.split(',') {
            let (code, name) =
                entry.split_once('=').ok_or_else(|| bad!("{entry:?}: write CODE=STATE, as in 2=DELIVERED"))?;
            let code = code.trim();
            let number: Option<u8> = code.parse().ok();
            let is_word = code.starts_with(|c: char| c.is_ascii_alphabetic())
                && code.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet));
            if number.is_none() && !is_word {
                return Err(bad!("{code:?} is neither a code of 0 to 255 nor a word"));
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
                return Err(bad!("code {code} is there twice"));
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
        let told = reading.state_of(&Receipt::of(4, text.as_bytes(), Tlvs(tlvs)).unwrap());
        told.map(|told| (told.state, told.is_final))
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
    fn numbers_that_mean_nothing_to_us_leave_the_message_open() {
        use MessageState::{Delivered, Enroute, Expired, Failed, Undeliverable, Unknown};
        let plain = ReceiptReading::default();
        let own = ReceiptReading { codes: "10=EXPIRED,50=ENROUTE,2=FAILED".parse().unwrap(), ..Default::default() };
        for (tlv, stat, expected, by_own) in [
            (Some(10), "10", (Unknown, false), (Expired, true)),
            (Some(0x32), "50", (Unknown, false), (Enroute, false)),
            (Some(10), "", (Unknown, false), (Expired, true)),
            (None, "10", (Unknown, false), (Expired, true)),
            (None, "010", (Unknown, false), (Expired, true)),
            (None, "255", (Unknown, false), (Unknown, false)),
            (None, "256", (Unknown, false), (Unknown, false)),
            (Some(255), "BLACKLST", (Unknown, false), (Unknown, false)),
            (Some(255), "UNKNOWN", (Unknown, false), (Unknown, false)),
            // The other of the two says it.
            (Some(99), "DELIVRD", (Delivered, true), (Delivered, true)),
            (Some(99), "UNDELIV", (Undeliverable, true), (Undeliverable, true)),
            (Some(2), "99", (Delivered, true), (Delivered, true)),
            (Some(7), "DELIVRD", (Delivered, true), (Delivered, true)),
            (Some(7), "99", (Unknown, false), (Unknown, false)),
            (Some(5), "UNKNOWN", (Undeliverable, true), (Undeliverable, true)),
            // What SMPP says of a code stands, unless the table is said to hold for the TLV as well.
            (Some(2), "", (Delivered, true), (Delivered, true)),
            (None, "2", (Delivered, true), (Failed, true)),
            // UNKNOWN in so many words is final, as in SMPP.
            (Some(7), "", (Unknown, true), (Unknown, true)),
            (None, "UNKNOWN", (Unknown, true), (Unknown, true)),
        ] {
            let text = if stat.is_empty() { "id:7".to_owned() } else { format!("id:7 stat:{stat} err:000") };
            let tlvs = tlv.map_or_else(Vec::new, |code| vec![0x04, 0x27, 0, 1, code]);
            assert_eq!(read(&plain, &text, &tlvs), Some(expected), "{tlv:?} {stat}");
            assert_eq!(read(&own, &text, &tlvs), Some(by_own), "{tlv:?} {stat}, by a table");
        }
        assert_eq!(read(&plain, "id:7", &[]), None);
    }

    #[test]
    fn which_of_tlv_and_text_wins_is_a_setting_and_what_the_other_says_is_told() {
        use MessageState::{Accepted, Delivered, Enroute, Rejected, Undeliverable, Unknown};
        let by_tlv = ReceiptReading::default();
        let by_text = ReceiptReading { state_from: StateFrom::Text, ..Default::default() };
        let last = ReceiptReading { accepted_is_final: true, ..Default::default() };
        for (code, stat, tlv, text, differ) in [
            (2, "UNDELIV", (Delivered, true), (Undeliverable, true), true),
            (5, "DELIVRD", (Undeliverable, true), (Delivered, true), true),
            (1, "DELIVRD", (Enroute, false), (Delivered, true), true),
            (2, "DELIVRD", (Delivered, true), (Delivered, true), false),
            (2, "2", (Delivered, true), (Delivered, true), false),
            (5, "FAILED", (Undeliverable, true), (MessageState::Failed, true), false),
            (2, "FAILED", (Delivered, true), (MessageState::Failed, true), true),
            (8, "UNDELIV", (Rejected, true), (Undeliverable, true), true),
            (7, "DELIVRD", (Delivered, true), (Delivered, true), true),
            (2, "UNKNOWN", (Delivered, true), (Delivered, true), true),
            // One that means nothing to us contradicts nothing.
            (77, "DELIVRD", (Delivered, true), (Delivered, true), false),
            (2, "SOON", (Delivered, true), (Delivered, true), false),
            (77, "SOON", (Unknown, false), (Unknown, false), false),
        ] {
            let text_of_receipt = format!("id:7 stat:{stat} err:000");
            let tlvs = [0x04, 0x27, 0, 1, code];
            let receipt = Receipt::of(4, text_of_receipt.as_bytes(), Tlvs(&tlvs)).unwrap();
            for (reading, expected) in [(&by_tlv, tlv), (&by_text, text)] {
                let told = reading.state_of(&receipt).unwrap();
                assert_eq!((told.state, told.is_final), expected, "{code} {stat}");
                assert_eq!(told.other.is_some(), differ, "{code} {stat}");
                assert_ne!(told.other, Some(told.state), "{code} {stat}");
            }
        }
        let receipt = Receipt::of(4, b"id:7 stat:DELIVRD", Tlvs(&[0x04, 0x27, 0, 1, 6])).unwrap();
        assert_eq!(
            by_tlv.state_of(&receipt).unwrap(),
            ReceiptState { state: Accepted, is_final: false, other: Some(Delivered) }
        );
        assert_eq!(last.state_of(&receipt).unwrap(), ReceiptState { state: Delivered, is_final: true, other: None });
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
