//! The thread that writes a record.

use super::file::{Form, RecordFile};
use super::pcapng::Flow;
use super::{Counts, Event, Line, Way, mask, pcapng, text};
use crate::wire::{HEADER_OCTETS, MAX_PDU_OCTETS};
use crate::words::trouble;
use crossbeam_channel::{Receiver, TryRecvError};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is gathered before it is written, where more is waiting.
const GATHERED_MAX: usize = 64 * 1024;

/// A connection that is recorded.
#[derive(Debug)]
struct Stream {
    flow: Flow,
    /// What came, and what was sent, of PDUs that are not whole.
    partial: [Vec<u8>; 2],
    /// PDUs can no longer be framed.
    is_broken: [bool; 2],
    open_ways: u8,
}

/// The thread's own.
pub struct Keeper {
    file: RecordFile,
    texts: bool,
    /// Nobody waits for it to be on disk otherwise.
    is_certain: bool,
    counts: Arc<Counts>,
    streams: HashMap<u64, Stream>,
    /// Whole blocks or lines that are not written yet.
    out: Vec<u8>,
    words: String,
    failure: Option<String>,
}

impl Keeper {
    pub fn new(file: RecordFile, texts: bool, is_certain: bool, counts: Arc<Counts>) -> Self {
        let (streams, out, words) = (HashMap::new(), Vec::new(), String::new());
        Self { file, texts, is_certain, counts, streams, out, words, failure: None }
    }

