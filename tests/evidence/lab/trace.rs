//! A run under `strace`: what it wrote to which file, what it synced and what it sent, in order; and a disk that is made
//! of it, which forgets what was not synced.

use crate::common::{Smppost, skipped};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A system call, in the order in which calls began; `Done` stands where one that took its time came back.
#[derive(Debug)]
pub enum Call {
    /// Octets written to a file at an offset.
    Write {
        path: String,
        at: u64,
        octets: Vec<u8>,
    },
    Truncate {
        path: String,
        length: u64,
    },
    Unlink {
        path: String,
    },
    /// A sync has begun: what was written before is what it makes safe.
    SyncBegins {
        path: String,
        thread: u32,
    },
    SyncDone {
        path: String,
        thread: u32,
    },
    /// Octets handed to a socket.
    Send {
        octets: Vec<u8>,
    },
}

/// Whether calls can be traced here; says so where they cannot.
pub fn can_trace() -> bool {
    let output = Command::new("strace").args(["-f", "-e", "trace=fsync", "true"]).output();
    let can = output.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        skipped(&format!("strace is not installed or may not trace here ({output:?})"));
    }
    can
}

/// Runs the program under strace, with this in its environment; returns its calls.
pub fn record(smppost: &Smppost, arguments: &[&str], environment: &[(&str, &str)]) -> Vec<Call> {
    let trace = smppost.path("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "1000000", "-xx", "-o"])
        .arg(&trace)
        .args(["-e", "trace=pwrite64,fdatasync,fsync,ftruncate,unlink,sendto,write"])
        .arg(env!("CARGO_BIN_EXE_smppost"))
        .args(arguments)
        .current_dir(smppost.path(""))
        .env("SMPPOST_JOURNAL", smppost.journal())
        .env("SMPPOST_PASSWORD", "secret")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("strace");
    assert!(matches!(status.code(), Some(0 | 3)), "{status:?}");
    parse(&std::fs::read_to_string(trace).expect("a trace"))
}

fn parse(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun: HashMap<u32, String> = HashMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let thread: u32 = thread.parse().expect("a thread's number");
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let start = begun.remove(&thread).unwrap_or_default();
            let end = resumed.split_once("resumed>").map_or("", |(_, end)| end);
            if start.starts_with("fsync") || start.starts_with("fdatasync") {
                assert!(end.trim_end().ends_with("= 0"), "a sync failed: {line}");
                calls.push(Call::SyncDone { path: file_of(&start), thread });
            }
            continue;
        }
        let (whole, is_begun) = match rest.strip_suffix("<unfinished ...>") {
            Some(start) => (start, true),
            None => (rest, false),
        };
        if is_begun {
            begun.insert(thread, whole.to_owned());
        }
        let Some((name, arguments)) = whole.split_once('(') else { continue };
        match name {
            "fsync" | "fdatasync" => {
                let path = file_of(whole);
                calls.push(Call::SyncBegins { path: path.clone(), thread });
                if !is_begun {
                    calls.push(Call::SyncDone { path, thread });
                }
            }
            "pwrite64" => {
                let octets = data_of(arguments);
                let after = arguments.rsplit_once('"').map_or("", |(_, after)| after);
                let numbers: Vec<u64> = after.split([',', ')']).filter_map(|word| word.trim().parse().ok()).collect();
                assert_eq!(numbers.first(), Some(&(octets.len() as u64)), "{}", &line[line.len() - 60..]);
                calls.push(Call::Write { path: file_of(whole), at: numbers[1], octets });
            }
            "ftruncate" => {
                let after = arguments.rsplit_once(">, ").map_or("", |(_, after)| after);
                let length = after.split(')').next().and_then(|word| word.trim().parse().ok()).expect("a length");
                calls.push(Call::Truncate { path: file_of(whole), length });
            }
            "unlink" => calls.push(Call::Unlink { path: String::from_utf8_lossy(&data_of(arguments)).into_owned() }),
            "sendto" => calls.push(Call::Send { octets: data_of(arguments) }),
            "write" if file_of(whole).starts_with("socket:") => calls.push(Call::Send { octets: data_of(arguments) }),
            _ => {}
        }
    }
    calls
}

/// The path behind the descriptor, which is in hexadecimal escapes.
fn file_of(call: &str) -> String {
    let path = call.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
    String::from_utf8_lossy(&unescape(path)).into_owned()
}

