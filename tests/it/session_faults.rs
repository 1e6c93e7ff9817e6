//! What goes wrong on the network and in a session, each against an SMSC that does it on purpose. The numbers are those
//! of the list of faults.

mod receipts;

use crate::common::independent_smsc::{
    Action, BindAnswer, Event, Fate, IndependentSmsc, Order, Report, Rule, Settings, Writing,
};
use crate::common::judge::{Rules, Submit};
use crate::common::{Ended, Leeway, Smppost, assert_agree, attempts, expected, one, rows, states};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(super) const LOST: Leeway = Leeway { answers_lost: true, repeats: false, unsettled: false };

pub(super) fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn torn(window: usize) -> Rules {
    Rules { window, torn_messages: true, ..Rules::default() }
}

/// Something that happens on the first session after so many submits.
pub(super) fn once(after: usize, action: Action) -> Vec<Event> {
    vec![Event { session: 1, after, action }]
}

pub(super) fn rule<T>(rule: impl Fn(&Submit) -> T + Send + Sync + 'static) -> Rule<T> {
    Arc::new(rule)
}

/// A run against an SMSC, to be looked at.
pub(super) struct Story {
    pub(super) smppost: Smppost,
    pub(super) ended: Ended,
    pub(super) report: Report,
}

impl Story {
    pub(super) fn of(csv: &str, settings: Settings, more: &[&str]) -> Self {
        let smsc = IndependentSmsc::start(settings);
        let smppost = Smppost::new();
        let ended = smppost.send(csv, smsc.port(), more);
        Self { smppost, ended, report: smsc.finish() }
    }

    #[track_caller]
    pub(super) fn assert(&self, code: i32, found: &[(&str, i64)]) -> &Self {
        assert!(
            self.report.violations.is_empty(),
            "rules are broken:\n{}\n{}",
            self.report.violations.join("\n"),
            self.ended.said()
        );
        let expected: BTreeMap<String, i64> = found.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect();
        assert_eq!(states(&self.smppost.journal(), "c"), expected, "{}", self.ended.said());
        self.ended.assert_code(code);
        self
    }

    #[track_caller]
    pub(super) fn agrees(&self, leeway: Leeway) -> &Self {
        assert_agree(&self.smppost.journal(), &self.report.submits, leeway);
        self
    }

    #[track_caller]
    pub(super) fn says(&self, words: &str) -> &Self {
        says(&self.ended, words);
        self
    }

    pub(super) fn in_doubt(&self) -> i64 {
        states(&self.smppost.journal(), "c").get("in_doubt").copied().unwrap_or_default()
    }
}

#[track_caller]
pub(super) fn says(ended: &Ended, words: &str) {
    assert!(ended.stderr.contains(words), "{words:?} is not said:\n{}", ended.said());
}

/// How often each destination was sent to.
pub(super) fn times(submits: &[Submit]) -> HashMap<&str, usize> {
    let mut times = HashMap::new();
    for submit in submits {
        *times.entry(submit.destination.as_str()).or_default() += 1;
    }
    times
}

#[test]
fn f13_a_long_password_is_sent_with_a_warning() {
    let password = Some("a-long-password".to_owned());
    let rules = Rules { password, long_password: true, ..Rules::default() };
    let smsc = IndependentSmsc::start(Settings { rules, ..Settings::default() });
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "a-long-password");
    let ended = smppost.send(&rows(5), smsc.port(), &[]);
    ended.assert_code(0);
    says(&ended, "15 octets");
    smsc.finish().assert_clean();
}

#[test]
fn f18_after_a_cut_exactly_the_unanswered_ones_are_in_doubt() {
    // The window is full when the line is cut, and everything before was answered: these ten and no others.
    let silent = |submit: &Submit| submit.session == 1 && submit.nth_of_session > 20;
    let settings = Settings {
        rules: torn(10),
        fate: rule(move |submit| if silent(submit) { Fate::Silent } else { Fate::Answered }),
        events: once(30, Action::Reset),
        ..Settings::default()
    };
    let story = Story::of(&rows(300), settings, &["--window", "10"]);
    story.assert(3, &[("delivered", 290), ("in_doubt", 10)]).agrees(Leeway::default());
    assert_eq!((story.report.submits.len(), story.report.counts.binds_accepted), (300, 2));
}

