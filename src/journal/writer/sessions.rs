//! The sessions as the journal thread knows them: what each wants, what it is told, and when.
//!
//! What rests on a commit is collected while the transaction runs and said once it is committed. A writer that is gone has
//! dropped its receiver; what was meant for it is in its closing report.

use crate::journal::model::events::{Acknowledge, Barred, SessionNumber, ToJournal, ToSession};
use crossbeam_channel::Sender;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// A bound session.
struct Session {
    to: Sender<ToSession>,
    /// How many parts it wants.
    wanted: usize,
    /// How many requests about messages that the SMSC has it wants.
    asks_wanted: usize,
    /// What was barred since it was last asked to give back what it has of that.
    barred: Vec<Arc<Barred>>,
    /// It was asked, and has not answered.
    withdrawing: bool,
    /// What is sent on it may carry optional parameters.
    takes_tlvs: bool,
}

/// All of them.
pub(super) struct Sessions {
    bound: HashMap<i64, Session>,
    /// Sequence numbers that a late answer may still name, by session.
    held: HashMap<i64, HashSet<u32>>,
    /// What is said once the transaction is committed.
    after_commit: Vec<(i64, ToSession)>,
    /// Sessions that are entered then.
    opened: Vec<(Sender<SessionNumber>, SessionNumber)>,
    /// What this transaction bars that may be claimed already. Barring what is not barred in the end does no harm.
    pub(super) barred: Barred,
    /// Of this run: see [`SessionNumber::run`].
    pub(super) run: u64,
}

impl Sessions {
    /// None, of a run with this number.
    pub(super) fn of_run(run: u64) -> Self {
        Self {
            bound: HashMap::new(),
            held: HashMap::new(),
            after_commit: Vec::new(),
            opened: Vec::new(),
            barred: Barred::default(),
            run,
        }
    }

    /// A session begins. It is told its number after the commit: that is also the end of the session before it on this
    /// connection, whose mark this one writes over.
    pub(super) fn open(
        &mut self,
        number: SessionNumber,
        takes_tlvs: bool,
        to: Sender<ToSession>,
        reply: Sender<SessionNumber>,
    ) {
        let session = Session { to, wanted: 0, asks_wanted: 0, barred: Vec::new(), withdrawing: false, takes_tlvs };
        self.bound.insert(number.id, session);
        self.opened.push((reply, number));
    }

    /// A session takes nothing more.
    pub(super) fn close(&mut self, session: i64) {
        self.bound.remove(&session);
    }

    /// A session wants so many parts.
    pub(super) fn want(&mut self, session: i64, parts: usize) {
        if let Some(session) = self.bound.get_mut(&session) {
            session.wanted = parts;
        }
    }

    /// A session wants so many requests about messages that the SMSC has; 0: it has got what it wanted.
    pub(super) fn want_asks(&mut self, session: i64, count: usize) {
        if let Some(session) = self.bound.get_mut(&session) {
            session.asks_wanted = count;
        }
    }

    /// Those that want some, and how many.
    pub(super) fn asking(&self) -> Vec<(i64, usize)> {
        let wanting = self.bound.iter().filter(|(_, session)| session.asks_wanted > 0);
        wanting.map(|(&id, session)| (id, session.asks_wanted)).collect()
    }

    /// Whether one wants some.
    pub(super) fn some_ask(&self) -> bool {
        self.bound.values().any(|session| session.asks_wanted > 0)
    }

    /// Those that want some.
    pub(super) fn wanting(&self) -> Vec<(i64, usize)> {
        self.bound.iter().filter(|(_, session)| session.wanted > 0).map(|(&id, session)| (id, session.wanted)).collect()
    }

    /// Whether one cannot carry optional parameters.
    pub(super) fn some_lack_tlvs(&self) -> bool {
        self.bound.values().any(|session| !session.takes_tlvs)
    }

    /// Whether one wants some.
    pub(super) fn some_want(&self) -> bool {
        self.bound.values().any(|session| session.wanted > 0)
    }

    /// The response timer of a request expired: a late answer may still name its number.
    pub(super) fn hold(&mut self, session: i64, sequence_number: u32) {
        self.held.entry(session).or_default().insert(sequence_number);
    }

