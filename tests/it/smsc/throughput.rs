//! How fast it is. Run with `cargo test --release --test it smsc:: -- --ignored --nocapture --test-threads 1`.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use smppost::smsc::Settings;
use smppost::wire::{
    BindKind, CommandId, CommandStatus, FrameBuffer, Pdu, Sm, decode_header, encode, encode_deliver_sm_resp,
    patch_sequence_number,
};

use crate::smsc::client::{Client, message, smsc};

/// Submits `total` messages through a window and returns messages a second until all answers and receipts are there.
fn blast(registered_delivery: u8, total: u64, window: u64, change: impl FnOnce(&mut Settings)) -> f64 {
    let smsc = smsc(|settings| {
        settings.deliver_window = 10_000;
        change(settings);
    });
    let client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let text = [b'a'; 60];
    let sm = Sm { registered_delivery, short_message: &text, ..message() };
    let mut one = Vec::new();
    encode(&Pdu::SubmitSm(sm), 0, CommandStatus::OK, &mut one).unwrap();
    let answered = Arc::new((Mutex::new(0u64), Condvar::new()));
    let writes = Arc::new(Mutex::new(client.stream.try_clone().unwrap()));
    let started = Instant::now();
    let reader = {
        let (answered, writes) = (Arc::clone(&answered), Arc::clone(&writes));
        let stream = client.stream.try_clone().unwrap();
        std::thread::spawn(move || read_all(&stream, total, registered_delivery != 0, &answered, &writes))
    };
    let mut sent = 0;
    let mut batch = Vec::new();
    while sent < total {
        let free = {
            let mut done = answered.0.lock().unwrap();
            while sent - *done >= window {
                done = answered.1.wait(done).unwrap();
            }
            window - (sent - *done)
        };
        let count = free.min(total - sent);
        batch.clear();
        for _ in 0..count {
            let start = batch.len();
            batch.extend_from_slice(&one);
            sent += 1;
            patch_sequence_number(&mut batch[start..], sent as u32);
        }
        writes.lock().unwrap().write_all(&batch).unwrap();
    }
    let receipts = reader.join().unwrap();
    let rate = total as f64 / started.elapsed().as_secs_f64();
    assert_eq!(receipts, if registered_delivery == 0 { 0 } else { total });
    assert_eq!(smsc.stats().accepted, total);
    rate
}

fn read_all(
    mut stream: &TcpStream,
    total: u64,
    receipts_too: bool,
    answered: &(Mutex<u64>, Condvar),
    writes: &Mutex<TcpStream>,
) -> u64 {
    let mut frames = FrameBuffer::new();
    let (mut answers, mut receipts) = (0, 0);
    let mut out = Vec::new();
    while answers < total || receipts_too && receipts < total {
        let count = stream.read(frames.spare()).unwrap();
        assert!(count > 0);
        frames.filled(count);
        let before = answers;
        while let Some(frame) = frames.next_frame().unwrap() {
            let header = decode_header(frame).unwrap();
            match header.command_id {
                CommandId::SUBMIT_SM_RESP => {
                    assert_eq!(header.command_status, CommandStatus::OK);
                    answers += 1;
                }
                CommandId::DELIVER_SM => {
                    receipts += 1;
                    encode_deliver_sm_resp(header.sequence_number, CommandStatus::OK, &mut out);
                }
                other => panic!("{other}"),
            }
        }
        if answers > before {
            *answered.0.lock().unwrap() = answers;
            answered.1.notify_one();
        }
        if !out.is_empty() {
            writes.lock().unwrap().write_all(&out).unwrap();
            out.clear();
        }
    }
    receipts
}

/// User and system time of this process so far, in seconds.
fn cpu_seconds(thread_prefix: &str) -> f64 {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        if head.contains(thread_prefix) {
            let fields: Vec<&str> = tail.split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ticks as f64 / 100.0
}

/// Samples the CPU time of the simulator's threads while `work` runs, since it goes with them.
fn measured(name: &str, total: u64, target: f64, work: impl FnOnce() -> f64) {
    let done = AtomicU64::new(0);
    let (rate, cpu) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = 0f64;
            while done.load(Ordering::Relaxed) == 0 {
                most = most.max(cpu_seconds("smsc-"));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            most
        });
        let rate = work();
        done.store(1, Ordering::Relaxed);
        (rate, sampler.join().unwrap())
    });
    let on_one_core = total as f64 / cpu;
    println!(
        "{name}: {rate:.0} messages/s; the simulator alone could do {on_one_core:.0} on one core (goal {target:.0})"
    );
}

#[test]
#[ignore = "a measurement"]
fn without_receipts() {
    measured("no receipts, window 1000", 6_000_000, 1e6, || blast(0, 6_000_000, 1_000, |_| {}));
}

#[test]
#[ignore = "a measurement"]
fn with_receipts() {
    measured("receipts, window 1000", 3_000_000, 5e5, || blast(1, 3_000_000, 1_000, |_| {}));
}

#[test]
#[ignore = "a measurement"]
fn with_receipts_spread_over_time() {
    measured("receipts 50ms..2s, window 1000", 3_000_000, 5e5, || {
        blast(1, 3_000_000, 1_000, |settings| settings.receipt_delay = "50ms..2s".parse().unwrap())
    });
}

#[test]
#[ignore = "a measurement"]
fn with_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    measured("ledger, window 1000", 1_500_000, 2.5e5, || {
        blast(0, 1_500_000, 1_000, |settings| settings.ledger = Some(path))
    });
}

#[test]
#[ignore = "a measurement"]
fn in_lockstep() {
    measured("window 1", 100_000, 2e4, || blast(0, 100_000, 1, |_| {}));
}

#[test]
#[ignore = "a measurement"]
fn waiting_receipts_are_small() {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let smsc = smsc(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let (batch, total) = (1_000, 3_000_000);
    let before = resident();
    for _ in 0..total / batch {
        let mut octets = Vec::new();
        (0..batch).for_each(|n| encode(&Pdu::SubmitSm(message()), n as u32, CommandStatus::OK, &mut octets).unwrap());
        client.stream.write_all(&octets).unwrap();
        (0..batch).for_each(|_| drop(client.receive()));
    }
    let each = (resident() - before) as f64 / total as f64;
    println!("{} receipts wait, {each:.0} octets each", smsc.stats().receipts_waiting);
    assert!(each < 200.0);
}
