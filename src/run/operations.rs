//! query_sm, cancel_sm and replace_sm for messages that the SMSC has: under the sender's lock, over one session that only
//! sends, a window at a time. What is asked is on disk before it is written; what is answered, after.

use crate::client::{Account, BindError, Dialogue, bind};
use crate::journal::files::lock::SenderLock;
use crate::journal::model::id_spelling::{bare, in_other_radix};
use crate::journal::store::account::Identity;
use crate::journal::store::counts::Books;
use crate::journal::store::decisions::apply_all;
use crate::journal::store::operations::{Answered, Omitted, Operation, Target, Targets, answered, intend};
use crate::journal::writer::recovery::{Recovery, recover};
use crate::journal::writer::retry_queue::RetryRules;
use crate::journal::{self, JournalError};
use crate::message::text::{DefaultAlphabet, Encoder, Encoding, Reference, TextError};
use crate::policy::pacer::{Pacer, Rate};
use crate::run::pipeline::SendError;
use crate::wire::{
    Address, BindKind, CancelSm, CommandId, CommandStatus, EncodeError, MessageState, Pdu, QuerySm, ReplaceSm, Sm,
    StatusClass, decode, decode_header,
};
use crossbeam_channel::Receiver;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that is throttled is asked again so often, a second later each time.
const THROTTLED_TRIES: usize = 5;
const THROTTLED_DELAY: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);
/// Why a run ended that was told to.
pub const INTERRUPTED: &str = "interrupted";

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Order {
    /// The journal's file.
    pub journal: PathBuf,
    /// How the account is reached.
    pub account: Account,
    /// How the account is named.
    pub identity: Identity,
    /// How the session is bound.
    pub kind: BindKind,
    /// Requests a second.
    pub rate: Rate,
    /// What statuses mean.
    pub rules: Arc<RetryRules>,
    /// What is asked.
    pub operation: Operation,
    /// Of a replacement: the new text.
    pub text: Option<String>,
    /// The campaign.
    pub campaign: String,
    /// Lines of its file; empty: all that the SMSC has without a final state.
    pub lines: Vec<u64>,
}

/// What came of one part.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Answered.
    Answered(Answered),
    /// Asked, and not answered: it may have been done.
    Unanswered(String),
    /// Not asked.
    NotAsked(String),
}

/// A part and what came of it.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line of its message.
    pub line: i64,
    /// Which part, from 1.
    pub part: u8,
    /// Its destination.
    pub destination: String,
    /// What the SMSC calls it.
    pub message_id: Option<String>,
    /// What came of it.
    pub fate: Fate,
}

impl Line {
    fn of(target: &Target, fate: Fate) -> Self {
        Self {
            line: target.line,
            part: target.part,
            destination: target.destination.clone(),
            message_id: Some(target.message_id.clone()),
            fate,
        }
    }

    fn omitted(omitted: Omitted) -> Self {
        let Omitted { line, part, destination, why } = omitted;
        Self { line, part, destination, message_id: None, fate: Fate::NotAsked(why.into()) }
    }
}

/// Carries an order out, and tells what came of each part. `interrupt` ends it after the requests that are outstanding.
/// They come page by page, in the order of their lines. Returns why it ended early.
pub fn run<E: From<SendError>>(
    order: &Order,
    _lock: &SenderLock,
    interrupt: &Receiver<()>,
    tell: &mut dyn FnMut(Line) -> Result<(), E>,
) -> Result<Option<String>, E> {
    let path = &order.journal;
    let connection = journal::open_existing(path).map_err(SendError::from)?;
    let at = |error: JournalError| SendError::from(error.at(path));
    journal::store::account::claim_account(&connection, path, &order.identity).map_err(at)?;
    let Recovery { connection, mut books, .. } = recover(connection, path, &RetryRules::default()).map_err(at)?;
    apply_all(&connection, &mut books).map_err(at)?;
    let mut targets = Targets::of(&connection, &books, &order.campaign, &order.lines).map_err(at)?;
    let alphabet = journal::model::campaign::options(&connection, &order.campaign).map_err(at)?.default_alphabet;
    let mut pacer = Pacer::new(order.rate);
    let mut dialogue = None;
    let mut outcome = Outcome::default();
    while let Some((mut page, omitted)) = targets.page(&connection, &books).map_err(at)? {
        outcome.lines.extend(omitted.into_iter().map(Line::omitted));
        // What cannot be asked is said before anything is.
        page.retain(|target| match request(order, alphabet, target, 1) {
            Ok(_) => true,
            Err(why) => {
                outcome.lines.push(Line::of(target, Fate::NotAsked(why)));
                false
            }
        });
        if !page.is_empty() && dialogue.is_none() {
            match bind(&order.account, order.kind, &|| !interrupt.is_empty(), &drop) {
                Ok(bound) => dialogue = Some(Dialogue::new(bound)),
                Err(BindError::Stopped) => {
                    let unasked = |target: &Target| Line::of(target, Fate::NotAsked("the run ended before".into()));
                    outcome.lines.extend(page.iter().map(unasked));
                    outcome.broken = Some(INTERRUPTED.into());
                }
                Err(error) => return Err(SendError::Settings(error.to_string()).into()),
            }
        }
        if let Some(dialogue) = &mut dialogue {
            let exchange = Exchange { order, alphabet, connection: &connection, books: &mut books, pacer: &mut pacer };
            exchange.page(dialogue, &page, interrupt, &mut outcome)?;
        }
        outcome.lines.sort_by_key(|line| (line.line, line.part));
        outcome.lines.drain(..).try_for_each(&mut *tell)?;
    }
    if let Some(dialogue) = dialogue
        && outcome.broken.as_deref().is_none_or(|why| why == INTERRUPTED)
    {
        dialogue.leave();
    }
    Ok(outcome.broken)
}

