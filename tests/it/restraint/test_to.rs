//! `--test-to`: the campaign's first message to one's own handset.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, number, one, states};

const CSV: &str =
    "to,name,from,validity_period\n447700900000,Ann,Acme,2h\n447700900001,Bob,Shop,3h\n447700900002,Cy,,\n";
const OWN: &str = "+447700900555";

/// The PDU but for its sequence number.
fn like(pdu: &[u8], to: &str) -> Vec<u8> {
    let own = OWN.trim_start_matches('+').as_bytes();
    let at = pdu.windows(own.len()).position(|octets| octets == own || octets == to.as_bytes()).unwrap();
    let mut pdu = pdu.to_vec();
    pdu[at..at + own.len()].copy_from_slice(own);
    pdu[12..16].fill(0);
    pdu
}

#[test]
fn it_goes_alone_and_exactly_as_the_message_will() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let text = ["--text", "Dear {name}, it is ready [€].", "--field", "priority_flag=2"];
    let test = |more: &[&'static str]| [&text[..], &["--test-to", OWN], more].concat();
    let ended = smppost.send(CSV, smsc.port(), &test(&[]));
    ended.assert_code(0);
    assert!(ended.words().contains("of campaign c itself nothing was sent"), "{}", ended.said());
    smppost.send(CSV, smsc.port(), &test(&["--test-line", "3"])).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    for name in ["c (test 1)", "c (test 2)"] {
        assert_eq!(states(&smppost.journal(), name), expected([("delivered", 1)]));
    }
    smppost.send(CSV, smsc.port(), &test(&["--test-line", "9"])).assert_code(2);
    // Without the option the campaign goes, all of it.
    smppost.send(CSV, smsc.port(), &text).assert_code(0);
    let submits = smsc.finish().submits;
    assert_eq!(submits.len(), 5);
    for (test, message) in [(0, 2), (1, 3)] {
        let to = &submits[message].destination;
        assert_eq!(*to, number(message - 2));
        let pdus = [test, message].map(|nth| like(&submits[nth].pdu, to));
        // Of the messages' own numbers the low bits travel as a reference, behind the text.
        let length = pdus[0].len() - 2;
        assert_eq!(pdus[0][..length], pdus[1][..length]);
        assert_eq!(submits[test].destination, OWN[1..]);
    }
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_number_on_the_suppression_list_gets_none() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", CSV);
    smppost.run(&["import", "c.csv", "--campaign", "c", "--text", "x"]).assert_code(0);
    smppost.run(&["suppress", "add", OWN]).assert_code(0);
    let port = smsc.port().to_string();
    let resume = ["resume", "c", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
    let ended = smppost.run(&[&resume[..], &["--test-to", OWN]].concat());
    ended.assert_code(1);
    assert!(ended.words().contains("is on the suppression list"), "{}", ended.said());
    assert_eq!(smsc.ledger().len(), 0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 1);
    // Of what, has to be said.
    let ended =
        smppost.run(&["resume", "--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--test-to", OWN]);
    ended.assert_code(2);
    assert_eq!(smsc.finish().submits.len(), 0);
}

#[test]
fn at_a_terminal_the_campaign_may_follow() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", CSV);
    let port = smsc.port().to_string();
    let send = ["--text", "Dear {name}", "--test-to", OWN];
    let arguments = smppost.send_arguments("c.csv", &port, &send);
    for (typed, sent) in [("n\r", 1), ("y\r", 5)] {
        let terminal = smppost.at_terminal(&arguments);
        terminal.wait_for("to be sent now? [y/N]");
        terminal.type_in(typed);
        let (code, written) = terminal.wait();
        assert_eq!(code, Some(0), "{written}");
        assert_eq!(smsc.ledger().len(), sent, "{written}");
    }
}
