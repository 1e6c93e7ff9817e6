//! A service's journal thread, without sessions' threads or sockets: what commands bring about, and what it holds by itself.

use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::model::command::{Answer, Request, Terms, ToRelease};
use crate::journal::model::events::{Sent, ToJournal};
use crate::journal::open::{open_existing, open_read_only};
use crate::journal::store::alerts::{Gathered, gather};
use crate::journal::store::budget::{self, Budget};
use crate::journal::store::campaign_hours::{self, OwnHours};
use crate::journal::store::commands;
use crate::journal::store::decisions::{Decision, written};
use crate::journal::store::intake::NewMessage;
use crate::journal::store::number_index::key_of;
use crate::journal::store::release::{Released, Standing};
use crate::journal::store::shares::Change;
use crate::journal::testkit::bench::Bench;
use crate::message::prices::{Amount, PriceList};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Campaigns `test`, `c1`, `c2`, … of so many messages each, beside a service.
fn bench(sizes: &[usize]) -> Bench {
    let numbers = |n: usize| -> Vec<String> { (0..sizes[n]).map(|m| format!("4477{n:04}{m:05}")).collect() };
    let numbers: Vec<Vec<String>> = (0..sizes.len()).map(numbers).collect();
    let messages = |n: usize| -> Vec<(&str, u8)> { numbers[n].iter().map(|number| (number.as_str(), 1)).collect() };
    let mut bench = Bench::new(&messages(0), Hold);
    for n in 1..sizes.len() {
        bench.import(&format!("c{n}"), &messages(n), Change::default());
    }
    bench.serves = true;
    bench.restart();
    bench
}

/// Has the service do it, and returns its answer.
fn ask(bench: &mut Bench, request: &Request) -> Answer {
    let other = open_existing(&bench.path).unwrap();
    let key = format!("{:016x}", fastrand::u64(..));
    commands::write(&other, &key, request.what(), "test", &serde_json::to_string(request).unwrap()).unwrap();
    for _ in 0..20 {
        bench.thread().transact(&mut Vec::new(), true).unwrap();
        if let Some(commands::State::Answered(answer)) = commands::state(&other, &key).unwrap() {
            // Whatever it left to the next transactions.
            for _ in 0..3 {
                bench.thread().transact(&mut Vec::new(), true).unwrap();
            }
            return serde_json::from_str(&answer).unwrap();
        }
    }
    panic!("it is not answered");
}

fn release_with(bench: &mut Bench, name: &str, terms: Terms, decisions: &[Decision]) -> Answer {
    let id = bench.query(&format!("SELECT id FROM campaign WHERE name = '{name}'"), |row| row.get(0))[0];
    let end = Some(bench.query(&format!("SELECT end_id FROM campaign WHERE name = '{name}'"), |row| row.get(0))[0]);
    let decisions = decisions.iter().map(|decision| written(decision).unwrap()).collect();
    let campaigns = vec![ToRelease { id, name: name.into(), end, decisions }];
    ask(bench, &Request::Release { campaigns, terms })
}

fn release(bench: &mut Bench, name: &str) {
    assert_eq!(release_with(bench, name, Terms::default(), &[]), Answer::default());
}

fn standing(bench: &Bench, id: i64) -> Standing {
    Released::load(&open_read_only(&bench.path).unwrap()).unwrap().of(id).cloned().unwrap_or_default()
}

/// Why a campaign is held.
fn held(bench: &Bench, id: i64) -> Option<String> {
    standing(bench, id).held.map(|why| why.reason)
}

fn answer_all(bench: &mut Bench, session: i64, sent: &[Sent], status: u32) {
    for sent in sent {
        bench.answer(session, *sent, status, &format!("{:x}", sent.attempt.0));
    }
}

/// Alerts to these numbers, as `send --to` puts them into the journal, and tells the service.
fn alert(bench: &mut Bench, to: &[String], terms: Option<Terms>) -> (Gathered, Answer) {
    let messages: Vec<NewMessage<'_>> = to
        .iter()
        .map(|to| NewMessage {
            line: 2,
            destination: to,
            number: key_of(to),
            source: None,
            text: "stopped",
            encoding: 0,
            parts: 1,
            fields: None,
            typed: None,
            suppressed: false,
        })
        .collect();
    let gathered = gather(&bench.path, "alerts", &CampaignOptions::default(), &messages, None).unwrap();
    let request = Request::Gathered { id: gathered.id, name: gathered.campaign.clone(), terms };
    let answer = ask(bench, &request);
    (gathered, answer)
}

