//! A folder whose files become campaigns (`run --watch`).

use super::{smsc, start, start_with, stop, wait_until};
use crate::common::{Leeway, PATIENCE, Running, Smppost, assert_agree, expected, number, one, rows, rows_with, states};
use smppost::testing::platform::failpoint::WATCH_POINTS;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WATCH: [&str; 2] = ["--watch", "in"];
const RELEASES: &str = "from = 'Test'\nrelease = true\nsettle = '6s'\n";

/// A folder with these settings.
fn folder(smppost: &Smppost, settings: &str) -> PathBuf {
    let folder = smppost.path("in");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("smppost-watch.toml"), settings).unwrap();
    folder
}

/// Renames a file into the folder, as a careful upload does.
fn put(smppost: &Smppost, name: impl AsRef<OsStr>, octets: impl AsRef<[u8]>) {
    let whole = smppost.file("whole", octets);
    fs::rename(whole, smppost.path("in").join(name.as_ref())).unwrap();
}

#[track_caller]
fn wait_for(path: &Path) {
    let until = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < until, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn said(service: &mut Running, words: &str) {
    service.wait_for_words(words);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files that are still being taken.
fn in_work(folder: &Path) -> usize {
    fs::read_dir(folder.join("work"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir())
        .count()
}

#[track_caller]
fn wait_for_the_end(folder: &Path) {
    let until = Instant::now() + PATIENCE;
    while in_work(folder) > 0 {
        assert!(Instant::now() < until, "something stays in {}", folder.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_that_is_renamed_into_the_folder_is_sent_and_its_result_written() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    put(&smppost, "c.csv", rows(5) + "12,too short\n");
    wait_for(&folder.join("done/c.result.csv"));
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 5)]));
    let result = read(&folder.join("done/c.result.csv"));
    assert!(result.lines().count() == 6 && result.matches("delivered").count() == 5, "{result}");
    let errors = read(&folder.join("done/c.error.txt"));
    assert!(errors.contains("1 row refused") && errors.contains("line 7: "), "{errors}");
    assert!(folder.join("done/c.csv").is_file());
    wait_for_the_end(&folder);
    said(&mut service, "c.csv: campaign c, 5 messages, 1 row refused: ");
    said(&mut service, "campaign c: released by smppost run --watch (file \"c.csv\")");
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn nothing_is_released_unless_the_settings_say_so_and_no_more_than_they_say() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, "from = 'Test'\n"));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    put(&smppost, "c.csv", rows(3));
    said(&mut service, "c.csv: campaign c, 3 messages; not released: `smppost resume c");
    fs::write(
        folder.join("smppost-watch.toml"),
        "from = 'Test'\nrelease = true\nrelease_up_to = 10\npriority = 'bulk'\n\
         between = '00:00-24:00'\ntime_zone = 'UTC'\n",
    )
    .unwrap();
    put(&smppost, "d.csv", rows_with(11, |n| format!("many {n}")));
    said(&mut service, "d.csv: campaign d, 11 messages; not released: these are more messages than release_up_to (10)");
    put(&smppost, "e.csv", rows_with(10, |n| format!("few {n}")));
    wait_for(&folder.join("done/e.result.csv"));
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 3)]));
    assert_eq!(states(&smppost.journal(), "d"), expected([("queued", 11)]));
    assert_eq!(states(&smppost.journal(), "e"), expected([("delivered", 10)]));
    assert_eq!(
        one(
            &smppost.journal(),
            "SELECT priority FROM share WHERE campaign_id = (SELECT id FROM campaign WHERE name = 'e')"
        ),
        3
    );
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign_hours"), 2);
    // The result comes when somebody has released it, also under another process.
    stop(service);
    let service = start(&smppost, smsc.port(), &WATCH);
    smppost.run(&["resume", "c"]).assert_code(0);
    wait_for(&folder.join("done/c.result.csv"));
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn a_file_of_its_own_settings_says_how_it_is_read_and_can_only_narrow_the_rest() {
    let smppost = Smppost::new();
    let (smsc, folder) =
        (smsc(), folder(&smppost, "text = 'Hello'\nrelease = true\nbetween = '00:00-24:00'\ntime_zone = 'UTC'\n"));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    let list = "number,words,who\n447700900001,of the row,Ann\n";
    fs::write(folder.join("a.toml"), "text = 'Dear {who}'\nfrom = 'Shop'\nto_column = 'number'\n").unwrap();
    put(&smppost, "a.csv", list);
    fs::write(folder.join("b.toml"), "text_column = 'words'\nto_column = 'number'\nrelease = false\n").unwrap();
    put(&smppost, "b.csv", list);
    fs::write(folder.join("c.toml"), "text = 'x'\npriority = 'urgent'\n").unwrap();
    put(&smppost, "c.csv", list);
    fs::write(folder.join("d.toml"), "txt = 'x'\n").unwrap();
    put(&smppost, "d.csv", list);
    wait_for(&folder.join("done/a.result.csv"));
    let result = read(&folder.join("done/a.result.csv"));
    assert!(result.contains("Dear Ann") && result.contains("Shop"), "{result}");
    said(&mut service, "b.csv: campaign b, 1 message; not released: ");
    wait_for(&folder.join("failed/d.csv"));
    let errors = read(&folder.join("failed/c.error.txt"));
    assert!(errors.starts_with("c.toml line 2: `priority`: urgent is above normal"), "{errors}");
    let errors = read(&folder.join("failed/d.error.txt"));
    assert!(errors.starts_with("d.toml line 1: there is no key `txt` here; did you mean `text`?"), "{errors}");
    assert!(!folder.join("a.toml").exists() && !folder.join("d.toml").exists());
    assert_eq!(read(&folder.join("failed/d.toml")), "txt = 'x'\n");
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 1);
}

