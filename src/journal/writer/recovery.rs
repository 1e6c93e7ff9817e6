//! What is done first thing under the lock: answers that were noted and not committed are taken in; then every claimed
//! attempt without an answer becomes in doubt, or is queued again where the write mark proves that it never left. That is
//! the whole of recovery.
//!
//! Every case of an attempt that a start can find; the first row that fits decides. A note or a mark counts only where it is
//! of the session that claimed the attempt, of the run that had sessions last, and of this boot of the machine: what a process
//! wrote beside the journal without syncing survives the process, not the machine.
//!
//! | | session | answer committed | answer noted | verdict committed | write mark | what recovery does |
//! |---|---|---|---|---|---|---|
//! | 1 | ended | any | any | any | any | nothing: its end settled it |
//! | 2 | open | yes | any | any | any | nothing |
//! | 3 | open | no | yes | any | any | takes the answer in, also where a response timer had put the attempt in doubt |
//! | 4 | open | no | no | yes | any | nothing: the doubt stands, and what was decided about it |
//! | 5 | open | no | no | no | below it | verdict *not written*: queued again |
//! | 6 | open | no | no | no | at or above it, or none | verdict *in doubt*, then what the policy says |
//!
//! The policy of row 6 is the campaign's `--in-doubt`: `hold` adds nothing, `assume-sent` adds that verdict, `resend` adds the
//! verdict *resend* as often as the retry rules have delays. A receipt that was matched to the attempt before the crash changes
//! no row: the state rule ([`crate::journal::model::state`]) counts an attempt that a receipt names as taken, so that it is
//! neither in doubt nor sent again; row 5 alone is stronger, since references of 16 bits come
//! again, and a mark does not err. Decisions (`cancel`, `resolve`) are applied after recovery, to the states that it left.
//!
//! `recovery/table_tests.rs` goes through all combinations.

use crate::journal::error::JournalError;
use crate::journal::files::answer_log::{Answers, Noted};
use crate::journal::files::write_marks::{Marks, boot_id};
use crate::journal::handle::Sql;
use crate::journal::model::campaign::InDoubtPolicy;
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::model::retry_rules::RetryRules;
use crate::journal::store::counts::Counts;
use crate::journal::store::id_keys::hash_keys;
use crate::journal::store::identity::extent;
use crate::journal::store::notes::note;
use crate::journal::store::verdicts::insert_verdict;
use crate::journal::writer::replay;
use crate::platform::clock::now_ms;
use hashbrown::{HashMap, HashSet};
use rusqlite::Connection;
use std::path::Path;

/// The journal's note of the number of the run that had sessions last ([`crate::journal::model::events::SessionNumber::run`]).
pub(in crate::journal) const RUN: &str = "run";

/// What recovery found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Sessions that a dead process had left open.
    pub sessions: usize,
    /// Answers that had been read and not committed.
    pub answered: usize,
    /// Attempts that may have left: in doubt.
    pub in_doubt: usize,
    /// Attempts that never left: queued again.
    pub requeued: usize,
    /// Imports that had never become whole: undone.
    pub undone_imports: usize,
}

impl Recovered {
    /// What an operator has to know of it.
    pub fn words(&self) -> Vec<String> {
        use crate::words::format::count;
        let many = |n: usize, what| count(i64::try_from(n).unwrap_or(i64::MAX), what);
        let mut words = Vec::new();
        if self.sessions > 0 {
            words.push(format!(
                "the last run crashed or was killed: {} in doubt (sent perhaps), {} not sent and queued again, {} that it had \
                 read taken in",
                many(self.in_doubt, "message part"),
                many(self.requeued, "message part"),
                many(self.answered, "answer"),
            ));
        }
        if self.undone_imports > 0 {
            words.push("an import that was cut short was undone: import that file again".into());
        }
        words
    }
}

/// An unsettled session, by what tells which of its attempts may have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proof {
    /// A mark of this boot: later serials never left.
    WrittenUpTo(i64),
    /// No mark to believe: anything may have left.
    Nothing,
}

impl Proof {
    /// The whole rule: a mark counts only for the session that it names and in the boot in which it was written.
    fn of(mark: Option<i64>, is_of_this_boot: bool) -> Self {
        match mark {
            Some(serial) if is_of_this_boot => Self::WrittenUpTo(serial),
            _ => Self::Nothing,
        }
    }

    fn may_have_left(self, serial: i64) -> bool {
        match self {
            Self::WrittenUpTo(last) => serial <= last,
            Self::Nothing => true,
        }
    }
}

