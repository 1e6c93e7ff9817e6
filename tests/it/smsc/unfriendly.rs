//! What a peer, a client of the control or a tester may do that nobody meant.
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use smppost::smsc::{Inbound, Settings, Smsc, To};
use smppost::wire::{
    Address, BindKind, CancelSm, CommandId, CommandStatus, Destination, Destinations, Pdu, QuerySm, Sm, SubmitMulti,
    encode,
};

use super::client::{Client, message};
use super::http::{controlled, exchange, get, post, refused};

fn to(number: &str) -> Pdu<'_> {
    Pdu::SubmitSm(Sm { destination: Address::new(1, 1, number.as_bytes()), ..message() })
}

fn handset(text: &str) -> Inbound {
    Inbound { from: "447700900001".to_owned(), to: "12345".to_owned(), text: text.to_owned(), ..Inbound::default() }
}

/// Sends a submit_multi to these numbers.
fn send_multi(client: &mut Client, numbers: &[&str]) -> u32 {
    let mut octets = Vec::new();
    for number in numbers {
        Destination::Address(Address::new(1, 1, number.as_bytes())).push_to(&mut octets).unwrap();
    }
    let destinations = Destinations { count: numbers.len() as u8, octets: &octets };
    client.send(&Pdu::SubmitMulti(SubmitMulti { destinations, message: message() }))
}

