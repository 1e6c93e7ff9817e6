//! A copy of a journal, and an older state of it.

use super::User;
use crate::common::{expected, one, states};
use std::path::Path;

const ALL: [&str; 3] = ["447700900001", "447700900002", "447700900003"];

/// A journal with three messages that are queued.
fn imported() -> User {
    let user = User::new();
    user.rows("one");
    user.with_account("one", &["send", "c.csv", "--journal", "j.db", "--limit", "1"]).assert(0, "");
    assert_eq!(user.got(), ALL[..1]);
    user
}

fn copy(from: &Path, to: &Path) {
    std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
}

/// The ID that a refusal prints.
pub fn id(words: &str) -> String {
    words
        .split("--adopt ")
        .nth(1)
        .unwrap_or_else(|| panic!("{words}"))
        .chars()
        .take_while(char::is_ascii_hexdigit)
        .collect()
}

#[test]
fn a_copy_sends_nothing_until_it_is_adopted() {
    let user = imported();
    copy(&user.path("one/j.db"), &user.path("one/copy.db"));
    user.with_account("one", &["resume", "c", "--journal", "j.db"]).assert(0, "");
    assert_eq!(user.got(), ALL);
    let resume = ["resume", "c", "--journal", "copy.db"];
    let refused = user.with_account("one", &resume);
    refused.assert(1, "is a copy").assert(1, &user.path("one/j.db").to_string_lossy());
    let id = id(&refused.stderr);
    user.with_account("one", &[&resume[..], &["--adopt", "00000000"]].concat()).assert(1, &format!("--adopt {id}"));
    // What the original sent since nobody can know.
    let adopted = user.with_account("one", &[&resume[..], &["--adopt", &id]].concat());
    adopted.assert(3, "2 messages that were queued are in doubt");
    assert_eq!(user.got(), ALL);
    let journal = user.path("one/copy.db");
    assert_eq!(states(&journal, "c"), expected([("delivered", 1), ("in_doubt", 2)]));
    user.run("one", &["verify", "--journal", "copy.db"]).assert(0, "");
    // A line in cron goes on; the original does not.
    user.with_account("one", &[&resume[..], &["--adopt", &id]].concat()).assert(3, "");
    assert_eq!(one(&journal, "SELECT count(*) FROM adoption"), 1);
    user.with_account("one", &["resume", "c", "--journal", "j.db"]).assert(1, "is older than it was");
    user.run("one", &["resolve", "c", "--resend", "--journal", "copy.db"]).assert(0, "");
    user.with_account("one", &resume).assert(0, "");
    assert_eq!(user.got().len(), 5);
    // A copy of the copy has an ID of its own.
    copy(&journal, &user.path("one/third.db"));
    let third = user.with_account("one", &["resume", "c", "--journal", "third.db", "--adopt", &id]);
    third.assert(1, "is a copy");
}

#[test]
fn who_knows_that_nothing_was_sent_since_says_so() {
    let user = imported();
    copy(&user.path("one/j.db"), &user.path("one/copy.db"));
    // The original was used, whatever for.
    user.run("one", &["suppress", "add", "447700900009", "--journal", "j.db"]).assert(0, "");
    let resume = ["resume", "c", "--journal", "copy.db"];
    let id = id(&user.with_account("one", &resume).assert(1, "is a copy").stderr);
    let sent = user.with_account("one", &[&resume[..], &["--adopt", &id, "--nothing-sent-since"]].concat());
    sent.assert(0, "as you say");
    assert_eq!(user.got(), ALL);
}

#[test]
fn the_last_state_goes_on_where_the_note_shows_that_it_is() {
    let user = imported();
    copy(&user.path("one/j.db"), &user.path("one/copy.db"));
    std::fs::remove_file(user.path("one/j.db")).unwrap();
    let resume = ["resume", "c", "--journal", "copy.db"];
    let id = id(&user.with_account("one", &resume).assert(1, "is a copy").stderr);
    user.with_account("one", &[&resume[..], &["--adopt", &id]].concat()).assert(0, "it is its last state");
    assert_eq!(user.got(), ALL);
}

#[test]
fn a_journal_that_is_moved_or_renamed_goes_on() {
    let user = imported();
    user.folder("two");
    std::fs::rename(user.path("one/j.db"), user.path("two/k.db")).unwrap();
    user.with_account("two", &["resume", "c", "--journal", "k.db"]).assert(0, "");
    assert_eq!(user.got(), ALL);
    // The note follows, and a symbolic link leads there.
    user.run("three", &["journals"]).assert(0, &user.path("two/k.db").to_string_lossy());
    std::os::unix::fs::symlink(user.path("two/k.db"), user.path("link.db")).unwrap();
    user.with_account("one", &["resume", "c", "--journal", "../link.db"]).assert(0, "");
}

#[test]
fn a_backup_in_its_place_is_told_from_the_journal() {
    let user = imported();
    let [journal, backup] = ["one/j.db", "one/backup.db"].map(|name| user.path(name));
    copy(&journal, &backup);
    user.with_account("one", &["resume", "c", "--journal", "j.db"]).assert(0, "");
    // Over the file itself, which stays the same file.
    for side in ["-wal", "-shm", "-marks", "-answers"] {
        let _ = std::fs::remove_file(user.path(&format!("one/j.db{side}")));
    }
    copy(&backup, &journal);
    let resume = ["resume", "c", "--journal", "j.db"];
    let refused = user.with_account("one", &resume);
    refused.assert(1, "is older than it was");
    assert_eq!(user.got(), ALL);
    let id = id(&refused.stderr);
    user.with_account("one", &[&resume[..], &["--adopt", &id]].concat())
        .assert(3, "2 messages that were queued are in doubt");
    assert_eq!(user.got(), ALL);
    // Once more: the same line does not adopt it again.
    let _ = std::fs::remove_file(user.path("one/j.db-wal"));
    let _ = std::fs::remove_file(user.path("one/j.db-shm"));
    copy(&backup, &journal);
    user.with_account("one", &[&resume[..], &["--adopt", &id]].concat()).assert(1, "is older than it was");
    assert_eq!(user.got(), ALL);
}

#[test]
fn what_is_only_asked_of_a_copy_is_answered() {
    let user = imported();
    copy(&user.path("one/j.db"), &user.path("one/copy.db"));
    user.run("one", &["report", "c", "--journal", "copy.db"]).assert(0, "queued");
    user.run("one", &["cancel", "c", "--journal", "copy.db"]).assert(0, "2 messages cancelled");
    // What is done with the copy says nothing of the journal.
    user.with_account("one", &["resume", "c", "--journal", "j.db"]).assert(0, "");
    assert_eq!(user.got(), ALL);
}
