//! The writing half of a session, and the life of its connection: bind, send, settle, reconnect.

mod asking;
mod life;
mod proof;
mod queue;
mod renewal;
mod timers;

pub use life::run;
use life::with_streak;

use super::bind::{BindError, Bound, bind};
use super::reader::{CREDITS, FromReader, Pulse, Reader};
use super::trust::WORTH_A_WORD;
use super::{Account, Backoff, Notice, Order, Renewal, SessionEnd, Shared};
use crate::client::link::WriteHalf;
use crate::client::window::Window;
use crate::client::writer::queue::{advance, sent_of, without_barred};
use crate::journal::files::write_marks::Mark;
use crate::journal::model::events::{Acknowledge, Barred, Run, Sent, SessionFacts, ToJournal, ToSession};
use crate::journal::model::sequence::OPERATIONS;
use crate::platform::failpoint::reach;
use crate::policy::last_second::LastSecond;
use crate::policy::pacer::{HOLD_LOOK, Hold};
use crate::wire::tlv::Tag;
use crate::wire::{
    BindKind, CommandStatus, append_tlv_u16, encode_data_sm_resp, encode_deliver_sm_resp, patch_sequence_number,
};
use asking::Asking;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded, never, select};
use parking_lot::Mutex;
use proof::Proof;
use renewal::Renewing;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Octets handed to the socket at once. After a crash, what one such write held is what may be in doubt.
const WRITE_OCTETS_MAX: usize = 64 * 1024;
/// How long the end of a session may take to settle and to be agreed upon.
const FAREWELL: Duration = Duration::from_secs(5);
/// What a peer that used up the response timeout gets to agree: a run ends within that timeout and two seconds.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Parts that are claimed ahead however slowly they go, where two windows are fewer.
const AHEAD_MIN: usize = 32;
/// When it is long until the sending hours begin: how long a session is kept after the last message or receipt.
const HELD_IDLE: Duration = Duration::from_secs(60);
/// How often a writer whose window is full looks whether the account allows more by now.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// enquire_link and unbind use these sequence numbers; 1 was the bind's.
const CONTROL_NUMBERS: std::ops::Range<u32> = 2..OPERATIONS.start;

/// How a session ended.
enum End {
    /// As it was told to.
    Finished,
    /// The connection is gone; there shall be another.
    Lost(SessionEnd),
    /// The same, and its reader knows why.
    LostByReader,
    /// Without a journal nothing can be done.
    JournalGone,
}

/// What came of a session, when the journal knows of its end.
enum Ended {
    /// As it was asked to.
    Finished,
    /// There shall be another; why, in words.
    Lost(String),
    /// Without a journal nothing can be done.
    JournalGone,
}

/// Why a session is being brought to its end.
enum Leaving {
    /// The program wants to end: unbind.
    Finish,
    /// The SMSC does: answer its unbind, if there was one.
    Peer { reason: SessionEnd, unbind: Option<u32> },
}

/// One thing: the writer of a session waits for all of it in one `select!`; timers, queue and proof have files of their own.
struct Session<'a> {
    shared: &'a Shared,
    slot: usize,
    id: i64,
    kind: BindKind,
    link: WriteHalf,
    window: Arc<Mutex<Window>>,
    pulse: Arc<Pulse>,
    mark: Mark,
    from_journal: Receiver<ToSession>,
    from_reader: Receiver<FromReader>,
    credits: Receiver<()>,
    /// Taken when it is joined.
    reader: Option<std::thread::JoinHandle<SessionEnd>>,
    /// Claimed parts, in the order in which they are to be written.
    queue: VecDeque<Run>,
    queued: usize,
    /// Claimed parts that are not going to be written, which the journal has not got back.
    withheld: Vec<Sent>,
    /// A request for parts is outstanding.
    wanted: bool,
    /// Requests about messages that the SMSC has.
    asking: Asking,
    /// Parts written in the last second: as many, or two windows, are claimed ahead at most, so that a session that does not
    /// last gives back little, and so that after a crash of the machine little is in doubt where the SMSC is slow.
    written: LastSecond,
    out: Vec<u8>,
    next_control: u32,
    enquired_at: Option<Instant>,
    leaving: Option<(Leaving, Instant)>,
    /// Until when the answer to our unbind is waited for; `None`: it is not sent.
    unbinding: Option<Instant>,
    /// The SMSC said that it takes TLVs.
    takes_references: bool,
    /// When the last message or receipt passed.
    active_at: Instant,
    /// Why the session is left for another.
    resting: Option<SessionEnd>,
    proof: Proof,
}

