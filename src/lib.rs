//! Bulk SMS over SMPP with a journal: at most once by default, every doubt listed.
//!
//! This page is the architecture. The program's use is in `README.md`, the tables and public views in `schema.sql`.
//!
//! # The data's way
//!
//! ```text
//! CSV --import--> JOURNAL: queued                                          campaign, import, template, text, address
//!
//! FEEDER   reads queued messages ahead and encodes them                    journal::feed
//!   | chunks of encoded parts
//!   v
//! JOURNAL  the one writing connection: claims parts for the sessions       journal::keeper
//!   |      that want some, gives sequence numbers, COMMIT (fsync)
//!   | claimed parts                                    ^ answers, receipts, inbound, ended sessions
//!   v                                                  |
//! WRITER of a session: tokens from the PACER,          |                   session::writer, pacer, window
//!   |      write mark, then the socket                 |
//!   v                                                  |
//! SMSC --------------------------------------------> READER of that session, which frames, decodes, frees slots
//!                                                                          session::reader, wire
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
//! - Facts are appended. A message's state follows from them by one rule, [`journal::state`].
//! - Tokens are taken when octets are about to be written. Claims run a few moments ahead of that, so that the disk is
//!   never waited for, and no further.
//! - Every channel is bounded, and every edge that can block points toward the journal or the socket. The journal thread
//!   waits for the disk alone: a session asks for parts once at a time and has a limited number of receipts unanswered, so
//!   there is always room for what it is told. A reader without credit stops reading, and TCP pushes back.
//! - Work ends by channels being dropped, in the order connections, journal. A session says that it closes, sees the last
//!   of what was meant for it, and then reports what was never answered and what was never written.
//! - No lock is held over I/O. The threads of a run wait for events, and look at the clock besides: the run at how it stands
//!   and at the sending hours, ten times a second; the journal thread at its file and at what other commands decided, every
//!   half second; a reader at the response timers, every 10 to 500 ms, and every 5 ms while answers cannot be noted; a writer
//!   at a session that ends (50 ms) or waits for the sending hours (200 ms); one that is not bound yet at whether it is to
//!   stop (50 ms); the screen's thread at the changing line (200 ms). None spins.
//! - The thread that decides (hours, moments, signals, timers) shows nothing itself: words, log lines and progress go to the
//!   screen's thread, which drops and counts what it cannot show.
//! - The system's resolver cannot be told to stop: a name is looked up in a thread that nobody waits for longer than they
//!   want to, one for each name.
//!
//! # Code map, in reading order
//!
//! - [`wire`]: SMPP as octets: frames, PDUs, TLVs, statuses, receipts. No I/O.
//! - [`text`], [`address`], [`template`], [`fields`], [`escape`]: alphabets and parts, numbers and senders, texts with
//!   columns in them, submit_sm fields by name, foreign text made harmless. Pure.
//!   [`trouble`]: what the system refuses, in words with their cure.
//! - [`import`]: a CSV file as rows; [`campaign`]: those rows into the journal, or into a tally ([`preview`]).
//! - [`journal`]: the one door to SQLite.
//! - [`restraint`]: when a run stops by itself. Pure.
//! - [`hours`], [`pacer`], [`window`], [`link`], [`session`]: when and how fast, outstanding requests, sockets and TLS, and
//!   the two threads of a session. [`record`]: every PDU into a file, by a thread that nobody waits for.
//! - [`pipeline`]: a run of sending from the lock to the last unbind; [`operations`]: query_sm, cancel_sm, replace_sm;
//!   [`trial`]: the test messages of `probe`.
//! - [`report`], [`progress`]: what is shown; [`screen`]: the thread that shows it, for which nobody waits.
//! - [`smsc`]: the simulator, with its faults and its ledger.
//! - [`cli`], [`config`], [`logging`], [`signals`]: what can be typed, what is said, and what comes from elsewhere, the time
//!   zone among it.
//! - [`failpoint`], [`broken`]: for tests of the promise; nothing of them is in a release.

pub mod wire;

pub mod address;
pub mod escape;
pub mod fields;
pub mod template;
pub mod text;
pub mod trouble;

pub mod campaign;
pub mod import;
pub mod preview;

pub mod journal;

pub mod hours;
pub mod link;
pub mod pacer;
pub mod record;
pub mod restraint;
pub mod session;
pub mod window;

pub mod operations;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod screen;
pub mod trial;

pub mod smsc;

pub mod cli;
pub mod config;
pub mod logging;
pub mod signals;

pub mod broken;
pub mod failpoint;