/// What came of a page.
#[derive(Default)]
struct Outcome {
    /// Part by part.
    lines: Vec<Line>,
    /// Why it ended early.
    broken: Option<String>,
}

/// The requests of an order on their way.
struct Exchange<'a> {
    order: &'a Order,
    alphabet: DefaultAlphabet,
    connection: &'a Connection,
    books: &'a mut Books,
    pacer: &'a mut Pacer,
}

/// A part to be asked about, and the answer that throttled it, if it was asked about before.
type Wanted<'t> = (&'t Target, Option<Answered>);

/// What is under way of some requests.
#[derive(Default)]
struct Open<'t> {
    /// Written and not answered: sequence number, number in the journal, part.
    waiting: Vec<(u32, i64, &'t Target)>,
    answers: Vec<(i64, &'t Target, Answered, Option<MessageState>)>,
    /// No answer counts after this.
    deadline: Option<Instant>,
}

impl Exchange<'_> {
    fn page(
        mut self,
        dialogue: &mut Dialogue,
        targets: &[Target],
        interrupt: &Receiver<()>,
        outcome: &mut Outcome,
    ) -> Result<(), SendError> {
        let mut left = targets;
        while !left.is_empty() && outcome.broken.is_none() {
            let (now, later) = left.split_at(left.len().min(self.order.account.window));
            left = later;
            let mut wanted: Vec<Wanted<'_>> = now.iter().map(|target| (target, None)).collect();
            for tried in 0..THROTTLED_TRIES {
                let pause = if tried > 0 { THROTTLED_DELAY } else { Duration::ZERO };
                let is_last = tried + 1 == THROTTLED_TRIES;
                wanted = self.window(dialogue, &wanted, (pause, is_last), interrupt, outcome)?;
                if wanted.is_empty() || outcome.broken.is_some() {
                    break;
                }
            }
        }
        for target in left {
            outcome.lines.push(Line::of(target, Fate::NotAsked("the run ended before".into())));
        }
        Ok(())
    }

    /// After a pause, asks about some parts and waits for the answers. Returns those that were throttled, unless this was
    /// the `last` try.
    fn window<'t>(
        &mut self,
        dialogue: &mut Dialogue,
        wanted: &[Wanted<'t>],
        (pause, last): (Duration, bool),
        interrupt: &Receiver<()>,
        outcome: &mut Outcome,
    ) -> Result<Vec<Wanted<'t>>, SendError> {
        let mut open = Open::default();
        let mut unasked = wanted;
        let not_before = Instant::now() + pause;
        let mut broken = None;
        while broken.is_none() && (!unasked.is_empty() || !open.waiting.is_empty()) {
            if !unasked.is_empty() && interrupt.try_recv().is_ok() {
                outcome.broken = Some(INTERRUPTED.into());
            }
            let stopped = outcome.broken.is_some();
            if stopped && open.waiting.is_empty() {
                break;
            }
            let is_pause = Instant::now() < not_before;
            let granted = if stopped || is_pause { 0 } else { self.pacer.take(unasked.len()) };
            if granted > 0 {
                broken = self.ask(dialogue, granted, &mut unasked, &mut open)?;
                continue;
            }
            // While it waits for the next token the link has to be kept, and a signal to be seen.
            let token =
                Instant::now().max(not_before) + self.pacer.ready_in(unasked.len()).max(Duration::from_millis(1));
            let is_asked = stopped || unasked.is_empty();
            let until = if is_asked { open.deadline } else { Some(token.min(Instant::now() + LOOK)) };
            broken = self.hear(dialogue, until.unwrap_or(token), is_asked, &mut open).err();
        }
        answered(self.connection, self.books, &open.answers).map_err(|error| error.at(&self.order.journal))?;
        outcome.broken = outcome.broken.take().or(broken);
        Ok(self.conclude(open, unasked, last, outcome))
    }

    /// Writes requests about the next so many parts, once they are on disk. Returns why it could not.
    fn ask<'t>(
        &mut self,
        dialogue: &mut Dialogue,
        granted: usize,
        unasked: &mut &[Wanted<'t>],
        open: &mut Open<'t>,
    ) -> Result<Option<String>, SendError> {
        let targets: Vec<&Target> = unasked[..granted].iter().map(|(target, _)| *target).collect();
        let numbers = intend(self.connection, self.order.operation, &targets, self.order.text.as_deref())
            .map_err(|error| error.at(&self.order.journal))?;
        for (number, target) in numbers.into_iter().zip(targets) {
            *unasked = &unasked[1..];
            let sequence_number = dialogue.number();
            open.waiting.push((sequence_number, number, target));
            let written = request(self.order, self.alphabet, target, sequence_number)
                .and_then(|request| dialogue.write(&request));
            if let Err(why) = written {
                return Ok(Some(why));
            }
        }
        open.deadline = Some(Instant::now() + self.order.account.timers.response);
        Ok(None)
    }

    /// Takes in what comes until then. Says why it cannot go on, which is so where `is_last` and nothing came.
    fn hear(&self, dialogue: &mut Dialogue, until: Instant, is_last: bool, open: &mut Open<'_>) -> Result<(), String> {
        match dialogue.receive(until)? {
            Some(frame) => {
                // A receipt, on a session that receives too: it is to come again, to a sender or `listen`.
                dialogue.acknowledge(&frame, CommandStatus::RECEIVER_TEMPORARY)?;
                if let Some((number, target, answer)) = answer_to(&frame, &mut open.waiting) {
                    let state = self.final_state(&answer);
                    open.answers.push((number, target, answer, state));
                }
                Ok(())
            }
            None if is_last => Err("no answer within the response timeout".into()),
            None => Ok(()),
        }
    }

    /// Says what came of parts, but for those that were throttled and are to be asked about again: these it returns.
    fn conclude<'t>(
        &self,
        open: Open<'t>,
        unasked: &[Wanted<'t>],
        last: bool,
        outcome: &mut Outcome,
    ) -> Vec<Wanted<'t>> {
        let is_over = last || outcome.broken.is_some();
        let why = outcome.broken.clone().unwrap_or_default();
        let mut throttled = Vec::new();
        for (_, target, answer, _) in open.answers {
            let class = self.order.rules.class(CommandStatus(answer.command_status));
            if class == StatusClass::Throttled && !is_over {
                throttled.push((target, Some(answer)));
            } else {
                outcome.lines.push(Line::of(target, Fate::Answered(answer)));
            }
        }
        for (_, _, target) in open.waiting {
            outcome.lines.push(Line::of(target, Fate::Unanswered(why.clone())));
        }
        for (target, earlier) in unasked {
            let fate = earlier.clone().map_or_else(|| Fate::NotAsked(why.clone()), Fate::Answered);
            outcome.lines.push(Line::of(target, fate));
        }
        throttled
    }

    /// The final state that a query told. UNKNOWN is none: the SMSC says only that it does not know.
    fn final_state(&self, answer: &Answered) -> Option<MessageState> {
        let code = answer.state.filter(|_| answer.command_status == 0)?;
        let reading = &self.order.account.receipts;
        let state = reading.message_state(code)?;
        (state.is_final(reading.accepted_is_final) && state != MessageState::Unknown)
            .then(|| crate::client::last(state))
    }
}

