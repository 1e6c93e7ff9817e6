//! How a simulator says that it takes connections: on stdout, in a file, to a service manager.
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::smsc::SmscError;
use crate::words::trouble;

/// Where it listens.
pub(super) struct Ready {
    pub(super) smpp: SocketAddr,
    /// With the digest of its key.
    pub(super) tls: Option<(SocketAddr, String)>,
    pub(super) control: Option<SocketAddr>,
}

impl Ready {
    /// For people, and for scripts that wait for it: a line each.
    pub(super) fn words(&self) -> String {
        let mut words = format!("listening on {}\n", self.smpp);
        if let Some((address, pin)) = &self.tls {
            let _ = writeln!(words, "listening on {address} (TLS, --tls-pin-sha256 {pin})");
        }
        if let Some(address) = self.control {
            let _ = writeln!(words, "controlled at http://{address}/");
        }
        words
    }

    /// For programs that read the ledger there.
    pub(super) fn json(&self) -> String {
        let tls = self.tls.as_ref().map(|(address, pin)| json!({ "address": address.to_string(), "pin_sha256": pin }));
        let control = self.control.map(|address| address.to_string());
        let line = json!({ "kind": "listening", "address": self.smpp.to_string(), "tls": tls, "control": control });
        format!("{line}\n")
    }

    /// Writes the ports to a file that is whole as soon as it is there.
    pub(super) fn write(&self, path: &Path) -> Result<(), SmscError> {
        let mut ports = format!("SMPP_PORT={}\n", self.smpp.port());
        if let Some((address, _)) = &self.tls {
            let _ = writeln!(ports, "TLS_PORT={}", address.port());
        }
        if let Some(address) = self.control {
            let _ = writeln!(ports, "CONTROL_PORT={}", address.port());
        }
        let written = || -> io::Result<()> {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
            let (mut file, beside) = create_beside(folder, &name.to_string_lossy())?;
            let written = file.write_all(ports.as_bytes()).and_then(|()| fs::rename(&beside, path));
            written.inspect_err(|_| drop(fs::remove_file(&beside)))
        };
        let wrong = |error: io::Error| {
            let reason = format!("{}: {}", trouble::shown(path), trouble::words(&error));
            SmscError::Option { option: "--port-file", reason }
        };
        written().map_err(wrong)
    }
}

/// Creates a file of a name that nobody can foresee: a link that somebody put there is not followed.
fn create_beside(folder: &Path, name: &str) -> io::Result<(fs::File, PathBuf)> {
    for _ in 0..100 {
        let beside = folder.join(format!(".{name}-{:016x}", fastrand::u64(..)));
        match fs::File::create_new(&beside) {
            Ok(file) => return Ok((file, beside)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Tells the service manager, where one asked for it: what `NOTIFY_SOCKET` names gets `READY=1`.
pub(super) fn notify() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_ready(&name) {
        log::warn!("NOTIFY_SOCKET {}: {error}", name.to_string_lossy());
    }
}

#[cfg(target_os = "linux")]
fn send_ready(name: &std::ffi::OsStr) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let address = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn send_ready(name: &std::ffi::OsStr) -> io::Result<()> {
    std::os::unix::net::UnixDatagram::unbound()?.send_to(b"READY=1", name).map(drop)
}
