//! The file of a record: rotated, refused, full, a FIFO, and what is left of one after a crash.

use super::{SUBMIT, assert_private, pcap};
use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, rows, rows_with, skipped, states};
use smppost::testing::record::{Options, Recorder};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn files_are_rotated_by_size_and_so_many_kept() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let text = rows_with(900, |n| format!("{n} {}", "words and words ".repeat(8)));
    let options = ["--record", "a.pcapng", "--record-size", "100KB", "--record-keep", "2", "--record-texts"];
    smppost.send(&text, smsc.port(), &[&options[..], &["--window", "50"]].concat()).assert_code(0);
    let mut destinations = BTreeSet::new();
    for name in ["a.pcapng", "a.1.pcapng", "a.2.pcapng"] {
        let path = smppost.path(name);
        assert_private(&path);
        // What is gathered goes into one file, which may be that much larger.
        assert!(path.metadata().unwrap().len() < 300_000);
        let pcap = pcap::read(&path);
        assert!(!pcap.is_cut && !pcap.pdus.is_empty(), "{name}");
        destinations.extend(pcap.of(SUBMIT).iter().map(|submit| submit.frame.clone()));
    }
    assert!(!smppost.path("a.3.pcapng").exists());
    assert!(destinations.len() < 900, "what is older was removed");
    // Nothing kept: one file, which begins anew.
    let options = ["--record", "b.log", "--record-size", "100KB", "--record-keep", "0", "--campaign", "d"];
    smppost.send(&rows(400), smsc.port(), &[&options[..], &["--allow-same-file"]].concat()).assert_code(0);
    assert!(std::fs::read_to_string(smppost.path("b.log")).unwrap().starts_with("# smppost record"));
    assert!(!smppost.path("b.1.log").exists());
}

#[test]
fn a_file_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let other = smppost.file("other.pcapng", "to,text\n447700900123,mine\n");
    std::os::unix::fs::symlink("other.pcapng", smppost.path("link.pcapng")).unwrap();
    let fifo = smppost.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (file, words) in [
        ("other.pcapng", "it is there already, and is no record of this kind: name another file"),
        ("link.pcapng", "it is there already, and is no record of this kind"),
        ("no/such/folder/a.pcapng", "there is no such file: check the name and the folder"),
        (".", "it is a folder"),
        ("-", "name a file"),
        ("a.pcap", "for Wireshark, let its name end in .pcapng"),
        ("fifo", "nobody reads from this FIFO: start its reader first"),
    ] {
        let ended = smppost.send(&rows(3), smsc.port(), &["--record", file]);
        ended.assert_code(1);
        assert!(ended.words().contains(words), "{file}: {}", ended.said());
    }
    assert_eq!(smsc.counts().connections, 0);
    assert_eq!(std::fs::read_to_string(other).unwrap(), "to,text\n447700900123,mine\n");
    for option in [&["--record-texts"][..], &["--record-size", "1MB"], &["--record-keep", "1"]] {
        let ended = smppost.send(&rows(3), smsc.port(), option);
        ended.assert_code(2);
        assert!(ended.stderr.contains("does nothing without --record FILE"), "{}", ended.said());
    }
    // A run that never connects leaves no file, and none that was there is touched.
    let ended = smppost.send(&rows(3), 1, &["--record", "new.pcapng", "--give-up-after", "300ms"]);
    ended.assert_code(1);
    assert!(!smppost.path("new.pcapng").exists());
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_run() {
    if !Path::new("/dev/full").exists() {
        return skipped("there is no /dev/full");
    }
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let ended = smppost.send(&rows(20), smsc.port(), &["--record", "/dev/full"]);
    ended.assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    assert!(ended.words().contains("nothing more is recorded: no space left on the disk"), "{}", ended.said());
    assert!(ended.words().contains("the record /dev/full lacks"), "{}", ended.said());
    // Test messages are sent only while they can be recorded.
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let before = smsc.ledger().len();
    let probe = ["probe", "--send-to", "447700900123", "--record", "/dev/full"];
    let ended = smppost.run(&[&probe[..], &account].concat());
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), before, "{}", ended.said());
}

#[test]
fn a_record_is_readable_as_far_as_a_crash_let_it_come() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let options = ["--record", "a.pcapng", "--rate", "100"];
    let running = smppost.spawn_send(&rows(2_000), smsc.port(), &options);
    assert!(smsc.wait_for(|submits| submits.len() >= 100, Duration::from_secs(60)));
    // Another command does not write into the same file.
    let port = smsc.port().to_string();
    let probe = ["probe", "--record", "a.pcapng", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let refused = smppost.run(&probe);
    refused.assert_code(1);
    assert!(refused.stderr.contains("another command records to this file now"), "{}", refused.said());
    running.kill();
    let recorded = pcap::read(&smppost.path("a.pcapng")).of(SUBMIT).len();
    let sent = smsc.ledger().len();
    assert!(recorded + 10 >= sent && recorded >= 90, "{recorded} of {sent}");
    // The next run keeps it.
    smppost.run(&probe).assert_code(0);
    assert_eq!(pcap::read(&smppost.path("a.1.pcapng")).of(SUBMIT).len(), recorded);
}

