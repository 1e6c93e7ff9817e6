//! TLS over a blocking socket, in two halves.
//!
//! rustls cannot be split: its state sits behind a lock that is held for the arithmetic only. The reading thread takes raw
//! octets from its own handle of the socket without the lock, then locks to feed them and to take the plaintext. Only the
//! writing thread writes to the socket: it locks to encrypt, and writes outside. What reading makes rustls want to say
//! (alerts, answers to key updates) is left for the writer, which `ReadHalf::owes_writing` has its thread wake.

mod error;

use super::certificate::Certificate;
use super::dial::LOOK;
use super::host::plain as plain_host;
use super::plain;
use super::verify::Verifier;
use crate::words::trouble::shown;
use crate::words::{BadValue, bad};
use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use error::TlsError;

/// Raw octets read at once.
const RAW_OCTETS: usize = 32 * 1024;
/// How long the goodbye of a connection may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// What an operator can say about TLS.
#[derive(Clone, Default, Debug)]
pub struct TlsOptions {
    /// Only these CAs (PEM) are trusted, instead of the system's and the bundled ones.
    pub ca: Option<PathBuf>,
    /// The name that the certificate must be for, instead of the host's.
    pub server_name: Option<String>,
    /// Our certificate and its key (PEM), for SMSCs that ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The key of the certificate must have one of these SHA-256 digests (of its SubjectPublicKeyInfo).
    pub pins: Vec<[u8; 32]>,
    /// Any certificate will do, if it has a pinned key or there are no pins.
    pub accept_any: bool,
}

/// How TLS is spoken: made once, used for every connection.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
    warning: Option<&'static str>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files that `options` name. Fails in words that name the option.
    pub fn new(options: &TlsOptions) -> Result<Self, BadValue> {
        let provider = Arc::new(ring::default_provider());
        let verifier = if options.accept_any {
            Verifier::careless(options.pins.clone(), Arc::clone(&provider))
        } else {
            trusting(options, &provider)?
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad!("TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &options.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("--tls-client-cert", certificate)?;
                builder
                    .with_client_auth_cert(chain, private_key("--tls-client-key", key)?)
                    .map_err(|error| bad!("--tls-client-cert and --tls-client-key do not go together: {error}"))?
            }
        };
        // Each connection proves itself anew: a resumed one would show no certificate.
        config.resumption = Resumption::disabled();
        let warning = (options.accept_any && options.pins.is_empty()).then_some(
            "the SMSC's certificate is NOT checked (--tls-danger-accept-any-cert): whoever sits between can read the \
             password and every message",
        );
        if let Some(name) = &options.server_name {
            name_of(name).map_err(|error| bad!("--tls-server-name: {error}"))?;
        }
        Ok(Self { config: Arc::new(config), server_name: options.server_name.clone(), warning })
    }

    /// What is to be said whenever this is used.
    pub fn warning(&self) -> Option<&'static str> {
        self.warning
    }

    /// Shakes hands over a fresh connection to `host`, until `deadline` or until it is to stop.
    pub(super) fn shake_hands(
        &self,
        host: &str,
        stream: &TcpStream,
        deadline: Instant,
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(State, TlsFacts), TlsError> {
        let name = name_of(plain_host(self.server_name.as_deref().unwrap_or(host)))
            .map_err(|error| TlsError::Other(error.into()))?;
        let mut connection: Connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| TlsError::of(&error))?.into();
        complete(&mut connection, stream, deadline, timeout, stop)?;
        let facts = TlsFacts::of(&connection);
        Ok((State::new(connection), facts))
    }
}

/// The other side: shakes hands with a client over a fresh connection.
pub(super) fn welcome(config: &Arc<ServerConfig>, stream: &TcpStream, timeout: Duration) -> Result<State, TlsError> {
    let mut connection: Connection =
        ServerConnection::new(Arc::clone(config)).map_err(|error| TlsError::of(&error))?.into();
    complete(&mut connection, stream, Instant::now() + timeout, timeout, &|| false)?;
    Ok(State::new(connection))
}

