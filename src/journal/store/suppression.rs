//! The suppression list: numbers that are never sent to. It is looked at when a campaign is imported and again when a
//! message is claimed, also where it changed while a sender runs.
//!
//! `suppression` holds the list as it stands, `suppression_event` every change of it; both are written in one transaction.

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::in_transaction;
use crate::message::address::Destination;
use crate::platform::clock::now_ms;
use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension};

/// Who put a number on the list, or took it off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// An older program, which did not record it.
    Unknown = 0,
    /// The operator, number by number.
    Operator = 1,
    /// A file of numbers.
    File = 2,
    /// A message from its handset.
    OptOutWord = 3,
    /// A message from its handset, which takes it off.
    OptInWord = 4,
    /// Another journal of the same account.
    OtherJournal = 5,
}

impl Source {
    /// As the views and lists name it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Unknown => "not known",
            Source::Operator => "operator",
            Source::File => "file",
            Source::OptOutWord => "opt-out word",
            Source::OptInWord => "opt-in word",
            Source::OtherJournal => "other journal",
        }
    }

    fn of(stored: i64) -> Source {
        let all = [Source::Operator, Source::File, Source::OptOutWord, Source::OptInWord, Source::OtherJournal];
        all.into_iter().find(|source| *source as i64 == stored).unwrap_or(Source::Unknown)
    }
}

/// By whom, and in which words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Why<'a> {
    /// By whom.
    pub source: Source,
    /// Why, for the operator to read.
    pub reason: &'a str,
}

/// Kinds of `suppression_event`.
const ADDED: u8 = 1;
const REMOVED: u8 = 2;
const KEPT: u8 = 3;

/// A number on the list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Suppressed {
    /// Its digits.
    pub number: String,
    /// Since when, in milliseconds since 1970.
    pub added_at: i64,
    /// Why.
    pub reason: String,
    /// By whom, as [`Source::name`].
    pub source: &'static str,
}

/// Puts a number on the list, without a leading 00. Says whether it is new there. One that is there keeps its reason, unless
/// an opt-out word put it there and somebody else does so now: then no opt-in word takes it off any more.
pub fn add(connection: &Connection, number: Destination<'_>, why: Why<'_>, now_ms: i64) -> Result<bool, JournalError> {
    let number = number.international();
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO suppression (destination, added_at, reason, source) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((number, now_ms, why.reason, why.source as u8))?;
    if added > 0 {
        note(connection, now_ms, number, ADDED, why)?;
    } else if why.source != Source::OptOutWord {
        let kept = connection
            .prepare_cached("UPDATE suppression SET source = ?2, reason = ?3 WHERE destination = ?1 AND source = ?4")?
            .execute((number, why.source as u8, why.reason, Source::OptOutWord as u8))?;
        if kept > 0 {
            note(connection, now_ms, number, KEPT, why)?;
        }
    }
    Ok(added > 0)
}

/// Puts numbers on the list, all or none. Returns how many were new there.
pub fn add_all<'n>(
    journal: &dyn Sql,
    numbers: impl Iterator<Item = Destination<'n>>,
    why: Why<'_>,
) -> Result<usize, JournalError> {
    let connection = journal.connection();
    let now = now_ms();
    in_transaction(connection, || {
        let mut new = 0;
        for number in numbers {
            new += usize::from(add(connection, number, why, now)?);
        }
        Ok(new)
    })
}

/// Takes numbers off the list, all or none. Returns how many were there.
pub fn remove_all<'n>(
    journal: &dyn Sql,
    numbers: impl Iterator<Item = Destination<'n>>,
    why: Why<'_>,
) -> Result<usize, JournalError> {
    let connection = journal.connection();
    let now = now_ms();
    in_transaction(connection, || {
        let mut removed = 0;
        for number in numbers {
            // An older program kept the 00.
            let plain = remove(connection, number.international(), why, now)?;
            let with_zeros = remove(connection, &format!("00{}", number.international()), why, now)?;
            removed += usize::from(plain || with_zeros);
        }
        Ok(removed)
    })
}

/// Why a number is on the list that is on that of another journal: its name follows.
const ELSEWHERE: &str = "suppressed in ";
/// Numbers that one transaction brings over.
const NUMBERS_PER_TRANSACTION: usize = 10_000;

/// How many numbers are on the list that were not brought from another journal.
pub fn own_numbers(journal: &dyn Sql) -> Result<i64, JournalError> {
    let connection = journal.connection();
    let sql = "SELECT count(*) FROM suppression WHERE source <> ?1";
    Ok(connection.query_row(sql, [Source::OtherJournal as u8], |row| row.get(0))?)
}

/// Whether [`bring_over`] would change anything.
pub fn differs(journal: &dyn Sql, other: &dyn Sql, name: &str) -> Result<bool, JournalError> {
    let connection = journal.connection();
    let (new, gone) = compare(connection, other.connection(), name)?;
    Ok(!new.is_empty() || !gone.is_empty())
}

