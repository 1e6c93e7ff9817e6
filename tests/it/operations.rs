//! query_sm, cancel_sm and replace_sm: what is asked, what is kept, what it changes. Against the built-in simulator, and
//! against one that looks into the journal before it answers.
use crate::common::{Ended, Smppost, expected, long_rows, one, open, rows, states};
use serde_json::Value;
use smppost::smsc::{Delay, Settings, Smsc};
use smppost::wire::{BindResp, CommandStatus, FrameBuffer, MessageId, Pdu, QuerySmResp, Tlvs, decode, encode};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A simulator that keeps messages, and delivers them only after a minute.
fn smsc(smppost: &Smppost) -> Smsc {
    let listen = "127.0.0.1:0".parse().unwrap();
    let ledger = Some(smppost.path("ledger.jsonl"));
    let receipt_delay = Delay::constant(Duration::from_secs(60));
    Smsc::start(Settings { listen, rate: None, ledger, receipt_delay, keep_messages: 1_000, ..Settings::default() })
        .unwrap()
}

/// Sends rows without waiting for receipts.
fn sent(smppost: &Smppost, smsc: &Smsc, rows: &str, more: &[&str]) {
    let more = [&["--wait-receipts", "1ms"][..], more].concat();
    smppost.send(rows, smsc.local_addr().port(), &more).assert_code(0);
}

fn run(smppost: &Smppost, port: u16, arguments: &[&str]) -> Ended {
    let port = port.to_string();
    let account = ["--host", "127.0.0.1", "--system-id", "test", "--rate", "unlimited", "--port", &port];
    smppost.run(&[arguments, &account].concat())
}

fn ledger(smppost: &Smppost, command: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(smppost.path("ledger.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "operation" && line["command"] == command).collect()
}

fn text(smppost: &Smppost, sql: &str) -> String {
    open(&smppost.journal()).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_message_is_cancelled_at_the_smsc_and_the_query_after_it_is_as_good_as_its_receipt() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost);
    let port = smsc.local_addr().port();
    sent(&smppost, &smsc, &rows(5), &[]);
    let ended = run(&smppost, port, &["query", "c", "--line", "2", "--line", "3"]);
    ended.assert_code(0);
    assert_eq!(ended.stdout.matches("ENROUTE").count(), 2, "{}", ended.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 5)]), "on its way is no end");
    run(&smppost, port, &["cancel", "c", "--at-smsc", "--line", "2"]).assert_code(0);
    assert_eq!(
        states(&smppost.journal(), "c"),
        expected([("accepted", 5)]),
        "cancelled, and not yet known to be deleted"
    );
    let ended = run(&smppost, port, &["query", "c", "--line", "2", "--format", "json"]);
    ended.assert_code(0);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&told[0]["state"], &told[0]["command_status"], &told[0]["line"]),
        (&"DELETED".into(), &0.into(), &2.into())
    );
    assert_eq!(told[0]["final_date"].as_str().unwrap().len(), 16);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 4), ("failed", 1)]));
    assert_eq!(text(&smppost, "SELECT rule || ' ' || state FROM receipt_log WHERE line = 2"), "query_sm DELETED");
    // What has its final state is not asked about again; a second cancellation finds nothing to cancel.
    let ended = run(&smppost, port, &["query", "c", "--line", "2"]);
    ended.assert_code(3);
    assert!(ended.stderr.contains("final state"), "{}", ended.said());
    assert_eq!(ledger(&smppost, "query_sm").len(), 3);
    let log =
        "SELECT group_concat(operation || ' ' || line || ' ' || command_status || ' ' || coalesce(state, '-'), ', ')
                 FROM operation_log";
    assert_eq!(
        text(&smppost, log),
        "query_sm 2 0 ENROUTE, query_sm 3 0 ENROUTE, cancel_sm 2 0 -, query_sm 2 0 DELETED"
    );
    // All the rest, and of what was not sent there is none.
    let ended = run(&smppost, port, &["cancel", "c", "--at-smsc"]);
    ended.assert_code(0);
    assert_eq!(ledger(&smppost, "cancel_sm").len(), 5, "{}", ended.said());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn the_receipt_of_a_cancelled_message_says_deleted() {
    let smppost = Smppost::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let receipt_delay = Delay::constant(Duration::from_secs(12));
    let settings = Settings { listen, rate: None, receipt_delay, keep_messages: 10, ..Settings::default() };
    let smsc = Smsc::start(settings).unwrap();
    sent(&smppost, &smsc, &rows(2), &[]);
    let port = smsc.local_addr().port();
    run(&smppost, port, &["cancel", "c", "--at-smsc", "--line", "3"]).assert_code(0);
    run(&smppost, port, &["resume", "c", "--wait-receipts", "60s"]).assert_code(3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 1), ("failed", 1)]));
    assert_eq!(text(&smppost, "SELECT state FROM receipt_log WHERE line = 3"), "DELETED");
}

