//! What the simulator can be told. The defaults are the reference provider.
use crate::words::{BadValue, bad};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::behaviour::Change;
use super::delay::Delay;
use super::faults::Faults;
use super::ids::{IdForm, ReceiptIdForm};
use super::inbound::InboundFile;
use super::limits::Limit;
use super::rules::Rule;
use super::steps::Step;

/// The behaviour of a simulator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes any free one. Defaults to 127.0.0.1:2777.
    pub listen: SocketAddr,
    /// Allows `listen` to be something else than loopback. Defaults to false, because anybody could bind.
    pub expose_to_network: bool,
    /// Bound connections that an account (a system_id) may have; one more gets 0x0D. Defaults to 2.
    pub max_connections: usize,
    /// Messages an account may submit in any one second, over all its connections; `None` is unlimited. Defaults to 30.
    pub rate: Option<u32>,
    /// How far above `rate` is still tolerated, in percent, and then at least 2 messages. 0 is exact. Defaults to 5.
    pub rate_tolerance_percent: u32,
    /// Limiters besides the rate, for each account. Defaults to none.
    pub limits: Vec<Limit>,
    /// Outcomes by number, text or account; the first that fits a message decides. Defaults to none.
    pub rules: Vec<Rule>,
    /// The only system_id that may bind, unless there are `accounts`; `None` takes any. Defaults to `None`.
    pub system_id: Option<String>,
    /// The password that a bind must give; `None` takes any. Defaults to `None`.
    pub password: Option<Password>,
    /// Accounts that may bind. Where there are some, no other may, but for `system_id`. Defaults to none.
    pub accounts: Vec<AccountSettings>,
    /// The highest version that the SMSC has, as the sc_interface_version TLV of bind answers tells it: 0x34 or 0x50. A session
    /// has the lower one of it and the client's. `None` leaves the TLV out. Defaults to 0x34.
    pub sc_interface_version: Option<u8>,
    /// The congestion_state (0 to 100) of answers in sessions of version 5.0; `None`: as far as the rate is used up. Defaults
    /// to `None`.
    pub congestion: Option<u8>,
    /// How long a connection may stay without a bind. Defaults to 60 s.
    pub bind_timeout: Duration,
    /// How often the simulator sends enquire_link on a session. Defaults to never.
    pub enquire_link_interval: Option<Duration>,
    /// How long the simulator waits for an answer to its enquire_link before it closes the session, and to a
    /// deliver_sm before it sends it again. Defaults to 30 s.
    pub response_timeout: Duration,
    /// How long a peer may leave answers unread before it is cut off. Defaults to 60 s.
    pub write_timeout: Duration,
    /// From the answer to the receipt. Defaults to 100 ms.
    pub receipt_delay: Delay,
    /// From a message to its answer. With one that is not constant, answers come in another order than messages. Defaults to
    /// none.
    pub answer_delay: Delay,
    /// How the fates of messages are shared out. Defaults to all delivered.
    pub outcomes: Outcomes,
    /// deliver_sm outstanding on a session, at most. Defaults to 1,000.
    pub deliver_window: usize,
    /// From a temporary refusal of a receipt to its next attempt. Defaults to 1 s.
    pub redelivery_delay: Duration,
    /// The shape of message ids in answers. Sessions of version 3.3 always get hexadecimal. Defaults to hexadecimal.
    pub message_id: IdForm,
    /// The shape of ids in receipts. Defaults to that of the answers.
    pub receipt_id: Option<ReceiptIdForm>,
    /// The number of the first message id; `None` derives one from the clock, so that a restart hardly repeats any.
    /// Defaults to `None`.
    pub first_message_id: Option<u64>,
    /// How receipts deviate from the usual. Defaults to not at all.
    pub quirks: Quirks,
    /// How many of the latest messages query_sm, cancel_sm and replace_sm know. Defaults to 0.
    pub keep_messages: usize,
    /// How many of the latest messages [`Smsc::messages`](super::Smsc::messages) and
    /// [`Smsc::wait_for`](super::Smsc::wait_for) know, and the control over HTTP. Defaults to 0, which costs nothing;
    /// [`Settings::for_tests`] has 100,000.
    pub remember: usize,
    /// A file to which a JSON line is appended for each message received, before it is answered; `-` is stdout. Defaults to
    /// none.
    pub ledger: Option<PathBuf>,
    /// Whether the lines of the ledger are for people. Defaults to false: JSON.
    pub ledger_for_people: bool,
    /// Messages from handsets that are delivered as soon as a session is there that takes them. Defaults to none.
    pub inbound: Option<InboundFile>,
    /// What happens at a time of its own. Defaults to nothing.
    pub steps: Vec<Step>,
    /// Whether the steps' times begin with the first bind, and not with the start. Defaults to false.
    pub steps_from_bind: bool,
    /// Where to listen for HTTP that controls the simulator. Defaults to nowhere.
    pub control: Option<SocketAddr>,
    /// Names of this machine, besides `localhost` and addresses, that a request to the control may give as its Host. Defaults
    /// to none.
    pub control_hosts: Vec<String>,
    /// Records every PDU. Defaults to none.
    pub record: Option<crate::record::Options>,
    /// Where every random decision starts. Defaults to 1.
    pub seed: u64,
    /// What is to go wrong. Defaults to nothing.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2777),
            expose_to_network: false,
            max_connections: 2,
            rate: Some(30),
            rate_tolerance_percent: 5,
            limits: Vec::new(),
            rules: Vec::new(),
            system_id: None,
            password: None,
            accounts: Vec::new(),
            sc_interface_version: Some(0x34),
            congestion: None,
            bind_timeout: Duration::from_secs(60),
            enquire_link_interval: None,
            response_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            receipt_delay: Delay::constant(Duration::from_millis(100)),
            answer_delay: Delay::NONE,
            outcomes: Outcomes::default(),
            deliver_window: 1_000,
            redelivery_delay: Duration::from_secs(1),
            message_id: IdForm::Hex,
            receipt_id: None,
            first_message_id: None,
            quirks: Quirks::default(),
            keep_messages: 0,
            remember: 0,
            ledger: None,
            ledger_for_people: false,
            inbound: None,
            steps: Vec::new(),
            steps_from_bind: false,
            control: None,
            control_hosts: Vec::new(),
            record: None,
            seed: 1,
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// For a test of a client in the same process: any free port, no limit of the rate or of connections, no delay of receipts
    /// beyond 10 ms, and the latest 100,000 messages remembered.
    pub fn for_tests() -> Settings {
        Settings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            max_connections: usize::MAX,
            rate: None,
            receipt_delay: Delay::constant(Duration::from_millis(10)),
            keep_messages: 100_000,
            remember: 100_000,
            ..Settings::default()
        }
    }
}

