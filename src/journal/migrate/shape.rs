//! The tables, indexes and views of a journal made those of `schema.sql`.
//!
//! A table that only gets more columns at its end, or checks that let more through, holds the same octets afterwards: SQLite
//! reads a row that is too short as one whose last columns have their defaults. So the words of the table are replaced, as
//! <https://sqlite.org/lang_altertable.html> (7) describes, and no row is written.

use crate::journal::error::JournalError;
use crate::journal::model::VERSION;
use crate::journal::open::{SCHEMA, insert_names};
use crate::journal::store::notes::in_transaction;
use rusqlite::{Connection, OptionalExtension};

/// Tables whose rows are part of the schema.
const LOOKUPS: [&str; 5] = ["state", "status_name", "part_number", "tlv_name", "octet"];

/// What the schema has: kind, name and words, in its order.
#[derive(Debug)]
struct Object {
    kind: String,
    name: String,
    sql: String,
}

/// A journal without rows, to take the words from.
fn model() -> Result<Connection, JournalError> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(SCHEMA)?;
    insert_names(&model)?;
    Ok(model)
}

fn objects(connection: &Connection, kind: &str) -> Result<Vec<Object>, JournalError> {
    let mut statement = connection
        .prepare("SELECT type, name, sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid")?;
    let objects =
        statement.query_map([kind], |row| Ok(Object { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? }))?;
    Ok(objects.collect::<Result<_, _>>()?)
}

fn words_of(connection: &Connection, object: &Object) -> Result<Option<String>, JournalError> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2";
    Ok(connection.query_row(sql, [&object.kind, &object.name], |row| row.get(0)).optional()?)
}

/// Takes the views away and makes the tables those of the schema, in one transaction with what `note` writes and with the new
/// version.
pub fn widen(connection: &Connection, note: impl FnOnce() -> Result<(), JournalError>) -> Result<(), JournalError> {
    let model = model()?;
    connection.execute_batch("PRAGMA writable_schema = ON")?;
    let widened = in_transaction(connection, || {
        for view in objects(connection, "view")? {
            connection.execute_batch(&format!("DROP VIEW {}", view.name))?;
        }
        for table in objects(&model, "table")? {
            match words_of(connection, &table)? {
                None => connection.execute_batch(&table.sql)?,
                Some(words) if words == table.sql => {}
                Some(_) => {
                    only_widens(connection, &model, &table.name)?;
                    let sql = "UPDATE sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2";
                    connection.execute(sql, [&table.sql, &table.name])?;
                }
            }
        }
        note()?;
        // So that every connection reads the words anew.
        let schema: i64 = connection.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
        connection
            .execute_batch(&format!("PRAGMA schema_version = {}; PRAGMA user_version = {VERSION}", schema + 1))?;
        Ok(crate::platform::failpoint::reach("upgrade-begin")?)
    });
    connection.execute_batch("PRAGMA writable_schema = RESET")?;
    widened
}

/// A column, by all that decides how a row is stored.
#[derive(PartialEq, Eq, Debug)]
struct Column {
    name: String,
    kind: String,
    not_null: bool,
    default: Option<String>,
    key: i64,
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>, JournalError> {
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1)")?;
    let columns = statement.query_map([table], |row| {
        let (name, kind, not_null, default, key) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Column { name, kind, not_null, default, key })
    })?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// Refuses a change of a table that rows which are there would not survive.
fn only_widens(connection: &Connection, model: &Connection, table: &str) -> Result<(), JournalError> {
    let (old, new) = (columns(connection, table)?, columns(model, table)?);
    let kind = |connection: &Connection| {
        let sql = "SELECT wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'";
        connection.query_row(sql, [table], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)))
    };
    let have_defaults = new.iter().skip(old.len()).all(|column| {
        column.key == 0 && (!column.not_null || column.default.as_ref().is_some_and(|words| words != "NULL"))
    });
    if new.len() < old.len() || new[..old.len()] != old[..] || !have_defaults || kind(connection)? != kind(model)? {
        return Err(JournalError::Inconsistent(format!(
            "the table {table} cannot be widened to what this program has"
        )));
    }
    Ok(())
}

/// Makes an index that is missing, or is not that of the schema; false: there is none.
pub fn make_index(connection: &Connection) -> Result<bool, JournalError> {
    let model = model()?;
    for index in objects(&model, "index")? {
        let words = words_of(connection, &index)?;
        if words.as_ref() == Some(&index.sql) {
            continue;
        }
        in_transaction(connection, || {
            if words.is_some() {
                connection.execute_batch(&format!("DROP INDEX {}", index.name))?;
            }
            connection.execute_batch(&index.sql)?;
            Ok(crate::platform::failpoint::reach("upgrade-index")?)
        })?;
        return Ok(true);
    }
    Ok(false)
}

/// Makes the views, and the rows that are part of the schema.
pub fn finish(connection: &Connection) -> Result<(), JournalError> {
    let model = model()?;
    for view in objects(&model, "view")? {
        connection.execute_batch(&view.sql)?;
    }
    for table in LOOKUPS {
        let columns: Vec<String> = columns(&model, table)?.into_iter().map(|column| column.name).collect();
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let (columns, places) = (columns.join(", "), places.join(", "));
        let mut insert = connection.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"))?;
        let mut rows = model.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let width = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..width).map(|at| row.get(at)).collect::<Result<Vec<rusqlite::types::Value>, _>>()?;
            insert.execute(rusqlite::params_from_iter(values))?;
        }
    }
    Ok(())
}
