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
mod tests {
    use super::*;

    const ALL: Awaited = Awaited { of_success: true, parts: ReceiptsFor::All };
    const NONE: Awaited = Awaited { of_success: false, parts: ReceiptsFor::All };

    /// A part in a letter: what its only attempt came to.
    fn facts(letter: char) -> Vec<AttemptFacts> {
        let attempt = |answer, verdict, receipt: Option<bool>| {
            vec![AttemptFacts { answer, verdict, receipt, noticed: receipt.is_some(), shares_id: false }]
        };
        match letter {
            '-' => vec![],
            'c' => attempt(None, None, None),
            'a' => attempt(Some(Outcome::Accepted), None, None),
            'd' => attempt(Some(Outcome::Accepted), None, Some(true)),
            'f' => attempt(Some(Outcome::Accepted), None, Some(false)),
            'r' => attempt(Some(Outcome::Rejected), None, None),
            't' => attempt(Some(Outcome::Retry), None, None),
            '?' => attempt(None, Some(Verdict::InDoubt), None),
            'n' => attempt(None, Some(Verdict::NotWritten), None),
            's' => attempt(None, Some(Verdict::Resend), None),
            '=' => attempt(None, Some(Verdict::AssumeSent), None),
            'x' => attempt(None, Some(Verdict::Abandon), None),
            'D' => attempt(None, Some(Verdict::InDoubt), Some(true)),
            'l' => attempt(Some(Outcome::Accepted), Some(Verdict::InDoubt), None),
            'R' => attempt(Some(Outcome::Rejected), Some(Verdict::RetryRejected), None),
            'F' => attempt(Some(Outcome::Accepted), Some(Verdict::RetryRejected), Some(false)),
            'G' => attempt(Some(Outcome::Accepted), Some(Verdict::RetryRejected), Some(true)),
            'g' => attempt(Some(Outcome::Accepted), Some(Verdict::RetryRejected), None),
            'B' => attempt(None, Some(Verdict::RetryRejected), Some(false)),
            _ => unreachable!("no such letter"),
        }
    }

    fn check(parts: &str, expected: State) {
        let parts: Vec<_> = parts.chars().map(facts).collect();
        assert_eq!(message_state(parts.iter().map(Vec::as_slice), false, ALL), expected, "{parts:?}");
    }

    /// The table in the page of this module, row by row.
    #[test]
    fn a_part_moves_as_the_table_says() {
        use Outcome::{Accepted as Taken, Rejected as Refused, Retry};
        use Verdict::{Abandon, AssumeSent, InDoubt, NotWritten, Resend, RetryRejected};
        enum Fact {
            Claim,
            Answer(Outcome),
            Verdict(Verdict),
            Receipt(Option<bool>),
        }
        let claimed = || vec![AttemptFacts::default()];
        let with = |fact: Fact, mut attempts: Vec<AttemptFacts>| {
            if matches!(fact, Fact::Claim) {
                attempts.push(AttemptFacts::default());
            }
            let newest = attempts.last_mut().unwrap();
            match fact {
                Fact::Claim => {}
                Fact::Answer(outcome) => newest.answer = Some(outcome),
                Fact::Verdict(verdict) => newest.verdict = Some(verdict),
                Fact::Receipt(says) => (newest.receipt, newest.noticed) = (says.or(newest.receipt), true),
            }
            attempts
        };
        // States by how a part comes to them.
        let underway = claimed;
        let in_doubt = || with(Fact::Verdict(InDoubt), claimed());
        let to_resend = || with(Fact::Verdict(Resend), in_doubt());
        let accepted = || with(Fact::Answer(Taken), claimed());
        let failed = || with(Fact::Receipt(Some(false)), accepted());
        let rejected = || with(Fact::Answer(Refused), claimed());
        let to_retry = || with(Fact::Answer(Retry), claimed());
        let to_send_again = || with(Fact::Verdict(RetryRejected), failed());
        let table: Vec<(Vec<AttemptFacts>, Fact, Part)> = vec![
            (vec![], Fact::Claim, Part::Underway),
            (to_retry(), Fact::Claim, Part::Underway),
            (to_resend(), Fact::Claim, Part::Underway),
            (to_send_again(), Fact::Claim, Part::Underway),
            (underway(), Fact::Answer(Taken), Part::Accepted),
            (in_doubt(), Fact::Answer(Taken), Part::Accepted),
            (underway(), Fact::Answer(Retry), Part::ToRetry),
            (in_doubt(), Fact::Answer(Retry), Part::ToRetry),
            (underway(), Fact::Answer(Refused), Part::Rejected),
            (in_doubt(), Fact::Answer(Refused), Part::Rejected),
            (underway(), Fact::Verdict(InDoubt), Part::InDoubt),
            (underway(), Fact::Verdict(NotWritten), Part::ToRetry),
            (in_doubt(), Fact::Verdict(Resend), Part::ToResend),
            (in_doubt(), Fact::Verdict(AssumeSent), Part::Accepted),
            (in_doubt(), Fact::Verdict(Abandon), Part::Abandoned),
            (underway(), Fact::Receipt(Some(true)), Part::Delivered),
            (in_doubt(), Fact::Receipt(Some(true)), Part::Delivered),
            (to_resend(), Fact::Receipt(Some(true)), Part::Delivered),
            (accepted(), Fact::Receipt(Some(true)), Part::Delivered),
            (underway(), Fact::Receipt(Some(false)), Part::Failed),
            (in_doubt(), Fact::Receipt(Some(false)), Part::Failed),
            (to_resend(), Fact::Receipt(Some(false)), Part::Failed),
            (accepted(), Fact::Receipt(Some(false)), Part::Failed),
            (underway(), Fact::Receipt(None), Part::Accepted),
            (in_doubt(), Fact::Receipt(None), Part::Accepted),
            (to_resend(), Fact::Receipt(None), Part::Accepted),
            (failed(), Fact::Receipt(Some(true)), Part::Delivered),
            (rejected(), Fact::Verdict(RetryRejected), Part::ToRetry),
            (failed(), Fact::Verdict(RetryRejected), Part::ToSendAgain),
        ];
        for (n, (before, fact, to)) in table.into_iter().enumerate() {
            let after = with(fact, before.clone());
            assert_eq!(part_state(&after), to, "row {n}: {before:?} to {after:?}");
        }
    }

