//! Settings that are read anew while a service runs: what holds at once, and connections that are bound anew, one after the other,
//! each beside its old session. Where the new ones are refused the old ones hold again.

use super::{Hold, Run, SendSettings, Verdict, gather};
use crate::client::{Account, Order, Renewal};
use crate::journal::model::command::Answer;
use crate::journal::model::events::{Renewed, ToJournal};
use crate::words::{BadValue, bad};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A file is read within this time. One that is a pipe, or on a disk that hangs, holds nobody up.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Where the settings of a service come from.
pub trait Reload: Send {
    /// Reads them anew. What is wrong with them is said with its line, and changes nothing.
    fn read(&mut self) -> Result<Anew, BadValue>;

    /// What was read last holds from now on; `with_connections`: with what only a connection that is bound anew has.
    fn settle(&mut self, with_connections: bool);
}

/// Settings that were read anew.
pub struct Anew {
    /// They.
    pub settings: SendSettings,
    /// The rate or its tolerance is another.
    pub rate: bool,
    /// The hours are others.
    pub hours: bool,
    /// Connections have to be bound anew.
    pub connections: bool,
    /// What is changed, and what cannot be, in words.
    pub words: Vec<String>,
}

type Read = (Box<dyn Reload>, Result<Anew, BadValue>);

/// How settings are changed while the run goes on.
pub(super) struct Reloading {
    /// `None`: they cannot be, or are being read.
    pub(super) source: Option<Box<dyn Reload>>,
    reading: Option<(Receiver<Read>, Instant)>,
    /// What is read is not waited for any more.
    is_stuck: bool,
    /// Commands asked for it, which wait for the answer: not a signal alone.
    is_commanded: bool,
    binding: Option<Binding>,
    orders: Vec<Sender<Order>>,
    /// By which connections are bound.
    account: Arc<Account>,
    window: Arc<AtomicUsize>,
}

/// Connections that are being bound anew.
struct Binding {
    account: Arc<Account>,
    /// The one that is at it.
    slot: usize,
    /// Those that are through.
    renewed: Vec<usize>,
    words: Vec<String>,
}

impl Reloading {
    pub(super) fn new(account: Arc<Account>, window: Arc<AtomicUsize>, orders: Vec<Sender<Order>>) -> Self {
        Self {
            source: None,
            reading: None,
            is_stuck: false,
            is_commanded: false,
            binding: None,
            orders,
            account,
            window,
        }
    }
}

impl Run {
    /// Has the settings read anew where somebody asks for that, and takes them up once they are read.
    pub(super) fn look_for_reload(&mut self, settings: &SendSettings) {
        if let Some((read, since)) = &self.reloading.reading {
            match read.try_recv() {
                Ok((source, anew)) => {
                    (self.reloading.source, self.reloading.reading, self.reloading.is_stuck) =
                        (Some(source), None, false);
                    match anew {
                        // Whoever asked has been told already.
                        Ok(_) | Err(_) if std::mem::take(&mut self.reloading.is_stuck) => {}
                        Ok(anew) => self.take_up(settings, anew),
                        Err(why) => self.refuse_reload(&why),
                    }
                }
                Err(TryRecvError::Disconnected) => {
                    self.reloading.reading = None;
                    self.refuse_reload("the thread that read them died");
                }
                Err(TryRecvError::Empty) if since.elapsed() >= READ_WITHIN && !self.reloading.is_stuck => {
                    self.reloading.is_stuck = true;
                    let words = bad!("they could not be read within {} s", READ_WITHIN.as_secs());
                    self.refuse_reload(&words);
                }
                Err(TryRecvError::Empty) => {}
            }
        }
        let Some(board) = &self.service else { return };
        if self.reloading.binding.is_some() || self.reloading.reading.is_some() && !self.reloading.is_stuck {
            return;
        }
        let is_asked = std::mem::take(&mut board.lock().wants_reload);
        if !crate::platform::signals::took_hangup() && !is_asked {
            return;
        }
        self.reloading.is_commanded = is_asked;
        let Some(mut source) = self.reloading.source.take() else {
            let why = match self.reloading.is_stuck {
                true => {
                    "they are still being read, since a reload before: see whether their file is a pipe, or on a disk that hangs"
                }
                false => "the service has to be restarted for that",
            };
            self.refuse_reload(why);
            return;
        };
        let (to, read) = bounded(1);
        let spawned = std::thread::Builder::new().name("reload".into()).spawn(move || {
            let anew = source.read();
            let _ = to.send((source, anew));
        });
        match spawned {
            Ok(_) => self.reloading.reading = Some((read, Instant::now())),
            Err(error) => self.refuse_reload(&bad!("no thread to read them: {error}")),
        }
    }

