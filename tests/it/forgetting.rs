//! What is deleted on purpose: `purge`, `purge --pseudonymise`, `forget`.

mod number;

use crate::common::independent_smsc::{IdForm, IndependentSmsc, Outcome, Settings};
use crate::common::scripted_smsc::{Said, ScriptedSmsc, receipt};
use crate::common::{Running, Smppost, expected, number, one, open, rows_with, states};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text of row `n` that stands nowhere else.
fn text(n: usize) -> String {
    format!("Geheimnis {n} of nobody else, quite long enough to be found")
}

/// What the program itself keeps in the folder: all but the user's files.
fn kept(smppost: &Smppost) -> Vec<PathBuf> {
    let files = std::fs::read_dir(smppost.path("")).unwrap().map(|entry| entry.unwrap().path());
    let is_users = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".csv") || name.starts_with("stdout-") || name.starts_with("stderr-") || name.starts_with("my-")
    };
    files.filter(|path| path.is_file() && !is_users(path)).collect()
}

/// As GSM 7-bit octets travel packed; the text is of letters that have their ASCII codes there.
fn packed(text: &str) -> Vec<u8> {
    let (mut octets, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for octet in text.bytes() {
        held |= u32::from(octet) << bits;
        bits += 7;
        while bits >= 8 {
            octets.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    octets
}

/// A text in all octets in which it may stand: UTF-8 (which is GSM unpacked), UCS-2 either way, packed, hexadecimal.
fn written(text: &str) -> Vec<Vec<u8>> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let hex: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
    vec![
        text.as_bytes().to_vec(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        packed(text),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ]
}

/// Which of these stand in which of the program's files.
fn found(smppost: &Smppost, sought: &[String]) -> Vec<String> {
    let mut hits = Vec::new();
    for file in kept(smppost) {
        let octets = std::fs::read(&file).unwrap();
        for text in sought {
            let is_in =
                written(text).iter().any(|written| octets.windows(written.len()).any(|some| some == &written[..]));
            if is_in {
                hits.push(format!("{text} in {}", file.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    hits
}

fn strings(smppost: &Smppost, sql: &str) -> Vec<String> {
    let journal = open(&smppost.journal());
    let mut statement = journal.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn ids(smppost: &Smppost) -> Vec<String> {
    strings(smppost, "SELECT message_id FROM answer WHERE message_id <> ''")
}

/// Sends `c` with so many rows, another number of which is a slip, and another comes twice.
fn sent(n: usize) -> (Smppost, Vec<String>) {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let rows = rows_with(n, text) + &format!("+44 7700 900x99,{}\n{},{}\n", text(99), number(0), text(98));
    smppost.send(&rows, smsc.port(), &[]).assert_code(0);
    smsc.finish();
    let mut sought: Vec<String> = (0..n).map(number).chain((0..n).map(text)).chain([text(99), text(98)]).collect();
    sought.extend(ids(&smppost));
    (smppost, sought)
}

/// A connection that reads a state of the journal until it is dropped.
fn reader(smppost: &Smppost) -> rusqlite::Connection {
    let reader = open(&smppost.journal());
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0)).unwrap();
    reader
}

/// A service that has nothing to do.
fn service(smppost: &Smppost, smsc: &IndependentSmsc) -> Running {
    let port = smsc.port().to_string();
    let mut run = smppost.spawn(&["run", "--host", "127.0.0.1", "--port", &port, "--system-id", "test"]);
    run.wait_for_words("bound");
    run
}

#[test]
fn what_is_purged_is_found_nowhere_and_its_totals_stay() {
    let (smppost, sought) = sent(40);
    assert!(found(&smppost, &sought).len() >= sought.len(), "the test finds what is there");
    let report = smppost.run(&["report", "c"]);
    let minutes =
        "SELECT campaign || minute || submitted || ' ' || accepted || ' ' || delivered FROM throughput_per_minute";
    let (before, statuses) =
        (strings(&smppost, minutes), "SELECT campaign || command_status || ' ' || attempts FROM status_breakdown");
    let statuses_before = strings(&smppost, statuses);
    // It is too young, or it is only asked.
    let young = smppost.run(&["purge", "--older-than", "90d"]);
    young.assert_code(0);
    assert!(young.words().contains("nothing that ended by"), "{}", young.said());
    let dry = smppost.run(&["purge", "--older-than", "0s", "--dry-run"]);
    assert!(dry.assert_code(0).words().contains("campaign c: 40 messages"), "{}", dry.said());
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message"), 40);
    let purged = smppost.run(&["purge", "--older-than", "0s"]);
    purged.assert_code(0);
    for words in ["deleted: 1 campaign, 40 messages", "not touched: c.csv", "written anew"] {
        assert!(purged.words().contains(words), "{words}: {}", purged.said());
    }
    assert_eq!(found(&smppost, &sought), Vec::<String>::new());
    assert_eq!(one(&smppost.journal(), "SELECT delivered FROM campaign_summary WHERE purged_at IS NOT NULL"), 40);
    assert_eq!((strings(&smppost, minutes), strings(&smppost, statuses)), (before, statuses_before));
    let after = smppost.run(&["report", "c"]);
    after.assert_code(0);
    assert!(after.page().contains("purged"), "{}", after.said());
    for line in ["delivered", "0x00000000", "ESME_ROK"] {
        let of =
            |report: &crate::common::Ended| report.stdout.lines().find(|found| found.contains(line)).map(str::to_owned);
        assert_eq!(of(&report), of(&after), "{}", after.said());
    }
    smppost.run(&["verify"]).assert_code(0);
    assert!(smppost.run(&["list"]).assert_code(0).stdout.contains('c'));
    assert!(smppost.run(&["find", &number(1)]).assert_code(0).said().contains("no message to"));
    let log = strings(&smppost, "SELECT event || ': ' || what FROM forgetting_log");
    assert_eq!(log, ["purged: 1 campaign, 40 messages, 0 unmatched receipts, 0 inbound parts"]);
    assert!(one(&smppost.journal(), "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'purged'") > 0);
    let decided = smppost.run(&["resolve", "c", "--resend"]);
    assert!(decided.assert_code(1).words().contains("was purged"), "{}", decided.said());
    assert!(smppost.run(&["purge", "--older-than", "0s"]).assert_code(0).words().contains("nothing that ended by"));
}

#[test]
fn what_was_sent_and_purged_is_not_sent_again() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    let port = smsc.port().to_string();
    let personal = "to,name\n447700900001,Ann\n447700900002,Bob\n";
    let template = ["--text", "Dear {name}, all is well"];
    smppost.send(personal, smsc.port(), &template).assert_code(0);
    let alert = [
        "send",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--system-id",
        "test",
        "--text",
        "Pump 3 stopped",
        "--from",
        "Pump",
    ];
    let once = [&alert[..], &["--to", "+447700900003", "--id", "pump", "--wait-receipts", "10s"]].concat();
    smppost.run(&once).assert_code(0);
    smppost.run(&["purge", "--older-than", "0s"]).assert_code(0);
    let alphabet = ["Dear {name}".to_owned(), "Pump 3 stopped".to_owned(), "447700900003".to_owned()];
    assert_eq!(found(&smppost, &alphabet), Vec::<String>::new());
    // The same command, the same file under another name, the same messages in another order.
    smppost.send(personal, smsc.port(), &template).assert_code(0);
    let named = smppost.send(personal, smsc.port(), &[&template[..], &["--campaign", "d"]].concat());
    named.assert_code(2);
    smppost.file("turned.csv", "to,name\n447700900002,Bob\n447700900001,Ann\n");
    let turned =
        smppost.run(&smppost.send_arguments("turned.csv", &port, &[&template[..], &["--campaign", "e"]].concat()));
    turned.assert_code(2);
    let again = smppost.run(&once);
    assert!(again.assert_code(0).words().contains("not sent again"), "{}", again.said());
    assert!(again.words().contains("purged"), "{}", again.said());
    // Another alert goes, to another campaign.
    smppost.run(&[&alert[..], &["--to", "+447700900003", "--id", "valve"]].concat()).assert_code(0);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), 4, "{:?}", report.submits);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_purge_beside_a_service_leaves_nothing_and_what_comes_later_harms_nothing() {
    let (smppost, mut sought) = sent(30);
    let smsc = IndependentSmsc::start(Settings { id: IdForm::Uuid, ..Settings::default() });
    let run = service(&smppost, &smsc);
    smppost.file("d.csv", rows_with(20, |n| text(200 + n)));
    smppost.run(&["send", "d.csv", "--from", "Test", "--wait-receipts", "20s"]).assert_code(0);
    sought.retain(|sought| !sought.starts_with("44"));
    let purged = smppost.run(&["purge", "--older-than", "0s", "--campaign", "c"]);
    purged.assert_code(0);
    assert!(purged.words().contains("a sender is at work"), "{}", purged.said());
    assert_eq!(found(&smppost, &sought), Vec::<String>::new());
    // The service goes on, with a campaign and with what it knows of the one that is gone.
    smppost.file("e.csv", rows_with(5, |n| text(300 + n)));
    smppost.run(&["send", "e.csv", "--from", "Test", "--wait-receipts", "20s"]).assert_code(0);
    smppost.run(&["purge", "--older-than", "0s", "--campaign", "d"]).assert_code(0);
    run.signal("TERM");
    run.wait().assert_code(0);
    smsc.finish().assert_clean();
    assert_eq!(states(&smppost.journal(), "e"), expected([("delivered", 5)]));
    smppost.run(&["verify"]).assert_code(0);
    // What is left in its files goes with the next one.
    smppost.run(&["purge", "--older-than", "0s"]).assert_code(0);
    let mut all: Vec<String> = (0..20).map(|n| text(200 + n)).chain((0..5).map(|n| text(300 + n))).collect();
    all.extend((0..30).map(number));
    assert_eq!(found(&smppost, &all), Vec::<String>::new());
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn what_is_not_at_its_end_stays_and_is_named() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows_with(3, text));
    smppost.run(&["import", "c.csv", "--from", "Test", "--campaign", "c"]).assert_code(0);
    let purged = smppost.run(&["purge", "--older-than", "0s"]);
    purged.assert_code(0);
    assert!(purged.words().contains("campaign c stays: 3 not sent yet"), "{}", purged.said());
    let unknown = smppost.run(&["purge", "--older-than", "0s", "--campaign", "other"]);
    assert!(unknown.assert_code(1).words().contains("no campaign"), "{}", unknown.said());
    smppost.run(&["purge", "--older-than", "soon"]).assert_code(2);
    smppost.run(&["cancel", "c"]).assert_code(0);
    smppost.run(&["purge", "--older-than", "0s"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT cancelled FROM campaign_summary WHERE purged_at IS NOT NULL"), 3);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn receipts_that_never_came_keep_a_campaign_unless_it_is_said_otherwise() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { outcome: Arc::new(|_| Outcome::Lost), ..Settings::default() });
    smppost.send(&rows_with(3, text), smsc.port(), &["--wait-receipts", "1s"]);
    smsc.finish();
    let purged = smppost.run(&["purge", "--older-than", "0s"]);
    assert!(purged.assert_code(0).words().contains("3 without a final receipt"), "{}", purged.said());
    smppost.run(&["purge", "--older-than", "0s", "--without-receipts"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM message"), 0);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_reader_of_the_old_state_is_named() {
    let (smppost, sought) = sent(10);
    let reader = reader(&smppost);
    let purged = smppost.run(&["purge", "--older-than", "0s"]);
    purged.assert_code(3);
    assert!(purged.words().contains("another process reads an older state"), "{}", purged.said());
    drop(reader);
    smppost.run(&["purge", "--older-than", "0s"]).assert_code(0);
    assert_eq!(found(&smppost, &sought), Vec::<String>::new());
}

#[test]
fn a_purge_that_is_killed_anywhere_is_done_again() {
    for (point, times) in [
        ("purge-mark", 1),
        ("purge-piece", 1),
        ("purge-piece", 3),
        ("purge-piece", 8),
        ("purge-piece", 30),
        ("purge-rewrite", 1),
        ("purge-checkpoint", 1),
    ] {
        for how in [&[][..], &["--pseudonymise"]] {
            let (smppost, mut sought) = sent(10);
            if !how.is_empty() {
                // The ids stay, for receipts that come yet.
                let ids = ids(&smppost);
                sought.retain(|sought| !ids.contains(sought));
            }
            let command = [&["purge", "--older-than", "0s"][..], how].concat();
            smppost.run_with(&command, &[("SMPPOST_FAILPOINT", &format!("{point}=abort@{times}"))]);
            smppost.run(&["verify"]).assert_code(0);
            smppost.run(&["report", "c"]).assert_code(0);
            smppost.run(&command).assert_code(0);
            // Whatever it did, a third one finds it done, and leaves it so.
            smppost.run(&command).assert_code(0);
            smppost.run(&["verify"]).assert_code(0);
            assert_eq!(found(&smppost, &sought), Vec::<String>::new(), "{point} {times} {how:?}");
            assert_eq!(one(&smppost.journal(), "SELECT delivered FROM campaign_summary"), 10);
        }
    }
}

#[test]
fn what_belongs_to_no_campaign_goes_by_its_age() {
    let (smppost, _) = sent(3);
    smppost.run(&["suppress", "add", "+447700900777", "--reason", "it asked so"]).assert_code(0);
    smppost.run(&["suppress", "remove", "+447700900777"]).assert_code(0);
    smppost.run(&["suppress", "add", "+447700900778"]).assert_code(0);
    let journal = rusqlite::Connection::open(smppost.journal()).unwrap();
    journal
        .execute_batch(
            "INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu)
                 VALUES (1, 1, '447700900779', '555', 0, 0, 'Antwort darauf', x'00');
             INSERT INTO receipt (id, received_at, final, rule, message_id, source, destination, text)
                 VALUES (-1, 1, 1, 0, 'fremd-1', '447700900780', '555', 'id:fremd-1'), (-2, 1, 1, 0, 'fremd-2', '447700900781', '555', 'x');",
        )
        .unwrap();
    drop(journal);
    let backup = smppost.path("journal.db.v1-backup");
    std::fs::write(&backup, "447700900782").unwrap();
    std::fs::write(smppost.path("my-copy.db"), "447700900782").unwrap();
    let purged = smppost.run(&["purge", "--older-than", "0s"]);
    purged.assert_code(0);
    assert!(purged.words().contains("v1-backup, which an upgrade left"), "{}", purged.said());
    let sought = [
        "447700900777",
        "447700900779",
        "447700900780",
        "447700900781",
        "447700900782",
        "fremd-1",
        "fremd-2",
        "Antwort darauf",
    ];
    assert_eq!(found(&smppost, &sought.map(str::to_owned)), Vec::<String>::new());
    assert!(!backup.exists() && smppost.path("my-copy.db").exists());
    assert_eq!(strings(&smppost, "SELECT destination FROM suppression"), ["447700900778"]);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn pseudonyms_are_the_same_for_the_same_number_and_receipts_find_them() {
    use std::os::unix::fs::PermissionsExt;
    let smppost = Smppost::new();
    // Its receipts come when the numbers are gone.
    let smsc = IndependentSmsc::start(Settings { outcome: Arc::new(|_| Outcome::Lost), ..Settings::default() });
    smppost.send(&rows_with(3, text), smsc.port(), &["--wait-receipts", "1s"]);
    smsc.finish();
    let ids = ids(&smppost);
    let done = smppost.run(&["purge", "--older-than", "0s", "--pseudonymise"]);
    done.assert_code(0);
    assert!(done.words().contains("made pseudonymous: 1 campaign, 3 messages"), "{}", done.said());
    let sought: Vec<String> = (0..3).map(number).chain((0..3).map(text)).collect();
    assert_eq!(found(&smppost, &sought), Vec::<String>::new());
    let numbers = strings(&smppost, "SELECT DISTINCT destination FROM message_status");
    assert!(
        numbers.len() == 3 && numbers.iter().all(|number| number.starts_with('~') && number.len() == 33),
        "{numbers:?}"
    );
    let key = smppost.path("journal.db-pseudonym-key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    // Another campaign's run hears of them.
    let late: Vec<Vec<u8>> = (0..3)
        .map(|n| {
            receipt(&number(n), "Test", &format!("id:{} stat:DELIVRD err:000 text:{}", ids[n], &text(n)[..15]), &[])
        })
        .collect();
    let smsc = ScriptedSmsc::start(move |_| Said { receipts: late.clone(), ..Said::taken("late-1", &[]) });
    let port = smsc.port().to_string();
    smppost.file("late.csv", "to,text\n447700900555,later\n");
    smppost.run(&smppost.send_arguments("late.csv", &port, &["--campaign", "late", "--wait-receipts", "3s"]));
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    smppost.run(&["verify"]).assert_code(0);
    assert_eq!(found(&smppost, &sought), Vec::<String>::new(), "a receipt does not bring the number back");
    // The same number is the same pseudonym in another campaign, as long as the key is there.
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("d.csv", rows_with(1, |_| "other".into()));
    let port = smsc.port().to_string();
    smppost.run(&smppost.send_arguments("d.csv", &port, &["--campaign", "d"])).assert_code(0);
    smppost.run(&["purge", "--older-than", "0s", "--pseudonymise"]).assert_code(0);
    assert_eq!(one(&smppost.journal(), "SELECT count(DISTINCT destination) FROM message_status"), 4);
    smppost.run(&["purge", "--older-than", "0s", "--without-receipts"]).assert_code(0);
    assert_eq!(found(&smppost, &numbers), Vec::<String>::new());
    smppost.run(&["verify"]).assert_code(0);
}
