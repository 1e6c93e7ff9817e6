//! Both directions at once: no stall, nothing lost, nothing out of order. Longer: `SMPPOST_TLS_SECONDS=60`.

use crate::tls::pki::{self, NAME, ca, config, server, sign};
use crate::tls::trust;
use parking_lot::Mutex;
use rustls::ServerConnection;
use smppost::testing::client::link::{Dial, Target, Tls};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer without an octet is a stall, and no machine that is busy.
const STALL: Duration = Duration::from_secs(40);

/// A stream of numbers that knows where it is: octet n of it is a function of n.
fn octet(n: u64) -> u8 {
    (n ^ (n >> 8) ^ (n >> 16)) as u8
}

fn fill(buffer: &mut [u8], from: u64) {
    for (octet_at, n) in buffer.iter_mut().zip(from..) {
        *octet_at = octet(n);
    }
}

fn check(buffer: &[u8], from: u64) {
    for (found, n) in buffer.iter().zip(from..) {
        assert_eq!(*found, octet(n), "octet {n}");
    }
}

/// The server's side: a thread that reads and checks, and one that writes, until `end`.
fn serve(connection: ServerConnection, stream: TcpStream, end: Instant) -> (u64, u64) {
    let connection = Arc::new(Mutex::new(connection));
    let writing = {
        let (connection, mut stream) = (Arc::clone(&connection), stream.try_clone().unwrap());
        std::thread::spawn(move || {
            let (mut sent, mut chunk, mut out) = (0u64, vec![0; 40_000], Vec::new());
            let mut rounds = 0;
            while Instant::now() < end {
                {
                    let mut connection = connection.lock();
                    if !connection.is_handshaking() {
                        let size = 1 + (rounds * 7919) % chunk.len();
                        fill(&mut chunk[..size], sent);
                        sent += connection.writer().write(&chunk[..size]).unwrap() as u64;
                        rounds += 1;
                        // Key updates in the midst of it, which the client must answer.
                        if rounds % 50 == 0 {
                            connection.refresh_traffic_keys().unwrap();
                        }
                    }
                    while connection.wants_write() {
                        connection.write_tls(&mut out).unwrap();
                    }
                }
                if out.is_empty() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                stream.write_all(&out).unwrap();
                out.clear();
            }
            let mut connection = connection.lock();
            connection.send_close_notify();
            while connection.wants_write() {
                connection.write_tls(&mut out).unwrap();
            }
            stream.write_all(&out).unwrap();
            sent
        })
    };
    let (mut stream, mut raw, mut got) = (stream, vec![0; 30_000], 0u64);
    let mut plain = vec![0; 20_000];
    'reading: loop {
        let count = stream.read(&mut raw).unwrap();
        if count == 0 {
            break;
        }
        let mut octets = &raw[..count];
        let mut connection = connection.lock();
        while !octets.is_empty() {
            connection.read_tls(&mut octets).unwrap();
            let state = connection.process_new_packets().unwrap();
            while let Ok(count) = connection.reader().read(&mut plain) {
                if count == 0 {
                    break;
                }
                check(&plain[..count], got);
                got += count as u64;
            }
            if state.peer_has_closed() {
                break 'reading;
            }
        }
    }
    (writing.join().unwrap(), got)
}

fn saturate(lasting: Duration) {
    let root = sign(ca("The root"), None);
    let own = sign(server(NAME), Some(&root));
    let config = config(&own, &[]);
    let trust = trust(&root);
    let end = Instant::now() + lasting;
    let (done, served) = std::sync::mpsc::channel();
    let address = pki::listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = done.send(serve(connection, stream, end));
    });
    let tls = Tls::new(&trust.options).unwrap();
    let timeout = Duration::from_secs(60);
    let hosts = [NAME.to_owned()];
    let target = Target {
        hosts: &hosts,
        port: address.port(),
        local: smppost::testing::client::link::LocalAddresses::ANY,
        tls: Some(&tls),
        timeout,
        write_timeout: timeout,
        recorder: None,
    };
    let connected = Dial::new(target, &|| false, &|_| ()).next().unwrap().unwrap();
    let (mut reader, mut writer) = (connected.reader, connected.writer);
    reader.set_timeout(STALL + Duration::from_secs(5)).unwrap();
    let reading = std::thread::spawn(move || {
        let (mut buffer, mut got, mut longest, mut owed) = (vec![0; 64 * 1024], 0u64, Duration::ZERO, 0u64);
        loop {
            let before = Instant::now();
            // Odd sizes, so that records and reads never match.
            let size = 1 + (got as usize * 31) % buffer.len();
            match reader.read(&mut buffer[..size]).unwrap() {
                // Octets of TLS alone give nothing to read either.
                None => assert!(before.elapsed() < STALL, "a stall after {got} octets"),
                Some(0) => return (got, longest, owed),
                Some(count) => {
                    check(&buffer[..count], got);
                    got += count as u64;
                }
            }
            owed += u64::from(reader.owes_writing());
            longest = longest.max(before.elapsed());
        }
    });
    let (mut sent, mut chunk, mut rounds) = (0u64, vec![0; 64 * 1024], 0usize);
    while Instant::now() < end {
        let size = 1 + (rounds * 104_729) % chunk.len();
        fill(&mut chunk[..size], sent);
        writer.write(&chunk[..size]).unwrap();
        sent += size as u64;
        rounds += 1;
    }
    let (got, longest, _) = reading.join().unwrap();
    writer.shutdown();
    let (server_sent, server_got) = served.recv_timeout(timeout).unwrap();
    assert_eq!((got, server_got), (server_sent, sent));
    let rate = |octets: u64| octets as f64 / lasting.as_secs_f64() / 1e6;
    eprintln!("out {:.0} MB/s, in {:.0} MB/s, longest read {longest:?}", rate(sent), rate(got));
    assert!(sent > 1_000_000 && got > 1_000_000);
}

#[test]
fn both_directions_saturated_neither_stall_nor_reorder() {
    let seconds = std::env::var("SMPPOST_TLS_SECONDS").ok().and_then(|value| value.parse().ok());
    saturate(Duration::from_secs(seconds.unwrap_or(3)));
}
