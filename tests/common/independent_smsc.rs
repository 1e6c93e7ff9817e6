//! An SMSC for tests. It shares no code with the crate, judges every octet that it gets, and misbehaves as it is told to.
//!
//! Each connection has a thread that reads, judges and decides, and one that writes what is due. What outlives a
//! connection (the ledger, receipts on their way, violations) is in one place behind a lock.

use super::judge::{Judge, Rules, Seen, Submit};
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    fn state(self) -> (u8, &'static str, &'static str) {
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

/// A message to the client, on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Receipt {
    command_id: u32,
    body: Vec<u8>,
    /// It decodes strictly: checked, so that the SMSC does not err by itself.
    is_regular: bool,
}

/// Everything that outlives a connection.
struct State {
    random: u64,
    submits: Vec<Submit>,
    violations: Vec<String>,
    counts: Counts,
    next_id: u64,
    outstanding_max: usize,
    open: usize,
    receipts: BinaryHeap<Reverse<Due<Receipt>>>,
    sessions: BTreeMap<usize, TcpStream>,
    accepted: Vec<Instant>,
}

impl State {
    /// xorshift64*: good enough to shuffle with, and the same everywhere.
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Something with a moment and, among things of the same moment, a place.
struct Due<T> {
    at: Instant,
    place: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.place) == (other.at, other.place)
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.place).cmp(&(other.at, other.place))
    }
}

struct Hub {
    settings: Settings,
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
    place: AtomicU64,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Places rise, so that what is due at the same moment keeps its order.
    fn place(&self) -> u64 {
        self.place.fetch_add(1, Ordering::Relaxed)
    }
}

