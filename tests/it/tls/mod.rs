//! TLS: what is refused and in which words, what is not, and that both directions work at once.

mod duplex;
mod pki;

use assert_cmd::Command;
use pki::{NAME, Signed, ca, config, server, sign, smsc};
use smppost::testing::client::link::{Tls, TlsOptions};
use smppost::testing::client::{Account, BindError, BindMode, Bound, Secret, Timers, Version, bind};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn account(address: SocketAddr, host: &str, options: &TlsOptions) -> Account {
    Account {
        hosts: vec![host.into()],
        port: address.port(),
        tls: Some(Tls::new(options).unwrap()),
        system_id: "user".into(),
        password: Secret::new("s3cr3t".into()),
        system_type: String::new(),
        addresses: Default::default(),
        bind: BindMode::Transceiver,
        version: Version::V34,
        tlvs: smppost::testing::client::TakesTlvs::default(),
        window: 10,
        timers: Timers { connect: Duration::from_secs(20), bind: Duration::from_secs(20), ..Timers::default() },
        receipts: Default::default(),
        spread: Default::default(),
        local: Default::default(),
        recorder: None,
        receiver: None,
    }
}

fn try_bind(address: SocketAddr, options: &TlsOptions) -> Result<Bound, BindError> {
    let account = account(address, NAME, options);
    bind(&account, account.bind.kind(0), &|| false, &drop)
}

/// A folder with a CA's certificate in it, and options that trust that CA.
struct Trust {
    folder: tempfile::TempDir,
    options: TlsOptions,
}

fn trust(root: &Signed) -> Trust {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &root.pem).unwrap();
    Trust { options: TlsOptions { ca: Some(path), ..TlsOptions::default() }, folder }
}

