//! Cutting a stream of octets into PDUs, whatever the reads were.
use std::fmt;

use super::header::{HEADER_OCTETS, MAX_PDU_OCTETS};

/// The size that a buffer starts with, in octets.
const FIRST_OCTETS: usize = 64 * 1024;

/// The size that a buffer may grow to, in octets. Octets per system call decide the speed, and beyond this little is won.
const MOST_OCTETS: usize = 256 * 1024;

/// The least room that [`FrameBuffer::spare`] offers, in octets, as long as complete frames are taken out between reads.
const LEAST_SPARE_OCTETS: usize = 16 * 1024;

// A partial PDU always leaves room for a read, so an empty spare slice can only mean frames that nobody took.
const _: () = assert!(MAX_PDU_OCTETS + LEAST_SPARE_OCTETS <= MOST_OCTETS);

/// A read buffer that gives out whole PDUs. Its size never follows a length that the peer sent.
///
/// ```
/// use smppost::wire::{FrameBuffer, encode_enquire_link};
/// let mut stream = Vec::new();
/// encode_enquire_link(7, &mut stream);
/// let mut buffer = FrameBuffer::new();
/// buffer.spare()[..stream.len()].copy_from_slice(&stream); // a read
/// buffer.filled(stream.len());
/// while let Some(frame) = buffer.next_frame()? {
///     assert_eq!(frame, stream);
/// }
/// assert!(!buffer.has_partial());
/// # Ok::<(), smppost::wire::FrameError>(())
/// ```
#[derive(Debug)]
pub struct FrameBuffer {
    octets: Vec<u8>,
    /// Where the next frame starts.
    start: usize,
    /// Where the octets that were read end.
    end: usize,
    /// The last read filled all that was offered, so a larger buffer would have taken more.
    was_full: bool,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuffer {
    /// An empty buffer of 64 KiB. It grows up to 256 KiB when reads fill it.
    #[must_use]
    pub fn new() -> Self {
        Self { octets: vec![0; FIRST_OCTETS], start: 0, end: 0, was_full: false }
    }

    /// Room to read into; say with [`filled`](Self::filled) how much was read. At least 16 KiB if all complete frames
    /// were taken out beforehand; empty only when nobody takes them.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 {
            // What is moved is one partial PDU at most, as a rule nothing.
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let cramped = self.octets.len() - self.end < LEAST_SPARE_OCTETS;
        if (cramped || self.was_full) && self.octets.len() < MOST_OCTETS {
            self.octets.resize(self.octets.len() * 2, 0);
        }
        self.was_full = false;
        &mut self.octets[self.end..]
    }

    /// Notes that the first `count` octets of [`spare`](Self::spare) were read. More than it offered counts as all of it.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.octets.len());
        self.was_full = self.end == self.octets.len();
    }

    /// The next whole PDU with its header, or `None` until more is read.
    ///
    /// # Errors
    /// A command_length under 16 or over 70,000: the stream cannot be framed any more, and the error comes again at
    /// every further call. It is seen as soon as four octets are there.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let pending = &self.octets[self.start..self.end];
        let Some(first) = pending.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*first) as usize;
        if !(HEADER_OCTETS..=MAX_PDU_OCTETS).contains(&length) {
            return Err(FrameError::new(*first));
        }
        if pending.len() < length {
            return Ok(None);
        }
        let frame = self.start..self.start + length;
        self.start = frame.end;
        Ok(Some(&self.octets[frame]))
    }

    /// Octets that were read and not yet given out as frames. After [`next_frame`](Self::next_frame) gave `None`, these
    /// are the beginning of one PDU.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Whether octets wait for the rest of their PDU: the time for a deadline per PDU to run (after `next_frame` gave
    /// `None`).
    #[inline]
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.start < self.end
    }

    /// Forgets everything read, for a new connection. The buffer keeps its size.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
        self.was_full = false;
    }
}

/// Why a stream cannot be framed. Any of them ends the session (after a generic_nack with status 0x02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// command_length is under 16.
    LengthTooSmall {
        /// What it said.
        command_length: u32,
    },
    /// command_length is over 70,000.
    LengthTooLarge {
        /// What it said.
        command_length: u32,
        /// What the peer seems to speak instead, where the four octets tell.
        hint: Option<Foreign>,
    },
}

/// A protocol that is not SMPP, recognised by its first four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// `HTTP`, or a request method of it.
    Http,
    /// A TLS record: the port wants TLS, or the peer took us for a TLS client.
    Tls,
    /// `SSH-`.
    Ssh,
    /// Other printable text, such as the banner of another service.
    Text,
}

impl FrameError {
    fn new(first: [u8; 4]) -> Self {
        let command_length = u32::from_be_bytes(first);
        if (command_length as usize) < HEADER_OCTETS {
            Self::LengthTooSmall { command_length }
        } else {
            Self::LengthTooLarge { command_length, hint: Foreign::of(first) }
        }
    }
}

