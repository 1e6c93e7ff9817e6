//! A record of every PDU of a run (`--record FILE`), as pcapng that Wireshark decodes or as text, for a support case with a
//! provider.
//!
//! A [`Tap`] sits where octets pass between a session and its socket, above TLS. It copies them into a bounded channel and
//! never waits: what does not fit is counted, and the record says where it is missing. One thread cuts them into PDUs, masks
//! passwords, texts and numbers ([`mask()`]), and writes the file ([`mod@file`]). Only a record that is asked for by
//! [`Options::is_certain`] makes the session wait, until each message is on disk.

mod cut;
mod file;
mod keeper;
mod mask;
mod pcapng;
mod text;

use crate::wire::{CommandId, decode_header};
use crate::words::BadValue;
use crossbeam_channel::{Receiver, Sender, bounded};
use cut::Cut;
use keeper::Keeper;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use file::parse_size;
pub use mask::mask;

/// Reads and writes that may wait for the thread, and the octets that they may have together.
const WAITING_MAX: usize = 8_192;
const WAITING_OCTETS_MAX: usize = 32 * 1024 * 1024;
/// How long the end of a run waits for the rest to be written: whoever reads a FIFO may have stopped.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long a record that is to be certain may take for a PDU.
const CERTAIN: Duration = Duration::from_secs(10);

/// What is to be recorded, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file; pcapng where its name ends in `.pcapng`, text otherwise.
    pub path: PathBuf,
    /// Octets after which another file is begun.
    pub size: u64,
    /// How many earlier files are kept beside it.
    pub keep: u32,
    /// Texts and numbers are recorded as they are. Passwords never.
    pub texts: bool,
    /// A message is on disk before it is on the wire, and the session ends where it cannot be.
    pub is_certain: bool,
}

/// Which way octets went, seen from this program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the peer.
    Came,
    /// To the peer.
    Sent,
}

/// A connection, as its record names it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number within the record, from 1.
    number: u64,
    /// This side.
    own: SocketAddr,
    /// The other.
    peer: SocketAddr,
    /// Whether the peer opened it, as it does at an SMSC.
    is_server: bool,
    /// Whether it travelled over TLS. The record is of what is inside.
    is_tls: bool,
}

/// Messages to the thread.
enum Event {
    Opened(Line, u64),
    Octets {
        line: u64,
        way: Way,
        at_ns: u64,
        octets: Vec<u8>,
        /// Something before it was dropped: the first PDU that is whole begins here.
        resumes_at: Option<usize>,
    },
    /// Nothing more comes in this direction.
    Closed {
        line: u64,
        way: Way,
        at_ns: u64,
        /// The side that speaks so said so; otherwise the socket was dropped.
        is_said: bool,
    },
    /// All before it is to be on disk; the answer is why it is not.
    Settle(Sender<io::Result<()>>),
    End,
}

/// What taps and the thread count.
#[derive(Debug, Default)]
struct Counts {
    waiting_octets: AtomicUsize,
    /// PDUs that are missing in the record.
    lost: AtomicU64,
    /// Nothing can be written any more.
    failed: AtomicBool,
    lines: AtomicU64,
}

/// A record that is being written, until the last clone of it is dropped.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    path: PathBuf,
    is_certain: bool,
    events: Sender<Event>,
    counts: Arc<Counts>,
    ended: Receiver<()>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.path).finish()
    }
}

impl Recorder {
    /// Opens the file, which shows whether it can be written, and starts the thread. Nothing is written before the first
    /// connection. Fails in words that say what to do.
    pub fn start(options: &Options) -> Result<Self, BadValue> {
        let file = file::RecordFile::open(options)?;
        let (events, events_out) = bounded(WAITING_MAX);
        let (ending, ended) = bounded(1);
        let counts = Arc::new(Counts::default());
        let keeper = Keeper::new(file, options.texts, options.is_certain, Arc::clone(&counts));
        thread::Builder::new()
            .name("record".into())
            .spawn(move || {
                keeper.run(&events_out);
                drop(ending);
            })
            .map_err(|error| format!("no thread for the record: {error}"))?;
        let (path, is_certain) = (options.path.clone(), options.is_certain);
        Ok(Self(Arc::new(Inner { path, is_certain, events, counts, ended })))
    }

