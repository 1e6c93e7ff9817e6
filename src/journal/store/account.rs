//! Which account a journal serves, and under which names that account is known to it.
//!
//! A run names its account by `--account NAME`, if at all, and by its addresses: `SYSTEM_ID at HOST`, one for each host.
//! The journal keeps all of them, in the table `account_name`, so that a run goes on where it names the account as it was
//! named before, or where one of its hosts is known with this system_id: hosts may be added, dropped and reordered. The
//! same system_id at hosts of which none is known is another account, unless `--same-account` says otherwise, once.
//!
//! | the run | the journal | verdict |
//! |---|---|---|
//! | any | nothing was sent from it | the account's from now on |
//! | has a name | knows that name | goes on, whatever login and host |
//! | has a name | knows another name | refused |
//! | has a name or none | knows one of the addresses | goes on |
//! | has a name or none | knows none of the addresses | refused |
//! | `--same-account` | any of real messages | goes on, and is recorded |

use crate::journal::error::JournalError;
use crate::journal::handle::Sql;
use crate::journal::store::notes::{in_transaction, note, set_note};
use crate::platform::clock::now_ms;
use crate::words::escape::escape_terminal;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// The account of a rehearsal against the built-in simulator.
pub use crate::journal::model::SIMULATOR;
/// Key in `meta`: the name that the account goes by.
const ACCOUNT: &str = "account";

/// How a run names its account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// As `--account` has it.
    pub name: Option<String>,
    /// `SYSTEM_ID at HOST` of each host that it sends to, at least one.
    pub addresses: Vec<String>,
    /// Those of a receiver elsewhere: they are the account's, and do not say which account it is.
    pub receivers: Vec<String>,
    /// The operator says that the journal is this account's.
    pub same: bool,
}

impl Identity {
    /// That of a rehearsal.
    pub fn simulator() -> Self {
        Self { name: None, addresses: vec![SIMULATOR.into()], receivers: Vec::new(), same: false }
    }

    /// Whether it is a rehearsal's.
    pub fn is_simulator(&self) -> bool {
        self.addresses.iter().any(|address| address == SIMULATOR)
    }

    /// What the account goes by.
    pub fn shown(&self) -> &str {
        self.name.as_deref().or_else(|| self.addresses.first().map(String::as_str)).unwrap_or_default()
    }

    /// All its names, the one that it goes by first.
    pub fn all(&self) -> Vec<String> {
        self.name.iter().chain(&self.addresses).chain(&self.receivers).cloned().collect()
    }
}

/// How a name came into the journal, as the table has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// It is that of the first run, or was given or came with a known one.
    Run = 1,
    /// It is an address of a receiver elsewhere.
    Receiver = 2,
    /// By `--same-account`.
    Operator = 3,
}

/// How a run's account stands to the journal's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// Nothing binds the journal yet.
    Unbound,
    /// It is the same.
    Same,
    /// The operator says so.
    SaidToBeSame,
    /// It is another.
    Other,
}

/// Notes the account that a journal serves, unless it has one.
pub fn note_account(connection: &Connection, account: &str) -> Result<(), JournalError> {
    connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", [ACCOUNT, account])?;
    Ok(())
}

/// Refuses another account than the journal's, and changes nothing: what [`claim_account`] would say.
pub fn judge_account(journal: &dyn Sql, path: &Path, account: &Identity) -> Result<(), JournalError> {
    let connection = journal.connection();
    match standing(connection, account)? {
        Standing::Other => Err(JournalError::OtherAccount {
            path: path.into(),
            recorded: note(connection, ACCOUNT)?.unwrap_or_default(),
            wanted: account.shown().into(),
        }),
        Standing::Unbound | Standing::Same | Standing::SaidToBeSame => Ok(()),
    }
}

/// As [`claim_account`], beside the service that has it already.
pub fn claim(journal: &dyn Sql, path: &Path, account: &Identity) -> Result<(), JournalError> {
    claim_account(journal.connection(), path, account).map(drop)
}

