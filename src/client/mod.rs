//! Sessions: a connection's two threads. The writer connects, binds, writes and reconnects; the reader that it starts for
//! each session reads, answers what can be answered at once, and hands everything else to the journal.

mod asked;
mod bind;
pub mod link;
mod operation_answer;
mod reader;
mod receipt_dialect;
mod session_end;
mod silence;
mod sync_client;
mod trust;
pub mod window;
mod writer;

use crate::client::link::{LocalAddresses, Tls};
use crate::journal::files::answer_log::Answers;
use crate::journal::files::write_marks::Marks;
use crate::journal::model::events::ToJournal;
use crate::journal::model::retry_rules::RetryRules;
use crate::policy::pacer::Pacer;
use crate::record::Recorder;
use crate::wire::{BindKind, CommandStatus};
use crossbeam_channel::{Receiver, Sender};
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub use crate::client::receipt_dialect::{ReceiptCodes, ReceiptReading, ReceiptState, StateFrom};
pub use crate::client::sync_client::Dialogue;
pub use bind::{BindError, Bound, bind};
pub use operation_answer::{answer_of, final_state};
pub use session_end::SessionEnd;
pub use trust::Trust;
pub use writer::run;

/// A secret: shown nowhere.
#[derive(Clone, Default)]
pub struct Secret {
    secret: String,
    source: Option<Source>,
}

/// Reads a secret where it stands; `None`: it cannot be read now.
type Source = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Secret {
    /// Keeps a secret.
    pub fn new(secret: String) -> Self {
        Self { secret, source: None }
    }

    /// Keeps a secret that may be another by the time it is needed.
    pub fn with_source(secret: String, source: Source) -> Self {
        Self { secret, source: Some(source) }
    }

    /// The secret itself, for the bind request and nothing else.
    pub fn reveal(&self) -> &str {
        &self.secret
    }

    /// As it stands by now; where it cannot be read, as it was.
    pub fn read_anew(self) -> Self {
        let anew = self.source.as_ref().and_then(|source| source());
        Self { secret: anew.unwrap_or(self.secret), source: self.source }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The versions of SMPP that can be spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// No transceiver, no TLVs.
    V33,
    /// The default.
    V34,
    /// As 3.4, announced as 5.0.
    V50,
}

impl Version {
    /// The octet of interface_version (SMPP v3.4, 5.2.4).
    pub fn octet(self) -> u8 {
        match self {
            Self::V33 => 0x33,
            Self::V34 => 0x34,
            Self::V50 => 0x50,
        }
    }

    /// Whether it has a kind of bind.
    pub fn allows(self, kind: BindKind) -> bool {
        self != Self::V33 || kind != BindKind::Transceiver
    }

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::V33 => "3.3",
            Self::V34 => "3.4",
            Self::V50 => "5.0",
        }
    }
}

/// Whether requests may carry optional parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TakesTlvs {
    /// Where the answer to the bind announces version 3.4 or newer.
    #[default]
    AsAnnounced,
    /// Whatever the SMSC announces.
    Yes,
    /// Whatever the SMSC announces.
    No,
}

impl TakesTlvs {
    /// Whether they may, where the SMSC announces so much.
    pub fn with(self, sc_interface_version: Option<u8>) -> bool {
        match self {
            Self::AsAnnounced => sc_interface_version.is_some_and(|version| version >= Version::V34.octet()),
            Self::Yes => true,
            Self::No => false,
        }
    }
}

/// Which way messages go, over all connections of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindMode {
    /// Every connection both ways.
    Transceiver,
    /// Every connection only out: no receipts come.
    Transmitter,
    /// Every connection only in: nothing can be sent.
    Receiver,
    /// In pairs: messages go out on the first of each, receipts come in on the second.
    Pairs,
}

impl BindMode {
    /// How connection number `slot` binds.
    pub fn kind(self, slot: usize) -> BindKind {
        match self {
            Self::Transceiver => BindKind::Transceiver,
            Self::Transmitter => BindKind::Transmitter,
            Self::Receiver => BindKind::Receiver,
            Self::Pairs if slot.is_multiple_of(2) => BindKind::Transmitter,
            Self::Pairs => BindKind::Receiver,
        }
    }

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transceiver => "trx",
            Self::Transmitter => "tx",
            Self::Receiver => "rx",
            Self::Pairs => "tx+rx",
        }
    }

    /// Whether messages can be sent at all.
    pub fn can_submit(self) -> bool {
        self != Self::Receiver
    }

    /// Whether receipts can come at all.
    pub fn can_receive(self) -> bool {
        self != Self::Transmitter
    }
}