#[test]
fn a_fifo_is_written_to_while_it_is_read_and_stdout_is_left_as_it_is() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let fifo = smppost.path("fifo.pcapng");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let path = fifo.clone();
    let reader = std::thread::spawn(move || {
        let mut octets = Vec::new();
        std::fs::File::open(path).unwrap().read_to_end(&mut octets).unwrap();
        octets
    });
    // The reader opens it a moment later.
    std::thread::sleep(Duration::from_millis(300));
    smppost.send(&rows(10), smsc.port(), &["--record", "fifo.pcapng"]).assert_code(0);
    assert_eq!(pcap::parse(&reader.join().unwrap()).of(SUBMIT).len(), 10);
    let port = smsc.port().to_string();
    let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let ended = smppost.run(&[&["probe", "--record", "/dev/stdout"], &account[..]].concat());
    ended.assert_code(0);
    for words in ["# smppost record", " sent bind_transceiver seq=1 ", "enquire_link: "] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
}

#[test]
fn a_fifo_that_is_read_no_more_holds_nothing_up() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    for (name, closes, words) in [
        ("stuck.pcapng", false, "is not whole: whoever reads it does not read on"),
        ("gone.pcapng", true, "nothing more is recorded: "),
    ] {
        let fifo = smppost.path(name);
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let reader = std::thread::spawn(move || {
            let file = std::fs::File::open(fifo).unwrap();
            if closes {
                // The record has begun by then.
                std::thread::sleep(Duration::from_millis(500));
                drop(file);
                let _ = is_over.recv();
            } else {
                let _ = is_over.recv();
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        let options = ["--record", name, "--campaign", name, "--allow-same-file", "--rate", "500"];
        let ended = smppost.send(&rows(600), smsc.port(), &options);
        ended.assert_code(0);
        assert!(ended.words().contains(words), "{name}: {}", ended.said());
        assert!(ended.took < Duration::from_secs(40), "{name}: {:?}", ended.took);
        over.send(()).unwrap();
        reader.join().unwrap();
        assert_eq!(states(&smppost.journal(), name), expected([("delivered", 600)]));
    }
}

#[test]
fn a_profile_may_name_the_record_beside_itself() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    std::fs::create_dir(smppost.path("conf")).unwrap();
    smppost.file("conf/smppost.toml", "[acme]\nrecord = \"acme.pcapng\"\nrecord_keep = 1\nrecord_size = \"200KB\"\n");
    let profile = ["--config", "conf/smppost.toml", "--profile", "acme"];
    smppost.send(&rows(3), smsc.port(), &profile).assert_code(0);
    assert_eq!(pcap::read(&smppost.path("conf/acme.pcapng")).of(SUBMIT).len(), 3);
}

#[test]
fn what_is_too_fast_for_a_slow_reader_is_counted_and_the_run_is_not_held_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.pcapng");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let opened = path.clone();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut file = std::fs::File::open(opened).unwrap();
        may_go.recv().unwrap();
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).unwrap();
        octets
    });
    std::thread::sleep(Duration::from_millis(300));
    let options = Options { path, size: 1_000_000, keep: 1, texts: false, is_certain: false };
    let recorder = Recorder::start(&options).unwrap();
    let (mut came, _sent) =
        recorder.taps("127.0.0.1:4000".parse().unwrap(), "127.0.0.1:2777".parse().unwrap(), false, false);
    let mut stream = Vec::new();
    for number in 1..=40_000 {
        smppost::wire::encode_submit_sm_resp(number, Default::default(), b"0123456789abcdef", &mut stream).unwrap();
    }
    let started = std::time::Instant::now();
    // Reads end anywhere.
    stream.chunks(101).for_each(|octets| came.note(octets).unwrap());
    assert!(started.elapsed() < Duration::from_secs(5), "nobody waits for the record");
    go.send(()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let mut last = Vec::new();
    smppost::wire::encode_enquire_link(77, &mut last);
    came.note(&stream[..33]).unwrap();
    came.note(&[&stream[33..66], &last].concat()).unwrap();
    drop((came, recorder));
    let pcap = pcap::parse(&reader.join().unwrap());
    let answers = pcap.of(0x8000_0004).len();
    assert!(answers > 1_000 && answers < 40_000, "{answers}");
    assert!(pcap.comments.iter().any(|comment| comment.contains("PDUs are missing here")), "{:?}", pcap.comments);
}