#[test]
fn a_folder_that_cannot_be_watched_is_refused_at_the_start() {
    let smppost = Smppost::new();
    let smsc = smsc();
    let port = smsc.port().to_string();
    let refused = |words: &str| {
        let arguments = [&["run", "--create"], &super::account(&port)[..], &WATCH].concat();
        let ended = smppost.run(&arguments);
        ended.assert_code(2);
        assert!(ended.words().contains(words), "{words}: {}", ended.said());
        assert!(!smppost.journal().exists());
    };
    refused("in: there is no such file");
    let folder = folder(&smppost, "");
    let settings = folder.join("smppost-watch.toml");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o666)).unwrap();
    refused("others can change it (mode 666), and so what is sent in your name: chmod go-w");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    // Only root can give a file away.
    if std::os::unix::fs::chown(&settings, Some(12_345), None).is_ok() {
        refused(
            "it belongs to user 12345, who would decide what is sent in your name: read it, then make it yours: chown ",
        );
        std::os::unix::fs::chown(&settings, Some(0), None).unwrap();
    }
    fs::write(&settings, "from = 'A'\n\nrelaese = true\n").unwrap();
    refused("smppost-watch.toml line 3: there is no key `relaese` here; did you mean `release`?");
    fs::remove_file(&settings).unwrap();
    refused("smppost-watch.toml: there is no such file: write one");
    fs::write(&settings, "").unwrap();
    fs::remove_dir_all(folder.join("done")).unwrap();
    fs::write(folder.join("done"), "").unwrap();
    refused("in/done: this has to be a folder, and no link: move it away");
    fs::remove_file(folder.join("done")).unwrap();
    symlink("/tmp", folder.join("done")).unwrap();
    refused("in/done: this has to be a folder, and no link: move it away");
    fs::remove_file(folder.join("done")).unwrap();
    fs::set_permissions(folder.join("work"), fs::Permissions::from_mode(0o777)).unwrap();
    refused("in/work: others can change what is being taken: chown");
    fs::set_permissions(folder.join("work"), fs::Permissions::from_mode(0o700)).unwrap();
    let service = start(&smppost, smsc.port(), &WATCH);
    let other = Smppost::new();
    let absolute = folder.to_string_lossy().into_owned();
    let arguments = [&["run", "--create"], &super::account(&port)[..], &["--watch", &absolute]].concat();
    let ended = other.run(&arguments);
    ended.assert_code(2);
    assert!(ended.words().contains("another service watches this folder"), "{}", ended.said());
    stop(service);
}