#[test]
fn f18_the_other_connection_goes_on_when_one_is_cut() {
    for action in [Action::Close, Action::Reset] {
        let settings = Settings { rules: torn(10), events: once(40, action), ..Settings::default() };
        let story = Story::of(&rows(300), settings, &["--window", "10", "--connections", "2"]);
        let doubts = story.in_doubt();
        assert!(doubts <= 10, "{doubts} in doubt");
        let states: &[(&str, i64)] = &[("delivered", 300 - doubts), ("in_doubt", doubts)];
        story.assert(if doubts == 0 { 0 } else { 3 }, &states[..if doubts == 0 { 1 } else { 2 }]).agrees(LOST);
    }
}

#[test]
fn f18_long_messages_survive_cuts_without_a_part_sent_twice() {
    let events = (1..=4).map(|session| Event { session, after: 25, action: Action::Reset }).collect();
    let settings = Settings { rules: torn(10), events, ..Settings::default() };
    let story = Story::of(&crate::common::long_rows(60), settings, &["--window", "10", "--wait-receipts", "1s"]);
    story.report.assert_clean();
    story.agrees(LOST);
    assert_eq!(story.report.counts.binds_accepted, 5);
    let found = states(&story.smppost.journal(), "c");
    let settled: i64 =
        found.iter().filter(|(state, _)| matches!(&***state, "delivered" | "in_doubt")).map(|(_, n)| n).sum();
    assert_eq!(settled, 60, "{found:?}");
    assert!(found["delivered"] >= 60 - 40, "{found:?}");
}

#[test]
fn f18_cut_again_and_again_while_answers_come_nothing_is_left_in_between() {
    // Answers and receipts are on their way when the writer finds the line cut.
    let events = vec![Event { session: 0, after: 6, action: Action::Close }];
    let settings = Settings { rules: torn(4), events, writing: Writing::Coalesced, ..Settings::default() };
    let story = Story::of(&rows(100), settings, &["--window", "4"]);
    story.report.assert_clean();
    story.agrees(LOST);
    let found = states(&story.smppost.journal(), "c");
    let doubts = found.get("in_doubt").copied().unwrap_or_default();
    assert_eq!(found["delivered"] + doubts, 100, "{found:?}\n{}", story.ended.said());
}

#[test]
fn f19_a_silent_peer_is_found_by_enquire_link_and_the_timer_is_named() {
    let settings = Settings { rules: torn(10), events: once(20, Action::Mute), ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    let more = ["--window", "10", "--response-timeout", "3s", "--enquire-link-interval", "300ms"];
    let started = Instant::now();
    let run = smppost.spawn_send(&rows(100), smsc.port(), &more);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 20, milliseconds(20_000)));
    let mute_since = Instant::now();
    assert!(smsc.wait_for_counts(|counts| counts.binds == 2, milliseconds(20_000)), "{}", run.stderr());
    let (found_after, ran_for) = (mute_since.elapsed(), started.elapsed());
    let ended = run.wait();
    let report = smsc.finish();
    // 300 ms of silence, three seconds for the answer; less than the timers that the program has by default.
    assert!(ran_for >= milliseconds(3_200) && found_after < milliseconds(20_000), "found after {found_after:?}");
    says(&ended, "no answer to enquire_link within the response timeout (3s)");
    // The messages themselves may be settled since, by receipts that came over the second session.
    let in_doubt = one(&smppost.journal(), "SELECT count(*) FROM attempt_log WHERE state = 'in doubt'");
    // As many as are outstanding after twenty answers.
    assert!((2..=20).contains(&in_doubt), "{in_doubt} in doubt");
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn f19_a_quiet_session_is_kept_by_enquire_link() {
    let settings = Settings { receipt_delay: milliseconds(4_000), ..Settings::default() };
    let more = ["--enquire-link-interval", "300ms", "--response-timeout", "20s"];
    let story = Story::of(&rows(5), settings, &more);
    story.assert(0, &[("delivered", 5)]);
    assert_eq!(story.report.counts.binds, 1);
    // One an interval and no more; a busy machine leaves some out.
    let most = 1 + story.ended.took.as_millis() / 300;
    assert!((4..=most).contains(&(story.report.counts.enquire_links as u128)), "{:?}", story.report.counts);
}

#[test]
fn f20_a_pdu_that_does_not_end_ends_the_session() {
    let mut events = once(20, Action::Octets(vec![0, 0, 0, 40, 0, 0]));
    events.extend(once(20, Action::Mute));
    let settings = Settings { rules: torn(10), events, ..Settings::default() };
    let more = ["--window", "10", "--response-timeout", "3s", "--enquire-link-interval", "20s"];
    let story = Story::of(&rows(100), settings, &more);
    story.says("did not arrive whole within the response timeout").agrees(Leeway::default());
    assert_eq!(story.report.counts.binds_accepted, 2);
}

