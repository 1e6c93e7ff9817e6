//! What a run looks at while its threads work: what the connections say, the sending hours, whether all is sent.

use super::*;

/// How firmly the way is closed at `now`.
pub(super) fn hold_of(verdict: Verdict, now: Timestamp) -> Hold {
    match verdict {
        Verdict::Open => Hold::No,
        Verdict::Closed(until) if until.duration_since(now) < LONG_HOLD => Hold::Short,
        Verdict::Closed(_) | Verdict::Over => Hold::Long,
    }
}

impl Run {
    /// Waits for a reason to end.
    pub(super) fn watch(
        &mut self,
        settings: &SendSettings,
        interrupt: &Receiver<()>,
        receipts_may_come: bool,
        show: &mut dyn FnMut(&Progress),
    ) -> Ended {
        let look = tick(LOOK);
        let over = settings.listen.and_then(|listen| listen.time).map_or_else(never, after);
        loop {
            select! {
                recv(interrupt) -> _ => {
                    // The connections first: they write nothing more, however busy the journal thread is.
                    self.finish = None;
                    self.tell_journal(ToJournal::StopClaiming);
                    self.words.push("interrupted: waiting for the answers that are outstanding (again to exit at once)".into());
                    if self.service.is_some() {
                        crate::platform::notify::stopping();
                    }
                    return Ended::Interrupted;
                }
                recv(over) -> _ => return Ended::Done,
                recv(self.journal_ended) -> result => {
                    self.journal_result = result.ok();
                    return Ended::Done;
                }
                recv(self.notices) -> notice => {
                    // No connection is left: the journal thread has halted them, or they died, as the end of the run says.
                    let Ok(notice) = notice else {
                        if let Some(why) = self.board.lock().restrained.clone() {
                            return Ended::Stopped(why);
                        }
                        return self.board.lock().halted.clone().map_or(Ended::Done, Ended::Halted);
                    };
                    if let Some(refused) = self.handle(notice) {
                        return Ended::Refused(refused);
                    }
                }
                recv(look) -> _ => {
                    if let Some(reason) = self.given_up(settings.account.timers.give_up_after, settings.never_bound) {
                        return Ended::Refused(reason);
                    }
                    let status = self.show(show);
                    if let Some(why) = status.restrained {
                        return Ended::Stopped(why);
                    }
                    if std::mem::replace(&mut self.condemned, status.condemned) != status.condemned {
                        // All is paused by now, and what resumes it finds the way open.
                        self.pacer.set_hold(Hold::No);
                    }
                    self.look_for_reload(settings);
                    if self.hours_are_over(&status) {
                        self.tell_journal(ToJournal::StopClaiming);
                        return Ended::Interrupted;
                    }
                    if let Some(why) = status.halted {
                        return Ended::Halted(why);
                    }
                    if status.all_sent && settings.listen.is_none() && !settings.serves {
                        let since = *self.sent_at.get_or_insert_with(Instant::now);
                        let news = status.last_news.map_or(since, |news| news.max(since));
                        let waited = news.elapsed() >= settings.wait_receipts;
                        let receipts = status.awaiting_receipts + status.doubts_awaiting_receipts;
                        let is_open = status.late_answers > 0 || receipts > 0 && receipts_may_come;
                        if waited || !is_open {
                            return Ended::Done;
                        }
                    } else {
                        self.sent_at = None;
                    }
                }
            }
        }
    }

    /// Why the run gives up, if for so long no connection was bound, or none that sends where some should. Outside the
    /// sending hours none is wanted.
    pub(super) fn given_up(&mut self, limit: Option<Duration>, never_bound: NeverBound) -> Option<String> {
        let any = !self.can_submit.contains(&Some(true));
        let mut bound = self.bound.iter().zip(&self.can_submit);
        if bound.any(|(bound, can_submit)| *bound && (any || *can_submit == Some(true)))
            || self.pacer.hold() == Hold::Long
        {
            self.unbound.reset();
            return None;
        }
        match self.unbound.verdict(limit, never_bound)? {
            unbound::Verdict::GiveUp(why) => Some(why),
            unbound::Verdict::Say(words) => {
                self.words.push(words);
                None
            }
        }
    }

    /// Opens and closes the way by the clock, and says so. True when it will not open any more.
    pub(super) fn hours_are_over(&mut self, status: &Status) -> bool {
        let hours = &self.hours;
        if !hours.limit() {
            return false;
        }
        let now = Timestamp::now();
        let verdict = hours.at(now);
        // What the SMSC is asked about messages that it has needs a connection, at any hour.
        let hold = hold_of(verdict, now).min(if status.asks { Hold::Short } else { Hold::Long });
        if status.all_sent || status.canary_waits && verdict != Verdict::Over {
            // Receipts are fetched at any hour: connections come about, and nothing is sent.
            self.pacer.set_hold(hold.min(Hold::Short));
            return false;
        }
        self.pacer.set_hold(hold);
        if std::mem::replace(&mut self.verdict, verdict) != verdict {
            match verdict {
                // Where there are no hours it was --start-at that was waited for.
                Verdict::Open if !hours.has_hours() => self.words.push("--start-at has come: sending".into()),
                Verdict::Closed(until) if hours.start_at == Some(until) => {
                    self.words.push(format!("waiting for --start-at until {}", hours.show(until)));
                }
                Verdict::Open => self.words.push("the sending hours have begun: going on".into()),
                Verdict::Closed(until) => {
                    self.words.push(format!("outside the sending hours: waiting until {}", hours.show(until)));
                }
                Verdict::Over => self.words.push("the last moment for sending has come: the rest stays queued".into()),
            }
        }
        verdict == Verdict::Over
    }