fn number(n: usize) -> Vec<String> {
    vec![format!("44770090{n:04}")]
}

fn budget(bench: &Bench, id: i64, messages: i64) {
    let prices = PriceList::parse("44,0.01,EUR").unwrap();
    let budget = Budget { max_cost: Some(Amount(messages * 10_000)), prices };
    budget::set(&open_existing(&bench.path).unwrap(), id, &budget).unwrap();
}

#[test]
fn alerts_go_on_after_their_campaign_was_resumed_by_its_name_and_with_a_limit() {
    let mut bench = bench(&[1]);
    let session = bench.open_session();
    for n in 0..4 {
        let (gathered, answer) = alert(&mut bench, &number(n), None);
        assert_eq!(answer, Answer::default());
        let sent = bench.send(session, 1);
        assert_eq!(sent.iter().map(|sent| sent.message).collect::<Vec<_>>(), [gathered.placed[0].message], "alert {n}");
        answer_all(&mut bench, session, &sent, 0);
        let terms = Terms { limit: (n == 2).then_some(1), ..Terms::default() };
        assert_eq!(release_with(&mut bench, "alerts", terms, &[]), Answer::default());
    }
    // Several that come together are one release more.
    let id = bench.query("SELECT id FROM campaign WHERE name = 'alerts'", |row| row.get::<_, i64>(0))[0];
    assert_eq!(standing(&bench, id).end, None);
}

#[test]
fn an_alert_to_a_campaign_that_is_held_is_refused_with_the_reason() {
    let mut bench = bench(&[1]);
    let session = bench.open_session();
    let (gathered, _) = alert(&mut bench, &number(1), None);
    let sent = bench.send(session, 1);
    answer_all(&mut bench, session, &sent, 0);
    budget(&bench, gathered.id, 1);
    // What is said of it besides takes effect.
    let (_, answer) = alert(&mut bench, &number(2), Some(Terms::default()));
    assert_eq!(answer, Answer::default());
    assert!(bench.send_at_once(session, 1).is_empty());
    assert!(held(&bench, gathered.id).unwrap().contains("--max-cost"));
    let (_, answer) = alert(&mut bench, &number(3), None);
    let why = answer.refused.unwrap();
    assert!(why.contains("--max-cost 0.01 EUR") && why.contains("`smppost resume alerts`"), "{why}");
    budget(&bench, gathered.id, 10);
    release(&mut bench, "alerts");
    assert_eq!(bench.send(session, 2).len(), 2);
}

#[test]
fn an_alert_costs_as_much_after_many_as_after_few() {
    let mut bench = bench(&[1]);
    let session = bench.open_session();
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let handler = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    bench.thread().connection.progress_handler(10, Some(handler)).unwrap();
    let mut cost = Vec::new();
    for n in 0..100 {
        steps.store(0, Ordering::Relaxed);
        assert_eq!(alert(&mut bench, &number(n), None).1, Answer::default());
        cost.push(steps.load(Ordering::Relaxed));
        let sent = bench.send(session, 1);
        assert_eq!(sent.len(), 1);
        // Tried again: it has a state of its own in the journal from then on.
        answer_all(&mut bench, session, &sent, 0x14);
        let sent = bench.send(session, 1);
        answer_all(&mut bench, session, &sent, 0);
    }
    let median = |costs: &mut [u64]| {
        costs.sort_unstable();
        costs[costs.len() / 2]
    };
    let (few, many) = (median(&mut cost[5..20]), median(&mut cost[85..100]));
    assert!(many < few * 3 / 2, "{few} steps after a few, {many} after many");
}

