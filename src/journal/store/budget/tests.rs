use super::*;
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