/// A journal that is recovered, with its side files.
#[derive(Debug)]
pub struct Recovery {
    /// The journal.
    pub connection: Connection,
    /// Its counts.
    pub counts: Counts,
    /// What there was to do.
    pub recovered: Recovered,
    /// The write marks: none.
    pub marks: Marks,
    /// The notes of answers: none.
    pub answers: Answers,
}

/// What one transaction of a recovery settles: attempts without an answer, or answers that were noted, at some 20 us each. As
/// a rule a window is all there is.
const SETTLED_PER_COMMIT_MAX: usize = 5_000;
/// Claims that one transaction looks through, of up to a window each.
const CLAIMS_PER_COMMIT_MAX: i64 = 500;

/// Commits what was recovered so far, and goes on. The sessions stay open and the side files as they are until all is
/// settled, so that a start after a crash in between does the rest: what has an answer or a verdict is left alone.
fn next_slice(connection: &Connection) -> Result<(), JournalError> {
    crate::platform::failpoint::reach("recovering")?;
    Ok(connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?)
}

/// Recovers, in a transaction for each slice, after those that undo imports; the side files are reset after all is on disk.
/// `rules` say how often a doubt is sent again where the policy is to do so.
pub fn recover(connection: Connection, path: &Path, rules: &RetryRules) -> Result<Recovery, JournalError> {
    let (marks, answers) = (Marks::open(path)?, Answers::open(path)?);
    refuse_if_behind(&connection, path, &marks)?;
    let mut recovered = Recovered {
        undone_imports: crate::journal::store::intake::undo_unfinished(&connection, path)?,
        ..Recovered::default()
    };
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let counts = Counts::load(&connection)?;
    let run = run(&connection)?;
    let unsettled = unsettled(&connection, &marks, run)?;
    recovered.sessions = unsettled.len();
    let noted: Vec<Noted> = if unsettled.is_empty() { Vec::new() } else { answers.read(run) };
    let may_believe = |noted: &Noted| unsettled.get(&noted.session).is_some_and(|session| session.is_of_this_boot);
    let noted: Vec<Noted> = noted.into_iter().filter(may_believe).collect();
    let (connection, mut counts) = if noted.is_empty() {
        (connection, counts)
    } else {
        let (connection, counts, answered) =
            replay::take_in(connection, counts, &noted, SETTLED_PER_COMMIT_MAX, next_slice)?;
        recovered.answered = answered;
        (connection, counts)
    };
    settle_claims(&connection, &mut counts, &unsettled, rules, &mut recovered)?;
    connection.execute(
        "UPDATE session SET closed_at = ?1, reason = 'its process died' WHERE closed_at IS NULL",
        [now_ms()],
    )?;
    counts.settle(&connection)?;
    crate::platform::failpoint::reach("recovery")?;
    connection.execute_batch("COMMIT")?;
    crate::platform::failpoint::reach("recovered")?;
    settle_marks(&connection, path, &marks)?;
    answers.reset().map_err(|error| JournalError::side_file(path, "-answers", error))?;
    Ok(Recovery { connection, counts, recovered, marks, answers })
}

/// Notes in the file of marks how far the journal has come, in the place of what its sessions had noted.
pub fn settle_marks(connection: &Connection, path: &Path, marks: &Marks) -> Result<(), JournalError> {
    let noted = marks.settle(extent(connection)?, identity(connection)?);
    noted.map_err(|error| JournalError::side_file(path, "-marks", error))
}

/// The same after an orderly end, unless a session is open all the same: the marks speak against an older copy of this journal
/// from then on, and against no other that takes its place. Where that fails the next start does it.
pub fn settle_ended(journal: &dyn Sql, path: &Path) -> Result<(), JournalError> {
    let connection = journal.connection();
    let open = "SELECT EXISTS (SELECT 1 FROM session WHERE closed_at IS NULL)";
    let is_open: bool = connection.query_row(open, [], |row| row.get(0))?;
    if is_open { Ok(()) } else { settle_marks(connection, path, &Marks::open(path)?) }
}

/// A number that no other journal has.
fn identity(connection: &Connection) -> Result<u64, JournalError> {
    Ok(hash_keys(connection)?.0)
}

/// The number of the run that had sessions last.
fn run(connection: &Connection) -> Result<u64, JournalError> {
    Ok(note(connection, RUN)?.and_then(|run| u64::from_str_radix(&run, 16).ok()).unwrap_or_default())
}