    #[test]
    fn one_part() {
        for (part, state) in [
            ("-", State::Queued),
            ("c", State::Sending),
            ("a", State::Accepted),
            ("d", State::Delivered),
            ("f", State::Failed),
            ("r", State::Rejected),
            ("t", State::Queued),
            ("?", State::InDoubt),
            ("n", State::Queued),
            ("s", State::Queued),
            ("=", State::Accepted),
            ("x", State::Failed),
            ("D", State::Delivered),
            ("l", State::Accepted),
            ("R", State::Queued),
        ] {
            check(part, state);
        }
    }

    #[test]
    fn f37_several_parts() {
        for (parts, state) in [
            ("aa-", State::Sending),
            ("aat", State::Sending),
            ("aac", State::Sending),
            ("aa?", State::InDoubt),
            ("c?-", State::InDoubt),
            ("dd?", State::InDoubt),
            ("dda", State::Accepted),
            ("ddd", State::Delivered),
            ("ddf", State::PartlyDelivered),
            ("fff", State::Failed),
            ("faa", State::Failed),
            ("aaf", State::Failed),
            ("daf", State::PartlyDelivered),
            ("fa-", State::Sending),
            ("fa?", State::InDoubt),
            ("r--", State::Rejected),
            ("rr", State::Rejected),
            ("ar-", State::Accepted),
            ("dr-", State::PartlyDelivered),
            ("fr-", State::Failed),
            ("dx", State::PartlyDelivered),
            ("rt", State::Rejected),
            ("tt", State::Queued),
            ("tn", State::Queued),
        ] {
            check(parts, state);
        }
    }

    #[test]
    fn a_part_taken_once_stays_taken() {
        let both = [facts('a'), facts('r')].concat();
        assert_eq!(message_state([both.as_slice()].into_iter(), false, ALL), State::Accepted);
        let resent = [facts('f'), facts('d')].concat();
        assert_eq!(message_state([resent.as_slice()].into_iter(), false, ALL), State::Delivered);
        let resent = [facts('f'), facts('a')].concat();
        assert_eq!(message_state([resent.as_slice()].into_iter(), false, ALL), State::Accepted);
    }

    #[test]
    fn f37_one_receipt_for_all_parts() {
        for (parts, receipts_for, state) in [
            ("daa", ReceiptsFor::First, State::Delivered),
            ("faa", ReceiptsFor::First, State::Failed),
            ("ada", ReceiptsFor::First, State::Accepted),
            ("aad", ReceiptsFor::Last, State::Delivered),
            ("aad", ReceiptsFor::First, State::Accepted),
            ("daf", ReceiptsFor::First, State::PartlyDelivered),
            ("da?", ReceiptsFor::First, State::InDoubt),
            ("d", ReceiptsFor::Last, State::Delivered),
            ("a", ReceiptsFor::First, State::Accepted),
            ("dr-", ReceiptsFor::First, State::PartlyDelivered),
        ] {
            let facts: Vec<_> = parts.chars().map(facts).collect();
            let awaited = Awaited { parts: receipts_for, ..ALL };
            let found = message_state(facts.iter().map(Vec::as_slice), false, awaited);
            assert_eq!(found, state, "{parts} {receipts_for:?}");
        }
    }

