//! `query`, `replace` and `cancel --at-smsc` beside a service, which asks the SMSC over its own connections.

use super::{account, start, start_with, stop, wait_until};
use crate::common::{Ended, PATIENCE, Smppost, expected, one, rows, states};
use serde_json::Value;
use smppost::smsc::{Delay, Settings, Smsc};
use smppost::wire::{
    BindResp, CommandStatus, FrameBuffer, MessageId, Pdu, QuerySmResp, Tlvs, decode, decode_header, encode,
};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A simulator that keeps messages, and delivers them only after ten minutes.
fn keeping(smppost: &Smppost) -> Smsc {
    let listen = "127.0.0.1:0".parse().unwrap();
    let ledger = Some(smppost.path("ledger.jsonl"));
    let receipt_delay = Delay::constant(Duration::from_secs(600));
    let max_connections = 1;
    let settings = Settings { listen, rate: None, ledger, receipt_delay, keep_messages: 20_000, ..Settings::default() };
    Smsc::start(Settings { max_connections, ..settings }).unwrap()
}

fn port_of(smsc: &Smsc) -> u16 {
    smsc.local_addr().port()
}

/// Has the service send rows as a campaign, without waiting for receipts.
#[track_caller]
fn send(smppost: &Smppost, name: &str, rows: &str) {
    let file = format!("{name}.csv");
    smppost.file(&file, rows);
    smppost.run(&["send", &file, "--from", "Test", "--wait-receipts", "1ms", "--allow-same-file"]).assert_code(0);
}

/// The commands that the simulator got, in their order.
fn asked(smppost: &Smppost) -> Vec<String> {
    let text = std::fs::read_to_string(smppost.path("ledger.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let operations = lines.filter(|line| line["kind"] == "operation");
    operations.map(|line| line["command"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_says(ended: &Ended, words: &str) {
    assert!(ended.words().contains(words), "{words}: {}", ended.said());
}

#[test]
fn they_say_and_end_beside_a_service_as_they_do_without_one() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let port = port_of(&smsc).to_string();
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", "to,text\n447700900001,plain\n447700900002,жж\n447700900003,x\n447700900004,y\n");
    let commands: [(&[&str], i32); 8] = [
        (&["query", "c", "--line", "2", "--line", "3", "--format", "csv"], 0),
        (&["replace", "c", "--line", "2", "--line", "3", "--text", "New @"], 0),
        (&["replace", "c", "--line", "2", "--text", "жук"], 3),
        (&["query", "c", "--line", "77", "--line", "2"], 3),
        (&["cancel", "c", "--at-smsc", "--line", "2"], 0),
        (&["query", "c", "--line", "2", "--format", "json"], 0),
        // It has its final state by now.
        (&["query", "c", "--line", "2"], 3),
        (&["cancel", "c", "--at-smsc", "--format", "csv"], 0),
    ];
    let mut beside = Vec::new();
    for (command, code) in commands {
        let ended = smppost.run(command);
        ended.assert_code(code);
        assert_says(&ended, "the running service asks the SMSC");
        beside.push(ended);
    }
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 3), ("failed", 1)]));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session"), 1, "over the service's own connection");
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
    // The same without a service.
    let alone = Smppost::new();
    let smsc = keeping(&alone);
    let own = port_of(&smsc).to_string();
    let service = start(&alone, port_of(&smsc), &[]);
    send(&alone, "c", "to,text\n447700900001,plain\n447700900002,жж\n447700900003,x\n447700900004,y\n");
    stop(service);
    drop(port);
    for ((command, code), beside) in commands.into_iter().zip(beside) {
        let ended = alone.run(&[command, &account(&own), &["--rate", "unlimited"]].concat());
        ended.assert_code(code);
        let without_times = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "9");
        assert_eq!(without_times(&ended.stdout), without_times(&beside.stdout), "{command:?}");
        for line in ended.stderr.lines().filter(|line| line.contains(" of ") || line.starts_with("line ")) {
            assert!(beside.stderr.contains(line), "{command:?}: {line}: {}", beside.said());
        }
    }
}