/// The SMSC, listening.
pub struct IndependentSmsc {
    hub: Arc<Hub>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl IndependentSmsc {
    pub fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind((settings.address, settings.port)).expect("a port to listen on");
        let address = listener.local_addr().expect("its address");
        let state = State {
            random: settings.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            submits: Vec::new(),
            violations: Vec::new(),
            counts: Counts::default(),
            next_id: 1_000_000 + settings.seed % 1_000,
            outstanding_max: 0,
            open: 0,
            receipts: BinaryHeap::new(),
            sessions: BTreeMap::new(),
            accepted: Vec::new(),
        };
        let hub = Arc::new(Hub {
            settings,
            state: Mutex::new(state),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            place: AtomicU64::new(0),
        });
        let listening = Arc::clone(&hub);
        let listener = std::thread::Builder::new()
            .name("smsc".into())
            .spawn(move || listen(&listener, &listening))
            .expect("a thread");
        Self { hub, address, listener: Some(listener) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All submits received so far, over all sessions, in order.
    pub fn ledger(&self) -> Vec<Submit> {
        self.hub.lock().submits.clone()
    }

    pub fn counts(&self) -> Counts {
        self.hub.lock().counts.clone()
    }

    /// Waits until the ledger is as wished. False: the time is over first.
    pub fn wait_for(&self, wished: impl Fn(&[Submit]) -> bool, timeout: Duration) -> bool {
        self.wait_until(|state| wished(&state.submits), timeout)
    }

    /// Waits until the counts are as wished.
    pub fn wait_for_counts(&self, wished: impl Fn(&Counts) -> bool, timeout: Duration) -> bool {
        self.wait_until(|state| wished(&state.counts), timeout)
    }

    /// Waits until no connection is open.
    pub fn wait_until_all_ended(&self, timeout: Duration) -> bool {
        self.wait_until(|state| state.open == 0, timeout)
    }

    fn wait_until(&self, wished: impl Fn(&State) -> bool, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.hub.lock();
        while !wished(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.hub.changed.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }

    /// Stops, and tells all.
    pub fn finish(mut self) -> Report {
        self.stop();
        let mut state = self.hub.lock();
        let submits = std::mem::take(&mut state.submits);
        let mut per_second_max = 0;
        let mut first = 0;
        for (last, submit) in submits.iter().enumerate() {
            while submit.at.duration_since(submits[first].at) >= Duration::from_secs(1) {
                first += 1;
            }
            per_second_max = per_second_max.max(last + 1 - first);
        }
        Report {
            violations: std::mem::take(&mut state.violations),
            submits,
            counts: state.counts.clone(),
            per_second_max,
            outstanding_max: state.outstanding_max,
        }
    }

    fn stop(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        // What the client wrote at the end may still be on its way.
        let _ = self.wait_until(|state| state.open == 0, Duration::from_millis(500));
        self.hub.stopping.store(true, Ordering::SeqCst);
        for stream in self.hub.lock().sessions.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
        let _ = listener.join();
    }
}

impl Drop for IndependentSmsc {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(listener: &TcpListener, hub: &Arc<Hub>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if hub.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let session = {
            let mut state = hub.lock();
            state.counts.connections += 1;
            state.open += 1;
            let session = state.counts.connections;
            if let Ok(stream) = stream.try_clone() {
                state.sessions.insert(session, stream);
            }
            session
        };
        let hub = Arc::clone(hub);
        let thread = std::thread::Builder::new().name(format!("smsc-{session}")).spawn(move || {
            Connection::run(&hub, stream, session);
            let mut state = hub.lock();
            state.open -= 1;
            state.sessions.remove(&session);
            drop(state);
            hub.changed.notify_all();
        });
        threads.push(thread.expect("a thread"));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// One PDU, or an end, that a connection's writer is to see to.
#[derive(Debug)]
enum Out {
    /// An answer to the client's request of this number.
    Answer {
        sequence_number: u32,
        octets: Vec<u8>,
        is_regular: bool,
    },
    /// The answer to a submit_sm, which changes the ledger when it leaves.
    SubmitAnswer {
        index: usize,
        status: u32,
        message_id: Option<String>,
        octets: Vec<u8>,
        is_regular: bool,
    },
    Bind {
        sequence_number: u32,
        status: u32,
        octets: Vec<u8>,
        octet_by_octet: bool,
    },
    Receipt(Receipt),
    Request(u32),
    Raw(Vec<u8>),
    Junk(Vec<u8>),
    Mute,
    Close,
    Reset,
}

/// What a connection's two threads share.
struct Shared {
    judge: Mutex<Judge>,
    heap: Mutex<BinaryHeap<Reverse<Due<Out>>>>,
    wake: Condvar,
    ended: AtomicBool,
    /// The client can be sent messages.
    receives: AtomicBool,
    cut_by_us: AtomicBool,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Connection<'a> {
    hub: &'a Arc<Hub>,
    shared: Arc<Shared>,
    stream: TcpStream,
    session: usize,
    submits: usize,
    reads: bool,
    next_enquire: Option<Instant>,
}

impl Connection<'_> {
    fn run(hub: &Arc<Hub>, stream: TcpStream, session: usize) {
        let _ = stream.set_nodelay(true);
        let (is_over_limit, answer) = {
            let state = hub.lock();
            let binds = &hub.settings.binds;
            let nth = state.counts.binds.min(binds.len() - 1);
            (state.open > hub.settings.connections_max, binds[nth])
        };
        if answer == BindAnswer::CloseAtOnce {
            hub.lock().counts.binds += 1;
            hub.changed.notify_all();
            return;
        }
        let shared = Arc::new(Shared {
            judge: Mutex::new(Judge::new(hub.settings.rules.clone(), session)),
            heap: Mutex::new(BinaryHeap::new()),
            wake: Condvar::new(),
            ended: AtomicBool::new(false),
            receives: AtomicBool::new(false),
            cut_by_us: AtomicBool::new(false),
        });
        let writer = {
            let (hub, shared) = (Arc::clone(hub), Arc::clone(&shared));
            let stream = stream.try_clone().expect("a second handle");
            let writer = Writer {
                hub,
                shared,
                stream,
                next_number: 1,
                is_mute: false,
                unanswered: BTreeMap::new(),
                unwritten: Vec::new(),
            };
            std::thread::spawn(move || writer.run())
        };
        let mut connection = Connection {
            hub,
            shared: Arc::clone(&shared),
            stream,
            session,
            submits: 0,
            reads: true,
            next_enquire: None,
        };
        let unfinished = connection.read(is_over_limit);
        shared.ended.store(true, Ordering::SeqCst);
        shared.wake.notify_all();
        let _ = connection.stream.shutdown(Shutdown::Both);
        let _ = writer.join();
        let mut judge = hold(&shared.judge);
        let stopping = hub.stopping.load(Ordering::SeqCst);
        judge.ended(unfinished, stopping || shared.cut_by_us.load(Ordering::SeqCst));
        let mut state = hub.lock();
        if !judge.is_unbound() && !stopping && !shared.cut_by_us.load(Ordering::SeqCst) {
            state.counts.ended_rudely += 1;
        }
        state.outstanding_max = state.outstanding_max.max(judge.outstanding_max);
        state.violations.append(&mut judge.violations);
    }

    /// Reads until the end; how many octets of an unfinished PDU are left over.
    fn read(&mut self, is_over_limit: bool) -> usize {
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(5)));
        let mut octets = Vec::new();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            if self.shared.ended.load(Ordering::SeqCst) || self.hub.stopping.load(Ordering::SeqCst) {
                return octets.len();
            }
            self.tick();
            if !self.reads {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return octets.len(),
                Ok(count) => octets.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => return octets.len(),
            }
            let now = Instant::now();
            let mut at = 0;
            loop {
                let next = hold(&self.shared.judge).frame_length(&octets[at..]);
                match next {
                    Ok(Some(length)) => {
                        let frame = octets[at..at + length].to_vec();
                        at += length;
                        let seen = hold(&self.shared.judge).pdu(&frame, now);
                        self.act(seen, now, is_over_limit);
                    }
                    Ok(None) => break,
                    Err(()) => {
                        self.push(now, Out::Raw(pdu(0x8000_0000, 2, 0, &[])));
                        self.push(now, Out::Close);
                        return 0;
                    }
                }
            }
            octets.drain(..at);
            self.hub.changed.notify_all();
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let is_bound = {
            let mut judge = hold(&self.shared.judge);
            judge.tick(now);
            judge.is_bound()
        };
        let Some(every) = self.hub.settings.enquire_every.filter(|_| is_bound) else { return };
        if self.next_enquire.is_none_or(|next| now >= next) {
            self.next_enquire = Some(now + every);
            self.push(now, Out::Request(0x15));
        }
    }

    fn push(&self, at: Instant, what: Out) {
        self.push_at_place(at, self.hub.place(), what);
    }

    fn push_at_place(&self, at: Instant, place: u64, what: Out) {
        hold(&self.shared.heap).push(Reverse(Due { at, place, what }));
        self.shared.wake.notify_all();
    }

    fn act(&mut self, seen: Seen, now: Instant, is_over_limit: bool) {
        match seen {
            Seen::Bind { command_id, sequence_number, .. } => {
                self.bind(command_id, sequence_number, is_over_limit, now);
            }
            Seen::Submit(submit) => self.submit(*submit, now),
            Seen::EnquireLink(sequence_number) => {
                self.hub.lock().counts.enquire_links += 1;
                if self.hub.settings.answers_enquire_link {
                    let octets = pdu(0x8000_0015, 0, sequence_number, &[]);
                    self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
                }
            }
            Seen::Unbind(sequence_number) => {
                self.hub.lock().counts.unbinds += 1;
                self.shared.receives.store(false, Ordering::SeqCst);
                if self.hub.settings.answers_unbind {
                    let octets = pdu(0x8000_0006, 0, sequence_number, &[]);
                    self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
                }
            }
            Seen::Answer(0x8000_0006, ..) => {
                self.hub.lock().counts.unbinds_answered += 1;
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push(now, Out::Close);
            }
            Seen::Answer(id, status, _) if id != 0x8000_0015 => {
                let mut state = self.hub.lock();
                state.counts.delivers_answered += 1;
                state.counts.delivers_refused += usize::from(status != 0);
            }
            Seen::Answer(..) => {}
            Seen::Nack(_, sequence_number) => {
                self.hub.lock().counts.nacks += 1;
                if sequence_number == 0 {
                    hold(&self.shared.judge).client_gave_up();
                }
            }
            Seen::Unknown(_, sequence_number) => {
                let octets = pdu(0x8000_0000, 3, sequence_number, &[]);
                self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
            }
        }
    }

    fn bind(&mut self, command_id: u32, sequence_number: u32, is_over_limit: bool, now: Instant) {
        let answer = {
            let mut state = self.hub.lock();
            let binds = &self.hub.settings.binds;
            let answer = binds[state.counts.binds.min(binds.len() - 1)];
            state.counts.binds += 1;
            let answer = if is_over_limit { BindAnswer::Refused(self.hub.settings.over_limit) } else { answer };
            let accepts = matches!(
                answer,
                BindAnswer::Accepted
                    | BindAnswer::OctetByOctet
                    | BindAnswer::GluedWithDeliver
                    | BindAnswer::WithoutVersion
            );
            state.counts.binds_accepted += usize::from(accepts);
            answer
        };
        self.hub.changed.notify_all();
        let id = command_id | 0x8000_0000;
        let mut body = b"independent\0".to_vec();
        if answer != BindAnswer::WithoutVersion {
            body.extend([0x02, 0x10, 0, 1, 0x34]);
        }
        let refusal = match answer {
            BindAnswer::Refused(status) => Some((status, pdu(id, status, sequence_number, &[]))),
            BindAnswer::RefusedWithBody(status) => Some((status, pdu(id, status, sequence_number, b"independent\0"))),
            BindAnswer::Nack => Some((3, pdu(0x8000_0000, 3, sequence_number, &[]))),
            BindAnswer::Silent => return,
            BindAnswer::Banner => {
                self.push(now, Out::Junk(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()));
                return;
            }
            BindAnswer::CloseInstead | BindAnswer::CloseAtOnce => {
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push(now, Out::Close);
                return;
            }
            _ => None,
        };
        if let Some((status, octets)) = refusal {
            self.push(now, Out::Bind { sequence_number, status, octets, octet_by_octet: false });
            return;
        }
        let octet_by_octet = answer == BindAnswer::OctetByOctet;
        let octets = pdu(id, 0, sequence_number, &body);
        if command_id == 2 {
            self.push(now, Out::Bind { sequence_number, status: 0, octets, octet_by_octet });
        } else {
            // A writer that finds both due at once has to write both at once.
            let glued = (answer == BindAnswer::GluedWithDeliver).then(|| inbound("glued to the bind"));
            let mut heap = hold(&self.shared.heap);
            let bind = Out::Bind { sequence_number, status: 0, octets, octet_by_octet };
            heap.push(Reverse(Due { at: now, place: self.hub.place(), what: bind }));
            if let Some(message) = glued {
                heap.push(Reverse(Due { at: now, place: self.hub.place(), what: Out::Receipt(message) }));
            }
            drop(heap);
            self.shared.receives.store(true, Ordering::SeqCst);
            self.shared.wake.notify_all();
        }
        self.happen(0, now);
    }

    /// The events of this moment.
    fn happen(&mut self, after: usize, now: Instant) {
        let events = self.hub.settings.events.iter();
        let due: Vec<Action> = events
            .filter(|event| (event.session == 0 || event.session == self.session) && event.after == after)
            .map(|event| event.action.clone())
            .collect();
        for action in due {
            match action {
                Action::Octets(octets) => self.push(now, Out::Raw(octets)),
                Action::Junk(octets) => self.push(now, Out::Junk(octets)),
                Action::Unbind => {
                    self.shared.receives.store(false, Ordering::SeqCst);
                    self.push(now, Out::Request(6));
                }
                Action::Close => self.push(now, Out::Close),
                Action::Reset => self.push(now, Out::Reset),
                Action::Mute => self.push(now, Out::Mute),
                Action::StopReading => self.reads = false,
                Action::Inbound(text) => self.push(now, Out::Receipt(inbound(&text))),
                Action::Request(id) => self.push(now, Out::Request(id)),
                Action::Nack(status) => self.push(now, Out::Raw(pdu(0x8000_0000, status, 0, &[]))),
                Action::EnquireLink => self.push(now, Out::Request(0x15)),
            }
        }
    }

    fn submit(&mut self, mut submit: Submit, now: Instant) {
        let settings = &self.hub.settings;
        self.submits += 1;
        let (index, number, random) = {
            let mut state = self.hub.lock();
            submit.nth = state.submits.len() + 1;
            let number = state.next_id;
            state.next_id += 1;
            state.submits.push(submit.clone());
            (state.submits.len() - 1, number, state.random())
        };
        let status = if self.is_throttled(now) { 0x58 } else { (settings.status)(&submit) };
        let fate = (settings.fate)(&submit);
        let id = (status == 0).then(|| form(settings.id, number, settings.seed));
        let octets = match (fate, &id) {
            (Fate::Nack(status), _) => pdu(0x8000_0000, status, submit.sequence_number, &[]),
            (_, Some(id)) => {
                let mut body = id.clone().into_bytes();
                body.push(0);
                if settings.unknown_tlvs {
                    body.extend([0x17, 0x77, 0, 3, 1, 2, 3, 0x30, 0x39, 0, 0]);
                }
                pdu(0x8000_0004, 0, submit.sequence_number, &body)
            }
            (_, None) => {
                let body: &[u8] = if settings.error_body { &[0] } else { &[] };
                pdu(0x8000_0004, status, submit.sequence_number, body)
            }
        };
        let status = if let Fate::Nack(status) = fate { status } else { status };
        let id = if matches!(fate, Fate::Nack(_)) { None } else { id };
        if matches!(settings.shape, Shape::Early | Shape::EarlyAndAgain) && id.is_some() {
            // Places are given in order: this one is before any of the answer's.
            self.receipt(&submit, number, now, true);
        }
        let (at, place) = self.moment(fate, now, random);
        let answer = Out::SubmitAnswer {
            index,
            status,
            message_id: id.clone(),
            octets,
            is_regular: settings.id != IdForm::Empty,
        };
        match fate {
            Fate::Silent | Fate::SilentWithReceipt => {}
            Fate::ResetBefore => {
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push_at_place(now, 0, Out::Reset);
            }
            _ => self.push_at_place(at, place, answer),
        }
        let has_receipt = (id.is_some() && !matches!(fate, Fate::Silent | Fate::ResetBefore))
            || (status == 0 && fate == Fate::SilentWithReceipt);
        if has_receipt && settings.shape != Shape::Early {
            self.receipt(&submit, number, at, false);
        }
        if fate == Fate::CloseAfter {
            self.shared.cut_by_us.store(true, Ordering::SeqCst);
            self.push(at, Out::Close);
        }
        self.happen(self.submits, now);
    }

    /// When, and in which place among the others of that moment, an answer goes out.
    fn moment(&self, fate: Fate, now: Instant, random: u64) -> (Instant, u64) {
        let settings = &self.hub.settings;
        let mut at = now + settings.answer_delay;
        if let Fate::Late(delay) = fate {
            at += delay;
        }
        let place = self.hub.place();
        if settings.order == Order::AsTheyCame {
            return (at, place);
        }
        // What comes within the same 15 ms is answered together, in another order.
        let start = hold(&self.shared.judge).started();
        let step = Duration::from_millis(15);
        let steps = at.duration_since(start).as_nanos() / step.as_nanos() + 1;
        let at = start + step * u32::try_from(steps).unwrap_or(u32::MAX);
        let place = if settings.order == Order::Reversed { u64::MAX - place } else { random };
        (at, place)
    }

    fn is_throttled(&self, now: Instant) -> bool {
        let limit = self.hub.settings.rate_max;
        if limit == usize::MAX {
            return false;
        }
        let mut state = self.hub.lock();
        state.accepted.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if state.accepted.len() >= limit {
            return true;
        }
        state.accepted.push(now);
        false
    }

    /// Puts the receipts of a message on their way.
    fn receipt(&self, submit: &Submit, number: u64, at: Instant, is_early: bool) {
        let settings = &self.hub.settings;
        let outcome = (settings.outcome)(submit);
        let is_asked_for = match submit.registered_delivery & 3 {
            1 => true,
            2 => outcome != Outcome::Delivered,
            _ => false,
        };
        if settings.shape == Shape::None || outcome == Outcome::Lost || !is_asked_for {
            return;
        }
        let mut receipts = Vec::new();
        if settings.shape == Shape::IntermediateFirst {
            receipts.push(receipt_of(settings, submit, number, (1, "ENROUTE", "000")));
        }
        let last = receipt_of(settings, submit, number, outcome.state());
        if settings.shape == Shape::Duplicate {
            receipts.push(last.clone());
        }
        receipts.push(last);
        // Where answers are shuffled, a receipt of the same moment could overtake its answer.
        let shuffled = if settings.order == Order::AsTheyCame { 0 } else { 1 };
        let at = if is_early { at } else { at + Duration::from_millis(shuffled) };
        for receipt in receipts {
            if is_early || settings.receipt_delay.is_zero() {
                self.push(at, Out::Receipt(receipt));
            } else {
                let at = at + settings.receipt_delay;
                let due = Due { at, place: self.hub.place(), what: receipt };
                self.hub.lock().receipts.push(Reverse(due));
            }
        }
    }
}

struct Writer {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    stream: TcpStream,
    next_number: u32,
    is_mute: bool,
    unanswered: BTreeMap<u32, Receipt>,
    /// Receipts that were due when the connection failed.
    unwritten: Vec<Receipt>,
}

impl Writer {
    fn run(mut self) {
        while !self.shared.ended.load(Ordering::SeqCst) {
            let due = self.due();
            if !due.is_empty() && self.write(due).is_err() {
                break;
            }
        }
        let _ = self.stream.shutdown(Shutdown::Both);
        self.leave_behind();
    }

    /// Everything that is due by now, in order. Waits a little when nothing is.
    fn due(&mut self) -> Vec<Out> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut heap = hold(&self.shared.heap);
        while heap.peek().is_some_and(|Reverse(next)| next.at <= now) {
            due.extend(heap.pop().map(|Reverse(next)| next.what));
        }
        let can_receive = self.shared.receives.load(Ordering::SeqCst) && !self.is_mute;
        let mut wait = Duration::from_millis(5);
        if let Some(Reverse(next)) = heap.peek() {
            wait = wait.min(next.at.saturating_duration_since(now)).max(Duration::from_micros(100));
        }
        if due.is_empty() {
            drop(self.shared.wake.wait_timeout(heap, wait));
        } else {
            drop(heap);
        }
        if can_receive && hold(&self.shared.judge).is_bound() {
            let mut state = self.hub.lock();
            while state.receipts.peek().is_some_and(|Reverse(next)| next.at <= now) {
                due.extend(state.receipts.pop().map(|Reverse(next)| Out::Receipt(next.what)));
            }
        }
        due
    }

    /// Puts the PDUs on the wire. The judge hears of each before the client can.
    fn write(&mut self, due: Vec<Out>) -> std::io::Result<()> {
        let mut due = due.into_iter();
        let written = self.write_each(&mut due);
        // Those behind the one that failed.
        self.unwritten.extend(due.filter_map(|out| match out {
            Out::Receipt(receipt) => Some(receipt),
            _ => None,
        }));
        written
    }

    fn write_each(&mut self, due: &mut std::vec::IntoIter<Out>) -> std::io::Result<()> {
        let mut together = Vec::new();
        let waiting = due.as_slice();
        let is_glued = waiting.iter().any(|out| matches!(out, Out::Bind { .. })) && waiting.len() > 1;
        for out in due {
            let mut octet_by_octet = false;
            let (octets, is_regular) = match out {
                Out::Answer { sequence_number, octets, is_regular } => {
                    hold(&self.shared.judge).answered(sequence_number);
                    (octets, is_regular)
                }
                Out::SubmitAnswer { index, status, message_id, octets, is_regular } => {
                    if self.is_mute {
                        continue;
                    }
                    let mut state = self.hub.lock();
                    let submit = &mut state.submits[index];
                    submit.status = Some(status);
                    submit.message_id = message_id;
                    let number = submit.sequence_number;
                    drop(state);
                    hold(&self.shared.judge).answered(number);
                    (octets, is_regular)
                }
                Out::Bind { sequence_number, status, octets, octet_by_octet: slowly } => {
                    octet_by_octet = slowly;
                    hold(&self.shared.judge).bind_answered(sequence_number, status);
                    (octets, true)
                }
                Out::Receipt(receipt) => {
                    let number = self.number(receipt.command_id);
                    let octets = pdu(receipt.command_id, 0, number, &receipt.body);
                    let is_regular = receipt.is_regular;
                    self.hub.lock().counts.delivers += 1;
                    self.unanswered.insert(number, receipt);
                    (octets, is_regular)
                }
                Out::Request(id) => {
                    let number = self.number(id);
                    (pdu(id, 0, number, &[]), matches!(id, 6 | 0x15))
                }
                Out::Raw(octets) => (octets, false),
                Out::Junk(octets) => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    hold(&self.shared.judge).junk_was_sent();
                    self.is_mute = true;
                    if !together.is_empty() {
                        self.stream.write_all(&together)?;
                        together.clear();
                    }
                    self.stream.write_all(&octets)?;
                    continue;
                }
                Out::Mute => {
                    self.is_mute = true;
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    continue;
                }
                Out::Close => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    self.stream.write_all(&together)?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Out::Reset => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    self.stream.write_all(&together)?;
                    return Err(ErrorKind::ConnectionReset.into());
                }
            };
            if self.is_mute {
                continue;
            }
            if is_regular {
                self.check_ours(&octets);
            }
            if octet_by_octet {
                for octet in octets {
                    self.stream.write_all(&[octet])?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                continue;
            }
            match self.hub.settings.writing {
                _ if is_glued => together.extend(octets),
                Writing::Normal => self.stream.write_all(&octets)?,
                Writing::Coalesced => together.extend(octets),
                Writing::Fragmented => self.write_in_pieces(&octets)?,
            }
        }
        self.stream.write_all(&together)
    }