    /// A late answer came: no other can come for that number. Says whether it was held.
    pub(super) fn let_go(&mut self, session: i64, sequence_number: u32) -> bool {
        self.held.get_mut(&session).is_some_and(|held| held.remove(&sequence_number))
    }

    /// No late answer comes on a session any more. Returns the numbers that were held for it.
    pub(super) fn let_go_all(&mut self, session: i64) -> HashSet<u32> {
        self.held.remove(&session).unwrap_or_default()
    }

    /// Attempts whose response timer expired and that may still be answered.
    pub(super) fn late_answers(&self) -> usize {
        self.held.values().map(HashSet::len).sum()
    }

    /// Whether there are such.
    pub(super) fn late_answers_may_come(&self) -> bool {
        self.held.values().any(|held| !held.is_empty())
    }

    /// Says this after the commit.
    pub(super) fn after_commit(&mut self, session: i64, message: ToSession) {
        self.after_commit.push((session, message));
    }

    /// What is claimed and not written comes back, of all of them.
    pub(super) fn stop_all(&mut self) {
        self.after_commit.extend(self.bound.keys().map(|session| (*session, ToSession::Stop)));
    }

    /// Tells sessions what rests on the commit.
    pub(super) fn hand_out(&mut self, which: impl Fn(&ToSession) -> bool) {
        for (session, message) in self.after_commit.extract_if(.., |(_, message)| which(message)) {
            if let Some(session) = self.bound.get(&session) {
                let _ = session.to.send(message);
            }
        }
    }

    /// Tells new sessions their numbers.
    pub(super) fn enter(&mut self) {
        for (reply, number) in self.opened.drain(..) {
            let _ = reply.try_send(number);
        }
    }

    /// The transaction was lost: nothing rests on it.
    pub(super) fn forget_transaction(&mut self) {
        // What a session was to get it still wants: it does not ask twice.
        for (session, message) in self.after_commit.drain(..) {
            let Some(session) = self.bound.get_mut(&session) else { continue };
            match message {
                ToSession::Send(runs) => session.wanted += runs.iter().map(|run| run.items.len()).sum::<usize>(),
                ToSession::Ask(asks) => session.asks_wanted += asks.len(),
                _ => {}
            }
        }
        self.opened.clear();
    }

    /// The journal failed: what these events brought is to come again, and what was claimed is not on disk.
    pub(super) fn nack(&mut self, events: impl Iterator<Item = ToJournal>) {
        // All of it is in the events.
        self.after_commit.clear();
        for event in events {
            if let ToJournal::Came { session, batch } = event {
                self.not_stored(session, batch.acknowledge);
            }
        }
    }

    fn not_stored(&self, session: i64, acknowledge: Acknowledge) {
        if !acknowledge.is_empty()
            && let Some(session) = self.bound.get(&session)
        {
            let _ = session.to.try_send(ToSession::NotStored(acknowledge));
        }
    }

    /// What the transaction barred is committed: each session is to hear of it.
    pub(super) fn note_barred(&mut self) {
        if self.barred.is_empty() {
            return;
        }
        let barred = Arc::new(std::mem::take(&mut self.barred));
        for session in self.bound.values_mut() {
            session.barred.push(Arc::clone(&barred));
        }
    }

    /// Has sessions give back what is barred, unless they are at it: each has one such question at a time to answer, so that
    /// a writer that is stuck in its socket cannot make the journal thread wait.
    pub(super) fn withdraw(&mut self) {
        for session in self.bound.values_mut().filter(|session| !session.barred.is_empty() && !session.withdrawing) {
            session.withdrawing = true;
            let _ = session.to.send(ToSession::Withdraw(std::mem::take(&mut session.barred)));
        }
    }

