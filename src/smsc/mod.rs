//! The simulator: an SMSC on loopback that behaves like the reference provider, and misbehaves on request.
//!
//! ```text
//! acceptor --- a connection ---> READER (owns the read half, judges, numbers, records, answers)
//!                                  |  answers: straight to the socket, or to the outbox if the network is full
//!                                  |  receipts: to the account's queue over time
//!                                WRITER (what is left in the outbox, receipts that are due, enquire_link)
//! ```
//!
//! What holds always:
//! - A message is in the ledger before its answer is on the wire.
//! - A receipt is in exactly one place: in its account's queue, or in the window of one session. It leaves the second
//!   only by an answer, and goes back to the first when the session ends, when it stays unanswered, or when the answer
//!   says "later".
//! - Readers never stop reading because a peer does not read; see `session`.
//! - Nothing is allocated for each message; locks are taken for each batch, but for that of a limited rate.
//! - Every decision comes from one seed and the number of the session, never from the clock.
//!
//! ```
//! use smppost::smsc::{Settings, Smsc};
//! let listen = "127.0.0.1:0".parse()?;
//! let smsc = Smsc::start(Settings { listen, rate: None, ..Settings::default() })?;
//! std::net::TcpStream::connect(smsc.local_addr())?;
//! assert_eq!(smsc.stop().binds, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod account;
mod bind;
mod checks;
mod clock;
mod deliveries;
mod faults;
mod ids;
mod ledger;
mod manage;
mod message_store;
mod rate;
mod reader;
mod reassembly;
mod receipts;
mod session;
pub(crate) mod settings;
mod stats;
mod submit;
mod writer;

use crate::record::Recorder;
use crate::words::trouble;
use crate::words::trouble::shown;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::smsc::message_store::Kept;
use crate::wire::{CommandId, CommandStatus, encode_header_only};
use account::Account;
pub use faults::Faults;
pub use ids::{IdForm, ReceiptIdForm};
use ledger::Ledger;
use reader::Reader;
use receipts::{Receipt, ReceiptWriter};
use session::Session;
pub use settings::{DelayRange, Every, Outcomes, Password, Quirks, Settings};
use stats::Counters;
pub use stats::Stats;
use writer::Writer;

/// Connections at a time, bound or not. It bounds the threads; one more is closed at once.
const CONNECTIONS_MAX: usize = 512;
/// How long sessions have to answer the unbind of a stopping simulator.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(1);

/// A running simulator. Dropping it cuts all connections; [`stop`](Self::stop) says goodbye.
#[derive(Debug)]
pub struct Smsc {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    /// Gives the threads of all sessions once it ends.
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
    threads: Vec<JoinHandle<()>>,
}

/// What all threads of a simulator share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    started: Instant,
    counters: Counters,
    ledger: Option<Ledger>,
    kept: Option<Mutex<Kept>>,
    /// Whether a quirk asks which part of a long message a submit is.
    wants_parts: bool,
    next_number: AtomicU64,
    accounts: Mutex<HashMap<Vec<u8>, Arc<Account>>>,
    sessions: Mutex<HashMap<u64, Arc<Session>>>,
    stopping: AtomicBool,
    recorder: Option<Recorder>,
}

