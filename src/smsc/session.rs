//! A connection as its threads share it: the outbox, and the rules by which reader and writer use the one socket.
//!
//! The reader must go on reading whatever the peer does, or two peers that both wait for the other to read would wait
//! for ever. So it never blocks on a write for longer than [`WRITE_SLICE`]: what the network does not take at once goes
//! to `pending`, and the session's writer, which may block, sends it. `writing` says who holds the socket; no lock is
//! held over a write. A peer that lets too much pile up is cut off.
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::account::Account;
use super::deliveries::Deliveries;
use super::receipts::{Delivery, DeliveryQueue};
use crate::record::Tap;
use crate::wire::BindKind;

/// How long one write may block. The reader's stall when a peer stops reading is at most this.
pub(super) const WRITE_SLICE: Duration = Duration::from_millis(10);
/// How long a closing session may take to read our last words.
const LINGER: Duration = Duration::from_secs(1);
/// How long a closing session waits for answers that are delayed on purpose.
const DELAYED_MAX: Duration = Duration::from_secs(30);
/// Octets that may wait for a peer that does not read: some three million answers.
const PENDING_OCTETS_MAX: usize = 64 << 20;

/// What reader, writer and the rest of the simulator share of a connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) peer: Option<SocketAddr>,
    /// The same in words.
    pub(super) peer_name: String,
    pub(super) stream: TcpStream,
    /// Whether everything goes out octet by octet.
    octetwise: bool,
    /// Records what is sent.
    sent: Option<Mutex<Sent>>,
    pub(super) state: Mutex<Outbox>,
    /// What a bind settled, before its answer is sent; the writer learns of it afterwards, in `state`.
    pub(super) known: OnceLock<Arc<Bound>>,
    /// Wakes the writer.
    pub(super) changed: Condvar,
    pub(super) deliveries: Mutex<Deliveries>,
    /// What is to be delivered over this session and no other.
    pub(super) own: Mutex<DeliveryQueue>,
    /// Messages that came.
    pub(super) submits: AtomicU64,
    /// Messages that are not answered yet, where a limiter may want to know.
    pub(super) open: AtomicU64,
}

/// What is recorded of the side that sends. It is recorded before it is written, or an answer could stand before its request.
#[derive(Debug)]
struct Sent {
    tap: Tap,
    /// Octets that are recorded and not written yet. They come first whenever something is written.
    ahead: usize,
}

impl Sent {
    fn note(&mut self, octets: &[u8]) -> io::Result<()> {
        if let Some(more) = octets.get(self.ahead..).filter(|more| !more.is_empty()) {
            self.tap.note(more)?;
            self.ahead = octets.len();
        }
        Ok(())
    }
}

/// What waits to be written, and for whom the writer is to look after receipts.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) pending: Vec<u8>,
    /// Answers that are held back on purpose until their time, those of one moment in their order; and for how many messages.
    pub(super) delayed: BTreeMap<(Instant, u64), (Vec<u8>, u64)>,
    /// Tells the delayed ones of one moment apart.
    pub(super) delayed_count: u64,
    /// A thread is writing to the socket and nobody else may.
    pub(super) writing: bool,
    /// The writer waits for `writing` to end.
    pub(super) writer_waits: bool,
    /// Something outside of the outbox changed; the writer is to look.
    pub(super) woken: bool,
    /// Over: both threads are to end.
    pub(super) ended: bool,
    pub(super) bound: Option<Arc<Bound>>,
    /// When the oldest unanswered enquire_link of the SMSC's was sent.
    pub(super) enquired: Option<Instant>,
}

/// What a bind settled.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) account: Arc<Account>,
    pub(super) kind: BindKind,
    /// The version that the client named.
    pub(super) interface_version: u8,
    /// The same in words.
    pub(super) version_name: String,
    /// Version 3.3 or older: no TLVs, hexadecimal ids.
    pub(super) v33: bool,
    /// Version 5.0, and the simulator has it.
    pub(super) v50: bool,
    /// Its receipts have a service_type over its limit.
    pub(super) long_service_type: bool,
}

