//! `smppost backup`: also beside a sender, and what is done with one.

use super::User;
use super::copies::id;
use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, one, rows, skipped, states};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn beside_a_sender_it_has_all_that_was_committed_and_sends_only_once_adopted() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings { answer_delay: Duration::from_millis(200), ..Settings::default() });
    let run = smppost.spawn_send(&rows(400), smsc.port(), &["--window", "20"]);
    assert!(smsc.wait_for(|ledger| ledger.len() >= 60, crate::common::PATIENCE), "{}", run.stderr());
    let to = smppost.path("kept").join("backup.db");
    std::fs::create_dir(to.parent().unwrap()).unwrap();
    let name = to.to_str().unwrap();
    let before = smsc.ledger().len() - 20;
    let made = smppost.run(&["backup", name]);
    made.assert_code(0);
    assert!(made.stderr.contains("1 campaign") && made.stderr.contains("agrees with itself"), "{}", made.said());
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    // Nothing of it is left to be lost beside it.
    assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    run.wait();
    smppost.run(&["verify"]).assert_code(0);
    let sent = smsc.ledger().len();
    assert_eq!(sent, 400);
    let accepted = one(&to, "SELECT count(*) FROM message_status WHERE state IN ('accepted', 'delivered')");
    assert!((before as i64 - 20..400).contains(&accepted), "{accepted} of {before}");
    // The journal is lost: its backup takes its place, on a machine that knows nothing of it.
    let elsewhere = Smppost::new();
    let restored = elsewhere.path("journal.db");
    std::fs::copy(&to, &restored).unwrap();
    let port = smsc.port().to_string();
    let at = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--window", "20"];
    let resume: Vec<&str> = ["resume", "c"].into_iter().chain(at).collect();
    let refused = elsewhere.run(&resume);
    refused.assert_code(1);
    assert_eq!(smsc.ledger().len(), sent, "{}", refused.said());
    let code = id(&refused.stderr);
    let adopted = elsewhere.run(&[&resume[..], &["--adopt", &code]].concat());
    adopted.assert_code(3);
    assert!(adopted.stderr.contains("that were queued are in doubt"), "{}", adopted.said());
    let report = smsc.finish();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for submit in &report.submits {
        *times.entry(&submit.destination).or_default() += 1;
    }
    assert!(times.len() == 400 && times.values().all(|&times| times == 1), "sent twice: {times:?}");
    let doubts = one(&restored, "SELECT count(*) FROM message_status WHERE state = 'in_doubt'");
    assert_eq!(accepted + doubts, 400);
    elsewhere.run(&["verify"]).assert_code(0);
}

#[test]
fn of_a_journal_from_which_nothing_was_sent_only_one_sends() {
    let user = User::new();
    user.rows("one");
    user.run("one", &["import", "c.csv", "--journal", "j.db"]).assert(0, "");
    user.run("one", &["backup", "kept.db", "--journal", "j.db"]).assert(0, "1 campaign");
    // Another user, or another machine, who knows nothing of the journal.
    let other = User::new().with("HOME", user.path("stranger").to_str().unwrap());
    other.folder("two");
    std::fs::copy(user.path("one/kept.db"), other.path("two/kept.db")).unwrap();
    user.with_account("one", &["resume", "--all", "--journal", "j.db"]).assert(0, "");
    assert_eq!(user.got().len(), 3);
    let resume = ["resume", "--all", "--journal", "kept.db"];
    let refused = other.with_account("two", &resume);
    refused.assert(1, "is a copy");
    let adopted = other.with_account("two", &[&resume[..], &["--adopt", &id(&refused.stderr)]].concat());
    adopted.assert(3, "3 messages that were queued are in doubt");
    assert_eq!(other.got().len(), 0);
    assert_eq!(states(&other.path("two/kept.db"), "c"), expected([("in_doubt", 3)]));
}

