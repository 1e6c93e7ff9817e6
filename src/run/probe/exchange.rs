//! The sessions of a trial: what is written when, which answer and which receipt belongs to what.

mod cap;
mod ids;

use super::measuring::{self, Flow, Line, RateFound, Shot, Window};
use super::{Findings, IdRule, Receipted, Trial};
use crate::client::{Dialogue, SessionEnd};
use crate::policy::pacer::Rate;
use crate::wire::{CommandId, CommandStatus, StatusClass, Tag, decode_header, decode_message_id};
use cap::Cap;
pub(super) use ids::by_either;
use ids::{is_receipt, lookup_key, receipt_of, spellings};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The first messages: one in GSM 03.38, one in UCS2, a long one in two parts. They are sent one by one, one a second.
pub const TESTS: usize = 4;
const TEST_GAP: Duration = Duration::from_secs(1);
/// A test that the SMSC finds too fast, even so, is sent again after these.
const AGAIN: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];
/// How long answers are awaited after an interrupt.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How often both sessions of a pair are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A receipt may come before the answer that tells its id; it is answered as soon as it is known whose it is, or after this.
const HELD: Duration = Duration::from_secs(1);
/// A burst's message without an answer, while others have theirs: after so many times the longest answer, and at least this,
/// it is taken for one that is not answered.
const SILENT_TIMES: u32 = 10;
const SILENT_MIN: Duration = Duration::from_secs(2);

/// Why no more is sent.
#[derive(Debug)]
pub enum Halt {
    /// The operator asks for it.
    Interrupted,
    /// A status that the next message would have, too.
    Condemned,
    /// A message has no answer within the response timeout.
    Unanswered,
    /// The connection broke: why.
    Broken(SessionEnd),
}

impl Halt {
    /// For people; `None`: the findings have it.
    pub fn words(self) -> Option<String> {
        match self {
            Self::Interrupted => Some("interrupted".into()),
            Self::Condemned => None,
            Self::Unanswered => {
                Some("a message was not answered within the response timeout; it may have been sent".into())
            }
            Self::Broken(why) => Some(why.to_string()),
        }
    }
}

impl From<SessionEnd> for Halt {
    fn from(why: SessionEnd) -> Self {
        Self::Broken(why)
    }
}

/// See the module.
/// One thing: an answer or a receipt is looked up by several keys of the same messages.
pub struct Exchange<'a, 'b> {
    trial: &'a Trial<'b>,
    out: &'a mut Dialogue,
    inward: Option<&'a mut Dialogue>,
    findings: &'a mut Findings,
    stop: &'a dyn Fn() -> bool,
    say: &'a dyn Fn(&str),
    started: Instant,
    cap: Cap,
    /// The next to be written.
    next: usize,
    /// Those without an answer, oldest first; some of them are given up.
    open: VecDeque<usize>,
    given_up: Vec<usize>,
    /// When an answer came last.
    answered_at: Option<Instant>,
    /// Those that were answered since they were last looked at.
    answered: Vec<usize>,
    by_sequence: HashMap<u32, usize>,
    /// By each spelling of the answer's id.
    by_id: HashMap<Vec<u8>, Vec<usize>>,
    by_reference: HashMap<u16, usize>,
    /// Receipts that may be of a message whose answer is awaited, and since when.
    held: Vec<(Vec<u8>, bool, Instant)>,
    longest_answer: Duration,
    news: Instant,
    condemned: bool,
}

impl<'a, 'b> Exchange<'a, 'b> {
    pub fn new(
        trial: &'a Trial<'b>,
        out: &'a mut Dialogue,
        inward: Option<&'a mut Dialogue>,
        findings: &'a mut Findings,
        stop: &'a dyn Fn() -> bool,
        say: &'a dyn Fn(&str),
    ) -> Self {
        let now = Instant::now();
        Self {
            trial,
            out,
            inward,
            findings,
            stop,
            say,
            started: now,
            cap: Cap::new(trial.rate),
            next: 0,
            open: VecDeque::new(),
            given_up: Vec::new(),
            answered_at: None,
            answered: Vec::new(),
            by_sequence: HashMap::new(),
            by_id: HashMap::new(),
            by_reference: HashMap::new(),
            held: Vec::new(),
            longest_answer: Duration::ZERO,
            news: now,
            condemned: false,
        }
    }