#[test]
fn f20_a_peer_that_stops_reading_ends_at_the_write_timeout() {
    // By then enough was answered for the window to be as large as it gets.
    let settings = Settings { rules: torn(100_000), events: once(100, Action::StopReading), ..Settings::default() };
    let long = |row: usize| format!("{row:05} {}", "x".repeat(150));
    let more = ["--window", "50000", "--write-timeout", "4s", "--response-timeout", "20s", "--receipts", "none"];
    let story = Story::of(&crate::common::rows_with(40_000, long), settings, &more);
    story.says("the peer took no octets for the write timeout (4s)").agrees(LOST);
    assert_eq!(story.report.counts.binds_accepted, 2);
}

#[test]
fn f21_a_refused_connection_is_tried_again_with_a_hint() {
    // An address of its own, on which no other test takes the port while it is free.
    let address = IpAddr::from([127, 0, 0, 77]);
    let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(10));
    let (host, number) = (address.to_string(), port.to_string());
    let send = |more: &[&'static str]| {
        let mut arguments = smppost.send_arguments("c.csv", &number, more);
        arguments[3] = &host;
        smppost.spawn(&arguments)
    };
    let mut run = send(&[]);
    run.wait_for_words("whitelisted");
    let smsc = IndependentSmsc::start(Settings { address, port, ..Settings::default() });
    run.wait().assert_code(0);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!((report.submits.len(), report.counts.connections), (10, 1));

    // Nobody comes: given up, with everything still queued.
    let ended = send(&["--campaign", "d", "--allow-same-file", "--give-up-after", "1s"]).wait();
    ended.assert_code(1);
    says(&ended, "given up");
    assert!(ended.took < milliseconds(40_000), "{:?}", ended.took);
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 10)]));
}

#[test]
fn f21_tries_are_spaced_out_and_start_anew_after_an_accepted_submit() {
    let binds =
        vec![BindAnswer::CloseAtOnce, BindAnswer::CloseInstead, BindAnswer::Refused(0x0D), BindAnswer::Accepted];
    let started = Instant::now();
    let settings = Settings {
        rules: torn(10),
        binds,
        events: vec![Event { session: 4, after: 5, action: Action::Close }],
        ..Settings::default()
    };
    let story = Story::of(&rows(100), settings, &["--window", "1"]);
    // 125 to 250 ms, 250 to 500 ms, 500 ms to 1 s, and 125 to 250 ms after the close.
    assert!(started.elapsed() >= milliseconds(1_000), "{:?}", started.elapsed());
    assert_eq!(story.report.counts.binds, 5);
    story.says("whitelisted").agrees(LOST);
    assert!(story.in_doubt() <= 1);
}

#[test]
fn f21_a_name_and_an_ipv6_address_are_hosts() {
    for (host, address) in [("localhost", IpAddr::from(Ipv4Addr::LOCALHOST)), ("::1", Ipv6Addr::LOCALHOST.into())] {
        if let Err(error) = TcpListener::bind((address, 0)) {
            crate::common::skipped(&format!("this machine has no {address} ({error})"));
            continue;
        }
        let smsc = IndependentSmsc::start(Settings { address, ..Settings::default() });
        let smppost = Smppost::new();
        smppost.file("c.csv", rows(3));
        let port = smsc.port().to_string();
        let mut arguments = smppost.send_arguments("c.csv", &port, &[]);
        arguments[3] = host;
        smppost.run(&arguments).assert_code(0);
        smsc.finish().assert_clean();
    }
}

#[test]
fn f22_a_wrong_password_or_system_id_ends_at_once() {
    for (bind, words) in [
        (BindAnswer::Refused(0x0E), "invalid password"),
        (BindAnswer::RefusedWithBody(0x0E), "invalid password"),
        (BindAnswer::Refused(0x0F), "invalid system id"),
    ] {
        let story = Story::of(&rows(10), Settings { binds: vec![bind], ..Settings::default() }, &[]);
        story.assert(1, &[("queued", 10)]);
        let said = story.ended.stderr.to_lowercase();
        assert!(said.contains(words) && said.contains("--system-id"), "{bind:?}: {said}");
        if words == "invalid password" {
            story.says(
                " refuses the bind: 0x0E ESME_RINVPASWD (invalid password): check --system-id and the password; if it has \
                 more than 8 characters, ask the provider for a shorter one",
            );
            assert_eq!(said.matches("--system-id").count(), 1, "{said}");
        }
        assert_eq!(story.report.counts.binds, 1, "{bind:?}: hammered");
        assert!(story.ended.took < milliseconds(60_000), "{bind:?}: {:?}", story.ended.took);
        let told = story.ended.stderr.matches("refuses the bind").count();
        assert_eq!(told, 1, "{bind:?}: told {told} times: {}", story.ended.stderr);
    }
}

