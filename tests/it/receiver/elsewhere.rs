//! A receiver at another host, by another login.

use super::*;
use crate::common::{one, open};
use smppost::smsc::{Password, Settings as SmscSettings, Smsc};
use std::os::unix::fs::PermissionsExt;

/// An SMSC that lets one login in.
fn smsc(system_id: &str, password: &str) -> Smsc {
    Smsc::start(SmscSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        rate: None,
        system_id: Some(system_id.into()),
        password: Some(Password::new(password)),
        ..SmscSettings::default()
    })
    .unwrap()
}

/// Sends here, receives there. The two know nothing of each other, so that no receipt comes: what counts is who is bound.
struct Two {
    out: Smsc,
    inward: Smsc,
    smppost: Smppost,
}

impl Two {
    fn new() -> Self {
        let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "outward");
        smppost.file("c.csv", rows(2));
        Self { out: smsc("acme", "outward"), inward: smsc("acme_rx", "inward"), smppost }
    }

    fn profile(&self, receiver: &str) {
        let (out, inward) = (self.out.local_addr().port(), self.inward.local_addr().port());
        let path = self.smppost.file(
            "smppost.toml",
            format!(
                "[acme]\nhost = \"127.0.0.1\"\nport = {out}\nsystem_id = \"acme\"\nbind = \"tx+rx\"\nrate = 100\n\
                 wait_receipts = \"100ms\"\n[acme.receiver]\nport = {inward}\nsystem_id = \"acme_rx\"\n{receiver}"
            ),
        );
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Bind, login and peer's port of each session.
    fn sessions(&self) -> Vec<(String, String, u16)> {
        let connection = open(&self.smppost.journal());
        let mut query =
            connection.prepare("SELECT DISTINCT bind, system_id, peer FROM session ORDER BY bind, system_id").unwrap();
        let rows = query.query_map([], |row| {
            let peer: String = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, peer.rsplit(':').next().unwrap().parse().unwrap()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn expected(&self) -> Vec<(String, String, u16)> {
        vec![
            ("rx".into(), "acme_rx".into(), self.inward.local_addr().port()),
            ("tx".into(), "acme".into(), self.out.local_addr().port()),
        ]
    }
}

#[test]
fn a_profile_has_a_receiver_with_its_own_host_login_and_password() {
    let two = Two::new();
    let secret = two.smppost.file("rx-password", "inward\n");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    two.profile("host = [\"no-such-host.invalid\", \"127.0.0.1\"]\npassword_file = \"rx-password\"\n");
    let check = two.smppost.run(&["profile", "check", "acme"]);
    check.assert_code(0);
    let words = format!(
        "receives as acme_rx at no-such-host.invalid, 127.0.0.1 port {}, no TLS",
        two.inward.local_addr().port()
    );
    assert!(check.stdout.contains(&words), "{}", check.said());
    two.smppost.run(&["send", "c.csv", "--profile", "acme"]).assert_code(0);
    assert_eq!(two.sessions(), two.expected());
    assert_eq!(states(&two.smppost.journal(), "c"), expected([("accepted", 2)]));
    // Who listens alone needs no other password, and is known by the login of the receiver.
    let mut alone = vec!["listen", "--for", "500ms", "--profile", "acme", "--bind", "rx"];
    two.smppost.run_with(&alone, &[("SMPPOST_PASSWORD", "")]).assert_code(0);
    let port = two.inward.local_addr().port().to_string();
    alone = vec!["listen", "--for", "500ms", "--host", "127.0.0.1", "--port", &port, "--system-id", "acme_rx"];
    two.smppost.run_with(&alone, &[("SMPPOST_PASSWORD", "inward")]).assert_code(0);
    assert_eq!(two.sessions(), two.expected());
    // Typed, one connection both ways does without it.
    let typed = two.smppost.run(&[
        "send",
        "c.csv",
        "--campaign",
        "d",
        "--profile",
        "acme",
        "--bind",
        "trx",
        "--allow-same-file",
    ]);
    assert_eq!(states(&two.smppost.journal(), "d"), expected([("delivered", 2)]), "{}", typed.said());
}

#[test]
fn without_a_profile_options_say_where_and_the_environment_has_the_password() {
    let two = Two::new();
    let (out, inward) = (two.out.local_addr().port().to_string(), two.inward.local_addr().port().to_string());
    let mut arguments = vec!["send", "c.csv", "--host", "127.0.0.1", "--port", &out, "--system-id", "acme", "--bind"];
    arguments.extend(["tx+rx", "--wait-receipts", "100ms", "--rx-host", "127.0.0.1", "--rx-port", &inward]);
    arguments.extend(["--rx-system-id", "acme_rx", "--rx-system-type", "rxtype"]);
    two.smppost.run_with(&arguments, &[("SMPPOST_RX_PASSWORD", "inward")]).assert_code(0);
    assert_eq!(two.sessions(), two.expected());
    // The password of the sender is not the receiver's.
    two.smppost.file("d.csv", rows(3));
    arguments[1] = "d.csv";
    let wrong = two.smppost.run(&arguments);
    assert!(
        wrong.stderr.contains("connection 2: ") && wrong.stderr.contains("going on without it"),
        "{}",
        wrong.said()
    );
    arguments.extend(["--bind", "trx"]);
    let idle = two.smppost.run(&[&arguments[..8], &["--rx-host", "127.0.0.1"]].concat());
    idle.assert_code(2);
    assert!(idle.stderr.contains("need --bind tx+rx"), "{}", idle.said());
}

#[test]
fn what_is_wrong_with_a_receiver_is_named_by_line_and_shows_no_password() {
    let two = Two::new();
    for (line, words) in [
        ("password = \"hunter2\"", "line 11: receiver \"password\": a password does not belong into this file"),
        ("prot = 2775", "line 11: receiver \"prot\": a receiver has no such key"),
        ("tls_pin_sha256 = \"hunter2\"", "line 11: receiver \"tls_pin_sha256\""),
        ("password_env = \"NOT_SET\"", "the receiver: the password is missing: set NOT_SET"),
        ("password_file = \"none\"", "the receiver: password_file none"),
    ] {
        two.profile(&format!("{line}\n"));
        let said = two.smppost.run(&["send", "c.csv", "--profile", "acme"]);
        said.assert_code(2);
        assert!(said.stderr.contains(words) && !said.said().contains("hunter2"), "{line}: {}", said.said());
    }
    // A file that leads to a secret is to be private itself.
    two.profile("password_file = \"rx-password\"\n");
    std::fs::set_permissions(two.smppost.path("smppost.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open_file = two.smppost.run(&["send", "c.csv", "--profile", "acme"]);
    open_file.assert_code(2);
    assert!(open_file.stderr.contains("chmod 600"), "{}", open_file.said());
    assert!(!two.smppost.journal().exists());
}

#[test]
fn a_password_goes_to_no_receiver_that_the_file_of_somebody_else_names() {
    let two = Two::new();
    two.profile("host = \"127.0.0.1\"\n");
    let file = two.smppost.path("smppost.toml");
    let given = std::process::Command::new("chown").arg("12345").arg(&file).output();
    if !given.is_ok_and(|output| output.status.success()) {
        return crate::common::skipped("only root gives files to others");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut arguments = vec!["send", "c.csv", "--profile", "acme", "--config", "smppost.toml", "--host", "127.0.0.1"];
    let environment = [("SMPPOST_RX_PASSWORD", "inward")];
    let refused = two.smppost.run_with(&arguments, &environment);
    refused.assert_code(2);
    let words = "the file belongs to another user (number 12345), who would decide where your password goes";
    assert!(refused.stderr.contains(words) && refused.stderr.contains("with --rx-host"), "{}", refused.said());
    arguments.extend(["--rx-host", "127.0.0.1"]);
    two.smppost.run_with(&arguments, &environment).assert_code(0);
    assert_eq!(one(&two.smppost.journal(), "SELECT count(*) FROM session"), 2);
}

#[test]
fn probe_binds_the_receiver_where_it_is() {
    let two = Two::new();
    two.profile("");
    let probe = two.smppost.run_with(&["probe", "--profile", "acme"], &[("SMPPOST_RX_PASSWORD", "inward")]);
    probe.assert_code(0);
    assert!(probe.stdout.contains("bound as rx (in only), too"), "{}", probe.said());
    let wrong = two.smppost.run(&["probe", "--profile", "acme"]);
    assert!(
        wrong.stdout.contains(&format!("127.0.0.1:{} refuses", two.inward.local_addr().port())),
        "{}",
        wrong.said()
    );
}
