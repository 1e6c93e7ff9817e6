//! Why TLS does not come about, or breaks, in words that say what to do.

use crate::client::link::verify::Distrust;
use rustls::{AlertDescription, CertificateError, OtherError};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why TLS did not come about, or broke.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate is not trusted.
    Distrust(Distrust),
    /// What answers does not speak TLS.
    NotTls,
    /// The SMSC wants a certificate of ours, or another one.
    ClientCertificate(AlertDescription),
    /// The SMSC closed the connection.
    Closed,
    /// It was told to stop.
    Stopped,
    /// The handshake did not end within the connect timeout.
    Timeout(Duration),
    /// The connection broke.
    Io(io::Error),
    /// Anything else.
    Other(String),
}

impl TlsError {
    pub(in crate::client::link) fn of(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
                match inner.downcast_ref::<Distrust>() {
                    Some(distrust) => Self::Distrust(distrust.clone()),
                    None => Self::Distrust(Distrust::Other(inner.to_string())),
                }
            }
            E::InvalidCertificate(error) => Self::Distrust(Distrust::Other(error.to_string())),
            E::InvalidMessage(
                rustls::InvalidMessage::InvalidContentType
                | rustls::InvalidMessage::UnknownProtocolVersion
                | rustls::InvalidMessage::InvalidEmptyPayload
                | rustls::InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            E::AlertReceived(
                alert @ (AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied),
            ) => Self::ClientCertificate(*alert),
            other => Self::Other(other.to_string()),
        }
    }

    /// Whether trying again the same way would be hammering.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Distrust(_) | Self::NotTls | Self::ClientCertificate(_))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Distrust(distrust) => distrust.fmt(f),
            Self::NotTls => f.write_str(
                "what answers does not speak TLS: check --port (as a rule 2778 with TLS, 2777 without); nothing was sent in \
                 the clear",
            ),
            Self::ClientCertificate(alert) => write!(
                f,
                "the SMSC does not accept this client's certificate, or the lack of one ({alert:?}): give the one that the \
                 provider issued with --tls-client-cert and --tls-client-key"
            ),
            Self::Closed => f.write_str(
                "the SMSC closed the connection during the TLS handshake: is --port the one for TLS (as a rule 2778; without \
                 TLS 2777), and has the provider whitelisted your address?",
            ),
            Self::Stopped => f.write_str("stopped during the TLS handshake"),
            Self::Timeout(timeout) => write!(
                f,
                "the TLS handshake did not end within the connect timeout ({timeout:?}): is --port the one for TLS (as a \
                 rule 2778; without TLS 2777)?"
            ),
            Self::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => Self::Closed.fmt(f),
            Self::Io(error) => write!(f, "the connection broke during the TLS handshake: {error}"),
            Self::Other(words) => write!(f, "TLS: {words}"),
        }
    }
}

impl std::error::Error for TlsError {}
