//! Opt-out lists, reports and checks.

mod suppress;
