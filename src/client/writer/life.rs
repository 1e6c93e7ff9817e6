//! The life of a connection: bind, send until it is to end, reconnect.

use super::*;

/// The life of connection number `slot`: binds, sends until it is told to finish, and comes back when it is cut off.
pub fn run(slot: usize, shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        // Outside the sending hours nobody needs a connection.
        while shared.pacer.hold() == Hold::Long {
            if !matches!(shared.finish.recv_timeout(HOLD_LOOK), Err(RecvTimeoutError::Timeout)) {
                let _ = shared.notices.send(Notice::Finished { slot });
                return;
            }
        }
        let mut refused = None;
        let stop = || matches!(shared.finish.try_recv(), Err(TryRecvError::Disconnected));
        let tell = |what: String| drop(shared.notices.try_send(Notice::Trying { slot, what }));
        let reason = match bind(&shared.account.for_slot(slot), shared.account.bind.kind(slot), &stop, &tell) {
            Ok(bound) => {
                if let Some(reason) = lacks_tlvs(slot, shared, &bound) {
                    bound.leave();
                    let _ = shared.notices.send(Notice::Refused { slot, reason });
                    return;
                }
                let warning = shared.account.for_kind(shared.account.bind.kind(slot)).danger();
                let notice = Notice::Bound { slot, peer: bound.peer.clone(), smsc: bound.smsc.clone(), warning };
                if shared.notices.send(notice).is_err() {
                    return;
                }
                match Session::open(slot, shared, bound) {
                    Ok(session) => {
                        let bound_at = Instant::now();
                        let (end, accepted) = session.run();
                        // One that only receives, or has nothing to send, has proved itself by lasting.
                        if accepted || bound_at.elapsed() >= Backoff::LONGEST {
                            backoff.reset();
                        }
                        match end {
                            Ended::Finished => break,
                            Ended::JournalGone => return,
                            Ended::Lost(reason) => reason,
                        }
                    }
                    Err(end) => end.to_string(),
                }
            }
            Err(error) if error.is_final() => {
                let _ = shared.notices.send(Notice::Refused { slot, reason: error.to_string() });
                return;
            }
            Err(BindError::Stopped) => break,
            Err(error) => {
                refused = error.refusal();
                error.to_string()
            }
        };
        let retry_in = backoff.next(fastrand::f64());
        if shared.notices.send(Notice::Lost { slot, reason, refused, retry_in }).is_err() {
            return;
        }
        // Either the time passes, or the program ends.
        if !matches!(shared.finish.recv_timeout(retry_in), Err(RecvTimeoutError::Timeout)) {
            break;
        }
    }
    let _ = shared.notices.send(Notice::Finished { slot });
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