/// Refuses what recovery would refuse, and changes nothing.
pub fn judge_marks(journal: &dyn Sql, path: &Path) -> Result<(), JournalError> {
    let connection = journal.connection();
    if crate::journal::beside::beside(path, "-marks").exists() {
        refuse_if_behind(connection, path, &Marks::open(path)?)
    } else {
        Ok(())
    }
}

/// Refuses a journal that knows less than the write mark does. Sessions and claims are on disk before the mark names them, so
/// such a journal is an older one, and what it takes for unsent may be sent.
///
/// Marks of runs before the last, which a machine that died can leave, name sessions that the journal knows.
fn refuse_if_behind(connection: &Connection, path: &Path, marks: &Marks) -> Result<(), JournalError> {
    let known = extent(connection)?;
    let settled = marks.settled(identity(connection)?);
    let behind = |what: &str, marked: i64, known: i64| {
        let file = crate::journal::beside::beside(path, "-marks");
        let words = format!("{} names {what} {marked}, and the journal ends with {known}", file.display());
        Err(JournalError::Behind { path: path.into(), words })
    };
    let marked = settled.map_or(0, |settled| settled.session).max(marks.newest_session());
    if marked > known.session {
        return behind("session", marked, known.session);
    }
    // A session's first mark is the serial before its first, which need not be claimed: a transaction may have been lost.
    let begun: i64 =
        connection.query_row("SELECT coalesce(max(first_serial) - 1, 0) FROM session", [], |row| row.get(0))?;
    let marks = marks.read(run(connection)?).into_iter().map(|(_, serial)| serial);
    let marked = marks.chain(settled.map(|settled| settled.serial)).max().unwrap_or_default();
    if marked > known.serial.max(begun) {
        return behind("attempt", marked, known.serial.max(begun));
    }
    Ok(())
}

/// A session that a dead process had left open.
struct Unsettled {
    proof: Proof,
    /// What its process had written beside the journal is there still.
    is_of_this_boot: bool,
    first_serial: i64,
}

fn unsettled(connection: &Connection, marks: &Marks, run: u64) -> Result<HashMap<i64, Unsettled>, JournalError> {
    let written: HashMap<i64, i64> = marks.read(run).into_iter().collect();
    let boot = boot_id();
    let mut statement = connection.prepare("SELECT id, boot_id, first_serial FROM session WHERE closed_at IS NULL")?;
    let sessions = statement.query_map([], |row| {
        let (id, session_boot, first_serial): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let is_of_this_boot = !boot.is_empty() && session_boot == boot;
        let proof = Proof::of(written.get(&id).copied(), is_of_this_boot);
        Ok((id, Unsettled { proof, is_of_this_boot, first_serial }))
    })?;
    Ok(sessions.collect::<Result<_, _>>()?)
}

/// A claim of an unsettled session.
struct Claim {
    first_serial: i64,
    tried: u16,
    first_part: i64,
    parts: i64,
    session: i64,
}

/// Settles what unsettled sessions had claimed and nobody had answered.
fn settle_claims(
    connection: &Connection,
    counts: &mut Counts,
    unsettled: &HashMap<i64, Unsettled>,
    rules: &RetryRules,
    recovered: &mut Recovered,
) -> Result<(), JournalError> {
    let Some(mut from) = unsettled.values().map(|session| session.first_serial).min() else { return Ok(()) };
    loop {
        let claims = claims(connection, from)?;
        let is_last = claims.len() < CLAIMS_PER_COMMIT_MAX as usize;
        let mut left = SETTLED_PER_COMMIT_MAX;
        for claim in claims {
            if left == 0 {
                break;
            }
            if let Some(session) = unsettled.get(&claim.session) {
                settle_claim(connection, counts, &claim, session.proof, &mut left, (rules, &mut *recovered))?;
            }
            // One that was not settled whole is looked at once more, for its rest.
            from = if left == 0 { claim.first_serial } else { claim.first_serial + claim.parts };
        }
        if is_last && left > 0 {
            return Ok(());
        }
        counts.settle(connection)?;
        next_slice(connection)?;
    }
}

/// The next claims from one on.
fn claims(connection: &Connection, from: i64) -> Result<Vec<Claim>, JournalError> {
    let mut statement = connection.prepare_cached(
        "SELECT first_serial, try, first_part, parts, session_id FROM claim WHERE first_serial >= ?1
          ORDER BY first_serial LIMIT ?2",
    )?;
    let claims = statement.query_map((from, CLAIMS_PER_COMMIT_MAX), |row| {
        Ok(Claim {
            first_serial: row.get(0)?,
            tried: row.get(1)?,
            first_part: row.get(2)?,
            parts: row.get(3)?,
            session: row.get(4)?,
        })
    })?;
    Ok(claims.collect::<Result<_, _>>()?)
}

