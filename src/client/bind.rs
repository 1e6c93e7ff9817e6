//! From nothing to a bound session: connect, bind, read the answer; at one address after the other until one binds.

use super::Account;
use crate::client::link;
use crate::client::link::dial::LOOK;
use crate::client::link::with_colon;
use crate::client::link::{
    ConnectError, Connected, Dial, LookupError, ReadHalf, Target, TlsError, TlsFacts, WriteHalf,
};
use crate::wire::tlv::Tag;
use crate::wire::{
    Bind, BindKind, CommandId, CommandStatus, Foreign, FrameBuffer, FrameError, Pdu, StatusClass,
    encode_enquire_link_resp, encode_header_only,
};
use std::cell::RefCell;
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

/// Why a session did not come about. Each names the address, and what it did.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", self.fact(), with_colon(self.advice()))]
pub enum BindError {
    /// No connection.
    Connect(ConnectError),
    /// The bind request cannot be made of these settings.
    Settings(String),
    /// The SMSC closed the connection instead of answering.
    Closed(String),
    /// So many other PDUs came instead of the answer.
    Unanswered(String, usize),
    /// The connection broke.
    Io(String, io::Error),
    /// No answer within the bind timeout.
    Timeout(String, std::time::Duration),
    /// What answers does not speak SMPP.
    Frame(String, FrameError),
    /// The SMSC refuses.
    Refused(String, CommandStatus),
    /// None of several addresses would; what each did, at least one.
    Each(Vec<BindError>),
    /// It was told to stop.
    Stopped,
}

