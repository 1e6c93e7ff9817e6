//! A connection in two halves: one thread reads, another writes. The only place that knows sockets and TLS.
//!
//! - [`certificate`] what an operator wants to know of a certificate; [`verify`] whether it is trusted, and why not
//! - [`tls`] TLS over the two halves of a socket; [`door`] the other side, for the simulator

use std::fmt;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

pub mod certificate;
pub mod door;
mod plain;
pub mod tls;
pub mod verify;

pub use tls::{Tls, TlsError, TlsFacts, TlsOptions, parse_pin};

/// Why no connection came about.
#[derive(Debug)]
pub enum ConnectError {
    /// The host has no address.
    Resolve(String, io::Error),
    /// None of its addresses took the connection; the last one's answer.
    Connect(SocketAddr, io::Error),
    /// The address took the connection, but not as TLS, or not with a certificate that can be trusted.
    Tls(SocketAddr, TlsError),
}

impl ConnectError {
    /// Whether trying again the same way cannot help and would be hammering.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Tls(_, error) if error.is_final())
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(host, error) => write!(f, "the host {host} has no address: {error}"),
            Self::Connect(address, error) if error.kind() == io::ErrorKind::TimedOut => {
                write!(f, "{address} did not answer within the connect timeout (is your address whitelisted?)")
            }
            Self::Connect(address, error) if error.kind() == io::ErrorKind::ConnectionRefused => write!(
                f,
                "{address} refuses connections: check host and port, and that the provider has whitelisted your address"
            ),
            Self::Connect(address, error) => write!(f, "{address}: {error}"),
            Self::Tls(address, error) => write!(f, "{address}: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// What made a read or write fail, where it was TLS.
pub fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Where to connect to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Name or address.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// TLS; `None`: in the clear.
    pub tls: Option<&'a Tls>,
    /// For the TCP connection to an address, and the TLS handshake with it.
    pub timeout: Duration,
    /// For the peer to take what is written, later on.
    pub write_timeout: Duration,
}

/// A connection that came about.
#[derive(Debug)]
pub struct Connected {
    /// Reads.
    pub reader: ReadHalf,
    /// Writes.
    pub writer: WriteHalf,
    /// Which of the host's addresses it is.
    pub peer: SocketAddr,
    /// What TLS agreed on; `None`: in the clear.
    pub tls: Option<TlsFacts>,
}

/// Connects to the first address of the host that answers, each within the timeout. A dead IPv6 address costs one such
/// wait. A certificate that is not trusted ends the search: the host is what it is.
pub fn connect(target: Target<'_>) -> Result<Connected, ConnectError> {
    let unresolved = |error| ConnectError::Resolve(target.host.to_owned(), error);
    let addresses = (target.host, target.port).to_socket_addrs().map_err(unresolved)?;
    first_of(addresses, target, unresolved(io::Error::other("the name resolves to nothing")))
}

/// The first of these addresses that answers; `last`: the error where there is none.
fn first_of(
    addresses: impl IntoIterator<Item = SocketAddr>,
    target: Target<'_>,
    mut last: ConnectError,
) -> Result<Connected, ConnectError> {
    for address in addresses {
        let deadline = Instant::now() + target.timeout;
        let stream = match TcpStream::connect_timeout(&address, target.timeout) {
            Ok(stream) => stream,
            Err(error) => {
                last = ConnectError::Connect(address, error);
                continue;
            }
        };
        match halves(target, stream, address, deadline) {
            Ok(connected) => return Ok(connected),
            Err(error) if error.is_final() => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn halves(
    target: Target<'_>,
    stream: TcpStream,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Connected, ConnectError> {
    let broken = |error| ConnectError::Connect(peer, error);
    // Small PDUs must not wait for each other's acknowledgements.
    stream.set_nodelay(true).map_err(broken)?;
    stream.set_write_timeout(Some(target.write_timeout)).map_err(broken)?;
    let agreed = match target.tls {
        None => None,
        Some(tls) => Some(
            tls.shake_hands(target.host, &stream, deadline, target.timeout)
                .map_err(|error| ConnectError::Tls(peer, error))?,
        ),
    };
    let reader = stream.try_clone().map_err(broken)?;
    let (reader, writer, tls) = match agreed {
        None => (Reading::Plain(reader), Writing::Plain(stream), None),
        Some((state, facts)) => (
            Reading::Tls(tls::ReadHalf::new(reader, state.clone())),
            Writing::Tls(tls::WriteHalf::new(stream, state)),
            Some(facts),
        ),
    };
    let writer = WriteHalf { inner: writer, timeout: target.write_timeout };
    Ok(Connected { reader: ReadHalf(reader), writer, peer, tls })
}

/// The half that reads.
#[derive(Debug)]
pub struct ReadHalf(Reading);

#[derive(Debug)]
enum Reading {
    Plain(TcpStream),
    Tls(tls::ReadHalf),
}

impl ReadHalf {
    /// Waits up to the timeout for octets: `None` when none came, `Some(0)` when the peer has closed.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.0 {
            Reading::Plain(stream) => plain::read(stream, buffer),
            Reading::Tls(half) => half.read(buffer),
        }
    }

    /// How long [`read`](Self::read) waits.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let stream = match &self.0 {
            Reading::Plain(stream) => stream,
            Reading::Tls(half) => &half.stream,
        };
        stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    /// What was read has to be answered below SMPP: the writer's thread is to be woken.
    pub fn owes_writing(&self) -> bool {
        match &self.0 {
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
}

#[derive(Debug)]
enum Writing {
    Plain(TcpStream),
    Tls(tls::WriteHalf),
}

impl WriteHalf {
    /// Writes all of `octets`, or fails when that takes longer than the write timeout.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
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

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn target(host: &str, port: u16) -> Target<'_> {
        let timeout = Duration::from_secs(20);
        Target { host, port, tls: None, timeout, write_timeout: timeout }
    }

    #[test]
    fn f21_the_second_address_of_a_host_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = listener.local_addr().unwrap();
        // Nobody listens at that port of the first.
        let refusing = SocketAddr::new([127, 0, 0, 2].into(), listening.port());
        let nothing = || ConnectError::Resolve("two.example".into(), io::ErrorKind::NotFound.into());
        let target = target("two.example", listening.port());
        let connected = first_of([refusing, listening], target, nothing()).unwrap();
        assert_eq!(connected.peer, listening);
        let error = first_of([refusing], target, nothing()).unwrap_err();
        assert!(matches!(error, ConnectError::Connect(address, _) if address == refusing), "{error}");
        assert!(matches!(first_of([], target, nothing()), Err(ConnectError::Resolve(..))));
    }

    #[test]
    fn f21_a_host_without_an_address_is_named() {
        // No resolver asks for a name with a part this long, so that none has to be there.
        let host = format!("{}.invalid", "a".repeat(64));
        let error = connect(target(&host, 9)).unwrap_err();
        assert!(matches!(&error, ConnectError::Resolve(named, _) if *named == host), "{error}");
    }
}
