//! What was noted of answers ([`crate::journal::files::answer_log`]) and never committed: taken in at a start, by the code that writes down
//! what comes from a session.

use crate::journal::error::JournalError;
use crate::journal::files::answer_log::Noted;
use crate::journal::matcher::Matcher;
use crate::journal::matcher::id_archive::Spill;
use crate::journal::matcher::id_index::Ids;
use crate::journal::matcher::id_load::Asleep;
use crate::journal::model::events::{Answer, Batch, Sent};
use crate::journal::model::key::Attempt;
use crate::journal::model::retry_rules::{CodeRule, RetryRules};
use crate::journal::store::counts::Counts;
use crate::journal::store::history::{message_of, stored_state};
use crate::journal::store::id_keys::hash_keys;
use crate::journal::writer::JournalThread;
use crate::message::address::Destination;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use std::time::Duration;

/// Writes down, in the transaction that runs, those of the answers that the journal lacks: so many at a time, with the next
/// slice begun in between. Returns how many there were.
pub fn take_in(
    connection: Connection,
    counts: Counts,
    noted: &[Noted],
    at_a_time: usize,
    next_slice: fn(&Connection) -> Result<(), JournalError>,
) -> Result<(Connection, Counts, usize), JournalError> {
    // Nothing is looked up but what is written down here.
    let ids = (Ids::new(usize::MAX, hash_keys(&connection)?), Spill::load(&connection)?, Asleep::default());
    let matcher = Matcher::with_ids(&connection, ids)?;
    let mut thread = JournalThread::bare(connection, counts, matcher)?;
    let mut count = 0_usize;
    for noted in noted {
        let Some(sent) = thread.sent(noted)? else { continue };
        if !sent.late {
            thread.matcher.outstanding.claimed(1);
        }
        thread.claimer.rules = Arc::new(rules(noted));
        let mut batch = Batch { came_at: noted.came_at, ..Batch::default() };
        let message_id = batch.keep(&noted.message_id);
        let waited = Duration::from_millis(noted.waited_ms.into());
        let tlvs = if noted.tlvs.is_empty() { 0..0 } else { batch.keep(&noted.tlvs) };
        batch.answers.push(Answer {
            sent,
            command_status: noted.command_status,
            excused: false,
            waited,
            message_id,
            tlvs,
        });
        thread.came(noted.session, &batch)?;
        count += 1;
        if count.is_multiple_of(at_a_time) {
            thread.matcher.leave_judging(&thread.connection)?;
            thread.counts.settle(&thread.connection)?;
            next_slice(&thread.connection)?;
        }
    }
    // Other spellings of an id are looked for among all of them, which the sender that starts now knows.
    thread.matcher.leave_judging(&thread.connection)?;
    let (connection, counts) = thread.into_parts();
    Ok((connection, counts, count))
}

impl JournalThread {
    /// The attempt as its session remembered it; `None`: it was not claimed for that session, or its answer is known.
    fn sent(&self, noted: &Noted) -> Result<Option<Sent>, JournalError> {
        let attempt = noted.attempt;
        let Some(sequence_number) = claimed(&self.connection, noted.session, attempt)? else { return Ok(None) };
        let (is_answered, is_judged): (bool, bool) = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM answer WHERE attempt = ?1), EXISTS (SELECT 1 FROM verdict WHERE attempt = ?1)",
            )?
            .query_row([attempt.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found = message_of(&self.connection, attempt.part())?;
        let (false, Some((message, parts))) = (is_answered, found) else { return Ok(None) };
        let is_stored = self.counts.is_touched(message) || stored_state(&self.connection, message)?.is_some();
        Ok(Some(Sent {
            attempt,
            message,
            sequence_number,
            campaign: self.counts.campaign_of(message).unwrap_or(u32::MAX),
            plain: parts == 1 && attempt.tried() == 0 && !is_stored,
            refused: noted.refused,
            // Its response timer had expired.
            late: is_judged,
            referenced: noted.referenced,
            generation: self.matcher.outstanding.current(),
            destination: destination(&self.connection, message)?,
        }))
    }
}

