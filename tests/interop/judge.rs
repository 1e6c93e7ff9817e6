//! Wireshark's dissector over what was recorded.

use crate::peers::{install, not_checked};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Whether there is a tshark; once for all tests of a run.
pub fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| install("records, by Wireshark's dissector", "tshark").is_some())
}

/// The lines that tshark prints.
pub fn tshark(path: &Path, arguments: &[&str]) -> Vec<String> {
    // What the profile of this user says shall not matter.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("tshark");
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME").args(["-n", "-r"]).arg(path).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Nothing malformed in it, and no note of an expert.
#[track_caller]
pub fn assert_clean(what: &str, path: &Path) {
    if !is_there() {
        return not_checked(&format!("the record of {what}"), "there is no tshark");
    }
    assert!(!tshark(path, &["-Y", "smpp"]).is_empty(), "nothing is recorded");
    for filter in ["_ws.malformed", "_ws.expert && !tcp.flags.fin && !tcp.flags.syn", "tcp && tcp.len > 0 && !smpp"] {
        let found = tshark(path, &["-Y", filter]);
        assert!(found.is_empty(), "{what}: {filter}: {found:?}");
    }
}
