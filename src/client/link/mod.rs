//! A connection in two halves: one thread reads, another writes. The only place that knows sockets and TLS.
//!
//! - [`local`] the address of this machine that is gone out from
//! - [`host`] what stands for a host; [`lookup`] names as addresses; [`dial`] all addresses as one list
//! - [`certificate`] what an operator wants to know of a certificate; [`verify`] whether it is trusted, and why not
//! - [`tls`] TLS over the two halves of a socket; [`tls_proxy`] the other side, for the simulator

use crate::record::{Recorder, Tap};
use dial::Candidate;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub mod certificate;
pub mod dial;
pub mod host;
pub mod local;
pub mod lookup;
mod plain;
pub mod tls;
pub mod tls_proxy;
pub mod verify;

pub use dial::Dial;
pub use host::{is_loopback, parse_host};
pub use local::{LocalAddresses, parse_local};
pub use lookup::LookupError;
pub use tls::{Tls, TlsError, TlsFacts, TlsOptions, parse_pin};

/// Why no connection came about. Each names the host or the address.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", self.fact(), with_colon(self.advice()))]
pub enum ConnectError {
    /// The host has no address.
    Resolve(String, LookupError),
    /// The address did not take the connection.
    Connect(String, io::Error),
    /// The address took the connection, but not as TLS, or not with a certificate that can be trusted.
    Tls(String, TlsError),
    /// No connection to that address goes out from the one that is wanted; why.
    Local(String, String),
    /// It was told to stop.
    Stopped,
}

impl ConnectError {
    /// Whether trying again the same way cannot help and would be hammering.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Tls(_, error) => error.is_final(),
            Self::Local(..) => true,
            Self::Resolve(..) | Self::Connect(..) | Self::Stopped => false,
        }
    }

    /// What to do about it; empty: that goes without saying.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Resolve(_, LookupError::Unknown | LookupError::NoAddress) => "is --host spelt right?",
            Self::Resolve(..) => {
                "that says nothing about its spelling: does this machine's resolver work (its network, /etc/resolv.conf)?"
            }
            Self::Connect(_, error) => match error.kind() {
                io::ErrorKind::TimedOut => "is your address whitelisted, and are --host and --port right?",
                io::ErrorKind::ConnectionRefused => {
                    "check --host and --port, and that the provider has whitelisted your address"
                }
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    "has this machine a way there (its network, a VPN)?"
                }
                io::ErrorKind::AddrNotAvailable => "has this machine the address of --local-address now?",
                _ => "",
            },
            Self::Tls(..) | Self::Local(..) | Self::Stopped => "",
        }
    }

    /// What happened, without advice.
    pub fn fact(&self) -> String {
        match self {
            Self::Resolve(host, error) => format!("{host}: {error}"),
            Self::Connect(place, error) => match error.kind() {
                io::ErrorKind::TimedOut => format!("{place} did not answer within the connect timeout"),
                io::ErrorKind::ConnectionRefused => format!("{place} refuses connections"),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    format!("{place} cannot be reached from here")
                }
                _ => format!("{place}: {error}"),
            },
            Self::Tls(place, error) => format!("{place}: {error}"),
            Self::Local(place, why) => format!("{place}: {why}"),
            Self::Stopped => "stopped".into(),
        }
    }
}

/// Advice as it follows a fact.
pub(in crate::client) fn with_colon(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!(": {advice}") }
}

/// What made a read or write fail, where it was TLS.
pub fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Where to connect to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Names or addresses, as [`host::parse_host`] gives them.
    pub hosts: &'a [String],
    /// Port.
    pub port: u16,
    /// Where connections go out from.
    pub local: &'a LocalAddresses,
    /// TLS; `None`: in the clear.
    pub tls: Option<&'a Tls>,
    /// For the TCP connection to an address, for the TLS handshake with it, and for a name to be looked up.
    pub timeout: Duration,
    /// For the peer to take what is written, later on.
    pub write_timeout: Duration,
    /// Records all that passes.
    pub recorder: Option<&'a Recorder>,
}

/// A connection that came about.
#[derive(Debug)]
pub struct Connected {
    /// Reads.
    pub reader: ReadHalf,
    /// Writes.
    pub writer: WriteHalf,
    /// Which of the addresses it is.
    pub peer: SocketAddr,
    /// The same as it is called in words: with the name that it was found by.
    pub place: String,
    /// What TLS agreed on; `None`: in the clear.
    pub tls: Option<TlsFacts>,
}