impl<'a> Session<'a> {
    /// Enters the session in the journal and starts its reader.
    fn open(slot: usize, shared: &'a Shared, bound: Bound) -> Result<Self, SessionEnd> {
        let takes_references = shared.account.tlvs.with(bound.sc_interface_version);
        let kind = shared.account.bind.kind(slot);
        let (to_session, from_journal) = bounded(CREDITS + 8);
        let (reply, number) = bounded(1);
        let facts = SessionFacts {
            peer: bound.peer,
            system_id: shared.account.for_kind(kind).system_id.clone(),
            bind: match kind {
                BindKind::Transceiver => "trx",
                BindKind::Transmitter => "tx",
                BindKind::Receiver => "rx",
            },
            smpp_version: shared.account.version.name(),
            sends_reference: takes_references && shared.references.load(Ordering::Relaxed),
            takes_tlvs: takes_references || !kind.can_submit(),
        };
        let gone = |()| SessionEnd::JournalGone;
        shared.journal.send(ToJournal::Open { facts, session: to_session, reply }).map_err(|_| gone(()))?;
        let number = number.recv().map_err(|_| gone(()))?;
        // What ends here has never been used: the journal is to know that it ended.
        let unused = |end: SessionEnd| {
            let (session, unanswered, unwritten) = (number.id, Vec::new(), Vec::new());
            let closed = ToJournal::Closed { session, reason: end.to_string(), unanswered, unwritten };
            let _ = shared.journal.send(closed);
            end
        };
        let mark = shared.marks.begin(slot, number);
        let mark = mark.map_err(|error| unused(SessionEnd::WriteMarks(error)))?;
        let (to_writer, from_reader) = bounded(1_024);
        let (credit, credits) = bounded(CREDITS);
        let window = Arc::new(Mutex::new(Window::new(shared.window.load(Ordering::Relaxed))));
        let pulse = Arc::new(Pulse::new());
        let reader = Reader {
            link: bound.reader,
            frames: bound.frames,
            early: bound.early,
            session: number.id,
            timers: shared.account.timers,
            reading: shared.account.receipts.clone(),
            window: Arc::clone(&window),
            pulse: Arc::clone(&pulse),
            pacer: Arc::clone(&shared.pacer),
            rules: Arc::clone(&shared.rules),
            journal: shared.journal.clone(),
            writer: to_writer,
            credits: credit,
            notes: shared.answers.begin(number.id, number.run),
            paced: Vec::new(),
            misses: false,
            owed: None,
        };
        let reader = std::thread::Builder::new()
            .name(format!("reader-{slot}"))
            .spawn(move || reader.run())
            .map_err(|error| unused(SessionEnd::NoThread(error)))?;
        Ok(Self {
            shared,
            slot,
            id: number.id,
            kind,
            link: bound.writer,
            window,
            pulse,
            mark,
            from_journal,
            from_reader,
            credits,
            reader: Some(reader),
            queue: VecDeque::new(),
            queued: 0,
            withheld: Vec::new(),
            wanted: false,
            asking: Asking::default(),
            written: LastSecond::new(Instant::now()),
            out: Vec::with_capacity(WRITE_OCTETS_MAX + 4_096),
            next_control: CONTROL_NUMBERS.start,
            enquired_at: None,
            leaving: None,
            unbinding: None,
            takes_references,
            active_at: Instant::now(),
            resting: None,
            proof: Proof::new(shared.trust.fruitless(slot)),
        })
    }

    fn run(mut self, renewing: &mut Renewing) -> (Ended, bool) {
        self.ask_first();
        let end = loop {
            let next = match self.step() {
                Ok(next) => next,
                Err(reason) => break End::Lost(reason),
            };
            let event = {
                let finish = if self.leaving.is_none() { self.shared.finish.clone() } else { never() };
                let (orders, tried) = if self.leaving.is_none() { renewing.ears() } else { (never(), never()) };
                select! {
                    recv(self.from_journal) -> message => Event::Journal(message.ok()),
                    recv(self.from_reader) -> message => Event::Reader(message.ok()),
                    recv(finish) -> _ => Event::Finish,
                    recv(orders) -> order => Event::Order(order.ok()),
                    recv(tried) -> bound => Event::Tried(Box::new(bound.map_err(|_| ()))),
                    default(next) => Event::Tick,
                }
            };
            match event {
                Event::Order(order) => renewing.take_order(order, self.slot, self.shared),
                Event::Tried(bound) => self.renew(renewing, *bound),
                event => match self.handle(event) {
                    Ok(()) => {}
                    Err(end) => break end,
                },
            }
            // Whatever else is there already goes into the same write.
            while let Ok(message) = self.from_journal.try_recv() {
                self.handle_journal(message);
            }
            if matches!(&self.leaving, Some((Leaving::Peer { .. }, _))) && self.has_settled() {
                break self.farewell_to_peer();
            }
        };
        let accepted = self.pulse.has_accepted();
        let (slot, trust) = (self.slot, Arc::clone(&self.shared.trust));
        let end = self.close(end);
        (with_streak(end, trust.fruitless(slot)), accepted)
    }

