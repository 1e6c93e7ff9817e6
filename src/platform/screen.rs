//! What a person sees, without anybody waiting for it: words, log lines and the line that changes go to a thread that
//! writes them. Where the terminal is stopped, the pipe is full or nobody reads, that thread waits, and nobody else.
//!
//! Words are handed over through a bounded channel; what finds no room is dropped and counted, and the count is shown when
//! there is room again. Of the changing line only the newest is kept. Data on stdout does not go this way: a command that
//! shows data waits for its reader.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Messages that wait to be written.
const WAITING_MAX: usize = 1_024;
/// Octets that wait to be written.
const WAITING_OCTETS_MAX: usize = 1 << 20;
/// How often the changing line is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How long the end of the program waits for what is not written yet.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// Columns where the terminal does not say.
const COLUMNS: usize = 80;
/// Back to the start of the line, and away with what stands there.
const ERASE: &str = "\r\x1b[K";

/// A line in pieces. Where it is too long for the terminal, the pieces of the highest rank are left out first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces(Vec<(u8, String)>);

impl Pieces {
    /// Adds a piece of that rank; 0 is the last to be left out.
    pub fn add(&mut self, rank: u8, piece: impl Into<String>) {
        self.0.push((rank, piece.into()));
    }

    /// All of it.
    pub fn whole(&self) -> String {
        self.fit(usize::MAX)
    }

    /// As much as fits so many columns.
    pub fn fit(&self, columns: usize) -> String {
        let highest = self.0.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
        let mut line = String::new();
        for most in (0..=highest).rev() {
            let kept: Vec<&str> =
                self.0.iter().filter(|(rank, _)| *rank <= most).map(|(_, piece)| piece.as_str()).collect();
            line = kept.join(", ");
            if line.chars().count() <= columns {
                return line;
            }
        }
        line.chars().take(columns).collect()
    }
}

/// A way out that nobody waits for: stderr, or a file.
#[derive(Clone, Debug)]
pub struct Outlet {
    to_thread: Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Octets in the channel.
    waiting: AtomicUsize,
    /// Lines that were not shown, and of which it was not said yet.
    dropped: AtomicU64,
    /// The changing line.
    line: Mutex<Option<Pieces>>,
    /// The changing line stands on the terminal.
    is_drawn: AtomicBool,
    /// Somebody else may have written over it.
    is_stale: AtomicBool,
}

#[derive(Debug)]
enum Item {
    Words(Vec<u8>),
    /// The reply tells that everything before it was written or dropped.
    Flush(Sender<()>),
}

/// stderr.
pub fn stderr() -> &'static Outlet {
    static STDERR: OnceLock<Outlet> = OnceLock::new();
    STDERR.get_or_init(|| {
        // A descriptor of its own: the thread that waits for the terminal must not hold the lock of `io::stderr`.
        let file = io::stderr().as_fd().try_clone_to_owned().map(File::from);
        Outlet::start("screen", file, can_redraw())
    })
}

/// Nothing is drawn anew in its line.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// From now on nothing is drawn anew in its line, as where there is no terminal.
pub fn keep_plain() {
    PLAIN.store(true, Ordering::Relaxed);
}

/// Shows words on stderr, and keeps them in the log file where there is one. Nobody waits for that.
pub fn say(words: &str) {
    crate::platform::logging::keep(words);
    stderr().say(words);
}

/// Data for stdout. What was said before comes before it where both are shown on one terminal, unless that takes too long.
#[derive(Debug)]
pub struct AfterWords<W> {
    out: W,
    has_waited: bool,
}

impl<W> AfterWords<W> {
    /// Data goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, has_waited: false }
    }
}

impl<W: Write> Write for AfterWords<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if !self.has_waited && !stderr().is_idle() {
            // Once in vain is enough.
            self.has_waited = !stderr().flush(FAREWELL);
        }
        self.out.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether stderr is a terminal that can go back in a line.
pub fn can_redraw() -> bool {
    let is_plain = PLAIN.load(Ordering::Relaxed);
    !is_plain
        && io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb" && !term.is_empty())
}

