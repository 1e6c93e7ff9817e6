//! Time zones, moments and SMPP times.