impl BindError {
    /// Whether trying again the same way cannot help and would be hammering.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Connect(error) => error.is_final(),
            Self::Io(_, error) => link::tls_error(error).is_some_and(link::TlsError::is_final),
            // One address that is down for a while is reason enough to go on.
            Self::Each(errors) => errors.iter().all(Self::is_final),
            // 0x0D and 0x05 are also said when there are too many connections: those are tried again.
            Self::Refused(_, status) => {
                matches!(*status, CommandStatus::INVALID_PASSWORD | CommandStatus::INVALID_SYSTEM_ID)
                    || status.0 == 0x53
                    || status.class() == StatusClass::Permanent
            }
            _ => false,
        }
    }

    /// The status by which the bind was refused; of several addresses, the last one's.
    pub fn refusal(&self) -> Option<CommandStatus> {
        match self {
            Self::Refused(_, status) => Some(*status),
            Self::Each(errors) => errors.iter().rev().find_map(Self::refusal),
            _ => None,
        }
    }

    /// Of several, the one that tells most of why nothing is bound: what is known for certain first, and last what may
    /// have any cause.
    pub fn likeliest(&self) -> &Self {
        match self {
            Self::Each(errors) => errors.iter().min_by_key(|error| error.rank()).unwrap_or(self),
            error => error,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Stopped | Self::Each(_) => 0,
            Self::Refused(..) => 1,
            Self::Connect(ConnectError::Tls(_, TlsError::Distrust(_) | TlsError::ClientCertificate(_))) => 2,
            Self::Connect(ConnectError::Tls(_, TlsError::NotTls)) | Self::Frame(..) => 3,
            Self::Unanswered(..) | Self::Io(..) | Self::Closed(_) | Self::Timeout(..) => 4,
            Self::Connect(ConnectError::Tls(..) | ConnectError::Local(..)) => 5,
            Self::Connect(ConnectError::Resolve(_, LookupError::Unknown | LookupError::NoAddress)) => 6,
            Self::Connect(ConnectError::Connect(_, error)) if error.kind() == io::ErrorKind::ConnectionRefused => 7,
            Self::Connect(_) => 8,
        }
    }

    /// What happened, without advice.
    fn fact(&self) -> String {
        match self {
            Self::Connect(error) => error.fact(),
            Self::Settings(words) => words.clone(),
            Self::Closed(place) => format!("{place} closed the connection at once instead of answering the bind"),
            Self::Unanswered(place, count) => format!("{place}: {count} other PDUs came, and no answer to the bind"),
            Self::Io(place, error) if link::tls_error(error).is_some() => format!("{place}: {error}"),
            Self::Io(place, error) => format!("{place}: the connection broke during the bind: {error}"),
            Self::Timeout(place, timeout) => {
                format!("{place} took the connection and did not answer the bind within the bind timeout ({timeout:?})")
            }
            Self::Frame(place, error) => {
                let what = match error {
                    FrameError::LengthTooLarge { hint: Some(hint), .. } => match hint {
                        Foreign::Tls => ", but TLS".into(),
                        Foreign::Http => ", but HTTP".into(),
                        Foreign::Ssh => ", but SSH".into(),
                        Foreign::Text => ", but sends plain text".into(),
                    },
                    error => format!(": {error}"),
                };
                format!("what answers at {place} does not speak SMPP{what}")
            }
            Self::Refused(place, status) => {
                format!("the SMSC at {place} refuses the bind: {status} ({})", status.meaning())
            }
            Self::Each(errors) => errors.iter().map(Self::fact).collect::<Vec<_>>().join("; "),
            Self::Stopped => "stopped".into(),
        }
    }

    /// What to do about it; empty: that goes without saying.
    fn advice(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.advice(),
            Self::Closed(_) => {
                "has the provider whitelisted your address, and is --port the right one (as a rule 2777; with --tls 2778)?"
            }
            Self::Timeout(..) => "is --port the right one (as a rule 2777; with --tls 2778)?",
            Self::Frame(_, FrameError::LengthTooLarge { hint: Some(Foreign::Tls), .. }) => {
                "give --tls, or the port without TLS (as a rule 2778 with TLS, 2777 without)"
            }
            Self::Frame(_, FrameError::LengthTooLarge { hint: Some(_), .. }) => "check --host and --port",
            Self::Refused(_, status) => status.advice(),
            Self::Each(_) => self.likeliest().advice(),
            _ => "",
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

/// Connects and binds, at the first address of all hosts that will have it. `stop` is asked many times a second whether to
/// stop; `tell` hears what is being waited for, and what was tried before.
pub fn bind(
    account: &Account,
    kind: BindKind,
    stop: &dyn Fn() -> bool,
    tell: &dyn Fn(String),
) -> Result<Bound, BindError> {
    let account = &*account.for_kind(kind);
    let request = request(account, kind)?;
    let timers = &account.timers;
    let target = Target {
        hosts: &account.hosts,
        port: account.port,
        local: &account.local,
        tls: account.tls.as_ref(),
        timeout: timers.connect,
        write_timeout: timers.write,
        recorder: account.recorder.as_ref(),
    };
    let errors = RefCell::new(Vec::new());
    let told = |now: &str| {
        log::info!("{now}");
        let facts: Vec<String> = errors.borrow().iter().map(BindError::fact).chain([now.to_owned()]).collect();
        tell(facts.join("; "));
    };
    for connected in Dial::new(target, stop, &told) {
        let bound = connected.map_err(BindError::Connect).and_then(|connected| {
            told(&format!("waiting for {} to answer the bind", connected.place));
            bind_at(account, &request, connected, stop)
        });
        match bound {
            Ok(bound) => {
                let version = bound.sc_interface_version.map_or_else(
                    || "announces no version".to_owned(),
                    |version| format!("announces SMPP {}.{}", version >> 4, version & 0xF),
                );
                log::info!("bound to {}: it calls itself {:?} and {version}", bound.peer, bound.smsc);
                return Ok(bound);
            }
            Err(BindError::Connect(ConnectError::Stopped)) => return Err(BindError::Stopped),
            // Another address of the same provider would refuse the same.
            Err(error @ (BindError::Stopped | BindError::Refused(..))) if error.is_final() || stop() => {
                return Err(error);
            }
            Err(error) => errors.borrow_mut().push(error),
        }
    }
    let mut errors = errors.take();
    match errors.pop() {
        Some(error) if errors.is_empty() => Err(error),
        Some(last) => {
            errors.push(last);
            Err(BindError::Each(errors))
        }
        None => Err(BindError::Settings("no host is given".into())),
    }
}

fn request(account: &Account, kind: BindKind) -> Result<Vec<u8>, BindError> {
    let mut request = Vec::new();
    let pdu = Pdu::Bind(Bind {
        kind,
        system_id: account.system_id.as_bytes(),
        password: account.password.reveal().as_bytes(),
        system_type: account.system_type.as_bytes(),
        interface_version: account.version.octet(),
        addr_ton: account.addresses.ton,
        addr_npi: account.addresses.npi,
        address_range: account.addresses.range.as_bytes(),
    });
    crate::wire::encode(&pdu, BIND_SEQUENCE_NUMBER, CommandStatus::OK, &mut request)
        .map_err(|error| BindError::Settings(format!("the bind request: {error}")))?;
    Ok(request)
}

/// Binds over a fresh connection.
fn bind_at(
    account: &Account,
    request: &[u8],
    connected: Connected,
    stop: &dyn Fn() -> bool,
) -> Result<Bound, BindError> {
    let timers = &account.timers;
    let Connected { mut reader, mut writer, peer, place, tls } = connected;
    let broken = |error| BindError::Io(place.clone(), error);
    writer.write(request).map_err(broken)?;
    let deadline = Instant::now() + timers.bind;
    let mut frames = FrameBuffer::new();
    let (mut early, mut early_octets) = (Vec::new(), 0);
    loop {
        if let Some(frame) = frames.next_frame().map_err(|error| BindError::Frame(place.clone(), error))? {
            match crate::wire::decode(frame) {
                Ok((header, Pdu::BindResp(answer))) => {
                    if header.command_status != CommandStatus::OK {
                        return Err(BindError::Refused(place, header.command_status));
                    }
                    let smsc = answer.system_id.escape_ascii().to_string();
                    let version = answer.tlvs.get(Tag::SC_INTERFACE_VERSION);
                    let sc_interface_version = version.map(|value| value.first().copied().unwrap_or(0));
                    let peer = peer.to_string();
                    return Ok(Bound { reader, writer, frames, early, peer, smsc, sc_interface_version, tls });
                }
                Ok((header, Pdu::GenericNack)) => {
                    return Err(BindError::Refused(place, header.command_status));
                }
                // Some SMSCs ask first whether anybody is there, and answer the bind only then.
                Ok((header, Pdu::EnquireLink)) => {
                    let mut answer = Vec::new();
                    encode_enquire_link_resp(header.sequence_number, &mut answer);
                    writer.write(&answer).map_err(broken)?;
                }
                _ if early.len() < EARLY_MAX && early_octets < EARLY_OCTETS_MAX => {
                    early_octets += frame.len();
                    early.push(frame.to_vec());
                }
                _ => return Err(BindError::Unanswered(place, early.len())),
            }
            // One read may have brought more: the answer may be there already, and nothing else may come.
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BindError::Timeout(place, timers.bind));
        }
        if stop() {
            return Err(BindError::Stopped);
        }
        reader.set_timeout(left.min(LOOK)).map_err(broken)?;
        match reader.read(frames.spare()) {
            Ok(Some(0)) => return Err(BindError::Closed(place)),
            Ok(Some(count)) => frames.filled(count),
            // With TLS there may have been less than a record; the deadline decides.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(BindError::Closed(place)),
            Err(error) => return Err(BindError::Io(place, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_are_given_up_only_when_each_is() {
        let down = || BindError::Timeout("down".into(), std::time::Duration::from_secs(1));
        let refused = || BindError::Settings("no".into());
        for (errors, is_final) in [
            (vec![refused(), down()], false),
            (vec![down(), refused()], false),
            (vec![refused(), refused()], true),
            (vec![down(), down()], false),
        ] {
            assert_eq!(BindError::Each(errors).is_final(), is_final);
        }
    }

    #[test]
    fn of_several_addresses_each_is_named_and_the_likeliest_cause_once() {
        let refuses = |place: &str| {
            BindError::Connect(ConnectError::Connect(place.into(), io::ErrorKind::ConnectionRefused.into()))
        };
        let error = BindError::Each(vec![refuses("a:1"), BindError::Closed("b:1".into()), refuses("c:1")]);
        assert_eq!(
            error.to_string(),
            "a:1 refuses connections; b:1 closed the connection at once instead of answering the bind; c:1 refuses \
             connections: has the provider whitelisted your address, and is --port the right one (as a rule 2777; with \
             --tls 2778)?"
        );
        let tls = FrameError::LengthTooLarge { command_length: 0, hint: Some(Foreign::Tls) };
        let error = BindError::Each(vec![BindError::Frame("a:1".into(), tls), refuses("b:1")]);
        assert!(
            error.to_string().ends_with("give --tls, or the port without TLS (as a rule 2778 with TLS, 2777 without)")
        );
    }
}