#[test]
fn what_is_the_services_is_refused_by_name_before_anything_is_done() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(2));
    smppost.file("d.csv", rows(3));
    smppost.run(&["import", "d.csv", "--from", "Test", "--allow-same-file"]).assert_code(0);
    for (option, value) in [
        ("--host", "127.0.0.1"),
        ("--window", "5"),
        ("--rate", "7"),
        ("--bind", "tx"),
        ("--response-timeout", "3s"),
        ("--receipt-codes", "2=DELIVERED"),
        ("--status", "0x45=temporary"),
    ] {
        for command in [
            &["query", "c", "--line", "2"][..],
            &["replace", "c", "--line", "2", "--text", "x"],
            &["cancel", "d", "--at-smsc"],
        ] {
            let ended = smppost.run(&[command, &[option, value]].concat());
            ended.assert_code(2);
            assert_says(&ended, &format!("{option}: not beside the running service"));
        }
    }
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 3)]));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation"), 0);
    smppost.run(&["query", "nobody", "--line", "2"]).assert_code(1);
    smppost.run(&["cancel", "c", "--detach"]).assert_code(2);
    stop(service);
}

#[test]
fn detached_they_end_when_the_service_has_accepted_and_without_one_nothing_is_asked() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(5));
    smppost.run(&["query", "c", "--line", "2", "--detach"]).assert_code(0);
    wait_until(&smppost, "SELECT count(*) FROM operation_answer", |answered| answered == 1);
    wait_until(&smppost, "SELECT count(*) FROM command WHERE what = 'query' AND answered_at IS NOT NULL", |n| n == 1);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command_result"), 0, "nobody waits for that");
    // A service that is stopped takes nothing: the command is withdrawn.
    service.signal("STOP");
    let ended = smppost.run(&["cancel", "c", "--at-smsc", "--detach"]);
    ended.assert_code(69);
    assert_says(&ended, "it is withdrawn: no cancel_sm is sent");
    service.signal("CONT");
    smppost.run(&["query", "c", "--line", "3"]).assert_code(0);
    assert_eq!(asked(&smppost), ["query_sm", "query_sm"]);
    stop(service);
    for command in [&["query", "c", "--line", "2", "--detach"][..], &["cancel", "c", "--at-smsc", "--detach"]] {
        smppost.run(command).assert_code(69);
    }
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation"), 2);
}

#[test]
fn an_interrupted_command_leaves_the_service_at_work_and_the_service_that_ends_goes_on_later() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(60));
    stop(service);
    let slow = start(&smppost, port_of(&smsc), &["--rate", "10"]);
    let command = smppost.spawn(&["cancel", "c", "--at-smsc"]);
    wait_until(&smppost, "SELECT count(*) FROM operation_answer", |answered| answered >= 3);
    command.signal("INT");
    let ended = command.wait();
    ended.assert_code(130);
    assert_says(&ended, "the service goes on asking the SMSC");
    let answered = one(&smppost.journal(), "SELECT count(*) FROM operation_answer");
    let status = smppost.run(&["status"]);
    assert!(status.stdout.contains("asks the SMSC: cancel_sm of campaign c: "), "{}", status.said());
    // Who comes back to it sees it from its beginning, and has nothing asked twice.
    let mut again = smppost.spawn(&["cancel", "c", "--at-smsc", "--format", "csv"]);
    again.wait_for_words("the service is at it already");
    wait_until(&smppost, "SELECT count(*) FROM operation_answer", |now| now > answered);
    // In order: what is on its way is answered, and nothing else is asked until the next one.
    stop(slow);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation_log WHERE outcome = 'not answered'"), 0);
    assert!(one(&smppost.journal(), "SELECT count(*) FROM operation") < 60);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command WHERE what = 'cancel'"), 1);
    let service = start(&smppost, port_of(&smsc), &[]);
    wait_until(&smppost, "SELECT count(*) FROM command WHERE what = 'cancel' AND answered_at IS NOT NULL", |n| n == 1);
    assert_eq!(one(&smppost.journal(), "SELECT count(DISTINCT attempt) FROM operation WHERE kind = 'cancel_sm'"), 60);
    assert_eq!(asked(&smppost).len(), 60, "each once");
    let again = again.wait();
    again.assert_code(0);
    assert_says(&again, "c: 60 of 60 parts cancelled at the SMSC");
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_service_that_dies_and_comes_back_goes_on_and_asks_nothing_twice() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(300));
    stop(service);
    let lines: Vec<String> = (2..302).flat_map(|line| ["--line".to_owned(), line.to_string()]).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    // In the transaction of the command, of requests, and of the last answer; and after they are committed.
    let points = ["command=abort@1", "answered=abort@1", "operation=abort@1", "operation=abort@4", "operated=abort@1"];
    for point in points {
        let before = asked(&smppost).len();
        let mut dying = start_with(&smppost, port_of(&smsc), &["--rate", "400"], &[("SMPPOST_FAILPOINT", point)]);
        let mut query = smppost.spawn(&[&["query", "c", "--format", "csv"][..], &lines].concat());
        let until = Instant::now() + PATIENCE;
        while dying.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!dying.is_running() && query.is_running(), "{point}: {}", query.stderr());
        let service = start(&smppost, port_of(&smsc), &["--rate", "400"]);
        let ended = query.wait();
        let unanswered = ended.stdout.matches("the service ended before the answer came").count();
        ended.assert_code(if unanswered > 0 { 3 } else { 0 });
        assert!(unanswered <= 64, "{point}: {unanswered}");
        // Each has one row, in the order of the lines.
        let told: Vec<usize> =
            ended.stdout.lines().skip(1).map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
        assert_eq!(told, (2..302).collect::<Vec<_>>(), "{point}");
        let now = asked(&smppost).len() - before;
        assert!((300 - unanswered..=300).contains(&now), "{point}: {now} asked, {unanswered} unanswered");
        stop(service);
    }
    smppost.run(&["verify"]).assert_code(0);
}

