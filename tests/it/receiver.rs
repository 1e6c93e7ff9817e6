//! A receiver elsewhere, with a login of its own; and which account a journal is of, whatever its hosts and logins.

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{Smppost, expected, rows, states};

mod account;
mod elsewhere;
