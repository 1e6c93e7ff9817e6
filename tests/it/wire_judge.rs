//! Whole campaigns against an SMSC that judges every octet: no rule of SMPP is broken, everything is delivered, and the
//! journal tells row by row what the SMSC tells.
use crate::common::independent_smsc::{BindAnswer, IdForm, IndependentSmsc, Order, Report, Settings, Shape, Writing};
use crate::common::judge::Rules;
use crate::common::{Leeway, Smppost, assert_agree, expected, states};
use std::time::Duration;

const ROWS: usize = 300;

/// Sends `csv` to an SMSC with these settings; all of it has to be delivered without a broken rule.
#[track_caller]
fn delivered(csv: &str, settings: Settings, more: &[&str]) -> Report {
    let what = format!("{settings:?} {more:?}");
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    let ended = smppost.send(csv, smsc.port(), more);
    let report = smsc.finish();
    assert!(report.violations.is_empty(), "{what}: rules are broken:\n{}", report.violations.join("\n"));
    assert_eq!(ended.code, Some(0), "{what}: {}", ended.said());
    let rows = csv.lines().count() as i64 - 1;
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", rows)]), "{what}");
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    assert_eq!(report.counts.ended_rudely, 0, "{what}: a session ended without an unbind");
    assert_eq!(report.counts.delivers, report.counts.delivers_answered, "{what}");
    report
}

/// Every kind of text, with one way of writing, over the windows and one or two connections.
fn all_kinds(writing: Writing) {
    let kinds: [(&str, String, usize, &[&str]); 4] = [
        ("plain", crate::common::rows(ROWS), ROWS, &[]),
        ("long", crate::common::long_rows(ROWS), ROWS * 3, &[]),
        ("emoji", crate::common::emoji_rows(ROWS), ROWS * 3 / 2, &[]),
        ("personal", crate::common::personal_rows(ROWS), ROWS, &["--text", "Dear {name}, you owe {amount} €."]),
    ];
    let setups = [("1", "1"), ("10", "1"), ("100", "2"), ("10", "2")];
    for ((kind, csv, parts, more), (window, connections)) in kinds.iter().zip(setups.iter().cycle()) {
        let rules = Rules { window: window.parse().unwrap(), ..Rules::default() };
        let settings = Settings { rules, writing, seed: 7, ..Settings::default() };
        let more = [more, &["--window", window, "--connections", connections][..]].concat();
        let report = delivered(csv, settings, &more);
        assert_eq!(report.submits.len(), *parts, "{kind}");
        assert_eq!(report.counts.binds_accepted.to_string(), *connections, "{kind}");
    }
}

#[test]
fn campaigns_of_every_kind_written_as_usual() {
    all_kinds(Writing::Normal);
}

#[test]
fn f30_campaigns_of_every_kind_with_many_pdus_in_a_write() {
    all_kinds(Writing::Coalesced);
}

#[test]
fn f30_campaigns_of_every_kind_with_pdus_in_pieces() {
    all_kinds(Writing::Fragmented);
}

#[test]
fn windows_from_one_to_a_hundred_on_one_connection_and_two() {
    for (window, connections) in [("1", "2"), ("10", "2"), ("100", "1"), ("100", "2")] {
        let rules = Rules { window: window.parse().unwrap(), ..Rules::default() };
        let settings = Settings { rules, answer_delay: Duration::from_millis(5), ..Settings::default() };
        let report =
            delivered(&crate::common::rows(ROWS), settings, &["--window", window, "--connections", connections]);
        assert!(report.outstanding_max.to_string() == window || window == "100", "{}", report.outstanding_max);
    }
}

#[test]
fn f27_answers_in_any_order_are_matched() {
    for order in [Order::Reversed, Order::Random] {
        for writing in [Writing::Normal, Writing::Coalesced] {
            let settings = Settings { order, writing, seed: 3, ..Settings::default() };
            delivered(&crate::common::long_rows(100), settings, &["--window", "50", "--connections", "2"]);
        }
    }
}

