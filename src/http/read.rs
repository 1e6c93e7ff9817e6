//! Reads a request: its head as `httparse` sees it, and a body no longer than it may be. What a client says of lengths is
//! believed only within limits.
use std::io::{self, BufRead, Read, Write};

use httparse::{EMPTY_HEADER, Status};

use super::{Answer, Request, check_source, decoded, query_of};

/// Octets of a head, at most.
const HEAD_MAX: usize = 16 << 10;
/// Header lines, at most.
const HEADERS_MAX: usize = 64;
/// Octets of a body, at most.
pub(super) const BODY_MAX: usize = 8 << 20;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Octets(usize),
    /// It comes in pieces, each with its length.
    Chunked,
}

/// The head of a request that may be answered, and what of its body came with it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) is_head: bool,
    is_post: bool,
    path: String,
    query: Vec<(String, String)>,
    length: Length,
    /// The client sends its body when it is told to.
    waits: bool,
    begun: Vec<u8>,
}

/// Reads a head; none where the peer says nothing at all.
pub(super) fn read_head(input: &mut impl Read, hosts: &[String]) -> Result<Option<Head>, Answer> {
    let mut octets = Vec::new();
    let mut scratch = [0; 4 << 10];
    loop {
        let count = match input.read(&mut scratch) {
            Ok(0) if octets.is_empty() => return Ok(None),
            Ok(0) => return Err(Answer::error(400, "the request ends before it is whole")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) if octets.is_empty() => return Ok(None),
            Err(_) => return Err(Answer::error(408, "the request did not come in time")),
        };
        octets.extend_from_slice(&scratch[..count]);
        if let Some(head) = parse(&octets, hosts)? {
            return Ok(Some(head));
        }
        if octets.len() > HEAD_MAX {
            return Err(Answer::error(431, format!("the request has more than {HEAD_MAX} octets before its body")));
        }
    }
}

/// The head that these octets begin with, once it is whole.
fn parse(octets: &[u8], hosts: &[String]) -> Result<Option<Head>, Answer> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let end = match request.parse(octets) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Answer::error(431, format!("the request has more than {HEADERS_MAX} header lines")));
        }
        Err(error) => return Err(Answer::error(400, format!("this is no HTTP request: {error}"))),
    };
    let values = |name: &str| -> Vec<String> {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).trim().to_owned()).collect()
    };
    check_source(&values("Host"), &values("Origin"), &values("Sec-Fetch-Site"), hosts)
        .map_err(|reason| Answer::error(403, reason))?;
    let method = request.method.unwrap_or_default();
    if !matches!(method, "GET" | "HEAD" | "POST") {
        return Err(Answer::error(405, format!("{method} is not understood: there are GET and POST")));
    }
    let is_post = method == "POST";
    let length = length(&values("Content-Length"), &values("Transfer-Encoding"))?;
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Head {
        is_head: method == "HEAD",
        is_post,
        path: decoded(path, false),
        query: query_of(query),
        // What comes with a GET matters to nobody.
        length: if is_post { length } else { Length::Octets(0) },
        waits: values("Expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")),
        begun: octets[end..].to_vec(),
    }))
}

fn length(lengths: &[String], encodings: &[String]) -> Result<Length, Answer> {
    match (lengths, encodings) {
        ([], []) => Ok(Length::Octets(0)),
        ([], [encoding]) if encoding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
        ([], _) => Err(Answer::error(501, "of transfer encodings chunked alone is understood")),
        ([length], []) if !length.is_empty() && length.bytes().all(|octet| octet.is_ascii_digit()) => {
            // One that no number holds is too long, too.
            match length.parse::<usize>() {
                Ok(length) if length <= BODY_MAX => Ok(Length::Octets(length)),
                _ => Err(too_long()),
            }
        }
        _ => Err(Answer::error(400, "a request has one Content-Length, a number, or a transfer encoding")),
    }
}

fn too_long() -> Answer {
    Answer::error(413, format!("the body has more than {BODY_MAX} octets"))
}

/// Reads the body that belongs to a head.
pub(super) fn read_body(stream: &mut (impl Read + Write), head: &Head) -> Result<Request, Answer> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Answer::error(408, "the body did not come in time"),
        _ => Answer::error(400, format!("the body cannot be read: {error}")),
    };
    if head.waits && head.is_post {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(unreadable)?;
    }
    let input = head.begun.as_slice().chain(&mut *stream);
    let body = match head.length {
        Length::Octets(length) => {
            let mut body = Vec::new();
            input.take(length as u64).read_to_end(&mut body).map_err(unreadable)?;
            if body.len() < length {
                return Err(Answer::error(400, format!("the body ends after {} of {length} octets", body.len())));
            }
            body
        }
        Length::Chunked => read_chunks(&mut io::BufReader::new(input), unreadable)?,
    };
    Ok(Request { is_post: head.is_post, path: head.path.clone(), query: head.query.clone(), body })
}