    fn refuse_reload(&mut self, why: &str) {
        self.words.push(format!("reload refused, the settings stay as they were: {why}"));
        self.answer_reload(Answer::refusal(format!("the settings stay as they were: {why}")));
    }

    fn take_up(&mut self, settings: &SendSettings, anew: Anew) {
        let Anew { settings: new, rate, hours, connections, words } = anew;
        if rate {
            self.pacer.set_rate(new.rate, new.rate_tolerance);
        }
        self.reloading.window.store(new.account.window, Ordering::Relaxed);
        if hours {
            self.hours = new.hours.clone();
            self.verdict = Verdict::Open;
            if !self.hours.limit() {
                self.pacer.set_hold(Hold::No);
            }
        }
        let gather = gather(new.rate, new.account.window * settings.connections);
        let (opt_out_words, opt_in_words) = (new.opt_out_words.clone(), new.opt_in_words.clone());
        self.tell_journal(ToJournal::Renew(Renewed { opt_out_words, opt_in_words, gather }));
        for order in &self.reloading.orders {
            // A writer may wait long for a token of the rate before.
            let _ = order.send(Order::Look);
        }
        if !connections {
            self.end_reload(words, true);
            return;
        }
        self.words.push("reload: connections are bound anew, one after the other".into());
        let account = Arc::new(new.account);
        self.reloading.binding = Some(Binding { account, slot: 0, renewed: Vec::new(), words });
        self.bind_next(0);
    }

    /// Has the next connection bound anew, from this one on.
    fn bind_next(&mut self, from: usize) {
        let Some(binding) = &mut self.reloading.binding else { return };
        for slot in from..self.reloading.orders.len() {
            binding.slot = slot;
            if self.reloading.orders[slot].send(Order::Renew(Arc::clone(&binding.account))).is_ok() {
                return;
            }
            binding
                .words
                .push(format!("connection {}: it had ended, and comes back when the service is restarted", slot + 1));
        }
        if let Some(binding) = self.reloading.binding.take() {
            self.reloading.account = binding.account;
            self.end_reload(binding.words, true);
        }
    }

    /// What came of one of them.
    pub(super) fn note_renewed(&mut self, slot: usize, outcome: Renewal) {
        let number = slot + 1;
        let words = match &outcome {
            Renewal::Bound => format!("connection {number}: bound anew"),
            Renewal::Tried(why) => {
                format!("connection {number}: not bound; it is tried by the new settings from now on: {why}")
            }
            Renewal::Back(why) => {
                format!("connection {number}: the new settings are refused, and it goes on by those before: {why}")
            }
        };
        self.words.push(words.clone());
        let Some(binding) = self.reloading.binding.as_mut().filter(|binding| binding.slot == slot) else { return };
        binding.words.push(words);
        if !matches!(outcome, Renewal::Back(_)) {
            binding.renewed.push(slot);
            self.bind_next(slot + 1);
            return;
        }
        let Some(binding) = self.reloading.binding.take() else { return };
        for slot in &binding.renewed {
            let _ = self.reloading.orders[*slot].send(Order::Renew(Arc::clone(&self.reloading.account)));
        }
        let mut words = binding.words;
        if !binding.renewed.is_empty() {
            words.push("those that were bound anew go back to the settings before".into());
        }
        self.end_reload(words, false);
    }

    /// A connection has ended for good.
    pub(super) fn note_ended(&mut self, slot: usize) {
        if self.finish.is_none() {
            // All of them end.
            if self.reloading.binding.take().is_some() {
                self.refuse_reload("the service has been told to end");
            }
            return;
        }
        if self.reloading.binding.as_ref().is_some_and(|binding| binding.slot == slot) {
            self.bind_next(slot + 1);
        }
    }

    fn end_reload(&mut self, words: Vec<String>, with_connections: bool) {
        if let Some(source) = &mut self.reloading.source {
            source.settle(with_connections);
        }
        let answer = match with_connections {
            true => Answer { words: words.clone(), ..Answer::default() },
            false => Answer::refusal(words.join("; ")),
        };
        let ended = if with_connections { "reload" } else { "reload: what connections need is as it was" };
        self.words.push(match words.is_empty() {
            true => format!("{ended}: nothing is changed"),
            false => format!("{ended}: {}", words.join("; ")),
        });
        self.answer_reload(answer);
    }

    fn answer_reload(&mut self, answer: Answer) {
        if std::mem::take(&mut self.reloading.is_commanded) {
            self.tell_journal(ToJournal::Reloaded(answer));
        }
    }
}
