//! The control over HTTP.
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use smppost::wire::{Address, BindKind, CommandId, Pdu, Sm};

use super::client::{Client, message};
use super::http::{controlled, exchange, get, post, refused};

fn to<'a>(number: &'a str, text: &'a str) -> Pdu<'a> {
    let destination = Address::new(1, 1, number.as_bytes());
    Pdu::SubmitSm(Sm { destination, short_message: text.as_bytes(), ..message() })
}

#[test]
fn a_test_waits_for_what_it_wants_and_sees_all_of_it() {
    let (smsc, control) = controlled(|settings| settings.receipt_delay = "50ms".parse().unwrap());
    let waiting = std::thread::spawn(move || get(control, "/wait?of=sessions&system_id=demo&timeout=30s"));
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    assert_eq!(waiting.join().unwrap()["count"], 1);
    let waiting = std::thread::spawn(move || {
        (get(control, "/wait?count=3&state=delivered&timeout=30s"), get(control, "/wait?count=3&receipt=answered"))
    });
    for (number, text) in [("447700900001", "Hello"), ("447700900002", "STOP it"), ("447700900003", "Hello again")] {
        assert_eq!(client.request(&to(number, text)).status(), 0);
    }
    assert_eq!(client.request(&to("1", "short")).status(), 0x0B);
    (0..3).for_each(|_| drop(client.take_receipt(0)));
    let (delivered, answered) = waiting.join().unwrap();
    assert_eq!((&delivered["count"], &answered["count"]), (&json!(3), &json!(3)));
    assert_eq!(get(control, "/wait?count=3&state=DELIVRD&timeout=30")["count"], 3);
    let found = |query: &str| -> Vec<String> {
        let found = get(control, &format!("/messages?{query}"));
        let texts = found["messages"].as_array().unwrap().iter();
        texts.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found(""), ["Hello", "STOP it", "Hello again", "short"]);
    assert_eq!(found("to=*002"), ["STOP it"]);
    assert_eq!(found("text_match=Hello"), ["Hello", "Hello again"]);
    assert_eq!(found("text_match=%2F%5EHello%24%2F"), ["Hello"]);
    assert_eq!(found("text_match=Hello&to=*3&from=Sender&system_id=demo&session=1&status=0"), ["Hello again"]);
    assert_eq!(found("status=ESME_RINVDSTADR"), ["short"]);
    assert_eq!(found("state=refused"), ["short"]);
    assert_eq!(found("after=2&limit=1"), ["Hello again"]);
    let message = &get(control, "/messages?status=11")["messages"][0];
    let peer = client.stream.local_addr().unwrap().to_string();
    for (name, value) in [
        ("refused_for", json!("destination_addr")),
        ("status_name", json!("ESME_RINVDSTADR")),
        ("peer", json!(peer)),
        ("version", json!("3.4")),
        ("message_id", json!(null)),
        ("source_ton", json!(5)),
        ("receipt", json!("none")),
    ] {
        assert_eq!(message[name], value, "{name}");
    }
    assert_eq!(get(control, "/stats")["accepted"], 3);
    let sessions = get(control, "/sessions");
    assert_eq!(
        (&sessions["sessions"][0]["bind"], &sessions["sessions"][0]["submits"]),
        (&json!("bind_transceiver"), &json!(4))
    );
    // Not enough in time; and nobody waits for what is over.
    let begun = Instant::now();
    let (status, body) = exchange(control, "GET", "/wait?count=9&timeout=50ms", "");
    assert!(status == 408 && begun.elapsed() >= Duration::from_millis(50), "{status} {body}");
    let waiting = std::thread::spawn(move || exchange(control, "GET", "/wait?count=9&timeout=10m", ""));
    while !get(control, "/stats").is_object() {}
    drop(smsc);
    // Also one that came a moment too late is not left waiting: it is answered, or its connection is gone.
    if let Ok((status, _)) = waiting.join() {
        assert!(matches!(status, 408 | 500 | 503), "{status}");
    }
}