/// Whether words on stderr may be coloured.
pub fn may_colour() -> bool {
    can_redraw() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

impl Outlet {
    /// Starts the thread that writes to `file`. Where there is none, everything is dropped. With `redraws` the file is a
    /// terminal whose last line may change.
    pub fn start(name: &str, file: io::Result<File>, redraws: bool) -> Self {
        let (to_thread, items) = bounded(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        if let Ok(file) = file {
            let writer = Writer { file, redraws, drawn: String::new(), shared: Arc::clone(&shared) };
            // Without a thread the channel is closed, and everything is dropped.
            let _ = std::thread::Builder::new().name(name.into()).spawn(move || writer.run(&items));
        }
        Self { to_thread, shared }
    }

    /// Hands over words, of one line or several. Never waits.
    pub fn say(&self, words: &str) {
        let mut octets = words.trim_end_matches('\n').as_bytes().to_vec();
        octets.push(b'\n');
        self.hand_over(octets);
    }

    fn hand_over(&self, octets: Vec<u8>) {
        let (length, lines) = (octets.len(), lines(&octets));
        let before = self.shared.waiting.fetch_add(length, Ordering::Relaxed);
        if before + length > WAITING_OCTETS_MAX || self.to_thread.try_send(Item::Words(octets)).is_err() {
            self.shared.waiting.fetch_sub(length, Ordering::Relaxed);
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Replaces the changing line; `None` takes it away.
    pub fn set_line(&self, line: Option<Pieces>) {
        *self.shared.line.lock() = line;
    }

    /// The changing line as it is now.
    pub fn line(&self) -> Option<String> {
        self.shared.line.lock().as_ref().map(Pieces::whole)
    }

    /// Draws the changing line anew, since somebody else wrote to the terminal or its size changed.
    pub fn redraw(&self) {
        self.shared.is_stale.store(true, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) == 0 && !self.shared.is_drawn.load(Ordering::Relaxed)
    }

    /// Waits until what was handed over is written, but no longer than `limit`. False: it is not.
    pub fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let (reply, written) = bounded(1);
        self.to_thread.send_deadline(Item::Flush(reply), until).is_ok() && written.recv_deadline(until).is_ok()
    }
}

/// For a log: each write is a whole number of lines.
impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.hand_over(octets.to_vec());
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(octets: &[u8]) -> u64 {
    octets.iter().filter(|octet| **octet == b'\n').count().max(1) as u64
}

/// The thread that writes, and waits.
struct Writer {
    file: File,
    redraws: bool,
    /// The changing line as it stands on the terminal.
    drawn: String,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, items: &Receiver<Item>) {
        loop {
            match items.recv_timeout(DRAW_EVERY) {
                Ok(Item::Words(octets)) => {
                    self.words(&octets);
                    self.shared.waiting.fetch_sub(octets.len(), Ordering::Relaxed);
                }
                Ok(Item::Flush(reply)) => {
                    self.draw();
                    let _ = reply.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.draw(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn words(&mut self, octets: &[u8]) {
        let erase = if self.drawn.is_empty() { "" } else { ERASE };
        self.drawn.clear();
        self.shared.is_drawn.store(false, Ordering::Relaxed);
        let written = match self.shared.dropped.swap(0, Ordering::Relaxed) {
            0 => self.write(&[erase.as_bytes(), octets].concat()).map_err(|_| 0),
            missing => {
                let words = format!(
                    "{erase}{missing} {} not be shown\n",
                    if missing == 1 { "line could" } else { "lines could" }
                );
                self.write(&[words.as_bytes(), octets].concat()).map_err(|_| missing)
            }
        };
        if let Err(missing) = written {
            self.shared.dropped.fetch_add(missing + lines(octets), Ordering::Relaxed);
        }
    }

    /// Draws the changing line if it changed, as wide as the terminal is now.
    fn draw(&mut self) {
        if !self.redraws || PLAIN.load(Ordering::Relaxed) {
            return;
        }
        let is_stale = self.shared.is_stale.swap(false, Ordering::Relaxed);
        let line = self.shared.line.lock().clone();
        let line = line.map_or_else(String::new, |line| line.fit(self.columns()));
        if is_stale || line != self.drawn {
            // Without wrapping, so that a terminal that became narrower meanwhile keeps it on its line.
            let _ = self.write(format!("{ERASE}\x1b[?7l{line}\x1b[?7h").as_bytes());
            self.shared.is_drawn.store(!line.is_empty(), Ordering::Relaxed);
            self.drawn = line;
        }
    }

    fn columns(&self) -> usize {
        let columns = rustix::termios::tcgetwinsize(&self.file).map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { COLUMNS } else { columns }
    }

    fn write(&mut self, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() {
            match self.file.write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => octets = octets.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares the terminal with us made it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(self.file.as_fd())?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn wait_for_room(file: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(file, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};

    #[test]
    fn f49_pieces_of_high_rank_give_way_first() {
        let mut line = Pieces::default();
        line.add(0, "12 %");
        line.add(2, "done at 14:03");
        line.add(1, "30/s");
        for (columns, expected) in
            [(80, "12 %, done at 14:03, 30/s"), (24, "12 %, 30/s"), (9, "12 %"), (2, "12"), (0, "")]
        {
            assert_eq!(line.fit(columns), expected, "{columns}");
        }
        assert_eq!(Pieces::default().fit(10), "");
    }

    #[test]
    fn nobody_waits_for_a_pipe_that_nobody_reads_and_what_is_lost_is_counted() {
        let (reading, writing) = io::pipe().unwrap();
        let outlet = Outlet::start("test", Ok(File::from(std::os::fd::OwnedFd::from(writing))), false);
        let before = Instant::now();
        let lines = 50_000;
        for n in 0..lines {
            outlet.say(&format!("line {n} of words that fill the pipe and then the channel"));
        }
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
        let before = Instant::now();
        assert!(!outlet.flush(Duration::from_millis(100)));
        assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
        let mut reader = BufReader::new(reading);
        let (mut shown, mut missing) = (0, 0);
        let mut line = String::new();
        // What was on its way comes, and what is missing is said ahead of the next words.
        while shown + missing < lines {
            line.clear();
            if outlet.shared.waiting.load(Ordering::Relaxed) == 0 {
                outlet.say("now");
            }
            reader.read_line(&mut line).unwrap();
            match line.strip_suffix(" lines could not be shown\n") {
                Some(more) => missing += more.parse::<u64>().unwrap(),
                None if line == "now\n" => {}
                None => shown += 1,
            }
        }
        assert!(shown + missing == lines && missing > 0, "{shown} {missing}");
        drop(outlet);
        reader.read_to_string(&mut line).unwrap();
    }

    #[test]
    fn a_full_device_and_a_missing_file_cost_nothing() {
        for file in [File::options().write(true).open("/dev/full"), File::open("/nowhere/at/all")] {
            let is_there = file.is_ok();
            let outlet = Outlet::start("test", file, false);
            outlet.say("two\nlines");
            assert_eq!(outlet.flush(Duration::from_secs(10)), is_there);
            assert_eq!(outlet.shared.dropped.load(Ordering::Relaxed), 2);
        }
    }
}