/// The octets of the first text in quotes.
fn data_of(arguments: &str) -> Vec<u8> {
    let data = arguments.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map_or("", |(data, _)| data);
    unescape(data)
}

fn unescape(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|hex| u8::from_str_radix(hex, 16).expect("hexadecimal")).collect()
}

/// The PDUs in what was sent: command ids, sequence numbers, and where each begins.
pub fn pdus(octets: &[u8]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    let mut rest = octets;
    while rest.len() >= 16 {
        let word = |at: usize| u32::from_be_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        found.push((word(4), word(12)));
        let length = word(0) as usize;
        assert!((16..=rest.len()).contains(&length), "a write that does not end with a PDU");
        rest = &rest[length..];
    }
    found
}

/// The files of a journal on a disk that keeps for certain only what was synced.
#[derive(Default)]
pub struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    /// Changes not synced yet, in order.
    pending: Vec<(String, Change)>,
    /// How many changes each thread's sync under way will make safe.
    under_way: HashMap<u32, usize>,
    /// Rises with every sync that came back.
    pub version: u64,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write(at, octets) => {
                let end = *at as usize + octets.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at as usize..end].copy_from_slice(octets);
            }
            Self::Truncate(length) => file.resize(*length as usize, 0),
        }
    }
}

impl Disk {
    /// Takes a call. Sends are nothing to a disk.
    pub fn take(&mut self, call: &Call) {
        match call {
            Call::Write { path, at, octets } => self.change(path, Change::Write(*at, octets.clone())),
            Call::Truncate { path, length } => self.change(path, Change::Truncate(*length)),
            Call::Unlink { path } => {
                self.files.remove(path);
                self.pending.retain(|(other, _)| other != path);
                // Positions of syncs under way would be wrong now; there are none while a file of SQLite's goes.
                assert!(self.under_way.is_empty(), "a file was removed while another was synced");
            }
            Call::SyncBegins { thread, .. } => {
                self.under_way.insert(*thread, self.pending.len());
            }
            Call::SyncDone { path, thread } => {
                let upto = self.under_way.remove(thread).expect("a sync that began");
                let mut index = 0;
                let files = &mut self.files;
                let mut gone = 0;
                self.pending.retain(|(other, change)| {
                    let safe = index < upto && other == path;
                    index += 1;
                    if safe {
                        change.apply(files.entry(path.clone()).or_default());
                        gone += 1;
                    }
                    !safe
                });
                // Only one thread writes; another sync under way is of another file, and has at most as many before it.
                for upto in self.under_way.values_mut() {
                    *upto = upto.saturating_sub(gone);
                }
                self.version += 1;
            }
            Call::Send { .. } => {}
        }
    }

    fn change(&mut self, path: &str, change: Change) {
        // The index of the WAL is memory that happens to have a name; it is made anew.
        if !path.ends_with("-shm") {
            self.pending.push((path.to_owned(), change));
        }
    }

    /// Puts the journal's files into `folder`: all that was synced and, of the rest, what `survives` lets pass; a write
    /// may survive in part, in sectors.
    pub fn restore(&self, journal: &Path, folder: &Path, mut survives: impl FnMut() -> Fate) -> PathBuf {
        let mut files = self.files.clone();
        for (path, change) in &self.pending {
            let file = files.entry(path.clone()).or_default();
            match (survives(), change) {
                (Fate::Kept, change) => change.apply(file),
                (Fate::Torn(sectors), Change::Write(at, octets)) => {
                    for (n, sector) in octets.chunks(512).enumerate().filter(|(n, _)| sectors >> (n % 64) & 1 == 1) {
                        Change::Write(at + n as u64 * 512, sector.to_vec()).apply(file);
                    }
                }
                _ => {}
            }
        }
        let name = journal.to_string_lossy();
        for (path, octets) in files.iter().filter(|(path, _)| path.starts_with(&*name)) {
            std::fs::write(folder.join(Path::new(path).file_name().unwrap()), octets).expect("a file restored");
        }
        folder.join(journal.file_name().unwrap())
    }
}

/// What becomes of a write that was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Kept,
    /// Of its sectors of 512 octets only those survive whose bit is set.
    Torn(u64),
    Lost,
}
