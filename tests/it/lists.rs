//! Opt-out lists, reports and checks.