#[test]
fn a_folder_of_another_file_system_and_one_without_permission_are_refused() {
    let smppost = Smppost::new();
    let folder = folder(&smppost, "");
    let program = env!("CARGO_BIN_EXE_smppost");
    let run = format!("exec {program} run --create --host 127.0.0.1 --system-id test --watch in");
    let refused = |before: &str, words: &str| {
        let shell = std::process::Command::new("sh")
            .args(["-c", &format!("{before} || exit 99; {run}")])
            .current_dir(smppost.path(""))
            .env("SMPPOST_JOURNAL", smppost.journal())
            .env("SMPPOST_PASSWORD", "secret")
            .env("XDG_STATE_HOME", smppost.path("state"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&shell.stderr).into_owned();
        match shell.status.code() {
            Some(99) => crate::common::skipped(&format!("`{before}` is not possible here")),
            code => assert!(code == Some(2) && said.contains(words), "{code:?} {words}: {said}"),
        }
    };
    for name in ["work", "done", "failed", "again"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::set_permissions(folder.join("work"), fs::Permissions::from_mode(0o700)).unwrap();
    let is_root = || std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root() {
        // In a name space of its own, so that nothing stays mounted.
        let mount =
            format!("unshare -m true && exec unshare -m sh -c 'mount -t tmpfs none in/done || exit 99; {run}'; false");
        refused(&mount, "done is on another file system, so that a file cannot be moved there whole: unmount it");
    } else {
        fs::set_permissions(folder.join("done"), fs::Permissions::from_mode(0o500)).unwrap();
        refused("true", "in/done: permission denied");
    }
}

#[test]
fn settings_that_are_wrong_later_hold_everything_up_until_they_are_right() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    let settings = folder.join("smppost-watch.toml");
    fs::write(&settings, "from = 'Test'\nrelease = maybe\n").unwrap();
    put(&smppost, "c.csv", rows(2));
    said(&mut service, "nothing is taken from the watched folder: ");
    fs::write(&settings, RELEASES).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o646)).unwrap();
    put(&smppost, "d.csv", rows_with(2, |n| format!("d {n}")));
    said(&mut service, "others can change it (mode 646)");
    assert!(folder.join("c.csv").exists() && folder.join("d.csv").exists());
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    wait_until(&smppost, "SELECT sum(delivered) FROM campaign_summary", |delivered| delivered == 4);
    stop(service);
}

#[test]
fn a_folder_that_is_away_for_a_while_is_a_state() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    put(&smppost, "c.csv", rows(1));
    wait_for(&folder.join("done/c.result.csv"));
    fs::rename(&folder, smppost.path("away")).unwrap();
    said(&mut service, "nothing is taken from the watched folder: ");
    fs::rename(smppost.path("away"), &folder).unwrap();
    put(&smppost, "d.csv", rows_with(2, |n| format!("d {n}")));
    wait_for(&folder.join("done/d.result.csv"));
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 3);
}

#[test]
fn the_profile_holds_below_the_settings_as_for_an_import() {
    let smppost = Smppost::new();
    smppost.file("smppost.toml", "[default]\nfrom = 'Profile'\ntext = 'of the profile'\nmax_parts = 1\n");
    let (smsc, folder) = (smsc(), folder(&smppost, "text_column = 'words'\nrelease = true\n"));
    let service = start(&smppost, smsc.port(), &WATCH);
    put(&smppost, "c.csv", format!("to,words\n{},of the row\n{},{}\n", number(0), number(1), "long ".repeat(40)));
    wait_for(&folder.join("done/c.result.csv"));
    stop(service);
    let submits = smsc.finish().submits;
    assert_eq!(submits.len(), 1);
    assert_eq!((&*submits[0].source, &*submits[0].text), ("Profile", "of the row"));
}

#[test]
fn an_upload_that_stalls_half_written_is_sent_whole_and_once() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let service = start(&smppost, smsc.port(), &WATCH);
    let whole = rows(40);
    // In the midst of a row; at the end of one.
    let (midst, end) = (whole.len() / 2, whole[..whole.len() / 2].rfind('\n').unwrap() + 1);
    fs::write(folder.join("midst.csv"), &whole[..midst]).unwrap();
    let other = rows_with(40, |n| format!("other {n}"));
    let other_end = other[..end].rfind('\n').unwrap() + 1;
    fs::write(folder.join("end.csv"), &other[..other_end]).unwrap();
    std::thread::sleep(Duration::from_millis(5_500));
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 0, "it has not settled yet");
    fs::write(folder.join("midst.csv"), &whole).unwrap();
    fs::write(folder.join("end.csv"), &other).unwrap();
    for name in ["midst", "end"] {
        wait_for(&folder.join(format!("done/{name}.result.csv")));
        assert_eq!(states(&smppost.journal(), name), expected([("delivered", 40)]));
    }
    stop(service);
    let report = smsc.finish();
    report.assert_clean();
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}