#[test]
fn nothing_but_an_earlier_backup_is_replaced() {
    let user = User::new();
    user.rows("one");
    user.run("one", &["import", "c.csv", "--journal", "j.db"]).assert(0, "");
    user.run("one", &["import", "c.csv", "--journal", "other.db"]).assert(0, "");
    let backup = |to: &str, more: &[&str]| user.run("one", &[&["backup", to, "--journal", "j.db"], more].concat());
    backup("kept.db", &[]).assert(0, "");
    let first = std::fs::read(user.path("one/kept.db")).unwrap();
    backup("kept.db", &[]).assert(2, "is there already");
    assert!(std::fs::read(user.path("one/kept.db")).unwrap() == first);
    std::fs::write(user.path("one/d.csv"), "to,text\n447700900004,Four\n").unwrap();
    user.run("one", &["import", "d.csv", "--journal", "j.db"]).assert(0, "");
    backup("kept.db", &["--replace"]).assert(0, "2 campaigns");
    assert_eq!(one(&user.path("one/kept.db"), "SELECT count(*) FROM campaign"), 2);
    // Names of the journal's own, also by another way to it.
    std::os::unix::fs::symlink(user.path("one"), user.path("way")).unwrap();
    for name in ["j.db", "j.db-wal", "j.db-marks", "./j.db-answers", "../way/j.db", "../way/j.db-lock"] {
        backup(name, &["--replace"]).assert(2, "is a name of the journal itself");
    }
    let write = |name: &str, octets: &[u8]| std::fs::write(user.path("one").join(name), octets).unwrap();
    write("text.txt", b"what somebody wrote");
    std::fs::create_dir(user.path("one/folder")).unwrap();
    std::os::unix::fs::symlink("kept.db", user.path("one/link.db")).unwrap();
    for (name, why) in [
        ("text.txt", "nothing that can be read as one"),
        ("other.db", "another journal, or a backup of another"),
        ("folder", "no file"),
    ] {
        let before = std::fs::read(user.path("one").join(name)).ok();
        backup(name, &[]).assert(2, "is there already");
        backup(name, &["--replace"]).assert(2, why);
        assert!(std::fs::read(user.path("one").join(name)).ok() == before, "{name}");
    }
    // A link is followed: it is the backup that is replaced, and the link stays.
    backup("link.db", &["--replace"]).assert(0, "");
    assert!(std::fs::symlink_metadata(user.path("one/link.db")).unwrap().is_symlink());
    // What was adopted is a journal that is sent from.
    let resume = ["resume", "--all", "--journal", "kept.db"];
    let code = id(&user.with_account("one", &resume).assert(1, "is a copy").stderr);
    user.with_account("one", &[&resume[..], &["--adopt", &code, "--nothing-sent-since"]].concat());
    backup("kept.db", &["--replace"]).assert(2, "a journal that is sent from");
    // SQLite would read it as a part of the backup.
    write("new.db-wal", b"left by another");
    backup("new.db", &[]).assert(1, "lies where SQLite would take it for a part of the backup");
    assert!(!user.path("one/new.db").exists());
    backup("nowhere/new.db", &[]).assert(1, "nowhere");
    user.run("one", &["backup", "x.db", "--journal", "missing.db"]).assert(1, "missing.db");
}

#[test]
fn killed_or_without_room_it_leaves_the_earlier_one() {
    let smppost = Smppost::new();
    let csv = smppost.file("c.csv", rows(5_000));
    smppost.run(&["import", csv.to_str().unwrap()]).assert_code(0);
    let to = smppost.path("kept.db");
    let name = to.to_str().unwrap();
    smppost.run(&["backup", name]).assert_code(0);
    let first = std::fs::read(&to).unwrap();
    let killed = smppost.spawn_with(&["backup", name, "--replace"], &[("SMPPOST_FAILPOINT", "backup=abort")]).wait();
    assert_eq!(killed.code, None);
    assert!(std::fs::read(&to).unwrap() == first);
    assert!(Path::new(&format!("{name}.part")).exists());
    smppost.run(&["backup", name, "--replace"]).assert_code(0);
    assert!(!Path::new(&format!("{name}.part")).exists());
    let disk = smppost.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=300k", "none"]).arg(&disk).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        return skipped(&format!("no file system may be mounted here ({mounted:?})"));
    }
    let there = disk.join("kept.db");
    std::fs::write(&there, b"").unwrap();
    let full = smppost.run(&["backup", disk.join("new.db").to_str().unwrap()]);
    let left: Vec<_> = std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    full.assert_code(1);
    assert!(full.stderr.contains("octets are needed for the backup in"), "{}", full.said());
    assert_eq!(left, ["kept.db"]);
}
