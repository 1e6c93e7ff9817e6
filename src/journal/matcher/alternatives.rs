//! Who else a receipt of unknown id may belong to. Where the ids of an account's receipts are those of its answers, an
//! attempt that was answered is named by its own id, and a receipt that names nobody can only be about one in doubt. As
//! long as that was never seen the ids may have nothing to do with each other, and then an answered attempt to the same
//! number is as likely; so is, at any time, one that was answered without an id.

mod table;

pub(in crate::journal) use table::{ROWS_PER_COMMIT, Table};

use crate::journal::error::JournalError;
use crate::journal::matcher::{Matcher, Tx};
use crate::journal::model::key::{Attempt, Outcome, State};
use crate::journal::store::history::{MessageFacts, message_of};
use crate::message::address::Destination;
use rusqlite::Connection;
use table::Known;

/// Whether a receipt of the account ever had the id of an answer.
pub fn ids_match(connection: &Connection) -> Result<bool, JournalError> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM receipt WHERE id >= 0 AND rule IN (1, 2, 8, 9))
             OR EXISTS (SELECT 1 FROM receipt_match WHERE rule IN (1, 2, 8, 9, 10) AND attempt IS NOT NULL)",
        [],
        |row| row.get(0),
    )?)
}

/// The note that a message was taken without being given an id.
const NAMELESS: &str = "answers_without_id";

/// Whether a message of a range, to a number and other than one, was taken and awaits its receipt. It is asked of single
/// messages: see [`Table`].
const TAKEN_TO_NUMBER: &str = "
    SELECT EXISTS (
        SELECT 1 FROM message m
         WHERE m.id >= ?1 AND m.id < ?2 AND m.destination = ?3 AND m.id <> ?4
           AND EXISTS (SELECT 1 FROM answer a
                        WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12) AND a.outcome = 0)
           AND NOT EXISTS (SELECT 1 FROM receipt_match x
                            WHERE x.attempt >= (m.id << 12) AND x.attempt < ((m.id + m.parts) << 12)))";

/// As [`TAKEN_TO_NUMBER`], without an id: only such answers are read, which have an index of their own.
const NAMELESS_TO_NUMBER: &str = "
    SELECT EXISTS (
        SELECT 1 FROM answer a
          JOIN message m ON m.id = (SELECT n.id FROM message n WHERE n.id <= (a.attempt >> 12) ORDER BY n.id DESC LIMIT 1)
         WHERE a.outcome = 0 AND a.message_id IS NULL AND a.attempt >= (?1 << 12) AND a.attempt < (?2 << 12)
           AND m.destination = ?3 AND m.id <> ?4
           AND NOT EXISTS (SELECT 1 FROM receipt_match x
                            WHERE x.attempt >= (m.id << 12) AND x.attempt < ((m.id + m.parts) << 12)))";

/// Whether a message was ever taken without being given an id.
pub fn some_are_nameless(connection: &Connection) -> Result<bool, JournalError> {
    Ok(crate::journal::store::notes::note(connection, NAMELESS)?.is_some())
}

impl Matcher {
    /// A message was taken without being given an id.
    pub(in crate::journal) fn note_nameless(&mut self, tx: &Tx<'_>) -> Result<(), JournalError> {
        if !std::mem::replace(&mut self.evidence.nameless, true) {
            crate::journal::store::notes::set_note(tx.connection, NAMELESS, Some("1"))?;
        }
        Ok(())
    }

    /// A receipt had the id of an answer: what could not be decided without knowing that is looked at once more.
    pub(in crate::journal) fn note_ids_match(&mut self) {
        if !std::mem::replace(&mut self.evidence.ids_match, true) {
            // What was found out so far was found out of other messages than those that count now.
            *self.rivals.get_mut() = Table::default();
            self.to_judge.everything();
        }
    }

    /// Whether a message without an id to one of these numbers (0: none), which are not that of `attempt`, awaits its
    /// receipt. `None`: that is not known yet.
    pub(in crate::journal) fn is_rivalled(
        &self,
        tx: &Tx<'_>,
        attempt: Attempt,
        numbers: [u64; 2],
    ) -> Result<Option<bool>, JournalError> {
        let mut is_known = true;
        for number in numbers.into_iter().filter(|number| *number != 0) {
            match self.is_awaited(tx, attempt.part(), number, true, false)? {
                Some(true) => return Ok(Some(true)),
                Some(false) => {}
                None => is_known = false,
            }
        }
        Ok(is_known.then_some(false))
    }