#[test]
fn what_goes_wrong_changes_for_sessions_that_are_open() {
    let (smsc, control) = controlled(|_| {});
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let mut other = Client::bound(&smsc, BindKind::Transmitter, "other");
    let mut status = |number: &str| client.request(&to(number, "x")).status();
    assert_eq!(status("447700900001"), 0);
    post(control, "/faults", json!({ "faults": ["error=0x64"], "system_id": "demo" }));
    assert_eq!((status("447700900001"), other.request(&to("447700900001", "x")).status()), (0x64, 0));
    post(control, "/faults", json!({ "faults": [], "system_id": "demo" }));
    post(control, "/outcomes", json!({ "rules": ["to=*001: status=0x0B", "to=*002: status=0x45 first=1"] }));
    assert_eq!([status("447700900001"), status("447700900002"), status("447700900002")], [0x0B, 0x45, 0]);
    let shown = post(control, "/limits", json!({ "limits": ["fixed:1@0x14"], "rate": "unlimited" }));
    assert_eq!(shown["all"]["limits"], json!(["fixed:1@0x14"]));
    // One in each second of the clock: of six that take far less than a second two at most.
    let statuses: Vec<u32> = (0..6).map(|_| status("447700900009")).collect();
    assert!(statuses.iter().all(|status| matches!(status, 0 | 0x14)) && statuses.contains(&0x14), "{statuses:?}");
    assert!((1..=3).contains(&statuses.iter().filter(|status| **status == 0).count()), "{statuses:?}");
    assert_eq!(get(control, "/messages?status=0x14&limit=1")["messages"][0]["refused_for"], "limit fixed:1@0x14");
    assert_eq!(get(control, "/faults"), get(control, "/behaviour"));
    post(control, "/reset", json!({}));
    assert_eq!((0..6).map(|_| status("447700900001")).sum::<u32>(), 0);
    assert_eq!(get(control, "/messages")["messages"].as_array().unwrap().len(), 6, "what came before is forgotten");
}