/// What a [`Talker`] does with the n-th request about a message (from 1).
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Answers(u32),
    Nothing,
    HangsUp,
}

/// An SMSC that answers binds and messages, and requests about messages as it is told. Keeps the command_ids that it got.
struct Talker {
    port: u16,
    got: Arc<Mutex<Vec<u32>>>,
}

const SUBMIT: u32 = 4;
const QUERY: u32 = 3;
const CANCEL: u32 = 8;

impl Talker {
    fn start(does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        Self::start_slow(Duration::ZERO, does)
    }

    /// One whose answers take their time, one after the other.
    fn start_slow(takes: Duration, does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (kept, does) = (Arc::clone(&got), Arc::new(does));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, kept, does) = (stream.unwrap(), Arc::clone(&kept), Arc::clone(&does));
                std::thread::spawn(move || {
                    let mut frames = FrameBuffer::new();
                    while let Ok(count @ 1..) = stream.read(frames.spare()) {
                        frames.filled(count);
                        while let Some(frame) = frames.next_frame().unwrap() {
                            let id = decode_header(frame).unwrap().command_id.0;
                            let number = {
                                let mut kept = kept.lock().unwrap();
                                kept.push(id);
                                kept.iter().filter(|id| matches!(**id, QUERY | CANCEL)).count()
                            };
                            let (header, pdu) = decode(frame).unwrap();
                            let (mut status, tlvs) = (CommandStatus::OK, Tlvs(&[]));
                            if matches!(pdu, Pdu::QuerySm(_) | Pdu::CancelSm(_)) {
                                match does(number) {
                                    Does::Answers(code) => status = CommandStatus(code),
                                    Does::Nothing => continue,
                                    Does::HangsUp => return,
                                }
                            }
                            let id = header.sequence_number.to_string();
                            let answer = match pdu {
                                Pdu::Bind(bind) => Pdu::BindResp(BindResp { kind: bind.kind, system_id: b"t", tlvs }),
                                Pdu::SubmitSm(_) => Pdu::SubmitSmResp(MessageId { message_id: id.as_bytes(), tlvs }),
                                Pdu::QuerySm(query) => {
                                    let message_id = query.message_id;
                                    Pdu::QuerySmResp(QuerySmResp {
                                        message_id,
                                        message_state: 1,
                                        ..QuerySmResp::default()
                                    })
                                }
                                Pdu::CancelSm(_) => Pdu::CancelSmResp,
                                Pdu::EnquireLink => Pdu::EnquireLinkResp,
                                Pdu::Unbind => Pdu::UnbindResp,
                                _ => continue,
                            };
                            std::thread::sleep(takes);
                            let mut out = Vec::new();
                            encode(&answer, header.sequence_number, status, &mut out).unwrap();
                            if stream.write_all(&out).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { port, got }
    }

    fn got(&self) -> Vec<u32> {
        self.got.lock().unwrap().clone()
    }

    fn count(&self, command: u32) -> usize {
        self.got().iter().filter(|id| **id == command).count()
    }
}

#[test]
fn answers_that_never_come_end_the_command_and_hold_up_no_campaign() {
    let smppost = Smppost::new();
    let smsc = Talker::start(|n| if n <= 2 { Does::Answers(0) } else { Does::Nothing });
    let service = start(&smppost, smsc.port, &["--window", "3"]);
    send(&smppost, "c", &rows(40));
    let ended = smppost.run(&["cancel", "c", "--at-smsc", "--format", "csv"]);
    ended.assert_code(1);
    assert_says(&ended, "it ended early: no answer within the response timeout");
    assert_says(&ended, "c: 2 of 40 parts cancelled at the SMSC");
    let maybe = ended.stdout.matches("not answered, and maybe done: no answer within the response timeout").count();
    // A window, and another where a slot was free before it was known why.
    assert!((1..=6).contains(&maybe), "{}", ended.said());
    assert_eq!(ended.stdout.matches("not asked: no answer within the response timeout").count(), 38 - maybe);
    assert_eq!(smsc.count(CANCEL), 2 + maybe);
    // The slots are free again, and nothing else was lost.
    send(&smppost, "d", &rows(20));
    assert_eq!(states(&smppost.journal(), "d"), expected([("accepted", 20)]));
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_session_that_is_lost_costs_what_was_on_its_way_and_an_smsc_that_hangs_up_each_time_is_left_alone() {
    let smppost = Smppost::new();
    let smsc = Talker::start(|n| if n == 4 { Does::HangsUp } else { Does::Answers(0) });
    let service = start(&smppost, smsc.port, &[]);
    send(&smppost, "c", &rows(30));
    let ended = smppost.run(&["cancel", "c", "--at-smsc", "--format", "csv"]);
    ended.assert_code(3);
    let maybe = ended.stdout.matches("not answered, and maybe done: ").count();
    assert!((1..=10).contains(&maybe), "{}", ended.said());
    assert_says(&ended, &format!("c: {} of 30 parts cancelled at the SMSC", 30 - maybe));
    stop(service);
    let smppost = Smppost::new();
    let smsc = Talker::start(|_| Does::HangsUp);
    let service = start(&smppost, smsc.port, &[]);
    send(&smppost, "c", &rows(30));
    let ended = smppost.run(&["cancel", "c", "--at-smsc", "--format", "csv"]);
    ended.assert_code(1);
    assert_says(&ended, "it ended early: ");
    let asked = smsc.count(CANCEL);
    assert!((1..=12).contains(&asked), "{asked} asked: {}", ended.said());
    send(&smppost, "d", &rows(5));
    stop(service);
}

#[test]
fn what_is_throttled_is_asked_again() {
    let smppost = Smppost::new();
    let smsc = Talker::start(|n| Does::Answers(if n <= 2 { 0x58 } else { 0 }));
    let service = start(&smppost, smsc.port, &["--window", "1"]);
    send(&smppost, "c", &rows(2));
    smppost.run(&["query", "c", "--line", "2", "--line", "3"]).assert_code(0);
    assert_eq!(smsc.count(QUERY), 4);
    stop(service);
}

#[test]
fn they_share_the_rate_with_a_campaign_and_neither_starves() {
    let smppost = Smppost::new();
    let smsc = Talker::start_slow(Duration::from_millis(3), |_| Does::Answers(0));
    let service = start(&smppost, smsc.port, &[]);
    send(&smppost, "c", &rows(200));
    stop(service);
    // In one slot as well.
    let service = start(&smppost, smsc.port, &["--window", "1"]);
    smppost.file("e.csv", rows(3_000));
    smppost.run(&["send", "e.csv", "--from", "Test", "--detach", "--allow-same-file"]).assert_code(0);
    wait_until(&smppost, "SELECT accepted FROM campaign_summary WHERE campaign = 'e'", |taken| taken > 30);
    let lines: Vec<String> = (2..102).flat_map(|line| ["--line".to_owned(), line.to_string()]).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    smppost.run(&[&["query", "c"][..], &lines].concat()).assert_code(0);
    let got = smsc.got();
    let (first, last) =
        (got.iter().position(|id| *id == QUERY).unwrap(), got.iter().rposition(|id| *id == QUERY).unwrap());
    let between = got[first..last].iter().filter(|id| **id == SUBMIT).count();
    assert!((50..=600).contains(&between), "{between} messages among 100 queries");
    stop(service);
    let service = start(&smppost, smsc.port, &["--rate", "100"]);
    smppost.file("d.csv", rows(3_000));
    smppost.run(&["send", "d.csv", "--from", "Test", "--detach", "--allow-same-file"]).assert_code(0);
    let before = smsc.count(SUBMIT);
    wait_until(&smppost, "SELECT accepted FROM campaign_summary WHERE campaign = 'd'", |taken| taken > 30);
    assert!(smsc.count(SUBMIT) > before);
    smppost.run(&["cancel", "c", "--at-smsc"]).assert_code(0);
    let got = smsc.got();
    let (first, last) =
        (got.iter().position(|id| *id == CANCEL).unwrap(), got.iter().rposition(|id| *id == CANCEL).unwrap());
    let between = got[first..last].iter().filter(|id| **id == SUBMIT).count();
    assert!((100..=400).contains(&between), "{between} messages among 200 cancellations");
    // Side by side with another command, of which each has its turn.
    let long = smppost.spawn(&["cancel", "d", "--at-smsc", "--yes"]);
    wait_until(&smppost, "SELECT count(*) FROM operation", |asked| asked > 210);
    smppost.run(&["query", "c", "--line", "2"]).assert_code(0);
    assert_eq!(
        one(&smppost.journal(), "SELECT count(*) FROM command WHERE what = 'cancel' AND answered_at IS NULL"),
        1
    );
    long.signal("INT");
    long.wait().assert_code(130);
    stop(service);
}

#[test]
fn neither_a_pause_nor_closed_hours_stop_them() {
    let smppost = Smppost::new();
    let smsc = keeping(&smppost);
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(5));
    smppost.run(&["pause", "--reason", "complaints"]).assert_code(0);
    smppost.run(&["cancel", "c", "--at-smsc", "--line", "2"]).assert_code(0);
    stop(service);
    // The hours begin in eleven hours or more: no connection is held for so long.
    let hour = |hours: i64| {
        let at = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC) + jiff::Span::new().hours(hours);
        at.strftime("%H:%M").to_string()
    };
    let between = format!("{}-{}", hour(11), hour(12));
    let service = start(&smppost, port_of(&smsc), &["--between", &between, "--time-zone", "UTC"]);
    smppost.file("d.csv", rows(2));
    smppost.run(&["send", "d.csv", "--from", "Test", "--detach", "--allow-same-file"]).assert_code(0);
    smppost.run(&["resume"]).assert_code(0);
    let ended = smppost.run(&["cancel", "c", "--at-smsc"]);
    // One is cancelled already.
    ended.assert_code(3);
    assert_says(&ended, "c: 4 of 5 parts cancelled at the SMSC");
    assert_eq!(asked(&smppost), ["cancel_sm"; 6]);
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 2)]));
    stop(service);
}

