//! Patterns of traffic that must not make the journal stand still.
