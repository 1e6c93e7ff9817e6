//! Claimed parts in the order in which they are to be written, and what is taken out of them.

use crate::journal::model::events::{Barred, Item, Run, Sent};
use std::collections::VecDeque;
use std::sync::Arc;

/// The first part of a run, as it will be remembered.
pub(super) fn sent_of(run: &Run) -> Sent {
    let item = &run.chunk.items[run.items.start];
    Sent {
        attempt: item.attempt,
        message: item.message,
        sequence_number: run.first_sequence_number,
        campaign: item.campaign,
        plain: item.is_plain(),
        refused: item.refused,
        late: false,
        referenced: false,
        generation: run.generation,
        destination: item.destination,
    }
}

/// Drops the first part of a run.
pub(super) fn advance(run: &mut Run) {
    run.items.start += 1;
    run.first_serial += 1;
    run.first_sequence_number += 1;
}

/// The runs that are left without what is barred, and what that was. Order, serials and sequence numbers stay as they are.
pub(super) fn without_barred(queue: VecDeque<Run>, barred: &[Arc<Barred>]) -> (VecDeque<Run>, Vec<Sent>) {
    // Parts of a message stand side by side in their chunk, and what stands before the queue's first is through.
    let begun = queue.front().and_then(|run| {
        let before = run.chunk.items.get(run.items.start.checked_sub(1)?)?.message;
        run.chunk.items.get(run.items.start).map(|item| item.message).filter(|&message| message == before)
    });
    let is_barred = |item: &Item| {
        Some(item.message) != begun && barred.iter().any(|barred| barred.bars(item.campaign, item.destination))
    };
    let (mut left, mut sent) = (VecDeque::with_capacity(queue.len()), Vec::new());
    for mut run in queue {
        while !run.items.is_empty() {
            let goes = |item: &&Item| !is_barred(item);
            let count = run.chunk.items[run.items.clone()].iter().take_while(goes).count();
            if count == 0 {
                sent.push(sent_of(&run));
                advance(&mut run);
                continue;
            }
            let end = run.items.start + count;
            left.push_back(Run { items: run.items.start..end, ..run.clone() });
            run.items.start = end;
            run.first_serial += count as i64;
            run.first_sequence_number += count as u32;
        }
    }
    (left, sent)
}

#[cfg(test)]
mod tests;
