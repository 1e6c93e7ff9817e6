//! Rule 5: the operator says whose a receipt is. The decision stands until an answer names the receipt's id exactly.

use crate::journal::error::JournalError;
use crate::journal::matcher::unmatched::Rule;
use crate::journal::model::key::{Attempt, Outcome, Verdict};
use crate::journal::store::counts::Books;
use crate::journal::store::history::{MessageFacts, message_of};
use crate::journal::store::lines::message_of_line;
use crate::journal::writer::Keeper;
use rusqlite::{Connection, OptionalExtension};

/// Which receipt, and whose it is said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Assignment {
    /// The receipt's number, as `receipt_log` shows it.
    pub receipt: i64,
    /// The line of the campaign's file.
    pub line: u64,
    /// The part of its message, from 1.
    pub part: u8,
}

/// A receipt that changed hands.
#[derive(Clone, Copy, Debug)]
pub struct Assigned {
    receipt: i64,
    from: Option<Attempt>,
    to: Attempt,
}

/// Why a receipt cannot be assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No receipt has the number.
    NoReceipt,
    /// Its id is exactly that of an attempt.
    IsExact,
    /// No message of the campaign stands on the line.
    NoMessage,
    /// The message has fewer parts.
    NoPart {
        /// So many.
        parts: u8,
    },
    /// The part was never sent, or was refused each time.
    NotSent,
}

impl Assignment {
    /// Finds the attempt that is meant: of the part's tries the newest that was taken, or else the newest that may have been.
    ///
    /// # Errors
    /// The inner result says what speaks against it.
    pub fn attempt(&self, connection: &Connection, campaign: &str) -> Result<Result<Attempt, Refusal>, JournalError> {
        let campaign = crate::journal::store::notes::campaign_id(connection, campaign)?;
        let (first, end): (i64, i64) =
            connection.query_row("SELECT first_id, end_id FROM campaign WHERE id = ?1", [campaign], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.attempt_in(connection, first, end)
    }

    fn attempt_in(
        &self,
        connection: &Connection,
        first: i64,
        end: i64,
    ) -> Result<Result<Attempt, Refusal>, JournalError> {
        match self.rule(connection)? {
            None => return Ok(Err(Refusal::NoReceipt)),
            Some((rule, Some(_))) if rule == Rule::Exact as u8 => return Ok(Err(Refusal::IsExact)),
            Some(_) => {}
        }
        let message = message_of_line(connection, (first, end), self.line)?;
        let Some((message, parts)) = message else { return Ok(Err(Refusal::NoMessage)) };
        if self.part == 0 || self.part > parts {
            return Ok(Err(Refusal::NoPart { parts }));
        }
        let n = usize::from(self.part - 1);
        let facts = MessageFacts::load(connection, message, parts)?;
        let tries = || facts.parts[n].iter().enumerate().rev();
        let taken = tries().find(|(_, facts)| facts.answer == Some(Outcome::Accepted));
        let open = || tries().find(|(_, facts)| facts.answer.is_none() && facts.verdict != Some(Verdict::NotWritten));
        Ok(match taken.or_else(open) {
            Some((tried, _)) => Ok(Attempt::new(message + i64::from(self.part - 1), tried as u16)),
            None => Err(Refusal::NotSent),
        })
    }

    /// By which rule the receipt is whose; `None`: there is no such receipt.
    fn rule(&self, connection: &Connection) -> Result<Option<(u8, Option<Attempt>)>, JournalError> {
        Ok(connection
            .query_row("SELECT rule, attempt FROM receipt_fact WHERE id = ?1", [self.receipt], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Attempt)))
            })
            .optional()?)
    }

    /// Appends the match, unless what came meanwhile speaks against it.
    pub(in crate::journal) fn apply(
        &self,
        connection: &Connection,
        books: &mut Books,
        index: u32,
    ) -> Result<Option<Assigned>, JournalError> {
        let Some((first, end)) = books.campaign(index).map(|book| (book.first_id, book.end_id)) else {
            return Ok(None);
        };
        let Ok(to) = self.attempt_in(connection, first, end)? else { return Ok(None) };
        let from = self.rule(connection)?.and_then(|(_, from)| from);
        if from == Some(to) {
            return Ok(None);
        }
        for attempt in from.into_iter().chain([to]) {
            if message_of(connection, attempt.part())?.is_some() {
                books.touch_as_found(connection, attempt.part())?;
            }
        }
        connection.execute(
            "INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)",
            (self.receipt, to.0, Rule::Operator as u8, crate::platform::clock::now_ms()),
        )?;
        // Of an attempt without an answer the receipt tells the id, by which others of its receipts are known.
        connection.execute(
            "DELETE FROM stray WHERE receipt = ?1 AND EXISTS (SELECT 1 FROM answer WHERE attempt = ?2)",
            (self.receipt, to.0),
        )?;
        Ok(Some(Assigned { receipt: self.receipt, from, to }))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoReceipt => f.write_str(
                "there is no receipt of that number: `smppost report --unmatched` lists those that belong to no message",
            ),
            Self::IsExact => f.write_str("that receipt has exactly the id of the message that it belongs to"),
            Self::NoMessage => f.write_str("no message of the campaign stands on that line"),
            Self::NoPart { parts: 1 } => f.write_str("that message has one part only"),
            Self::NoPart { parts } => write!(f, "that message has {parts} parts, counted from 1"),
            Self::NotSent => f.write_str("that message was not sent, or each time refused: no receipt can be about it"),
        }
    }
}

