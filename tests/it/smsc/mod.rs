//! The simulator over real sockets.
mod behaviour;
mod client;
mod control;
mod faults;
pub mod http;
mod inbound;
mod receipts;
mod scenarios;
mod throughput;
mod treatment;
mod unfriendly;
mod versions;
