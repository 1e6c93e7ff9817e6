//! Certificates of every kind, and servers that show them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// The name that the good server's certificate is for.
pub const NAME: &str = "localhost";

/// A certificate with its key.
pub struct Signed {
    pub der: CertificateDer<'static>,
    pub pem: String,
    pub key: KeyPair,
    params: CertificateParams,
}

impl Signed {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::new(self.params.clone(), &self.key)
    }

    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// Parameters of a server's certificate.
pub fn server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("SMSC {name}"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Parameters of a CA's certificate.
pub fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// Signs with `issuer`, or by itself.
pub fn sign(params: CertificateParams, issuer: Option<&Signed>) -> Signed {
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        None => params.self_signed(&key).unwrap(),
        Some(issuer) => params.signed_by(&key, &issuer.issuer()).unwrap(),
    };
    Signed { der: certificate.der().clone(), pem: certificate.pem(), key, params }
}

/// A server's settings that show `own` and then `chain`.
pub fn config(own: &Signed, chain: &[&Signed]) -> Arc<ServerConfig> {
    let mut shown = vec![own.der.clone()];
    shown.extend(chain.iter().map(|signed| signed.der.clone()));
    let config = builder(rustls::ALL_VERSIONS).with_no_client_auth().with_single_cert(shown, own.key_der()).unwrap();
    Arc::new(config)
}

/// As [`config`], for one version of TLS.
pub fn config_version(own: &Signed, version: &'static rustls::SupportedProtocolVersion) -> Arc<ServerConfig> {
    let builder = builder(&[version]).with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![own.der.clone()], own.key_der()).unwrap())
}

/// As [`config`], asking for a certificate of a client that `root` vouches for.
pub fn config_mutual(
    own: &Signed,
    root: &Signed,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let builder = builder(&[version]).with_client_cert_verifier(verifier);
    Arc::new(builder.with_single_cert(vec![own.der.clone()], own.key_der()).unwrap())
}

fn builder(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap()
}

/// Listens, and gives every connection to `serve` on a thread of its own. Ends with the process.
pub fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// An SMSC that speaks TLS as `config` says and takes every bind.
pub fn smsc(config: Arc<ServerConfig>) -> SocketAddr {
    listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let Ok(request) = read_pdu(&mut stream) else { return };
        let mut answer = 0x15u32.to_be_bytes().to_vec();
        let command_id = 0x8000_0000 | u32::from_be_bytes(request[4..8].try_into().unwrap());
        answer.extend(command_id.to_be_bytes());
        answer.extend(0u32.to_be_bytes());
        answer.extend(&request[12..16]);
        answer.extend(b"smsc\0");
        if stream.write_all(&answer).is_ok() {
            while read_pdu(&mut stream).is_ok() {}
        }
    })
}

/// One PDU, whole.
pub fn read_pdu(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut pdu = vec![0; 4];
    stream.read_exact(&mut pdu)?;
    let length = u32::from_be_bytes([pdu[0], pdu[1], pdu[2], pdu[3]]) as usize;
    assert!((16..70_000).contains(&length), "{length}");
    pdu.resize(length, 0);
    stream.read_exact(&mut pdu[4..])?;
    Ok(pdu)
}
