//! What a run that serves tells its journal thread of itself, so that `status` can say it, and what it is told to show.

use super::{Run, SendSettings, Waits};
use crate::journal::model::command::Standing;
use crate::journal::model::key::State;
use crate::journal::now_ms;
use crate::journal::writer::Status;
use crate::journal::writer::service::{Facts, ServiceBoard};
use crate::policy::pacer::Rate;
use crate::words::format::count;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// systemd is told at most so often how it stands.
const SYSTEMD_TOLD_EACH: Duration = Duration::from_secs(1);

/// Where the two tell each other.
pub(super) fn board(settings: &SendSettings) -> ServiceBoard {
    let standing = Standing {
        since: now_ms(),
        process: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        connections: settings.connections,
        ..Standing::default()
    };
    Arc::new(Mutex::new(Facts { standing, ..Facts::default() }))
}

impl Run {
    /// Says how the connections stand, and takes up what the journal thread has to say.
    pub(super) fn tell_service(&mut self, status: &Status, waits: &Waits) {
        let Some(board) = &self.service else { return };
        let bound = self.bound.iter().filter(|bound| **bound).count();
        let unbound = self.bound.iter().zip(&self.warned).zip(1..).filter(|((bound, _), _)| !**bound);
        let unbound: Vec<String> = unbound
            .map(|((_, why), slot)| format!("connection {slot}: {}", why.as_deref().unwrap_or("connecting")))
            .collect();
        let mut board = board.lock();
        let standing = &mut board.standing;
        standing.bound = bound;
        standing.unbound = unbound;
        standing.rate = match self.pacer.rate() {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Unlimited => None,
        };
        standing.waits = waits.closed_until.as_ref().map(|until| format!("outside the sending hours until {until}"));
        standing.trouble = None;
        if waits.blocked {
            standing.trouble = Some("another process keeps the journal from being written".into());
            standing.waits = Some("another process keeps the journal from being written".into());
        }
        if let Some(why) = &status.full {
            standing.trouble = Some(why.clone());
            standing.waits = Some(why.clone());
        }
        let waits = standing.waits.as_ref().map_or_else(String::new, |why| format!("; {why}"));
        self.words.append(&mut board.words);
        let unsent = [State::Queued, State::Sending].map(|state| status.counts[state as usize]).iter().sum::<i64>();
        drop(board);
        if self.told_systemd.1.is_some_and(|told| told.elapsed() < SYSTEMD_TOLD_EACH) {
            return;
        }
        let words = format!(
            "{bound} of {} bound, {} to send{waits}",
            count(self.bound.len() as i64, "connection"),
            count(unsent, "message"),
        );
        if self.told_systemd.0 != words {
            crate::platform::notify::status(&words);
            self.told_systemd = (words, Some(Instant::now()));
        }
    }
}