#[test]
fn f22_over_the_connection_limit_the_others_go_on() {
    for over_limit in [0x0D, 0x05] {
        let settings =
            Settings { connections_max: 1, over_limit, answer_delay: milliseconds(5), ..Settings::default() };
        let more = ["--connections", "2", "--window", "1"];
        let story = Story::of(&rows(200), settings, &more);
        story.assert(0, &[("delivered", 200)]).agrees(Leeway::default()).says("connections");
        assert_eq!(story.report.counts.binds_accepted, 1);
        // Where both connect at the same moment the SMSC may refuse both, once.
        let most = 2 + tries_within(story.ended.took);
        assert!(
            story.report.counts.binds <= most,
            "{} binds in {:?}: hammered",
            story.report.counts.binds,
            story.ended.took
        );
    }
}

/// How often a connection can be tried in this time when each delay is as short as may be: 125 ms, doubling to 15 s.
fn tries_within(time: Duration) -> usize {
    let (mut tries, mut at, mut delay) = (1, Duration::ZERO, milliseconds(125));
    while at + delay <= time {
        (tries, at, delay) = (tries + 1, at + delay, (2 * delay).min(milliseconds(15_000)));
    }
    tries
}

#[test]
fn f24_throttled_messages_are_all_sent_at_the_account_s_rate() {
    let settings = Settings { rate_max: 20, ..Settings::default() };
    let started = Instant::now();
    let story = Story::of(&rows(100), settings, &["--window", "10", "--connections", "2"]);
    story.assert(0, &[("delivered", 100)]).agrees(Leeway::default());
    let refused = story.report.submits.iter().filter(|submit| submit.status == Some(0x58)).count();
    assert!(refused > 0 && refused <= 150, "{refused} refusals");
    assert!(started.elapsed() < milliseconds(90_000), "{:?}", started.elapsed());
}

#[test]
fn f24_throttling_spends_no_attempts() {
    // Each message is throttled more often than a temporary error would be tried.
    let seen: Mutex<HashMap<String, u32>> = Mutex::default();
    let status = rule(move |submit| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(submit.destination.clone()).or_default();
        *times += 1;
        if *times <= 5 { if times.is_multiple_of(2) { 0x14 } else { 0x58 } } else { 0 }
    });
    let story = Story::of(&rows(3), Settings { status, ..Settings::default() }, &[]);
    story.assert(0, &[("delivered", 3)]).agrees(Leeway::default());
    assert_eq!(story.report.submits.len(), 18);
}

#[test]
fn f25_temporary_statuses_are_retried_and_unknown_ones_are_temporary() {
    for (status, error_body) in [(0x08, false), (0x64, true), (0x45, false), (0x410, true)] {
        let first = Mutex::new(std::collections::HashSet::new());
        let refusal = rule(move |submit: &Submit| {
            let is_first = first.lock().unwrap().insert(submit.destination.clone());
            if is_first && submit.destination.ends_with('7') { status } else { 0 }
        });
        let settings = Settings { status: refusal, error_body, ..Settings::default() };
        let story = Story::of(&rows(40), settings, &[]);
        story.assert(0, &[("delivered", 40)]).agrees(Leeway::default());
        assert_eq!(story.report.submits.len(), 44, "0x{status:X}");
        let log = attempts(&story.smppost.journal());
        assert_eq!(log.iter().filter(|attempt| attempt.state == "to retry").count(), 4, "0x{status:X}");
    }
}

#[test]
fn f25_a_permanent_status_rejects_at_once_with_its_meaning() {
    for error_body in [false, true] {
        let status = rule(|submit: &Submit| if submit.destination.ends_with('7') { 0x0B } else { 0 });
        let story = Story::of(&rows(40), Settings { status, error_body, ..Settings::default() }, &[]);
        story.assert(3, &[("delivered", 36), ("rejected", 4)]).agrees(Leeway::default());
        assert_eq!(story.report.submits.len(), 40, "rejected ones are not tried again");
        let with_meaning = one(
            &story.smppost.journal(),
            "SELECT count(*) FROM message_status WHERE state = 'rejected' AND command_status = 11
                AND error = 'ESME_RINVDSTADR'",
        );
        assert_eq!(with_meaning, 4);
        story.says("invalid destination address").says("international format");
    }
}