#[test]
fn a_file_that_is_ready_or_whole_is_taken_and_unfinished_names_are_left_alone() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, "from = 'Test'\n"));
    let service = start(&smppost, smsc.port(), &WATCH);
    for name in [".c.csv", "c.csv.part", "c.csv.filepart", "c.tmp"] {
        fs::write(folder.join(name), rows(2)).unwrap();
    }
    // No line end at its end, and nobody renames it.
    fs::write(folder.join("ready.csv"), rows(2).trim_end()).unwrap();
    fs::write(folder.join("still.csv"), rows(3)).unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    assert!(folder.join("ready.csv").exists());
    fs::write(folder.join("ready.ready"), "").unwrap();
    wait_for(&folder.join("done/ready.csv"));
    assert!(!folder.join("ready.ready").exists());
    wait_for(&folder.join("done/still.csv"));
    for name in [".c.csv", "c.csv.part", "c.csv.filepart", "c.tmp"] {
        assert!(folder.join(name).exists(), "{name}");
    }
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign_summary"), 2);
    stop(service);
}

#[test]
fn a_file_that_goes_on_after_it_was_imported_is_told_of() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, "from = 'Test'\n"));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    let whole = rows(10);
    let end = whole[..whole.len() / 2].rfind('\n').unwrap() + 1;
    let mut upload = fs::File::create(folder.join("c.csv")).unwrap();
    upload.write_all(&whole.as_bytes()[..end]).unwrap();
    // It has stalled long enough to be imported, and nothing of it is released.
    wait_for(&folder.join("done/c.csv"));
    upload.write_all(&whole.as_bytes()[end..]).unwrap();
    said(
        &mut service,
        "done/c.csv: it was changed after it was imported, so that campaign c may be a part of it: `smppost cancel c`",
    );
    smppost.run(&["cancel", "c"]).assert_code(0);
    put(&smppost, "c.csv", whole);
    wait_for(&folder.join("done/c-2.csv"));
    assert_eq!(states(&smppost.journal(), "c-2"), expected([("queued", 10)]));
    assert_eq!(service.stderr().matches("it was changed after").count(), 1, "{}", service.stderr());
    stop(service);
}

#[test]
fn a_file_over_another_of_its_name_is_a_campaign_of_its_own() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let service = start(&smppost, smsc.port(), &WATCH);
    // Before anybody has looked the second takes the place of the first.
    service.signal("STOP");
    put(&smppost, "c.csv", rows_with(2, |n| format!("first {n}")));
    put(&smppost, "c.csv", rows_with(3, |n| format!("second {n}")));
    service.signal("CONT");
    wait_for(&folder.join("done/c.result.csv"));
    put(&smppost, "c.csv", rows_with(4, |n| format!("third {n}")));
    wait_for(&folder.join("done/c-2.result.csv"));
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 3)]));
    assert_eq!(states(&smppost.journal(), "c-2"), expected([("delivered", 4)]));
    assert!(
        read(&folder.join("done/c.csv")).contains("second") && read(&folder.join("done/c-2.csv")).contains("third")
    );
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn the_same_content_is_set_aside_and_goes_again_by_the_command_that_is_named() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, "from = 'Test'\nrelease = true\ntext = 'Hi, {text}'\n"));
    let service = start(&smppost, smsc.port(), &WATCH);
    // A file that fails does not count.
    for n in 1..=2 {
        put(&smppost, "bad.csv", "to,text\n1,x\n");
        wait_for(&folder.join(if n == 1 { "failed/bad.csv" } else { "failed/bad-2.csv" }));
    }
    put(&smppost, "c.csv", rows(2));
    wait_for(&folder.join("done/c.csv"));
    put(&smppost, "c.csv", rows(2));
    put(&smppost, "it's another.csv", rows(2).replace('\n', "\r\n"));
    wait_for(&folder.join("again/c.csv"));
    wait_for(&folder.join("again/it's another.csv"));
    let words = read(&folder.join("again/it's another.error.txt"));
    assert!(words.starts_with("it's another.csv: these are the messages of campaign c "), "{words}");
    assert!(!service.stderr().contains("To send all of it again"), "{}", service.stderr());
    wait_until(&smppost, super::TAKEN, |taken| taken == 2);
    let command = words.lines().last().unwrap();
    assert!(command.starts_with("smppost import ") && command.contains(" && smppost resume "), "{command}");
    let shell = std::process::Command::new("sh")
        .args(["-c", &command.replace("smppost ", &format!("{} ", env!("CARGO_BIN_EXE_smppost")))])
        .env("HOME", smppost.path("home"))
        .env("SMPPOST_HOST", "127.0.0.1")
        .env("SMPPOST_SYSTEM_ID", "test")
        .output()
        .unwrap();
    assert!(shell.status.success(), "{command}\n{}", String::from_utf8_lossy(&shell.stderr));
    assert_eq!(states(&smppost.journal(), "it's another"), expected([("delivered", 2)]));
    stop(service);
    let texts = smsc.finish().submits;
    assert_eq!(texts.len(), 4);
}

