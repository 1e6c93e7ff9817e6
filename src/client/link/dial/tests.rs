use super::*;
use crate::client::link::LocalAddresses;
use crossbeam_channel::{bounded, never};
use std::cell::{Cell, RefCell};
use std::net::TcpListener;

/// An address that takes no connection and refuses none: its queue is full.
struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Silent {
    fn at(ip: [u8; 4], port: u16) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((ip, port))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        for _ in 0..8 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => queued.push(stream),
                Err(_) => return Self { address, _listener: listener, _queued: queued },
            }
        }
        panic!("{address} takes every connection");
    }
}

fn listening(ip: [u8; 4], port: u16) -> TcpListener {
    TcpListener::bind(SocketAddr::from((ip, port))).unwrap()
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn target(hosts: &[String], port: u16) -> Target<'_> {
    let timeout = Duration::from_secs(20);
    Target { hosts, port, local: LocalAddresses::ANY, tls: None, timeout, write_timeout: timeout, recorder: None }
}

/// Answers each name with these addresses.
fn named(name: &str, names: &[(&str, &[&str])]) -> Receiver<Answer> {
    let (sender, answer) = bounded(1);
    if let Ok(address) = name.parse() {
        let _ = sender.send(Ok(vec![SocketAddr::new(address, 0)]));
    } else if let Some((_, addresses)) = names.iter().find(|(known, _)| *known == name) {
        let _ = sender.send(Ok(addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()));
    } else {
        let _ = sender.send(Err(LookupError::Unknown));
    }
    answer
}

const NO_STOP: fn() -> bool = || false;

#[test]
fn f21_every_address_of_every_host_is_one_list_that_goes_on_when_asked_again() {
    let third = listening([127, 0, 0, 3], 0);
    let port = third.local_addr().unwrap().port();
    let fourth = listening([127, 0, 0, 4], port);
    let hosts = hosts(&["nobody.example", "two.example", "127.0.0.4", "127.0.0.3", "127.0.0.5"]);
    let names: &[(&str, &[&str])] = &[("two.example", &["127.0.0.2", "127.0.0.3"])];
    let tell = |_: &str| {};
    let dial = Dial::with(target(&hosts, port), &NO_STOP, &tell, &|name| named(name, names));
    let mut said = Vec::new();
    for next in dial {
        said.push(match next {
            Ok(connected) => connected.place,
            Err(error) => error.fact(),
        });
    }
    assert_eq!(
        said,
        [
            "nobody.example: there is no such name".to_owned(),
            format!("two.example (127.0.0.2:{port}) refuses connections"),
            format!("two.example (127.0.0.3:{port})"),
            format!("127.0.0.4:{port}"),
            // 127.0.0.3 is in the list already.
            format!("127.0.0.5:{port} refuses connections"),
        ]
    );
    drop(fourth);
}

#[test]
fn f21_a_silent_address_holds_the_next_one_up_for_a_quarter_of_a_second() {
    let silent = Silent::at([127, 0, 0, 2], 0);
    let port = silent.address.port();
    let _listener = listening([127, 0, 0, 3], port);
    let hosts = hosts(&["127.0.0.2", "127.0.0.3"]);
    let told = RefCell::new(Vec::new());
    let tell = |words: &str| told.borrow_mut().push(words.to_owned());
    let mut dial = Dial::new(target(&hosts, port), &NO_STOP, &tell);
    let begun = Instant::now();
    let connected = dial.next().unwrap().unwrap();
    let took = begun.elapsed();
    assert_eq!(connected.place, format!("127.0.0.3:{port}"));
    assert!(took >= HEAD_START && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(told.borrow()[0], format!("connecting to 127.0.0.2:{port}, no answer so far"));
    // Asked again it goes back to the silent one, until its time is over.
    drop(dial);
    let short = Target { timeout: Duration::from_millis(600), ..target(&hosts, port) };
    let mut dial = Dial::new(short, &NO_STOP, &tell);
    assert!(dial.next().unwrap().is_ok());
    let error = dial.next().unwrap().unwrap_err();
    assert_eq!(error.fact(), format!("127.0.0.2:{port} did not answer within the connect timeout"));
    assert!(dial.next().is_none());
}

#[test]
fn f21_it_stops_at_once_whatever_it_waits_for() {
    let silent = Silent::at([127, 0, 0, 2], 0);
    for (host, look_up) in
        [("127.0.0.2", (|name| named(name, &[])) as fn(&str) -> Receiver<Answer>), ("name.example", |_| never())]
    {
        let hosts = hosts(&[host]);
        let since = Instant::now();
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            since.elapsed() >= Duration::from_millis(400)
        };
        let tell = |_: &str| {};
        let mut dial = Dial::with(target(&hosts, silent.address.port()), &stop, &tell, &look_up);
        assert!(matches!(dial.next(), Some(Err(ConnectError::Stopped))));
        let took = since.elapsed();
        assert!(took < Duration::from_millis(1_400), "{took:?}");
        assert!(asked.get() < 200, "it spins: {} times", asked.get());
    }
}

#[test]
fn f21_a_name_that_takes_long_does_not_hold_the_other_hosts_up() {
    let listener = listening([127, 0, 0, 1], 0);
    let port = listener.local_addr().unwrap().port();
    let hosts = hosts(&["slow.example", "127.0.0.1"]);
    let tell = |_: &str| {};
    let short = Target { timeout: Duration::from_millis(1_500), ..target(&hosts, port) };
    let mut dial = Dial::with(short, &NO_STOP, &tell, &|name| match name {
        "slow.example" => never(),
        name => named(name, &[]),
    });
    assert_eq!(dial.next().unwrap().unwrap().peer, listener.local_addr().unwrap());
    let error = dial.next().unwrap().unwrap_err();
    assert_eq!(error.fact(), "slow.example: the resolver did not answer in time");
    assert!(dial.next().is_none());
}

#[test]
fn families_take_turns() {
    let list = |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    assert_eq!(
        alternating(list(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"])),
        list(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"])
    );
    assert_eq!(alternating(Vec::new()), []);
}
