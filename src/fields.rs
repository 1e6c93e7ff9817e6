//! Per-message fields of submit_sm.
