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
