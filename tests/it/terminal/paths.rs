//! Journals that are no files, pipes where files are read, and what the system refuses.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Ended, Smppost, rows};
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

/// Every command that has a journal, and does not bind before it opened it.
const COMMANDS: &[&[&str]] = &[
    &["send", "c.csv", "--simulate"],
    &["send", "c.csv", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"],
    &["import", "c.csv"],
    &["check", "c.csv"],
    &["resume", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"],
    &["listen", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"],
    &["query", "c", "--line", "2", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"],
    &["replace", "c", "--line", "2", "--text", "x", "--host", "127.0.0.1", "--port", "1", "--system-id", "x"],
    &["cancel", "c"],
    &["list"],
    &["report"],
    &["report", "c", "--messages"],
    &["resolve", "c", "--abandon"],
    &["suppress", "add", "447700900001"],
    &["suppress", "list"],
    &["suppress", "import", "c.csv"],
    &["verify"],
];

fn names(smppost: &Smppost) -> BTreeSet<String> {
    let entries = std::fs::read_dir(smppost.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    // What the tests themselves put there for each run.
    let names = entries.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with("stdout-") && !name.starts_with("stderr-")).collect()
}

#[test]
fn a_journal_that_is_no_file_is_refused_in_words_by_every_command_and_leaves_nothing_behind() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(2));
    assert!(Command::new("mkfifo").arg(smppost.path("fifo")).status().unwrap().success());
    std::fs::create_dir(smppost.path("folder")).unwrap();
    symlink("nowhere.db", smppost.path("dangling")).unwrap();
    symlink("loop", smppost.path("loop")).unwrap();
    let before = names(&smppost);
    for (journal, words) in [
        ("fifo", "a pipe (FIFO)"),
        ("folder", "a folder"),
        ("dangling", "symbolic link to nowhere.db, which is not there"),
        ("loop", "lead in a circle"),
        ("/dev/null", "a device"),
        ("/dev/tty", "a device"),
        ("file:x.db?mode=memory", "--journal x.db"),
        (":memory:", "in memory"),
        ("-", "stream"),
    ] {
        for command in COMMANDS {
            let ended =
                smppost.spawn_with(command, &[("SMPPOST_JOURNAL", journal)]).wait_at_most(Duration::from_secs(10));
            ended.assert_code(1);
            assert!(ended.stderr.contains(words), "{journal} {command:?}: {}", ended.said());
            assert_eq!(names(&smppost), before, "{journal} {command:?}");
        }
    }
}

#[test]
fn pipes_are_read_where_a_file_is_read() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(3));
    smppost.file("smppost.toml", "[default]\nfrom = \"Test\"\n");
    let port = smsc.port();
    let script = format!(
        "exec \"$0\" send <(cat c.csv) --campaign c --config <(cat smppost.toml) --password-file <(echo secret) --host 127.0.0.1 \
         --port {port} --system-id test --receipts none"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_smppost")]).current_dir(smppost.path(""));
    command.env("SMPPOST_JOURNAL", smppost.journal()).env("HOME", smppost.path("")).stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(smsc.ledger().len(), 3, "{said}");
}

/// Runs the program under a limit of the shell.
fn limited(smppost: &Smppost, limit: &str, arguments: &str) -> Ended {
    let script = format!("{limit}; exec \"$0\" {arguments}");
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_smppost")]).current_dir(smppost.path(""));
    command.env("SMPPOST_JOURNAL", smppost.journal()).env("HOME", smppost.path("")).env("SMPPOST_PASSWORD", "secret");
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Ended { code: output.status.code(), stdout, stderr, took: Duration::ZERO }
}

#[test]
fn what_the_system_refuses_is_told_apart() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(5_000));
    // In units of 1 KiB: the import needs more.
    let ended = limited(&smppost, "ulimit -f 200", "import c.csv");
    ended.assert_code(1);
    assert!(ended.stderr.contains("ulimit -f"), "{}", ended.said());
    for name in names(&smppost) {
        if name.starts_with("journal.db") {
            std::fs::remove_file(smppost.path(&name)).unwrap();
        }
    }
    smppost.run(&["import", "c.csv"]).assert_code(0);
    let ended = limited(&smppost, "ulimit -n 4", "list");
    ended.assert_code(1);
    assert!(ended.stderr.contains("ulimit -n"), "{}", ended.said());
    // Nobody is kept from anything who is root.
    if rustix::process::geteuid().is_root() {
        return crate::common::skipped("permissions do not hold for root");
    }
    let private = |mode| std::fs::set_permissions(smppost.journal(), PermissionsExt::from_mode(mode)).unwrap();
    private(0);
    let ended = smppost.run(&["list"]);
    ended.assert_code(1);
    assert!(ended.stderr.contains("permission denied"), "{}", ended.said());
    private(0o600);
}

#[test]
fn the_limit_of_file_sizes_met_while_sending_is_named_and_nothing_is_lost() {
    let smppost = Smppost::new();
    let smsc = IndependentSmsc::start(Settings::default());
    smppost.file("c.csv", rows(3_000));
    smppost.run(&["import", "c.csv", "--receipts", "none"]).assert_code(0);
    let size = std::fs::metadata(smppost.journal()).unwrap().len();
    let units = size.div_ceil(1_024) + 300;
    let account = format!("--host 127.0.0.1 --port {} --system-id test --rate unlimited", smsc.port());
    let ended = limited(&smppost, &format!("ulimit -f {units}"), &format!("resume c {account}"));
    ended.assert_code(1);
    assert!(ended.stderr.contains("ulimit -f"), "{}", ended.said());
    let ended = limited(&smppost, "true", &format!("resume c {account} --response-timeout 5s"));
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.said());
    let mut numbers: Vec<String> = smsc.ledger().into_iter().map(|submit| submit.destination).collect();
    let all = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "none went twice");
}
