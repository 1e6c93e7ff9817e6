//! Several campaigns on one journal thread, without threads of sessions or sockets: who gets how much, in which order, and
//! that nothing goes twice. Messages are counted; no clock is looked at.

use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::model::events::{Sent, ToJournal, ToSession};
use crate::journal::open::{open_existing, open_read_only};
use crate::journal::store::campaign_hours::{self, OwnHours};
use crate::journal::store::shares::{self, Change};
use crate::journal::testkit::bench::Bench;
use crate::journal::verify::verify;
use crate::policy::shares::Priority::{self, Bulk, Normal, Urgent};
use hashbrown::HashSet;
use proptest::prelude::*;

fn numbers(campaign: usize, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("4477{campaign:04}{n:05}")).collect()
}

/// Campaigns of so many messages, of so many parts each in turn.
fn bench(campaigns: &[(Priority, usize, &[u8])]) -> Bench {
    let numbers: Vec<Vec<String>> = (0..campaigns.len()).map(|n| numbers(n, campaigns[n].1)).collect();
    let messages = |n: usize| -> Vec<(&str, u8)> {
        let parts = campaigns[n].2.iter().cycle();
        numbers[n].iter().map(String::as_str).zip(parts.copied()).collect()
    };
    let share = |n: usize| Change { priority: Some(campaigns[n].0), rate: None };
    let mut bench = Bench::new(&messages(0), Hold);
    shares::set_by_name(&open_existing(&bench.path).unwrap(), "test", share(0)).unwrap();
    for n in 1..campaigns.len() {
        bench.import(&format!("c{n}"), &messages(n), share(n));
    }
    bench.restart();
    bench
}

fn parts_of(sent: &[Sent], campaign: u32) -> usize {
    sent.iter().filter(|sent| sent.campaign == campaign).count()
}

fn answer_all(bench: &mut Bench, session: i64, sent: &[Sent]) {
    for sent in sent {
        bench.answer(session, *sent, 0, &format!("{:x}", sent.attempt.0));
    }
}

/// First tries come in their campaign's order, and none comes twice.
fn check_order(sent: &[Sent]) {
    let mut last = hashbrown::HashMap::new();
    for sent in sent.iter().filter(|sent| sent.attempt.tried() == 0) {
        let before = last.insert(sent.campaign, sent.attempt.part());
        assert!(before.is_none_or(|before| before < sent.attempt.part()), "{sent:?} after {before:?}");
    }
}

