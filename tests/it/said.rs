//! What is said before it goes, corrections, and what a run leaves behind.

mod asked;
mod corrections;
mod nothing_left;

use crate::common::Smppost;

#[test]
fn a_terminal_of_a_test_is_one() {
    let smppost = Smppost::new();
    let terminal = smppost.shell_at_terminal("stty size; read word; echo \"got $word\"; sleep 60");
    terminal.wait_for("24 100");
    terminal.type_in("hello\r");
    terminal.wait_for("got hello");
    assert!(terminal.screen().contains("got hello"));
    terminal.type_in("\x03");
    let (code, _) = terminal.wait();
    assert_ne!(code, Some(0));
    let terminal = smppost.shell_at_terminal("trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.1; done");
    terminal.wait_for("ready");
    terminal.resize(10, 40);
    let (code, written) = terminal.wait();
    assert!(code == Some(7) && written.contains("10 40"), "{code:?} {written}");
}
