//! Receipts read back from the journal as [`Stray`]s, to be judged or judged anew.

use crate::journal::matcher::id_index::Ids;
use crate::journal::matcher::unmatched::{Stray, fingerprint, numbers_in};
use crate::journal::model::key::Attempt;
use crate::journal::model::rule::Rule;
use rusqlite::Row;

/// The columns that [`stray_of`] reads. A receipt that is stored under its attempt's number keeps its id only in the answer,
/// and names the attempt's own number unless its addresses are kept.
const COLUMNS: &str = "
    r.id, r.final, coalesce(r.message_id, (SELECT a.message_id FROM answer a WHERE a.attempt = r.id >> 8)), r.text_id,
    coalesce(r.source, (SELECT m.destination FROM message m WHERE m.id <= (r.id >> 20) ORDER BY m.id DESC LIMIT 1)),
    r.destination, r.received_at, r.tlvs, x.id IS NOT NULL, x.attempt, x.rule,
    r.state IS 2";

/// A statement that gives the receipts of `from` (a FROM clause with receipt `r`), and `rest` after it.
pub fn select(from: &str, rest: &str) -> String {
    format!(
        "SELECT {COLUMNS} {from} LEFT JOIN receipt_match x
             ON x.id = (SELECT max(y.id) FROM receipt_match y WHERE y.receipt_id = r.id) {rest}"
    )
}

/// A statement that gives the receipts that `strays` (a SELECT of their numbers) finds, the oldest first. Only these are read: the
/// planner would go through all receipts to have them in their order.
pub fn select_strays(strays: &str) -> String {
    select(&format!("FROM ({strays}) s CROSS JOIN receipt r ON r.id = s.receipt"), "ORDER BY s.receipt DESC")
}

/// A receipt as such a statement gives it. It is judged if something was found out of it since it was stored, or when it was,
/// or else if its number is not below `judged_to`: then it was found to have no owner. `listed`: it stands in table `stray`.
pub fn stray_of(row: &Row<'_>, ids: &Ids, judged_to: Option<i64>, listed: bool) -> rusqlite::Result<Stray> {
    let text = |column| -> rusqlite::Result<String> { Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default()) };
    let tlvs = row.get_ref(7)?.as_blob_or_null().unwrap_or_default().unwrap_or_default();
    let id: i64 = row.get(0)?;
    let is_matched: bool = row.get(8)?;
    let (owner, rule) = if is_matched {
        let rule = row.get::<_, Option<u8>>(10)?.map_or(Rule::None, Rule::from_number);
        (row.get::<_, Option<i64>>(9)?.map(Attempt), rule)
    } else if id >= 0 {
        (Some(Attempt::of_receipt(id)), Rule::Exact)
    } else {
        (None, Rule::None)
    };
    let (source, destination) = (text(4)?, text(5)?);
    let addresses = [&*source, &*destination];
    let ids_named = (text(2)?, text(3)?);
    let ids_named = (ids_named.0.as_bytes(), ids_named.1.as_bytes());
    Ok(Stray {
        id,
        marks: fingerprint(ids, ids_named, addresses, numbers_in(addresses), tlvs),
        is_final: row.get(1)?,
        is_delivered: row.get(11)?,
        received_at: row.get(6)?,
        generation: 0,
        serial: None,
        owner,
        rule,
        judged: is_matched || id >= 0 || judged_to.is_some_and(|to| id >= to),
        listed,
        rivalled: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f24_of_all_receipts_only_those_without_an_owner_are_read() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
        let strays = [
            "SELECT receipt FROM stray ORDER BY receipt LIMIT ?1",
            "SELECT receipt FROM stray WHERE receipt <= ?1 ORDER BY receipt DESC LIMIT ?2",
            super::super::unmatched_overflow::LEFT_OUT,
        ];
        for strays in strays {
            let sql = format!("EXPLAIN QUERY PLAN {}", select_strays(strays));
            let mut statement = connection.prepare(&sql).unwrap();
            let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            assert!(steps.iter().any(|step| step.contains("SEARCH r ")), "{steps:#?}");
            assert!(!steps.iter().any(|step| step.contains("SCAN r")), "{steps:#?}");
        }
    }
}
