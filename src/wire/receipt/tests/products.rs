//! Receipts as the documentation of products and those who connect to them have them: what each means.

use super::{RECEIPT, unescaped};
use crate::wire::receipt::*;
use std::collections::BTreeSet;

const PRODUCTS: &str = include_str!("../../../../tests/data/receipts_products.txt");

/// `tag=value;tag=value` as octets of TLVs.
fn tlvs(column: &str) -> Vec<u8> {
    let octets = |digits: &str| -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    let all = column.split(';').filter(|tlv| *tlv != "-").map(|tlv| {
        let (tag, value) = tlv.split_once('=').unwrap();
        let value = octets(value);
        [octets(tag), (value.len() as u16).to_be_bytes().to_vec(), value].concat()
    });
    all.collect::<Vec<_>>().concat()
}

/// What counts of a receipt in the words of the file.
fn meaning(receipt: Option<&Receipt<'_>>) -> &'static str {
    let Some((receipt, state)) = receipt.and_then(|receipt| Some((receipt, receipt.state()?))) else {
        return "unknown";
    };
    match state {
        MessageState::Delivered => "delivered",
        MessageState::Unknown => "unknown",
        state if receipt.is_final(state, false) => "undelivered",
        _ => "open",
    }
}

fn words(octets: Option<&[u8]>) -> String {
    octets.map_or_else(|| "-".to_owned(), |octets| String::from_utf8_lossy(octets).into_owned())
}

/// As the columns of the file have it.
fn state(receipt: Option<&Receipt<'_>>) -> String {
    match receipt.and_then(|receipt| receipt.stat.clone()) {
        Some(Stat::Other(word)) => format!("?{}", words(Some(&word))),
        _ => receipt.and_then(Receipt::state).map_or("-", MessageState::name).to_owned(),
    }
}

#[test]
fn the_receipts_of_ten_products_and_more_mean_what_these_say() {
    let mut products = BTreeSet::new();
    for line in PRODUCTS.lines().filter(|line| !line.starts_with('#')) {
        let [product, public, meant, id, expected, err, optional, text] =
            line.splitn(8, '|').map(str::trim_ascii).collect::<Vec<_>>()[..]
        else {
            panic!("eight columns: {line}")
        };
        assert!(public.starts_with("http"), "{line}");
        let (text, optional) = (unescaped(text), tlvs(optional));
        let sm = Sm { esm_class: RECEIPT, short_message: &text, tlvs: Tlvs(&optional), ..Sm::default() };
        let receipt = sm.receipt();
        let receipt = receipt.as_ref();
        assert_eq!(words(receipt.and_then(Receipt::id)), id, "{line}");
        assert_eq!(state(receipt), expected, "{line}");
        assert_eq!(words(receipt.and_then(|receipt| receipt.err.as_deref())), err, "{line}");
        assert_eq!(meaning(receipt), meant, "{line}");
        products.insert(product.split(',').next());
    }
    assert!(products.len() >= 20, "{products:?}");
}
