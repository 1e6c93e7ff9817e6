//! The look-up by number.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, one, rows};

/// Rows `first..end` of [`rows`].
fn some_rows(first: usize, end: usize) -> String {
    let all = rows(end);
    let mut lines = all.lines();
    let header = lines.next().unwrap();
    let some: Vec<&str> = lines.skip(first).collect();
    format!("{header}\n{}\n", some.join("\n"))
}

fn arguments<'a>(command: &'a str, file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![command, file];
    arguments.extend(more);
    arguments
}

#[test]
fn an_import_says_what_others_sent_to_lately_and_leaves_it_out_where_that_is_asked_for() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let journal = smppost.journal();
    let journal = ["--journal", journal.to_str().unwrap()];
    // Numbers 0 to 49 are sent to; of a second campaign all but one stay queued.
    let first = smppost.file("march.csv", rows(50));
    let port = smsc.port().to_string();
    smppost
        .run(&smppost.send_arguments(first.to_str().unwrap(), &port, &["--campaign", "march", "--wait-receipts", "1s"]))
        .assert_code(0);
    let second = smppost.file("april.csv", some_rows(50, 60));
    let send = ["--campaign", "april", "--limit", "1", "--wait-receipts", "1s"];
    smppost.run(&smppost.send_arguments(second.to_str().unwrap(), &port, &send)).assert_code(0);

    let file = smppost.file("may.csv", some_rows(30, 70));
    let file = file.to_str().unwrap();
    let check = smppost.run(&arguments("check", file, &journal));
    assert!(
        check.assert_code(0).stdout.contains("21 numbers of it were sent to in the last 24 hours: 20 by march"),
        "{}",
        check.said()
    );
    let more = [journal[0], journal[1], "--skip-sent-within", "24h", "--format", "json"];
    let check = smppost.run(&arguments("check", file, &more));
    assert!(check.assert_code(0).stdout.contains("\"messages\": 19,"), "{}", check.said());
    assert!(check.stdout.contains("\"sent_lately\": []"), "{}", check.said());

    // Said, and imported all the same.
    let import = smppost.run(&arguments("import", file, &journal));
    assert!(
        import.assert_code(0).stderr.contains("21 numbers of it were sent to in the last 24 hours"),
        "{}",
        import.said()
    );
    assert!(
        import.stderr.contains("20 by march (the last at 20") && import.stderr.contains(", 1 by april"),
        "{}",
        import.said()
    );
    assert_eq!(one(&smppost.journal(), "SELECT messages FROM campaign_summary WHERE campaign = 'may'"), 40);
    // Not of its own: nothing of it was sent.
    let june = smppost.file("june.csv", some_rows(60, 70));
    let import = smppost.run(&arguments("import", june.to_str().unwrap(), &journal));
    assert!(!import.assert_code(0).stderr.contains("sent to"), "{}", import.said());

    let skip = [journal[0], journal[1], "--campaign", "may 2", "--allow-same-file", "--skip-sent-within", "24h"];
    let import = smppost.run(&arguments("import", file, &skip));
    assert!(import.assert_code(0).stderr.contains("21 rows left out"), "{}", import.said());
    assert!(!import.stderr.contains("refused"), "{}", import.said());
    assert_eq!(one(&smppost.journal(), "SELECT messages FROM campaign_summary WHERE campaign = 'may 2'"), 19);
    let report = smppost.run(&["report", "may 2", "--rejected-rows", "--format", "csv", journal[0], journal[1]]);
    let because = report.stdout.matches("sent to its number in the last 24h").count();
    assert_eq!(because, 21, "{}", report.said());
    // The same command again is the same campaign, however much time has passed; another time is another campaign.
    let again = smppost.run(&arguments("import", file, &skip));
    assert!(again.assert_code(0).stderr.contains("in the journal already, with 19 messages"), "{}", again.said());
    let other = [journal[0], journal[1], "--campaign", "may 2", "--skip-sent-within", "1h"];
    let other = smppost.run(&arguments("import", file, &other));
    assert!(other.assert_code(1).stderr.contains("--skip-sent-within: was \"24h\", is now \"1h\""), "{}", other.said());
}

#[test]
fn rows_are_left_out_of_what_is_sent_and_a_pipe_is_refused_for_it() {
    let smsc = IndependentSmsc::start(Settings::default());
    let smppost = Smppost::new();
    let port = smsc.port().to_string();
    let first = smppost.file("first.csv", rows(5));
    smppost.run(&smppost.send_arguments(first.to_str().unwrap(), &port, &["--wait-receipts", "1s"])).assert_code(0);
    let second = smppost.file("second.csv", rows(8));
    let skip = ["--campaign", "second", "--skip-sent-within", "2h", "--wait-receipts", "1s"];
    smppost.run(&smppost.send_arguments(second.to_str().unwrap(), &port, &skip)).assert_code(0);
    assert_eq!(smsc.ledger().len(), 8, "5 and the 3 that nobody had sent to");
    // Nobody is left: the campaign is there with what was left out, and nothing went wrong.
    let third = smppost.file("third.csv", rows(4));
    let skip = ["--campaign", "third", "--skip-sent-within", "2h"];
    let none = smppost.run(&smppost.send_arguments(third.to_str().unwrap(), &port, &skip));
    assert!(none.assert_code(0).stderr.contains("4 rows left out"), "{}", none.said());
    let pipe = smppost.path("pipe.csv");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let skip = ["--campaign", "piped", "--skip-sent-within", "2h"];
    let refused = smppost.run(&smppost.send_arguments(pipe.to_str().unwrap(), &port, &skip));
    assert!(refused.assert_code(2).stderr.contains("reads the file twice"), "{}", refused.said());
    assert_eq!(smsc.ledger().len(), 8);
}
