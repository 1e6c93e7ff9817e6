//! Settings that are read anew while the service runs.

use super::{runs, smsc, start, stop, wait_until};
use crate::common::independent_smsc::{Action, BindAnswer, Event, IndependentSmsc, Settings};
use crate::common::judge::Rules;
use crate::common::{Ended, Leeway, PATIENCE, Running, Smppost, assert_agree, one, rows};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

/// A profile of an account at this port, and more.
pub(super) fn profile(port: u16, more: &str) -> String {
    format!(
        "[acme]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"test\"\nresponse_timeout = \"5s\"\npassword_file = \
         \"password\"\n{more}"
    )
}

pub(super) fn write_profile(smppost: &Smppost, octets: impl AsRef<[u8]>) {
    // As editors do: another file in its place.
    let path = smppost.file("smppost.toml.new", octets);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(path, smppost.path("smppost.toml")).unwrap();
}

fn write_password(smppost: &Smppost, password: &str) {
    let path = smppost.file("password", format!("{password}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The program, with nothing in its environment that would beat the profile.
pub(super) fn smppost(profile: &str) -> Smppost {
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "");
    write_password(&smppost, "secret");
    write_profile(&smppost, profile);
    smppost.file("none.toml", "");
    smppost
}

#[track_caller]
pub(super) fn serve(smppost: &Smppost, more: &[&str]) -> Running {
    serve_with(smppost, more, &[])
}

#[track_caller]
fn serve_with(smppost: &Smppost, more: &[&str], environment: &[(&str, &str)]) -> Running {
    let before = runs(smppost);
    let mut service = smppost.spawn_with(&[&["run", "--create", "--profile", "acme"], more].concat(), environment);
    let until = Instant::now() + PATIENCE;
    while runs(smppost) == before && Instant::now() < until && service.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    service
}

/// A command whose journal the profile names.
fn by_profile(smppost: &Smppost, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
    command.args(arguments).args(["--profile", "acme"]).current_dir(smppost.path(""));
    command.env("HOME", smppost.path("")).env("XDG_STATE_HOME", smppost.path("state"));
    for variable in ["SMPPOST_JOURNAL", "SMPPOST_PASSWORD", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(variable);
    }
    command
}

pub(super) fn reload(smppost: &Smppost) -> Ended {
    smppost.run(&["reload", "--profile", "acme"])
}

#[track_caller]
pub(super) fn reloaded(smppost: &Smppost, words: &[&str]) {
    let ended = reload(smppost);
    ended.assert_code(0);
    words.iter().for_each(|words| assert!(ended.words().contains(words), "{words}: {}", ended.said()));
}

#[track_caller]
pub(super) fn refused(smppost: &Smppost, words: &[&str]) {
    let ended = reload(smppost);
    ended.assert_code(1);
    words.iter().for_each(|words| assert!(ended.words().contains(words), "{words}: {}", ended.said()));
}

const SESSIONS: &str = "SELECT count(*) FROM session";
const OPEN: &str = "SELECT count(*) FROM session WHERE closed_at IS NULL";

#[test]
fn rate_window_hours_and_words_hold_at_once_and_no_bind_is_lost() {
    let smsc = smsc();
    let smppost = smppost(&profile(smsc.port(), "rate = 0.001\nwindow = 1\n"));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(40));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken == 1);
    // What is next would go in a quarter of an hour.
    write_profile(&smppost, profile(smsc.port(), "rate = 50\nwindow = 20\nopt_out_words = [\"STOP\"]\n"));
    reloaded(&smppost, &["rate: 50 from now on", "window: 20 from now on", "opt-out-words: STOP from now on"]);
    wait_until(&smppost, super::TAKEN, |taken| taken == 40);
    // Closed all day but one minute that is over or far.
    smppost.file("d.csv", rows(5));
    write_profile(
        &smppost,
        profile(smsc.port(), "rate = 50\nwindow = 20\nbetween = \"03:00-03:01\"\ntime_zone = \"UTC\"\n"),
    );
    reloaded(&smppost, &["between: 03:00-03:01 from now on", "opt-out-words: as by default from now on"]);
    let send = ["send", "d.csv", "--from", "Test", "--allow-same-file", "--detach", "--profile", "acme"];
    smppost.run(&send).assert_code(0);
    service.wait_for_words("outside the sending hours");
    wait_until(&smppost, "SELECT queued FROM campaign_summary WHERE campaign = 'd'", |queued| queued == 5);
    write_profile(&smppost, profile(smsc.port(), "rate = 50\n"));
    reloaded(&smppost, &["window: as by default from now on"]);
    wait_until(&smppost, "SELECT delivered FROM campaign_summary WHERE campaign = 'd'", |delivered| delivered == 5);
    assert!(one(&smppost.journal(), SESSIONS) <= 2, "one, and one more where closed hours had it left");
    reloaded(&smppost, &["nothing is changed"]);
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line_and_the_old_settings_stay() {
    let smsc = smsc();
    let good = profile(smsc.port(), "rate = 77\n");
    let smppost = smppost(&good);
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    // The profile may be what says which journal it is: then what is wrong with it is found by the command itself.
    let check = |octets: &[u8], words: &[&str]| {
        write_profile(&smppost, octets);
        refused(&smppost, words);
        let ended = by_profile(&smppost, &["reload"]).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(ended.status.code(), Some(1), "{said}");
        words.iter().for_each(|words| assert!(said.contains(words), "{words}: {said}"));
    };
    let with = |more: &str| format!("{good}{more}");
    check(with("rate = \n").as_bytes(), &["smppost.toml line 8"]);
    check(with("ratte = 5\n").as_bytes(), &["smppost.toml line 8", "did you mean `rate`"]);
    check(&[good.as_bytes(), &[0xFF]].concat(), &["smppost.toml"]);
    check(&vec![b'#'; 3 << 20], &["smppost.toml", "1024 KiB"]);
    check(b"[other]\nhost = \"127.0.0.1\"\n", &["no profile \"acme\""]);
    // What only the service sees.
    let check = |octets: &str, words: &[&str]| {
        write_profile(&smppost, octets);
        refused(&smppost, words);
    };
    check(&profile(smsc.port(), "rate = 0\n"), &["line 7", "from 0.001"]);
    check(&profile(smsc.port(), "tls = true\ntls_ca = \"none.pem\"\n"), &["line 8", "none.pem"]);
    check(&profile(smsc.port(), "start_at = \"2030-01-01T00:00\"\n"), &["line 7", "a campaign's"]);
    // Another account: one that nothing was sent by yet would be as good.
    smppost.file("c.csv", rows(1));
    write_profile(&smppost, &good);
    smppost.run(&["send", "c.csv", "--from", "Test", "--wait-receipts", "10ms", "--profile", "acme"]).assert_code(0);
    check(&good.replace("\"test\"", "\"other\""), &["line 4", "other at localhost"]);
    check(&good.replace("\"127.0.0.1\"", "\"192.0.2.1\""), &["line 2", "test at 192.0.2.1"]);
    check(&profile(smsc.port(), "account = \"other\"\n"), &["line 7", "another account is another service"]);
    // Not a file, none at all, one that others can change or nobody can read.
    write_profile(&smppost, &good);
    let path = smppost.path("smppost.toml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    refused(&smppost, &["chmod go-w"]);
    std::fs::remove_file(&path).unwrap();
    refused(&smppost, &["smppost.toml"]);
    std::fs::create_dir(&path).unwrap();
    refused(&smppost, &["folder"]);
    std::fs::remove_dir(&path).unwrap();
    write_profile(&smppost, &good);
    std::fs::remove_file(smppost.path("password")).unwrap();
    refused(&smppost, &["--password-file", "line 6"]);
    write_password(&smppost, "secret");
    reloaded(&smppost, &["nothing is changed"]);
    let ended = smppost.run(&["status", "--check"]);
    assert!(ended.stdout.contains("1 of 1 connection bound"), "{}", ended.said());
    assert_eq!(one(&smppost.journal(), SESSIONS), 1);
    assert!(smppost.run(&["status"]).stdout.contains("rate: 77.0/s"));
    stop(service);
}

#[test]
fn another_journal_is_refused_and_another_users_file_sends_no_password_elsewhere() {
    let smsc = smsc();
    let with = |more: &str| profile(smsc.port(), more);
    let smppost = smppost(&with("journal = \"own.db\"\n"));
    let mut service = by_profile(&smppost, &["run", "--create"]).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while smsc.counts().binds_accepted == 0 && Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let own = smppost.path("own.db").display().to_string();
    let reload = || smppost.run(&["reload", "--journal", &own]);
    write_profile(&smppost, with("journal = \"other.db\"\n"));
    let ended = reload();
    ended.assert_code(1);
    let words = ended.words();
    assert!(words.contains("line 7") && words.contains("another journal is another service"), "{words}");
    write_profile(&smppost, with("journal = \"own.db\"\n"));
    reload().assert_code(0);
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(smppost.path("smppost.toml"), Some(12_345), None).unwrap();
        let ended = reload();
        ended.assert_code(1);
        assert!(ended.words().contains("smppost.toml"), "{}", ended.said());
    }
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn a_file_that_is_a_pipe_holds_nobody_up() {
    let smsc = smsc();
    let smppost = smppost(&profile(smsc.port(), ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    let path = smppost.path("smppost.toml");
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let journal = smppost.journal().display().to_string();
    let ask = ["reload", "--journal", &journal, "--config", "none.toml"];
    for words in ["could not be read within 10 s", "still being read"] {
        let ended = smppost.run(&ask);
        ended.assert_code(1);
        assert!(ended.words().contains(words), "{}", ended.said());
    }
    smppost.file("c.csv", rows(5));
    smppost.run(&["send", "c.csv", "--from", "Test", "--config", "none.toml"]).assert_code(0);
    stop(service);
}

#[test]
fn what_cannot_be_changed_is_said_by_name() {
    let smsc = smsc();
    let smppost = smppost(&profile(smsc.port(), "rate = 40\n"));
    let credentials = smppost.path("").display().to_string();
    let mut service =
        serve_with(&smppost, &["--window", "7"], &[("CREDENTIALS_DIRECTORY", credentials.trim_end_matches('/'))]);
    service.wait_for_words("bound to");
    let more = "rate = 40\nwindow = 9\nconnections = 2\nretry_delays = [\"2s\"]\nfrom = \"Other\"\n";
    write_profile(&smppost, profile(smsc.port(), more));
    let password = smppost.path("password").display().to_string();
    let ended = reload(&smppost);
    ended.assert_code(0);
    let words = ended.words();
    assert!(words.contains("connections, retry-delays: not changed by a reload"), "{words}");
    assert!(words.contains("window: typed, or in the environment of the service"), "{words}");
    assert!(!words.contains("from:") && !words.contains("rate:"), "{words}");
    // It is named relative to the file of settings, and so not in that folder as it is written.
    assert!(!password.is_empty() && one(&smppost.journal(), SESSIONS) == 1);
    stop(service);
    let file = password.as_str();
    let mut service = serve_with(
        &smppost,
        &["--password-file", file],
        &[("CREDENTIALS_DIRECTORY", credentials.trim_end_matches('/'))],
    );
    service.wait_for_words("bound to");
    reloaded(&smppost, &["what systemd shows of it is fixed at the start"]);
    stop(service);
}

#[test]
fn connections_go_over_to_another_port_one_by_one_and_each_is_bound_before_the_old_one_is_left() {
    let (old, new) = (smsc(), smsc());
    let smppost = smppost(&profile(old.port(), "connections = 3\nrate = 300\n"));
    let mut service = serve(&smppost, &[]);
    wait_until(&smppost, OPEN, |open| open == 3);
    smppost.file("c.csv", rows(900));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 50);
    write_profile(&smppost, profile(new.port(), "connections = 3\nrate = 300\n"));
    reloaded(
        &smppost,
        &["port: for connections that are bound anew", "connection 1: bound anew", "connection 3: bound anew"],
    );
    wait_until(&smppost, super::TAKEN, |taken| taken == 900);
    assert!(service.is_running() && !service.stderr().contains("next try"), "{}", service.stderr());
    stop(service);
    let (old, new) = (old.finish(), new.finish());
    assert_eq!((old.counts.binds_accepted, new.counts.binds_accepted), (3, 3));
    assert_eq!((old.counts.unbinds, old.counts.ended_rudely), (3, 0));
    old.assert_clean();
    new.assert_clean();
    assert!(!new.submits.is_empty());
    let mut all = old.submits;
    all.extend(new.submits);
    assert_eq!(all.len(), 900, "none twice");
    assert_eq!(one(&smppost.journal(), "SELECT in_doubt FROM campaign_summary"), 0);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM session"), 6);
}

#[test]
fn where_the_account_has_one_bind_the_old_one_is_left_first() {
    let rules = Rules { password: None, ..Rules::default() };
    let smsc = IndependentSmsc::start(Settings { connections_max: 1, rules, ..Settings::default() });
    let smppost = smppost(&profile(smsc.port(), "rate = 200\n"));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(400));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 20);
    write_password(&smppost, "another");
    reloaded(&smppost, &["the password: for connections that are bound anew", "connection 1: bound anew"]);
    wait_until(&smppost, super::TAKEN, |taken| taken == 400);
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!((report.counts.binds_accepted, report.submits.len()), (2, 400));
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn settings_that_are_refused_leave_the_session_that_there_is() {
    let (old, new) =
        (smsc(), IndependentSmsc::start(Settings { binds: vec![BindAnswer::Refused(0x0E)], ..Settings::default() }));
    let smppost = smppost(&profile(old.port(), "rate = 100\n"));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(200));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    write_profile(&smppost, profile(new.port(), "rate = 150\n"));
    // Twice, as nothing of it holds yet.
    for rate in ["rate: 150 from now on", "port: for connections"] {
        refused(&smppost, &[rate, "goes on by those before", "0x0E"]);
    }
    // Nobody is there.
    let port = free_port();
    write_profile(&smppost, profile(port, "rate = 150\n"));
    refused(&smppost, &["goes on by those before", "refused"]);
    wait_until(&smppost, super::TAKEN, |taken| taken == 200);
    assert!(smppost.run(&["status"]).stdout.contains("rate: 150/s"), "what is no connection's holds");
    stop(service);
    assert_eq!(one(&smppost.journal(), SESSIONS), 1);
    let report = old.finish();
    assert_eq!(report.submits.len(), 200);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
    assert_eq!(new.finish().counts.binds_accepted, 0);
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn those_that_were_bound_anew_go_back_where_a_later_one_is_refused() {
    let old = smsc();
    let new = IndependentSmsc::start(Settings {
        binds: vec![BindAnswer::Accepted, BindAnswer::Refused(0x0E)],
        ..Settings::default()
    });
    let smppost = smppost(&profile(old.port(), "connections = 2\n"));
    let service = serve(&smppost, &[]);
    wait_until(&smppost, OPEN, |open| open == 2);
    write_profile(&smppost, profile(new.port(), "connections = 2\n"));
    refused(&smppost, &["connection 1: bound anew", "connection 2: the new settings are refused", "go back"]);
    let until = Instant::now() + PATIENCE;
    while old.counts().binds_accepted < 3 && Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(old.counts().binds_accepted, 3);
    wait_until(&smppost, OPEN, |open| open == 2);
    stop(service);
    assert_eq!((old.finish().counts.ended_rudely, new.finish().counts.unbinds), (0, 1));
}

#[test]
fn where_the_old_one_had_to_be_left_and_the_new_settings_are_refused_the_old_ones_hold_again() {
    use BindAnswer::{Accepted, Refused};
    let binds = vec![Accepted, Refused(0x0D), Refused(0x0E), Accepted];
    let smsc = IndependentSmsc::start(Settings { binds, ..Settings::default() });
    let smppost = smppost(&profile(smsc.port(), ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    write_password(&smppost, "wrong");
    refused(&smppost, &["goes on by those before", "0x0E"]);
    wait_until(&smppost, OPEN, |open| open == 1);
    assert!(service.is_running());
    stop(service);
    assert_eq!(smsc.finish().counts.binds_accepted, 2);
}

#[test]
fn with_an_smsc_that_is_away_the_new_settings_are_tried_and_a_refusal_of_them_ends_nothing() {
    let (away, there) = (free_port(), smsc());
    let smppost = smppost(&profile(away, ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("next try");
    let other = free_port();
    write_profile(&smppost, profile(other, ""));
    reloaded(&smppost, &["connection 1: not bound; it is tried by the new settings from now on"]);
    let refusing = IndependentSmsc::start(Settings { binds: vec![BindAnswer::Refused(0x0E)], ..Settings::default() });
    write_profile(&smppost, profile(refusing.port(), ""));
    refused(&smppost, &["goes on by those before", "0x0E"]);
    write_profile(&smppost, profile(there.port(), ""));
    reloaded(&smppost, &["connection 1: bound anew"]);
    smppost.file("c.csv", rows(5));
    smppost.run(&["send", "c.csv", "--from", "Test", "--profile", "acme"]).assert_code(0);
    stop(service);
    assert_eq!(there.finish().submits.len(), 5);
}

#[test]
fn the_password_is_read_anew_before_each_bind() {
    let port = free_port();
    let smppost = smppost(&profile(port, ""));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("next try");
    write_password(&smppost, "another");
    let rules = Rules { password: Some("another".into()), ..Rules::default() };
    let smsc = IndependentSmsc::start(Settings { port, rules, ..Settings::default() });
    service.wait_for_words("bound to");
    stop(service);
    smsc.finish().assert_clean();
}

#[test]
fn a_hundred_reloads_while_it_sends_lose_no_bind_and_double_nothing() {
    let smsc = smsc();
    let with = |rate: u32| profile(smsc.port(), &format!("rate = {rate}\nwindow = {}\n", 10 + rate % 7));
    let smppost = smppost(&with(500));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    smppost.file("c.csv", rows(9_000));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    wait_until(&smppost, super::TAKEN, |taken| taken >= 20);
    for n in 0..100 {
        write_profile(&smppost, with(500 + n % 5));
        // The last one of those that ask at once has the newest file, too.
        let others: Vec<Running> = (0..n / 33).map(|_| smppost.spawn(&["reload", "--profile", "acme"])).collect();
        reload(&smppost).assert_code(0);
        for other in others {
            other.wait().assert_code(0);
        }
    }
    let told = smppost.run(&["status"]);
    assert!(told.stdout.contains("rate: 504/s"), "{}", told.said());
    wait_until(&smppost, super::TAKEN, |taken| taken == 9_000);
    stop(service);
    assert_eq!(one(&smppost.journal(), SESSIONS), 1);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM command WHERE answered_at IS NULL"), 0);
    let report = smsc.finish();
    report.assert_clean();
    assert_eq!(report.submits.len(), 9_000);
    assert!(report.per_second_max <= 504, "{}", report.per_second_max);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn connections_are_bound_anew_at_every_moment_of_a_reconnect() {
    let unbinds = || -> Vec<Event> {
        (1..200).map(|session| Event { session, after: 1 + session * 7 % 30, action: Action::Unbind }).collect()
    };
    let start = || IndependentSmsc::start(Settings { events: unbinds(), connections_max: 2, ..Settings::default() });
    let smscs = [start(), start()];
    let with = |n: usize| profile(smscs[n % 2].port(), "rate = 200\nconnections = 2\n");
    let smppost = smppost(&with(0));
    let service = serve(&smppost, &[]);
    smppost.file("c.csv", rows(1_500));
    smppost.run(&["send", "c.csv", "--from", "Test", "--detach", "--profile", "acme"]).assert_code(0);
    for n in 1..=15 {
        write_profile(&smppost, with(n));
        let ended = reload(&smppost);
        assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.said());
    }
    wait_until(&smppost, super::TAKEN, |taken| taken == 1_500);
    stop(service);
    let submits: Vec<_> = smscs.into_iter().flat_map(|smsc| smsc.finish().submits).collect();
    let accepted = submits.iter().filter(|submit| submit.status == Some(0)).count();
    assert_eq!(accepted, 1_500, "none twice");
    assert_eq!(one(&smppost.journal(), "SELECT in_doubt + queued FROM campaign_summary"), 0);
    smppost.run(&["verify"]).assert_code(0);
}

#[test]
fn a_hangup_has_a_service_without_a_terminal_read_its_settings_anew() {
    // With a terminal it says that this is gone.
    if std::fs::File::open("/dev/tty").is_ok() {
        crate::common::skipped("what a hangup means to a service without a terminal: there is one");
        return;
    }
    let smsc = smsc();
    let smppost = smppost(&profile(smsc.port(), "rate = 10\n"));
    let mut service = serve(&smppost, &[]);
    service.wait_for_words("bound to");
    write_profile(&smppost, profile(smsc.port(), "rate = 90\n"));
    service.signal("HUP");
    service.wait_for_words("reload: rate: 90 from now on");
    write_profile(&smppost, "[acme");
    service.signal("HUP");
    service.wait_for_words("reload refused, the settings stay as they were");
    let told = smppost.run(&["status", "--config", "none.toml"]);
    assert!(told.stdout.contains("rate: 90.0/s"), "{}", told.said());
    stop(service);
}

#[test]
fn without_a_service_nothing_is_read_and_a_sender_has_no_ear_for_it() {
    let smsc = smsc();
    let smppost = smppost(&profile(smsc.port(), "rate = 20\n"));
    smppost.file("c.csv", rows(400));
    smppost.run(&["import", "c.csv", "--from", "Test", "--profile", "acme"]).assert_code(0);
    let ended = reload(&smppost);
    ended.assert_code(69);
    assert!(ended.words().contains("no service runs"), "{}", ended.said());
    let mut sender = smppost.spawn(&["resume", "c", "--profile", "acme"]);
    sender.wait_for_words("bound to");
    reload(&smppost).assert_code(75);
    sender.signal("TERM");
    sender.wait();
    // What was typed is no profile: there is nothing to be read.
    let typed = start(&smppost, smsc.port(), &["--config", "none.toml", "--password-file", "password"]);
    reloaded(&smppost, &["nothing is changed"]);
    stop(typed);
}