#[test]
fn what_is_on_its_way_when_a_campaign_is_cancelled_is_cancelled_at_the_smsc_too() {
    let smppost = Smppost::new();
    let smsc = Talker::start(|_| Does::Answers(0));
    let service = start(&smppost, smsc.port, &["--rate", "200"]);
    smppost.file("c.csv", rows(2_000));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach"]).assert_code(0);
    wait_until(&smppost, "SELECT accepted FROM campaign_summary", |taken| taken > 20);
    smppost.run(&["cancel", "c", "--at-smsc", "--yes"]).assert_code(0);
    let (sent, cancelled) = (smsc.count(SUBMIT), smsc.count(CANCEL));
    assert_eq!(sent, cancelled, "whatever went is asked to be cancelled");
    assert_eq!(one(&smppost.journal(), "SELECT queued + sending FROM campaign_summary"), 0);
    stop(service);
}

#[test]
fn every_connection_that_sends_asks_too_and_none_that_only_receives() {
    for how in [
        &["--smpp-version", "3.3", "--bind", "tx"][..],
        &["--bind", "tx+rx", "--connections", "2"],
        &["--connections", "3"],
    ] {
        let smppost = Smppost::new();
        let smsc = Talker::start(|_| Does::Answers(0));
        let service = start(&smppost, smsc.port, how);
        send(&smppost, "c", &rows(30));
        smppost.run(&["cancel", "c", "--at-smsc"]).assert_code(0);
        assert_eq!(smsc.count(CANCEL), 30, "{how:?}");
        stop(service);
    }
    // There is no service that can send nothing.
    let smppost = Smppost::new();
    smppost.run(&[&["run", "--create", "--bind", "rx"][..], &account("1")].concat()).assert_code(2);
}