/// Shakes hands until `deadline`, which is `timeout` after the beginning, or until it is to stop.
fn complete(
    connection: &mut Connection,
    stream: &TcpStream,
    deadline: Instant,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), TlsError> {
    let mut raw = vec![0; RAW_OCTETS];
    let mut out = Vec::new();
    while connection.is_handshaking() || connection.wants_write() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TlsError::Timeout(timeout));
        }
        if connection.wants_write() {
            write_pending(connection, &mut out).map_err(TlsError::Io)?;
            plain::write(stream, &out, left).map_err(TlsError::Io)?;
            out.clear();
            continue;
        }
        if stop() {
            return Err(TlsError::Stopped);
        }
        stream.set_read_timeout(Some(left.min(LOOK))).map_err(TlsError::Io)?;
        match plain::read(stream, &mut raw).map_err(TlsError::Io)? {
            // The deadline decides.
            None => {}
            Some(0) => return Err(TlsError::Closed),
            Some(count) => {
                let mut octets = &raw[..count];
                while !octets.is_empty() {
                    connection.read_tls(&mut octets).map_err(TlsError::Io)?;
                    if let Err(error) = connection.process_new_packets() {
                        // The alert says why: so much the peer may know.
                        if write_pending(connection, &mut out).is_ok() {
                            let _ = plain::write(stream, &out, left.min(GOODBYE));
                        }
                        return Err(TlsError::of(&error));
                    }
                }
            }
        }
    }
    Ok(())
}

fn name_of(host: &str) -> Result<ServerName<'static>, BadValue> {
    ServerName::try_from(host.to_owned()).map_err(|_| bad!("{host:?} is no name that a certificate could be for"))
}

fn trusting(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Verifier, BadValue> {
    let mut roots = RootCertStore::empty();
    let mut known = Vec::new();
    if let Some(path) = &options.ca {
        known = certificates("--tls-ca", path)?;
        for certificate in &known {
            roots.add(certificate.clone()).map_err(|error| bad!("--tls-ca {}: {error}", shown(path)))?;
        }
    } else {
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            log::debug!("the system's certificates: {error}");
        }
        roots.add_parsable_certificates(native.certs);
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Verifier::new(roots, known, options.pins.clone(), Arc::clone(provider))
}

/// The certificates of a PEM file.
pub fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BadValue> {
    let at = |words: &dyn fmt::Display| format!("{option} {}: {words}", shown(path));
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(at(&"it holds no certificate (PEM is expected)").into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(at(&pem_words(&error)).into()),
    }
}

/// The private key of a PEM file that nobody else may read.
pub fn private_key(option: &str, path: &Path) -> Result<PrivateKeyDer<'static>, BadValue> {
    crate::platform::private_files::check_private(path).map_err(|words| bad!("{option} {words}"))?;
    PrivateKeyDer::from_pem_file(path).map_err(|error| bad!("{option} {}: {}", shown(path), pem_words(&error)))
}

fn pem_words(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => "nothing of that kind is in it (PEM is expected)".into(),
        rustls::pki_types::pem::Error::Io(error) => error.to_string(),
        other => format!("it is not PEM: {other:?}"),
    }
}

/// Reads a pin: 64 hexadecimal digits, with or without colons.
pub fn parse_pin(text: &str) -> Result<[u8; 32], BadValue> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let mut pin = [0; 32];
    let wrong =
        || BadValue::from("64 hexadecimal digits: the SHA-256 of the certificate's public key (SubjectPublicKeyInfo)");
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (octet, at) in pin.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(pin)
}

/// What a handshake agreed on.
#[derive(Clone, Default, Debug)]
pub struct TlsFacts {
    /// `TLSv1_3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The SMSC's certificates, its own first.
    pub certificates: Vec<Certificate>,
}

impl TlsFacts {
    fn of(connection: &Connection) -> Self {
        let certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            version: connection.protocol_version().map_or_else(String::new, |version| format!("{version:?}")),
            cipher: connection
                .negotiated_cipher_suite()
                .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
            certificates: certificates.iter().filter_map(|der| Certificate::read(der)).collect(),
        }
    }
}

/// A connection's TLS, for both its halves.
#[derive(Clone)]
pub(super) struct State(Arc<Shared>);

struct Shared {
    connection: Mutex<Connection>,
    /// rustls wants to say something that only the writer may write.
    owed: AtomicBool,
}

