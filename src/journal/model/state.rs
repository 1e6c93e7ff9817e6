//! The one rule by which a message's state follows from its facts. Pure: no SQL, no clock.
//!
//! Facts are appended: claims, answers, verdicts, receipts. How one part moves by them:
//!
//! | from | fact | to |
//! |---|---|---|
//! | unsent, to retry, to resend, to send again | claim | underway |
//! | underway, in doubt | answer: taken | accepted |
//! | underway, in doubt | answer: refused for now, throttled | to retry |
//! | underway, in doubt | answer: refused for good | rejected |
//! | underway | verdict *in doubt* (no answer in time, session lost, crash) | in doubt |
//! | underway | verdict *not written* (the write mark is below it, a cancel, a session that closes) | to retry |
//! | in doubt | verdict *resend* (the policy, or the operator) | to resend |
//! | in doubt | verdict *assume sent* | accepted |
//! | in doubt | verdict *abandon* | abandoned |
//! | underway, in doubt, to resend, accepted | receipt: delivered | delivered |
//! | underway, in doubt, to resend, accepted | receipt: another final state | failed |
//! | underway, in doubt, to resend | receipt: not final | accepted |
//! | failed | receipt: delivered | delivered |
//! | rejected | verdict *retry rejected* | to retry |
//! | failed | verdict *retry rejected* | to send again |
//!
//! Whatever a later try of a part comes to, an earlier one in doubt is not forgotten: where it was never settled, "to retry" is
//! in doubt, and "rejected" is rejected in doubt. And what was taken once is taken.

use super::key::{Outcome, State, Verdict};

/// What is known of one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AttemptFacts {
    /// The SMSC's answer.
    pub answer: Option<Outcome>,
    /// The newest verdict.
    pub verdict: Option<Verdict>,
    /// Whether a final receipt says that it was delivered (`true`) or that it was not (`false`). Where several
    /// contradict each other, delivered wins, whatever their order.
    pub receipt: Option<bool>,
    /// Whether any receipt came, final or not: the SMSC has it.
    pub noticed: bool,
    /// Whether the SMSC gave its id to another part of the message, too: what it says of one it says of all of them.
    pub shares_id: bool,
}

impl AttemptFacts {
    /// Whether the SMSC is known to have taken it.
    fn is_known_taken(&self) -> bool {
        match self.answer {
            Some(outcome) => outcome == Outcome::Accepted,
            None => self.noticed,
        }
    }

    /// Whether it was taken and came back, and the operator had its part sent again for that.
    fn is_sent_again(&self) -> bool {
        self.is_known_taken() && self.receipt == Some(false) && self.verdict == Some(Verdict::RetryRejected)
    }

    /// Whether it may have left, nobody can know what became of it, and nobody has settled that: also where it was to be
    /// sent again.
    fn is_doubt(&self) -> bool {
        let doubted = matches!(self.verdict, Some(Verdict::InDoubt | Verdict::Resend));
        self.answer.is_none() && !self.noticed && doubted
    }
}

/// How one part stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Unsent,
    Underway,
    ToRetry,
    /// As `ToRetry`, after a try that is in doubt.
    ToResend,
    /// As `ToRetry`, after a try that was taken and came back.
    ToSendAgain,
    InDoubt,
    Accepted,
    Delivered,
    Failed,
    Rejected,
    /// As `Rejected`, after a try that is in doubt.
    RejectedInDoubt,
    Abandoned,
}

impl Part {
    const COUNT: usize = Part::Abandoned as usize + 1;
}