/// The pieces of a body, put together.
fn read_chunks(input: &mut impl BufRead, unreadable: impl Fn(io::Error) -> Answer) -> Result<Vec<u8>, Answer> {
    const LINE_MAX: u64 = 1 << 10;
    let wrong = || Answer::error(400, "the pieces of the body are not as they should be");
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(&unreadable)?;
        let Ok(Status::Complete((_, length))) = httparse::parse_chunk_size(&line) else { return Err(wrong()) };
        if length > (BODY_MAX - body.len()) as u64 {
            return Err(too_long());
        }
        // What may stand behind the last piece is of no interest.
        if length == 0 {
            return Ok(body);
        }
        let before = body.len() as u64;
        input.by_ref().take(length).read_to_end(&mut body).map_err(&unreadable)?;
        let mut end = [0; 2];
        input.read_exact(&mut end).map_err(&unreadable)?;
        if body.len() as u64 - before != length || end != *b"\r\n" {
            return Err(wrong());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came, and what was said before the body.
    struct Talk<'a> {
        came: &'a [u8],
        said: Vec<u8>,
    }

    impl Read for Talk<'_> {
        fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
            // A few at a time, as a slow line brings them.
            let most = octets.len().min(7);
            self.came.read(&mut octets[..most])
        }
    }

    impl Write for Talk<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.said.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(request: &str) -> Result<(Request, Vec<u8>), u16> {
        let mut talk = Talk { came: request.as_bytes(), said: Vec::new() };
        let head = read_head(&mut talk, &[]).map_err(|answer| answer.status)?.ok_or(0u16)?;
        let request = read_body(&mut talk, &head).map_err(|answer| answer.status)?;
        Ok((request, talk.said))
    }

    fn post(headers: &str, body: &str) -> Result<Vec<u8>, u16> {
        read(&format!("POST / HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}")).map(|(request, _)| request.body)
    }

    #[test]
    fn bodies_of_every_kind_are_read() {
        assert_eq!(post("Content-Length: 5\r\n", "hello and more"), Ok(b"hello".to_vec()));
        assert_eq!(post("", "whatever"), Ok(Vec::new()));
        assert_eq!(
            post("transfer-encoding: Chunked\r\n", "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"),
            Ok(b"hello".to_vec())
        );
        let (request, said) =
            read("POST /p HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab").unwrap();
        assert_eq!((&*request.path, &*request.body, &*said), ("/p", &b"ab"[..], &b"HTTP/1.1 100 Continue\r\n\r\n"[..]));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (headers, body, status) in [
            // More than an address space holds, more than a number holds, a little more than is taken.
            ("Content-Length: 4611686018427387904\r\n", "", 413),
            ("Content-Length: 99999999999999999999999999\r\n", "", 413),
            ("Content-Length: 8388609\r\n", "", 413),
            ("Transfer-Encoding: chunked\r\n", "fffffffffffffff\r\n", 413),
            ("Transfer-Encoding: chunked\r\n", "800001\r\n", 413),
            ("Content-Length: -1\r\n", "", 400),
            ("Content-Length: +1\r\n", "x", 400),
            ("Content-Length:\r\n", "", 400),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", "x", 400),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
            ("Content-Length: 5\r\n", "hel", 400),
            ("Transfer-Encoding: chunked\r\n", "x\r\n", 400),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhel", 400),
            ("Transfer-Encoding: chunked\r\n", "3\r\nhelxx0\r\n\r\n", 400),
            ("Transfer-Encoding: gzip\r\n", "", 501),
            ("Bad Header\r\n", "", 400),
        ] {
            assert_eq!(post(headers, body), Err(status), "{headers:?} {body:?}");
        }
        assert_eq!(read("").unwrap_err(), 0);
        assert_eq!(read("GET / HTTP/1.1\r\nHost").unwrap_err(), 400);
        assert_eq!(read("\x16\x03\x01\x02").unwrap_err(), 400, "TLS is no HTTP");
        let many = "X: y\r\n".repeat(HEADERS_MAX);
        assert_eq!(read(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).unwrap_err(), 431);
        let long = "x".repeat(HEAD_MAX);
        assert_eq!(read(&format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap_err(), 431);
    }
}
