//! The server's side of TLS, for the simulator: a port that takes TLS and passes what comes out of it on to a plain port of
//! this machine, and back. So the simulator behaves, and misbehaves, the same with TLS as without.

use super::certificate::Certificate;
use super::{plain, tls};
use crate::words::BadValue;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// For a client's handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a client to take what is written.
const WRITE: Duration = Duration::from_secs(60);
/// How often the direction to the client looks whether TLS itself has something to say.
const LOOK: Duration = Duration::from_millis(50);
/// Octets passed on at once.
const OCTETS: usize = 32 * 1024;

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both from PEM files. Fails in words.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, BadValue> {
        Ok(Self { chain: tls::certificates("--tls-cert", certificate)?, key: tls::private_key("--tls-key", key)? })
    }

    /// Makes a self-signed one for `names`, which no client trusts unless it is told to.
    pub fn self_made(names: &[String]) -> Result<Self, BadValue> {
        let wrong = |error: rcgen::Error| format!("no certificate could be made: {error}");
        let mut params = rcgen::CertificateParams::new(names).map_err(wrong)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "smppost simulator");
        let key = rcgen::KeyPair::generate().map_err(wrong)?;
        let certificate = params.self_signed(&key).map_err(wrong)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Self { chain: vec![certificate.der().clone()], key })
    }

    /// The SHA-256 of its public key, as `--tls-pin-sha256` takes it.
    pub fn pin(&self) -> String {
        let own = self.chain.first().and_then(|der| Certificate::read(der));
        own.map_or_else(|| "unreadable".into(), |own| own.pin())
    }
}

/// A port that takes TLS. Dropping it takes no more connections; those that there are end with their plain side.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Door {
    /// Listens at `listen`, and passes on to `behind`.
    pub fn open(listen: SocketAddr, behind: SocketAddr, identity: Identity) -> io::Result<Self> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(identity.chain, identity.key))
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let (config, closing) = (Arc::new(config), Arc::new(AtomicBool::new(false)));
        let is_closing = Arc::clone(&closing);
        let acceptor = thread::Builder::new().name("tls-door".into()).spawn(move || {
            for client in listener.incoming() {
                if is_closing.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else {
                    thread::sleep(LOOK);
                    continue;
                };
                let config = Arc::clone(&config);
                let passing = thread::Builder::new().name("tls-passage".into()).spawn(move || {
                    if let Err(error) = pass(&client, behind, &config) {
                        log::info!("TLS: {error}");
                    }
                    let _ = client.shutdown(Shutdown::Both);
                });
                if let Err(error) = passing {
                    log::warn!("TLS: no thread for a connection: {error}");
                }
            }
        })?;
        Ok(Self { address, closing, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Shakes hands and passes octets both ways until either side ends.
fn pass(client: &TcpStream, behind: SocketAddr, config: &Arc<ServerConfig>) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_write_timeout(Some(WRITE))?;
    let state = tls::welcome(config, client, HANDSHAKE).map_err(io::Error::other)?;
    client.set_read_timeout(None)?;
    let server = TcpStream::connect(behind)?;
    server.set_nodelay(true)?;
    let mut from_client = tls::ReadHalf::new(client.try_clone()?, state.clone());
    let mut to_client = tls::WriteHalf::new(client.try_clone()?, state);
    let from_server = server.try_clone()?;
    from_server.set_read_timeout(Some(LOOK))?;
    let back = thread::Builder::new().name("tls-back".into()).spawn(move || {
        let mut buffer = vec![0; OCTETS];
        loop {
            let written = match plain::read(&from_server, &mut buffer) {
                Ok(Some(0)) | Err(_) => break,
                Ok(Some(count)) => to_client.write(&buffer[..count], WRITE),
                Ok(None) if to_client.owes_writing() => to_client.write(&[], WRITE),
                Ok(None) => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
        to_client.close();
        let _ = to_client.stream.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(Shutdown::Both);
    })?;
    let mut buffer = vec![0; OCTETS];
    loop {
        match from_client.read(&mut buffer) {
            Ok(Some(0)) | Err(_) => break,
            Ok(Some(count)) => {
                if plain::write(&server, &buffer[..count], WRITE).is_err() {
                    break;
                }
            }
            Ok(None) => {}
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
    Ok(())
}
