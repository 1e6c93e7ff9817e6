//! Where the journal lies.

use super::{User, give_away};
use crate::common::{expected, states};
use std::os::unix::fs::PermissionsExt;

const ALL: [&str; 3] = ["447700900001", "447700900002", "447700900003"];

#[test]
fn from_every_folder_it_is_the_same_journal() {
    let user = User::new();
    user.rows("one");
    user.rows("two");
    let journal = user.default_journal();
    let first = user.with_account("one", &["send", "c.csv"]);
    first.assert(0, &format!("new journal: {}", journal.display()));
    first.assert(0, &format!("Journal: {}", journal.display()));
    assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    let second = user.with_account("two", &["send", "c.csv"]);
    assert!(!second.assert(0, "in the journal already").stderr.contains("new journal"), "{second:?}");
    assert_eq!(user.got(), ALL);
    // Whoever asks without the account finds it, and is told which.
    let list = user.run("three", &["list"]);
    assert!(list.assert(0, &format!("journal: {}", journal.display())).stdout.contains("\nc "), "{list:?}");
    user.run("three", &["report", "c"]).assert(0, "delivered");
    user.run("three", &["cancel", "c"]).assert(0, "nothing is left to cancel");
    user.run("three", &["journals"]).assert(0, &journal.to_string_lossy());
}

#[test]
fn accounts_have_journals_of_their_own() {
    let user = User::new();
    user.rows("one");
    user.with_account("one", &["send", "c.csv"]).assert(0, "");
    let port = user.smsc.port().to_string();
    let other = ["send", "c.csv", "--host", "127.0.0.1", "--port", &port, "--system-id", "other"];
    user.run("one", &other).assert(0, "/other@localhost.db");
    let both = user.run("one", &["list"]);
    both.assert(2, "which journal? There are ");
    both.assert(2, "test@localhost.db (test at localhost)").assert(2, "other@localhost.db (other at localhost)");
    assert!(user.run("one", &["list", "--account", "other at localhost"]).assert(0, "").stdout.contains("\nc "));
    // A name that is given later does not begin anew.
    let named = user.with_account("one", &["send", "c.csv", "--account", "shop"]);
    named.assert(0, "in the journal already");
    assert_eq!(user.got().len(), 6);
}

#[test]
fn a_journal_here_is_used_if_it_is_ones_own_alone() {
    let user = User::new();
    user.rows("one");
    let here = user.path("one/smppost.db");
    user.run("one", &["import", "c.csv", "--journal", "smppost.db"])
        .assert(0, &format!("new journal: {}", here.display()));
    assert!(user.run("one", &["list"]).assert(0, "").stdout.contains("\nc "));
    std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o666)).unwrap();
    let writable = user.with_account("one", &["resume", "c"]);
    writable.assert(2, "others may write to it (mode 666)").assert(2, &format!("chmod go-w {}", here.display()));
    if !give_away(&here) {
        return;
    }
    let foreign = user.with_account("one", &["resume", "c"]);
    foreign.assert(1, "is not used, since it belongs to another user (number 12345)");
    assert_eq!(user.got(), [""; 0]);
    // What somebody else put there is sent to nobody, a link to it neither.
    std::fs::create_dir(user.path("two")).unwrap();
    std::os::unix::fs::symlink(&here, user.path("two/smppost.db")).unwrap();
    user.with_account("two", &["resume"]).assert(1, "belongs to another user");
    assert_eq!(user.got(), [""; 0]);
}

#[test]
fn a_service_has_its_state_folder_and_nobody_at_home_has_to_say_where() {
    let user = User::new();
    let folder = user.folder("state").to_string_lossy().into_owned();
    let service = user.with("STATE_DIRECTORY", &folder).with("HOME", "");
    service.rows("one");
    service.with_account("one", &["send", "c.csv"]).assert(0, &format!("new journal: {folder}/test@localhost.db"));
    service.run("two", &["list"]).assert(0, "test@localhost.db");
    let nobody = User::new().with("HOME", "");
    nobody.rows("one");
    nobody.with_account("one", &["send", "c.csv"]).assert(2, "HOME is not set");
    nobody.with_account("one", &["send", "c.csv", "--journal", "j.db"]).assert(0, "cannot be noted");
    assert_eq!(nobody.got(), ALL);
}

