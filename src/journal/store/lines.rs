//! Finds a campaign's message by the line of its file. Messages are numbered in the order of their lines, so that no index is
//! needed and a campaign of millions is not read through for each line.

use crate::journal::error::JournalError;
use rusqlite::{Connection, OptionalExtension};

/// The number and the parts of the message of a line of the campaign whose messages are `first <= id < end`.
pub fn message_of_line(
    connection: &Connection,
    (first, end): (i64, i64),
    line: u64,
) -> Result<Option<(i64, u8)>, JournalError> {
    let Ok(line) = i64::try_from(line) else { return Ok(None) };
    let mut next = connection
        .prepare_cached("SELECT id, line, parts FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?;
    let (mut low, mut high) = (first, end);
    // The first message of this line or a later one, as far as was looked: all from `high` on are that, or come after it.
    let mut found: Option<(i64, i64, u8)> = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let row: Option<(i64, i64, u8)> =
            next.query_row((middle, high), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        match row {
            Some((id, at, _)) if at < line => low = id + 1,
            Some(row) => (high, found) = (middle, Some(row)),
            None => high = middle,
        }
    }
    Ok(found.filter(|row| row.1 == line).map(|(id, _, parts)| (id, parts)))
}

/// [`message_of_line`] of a campaign by its id.
pub fn message_of_campaigns_line(
    connection: &Connection,
    campaign: i64,
    line: u64,
) -> Result<Option<(i64, u8)>, JournalError> {
    let range = connection
        .prepare_cached("SELECT first_id, end_id FROM campaign WHERE id = ?1")?
        .query_row([campaign], |row| Ok((row.get(0)?, row.get(1)?)))?;
    message_of_line(connection, range, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn journal(messages: &[(i64, i64, u8)]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        for message in messages {
            connection
                .execute(
                    "INSERT INTO message (id, line, destination, text, encoding, parts) VALUES (?1, ?2, '1', 'x', 0, ?3)",
                    *message,
                )
                .unwrap();
        }
        connection
    }

    proptest! {
        #[test]
        fn every_line_is_found_and_no_other(steps in proptest::collection::vec((1..4i64, 1..4u8, any::<bool>()), 0..40)) {
            // Rows that were rejected leave gaps between lines, parts and purged messages gaps between numbers.
            let (mut id, mut line, mut messages) = (100, 1, vec![(90, 3, 1)]);
            let mut kept = Vec::new();
            for (gap, parts, is_there) in steps {
                line += gap;
                if is_there {
                    kept.push((line as u64, id, parts));
                    messages.push((id, line, parts));
                }
                id += i64::from(parts);
            }
            messages.push((id, 5, 1));
            let connection = journal(&messages);
            for line in 0..200 {
                let expected = kept.iter().find(|kept| kept.0 == line).map(|&(_, id, parts)| (id, parts));
                prop_assert_eq!(message_of_line(&connection, (100, id), line).unwrap(), expected);
            }
            prop_assert_eq!(message_of_line(&connection, (100, id), u64::MAX).unwrap(), None);
        }
    }

    #[test]
    fn the_last_line_of_many_takes_a_few_look_ups() {
        let messages: Vec<(i64, i64, u8)> = (1..=20_000).map(|n| (n, n + 1, 1)).collect();
        let mut connection = journal(&messages);
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Relaxed);
            false
        };
        connection.progress_handler(10, Some(count)).unwrap();
        assert_eq!(message_of_line(&connection, (1, 20_001), 20_001).unwrap(), Some((20_000, 1)));
        // Fifteen of them; each of 20,000 rows would be some five.
        assert!(10 * steps.load(Relaxed) < 1_000, "{steps:?}");
    }
}
