//! Takes connections, each with a thread of its own for one request, and lets nobody hold it up: whoever sends slowly, reads
//! nothing, or sends no end, has a time by which it is over.
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::read::{Head, read_body, read_head};
use super::{Answer, Request};

/// Connections at a time. It bounds the threads; one more is closed at once.
const CONNECTIONS_MAX: usize = 256;
/// Requests that are answered at a time; one more is told to come again.
const REQUESTS_MAX: usize = 64;
/// How long the end waits for requests that are being answered.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a peer may take to read an answer.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// How long what is still sent is taken after the answer: a socket closed with unread octets resets, which can lose it.
const LINGER: Duration = Duration::from_secs(2);
/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a request may take to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) head: Duration,
    pub(super) body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { head: Duration::from_secs(10), body: Duration::from_secs(30) }
    }
}

/// What answers requests, each in a thread of its own.
type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// What the threads share.
struct Common {
    handler: Box<Handler>,
    hosts: Vec<String>,
    patience: Patience,
    stopping: AtomicBool,
    busy: AtomicUsize,
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
    /// A connection is over.
    closed: Condvar,
}

/// A server that runs until it is dropped.
pub struct Server {
    common: Arc<Common>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens. `hosts` are names that a request may give as its Host, besides addresses and `localhost`.
    ///
    /// # Errors
    /// The port cannot be had; no thread can be started.
    pub fn start(
        listen: SocketAddr,
        hosts: Vec<String>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Server> {
        Server::with_patience(listen, hosts, Patience::default(), handler)
    }

    pub(super) fn with_patience(
        listen: SocketAddr,
        hosts: Vec<String>,
        patience: Patience,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Server> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let common = Arc::new(Common {
            handler: Box::new(handler),
            hosts,
            patience,
            stopping: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            open: Mutex::default(),
            closed: Condvar::new(),
        });
        let serving = Arc::clone(&common);
        let thread = thread::Builder::new().name("http".into()).spawn(move || accept(&serving, &listener))?;
        Ok(Server { common, address, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.common.stopping.store(true, Ordering::SeqCst);
        let until = Instant::now() + FAREWELL;
        // It waits in accept: a connection wakes it, and it sees that all is over.
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            _ => {}
        }
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && Instant::now() < until {
                let _ = TcpStream::connect_timeout(&address, Duration::from_millis(100));
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() && thread.join().is_err() {
                log::error!("the HTTP server panicked");
            }
        }
        // Who has not asked yet asks no more; what is being answered has a moment.
        let mut open = self.common.open.lock();
        open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Read)));
        while !open.is_empty() && !self.common.closed.wait_until(&mut open, until).timed_out() {}
        open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

/// Takes connections until it stops. What goes wrong with one passes: out of file descriptors, or a peer that is gone already.
fn accept(common: &Arc<Common>, listener: &TcpListener) {
    let mut number = 0;
    while !common.stopping.load(Ordering::SeqCst) {
        let stream = match listener.accept() {
            Ok((stream, _)) => Arc::new(stream),
            Err(error) => {
                log::warn!("http: accept: {error}");
                thread::sleep(PAUSE);
                continue;
            }
        };
        number += 1;
        {
            let mut open = common.open.lock();
            if common.stopping.load(Ordering::SeqCst) {
                return;
            }
            if open.len() >= CONNECTIONS_MAX {
                log::warn!("http: a connection is turned away: {CONNECTIONS_MAX} are open already");
                continue;
            }
            open.insert(number, Arc::clone(&stream));
        }
        let open = Open { common: Arc::clone(common), number };
        let spawned = thread::Builder::new().name("http-request".into()).spawn(move || {
            let open = open;
            serve(&open.common, &stream);
        });
        if let Err(error) = spawned {
            // The connection went with the thread that was not to be.
            log::warn!("http: no thread for a request: {error}");
        }
    }
}

/// A connection that is open.
struct Open {
    common: Arc<Common>,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.common.open.lock().remove(&self.number);
        self.common.closed.notify_all();
    }
}

/// A request that is being answered.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request and its answer.
fn serve(common: &Common, stream: &TcpStream) {
    let mut input = Until { stream, until: Instant::now() + common.patience.head };
    let (head, answer) = match read_head(&mut input, &common.hosts) {
        Ok(Some(head)) => {
            input.until = Instant::now() + common.patience.body;
            let answer = answer(common, &mut input, &head);
            (Some(head), answer)
        }
        // Whoever says nothing is answered nothing.
        Ok(None) => return,
        Err(refused) => (None, refused),
    };
    let is_head = head.is_some_and(|head| head.is_head);
    if let Err(error) = respond(stream, &answer, is_head) {
        // Whoever has gone does not want it any more.
        return log::debug!("an HTTP answer was not read: {error}");
    }
    let _ = stream.shutdown(Shutdown::Write);
    input.until = Instant::now() + LINGER;
    let mut scratch = [0; 16 << 10];
    while matches!(input.read(&mut scratch), Ok(count) if count > 0) {}
}

fn answer(common: &Common, input: &mut Until<'_>, head: &Head) -> Answer {
    let busy = Busy(&common.busy);
    if common.busy.fetch_add(1, Ordering::SeqCst) >= REQUESTS_MAX {
        return Answer::error(503, format!("{REQUESTS_MAX} requests are being answered already: try again"));
    }
    let answer = match read_body(input, head) {
        Ok(request) => catch_unwind(AssertUnwindSafe(|| (common.handler)(&request)))
            .unwrap_or_else(|_| Answer::error(500, "the request broke the program that was to answer it")),
        Err(refused) => refused,
    };
    drop(busy);
    answer
}

/// A stream that is read and written until a time, however little comes at once.
pub(super) struct Until<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.read(octets)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "",
    }
}

fn respond(stream: &TcpStream, answer: &Answer, is_head: bool) -> io::Result<()> {
    let Answer { status, content_type, body } = answer;
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\
         Connection: close\r\n\
         Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n\
         Referrer-Policy: no-referrer\r\n\r\n",
        reason = reason(*status),
        length = body.len(),
    );
    let mut octets = head.into_bytes();
    if !is_head {
        octets.extend_from_slice(body);
    }
    Until { stream, until: Instant::now() + WRITE_TIME }.write_all(&octets)
}