    /// Writes until it is told that this is the end, or nobody is left to tell it anything.
    pub fn run(mut self, events: &Receiver<Event>) {
        loop {
            let event = match events.try_recv() {
                Ok(event) => event,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.write_out();
                    let Ok(event) = events.recv() else { break };
                    event
                }
            };
            match event {
                Event::End => break,
                Event::Settle(reply) => {
                    self.write_out();
                    if self.is_certain
                        && let Err(error) = self.file.sync()
                    {
                        self.fail(&error);
                    }
                    let _ = reply.try_send(self.failure.clone().map_or(Ok(()), |why| Err(io::Error::other(why))));
                }
                event if self.failure.is_some() => self.lose(&event),
                Event::Opened(line, at_ns) => self.open(line, at_ns),
                Event::Octets { line, way, at_ns, octets, resumes_at } => {
                    self.counts.waiting_octets.fetch_sub(octets.len(), Ordering::Relaxed);
                    self.take(line, way, at_ns, &octets, resumes_at);
                }
                Event::Closed { line, way, at_ns, is_said } => self.close(line, way, at_ns, is_said),
            }
        }
        self.write_out();
        self.file.end();
    }

    fn open(&mut self, line: Line, at_ns: u64) {
        let number = line.number;
        // Either direction says so, where there was no room at first.
        if self.streams.contains_key(&number) {
            return;
        }
        match self.file.form {
            Form::Text => text::opened(&line, at_ns, &mut self.words),
            Form::Pcapng => {}
        }
        let mut flow = Flow::new(line);
        if self.file.form == Form::Pcapng {
            flow.open(at_ns, &mut self.out);
        }
        let partial = [Vec::new(), Vec::new()];
        self.streams.insert(number, Stream { flow, partial, is_broken: [false; 2], open_ways: 2 });
        self.gathered();
    }

    fn take(&mut self, line: u64, way: Way, at_ns: u64, octets: &[u8], resumes_at: Option<usize>) {
        let Some(stream) = self.streams.get_mut(&line) else { return };
        let mut partial = std::mem::take(&mut stream.partial[way as usize]);
        let mut octets = octets;
        if let Some(start) = resumes_at {
            if !partial.is_empty() {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                partial.clear();
            }
            octets = octets.get(start..).unwrap_or_default();
            self.say(line, way, at_ns, "PDUs are missing here: they came faster than they could be recorded");
        }
        partial.extend(octets);
        let mut at = 0;
        while let Some(head) = partial.get(at..).and_then(<[u8]>::first_chunk::<4>) {
            let length = u32::from_be_bytes(*head) as usize;
            if !(HEADER_OCTETS..=MAX_PDU_OCTETS).contains(&length) {
                self.break_off(line, way, at_ns);
                return;
            }
            if partial.len() - at < length {
                break;
            }
            let frame = &mut partial[at..at + length];
            mask(frame, self.texts);
            at += length;
            match (self.file.form, self.streams.get_mut(&line)) {
                (Form::Pcapng, Some(stream)) => stream.flow.pdu(way, frame, at_ns, None, &mut self.out),
                _ => text::pdu(line, way, frame, at_ns, &mut self.words),
            }
            self.gathered();
        }
        partial.drain(..at);
        if let Some(stream) = self.streams.get_mut(&line) {
            stream.partial[way as usize] = partial;
        }
    }

    /// What is no SMPP may be anything, a password too: it is not recorded.
    fn break_off(&mut self, line: u64, way: Way, at_ns: u64) {
        let was_broken = self
            .streams
            .get_mut(&line)
            .is_none_or(|stream| std::mem::replace(&mut stream.is_broken[way as usize], true));
        if !was_broken {
            self.say(line, way, at_ns, "what follows in this direction is no SMPP, and is not recorded");
        }
    }

    fn close(&mut self, line: u64, way: Way, at_ns: u64, is_said: bool) {
        let Some(stream) = self.streams.get_mut(&line) else { return };
        stream.open_ways = stream.open_ways.saturating_sub(1);
        let (is_over, has_rest) = (stream.open_ways == 0, !stream.partial[way as usize].is_empty());
        if self.file.form == Form::Pcapng && is_said {
            stream.flow.close(way, at_ns, &mut self.out);
        }
        if has_rest {
            self.say(line, way, at_ns, "the connection ended within a PDU");
        }
        if self.file.form == Form::Text && is_said {
            let side = if way == Way::Sent { "this side" } else { "the peer" };
            self.say(line, way, at_ns, &format!("closed by {side}"));
        }
        if is_over {
            self.streams.remove(&line);
        }
        self.gathered();
    }

    fn say(&mut self, line: u64, way: Way, at_ns: u64, words: &str) {
        match (self.file.form, self.streams.get(&line)) {
            (Form::Pcapng, Some(stream)) => stream.flow.note(way, at_ns, words, &mut self.out),
            _ => text::said(line, at_ns, words, &mut self.words),
        }
    }

    fn gathered(&mut self) {
        if self.out.len() + self.words.len() >= GATHERED_MAX {
            self.write_out();
        }
    }

    /// Writes what was gathered.
    fn write_out(&mut self) {
        self.out.extend_from_slice(self.words.as_bytes());
        self.words.clear();
        if self.out.is_empty() || self.failure.is_some() {
            self.out.clear();
            return;
        }
        let outcome = self.file.begin(self.out.len()).and_then(|is_fresh| {
            if is_fresh {
                let mut header = Vec::new();
                match self.file.form {
                    Form::Pcapng => pcapng::header(&mut header),
                    Form::Text => {
                        let mut words = String::new();
                        text::header(&mut words);
                        header = words.into_bytes();
                    }
                }
                self.file.write(&header)?;
            }
            self.file.write(&self.out)
        });
        self.out.clear();
        if let Err(error) = outcome {
            self.fail(&error);
        }
    }

    /// The run goes on without a record.
    fn fail(&mut self, error: &io::Error) {
        if self.failure.is_none() {
            let words = trouble::words(error);
            log::warn!("nothing more is recorded: {words}; what is sent and received is not affected");
            self.failure = Some(words);
            self.counts.failed.store(true, Ordering::Relaxed);
        }
    }

    fn lose(&self, event: &Event) {
        if let Event::Octets { octets, .. } = event {
            self.counts.waiting_octets.fetch_sub(octets.len(), Ordering::Relaxed);
            let (begun, _) = super::Cut::default().follow(octets);
            self.counts.lost.fetch_add(begun, Ordering::Relaxed);
        }
    }
}
