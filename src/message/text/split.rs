//! The one place that decides where a long text is cut.
//!
//! [`segment`](super::segment) counts what [`Split`] yields and [`Encoder`](super::Encoder) encodes what it yields, so
//! the number of parts in the journal and the number on the wire cannot differ.

use unicode_segmentation::GraphemeCursor;

use super::{Concat, Encoding, MAX_PARTS, gsm};

/// Yields the pieces of a text, one for each part, in order; together they are the text.
#[derive(Clone, Debug)]
pub(super) struct Split<'a> {
    text: &'a str,
    at: usize,
    encoding: Encoding,
    /// Units (septets, UCS2 units or octets) that a part holds; no limit where all of them fit into one.
    capacity: usize,
    /// An empty text is still one part.
    started: bool,
}

impl<'a> Split<'a> {
    /// `units` is the length of the text in units of the encoding: it decides whether it is cut at all.
    pub(super) fn new(text: &'a str, encoding: Encoding, units: usize, concat: Concat) -> Split<'a> {
        let capacity = if units <= encoding.units_single() { usize::MAX } else { encoding.units_per_part(concat) };
        Split { text, at: 0, encoding, capacity, started: false }
    }

    /// A text that is not cut.
    pub(super) fn whole(text: &'a str, encoding: Encoding) -> Split<'a> {
        Split { text, at: 0, encoding, capacity: usize::MAX, started: false }
    }

    /// The number of parts left, counted no further than one past the limit.
    pub(super) fn count_limited(self) -> usize {
        self.take(MAX_PARTS + 1).count()
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.at == self.text.len() && self.started {
            return None;
        }
        self.started = true;
        let start = self.at;
        if self.capacity == usize::MAX {
            self.at = self.text.len();
            return Some(self.text);
        }
        let full = start + fitting(&self.text[start..], self.encoding, self.capacity);
        self.at = if full == self.text.len() { full } else { before_cluster(self.text, start, full) };
        Some(&self.text[start..self.at])
    }
}

/// The octets of the longest run of whole characters that holds at most `capacity` units.
///
/// Whole characters only: that is what keeps escape pairs and surrogate pairs together.
fn fitting(text: &str, encoding: Encoding, capacity: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += match encoding {
            Encoding::Gsm7 => 1 + usize::from(gsm::code(c) >= 0x80),
            Encoding::Shifted(shift) => 1 + usize::from(shift.code(c) >= 0x80),
            Encoding::Ucs2 => c.len_utf16(),
            Encoding::Ascii | Encoding::Latin1 | Encoding::Octets => 1,
        };
        if units > capacity {
            return at;
        }
    }
    text.len()
}

/// Moves a cut back to the start of the grapheme cluster that it would tear, unless the cluster fills the whole part.
fn before_cluster(text: &str, start: usize, cut: usize) -> usize {
    let mut cursor = GraphemeCursor::new(cut, text.len(), true);
    if cursor.is_boundary(text, 0) != Ok(false) {
        return cut;
    }
    match cursor.prev_boundary(text, 0) {
        Ok(Some(boundary)) if boundary > start => boundary,
        _ => cut,
    }
}
