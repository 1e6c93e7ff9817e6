//! Opt-out lists, reports and checks.

mod check;
mod counts;
mod small;
mod suppress;
