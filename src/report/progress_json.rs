//! `--progress json`: how a run stands, once a second, as a line of JSON on stdout, for the program that started it.
//!
//! A thread of its own writes. Nobody waits for it: where the reader does not read, the newest line takes the place of the one
//! that is not written yet; where it is gone, nothing is written any more.

use crate::journal::model::key::State;
use crate::journal::writer::Status;
use crate::platform::screen;
use crate::report::rows::write_json;
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// So often a line is written.
const EVERY: Duration = Duration::from_secs(1);

/// The lines of this command, if they are asked for.
static LINES: OnceLock<Lines> = OnceLock::new();

/// How a run stands. Messages are those that it is about; `None`: it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// Of the messages that are to be sent in this run, those that are.
    percent: Option<i64>,
    sent: Option<i64>,
    total: Option<i64>,
    /// Messages that the SMSC took, and that did not come back.
    accepted: Option<i64>,
    /// Parts a second of late.
    rate: Option<f64>,
    seconds_left: Option<u64>,
    refused: Option<i64>,
    /// Attempts that the SMSC throttled in this run.
    throttled: Option<u64>,
    in_doubt: Option<i64>,
    /// Connections that are bound.
    bound: Option<usize>,
    ended: bool,
}

impl Line {
    /// What is seen: the messages sent and those left, and parts a second with the seconds left, where they are known.
    pub fn of(
        status: &Status,
        (sent, left): (i64, i64),
        bound: usize,
        (rate, seconds): (Option<f64>, Option<f64>),
    ) -> Self {
        let count = |state: State| status.counts[state as usize];
        let total = sent + left;
        Self {
            percent: Some(if total > 0 { sent * 100 / total } else { 100 }),
            sent: Some(sent),
            total: Some(total),
            accepted: Some(count(State::Accepted) + count(State::Delivered) + count(State::PartlyDelivered)),
            rate: rate.map(|rate| (rate * 10.0).round() / 10.0),
            seconds_left: if left == 0 { Some(0) } else { seconds.map(|seconds| seconds.ceil() as u64) },
            refused: Some(count(State::Rejected)),
            throttled: Some(status.throttled),
            in_doubt: Some(count(State::InDoubt)),
            bound: Some(bound),
            ended: false,
        }
    }
}

/// A way out for lines that nobody waits for.
#[derive(Debug)]
pub struct Lines {
    shared: Arc<Shared>,
    /// The service sends: what its connections do is not seen.
    is_beside: AtomicBool,
    held_back: Mutex<i64>,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    news: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    line: Option<Line>,
    is_last: bool,
    /// Nothing is written any more.
    is_over: bool,
}

/// Begins with the lines on stdout.
pub fn start() {
    LINES.get_or_init(|| Lines::start(io::stdout().as_fd().try_clone_to_owned().map(File::from)));
}

/// The lines, if they are asked for.
pub fn lines() -> Option<&'static Lines> {
    LINES.get()
}

/// Writes the last line, and waits for that no longer than `limit`.
pub fn end(limit: Duration) {
    if let Some(lines) = lines() {
        lines.end(limit);
    }
}

impl Lines {
    fn start(file: io::Result<File>) -> Self {
        let shared = Arc::new(Shared::default());
        let started = file.and_then(|file| {
            let shared = Arc::clone(&shared);
            let writer = Writer { file, is_cut: false, is_told: false };
            std::thread::Builder::new().name("progress".into()).spawn(move || writer.run(&shared))
        });
        shared.slot.lock().is_over = started.is_err();
        Self { shared, is_beside: AtomicBool::new(false), held_back: Mutex::new(0) }
    }

    /// From now on a service sends, and this command looks on.
    pub fn look_on(&self) {
        self.is_beside.store(true, Ordering::Relaxed);
    }

    /// Of the messages not sent, those that this run holds back, as was said last.
    pub fn held_back(&self) -> i64 {
        *self.held_back.lock()
    }

    /// How it stands now, with the messages that are held back.
    pub fn show(&self, line: Line, held_back: i64) {
        *self.held_back.lock() = held_back;
        let line = match self.is_beside.load(Ordering::Relaxed) {
            true => Line { bound: None, throttled: None, ..line },
            false => line,
        };
        self.shared.slot.lock().line = Some(line);
        self.shared.news.notify_one();
    }

    fn end(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut slot = self.shared.slot.lock();
        slot.is_last = true;
        self.shared.news.notify_one();
        while !slot.is_over && !self.shared.written.wait_until(&mut slot, until).timed_out() {}
    }
}

