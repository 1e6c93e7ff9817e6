//! The look-up by number.