    /// Sends the four messages that tell alphabets and long texts apart: each alone, so that no limit is in their way.
    pub fn tests(&mut self) -> Result<(), Halt> {
        for n in 0..TESTS.min(self.findings.sent.len()) {
            if n > 0 {
                self.pause(TEST_GAP)?;
            }
            self.write_next()?;
            self.answers()?;
            for wait in AGAIN {
                let sent = &mut self.findings.sent[n];
                let Some((_, status)) = sent.answer.filter(|(_, s)| s.class() == StatusClass::Throttled) else { break };
                sent.throttled.push(status);
                self.pause(wait)?;
                self.findings.sent[n].answer = None;
                self.write(n)?;
                self.answers()?;
            }
        }
        Ok(())
    }

    /// Measures with the others.
    pub fn measure(&mut self) -> Result<(), Halt> {
        if self.left() == 0 {
            return Ok(());
        }
        self.pause(TEST_GAP)?;
        let asked = match self.trial.rate {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Unlimited => None,
        };
        let (mut window, mut rate) = (Window::default(), RateFound::default());
        let outcome = measuring::window(self, self.trial.window, asked, &mut window);
        let outstanding = match window {
            Window::Is(window, _) | Window::Perhaps(window, _) => window,
            Window::Untried | Window::AtLeast(_) | Window::Other(..) => self.trial.window,
        };
        let outcome = outcome.and_then(|()| {
            if self.left() > 0 {
                self.pause(TEST_GAP)?;
            }
            measuring::rate(self, asked, outstanding, &mut rate)
        });
        if let Err(Halt::Broken(_)) = &outcome {
            rate = self.hung_up(rate);
        }
        (self.findings.window, self.findings.rate) = (window, rate);
        outcome
    }

    /// The connection ended while it was measured: what had been sent in the last second of it.
    fn hung_up(&self, rate: RateFound) -> RateFound {
        let measured = self.findings.sent.get(TESTS..self.next).unwrap_or_default();
        let Some(last) = measured.last().and_then(|sent| sent.written_at) else { return rate };
        let is_soon = last.elapsed() < TEST_GAP + LOOK;
        let within = measured.iter().filter_map(|sent| sent.written_at);
        let about = within.filter(|at| last.saturating_duration_since(*at) < TEST_GAP).count() as f64;
        if is_soon { RateFound::HungUp { about } } else { rate }
    }

    /// Waits for what may come: answers of those that were given up, and receipts.
    pub fn last_receipts(&mut self) -> Result<(), Halt> {
        self.open.extend(self.given_up.drain(..));
        let stay = self.trial.response_timeout;
        while self.open.iter().any(|n| self.findings.sent[*n].written_at.is_some_and(|at| at.elapsed() < stay)) {
            self.look(Instant::now() + LOOK)?;
        }
        self.findings.unanswered = self.open.len();
        self.open.clear();
        let waits = |sent: &super::Sent| sent.was_taken() && !sent.receipts.iter().any(Receipted::is_last);
        while self.trial.receives
            && self.findings.sent.iter().any(waits)
            && self.news.elapsed() < self.trial.wait_receipts
        {
            self.look(Instant::now() + LOOK)?;
        }
        // What is still held is of nobody here.
        for (frame, is_inward, _) in std::mem::take(&mut self.held) {
            self.acknowledge(&frame, is_inward, CommandStatus::RECEIVER_TEMPORARY)?;
        }
        Ok(())
    }

    /// Writes the next request, when the rate allows it.
    fn write_next(&mut self) -> Result<usize, Halt> {
        let n = self.next;
        // Before it is written: what breaks then is seen as sent.
        self.allowed(1)?;
        self.next += 1;
        self.write_at_once(n, n + 1)?;
        Ok(n)
    }

    fn write(&mut self, n: usize) -> Result<(), Halt> {
        self.allowed(1)?;
        self.write_at_once(n, n + 1)
    }

