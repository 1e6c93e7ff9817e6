//! From hosts to a connection: all addresses of all hosts are one list, gone through until one of them will do.
//!
//! Connects overlap as in RFC 8305: where an address does not answer, the next is tried 250 ms later beside it. The first
//! that takes the connection is handed out, and what is under way elsewhere is put back: whoever asked says by asking again
//! that it would not do. Nothing here waits without looking whether it is to stop.

use super::lookup::{self, Answer, LookupError};
use super::{ConnectError, Connected, Target};
use crossbeam_channel::{Receiver, Select, TryRecvError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long one address has for itself before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long the first host's name may take before the addresses of the next host are tried.
const NAME_HEAD_START: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop.
pub const LOOK: Duration = Duration::from_millis(50);
/// Addresses under way at a time.
const UNDER_WAY_MAX: usize = 16;

/// An address of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    /// The host that it is one of.
    pub(super) host: String,
    /// As it is called in words: with the name that it was found by.
    pub(super) place: String,
}

/// A connection that is under way.
#[derive(Debug)]
struct Attempt {
    candidate: Candidate,
    stream: TcpStream,
    deadline: Instant,
}

/// A host whose name is being looked up.
struct Name<'a> {
    host: &'a str,
    answer: Receiver<Answer>,
    since: Instant,
}

/// A list of addresses that is gone through.
pub struct Dial<'a> {
    target: Target<'a>,
    /// Whether to stop.
    stop: &'a dyn Fn() -> bool,
    /// Hears what is being waited for.
    tell: &'a dyn Fn(&str),
    names: VecDeque<Name<'a>>,
    ready: VecDeque<Candidate>,
    under_way: Vec<Attempt>,
    /// All addresses that were ever in the list: none comes twice.
    known: Vec<SocketAddr>,
    failed: VecDeque<ConnectError>,
    /// When the last connect was begun; `None`: the next may begin.
    begun: Option<Instant>,
    told: String,
}

impl Iterator for Dial<'_> {
    type Item = Result<Connected, ConnectError>;

    /// The next connection, with TLS where that is wanted, or what the next address or name did instead. `None`: all have
    /// been tried.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if (self.stop)() {
                return Some(Err(ConnectError::Stopped));
            }
            self.take_names();
            self.begin();
            if let Some(error) = self.failed.pop_front() {
                return Some(Err(error));
            }
            self.say();
            match (self.under_way.is_empty(), self.names.front()) {
                (false, _) => {
                    if let Some(attempt) = self.wait() {
                        return Some(self.take(attempt));
                    }
                }
                (true, Some(name)) => {
                    // It stays in the channel for take_names: only its coming is waited for.
                    let mut select = Select::new();
                    select.recv(&name.answer);
                    let _ = select.ready_timeout(LOOK);
                }
                (true, None) if self.ready.is_empty() => return None,
                (true, None) => {}
            }
        }
    }
}

impl<'a> Dial<'a> {
    /// Begins to look the hosts up, anew each time.
    pub fn new(target: Target<'a>, stop: &'a dyn Fn() -> bool, tell: &'a dyn Fn(&str)) -> Self {
        Self::with(target, stop, tell, &lookup::look_up)
    }

    fn with(
        target: Target<'a>,
        stop: &'a dyn Fn() -> bool,
        tell: &'a dyn Fn(&str),
        look_up: &dyn Fn(&str) -> Receiver<Answer>,
    ) -> Self {
        let since = Instant::now();
        let names = target.hosts.iter().map(|host| Name { host, answer: look_up(host), since }).collect();
        Self {
            target,
            stop,
            tell,
            names,
            ready: VecDeque::new(),
            under_way: Vec::new(),
            known: Vec::new(),
            failed: VecDeque::new(),
            begun: None,
            told: String::new(),
        }
    }

    /// Takes in what the resolver answered, in the order of the hosts; a host that takes long is not waited for.
    fn take_names(&mut self) {
        let mut n = 0;
        while let Some(name) = self.names.get(n) {
            let answer = match name.answer.try_recv() {
                Ok(answer) => answer,
                Err(TryRecvError::Disconnected) => Err(LookupError::Other("its thread died".into())),
                Err(TryRecvError::Empty) if name.since.elapsed() >= self.target.timeout => Err(LookupError::Late),
                Err(TryRecvError::Empty) if name.since.elapsed() >= NAME_HEAD_START => {
                    n += 1;
                    continue;
                }
                Err(TryRecvError::Empty) => return,
            };
            let Some(name) = self.names.remove(n) else { return };
            match answer {
                Ok(addresses) => self.add(name.host, addresses),
                Err(error) => self.failed.push_back(ConnectError::Resolve(name.host.into(), error)),
            }
        }
    }

