//! Points at which a run can be made to fail, to see what it leaves behind. Builds for tests
//! (with debug assertions) have them, or those with the feature `failpoints`; a release has none; there the variable `SMPPOST_FAILPOINT` holds `point=action@n`: the n-th time that the point is
//! reached, the action is taken. Actions: `abort` the process, an `error` of the kind that the point can have, and
//! `delay` it for 200 ms (then and every n-th time after, twenty times at most: a run may be slow, but is to end).

/// Every point that there is.
pub const POINTS: [&str; 18] = [
    "claim",
    "commit",
    "committed",
    "mark",
    "write",
    "written",
    "read",
    "note",
    "noted",
    "receipt",
    "acknowledge",
    "checkpoint",
    "import-chunk",
    "import-finish",
    "import-finished",
    "import-released",
    "recovery",
    "recovered",
];

/// Between the transactions of a recovery, apart since a recovery of a window has but one.
pub const RECOVERY_POINT: &str = "recovering";

/// Those of the upgrade of an older journal, apart since no run with a new one reaches them.
pub const UPGRADE_POINTS: [&str; 5] =
    ["upgrade-backup", "upgrade-begin", "upgrade-range", "upgrade-index", "upgrade-finish"];

/// Those of a service that carries out a command, and of the command that has written its row.
pub const SERVICE_POINTS: [&str; 6] = ["command", "answered", "commanded", "gathered", "operation", "operated"];

/// Those of a file in a watched folder, in their order; the last five: where it goes when it was taken.
pub const WATCH_POINTS: [&str; 10] = [
    "watch-claiming",
    "watch-claimed",
    "watch-named",
    "watch-imported",
    "watch-released",
    "watch-doing",
    "watch-done",
    "watch-result",
    "watch-failing",
    "watch-failed",
];

/// Reaches a point.
///
/// # Errors
/// When the point is to fail.
#[cfg(any(feature = "failpoints", debug_assertions))]
pub fn reach(point: &str) -> Result<(), Failed> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("SMPPOST_FAILPOINT").ok()?;
        let (wanted, rest) = text.split_once('=')?;
        let (action, n) = rest.split_once('@').unwrap_or((rest, "1"));
        Some((wanted.to_owned(), action.to_owned(), n.parse().unwrap_or(1)))
    });
    let Some((wanted, action, n)) = wanted else { return Ok(()) };
    if wanted != point {
        return Ok(());
    }
    let reached = REACHED.fetch_add(1, Ordering::Relaxed) + 1;
    match action.as_str() {
        "abort" if reached == *n => std::process::abort(),
        "error" if reached == *n => Err(Failed),
        "delay" if reached.is_multiple_of(*n) && reached <= 20 * *n => {
            std::thread::sleep(std::time::Duration::from_millis(200));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Reaches a point: nothing happens.
#[cfg(not(any(feature = "failpoints", debug_assertions)))]
#[inline(always)]
#[allow(clippy::missing_errors_doc, reason = "there are none")]
pub const fn reach(_point: &str) -> Result<(), Failed> {
    Ok(())
}

/// A number by which such a build is made smaller than life: `SMPPOST_CHECKPOINT_PAGES` (WAL pages after which a commit
/// checkpoints), `SMPPOST_PAGES_MAX` (pages that the journal may have, but for 4 MiB more when its reserve is given up).
#[cfg(any(feature = "failpoints", debug_assertions))]
pub fn number(name: &str) -> Option<i64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A number by which a build for tests is made smaller than life: never.
#[cfg(not(any(feature = "failpoints", debug_assertions)))]
#[inline(always)]
pub const fn number(_name: &str) -> Option<i64> {
    None
}

/// A point was made to fail.
#[derive(Clone, Copy, Debug)]
pub struct Failed;

impl From<Failed> for std::io::Error {
    fn from(_: Failed) -> Self {
        Self::other("made to fail")
    }
}