#[test]
fn each_part_of_a_long_message_is_asked_about() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost);
    sent(&smppost, &smsc, &long_rows(2), &[]);
    let port = smsc.local_addr().port();
    let ended = run(&smppost, port, &["query", "c", "--line", "2"]);
    ended.assert_code(0);
    assert_eq!(ended.stdout.matches("ENROUTE").count(), 3, "{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(DISTINCT part) FROM operation_log WHERE line = 2"), 3);
    let ended = run(&smppost, port, &["replace", "c", "--line", "2", "--text", "other"]);
    ended.assert_code(3);
    assert!(ended.stderr.contains("long message cannot be replaced"), "{}", ended.said());
    assert!(ledger(&smppost, "replace_sm").is_empty());
}

#[test]
fn a_replacement_is_sent_in_the_alphabet_of_the_old_text_and_kept_beside_it() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost);
    let port = smsc.local_addr().port();
    sent(&smppost, &smsc, "to,text\n447700900001,plain\n447700900002,жж\n", &[]);
    run(&smppost, port, &["replace", "c", "--line", "2", "--line", "3", "--text", "New @"]).assert_code(0);
    let replaced = ledger(&smppost, "replace_sm");
    assert_eq!(replaced[0]["short_message"], "4e65772000");
    assert_eq!(replaced[1]["short_message"], "004e0065007700200040");
    assert_eq!(text(&smppost, "SELECT text FROM message_status WHERE line = 2"), "plain");
    assert_eq!(text(&smppost, "SELECT text FROM operation_log WHERE line = 2"), "New @");
    let ended = run(&smppost, port, &["replace", "c", "--line", "2", "--text", "жук"]);
    ended.assert_code(3);
    let words = "not in the GSM alphabet: leave it out, or cancel the message and send another";
    assert!(ended.stderr.contains(words), "{}", ended.said());
    assert_eq!(ledger(&smppost, "replace_sm").len(), 2);
}

#[test]
fn what_the_smsc_does_not_know_or_never_got_is_said() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost);
    sent(&smppost, &smsc, &rows(3), &["--limit", "2"]);
    drop(smsc);
    // Another one, that knows nothing.
    let smsc = self::smsc(&smppost);
    let port = smsc.local_addr().port();
    for (command, words) in [
        (&["query", "c", "--line", "2"][..], "ESME_RQUERYFAIL"),
        (&["cancel", "c", "--at-smsc", "--line", "2"], "ESME_RCANCELFAIL"),
        (&["replace", "c", "--line", "2", "--text", "x"], "ESME_RREPLACEFAIL"),
        (&["query", "c", "--line", "4"], "it was not sent"),
        (&["query", "c", "--line", "77"], "not asked: the campaign has no message from this line of its file"),
    ] {
        let ended = run(&smppost, port, command);
        ended.assert_code(3);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
    }
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 2), ("queued", 1)]));
    for wrong in [&["query", "c"][..], &["cancel", "c", "--line", "2"], &["replace", "c", "--line", "2"]] {
        run(&smppost, port, wrong).assert_code(2);
    }
    run(&smppost, port, &["query", "other", "--line", "2"]).assert_code(1);
}

