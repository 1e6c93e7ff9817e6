//! Several hosts at once, and the address of this machine that is gone out from.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Ended, Smppost, expected, open, rows, states};

/// Two hosts with one port, each with an SMSC that takes one connection; `None`: it is down.
struct Hosts {
    first: Option<IndependentSmsc>,
    second: IndependentSmsc,
}

impl Hosts {
    fn new(first_is_up: bool, connections_max: usize) -> Self {
        let at = |address: &str, port| Settings {
            address: address.parse().unwrap(),
            port,
            connections_max,
            ..Settings::default()
        };
        let second = IndependentSmsc::start(at("127.0.0.3", 0));
        let first = first_is_up.then(|| IndependentSmsc::start(at("127.0.0.2", second.port())));
        Self { first, second }
    }

    fn send(&self, smppost: &Smppost, more: &[&str]) -> Ended {
        smppost.file("c.csv", rows(40));
        let port = self.second.port().to_string();
        let arguments =
            ["send", "c.csv", "--host", "127.0.0.2,127.0.0.3", "--port", &port, "--system-id", "test", "--rate", "100"];
        smppost.run(&[&arguments, more].concat())
    }
}

/// The hosts of sessions, each connection's first.
fn peers(smppost: &Smppost) -> Vec<String> {
    let connection = open(&smppost.journal());
    let mut query = connection.prepare("SELECT peer FROM session ORDER BY peer").unwrap();
    let peers = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    peers.map(|peer| peer.unwrap().split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn connections_that_are_spread_go_to_one_host_each() {
    let hosts = Hosts::new(true, 1);
    let smppost = Smppost::new();
    let options = ["--connections", "2", "--hosts", "spread", "--wait-receipts", "10s"];
    let spread = hosts.send(&smppost, &options);
    spread.assert_code(0);
    assert_eq!(peers(&smppost), ["127.0.0.2", "127.0.0.3"], "{}", spread.said());
    // Both took some of it.
    let taken = [hosts.first.as_ref().unwrap().ledger().len(), hosts.second.ledger().len()];
    assert!(taken[0] > 1 && taken[1] > 0, "{taken:?}");
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 40)]));
}

#[test]
fn a_host_that_is_down_lends_its_connection_only_where_that_is_allowed() {
    let hosts = Hosts::new(false, 2);
    let options = ["--connections", "2", "--hosts", "spread", "--wait-receipts", "10s"];
    let smppost = Smppost::new();
    let kept = hosts.send(&smppost, &options);
    kept.assert_code(0);
    assert_eq!(peers(&smppost), ["127.0.0.3"], "{}", kept.said());
    assert!(kept.stderr.contains("127.0.0.2:") && kept.stderr.contains("refuses connections"), "{}", kept.said());
    let smppost = Smppost::new();
    smppost.file("smppost.toml", "[default]\nhosts = \"spread\"\nlend_connections = true\nconnections = 2\n");
    let lent = hosts.send(&smppost, &["--wait-receipts", "10s"]);
    lent.assert_code(0);
    assert_eq!(peers(&smppost), ["127.0.0.3", "127.0.0.3"], "{}", lent.said());
}

#[test]
fn what_spread_cannot_do_is_said() {
    let hosts = Hosts::new(true, 2);
    let smppost = Smppost::new();
    let one = hosts.send(&smppost, &["--hosts", "spread", "--dry-run"]);
    one.assert_code(0);
    assert!(one.words().contains("no connection goes to 127.0.0.3: --connections is 1"), "{}", one.said());
    assert!(one.words().contains("127.0.0.2, 127.0.0.3 (spread)"), "{}", one.said());
    let idle = hosts.send(&smppost, &["--lend-connections"]);
    idle.assert_code(2);
    assert!(idle.stderr.contains("only with --hosts spread"), "{}", idle.said());
    let listen =
        ["listen", "--for", "1s", "--host", "127.0.0.2,127.0.0.3", "--system-id", "test", "--connections", "2"];
    let port = hosts.second.port().to_string();
    smppost.send(&rows(1), hosts.second.port(), &["--host", "127.0.0.3"]);
    let before = peers(&smppost).len();
    smppost.run(&[&listen[..], &["--port", &port, "--hosts", "spread"]].concat()).assert_code(0);
    assert_eq!(peers(&smppost).len(), before + 2);
    assert!(peers(&smppost).contains(&"127.0.0.2".to_owned()));
}

#[test]
fn a_connection_goes_out_from_the_address_that_is_named() {
    let smsc = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let smppost = Smppost::new();
    let running = smppost.spawn_send(
        &rows(1),
        smsc.local_addr().unwrap().port(),
        &["--local-address", "127.0.0.9", "--bind-timeout", "500ms", "--give-up-after", "1s"],
    );
    let (_connection, from) = smsc.accept().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.9");
    drop(running);
}

#[test]
fn an_address_that_cannot_be_gone_out_from_is_refused() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    for (host, local, words) in [
        ("127.0.0.1", "192.0.2.77", "--local-address: this machine does not have the address 192.0.2.77"),
        ("::1", "127.0.0.1", "no connection from there goes to ::1: it is IPv6, and --local-address 127.0.0.1 is not"),
        ("127.0.0.1", "localhost", "that is a name"),
        ("127.0.0.1", "127.0.0.1,127.0.0.2", "two of IPv4"),
    ] {
        let arguments = ["send", "c.csv", "--system-id", "test", "--host", host, "--local-address", local];
        let refused = smppost.run(&arguments);
        refused.assert_code(2);
        assert!(refused.stderr.contains(words), "{}", refused.said());
        assert!(!smppost.journal().exists());
    }
    // Of two hosts the one that fits is used, and a rehearsal goes out from nowhere.
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    let mixed = ["send", "c.csv", "--system-id", "test", "--host", "::1,127.0.0.1", "--port", &port];
    smppost.run(&[&mixed[..], &["--local-address", "127.0.0.1", "--wait-receipts", "5s"]].concat()).assert_code(0);
    let rehearsal = Smppost::new();
    rehearsal.file("c.csv", rows(1));
    rehearsal.run(&["send", "c.csv", "--simulate", "--local-address", "192.0.2.77"]).assert_code(0);
}
