//! The simulator over real sockets.
mod behaviour;
mod client;
mod faults;
mod receipts;
mod throughput;
