//! Why TLS does not come about, or breaks, in words that say what to do.

use crate::client::link::verify::Distrust;
use rustls::{AlertDescription, CertificateError, OtherError};
use std::io;
use std::time::Duration;

/// Why TLS did not come about, or broke.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not trusted.
    #[error(transparent)]
    Distrust(Distrust),
    /// What answers does not speak TLS.
    #[error(
        "what answers does not speak TLS: check --port (as a rule 2778 with TLS, 2777 without); nothing was sent in the clear"
    )]
    NotTls,
    /// The SMSC wants a certificate of ours, or another one.
    #[error(
        "the SMSC does not accept this client's certificate, or the lack of one ({0:?}): give the one that the \
         provider issued with --tls-client-cert and --tls-client-key"
    )]
    ClientCertificate(AlertDescription),
    /// The SMSC closed the connection.
    #[error("{CLOSED}")]
    Closed,
    /// It was told to stop.
    #[error("stopped during the TLS handshake")]
    Stopped,
    /// The handshake did not end within the connect timeout.
    #[error(
        "the TLS handshake did not end within the connect timeout ({0:?}): is --port the one for TLS (as a rule 2778; \
         without TLS 2777)?"
    )]
    Timeout(Duration),
    /// The connection broke.
    #[error("{}", broken(.0))]
    Io(io::Error),
    /// Anything else.
    #[error("TLS: {0}")]
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

/// Said of a connection that is closed, and of one that is reset.
const CLOSED: &str = "the SMSC closed the connection during the TLS handshake: is --port the one for TLS (as a rule 2778; \
                      without TLS 2777), and has the provider whitelisted your address?";

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => CLOSED.into(),
        _ => format!("the connection broke during the TLS handshake: {error}"),
    }
}