/// The state of a message from the attempts of each of its parts, in order. `cancelled`: what was not sent shall not be.
///
/// In this order: any part in doubt, or that was and is not sent again after all: in doubt. Any part on its way, or to be
/// sent while others went: sending. Any part taken without a final receipt: accepted, if one was asked for, or if no part
/// came to a bad end. All delivered: delivered; some: partly delivered; none, though some were taken or given up: failed;
/// none taken: rejected. A rejected or abandoned part keeps the unsent rest from being sent.
///
/// A part that its receipt says was not delivered decides at once: whatever is still to come of the others, the message
/// did not arrive whole, and many SMSCs say no more of it.
///
/// Where the SMSC sends a receipt for one part only, it stands for all parts that were taken; so does one that names the id
/// that the SMSC gave to several parts.
pub fn message_state<'a>(parts: impl Iterator<Item = &'a [AttemptFacts]>, cancelled: bool, awaited: Awaited) -> State {
    let mut count = [0usize; Part::COUNT];
    let mut total = 0;
    let mut speaker = None;
    let (mut shared, mut shared_end) = (0, None);
    for (n, attempts) in parts.enumerate() {
        let state = part_state(attempts);
        count[state as usize] += 1;
        total += 1;
        if attempts.iter().any(|attempt| attempt.shares_id) {
            match state {
                Part::Accepted => shared += 1,
                Part::Delivered | Part::Failed => shared_end = Some(state),
                _ => {}
            }
        }
        match awaited.parts {
            ReceiptsFor::All => {}
            ReceiptsFor::First if n > 0 => {}
            ReceiptsFor::First | ReceiptsFor::Last => speaker = Some(state),
        }
    }
    if let Some(state) = shared_end {
        count[state as usize] += shared;
        count[Part::Accepted as usize] -= shared;
    }
    if let Some(state @ (Part::Delivered | Part::Failed)) = speaker {
        count[state as usize] += std::mem::take(&mut count[Part::Accepted as usize]);
    }
    let number = |part: Part| count[part as usize];
    let rejected = number(Part::Rejected) + number(Part::RejectedInDoubt);
    let is_over = cancelled || rejected + number(Part::Abandoned) > 0;
    let again = number(Part::ToSendAgain);
    let waiting = number(Part::Unsent) + number(Part::ToRetry) + number(Part::ToResend) + again;
    let to_send = if is_over { 0 } else { waiting };
    // A doubt that was to be sent again, and never will be, is still one.
    let resends_given_up = if is_over { number(Part::ToResend) } else { 0 };
    let taken = number(Part::Accepted) + number(Part::Delivered) + number(Part::Failed);
    // No receipt will come for what went out: that the rest never did is then the last word.
    let is_outstanding = awaited.of_success || number(Part::Accepted) + number(Part::Delivered) == total;
    if number(Part::InDoubt) + number(Part::RejectedInDoubt) + resends_given_up > 0 {
        State::InDoubt
    } else if number(Part::Underway) > 0 {
        State::Sending
    } else if waiting == total {
        match (cancelled, again) {
            (false, _) => State::Queued,
            (true, 0) => State::Cancelled,
            // It went out, and came back; that it was to go once more changes nothing of that.
            (true, _) => State::Failed,
        }
    } else if to_send > 0 {
        State::Sending
    } else if number(Part::Accepted) > 0 && is_outstanding && number(Part::Failed) == 0 {
        State::Accepted
    } else if number(Part::Delivered) == total {
        State::Delivered
    } else if number(Part::Delivered) > 0 {
        State::PartlyDelivered
    } else if taken + again + number(Part::Abandoned) > 0 {
        State::Failed
    } else {
        State::Rejected
    }
}

/// Which receipts a campaign waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Awaited {
    /// Whether the SMSC was asked to tell of success, too.
    pub of_success: bool,
    /// For which parts of a long message they come.
    pub parts: ReceiptsFor,
}

/// For which parts of a long message the SMSC sends receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptsFor {
    /// For each.
    #[default]
    All,
    /// For the first only.
    First,
    /// For the last only.
    Last,
}

/// Whether a message may have arrived twice: of more than one try of a part it is known, or cannot be known, that it was
/// taken; or one was that the operator had given up.
pub fn is_possible_duplicate<'a>(mut parts: impl Iterator<Item = &'a [AttemptFacts]>) -> bool {
    parts.any(|attempts| {
        let may_be_taken = |attempt: &&AttemptFacts| {
            // Its receipt says that nobody has it.
            if attempt.is_sent_again() {
                return false;
            }
            let settled = matches!(attempt.verdict, Some(Verdict::AssumeSent | Verdict::Abandon));
            attempt.is_known_taken() || attempt.is_doubt() || attempt.answer.is_none() && settled
        };
        let came_back = |attempt: &AttemptFacts| attempt.is_known_taken() && attempt.verdict == Some(Verdict::Abandon);
        attempts.iter().any(came_back) || attempts.iter().filter(may_be_taken).nth(1).is_some()
    })
}

/// Whether some parts were taken and others were not: of a message of which nothing more is sent, that it went out only in
/// part.
pub fn is_in_part(parts: &[Vec<AttemptFacts>]) -> bool {
    let is_taken =
        |attempts: &Vec<AttemptFacts>| matches!(part_state(attempts), Part::Accepted | Part::Delivered | Part::Failed);
    parts.iter().any(is_taken) && !parts.iter().all(is_taken)
}

/// Whether the parts that were never sent, or are to be tried again, may still go.
pub fn may_go_on(parts: &[Vec<AttemptFacts>]) -> bool {
    let ended = |state| matches!(state, Part::Rejected | Part::RejectedInDoubt | Part::Abandoned);
    !parts.iter().any(|attempts| ended(part_state(attempts)))
}

/// Whether sending again what is in doubt leads to anything: no other part was refused for good or given up.
pub fn may_be_resent(parts: &[Vec<AttemptFacts>]) -> bool {
    !parts.iter().any(|attempts| matches!(part_state(attempts), Part::Rejected | Part::Abandoned))
}