/// How an account is reached. The same for all its connections.
#[derive(Clone, Debug)]
pub struct Account {
    /// Host names or addresses, as [`parse_host`](crate::client::link::parse_host) gives them, in the order in which they are tried;
    /// at least one.
    pub hosts: Vec<String>,
    /// Port.
    pub port: u16,
    /// TLS; `None`: in the clear.
    pub tls: Option<Tls>,
    /// User name, at most 15 octets.
    pub system_id: String,
    /// Password, at most 64 octets; more than 8 is against the specification, and common.
    pub password: Secret,
    /// As a rule empty.
    pub system_type: String,
    /// What the bind says of the addresses that this account answers for. As a rule nothing.
    pub addresses: BoundAddresses,
    /// Which way messages go.
    pub bind: BindMode,
    /// The version announced.
    pub version: Version,
    /// Whether requests may carry optional parameters.
    pub tlvs: TakesTlvs,
    /// Requests outstanding on a session, at least 1.
    pub window: usize,
    /// The timers.
    pub timers: Timers,
    /// What its receipts mean.
    pub receipts: ReceiptReading,
    /// Whether its connections go through the hosts in turn, or are spread over them.
    pub spread: Spread,
    /// Where its connections go out from.
    pub local: LocalAddresses,
    /// Records all that passes over its sessions; `None`: nothing does.
    pub recorder: Option<Recorder>,
    /// How a session that only receives is bound, where that is elsewhere or by another login.
    pub receiver: Option<Box<Login>>,
}

/// What several hosts are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spread {
    /// Each connection goes through all of them in their order, and stays at the first that binds.
    #[default]
    InTurn,
    /// The connections are dealt out: the first (or with pairs the first pair) to the first host, the next to the next.
    Each {
        /// A connection whose host is down goes to the next ones until it is lost there; its own is tried first each time.
        lends: bool,
    },
}

/// Where and as whom a session is bound.
#[derive(Clone, Debug)]
pub struct Login {
    /// As those of an [`Account`].
    pub hosts: Vec<String>,
    /// Port.
    pub port: u16,
    /// TLS; `None`: in the clear.
    pub tls: Option<Tls>,
    /// User name, at most 15 octets.
    pub system_id: String,
    /// Password, at most 64 octets.
    pub password: Secret,
    /// At most 12 octets.
    pub system_type: String,
}

impl Account {
    /// The account as a session of this kind is bound.
    pub fn for_kind(&self, kind: BindKind) -> Cow<'_, Self> {
        let Some(login) = self.receiver.as_deref().filter(|_| kind == BindKind::Receiver) else {
            return Cow::Borrowed(self);
        };
        let Login { hosts, port, tls, system_id, password, system_type } = login.clone();
        Cow::Owned(Self { hosts, port, tls, system_id, password, system_type, receiver: None, ..self.clone() })
    }

    /// The account as connection number `slot` is bound: at its own hosts.
    pub fn for_slot(&self, slot: usize) -> Cow<'_, Self> {
        let account = self.for_kind(self.bind.kind(slot));
        let Spread::Each { lends } = self.spread else { return account };
        let place = if self.bind == BindMode::Pairs { slot / 2 } else { slot };
        let mut own = account.into_owned();
        if !own.hosts.is_empty() {
            let first = place % own.hosts.len();
            own.hosts.rotate_left(first);
            own.hosts.truncate(if lends { usize::MAX } else { 1 });
        }
        Cow::Owned(own)
    }

    /// The same, with its password as it stands by now.
    pub fn to_bind(&self, slot: usize) -> Self {
        let mut account = self.for_slot(slot).into_owned();
        account.password = account.password.read_anew();
        account.receiver = account.receiver.map(|mut login| {
            login.password = login.password.read_anew();
            login
        });
        account
    }

    /// Hosts that no connection goes to, of so many connections.
    pub fn idle_hosts(&self, connections: usize) -> &[String] {
        let places = if self.bind == BindMode::Pairs { connections / 2 } else { connections };
        match self.spread {
            Spread::Each { lends: false } => match (&self.receiver, self.bind) {
                (Some(login), BindMode::Receiver) => login.hosts.get(places..).unwrap_or_default(),
                _ => self.hosts.get(places..).unwrap_or_default(),
            },
            Spread::Each { lends: true } | Spread::InTurn => &[],
        }
    }

    /// Why whoever sits between could read all that is sent, where the operator asked for that.
    pub fn danger(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::warning)
    }

    /// Says so, for commands that show no notices of connections.
    pub fn warn_of_danger(&self) {
        if let Some(danger) = self.danger() {
            log::warn!("{danger}");
        }
    }
}

