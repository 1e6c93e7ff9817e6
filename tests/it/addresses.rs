//! Hosts and their addresses as users write them and as networks have them: lists that are gone through, dead addresses,
//! names that nobody knows, runs that never bind.

use crate::common::independent_smsc::{BindAnswer, IndependentSmsc, Settings};
use crate::common::{self, Ended, Smppost, expected, rows, states};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// What an address does with whoever connects.
#[derive(Clone, Copy, Debug)]
enum Does {
    Close,
    /// Reads, and never says a word.
    Mute,
    /// Says this, and closes.
    Say(&'static [u8]),
}

/// Something at `127.0.0.n` that is no SMSC.
fn odd(n: u8, port: u16, does: Does) -> SocketAddr {
    let listener = TcpListener::bind((IpAddr::from([127, 0, 0, n]), port)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || match does {
                Does::Close => {}
                Does::Mute => drop(stream.read_to_end(&mut Vec::new())),
                Does::Say(words) => {
                    let _ = stream.read(&mut [0; 512]);
                    let _ = stream.write_all(words);
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            });
        }
    });
    address
}

/// Addresses that neither take nor refuse a connection, as one behind a firewall does: their queues are full.
struct Silent {
    _held: Vec<(TcpListener, Vec<TcpStream>)>,
}

impl Silent {
    /// At `127.0.0.n` for each `n`, all at the port of the first.
    fn at(all: std::ops::RangeInclusive<u8>) -> (Self, u16) {
        let mut port = 0;
        let mut held = Vec::new();
        for n in all {
            let listener = TcpListener::bind((IpAddr::from([127, 0, 0, n]), port)).unwrap();
            // Shorter than std makes it.
            rustix::net::listen(&listener, 0).unwrap();
            let address = listener.local_addr().unwrap();
            port = address.port();
            let taken = std::iter::from_fn(|| TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok());
            held.push((listener, taken.take(64).collect()));
        }
        (Self { _held: held }, port)
    }
}

fn at(n: u8, settings: Settings) -> IndependentSmsc {
    IndependentSmsc::start(Settings { address: IpAddr::from([127, 0, 0, n]), ..settings })
}

/// The arguments of `send` to these hosts.
fn to<'a>(smppost: &Smppost, hosts: &'a str, port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    smppost.file("c.csv", rows(3));
    let mut arguments = smppost.send_arguments("c.csv", port, more);
    arguments[3] = hosts;
    arguments
}

#[track_caller]
fn says(ended: &Ended, words: &str) {
    assert!(ended.stderr.contains(words), "{words:?} is not said:\n{}", ended.said());
}

#[test]
fn an_address_that_closes_or_stays_mute_or_refuses_counts_as_tried() {
    for does in [Does::Close, Does::Mute, Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n")] {
        let good = at(3, Settings::default());
        odd(2, good.port(), does);
        let smppost = Smppost::new();
        let port = good.port().to_string();
        let ended = smppost.run(&to(&smppost, "127.0.0.2,127.0.0.3", &port, &["--bind-timeout", "1s"]));
        ended.assert_code(0);
        assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
        says(&ended, &format!("bound to 127.0.0.3:{port}"));
        let report = good.finish();
        report.assert_clean();
        assert_eq!(report.counts.binds, 1, "{does:?}");
    }
    // A refusal for a reason of its own, and one that holds everywhere.
    for (status, goes_on) in [(0x08, true), (0x0D, true), (0x0E, false), (0x0F, false)] {
        let good = at(3, Settings::default());
        let refuses = Settings { port: good.port(), binds: vec![BindAnswer::Refused(status)], ..Settings::default() };
        let bad = at(2, refuses);
        let smppost = Smppost::new();
        let port = good.port().to_string();
        let ended = smppost.run(&to(&smppost, "127.0.0.2,127.0.0.3", &port, &[]));
        ended.assert_code(if goes_on { 0 } else { 1 });
        assert_eq!(bad.finish().counts.binds, 1);
        assert_eq!(good.finish().counts.binds, usize::from(goes_on), "0x{status:02X}: {}", ended.said());
    }
}

