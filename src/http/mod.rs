//! A small blocking door for HTTP: for the simulator's control, and for any page that only shows something. What is asked and
//! answered is the caller's; whose requests are heard at all is decided here.
//!
//! Nobody logs in, so a request must come from a program of this machine, and from no web page. A page of another site can have a
//! browser send requests to loopback; such a request names that site as its Origin, or, where a name of the site was bent to
//! 127.0.0.1, as its Host. Both are refused: the Host must be an address, `localhost`, or a name that was allowed, and an Origin
//! must be the same as the Host.

mod read;
mod server;

use crate::words::{BadValue, bad};
use std::net::IpAddr;

pub use server::Server;

/// A request that may be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Whether it is POST; GET (or HEAD) otherwise.
    pub is_post: bool,
    /// Its path, decoded.
    pub path: String,
    /// Behind the question mark, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// JSON.
    pub fn json(status: u16, value: &impl serde::Serialize) -> Answer {
        // What cannot be written is no value of ours.
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Answer { status, content_type: "application/json", body }
    }

    /// An error, in words.
    pub fn error(status: u16, words: impl Into<String>) -> Answer {
        Answer::json(status, &serde_json::json!({ "error": words.into() }))
    }

    /// A file of the program's own.
    pub fn file(content_type: &'static str, body: &'static str) -> Answer {
        Answer { status: 200, content_type, body: body.as_bytes().to_vec() }
    }
}

/// Whether a request comes from a program of this machine, or from a page of this server, and not from another page.
fn check_source(host: &[String], origin: &[String], fetch_site: &[String], hosts: &[String]) -> Result<(), BadValue> {
    let [host] = host else { return Err("a request names one Host".into()) };
    let name = name_of(host);
    let is_ours = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if !is_ours {
        return Err(bad!(
            "Host {host:?} is neither an address nor localhost, and so may be a web page's; a name of this machine is allowed \
             with --control-host"
        ));
    }
    match origin {
        [] => {}
        [origin] if origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host)) => {}
        _ => return Err("its Origin is another web page".into()),
    }
    match fetch_site {
        [] => Ok(()),
        [site] if matches!(&**site, "same-origin" | "none") => Ok(()),
        _ => Err("another web page has sent it".into()),
    }
}

/// The name or address in a Host, without port and brackets.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn query_of(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name, true), decoded(value, true)))
        .collect()
}

