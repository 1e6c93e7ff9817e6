//! The program broken on purpose, so that the tests of its promise can be seen to bite. Builds for tests
//! (with debug assertions) can, or those with the feature `broken`; a release has nothing of it; there the variable `SMPPOST_BROKEN` names what is broken. See `tests/bite.sh`.

/// Whether `what` is broken in this run.
#[cfg(any(feature = "broken", debug_assertions))]
pub fn is(what: &str) -> bool {
    static BROKEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    BROKEN.get_or_init(|| std::env::var("SMPPOST_BROKEN").ok()).as_deref() == Some(what)
}

/// Whether `what` is broken: never.
#[cfg(not(any(feature = "broken", debug_assertions)))]
#[inline(always)]
pub const fn is(_what: &str) -> bool {
    false
}
