//! The program at a terminal: on a pty of its own as the leader of a session, so that Ctrl-C, Ctrl-S and the size reach it
//! as they do in a window.

use super::{PATIENCE, Smppost};
use parking_lot::{Condvar, Mutex};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lines above the screen that are kept.
const SCROLLBACK_LINES: usize = 10_000;

/// A program that runs at a terminal.
pub struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    written: Vec<u8>,
    paused: bool,
    ended: bool,
}

impl Default for State {
    fn default() -> Self {
        let parser = vt100::Parser::new(lines(24), lines(80), SCROLLBACK_LINES);
        Self { parser, written: Vec::new(), paused: false, ended: false }
    }
}

fn lines(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a size above 0")
}

impl Smppost {
    /// The program at a terminal of 24 lines of 100 columns, with the environment of [`spawn`](Smppost::spawn). All of its
    /// output goes to the terminal.
    pub fn at_terminal(&self, arguments: &[&str]) -> Terminal {
        self.at_terminal_of(24, 100, arguments, &[])
    }

    /// As [`at_terminal`](Self::at_terminal), of another size and with more in the environment.
    pub fn at_terminal_of(
        &self,
        rows: u16,
        columns: u16,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        self.terminal(rows, columns, env!("CARGO_BIN_EXE_smppost"), arguments, environment)
    }

    /// A shell at a terminal, that runs `script`: for what a person does with jobs. `$SMPPOST` is the program.
    pub fn shell_at_terminal(&self, script: &str) -> Terminal {
        let program = ("SMPPOST", env!("CARGO_BIN_EXE_smppost"));
        self.terminal(24, 100, "sh", &["-c", script], &[program])
    }

    fn terminal(
        &self,
        rows: u16,
        columns: u16,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let (pty, pts) = open().expect("a pty");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let command = Command::new(program)
            .args(arguments)
            .current_dir(self.path(""))
            .env("SMPPOST_JOURNAL", self.journal())
            .env("HOME", self.path(""))
            .env("TERM", "xterm")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env("XDG_STATE_HOME", self.state.path())
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied());
        let child = command.spawn(pts).expect("the program started");
        let terminal = Terminal { pty: Arc::new(pty), child, shared: Arc::default() };
        terminal.shared.state.lock().parser.screen_mut().set_size(lines(rows), lines(columns));
        let (pty, shared) = (Arc::clone(&terminal.pty), Arc::clone(&terminal.shared));
        std::thread::spawn(move || read_all(&pty, &shared));
        terminal
    }
}

/// Reads what the program writes, until nobody has the terminal open any more.
fn read_all(pty: &Pty, shared: &Shared) {
    let mut octets = [0; 4_096];
    loop {
        {
            let mut state = shared.state.lock();
            while state.paused {
                shared.changed.wait(&mut state);
            }
        }
        // At the end Linux gives EIO.
        let count = (&*pty).read(&mut octets).unwrap_or(0);
        let mut state = shared.state.lock();
        state.parser.process(&octets[..count]);
        state.written.extend_from_slice(&octets[..count]);
        state.ended = count == 0;
        shared.changed.notify_all();
        if count == 0 {
            return;
        }
    }
}

impl Terminal {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What stands on the screen now, as a person sees it.
    pub fn screen(&self) -> String {
        self.shared.state.lock().parser.screen().contents()
    }

    /// All that was written so far, with its control sequences.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.shared.state.lock().written).into_owned()
    }

    /// Types; `\x03` is Ctrl-C, `\x04` the end of the input, `\x13` and `\x11` are Ctrl-S and Ctrl-Q, `\x1a` is Ctrl-Z.
    pub fn type_in(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).expect("typed");
    }

    /// Another size; the program gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(Size::new(rows, columns)).expect("a size");
        self.shared.state.lock().parser.screen_mut().set_size(lines(rows), lines(columns));
    }

    /// Reads nothing more, as a terminal that hangs; after some KiB the program's writes wait. What one read gives may
    /// still come.
    pub fn stop_reading(&self) {
        self.shared.state.lock().paused = true;
    }

    /// Reads on.
    pub fn read_on(&self) {
        self.shared.state.lock().paused = false;
        self.shared.changed.notify_all();
    }

    /// Waits until these words were written, with whatever ends of lines and colours.
    #[track_caller]
    pub fn wait_for(&self, words: &str) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock();
        while !String::from_utf8_lossy(&state.written).contains(words) {
            let said = || String::from_utf8_lossy(&state.written).into_owned();
            assert!(!state.ended, "it ended without {words:?}:\n{}", said());
            let late = self.shared.changed.wait_until(&mut state, until).timed_out();
            assert!(!late, "{words:?} is not said:\n{}", String::from_utf8_lossy(&state.written));
        }
    }

    /// Waits for the end: its code (`None`: by a signal) and all that was written.
    #[track_caller]
    pub fn wait(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + super::DEADLINE;
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                break status.code();
            }
            assert!(Instant::now() < until, "the program did not end:\n{}", self.written());
            std::thread::sleep(Duration::from_millis(5));
        };
        // What it wrote last is still on its way.
        let until = Instant::now() + Duration::from_secs(2);
        let mut state = self.shared.state.lock();
        while !state.ended && !self.shared.changed.wait_until(&mut state, until).timed_out() {}
        drop(state);
        (code, self.written())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.read_on();
    }
}
