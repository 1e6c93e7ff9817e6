use super::*;
use std::os::unix::fs::PermissionsExt;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

#[test]
fn f51_the_journal_and_its_side_files_are_private() {
    let (folder, path) = folder();
    let connection = open_or_create(&path).unwrap();
    connection.execute("INSERT INTO meta (key, value) VALUES ('a', 'b')", []).unwrap();
    let _lock = lock::SenderLock::take(&path).unwrap();
    let _import = lock::ImportLock::take(&path).unwrap();
    let _marks = marks::Marks::open(&path).unwrap();
    let _answers = answers::Answers::open(&path).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        count += 1;
    }
    assert_eq!(count, 7, "journal, WAL, its index, two locks, marks, answers");
}

#[test]
fn f17_a_newer_journal_is_refused_untouched() {
    let (_folder, path) = folder();
    drop(open_or_create(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch(&format!("PRAGMA user_version = {}", VERSION + 1)).unwrap();
    let before = fs::read(&path).unwrap();
    for opened in [open_or_create(&path), open_read_only(&path)] {
        assert!(matches!(opened, Err(JournalError::Newer { found, .. }) if found == VERSION + 1));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_journal_is_refused_untouched() {
    let (_folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(open_or_create(&path), Err(JournalError::Foreign(_))));
    fs::write(&path, "to,text\n447700900123,Hello, this is not a database but a campaign\n".repeat(20)).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(open_or_create(&path), Err(JournalError::Foreign(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
    let missing = path.with_extension("none");
    assert!(matches!(open_existing(&missing), Err(JournalError::Missing(_))));
    assert!(!missing.exists());
}

#[test]
fn one_journal_serves_one_account() {
    let (_folder, path) = folder();
    let connection = open_or_create(&path).unwrap();
    claim_account(&connection, &path, "acme at localhost").unwrap();
    claim_account(&connection, &path, "acme at localhost").unwrap();
    let other = claim_account(&connection, &path, "the built-in simulator");
    assert!(other.is_ok(), "nothing was sent: a name that was mistyped binds nobody");
    connection
        .execute_batch(
            "INSERT INTO claim (try, first_part, parts, first_message, session_id, first_sequence_number, claimed_at)
             VALUES (0, 1, 1, 1, 1, 100, 0)",
        )
        .unwrap();
    let other = claim_account(&connection, &path, "acme at localhost");
    assert!(matches!(other, Err(JournalError::OtherAccount { .. })));
}

#[test]
fn a_folded_journal_is_read_where_nothing_can_be_written() {
    let (_folder, path) = folder();
    let connection = open_or_create(&path).unwrap();
    assert!(!is_folded(&path));
    drop(connection);
    assert!(is_folded(&path));
}

#[test]
fn an_account_is_the_same_however_its_host_is_written() {
    for (one, other, same) in [
        ("x at SMSC.Example.", "x at smsc.example", true),
        ("x at smsc.example", "X at smsc.example", false),
        ("x at smsc.example", "x at smsc2.example", false),
        ("the built-in simulator", "the built-in simulator", true),
        ("the built-in simulator", "x at localhost", false),
    ] {
        assert_eq!(super::is_same_account(one, other), same, "{one} {other}");
    }
}
