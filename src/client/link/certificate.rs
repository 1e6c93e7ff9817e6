//! What an operator wants to know of a certificate (X.509, RFC 5280): whose it is, who issued it, until when it holds, and
//! the digest of its key. Only read here; whether it may be trusted is decided elsewhere.

use crate::words::escape::hex;
use sha2::{Digest, Sha256};

/// A certificate in an operator's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whose it is: the common name, else the organisation.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Issuer and subject are the same.
    pub is_self_issued: bool,
    /// It may issue others.
    pub is_ca: bool,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// From when it holds, in UTC; `None`: not readable.
    pub not_before: Option<jiff::Timestamp>,
    /// Until when it holds, in UTC; `None`: not readable.
    pub not_after: Option<jiff::Timestamp>,
    /// SHA-256 of its SubjectPublicKeyInfo: what `--tls-pin-sha256` names.
    pub key_sha256: [u8; 32],
}

const SEQUENCE: u8 = 0x30;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0A];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];

impl Certificate {
    /// Reads a certificate in DER; `None`: it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Der(Der(der).expect(SEQUENCE)?);
        let mut tbs = Der(outer.expect(SEQUENCE)?);
        if tbs.0.first() == Some(&VERSION) {
            tbs.take()?;
        }
        let (_serial, _algorithm) = (tbs.take()?, tbs.take()?);
        let issuer = tbs.expect(SEQUENCE)?;
        let mut validity = Der(tbs.expect(SEQUENCE)?);
        let (not_before, not_after) = (validity.take()?, validity.take()?);
        let subject = tbs.expect(SEQUENCE)?;
        let key = tbs.take()?;
        let mut certificate = Self {
            subject: name_of(subject),
            issuer: name_of(issuer),
            is_self_issued: issuer == subject,
            is_ca: false,
            names: Vec::new(),
            not_before: time_of(&not_before),
            not_after: time_of(&not_after),
            key_sha256: Sha256::digest(key.whole).into(),
        };
        while let Some(item) = tbs.take() {
            if item.tag == EXTENSIONS {
                certificate.read_extensions(item.body);
            }
        }
        Some(certificate)
    }

    fn read_extensions(&mut self, body: &[u8]) {
        let Some(list) = Der(body).expect(SEQUENCE) else { return };
        let mut list = Der(list);
        while let Some(extension) = list.take() {
            let mut extension = Der(extension.body);
            let Some(oid) = extension.expect(OID) else { continue };
            let Some(mut value) = extension.take() else { continue };
            if value.tag == BOOLEAN {
                let Some(next) = extension.take() else { continue };
                value = next;
            }
            if value.tag != OCTET_STRING {
                continue;
            }
            let Some(inner) = Der(value.body).expect(SEQUENCE) else { continue };
            let mut inner = Der(inner);
            match oid {
                ALTERNATIVE_NAMES => {
                    while let Some(name) = inner.take() {
                        match (name.tag, name.body) {
                            (DNS_NAME, name) => self.names.push(name.escape_ascii().to_string()),
                            (IP_ADDRESS, &[a, b, c, d]) => self.names.push(format!("{a}.{b}.{c}.{d}")),
                            (IP_ADDRESS, body) => {
                                if let Ok(octets) = <[u8; 16]>::try_from(body) {
                                    self.names.push(std::net::Ipv6Addr::from(octets).to_string());
                                }
                            }
                            _ => {}
                        }
                    }
                }
                BASIC_CONSTRAINTS => {
                    self.is_ca =
                        inner.take().is_some_and(|item| item.tag == BOOLEAN && item.body.first() == Some(&0xFF));
                }
                _ => {}
            }
        }
    }

    /// The digest of its key as it is typed.
    pub fn pin(&self) -> String {
        hex(&self.key_sha256)
    }

    /// Until when it holds, as text.
    pub fn ends(&self) -> String {
        self.not_after.map_or_else(|| "an unreadable time".into(), show_time)
    }
}

/// A time as an operator reads it.
pub fn show_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A name (RFC 5280, 4.1.2.4) by its common name, else its organisation.
fn name_of(rdns: &[u8]) -> String {
    let (mut found, mut list) = (String::from("(nameless)"), Der(rdns));
    while let Some(set) = list.take() {
        let mut set = Der(set.body);
        while let Some(attribute) = set.take() {
            let mut attribute = Der(attribute.body);
            let (Some(oid), Some(value)) = (attribute.expect(OID), attribute.take()) else { continue };
            let text = || crate::words::escape::escape_terminal(&String::from_utf8_lossy(value.body)).into_owned();
            match oid {
                COMMON_NAME => return text(),
                ORGANISATION => found = text(),
                _ => {}
            }
        }
    }
    found
}

/// UTCTime or GeneralizedTime, in the forms that RFC 5280 allows.
fn time_of(item: &Item<'_>) -> Option<jiff::Timestamp> {
    let text = std::str::from_utf8(item.body).ok().filter(|text| text.is_ascii())?;
    let text = if item.tag == UTC_TIME {
        let century = if text.get(..2)?.parse::<u8>().ok()? >= 50 { "19" } else { "20" };
        format!("{century}{text}")
    } else {
        text.to_owned()
    };
    let at = |from: usize, to: usize| text.get(from..to);
    format!("{}-{}-{}T{}:{}:{}Z", at(0, 4)?, at(4, 6)?, at(6, 8)?, at(8, 10)?, at(10, 12)?, at(12, 14)?).parse().ok()
}

/// What is left of a row of DER items.
struct Der<'a>(&'a [u8]);

struct Item<'a> {
    tag: u8,
    body: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    fn take(&mut self) -> Option<Item<'a>> {
        let &[tag, first, ..] = self.0 else { return None };
        let (header, length) = match first {
            0..=0x7F => (2, usize::from(first)),
            // Up to four octets of length; a certificate has no more.
            0x81..=0x84 => {
                let count = usize::from(first & 0x7F);
                let octets = self.0.get(2..2 + count)?;
                (2 + count, octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
            }
            _ => return None,
        };
        let end = header.checked_add(length)?;
        let whole = self.0.get(..end)?;
        self.0 = &self.0[end..];
        Some(Item { tag, body: &whole[header..], whole })
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take().filter(|item| item.tag == tag).map(|item| item.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read() {
        let mut params = rcgen::CertificateParams::new(["smpp.example.com".to_owned(), "10.0.0.1".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "An SMSC");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap();
        let read = Certificate::read(der.der()).unwrap();
        assert_eq!((read.subject.as_str(), read.is_self_issued, read.is_ca), ("An SMSC", true, false));
        assert_eq!(read.names, ["smpp.example.com", "10.0.0.1"]);
        assert_eq!(read.ends(), "2031-02-03 00:00 UTC");
        use rcgen::PublicKeyData;
        assert_eq!(read.key_sha256, <[u8; 32]>::from(Sha256::digest(key.subject_public_key_info())));
    }

    #[test]
    fn what_is_no_certificate_is_none_and_never_panics() {
        let key = rcgen::KeyPair::generate().unwrap();
        let der = rcgen::CertificateParams::new(["x".to_owned()]).unwrap().self_signed(&key).unwrap();
        for end in 0..der.der().len() {
            assert_eq!(Certificate::read(&der.der()[..end]), None, "cut at {end}");
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut octets = der.der().to_vec();
            let at = random.usize(..octets.len());
            octets[at] = random.u8(..);
            let _ = Certificate::read(&octets);
        }
    }
}