    /// A session has given back what was barred.
    pub(super) fn gave_back(&mut self, session: i64) {
        if let Some(session) = self.bound.get_mut(&session) {
            session.withdrawing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};

    fn with_session(id: i64) -> (Sessions, Receiver<ToSession>) {
        let mut sessions = Sessions::of_run(1);
        let (to, said) = bounded(8);
        let (reply, entered) = bounded(1);
        sessions.open(SessionNumber { id, serial_before: 0, run: 1 }, true, to, reply);
        assert!(entered.is_empty(), "not before the commit");
        sessions.enter();
        assert_eq!(entered.recv().unwrap().id, id);
        (sessions, said)
    }

    #[test]
    fn what_rests_on_a_commit_is_said_after_it_and_never_of_a_lost_one() {
        let (mut sessions, said) = with_session(7);
        sessions.after_commit(7, ToSession::Stop);
        // Of a session that is not there, or is there no more.
        sessions.after_commit(8, ToSession::Stop);
        assert!(said.is_empty());
        sessions.hand_out(|message| matches!(message, ToSession::Send(_)));
        assert!(said.is_empty(), "another kind");
        sessions.hand_out(|_| true);
        assert_eq!(said.try_iter().count(), 1);
        sessions.stop_all();
        sessions.forget_transaction();
        sessions.hand_out(|_| true);
        assert!(said.is_empty());
    }

    #[test]
    fn what_a_lost_transaction_was_to_give_is_wanted_still() {
        use crate::journal::model::events::{Chunk, Run};
        use crate::journal::model::operation::Ask;
        let (mut sessions, said) = with_session(7);
        sessions.want(7, 5);
        sessions.want_asks(7, 3);
        let run = Run {
            chunk: Arc::new(Chunk::default()),
            items: 0..5,
            first_serial: 1,
            first_sequence_number: 1,
            generation: 0,
        };
        let ask = |operation| Ask { operation, message_id: "7".into(), pdu: Vec::new() };
        sessions.want(7, 0);
        sessions.after_commit(7, ToSession::Send(vec![run]));
        sessions.want_asks(7, 0);
        sessions.after_commit(7, ToSession::Ask(vec![ask(1), ask(2), ask(3)]));
        assert!(!sessions.some_want() && !sessions.some_ask());
        sessions.forget_transaction();
        assert_eq!((sessions.wanting(), sessions.asking()), (vec![(7, 5)], vec![(7, 3)]));
        sessions.hand_out(|_| true);
        assert!(said.is_empty());
    }

    #[test]
    fn a_session_is_asked_to_give_back_one_thing_at_a_time_and_nothing_is_forgotten() {
        let (mut sessions, said) = with_session(7);
        let bar = |sessions: &mut Sessions, number: u64| {
            sessions.barred.numbers.insert(number);
            sessions.note_barred();
            sessions.withdraw();
        };
        let asked = || -> Vec<Vec<bool>> {
            let bars = |barred: Vec<Arc<Barred>>| {
                (1..=3).map(|number| barred.iter().any(|barred| barred.bars(0, number))).collect()
            };
            said.try_iter()
                .filter_map(|said| if let ToSession::Withdraw(barred) = said { Some(bars(barred)) } else { None })
                .collect()
        };
        (1..=3).for_each(|number| bar(&mut sessions, number));
        assert_eq!(asked(), [[true, false, false]]);
        sessions.gave_back(7);
        sessions.withdraw();
        assert_eq!(asked(), [[false, true, true]]);
        sessions.gave_back(7);
        sessions.withdraw();
        assert!(asked().is_empty(), "nothing is barred since");
    }

    #[test]
    fn numbers_are_held_until_their_late_answer_or_the_end_of_their_session() {
        let (mut sessions, _said) = with_session(7);
        for number in [10, 11, 12] {
            sessions.hold(7, number);
        }
        assert!(sessions.let_go(7, 11));
        assert!(!sessions.let_go(7, 11) && !sessions.let_go(8, 10));
        assert_eq!(sessions.late_answers(), 2);
        assert_eq!(sessions.let_go_all(7), HashSet::from_iter([10, 12]));
        assert!(!sessions.late_answers_may_come());
    }

    #[test]
    fn only_those_that_want_something_are_served() {
        let (mut sessions, _said) = with_session(7);
        sessions.want(8, 5);
        assert!(!sessions.some_want());
        sessions.want(7, 5);
        assert_eq!(sessions.wanting(), [(7, 5)]);
        sessions.close(7);
        assert!(!sessions.some_want());
    }
}
