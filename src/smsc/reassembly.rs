//! Long messages whose parts are not all there yet, as a handset keeps them: for the ledger alone.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::checks::Part;
use crate::message::text::{DefaultAlphabet, decode_with_header};
use crate::wire::Sm;
use crate::wire::values::esm_class;

/// Messages that may wait for parts; the oldest are forgotten, as handsets do.
const WAITING_MAX: usize = 10_000;

/// Source, destination, reference, total.
type Key = (Vec<u8>, Vec<u8>, u16, u8);

/// The parts of long messages, by message.
#[derive(Debug, Default)]
pub(super) struct Joined {
    waiting: HashMap<Key, Vec<Option<String>>>,
    order: VecDeque<Key>,
}

impl Joined {
    /// Takes a part; gives the whole text with the last one.
    pub(super) fn take(&mut self, sm: &Sm<'_>, part: Part) -> Option<String> {
        if part.part == 0 || part.part > part.total {
            return None;
        }
        let has_header = esm_class::has_udh(sm.esm_class);
        let (_, text) = decode_with_header(sm.data_coding, sm.text(), has_header, DefaultAlphabet::default());
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
            *place = Some(text);
        }
        if parts.iter().any(Option::is_none) {
            return None;
        }
        let parts = self.waiting.remove(&key)?;
        // As a rule the newest, or nearly.
        if let Some(at) = self.order.iter().rposition(|other| *other == key) {
            self.order.remove(at);
        }
        Some(parts.into_iter().flatten().collect())
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
        // The reference comes again.
        assert_eq!(take(b"1", 7, 1, b"again "), None);
        assert_eq!(take(b"1", 7, 3, b"beyond"), None);
    }
}