    /// Writes these in one piece.
    fn write_at_once(&mut self, from: usize, to: usize) -> Result<(), Halt> {
        let mut octets = Vec::new();
        for n in from..to {
            let sent = &mut self.findings.sent[n];
            sent.sequence_number = self.out.number();
            crate::wire::patch_sequence_number(&mut sent.octets, sent.sequence_number);
            octets.extend_from_slice(&sent.octets);
            self.by_sequence.insert(sent.sequence_number, n);
            self.by_reference.insert(sent.reference, n);
            // Noted first: a part of it may be on the wire when writing fails.
            let now = Instant::now();
            (sent.written_at, self.news) = (Some(now), now);
            self.cap.write(now);
            self.open.push_back(n);
        }
        self.findings.outstanding_most = self.findings.outstanding_most.max(self.open.len());
        let Err(why) = self.out.write(&octets) else { return Ok(()) };
        // What was answered before the connection broke is there to be read.
        let until = Instant::now() + LAST_ANSWERS;
        while !self.open.is_empty() && Instant::now() < until {
            self.receive(until)?;
        }
        Err(Halt::Broken(why))
    }

    /// Waits until so many may be written.
    fn allowed(&mut self, count: usize) -> Result<(), Halt> {
        loop {
            let wait = self.cap.wait(count, Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            self.pump(Instant::now() + wait.min(LOOK))?;
        }
    }

    /// Takes what comes, for so long.
    fn pause(&mut self, time: Duration) -> Result<(), Halt> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.pump(until.min(Instant::now() + LOOK))?;
        }
        Ok(())
    }

    /// Waits for the answers to all that is outstanding.
    fn answers(&mut self) -> Result<(), Halt> {
        while !self.open.is_empty() {
            self.pump(Instant::now() + LOOK)?;
        }
        Ok(())
    }

    /// The same, but gives up those that stay without one while others have theirs.
    fn answers_or_silence(&mut self) -> Result<(), Halt> {
        let written = Instant::now();
        let patience = (self.longest_answer * SILENT_TIMES).max(SILENT_MIN).min(self.trial.response_timeout / 2);
        while !self.open.is_empty() {
            self.pump(Instant::now() + LOOK)?;
            // What was written after the oldest of them has its answer, or others of the same burst.
            let oldest = self.oldest().map(|(_, written)| written);
            let is_passed_over = self.answered_at.zip(oldest).is_some_and(|(answered, oldest)| answered > oldest);
            if written.elapsed() >= patience && is_passed_over && self.news.elapsed() >= patience / 2 {
                self.given_up.extend(self.open.drain(..));
            }
        }
        Ok(())
    }

    /// Takes what comes until then, or until something came.
    fn pump(&mut self, until: Instant) -> Result<(), Halt> {
        self.look(until)?;
        if self.condemned {
            return Err(Halt::Condemned);
        }
        // One that is lost while others are answered ends nothing; where nothing is answered, no more is sent.
        while let Some((n, written)) = self.oldest().filter(|(_, at)| at.elapsed() >= self.trial.response_timeout) {
            if self.answered_at.is_none_or(|answered| answered <= written) {
                return Err(Halt::Unanswered);
            }
            self.open.pop_front();
            self.given_up.push(n);
        }
        Ok(())
    }

    /// The one that waits longest for its answer, and since when.
    fn oldest(&self) -> Option<(usize, Instant)> {
        let n = *self.open.front()?;
        Some((n, self.findings.sent[n].written_at?))
    }

    fn look(&mut self, until: Instant) -> Result<(), Halt> {
        if (self.stop)() { self.interrupted() } else { self.receive(until) }
    }

    /// What is sent is answered as a rule within a moment; its receipts may take long.
    fn interrupted(&mut self) -> Result<(), Halt> {
        let until = Instant::now() + LAST_ANSWERS;
        while !self.open.is_empty() && Instant::now() < until {
            self.receive(until.min(Instant::now() + LOOK))?;
        }
        Err(Halt::Interrupted)
    }

    fn receive(&mut self, until: Instant) -> Result<(), Halt> {
        let mut until = until;
        while let Some(frame) = self.out.receive(until)? {
            self.take(frame, false)?;
            // What is there already, and no more.
            until = Instant::now();
        }
        while let Some(inward) = self.inward.as_deref_mut() {
            let Some(frame) = inward.receive(Instant::now() + Duration::from_millis(1))? else { break };
            self.take(frame, true)?;
        }
        self.look_at_held()
    }

    fn acknowledge(&mut self, frame: &[u8], is_inward: bool, status: CommandStatus) -> Result<(), Halt> {
        match self.inward.as_deref_mut().filter(|_| is_inward) {
            Some(inward) => inward.acknowledge(frame, status)?,
            None => self.out.acknowledge(frame, status)?,
        }
        Ok(())
    }

    fn take(&mut self, frame: Vec<u8>, is_inward: bool) -> Result<(), Halt> {
        let Some(header) = decode_header(&frame) else { return Ok(()) };
        match header.command_id {
            CommandId::SUBMIT_SM_RESP | CommandId::GENERIC_NACK => {
                self.take_answer(header.sequence_number, header.command_status, decode_message_id(&frame));
                Ok(())
            }
            CommandId::DELIVER_SM | CommandId::DATA_SM => {
                if self.take_receipt(&frame, header.command_id == CommandId::DATA_SM) {
                    return self.acknowledge(&frame, is_inward, CommandStatus::OK);
                }
                self.held.push((frame, is_inward, Instant::now()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_answer(&mut self, sequence_number: u32, status: CommandStatus, message_id: &[u8]) {
        let Some(&n) = self.by_sequence.get(&sequence_number) else { return };
        let sent = &mut self.findings.sent[n];
        if sent.answer.is_some() || sent.sequence_number != sequence_number {
            return;
        }
        self.news = Instant::now();
        self.open.retain(|open| *open != n);
        self.given_up.retain(|open| *open != n);
        let waited = sent.written_at.map(|at| at.elapsed()).unwrap_or_default();
        self.longest_answer = self.longest_answer.max(waited);
        sent.answer = Some((waited, status));
        sent.message_id = message_id.to_vec();
        self.answered.push(n);
        self.answered_at = Some(self.news);
        if status == CommandStatus::OK {
            // Those that came before, known by the reference alone.
            for receipt in sent.receipts.iter_mut().filter(|receipt| receipt.rule.is_none()) {
                (receipt.rule, receipt.by_text) = by_either(message_id, &receipt.id, &receipt.text_id);
            }
            for spelling in spellings(message_id) {
                let whose = self.by_id.entry(spelling).or_default();
                if whose.last() != Some(&n) {
                    whose.push(n);
                }
            }
        }
        self.condemned |= matches!(status.class(), StatusClass::Session | StatusClass::Account);
    }

    /// Looks again at receipts that came before the answer to which they belong. What belongs to no message is to come again, when a
    /// journal is there to keep it.
    fn look_at_held(&mut self) -> Result<(), Halt> {
        if self.held.is_empty() {
            return Ok(());
        }
        let is_quiet = self.open.is_empty();
        for (frame, is_inward, since) in std::mem::take(&mut self.held) {
            let as_data_sm = decode_header(&frame).is_some_and(|header| header.command_id == CommandId::DATA_SM);
            if self.take_receipt(&frame, as_data_sm) {
                self.acknowledge(&frame, is_inward, CommandStatus::OK)?;
            } else if is_quiet || since.elapsed() >= HELD {
                self.findings.foreign += usize::from(is_receipt(&frame));
                self.acknowledge(&frame, is_inward, CommandStatus::RECEIVER_TEMPORARY)?;
            } else {
                self.held.push((frame, is_inward, since));
            }
        }
        Ok(())
    }

    /// Notes a receipt; false: it is of no message of the trial, as far as is known.
    fn take_receipt(&mut self, frame: &[u8], as_data_sm: bool) -> bool {
        let Some((receipt, esm_class, text, tlvs)) = receipt_of(frame) else { return false };
        let id = receipt.id().unwrap_or_default().to_vec();
        let text_id = receipt.text_id.as_deref().filter(|text_id| *text_id != id).unwrap_or_default().to_vec();
        let reference = tlvs.get_u16(Tag::USER_MESSAGE_REFERENCE);
        let referred = reference.and_then(|reference| self.by_reference.get(&reference)).copied();
        let keys = [lookup_key(&id), lookup_key(&text_id)];
        let named = keys.iter().filter_map(|key| self.by_id.get(key)).flatten().copied();
        let best = named
            .chain(referred)
            .map(|n| {
                let (rule, by_text) = by_either(&self.findings.sent[n].message_id, &id, &text_id);
                (rule, by_text, referred == Some(n), n)
            })
            .filter(|(rule, _, echoed, _)| rule.is_some() || *echoed)
            // One of several with the same id: that of the reference, then the newest.
            .min_by_key(|(rule, by_text, echoed, n)| {
                (rule.unwrap_or(IdRule::Radix), *by_text, !echoed, std::cmp::Reverse(*n))
            });
        let Some((rule, by_text, echoed, n)) = best else { return false };
        self.news = Instant::now();
        let sent = &mut self.findings.sent[n];
        let answered = sent.written_at.zip(sent.answer).map(|(at, (waited, _))| at + waited);
        sent.receipts.push(Receipted {
            after: answered.map(|at| at.elapsed()),
            as_data_sm,
            esm_class,
            kind: receipt.kind,
            rule,
            id_in: (receipt.tlv_id.is_some(), receipt.text_id.is_some()),
            by_text,
            state_in: (receipt.tlv_state.is_some(), receipt.stat.is_some()),
            echoed,
            text: text.to_vec(),
            id,
            text_id,
        });
        true
    }

    fn shot(&self, n: usize) -> Option<Shot> {
        let sent = &self.findings.sent[n];
        let written = sent.written_at?.saturating_duration_since(self.started).as_secs_f64();
        let answered = sent.answer.map(|(waited, _)| written + waited.as_secs_f64());
        Some(Shot { written, answered, status: sent.answer.map_or(CommandStatus::OK, |(_, status)| status) })
    }

    fn shots(&self, from: usize, to: usize) -> Vec<Shot> {
        (from..to).filter_map(|n| self.shot(n)).collect()
    }
}

impl Line for Exchange<'_, '_> {
    type Error = Halt;

    fn left(&self) -> usize {
        self.findings.sent.len() - self.next
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn say(&mut self, words: &str) {
        (self.say)(words);
    }

    fn wait(&mut self, seconds: f64) -> Result<(), Halt> {
        self.pause(Duration::from_secs_f64(seconds))
    }

    fn burst(&mut self, count: usize, last_after: f64) -> Result<Vec<Shot>, Halt> {
        self.allowed(count)?;
        let from = self.next;
        let last = from + count - usize::from(last_after > 0.0);
        self.next = last;
        self.write_at_once(from, last)?;
        if last < from + count {
            // Signals and enquire_link are not kept waiting by an SMSC that takes long.
            let at = Instant::now() + Duration::from_secs_f64(last_after);
            while self.open.len() == last - from && at > Instant::now() + LOOK {
                self.pump(Instant::now() + LOOK / 2)?;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()).min(LOOK));
            self.receive(Instant::now())?;
            if self.open.len() == last - from {
                self.next += 1;
                self.write_at_once(last, self.next)?;
            }
        }
        self.answers_or_silence()?;
        Ok(self.shots(from, self.next))
    }

    fn flow(&mut self, flow: Flow, enough: &mut dyn FnMut(&Shot) -> bool) -> Result<Vec<Shot>, Halt> {
        let (from, started) = (self.next, Instant::now());
        self.answered.clear();
        let mut is_enough = false;
        while self.left() > 0 && self.next - from < flow.count && started.elapsed().as_secs_f64() < flow.seconds {
            for n in std::mem::take(&mut self.answered) {
                is_enough |= self.shot(n).is_some_and(|shot| enough(&shot));
            }
            if is_enough {
                break;
            }
            let due = started + Duration::from_secs_f64((self.next - from) as f64 / flow.pace);
            let now = Instant::now();
            if self.open.len() >= flow.outstanding {
                self.pump(now + LOOK)?;
            } else if due > now {
                self.pump(due.min(now + LOOK))?;
            } else {
                self.write_next()?;
                // Answers that are there already are seen before the next is written.
                self.pump(now)?;
            }
        }
        self.answers_or_silence()?;
        Ok(self.shots(from, self.next))
    }
}