    pub(super) fn show(&mut self, show: &mut dyn FnMut(&Progress)) -> Status {
        let status = self.board.lock().clone();
        if std::mem::replace(&mut self.blocked, status.blocked.is_some()) != status.blocked.is_some() {
            self.words.push(match &status.blocked {
                Some(holder) => format!("waiting: another process keeps the journal from being written: {holder}"),
                None => "the journal can be written again: going on".into(),
            });
        }
        if std::mem::replace(&mut self.full, status.full.is_some()) != status.full.is_some() {
            self.words.push(match &status.full {
                Some(why) => format!("{why}; nothing is sent and no receipt is taken until there is room"),
                None => "there is room on the disk again: going on".into(),
            });
        }
        let bound = self.bound.iter().filter(|bound| **bound).count();
        if bound > 0 {
            self.alone_since = Instant::now();
        }
        let waits = Waits {
            unbound_since: (bound == 0).then_some(self.alone_since),
            // Where one is being tried, that is what is waited for.
            next_try: self
                .next_try
                .iter()
                .try_fold(None, |first: Option<Instant>, at| {
                    let at = (*at)?;
                    Some(Some(first.map_or(at, |first| first.min(at))))
                })
                .flatten(),
            closed_until: match self.verdict {
                Verdict::Closed(until) if !status.all_sent => Some(self.hours.show(until)),
                _ => None,
            },
            blocked: status.blocked.is_some(),
        };
        self.tell_service(&status, &waits);
        let found = self.pacer.findings();
        if found != self.found {
            self.words.extend(found.news(&self.found));
            self.found = found;
        }
        if status.restraint != self.decided {
            self.decided.clone_from(&status.restraint);
            self.words.extend(status.restraint.clone());
        }
        if status.waits != self.waits {
            self.waits.clone_from(&status.waits);
            self.words.push(status.waits.clone().unwrap_or_else(|| "no campaign waits for its hours any more".into()));
        }
        if std::mem::replace(&mut self.unfolded, status.unfolded.is_some()) != status.unfolded.is_some() {
            self.words.push(match &status.unfolded {
                Some(words) => words.clone(),
                None => "the journal's -wal file is small again".into(),
            });
        }
        let progress = Progress {
            status,
            bound,
            rate: self.pacer.rate(),
            notices: std::mem::take(&mut self.words),
            waits,
            limit: self.limit,
            held_back: self.held_back,
            hours: self.hours.clone(),
        };
        show(&progress);
        progress.status
    }

    /// Notes what a connection says; returns why the run must end, if it must.
    pub(super) fn handle(&mut self, notice: Notice) -> Option<String> {
        self.unbound.handle(&notice);
        match notice {
            Notice::Trying { .. } => None,
            Notice::Renewed { slot, outcome } => {
                self.note_renewed(slot, outcome);
                None
            }
            Notice::Bound { slot, peer, smsc, warning } => {
                self.bound[slot] = true;
                self.next_try[slot] = None;
                self.warned[slot] = None;
                let name = if smsc.is_empty() { String::new() } else { format!(" ({smsc})") };
                self.words.push(format!("connection {}: bound to {peer}{name}", slot + 1));
                if let Some(warning) = warning {
                    self.words.push(format!("connection {}: warning: {warning}", slot + 1));
                }
                None
            }
            Notice::Lost { slot, reason, retry_in, .. } => {
                self.bound[slot] = false;
                self.next_try[slot] = Some(Instant::now() + retry_in);
                // Said once, not at every try.
                if self.warned[slot].as_deref() != Some(&reason) {
                    let words = format!("connection {}: {reason}", slot + 1);
                    // Outside the sending hours none is made until they begin.
                    self.words.push(match self.pacer.hold() {
                        Hold::Long => words,
                        _ => format!("{words}; next try in {:.1} s", retry_in.as_secs_f64()),
                    });
                    self.warned[slot] = Some(reason);
                }
                None
            }
            Notice::Refused { slot, reason } => {
                self.bound[slot] = false;
                self.note_ended(slot);
                let own = self.can_submit[slot].take();
                let others_send = self.can_submit.contains(&Some(true));
                // A receiver that is refused before the sender is bound ends nothing, as it would not afterwards.
                let goes_on = self.bound.contains(&true) || own == Some(false) && others_send;
                let was_last_sender = own == Some(true) && !others_send;
                if was_last_sender || !goes_on {
                    return Some(reason);
                }
                self.words.push(format!("connection {}: {reason}; going on without it", slot + 1));
                None
            }
            Notice::Finished { slot } => {
                self.bound[slot] = false;
                self.note_ended(slot);
                None
            }
        }
    }
}