#[test]
fn where_one_is_known_no_second_one_is_made() {
    let user = User::new();
    user.rows("one");
    user.rows("two");
    let known = user.path("one/mine.db");
    user.with_account("one", &["send", "c.csv", "--journal", "mine.db"]).assert(0, "new journal: ");
    for arguments in [&["send", "c.csv"][..], &["resume"], &["listen", "--for", "1s"]] {
        let port = user.smsc.port().to_string();
        let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test"];
        let refused = user.run("two", &[arguments, &account].concat());
        refused.assert(2, &format!("--journal {}", known.display()));
    }
    assert!(!user.default_journal().exists());
    assert_eq!(user.got(), ALL);
    user.run("two", &["list"]).assert(0, &format!("journal: {}", known.display()));
    // A second one that is named is warned of, and what is suppressed in the first holds in it.
    user.run("two", &["suppress", "add", "447700900002"]).assert(0, "1 number added");
    // One that is refused leaves none behind, although numbers were brought over for it.
    user.with_account("two", &["send", "/dev/null", "--journal", "second.db"]).assert(2, "--campaign");
    assert!(!user.path("two/second.db").exists() && !user.path("two/second.db-lock").exists());
    let second = user.with_account("two", &["send", "c.csv", "--journal", "second.db"]);
    second
        .assert(0, "warning: the account test at localhost has a journal already")
        .assert(0, &known.to_string_lossy());
    second.assert(0, "1 number suppressed in");
    let states = states(&user.path("two/second.db"), "c");
    assert_eq!(states, expected([("delivered", 2), ("suppressed", 1)]));
    // Taken off there, it is taken off here; what was put here itself stays.
    user.run("two", &["suppress", "remove", "447700900002", "--journal", "../one/mine.db"])
        .assert(0, "1 number removed");
    user.run("two", &["suppress", "add", "447700900009", "--journal", "second.db"]).assert(0, "");
    user.with_account("two", &["resume", "c", "--journal", "second.db"]).assert(0, "");
    let list = user.run("two", &["suppress", "list", "--journal", "second.db"]);
    assert!(list.stdout.contains("447700900009") && !list.stdout.contains("447700900002"), "{list:?}");
    // One that is gone is named; once forgotten, it is not.
    std::fs::remove_file(&known).unwrap();
    let gone = user.with_account("two", &["resume", "c", "--journal", "second.db"]);
    gone.assert(0, "1 other journal of the account test at localhost is not where it was");
    let id = gone.stderr.split("--forget ").nth(1).unwrap()[..16].to_owned();
    user.run("two", &["journals", "--forget", &id]).assert(0, "");
    user.run("two", &["journals", "--forget", &id]).assert(1, "no journal is known");
    let quiet = user.with_account("two", &["resume", "c", "--journal", "second.db"]);
    assert!(!quiet.assert(0, "").stderr.contains("not where it was"), "{quiet:?}");
}

#[test]
fn what_is_imported_before_the_account_is_known_is_of_the_first_that_sends() {
    let user = User::new();
    user.rows("one");
    let journal = user.path(".local/share/smppost/smppost.db");
    let said = format!("no journal at {}", journal.display());
    user.run("one", &["list"]).assert(1, &said);
    user.run("one", &["check", "c.csv"]).assert(0, "");
    assert!(!user.path("one/smppost.db").exists() && !user.path(".local").exists());
    user.run("one", &["import", "c.csv"]).assert(0, &format!("new journal: {}", journal.display()));
    user.with_account("two", &["resume", "c"]).assert(0, &format!("journal: {}", journal.display()));
    assert_eq!(user.got(), ALL);
    user.run("two", &["import", "../one/c.csv"]).assert(0, "in the journal already");
    // Another account has its own.
    let port = user.smsc.port().to_string();
    let other = ["send", "c.csv", "--host", "127.0.0.1", "--port", &port, "--system-id", "other"];
    user.run("one", &other).assert(0, "/other@localhost.db");
}

#[test]
fn a_state_folder_that_cannot_be_written_stops_no_run() {
    let user = User::new();
    user.rows("one");
    std::fs::create_dir_all(user.path(".local")).unwrap();
    std::fs::write(user.path(".local/state"), "a file where a folder should be").unwrap();
    user.with_account("one", &["send", "c.csv"])
        .assert(0, "warning: which journals there are and how far they have come cannot be noted");
    assert_eq!(user.got(), ALL);
}
