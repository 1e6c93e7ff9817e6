use super::*;
use crate::journal::model::events::Chunk;
use crate::journal::model::key::Attempt;

/// A run of all parts of messages 1, 4 and 5, of which the first has three; each goes to its own number.
fn run() -> Run {
    let parts = [(1, 0, 3), (1, 1, 3), (1, 2, 3), (4, 0, 1), (5, 0, 1)];
    let items = parts.map(|(message, part, parts)| Item {
        sms: 1,
        attempt: Attempt::new(message + i64::from(part), 0),
        message,
        destination: message as u64,
        start: 0,
        end: 0,
        campaign: 0,
        part,
        parts,
        refused: 0,
        completes: false,
        has_reference: false,
        has_tlvs: false,
        passes_at: i64::MAX,
    });
    let chunk = Arc::new(Chunk { items: items.into(), ..Chunk::default() });
    Run { chunk, items: 0..5, first_serial: 11, first_sequence_number: 101, generation: 0 }
}

/// Of a queue of which `written` parts are written: serial and sequence number of each part left, and the parts given
/// back.
fn check(written: usize, barred: Barred, left: &[i64], given_back: &[i64]) {
    let mut run = run();
    (0..written).for_each(|_| advance(&mut run));
    let (queue, sent) = without_barred(VecDeque::from([run]), &[Arc::new(barred)]);
    let mut found = Vec::new();
    for mut run in queue {
        while !run.items.is_empty() {
            let sent = sent_of(&run);
            assert_eq!(
                (run.first_serial, sent.sequence_number),
                (10 + sent.attempt.part(), 100 + run.first_serial as u32 - 10)
            );
            found.push(sent.attempt.part());
            advance(&mut run);
        }
    }
    assert_eq!(found, left);
    assert_eq!(sent.iter().map(|sent| sent.attempt.part()).collect::<Vec<_>>(), given_back);
}

#[test]
fn what_is_barred_is_given_back_but_for_the_rest_of_a_message() {
    let numbers = |numbers: &[u64]| Barred { numbers: numbers.iter().copied().collect(), ..Barred::default() };
    let campaign = |index| Barred { campaigns: vec![index], ..Barred::default() };
    check(0, numbers(&[9]), &[1, 2, 3, 4, 5], &[]);
    check(0, numbers(&[4]), &[1, 2, 3, 5], &[4]);
    check(0, numbers(&[1, 5]), &[4], &[1, 2, 3, 5]);
    check(0, campaign(0), &[], &[1, 2, 3, 4, 5]);
    check(0, campaign(1), &[1, 2, 3, 4, 5], &[]);
    check(1, campaign(0), &[2, 3], &[4, 5]);
    check(2, numbers(&[1]), &[3, 4, 5], &[]);
    check(3, campaign(0), &[], &[4, 5]);
    check(5, campaign(0), &[], &[]);
}
