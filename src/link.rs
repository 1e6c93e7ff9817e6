//! A connection in two halves: one thread reads, another writes. The only place that knows sockets.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Why no connection came about.
#[derive(Debug)]
pub enum ConnectError {
    /// The host has no address.
    Resolve(String, io::Error),
    /// None of its addresses took the connection; the last one's answer.
    Connect(SocketAddr, io::Error),
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
        }
    }
}

impl std::error::Error for ConnectError {}

/// The half that reads.
#[derive(Debug)]
pub struct ReadHalf(TcpStream);

/// The half that writes.
#[derive(Debug)]
pub struct WriteHalf {
    stream: TcpStream,
    timeout: Duration,
}

/// Connects to the first address of `host` that answers, each within `timeout`. A dead IPv6 address costs one such wait.
pub fn connect(
    host: &str,
    port: u16,
    timeout: Duration,
    write_timeout: Duration,
) -> Result<(ReadHalf, WriteHalf, SocketAddr), ConnectError> {
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| ConnectError::Resolve(host.to_owned(), error))?.collect();
    let mut last = ConnectError::Resolve(host.to_owned(), io::Error::other("the name resolves to nothing"));
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout).and_then(|stream| halves(stream, write_timeout)) {
            Ok((reader, writer)) => return Ok((reader, writer, address)),
            Err(error) => last = ConnectError::Connect(address, error),
        }
    }
    Err(last)
}

fn halves(stream: TcpStream, timeout: Duration) -> io::Result<(ReadHalf, WriteHalf)> {
    // Small PDUs must not wait for each other's acknowledgements.
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(timeout))?;
    let reader = stream.try_clone()?;
    Ok((ReadHalf(reader), WriteHalf { stream, timeout }))
}

impl ReadHalf {
    /// Waits up to `timeout` for octets: `None` when none came, `Some(0)` when the peer has closed.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.0.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if is_timeout(&error) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How long [`read`](Self::read) waits.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }
}

impl WriteHalf {
    /// Writes all of `octets`, or fails when that takes longer than the write timeout.
    pub fn write(&mut self, mut octets: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        while !octets.is_empty() {
            match self.stream.write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => octets = &octets[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(stalled(self.timeout)),
                Err(error) => return Err(error),
            }
            if !octets.is_empty() && Instant::now() >= deadline {
                return Err(stalled(self.timeout));
            }
        }
        Ok(())
    }

    /// Ends the connection in both directions; the reader sees it at once.
    pub fn shutdown(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn stalled(timeout: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the peer took no octets for the write timeout ({timeout:?})"))
}