#[test]
fn connections_are_cut_unbound_and_asked_for() {
    let (smsc, control) = controlled(|_| {});
    let mut first = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let mut second = Client::bound(&smsc, BindKind::Transceiver, "demo");
    assert_eq!(post(control, "/alert", json!({ "source": "447700900001" }))["sessions"], 2);
    for client in [&mut first, &mut second] {
        let frame = client.receive();
        let Pdu::AlertNotification(alert) = frame.pdu() else { panic!("{frame:?}") };
        assert_eq!(alert.source.addr, b"447700900001");
    }
    assert_eq!(exchange(control, "POST", "/unbind?session=1", ""), (200, "{\"sessions\":1}\n".to_owned()));
    let unbind = first.receive();
    assert_eq!(unbind.id(), CommandId::UNBIND);
    first.send_header(CommandId::UNBIND_RESP, 0, unbind.sequence_number());
    first.until_closed();
    assert_eq!(post(control, "/drop", json!({ "session": 2 }))["sessions"], 1);
    assert!(second.until_closed().is_empty());
    while !smsc.sessions().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // A client that waits for an outbind.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = json!({ "address": address, "system_id": "smsc", "password": "pw" });
    assert_eq!(post(control, "/outbind", asked)["sessions"], 1);
    let mut client = Client::over(listener.accept().unwrap().0);
    let frame = client.receive();
    let Pdu::Outbind(outbind) = frame.pdu() else { panic!("{frame:?}") };
    assert_eq!((outbind.system_id, outbind.password), (&b"smsc"[..], &b"pw"[..]));
    assert_eq!(client.bind(BindKind::Receiver, "demo", "", 0x34).status(), 0);
    let ids = post(control, "/inbound", json!({ "from": "447700900001", "to": "12345", "text": "Hi" }));
    assert_eq!(ids["ids"], json!([1]));
    assert_eq!(client.take_receipt(0).text(), "Hi");
    assert_eq!(get(control, "/wait?of=inbound&state=answered")["count"], 1);
    drop(listener);
    let error = refused(control, "POST", "/outbind", &json!({ "address": address }).to_string(), 502);
    assert!(error.contains(&address), "{error}");
    let error = refused(control, "POST", "/outbind", r#"{"address": "192.0.2.1:2775"}"#, 502);
    assert!(error.contains("--expose-to-network"), "{error}");
}

#[test]
fn what_is_asked_wrong_is_said_and_changes_nothing() {
    let (smsc, control) = controlled(|_| {});
    for (method, path, body, status, named) in [
        ("GET", "/nothing", "", 404, "/openapi.json"),
        ("POST", "/stats", "", 405, "GET"),
        ("GET", "/drop", "", 405, "POST"),
        ("PUT", "/faults", "", 405, "PUT"),
        ("GET", "/stats?x=1", "", 400, "parameters"),
        ("GET", "/messages?colour=red", "", 400, "colour"),
        ("GET", "/messages?to=1&to=2", "", 400, "twice"),
        ("GET", "/messages?text_match=%2F(%2F", "", 400, "/(/"),
        ("GET", "/messages?status=meteor", "", 400, "meteor"),
        ("GET", "/messages?state=lost", "", 400, "lost"),
        ("GET", "/messages?receipt=lost", "", 400, "lost"),
        ("GET", "/wait?count=x", "", 400, "count"),
        ("GET", "/wait?timeout=5x", "", 400, "5x"),
        ("GET", "/wait?of=pigeons", "", 400, "pigeons"),
        ("GET", "/wait?count=100001&timeout=60s", "", 400, "--keep-messages"),
        ("GET", "/wait?of=inbound&count=100001&timeout=60s", "", 400, "100000"),
        ("GET", "/wait?of=inbound&to=1", "", 400, "handsets"),
        ("GET", "/wait?of=sessions&state=delivered", "", 400, "sessions"),
        ("POST", "/inbound", "", 400, "JSON"),
        ("POST", "/inbound", "{", 400, "JSON"),
        ("POST", "/inbound", r#"{"from": "1"}"#, 400, "to"),
        ("POST", "/inbound", r#"{"from": "1", "to": "2", "colour": "red"}"#, 400, "colour"),
        ("POST", "/inbound", r#"[{"from": "1", "to": "2"}, {"from": "1"}]"#, 400, "message 2"),
        ("POST", "/inbound", r#"{"from": "1", "to": "2", "sessions": 7}"#, 400, "7"),
        ("POST", "/faults", r#"{"faults": ["meteor"]}"#, 400, "meteor"),
        ("POST", "/faults", r#"{"limits": []}"#, 400, "/limits"),
        ("POST", "/faults", "{}", 400, "nothing"),
        ("POST", "/limits", r#"{"rate": 0}"#, 400, "rate"),
        ("POST", "/outcomes", r#"{"outcomes": "lost=1"}"#, 400, "lost"),
        ("POST", "/drop?session=1&x=2", "", 400, "session"),
        ("POST", "/drop", r#"{"sessions": 1}"#, 400, "sessions"),
        ("POST", "/alert", "{}", 400, "source"),
    ] {
        let error = refused(control, method, path, body, status);
        assert!(error.contains(named), "{method} {path} {body}: {error}");
    }
    assert_eq!(get(control, "/inbound")["waiting_for_a_session"], 0);
    assert_eq!(get(control, "/behaviour")["all"]["faults"], json!([]));
    drop(smsc);
}

#[test]
fn the_page_and_the_description_are_served() {
    let (_smsc, control) = controlled(|_| {});
    let (status, page) = exchange(control, "GET", "/", "");
    assert!(status == 200 && page.contains("page.js") && page.contains("page.css"), "{page}");
    assert!(!page.contains("onclick") && !page.contains("<style"), "its policy lets nothing of its own run in it");
    for path in ["/page.js", "/page.css"] {
        assert_eq!(exchange(control, "GET", path, "").0, 200);
    }
    assert_eq!(get(control, "/openapi.json")["openapi"], "3.1.0");
    for path in ["/", "/healthz", "/openapi.json", "/stats"] {
        assert_eq!(exchange(control, "HEAD", path, ""), (200, String::new()), "{path}");
    }
    assert!(get(control, "/healthz")["listening"].as_str().unwrap().starts_with("127.0.0.1:"));
}
