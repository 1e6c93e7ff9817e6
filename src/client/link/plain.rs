//! Sockets without anything on top: reads with a time limit, writes with a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Waits as long as the socket's read timeout says: `None` when nothing came, `Some(0)` when the peer has closed.
pub fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.read(buffer) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if is_timeout(&error) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes all of `octets`, or fails when that takes longer than `timeout`, which is the socket's write timeout too.
pub fn write(mut stream: &TcpStream, mut octets: &[u8], timeout: Duration) -> io::Result<()> {
    let deadline = Instant::now() + timeout;
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => octets = &octets[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return Err(stalled(timeout)),
            Err(error) => return Err(error),
        }
        if !octets.is_empty() && Instant::now() >= deadline {
            return Err(stalled(timeout));
        }
    }
    Ok(())
}

/// Whether a time limit is what ended a call.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn stalled(timeout: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the peer took no octets for the write timeout ({timeout:?})"))
}