impl Smsc {
    /// Listens, and serves from threads of its own.
    ///
    /// # Errors
    /// The address is not loopback and `expose_to_network` is not set; the port cannot be had; the ledger cannot be
    /// opened; no thread can be started.
    pub fn start(settings: Settings) -> Result<Smsc, SmscError> {
        let listen = settings.listen;
        if !listen.ip().is_loopback() && !settings.expose_to_network {
            return Err(SmscError::NotLoopback(listen));
        }
        let ledger = match &settings.ledger {
            None => None,
            Some(path) => Some(Ledger::open(path).map_err(|source| SmscError::Ledger { path: path.clone(), source })?),
        };
        let listener = TcpListener::bind(listen).map_err(|source| SmscError::Listen { listen, source })?;
        let local_addr = listener.local_addr().map_err(|source| SmscError::Listen { listen, source })?;
        let recorder = settings.record.as_ref().map(Recorder::start).transpose().map_err(SmscError::Record)?;
        let quirks = &settings.quirks;
        let first_number = settings.first_message_id.unwrap_or_else(number_from_clock);
        let shared = Arc::new(Shared {
            started: Instant::now(),
            counters: Counters::default(),
            ledger,
            kept: (settings.keep_messages > 0).then(|| Mutex::new(Kept::new(settings.keep_messages))),
            wants_parts: quirks.first_part_only != Every(0) || quirks.last_part_only != Every(0),
            next_number: AtomicU64::new(first_number),
            accounts: Mutex::default(),
            sessions: Mutex::default(),
            stopping: AtomicBool::new(false),
            recorder,
            settings,
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = spawn("smsc-accept", move || accept(&for_acceptor, &listener)).map_err(SmscError::Thread)?;
        Ok(Smsc { shared, local_addr, acceptor: Some(acceptor), threads: Vec::new() })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        let waiting = self.shared.accounts.lock().values().map(|account| account.waiting() as u64).sum();
        Stats { receipts_waiting: waiting, ..self.shared.counters.snapshot() }
    }

    /// Cuts all connections as a dying SMSC would, without a word; new ones are welcome.
    pub fn cut_connections(&self) {
        self.sessions().iter().for_each(|session| session.end());
    }

    /// Sends unbind on all bound sessions, as an SMSC before its maintenance does.
    pub fn unbind_all(&self) {
        for session in self.sessions() {
            if session.state.lock().bound.is_some() {
                let sequence_number = session.deliveries.lock().next_sequence();
                let mut unbind = Vec::new();
                encode_header_only(CommandId::UNBIND, CommandStatus::OK, sequence_number, &mut unbind);
                session.send(&mut unbind);
            }
        }
    }

    /// Takes no more connections, unbinds the sessions, waits a second for them, and ends. Returns the last counts.
    pub fn stop(mut self) -> Stats {
        self.close_door();
        self.unbind_all();
        let until = Instant::now() + UNBIND_TIMEOUT;
        while self.stats().bound > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.end();
        self.stats()
    }

    /// Ends the acceptor; from then on no session begins.
    fn close_door(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The acceptor waits in accept: a connection wakes it, and it sees that all is over.
        let mut address = self.local_addr;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        match acceptor.join() {
            Ok(threads) => self.threads = threads,
            Err(_) => log::error!("smsc: the acceptor panicked"),
        }
    }

    fn end(&mut self) {
        self.close_door();
        self.cut_connections();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("smsc: a session panicked");
            }
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        self.shared.sessions.lock().values().cloned().collect()
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn account(&self, system_id: &[u8]) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(system_id) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(system_id, &self.settings));
        accounts.insert(system_id.to_vec(), Arc::clone(&account));
        account
    }

    fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    fn receipt_writer(&self, v33: bool) -> ReceiptWriter {
        let settings = &self.settings;
        let form = writer::answer_form(settings.message_id, v33);
        ReceiptWriter::new(form, settings.receipt_id, v33, settings.faults.long_service_type)
    }

    /// Gives the receipt of a message that was cancelled or replaced meanwhile its new fate and text.
    fn apply_cancellation(&self, receipt: &mut Receipt) {
        if let Some(kept) = &self.kept
            && receipt.fate != receipts::Fate::Enroute
        {
            kept.lock().bring_up_to_date(receipt);
        }
    }
}

/// Takes connections until the simulator stops, and gives the threads of those that are left.
fn accept(shared: &Arc<Shared>, listener: &TcpListener) -> Vec<JoinHandle<()>> {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let mut next_id = 1;
    while !shared.stopping.load(Ordering::SeqCst) {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of file descriptors, as a rule: it passes when connections end.
                log::warn!("smsc: accept: {e}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        if threads.len() >= CONNECTIONS_MAX {
            log::warn!("smsc: {peer} is turned away: {CONNECTIONS_MAX} connections already");
            continue;
        }
        log::info!("smsc: session {next_id} from {peer}");
        shared.counters.connections.add(1);
        match open(shared, next_id, stream) {
            Ok(thread) => threads.push(thread),
            Err(e) => {
                log::warn!("smsc: session {next_id}: {e}");
                if let Some(session) = shared.sessions.lock().remove(&next_id) {
                    session.end();
                }
            }
        }
        next_id += 1;
    }
    threads
}

