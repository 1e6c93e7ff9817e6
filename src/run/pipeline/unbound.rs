//! How long a run goes without a bound session, and what comes of that.

use crate::client::Notice;
use crate::wire::CommandStatus;
use std::time::{Duration, Instant};

/// A run of which no session was ever bound is likely to be wrong in its settings after so long.
const FIRST_BIND: Duration = Duration::from_secs(120);
/// ESME_RALYBND: a session that a crash left behind, which the SMSC forgets after a while.
const ALREADY_BOUND: CommandStatus = CommandStatus(0x05);
/// ESME_RBINDFAIL: what some SMSCs say instead.
const BIND_FAILED: CommandStatus = CommandStatus(0x0D);

/// What a run does that had no session bound for two minutes from its start on, unless it is told when to give up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NeverBound {
    /// It ends: somebody looks on, who can put it right.
    End,
    /// It says so, and goes on.
    Say,
    /// It goes on: waiting is what it is for.
    Wait,
}

/// What is to be done about a run that is not bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It gives up, and why.
    GiveUp(String),
    /// It goes on, and says this.
    Say(String),
}

/// Since when nothing is bound, and why.
#[derive(Debug)]
pub struct Unbound {
    since: Instant,
    ever_bound: bool,
    /// Why the last try failed.
    lost: Option<String>,
    /// By which status it did.
    refused: Option<CommandStatus>,
    /// What each connection waits for that is not bound yet.
    trying: Vec<Option<String>>,
    said: bool,
    /// The run before crashed: its sessions may be bound still, as the SMSC sees it.
    after_crash: bool,
}

impl Unbound {
    /// From now on, of so many connections.
    pub fn new(connections: usize, after_crash: bool) -> Self {
        let (since, trying) = (Instant::now(), vec![None; connections]);
        Self { since, ever_bound: false, lost: None, refused: None, trying, said: false, after_crash }
    }

    /// Takes note of what a connection says.
    pub fn handle(&mut self, notice: &Notice) {
        match notice {
            Notice::Bound { slot, .. } => {
                (self.ever_bound, self.lost, self.refused, self.trying[*slot]) = (true, None, None, None);
            }
            Notice::Trying { slot, what } => self.trying[*slot] = Some(what.clone()),
            Notice::Lost { slot, reason, refused, .. } => {
                (self.lost, self.refused, self.trying[*slot]) = (Some(reason.clone()), *refused, None);
            }
            Notice::Refused { slot, .. } | Notice::Finished { slot } => self.trying[*slot] = None,
            Notice::Renewed { .. } => {}
        }
    }

    /// Something that counts is bound, or nothing is to be bound now.
    pub fn reset(&mut self) {
        self.since = Instant::now();
    }

    /// What is to be done, as nothing is bound. `limit`: when to give up, if that was said.
    pub fn verdict(&mut self, limit: Option<Duration>, never_bound: NeverBound) -> Option<Verdict> {
        self.verdict_after(limit, FIRST_BIND, never_bound)
    }

    fn verdict_after(&mut self, limit: Option<Duration>, first: Duration, never_bound: NeverBound) -> Option<Verdict> {
        let unbound = self.since.elapsed();
        if let Some(limit) = limit {
            let words = || format!("given up, as nothing was bound for {}: {}", seconds(limit), self.reason());
            return (unbound >= limit).then(words).map(Verdict::GiveUp);
        }
        // The SMSC has not noticed yet that a session is gone: it will.
        let is_rival = self.refused == Some(ALREADY_BOUND) || self.refused == Some(BIND_FAILED) && self.after_crash;
        if self.ever_bound || self.said || is_rival || unbound < first {
            return None;
        }
        let words = |what: &str| format!("nothing could be bound for {}{what}: {}", seconds(first), self.reason());
        let verdict = match never_bound {
            NeverBound::Wait => return None,
            NeverBound::End => Verdict::GiveUp(words("")),
            NeverBound::Say => Verdict::Say(words(", going on with trying")),
        };
        self.said = true;
        Some(verdict)
    }

    /// Why nothing is bound, as far as is known.
    fn reason(&self) -> String {
        match (&self.lost, self.trying.iter().flatten().next()) {
            (Some(reason), _) => reason.clone(),
            (None, Some(trying)) => trying.clone(),
            (None, None) => "no connection came about yet".into(),
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{} s", time.as_secs_f64()),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(3_600);

    fn lost(reason: &str, refused: Option<u32>) -> Notice {
        let refused = refused.map(CommandStatus);
        Notice::Lost { slot: 0, reason: reason.into(), refused, retry_in: Duration::ZERO }
    }

    fn bound() -> Notice {
        Notice::Bound { slot: 0, peer: String::new(), smsc: String::new(), warning: None }
    }

    #[test]
    fn a_run_that_never_bound_ends_or_says_so_once() {
        let mut run = Unbound::new(2, false);
        assert_eq!(run.verdict_after(None, LATER, NeverBound::End), None);
        run.handle(&Notice::Trying { slot: 1, what: "connecting to a".into() });
        let words = |what: &str, why: &str| format!("nothing could be bound for 0 s{what}: {why}");
        assert_eq!(
            run.verdict_after(None, NOW, NeverBound::Say),
            Some(Verdict::Say(words(", going on with trying", "connecting to a")))
        );
        run.handle(&lost("a refuses", None));
        assert_eq!(run.verdict_after(None, NOW, NeverBound::Say), None, "said already");
        let mut run = Unbound::new(1, false);
        run.handle(&lost("a refuses", None));
        assert_eq!(run.verdict_after(None, NOW, NeverBound::Wait), None);
        assert_eq!(run.verdict_after(None, NOW, NeverBound::End), Some(Verdict::GiveUp(words("", "a refuses"))));
    }

    #[test]
    fn where_waiting_is_right_it_waits() {
        for (refused, after_crash, waits) in [
            (Some(0x05), false, true),
            (Some(0x05), true, true),
            (Some(0x0D), true, true),
            (Some(0x0D), false, false),
            (Some(0x08), true, false),
            (None, true, false),
        ] {
            let mut run = Unbound::new(1, after_crash);
            run.handle(&lost("refused", refused));
            assert_eq!(run.verdict_after(None, NOW, NeverBound::End).is_none(), waits, "{refused:?}");
        }
        let mut run = Unbound::new(1, false);
        run.handle(&bound());
        run.handle(&lost("cut", None));
        assert_eq!(run.verdict_after(None, NOW, NeverBound::End), None, "it was bound before");
    }

    #[test]
    fn what_was_said_of_giving_up_counts_alone() {
        let mut run = Unbound::new(1, false);
        assert_eq!(run.verdict_after(Some(LATER), NOW, NeverBound::End), None);
        let words = |why: &str| Some(Verdict::GiveUp(format!("given up, as nothing was bound for 0 s: {why}")));
        assert_eq!(run.verdict_after(Some(NOW), LATER, NeverBound::End), words("no connection came about yet"));
        run.handle(&bound());
        run.handle(&lost("cut", Some(0x05)));
        assert_eq!(run.verdict_after(Some(NOW), LATER, NeverBound::Wait), words("cut"));
        run.since -= Duration::from_secs(600);
        run.reset();
        assert_eq!(run.verdict_after(Some(Duration::from_secs(300)), LATER, NeverBound::Wait), None);
    }
}
