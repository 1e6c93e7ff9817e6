//! Other settings for a connection that lives: a session by them is bound first, and the one that is there is left for it. Where
//! the SMSC allows no more binds that one is left first; and where nothing comes of the new settings, the old ones hold again.

use super::*;
use crate::wire::CommandStatus;

/// Where the session that was there had to be left first, its bind may be counted for a while: so often the new settings are
/// tried before the old ones hold again.
const TRIES: u32 = 6;
/// What an SMSC says to a bind that is one too many (SMPP v3.4, 5.1.3): already bound, bind failed.
const ONE_TOO_MANY: [CommandStatus; 2] = [CommandStatus(0x05), CommandStatus(0x0D)];

/// What a connection knows of settings that are to hold, and of those before.
pub(super) struct Renewing {
    orders: Receiver<Order>,
    /// A session by other settings is being bound beside the one that is there.
    trial: Option<Trial>,
    /// It is bound: the one that is there is being left.
    next: Option<(Arc<Account>, Bound)>,
    /// To be taken up as soon as there is no session.
    waiting: Option<(Arc<Account>, Option<u32>)>,
    /// The settings that hold are new, and nothing was bound by them yet.
    unproved: Option<Unproved>,
}

/// A session that is being bound, by a thread of its own.
pub(super) struct Trial {
    account: Arc<Account>,
    bound: Receiver<Result<Bound, BindError>>,
}

struct Unproved {
    /// The settings before.
    before: Arc<Account>,
    /// Tries that are left; `None`: there was no session when they came, and nothing is lost by trying on.
    tries: Option<u32>,
    /// What came of them is not told yet.
    owes_word: bool,
}

impl Renewing {
    pub(super) fn new(orders: Receiver<Order>) -> Self {
        Self { orders, trial: None, next: None, waiting: None, unproved: None }
    }

    /// What a session listens to: orders, and where one is carried out, what came of it.
    pub(super) fn ears(&self) -> (Receiver<Order>, Receiver<Result<Bound, BindError>>) {
        match &self.trial {
            Some(trial) => (never(), trial.bound.clone()),
            None => (self.orders.clone(), never()),
        }
    }

    /// Begins to bind by other settings beside the session that is there.
    pub(super) fn take_order(&mut self, order: Option<Order>, slot: usize, shared: &Shared) {
        let account = match order {
            Some(Order::Renew(account)) => account,
            Some(Order::Look) => return,
            None => {
                self.orders = never();
                return;
            }
        };
        let (to, bound) = bounded(0);
        let (own, finish) = (Arc::clone(&account), shared.finish.clone());
        let spawned = std::thread::Builder::new().name(format!("rebind-{slot}")).spawn(move || {
            let stop = || matches!(finish.try_recv(), Err(TryRecvError::Disconnected));
            let outcome = bind(&own.to_bind(slot), own.bind.kind(slot), &stop, &|_| ());
            if let Err(unheard) = to.send(outcome)
                && let Ok(bound) = unheard.into_inner()
            {
                bound.leave();
            }
        });
        match spawned {
            Ok(_) => self.trial = Some(Trial { account, bound }),
            Err(error) => tell(slot, shared, Renewal::Back(format!("no thread to bind anew: {error}"))),
        }
    }

    /// What came of it. Returns whether the session that is there is to be left.
    fn tried(&mut self, slot: usize, shared: &Shared, bound: Result<Result<Bound, BindError>, ()>) -> bool {
        let Some(Trial { account, .. }) = self.trial.take() else { return false };
        match bound {
            Ok(Ok(bound)) => self.next = Some((account, bound)),
            Ok(Err(error)) if error.refusal().is_some_and(|status| ONE_TOO_MANY.contains(&status)) => {
                self.waiting = Some((account, Some(TRIES)));
            }
            Ok(Err(error)) => {
                tell(slot, shared, Renewal::Back(error.to_string()));
                return false;
            }
            Err(()) => {
                tell(slot, shared, Renewal::Back("the thread that bound anew died".into()));
                return false;
            }
        }
        true
    }

    /// Whether another session is bound already.
    pub(super) fn is_bound(&self) -> bool {
        self.next.is_some()
    }

    /// Whether other settings wait for the end of the session.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Between two sessions: what is to hold from now on holds. Returns the session that is bound already.
    pub(super) fn between(&mut self, slot: usize, shared: &mut Shared) -> Option<Bound> {
        if let Some(trial) = &self.trial {
            // The session went while it was being bound. A run that ends is heard by the thread that binds.
            let bound = trial.bound.recv().map_err(|_| ());
            self.tried(slot, shared, bound);
        }
        if let Some((account, bound)) = self.next.take() {
            shared.account = account;
            self.unproved = None;
            tell(slot, shared, Renewal::Bound);
            return Some(bound);
        }
        while self.waiting.is_none()
            && let Ok(order) = self.orders.try_recv()
        {
            if let Order::Renew(account) = order {
                self.waiting = Some((account, None));
            }
        }
        if let Some((account, tries)) = self.waiting.take() {
            let before = self.unproved.take().map_or_else(|| Arc::clone(&shared.account), |unproved| unproved.before);
            self.unproved = Some(Unproved { before, tries, owes_word: true });
            shared.account = account;
        }
        None
    }

    /// Waits for `time`, unless an order comes or the run ends: false.
    pub(super) fn pause(&mut self, time: Duration, shared: &Shared) -> bool {
        let until = Instant::now() + time;
        loop {
            let (orders, _) = self.ears();
            select! {
                recv(shared.finish) -> _ => return false,
                recv(orders) -> order => match order {
                    Ok(Order::Renew(account)) => {
                        self.waiting = Some((account, None));
                        return true;
                    }
                    Ok(Order::Look) => {}
                    Err(_) => self.orders = never(),
                },
                default(until.saturating_duration_since(Instant::now())) => return true,
            }
        }
    }

    /// A session is bound by the settings that hold.
    pub(super) fn proved(&mut self, slot: usize, shared: &Shared) {
        if let Some(unproved) = self.unproved.take()
            && unproved.owes_word
        {
            tell(slot, shared, Renewal::Bound);
        }
    }

    /// None could be bound. Returns whether the settings before hold again.
    pub(super) fn failed(&mut self, slot: usize, shared: &mut Shared, error: &BindError) -> bool {
        let Some(unproved) = &mut self.unproved else { return false };
        let is_over = match &mut unproved.tries {
            _ if error.is_final() => true,
            Some(tries) => {
                *tries = tries.saturating_sub(1);
                *tries == 0
            }
            None => false,
        };
        if is_over {
            shared.account = Arc::clone(&unproved.before);
            self.unproved = None;
            tell(slot, shared, Renewal::Back(error.to_string()));
        } else if unproved.tries.is_none() && std::mem::take(&mut unproved.owes_word) {
            tell(slot, shared, Renewal::Tried(error.to_string()));
        }
        is_over
    }

    /// The run ends: what is bound already is left.
    pub(super) fn end(self) {
        if let Some((_, bound)) = self.next {
            bound.leave();
        }
    }
}

impl Session<'_> {
    /// Leaves the session for the one that is bound by other settings.
    pub(super) fn renew(&mut self, renewing: &mut Renewing, bound: Result<Result<Bound, BindError>, ()>) {
        if renewing.tried(self.slot, self.shared, bound) && self.leaving.is_none() {
            self.resting = Some(SessionEnd::Renewed);
            self.leaving = Some((Leaving::Finish, Instant::now()));
        }
    }
}

fn tell(slot: usize, shared: &Shared, outcome: Renewal) {
    let _ = shared.notices.send(Notice::Renewed { slot, outcome });
}
