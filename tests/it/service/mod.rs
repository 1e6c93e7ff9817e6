//! The service (`smppost run`) and the commands beside it, against an SMSC that judges and keeps what it got.

mod alerts;
mod handing_over;
mod killed;
mod log_of_months;
mod operating;
mod outside;
mod pausing;
mod reloading;
mod reloading_more;
mod starting;
mod travelling;
mod watching;

use crate::common::independent_smsc::{IndependentSmsc, Settings};
use crate::common::{PATIENCE, Running, Smppost};
use std::time::{Duration, Instant};

/// The account's options, as the service has them.
pub(super) fn account(port: &str) -> [&str; 6] {
    ["--host", "127.0.0.1", "--system-id", "test", "--port", port]
}

/// Starts the service, and waits until it hears commands.
#[track_caller]
pub(crate) fn start(smppost: &Smppost, port: u16, more: &[&str]) -> Running {
    start_with(smppost, port, more, &[])
}

#[track_caller]
pub(crate) fn start_with(smppost: &Smppost, port: u16, more: &[&str], environment: &[(&str, &str)]) -> Running {
    let port = port.to_string();
    let mut arguments = [&["run", "--create"], &account(&port)[..], &["--response-timeout", "5s"], more].concat();
    if !more.contains(&"--rate") {
        arguments.extend(["--rate", "unlimited"]);
    }
    let before = runs(smppost);
    let mut service = smppost.spawn_with(&arguments, environment);
    let until = Instant::now() + PATIENCE;
    while runs(smppost) == before && Instant::now() < until && service.is_running() {
        std::thread::sleep(Duration::from_millis(5));
    }
    service
}

/// Services that have begun with the journal.
fn runs(smppost: &Smppost) -> i64 {
    let journal = smppost.journal();
    if !journal.exists() {
        return 0;
    }
    let count = || -> rusqlite::Result<i64> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(&journal, flags)?;
        connection.query_row("SELECT count(*) FROM run", [], |row| row.get(0))
    };
    count().unwrap_or(0)
}

/// Tells the service to stop, which is to be no failure.
#[track_caller]
pub(crate) fn stop(service: Running) {
    service.signal("TERM");
    service.wait().assert_code(0);
}

/// An SMSC that keeps what it gets.
pub(super) fn smsc() -> IndependentSmsc {
    IndependentSmsc::start(Settings::default())
}

/// Waits until the journal answers so.
#[track_caller]
pub(crate) fn wait_until(smppost: &Smppost, sql: &str, is_so: impl Fn(i64) -> bool) -> i64 {
    let until = Instant::now() + PATIENCE;
    loop {
        // It may not be there yet.
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let found = rusqlite::Connection::open_with_flags(smppost.journal(), flags)
            .and_then(|connection| connection.query_row(sql, [], |row| row.get(0)));
        if let Ok(found) = found
            && is_so(found)
        {
            return found;
        }
        assert!(Instant::now() < until, "{sql}: {found:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Messages of a campaign that the SMSC took.
pub(super) const TAKEN: &str = "SELECT accepted + delivered FROM campaign_summary WHERE campaign = 'c'";
