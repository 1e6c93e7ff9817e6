//! Takes connections, and starts the two threads of each.
use crate::words::{BadValue, bad};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::reader::Reader;
use super::session::Session;
use super::shared::Shared;
use super::writer::Writer;

/// Connections at a time, bound or not. It bounds the threads; one more is closed at once.
const CONNECTIONS_MAX: usize = 512;

/// Takes connections until the simulator stops, and gives the threads of those that are left.
pub(super) fn accept(shared: &Arc<Shared>, listener: &TcpListener) -> Vec<JoinHandle<()>> {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !shared.stopping.load(Ordering::SeqCst) {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of file descriptors, as a rule: it passes when connections end.
                log::warn!("smsc: accept: {e}");
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        if is_full(shared) {
            log::warn!("smsc: {peer} is turned away: {CONNECTIONS_MAX} connections already");
            continue;
        }
        match open(shared, stream) {
            Ok((_, thread)) => threads.push(thread),
            Err(e) => log::warn!("smsc: a connection from {peer}: {e}"),
        }
    }
    threads
}

/// Whether there are as many connections as there may be, whoever opened them.
fn is_full(shared: &Shared) -> bool {
    shared.sessions.lock().len() >= CONNECTIONS_MAX
}

/// Starts the threads of a connection that the simulator opened.
pub(super) fn open_own(
    shared: &Arc<Shared>,
    connect: impl FnOnce() -> Result<TcpStream, BadValue>,
) -> Result<Arc<Session>, BadValue> {
    if is_full(shared) {
        return Err(bad!("there are {CONNECTIONS_MAX} connections already"));
    }
    let (session, thread) = open(shared, connect()?).map_err(|error| error.to_string())?;
    let mut threads = shared.threads.lock();
    threads.retain(|thread| !thread.is_finished());
    threads.push(thread);
    Ok(session)
}

/// Starts the threads of a connection, whoever opened it.
fn open(shared: &Arc<Shared>, stream: TcpStream) -> io::Result<(Arc<Session>, JoinHandle<()>)> {
    let id = shared.next_session.fetch_add(1, Ordering::Relaxed);
    let opened = start(shared, id, stream);
    if opened.is_err()
        && let Some(session) = shared.sessions.lock().remove(&id)
    {
        session.end();
    }
    opened
}

fn start(shared: &Arc<Shared>, id: u64, stream: TcpStream) -> io::Result<(Arc<Session>, JoinHandle<()>)> {
    let settings = &shared.settings;
    let faults = &shared.behaviours.of(b"").faults;
    let peer = stream.peer_addr().ok();
    log::info!("smsc: session {id}{}", peer.map_or_else(String::new, |peer| format!(" with {peer}")));
    shared.counters.connections.add(1);
    if faults.http_banner {
        (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
    }
    let (came, sent) = match (&shared.recorder, stream.local_addr(), stream.peer_addr()) {
        (Some(recorder), Ok(own), Ok(peer)) => recorder.taps(own, peer, true, false),
        _ => Default::default(),
    };
    let session = Arc::new(Session::new(id, stream, settings.deliver_window, faults.octets, sent)?);
    shared.sessions.lock().insert(id, Arc::clone(&session));
    let writer = Writer::new(Arc::clone(shared), Arc::clone(&session));
    let written = Arc::clone(&session);
    let writer = spawn(&format!("smsc-write-{id}"), move || ended_by_panic(&written, "writer", || writer.run()))?;
    let mut reader = Reader::new(Arc::clone(shared), Arc::clone(&session), came);
    let (shared, opened) = (Arc::clone(shared), Arc::clone(&session));
    let thread = spawn(&format!("smsc-read-{id}"), move || {
        ended_by_panic(&session, "reader", || reader.run());
        reader.retire();
        if writer.join().is_err() {
            log::error!("smsc: the writer of session {id} panicked");
        }
        reader.leave();
        session.linger();
        session.end();
        shared.sessions.lock().remove(&id);
        log::info!("smsc: session {id} ended");
    })?;
    Ok((opened, thread))
}

/// Runs one side of a session. Whatever goes wrong in it, the session ends, and its account goes on without it.
fn ended_by_panic(session: &Session, side: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        log::error!("smsc: the {side} of session {} panicked", session.id);
        session.end();
    }
}

pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_side_that_panics_ends_its_session() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let session = Session::new(1, listener.accept().unwrap().0, 1, false, Default::default()).unwrap();
        ended_by_panic(&session, "reader", || {});
        assert!(!session.state.lock().ended);
        ended_by_panic(&session, "reader", || panic!("as it was asked to"));
        assert!(session.state.lock().ended);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the connection is closed");
    }
}
