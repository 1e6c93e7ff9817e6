//! Completions and the manual: a real shell completes what is there, and the pages are what `man` expects.

use crate::common::{Smppost, rows, skipped};
use crate::simulator::Simulator;
use std::path::Path;
use std::process::Command;

/// What bash offers behind these words, the last of which is begun, without a word.
fn offered(smppost: &Smppost, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source smppost.bash; COMP_WORDS=({}); COMP_CWORD={}; _clap_complete_smppost smppost {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1,
        quoted[quoted.len() - 1]
    );
    let program = Path::new(env!("CARGO_BIN_EXE_smppost")).parent().unwrap();
    let output = Command::new("bash")
        .args(["--norc", "-c", &script])
        .current_dir(smppost.path(""))
        .env_clear()
        .env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()))
        .env("HOME", smppost.path("home"))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_shell_completes_commands_options_campaigns_and_profiles() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &[]);
    for name in ["spring", "spring sale", "autumn"] {
        smppost.file(&format!("{name}.csv"), format!("{}447700909{:03},x\n", rows(1), name.len()));
        smppost.run(&[&["import", &format!("{name}.csv")][..], &["--allow-same-file"]].concat()).assert_code(0);
    }
    simulator.end();
    let script = smppost.run(&["completions", "bash"]);
    smppost.file("smppost.bash", &script.assert_code(0).stdout);
    smppost.file("smppost.toml", "[acme]\nhost = \"h\"\n[other]\nhost = \"i\"\n");
    assert_eq!(offered(&smppost, &["smppost", "repo"]), ["report"]);
    assert!(offered(&smppost, &["smppost", "send", "--max-p"]).contains(&"--max-parts".to_owned()));
    assert_eq!(offered(&smppost, &["smppost", "send", "--concat", "udh"]), ["udh8", "udh16"]);
    let of_journal = |command: &[&str]| offered(&smppost, &[&["smppost", "--journal", "journal.db"], command].concat());
    let mut named = of_journal(&["report", "spr"]);
    named.sort();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[0].starts_with("spring"), "{named:?}");
    assert_eq!(of_journal(&["resume", "spring", "au"]), ["autumn"]);
    assert_eq!(of_journal(&["import", "x.csv", "--append", "au"]), ["autumn"]);
    assert_eq!(offered(&smppost, &["smppost", "report", "--profile", "ac"]), ["acme"]);
    assert_eq!(offered(&smppost, &["smppost", "profile", "check", "ot"]), ["other"]);
    // What is wrong is no question that Tab asked.
    smppost.file("smppost.toml", "nonsense");
    assert_eq!(offered(&smppost, &["smppost", "report", "--profile", "ac"]), [""]);
    assert_eq!(offered(&smppost, &["smppost", "--journal", "no.db", "report", "spr"]), [""]);
}

#[test]
fn tab_neither_upgrades_nor_copies_an_old_journal() {
    let smppost = Smppost::new();
    let v1 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journals/v1.db");
    std::fs::copy(v1, smppost.journal()).unwrap();
    smppost.file("smppost.bash", smppost.run(&["completions", "bash"]).assert_code(0).stdout.clone());
    let names = || {
        let entries = std::fs::read_dir(smppost.path("")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names();
    // From an upgraded copy there would be something to offer.
    let of_journal = |start: &str| offered(&smppost, &["smppost", "--journal", "journal.db", "report", start]);
    assert_eq!(of_journal("spr"), [""]);
    assert_eq!(std::fs::read(smppost.journal()).unwrap(), std::fs::read(v1).unwrap());
    assert_eq!(names(), before);
    smppost.run(&["upgrade"]).assert_code(0);
    assert_eq!(of_journal("spr"), ["spring"]);
}

#[test]
fn what_others_keep_in_complete_hijacks_no_command() {
    let smppost = Smppost::new();
    for value in ["bash", "1", "nonsense"] {
        let ended = smppost.run_with(&["explain", "0x58"], &[("COMPLETE", value)]);
        assert!(ended.assert_code(0).stdout.contains("ESME_RTHROTTLED"), "{}", ended.said());
    }
}

#[test]
fn each_shell_reads_its_script() {
    let smppost = Smppost::new();
    for (shell, check) in [("bash", "bash -n"), ("zsh", "zsh -n"), ("fish", "fish -n"), ("powershell", "")] {
        let script = smppost.run(&["completions", shell]);
        assert!(script.assert_code(0).stdout.contains("SMPPOST_COMPLETE"), "{shell}: {}", script.said());
        smppost.file("script", &script.stdout);
        let Some(program) = check.split(' ').next().filter(|program| !program.is_empty()) else { continue };
        match Command::new(program).args(["-n", "script"]).current_dir(smppost.path("")).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => skipped(&format!("the script for {shell}: it is not here")),
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let smppost = Smppost::new();
    smppost.run(&["man", "--out", "man"]).assert_code(0);
    let help = smppost.run(&["--help"]).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            let page = std::fs::read_to_string(smppost.path(&format!("man/smppost-{name}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH OPTIONS"), "{name}");
        }
    }
    let own = std::fs::read_to_string(smppost.path("man/smppost.1")).unwrap();
    for section in ["EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(own.contains(section), "{section}");
    }
    // The codes of the README, all of them.
    let readme = crate::readme::document("README.md");
    let table = readme.split("## Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let codes: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|code| code.parse::<u8>().is_ok())
        .collect();
    assert!(codes.len() >= 7, "{table}");
    for code in codes {
        assert!(own.contains(&format!("\n\\fB{code}\\fR\n")), "the manual has no exit code {code}");
    }
    assert!(smppost.path("man/smppost-suppress-import.1").is_file(), "those below a command have pages, too");
    assert!(smppost.run(&["man"]).assert_code(0).stdout.contains("EXIT STATUS"));
    // Without warnings of what reads them.
    if Command::new("man").arg("--version").output().is_err() {
        return skipped("that man reads the pages: it is not here");
    }
    for page in std::fs::read_dir(smppost.path("man")).unwrap() {
        let page = page.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