/// An account with a login, and treatment, of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountSettings {
    /// Its name in a bind.
    pub system_id: String,
    /// The password that a bind must give; `None` takes any.
    pub password: Option<Password>,
    /// Bound connections that it may have; `None`: as many as the others.
    pub max_connections: Option<usize>,
    /// What is otherwise for it.
    pub change: Change,
}

/// A password that never shows itself.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Takes the password as it is to be sent.
    pub fn new(password: impl Into<String>) -> Self {
        Password(password.into())
    }

    /// As it is sent.
    pub(super) fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether `given`, as it came in a bind, is the password.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes() == given
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// How many messages come to each fate, as weights; `delivered=95,undelivered=3,expired=1,rejected=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// Weight of DELIVRD.
    pub delivered: u32,
    /// Weight of UNDELIV.
    pub undelivered: u32,
    /// Weight of EXPIRED.
    pub expired: u32,
    /// Weight of REJECTD.
    pub rejected: u32,
}

impl Default for Outcomes {
    fn default() -> Self {
        Outcomes { delivered: 1, undelivered: 0, expired: 0, rejected: 0 }
    }
}

impl FromStr for Outcomes {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut outcomes = Outcomes { delivered: 0, undelivered: 0, expired: 0, rejected: 0 };
        for share in text.split(',') {
            let (name, weight) = share.split_once('=').ok_or_else(|| bad!("{share:?} is not NAME=WEIGHT"))?;
            let weight = weight.parse().map_err(|_| bad!("{weight:?} is not a whole number"))?;
            match name {
                "delivered" => outcomes.delivered = weight,
                "undelivered" => outcomes.undelivered = weight,
                "expired" => outcomes.expired = weight,
                "rejected" => outcomes.rejected = weight,
                _ => return Err(bad!("{name:?} is none of delivered, undelivered, expired, rejected")),
            }
        }
        let weights = [outcomes.delivered, outcomes.undelivered, outcomes.expired, outcomes.rejected];
        match weights.iter().try_fold(0u32, |sum, weight| sum.checked_add(*weight)) {
            None => Err("the weights are too large".into()),
            Some(0) => Err("all weights are 0".into()),
            Some(_) => Ok(outcomes),
        }
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes { delivered, undelivered, expired, rejected } = self;
        write!(f, "delivered={delivered},undelivered={undelivered},expired={expired},rejected={rejected}")
    }
}

/// How often something happens: to about every N-th, drawn at random; 0 is never, 1 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Every(pub u32);

impl Every {
    /// Always.
    pub const ALWAYS: Every = Every(1);

    /// Whether it happens this time.
    pub(super) fn draw(self, random: &mut fastrand::Rng) -> bool {
        match self.0 {
            0 => false,
            1 => true,
            n => random.u32(..n) == 0,
        }
    }
}

