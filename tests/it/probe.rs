//! `probe --send-to`: what its test messages find out, and the profile that comes of it. Against the built-in simulator.
use crate::common::{Ended, Smppost, expected, one, rows, states};
use smppost::smsc::{Faults, Settings, Smsc};
use smppost::wire::{
    BindKind, BindResp, CommandStatus, FrameBuffer, MessageId, Pdu, Sm, Tag, TlvBuilder, Tlvs, decode, encode,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

fn smsc(change: impl FnOnce(&mut Settings)) -> Smsc {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

fn probe(smppost: &Smppost, smsc: &Smsc, more: &[&str]) -> Ended {
    let port = smsc.local_addr().port().to_string();
    let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let trial = ["--send-to", "+447700900123", "--from", "Test", "--wait-receipts", "3s"];
    smppost.run(&[&account[..], &trial, more].concat())
}

#[track_caller]
fn assert_says(ended: &Ended, words: &[&str]) {
    for words in words {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.said());
    }
}

#[test]
fn a_few_messages_tell_what_an_smsc_does_and_make_a_profile() {
    let (smsc, smppost) = (smsc(|_| {}), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--write", "smppost.toml"]);
    ended.assert_code(0);
    assert!(ended.stderr.contains("sending 24 test messages to +447700900123"), "{}", ended.said());
    assert_says(
        &ended,
        &[
            "24 of 24 sent were accepted",
            "none throttled",
            "ids in answers: hexadecimal, 8 digits",
            "for 24 of 24 messages",
            "the same as in the answers",
            "as deliver_sm; marked in esm_class: yes; id in receipted_message_id: yes, in the text: yes",
            "user_message_reference comes back: yes",
            "stat:DELIVRD",
            "\u{a1}\u{e4}\u{f6}\u{f1}\u{fc} \u{c4}\u{d6}\u{d1}\u{dc}\u{a7}\u{bf} 5\u{20ac} @ end",
            "@{|}~ [\\]^_`",
        ],
    );
    assert_eq!(smsc.stats().submits, 24);
    assert!(!smppost.journal().exists(), "it is no campaign");
    let record = std::fs::read_to_string(smppost.path("smppost-probe.log")).unwrap();
    assert_eq!(record.lines().filter(|line| line.contains(" sent submit_sm ")).count(), 24);
    assert!(!record.contains(&"secret".bytes().map(|octet| format!("{octet:02x}")).collect::<String>()));
    for name in ["smppost-probe.log", "smppost.toml"] {
        assert_eq!(smppost.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let checked = smppost.run(&["profile", "check", "probed"]);
    checked.assert_code(0);
    // What is there is not overwritten, and that is said before anything is sent.
    let ended = probe(&smppost, &smsc, &["--write", "smppost.toml"]);
    ended.assert_code(2);
    assert_eq!(smsc.stats().submits, 24);
}

#[test]
fn f33_each_dialect_is_named() {
    for (change, words) in [
        (
            Box::new(|settings: &mut Settings| settings.receipt_id = Some("dec".parse().unwrap()))
                as Box<dyn Fn(&mut _)>,
            "the other radix",
        ),
        (
            Box::new(|settings: &mut Settings| settings.receipt_id = Some("upper".parse().unwrap())),
            "those of the answers",
        ),
        (Box::new(|settings: &mut Settings| settings.quirks.set("data-sm").unwrap()), "as data_sm;"),
        (
            Box::new(|settings| settings.quirks.set("text-only").unwrap()),
            "id in receipted_message_id: no, in the text: yes",
        ),
        (
            Box::new(|settings| settings.quirks.set("tlv-only").unwrap()),
            "id in receipted_message_id: yes, in the text: no",
        ),
        (Box::new(|settings: &mut Settings| settings.quirks.set("early").unwrap()), "for 4 of 4 messages"),
        (Box::new(|settings: &mut Settings| settings.message_id = "uuid".parse().unwrap()), "ids in answers: UUID"),
    ] {
        // Ids with letters: of some without any nobody can tell the radix or the case.
        let with_letters = |settings: &mut Settings| {
            settings.first_message_id = Some(0xB8BE_19A0);
            change(settings);
        };
        let (smsc, smppost) = (smsc(with_letters), Smppost::new());
        let ended = probe(&smppost, &smsc, &["--measure", "0"]);
        ended.assert_code(0);
        assert_says(&ended, &[words]);
        assert_eq!(smsc.stats().submits, 4);
    }
    let (smsc, smppost) = (smsc(|settings| settings.quirks.set("first-part-only").unwrap()), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "0"]);
    ended.assert_code(3);
    assert_says(&ended, &["only for its first part", "if the provider says", "\n# receipts_for = \"first\""]);
}

#[test]
fn throttling_ends_the_measuring_and_what_is_refused_is_named() {
    let exact = |settings: &mut Settings| (settings.rate, settings.rate_tolerance_percent) = (Some(6), 0);
    let (smsc, smppost) = (smsc(exact), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "12", "--rate", "unlimited", "--window", "1"]);
    ended.assert_code(3);
    // A few messages show that there is a limit, and not what it is: no rate is set.
    assert_says(&ended, &["rate: throttled (0x58", "that shows no rate yet", "\n# rate = ", "ESME_RTHROTTLED"]);
    assert!(smsc.stats().submits <= 16, "{}", smsc.stats().submits);
    let ended = probe(&smppost, &smsc, &["--measure", "150", "--rate", "unlimited", "--window", "1"]);
    ended.assert_code(3);
    assert_says(&ended, &["/s is refused (0x58", "so much was taken for three seconds"]);
    assert!((5..=6).any(|rate| ended.stdout.contains(&format!("\nrate = {rate}  "))), "{}", ended.said());
    let mut faults = Faults::default();
    faults.set("error=0x0A").unwrap();
    let (smsc, smppost) = (self::smsc(|settings| settings.faults = faults), Smppost::new());
    // It condemns the sender, and so the next message, too; where nothing was taken, no handset has anything to show.
    let ended = probe(&smppost, &smsc, &["--window", "1"]);
    ended.assert_code(3);
    assert_says(&ended, &["0 of 1 sent were accepted", "ESME_RINVSRCADR"]);
    assert!(!ended.stdout.contains("look at the handset") && !ended.stdout.contains("receipts:"), "{}", ended.said());
}

/// An SMSC of one's own making: answers the binds of trx, tx and rx, announces a version, answers messages in turn and has
/// receipts for those it takes.
struct Picky {
    binds: [u32; 3],
    version: Option<u8>,
    submits: &'static [u32],
    /// The session that receives, where that is not the one that sends.
    receiver: Mutex<Option<TcpStream>>,
}

impl Picky {
    fn start(binds: [u32; 3], version: Option<u8>, submits: &'static [u32]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let picky = Arc::new(Self { binds, version, submits, receiver: Mutex::default() });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let picky = Arc::clone(&picky);
                std::thread::spawn(move || picky.session(stream.unwrap()));
            }
        });
        port
    }

    fn session(&self, mut stream: TcpStream) {
        let mut frames = FrameBuffer::new();
        let mut taken = 0;
        while let Ok(count @ 1..) = stream.read(frames.spare()) {
            frames.filled(count);
            while let Some(frame) = frames.next_frame().unwrap() {
                let (header, pdu) = decode(frame).unwrap();
                let (mut status, mut receipt) = (0, None);
                let mut tlvs = TlvBuilder::new();
                let id = format!("{:08x}", taken + 1);
                let mut is_pair = false;
                let answer = match pdu {
                    Pdu::Bind(bind) => {
                        let kinds = [BindKind::Transceiver, BindKind::Transmitter, BindKind::Receiver];
                        status = self.binds[kinds.iter().position(|kind| *kind == bind.kind).unwrap()];
                        if let Some(version) = self.version {
                            tlvs.u8(Tag::SC_INTERFACE_VERSION, version);
                        }
                        is_pair = status == 0 && bind.kind == BindKind::Receiver;
                        Pdu::BindResp(BindResp { kind: bind.kind, system_id: b"picky", tlvs: tlvs.tlvs() })
                    }
                    Pdu::SubmitSm(_) => {
                        status = self.submits.get(taken).copied().unwrap_or_default();
                        taken += 1;
                        receipt =
                            (status == 0).then(|| format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:"));
                        Pdu::SubmitSmResp(MessageId { message_id: id.as_bytes(), tlvs: Tlvs(&[]) })
                    }
                    Pdu::EnquireLink => Pdu::EnquireLinkResp,
                    Pdu::Unbind => Pdu::UnbindResp,
                    _ => continue,
                };
                let mut out = Vec::new();
                encode(&answer, header.sequence_number, CommandStatus(status), &mut out).unwrap();
                if is_pair {
                    *self.receiver.lock().unwrap() = Some(stream.try_clone().unwrap());
                }
                let _ = stream.write_all(&out);
                if let Some(text) = receipt {
                    let sm = Sm { esm_class: 4, short_message: text.as_bytes(), ..Sm::default() };
                    let mut out = Vec::new();
                    encode(&Pdu::DeliverSm(sm), taken as u32, CommandStatus::OK, &mut out).unwrap();
                    let _ = self.receiver.lock().unwrap().as_mut().unwrap_or(&mut stream).write_all(&out);
                }
            }
        }
    }
}