impl Keeper {
    /// What is kept in memory of a receipt that the operator gave to an attempt.
    pub(in crate::journal) fn note_assigned(&mut self, assigned: &Assigned) -> Result<(), JournalError> {
        for attempt in assigned.from.into_iter().chain([assigned.to]) {
            self.note_matched(attempt)?;
        }
        if let Some(stray) = self.strays.get(assigned.receipt) {
            let (numbers, id) = (stray.marks.numbers, stray.marks.key);
            if let Some(from) = assigned.from
                && let Some(place) = self.name_doubt(from, numbers, None)?
            {
                self.note_change(from, place, true);
            }
            // Others that fitted both may fit one only, now.
            self.to_judge.spelled(id.folded);
            if let Some(place) = self.name_doubt(assigned.to, numbers, Some(id.exact))? {
                self.note_change(assigned.to, place, true);
            }
        }
        self.strays.note(assigned.receipt, Some(assigned.to), Rule::Operator, None);
        if assigned.from.is_none() {
            self.status.unmatched = self.status.unmatched.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::InDoubtPolicy::Hold;
    use crate::journal::store::decisions::Decision;
    use crate::journal::testkit::bench::{Bench, Told};
    use crate::journal::verify::verify;
    use crate::wire::MessageState::Undeliverable;

    const A: &str = "491700000001";
    const OK: u32 = 0;

    fn assign(receipt: i64, line: u64) -> Decision {
        Decision::Assign(Assignment { receipt, line, part: 1 })
    }

    fn is_whole(bench: &Bench) {
        let connection = crate::journal::open::open_read_only(&bench.path).unwrap();
        let report = verify(&connection).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }

    #[test]
    fn f33_the_operator_decides_where_two_fit() {
        for while_it_sends in [true, false] {
            let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
            let session = bench.open_session();
            let sent = bench.send(session, 2);
            bench.answer(session, sent[0], OK, "077");
            bench.answer(session, sent[1], OK, "0077");
            bench.delivered(session, "77", A);
            assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
            let receipt = bench.number("SELECT receipt FROM receipt_log");
            assert_eq!(bench.query("SELECT source FROM receipt_log", |row| row.get::<_, String>(0)), [A]);
            if while_it_sends {
                bench.decide(&assign(receipt, 3));
            } else {
                bench.keeper = None;
                let other = crate::journal::open::open_existing(&bench.path).unwrap();
                crate::journal::store::decisions::request(&other, "test", &assign(receipt, 3)).unwrap();
                bench.restart();
            }
            assert_eq!(bench.states(), ["accepted", "delivered"]);
            assert_eq!(bench.rules(), [("operator".to_owned(), Some(3))]);
            // The message's own receipt comes too, and the other's.
            let session = bench.open_session();
            bench.receipt(
                session,
                &Told { id: "0077", state: Undeliverable, is_final: true, from: A, reference: None, text_id: "" },
            );
            bench.delivered(session, "077", A);
            assert_eq!(bench.states(), ["delivered", "delivered"]);
            bench.restart();
            assert_eq!(bench.states(), ["delivered", "delivered"]);
            is_whole(&bench);
        }
    }

    #[test]
    fn f33_an_answer_that_names_the_id_beats_the_operator() {
        let mut bench = Bench::new(&[(A, 1), (A, 1)], Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 2);
        let late: Vec<_> = sent.into_iter().map(|sent| bench.time_out(session, sent)).collect();
        bench.delivered(session, "x1", A);
        assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
        let receipt = bench.number("SELECT receipt FROM receipt_log");
        bench.decide(&assign(receipt, 2));
        assert_eq!(bench.states(), ["delivered", "in_doubt"]);
        // Once more says nothing new.
        bench.decide(&assign(receipt, 2));
        assert_eq!(bench.number("SELECT count(*) FROM receipt_match WHERE rule = 5"), 1);
        bench.decide(&assign(receipt, 3));
        assert_eq!(bench.states(), ["in_doubt", "delivered"]);
        bench.decide(&assign(receipt, 2));
        bench.answer(session, late[1], OK, "x1");
        assert_eq!(bench.states(), ["in_doubt", "delivered"]);
        assert_eq!(bench.rules(), [("exact id".to_owned(), Some(3))]);
        // What is exact stays.
        bench.decide(&assign(receipt, 2));
        assert_eq!(bench.rules(), [("exact id".to_owned(), Some(3))]);
        is_whole(&bench);
    }

    #[test]
    fn what_cannot_be_assigned_says_why() {
        let mut bench = Bench::new(&[(A, 1), (A, 2), (A, 1), (A, 1)], Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 4);
        bench.answer(session, sent[0], OK, "1");
        bench.answer(session, sent[1], OK, "2");
        bench.answer(session, sent[2], OK, "3");
        bench.answer(session, sent[3], 0x0B, "");
        bench.delivered(session, "1", A);
        bench.delivered(session, "strange", "");
        let receipts = bench.query("SELECT receipt FROM receipt_log ORDER BY receipt", |row| row.get::<_, i64>(0));
        let connection = crate::journal::open::open_existing(&bench.path).unwrap();
        let attempt = |receipt, line, part| Assignment { receipt, line, part }.attempt(&connection, "test").unwrap();
        assert_eq!(attempt(receipts[0], 3, 2), Ok(sent[2].attempt));
        assert_eq!(attempt(receipts[0], 3, 3), Err(Refusal::NoPart { parts: 2 }));
        assert_eq!(attempt(receipts[0], 3, 0), Err(Refusal::NoPart { parts: 2 }));
        assert_eq!(attempt(receipts[0], 4, 1), Err(Refusal::NotSent), "rejected");
        assert_eq!(attempt(receipts[0], 5, 1), Err(Refusal::NotSent), "queued");
        assert_eq!(attempt(receipts[0], 9, 1), Err(Refusal::NoMessage));
        assert_eq!(attempt(receipts[1], 3, 1), Err(Refusal::IsExact));
        assert_eq!(attempt(-99, 3, 1), Err(Refusal::NoReceipt));
        assert!(Assignment { receipt: 1, line: 2, part: 1 }.attempt(&connection, "other").is_err());
    }

    #[test]
    fn a_receipt_given_to_a_plain_message_leaves_the_counts_right() {
        let mut bench = Bench::new(&[(A, 1)], Hold);
        let session = bench.open_session();
        let sent = bench.send(session, 1);
        bench.answer(session, sent[0], OK, "1");
        bench.delivered(session, "strange", "");
        assert_eq!(bench.states(), ["accepted"]);
        let receipt = bench.number("SELECT receipt FROM receipt_log");
        bench.decide(&assign(receipt, 2));
        assert_eq!(bench.states(), ["delivered"]);
        bench.receipt(
            session,
            &Told { id: "1", state: Undeliverable, is_final: true, from: A, reference: None, text_id: "" },
        );
        assert_eq!(bench.states(), ["delivered"]);
        is_whole(&bench);
    }
}
