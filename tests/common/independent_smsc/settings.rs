//! How the SMSC behaves, and what it tells at the end.
use super::super::judge::{Rules, Submit};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// A decision about a submit_sm, by whatever the test likes.
pub type Rule<T> = Arc<dyn Fn(&Submit) -> T + Send + Sync>;

/// How PDUs are put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Each PDU in a write of its own.
    Normal,
    /// Whatever is due in one write: answers, receipts and all.
    Coalesced,
    /// Each PDU in random pieces, some of them octet by octet, with tiny pauses.
    Fragmented,
}

/// In which order requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    AsTheyCame,
    /// The newest of a while first.
    Reversed,
    Random,
}

/// What message ids look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    Decimal,
    HexLower,
    HexUpper,
    /// Decimal with leading zeros.
    Padded,
    Uuid,
    SixtyFour,
    /// All answers carry the same one.
    Same,
    /// Accepted without an id.
    Empty,
}

/// What receipts look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text and optional parameters.
    Normal,
    /// Before the answer to the submit_sm.
    Early,
    /// Before the answer, and again after it.
    EarlyAndAgain,
    Duplicate,
    /// The answer's id is hexadecimal, the receipt's decimal. For `IdForm::HexLower` and `HexUpper`.
    HexThenDecimal,
    /// The answer's id is decimal, the receipt's hexadecimal. For `IdForm::Decimal`.
    DecimalThenHex,
    /// The receipt's id has leading zeros.
    Padded,
    TlvOnly,
    TextOnly,
    TlvWithoutNul,
    /// Names in lower case, dates with seconds.
    Odd,
    /// ENROUTE first.
    IntermediateFirst,
    DataSm,
    None,
}

/// What becomes of a message in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    Undeliverable,
    Expired,
    Rejected,
    /// No receipt ever.
    Lost,
}

impl Outcome {
    pub(super) fn state(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Delivered | Self::Lost => (2, "DELIVRD", "000"),
            Self::Undeliverable => (5, "UNDELIV", "027"),
            Self::Expired => (3, "EXPIRED", "011"),
            Self::Rejected => (8, "REJECTD", "099"),
        }
    }
}

/// How a submit_sm is treated, beside its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Never answered. It was received all the same, and has no receipt.
    Silent,
    /// Never answered, but its receipt comes.
    SilentWithReceipt,
    /// Answered this much later than the others.
    Late(Duration),
    /// The connection is reset instead of answering, and all that was not answered before stays so.
    ResetBefore,
    /// Answered, then the connection is closed.
    CloseAfter,
    /// generic_nack with this status instead of an answer.
    Nack(u32),
}

/// How a bind is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAnswer {
    Accepted,
    /// Sixteen octets with this status.
    Refused(u32),
    /// With this status and a system_id.
    RefusedWithBody(u32),
    Silent,
    /// The connection is closed as soon as it is there.
    CloseAtOnce,
    /// Closed when the bind has come.
    CloseInstead,
    OctetByOctet,
    /// One write with a message from a handset.
    GluedWithDeliver,
    Nack,
    /// Without sc_interface_version: the SMSC takes no optional parameters.
    WithoutVersion,
    /// What a web server says.
    Banner,
}

/// Something that the SMSC does by itself.
#[derive(Clone, Debug)]
pub enum Action {
    /// Octets as they are, PDU or not.
    Octets(Vec<u8>),
    /// As `Octets`, and the client has to end the session.
    Junk(Vec<u8>),
    Unbind,
    Close,
    Reset,
    /// From now on nothing is written on this session any more, whatever comes.
    Mute,
    /// From now on nothing is read either.
    StopReading,
    /// A message from a handset.
    Inbound(String),
    /// A request that no SMSC sends, with this command_id.
    Request(u32),
    /// generic_nack with sequence number 0.
    Nack(u32),
    EnquireLink,
}

/// An action and its moment.
#[derive(Clone, Debug)]
pub struct Event {
    /// On which session, from 1; 0: on all.
    pub session: usize,
    /// After so many submits of that session; 0: as soon as the bind is answered.
    pub after: usize,
    pub action: Action,
}

/// How the SMSC behaves. What is not said is that of a decent one.
#[derive(Clone)]
pub struct Settings {
    pub seed: u64,
    pub address: IpAddr,
    /// 0: any free one.
    pub port: u16,
    pub rules: Rules,
    /// Connections at a time; the others are refused with `over_limit`.
    pub connections_max: usize,
    pub over_limit: u32,
    /// Requests accepted in any second, over all sessions; the others are answered 0x58.
    pub rate_max: usize,
    pub writing: Writing,
    pub order: Order,
    pub answer_delay: Duration,
    pub id: IdForm,
    pub shape: Shape,
    pub receipt_delay: Duration,
    /// Receipts not answered when the connection ended come again on the next one. Defaults to true.
    pub redeliver: bool,
    pub outcome: Rule<Outcome>,
    /// The command_status of the answer.
    pub status: Rule<u32>,
    /// Error answers have a body of one NUL. Defaults to false.
    pub error_body: bool,
    pub fate: Rule<Fate>,
    /// For one bind after the other; the last one holds for all later ones.
    pub binds: Vec<BindAnswer>,
    pub enquire_every: Option<Duration>,
    /// Whether enquire_link of the client is answered. Defaults to true.
    pub answers_enquire_link: bool,
    /// Whether its unbind is. Defaults to true.
    pub answers_unbind: bool,
    /// Answers and receipts carry optional parameters that nobody knows.
    pub unknown_tlvs: bool,
    pub events: Vec<Event>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            rules: Rules::default(),
            connections_max: usize::MAX,
            over_limit: 0x0D,
            rate_max: usize::MAX,
            writing: Writing::Normal,
            order: Order::AsTheyCame,
            answer_delay: Duration::ZERO,
            id: IdForm::Decimal,
            shape: Shape::Normal,
            receipt_delay: Duration::ZERO,
            redeliver: true,
            outcome: Arc::new(|_| Outcome::Delivered),
            status: Arc::new(|_| 0),
            error_body: false,
            fate: Arc::new(|_| Fate::Answered),
            binds: vec![BindAnswer::Accepted],
            enquire_every: None,
            answers_enquire_link: true,
            answers_unbind: true,
            unknown_tlvs: false,
            events: Vec::new(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("seed", &self.seed).field("writing", &self.writing).finish_non_exhaustive()
    }
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connections: usize,
    pub binds: usize,
    pub binds_accepted: usize,
    pub enquire_links: usize,
    pub unbinds: usize,
    /// Of ours that the client answered.
    pub unbinds_answered: usize,
    pub delivers: usize,
    pub delivers_answered: usize,
    /// Answered with an error, so to be sent again.
    pub delivers_refused: usize,
    pub nacks: usize,
    /// Connections that ended without an unbind of either side.
    pub ended_rudely: usize,
}

/// The whole story.
#[derive(Clone, Debug)]
pub struct Report {
    pub violations: Vec<String>,
    pub submits: Vec<Submit>,
    pub counts: Counts,
    /// Submits in any second, at most.
    pub per_second_max: usize,
    /// Submits outstanding on a session, at most.
    pub outstanding_max: usize,
}

impl Report {
    /// Fails when the client broke a rule.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.violations.is_empty(), "the client broke rules:\n{}", self.violations.join("\n"));
    }
}