/// Takes the request that a PDU answers out of those that wait; `None`: it answers none.
fn answer_to<'t>(frame: &[u8], waiting: &mut Vec<(u32, i64, &'t Target)>) -> Option<(i64, &'t Target, Answered)> {
    let header = decode_header(frame)?;
    let is_answer = header.command_id.is_response() || header.command_id == CommandId::GENERIC_NACK;
    let at = waiting.iter().position(|(number, ..)| is_answer && *number == header.sequence_number)?;
    let (_, number, target) = waiting.swap_remove(at);
    let mut answer = Answered { command_status: header.command_status.0, ..Answered::default() };
    if header.command_id == CommandId::GENERIC_NACK && header.command_status == CommandStatus::OK {
        answer.command_status = CommandStatus::SYSTEM_ERROR.0;
    }
    if let (CommandStatus::OK, Ok((_, Pdu::QuerySmResp(told)))) = (header.command_status, decode(frame)) {
        if names_another(told.message_id, &target.message_id) {
            let (told, asked) = (told.message_id.escape_ascii(), &target.message_id);
            log::warn!("asked about {asked}, the SMSC told of {told}: its answer is not believed");
            return Some((number, target, answer));
        }
        answer.state = Some(told.message_state);
        answer.error_code = Some(told.error_code);
        let date = told.final_date.escape_ascii().to_string();
        answer.final_date = Some(date).filter(|date| !date.is_empty());
    }
    Some((number, target, answer))
}

