//! Terminals, signals, outputs that block, and paths.