#[test]
fn f30_the_answer_to_the_bind_octet_by_octet_or_glued_to_a_message() {
    for bind in [BindAnswer::OctetByOctet, BindAnswer::GluedWithDeliver, BindAnswer::WithoutVersion] {
        delivered(&crate::common::rows(20), Settings { binds: vec![bind], ..Settings::default() }, &[]);
    }
}

/// Sends fifty rows to an SMSC with such ids and receipts; all have to be delivered in the end.
#[track_caller]
fn delivered_with(id: IdForm, shape: Shape) {
    let delay = if shape == Shape::Early { 0 } else { 20 };
    let settings = Settings { id, shape, receipt_delay: Duration::from_millis(delay), ..Settings::default() };
    let smsc = IndependentSmsc::start(settings);
    let smppost = Smppost::new();
    let ended = smppost.send(&crate::common::rows(50), smsc.port(), &["--wait-receipts", "2s"]);
    let report = smsc.finish();
    report.assert_clean();
    let found = states(&smppost.journal(), "c");
    assert_eq!(found, expected([("delivered", 50)]), "{id:?} {shape:?}: {}", ended.said());
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn f32_receipts_of_every_shape_end_in_the_same_state() {
    let shapes = [
        (IdForm::Decimal, Shape::Early),
        (IdForm::Decimal, Shape::EarlyAndAgain),
        (IdForm::Decimal, Shape::Duplicate),
        (IdForm::Padded, Shape::Normal),
        (IdForm::Uuid, Shape::TlvOnly),
        (IdForm::SixtyFour, Shape::TextOnly),
        (IdForm::HexLower, Shape::TlvWithoutNul),
        (IdForm::Uuid, Shape::Odd),
        (IdForm::Decimal, Shape::IntermediateFirst),
        (IdForm::Decimal, Shape::DataSm),
    ];
    for (id, shape) in shapes {
        delivered_with(id, shape);
    }
}

#[test]
fn f33_ids_in_another_radix_or_with_leading_zeros_are_matched() {
    let shapes = [
        (IdForm::HexLower, Shape::HexThenDecimal),
        (IdForm::HexUpper, Shape::HexThenDecimal),
        (IdForm::Decimal, Shape::DecimalThenHex),
        (IdForm::Decimal, Shape::Padded),
    ];
    for (id, shape) in shapes {
        delivered_with(id, shape);
    }
}

#[test]
fn optional_parameters_that_nobody_knows_cost_nothing() {
    delivered(&crate::common::rows(50), Settings { unknown_tlvs: true, ..Settings::default() }, &[]);
}

#[test]
fn receipts_are_asked_for_as_the_campaign_says() {
    for (receipts, flag, state) in [("all", 1, "delivered"), ("failures", 2, "accepted"), ("none", 0, "accepted")] {
        let smsc = IndependentSmsc::start(Settings::default());
        let smppost = Smppost::new();
        let more = ["--receipts", receipts, "--wait-receipts", "1s"];
        let ended = smppost.send(&crate::common::rows(20), smsc.port(), &more);
        let report = smsc.finish();
        report.assert_clean();
        assert!(report.submits.iter().all(|submit| submit.registered_delivery == flag), "{receipts}");
        assert_eq!(states(&smppost.journal(), "c"), expected([(state, 20)]), "{receipts}: {}", ended.said());
    }
}

#[test]
fn the_rate_is_kept() {
    let once = || {
        let report = delivered(&crate::common::rows(90), Settings::default(), &["--rate", "30", "--window", "50"]);
        report.per_second_max
    };
    // On a busy machine the SMSC may find much of a second at once in its socket, or little; not every time.
    let seen: Vec<usize> = std::iter::repeat_with(once).take(6).take_while(|most| !(27..=33).contains(most)).collect();
    assert!(seen.len() < 6, "{seen:?} in a second");
}