#[test]
fn what_is_no_file_is_left_alone_and_holds_nothing_up() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let secret = smppost.file("secret.csv", rows(2));
    fs::create_dir(folder.join("folder.csv")).unwrap();
    symlink(&secret, folder.join("link.csv")).unwrap();
    symlink("nowhere", folder.join("dangling.csv")).unwrap();
    fs::hard_link(&secret, folder.join("hard.csv")).unwrap();
    let pipe = folder.join("pipe.csv");
    make_pipe(&pipe);
    make_pipe(&folder.join("c.ready"));
    symlink(&secret, folder.join("c.toml")).unwrap();
    let mut service = start(&smppost, smsc.port(), &WATCH);
    for name in ["folder.csv", "link.csv", "dangling.csv", "pipe.csv"] {
        said(&mut service, &format!("{name}: is no file, and is left alone"));
    }
    said(&mut service, "hard.csv: has other names as well (hard links)");
    put(&smppost, "c.csv", rows(2));
    wait_for(&folder.join("failed/c.csv"));
    let words = read(&folder.join("failed/c.error.txt"));
    assert!(words.starts_with("c.toml: it is a symbolic link"), "{words}");
    put(&smppost, "d.csv", rows(2));
    wait_for(&folder.join("done/d.result.csv"));
    for name in ["folder.csv", "pipe.csv", "hard.csv"] {
        assert!(folder.join(name).exists(), "{name}");
    }
    assert_eq!(service.stderr().matches("pipe.csv").count(), 1, "{}", service.stderr());
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 2);
}

fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn names_of_any_kind_become_campaigns() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let service = start(&smppost, smsc.port(), &WATCH);
    let long = format!("{}.csv", "n".repeat(251));
    let accents = format!("{}.csv", "é".repeat(125));
    let names: [&[u8]; 8] = [
        b"with spaces and 'quotes'.csv",
        b"-rf.csv",
        b"\xff\xfe broken.csv",
        b"new\nline.csv",
        b"no ending",
        b"%s$(x)`y`.csv",
        long.as_bytes(),
        accents.as_bytes(),
    ];
    for (n, name) in names.iter().enumerate() {
        put(&smppost, OsStr::from_bytes(name), rows_with(1, |_| format!("name {n}")));
    }
    wait_until(&smppost, "SELECT sum(delivered) FROM campaign_summary", |delivered| delivered == 8);
    wait_for_the_end(&folder);
    let done: Vec<_> = fs::read_dir(folder.join("done")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in names {
        assert!(done.iter().any(|done| done.as_bytes() == name), "{:?}", String::from_utf8_lossy(name));
    }
    let results = done.iter().filter(|name| name.as_bytes().ends_with(b".result.csv")).count();
    assert_eq!(results, 8, "{done:?}");
    assert!(!service.stderr().contains("new\nline"), "{}", service.stderr());
    stop(service);
    assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
}