    /// One round: writes what may be written, asks for what is wanted. Returns how long nothing more is to be done.
    fn step(&mut self) -> Result<Duration, SessionEnd> {
        let ready_to_ask = self.write_asks();
        let mut ready_in = self.write_parts()?.min(ready_to_ask);
        // Whose turn it is may have changed.
        ready_in = ready_in.min(self.write_asks());
        self.tell_withheld();
        // Looked at once: a hold that began between here and the asking below would leave nobody to look for its end.
        let is_held = self.shared.pacer.hold() != Hold::No;
        if is_held {
            self.withdraw_queue("not written: nothing may be sent for the time being");
            ready_in = ready_in.min(HOLD_LOOK);
        }
        if !self.out.is_empty() {
            self.flush()?;
        }
        if !is_held {
            self.want();
        }
        self.want_asks();
        let link = self.keep_link()?.min(self.rest());
        let leaving = self.leave()?;
        if !self.out.is_empty() || self.link.owes_writing() {
            self.flush()?;
        }
        Ok(ready_in.min(link).min(leaving))
    }

    /// Encodes claimed parts as far as window and tokens allow.
    fn write_parts(&mut self) -> Result<Duration, SessionEnd> {
        let idle = Duration::from_secs(3_600);
        self.asking.parts_wait = false;
        if self.leaving.is_some() {
            self.withdraw_queue("not written: the session was about to end");
            return Ok(idle);
        }
        if self.enquired_at.is_some_and(|at| self.pulse.heard_at() <= at) {
            // Asked whether it is alive, the peer has not said so: what is written now would only add to the doubt.
            return Ok(idle);
        }
        if let Err(look) = self.is_trusted() {
            return Ok(look);
        }
        loop {
            let free = {
                let mut window = self.window.lock();
                window.set_size(self.shared.window.load(Ordering::Relaxed));
                window.set_limit(self.shared.pacer.window());
                window.room(self.queued)
            };
            if free == 0 {
                self.asking.parts_wait = self.queued > 0;
                let may_grow = self.queued > 0 && self.shared.pacer.look();
                return Ok(if may_grow { LOOK_AGAIN } else { idle });
            }
            let granted = self.shared.pacer.take_for(self.slot, free);
            if granted == 0 {
                self.asking.parts_wait = self.shared.pacer.hold() == Hold::No;
                return Ok(self.shared.pacer.ready_for(self.slot).max(Duration::from_micros(50)));
            }
            let left = self.encode(granted)?;
            if left > 0 {
                self.shared.pacer.give_back(self.slot, left);
            }
        }
    }

    /// Encodes and writes up to `granted` parts. Returns how many tokens were left over.
    fn encode(&mut self, mut granted: usize) -> Result<usize, SessionEnd> {
        let now = Instant::now();
        let references = self.takes_references && self.shared.references.load(Ordering::Relaxed);
        let wanted = granted;
        while granted > 0 {
            let Some(run) = self.queue.front_mut() else { break };
            let mut window = self.window.lock();
            let mut last = None;
            while granted > 0 && self.out.len() < WRITE_OCTETS_MAX && !run.items.is_empty() {
                let item = &run.chunk.items[run.items.start];
                let mut sent = sent_of(run);
                if item.parts > 1 && window.withholds(&sent) {
                    self.withheld.push(sent);
                } else {
                    let start = self.out.len();
                    self.out.extend_from_slice(&run.chunk.octets[item.start as usize..item.end as usize]);
                    patch_sequence_number(&mut self.out[start..], sent.sequence_number);
                    if references && !item.has_reference {
                        sent.referenced = true;
                        let reference = (item.attempt.part() & 0xFFFF) as u16;
                        append_tlv_u16(&mut self.out, start, Tag::USER_MESSAGE_REFERENCE, reference);
                    }
                    window.insert(sent, now);
                    last = Some(run.first_serial);
                    granted -= 1;
                }
                advance(run);
                self.queued -= 1;
            }
            drop(window);
            let is_through = run.items.is_empty();
            if let Some(serial) = last {
                // Noted before the octets go: the other way round a crash between the two would send them twice.
                let noted = reach("mark").map_err(Into::into).and_then(|()| self.mark.note(serial));
                noted.map_err(SessionEnd::WriteMarks)?;
            }
            if is_through {
                self.queue.pop_front();
            }
            if self.out.len() >= WRITE_OCTETS_MAX {
                self.flush()?;
            }
        }
        self.written.add(now, wanted - granted);
        self.asking.went_last &= wanted == granted;
        self.note_written(wanted - granted);
        Ok(granted)
    }

