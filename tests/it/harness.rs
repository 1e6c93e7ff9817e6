//! The judge of the test SMSC notices each broken rule, and nothing in a client that keeps them.
use crate::common::independent_smsc::{
    Action, BindAnswer, Event, Fate, IdForm, IndependentSmsc, Order, Report, Settings, Shape, Writing, pdu,
};
use crate::common::judge::{Rules, decode_gsm};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const SUBMIT: u32 = 4;
const SUBMIT_RESP: u32 = 0x8000_0004;
const DELIVER: u32 = 5;

/// A client by hand.
struct Raw {
    stream: TcpStream,
    octets: Vec<u8>,
}

impl Raw {
    fn connect(smsc: &IndependentSmsc) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", smsc.port())).unwrap();
        stream.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, octets: Vec::new() }
    }

    fn bound(smsc: &IndependentSmsc) -> Self {
        let mut raw = Self::connect(smsc);
        raw.write(&bind("test", "secret"));
        assert_eq!(raw.next().map(|(id, status, ..)| (id, status)), Some((0x8000_0009, 0)));
        raw
    }

    fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// The next PDU: command_id, status, sequence number, body.
    fn next(&mut self) -> Option<(u32, u32, u32, Vec<u8>)> {
        let mut chunk = [0; 4096];
        loop {
            let field = |octets: &[u8], at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
            if self.octets.len() >= 16 {
                let length = field(&self.octets, 0) as usize;
                if self.octets.len() >= length {
                    let frame: Vec<u8> = self.octets.drain(..length).collect();
                    return Some((field(&frame, 4), field(&frame, 8), field(&frame, 12), frame[16..].to_vec()));
                }
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.octets.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next answer to a submit_sm; receipts are answered on the way.
    fn answer(&mut self) -> (u32, u32) {
        loop {
            let (id, status, number, _) = self.next().expect("an answer");
            match id {
                DELIVER | 0x103 => self.write(&pdu(id | 0x8000_0000, 0, number, &[0])),
                SUBMIT_RESP => return (status, number),
                _ => {}
            }
        }
    }

    /// Answers one receipt, and returns its body.
    fn receipt(&mut self) -> Vec<u8> {
        let (id, _, number, body) = self.next().expect("a receipt");
        assert!(matches!(id, DELIVER | 0x103), "0x{id:X} is no receipt");
        self.write(&pdu(id | 0x8000_0000, 0, number, &[0]));
        body
    }

    fn unbind(mut self, number: u32) {
        self.write(&pdu(6, 0, number, &[]));
        while self.next().is_some_and(|(id, ..)| id != 0x8000_0006) {}
    }
}

fn bind(system_id: &str, password: &str) -> Vec<u8> {
    let body = [system_id.as_bytes(), &[0], password.as_bytes(), &[0, 0, 0x34, 0, 0, 0]].concat();
    pdu(9, 0, 1, &body)
}

/// A submit_sm with its fields in order, each as it is.
#[derive(Clone)]
struct Sm {
    service_type: &'static [u8],
    source: (u8, u8, &'static [u8]),
    destination: (u8, u8, &'static [u8]),
    esm_class: u8,
    protocol_id: u8,
    validity_period: &'static [u8],
    registered_delivery: u8,
    data_coding: u8,
    default_message: u8,
    text: Vec<u8>,
    tlvs: Vec<u8>,
}

fn sm() -> Sm {
    Sm {
        service_type: b"",
        source: (5, 0, b"Test"),
        destination: (1, 1, b"447700900000"),
        esm_class: 0,
        protocol_id: 0,
        validity_period: b"",
        registered_delivery: 0,
        data_coding: 0,
        default_message: 0,
        text: b"hello".to_vec(),
        tlvs: Vec::new(),
    }
}

impl Sm {
    fn body(&self) -> Vec<u8> {
        let mut body = [self.service_type, &[0, self.source.0, self.source.1], self.source.2, &[0]].concat();
        body.extend([&[self.destination.0, self.destination.1], self.destination.2, &[0]].concat());
        body.extend([self.esm_class, self.protocol_id, 0, 0]);
        body.extend([self.validity_period, &[0]].concat());
        body.extend([self.registered_delivery, 0, self.data_coding, self.default_message, self.text.len() as u8]);
        body.extend(&self.text);
        body.extend(&self.tlvs);
        body
    }

    fn pdu(&self, number: u32) -> Vec<u8> {
        pdu(SUBMIT, 0, number, &self.body())
    }
}

fn part(total: u8, number: u8) -> Sm {
    Sm { esm_class: 0x40, text: [&[5, 0, 3, 7, total, number], &b"text"[..]].concat(), ..sm() }
}

#[test]
fn a_client_that_keeps_the_rules_is_not_blamed() {
    for writing in [Writing::Normal, Writing::Coalesced, Writing::Fragmented] {
        let rules = Rules { window: 3, ..Rules::default() };
        let smsc = IndependentSmsc::start(Settings {
            rules,
            writing,
            enquire_every: Some(Duration::from_millis(20)),
            ..Settings::default()
        });
        let mut raw = Raw::bound(&smsc);
        raw.write(&pdu(0x15, 0, 2, &[]));
        let mut glued = Sm { registered_delivery: 1, text: b"\x1b\x65 100".to_vec(), ..sm() }.pdu(10);
        glued.extend(part(2, 1).pdu(11));
        glued.extend(part(2, 2).pdu(12));
        // Cut anywhere: the SMSC frames as strictly as a client has to.
        for octets in glued.chunks(50) {
            raw.write(octets);
            std::thread::sleep(Duration::from_millis(2));
        }
        let (mut answers, mut receipts, mut enquiries) = (Vec::new(), Vec::new(), 0);
        while answers.len() < 3 || receipts.is_empty() || enquiries < 2 {
            let (id, status, number, body) = raw.next().expect("more");
            match id {
                SUBMIT_RESP => answers.push((status, number)),
                DELIVER => {
                    receipts.push(body);
                    raw.write(&pdu(0x8000_0005, 0, number, &[0]));
                }
                0x15 => {
                    enquiries += 1;
                    raw.write(&pdu(0x8000_0015, 0, number, &[]));
                }
                0x8000_0015 => assert_eq!(number, 2),
                _ => panic!("0x{id:X}"),
            }
        }
        assert_eq!(answers, [(0, 10), (0, 11), (0, 12)]);
        raw.unbind(13);
        let report = smsc.finish();
        report.assert_clean();
        assert_eq!(report.submits[0].text, "€ 100");
        assert!(report.submits[0].message_id.is_some());
        assert_eq!(report.submits[2].part.map(|part| (part.total, part.number)), Some((2, 2)));
        assert_eq!((report.counts.delivers, report.counts.delivers_answered), (1, 1));
        assert_eq!((report.counts.unbinds, report.counts.ended_rudely), (1, 0));
        assert!((1..=3).contains(&report.per_second_max), "{}", report.per_second_max);
        let text = String::from_utf8_lossy(&receipts[0]).into_owned();
        let id = report.submits[0].message_id.clone().unwrap();
        assert!(text.contains(&format!("id:{id} ")) && text.contains("stat:DELIVRD"), "{text}");
    }
}

/// What a client writes once it is bound, and the words in which the judge notices.
#[test]
fn each_broken_rule_is_noticed() {
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("sequence number 0x00000000", sm().pdu(0)),
        ("sequence number 0x80000000", sm().pdu(0x8000_0000)),
        ("is outstanding already", [sm().pdu(5), sm().pdu(5)].concat()),
        ("submit_sm number 5 after 6", [sm().pdu(6), sm().pdu(5)].concat()),
        ("a second bind", bind("test", "secret")),
        ("with command_status 0x1", pdu(0x15, 1, 5, &[])),
        ("after the unbind", [pdu(6, 0, 5, &[]), sm().pdu(6)].concat()),
        ("octets after its end", pdu(0x15, 0, 5, &[0])),
        ("is not decoded", pdu(SUBMIT, 0, 5, &sm().body()[..20])),
        ("is not decoded", Sm { source: (5, 0, b"A sender of more than 20"), ..sm() }.pdu(5)),
        ("is not decoded", Sm { validity_period: b"123", ..sm() }.pdu(5)),
        ("time \"ABCDEFGHIJKLMNOP\"", Sm { validity_period: b"ABCDEFGHIJKLMNOP", ..sm() }.pdu(5)),
        ("is not decoded", pdu(SUBMIT, 0, 5, &[&sm().body()[..], &[0x04]].concat())),
        ("command_length 15", vec![0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5]),
        ("a request that no client sends", pdu(5, 0, 5, &[0; 20])),
        ("an odd service_type", Sm { service_type: b"CMT", ..sm() }.pdu(5)),
        ("an odd esm_class", Sm { esm_class: 3, ..sm() }.pdu(5)),
        ("an odd protocol_id", Sm { protocol_id: 1, ..sm() }.pdu(5)),
        ("an odd registered_delivery", Sm { registered_delivery: 3, ..sm() }.pdu(5)),
        ("an odd data_coding", Sm { data_coding: 4, ..sm() }.pdu(5)),
        ("an odd sm_default_msg_id", Sm { default_message: 1, ..sm() }.pdu(5)),
        ("source \"Test\"", Sm { source: (1, 1, b"Test"), ..sm() }.pdu(5)),
        ("source \"4477\"", Sm { source: (5, 0, b"4477"), ..sm() }.pdu(5)),
        ("source \"\"", Sm { source: (1, 1, b""), ..sm() }.pdu(5)),
        ("source \"Twelve chars\"", Sm { source: (5, 0, b"Twelve chars"), ..sm() }.pdu(5)),
        ("destination with TON 2", Sm { destination: (2, 1, b"447700900000"), ..sm() }.pdu(5)),
        ("destination \"+447700900000\"", Sm { destination: (1, 1, b"+447700900000"), ..sm() }.pdu(5)),
        ("destination \"447\"", Sm { destination: (1, 1, b"447"), ..sm() }.pdu(5)),
        ("that is not there", Sm { esm_class: 0x40, ..sm() }.pdu(5)),
        ("without its bit", Sm { esm_class: 0, ..part(2, 1) }.pdu(5)),
        ("part 3 of 2", part(2, 3).pdu(5)),
        ("part 0 of 2", part(2, 0).pdu(5)),
        ("part 1 of 1", part(1, 1).pdu(5)),
        ("before part 1", part(2, 2).pdu(5)),
        ("without all their parts", part(2, 1).pdu(5)),
        ("SAR parameters together", Sm { tlvs: vec![0x02, 0x0C, 0, 2, 0, 1], ..part(2, 1) }.pdu(5)),
        ("message_payload beside", Sm { tlvs: vec![0x04, 0x24, 0, 1, 0x41], ..sm() }.pdu(5)),
        ("161 octets of text", Sm { text: vec![0x41; 161], ..sm() }.pdu(5)),
        ("154 octets of text", Sm { text: [&[5, 0, 3, 7, 2, 1], &[0x41; 154][..]].concat(), ..part(2, 1) }.pdu(5)),
        ("142 octets of text", Sm { data_coding: 8, text: vec![0x41; 142], ..sm() }.pdu(5)),
        ("octet 0x80 is no septet", Sm { text: vec![0x80], ..sm() }.pdu(5)),
        ("ends with an escape", Sm { text: vec![0x1B], ..sm() }.pdu(5)),
        ("escaped 0x41 is nothing", Sm { text: vec![0x1B, 0x41], ..sm() }.pdu(5)),
        ("odd number of octets", Sm { data_coding: 8, text: vec![0x41; 3], ..sm() }.pdu(5)),
        ("half a surrogate pair", Sm { data_coding: 8, text: vec![0xD8, 0x3D], ..sm() }.pdu(5)),
        ("7 octets into a PDU", sm().pdu(5)[..7].to_vec()),
        ("was never asked", pdu(0x8000_0005, 0, 99, &[0])),
        ("was never asked", pdu(0x8000_0015, 0, 99, &[])),
    ];
    for (words, octets) in table {
        // Answers take a while, so that what is written at once is outstanding at once.
        let settings = Settings { answer_delay: Duration::from_millis(20), ..Settings::default() };
        let report = attempt(settings, |raw| raw.write(&octets));
        noticed(&report, words);
    }
}

/// Lets a client do something once it is bound, and then close.
fn attempt(settings: Settings, act: impl FnOnce(&mut Raw)) -> Report {
    let smsc = IndependentSmsc::start(settings);
    let mut raw = Raw::bound(&smsc);
    act(&mut raw);
    drop(raw);
    smsc.finish()
}

#[track_caller]
fn noticed(report: &Report, words: &str) {
    let found = report.violations.iter().any(|violation| violation.contains(words));
    assert!(found, "{words:?} is not among {:#?}", report.violations);
}

#[test]
fn a_window_too_wide_is_noticed() {
    let settings = |window| Settings {
        rules: Rules { window, ..Rules::default() },
        answer_delay: Duration::from_millis(50),
        ..Settings::default()
    };
    let act = |raw: &mut Raw| {
        raw.write(&[sm().pdu(5), sm().pdu(6), sm().pdu(7)].concat());
        for _ in 0..3 {
            raw.answer();
        }
    };
    noticed(&attempt(settings(2), act), "3 submit_sm outstanding with a window of 2");
    attempt(settings(3), act).assert_clean();
}

#[test]
fn a_bind_that_is_not_right_is_noticed() {
    let table: [(&str, Vec<u8>); 6] = [
        ("a request before the bind", sm().pdu(5)),
        ("system_id", bind("tester", "secret")),
        ("another password", bind("test", "public")),
        ("is not decoded", bind("test", "a long password")),
        ("bind_transceiver with SMPP 3.3", pdu(9, 0, 1, b"test\0secret\0\0\x33\0\0\0")),
        ("submit_sm on a receiver", [pdu(1, 0, 1, b"test\0secret\0\0\x34\0\0\0"), sm().pdu(5)].concat()),
    ];
    for (words, octets) in table {
        let smsc = IndependentSmsc::start(Settings::default());
        let mut raw = Raw::connect(&smsc);
        raw.write(&octets);
        let _ = raw.next();
        drop(raw);
        assert!(smsc.wait_until_all_ended(crate::common::PATIENCE));
        noticed(&smsc.finish(), words);
    }
    // One that never answers it, so that nothing can come after its answer.
    let smsc = IndependentSmsc::start(Settings { binds: vec![BindAnswer::Silent], ..Settings::default() });
    let mut raw = Raw::connect(&smsc);
    raw.write(&[bind("test", "secret"), sm().pdu(5)].concat());
    drop(raw);
    assert!(smsc.wait_for_counts(|counts| counts.binds == 1, crate::common::PATIENCE));
    assert!(smsc.wait_until_all_ended(crate::common::PATIENCE));
    noticed(&smsc.finish(), "before the answer to the bind");
    let smsc = IndependentSmsc::start(Settings { binds: vec![BindAnswer::Refused(0x0E)], ..Settings::default() });
    let mut raw = Raw::connect(&smsc);
    raw.write(&bind("test", "secret"));
    assert_eq!(raw.next(), Some((0x8000_0009, 0x0E, 1, vec![])));
    raw.write(&sm().pdu(5));
    drop(raw);
    assert!(smsc.wait_until_all_ended(crate::common::PATIENCE));
    noticed(&smsc.finish(), "although the bind was refused");
}

#[test]
fn answers_to_the_smsc_are_counted() {
    // Where no answer is to come a tenth of a second is enough; where one is, it may be long in coming on a busy machine.
    let asked_within = |within, action| Settings {
        events: vec![Event { session: 0, after: 0, action }],
        rules: Rules { enquire_within: within, deliver_within: within, ..Rules::default() },
        ..Settings::default()
    };
    let hurried = |action| asked_within(Duration::from_millis(100), action);
    let message = || asked_within(Duration::from_secs(20), Action::Inbound("hi".into()));
    let silent = |raw: &mut Raw| {
        let _ = raw.next();
        std::thread::sleep(Duration::from_secs(1));
    };
    noticed(&attempt(hurried(Action::Inbound("hi".into())), silent), "0x5 (1) is not answered in time");
    noticed(&attempt(hurried(Action::EnquireLink), silent), "0x15 (1) is not answered in time");
    let answering = |answers: &'static [(u32, u32)]| {
        move |raw: &mut Raw| {
            let (_, _, number, _) = raw.next().unwrap();
            for (id, more) in answers {
                let body: &[u8] = if *id == 0x8000_0005 { &[0] } else { &[] };
                raw.write(&pdu(*id, 0, number + more, body));
            }
        }
    };
    attempt(message(), answering(&[(0x8000_0005, 0)])).assert_clean();
    noticed(&attempt(message(), answering(&[(0x8000_0005, 0), (0x8000_0005, 0)])), "was answered before");
    noticed(&attempt(message(), answering(&[(0x8000_0005, 1)])), "was never asked");
    noticed(&attempt(message(), answering(&[(0x8000_0015, 0)])), "0x80000015 answers 0x5");
    let without_body = |raw: &mut Raw| {
        let (_, _, number, _) = raw.next().unwrap();
        raw.write(&pdu(0x8000_0005, 0, number, &[]));
    };
    noticed(&attempt(message(), without_body), "without its message_id field");
    let late = |raw: &mut Raw| {
        let _ = raw.next();
        std::thread::sleep(Duration::from_millis(1_100));
        raw.write(&pdu(6, 0, 5, &[]));
        let _ = raw.next();
    };
    noticed(&attempt(message(), late), "unbound without having answered");
    noticed(&attempt(hurried(Action::Unbind), silent), "0x6 (1) is not answered in time");
}

#[test]
fn fates_statuses_and_orders_are_as_set() {
    let settings = Settings {
        status: Arc::new(|submit| if submit.nth == 2 { 0x45 } else { 0 }),
        fate: Arc::new(|submit| match submit.nth {
            3 => Fate::Silent,
            4 => Fate::Nack(2),
            5 => Fate::Late(Duration::from_millis(100)),
            7 => Fate::CloseAfter,
            _ => Fate::Answered,
        }),
        ..Settings::default()
    };
    let smsc = IndependentSmsc::start(settings);
    let mut raw = Raw::bound(&smsc);
    raw.write(&(10..16).flat_map(|number| sm().pdu(number)).collect::<Vec<u8>>());
    let answers: Vec<_> =
        (0..5).map(|_| raw.next().map(|(id, status, number, _)| (id, status, number)).unwrap()).collect();
    let expected = [
        (SUBMIT_RESP, 0, 10),
        (SUBMIT_RESP, 0x45, 11),
        (0x8000_0000, 2, 13),
        (SUBMIT_RESP, 0, 15),
        (SUBMIT_RESP, 0, 14),
    ];
    assert_eq!(answers, expected);
    raw.write(&sm().pdu(16));
    assert_eq!(raw.answer(), (0, 16));
    assert_eq!(raw.next(), None);
    assert!(smsc.wait_for(|ledger| ledger.len() == 7, Duration::from_secs(20)));
    let report = smsc.finish();
    report.assert_clean();
    let statuses: Vec<_> = report.submits.iter().map(|submit| submit.status).collect();
    assert_eq!(statuses, [Some(0), Some(0x45), None, Some(2), Some(0), Some(0), Some(0)]);

    let settings = Settings { order: Order::Reversed, answer_delay: Duration::from_millis(30), ..Settings::default() };
    attempt(settings, |raw| {
        raw.write(&(10..15).flat_map(|number| sm().pdu(number)).collect::<Vec<u8>>());
        let numbers: Vec<_> = (0..5).map(|_| raw.answer().1).collect();
        // All came in one write, but not surely in one read.
        assert_ne!(numbers, [10, 11, 12, 13, 14]);
    });

    let settings = Settings { rate_max: 2, ..Settings::default() };
    attempt(settings, |raw| {
        raw.write(&(10..13).flat_map(|number| sm().pdu(number)).collect::<Vec<u8>>());
        assert_eq!([raw.answer(), raw.answer(), raw.answer()], [(0, 10), (0, 11), (0x58, 12)]);
    });
}

#[test]
fn ids_and_receipts_have_the_shapes_that_were_set() {
    let table: [(IdForm, Shape, &str, &str); 10] = [
        (IdForm::Decimal, Shape::TextOnly, "1000001", "id:1000001 "),
        (IdForm::Padded, Shape::TextOnly, "0001000001", "id:0001000001 "),
        (IdForm::HexLower, Shape::HexThenDecimal, "acb4241", "id:181092929 "),
        (IdForm::HexUpper, Shape::TextOnly, "ACB4241", "id:ACB4241 "),
        (IdForm::Decimal, Shape::DecimalThenHex, "1000001", "id:F4241 "),
        (IdForm::Decimal, Shape::Padded, "1000001", "id:00000001000001 "),
        (
            IdForm::Uuid,
            Shape::TlvOnly,
            "00000001-0000-4000-8000-0000000f4241",
            "\u{0}00000001-0000-4000-8000-0000000f4241\0",
        ),
        (IdForm::Decimal, Shape::TlvWithoutNul, "1000001", "\u{0}\u{7}1000001\u{4}"),
        (IdForm::Decimal, Shape::Odd, "1000001", "Stat:delivrd"),
        (IdForm::Decimal, Shape::DataSm, "1000001", "id:1000001 "),
    ];
    for (id, shape, answer, receipt) in table {
        let report = attempt(Settings { id, shape, ..Settings::default() }, |raw| {
            raw.write(&Sm { registered_delivery: 1, ..sm() }.pdu(5));
            assert_eq!(raw.next().map(|(id, ..)| id), Some(SUBMIT_RESP));
            let body = raw.receipt();
            let text = String::from_utf8_lossy(&body);
            let tail = receipt.trim_start_matches('\0');
            assert!(text.contains(tail), "{shape:?}: {text:?} lacks {tail:?}");
        });
        report.assert_clean();
        assert_eq!(report.submits[0].message_id.as_deref(), Some(answer), "{shape:?}");
    }
    let first = |shape| {
        attempt(Settings { shape, ..Settings::default() }, |raw| {
            raw.write(&Sm { registered_delivery: 1, ..sm() }.pdu(5));
            let ids: Vec<u32> = (0..if shape == Shape::Early { 2 } else { 3 })
                .map(|_| {
                    let (id, _, number, _) = raw.next().unwrap();
                    if id == DELIVER {
                        raw.write(&pdu(0x8000_0005, 0, number, &[0]));
                    }
                    id
                })
                .collect();
            let expected: &[u32] =
                if shape == Shape::Early { &[DELIVER, SUBMIT_RESP] } else { &[SUBMIT_RESP, DELIVER, DELIVER] };
            assert_eq!(ids, expected);
        })
        .assert_clean();
    };
    first(Shape::Early);
    first(Shape::Duplicate);
    first(Shape::IntermediateFirst);
}

#[test]
fn binds_are_answered_as_set_one_after_the_other() {
    let binds = vec![
        BindAnswer::RefusedWithBody(0x0D),
        BindAnswer::CloseAtOnce,
        BindAnswer::CloseInstead,
        BindAnswer::Nack,
        BindAnswer::OctetByOctet,
        BindAnswer::GluedWithDeliver,
    ];
    let smsc = IndependentSmsc::start(Settings { binds, connections_max: 1, ..Settings::default() });
    let mut answers = Vec::new();
    for _ in 0..6 {
        let mut raw = Raw::connect(&smsc);
        // The other side may be gone already.
        let _ = raw.stream.write_all(&bind("test", "secret"));
        answers.push(raw.next().map(|(id, status, ..)| (id, status)));
        if answers.len() == 6 {
            assert!(String::from_utf8_lossy(&raw.receipt()).contains("glued to the bind"));
            let mut second = Raw::connect(&smsc);
            second.write(&bind("test", "secret"));
            assert_eq!(second.next(), Some((0x8000_0009, 0x0D, 1, vec![])), "over the limit");
        }
        drop(raw);
        let connections = answers.len();
        assert!(smsc.wait_for_counts(|counts| counts.connections >= connections, crate::common::PATIENCE));
        assert!(smsc.wait_until_all_ended(crate::common::PATIENCE));
    }
    let bound = Some((0x8000_0009, 0));
    assert_eq!(answers, [Some((0x8000_0009, 0x0D)), None, None, Some((0x8000_0000, 3)), bound, bound]);
    smsc.finish().assert_clean();
}

#[test]
fn receipts_that_were_not_answered_come_again() {
    let smsc = IndependentSmsc::start(Settings::default());
    let mut raw = Raw::bound(&smsc);
    raw.write(&Sm { registered_delivery: 1, ..sm() }.pdu(5));
    assert_eq!(raw.answer(), (0, 5));
    assert_eq!(raw.next().map(|(id, ..)| id), Some(DELIVER));
    drop(raw);
    let mut raw = Raw::bound(&smsc);
    assert!(String::from_utf8_lossy(&raw.receipt()).contains("DELIVRD"));
    raw.unbind(6);
    smsc.finish().assert_clean();
}

#[test]
fn the_alphabet_of_the_judge() {
    assert_eq!(
        decode_gsm(&(0..0x80).filter(|octet| *octet != 0x1B).collect::<Vec<u8>>()).unwrap().chars().count(),
        127
    );
    assert_eq!(decode_gsm(b"\x00\x01\x10\x7F\x1B\x3C").unwrap(), "@£Δà[");
}
