//! The life of a connection: bind, send until it is to end, reconnect.

use super::*;

/// The life of connection number `slot`: binds, sends until it is told to finish, and comes back when it is cut off. `orders` tell
/// it of other settings.
pub fn run(slot: usize, shared: &Shared, orders: Receiver<Order>) {
    let mut shared = shared.clone();
    let mut renewing = Renewing::new(orders);
    if live(slot, &mut shared, &mut renewing) {
        let _ = shared.notices.send(Notice::Finished { slot });
    }
    renewing.end();
}

/// Returns whether it ended as it was told to.
fn live(slot: usize, shared: &mut Shared, renewing: &mut Renewing) -> bool {
    let mut backoff = Backoff::default();
    loop {
        let next = renewing.between(slot, shared);
        // Outside the sending hours nobody needs a connection.
        while next.is_none() && shared.pacer.hold() == Hold::Long {
            if !matches!(shared.finish.recv_timeout(HOLD_LOOK), Err(RecvTimeoutError::Timeout)) {
                return true;
            }
        }
        let mut refused = None;
        let stop = || matches!(shared.finish.try_recv(), Err(TryRecvError::Disconnected));
        let tell = |what: String| drop(shared.notices.try_send(Notice::Trying { slot, what }));
        let kind = shared.account.bind.kind(slot);
        let bound = next.map_or_else(|| bind(&shared.account.to_bind(slot), kind, &stop, &tell), Ok);
        let reason = match bound {
            Ok(bound) => {
                if let Some(reason) = lacks_tlvs(slot, shared, &bound) {
                    bound.leave();
                    let _ = shared.notices.send(Notice::Refused { slot, reason });
                    return false;
                }
                renewing.proved(slot, shared);
                let warning = shared.account.for_kind(kind).danger();
                let notice = Notice::Bound { slot, peer: bound.peer.clone(), smsc: bound.smsc.clone(), warning };
                if shared.notices.send(notice).is_err() {
                    return false;
                }
                match Session::open(slot, shared, bound) {
                    Ok(session) => {
                        let bound_at = Instant::now();
                        let (end, accepted) = session.run(renewing);
                        // One that only receives, or has nothing to send, has proved itself by lasting.
                        if accepted || bound_at.elapsed() >= Backoff::LONGEST {
                            backoff.reset();
                        }
                        match end {
                            Ended::Finished => return true,
                            Ended::JournalGone => return false,
                            Ended::Lost(_) if renewing.is_bound() => continue,
                            Ended::Lost(reason) if renewing.is_waiting() => {
                                let retry_in = Duration::ZERO;
                                let _ = shared.notices.send(Notice::Lost { slot, reason, refused: None, retry_in });
                                continue;
                            }
                            Ended::Lost(reason) => reason,
                        }
                    }
                    Err(end) => end.to_string(),
                }
            }
            Err(BindError::Stopped) => return true,
            Err(error) if renewing.failed(slot, shared, &error) => continue,
            Err(error) if error.is_final() => {
                let _ = shared.notices.send(Notice::Refused { slot, reason: error.to_string() });
                return false;
            }
            Err(error) => {
                refused = error.refusal();
                error.to_string()
            }
        };
        let retry_in = backoff.next(fastrand::f64());
        if shared.notices.send(Notice::Lost { slot, reason, refused, retry_in }).is_err() {
            return false;
        }
        // Either the time passes, or the program ends.
        if !renewing.pause(retry_in, shared) {
            return true;
        }
    }
}

/// Why nothing may be sent on a session: what is to go needs optional parameters, and the SMSC does not announce them.
fn lacks_tlvs(slot: usize, shared: &Shared, bound: &Bound) -> Option<String> {
    if !shared.account.bind.kind(slot).can_submit() || shared.account.tlvs.with(bound.sc_interface_version) {
        return None;
    }
    let needs = shared.needs_tlvs.as_ref().as_ref()?;
    Some(format!(
        "{needs} optional parameters, which the SMSC does not announce: if the provider says that it \
         takes them all the same, use --tlvs yes; nothing was sent"
    ))
}

/// Says how often in a row that has happened.
pub(super) fn with_streak(ended: Ended, fruitless: u32) -> Ended {
    match ended {
        Ended::Lost(reason) if fruitless >= WORTH_A_WORD => Ended::Lost(format!(
            "{reason}; {fruitless} sessions in a row ended without one answer: messages are tried one at a time, and seldom"
        )),
        ended => ended,
    }
}