    fn add(&mut self, host: &str, addresses: Vec<SocketAddr>) {
        for mut address in alternating(addresses) {
            address.set_port(self.target.port);
            if !self.known.contains(&address) {
                self.known.push(address);
                let place = match super::host::is_address(host) {
                    true => address.to_string(),
                    false => format!("{} ({address})", super::host::plain(host)),
                };
                self.ready.push_back(Candidate { address, host: host.into(), place });
            }
        }
    }

    /// Begins with the next address, if it is its turn.
    fn begin(&mut self) {
        let is_due = self.begun.is_none_or(|begun| begun.elapsed() >= HEAD_START);
        if !is_due || self.under_way.len() >= UNDER_WAY_MAX {
            return;
        }
        let Some(candidate) = self.ready.pop_front() else { return };
        let local = match self.target.local.for_peer(candidate.address) {
            Ok(local) => local,
            Err(why) => return self.failed.push_back(ConnectError::Local(candidate.place, why.into())),
        };
        match begin_connect(candidate.address, local) {
            Ok(stream) => {
                let now = Instant::now();
                self.begun = Some(now);
                self.under_way.push(Attempt { candidate, stream, deadline: now + self.target.timeout });
            }
            Err(error) => self.fail(candidate, error),
        }
    }

    /// What failed makes way for the next at once.
    fn fail(&mut self, candidate: Candidate, error: io::Error) {
        self.begun = None;
        self.failed.push_back(ConnectError::Connect(candidate.place, error));
    }

    /// Waits a moment for what is under way. Returns the first in the list that is connected.
    fn wait(&mut self) -> Option<Attempt> {
        let now = Instant::now();
        let mut wait = LOOK;
        if let Some(begun) = self.begun.filter(|_| !self.ready.is_empty()) {
            wait = wait.min((begun + HEAD_START).saturating_duration_since(now));
        }
        let mut polled: Vec<PollFd<'_>> =
            self.under_way.iter().map(|attempt| PollFd::new(&attempt.stream, PollFlags::OUT)).collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        let ready = poll(&mut polled, Some(&timeout));
        let is_ready: Vec<bool> = polled.iter().map(|polled| ready.is_ok() && !polled.revents().is_empty()).collect();
        let mut connected = None;
        let now = Instant::now();
        for (attempt, is_ready) in std::mem::take(&mut self.under_way).into_iter().zip(is_ready) {
            if !is_ready || connected.is_some() {
                match attempt.deadline <= now && !is_ready {
                    true => self.fail(attempt.candidate, io::ErrorKind::TimedOut.into()),
                    false => self.under_way.push(attempt),
                }
                continue;
            }
            match rustix::net::sockopt::socket_error(&attempt.stream).map_err(io::Error::from) {
                Ok(Ok(())) => connected = Some(attempt),
                Ok(Err(error)) => self.fail(attempt.candidate, error.into()),
                Err(error) => self.fail(attempt.candidate, error),
            }
        }
        connected
    }

    /// Makes a connection of one that was taken; the others are put back into the list.
    fn take(&mut self, attempt: Attempt) -> Result<Connected, ConnectError> {
        for other in std::mem::take(&mut self.under_way).into_iter().rev() {
            self.ready.push_front(other.candidate);
        }
        self.begun = None;
        let Attempt { candidate, stream, .. } = attempt;
        let at = |error| ConnectError::Connect(candidate.place.clone(), error);
        stream.set_nonblocking(false).map_err(at)?;
        if self.target.tls.is_some() {
            (self.tell)(&format!("shaking hands with {} for TLS", candidate.place));
        }
        let deadline = Instant::now() + self.target.timeout;
        super::halves(&self.target, stream, &candidate, deadline, self.stop)
    }

    /// Says what is being waited for, when that is something else than before.
    fn say(&mut self) {
        let places: Vec<&str> = self.under_way.iter().map(|attempt| attempt.candidate.place.as_str()).collect();
        let hosts: Vec<&str> = self.names.iter().map(|name| name.host).collect();
        let told = match (places.as_slice(), hosts.as_slice()) {
            ([], []) => return,
            ([], hosts) => format!("looking up {}", hosts.join(", ")),
            (places, _) => format!("connecting to {}, no answer so far", places.join(", ")),
        };
        if told != self.told {
            (self.tell)(&told);
            self.told = told;
        }
    }
}

/// The addresses with both families in turn, the first one's first (RFC 8305, section 4).
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first_is_v6) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (same, other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut from, mut to, mut found) = (same, other, Vec::new());
    while let Some(address) = from.pop_front() {
        found.push(address);
        if !to.is_empty() {
            std::mem::swap(&mut from, &mut to);
        }
    }
    found
}

/// A socket that is connecting, from `local` or from where the system has it.
fn begin_connect(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    if let Some(local) = local {
        rustix::net::bind(&socket, &local)?;
    }
    match rustix::net::connect(socket.as_fd(), &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