/// The number that a message goes to: a receipt with the same id can name another.
fn destination(connection: &Connection, message: i64) -> Result<u64, JournalError> {
    let destination: String = connection
        .prepare_cached("SELECT destination FROM message WHERE id = ?1")?
        .query_row([message], |row| row.get(0))?;
    Ok(Destination::parse(&destination).map_or(0, |destination| destination.same_key()))
}

/// The sequence number of an attempt, if it was claimed for that session.
fn claimed(connection: &Connection, session: i64, attempt: Attempt) -> Result<Option<u32>, JournalError> {
    let claim = connection
        .prepare_cached(
            "SELECT first_part + parts, session_id, first_sequence_number + (?2 - first_part) FROM claim
              WHERE try = ?1 AND first_part <= ?2 ORDER BY first_part DESC LIMIT 1",
        )?
        .query_row((attempt.tried(), attempt.part()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(claim.and_then(|(end, of, number): (i64, i64, u32)| (attempt.part() < end && of == session).then_some(number)))
}

/// The rules by which the dead run had judged this answer.
fn rules(noted: &Noted) -> RetryRules {
    let delays_ms = if noted.retried { vec![0; usize::from(noted.refused) + 1] } else { Vec::new() };
    let rule = CodeRule { class: noted.class, delays_ms: None };
    RetryRules { delays_ms, codes: std::iter::once((noted.command_status, rule)).collect() }
}

#[cfg(test)]
mod tests {
    use crate::journal::files::answer_log::Answers;
    use crate::journal::model::campaign::InDoubtPolicy;
    use crate::journal::testkit::bench::Bench;

    const NUMBERS: [&str; 6] =
        ["447700900001", "447700900002", "447700900003", "447700900004", "447700900005", "447700900006"];

    fn bench(policy: InDoubtPolicy) -> Bench {
        let messages: Vec<(&str, u8)> = NUMBERS.iter().map(|&number| (number, 1)).collect();
        Bench::new(&messages, policy)
    }

    fn answers(bench: &Bench) -> Vec<(i64, i64, i64, Option<String>)> {
        bench.query("SELECT attempt, command_status, outcome, message_id FROM answer ORDER BY attempt", |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
    }

    #[test]
    fn f46_what_was_noted_is_as_if_it_had_come() {
        // Taken, rejected, throttled, refused for now; and one that was never answered.
        let statuses = [(0, "a1"), (0x0B, ""), (0x58, ""), (0x08, ""), (0, "B2")];
        let mut came = bench(InDoubtPolicy::Hold);
        let mut noted = bench(InDoubtPolicy::Hold);
        for (is_noted, bench) in [(false, &mut came), (true, &mut noted)] {
            let session = bench.open_session();
            let sent = bench.send(session, 6);
            assert_eq!(sent.len(), 6);
            let answers: Vec<_> = statuses.iter().zip(&sent).map(|(&(status, id), &sent)| (sent, status, id)).collect();
            if is_noted {
                bench.note(session, &answers);
            } else {
                answers.iter().for_each(|&(sent, status, id)| bench.answer(session, sent, status, id));
            }
            bench.restart();
        }
        assert_eq!(answers(&noted), answers(&came));
        assert_eq!(noted.states(), came.states());
        assert_eq!(noted.states(), ["accepted", "rejected", "queued", "queued", "accepted", "in_doubt"]);
        // Ids are known to what comes later, and what is to be tried again is.
        for bench in [&mut came, &mut noted] {
            let session = bench.open_session();
            bench.delivered(session, "a1", NUMBERS[0]);
            bench.delivered(session, "00b2", NUMBERS[4]);
            assert_eq!(bench.send(session, 2).len(), 2);
        }
        let [mut by_note, mut by_answer] = [noted.rules(), came.rules()];
        // Receipts of the same millisecond have no order.
        by_note.sort();
        by_answer.sort();
        assert_eq!(by_note, by_answer);
        assert_eq!(noted.states(), came.states());
        assert_eq!(noted.states(), ["delivered", "rejected", "sending", "sending", "delivered", "in_doubt"]);
    }

    #[test]
    fn notes_are_taken_in_once_and_not_where_they_are_foreign() {
        let harms: [(&str, &str); 5] = [
            ("nothing", "SELECT 1"),
            ("another run", "UPDATE meta SET value = '00000000000000ff' WHERE key = 'run'"),
            ("another boot", "UPDATE session SET boot_id = 'another'"),
            ("a session that has ended", "UPDATE session SET closed_at = 1"),
            ("another session's claim", "UPDATE claim SET session_id = session_id + 1"),
        ];
        for (what, harm) in harms {
            let mut bench = bench(InDoubtPolicy::Hold);
            let session = bench.open_session();
            let sent = bench.send(session, 6);
            bench.note(session, &[(sent[0], 0, "a1"), (sent[0], 0, "a1"), (sent[1], 0, "a2")]);
            bench.thread = None;
            rusqlite::Connection::open(&bench.path).unwrap().execute_batch(harm).unwrap();
            bench.restart();
            let expected = if what == "nothing" { 2 } else { 0 };
            assert_eq!(answers(&bench).len(), expected, "{what}");
            let found = std::fs::metadata(crate::journal::beside::beside(&bench.path, "-answers")).unwrap().len();
            assert_eq!(found, 0, "{what}: forgotten once recovery is committed");
            let before = bench.states();
            bench.restart();
            assert_eq!(bench.states(), before, "{what}");
        }
    }

    #[test]
    fn a_late_answer_that_was_noted_settles_the_doubt() {
        for (policy, expected) in [(InDoubtPolicy::Hold, "accepted"), (InDoubtPolicy::Resend, "accepted")] {
            let mut bench = bench(policy);
            let session = bench.open_session();
            let sent = bench.send(session, 1)[0];
            let late = bench.time_out(session, sent);
            assert_ne!(bench.states()[0], expected);
            bench.note(session, &[(late, 0, "a1")]);
            bench.restart();
            assert_eq!(bench.states()[0], expected, "{policy:?}");
            let session = bench.open_session();
            assert_eq!(bench.send(session, 6).len(), 5, "it is not sent again");
        }
    }

    #[test]
    fn a_receipt_that_was_there_before_its_answer_finds_it() {
        let mut bench = bench(InDoubtPolicy::Hold);
        let (session, other) = (bench.open_session(), bench.open_session());
        let sent = bench.send(session, 2);
        bench.delivered(other, "a1", NUMBERS[0]);
        bench.note(session, &[(sent[0], 0, "a1"), (sent[1], 0, "00A1")]);
        bench.restart();
        assert_eq!(bench.states()[..2], ["delivered", "accepted"]);
        assert_eq!(bench.rules(), [("exact id".to_owned(), Some(2))]);
    }

    #[test]
    fn f34_a_receipt_that_names_another_number_is_not_that_of_a_noted_answer() {
        // Answers in hex, receipts in decimal, from 1: the receipt of 0x51 has the id of another answer.
        let mut bench = bench(InDoubtPolicy::Hold);
        let (session, other) = (bench.open_session(), bench.open_session());
        let sent = bench.send(session, 3);
        bench.delivered(other, "81", NUMBERS[1]);
        bench.note(session, &[(sent[0], 0, "81"), (sent[1], 0, "51")]);
        bench.restart();
        assert_eq!(bench.states()[..3], ["accepted", "delivered", "in_doubt"]);
        // The same where the one that it is about was never answered.
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        bench.delivered(session, "82", NUMBERS[4]);
        bench.note(session, &[(sent[0], 0, "82")]);
        bench.restart();
        assert_eq!(bench.states()[3..5], ["accepted", "delivered"]);
        let found = bench.rules().into_iter().map(|(rule, line)| (rule, line.unwrap())).collect::<Vec<_>>();
        assert_eq!(found, [("equivalent id".into(), 3), ("attempt in doubt".into(), 6)]);
    }

    #[test]
    fn a_conjecture_gives_way_to_a_noted_answer() {
        let mut bench = bench(InDoubtPolicy::Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 1)[0];
        let late = bench.time_out(session, sent);
        // By rule 4 it is the doubt's; then the doubt's own id turns out to be another.
        bench.delivered(session, "ffff", NUMBERS[0]);
        assert_eq!(bench.states()[0], "delivered");
        bench.note(session, &[(late, 0, "a1")]);
        bench.restart();
        assert_eq!(bench.states()[0], "accepted");
        assert_eq!(bench.rules()[0].1, None);
        assert!(Answers::open(&bench.path).unwrap().read(0).is_empty());
    }
}
