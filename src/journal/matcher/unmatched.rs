//! Receipts without an owner, and those whose owner is conjectured and may yet turn out to be another: kept until their
//! answer comes, until what they wait for has happened, or for good.
//!
//! In memory are so many of them, by every spelling of their id and by the numbers in them. Table `stray` lists those that were
//! judged and may be judged otherwise yet; those that were not judged are known by their numbers, which are below a noted one
//! ([`JUDGED_TO`]). What comes while as many wait as are remembered is read back once nothing is outstanding of what it may
//! belong to (module `unmatched_overflow`). What belongs to nobody, and to which no attempt in doubt went, has no owner for good:
//! it is neither remembered nor listed.

use super::doubts::{self, ANY_TIME, Place};
use super::reread;
use crate::journal::error::JournalError;
use crate::journal::matcher::id_index::{IdKey, Ids};
use crate::journal::model::id_spelling::in_other_radix;
use crate::journal::model::key::Attempt;
use crate::journal::model::outstanding::Outstanding;
use crate::journal::model::rule::Rule;
use crate::journal::store::assignment::Assigned;
use crate::journal::store::notes::{note, set_note};
use crate::message::address::Destination;
use crate::wire::Tlvs;
use crate::wire::tlv::Tag;
use hashbrown::HashMap;
use rusqlite::Connection;
use std::collections::{BTreeSet, VecDeque};

/// Stray receipts that are remembered, 0.4 KB each. Those that wait for an answer come before those that were judged.
pub const STRAYS_MAX: usize = 100_000;

/// The note how far receipts were judged: down to this number, those with lower ones (they fall) were not.
const JUDGED_TO: &str = "receipts_judged_to";

/// Where one receipt turns out to be about another attempt, so many later ones with its id are judged anew.
const ALIKE_MAX: usize = 64;

/// Where another message may be meant, receipts to one number are tried for so many of the attempts that they fit: what
/// stands against one stands against all, as a rule.
const RIVALLED_MAX: usize = 100;

/// A receipt that waits.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Its (negative) number in the journal.
    pub id: i64,
    /// What its id, its addresses and its reference lead to.
    pub marks: Fingerprint,
    /// Whether nothing more is to come.
    pub is_final: bool,
    /// Whether it says that the message was delivered.
    pub is_delivered: bool,
    /// When it came.
    pub received_at: i64,
    /// Attempts of this generation and before may be meant.
    pub generation: u32,
    /// Attempts before this serial may be meant; `None`: those claimed before the time of its arrival.
    pub serial: Option<i64>,
    /// The attempt that it is matched to.
    pub owner: Option<Attempt>,
    /// By which rule.
    pub rule: Rule,
    /// Rules 2 to 4 were tried.
    pub judged: bool,
    /// Table `stray` has it.
    pub listed: bool,
    /// It fits this attempt, and a message to its number may be meant as well.
    pub rivalled: Option<Attempt>,
}

/// When a receipt came, and of those of one millisecond which came first: those that were matched as they came, and then
/// the others, whose numbers fall. The number without its sign.
pub type Arrival = (i64, bool, i64);

impl Stray {
    /// In which order it came.
    pub fn arrival(&self) -> Arrival {
        (self.received_at, self.id < 0, self.id.abs())
    }
}

/// What is hashed and parsed once of a stray receipt.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint {
    /// Its message id.
    pub key: IdKey,
    /// The id in its text, where the TLV receipted_message_id has another.
    pub text_key: Option<IdKey>,
    /// Hashes of the folded id and of its spellings in other radices; 0 where there is none.
    pub spellings: [u64; 3],
    /// The same of the id in its text.
    pub text_spellings: [u64; 3],
    /// The numbers in its addresses, as [`Destination::key`]; 0 where one is no number.
    pub numbers: [u64; 2],
    /// The pools of what it can be about ([`super::doubts`]); 0: no further one.
    pub pools: [u64; 4],
    /// The user_message_reference that it echoes.
    pub reference: Option<u16>,
}