#[test]
fn new_terms_of_a_campaign_that_is_being_sent_take_effect() {
    let mut bench = bench(&[300, 10]);
    let session = bench.open_session();
    release(&mut bench, "test");
    let sent = bench.send(session, 20);
    answer_all(&mut bench, session, &sent, 0);
    // So many in all, with what went before it was said.
    budget(&bench, 1, 50);
    release(&mut bench, "test");
    let sent = bench.send_at_once(session, 100);
    assert_eq!(sent.len(), 30);
    answer_all(&mut bench, session, &sent, 0);
    bench.tell(ToJournal::Want { session, parts: 0 });
    assert!(held(&bench, 1).unwrap().contains("--max-cost"), "{:?}", standing(&bench, 1));
    // More, and then less than that while it is sent.
    budget(&bench, 1, 200);
    release(&mut bench, "test");
    let sent = bench.send(session, 10);
    answer_all(&mut bench, session, &sent, 0);
    budget(&bench, 1, 65);
    release(&mut bench, "test");
    let sent = bench.send_at_once(session, 100);
    assert_eq!(sent.len(), 5);
    answer_all(&mut bench, session, &sent, 0);
    budget(&bench, 1, 1_000);
    // A rule that it did not have.
    let terms = Terms { stop_when: vec!["rejected>5%".into()], ..Terms::default() };
    release(&mut bench, "test");
    assert_eq!(release_with(&mut bench, "test", terms, &[]), Answer::default());
    while held(&bench, 1).is_none() {
        let sent = bench.send(session, 10);
        answer_all(&mut bench, session, &sent[..7], 0);
        answer_all(&mut bench, session, &sent[7..], 0x0B);
    }
    assert!(held(&bench, 1).unwrap().contains("rejected>5%"), "{:?}", standing(&bench, 1));
    assert!(bench.send_at_once(session, 10).is_empty());
    // A limit.
    release(&mut bench, "c1");
    let terms = Terms { limit: Some(4), ..Terms::default() };
    assert_eq!(release_with(&mut bench, "c1", terms, &[]), Answer::default());
    assert_eq!(bench.send_at_once(session, 10).len(), 4);
}

#[test]
fn rejections_in_a_row_hold_the_campaign_that_has_them() {
    let mut bench = bench(&[100, 100, 300]);
    let session = bench.open_session();
    for name in ["test", "c1", "c2"] {
        release(&mut bench, name);
    }
    let mut rejected = [0; 3];
    while rejected[0] < 40 || rejected[1] < 40 {
        let sent = bench.send(session, 1)[0];
        let campaign = sent.campaign as usize;
        let status = if campaign < 2 && rejected[campaign] < 40 { 0x0B } else { 0 };
        rejected[campaign] += i32::from(status != 0);
        bench.answer(session, sent, status, "7");
    }
    assert_eq!([1, 2, 3].map(|id| held(&bench, id)), [None, None, None], "80 in all, of no campaign 50");
    let id = |campaign: u32| i64::from(campaign) + 1;
    let mut more = 0;
    while held(&bench, 1).is_none() && more < 200 {
        let sent = bench.send(session, 1)[0];
        more += 1;
        // Only the first is rejected from now on; it has had some that were taken.
        bench.answer(session, sent, if sent.campaign == 0 { 0x0B } else { 0 }, "7");
    }
    assert!(held(&bench, 1).unwrap().contains("50 messages in a row were rejected alike"));
    assert_eq!((held(&bench, id(1)), held(&bench, id(2))), (None, None));
    // When it goes on it begins anew.
    release(&mut bench, "test");
    for _ in 0..30 {
        let sent = bench.send(session, 1)[0];
        bench.answer(session, sent, if sent.campaign == 0 { 0x0B } else { 0 }, "7");
    }
    assert_eq!(held(&bench, 1), None);
}

/// From now on a campaign is to begin so many hours from now, or has to end then.
fn set_hours(bench: &Bench, name: &str, starts_in: Option<i64>, stops_in: Option<i64>) {
    let at = |hours: i64| crate::platform::clock::now_ms() + hours * 3_600_000;
    let hours = OwnHours {
        start_at: starts_in.map(at),
        stop_at: stops_in.map(at),
        late_limit_ms: starts_in.map(|_| 7_200_000),
        ..OwnHours::default()
    };
    campaign_hours::set_by_name(&open_existing(&bench.path).unwrap(), name, &hours).unwrap();
}

