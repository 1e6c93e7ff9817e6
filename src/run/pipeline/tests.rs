use super::*;
use crate::journal::testkit::kill_tests::killed_before_judging;

/// A run of two connections, without threads, and the sender of its notices.
fn run() -> (Run, Sender<Notice>) {
    let (notice, notices) = bounded(8);
    let run = Run {
        started: Instant::now(),
        sent_at: None,
        board: Board::default(),
        pacer: Arc::new(Pacer::new(Rate::Unlimited)),
        journal: None,
        finish: None,
        notices,
        journal_ended: never(),
        journal_result: None,
        journal_thread: None,
        connections: Vec::new(),
        bound: vec![false; 2],
        next_try: vec![None; 2],
        alone_since: Instant::now(),
        limit: None,
        held_back: 0,
        hours: Hours::default(),
        can_submit: vec![Some(true); 2],
        words: Vec::new(),
        warned: vec![None; 2],
        unbound: Unbound::new(2, false),
        blocked: false,
        full: false,
        waits: None,
        decided: None,
        unfolded: false,
        found: Findings::default(),
        service: None,
        told_systemd: (String::new(), None),
        verdict: Verdict::Open,
        condemned: 0,
        reloading: Reloading::new(
            Arc::new(SendSettings::for_tests("j".as_ref(), 1).account),
            Arc::default(),
            Vec::new(),
        ),
    };
    (run, notice)
}

fn lost(slot: usize) -> Notice {
    Notice::Lost { slot, reason: format!("lost {slot}"), refused: None, retry_in: Duration::ZERO }
}

fn bound(slot: usize) -> Notice {
    Notice::Bound { slot, peer: String::new(), smsc: String::new(), warning: None }
}

#[test]
fn a_run_gives_up_when_nothing_is_bound_for_so_long_and_not_one_connection() {
    let (mut run, _notice) = run();
    let limit = Some(Duration::ZERO);
    assert_eq!(run.handle(bound(0)), None);
    assert_eq!(run.handle(lost(1)), None);
    let given_up = |run: &mut Run, limit| run.given_up(limit, NeverBound::End);
    assert_eq!(given_up(&mut run, limit), None);
    assert_eq!(run.handle(lost(0)), None);
    assert_eq!(given_up(&mut run, None), None);
    assert_eq!(given_up(&mut run, Some(Duration::from_secs(60))), None);
    assert_eq!(given_up(&mut run, limit), Some("given up, as nothing was bound for 0 s: lost 0".into()));
    run.pacer.set_hold(Hold::Long);
    assert_eq!(given_up(&mut run, limit), None, "outside the sending hours none is wanted");
    run.pacer.set_hold(Hold::No);
    run.can_submit = vec![Some(true), Some(false)];
    assert_eq!(run.handle(bound(1)), None);
    assert_eq!(run.handle(lost(0)), None);
    assert!(given_up(&mut run, limit).is_some(), "nothing can be sent");
    run.can_submit = vec![Some(false); 2];
    assert_eq!(given_up(&mut run, limit), None, "a run that listens");
}

#[test]
fn what_is_sent_already_has_its_receipts_fetched_at_any_hour() {
    let (mut run, _notice) = run();
    let never_again = Hours { stop_at: Some(Timestamp::UNIX_EPOCH), ..Hours::default() };
    run.pacer.set_hold(Hold::Long);
    let all_sent = Status { all_sent: true, ..Status::default() };
    run.hours = never_again.clone();
    assert!(!run.hours_are_over(&all_sent));
    assert_eq!(run.pacer.hold(), Hold::Short, "bound, but nothing goes");
    run.hours = Hours { start_at: Some(Timestamp::UNIX_EPOCH), ..Hours::default() };
    assert!(!run.hours_are_over(&all_sent));
    assert_eq!(run.pacer.hold(), Hold::No);
    run.hours = never_again;
    assert!(run.hours_are_over(&Status::default()));
    assert_eq!(run.pacer.hold(), Hold::Long);
}

#[test]
fn a_run_that_has_nothing_to_send_judges_the_receipts_that_the_last_one_left() {
    let bench = killed_before_judging();
    let settings = SendSettings::for_tests(&bench.path, 1);
    let lock = SenderLock::take(&bench.path).unwrap();
    let outcome = send(&settings, &lock, &never(), &mut |_| ()).unwrap();
    assert_eq!((outcome.ended, outcome.status.counts[State::Delivered as usize]), (Ended::NothingToDo, 600));
}