impl Session {
    /// A session over a connected socket.
    pub(super) fn new(id: u64, stream: TcpStream, window: usize, octetwise: bool, tap: Tap) -> io::Result<Session> {
        let peer = stream.peer_addr().ok();
        let peer_name = peer.map_or_else(String::new, |peer| peer.to_string());
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_SLICE))?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        let sent = tap.is_on().then(|| Mutex::new(Sent { tap, ahead: 0 }));
        let (deliveries, own) = (Mutex::new(Deliveries::new(window)), Mutex::default());
        let (submits, open) = (AtomicU64::new(0), AtomicU64::new(0));
        let known = OnceLock::new();
        Ok(Session {
            known,
            id,
            peer,
            peer_name,
            stream,
            octetwise,
            sent,
            state,
            changed,
            deliveries,
            own,
            submits,
            open,
        })
    }

    /// Queues what is for this session alone.
    pub(super) fn schedule(&self, batch: impl IntoIterator<Item = (Duration, Delivery)>) {
        {
            let mut own = self.own.lock();
            for (due, delivery) in batch {
                own.push(due, delivery);
            }
        }
        self.wake();
    }

    /// What a bind settled, once its answer is on its way; none where there was no bind, or the session ends.
    pub(super) fn bound(&self) -> Option<Arc<Bound>> {
        self.known.get()?;
        let until = Instant::now() + LINGER;
        loop {
            let state = self.state.lock();
            if state.bound.is_some() || state.ended || Instant::now() >= until {
                return state.bound.clone();
            }
            drop(state);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Has the writer look at receipts and timers.
    pub(super) fn wake(&self) {
        let mut state = self.state.lock();
        state.woken = true;
        self.changed.notify_one();
    }

    /// Ends the session: the socket is shut, and both threads notice.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_one();
        if let Some(sent) = &self.sent {
            sent.lock().tap.close();
        }
        // It fails only where there is no connection any more.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends both threads and leaves the socket open, for [`linger`](Self::linger).
    pub(super) fn retire(&self) {
        self.state.lock().ended = true;
        self.changed.notify_one();
    }

    /// Waits until all is sent, and says that nothing more will come.
    pub(super) fn finish(&self) {
        let now = Instant::now();
        let last = self.state.lock().delayed.last_key_value().map_or(now, |((due, _), _)| *due);
        let until = last.min(now + DELAYED_MAX) + LINGER;
        while !self.is_drained() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Gives the peer time to read the last answers: a socket closed with unread octets resets, which can lose them.
    pub(super) fn linger(&self) {
        let until = Instant::now() + LINGER;
        let _ = self.stream.set_read_timeout(Some(LINGER));
        let mut scratch = [0; 4096];
        while Instant::now() < until && matches!((&self.stream).read(&mut scratch), Ok(count) if count > 0) {}
    }

    /// Sends what the reader has gathered, or leaves it to the writer; `octets` is empty afterwards. False when the
    /// session is over.
    pub(super) fn send(&self, octets: &mut Vec<u8>) -> bool {
        if octets.is_empty() {
            return true;
        }
        {
            let mut state = self.state.lock();
            if state.ended {
                return false;
            }
            if state.writing || !state.pending.is_empty() {
                state.pending.append(octets);
                if !state.writing {
                    self.changed.notify_one();
                }
                return state.pending.len() <= PENDING_OCTETS_MAX;
            }
            state.writing = true;
        }
        let outcome = self.write_some(octets);
        let mut state = self.state.lock();
        state.writing = false;
        let Ok(written) = outcome else { return false };
        if written < octets.len() {
            state.pending.splice(..0, octets.drain(written..));
        }
        if !state.pending.is_empty() || state.writer_waits {
            self.changed.notify_one();
        }
        octets.clear();
        true
    }

    /// Holds octets back, each as long as it says, with the number of messages that they answer; the writer sends them.
    pub(super) fn send_later(&self, held: impl IntoIterator<Item = (Duration, Vec<u8>, u64)>) {
        let mut state = self.state.lock();
        let now = Instant::now();
        for (delay, octets, messages) in held {
            state.delayed_count += 1;
            let key = (now + delay, state.delayed_count);
            state.delayed.insert(key, (octets, messages));
        }
        self.changed.notify_one();
    }

    /// Notes that so many messages were answered.
    pub(super) fn note_answered(&self, messages: u64) {
        if messages > 0 {
            self.open.fetch_sub(messages, Ordering::Relaxed);
        }
    }

    /// Whether nothing waits to be written.
    fn is_drained(&self) -> bool {
        let state = self.state.lock();
        state.ended || !state.writing && state.pending.is_empty() && state.delayed.is_empty()
    }

    /// Writes what the network takes within a slice of time, which may be nothing.
    pub(super) fn write_some(&self, octets: &[u8]) -> io::Result<usize> {
        // One octet a segment is the point of this fault: it makes peers put PDUs together.
        let octets = if self.octetwise { &octets[..octets.len().min(1)] } else { octets };
        if let Some(sent) = &self.sent {
            sent.lock().note(octets)?;
        }
        loop {
            match (&self.stream).write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    if let Some(sent) = &self.sent {
                        sent.lock().ahead -= count;
                    }
                    return Ok(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Ok(0),
                Err(e) => return Err(e),
            }
        }
    }
}
