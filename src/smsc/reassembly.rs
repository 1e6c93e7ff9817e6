//! Long messages whose parts are not all there yet, as a handset keeps them: for the ledger alone.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::checks::Part;
use crate::message::text::{DefaultAlphabet, decode, split_udh};
use crate::wire::Sm;
use crate::wire::values::esm_class;

/// Messages that may wait for parts; the oldest are forgotten, as handsets do.
const WAITING_MAX: usize = 10_000;

/// Source, destination, reference, total.
type Key = (Vec<u8>, Vec<u8>, u16, u8);
/// The data_coding of a part, and its octets without their header.
type Piece = (u8, Vec<u8>);

/// The parts of long messages, by message.
#[derive(Debug, Default)]
pub(super) struct Joined {
    waiting: HashMap<Key, Vec<Option<Piece>>>,
    order: VecDeque<Key>,
}

impl Joined {
    /// Takes a part; gives the whole text with the last one.
    pub(super) fn take(&mut self, sm: &Sm<'_>, part: Part) -> Option<String> {
        if part.part == 0 || part.part > part.total {
            return None;
        }
        let body = if esm_class::has_udh(sm.esm_class) { split_udh(sm.text()).1 } else { sm.text() };
        let key = (sm.source.addr.to_vec(), sm.destination.addr.to_vec(), part.reference, part.total);
        if !self.waiting.contains_key(&key) {
            if self.order.len() >= WAITING_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.waiting.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let parts = self.waiting.entry(key.clone()).or_insert_with(|| vec![None; usize::from(part.total)]);
        if let Some(place) = parts.get_mut(usize::from(part.part) - 1) {
            *place = Some((sm.data_coding, body.to_vec()));
        }
        if parts.iter().any(Option::is_none) {
            return None;
        }
        let parts = self.waiting.remove(&key)?;
        // As a rule the newest, or nearly.
        if let Some(at) = self.order.iter().rposition(|other| *other == key) {
            self.order.remove(at);
        }
        // There are clients that cut inside a character: parts of one alphabet are read together.
        let mut runs: Vec<Piece> = Vec::new();
        for (data_coding, octets) in parts.into_iter().flatten() {
            match runs.last_mut() {
                Some((coding, run)) if *coding == data_coding => run.extend_from_slice(&octets),
                _ => runs.push((data_coding, octets)),
            }
        }
        Some(runs.iter().map(|(coding, octets)| decode(*coding, octets, DefaultAlphabet::default())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Address;

    #[test]
    fn a_text_is_whole_with_its_last_part_in_any_order() {
        let mut joined = Joined::default();
        let mut take = |destination: &'static [u8], reference, part, text: &'static [u8]| {
            let sm = Sm { destination: Address::new(1, 1, destination), short_message: text, ..Sm::default() };
            joined.take(&sm, Part { reference, total: 2, part })
        };
        assert_eq!(take(b"1", 7, 2, b"world"), None);
        assert_eq!(take(b"2", 7, 1, b"other "), None);
        assert_eq!(take(b"1", 8, 1, b"other "), None);
        assert_eq!(take(b"1", 7, 1, b"hello ").as_deref(), Some("hello world"));
        // Cut between an escape and its character.
        assert_eq!(take(b"1", 9, 1, b"5 \x1B"), None);
        assert_eq!(take(b"1", 9, 2, b"e"), Some("5 €".to_owned()));
        // The reference comes again.
        assert_eq!(take(b"1", 7, 1, b"again "), None);
        assert_eq!(take(b"1", 7, 3, b"beyond"), None);
    }
}