#[test]
fn a_campaign_whose_time_is_over_is_held_and_goes_where_its_hours_are_ignored() {
    for (starts_in, stops_in, expected) in
        [(Some(-5), None, "missed by more than 2 h"), (None, Some(-1), "last moment")]
    {
        let mut bench = bench(&[5, 5]);
        let session = bench.open_session();
        set_hours(&bench, "test", starts_in, stops_in);
        for name in ["test", "c1"] {
            release(&mut bench, name);
        }
        let why = held(&bench, 1).unwrap();
        assert!(why.contains(expected) && why.contains("--ignore-hours"), "{why}");
        let sent = bench.send_at_once(session, 10);
        assert!(sent.len() == 5 && sent.iter().all(|sent| sent.campaign == 1));
        // The same again.
        release(&mut bench, "test");
        assert!(held(&bench, 1).is_some());
        let terms = Terms { ignore_hours: true, ..Terms::default() };
        assert_eq!(release_with(&mut bench, "test", terms, &[]), Answer::default());
        assert_eq!(held(&bench, 1), None);
        assert_eq!(bench.send(session, 2).len(), 2);
        // Whatever is said of them later, and after a restart.
        set_hours(&bench, "test", None, Some(-2));
        assert_eq!(bench.send(session, 1).len(), 1);
        bench.restart();
        let session = bench.open_session();
        assert_eq!(bench.send(session, 1).iter().filter(|sent| sent.campaign == 0).count(), 1);
    }
}

#[test]
fn a_campaign_that_waits_for_its_hours_says_so_and_leaves_no_trace_when_it_is_through() {
    let mut bench = bench(&[5, 5]);
    let session = bench.open_session();
    set_hours(&bench, "test", Some(20), None);
    for name in ["c1", "test"] {
        release(&mut bench, name);
    }
    let status = |bench: &mut Bench| ask(bench, &Request::Status).status.unwrap();
    let told = status(&mut bench);
    let names: Vec<&str> = told.campaigns.iter().map(|campaign| campaign.campaign.as_str()).collect();
    assert_eq!(names, ["c1", "test"], "in order of release");
    assert_eq!((told.campaigns[0].share, told.campaigns[1].share), (Some(1.0), None));
    let waits = told.campaigns[1].waits.clone().unwrap();
    assert!(waits.starts_with("waits for its hours, until "), "{waits}");
    assert!(told.campaigns[0].waits.is_none() && told.last_refusal.is_none());
    let sent = bench.send(session, 5);
    answer_all(&mut bench, session, &sent[..1], 0x0B);
    answer_all(&mut bench, session, &sent[1..], 0);
    let refusal = status(&mut bench).last_refusal.unwrap();
    assert!(refusal.contains("campaign c1: 0x0B"), "{refusal}");
    // The campaign that waits comes to its hours, and to its end; then those end.
    set_hours(&bench, "test", Some(-1), Some(20));
    let sent = bench.send(session, 5);
    answer_all(&mut bench, session, &sent, 0);
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    assert!(bench.thread().claimer.active.is_empty() && bench.thread().calendar.is_empty());
    set_hours(&bench, "test", None, Some(-1));
    bench.thread().transact(&mut Vec::new(), true).unwrap();
    assert_eq!((held(&bench, 1), bench.thread().status.kept.clone()), (None, None));
}

#[test]
fn a_line_that_was_cancelled_and_is_brought_back_beside_the_service_is_sent() {
    // Before the claims came to it, and after; with the campaign at work, and through.
    for sent_before in [0, 3, 4] {
        let mut bench = bench(&[5]);
        let session = bench.open_session();
        release(&mut bench, "test");
        // It is read ahead.
        let mut sent = bench.send(session, 1);
        bench.decide(&Decision::Cancel { lines: vec![4] });
        sent.extend(bench.send_at_once(session, sent_before));
        answer_all(&mut bench, session, &sent, 0);
        let back = Decision::Uncancel { lines: vec![4] };
        assert_eq!(release_with(&mut bench, "test", Terms::default(), &[back]), Answer::default());
        let rest = bench.send(session, 5 - sent.len());
        let mut messages: Vec<i64> = sent.iter().chain(&rest).map(|sent| sent.message).collect();
        messages.sort_unstable();
        assert_eq!(messages, [1, 2, 3, 4, 5], "{} before", sent.len());
        answer_all(&mut bench, session, &rest, 0);
        assert!(bench.states().iter().all(|state| state == "accepted"));
    }
}

#[test]
fn a_line_that_is_cancelled_once_more_stays_so() {
    let mut bench = bench(&[5]);
    let session = bench.open_session();
    release(&mut bench, "test");
    let mut sent = bench.send(session, 1);
    let lines = || vec![3];
    bench.decide(&Decision::Cancel { lines: lines() });
    sent.extend(bench.send_at_once(session, 2));
    let both = [Decision::Uncancel { lines: lines() }, Decision::Cancel { lines: lines() }];
    assert_eq!(release_with(&mut bench, "test", Terms::default(), &both), Answer::default());
    sent.extend(bench.send_at_once(session, 5));
    assert_eq!(sent.iter().filter(|sent| sent.message == 2).count(), 0);
    assert_eq!(sent.len(), 4);
}