    #[test]
    fn f37_one_id_for_all_parts() {
        for (parts, state) in [
            ("aaa", State::Accepted),
            ("daa", State::Delivered),
            ("aad", State::Delivered),
            ("afa", State::Failed),
            ("dfa", State::PartlyDelivered),
            ("fda", State::PartlyDelivered),
            ("ddd", State::Delivered),
            ("da?", State::InDoubt),
            ("da-", State::Sending),
            ("dr-", State::PartlyDelivered),
        ] {
            let mut facts: Vec<_> = parts.chars().map(facts).collect();
            for attempt in facts.iter_mut().flatten().filter(|attempt| attempt.answer == Some(Outcome::Accepted)) {
                attempt.shares_id = true;
            }
            for parts_with_receipts in [ReceiptsFor::All, ReceiptsFor::First, ReceiptsFor::Last] {
                let awaited = Awaited { parts: parts_with_receipts, ..ALL };
                let found = message_state(facts.iter().map(Vec::as_slice), false, awaited);
                assert_eq!(found, state, "{parts} {parts_with_receipts:?}");
            }
        }
    }

    #[test]
    fn f37_a_message_that_went_out_in_part_has_failed_where_no_receipt_will_come() {
        for (parts, cancelled, state, when_awaited) in [
            ("aaa", false, State::Accepted, State::Accepted),
            ("aaa", true, State::Accepted, State::Accepted),
            ("ada", false, State::Accepted, State::Accepted),
            ("ar-", false, State::Failed, State::Accepted),
            ("=r", false, State::Failed, State::Accepted),
            ("ax", false, State::Failed, State::Accepted),
            ("at-", true, State::Failed, State::Accepted),
            ("an", true, State::Failed, State::Accepted),
            ("af", false, State::Failed, State::Failed),
            ("adr", false, State::PartlyDelivered, State::Accepted),
            ("at-", false, State::Sending, State::Sending),
            ("ar?", false, State::InDoubt, State::InDoubt),
            ("rr", false, State::Rejected, State::Rejected),
            ("tt", true, State::Cancelled, State::Cancelled),
        ] {
            let facts: Vec<_> = parts.chars().map(facts).collect();
            let state_where = |awaited| message_state(facts.iter().map(Vec::as_slice), cancelled, awaited);
            assert_eq!((state_where(NONE), state_where(ALL)), (state, when_awaited), "{parts}, cancelled: {cancelled}");
        }
    }

    #[test]
    fn what_went_out_in_part_is_known_by_its_parts() {
        for (parts, expected) in [
            ("aaa", false),
            ("dff", false),
            ("rr-", false),
            ("xr", false),
            ("---", false),
            ("r", false),
            ("a", false),
            ("ar-", true),
            ("dr", true),
            ("fx", true),
            ("a-", true),
            ("at", true),
            ("=n", true),
        ] {
            let facts: Vec<_> = parts.chars().map(facts).collect();
            assert_eq!(is_in_part(&facts), expected, "{parts}");
        }
    }

    #[test]
    fn what_was_taken_twice_or_given_up_may_have_arrived_twice() {
        let is_duplicate = |letters: &str| {
            let part: Vec<_> = letters.chars().flat_map(facts).collect();
            is_possible_duplicate([part.as_slice()].into_iter())
        };
        let abandoned = AttemptFacts { verdict: Some(Verdict::Abandon), noticed: true, ..Default::default() };
        assert!(is_possible_duplicate([[abandoned].as_slice()].into_iter()));
        // A try of which nobody can know counts as well as one that was taken.
        for letters in ["aa", "Da", "Dd", "ld", "sa", "as", "s?", "s=", "sx", "xa"] {
            assert!(is_duplicate(letters), "{letters}");
        }
        for letters in ["", "a", "D", "ta", "x", "na", "?", "=", "rd", "sr", "st", "sn", "sc"] {
            assert!(!is_duplicate(letters), "{letters}");
        }
    }

    #[test]
    fn an_intermediate_receipt_settles_a_doubt() {
        let noticed = AttemptFacts { verdict: Some(Verdict::InDoubt), noticed: true, ..Default::default() };
        assert_eq!(message_state([[noticed].as_slice()].into_iter(), false, ALL), State::Accepted);
    }

    #[test]
    fn cancelling_takes_back_what_never_went() {
        for (parts, state) in
            [("-", State::Cancelled), ("tn", State::Cancelled), ("a-", State::Accepted), ("c", State::Sending)]
        {
            let parts: Vec<_> = parts.chars().map(facts).collect();
            assert_eq!(message_state(parts.iter().map(Vec::as_slice), true, ALL), state);
        }
    }

    /// Parts are divided by commas, the tries of one are in order.
    fn state_of(parts: &str, cancelled: bool) -> State {
        let parts: Vec<Vec<_>> = parts.split(',').map(|part| part.chars().flat_map(facts).collect()).collect();
        message_state(parts.iter().map(Vec::as_slice), cancelled, ALL)
    }

