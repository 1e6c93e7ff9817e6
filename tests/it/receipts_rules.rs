//! Whose receipts are where SMSCs do not make it easy: two ids in one receipt, ids that contradict numbers, ids given again,
//! one id for all parts, and a first part that fails while the others say nothing.

mod operator;
mod smsc;

use crate::common::{Smppost, expected, number, open, rows, rows_with, states};
use smsc::{Receipt, Say};
use std::collections::BTreeMap;
use std::time::Duration;

/// By which rules receipts were matched.
fn rules(smppost: &Smppost) -> BTreeMap<String, i64> {
    let connection = open(&smppost.journal());
    let mut statement = connection.prepare("SELECT rule, count(*) FROM receipt_log GROUP BY 1").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn delivered(smppost: &Smppost) -> Vec<String> {
    let connection = open(&smppost.journal());
    let sql = "SELECT destination FROM message_status WHERE state = 'delivered' ORDER BY destination";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_id_in_the_text_counts_where_that_of_the_tlv_is_ownerless() {
    for mangled in [|id: &str| id.replace('-', ""), |_: &str| "0".to_owned(), |id: &str| format!("{id}.1")] {
        let port = smsc::start(move |submit| {
            let id = format!("5f0c-{}-{}", submit.session, submit.nth);
            let receipt = Receipt { tlv_id: Some(mangled(&id)), ..submit.receipt(&id, "DELIVRD") };
            vec![submit.answer(&id), Say::Receipt(receipt)]
        });
        let smppost = Smppost::new();
        smppost.send(&rows(30), port, &[]).assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 30)]));
        assert_eq!(rules(&smppost), expected([("exact id in text", 30)]));
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn the_equivalent_id_in_the_text_counts_too() {
    let port = smsc::start(|submit| {
        let id = format!("{:08x}", 0xABC_0000 + submit.nth);
        let text_id = (0xABC_0000 + submit.nth).to_string();
        let receipt = Receipt { tlv_id: Some("-".into()), ..submit.receipt(&text_id, "DELIVRD") };
        vec![submit.answer(&id), Say::Receipt(receipt)]
    });
    let smppost = Smppost::new();
    smppost.send(&rows(20), port, &[]).assert_code(0);
    assert_eq!(rules(&smppost), expected([("equivalent id in text", 20)]));
}

#[test]
fn of_two_ids_the_one_of_the_message_to_the_receipts_number_wins() {
    // The TLV has the id of the message before, the text the right one.
    let port = smsc::start(|submit| {
        let id = |nth: usize| format!("m{nth}");
        let receipt = Receipt {
            tlv_id: Some(id(submit.nth - 1)),
            after: Duration::from_millis(300),
            ..submit.receipt(&id(submit.nth), "DELIVRD")
        };
        let is_told = submit.nth.is_multiple_of(2);
        [submit.answer(&id(submit.nth))].into_iter().chain(is_told.then_some(Say::Receipt(receipt))).collect()
    });
    let smppost = Smppost::new();
    smppost.send(&rows(20), port, &["--wait-receipts", "2s"]);
    let expected: Vec<String> = (0..20).filter(|n| n % 2 == 1).map(number).collect();
    assert_eq!(delivered(&smppost), expected);
}