#[test]
fn messages_that_need_optional_parameters_do_not_go_without_them() {
    let mut bench = bench(&[6, 6]);
    bench.takes_tlvs = false;
    let session = bench.open_session();
    let other = open_existing(&bench.path).unwrap();
    // The fourth of them carries one.
    let with = r#"UPDATE message SET fields = '{"tlvs":{"0x1401":"01"}}' WHERE id = 4"#;
    other.execute_batch(with).unwrap();
    for name in ["test", "c1"] {
        release(&mut bench, name);
    }
    let sent = bench.send_at_once(session, 12);
    let of = |sent: &[Sent], campaign: u32| sent.iter().filter(|sent| sent.campaign == campaign).count();
    assert_eq!((of(&sent, 0), of(&sent, 1)), (3, 6), "those before it, and all of another campaign");
    bench.tell(ToJournal::Want { session, parts: 0 });
    assert!(held(&bench, 1).unwrap().contains("--tlvs yes") && held(&bench, 2).is_none());
    bench.lose(session, Vec::new());
    bench.takes_tlvs = true;
    let session = bench.open_session();
    release(&mut bench, "test");
    assert_eq!(bench.send(session, 3).len(), 3);
}

#[test]
fn what_cannot_be_read_of_one_campaign_holds_it_and_the_others_go() {
    for (sql, expected) in [
        (
            "INSERT INTO campaign_hours (campaign_id, at, hours) VALUES (1, 0, '{\"between\":\"noon\"}')",
            "hours of campaign",
        ),
        (
            "INSERT INTO budget (campaign_id, at, max_cost, currency, prices) VALUES (1, 0, 9, 'EUR', 'dear')",
            "the prices of",
        ),
    ] {
        let mut bench = bench(&[5, 5]);
        let other = open_existing(&bench.path).unwrap();
        for name in ["test", "c1"] {
            release(&mut bench, name);
        }
        other.execute_batch(sql).unwrap();
        if expected.starts_with("the prices") {
            release(&mut bench, "test");
        }
        bench.thread().transact(&mut Vec::new(), true).unwrap();
        assert!(held(&bench, 1).unwrap().contains(expected), "{:?}", standing(&bench, 1));
        // Released at a moment at which nobody could look: it is held when the service starts.
        other
            .execute_batch("INSERT INTO release (campaign_id, at, kind, reason, who) VALUES (1, 0, 'released', '', '')")
            .unwrap();
        bench.restart();
        bench.thread().transact(&mut Vec::new(), true).unwrap();
        assert!(held(&bench, 1).unwrap().contains(expected));
        let session = bench.open_session();
        let sent = bench.send(session, 5);
        assert!(sent.len() == 5 && sent.iter().all(|sent| sent.campaign == 1), "{}", sent.len());
        assert_eq!(bench.send_at_once(session, 5).len(), 0);
    }
}

#[test]
fn what_is_decided_of_a_campaign_that_is_through_is_sent() {
    let mut bench = bench(&[6]);
    let session = bench.open_session();
    release(&mut bench, "test");
    let sent = bench.send(session, 2);
    answer_all(&mut bench, session, &sent, 0x0B);
    bench.decide(&Decision::Cancel { lines: vec![7] });
    let sent = bench.send(session, 3);
    answer_all(&mut bench, session, &sent, 0);
    for _ in 0..2 {
        bench.thread().transact(&mut Vec::new(), true).unwrap();
    }
    assert!(bench.thread().claimer.active.is_empty(), "it is through");
    let again = [Decision::RetryRejected { code: None }, Decision::Uncancel { lines: Vec::new() }];
    assert_eq!(release_with(&mut bench, "test", Terms::default(), &again), Answer::default());
    let sent = bench.send(session, 3);
    let mut messages: Vec<i64> = sent.iter().map(|sent| sent.message).collect();
    messages.sort_unstable();
    assert_eq!(messages, [1, 2, 6]);
    answer_all(&mut bench, session, &sent, 0);
    assert!(bench.states().iter().all(|state| state == "accepted"));
}