    #[test]
    fn a_doubt_stands_until_it_is_settled() {
        use State::{Accepted, Cancelled, Failed, InDoubt, Queued, Sending};
        for (parts, state, when_cancelled) in [
            // To be sent again: nothing but that keeps it from being listed.
            ("s", Queued, InDoubt),
            ("st", Queued, InDoubt),
            ("sn", Queued, InDoubt),
            ("sR", Queued, InDoubt),
            ("s,-", Queued, InDoubt),
            ("s,a", Sending, InDoubt),
            ("sc", Sending, Sending),
            // Not to be sent again: the SMSC refused the second try, or another part.
            ("sr", InDoubt, InDoubt),
            ("sr,a", InDoubt, InDoubt),
            ("s,r", InDoubt, InDoubt),
            ("?,r", InDoubt, InDoubt),
            // Held again, since its number was suppressed while it waited.
            ("?t", InDoubt, InDoubt),
            ("?n", InDoubt, InDoubt),
            // Settled: by a try that was taken, by a receipt, by the operator.
            ("sa", Accepted, Accepted),
            ("Dr", State::Delivered, State::Delivered),
            ("=r", Accepted, Accepted),
            ("=t", Accepted, Accepted),
            ("xr", Failed, Failed),
            ("xt", Failed, Failed),
            ("sx", Failed, Failed),
            ("x,r", Failed, Failed),
            // No doubt: answered, or never written.
            ("tt", Queued, Cancelled),
            ("nt", Queued, Cancelled),
            ("rr", State::Rejected, State::Rejected),
        ] {
            assert_eq!(state_of(parts, false), state, "{parts}");
            assert_eq!(state_of(parts, true), when_cancelled, "{parts}, cancelled");
        }
    }

    #[test]
    fn what_came_back_and_is_sent_again_is_what_the_newest_try_says() {
        use State::{Accepted, Delivered, Failed, InDoubt, PartlyDelivered, Queued, Rejected, Sending};
        for (parts, state, when_cancelled, duplicate) in [
            ("F", Queued, Failed, false),
            ("B", Queued, Failed, false),
            ("FF", Queued, Failed, false),
            ("Fc", Sending, Sending, false),
            ("Ft", Queued, State::Cancelled, false),
            ("Fa", Accepted, Accepted, false),
            ("Ff", Failed, Failed, false),
            ("Fd", Delivered, Delivered, false),
            ("Fr", Rejected, Rejected, false),
            ("F?", InDoubt, InDoubt, false),
            // Delivered after all: before it went again, and after.
            ("G", Delivered, Delivered, false),
            ("Gc", Delivered, Delivered, false),
            ("Ga", Delivered, Delivered, true),
            // The receipt was another's.
            ("g", Accepted, Accepted, false),
            ("ga", Accepted, Accepted, true),
            // Of a long one only what came back goes again.
            ("d,F", Sending, PartlyDelivered, false),
            ("d,Fa", Accepted, Accepted, false),
            ("d,Fd", Delivered, Delivered, false),
        ] {
            assert_eq!(state_of(parts, false), state, "{parts}");
            assert_eq!(state_of(parts, true), when_cancelled, "{parts}, cancelled");
            let tries: Vec<Vec<_>> = parts.split(',').map(|part| part.chars().flat_map(facts).collect()).collect();
            assert_eq!(is_possible_duplicate(tries.iter().map(Vec::as_slice)), duplicate, "{parts}");
        }
    }

    /// Whatever the story, one of its doubts is seen while nothing more of the message goes out, unless it is settled.
    #[test]
    fn no_doubt_is_ever_hidden() {
        let letters = ['c', 'a', 'r', 't', '?', 'n', 's', '=', 'x', 'D', 'R'];
        let mut stories = vec![String::from("-")];
        for first in letters {
            stories.push(first.to_string());
            stories.extend(letters.iter().map(|second| format!("{first}{second}")));
        }
        for [one, two] in stories.iter().flat_map(|one| stories.iter().map(move |two| [one, two])) {
            let settled = |part: &str| part.contains(['a', '=', 'D', 'x']);
            let doubtful = |part: &str| part.contains(['?', 's']) && !settled(part);
            if !doubtful(one) && !doubtful(two) {
                continue;
            }
            let parts = format!("{one},{two}");
            let on_its_way = one.ends_with('c') || two.ends_with('c');
            let state = state_of(&parts, true);
            assert!(state == State::InDoubt || on_its_way && state == State::Sending, "{parts}: {state:?}");
            let state = state_of(&parts, false);
            assert!(matches!(state, State::InDoubt | State::Queued | State::Sending), "{parts}: {state:?}");
        }
    }
}
