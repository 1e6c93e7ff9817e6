//! A folder whose files are campaigns (`smppost run --watch DIR`): which of them is taken, and when. What decides is pure
//! ([`judge`], [`names`]); [`wake`] only says that it is time to look, so that an event that is missed costs time and nothing else.

pub mod judge;
pub mod names;
pub mod wake;
