//! What is to go wrong: every fault a field of one struct, every decision drawn from one seed.
use std::str::FromStr;
use std::time::Duration;

use super::delay::Shown;
use super::settings::{Every, parse_duration};
use crate::wire::CommandStatus;
use crate::words::{BadValue, bad};

/// The faults of a simulator. All off by default.
///
/// Those counted in [`Every`] affect about every N-th submit_sm or data_sm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The connection is cut after the message was recorded and before it is answered.
    pub drop_before_answer: Every,
    /// The connection is cut after the answer was handed to the network.
    pub drop_after_answer: Every,
    /// The message is accepted and never answered.
    pub silence: Every,
    /// The answer is a status, and the message is not accepted.
    pub error: Option<(u32, Every)>,
    /// For one second everything on that session is answered 0x58.
    pub throttle_storm: Every,
    /// The message is answered with generic_nack 0x03 and not accepted.
    pub nack: Every,
    /// unbind follows the answer.
    pub unbind: Every,
    /// Before the answer come an answer to nothing, an unknown request and a deliver_sm cut short inside its TLVs.
    pub junk: Every,
    /// Instead of the answer comes a header with a command_length of 2 GiB.
    pub huge_length: Every,
    /// Reading stops for a second.
    pub stalled_reads: Every,
    /// The answers of one read go out in random order.
    pub reorder: bool,
    /// Everything is sent octet by octet.
    pub octets: bool,
    /// The connection greets with an HTTP answer.
    pub http_banner: bool,
    /// Error answers are a header without a body.
    pub bodyless_errors: bool,
    /// service_type in deliver_sm is 15 octets long, over its limit of 6.
    pub long_service_type: bool,
    /// Every bind is followed by that many receipts for messages that never were.
    pub receipt_flood: u32,
    /// Answers wait that long.
    pub slow_answers: Duration,
}

impl Faults {
    /// The names that [`set`](Self::set) knows, with what they do.
    pub const NAMES: [(&'static str, &'static str); 17] = [
        ("drop-before-answer=N", "cut the connection after about every N-th message was recorded, before its answer"),
        ("drop-after-answer=N", "cut the connection after the answer to about every N-th message"),
        ("silence=N", "accept about every N-th message and never answer it"),
        ("error=CODE[:N]", "answer about every N-th message (default: all) with this status, such as 0x64"),
        ("throttle-storm=N", "answer everything with 0x58 for a second, after about every N-th message"),
        ("nack=N", "answer about every N-th message with generic_nack"),
        ("unbind=N", "send unbind after about every N-th message"),
        ("junk=N", "send PDUs that make no sense before the answer to about every N-th message"),
        ("huge-length=N", "answer about every N-th message with a command_length of 2 GiB"),
        ("stalled-reads=N", "stop reading for a second after about every N-th message"),
        ("reorder", "answer what came in one read in random order"),
        ("octets", "send octet by octet"),
        ("http-banner", "greet with an HTTP answer"),
        ("bodyless-errors", "send error answers as a bare header"),
        ("long-service-type", "send a service_type of 15 octets in deliver_sm"),
        ("receipt-flood=N", "send N receipts for unknown messages after each bind"),
        ("slow-answers=DURATION", "let every answer wait that long"),
    ];

