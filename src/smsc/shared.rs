//! What all threads of a simulator share, and what can be done to it from outside: by steps, by the control, by a program.
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::behaviour::{Behaviour, Behaviours, Change};
use super::delay::Delay;
use super::desk::Desk;
use super::history::History;
use super::inbound::{COUNT_MAX, Inbound, Prepared, REQUESTS_MAX, To};
use super::ledger::Ledger;
use super::message::latin1;
use super::message_store::Kept;
use super::rate::time_of;
use super::receipts::{Delivery, Fate, Receipt, ReceiptWriter};
use super::session::Session;
use super::settings::{Every, Password, Settings};
use super::stats::{Counters, Stats};
use super::writer::answer_form;
use super::{acceptor, clock};
use crate::record::Recorder;
use crate::wire::{
    Address, AlertNotification, CommandId, CommandStatus, Outbind, Pdu, Tlvs, encode, encode_header_only,
};
use crate::words::{BadValue, bad};

/// How long connecting for an outbind may take.
const OUTBIND_TIMEOUT: Duration = Duration::from_secs(5);

/// Messages from handsets that may wait for a session.
const WAITING_MAX: u64 = 1_000_000;

/// What all threads of a simulator share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) started: Instant,
    pub(super) counters: Counters,
    pub(super) behaviours: Behaviours,
    pub(super) ledger: Option<Ledger>,
    pub(super) history: Option<History>,
    pub(super) kept: Option<Mutex<Kept>>,
    pub(super) desk: Desk,
    pub(super) next_number: AtomicU64,
    pub(super) next_session: AtomicU64,
    pub(super) accounts: Mutex<HashMap<Vec<u8>, Arc<Account>>>,
    pub(super) sessions: Mutex<HashMap<u64, Arc<Session>>>,
    /// Threads of sessions that the acceptor did not start.
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) stopping: AtomicBool,
    /// How often it was reset: what a batch from before one has scheduled is forgotten.
    pub(super) resets: AtomicU64,
    pub(super) recorder: Option<Recorder>,
}

/// Which sessions something is done to. As text: `all`, the number of one, or an account's system_id; one that is a number, or
/// `all`, is named as `{ system_id = "1234" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    #[default]
    All,
    /// The one of this number.
    Session(u64),
    /// Those of an account.
    Account(String),
}

impl std::str::FromStr for Which {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        Ok(match text {
            "" => return Err("a session's number, a system_id, or all".into()),
            "all" => Which::All,
            _ => text.parse().map_or_else(|_| Which::Account(text.to_owned()), Which::Session),
        })
    }
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u64),
            Word(String),
            Named { system_id: String },
        }
        match Given::deserialize(deserializer)? {
            Given::Number(number) => Ok(Which::Session(number)),
            Given::Word(word) => word.parse().map_err(serde::de::Error::custom),
            Given::Named { system_id } => Ok(Which::Account(system_id)),
        }
    }
}

/// An outbind: the SMSC connects to a client that waits for it, says who it is, and is bound to over that connection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutbindTo {
    /// Where the client listens: an address with its port.
    pub address: std::net::SocketAddr,
    /// The SMSC's name. Defaults to `smppost-smsc`.
    #[serde(default = "own_name")]
    pub system_id: String,
    /// The SMSC's password. Defaults to none.
    #[serde(default)]
    pub password: Password,
}

fn own_name() -> String {
    "smppost-smsc".to_owned()
}

/// An alert_notification: a handset can be reached again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The handset's number.
    pub source: String,
    /// Who asked to know. Defaults to nobody.
    #[serde(default)]
    pub esme: String,
    /// The sessions that are told. Defaults to all that receive.
    #[serde(default)]
    pub session: Which,
}

/// A session as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionInfo {
    /// Its number, from 1.
    pub session: u64,
    /// Where the client is.
    pub peer: String,
    /// The account; none before the bind.
    pub system_id: Option<String>,
    /// `bind_transceiver`, `bind_transmitter` or `bind_receiver`; none before the bind.
    pub bind: Option<&'static str>,
    /// The version of the bind.
    pub version: Option<String>,
    /// Messages that came over it.
    pub submits: u64,
    /// deliver_sm and data_sm sent to it and not answered.
    pub outstanding: u64,
}