#[test]
fn files_that_are_no_campaign_fail_with_lines_and_reasons() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let mut service = start(&smppost, smsc.port(), &WATCH);
    for (name, octets, words) in [
        ("empty.csv", "", "empty.csv: the file is empty"),
        ("header.csv", "to,text\n", "header.csv: the file has a header and no rows"),
        ("bad.csv", "to,text\n12,Hi\n447700900001,\nx,Hi\n", "bad.csv: no row can be sent"),
        ("columns.csv", "a,b\n1,2\n", "columns.csv: there is no column `to`"),
        ("doubt.csv", "to,text\n447700900001,#N/A\n", "doubt.csv: 1 text may not be meant to go out so"),
    ] {
        put(&smppost, name, octets);
        wait_for(&folder.join("failed").join(name));
        let errors = read(&folder.join("failed").join(name.replace(".csv", ".error.txt")));
        assert!(errors.starts_with(words), "{name}: {errors}");
        said(&mut service, words);
    }
    let errors = read(&folder.join("failed/bad.error.txt"));
    for line in 2..=4 {
        assert!(errors.contains(&format!("\nline {line}: ")), "{errors}");
    }
    put(&smppost, "c.csv", rows(1));
    wait_for(&folder.join("done/c.result.csv"));
    wait_for_the_end(&folder);
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), 1);
    stop(service);
}

#[test]
fn killed_at_any_step_each_file_is_imported_once_and_each_message_sent_once() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let import = ["import-chunk", "import-finish", "import-released"];
    for (n, point) in WATCH_POINTS.into_iter().chain(import).enumerate() {
        let fails = point.starts_with("watch-fail");
        let environment = [("SMPPOST_FAILPOINT", &*format!("{point}=abort@1"))];
        let mut dying = start_with(&smppost, smsc.port(), &WATCH, &environment);
        fs::write(folder.join(format!("{point}.toml")), "text = 'Dear {who}'\n").unwrap();
        let to = if fails { "none".into() } else { number(n) };
        put(&smppost, format!("{point}.csv"), format!("to,who\n{to},{point}\n"));
        let until = Instant::now() + PATIENCE;
        while dying.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!dying.is_running(), "{point}: {}", dying.stderr());
        let service = start(&smppost, smsc.port(), &WATCH);
        if fails {
            wait_for(&folder.join(format!("failed/{point}.csv")));
            assert!(read(&folder.join(format!("failed/{point}.error.txt"))).contains("line 2: "));
        } else {
            wait_for(&folder.join(format!("done/{point}.result.csv")));
            wait_for(&folder.join(format!("done/{point}.csv")));
            assert_eq!(states(&smppost.journal(), point), expected([("delivered", 1)]), "{point}");
        }
        assert!(!folder.join(format!("{point}.toml")).exists(), "{point}");
        wait_for_the_end(&folder);
        stop(service);
    }
    let sent = WATCH_POINTS.len() + import.len() - 2;
    assert_eq!(one(&smppost.journal(), "SELECT count(*) FROM campaign"), sent as i64);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), sent, "each message once");
    assert_agree(&smppost.journal(), &report.submits, Leeway { answers_lost: true, ..Leeway::default() });
}

#[test]
fn what_was_taken_after_a_moment_is_not_released_by_settings_that_came_later() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, "from = 'Test'\n"));
    let mut dying = start_with(&smppost, smsc.port(), &WATCH, &[("SMPPOST_FAILPOINT", "watch-claimed=abort@1")]);
    fs::write(folder.join("c.csv"), rows(2)).unwrap();
    let until = Instant::now() + PATIENCE;
    while dying.is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(folder.join("smppost-watch.toml"), RELEASES).unwrap();
    // No event tells of it: the file stands there already.
    fs::rename(smppost.file("whole", rows_with(2, |n| format!("d {n}"))), folder.join("d.csv")).unwrap();
    let mut service = start(&smppost, smsc.port(), &WATCH);
    said(&mut service, "c.csv: campaign c, 2 messages; not released: ");
    wait_for(&folder.join("done/d.result.csv"));
    assert_eq!(states(&smppost.journal(), "c"), expected([("queued", 2)]));
    stop(service);
}