#[test]
fn campaigns_share_by_their_weights_however_long_their_messages_are() {
    let mut bench = bench(&[(Bulk, 300, &[1]), (Normal, 900, &[1, 2]), (Urgent, 1_500, &[3])]);
    let session = bench.open_session();
    // The first of each are read on another thread.
    while !(0..3).all(|campaign| bench.thread().claimer.turns.lanes.at_hand(campaign)) {
        bench.tell(ToJournal::Want { session, parts: 0 });
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    for wanted in [1, 2, 7, 21, 60, 200] {
        let mut sent: Vec<Sent> = Vec::new();
        while sent.len() < 420 {
            let some = bench.send(session, wanted);
            answer_all(&mut bench, session, &some);
            sent.extend(some);
        }
        check_order(&sent);
        let whole = sent.len() as f64;
        for (campaign, share) in [(0, 1.0), (1, 4.0), (2, 16.0)] {
            let found = parts_of(&sent, campaign) as f64 * 21.0 / whole;
            assert!((found - share).abs() <= 1.5, "{wanted} at a time: campaign {campaign} has {found} of 21");
        }
    }
}

#[test]
fn what_is_made_urgent_by_another_process_goes_next() {
    let mut bench = bench(&[(Normal, 2_000, &[1]), (Bulk, 2_000, &[1]), (Bulk, 50, &[1])]);
    let session = bench.open_session();
    let sent = bench.send(session, 210);
    assert!(parts_of(&sent, 2) <= 36, "{}", parts_of(&sent, 2));
    answer_all(&mut bench, session, &sent);
    let urgent = Change { priority: Some(Urgent), rate: None };
    shares::set_by_name(&open_existing(&bench.path).unwrap(), "c2", urgent).unwrap();
    let sent = bench.send(session, 21);
    let first = sent.iter().position(|sent| sent.campaign == 2).unwrap();
    assert!(first <= 2, "{first} went before it");
    // 16 of 21, which it has not more messages for than a few.
    assert!((14..=17).contains(&parts_of(&sent, 2)), "{}", parts_of(&sent, 2));
}

#[test]
fn a_rate_of_its_own_holds_a_campaign_and_no_other() {
    let mut bench = bench(&[(Urgent, 500, &[1]), (Bulk, 500, &[1])]);
    // One in 17 minutes.
    let slow = Change { priority: None, rate: Some(Some(0.001)) };
    shares::set_by_name(&open_existing(&bench.path).unwrap(), "test", slow).unwrap();
    bench.restart();
    let session = bench.open_session();
    let sent = bench.send(session, 200);
    assert_eq!((parts_of(&sent, 0), parts_of(&sent, 1)), (1, 199));
    answer_all(&mut bench, session, &sent);
    let free = Change { priority: None, rate: Some(None) };
    shares::set_by_name(&open_existing(&bench.path).unwrap(), "test", free).unwrap();
    let sent = bench.send(session, 170);
    assert!(parts_of(&sent, 0) >= 150, "{}", parts_of(&sent, 0));
}

#[test]
fn what_one_campaign_tries_again_and_again_is_its_own_share() {
    let mut bench = bench(&[(Normal, 1_000, &[1]), (Normal, 1_000, &[1])]);
    let session = bench.open_session();
    let mut had = [0, 0];
    for _ in 0..40 {
        let sent = bench.send(session, 10);
        for sent in sent {
            had[sent.campaign as usize] += 1;
            // The first is refused each time, for the moment.
            let status = if sent.campaign == 0 { 0x14 } else { 0 };
            bench.answer(session, sent, status, "7");
        }
        bench.thread().claimer.hasten();
    }
    assert!(i32::abs(had[0] - had[1]) <= 12, "{had:?}");
}

#[test]
fn while_others_wait_nobody_holds_more_than_its_share_of_what_is_on_its_way() {
    let mut bench = bench(&[(Normal, 500, &[1]), (Normal, 500, &[1])]);
    let session = bench.open_session();
    // Of one campaign nothing is answered.
    let mut held = Vec::new();
    for _ in 0..60 {
        let sent = bench.send(session, 10usize.saturating_sub(held.len()).max(1));
        for sent in sent {
            if sent.campaign == 0 { held.push(sent) } else { bench.answer(session, sent, 0, "7") }
        }
        assert!(held.len() <= 6, "{} are held of one", held.len());
    }
}

#[test]
fn a_thousand_campaigns_cost_as_many_claims_as_they_have_messages_at_most_and_little_memory() {
    let campaigns: Vec<(Priority, usize, &[u8])> =
        (0..1_000).map(|n| (Priority::ALL[n % 3], 3 + n % 5, &[1, 2][..])).collect();
    let whole: usize = campaigns.iter().map(|(_, count, _)| count).sum();
    let mut bench = bench(&campaigns);
    let session = bench.open_session();
    let mut messages = HashSet::new();
    let mut all = Vec::new();
    while messages.len() < whole {
        let sent = bench.send(session, 100);
        assert!(!sent.is_empty(), "{} of {whole}", messages.len());
        assert!(bench.thread().claimer.turns.shares.active().len() <= 24);
        let at_hand = bench.thread().claimer.turns.lanes.holding();
        assert!(at_hand <= 72, "{at_hand} campaigns have chunks at hand");
        messages.extend(sent.iter().map(|sent| sent.message));
        answer_all(&mut bench, session, &sent);
        all.extend(sent);
    }
    check_order(&all);
    assert!(bench.thread().status.all_sent);
    assert!(bench.number("SELECT count(*) FROM claim") as usize <= whole);
}

#[test]
fn one_campaign_among_many_known_is_claimed_in_long_runs() {
    let mut bench = bench(&[(Normal, 3_000, &[1])]);
    let session = bench.open_session();
    let mut sent = Vec::new();
    while sent.len() < 3_000 {
        sent.extend(bench.send(session, 1_000.min(3_000 - sent.len())));
    }
    check_order(&sent);
    // As many as chunks and wants divide it into.
    assert!(bench.number("SELECT count(*) FROM claim") <= 8);
}

/// From now on campaign `test` is to begin so many hours from now, or has to end then.
fn set_hours(bench: &Bench, starts_in: Option<i64>, stops_in: Option<i64>, late_limit: Option<u64>) {
    let at = |hours: i64| crate::platform::clock::now_ms() + hours * 3_600_000;
    let hours = OwnHours {
        start_at: starts_in.map(at),
        stop_at: stops_in.map(at),
        late_limit_ms: late_limit.map(|hours| hours * 3_600_000),
        ..OwnHours::default()
    };
    campaign_hours::set_by_name(&open_existing(&bench.path).unwrap(), "test", &hours).unwrap();
}

#[test]
fn a_campaign_that_waits_for_its_hours_holds_no_place_and_goes_when_they_come() {
    let mut bench = bench(&[(Urgent, 100, &[1]), (Bulk, 300, &[1])]);
    set_hours(&bench, Some(20), None, None);
    bench.restart();
    let session = bench.open_session();
    let sent = bench.send(session, 50);
    assert_eq!(parts_of(&sent, 1), 50);
    assert_eq!(bench.thread().claimer.turns.shares.active(), [1]);
    let waits = bench.thread().status.waits.clone().unwrap();
    assert!(waits.contains("campaign test waits until"), "{waits}");
    // Its hours are changed beside the run.
    set_hours(&bench, None, None, None);
    let sent = bench.send(session, 21);
    assert!(parts_of(&sent, 0) >= 15, "{}", parts_of(&sent, 0));
    assert!(bench.thread().status.waits.is_none() && !bench.thread().status.all_sent);
    // They end: what is claimed and not written is to come back.
    bench.said(session);
    set_hours(&bench, Some(20), None, None);
    bench.tell(ToJournal::Want { session, parts: 0 });
    assert!(bench.said(session).iter().any(|said| matches!(said, ToSession::Withdraw(_))));
    let unwritten: Vec<Sent> = sent.iter().copied().filter(|sent| sent.campaign == 0).collect();
    let count = unwritten.len();
    bench.tell(ToJournal::GaveBack { session, sent: unwritten });
    assert_eq!(parts_of(&bench.send(session, 30), 0), 0);
    // Nothing is lost of it.
    set_hours(&bench, Some(-20), None, None);
    let mut found = HashSet::new();
    while found.len() < 100 {
        let sent = bench.send(session, 20);
        assert!(!sent.is_empty(), "{} of 100, {count} came back", found.len());
        found.extend(sent.iter().filter(|sent| sent.campaign == 0).map(|sent| sent.message));
    }
}

#[test]
fn what_may_not_be_sent_any_more_ends_the_run_and_is_named() {
    for (starts_in, stops_in, late_limit, expected) in
        [(None, Some(-1), None, "last moment"), (Some(-5), None, Some(2), "missed by more than 2 h")]
    {
        let mut bench = bench(&[(Normal, 5, &[1]), (Normal, 5, &[1])]);
        set_hours(&bench, starts_in, stops_in, late_limit);
        bench.restart();
        let session = bench.open_session();
        let sent = bench.send(session, 10);
        assert_eq!((parts_of(&sent, 0), parts_of(&sent, 1)), (0, 5));
        answer_all(&mut bench, session, &sent);
        assert!(bench.thread().status.all_sent);
        let kept = bench.thread().status.kept.clone().unwrap();
        assert!(kept.contains("campaign test") && kept.contains(expected), "{kept}");
        // It is said otherwise: it goes.
        set_hours(&bench, None, None, None);
        assert_eq!(parts_of(&bench.send(session, 10), 0), 5);
        assert!(bench.thread().status.kept.is_none());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    /// So many of what is on its way are answered: taken, refused for the moment, or for good.
    Answer(usize, u32),
    Priority(usize, Priority),
    Rate(usize, Option<f64>),
    /// The session ends; of what is on its way, so many were never written.
    Cut(usize),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![Just(Urgent), Just(Normal), Just(Bulk)];
    prop_oneof![
        6 => (1..30usize).prop_map(Step::Send),
        4 => (1..30usize, prop_oneof![4 => Just(0u32), 1 => Just(0x14), 1 => Just(0x0B)])
            .prop_map(|(count, status)| Step::Answer(count, status)),
        1 => (0..5usize, priority).prop_map(|(campaign, priority)| Step::Priority(campaign, priority)),
        1 => (0..5usize, proptest::option::of(1.0..1e6f64)).prop_map(|(campaign, rate)| Step::Rate(campaign, rate)),
        1 => (0..30usize).prop_map(Step::Cut),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_twice_under_any_interleaving(steps in proptest::collection::vec(step(), 1..30)) {
        let campaigns: [(Priority, usize, &[u8]); 5] =
            [(Normal, 20, &[1]), (Urgent, 9, &[2]), (Bulk, 15, &[1, 3]), (Normal, 5, &[1]), (Bulk, 30, &[1])];
        let mut bench = bench(&campaigns);
        let mut session = bench.open_session();
        let mut on_its_way: Vec<Sent> = Vec::new();
        // Parts that went, or may have, and are not to go again.
        let mut gone: HashSet<i64> = HashSet::new();
        let mut firsts: hashbrown::HashMap<u32, i64> = hashbrown::HashMap::new();
        let name = |campaign: usize| if campaign == 0 { "test".to_owned() } else { format!("c{campaign}") };
        for step in steps {
            match step {
                Step::Send(wanted) => {
                    let sent = bench.send_at_once(session, wanted);
                    for sent in &sent {
                        prop_assert!(gone.insert(sent.attempt.part()), "{sent:?} went before");
                        if sent.attempt.tried() == 0 {
                            let before = firsts.insert(sent.campaign, sent.attempt.part());
                            prop_assert!(before.is_none_or(|before| before < sent.attempt.part()), "out of order: {sent:?}");
                        }
                    }
                    on_its_way.extend(sent);
                }
                Step::Answer(count, status) => {
                    for sent in on_its_way.drain(..count.min(on_its_way.len())).collect::<Vec<_>>() {
                        if status == 0x14 {
                            gone.remove(&sent.attempt.part());
                        }
                        bench.answer(session, sent, status, &format!("{:x}", sent.attempt.0));
                    }
                }
                Step::Priority(campaign, priority) => {
                    let change = Change { priority: Some(priority), rate: None };
                    shares::set_by_name(&open_existing(&bench.path).unwrap(), &name(campaign), change).unwrap();
                }
                Step::Rate(campaign, rate) => {
                    let change = Change { priority: None, rate: Some(rate) };
                    shares::set_by_name(&open_existing(&bench.path).unwrap(), &name(campaign), change).unwrap();
                }
                Step::Cut(count) => {
                    let mut unanswered = std::mem::take(&mut on_its_way);
                    let unwritten = unanswered.split_off(unanswered.len() - count.min(unanswered.len()));
                    unwritten.iter().for_each(|sent| { gone.remove(&sent.attempt.part()); });
                    bench.tell(ToJournal::Closed { session, reason: "cut".into(), unanswered, unwritten });
                    session = bench.open_session();
                }
                Step::Kill => {
                    // All that was claimed and not answered is in doubt.
                    on_its_way.clear();
                    bench.restart();
                    session = bench.open_session();
                }
            }
        }
        let report = verify(&open_read_only(&bench.path).unwrap()).unwrap();
        let wrong: Vec<_> = report.checks.iter().filter(|check| check.problems > 0).collect();
        prop_assert!(wrong.is_empty(), "{:#?}", wrong);
    }
}