#[test]
fn f25_a_status_that_condemns_the_account_stops_sending() {
    for status in [0x0A, 0x48, 0x49, 0x15] {
        let refusal = rule(move |submit: &Submit| if submit.nth >= 30 { status } else { 0 });
        let settings = Settings { status: refusal, answer_delay: milliseconds(200), ..Settings::default() };
        let story = Story::of(&rows(300), settings, &["--window", "5"]);
        story.report.assert_clean();
        story.ended.assert_code(1);
        story.says("stays queued").agrees(Leeway::default());
        let found = states(&story.smppost.journal(), "c");
        assert!(found["queued"] >= 230, "0x{status:X}: {found:?}");
        assert!(story.report.submits.len() <= 29 + 40, "0x{status:X}: went on with {}", story.report.submits.len());
    }
}

#[test]
fn f25_fifty_equal_rejections_in_a_row_stop_sending() {
    let status = rule(|submit: &Submit| if submit.nth > 20 { 0x66 } else { 0 });
    let settings = Settings { status, answer_delay: milliseconds(200), ..Settings::default() };
    let story = Story::of(&rows(300), settings, &["--window", "5"]);
    story.ended.assert_code(1);
    story.says("50 messages in a row").agrees(Leeway::default());
    assert!((70..=110).contains(&story.report.submits.len()), "{}", story.report.submits.len());
}

#[test]
fn f26_an_unbind_of_the_smsc_is_settled_answered_and_followed_by_another_bind() {
    let settings = Settings {
        rules: torn(10),
        events: once(50, Action::Unbind),
        answer_delay: milliseconds(3),
        ..Settings::default()
    };
    let story = Story::of(&rows(300), settings, &["--window", "10"]);
    story.assert(0, &[("delivered", 300)]).agrees(Leeway::default());
    let counts = &story.report.counts;
    assert_eq!((counts.binds_accepted, counts.unbinds_answered, counts.ended_rudely), (2, 1, 0));
    assert_eq!(story.report.submits.len(), 300);
}

#[test]
fn f26_a_generic_nack_for_the_stream_ends_the_session_without_loss() {
    let settings = Settings {
        rules: torn(10),
        events: once(50, Action::Nack(2)),
        answer_delay: milliseconds(3),
        ..Settings::default()
    };
    let story = Story::of(&rows(300), settings, &["--window", "10"]);
    story.assert(0, &[("delivered", 300)]).agrees(Leeway::default());
    assert_eq!((story.report.counts.binds_accepted, story.report.submits.len()), (2, 300));
}

#[test]
fn f26_a_generic_nack_for_a_request_is_its_answer() {
    let fate = rule(|submit: &Submit| if submit.nth == 5 { Fate::Nack(3) } else { Fate::Answered });
    let story = Story::of(&rows(20), Settings { fate, ..Settings::default() }, &[]);
    story.report.assert_clean();
    story.agrees(Leeway::default());
    assert_eq!(story.report.counts.binds_accepted, 1);
    assert_eq!(story.in_doubt(), 0);
}

#[test]
fn f27_a_late_answer_settles_the_doubt_and_nothing_is_sent_again() {
    let fate = rule(|submit: &Submit| match submit.nth {
        5 | 6 => Fate::Late(milliseconds(1_200)),
        _ => Fate::Answered,
    });
    let rules = Rules { window: 10, response_timeout: Some(milliseconds(600)), ..Rules::default() };
    // So slow that the late answers come while there is still something to do.
    let settings =
        Settings { rules, fate, answer_delay: milliseconds(20), order: Order::Reversed, ..Settings::default() };
    let story = Story::of(&rows(300), settings, &["--response-timeout", "600ms", "--rate", "100"]);
    story.assert(0, &[("delivered", 300)]).agrees(Leeway::default());
    assert_eq!(story.report.submits.len(), 300);
    story.says("in doubt");
}