#[test]
fn words_name_each_address_and_what_it_did_and_the_likeliest_cause_once() {
    let nobody = TcpListener::bind("127.0.0.4:0").unwrap().local_addr().unwrap();
    let port = nobody.port();
    odd(2, port, Does::Close);
    odd(3, port, Does::Mute);
    let smppost = Smppost::new();
    let number = port.to_string();
    let more = ["--bind-timeout", "500ms", "--give-up-after", "3s"];
    let ended = smppost.run(&to(&smppost, "127.0.0.2,127.0.0.3,127.0.0.4", &number, &more));
    ended.assert_code(1);
    says(&ended, "given up, as nothing was bound for 3 s: ");
    says(&ended, &format!("127.0.0.2:{port} closed the connection at once instead of answering the bind; "));
    says(&ended, &format!("127.0.0.3:{port} took the connection and did not answer the bind within the bind timeout"));
    says(&ended, &format!("; 127.0.0.4:{port} refuses connections: has the provider whitelisted"));
    // Of a name it is said which, and what it stands for.
    let ended = Smppost::new();
    let ended = ended.run(&to(&ended, "LocalHost.", &number, &["--give-up-after", "1s"]));
    ended.assert_code(1);
    says(&ended, &format!("localhost (127.0.0.1:{port}) refuses connections"));
}

#[test]
fn silent_addresses_overlap_and_hold_neither_the_next_one_nor_ctrl_c_up() {
    let (_silent, port) = Silent::at(2..=4);
    let number = port.to_string();
    let hosts = "127.0.0.2,127.0.0.3,127.0.0.4";
    for (more, signal, code) in
        [(&[][..], Some("INT"), 130), (&[][..], Some("TERM"), 130), (&["--give-up-after", "2s"][..], None, 1)]
    {
        let smppost = Smppost::new();
        let mut run = smppost.spawn(&to(&smppost, hosts, &number, more));
        let begun = Instant::now();
        run.wait_for_words("imported");
        std::thread::sleep(Duration::from_secs(1));
        let asked = Instant::now();
        if let Some(signal) = signal {
            run.signal(signal);
        }
        let ended = run.wait();
        ended.assert_code(code);
        match signal {
            Some(signal) => assert!(asked.elapsed() < Duration::from_secs(3), "{signal}: {:?}", asked.elapsed()),
            None => {
                assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
                says(&ended, "given up, as nothing was bound for 2 s: connecting to 127.0.0.2:");
                says(&ended, "127.0.0.4:");
            }
        }
        assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    }
    // The fourth is reached after three quarters of a second, not after three times the connect timeout.
    let good = at(5, Settings { port, ..Settings::default() });
    let smppost = Smppost::new();
    let begun = Instant::now();
    let mut run = smppost.spawn(&to(&smppost, "127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5", &number, &[]));
    run.wait_for_words("bound to 127.0.0.5");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    run.wait().assert_code(0);
    good.finish().assert_clean();
}

#[test]
fn ctrl_c_holds_in_the_wait_for_the_bind_and_in_the_tls_handshake() {
    let mute = odd(1, 0, Does::Mute);
    let port = mute.port().to_string();
    for more in [&[][..], &["--tls"]] {
        let smppost = Smppost::new();
        let mut run = smppost.spawn(&to(&smppost, "127.0.0.1", &port, more));
        run.wait_for_words("imported");
        std::thread::sleep(Duration::from_millis(500));
        let asked = Instant::now();
        run.signal("INT");
        run.wait().assert_code(130);
        assert!(asked.elapsed() < Duration::from_secs(3), "{more:?}: {:?}", asked.elapsed());
    }
}

#[test]
fn what_is_more_than_a_host_is_refused_with_what_to_write_and_nothing_is_imported() {
    for (host, words) in [
        ("[::1]:2777", "--host ::1 --port 2777"),
        ("smpp://x.example", "--host x.example"),
        ("x:2777", "--host x --port 2777"),
        ("u@x", "--host x --system-id u"),
        ("a b", "write several hosts with commas"),
        ("x,,y", "a name is empty"),
        ("10.1", "no IPv4 address"),
        ("b\u{fc}cher.example", "xn--"),
    ] {
        let smppost = Smppost::new();
        let ended = smppost.run(&to(&smppost, host, "9", &[]));
        ended.assert_code(2);
        says(&ended, words);
        assert!(!smppost.journal().exists(), "{host}: something was imported");
        // From the environment and from a profile likewise.
        let ended = smppost.run_with(&["send", "c.csv", "--system-id", "x"], &[("SMPPOST_HOST", host)]);
        ended.assert_code(2);
        says(&ended, words);
        smppost.file("smppost.toml", format!("[default]\nhost = \"{host}\"\nsystem_id = \"x\"\n"));
        let ended = smppost.run(&["send", "c.csv"]);
        ended.assert_code(2);
        says(&ended, words);
        says(&ended, "smppost.toml line 2");
        assert!(!smppost.journal().exists(), "{host}: something was imported");
    }
}