/// Puts the numbers on the list that are on the `other` journal's, and takes those off that came from there and are not on it
/// any more. What that journal has from others is left to them. Returns how many are new.
pub fn bring_over(journal: &dyn Sql, other: &dyn Sql, name: &str) -> Result<usize, JournalError> {
    let connection = journal.connection();
    let (new, gone) = compare(connection, other.connection(), name)?;
    let parse = |number| Destination::parse(number).ok();
    for numbers in gone.chunks(NUMBERS_PER_TRANSACTION) {
        let why = Why { source: Source::OtherJournal, reason: &format!("not suppressed in {name} any more") };
        remove_all(connection, numbers.iter().filter_map(|number| parse(number.as_str())), why)?;
    }
    let reason = format!("{ELSEWHERE}{name}");
    let why = Why { source: Source::OtherJournal, reason: &reason };
    let mut brought = 0;
    for numbers in new.chunks(NUMBERS_PER_TRANSACTION) {
        brought += add_all(connection, numbers.iter().filter_map(|number| parse(number.as_str())), why)?;
    }
    Ok(brought)
}

/// The numbers that are new in the other journal, and those that came from there and are gone.
fn compare(
    connection: &Connection,
    other: &Connection,
    name: &str,
) -> Result<(Vec<String>, Vec<String>), JournalError> {
    let reason = format!("{ELSEWHERE}{name}");
    let mut there = hashbrown::HashSet::new();
    list::<JournalError>(other, |number| {
        if number.source != Source::OtherJournal.name() {
            there.insert(number.number);
        }
        Ok(())
    })?;
    let mut gone = Vec::new();
    list::<JournalError>(connection, |number| {
        let came_from_there = number.source == Source::OtherJournal.name() && number.reason == reason;
        if !there.remove(&number.number) && came_from_there {
            gone.push(number.number);
        }
        Ok(())
    })?;
    Ok((there.into_iter().collect(), gone))
}

/// What an opt-in word did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptedIn {
    /// The number is off the list.
    Removed,
    /// It stays there: not an opt-out word had put it there.
    Stays(Source),
    /// It was not on the list.
    NotThere,
}

/// Takes a number off the list whose handset asks for it, if it was an opt-out word that put it there.
pub fn opt_in(
    connection: &Connection,
    number: Destination<'_>,
    reason: &str,
    now_ms: i64,
) -> Result<OptedIn, JournalError> {
    let number = number.international();
    let source = connection
        .prepare_cached("SELECT source FROM suppression WHERE destination = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    match source.map(Source::of) {
        None => Ok(OptedIn::NotThere),
        Some(Source::OptOutWord) => {
            remove(connection, number, Why { source: Source::OptInWord, reason }, now_ms)?;
            Ok(OptedIn::Removed)
        }
        Some(other) => Ok(OptedIn::Stays(other)),
    }
}

fn remove(connection: &Connection, number: &str, why: Why<'_>, now_ms: i64) -> Result<bool, JournalError> {
    let was = connection
        .prepare_cached("DELETE FROM suppression WHERE destination = ?1 RETURNING added_at, reason, source")?
        .query_row([number], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))
        .optional()?;
    let Some((added_at, reason, source)) = was else { return Ok(false) };
    if Source::of(source) == Source::Unknown {
        // An older program recorded no event.
        note(connection, added_at, number, ADDED, Why { source: Source::Unknown, reason: &reason })?;
    }
    note(connection, now_ms, number, REMOVED, why)?;
    Ok(true)
}

fn note(connection: &Connection, at: i64, number: &str, kind: u8, why: Why<'_>) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO suppression_event (at, destination, kind, source, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((at, number, kind, why.source as u8, why.reason))?;
    Ok(())
}

/// Calls `each` with every number on the list, in order.
pub fn list<E: From<JournalError>>(
    journal: &dyn Sql,
    mut each: impl FnMut(Suppressed) -> Result<(), E>,
) -> Result<(), E> {
    let connection = journal.connection();
    let sql = |error: rusqlite::Error| E::from(JournalError::from(error));
    let mut statement = connection
        .prepare("SELECT destination, added_at, reason, source FROM suppression ORDER BY destination")
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        each(Suppressed {
            number: row.get(0).map_err(sql)?,
            added_at: row.get(1).map_err(sql)?,
            reason: row.get(2).map_err(sql)?,
            source: Source::of(row.get(3).map_err(sql)?).name(),
        })?;
    }
    Ok(())
}

/// The list as a sender holds it: each number's [`Destination::same_key`].
#[derive(Debug, Default)]
pub struct Suppressions {
    keys: HashSet<u64>,
    /// Events up to this one are in.
    seen: i64,
    /// There are more.
    is_behind: bool,
}

/// Changes of the list that a sender reads in one transaction, at some 3 us each.
const READ_PER_COMMIT_MAX: usize = 20_000;

impl Suppressions {
    /// Reads the whole list.
    pub fn load(connection: &Connection) -> Result<Suppressions, JournalError> {
        // The event first: what comes in between is read again, which does no harm.
        let seen = connection.query_row("SELECT coalesce(max(id), 0) FROM suppression_event", [], |row| row.get(0))?;
        Ok(Suppressions { keys: crate::journal::store::decisions::suppressed(connection)?, seen, is_behind: false })
    }

