//! Random scenarios, each from its seed: a client, a simulator and its ledger must agree on what happened.
//!
//! A few run with all tests; many more: `SMPPOST_SCENARIOS=4000 cargo test --release --test it smsc::scenarios:: -- --nocapture`.
//! `SEED=7` runs one.
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use smppost::smsc::{Change, Filter, Inbound, Settings, Smsc, Which};
use smppost::wire::{Address, BindKind, CommandId, Pdu, Sm};

use super::client::{Client, Frame, PATIENCE, message};

/// What a client has seen of its messages, by what they were: the text is unique.
#[derive(Default)]
struct Seen {
    /// Texts that were sent.
    sent: Vec<String>,
    /// The id that a text was accepted with.
    accepted: HashMap<String, String>,
    /// The status that a text was refused with.
    refused: HashMap<String, u32>,
    /// Receipts, by id: how often, and the last word.
    receipts: HashMap<String, (usize, String)>,
    /// Texts of messages from handsets, and how often each was answered with success.
    inbound: HashMap<String, usize>,
}

struct Scene {
    random: fastrand::Rng,
    smsc: Smsc,
    seen: Seen,
    client: Option<Client>,
    outstanding: HashMap<u32, String>,
    /// The latest enquire_link that was answered.
    echoed: Option<u32>,
}

const LIMITS: [&str; 8] = [
    "token:2000:50",
    "fixed:500@0x14",
    "sliding:400:c",
    "outstanding:5@0x45",
    "random:5",
    "once:10@0x45",
    "numbers:10@0x401",
    "queue:50:2000@0x14",
];
const FAULTS: [&str; 11] = [
    "drop-before-answer=60",
    "drop-after-answer=60",
    "silence=25",
    "error=0x64:10",
    "nack=20",
    "unbind=70",
    "junk=15",
    "reorder",
    "bodyless-errors",
    "octets",
    "slow-answers=5ms",
];
const RULES: [&str; 5] = [
    "to=*1: status=0x0B",
    "to=*2: state=UNDELIV err=5",
    "to=*3: answer=8ms delay=20ms state=EXPIRED",
    "text=/7$/: silent",
    "to=*4: no-receipt",
];
const QUIRKS: [&str; 6] = ["early=3", "duplicate=4", "tlv-only=3", "text-only=3", "data-sm=3", "intermediate=5"];
const DELAYS: [&str; 4] = ["0ms", "1ms..15ms", "lognormal:2ms:10ms", "p50=1ms,p99=20ms"];

fn some(random: &mut fastrand::Rng, from: &[&str], most: usize) -> Vec<String> {
    let count = random.usize(0..=most);
    let mut chosen = from.to_vec();
    random.shuffle(&mut chosen);
    chosen.truncate(count);
    chosen.into_iter().map(str::to_owned).collect()
}

/// A random treatment, in the words of the control.
fn change(random: &mut fastrand::Rng) -> Change {
    let json = serde_json::json!({
        "limits": some(random, &LIMITS, 2),
        "faults": some(random, &FAULTS, 3),
        "rules": some(random, &RULES, 2),
        "receipts": some(random, &QUIRKS, 2),
        "outcomes": "delivered=8,undelivered=1,expired=1,rejected=1",
        "answer_delay": DELAYS[random.usize(..DELAYS.len())],
        "receipt_delay": DELAYS[random.usize(..DELAYS.len())],
        "rate": "unlimited",
    });
    serde_json::from_value(json).unwrap()
}

/// Nothing that goes wrong, so that all that waits arrives.
fn calm() -> Change {
    let json = serde_json::json!({ "limits": [], "faults": [], "rules": [], "answer_delay": "0ms", "receipts": [] });
    serde_json::from_value(json).unwrap()
}

fn id_of(frame: &Frame) -> Option<(String, String)> {
    let tlvs = frame.tlvs();
    let text = frame.text();
    let word =
        |after: &str| text.split_once(after).map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned());
    let id =
        tlvs.get_c_string(smppost::wire::Tag::RECEIPTED_MESSAGE_ID).map(|id| String::from_utf8_lossy(id).into_owned());
    let state = tlvs.get_u8(smppost::wire::Tag::MESSAGE_STATE).map(|state| state.to_string());
    Some((id.or_else(|| word("id:"))?, word("stat:").or(state)?))
}

