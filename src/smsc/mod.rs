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
//! - Without a ledger, and where nobody can ask what came, nothing is allocated for each message; locks are taken for each batch,
//!   but for that of a limited rate.
//! - Every decision comes from one seed and the number of the session, never from the clock.
//! - What can be changed while it runs is in `behaviour`; a reader looks for a new version of it once for each read. Where nothing
//!   in it concerns single messages, they take the usual path, which is as it was without any of it.
//!
//! # Testing a client in the same process
//!
//! This module is public besides [`wire`](crate::wire): a test starts an SMSC, has the client connect to it, and waits for what is to
//! come, without sleeping and without another process. Here the client is a few lines of `wire`:
//!
//! ```
//! use smppost::smsc::{Filter, Inbound, Pattern, Rule, Settings, Smsc};
//! use smppost::wire::{Address, Bind, BindKind, CommandStatus, Pdu, Sm, encode};
//! use std::io::Write;
//! use std::time::Duration;
//!
//! let rules = vec!["to=*001: state=UNDELIV err=5".parse::<Rule>()?];
//! let smsc = Smsc::start(Settings { rules, ..Settings::for_tests() })?;
//!
//! let mut client = std::net::TcpStream::connect(smsc.local_addr())?;
//! let bind = Bind { kind: BindKind::Transceiver, system_id: b"acme", password: b"secret", system_type: b"", interface_version: 0x34,
//!     addr_ton: 0, addr_npi: 0, address_range: b"" };
//! let to = |number: &'static [u8]| Sm { source: Address::new(5, 0, b"Me"), destination: Address::new(1, 1, number),
//!     short_message: b"Hello", ..Sm::default() };
//! let mut octets = Vec::new();
//! encode(&Pdu::Bind(bind), 1, CommandStatus::OK, &mut octets)?;
//! encode(&Pdu::SubmitSm(to(b"447700900001")), 2, CommandStatus::OK, &mut octets)?;
//! encode(&Pdu::SubmitSm(to(b"447700900002")), 3, CommandStatus::OK, &mut octets)?;
//! client.write_all(&octets)?;
//!
//! let delivered = smsc.wait_for(&Filter::all().state("delivered"), 1, Duration::from_secs(30))?;
//! assert_eq!((&*delivered[0].fields.destination, &*delivered[0].fields.text), ("447700900002", "Hello"));
//! let failed: Pattern = "*001".parse()?;
//! smsc.wait_for(&Filter::all().to(failed).state("undelivered"), 1, Duration::from_secs(30))?;
//! assert_eq!(smsc.ledger().len(), 2);
//!
//! smsc.inbound(&Inbound { from: "447700900001".into(), to: "12345".into(), text: "STOP".into(), ..Inbound::default() })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod acceptor;
mod account;
mod behaviour;
mod bind;
mod checks;
mod clock;
mod control;
mod delay;
mod deliveries;
mod desk;
mod error;
mod faults;
mod history;
mod ids;
mod inbound;
mod ledger;
pub(crate) mod limits;
mod manage;
mod message;
mod message_store;
mod multi;
mod pattern;
mod rate;
mod reader;
mod reassembly;
mod receipts;
mod record_submit;
mod rules;
mod scenario;
mod session;
pub(crate) mod settings;
mod shared;
mod stats;
mod steps;
mod submit;
mod writer;

use crate::record::Recorder;
use crate::words::BadValue;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use crate::smsc::message_store::Kept;
use acceptor::{accept, spawn};
use behaviour::Behaviours;
pub use behaviour::{Change, RateLimit};
use control::Control;
pub use delay::Delay;
use desk::Desk;
pub use error::SmscError;
pub use faults::Faults;
pub use history::Filter;
use history::History;
pub use ids::{IdForm, ReceiptIdForm};
pub use inbound::{Inbound, InboundError, InboundFile, InboundMessage, InboundState, To};
use ledger::Ledger;
pub use limits::Limit;
pub use message::{Fields, Message, Receipt, Tlv};
pub use pattern::Pattern;
pub use rules::Rule;
pub use scenario::{ScenarioError, Version};
pub use settings::{AccountSettings, Every, Outcomes, Password, Quirks, Settings};
pub use shared::{Alert, OutbindTo, SessionInfo, Which};
use shared::{Shared, number_from_clock};
use stats::Counters;
pub use stats::Stats;
pub use steps::Step;

