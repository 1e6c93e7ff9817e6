use super::*;
use crate::journal::open::open_or_create;
use tempfile::TempDir;

fn identity(name: Option<&str>, addresses: &[&str]) -> Identity {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    Identity { name: name.map(str::to_owned), addresses, receivers: Vec::new(), same: false }
}

/// A journal that was sent from by this account.
fn sent_from(account: &Identity) -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
    claim_account(&connection, Path::new("j"), account).unwrap();
    mark_used(&connection);
    (folder, connection)
}

fn mark_used(connection: &Connection) {
    let sql = "INSERT INTO claim (try, first_part, parts, first_message, session_id, first_sequence_number, claimed_at)
               VALUES (0, 1, 1, 1, 1, 100, 0)";
    connection.execute_batch(sql).unwrap();
}

fn goes_on(connection: &Connection, account: &Identity) -> bool {
    let judged = judge_account(connection, Path::new("j"), account);
    let claimed = claim_account(connection, Path::new("j"), account);
    assert_eq!(judged.is_ok(), claimed.is_ok());
    claimed.is_ok()
}

#[test]
fn one_journal_serves_one_account() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
    for account in [identity(None, &["acme at a"]), identity(None, &["acme at a"]), Identity::simulator()] {
        // Nothing was sent: a name that was mistyped binds nobody.
        assert!(goes_on(&connection, &account));
    }
    mark_used(&connection);
    let acme = identity(None, &["acme at a"]);
    assert!(!goes_on(&connection, &acme));
    assert!(!goes_on(&connection, &Identity { same: true, ..acme.clone() }), "a rehearsal is no real account");
    assert!(!goes_on(&connection, &Identity { name: Some("acme".into()), ..acme }));
}

#[test]
fn a_run_goes_on_where_one_of_its_hosts_is_known() {
    let (_folder, connection) = sent_from(&identity(None, &["acme at a.example", "acme at b.example"]));
    for (addresses, same) in [
        (&["acme at b.example", "acme at a.example"][..], true),
        (&["acme at B.Example."], true),
        (&["acme at c.example"], false),
        (&["ACME at a.example"], false),
        (&["other at a.example"], false),
        (&["acme at c.example", "acme at b.example"], true),
        // By the run before.
        (&["acme at c.example"], true),
    ] {
        assert_eq!(goes_on(&connection, &identity(None, addresses)), same, "{addresses:?}");
    }
    assert_eq!(names(&connection).unwrap()[0], "acme at a.example", "it keeps the name that it goes by");
}

#[test]
fn a_name_is_the_same_account_with_any_login_and_another_name_is_another() {
    let (_folder, connection) = sent_from(&identity(Some("shop"), &["acme at a"]));
    for (account, same) in [
        (identity(Some("shop"), &["acme_rx at elsewhere"]), true),
        (identity(None, &["acme at a"]), true),
        (identity(None, &["acme_rx at elsewhere"]), true),
        (identity(None, &["acme at z"]), false),
        (identity(Some("other"), &["acme at a"]), false),
        (identity(Some("acme at a"), &["acme at z"]), true),
    ] {
        assert_eq!(goes_on(&connection, &account), same, "{account:?}");
    }
}

#[test]
fn a_journal_made_before_goes_on_and_takes_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
    note_account(&connection, "acme at a.example").unwrap();
    mark_used(&connection);
    assert!(!goes_on(&connection, &identity(Some("shop"), &["acme at z"])));
    assert!(goes_on(&connection, &identity(None, &["acme at b.example", "acme at A.example"])));
    assert!(goes_on(&connection, &identity(Some("shop"), &["acme at a.example"])));
    assert!(goes_on(&connection, &identity(Some("shop"), &["acme at z"])));
    assert_eq!(names(&connection).unwrap()[0], "shop");
}

#[test]
fn the_operators_word_is_recorded() {
    let (_folder, connection) = sent_from(&identity(None, &["acme at a"]));
    let moved = identity(None, &["acme2 at b"]);
    assert!(!goes_on(&connection, &moved));
    assert!(goes_on(&connection, &Identity { same: true, ..moved.clone() }));
    assert!(goes_on(&connection, &moved), "once is enough");
    let source: i64 = connection
        .query_row("SELECT source FROM account_name WHERE name = 'acme2 at b'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(source, 3);
}

#[test]
fn a_receivers_login_is_known_afterwards() {
    let account = Identity { receivers: vec!["acme_rx at r".into()], ..identity(None, &["acme at a"]) };
    let (_folder, connection) = sent_from(&account);
    assert!(goes_on(&connection, &identity(None, &["acme_rx at r"])));
    // A receiver alone does not say which account it is.
    let other = Identity { receivers: vec!["acme_rx at r".into()], ..identity(None, &["other at o"]) };
    assert!(!goes_on(&connection, &other));
}
