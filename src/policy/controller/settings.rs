//! The numbers of the controller: shares, seconds and counts, tried against the limiters of the simulation and of docs/rate.md.

/// A cut goes to this share of what was accepted.
pub(super) const MARGIN: f64 = 0.985;
/// Nothing is made slower than this, in PDUs a second, unless less was asked for.
pub(super) const RATE_MIN: f64 = 1.0;
/// What a connection may have outstanding once ten times as much was accepted and nothing refused: the default window. A smaller
/// one would hold up those who asked for no more.
pub(super) const RAMP_LEAST: u64 = 10;
/// A window beyond which nothing is answered is tried for so long, and so many have to be accepted within it, before it is known.
pub(super) const SILENCE_TRIED_S: f64 = 1.0;
pub(super) const SILENCE_ACCEPTED: u64 = 10;
/// The first test of a cut takes this long at least.
pub(super) const TEST_S: f64 = 1.05;
/// And this long at most.
pub(super) const TEST_MAX_S: f64 = 12.0;
/// That a share has not fallen is not said of fewer.
pub(super) const TESTED_MIN: f64 = 20.0;
pub(super) const TEST_LITTLE_S: f64 = 6.0;
/// What is refused is looked at over the last seconds, and a little that lasts over longer.
pub(super) const LATELY_S: f64 = 2.0;
pub(super) const LONG_S: f64 = 12.0;
/// A probe lasts so long.
pub(super) const PROBE_S: f64 = 0.7;
pub(super) const PROBE_LOW_S: f64 = 1.2;
/// The pause before the first probe, what it grows by, and how long it gets.
pub(super) const PAUSE_S: f64 = 12.0;
/// The same where answers are slow: what was sent before the first refusal was known had much to do with what was found.
pub(super) const PAUSE_SLOW_S: f64 = 6.0;
pub(super) const SLOW_S: f64 = 0.15;
/// The same where the limit is not one on what a second holds.
pub(super) const PAUSE_SHORT_S: f64 = 5.0;
pub(super) const PAUSE_GROWS: f64 = 1.4;
pub(super) const PAUSE_MAX_S: f64 = 45.0;
/// A limit that is found again, within this share of it: the pause grows by more.
pub(super) const SAME: f64 = 0.1;
pub(super) const PAUSE_GROWS_SAME: f64 = 2.0;
/// The same where a limit that was known has fallen: it may rise again as well.
pub(super) const PAUSE_MOVED_S: f64 = 2.5;
/// Between what is accepted and what is not there is nothing worth a search once they are so close.
pub(super) const SEARCHED: f64 = 1.15;
/// The same where the limit is not one on what a second holds.
pub(super) const SEARCHED_SHORT: f64 = 1.04;
/// So long it is believed that what lies above a rate that was refused is refused.
pub(super) const SEARCH_S: f64 = 8.0;
/// When nothing is answered for so long, what may be outstanding doubles so often.
pub(super) const STALL_S: f64 = 1.0;
pub(super) const STALL_DOUBLES_S: f64 = 0.15;
/// The first step of a probe, as a share; where nothing is known of what lies above, and how soon.
pub(super) const STEP: f64 = 0.06;
pub(super) const CLIMB: f64 = 0.5;
pub(super) const CLIMB_S: f64 = 1.0;
/// What a probe found is sure after so long.
pub(super) const UNSURE_S: f64 = 4.0;
/// An echo follows so many seconds after a look.
pub(super) const ECHO_S: f64 = 0.1;
/// After a window that was tried in vain, none is for so long.
pub(super) const NO_WINDOW_S: f64 = 60.0;
/// A share refused that is smaller than this may be chance.
pub(super) const DOUBTFUL: f64 = 0.12;
pub(super) const LITTLE: f64 = 0.06;
pub(super) const AGAIN_MAX: u32 = 1;
/// One that is larger and falls with the rate tells that its status means throttling.
pub(super) const CLEAR: f64 = 0.25;
/// A limit that is so far below what was accepted a second before is tried again soon.
pub(super) const FAR_BELOW: f64 = 0.5;
pub(super) const AGAIN_S: f64 = 1.5;
/// After a penalty box, and after a connection that was lost for the rate.
pub(super) const PAUSE_BOX_S: f64 = 180.0;
pub(super) const PAUSE_DROP_S: f64 = 600.0;
/// So many refused in a row after a cut, and none accepted: a penalty box.
pub(super) const NONE_ACCEPTED: u32 = 6;
pub(super) const NONE_ACCEPTED_S: f64 = 0.4;
/// The logarithm of how likely it may be that chance refuses so many in a row.
pub(super) const UNLIKELY: f64 = -9.0;
/// One that was sent while held counts as lost after so many seconds.
pub(super) const SINGLE_LOST_S: f64 = 15.0;
/// Refusals of a code that are not its messages' fault while nothing is accepted.
pub(super) const HELD_EXCUSED: usize = 9;
/// The share that is refused whatever the rate is that of so many messages.
pub(super) const BACKGROUND_MAX: f64 = 4_000.0;
/// Statuses that are told apart.
pub(super) const CODES_MAX: usize = 8;
/// A second that held less than this share of the rate was not full.
pub(super) const FULL: f64 = 0.75;
/// From this share on all that was sent since the first refusal was refused.
pub(super) const RUN: f64 = 0.7;
/// What is refused whatever the rate is looked at again after so many seconds, and then ever later: a little slower for a while.
pub(super) const RECHECK_S: f64 = 8.0;
pub(super) const RECHECK_GROWS: f64 = 5.0;
pub(super) const RECHECK_RATE: f64 = 0.9;
/// A smaller share than this is not worth it.
pub(super) const RECHECK_SHARE: f64 = 0.03;
/// A cut that is such a look is the only one.
pub(super) const ONLY: u32 = 9;
/// So little refused at a limit that was found is answered by going a little slower, so often before it has another reason.
pub(super) const TRIMMED_SHARE: f64 = 0.07;
pub(super) const TRIMS_MAX: u32 = 3;
pub(super) const TRIM_LEAST: f64 = 0.008;
pub(super) const TRIM_MOST: f64 = 0.07;
/// A ramp adds so many a second, for so long, whatever is answered.
pub(super) const FIRST_RATE: f64 = 20.0;
pub(super) const FIRST_S: f64 = 1.0;
/// A window that was found is looked at again after so many seconds, and then ever later: so much faster than what was accepted in
/// it lately.
pub(super) const WIDEN_S: f64 = 3.0;
pub(super) const WIDEN_GROWS: f64 = 5.0;
pub(super) const WIDEN_OVER_S: f64 = 2.0;
pub(super) const WIDENED: f64 = 1.4;
/// A ramp is so much steeper once some is known to be refused whatever the rate.
pub(super) const RAMP_KNOWN: f64 = 8.0;
/// Where credit was taken for a limit, the rate is this share of what it was at least.
pub(super) const CREDIT: f64 = 0.8;