/// All of them, those that were judged also by what bears upon them. Receipts are found in the order in which they came:
/// their numbers fall, so that minus the number stands in each key.
/// One thing: the same receipts by each key by which they are looked up, which only change together.
#[derive(Debug, Default)]
pub struct Strays {
    /// In boxes: a table of what comes and goes doubles once, with all the room that is in it.
    all: HashMap<i64, Box<Stray>>,
    by_spelling: BTreeSet<(u64, i64)>,
    waiting: VecDeque<(u32, i64)>,
    /// How many of `waiting` are not judged and not forgotten.
    waiting_count: usize,
    /// Those that were judged.
    judged: BTreeSet<i64>,
    /// Of these, those that were found to have no owner.
    ownerless: BTreeSet<i64>,
    /// Of these, by pool and by the serial that came next when they came.
    by_serial: BTreeSet<(u64, i64, i64)>,
    /// Those of which that is not known: by pool and time.
    by_time: BTreeSet<(u64, i64, i64)>,
    by_reference: BTreeSet<(u16, i64)>,
    by_owner: BTreeSet<(Attempt, i64)>,
    /// By the hash of the id as it came.
    by_id: BTreeSet<(u64, Arrival)>,
    /// By number and the attempt that they fit.
    rivalled: BTreeSet<(u64, Attempt, i64)>,
    left_out: Option<LeftOut>,
    /// Those that were to be judged for the first time, and cannot be yet.
    set_aside: BTreeSet<i64>,
    /// See [`JUDGED_TO`]; `None`: an older program did not note it, and every receipt that was not judged is listed.
    judged_to: Option<i64>,
    /// Table `stray` has receipts that were not judged: an older program listed those, too.
    has_old_rows: bool,
    /// How many are remembered.
    max: usize,
    next_id: i64,
}

/// Receipts that were not judged and are not remembered.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut {
    /// All of them have this number or a lower one (numbers fall).
    pub first: i64,
    /// All of them have this number or a higher one.
    pub last: i64,
    /// Attempts of this generation and before may be meant.
    pub generation: u32,
}

impl Fingerprint {
    /// Hashes of its ids as they came.
    fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        [Some(self.key), self.text_key].into_iter().flatten().map(|key| key.exact)
    }

    /// All spellings of all ids, each once.
    fn all_spellings(&self) -> impl Iterator<Item = u64> + use<> {
        let [first, second, third] = self.spellings;
        let [fourth, fifth, sixth] = self.text_spellings;
        let all = [first, second, third, fourth, fifth, sixth];
        (0..all.len()).filter(move |&n| all[n] != 0 && !all[..n].contains(&all[n])).map(move |n| all[n])
    }
}

/// The key of an id, and the hashes of its spellings.
fn spelled(ids: &Ids, id: &[u8]) -> (IdKey, [u64; 3]) {
    let key = ids.key(id);
    let [hex, decimal] = in_other_radix(id);
    let hash = |spelling: Option<String>| spelling.map_or(0, |spelling| ids.folded(spelling.as_bytes()));
    (key, [key.folded, hash(hex), hash(decimal)])
}

/// The numbers in addresses, as [`Fingerprint::numbers`].
pub fn numbers_in(addresses: [&str; 2]) -> [u64; 2] {
    addresses.map(|address| Destination::parse(address).map_or(0, |number| number.key()))
}

