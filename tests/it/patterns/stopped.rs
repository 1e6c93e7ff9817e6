//! SIGTERM in the middle of each pattern: nothing new leaves after two seconds, and the run ends soon.

use super::scene::{Pattern, begin};
use std::time::{Duration, Instant};

/// Nothing new leaves later than this after the signal.
const QUIET_AFTER: Duration = Duration::from_secs(2);
/// A run ends within its response timeout and two seconds; a busy machine gets as long again.
const END_AFTER: Duration = Duration::from_secs(2 * (5 + 2));

fn check(pattern: Pattern) {
    let size = if pattern == Pattern::Outstanding { 3_000 } else { 20_000 };
    let mut scene = begin(pattern, size);
    let until = Instant::now() + Duration::from_secs(60);
    while scene.submits() < 300 {
        assert!(Instant::now() < until && scene.running.is_running(), "{pattern:?}: {}", scene.running.stderr());
        std::thread::sleep(Duration::from_millis(2));
    }
    scene.running.signal("TERM");
    let signalled = Instant::now();
    std::thread::sleep(QUIET_AFTER);
    let soon = scene.submits();
    while scene.running.is_running() {
        assert!(signalled.elapsed() < END_AFTER, "{pattern:?} goes on: {}", scene.running.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{pattern:?}: ended {:?} after the signal", signalled.elapsed());
    assert_eq!(scene.submits(), soon, "{pattern:?}: something new left later than two seconds after the signal");
    scene.smppost.run(&["verify"]).assert_code(0);
    let ended = scene.running.wait();
    // What had all been sent by then is finished, or waited for its receipts.
    assert!(matches!(ended.code, Some(130 | 0 | 3)), "{pattern:?}: {}", ended.said());
    if soon < size / 2 {
        ended.assert_code(130);
    }
}

each_pattern!(check);
