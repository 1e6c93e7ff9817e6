//! Where PDUs begin in a stream, followed without keeping it.

use crate::wire::{HEADER_OCTETS, MAX_PDU_OCTETS};

/// How far a stream is.
#[derive(Debug, Default)]
pub struct Cut {
    /// The beginning of a command_length that is not whole yet.
    length: [u8; 4],
    have: usize,
    /// Octets of the current PDU that are still to come.
    left: usize,
    /// A command_length made no sense: nothing after it can be framed.
    is_broken: bool,
}

impl Cut {
    /// Takes the next octets. Returns how many PDUs begin in them, and where the first of those does.
    pub fn follow(&mut self, octets: &[u8]) -> (u64, Option<usize>) {
        let (mut begun, mut boundary, mut at) = (0, None, 0);
        while at < octets.len() && !self.is_broken {
            if self.left > 0 {
                let step = self.left.min(octets.len() - at);
                self.left -= step;
                at += step;
                continue;
            }
            if self.have == 0 {
                begun += 1;
                boundary = boundary.or(Some(at));
            }
            self.length[self.have] = octets[at];
            self.have += 1;
            at += 1;
            if self.have == self.length.len() {
                let length = u32::from_be_bytes(self.length) as usize;
                self.is_broken = !(HEADER_OCTETS..=MAX_PDU_OCTETS).contains(&length);
                self.left = length.saturating_sub(self.have);
                self.have = 0;
            }
        }
        (begun, boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_found_however_the_stream_is_read() {
        let mut stream = Vec::new();
        for length in [16_u32, 20, 300, 16] {
            stream.extend(length.to_be_bytes());
            stream.resize(stream.len() + length as usize - 4, 7);
        }
        for size in 1..stream.len() {
            let mut cut = Cut::default();
            let mut begun = 0;
            let mut found = Vec::new();
            for (n, octets) in stream.chunks(size).enumerate() {
                let (more, boundary) = cut.follow(octets);
                begun += more;
                found.extend(boundary.map(|at| n * size + at));
            }
            assert_eq!(begun, 4, "{size}");
            assert!(found.iter().all(|at| [0, 16, 36, 336].contains(at)), "{size}: {found:?}");
        }
        let mut cut = Cut::default();
        assert_eq!(cut.follow(b"HTTP/1.1 400 Bad Request"), (1, Some(0)));
        assert_eq!(cut.follow(b"more"), (0, None));
    }
}
