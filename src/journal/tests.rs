use super::JournalError;
use super::model::VERSION;
use super::open::{is_folded, open_existing, open_or_create, open_read_only};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

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
    let _lock = crate::journal::files::lock::SenderLock::take(&path).unwrap();
    let _import = crate::journal::files::lock::ImportLock::take(&path).unwrap();
    let _marks = crate::journal::files::write_marks::Marks::open(&path).unwrap();
    let _answers = crate::journal::files::answer_log::Answers::open(&path).unwrap();
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
fn a_folded_journal_is_read_where_nothing_can_be_written() {
    let (_folder, path) = folder();
    let connection = open_or_create(&path).unwrap();
    assert!(!is_folded(&path));
    drop(connection);
    assert!(is_folded(&path));
}