/// An SMSC that takes one message, then answers the n-th query only after it has looked whether the journal holds n
/// intents; it leaves the last unanswered. Returns its port.
fn witness(journal: PathBuf, answered: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut queries = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut frames = FrameBuffer::new();
            while let Ok(count @ 1..) = stream.read(frames.spare()) {
                frames.filled(count);
                while let Some(frame) = frames.next_frame().unwrap() {
                    let (header, pdu) = decode(frame).unwrap();
                    let none = Tlvs(&[]);
                    let answer = match pdu {
                        Pdu::Bind(bind) => Pdu::BindResp(BindResp { kind: bind.kind, system_id: b"w", tlvs: none }),
                        Pdu::SubmitSm(_) => Pdu::SubmitSmResp(MessageId { message_id: b"77", tlvs: none }),
                        Pdu::QuerySm(query) => {
                            queries += 1;
                            let intents = one(&journal, "SELECT count(*) FROM operation");
                            if intents != queries as i64 || queries > answered {
                                continue;
                            }
                            Pdu::QuerySmResp(QuerySmResp {
                                message_id: query.message_id,
                                message_state: 1,
                                ..QuerySmResp::default()
                            })
                        }
                        Pdu::EnquireLink => Pdu::EnquireLinkResp,
                        Pdu::Unbind => Pdu::UnbindResp,
                        _ => continue,
                    };
                    let mut out = Vec::new();
                    encode(&answer, header.sequence_number, CommandStatus::OK, &mut out).unwrap();
                    if stream.write_all(&out).is_err() {
                        break;
                    }
                }
            }
        }
    });
    port
}

#[test]
fn the_intent_is_on_disk_before_the_request_is_on_the_wire() {
    let smppost = Smppost::new();
    let port = witness(smppost.journal(), 1);
    smppost.send(&rows(1), port, &["--wait-receipts", "1ms"]).assert_code(0);
    run(&smppost, port, &["query", "c", "--line", "2"]).assert_code(0);
    let ended = run(&smppost, port, &["query", "c", "--line", "2", "--response-timeout", "500ms"]);
    ended.assert_code(1);
    assert!(ended.stderr.contains("maybe done"), "{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation_log WHERE answered_at IS NULL"), 1);
}

#[test]
fn f44_operations_wait_for_no_other_sender() {
    let smppost = Smppost::new();
    let smsc = smsc(&smppost);
    let port = smsc.local_addr().port();
    sent(&smppost, &smsc, &rows(1), &[]);
    let lock = smppost::testing::journal::files::lock::SenderLock::take(&smppost.journal()).unwrap();
    run(&smppost, port, &["query", "c", "--line", "2"]).assert_code(75);
    drop(lock);
    run(&smppost, port, &["query", "c", "--line", "2"]).assert_code(0);
}

/// An SMSC that asks whether the link is alive before it answers the bind and with each answer to a query; the first
/// `refused` queries it refuses. Returns its port, and how long each answer to it took.
fn asks_after_the_link(refused: usize) -> (u16, Receiver<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (took, all) = channel();
    std::thread::spawn(move || {
        let (mut queries, mut asked) = (0, Instant::now());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut frames = FrameBuffer::new();
            while let Ok(count @ 1..) = stream.read(frames.spare()) {
                frames.filled(count);
                while let Some(frame) = frames.next_frame().unwrap() {
                    let (header, pdu) = decode(frame).unwrap();
                    let (none, mut out, mut status) = (Tlvs(&[]), Vec::new(), CommandStatus::OK);
                    let answer = match pdu {
                        Pdu::Bind(bind) => Pdu::BindResp(BindResp { kind: bind.kind, system_id: b"w", tlvs: none }),
                        Pdu::SubmitSm(_) => Pdu::SubmitSmResp(MessageId { message_id: b"77", tlvs: none }),
                        Pdu::QuerySm(query) => {
                            queries += 1;
                            if queries <= refused {
                                status = CommandStatus(0x67);
                            }
                            let message_id = query.message_id;
                            Pdu::QuerySmResp(QuerySmResp { message_id, message_state: 1, ..QuerySmResp::default() })
                        }
                        Pdu::EnquireLinkResp => {
                            let _ = took.send(asked.elapsed());
                            continue;
                        }
                        _ => continue,
                    };
                    if !matches!(answer, Pdu::SubmitSmResp(_)) {
                        asked = Instant::now();
                        encode(&Pdu::EnquireLink, 900, CommandStatus::OK, &mut out).unwrap();
                    }
                    encode(&answer, header.sequence_number, status, &mut out).unwrap();
                    let _ = stream.write_all(&out);
                }
            }
        }
    });
    (port, all)
}