impl State {
    fn new(connection: Connection) -> Self {
        Self(Arc::new(Shared { connection: Mutex::new(connection), owed: AtomicBool::new(false) }))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(TLS)")
    }
}

/// The half that reads.
#[derive(Debug)]
pub(super) struct ReadHalf {
    pub(super) stream: TcpStream,
    state: State,
    raw: Box<[u8]>,
    /// What of `raw` was read and not yet fed.
    start: usize,
    end: usize,
    /// What ended the connection, returned when everything before it was taken.
    failed: Option<TlsError>,
}

impl ReadHalf {
    pub(super) fn new(stream: TcpStream, state: State) -> Self {
        Self { stream, state, raw: vec![0; RAW_OCTETS].into(), start: 0, end: 0, failed: None }
    }

    /// Plaintext: `None` when there was none to be had within the socket's read timeout, or not a whole record;
    /// `Some(0)` when the peer has closed.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(count) = self.take(buffer)? {
            return Ok(Some(count));
        }
        match plain::read(&self.stream, &mut self.raw)? {
            None => Ok(None),
            Some(0) => Ok(Some(0)),
            Some(count) => {
                (self.start, self.end) = (0, count);
                self.take(buffer)
            }
        }
    }

    /// Whether rustls wants to say something: the writer's thread is to be woken.
    pub(super) fn owes_writing(&self) -> bool {
        self.state.0.owed.load(Ordering::Acquire)
    }

    /// Feeds what was read as far as there is room for what comes out of it.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(error) = self.failed.take() {
            return Err(io::Error::other(error));
        }
        let mut connection = self.state.0.connection.lock();
        let mut filled = 0;
        let outcome = loop {
            match connection.reader().read(&mut buffer[filled..]) {
                // An end that comes after octets is seen the next time.
                Ok(0) => break Ok(Some(filled)),
                Ok(count) => {
                    filled += count;
                    if filled == buffer.len() {
                        break Ok(Some(filled));
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => break Err(error),
            }
            if self.start == self.end {
                break Ok((filled > 0).then_some(filled));
            }
            let mut octets = &self.raw[self.start..self.end];
            self.start += connection.read_tls(&mut octets)?;
            if let Err(error) = connection.process_new_packets() {
                let error = TlsError::of(&error);
                if filled > 0 {
                    self.failed = Some(error);
                    break Ok(Some(filled));
                }
                break Err(io::Error::other(error));
            }
        };
        self.state.0.owed.store(connection.wants_write(), Ordering::Release);
        outcome
    }
}

/// The half that writes.
#[derive(Debug)]
pub(super) struct WriteHalf {
    pub(super) stream: TcpStream,
    state: State,
    out: Vec<u8>,
}

impl WriteHalf {
    pub(super) fn new(stream: TcpStream, state: State) -> Self {
        Self { stream, state, out: Vec::new() }
    }

    /// Writes `octets` and whatever else rustls has to say.
    pub(super) fn write(&mut self, mut octets: &[u8], timeout: Duration) -> io::Result<()> {
        loop {
            {
                let mut connection = self.state.0.connection.lock();
                let taken = connection.writer().write(octets)?;
                octets = &octets[taken..];
                write_pending(&mut connection, &mut self.out)?;
                self.state.0.owed.store(false, Ordering::Release);
            }
            plain::write(&self.stream, &self.out, timeout)?;
            self.out.clear();
            if octets.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether there is something to write even without octets.
    pub(super) fn owes_writing(&self) -> bool {
        self.state.0.owed.load(Ordering::Acquire)
    }

    /// Says goodbye, if the network takes it at once.
    pub(super) fn close(&mut self) {
        if !self.out.is_empty() {
            // Half of a record went before: nothing can follow it.
            return;
        }
        {
            let mut connection = self.state.0.connection.lock();
            connection.send_close_notify();
            if write_pending(&mut connection, &mut self.out).is_err() {
                return;
            }
        }
        if self.stream.set_write_timeout(Some(GOODBYE)).is_ok() {
            let _ = plain::write(&self.stream, &self.out, GOODBYE);
        }
    }
}

fn write_pending(connection: &mut Connection, out: &mut Vec<u8>) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(out)?;
    }
    Ok(())
}