/// Settles what nobody had answered of a claim, as far as one transaction goes.
fn settle_claim(
    connection: &Connection,
    counts: &mut Counts,
    claim: &Claim,
    proof: Proof,
    left: &mut usize,
    (rules, recovered): (&RetryRules, &mut Recovered),
) -> Result<(), JournalError> {
    for attempt in without_fate(connection, claim.tried, claim.first_part, claim.parts)? {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        counts.touch(connection, attempt.part(), State::Sending)?;
        if proof.may_have_left(claim.first_serial + attempt.part() - claim.first_part) {
            recovered.in_doubt += 1;
            let policy = in_doubt_policy(counts, attempt);
            doubt(connection, attempt, "the sender died before the answer came", policy, rules)?;
        } else {
            recovered.requeued += 1;
            insert_verdict(connection, attempt, Verdict::NotWritten, "the sender died before it was written")?;
        }
    }
    Ok(())
}

/// The policy of the campaign that the attempt belongs to.
pub fn in_doubt_policy(counts: &Counts, attempt: Attempt) -> InDoubtPolicy {
    if crate::platform::sabotage::is("resend-doubt") {
        return InDoubtPolicy::Resend;
    }
    counts
        .campaign_of(attempt.part())
        .and_then(|index| counts.campaign(index))
        .map_or(InDoubtPolicy::Hold, |campaign| campaign.in_doubt)
}

/// The reason of the verdicts by which the policy has a part sent again: the operator's own have others.
const BY_POLICY: &str = "--in-doubt resend";

/// Appends that an attempt is in doubt, and what the policy makes of that. Where its part is to be sent again: after how
/// many milliseconds. It is so as often as `rules` have delays; then it stays in doubt.
pub fn doubt(
    connection: &Connection,
    attempt: Attempt,
    reason: &str,
    policy: InDoubtPolicy,
    rules: &RetryRules,
) -> Result<Option<i64>, JournalError> {
    insert_verdict(connection, attempt, Verdict::InDoubt, reason)?;
    match policy {
        InDoubtPolicy::Hold => Ok(None),
        InDoubtPolicy::AssumeSent => {
            insert_verdict(connection, attempt, Verdict::AssumeSent, "--in-doubt assume-sent")?;
            Ok(None)
        }
        InDoubtPolicy::Resend => {
            let delay_ms = rules.delays_ms.get(resent(connection, attempt.part())?).copied();
            if delay_ms.is_some() {
                insert_verdict(connection, attempt, Verdict::Resend, BY_POLICY)?;
            }
            Ok(delay_ms)
        }
    }
}

/// How often the policy had a part sent again since the operator last decided about it. Each time the SMSC may have taken
/// it, so that this must have an end, over restarts too.
fn resent(connection: &Connection, part: i64) -> Result<usize, JournalError> {
    let (from, to) = Attempt::range(part, part + 1);
    let kinds = [Verdict::Resend, Verdict::RetryRejected].map(|kind| kind as u8);
    let mut statement = connection.prepare_cached(
        "SELECT reason = ?5 FROM verdict WHERE attempt >= ?1 AND attempt < ?2 AND kind IN (?3, ?4) ORDER BY id DESC",
    )?;
    let mut rows = statement.query((from, to, kinds[0], kinds[1], BY_POLICY))?;
    let mut resent = 0;
    while let Some(row) = rows.next()?
        && row.get(0)?
    {
        resent += 1;
    }
    Ok(resent)
}

