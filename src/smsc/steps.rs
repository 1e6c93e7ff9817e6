//! What happens at a time of its own: faults come and go, limits change, connections are cut.
use crate::words::BadValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::behaviour::{Text, with_change};
use super::inbound::Inbound;
use super::settings::parse_duration;
use super::shared::{Alert, OutbindTo, Shared, Which};

/// How often a step that waits for the first bind looks for it.
const LOOK: Duration = Duration::from_millis(5);

with_change! {
    /// A step: when, and what then happens. In a scenario each is a table `[[step]]`; all that a [`Change`](super::Change) has are
    /// keys of it, too.
    pub struct Step {
        /// How long after the start (or the first bind: [`Settings::steps_from_bind`](super::Settings::steps_from_bind)).
        #[serde(deserialize_with = "duration")]
        at: Option<Duration>,
        /// The account that is treated otherwise from then on; none: all of them.
        system_id: Option<String>,
        /// Connections that are cut without an unbind.
        drop: Option<Which>,
        /// Sessions that are sent unbind.
        unbind: Option<Which>,
        /// A message from a handset.
        inbound: Option<Inbound>,
        /// A handset that can be reached again.
        alert: Option<Alert>,
        /// A client that is connected to.
        outbind: Option<OutbindTo>,
        /// All goes back to how it was started.
        reset: bool,
    }
}

pub(super) fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    struct Time(Duration);
    impl std::str::FromStr for Time {
        type Err = BadValue;

        fn from_str(text: &str) -> Result<Self, BadValue> {
            parse_duration(text).map(Time)
        }
    }
    use serde::Deserialize;
    Ok(Some(Text::<Time>::deserialize(deserializer)?.0.0))
}

impl Step {
    /// What is wrong with it: it has no time, or does nothing.
    pub(super) fn check(&self) -> Result<(), BadValue> {
        if self.at.is_none() {
            return Err("a step needs a time: at = \"10s\"".into());
        }
        let nothing = Step { at: self.at, system_id: self.system_id.clone(), ..Step::default() };
        if *self == nothing {
            return Err(
                "a step needs something to do: drop, unbind, inbound, alert, outbind, reset, faults, limits, …".into(),
            );
        }
        match &self.inbound {
            Some(inbound) => inbound.parts(1).map(drop),
            None => Ok(()),
        }
    }

    /// The accounts that it names as such.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        let of_handset = self.inbound.as_ref().and_then(|inbound| inbound.system_id.as_deref());
        self.system_id.as_deref().into_iter().chain(of_handset)
    }

    /// Does it. What cannot be done is logged: the other steps have their time all the same.
    fn run(&self, shared: &Arc<Shared>) {
        if self.reset {
            shared.reset();
        }
        let change = self.change();
        if change != super::Change::default() {
            shared.change(self.system_id.as_deref(), &change);
        }
        if let Some(inbound) = &self.inbound {
            warn("inbound", shared.inbound(inbound).map(drop));
        }
        if let Some(alert) = &self.alert {
            warn("alert", shared.alert(alert).map(drop));
        }
        if let Some(outbind) = &self.outbind {
            warn("outbind", shared.outbind(outbind));
        }
        if let Some(which) = &self.unbind {
            shared.unbind(which);
        }
        if let Some(which) = &self.drop {
            shared.cut(which);
        }
    }
}

fn warn(what: &str, outcome: Result<(), BadValue>) {
    if let Err(reason) = outcome {
        log::warn!("smsc: the step {what}: {reason}");
    }
}

/// Runs the steps in their order, until the last one or the end.
pub(super) fn run(shared: &Arc<Shared>, ends: &Receiver<()>) {
    let is_over = |time| ends.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
    if shared.settings.steps_from_bind {
        while shared.counters.binds.get() == 0 {
            if is_over(LOOK) {
                return;
            }
        }
    }
    let begin = if shared.settings.steps_from_bind { Instant::now() } else { shared.started };
    let mut steps: Vec<_> = shared.settings.steps.iter().collect();
    steps.sort_by_key(|step| step.at);
    for step in steps {
        let due = begin + step.at.unwrap_or_default();
        if is_over(due.saturating_duration_since(Instant::now())) || shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        log::info!("smsc: the step at {:?}", step.at.unwrap_or_default());
        step.run(shared);
    }
}