impl Trust {
    fn private_file(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

#[test]
fn a_good_certificate_is_taken_with_either_version_of_tls() {
    let root = sign(ca("The root"), None);
    let between = sign(ca("The intermediate"), Some(&root));
    let own = sign(server(NAME), Some(&between));
    let trust = trust(&root);
    let bound = try_bind(smsc(config(&own, &[&between])), &trust.options).unwrap();
    let facts = bound.tls.unwrap();
    assert_eq!((facts.version.as_str(), facts.certificates.len()), ("TLSv1_3", 2));
    assert_eq!(facts.certificates[0].names, [NAME]);
    let direct = sign(server(NAME), Some(&root));
    let bound = try_bind(smsc(pki::config_version(&direct, &rustls::version::TLS12)), &trust.options).unwrap();
    assert_eq!(bound.tls.unwrap().version, "TLSv1_2");
}

#[test]
fn f23_eight_bad_servers_are_refused_in_eight_ways() {
    let root = sign(ca("The root"), None);
    let between = sign(ca("The intermediate"), Some(&root));
    let other = sign(ca("Somebody's root"), None);
    let good = sign(server(NAME), Some(&root));
    let trust = trust(&root);
    let mut expired = server(NAME);
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 2, 3);
    let mut client = server(NAME);
    client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let pinned = TlsOptions { pins: vec![[7; 32]], ..trust.options.clone() };
    let plain = pki::listen(|mut stream| {
        let _ = stream.write_all(b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let cases = [
        (smsc(config(&sign(expired, Some(&root)), &[])), &trust.options, "expired on 2021-02-03"),
        (
            smsc(config(&sign(server("elsewhere.example"), Some(&root)), &[])),
            &trust.options,
            "is for elsewhere.example, not for localhost",
        ),
        (smsc(config(&sign(server(NAME), Some(&other)), &[&other])), &trust.options, "unknown CA (Somebody's root)"),
        (smsc(config(&sign(server(NAME), None), &[])), &trust.options, "is self-signed"),
        (smsc(config(&sign(server(NAME), Some(&between)), &[])), &trust.options, "an incomplete chain"),
        (smsc(config(&sign(client, Some(&root)), &[])), &trust.options, "not for servers"),
        (smsc(config(&good, &[])), &pinned, "is not the pinned one: it is "),
        (plain, &trust.options, "does not speak TLS"),
    ];
    for (address, options, words) in &cases {
        let error = try_bind(*address, options).unwrap_err();
        assert!(error.to_string().contains(words), "wanted {words:?}, got: {error}");
        assert!(error.is_final(), "trying again would be hammering: {error}");
        for (_, _, others) in cases.iter().filter(|(_, _, others)| others != words) {
            assert!(!error.to_string().contains(others), "{error}");
        }
    }
}

#[test]
fn f23_a_self_signed_certificate_is_taken_once_it_is_given() {
    for params in [server(NAME), {
        let mut both = server(NAME);
        both.is_ca = ca("").is_ca;
        both
    }] {
        let own = sign(params, None);
        let trust = trust(&own);
        try_bind(smsc(config(&own, &[])), &trust.options).unwrap();
        // But for its name and in its time only.
        let account = account(smsc(config(&own, &[])), "127.0.0.1", &trust.options);
        let error = bind(&account, account.bind.kind(0), &|| false, &drop).unwrap_err().to_string();
        assert!(error.contains("not for 127.0.0.1"), "{error}");
        let named = TlsOptions { server_name: Some(NAME.into()), ..trust.options.clone() };
        let account = Account { tls: Some(Tls::new(&named).unwrap()), ..account };
        bind(&account, account.bind.kind(0), &|| false, &drop).unwrap();
    }
}

#[test]
fn f23_the_systems_and_the_bundled_roots_do_not_know_a_test_ca() {
    let root = sign(ca("The root"), None);
    let own = sign(server(NAME), Some(&root));
    let error = try_bind(smsc(config(&own, &[&root])), &TlsOptions::default()).unwrap_err();
    assert!(error.to_string().contains("unknown CA"), "{error}");
}

#[test]
fn a_pin_and_a_careless_client_go_by_the_key_alone() {
    use rcgen::PublicKeyData;
    use sha2::Digest;
    let own = sign(server("elsewhere.example"), None);
    let pin: [u8; 32] = sha2::Sha256::digest(own.key.subject_public_key_info()).into();
    let address = smsc(config(&own, &[]));
    let careless = TlsOptions { accept_any: true, ..TlsOptions::default() };
    try_bind(address, &careless).unwrap();
    assert!(Tls::new(&careless).unwrap().warning().unwrap().contains("NOT checked"));
    let pinned = TlsOptions { pins: vec![[1; 32], pin], ..careless.clone() };
    assert_eq!(Tls::new(&pinned).unwrap().warning(), None);
    try_bind(address, &pinned).unwrap();
    let wrong = TlsOptions { pins: vec![[1; 32]], ..careless };
    assert!(try_bind(address, &wrong).unwrap_err().is_final());
}

#[test]
fn a_client_certificate_is_shown_and_its_lack_is_told() {
    let root = sign(ca("The root"), None);
    let own = sign(server(NAME), Some(&root));
    let mut params = server("client");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client = sign(params, Some(&root));
    let trust = trust(&root);
    let certificate = trust.private_file("client.pem", &client.pem);
    let key = trust.private_file("client.key", &client.key.serialize_pem());
    for version in rustls::ALL_VERSIONS {
        let address = smsc(pki::config_mutual(&own, &root, version));
        let error = try_bind(address, &trust.options).unwrap_err();
        assert!(error.to_string().contains("--tls-client-cert"), "{version:?}: {error}");
        assert!(error.is_final());
        let with = TlsOptions { client: Some((certificate.clone(), key.clone())), ..trust.options.clone() };
        try_bind(address, &with).unwrap();
    }
    // As it is typed.
    let folder = tempfile::tempdir().unwrap();
    let address = smsc(pki::config_mutual(&own, &root, rustls::ALL_VERSIONS[0]));
    let root_file = trust.private_file("root.pem", &root.pem);
    let port = address.port().to_string();
    let probe = |options: &[&std::ffi::OsStr]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("smppost"));
        command.current_dir(folder.path()).env("HOME", folder.path()).env("SMPPOST_PASSWORD", "s3cr3t");
        command.args(["probe", "--host", NAME, "--port", &port, "--system-id", "user", "--tls-ca"]).arg(&root_file);
        command.args(["--response-timeout", "300ms"]);
        command.args(options).timeout(Duration::from_secs(30)).output().unwrap()
    };
    let [certificate_option, key_option] = ["--tls-client-cert", "--tls-client-key"].map(std::ffi::OsStr::new);
    let output = probe(&[certificate_option, certificate.as_os_str(), key_option, key.as_os_str()]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("bound as trx"), "{output:?}");
    assert_eq!(probe(&[]).status.code(), Some(1));
    assert_eq!(probe(&[key_option, key.as_os_str()]).status.code(), Some(2));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = Tls::new(&TlsOptions { client: Some((certificate, key)), ..TlsOptions::default() }).unwrap_err();
    assert!(error.contains("chmod 600"), "f14: {error}");
}

#[test]
fn f20_a_handshake_that_stalls_ends_with_the_connect_timer() {
    let silent = pki::listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let trickling = pki::listen(|mut stream| {
        // The header of a long record, and then an octet now and then.
        let _ = stream.write_all(b"\x16\x03\x03\x40\x00");
        while stream.write_all(b"\x02").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for address in [silent, trickling] {
        let mut account = account(address, NAME, &TlsOptions::default());
        account.timers.connect = Duration::from_millis(700);
        let started = Instant::now();
        let error = bind(&account, account.bind.kind(0), &|| false, &drop).unwrap_err();
        assert!(error.to_string().contains("connect timeout"), "{error}");
        assert!(!error.is_final());
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
}

#[test]
fn f23_the_password_never_goes_to_a_port_that_does_not_speak_tls() {
    let (sender, heard) = mpsc::channel();
    let address = pki::listen(move |mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut octets = Vec::new();
        let _ = stream.read_to_end(&mut octets);
        let _ = stream.write_all(b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0");
        let _ = sender.send(octets);
    });
    let error = try_bind(address, &TlsOptions::default()).unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    let octets = heard.recv().unwrap();
    assert_eq!(octets[0], 0x16);
    assert!(!octets.windows(6).any(|window| window == b"s3cr3t"));
}

#[test]
fn plain_text_to_a_tls_port_is_told_to_use_tls() {
    let root = sign(ca("The root"), None);
    let address = smsc(config(&sign(server(NAME), Some(&root)), &[]));
    let mut account = account(address, NAME, &TlsOptions::default());
    account.tls = None;
    let error = bind(&account, account.bind.kind(0), &|| false, &drop).unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
}

#[test]
fn f23_the_program_stops_at_once_with_exit_code_1() {
    let root = sign(ca("The root"), None);
    let own = sign(server(NAME), Some(&root));
    let address = smsc(config(&own, &[&root]));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.csv"), "to,text\n46700000001,hello\n").unwrap();
    let port = address.port().to_string();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("smppost"));
    let output = command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_STATE_HOME")
        .env("SMPPOST_PASSWORD", "s3cr3t")
        .args(["send", "c.csv", "--host", NAME, "--port", &port, "--system-id", "user", "--tls"])
        .timeout(Duration::from_secs(20))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("unknown CA (The root)") && words.contains("--tls-ca"), "{words}");
    assert!(!words.contains("s3cr3t"));
}
