//! `forget NUMBER`.

use super::{found, packed, sent, strings, text};
use crate::common::independent_smsc::{IndependentSmsc, Outcome, Settings};
use crate::common::{Smppost, expected, long_rows, number, one, rows_with, states};
use std::sync::Arc;

#[test]
fn a_number_is_forgotten_in_every_place_and_the_others_are_not() {
    let (smppost, _) = sent(6);
    let other = number(1);
    let of =
        |smppost: &Smppost| strings(smppost, "SELECT destination || text || state FROM message_status WHERE line <> 5");
    let before = of(&smppost);
    let id = strings(&smppost, "SELECT message_ids FROM message_status WHERE line = 5");
    smppost.run(&["suppress", "add", &number(3), "--reason", "it asked on the phone"]).assert_code(0);
    let journal = rusqlite::Connection::open(smppost.journal()).unwrap();
    journal
        .execute_batch(&format!(
            "INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu)
                 VALUES (1, 1, '+{0}', '555', 0, 0, 'Antwort darauf', x'00'), (1, 1, '{1}', '555', 0, 0, 'Andere', x'00');
             INSERT INTO receipt (id, received_at, final, rule, message_id, source, destination, text)
                 VALUES (-1, 1, 1, 0, 'fremd-1', '00{0}', '555', 'id:fremd-1'), (-2, 1, 1, 0, 'fremd-2', '{1}', '555', 'x');
             INSERT INTO skipped_row (campaign_id, line, duplicate, reason, row) VALUES (1, 9, 1, 'again', '0{2} 1234x; nochmals');
             UPDATE campaign SET duplicate_rows = duplicate_rows + 1;",
            number(3),
            other,
            &number(3)[2..],
        ))
        .unwrap();
    drop(journal);
    std::fs::write(smppost.path("journal.db.v1-backup"), number(3)).unwrap();
    let typed = format!("+{} {} {}", &number(3)[..2], &number(3)[2..6], &number(3)[6..]);
    let forgotten = smppost.run(&["forget", &typed]);
    forgotten.assert_code(0);
    for words in ["campaign c: 1 message, delivered", "stays on the suppression list", "not touched", "v1-backup"] {
        assert!(forgotten.words().contains(words), "{words}: {}", forgotten.said());
    }
    // Where it is never sent to, and nowhere else.
    let listed = format!("{} in journal.db", number(3));
    let sought = [
        number(3),
        text(3),
        id[0].clone(),
        "Antwort darauf".into(),
        "fremd-1".into(),
        "nochmals".into(),
        "on the phone".into(),
    ];
    assert_eq!(found(&smppost, &sought), [listed]);
    assert_eq!(strings(&smppost, "SELECT destination FROM suppression"), [number(3)]);
    assert_eq!(of(&smppost), before);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 6)]));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM inbound"), 1);
    smppost.run(&["verify"]).assert_code(0);
    smppost.run(&["report", "c"]).assert_code(0);
    let log = strings(&smppost, "SELECT event || ' ' || what FROM forgetting_log");
    assert!(log[0].starts_with("forgotten 1 number: 1 message, "), "{log:?}");
    let again = smppost.run(&["forget", &number(3)]);
    again.assert_code(0);
    assert!(smppost.run(&["forget", "447700900999"]).assert_code(0).words().contains("nothing is there"));
    smppost.run(&["forget", "nobody"]).assert_code(2);
}

#[test]
fn what_is_queued_is_cancelled_first_and_what_is_awaited_is_left_and_named() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows_with(3, text));
    smppost.run(&["import", "c.csv", "--from", "Test", "--campaign", "c"]).assert_code(0);
    let forgotten = smppost.run(&["forget", &number(1)]);
    forgotten.assert_code(0);
    assert!(forgotten.words().contains("1 message cancelled first"), "{}", forgotten.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2), ("cancelled", 1)]));
    assert_eq!(found(&smppost, &[number(1), text(1)]), Vec::<String>::new());
    // Nothing brings it back.
    smppost.run(&["cancel", "c"]).assert_code(0);
    smppost.run(&["verify"]).assert_code(0);
    let smsc = IndependentSmsc::start(Settings { outcome: Arc::new(|_| Outcome::Lost), ..Settings::default() });
    let port = smsc.port().to_string();
    let resumed = [
        "resume",
        "c",
        "--uncancel",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--system-id",
        "test",
        "--wait-receipts",
        "1s",
    ];
    smppost.run(&resumed);
    assert_eq!(smsc.finish().submits.len(), 2);
    let left = smppost.run(&["forget", &number(0)]);
    left.assert_code(3);
    assert!(left.words().contains("not forgotten: 1 message, waiting for receipts"), "{}", left.said());
    assert_eq!(found(&smppost, &[number(0)]).len(), 1);
    smppost.run(&["forget", "--now", &number(0)]).assert_code(0);
    assert_eq!(found(&smppost, &[number(0), text(0)]), Vec::<String>::new());
    smppost.run(&["verify"]).assert_code(0);
    assert!(smppost.run(&["find", &number(0)]).said().contains("no message to"));
}

#[test]
fn parts_and_pseudonyms_of_a_number_are_forgotten_too_wherever_it_is_killed() {
    for (point, n) in [("", 0), ("purge-piece", 1), ("purge-rewrite", 1), ("purge-checkpoint", 1)] {
        let smppost = Smppost::new();
        let smsc = IndependentSmsc::start(Settings::default());
        smppost.send(&long_rows(3), smsc.port(), &[]).assert_code(0);
        let long = "Row 1: all is well".to_owned();
        let failpoint = format!("{point}=abort@{n}");
        let forget = ["forget", &number(1), &number(2)];
        smppost.run_with(&forget, &[("SMPPOST_FAILPOINT", &failpoint)]);
        smppost.run(&["verify"]).assert_code(0);
        smppost.run(&forget);
        assert_eq!(found(&smppost, &[number(1), number(2), long]), Vec::<String>::new(), "{point}");
        assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
        smppost.run(&["purge", "--older-than", "0s", "--pseudonymise"]).assert_code(0);
        let pseudonyms = strings(&smppost, "SELECT destination FROM message WHERE destination <> ''");
        assert_eq!(pseudonyms.len(), 1);
        smppost.run(&["forget", &number(0)]).assert_code(0);
        assert_eq!(found(&smppost, &pseudonyms), Vec::<String>::new());
        smppost.run(&["verify"]).assert_code(0);
        smsc.finish();
    }
}

#[test]
fn of_a_row_with_several_numbers_nobody_elses_message_is_cancelled() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text\n447700900001 / 447700900002,Hello\n");
    let several = ["import", "c.csv", "--from", "Test", "--campaign", "c", "--several-numbers", "all"];
    smppost.run(&several).assert_code(0);
    let left = smppost.run(&["forget", "447700900002"]);
    left.assert_code(3);
    assert!(left.words().contains("1 message, queued in a row with several numbers"), "{}", left.said());
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2)]));
    smppost.run(&["forget", "447700900001"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("cancelled", 1), ("queued", 1)]));
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn texts_are_found_as_they_would_stand() {
    assert_eq!(packed("hellohello"), [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC]);
}