fn probe_at(port: u16, more: &[&str]) -> Ended {
    let port = port.to_string();
    Smppost::new().run(&[&["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"][..], more].concat())
}

const TRIAL: [&str; 6] = ["--send-to", "+447700900123", "--wait-receipts", "1s", "--measure", "2"];

#[test]
fn f33_a_part_that_was_refused_says_nothing_of_receipts() {
    let submits = &[0, 0, 0, 8];
    let ended = probe_at(Picky::start([0; 3], Some(0x34), submits), &TRIAL);
    ended.assert_code(3);
    assert_says(&ended, &["5 of 6 sent were accepted", "only for its first part", "says nothing of --receipts-for"]);
    assert!(!ended.stdout.contains("receipts_for"), "{}", ended.said());
}

#[test]
fn the_mode_that_works_is_the_one_that_is_used() {
    let ok = Some(0x34);
    for refused in [0x03, 0x04, 0x0D] {
        let ended = probe_at(Picky::start([refused, 0, 0], ok, &[]), &TRIAL);
        ended.assert_code(0);
        let words = ["so use --bind tx+rx", "for 6 of 6 messages", "bind = \"tx+rx\"", "connections = 2"];
        assert_says(&ended, &words);
        assert_says(&probe_at(Picky::start([refused, 0, 0], ok, &[]), &[]), &["bound as rx (in only), too"]);
        let ended = probe_at(Picky::start([refused, 0, 0x0D], ok, &[]), &TRIAL);
        ended.assert_code(0);
        assert_says(&ended, &["so use --bind tx", "6 of 6 sent", "none can come", "bind = \"tx\""]);
        let ended = probe_at(Picky::start([refused, 0x0D, 0], ok, &[]), &TRIAL);
        ended.assert_code(1);
        assert_says(&ended, &["only --bind rx works", "no test message was sent"]);
    }
    let ended = probe_at(Picky::start([0, 0x0D, 0x0D], ok, &[]), &[&TRIAL[..], &["--bind", "tx+rx"]].concat());
    ended.assert_code(0);
    assert_says(&ended, &["so use --bind trx", "bind = \"trx\""]);
}