#[test]
fn what_belongs_to_another_journal_is_not_imported_into_this_one() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let service = start(&smppost, smsc.port(), &WATCH);
    put(&smppost, "a.csv", rows(1));
    wait_for(&folder.join("done/a.result.csv"));
    stop(service);
    let mut dying = start_with(&smppost, smsc.port(), &WATCH, &[("SMPPOST_FAILPOINT", "watch-doing=abort@1")]);
    put(&smppost, "c.csv", rows_with(2, |n| format!("c {n}")));
    let until = Instant::now() + PATIENCE;
    while dying.is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let port = smsc.port().to_string();
    let arguments = [&["run", "--create", "--journal", "other.db"], &super::account(&port)[..], &WATCH].concat();
    let ended = smppost.run(&arguments);
    ended.assert_code(2);
    assert!(ended.words().contains("in/work has what belongs to another journal (campaign c)"), "{}", ended.said());
    assert!(!smppost.path("other.db").exists());
    let service = start(&smppost, smsc.port(), &WATCH);
    wait_for(&folder.join("done/c.result.csv"));
    stop(service);
    assert_eq!(smsc.finish().submits.len(), 3);
}

#[test]
fn what_fails_for_a_while_is_tried_again() {
    // The disk fails in an import; the note of a file cannot be written; the file cannot be moved.
    for point in ["import-chunk", "watch-claiming", "watch-named", "watch-doing", "watch-failing"] {
        let smppost = Smppost::new();
        let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
        let environment = [("SMPPOST_FAILPOINT", &*format!("{point}=error@1"))];
        let mut service = start_with(&smppost, smsc.port(), &WATCH, &environment);
        if point == "watch-failing" {
            put(&smppost, "c.csv", "to,text\nnone,Hi\n");
            wait_for(&folder.join("failed/c.csv"));
        } else {
            put(&smppost, "c.csv", rows(2));
            wait_for(&folder.join("done/c.result.csv"));
            assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 2)]), "{point}");
        }
        assert!(service.is_running() && service.stderr().contains("c.csv: "), "{}", service.stderr());
        stop(service);
        assert_agree(&smppost.journal(), &smsc.finish().submits, Leeway::default());
    }
}

#[test]
fn an_import_by_hand_and_the_folder_wait_for_each_other() {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let service = start(&smppost, smsc.port(), &WATCH);
    smppost.file("hand.csv", rows_with(20_000, |n| format!("by hand {n}")));
    let by_hand = smppost.spawn(&["import", "hand.csv", "--from", "Test"]);
    for n in 0..5 {
        put(&smppost, format!("c{n}.csv"), rows_with(2, |row| format!("{n} {row}")));
    }
    by_hand.wait().assert_code(0);
    for n in 0..5 {
        wait_for(&folder.join(format!("done/c{n}.csv")));
    }
    assert_eq!(one(&smppost.journal(), "SELECT sum(messages) FROM campaign_summary"), 20_010);
    stop(service);
}

#[test]
fn a_hundred_files_at_once() {
    many_files_at_once(100);
}

/// A minute and a half in a build without optimisation.
#[test]
#[ignore = "long"]
fn a_thousand_files_at_once() {
    many_files_at_once(1_000);
}

fn many_files_at_once(files: usize) {
    let smppost = Smppost::new();
    let (smsc, folder) = (smsc(), folder(&smppost, RELEASES));
    let stage = smppost.path("stage");
    fs::create_dir(&stage).unwrap();
    for n in 0..files {
        fs::write(stage.join(format!("f{n:04}.csv")), format!("to,text\n{},one of many {n}\n", number(n))).unwrap();
    }
    let service = start(&smppost, smsc.port(), &WATCH);
    for n in 0..files {
        let name = format!("f{n:04}.csv");
        fs::rename(stage.join(&name), folder.join(&name)).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(300);
    let done = || one(&smppost.journal(), "SELECT coalesce(sum(delivered), 0) FROM campaign_summary");
    while done() < files as i64 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!((done(), one(&smppost.journal(), "SELECT count(*) FROM campaign")), (files as i64, files as i64));
    stop(service);
    let report = smsc.finish();
    assert_eq!(report.submits.len(), files);
    assert_agree(&smppost.journal(), &report.submits, Leeway::default());
}