/// The attempts of a claim that have neither answer nor verdict.
fn without_fate(connection: &Connection, tried: u16, first: i64, parts: i64) -> Result<Vec<Attempt>, JournalError> {
    let (from, to) = Attempt::range(first, first + parts);
    let mut statement = connection.prepare_cached(
        "SELECT attempt FROM answer WHERE attempt >= ?1 AND attempt < ?2
         UNION ALL SELECT attempt FROM verdict WHERE attempt >= ?1 AND attempt < ?2",
    )?;
    let known: HashSet<i64> = statement.query_map([from, to], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((first..first + parts)
        .map(|part| Attempt::new(part, tried))
        .filter(|attempt| !known.contains(&attempt.0))
        .collect())
}

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::beside::beside;
    use crate::journal::model::events::SessionNumber;
    use crate::journal::open::open_existing;
    use crate::journal::testkit::bench::Bench;
    use std::sync::Arc;

    /// What a start makes of a journal with these marks: session, serial, run. It has one session, and two attempts.
    fn start(marks: &[(i64, i64, u64)]) -> Result<(), String> {
        let mut bench =
            Bench::new(&[("447700900001", 1), ("447700900002", 1), ("447700900003", 1)], InDoubtPolicy::Hold);
        let session = bench.open_session();
        assert_eq!((session, bench.send(session, 2).len()), (1, 2));
        let own = super::run(&open_existing(&bench.path).unwrap()).unwrap();
        bench.thread = None;
        let file = Marks::open(&bench.path).unwrap();
        for (slot, &(id, serial, run)) in marks.iter().enumerate() {
            let run = if run == 0 { own } else { run };
            drop(file.begin(slot, SessionNumber { id, serial_before: serial, run }).unwrap());
        }
        let before = std::fs::read(beside(&bench.path, "-marks")).unwrap();
        let recovered = recover(open_existing(&bench.path).unwrap(), &bench.path, &RetryRules::default());
        if recovered.is_err() {
            assert_eq!(std::fs::read(beside(&bench.path, "-marks")).unwrap(), before, "the proof stays");
        }
        recovered.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_journal_that_knows_less_than_the_mark_is_refused() {
        let claimed = {
            let mut bench =
                Bench::new(&[("447700900001", 1), ("447700900002", 1), ("447700900003", 1)], InDoubtPolicy::Hold);
            let session = bench.open_session();
            bench.send(session, 2);
            bench.number("SELECT max(first_serial + parts - 1) FROM claim")
        };
        // Its own; those of runs before, of which a machine that died can leave some.
        for marks in [&[][..], &[(1, 0, 0)], &[(1, claimed, 0)], &[(1, 1_000, 77)]] {
            assert_eq!(start(marks), Ok(()), "{marks:?}");
        }
        for (marks, words) in [
            (&[(1, claimed, 0), (2, claimed, 0)][..], "names session 2, and the journal ends with 1"),
            (&[(2, 0, 77)], "names session 2"),
            (&[(1, claimed + 1, 0)], "names attempt"),
        ] {
            let refused = start(marks).unwrap_err();
            assert!(refused.contains(words) && refused.contains("journal.db-marks"), "{marks:?}: {refused}");
        }
    }

    #[test]
    fn a_mark_is_believed_only_for_its_session_and_boot() {
        for (mark, is_of_this_boot, serial, left) in [
            (Some(10), true, 10, true),
            (Some(10), true, 11, false),
            (Some(10), false, 11, true),
            (None, true, 11, true),
        ] {
            let may_have_left = Proof::of(mark, is_of_this_boot).may_have_left(serial);
            assert_eq!(may_have_left, left, "{mark:?} {is_of_this_boot} {serial}");
        }
    }

    #[test]
    fn f27_a_doubt_is_sent_again_as_often_as_there_are_delays() {
        for restarts in [false, true] {
            let mut bench = Bench::new(&[("447700900001", 1)], InDoubtPolicy::Resend);
            let mut session = bench.open_session();
            // The operator's word begins anew.
            for round in 0..2 {
                for tried in 0..5 {
                    let sent = bench.send(session, 1);
                    assert_eq!(sent[0].attempt.tried(), round * 5 + tried, "{restarts}");
                    if restarts {
                        bench.restart();
                        session = bench.open_session();
                    } else {
                        bench.time_out(session, sent[0]);
                    }
                }
                assert_eq!(bench.states(), ["in_doubt"]);
                bench.restart();
                session = bench.open_session();
                assert_eq!(bench.send(session, 1).len(), 0);
                assert!(bench.thread().status.all_sent);
                bench.decide(&crate::journal::store::decisions::Decision::Resend { lines: vec![] });
            }
            let sent = bench.send(session, 1);
            bench.answer(session, sent[0], 0, "7");
            assert_eq!(bench.states(), ["accepted"]);
        }
    }

    #[test]
    fn f27_a_doubt_is_sent_again_after_the_retry_delays() {
        let mut bench = Bench::new(&[("447700900001", 1)], InDoubtPolicy::Resend);
        bench.rules = Arc::new(RetryRules { delays_ms: vec![0, 3_600_000], ..RetryRules::default() });
        bench.restart();
        let session = bench.open_session();
        for _ in 0..2 {
            let sent = bench.send(session, 1);
            bench.time_out(session, sent[0]);
        }
        assert_eq!(bench.send(session, 1).len(), 0);
        assert_eq!(bench.states(), ["queued"]);
        assert!(!bench.thread().status.all_sent);
    }
}