#[test]
fn what_is_announced_is_read_as_a_sender_reads_it() {
    for (version, words) in [
        (Some(0x34), "announces SMPP 3.4, and so takes optional parameters"),
        (Some(0x33), "announces SMPP 3.3, which has no optional parameters"),
        (Some(0x00), "announces SMPP 0.0, which has no optional parameters"),
        (None, "announces no version"),
    ] {
        let ended = probe_at(Picky::start([0; 3], version, &[]), &[]);
        ended.assert_code(0);
        assert_says(&ended, &[words]);
    }
}

#[test]
fn a_bind_that_is_refused_in_every_mode_ends_in_what_to_check() {
    for (status, first, tried) in [
        (0x0D, "1. --host and --port", 3),
        (0x04, "1. --host and --port", 3),
        (0x400, "1. --host and --port", 3),
        (0x05, "1. the number of connections", 1),
        (0x53, "1. --system-type", 1),
        (0x0E, "1. --system-id", 1),
    ] {
        let ended = probe_at(Picky::start([status; 3], None, &[]), &TRIAL);
        ended.assert_code(1);
        assert_says(&ended, &["check, in this order:", first, "whitelisting"]);
        let binds = ended.stdout.lines().filter(|line| line.starts_with("bind as ")).count();
        assert_eq!(binds, tried, "{}", ended.said());
        assert_eq!(ended.stdout.contains("--bind:"), tried == 3, "{}", ended.said());
    }
}

#[test]
fn pairs_of_the_old_version_are_tried_too_and_wrong_options_send_nothing() {
    let (smsc, smppost) = (smsc(|_| {}), Smppost::new());
    let ended = probe(&smppost, &smsc, &["--measure", "0", "--smpp-version", "3.3", "--bind", "tx+rx"]);
    ended.assert_code(0);
    assert_says(&ended, &["for 4 of 4 messages", "bind = \"tx+rx\"", "connections = 2"]);
    let submits = smsc.stats().submits;
    for wrong in [&["--send-to", "12"][..], &["--send-to", "+447700900123", "--bind", "rx"], &["--write", "x.toml"]] {
        let port = smsc.local_addr().port().to_string();
        let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
        smppost.run(&[&account[..], wrong].concat()).assert_code(2);
    }
    assert_eq!(smsc.stats().submits, submits);
}

