//! What an import asks whoever sits at the terminal: whether what looks wrong is meant.

use crate::common::{Smppost, one};

const TEXTS: &str = "Are these texts meant to go out so?";
const NUMBER: &str = "Send to that number as it is?";
const NUMBERS: &str = "Send to those numbers as they are?";

/// Imports a file at a terminal and answers one question; returns the exit code and what was shown.
fn answer(smppost: &Smppost, arguments: &[&str], question: &str, answer: &str) -> (Option<i32>, String) {
    let terminal = smppost.at_terminal(arguments);
    terminal.wait_for(question);
    terminal.type_in(answer);
    terminal.wait()
}

fn messages(smppost: &Smppost) -> i64 {
    if smppost.journal().exists() { one(&smppost.journal(), "SELECT count(*) FROM message_status") } else { 0 }
}

#[test]
fn what_is_doubtful_is_asked_about_and_no_leaves_nothing() {
    let american = |n: usize| format!("{}5550{:03},hi\n", [202, 212, 305, 415, 650, 718, 801, 917][n % 8], n);
    let americans: String = (0..80).map(american).collect();
    for (name, file, shown, question, count) in [
        ("placeholder.csv", "to,name,text\n447700900101,Ann,Hi {name}\n".to_owned(), "{name}", TEXTS, 1),
        ("error.csv", "to,text\n447700900101,#N/A\n447700900102,hi\n".to_owned(), "#N/A", TEXTS, 2),
        ("national.csv", "to,text\n07700 900101,hi\n447700900102,hi\n".to_owned(), "look national", NUMBER, 2),
        ("several.csv", "to,text\n07700 900101,hi\n7700900102,hi\n".to_owned(), "(lines 2, 3)", NUMBERS, 2),
        ("american.csv", format!("to,text\n{americans}"), "+20", NUMBERS, 80),
        ("guessed.csv", "No,Message\n1001,hi\n1002,hi\n".to_owned(), "from column `No`", NUMBERS, 2),
    ] {
        let smppost = Smppost::new();
        smppost.file(name, file);
        for (typed, code) in [("n\n", 1), ("\n", 1)] {
            let (ended, screen) = answer(&smppost, &["import", name], question, typed);
            assert_eq!(ended, Some(code), "{name}: {screen}");
            assert!(screen.contains(shown) && screen.contains("othing was imported"), "{name}: {screen}");
            assert_eq!(messages(&smppost), 0, "{name}");
        }
        // Nobody there is a no.
        let ended = smppost.run(&["import", name]);
        let all_refused = matches!(name, "several.csv" | "guessed.csv" | "national.csv");
        assert_eq!(
            ended.code,
            Some(if name == "national.csv" {
                0
            } else if all_refused {
                1
            } else {
                2
            }),
            "{name}: {}",
            ended.said()
        );
        if name == "national.csv" {
            assert_eq!(messages(&smppost), 1);
            continue;
        }
        assert_eq!(messages(&smppost), 0, "{name}");
        let (ended, screen) = answer(&smppost, &["import", name], question, "y\n");
        assert_eq!(ended, Some(0), "{name}: {screen}");
        assert_eq!(messages(&smppost), count, "{name}");
    }
}

#[test]
fn a_run_asks_before_it_sends_and_both_questions_where_there_are_two() {
    let smppost = Smppost::new();
    smppost.file("both.csv", "Phone,name,Message\n07700 900101,Ann,Hi {name}\n");
    let arguments = ["send", "both.csv", "--simulate", "--journal", "both.db", "--wait-receipts", "1s"];
    let sent = || one(&smppost.path("both.db"), "SELECT count(*) FROM attempt_log");
    let terminal = smppost.at_terminal(&arguments);
    terminal.wait_for(NUMBER);
    terminal.type_in("y\n");
    terminal.wait_for(TEXTS);
    terminal.type_in("n\n");
    let (code, screen) = terminal.wait();
    // What was said no to is what is told.
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("1 text may not be meant") && !screen.contains("reads such numbers"), "{screen}");
    assert!(screen.contains("the numbers from column `Phone`, the texts from column `Message`"), "{screen}");
    assert!(!smppost.path("both.db").exists() || sent() == 0);
    let terminal = smppost.at_terminal(&arguments);
    for question in [NUMBER, TEXTS] {
        terminal.wait_for(question);
        terminal.type_in("y\n");
    }
    let (code, screen) = terminal.wait();
    assert!(code.is_some(), "{screen}");
    assert_eq!(sent(), 1, "{screen}");
}

#[test]
fn rows_that_are_added_are_asked_about_as_a_file_is() {
    let smppost = Smppost::new();
    smppost.file("c.csv", "to,text\n447700900101,hi\n");
    smppost.file("more.csv", "to,text\n7700900102,hi\n");
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let append = ["import", "more.csv", "--append", "c"];
    let (code, screen) = answer(&smppost, &append, NUMBER, "n\n");
    assert_eq!((code, messages(&smppost)), (Some(1), 1), "{screen}");
    let (code, screen) = answer(&smppost, &append, NUMBER, "y\n");
    assert_eq!((code, messages(&smppost)), (Some(0), 2), "{screen}");
}