#[test]
fn answers_with_the_neighbours_sequence_number_make_no_wrong_states() {
    // In each pair the answers are exchanged; receipts name the right number, in full or without its country.
    for national in [false, true] {
        let port = smsc::start(move |submit| {
            let last: usize = submit.to[submit.to.len() - 1..].parse().unwrap();
            let (id, is_delivered) = (format!("{}x", submit.to), last.is_multiple_of(2));
            let from = if national { format!("0{}", &submit.to[2..]) } else { submit.to.clone() };
            let stat = if is_delivered { "DELIVRD" } else { "UNDELIV" };
            let receipt = Receipt { from, after: Duration::from_millis(500), ..submit.receipt(&id, stat) };
            // The first travels alone, until it is answered.
            let sequence = match submit.nth {
                1 => submit.sequence,
                nth if nth.is_multiple_of(2) => submit.sequence + 1,
                _ => submit.sequence - 1,
            };
            vec![Say::Answer { sequence, id }, Say::Receipt(receipt)]
        });
        let smppost = Smppost::new();
        smppost.send(&rows(21), port, &["--window", "50", "--wait-receipts", "3s", "--response-timeout", "2s"]);
        let connection = open(&smppost.journal());
        let wrong: i64 = connection
            .query_row(
                "SELECT count(*) FROM message_status WHERE state IN ('delivered', 'failed')
                    AND (state = 'delivered') <> (substr(destination, -1) IN ('0', '2', '4', '6', '8'))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(wrong, 0, "{national} {:?}", rules(&smppost));
    }
}

#[test]
fn where_numbers_never_fit_the_id_alone_decides_and_from_the_first_that_fits_no_more() {
    // The second campaign's receipts name the right numbers.
    let port = smsc::start(|submit| {
        let id = format!("{}-{}", submit.session, submit.nth);
        let from = if submit.session == 1 { "447700999999".to_owned() } else { submit.to.clone() };
        vec![submit.answer(&id), Say::Receipt(Receipt { from, ..submit.receipt(&id, "DELIVRD") })]
    });
    let smppost = Smppost::new();
    smppost.send(&rows(20), port, &[]).assert_code(0);
    assert_eq!(rules(&smppost), expected([("exact id alone", 20)]));
    smppost.send(&rows_with(5, |row| format!("Second {row}")), port, &["--campaign", "d"]).assert_code(0);
    assert_eq!(rules(&smppost), expected([("exact id", 5), ("other number", 20)]));
    assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 20)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn every_form_of_a_number_fits() {
    let forms: [fn(&str) -> String; 4] =
        [|to| format!("+{to}"), |to| format!("00{to}"), |to| format!("0{}", &to[2..]), |to| to[2..].to_owned()];
    let port = smsc::start(move |submit| {
        let id = format!("{}-{}", submit.session, submit.nth);
        let from = forms[submit.nth % 4](&submit.to);
        vec![submit.answer(&id), Say::Receipt(Receipt { from, ..submit.receipt(&id, "DELIVRD") })]
    });
    let smppost = Smppost::new();
    smppost.send(&rows(20), port, &[]).assert_code(0);
    assert_eq!(rules(&smppost), expected([("exact id", 20)]));
}

#[test]
fn ids_that_start_again_go_to_the_newer_message_or_to_none() {
    for with_number in [true, false] {
        let port = smsc::start(move |submit| {
            let id = submit.nth.to_string();
            let from = if with_number { submit.to.clone() } else { String::new() };
            let receipt = Receipt { from, ..submit.receipt(&id, "UNDELIV") };
            // Of the first campaign no receipt comes, of the second all do.
            [submit.answer(&id)].into_iter().chain((submit.session > 1).then_some(Say::Receipt(receipt))).collect()
        });
        let smppost = Smppost::new();
        smppost.send(&rows(10), port, &["--wait-receipts", "1s"]);
        let second = |name| ["--campaign", name, "--wait-receipts", "1s"];
        smppost.send(&rows_with(10, |row| format!("Second {row}")), port, &second("d"));
        assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 10)]), "{with_number}");
        assert_eq!(states(&smppost.journal(), "d"), expected([("accepted", 10)]), "{with_number}");
        assert_eq!(rules(&smppost), expected([("ambiguous", 10)]), "{with_number}");
        // What was answered that long ago is no rival.
        std::thread::sleep(Duration::from_secs(5));
        let third = rows_with(10, |row| format!("Third {row}"));
        smppost.send(&third, port, &[&second("e")[..], &["--receipt-horizon", "4s"]].concat());
        assert_eq!(states(&smppost.journal(), "e"), expected([("failed", 10)]), "{with_number} {:?}", rules(&smppost));
        assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 10)]), "{with_number}");
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn one_id_and_one_receipt_for_all_parts_ends_every_message() {
    for receipts_for in ["first", "last", "all"] {
        for (stat, state, code) in [("DELIVRD", "delivered", 0), ("UNDELIV", "failed", 3)] {
            let port = smsc::start(move |submit| {
                let id = format!("all-{}", submit.to);
                let receipt = submit.receipt(&id, stat);
                [submit.answer(&id)].into_iter().chain((submit.part == 2).then_some(Say::Receipt(receipt))).collect()
            });
            let smppost = Smppost::new();
            let long = rows_with(4, |row| format!("{row} {}", "long ".repeat(80)));
            smppost.send(&long, port, &["--receipts-for", receipts_for, "--wait-receipts", "3s"]).assert_code(code);
            assert_eq!(states(&smppost.journal(), "c"), expected([(state, 4)]), "{receipts_for} {:?}", rules(&smppost));
            smppost.run(&["verify"]).assert_code(0);
        }
    }
}

#[test]
fn a_first_part_that_fails_while_the_others_say_nothing_fails_the_message() {
    for stat in ["REJECTD", "UNDELIV", "EXPIRED"] {
        let port = smsc::start(move |submit| {
            let id = format!("{}-{}", submit.session, submit.nth);
            let receipt = submit.receipt(&id, stat);
            [submit.answer(&id)].into_iter().chain((submit.part == 1).then_some(Say::Receipt(receipt))).collect()
        });
        let smppost = Smppost::new();
        let long = rows_with(3, |row| format!("{row} {}", "long ".repeat(60)));
        smppost.send(&long, port, &["--wait-receipts", "2s"]).assert_code(3);
        assert_eq!(states(&smppost.journal(), "c"), expected([("failed", 3)]), "{stat}");
    }
}
