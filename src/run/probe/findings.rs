//! What the findings of a trial amount to. Concludes nothing where they leave room for another reason.

use super::{Findings, Receipted, Sent};

/// The parts of the long message.
const LONG: [usize; 2] = [3, 4];

/// The parts of the long message that have receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parts {
    /// Both, or none.
    Alike,
    /// One alone, `first` or `last`, and nothing else speaks against the SMSC's meaning it so.
    Only(&'static str),
    /// One alone, for which there may be another reason.
    Unclear(&'static str),
}

impl Findings {
    /// Whether the SMSC took the message that tests this.
    pub fn took(&self, number: usize) -> bool {
        self.sent.iter().any(|sent| sent.number == number && sent.was_taken())
    }

    /// Of which parts of the long message receipts came. Receipts of one part alone count for the other where all that was
    /// sent was taken, every id was understood and every short message has its receipt: else that one is missing too.
    pub fn parts_with_receipts(&self) -> Parts {
        let which = match LONG.map(|number| self.sent.iter().any(|sent| sent.number == number && sent.is_receipted())) {
            [true, false] => "first",
            [false, true] => "last",
            _ => return Parts::Alike,
        };
        let mut short = self.sent.iter().filter(|sent| sent.was_taken() && !LONG.contains(&sent.number)).peekable();
        let receipts = self.sent.iter().flat_map(|sent| &sent.receipts);
        let is_clear = LONG.into_iter().all(|number| self.took(number))
            && short.peek().is_some()
            && short.all(Sent::is_receipted)
            && receipts.into_iter().all(|receipt| receipt.rule.is_some())
            && self.ids_differ()
            && self.foreign == 0
            && self.broken.is_none();
        if is_clear { Parts::Only(which) } else { Parts::Unclear(which) }
    }

    fn ids_differ(&self) -> bool {
        let mut ids: Vec<&[u8]> =
            self.sent.iter().filter(|sent| sent.was_taken()).map(|sent| &sent.message_id[..]).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        ids.len() == count
    }
}

impl Sent {
    /// Whether the SMSC took it and has said what became of it.
    fn is_receipted(&self) -> bool {
        self.was_taken() && self.receipts.iter().any(Receipted::is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::probe::IdRule;
    use crate::wire::{CommandStatus, ReceiptKind};
    use std::time::{Duration, Instant};

    /// Messages written so many milliseconds after the first, with the answer's status, each with a receipt.
    fn findings(told: &[(u64, u32)]) -> Findings {
        let start = Instant::now();
        let sent = told.iter().enumerate().map(|(n, &(at, status))| {
            let receipt = Receipted {
                after: None,
                as_data_sm: false,
                esm_class: 4,
                kind: ReceiptKind::Delivery,
                id: vec![n as u8],
                rule: Some(IdRule::Exact),
                id_in: (true, true),
                text_id: Vec::new(),
                by_text: false,
                state_in: (true, true),
                echoed: true,
                text: Vec::new(),
            };
            Sent {
                number: n + 1,
                octets: Vec::new(),
                reference: 0,
                written_at: Some(start + Duration::from_millis(at)),
                sequence_number: 0,
                throttled: Vec::new(),
                answer: Some((Duration::ZERO, CommandStatus(status))),
                message_id: vec![n as u8],
                receipts: if status == 0 { vec![receipt] } else { Vec::new() },
            }
        });
        Findings { sent: sent.collect(), ..Findings::default() }
    }

    #[test]
    fn f33_only_what_is_beyond_doubt_says_that_one_part_alone_has_a_receipt() {
        type Change = fn(&mut Findings);
        let accepted = [(0, 0); 5];
        for (expected, change) in [
            (Parts::Alike, (|_| {}) as Change),
            (Parts::Only("first"), |f| f.sent[3].receipts.clear()),
            (Parts::Only("last"), |f| f.sent[2].receipts.clear()),
            // The other part was refused, or throttled.
            (Parts::Unclear("first"), |f| {
                f.sent[3].receipts.clear();
                f.sent[3].answer = Some((Duration::ZERO, CommandStatus(8)));
            }),
            // Receipts of others are missing or intermediate, too.
            (Parts::Unclear("first"), |f| f.sent[3..].iter_mut().for_each(|sent| sent.receipts.clear())),
            (Parts::Unclear("first"), |f| {
                f.sent[3].receipts.clear();
                f.sent[0].receipts[0].kind = ReceiptKind::Intermediate;
            }),
            // One came that may be the other part's.
            (Parts::Unclear("first"), |f| {
                f.sent[3].receipts.clear();
                f.foreign = 1;
            }),
            (Parts::Unclear("last"), |f| {
                f.sent[2].receipts.clear();
                f.sent[3].receipts[0].rule = None;
            }),
            // Both parts have the same id.
            (Parts::Unclear("first"), |f| {
                f.sent[3].receipts.clear();
                f.sent[3].message_id = f.sent[2].message_id.clone();
            }),
        ] {
            let mut found = findings(&accepted);
            change(&mut found);
            assert_eq!(found.parts_with_receipts(), expected, "{found:?}");
        }
    }
}
