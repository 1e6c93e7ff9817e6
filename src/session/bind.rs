//! From nothing to a bound session: connect, bind, read the answer.

use super::Account;
use crate::link::{self, ConnectError, Connected, ReadHalf, Target, TlsFacts, WriteHalf};
use crate::wire::tlv::Tag;
use crate::wire::{
    Bind, BindKind, CommandId, CommandStatus, FrameBuffer, FrameError, Pdu, StatusClass, encode_header_only,
};
use std::fmt;
use std::io;
use std::time::Instant;

/// PDUs that may come before the answer to the bind, and the octets that they may have together.
const EARLY_MAX: usize = 4_096;
const EARLY_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// The bind request has this sequence number.
const BIND_SEQUENCE_NUMBER: u32 = 1;

/// A session that is bound.
#[derive(Debug)]
pub struct Bound {
    /// Reads.
    pub reader: ReadHalf,
    /// Writes.
    pub writer: WriteHalf,
    /// What was read already beyond the answer to the bind.
    pub frames: FrameBuffer,
    /// PDUs that came before the answer: some SMSCs deliver as soon as they know who it is.
    pub early: Vec<Vec<u8>>,
    /// Address of the SMSC.
    pub peer: String,
    /// What the SMSC calls itself.
    pub smsc: String,
    /// The version that it announced, and with it that it takes TLVs.
    pub sc_interface_version: Option<u8>,
    /// What TLS agreed on; `None`: in the clear.
    pub tls: Option<TlsFacts>,
}

/// Why a session did not come about.
#[derive(Debug)]
pub enum BindError {
    /// No connection.
    Connect(ConnectError),
    /// The bind request cannot be made of these settings.
    Settings(String),
    /// The SMSC closed the connection instead of answering.
    Closed,
    /// So many other PDUs came instead of the answer.
    Unanswered(usize),
    /// The connection broke.
    Io(io::Error),
    /// No answer within the bind timeout.
    Timeout(std::time::Duration),
    /// What answers does not speak SMPP.
    Frame(FrameError),
    /// The SMSC at this host and port refuses.
    Refused(String, CommandStatus),
    /// None of several hosts would; what each said.
    Each(Vec<(String, BindError)>),
}

impl BindError {
    /// Whether trying again the same way cannot help and would be hammering.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Connect(error) => error.is_final(),
            Self::Io(error) => link::tls_error(error).is_some_and(link::TlsError::is_final),
            // One host that is down for a while is reason enough to go on.
            Self::Each(errors) => errors.iter().all(|(_, error)| error.is_final()),
            // 0x0D and 0x05 are also said when there are too many connections: those are tried again.
            Self::Refused(_, status) => {
                matches!(*status, CommandStatus::INVALID_PASSWORD | CommandStatus::INVALID_SYSTEM_ID)
                    || status.0 == 0x53
                    || status.class() == StatusClass::Permanent
            }
            _ => false,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Settings(words) => f.write_str(words),
            Self::Closed => f.write_str(
                "the SMSC closed the connection at once instead of answering the bind: has the provider whitelisted your \
                 address?",
            ),
            Self::Io(error) if link::tls_error(error).is_some() => error.fmt(f),
            Self::Unanswered(count) => write!(f, "{count} other PDUs came, and no answer to the bind"),
            Self::Io(error) => write!(f, "the connection broke during the bind: {error}"),
            Self::Each(errors) => {
                for (n, (host, error)) in errors.iter().enumerate() {
                    f.write_str(if n > 0 { "; " } else { "" })?;
                    match error {
                        // It names the host itself.
                        Self::Refused(..) => write!(f, "{error}")?,
                        error => write!(f, "{host}: {error}")?,
                    }
                }
                Ok(())
            }
            Self::Timeout(timeout) => write!(f, "no answer to the bind within the bind timeout ({timeout:?})"),
            Self::Frame(error) => write!(f, "what answers does not speak SMPP: {error}"),
            Self::Refused(at, status) => {
                write!(f, "the SMSC at {at} refuses the bind: {status} ({})", status.meaning())?;
                match status.advice() {
                    "" => Ok(()),
                    advice => write!(f, ": {advice}"),
                }
            }
        }
    }
}