/// See [`Fingerprint`]. `text_id`: the id in the text, where `id` is another one in the TLV. `numbers`: those in the addresses.
pub fn fingerprint(
    ids: &Ids,
    (id, text_id): (&[u8], &[u8]),
    addresses: [&str; 2],
    numbers: [u64; 2],
    tlvs: &[u8],
) -> Fingerprint {
    let (key, spellings) = spelled(ids, id);
    let text = (!text_id.is_empty()).then(|| spelled(ids, text_id));
    Fingerprint {
        key,
        text_key: text.map(|text| text.0),
        spellings,
        text_spellings: text.map_or([0; 3], |text| text.1),
        numbers,
        pools: doubts::pools(ids, numbers, addresses),
        reference: Tlvs(tlvs).get_u16(Tag::USER_MESSAGE_REFERENCE),
    }
}

impl Strays {
    /// Reads the newest `max` of table `stray`: what was judged into memory; what was not judged is left out for now.
    pub fn load(connection: &Connection, ids: &Ids, max: usize) -> Result<Self, JournalError> {
        let judged_to: Option<i64> = note(connection, JUDGED_TO)?.and_then(|to| to.parse().ok());
        let lowest: i64 =
            connection.query_row("SELECT coalesce(min(min(id), 0), 0) FROM receipt", [], |row| row.get(0))?;
        // A number that was given counts as judged, also where its receipt is there no more.
        let next_id = lowest.min(judged_to.unwrap_or_default()) - 1;
        let mut strays = Self { next_id, max, judged_to, ..Self::default() };
        let mut statement =
            connection.prepare(&reread::select_strays("SELECT receipt FROM stray ORDER BY receipt LIMIT ?1"))?;
        let mut rows = statement.query([max as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let stray = reread::stray_of(row, ids, judged_to, true)?;
            if !stray.judged {
                // Its answer may have come since.
                strays.has_old_rows = true;
                strays.leave_out(stray.id, 0);
                continue;
            }
            strays.add(stray);
        }
        match judged_to {
            Some(to) if next_id + 1 < to => {
                strays.left_out = Some(LeftOut { first: to - 1, last: next_id + 1, generation: 0 });
            }
            None if count >= max => {
                // There are older ones that may not be judged either.
                strays.has_old_rows = true;
                let oldest = strays.left_out.map_or(next_id + 1, |left_out| left_out.last);
                strays.left_out = Some(LeftOut { first: -1, last: oldest, generation: 0 });
            }
            _ => {}
        }
        Ok(strays)
    }

    /// A number for a receipt that belongs to no attempt's own numbers.
    pub fn next_id(&mut self) -> i64 {
        self.next_id -= 1;
        self.next_id + 1
    }

    /// Remembers a stray receipt, or leaves it to the table.
    pub fn add(&mut self, stray: Stray) {
        if !stray.judged {
            if self.is_full_of_waiting() {
                self.leave_out(stray.id, stray.generation);
                return;
            }
            self.waiting.push_back((stray.generation, stray.id));
        }
        self.remember(stray);
    }

    /// Remembers a stray receipt that is about to be judged, or is in its queue.
    pub fn remember(&mut self, stray: Stray) {
        for spelling in stray.marks.all_spellings() {
            self.by_spelling.insert((spelling, -stray.id));
        }
        if stray.judged {
            self.enter(&stray);
        } else {
            self.waiting_count += 1;
        }
        self.all.insert(stray.id, Box::new(stray));
        self.tidy();
    }

    /// Enters a judged receipt under what bears upon it.
    fn enter(&mut self, stray: &Stray) {
        let at = -stray.id;
        self.judged.insert(at);
        if stray.rule == Rule::None {
            self.ownerless.insert(at);
        }
        for pool in distinct(&stray.marks.pools) {
            match stray.serial {
                Some(next) => self.by_serial.insert((pool, next, at)),
                None => self.by_time.insert((pool, stray.received_at, at)),
            };
        }
        for id in stray.marks.ids() {
            self.by_id.insert((id, stray.arrival()));
        }
        if let Some(reference) = stray.marks.reference {
            self.by_reference.insert((reference, at));
        }
        if let Some(owner) = stray.owner {
            self.by_owner.insert((owner, at));
        }
        if let Some(only) = stray.rivalled {
            for number in distinct(&stray.marks.numbers) {
                self.rivalled.insert((number, only, at));
            }
        }
    }

    /// Undoes [`Self::enter`].
    fn leave(&mut self, stray: &Stray) {
        let at = -stray.id;
        self.judged.remove(&at);
        if stray.rule == Rule::None {
            self.ownerless.remove(&at);
        }
        for pool in distinct(&stray.marks.pools) {
            match stray.serial {
                Some(next) => self.by_serial.remove(&(pool, next, at)),
                None => self.by_time.remove(&(pool, stray.received_at, at)),
            };
        }
        for id in stray.marks.ids() {
            self.by_id.remove(&(id, stray.arrival()));
        }
        if let Some(reference) = stray.marks.reference {
            self.by_reference.remove(&(reference, at));
        }
        if let Some(owner) = stray.owner {
            self.by_owner.remove(&(owner, at));
        }
        if let Some(only) = stray.rivalled {
            for number in distinct(&stray.marks.numbers) {
                self.rivalled.remove(&(number, only, at));
            }
        }
    }

    /// Forgets what is too much, and queue entries of what is forgotten already. Of those that were judged first what is
    /// without an owner: the answer that brings the id of such a one is rare. Then those that came first.
    fn tidy(&mut self) {
        while self.all.len() > self.max
            && let Some(&oldest) = self.ownerless.first().or(self.judged.first())
        {
            self.forget(-oldest);
        }
        if self.waiting.len() > 2 * self.max {
            let all = &self.all;
            self.waiting.retain(|(_, id)| all.get(id).is_some_and(|stray| !stray.judged));
        }
    }

    /// Leaves a stray receipt to the table, until nothing of this generation and before is outstanding.
    pub fn leave_out(&mut self, id: i64, generation: u32) {
        let left_out = self.left_out.get_or_insert(LeftOut { first: id, last: id, generation });
        (left_out.last, left_out.generation) = (id, generation);
    }

    /// Whether as many wait as are remembered.
    pub fn is_full_of_waiting(&self) -> bool {
        self.waiting_count >= self.max
    }

    /// Whether some are left to the table.
    pub fn has_left_out(&self) -> bool {
        self.left_out.is_some()
    }

    /// What was left to the table, once nothing is outstanding of what it may belong to.
    pub fn left_out(&self, outstanding: &Outstanding) -> Option<LeftOut> {
        self.left_out.filter(|left_out| outstanding.is_drained(left_out.generation))
    }

    /// What is left to the table waits for the attempts of this generation, too.
    pub fn wait_for(&mut self, generation: u32) {
        if let Some(left_out) = &mut self.left_out {
            left_out.generation = generation;
        }
    }

    /// What was left to the table is judged down to the number `next`, which is not.
    pub fn note_looked_at(&mut self, next: i64) {
        if let Some(left_out) = &mut self.left_out {
            left_out.first = next;
            if left_out.first < left_out.last {
                self.left_out = None;
            }
        }
    }

    /// This one was to be judged for the first time, and cannot be yet.
    pub fn set_aside(&mut self, id: i64) {
        if self.all.get(&id).is_some_and(|stray| !stray.judged) {
            self.set_aside.insert(id);
        }
    }

    /// Whether table `stray` may have a receipt that is not known to be listed.
    pub fn has_old_rows(&self) -> bool {
        self.has_old_rows
    }

    /// See [`JUDGED_TO`].
    pub fn judged_to(&self) -> Option<i64> {
        self.judged_to
    }

    /// Notes how far receipts are judged, for the sender that starts next.
    pub fn note_judged(&mut self, connection: &Connection) -> Result<(), JournalError> {
        while let Some((_, id)) = self.waiting.front()
            && self.all.get(id).is_none_or(|stray| stray.judged)
        {
            self.waiting.pop_front();
        }
        let waiting = self.waiting.front().map(|(_, id)| *id);
        let oldest = [waiting, self.set_aside.last().copied(), self.left_out.map(|left_out| left_out.first)];
        let judged_to = oldest.into_iter().flatten().max().unwrap_or(self.next_id) + 1;
        if self.judged_to != Some(judged_to) {
            set_note(connection, JUDGED_TO, Some(&judged_to.to_string()))?;
            self.judged_to = Some(judged_to);
        }
        Ok(())
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Remembers no more than so many from now on.
    #[cfg(test)]
    pub fn remember_at_most(&mut self, max: usize) {
        self.max = max;
    }

    /// Forgets a receipt whose owner is final.
    pub fn forget(&mut self, id: i64) {
        let Some(stray) = self.all.remove(&id) else { return };
        if stray.judged {
            self.leave(&stray);
        } else {
            self.waiting_count -= 1;
            self.set_aside.remove(&id);
        }
        for spelling in stray.marks.all_spellings() {
            self.by_spelling.remove(&(spelling, -id));
        }
    }

    /// Attempts in doubt that have their owner's id from a receipt: attempt, numbers, hash of the exact id.
    pub fn named_in_doubt(&self) -> impl Iterator<Item = (Attempt, [u64; 2], u64)> + '_ {
        let named = self.all.values().filter(|stray| matches!(stray.rule, Rule::Doubt | Rule::Operator));
        named.filter_map(|stray| Some((stray.owner?, stray.marks.numbers, stray.marks.key.exact)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A receipt.
    pub fn get(&self, id: i64) -> Option<&Stray> {
        self.all.get(&id).map(Box::as_ref)
    }

    /// Notes whose the receipt was found to be.
    pub fn note(&mut self, id: i64, owner: Option<Attempt>, rule: Rule, rivalled: Option<Attempt>) {
        let Some(mut stray) = self.all.remove(&id) else { return };
        if stray.judged {
            self.leave(&stray);
        } else {
            self.waiting_count -= 1;
            self.set_aside.remove(&id);
        }
        (stray.owner, stray.rule, stray.judged, stray.rivalled) = (owner, rule, true, rivalled);
        stray.listed = rule.may_change();
        self.enter(&stray);
        self.all.insert(id, stray);
        self.tidy();
    }

    /// Notes whose the operator said that a receipt is.
    pub fn note_assigned(&mut self, assigned: &Assigned) {
        self.note(assigned.receipt, Some(assigned.to), Rule::Operator, None);
        if let Some(stray) = self.all.get_mut(&assigned.receipt) {
            stray.listed = assigned.is_listed;
        }
    }

    /// The next receipt that has waited until nothing is outstanding of what it may belong to.
    pub fn next_drained(&mut self, outstanding: &Outstanding) -> Option<i64> {
        while let Some(&(generation, id)) = self.waiting.front() {
            let is_settled = self.all.get(&id).is_none_or(|stray| stray.judged);
            if !is_settled && !outstanding.is_drained(generation) {
                return None;
            }
            self.waiting.pop_front();
            if !is_settled {
                return Some(id);
            }
        }
        None
    }

    /// Whether a receipt has waited long enough.
    pub fn has_drained(&self, outstanding: &Outstanding) -> bool {
        self.waiting.front().is_some_and(|&(generation, _)| outstanding.is_drained(generation))
            || self.left_out(outstanding).is_some()
    }

    /// Receipts that name exactly this id and came when an attempt of that generation was outstanding.
    pub fn naming(&self, key: IdKey, generation: u32) -> impl Iterator<Item = &Stray> {
        self.spelled(key.folded)
            .filter(move |stray| stray.marks.key.exact == key.exact && stray.generation >= generation)
    }

    /// The judged receipt that came next after this one (minus its number).
    pub fn judged_after(&self, after: i64) -> Option<i64> {
        self.judged.range(after + 1..).next().copied()
    }

    /// Judged receipts one spelling of whose id has this hash.
    pub fn spelled_so(&self, spelling: u64) -> impl Iterator<Item = i64> + '_ {
        self.spelled(spelling).filter(|stray| stray.judged).map(|stray| -stray.id)
    }

    /// Judged receipts with this id that came after that one: the next ones.
    pub fn alike_after(&self, key: IdKey, stray: &Stray) -> impl Iterator<Item = i64> + '_ {
        let (id, arrival) = (key.exact, stray.arrival());
        let after = self.by_id.range((id, arrival)..).skip_while(move |entry| entry.1 == arrival);
        let after = after.take_while(move |entry| entry.0 == id);
        after.take(ALIKE_MAX).map(|(_, (_, is_stray, number))| match is_stray {
            true => *number,
            false => -*number,
        })
    }

    /// Judged receipts that have this number in an address: by reading all.
    #[cfg(test)]
    pub fn numbered(&self, number: u64) -> Vec<i64> {
        let numbered = self.all.values().filter(|stray| stray.judged && stray.marks.numbers.contains(&number));
        numbered.map(|stray| -stray.id).collect()
    }

    /// Judged receipts of a pool that came after the attempt at `place` and up to where others decide.
    pub fn between(&self, place: &Place, decided_from: (i64, i64), now: i64) -> impl Iterator<Item = i64> + '_ {
        let pool = place.pool;
        // What was claimed in the future was claimed before the clock was set back.
        let time = if place.claimed_at > now { ANY_TIME } else { place.claimed_at };
        let by_serial = (place.serial < decided_from.0)
            .then(|| self.by_serial.range((pool, place.serial + 1, i64::MIN)..=(pool, decided_from.0, i64::MAX)));
        let by_time = (time <= decided_from.1)
            .then(|| self.by_time.range((pool, time, i64::MIN)..=(pool, decided_from.1, i64::MAX)));
        by_serial.into_iter().flatten().chain(by_time.into_iter().flatten()).map(|entry| entry.2)
    }

    /// Judged receipts that echo this reference.
    pub fn referring(&self, reference: u16) -> impl Iterator<Item = i64> + '_ {
        self.by_reference.range((reference, i64::MIN)..=(reference, i64::MAX)).map(|entry| entry.1)
    }

