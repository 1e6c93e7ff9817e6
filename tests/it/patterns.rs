//! Patterns of traffic that must not make the journal stand still.

/// A test of its own for each pattern, so that they run beside each other.
macro_rules! each_pattern {
    ($check:ident) => {
        each_pattern! { $check:
            plain_messages Plain
            doubts_to_one_number Doubts
            receipts_of_unknown_ids_to_one_number Strays
            receipts_of_foreign_ids_and_numbers Foreign
            messages_from_handsets_and_parts_of_long_ones Inbound
            beside_outstanding_messages Outstanding
            numbers_suppressed_meanwhile Suppressed
            many_campaigns_in_the_journal Campaigns
            a_sender_in_each_row Senders
            parts_tried_four_times Retried
            decisions_about_another_campaign Decided
            sessions_lost_again_and_again Lost
            receipts_with_a_reference_alone Referenced
        }
    };
    ($check:ident: $($name:ident $pattern:ident)*) => {
        $(#[test]
        fn $name() {
            $check(Pattern::$pattern);
        })*
    };
}

mod counted;
#[path = "../../benches/scale/flood.rs"]
mod flood;
mod scene;
mod stopped;

use crate::common::independent_smsc::{Fate, IndependentSmsc, Settings, Shape};
use crate::common::judge::Submit;
use crate::common::{Ended, Smppost, one, states};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the journal thread says of its work at the end of a run: transactions, the longest, steps to judge receipts, hundreds of
/// steps of SQLite.
fn work(ended: &Ended) -> [u64; 4] {
    let line = ended.stderr.lines().find(|line| line.contains("the journal thread: "));
    let line = line.unwrap_or_else(|| panic!("no figures\n{}", ended.said()));
    let words = line.split("the journal thread: ").nth(1).unwrap_or_default();
    let numbers: Vec<u64> = words.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    [numbers[0], numbers[1], numbers[2], numbers[3]]
}

fn smppost() -> Smppost {
    Smppost::new().environment("RUST_LOG", "smppost=debug").deadline(Duration::from_secs(240))
}

fn alarms(count: usize) -> String {
    let mut rows = String::from("to,text\n");
    for n in 0..count {
        rows += &format!("491700000001,Alarm {n}\n");
    }
    rows
}

/// Half of the messages are never answered, and the receipts of all name ids that nobody knows.
fn mute_half() -> Settings {
    Settings {
        fate: Arc::new(|submit| if submit.sequence_number % 2 == 0 { Fate::SilentWithReceipt } else { Fate::Answered }),
        shape: Shape::TextOnly,
        ..Settings::default()
    }
}

const ALARMS: [&str; 9] = [
    "--allow-duplicates",
    "--window",
    "200",
    "--rate",
    "unlimited",
    "--response-timeout",
    "1s",
    "--wait-receipts",
    "2s",
];

#[test]
fn many_doubts_to_one_number_cost_each_the_same() {
    let run = |count: usize| {
        let smppost = smppost();
        let smsc = IndependentSmsc::start(mute_half());
        let ended = smppost.send(&alarms(count), smsc.port(), &ALARMS);
        assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM answer") as usize, count / 2, "{}", ended.said());
        work(&ended)[2]
    };
    let [small, large] = [run(200), run(800)];
    // What is judged is bounded by what came: some ten steps for each receipt, however many others there are.
    assert!(large <= 800 * 40, "{small} steps for 200, {large} for 800");
}

#[test]
fn a_signal_stops_it_in_the_middle_of_doubts_to_one_number() {
    let smppost = smppost();
    let smsc = IndependentSmsc::start(mute_half());
    let mut running = smppost.spawn_send(&alarms(20_000), smsc.port(), &ALARMS);
    running.wait_for_words("bound to");
    assert!(smsc.wait_for(|ledger| ledger.len() > 600, Duration::from_secs(60)));
    running.signal("TERM");
    let told = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    let soon = smsc.ledger().len();
    running.wait().assert_code(130);
    assert_eq!(smsc.ledger().len(), soon, "nothing new left later than two seconds after the signal");
    // A busy machine counts, too: without the bounds it would be minutes.
    assert!(told.elapsed() < Duration::from_secs(15), "{:?}", told.elapsed());
}

/// How long a run with a response timeout of 5 s went on after a signal, against an SMSC that says nothing any more.
fn mute_after_a_signal() -> Duration {
    let smppost = smppost();
    // A window opens as answers come: after ten it is as large as it gets.
    let fate = Arc::new(|submit: &Submit| if submit.nth <= 10 { Fate::Answered } else { Fate::Silent });
    let settings = Settings { fate, answers_enquire_link: false, answers_unbind: false, ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let more = ["--window", "50", "--response-timeout", "5s", "--receipts", "none"];
    let running = smppost.spawn_send(&crate::common::rows(500), smsc.port(), &more);
    assert!(smsc.wait_for(|ledger| ledger.len() == 60, Duration::from_secs(60)));
    running.signal("TERM");
    let told = Instant::now();
    running.wait().assert_code(130);
    let took = told.elapsed();
    assert_eq!(smsc.ledger().len(), 60);
    let found = states(&smppost.journal(), "c");
    assert_eq!((found["in_doubt"], found["queued"], found["accepted"]), (50, 440, 10), "{found:?}");
    took
}

#[test]
fn a_signal_ends_a_run_against_a_mute_smsc_within_the_response_timeout_and_two_seconds() {
    // Other work on the machine can make a run late; a timer that is too long makes all of them late.
    let mut took = Vec::new();
    while took.len() < 4 && took.last().is_none_or(|took| *took >= Duration::from_secs(5 + 2)) {
        took.push(mute_after_a_signal());
    }
    println!("ended so long after the signal: {took:?}");
    assert!(took.last().is_some_and(|took| *took < Duration::from_secs(5 + 2)), "{took:?}");
}

#[test]
fn options_that_cannot_be_read_are_an_error_and_no_default() {
    let smppost = smppost();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.send(&crate::common::rows(2), smsc.port(), &["--in-doubt", "resend"]).assert_code(0);
    rusqlite::Connection::open(smppost.journal())
        .unwrap()
        .execute("UPDATE campaign SET options = json_set(options, '$.in_doubt', 'as the next version likes')", [])
        .unwrap();
    for command in ["list", "report"] {
        let ended = smppost.run(&[command, "--journal", smppost.journal().to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{}", ended.said());
        assert!(
            ended.stderr.contains("the options of campaign") && ended.stderr.contains("as the next version"),
            "{}",
            ended.said()
        );
    }
}
