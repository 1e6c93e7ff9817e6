//! Rule 5: the operator says whose a receipt is. The decision stands until an answer names the receipt's id exactly.

use super::{Matcher, Tx};
use crate::journal::error::JournalError;
use crate::journal::store::assignment::Assigned;

impl Matcher {
    /// What is kept in memory of a receipt that the operator gave to an attempt.
    pub(in crate::journal) fn note_assigned(&mut self, tx: &Tx<'_>, assigned: &Assigned) -> Result<(), JournalError> {
        for attempt in assigned.from.into_iter().chain([assigned.to]) {
            self.note_matched(tx, attempt)?;
        }
        if let Some(stray) = self.strays.get(assigned.receipt) {
            let (numbers, id) = (stray.marks.numbers, stray.marks.key);
            if let Some(from) = assigned.from
                && let Some(place) = self.name_doubt(tx, from, numbers, None)?
            {
                self.note_change(from, place, true);
            }
            // Others that fitted both may fit one only, now.
            self.to_judge.spelled(id.folded);
            if let Some(place) = self.name_doubt(tx, assigned.to, numbers, Some(id.exact))? {
                self.note_change(assigned.to, place, true);
            }
        }
        self.strays.note_assigned(assigned);
        if assigned.from.is_none() {
            self.unmatched = self.unmatched.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::store::assignment::{Assignment, Refusal};
    use crate::journal::store::decisions::Decision;
    use crate::journal::testkit::bench::{Bench, FakeReceipt};
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
            let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 1)], 2);
            bench.answer(session, sent[0], OK, "077");
            bench.answer(session, sent[1], OK, "0077");
            bench.delivered(session, "77", A);
            assert_eq!(bench.rules(), [("ambiguous".to_owned(), None)]);
            let receipt = bench.number("SELECT receipt FROM receipt_log");
            assert_eq!(bench.query("SELECT source FROM receipt_log", |row| row.get::<_, String>(0)), [A]);
            if while_it_sends {
                bench.decide(&assign(receipt, 3));
            } else {
                bench.thread = None;
                let other = crate::journal::open::open_existing(&bench.path).unwrap();
                crate::journal::store::decisions::request(&other, "test", &assign(receipt, 3)).unwrap();
                bench.restart();
            }
            assert_eq!(bench.states(), ["accepted", "delivered"]);
            assert_eq!(bench.rules(), [("operator".to_owned(), Some(3))]);
            // The message's own receipt comes too, and the other's.
            let session = bench.open_session();
            bench.receipt(session, &FakeReceipt::new("0077", Undeliverable, A));
            bench.delivered(session, "077", A);
            assert_eq!(bench.states(), ["delivered", "delivered"]);
            bench.restart();
            assert_eq!(bench.states(), ["delivered", "delivered"]);
            is_whole(&bench);
        }
    }

    #[test]
    fn f33_an_answer_that_names_the_id_beats_the_operator() {
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 1)], 2);
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
        let (mut bench, session, sent) = Bench::sending(&[(A, 1), (A, 2), (A, 1), (A, 1)], 4);
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
        let (mut bench, session, sent) = Bench::sending(&[(A, 1)], 1);
        bench.answer(session, sent[0], OK, "1");
        bench.delivered(session, "strange", "");
        assert_eq!(bench.states(), ["accepted"]);
        let receipt = bench.number("SELECT receipt FROM receipt_log");
        bench.decide(&assign(receipt, 2));
        assert_eq!(bench.states(), ["delivered"]);
        bench.receipt(session, &FakeReceipt::new("1", Undeliverable, A));
        assert_eq!(bench.states(), ["delivered"]);
        is_whole(&bench);
    }
}
