//! Questions to whoever sits at the terminal. Without a terminal nothing is asked.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use std::io::{self, IsTerminal, Write};

/// How long an answer is waited for before it is looked whether the terminal is still ours.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// Answers that are neither yes nor no, after which it is taken as no.
const TRIES_MAX: usize = 3;
/// Octets of an answer that are read at a time. A terminal hands out a line at most.
const ANSWER_OCTETS: usize = 4_096;

/// Whether somebody sits there who can be asked: stdin and stderr are terminals, and this process is in the foreground of
/// it. One that was put in the background would be stopped if it read.
pub fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && in_foreground(io::stdin().as_fd())
}

/// Asks on stderr and reads the answer from stdin; Enter alone means `default`. The end of the input is a no, and so is a
/// process that is put in the background meanwhile. To be called only [`on_terminal`].
pub fn yes(question: &str, default: bool) -> bool {
    yes_unless(question, default, &|| false)
}

/// As [`yes`]; it is a no as soon as `is_over`, as after Ctrl-C.
pub fn yes_unless(question: &str, default: bool, is_over: &dyn Fn() -> bool) -> bool {
    let input = io::stdin();
    let input = input.as_fd();
    // What was said before comes before the question.
    crate::platform::screen::stderr().flush(crate::platform::screen::FAREWELL);
    ask(input, &mut io::stderr(), question, default, &|| !is_over() && in_foreground(input))
}

fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|foreground| foreground == rustix::process::getpgrp())
}

fn ask(input: BorrowedFd<'_>, out: &mut dyn Write, question: &str, default: bool, is_ours: &dyn Fn() -> bool) -> bool {
    let choice = if default { "[Y/n]" } else { "[y/N]" };
    for _ in 0..TRIES_MAX {
        let _ = write!(out, "{question} {choice} ").and_then(|()| out.flush());
        let Some(answer) = line(input, is_ours) else {
            let _ = writeln!(out, "\nno answer, which is taken as no");
            return false;
        };
        match answer.trim().to_ascii_lowercase().as_str() {
            "" => return default,
            "y" | "yes" => return true,
            "n" | "no" => return false,
            _ => {
                let _ = writeln!(out, "please type y or n");
            }
        }
    }
    let _ = writeln!(out, "no answer, which is taken as no");
    false
}

/// A line that was typed. `None`: the input has ended, or the terminal is not ours any more.
fn line(input: BorrowedFd<'_>, is_ours: &dyn Fn() -> bool) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        if !is_ours() {
            return None;
        }
        // Not read before there is something: a read in the background stops the process.
        match poll(&mut [PollFd::from_borrowed_fd(input, PollFlags::IN)], Some(&LOOK_EVERY)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        let mut some = [0; ANSWER_OCTETS];
        match rustix::io::read(input, &mut some) {
            Ok(0) => return None,
            Ok(count) => octets.extend_from_slice(some.get(..count)?),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        // What was pasted without an end of line is an answer too long to be one.
        if octets.ends_with(b"\n") || octets.len() > ANSWER_OCTETS {
            return Some(String::from_utf8_lossy(&octets).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// What is made of an answer typed at once, and what was said.
    fn answered(typed: &str, default: bool) -> (bool, String) {
        let (reading, writing) = io::pipe().unwrap();
        { writing }.write_all(typed.as_bytes()).unwrap();
        let mut said = Vec::new();
        let yes = ask(reading.as_fd(), &mut said, "Go on?", default, &|| true);
        (yes, String::from_utf8(said).unwrap())
    }

    #[test]
    fn yes_is_what_says_so() {
        for (typed, default, expected) in [
            ("y\n", false, true),
            (" YES \n", false, true),
            ("n\n", true, false),
            ("no\n", true, false),
            ("\n", true, true),
            ("\n", false, false),
            ("", true, false),
            ("maybe", true, false),
            ("1\n2\n", true, false),
        ] {
            assert_eq!(answered(typed, default).0, expected, "{typed:?}");
        }
    }

    #[test]
    fn the_default_is_shown_and_the_end_of_the_input_said() {
        assert_eq!(answered("y\n", true).1, "Go on? [Y/n] ");
        assert!(answered("", false).1.starts_with("Go on? [y/N] \nno answer"));
    }

    #[test]
    fn nothing_is_read_in_the_background() {
        let (reading, writing) = io::pipe().unwrap();
        let looks = Cell::new(0);
        // The answer is typed, but meanwhile the terminal is somebody else's.
        let is_ours = || looks.replace(looks.get() + 1) == 0;
        assert!(!ask(reading.as_fd(), &mut Vec::new(), "Go on?", true, &is_ours));
        { writing }.write_all(b"y\n").unwrap();
        let mut rest = String::new();
        io::Read::read_to_string(&mut &reading, &mut rest).unwrap();
        assert_eq!(rest, "y\n");
    }
}
