//! A value that cannot be taken.

use std::ops::Deref;

/// A value that cannot be taken, and why, in words for whoever gave it: on the command line, in a file, to the simulator's
/// control. It is shown and nothing else, so that there is one kind of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

impl From<String> for BadValue {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for BadValue {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl From<BadValue> for String {
    fn from(error: BadValue) -> Self {
        error.0
    }
}

impl Deref for BadValue {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A [`BadValue`], formatted.
macro_rules! bad {
    ($($words:tt)*) => { $crate::words::BadValue::from(format!($($words)*)) };
}

pub(crate) use bad;