/// The thread that writes, and waits.
struct Writer {
    file: File,
    /// The last line was written in part.
    is_cut: bool,
    /// It was said that stdout cannot be written.
    is_told: bool,
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        let mut next = Instant::now();
        loop {
            let (line, is_last) = Self::await_line(shared, next);
            let written = self.line(&Line { ended: is_last, ..line });
            if is_last || written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                shared.slot.lock().is_over = true;
                shared.written.notify_all();
                return;
            }
            next = (next + EVERY).max(Instant::now());
        }
    }

    /// The newest line, when it is time for one; the last is written at once.
    fn await_line(shared: &Shared, next: Instant) -> (Line, bool) {
        let mut slot = shared.slot.lock();
        loop {
            match &slot.line {
                line if slot.is_last => return (line.clone().unwrap_or_default(), true),
                Some(line) if Instant::now() >= next => return (line.clone(), false),
                Some(_) => drop(shared.news.wait_until(&mut slot, next)),
                None => shared.news.wait(&mut slot),
            }
        }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut octets = if self.is_cut { b"\n".to_vec() } else { Vec::new() };
        if write_json(&mut octets, line).is_err() {
            return Ok(());
        }
        octets.push(b'\n');
        let mut left = &octets[..];
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(count) if count > 0 => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares the pipe with us made it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::OUT)], None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                other => {
                    self.is_cut = self.is_cut || left.len() < octets.len();
                    let error = other.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    if error.kind() != io::ErrorKind::BrokenPipe && !std::mem::replace(&mut self.is_told, true) {
                        screen::say(&format!("--progress json: nothing can be written to stdout: {error}"));
                    }
                    return Err(error);
                }
            }
        }
        self.is_cut = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;

    fn status() -> Status {
        let mut status = Status::default();
        for (state, count) in [(State::Queued, 75), (State::Accepted, 20), (State::Rejected, 3), (State::InDoubt, 2)] {
            status.counts[state as usize] = count;
        }
        status.throttled = 4;
        status
    }

    fn shown(line: &Line) -> String {
        let mut octets = Vec::new();
        write_json(&mut octets, line).unwrap();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn a_line_says_what_is_known_and_null_where_nothing_is() {
        let line = Line::of(&status(), (25, 75), 2, (Some(29.84), Some(299.2)));
        assert_eq!(
            shown(&line),
            r#"{"percent":25,"sent":25,"total":100,"accepted":20,"rate":29.8,"seconds_left":300,"refused":3,"throttled":4,"in_doubt":2,"bound":2,"ended":false}"#
        );
        let line = Line::of(&status(), (100, 0), 0, (None, None));
        assert!(
            shown(&line).contains(r#""percent":100,"sent":100,"total":100,"accepted":20,"rate":null,"seconds_left":0"#)
        );
        assert_eq!(Line::of(&Status::default(), (0, 0), 0, (None, None)).percent, Some(100));
        assert!(shown(&Line::default()).starts_with(r#"{"percent":null,"sent":null"#));
    }

    #[test]
    fn a_pipe_that_nobody_reads_costs_nothing_and_gets_the_newest_and_the_last() {
        let (reading, writing) = io::pipe().unwrap();
        let writing = OwnedFd::from(writing);
        let flags = rustix::fs::fcntl_getfl(&writing).unwrap();
        rustix::fs::fcntl_setfl(&writing, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        while rustix::io::write(&writing, &[b'\n'; 4_096]).is_ok() {}
        rustix::fs::fcntl_setfl(&writing, flags).unwrap();
        let lines = Lines::start(Ok(File::from(writing)));
        let before = Instant::now();
        for sent in 0..100_000 {
            lines.show(Line::of(&status(), (sent, 1), 1, (None, None)), 0);
        }
        lines.end(Duration::from_millis(100));
        assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
        assert!(!lines.shared.slot.lock().is_over);
        let mut last = String::new();
        for line in BufReader::new(reading).lines() {
            last = line.unwrap();
            if last.contains("true") {
                break;
            }
        }
        assert!(last.contains(r#""sent":99999"#) && last.contains(r#""ended":true"#), "{last}");
    }

    #[test]
    fn a_reader_that_is_gone_and_a_full_device_end_nothing() {
        for file in [
            Ok(File::from(OwnedFd::from(io::pipe().unwrap().1))),
            File::options().write(true).open("/dev/full"),
            File::open("/nowhere/at/all"),
        ] {
            let lines = Lines::start(file);
            lines.show(Line::default(), 0);
            let before = Instant::now();
            lines.end(Duration::from_secs(20));
            assert!(lines.shared.slot.lock().is_over && before.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn beside_a_service_its_connections_are_not_seen() {
        let (reading, writing) = io::pipe().unwrap();
        let lines = Lines::start(Ok(File::from(OwnedFd::from(writing))));
        lines.look_on();
        lines.show(Line::of(&status(), (25, 75), 1, (None, None)), 7);
        assert_eq!(lines.held_back(), 7);
        lines.end(Duration::from_secs(20));
        let all = io::read_to_string(reading).unwrap();
        assert!(all.lines().all(|line| line.contains(r#""throttled":null,"in_doubt":2,"bound":null"#)), "{all}");
        assert!(all.ends_with("\"ended\":true}\n"), "{all}");
    }
}
