//! When and how fast messages go, and when a run stops by itself. Pure: the clock is an argument.

pub mod bucket;
pub mod controller;
pub mod hours;
pub mod last_second;
pub mod pacer;
pub mod restraint;
pub mod shares;
