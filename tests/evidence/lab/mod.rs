//! What the tests of the promise share: the simulator as a process of its own, its ledger, and the oracle that holds the
//! ledger against the journal.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod fault;
pub mod oracle;
pub mod trace;

use crate::common::{Ended, Smppost};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A number from the environment, for the long form of a test.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// Does it with each, three at a time.
pub fn side_by_side<T: Send>(items: impl IntoIterator<Item = T, IntoIter: Send>, with: impl Fn(T) + Sync) {
    let items = std::sync::Mutex::new(items.into_iter());
    let next = || items.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(item) = next() {
                    with(item);
                }
            });
        }
    });
}

/// The seed of this run: given, or from the clock. Printed, so that it can be given.
pub fn seed(name: &str) -> u64 {
    let seed = setting("SMPPOST_SEED", u64::from(std::process::id()) ^ smppost::testing::journal::now_ms() as u64);
    println!("{name}: SMPPOST_SEED={seed}");
    seed
}

/// The simulator, in a process of its own, with a ledger.
pub struct Simulator {
    child: Child,
    pub port: u16,
    pub ledger: PathBuf,
}

impl Simulator {
    /// Starts it without a limit of rate; `more` are options of `smppost smsc`.
    pub fn start(folder: &Path, more: &[&str]) -> Self {
        Self::start_at(0, folder.join("ledger"), more)
    }

    /// The same at this port, with this ledger.
    pub fn start_at(port: u16, ledger: PathBuf, more: &[&str]) -> Self {
        let port = port.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
            .args(["smsc", "--port", &port, "--rate", "unlimited", "--max-connections", "16", "--ledger"])
            .arg(&ledger)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).expect("its address");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port in {line:?}"));
        Self { child, port, ledger }
    }

    /// Stops it (`STOP`) or has it go on (`CONT`): connections stay, and nothing on them is read or answered meanwhile.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal {name}");
    }

    /// All that the ledger says by now.
    pub fn read(&self) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.read_on(&self.ledger);
        ledger
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message that the simulator got.
#[derive(Clone, Debug)]
pub struct Submit {
    pub session: u64,
    pub sequence_number: u32,
    pub destination: String,
    pub part: u64,
    pub status: u64,
    pub message_id: Option<String>,
}

/// A receipt that the sender answered.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u64,
    pub message_id: String,
}

/// The ledger, as far as it was read.
#[derive(Default, Debug)]
pub struct Ledger {
    pub submits: Vec<Submit>,
    pub answered: Vec<Answered>,
    pub binds: usize,
    at: u64,
}

impl Ledger {
    /// Reads what was added since.
    pub fn read_on(&mut self, path: &Path) {
        let Ok(mut file) = std::fs::File::open(path) else { return };
        file.seek(SeekFrom::Start(self.at)).unwrap();
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).unwrap();
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
        self.at += whole as u64;
        for line in octets[..whole].split(|&octet| octet == b'\n').filter(|line| !line.is_empty()) {
            let value: serde_json::Value = serde_json::from_slice(line).expect("a line of JSON");
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| value[name].as_u64().unwrap_or_default();
            match value["kind"].as_str().unwrap_or_default() {
                "submit" => self.submits.push(Submit {
                    session: number("session"),
                    sequence_number: number("sequence_number") as u32,
                    destination: text("destination"),
                    part: value["part"].as_u64().unwrap_or(1),
                    status: number("status"),
                    message_id: value["message_id"].as_str().map(str::to_owned),
                }),
                "receipt_answered" => {
                    self.answered.push(Answered { status: number("status"), message_id: text("message_id") });
                }
                "bind" => self.binds += 1,
                _ => {}
            }
        }
    }

    /// Adds what another one holds.
    pub fn add(&mut self, other: Self) {
        self.submits.extend(other.submits);
        self.answered.extend(other.answered);
        self.binds += other.binds;
    }

    /// Waits until it holds so many messages. Whether it came to that.
    pub fn wait_for(&mut self, path: &Path, submits: usize, patience: Duration) -> bool {
        self.wait_until(path, patience, |ledger| ledger.submits.len() >= submits)
    }

    /// Waits until it is as wished. Whether it came to that.
    pub fn wait_until(&mut self, path: &Path, patience: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let until = Instant::now() + patience;
        loop {
            self.read_on(path);
            if is_so(self) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Does what every start does under the lock, and nothing more: what a dead run left is settled.
pub fn settle(smppost: &Smppost, port: u16) -> Ended {
    let ended = smppost.run(&connect("query", port, &["no-such-campaign", "--line", "1"]).each());
    assert!(ended.stderr.contains("no campaign"), "{}", ended.said());
    ended
}

/// `smppost verify` has to find nothing.
#[track_caller]
pub fn verify(smppost: &Smppost) {
    smppost.run(&["verify"]).assert_code(0);
}

/// Arguments that own their text.
pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    pub fn with(mut self, more: &[&str]) -> Self {
        self.0.extend(more.iter().map(|&text| text.to_owned()));
        self
    }
}

/// A command that connects to the simulator.
pub fn connect(command: &str, port: u16, more: &[&str]) -> Arguments {
    let port = port.to_string();
    Arguments([command, "--host", "127.0.0.1", "--port", &port, "--system-id", "test"].map(str::to_owned).into())
        .with(more)
}

/// `send` of `c.csv` as campaign `c`.
pub fn send(port: u16, more: &[&str]) -> Arguments {
    connect("send", port, &["c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"]).with(more)
}