/// Notes the account that the journal serves, with its names, or refuses another one than it notes. A rehearsal against the
/// built-in simulator counts as an account of its own. Returns what is to be said of it.
pub fn claim_account(connection: &Connection, path: &Path, account: &Identity) -> Result<Option<String>, JournalError> {
    judge_account(connection, path, account)?;
    let standing = standing(connection, account)?;
    let recorded = note(connection, ACCOUNT)?;
    in_transaction(connection, || {
        if standing == Standing::Unbound {
            connection.execute("DELETE FROM account_name", [])?;
        }
        let source = if standing == Standing::SaidToBeSame { Source::Operator } else { Source::Run };
        // A journal of before this table knows its account by the note alone.
        if let (Some(recorded), true) = (&recorded, standing != Standing::Unbound) {
            let is_given = recorded != SIMULATOR && !recorded.contains(" at ");
            add(connection, recorded, is_given, Source::Run)?;
        }
        for address in &account.addresses {
            add(connection, address, false, source)?;
        }
        for address in &account.receivers {
            add(connection, address, false, Source::Receiver)?;
        }
        if let Some(name) = &account.name {
            add(connection, name, true, source)?;
        }
        let goes_by = match (&recorded, &account.name) {
            (Some(recorded), None) if standing != Standing::Unbound => recorded,
            _ => account.shown(),
        };
        set_note(connection, ACCOUNT, Some(goes_by))
    })?;
    let is_said = standing == Standing::SaidToBeSame;
    Ok(is_said.then(|| {
        format!(
            "the journal's account {} is {}, too, from now on (--same-account)",
            escape_terminal(recorded.as_deref().unwrap_or_default()),
            escape_terminal(account.shown())
        )
    }))
}

fn add(connection: &Connection, name: &str, is_given: bool, source: Source) -> Result<(), JournalError> {
    // A name that was known as an address and is given now is a given one from now on.
    connection.execute(
        "INSERT INTO account_name (name, given, source, added_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET given = max(given, excluded.given)",
        (folded(name), is_given, source as i64, now_ms()),
    )?;
    Ok(())
}

/// The names under which the account is known to the journal, the one that it goes by first.
pub fn names(journal: &dyn Sql) -> Result<Vec<String>, JournalError> {
    let connection = journal.connection();
    let mut names: Vec<String> = note(connection, ACCOUNT)?.into_iter().collect();
    if has_table(connection)? {
        let mut rows = connection.prepare("SELECT name FROM account_name ORDER BY added_at DESC, name")?;
        for name in rows.query_map([], |row| row.get::<_, String>(0))? {
            let name = name?;
            if !names.iter().any(|known| folded(known) == name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// One that an older program made has no such table before it is upgraded.
fn has_table(connection: &Connection) -> Result<bool, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'account_name')";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

fn standing(connection: &Connection, account: &Identity) -> Result<Standing, JournalError> {
    let Some(recorded) = note(connection, ACCOUNT)? else { return Ok(Standing::Unbound) };
    if is_same(connection, &recorded, account)? {
        return Ok(Standing::Same);
    }
    // As long as nothing was sent, a name that was mistyped binds nobody. But what was rehearsed is not for real people,
    // and what is for them is not rehearsed.
    let kinds_differ = (recorded == SIMULATOR) != account.is_simulator();
    let is_used: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM claim) OR ?1 AND EXISTS (SELECT 1 FROM campaign WHERE imported_at IS NOT NULL)",
        [kinds_differ],
        |row| row.get(0),
    )?;
    Ok(match is_used {
        false => Standing::Unbound,
        true if account.same && !kinds_differ => Standing::SaidToBeSame,
        true => Standing::Other,
    })
}

fn is_same(connection: &Connection, recorded: &str, account: &Identity) -> Result<bool, JournalError> {
    let has_table = has_table(connection)?;
    let knows = |name: &str| -> Result<bool, JournalError> {
        if folded(recorded) == folded(name) {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM account_name WHERE name = ?1";
        Ok(has_table && connection.query_row(sql, [folded(name)], |_| Ok(())).optional()?.is_some())
    };
    if let Some(name) = &account.name {
        if knows(name)? {
            return Ok(true);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM account_name WHERE given = 1)";
        if has_table && connection.query_row(sql, [], |row| row.get(0))? {
            return Ok(false);
        }
    }
    for address in &account.addresses {
        if knows(address)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A name as it is compared: of an address, `SYSTEM_ID at HOST`, capitals of the host and a dot at its end do not count.
fn folded(name: &str) -> String {
    match name.rsplit_once(" at ") {
        Some((system_id, host)) => {
            format!("{system_id} at {}", host.trim().trim_end_matches('.').to_ascii_lowercase())
        }
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
