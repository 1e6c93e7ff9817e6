//! Zstandard files: frames one behind the other, as `zstd` and `pzstd` write them, each with its checksum.

use std::io::{self, Read};

use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// How far back a frame may refer, and so about the memory that it takes: what `zstd --long` has.
const WINDOW_MAX: u64 = 128 * 1024 * 1024;

/// Unpacks.
pub(super) struct Frames<R> {
    packed: Ahead<R>,
    decoder: FrameDecoder,
    is_within: bool,
}

/// What can say whether there is more of it.
struct Ahead<R> {
    input: R,
    next: Option<u8>,
}

impl<R: Read> Ahead<R> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        if self.next.is_none() {
            let mut octet = [0];
            loop {
                match self.input.read(&mut octet) {
                    Ok(0) => return Ok(true),
                    Ok(_) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.next = Some(octet[0]);
        }
        Ok(false)
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        match self.next.take() {
            Some(octet) => {
                out[0] = octet;
                Ok(1)
            }
            None => self.input.read(out),
        }
    }
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        Frames { packed: Ahead { input, next: None }, decoder, is_within: false }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.packed.input
    }

    /// Begins the next frame; `false` where there is none.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.packed.is_at_end()? {
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => {
                    self.is_within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.packed.by_ref().take(u64::from(length)), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| io::Error::other(error.to_string()))?;
            }
            let octets = self.decoder.read(out)?;
            if octets > 0 || out.is_empty() {
                return Ok(octets);
            }
            self.is_within = false;
            if let Some(written) = self.decoder.get_checksum_from_data()
                && self.decoder.get_calculated_checksum() != Some(written)
            {
                return Err(io::Error::other("its checksum is wrong"));
            }
        }
    }
}
