//! Rows that were refused, corrected, go back into their campaign.

use super::desk::Desk;

/// A campaign of two messages, two refused rows, and another campaign behind it.
fn imported() -> Desk {
    let desk = Desk::new();
    desk.file("spring.csv", "to,name,code\n447700900101,Ann,1\n44x,Bob,2\n447700900103,Cid,3\n12,Dee,4\n");
    desk.run(&["import", "spring.csv", "--text", "Hi {name}: {code}", "--from", "Shop"]).says(0, &["2 rows refused"]);
    desk.file("other.csv", "to,text\n447700900101,a\n").run(&["import", "other.csv"]).says(0, &["imported 1 message"]);
    desk.run(&["report", "spring", "--rejected-rows", "--format", "file"]).says(0, &[]);
    desk
}

#[test]
fn corrected_rows_go_back_and_are_sent_with_the_rest() {
    let desk = imported();
    desk.file("rest.csv", "to,name,code\n447700900102,Bob,2\n447700900101,Ann,again\n1x,Dee,4\n");
    let words = [
        "spring: added 1 message in 1 part; the file's first line is line 6 of the campaign",
        "1 row refused",
        "the first: line 4 of the file",
        "1 duplicate row left out",
        "smppost resume spring",
    ];
    desk.run(&["import", "rest.csv", "--append", "spring"]).says(0, &words);
    assert_eq!(
        desk.sql("SELECT line, destination, source, text, state FROM message_status WHERE campaign = 'spring'"),
        [
            "2|447700900101|Shop|Hi Ann: 1|queued",
            "4|447700900103|Shop|Hi Cid: 3|queued",
            "7|447700900102|Shop|Hi Bob: 2|queued",
        ]
    );
    assert_eq!(
        desk.sql("SELECT messages, queued, duplicate_rows, rejected_rows FROM campaign_summary ORDER BY campaign"),
        ["1|1|0|0", "3|3|1|3"]
    );
    assert_eq!(
        desk.sql("SELECT campaign, file, first_line, messages, parts, duplicate_rows, rejected_rows FROM append_log"),
        ["spring|rest.csv|6|1|1|1|1"]
    );
    // The same file again adds nothing, and the campaign is still known by its own.
    desk.run(&["import", "rest.csv", "--append", "spring"]).says(0, &["this file was added already"]);
    desk.run(&["import", "spring.csv", "--text", "Hi {name}: {code}", "--from", "Shop"])
        .says(0, &["in the journal already, with 3 messages"]);
    // And again, behind what was added.
    desk.file("last.csv", "code,to,name\n4,447700900104,Dee\n");
    desk.run(&["import", "last.csv", "--append", "spring"]).says(0, &["is line 10 of the campaign"]);
    desk.run(&["verify"]).says(0, &[]);
    let spelt = desk.run(&["find", "07700 900102", "--country", "GB"]).says(0, &[]);
    assert_eq!(spelt.out, desk.run(&["find", "+44 (0)7700-900102"]).says(0, &[]).out);
    desk.run(&["find", "07700 900102"]).says(0, &[]);
    desk.run(&["find", "07700 9001", "--country", "GB"]).usage(&["GB"]);
    let found = desk.run(&["find", "447700900102"]).says(0, &[]);
    assert!(found.out.contains("spring"), "{}", found.out);
    desk.run(&["cancel", "spring", "--line", "7", "--yes"]);
    assert_eq!(desk.sql("SELECT line FROM message_status WHERE state = 'cancelled'"), ["7"]);
}

#[test]
fn what_cannot_be_added_is_refused_and_changes_nothing() {
    let desk = imported();
    desk.file("rest.csv", "to,name,code\n447700900102,Bob,2\n");
    desk.file("bad.csv", "to,name,code\n1x,Dee,4\n");
    desk.file("twice.csv", "to,name,code\n447700900101,Ann,1\n");
    desk.file("merge.csv", "to,name,code\n447700900105,%name%,5\n");
    let long: String = (0..40).map(|n| format!("4477009{n:05},Eve,{}\n", "x".repeat(140))).collect();
    desk.file("many.csv", format!("to,name,code\n{long}"));
    desk.run(&["import", "rest.csv", "--append", "summer"]).says(1, &["summer"]);
    desk.run(&["import", "rest.csv", "--append", "spring", "--from", "Bank"])
        .usage(&["--from: with --append", "leave it out"]);
    desk.run(&["import", "rest.csv", "--append", "spring", "--campaign", "x"]).usage(&["cannot be used with"]);
    desk.run(&["import", "bad.csv", "--append", "spring"]).says(1, &["none of the rows can be added", "line 2"]);
    desk.run(&["import", "twice.csv", "--append", "spring"]).says(1, &["has a message to each of their numbers"]);
    desk.run(&["import", "spring.csv", "--append", "spring"])
        .says(1, &["the file that campaign spring was imported from"]);
    desk.run(&["import", "merge.csv", "--append", "spring"])
        .usage(&["1 text may not be meant", "--allow-placeholders"]);
    desk.run(&["import", "many.csv", "--append", "spring"]).says(1, &["leaves no room for 40 parts"]);
    // Behind the last campaign there is room for anything.
    desk.file("more.csv", "to,text\n".to_owned() + &long.replace(",Eve", ""));
    desk.run(&["import", "more.csv", "--append", "other"]).says(0, &["added 40 messages"]);
    desk.run(&["import", "rest.csv", "--append", "spring", "--from", "Shop"]).says(0, &["added 1 message"]);
    desk.run(&["cancel", "spring", "--yes"]);
    desk.run(&["import", "merge.csv", "--append", "spring"]).says(1, &["was cancelled: send these rows as a campaign"]);
    assert_eq!(desk.sql("SELECT messages FROM campaign_summary WHERE campaign = 'spring'"), ["3"]);
    desk.run(&["verify"]).says(0, &[]);
}

#[test]
fn rows_that_were_added_are_sent_in_a_rehearsal_and_then_it_has_ended() {
    let desk = Desk::new();
    desk.file("spring.csv", "to,text\n447700900101,a\n44,b\n447700900104,d\n");
    desk.file("rest.csv", "to,text\n447700900102,b\n");
    desk.file("late.csv", "to,text\n447700900103,c\n");
    let journal = ["--journal", "smppost-simulated.db"];
    // One is left.
    desk.run(&["send", "spring.csv", "--simulate", "--limit", "1"]).says(0, &[]);
    desk.run(&[&["import", "rest.csv", "--append", "spring"], &journal[..]].concat()).says(0, &["added 1 message"]);
    desk.run(&["send", "spring.csv", "--simulate"]).says(0, &["with 3 messages"]);
    let states = desk.sql_in(journal[1], "SELECT line, state FROM message_status ORDER BY line");
    assert_eq!(states, ["2|delivered", "4|delivered", "6|delivered"]);
    desk.run(&[&["import", "late.csv", "--append", "spring"], &journal[..]].concat()).says(1, &["has come to its end"]);
    desk.run(&[&["verify"], &journal[..]].concat()).says(0, &[]);
}