#[test]
fn the_link_is_kept_and_a_signal_heeded_while_requests_wait_for_the_rate() {
    let smppost = Smppost::new();
    let (port, took) = asks_after_the_link(0);
    smppost.send(&rows(3), port, &["--wait-receipts", "1ms"]).assert_code(0);
    while took.try_recv().is_ok() {}
    let port = port.to_string();
    let query = ["query", "c", "--line", "2", "--line", "3", "--line", "4", "--window", "100"];
    let account = ["--host", "127.0.0.1", "--system-id", "test", "--port", &port];
    smppost.run(&[&query[..], &account, &["--rate", "1"]].concat()).assert_code(0);
    let took: Vec<Duration> = took.try_iter().collect();
    // The last may come with our unbind.
    assert!(took.len() >= 3 && took.iter().all(|took| *took < Duration::from_millis(500)), "{took:?}");
    let running = smppost.spawn(&[&query[..], &account, &["--rate", "0.01"]].concat());
    let until = Instant::now() + Duration::from_secs(20);
    while one(&smppost.journal(), "SELECT count(*) FROM operation_log WHERE answered_at IS NOT NULL") < 3
        || one(&smppost.journal(), "SELECT count(*) FROM operation_log") < 4
    {
        assert!(Instant::now() < until, "nothing was asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    running.signal("INT");
    let ended = running.wait_at_most(Duration::from_secs(10));
    ended.assert_code(130);
    assert_eq!(ended.stderr.matches("not asked: interrupted").count(), 2, "{}", ended.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation_log"), 4, "what is not asked has no intent");
}

#[test]
fn what_the_operator_calls_throttled_is_asked_again() {
    let smppost = Smppost::new();
    let (port, _took) = asks_after_the_link(2);
    smppost.send(&rows(1), port, &["--wait-receipts", "1ms"]).assert_code(0);
    run(&smppost, port, &["query", "c", "--line", "2"]).assert_code(3);
    run(&smppost, port, &["query", "c", "--line", "2", "--status", "0x67=throttled"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation_log"), 3);
}

#[test]
fn a_command_has_the_options_that_act_there() {
    let smppost = Smppost::new();
    let keep = ["--connections", "--inactivity-timeout", "--enquire-link-interval", "--give-up-after"];
    for (command, without) in [
        (&["query", "c", "--line", "2"][..], &[&keep[..], &["--retry-delays"]].concat()[..]),
        (&["replace", "c", "--line", "2", "--text", "x"], &[&keep[..], &["--retry-delays"]].concat()),
        (&["cancel", "c", "--at-smsc"], &[&keep[..], &["--retry-delays"]].concat()),
        (&["cancel", "c"], &["--host", "--window", "--rate", "--status", "--tls-ca", "--response-timeout"]),
        (&["listen"], &["--rate", "--window", "--retry-delays", "--status"]),
    ] {
        for option in without {
            let value = if option.ends_with("status") { "0x45=permanent" } else { "1" };
            let value = if option.contains("time") || option.contains("delays") { "1s" } else { value };
            let ended = smppost.run(&[command, &[option, value]].concat());
            ended.assert_code(2);
            assert!(ended.stderr.contains(option), "{command:?} {option}: {}", ended.said());
        }
    }
    // What the environment and a profile hold for other commands is no mistake.
    let smsc = smsc(&smppost);
    sent(&smppost, &smsc, &rows(2), &["--limit", "1"]);
    let port = smsc.local_addr().port();
    smppost.file("smppost.toml", format!("[default]\nport = {port}\nrate = 50\nwindow = 5\nretry_delays = \"1s\"\n"));
    let environment = [("SMPPOST_HOST", "127.0.0.1"), ("SMPPOST_SYSTEM_ID", "test")];
    smppost.run_with(&["cancel", "c"], &environment).assert_code(0);
    smppost.run_with(&["query", "c", "--line", "2"], &environment).assert_code(0);
    smppost.run_with(&["listen", "--for", "100ms"], &environment).assert_code(0);
}
