//! What the operating system gives: signals, terminals, the log; and what tests of the promise need.

pub mod clock;
pub mod failpoint;
pub mod logging;
pub mod notify;
pub mod private_files;
pub mod sabotage;
pub mod screen;
pub mod signals;