/// Whether the part is to be sent: never tried, not written, or to be tried again.
pub fn is_to_send(attempts: &[AttemptFacts]) -> bool {
    matches!(part_state(attempts), Part::Unsent | Part::ToRetry | Part::ToResend | Part::ToSendAgain)
}

/// Whether part `n` is all, or some of all, that a message lacks: no try of it can have been taken, while other parts were, or may
/// have been.
pub fn completes(parts: &[Vec<AttemptFacts>], n: usize) -> bool {
    let never_arrived = |attempts: &Vec<AttemptFacts>| matches!(part_state(attempts), Part::Unsent | Part::ToRetry);
    let may_have_arrived =
        |attempts: &Vec<AttemptFacts>| !matches!(part_state(attempts), Part::Unsent | Part::ToRetry | Part::Rejected);
    parts.get(n).is_some_and(never_arrived) && parts.iter().any(may_have_arrived)
}

/// Whether nothing of the message is on its way or known to have been taken, and nothing was refused for good.
pub fn is_not_begun(parts: &[Vec<AttemptFacts>]) -> bool {
    parts.iter().all(|attempts| is_to_send(attempts) || part_state(attempts) == Part::InDoubt)
}

/// Whether the part is in doubt, and not to be sent again.
pub fn is_in_doubt(attempts: &[AttemptFacts]) -> bool {
    matches!(part_state(attempts), Part::InDoubt | Part::RejectedInDoubt)
}

/// Whether the part is in doubt, or was and is to be sent again.
pub fn leaves_doubt(attempts: &[AttemptFacts]) -> bool {
    is_in_doubt(attempts) || part_state(attempts) == Part::ToResend
}

/// The tries of a part that are in doubt, those that were to be followed by another included.
pub fn doubts(attempts: &[AttemptFacts]) -> impl DoubleEndedIterator<Item = (u16, Option<Verdict>)> {
    let tries = attempts.iter().enumerate();
    tries.filter(|(_, attempt)| attempt.is_doubt()).map(|(tried, attempt)| (tried as u16, attempt.verdict))
}

/// Whether the SMSC refused the part for good, and no try of it is in doubt.
pub fn is_rejected(attempts: &[AttemptFacts]) -> bool {
    part_state(attempts) == Part::Rejected
}

/// Whether the SMSC took the part, and its receipts say that it was not delivered.
pub fn came_back(attempts: &[AttemptFacts]) -> bool {
    part_state(attempts) == Part::Failed
}

fn part_state(attempts: &[AttemptFacts]) -> Part {
    // A part that was taken once is taken, whatever other attempts came to: one of them being answered is enough.
    let mut taken = None;
    for attempt in attempts {
        let is_assumed = attempt.answer.is_none() && attempt.verdict == Some(Verdict::AssumeSent);
        // One that came back and was followed by another says nothing more, unless it was delivered after all.
        if attempt.is_sent_again() {
            continue;
        }
        if attempt.is_known_taken() || is_assumed {
            let state = match attempt.receipt {
                Some(true) => Part::Delivered,
                Some(false) => Part::Failed,
                None => Part::Accepted,
            };
            taken = Some(match (taken, state) {
                (Some(Part::Delivered), _) | (_, Part::Delivered) => Part::Delivered,
                (Some(Part::Accepted), _) | (_, Part::Accepted) => Part::Accepted,
                _ => Part::Failed,
            });
        }
    }
    if let Some(state) = taken {
        return state;
    }
    // What the operator gave up is given up with all its tries.
    if attempts.iter().any(|attempt| attempt.answer.is_none() && attempt.verdict == Some(Verdict::Abandon)) {
        return Part::Abandoned;
    }
    let Some(newest) = attempts.last() else { return Part::Unsent };
    let by_newest = match (newest.answer, newest.verdict) {
        _ if newest.is_sent_again() => Part::ToSendAgain,
        (Some(Outcome::Rejected), Some(Verdict::RetryRejected)) => Part::ToRetry,
        (Some(Outcome::Rejected), _) => Part::Rejected,
        (Some(_), _) => Part::ToRetry,
        (None, None) => Part::Underway,
        (None, Some(Verdict::InDoubt)) => Part::InDoubt,
        (None, Some(Verdict::NotWritten | Verdict::Resend | Verdict::RetryRejected)) => Part::ToRetry,
        (None, Some(Verdict::AssumeSent)) => Part::Accepted,
        (None, Some(Verdict::Abandon)) => Part::Abandoned,
    };
    // One that was never answered may have been taken, whatever a later one came to.
    match by_newest {
        Part::ToRetry if doubts(attempts).any(|(_, verdict)| verdict == Some(Verdict::InDoubt)) => Part::InDoubt,
        Part::ToRetry if doubts(attempts).next().is_some() => Part::ToResend,
        Part::Rejected if doubts(attempts).next().is_some() => Part::RejectedInDoubt,
        state => state,
    }
}

#[cfg(test)]
mod tests;
