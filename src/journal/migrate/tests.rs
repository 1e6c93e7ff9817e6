use super::*;
use crate::journal::open::{open_existing, open_or_create, open_read_only};
use crate::journal::verify;
use rusqlite::types::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A journal that the program of version 1 made, with campaigns in all states and a sender that died.
fn old_journal() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journals/v1.db"), &path).unwrap();
    (folder, path)
}

fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The schema without the order in which it came about, and lookups with their rows.
fn schema(connection: &Connection) -> Vec<Vec<Vec<Value>>> {
    let mut all = vec![rows(connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")];
    for table in ["state", "status_name", "part_number", "tlv_name", "octet"] {
        all.push(rows(connection, &format!("SELECT * FROM {table} ORDER BY 1")));
    }
    all
}

/// Counts each row once, into a table where that shows.
const COUNTING: [Move; 2] = [
    Move {
        to: 2,
        table: "message",
        key: "id",
        run: |connection, from, to| {
            let sql = "UPDATE campaign_count SET parts = parts + 1000 * (SELECT count(*) FROM message m
                          WHERE m.id >= ?1 AND m.id < ?2) WHERE campaign_id = 1";
            connection.execute(sql, [from, to]).map(|_| ())
        },
    },
    Move {
        to: 2,
        table: "verdict",
        key: "id",
        run: |connection, from, to| {
            let sql = "UPDATE campaign_count SET parts = parts + 1000000 * (SELECT count(*) FROM verdict v
                          WHERE v.id >= ?1 AND v.id < ?2) WHERE campaign_id = 1";
            connection.execute(sql, [from, to]).map(|_| ())
        },
    },
];

#[test]
fn an_upgraded_journal_is_what_a_new_one_is() {
    let (folder, path) = old_journal();
    let upgraded = upgrade(&path, true, &mut |from| assert_eq!(from, 1)).unwrap().unwrap();
    assert_eq!(upgraded.from, 1);
    let fresh = open_or_create(&folder.path().join("fresh.db")).unwrap();
    let connection = open_existing(&path).unwrap();
    assert_eq!(schema(&connection), schema(&fresh));
    assert_eq!(rows(&connection, "PRAGMA integrity_check"), [[Value::Text("ok".into())]]);
    assert!(verify::verify(&connection).unwrap().is_sound());
    assert_eq!(upgrade(&path, true, &mut |_| panic!("it is up to date")).unwrap(), None);
}

#[test]
fn an_upgrade_goes_on_wherever_it_was_killed() {
    let whole = {
        let (_folder, path) = old_journal();
        let connection = crate::journal::open::connect_to_write(&path).unwrap();
        run(&connection, &COUNTING).unwrap();
        rows(&connection, "SELECT * FROM campaign_count")
    };
    assert!(matches!(whole[0][2], Value::Integer(parts) if parts > 1_022_000), "{whole:?}");
    let mut last = 0;
    for steps in 1.. {
        let (_folder, path) = old_journal();
        let connection = crate::journal::open::connect_to_write(&path).unwrap();
        let mut is_midway = true;
        for _ in 0..steps {
            is_midway = step(&connection, &COUNTING, 3).unwrap();
        }
        drop(connection);
        if !is_midway {
            last = steps;
            break;
        }
        // Nobody takes it for a journal, an older program neither.
        assert!(matches!(open_existing(&path), Err(JournalError::Older { found: 1, .. })), "after {steps} steps");
        assert_eq!(is_due(&path).unwrap(), Some(1));
        let connection = crate::journal::open::connect_to_write(&path).unwrap();
        assert_eq!(rows(&connection, "PRAGMA user_version"), [[Value::Integer(VERSION)]]);
        run(&connection, &COUNTING).unwrap();
        assert_eq!(rows(&connection, "SELECT * FROM campaign_count"), whole, "after {steps} steps");
        drop(connection);
        assert!(verify::verify(&open_existing(&path).unwrap()).is_ok());
    }
    assert!(last > 10, "{last} steps are no test");
}