#[test]
fn f35_receipts_of_a_campaign_are_left_for_its_journal() {
    let late = |settings: &mut Settings| {
        settings.receipt_delay = "2s".parse().unwrap();
        settings.keep_messages = 100;
    };
    let (smsc, smppost) = (smsc(late), Smppost::new());
    let port = smsc.local_addr().port();
    smppost.send(&rows(20), port, &["--wait-receipts", "1ms"]).assert_code(0);
    let ended = probe(&smppost, &smsc, &["--measure", "0"]);
    assert_says(&ended, &["more came that are of none of them"]);
    // The same for an operation that binds both ways.
    let port = port.to_string();
    let account = ["--host", "127.0.0.1", "--system-id", "test", "--port", &port];
    smppost.run(&[&["query", "c", "--line", "2", "--bind", "trx"][..], &account].concat()).assert_code(0);
    smppost.run(&[&["resume", "c", "--wait-receipts", "10s"][..], &account].concat()).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 20)]));
    let told = "SELECT count(DISTINCT line) FROM receipt_log WHERE rule = 'exact id'";
    assert!(one(&smppost.journal(), told) >= 19);
}

#[test]
fn receipts_before_their_answers_are_matched_by_their_ids() {
    for quirks in [&["early"][..], &["early", "text-only"], &["early", "tlv-only"]] {
        let early = |settings: &mut Settings| quirks.iter().for_each(|quirk| settings.quirks.set(quirk).unwrap());
        for tlvs in ["yes", "no"] {
            let (smsc, smppost) = (smsc(early), Smppost::new());
            let ended = probe(&smppost, &smsc, &["--measure", "4", "--tlvs", tlvs]);
            ended.assert_code(0);
            assert_says(&ended, &["for 8 of 8 messages", "the same as in the answers"]);
            assert!(!ended.stdout.contains("NOT those"), "{}", ended.said());
            assert!(!ended.stdout.contains("are of none of them"), "{}", ended.said());
        }
    }
}

#[test]
fn receipts_of_others_that_come_again_and_again_keep_no_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
            let (mut frames, mut bound, mut taken) = (FrameBuffer::new(), false, 0);
            loop {
                let mut out = Vec::new();
                match stream.read(frames.spare()) {
                    Ok(0) => break,
                    Ok(count) => frames.filled(count),
                    // Whenever it is quiet, somebody else's receipt.
                    Err(_) if bound => {
                        let text = b"id:foreign sub:001 dlvrd:001 stat:DELIVRD err:000 text:";
                        let sm = Sm { esm_class: 4, short_message: text, ..Sm::default() };
                        encode(&Pdu::DeliverSm(sm), 77, CommandStatus::OK, &mut out).unwrap();
                    }
                    Err(_) => continue,
                }
                while let Some(frame) = frames.next_frame().unwrap() {
                    let (header, pdu) = decode(frame).unwrap();
                    let id = format!("own{taken}");
                    let answer = match pdu {
                        Pdu::Bind(bind) => {
                            bound = true;
                            Pdu::BindResp(BindResp { kind: bind.kind, system_id: b"busy", tlvs: Tlvs(&[]) })
                        }
                        Pdu::SubmitSm(_) => {
                            taken += 1;
                            Pdu::SubmitSmResp(MessageId { message_id: id.as_bytes(), tlvs: Tlvs(&[]) })
                        }
                        Pdu::EnquireLink => Pdu::EnquireLinkResp,
                        Pdu::Unbind => Pdu::UnbindResp,
                        _ => continue,
                    };
                    encode(&answer, header.sequence_number, CommandStatus::OK, &mut out).unwrap();
                }
                if stream.write_all(&out).is_err() {
                    break;
                }
            }
        }
    });
    let account = ["probe", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let trial = ["--send-to", "+447700900123", "--measure", "0", "--wait-receipts", "1s"];
    let smppost = Smppost::new();
    let running = smppost.spawn(&[&account[..], &trial].concat());
    let ended = running.wait_at_most(std::time::Duration::from_secs(60));
    ended.assert_code(3);
    assert_says(&ended, &["receipts: for 0 of 4 messages", "more came that are of none of them"]);
}