#[test]
fn brackets_spaces_capitals_and_a_trailing_dot_are_understood() {
    let v4 = IndependentSmsc::start(Settings::default());
    for host in [" 127.0.0.1 ", "LocalHost", "localhost.", "127.0.0.9, 127.0.0.1"] {
        let smppost = Smppost::new();
        smppost.run(&to(&smppost, host, &v4.port().to_string(), &[])).assert_code(0);
    }
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(3));
    let port = v4.port().to_string();
    let more = ["send", "c.csv", "--system-id", "test", "--port", &port, "--rate", "unlimited"];
    smppost.run_with(&more, &[("SMPPOST_HOST", "127.0.0.9, 127.0.0.1")]).assert_code(0);
    v4.finish().assert_clean();
    if let Err(error) = TcpListener::bind("[::1]:0") {
        return common::skipped(&format!("this machine has no ::1 ({error})"));
    }
    let v6 = IndependentSmsc::start(Settings { address: "::1".parse().unwrap(), ..Settings::default() });
    for host in ["[::1]", "::1", "0:0:0:0:0:0:0:1"] {
        let smppost = Smppost::new();
        smppost.run(&to(&smppost, host, &v6.port().to_string(), &[])).assert_code(0);
    }
    v6.finish().assert_clean();
}

#[test]
fn a_port_that_speaks_something_else_is_told() {
    let nack = b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0";
    for (does, more, words) in [
        (Does::Say(b"\x15\x03\x01\x00\x02\x02\x0a"), &[][..], "does not speak SMPP, but TLS: give --tls, or the port"),
        (Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), &[], "does not speak SMPP, but HTTP: check --host and --port"),
        (Does::Say(b"SSH-2.0-OpenSSH_9.9\r\n"), &[], "does not speak SMPP, but SSH: check --host and --port"),
        (Does::Close, &[], "is --port the right one"),
        (Does::Close, &["--tls"], "closed the connection during the TLS handshake: is --port the one for TLS"),
        (Does::Say(nack), &["--tls"], "does not speak TLS: check --port"),
        (Does::Mute, &["--tls", "--connect-timeout", "500ms"], "did not end within the connect timeout"),
    ] {
        let port = odd(1, 0, does).port().to_string();
        let smppost = Smppost::new();
        let ended = smppost.run(&to(&smppost, "127.0.0.1", &port, &[more, &["--give-up-after", "2s"]].concat()));
        ended.assert_code(1);
        says(&ended, words);
    }
}

#[test]
fn a_resolver_that_is_down_is_no_misspelt_name_and_is_left_alone_when_told_to_stop() {
    // In a network of its own, where nobody answers.
    let smppost = Smppost::new();
    let within = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", script]);
        command.arg("sh").arg(env!("CARGO_BIN_EXE_smppost")).current_dir(smppost.path(""));
        command.env("HOME", smppost.path("")).env("SMPPOST_PASSWORD", "x").env("SMPPOST_JOURNAL", smppost.journal());
        let begun = Instant::now();
        let output = command.output().unwrap();
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code(), begun.elapsed())
    };
    smppost.file("c.csv", rows(2));
    smppost.file("resolv.conf", "nameserver 10.9.9.9\noptions timeout:20 attempts:2\n");
    smppost.file("hosts", "127.0.0.1 localhost\n");
    let place = "mount --bind resolv.conf /etc/resolv.conf && mount --bind hosts /etc/hosts";
    // What goes to the resolver comes back, belongs to no request, and is dropped: 40 s, were it waited for.
    let mute = "ip link set lo up && ip addr add 10.9.9.8/32 dev lo && ip route add 10.9.9.9/32 dev lo src 10.9.9.8";
    let (said, code, _) = within(&format!("{place} && {mute}"));
    if code != Some(0) {
        return common::skipped(&format!("no network of its own can be had: {said}"));
    }
    let send = "send c.csv --host smsc.example --system-id x --connect-timeout 30s";
    let (said, code, took) = within(&format!("{place} && {mute} && exec \"$1\" {send} --give-up-after 2s"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("given up, as nothing was bound for 2 s: looking up smsc.example"), "{said}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (said, code, took) =
        within(&format!("{place} && {mute} && {{ \"$1\" {send} & run=$!; sleep 2; kill -TERM $run; wait $run; }}"));
    assert_eq!(code, Some(130), "{said}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // No way to the resolver at all: it answers nothing about any name.
    let (said, code, _) = within(&format!("{place} && exec \"$1\" {send} --give-up-after 1s"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("smsc.example: the name could not be looked up now"), "{said}");
    assert!(said.contains("that says nothing about its spelling"), "{said}");
}