#[test]
fn the_backup_is_the_journal_as_it_was() {
    let (folder, path) = old_journal();
    let before = rows(&Connection::open(&path).unwrap(), "SELECT * FROM message_status");
    let first = upgrade(&path, true, &mut |_| ()).unwrap().unwrap().backup.unwrap();
    assert_eq!(first, fs::canonicalize(folder.path()).unwrap().join("journal.db.v1-backup"));
    assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    let backup = Connection::open(&first).unwrap();
    assert_eq!(rows(&backup, "PRAGMA user_version"), [[Value::Integer(1)]]);
    assert_eq!(rows(&backup, "SELECT * FROM message_status"), before);
    // Brought back and upgraded anew: the first one stays as it is.
    drop(backup);
    let octets = fs::read(&first).unwrap();
    fs::copy(&first, &path).unwrap();
    let second = upgrade(&path, true, &mut |_| ()).unwrap().unwrap().backup.unwrap();
    assert!(second.ends_with("journal.db.v1-backup-2"), "{second:?}");
    assert_eq!(fs::read(&first).unwrap(), octets);
    fs::copy(&first, &path).unwrap();
    assert_eq!(upgrade(&path, false, &mut |_| ()).unwrap().unwrap().backup, None);
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("-part"))
            .count(),
        0
    );
}

#[test]
fn nothing_is_upgraded_under_a_running_sender() {
    let (folder, path) = old_journal();
    let before = fs::read(&path).unwrap();
    let sender = SenderLock::take(&path).unwrap();
    assert!(matches!(upgrade(&path, true, &mut |_| ()), Err(JournalError::Held(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!folder.path().join("journal.db.v1-backup").exists());
    // It is read nevertheless.
    assert_eq!(rows(&open_read_only(&path).unwrap(), "SELECT * FROM campaign_summary").len(), 6);
    drop(sender);
    assert!(upgrade(&path, true, &mut |_| ()).unwrap().is_some());
}

#[test]
fn who_only_reads_changes_nothing() {
    let (folder, path) = old_journal();
    let before = fs::read(&path).unwrap();
    let connection = open_read_only(&path).unwrap();
    assert!(verify::verify(&connection).unwrap().is_sound());
    assert!(connection.execute("INSERT INTO meta (key, value) VALUES ('a', 'b')", []).is_err());
    drop(connection);
    assert_eq!(fs::read(&path).unwrap(), before);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("backup")), "{names:?}");
}

#[test]
fn a_table_is_only_widened() {
    for change in [
        "ALTER TABLE message ADD COLUMN extra TEXT",
        "ALTER TABLE message DROP COLUMN fields; ALTER TABLE message ADD COLUMN fields INTEGER",
    ] {
        let (_folder, path) = old_journal();
        // Views would not let a column go.
        let views = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'view';
                     PRAGMA writable_schema = RESET;";
        Connection::open(&path).unwrap().execute_batch(&format!("{views} {change}")).unwrap();
        let refused = upgrade(&path, false, &mut |_| ()).unwrap_err();
        assert!(refused.to_string().contains("the table message"), "{change}: {refused}");
        assert_eq!(rows(&Connection::open(&path).unwrap(), "PRAGMA user_version"), [[Value::Integer(1)]], "{change}");
    }
    // A column more is told from what an older program has not got.
    let (_folder, path) = old_journal();
    let narrower = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'view';
                    PRAGMA writable_schema = RESET; ALTER TABLE message DROP COLUMN fields; DROP TABLE stray;
                    DROP INDEX receipt_match_by_attempt; DELETE FROM state WHERE id = 9;";
    Connection::open(&path).unwrap().execute_batch(narrower).unwrap();
    upgrade(&path, false, &mut |_| ()).unwrap();
    let model = tempfile::tempdir().unwrap();
    let fresh = open_or_create(&model.path().join("fresh.db")).unwrap();
    assert_eq!(schema(&open_existing(&path).unwrap()), schema(&fresh));
    assert_eq!(rows(&open_existing(&path).unwrap(), "PRAGMA integrity_check"), [[Value::Text("ok".into())]]);
}