    fn write_in_pieces(&mut self, octets: &[u8]) -> std::io::Result<()> {
        let random = self.hub.lock().random();
        let piece_max = match random % 8 {
            0 => 1,
            1 => 4,
            2 => 17,
            _ => 64,
        };
        let mut rest = octets;
        let mut dice = random >> 8;
        while !rest.is_empty() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let length = (1 + (dice >> 33) as usize % piece_max).min(rest.len());
            self.stream.write_all(&rest[..length])?;
            rest = &rest[length..];
            std::thread::sleep(Duration::from_micros(20));
        }
        Ok(())
    }

    /// A number for a request of ours. They start at 1, as the client's do: the directions are apart.
    fn number(&mut self, command_id: u32) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        // Nobody answers an alert_notification; an unknown request is answered by generic_nack.
        if matches!(command_id, 5 | 6 | 0x15 | 0x103) {
            hold(&self.shared.judge).asked(command_id, number, Instant::now());
        }
        number
    }

    /// The SMSC must not err where it is not meant to.
    fn check_ours(&self, octets: &[u8]) {
        let decoded = Command::<16>::decode(&octets[4..], octets.len() - 4);
        if !decoded.as_ref().is_ok_and(|(_, size)| *size == octets.len() - 4) {
            self.hub.lock().violations.push(format!("the SMSC itself wrote {octets:02X?}: {decoded:?}"));
        }
    }

    /// Receipts that were not written or not answered go to another session.
    fn leave_behind(&mut self) {
        if !self.hub.settings.redeliver {
            return;
        }
        let judge = hold(&self.shared.judge);
        let mut left = std::mem::take(&mut self.unwritten);
        left.extend(self.unanswered.iter().filter(|(number, _)| judge.is_asked(**number)).map(|(_, r)| r.clone()));
        drop(judge);
        for Reverse(due) in hold(&self.shared.heap).drain() {
            if let Out::Receipt(receipt) = due.what {
                left.push(receipt);
            }
        }
        let mut state = self.hub.lock();
        for receipt in left {
            let at = Instant::now();
            state.receipts.push(Reverse(Due { at, place: self.hub.place(), what: receipt }));
        }
    }
}