    /// Whether, besides `doubt`, an attempt to `number` was taken and awaits its receipt; `nameless`: and has no id.
    /// Looked up only until the first receipt has matched by its id (without an id: only if there are such), and only where
    /// a number can occur twice. `None`: that is not known yet.
    pub(in crate::journal) fn has_rival(
        &self,
        tx: &Tx<'_>,
        doubt: Attempt,
        number: u64,
        nameless: bool,
    ) -> Result<Option<bool>, JournalError> {
        let Some((message, parts)) = message_of(tx.connection, doubt.part())? else { return Ok(Some(false)) };
        let facts = MessageFacts::load(tx.connection, message, parts)?;
        for (n, attempts) in facts.parts.iter().enumerate() {
            let part = message + n as i64;
            if part != doubt.part()
                && attempts.iter().any(|attempt| attempt.answer == Some(Outcome::Accepted))
                && attempts.iter().all(|attempt| attempt.receipt.is_none())
                && (!nameless || self.was_taken_without_id(tx, part)?)
            {
                return Ok(Some(true));
            }
        }
        self.is_awaited(tx, message, number, nameless, true)
    }

    fn was_taken_without_id(&self, tx: &Tx<'_>, part: i64) -> Result<bool, JournalError> {
        let (from, to) = Attempt::range(part, part + 1);
        let mut statement = tx.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM answer WHERE attempt >= ?1 AND attempt < ?2 AND outcome = 0 AND message_id IS NULL)",
        )?;
        Ok(statement.query_row((from, to), |row| row.get(0))?)
    }

    /// Whether a message to `number` was taken (`nameless`: without an id) and awaits its receipt, besides `message`.
    /// `its_own`: that is the number of `message` itself. `None`: the messages are still being read.
    fn is_awaited(
        &self,
        tx: &Tx<'_>,
        message: i64,
        number: u64,
        nameless: bool,
        its_own: bool,
    ) -> Result<Option<bool>, JournalError> {
        let mut table = self.rivals.borrow_mut();
        let (mut is_read, mut may_be) = (true, false);
        for book in &tx.counts.campaigns {
            let is_only_one = its_own && book.numbers_once && (book.first_id..book.end_id).contains(&message);
            if book.counts[State::Accepted as usize] == 0 || !book.awaits_receipts || is_only_one {
                continue;
            }
            may_be = true;
            is_read &= table.has(book.first_id, book.end_id);
        }
        if !may_be {
            return Ok(Some(false));
        }
        if !is_read {
            return Ok(None);
        }
        if table.is_full() {
            return Ok(Some(true));
        }
        if let Some(known) = table.known(number) {
            for rival in known.rivals.into_iter().flatten().filter(|rival| *rival != message) {
                if self.is_rival(tx, rival, number, nameless)? {
                    return Ok(Some(true));
                }
            }
            let others = known.rivals.into_iter().flatten().filter(|rival| *rival != message).count();
            if others == 0 && known.rivals[1].is_none() {
                return Ok(Some(false));
            }
        }
        let mut rivals = [None; 2];
        for candidate in table.perhaps_to(number) {
            if self.is_rival(tx, candidate, number, nameless)? {
                rivals[usize::from(rivals[0].is_some())] = Some(candidate);
                if rivals[1].is_some() {
                    break;
                }
            }
        }
        let digits = crate::message::address::digits_of_key(number);
        // What is taken shows by the other writing of a number that has two.
        if Destination::parse(&digits).is_ok_and(|destination| destination.same_key() == number) {
            table.note(number, Known { rivals });
        }
        Ok(Some(rivals.into_iter().flatten().any(|rival| rival != message)))
    }

    /// Whether a message goes to `number`, was taken (`nameless`: without an id) and awaits its receipt.
    fn is_rival(&self, tx: &Tx<'_>, message: i64, number: u64, nameless: bool) -> Result<bool, JournalError> {
        self.work.note(1);
        let Some((_, parts)) = message_of(tx.connection, message)? else { return Ok(false) };
        let Some(book) = tx.counts.campaign_of(message).and_then(|index| tx.counts.campaign(index)) else {
            return Ok(false);
        };
        if book.counts[State::Accepted as usize] == 0 {
            return Ok(false);
        }
        let sql = if nameless { NAMELESS_TO_NUMBER } else { TAKEN_TO_NUMBER };
        let digits = crate::message::address::digits_of_key(number);
        let mut statement = tx.connection.prepare_cached(sql)?;
        let (nobody, end) = (-1, message + i64::from(if nameless { parts } else { 1 }));
        Ok(statement.query_row((message, end, &digits, nobody), |row| row.get(0))?)
    }

    /// A message to this number was taken: what was found out of it may be otherwise now.
    pub(in crate::journal) fn note_taken(&mut self, number: u64) {
        self.rivals.get_mut().forget(number);
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::model::campaign::CampaignOptions;
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::store::assignment::Assignment;
    use crate::journal::store::decisions::Decision;
    use crate::journal::testkit::bench::{Bench, FakeReceipt};
    use crate::wire::MessageState::{Delivered, Enroute, Undeliverable};

    const A: &str = "491700000001";
    const B: &str = "491700000002";
    const OK: u32 = 0;

    fn twice_allowed(messages: &[(&str, u8)]) -> Bench {
        let options = CampaignOptions {
            allow_duplicates: true,
            from: crate::journal::testkit::bench::SENDER.into(),
            ..Default::default()
        };
        Bench::with_options(messages, options)
    }

    #[test]
    fn f33_small_ids_in_two_radixes_are_told_apart_by_number() {
        // Answers in hexadecimal, receipts in decimal, both counted from 1: half of the receipts have the id of another.
        let numbers: Vec<String> = (0..300).map(|n| format!("4917{n:08}")).collect();
        let messages: Vec<(&str, u8)> = numbers.iter().map(|number| (number.as_str(), 1)).collect();
        let answer = |n: usize| format!("{:x}", n + 1);
        let receipt = |n: usize| (n + 1).to_string();
        for (answer, receipt) in
            [(&answer as &dyn Fn(usize) -> String, &receipt as &dyn Fn(usize) -> String), (&receipt, &answer)]
        {
            for (early, restart) in [(false, false), (false, true), (true, false)] {
                let mut bench = Bench::new(&messages, Hold);
                let mut session = bench.open_session();
                let sent = bench.send(session, numbers.len());
                let state = |n: usize| if n.is_multiple_of(3) { Undeliverable } else { Delivered };
                for step in [early, !early] {
                    for (n, &sent) in sent.iter().enumerate() {
                        match step {
                            true => bench.receipt(session, &FakeReceipt::new(&receipt(n), state(n), &numbers[n])),
                            false => bench.answer(session, sent, OK, &answer(n)),
                        }
                    }
                    if restart && !step {
                        bench.restart();
                        session = bench.open_session();
                    }
                }
                let states = bench.states();
                for (n, found) in states.iter().enumerate() {
                    assert_eq!(
                        found,
                        if n.is_multiple_of(3) { "failed" } else { "delivered" },
                        "{n} {early} {restart}"
                    );
                }
            }
        }
    }

    #[test]
    fn f33_an_exact_id_counts_although_the_receipt_names_another_number() {
        for early in [true, false] {
            let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
            if early {
                bench.delivered(session, "x1", "4499999999");
            }
            bench.answer(session, sent[0], OK, "x1");
            if !early {
                bench.delivered(session, "x1", "4499999999");
            }
            bench.answer(session, sent[1], OK, "x2");
            assert_eq!(bench.states(), ["delivered", "accepted"], "{early}");
            assert_eq!(bench.rules(), [("exact id alone".to_owned(), Some(2))]);
        }
    }

    #[test]
    fn f33_an_id_given_to_two_numbers_is_that_of_the_number_in_the_receipt() {
        for restart in [false, true] {
            let mut bench = Bench::new(&[(A, 1), (B, 1)], Hold);
            let mut session = bench.open_session();
            for sent in bench.send(session, 2) {
                bench.answer(session, sent, OK, "42");
            }
            if restart {
                bench.restart();
                session = bench.open_session();
            }
            bench.receipt(session, &FakeReceipt::new("42", Undeliverable, B));
            assert_eq!(bench.states(), ["accepted", "failed"]);
            bench.delivered(session, "42", A);
            assert_eq!(bench.states(), ["delivered", "failed"]);
        }
    }

    #[test]
    fn f34_where_ids_never_matched_an_answered_message_is_as_likely() {
        let mut bench = twice_allowed(&[(A, 1), (A, 1), (B, 1)]);
        let session = bench.open_session();
        let sent = bench.send(session, 3);
        bench.answer(session, sent[0], OK, "1");
        bench.answer(session, sent[2], OK, "3");
        bench.time_out(session, sent[1]);
        bench.delivered(session, "strange", A);
        assert_eq!(bench.states(), ["accepted", "in_doubt", "accepted"]);
        assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
        // Once an id has matched, what names nobody is about the one whose id is not known.
        bench.delivered(session, "3", B);
        assert_eq!(bench.states(), ["accepted", "delivered", "delivered"]);
    }

    #[test]
    fn f34_where_a_number_occurs_once_nobody_else_can_be_meant() {
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
        bench.answer(session, sent[1], OK, "2");
        bench.time_out(session, sent[0]);
        bench.delivered(session, "strange", A);
        assert_eq!(bench.states(), ["delivered", "accepted"]);
        // But for the other parts of the same message.
        let (mut bench, session, sent) = Bench::sending(&[(A, 2)], 2);
        bench.answer(session, sent[1], OK, "2");
        bench.time_out(session, sent[0]);
        bench.delivered(session, "strange", A);
        assert_eq!(bench.states(), ["in_doubt"]);
    }

    #[test]
    fn f34_what_a_query_was_told_says_nothing_of_ids() {
        let bench = Bench::new(&[(A, 1)], Hold);
        let connection = rusqlite::Connection::open(&bench.path).unwrap();
        let row = |id: i64, rule: u8| {
            let sql = "INSERT INTO receipt (id, received_at, state, final, rule) VALUES (?1, 0, 2, 1, ?2)";
            connection.execute(sql, (id, rule)).unwrap();
        };
        row(1 << 20, 7);
        assert!(!super::ids_match(&connection).unwrap());
        row(2 << 20, 1);
        assert!(super::ids_match(&connection).unwrap());
    }

    #[test]
    fn f34_a_message_without_an_id_is_as_likely_at_any_time() {
        let mut bench = twice_allowed(&[(A, 1), (A, 1), (B, 1)]);
        let session = bench.open_session();
        let sent = bench.send(session, 3);
        bench.answer(session, sent[0], OK, "");
        bench.answer(session, sent[2], OK, "3");
        bench.time_out(session, sent[1]);
        bench.delivered(session, "3", B);
        bench.delivered(session, "strange", A);
        assert_eq!(bench.states(), ["accepted", "in_doubt", "delivered"]);
        bench.restart();
        let session = bench.open_session();
        bench.delivered(session, "other", A);
        assert_eq!(bench.states(), ["accepted", "in_doubt", "delivered"]);
    }

    #[test]
    fn f34_messages_without_an_id_are_found_by_their_index() {
        let bench = Bench::new(&[(A, 1)], Hold);
        let plan = format!("EXPLAIN QUERY PLAN {}", super::NAMELESS_TO_NUMBER);
        let connection = rusqlite::Connection::open(&bench.path).unwrap();
        let mut statement = connection.prepare(&plan).unwrap();
        let steps = statement.query_map((1, 1_000, A, 1), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        assert!(steps.iter().any(|step| step.contains("SEARCH a USING INDEX answer_without_id")), "{steps:#?}");
        assert!(!steps.iter().any(|step| step.contains("SCAN m")), "{steps:#?}");
    }

    #[test]
    fn f34_an_id_does_not_outweigh_the_number_of_a_message_without_one() {
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (B, 1)], 2);
        bench.answer(session, sent[0], OK, "");
        bench.answer(session, sent[1], OK, "16");
        bench.receipt(session, &FakeReceipt::new("16", Undeliverable, A));
        assert_eq!(bench.states(), ["accepted", "accepted"]);
        assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
    }

    #[test]
    fn f33_numbers_that_are_nearly_alike_are_told_apart() {
        // 0x16 is 22: the answer of one message is the receipt's id of the other.
        let near: u64 = 491_700_000_001;
        for distance in [1, 4_093, 4_094, 4_095, 65_536, 1_000_000, 1 << 20] {
            let other = (near + distance).to_string();
            for restart in [false, true] {
                let mut bench = Bench::new(&[(A, 1), (&other, 1)], Hold);
                let mut session = bench.open_session();
                let sent = bench.send(session, 2);
                bench.answer(session, sent[0], OK, "10");
                bench.answer(session, sent[1], OK, "16");
                if restart {
                    bench.restart();
                    session = bench.open_session();
                }
                bench.receipt(session, &FakeReceipt::new("16", Undeliverable, A));
                assert_eq!(bench.states(), ["failed", "accepted"], "{distance}");
            }
        }
    }

    #[test]
    fn f34_what_the_operator_says_tells_the_id() {
        let mut bench = twice_allowed(&[(A, 1), (A, 1)]);
        let session = bench.open_session();
        for sent in bench.send(session, 2) {
            bench.time_out(session, sent);
        }
        bench.receipt(session, &FakeReceipt::new("k1", Enroute, A));
        bench.delivered(session, "k2", A);
        assert_eq!(bench.states(), ["in_doubt", "in_doubt"]);
        let first = bench.number("SELECT max(receipt) FROM receipt_log");
        bench.decide(&Decision::Assign(Assignment { receipt: first, line: 2, part: 1 }));
        assert_eq!(bench.states(), ["accepted", "delivered"], "the other id is the other message's");
        bench.restart();
        let session = bench.open_session();
        bench.delivered(session, "k1", A);
        assert_eq!(bench.states(), ["delivered", "delivered"]);
    }
}
