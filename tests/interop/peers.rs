//! Peers: installed, started, heard.

use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// No peer is silent for longer, on a slow and busy machine neither.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Where peers are installed.
fn cache() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop");
    std::env::var_os("SMPPOST_INTEROP").map_or_else(default, PathBuf::from)
}

/// Says that something was not checked, and why, where it is read: in the file that `SMPPOST_SKIPPED` names.
pub fn not_checked(what: &str, why: &str) {
    let line = format!("NOT CHECKED: {what}: {}\n", why.trim().replace('\n', "; "));
    eprint!("{line}");
    if let Some(path) = std::env::var_os("SMPPOST_SKIPPED") {
        let mut file = File::options().create(true).append(true).open(path).expect("the file of what was skipped");
        file.write_all(line.as_bytes()).expect("a line about what was skipped");
    }
    assert!(std::env::var_os("SMPPOST_PEERS_REQUIRED").is_none(), "{what} is required here: {why}");
}

/// Runs an installer, with another PATH where one is given.
pub fn install_into(cache: &Path, name: &str, path: Option<&Path>) -> Result<PathBuf, String> {
    let mut command = Command::new("/bin/bash");
    command.arg(folder().join(format!("install/{name}.sh"))).arg(cache).stdin(Stdio::null());
    command.envs(path.map(|path| ("PATH", path)));
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(cache.join(name)),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Installs what a test needs, or says that it is not checked.
pub fn install(what: &str, name: &str) -> Option<PathBuf> {
    install_into(&cache(), name, None).map_err(|why| not_checked(what, &why)).ok()
}

/// A peer that runs, and says what it sees in lines of JSON.
pub struct Peer {
    what: String,
    child: Child,
    lines: Receiver<Value>,
    /// All that it has said.
    pub events: Vec<Value>,
    stderr: PathBuf,
    _folder: tempfile::TempDir,
}

impl Peer {
    pub fn start(what: &str, command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stderr = folder.path().join("stderr");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&stderr).unwrap());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what} does not start: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { what: what.to_owned(), child, lines, events: Vec::new(), stderr, _folder: folder }
    }

    /// Everything that it said, for words of failure.
    pub fn said(&self) -> String {
        let lines = self.events.iter().map(|event| event.to_string().chars().take(200).collect());
        let events: Vec<String> = lines.skip(self.events.len().saturating_sub(40)).collect();
        let stderr = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        format!("{} said last:\n{}\nstderr:\n{stderr}", self.what, events.join("\n"))
    }

    /// Waits until it has said so many events of a kind; returns the last one.
    #[track_caller]
    pub fn wait_for(&mut self, event: &str, count: usize) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            if count > 0
                && let Some(found) = self.of(event).nth(count - 1)
            {
                return found.clone();
            }
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) => panic!("no {event} number {count}. {}", self.said()),
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.child.wait();
                    panic!("it ended without {event} number {count}. {}", self.said())
                }
            }
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end. {}", self.said()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "it ended with {status}. {}", self.said());
    }

    /// What it said of a kind, so far.
    pub fn of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |found| found["event"] == event)
    }

    /// Each event of a kind has the status 0, and there are so many.
    #[track_caller]
    pub fn assert_all_well(&self, event: &str, count: usize) {
        let bad: Vec<&Value> = self.of(event).filter(|found| found["status"] != 0).collect();
        assert!(bad.is_empty(), "{bad:?}. {}", self.said());
        assert_eq!(self.of(event).count(), count, "{event}. {}", self.said());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Node with the packages of npm.
pub fn node(packages: &Path, program: &str) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", packages.join("node_modules")).arg(folder().join("npm").join(program));
    command
}

/// Python with the packages of PyPI.
pub fn python(packages: &Path, program: &str) -> Command {
    let mut command = Command::new(packages.join("venv/bin/python"));
    command.arg("-B").arg(folder().join("python").join(program));
    command
}

/// Perl with the packages that were unpacked.
pub fn perl(packages: &Path, program: &str) -> Command {
    let mut command = Command::new("perl");
    command.env("PERL5LIB", packages.join("root/usr/share/perl5")).arg(folder().join("perl").join(program));
    command
}

pub fn arguments<const N: usize>(mut command: Command, arguments: [OsString; N]) -> Command {
    command.args(arguments);
    command
}
