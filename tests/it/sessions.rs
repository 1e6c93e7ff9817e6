//! Sessions that end before their first answer, and sessions that the SMSC forgets.

use crate::common::independent_smsc::{Action, Event, Fate, IndependentSmsc, Settings, pdu};
use crate::common::scripted_smsc::receipt;
use crate::common::{Smppost, expected, number, rows, states};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs until so many binds were accepted, and ends the run by SIGTERM. Returns binds and submits.
fn until_binds(smsc: &IndependentSmsc, smppost: &Smppost, binds: usize, more: &[&str]) -> (usize, usize, String) {
    let running = smppost.spawn_send(&rows(200), smsc.port(), more);
    assert!(
        smsc.wait_for_counts(|counts| counts.binds_accepted >= binds, Duration::from_secs(90)),
        "{}",
        running.stderr()
    );
    running.signal("TERM");
    let ended = running.wait();
    (smsc.counts().binds_accepted, smsc.ledger().len(), ended.stderr)
}

#[test]
fn a_connection_that_dies_before_any_answer_costs_few_messages() {
    for (name, after, fate) in
        [("closed after the bind", Some(0), Fate::Answered), ("reset at each message", None, Fate::ResetBefore)]
    {
        let events = after.map(|after| Event { session: 0, after, action: Action::Close }).into_iter().collect();
        let smsc = IndependentSmsc::start(Settings { events, fate: Arc::new(move |_| fate), ..Settings::default() });
        let smppost = Smppost::new();
        let options = ["--window", "20", "--connections", "2", "--response-timeout", "2s"];
        let (binds, submits, said) = until_binds(&smsc, &smppost, 12, &options);
        assert!(submits <= 3 + binds / 4, "{name}: {submits} messages in {binds} sessions\n{said}");
        assert!(submits > 0 || after.is_some(), "{name}: nothing was tried");
        let doubts = states(&smppost.journal(), "c").get("in_doubt").copied().unwrap_or_default();
        assert!(doubts as usize <= 3 + binds / 4, "{name}: {doubts} in doubt after {binds} sessions\n{said}");
        // Where nothing was at stake there is nothing to say.
        assert!(submits == 0 || said.contains("in a row ended without one answer"), "{name}: {said}");
    }
}

#[test]
fn a_session_that_died_young_is_followed_by_one_that_asks_first() {
    // The first session is reset at its first message; on the second enquire_link is not answered: nothing is tried on it.
    let fate = Arc::new(|submit: &crate::common::judge::Submit| match submit.session {
        1 => Fate::ResetBefore,
        _ => Fate::Answered,
    });
    let smsc = IndependentSmsc::start(Settings { fate, answers_enquire_link: false, ..Settings::default() });
    let smppost = Smppost::new();
    let running = smppost.spawn_send(&rows(20), smsc.port(), &["--response-timeout", "1s"]);
    assert!(smsc.wait_for_counts(|counts| counts.binds_accepted >= 3, Duration::from_secs(60)), "{}", running.stderr());
    running.signal("TERM");
    running.wait();
    assert_eq!(smsc.ledger().len(), 1, "a message was risked on a session that had not answered enquire_link");
}

#[test]
fn after_the_first_answer_the_window_opens_at_once() {
    let delay = Duration::from_millis(100);
    let smsc = IndependentSmsc::start(Settings { answer_delay: delay, ..Settings::default() });
    let smppost = Smppost::new();
    let started = Instant::now();
    smppost.send(&rows(500), smsc.port(), &["--window", "100", "--receipts", "none"]).assert_code(0);
    // One at a time would be 50 s; 1, 2, 4 ... 64, 100 take 8 rounds, and the rest 4 or 5.
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    // The very first travels alone, and no later one before its answer.
    let ledger = smsc.ledger();
    assert!(ledger[1].at - ledger[0].at >= delay / 2, "{:?}", ledger[1].at - ledger[0].at);
}

#[test]
fn a_session_that_the_smsc_forgets_is_bound_anew_and_what_it_refused_goes_again() {
    for status in [0x04, 0x0D] {
        let forgets = Arc::new(move |submit: &crate::common::judge::Submit| match submit.nth_of_session {
            ..=7 => 0,
            _ => status,
        });
        let smsc = IndependentSmsc::start(Settings { status: forgets, ..Settings::default() });
        let smppost = Smppost::new();
        let options = ["--window", "20", "--receipts", "none"];
        let ended = smppost.send(&rows(40), smsc.port(), &options);
        ended.assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 40)]), "0x{status:02X}");
        let mut taken: HashMap<String, usize> = HashMap::new();
        for submit in smsc.ledger().iter().filter(|submit| submit.nth_of_session <= 7) {
            *taken.entry(submit.destination.clone()).or_default() += 1;
        }
        assert!(taken.len() == 40 && taken.values().all(|&times| times == 1), "{taken:?}");
        assert!(ended.stderr.contains("is not bound"), "{}", ended.stderr);
    }
}

#[test]
fn an_account_that_may_never_send_is_given_up_and_everything_stays_queued() {
    let smsc = IndependentSmsc::start(Settings { status: Arc::new(|_| 0x04), ..Settings::default() });
    let smppost = Smppost::new();
    let ended = smppost.send(&rows(30), smsc.port(), &["--window", "20"]);
    ended.assert_code(1);
    assert!(ended.stderr.contains("8 sessions in a row"), "{}", ended.stderr);
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 30)]));
}

/// An SMSC that sends the answer, 40 receipts and its unbind in one write. Returns the command_ids that come after that, until
/// the program closes the connection.
fn unbinds_behind_receipts(listener: &TcpListener) -> Vec<u32> {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut ids = Vec::new();
    let mut header = [0; 16];
    while stream.read_exact(&mut header).is_ok() {
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut body = vec![0; word(0) as usize - 16];
        stream.read_exact(&mut body).unwrap();
        let answer = match word(4) {
            9 => pdu(0x8000_0009, 0, word(12), b"test\0"),
            4 => {
                let mut all = pdu(0x8000_0004, 0, word(12), b"a1\0");
                for n in 0..40 {
                    let text = format!("id:a{n} sub:001 dlvrd:001 stat:DELIVRD err:000 text:");
                    all.extend(pdu(5, 0, n + 1, &receipt(&number(0), "Test", &text, b"")));
                }
                all.extend(pdu(6, 0, 77, b""));
                all
            }
            id => {
                ids.push(id);
                continue;
            }
        };
        stream.write_all(&answer).unwrap();
    }
    ids
}

#[test]
fn receipts_that_came_before_an_unbind_of_the_smsc_are_answered_before_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let smppost = Smppost::new();
    let running = smppost.spawn_send(&rows(1), port, &["--wait-receipts", "1s"]);
    let ids = unbinds_behind_receipts(&listener);
    assert_eq!(ids, [vec![0x8000_0005; 40], vec![0x8000_0006]].concat(), "{}", running.stderr());
    running.signal("TERM");
    running.wait();
}