/// addr_ton, addr_npi and address_range of a bind (SMPP v3.4, 4.1.1): which addresses a receiver wants messages for. Defaults
/// to unknown and empty: the SMSC knows by the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundAddresses {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// A pattern or a list, in the SMSC's own form; at most [`ADDRESS_RANGE_MAX`] octets, ASCII.
    pub range: String,
}

/// Octets of an address_range, without its NUL.
pub const ADDRESS_RANGE_MAX: usize = 40;

/// The timers of a connection. Each error names the one that expired.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// For the TCP connection to one address, as long again for its TLS handshake, and for a name to be looked up. Defaults
    /// to 10 s.
    pub connect: Duration,
    /// For the answer to the bind. Defaults to 10 s.
    pub bind: Duration,
    /// For the answer to any request; also for the rest of a PDU that has begun to arrive. Defaults to 30 s.
    pub response: Duration,
    /// An enquire_link is sent when nothing came for this long. Defaults to 30 s.
    pub enquire_link: Duration,
    /// A session without any message or receipt for this long is unbound, and another is bound; `None`: never.
    pub inactivity: Option<Duration>,
    /// For the peer to take what is written. Defaults to 30 s.
    pub write: Duration,
    /// A run gives up when none of its connections that send (of one that listens: none at all) was bound for this long;
    /// `None`: never.
    pub give_up_after: Option<Duration>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            bind: Duration::from_secs(10),
            response: Duration::from_secs(30),
            enquire_link: Duration::from_secs(30),
            inactivity: None,
            write: Duration::from_secs(30),
            give_up_after: None,
        }
    }
}

/// What a connection tells the program.
#[derive(Debug)]
pub enum Notice {
    /// A session is bound.
    Bound {
        /// Which connection, from 0.
        slot: usize,
        /// Address of the SMSC.
        peer: String,
        /// What the SMSC calls itself.
        smsc: String,
        /// What the operator must know about it.
        warning: Option<&'static str>,
    },
    /// What is being waited for until a session is bound, and what was tried before.
    Trying {
        /// Which connection.
        slot: usize,
        /// In words.
        what: String,
    },
    /// A session ended, or none came about; another try follows after `retry_in`.
    Lost {
        /// Which connection.
        slot: usize,
        /// Why.
        reason: String,
        /// The status by which the bind was refused, if it was.
        refused: Option<CommandStatus>,
        /// Until the next try.
        retry_in: Duration,
    },
    /// The SMSC refuses the account: trying again would be hammering.
    Refused {
        /// Which connection.
        slot: usize,
        /// Why.
        reason: String,
    },
    /// The connection has ended as it was told to.
    Finished {
        /// Which connection.
        slot: usize,
    },
    /// What came of an [`Order::Renew`].
    Renewed {
        /// Which connection.
        slot: usize,
        /// What.
        outcome: Renewal,
    },
}

/// What a connection is told while it lives.
#[derive(Clone, Debug)]
pub enum Order {
    /// The rate or the window are others.
    Look,
    /// It is to be bound by these settings. The session that is bound stays until that has come about, unless the SMSC
    /// allows no more binds.
    Renew(Arc<Account>),
}

/// What came of new settings of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// It is bound by them.
    Bound,
    /// It was not bound, and is not yet: it is tried by them from now on. What came of the first try.
    Tried(String),
    /// They are refused, or nothing can be bound by them, as said: it goes on by those that it had.
    Back(String),
}

/// What needs optional parameters, as the beginning of a sentence that ends in them; `None`: nothing does. Found out when
/// it is first asked for, of an SMSC that does not announce them: it may take a look at every message.
pub type NeedsTlvs = Arc<LazyLock<Option<String>, Box<dyn FnOnce() -> Option<String> + Send>>>;

/// What every connection works with.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The account.
    pub account: Arc<Account>,
    /// Requests outstanding on a session, at least 1: as the account says, or as it was changed since.
    pub window: Arc<AtomicUsize>,
    /// The account's token bucket.
    pub pacer: Arc<Pacer>,
    /// What statuses mean.
    pub rules: Arc<RetryRules>,
    /// The write marks.
    pub marks: Marks,
    /// The notes of answers.
    pub answers: Answers,
    /// Whether requests may carry a user_message_reference; cleared by the journal thread when the SMSC refuses it.
    pub references: Arc<AtomicBool>,
    /// What its connections have shown of themselves.
    pub trust: Arc<Trust>,
    /// What is to be sent that needs optional parameters.
    pub needs_tlvs: NeedsTlvs,
    /// The journal thread.
    pub journal: Sender<ToJournal>,
    /// The program.
    pub notices: Sender<Notice>,
    /// Disconnected: send nothing more, wait for answers, unbind.
    pub finish: Receiver<()>,
}

