//! Rules, limiters, delays, accounts, steps.
use std::time::{Duration, Instant};

use smppost::smsc::{AccountSettings, Filter, Password, RateLimit, Settings, Smsc, Step, Which};
use smppost::wire::{Address, BindKind, CommandId, Pdu, Sm};

use super::client::{Client, message};

fn start(change: impl FnOnce(&mut Settings)) -> Smsc {
    let mut settings = Settings::for_tests();
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

fn to(number: &str) -> Pdu<'_> {
    Pdu::SubmitSm(Sm { destination: Address::new(1, 1, number.as_bytes()), ..message() })
}

#[test]
fn rules_decide_by_number_and_text() {
    let rules = [
        "to=*001: status=0x0B",
        "to=*002: state=UNDELIV err=5 delay=1ms",
        "to=*003: no-receipt",
        "to=*004: silent",
        "to=*005: answer=120ms state=EXPIRED",
        "text=/^Bye/: drop",
    ];
    let smsc = start(|settings| settings.rules = rules.map(|rule| rule.parse().unwrap()).to_vec());
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    assert_eq!(client.request(&to("447700900001")).status(), 0x0B);
    assert_eq!(client.request(&to("447700900002")).status(), 0);
    let receipt = client.take_receipt(0).text();
    assert!(receipt.contains("stat:UNDELIV err:005"), "{receipt}");
    assert_eq!(client.request(&to("447700900003")).status(), 0);
    client.send(&to("447700900004"));
    let begun = Instant::now();
    // The answer that waits comes; the one that never comes does not stand in its way, nor does a receipt.
    assert_eq!(client.request(&to("447700900005")).status(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    let mut said: Vec<String> = (0..2).map(|_| client.take_receipt(0).text()).collect();
    said.sort();
    assert!(
        said.iter().any(|text| text.contains("stat:EXPIRED")) && said.iter().any(|text| text.contains("stat:DELIVRD"))
    );
    client.send(&Pdu::SubmitSm(Sm {
        short_message: b"Bye now",
        destination: Address::new(1, 1, b"447700900009"),
        ..message()
    }));
    client.until_closed();
    let states: Vec<String> = smsc.ledger().into_iter().map(|message| message.state).collect();
    assert_eq!(states.len(), 6);
    assert_eq!(states[0], "refused");
    let refused = &smsc.ledger()[0];
    assert_eq!(refused.refused_for.as_deref(), Some("rule to=*001: status=0x0B"));
}

#[test]
fn answers_wait_each_for_itself_and_all_come() {
    let smsc = start(|settings| settings.answer_delay = "1ms..60ms".parse().unwrap());
    let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
    let sent: Vec<u32> = (0..100).map(|n| client.send(&to(&format!("4477009{n:05}")))).collect();
    // The session goes on meanwhile, and an unbind waits for what is on its way.
    assert_eq!(client.request(&Pdu::EnquireLink).id(), CommandId::ENQUIRE_LINK_RESP);
    client.send(&Pdu::Unbind);
    let answers = client.until_closed();
    let answered: Vec<u32> =
        answers.iter().filter(|f| f.id() == CommandId::SUBMIT_SM_RESP).map(|f| f.sequence_number()).collect();
    let mut sorted = answered.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, sent);
    assert_ne!(answered, sent, "in another order than they were sent");
}

#[test]
fn limiters_see_what_is_outstanding_and_hang_up_or_fall_silent() {
    let status_of = |limit: &str, delay: &str| -> Vec<Option<u32>> {
        let smsc = start(|settings| {
            settings.limits = vec![limit.parse().unwrap()];
            settings.answer_delay = delay.parse().unwrap();
        });
        let mut client = Client::bound(&smsc, BindKind::Transmitter, "demo");
        let sent: Vec<u32> = (0..8).map(|n| client.send(&to(&format!("44770090000{n}")))).collect();
        let mut statuses = vec![None; 8];
        while let Some(frame) = client.receive_within(Duration::from_millis(600)) {
            let at = sent.iter().position(|number| *number == frame.sequence_number()).unwrap();
            statuses[at] = Some(frame.status());
        }
        // What is answered stands in the ledger, and so does what is not: all that was read, which is all but what a connection
        // that was closed had not taken yet.
        let recorded = smsc.ledger().len();
        assert!(if limit.starts_with("hangup") { recorded >= 4 } else { recorded == 8 }, "{limit}: {recorded}");
        statuses
    };
    let outstanding = status_of("outstanding:3@0x14", "200ms");
    assert_eq!(outstanding[..3], [Some(0); 3]);
    assert_eq!(outstanding[3..], [Some(0x14); 5]);
    let deaf = status_of("deaf:3", "200ms");
    assert_eq!((&deaf[..3], &deaf[3..]), (&[Some(0); 3][..], &[None; 5][..]));
    let hung_up = status_of("hangup:3", "0ms");
    assert_eq!(hung_up[3..], [None; 5]);
    let silent = status_of("silent:20", "0ms");
    assert_eq!(silent, [Some(0); 8]);
    assert_eq!(
        status_of("perconn:2@0x45", "0ms"),
        [Some(0), Some(0), Some(0x45), Some(0x45), Some(0x45), Some(0x45), Some(0x45), Some(0x45)]
    );
}

#[test]
fn accounts_have_a_login_and_a_treatment_of_their_own() {
    let account = |system_id: &str, password: &str, rate: Option<u32>| AccountSettings {
        system_id: system_id.to_owned(),
        password: Some(Password::new(password)),
        max_connections: Some(1),
        change: smppost::smsc::Change {
            rate: rate.map(|rate| RateLimit(Some(rate))),
            rate_tolerance: Some(0),
            ..Default::default()
        },
    };
    let smsc =
        start(|settings| settings.accounts = vec![account("slow", "one", Some(2)), account("fast", "two", None)]);
    let bind = |system_id: &str, password: &str| {
        let mut client = Client::connect(smsc.local_addr());
        let status = client.bind(BindKind::Transmitter, system_id, password, 0x34).status();
        (client, status)
    };
    assert_eq!((bind("slow", "two").1, bind("other", "one").1), (0x0E, 0x0F));
    let (mut slow, status) = bind("slow", "one");
    assert_eq!((status, bind("slow", "one").1), (0, 0x0D));
    let (mut fast, _) = bind("fast", "two");
    let statuses =
        |client: &mut Client| -> Vec<u32> { (0..4).map(|_| client.request(&to("447700900001")).status()).collect() };
    assert_eq!(statuses(&mut fast), [0; 4]);
    assert_eq!(statuses(&mut slow), [0, 0, 0x58, 0x58]);
    assert_eq!(
        smsc.messages(&Filter { system_id: Some("slow".to_owned()), status: Some(0x58), ..Filter::all() }).len(),
        2
    );
}

#[test]
fn steps_happen_at_their_time() {
    let step = |json: &str| -> Step { serde_json::from_str(json).unwrap() };
    let smsc = start(|settings| {
        settings.steps_from_bind = true;
        settings.steps = vec![
            step(r#"{"at": "400ms", "drop": "all"}"#),
            step(r#"{"at": "50ms", "rules": ["to=*: status=0x45"]}"#),
            step(r#"{"at": "100ms", "inbound": {"from": "447700900001", "to": "12345", "text": "now"}}"#),
        ];
    });
    let mut client = Client::bound(&smsc, BindKind::Transceiver, "demo");
    let begun = Instant::now();
    assert_eq!(client.take_receipt(0).text(), "now");
    assert_eq!(client.request(&to("447700900001")).status(), 0x45);
    client.until_closed();
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    assert_eq!(smsc.cut(&Which::All), 0);
}
