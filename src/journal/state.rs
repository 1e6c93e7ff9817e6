//! The one rule by which a message's state follows from its facts. Pure: no SQL, no clock.

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
}

/// How one part stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Unsent,
    Underway,
    ToRetry,
    InDoubt,
    Accepted,
    Delivered,
    Failed,
    Rejected,
    Abandoned,
}

/// The state of a message from the attempts of each of its parts, in order. `cancelled`: what was not sent shall not be.
///
/// In this order: any part in doubt: in doubt. Any part on its way, or to be sent while others went: sending. Any part
/// taken without a final receipt: accepted. All delivered: delivered; some: partly delivered; none, though some were
/// taken or given up: failed; none taken: rejected. A rejected or abandoned part keeps the unsent rest from being sent.
///
/// Where the SMSC sends a receipt for one part only, it stands for all parts that were taken.
pub fn message_state<'a>(
    parts: impl Iterator<Item = &'a [AttemptFacts]>,
    cancelled: bool,
    receipts_for: ReceiptsFor,
) -> State {
    let mut count = [0usize; 9];
    let mut total = 0;
    let mut speaker = None;
    for (n, attempts) in parts.enumerate() {
        let state = part_state(attempts);
        count[state as usize] += 1;
        total += 1;
        match receipts_for {
            ReceiptsFor::All => {}
            ReceiptsFor::First if n > 0 => {}
            ReceiptsFor::First | ReceiptsFor::Last => speaker = Some(state),
        }
    }
    if let Some(state @ (Part::Delivered | Part::Failed)) = speaker {
        count[state as usize] += std::mem::take(&mut count[Part::Accepted as usize]);
    }
    let number = |part: Part| count[part as usize];
    let ended = number(Part::Rejected) + number(Part::Abandoned) > 0;
    let waiting = number(Part::Unsent) + number(Part::ToRetry);
    let (unsent, to_retry) = if ended || cancelled { (0, 0) } else { (number(Part::Unsent), number(Part::ToRetry)) };
    let taken = number(Part::Accepted) + number(Part::Delivered) + number(Part::Failed);
    if number(Part::InDoubt) > 0 {
        State::InDoubt
    } else if number(Part::Underway) > 0 {
        State::Sending
    } else if waiting == total {
        if cancelled { State::Cancelled } else { State::Queued }
    } else if unsent + to_retry > 0 {
        State::Sending
    } else if number(Part::Accepted) > 0 {
        State::Accepted
    } else if number(Part::Delivered) == total {
        State::Delivered
    } else if number(Part::Delivered) > 0 {
        State::PartlyDelivered
    } else if taken + number(Part::Abandoned) > 0 {
        State::Failed
    } else {
        State::Rejected
    }
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

/// Whether a message may have arrived twice: more than one try of a part is known to have been taken, or one that the
/// operator had given up.
pub fn is_possible_duplicate<'a>(mut parts: impl Iterator<Item = &'a [AttemptFacts]>) -> bool {
    parts.any(|attempts| {
        let taken = |attempt: &&AttemptFacts| match attempt.answer {
            Some(outcome) => outcome == Outcome::Accepted,
            None => attempt.noticed,
        };
        let mut known = attempts.iter().filter(taken);
        known.clone().any(|attempt| attempt.verdict == Some(Verdict::Abandon)) || known.nth(1).is_some()
    })
}

/// Whether the parts that were never sent, or are to be tried again, may still go.
pub fn may_go_on(parts: &[Vec<AttemptFacts>]) -> bool {
    !parts.iter().any(|attempts| matches!(part_state(attempts), Part::Rejected | Part::Abandoned))
}

/// Whether the part is to be sent: never tried, not written, or to be tried again.
pub fn is_to_send(attempts: &[AttemptFacts]) -> bool {
    matches!(part_state(attempts), Part::Unsent | Part::ToRetry)
}

/// Whether the part's newest attempt is in doubt.
pub fn is_in_doubt(attempts: &[AttemptFacts]) -> bool {
    part_state(attempts) == Part::InDoubt
}

/// Whether the SMSC refused the part for good.
pub fn is_rejected(attempts: &[AttemptFacts]) -> bool {
    part_state(attempts) == Part::Rejected
}

fn part_state(attempts: &[AttemptFacts]) -> Part {
    // A part that was taken once is taken, whatever other attempts came to: one of them being answered is enough.
    let mut taken = None;
    for attempt in attempts {
        let accepted = match attempt.answer {
            Some(Outcome::Accepted) => true,
            Some(_) => false,
            None => attempt.verdict == Some(Verdict::AssumeSent) || attempt.noticed,
        };
        if accepted {
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
    let Some(newest) = attempts.last() else { return Part::Unsent };
    match (newest.answer, newest.verdict) {
        (Some(Outcome::Rejected), Some(Verdict::RetryRejected)) => Part::ToRetry,
        (Some(Outcome::Rejected), _) => Part::Rejected,
        (Some(_), _) => Part::ToRetry,
        (None, None) => Part::Underway,
        (None, Some(Verdict::InDoubt)) => Part::InDoubt,
        (None, Some(Verdict::NotWritten | Verdict::Resend | Verdict::RetryRejected)) => Part::ToRetry,
        (None, Some(Verdict::AssumeSent)) => Part::Accepted,
        (None, Some(Verdict::Abandon)) => Part::Abandoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part in a letter: what its only attempt came to.
    fn facts(letter: char) -> Vec<AttemptFacts> {
        let attempt = |answer, verdict, receipt: Option<bool>| {
            vec![AttemptFacts { answer, verdict, receipt, noticed: receipt.is_some() }]
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
            _ => unreachable!("no such letter"),
        }
    }

    fn check(parts: &str, expected: State) {
        let parts: Vec<_> = parts.chars().map(facts).collect();
        assert_eq!(message_state(parts.iter().map(Vec::as_slice), false, ReceiptsFor::All), expected, "{parts:?}");
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
        assert_eq!(message_state([both.as_slice()].into_iter(), false, ReceiptsFor::All), State::Accepted);
        let resent = [facts('f'), facts('d')].concat();
        assert_eq!(message_state([resent.as_slice()].into_iter(), false, ReceiptsFor::All), State::Delivered);
        let resent = [facts('f'), facts('a')].concat();
        assert_eq!(message_state([resent.as_slice()].into_iter(), false, ReceiptsFor::All), State::Accepted);
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
            let found = message_state(facts.iter().map(Vec::as_slice), false, receipts_for);
            assert_eq!(found, state, "{parts} {receipts_for:?}");
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
        for letters in ["aa", "Da", "Dd", "ld"] {
            assert!(is_duplicate(letters), "{letters}");
        }
        for letters in ["", "a", "D", "ta", "sa", "x", "na", "?", "=", "rd"] {
            assert!(!is_duplicate(letters), "{letters}");
        }
    }

    #[test]
    fn an_intermediate_receipt_settles_a_doubt() {
        let noticed = AttemptFacts { verdict: Some(Verdict::InDoubt), noticed: true, ..Default::default() };
        assert_eq!(message_state([[noticed].as_slice()].into_iter(), false, ReceiptsFor::All), State::Accepted);
    }

    #[test]
    fn cancelling_takes_back_what_never_went() {
        for (parts, state) in
            [("-", State::Cancelled), ("tn", State::Cancelled), ("a-", State::Accepted), ("c", State::Sending)]
        {
            let parts: Vec<_> = parts.chars().map(facts).collect();
            assert_eq!(message_state(parts.iter().map(Vec::as_slice), true, ReceiptsFor::All), state);
        }
    }
}