/// Delays between tries to connect: at most 250 ms before the first, doubling to 30 s, each with jitter.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    /// The next delay. `random` is in 0..1.
    pub fn next(&mut self, random: f64) -> Duration {
        let full = Self::FIRST.saturating_mul(1 << self.tries.min(16)).min(Self::LONGEST);
        self.tries += 1;
        full.mul_f64(0.5 + random / 2.0)
    }

    /// The session was of use: the next loss starts anew.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f21_backoff_starts_within_250_ms_doubles_to_30_s_and_starts_anew() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..10).map(|_| backoff.next(0.999_999)).collect();
        assert!(delays[0] <= Duration::from_millis(250));
        assert!(delays.windows(2).all(|pair| pair[1] >= pair[0]));
        assert!(delays[9] <= Duration::from_secs(30) && delays[9] > Duration::from_secs(29));
        backoff.reset();
        assert!(backoff.next(0.0) >= Duration::from_millis(125));
        assert!(backoff.next(0.0) < backoff.next(1.0));
    }

    #[test]
    fn pairs_send_on_one_and_receive_on_the_other() {
        let kinds: Vec<BindKind> = (0..4).map(|slot| BindMode::Pairs.kind(slot)).collect();
        use BindKind::{Receiver, Transmitter};
        assert_eq!(kinds, [Transmitter, Receiver, Transmitter, Receiver]);
        assert!(BindMode::Pairs.can_submit() && BindMode::Pairs.can_receive());
        assert!(!BindMode::Transmitter.can_receive() && !BindMode::Receiver.can_submit());
    }

    fn account(bind: BindMode, spread: Spread) -> Account {
        Account {
            hosts: ["a", "b", "c"].map(str::to_owned).to_vec(),
            port: 2775,
            tls: None,
            system_id: "acme".into(),
            password: Secret::default(),
            system_type: String::new(),
            addresses: BoundAddresses::default(),
            bind,
            version: Version::V34,
            tlvs: TakesTlvs::default(),
            window: 1,
            timers: Timers::default(),
            receipts: ReceiptReading::default(),
            spread,
            local: LocalAddresses::default(),
            recorder: None,
            receiver: None,
        }
    }

    #[test]
    fn connections_are_dealt_out_to_hosts_pair_by_pair() {
        let hosts = |account: &Account, slot| account.for_slot(slot).hosts.join("");
        let all = |account: &Account| (0..5).map(|slot| hosts(account, slot)).collect::<Vec<_>>();
        use BindMode::{Pairs, Transceiver};
        let alone = Spread::Each { lends: false };
        assert_eq!(all(&account(Transceiver, Spread::InTurn)), ["abc"; 5]);
        assert_eq!(all(&account(Transceiver, alone)), ["a", "b", "c", "a", "b"]);
        assert_eq!(all(&account(Pairs, alone)), ["a", "a", "b", "b", "c"]);
        assert_eq!(all(&account(Transceiver, Spread::Each { lends: true })), ["abc", "bca", "cab", "abc", "bca"]);
        assert_eq!(account(Transceiver, alone).idle_hosts(2), ["c"]);
        assert_eq!(account(Pairs, alone).idle_hosts(2), ["b", "c"]);
        assert!(account(Transceiver, alone).idle_hosts(7).is_empty());
    }

    #[test]
    fn only_a_receiver_is_elsewhere() {
        let login = Login {
            hosts: vec!["r".into(), "s".into()],
            port: 2,
            tls: None,
            system_id: "rx".into(),
            password: Secret::default(),
            system_type: "t".into(),
        };
        let account = account(BindMode::Pairs, Spread::Each { lends: false });
        let account = Account { receiver: Some(Box::new(login)), ..account };
        let seen: Vec<(String, String)> =
            (0..4).map(|slot| account.for_slot(slot)).map(|own| (own.hosts.join(""), own.system_id.clone())).collect();
        let expected = [("a", "acme"), ("r", "rx"), ("b", "acme"), ("s", "rx")];
        assert_eq!(seen, expected.map(|(host, name)| (host.to_owned(), name.to_owned())));
        assert_eq!(account.for_kind(BindKind::Transceiver).port, 2775);
    }

    #[test]
    fn f50_a_secret_is_not_shown() {
        let secret = Secret::new("s3cr3t".into());
        assert!(!format!("{secret:?}").contains("s3cr3t"));
        assert_eq!(secret.clone().read_anew().reveal(), "s3cr3t");
        let changed = Secret::with_source("s3cr3t".into(), Arc::new(|| Some("changed".into())));
        assert_eq!((changed.reveal(), changed.clone().read_anew().reveal()), ("s3cr3t", "changed"));
        let gone = Secret::with_source("s3cr3t".into(), Arc::new(|| None));
        assert_eq!(gone.read_anew(), secret);
    }
}