/// How receipts deviate, each to about every N-th message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// The receipt goes out before the answer to its submit_sm.
    pub early: Every,
    /// The receipt comes twice.
    pub duplicate: Every,
    /// The receipt comes ten times later, and at least 10 s.
    pub late: Every,
    /// No text, only the TLVs receipted_message_id and message_state.
    pub tlv_only: Every,
    /// No TLVs, only the text.
    pub text_only: Every,
    /// As data_sm with message_payload instead of deliver_sm.
    pub data_sm: Every,
    /// Of a long message, only the last part gets a receipt.
    pub last_part_only: Every,
    /// Of a long message, only the first part gets a receipt.
    pub first_part_only: Every,
    /// A notification with ENROUTE goes before the receipt, asked for or not.
    pub intermediate: Every,
    /// States are the reference provider's codes: 2 delivered, 5 rejected, 1 any other failure, 0 on its way; as a bare
    /// digit after `stat:` and in message_state.
    pub provider_codes: Every,
}

impl Quirks {
    /// The names that [`set`](Self::set) knows, with what they do.
    pub const NAMES: [(&'static str, &'static str); 10] = [
        ("early", "before the answer to its submit_sm"),
        ("duplicate", "twice"),
        ("late", "ten times later, and at least 10 s"),
        ("tlv-only", "without the text"),
        ("text-only", "without TLVs"),
        ("data-sm", "as data_sm with message_payload"),
        ("last-part-only", "of a long message only for its last part"),
        ("first-part-only", "of a long message only for its first part"),
        ("intermediate", "preceded by a notification ENROUTE"),
        ("provider-codes", "with the provider's own digits as states"),
    ];

    /// Sets one by `NAME` or `NAME=N` (about every N-th).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn set(&mut self, text: &str) -> Result<(), BadValue> {
        let (name, every) = match text.split_once('=') {
            None => (text, Every::ALWAYS),
            Some((name, n)) => (name, Every(n.parse().map_err(|_| bad!("{n:?} is not a whole number"))?)),
        };
        let field = match name {
            "early" => &mut self.early,
            "duplicate" => &mut self.duplicate,
            "late" => &mut self.late,
            "tlv-only" => &mut self.tlv_only,
            "text-only" => &mut self.text_only,
            "data-sm" => &mut self.data_sm,
            "last-part-only" => &mut self.last_part_only,
            "first-part-only" => &mut self.first_part_only,
            "intermediate" => &mut self.intermediate,
            "provider-codes" => &mut self.provider_codes,
            _ => {
                let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                return Err(bad!("{name:?} is none of {}", names.join(", ")));
            }
        };
        *field = every;
        Ok(())
    }

    /// As [`set`](Self::set) reads them.
    pub fn to_words(&self) -> Vec<String> {
        let values = [
            self.early,
            self.duplicate,
            self.late,
            self.tlv_only,
            self.text_only,
            self.data_sm,
            self.last_part_only,
            self.first_part_only,
            self.intermediate,
            self.provider_codes,
        ];
        let words = Self::NAMES.iter().zip(values).filter(|(_, every)| every.0 > 0);
        words
            .map(|((name, _), every)| if every.0 == 1 { (*name).to_owned() } else { format!("{name}={}", every.0) })
            .collect()
    }
}

impl FromStr for Quirks {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut quirks = Quirks::default();
        quirks.set(text).map(|()| quirks)
    }
}

/// Reads a duration such as `500ms`, `3s`, `2m` or `1h`.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, BadValue> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad!("{text:?} is not a duration such as 500ms, 3s, 2m or 1h"))?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad!("{text:?} has no unit of ms, s, m or h")),
    };
    number.checked_mul(ms).map(Duration::from_millis).ok_or_else(|| bad!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, ms) in [("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
        }
        for text in ["", "5", "s", "1.5s", "-1s", "9999999999999999999h", "18446744073709551615h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn outcomes_and_quirks_say_what_is_wrong() {
        let outcomes: Outcomes = "delivered=95,undelivered=3,expired=1,rejected=1".parse().unwrap();
        assert_eq!((outcomes.delivered, outcomes.rejected), (95, 1));
        for text in ["", "delivered", "delivered=0", "lost=1", "delivered=x", "delivered=4294967295,expired=1"] {
            assert!(text.parse::<Outcomes>().is_err(), "{text}");
        }
        let mut quirks = Quirks::default();
        for (name, _) in Quirks::NAMES {
            quirks.set(name).unwrap();
        }
        quirks.set("late=5").unwrap();
        let mut again = Quirks::default();
        quirks.to_words().iter().for_each(|word| again.set(word).unwrap());
        assert_eq!((again, quirks.to_words().len()), (quirks.clone(), 10));
        assert_eq!(outcomes.to_string().parse(), Ok(outcomes));
        assert_eq!(quirks.late, Every(5));
        assert!(quirks.set("sideways").is_err());
    }

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        let settings = Settings { password: Some(Password::new("hunter2")), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