    /// Sets one fault by `NAME` or `NAME=VALUE`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn set(&mut self, text: &str) -> Result<(), BadValue> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        match name {
            "drop-before-answer" => self.drop_before_answer = every(name, value)?,
            "drop-after-answer" => self.drop_after_answer = every(name, value)?,
            "silence" => self.silence = every(name, value)?,
            "error" => self.error = Some(error(value)?),
            "throttle-storm" => self.throttle_storm = every(name, value)?,
            "nack" => self.nack = every(name, value)?,
            "unbind" => self.unbind = every(name, value)?,
            "junk" => self.junk = every(name, value)?,
            "huge-length" => self.huge_length = every(name, value)?,
            "stalled-reads" => self.stalled_reads = every(name, value)?,
            "reorder" => self.reorder = flag(name, value)?,
            "octets" => self.octets = flag(name, value)?,
            "http-banner" => self.http_banner = flag(name, value)?,
            "bodyless-errors" => self.bodyless_errors = flag(name, value)?,
            "long-service-type" => self.long_service_type = flag(name, value)?,
            "receipt-flood" => self.receipt_flood = every(name, value)?.0,
            "slow-answers" => {
                self.slow_answers = parse_duration(value.ok_or("slow-answers needs a duration: slow-answers=200ms")?)?;
            }
            _ => return Err(bad!("{name:?} is no fault; --list-faults shows them")),
        }
        Ok(())
    }

    /// As [`set`](Self::set) reads them.
    pub fn to_words(&self) -> Vec<String> {
        let every = |name: &str, every: Every| (every.0 > 0).then(|| format!("{name}={}", every.0));
        let flag = |name: &str, is_on: bool| is_on.then(|| name.to_owned());
        let words = [
            every("drop-before-answer", self.drop_before_answer),
            every("drop-after-answer", self.drop_after_answer),
            every("silence", self.silence),
            self.error.map(|(code, every)| format!("error=0x{code:02X}:{}", every.0)),
            every("throttle-storm", self.throttle_storm),
            every("nack", self.nack),
            every("unbind", self.unbind),
            every("junk", self.junk),
            every("huge-length", self.huge_length),
            every("stalled-reads", self.stalled_reads),
            flag("reorder", self.reorder),
            flag("octets", self.octets),
            flag("http-banner", self.http_banner),
            flag("bodyless-errors", self.bodyless_errors),
            flag("long-service-type", self.long_service_type),
            every("receipt-flood", Every(self.receipt_flood)),
            (!self.slow_answers.is_zero()).then(|| format!("slow-answers={}", Shown(self.slow_answers))),
        ];
        words.into_iter().flatten().collect()
    }

    /// Whether any fault concerns single messages, so that the usual path can skip all draws at once.
    pub(super) fn any_on_submit(&self) -> bool {
        let none = Faults {
            http_banner: self.http_banner,
            long_service_type: self.long_service_type,
            receipt_flood: self.receipt_flood,
            octets: self.octets,
            slow_answers: self.slow_answers,
            ..Faults::default()
        };
        *self != none
    }
}

impl FromStr for Faults {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut faults = Faults::default();
        faults.set(text).map(|()| faults)
    }
}

fn every(name: &str, value: Option<&str>) -> Result<Every, BadValue> {
    let value = value.ok_or_else(|| bad!("{name} needs a number: {name}=100"))?;
    value.parse().map(Every).map_err(|_| bad!("{name}={value:?} is not a whole number"))
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, BadValue> {
    if value.is_some() { Err(bad!("{name} takes no value")) } else { Ok(true) }
}

fn error(value: Option<&str>) -> Result<(u32, Every), BadValue> {
    let value = value.ok_or("error needs a status: error=0x64 or error=0x64:10")?;
    let (code, often) = match value.split_once(':') {
        None => (value, Every::ALWAYS),
        Some((code, n)) => (code, every("error", Some(n))?),
    };
    let parsed = CommandStatus::parse(code).map(|status| (status.0, often));
    parsed.ok_or_else(|| bad!("{code:?} is not a status such as 0x64, 100 or ESME_RX_T_APPN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_fault_can_be_set_and_changes_something() {
        for (shape, _) in Faults::NAMES {
            let text = shape.replace("CODE[:N]", "0x64:10").replace("=N", "=7").replace("DURATION", "200ms");
            let mut faults = Faults::default();
            faults.set(&text).unwrap();
            assert_ne!(faults, Faults::default(), "{text}");
            let words = faults.to_words();
            assert_eq!((words.len(), words[0].parse()), (1, Ok(faults)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in
            ["", "drop", "silence", "silence=x", "reorder=2", "error", "error=x", "error=0x64:x", "slow-answers=5"]
        {
            assert!(Faults::default().set(text).is_err(), "{text}");
        }
    }

    #[test]
    fn statuses_are_hexadecimal_or_decimal() {
        for (text, expected) in
            [("error=0x64", (0x64, Every(1))), ("error=100:3", (100, Every(3))), ("error=0X12F", (0x12F, Every(1)))]
        {
            let mut faults = Faults::default();
            faults.set(text).unwrap();
            assert_eq!(faults.error, Some(expected));
            assert!(faults.any_on_submit());
        }
        assert!(!Faults::default().any_on_submit());
    }
}