/// Octets behind percent signs, and, in a query, spaces for plus signs. What is not UTF-8 then becomes U+FFFD.
fn decoded(text: &str, is_query: bool) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |octet: &u8| char::from(*octet).to_digit(16).map(|digit| digit as u8);
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    octets.push(high << 4 | low);
                    rest = after;
                }
                _ => octets.push(b'%'),
            },
            (b'+', _) if is_query => octets.push(b' '),
            (octet, _) => octets.push(*octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::read::BODY_MAX;
    use super::server::Patience;
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;
    use std::time::{Duration, Instant};

    fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn echo() -> Server {
        let listen = "127.0.0.1:0".parse().unwrap();
        Server::start(listen, vec!["smsc.test".to_owned()], |request| {
            Answer::json(200, &format!("{} {:?} {}", request.path, request.query, request.body.len()))
        })
        .unwrap()
    }

    #[test]
    fn what_is_asked_is_answered() {
        let server = echo();
        let close = "Connection: close\r\n";
        let got = exchange(
            server.local_addr(),
            &format!("GET /a%20b?x=1+2&y=%2B&z HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"),
        );
        assert!(got.starts_with("HTTP/1.1 200"), "{got}");
        assert!(got.contains(r#"/a b [(\"x\", \"1 2\"), (\"y\", \"+\"), (\"z\", \"\")] 0"#), "{got}");
        for header in ["Content-Security-Policy: default-src 'self'", "Cache-Control: no-store", "nosniff"] {
            assert!(got.contains(header), "{got}");
        }
        let post = format!("POST /p HTTP/1.1\r\nHost: 127.0.0.1:9\r\n{close}Content-Length: 5\r\n\r\nhello");
        assert!(exchange(server.local_addr(), &post).contains(" [] 5"));
        // As Java's client asks, which would rather speak HTTP/2.
        let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";
        let post = format!("POST /java HTTP/1.1\r\nHost: localhost\r\n{offer}Content-Length: 5\r\n\r\nhello");
        assert!(exchange(server.local_addr(), &post).contains("/java [] 5"));
        let get = format!("GET /java HTTP/1.1\r\nHost: localhost\r\n{offer}\r\n");
        assert!(exchange(server.local_addr(), &get).contains("/java [] 0"));
        let put = format!("PUT /p HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
        assert!(exchange(server.local_addr(), &put).starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn no_web_page_reaches_it() {
        let server = echo();
        let port = server.local_addr().port();
        let own = format!("127.0.0.1:{port}");
        for (host, more, is_heard) in [
            (&*own, String::new(), true),
            ("localhost", String::new(), true),
            ("LOCALHOST:1234", String::new(), true),
            ("[::1]:80", String::new(), true),
            ("smsc.test:80", String::new(), true),
            (&own, format!("Origin: http://{own}\r\n"), true),
            (&own, "Sec-Fetch-Site: same-origin\r\n".to_owned(), true),
            // A name that was bent to loopback.
            ("evil.example", String::new(), false),
            ("evil.example:80", String::new(), false),
            ("127.0.0.1.evil.example", String::new(), false),
            ("localhost.evil.example", String::new(), false),
            ("", String::new(), false),
            (&own, "Origin: http://evil.example\r\n".to_owned(), false),
            (&own, "Origin: null\r\n".to_owned(), false),
            (&own, format!("Origin: https://{own}\r\n"), false),
            (&own, format!("Origin: http://{own}.evil.example\r\n"), false),
            (&own, "Sec-Fetch-Site: cross-site\r\n".to_owned(), false),
            (&own, "Sec-Fetch-Site: same-site\r\n".to_owned(), false),
            (&own, "Host: evil.example\r\n".to_owned(), false),
        ] {
            for method in ["GET", "POST"] {
                let request = format!(
                    "{method} / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n"
                );
                let got = exchange(server.local_addr(), &request);
                let expected = if is_heard { "HTTP/1.1 200" } else { "HTTP/1.1 403" };
                assert!(got.starts_with(expected), "{host} {more}: {got}");
            }
        }
        let got = exchange(server.local_addr(), "GET / HTTP/1.0\r\n\r\n");
        assert!(got.contains(" 403 "), "{got}");
    }

    #[test]
    fn it_ends_while_somebody_is_connected_and_gives_its_port_back() {
        let server = echo();
        let address = server.local_addr();
        let _idle = TcpStream::connect(address).unwrap();
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(5));
        // Its thread closes the socket a moment later.
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(error) = Server::start(address, Vec::new(), |_| Answer::error(404, "")) {
            assert!(Instant::now() < until, "{error}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_body_has_its_limit() {
        let server = echo();
        let length = BODY_MAX + 1;
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        let head =
            format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; length]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    /// A length that no memory holds, of requests that are refused for something else, too.
    #[test]
    fn a_length_is_not_believed() {
        let server = echo();
        for (method, host, status) in [
            ("POST", "localhost", 413),
            ("POST", "evil.example", 403),
            ("PUT", "localhost", 405),
            ("GET", "localhost", 413),
        ] {
            let got = exchange(
                server.local_addr(),
                &format!("{method} / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4611686018427387904\r\n\r\nx"),
            );
            assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {host}: {got}");
        }
        let get = exchange(server.local_addr(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(get.starts_with("HTTP/1.1 200"), "{get}");
    }

    #[test]
    fn a_head_alone_is_answered_without_its_body() {
        let server = echo();
        let got = exchange(server.local_addr(), "HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("Content-Length: 10") && body.is_empty(), "{got}");
    }

    /// Whoever is slow, or reads nothing, has a thread for a time of its own, and nobody waits for it.
    #[test]
    fn slow_peers_hold_nobody_up() {
        let patience = Patience { head: Duration::from_millis(300), body: Duration::from_millis(300) };
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::with_patience(listen, Vec::new(), patience, |request| Answer {
            status: 200,
            content_type: "text/plain",
            body: vec![b'x'; 1 + 100_000 * request.query.len()],
        })
        .unwrap();
        let address = server.local_addr();
        let begin = |said: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
            stream
        };
        let silent: Vec<TcpStream> = (0..100)
            .map(|nth| match nth % 4 {
                0 => begin(""),
                1 => begin("GET / HT"),
                2 => begin("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe"),
                // It never reads what is more than the network holds.
                _ => begin(&format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x=y&".repeat(300))),
            })
            .collect();
        let get = exchange(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(get.starts_with("HTTP/1.1 200"), "{get}");
        let mut answers: Vec<String> = Vec::new();
        for (nth, mut stream) in silent.iter().enumerate().filter(|(nth, _)| nth % 4 < 3) {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{nth}: {error}"));
            answers.push(answer.chars().take(12).collect());
        }
        assert_eq!(answers[..3], ["", "HTTP/1.1 408", "HTTP/1.1 408"]);
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    /// One more than are answered at a time is told to come again, and the others are answered all the same.
    #[test]
    fn one_request_too_many_is_told_so() {
        let gate = Arc::new((Mutex::new((0, false)), Condvar::new()));
        let held = Arc::clone(&gate);
        let server = Server::start("127.0.0.1:0".parse().unwrap(), Vec::new(), move |_| {
            let (state, changed) = &*held;
            let mut state = state.lock().unwrap();
            state.0 += 1;
            changed.notify_all();
            drop(changed.wait_while(state, |(_, is_open)| !*is_open).unwrap());
            Answer::json(200, &"done")
        })
        .unwrap();
        let address = server.local_addr();
        let get = move || exchange(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let waiting: Vec<_> = (0..64).map(|_| thread::spawn(get)).collect();
        let (state, changed) = &*gate;
        drop(changed.wait_while(state.lock().unwrap(), |(asked, _)| *asked < 64).unwrap());
        for _ in 0..3 {
            let got = get();
            assert!(got.starts_with("HTTP/1.1 503") && got.contains("try again"), "{got}");
        }
        state.lock().unwrap().1 = true;
        changed.notify_all();
        for answer in waiting {
            assert!(answer.join().unwrap().contains("done"));
        }
        assert!(get().contains("done"));
    }

    #[test]
    fn a_handler_that_breaks_is_an_error_and_no_end() {
        let server = Server::start("127.0.0.1:0".parse().unwrap(), Vec::new(), |request| match &*request.path {
            "/break" => panic!("as it was asked to"),
            _ => Answer::json(200, &"here"),
        })
        .unwrap();
        let get =
            |path: &str| exchange(server.local_addr(), &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(get("/break").starts_with("HTTP/1.1 500"));
        assert!(get("/").contains("here"));
    }
}
