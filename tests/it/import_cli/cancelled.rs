//! `cancel`: what is not sent yet is cancelled.

use crate::import_cli::desk::Desk;

const JOURNAL: &str = "smppost-simulated.db";

fn send(desk: &Desk, more: &[&str], words: &[&str]) {
    desk.run(&[&["send", "a.csv", "--simulate", "--rate", "unlimited"], more].concat()).says(0, words);
}

fn states(desk: &Desk) -> Vec<String> {
    desk.sql_in(JOURNAL, "SELECT state, count(*) FROM message_status GROUP BY state ORDER BY state")
}

#[test]
fn a_queued_campaign_is_cancelled_and_stays_so() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n447700900002,b\n447700900003,c\n");
    desk.run(&["import", "a.csv", "--journal", JOURNAL]).says(0, &[]);
    desk.run(&["cancel", "a", "--journal", JOURNAL]).says(0, &["a: 3 messages cancelled"]);
    assert_eq!(states(&desk), ["cancelled|3"]);
    assert_eq!(desk.sql_in(JOURNAL, "SELECT queued, cancelled FROM campaign_summary"), ["0|3"]);
    send(&desk, &[], &["in the journal already", "nothing to send"]);
    assert_eq!(states(&desk), ["cancelled|3"]);
    assert_eq!(desk.sql_in(JOURNAL, "SELECT count(*) FROM attempt_log"), ["0"]);
    // Once more changes nothing.
    desk.run(&["cancel", "a", "--journal", JOURNAL])
        .says(0, &["nothing is left to cancel (3 messages cancelled before)"]);
    assert_eq!(states(&desk), ["cancelled|3"]);
}

#[test]
fn what_was_sent_stays_sent() {
    let desk = Desk::new();
    desk.file("a.csv", "to,text\n447700900001,a\n447700900002,b\n447700900003,c\n");
    send(&desk, &["--limit", "1"], &[]);
    desk.run(&["cancel", "a", "--journal", JOURNAL]).says(0, &["a: 2 messages cancelled; what was sent stays sent"]);
    send(&desk, &[], &["nothing to send"]);
    assert_eq!(states(&desk), ["cancelled|2", "delivered|1"]);
}

#[test]
fn what_is_not_there_cannot_be_cancelled() {
    let desk = Desk::new();
    desk.run(&["cancel", "a"]).refused(&["smppost.db: import or send a campaign first", "--journal"]);
    assert!(desk.names().is_empty());
    desk.file("a.csv", "to,text\n447700900001,a\n").run(&["import", "a.csv"]).says(0, &[]);
    desk.run(&["cancel", "b"]).refused(&["no campaign \"b\"", "there are: a"]);
    assert_eq!(desk.sql("SELECT queued FROM campaign_summary"), ["1"]);
}
