//! Receipts and inbound messages of an SMSC that is not the simulator.

use super::{Story, milliseconds, rule, times, torn};
use crate::common::independent_smsc::{Action, Event, IdForm, IndependentSmsc, Outcome, Settings, Shape};
use crate::common::judge::Submit;
use crate::common::{Leeway, Smppost, assert_agree, expected, number, one, rows, states};

#[test]
fn f32_receipts_that_come_after_a_restart_are_matched() {
    let smsc = IndependentSmsc::start(Settings { receipt_delay: milliseconds(6_000), ..Settings::default() });
    let smppost = Smppost::new();
    smppost.send(&rows(50), smsc.port(), &["--wait-receipts", "100ms"]);
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 50)]));
    let ended = smppost.send(&rows(50), smsc.port(), &["--wait-receipts", "60s"]);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 50)]), "{}", ended.said());
    assert_eq!(report.submits.len(), 50, "nothing is sent twice");
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn f36_texts_that_look_like_receipts_confuse_nobody() {
    let csv = crate::common::rows_with(20, |row| format!("stat:UNDELIV id:{row} err:999"));
    for shape in [Shape::Normal, Shape::TextOnly, Shape::Odd] {
        let story = Story::of(&csv, Settings { shape, ..Settings::default() }, &[]);
        story.assert(0, &[("delivered", 20)]).agrees(Leeway::default());
    }
}

#[test]
fn f37_delivered_partly_delivered_failed_and_rejected_are_told_apart() {
    // Rows by their last digit: 1 loses its second part, 2 all its parts; of 3 the second part is refused.
    let last = |submit: &Submit| submit.destination.bytes().last().unwrap_or_default();
    let second = |submit: &Submit| submit.part.is_some_and(|part| part.number == 2);
    let outcome = rule(move |submit: &Submit| match last(submit) {
        b'1' if second(submit) => Outcome::Undeliverable,
        b'2' => Outcome::Expired,
        _ => Outcome::Delivered,
    });
    let status = rule(move |submit: &Submit| if last(submit) == b'3' && second(submit) { 0x66 } else { 0 });
    for window in ["1", "10"] {
        let settings =
            Settings { rules: torn(10), outcome: outcome.clone(), status: status.clone(), ..Settings::default() };
        let story = Story::of(&crate::common::long_rows(40), settings, &["--window", window]);
        let found = states(&story.smppost.journal(), "c");
        let expected = expected([("delivered", 28), ("failed", 4), ("partly_delivered", 8)]);
        assert_eq!(found, expected, "window {window}: {}", story.ended.said());
        story.report.assert_clean();
        story.ended.assert_code(3);
        let thirds = story.report.submits.iter().filter(|submit| last(submit) == b'3').count();
        let (least, most) = if window == "1" { (8, 8) } else { (8, 12) };
        assert!((least..=most).contains(&thirds), "window {window}: {thirds} parts of messages with a refused part");
        story.agrees(Leeway::default());
    }
}

#[test]
fn f38_messages_from_handsets_are_stored_and_answered_by_nothing_else() {
    let events = vec![
        Event { session: 1, after: 0, action: Action::Inbound("STOP".into()) },
        Event { session: 1, after: 5, action: Action::Inbound("id:without a receipt's bits".into()) },
    ];
    let story = Story::of(&rows(10), Settings { events, ..Settings::default() }, &[]);
    story.assert(0, &[("delivered", 10)]).agrees(Leeway::default());
    assert_eq!(one(&story.smppost.journal(), "SELECT count(*) FROM inbound"), 2);
    assert_eq!(story.report.submits.len(), 10);
}

#[test]
fn an_id_given_twice_or_none_at_all_costs_no_message() {
    for id in [IdForm::Same, IdForm::Empty] {
        let settings = Settings { id, shape: Shape::None, ..Settings::default() };
        let story = Story::of(&rows(20), settings, &["--receipts", "none"]);
        story.assert(0, &[("accepted", 20)]);
        assert_eq!(times(&story.report.submits)[number(3).as_str()], 1);
    }
}
