//! Fixtures and long tests of the journal without threads or sockets.

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod happening_tests;
#[cfg(test)]
mod inbound_tests;
#[cfg(test)]
pub(crate) mod kill_tests;
#[cfg(test)]
pub(in crate::journal) mod order_tests;
#[cfg(test)]
pub(in crate::journal) mod orders;
#[cfg(test)]
pub(in crate::journal) mod receipt_tests;
#[cfg(test)]
pub(crate) mod story;
