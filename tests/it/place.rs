//! Where the journal lies, which file it is, and whose settings count.

mod backups;
mod copies;
mod journal;
mod reader;
mod settings;
mod upgrade;

use crate::common::Smppost;
use crate::common::independent_smsc::{IndependentSmsc, Settings};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user without any setting, and an SMSC.
struct User {
    smppost: Smppost,
    smsc: IndependentSmsc,
    environment: Vec<(String, String)>,
}

/// What the program said and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    #[track_caller]
    fn assert(&self, code: i32, words: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.stderr.contains(words) || self.stdout.contains(words), "{words:?} is not said: {self:#?}");
        self
    }
}

impl User {
    fn new() -> Self {
        let smsc = IndependentSmsc::start(Settings::default());
        Self { smppost: Smppost::new(), smsc, environment: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.smppost.path(name)
    }

    /// A folder of the user's, made where it is not there.
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Three rows.
    fn rows(&self, folder: &str) {
        let rows = "to,text\n447700900001,One\n447700900002,Two\n447700900003,Three\n";
        std::fs::write(self.folder(folder).join("c.csv"), rows).unwrap();
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
        command
            .args(arguments)
            .current_dir(self.folder(folder))
            .env_clear()
            .env("HOME", self.path(""))
            .env("SMPPOST_PASSWORD", "secret")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if self.environment.iter().any(|(name, value)| name == "HOME" && value.is_empty()) {
            command.env_remove("HOME");
        }
        let output = command.output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// As [`run`](Self::run), with the account.
    fn with_account(&self, folder: &str, arguments: &[&str]) -> Said {
        let port = self.smsc.port().to_string();
        let account = ["--host", "127.0.0.1", "--port", &port, "--system-id", "test", "--wait-receipts", "5s"];
        self.run(folder, &[arguments, &account].concat())
    }

    /// Numbers that got a message, in order, each as often as it got one.
    fn got(&self) -> Vec<String> {
        let mut all: Vec<String> = self.smsc.ledger().into_iter().map(|submit| submit.destination).collect();
        all.sort();
        all
    }

    fn default_journal(&self) -> PathBuf {
        self.path(".local/share/smppost/test@localhost.db")
    }
}

/// Gives a file to another user; false: only root may.
fn give_away(path: &Path) -> bool {
    let given = Command::new("chown").arg("12345").arg(path).output();
    let is_given = given.is_ok_and(|output| output.status.success());
    if !is_given {
        crate::common::skipped("only root gives files to others");
    }
    is_given
}