impl Scene {
    /// Takes what comes until `until`, or until `is_enough`.
    fn take(&mut self, until: Instant, is_enough: impl Fn(&Scene) -> bool) {
        while !is_enough(self) && Instant::now() < until {
            let Some(client) = &mut self.client else { return };
            let wait = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(20));
            match client.receive_within(wait) {
                Some(frame) => self.handle(&frame),
                None if client.is_over() => return self.lose(),
                None => {}
            }
        }
    }

    fn lose(&mut self) {
        self.client = None;
        // What was not answered is not known.
        self.outstanding.clear();
    }

    fn handle(&mut self, frame: &Frame) {
        let Some(client) = &mut self.client else { return };
        let number = frame.sequence_number();
        match frame.id() {
            CommandId::SUBMIT_SM_RESP => {
                let Some(text) = self.outstanding.remove(&number) else { return };
                match frame.status() {
                    0 => drop(self.seen.accepted.insert(text, frame.message_id())),
                    status => drop(self.seen.refused.insert(text, status)),
                }
            }
            CommandId::GENERIC_NACK => {
                let Some(text) = self.outstanding.remove(&number) else { return };
                self.seen.refused.insert(text, frame.status());
            }
            CommandId::DELIVER_SM | CommandId::DATA_SM => {
                // The fault `junk` has a deliver_sm that is cut short.
                if number == 0x7FFF_FFFD {
                    return;
                }
                // Now and then "later", as a client whose disk is full says.
                let status = if self.random.u8(..12) == 0 { 0x64 } else { 0 };
                client.try_answer(frame, status);
                if status != 0 {
                    return;
                }
                let (class, text) = match frame.pdu() {
                    Pdu::DeliverSm(sm) => (sm.esm_class, frame.text()),
                    Pdu::DataSm(data) => (data.esm_class, frame.text()),
                    _ => return,
                };
                match class & 0x3C {
                    0 => *self.seen.inbound.entry(text).or_default() += 1,
                    4 => {
                        let (id, word) = id_of(frame).unwrap_or_else(|| panic!("{frame:?}"));
                        let entry = self.seen.receipts.entry(id).or_default();
                        *entry = (entry.0 + 1, word);
                    }
                    _ => {}
                }
            }
            CommandId::UNBIND => {
                client.try_send_header(CommandId::UNBIND_RESP, 0, number);
                self.lose();
            }
            CommandId::ENQUIRE_LINK_RESP => self.echoed = Some(number),
            CommandId::ENQUIRE_LINK => client.try_send_header(CommandId::ENQUIRE_LINK_RESP, 0, number),
            _ => {}
        }
    }

    fn client(&mut self) -> &mut Client {
        let until = Instant::now() + PATIENCE;
        while self.client.is_none() {
            assert!(Instant::now() < until, "no bind");
            let mut client = Client::connect(self.smsc.local_addr());
            if client.try_bind(BindKind::Transceiver, "demo") {
                self.client = Some(client);
            }
        }
        self.client.as_mut().unwrap()
    }
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let settings = Settings {
        seed,
        ledger: Some(path.clone()),
        response_timeout: Duration::from_millis(400),
        redelivery_delay: Duration::from_millis(5),
        deliver_window: random.usize(1..20),
        enquire_link_interval: Some(Duration::from_millis(50)),
        ..Settings::for_tests()
    };
    let smsc = Smsc::start(settings).unwrap();
    let mut scene =
        Scene { random, smsc, seen: Seen::default(), client: None, outstanding: HashMap::new(), echoed: None };
    let messages = scene.random.usize(20..120);
    let mut handsets = 0;
    for n in 0..messages {
        if scene.random.u8(..15) == 0 {
            let change = change(&mut scene.random);
            scene.smsc.change(None, &change);
        }
        if scene.random.u8(..10) == 0 {
            let inbound = Inbound {
                from: "447700900001".into(),
                to: "12345".into(),
                text: format!("from {handsets}"),
                ..Inbound::default()
            };
            scene.smsc.inbound(&inbound).unwrap();
            handsets += 1;
        }
        if scene.random.u8(..60) == 0 {
            scene.smsc.cut(&Which::All);
        }
        let number = format!("4477009{:05}", scene.random.u32(..100));
        let text = format!("message {n}");
        let sm = Sm { destination: Address::new(1, 1, number.as_bytes()), short_message: text.as_bytes(), ..message() };
        match scene.client().try_send(&Pdu::SubmitSm(sm)) {
            Some(sequence_number) => drop(scene.outstanding.insert(sequence_number, text.clone())),
            None => scene.lose(),
        }
        scene.seen.sent.push(text);
        let window = scene.random.usize(0..8);
        let until = Instant::now() + Duration::from_millis(30);
        scene.take(until, |scene| scene.outstanding.len() <= window);
    }
    // Then all goes well, until nothing is under way any more.
    scene.smsc.change(None, &calm());
    let until = Instant::now() + PATIENCE;
    loop {
        scene.client();
        scene.take(Instant::now() + Duration::from_millis(20), |_| false);
        // All that was sent is read: over this session, and over those that were lost, which have ended.
        scene.echoed = None;
        let asked = scene.client().try_send(&Pdu::EnquireLink);
        scene.take(Instant::now() + Duration::from_secs(5), |scene| scene.echoed.is_some() && scene.echoed == asked);
        if scene.echoed.is_none() || scene.smsc.stats().bound != 1 {
            assert!(Instant::now() < until, "seed {seed}: {}", scene.smsc.stats());
            continue;
        }
        let stats = scene.smsc.stats();
        let answered = scene.smsc.inbound_messages().iter().filter(|message| message.answered == 1).count();
        // What a session that was lost had read last may be taken when its end has long been seen.
        let under_way = scene.smsc.messages(&Filter::all()).iter().filter(|message| message.state == "enroute").count();
        if stats.receipts_waiting + stats.deliver_outstanding == 0 && answered == handsets && under_way == 0 {
            break;
        }
        assert!(
            Instant::now() < until,
            "seed {seed}: {stats}, {answered} of {handsets} from handsets, {under_way} under way"
        );
    }
    scene.take(Instant::now() + Duration::from_millis(100), |scene| scene.outstanding.is_empty());
    let (seen, remembered) = (scene.seen, scene.smsc.messages(&Filter::all()));
    scene.smsc.stop();
    agree(seed, &seen, &std::fs::read_to_string(path).unwrap(), handsets);
    let states: HashSet<&str> = remembered.iter().map(|message| &*message.state).collect();
    assert!(!states.contains("enroute"), "seed {seed}: {states:?}");
    assert!(remembered.len() <= messages);
}

