//! Spaces around quotes: `1, "Hi, Ann" ,x` has the field `Hi, Ann`, as people mean it.
//!
//! The splitter takes a quote for one only where it touches the delimiter. So what it is given has the spaces moved inside of
//! the quotes, octet for octet, as marks that are taken off the fields again.

use memchr::{memchr, memchr3};

use super::is_line_end;

/// What stands for a space that was outside of the quotes.
pub(super) const MARK: u8 = 0x01;

/// Where a text is, as far as quotes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where a field begins.
    Start,
    /// In a field without quotes.
    Plain,
    /// Within quotes.
    Quoted,
}

/// Moves spaces of a text that comes in pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spaces {
    delimiter: u8,
    place: Place,
    /// Whether any was moved.
    pub moved: bool,
}

impl Spaces {
    pub(super) fn new(delimiter: u8) -> Spaces {
        Spaces { delimiter, place: Place::Start, moved: false }
    }

    fn is_blank(&self, octet: u8) -> bool {
        (octet == b' ' || octet == b'\t') && octet != self.delimiter
    }

    fn ends_field(&self, octet: u8) -> bool {
        octet == self.delimiter || is_line_end(octet)
    }

    /// Moves spaces in `piece`, and returns how many of its octets can be passed on: the rest has to come again, with what
    /// follows it. `is_last`: nothing does.
    pub(super) fn pass(&mut self, piece: &mut [u8], is_last: bool) -> usize {
        if self.place != Place::Quoted && memchr(b'"', piece).is_none() {
            return self.pass_plain(piece, is_last);
        }
        let mut at = 0;
        while at < piece.len() {
            match self.place {
                Place::Start => {
                    let spaces = at;
                    while piece.get(at).is_some_and(|&octet| self.is_blank(octet)) {
                        at += 1;
                    }
                    match piece.get(at) {
                        None if is_last => return piece.len(),
                        None => return spaces,
                        Some(b'"') => {
                            if at > spaces {
                                piece[spaces..=at].fill(MARK);
                                piece[spaces] = b'"';
                                self.moved = true;
                            }
                            at += 1;
                            self.place = Place::Quoted;
                        }
                        Some(&octet) if self.ends_field(octet) => at += 1,
                        Some(_) => self.place = Place::Plain,
                    }
                }
                Place::Plain => match memchr3(self.delimiter, b'\n', b'\r', &piece[at..]) {
                    Some(ahead) => {
                        at += ahead + 1;
                        self.place = Place::Start;
                    }
                    None => return piece.len(),
                },
                Place::Quoted => {
                    let Some(ahead) = memchr(b'"', &piece[at..]) else { return piece.len() };
                    let quote = at + ahead;
                    if piece.get(quote + 1) == Some(&b'"') {
                        at = quote + 2;
                        continue;
                    }
                    let mut end = quote + 1;
                    while piece.get(end).is_some_and(|&octet| self.is_blank(octet)) {
                        end += 1;
                    }
                    let is_end = match piece.get(end) {
                        None if !is_last => return quote,
                        None => true,
                        Some(&octet) => self.ends_field(octet),
                    };
                    if is_end && end > quote + 1 {
                        piece[quote..end].fill(MARK);
                        piece[end - 1] = b'"';
                        self.moved = true;
                    }
                    at = end;
                    self.place = Place::Plain;
                }
            }
        }
        piece.len()
    }
}

impl Spaces {
    /// The same for a piece without a quote, of which only the end matters.
    fn pass_plain(&mut self, piece: &[u8], is_last: bool) -> usize {
        match piece.iter().rposition(|&octet| !self.is_blank(octet)) {
            _ if is_last => piece.len(),
            None if self.place == Place::Start => 0,
            None => piece.len(),
            Some(last) if self.ends_field(piece[last]) => {
                self.place = Place::Start;
                last + 1
            }
            Some(_) => {
                self.place = Place::Plain;
                piece.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the splitter is given it, with `#` for marks, in pieces of so many octets.
    fn moved(text: &str, octets: usize) -> String {
        let mut spaces = Spaces::new(b',');
        let (mut out, mut from, mut size) = (Vec::new(), 0, octets);
        while from < text.len() {
            let end = text.len().min(from + size);
            let mut piece = text.as_bytes()[from..end].to_vec();
            let passed = spaces.pass(&mut piece, end == text.len());
            out.extend_from_slice(&piece[..passed]);
            from += passed;
            size = if passed == 0 { size + 1 } else { octets };
        }
        String::from_utf8(out).unwrap().replace('\u{1}', "#")
    }

    #[test]
    fn blanks_are_moved_however_the_text_is_cut() {
        for (text, expected) in [
            ("a, \"b\"", "a,\"#b\""),
            ("a,  \"b, c\"  ,d\n", "a,\"##b, c##\",d\n"),
            (" \"a\" \n\t\"b\"\t", "\"#a#\"\n\"#b#\""),
            ("a, b\", \"c\"", "a, b\",\"#c\""),
            ("\"a, \"\"b\"\" \",c", "\"a, \"\"b\"\" \",c"),
            ("\"a\" b,\"c\"", "\"a\" b,\"c\""),
            ("\"two\n \"\"lines\"\"\", \"x\"", "\"two\n \"\"lines\"\"\",\"#x\""),
            (" a , b \r\n c", " a , b \r\n c"),
            ("\"\" ,\"\"\n", "\"#\",\"\"\n"),
            ("a,   ", "a,   "),
        ] {
            for octets in 1..=text.len() {
                assert_eq!(moved(text, octets), expected, "{text:?} in {octets}");
            }
        }
    }
}