/// Starts the threads of a connection.
fn open(shared: &Arc<Shared>, id: u64, stream: TcpStream) -> io::Result<JoinHandle<()>> {
    let settings = &shared.settings;
    if settings.faults.http_banner {
        (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
    }
    let (came, sent) = match (&shared.recorder, stream.local_addr(), stream.peer_addr()) {
        (Some(recorder), Ok(own), Ok(peer)) => recorder.taps(own, peer, true, false),
        _ => Default::default(),
    };
    let session = Arc::new(Session::new(id, stream, settings.deliver_window, settings.faults.octets, sent)?);
    shared.sessions.lock().insert(id, Arc::clone(&session));
    let writer = Writer::new(Arc::clone(shared), Arc::clone(&session));
    let writer = spawn(&format!("smsc-write-{id}"), move || writer.run())?;
    let mut reader = Reader::new(Arc::clone(shared), Arc::clone(&session), came);
    let shared = Arc::clone(shared);
    spawn(&format!("smsc-read-{id}"), move || {
        reader.run();
        reader.retire();
        if writer.join().is_err() {
            log::error!("smsc: the writer of session {id} panicked");
        }
        reader.leave();
        session.linger();
        session.end();
        shared.sessions.lock().remove(&id);
        log::info!("smsc: session {id} ended");
    })
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// A first message number that a simulator started later is unlikely to use: eight hexadecimal digits, a million
/// numbers for each second, around once an hour.
fn number_from_clock() -> u64 {
    0x1000_0000 + clock::unix_us() % 0xE000_0000
}

/// Why a simulator cannot start or run.
#[derive(Debug)]
pub enum SmscError {
    /// The address is reachable from outside, and nobody said that this is wanted.
    NotLoopback(SocketAddr),
    /// The port cannot be had.
    Listen {
        /// Where it was to listen.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The ledger cannot be opened.
    Ledger {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The record cannot be written.
    Record(String),
    /// The file with the password cannot be used.
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// An option of the command has a value that cannot be used.
    Option {
        /// Which.
        option: &'static str,
        /// Why not.
        reason: String,
    },
    /// No thread can be started.
    Thread(io::Error),
    /// Signals cannot be caught.
    Signals(io::Error),
    /// stdout cannot be written.
    Output(io::Error),
}

impl fmt::Display for SmscError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(listen) => write!(
                f,
                "{listen} is reachable from outside, and anybody could bind there; listen on 127.0.0.1 or add \
                 --expose-to-network"
            ),
            Self::Listen { listen, source } => {
                write!(f, "cannot listen on {listen}: {source} (another --port, or 0 for any free one)")
            }
            Self::Ledger { path, source } => write!(f, "the ledger {}: {}", shown(path), trouble::words(source)),
            Self::Record(reason) => f.write_str(reason),
            Self::PasswordFile { path, reason } => write!(f, "the password file {}: {reason}", shown(path)),
            Self::Option { option, reason } => write!(f, "{option}: {reason}"),
            Self::Thread(source) => write!(f, "cannot start a thread: {source}"),
            Self::Signals(source) => write!(f, "cannot catch signals: {source}"),
            Self::Output(source) => write!(f, "cannot write to stdout: {source}"),
        }
    }
}

impl std::error::Error for SmscError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotLoopback(_) | Self::Record(_) | Self::PasswordFile { .. } | Self::Option { .. } => None,
            Self::Listen { source, .. } | Self::Ledger { source, .. } => Some(source),
            Self::Thread(source) | Self::Signals(source) | Self::Output(source) => Some(source),
        }
    }
}