/// Whether an answer is about another message than the one that was asked about, however the SMSC writes its ids.
fn names_another(told: &[u8], asked: &str) -> bool {
    let of = |id: &[u8]| bare(id).to_ascii_lowercase();
    let others = in_other_radix(asked.as_bytes()).into_iter().flatten();
    !told.is_empty()
        && of(told) != of(asked.as_bytes())
        && others.into_iter().all(|other| of(other.as_bytes()) != of(told))
}

/// The request about a part; says why where there can be none.
fn request(order: &Order, alphabet: DefaultAlphabet, target: &Target, sequence_number: u32) -> Result<Vec<u8>, String> {
    let (sm, id) = (sent(&target.request), target.message_id.as_bytes());
    let Some(sm) = sm else { return Err("what was sent cannot be read".into()) };
    let mut text = Vec::new();
    let pdu = match order.operation {
        Operation::Query => Pdu::QuerySm(QuerySm { message_id: id, source: sm.source }),
        // With a message_id the destination is left empty (SMPP v3.4, 4.9.1).
        Operation::Cancel => Pdu::CancelSm(CancelSm {
            service_type: sm.service_type,
            message_id: id,
            source: sm.source,
            destination: Address::default(),
        }),
        Operation::Replace => {
            replacement(order, alphabet, target, sm.data_coding, &mut text)?;
            Pdu::ReplaceSm(ReplaceSm {
                message_id: id,
                source: sm.source,
                registered_delivery: sm.registered_delivery,
                short_message: &text,
                ..ReplaceSm::default()
            })
        }
    };
    let mut out = Vec::new();
    crate::wire::encode(&pdu, sequence_number, CommandStatus::OK, &mut out)
        .map_err(|error: EncodeError| error.to_string())?;
    Ok(out)
}

/// The request that the SMSC took.
fn sent(request: &[u8]) -> Option<Sm<'_>> {
    match decode(request) {
        Ok((_, Pdu::SubmitSm(sm))) => Some(sm),
        Ok((_, Pdu::DataSm(data))) => Some(Sm {
            service_type: data.service_type,
            source: data.source,
            registered_delivery: data.registered_delivery,
            data_coding: data.data_coding,
            ..Sm::default()
        }),
        _ => None,
    }
}

/// The octets of a new text. replace_sm says nothing of an alphabet, so that it has to be that of the text it replaces.
fn replacement(
    order: &Order,
    alphabet: DefaultAlphabet,
    target: &Target,
    data_coding: u8,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if target.parts > 1 {
        return Err("a long message cannot be replaced part by part: cancel it and send another".into());
    }
    let encoding = Encoding::from_stored(target.encoding).ok_or("its encoding is unknown")?;
    let text = order.text.as_deref().unwrap_or_default();
    let alphabet = if data_coding == 0 { alphabet } else { DefaultAlphabet::Gsm7 };
    let policy =
        crate::message::text::Policy { choice: encoding.into(), alphabet, ..crate::message::text::Policy::default() };
    let measured = crate::message::text::segment(text, policy).map_err(|error| {
        let cure = match error {
            TextError::NotInAlphabet { .. } => ": leave it out, or cancel the message and send another",
            TextError::TooManyParts { .. } => "",
        };
        format!("replace_sm keeps the alphabet of the text that it replaces, which is {encoding}: {error}{cure}")
    })?;
    if measured.sms > 1 {
        return Err(format!("the new text has {} {encoding} units, more than one SMS holds", measured.units));
    }
    let encoder = Encoder::new(text, encoding, Reference::Whole).map_err(|error| error.to_string())?;
    encoder.with_alphabet(alphabet).next_into(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::names_another;

    #[test]
    fn an_answer_about_another_message_is_told_from_another_spelling() {
        for (told, asked) in [("", "77"), ("77", "77"), ("0077", "77"), ("b8be19", "B8BE19"), ("12107289", "b8be19")] {
            assert!(!names_another(told.as_bytes(), asked), "{told} {asked}");
        }
        for (told, asked) in [("78", "77"), ("5000006", "5000001"), ("x", "77")] {
            assert!(names_another(told.as_bytes(), asked), "{told} {asked}");
        }
    }
}
