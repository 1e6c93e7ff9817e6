//! Bulk SMS over SMPP with a journal: at most once by default, every doubt listed.
//!
//! This page is the architecture. The program's use is in `README.md`, the tables and public views in `schema.sql`.
//!
//! # The data's way
//!
//! ```text
//! CSV --import--> JOURNAL: queued                                          import, message
//!
//! FEEDER   reads ahead of each campaign that has a place, and encodes      journal::writer::{lanes, read_ahead}
//!   | chunks of encoded parts
//!   v
//! JOURNAL  the one writing connection: claims parts for the sessions       journal::writer, policy::shares
//!   |      that want some, gives sequence numbers, COMMIT (fsync)
//!   | claimed parts                                    ^ answers, receipts, inbound, ended sessions
//!   v                                                  |
//! WRITER of a session: tokens from the PACER,          |                   client::writer, policy::pacer, client::window
//!   |      write mark, then the socket                 |
//!   v                                                  |
//! SMSC --------------------------------------------> READER of that session, which frames, decodes, frees slots
//!                                                                          client::reader, wire
//! JOURNAL commits what came; only then the WRITER answers the receipts
//!
//! report, list, verify: read-only connections, short snapshots             report, journal::query
//! ```
//!
//! # Who owns what
//!
//! | what | owner | others |
//! |---|---|---|
//! | states, sequence numbers, "is it finished?" | the journal thread | send it events |
//! | the socket's writing side, reconnects | a connection's writer thread | queue replies |
//! | the read buffer, response timers | a session's reader thread | nothing |
//! | requests outstanding on a session | its window, behind a short lock | its writer adds, its reader takes |
//! | the account's tokens | the pacer, behind a short lock | writers take, readers report throttling |
//!
//! # What holds
//!
//! - Nothing is written to a socket before its claim is committed with `synchronous=FULL`, and not before the write mark
//!   names it. After a death, what is above its session's mark is queued again; what is below it and unanswered is in doubt.
//! - A slot of the window is free again only when the answer that frees it is noted beside the journal. So no more than a
//!   window a session is in doubt after a death, however far the journal thread was behind.
//! - A receipt or inbound message is answered only after the commit that holds it.
//! - Facts are appended. A message's state follows from them by one rule, [`journal::model::state`].
//! - Tokens are taken when octets are about to be written. Claims run a few moments ahead of that, so that the disk is
//!   never waited for, and no further.
//! - Every channel is bounded, and every edge that can block points toward the journal or the socket. The journal thread
//!   waits for the disk alone: a session asks for parts once at a time and has a limited number of receipts unanswered, so
//!   there is always room for what it is told. A reader without credit stops reading, and TCP pushes back.
//! - Work ends by channels being dropped, in the order connections, journal. A session says that it closes, sees the last
//!   of what was meant for it, and then reports what was never answered and what was never written.
//! - No lock is held over I/O. The threads of a run wait for events, and look at the clock besides: the run at how it stands
//!   and at the sending hours, ten times a second; the journal thread at its file, at what other commands decided and at the
//!   hours of campaigns, every half second; a reader at the response timers, every 10 to 500 ms, and every 5 ms while answers cannot be noted; a writer
//!   at a session that ends (50 ms) or waits for the sending hours (200 ms); one that is not bound yet at whether it is to
//!   stop (50 ms); the screen's thread at the changing line (200 ms); the one that watches a folder (`run --watch`) at whether the service
//!   ends (200 ms). None spins.
//! - The thread that decides (hours, moments, signals, timers) shows nothing itself: words, log lines and progress go to the
//!   screen's thread, which drops and counts what it cannot show; lines of JSON go to one of their own, which keeps the newest.
//! - The system's resolver cannot be told to stop: a name is looked up in a thread that nobody waits for longer than they
//!   want to, one for each name.
//!
//! # Code map, in reading order
//!
//! A room leans on those below it alone:
//!
//! - [`cli`]: what can be typed: options, profiles ([`cli::config`]), one file a command. It knows everything, nothing knows it.
//! - [`report`]: what is shown: tables, pages, progress, explanations.
//! - [`run`]: a run of sending from the lock to the last unbind ([`run::pipeline`]), query_sm, cancel_sm and replace_sm
//!   ([`run::operations`]), the test messages of `probe` ([`run::probe`]), when files of a watched folder are taken
//!   ([`run::watch`]).
//! - [`client`]: the two threads of a session, its window, its timers; [`client::link`]: sockets and TLS.
//! - [`import`]: a CSV file as rows, and those rows as a campaign ([`import::campaign`]), or counted only ([`import::preview`]).
//! - [`journal`]: the one door to SQLite; its page has the table of its modules. The rooms above hold a [`journal::Journal`] and
//!   hand it back; whoever sends, cancels or decides comes to own one by [`journal::writer::start()`].
//! - [`smsc`]: the simulator, with its faults and its ledger.
//! - [`record`]: every PDU into a file, by a thread that nobody waits for.
//! - [`message`]: from a row's words to the fields and parts of a submit_sm. Pure.
//! - [`policy`]: sending hours, the account's tokens, how campaigns share them, when a run stops by itself. Pure.
//! - [`http`]: a small blocking door for HTTP, which knows nobody.
//! - [`wire`]: SMPP as octets: frames, PDUs, TLVs, statuses, receipts. No I/O.
//! - [`words`]: numbers, durations, lists and foreign text as people read them.
//! - [`platform`]: signals, the terminal and the log; failpoints for tests of the promise, of which a release has nothing.

// The page is written for those who read the source; `cargo doc --document-private-items` has what it names.
#![allow(rustdoc::private_intra_doc_links)]

mod cli;

mod report;

mod run;

mod client;
mod import;

mod journal;

pub mod smsc;

mod record;

mod http;

mod message;

mod policy;
pub mod wire;
mod words;

mod platform;

#[doc(hidden)]
pub mod testing;

pub use cli::main;