/// A PDU by hand.
pub fn pdu(command_id: u32, status: u32, sequence_number: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(16 + body.len());
    for field in [16 + body.len() as u32, command_id, status, sequence_number] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend(body);
    octets
}

fn form(form: IdForm, number: u64, seed: u64) -> String {
    match form {
        IdForm::Decimal => number.to_string(),
        IdForm::HexLower => format!("{:x}", number + 0xABC_0000),
        IdForm::HexUpper => format!("{:X}", number + 0xABC_0000),
        IdForm::Padded => format!("{number:010}"),
        IdForm::Uuid => format!("{seed:08x}-0000-4000-8000-{number:012x}"),
        IdForm::SixtyFour => format!("{number:064}"),
        IdForm::Same => "1".into(),
        IdForm::Empty => String::new(),
    }
}

/// A message from a handset.
fn inbound(text: &str) -> Receipt {
    let body = deliver_body(0, "447700900999", "2777", text.as_bytes());
    Receipt { command_id: 5, body, is_regular: true }
}

fn deliver_body(esm_class: u8, source: &str, destination: &str, text: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(source.as_bytes());
    body.extend([0, 1, 1]);
    body.extend(destination.as_bytes());
    body.extend([0, esm_class, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend(text);
    body
}

fn receipt_of(settings: &Settings, submit: &Submit, number: u64, (state, stat, error): (u8, &str, &str)) -> Receipt {
    let in_answer = form(settings.id, number, settings.seed);
    let id = match settings.shape {
        Shape::HexThenDecimal => {
            u64::from_str_radix(&in_answer, 16).map_or(in_answer.clone(), |number| number.to_string())
        }
        Shape::DecimalThenHex => format!("{number:X}"),
        Shape::Padded => format!("{in_answer:0>14}"),
        _ => in_answer,
    };
    let shown: String = submit.text.chars().filter(|c| matches!(c, ' '..='~')).take(20).collect();
    let dlvrd = u8::from(state == 2);
    let text = match settings.shape {
        Shape::TlvOnly => String::new(),
        Shape::Odd => format!(
            "Id:{id} Sub:1 Dlvrd:{dlvrd} Submit Date:20260101120000 done date:260101120030 Stat:{} err:{error} Text:{shown}",
            stat.to_lowercase()
        ),
        _ => format!(
            "id:{id} sub:001 dlvrd:00{dlvrd} submit date:2601011200 done date:2601011201 stat:{stat} err:{error} \
             text:{shown}"
        ),
    };
    let mut tlvs = Vec::new();
    if !matches!(settings.shape, Shape::TextOnly | Shape::Odd) {
        let nul: &[u8] = if settings.shape == Shape::TlvWithoutNul { &[] } else { &[0] };
        tlvs.extend([0x00, 0x1E]);
        tlvs.extend((id.len() as u16 + nul.len() as u16).to_be_bytes());
        tlvs.extend(id.as_bytes());
        tlvs.extend(nul);
        tlvs.extend([0x04, 0x27, 0, 1, state]);
    }
    if settings.unknown_tlvs {
        tlvs.extend([0x17, 0x77, 0, 3, 1, 2, 3]);
    }
    let esm_class = if state == 1 { 0x20 } else { 0x04 };
    let source = submit.destination.as_str();
    let destination = if submit.source.is_empty() { "0" } else { submit.source.as_str() };
    let is_regular = settings.shape != Shape::TlvWithoutNul;
    if settings.shape == Shape::DataSm {
        let mut body = vec![0, 1, 1];
        body.extend(source.as_bytes());
        body.extend([0, 1, 1]);
        body.extend(destination.as_bytes());
        body.extend([0, esm_class, 0, 0]);
        body.extend(&tlvs);
        body.extend([0x04, 0x24]);
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
        return Receipt { command_id: 0x103, body, is_regular };
    }
    let mut body = deliver_body(esm_class, source, destination, text.as_bytes());
    body.extend(tlvs);
    Receipt { command_id: 5, body, is_regular }
}