impl Bound {
    /// Unbinds, without waiting for the answer.
    pub fn leave(mut self) {
        let mut unbind = Vec::new();
        encode_header_only(CommandId::UNBIND, CommandStatus::OK, BIND_SEQUENCE_NUMBER + 1, &mut unbind);
        let _ = self.writer.write(&unbind);
        self.writer.shutdown();
    }
}

/// Connects and binds, at the first host that will have it.
pub fn bind(account: &Account, kind: BindKind) -> Result<Bound, BindError> {
    let mut errors = Vec::new();
    for host in &account.hosts {
        match bind_at(account, host, kind) {
            Ok(bound) => return Ok(bound),
            // Another host of the same provider would refuse the same.
            Err(error @ (BindError::Settings(_) | BindError::Refused(..))) if error.is_final() => return Err(error),
            Err(error) => errors.push((host.clone(), error)),
        }
    }
    match errors.pop() {
        Some((_, error)) if errors.is_empty() => Err(error),
        Some(last) => {
            errors.push(last);
            Err(BindError::Each(errors))
        }
        None => Err(BindError::Settings("no host is given".into())),
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn bind_at(account: &Account, host: &str, kind: BindKind) -> Result<Bound, BindError> {
    let mut request = Vec::new();
    let pdu = Pdu::Bind(Bind {
        kind,
        system_id: account.system_id.as_bytes(),
        password: account.password.reveal().as_bytes(),
        system_type: account.system_type.as_bytes(),
        interface_version: account.version.octet(),
        addr_ton: 0,
        addr_npi: 0,
        address_range: b"",
    });
    crate::wire::encode(&pdu, BIND_SEQUENCE_NUMBER, CommandStatus::OK, &mut request)
        .map_err(|error| BindError::Settings(format!("the bind request: {error}")))?;
    let timers = &account.timers;
    let target = Target {
        host,
        port: account.port,
        tls: account.tls.as_ref(),
        timeout: timers.connect,
        write_timeout: timers.write,
    };
    let Connected { mut reader, mut writer, peer, tls } = link::connect(target).map_err(BindError::Connect)?;
    writer.write(&request).map_err(BindError::Io)?;
    let deadline = Instant::now() + timers.bind;
    let mut frames = FrameBuffer::new();
    let (mut early, mut early_octets) = (Vec::new(), 0);
    loop {
        if let Some(frame) = frames.next_frame().map_err(BindError::Frame)? {
            match crate::wire::decode(frame) {
                Ok((header, Pdu::BindResp(answer))) => {
                    if header.command_status != CommandStatus::OK {
                        return Err(BindError::Refused(place(host, account.port), header.command_status));
                    }
                    let smsc = answer.system_id.escape_ascii().to_string();
                    let version = answer.tlvs.get(Tag::SC_INTERFACE_VERSION);
                    let sc_interface_version = version.map(|value| value.first().copied().unwrap_or(0));
                    let peer = peer.to_string();
                    return Ok(Bound { reader, writer, frames, early, peer, smsc, sc_interface_version, tls });
                }
                Ok((header, Pdu::GenericNack)) => {
                    return Err(BindError::Refused(place(host, account.port), header.command_status));
                }
                _ if early.len() < EARLY_MAX && early_octets < EARLY_OCTETS_MAX => {
                    early_octets += frame.len();
                    early.push(frame.to_vec());
                }
                _ => return Err(BindError::Unanswered(early.len())),
            }
            // One read may have brought more: the answer may be there already, and nothing else may come.
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BindError::Timeout(timers.bind));
        }
        reader.set_timeout(left).map_err(BindError::Io)?;
        match reader.read(frames.spare()) {
            Ok(Some(0)) => return Err(BindError::Closed),
            Ok(Some(count)) => frames.filled(count),
            // With TLS there may have been less than a record; the deadline decides.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(BindError::Closed),
            Err(error) => return Err(BindError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_given_up_only_when_each_is() {
        let down = || BindError::Timeout(std::time::Duration::from_secs(1));
        let refused = || BindError::Settings("no".into());
        for (errors, is_final) in [
            (vec![refused(), down()], false),
            (vec![down(), refused()], false),
            (vec![refused(), refused()], true),
            (vec![down(), down()], false),
        ] {
            let each: Vec<_> = errors.into_iter().map(|error| ("host".to_owned(), error)).collect();
            assert_eq!(BindError::Each(each).is_final(), is_final);
        }
    }
}