    /// Gives back what was withheld, once the journal knows why.
    fn tell_withheld(&mut self) {
        if !self.withheld.is_empty() && self.window.lock().is_all_recorded() {
            let sent = std::mem::take(&mut self.withheld);
            let _ = self.shared.journal.send(ToJournal::Withdrawn { session: self.id, sent, reason: WITHHELD });
        }
    }

    fn flush(&mut self) -> Result<(), SessionEnd> {
        let written = reach("write").map_err(Into::into).and_then(|()| self.link.write(&self.out));
        let written = written.and_then(|()| Ok(reach("written")?));
        let outcome = written.map_err(SessionEnd::Broken);
        self.out.clear();
        outcome
    }

    /// Asks for parts before the queue runs dry.
    fn want(&mut self) {
        if self.wanted || self.leaving.is_some() || !self.kind.can_submit() {
            return;
        }
        let used =
            self.written.count(Instant::now()).max(2 * self.shared.window.load(Ordering::Relaxed)).max(AHEAD_MIN);
        let ahead = self.shared.pacer.claim_ahead().min(used);
        if self.queued <= ahead / 2 {
            self.wanted = true;
            let _ = self.shared.journal.send(ToJournal::Want { session: self.id, parts: ahead - self.queued });
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Tick | Event::Order(_) | Event::Tried(_) => {}
            Event::Finish => self.leaving = Some((Leaving::Finish, Instant::now())),
            Event::Journal(None) => return Err(End::JournalGone),
            Event::Journal(Some(message)) => self.handle_journal(message),
            // The reader has ended; what it says when it is joined is why.
            Event::Reader(None) => return Err(End::LostByReader),
            Event::Reader(Some(message)) => match message {
                FromReader::Freed => {}
                // Those that come next would wait as long.
                FromReader::Untold => self.give_back_asks(),
                FromReader::LinkAnswered => self.proof.link_answered(),
                FromReader::LinkNacked(status) => {
                    if self.unbinding.is_some() {
                        return Err(End::Finished);
                    }
                    self.proof.link_answered();
                    if self.shared.trust.is_first_nack() {
                        log::warn!(
                            "the SMSC answers enquire_link by generic_nack ({}): it counts as a sign of life",
                            crate::journal::words(status)
                        );
                    }
                }
                FromReader::NotBound(status) => {
                    let reason = SessionEnd::NotBound(status);
                    self.leaving.get_or_insert((Leaving::Peer { reason, unbind: None }, Instant::now()));
                }
                FromReader::Stuck => {
                    let reason = SessionEnd::Stuck;
                    let since = Instant::now().checked_sub(FAREWELL).unwrap_or_else(Instant::now);
                    self.leaving.get_or_insert((Leaving::Peer { reason, unbind: None }, since));
                }
                FromReader::Reply(octets) => self.out.extend_from_slice(&octets),
                FromReader::LastReply(octets) => {
                    self.out.extend_from_slice(&octets);
                    // Whether it arrives or not, it is over; the reader says why.
                    let _ = self.flush();
                    return Err(End::LostByReader);
                }
                FromReader::Unbind(number) => {
                    let reason = SessionEnd::Unbound;
                    self.leaving = Some((Leaving::Peer { reason, unbind: Some(number) }, Instant::now()));
                }
                FromReader::Nack(status) => {
                    let reason = SessionEnd::Nack(status);
                    self.leaving = Some((Leaving::Peer { reason, unbind: None }, Instant::now()));
                }
                FromReader::UnbindAnswered if self.unbinding.is_some() => return Err(End::Finished),
                FromReader::UnbindAnswered => {}
            },
        }
        Ok(())
    }

    fn handle_journal(&mut self, message: ToSession) {
        match message {
            ToSession::Send(runs) => {
                self.wanted = false;
                self.queued += runs.iter().map(|run| run.items.len()).sum::<usize>();
                self.queue.extend(runs);
            }
            ToSession::Ask(asks) => self.asking.take(asks),
            ToSession::Withdraw(barred) => self.give_back(&barred),
            ToSession::Stored(acknowledge) => {
                self.acknowledge(&acknowledge, CommandStatus::OK);
                let _ = self.credits.try_recv();
            }
            ToSession::NotStored(acknowledge) => {
                self.acknowledge(&acknowledge, CommandStatus::RECEIVER_TEMPORARY);
                let _ = self.credits.try_recv();
            }
            ToSession::Stop => {
                self.leaving.get_or_insert((Leaving::Finish, Instant::now()));
            }
        }
    }

