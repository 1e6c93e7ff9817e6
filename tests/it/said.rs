//! What is said before it goes, corrections, and what a run leaves behind.
