//! From nothing to a bound session: connect, bind, read the answer.

use super::Account;
use crate::link::{self, ConnectError, ReadHalf, WriteHalf};
use crate::wire::tlv::Tag;
use crate::wire::{Bind, CommandStatus, FrameBuffer, FrameError, Pdu, StatusClass};
use std::fmt;
use std::io;
use std::time::Instant;

/// PDUs that may come before the answer to the bind.
const EARLY_MAX: usize = 4_096;
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
    /// It announced its version, and so that it takes TLVs.
    pub takes_tlvs: bool,
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
    /// The SMSC refuses.
    Refused(CommandStatus),
}

impl BindError {
    /// Whether trying again the same way cannot help and would be hammering.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            // 0x0D and 0x05 are also said when there are too many connections: those are tried again.
            Self::Refused(status) => {
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
            Self::Unanswered(count) => write!(f, "{count} other PDUs came, and no answer to the bind"),
            Self::Io(error) => write!(f, "the connection broke during the bind: {error}"),
            Self::Timeout(timeout) => write!(f, "no answer to the bind within the bind timeout ({timeout:?})"),
            Self::Frame(error) => write!(f, "what answers does not speak SMPP: {error}"),
            Self::Refused(status) => {
                write!(f, "the SMSC refuses the bind: {}", crate::journal::words(*status))?;
                match *status {
                    CommandStatus::INVALID_PASSWORD | CommandStatus::INVALID_SYSTEM_ID => {
                        f.write_str(" (check --system-id and the password)")
                    }
                    CommandStatus::BIND_FAILED | CommandStatus::ALREADY_BOUND => {
                        f.write_str(" (too many connections for the account? check --connections)")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Connects and binds.
pub fn bind(account: &Account) -> Result<Bound, BindError> {
    let mut request = Vec::new();
    let pdu = Pdu::Bind(Bind {
        kind: account.bind,
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
    let (mut reader, mut writer, address) =
        link::connect(&account.host, account.port, timers.connect, timers.write).map_err(BindError::Connect)?;
    writer.write(&request).map_err(BindError::Io)?;
    let deadline = Instant::now() + timers.bind;
    let mut frames = FrameBuffer::new();
    let mut early = Vec::new();
    loop {
        if let Some(frame) = frames.next_frame().map_err(BindError::Frame)? {
            match crate::wire::decode(frame) {
                Ok((header, Pdu::BindResp(answer))) => {
                    if header.command_status != CommandStatus::OK {
                        return Err(BindError::Refused(header.command_status));
                    }
                    let smsc = answer.system_id.escape_ascii().to_string();
                    let takes_tlvs = answer.tlvs.get(Tag::SC_INTERFACE_VERSION).is_some();
                    return Ok(Bound { reader, writer, frames, early, peer: address.to_string(), smsc, takes_tlvs });
                }
                Ok((header, Pdu::GenericNack)) => return Err(BindError::Refused(header.command_status)),
                _ if early.len() < EARLY_MAX => early.push(frame.to_vec()),
                _ => return Err(BindError::Unanswered(EARLY_MAX)),
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BindError::Timeout(timers.bind));
        }
        reader.set_timeout(left).map_err(BindError::Io)?;
        match reader.read(frames.spare()) {
            Ok(Some(0)) => return Err(BindError::Closed),
            Ok(Some(count)) => frames.filled(count),
            Ok(None) => return Err(BindError::Timeout(timers.bind)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(BindError::Closed),
            Err(error) => return Err(BindError::Io(error)),
        }
    }
}
