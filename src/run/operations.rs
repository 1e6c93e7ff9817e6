//! query_sm, cancel_sm and replace_sm for messages that the SMSC has: under the sender's lock, over one session that only
//! sends, a window at a time. What is asked is on disk before it is written; what is answered, after.

use crate::client::{Account, BindError, Dialogue, SessionEnd, answer_of, bind, final_state};
use crate::journal::files::lock::SenderLock;
pub use crate::journal::model::operation::{Answered, Fate, Line};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::store::account::Identity;
use crate::journal::store::campaign_options::options;
use crate::journal::store::counts::Counts;
pub use crate::journal::store::operation_request::RequestError;
use crate::journal::store::operation_request::{Asking, request};
use crate::journal::store::operations::{Omitted, Operation, Target, Targets, answered, intend};
use crate::journal::writer::{Campaigns, OwnJournal, Takeover, start};
use crate::journal::{Journal, JournalError};
use crate::policy::pacer::{Pacer, Rate};
use crate::run::pipeline::SendError;
use crate::wire::{BindKind, CommandId, CommandStatus, MessageState, StatusClass, decode_header};
use crossbeam_channel::Receiver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that is throttled is asked again so often, a second later each time.
const THROTTLED_TRIES: usize = 5;
const THROTTLED_DELAY: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Why an order ended before it was carried out.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// By a signal.
    #[error("interrupted")]
    Interrupted,
    /// The SMSC is silent.
    #[error("no answer within the response timeout")]
    Unanswered,
    /// The session ended.
    #[error("{0}")]
    Session(#[from] SessionEnd),
    /// There is no request about a part.
    #[error("{0}")]
    Request(#[from] RequestError),
}

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

fn line_of(target: &Target, fate: Fate) -> Line {
    Line {
        line: target.line,
        part: target.part,
        destination: target.destination.clone(),
        message_id: Some(target.message_id.clone()),
        fate,
    }
}

fn line_of_omitted(omitted: Omitted) -> Line {
    let Omitted { line, part, destination, why, .. } = omitted;
    Line { line, part, destination, message_id: None, fate: Fate::NotAsked(why.into()) }
}

/// Carries an order out, and tells what came of each part. `interrupt` ends it after the requests that are outstanding.
/// They come page by page, in the order of their lines. Returns why it ended early.
pub fn run<E: From<SendError>>(
    order: &Order,
    lock: &SenderLock,
    interrupt: &Receiver<()>,
    tell: &mut dyn FnMut(Line) -> Result<(), E>,
) -> Result<Option<Cut>, E> {
    let path = &order.journal;
    let at = |error: JournalError| SendError::from(error.at(path));
    let rules = RetryRules::default();
    let takeover = Takeover { path, account: Some(&order.identity), rules: &rules, campaigns: Campaigns::None };
    let OwnJournal { journal, mut counts, .. } = start(lock, &takeover).map_err(SendError::from)?.own;
    let mut targets = Targets::of(&journal, &counts, &order.campaign, &order.lines).map_err(at)?;
    let alphabet = options(&journal, &order.campaign).map_err(at)?.default_alphabet;
    let asking = Asking { operation: order.operation, text: order.text.as_deref(), alphabet };
    let mut pacer = Pacer::new(order.rate);
    let mut dialogue = None;
    let mut outcome = Outcome::default();
    while let Some((mut page, omitted)) = targets.page(&journal, &counts).map_err(at)? {
        outcome.lines.extend(omitted.into_iter().map(line_of_omitted));
        // What cannot be asked is said before anything is.
        page.retain(|target| match request(asking, target, 1) {
            Ok(_) => true,
            Err(why) => {
                outcome.lines.push(line_of(target, Fate::NotAsked(why.to_string())));
                false
            }
        });
        if !page.is_empty() && dialogue.is_none() {
            match bind(&order.account, order.kind, &|| !interrupt.is_empty(), &drop) {
                Ok(bound) => dialogue = Some(Dialogue::new(bound)),
                Err(BindError::Stopped) => {
                    let unasked = |target: &Target| line_of(target, Fate::NotAsked("the run ended before".into()));
                    outcome.lines.extend(page.iter().map(unasked));
                    outcome.broken = Some(Cut::Interrupted);
                }
                Err(error) => return Err(SendError::Settings(error.to_string()).into()),
            }
        }
        if let Some(dialogue) = &mut dialogue {
            let exchange = Exchange { order, asking, journal: &journal, counts: &mut counts, pacer: &mut pacer };
            exchange.page(dialogue, &page, interrupt, &mut outcome)?;
        }
        outcome.lines.sort_by_key(|line| (line.line, line.part));
        outcome.lines.drain(..).try_for_each(&mut *tell)?;
    }
    if let Some(dialogue) = dialogue
        && matches!(outcome.broken, None | Some(Cut::Interrupted))
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
    broken: Option<Cut>,
}

/// The requests of an order on their way.
struct Exchange<'a> {
    order: &'a Order,
    asking: Asking<'a>,
    journal: &'a Journal,
    counts: &'a mut Counts,
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
            outcome.lines.push(line_of(target, Fate::NotAsked("the run ended before".into())));
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
                outcome.broken = Some(Cut::Interrupted);
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
            let token = Instant::now().max(not_before) + self.pacer.ready_in().max(Duration::from_millis(1));
            let is_asked = stopped || unasked.is_empty();
            let until = if is_asked { open.deadline } else { Some(token.min(Instant::now() + LOOK)) };
            broken = self.hear(dialogue, until.unwrap_or(token), is_asked, &mut open).err();
        }
        answered(self.journal, self.counts, &open.answers).map_err(|error| error.at(&self.order.journal))?;
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
    ) -> Result<Option<Cut>, SendError> {
        let targets: Vec<&Target> = unasked[..granted].iter().map(|(target, _)| *target).collect();
        let numbers = intend(self.journal, self.order.operation, &targets, self.order.text.as_deref())
            .map_err(|error| error.at(&self.order.journal))?;
        for (number, target) in numbers.into_iter().zip(targets) {
            *unasked = &unasked[1..];
            let sequence_number = dialogue.number();
            open.waiting.push((sequence_number, number, target));
            let written = request(self.asking, target, sequence_number)
                .map_err(Cut::from)
                .and_then(|request| Ok(dialogue.write(&request)?));
            if let Err(why) = written {
                return Ok(Some(why));
            }
        }
        open.deadline = Some(Instant::now() + self.order.account.timers.response);
        Ok(None)
    }

    /// Takes in what comes until then. Says why it cannot go on, which is so where `is_last` and nothing came.
    fn hear(&self, dialogue: &mut Dialogue, until: Instant, is_last: bool, open: &mut Open<'_>) -> Result<(), Cut> {
        match dialogue.receive(until)? {
            Some(frame) => {
                // A receipt, on a session that receives too: it is to come again, to a sender or `listen`.
                dialogue.acknowledge(&frame, CommandStatus::RECEIVER_TEMPORARY)?;
                if let Some((number, target, answer)) = answer_to(&frame, &mut open.waiting) {
                    let state = final_state(&self.order.account.receipts, &answer);
                    open.answers.push((number, target, answer, state));
                }
                Ok(())
            }
            None if is_last => Err(Cut::Unanswered),
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
        let why = outcome.broken.as_ref().map(Cut::to_string).unwrap_or_default();
        let mut throttled = Vec::new();
        for (_, target, answer, _) in open.answers {
            let class = self.order.rules.class(CommandStatus(answer.command_status));
            if class == StatusClass::Throttled && !is_over {
                throttled.push((target, Some(answer)));
            } else {
                outcome.lines.push(line_of(target, Fate::Answered(answer)));
            }
        }
        for (_, _, target) in open.waiting {
            outcome.lines.push(line_of(target, Fate::Unanswered(why.clone())));
        }
        for (target, earlier) in unasked {
            let fate = earlier.clone().map_or_else(|| Fate::NotAsked(why.clone()), Fate::Answered);
            outcome.lines.push(line_of(target, fate));
        }
        throttled
    }
}

/// Takes the request that a PDU answers out of those that wait; `None`: it answers none.
fn answer_to<'t>(frame: &[u8], waiting: &mut Vec<(u32, i64, &'t Target)>) -> Option<(i64, &'t Target, Answered)> {
    let header = decode_header(frame)?;
    let is_answer = header.command_id.is_response() || header.command_id == CommandId::GENERIC_NACK;
    let at = waiting.iter().position(|(number, ..)| is_answer && *number == header.sequence_number)?;
    let (_, number, target) = waiting.swap_remove(at);
    Some((number, target, answer_of(frame, &target.message_id)?))
}
