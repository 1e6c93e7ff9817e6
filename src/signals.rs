//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once. The journal stands either way.

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// A channel on which the first signal arrives. From now on a second one ends the program with exit code 130.
pub fn interrupts() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = bounded(1);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (n, _) in signals.forever().enumerate() {
            if n > 0 {
                std::process::exit(i32::from(crate::cli::exit::INTERRUPTED));
            }
            let _ = sender.try_send(());
        }
    })?;
    Ok(receiver)
}