/// How long sessions have to answer the unbind of a stopping simulator.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end waits for threads that are cut off.
const FAREWELL: Duration = Duration::from_secs(5);

/// Messages that are remembered for the control, where nothing is said.
const REMEMBER: usize = 10_000;

/// A running simulator. Dropping it cuts all connections; [`stop`](Self::stop) says goodbye.
#[derive(Debug)]
pub struct Smsc {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    /// Gives the threads of all sessions once it ends.
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
    threads: Vec<JoinHandle<()>>,
    control: Option<Control>,
    /// Dropped when it ends: what waits hears of it.
    ends: Option<Sender<()>>,
}

/// Not so many messages came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} of {wanted} messages came in time")]
pub struct TimedOut {
    /// How many there were.
    pub found: usize,
    /// How many were waited for.
    pub wanted: usize,
}

impl Smsc {
    /// Listens, and serves from threads of its own.
    ///
    /// # Errors
    /// The address is not loopback and `expose_to_network` is not set; a port cannot be had; the ledger cannot be
    /// opened; a step or a message from a handset is wrong; no thread can be started.
    pub fn start(mut settings: Settings) -> Result<Smsc, SmscError> {
        if settings.control.is_some() && settings.remember == 0 {
            settings.remember = REMEMBER;
        }
        let listen = settings.listen;
        for address in [Some(listen), settings.control].into_iter().flatten() {
            if !address.ip().is_loopback() && !settings.expose_to_network {
                return Err(SmscError::NotLoopback(address));
            }
        }
        for step in &settings.steps {
            step.check().map_err(|error| SmscError::Scenario(error.into()))?;
        }
        let for_people = settings.ledger_for_people;
        let open = |path: &std::path::PathBuf| {
            Ledger::open(path, for_people).map_err(|source| SmscError::Ledger { path: path.clone(), source })
        };
        let ledger = settings.ledger.as_ref().map(open).transpose()?;
        let listener = TcpListener::bind(listen).map_err(|source| SmscError::Listen { listen, source })?;
        let local_addr = listener.local_addr().map_err(|source| SmscError::Listen { listen, source })?;
        let recorder = settings.record.as_ref().map(Recorder::start).transpose();
        let recorder = recorder.map_err(|error| SmscError::Record(error.into()))?;
        let first_number = settings.first_message_id.unwrap_or_else(number_from_clock);
        let shared = Arc::new(Shared {
            started: Instant::now(),
            counters: Counters::default(),
            behaviours: Behaviours::new(&settings),
            ledger,
            history: (settings.remember > 0).then(|| History::new(settings.remember)),
            kept: (settings.keep_messages > 0).then(|| Mutex::new(Kept::new(settings.keep_messages))),
            desk: Desk::new(settings.inbound.as_ref()),
            next_number: AtomicU64::new(first_number),
            next_session: AtomicU64::new(1),
            accounts: Mutex::default(),
            sessions: Mutex::default(),
            threads: Mutex::default(),
            stopping: AtomicBool::new(false),
            resets: AtomicU64::new(0),
            recorder,
            settings,
        });
        let names = shared.settings.steps.iter().flat_map(Step::accounts);
        let of_handsets = shared.settings.inbound.iter().flat_map(|file| &file.messages);
        for name in names.chain(of_handsets.filter_map(|message| message.system_id.as_deref())) {
            shared.check_account(Some(name)).map_err(|error| SmscError::Scenario(error.into()))?;
        }
        let control = match shared.settings.control {
            None => None,
            Some(listen) => Some(Control::start(&shared, listen, local_addr)?),
        };
        let (ends, ended) = bounded(0);
        let mut threads = Vec::new();
        if !shared.settings.steps.is_empty() {
            let shared = Arc::clone(&shared);
            let steps = spawn("smsc-steps", move || steps::run(&shared, &ended)).map_err(SmscError::Thread)?;
            threads.push(steps);
        }
        let for_acceptor = Arc::clone(&shared);
        let acceptor = spawn("smsc-accept", move || accept(&for_acceptor, &listener)).map_err(SmscError::Thread)?;
        Ok(Smsc { shared, local_addr, acceptor: Some(acceptor), threads, control, ends: Some(ends) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Cuts all connections as a dying SMSC would, without an unbind; new ones are welcome.
    pub fn cut_connections(&self) {
        self.shared.cut(&Which::All);
    }

    /// Sends unbind on all bound sessions, as an SMSC before its maintenance does.
    pub fn unbind_all(&self) {
        self.shared.unbind(&Which::All);
    }

    /// Where the control over HTTP listens, if it was asked for.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Control::local_addr)
    }

    /// The sessions as they stand.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.shared.session_infos()
    }

    /// The messages that came and fit, in their order; none unless [`Settings::remember`] is set.
    pub fn messages(&self, filter: &Filter) -> Vec<Message> {
        let history = self.shared.history.as_ref();
        history.map_or_else(Vec::new, |history| history.find(filter, usize::MAX, self.shared.started.elapsed()))
    }

    /// All messages that came and are remembered, in their order; see [`messages`](Self::messages).
    pub fn ledger(&self) -> Vec<Message> {
        self.messages(&Filter::all())
    }

    /// Waits until so many messages fit, and gives them.
    ///
    /// # Errors
    /// The time is over; how many there were.
    pub fn wait_for(&self, filter: &Filter, count: usize, timeout: Duration) -> Result<Vec<Message>, TimedOut> {
        let until = moment(timeout);
        let Some(history) = &self.shared.history else { return Err(TimedOut { found: 0, wanted: count }) };
        match history.wait(filter, count, until, self.shared.started, &|| false) {
            (_, true) => Ok(self.messages(filter)),
            (found, false) => Err(TimedOut { found, wanted: count }),
        }
    }

    /// Has a handset send a message, and gives the numbers of the messages that come of it (several with `count`). Without a
    /// session that receives, it waits for the first one.
    ///
    /// # Errors
    /// What cannot be sent, and why.
    pub fn inbound(&self, inbound: &Inbound) -> Result<Vec<u64>, BadValue> {
        self.shared.inbound(inbound)
    }

    /// The messages from handsets, and what became of them, in their order.
    pub fn inbound_messages(&self) -> Vec<InboundMessage> {
        self.shared.desk.messages(None, None, usize::MAX)
    }

    /// Changes how all accounts, or one, are treated from now on: faults, limits, rules, outcomes, delays.
    pub fn change(&self, system_id: Option<&str>, change: &Change) {
        self.shared.change(system_id, change);
    }

    /// Cuts connections without an unbind, and says how many.
    pub fn cut(&self, which: &Which) -> usize {
        self.shared.cut(which)
    }

    /// Connects to a client that waits for an outbind.
    ///
    /// # Errors
    /// No connection, or to an address that is not of this machine without `expose_to_network`.
    pub fn outbind(&self, to: &OutbindTo) -> Result<(), BadValue> {
        self.shared.outbind(to)
    }

    /// Tells sessions that a handset can be reached again, and says how many.
    ///
    /// # Errors
    /// What cannot be sent.
    pub fn alert(&self, alert: &Alert) -> Result<usize, BadValue> {
        self.shared.alert(alert)
    }

    /// Goes back to how it was started, and forgets all that came.
    pub fn reset(&self) {
        self.shared.reset();
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
        // Steps and requests end, so that nothing begins any more.
        self.ends = None;
        self.control = None;
        // The acceptor waits in accept: a connection wakes it, and it sees that all is over.
        let mut address = self.local_addr;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        match acceptor.join() {
            Ok(mut threads) => self.threads.append(&mut threads),
            Err(_) => log::error!("smsc: the acceptor panicked"),
        }
    }

    fn end(&mut self) {
        self.close_door();
        self.cut_connections();
        self.threads.append(&mut self.shared.threads.lock());
        // One that writes the ledger to a pipe that nobody reads would never end; it is left behind.
        let until = Instant::now() + FAREWELL;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            if !thread.is_finished() {
                log::error!("smsc: a session does not end: its ledger is written to something that is not read");
                continue;
            }
            if thread.join().is_err() {
                log::error!("smsc: a session panicked");
            }
        }
    }
}

/// The time so long from now; of one that no clock holds, the end of a year.
fn moment(after: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now + YEAR)
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.end();
    }
}