#[test]
fn a_receipt_that_comes_after_the_query_that_said_the_same_changes_nothing() {
    let smppost = Smppost::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let receipt_delay = Delay::constant(Duration::from_secs(6));
    let settings = Settings { listen, rate: None, receipt_delay, keep_messages: 10, ..Settings::default() };
    let smsc = Smsc::start(settings).unwrap();
    // The first receipt of the message is what the query was answered with: the next one is the second.
    let service = start(&smppost, port_of(&smsc), &[]);
    send(&smppost, "c", &rows(2));
    smppost.run(&["cancel", "c", "--at-smsc", "--line", "3"]).assert_code(0);
    smppost.run(&["query", "c", "--line", "3"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 1), ("failed", 1)]));
    wait_until(&smppost, "SELECT count(*) FROM receipt_log WHERE rule <> 'query_sm'", |receipts| receipts == 2);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 1), ("failed", 1)]));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM receipt_log WHERE line = 3"), 2);
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn many_parts_are_asked_about_in_pages_and_no_row_grows_with_them() {
    let smppost = Smppost::new();
    let smsc = Talker::start(|_| Does::Answers(0));
    let service = start(&smppost, smsc.port, &["--window", "100"]);
    send(&smppost, "c", &rows(4_000));
    let ended = smppost.run(&["cancel", "c", "--at-smsc"]);
    ended.assert_code(0);
    assert_says(&ended, "c: 4000 of 4,000 parts cancelled at the SMSC");
    let journal = smppost.journal();
    assert_eq!(one(&journal, "SELECT count(*) FROM operation_answer"), 4_000);
    assert!(one(&journal, "SELECT max(length(results)) FROM command_result") < 64 * 1024);
    assert!(
        one(
            &journal,
            "SELECT max(length(options) + length(coalesce(answer, '')) + length(coalesce(progress, ''))) FROM command"
        ) < 4_096
    );
    stop(service);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn connections_that_are_bound_anew_at_a_reload_lose_no_request() {
    let smppost = Smppost::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let receipt_delay = Delay::constant(Duration::from_secs(600));
    let settings = Settings { listen, rate: None, receipt_delay, keep_messages: 1_000, ..Settings::default() };
    let smsc = Smsc::start(settings).unwrap();
    let port = port_of(&smsc);
    let configure = |system_type: &str| {
        let settings = format!(
            "[default]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"test\"\nrate = 60\nsystem_type = \"{system_type}\"\n"
        );
        smppost.file("smppost.toml", settings);
    };
    configure("");
    let service = smppost.spawn(&["run", "--create"]);
    wait_until(&smppost, "SELECT count(*) FROM session", |sessions| sessions == 1);
    send(&smppost, "c", &rows(120));
    let command = smppost.spawn(&["cancel", "c", "--at-smsc"]);
    wait_until(&smppost, "SELECT count(*) FROM operation_answer", |answered| answered >= 10);
    configure("other");
    smppost.run(&["reload"]).assert_code(0);
    let ended = command.wait();
    ended.assert_code(0);
    assert_says(&ended, "c: 120 of 120 parts cancelled at the SMSC");
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM operation"), 120, "each once");
    assert!(one(&smppost.journal(), "SELECT count(*) FROM session") >= 2, "{}", service.stderr());
    stop(service);
}