    /// Taps for both directions of a connection that has just come about: what comes, and what is sent.
    pub fn taps(&self, own: SocketAddr, peer: SocketAddr, is_server: bool, is_tls: bool) -> (Tap, Tap) {
        let number = self.0.counts.lines.fetch_add(1, Ordering::Relaxed) + 1;
        let line = Line { number, own, peer, is_server, is_tls };
        let at_ns = now_ns();
        let has_opened = self.0.events.try_send(Event::Opened(line.clone(), at_ns)).is_ok();
        let opening = (!has_opened).then_some((line, at_ns));
        let tap = |way| {
            Tap(Some(Box::new(Tapped {
                line: number,
                opening: opening.clone(),
                way,
                events: self.0.events.clone(),
                counts: Arc::clone(&self.0.counts),
                is_certain: self.0.is_certain && way == Way::Sent,
                cut: Cut::default(),
                has_gap: false,
                is_closed: false,
            })))
        };
        (tap(Way::Came), tap(Way::Sent))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let path = crate::words::trouble::shown(&self.path);
        let in_time = self.events.send_timeout(Event::End, FAREWELL).is_ok();
        if !in_time || self.ended.recv_timeout(FAREWELL) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            log::warn!("the record {path} is not whole: whoever reads it does not read on");
        }
        let lost = self.counts.lost.load(Ordering::Relaxed);
        if lost > 0 {
            let pdus = crate::words::format::count(lost as i64, "PDU");
            log::warn!("the record {path} lacks {pdus}: it could not be written fast enough, or not at all");
        }
    }
}

/// Where octets of one direction pass. Without a recorder it is nothing, and costs nothing.
#[derive(Debug, Default)]
pub struct Tap(Option<Box<Tapped>>);

struct Tapped {
    line: u64,
    /// The thread has not been told of the connection yet: there was no room.
    opening: Option<(Line, u64)>,
    way: Way,
    events: Sender<Event>,
    counts: Arc<Counts>,
    is_certain: bool,
    cut: Cut,
    /// Octets were dropped, and no PDU has begun since.
    has_gap: bool,
    is_closed: bool,
}

impl fmt::Debug for Tapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tapped").field("line", &self.line).field("way", &self.way).finish_non_exhaustive()
    }
}

impl Tap {
    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Notes octets that came, or are about to be written. Fails only where the record is to be certain and is not.
    #[inline]
    pub fn note(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            None => Ok(()),
            Some(tapped) => tapped.note(octets),
        }
    }

    /// Notes that this side of the connection says no more.
    pub fn close(&mut self) {
        if let Some(tapped) = &mut self.0 {
            tapped.close(true);
        }
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl Tapped {
    fn close(&mut self, is_said: bool) {
        if !std::mem::replace(&mut self.is_closed, true) {
            let (line, way, at_ns) = (self.line, self.way, now_ns());
            let _ = self.events.try_send(Event::Closed { line, way, at_ns, is_said });
        }
    }

    #[cold]
    fn note(&mut self, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        let counts = &self.counts;
        let (begun, boundary) = self.cut.follow(octets);
        let waiting = counts.waiting_octets.load(Ordering::Relaxed);
        let is_dropped = counts.failed.load(Ordering::Relaxed)
            || waiting + octets.len() > WAITING_OCTETS_MAX
            || self.has_gap && boundary.is_none();
        let mut sent = false;
        if !is_dropped
            && let Some((line, at_ns)) = &self.opening
            && self.events.try_send(Event::Opened(line.clone(), *at_ns)).is_ok()
        {
            self.opening = None;
        }
        if !is_dropped && self.opening.is_none() {
            counts.waiting_octets.fetch_add(octets.len(), Ordering::Relaxed);
            let resumes_at = if self.has_gap { boundary } else { None };
            let (line, way, at_ns) = (self.line, self.way, now_ns());
            let event = Event::Octets { line, way, at_ns, octets: octets.to_vec(), resumes_at };
            sent = match self.is_certain {
                true => self.events.send_timeout(event, CERTAIN).is_ok(),
                false => self.events.try_send(event).is_ok(),
            };
            if !sent {
                counts.waiting_octets.fetch_sub(octets.len(), Ordering::Relaxed);
            }
        }
        self.has_gap = !sent;
        if !sent {
            counts.lost.fetch_add(begun, Ordering::Relaxed);
        }
        // What measures the link does not wait for the disk.
        if self.is_certain && is_message(octets) { self.settle() } else { Ok(()) }
    }

    /// Waits until all is on disk.
    fn settle(&self) -> io::Result<()> {
        let (reply, replied) = bounded(1);
        let asked = self.events.send_timeout(Event::Settle(reply), CERTAIN).is_ok();
        match replied.recv_timeout(CERTAIN) {
            Ok(Ok(())) if asked => Ok(()),
            Ok(Err(error)) => Err(io::Error::other(format!("the record: {error}"))),
            _ => Err(io::Error::other("the record cannot be written")),
        }
    }
}

/// Whether these octets, which begin with a PDU, begin with a message.
fn is_message(octets: &[u8]) -> bool {
    decode_header(octets).is_some_and(|header| matches!(header.command_id, CommandId::SUBMIT_SM | CommandId::DATA_SM))
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
