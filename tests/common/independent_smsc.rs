//! An SMSC for tests. It shares no code with the crate, judges every octet that it gets, and misbehaves as it is told to.
//!
//! Each connection has a thread that reads, judges and decides, and one that writes what is due. What outlives a
//! connection (the ledger, receipts on their way, violations) is in one place behind a lock.

mod connection;
mod pdus;
mod settings;
mod writer;

use super::judge::{Judge, Seen, Submit};
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use connection::Connection;
use pdus::{form, inbound, receipt_of};
use writer::Writer;

pub use pdus::pdu;
pub use settings::*;

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