/// Makes a connection of a socket that was taken, until `deadline`.
fn halves(
    target: &Target<'_>,
    stream: TcpStream,
    candidate: &Candidate,
    deadline: Instant,
    stop: &dyn Fn() -> bool,
) -> Result<Connected, ConnectError> {
    let place = &candidate.place;
    let broken = |error| ConnectError::Connect(place.clone(), error);
    // Small PDUs must not wait for each other's acknowledgements.
    stream.set_nodelay(true).map_err(broken)?;
    stream.set_write_timeout(Some(target.write_timeout)).map_err(broken)?;
    let agreed = match target.tls {
        None => None,
        Some(tls) => {
            let agreed = tls.shake_hands(&candidate.host, &stream, deadline, target.timeout, stop);
            Some(agreed.map_err(|error| match error {
                TlsError::Stopped => ConnectError::Stopped,
                error => ConnectError::Tls(place.clone(), error),
            })?)
        }
    };
    let own = target.recorder.and_then(|_| stream.local_addr().ok());
    let reader = stream.try_clone().map_err(broken)?;
    let (reader, writer, tls) = match agreed {
        None => (Reading::Plain(reader), Writing::Plain(stream), None),
        Some((state, facts)) => (
            Reading::Tls(tls::ReadHalf::new(reader, state.clone())),
            Writing::Tls(tls::WriteHalf::new(stream, state)),
            Some(facts),
        ),
    };
    let taps = target.recorder.zip(own).map(|(to, own)| to.taps(own, candidate.address, false, tls.is_some()));
    let (came, sent) = taps.unwrap_or_default();
    let reader = ReadHalf { inner: reader, tap: came };
    let writer = WriteHalf { inner: writer, timeout: target.write_timeout, tap: sent };
    Ok(Connected { reader, writer, peer: candidate.address, place: place.clone(), tls })
}

/// The half that reads.
#[derive(Debug)]
pub struct ReadHalf {
    inner: Reading,
    tap: Tap,
}

#[derive(Debug)]
enum Reading {
    Plain(TcpStream),
    Tls(tls::ReadHalf),
}

impl ReadHalf {
    /// Waits up to the timeout for octets: `None` when none came, `Some(0)` when the peer has closed.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match &mut self.inner {
            Reading::Plain(stream) => plain::read(stream, buffer),
            Reading::Tls(half) => half.read(buffer),
        };
        if self.tap.is_on() {
            match read {
                Ok(Some(0)) => self.tap.close(),
                Ok(Some(count)) => self.tap.note(buffer.get(..count).unwrap_or_default())?,
                _ => {}
            }
        }
        read
    }

    /// How long [`read`](Self::read) waits.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream().set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    /// Whether there is something to read, or the connection has ended, without waiting for it.
    pub fn has_news(&self) -> bool {
        let mut polled = [PollFd::new(self.stream(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn stream(&self) -> &TcpStream {
        match &self.inner {
            Reading::Plain(stream) => stream,
            Reading::Tls(half) => &half.stream,
        }
    }

    /// What was read has to be answered below SMPP: the writer's thread is to be woken.
    pub fn owes_writing(&self) -> bool {
        match &self.inner {
            Reading::Plain(_) => false,
            Reading::Tls(half) => half.owes_writing(),
        }
    }
}

/// The half that writes.
#[derive(Debug)]
pub struct WriteHalf {
    inner: Writing,
    timeout: Duration,
    tap: Tap,
}

#[derive(Debug)]
enum Writing {
    Plain(TcpStream),
    Tls(tls::WriteHalf),
}

impl WriteHalf {
    /// Writes all of `octets`, or fails when that takes longer than the write timeout.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.tap.note(octets)?;
        match &mut self.inner {
            Writing::Plain(stream) => plain::write(stream, octets, self.timeout),
            Writing::Tls(half) => half.write(octets, self.timeout),
        }
    }

    /// Whether there is something to write below SMPP: writing nothing writes it.
    pub fn owes_writing(&self) -> bool {
        match &self.inner {
            Writing::Plain(_) => false,
            Writing::Tls(half) => half.owes_writing(),
        }
    }

    /// Ends the connection in both directions; the reader sees it at once.
    pub fn shutdown(&mut self) {
        self.tap.close();
        let stream = match &mut self.inner {
            Writing::Plain(stream) => stream,
            Writing::Tls(half) => {
                half.close();
                &mut half.stream
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
    }
}
