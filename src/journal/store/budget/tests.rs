use super::*;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::store::intake::{Intake, Kept, NewMessage};
use crate::message::address::Destination;

fn purse(max_cost: i64) -> Purse {
    let prices = PriceList::parse("44,0.01,EUR").unwrap();
    Purse { max_cost: Amount(max_cost * 10_000), spent: Amount(0), is_over: false, prices, kept: HashSet::new() }
}

/// Parts of one message from `first` on, an SMS each.
fn parts(first: i64, count: i64) -> impl Iterator<Item = (i64, u64)> + Clone {
    (first..first + count).map(|part| (part, 1))
}

#[test]
fn what_never_left_is_paid_for_once() {
    let number = Destination::parse("447700900123").unwrap().same_key();
    let mut purse = purse(4);
    assert!(purse.affords(number, parts(1, 3)));
    purse.pay(number, parts(1, 3));
    // Two of its three parts were never written: their money is theirs, and nobody else's.
    purse.keep(2);
    purse.keep(3);
    assert_eq!(purse.spent, Amount(30_000));
    assert!(purse.affords(number, parts(2, 2)));
    purse.pay(number, parts(2, 2));
    assert_eq!(purse.spent, Amount(30_000));
    // Once more is another try.
    purse.pay(number, parts(2, 1));
    assert_eq!(purse.spent, Amount(40_000));
    assert!(!purse.affords(number, parts(7, 1)) && purse.is_over);
}

#[test]
fn octets_that_the_smsc_splits_cost_what_it_makes_of_them() {
    let options = CampaignOptions { concat: Concat::Payload, ..CampaignOptions::default() };
    let of = |octets: usize, header| sms_of(&options, &"ab".repeat(octets), Encoding::Octets, header);
    assert_eq!([of(140, None), of(141, None), of(268, None), of(269, None)], [1, 2, 2, 3]);
    let port = Some("05040B8423F0");
    assert_eq!([of(133, port), of(134, port), of(256, port), of(257, port)], [1, 2, 2, 3]);
    let cut_here = CampaignOptions::default();
    assert_eq!(sms_of(&cut_here, &"ab".repeat(500), Encoding::Octets, port), 1);
}

#[test]
fn what_was_spent_is_added_up_in_slices_also_where_more_proves_never_to_have_left_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let messages = 2 * LOOKED_AT_MAX as i64 + 50;
    for campaign in ["before", "test"] {
        let mut intake = Intake::begin(&path, campaign, "", &CampaignOptions::default()).unwrap();
        let rows = (0..messages).map(|n| {
            Kept::Message(NewMessage {
                line: n as u64 + 2,
                destination: "447700900001",
                number: 447_700_900_001,
                source: None,
                text: "Hi",
                encoding: 0,
                parts: 1,
                fields: None,
                typed: None,
                suppressed: false,
            })
        });
        intake.store(rows).unwrap();
        intake.finish("").unwrap();
    }
    let connection = crate::journal::open::open_existing(&path).unwrap();
    // A claim for each message; those that follow each other never left, of both campaigns, and others are in doubt.
    let sql = "INSERT INTO claim SELECT id, 0, id, 1, id, 1, id, 0 FROM message;
               INSERT INTO verdict (attempt, at, kind, reason) SELECT id << 12, 0, 1 + (id % 3 = 0), '' FROM message";
    connection.execute_batch(sql).unwrap();
    let first: i64 = connection.query_row("SELECT first_id FROM campaign WHERE id = 2", [], |row| row.get(0)).unwrap();
    let is_unwritten = |id: i64| id % 3 == 0;
    let written = (first..first + messages).filter(|id| !is_unwritten(*id)).count() as i64;
    let prices = PriceList::parse("44,0.01,EUR").unwrap();
    assert_eq!(spent(&connection, 2, &prices).unwrap(), Amount(written * 10_000));
    let mut reckoning = Reckoning::begin(&connection, 2, Amount(7), prices.clone()).unwrap();
    let (mut slices, mut more) = (0, 0);
    while !reckoning.go_on(&connection).unwrap() {
        slices += 1;
        // One that is looked at already, perhaps, and one that is not.
        for id in [first + 3 * slices, first + messages - 3 * slices].map(|id| id + i64::from(is_unwritten(id))) {
            let verdict = "INSERT INTO verdict (attempt, at, kind, reason) VALUES (?1 << 12, 0, 2, '')";
            connection.execute(verdict, [id]).unwrap();
            reckoning.note_unwritten(Attempt::new(id, 0));
            more += 1;
        }
    }
    assert!(slices >= 6, "{slices} slices");
    let purse = reckoning.purse();
    assert_eq!((purse.max_cost, purse.spent), (Amount(7), Amount((written - more) * 10_000)));
    assert!(purse.has_prices(&prices));
}
