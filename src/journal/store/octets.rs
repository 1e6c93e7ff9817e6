//! What a peer's octets are as a column of a table: nothing of them is lost.

use rusqlite::types::{ToSqlOutput, ValueRef};
use std::borrow::Cow;

/// Octets of a peer as text: what is not UTF-8 is escaped, so that nothing is lost.
pub fn text_of(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => Cow::Borrowed(text),
        _ => Cow::Owned(octets.escape_ascii().to_string()),
    }
}

/// Octets of a peer's text as a column: TEXT where they are, else a BLOB.
pub fn as_value(octets: &[u8]) -> ToSqlOutput<'_> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        _ => ToSqlOutput::Borrowed(ValueRef::Blob(octets)),
    }
}