    /// Whether the list was changed, and not all of that is read: nothing is to be claimed until it is.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Reads what was changed since, as far as one transaction goes, and returns what is new on the list.
    pub fn read_on(&mut self, connection: &Connection) -> Result<Vec<u64>, JournalError> {
        let mut statement = connection.prepare_cached(
            "SELECT e.id, e.destination,
                    EXISTS (SELECT 1 FROM suppression s WHERE s.destination IN (e.destination, '00' || e.destination))
               FROM suppression_event e WHERE e.id > ?1 ORDER BY e.id LIMIT ?2",
        )?;
        let mut rows = statement.query((self.seen, READ_PER_COMMIT_MAX as i64))?;
        let mut fresh = Vec::new();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            self.seen = row.get(0)?;
            let Ok(number) = Destination::parse(row.get_ref(1)?.as_str().unwrap_or_default()) else { continue };
            let key = number.same_key();
            if row.get(2)? {
                if self.keys.insert(key) {
                    fresh.push(key);
                }
            } else {
                self.keys.remove(&key);
            }
        }
        self.is_behind = count == READ_PER_COMMIT_MAX;
        Ok(fresh)
    }

    /// Whether a number is on the list.
    pub fn contains(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    /// Whether no number is.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds one that this process put there. Says whether it is new.
    pub fn insert(&mut self, key: u64) -> bool {
        self.keys.insert(key)
    }

    /// Removes one that this process took off.
    pub fn remove(&mut self, key: u64) {
        self.keys.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::open::open_or_create;

    const A: &str = "447700900001";

    fn number(digits: &str) -> Destination<'_> {
        Destination::parse(digits).unwrap()
    }

    fn why(source: Source, reason: &str) -> Why<'_> {
        Why { source, reason }
    }

    #[test]
    fn an_opt_in_word_removes_only_what_an_opt_out_word_added() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
        let add_by = |source, at| add(&connection, number(A), why(source, "r"), at).unwrap();
        let opt_in_at = |at| opt_in(&connection, number(A), "it sent START", at).unwrap();
        assert_eq!(opt_in_at(1), OptedIn::NotThere);
        assert!(add_by(Source::OptOutWord, 2));
        assert!(!add_by(Source::OptOutWord, 3), "twice the same is once on the list");
        assert_eq!(opt_in_at(4), OptedIn::Removed);
        assert!(add_by(Source::OptOutWord, 5));
        assert!(!add_by(Source::File, 6));
        assert_eq!(opt_in_at(7), OptedIn::Stays(Source::File));
        assert!(!add_by(Source::OptOutWord, 8));
        assert_eq!(opt_in_at(9), OptedIn::Stays(Source::File), "a later word changes nothing of it");
        assert_eq!(remove_all(&connection, [number(A)].into_iter(), why(Source::Operator, "asked")).unwrap(), 1);
        let mut log = connection.prepare("SELECT event, source FROM suppression_log").unwrap();
        let log: Vec<(String, String)> =
            log.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        let log: Vec<(&str, &str)> = log.iter().map(|(event, source)| (event.as_str(), source.as_str())).collect();
        assert_eq!(
            log,
            [
                ("added", "opt-out word"),
                ("removed", "opt-in word"),
                ("added", "opt-out word"),
                ("kept", "file"),
                ("removed", "operator"),
            ]
        );
    }

    #[test]
    fn a_number_of_an_older_program_keeps_its_story() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
        let old = "INSERT INTO suppression (destination, added_at, reason) VALUES (?1, 1000, 'it sent STOP')";
        connection.execute(old, [A]).unwrap();
        assert_eq!(opt_in(&connection, number(A), "it sent START", 2).unwrap(), OptedIn::Stays(Source::Unknown));
        let log = || {
            let mut log =
                connection.prepare("SELECT at || ' ' || event || ' ' || source FROM suppression_log").unwrap();
            log.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
        };
        assert_eq!(log(), ["1970-01-01T00:00:01.000Z added not known"]);
        remove_all(&connection, [number(A)].into_iter(), why(Source::Operator, "asked")).unwrap();
        let log = log();
        assert_eq!(log[0], "1970-01-01T00:00:01.000Z added not known");
        assert!(log.len() == 2 && log[1].ends_with("removed operator"), "{log:?}");
    }

    #[test]
    fn a_sender_reads_on_from_what_it_saw() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_or_create(&folder.path().join("journal.db")).unwrap();
        let key = number(A).same_key();
        let operator = why(Source::Operator, "asked");
        add(&connection, number("447700900009"), operator, 1).unwrap();
        let mut list = Suppressions::load(&connection).unwrap();
        assert!(list.read_on(&connection).unwrap().is_empty() && !list.contains(key) && !list.is_empty());
        add(&connection, number(A), operator, 2).unwrap();
        assert_eq!(list.read_on(&connection).unwrap(), [key]);
        assert!(list.contains(key) && list.read_on(&connection).unwrap().is_empty());
        remove_all(&connection, [number(A)].into_iter(), operator).unwrap();
        assert!(list.read_on(&connection).unwrap().is_empty() && !list.contains(key));
    }
}