#[test]
fn a_length_that_no_memory_holds_ends_nothing() {
    let (smsc, control) = controlled(|_| {});
    for (method, path) in [("POST", "/inbound"), ("POST", "/nothing"), ("PUT", "/faults"), ("GET", "/stats")] {
        let mut stream = TcpStream::connect(control).unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4611686018427387904\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    assert_eq!(get(control, "/stats")["connections"], 0);
    drop(smsc);
}

#[test]
fn peers_that_say_nothing_keep_nobody_from_the_control_nor_it_from_its_end() {
    let (smsc, control) = controlled(|_| {});
    let silent: Vec<TcpStream> = (0..100)
        .map(|nth| {
            let mut stream = TcpStream::connect(control).unwrap();
            let begun: &[u8] = match nth % 2 {
                0 => b"",
                _ => b"POST /inbound HTTP/1.1\r\nHost: localhost\r\n",
            };
            stream.write_all(begun).unwrap();
            stream
        })
        .collect();
    assert_eq!(get(control, "/stats")["connections"], 0);
    let begun = Instant::now();
    smsc.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn more_requests_than_are_answered_at_a_time_are_told_so_and_none_is_lost() {
    let (_smsc, control) = controlled(|_| {});
    let wait = move || exchange(control, "GET", "/wait?count=1&timeout=2s", "");
    let waiting: Vec<_> = (0..80).map(|_| thread::spawn(wait)).collect();
    let statuses: Vec<u16> = waiting.into_iter().map(|one| one.join().unwrap().0).collect();
    assert!(statuses.iter().all(|status| matches!(status, 408 | 503)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 408).count() >= 64, "{statuses:?}");
    assert!(get(control, "/healthz").is_object());
}

#[test]
fn no_rate_is_too_slow_or_too_fast_for_a_clock() {
    let (smsc, control) = controlled(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    for limit in ["silent:1e-300", "spacing:1e-300", "token:1e-300:5", "fixed:1e300", "box:5:1:1:1e300"] {
        let error = refused(control, "POST", "/limits", &json!({ "limits": [limit] }).to_string(), 400);
        assert!(error.contains(limit), "{error}");
    }
    for rate in ["1e-300", "0", "-1", "1e300"] {
        let body = format!(r#"{{"from": "1", "to": "2", "text": "x", "count": 5, "rate": {rate}}}"#);
        let error = refused(control, "POST", "/inbound", &body, 400);
        assert!(error.contains("rate"), "{error}");
    }
    // The slowest that there are: the session goes on.
    for limit in ["silent:0.000001", "spacing:0.000001"] {
        post(control, "/limits", json!({ "limits": [limit] }));
        client.send(&to("447700900001"));
        client.send(&to("447700900001"));
        assert_eq!(client.request(&Pdu::EnquireLink).id(), CommandId::ENQUIRE_LINK_RESP);
    }
}

#[test]
fn sessions_that_share_a_limiter_may_come_in_any_order() {
    let (smsc, control) = controlled(|_| {});
    post(control, "/limits", json!({ "limits": ["schedule:100000/1,200000/1", "silent:1000000"] }));
    let address = smsc.local_addr();
    let senders: Vec<_> = (0..4)
        .map(|nth: u8| {
            thread::spawn(move || {
                let mut client = Client::connect(address);
                assert_eq!(client.bind(BindKind::Transmitter, "demo", "", 0x34).status(), 0);
                let mut octets = Vec::new();
                for number in 0..2_000 {
                    encode(&to("447700900001"), number + 2, CommandStatus::OK, &mut octets).unwrap();
                }
                client.stream.write_all(&octets).unwrap();
                (0..2_000).for_each(|_| assert_eq!(client.receive().status(), 0, "{nth}"));
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[test]
fn a_request_for_too_many_is_refused_whole() {
    let (smsc, control) = controlled(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Receiver, "demo");
    let long = "x".repeat(2_000);
    for (body, named) in [
        (json!([{"from": "1", "to": "2", "count": 60_000}, {"from": "1", "to": "2", "count": 60_000}]), "100000"),
        (json!([{"from": "1", "to": "2"}, {"from": "1", "to": "2", "text": long, "count": 99_000}]), "1000000"),
        (json!([{"from": "1", "to": "2"}, {"from": "1", "to": "2", "sessions": 99}]), "message 2"),
    ] {
        let error = refused(control, "POST", "/inbound", &body.to_string(), 400);
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(get(control, "/stats")["inbound"], 0, "all or none");
    assert!(client.receive_within(Duration::from_millis(50)).is_none());
    let many = json!({ "from": "447700900001", "to": "12345", "text": "x".repeat(200), "count": 100 });
    assert_eq!(post(control, "/inbound", many)["ids"].as_array().unwrap().len(), 100);
    (0..200).for_each(|_| drop(client.take_receipt(0)));
}

/// Each request takes as long as the one before, however many wait.
#[test]
fn a_hundred_thousand_in_one_request_wait_and_as_many_again() {
    let (smsc, control) = controlled(|settings| settings.deliver_window = 5_000);
    let all: Vec<serde_json::Value> =
        (0..25_000).map(|n| json!({ "from": format!("4477{n:08}"), "to": "12345", "text": "Hi" })).collect();
    let body = json!(all);
    let begun = Instant::now();
    for round in 1..=4 {
        assert_eq!(post(control, "/inbound", body.clone())["ids"].as_array().unwrap().len(), 25_000);
        assert_eq!(get(control, "/inbound")["waiting_for_a_session"], 25_000 * round);
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let mut client = Client::bound(&smsc, BindKind::Receiver, "demo");
    (0..100_000).for_each(|_| drop(client.take_receipt(0)));
    assert_eq!(get(control, "/wait?of=inbound&state=answered&count=100000&timeout=60s")["count"], 100_000);
}

#[test]
fn what_is_refused_waits_for_its_answer_too() {
    let (smsc, _) = controlled(|settings| {
        settings.rules = vec!["to=*001: status=0x0B answer=200ms".parse().unwrap()];
        settings.answer_delay = "100ms".parse().unwrap();
    });
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    for (number, status, least) in [("447700900001", 0x0B, 200), ("447700900002", 0, 100), ("1", 0x0B, 100)] {
        let begun = Instant::now();
        assert_eq!(client.request(&to(number)).status(), status, "{number}");
        assert!(begun.elapsed() >= Duration::from_millis(least), "{number}: {:?}", begun.elapsed());
    }
}

#[test]
fn rules_limits_and_faults_hold_for_a_message_to_many() {
    let run = |change: serde_json::Value| {
        let (smsc, control) = controlled(|_| {});
        post(control, "/behaviour", change);
        let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
        let begun = Instant::now();
        let sent = send_multi(&mut client, &["447700900001", "447700900002", "447700900003"]);
        // An answer, the end of the connection, or neither; the session is asked whether it goes on.
        let answer = client.receive_within(Duration::from_millis(400));
        assert!(answer.iter().all(|answer| answer.sequence_number() == sent));
        let took = begun.elapsed();
        let is_over = client.is_over();
        let states: Vec<String> = smsc.ledger().into_iter().map(|message| message.state).collect();
        (answer.map(|answer| (answer.id(), answer.status())), is_over, states, took)
    };
    let multi = CommandId::SUBMIT_MULTI.response();
    let (answer, is_over, _, took) = run(json!({ "rules": ["to=*2: answer=150ms"] }));
    assert_eq!((answer, is_over), (Some((multi, 0)), false));
    assert!(took >= Duration::from_millis(150), "{took:?}");
    let (answer, is_over, states, _) = run(json!({ "rules": ["to=*2: silent"] }));
    assert_eq!((answer, is_over, states.len()), (None, false, 3));
    let (answer, is_over, ..) = run(json!({ "rules": ["to=*2: drop"] }));
    assert_eq!((answer, is_over), (None, true));
    let (answer, is_over, states, _) = run(json!({ "limits": ["hangup:2"] }));
    assert_eq!((answer, is_over, states[2].as_str()), (None, true, "refused"));
    assert_eq!(run(json!({ "faults": ["silence=1"] })).0, None);
    let (answer, _, states, _) = run(json!({ "faults": ["error=0x64"] }));
    assert_eq!((answer, states), (Some((multi, 0x64)), vec!["refused".to_owned(); 3]));
    let (answer, _, states, _) = run(json!({ "faults": ["nack=1"] }));
    assert_eq!((answer, states), (Some((CommandId::GENERIC_NACK, 3)), vec!["refused".to_owned(); 3]));
    let (smsc, control) = controlled(|_| {});
    post(control, "/faults", json!({ "faults": ["drop-after-answer=1"] }));
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    send_multi(&mut client, &["447700900001", "447700900002"]);
    assert_eq!(client.until_closed().len(), 1);
}

#[test]
fn a_message_to_many_is_cancelled_for_all_or_for_one() {
    let (smsc, _) = controlled(|settings| settings.receipt_delay = "60s".parse().unwrap());
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    send_multi(&mut client, &["447700900001", "447700900002", "447700900003"]);
    let answer = client.receive();
    let Pdu::SubmitMultiResp(told) = answer.pdu() else { panic!("{answer:?}") };
    let id = told.message_id.to_vec();
    let source = message().source;
    let cancel = |message_id, to: &'static [u8]| {
        Pdu::CancelSm(CancelSm { message_id, source, destination: Address::new(1, 1, to), ..CancelSm::default() })
    };
    assert_eq!(client.request(&cancel(b"", b"447700900002")).status(), 0);
    let states = || -> Vec<String> { smsc.ledger().into_iter().map(|message| message.state).collect() };
    assert_eq!(states(), ["enroute", "deleted", "enroute"]);
    let state = |client: &mut Client| {
        let answer = client.request(&Pdu::QuerySm(QuerySm { message_id: &id, source }));
        let Pdu::QuerySmResp(told) = answer.pdu() else { panic!("{answer:?}") };
        told.message_state
    };
    assert_eq!(state(&mut client), 1, "on its way to two of them");
    assert_eq!(client.request(&cancel(&id, b"")).status(), 0);
    assert_eq!(states(), ["deleted"; 3]);
    assert_eq!(state(&mut client), 4);
    assert_eq!(client.request(&cancel(&id, b"")).status(), 0x11, "nothing is left to cancel");
}

#[test]
fn a_message_for_one_session_stays_with_it() {
    let (smsc, _) = controlled(|settings| {
        settings.redelivery_delay = Duration::from_millis(5);
        settings.response_timeout = Duration::from_millis(300);
    });
    let mut first = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let mut second = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let number = |nth: usize| smsc.sessions()[nth].session;
    while smsc.sessions().iter().any(|session| session.bind.is_none()) {
        thread::sleep(Duration::from_millis(1));
    }
    smsc.inbound(&Inbound { sessions: Some(To::Session(number(1))), ..handset("yours") }).unwrap();
    // Put off many times, left unanswered once: still the same session.
    for _ in 0..20 {
        assert_eq!(second.take_receipt(0x64).text(), "yours");
    }
    assert_eq!(second.receive().text(), "yours");
    assert_eq!(second.take_receipt(0).text(), "yours");
    assert!(first.receive_within(Duration::from_millis(50)).is_none());
    // Where it ends, the other is better than none.
    smsc.inbound(&Inbound { sessions: Some(To::Session(number(1))), ..handset("left") }).unwrap();
    assert_eq!(second.receive().text(), "left");
    drop(second);
    assert_eq!(first.take_receipt(0).text(), "left");
}

#[test]
fn a_reset_is_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("from.csv");
    std::fs::write(&path, "from,to,text\n447700900001,12345,from the file\n").unwrap();
    let (smsc, control) = controlled(|settings| {
        settings.rules = vec!["to=*003: status=0x58 first=1".parse().unwrap()];
        settings.inbound = Some(smppost::smsc::InboundFile::read(&path, None).unwrap());
        settings.receipt_delay = "60s".parse().unwrap();
        settings.response_timeout = Duration::from_millis(300);
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let source = message().source;
    // What the file holds is the next to come, each time: nothing else waits.
    let take_from_the_file = |client: &mut Client| {
        assert_eq!(client.take_receipt(0).text(), "from the file");
        assert_eq!(get(control, "/wait?of=inbound&state=answered")["count"], 1);
        let stats = get(control, "/stats");
        assert_eq!((&stats["receipts_waiting"], &stats["deliver_outstanding"]), (&json!(0), &json!(0)));
    };
    let half = |part: &'static [u8]| Pdu::SubmitSm(Sm { esm_class: 0x40, short_message: part, ..message() });
    take_from_the_file(&mut client);
    for round in 0..3 {
        let statuses = [0; 3].map(|_| client.request(&to("447700900003")).status());
        assert_eq!(statuses, [0x58, 0, 0], "{round}");
        let accepted = client.request(&half(b"\x05\x00\x03\x07\x02\x01half"));
        let stats = get(control, "/stats");
        assert_eq!((&stats["accepted"], &stats["throttled"], &stats["bound"]), (&json!(3), &json!(1), &json!(1)));
        post(control, "/reset", json!({}));
        assert_eq!(get(control, "/messages")["messages"], json!([]));
        take_from_the_file(&mut client);
        let id = accepted.message_id().into_bytes();
        let query = client.request(&Pdu::QuerySm(QuerySm { message_id: &id, source }));
        assert_eq!(query.status(), 0x67, "{round}: it is not known any more");
        // The other half alone makes no whole.
        assert_eq!(client.request(&half(b"\x05\x00\x03\x07\x02\x02half")).status(), 0);
        assert_eq!(smsc.ledger()[0].joined, None);
        post(control, "/reset", json!({}));
        take_from_the_file(&mut client);
    }
    // What was sent and not answered does not come again.
    post(control, "/reset", json!({}));
    assert_eq!(client.receive().text(), "from the file");
    post(control, "/reset", json!({}));
    take_from_the_file(&mut client);
    assert!(client.receive_within(Duration::from_millis(500)).is_none());
}

#[test]
fn an_account_may_be_called_by_a_number() {
    let (smsc, control) = controlled(|_| {});
    let mut clients = ["1234", "all", "demo"].map(|system_id| Client::bound(&smsc, BindKind::Transceiver, system_id));
    while smsc.sessions().iter().any(|session| session.bind.is_none()) {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(post(control, "/unbind", json!({ "system_id": "1234" }))["sessions"], 1);
    assert_eq!(clients[0].receive().id(), CommandId::UNBIND);
    assert_eq!(post(control, "/alert", json!({ "source": "1", "session": { "system_id": "all" } }))["sessions"], 1);
    assert_eq!(clients[1].receive().id(), CommandId::ALERT_NOTIFICATION);
    assert_eq!(exchange(control, "POST", "/drop?system_id=all", ""), (200, "{\"sessions\":1}\n".to_owned()));
    clients[1].until_closed();
    assert_eq!(post(control, "/drop", json!({ "session": 3 }))["sessions"], 1, "a number alone is a session's");
    let both = r#"{"session": 1, "system_id": "demo"}"#;
    assert!(refused(control, "POST", "/drop", both, 400).contains("either"));
}

#[test]
fn an_account_that_cannot_be_there_is_refused_and_one_that_can_is_not() {
    let account = smppost::smsc::AccountSettings { system_id: "acme".to_owned(), ..Default::default() };
    let (smsc, control) = controlled(|settings| {
        settings.accounts = vec![account];
        settings.system_id = Some("demo".to_owned());
    });
    for (path, rest) in [
        ("/faults", json!({ "faults": ["reorder"] })),
        ("/limits", json!({ "limits": ["fixed:5"] })),
        ("/inbound", json!({ "from": "1", "to": "2" })),
    ] {
        for (system_id, is_known) in [("acme", true), ("demo", true), ("amce", false)] {
            let mut body = rest.clone();
            body["system_id"] = json!(system_id);
            let (status, answer) = exchange(control, "POST", path, &body.to_string());
            assert_eq!(status < 300, is_known, "{path} {system_id}: {answer}");
            assert!(is_known || answer.contains("amce") && answer.contains("acme"), "{answer}");
        }
    }
    assert_eq!(get(control, "/behaviour")["accounts"].as_object().unwrap().len(), 2);
    drop(smsc);
    // Nor in what is to happen, and that is said at the start.
    for step in [
        json!({ "at": "1s", "system_id": "amce", "faults": ["reorder"] }),
        json!({ "at": "1s", "inbound": { "from": "1", "to": "2", "system_id": "amce" } }),
    ] {
        let steps = vec![serde_json::from_value(step).unwrap()];
        let error = Smsc::start(Settings { steps, system_id: Some("acme".to_owned()), ..Settings::for_tests() });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("amce") && error.contains("acme"), "{error}");
    }
}

#[test]
fn the_next_ones_come_page_by_page() {
    let (smsc, control) = controlled(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    for nth in 0..25 {
        assert_eq!(client.request(&to(&format!("4477009000{nth:02}"))).status(), 0);
        smsc.inbound(&handset(&nth.to_string())).unwrap();
    }
    for (path, list) in [("/messages", "messages"), ("/inbound", "inbound")] {
        let page = |query: String| -> Vec<u64> {
            let page = get(control, &format!("{path}?{query}"));
            page[list].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
        };
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let ids = page(format!("after={after}&limit=7"));
            let Some(last) = ids.last() else { break };
            after = *last;
            seen.extend(ids);
        }
        assert_eq!(seen, (1..=25).collect::<Vec<u64>>(), "{path}");
        assert_eq!(page("limit=3".to_owned()), [23, 24, 25], "{path}");
    }
}

#[test]
fn parameters_of_another_path_are_refused() {
    let (_smsc, control) = controlled(|_| {});
    for (path, named) in [
        ("/messages?count=5", "/wait"),
        ("/messages?timeout=5s", "/wait"),
        ("/messages?of=inbound", "/wait"),
        ("/wait?limit=5", "/messages and /inbound"),
        ("/inbound?to=1", "/messages and /wait"),
        ("/inbound?count=1", "/wait"),
    ] {
        let error = refused(control, "GET", path, "", 400);
        assert!(error.contains(named), "{path}: {error}");
    }
    assert_eq!(get(control, "/inbound?state=answered")["inbound"], json!([]));
}

#[test]
fn the_last_word_to_a_broken_frame_is_not_shuffled_away() {
    let (smsc, control) = controlled(|_| {});
    post(control, "/faults", json!({ "faults": ["reorder"] }));
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let mut octets = Vec::new();
    (2..12).for_each(|number| encode(&to("447700900001"), number, CommandStatus::OK, &mut octets).unwrap());
    octets.extend_from_slice(&[0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 99]);
    client.stream.write_all(&octets).unwrap();
    let answers = client.until_closed();
    assert_eq!(answers.len(), 11);
    assert_eq!((answers[10].id(), answers[10].status()), (CommandId::GENERIC_NACK, 2));
}

#[test]
fn outbinds_count_among_the_connections_and_pass() {
    let (smsc, control) = controlled(|_| {});
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = thread::spawn(move || -> Vec<TcpStream> { (0..512).map(|_| listener.accept().unwrap().0).collect() });
    let body = json!({ "address": address }).to_string();
    for _ in 0..512 {
        assert_eq!(exchange(control, "POST", "/outbind", &body).0, 200);
    }
    let taken = taken.join().unwrap();
    let error = refused(control, "POST", "/outbind", &body, 502);
    assert!(error.contains("512"), "{error}");
    drop(taken);
    while !smsc.sessions().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    Client::bound(&smsc, BindKind::Transceiver, "demo");
    smsc.stop();
}
