//! Whether the SMSC's certificate is to be trusted, and if not, why: in the words of somebody who can do something about
//! it. The cryptography is rustls' and webpki's; this looks at what they refuse, and at the pins.

use super::certificate::{Certificate, show_time};
use crate::words::BadValue;
use crate::words::escape::hex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Why a certificate is not trusted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Distrust {
    /// Its time is over.
    #[error("the SMSC's certificate expired on {0}: the provider must renew it (is the clock of this machine right?)")]
    Expired(String),
    /// Its time has not begun.
    #[error("the SMSC's certificate is valid only from {0} on: is the clock of this machine right?")]
    NotYet(String),
    /// It is for others.
    #[error("the SMSC's certificate {}", other_name(expected, names))]
    OtherName {
        /// Who it should be for.
        expected: String,
        /// Who it is for.
        names: Vec<String>,
    },
    /// It issued itself, and nobody here vouches for it.
    #[error(
        "the SMSC's certificate ({0}) is self-signed, so that nobody vouches for it: if the provider confirms it, give it \
         with --tls-ca"
    )]
    SelfSigned(String),
    /// The CA at the end of its chain is unknown here.
    #[error(
        "the SMSC's certificate comes from an unknown CA ({0}): if it is the provider's own, give its certificate with \
         --tls-ca"
    )]
    UnknownCa(String),
    /// Nobody knows who issued it, and no other certificate came along.
    #[error(
        "the SMSC sends an incomplete chain: only its own certificate ({subject}), whose issuer ({issuer}) is not \
         known here; the provider must send the intermediate certificates too (or, if {issuer} is the \
         provider's own CA, give its certificate with --tls-ca)"
    )]
    Incomplete {
        /// Whose the certificate is.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
    /// It is not for servers.
    #[error("the SMSC's certificate ({0}) is of the wrong kind: not for servers; the provider must install another")]
    WrongUse(String),
    /// Its key is none of those pinned.
    #[error(
        "the key of the SMSC's certificate is not the pinned one: it is {0}; ask the provider whether the key \
         was changed before you give that to --tls-pin-sha256"
    )]
    WrongPin(String),
    /// Anything else.
    #[error("the SMSC's certificate is not trusted: {0}")]
    Other(String),
}

fn other_name(expected: &str, names: &[String]) -> String {
    match names {
        [] => format!("names no host at all, and so not {expected}"),
        names => format!(
            "is for {}, not for {expected}: check --host, or name the one to expect with --tls-server-name",
            names.join(", ")
        ),
    }
}

/// The verifier of a connection.
#[derive(Debug)]
pub struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// Certificates from `--tls-ca`: an SMSC that shows one of these is known, even if it signed itself.
    known: Vec<CertificateDer<'static>>,
    pins: Vec<[u8; 32]>,
}

impl Verifier {
    /// Trusts what `roots` vouch for, and what is in `known` itself.
    pub fn new(
        roots: RootCertStore,
        known: Vec<CertificateDer<'static>>,
        pins: Vec<[u8; 32]>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, BadValue> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { inner: Some(inner), provider, known, pins })
    }

    /// Trusts every certificate that has the key of its pins, if there are any.
    pub fn careless(pins: Vec<[u8; 32]>, provider: Arc<CryptoProvider>) -> Self {
        Self { inner: None, provider, known: Vec::new(), pins }
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let own = Certificate::read(end_entity);
        if let Some(own) = &own
            && self.known.iter().any(|known| **known == **end_entity)
        {
            return in_its_time(own, now).and_then(|()| {
                ParsedCertificate::try_from(end_entity)
                    .and_then(|parsed| rustls::client::verify_server_name(&parsed, name))
                    .map_err(|error| diagnose(&error, Some(own), intermediates, name))
            });
        }
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Ok(_) => Ok(()),
            Err(error) => Err(diagnose(&error, own.as_ref(), intermediates, name)),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = || match Certificate::read(end_entity) {
            _ if self.pins.is_empty() => Ok(()),
            Some(own) if self.pins.contains(&own.key_sha256) => Ok(()),
            Some(own) => Err(Distrust::WrongPin(hex(&own.key_sha256))),
            None => Err(Distrust::Other("it cannot be read".into())),
        };
        self.judge(end_entity, intermediates, server_name, ocsp_response, now)
            .and_then(|()| pinned())
            .map(|()| ServerCertVerified::assertion())
            .map_err(|distrust| CertificateError::Other(OtherError(Arc::new(distrust))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn in_its_time(own: &Certificate, now: UnixTime) -> Result<(), Distrust> {
    let now = jiff::Timestamp::from_second(now.as_secs() as i64).unwrap_or(jiff::Timestamp::MAX);
    match (own.not_before, own.not_after) {
        (Some(from), _) if now < from => Err(Distrust::NotYet(show_time(from))),
        (_, Some(until)) if now > until => Err(Distrust::Expired(show_time(until))),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(Distrust::Other("its times cannot be read".into())),
    }
}

/// What a refusal of rustls means for an operator.
fn diagnose(
    error: &rustls::Error,
    own: Option<&Certificate>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Distrust {
    let subject = || own.map_or_else(|| "unreadable".to_owned(), |own| own.subject.clone());
    let rustls::Error::InvalidCertificate(error) = error else { return Distrust::Other(error.to_string()) };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            // It may be the intermediate's time that is over; then that one is to be named.
            let times = intermediates.iter().filter_map(|der| Certificate::read(der)).filter_map(|read| read.not_after);
            let first = own.and_then(|own| own.not_after).into_iter().chain(times).min();
            Distrust::Expired(first.map_or_else(|| "an unreadable time".into(), show_time))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let from = own.and_then(|own| own.not_before);
            Distrust::NotYet(from.map_or_else(|| "an unreadable time".into(), show_time))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::OtherName {
            expected: name.to_str().into_owned(),
            names: own.map(|own| own.names.clone()).unwrap_or_default(),
        },
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Distrust::WrongUse(subject())
        }
        _ if own.is_some_and(|own| own.is_self_issued) => Distrust::SelfSigned(subject()),
        CertificateError::UnknownIssuer => {
            let last = intermediates.iter().filter_map(|der| Certificate::read(der)).next_back();
            match (last, own) {
                // Roots are as a rule not sent: the last that came is a CA's own, and so it is the root that is unknown.
                (Some(last), _) => Distrust::UnknownCa(last.issuer),
                (None, Some(own)) => Distrust::Incomplete { subject: own.subject.clone(), issuer: own.issuer.clone() },
                (None, None) => Distrust::Other(error.to_string()),
            }
        }
        // A CA's certificate used as a server's.
        CertificateError::Other(_) if own.is_some_and(|own| own.is_ca) => Distrust::WrongUse(subject()),
        other => Distrust::Other(other.to_string()),
    }
}