impl Shared {
    pub(super) fn account(&self, system_id: &[u8]) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(system_id) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(system_id, &self.behaviours.of(system_id)));
        accounts.insert(system_id.to_vec(), Arc::clone(&account));
        account
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a quirk asks which part of a long message a submit is, or something keeps it.
    pub(super) fn wants_parts(&self, behaviour: &Behaviour) -> bool {
        let quirks = &behaviour.quirks;
        self.ledger.is_some()
            || self.history.is_some()
            || quirks.first_part_only != Every(0)
            || quirks.last_part_only != Every(0)
    }

    pub(super) fn receipt_writer(&self, v33: bool, long_service_type: bool) -> ReceiptWriter {
        let settings = &self.settings;
        ReceiptWriter::new(answer_form(settings.message_id, v33), settings.receipt_id, v33, long_service_type)
    }

    /// Gives the receipt of a message that was cancelled or replaced meanwhile its new fate and text.
    pub(super) fn apply_cancellation(&self, receipt: &mut Receipt) {
        if let Some(kept) = &self.kept
            && receipt.fate != Fate::Enroute
        {
            kept.lock().bring_up_to_date(receipt);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let waiting = || -> u64 {
            let of_accounts: u64 = self.accounts.lock().values().map(|account| account.waiting() as u64).sum();
            let of_sessions: u64 = self.sessions.lock().values().map(|session| session.own.lock().len() as u64).sum();
            of_accounts + of_sessions
        };
        // What goes out or comes back meanwhile was counted here or there.
        let before = waiting();
        let counted = self.counters.snapshot();
        Stats { receipts_waiting: before.max(waiting()), ..counted }
    }

    pub(super) fn sessions(&self, which: &Which) -> Vec<Arc<Session>> {
        let mut sessions: Vec<Arc<Session>> = self.sessions.lock().values().cloned().collect();
        sessions.sort_by_key(|session| session.id);
        sessions.retain(|session| {
            let is_it = match which {
                Which::All => true,
                Which::Session(number) => session.id == *number,
                Which::Account(system_id) => {
                    session.known.get().is_some_and(|bound| *bound.account.system_id == *system_id.as_bytes())
                }
            };
            // One that ends is not there any more.
            is_it && !session.state.lock().ended
        });
        sessions
    }

    /// All sessions as they stand.
    pub(super) fn session_infos(&self) -> Vec<SessionInfo> {
        let info = |session: Arc<Session>| {
            let bound = session.known.get();
            SessionInfo {
                session: session.id,
                peer: session.peer_name.clone(),
                system_id: bound.map(|bound| latin1(&bound.account.system_id)),
                bind: bound.map(|bound| bound.kind.command_id().name()),
                version: bound.map(|bound| bound.version_name.clone()),
                submits: session.submits.load(Ordering::Relaxed),
                outstanding: session.deliveries.lock().outstanding() as u64,
            }
        };
        self.sessions(&Which::All).into_iter().map(info).collect()
    }

    /// Cuts connections without an unbind, and says how many.
    pub(super) fn cut(&self, which: &Which) -> usize {
        self.sessions(which).iter().map(|session| session.end()).count()
    }

    /// Sends unbind on bound sessions, and says on how many.
    pub(super) fn unbind(&self, which: &Which) -> usize {
        let unbind = |session: &Arc<Session>| {
            let sequence_number = session.deliveries.lock().next_sequence();
            let mut unbind = Vec::new();
            encode_header_only(CommandId::UNBIND, CommandStatus::OK, sequence_number, &mut unbind);
            session.send(&mut unbind);
        };
        let bound = |session: &Arc<Session>| session.bound().is_some();
        self.sessions(which).iter().filter(|session| bound(session)).map(unbind).count()
    }

    /// Tells receiving sessions that a handset can be reached again, and says how many.
    pub(super) fn alert(&self, alert: &Alert) -> Result<usize, BadValue> {
        let address = |number: &str| -> Vec<u8> { number.as_bytes().to_vec() };
        let (source, esme) = (address(&alert.source), address(&alert.esme));
        let mut count = 0;
        for session in self.sessions(&alert.session) {
            if !session.bound().is_some_and(|bound| bound.kind.can_receive()) {
                continue;
            }
            let pdu = Pdu::AlertNotification(AlertNotification {
                source: Address::new(1, 1, &source),
                esme: Address::new(u8::from(!esme.is_empty()), u8::from(!esme.is_empty()), &esme),
                tlvs: Tlvs::NONE,
            });
            let sequence_number = session.deliveries.lock().next_sequence();
            let mut out = Vec::new();
            encode(&pdu, sequence_number, CommandStatus::OK, &mut out).map_err(|error| error.to_string())?;
            session.send(&mut out);
            count += 1;
        }
        Ok(count)
    }

    /// Connects to a client that waits for an outbind. The session is as any other then.
    pub(super) fn outbind(self: &Arc<Self>, to: &OutbindTo) -> Result<(), BadValue> {
        if !to.address.ip().is_loopback() && !self.settings.expose_to_network {
            return Err(bad!("{} is not on this machine: that needs --expose-to-network", to.address));
        }
        let mut outbind = Vec::new();
        let pdu = Pdu::Outbind(Outbind { system_id: to.system_id.as_bytes(), password: to.password.octets() });
        encode(&pdu, 1, CommandStatus::OK, &mut outbind).map_err(|error| error.to_string())?;
        if self.stopping.load(Ordering::SeqCst) {
            return Err("the simulator ends".into());
        }
        let session = acceptor::open_own(self, || {
            TcpStream::connect_timeout(&to.address, OUTBIND_TIMEOUT)
                .map_err(|error| bad!("no connection to {}: {error}", to.address))
        })?;
        session.deliveries.lock().next_sequence();
        session.send(&mut outbind);
        if self.stopping.load(Ordering::SeqCst) {
            session.end();
        }
        Ok(())
    }

    /// Changes how all accounts, or one, are treated.
    pub(super) fn change(&self, system_id: Option<&str>, change: &Change) {
        self.behaviours.change(system_id.map(str::as_bytes), change);
        if change.rate.is_some() || change.rate_tolerance.is_some() || change.limits.is_some() {
            for account in self.accounts.lock().values() {
                if system_id.is_none_or(|system_id| *account.system_id == *system_id.as_bytes()) {
                    account.limit(&self.behaviours.of(&account.system_id));
                }
            }
        }
    }

    /// Goes back to how it was started: treatment, limits, counts, what is remembered, and what waits to be delivered. Sessions
    /// stay, and numbers go on. What `--inbound` holds comes once more.
    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
        self.behaviours.reset();
        let accounts: Vec<Arc<Account>> = self.accounts.lock().values().cloned().collect();
        for account in &accounts {
            account.limit(&self.behaviours.of(&account.system_id));
            account.forget();
        }
        for session in self.sessions(&Which::All) {
            session.own.lock().clear();
            // What is not answered yet does not come again.
            let outstanding = session.deliveries.lock().take_sent_until(Duration::MAX);
            self.counters.deliver_outstanding.subtract(outstanding.len() as u64);
            session.submits.store(0, Ordering::Relaxed);
            session.wake();
        }
        if let Some(kept) = &self.kept {
            kept.lock().clear();
        }
        if let Some(history) = &self.history {
            history.clear();
        }
        self.counters.begin_anew();
        self.desk.reset(self.settings.inbound.as_ref());
        for account in accounts.iter().filter(|account| !account.receivers().is_empty()) {
            self.deliver_waiting(account);
        }
    }

    /// Whether an account of this name may bind.
    pub(super) fn may_bind(&self, system_id: &[u8]) -> bool {
        let settings = &self.settings;
        let named = settings.system_id.as_ref().map(|wanted| wanted.as_bytes() == system_id);
        settings.accounts.iter().any(|account| account.system_id.as_bytes() == system_id)
            || named.unwrap_or(settings.accounts.is_empty())
    }

    /// Refuses the name of an account that can never be there.
    pub(super) fn check_account(&self, system_id: Option<&str>) -> Result<(), BadValue> {
        match system_id {
            Some(system_id) if !self.may_bind(system_id.as_bytes()) => {
                let named = self.settings.system_id.iter();
                let known: Vec<&str> = named
                    .chain(self.settings.accounts.iter().map(|account| &account.system_id))
                    .map(String::as_str)
                    .collect();
                Err(bad!("there is no account {system_id:?}; there are {}", known.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Has a handset send a message, and gives the numbers of the messages that come of it.
    ///
    /// Without a session that receives it waits for the first one.
    pub(super) fn inbound(&self, inbound: &Inbound) -> Result<Vec<u64>, BadValue> {
        self.inbound_all(std::slice::from_ref(inbound)).map_err(|(_, reason)| reason)
    }

    /// The same with many, all or none: what is wrong is said before anything is sent, with the place in the list where it is,
    /// from 0.
    pub(super) fn inbound_all(&self, all: &[Inbound]) -> Result<Vec<u64>, (usize, BadValue)> {
        let mut prepared = Vec::with_capacity(all.len());
        let (mut messages, mut requests) = (0u64, 0u64);
        let waiting = self.desk.waiting() as u64;
        for (nth, inbound) in all.iter().enumerate() {
            let fail = |reason| (nth, reason);
            let message = inbound.prepare().map_err(fail)?;
            let account = self.account_for(inbound).map_err(fail)?;
            let copies = match (inbound.sessions, &account) {
                (Some(To::All), Some(account)) => account.receivers().len().max(1) as u64,
                _ => 1,
            };
            let count = u64::from(inbound.count.unwrap_or(1)) * copies;
            messages += count;
            requests = requests.saturating_add(count * u64::from(message.total()));
            if messages > u64::from(COUNT_MAX) {
                return Err(fail(bad!(
                    "these are more than {COUNT_MAX} messages in one request, with every count and copy"
                )));
            }
            if requests > REQUESTS_MAX {
                return Err(fail(bad!(
                    "these are more than {REQUESTS_MAX} parts in one request, with every count and copy"
                )));
            }
            if waiting + messages > WAITING_MAX || account.as_ref().is_some_and(|account| account.is_full()) {
                return Err(fail("too many messages wait already to be delivered".into()));
            }
            prepared.push((message, account));
        }
        let mut all = Vec::new();
        for (message, account) in prepared {
            match account {
                Some(account) => {
                    let ids = self.desk.number(message.inbound.count.unwrap_or(1));
                    all.extend_from_slice(&ids);
                    self.deliver(&message, &account, Duration::ZERO, &ids);
                }
                None => {
                    all.extend(self.desk.wait(message.inbound.clone()));
                    // A session may have come meanwhile, and found nothing.
                    if let Some(account) = self.receiving_account(message.inbound.system_id.as_deref()) {
                        self.deliver_waiting(&account);
                    }
                }
            }
        }
        Ok(all)
    }

    /// Whose sessions get a message; none as long as there is no session that receives.
    fn account_for(&self, inbound: &Inbound) -> Result<Option<Arc<Account>>, BadValue> {
        self.check_account(inbound.system_id.as_deref())?;
        let Some(To::Session(number)) = inbound.sessions else {
            return Ok(self.receiving_account(inbound.system_id.as_deref()));
        };
        let session = self.sessions(&Which::Session(number)).pop();
        match session.as_ref().and_then(|session| session.known.get()) {
            None => Err(bad!("there is no bound session {number}")),
            Some(bound) if !bound.kind.can_receive() => Err(bad!("session {number} is a transmitter")),
            Some(bound)
                if inbound.system_id.as_ref().is_some_and(|wanted| *wanted.as_bytes() != *bound.account.system_id) =>
            {
                Err(bad!("session {number} is not one of {:?}", inbound.system_id.as_deref().unwrap_or_default()))
            }
            Some(bound) => Ok(Some(Arc::clone(&bound.account))),
        }
    }

    /// An account, this one or any, that has a session which receives.
    fn receiving_account(&self, system_id: Option<&str>) -> Option<Arc<Account>> {
        let which = system_id.map_or(Which::All, |system_id| Which::Account(system_id.to_owned()));
        self.sessions(&which).iter().find_map(|session| {
            let bound = session.known.get().filter(|bound| bound.kind.can_receive());
            bound.map(|bound| Arc::clone(&bound.account))
        })
    }

    /// Delivers what has waited for a session of this account.
    pub(super) fn deliver_waiting(&self, account: &Arc<Account>) {
        let receivers: Vec<u64> = account.receivers().iter().map(|session| session.id).collect();
        for (inbound, ids, after) in self.desk.take_waiting(&account.system_id, &receivers) {
            match inbound.prepare() {
                Ok(message) => self.deliver(&message, account, after, &ids),
                Err(reason) => log::warn!("smsc: a message from a handset cannot be delivered: {reason}"),
            }
        }
    }

    fn deliver(&self, message: &Prepared<'_>, account: &Arc<Account>, after: Duration, ids: &[u64]) {
        let now = self.started.elapsed() + after;
        let inbound = message.inbound;
        let mut random = fastrand::Rng::with_seed(self.settings.seed ^ ids.first().copied().unwrap_or(0));
        for (nth, id) in ids.iter().enumerate() {
            let delay = inbound.delay.as_ref().unwrap_or(&Delay::NONE).draw(&mut random);
            let pace = inbound.rate.map_or(Duration::ZERO, |rate| time_of(nth as f64, rate));
            self.queue(message, account, now + delay + pace, *id);
        }
    }

    /// Queues one message where it is to go.
    fn queue(&self, message: &Prepared<'_>, account: &Arc<Account>, due: Duration, id: u64) {
        let receivers = match message.inbound.sessions {
            None | Some(To::Any) => Vec::new(),
            Some(_) => account.receivers(),
        };
        let for_any = || self.queue_for(message, id, account, due, None);
        match message.inbound.sessions.unwrap_or_default() {
            To::Any => for_any(),
            // Where it has ended meanwhile, any other is better than none.
            To::Session(number) => match receivers.iter().find(|session| session.id == number) {
                Some(session) => self.queue_for(message, id, account, due, Some(session)),
                None => for_any(),
            },
            To::InTurn => match receivers.get(self.desk.turn(receivers.len())) {
                Some(session) => self.queue_for(message, id, account, due, Some(session)),
                None => for_any(),
            },
            To::All if receivers.is_empty() => for_any(),
            To::All => {
                // The first gets the message itself, the others copies of their own, each with its own answers.
                for (nth, session) in receivers.iter().enumerate() {
                    let id = if nth == 0 { id } else { self.desk.number(1)[0] };
                    self.queue_for(message, id, account, due, Some(session));
                }
            }
        }
    }

    fn queue_for(
        &self,
        message: &Prepared<'_>,
        id: u64,
        account: &Arc<Account>,
        due: Duration,
        session: Option<&Arc<Session>>,
    ) {
        let parts = match message.parts(id) {
            Ok(parts) => parts,
            // It went well when it was prepared.
            Err(reason) => return log::error!("smsc: a message from a handset: {reason}"),
        };
        if let Some(first) = parts.first() {
            first.message.belongs_to(&account.system_id);
            if session.is_some() {
                first.message.stays();
            }
            self.desk.note(&first.message);
        }
        self.counters.inbound.add(1);
        let deliveries = parts.into_iter().map(|part| (due, Delivery::Inbound(part)));
        match session {
            Some(session) => session.schedule(deliveries),
            None => account.schedule(deliveries),
        }
    }
}

/// A first message number that a simulator started later is unlikely to use: eight hexadecimal digits, a million
/// numbers for each second, around once an hour.
pub(super) fn number_from_clock() -> u64 {
    0x1000_0000 + clock::unix_us() % 0xE000_0000
}