#[test]
fn f27_a_late_answer_is_waited_for_when_nothing_else_is_left() {
    let fate = rule(|submit: &Submit| if submit.nth == 1 { Fate::Late(milliseconds(2_000)) } else { Fate::Answered });
    let rules = Rules { response_timeout: Some(milliseconds(600)), ..Rules::default() };
    for receipts in ["all", "none"] {
        let settings = Settings { rules: rules.clone(), fate: fate.clone(), ..Settings::default() };
        let story = Story::of(&rows(3), settings, &["--response-timeout", "600ms", "--receipts", receipts]);
        story.assert(0, &[(if receipts == "all" { "delivered" } else { "accepted" }, 3)]).agrees(Leeway::default());
        story.says("warning: 1 request without an answer within the response timeout (600ms): in doubt");
    }
}

#[test]
fn f27_what_is_never_answered_stays_in_doubt_and_frees_its_slot() {
    let fate = rule(|submit: &Submit| if submit.nth % 50 == 7 { Fate::Silent } else { Fate::Answered });
    let rules = Rules { window: 2, response_timeout: Some(milliseconds(600)), ..Rules::default() };
    let settings = Settings { rules, fate, ..Settings::default() };
    let story = Story::of(&rows(300), settings, &["--response-timeout", "600ms", "--window", "2"]);
    story.assert(3, &[("delivered", 294), ("in_doubt", 6)]).agrees(Leeway::default());
    assert_eq!((story.report.submits.len(), story.report.counts.binds), (300, 1));
    assert!(times(&story.report.submits).values().all(|times| *times == 1));
}

#[test]
fn f28_a_slow_answer_blocks_neither_enquire_link_nor_receipts() {
    // A window of one is full for nine seconds, and the SMSC has questions and receipts all the while.
    let fate = rule(|submit: &Submit| if submit.nth == 10 { Fate::Late(milliseconds(9_000)) } else { Fate::Answered });
    let (enquire_within, deliver_within) = (milliseconds(6_000), milliseconds(6_000));
    let rules = Rules { window: 1, enquire_within, deliver_within, ..Rules::default() };
    let settings = Settings {
        rules,
        fate,
        enquire_every: Some(milliseconds(50)),
        receipt_delay: milliseconds(700),
        ..Settings::default()
    };
    let story = Story::of(&rows(30), settings, &["--window", "1", "--response-timeout", "40s"]);
    story.assert(0, &[("delivered", 30)]).agrees(Leeway::default());
}

#[test]
fn f31_a_stream_that_cannot_be_framed_ends_the_session_and_loses_nothing() {
    let length = |length: u32| [&length.to_be_bytes()[..], &[0; 12]].concat();
    let banner = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n".to_vec();
    for junk in [length(0), length(15), length(1 << 31), length(u32::MAX), banner] {
        let what = format!("{:02X?}", &junk[..4]);
        let settings = Settings { rules: torn(10), events: once(20, Action::Junk(junk)), ..Settings::default() };
        let story = Story::of(&rows(100), settings, &["--window", "10"]);
        story.report.assert_clean();
        story.agrees(LOST);
        let found = states(&story.smppost.journal(), "c");
        let doubts = found.get("in_doubt").copied().unwrap_or_default();
        assert!(doubts <= 10, "{what}: {found:?}");
        assert_eq!(found["delivered"] + doubts, 100, "{what}: {found:?}");
        assert_eq!(story.report.counts.binds_accepted, 2, "{what}");
        assert_eq!(story.report.counts.nacks, 1, "{what}: a nack and then the end");
    }
}

#[test]
fn f31_a_web_server_is_not_taken_for_an_smsc() {
    let settings = Settings { binds: vec![BindAnswer::Banner], ..Settings::default() };
    let story = Story::of(&rows(10), settings, &["--give-up-after", "500ms"]);
    story.assert(1, &[("queued", 10)]).says("does not speak SMPP");
}

#[test]
fn f31_unknown_requests_are_refused_and_the_session_goes_on() {
    let mut events = once(10, Action::Request(0x0001_0203));
    events.extend(once(15, Action::Octets(crate::common::independent_smsc::pdu(0x8000_0004, 0, 0x7000_0000, b"77\0"))));
    events.extend(once(
        20,
        Action::Octets(crate::common::independent_smsc::pdu(0x0000_0102, 0, 77, &[0, 0, 0x41, 0, 0, 0, 0x42, 0])),
    ));
    let story = Story::of(&rows(100), Settings { events, ..Settings::default() }, &[]);
    story.assert(0, &[("delivered", 100)]).agrees(Leeway::default());
    assert_eq!((story.report.counts.nacks, story.report.counts.binds), (1, 1));
}