/// Holds what the client saw against the ledger.
fn agree(seed: u64, seen: &Seen, ledger: &str, handsets: usize) {
    let lines: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["kind"] == kind);
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let mut submits: HashMap<String, &Value> = HashMap::new();
    for line in of("submit") {
        assert!(submits.insert(word(line, "text"), line).is_none(), "seed {seed}: twice: {line}");
    }
    assert!(submits.keys().all(|text| seen.sent.contains(text)), "seed {seed}: what nobody sent");
    for (text, id) in &seen.accepted {
        let line = submits.get(text).unwrap_or_else(|| panic!("seed {seed}: {text} is not in the ledger"));
        assert_eq!((&word(line, "message_id"), &line["status"]), (id, &0.into()), "seed {seed}: {text}");
    }
    for (text, status) in &seen.refused {
        let line = submits.get(text).unwrap_or_else(|| panic!("seed {seed}: {text} is not in the ledger"));
        assert_eq!((line["message_id"].is_null(), &line["status"]), (true, &(*status).into()), "seed {seed}: {text}");
        assert!(!word(line, "refused_for").is_empty(), "seed {seed}: {line}");
    }
    // Each receipt that the client took is one that was sent, and none was given up.
    let sent: HashSet<String> = of("receipt").map(|line| word(line, "message_id")).collect();
    let answered: HashSet<String> =
        of("receipt_answered").filter(|line| line["status"] == 0).map(|line| word(line, "message_id")).collect();
    for id in seen.receipts.keys() {
        assert!(sent.contains(id), "seed {seed}: the receipt {id} is not in the ledger");
    }
    assert_eq!(sent, answered, "seed {seed}: a receipt was never answered");
    for id in &sent {
        assert!(
            submits.values().any(|line| word(line, "message_id") == *id),
            "seed {seed}: a receipt for nothing: {id}"
        );
    }
    // Each message from a handset was answered with success, and by the client's account once at least.
    for n in 0..handsets {
        assert!(seen.inbound.get(&format!("from {n}")).is_some_and(|count| *count >= 1), "seed {seed}: from {n}");
    }
    let answers = of("inbound_answered").filter(|line| line["status"] == 0).count();
    assert_eq!(answers, handsets, "seed {seed}: answers to messages from handsets");
}

#[test]
fn client_and_ledger_agree_whatever_goes_wrong() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return run(seed);
    }
    let (count, begun) = (number("SMPPOST_SCENARIOS").unwrap_or(6), Instant::now());
    for seed in 1..=count {
        run(seed);
        if seed % 100 == 0 {
            println!("{seed} scenarios, {:?}", begun.elapsed());
        }
    }
}