    fn acknowledge(&mut self, acknowledge: &Acknowledge, status: CommandStatus) {
        if reach("acknowledge").is_err() {
            return;
        }
        self.active_at = Instant::now();
        for &number in &acknowledge.deliver {
            encode_deliver_sm_resp(number, status, &mut self.out);
        }
        for &number in &acknowledge.data {
            encode_data_sm_resp(number, status, &mut self.out);
        }
    }

    /// Gives back what was claimed and is not going to be written.
    fn withdraw_queue(&mut self, reason: &'static str) {
        let sent = self.take_queue();
        if !sent.is_empty() {
            let _ = self.shared.journal.send(ToJournal::Withdrawn { session: self.id, sent, reason });
        }
    }

    /// Gives back what is barred of that which was claimed and is not written. The rest of a message of which a part is
    /// written stays: half a message is worth less than none and than a whole one.
    fn give_back(&mut self, barred: &[Arc<Barred>]) {
        let (queue, sent) = without_barred(std::mem::take(&mut self.queue), barred);
        self.queue = queue;
        self.queued -= sent.len();
        let _ = self.shared.journal.send(ToJournal::GaveBack { session: self.id, sent });
    }

    fn take_queue(&mut self) -> Vec<Sent> {
        self.queued = 0;
        let mut sent = Vec::new();
        for mut run in self.queue.drain(..) {
            while !run.items.is_empty() {
                sent.push(sent_of(&run));
                advance(&mut run);
            }
        }
        sent
    }

    fn control_number(&mut self) -> u32 {
        let number = self.next_control;
        self.next_control = if number + 1 < CONTROL_NUMBERS.end { number + 1 } else { CONTROL_NUMBERS.start };
        number
    }

    /// Ends the session: the reader first, so that every answer that came is with the journal before what had none.
    fn close(mut self, end: End) -> Ended {
        self.link.shutdown();
        let is_peers =
            matches!(end, End::Lost(_) | End::LostByReader) && self.leaving.is_none() && self.resting.is_none();
        // A reader that waits for a credit or for room sees that nobody is there any more.
        self.credits = never();
        self.from_reader = never();
        let reader = self.reader.take().map(|reader| reader.join().unwrap_or(SessionEnd::ReaderPanicked));
        let lost = match end {
            End::JournalGone => return Ended::JournalGone,
            End::LostByReader if self.unbinding.is_none() => reader,
            End::Finished | End::LostByReader | End::Lost(SessionEnd::UnbindUnanswered) => self.resting.take(),
            End::Lost(reason) => Some(reason),
        };
        let ended = lost.map_or(Ended::Finished, |reason| Ended::Lost(reason.to_string()));
        let reason = match &ended {
            Ended::Lost(reason) => reason.clone(),
            _ => "unbound".into(),
        };
        // The journal drops its end, so that the last of what it had sent is seen.
        if self.shared.journal.send(ToJournal::Closing { session: self.id }).is_err() {
            return Ended::JournalGone;
        }
        while let Ok(message) = self.from_journal.recv() {
            if let ToSession::Send(_) | ToSession::Ask(_) = &message {
                self.handle_journal(message);
            }
        }
        let mut unwritten = std::mem::take(&mut self.withheld);
        unwritten.extend(self.take_queue());
        let unanswered = self.window.lock().drain();
        self.end_asking(&reason);
        if is_peers {
            self.shared.pacer.lost(unanswered.len());
        }
        self.note_end();
        let closed = ToJournal::Closed { session: self.id, reason, unanswered, unwritten };
        match self.shared.journal.send(closed) {
            Ok(()) => ended,
            Err(_) => Ended::JournalGone,
        }
    }
}

impl Drop for Session<'_> {
    /// A writer that dies leaves no reader behind, for which the journal thread would wait at the end.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.link.shutdown();
        }
    }
}

/// Why claimed parts are given back that would be of no use.
const WITHHELD: &str = "an earlier part of the message was refused";
enum Event {
    Tick,
    Finish,
    Journal(Option<ToSession>),
    Reader(Option<FromReader>),
    /// Nobody is there who gives one.
    Order(Option<Order>),
    /// What came of binding by other settings; the thread that tried may be gone.
    Tried(Box<Result<Result<Bound, BindError>, ()>>),
}
