//! User data headers (3GPP TS 23.040, 9.2.3.24): what stands in front of a text where esm_class has the bit
//! [`UDHI`](crate::wire::values::esm_class::UDHI). A length octet, then elements: identifier, length, value.

/// Parts a text that begins with a user data header into the header, without its length octet, and the text. `None`: the
/// header would be longer than all there is, so there is none.
///
/// ```
/// use smppost::wire::udh;
///
/// let (header, text) = udh::split(b"\x05\x00\x03\x2A\x02\x01Hello").unwrap();
/// assert_eq!((header.len(), text), (5, &b"Hello"[..]));
/// assert_eq!(udh::elements(header).next(), Some((0x00, &[0x2A, 2, 1][..])));
/// assert_eq!(udh::split(b"\x09short"), None);
/// ```
pub fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// The elements of a header, by identifier and value.
pub fn elements(header: &[u8]) -> Elements<'_> {
    Elements { rest: header }
}

/// See [`elements`]. Ends before an element that is longer than what is left.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// What was not gone through yet; at the end, what is no element.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [identifier, length, tail @ ..] = self.rest else { return None };
        let (value, after) = tail.split_at_checked(usize::from(*length))?;
        self.rest = after;
        Some((*identifier, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end_where_nothing_whole_is_left() {
        let check = |header: &[u8], found: &[(u8, &[u8])], rest: &[u8]| {
            let mut all = elements(header);
            assert_eq!((all.by_ref().collect::<Vec<_>>(), all.rest()), (found.to_vec(), rest), "{header:?}");
        };
        check(&[], &[], &[]);
        check(&[0, 3, 1, 2, 1, 0x24, 1, 9], &[(0, &[1, 2, 1]), (0x24, &[9])], &[]);
        check(&[5, 0], &[(5, &[])], &[]);
        check(&[0, 3, 1, 2, 1, 7], &[(0, &[1, 2, 1])], &[7]);
        check(&[0, 3, 1, 2], &[], &[0, 3, 1, 2]);
    }

    #[test]
    fn a_header_that_is_not_whole_is_none() {
        assert_eq!(split(&[]), None);
        assert_eq!(split(&[0]), Some((&[][..], &[][..])));
        assert_eq!(split(&[2, 5, 0]), Some((&[5, 0][..], &[][..])));
        assert_eq!(split(&[3, 5, 0]), None);
    }
}
