//! What the signals of a terminal or a supervisor mean, to every command.
//!
//! | signal | meaning |
//! |---|---|
//! | INT, TERM, HUP | the orderly end, where a command has one; else the end at once. HUP is left alone where it was ignored at the start (`nohup`); a service without a terminal reads its settings anew |
//! | INT, TERM again | the end at once |
//! | QUIT | the end without waiting for answers; what is known goes to disk |
//! | USR1 | the state of the run on stderr |
//! | USR2, ALRM, VTALRM, PROF, IO, XFSZ | a word |
//! | CONT, WINCH | the progress line is drawn anew |
//! | TTOU, TTIN | nothing: a run in the background goes on and reads no terminal |
//! | PIPE | nothing: the write fails |
//!
//! The journal stands either way.

use crate::platform::screen;
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The exit code of what a signal ended, as shells tell that of SIGINT.
const INTERRUPTED: i32 = 130;
/// How long the end by QUIT may take to bring to disk what is known.
const QUIT_LIMIT: Duration = Duration::from_secs(2);
/// How long the end at once waits for its last word to be shown.
const LAST_WORD: Duration = Duration::from_millis(100);

static ORDERLY: Mutex<Option<Sender<()>>> = Mutex::new(None);
/// What is done before the end at once.
static BEFORE_THE_END: OnceLock<fn()> = OnceLock::new();
static AT_ONCE: AtomicBool = AtomicBool::new(false);
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// HUP does not end the program.
static HANGS_ON: AtomicBool = AtomicBool::new(false);
/// It came.
static HUNG_UP: AtomicBool = AtomicBool::new(false);
/// How the terminal is to be left.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);
static STANDING: Mutex<Standing> = Mutex::new(Standing { since: None, what: "" });

/// What the program is doing, for whoever asks, and for its end.
struct Standing {
    since: Option<Instant>,
    what: &'static str,
}

/// Takes the signals over, for every thread that is started from now on. To be called before any is.
pub fn start() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.set(()).is_err() {
        return Ok(());
    }
    // Blocked, they neither stop the process nor fail its writing; a read of a terminal in the background fails.
    let of_the_terminal: SigSet = [Signal::SIGTTOU, Signal::SIGTTIN].into_iter().collect();
    of_the_terminal.thread_block()?;
    STANDING.lock().since = Some(Instant::now());
    let mut wanted = vec![
        SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGXFSZ, SIGCONT, SIGWINCH,
    ];
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut has_ended = false;
        for signal in signals.forever() {
            handle(signal, &mut has_ended);
        }
    })?;
    Ok(())
}

/// A channel on which the first signal arrives that asks for the end. Until this is called, such a signal ends the program
/// at once; from now on the second does.
pub fn interrupts() -> io::Result<Receiver<()>> {
    start()?;
    let (sender, receiver) = bounded(1);
    *ORDERLY.lock() = Some(sender);
    Ok(receiver)
}

/// From now on HUP asks a service for its settings to be read anew, unless a terminal says by it that it is gone.
pub fn keep_through_hangup() {
    let has_terminal = std::fs::File::open("/dev/tty").is_ok();
    HANGS_ON.store(!has_terminal, Ordering::Relaxed);
}

/// Whether HUP came that does not end the program. Said once.
pub fn took_hangup() -> bool {
    HUNG_UP.swap(false, Ordering::Relaxed)
}

/// Has this done before the end at once, by the thread that ends the program.
pub fn before_the_end(act: fn()) {
    let _ = BEFORE_THE_END.set(act);
}

/// Whether the end shall not wait for what the SMSC still has to say.
pub fn at_once() -> bool {
    AT_ONCE.load(Ordering::Relaxed)
}

/// Whether the end was asked for.
pub fn is_ending() -> bool {
    IS_ENDING.load(Ordering::Relaxed)
}

/// Asks for what the terminal is not to show. A signal that ends the program meanwhile leaves the terminal as it was.
pub fn while_asking<T>(ask: impl FnOnce() -> T) -> T {
    *TERMINAL.lock() = tcgetattr(io::stdin()).ok();
    let answer = ask();
    *TERMINAL.lock() = None;
    answer
}

/// What is said when a signal ends the program from now on, and of how it stands where no progress is shown.
pub fn standing(what: &'static str) {
    STANDING.lock().what = what;
}

fn handle(signal: i32, has_ended: &mut bool) {
    match signal {
        SIGHUP if HANGS_ON.load(Ordering::Relaxed) => HUNG_UP.store(true, Ordering::Relaxed),
        SIGINT | SIGTERM | SIGHUP | SIGQUIT => {
            let orderly = ORDERLY.lock().clone();
            // A terminal that closes sends HUP more than once, and a supervisor TERM and HUP together.
            let is_again = *has_ended && matches!(signal, SIGINT | SIGTERM);
            let Some(orderly) = orderly.filter(|_| !is_again) else { end() };
            *has_ended = true;
            IS_ENDING.store(true, Ordering::Relaxed);
            if signal == SIGQUIT {
                AT_ONCE.store(true, Ordering::Relaxed);
                let guard = std::thread::Builder::new().name("quit".into()).spawn(|| {
                    std::thread::sleep(QUIT_LIMIT);
                    end();
                });
                if guard.is_err() {
                    end();
                }
            }
            let _ = orderly.try_send(());
        }
        SIGUSR1 => screen::say(&state()),
        SIGCONT | SIGWINCH => screen::stderr().redraw(),
        other => {
            let name = signal_hook::low_level::signal_name(other).unwrap_or("a signal");
            let words = match other {
                SIGXFSZ => "a file has reached the limit of file sizes (ulimit -f)",
                _ => "it means nothing here; SIGUSR1 shows how the run stands, SIGTERM ends it",
            };
            screen::say(&format!("{name}: {words}"));
        }
    }
}

/// The end at once.
pub fn end() -> ! {
    restore_terminal();
    let what = STANDING.lock().what;
    screen::stderr().set_line(None);
    if !what.is_empty() {
        screen::say(&format!("interrupted: {what}"));
    }
    screen::stderr().flush(LAST_WORD);
    if let Some(act) = BEFORE_THE_END.get() {
        act();
    }
    // The prompt is shown before the terminal is changed for it, and that may have been between.
    restore_terminal();
    std::process::exit(INTERRUPTED);
}

fn restore_terminal() {
    if let Some(terminal) = TERMINAL.lock().as_ref() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, terminal);
    }
}

fn state() -> String {
    let standing = STANDING.lock();
    let seconds = standing.since.map_or(0, |since| since.elapsed().as_secs());
    let line = screen::stderr().line();
    let what = line.as_deref().unwrap_or(standing.what);
    let what = if what.is_empty() { "at work" } else { what };
    format!("smppost (process {}) runs for {seconds} s: {what}", std::process::id())
}

/// Whether the program was started with this signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_rust_ignores_is_ignored_and_what_nobody_does_is_not() {
        assert!(super::is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!super::is_ignored(signal_hook::consts::SIGSEGV));
    }
}