impl Foreign {
    fn of(first: [u8; 4]) -> Option<Self> {
        match &first {
            b"HTTP" | b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"CONN" | b"PRI " => Some(Self::Http),
            b"SSH-" => Some(Self::Ssh),
            // A record is a content type 20..=23 and a version 3.0 to 3.4.
            [0x14..=0x17, 0x03, 0..=4, _] => Some(Self::Tls),
            _ if first.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')) => Some(Self::Text),
            _ => None,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LengthTooSmall { command_length } => {
                write!(f, "command_length {command_length} is under {HEADER_OCTETS}: the stream cannot be framed")
            }
            Self::LengthTooLarge { command_length, hint } => {
                write!(f, "command_length {command_length} is over {MAX_PDU_OCTETS}: the stream cannot be framed")?;
                f.write_str(match hint {
                    None => "",
                    Some(Foreign::Http) => " (the peer speaks HTTP; check the port)",
                    Some(Foreign::Tls) => " (the peer speaks TLS; use --tls, or the port without TLS)",
                    Some(Foreign::Ssh) => " (the peer speaks SSH; check the port)",
                    Some(Foreign::Text) => " (the peer sends plain text; check host and port)",
                })
            }
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(buffer: &mut FrameBuffer, octets: &[u8]) {
        buffer.spare()[..octets.len()].copy_from_slice(octets);
        buffer.filled(octets.len());
    }

    fn pdu(length: usize) -> Vec<u8> {
        let mut octets = vec![0x5A; length];
        octets[..4].copy_from_slice(&(length as u32).to_be_bytes());
        octets
    }

    #[test]
    fn f31_a_length_that_cannot_be_is_an_error_at_its_fourth_octet() {
        use Foreign::{Http, Ssh, Text, Tls};
        let table: &[(&[u8; 4], Option<Foreign>)] = &[
            (b"\0\0\0\0", None),
            (b"\0\0\0\x0F", None),
            (&70_001_u32.to_be_bytes(), None),
            (b"\x80\0\0\0", None),
            (b"\xFF\xFF\xFF\xFF", None),
            (b"HTTP", Some(Http)),
            (b"GET ", Some(Http)),
            (b"SSH-", Some(Ssh)),
            (b"\x15\x03\x01\x00", Some(Tls)),
            (b"\x16\x03\x03\x02", Some(Tls)),
            (b"220 ", Some(Text)),
        ];
        for (octets, expected) in table {
            let mut buffer = FrameBuffer::new();
            push(&mut buffer, &octets[..3]);
            assert_eq!(buffer.next_frame(), Ok(None));
            push(&mut buffer, &octets[3..]);
            for _ in 0..2 {
                match buffer.next_frame() {
                    Err(FrameError::LengthTooSmall { command_length }) => assert!(command_length < 16),
                    Err(FrameError::LengthTooLarge { command_length, hint }) => {
                        assert!(command_length > 70_000);
                        assert_eq!(hint, *expected, "{octets:02X?}");
                    }
                    other => panic!("{octets:02X?}: {other:?}"),
                }
            }
            assert_eq!(buffer.octets.len(), FIRST_OCTETS, "nothing was allocated");
        }
    }

    #[test]
    fn lengths_at_the_limits_are_frames() {
        let mut buffer = FrameBuffer::new();
        for length in [16, 17, MAX_PDU_OCTETS, 16] {
            let octets = pdu(length);
            let mut rest = &octets[..];
            while !rest.is_empty() {
                assert_eq!(buffer.next_frame(), Ok(None));
                let count = rest.len().min(buffer.spare().len());
                assert!(count > 0);
                push(&mut buffer, &rest[..count]);
                rest = &rest[count..];
            }
            assert_eq!(buffer.next_frame(), Ok(Some(&octets[..])));
            assert_eq!(buffer.next_frame(), Ok(None));
            assert!(!buffer.has_partial());
        }
    }

    #[test]
    fn f30_five_and_a_half_pdus_in_one_read() {
        let mut octets = Vec::new();
        for length in [16, 40, 17, 300, 16, 60] {
            octets.extend(pdu(length));
        }
        let mut buffer = FrameBuffer::new();
        push(&mut buffer, &octets[..octets.len() - 30]);
        for length in [16, 40, 17, 300, 16] {
            assert_eq!(buffer.next_frame().unwrap().unwrap().len(), length);
        }
        assert_eq!(buffer.next_frame(), Ok(None));
        assert_eq!(buffer.pending(), 30);
        assert!(buffer.has_partial());
        push(&mut buffer, &octets[octets.len() - 30..]);
        assert_eq!(buffer.next_frame().unwrap().unwrap().len(), 60);
        assert!(!buffer.has_partial());
    }

    #[test]
    fn the_buffer_grows_under_load_and_only_to_its_limit() {
        let mut buffer = FrameBuffer::new();
        for _ in 0..10 {
            let length = buffer.spare().len();
            let mut octets = Vec::new();
            while octets.len() < length {
                octets.extend(pdu(16));
            }
            push(&mut buffer, &octets);
            while buffer.next_frame().unwrap().is_some() {}
        }
        assert_eq!(buffer.octets.len(), MOST_OCTETS);
        buffer.clear();
        assert_eq!(buffer.pending(), 0);
    }

    #[test]
    fn frames_that_nobody_takes_are_kept() {
        let mut buffer = FrameBuffer::new();
        let mut sent = 0;
        loop {
            let room = buffer.spare().len() / 16;
            if room == 0 {
                break;
            }
            push(&mut buffer, &pdu(16).repeat(room));
            sent += room;
        }
        assert_eq!(sent * 16, MOST_OCTETS);
        let mut taken = 0;
        while buffer.next_frame().unwrap().is_some() {
            taken += 1;
        }
        assert_eq!(taken, sent);
    }
}