    /// Judged receipts that belong to an attempt.
    pub fn owned(&self, owner: Attempt) -> impl Iterator<Item = i64> + '_ {
        self.by_owner.range((owner, i64::MIN)..=(owner, i64::MAX)).map(|entry| entry.1)
    }

    /// Of the receipts that name this number and fit one attempt beside which another message may be meant: the first of each
    /// such attempt.
    pub fn rivalled(&self, number: u64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut from = Attempt(i64::MIN);
        while found.len() < RIVALLED_MAX
            && let Some(&(_, only, at)) =
                self.rivalled.range((number, from, i64::MIN)..=(number, Attempt(i64::MAX), i64::MAX)).next()
        {
            found.push(at);
            from = Attempt(only.0 + 1);
        }
        found
    }

    /// All receipts that name this number and fit `only`, beside which another message may be meant.
    pub fn rivalled_with(&self, number: u64, only: Attempt) -> impl Iterator<Item = i64> + '_ {
        self.rivalled.range((number, only, i64::MIN)..=(number, only, i64::MAX)).map(|entry| entry.2)
    }

    fn spelled(&self, hash: u64) -> impl Iterator<Item = &Stray> {
        let spelled = self.by_spelling.range((hash, i64::MIN)..=(hash, i64::MAX));
        spelled.filter_map(|(_, at)| self.get(-at))
    }
}

/// Those that are not 0, each once.
fn distinct(keys: &[u64]) -> impl Iterator<Item = u64> + '_ {
    keys.iter().enumerate().filter(|&(n, key)| *key != 0 && !keys[..n].contains(key)).map(|(_, key)| *key)
}
