//! Fixtures and long tests of the journal without threads or sockets.

#[cfg(test)]
pub(in crate::journal) mod bench;
#[cfg(test)]
pub(in crate::journal) mod order_tests;
#[cfg(test)]
pub(in crate::journal) mod receipt_tests;
#[cfg(test)]
pub(crate) mod story;
